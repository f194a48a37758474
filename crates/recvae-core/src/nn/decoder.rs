//! The decoder: the output layer with, in Mult-VAE, a tanh layer before it.
//!
//! On the tape a row is the latent vector with the user's KL term behind it, and the decoder hands that last number on: so
//! the tape stays a chain, and candle never has to add two gradients up (see [`super::encoder`]).

use candle_core::{CpuStorage, CustomOp2, Layout, Result as CandleResult, Shape, Tensor, Var};
use rayon::prelude::*;

use super::encoder::Architecture;
use super::init::Init;
use super::layers::{linear, linear_backward, tanh, tanh_backward};
use super::matmul::{column_sums, par_matmul, rows, rows_mut};
use super::ops::{contiguous, tensor, with_values};
use super::output_layer::OutputLayer;
use super::parameters::{Places, Start};
use crate::error::Result;
use crate::real::Real;

/// Users of a tile.
const USERS: usize = 128;

pub(crate) struct Decoder<T> {
    pub(super) hidden: Option<HiddenLayer>,
    pub(crate) output: OutputLayer<T>,
}

/// Mult-VAE's tanh layer.
pub(super) struct HiddenLayer {
    pub(super) dense: Var,
    pub(super) places: Places,
    latent_dim: usize,
    hidden_dim: usize,
}

impl<T: Real> Decoder<T> {
    pub(crate) fn new(architecture: Architecture, init: &mut Init) -> Result<Self> {
        let Architecture { n_items, hidden_dim, latent_dim, hidden_decoder, .. } = architecture;
        let mut hidden = None;
        if hidden_decoder {
            let (mut places, mut values) = (Places::default(), Vec::<T>::new());
            places.add(&mut values, "p0.weight", &[hidden_dim, latent_dim], Start::Weights, init);
            places.add(&mut values, "p0.bias", &[hidden_dim], Start::Biases { inputs: latent_dim }, init);
            let dense = Var::from_tensor(&tensor(values, &[places.len()])?)?;
            hidden = Some(HiddenLayer { dense, places, latent_dim, hidden_dim });
        }
        let width = if hidden_decoder { hidden_dim } else { latent_dim };
        Ok(Self { hidden, output: OutputLayer::new(n_items, width, init) })
    }

    /// What the output layer takes, with the last column handed on, on the tape.
    pub(super) fn hidden(&self, z: &Tensor) -> Result<Tensor> {
        Ok(match &self.hidden {
            None => z.clone(),
            Some(HiddenLayer { dense, latent_dim, hidden_dim, .. }) => {
                let op = HiddenOp::<T> { latent_dim: *latent_dim, hidden_dim: *hidden_dim, type_: Default::default() };
                z.apply_op2(dense.as_tensor(), op)?
            }
        })
    }

    /// Logits of latent vectors `(users, latent)` into `(users, n_items)`, off the tape.
    pub(super) fn logits(&self, z: &[T], out: &mut [T]) -> Result<()> {
        let Some(HiddenLayer { dense, latent_dim, hidden_dim, .. }) = &self.hidden else {
            self.output.logits(z, out);
            return Ok(());
        };
        let mut hidden = vec![T::ZERO; z.len() / latent_dim * hidden_dim];
        with_values(dense, |dense: &[T]| {
            forward(z, dense, *hidden_dim, &mut hidden);
            Ok(())
        })?;
        self.output.logits(&hidden, out);
        Ok(())
    }
}

/// `tanh(z W' + b)` tile by tile; `dense` holds W of `(hidden, latent)` and then b.
fn forward<T: Real>(z: &[T], dense: &[T], hidden_dim: usize, out: &mut [T]) {
    let (weight, bias) = dense.split_at(dense.len() - hidden_dim);
    let latent_dim = weight.len() / hidden_dim;
    out.par_chunks_mut(USERS * hidden_dim).zip(z.par_chunks(USERS * latent_dim)).for_each(|(out, z)| {
        linear(z, weight, bias, out);
        let pre = out.to_vec();
        tanh(&pre, out);
    });
}

/// A matrix without its last column, and that column.
pub(super) fn split_last_column<T: Real>(matrix: &[T], width: usize) -> (Vec<T>, Vec<T>) {
    let mut rest = Vec::with_capacity(matrix.len() / width * (width - 1));
    let last = matrix.chunks_exact(width).map(|row| {
        rest.extend_from_slice(&row[..width - 1]);
        row[width - 1]
    });
    let last = last.collect();
    (rest, last)
}

/// The inverse of [`split_last_column`].
pub(super) fn join_last_column<T: Real>(rest: &[T], last: &[T]) -> Vec<T> {
    let width = rest.len() / last.len();
    let mut matrix = Vec::with_capacity(rest.len() + last.len());
    for (row, &last) in rest.chunks_exact(width).zip(last) {
        matrix.extend_from_slice(row);
        matrix.push(last);
    }
    matrix
}

struct HiddenOp<T> {
    latent_dim: usize,
    hidden_dim: usize,
    type_: std::marker::PhantomData<T>,
}

impl<T: Real> CustomOp2 for HiddenOp<T> {
    fn name(&self) -> &'static str {
        "decoder"
    }

    fn cpu_fwd(
        &self,
        z: &CpuStorage,
        z_layout: &Layout,
        dense: &CpuStorage,
        dense_layout: &Layout,
    ) -> CandleResult<(CpuStorage, Shape)> {
        let (z, last) = split_last_column(contiguous::<T>(z, z_layout)?, self.latent_dim + 1);
        let mut hidden = vec![T::ZERO; last.len() * self.hidden_dim];
        forward(&z, contiguous::<T>(dense, dense_layout)?, self.hidden_dim, &mut hidden);
        let shape = Shape::from((last.len(), self.hidden_dim + 1));
        Ok((T::to_cpu_storage_owned(join_last_column(&hidden, &last)), shape))
    }

    fn bwd(
        &self,
        z: &Tensor,
        dense: &Tensor,
        out: &Tensor,
        gradient: &Tensor,
    ) -> CandleResult<(Option<Tensor>, Option<Tensor>)> {
        let Self { latent_dim, hidden_dim, .. } = *self;
        let split = |tensor: &Tensor, width| with_values(tensor, |values: &[T]| Ok(split_last_column(values, width)));
        let (mut gradient, last) = split(gradient, hidden_dim + 1)?;
        let ((z_values, _), (hidden, _)) = (split(z, latent_dim + 1)?, split(out, hidden_dim + 1)?);
        let mut z_gradient = vec![T::ZERO; z_values.len()];
        with_values(dense, |dense: &[T]| {
            let weight = &dense[..dense.len() - hidden_dim];
            gradient
                .par_chunks_mut(USERS * hidden_dim)
                .zip(hidden.par_chunks(USERS * hidden_dim))
                .zip(z_gradient.par_chunks_mut(USERS * latent_dim))
                .for_each(|((gradient, hidden), z_gradient)| {
                    tanh_backward(hidden, gradient);
                    linear_backward(gradient, weight, hidden_dim, z_gradient);
                });
            Ok(())
        })?;
        let mut dense_gradient = vec![T::ZERO; hidden_dim * latent_dim];
        let out = rows_mut(&mut dense_gradient, latent_dim);
        par_matmul(out, rows(&gradient, hidden_dim).transpose(), rows(&z_values, latent_dim));
        dense_gradient.extend(column_sums(&gradient, hidden_dim));
        let z_gradient = tensor(join_last_column(&z_gradient, &last), z.dims())?;
        Ok((Some(z_gradient), Some(tensor(dense_gradient, dense.dims())?)))
    }
}
