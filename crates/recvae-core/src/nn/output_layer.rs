//! The last layer of a decoder with the multinomial likelihood, as one operation: no matrix of users x items is needed.
//!
//! With hidden rows `z` of shape `(batch, width)`, weights `W` of `(n_items, width)` and a user's history `x` of `n`
//! items: logits `l = z W' + b`, log-likelihood `sum over x of l - n logsumexp(l)`, gradient with respect to the logits
//! `x - n softmax(l)`.
//!
//! The batch is cut into tiles of users x groups of items; a tile walks over its items in blocks that stay in the
//! second level cache: logits, their maximum so far, exponentials, and at once the product of these with the same rows
//! of `W`, which is what the gradient with respect to `z` needs. Sums are rescaled when the maximum grows, in mixed
//! precision by more than a little, and the groups of a user are put together at the end. Only if the weights are to be
//! updated the logits are kept, or in mixed precision their exponentials, for a second walk that turns each block into
//! the gradient of its rows of `W` and hands that to Adam.
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
use crate::math::bf16::{Level, Line};
use crate::math::matmul::{matmul, matmul_add, rows, rows_mut};
use crate::math::products::par_products;
use crate::math::real::Real;
use crate::math::vectorised::{add, add_scaled, scale, sum_of, vectorised};

mod gradient;
mod rounded;
mod rounded_gradient;

use gradient::Batch;
use rounded::Rounded;
use rounded_gradient::{OfBlocks, kept_lines};

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
    /// The same: each user's sum of exponentials times rows of W, in rows of `step` numbers.
    weighted: Numbers<Line>,
    step: usize,
    /// Per tile of users, per group, per block the logits `(users, items)`: the largest thing that a step keeps, if the
    /// weights are to be updated.
    logits: Numbers<T>,
    scratch: Scratch<T>,
    /// In mixed precision the weights in bf16, and room for what else products read; instead of the logits their
    /// exponentials.
    copies: Option<ItemCopies>,
    hidden: Vec<Line>,
    exponentials: Numbers<Line>,
    lines: Scratch<Line>,
}

/// What a walk keeps of a tile of users and a group of items for the gradient of the weights.
enum Kept<'a, T> {
    Nothing,
    Logits(&'a mut [T]),
    Exponentials(&'a mut [Line]),
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
    /// In mixed precision how many of the user's own items the walk has left behind, and what the gradient of the
    /// weights needs.
    walked: Vec<usize>,
    blocks: OfBlocks<T>,
}

impl<T: Real> Tile<T> {
    /// Nothing is found yet for so many users.
    fn begin(&mut self, users: usize) {
        for (sums, start) in
            [(&mut self.maximum, T::from_f64(f64::NEG_INFINITY)), (&mut self.sum, T::ZERO), (&mut self.own, T::ZERO)]
        {
            sums.clear();
            sums.resize(users, start);
        }
    }

    /// The items of a user's history that the walk comes to up to `end`, for which no search is needed.
    fn own_items<'a>(&mut self, user: usize, history: &'a [u32], end: usize) -> &'a [u32] {
        let ahead = &history[self.walked[user]..];
        let own = &ahead[..ahead.iter().take_while(|&&item| (item as usize) < end).count()];
        self.walked[user] += own.len();
        own
    }

    /// Adds a block's sum of exponentials relative to `maximum`, which is near the largest logit so far, to the user's,
    /// which is rescaled to that, as is the user's row of `weighted`.
    fn add(&mut self, user: usize, maximum: T, sum: T, weighted: &mut [T]) {
        if self.maximum[user] == maximum {
            self.sum[user] += sum;
            return;
        }
        let old = std::mem::replace(&mut self.maximum[user], maximum);
        let rescale = (old - maximum).exp();
        self.sum[user] = self.sum[user] * rescale + sum;
        // Of the first block nothing is there yet.
        if old > T::from_f64(f64::NEG_INFINITY) {
            let step = weighted.len() / self.maximum.len();
            scale(&mut weighted[user * step..][..step], rescale);
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
        let is_rounded = out.copies.is_some();
        let (mut n_logits, mut n_lines) = (0, 0);
        if want.weight_gradient {
            let lines = histories.chunks(USERS).map(|histories| kept_lines(histories.len(), self.n_items()));
            (n_logits, n_lines) = if is_rounded { (0, lines.sum()) } else { (histories.len() * self.n_items(), 0) };
        }
        if out.logits.len() < n_logits {
            out.logits = Numbers::zeros(n_logits);
        }
        if out.exponentials.len() < n_lines {
            out.exponentials = Numbers::zeros(n_lines);
        }
        // In mixed precision in whole lines of the cache, or the stores of a product take twice as long.
        let per_line = size_of::<Line>() / size_of::<T>();
        let step = if is_rounded { width.next_multiple_of(per_line) } else { width };
        out.step = if want.hidden_gradient { step } else { 0 };
        let n_weighted = weighted_lines::<T>(out.step);
        if out.weighted.len() < out.tiles.len() * n_weighted {
            out.weighted = Numbers::zeros(out.tiles.len() * n_weighted);
        }
        let step = out.step;
        let mut weighted = &mut out.weighted[..];
        let LogLikelihood { tiles, logits, exponentials, scratch, copies, hidden: in_bf16, lines, .. } = out;
        let rounded = copies.as_ref().map(|copies| (rounded(copies.level, hidden, width, in_bf16), copies));
        let (mut logits, mut exponentials) = (&mut logits[..n_logits], &mut exponentials[..n_lines]);
        let mut tasks = Vec::with_capacity(tiles.len());
        for (number, tiles) in tiles.chunks_mut(n_groups).enumerate() {
            let users = number * USERS..histories.len().min((number + 1) * USERS);
            for (number, tile) in tiles.iter_mut().enumerate() {
                let items = number * group..((number + 1) * group).min(self.n_items());
                let kept = match (want.weight_gradient, is_rounded) {
                    (false, _) => Kept::Nothing,
                    (true, false) => {
                        Kept::Logits(logits.split_off_mut(..users.len() * items.len()).expect("room for all"))
                    }
                    (true, true) => Kept::Exponentials(
                        exponentials.split_off_mut(..kept_lines(users.len(), items.len())).expect("room for all"),
                    ),
                };
                let weighted = bytemuck::cast_slice_mut(weighted.split_off_mut(..n_weighted).expect("room for all"));
                tasks.push((users.clone(), items, tile, &mut weighted[..users.len() * step], kept));
            }
        }
        tasks.into_par_iter().for_each(|(users, items, tile, weighted, kept)| match rounded {
            Some((hidden, copies)) => {
                let hidden = hidden.some(users.clone());
                let rounded = Rounded { histories: &histories[users], hidden, copies, lines };
                self.fill_rounded(tile, rounded, items, weighted, kept);
            }
            None => {
                let hidden = &hidden[users.start * width..users.end * width];
                let users = Users { histories: &histories[users], hidden };
                self.fill(tile, users, items, weighted, kept, scratch);
            }
        });
        self.put_together(histories, n_groups, want, out);
    }

    /// Walks over the items of a tile; `weighted` is empty if the gradient of the hidden rows is not wanted, and `kept`
    /// is where the logits stay, if they do.
    #[allow(clippy::too_many_arguments)]
    fn fill(
        &self,
        tile: &mut Tile<T>,
        Users { histories, hidden }: Users<'_, T>,
        items: Range<usize>,
        weighted: &mut [T],
        kept: Kept<'_, T>,
        scratch: &Scratch<T>,
    ) {
        let (width, users, hidden_gradient) = (self.width, histories.len(), !weighted.is_empty());
        tile.begin(users);
        weighted.fill(T::ZERO);
        let mut kept = if let Kept::Logits(kept) = kept { Some(kept) } else { None };
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
                tile.add(user, maximum, sum, weighted);
            }
            if hidden_gradient {
                let exponentials = other.map_or(&*logits, |other| &other[..users * n]);
                matmul_add(rows_mut(weighted, width), rows(exponentials, n), weight);
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
        let (tiles, log_sum, weighted, step) = (&out.tiles, &out.log_sum, &out.weighted, out.step);
        out.hidden_gradient.par_chunks_mut(width).enumerate().for_each(|(user, gradient)| {
            gradient.fill(T::ZERO);
            sum_of_rows(&self.weight, histories[user], gradient);
            let n = T::from_f64(histories[user].len() as f64);
            for (group, tile) in tiles.iter().enumerate().skip(user / USERS * n_groups).take(n_groups) {
                let share = n * (tile.maximum[user % USERS] - log_sum[user]).exp();
                let weighted: &[T] = bytemuck::cast_slice(&weighted[group * weighted_lines::<T>(step)..]);
                add_scaled(gradient, &weighted[user % USERS * step..][..width], -share);
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
        let level = all_copies.as_ref().map(|copies| copies.level);
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
        let batch = Batch { hidden, histories, found, n_items, width: self.width, level };
        batch.for_each_gradient(targets, |((((((w, wm), wv), b), bm), bv), copies), weight_gradient, bias_gradient| {
            update(step, w, weight_gradient, wm, wv);
            update(step.without_squares(), b, bias_gradient, bm, bv);
            copies.iter_mut().for_each(|copies| copies.renew(w));
        });
        found.copies = all_copies;
    }

    /// From here on the products that use the memory are in mixed precision.
    pub(super) fn round(&self, level: Level, memory: &mut LogLikelihood<T>) {
        memory.copies = Some(ItemCopies::of(level, &self.weight, self.width, ITEMS));
    }

    /// Brings the copies of the weights up to date, if there are any.
    pub(super) fn renew_copies(&self, memory: &mut LogLikelihood<T>) {
        memory.copies.iter_mut().for_each(|copies| copies.renew(&self.weight));
    }

    /// The gradients of weight and bias, for tests.
    #[cfg(test)]
    pub(crate) fn gradients(&self, hidden: &[T], histories: &[&[u32]], found: &LogLikelihood<T>) -> (Vec<T>, Vec<T>) {
        let (mut weight, mut bias) = (vec![T::ZERO; self.weight.len()], vec![T::ZERO; self.bias.len()]);
        let (n_items, level) = (self.n_items(), found.copies.as_ref().map(|copies| copies.level));
        let batch = Batch { hidden, histories, found, n_items, width: self.width, level };
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

/// Lines that a tile of users takes with rows of `step` numbers.
fn weighted_lines<T>(step: usize) -> usize {
    USERS * step * size_of::<T>() / size_of::<Line>()
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
