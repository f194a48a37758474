//! Lists of the best items for many users: by all scores, by a [shortlist](super::shortlist) where that is sooner, or by what a
//! [device](ListFinder) finds.

use std::borrow::Cow;
use std::cell::OnceCell;

use rayon::prelude::*;

use crate::base::error::Result;
use crate::base::matrix::view2_mut;
use crate::evaluate::scorer::Scorer;
use crate::evaluate::shortlist::Shortlists;
use crate::evaluate::top_k::{BLOCK, Scored, check_k, for_each_user, top_k};

/// The `k` best items of each user. Without `filter_seen` the items of a history may come back.
///
/// # Errors
/// `INVALID_ARGUMENT` if `k` is 0, `NUMERICAL` if a score is not a number.
pub fn recommend(model: &dyn Scorer, histories: &[&[u32]], k: usize, filter_seen: bool) -> Result<Vec<Vec<Scored>>> {
    check_k(k)?;
    let left_out = |user: usize| Cow::Borrowed(if filter_seen { histories[user] } else { &[] });
    for_each_list(model, histories, k, left_out, |_, list, _| Ok(list))
}

/// Somebody who finds lists: a device on which a model's scores are computed, and of which they need not all come back.
pub trait ListFinder: Send + Sync {
    /// Whether it is worth it for lists of `k` items for so many users.
    fn is_worth_it(&self, n_users: usize, k: usize) -> bool;

    /// How many users it takes at a time.
    fn block(&self) -> usize;

    /// The `k` best items of each history by the scores of `model`, whose finder it is, without those of the ascending list in `left_out`. No
    /// list for a user whose list cannot be told without all scores.
    ///
    /// # Errors
    /// What the device has said; as [`Scorer::score_some`].
    fn find(
        &self,
        model: &dyn Scorer,
        histories: &[&[u32]],
        left_out: &[Cow<'_, [u32]>],
        k: usize,
    ) -> Result<Vec<Option<Vec<Scored>>>>;
}

/// Users whose lists come from all scores after all that are scored together, so that there is room for what was found besides.
pub(super) const PLAIN: usize = BLOCK / 4;

/// Hands the `k` best items of each user, without those of the ascending list that `left_out` gives, to `each`, with what tells the
/// score of an item, on several threads. Results come back in the order of the users.
pub(crate) fn for_each_list<'a, R: Send>(
    model: &dyn Scorer,
    histories: &[&[u32]],
    k: usize,
    left_out: impl Fn(usize) -> Cow<'a, [u32]> + Sync,
    each: impl Fn(usize, Vec<Scored>, &dyn Fn(u32) -> f32) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    if let Some(finder) = model.list_finder()
        && finder.is_worth_it(histories.len(), k)
    {
        return found_for_each(finder, model, histories, k, left_out, each);
    }
    match Shortlists::of(model, histories.len(), k) {
        Some(shortlists) => shortlists.for_each_list(model, histories, left_out, each),
        None => for_each_user(model, histories, |user, scores| {
            each(user, top_k(scores, &left_out(user), k)?, &|item| scores[item as usize])
        }),
    }
}

/// [`for_each_list`] by what a finder finds.
pub(super) fn found_for_each<'a, R: Send>(
    finder: &dyn ListFinder,
    model: &dyn Scorer,
    histories: &[&[u32]],
    k: usize,
    left_out: impl Fn(usize) -> Cow<'a, [u32]> + Sync,
    each: impl Fn(usize, Vec<Scored>, &dyn Fn(u32) -> f32) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let mut results = Vec::with_capacity(histories.len());
    for block in histories.chunks(finder.block()) {
        let first = results.len();
        let left: Vec<Cow<'_, [u32]>> = (first..first + block.len()).map(&left_out).collect();
        let lists = finder.find(model, block, &left, k)?;
        let found = lists.into_par_iter().enumerate().map(|(at, list)| {
            let Some(list) = list else { return Ok(None) };
            let failed = OnceCell::new();
            let score = |item: u32| {
                let mut score = [f32::NAN];
                if let Err(error) = model.score_some(&[block[at]], &[item], view2_mut(&mut score, (1, 1))) {
                    failed.get_or_init(|| error);
                }
                score[0]
            };
            let result = each(first + at, list, &score)?;
            failed.into_inner().map_or(Ok(Some(result)), Err)
        });
        let found: Vec<Option<R>> = found.collect::<Result<_>>()?;
        results.extend(with_missing(model, block, found, |at, scores| {
            each(first + at, top_k(scores, &left[at], k)?, &|item| scores[item as usize])
        })?);
    }
    Ok(results)
}

/// What was found of each user, and of the others what `each` makes of all their scores.
pub(super) fn with_missing<R: Send>(
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
