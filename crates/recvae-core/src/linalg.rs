//! Dense linear algebra over items: the Gram matrix of a CSR matrix and the inverse of a positive definite one.
//!
//! Square matrices are `Vec`s of `n * n` numbers. A symmetric one keeps row `i` from column `i` on, which is the upper
//! triangle row by row and, for faer's column-major kernels, the lower triangle column by column.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::triangular_inverse;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::csr::Csr;
use crate::real::Real;

/// The Gram matrix `X' X` of shape `(n_items, n_items)` of a binary matrix: how many users have both items. Entries left
/// of the diagonal are 0. Counts are exact in f32 up to 2^24 users.
pub(crate) fn gram<T: Real>(x: &Csr) -> Vec<T> {
    let n = x.n_cols();
    let users_of = x.transpose();
    let mut gram = vec![T::ZERO; n * n];
    gram.par_chunks_mut(n).enumerate().for_each(|(item, row)| {
        for &user in users_of.row(item) {
            let items = x.row(user as usize);
            let from = items.partition_point(|&other| (other as usize) < item);
            for &other in &items[from..] {
                row[other as usize] += T::ONE;
            }
        }
    });
    gram
}

/// Overwrites a symmetric positive definite matrix by its inverse, both in the half-filled form of this module, and gives
/// back a second buffer of the same size that it needed.
///
/// Cholesky factor `L`, its inverse into the second buffer, `L^-T L^-1` into the first: `n^3` floating point operations
/// and `2 n^2` numbers, where faer's ready-made inverse holds `3 n^2`.
///
/// # Errors
/// The index of the first pivot that is not a positive finite number.
pub(crate) fn invert_positive_definite<T: Real>(matrix: &mut [T], n: usize) -> Result<Vec<T>, usize> {
    let par = Par::rayon(0);
    let params = Default::default();
    let mut stack = MemBuffer::new(llt::factor::cholesky_in_place_scratch::<T>(n, par, params));
    llt::factor::cholesky_in_place(
        MatMut::from_column_major_slice_mut(matrix, n, n),
        Default::default(),
        par,
        MemStack::new(&mut stack),
        params,
    )
    .map_err(|llt::factor::LltError::NonPositivePivot { index }| index)?;
    let mut factor_inverse = vec![T::ZERO; n * n];
    triangular_inverse::invert_lower_triangular(
        MatMut::from_column_major_slice_mut(&mut factor_inverse, n, n),
        MatRef::from_column_major_slice(matrix, n, n),
        par,
    );
    let lower = MatRef::from_column_major_slice(&factor_inverse, n, n);
    triangular::matmul(
        MatMut::from_column_major_slice_mut(matrix, n, n),
        BlockStructure::TriangularLower,
        Accum::Replace,
        lower.transpose(),
        BlockStructure::TriangularUpper,
        lower,
        BlockStructure::TriangularLower,
        T::ONE,
        par,
    );
    match (0..n).find(|&index| !matrix[index * (n + 1)].finite()) {
        Some(index) => Err(index),
        None => Ok(factor_inverse),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gram_counts_pairs() {
        let x = Csr::from_rows([&[0u32, 2][..], &[0, 1, 2], &[1]], 3).unwrap();
        assert_eq!(gram::<f64>(&x), [2.0, 1.0, 2.0, 0.0, 2.0, 1.0, 0.0, 0.0, 2.0]);
    }

    #[test]
    fn inverse_times_matrix_is_the_identity() {
        // Sizes around faer's block sizes; tolerance eps * 64 * n as the matrices have condition numbers below 64.
        for n in [1usize, 2, 17, 64, 200, 401] {
            let at = |i: usize, j: usize| if i == j { 4.0 } else { 1.0 / (1 + i.abs_diff(j)).pow(2) as f64 };
            let mut matrix = vec![0.0; n * n];
            for i in 0..n {
                for j in i..n {
                    matrix[i * n + j] = at(i, j);
                }
            }
            invert_positive_definite(&mut matrix, n).unwrap();
            let inverse = |i: usize, j: usize| matrix[i.min(j) * n + i.max(j)];
            for i in 0..n {
                for j in 0..n {
                    let sum: f64 = (0..n).map(|k| at(i, k) * inverse(k, j)).sum();
                    let expected = f64::from(u8::from(i == j));
                    assert!((sum - expected).abs() < f64::EPSILON * 64.0 * n as f64, "{n}: {i}, {j}: {sum}");
                }
            }
        }
    }

    #[test]
    fn an_indefinite_matrix_names_its_pivot() {
        let mut matrix = vec![1.0f32, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 1.0];
        assert_eq!(invert_positive_definite(&mut matrix, 3).unwrap_err(), 2);
    }
}
