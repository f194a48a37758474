//! What is alike: items by the model's weights, users by where the model puts them.
//!
//! | model | items i and j | users |
//! | --- | --- | --- |
//! | EASE^R, EDLAE, RDLAE, DEQL, higher-order EASE^R | `B_ij`, what having i adds to the score of j: row i of B, as if i were the whole history. Not symmetric: a popular j gets more out of i than the other way round | - |
//! | Mult-DAE, Mult-VAE, RecVAE | cosine of the rows of the output layer's weights, `(n_items, width)`, without the bias, which is popularity | cosine of the posteriors' means, in Mult-DAE of what the hidden layer gives, `(n_users, latent)` |
//! | iALS | cosine of the items' vectors | cosine of the users' vectors, folded in |
//! | popularity | - | - |
//!
//! A row of B is what item-to-item models in general answer with: the list for a history of one item. A column holds
//! what speaks for an item, which is what [`Recommender::explain`](crate::Recommender::explain) is for.

use ndarray::{Array2, Axis};
use rayon::prelude::*;

use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
use crate::base::matrix::row_major;
use crate::base::options::options;
use crate::evaluate::candidates::{Candidates, best_of};
use crate::evaluate::scorer::Scored;
use crate::evaluate::top_k::BLOCK;
use crate::math::cosine::cosines;
use crate::model::ModelKind;
use crate::serve::filter::Filter;
use crate::serve::recommender::{History, Recommender};

options! {
    /// How many similar items or users.
    pub struct SimilarOptions for "similar" {
        /// How many; fewer come where there are fewer.
        k: usize = 10, AtLeast(1.0);
    }
}

impl Recommender {
    /// The items most similar to the one of that id, which is not among them, of those that pass `filter`, if there is
    /// one.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for an id or a model that cannot be asked, and for a filter of another model.
    pub fn similar_items(&self, id: &str, options: &SimilarOptions, filter: Option<&Filter>) -> Result<Vec<Scored>> {
        self.model().kind().check("the model of similarItems", ModelKind::has_similar_items)?;
        let item = self.item(id)?;
        let others = match filter {
            Some(filter) => self.candidates(filter)?.list_without(item),
            None => Candidates::all(self.items().len()).list_without(item),
        };
        let scores = self.model().similarities(item, &others)?;
        best_of(&others, &scores, &[], options.k)
    }

    /// Where the model puts each history: the mean of its posterior, shape `(histories.len(), latent)`.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a model without embedding.
    pub fn embed(&self, histories: &[History]) -> Result<Array2<f32>> {
        self.embed_until(histories, &Cancel::default())
    }

    /// The same unless it is stopped, within a block of histories.
    ///
    /// # Errors
    /// As [`Recommender::embed`], and `CANCELLED`.
    pub fn embed_until(&self, histories: &[History], cancel: &Cancel) -> Result<Array2<f32>> {
        self.model().kind().check("the model of embed", ModelKind::has_embedding)?;
        let mut vectors = self.model().embed(&[])?;
        for block in histories.chunks(BLOCK) {
            cancel.check()?;
            let block: Vec<&[u32]> = block.iter().map(|history| &history.items[..]).collect();
            // A zero has no sign outside.
            let block = self.model().embed(&block)?.mapv_into(|value| value + 0.0);
            let same_width = vectors.append(Axis(0), block.view());
            same_width.map_err(|error| Error::Internal(format!("vectors of a block: {error}")))?;
        }
        Ok(vectors)
    }

    /// Of the `users`, given by their histories, those that are most like a user of that `history`: their positions, as
    /// `item`, with cosines from -1 to 1, the most similar first.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a model without embedding.
    pub fn similar_users(&self, history: &History, users: &[History], options: &SimilarOptions) -> Result<Vec<Scored>> {
        self.similar_users_until(history, users, options, &Cancel::default())
    }

    /// The same unless it is stopped, within a block of users.
    ///
    /// # Errors
    /// As [`Recommender::similar_users`], and `CANCELLED`.
    pub fn similar_users_until(
        &self,
        history: &History,
        users: &[History],
        options: &SimilarOptions,
        cancel: &Cancel,
    ) -> Result<Vec<Scored>> {
        self.model().kind().check("the model of similarUsers", ModelKind::has_embedding)?;
        let user = self.embed_until(std::slice::from_ref(history), cancel)?;
        let vectors = self.embed_until(users, cancel)?;
        cancel.check()?;
        let (user, vectors) = (row_major(user.view()), row_major(vectors.view()));
        let scores = cosines(user, vectors.par_chunks(user.len()));
        best_of(&(0..users.len() as u32).collect::<Vec<_>>(), &scores, &[], options.k)
    }

    /// The index of an item that has to be known.
    pub(crate) fn item(&self, id: &str) -> Result<u32> {
        let unknown = || Error::invalid_argument("item", format!("'{id}'"), "the id of an item that the model knows");
        self.items().find(id).ok_or_else(unknown)
    }
}
