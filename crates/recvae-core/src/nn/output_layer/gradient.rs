//! The second walk over the logits of a batch: the gradients of an output layer's weights and biases, block by block of
//! items. In mixed precision `rounded_gradient.rs` has it.

use std::ops::Range;

use rayon::prelude::*;

use super::{ITEMS, LogLikelihood, USERS, between, softmax};
use crate::math::bf16::Level;
use crate::math::matmul::{matmul_add, rows, rows_mut};
use crate::math::real::Real;
use crate::math::vectorised::add;

/// What the walk reads.
pub(super) struct Batch<'a, T> {
    pub(super) hidden: &'a [T],
    pub(super) histories: &'a [&'a [u32]],
    pub(super) found: &'a LogLikelihood<T>,
    pub(super) n_items: usize,
    pub(super) width: usize,
    /// That of the products in mixed precision, if they are.
    pub(super) level: Option<Level>,
}

impl<T: Real> Batch<'_, T> {
    /// Hands the gradients of each block of items to `each`, with the block's part of `targets`.
    pub(super) fn for_each_gradient<C: Send>(
        &self,
        targets: impl IndexedParallelIterator<Item = C>,
        each: impl Fn(C, &[T], &[T]) + Sync,
    ) {
        let Self { histories, found, n_items, width, level, .. } = *self;
        let (n_numbers, n_lines) =
            if level.is_some() { (ITEMS, self.rounded_lines()) } else { ((USERS + width + 1) * ITEMS, 0) };
        let buffers = || (found.scratch.take(n_numbers), found.lines.take(n_lines));
        targets.enumerate().for_each_init(buffers, |(buffer, room), (block, target)| {
            let items = block * ITEMS..n_items.min((block + 1) * ITEMS);
            if let Some(level) = level {
                let bias_gradient = &mut buffer[..items.len()];
                let weight_gradient = self.rounded(level, items, room, bias_gradient);
                each(target, weight_gradient, bias_gradient);
                return;
            }
            let (gradient, sums) = buffer.split_at_mut(USERS * ITEMS);
            let (weight_gradient, bias_gradient) = sums.split_at_mut(width * ITEMS);
            let weight_gradient = &mut weight_gradient[..items.len() * width];
            let bias_gradient = &mut bias_gradient[..items.len()];
            weight_gradient.fill(T::ZERO);
            bias_gradient.fill(T::ZERO);
            for first in (0..histories.len()).step_by(USERS) {
                let users = first..histories.len().min(first + USERS);
                self.add(users, items.clone(), gradient, weight_gradient, bias_gradient);
            }
            each(target, weight_gradient, bias_gradient);
        });
    }

    /// Adds what the users of a tile have of the gradients of a block.
    fn add(
        &self,
        users: Range<usize>,
        items: Range<usize>,
        gradient: &mut [T],
        weight_gradient: &mut [T],
        bias_gradient: &mut [T],
    ) {
        let (width, n) = (self.width, items.len());
        let gradient = &mut gradient[..users.len() * n];
        for (user, gradient) in users.clone().zip(gradient.chunks_exact_mut(n)) {
            self.of_logits(user, items.clone(), gradient);
            add(bias_gradient, gradient);
        }
        let hidden = &self.hidden[users.start * width..users.end * width];
        matmul_add(rows_mut(weight_gradient, width), rows(gradient, n).transpose(), rows(hidden, width));
    }

    /// The gradient of minus the mean log-likelihood with respect to a user's logits of a block of items.
    fn of_logits(&self, user: usize, items: Range<usize>, out: &mut [T]) {
        let Self { histories, found, n_items, .. } = *self;
        let (tile, history) = (user / USERS * USERS, histories[user]);
        let users = USERS.min(histories.len() - tile);
        // Of the tiles before this one all users, of the groups and blocks before this one all items.
        let start = tile * n_items + users * items.start + (user - tile) * items.len();
        let logits = &found.logits[start..][..items.len()];
        let share_of_user = T::from_f64(1.0 / histories.len() as f64);
        let share = share_of_user * T::from_f64(history.len() as f64);
        softmax(logits, found.log_sum[user], share, out);
        for &item in between(history, items.start, items.end) {
            out[item as usize - items.start] -= share_of_user;
        }
    }
}
