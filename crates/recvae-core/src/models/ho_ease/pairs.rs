//! Pairs of items as items of their own: which ones there are, and which of them a history has.

use std::ops::Range;

use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::base::error::{Error, Result};
use crate::base::numbers::Numbers;
use crate::math::csr::Csr;
use crate::math::real::Real;

/// Pairs of items, numbered in ascending order.
pub(super) struct Pairs {
    /// The lower item of each pair and the higher one, shape `(pairs, 2)`.
    items: Numbers<u32>,
    /// Where the pairs of each lower item begin, and where the last one's end.
    starts: Vec<u32>,
}

impl Pairs {
    /// # Errors
    /// `INVALID_DATA` unless they are pairs of items below `n_items`, the lower one first, and ascend.
    pub(super) fn new(items: Numbers<u32>, n_items: usize) -> Result<Self> {
        let (pairs, rest) = items.as_chunks::<2>();
        let fits = |pair: &[u32; 2]| pair[0] < pair[1] && (pair[1] as usize) < n_items;
        if !rest.is_empty() || !pairs.iter().all(fits) || !pairs.is_sorted_by(|a, b| a < b) {
            let text = format!("its pairs do not ascend, the lower item first, below {n_items}");
            return Err(Error::invalid_data(text));
        }
        let starts = (0..=n_items).map(|item| pairs.partition_point(|pair| (pair[0] as usize) < item) as u32).collect();
        Ok(Self { items, starts })
    }

    /// The pairs that most users have, `most` of them or as many as somebody has; of equals the lower ones. `gram` of
    /// shape `(n_items, n_items)` has the numbers of users right of its diagonal.
    pub(super) fn most_frequent<T: Real>(gram: ArrayView2<'_, T>, most: usize) -> Result<Self> {
        let n_items = gram.nrows();
        let users = |entry: &T| entry.to_f64() as usize;
        let row = |item: usize| gram.row(item).into_iter().skip(item + 1);
        // How many pairs have so many users.
        let mut tally = vec![0; gram.diag().iter().map(users).max().unwrap_or_default() + 1];
        (0..n_items).for_each(|item| row(item).for_each(|entry| tally[users(entry)] += 1));
        let (mut least, mut above) = (tally.len(), 0);
        while least > 1 && above < most {
            least -= 1;
            above += tally[least];
        }
        // Those with `least` users are as many as there is room for.
        let mut equals = tally.get(least).map_or(0, |pairs| pairs - above.saturating_sub(most));
        let mut items = Vec::with_capacity(2 * most.min(above));
        for item in 0..n_items {
            for (other, entry) in (item + 1..).zip(row(item)) {
                let users = users(entry);
                if users > least || (users == least && equals > 0) {
                    equals -= usize::from(users == least);
                    items.extend([item as u32, other as u32]);
                }
            }
        }
        Self::new(items.into(), n_items)
    }

    pub(super) fn len(&self) -> usize {
        self.items.len() / 2
    }

    pub(super) fn n_items(&self) -> usize {
        self.starts.len() - 1
    }

    /// The numbers, for a file.
    pub(super) fn numbers(&self) -> &[u32] {
        &self.items
    }

    /// The two items of each.
    pub(super) fn items(&self) -> &[[u32; 2]] {
        self.items.as_chunks().0
    }

    /// The items of a history, and `n_items` and the number of each pair of which it has both: ascending.
    pub(super) fn with_pairs(&self, history: &[u32]) -> Vec<u32> {
        let mut all = history.to_vec();
        self.of(history, |pair| all.push((self.n_items() + pair) as u32));
        all
    }

    /// Calls `found` with the number of each pair of which a history has both.
    pub(super) fn of(&self, history: &[u32], mut found: impl FnMut(usize)) {
        let mut has = vec![0u64; self.n_items().div_ceil(64)];
        history.iter().for_each(|&item| has[item as usize / 64] |= 1 << (item % 64));
        for item in history.iter().map(|&item| item as usize) {
            for pair in self.starts[item] as usize..self.starts[item + 1] as usize {
                let other = self.items()[pair][1];
                if has[other as usize / 64] >> (other % 64) & 1 == 1 {
                    found(pair);
                }
            }
        }
    }
}

/// The histories of all users with their pairs, of some users at a time: of long histories there are many pairs.
pub(super) struct Extended<'a> {
    x: &'a Csr,
    pairs: &'a Pairs,
    /// Users who are taken together.
    blocks: Vec<Range<usize>>,
    /// How many places the rows of all of them have, squared.
    pub(super) squares: f64,
}

impl<'a> Extended<'a> {
    /// Bytes of a place in a block: its row as it is made, in the block, and in the block transposed.
    const BYTES: usize = 12;

    /// In blocks of that many bytes, or of one user.
    pub(super) fn new(x: &'a Csr, pairs: &'a Pairs, bytes: usize) -> Self {
        let length = |user: usize| {
            let mut length = x.row(user).len();
            pairs.of(x.row(user), |_| length += 1);
            length
        };
        let lengths: Vec<usize> = (0..x.n_rows()).into_par_iter().map(length).collect();
        let (mut blocks, mut start, mut places) = (vec![], 0, 0);
        for (user, length) in lengths.iter().enumerate() {
            if places > 0 && (places + length) * Self::BYTES > bytes {
                blocks.push(start..user);
                (start, places) = (user, 0);
            }
            places += length;
        }
        blocks.push(start..lengths.len());
        let squares = lengths.iter().map(|&length| (length * (length + 1)) as f64).sum();
        Self { x, pairs, blocks, squares }
    }

    /// Block by block, shape `(users, items + pairs)`.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Result<Csr>> {
        self.blocks.iter().map(|users| {
            let rows = users.clone().into_par_iter().map(|user| self.pairs.with_pairs(self.x.row(user)));
            Csr::from_rows(rows.collect::<Vec<_>>(), self.x.n_cols() + self.pairs.len())
        })
    }
}
