//! Which items may be recommended: allow and deny lists as item indices, in the form that costs least when they are
//! used.
//!
//! Nearly all items allowed: the others are left out as seen items are. Few allowed: only these are scored. In between,
//! all items are scored and the allowed ones looked at.

use std::borrow::Cow;

use ndarray::ArrayViewMut2;

use crate::base::error::{Error, Result};
use crate::evaluate::lists::for_each_list;
use crate::evaluate::scorer::{Scored, Scorer};
use crate::evaluate::top_k::{check_k, first_nan, for_each_user, not_a_number, select_of, top_k};

/// Below one item in so many, the fewer of two kinds are listed: a cache line holds 16 scores, so picking single ones
/// out of a row reads no more memory than walking along it.
const FEW: usize = 16;

/// The items that may be recommended, of those of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidates {
    n_items: usize,
    listed: Listed,
}

/// Ascending, without duplicates.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Listed {
    AllBut(Vec<u32>),
    Only(Vec<u32>),
}

impl Candidates {
    /// All items of a model of `n_items`.
    #[must_use]
    pub fn all(n_items: usize) -> Self {
        Self { n_items, listed: Listed::AllBut(vec![]) }
    }

    /// Those of these items that are in `allow`, if there is such a list, and not in `deny`. Indices may come in any
    /// order, more than once and in both lists: `deny` wins. An empty `allow` leaves no item.
    ///
    /// # Panics
    /// If an index is not below the number of items.
    #[must_use]
    pub fn narrow(&self, allow: Option<Vec<u32>>, deny: Vec<u32>) -> Self {
        let (allow, deny) = (allow.map(ascending), ascending(deny));
        let largest = allow.iter().chain([&deny]).filter_map(|items| items.last()).max();
        assert!(largest.is_none_or(|&item| (item as usize) < self.n_items), "an item beyond the model's");
        let listed = match (&self.listed, allow) {
            (Listed::AllBut(denied), None) => Listed::AllBut(union(denied, &deny).into_owned()),
            (Listed::AllBut(denied), Some(allow)) => Listed::Only(without(&without(&allow, denied), &deny)),
            (Listed::Only(allowed), None) => Listed::Only(without(allowed, &deny)),
            (Listed::Only(allowed), Some(mut allow)) => {
                allow.retain(|item| allowed.binary_search(item).is_ok());
                Listed::Only(without(&allow, &deny))
            }
        };
        Self { n_items: self.n_items, listed: self.cheapest(listed) }
    }

    /// The same items listed from the side on which there are few.
    fn cheapest(&self, listed: Listed) -> Listed {
        let all = || (0..self.n_items as u32).collect::<Vec<_>>();
        let is_few = |n: usize| n * FEW <= self.n_items;
        match listed {
            Listed::AllBut(denied) if !is_few(denied.len()) => Listed::Only(without(&all(), &denied)),
            Listed::Only(allowed) if is_few(self.n_items - allowed.len()) => Listed::AllBut(without(&all(), &allowed)),
            listed => listed,
        }
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.listed {
            Listed::AllBut(denied) => self.n_items - denied.len(),
            Listed::Only(allowed) => allowed.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is one of them.
    pub(crate) fn contains(&self, item: u32) -> bool {
        match &self.listed {
            Listed::AllBut(denied) => denied.binary_search(&item).is_err(),
            Listed::Only(allowed) => allowed.binary_search(&item).is_ok(),
        }
    }

    /// The `k` best of them by the scores of all items that are not in the ascending list `seen`.
    fn best(&self, scores: &[f32], seen: &[u32], k: usize) -> Result<Vec<Scored>> {
        match &self.listed {
            Listed::AllBut(denied) => top_k(scores, &union(denied, seen), k),
            Listed::Only(allowed) => {
                let scores: Vec<f32> = allowed.iter().map(|&item| scores[item as usize]).collect();
                best_of(allowed, &scores, seen, k)
            }
        }
    }

    /// The items, ascending, without `item`.
    pub(crate) fn list_without(&self, item: u32) -> Vec<u32> {
        match &self.listed {
            Listed::AllBut(denied) => without(&(0..self.n_items as u32).collect::<Vec<_>>(), &union(denied, &[item])),
            Listed::Only(allowed) => without(allowed, &[item]),
        }
    }
}

/// The `k` best candidates of each user, as [`recommend()`](crate::recommend()) gives the best of all items. A list has
/// exactly `k` items whenever the candidates, without seen ones if `filter_seen`, are that many.
///
/// # Errors
/// `INVALID_ARGUMENT` if `k` is 0, `NUMERICAL` if a score is not a number, `INTERNAL` if the candidates are those of a
/// model with another number of items.
pub fn recommend_among(
    model: &dyn Scorer,
    histories: &[&[u32]],
    k: usize,
    filter_seen: bool,
    candidates: &Candidates,
) -> Result<Vec<Vec<Scored>>> {
    recommend_within(model, histories, k, filter_seen, &[candidates], |_, list, _| list)
}

/// The same, with what `finish` makes of the list of each user, which it is called with, and of the score of each
/// candidate. The candidates are none for all items, one for all users or one for each user.
///
/// # Errors
/// As [`recommend_among`].
pub(crate) fn recommend_within<R: Send>(
    model: &dyn Scorer,
    histories: &[&[u32]],
    k: usize,
    filter_seen: bool,
    candidates: &[&Candidates],
    finish: impl Fn(usize, Vec<Scored>, &dyn Fn(u32) -> f32) -> R + Sync,
) -> Result<Vec<R>> {
    check_k(k)?;
    if let Some(other) = candidates.iter().find(|candidates| candidates.n_items != model.n_items()) {
        let text = format!("candidates of {} items for a model of {}", other.n_items, model.n_items());
        return Err(Error::Internal(text));
    }
    let seen = |user: usize| if filter_seen { histories[user] } else { &[] };
    if let [Candidates { n_items, listed: Listed::Only(allowed) }] = candidates {
        if allowed.is_empty() {
            return Ok((0..histories.len()).map(|user| finish(user, vec![], &|_| f32::NAN)).collect());
        }
        if allowed.len() * FEW <= *n_items {
            let few = Few { model, items: allowed };
            return for_each_user(&few, histories, |user, scores| {
                let score = |item: u32| allowed.binary_search(&item).map_or(f32::NAN, |position| scores[position]);
                Ok(finish(user, best_of(allowed, scores, seen(user), k)?, &score))
            });
        }
    }
    let denied = candidates.iter().map(|candidates| match &candidates.listed {
        Listed::AllBut(denied) => Some(&denied[..]),
        Listed::Only(_) => None,
    });
    let Some(denied) = denied.collect::<Option<Vec<&[u32]>>>() else {
        return for_each_user(model, histories, |user, scores| {
            let candidates = if let [one] = candidates { one } else { candidates[user] };
            Ok(finish(user, candidates.best(scores, seen(user), k)?, &|item: u32| scores[item as usize]))
        });
    };
    let left_out = |user: usize| match &denied[..] {
        [] => Cow::Borrowed(seen(user)),
        [one] => union(one, seen(user)),
        each => union(each[user], seen(user)),
    };
    for_each_list(model, histories, k, left_out, |user, list, score| Ok(finish(user, list, score)))
}

/// The `k` best of `items`, which have these `scores` in their order and of which those in `seen` do not count. Both
/// lists are ascending.
pub(crate) fn best_of(items: &[u32], scores: &[f32], seen: &[u32], k: usize) -> Result<Vec<Scored>> {
    if let Some(at) = first_nan(scores) {
        return Err(not_a_number(items[at]));
    }
    let seen: Vec<u32> =
        seen.iter().filter_map(|item| items.binary_search(item).ok()).map(|position| position as u32).collect();
    Ok(select_of(items, scores, &seen, k))
}

/// A model that scores some of its items only.
struct Few<'a> {
    model: &'a dyn Scorer,
    items: &'a [u32],
}

impl Scorer for Few<'_> {
    fn n_items(&self) -> usize {
        self.items.len()
    }

    fn score(&self, histories: &[&[u32]], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        self.model.score_some(histories, self.items, scores)
    }
}

fn ascending(mut items: Vec<u32>) -> Vec<u32> {
    items.sort_unstable();
    items.dedup();
    items
}

/// What is in one of two ascending lists; the one itself if the other is empty.
fn union<'a>(a: &'a [u32], b: &'a [u32]) -> Cow<'a, [u32]> {
    if a.is_empty() || b.is_empty() {
        return Cow::Borrowed(if a.is_empty() { b } else { a });
    }
    let mut both = Vec::with_capacity(a.len() + b.len());
    let mut b = b.iter().copied().peekable();
    for &item in a {
        while let Some(other) = b.next_if(|&other| other <= item) {
            if other < item {
                both.push(other);
            }
        }
        both.push(item);
    }
    both.extend(b);
    Cow::Owned(both)
}

/// What is in the first of two ascending lists and not in the second.
fn without(items: &[u32], others: &[u32]) -> Vec<u32> {
    let mut others = others.iter().copied().peekable();
    let mut left = Vec::with_capacity(items.len());
    for &item in items {
        while others.next_if(|&other| other < item).is_some() {}
        if others.peek() != Some(&item) {
            left.push(item);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_listed_whichever_side_they_are_on() {
        let all = Candidates::all(160);
        let deny = all.narrow(None, vec![5, 3, 5]);
        assert_eq!((deny.len(), &deny.listed), (158, &Listed::AllBut(vec![3, 5])));
        let allow_most = all.narrow(Some((0..155).collect()), vec![0]);
        assert_eq!(allow_most.listed, Listed::AllBut(vec![0, 155, 156, 157, 158, 159]));
        let deny_most = all.narrow(None, (10..160).collect());
        assert_eq!(deny_most.listed, Listed::Only((0..10).collect()));
        // deny wins, also against a list that comes later; an empty list allows nothing.
        assert_eq!(deny.narrow(Some(vec![9, 3, 1]), vec![1]).listed, Listed::Only(vec![9]));
        assert_eq!(deny_most.narrow(Some(vec![20, 7, 2]), vec![2]).listed, Listed::Only(vec![7]));
        assert!(all.narrow(Some(vec![]), vec![]).is_empty());
        assert_eq!(deny.list_without(0)[..3], [1, 2, 4]);
    }

    #[test]
    fn unions_have_everything_once() {
        assert_eq!(*union(&[1, 4, 6], &[0, 4, 5, 9]), [0, 1, 4, 5, 6, 9]);
        assert_eq!(*union(&[], &[2]), [2]);
        assert_eq!(without(&[1, 2, 3, 9], &[0, 2, 9, 10]), [1, 3]);
    }
}
