//! The decoder: the output layer with, in Mult-VAE, a tanh layer before it.

use ndarray::{Array2, ArrayViewMut2};
use rayon::prelude::*;

use super::encoder::Architecture;
use super::init::Init;
use super::layers::{linear, linear_backward, tanh, tanh_backward};
use super::output_layer::OutputLayer;
use super::parameters::{Places, Start};
use crate::base::matrix::{array2, row_major, view2, view2_mut};
use crate::math::matmul::{column_sums, par_matmul, rows, rows_mut};
use crate::math::real::Real;

/// Users of a tile.
const USERS: usize = 128;

pub(crate) struct Decoder<T> {
    pub(super) hidden: Option<HiddenLayer<T>>,
    pub(crate) output: OutputLayer<T>,
}

/// Mult-VAE's `tanh(z W' + b)`.
pub(super) struct HiddenLayer<T> {
    /// W of shape `(hidden, latent)`, then b.
    pub(super) dense: Vec<T>,
    pub(super) places: Places,
    hidden_dim: usize,
}

impl<T: Real> Decoder<T> {
    pub(crate) fn new(architecture: Architecture, init: &mut Init) -> Self {
        let Architecture { n_items, hidden_dim, latent_dim, hidden_decoder, .. } = architecture;
        let hidden = hidden_decoder.then(|| {
            let (mut places, mut dense) = (Places::default(), vec![]);
            places.add(&mut dense, "p0.weight", &[hidden_dim, latent_dim], Start::Weights, init);
            places.add(&mut dense, "p0.bias", &[hidden_dim], Start::Biases { inputs: latent_dim }, init);
            HiddenLayer { dense, places, hidden_dim }
        });
        let width = if hidden_decoder { hidden_dim } else { latent_dim };
        Self { hidden, output: OutputLayer::new(n_items, width, init) }
    }

    /// Logits of latent vectors `(users, latent)` into `(users, n_items)`.
    pub(super) fn logits(&self, z: Array2<T>, out: ArrayViewMut2<'_, T>) {
        self.output.logits(self.output_input(z).view(), out);
    }

    /// Logits of some items into `(users, items)`.
    pub(super) fn logits_of(&self, z: Array2<T>, items: &[u32], out: ArrayViewMut2<'_, T>) {
        self.output.logits_of(self.output_input(z).view(), items, out);
    }

    /// What the output layer takes.
    pub(super) fn output_input(&self, z: Array2<T>) -> Array2<T> {
        let Some(layer) = &self.hidden else { return z };
        let mut hidden = vec![];
        layer.forward(row_major(z.view()), &mut hidden);
        array2(hidden, (z.nrows(), layer.hidden_dim))
    }
}

impl<T: Real> HiddenLayer<T> {
    fn parts(&self) -> (&[T], &[T]) {
        self.dense.split_at(self.dense.len() - self.hidden_dim)
    }

    /// `out` becomes the result, shape `(users, hidden)`.
    pub(super) fn forward(&self, z: &[T], out: &mut Vec<T>) {
        let (weight, bias) = self.parts();
        let latent_dim = weight.len() / self.hidden_dim;
        out.resize(z.len() / latent_dim * self.hidden_dim, T::ZERO);
        out.par_chunks_mut(USERS * self.hidden_dim).zip(z.par_chunks(USERS * latent_dim)).for_each(|(out, z)| {
            linear(z, weight, bias, out);
            tanh(out);
        });
    }

    /// Gradients with respect to `z` and to the parameters, from that with respect to `out`, the result for `z`; the
    /// latter becomes that with respect to what goes into tanh.
    pub(super) fn backward(
        &self,
        z: &[T],
        out: &[T],
        gradient: &mut [T],
        z_gradient: &mut Vec<T>,
        dense_gradient: &mut Vec<T>,
    ) {
        let (weight, _) = self.parts();
        let (hidden_dim, latent_dim) = (self.hidden_dim, weight.len() / self.hidden_dim);
        z_gradient.resize(z.len(), T::ZERO);
        gradient
            .par_chunks_mut(USERS * hidden_dim)
            .zip(out.par_chunks(USERS * hidden_dim))
            .zip(z_gradient.par_chunks_mut(USERS * latent_dim))
            .for_each(|((gradient, out), z_gradient)| {
                tanh_backward(out, gradient);
                let n = gradient.len() / hidden_dim;
                linear_backward(
                    view2(gradient, (n, hidden_dim)),
                    view2(weight, (hidden_dim, latent_dim)),
                    view2_mut(z_gradient, (n, latent_dim)),
                );
            });
        dense_gradient.resize(self.dense.len(), T::ZERO);
        let (weight_gradient, bias_gradient) = dense_gradient.split_at_mut(weight.len());
        par_matmul(rows_mut(weight_gradient, latent_dim), rows(gradient, hidden_dim).transpose(), rows(z, latent_dim));
        column_sums(gradient, bias_gradient);
    }
}
