//! The k best items of a user: partial selection over the scores of a block of users, seen items left out.
//!
//! The order is total: the higher score first, the lower item index among equals. A list has exactly `k` items whenever
//! the catalogue leaves that many, and fewer otherwise; it is never padded.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::scorer::Scorer;

/// Users that are scored together: their scores are the largest thing that scoring keeps in memory.
pub(crate) const BLOCK: usize = 256;

/// An item with its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Index of the item.
    pub item: u32,
    /// The model's score.
    pub score: f32,
}

/// The `k` best items by `scores` (one per item) that are not in the ascending list `seen`.
///
/// # Errors
/// `NUMERICAL` if a score is not a number.
pub fn top_k(scores: &[f32], seen: &[u32], k: usize) -> Result<Vec<Scored>> {
    if let Some(item) = scores.iter().position(|score| score.is_nan()) {
        return Err(Error::Numerical(format!("the score of item {item} is not a number")));
    }
    let k = k.min(scores.len());
    if k == 0 {
        return Ok(vec![]);
    }
    let before = |a: &Scored, b: &Scored| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item));
    // Twice k candidates at most; once full, the k best stay and the worst of them is the bar for what follows. An item
    // that only equals the bar has a higher index than those above it, so it can be passed over.
    let mut candidates: Vec<Scored> = Vec::with_capacity(2 * k);
    let mut bar = None;
    for (item, &score) in (0u32..).zip(scores) {
        if bar.is_some_and(|bar| score <= bar) || seen.binary_search(&item).is_ok() {
            continue;
        }
        candidates.push(Scored { item, score: score + 0.0 }); // -0 becomes 0: they tie
        if candidates.len() == 2 * k {
            candidates.select_nth_unstable_by(k - 1, before);
            candidates.truncate(k);
            bar = Some(candidates[k - 1].score);
        }
    }
    candidates.sort_unstable_by(before);
    candidates.truncate(k);
    Ok(candidates)
}

/// Scores users block by block and hands each one's history and scores to `each`, on several threads. Results come back
/// in the order of the users. Memory: 256 x n_items scores.
pub(crate) fn for_each_user<R: Send>(
    model: &dyn Scorer,
    histories: &[&[u32]],
    each: impl Fn(usize, &[f32]) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let n_items = model.n_items();
    let mut scores = vec![0f32; BLOCK.min(histories.len()) * n_items];
    let mut results = Vec::with_capacity(histories.len());
    for (block, histories) in histories.chunks(BLOCK).enumerate() {
        let scores = &mut scores[..histories.len() * n_items];
        model.score(histories, scores)?;
        let rows: Result<Vec<R>> =
            scores.par_chunks(n_items).enumerate().map(|(row, scores)| each(block * BLOCK + row, scores)).collect();
        results.extend(rows?);
    }
    Ok(results)
}

/// The `k` best items of each user. Without `filter_seen` the items of a history may come back.
///
/// # Errors
/// `INVALID_ARGUMENT` if `k` is 0, `NUMERICAL` if a score is not a number.
pub fn recommend(model: &dyn Scorer, histories: &[&[u32]], k: usize, filter_seen: bool) -> Result<Vec<Vec<Scored>>> {
    if k == 0 {
        return Err(Error::invalid_argument("k", k, "a whole number, 1 or more"));
    }
    for_each_user(model, histories, |user, scores| top_k(scores, if filter_seen { histories[user] } else { &[] }, k))
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
            let mut random = crate::random::Stream::new(seed, 0);
            let n = 1 + random.below(300) as usize;
            // Few distinct values, so that ties are common; both zeros, which tie too.
            let scores: Vec<f32> =
                (0..n).map(|_| [-1.5, -0.0, 0.0, 1.0, f32::NEG_INFINITY][random.below(5) as usize]).collect();
            let seen: Vec<u32> = (0..n as u32).filter(|_| random.below(4) == 0).collect();
            for k in [1, 2, 7, n, n + 5] {
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
