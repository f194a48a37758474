//! EASE^R with all of B in half precision: half the memory, and half of what has to be read for a score.

use half::f16;
use half::slice::HalfFloatSliceExt;
use ndarray::ArrayViewMut2;
use rayon::prelude::*;
use serde_json::Value;

use super::compact::prune;
use super::{Ease, Origin, score_one_at, scores_of_one};
use crate::base::cancel::Cancel;
use crate::base::error::Result;
use crate::base::memory::check_memory;
use crate::base::numbers::Numbers;
use crate::evaluate::scorer::{Scorer, check_items, checked, checked_some};
use crate::math::real::Real;
use crate::math::vectorised::vectorised;
use crate::model::{CompactOptions, Model, ModelKind, NamedTensor, StoredPrecision};

/// EASE^R in half precision.
pub(super) struct HalfEase {
    pub(super) origin: Origin,
    pub(super) n_items: usize,
    /// B of shape `(n_items, n_items)`, row-major.
    pub(super) weights: Numbers<f16>,
}

impl Scorer for HalfEase {
    fn n_items(&self) -> usize {
        self.n_items
    }

    fn score(&self, histories: &[&[u32]], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        let scores = checked(histories, self.n_items, scores)?;
        scores.par_chunks_mut(self.n_items).zip(histories).for_each(|(scores, history)| {
            score_one(&self.weights, history, scores);
        });
        Ok(())
    }

    /// Bit by bit what [`HalfEase::score`] gives: the numbers are added in the same order.
    fn score_some(&self, histories: &[&[u32]], items: &[u32], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        let scores = checked_some(histories, items, self.n_items, scores)?;
        scores.par_chunks_mut(items.len().max(1)).zip(histories).for_each(|(scores, history)| {
            score_one_at(&self.weights, f16::to_f32, self.n_items, history, items, scores);
        });
        Ok(())
    }
}

/// The sum of the rows of B that belong to a history, in f32, in pieces that stay in the first-level cache.
fn score_one(weights: &[f16], history: &[u32], scores: &mut [f32]) {
    const PIECE: usize = 2048;
    let n = scores.len();
    for (piece, sums) in scores.chunks_mut(PIECE).enumerate() {
        let n_sums = sums.len();
        let row = |item: u32| &weights[item as usize * n + piece * PIECE..][..n_sums];
        sums.fill(0.0);
        let (fours, rest) = history.as_chunks::<4>();
        fours.iter().for_each(|&[a, b, c, d]| add_four(sums, row(a), row(b), row(c), row(d)));
        rest.iter().for_each(|&item| add_one(sums, row(item)));
    }
}

vectorised! {
    /// `sums += a + b + c + d`, side by side as in single precision.
    fn add_four(sums: &mut [T], a: &[f16], b: &[f16], c: &[f16], d: &[f16]) {
        for ((((sum, &a), &b), &c), &d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *sum += (widened::<T>(a) + widened::<T>(b)) + (widened::<T>(c) + widened::<T>(d));
        }
    }

    /// `sums += row`.
    fn add_one(sums: &mut [T], row: &[f16]) {
        sums.iter_mut().zip(row).for_each(|(sum, &weight)| *sum += widened::<T>(weight));
    }
}

#[inline(always)]
fn widened<T: Real>(half: f16) -> T {
    T::of(single(half.to_bits()).into())
}

/// The number of half precision with these bits, without a branch, so that loops over it use vector instructions. Its exponent
/// moves to its new place; what is below the normal numbers becomes one by adding and taking off the smallest of them.
#[inline(always)]
fn single(half: u16) -> f32 {
    const EXPONENT: u32 = 0x1f << 23;
    const SMALLEST: u32 = (127 - 14) << 23;
    let bits = u32::from(half & 0x7fff) << 13;
    let subnormal = (f32::from_bits(bits + SMALLEST) - f32::from_bits(SMALLEST)).to_bits();
    let normal = bits + ((127 - 15) << 23);
    let no_number = bits + ((255 - 31) << 23); // or infinite
    let magnitude = if bits & EXPONENT == EXPONENT { no_number } else { normal };
    let magnitude = if bits & EXPONENT == 0 { subnormal } else { magnitude };
    f32::from_bits(magnitude | u32::from(half & 0x8000) << 16)
}

impl Model for HalfEase {
    fn kind(&self) -> ModelKind {
        self.origin.kind
    }

    fn options(&self) -> Value {
        self.origin.options.clone()
    }

    fn tensors(&self) -> Result<Vec<NamedTensor<'_>>> {
        Ok(vec![NamedTensor::new("weights", &[self.n_items; 2], &self.weights[..])])
    }

    fn similarities(&self, item: u32, items: &[u32]) -> Result<Vec<f32>> {
        scores_of_one(self, item, items)
    }

    fn contributions(&self, history: &[u32], item: u32, _: &Cancel) -> Result<Vec<f64>> {
        check_items(history.iter().chain([&item]), self.n_items)?;
        let weight = |&from: &u32| self.weights[from as usize * self.n_items + item as usize];
        Ok(history.iter().map(|from| weight(from).to_f64()).collect())
    }

    fn compact(&self, how: &CompactOptions) -> Result<Box<dyn Model>> {
        let (origin, n_items, n) = (self.origin.clone(), self.n_items, self.weights.len());
        if let Some(top) = how.top_per_item {
            let row = |item: usize| self.weights[item * n_items..][..n_items].iter().map(|weight| weight.to_f32());
            return prune(&origin, n_items, row, top, how.precision != Some(StoredPrecision::F32));
        }
        if how.precision == Some(StoredPrecision::F32) {
            check_memory("the model in f32", 4 * n as u64)?;
            let mut weights = Numbers::<f32>::zeros(n);
            self.weights.convert_to_f32_slice(&mut weights);
            return Ok(Box::new(Ease { origin, n_items, weights }));
        }
        check_memory("the smaller model", 2 * n as u64)?;
        let mut weights = Numbers::zeros(n);
        weights.copy_from_slice(&self.weights);
        Ok(Box::new(Self { origin, n_items, weights }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_half_precision_is_widened_exactly() {
        for bits in 0..=u16::MAX {
            let (ours, exact) = (single(bits), f16::from_bits(bits).to_f32());
            assert!(ours.to_bits() == exact.to_bits() || ours.is_nan() && exact.is_nan(), "{bits}: {ours} and {exact}");
        }
    }
}
