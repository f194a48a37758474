//! The second walk in mixed precision: the gradients of an output layer's weights and biases from the exponentials that
//! the first one kept.
//!
//! The first walk leaves `e = exp(l - m)` in bf16, where `m` is near the largest logit that the user had until that
//! block. The gradient with respect to the logits is `s e - x / batch` with `s = n exp(m - logsumexp(l)) / batch`, so
//! that of the weights is `e' (s z) - x' z / batch`: `s` goes to the hidden rows, which are few, and no exponential is
//! computed again. One column more, `s` itself, gives the biases' gradient. What a history has is taken off item by
//! item.

use std::ops::Range;

use super::gradient::Batch;
use super::{ITEMS, USERS, group, n_groups};
use crate::math::bf16::{
    Left, Level, Line, Panels, Right, Start, interleave, multiply_rows_by, pairs, panels_len, rows_into_tiles,
};
use crate::math::real::Real;
use crate::math::vectorised::add_scaled;

/// Users whose exponentials of an item are a line.
const PER_LINE: usize = 32;
/// Items of a tile.
const PER_TILE: usize = 16;

/// Lines that the exponentials of so many users and items take. For AMX they are tiles, those of 16 items after each
/// other, with 16 lines for every 32 users; else there are pairs of users, item by item.
pub(super) fn kept_lines(users: usize, items: usize) -> usize {
    users.div_ceil(PER_LINE) * items.next_multiple_of(PER_TILE)
}

/// Writes, as products at a level read them, the exponentials of some of the `users` of a tile, from number `first` on,
/// and of the `n` items of a block, in rows `step` numbers after each other. `first` is a multiple of 32.
pub(super) fn keep<T: Real>(
    level: Level,
    exponentials: &[T],
    [step, n]: [usize; 2],
    first: usize,
    users: usize,
    out: &mut [Line],
) {
    if level == Level::Amx {
        let along = users.div_ceil(PER_LINE);
        rows_into_tiles(exponentials, step, n, along, &mut out[first / PER_LINE * PER_TILE..]);
    } else {
        let out: &mut [u32] = bytemuck::cast_slice_mut(out);
        for (at, two) in exponentials.chunks(2 * step).enumerate() {
            let out = &mut out[(first / 2 + at) * n..][..n];
            let second = two.get(step..step + n).unwrap_or_default();
            interleave(&two[..n], second, out);
        }
    }
}

/// What the walk over the blocks of a group leaves of the users of a tile beside their exponentials.
#[derive(Clone, Default)]
pub(super) struct OfBlocks<T> {
    /// Block by block, user by user what the exponentials are relative to.
    maxima: Vec<T>,
    /// Block by block the users' own items: the number of the user in the tile, and that of the item in the block.
    own: Vec<[u16; 2]>,
    /// Where those of each block end.
    ends: Vec<usize>,
}

impl<T: Real> OfBlocks<T> {
    /// None is there yet.
    pub(super) fn begin(&mut self) {
        self.maxima.clear();
        self.own.clear();
        self.ends.clear();
    }

    /// Items of a user in the block that begins with item number `first`.
    pub(super) fn add_own(&mut self, user: usize, items: &[u32], first: usize) {
        const { assert!(USERS <= 1 << 16 && ITEMS <= 1 << 16) }
        self.own.extend(items.iter().map(|&item| [user as u16, (item as usize - first) as u16]));
    }

    /// All users' items and maxima of a block are known.
    pub(super) fn end_block(&mut self, maxima: &[T]) {
        self.maxima.extend_from_slice(maxima);
        self.ends.push(self.own.len());
    }

    fn own(&self, block: usize) -> &[[u16; 2]] {
        let start = if block == 0 { 0 } else { self.ends[block - 1] };
        &self.own[start..self.ends[block]]
    }
}

impl<T: Real> Batch<'_, T> {
    /// Numbers of a row of the gradient: those of the weights, that of the bias, and room up to the end of a line of
    /// the cache.
    fn step(&self) -> usize {
        (self.width + 1).next_multiple_of(size_of::<Line>() / size_of::<T>())
    }

    /// Lines of room that [`Self::rounded`] needs.
    pub(super) fn rounded_lines(&self) -> usize {
        let users = self.histories.len().min(USERS);
        panels_len(users, self.width + 1) + ITEMS * self.step() * size_of::<T>() / size_of::<Line>()
    }

    /// The gradients of a block, those of the weights first.
    pub(super) fn rounded<'r>(
        &self,
        level: Level,
        items: Range<usize>,
        room: &'r mut [Line],
        bias_gradient: &mut [T],
    ) -> &'r [T] {
        let Self { histories, width, .. } = *self;
        assert!(!histories.is_empty(), "a step has users");
        let (n, step) = (items.len(), self.step());
        let (panels, gradient) = room.split_at_mut(panels_len(histories.len().min(USERS), width + 1));
        let gradient: &mut [T] = &mut bytemuck::cast_slice_mut(gradient)[..n * step];
        let mut two = vec![T::ZERO; 2 * (width + 1)];
        for (number, first) in (0..histories.len()).step_by(USERS).enumerate() {
            let users = first..histories.len().min(first + USERS);
            let start = if number == 0 { Start::Zero } else { Start::Out };
            self.add_rounded(level, number, users, items.clone(), panels, &mut two, start, gradient);
        }
        for (row, bias) in bias_gradient.iter_mut().enumerate() {
            *bias = gradient[row * step + width];
            gradient.copy_within(row * step..row * step + width, row * width);
        }
        &gradient[..n * width]
    }

    /// Adds what the users of a tile have of them.
    #[allow(clippy::too_many_arguments)]
    fn add_rounded(
        &self,
        level: Level,
        tile: usize,
        users: Range<usize>,
        items: Range<usize>,
        panels: &mut [Line],
        two: &mut [T],
        start: Start<'_, T>,
        gradient: &mut [T],
    ) {
        let Self { histories, found, n_items, width, .. } = *self;
        let (n, step) = (items.len(), self.step());
        let group = group(n_items);
        let (number, block) = (items.start / group, items.start % group / ITEMS);
        let blocks = &found.tiles[tile * n_groups(n_items) + number].blocks;
        let maxima = &blocks.maxima[block * users.len()..][..users.len()];
        let hidden = |user: usize| &self.hidden[user * width..][..width];
        let share_of_user = T::from_f64(1.0 / histories.len() as f64);
        let panels = &mut panels[..panels_len(users.len(), width + 1)];
        let mut written = Panels::new(users.len(), width + 1, panels);
        for (at, of_two) in maxima.chunks(2).enumerate() {
            for (user, (&maximum, row)) in
                (users.start + 2 * at..).zip(of_two.iter().zip(two.chunks_exact_mut(width + 1)))
            {
                let share = share_of_user * T::from_f64(histories[user].len() as f64);
                let factor = share * (maximum - found.log_sum[user]).exp();
                row[..width].fill(T::ZERO);
                add_scaled(&mut row[..width], hidden(user), factor);
                row[width] = factor;
            }
            written.put(at, &two[..of_two.len() * (width + 1)]);
        }
        let kept_of = |tile: usize, users: usize| {
            let before = tile * kept_lines(USERS, n_items) + kept_lines(users, items.start);
            &found.exponentials[before..before + kept_lines(users, n)]
        };
        let kept = kept_of(tile, users.len());
        let next = USERS.min(histories.len() - users.end);
        let ahead = if next > 0 { kept_of(tile + 1, next) } else { &[][..] };
        let left = if level == Level::Amx {
            Left::tiles(kept, n, users.len())
        } else {
            Left::columns(&bytemuck::cast_slice(kept)[..pairs(users.len()) * n], n, 0..n)
        };
        let right = Right::new(panels, users.len(), width + 1);
        multiply_rows_by(level, left, right, start, gradient, step, ahead);
        for &[user, item] in blocks.own(block) {
            let row = &mut gradient[usize::from(item) * step..][..width + 1];
            add_scaled(&mut row[..width], hidden(users.start + usize::from(user)), -share_of_user);
            row[width] -= share_of_user;
        }
    }
}
