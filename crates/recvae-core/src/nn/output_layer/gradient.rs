//! The second walk over the logits of a batch: the gradients of an output layer's weights and biases, block by block of items.

use std::ops::Range;

use rayon::prelude::*;

use super::{ITEMS, LogLikelihood, USERS, between, softmax};
use crate::math::bf16::{Left, Line, Pair, Right, Start, columns_into_panels, interleave, multiply, pairs, panels_len};
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
    /// Whether products are in mixed precision.
    pub(super) rounded: bool,
}

impl<T: Real> Batch<'_, T> {
    /// Hands the gradients of each block of items to `each`, with the block's part of `targets`.
    pub(super) fn for_each_gradient<C: Send>(
        &self,
        targets: impl IndexedParallelIterator<Item = C>,
        each: impl Fn(C, &[T], &[T]) + Sync,
    ) {
        let Self { histories, found, n_items, width, rounded, .. } = *self;
        // In mixed precision users' gradients are put into pairs two by two.
        let (rows, n_pairs) = if rounded { (2, pairs(USERS) * ITEMS) } else { (USERS, 0) };
        let mut panels = found.lines.take(if rounded { self.panels_before(histories.len()) } else { 0 });
        if rounded {
            let tiles = panels.par_chunks_mut(panels_len(USERS, width)).zip(self.hidden.par_chunks(USERS * width));
            tiles.for_each(|(panels, hidden)| columns_into_panels(hidden, width, panels));
        }
        let buffer = || (found.scratch.take((rows + width + 1) * ITEMS), found.pairs.take(n_pairs));
        targets.enumerate().for_each_init(buffer, |(buffer, in_bf16), (block, target)| {
            let (gradient, sums) = buffer.split_at_mut(rows * ITEMS);
            let (weight_gradient, bias_gradient) = sums.split_at_mut(width * ITEMS);
            let items = block * ITEMS..n_items.min((block + 1) * ITEMS);
            let weight_gradient = &mut weight_gradient[..items.len() * width];
            let bias_gradient = &mut bias_gradient[..items.len()];
            weight_gradient.fill(T::ZERO);
            bias_gradient.fill(T::ZERO);
            for first in (0..histories.len()).step_by(USERS) {
                let users = first..histories.len().min(first + USERS);
                if rounded {
                    let panels = &panels[self.panels_before(users.start)..self.panels_before(users.end)];
                    self.add_rounded(users, items.clone(), panels, gradient, in_bf16, weight_gradient, bias_gradient);
                } else {
                    self.add(users, items.clone(), gradient, weight_gradient, bias_gradient);
                }
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

    /// The same with both sides of the product in bf16; `panels` has the users' hidden rows.
    #[allow(clippy::too_many_arguments)]
    fn add_rounded(
        &self,
        users: Range<usize>,
        items: Range<usize>,
        panels: &[Line],
        gradient: &mut [T],
        in_bf16: &mut [Pair],
        weight_gradient: &mut [T],
        bias_gradient: &mut [T],
    ) {
        let n = items.len();
        let in_bf16 = &mut in_bf16[..pairs(users.len()) * n];
        let (first, second) = gradient[..2 * n].split_at_mut(n);
        for (user, out) in users.clone().step_by(2).zip(in_bf16.chunks_exact_mut(n)) {
            self.of_logits(user, items.clone(), first);
            add(bias_gradient, first);
            if user + 1 < users.end {
                self.of_logits(user + 1, items.clone(), second);
                add(bias_gradient, second);
            } else {
                second.fill(T::ZERO);
            }
            interleave(first, second, out);
        }
        let hidden = Right::new(panels, users.len(), self.width);
        multiply(Left::columns(in_bf16, n, 0..n), hidden, Start::Out, weight_gradient);
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

    /// Lines of the panels of all tiles before that of a user, or of all if there is no such user.
    fn panels_before(&self, user: usize) -> usize {
        let (whole, rest) = (user / USERS, user % USERS);
        whole * panels_len(USERS, self.width) + panels_len(rest, self.width)
    }
}
