//! Convex weights by which the validation users' NDCG@100 is best, as far as chance lets one see that.
//!
//! Weights are tried in fortieths: of two parts all 41, of three parts every second (231), of more a search that moves
//! weight from part to part in steps of 8, 4, 2, 1 fortieths, from equal weights, from the best single part and from
//! seeded points.
//!
//! - **Shrinkage.** The best point is the luckiest one, too. Points that are worse by no more than half the standard
//!   error of that difference, paired by user, are as good; the weights are the centre of them.
//! - **Dropping.** A part is not missed if the rest, with weights of its own, is worse than all parts together by no
//!   more than one standard error of the paired difference, and by no more than a two-hundredth. Of the parts that are
//!   not missed one of the costliest kind is dropped, of these the one that is missed least, until each one that is
//!   left is missed. One standard error is the rule by which trees are pruned (Breiman, Friedman, Olshen, Stone 1984,
//!   section 3.4.3): the simplest choice among those that may well be the best. A test at 5 % would ask for proof, and
//!   lose what parts give that few users cannot prove; and where users are so few that a standard error is much, that
//!   rule alone would lose it, too.
//!
//! Everything is a mean over the users in their order, so the weights do not depend on the number of threads.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::kept::User;
use super::scale::Scale;
use crate::base::cancel::Cancel;
use crate::base::error::Result;
use crate::base::random::Stream;
use crate::math::statistics::mean;

/// In how many parts a weight of 1 is divided.
const UNITS: u8 = 40;
/// Weights within this many standard errors of the best ones are as good.
const AS_GOOD: f64 = 0.5;
/// A part is missed if the metric loses more than so many standard errors without it, or more than this share of
/// itself.
const MISSED: f64 = 1.0;
const WORTH: f64 = 0.005;
/// A difference of so many standard errors is more than chance: one-sided, 5 %.
const MORE_THAN_CHANCE: f64 = 1.645;
/// Where a search among more than three parts begins, besides equal weights and the best part.
const SEEDED: usize = 2;
/// Stream of these.
const STARTS: u64 = u64::from_be_bytes(*b"blendstr");

/// Weights in units, one per part, that sum to [`UNITS`].
type Point = Vec<u8>;

/// The points that were tried, with the metric of each user.
pub(super) struct Search<'a> {
    users: &'a [User],
    n_parts: usize,
    pub(super) scale: Scale,
    seed: u64,
    cancel: &'a Cancel,
    tried: BTreeMap<Point, Vec<f32>>,
}

/// Weights, 0 for parts that are not in use, with the metric of each user.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) weights: Vec<f64>,
    pub(super) values: Vec<f64>,
}

impl Found {
    pub(super) fn mean(&self) -> f64 {
        mean(&self.values).0
    }
}

/// The mean by which the first is better, user by user, and its standard error.
pub(super) fn paired(a: &[f64], b: &[f64]) -> (f64, f64) {
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let (difference, error) = mean(&differences);
    (difference, error.unwrap_or(0.0))
}

/// Whether a mean difference is above what chance makes of none.
pub(super) fn is_more_than_chance((difference, error): (f64, f64)) -> bool {
    difference > 0.0 && difference > MORE_THAN_CHANCE * error
}

impl<'a> Search<'a> {
    pub(super) fn new(users: &'a [User], n_parts: usize, scale: Scale, seed: u64, cancel: &'a Cancel) -> Self {
        Self { users, n_parts, scale, seed, cancel, tried: BTreeMap::new() }
    }

    /// The metric of each user by these weights.
    pub(super) fn values(&self, weights: &[f64]) -> Result<Vec<f64>> {
        self.cancel.check()?;
        let scale = self.scale;
        Ok(self.users.par_iter().map_init(Vec::new, |scores, user| user.ndcg(scale, weights, scores)).collect())
    }

    /// The metric of each of these users by weights of its own, which `weights` gives for a user's position.
    pub(super) fn gated_values(
        &self,
        positions: &[usize],
        weights: impl Fn(usize) -> Vec<f64> + Sync,
    ) -> Result<Vec<f64>> {
        self.cancel.check()?;
        let scale = self.scale;
        let each = |scores: &mut Vec<f32>, &at: &usize| self.users[at].ndcg(scale, &weights(at), scores);
        Ok(positions.par_iter().map_init(Vec::new, each).collect())
    }

    fn mean_at(&mut self, point: &Point) -> Result<f64> {
        if !self.tried.contains_key(point) {
            let values = self.values(&weights_of(point))?;
            self.tried.insert(point.clone(), values.into_iter().map(|value| value as f32).collect());
        }
        Ok(mean_of(&self.tried[point], None))
    }

    /// The weights of the `parts`, ascending, that are best for all users.
    pub(super) fn best(&mut self, parts: &[usize]) -> Result<Found> {
        self.explore(parts)?;
        let weights = self.centre(parts, None);
        let values = self.values(&weights)?;
        Ok(Found { weights, values })
    }

    /// Tries what there is to try with these parts.
    fn explore(&mut self, parts: &[usize]) -> Result<()> {
        match *parts {
            [] => {}
            [only] => _ = self.mean_at(&self.corner(only))?,
            [a, b] => {
                for units in 0..=UNITS {
                    let mut point = vec![0; self.n_parts];
                    (point[a], point[b]) = (units, UNITS - units);
                    self.mean_at(&point)?;
                }
            }
            [a, b, c] => {
                for first in (0..=UNITS).step_by(2) {
                    for second in (0..=UNITS - first).step_by(2) {
                        let mut point = vec![0; self.n_parts];
                        (point[a], point[b], point[c]) = (first, second, UNITS - first - second);
                        self.mean_at(&point)?;
                    }
                }
            }
            _ => {
                for start in self.starts(parts)? {
                    self.climb(parts, start)?;
                }
            }
        }
        Ok(())
    }

    fn corner(&self, part: usize) -> Point {
        let mut point = vec![0; self.n_parts];
        point[part] = UNITS;
        point
    }

    fn starts(&mut self, parts: &[usize]) -> Result<Vec<Point>> {
        let mut equal = vec![0; self.n_parts];
        (0..UNITS).zip(parts.iter().cycle()).for_each(|(_, &part)| equal[part] += 1);
        let mut best = (f64::NEG_INFINITY, vec![]);
        for &part in parts {
            let corner = self.corner(part);
            let value = self.mean_at(&corner)?;
            if value > best.0 {
                best = (value, corner);
            }
        }
        let mut starts = vec![equal, best.1];
        let mut random = Stream::new(self.seed, STARTS);
        for _ in 0..SEEDED {
            let mut point = vec![0; self.n_parts];
            for _ in 0..UNITS / 8 {
                point[parts[random.below(parts.len() as u64) as usize]] += 8;
            }
            starts.push(point);
        }
        Ok(starts)
    }

    /// Moves weight from part to part as long as that helps.
    fn climb(&mut self, parts: &[usize], start: Point) -> Result<()> {
        let mut at = (self.mean_at(&start)?, start);
        for step in [8, 4, 2, 1] {
            loop {
                let mut next = at.clone();
                for &from in parts {
                    for &to in parts {
                        if from == to || at.1[from] < step {
                            continue;
                        }
                        let mut point = at.1.clone();
                        point[from] -= step;
                        point[to] += step;
                        let value = self.mean_at(&point)?;
                        if value > next.0 {
                            next = (value, point);
                        }
                    }
                }
                if next.1 == at.1 {
                    break;
                }
                at = next;
            }
        }
        Ok(())
    }

    /// The centre of the points of these parts that are as good as the best one, by the users of `fold`'s complement.
    pub(super) fn centre(&self, parts: &[usize], left_out: Option<Fold>) -> Vec<f64> {
        let is_of = |point: &Point| point.iter().enumerate().all(|(part, &units)| units == 0 || parts.contains(&part));
        let points: Vec<(&Point, &Vec<f32>)> = self.tried.iter().filter(|(point, _)| is_of(point)).collect();
        let means: Vec<f64> = points.iter().map(|(_, values)| mean_of(values, left_out)).collect();
        let mut best = 0;
        for at in 1..means.len() {
            if means[at] > means[best] {
                best = at;
            }
        }
        let Some(&(_, of_best)) = points.get(best) else { return vec![0.0; self.n_parts] };
        let mut sum = vec![0usize; self.n_parts];
        for &(point, values) in &points {
            let differences: Vec<f64> = used(of_best, left_out)
                .zip(used(values, left_out))
                .map(|(best, value)| f64::from(best) - f64::from(value))
                .collect();
            let (difference, error) = mean(&differences);
            if difference <= AS_GOOD * error.unwrap_or(0.0) {
                sum.iter_mut().zip(point).for_each(|(sum, &units)| *sum += usize::from(units));
            }
        }
        rounded(&sum.iter().map(|&sum| sum as f64).collect::<Vec<_>>())
    }
}

/// One of some parts of the users: those at every n-th position from the first one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fold {
    pub(super) of: usize,
    pub(super) at: usize,
}

impl Fold {
    pub(super) fn has(self, position: usize) -> bool {
        position % self.of == self.at
    }
}

/// The values of all users but those of the fold.
fn used(values: &[f32], left_out: Option<Fold>) -> impl Iterator<Item = f32> {
    let is_used = move |at: &usize| left_out.is_none_or(|fold| !fold.has(*at));
    (0..values.len()).filter(is_used).map(|at| values[at])
}

fn mean_of(values: &[f32], left_out: Option<Fold>) -> f64 {
    let (mut sum, mut n) = (0.0, 0);
    for value in used(values, left_out) {
        sum += f64::from(value);
        n += 1;
    }
    sum / f64::from(n.max(1))
}

fn weights_of(point: &Point) -> Vec<f64> {
    point.iter().map(|&units| f64::from(units) / f64::from(UNITS)).collect()
}

/// Convex weights in the same proportions with four digits, which sum to 1: a file keeps them to the bit.
pub(super) fn rounded(proportions: &[f64]) -> Vec<f64> {
    const DIGITS: f64 = 1e4;
    let sum: f64 = proportions.iter().sum();
    let mut units: Vec<f64> = proportions.iter().map(|share| (share / sum * DIGITS).round()).collect();
    let largest = (0..units.len()).max_by(|&a, &b| units[a].total_cmp(&units[b]).then(b.cmp(&a)));
    if let Some(largest) = largest {
        units[largest] += DIGITS - units.iter().sum::<f64>();
    }
    units.into_iter().map(|units| units / DIGITS).collect()
}

/// A part that is not missed: which, and what the metric loses without it, with the standard error.
pub(super) type Missed = (usize, (f64, f64));

/// Drops parts that are not missed, from all of them on; the last one stays. `costs` is larger for a kind that costs
/// more. Gives what is left and what was dropped, in the order in which it went.
pub(super) fn simplest(search: &mut Search<'_>, costs: &[usize]) -> Result<(Found, Vec<Missed>)> {
    let mut parts: Vec<usize> = (0..search.n_parts).collect();
    let all = search.best(&parts)?;
    let (mut found, mut dropped) = (all.clone(), vec![]);
    while parts.len() > 1 {
        let mut least: Option<((usize, f64), Missed, Found)> = None;
        for &part in &parts {
            let rest: Vec<usize> = parts.iter().copied().filter(|&other| other != part).collect();
            let without = search.best(&rest)?;
            let cost = paired(&found.values, &without.values);
            let (lost, error) = paired(&all.values, &without.values);
            let errors = if lost == 0.0 { 0.0 } else { lost / error.max(f64::MIN_POSITIVE) };
            let place = (costs[part], -errors);
            let is_missed = errors > MISSED || lost > WORTH * all.mean();
            if !is_missed && least.as_ref().is_none_or(|least| place >= least.0) {
                least = Some((place, (part, cost), without));
            }
        }
        let Some((_, missed, without)) = least else { break };
        parts.retain(|&part| part != missed.0);
        dropped.push(missed);
        found = without;
    }
    Ok((found, dropped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_weights_sum_to_1() {
        for proportions in [vec![1.0, 1.0, 1.0], vec![0.0, 5.0], vec![1e-9, 1.0], vec![7.0], vec![1.0; 8]] {
            let weights = rounded(&proportions);
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{weights:?}");
            assert!(weights.iter().all(|weight| (0.0..=1.0).contains(weight)));
        }
        assert_eq!(rounded(&[1.0, 3.0]), [0.25, 0.75]);
    }
}
