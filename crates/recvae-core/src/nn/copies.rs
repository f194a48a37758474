//! Copies of weights in bf16, as the products of a step in mixed precision read them.
//!
//! Weights stay in f32, and so do Adam, its moments, every sum, softmax, KL term and layer norm. A copy is made anew
//! where Adam has written its weights, once per step, in the two forms in which products take them: `W'` on the way
//! forward and `W` on the way back. Together they take as many bytes as the weights. Activations and gradients are
//! rounded as they come.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use super::layers::{linear, linear_backward};
use crate::base::matrix::{row_major, row_major_mut};
use crate::base::numbers::Numbers;
use crate::math::bf16::{
    Left, Level, Line, Pair, Right, Rows, Start, columns_into_panels, interleave_rows, multiply_by, pairs, panels_len,
    rows_into_panels,
};
use crate::math::real::Real;

/// Those of all dense layers of a part of a network, in one array.
pub(super) struct DenseCopies {
    level: Level,
    /// Of each layer's weights, `[outputs, inputs]`.
    shapes: Vec<[usize; 2]>,
    lines: Numbers<Line>,
}

/// Those of one layer's weights.
#[derive(Clone, Copy)]
pub(super) struct LinearCopies<'a> {
    level: Level,
    shape: [usize; 2],
    forward: &'a [Line],
    backward: &'a [Line],
}

/// Lines of a layer's two forms.
fn linear_lines([outputs, inputs]: [usize; 2]) -> [usize; 2] {
    [panels_len(inputs, outputs), panels_len(outputs, inputs)]
}

impl DenseCopies {
    /// Of layers of such shapes, nothing yet, for products at a level.
    pub(super) fn new(level: Level, shapes: Vec<[usize; 2]>) -> Self {
        let n_lines = shapes.iter().flat_map(|&shape| linear_lines(shape)).sum();
        Self { level, shapes, lines: Numbers::zeros(n_lines) }
    }

    /// Of the layers' weights as they are now.
    pub(super) fn renew<'w, T: Real>(&mut self, weights: impl Iterator<Item = &'w [T]>) {
        let mut rest = &mut self.lines[..];
        let mut tasks = vec![];
        for (&shape, weight) in self.shapes.iter().zip(weights) {
            let [forward, backward] =
                linear_lines(shape).map(|n| rest.split_off_mut(..n).expect("lines of all layers"));
            tasks.push((shape[1], weight, forward, backward));
        }
        tasks.into_par_iter().for_each(|(inputs, weight, forward, backward)| {
            rayon::join(|| rows_into_panels(weight, inputs, forward), || columns_into_panels(weight, inputs, backward));
        });
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// Those of one of the layers.
    pub(super) fn layer(&self, number: usize) -> LinearCopies<'_> {
        let before: usize = self.shapes[..number].iter().flat_map(|&shape| linear_lines(shape)).sum();
        let shape = self.shapes[number];
        let [n_forward, n_backward] = linear_lines(shape);
        let (forward, rest) = self.lines[before..].split_at(n_forward);
        LinearCopies { level: self.level, shape, forward, backward: &rest[..n_backward] }
    }
}

/// `out = x W' + b`, by the copies of `W` if there are any; `room` is for `x` in bf16.
pub(super) fn linear_by<T: Real>(
    copies: Option<LinearCopies<'_>>,
    x: &[T],
    weight: &[T],
    bias: &[T],
    out: &mut [T],
    room: &mut Vec<Line>,
) {
    let Some(LinearCopies { level, shape: [outputs, inputs], forward, .. }) = copies else {
        return linear(x, weight, bias, out);
    };
    let x = rounded(level, x, inputs, room);
    multiply_by(level, x, Right::new(forward, inputs, outputs), Start::Row(bias), out);
}

/// The gradient of [`linear_by`] with respect to `x`.
pub(super) fn linear_backward_by<T: Real>(
    copies: Option<LinearCopies<'_>>,
    gradient: ArrayView2<'_, T>,
    weight: ArrayView2<'_, T>,
    x_gradient: ArrayViewMut2<'_, T>,
    room: &mut Vec<Line>,
) {
    let Some(LinearCopies { level, shape: [outputs, inputs], backward, .. }) = copies else {
        return linear_backward(gradient, weight, x_gradient);
    };
    let gradient = rounded(level, row_major(gradient), outputs, room);
    multiply_by(level, gradient, Right::new(backward, outputs, inputs), Start::Zero, row_major_mut(x_gradient));
}

/// What a tile of users keeps for the product that gives the gradient of a layer's weights: `h_k` as its right side, in
/// which users are the depth, and the gradient with respect to what the layer gave as its left side.
#[derive(Clone, Copy)]
pub(super) struct Sides {
    pub(super) users: usize,
    /// Of the layer's weights.
    pub(super) outputs: usize,
    pub(super) inputs: usize,
}

impl Sides {
    /// Lines of both sides.
    pub(super) fn lines(self) -> usize {
        panels_len(self.users, self.inputs) + self.left_pairs().div_ceil(size_of::<Line>() / size_of::<Pair>())
    }

    fn left_pairs(self) -> usize {
        pairs(self.users) * self.outputs
    }

    /// Writes both sides.
    pub(super) fn keep<T: Real>(self, input: &[T], gradient: &[T], lines: &mut [Line]) {
        let (right, left) = lines[..self.lines()].split_at_mut(panels_len(self.users, self.inputs));
        columns_into_panels(input, self.inputs, right);
        let left: &mut [Pair] = bytemuck::cast_slice_mut(left);
        interleave_rows(gradient, self.outputs, &mut left[..self.left_pairs()]);
    }

    /// Puts the rows `some` of the product of those sides, in which the layer's weights have shape `(outputs, inputs)`,
    /// into `out`, or adds them to it.
    pub(super) fn weight_gradient<T: Real>(
        self,
        level: Level,
        lines: &[Line],
        some: Range<usize>,
        start: Start<'_, T>,
        out: &mut [T],
    ) {
        let (right, left) = lines[..self.lines()].split_at(panels_len(self.users, self.inputs));
        let left = Left::columns(&bytemuck::cast_slice(left)[..self.left_pairs()], self.outputs, some);
        multiply_by(level, left, Right::new(right, self.users, self.inputs), start, out);
    }
}

/// Rows of `depth` numbers as the left side of a product at a level.
pub(super) fn rounded<'r, T: Real>(level: Level, values: &[T], depth: usize, room: &'r mut Vec<Line>) -> Left<'r> {
    let (rows, n_rows) = (Rows::of(level, depth), values.len() / depth);
    room.resize(rows.lines(n_rows), Line::default());
    rows.round(values, depth, room);
    rows.left(room, n_rows)
}

/// Those of an output layer's weights, shape `(n_items, width)`, in blocks of items.
pub(super) struct ItemCopies {
    pub(super) level: Level,
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
    /// For products at a level.
    pub(super) fn of<T: Real>(level: Level, weight: &[T], width: usize, block: usize) -> Self {
        let n_items = weight.len() / width;
        let (whole, rest) = (n_items / block, n_items % block);
        let mut copies = Self {
            level,
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
