//! What the encoder of an earlier time says about each user's clean history: a part of RecVAE's composite prior.

use ndarray::{ArrayView2, ArrayViewMut2};

use super::batch::SparseInput;
use super::encoder::{Encoder, EncoderMemory};
use crate::base::cancel::Cancel;
use crate::base::error::Result;
use crate::base::numbers::Numbers;
use crate::math::csr::Csr;
use crate::math::real::Real;

/// Mean and log variance of every user, side by side: shape `(n_users, 2 latent)`.
pub(crate) struct OldPosterior<T> {
    rows: Numbers<T>,
    /// Numbers of a row.
    width: usize,
}

impl<T: Real> OldPosterior<T> {
    /// Asks an encoder for every user of `train`.
    pub(crate) fn of(
        encoder: &Encoder<T>,
        train: &Csr,
        latent_dim: usize,
        batch_size: usize,
        memory: &mut EncoderMemory<T>,
        cancel: &Cancel,
    ) -> Result<Self> {
        let width = 2 * latent_dim;
        let mut posterior = Self { rows: Numbers::zeros(train.n_rows() * width), width };
        posterior.renew(encoder, train, batch_size, memory, cancel)?;
        Ok(posterior)
    }

    pub(crate) fn renew(
        &mut self,
        encoder: &Encoder<T>,
        train: &Csr,
        batch_size: usize,
        memory: &mut EncoderMemory<T>,
        cancel: &Cancel,
    ) -> Result<()> {
        for (batch, rows) in self.rows.chunks_mut(batch_size * self.width).enumerate() {
            cancel.check()?;
            let first = batch * batch_size;
            let users = first..first + rows.len() / self.width;
            encoder.forward(&SparseInput::clean(users.map(|user| train.row(user))), memory);
            rows.copy_from_slice(&memory.posterior);
        }
        Ok(())
    }

    /// Those of some users, one row each.
    pub(crate) fn put(&mut self, users: &[usize], posteriors: ArrayView2<'_, T>) {
        let mut rows = self.rows_mut();
        users.iter().zip(posteriors.rows()).for_each(|(&user, posterior)| rows.row_mut(user).assign(&posterior));
    }

    /// Those rows.
    #[cfg(all(test, feature = "candle"))]
    pub(crate) fn from_rows(rows: Vec<T>, latent_dim: usize) -> Self {
        Self { rows: rows.into(), width: 2 * latent_dim }
    }

    /// Every row, in the order of the users.
    pub(crate) fn rows_mut(&mut self) -> ArrayViewMut2<'_, T> {
        let shape = (self.rows.len() / self.width, self.width);
        self.rows.view2_mut(shape)
    }

    pub(crate) fn gather(&self, users: &[usize], out: &mut Vec<T>) {
        out.clear();
        users.iter().for_each(|&user| out.extend_from_slice(&self.rows[user * self.width..][..self.width]));
    }
}
