//! Lists of the best items from scores in bf16, with the bits of those from all scores.
//!
//! Where scores are products ([`Factors`]), a first round computes them from numbers that are rounded to bf16: half the
//! bytes, and on some processors half the time ([`bf16`](crate::math::bf16)). For each user there is a bound `E` on how
//! far such a score is from the one that the model gives. `k` items have a first score of at least `t`, so each of
//! these has a score of at least `t - E`; what has a first score below `t - 2 E` has a score below that, and cannot be
//! in the list, whatever ties there are. What is left is the shortlist, usually a few items more than the list. It is
//! scored as ever, number by number in the same order, and the list is the best of it.
//!
//! **The bound.** With `h'` and `w'` the rounded vectors, `d` numbers each, and by the Cauchy-Schwarz inequality
//!
//! ```text
//! | h w - h' w' | <= |h - h'| |w'| + |h| |w - w'|
//! ```
//!
//! The norms are computed, those of the items once, of which the largest count. Sums in f32 add to that: either score
//! is a sum of `d + 1` terms in some order, in which each term is rounded at most `2 d + 4` times by half a unit in the
//! last place: `2 d + 4` times `2^-23`, which is twice as much as that allows, times `|h| |w| + |b|` for either. What
//! is below the normal numbers may be lost, `2^-126` for each number that is read and each that is computed. Where
//! numbers are so large that a sum could overflow, and where one is not a number, there is no bound, and scores are
//! computed as ever.
//!
//! Scores come for a tile of users and a block of items at a time and stay in the cache. A sample of the blocks comes
//! first: from its best items follows a first score that `k` of all items are very likely to reach, and of the other
//! blocks only such items are kept that reach it less `2 E`. Where fewer than `k` reach it, and where too much is kept,
//! as for a user with equal scores for most items, the list comes from all scores, too.

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use crate::base::error::Result;
use crate::base::numbers::Numbers;
use crate::base::processor::is_bf16_faster;
use crate::evaluate::factors::Factors;
use crate::evaluate::scorer::{Scored, Scorer};
use crate::evaluate::top_k::{BLOCK, PLAIN, best_of_few, key, score_of, top_k, with_missing};
use crate::math::bf16::{
    Level, Line, Right, Rows, Start, level, multiply_rows_by, pairs, panels_len, rows_into_panels,
};
use crate::math::reach::{LANES, for_each_place, reaching};
use crate::math::real::{Real, rounded_to_bf16};
use crate::math::vectorised::vectorised;

/// The fewest and the most users of a tile; between them every thread gets two. The items come from memory once for
/// each tile.
const USERS: [usize; 2] = [96, 512];
/// Items of a block, which stays in the second-level cache while the users of a tile read it.
const ITEMS: usize = 256;
const _: () = assert!(ITEMS <= 1 << u8::BITS);
/// Users of a tile whose scores of a block are computed before they are looked at. The fewer, the closer the scores
/// are; the more, the less often the block comes from the second-level cache.
const STRIP: usize = 64;
/// From a user's scores of a block to the next user's: rows that are a power of two apart would share few places in the
/// cache.
const STEP: usize = ITEMS + 16;
/// One block in so many is looked at first, to guess from which first score on items are worth to be kept.
const SAMPLE: usize = 8;
/// The fewest items for which it is worth it.
const LEAST_ITEMS: usize = 2 * SAMPLE * ITEMS;
/// Users whose vectors there are at a time: enough tiles for many threads.
const VECTORS: usize = 8 * BLOCK;
/// The fewest users for whom it is worth to round all items: that takes as long as the lists of some dozens.
const LEAST_USERS: usize = 512;
/// A shortlist is no longer than one item in so many: scoring single items costs several times what it costs among all.
const SHORT: usize = 8;
/// A vector is no longer than that, which bounds what the items take in bf16: twice as much as the scores of a block of
/// users.
const LONGEST: usize = 4 * BLOCK;
/// What bounds scores of which no sum can overflow.
pub(super) const LARGEST: f64 = 1e37;

/// The items of a model in bf16, and what bounds the scores from them.
pub(crate) struct Shortlists<'m> {
    factors: Factors<'m>,
    k: usize,
    level: Level,
    /// Panels, block by block of items.
    rounded: Numbers<Line>,
    /// The largest of the items' vectors.
    norms: Norms,
    largest_bias: f64,
}

/// Numbers of f32 that lists of many users take for each item whose vector has so many numbers, at most, by this way or
/// from all scores.
pub(crate) fn numbers_per_item(width: usize) -> usize {
    let shortlists = if width <= LONGEST { pairs(width).next_multiple_of(16) + PLAIN } else { 0 };
    shortlists.max(BLOCK)
}

/// The norm of a vector and that of what rounding takes from it, or upper bounds of them.
#[derive(Clone, Copy, Default)]
pub(super) struct Norms {
    pub(super) all: f64,
    lost: f64,
}

impl Norms {
    pub(super) fn of(vector: &[f32]) -> Self {
        let [all, lost] = squares(vector).map(f64::sqrt);
        // The sums above are in f64, whose rounding is far below this; and what is below the normal numbers may count
        // as 0.
        let subnormal = (vector.len() as f64).sqrt() * f64::from(f32::MIN_POSITIVE);
        Self { all: all * (1.0 + 1e-9), lost: lost * (1.0 + 1e-9) + subnormal }
    }

    fn max(self, other: Self) -> Self {
        Self { all: larger(self.all, other.all), lost: larger(self.lost, other.lost) }
    }
}

/// NaN where one of them is.
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if a >= b || a.is_nan() { a } else { b }
}

/// The largest magnitude of some numbers, or NaN.
pub(super) fn largest_of(numbers: &[f32]) -> f64 {
    numbers.iter().fold(0.0, |largest, number| larger(largest, number.abs().into()))
}

/// How far two sums in f32 can be apart that are the same but for their order, each with so many roundings of terms
/// that are no more than `size` in all: with `steps` roundings of a term by half a unit in the last place either is off
/// by half of this at most.
pub(super) fn rounding(steps: f64, size: f64) -> f64 {
    2.0 * steps * (f64::from(f32::EPSILON) * size + f64::from(f32::MIN_POSITIVE))
}

vectorised! {
    /// The sum of the squares of numbers, and that of what rounding to bf16 takes from them. The former is NaN where a
    /// number is.
    fn squares(values: &[T]) -> [f64; 2] {
        // Sums for so many numbers side by side: the compiler makes vectors of loops, and none of eight sums.
        const SUMS: usize = 64;
        let (mut all, mut lost) = ([0f64; SUMS], [0f64; SUMS]);
        for values in values.chunks(SUMS) {
            for ((&value, all), lost) in values.iter().zip(&mut all).zip(&mut lost) {
                let number = value.to_f64();
                let bits = (number as f32).to_bits();
                let rounding = number - f64::from(f32::from_bits(rounded_to_bf16(bits) & 0xffff_0000));
                *all += number * number;
                *lost += rounding * rounding;
            }
        }
        [all, lost].map(|sums| sums.iter().sum())
    }
}

impl<'m> Shortlists<'m> {
    /// For lists of `k` items for so many users; `None` where all scores are the sooner way.
    pub(crate) fn of(model: &'m dyn Scorer, n_users: usize, k: usize) -> Option<Self> {
        let n_items = model.n_items();
        let fits = n_items >= LEAST_ITEMS && (1..=n_items / (2 * SHORT)).contains(&k);
        let is_worth_it = is_bf16_faster() && n_users >= LEAST_USERS && fits;
        let factors = if is_worth_it { model.factors()? } else { return None };
        (factors.width <= LONGEST).then(|| Self::new(factors, k, level()))
    }

    fn new(factors: Factors<'m>, k: usize, level: Level) -> Self {
        let (width, n_items) = (factors.width, factors.n_items());
        let (whole, rest) = (n_items / ITEMS, n_items % ITEMS);
        let mut rounded = Numbers::<Line>::zeros(whole * panels_len(width, ITEMS) + panels_len(width, rest));
        let blocks = rounded.par_chunks_mut(panels_len(width, ITEMS)).zip(factors.items.par_chunks(ITEMS * width));
        let norms = blocks.map(|(rounded, items)| {
            rows_into_panels(items, width, rounded);
            items.chunks_exact(width).map(Norms::of).fold(Norms::default(), Norms::max)
        });
        let norms = norms.reduce(Norms::default, Norms::max);
        let largest_bias = factors.biases.map_or(0.0, largest_of);
        Self { factors, k, level, rounded, norms, largest_bias }
    }

    /// `2 E` for a user, if there is a bound.
    fn margin(&self, vector: &[f32]) -> Option<f64> {
        let (user, item) = (Norms::of(vector), self.norms);
        let steps = 2.0 * self.factors.width as f64 + 4.0;
        let size = (user.all + user.lost) * (item.all + item.lost) + self.largest_bias;
        let lost = user.lost * (item.all + item.lost) + user.all * item.lost;
        // Not where a part is NaN, either.
        (size < LARGEST && lost < LARGEST).then(|| 2.0 * (lost + rounding(steps, size)))
    }

    /// As [`for_each_list`](super::lists::for_each_list), of whose model it is made.
    pub(crate) fn for_each_list<'a, R: Send>(
        &self,
        model: &dyn Scorer,
        histories: &[&[u32]],
        left_out: impl Fn(usize) -> Cow<'a, [u32]> + Sync,
        each: impl Fn(usize, Vec<Scored>, &dyn Fn(u32) -> f32) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let width = self.factors.width;
        let mut results = Vec::with_capacity(histories.len());
        for block in histories.chunks(VECTORS) {
            let first = results.len();
            let vectors = self.factors.vectors(block)?;
            let users = users_of_tile(block.len());
            let tiles = vectors.par_chunks(users * width).enumerate().flat_map_iter(|(tile, vectors)| {
                let first = first + tile * users;
                let lists = self.lists(vectors, |user| left_out(first + user));
                let of_each = (first..).zip(lists).zip(vectors.chunks_exact(width));
                let each = &each;
                of_each.map(move |((user, list), vector)| {
                    let score = |item: u32| self.factors.scores(vector, &[item])[0];
                    list.map(|list| each(user, list, &score)).transpose()
                })
            });
            let found: Vec<Option<R>> = tiles.collect::<Result<_>>()?;
            results.extend(with_missing(model, block, found, |at, scores| {
                let user = first + at;
                each(user, top_k(scores, &left_out(user), self.k)?, &|item| scores[item as usize])
            })?);
        }
        Ok(results)
    }

    /// The lists of users by their vectors, but of those who need all scores.
    fn lists<'a>(&self, vectors: &[f32], left_out: impl Fn(usize) -> Cow<'a, [u32]>) -> Vec<Option<Vec<Scored>>> {
        let Factors { width, biases, .. } = self.factors;
        let n_users = vectors.len() / width;
        let rows = Rows::of(self.level, width);
        let mut rounded = vec![Line::default(); rows.lines(n_users)];
        rows.round(vectors, width, &mut rounded);
        let left_out: Vec<_> = (0..n_users).map(left_out).collect();
        let shortlist = |(vector, left_out)| {
            Some(Shortlist::new(self.k, self.factors.n_items() / SHORT, self.margin(vector)?, left_out))
        };
        let mut shortlists: Vec<Option<Shortlist<'_>>> =
            vectors.chunks_exact(width).zip(left_out.iter().map(|items| &**items)).map(shortlist).collect();
        let mut scores = vec![Line::default(); STRIP * STEP * size_of::<f32>() / size_of::<Line>()];
        // While a block is read, the next one comes into the second-level cache.
        let mut add = |shortlists: &mut [Option<Shortlist<'_>>], block: usize, right: &[Line], next: &[Line]| {
            let items = block * ITEMS..self.factors.n_items().min((block + 1) * ITEMS);
            let biases = biases.map(|biases| &biases[items.clone()]);
            let (left, right) = (rows.left(&rounded, n_users), Right::new(right, width, items.len()));
            let mut next = next.chunks(next.len().div_ceil(n_users.div_ceil(STRIP)).max(1));
            for (number, shortlists) in shortlists.chunks_mut(STRIP).enumerate() {
                let users = number * STRIP..number * STRIP + shortlists.len();
                let scores: &mut [f32] = &mut bytemuck::cast_slice_mut(&mut scores)[..users.len() * STEP];
                let ahead = next.next().unwrap_or_default();
                multiply_rows_by(self.level, left.some(users), right, Start::Zero, scores, STEP, ahead);
                for (shortlist, scores) in shortlists.iter_mut().zip(scores.chunks_exact_mut(STEP)) {
                    let scores = &mut scores[..items.len()];
                    if shortlist.as_mut().is_some_and(|shortlist| !shortlist.add(items.clone(), scores, biases)) {
                        *shortlist = None;
                    }
                }
            }
        };
        let mut add_blocks = |shortlists: &mut [Option<Shortlist<'_>>], sampled: bool| {
            let all = self.rounded.chunks(panels_len(width, ITEMS)).enumerate();
            let mut blocks = all.filter(|(block, _)| (block % SAMPLE == SAMPLE / 2) == sampled).peekable();
            while let Some((block, right)) = blocks.next() {
                add(shortlists, block, right, blocks.peek().map_or(&[], |&(_, next)| next));
            }
        };
        add_blocks(&mut shortlists, true);
        shortlists.iter_mut().flatten().for_each(Shortlist::guess);
        add_blocks(&mut shortlists, false);
        let list = |(shortlist, vector): (Option<Shortlist<'_>>, &[f32])| {
            let items = shortlist?.items()?;
            Some(best_of_few(&items, &self.factors.scores(vector, &items), self.k))
        };
        shortlists.into_iter().zip(vectors.chunks_exact(width)).map(list).collect()
    }
}

fn users_of_tile(n: usize) -> usize {
    let [fewest, most] = USERS;
    n.div_ceil(2 * rayon::current_num_threads()).next_multiple_of(STRIP).clamp(fewest, most)
}

/// What may be in the list of a user, of the items that were looked at.
struct Shortlist<'a> {
    k: usize,
    longest: usize,
    margin: f64,
    left_out: &'a [u32],
    /// Those of them that are to come, ascending.
    ahead: &'a [u32],
    /// Items with first scores, as [`key`]s: all that reach `least`.
    found: Vec<u64>,
    least: f32,
    /// The first score by the sample from which on items are kept, which may be too high; `None` in the sample.
    guess: Option<f32>,
    /// How many are found when it is time to leave some out.
    next: usize,
}

impl<'a> Shortlist<'a> {
    /// The rank in a sample of one in [`SAMPLE`] items that at least `k` of all items reach, but for one user in some
    /// hundreds: three standard deviations beyond `k / SAMPLE`, the rank that `k` reach on average.
    fn rank_in_sample(k: usize) -> usize {
        let mean = k as f64 / SAMPLE as f64;
        (mean + 3.0 * mean.sqrt() + 4.0).ceil() as usize
    }

    fn new(k: usize, longest: usize, margin: f64, left_out: &'a [u32]) -> Self {
        let next = 4 * Self::rank_in_sample(k);
        let found = Vec::with_capacity(next.max(4 * k) + ITEMS);
        // All first scores are finite.
        Self { k, longest, margin, left_out, ahead: left_out, found, least: f32::MIN, guess: None, next }
    }

    /// Looks at the items of a block, which comes after the one before it, by their scores without biases, and leaves
    /// those of items that are left out at minus infinity. False where too much is found.
    fn add(&mut self, items: Range<usize>, scores: &mut [f32], biases: Option<&[f32]>) -> bool {
        let passed = self.ahead.iter().take_while(|&&item| (item as usize) < items.start).count();
        let ahead = &self.ahead[passed..];
        let here = ahead.iter().take_while(|&&item| (item as usize) < items.end).count();
        ahead[..here].iter().for_each(|&item| scores[item as usize - items.start] = f32::NEG_INFINITY);
        self.ahead = &ahead[here..];
        let mut bits = [0; ITEMS / LANES];
        let bits = &mut bits[..scores.len().div_ceil(LANES)];
        reaching(scores, biases, self.least, bits);
        // Places first: what is found could be moved at every single item that is added to it.
        let (mut places, mut n) = ([0u8; ITEMS], 0);
        for_each_place(bits, |at| {
            places[n] = at as u8;
            n += 1;
        });
        self.found.extend(places[..n].iter().map(|&at| {
            let at = usize::from(at);
            key(biases.map_or(scores[at], |biases| scores[at] + biases[at]), (items.start + at) as u32)
        }));
        if self.found.len() >= self.next {
            self.shorten();
        }
        let most = match self.guess {
            // The sample's share, and what there is before it is shortened.
            None => (self.longest / SAMPLE).max(4 * Self::rank_in_sample(self.k) + ITEMS),
            Some(_) => self.longest,
        };
        self.found.len() <= most
    }

    /// Leaves out what cannot be in the list, in the sample what is unlikely to be.
    fn shorten(&mut self) {
        let best = if self.guess.is_none() { Self::rank_in_sample(self.k) } else { self.k };
        if self.found.len() >= best {
            let bar = score_of(*self.found.select_nth_unstable(best - 1).1);
            // Down, so that rounding leaves nothing out.
            let least = ((f64::from(bar) - self.margin) as f32).next_down();
            self.least = self.least.max(least);
            self.found.retain(|&key| score_of(key) >= self.least);
        }
        self.next = (if self.guess.is_none() { 4 } else { 2 }) * self.found.len().max(best);
    }

    /// The sample is over, and the other items come.
    fn guess(&mut self) {
        self.shorten();
        (self.guess, self.ahead, self.next) = (Some(self.least), self.left_out, self.next.max(4 * self.k));
    }

    /// The items, in any order, unless the guess left out something that may be in the list.
    fn items(mut self) -> Option<Vec<u32>> {
        self.shorten();
        let is_whole = self.guess.is_some_and(|guess| guess == f32::MIN || self.least > guess);
        is_whole.then(|| self.found.iter().map(|&key| key as u32).collect())
    }
}

#[cfg(test)]
mod tests;
