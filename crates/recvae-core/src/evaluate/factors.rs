//! Scores that are products of vectors.

use crate::base::error::Result;
use crate::math::products::products_of_some;
use crate::math::vectorised::add;

/// A model whose scores are products: the score of item `i` for a user with the vector `h` is `h . w_i + b_i`, all in
/// f32, in the order of `math/products.rs`, to which `b_i` is added last.
pub struct Factors<'m> {
    /// Numbers of a vector.
    pub width: usize,
    /// `w`, of shape `(n_items, width)`, row by row.
    pub items: &'m [f32],
    /// `b`, of shape `(n_items,)`, where there is one.
    pub biases: Option<&'m [f32]>,
    /// Users whose vectors are made at a time, at most.
    pub block: usize,
    /// `h` of users by their histories, of shape `(histories.len(), width)`.
    pub users: Box<UsersOf<'m>>,
}

impl Factors<'_> {
    /// How many items there are.
    pub(crate) fn n_items(&self) -> usize {
        self.items.len() / self.width
    }

    /// The vectors of any number of users, one after the other.
    pub(crate) fn vectors(&self, histories: &[&[u32]]) -> Result<Vec<f32>> {
        let mut all = Vec::with_capacity(histories.len() * self.width);
        histories.chunks(self.block).try_for_each(|some| (self.users)(some).map(|vectors| all.extend(vectors)))?;
        Ok(all)
    }

    /// The scores of some items for the user with this vector, with the bits that the model gives.
    pub(crate) fn scores(&self, vector: &[f32], items: &[u32]) -> Vec<f32> {
        let mut scores = vec![0.0; items.len()];
        products_of_some(vector, self.items, items, &mut scores);
        if let Some(biases) = self.biases {
            let biases: Vec<f32> = items.iter().map(|&item| biases[item as usize]).collect();
            add(&mut scores, &biases);
        }
        scores
    }
}

/// The vectors of users by their histories.
pub type UsersOf<'m> = dyn Fn(&[&[u32]]) -> Result<Vec<f32>> + Sync + 'm;
