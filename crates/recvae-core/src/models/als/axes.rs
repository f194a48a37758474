//! The principal axes of vectors: those in which the matrix of their scalar products, `Q' Q`, is diagonal.
//!
//! `Q' Q = U diag(spectrum) U'` with `U` orthogonal, so the vectors `Q U` have a diagonal one. Scores do not change if
//! the vectors of users and of items are turned by the same `U`.
//!
//! The eigenvalues are found in double precision: small ones would drown in the rounding of large ones.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{Accum, Mat, Par};
use ndarray::Array2;
use rayon::prelude::*;

use crate::math::matmul::{matmul, par_product, rows, rows_mut, to_faer, to_faer_mut};
use crate::math::part::Part;
use crate::math::real::Real;

/// The vectors are too large for their precision, or not numbers.
#[derive(Debug)]
pub(super) struct NotFinite;

/// How many matrices of `d` x `d` in single precision [`turn_to_axes`] takes: what it returns and the products, as many
/// numbers in double precision twice, and what the library asks for.
pub(super) const MATRICES: f64 = 14.0;

/// Rows that are turned in one product.
const BLOCK: usize = 256;

/// Turns `vectors` of `d` numbers each to their principal axes.
///
/// Returns the squared lengths of the axes, not below 0, and `U` of shape `(d, d)`.
///
/// # Errors
/// If a number is not finite, or a product of two is not.
pub(super) fn turn_to_axes<T: Real>(vectors: &mut [T], d: usize) -> Result<(Vec<T>, Array2<T>), NotFinite> {
    let mut gram = Array2::default((d, d));
    let all = rows(vectors, d);
    par_product(to_faer_mut(gram.view_mut()), Part::Lower, Accum::Replace, all.transpose(), all, T::ONE);
    if !gram.iter().all(|number| number.is_finite()) {
        return Err(NotFinite);
    }
    let gram = Mat::from_fn(d, d, |row, column| gram[(row, column)].to_f64());
    let (mut axes, mut spectrum) = (Mat::<f64>::zeros(d, d), Diag::<f64>::zeros(d));
    let params = Default::default();
    let mut stack =
        MemBuffer::new(self_adjoint_evd_scratch::<f64>(d, ComputeEigenvectors::Yes, Par::Seq, Default::default()));
    let stack = MemStack::new(&mut stack);
    self_adjoint_evd(gram.as_ref(), spectrum.as_mut(), Some(axes.as_mut()), Par::Seq, stack, params)
        .map_err(|_| NotFinite)?;
    // Rounding takes those of axes without any length below 0.
    let spectrum = spectrum.column_vector().iter().map(|&value| T::from_f64(value.max(0.0))).collect();
    let axes = Array2::from_shape_fn((d, d), |(row, column)| T::from_f64(axes[(row, column)]));
    vectors.par_chunks_mut(BLOCK * d).for_each_init(Vec::new, |copy, block| turn(block, &axes, copy));
    Ok((spectrum, axes))
}

/// Turns vectors by `U`, on this thread. `copy` is used again from call to call.
pub(super) fn turn<T: Real>(vectors: &mut [T], axes: &Array2<T>, copy: &mut Vec<T>) {
    copy.clear();
    copy.extend_from_slice(vectors);
    let d = axes.nrows();
    matmul(rows_mut(vectors, d), rows(copy, d), to_faer(axes.view()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Stream;

    fn normals<T: Real>(count: usize, seed: u64) -> Vec<T> {
        let mut random = Stream::new(seed, 0);
        (0..count).map(|_| T::from_f64(random.normal())).collect()
    }

    /// Largest differences of `Q' Q` from the diagonal matrix and of scores from what they were, as shares of the
    /// largest eigenvalue and of the product of lengths.
    fn differences<T: Real>(n: usize, d: usize) -> [f64; 2] {
        let old: Vec<T> = normals(n * d, 1);
        let mut new = old.clone();
        let (spectrum, axes) = turn_to_axes(&mut new, d).unwrap();
        assert!(spectrum.iter().all(|&value| value >= T::ZERO));
        let number = |row: &[T], at: usize| row[at].to_f64();
        let largest = spectrum.iter().map(|value| value.to_f64()).fold(1e-300, f64::max);
        let mut off = 0.0f64;
        for (a, &square) in spectrum.iter().enumerate() {
            for b in 0..d {
                let sum: f64 = new.chunks(d).map(|row| number(row, a) * number(row, b)).sum();
                let expected = if a == b { square.to_f64() } else { 0.0 };
                off = off.max((sum - expected).abs() / largest);
            }
        }
        let user: Vec<T> = normals(d, 2);
        let mut turned = user.clone();
        turn(&mut turned, &axes, &mut vec![]);
        let dot = |a: &[T], b: &[T]| a.iter().zip(b).map(|(a, b)| a.to_f64() * b.to_f64()).sum::<f64>();
        let scores = old.chunks(d).zip(new.chunks(d)).map(|(old, new)| {
            let scale = (dot(old, old) * dot(&user, &user)).sqrt();
            (dot(old, &user) - dot(new, &turned)).abs() / scale
        });
        [off, scores.fold(0.0, f64::max)]
    }

    /// More vectors than numbers, fewer, one.
    #[test]
    fn the_matrix_becomes_diagonal_and_scores_stay() {
        for (n, d) in [(300, 20), (7, 20), (1, 3), (5, 1), (300, 70)] {
            // Sums of hundreds of products and `d` more for a turned number, each rounded to 1 in 2^53, or 2^24.
            for (found, most) in [(differences::<f64>(n, d), 1e-13), (differences::<f32>(n, d), 2e-5)] {
                assert!(found.iter().all(|&difference| difference < most), "{n} x {d}: {found:?}");
            }
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for number in [f32::NAN, f32::INFINITY, 1e30] {
            assert!(turn_to_axes(&mut [1.0, number, 0.0, 1.0], 2).is_err(), "{number}");
        }
    }

    #[test]
    fn zeros_have_axes_without_length() {
        let mut zeros = vec![0.0f32; 12];
        let (spectrum, _) = turn_to_axes(&mut zeros, 3).unwrap();
        assert!(spectrum == [0.0; 3] && zeros == [0.0; 12]);
    }
}
