//! Popularity: the number of training users per item is every user's score. The floor that any model must clear.

use ndarray::ArrayViewMut2;
use rayon::prelude::*;
use serde_json::Value;

use crate::base::cancel::Cancel;
use crate::base::error::Result;
use crate::base::memory::MemoryEstimate;
use crate::base::options::{Options, options};
use crate::evaluate::scorer::{Scorer, checked, checked_some};
use crate::math::costs;
use crate::math::csr::Csr;
use crate::model::{Fit, Model, ModelKind, NamedTensor, TensorSource};
use crate::split::parts::HeldOut;
use crate::train::fit_shape::FitShape;
use crate::train::run::FitRun;

options! {
    /// Popularity counts; there is nothing to choose.
    pub struct PopularityOptions for "popularity" {}
}

/// The popularity model.
pub struct Popularity {
    /// Shape `(n_items,)`.
    scores: Vec<f32>,
}

pub(super) fn fit(
    _options: &PopularityOptions,
    train: &Csr,
    _validation: Option<&HeldOut>,
    run: &FitRun<'_>,
) -> Result<Fit> {
    let steps = run.steps(1.0);
    let scores = train.column_counts().into_iter().map(|count| count as f32).collect();
    steps.end();
    Ok(Fit { model: Box::new(Popularity { scores }), epochs: vec![] })
}

/// What [`fit`] takes: the counts, in whose place the scores come.
pub(super) fn memory(_options: &PopularityOptions, shape: &FitShape<'_>) -> MemoryEstimate {
    let [_, items, _] = shape.counts();
    MemoryEstimate::new(4.0 * items, &[("the numbers of users per item", 4.0 * items)], "")
}

/// What the seconds of [`fit`] grow with.
pub(super) const LAW: &str = "interactions";

/// [`LAW`] as a number: the interactions are counted.
pub(super) fn work(_options: &PopularityOptions, shape: &FitShape<'_>) -> f64 {
    shape.counts()[2]
}

/// Seconds of [`fit`] on one core.
pub(super) fn seconds(options: &PopularityOptions, shape: &FitShape<'_>) -> f64 {
    costs::COUNT * work(options, shape)
}

/// There is nothing to make smaller.
pub(super) fn smaller(
    _options: &PopularityOptions,
    _shape: &FitShape<'_>,
    _fits: impl Fn(&PopularityOptions) -> bool,
) -> Option<PopularityOptions> {
    None
}

pub(super) fn load(_options: &PopularityOptions, n_items: usize, tensors: &dyn TensorSource) -> Result<Box<dyn Model>> {
    Ok(Box::new(Popularity { scores: tensors.f32("scores", &[n_items])? }))
}

impl Scorer for Popularity {
    fn n_items(&self) -> usize {
        self.scores.len()
    }

    fn score(&self, histories: &[&[u32]], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        let scores = checked(histories, self.scores.len(), scores)?;
        scores.par_chunks_mut(self.scores.len()).for_each(|row| row.copy_from_slice(&self.scores));
        Ok(())
    }

    fn score_some(&self, histories: &[&[u32]], items: &[u32], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        let scores = checked_some(histories, items, self.scores.len(), scores)?;
        let counts = items.iter().map(|&item| self.scores[item as usize]);
        scores.iter_mut().zip(counts.cycle()).for_each(|(score, count)| *score = count);
        Ok(())
    }
}

impl Model for Popularity {
    fn kind(&self) -> ModelKind {
        ModelKind::Popularity
    }

    fn options(&self) -> Value {
        PopularityOptions {}.to_json()
    }

    fn tensors(&self) -> Result<Vec<NamedTensor<'_>>> {
        Ok(vec![NamedTensor::new("scores", &[self.scores.len()], &self.scores)])
    }

    fn contributions(&self, _history: &[u32], _item: u32, _: &Cancel) -> Result<Vec<f64>> {
        Ok(vec![])
    }
}
