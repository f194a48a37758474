//! What makes scores of different models comparable: for each user their place among the items outside of the history.
//!
//! - **z-score**: `(s_i - mean) / sd`, with the mean and the standard deviation (divided by the number of items) of the
//!   scores of the items outside of the history. Sums are in f64, in eight lanes over the items in their order, so the
//!   bits depend on the scores and the history alone. Squares are of differences from the first score, so nothing is
//!   lost to a large mean.
//! - **rank**: `(items below i - items above i) / (m - 1)` among the `m` items outside of the history: 1 for the best,
//!   -1 for the last one, and equal scores share their place.
//!
//! Where all scores are the same, or there is one item or none, everything is 0. An item of the history gets the number
//! that its score would have among the others.
//!
//! **From what is not known.** A linear model gives an item of which it knows nothing a score of exactly 0, and lists
//! put the most popular of these first. For that a sum over models has to be exactly 0, too, where all of them know
//! nothing: in sums both scales are measured from the place of a score of 0, where a model has one outside of the
//! history. The order is the same from any place.

use crate::base::options::choice;
use crate::math::real::Real;
use crate::math::vectorised::vectorised;

choice! {
    /// How the scores of a blend's parts are made comparable.
    pub enum Scale {
        /// Distance from the mean of the user's scores, in standard deviations.
        ZScore = "z-score",
        /// Place among the user's items.
        Rank = "rank",
    }
}

/// Mean and inverse standard deviation of the scores of the items outside of a history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) mean: f64,
    /// 0 where the scores have no spread.
    pub(super) inverse: f64,
    /// From which score on sums are measured: 0 where one of the scores is, else the mean.
    origin: f64,
}

impl Spread {
    /// That of one user's `scores`; `history` is ascending.
    pub(super) fn of(scores: &[f32], history: &[u32]) -> Self {
        let n = scores.len() - history.len();
        let Some(first) = first_outside(scores.len(), history) else {
            return Self { mean: 0.0, inverse: 0.0, origin: 0.0 };
        };
        let origin = f64::from(scores[first]);
        let [sum, squares] = moments(scores, history, origin);
        let away = sum / n as f64;
        let variance = (squares / n as f64 - away * away).max(0.0);
        let inverse = if squares == 0.0 || variance <= 1e-14 * squares { 0.0 } else { 1.0 / variance.sqrt() };
        // What is no number stays none: whoever lists the scores names it.
        let inverse = if squares.is_finite() { inverse } else { f64::NAN };
        let mean = origin + away;
        Self { mean, inverse, origin: if unknown(scores, history).is_some() { 0.0 } else { mean } }
    }

    pub(super) fn z(self, score: f32) -> f64 {
        (f64::from(score) - self.mean) * self.inverse
    }
}

/// The first item that the history does not have.
fn first_outside(n: usize, history: &[u32]) -> Option<usize> {
    let first = history.iter().zip(0..).take_while(|&(&item, at)| item == at).count();
    (first < n).then_some(first)
}

/// An item outside of the history of which the model knows nothing.
fn unknown(scores: &[f32], history: &[u32]) -> Option<usize> {
    let mut zeros = scores.iter().enumerate().filter(|(_, score)| **score == 0.0).map(|(item, _)| item);
    zeros.find(|&item| history.binary_search(&(item as u32)).is_err())
}

vectorised! {
    /// Sums of `x - origin` and of its square over all values but those of the ascending `seen`.
    fn moments(values: &[T], seen: &[u32], origin: f64) -> [f64; 2] {
        let (mut sums, mut squares) = ([0.0f64; 8], [0.0f64; 8]);
        let mut start = 0;
        for at in 0..=seen.len() {
            let end = if at < seen.len() { seen[at] as usize } else { values.len() };
            let (whole, rest) = values[start..end].as_chunks::<8>();
            for chunk in whole {
                for lane in 0..8 {
                    let away = chunk[lane].to_f64() - origin;
                    sums[lane] += away;
                    squares[lane] += away * away;
                }
            }
            for (lane, value) in rest.iter().enumerate() {
                let away = value.to_f64() - origin;
                sums[lane] += away;
                squares[lane] += away * away;
            }
            start = end + 1;
        }
        [sums.iter().fold(0.0, |sum, lane| sum + lane), squares.iter().fold(0.0, |sum, lane| sum + lane)]
    }

    /// `out += (values - origin) * factor`.
    fn add_away(out: &mut [T], values: &[T], origin: f64, factor: f64) {
        for (out, value) in out.iter_mut().zip(values) {
            *out += T::from_f64((value.to_f64() - origin) * factor);
        }
    }
}

/// Adds `weight` times the z-scores of `scores` to `out`, measured from what is not known.
pub(super) fn add_z_scores(out: &mut [f32], scores: &[f32], spread: Spread, weight: f64) {
    add_away(out, scores, spread.origin, weight * spread.inverse);
}

/// [`ranks`], measured from what is not known.
pub(super) fn ranks_in_sums(scores: &[f32], history: &[u32]) -> Vec<f32> {
    let mut ranks = ranks(scores, history);
    if let Some(item) = unknown(scores, history) {
        let origin = ranks[item];
        ranks.iter_mut().for_each(|rank| *rank -= origin);
    }
    ranks
}

/// The ranks of one user's scores, of the same length; `history` is ascending. Scores that are no numbers make all
/// ranks such.
fn ranks(scores: &[f32], history: &[u32]) -> Vec<f32> {
    let mut seen = history.iter().peekable();
    let mut order: Vec<u64> = Vec::with_capacity(scores.len());
    for (item, &score) in (0u32..).zip(scores) {
        if score.is_nan() {
            return vec![f32::NAN; scores.len()];
        }
        if seen.next_if_eq(&&item).is_none() {
            order.push(u64::from(ascending(score)) << 32 | u64::from(item));
        }
    }
    order.sort_unstable();
    let n = order.len();
    let mut ranks = vec![0f32; scores.len()];
    if n < 2 {
        return ranks;
    }
    let place = |below: usize, upto: usize| ((below as f64 - (n - upto) as f64) / (n - 1) as f64) as f32;
    let mut at = 0;
    for equal in order.chunk_by(|a, b| a >> 32 == b >> 32) {
        let end = at + equal.len();
        equal.iter().for_each(|&key| ranks[key as u32 as usize] = place(at, end));
        at = end;
    }
    for &item in history {
        let own = u64::from(ascending(scores[item as usize]));
        let below = order.partition_point(|key| key >> 32 < own);
        let upto = order.partition_point(|key| key >> 32 <= own);
        // It is none of them: with those that equal it, it shares the middle.
        ranks[item as usize] = place(below, upto).clamp(-1.0, 1.0);
    }
    ranks
}

/// A whole number that orders like the score; both zeros are one.
fn ascending(score: f32) -> u32 {
    let bits = (score + 0.0).to_bits();
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Stream;

    #[test]
    fn z_scores_have_mean_0_and_deviation_1_outside_of_the_history() {
        let mut random = Stream::new(1, 0);
        for n in [2usize, 3, 9, 40, 1001] {
            // A large mean, and history items that are far off.
            let mut scores: Vec<f32> = (0..n).map(|_| (1000.0 + random.normal()) as f32).collect();
            let history: Vec<u32> = (0..n as u32).filter(|&item| item % 5 == 4 || item == 0 && n > 3).collect();
            history.iter().for_each(|&item| scores[item as usize] = 1e6);
            let spread = Spread::of(&scores, &history);
            let mut out = vec![0f32; n];
            add_z_scores(&mut out, &scores, spread, 1.0);
            let outside: Vec<f64> = (0..n)
                .filter(|&item| history.binary_search(&(item as u32)).is_err())
                .map(|item| f64::from(out[item]))
                .collect();
            let m = outside.len() as f64;
            let mean = outside.iter().sum::<f64>() / m;
            let variance = outside.iter().map(|z| z * z).sum::<f64>() / m - mean * mean;
            // f32 results near 1: 6e-8 each.
            assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-6, "{n}: {mean} {variance}");
        }
    }

    #[test]
    fn scores_without_spread_are_0() {
        for (scores, history) in [
            (vec![0.1f32; 7], vec![2u32]),
            (vec![9.0, 0.1, 0.1], vec![0]),
            (vec![1.0, 2.0], vec![0]),
            (vec![1.0], vec![0]),
        ] {
            let spread = Spread::of(&scores, &history);
            assert_eq!(spread.inverse, 0.0, "{scores:?}");
            let outside = |item: &usize| !history.contains(&(*item as u32));
            assert!((0..scores.len()).filter(outside).all(|item| ranks(&scores, &history)[item] == 0.0), "{scores:?}");
        }
    }

    #[test]
    fn ranks_count_what_is_below_and_above() {
        let scores = [0.5f32, -1.0, 3.0, 3.0, 0.0, -0.0, 9.0, 1.0];
        for history in [vec![], vec![6], vec![0, 7], vec![1, 2]] {
            let outside: Vec<usize> = (0..8).filter(|item| !history.contains(&(*item as u32))).collect();
            let count = |item: usize, of: fn(f32, f32) -> bool| {
                outside.iter().filter(|&&other| of(scores[other], scores[item])).count() as f64
            };
            let found = ranks(&scores, &history);
            for &item in &outside {
                let right = (count(item, |a, b| a < b) - count(item, |a, b| a > b)) / (outside.len() as f64 - 1.0);
                assert!((f64::from(found[item]) - right).abs() < 1e-7, "{history:?} {item}: {found:?}");
            }
        }
        assert!(ranks(&[1.0, f32::NAN], &[]).iter().all(|rank| rank.is_nan()));
        assert!(Spread::of(&[1.0, f32::NAN, 2.0], &[]).inverse.is_nan());
    }
}
