//! Copies of weights in bf16, as the products of a step in mixed precision read them.
//!
//! Weights stay in f32, and so do Adam, its moments, every sum, softmax, KL term and layer norm. A copy is made anew where Adam has
//! written its weights, once per step, in the two forms in which products take them: `W'` on the way forward and `W` on the way
//! back. Together they take as many bytes as the weights. Activations and gradients are rounded as they come.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use super::layers::{linear, linear_backward};
use crate::base::matrix::{row_major, row_major_mut};
use crate::base::numbers::Numbers;
use crate::math::bf16::{
    Left, Line, Pair, Right, Start, columns_into_panels, interleave_rows, multiply, pairs, panels_len, round_rows,
    rows_into_panels,
};
use crate::math::real::Real;

/// Those of a dense layer's weights, shape `(outputs, inputs)`.
#[derive(Default)]
pub(super) struct LinearCopies {
    outputs: usize,
    inputs: usize,
    forward: Vec<Line>,
    backward: Vec<Line>,
}

impl LinearCopies {
    pub(super) fn of<T: Real>(weight: &[T], inputs: usize) -> Self {
        let outputs = weight.len() / inputs;
        let mut copies = Self {
            outputs,
            inputs,
            forward: vec![Line::default(); panels_len(inputs, outputs)],
            backward: vec![Line::default(); panels_len(outputs, inputs)],
        };
        copies.renew(weight);
        copies
    }

    /// Of the weights as they are now.
    pub(super) fn renew<T: Real>(&mut self, weight: &[T]) {
        rows_into_panels(weight, self.inputs, &mut self.forward);
        columns_into_panels(weight, self.inputs, &mut self.backward);
    }
}

/// `out = x W' + b`, by the copies of `W` if there are any; `room` is for `x` in bf16.
pub(super) fn linear_by<T: Real>(
    copies: Option<&LinearCopies>,
    x: &[T],
    weight: &[T],
    bias: &[T],
    out: &mut [T],
    room: &mut Vec<Pair>,
) {
    let Some(LinearCopies { outputs, inputs, forward, .. }) = copies else { return linear(x, weight, bias, out) };
    let x = rounded(x, *inputs, room);
    multiply(x, Right::new(forward, *inputs, *outputs), Start::Row(bias), out);
}

/// The gradient of [`linear_by`] with respect to `x`.
pub(super) fn linear_backward_by<T: Real>(
    copies: Option<&LinearCopies>,
    gradient: ArrayView2<'_, T>,
    weight: ArrayView2<'_, T>,
    x_gradient: ArrayViewMut2<'_, T>,
    room: &mut Vec<Pair>,
) {
    let Some(LinearCopies { outputs, inputs, backward, .. }) = copies else {
        return linear_backward(gradient, weight, x_gradient);
    };
    let gradient = rounded(row_major(gradient), *outputs, room);
    multiply(gradient, Right::new(backward, *outputs, *inputs), Start::Zero, row_major_mut(x_gradient));
}

/// What the dense products of a tile of users read besides.
#[derive(Default)]
pub(super) struct Rounded {
    /// Room for the left side of a product.
    pub(super) room: Vec<Pair>,
    /// `h_k` as the right side of the product for a weights' gradient, in which users are the depth: one vector per layer.
    inputs: Vec<Vec<Line>>,
    /// The gradients with respect to what the layers gave as the left side of it, that of the input layer left out.
    gradients: Vec<Vec<Pair>>,
}

impl Rounded {
    /// Keeps the two sides of the product for the gradient of the weights of layer number `layer`, for `n` users: what it took and
    /// the gradient with respect to what it gave.
    pub(super) fn keep<T: Real>(&mut self, layer: usize, n: usize, input: &[T], gradient: &[T]) {
        self.inputs.resize_with(self.inputs.len().max(layer), Vec::new);
        self.gradients.resize_with(self.gradients.len().max(layer), Vec::new);
        let (inputs, outputs) = (input.len() / n, gradient.len() / n);
        let (input_panels, gradient_pairs) = (&mut self.inputs[layer - 1], &mut self.gradients[layer - 1]);
        input_panels.resize(panels_len(n, inputs), Line::default());
        columns_into_panels(input, inputs, input_panels);
        gradient_pairs.resize(pairs(n) * outputs, 0);
        interleave_rows(gradient, outputs, gradient_pairs);
    }

    /// Puts the rows `some` of the product of those sides, in which the layer's weights have shape `(outputs, inputs)`, into `out`,
    /// or adds them to it.
    pub(super) fn weight_gradient<T: Real>(
        &self,
        layer: usize,
        n: usize,
        [outputs, inputs]: [usize; 2],
        some: Range<usize>,
        start: Start<'_, T>,
        out: &mut [T],
    ) {
        let left = Left::columns(&self.gradients[layer - 1], outputs, some);
        multiply(left, Right::new(&self.inputs[layer - 1], n, inputs), start, out);
    }
}

/// Rows of `depth` numbers as the left side of a product.
pub(super) fn rounded<'r, T: Real>(values: &[T], depth: usize, room: &'r mut Vec<Pair>) -> Left<'r> {
    room.resize(values.len() / depth * pairs(depth), 0);
    round_rows(values, depth, room);
    Left::rows(room, depth)
}

/// Those of an output layer's weights, shape `(n_items, width)`, in blocks of items.
pub(super) struct ItemCopies {
    n_items: usize,
    width: usize,
    /// Items of a block but the last one: whole vectors of columns.
    block: usize,
    forward: Numbers<Line>,
    backward: Numbers<Line>,
}

/// Those of a block of items.
pub(super) struct BlockCopies<'a> {
    /// To logits.
    pub(super) forward: Right<'a>,
    /// Back to what the layer takes.
    pub(super) backward: Right<'a>,
}

/// The same, to be written.
pub(super) struct BlockCopiesMut<'a> {
    width: usize,
    forward: &'a mut [Line],
    backward: &'a mut [Line],
}

impl BlockCopiesMut<'_> {
    /// Of the block's weights as they are now.
    pub(super) fn renew<T: Real>(&mut self, weight: &[T]) {
        rows_into_panels(weight, self.width, self.forward);
        columns_into_panels(weight, self.width, self.backward);
    }
}

impl ItemCopies {
    pub(super) fn of<T: Real>(weight: &[T], width: usize, block: usize) -> Self {
        let n_items = weight.len() / width;
        let (whole, rest) = (n_items / block, n_items % block);
        let mut copies = Self {
            n_items,
            width,
            block,
            forward: Numbers::zeros(whole * panels_len(width, block) + panels_len(width, rest)),
            backward: Numbers::zeros(whole * panels_len(block, width) + panels_len(rest, width)),
        };
        copies.renew(weight);
        copies
    }

    /// Of the weights as they are now.
    pub(super) fn renew<T: Real>(&mut self, weight: &[T]) {
        let chunk = self.block * self.width;
        let blocks: Vec<_> = self.blocks_mut().zip(weight.chunks(chunk)).collect();
        blocks.into_par_iter().for_each(|(mut copies, weight)| copies.renew(weight));
    }

    /// Those of the block that begins with item number `first`.
    pub(super) fn block(&self, first: usize) -> BlockCopies<'_> {
        let Self { n_items, width, block, .. } = *self;
        let (number, n) = (first / block, block.min(n_items - first));
        let part = |all, whole: usize, here: usize| -> &[Line] {
            let all: &Numbers<Line> = all;
            &all[number * whole..][..here]
        };
        let forward = part(&self.forward, panels_len(width, block), panels_len(width, n));
        let backward = part(&self.backward, panels_len(block, width), panels_len(n, width));
        BlockCopies { forward: Right::new(forward, width, n), backward: Right::new(backward, n, width) }
    }

    /// Block by block.
    pub(super) fn blocks_mut(&mut self) -> impl Iterator<Item = BlockCopiesMut<'_>> {
        let Self { width, block, .. } = *self;
        let forward = self.forward.chunks_mut(panels_len(width, block));
        let backward = self.backward.chunks_mut(panels_len(block, width));
        forward.zip(backward).map(move |(forward, backward)| BlockCopiesMut { width, forward, backward })
    }
}
