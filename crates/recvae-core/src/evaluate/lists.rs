//! Lists of the best items for many users: by all scores, or by a [shortlist](super::shortlist) where that is sooner.

use std::borrow::Cow;

use crate::base::error::Result;
use crate::evaluate::scorer::Scorer;
use crate::evaluate::shortlist::Shortlists;
use crate::evaluate::top_k::{Scored, check_k, for_each_user, top_k};

/// The `k` best items of each user. Without `filter_seen` the items of a history may come back.
///
/// # Errors
/// `INVALID_ARGUMENT` if `k` is 0, `NUMERICAL` if a score is not a number.
pub fn recommend(model: &dyn Scorer, histories: &[&[u32]], k: usize, filter_seen: bool) -> Result<Vec<Vec<Scored>>> {
    check_k(k)?;
    let left_out = |user: usize| Cow::Borrowed(if filter_seen { histories[user] } else { &[] });
    for_each_list(model, histories, k, left_out, |_, list, _| Ok(list))
}

/// Hands the `k` best items of each user, without those of the ascending list that `left_out` gives, to `each`, with what tells the
/// score of an item, on several threads. Results come back in the order of the users.
pub(crate) fn for_each_list<'a, R: Send>(
    model: &dyn Scorer,
    histories: &[&[u32]],
    k: usize,
    left_out: impl Fn(usize) -> Cow<'a, [u32]> + Sync,
    each: impl Fn(usize, Vec<Scored>, &dyn Fn(u32) -> f32) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    match Shortlists::of(model, histories.len(), k) {
        Some(shortlists) => shortlists.for_each_list(model, histories, left_out, each),
        None => for_each_user(model, histories, |user, scores| {
            each(user, top_k(scores, &left_out(user), k)?, &|item| scores[item as usize])
        }),
    }
}
