//! What is alike: items by the model's weights, users by where the model puts them.
//!
//! | model | items i and j | users |
//! | --- | --- | --- |
//! | EASE^R, EDLAE | `B_ij`, what having i adds to the score of j: row i of B, as if i were the whole history. Not symmetric: a popular j gets more out of i than the other way round | - |
//! | Mult-DAE, Mult-VAE, RecVAE | cosine of the rows of the output layer's weights, `(n_items, width)`, without the bias, which is popularity | cosine of the posteriors' means, in Mult-DAE of what the hidden layer gives, `(n_users, latent)` |
//! | iALS | cosine of the items' vectors | cosine of the users' vectors, folded in |
//! | popularity | - | - |
//!
//! A row of B is what item-to-item models in general answer with: the list for a history of one item. A column holds what
//! speaks for an item, which is what [`Recommender::explain`](crate::Recommender::explain) is for.

use rayon::prelude::*;

use crate::cancel::Cancel;
use crate::candidates::{Candidates, best_of};
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::model::ModelKind;
use crate::options::options;
use crate::real::Real;
use crate::recommend::{BLOCK, Scored};
use crate::recommender::{History, Recommender};
use crate::vectorised::{dot, vectorised};

options! {
    /// How many similar items or users.
    pub struct SimilarOptions for "similar" {
        /// How many; fewer come where there are fewer.
        k: usize = 10, AtLeast(1.0);
    }
}

impl ModelKind {
    /// Whether the model knows how alike items are.
    #[must_use]
    pub fn has_similar_items(self) -> bool {
        self != Self::Popularity
    }

    /// Whether the model gives users latent vectors.
    #[must_use]
    pub fn has_embedding(self) -> bool {
        matches!(self, Self::Als | Self::MultDae | Self::MultVae | Self::RecVae)
    }

    /// Fails with the names of the models that can do `what` unless this is one of them.
    fn check(self, what: &str, can: impl Fn(Self) -> bool) -> Result<()> {
        if can(self) {
            return Ok(());
        }
        let able: Vec<_> = Self::ALL.iter().filter(|&&kind| can(kind)).map(|kind| kind.name()).collect();
        Err(Error::invalid_argument(format!("the model of {what}"), format!("'{}'", self.name()), able.join(", ")))
    }
}

impl Recommender {
    /// The items most similar to the one of that id, which is not among them, of those that pass `filter`, if there is one.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for an id or a model that cannot be asked, and for a filter of another model.
    pub fn similar_items(&self, id: &str, options: &SimilarOptions, filter: Option<&Filter>) -> Result<Vec<Scored>> {
        self.model().kind().check("similarItems", ModelKind::has_similar_items)?;
        let item = self.item(id)?;
        let others = match filter {
            Some(filter) => self.candidates(filter)?.list_without(item),
            None => Candidates::all(self.items().len()).list_without(item),
        };
        let mut scores = vec![0.0; others.len()];
        self.model().similarities(item, &others, &mut scores)?;
        best_of(&others, &scores, &[], options.k)
    }

    /// Where the model puts each history: the mean of its posterior, shape `(histories.len(), latent)`.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a model without embedding.
    pub fn embed(&self, histories: &[History]) -> Result<Vec<f32>> {
        self.embed_until(histories, &Cancel::default())
    }

    /// The same unless it is stopped, within a block of histories.
    ///
    /// # Errors
    /// As [`Recommender::embed`], and `CANCELLED`.
    pub fn embed_until(&self, histories: &[History], cancel: &Cancel) -> Result<Vec<f32>> {
        self.model().kind().check("embed", ModelKind::has_embedding)?;
        let mut vectors = vec![];
        for block in histories.chunks(BLOCK) {
            cancel.check()?;
            let block: Vec<&[u32]> = block.iter().map(|history| &history.items[..]).collect();
            vectors.extend(self.model().embed(&block)?);
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
        self.model().kind().check("similarUsers", ModelKind::has_embedding)?;
        let user = self.embed_until(std::slice::from_ref(history), cancel)?;
        let vectors = self.embed_until(users, cancel)?;
        cancel.check()?;
        let mut scores = vec![0.0; users.len()];
        cosines(&user, vectors.par_chunks(user.len()), &mut scores);
        best_of(&(0..users.len() as u32).collect::<Vec<_>>(), &scores, &[], options.k)
    }

    /// The index of an item that has to be known.
    pub(crate) fn item(&self, id: &str) -> Result<u32> {
        let unknown = || Error::invalid_argument("item", format!("'{id}'"), "the id of an item that the model knows");
        self.items().find(id).ok_or_else(unknown)
    }
}

/// How much the direction of `vector` is that of each of the others: the cosine, 0 where one of the two is zero.
pub(crate) fn cosines<'a>(vector: &[f32], others: impl IndexedParallelIterator<Item = &'a [f32]>, out: &mut [f32]) {
    let scale = over_norm(1.0, vector);
    let unit: Vec<f32> = vector.iter().map(|&value| value * scale).collect();
    out.par_iter_mut().zip(others).for_each(|(out, other)| *out = over_norm(product(&unit, other), other));
}

/// A number divided by the length of a vector.
fn over_norm(number: f32, vector: &[f32]) -> f32 {
    let norm = product(vector, vector).sqrt();
    if norm > 0.0 { number / norm } else { 0.0 }
}

vectorised! {
    /// Scalar product.
    fn product(a: &[T], b: &[T]) -> T {
        dot(a, b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_of_known_angles() {
        let others: [&[f32]; 5] = [&[6.0, 8.0], &[-3.0, -4.0], &[4.0, -3.0], &[0.0, 0.0], &[0.0, 2.0]];
        let mut out = [9.0; 5];
        cosines(&[3.0, 4.0], others.into_par_iter(), &mut out);
        assert!(out.iter().zip([1.0, -1.0, 0.0, 0.0, 0.8]).all(|(ours, right)| (ours - right).abs() < 1e-6), "{out:?}");
        cosines(&[0.0, 0.0], others.into_par_iter(), &mut out);
        assert_eq!(out, [0.0; 5]);
    }
}
