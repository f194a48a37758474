//! The first layer of an encoder on sparse rows: `h = x W + b`, where `x` has shape `(batch, n_items)` and is never built.
//!
//! `W` has shape `(n_items, width)`, row-major: forward adds up the rows of a user's items, backward adds the gradients of
//! an item's users and passes the sum to Adam while it is in the cache. No gradient of the size of `W` exists.

use rayon::prelude::*;

use super::adam::{AdamStep, Moments};
use super::batch::SparseInput;
use super::init::Init;
use super::matmul::column_sums;
use super::simd;
use crate::real::Real;

/// Items whose rows one task updates.
const ITEMS: usize = 64;

#[derive(Clone)]
pub(crate) struct InputLayer<T> {
    pub(crate) width: usize,
    /// Shape `(n_items, width)`.
    pub(crate) weight: Vec<T>,
    pub(crate) bias: Vec<T>,
}

impl<T: Real> InputLayer<T> {
    pub(crate) fn new(n_items: usize, width: usize, init: &mut Init) -> Self {
        Self { width, weight: init.weights(n_items, width), bias: init.biases(n_items, width) }
    }

    /// Shape `(batch, width)`.
    pub(crate) fn forward(&self, input: &SparseInput<T>) -> Vec<T> {
        let mut hidden = vec![T::ZERO; input.n_rows() * self.width];
        hidden.par_chunks_mut(self.width).enumerate().for_each(|(row, hidden)| {
            simd(|| {
                for &item in input.row(row) {
                    let weight = &self.weight[item as usize * self.width..][..self.width];
                    for (hidden, &weight) in hidden.iter_mut().zip(weight) {
                        *hidden += weight;
                    }
                }
                let value = input.values[row];
                for (hidden, &bias) in hidden.iter_mut().zip(&self.bias) {
                    *hidden = *hidden * value + bias;
                }
            });
        });
        hidden
    }

    /// One Adam step by the gradient of the hidden layer, shape `(batch, width)`.
    pub(crate) fn step(
        &mut self,
        input: &SparseInput<T>,
        hidden_gradient: &[T],
        moments: &mut InputMoments<T>,
        step: AdamStep<T>,
    ) {
        let chunk = ITEMS * self.width;
        let targets = self
            .weight
            .par_chunks_mut(chunk)
            .zip(moments.weight.first.par_chunks_mut(chunk))
            .zip(moments.weight.second.par_chunks_mut(chunk));
        for_each_gradient(input, hidden_gradient, self.width, targets, |((weight, first), second), gradient| {
            step.update(weight, gradient, first, second);
        });
        moments.bias.step(step, &mut self.bias, &column_sums(hidden_gradient, self.width));
    }

    /// The gradients of weight and bias, for tests.
    #[cfg(test)]
    pub(crate) fn gradients(&self, input: &SparseInput<T>, hidden_gradient: &[T]) -> (Vec<T>, Vec<T>) {
        let mut weight = vec![T::ZERO; self.weight.len()];
        let targets = weight.par_chunks_mut(ITEMS * self.width);
        for_each_gradient(input, hidden_gradient, self.width, targets, |target, gradient| {
            target.copy_from_slice(&gradient[..target.len()]);
        });
        (weight, column_sums(hidden_gradient, self.width))
    }
}

/// Hands the gradients of 64 items' rows at a time, zeros included, to `each`, together with the item of `targets` (one per
/// 64 items) that they belong to.
fn for_each_gradient<T: Real, C: Send>(
    input: &SparseInput<T>,
    hidden_gradient: &[T],
    width: usize,
    targets: impl IndexedParallelIterator<Item = C>,
    each: impl Fn(C, &[T]) + Sync,
) {
    let (starts, rows) = input.rows_by_item(targets.len() * ITEMS);
    targets.enumerate().for_each(|(chunk, target)| {
        let mut gradient = vec![T::ZERO; ITEMS * width];
        simd(|| {
            for (item, gradient) in (chunk * ITEMS..).zip(gradient.chunks_exact_mut(width)) {
                for &row in &rows[starts[item] as usize..starts[item + 1] as usize] {
                    let value = input.values[row as usize];
                    let hidden = &hidden_gradient[row as usize * width..][..width];
                    for (sum, &hidden) in gradient.iter_mut().zip(hidden) {
                        *sum += hidden * value;
                    }
                }
            }
            each(target, &gradient);
        });
    });
}

/// Adam's moments of an [`InputLayer`].
pub(crate) struct InputMoments<T> {
    weight: Moments<T>,
    bias: Moments<T>,
}

impl<T: Real> InputMoments<T> {
    pub(crate) fn zeros(layer: &InputLayer<T>) -> Self {
        Self { weight: Moments::zeros(layer.weight.len()), bias: Moments::zeros(layer.bias.len()) }
    }
}
