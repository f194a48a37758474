//! EASE^R with all of B in half precision: half the memory, and half of what has to be read for a score.

use half::f16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;
use serde_json::Value;

use super::compact::{CompactOptions, StoredPrecision, compact};
use super::{Ease, EaseOptions};
use crate::error::Result;
use crate::memory::check_memory;
use crate::model::{Model, ModelKind, NamedTensor, TensorData};
use crate::numbers::Numbers;
use crate::options::Options;
use crate::scorer::{Scorer, check_scores};
use crate::vectorised::add;

/// EASE^R in half precision.
pub(super) struct HalfEase {
    pub(super) options: EaseOptions,
    pub(super) n_items: usize,
    /// B of shape `(n_items, n_items)`, row-major.
    pub(super) weights: Numbers<f16>,
}

impl Scorer for HalfEase {
    fn n_items(&self) -> usize {
        self.n_items
    }

    fn score(&self, histories: &[&[u32]], scores: &mut [f32]) -> Result<()> {
        check_scores(histories, self.n_items, scores)?;
        scores.par_chunks_mut(self.n_items).zip(histories).for_each(|(scores, history)| {
            score_one(&self.weights, history, scores);
        });
        Ok(())
    }
}

/// The sum of the rows of B that belong to a history, in f32, in pieces that stay in the first-level cache.
fn score_one(weights: &[f16], history: &[u32], scores: &mut [f32]) {
    const PIECE: usize = 2048;
    let n = scores.len();
    let mut single = [0f32; PIECE];
    for (piece, sums) in scores.chunks_mut(PIECE).enumerate() {
        let single = &mut single[..sums.len()];
        sums.fill(0.0);
        for &item in history {
            weights[item as usize * n + piece * PIECE..][..sums.len()].convert_to_f32_slice(single);
            add(sums, single);
        }
    }
}

impl Model for HalfEase {
    fn kind(&self) -> ModelKind {
        ModelKind::Ease
    }

    fn options(&self) -> Value {
        self.options.to_json()
    }

    fn tensors(&self) -> Result<Vec<NamedTensor<'_>>> {
        let data = TensorData::F16((&self.weights[..]).into());
        Ok(vec![NamedTensor { name: "weights".into(), shape: vec![self.n_items; 2], data }])
    }

    fn compact(&self, how: &CompactOptions) -> Result<Box<dyn Model>> {
        let n = self.weights.len();
        let (options, n_items) = (self.options.clone(), self.n_items);
        if how.top_per_item.is_none() && how.precision != Some(StoredPrecision::F32) {
            check_memory("the smaller model", 2 * n as u64)?;
            let mut weights = Numbers::zeros(n);
            weights.copy_from_slice(&self.weights);
            return Ok(Box::new(Self { options, n_items, weights }));
        }
        check_memory("the model in f32", 4 * n as u64)?;
        let mut single = Numbers::<f32>::zeros(n);
        self.weights.convert_to_f32_slice(&mut single);
        if how.top_per_item.is_none() {
            return Ok(Box::new(Ease { options, n_items, weights: single }));
        }
        let precision = how.precision.or(Some(StoredPrecision::F16));
        compact(&options, n_items, &single, &CompactOptions { precision, ..how.clone() })
    }
}
