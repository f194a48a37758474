//! The walk over the items of a tile in mixed precision.

use std::ops::Range;

use super::{ITEMS, OutputLayer, Tile, sum_of_exponentials};
use crate::math::bf16::{Left, Level, Line, Pair, Start, level, multiply, pairs};
use crate::math::real::Real;
use crate::math::vectorised::vectorised;
use crate::nn::copies::ItemCopies;
use crate::nn::scratch::Scratch;

/// Users whose logits of a block are computed and used before those of the next ones: they stay in the first level cache beside what
/// AMX reads, or, in the slower products of AVX-512, in the second, with fewer rows that fill no tile.
fn strip() -> usize {
    if level() == Level::Amx { 32 } else { 64 }
}

/// A tile of users.
pub(super) struct Rounded<'a> {
    pub(super) histories: &'a [&'a [u32]],
    /// Their hidden rows.
    pub(super) hidden: Left<'a>,
    /// The layer's weights.
    pub(super) copies: &'a ItemCopies,
    pub(super) pairs: &'a Scratch<Pair>,
    pub(super) lines: &'a Scratch<Line>,
}

impl<T: Real> OutputLayer<T> {
    /// [`Self::fill`] by products of bf16. The logits are f32, and so are the exponentials, but for what the product on the way
    /// back reads of them.
    pub(super) fn fill_rounded(
        &self,
        tile: &mut Tile<T>,
        Rounded { histories, hidden, copies, pairs: room, lines }: Rounded<'_>,
        items: Range<usize>,
        hidden_gradient: bool,
        mut kept: Option<&mut [T]>,
    ) {
        let (width, users, length) = (self.width, histories.len(), strip());
        tile.begin(users, if hidden_gradient { width } else { 0 });
        tile.walked.clear();
        let before = |history: &&[u32]| history.partition_point(|&item| (item as usize) < items.start);
        tile.walked.extend(histories.iter().map(before));
        // In whole lines of the cache, or the stores of a product take twice as long.
        let bytes = if kept.is_none() { length * ITEMS * size_of::<T>() } else { 0 };
        let mut lines = lines.take(bytes / size_of::<Line>());
        let scratch: &mut [T] = bytemuck::cast_slice_mut(&mut lines);
        let mut room = room.take(if hidden_gradient { length * pairs(ITEMS) } else { 0 });
        for first in items.clone().step_by(ITEMS) {
            let n = ITEMS.min(items.end - first);
            let bias = &self.bias[first..first + n];
            let block = copies.block(first);
            for strip in (0..users).step_by(length) {
                let some = strip..users.min(strip + length);
                let logits = match &mut kept {
                    Some(kept) => &mut kept[users * (first - items.start) + strip * n..][..some.len() * n],
                    None => &mut scratch[..some.len() * n],
                };
                multiply(hidden.some(some.clone()), block.forward, Start::Row(bias), logits);
                for (at, (user, logits)) in some.clone().zip(logits.chunks_exact(n)).enumerate() {
                    let maximum = largest(logits, tile.maximum[user]);
                    let own = tile.own_items(user, histories[user], first + n);
                    tile.own[user] += own.iter().fold(T::ZERO, |sum, &item| sum + logits[item as usize - first]);
                    let sum = if hidden_gradient {
                        let out = &mut room[at * pairs(n)..][..pairs(n)];
                        exponentials(logits, maximum, bytemuck::cast_slice_mut(out))
                    } else {
                        sum_of_exponentials(logits, maximum)
                    };
                    tile.add(user, maximum, sum);
                }
                if hidden_gradient {
                    let exponentials = Left::rows(&room[..some.len() * pairs(n)], n);
                    let weighted = &mut tile.weighted[some.start * width..some.end * width];
                    multiply(exponentials, block.backward, Start::Out, weighted);
                }
            }
        }
    }
}

vectorised! {
    /// The largest of the logits and `maximum`.
    fn largest(logits: &[T], maximum: T) -> T {
        let mut lanes = [maximum; 16];
        let (whole, rest) = logits.as_chunks::<16>();
        for logits in whole {
            lanes.iter_mut().zip(logits).for_each(|(lane, &logit)| *lane = lane.max(logit));
        }
        lanes.iter_mut().zip(rest).for_each(|(lane, &logit)| *lane = lane.max(logit));
        lanes.iter().fold(maximum, |maximum, &lane| maximum.max(lane))
    }

    /// Fills `out` by the exponentials of the logits less their maximum in bf16, with 0 behind the last one of an odd number, and
    /// gives back their sum before they are rounded.
    fn exponentials(logits: &[T], maximum: T, out: &mut [u16]) -> T {
        let mut lanes = [T::ZERO; 16];
        let (whole, rest) = logits.as_chunks::<16>();
        let (out_of_whole, out_of_rest) = out.split_at_mut(logits.len() - rest.len());
        for (logits, out) in whole.iter().zip(out_of_whole.as_chunks_mut::<16>().0) {
            for ((lane, &logit), out) in lanes.iter_mut().zip(logits).zip(out) {
                let exponential = (logit - maximum).exp();
                *out = exponential.to_bf16();
                *lane += exponential;
            }
        }
        for ((lane, &logit), out) in lanes.iter_mut().zip(rest).zip(&mut *out_of_rest) {
            let exponential = (logit - maximum).exp();
            *out = exponential.to_bf16();
            *lane += exponential;
        }
        out_of_rest[rest.len()..].fill(0);
        lanes.iter().fold(T::ZERO, |sum, &lane| sum + lane)
    }
}
