//! Scores that are products of vectors.

use crate::base::error::Result;

/// A model whose scores are products: the score of item `i` for a user with the vector `h` is `h . w_i + b_i`, all in f32, in the
/// order of [`products`](crate::math::products::products), to which `b_i` is added last.
pub struct Factors<'m> {
    /// Numbers of a vector.
    pub width: usize,
    /// `w`, of shape `(n_items, width)`, row by row.
    pub items: &'m [f32],
    /// `b`, of shape `(n_items,)`, where there is one.
    pub biases: Option<&'m [f32]>,
    /// `h` of users by their histories, of shape `(histories.len(), width)`.
    pub users: Box<UsersOf<'m>>,
}

/// The vectors of users by their histories.
pub type UsersOf<'m> = dyn Fn(&[&[u32]]) -> Result<Vec<f32>> + Sync + 'm;
