//! EASE^R with a sparse B: the entries of each row that pruning left or `density` allowed, one row after the other.
//!
//! A score is a sum over the items of a history of the entries that their rows have, so a user costs as many additions
//! as there are entries, not `n_items` for each item of the history.

use std::ops::Range;

use half::f16;
use half::slice::HalfFloatSliceExt;
use ndarray::ArrayViewMut2;
use rayon::prelude::*;
use serde_json::Value;

use super::compact::{Entry, largest, too_large};
use super::{Origin, scores_of_one};
use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
use crate::base::numbers::Numbers;
use crate::evaluate::scorer::{Scorer, check_items, checked, checked_some};
use crate::math::csr::Csr;
use crate::model::tensors::{Stored, missing, numbers};
use crate::model::{CompactOptions, Model, ModelKind, NamedTensor, StoredPrecision, TensorSource};

pub(super) const ENDS: &str = "weights.ends";
const ITEMS: &str = "weights.items";
const VALUES: &str = "weights.values";

/// EASE^R of few weights.
pub(super) struct SparseEase {
    origin: Origin,
    /// Where each row ends in `items` and `values`, shape `(n_items,)`.
    ends: Numbers<u64>,
    /// Columns of the entries, ascending in a row.
    items: Numbers<u32>,
    /// The entries. Numbers that a file holds in half precision are converted when it is loaded.
    values: Numbers<f32>,
    /// Whether every value is one of half precision, and is written as such.
    half: bool,
}

impl SparseEase {
    /// From rows, each in order of its items.
    pub(super) fn new(origin: Origin, rows: Vec<Vec<Entry>>, half: bool) -> Result<Self> {
        let n = rows.iter().map(Vec::len).sum();
        let mut ends = Vec::with_capacity(rows.len());
        let (mut items, mut values) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for row in rows {
            for (item, weight) in row {
                let value = if half { f16::from_f32(weight).to_f32() } else { weight };
                if half && !value.is_finite() {
                    return Err(too_large(weight.into()));
                }
                items.push(item);
                values.push(value);
            }
            ends.push(items.len() as u64);
        }
        Ok(Self { origin, ends: ends.into(), items: items.into(), values: values.into(), half })
    }

    /// From the weights of columns: row `j` of `supports` has the rows of B in which column `j` has one.
    pub(super) fn from_columns(origin: Origin, supports: &Csr, weights: &[f32]) -> Self {
        let mut ends: Vec<u64> = supports.column_counts().into_iter().map(u64::from).collect();
        let mut next = 0;
        for end in &mut ends {
            // First where the row begins; it moves to the end as the row fills.
            next += std::mem::replace(end, next);
        }
        let (mut items, mut values) = (Numbers::zeros(weights.len()), Numbers::zeros(weights.len()));
        let (to_items, to_values) = (&mut items[..], &mut values[..]);
        let of_columns =
            (0u32..).zip(supports.rows()).flat_map(|(column, rows)| rows.iter().map(move |&row| (column, row)));
        for ((column, row), &weight) in of_columns.zip(weights) {
            let end = &mut ends[row as usize];
            to_items[*end as usize] = column;
            to_values[*end as usize] = weight;
            *end += 1;
        }
        Self { origin, ends: ends.into(), items, values, half: false }
    }

    pub(super) fn load(origin: Origin, n_items: usize, tensors: &dyn TensorSource) -> Result<Self> {
        let ends: Numbers<u64> = numbers(tensors, ENDS, &[n_items])?;
        let bad = |message: String| Error::invalid_data(format!("its pruned weights: {message}"));
        let stored = tensors.find(VALUES).ok_or_else(|| missing(VALUES))?;
        let (n, half) = (stored.shape.iter().product::<usize>(), stored.dtype == f16::DTYPE);
        let values: Numbers<f32> = match half {
            true => {
                let stored: Numbers<f16> = stored.numbers(&[n])?;
                let mut values = Numbers::zeros(n);
                stored.convert_to_f32_slice(&mut values);
                values
            }
            false => stored.numbers(&[n])?,
        };
        let items: Numbers<u32> = numbers(tensors, ITEMS, &[n])?;
        let mut start = 0;
        for (row, &end) in ends.iter().enumerate() {
            if end < start || end > n as u64 {
                return Err(bad(format!("row {row} ends at {end}; allowed: {start} to {n}")));
            }
            let of_row = &items[start as usize..end as usize];
            let ascending = of_row.windows(2).all(|pair| pair[0] < pair[1]);
            if !ascending || of_row.last().is_some_and(|&item| item as usize >= n_items) {
                return Err(bad(format!("items of row {row} do not ascend below {n_items}")));
            }
            start = end;
        }
        if start != n as u64 {
            return Err(bad(format!("the last row ends at {start} of {n}")));
        }
        Ok(Self { origin, ends, items, values, half })
    }

    fn rows(&self) -> Rows<'_> {
        Rows { ends: &self.ends, items: &self.items, values: &self.values }
    }
}

/// The rows of B as slices: to reach into a file anew for each one would cost as much as a short row.
struct Rows<'a> {
    ends: &'a [u64],
    items: &'a [u32],
    values: &'a [f32],
}

impl Rows<'_> {
    fn row(&self, row: usize) -> impl Iterator<Item = Entry> {
        let range = self.range(row);
        self.items[range.clone()].iter().copied().zip(self.values[range].iter().copied())
    }

    fn range(&self, row: usize) -> Range<usize> {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        start as usize..self.ends[row] as usize
    }

    /// The entry of B, 0 where there is none.
    fn weight(&self, row: u32, item: u32) -> f32 {
        let range = self.range(row as usize);
        let found = self.items[range.clone()].binary_search(&item);
        found.map_or(0.0, |at| self.values[range.start + at])
    }

    /// All scores of a user.
    fn score(&self, history: &[u32], scores: &mut [f32]) {
        scores.fill(0.0);
        for &item in history {
            self.row(item as usize).for_each(|(item, value)| scores[item as usize] += value);
        }
    }
}

impl Scorer for SparseEase {
    fn n_items(&self) -> usize {
        self.ends.len()
    }

    fn score(&self, histories: &[&[u32]], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        let scores = checked(histories, self.n_items(), scores)?;
        let rows = self.rows();
        let users = scores.par_chunks_mut(self.n_items()).zip(histories);
        users.for_each(|(scores, history)| rows.score(history, scores));
        Ok(())
    }

    /// Bit by bit what [`SparseEase::score`] gives: the numbers are added in the same order. Few items are looked up in
    /// the rows; for more, walking along the rows is cheaper.
    fn score_some(&self, histories: &[&[u32]], items: &[u32], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        /// Steps of a search in a row.
        const SEARCH: usize = 8;
        let (n_items, rows) = (self.n_items(), self.rows());
        let scores = checked_some(histories, items, n_items, scores)?;
        let users = scores.par_chunks_mut(items.len().max(1)).zip(histories);
        if items.len() * SEARCH <= rows.values.len() / n_items.max(1) {
            users.for_each(|(sums, history)| {
                sums.fill(0.0);
                for &from in *history {
                    sums.iter_mut().zip(items).for_each(|(sum, &item)| *sum += rows.weight(from, item));
                }
            });
            return Ok(());
        }
        let buffer = || vec![0.0; n_items];
        users.for_each_init(buffer, |all, (scores, history)| {
            rows.score(history, all);
            scores.iter_mut().zip(items).for_each(|(score, &item)| *score = all[item as usize]);
        });
        Ok(())
    }
}

impl Model for SparseEase {
    fn kind(&self) -> ModelKind {
        self.origin.kind
    }

    fn options(&self) -> Value {
        self.origin.options.clone()
    }

    fn tensors(&self) -> Result<Vec<NamedTensor<'_>>> {
        let shape = [self.values.len()];
        let values = match self.half {
            true => {
                let halves = self.values.iter().map(|&value| f16::from_f32(value));
                NamedTensor::new(VALUES, &shape, halves.collect::<Vec<_>>())
            }
            false => NamedTensor::new(VALUES, &shape, &self.values[..]),
        };
        let ends = NamedTensor::new(ENDS, &[self.ends.len()], &self.ends[..]);
        Ok(vec![ends, NamedTensor::new(ITEMS, &shape, &self.items[..]), values])
    }

    fn similarities(&self, item: u32, items: &[u32]) -> Result<Vec<f32>> {
        scores_of_one(self, item, items)
    }

    fn contributions(&self, history: &[u32], item: u32, _: &Cancel) -> Result<Vec<f64>> {
        check_items(history.iter().chain([&item]), self.n_items())?;
        let rows = self.rows();
        Ok(history.iter().map(|&from| rows.weight(from, item).into()).collect())
    }

    fn compact(&self, how: &CompactOptions) -> Result<Box<dyn Model>> {
        let top = how.top_per_item.unwrap_or(usize::MAX);
        let rows = self.rows();
        let rows = (0..self.n_items()).map(|row| largest(rows.row(row).collect(), top)).collect();
        let half = how.precision.map_or(self.half, |precision| precision == StoredPrecision::F16);
        Ok(Box::new(Self::new(self.origin.clone(), rows, half)?))
    }
}
