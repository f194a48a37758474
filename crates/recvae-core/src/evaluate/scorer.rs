//! What recommending and evaluating ask of a model.

use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};

/// What can be evaluated: it maps histories to scores of `n_items` items.
pub trait Scorer: Sync {
    /// Number of items it scores.
    fn n_items(&self) -> usize;

    /// Scores every item for a block of users, seen ones included: `scores` has shape `(histories.len(), n_items)`, row
    /// by row. A history is a strictly ascending list of item indices and may be empty. A higher score is a better
    /// recommendation; scores of different models have no common scale. A user's scores are a function of the history, to the
    /// bit: who else is in the block, and where, changes nothing. They may differ from one processor to another.
    ///
    /// # Errors
    /// `INTERNAL` if a shape does not fit: a bug in the caller.
    fn score(&self, histories: &[&[u32]], scores: &mut [f32]) -> Result<()>;

    /// Scores some items only, with the bits of [`Scorer::score`]: `scores` has shape `(histories.len(), items.len())`. A model that need not compute all scores for that has its own way; this one does.
    ///
    /// # Errors
    /// As [`Scorer::score`].
    fn score_some(&self, histories: &[&[u32]], items: &[u32], scores: &mut [f32]) -> Result<()> {
        check_some(histories, items, self.n_items(), scores)?;
        let mut all = vec![0.0; self.n_items()];
        for (user, history) in histories.iter().enumerate() {
            self.score(&[history], &mut all)?;
            let scores = &mut scores[user * items.len()..][..items.len()];
            scores.iter_mut().zip(items).for_each(|(score, &item)| *score = all[item as usize]);
        }
        Ok(())
    }
}

impl Cancel {
    /// A scorer that looks at the flag before each block of users: what stops [`evaluate()`](crate::evaluate()) and
    /// [`recommend()`](crate::recommend()).
    #[must_use]
    pub fn watch<'a>(&'a self, scorer: &'a dyn Scorer) -> impl Scorer + 'a {
        Watched { scorer, cancel: self }
    }
}

struct Watched<'a> {
    scorer: &'a dyn Scorer,
    cancel: &'a Cancel,
}

impl Scorer for Watched<'_> {
    fn n_items(&self) -> usize {
        self.scorer.n_items()
    }

    fn score(&self, histories: &[&[u32]], scores: &mut [f32]) -> Result<()> {
        self.cancel.check()?;
        self.scorer.score(histories, scores)
    }

    fn score_some(&self, histories: &[&[u32]], items: &[u32], scores: &mut [f32]) -> Result<()> {
        self.cancel.check()?;
        self.scorer.score_some(histories, items, scores)
    }
}

/// Checks the shapes that [`Scorer::score`] was called with.
pub(crate) fn check_scores(histories: &[&[u32]], n_items: usize, scores: &[f32]) -> Result<()> {
    if scores.len() != histories.len() * n_items {
        return Err(Error::Internal(format!(
            "{} scores for {} users x {n_items} items",
            scores.len(),
            histories.len()
        )));
    }
    if let Some(item) = histories.iter().filter_map(|items| items.last()).find(|&&item| item as usize >= n_items) {
        return Err(Error::Internal(format!("item {item} in a history of a model of {n_items} items")));
    }
    Ok(())
}

/// Checks what [`Scorer::score_some`] was called with.
pub(crate) fn check_some(histories: &[&[u32]], items: &[u32], n_items: usize, scores: &[f32]) -> Result<()> {
    let largest = histories.iter().filter_map(|items| items.last()).chain(items.iter().max()).max();
    let known = largest.is_none_or(|&item| (item as usize) < n_items);
    if known && scores.len() == histories.len() * items.len() {
        return Ok(());
    }
    Err(Error::Internal(format!(
        "{} scores for {} users x {} items, up to {largest:?} of {n_items}",
        scores.len(),
        histories.len(),
        items.len()
    )))
}
