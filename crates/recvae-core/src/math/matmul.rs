//! Dense products in pieces of fixed size, so that the result does not depend on the number of threads.

use faer::linalg::matmul::matmul as faer_matmul;
use faer::{Accum, MatMut, MatRef, Par};
use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use crate::base::matrix::{row_major, row_major_mut};
use crate::math::real::Real;
use crate::math::vectorised::add;

/// A view of a row-major matrix of `n_cols` columns.
pub(crate) fn rows<T>(data: &[T], n_cols: usize) -> MatRef<'_, T> {
    MatRef::from_row_major_slice(data, data.len() / n_cols, n_cols)
}

/// A mutable view of a row-major matrix of `n_cols` columns.
pub(crate) fn rows_mut<T>(data: &mut [T], n_cols: usize) -> MatMut<'_, T> {
    let n_rows = data.len() / n_cols;
    MatMut::from_row_major_slice_mut(data, n_rows, n_cols)
}

/// A matrix as faer sees it.
pub(crate) fn to_faer<T>(matrix: ArrayView2<'_, T>) -> MatRef<'_, T> {
    let (n_rows, n_cols) = matrix.dim();
    MatRef::from_row_major_slice(row_major(matrix), n_rows, n_cols)
}

/// The same, to be written.
pub(crate) fn to_faer_mut<T>(matrix: ArrayViewMut2<'_, T>) -> MatMut<'_, T> {
    let (n_rows, n_cols) = matrix.dim();
    MatMut::from_row_major_slice_mut(row_major_mut(matrix), n_rows, n_cols)
}

/// `out = lhs * rhs` on this thread.
pub(crate) fn matmul<T: Real>(out: MatMut<'_, T>, lhs: MatRef<'_, T>, rhs: MatRef<'_, T>) {
    faer_matmul(out, Accum::Replace, lhs, rhs, T::ONE, Par::Seq);
}

/// `out += lhs * rhs` on this thread.
pub(crate) fn matmul_add<T: Real>(out: MatMut<'_, T>, lhs: MatRef<'_, T>, rhs: MatRef<'_, T>) {
    faer_matmul(out, Accum::Add, lhs, rhs, T::ONE, Par::Seq);
}

/// `out = lhs * rhs` on all threads of the pool.
pub(crate) fn par_matmul<T: Real>(out: MatMut<'_, T>, lhs: MatRef<'_, T>, rhs: MatRef<'_, T>) {
    // Large enough that packing the operands is cheap beside multiplying them, small enough for several threads.
    const TILE: (usize, usize) = (256, 160);
    let (n_rows, n_cols) = (out.nrows(), out.ncols());
    out.par_row_chunks_mut(TILE.0).enumerate().for_each(|(i, out)| {
        let first = i * TILE.0;
        let lhs = lhs.subrows(first, TILE.0.min(n_rows - first));
        out.par_col_chunks_mut(TILE.1).enumerate().for_each(|(j, out)| {
            let first = j * TILE.1;
            matmul(out, lhs, rhs.subcols(first, TILE.1.min(n_cols - first)));
        });
    });
}

/// `sums` becomes the sums of the columns of a row-major matrix, the rows added up in order.
pub(crate) fn column_sums<T: Real>(data: &[T], sums: &mut [T]) {
    const COLUMNS: usize = 128;
    let n_cols = sums.len();
    sums.par_chunks_mut(COLUMNS).enumerate().for_each(|(piece, sums)| {
        sums.fill(T::ZERO);
        for row in data.chunks_exact(n_cols) {
            add(sums, &row[piece * COLUMNS..][..sums.len()]);
        }
    });
}
