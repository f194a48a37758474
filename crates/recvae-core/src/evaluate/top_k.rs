//! The k best items of a user: partial selection over the scores of a block of users, seen items left out.
//!
//! The order is total: the higher score first, the lower item index among equals. A list has exactly `k` items whenever
//! the catalogue leaves that many, and fewer otherwise; it is never padded.

use rayon::prelude::*;

use crate::base::error::{Error, Result};
use crate::base::matrix::view2_mut;
use crate::base::numbers::Numbers;
use crate::evaluate::scorer::{Scored, Scorer};
use crate::math::real::Real;
use crate::math::vectorised::vectorised;

/// Users that are scored together: their scores are the largest thing that scoring keeps in memory.
pub(crate) const BLOCK: usize = 256;

/// The `k` best items by `scores` (one per item) that are not in the ascending list `seen`.
///
/// The largest score of each group of items comes first, and the k-th largest of these is a bar that k items reach.
/// Groups below the bar are passed over, which is most of a long catalogue; what is left is sorted by whole numbers
/// that order like score and index.
///
/// # Errors
/// `NUMERICAL` if a score is not a number.
pub fn top_k(scores: &[f32], seen: &[u32], k: usize) -> Result<Vec<Scored>> {
    match first_nan(scores) {
        Some(item) => Err(not_a_number(item as u32)),
        None => Ok(select(scores, seen, k)),
    }
}

/// [`top_k`] of scores that are numbers.
pub(crate) fn select(scores: &[f32], seen: &[u32], k: usize) -> Vec<Scored> {
    let k = k.min(scores.len());
    if k == 0 {
        return vec![];
    }
    let (maxima, bar) = group_maxima(scores, seen, k);
    // Twice k candidates at most; once full, the k best stay and the last of them has to be beaten.
    let mut candidates: Vec<u64> = Vec::with_capacity(2 * k);
    let mut last = u64::MAX;
    for (group, (scores, &maximum)) in scores.chunks(GROUP).zip(&maxima).enumerate() {
        if maximum < bar || key(maximum, (group * GROUP) as u32) > last {
            continue;
        }
        for (item, &score) in ((group * GROUP) as u32..).zip(scores) {
            let key = key(score, item);
            if score < bar || key > last || seen.binary_search(&item).is_ok() {
                continue;
            }
            candidates.push(key);
            if candidates.len() == 2 * k {
                last = *candidates.select_nth_unstable(k - 1).1;
                candidates.truncate(k);
            }
        }
    }
    candidates.sort_unstable();
    candidates.truncate(k);
    candidates.into_iter().map(|key| Scored { item: key as u32, score: scores[key as u32 as usize] + 0.0 }).collect()
}

/// The same of `items`, ascending, that have these scores in their order; `seen` are places among them.
pub(crate) fn select_of(items: &[u32], scores: &[f32], seen: &[u32], k: usize) -> Vec<Scored> {
    let best = select(scores, seen, k);
    best.into_iter().map(|Scored { item, score }| Scored { item: items[item as usize], score }).collect()
}

/// The `k` best of few items, in any order, that have these scores.
pub(crate) fn best_of_few(items: &[u32], scores: &[f32], k: usize) -> Vec<Scored> {
    let mut keys: Vec<u64> = items.iter().zip(scores).map(|(&item, &score)| key(score, item)).collect();
    keys.sort_unstable();
    keys.into_iter().take(k).map(|key| Scored { item: key as u32, score: score_of(key) }).collect()
}

/// Where the first score is that is not a number.
pub(crate) fn first_nan(scores: &[f32]) -> Option<usize> {
    if has_nan(scores) { scores.iter().position(|score| score.is_nan()) } else { None }
}

pub(crate) fn not_a_number(item: u32) -> Error {
    Error::Numerical(format!("the score of item {item} is not a number"))
}

/// Items of a group.
const GROUP: usize = 32;

/// A number that is the smaller the better an item is: the higher score first, then the lower index.
#[inline]
pub(crate) fn key(score: f32, item: u32) -> u64 {
    let bits = (score + 0.0).to_bits(); // -0 becomes 0: they tie
    // Floats order like whole numbers with a sign and a magnitude.
    let ascending = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    u64::from(!ascending) << 32 | u64::from(item)
}

/// The score of a [`key`].
#[inline]
pub(crate) fn score_of(key: u64) -> f32 {
    let ascending = !((key >> 32) as u32);
    f32::from_bits(if ascending >> 31 == 1 { ascending & !(1 << 31) } else { !ascending })
}

/// The largest score of each group of items, seen ones left out, and a score that k items reach, or minus infinity.
fn group_maxima(scores: &[f32], seen: &[u32], k: usize) -> (Vec<f32>, f32) {
    let mut maxima = vec![f32::NEG_INFINITY; scores.len().div_ceil(GROUP)];
    maxima_of_groups(scores, &mut maxima);
    for seen in seen.chunk_by(|a, b| *a as usize / GROUP == *b as usize / GROUP) {
        let group = seen[0] as usize / GROUP;
        let items = (0u32..).zip(scores).skip(group * GROUP).take(GROUP);
        let unseen = items.filter(|(item, _)| !seen.contains(item));
        maxima[group] = unseen.fold(f32::NEG_INFINITY, |maximum, (_, &score)| maximum.max(score));
    }
    if maxima.len() < k {
        return (maxima, f32::NEG_INFINITY);
    }
    let mut sorted = maxima.clone();
    let bar = *sorted.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a)).1;
    (maxima, bar)
}

vectorised! {
    /// Whether one of the numbers is none.
    fn has_nan(values: &[T]) -> bool {
        // Counted, which vectors do: bools would be put together one by one.
        let count = |values: &[T]| values.iter().fold(0u32, |count, value| count + u32::from(value.is_nan()));
        values.chunks(256).fold(0, |all, values| all | count(values)) != 0
    }

    /// The largest number of each group of [`GROUP`].
    fn maxima_of_groups(values: &[T], maxima: &mut [T]) {
        let (whole, rest) = values.as_chunks::<GROUP>();
        for (group, maximum) in whole.iter().zip(&mut *maxima) {
            let mut lanes = [group[0]; 16];
            for half in group.as_chunks::<16>().0 {
                lanes.iter_mut().zip(half).for_each(|(lane, &value)| *lane = lane.max(value));
            }
            *maximum = lanes.iter().fold(lanes[0], |maximum, &lane| maximum.max(lane));
        }
        if let (Some(maximum), Some(&first)) = (maxima.last_mut(), rest.first()) {
            *maximum = rest.iter().fold(first, |maximum, &value| maximum.max(value));
        }
    }
}

/// Scores users block by block and hands each one's history and scores to `each`, on several threads. Results come back
/// in the order of the users. Memory: 256 x n_items scores.
pub(crate) fn for_each_user<R: Send>(
    model: &dyn Scorer,
    histories: &[&[u32]],
    each: impl Fn(usize, &[f32]) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    for_each_weighted_user(model, histories, None, each)
}

/// The same of histories whose items have weights, as many each.
pub(crate) fn for_each_weighted_user<R: Send>(
    model: &dyn Scorer,
    histories: &[&[u32]],
    weights: Option<&[&[f32]]>,
    each: impl Fn(usize, &[f32]) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let n_items = model.n_items();
    let mut scores = Numbers::zeros(BLOCK.min(histories.len()) * n_items);
    let mut results = Vec::with_capacity(histories.len());
    for (block, histories) in histories.chunks(BLOCK).enumerate() {
        let scores = &mut scores[..histories.len() * n_items];
        let view = view2_mut(scores, (histories.len(), n_items));
        match weights {
            Some(weights) => model.score_weighted(histories, &weights[block * BLOCK..][..histories.len()], view)?,
            None => model.score(histories, view)?,
        }
        let rows: Result<Vec<R>> =
            scores.par_chunks(n_items).enumerate().map(|(row, scores)| each(block * BLOCK + row, scores)).collect();
        results.extend(rows?);
    }
    Ok(results)
}

/// Users whose lists come from all scores after all that are scored together, so that there is room for what was found
/// besides.
pub(crate) const PLAIN: usize = BLOCK / 4;

/// What was found of each user, and of the others what `each` makes of all their scores.
pub(crate) fn with_missing<R: Send>(
    model: &dyn Scorer,
    histories: &[&[u32]],
    found: Vec<Option<R>>,
    each: impl Fn(usize, &[f32]) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let missing: Vec<usize> = (0..histories.len()).filter(|&user| found[user].is_none()).collect();
    let mut plain = Vec::with_capacity(missing.len());
    for missing in missing.chunks(PLAIN) {
        let rows: Vec<&[u32]> = missing.iter().map(|&user| histories[user]).collect();
        plain.extend(for_each_user(model, &rows, |at, scores| each(missing[at], scores))?);
    }
    let mut plain = plain.into_iter();
    Ok(found.into_iter().filter_map(|found| found.or_else(|| plain.next())).collect())
}

pub(crate) fn check_k(k: usize) -> Result<()> {
    if k == 0 { Err(Error::invalid_argument("k", k, "a whole number, 1 or more")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(list: &[Scored]) -> Vec<u32> {
        list.iter().map(|scored| scored.item).collect()
    }

    #[test]
    fn agrees_with_a_full_sort() {
        for seed in 0..50 {
            let mut random = crate::base::random::Stream::new(seed, 0);
            let n = 1 + random.below(if seed < 25 { 300 } else { 6000 }) as usize;
            // Every other time few distinct values, so that ties are common; both zeros, which tie too.
            let scores: Vec<f32> = (0..n)
                .map(|_| match seed % 2 {
                    0 => [-1.5, -0.0, 0.0, 1.0, f32::NEG_INFINITY][random.below(5) as usize],
                    _ => random.normal() as f32,
                })
                .collect();
            let seen: Vec<u32> = (0..n as u32).filter(|_| random.below(4) == 0).collect();
            for k in [1, 2, 7, 100, n, n + 5] {
                let mut expected: Vec<u32> = (0..n as u32).filter(|item| !seen.contains(item)).collect();
                expected.sort_by(|&a, &b| scores[b as usize].partial_cmp(&scores[a as usize]).unwrap());
                expected.truncate(k);
                assert_eq!(items(&top_k(&scores, &seen, k).unwrap()), expected);
            }
        }
    }

    #[test]
    fn a_score_that_is_no_number_is_an_error() {
        assert!(top_k(&[1.0, f32::NAN], &[], 1).is_err());
        assert!(top_k(&[], &[], 1).unwrap().is_empty());
    }
}
