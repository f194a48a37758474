//! A batch of users: whole histories to be reconstructed, and what is left of them after dropout as sparse input.

use rayon::prelude::*;

use super::latent::Sample;
use super::noise::Noise;
use crate::math::csr::Csr;
use crate::math::real::Real;

/// Users of one step with their noise. Made to be filled again and again.
pub(crate) struct Batch<'a, T> {
    /// Which users of the training they are.
    pub(crate) users: Vec<usize>,
    /// What is to be reconstructed.
    pub(crate) histories: Vec<&'a [u32]>,
    pub(crate) input: SparseInput<T>,
    /// For steps that update the encoder.
    pub(crate) by_item: ByItem,
    /// How a latent vector is drawn from each posterior, and what that is pulled to.
    pub(crate) sample: Sample<T>,
    /// What an engine draws itself: then `input` and the sample's noise are those of no batch.
    pub(crate) draw: Option<Draw>,
}

/// Dropout and noise of a pass as functions of a seed: those of [`Seeded`](super::noise::Seeded).
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "candle"), allow(dead_code))] // the processor's own engine draws nothing
pub(crate) struct Draw {
    pub(crate) seed: u64,
    pub(crate) pass: u64,
    /// Share of the input that is dropped.
    pub(crate) rate: f64,
}

impl<T: Real> Default for Batch<'_, T> {
    fn default() -> Self {
        Self {
            users: vec![],
            histories: vec![],
            input: SparseInput::default(),
            by_item: ByItem::default(),
            sample: Sample::default(),
            draw: None,
        }
    }
}

/// Sparse rows in which all entries of a row have the same value: a binary history, L2-normalised, after dropout.
#[derive(Default)]
pub(crate) struct SparseInput<T> {
    /// Where each row ends in `indices`.
    pub(crate) ends: Vec<usize>,
    pub(crate) indices: Vec<u32>,
    /// Value of the entries of each row.
    pub(crate) values: Vec<T>,
}

impl<T: Real> SparseInput<T> {
    /// Clean input: each history divided by its norm, the root of its length. An empty one stays empty.
    pub(crate) fn clean<'a>(histories: impl Iterator<Item = &'a [u32]>) -> Self {
        let mut input = Self { ends: vec![], indices: vec![], values: vec![] };
        input.refill(histories, 0.0, |_, history, kept| kept.extend_from_slice(history));
        input
    }

    /// Becomes what dropout leaves of the users' histories: entries are kept with probability `1 - rate` and then
    /// divided by it.
    pub(crate) fn drop_out(&mut self, train: &Csr, users: &[usize], rate: f64, noise: &dyn Noise<T>, pass: u64) {
        let histories = users.iter().map(|&user| train.row(user));
        if rate == 0.0 {
            self.refill(histories, rate, |_, history, kept| kept.extend_from_slice(history));
        } else {
            self.refill(histories, rate, |row, history, kept| noise.keep(pass, users[row], history, rate, kept));
        }
    }

    /// The value of the entries of a history of `n` items of which `rate` is dropped.
    pub(crate) fn value(n: usize, rate: f64) -> T {
        let scale = if rate == 0.0 { T::ONE } else { T::from_f64(1.0 / (1.0 - rate)) };
        if n == 0 { T::ZERO } else { scale / T::from_f64(n as f64).sqrt() }
    }

    /// Rows anew: `keep` gets the number of the row, its history, and puts what stays behind the rows before it.
    fn refill<'a>(
        &mut self,
        histories: impl Iterator<Item = &'a [u32]>,
        rate: f64,
        keep: impl Fn(usize, &[u32], &mut Vec<u32>),
    ) {
        self.ends.clear();
        self.indices.clear();
        self.values.clear();
        for (row, history) in histories.enumerate() {
            keep(row, history, &mut self.indices);
            self.ends.push(self.indices.len());
            self.values.push(Self::value(history.len(), rate));
        }
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn row(&self, row: usize) -> &[u32] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.indices[start..self.ends[row]]
    }
}

/// The rows of a [`SparseInput`] that have each item.
#[derive(Default)]
pub(crate) struct ByItem {
    /// Where the rows of each item end in `rows`. A batch may have more than 2^32 entries.
    ends: Vec<usize>,
    /// Ascending for each item; a batch has at most 2^20 rows.
    rows: Vec<u32>,
}

impl ByItem {
    pub(crate) fn refill<T: Real>(&mut self, input: &SparseInput<T>, n_items: usize) {
        self.ends.clear();
        self.ends.resize(n_items, 0);
        for &item in &input.indices {
            self.ends[item as usize] += 1;
        }
        // For now where each item's rows start; every row that is put there moves it on.
        let mut start = 0;
        for end in &mut self.ends {
            (start, *end) = (start + *end, start);
        }
        self.rows.resize(input.indices.len(), 0);
        for row in 0..input.n_rows() {
            for &item in input.row(row) {
                let slot = &mut self.ends[item as usize];
                self.rows[*slot] = row as u32;
                *slot += 1;
            }
        }
    }

    /// None for an item beyond the last one.
    pub(crate) fn rows(&self, item: usize) -> &[u32] {
        let end_of = |item: usize| self.ends[item.min(self.ends.len() - 1)];
        let start = if item == 0 { 0 } else { end_of(item - 1) };
        &self.rows[start..end_of(item)]
    }
}

/// Standard normal numbers for each of the users, shape `(users, latent)`.
pub(crate) fn draw_noise<T: Real>(
    out: &mut Vec<T>,
    users: &[usize],
    latent_dim: usize,
    noise: &dyn Noise<T>,
    pass: u64,
) {
    out.resize(users.len() * latent_dim, T::ZERO);
    out.par_chunks_mut(latent_dim).zip(users).for_each(|(out, &user)| noise.normal(pass, user, out));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_item() {
        let histories: [&[u32]; 4] = [&[1, 3], &[], &[0, 1], &[1]];
        let input = SparseInput::<f32>::clean(histories.into_iter());
        let mut by_item = ByItem::default();
        for _ in 0..2 {
            by_item.refill(&input, 5);
            let rows: Vec<&[u32]> = (0..7).map(|item| by_item.rows(item)).collect();
            assert_eq!(rows, [&[2][..], &[0, 2, 3], &[], &[0], &[], &[], &[]]);
        }
        assert_eq!((input.row(0), input.row(1)), (&[1u32, 3][..], &[][..]));
        assert_eq!(input.values[1..], [0.0, 0.5f32.sqrt(), 1.0]);
    }
}
