//! One side of iALS: rows that are fixed, and the least squares problems of the other side's rows against them.
//!
//! With `Q` the fixed rows `(m, d)`, `G = Q' Q`, `S` the list of a row and `n` its length, the row's vector `p` solves
//!
//! ```text
//! (alpha0 G + lambda (n + alpha0 m)^nu I + sum over S of q q') p = sum over S of q
//! ```
//!
//! Conjugate gradients never form that matrix: for a block of rows at once, `alpha0 G` is a product of dense matrices, and
//! the sum over `S` goes through the list once a step, its rows of `Q` read from the cache twice.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::prelude::ReborrowMut;
use faer::{Accum, MatMut, MatRef, Par};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
use crate::base::matrix::{row_major, row_major_mut, view2};
use crate::math::csr::Csr;
use crate::math::matmul::{matmul, par_matmul, rows, rows_mut, to_faer, to_faer_mut};
use crate::math::real::Real;
use crate::math::vectorised::{add_scaled, dot, vectorised};

/// The weights of the loss; see `als.rs`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights {
    pub(super) alpha0: f64,
    pub(super) lambda: f64,
    pub(super) nu: f64,
}

impl Weights {
    /// The weight of the squared norm of a row with `n` interactions against `n_fixed` rows.
    pub(super) fn ridge(self, n: usize, n_fixed: usize) -> f64 {
        self.lambda * (n as f64 + self.alpha0 * n_fixed as f64).powf(self.nu)
    }
}

/// Rows that are fixed while others are solved.
#[derive(Clone, Default)]
pub(super) struct Fixed<T> {
    /// `Q` of shape `(m, d)`.
    rows: Vec<T>,
    /// `Q' Q` of shape `(d, d)`.
    gram: Array2<T>,
    d: usize,
}

/// Rows that are gathered for a product of dense matrices: what a thread needs at most, beside a square matrix.
pub(super) const GATHERED: usize = 256;

/// Rows that go through the conjugate gradients together: enough for a product of dense matrices, few enough for their
/// four arrays to stay in the cache.
const BLOCK: usize = 64;

impl<T: Real> Fixed<T> {
    pub(super) fn new(rows_of_fixed: Vec<T>, d: usize) -> Self {
        let mut gram = Array2::default((d, d));
        let q = rows(&rows_of_fixed, d);
        par_matmul(to_faer_mut(gram.view_mut()), q.transpose(), q);
        Self { rows: rows_of_fixed, gram, d }
    }

    pub(super) fn rows(&self) -> ArrayView2<'_, T> {
        view2(&self.rows, (self.n_rows(), self.d))
    }

    pub(super) fn row(&self, index: u32) -> &[T] {
        &self.rows[index as usize * self.d..][..self.d]
    }

    pub(super) fn into_rows(self) -> Vec<T> {
        self.rows
    }

    fn n_rows(&self) -> usize {
        self.rows.len() / self.d
    }

    fn ridge(&self, weights: Weights, list: &[u32]) -> T {
        T::from_f64(weights.ridge(list.len(), self.n_rows()))
    }

    /// `alpha0 G`.
    fn scaled_gram(&self, weights: Weights) -> Array2<T> {
        let alpha0 = T::from_f64(weights.alpha0);
        self.gram.mapv(|number| alpha0 * number)
    }

    /// Takes `steps` of conjugate gradients from where `solved` stands, shape `(lists.n_rows(), d)`.
    pub(super) fn improve(
        &self,
        weights: Weights,
        lists: &Csr,
        steps: usize,
        solved: ArrayViewMut2<'_, T>,
        cancel: &Cancel,
    ) -> Result<()> {
        let gram = self.scaled_gram(weights);
        row_major_mut(solved).par_chunks_mut(BLOCK * self.d).enumerate().try_for_each_init(
            Descent::default,
            |descent, (block, x)| {
                cancel.check()?;
                let n = x.len() / self.d;
                descent.ridges.clear();
                descent.ridges.extend((0..n).map(|row| self.ridge(weights, lists.row(block * BLOCK + row))));
                descent.run(self, gram.view(), |row| lists.row(block * BLOCK + row), steps, x);
                Ok(())
            },
        )
    }

    /// Solves the rows of `lists` exactly.
    pub(super) fn solve(
        &self,
        weights: Weights,
        lists: &Csr,
        solved: ArrayViewMut2<'_, T>,
        cancel: &Cancel,
    ) -> Result<()> {
        let gram = self.scaled_gram(weights);
        row_major_mut(solved).par_chunks_mut(self.d).enumerate().try_for_each_init(Vec::new, |scratch, (row, x)| {
            cancel.check()?;
            self.solve_one(gram.view(), self.ridge(weights, lists.row(row)), lists.row(row), x, scratch)
        })
    }

    /// Solves a list or a few exactly.
    pub(super) fn solve_lists(&self, weights: Weights, lists: &[&[u32]], solved: ArrayViewMut2<'_, T>) -> Result<()> {
        let gram = self.scaled_gram(weights);
        row_major_mut(solved).par_chunks_mut(self.d).zip(lists).try_for_each_init(Vec::new, |scratch, (x, list)| {
            self.solve_one(gram.view(), self.ridge(weights, list), list, x, scratch)
        })
    }

    /// `A^-1 right` with `A` the matrix of a list's equations.
    pub(super) fn spread(&self, weights: Weights, list: &[u32], right: &[T]) -> Result<Vec<T>> {
        let mut sum = vec![T::ZERO; self.d];
        let mut factor = vec![];
        self.factor(self.scaled_gram(weights).view(), self.ridge(weights, list), list, &mut sum, &mut factor)?;
        let mut x = right.to_vec();
        self.substitute(&factor, &mut x);
        Ok(x)
    }

    /// By Cholesky, on this thread. `scratch` is used again from row to row.
    fn solve_one(
        &self,
        gram: ArrayView2<'_, T>,
        ridge: T,
        list: &[u32],
        x: &mut [T],
        scratch: &mut Vec<T>,
    ) -> Result<()> {
        self.factor(gram, ridge, list, x, scratch)?;
        self.substitute(scratch, x);
        Ok(())
    }

    /// Leaves the Cholesky factor of a list's equations in `scratch` and their right side in `x`.
    fn factor(&self, gram: ArrayView2<'_, T>, ridge: T, list: &[u32], x: &mut [T], scratch: &mut Vec<T>) -> Result<()> {
        let d = self.d;
        scratch.resize(d * d + GATHERED * d, T::ZERO);
        let (matrix, gathered) = scratch.split_at_mut(d * d);
        matrix.copy_from_slice(row_major(gram));
        matrix.iter_mut().step_by(d + 1).for_each(|entry| *entry += ridge);
        x.fill(T::ZERO);
        for list in list.chunks(GATHERED) {
            let gathered = &mut gathered[..list.len() * d];
            for (copy, &item) in gathered.chunks_exact_mut(d).zip(list) {
                let row = &self.rows[item as usize * d..][..d];
                copy.copy_from_slice(row);
                add_scaled(x, row, T::ONE);
            }
            let q = rows(gathered, d);
            let (lower, whole) = (BlockStructure::TriangularLower, BlockStructure::Rectangular);
            let matrix = MatMut::from_column_major_slice_mut(matrix, d, d);
            triangular::matmul(matrix, lower, Accum::Add, q.transpose(), whole, q, whole, T::ONE, Par::Seq);
        }
        let params = Default::default();
        let mut matrix = MatMut::from_column_major_slice_mut(matrix, d, d);
        let mut stack = MemBuffer::new(llt::factor::cholesky_in_place_scratch::<T>(d, Par::Seq, params));
        let stack = MemStack::new(&mut stack);
        llt::factor::cholesky_in_place(matrix.rb_mut(), Default::default(), Par::Seq, stack, params).map_err(|_| {
            Error::Numerical("a user's equations have no solution in single precision: a larger lambda helps".into())
        })?;
        Ok(())
    }

    /// Solves for `x` in its place by the factor in `scratch`.
    fn substitute(&self, scratch: &[T], x: &mut [T]) {
        let factor = MatRef::from_column_major_slice(&scratch[..self.d * self.d], self.d, self.d);
        let x = MatMut::from_column_major_slice_mut(x, self.d, 1);
        llt::solve::solve_in_place(factor, x, Par::Seq, MemStack::new(&mut []));
    }

    /// The loss of the rows `solved` against the fixed ones, without the norms of the latter.
    pub(super) fn loss(&self, weights: Weights, lists: &Csr, solved: ArrayView2<'_, T>) -> f64 {
        let blocks: Vec<f64> = row_major(solved)
            .par_chunks(BLOCK * self.d)
            .enumerate()
            .map(|(block, x)| {
                let mut all = vec![T::ZERO; x.len()];
                matmul(rows_mut(&mut all, self.d), rows(x, self.d), to_faer(self.gram.view()));
                let users = x.chunks_exact(self.d).zip(all.chunks_exact(self.d)).enumerate();
                let losses = users.map(|(row, (x, all))| {
                    let list = lists.row(block * BLOCK + row);
                    let seen = squared_errors(&self.rows, list, x);
                    let norm = weights.ridge(list.len(), self.n_rows()) * scalar_product(x, x).to_f64();
                    seen + weights.alpha0 * scalar_product(x, all).to_f64() + norm
                });
                losses.sum()
            })
            .collect();
        blocks.iter().sum()
    }
}

/// Conjugate gradients on a block of rows in step; all arrays have a row per row of the block.
///
/// Source: M. R. Hestenes, E. Stiefel, Methods of Conjugate Gradients for Solving Linear Systems, 1952; on the rows of
/// ALS: G. Takacs, I. Pilaszy, D. Tikk, Applications of the Conjugate Gradient Method for Implicit Feedback Collaborative
/// Filtering, RecSys 2011.
#[derive(Default)]
struct Descent<T> {
    ridges: Vec<T>,
    residual: Vec<T>,
    direction: Vec<T>,
    product: Vec<T>,
    /// Squared norms of the residuals.
    squares: Vec<T>,
}

impl<T: Real> Descent<T> {
    fn run<'a>(
        &mut self,
        fixed: &Fixed<T>,
        gram: ArrayView2<'_, T>,
        list: impl Fn(usize) -> &'a [u32],
        steps: usize,
        x: &mut [T],
    ) {
        let Self { ridges, residual, direction, product, squares } = self;
        let d = fixed.d;
        for array in [&mut *residual, &mut *direction, &mut *product] {
            array.resize(x.len(), T::ZERO);
        }
        let multiply = |product: &mut [T], x: &[T]| matmul(rows_mut(product, d), rows(x, d), to_faer(gram));
        multiply(product, x);
        squares.clear();
        for (row, &ridge) in ridges.iter().enumerate() {
            let at = row * d..(row + 1) * d;
            let (x, residual) = (&x[at.clone()], &mut residual[at.clone()]);
            first_residual(residual, x, &product[at.clone()], ridge);
            sum_of_rows(residual, &fixed.rows, list(row), x, T::ONE, -T::ONE);
            squares.push(scalar_product(residual, residual));
            direction[at].copy_from_slice(residual);
        }
        for step in 1..=steps {
            multiply(product, direction);
            for (row, &ridge) in ridges.iter().enumerate() {
                let at = row * d..(row + 1) * d;
                let (direction, product) = (&mut direction[at.clone()], &mut product[at.clone()]);
                add_scaled(product, direction, ridge);
                sum_of_rows(product, &fixed.rows, list(row), direction, T::ZERO, T::ONE);
                let curvature = scalar_product(direction, product);
                // A row that is solved has nowhere to go.
                if !(curvature > T::ZERO && squares[row] > T::ZERO) {
                    direction.fill(T::ZERO);
                    continue;
                }
                let length = squares[row] / curvature;
                add_scaled(&mut x[at.clone()], direction, length);
                if step == steps {
                    continue;
                }
                let residual = &mut residual[at];
                add_scaled(residual, product, -length);
                let square = scalar_product(residual, residual);
                turn(direction, residual, square / squares[row]);
                squares[row] = square;
            }
        }
    }
}

/// Runs a loop over rows of `d` numbers by its form for a length that the compiler knows, where it has one: `x` and the sum
/// then stay in registers from row to row, which makes it two to three times as fast. The bits are the same.
macro_rules! by_length {
    ($d:expr, $of_known:ident($($argument:expr),*), $of_any:expr) => {
        match $d {
            16 => $of_known::<T, 16>($($argument),*),
            32 => $of_known::<T, 32>($($argument),*),
            64 => $of_known::<T, 64>($($argument),*),
            128 => $of_known::<T, 128>($($argument),*),
            256 => $of_known::<T, 256>($($argument),*),
            _ => $of_any,
        }
    };
}

#[inline(always)]
fn sum_of_known<T: Real, const D: usize>(out: &mut [T], rows: &[T], list: &[u32], x: &[T], constant: T, slope: T) {
    let (rows, _) = rows.as_chunks::<D>();
    let (Some(x), Some(out)) = (x.first_chunk::<D>(), out.first_chunk_mut::<D>()) else { return };
    let (x, mut sum) = (*x, *out);
    for &item in list {
        let row = &rows[item as usize];
        let factor = constant + slope * dot(row, &x);
        sum.iter_mut().zip(row).for_each(|(sum, &number)| *sum += factor * number);
    }
    *out = sum;
}

#[inline(always)]
fn sum_of_any<T: Real>(out: &mut [T], rows: &[T], list: &[u32], x: &[T], constant: T, slope: T) {
    let d = x.len();
    for &item in list {
        let row = &rows[item as usize * d..][..d];
        let factor = constant + slope * dot(row, x);
        out.iter_mut().zip(row).for_each(|(out, &number)| *out += factor * number);
    }
}

#[inline(always)]
fn errors_of_known<T: Real, const D: usize>(rows: &[T], list: &[u32], x: &[T]) -> f64 {
    let (rows, _) = rows.as_chunks::<D>();
    let Some(x) = x.first_chunk::<D>() else { return 0.0 };
    let x = *x;
    list.iter().map(|&item| squared_error(dot(&rows[item as usize], &x))).sum()
}

#[inline(always)]
fn squared_error<T: Real>(score: T) -> f64 {
    let error = score.to_f64() - 1.0;
    error * error
}

vectorised! {
    /// `residual = -product - ridge x`.
    fn first_residual(residual: &mut [T], x: &[T], product: &[T], ridge: T) {
        for ((residual, &x), &product) in residual.iter_mut().zip(x).zip(product) {
            *residual = -product - ridge * x;
        }
    }

    /// `out += sum over the list of (constant + slope q . x) q`.
    fn sum_of_rows(out: &mut [T], rows: &[T], list: &[u32], x: &[T], constant: T, slope: T) {
        by_length!(
            x.len(),
            sum_of_known(out, rows, list, x, constant, slope),
            sum_of_any(out, rows, list, x, constant, slope)
        );
    }

    /// Sum over the list of `(q . x - 1)^2`.
    fn squared_errors(rows: &[T], list: &[u32], x: &[T]) -> f64 {
        let d = x.len();
        by_length!(
            d,
            errors_of_known(rows, list, x),
            list.iter().map(|&item| squared_error(dot(&rows[item as usize * d..][..d], x))).sum()
        )
    }

    /// `direction = residual + factor direction`.
    fn turn(direction: &mut [T], residual: &[T], factor: T) {
        direction.iter_mut().zip(residual).for_each(|(direction, &residual)| *direction = residual + factor * *direction);
    }

    /// `a . b`.
    fn scalar_product(a: &[T], b: &[T]) -> T {
        dot(a, b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Stream;

    /// The loops for known lengths against those for any.
    #[test]
    fn known_lengths_give_the_same_bits() {
        fn check<T: Real>(d: usize) {
            let mut random = Stream::new(1, d as u64);
            let mut normals = |n: usize| (0..n).map(|_| T::from_f64(random.normal())).collect::<Vec<T>>();
            let (rows, x, start) = (normals(50 * d), normals(d), normals(d));
            let list = [3, 49, 0, 7, 7, 20];
            let (mut fast, mut plain) = (start.clone(), start);
            sum_of_rows(&mut fast, &rows, &list, &x, T::from_f64(0.5), T::from_f64(-1.25));
            sum_of_any(&mut plain, &rows, &list, &x, T::from_f64(0.5), T::from_f64(-1.25));
            assert!(fast == plain, "{d}");
            let row = |item: u32| &rows[item as usize * d..][..d];
            let errors: f64 = list.iter().map(|&item| squared_error(dot(row(item), &x))).sum();
            assert_eq!(squared_errors(&rows, &list, &x).to_bits(), errors.to_bits(), "{d}");
        }
        for d in [1, 16, 17, 32, 64, 100, 128, 256, 300] {
            check::<f32>(d);
            check::<f64>(d);
        }
    }
}
