//! The encoder: mean and log variance of a user's posterior from the user's history.
//!
//! Both encoders start with the sparse input layer, which gives `a_1` of shape `(batch, hidden)`. Mult-VAE's goes on
//! with tanh and one linear layer to mean and log variance; Mult-DAE's ends with tanh, which gives the latent vector
//! itself. RecVAE's is dense: `h_k = layer_norm(swish(a_k))`, `a_(k+1) = W h_k + b + h_1 + … + h_k`, five layers, then
//! one linear layer to mean and log variance side by side, `(batch, 2 latent)`.
//!
//! Tiles of users go through all dense layers on one thread, forward and back, while they are in its cache; the
//! weights' gradients are then summed over the tiles in order.
//!
//! Source: Shenbin et al., "RecVAE", WSDM 2020, section 3.1, arXiv 1912.11160, and the authors' code.

use std::ops::Range;

use rayon::prelude::*;

use super::batch::SparseInput;
use super::copies::{DenseCopies, Sides, linear_backward_by, linear_by};
use super::init::Init;
use super::input_layer::InputLayer;
use super::layers::{LayerNorm, swish_layer_norm, swish_layer_norm_backward, tanh, tanh_backward};
use super::parameters::{Places, Start};
use crate::base::matrix::{view2, view2_mut};
use crate::base::numbers::Numbers;
use crate::math::bf16::{self, Line};
use crate::math::matmul::{matmul, matmul_add, rows, rows_mut};
use crate::math::real::Real;
use crate::math::vectorised::{add, add_rows};

mod means;
pub(crate) use means::Means;

pub(crate) const LAYER_NORM_EPSILON: f64 = 0.1;
/// Users of a tile.
const USERS: usize = 128;
/// Rows of a weight matrix whose gradient is one task.
const WEIGHT_ROWS: usize = 128;

/// Sizes and parts of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Architecture {
    pub(crate) n_items: usize,
    pub(crate) hidden_dim: usize,
    pub(crate) latent_dim: usize,
    /// RecVAE's encoder instead of Mult-VAE's.
    pub(crate) dense_encoder: bool,
    /// Mult-VAE's decoder instead of RecVAE's.
    pub(crate) hidden_decoder: bool,
    /// Whether the encoder ends with a linear layer to the mean and the log variance of a posterior. Without, as in
    /// Mult-DAE, the last hidden layer is the latent vector: `latent_dim` is `hidden_dim`, and nothing is drawn.
    pub(crate) posterior: bool,
}

impl Architecture {
    /// Number of parameters.
    pub(crate) fn n_parameters(&self) -> u64 {
        let [items, hidden, latent] = [self.n_items, self.hidden_dim, self.latent_dim].map(|n| n as u64);
        let dense = if self.dense_encoder { 4 * (hidden + 1) * hidden + 10 * hidden } else { 0 };
        let decoder = if self.hidden_decoder { (latent + 1) * hidden } else { 0 };
        let width = if self.hidden_decoder { hidden } else { latent };
        let head = if self.posterior { 2 * (hidden + 1) * latent } else { 0 };
        (items + 1) * hidden + dense + head + decoder + items * (width + 1)
    }

    /// Numbers that the encoder gives for a user: mean and log variance side by side, or the latent vector.
    pub(crate) fn encoded_dim(&self) -> usize {
        if self.posterior { 2 * self.latent_dim } else { self.latent_dim }
    }
}

/// Names of the linear layers behind the first one, and of the layer norms.
const LINEAR: [[&str; 2]; 4] =
    [["fc2.weight", "fc2.bias"], ["fc3.weight", "fc3.bias"], ["fc4.weight", "fc4.bias"], ["fc5.weight", "fc5.bias"]];
const NORM: [[&str; 2]; 5] = [
    ["ln1.weight", "ln1.bias"],
    ["ln2.weight", "ln2.bias"],
    ["ln3.weight", "ln3.bias"],
    ["ln4.weight", "ln4.bias"],
    ["ln5.weight", "ln5.bias"],
];
const DEPTH: usize = NORM.len();

pub(crate) struct Encoder<T> {
    pub(crate) input: InputLayer<T>,
    /// All dense parameters, at the places that `layers` names.
    pub(super) dense: Numbers<T>,
    pub(super) layers: DenseLayers,
}

/// What the dense layers are, apart from their numbers.
pub(super) struct DenseLayers {
    architecture: Architecture,
    pub(super) places: Places,
}

/// What the ways forward and back leave, used again from batch to batch.
#[derive(Default)]
pub(crate) struct EncoderMemory<T> {
    /// For each user what the input layer gave, then the gradient with respect to it, then tile by tile what
    /// [`Tile::split`] makes of it. A step walks through all of it: one array in huge pages.
    room: Numbers<T>,
    /// Users of the batch.
    users: usize,
    tiles: Vec<Besides<T>>,
    /// Mean and log variance, side by side, shape `(users, 2 latent)`; without a posterior the latent vectors.
    pub(crate) posterior: Vec<T>,
    /// With respect to the dense parameters.
    pub(super) dense_gradient: Numbers<T>,
    /// In mixed precision the dense layers' weights in bf16, the last layer's at the end, and what their gradients are
    /// made of, tile by tile.
    copies: Option<DenseCopies>,
    sides: Numbers<Line>,
}

impl<T: Real> EncoderMemory<T> {
    /// What the input layer gave, shape `(users, hidden)`, and the tiles.
    fn parts(&mut self, hidden_dim: usize) -> [&mut [T]; 3] {
        let (hidden, rest) = self.room.split_at_mut(self.users * hidden_dim);
        let (gradient, tiles) = rest.split_at_mut(self.users * hidden_dim);
        [hidden, gradient, tiles]
    }

    /// The gradient with respect to what the input layer gave.
    pub(super) fn hidden_gradient(&self, hidden_dim: usize) -> &[T] {
        &self.room[self.users * hidden_dim..][..self.users * hidden_dim]
    }
}

/// Activations and gradients of a tile of users, each of shape `(users, hidden)`.
struct Tile<'a, T> {
    /// `a_k`, then the gradient with respect to it: one per layer.
    pre: [&'a mut [T]; DEPTH],
    /// `h_k`; in the shallow encoder tanh of `a_1`.
    out: [&'a mut [T]; DEPTH],
    /// `h_1 + … + h_k`, or its gradient.
    sum: &'a mut [T],
    /// Gradient with respect to `h_k`.
    gradient: &'a mut [T],
}

impl<'a, T> Tile<'a, T> {
    /// Matrices of a tile. A single layer has no sum.
    fn matrices(depth: usize) -> usize {
        if depth > 1 { 2 * depth + 2 } else { 3 }
    }

    fn split(room: &'a mut [T], depth: usize) -> Self {
        let mut all = room.chunks_exact_mut(room.len() / Self::matrices(depth)).peekable();
        // What is behind the last layer is empty.
        let mut of_layers = || std::array::from_fn(|layer| all.next_if(|_| layer < depth).unwrap_or_default());
        let (pre, out) = (of_layers(), of_layers());
        let sum = if depth > 1 { all.next().expect("a matrix of sums") } else { &mut [] };
        Self { pre, out, sum, gradient: all.next().expect("a matrix of gradients") }
    }
}

/// What else a tile needs.
#[derive(Default)]
struct Besides<T> {
    /// Gradients of the layer norms' weights and biases, one after the other.
    norm_gradients: Vec<T>,
    /// Room for two rows.
    row: Vec<T>,
    /// Room for the left side of a product.
    rounded: Vec<Line>,
}

impl<T: Real> Encoder<T> {
    pub(crate) fn new(architecture: Architecture, init: &mut Init) -> Self {
        let Architecture { n_items, hidden_dim, latent_dim, dense_encoder, posterior, .. } = architecture;
        let input = InputLayer::new(n_items, hidden_dim, init);
        let (mut places, mut values) = (Places::default(), Vec::<T>::new());
        let biases = Start::Biases { inputs: hidden_dim };
        let mut put = |name, shape: &[usize], start| places.add(&mut values, name, shape, start, init);
        if dense_encoder {
            for [weight, bias] in NORM {
                put(weight, &[hidden_dim], Start::Ones);
                put(bias, &[hidden_dim], Start::Zeros);
            }
            for [weight, bias] in LINEAR {
                put(weight, &[hidden_dim, hidden_dim], Start::Weights);
                put(bias, &[hidden_dim], biases);
            }
            // In this order both are one linear layer.
            put("fc_mu.weight", &[latent_dim, hidden_dim], Start::Weights);
            put("fc_logvar.weight", &[latent_dim, hidden_dim], Start::Weights);
            put("fc_mu.bias", &[latent_dim], biases);
            put("fc_logvar.bias", &[latent_dim], biases);
        } else if posterior {
            put("q1.weight", &[2 * latent_dim, hidden_dim], Start::Weights);
            put("q1.bias", &[2 * latent_dim], biases);
        }
        Self { input, dense: Numbers::copy_of(&values), layers: DenseLayers { architecture, places } }
    }

    /// Fills `posterior` of the memory.
    pub(crate) fn forward(&self, input: &SparseInput<T>, memory: &mut EncoderMemory<T>) {
        let (hidden_dim, users) = (self.layers.inputs(), input.n_rows());
        let n_numbers = users * hidden_dim * (2 + Tile::<T>::matrices(self.layers.depth()));
        if memory.room.len() < n_numbers {
            memory.room = Numbers::zeros(n_numbers);
        }
        memory.users = users;
        let [hidden, ..] = memory.parts(hidden_dim);
        self.input.forward(input, hidden);
        self.layers.forward(&self.dense, memory);
    }

    /// What [`Self::forward`] leaves in `posterior` of the memory, for tests and benches.
    #[cfg(any(test, feature = "bench"))]
    pub(crate) fn encode(&self, input: &SparseInput<T>) -> Vec<T> {
        let mut memory = EncoderMemory::default();
        self.forward(input, &mut memory);
        memory.posterior
    }

    /// Fills the gradients of the memory, after [`Self::forward`] of the same batch, from that with respect to its
    /// result.
    pub(super) fn backward(&self, gradient: &[T], memory: &mut EncoderMemory<T>) {
        self.layers.backward(gradient, &self.dense, memory);
    }

    /// From here on the dense products that use the memory are in mixed precision.
    pub(super) fn round(&self, level: bf16::Level, memory: &mut EncoderMemory<T>) {
        let shape = |layer| [self.layers.outputs(layer), self.layers.inputs()];
        memory.copies = Some(DenseCopies::new(level, (1..=self.layers.n_linear()).map(shape).collect()));
        self.renew_copies(memory);
    }

    /// Brings the copies of the dense weights up to date, if there are any.
    pub(super) fn renew_copies(&self, memory: &mut EncoderMemory<T>) {
        if let Some(copies) = &mut memory.copies {
            copies.renew((1..=self.layers.n_linear()).map(|layer| &self.dense[self.layers.linear(layer)[0].clone()]));
        }
    }
}

/// What the gradients of the dense parameters are summed from.
struct Tiles<'a, T> {
    /// As [`Tile::split`] has them.
    matrices: Vec<&'a [T]>,
    besides: &'a [Besides<T>],
    /// In mixed precision the level of the products, and both sides of them, `n_lines` a tile.
    level: Option<bf16::Level>,
    sides: &'a [Line],
    n_lines: usize,
}

impl DenseLayers {
    /// Linear layers, the input layer among them, that come before the last one.
    fn depth(&self) -> usize {
        if self.architecture.dense_encoder { DEPTH } else { 1 }
    }

    /// Parameters of layer norms, which come first.
    fn n_norm(&self) -> usize {
        if self.architecture.dense_encoder { 2 * DEPTH * self.architecture.hidden_dim } else { 0 }
    }

    fn norm<'a, T: Real>(&self, layer: usize, dense: &'a [T]) -> LayerNorm<'a, T> {
        let [weight, bias] = NORM[layer].map(|name| &dense[self.places.place(name)]);
        LayerNorm { weight, bias, epsilon: T::from_f64(LAYER_NORM_EPSILON) }
    }

    /// The last linear layer: `(2 latent, hidden)` weights and `(2 latent,)` biases.
    fn head(&self) -> [Range<usize>; 2] {
        let latent = self.architecture.latent_dim;
        let (weight, bias) =
            if self.architecture.dense_encoder { ("fc_mu.weight", "fc_mu.bias") } else { ("q1.weight", "q1.bias") };
        let (weight, bias) = (self.places.place(weight).start, self.places.place(bias).start);
        [weight..weight + 2 * latent * self.architecture.hidden_dim, bias..bias + 2 * latent]
    }

    /// Linear layers behind the input layer, the last one among them if there is one.
    fn n_linear(&self) -> usize {
        self.depth() - 1 + usize::from(self.architecture.posterior)
    }

    /// Weights and biases of one of them, the first of which is number 1.
    fn linear(&self, layer: usize) -> [Range<usize>; 2] {
        if layer == self.depth() { self.head() } else { LINEAR[layer - 1].map(|name| self.places.place(name)) }
    }

    /// Numbers that one of them gives.
    fn outputs(&self, layer: usize) -> usize {
        if layer == self.depth() { 2 * self.architecture.latent_dim } else { self.architecture.hidden_dim }
    }

    /// The two sides of the product for the gradient of its weights, of a tile with so many users.
    fn sides(&self, layer: usize, users: usize) -> Sides {
        Sides { users, outputs: self.outputs(layer), inputs: self.inputs() }
    }

    /// Lines of a tile before those of a layer; the same in a tile with fewer users.
    fn lines_before(&self, layer: usize) -> usize {
        (1..layer).map(|before| self.sides(before, USERS).lines()).sum()
    }

    /// Matrices that [`Means::of`] needs for a tile: what goes into a layer's norm, what comes out, the sum of
    /// what came out so far.
    fn matrices_of_means(&self) -> usize {
        if self.architecture.dense_encoder { 3 } else { 1 }
    }

    /// Numbers that each of them takes.
    fn inputs(&self) -> usize {
        self.architecture.hidden_dim
    }

    fn forward<T: Real>(&self, dense: &[T], memory: &mut EncoderMemory<T>) {
        let (hidden_dim, encoded_dim) = (self.architecture.hidden_dim, self.architecture.encoded_dim());
        let (n, matrices) = (memory.users, Tile::<T>::matrices(self.depth()));
        let mut posterior = std::mem::take(&mut memory.posterior);
        posterior.resize(n * encoded_dim, T::ZERO);
        let mut besides = std::mem::take(&mut memory.tiles);
        besides.resize_with(n.div_ceil(USERS), Besides::default);
        let copies = memory.copies.take();
        let [hidden, _, tiles] = memory.parts(hidden_dim);
        tiles[..n * hidden_dim * matrices]
            .par_chunks_mut(USERS * hidden_dim * matrices)
            .zip(&mut besides)
            .zip(hidden.par_chunks(USERS * hidden_dim))
            .zip(posterior.par_chunks_mut(USERS * encoded_dim))
            .for_each(|(((tile, besides), hidden), posterior)| {
                let tile = Tile::split(tile, self.depth());
                self.forward_tile(tile, hidden, dense, copies.as_ref(), &mut besides.rounded, posterior);
            });
        memory.posterior = posterior;
        memory.tiles = besides;
        memory.copies = copies;
    }

    fn forward_tile<T: Real>(
        &self,
        tile: Tile<'_, T>,
        hidden: &[T],
        dense: &[T],
        copies: Option<&DenseCopies>,
        room: &mut Vec<Line>,
        posterior: &mut [T],
    ) {
        let depth = self.depth();
        let linear = |layer: usize, x: &[T], out: &mut [T], room: &mut Vec<Line>| {
            let [weight, bias] = self.linear(layer).map(|place| &dense[place]);
            linear_by(copies.map(|copies| copies.layer(layer - 1)), x, weight, bias, out, room);
        };
        let Tile { pre, out, sum, .. } = tile;
        pre[0].copy_from_slice(hidden);
        if self.architecture.dense_encoder {
            swish_layer_norm(hidden, self.norm(0, dense), out[0]);
            sum.copy_from_slice(out[0]);
            for layer in 1..depth {
                linear(layer, out[layer - 1], pre[layer], room);
                add(pre[layer], sum);
                swish_layer_norm(pre[layer], self.norm(layer, dense), out[layer]);
                if layer + 1 < depth {
                    add(sum, out[layer]);
                }
            }
        } else {
            out[0].copy_from_slice(hidden);
            tanh(out[0]);
        }
        if !self.architecture.posterior {
            posterior.copy_from_slice(out[depth - 1]);
            return;
        }
        linear(depth, out[depth - 1], posterior, room);
    }

    /// Gradients with respect to the input and to the dense parameters, after [`Self::forward`] of the same batch.
    fn backward<T: Real>(&self, gradient: &[T], dense: &[T], memory: &mut EncoderMemory<T>) {
        let (hidden_dim, encoded_dim) = (self.architecture.hidden_dim, self.architecture.encoded_dim());
        let (n, matrices) = (memory.users, Tile::<T>::matrices(self.depth()));
        let mut besides = std::mem::take(&mut memory.tiles);
        let copies = memory.copies.take();
        let mut sides = std::mem::take(&mut memory.sides);
        let n_lines = if copies.is_some() { self.lines_before(self.n_linear() + 1) } else { 0 };
        if sides.len() < besides.len() * n_lines {
            sides = Numbers::zeros(besides.len() * n_lines);
        }
        // Without any there is one empty part for each tile.
        let mut rest = &mut sides[..besides.len() * n_lines];
        let parts: Vec<_> =
            (0..besides.len()).map(|_| rest.split_off_mut(..n_lines).expect("lines of all tiles")).collect();
        let [_, hidden_gradient, tiles] = memory.parts(hidden_dim);
        tiles[..n * hidden_dim * matrices]
            .par_chunks_mut(USERS * hidden_dim * matrices)
            .zip(&mut besides)
            .zip(parts)
            .zip(gradient.par_chunks(USERS * encoded_dim))
            .zip(hidden_gradient.par_chunks_mut(USERS * hidden_dim))
            .for_each(|((((tile, besides), sides), gradient), out)| {
                let tile = Tile::split(tile, self.depth());
                self.backward_tile(tile, besides, gradient, dense, copies.as_ref(), sides, out);
            });
        if memory.dense_gradient.len() != dense.len() {
            memory.dense_gradient = Numbers::zeros(dense.len());
        }
        let mut dense_gradient = std::mem::take(&mut memory.dense_gradient);
        let [_, _, tiles] = memory.parts(hidden_dim);
        let tiles = tiles[..n * hidden_dim * matrices].chunks(USERS * hidden_dim * matrices).collect();
        let level = copies.as_ref().map(DenseCopies::level);
        let tiles = Tiles { matrices: tiles, besides: &besides, level, sides: &sides, n_lines };
        self.sum_gradients(gradient, &tiles, &mut dense_gradient);
        memory.dense_gradient = dense_gradient;
        memory.tiles = besides;
        memory.copies = copies;
        memory.sides = sides;
    }

    #[allow(clippy::too_many_arguments)]
    fn backward_tile<T: Real>(
        &self,
        tile: Tile<'_, T>,
        Besides { norm_gradients, row, rounded }: &mut Besides<T>,
        gradient: &[T],
        dense: &[T],
        copies: Option<&DenseCopies>,
        sides: &mut [Line],
        hidden_gradient: &mut [T],
    ) {
        let Architecture { hidden_dim, latent_dim, .. } = self.architecture;
        let n = hidden_gradient.len() / hidden_dim;
        let depth = self.depth();
        let Tile { pre, out, sum, gradient: out_gradient } = tile;
        // The gradient with respect to what a layer took, from that with respect to the `outputs` numbers that it gave.
        let mut backward = |layer: usize, outputs: usize, gradient: &[T], taken: &[T], out: &mut [T]| {
            let weight = &dense[self.linear(layer)[0].clone()];
            let copies = copies.map(|copies| copies.layer(layer - 1));
            if copies.is_some() {
                self.sides(layer, n).keep(taken, gradient, &mut sides[self.lines_before(layer)..]);
            }
            let (weight, out) = (view2(weight, (outputs, hidden_dim)), view2_mut(out, (n, hidden_dim)));
            linear_backward_by(copies, view2(gradient, (n, outputs)), weight, out, rounded);
        };
        if self.architecture.posterior {
            backward(depth, 2 * latent_dim, gradient, out[depth - 1], out_gradient);
        } else {
            out_gradient.copy_from_slice(gradient);
        }
        if !self.architecture.dense_encoder {
            tanh_backward(out[0], out_gradient);
            hidden_gradient.copy_from_slice(out_gradient);
            return;
        }
        norm_gradients.clear();
        norm_gradients.resize(self.n_norm(), T::ZERO);
        sum.fill(T::ZERO);
        row.resize(2 * hidden_dim, T::ZERO);
        for layer in (0..DEPTH).rev() {
            // h_k went into the next layer and, but for the last, into the sum.
            if layer + 1 < DEPTH {
                add(out_gradient, sum);
            }
            let norm_gradients = &mut norm_gradients[2 * layer * hidden_dim..][..2 * hidden_dim];
            let (weight_gradient, bias_gradient) = norm_gradients.split_at_mut(hidden_dim);
            let norm = self.norm(layer, dense);
            swish_layer_norm_backward(pre[layer], norm, out_gradient, weight_gradient, bias_gradient, row);
            pre[layer].copy_from_slice(out_gradient);
            if layer > 0 {
                add(sum, pre[layer]);
                backward(layer, hidden_dim, pre[layer], out[layer - 1], out_gradient);
            }
        }
        hidden_gradient.copy_from_slice(pre[0]);
    }

    /// Sums the gradients of the dense parameters over the tiles.
    fn sum_gradients<T: Real>(&self, gradient: &[T], tiles: &Tiles<'_, T>, out: &mut [T]) {
        let (norms, linears) = out.split_at_mut(self.n_norm());
        norms.fill(T::ZERO);
        tiles.besides.iter().for_each(|tile| add(norms, &tile.norm_gradients));
        self.sum_linear_gradients(1, gradient, tiles, linears);
    }

    /// Those of the linear layers from number `layer` on, each task a few rows of a matrix.
    fn sum_linear_gradients<T: Real>(&self, layer: usize, gradient: &[T], tiles: &Tiles<'_, T>, out: &mut [T]) {
        let hidden_dim = self.architecture.hidden_dim;
        let depth = self.depth();
        if layer == depth && !self.architecture.posterior {
            return;
        }
        let outputs = self.outputs(layer);
        let (weights, rest) = out.split_at_mut(outputs * hidden_dim);
        let (biases, rest) = rest.split_at_mut(outputs);
        let users = |index: usize| tiles.matrices[index].len() / Tile::<T>::matrices(depth) / hidden_dim;
        let matrix = |index: usize, number: usize| {
            let n = users(index) * hidden_dim;
            &tiles.matrices[index][number * n..][..n]
        };
        // Of a tile: the gradients with respect to what the layer gave.
        let gradients = |index: usize| match layer == depth {
            true => &gradient[index * USERS * outputs..][..users(index) * outputs],
            false => matrix(index, layer),
        };
        let sum_weights = || {
            weights.par_chunks_mut(WEIGHT_ROWS * hidden_dim).enumerate().for_each(|(chunk, out)| {
                let n = out.len() / hidden_dim;
                let first = chunk * WEIGHT_ROWS;
                for index in 0..tiles.matrices.len() {
                    if let Some(level) = tiles.level {
                        let start = if index == 0 { bf16::Start::Zero } else { bf16::Start::Out };
                        let lines = &tiles.sides[index * tiles.n_lines + self.lines_before(layer)..];
                        self.sides(layer, users(index)).weight_gradient(level, lines, first..first + n, start, out);
                        continue;
                    }
                    let gradient = rows(gradients(index), outputs).subcols(first, n).transpose();
                    let inputs = rows(matrix(index, depth + layer - 1), hidden_dim);
                    match index {
                        0 => matmul(rows_mut(out, hidden_dim), gradient, inputs),
                        _ => matmul_add(rows_mut(out, hidden_dim), gradient, inputs),
                    }
                }
            });
        };
        let others = || {
            biases.fill(T::ZERO);
            (0..tiles.matrices.len()).for_each(|index| add_rows(biases, gradients(index)));
            if layer < depth {
                self.sum_linear_gradients(layer + 1, gradient, tiles, rest);
            }
        };
        rayon::join(sum_weights, others);
    }
}
