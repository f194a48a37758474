//! The layers of H+Vamp on a batch: forward and backward, with weights of shape `(outputs, inputs)`, or of
//! `(items, outputs)` where the inputs are the items. All matrices are row by row.

use faer::Accum;
use rayon::prelude::*;

use crate::base::matrix::{view2, view2_mut};
use crate::base::numbers::Numbers;
use crate::base::random::Philox;
use crate::math::matmul::{column_sums, par_product, rows, rows_mut};
use crate::math::part::Part;
use crate::math::products::par_products;
use crate::math::real::Real;
use crate::math::vectorised::{add, add_to_rows, scale, vectorised};
use crate::nn::batch::{ByItem, SparseInput};
use crate::nn::input_layer::{sum_of_rows, weighted_sum_of_rows};
use crate::nn::noise::{Purpose, stream};

/// A linear layer, or the gradient of one.
pub(super) struct Linear<T> {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// Whether the inputs are the items, and weights have shape `(items, outputs)`.
    pub(super) of_items: bool,
    pub(super) weight: Numbers<T>,
    pub(super) bias: Vec<T>,
}

/// Items of a task.
const BLOCK: usize = 64;
/// Numbers of a task.
const PIECE: usize = 1 << 14;

impl<T: Real> Linear<T> {
    pub(super) fn zeros(inputs: usize, outputs: usize, of_items: bool) -> Self {
        let (weight, bias) = (Numbers::zeros(inputs * outputs), vec![T::ZERO; outputs]);
        Self { inputs, outputs, of_items, weight, bias }
    }

    /// Those of weight and bias.
    pub(super) fn shapes(&self) -> [Vec<usize>; 2] {
        let Self { inputs, outputs, of_items, .. } = *self;
        [if of_items { vec![inputs, outputs] } else { vec![outputs, inputs] }, vec![outputs]]
    }

    /// Fills the weights by normals of variance 2 / inputs; biases stay 0.
    pub(super) fn init(&mut self, seed: u64, tensor: u64) {
        let random = Philox::new(seed, stream(Purpose::Weights, tensor));
        let deviation = (2.0 / self.inputs as f64).sqrt();
        let numbers = (0u64..).flat_map(|pair| random.normals(pair));
        self.weight.iter_mut().zip(numbers).for_each(|(weight, number)| *weight = T::from_f64(number * deviation));
    }

    /// `x W' + b`, each row from its own row of `x` alone.
    pub(super) fn forward(&self, x: &[T]) -> Vec<T> {
        let n = x.len() / self.inputs;
        let mut out = vec![T::ZERO; n * self.outputs];
        if self.of_items {
            let weight = rows(&self.weight, self.outputs);
            let x = rows(x, self.inputs);
            par_product(rows_mut(&mut out, self.outputs), Part::Whole, Accum::Replace, x, weight, T::ONE);
        } else {
            let (x, weight) = (view2(x, (n, self.inputs)), view2(&self.weight, (self.outputs, self.inputs)));
            par_products(x, weight, view2_mut(&mut out, (n, self.outputs)));
        }
        add_to_rows(&mut out, &self.bias);
        out
    }

    /// The same of sparse rows.
    pub(super) fn forward_sparse(&self, input: &SparseInput<T>) -> Vec<T> {
        let mut out = vec![T::ZERO; input.n_rows() * self.outputs];
        out.par_chunks_mut(self.outputs).enumerate().for_each(|(row, out)| {
            sum_of_rows(&self.weight, input.row(row), out);
            scale(out, input.values[row]);
        });
        add_to_rows(&mut out, &self.bias);
        out
    }

    /// Adds the gradients of weight and bias, given that of the output, to `sums`; and that of `x` to `x_gradient`, if
    /// it is wanted.
    pub(super) fn backward(&self, x: &[T], gradient: &[T], sums: &mut Self, x_gradient: Option<&mut [T]>) {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let (x, of_out) = (rows(x, inputs), rows(gradient, outputs));
        let (whole, sum) = (Part::Whole, Accum::Add);
        if self.of_items {
            par_product(rows_mut(&mut sums.weight, outputs), whole, sum, x.transpose(), of_out, T::ONE);
        } else {
            par_product(rows_mut(&mut sums.weight, inputs), whole, sum, of_out.transpose(), x, T::ONE);
        }
        sums.add_bias(gradient);
        if let Some(x_gradient) = x_gradient {
            let weight =
                if self.of_items { rows(&self.weight, outputs).transpose() } else { rows(&self.weight, inputs) };
            par_product(rows_mut(x_gradient, inputs), whole, sum, of_out, weight, T::ONE);
        }
    }

    /// The same of sparse rows, whose own gradient nobody wants.
    pub(super) fn backward_sparse(values: &[T], by_item: &ByItem, gradient: &[T], sums: &mut Self) {
        let outputs = sums.outputs;
        sums.weight.par_chunks_mut(BLOCK * outputs).enumerate().for_each(|(block, sums)| {
            for (item, sum) in (block * BLOCK..).zip(sums.chunks_exact_mut(outputs)) {
                weighted_sum_of_rows(gradient, by_item.rows(item), values, sum);
            }
        });
        sums.add_bias(gradient);
    }

    fn add_bias(&mut self, gradient: &[T]) {
        let mut all = vec![T::ZERO; self.outputs];
        column_sums(gradient, &mut all);
        add(&mut self.bias, &all);
    }
}

/// Two linear layers of one input: a value and its gate, or a mean and a logarithm of a variance.
pub(super) struct Pair<T> {
    pub(super) first: Linear<T>,
    pub(super) second: Linear<T>,
}

impl<T: Real> Pair<T> {
    pub(super) fn zeros(inputs: usize, outputs: usize, of_items: bool) -> Self {
        let layer = || Linear::zeros(inputs, outputs, of_items);
        Self { first: layer(), second: layer() }
    }

    pub(super) fn forward(&self, x: &[T]) -> [Vec<T>; 2] {
        [self.first.forward(x), self.second.forward(x)]
    }

    pub(super) fn forward_sparse(&self, input: &SparseInput<T>) -> [Vec<T>; 2] {
        [self.first.forward_sparse(input), self.second.forward_sparse(input)]
    }

    pub(super) fn backward(&self, x: &[T], gradients: &[Vec<T>; 2], sums: &mut Self, mut x_gradient: Option<&mut [T]>) {
        self.first.backward(x, &gradients[0], &mut sums.first, x_gradient.as_deref_mut());
        self.second.backward(x, &gradients[1], &mut sums.second, x_gradient);
    }

    pub(super) fn backward_sparse(values: &[T], by_item: &ByItem, gradients: &[Vec<T>; 2], sums: &mut Self) {
        Linear::backward_sparse(values, by_item, &gradients[0], &mut sums.first);
        Linear::backward_sparse(values, by_item, &gradients[1], &mut sums.second);
    }
}

/// What a gated layer gives: the value times the sigmoid of the gate.
pub(super) struct Gated<T> {
    value: Vec<T>,
    /// After the sigmoid.
    gate: Vec<T>,
    pub(super) out: Vec<T>,
}

impl<T: Real> Gated<T> {
    pub(super) fn of([value, mut gate]: [Vec<T>; 2]) -> Self {
        let mut out = vec![T::ZERO; value.len()];
        let pieces = out.par_chunks_mut(PIECE).zip(gate.par_chunks_mut(PIECE)).zip(value.par_chunks(PIECE));
        pieces.for_each(|((out, gate), value)| pass(out, gate, value));
        Self { value, gate, out }
    }

    /// The gradients of value and gate, given that of `out`.
    pub(super) fn backward(&self, gradient: &[T]) -> [Vec<T>; 2] {
        let (mut of_value, mut of_gate) = (vec![T::ZERO; gradient.len()], vec![T::ZERO; gradient.len()]);
        let out = of_value.par_chunks_mut(PIECE).zip(of_gate.par_chunks_mut(PIECE));
        let numbers = self.value.par_chunks(PIECE).zip(self.gate.par_chunks(PIECE)).zip(gradient.par_chunks(PIECE));
        out.zip(numbers).for_each(|((of_value, of_gate), ((value, gate), gradient))| {
            pass_back(of_value, of_gate, value, gate, gradient);
        });
        [of_value, of_gate]
    }
}

vectorised! {
    /// `out = value sigmoid(gate)`; the gate becomes its sigmoid.
    fn pass(out: &mut [T], gate: &mut [T], value: &[T]) {
        for ((out, gate), &value) in out.iter_mut().zip(gate).zip(value) {
            *gate = T::ONE / (T::ONE + (-*gate).exp());
            *out = value * *gate;
        }
    }

    /// The gradients of both, of the gate as it was before its sigmoid.
    fn pass_back(of_value: &mut [T], of_gate: &mut [T], value: &[T], gate: &[T], gradient: &[T]) {
        let out = of_value.iter_mut().zip(of_gate);
        for ((of_value, of_gate), ((&value, &gate), &gradient)) in out.zip(value.iter().zip(gate).zip(gradient)) {
            *of_value = gradient * gate;
            *of_gate = gradient * value * gate * (T::ONE - gate);
        }
    }
}

/// Rows of `a` beside those of `b`.
pub(super) fn beside<T: Real>(a: &[T], b: &[T], width: usize) -> Vec<T> {
    a.chunks_exact(width).zip(b.chunks_exact(width)).flat_map(|(a, b)| [a, b].concat()).collect()
}

/// The gradients of both.
pub(super) fn apart<T: Real>(both: &[T], width: usize) -> [Vec<T>; 2] {
    let half = |at: usize| both.chunks_exact(2 * width).flat_map(|row| row[at * width..][..width].to_vec()).collect();
    [half(0), half(1)]
}
