//! The first layer of an encoder on sparse rows: `h = x W + b`, where `x` has shape `(batch, n_items)` and is never
//! built.
//!
//! `W` has shape `(n_items, width)`, row-major: forward adds up the rows of a user's items, backward adds the gradients
//! of an item's users and passes the sum to Adam while it is in the cache. No gradient of the size of `W` exists.

use rayon::prelude::*;

use super::adam::{AdamStep, Moments, update};
use super::batch::{Batch, SparseInput};
use super::init::Init;
use super::scratch::Scratch;
use super::state::State;
use crate::base::numbers::Numbers;
use crate::math::matmul::column_sums;
use crate::math::real::Real;
use crate::math::vectorised::{add, prefetch, scale, vectorised};

/// Items whose rows one task updates.
const ITEMS: usize = 64;

pub(crate) struct InputLayer<T> {
    pub(crate) width: usize,
    /// Shape `(n_items, width)`.
    pub(crate) weight: Numbers<T>,
    pub(crate) bias: Vec<T>,
}

impl<T: Real> InputLayer<T> {
    pub(crate) fn new(n_items: usize, width: usize, init: &mut Init) -> Self {
        Self { width, weight: init.weights(n_items, width), bias: init.biases(n_items, width) }
    }

    /// `hidden` becomes the result, shape `(batch, width)`.
    pub(crate) fn forward(&self, input: &SparseInput<T>, hidden: &mut [T]) {
        hidden.par_chunks_mut(self.width).enumerate().for_each(|(row, hidden)| self.forward_row(input, row, hidden));
    }

    /// The same of one row.
    pub(super) fn forward_row(&self, input: &SparseInput<T>, row: usize, hidden: &mut [T]) {
        hidden.fill(T::ZERO);
        sum_of_rows(&self.weight, input.row(row), hidden);
        scale(hidden, input.values[row]);
        add(hidden, &self.bias);
    }

    /// One Adam step by the gradient of the hidden layer, shape `(batch, width)`. A penalty on squares is for the
    /// weights.
    pub(crate) fn step(
        &mut self,
        batch: &Batch<'_, T>,
        hidden_gradient: &[T],
        moments: &mut InputMoments<T>,
        step: AdamStep<T>,
        scratch: &Scratch<T>,
    ) {
        let chunk = ITEMS * self.width;
        let targets = self
            .weight
            .par_chunks_mut(chunk)
            .zip(moments.weight.first.par_chunks_mut(chunk))
            .zip(moments.weight.second.par_chunks_mut(chunk));
        let each = |((weight, first), second): ((&mut [T], &mut [T]), &mut [T]), gradient: &[T]| {
            update(step, weight, gradient, first, second);
        };
        for_each_gradient(batch, hidden_gradient, self.width, scratch, targets, each);
        let mut sums = scratch.take(self.width);
        column_sums(hidden_gradient, &mut sums);
        moments.bias.step(step.without_squares(), &mut self.bias, &sums);
    }

    /// The gradients of weight and bias, for tests.
    #[cfg(test)]
    pub(crate) fn gradients(&self, batch: &Batch<'_, T>, hidden_gradient: &[T]) -> (Vec<T>, Vec<T>) {
        let (mut weight, mut bias) = (vec![T::ZERO; self.weight.len()], vec![T::ZERO; self.width]);
        let targets = weight.par_chunks_mut(ITEMS * self.width);
        let each = |target: &mut [T], gradient: &[T]| target.copy_from_slice(&gradient[..target.len()]);
        for_each_gradient(batch, hidden_gradient, self.width, &Scratch::default(), targets, each);
        column_sums(hidden_gradient, &mut bias);
        (weight, bias)
    }
}

/// Hands the gradients of 64 items' rows at a time, zeros included, to `each`, together with the item of `targets` (one
/// per 64 items) that they belong to.
fn for_each_gradient<T: Real, C: Send>(
    batch: &Batch<'_, T>,
    hidden_gradient: &[T],
    width: usize,
    scratch: &Scratch<T>,
    targets: impl IndexedParallelIterator<Item = C>,
    each: impl Fn(C, &[T]) + Sync,
) {
    let buffer = || scratch.take(ITEMS * width);
    targets.enumerate().for_each_init(buffer, |gradient, (chunk, target)| {
        gradient.fill(T::ZERO);
        for (item, gradient) in (chunk * ITEMS..).zip(gradient.chunks_exact_mut(width)) {
            weighted_sum_of_rows(hidden_gradient, batch.by_item.rows(item), &batch.input.values, gradient);
        }
        each(target, gradient);
    });
}

vectorised! {
    /// Adds the given rows of a matrix to `sum`.
    pub(crate) fn sum_of_rows(matrix: &[T], rows: &[u32], sum: &mut [T]) {
        /// Bytes of a row that are asked for ahead. The processor itself goes on from there, with more requests at a
        /// time than a program has: whole rows that are asked for come no sooner than rows that are not.
        const AHEAD: usize = 512;
        let width = sum.len();
        for (at, &row) in rows.iter().enumerate() {
            if let Some(&next) = rows.get(at + 2) {
                prefetch(&matrix[next as usize * width..][..width.min(AHEAD / size_of::<T>())]);
            }
            let row = &matrix[row as usize * width..][..width];
            sum.iter_mut().zip(row).for_each(|(sum, &value)| *sum += value);
        }
    }

    /// Adds the given rows of a matrix, each times its weight, to `sum`.
    pub(crate) fn weighted_sum_of_rows(matrix: &[T], rows: &[u32], weights: &[T], sum: &mut [T]) {
        let width = sum.len();
        for &row in rows {
            let weight = weights[row as usize];
            let row = &matrix[row as usize * width..][..width];
            sum.iter_mut().zip(row).for_each(|(sum, &value)| *sum += value * weight);
        }
    }
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

impl InputMoments<f32> {
    pub(super) fn state<'a>(&'a mut self, name: &str, state: &mut State<'a>) {
        self.weight.state(&format!("{name}.weight"), state);
        self.bias.state(&format!("{name}.bias"), state);
    }
}
