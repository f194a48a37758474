//! Weights that depend on what is known of a history.
//!
//! With base weights `w_p`, the weight of part `p` for a history is
//!
//! `w_p(h) = w_p exp(sum over f of a_pf x_f(h) + c r_p(h)) / (the same summed over the parts)`
//!
//! with the features
//!
//! | feature | what |
//! | --- | --- |
//! | `x_1` | ln(1 + length of the history) |
//! | `x_2` | mean of ln(1 + training users) over its items; 0 without any |
//! | `x_3` | agreement of the parts: mean over their pairs of the share that their lists of 20 have in common |
//! | `r_p` | how well part `p` finds the items of the history: their mean z-score among the items outside of it |
//!
//! In EASE^R and EDLAE no item speaks for itself, so there `r_p` is exactly how well a left-out item is found; the
//! other models see the item that they are asked for. To leave each one out would cost a pass of the model for every
//! item of the history, many times the request itself. Features are standardised by the validation users' means and
//! deviations, and cut off at 3.

use serde_json::{Value, json};

use super::record::{kept, number, object};
use super::scale::Spread;
use crate::base::error::{Error, Result};
use crate::evaluate::top_k::select;

/// Features that each part has a slope for.
pub(super) const SHARED: usize = 3;
/// The length of the lists that are compared.
const LIST: usize = 20;
/// In deviations: beyond, nothing was learnt.
const CUT: f64 = 3.0;

/// A gate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Gate {
    /// Of all features: the shared ones, then `r_p` of all parts together.
    means: [f64; SHARED + 1],
    deviations: [f64; SHARED + 1],
    /// `a_pf`.
    pub(super) slopes: Vec<[f64; SHARED]>,
    /// `c`.
    pub(super) recovery: f64,
}

/// What is known of a history: the shared features, then `r_p` of each part.
pub(super) fn features(history: &[u32], popularity: &[f32], rows: &[&[f32]], spreads: &[Spread]) -> Vec<f64> {
    let n = history.len().max(1) as f64;
    let popular = history.iter().map(|&item| f64::from(popularity[item as usize])).sum::<f64>() / n;
    let mut features = vec![(history.len() as f64).ln_1p(), popular, agreement(history, rows)];
    features.extend(
        rows.iter()
            .zip(spreads)
            .map(|(row, spread)| history.iter().map(|&item| spread.z(row[item as usize])).sum::<f64>() / n),
    );
    features
}

/// The mean share of the parts' lists that two of them have in common.
fn agreement(history: &[u32], rows: &[&[f32]]) -> f64 {
    let lists: Vec<Vec<u32>> = rows
        .iter()
        .map(|row| {
            let mut items: Vec<u32> = select(row, history, LIST).into_iter().map(|scored| scored.item).collect();
            items.sort_unstable();
            items
        })
        .collect();
    let (mut common, mut pairs) = (0, 0);
    for (at, list) in lists.iter().enumerate() {
        for other in &lists[..at] {
            common += list.iter().filter(|item| other.binary_search(item).is_ok()).count();
            pairs += list.len().max(1);
        }
    }
    common as f64 / pairs.max(1) as f64
}

impl Gate {
    /// One that changes nothing, standardised by the features of some users.
    pub(super) fn flat(features: &[&[f64]], n_parts: usize) -> Self {
        let spread = |values: &mut dyn Iterator<Item = f64>| {
            let values: Vec<f64> = values.collect();
            let n = values.len().max(1) as f64;
            let mean = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
            // Without a spread a feature says nothing: far from it, it is cut off.
            (kept(mean), kept(variance.sqrt()).max(1e-6))
        };
        let (mut means, mut deviations) = ([0.0; SHARED + 1], [1.0; SHARED + 1]);
        for at in 0..SHARED {
            (means[at], deviations[at]) = spread(&mut features.iter().map(|features| features[at]));
        }
        (means[SHARED], deviations[SHARED]) =
            spread(&mut features.iter().flat_map(|features| features[SHARED..].iter().copied()));
        Self { means, deviations, slopes: vec![[0.0; SHARED]; n_parts], recovery: 0.0 }
    }

    /// Standardised features.
    fn standardised(&self, feature: usize, value: f64) -> f64 {
        ((value - self.means[feature]) / self.deviations[feature]).clamp(-CUT, CUT)
    }

    /// The weights for a history with these features; convex.
    pub(super) fn weights(&self, base: &[f64], features: &[f64]) -> Vec<f64> {
        let mut weights: Vec<f64> = base
            .iter()
            .zip(&self.slopes)
            .zip(&features[SHARED..])
            .map(|((&base, slopes), &found)| {
                let shared: f64 = (0..SHARED).map(|at| slopes[at] * self.standardised(at, features[at])).sum();
                base * (shared + self.recovery * self.standardised(SHARED, found)).exp()
            })
            .collect();
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        weights
    }

    /// How far it is from one that changes nothing: the sum of the squared slopes.
    pub(super) fn steepness(&self) -> f64 {
        self.slopes.iter().flatten().map(|slope| slope * slope).sum::<f64>() + self.recovery * self.recovery
    }

    /// How many slopes there are.
    pub(super) fn n_slopes(&self) -> usize {
        self.slopes.len() * SHARED + 1
    }

    /// The slope at a position, for the search.
    pub(super) fn slope_mut(&mut self, at: usize) -> &mut f64 {
        match self.slopes.get_mut(at / SHARED) {
            Some(slopes) => &mut slopes[at % SHARED],
            None => &mut self.recovery,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({ "means": self.means, "deviations": self.deviations, "slopes": self.slopes, "recovery": self.recovery })
    }

    /// # Errors
    /// `INVALID_DATA` that names what is wrong.
    pub(super) fn from_json(value: &Value, n_parts: usize) -> Result<Self> {
        object(value, "its gate")?;
        let all = |value: &Value, what: &str, n: usize| -> Result<Vec<f64>> {
            let found: Option<Vec<f64>> = value.as_array().and_then(|list| list.iter().map(Value::as_f64).collect());
            // Slopes beyond it would leave the numbers.
            let found = found.filter(|list| list.len() == n && list.iter().all(|number| number.abs() <= 1e9));
            found.ok_or_else(|| {
                Error::invalid_data(format!("{what} of its gate are {value}; allowed: {n} numbers from -1e9 to 1e9"))
            })
        };
        let four = |name: &str| -> Result<[f64; SHARED + 1]> {
            let found = all(&value[name], name, SHARED + 1)?;
            Ok(std::array::from_fn(|at| found[at]))
        };
        let (means, deviations) = (four("means")?, four("deviations")?);
        if let Some(wrong) = deviations.iter().find(|&&deviation| deviation <= 0.0) {
            return Err(Error::invalid_data(format!("a deviation of its gate is {wrong}; allowed: above 0")));
        }
        let slopes = value["slopes"].as_array().filter(|slopes| slopes.len() == n_parts).ok_or_else(|| {
            Error::invalid_data(format!(
                "slopes of its gate are {}; allowed: a list for each of {n_parts} parts",
                value["slopes"]
            ))
        })?;
        let slopes = slopes.iter().map(|slopes| {
            let found = all(slopes, "slopes", SHARED)?;
            // e to the power of them stays a number.
            if let Some(wrong) = found.iter().find(|slope| slope.abs() > STEEPEST) {
                return Err(too_steep(*wrong));
            }
            Ok(std::array::from_fn(|at| found[at]))
        });
        let recovery = number(value, "recovery")?;
        if recovery.abs() > STEEPEST {
            return Err(too_steep(recovery));
        }
        Ok(Self { means, deviations, slopes: slopes.collect::<Result<_>>()?, recovery })
    }
}

/// The steepest slope that is allowed.
const STEEPEST: f64 = 20.0;

fn too_steep(slope: f64) -> Error {
    Error::invalid_data(format!("a slope of its gate is {slope}; allowed: from -{STEEPEST} to {STEEPEST}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_stay_convex_and_follow_the_slopes() {
        let users = [[1.0, 2.0, 0.5, 3.0, 1.0], [2.0, 1.0, 0.1, 0.0, 4.0], [3.0, 1.0, 0.3, 2.0, 2.0]];
        let all: Vec<&[f64]> = users.iter().map(|user| &user[..]).collect();
        let mut gate = Gate::flat(&all, 2);
        let base = [0.3, 0.7];
        for user in all.iter().copied().chain([&[1e300, -1e300, 0.0, 1e300, -1e300][..]]) {
            assert!((gate.weights(&base, user)[0] - 0.3).abs() < 1e-12);
        }
        *gate.slope_mut(0) = 1.0;
        *gate.slope_mut(6) = -0.5;
        assert_eq!((gate.slopes[0][0], gate.recovery, gate.steepness(), gate.n_slopes()), (1.0, -0.5, 1.25, 7));
        for user in all.iter().copied().chain([&[1e300, -1e300, 0.0, 1e300, -1e300][..]]) {
            let weights = gate.weights(&base, user);
            assert!(weights.iter().all(|weight| (0.0..=1.0).contains(weight)), "{weights:?}");
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
        // Longer histories, more of the first part.
        let of = |length: f64| gate.weights(&base, &[length, 1.0, 0.3, 2.0, 2.0])[0];
        assert!(of(3.0) > of(2.0) && of(2.0) > of(1.0));
        assert_eq!(Gate::from_json(&gate.to_json(), 2).unwrap(), gate);
    }

    #[test]
    fn agreement_is_the_share_in_common() {
        let up: Vec<f32> = (0..60).map(|item| item as f32).collect();
        let down: Vec<f32> = up.iter().rev().copied().collect();
        assert_eq!(agreement(&[], &[&up, &up]), 1.0);
        assert_eq!(agreement(&[], &[&up, &down]), 0.0);
        assert_eq!(agreement(&[], &[&up, &down, &up]), 1.0 / 3.0);
    }
}
