//! The last layer of a decoder with the multinomial likelihood, as one operation: no matrix of users x items is needed.
//!
//! With hidden rows `z` of shape `(batch, width)`, weights `W` of `(n_items, width)` and a user's history `x` of `n` items:
//! logits `l = z W' + b`, log-likelihood `sum over x of l - n logsumexp(l)`, gradient with respect to the logits
//! `x - n softmax(l)`.
//!
//! The batch is cut into tiles of users x groups of items; a tile walks over its items in blocks that stay in the second
//! level cache: logits, their maximum so far, exponentials, and at once the product of these with the same rows of `W`,
//! which is what the gradient with respect to `z` needs. Sums are rescaled when the maximum grows, and the groups of a user
//! are put together at the end. Only if the weights are to be updated the logits are kept, for a second walk that turns
//! each block into the gradient of its rows of `W` and hands that to Adam.
//!
//! Source of the running rescaling: Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018, arXiv
//! 1805.02867.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use super::adam::{AdamStep, Moments, update};
use super::copies::{ItemCopies, rounded};
use super::init::Init;
use super::input_layer::sum_of_rows;
use super::scratch::Scratch;
use super::state::State;
use crate::base::matrix::{row_major_mut, view2};
use crate::base::numbers::Numbers;
use crate::math::bf16::{Line, Pair};
use crate::math::matmul::{matmul, matmul_add, rows, rows_mut};
use crate::math::products::par_products;
use crate::math::real::Real;
use crate::math::vectorised::{add, add_scaled, scale, sum_of, vectorised};

mod gradient;
mod rounded;

use gradient::Batch;
use rounded::Rounded;

/// Users of a tile.
const USERS: usize = 256;
/// Items of a block.
const ITEMS: usize = 256;
/// Groups of items, where there are enough of them: enough tasks for many threads.
const GROUPS: usize = 8;

/// Items of a group: whole blocks.
fn group(n_items: usize) -> usize {
    n_items.div_ceil(GROUPS).next_multiple_of(ITEMS)
}

/// Groups of that many items.
pub(crate) fn n_groups(n_items: usize) -> usize {
    n_items.div_ceil(group(n_items))
}

pub(crate) struct OutputLayer<T> {
    pub(crate) width: usize,
    /// Shape `(n_items, width)`.
    pub(crate) weight: Numbers<T>,
    pub(crate) bias: Vec<T>,
}

/// What [`OutputLayer::log_likelihood`] found for a batch, and its memory, to be used again for the next one.
#[derive(Default)]
pub(crate) struct LogLikelihood<T> {
    /// Per user, shape `(batch,)`.
    pub(crate) value: Vec<T>,
    /// Gradient of each user's value with respect to the user's hidden row, shape `(batch, width)`, where it was asked
    /// for.
    pub(crate) hidden_gradient: Vec<T>,
    /// logsumexp of each user's logits.
    log_sum: Vec<T>,
    /// Per tile of users all groups.
    tiles: Vec<Tile<T>>,
    /// Per tile of users, per group, per block the logits `(users, items)`: the largest thing that a step keeps, if the
    /// weights are to be updated.
    logits: Numbers<T>,
    scratch: Scratch<T>,
    /// In mixed precision the weights in bf16, and room for what else products read.
    copies: Option<ItemCopies>,
    hidden: Vec<Pair>,
    pairs: Scratch<Pair>,
    lines: Scratch<Line>,
}

/// A tile of users.
#[derive(Clone, Copy)]
struct Users<'a, T> {
    histories: &'a [&'a [u32]],
    hidden: &'a [T],
}

/// One tile of users x one group of items.
#[derive(Clone, Default)]
struct Tile<T> {
    maximum: Vec<T>,
    sum: Vec<T>,
    /// Sum of the logits of the user's own items.
    own: Vec<T>,
    /// In mixed precision how many of the user's own items the walk has left behind.
    walked: Vec<usize>,
    /// Sum of exponentials times rows of W.
    weighted: Vec<T>,
}

impl<T: Real> Tile<T> {
    /// Nothing is found yet for so many users; `width` of what the way back adds up, or 0 without.
    fn begin(&mut self, users: usize, width: usize) {
        for (sums, start) in
            [(&mut self.maximum, T::from_f64(f64::NEG_INFINITY)), (&mut self.sum, T::ZERO), (&mut self.own, T::ZERO)]
        {
            sums.clear();
            sums.resize(users, start);
        }
        self.weighted.clear();
        self.weighted.resize(users * width, T::ZERO);
    }

    /// The items of a user's history that the walk comes to up to `end`, for which no search is needed.
    fn own_items<'a>(&mut self, user: usize, history: &'a [u32], end: usize) -> &'a [u32] {
        let ahead = &history[self.walked[user]..];
        let own = &ahead[..ahead.iter().take_while(|&&item| (item as usize) < end).count()];
        self.walked[user] += own.len();
        own
    }

    /// Adds a block's sum of exponentials less `maximum`, the largest logit so far, to the user's, which is rescaled to that.
    fn add(&mut self, user: usize, maximum: T, sum: T) {
        let rescale = (self.maximum[user] - maximum).exp();
        self.maximum[user] = maximum;
        self.sum[user] = self.sum[user] * rescale + sum;
        let width = self.weighted.len() / self.maximum.len();
        if rescale != T::ONE {
            scale(&mut self.weighted[user * width..][..width], rescale);
        }
    }
}

/// What is wanted besides the value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Want {
    pub(crate) hidden_gradient: bool,
    pub(crate) weight_gradient: bool,
}

impl<T: Real> OutputLayer<T> {
    pub(crate) fn new(n_items: usize, width: usize, init: &mut Init) -> Self {
        Self { width, weight: init.weights(width, n_items), bias: init.biases(width, n_items) }
    }

    fn n_items(&self) -> usize {
        self.bias.len()
    }

    fn group(&self) -> usize {
        group(self.n_items())
    }

    /// Log-likelihood of each history given the user's hidden row.
    pub(crate) fn log_likelihood(&self, hidden: &[T], histories: &[&[u32]], want: Want, out: &mut LogLikelihood<T>) {
        let (width, group) = (self.width, self.group());
        let n_groups = self.n_items().div_ceil(group);
        out.tiles.resize_with(histories.len().div_ceil(USERS) * n_groups, Tile::default);
        let n_logits = histories.len() * self.n_items();
        if want.weight_gradient && out.logits.len() < n_logits {
            out.logits = Numbers::zeros(n_logits);
        }
        let LogLikelihood { tiles, logits, scratch, copies, hidden: in_bf16, pairs, lines, .. } = out;
        let rounded = copies.as_ref().map(|copies| (rounded(hidden, width, in_bf16), copies));
        let users = histories.par_chunks(USERS).zip(hidden.par_chunks(USERS * width)).enumerate();
        let users = users.map(|(tile, (histories, hidden))| {
            let rows = tile * USERS..tile * USERS + histories.len();
            (Users { histories, hidden }, rounded.map(|(hidden, copies)| (hidden.some(rows), copies)))
        });
        let groups = |tiles: &mut [Tile<T>], (users, rounded): (Users<'_, T>, _), logits: Option<&mut [T]>| {
            let fill = |(number, (tile, logits)): (usize, (&mut Tile<T>, Option<&mut [T]>))| {
                let items = number * group..((number + 1) * group).min(self.n_items());
                match rounded {
                    Some((hidden, copies)) => {
                        let rounded = Rounded { histories: users.histories, hidden, copies, pairs, lines };
                        self.fill_rounded(tile, rounded, items, want.hidden_gradient, logits);
                    }
                    None => self.fill(tile, users, items, want.hidden_gradient, logits, scratch),
                }
            };
            let tiles = tiles.par_iter_mut();
            match logits {
                Some(logits) => {
                    let logits = logits.par_chunks_mut(users.histories.len() * group).map(Some);
                    tiles.zip(logits).enumerate().for_each(fill);
                }
                None => tiles.map(|tile| (tile, None)).enumerate().for_each(fill),
            }
        };
        let tiles = tiles.par_chunks_mut(n_groups).zip(users);
        if want.weight_gradient {
            let logits = logits[..n_logits].par_chunks_mut(USERS * self.n_items());
            tiles.zip(logits).for_each(|((tiles, users), logits)| groups(tiles, users, Some(logits)));
        } else {
            tiles.for_each(|(tiles, users)| groups(tiles, users, None));
        }
        self.put_together(histories, n_groups, want, out);
    }

    /// Walks over the items of a tile; `kept` is where the logits stay, if they do.
    #[allow(clippy::too_many_arguments)]
    fn fill(
        &self,
        tile: &mut Tile<T>,
        Users { histories, hidden }: Users<'_, T>,
        items: Range<usize>,
        hidden_gradient: bool,
        mut kept: Option<&mut [T]>,
        scratch: &Scratch<T>,
    ) {
        let (width, users) = (self.width, histories.len());
        tile.begin(users, if hidden_gradient { width } else { 0 });
        let mut scratch = scratch.take(if kept.is_none() || hidden_gradient { users * ITEMS } else { 0 });
        for first in items.clone().step_by(ITEMS) {
            let n = ITEMS.min(items.end - first);
            let weight = rows(&self.weight[first * width..(first + n) * width], width);
            let bias = &self.bias[first..first + n];
            let (logits, mut other) = match &mut kept {
                Some(kept) => (&mut kept[users * (first - items.start)..][..users * n], Some(&mut scratch[..])),
                None => (&mut scratch[..users * n], None),
            };
            matmul(rows_mut(logits, n), rows(hidden, width), weight.transpose());
            for (user, logits) in logits.chunks_exact_mut(n).enumerate() {
                let maximum = add_and_maximum(logits, bias, tile.maximum[user]);
                let own = between(histories[user], first, first + n);
                tile.own[user] += own.iter().fold(T::ZERO, |sum, &item| sum + logits[item as usize - first]);
                let sum = match &mut other {
                    _ if !hidden_gradient => sum_of_exponentials(logits, maximum),
                    Some(other) => exponentials(logits, maximum, &mut other[user * n..][..n]),
                    None => exponentials_in_place(logits, maximum),
                };
                tile.add(user, maximum, sum);
            }
            if hidden_gradient {
                let exponentials = other.map_or(&*logits, |other| &other[..users * n]);
                matmul_add(rows_mut(&mut tile.weighted, width), rows(exponentials, n), weight);
            }
        }
    }

    /// Puts the groups of each user together.
    fn put_together(&self, histories: &[&[u32]], n_groups: usize, want: Want, out: &mut LogLikelihood<T>) {
        let width = self.width;
        out.value.resize(histories.len(), T::ZERO);
        out.log_sum.resize(histories.len(), T::ZERO);
        out.hidden_gradient.resize(if want.hidden_gradient { histories.len() * width } else { 0 }, T::ZERO);
        for (user, history) in histories.iter().enumerate() {
            let groups = &out.tiles[user / USERS * n_groups..][..n_groups];
            let user_in_tile = user % USERS;
            let maximum =
                groups.iter().fold(T::from_f64(f64::NEG_INFINITY), |max, tile| max.max(tile.maximum[user_in_tile]));
            let (mut sum, mut own) = (T::ZERO, T::ZERO);
            for tile in groups {
                sum += tile.sum[user_in_tile] * (tile.maximum[user_in_tile] - maximum).exp();
                own += tile.own[user_in_tile];
            }
            out.log_sum[user] = maximum + sum.ln();
            out.value[user] = own - T::from_f64(history.len() as f64) * out.log_sum[user];
        }
        if !want.hidden_gradient {
            return;
        }
        let (tiles, log_sum) = (&out.tiles, &out.log_sum);
        out.hidden_gradient.par_chunks_mut(width).enumerate().for_each(|(user, gradient)| {
            gradient.fill(T::ZERO);
            sum_of_rows(&self.weight, histories[user], gradient);
            let n = T::from_f64(histories[user].len() as f64);
            for tile in &tiles[user / USERS * n_groups..][..n_groups] {
                let share = n * (tile.maximum[user % USERS] - log_sum[user]).exp();
                add_scaled(gradient, &tile.weighted[user % USERS * width..][..width], -share);
            }
        });
    }

    /// One Adam step down the gradient of minus the mean log-likelihood. `found` must come from the same batch with
    /// `weight_gradient` wanted. A penalty on squares is for the weights.
    pub(crate) fn step(
        &mut self,
        hidden: &[T],
        histories: &[&[u32]],
        found: &mut LogLikelihood<T>,
        moments: &mut OutputMoments<T>,
        step: AdamStep<T>,
    ) {
        let (chunk, n_items) = (ITEMS * self.width, self.n_items());
        let mut all_copies = found.copies.take();
        let rounded = all_copies.is_some();
        let mut copies: Vec<_> = all_copies.iter_mut().flat_map(ItemCopies::blocks_mut).map(Some).collect();
        copies.resize_with(n_items.div_ceil(ITEMS), || None);
        let targets = self
            .weight
            .par_chunks_mut(chunk)
            .zip(moments.weight.first.par_chunks_mut(chunk))
            .zip(moments.weight.second.par_chunks_mut(chunk))
            .zip(self.bias.par_chunks_mut(ITEMS))
            .zip(moments.bias.first.par_chunks_mut(ITEMS))
            .zip(moments.bias.second.par_chunks_mut(ITEMS))
            .zip(&mut copies);
        let batch = Batch { hidden, histories, found, n_items, width: self.width, rounded };
        batch.for_each_gradient(targets, |((((((w, wm), wv), b), bm), bv), copies), weight_gradient, bias_gradient| {
            update(step, w, weight_gradient, wm, wv);
            update(step.without_squares(), b, bias_gradient, bm, bv);
            copies.iter_mut().for_each(|copies| copies.renew(w));
        });
        found.copies = all_copies;
    }

    /// From here on the products that use the memory are in mixed precision.
    pub(super) fn round(&self, memory: &mut LogLikelihood<T>) {
        memory.copies = Some(ItemCopies::of(&self.weight, self.width, ITEMS));
    }

    /// Brings the copies of the weights up to date, if there are any.
    pub(super) fn renew_copies(&self, memory: &mut LogLikelihood<T>) {
        memory.copies.iter_mut().for_each(|copies| copies.renew(&self.weight));
    }

    /// The gradients of weight and bias, for tests.
    #[cfg(test)]
    pub(crate) fn gradients(&self, hidden: &[T], histories: &[&[u32]], found: &LogLikelihood<T>) -> (Vec<T>, Vec<T>) {
        let (mut weight, mut bias) = (vec![T::ZERO; self.weight.len()], vec![T::ZERO; self.bias.len()]);
        let (n_items, rounded) = (self.n_items(), found.copies.is_some());
        let batch = Batch { hidden, histories, found, n_items, width: self.width, rounded };
        let targets = weight.par_chunks_mut(ITEMS * self.width).zip(bias.par_chunks_mut(ITEMS));
        batch.for_each_gradient(targets, |(weight, bias), weight_gradient, bias_gradient| {
            weight.copy_from_slice(weight_gradient);
            bias.copy_from_slice(bias_gradient);
        });
        (weight, bias)
    }

    /// All logits of a block of users, shape `(users, n_items)`; each row from the user's hidden row alone, as in
    /// [`Self::logits_of`].
    pub(crate) fn logits(&self, hidden: ArrayView2<'_, T>, mut out: ArrayViewMut2<'_, T>) {
        let n_items = self.n_items();
        if n_items == 0 {
            return;
        }
        par_products(hidden, self.weight.view2((n_items, self.width)), out.view_mut());
        row_major_mut(out).par_chunks_mut(n_items).for_each(|out| add(out, &self.bias));
    }

    /// The logits of some items, shape `(users, items)`.
    pub(crate) fn logits_of(&self, hidden: ArrayView2<'_, T>, items: &[u32], mut out: ArrayViewMut2<'_, T>) {
        if items.is_empty() {
            return;
        }
        let row = |item: u32| &self.weight[item as usize * self.width..][..self.width];
        let weight: Vec<T> = items.iter().flat_map(|&item| row(item)).copied().collect();
        let bias: Vec<T> = items.iter().map(|&item| self.bias[item as usize]).collect();
        par_products(hidden, view2(&weight, (items.len(), self.width)), out.view_mut());
        row_major_mut(out).par_chunks_mut(items.len()).for_each(|out| add(out, &bias));
    }
}

/// The items of an ascending history from `first` to below `end`.
fn between(history: &[u32], first: usize, end: usize) -> &[u32] {
    let from = history.partition_point(|&item| (item as usize) < first);
    // Few of a history are in one block.
    let n = history[from..].iter().take_while(|&&item| (item as usize) < end).count();
    &history[from..from + n]
}

vectorised! {
    /// Adds the biases to the logits, and gives back the largest of the result and `maximum`.
    fn add_and_maximum(logits: &mut [T], bias: &[T], maximum: T) -> T {
        let mut lanes = [maximum; 16];
        for (logits, bias) in logits.chunks_mut(16).zip(bias.chunks(16)) {
            for ((lane, logit), &bias) in lanes.iter_mut().zip(logits).zip(bias) {
                *logit += bias;
                *lane = lane.max(*logit);
            }
        }
        lanes.iter().fold(maximum, |maximum, &lane| maximum.max(lane))
    }

    /// Sum of the exponentials of the logits less their maximum.
    fn sum_of_exponentials(logits: &[T], maximum: T) -> T {
        sum_of(logits, |logit| (logit - maximum).exp())
    }

    /// Fills `out` by the exponentials of the logits less their maximum, and gives back their sum.
    fn exponentials(logits: &[T], maximum: T, out: &mut [T]) -> T {
        let mut lanes = [T::ZERO; 16];
        for (logits, out) in logits.chunks(16).zip(out.chunks_mut(16)) {
            for ((lane, &logit), out) in lanes.iter_mut().zip(logits).zip(out) {
                *out = (logit - maximum).exp();
                *lane += *out;
            }
        }
        lanes.iter().fold(T::ZERO, |sum, &lane| sum + lane)
    }

    /// [`exponentials`] over the logits themselves.
    fn exponentials_in_place(logits: &mut [T], maximum: T) -> T {
        let mut lanes = [T::ZERO; 16];
        for logits in logits.chunks_mut(16) {
            for (lane, logit) in lanes.iter_mut().zip(logits) {
                *logit = (*logit - maximum).exp();
                *lane += *logit;
            }
        }
        lanes.iter().fold(T::ZERO, |sum, &lane| sum + lane)
    }

    /// `out = share * exp(logits - log_sum)`.
    fn softmax(logits: &[T], log_sum: T, share: T, out: &mut [T]) {
        for (out, &logit) in out.iter_mut().zip(logits) {
            *out = share * (logit - log_sum).exp();
        }
    }
}

/// Adam's moments of an [`OutputLayer`].
pub(crate) struct OutputMoments<T> {
    weight: Moments<T>,
    bias: Moments<T>,
}

impl<T: Real> OutputMoments<T> {
    pub(crate) fn zeros(layer: &OutputLayer<T>) -> Self {
        Self { weight: Moments::zeros(layer.weight.len()), bias: Moments::zeros(layer.bias.len()) }
    }
}

impl OutputMoments<f32> {
    pub(super) fn state<'a>(&'a mut self, name: &str, state: &mut State<'a>) {
        self.weight.state(&format!("{name}.weight"), state);
        self.bias.state(&format!("{name}.bias"), state);
    }
}
