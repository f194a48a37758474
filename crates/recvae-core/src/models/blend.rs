//! Blend: several trained models together, each with a convex weight.
//!
//! The scores of the parts have no common scale, so each part's scores of a user are made comparable first, `t_p`:
//! z-scores over the items outside of the history, or ranks among them (`blend/scale.rs`). Then
//!
//! `score_i = sum over parts p of w_p t_p(s_p)_i`, with `w_p >= 0` and `sum of w_p = 1`
//!
//! Where no part knows anything of an item, the score is exactly 0, as theirs are, and lists put the most popular ones
//! first.
//!
//! The weights may depend on the history by a gate (`blend/gate.rs`). A blend with a single part left gives that part's
//! scores as they are. Nothing is trained: scale, weights, gate and which parts are worth it are learnt from the
//! validation users' NDCG@100 (`blend/learn.rs`), so a blend has no checkpoint of its own; those of its parts are its
//! checkpoints.
//!
//! Parts stand in an order of their own, by kind and options, so the scores are the same to the bit in whatever order
//! they were given; only of parts that have the same kind and options the given order stays.
//!
//! What an item of a history contributes, with z-scores: `sum over p of w_p c_p / sd_p`, with `c_p` its contribution to
//! the score of part p and `sd_p` the deviation of that part's scores for the user; weights and deviations are those of
//! the whole history. With ranks: what the score loses when the item is left out. Similar items: the sum of the parts'
//! similarities as z-scores over all other items, with the weights of the parts that have similarities, without the
//! gate.
//!
//! Source: linear combination of normalised scores is CombSUM with weights: Fox and Shaw, "Combination of Multiple
//! Searches", TREC-2, 1994; z-scores and ranks: Renda and Straccia, "Web Metasearch: Rank vs. Score Based Rank
//! Aggregation Methods", SAC 2003.

use std::sync::Arc;

use ndarray::ArrayViewMut2;
use rayon::prelude::*;
use serde_json::Value;

use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
use crate::base::matrix::view2_mut;
use crate::base::memory::MemoryEstimate;
use crate::base::numbers::Numbers;
use crate::base::options::options;
use crate::evaluate::factors::Factors;
use crate::evaluate::leave_one_out::leave_one_out;
use crate::evaluate::scorer::{Scorer, check_items, checked, checked_some};
use crate::evaluate::top_k::BLOCK;
use crate::math::costs;
use crate::math::csr::Csr;
use crate::model::tensors::numbers;
use crate::model::{Fit, Model, ModelKind, NamedTensor, StoredTensor, TensorSource};
use crate::split::parts::HeldOut;
use crate::train::fit_shape::FitShape;
use crate::train::run::FitRun;

mod gate;
mod kept;
mod learn;
mod record;
mod scale;
#[cfg(test)]
mod tests;
mod weights;

pub(crate) use learn::learn;
use record::Record;
pub use scale::Scale;
use scale::{Spread, add_z_scores, ranks_in_sums};

options! {
    /// How a blend is made of trained models. What it is made of, and the weights that were found, are options of the
    /// model that comes out: `Model::options`.
    pub struct BlendOptions for "blend", check = check {
        /// Weights of the parts, in their order, which sum to 1. By default they are learnt, and parts that are not
        /// worth it are dropped. With them nothing is learnt: the scale is z-score unless given, and there is no gate.
        weights: Option<Vec<f64>> = None, Between(0.0, 1.0);
        /// How the parts' scores are made comparable. By default z-scores, unless ranks are better on the validation
        /// users by more than chance.
        scale: Option<Scale> = None, Any;
        /// Whether weights that depend on the history are tried; they are kept only if they beat constant weights, by
        /// more than chance, on validation users that they were not fitted to.
        gate: bool = true, Any;
        /// Start of the random numbers: the order of the validation users and, of four parts or more, where the search
        /// begins.
        seed: u64 = 0, Any;
    }
}

fn check(options: &BlendOptions) -> Result<()> {
    match &options.weights {
        Some(weights) if (weights.iter().sum::<f64>() - 1.0).abs() > 1e-6 => {
            Err(Error::invalid_argument("weights", format!("{weights:?}"), "numbers with a sum of 1"))
        }
        _ => Ok(()),
    }
}

/// The log popularity of the items, which only a gate needs.
const POPULARITY: &str = "popularity";

/// Several models with weights.
pub(crate) struct Blend {
    record: Record,
    parts: Vec<Arc<dyn Model>>,
    n_items: usize,
    /// ln(1 + training users) of each item, of shape `(n_items,)`; empty without a gate.
    popularity: Numbers<f32>,
}

/// A blend cannot be trained on data.
pub(super) fn fit(_: &BlendOptions, _: &Csr, _: Option<&HeldOut>, _: &FitRun<'_>) -> Result<Fit> {
    Err(Error::invalid_argument(
        "model",
        "'blend', which is made of trained models and not trained on data",
        "a model that is trained, or trained models as the parts of a blend",
    ))
}

/// Parts that estimates are for.
const USUAL_PARTS: usize = 3;
/// The users from whom it would be learnt.
fn learning_users(shape: &FitShape<'_>) -> f64 {
    FitShape { validation: true, ..*shape }.choosing_users()
}

/// What learning takes beside three parts, which are there already, with a tenth as many validation users as training
/// users.
pub(super) fn memory(_: &BlendOptions, shape: &FitShape<'_>) -> MemoryEstimate {
    learn::memory(USUAL_PARTS, shape.items, learning_users(shape).ceil() as usize, shape.threads)
}

/// What the seconds of [`learn`] grow with.
pub(super) const LAW: &str = "validation users x items x parts, with what the parts take for a user";

/// [`LAW`] as a number.
pub(super) fn work(_: &BlendOptions, shape: &FitShape<'_>) -> f64 {
    learning_users(shape) * shape.items as f64 * USUAL_PARTS as f64
}

/// Seconds of [`learn`] on one core, without what the parts take for their scores: for each validation user scales and
/// lists over all items, and about a thousand times the metric of a list over some hundred items.
pub(super) fn seconds(options: &BlendOptions, shape: &FitShape<'_>) -> f64 {
    let lists = 60.0 * work(options, shape) * costs::NUMBER;
    let searches = learning_users(shape) * 1000.0 * 400.0 * 20.0 * costs::NUMBER;
    lists + searches
}

/// There is nothing to make smaller.
pub(super) fn smaller(_: &BlendOptions, _: &FitShape<'_>, _: impl Fn(&BlendOptions) -> bool) -> Option<BlendOptions> {
    None
}

/// The tensors of one part.
struct OfPart<'a> {
    all: &'a dyn TensorSource,
    prefix: String,
}

impl TensorSource for OfPart<'_> {
    fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.all.f32(&format!("{}{name}", self.prefix), shape)
    }

    fn f64(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
        self.all.f64(&format!("{}{name}", self.prefix), shape)
    }

    fn find(&self, name: &str) -> Option<StoredTensor<'_>> {
        self.all.find(&format!("{}{name}", self.prefix))
    }

    fn n_bytes(&self) -> Option<u64> {
        self.all.n_bytes()
    }
}

fn prefix(part: usize) -> String {
    format!("parts.{part}.")
}

/// Rebuilds a blend. `options` are those of the model, not [`BlendOptions`].
pub(super) fn load(options: &Value, n_items: usize, tensors: &dyn TensorSource) -> Result<Box<dyn Model>> {
    let record = Record::from_json(options)?;
    let parts = record.parts.iter().enumerate().map(|(at, part)| {
        let own = OfPart { all: tensors, prefix: prefix(at) };
        Ok(Arc::from(part.kind.load(&part.options, n_items, &own)?))
    });
    let parts: Vec<Arc<dyn Model>> = parts.collect::<Result<_>>()?;
    let popularity = match &record.gate {
        Some(_) => numbers(tensors, POPULARITY, &[n_items])?,
        None => Numbers::default(),
    };
    Ok(Box::new(Blend::new(record, parts, popularity)?))
}

impl Blend {
    /// Puts parts and what is known of them together.
    fn new(record: Record, parts: Vec<Arc<dyn Model>>, popularity: Numbers<f32>) -> Result<Self> {
        let n_items = parts.first().map_or(0, |part| part.n_items());
        if parts.len() != record.parts.len() || parts.iter().any(|part| part.n_items() != n_items) {
            return Err(Error::Internal("the parts of a blend are not those of its record".into()));
        }
        Ok(Self { record, parts, n_items, popularity })
    }

    /// The weights for a history, by the parts' scores.
    fn weights(&self, history: &[u32], rows: &[&[f32]], spreads: &[Spread]) -> Vec<f64> {
        let base = self.record.weights();
        match &self.record.gate {
            Some(gate) => gate.weights(&base, &gate::features(history, &self.popularity, rows, spreads)),
            None => base,
        }
    }

    /// The scores of each part, each of shape `(histories.len(), n_items)`.
    fn scores_of_parts(&self, histories: &[&[u32]], weights: Option<&[&[f32]]>) -> Result<Vec<Numbers<f32>>> {
        let one = |part: &Arc<dyn Model>| {
            let mut scores = Numbers::zeros(histories.len() * self.n_items);
            let view = scores.view2_mut((histories.len(), self.n_items));
            match weights {
                Some(weights) => part.score_weighted(histories, weights, view)?,
                None => part.score(histories, view)?,
            }
            Ok(scores)
        };
        self.parts.iter().map(one).collect()
    }

    /// The row of a user in the scores of each part.
    fn rows<'a>(&self, scores: &'a [Numbers<f32>], user: usize) -> Vec<&'a [f32]> {
        scores.iter().map(|scores| &scores[user * self.n_items..][..self.n_items]).collect()
    }

    /// The scores of one user from those of the parts.
    fn add_up(&self, history: &[u32], rows: &[&[f32]], out: &mut [f32]) {
        let spreads: Vec<Spread> = rows.iter().map(|row| Spread::of(row, history)).collect();
        let weights = self.weights(history, rows, &spreads);
        out.fill(0.0);
        for ((row, spread), weight) in rows.iter().zip(spreads).zip(weights) {
            match self.record.scale {
                Scale::ZScore => add_z_scores(out, row, spread, weight),
                Scale::Rank => {
                    let weight = weight as f32;
                    out.iter_mut().zip(ranks_in_sums(row, history)).for_each(|(out, rank)| *out += weight * rank);
                }
            }
        }
    }
}

impl Scorer for Blend {
    fn n_items(&self) -> usize {
        self.n_items
    }

    fn score(&self, histories: &[&[u32]], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        if let [only] = &self.parts[..] {
            return only.score(histories, scores);
        }
        let scores = checked(histories, self.n_items, scores)?;
        let of_parts = self.scores_of_parts(histories, None)?;
        scores.par_chunks_mut(self.n_items).zip(histories).enumerate().for_each(|(user, (out, history))| {
            self.add_up(history, &self.rows(&of_parts, user), out);
        });
        Ok(())
    }

    fn is_weighted(&self) -> bool {
        self.parts.iter().any(|part| part.is_weighted())
    }

    fn bytes_read(&self, n_known: usize) -> usize {
        // Threads share the reading of one part after the other.
        self.parts.iter().map(|part| part.bytes_read(n_known)).max().unwrap_or(0)
    }

    fn score_weighted(&self, histories: &[&[u32]], weights: &[&[f32]], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        if let [only] = &self.parts[..] {
            return only.score_weighted(histories, weights, scores);
        }
        let scores = checked(histories, self.n_items, scores)?;
        let of_parts = self.scores_of_parts(histories, Some(weights))?;
        scores.par_chunks_mut(self.n_items).zip(histories).enumerate().for_each(|(user, (out, history))| {
            self.add_up(history, &self.rows(&of_parts, user), out);
        });
        Ok(())
    }

    fn factors(&self) -> Option<Factors<'_>> {
        match &self.parts[..] {
            [only] => only.factors(),
            _ => None,
        }
    }

    fn item_rows(&self) -> Option<&[f32]> {
        match &self.parts[..] {
            [only] => only.item_rows(),
            _ => None,
        }
    }

    /// All items are scored: mean and deviation are over all of them.
    fn score_some(&self, histories: &[&[u32]], items: &[u32], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        if let [only] = &self.parts[..] {
            return only.score_some(histories, items, scores);
        }
        let scores = checked_some(histories, items, self.n_items, scores)?;
        let mut all = Numbers::<f32>::zeros(BLOCK.min(histories.len()) * self.n_items);
        for (block, histories) in histories.chunks(BLOCK).enumerate() {
            let all = &mut all[..histories.len() * self.n_items];
            self.score(histories, view2_mut(all, (histories.len(), self.n_items)))?;
            for (user, row) in all.chunks(self.n_items).enumerate() {
                let out = &mut scores[(block * BLOCK + user) * items.len()..][..items.len()];
                out.iter_mut().zip(items).for_each(|(out, &item)| *out = row[item as usize]);
            }
        }
        Ok(())
    }
}

impl Model for Blend {
    fn kind(&self) -> ModelKind {
        ModelKind::Blend
    }

    fn options(&self) -> Value {
        self.record.to_json()
    }

    fn parts(&self) -> Vec<Arc<dyn Model>> {
        self.parts.clone()
    }

    fn tensors(&self) -> Result<Vec<NamedTensor<'_>>> {
        let mut all = vec![];
        for (at, part) in self.parts.iter().enumerate() {
            let mut own = part.tensors()?;
            own.iter_mut().for_each(|tensor| tensor.name.insert_str(0, &prefix(at)));
            all.extend(own);
        }
        if self.record.gate.is_some() {
            all.push(NamedTensor::new(POPULARITY, &[self.n_items], &self.popularity[..]));
        }
        Ok(all)
    }

    /// # Errors
    /// `INVALID_ARGUMENT` if no part knows how alike items are.
    fn similarities(&self, item: u32, items: &[u32]) -> Result<Vec<f32>> {
        let able = self.parts.iter().zip(self.record.weights()).filter(|(part, _)| part.kind().has_similar_items());
        let able: Vec<_> = able.collect();
        if able.is_empty() {
            let names: Vec<_> = self.parts.iter().map(|part| part.kind().name()).collect();
            let got = format!("'blend' of {}", names.join(", "));
            return Err(Error::invalid_argument("the model of similarItems", got, "a blend with a part that has them"));
        }
        let everything: Vec<u32> = (0..self.n_items as u32).collect();
        let sum: f64 = able.iter().map(|(_, weight)| weight).sum();
        let mut all = vec![0f32; self.n_items];
        for (part, weight) in able {
            let own = part.similarities(item, &everything)?;
            add_z_scores(&mut all, &own, Spread::of(&own, &[item]), weight / sum);
        }
        Ok(items.iter().map(|&item| all[item as usize]).collect())
    }

    fn contributions(&self, history: &[u32], item: u32, cancel: &Cancel) -> Result<Vec<f64>> {
        check_items(history.iter().chain([&item]), self.n_items)?;
        if let [only] = &self.parts[..] {
            return only.contributions(history, item, cancel);
        }
        if self.record.scale == Scale::Rank {
            return leave_one_out(self, history, item, cancel);
        }
        cancel.check()?;
        let scores = self.scores_of_parts(&[history], None)?;
        let rows = self.rows(&scores, 0);
        let spreads: Vec<Spread> = rows.iter().map(|row| Spread::of(row, history)).collect();
        let weights = self.weights(history, &rows, &spreads);
        let mut sums = vec![0.0; history.len()];
        for ((part, spread), weight) in self.parts.iter().zip(spreads).zip(weights) {
            let own = part.contributions(history, item, cancel)?;
            sums.iter_mut().zip(own).for_each(|(sum, own)| *sum += weight * spread.inverse * own);
        }
        Ok(sums)
    }
}
