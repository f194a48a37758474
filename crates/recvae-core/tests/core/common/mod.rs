//! What tests of evaluations share.

use recvae_core::ndarray::{ArrayView1, ArrayViewMut2};
use recvae_core::{Result, Scorer};

/// The same scores for everybody.
pub(crate) struct Fixed(pub(crate) Vec<f32>);

impl Scorer for Fixed {
    fn n_items(&self) -> usize {
        self.0.len()
    }

    fn score(&self, histories: &[&[u32]], mut scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        assert_eq!(scores.dim(), (histories.len(), self.0.len()));
        scores.assign(&ArrayView1::from(&self.0));
        Ok(())
    }
}
