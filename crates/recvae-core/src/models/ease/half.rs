//! EASE^R with all of B in half precision: half the memory, and half of what has to be read for a score.

use half::f16;
use half::slice::HalfFloatSliceExt;
use ndarray::ArrayView2;

use super::compact::prune;
use super::{Ease, Origin, STRIPE};
use crate::base::error::Result;
use crate::base::matrix::row_major;
use crate::base::memory::check_memory;
use crate::base::numbers::Numbers;
use crate::math::real::Real;
use crate::math::row_sums::sums_of_rows;
use crate::math::vectorised::vectorised;
use crate::model::{CompactOptions, Model, StoredPrecision};

/// The scores of a history from item `first` on, at most a piece: the sum, in f32, of the rows of B that belong to it.
pub(super) fn piece(weights: &[f16], n_items: usize, history: &[u32], first: usize, sums: &mut [f32]) {
    let n_sums = sums.len();
    let row = |item: u32| &weights[item as usize * n_items + first..][..n_sums];
    sums.fill(0.0);
    let (fours, rest) = history.as_chunks::<4>();
    fours.iter().for_each(|&[a, b, c, d]| add_four(sums, row(a), row(b), row(c), row(d)));
    rest.iter().for_each(|&item| add_one(sums, row(item)));
}

vectorised! {
    /// The scores of a stripe.
    pub(super) fn stripe(weights: &[f16], n_items: usize, history: &[u32], first: usize, scores: &mut [T; STRIPE]) {
        *scores = sums_of_rows(weights, widened::<T>, n_items, history, first);
    }

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
    T::from_f64(single(half.to_bits()).into())
}

/// The number of half precision with these bits, without a branch, so that loops over it use vector instructions. Its
/// exponent moves to its new place; what is below the normal numbers becomes one by adding and taking off the smallest
/// of them.
#[inline(always)]
fn single(half: u16) -> f32 {
    const EXPONENT: u32 = 0x1f << 23;
    const SMALLEST: u32 = (127 - 14) << 23;
    let bits = u32::from(half & 0x7fff) << 13;
    let subnormal = (f32::from_bits(bits + SMALLEST) - f32::from_bits(SMALLEST)).to_bits();
    let normal = bits + ((127 - 15) << 23);
    let nan_or_infinite = bits + ((255 - 31) << 23); // or infinite
    let magnitude = if bits & EXPONENT == EXPONENT { nan_or_infinite } else { normal };
    let magnitude = if bits & EXPONENT == 0 { subnormal } else { magnitude };
    f32::from_bits(magnitude | u32::from(half & 0x8000) << 16)
}

/// The smaller form of a full matrix B of shape `(n_items, n_items)`.
pub(super) fn compact(origin: &Origin, weights: ArrayView2<'_, f16>, how: &CompactOptions) -> Result<Box<dyn Model>> {
    let (n_items, n) = (weights.nrows(), weights.len());
    let weights = row_major(weights);
    if let Some(top) = how.top_per_item {
        let row = |item: usize| weights[item * n_items..][..n_items].iter().map(|weight| weight.to_f32());
        return prune(origin, n_items, row, top, how.precision != Some(StoredPrecision::F32));
    }
    let origin = origin.clone();
    if how.precision == Some(StoredPrecision::F32) {
        check_memory("the model in f32", 4 * n as u64)?;
        let mut single = Numbers::<f32>::zeros(n);
        weights.convert_to_f32_slice(&mut single);
        return Ok(Box::new(Ease { origin, n_items, weights: single }));
    }
    check_memory("the smaller model", 2 * n as u64)?;
    let mut same = Numbers::<f16>::zeros(n);
    same.copy_from_slice(weights);
    Ok(Box::new(Ease { origin, n_items, weights: same }))
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
