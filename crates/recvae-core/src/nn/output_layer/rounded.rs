//! The walk over the items of a tile in mixed precision.

use std::ops::Range;

use super::rounded_gradient::{keep, kept_lines};
use super::{ITEMS, Kept, OutputLayer, Tile, sum_of_exponentials};
use crate::math::bf16::{
    Left, Level, Line, Rows, Start, exponentials, exponentials_in_place, largest, multiply_rows_by,
};
use crate::math::real::Real;
use crate::nn::copies::ItemCopies;
use crate::nn::scratch::Scratch;

/// Users whose logits of a block are computed and used before those of the next ones: they stay in the first level
/// cache beside what AMX reads, or, in the slower products of AVX-512, in the second, with fewer rows that fill no
/// tile.
fn strip(level: Level) -> usize {
    if level == Level::Amx { 32 } else { STRIP }
}

/// The most that there are.
const STRIP: usize = 64;

/// How far logits may be above what their exponentials are relative to before the sums are rescaled: a power of e by
/// which nothing overflows.
const SLACK: f64 = 8.0;

/// From a user's logits of a block to the next user's: rows that are a power of two apart would share few places in the
/// cache.
const STEP: usize = ITEMS + 16;

/// A tile of users.
pub(super) struct Rounded<'a> {
    pub(super) histories: &'a [&'a [u32]],
    /// Their hidden rows.
    pub(super) hidden: Left<'a>,
    /// The layer's weights.
    pub(super) copies: &'a ItemCopies,
    pub(super) lines: &'a Scratch<Line>,
}

impl<T: Real> OutputLayer<T> {
    /// [`Self::fill`] by products of bf16. The logits are f32, and so are the exponentials, but for what the product on
    /// the way back reads of them.
    pub(super) fn fill_rounded(
        &self,
        tile: &mut Tile<T>,
        Rounded { histories, hidden, copies, lines }: Rounded<'_>,
        items: Range<usize>,
        weighted: &mut [T],
        kept: Kept<'_, T>,
    ) {
        let level = copies.level;
        let (users, length) = (histories.len(), strip(level));
        let per_line = size_of::<Line>() / size_of::<T>();
        let (width, hidden_gradient) = (weighted.len() / users, !weighted.is_empty());
        tile.begin(users);
        tile.walked.clear();
        let before = |history: &&[u32]| history.partition_point(|&item| (item as usize) < items.start);
        tile.walked.extend(histories.iter().map(before));
        let mut kept = if let Kept::Exponentials(kept) = kept { Some(kept) } else { None };
        tile.blocks.begin();
        let n_logits = length * STEP / per_line;
        let of_block = Rows::of(level, ITEMS);
        let n_exponentials = if hidden_gradient { of_block.lines(length) } else { 0 };
        let mut lines = lines.take(n_logits + n_exponentials);
        let (logits, rounded) = lines.split_at_mut(n_logits);
        let logits: &mut [T] = bytemuck::cast_slice_mut(logits);
        // Lines of the blocks before, of what is kept.
        let mut before = 0;
        let (mut maxima, mut sums) = ([T::ZERO; STRIP], [T::ZERO; STRIP]);
        for first in items.clone().step_by(ITEMS) {
            let n = ITEMS.min(items.end - first);
            let bias = &self.bias[first..first + n];
            let block = copies.block(first);
            let next = if first + ITEMS < items.end { Some(copies.block(first + ITEMS)) } else { None };
            for strip in (0..users).step_by(length) {
                let some = strip..users.min(strip + length);
                let logits = &mut logits[..some.len() * STEP];
                let ahead = next.as_ref().map_or(&[][..], |next| next.forward.share(strip..some.end, users));
                multiply_rows_by(
                    level,
                    hidden.some(some.clone()),
                    block.forward,
                    Start::Row(bias),
                    logits,
                    STEP,
                    ahead,
                );
                let (maxima, sums) = (&mut maxima[..some.len()], &mut sums[..some.len()]);
                maxima.copy_from_slice(&tile.maximum[some.clone()]);
                largest(logits, STEP, n, maxima);
                for (maximum, &before) in maxima.iter_mut().zip(&tile.maximum[some.clone()]) {
                    if *maximum <= before + T::from_f64(SLACK) {
                        *maximum = before;
                    }
                }
                for (at, user) in some.clone().enumerate() {
                    let own = tile.own_items(user, histories[user], first + n);
                    let logit = |&item: &u32| logits[at * STEP + item as usize - first];
                    tile.own[user] += own.iter().map(logit).fold(T::ZERO, |sum, logit| sum + logit);
                    if kept.is_some() {
                        tile.blocks.add_own(user, own, first);
                    }
                }
                let rows = Rows::of(level, n);
                match &mut kept {
                    Some(kept) => {
                        exponentials_in_place(logits, STEP, n, maxima, sums);
                        keep(level, logits, [STEP, n], strip, users, &mut kept[before..]);
                        if hidden_gradient {
                            rows.round_some(logits, STEP, n, rounded);
                        }
                    }
                    None if hidden_gradient => exponentials(logits, STEP, n, maxima, sums, rows, rounded),
                    None => {
                        let all = logits.chunks(STEP).zip(&*maxima).zip(&mut *sums);
                        all.for_each(|((logits, &maximum), sum)| *sum = sum_of_exponentials(&logits[..n], maximum));
                    }
                }
                for (user, (&maximum, &sum)) in some.clone().zip(maxima.iter().zip(&*sums)) {
                    tile.add(user, maximum, sum, weighted);
                }
                if hidden_gradient {
                    let exponentials = rows.left(rounded, some.len());
                    let ahead = next.as_ref().map_or(&[][..], |next| next.backward.share(strip..some.end, users));
                    let start = if first == items.start { Start::Zero } else { Start::Out };
                    let weighted = &mut weighted[some.start * width..some.end * width];
                    multiply_rows_by(level, exponentials, block.backward, start, weighted, width, ahead);
                }
            }
            if kept.is_some() {
                tile.blocks.end_block(&tile.maximum);
                before += kept_lines(users, n);
            }
        }
    }
}
