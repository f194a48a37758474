//! A blend of trained parts: scale, weights, which parts are worth it, and a gate, from the validation users alone.
//!
//! 1. What can matter of each validation user is kept, see `kept.rs`.
//! 2. The scale is z-score unless ranks, with weights of their own, are better by more than chance.
//! 3. Weights are searched and parts dropped, see `weights.rs`.
//! 4. A gate is fitted by a coordinate search: each slope moves by steps of .4, .2 and .1 while the mean metric, less a
//!    penalty of half a standard error of the gain times 1 plus the sum of the squared slopes, grows. It is kept only
//!    if it beats constant weights by more than chance on users that neither was fitted to: in five folds, both are
//!    fitted anew to the other four, and the differences of all users are taken together. What is kept is fitted to all
//!    of them.
//! 5. The result is evaluated on all items of all validation users.
//!
//! "More than chance" is 1.645 standard errors of the mean difference, paired by user: one-sided, 5 %.

use std::sync::Arc;

use rayon::prelude::*;

use super::gate::Gate;
use super::kept::{BEST, MOST_BYTES, User, keep};
use super::record::{Dropped, MOST_PARTS, PartRecord, Record, Tried, kept};
use super::scale::Scale;
use super::weights::{Fold, Found, Search, is_more_than_chance, paired, rounded, simplest};
use super::{Blend, BlendOptions};
use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
use crate::base::memory::{MemoryEstimate, check_limit};
use crate::base::numbers::Numbers;
use crate::base::steps::Steps;
use crate::evaluate::evaluation::evaluate;
use crate::evaluate::metrics::Metric;
use crate::evaluate::top_k::BLOCK;
use crate::model::{Fit, Model, ModelKind};
use crate::split::choosing::choosing;
use crate::split::parts::HeldOut;
use crate::train::run::FitRun;

/// Of the cross-fitting.
const FOLDS: usize = 5;
/// Steps of a slope.
const STEPS: [f64; 3] = [0.4, 0.2, 0.1];
/// How often all slopes are gone through with a step at most.
const ROUNDS: usize = 3;
/// What slopes cost, in standard errors.
const PENALTY: f64 = 0.5;

/// The parts of which a blend can be made: blends as what they are made of, each model once, in an order that does not
/// depend on how they were given: by kind, the cheapest first, and then by their options.
///
/// # Errors
/// `INVALID_ARGUMENT` for fewer than two or more than eight.
pub(super) fn parts_of(given: &[Arc<dyn Model>]) -> Result<Vec<Arc<dyn Model>>> {
    let mut parts: Vec<Arc<dyn Model>> = vec![];
    for model in given {
        let own = model.parts();
        let flat = if own.is_empty() { vec![Arc::clone(model)] } else { own };
        for part in flat {
            if !parts.iter().any(|other| Arc::ptr_eq(other, &part)) {
                parts.push(part);
            }
        }
    }
    if !(2..=MOST_PARTS).contains(&parts.len()) {
        let got = format!("{} different models", parts.len());
        return Err(Error::invalid_argument(
            "parts",
            got,
            format!("2 to {MOST_PARTS} models; a blend counts as its parts"),
        ));
    }
    parts.sort_by_cached_key(|part| (cost_of(part.kind()), part.options().to_string()));
    Ok(parts)
}

/// Larger for a kind that costs more.
fn cost_of(kind: ModelKind) -> usize {
    ModelKind::ALL.iter().take_while(|&&other| other != kind).count()
}

/// What learning takes beside the parts: `users` validation users.
pub(super) fn memory(n_parts: usize, n_items: usize, users: usize, threads: usize) -> MemoryEstimate {
    let (parts, items) = (n_parts as f64, n_items as f64);
    let block = BLOCK.min(users.max(1)) as f64;
    let each = items.min(BEST as f64 * parts * (parts + 3.0)) * (8.0 * parts + 8.0);
    let held = [
        ("the scores of a block of validation users by each part", 4.0 * block * items * (parts + 1.0)),
        ("what is kept of the validation users", (users as f64 * each).min(MOST_BYTES as f64 + block * each)),
        ("the scores of a user by each part", 8.0 * threads as f64 * items * (parts + 2.0)),
    ];
    MemoryEstimate::new(4.0 * items, &held, "fewer parts")
}

/// A blend by weights that are given, for models none of which is a blend or there twice; `parts` are the same in their
/// order.
fn given_weights(
    options: &BlendOptions,
    weights: &[f64],
    given: &[Arc<dyn Model>],
    parts: &[Arc<dyn Model>],
    validation: &HeldOut,
    warnings: Vec<String>,
    run: &FitRun<'_>,
) -> Result<Fit> {
    if weights.len() != given.len() || parts.len() != given.len() || given.iter().any(|part| !part.parts().is_empty()) {
        let got = format!("{} numbers for {} models", weights.len(), given.len());
        return Err(Error::invalid_argument(
            "weights",
            got,
            "one for each model, none of which is a blend or there twice",
        ));
    }
    let steps = run.steps(1.0);
    let weight = |part: &Arc<dyn Model>| given.iter().position(|other| Arc::ptr_eq(other, part)).map(|at| weights[at]);
    let weights = rounded(&parts.iter().filter_map(weight).collect::<Vec<_>>());
    let used: Vec<usize> = (0..parts.len()).filter(|&part| weights[part] > 0.0).collect();
    let part_record = |&part: &usize| PartRecord {
        kind: parts[part].kind(),
        options: parts[part].options(),
        weight: weights[part],
        validation: None,
    };
    let record = Record {
        scale: options.scale.unwrap_or(Scale::ZScore),
        parts: used.iter().map(part_record).collect(),
        gate: None,
        dropped: vec![],
        tried: vec![],
        validation: None,
        warnings,
        seed: options.seed,
    };
    let own = used.iter().map(|&part| Arc::clone(&parts[part])).collect();
    finish(Blend::new(record, own, Numbers::default())?, validation, &steps)
}

/// Evaluates a blend on all items of the validation users, if there are any.
fn finish(mut blend: Blend, validation: &HeldOut, steps: &Steps<'_>) -> Result<Fit> {
    if validation.n_scored() > 0 {
        let metric =
            evaluate(&steps.cancel().watch(&blend), validation, &[Metric::VALIDATION])?.mean(Metric::VALIDATION);
        blend.record.validation = metric.map(kept);
    }
    steps.end();
    Ok(Fit { model: Box::new(blend), epochs: vec![] })
}

/// Learns a blend of `parts`, which have the items of `validation`; `users_of_items` are the training users of each
/// item.
///
/// # Errors
/// See [`BlendOptions`].
pub(crate) fn learn(
    options: &BlendOptions,
    given: &[Arc<dyn Model>],
    validation: &HeldOut,
    users_of_items: &[u32],
    warnings: Vec<String>,
    run: &FitRun<'_>,
) -> Result<Fit> {
    let parts = parts_of(given)?;
    let validation = &*choosing(validation)?;
    let n_items = check(&parts, validation, users_of_items, run)?;
    if let Some(weights) = &options.weights {
        return given_weights(options, weights, given, &parts, validation, warnings, run);
    }
    if validation.n_scored() < 2 {
        return Err(Error::invalid_data(format!(
            "there are {} validation users with something to find, from whom weights would be learnt; allowed: 2 or more, which \
             split makes (validation)",
            validation.n_scored()
        )));
    }
    let threads = rayon::current_num_threads();
    let scored = validation.n_scored();
    let what = format!("a blend of {} models of {n_items} items, on {scored} validation users,", parts.len());
    let estimate = memory(parts.len(), n_items, scored, threads);
    check_limit(&what, &estimate, run.memory_limit, 0, |_| vec!["fewer parts".to_owned()])?;

    let popularity: Vec<f32> = users_of_items.iter().map(|&users| f64::from(users).ln_1p() as f32).collect();
    let steps = run.steps(2.0 * scored as f64);
    let models: Vec<&dyn Model> = parts.iter().map(|part| &**part).collect();
    let with_ranks = options.scale != Some(Scale::ZScore);
    let users = keep(&models, validation, &popularity, with_ranks, options.seed, &steps)?;
    let (mut search, mut tried) = choose_scale(options, &users, parts.len(), &run.cancel)?;
    steps.did(0.3 * scored as f64);
    let costs: Vec<usize> = parts.iter().map(|part| cost_of(part.kind())).collect();
    let (found, dropped) = simplest(&mut search, &costs)?;
    steps.did(0.3 * scored as f64);
    let alone: Vec<f64> =
        (0..parts.len()).map(|part| search.best(&[part]).map(|found| kept(found.mean()))).collect::<Result<_>>()?;
    let used: Vec<usize> = (0..parts.len()).filter(|&part| found.weights[part] > 0.0).collect();
    let gate = if options.gate && used.len() > 1 && users.len() >= 2 * FOLDS {
        let (gate, tried_gate) = cross_fitted(&search, &users, &used, &found)?;
        tried.push(tried_gate);
        gate
    } else {
        None
    };
    steps.did(0.3 * scored as f64);

    let part_record = |&part: &usize| PartRecord {
        kind: parts[part].kind(),
        options: parts[part].options(),
        weight: found.weights[part],
        validation: Some(alone[part]),
    };
    let dropped = dropped.into_iter().map(|(part, (cost, standard_error))| Dropped {
        kind: parts[part].kind(),
        options: parts[part].options(),
        validation: alone[part],
        cost: kept(cost),
        standard_error: kept(standard_error),
    });
    let record = Record {
        scale: search.scale,
        parts: used.iter().map(part_record).collect(),
        gate,
        dropped: dropped.collect(),
        tried,
        validation: None,
        warnings,
        seed: options.seed,
    };
    let popularity = if record.gate.is_some() { Numbers::from(popularity) } else { Numbers::default() };
    let own = used.iter().map(|&part| Arc::clone(&parts[part])).collect();
    finish(Blend::new(record, own, popularity)?, validation, &steps)
}

/// Checks what is given besides the options. Gives the number of items.
fn check(parts: &[Arc<dyn Model>], validation: &HeldOut, users_of_items: &[u32], run: &FitRun<'_>) -> Result<usize> {
    ModelKind::Blend.check_compute(&serde_json::json!({}), run.compute)?;
    run.checkpoint.iter().try_for_each(|checkpoint| checkpoint.check(ModelKind::Blend))?;
    if run.from.is_some() {
        return Err(Error::invalid_argument("from", "a model", "nothing: a blend is made of trained models"));
    }
    let n_items = validation.n_items();
    if let Some(part) = parts.iter().find(|part| part.n_items() != n_items) {
        return Err(Error::invalid_data(format!(
            "a part, {}, has {} items; allowed: the {n_items} of the validation users",
            part.kind().name(),
            part.n_items()
        )));
    }
    if users_of_items.len() != n_items {
        return Err(Error::Internal(format!("{} counts of users for {n_items} items", users_of_items.len())));
    }
    Ok(n_items)
}

/// A search on the scale that is asked for, or on the one that validation favours, with all that was tried on it.
fn choose_scale<'a>(
    options: &BlendOptions,
    users: &'a [User],
    n_parts: usize,
    cancel: &'a Cancel,
) -> Result<(Search<'a>, Vec<Tried>)> {
    let on = |scale| Search::new(users, n_parts, scale, options.seed, cancel);
    if let Some(scale) = options.scale {
        return Ok((on(scale), vec![]));
    }
    let all: Vec<usize> = (0..n_parts).collect();
    let (mut ranks, mut z_scores) = (on(Scale::Rank), on(Scale::ZScore));
    let gain = paired(&ranks.best(&all)?.values, &z_scores.best(&all)?.values);
    let is_kept = is_more_than_chance(gain);
    Ok((if is_kept { ranks } else { z_scores }, vec![tried("rank", gain, is_kept)]))
}

fn tried(what: &'static str, (gain, standard_error): (f64, f64), is_kept: bool) -> Tried {
    Tried { what, gain: kept(gain), standard_error: kept(standard_error), kept: is_kept }
}

/// A gate, if it is worth it, and what it gained on users that it was not fitted to.
fn cross_fitted(search: &Search<'_>, users: &[User], used: &[usize], found: &Found) -> Result<(Option<Gate>, Tried)> {
    let features: Vec<Vec<f64>> = users.par_iter().map(|user| features_of(user, used)).collect();
    let all: Vec<usize> = (0..users.len()).collect();
    let (mut gated, mut constant) = (vec![0.0; users.len()], vec![0.0; users.len()]);
    for at in 0..FOLDS {
        let fold = Fold { of: FOLDS, at };
        let (held_out, kept): (Vec<usize>, Vec<usize>) = all.iter().partition(|&&position| fold.has(position));
        let base = search.centre(used, Some(fold));
        let fitting = Fitting { search, features: &features, base: &base, used };
        let gate = fitting.fit(&kept)?;
        let (with, without) = (fitting.values(&gate, &held_out)?, search.values(&base)?);
        for (position, value) in held_out.into_iter().zip(with) {
            (gated[position], constant[position]) = (value, without[position]);
        }
    }
    let gain = paired(&gated, &constant);
    let is_kept = is_more_than_chance(gain);
    let fitting = Fitting { search, features: &features, base: &found.weights, used };
    let gate = if is_kept { Some(fitting.fit(&all)?) } else { None };
    Ok((gate, tried("gate", gain, is_kept)))
}

/// The features of a user with `r_p` of the parts in use.
fn features_of(user: &User, used: &[usize]) -> Vec<f64> {
    let shared = super::gate::SHARED;
    let own = used.iter().map(|&part| user.features[shared + part]);
    user.features[..shared].iter().copied().chain(own).collect()
}

/// A coordinate search for slopes.
struct Fitting<'a> {
    search: &'a Search<'a>,
    /// Of every user, for the parts in use.
    features: &'a [Vec<f64>],
    base: &'a [f64],
    used: &'a [usize],
}

impl Fitting<'_> {
    /// The metric of each of these users with a gate over the parts in use.
    fn values(&self, gate: &Gate, positions: &[usize]) -> Result<Vec<f64>> {
        let of_used: Vec<f64> = self.used.iter().map(|&part| self.base[part]).collect();
        self.search.gated_values(positions, |at| {
            let mut weights = vec![0.0; self.base.len()];
            let own = gate.weights(&of_used, &self.features[at]);
            self.used.iter().zip(own).for_each(|(&part, weight)| weights[part] = weight);
            weights
        })
    }

    /// A gate fitted to these users.
    fn fit(&self, positions: &[usize]) -> Result<Gate> {
        let features: Vec<&[f64]> = positions.iter().map(|&at| &self.features[at][..]).collect();
        let mut gate = Gate::flat(&features, self.used.len());
        let of = |gate: &Gate| self.values(gate, positions);
        let flat = of(&gate)?;
        let mut best = 0.0;
        for step in STEPS {
            for _ in 0..ROUNDS {
                let before = best;
                for slope in 0..gate.n_slopes() {
                    for move_by in [step, -step] {
                        let mut other = gate.clone();
                        let to = kept(*other.slope_mut(slope) + move_by);
                        *other.slope_mut(slope) = to;
                        let (gain, error) = paired(&of(&other)?, &flat);
                        let worth = gain - PENALTY * error * (1.0 + other.steepness());
                        if worth > best {
                            (best, gate) = (worth, other);
                            break;
                        }
                    }
                }
                if best == before {
                    break;
                }
            }
        }
        Ok(gate)
    }
}
