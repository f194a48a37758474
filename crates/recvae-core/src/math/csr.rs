//! A binary sparse matrix in compressed rows, the one form interactions have between the reader and the first layer.
//!
//! Row `u` holds the item indices of user `u`, ascending and without duplicates: `indices[indptr[u]..indptr[u + 1]]`.
//! A stored entry means 1, anything else 0; there are no values.

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

/// Binary matrix of shape `(n_rows, n_cols)` in CSR form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csr {
    indptr: Vec<usize>,
    indices: Vec<u32>,
    n_cols: usize,
}

impl Csr {
    /// Takes the arrays of a CSR matrix after checking them.
    ///
    /// # Errors
    /// `INVALID_DATA` unless `indptr` starts at 0, never falls and ends at `indices.len()`, and every row is strictly
    /// ascending and below `n_cols`; or if there are 2^32 rows or columns or more, so that every index of either is a `u32`.
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
        Ok(Self { indptr, indices, n_cols })
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
        Self { indptr, indices, n_cols }
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
        self.indptr.capacity() * size_of::<usize>() + self.indices.capacity() * size_of::<u32>()
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
        Self { indptr, indices, n_cols: self.n_cols }
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
        for (row, columns) in (0u32..).zip(self.rows()) {
            for &column in columns {
                let slot = &mut next[column as usize];
                indices[*slot] = row;
                *slot += 1;
            }
        }
        Self { indptr, indices, n_cols: self.n_rows() }
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
