//! Dense products, of which training, scores and linear algebra are made: by [`sgemm`](super::sgemm) where the
//! processor has what it needs, else by faer, in pieces of fixed size. Either way the result does not depend on the
//! number of threads.

use faer::linalg::matmul::matmul as faer_matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::prelude::ReborrowMut;
use faer::{Accum, MatMut, MatRef, Par};
use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use crate::base::matrix::{row_major, row_major_mut};
use crate::math::part::Part;
use crate::math::real::Real;
#[cfg(target_arch = "x86_64")]
use crate::math::sgemm;
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

/// `out = lhs * rhs` on this thread, by faer: a tile of training is small, and there its products are the faster ones.
pub(crate) fn matmul<T: Real>(out: MatMut<'_, T>, lhs: MatRef<'_, T>, rhs: MatRef<'_, T>) {
    faer_matmul(out, Accum::Replace, lhs, rhs, T::ONE, Par::Seq);
}

/// `out += lhs * rhs` on this thread.
pub(crate) fn matmul_add<T: Real>(out: MatMut<'_, T>, lhs: MatRef<'_, T>, rhs: MatRef<'_, T>) {
    faer_matmul(out, Accum::Add, lhs, rhs, T::ONE, Par::Seq);
}

/// `out = lhs * rhs` on all threads of the pool.
pub(crate) fn par_matmul<T: Real>(out: MatMut<'_, T>, lhs: MatRef<'_, T>, rhs: MatRef<'_, T>) {
    par_product(out, Part::Whole, Accum::Replace, lhs, rhs, T::ONE);
}

/// `out = alpha * lhs * rhs` or `out += alpha * lhs * rhs` on all threads of the pool, of that part of `out` alone,
/// which is square unless all of it is wanted. `alpha` is 1 or -1.
pub(crate) fn par_product<T: Real>(
    mut out: MatMut<'_, T>,
    part: Part,
    accum: Accum,
    lhs: MatRef<'_, T>,
    rhs: MatRef<'_, T>,
    alpha: T,
) {
    // Large enough that packing the operands is cheap beside multiplying them, small enough for several threads.
    // Squares, so that a tile that has some of a triangle is all of it or is on the diagonal.
    const TILE: usize = 240;
    if by_kernel(out.rb_mut(), part, accum, lhs, rhs, alpha, true) {
        return;
    }
    let whole = BlockStructure::Rectangular;
    out.par_row_chunks_mut(TILE).enumerate().for_each(|(i, out)| {
        let rows = i * TILE..i * TILE + out.nrows();
        let lhs = lhs.subrows(rows.start, rows.len());
        out.par_col_chunks_mut(TILE).enumerate().for_each(|(j, out)| {
            let cols = j * TILE..j * TILE + out.ncols();
            let rhs = rhs.subcols(cols.start, cols.len());
            if part.has_all(&rows, &cols) {
                faer_matmul(out, accum, lhs, rhs, alpha, Par::Seq);
            } else if part.has(&rows, &cols) {
                let triangle = match part {
                    Part::Whole => whole,
                    Part::Lower => BlockStructure::TriangularLower,
                    Part::Upper => BlockStructure::TriangularUpper,
                };
                triangular::matmul(out, triangle, accum, lhs, whole, rhs, whole, alpha, Par::Seq);
            }
        });
    });
}

/// By `sgemm::product`, in f32 where it is there; else false, and nothing is done.
pub(super) fn by_kernel<T: Real>(
    out: MatMut<'_, T>,
    part: Part,
    accum: Accum,
    lhs: MatRef<'_, T>,
    rhs: MatRef<'_, T>,
    alpha: T,
    parallel: bool,
) -> bool {
    #[cfg(target_arch = "x86_64")]
    if let (Some(out), Some(lhs), Some(rhs)) = (T::as_f32_mut(out), T::as_f32(lhs), T::as_f32(rhs)) {
        return sgemm::product(out, part, accum, lhs, rhs, alpha.to_f64() as f32, parallel);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (out, part, accum, lhs, rhs, alpha, parallel);
    false
}

/// `out = x W'` for one row `x` and some rows of `W`, by `sgemm` in f32 where it is there; else false, and nothing is
/// done.
pub(super) fn by_kernel_of_some<T: Real>(x: &[T], weight: &[T], some: &[u32], out: &mut [T]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if let (Ok(x), Ok(weight), Ok(out)) = (
        bytemuck::try_cast_slice::<T, f32>(x),
        bytemuck::try_cast_slice::<T, f32>(weight),
        bytemuck::try_cast_slice_mut::<T, f32>(out),
    ) && size_of::<T>() == size_of::<f32>()
    {
        return sgemm::product_of_some(x, weight, some, out);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (x, weight, some, out);
    false
}

/// The right side of products that have it in common, as `sgemm` keeps it, in f32 where that is there.
pub(super) struct Panels {
    #[cfg(target_arch = "x86_64")]
    panels: sgemm::Panels,
}

impl Panels {
    pub(super) fn of<T: Real>(rhs: MatRef<'_, T>) -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        return T::as_f32(rhs).and_then(sgemm::Panels::of).map(|panels| Self { panels });
        #[cfg(not(target_arch = "x86_64"))]
        None
    }

    /// `out = lhs * rhs` on this thread, where the numbers are those of [`Self::of`].
    pub(super) fn product<T: Real>(&self, out: MatMut<'_, T>, lhs: MatRef<'_, T>) {
        #[cfg(target_arch = "x86_64")]
        match (T::as_f32_mut(out), T::as_f32(lhs)) {
            (Some(out), Some(lhs)) => self.panels.product(out, lhs),
            _ => unreachable!("panels of another kind of numbers"),
        }
        #[cfg(not(target_arch = "x86_64"))]
        unreachable!("there are no panels here: {:?}", (out.nrows(), lhs.nrows()));
    }
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
