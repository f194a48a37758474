//! A binary sparse matrix in compressed rows, the one form interactions have between the reader and the first layer.
//!
//! Row `u` holds the item indices of user `u`, ascending and without duplicates: `indices[indptr[u]..indptr[u + 1]]`. A
//! stored entry means 1, anything else 0. Entries may have weights besides, one above 0 each, in the order of the
//! indices: how much an interaction counts, for those who look at it. Without weights there are no values, and they
//! take no memory.

use std::sync::OnceLock;

use crate::base::error::{Error, Result};

/// Indices of rows and columns are `u32`; the number of entries is a `usize`, as is where each row starts.
fn check_shape(n_rows: usize, n_cols: usize) -> Result<()> {
    for (n, name) in [(n_rows, "rows"), (n_cols, "columns")] {
        if n > u32::MAX as usize {
            return Err(Error::invalid_data(format!("{n} {name}; allowed: at most {}", u32::MAX)));
        }
    }
    Ok(())
}

/// Binary matrix of shape `(n_rows, n_cols)` in CSR form, with a weight per entry or without.
#[derive(Clone, Debug, PartialEq)]
pub struct Csr {
    indptr: Vec<usize>,
    indices: Vec<u32>,
    n_cols: usize,
    weights: Option<Vec<f32>>,
    few_neighbours: Memo<Option<FewNeighbours>>,
}

/// What inverting the Gram matrix saves where most columns share a row with few others, see
/// [`linalg`](super::linalg).
#[derive(Clone, Copy, Debug)]
pub(crate) struct FewNeighbours {
    /// Rows that are left to be inverted densely.
    pub(crate) core: usize,
    /// Operations that the others take.
    pub(crate) operations: f64,
}

/// What was found out once, which is no part of what is equal.
#[derive(Clone, Debug, Default)]
struct Memo<T>(OnceLock<T>);

impl<T> PartialEq for Memo<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

// Weights are finite.
impl Eq for Csr {}

impl Csr {
    /// Takes the arrays of a CSR matrix after checking them.
    ///
    /// # Errors
    /// `INVALID_DATA` unless `indptr` starts at 0, never falls and ends at `indices.len()`, and every row is strictly
    /// ascending and below `n_cols`; or if there are 2^32 rows or columns or more, so that every index of either is a
    /// `u32`.
    pub fn new(indptr: Vec<usize>, indices: Vec<u32>, n_cols: usize) -> Result<Self> {
        let bad = |message: String| Err(Error::invalid_data(message));
        if indptr.first() != Some(&0) || indptr.last() != Some(&indices.len()) {
            return bad(format!("indptr must run from 0 to the number of indices, {}", indices.len()));
        }
        check_shape(indptr.len() - 1, n_cols)?;
        for (row, bounds) in indptr.windows(2).enumerate() {
            let Some(items) = indices.get(bounds[0]..bounds[1]) else {
                return bad(format!("indptr falls at row {row}: {} to {}", bounds[0], bounds[1]));
            };
            if !items.is_sorted_by(|a, b| a < b) {
                return bad(format!("row {row} is not strictly ascending"));
            }
            if items.last().is_some_and(|&item| item as usize >= n_cols) {
                return bad(format!("row {row} holds item {}; allowed: below {n_cols}", items[items.len() - 1]));
            }
        }
        Ok(Self { indptr, indices, n_cols, weights: None, few_neighbours: Memo::default() })
    }

    /// Builds the matrix from `(row, column)` pairs in any order; duplicates collapse.
    ///
    /// # Panics
    /// If a pair lies outside `(n_rows, n_cols)`.
    #[must_use]
    pub fn from_pairs(n_rows: usize, n_cols: usize, pairs: &[(u32, u32)]) -> Self {
        let mut indptr = vec![0usize; n_rows + 1];
        for &(row, _) in pairs {
            indptr[row as usize + 1] += 1;
        }
        for row in 0..n_rows {
            indptr[row + 1] += indptr[row];
        }
        let mut next = indptr.clone();
        let mut indices = vec![0u32; pairs.len()];
        for &(row, column) in pairs {
            assert!((column as usize) < n_cols, "column {column} of {n_cols}");
            let slot = &mut next[row as usize];
            indices[*slot] = column;
            *slot += 1;
        }
        drop(next);
        let mut kept = 0;
        for row in 0..n_rows {
            let (start, end) = (indptr[row], indptr[row + 1]);
            indices[start..end].sort_unstable();
            indptr[row] = kept;
            let mut previous = None;
            for at in start..end {
                let column = indices[at];
                if previous != Some(column) {
                    indices[kept] = column;
                    kept += 1;
                    previous = Some(column);
                }
            }
        }
        indptr[n_rows] = kept;
        indices.truncate(kept);
        Self { indptr, indices, n_cols, weights: None, few_neighbours: Memo::default() }
    }

    /// The same matrix with a weight per entry, in the order of [`Csr::indices`].
    ///
    /// # Errors
    /// `INVALID_DATA` unless there are as many as entries, each a finite number above 0.
    pub fn with_weights(self, weights: Vec<f32>) -> Result<Self> {
        if weights.len() != self.nnz() {
            return Err(Error::invalid_data(format!("{} weights for {} entries", weights.len(), self.nnz())));
        }
        if let Some(weight) = weights.iter().find(|&&weight| !(weight > 0.0 && weight.is_finite())) {
            return Err(Error::invalid_data(format!("a weight is {weight}; allowed: finite numbers above 0")));
        }
        Ok(Self { weights: Some(weights), ..self })
    }

    /// The weights of all entries in the order of [`Csr::indices`], if they have any.
    #[must_use]
    pub fn weights(&self) -> Option<&[f32]> {
        self.weights.as_deref()
    }

    /// The matrix with other weights, each made of the one that was there and a number above 0 like it.
    pub(crate) fn map_weights(mut self, each: impl Fn(f32) -> f32) -> Self {
        self.weights.iter_mut().flatten().for_each(|weight| *weight = each(*weight));
        self
    }

    /// The weights of one row, if there are any.
    #[must_use]
    pub fn row_weights(&self, row: usize) -> Option<&[f32]> {
        self.weights.as_ref().map(|weights| &weights[self.row_range(row)])
    }

    /// A matrix of some of this one's entries, in their order, with their weights: what `choose` makes of each entry's
    /// row, column and place becomes its column, or leaves it out. It has as many rows, and `n_cols` columns.
    ///
    /// # Errors
    /// As [`Csr::new`]: the columns of a row have to ascend still.
    pub(crate) fn filter_map(
        &self,
        n_cols: usize,
        mut choose: impl FnMut(usize, u32, usize) -> Option<u32>,
    ) -> Result<Self> {
        let (mut indptr, mut indices) = (vec![0], Vec::with_capacity(self.nnz()));
        let mut weights = self.weights.as_ref().map(|_| Vec::with_capacity(self.nnz()));
        for row in 0..self.n_rows() {
            for entry in self.row_range(row) {
                let Some(column) = choose(row, self.indices[entry], entry) else { continue };
                indices.push(column);
                if let (Some(chosen), Some(all)) = (&mut weights, &self.weights) {
                    chosen.push(all[entry]);
                }
            }
            indptr.push(indices.len());
        }
        Ok(Self { weights, ..Self::new(indptr, indices, n_cols)? })
    }

    /// Of one value per entry, in order, those in the given rows and columns, both ascending.
    #[must_use]
    pub(crate) fn select_values<T: Copy>(&self, values: &[T], rows: &[usize], columns: &[usize]) -> Vec<T> {
        let mut is_kept = vec![false; self.n_cols];
        columns.iter().for_each(|&column| is_kept[column] = true);
        let entries = rows.iter().flat_map(|&row| self.indptr[row]..self.indptr[row + 1]);
        entries.filter(|&entry| is_kept[self.indices[entry] as usize]).map(|entry| values[entry]).collect()
    }

    /// Builds the matrix from one ascending, duplicate-free list of columns per row.
    ///
    /// # Errors
    /// As [`Csr::new`].
    pub fn from_rows<R: AsRef<[u32]>>(rows: impl IntoIterator<Item = R>, n_cols: usize) -> Result<Self> {
        let (mut indptr, mut indices) = (vec![0], Vec::new());
        for row in rows {
            indices.extend_from_slice(row.as_ref());
            indptr.push(indices.len());
        }
        Self::new(indptr, indices, n_cols)
    }

    /// Where the entries of a row stand among all.
    #[must_use]
    pub fn row_range(&self, row: usize) -> std::ops::Range<usize> {
        self.indptr[row]..self.indptr[row + 1]
    }

    /// Number of rows (users).
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.indptr.len() - 1
    }

    /// Number of columns (items).
    #[must_use]
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// Number of stored entries (interactions).
    #[must_use]
    pub fn nnz(&self) -> usize {
        self.indices.len()
    }

    /// The ascending columns of one row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[u32] {
        &self.indices[self.indptr[row]..self.indptr[row + 1]]
    }

    /// All rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.indptr.windows(2).map(|bounds| &self.indices[bounds[0]..bounds[1]])
    }

    /// Where each row starts in [`Csr::indices`], and at the end their number: length `n_rows + 1`.
    #[must_use]
    pub fn indptr(&self) -> &[usize] {
        &self.indptr
    }

    /// The columns of all rows, one row after the other.
    #[must_use]
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// How many bytes of memory it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let weights = self.weights.as_ref().map_or(0, |weights| weights.capacity() * size_of::<f32>());
        self.indptr.capacity() * size_of::<usize>() + self.indices.capacity() * size_of::<u32>() + weights
    }

    /// What `find` gave the first time.
    pub(crate) fn few_neighbours(&self, find: impl FnOnce() -> Option<FewNeighbours>) -> Option<FewNeighbours> {
        *self.few_neighbours.0.get_or_init(find)
    }

    /// How often each column is stored: length `n_cols`.
    #[must_use]
    pub fn column_counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.n_cols];
        for &column in &self.indices {
            counts[column as usize] += 1;
        }
        counts
    }

    /// The given rows, in the given order.
    #[must_use]
    pub fn select_rows(&self, rows: &[usize]) -> Self {
        let mut indptr = Vec::with_capacity(rows.len() + 1);
        indptr.push(0);
        let mut indices = Vec::with_capacity(rows.iter().map(|&row| self.row(row).len()).sum());
        for &row in rows {
            indices.extend_from_slice(self.row(row));
            indptr.push(indices.len());
        }
        let weights = self.weights.as_ref().map(|weights| {
            let mut selected = Vec::with_capacity(indices.len());
            rows.iter().for_each(|&row| selected.extend_from_slice(&weights[self.row_range(row)]));
            selected
        });
        Self { indptr, indices, n_cols: self.n_cols, weights, few_neighbours: Memo::default() }
    }

    /// The matrix with rows and columns exchanged: shape `(n_cols, n_rows)`.
    #[must_use]
    pub fn transpose(&self) -> Self {
        let mut indptr = vec![0usize; self.n_cols + 1];
        for &column in &self.indices {
            indptr[column as usize + 1] += 1;
        }
        for column in 0..self.n_cols {
            indptr[column + 1] += indptr[column];
        }
        let mut next = indptr.clone();
        let mut indices = vec![0u32; self.indices.len()];
        let mut weights = self.weights.as_ref().map(|weights| vec![0f32; weights.len()]);
        for row in 0..self.n_rows() {
            for entry in self.row_range(row) {
                let slot = &mut next[self.indices[entry] as usize];
                indices[*slot] = row as u32;
                if let (Some(moved), Some(all)) = (&mut weights, &self.weights) {
                    moved[*slot] = all[entry];
                }
                *slot += 1;
            }
        }
        Self { indptr, indices, n_cols: self.n_rows(), weights, few_neighbours: Memo::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_beyond_32_bits_are_refused() {
        let most = u32::MAX as usize;
        assert!(check_shape(most, most).is_ok());
        let refused = |n_rows, n_cols| check_shape(n_rows, n_cols).unwrap_err().to_string();
        assert_eq!(refused(most + 1, 1), "4294967296 rows; allowed: at most 4294967295");
        assert_eq!(refused(1, usize::MAX), "18446744073709551615 columns; allowed: at most 4294967295");
        assert!(Csr::new(vec![0], vec![], most + 1).is_err());
    }

    #[test]
    fn pairs_sort_and_collapse() {
        let matrix = Csr::from_pairs(3, 4, &[(2, 3), (0, 1), (2, 0), (0, 1), (2, 3)]);
        assert_eq!(matrix.indptr(), [0, 1, 1, 3]);
        assert_eq!(matrix.indices(), [1, 0, 3]);
        assert_eq!(matrix.column_counts(), [1, 1, 0, 1]);
        assert_eq!(matrix.transpose().transpose(), matrix);
        assert_eq!(matrix.select_rows(&[2, 0]).indices(), [0, 3, 1]);
    }

    #[test]
    fn weights_go_where_their_entries_go() {
        let matrix = Csr::from_rows([vec![0, 2], vec![1], vec![0, 1, 2]], 3).unwrap();
        assert_eq!((matrix.weights(), matrix.row_weights(0)), (None, None));
        let bytes = matrix.clone().bytes();
        let weighted = matrix.clone().with_weights(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_ne!(matrix, weighted);
        assert_eq!(weighted.bytes(), bytes + 24);
        assert_eq!(weighted.row_weights(2), Some(&[4.0, 5.0, 6.0][..]));
        assert_eq!(weighted.select_rows(&[2, 0]).weights(), Some(&[4.0, 5.0, 6.0, 1.0, 2.0][..]));
        let turned = weighted.transpose();
        assert_eq!((turned.row(2), turned.row_weights(2)), (&[0, 2][..], Some(&[2.0, 6.0][..])));
        assert_eq!(turned.transpose(), weighted);
        let without_1 = weighted.filter_map(2, |_, column, _| [Some(0), None, Some(1)][column as usize]).unwrap();
        assert_eq!((without_1.row(2), without_1.weights()), (&[0, 1][..], Some(&[1.0, 2.0, 4.0, 6.0][..])));
        for weights in [vec![1.0; 5], vec![0.0; 6], vec![-1.0; 6], vec![f32::NAN; 6], vec![f32::INFINITY; 6]] {
            assert!(matrix.clone().with_weights(weights).is_err());
        }
    }

    #[test]
    fn malformed_arrays_are_refused() {
        for (indptr, indices) in [
            (vec![], vec![]),
            (vec![1, 1], vec![0]),
            (vec![0, 2], vec![0]),
            (vec![0, 2, 1, 3], vec![0, 1, 2]),
            (vec![0, 2], vec![1, 1]),
            (vec![0, 2], vec![1, 0]),
            (vec![0, 1], vec![4]),
        ] {
            assert!(Csr::new(indptr.clone(), indices, 4).is_err(), "{indptr:?}");
        }
    }
}
