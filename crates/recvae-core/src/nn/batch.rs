//! A batch of users in sparse form: whole histories to be reconstructed, and what is left of them after dropout as input.

use rayon::prelude::*;

use super::noise::Noise;
use crate::csr::Csr;
use crate::real::Real;

/// Sparse rows in which all entries of a row have the same value: a binary history, L2-normalised, after dropout.
pub(crate) struct SparseInput<T> {
    pub(crate) indptr: Vec<usize>,
    pub(crate) indices: Vec<u32>,
    /// Value of the entries of each row.
    pub(crate) values: Vec<T>,
}

impl<T: Real> SparseInput<T> {
    /// Clean input: each history divided by its norm, the root of its length. An empty one stays empty.
    pub(crate) fn clean<'a>(histories: impl Iterator<Item = &'a [u32]>) -> Self {
        let mut input = Self { indptr: vec![0], indices: vec![], values: vec![] };
        for history in histories {
            input.push(history.iter().copied(), history.len(), T::ONE);
        }
        input
    }

    /// Input after dropout: entries are kept with probability `1 - rate` and then divided by it.
    pub(crate) fn dropped_out(train: &Csr, users: &[usize], rate: f64, noise: &dyn Noise<T>, pass: u64) -> Self {
        if rate == 0.0 {
            return Self::clean(users.iter().map(|&user| train.row(user)));
        }
        let kept: Vec<Vec<u32>> = users.par_iter().map(|&user| noise.keep(pass, user, train.row(user), rate)).collect();
        let mut input = Self { indptr: vec![0], indices: vec![], values: vec![] };
        for (kept, &user) in kept.iter().zip(users) {
            input.push(kept.iter().copied(), train.row(user).len(), T::of(1.0 / (1.0 - rate)));
        }
        input
    }

    fn push(&mut self, kept: impl Iterator<Item = u32>, n: usize, scale: T) {
        self.indices.extend(kept);
        self.indptr.push(self.indices.len());
        self.values.push(if n == 0 { T::ZERO } else { scale / T::of(n as f64).root() });
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn row(&self, row: usize) -> &[u32] {
        &self.indices[self.indptr[row]..self.indptr[row + 1]]
    }

    /// For each item the rows that have it: where each item's rows start, and the rows in ascending order.
    pub(crate) fn rows_by_item(&self, n_items: usize) -> (Vec<u32>, Vec<u32>) {
        let mut starts = vec![0u32; n_items + 1];
        for &item in &self.indices {
            starts[item as usize + 1] += 1;
        }
        for item in 0..n_items {
            starts[item + 1] += starts[item];
        }
        let mut next = starts.clone();
        let mut rows = vec![0u32; self.indices.len()];
        for row in 0..self.n_rows() {
            for &item in self.row(row) {
                let slot = &mut next[item as usize];
                rows[*slot as usize] = row as u32;
                *slot += 1;
            }
        }
        (starts, rows)
    }
}
