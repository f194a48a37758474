//! What recommending and evaluating ask of a model.

use std::borrow::Cow;

use ndarray::{Array2, ArrayViewMut2};

use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
use crate::evaluate::factors::Factors;

/// What can be evaluated: it maps histories to scores of `n_items` items.
pub trait Scorer: Sync {
    /// Number of items it scores.
    fn n_items(&self) -> usize;

    /// Scores every item for a block of users, seen ones included: `scores` has shape `(histories.len(), n_items)` and
    /// lies row by row without gaps (ndarray's standard layout). A history is a strictly ascending list of item indices
    /// and may be empty. A higher score is a better recommendation; scores of different models have no common scale. A
    /// user's scores are a function of the history, to the bit: who else is in the block, and where, changes nothing.
    /// They may differ from one processor to another.
    ///
    /// # Errors
    /// `INTERNAL` if the shape, the layout or an item does not fit: a bug in the caller.
    fn score(&self, histories: &[&[u32]], scores: ArrayViewMut2<'_, f32>) -> Result<()>;

    /// Scores some items only, with the bits of [`Scorer::score`]: `scores` has shape `(histories.len(), items.len())`
    /// and the same layout. A model that need not compute all scores for that has its own way; this one does.
    ///
    /// # Errors
    /// As [`Scorer::score`].
    fn score_some(&self, histories: &[&[u32]], items: &[u32], mut scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        check_shape(&scores, (histories.len(), items.len()))?;
        check_items(items, self.n_items())?;
        let mut all = Array2::zeros((1, self.n_items()));
        for (history, mut scores) in histories.iter().zip(scores.rows_mut()) {
            self.score(&[history], all.view_mut())?;
            scores.iter_mut().zip(items).for_each(|(score, &item)| *score = all[(0, item as usize)]);
        }
        Ok(())
    }

    /// Whether the weights of a history's items change its scores.
    fn is_weighted(&self) -> bool {
        false
    }

    /// [`Scorer::score`] of histories whose items have weights above 0, as many each. A model that does not look at
    /// them scores as ever.
    ///
    /// # Errors
    /// As [`Scorer::score`].
    fn score_weighted(&self, histories: &[&[u32]], weights: &[&[f32]], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        let _ = weights;
        self.score(histories, scores)
    }

    /// What the scores are products of, if they are: lists of many users are found sooner that way, with the same bits.
    fn factors(&self) -> Option<Factors<'_>> {
        None
    }

    /// The matrix of which the scores are sums of rows, if they are: those of a history's items, shape
    /// `(n_items, n_items)`, row by row. Sums are in f32: of each four items in the order of the history the first two,
    /// the last two, and both sums, added to what there is; the items behind the last four are added one by one. Lists
    /// of many users rely on it, and on [`Scorer::score_some`] of no history and no item, which computes nothing.
    fn item_rows(&self) -> Option<&[f32]> {
        None
    }

    /// How many bytes of the model the scores of a history of `n_known` items read, if threads can share the reading.
    fn bytes_read(&self, n_known: usize) -> usize {
        let _ = n_known;
        0
    }

    /// Who finds the lists of many users sooner than all their scores come here, if somebody does.
    fn list_finder(&self) -> Option<&dyn ListFinder> {
        None
    }

    /// The scores of [`Scorer::score`] in a matrix of their own, shape `(histories.len(), n_items)`.
    ///
    /// # Errors
    /// As [`Scorer::score`].
    fn scores(&self, histories: &[&[u32]]) -> Result<Array2<f32>> {
        let mut scores = Array2::zeros((histories.len(), self.n_items()));
        self.score(histories, scores.view_mut())?;
        Ok(scores)
    }
}

/// An item with its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Index of the item.
    pub item: u32,
    /// The model's score.
    pub score: f32,
}

/// Somebody who finds lists: a device on which a model's scores are computed, and of which they need not all come back.
pub trait ListFinder: Send + Sync {
    /// Whether it is worth it for lists of `k` items for so many users.
    fn is_worth_it(&self, n_users: usize, k: usize) -> bool;

    /// How many users it takes at a time.
    fn block(&self) -> usize;

    /// The `k` best items of each history by the scores of `model`, whose finder it is, without those of the ascending
    /// list in `left_out`. No list for a user whose list cannot be told without all scores.
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

impl Cancel {
    /// A scorer that looks at the flag before each block of users: what stops [`evaluate()`](crate::evaluate()) and
    /// [`recommend()`](crate::recommend()).
    #[must_use]
    pub fn watch<'a>(&'a self, scorer: &'a dyn Scorer) -> impl Scorer + 'a {
        self.watch_with(scorer, scorer.list_finder())
    }

    /// The same of a scorer whose lists somebody else finds.
    pub(crate) fn watch_with<'a>(
        &'a self,
        scorer: &'a dyn Scorer,
        list_finder: Option<&'a dyn ListFinder>,
    ) -> impl Scorer + 'a {
        let list_finder = list_finder.map(|finder| WatchedFinder { finder, cancel: self });
        Watched { scorer, list_finder, cancel: self }
    }
}

struct Watched<'a> {
    scorer: &'a dyn Scorer,
    list_finder: Option<WatchedFinder<'a>>,
    cancel: &'a Cancel,
}

struct WatchedFinder<'a> {
    finder: &'a dyn ListFinder,
    cancel: &'a Cancel,
}

impl Scorer for Watched<'_> {
    fn n_items(&self) -> usize {
        self.scorer.n_items()
    }

    fn score(&self, histories: &[&[u32]], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        self.cancel.check()?;
        self.scorer.score(histories, scores)
    }

    fn score_some(&self, histories: &[&[u32]], items: &[u32], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        self.cancel.check()?;
        self.scorer.score_some(histories, items, scores)
    }

    fn is_weighted(&self) -> bool {
        self.scorer.is_weighted()
    }

    fn bytes_read(&self, n_known: usize) -> usize {
        self.scorer.bytes_read(n_known)
    }

    fn score_weighted(&self, histories: &[&[u32]], weights: &[&[f32]], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        self.cancel.check()?;
        self.scorer.score_weighted(histories, weights, scores)
    }

    fn factors(&self) -> Option<Factors<'_>> {
        let Factors { users, width, items, biases, block } = self.scorer.factors()?;
        let watched = move |histories: &[&[u32]]| {
            self.cancel.check()?;
            users(histories)
        };
        Some(Factors { users: Box::new(watched), width, items, biases, block })
    }

    fn item_rows(&self) -> Option<&[f32]> {
        self.scorer.item_rows()
    }

    fn list_finder(&self) -> Option<&dyn ListFinder> {
        self.list_finder.as_ref().map(|finder| finder as &dyn ListFinder)
    }
}

impl ListFinder for WatchedFinder<'_> {
    fn is_worth_it(&self, n_users: usize, k: usize) -> bool {
        self.finder.is_worth_it(n_users, k)
    }

    fn block(&self) -> usize {
        self.finder.block()
    }

    fn find(
        &self,
        model: &dyn Scorer,
        histories: &[&[u32]],
        left_out: &[Cow<'_, [u32]>],
        k: usize,
    ) -> Result<Vec<Option<Vec<Scored>>>> {
        self.cancel.check()?;
        self.finder.find(model, histories, left_out, k)
    }
}

/// The matrix that [`Scorer::score`] was called with, row by row, once its shape and the histories are found to fit.
pub(crate) fn checked<'s>(
    histories: &[&[u32]],
    n_items: usize,
    scores: ArrayViewMut2<'s, f32>,
) -> Result<&'s mut [f32]> {
    row_by_row(histories, n_items, (histories.len(), n_items), scores)
}

/// The same of [`Scorer::score_some`].
pub(crate) fn checked_some<'s>(
    histories: &[&[u32]],
    items: &[u32],
    n_items: usize,
    scores: ArrayViewMut2<'s, f32>,
) -> Result<&'s mut [f32]> {
    check_items(items, n_items)?;
    row_by_row(histories, n_items, (histories.len(), items.len()), scores)
}

fn row_by_row<'s>(
    histories: &[&[u32]],
    n_items: usize,
    shape: (usize, usize),
    scores: ArrayViewMut2<'s, f32>,
) -> Result<&'s mut [f32]> {
    check_shape(&scores, shape)?;
    check_histories(histories, n_items)?;
    scores.into_slice().ok_or_else(|| Error::Internal("scores do not lie row by row".into()))
}

/// Checks that a model has the items of histories.
pub(crate) fn check_histories(histories: &[&[u32]], n_items: usize) -> Result<()> {
    // They ascend.
    check_items(histories.iter().filter_map(|history| history.last()), n_items)
}

/// Checks that a model has these items.
pub(crate) fn check_items<'i>(items: impl IntoIterator<Item = &'i u32>, n_items: usize) -> Result<()> {
    match items.into_iter().find(|&&item| item as usize >= n_items) {
        Some(item) => Err(Error::Internal(format!("item {item} for a model of {n_items} items"))),
        None => Ok(()),
    }
}

fn check_shape(scores: &ArrayViewMut2<'_, f32>, shape: (usize, usize)) -> Result<()> {
    if scores.dim() == shape {
        return Ok(());
    }
    Err(Error::Internal(format!("scores of shape {:?}; allowed: {shape:?}, users and items", scores.dim())))
}

#[cfg(test)]
mod tests {
    use ndarray::s;

    use super::*;

    #[test]
    fn what_does_not_fit_is_an_error() {
        let histories: [&[u32]; 2] = [&[0, 2], &[]];
        let error =
            |scores: ArrayViewMut2<'_, f32>, n_items| checked(&histories, n_items, scores).unwrap_err().to_string();
        let mut scores = Array2::zeros((2, 6));
        assert_eq!(checked(&histories, 6, scores.view_mut()).unwrap().len(), 12);
        assert_eq!(
            error(scores.view_mut(), 5),
            "internal error: scores of shape (2, 6); allowed: (2, 5), users and items"
        );
        assert_eq!(error(Array2::zeros((2, 2)).view_mut(), 2), "internal error: item 2 for a model of 2 items");
        // Right shapes with gaps, and column by column.
        assert_eq!(error(scores.slice_mut(s![.., ..3]), 3), "internal error: scores do not lie row by row");
        assert_eq!(
            error(Array2::zeros((3, 2)).view_mut().reversed_axes(), 3),
            "internal error: scores do not lie row by row"
        );
        assert!(checked_some(&histories, &[3], 3, scores.slice_mut(s![.., ..1])).is_err());
    }
}
