//! Which of a user's items speak for a recommendation.
//!
//! | model | contribution of item j of the history to the score of item i |
//! | --- | --- |
//! | EASE^R, EDLAE, RDLAE, DEQL | `B_ji`, 0 where pruning left none: the score is the sum of the contributions |
//! | higher-order EASE^R | `B_ji` and half of `C_ki` for each pair k that j has with another item of the history: the score is the sum of the contributions |
//! | Mult-DAE, Mult-VAE, RecVAE | what the score loses when j is left out of the history: n + 1 passes through the network for n items. The network is not linear, so the sum means nothing |
//! | popularity | none: the score is the number of training users of i, whatever the history is |
//!
//! For a linear model what the score loses is `B_ji` too, so the contributions of all models answer the same question.
//! Of a pair the score loses all with either of its items, which are given half of it each, or it would count twice in
//! the sum.

use ndarray::Array2;

use crate::base::cancel::Cancel;
use crate::base::error::Result;
use crate::base::options::options;
use crate::serve::recommender::{History, Recommender};

options! {
    /// How much to explain.
    pub struct ExplainOptions for "explain" {
        /// How many items of the history are named; fewer come where it has fewer that the model knows.
        k: usize = 10, AtLeast(1.0);
    }
}

/// An item of a history with its part in a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reason {
    /// Index of the item.
    pub item: u32,
    /// What the score owes to it; negative for an item that speaks against the recommended one.
    pub contribution: f64,
}

/// Why a score is what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Index of the item that is explained.
    pub item: u32,
    /// Its score for the history.
    pub score: f32,
    /// The largest contribution first, then the lower item index.
    pub reasons: Vec<Reason>,
}

impl Recommender {
    /// Explains the score of the item of that id for a history, which may or may not have it.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for an id that the model does not know.
    pub fn explain(&self, history: &History, id: &str, options: &ExplainOptions) -> Result<Explanation> {
        self.explain_until(history, id, options, &Cancel::default())
    }

    /// The same unless it is stopped, within a block of shortened histories.
    ///
    /// # Errors
    /// As [`Recommender::explain`], and `CANCELLED`.
    pub fn explain_until(
        &self,
        history: &History,
        id: &str,
        options: &ExplainOptions,
        cancel: &Cancel,
    ) -> Result<Explanation> {
        let item = self.item(id)?;
        let (model, history) = (self.model(), &history.items[..]);
        let mut score = Array2::zeros((1, 1));
        cancel.check()?;
        model.score_some(&[history], &[item], score.view_mut())?;
        let contributions = model.contributions(history, item, cancel)?;
        // A zero is written without a sign, also where a product had one.
        let reason = |(&item, contribution): (&u32, f64)| Reason { item, contribution: contribution + 0.0 };
        let mut reasons: Vec<Reason> = history.iter().zip(contributions).map(reason).collect();
        // Stable: items come in ascending order.
        reasons.sort_by(|a, b| b.contribution.total_cmp(&a.contribution));
        reasons.truncate(options.k);
        Ok(Explanation { item, score: score[(0, 0)] + 0.0, reasons })
    }
}
