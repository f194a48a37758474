//! Lists of the best items for many users: by all scores, by a [shortlist](super::shortlist) or [stripe by
//! stripe](super::stripes) where that is sooner, or by what a device finds.

use std::borrow::Cow;
use std::cell::OnceCell;

use rayon::prelude::*;

use crate::base::error::Result;
use crate::base::matrix::view2_mut;
use crate::evaluate::scorer::{ListFinder, Scored, Scorer};
use crate::evaluate::shortlist::Shortlists;
use crate::evaluate::stripes::Stripes;
use crate::evaluate::top_k::{check_k, for_each_user, top_k, with_missing};

/// The `k` best items of each user. Without `filter_seen` the items of a history may come back.
///
/// # Errors
/// `INVALID_ARGUMENT` if `k` is 0, `NUMERICAL` if a score is not a number.
pub fn recommend(model: &dyn Scorer, histories: &[&[u32]], k: usize, filter_seen: bool) -> Result<Vec<Vec<Scored>>> {
    check_k(k)?;
    let left_out = |user: usize| Cow::Borrowed(if filter_seen { histories[user] } else { &[] });
    for_each_list(model, histories, k, left_out, |_, list, _| Ok(list))
}

/// Hands the `k` best items of each user, without those of the ascending list that `left_out` gives, to `each`, with
/// what tells the score of an item, on several threads. Results come back in the order of the users.
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
    if let Some(stripes) = Stripes::of(model, histories.len(), k) {
        return stripes.for_each_list(model, histories, left_out, each);
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
