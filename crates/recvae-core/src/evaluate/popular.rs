//! What comes where the model knows nothing: the items that most training users have.
//!
//! A linear model gives a user without a known item nothing but zeros, and a pruned one gives zeros to most items; in
//! the order of their indices that is the beginning of a file of training data. So a history without a known item gets
//! the most popular items, with the number of their training users as score, and the items of a list whose score is
//! exactly 0 are the most popular ones of all that have a 0. Lists that are served say where that happened, and lists
//! that are evaluated are the same ones. Numbers of users come with the model, in its file, and with a split; files of
//! before have none, and their models are served and evaluated without this.

use crate::base::options::choice;
use crate::data::popular::Popular;
use crate::evaluate::candidates::Candidates;
use crate::evaluate::scorer::Scored;

choice! {
    /// What comes where the model knows nothing.
    pub enum Fallback {
        /// The items that most training users have.
        Popularity = "popularity",
        /// What the model gives, in the order of the items where its scores are equal.
        None = "none",
    }
}

impl Popular {
    /// The `k` most popular of these items.
    pub(crate) fn best(&self, candidates: Option<&Candidates>, k: usize) -> Vec<Scored> {
        let passes = |item: u32| candidates.is_none_or(|candidates| candidates.contains(item));
        let best = self.order().iter().copied().filter(|&item| passes(item)).take(k);
        best.map(|item| Scored { item, score: self.counts()[item as usize] as f32 }).collect()
    }

    /// Puts the most popular of all items that have a score of 0 in place of those in the list, if it has any, which
    /// the result says; `score` is that of a candidate.
    pub(crate) fn refill(
        &self,
        list: &mut [Scored],
        score: &dyn Fn(u32) -> f32,
        seen: &[u32],
        candidates: Option<&Candidates>,
    ) -> bool {
        if list.iter().all(|scored| scored.score != 0.0) {
            return false;
        }
        let passes = |item: u32| {
            score(item) == 0.0
                && seen.binary_search(&item).is_err()
                && candidates.is_none_or(|candidates| candidates.contains(item))
        };
        let best = self.order().iter().copied().filter(|&item| passes(item));
        let zeros = list.iter_mut().filter(|scored| scored.score == 0.0);
        zeros.zip(best).for_each(|(scored, item)| scored.item = item);
        true
    }
}
