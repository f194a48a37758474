//! One side of iALS: rows that are fixed, and the least squares problems of the other side's rows against them.
//!
//! With `Q` the fixed rows `(m, d)`, `V` those of them in the list of a row, `(n, d)`, the row's vector `p` solves
//!
//! ```text
//! (D + V' V) p = V' 1,   D = alpha0 Q' Q + lambda (n + alpha0 m)^nu I
//! ```
//!
//! or, with confidences `c` of its interactions and `C` the diagonal matrix of them,
//!
//! ```text
//! (D + V' C V) p = V' (c + alpha0),   D = alpha0 Q' Q + lambda (sum of c + alpha0 m)^nu I
//! ```
//!
//! `Q` is turned to its principal axes (see [`axes`](super::axes)), so `D`, all that a row has to do with items outside
//! its list, is diagonal: it costs nothing to multiply with or to invert. Lists are short against `d` in most data, and
//! then
//!
//! - the solution is `p = D^-1 V' (I + V D^-1 V')^-1 1`, by a matrix of `n x n` in place of `d x d`: exactly, in
//!   `n^2 d` operations and not `n d^2 + d^3 / 3`. Where `n` is above `d / 2`, the `d` equations are solved as they
//!   stand. With confidences the rows of `V` are scaled by their roots, and
//!   `p = D^-1 V' C^(1/2) (I + C^(1/2) V D^-1 V' C^(1/2))^-1 C^(-1/2) (c + alpha0)`;
//! - in training, lists too long for that take a few steps of conjugate gradients from where the row stood,
//!   preconditioned by `D`. A step goes through the list once and does nothing else. `D^-1 (D + V' V)` is the identity
//!   and a matrix of rank `n`, so the steps have less to do than without.
//!
//! Sources: the identity: H. V. Henderson, S. R. Searle, "On Deriving the Inverse of a Sum of Matrices", SIAM Review
//! 1981; conjugate gradients on the rows of ALS: G. Takacs, I. Pilaszy, D. Tikk, "Applications of the Conjugate
//! Gradient Method for Implicit Feedback Collaborative Filtering", RecSys 2011, here with another preconditioner.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use super::axes::{NotFinite, turn, turn_to_axes};
use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
use crate::base::matrix::{row_major, row_major_mut, view2};
use crate::math::csr::Csr;
use crate::math::matmul::rows;
use crate::math::real::Real;
use crate::math::vectorised::{add_scaled, dot, multiply, sum_of_pairs, vectorised};

/// The weights of the loss; see `als.rs`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights {
    pub(super) alpha0: f64,
    pub(super) lambda: f64,
    pub(super) nu: f64,
    /// What the right side has beside an interaction's confidence: 0, or alpha0 where the training had confidences.
    pub(super) beside: f64,
}

impl Weights {
    /// The weight of the squared norm of a row whose interactions count `n` together, against `n_fixed` rows.
    pub(super) fn ridge(self, n: f64, n_fixed: usize) -> f64 {
        self.lambda * (n + self.alpha0 * n_fixed as f64).powf(self.nu)
    }
}

/// The interactions of a row, each with a confidence or all with 1.
#[derive(Clone, Copy)]
pub(super) struct List<'a> {
    pub(super) items: &'a [u32],
    pub(super) confidences: Option<&'a [f32]>,
}

impl<'a> List<'a> {
    /// All count 1.
    pub(super) fn plain(items: &'a [u32]) -> Self {
        Self { items, confidences: None }
    }

    fn len(self) -> usize {
        self.items.len()
    }

    /// What all count together.
    pub(super) fn sum(self) -> f64 {
        match self.confidences {
            Some(confidences) => confidences.iter().map(|&number| f64::from(number)).sum(),
            None => self.len() as f64,
        }
    }
}

/// The lists of all rows.
#[derive(Clone, Copy)]
pub(super) struct Lists<'a> {
    pub(super) items: &'a Csr,
    /// One for each entry.
    pub(super) confidences: Option<&'a [f32]>,
}

impl<'a> Lists<'a> {
    pub(super) fn row(self, row: usize) -> List<'a> {
        let confidences = self.confidences.map(|all| &all[self.items.row_range(row)]);
        List { items: self.items.row(row), confidences }
    }

    fn n_rows(self) -> usize {
        self.items.n_rows()
    }
}

/// Rows that are fixed while others are solved, in their principal axes.
#[derive(Clone, Default)]
pub(super) struct Fixed<T> {
    /// `Q` of shape `(m, d)`.
    rows: Vec<T>,
    /// The diagonal of `Q' Q`, of length `d`.
    spectrum: Vec<T>,
}

/// Rows that are gathered for a product of dense matrices: what a thread needs at most, beside a square matrix.
pub(super) const GATHERED: usize = 256;

/// Rows of a task.
const BLOCK: usize = 64;

/// Lists whose scalar products are faster one by one than by the library's products of matrices.
const FEW: usize = 12;

/// Operations by which a list is solved exactly.
pub(super) fn operations_of_exact(n: f64, d: f64) -> f64 {
    if is_short(n, d) { n * n * d + n * n * n / 3.0 } else { n * d * d + d * d * d / 3.0 }
}

/// Operations of so many steps of conjugate gradients, with the turn of the row to the axes of the fixed ones.
pub(super) fn operations_of_steps(n: f64, d: f64, steps: usize) -> f64 {
    4.0 * (steps as f64 + 1.0) * n * d + 2.0 * d * d
}

/// Whether a list of so many is solved exactly where others take so many steps.
pub(super) fn is_solved_exactly(n: usize, d: usize, steps: usize) -> bool {
    let (n, d) = (n as f64, d as f64);
    operations_of_exact(n, d) <= operations_of_steps(n, d, steps)
}

/// Whether a list has so few equations of its own that they are solved in place of those of the factors.
fn is_short(n: f64, d: f64) -> bool {
    2.0 * n <= d
}

impl<T: Real> Fixed<T> {
    /// Turns rows of `d` numbers to their principal axes, and returns with them what others have to be turned by.
    ///
    /// # Errors
    /// If a number is not finite, or a product of two is not.
    pub(super) fn turned(mut rows: Vec<T>, d: usize) -> Result<(Self, Array2<T>), NotFinite> {
        let (spectrum, axes) = turn_to_axes(&mut rows, d)?;
        Ok((Self { rows, spectrum }, axes))
    }

    /// Rows that were turned before, and what belongs to them.
    pub(super) fn new(rows: Vec<T>, spectrum: Vec<T>) -> Self {
        Self { rows, spectrum }
    }

    pub(super) fn rows(&self) -> ArrayView2<'_, T> {
        view2(&self.rows, (self.n_rows(), self.d()))
    }

    pub(super) fn row(&self, index: u32) -> &[T] {
        &self.rows[index as usize * self.d()..][..self.d()]
    }

    pub(super) fn spectrum(&self) -> &[T] {
        &self.spectrum
    }

    pub(super) fn into_rows(self) -> Vec<T> {
        self.rows
    }

    fn d(&self) -> usize {
        self.spectrum.len()
    }

    fn n_rows(&self) -> usize {
        self.rows.len() / self.d()
    }

    /// The rows of a list, one after the other.
    fn gather(&self, list: &[u32], gathered: &mut Vec<T>) {
        gathered.clear();
        list.iter().for_each(|&item| gathered.extend_from_slice(self.row(item)));
    }

    /// `D` of a list.
    fn shared(&self, weights: Weights, list: List<'_>, shared: &mut Vec<T>) {
        let (alpha0, ridge) = (T::from_f64(weights.alpha0), T::from_f64(weights.ridge(list.sum(), self.n_rows())));
        shared.resize(self.d(), T::ZERO);
        shared_of(shared, &self.spectrum, alpha0, ridge);
    }

    /// Solves rows exactly where that is no more work than `steps` of conjugate gradients, and takes these for the
    /// others from where `solved` stands, shape `(lists.n_rows(), d)`, turned by `axes` before.
    pub(super) fn improve(
        &self,
        weights: Weights,
        lists: Lists<'_>,
        steps: usize,
        axes: Option<&Array2<T>>,
        solved: ArrayViewMut2<'_, T>,
        cancel: &Cancel,
    ) -> Result<()> {
        let d = self.d();
        let is_exact = |row: usize| is_solved_exactly(lists.row(row).len(), d, steps);
        row_major_mut(solved).par_chunks_mut(BLOCK * d).enumerate().try_for_each_init(
            Scratch::default,
            |scratch, (block, x)| {
                cancel.check()?;
                let rows = block * BLOCK..block * BLOCK + x.len() / d;
                let (exact, others): (Vec<_>, Vec<_>) = rows.partition(|&row| is_exact(row));
                let at = |row: usize| (row - block * BLOCK) * d..(row - block * BLOCK + 1) * d;
                for row in exact {
                    self.solve_one(weights, lists.row(row), &mut x[at(row)], scratch)?;
                }
                if let (Some(axes), false) = (axes, others.is_empty()) {
                    let mut long = Vec::with_capacity(others.len() * d);
                    others.iter().for_each(|&row| long.extend_from_slice(&x[at(row)]));
                    turn(&mut long, axes, &mut scratch.scaled);
                    others.iter().zip(long.chunks_exact(d)).for_each(|(&row, long)| x[at(row)].copy_from_slice(long));
                }
                for row in others {
                    self.descend(weights, lists.row(row), steps, &mut x[at(row)], scratch);
                }
                Ok(())
            },
        )
    }

    /// Solves the rows of `lists` exactly.
    pub(super) fn solve(
        &self,
        weights: Weights,
        lists: Lists<'_>,
        solved: ArrayViewMut2<'_, T>,
        cancel: &Cancel,
    ) -> Result<()> {
        let rows = row_major_mut(solved).par_chunks_mut(self.d()).enumerate();
        rows.try_for_each_init(Scratch::default, |scratch, (row, x)| {
            cancel.check()?;
            self.solve_one(weights, lists.row(row), x, scratch)
        })
    }

    /// Solves a list or a few exactly.
    pub(super) fn solve_lists(&self, weights: Weights, lists: &[List<'_>], solved: ArrayViewMut2<'_, T>) -> Result<()> {
        let rows = row_major_mut(solved).par_chunks_mut(self.d()).zip(lists);
        rows.try_for_each_init(Scratch::default, |scratch, (x, &list)| self.solve_one(weights, list, x, scratch))
    }

    /// What each item of a list contributes to the score of the vector `of`: `V (D + V' V)^-1 of`, which is
    /// `(I + V D^-1 V')^-1 V D^-1 of`, times what the right side has for an item. They sum to the score.
    pub(super) fn contributions(&self, weights: Weights, items: &[u32], of: &[T]) -> Result<Vec<T>> {
        let (list, right) = (List::plain(items), T::from_f64(1.0 + weights.beside));
        let (d, n) = (self.d(), list.len());
        let mut scratch = Scratch::default();
        self.shared(weights, list, &mut scratch.shared);
        if is_short(n as f64, d as f64) {
            scratch.factor_short(self, list)?;
            let mut of = of.to_vec();
            multiply(&mut of, &scratch.shared);
            let mut shares: Vec<T> = scratch.scaled.chunks_exact(d).map(|row| dot(row, &of)).collect();
            substitute(&scratch.matrix, &mut shares);
            shares.iter_mut().for_each(|share| *share *= right);
            return Ok(shares);
        }
        let mut sum = vec![T::ZERO; d];
        scratch.factor_long(self, weights, list, &mut sum)?;
        let mut spread = of.to_vec();
        substitute(&scratch.matrix, &mut spread);
        Ok(items.iter().map(|&item| right * dot(&spread, self.row(item))).collect())
    }

    /// Exactly, on this thread.
    fn solve_one(&self, weights: Weights, list: List<'_>, x: &mut [T], scratch: &mut Scratch<T>) -> Result<()> {
        let (d, n) = (self.d(), list.len());
        if n == 0 {
            x.fill(T::ZERO);
            return Ok(());
        }
        self.shared(weights, list, &mut scratch.shared);
        if is_short(n as f64, d as f64) {
            scratch.factor_short(self, list)?;
            let Scratch { shared, scaled, matrix, list: shares, .. } = scratch;
            shares.clear();
            match list.confidences {
                Some(confidences) => shares.extend(confidences.iter().map(|&number| {
                    let number = f64::from(number);
                    T::from_f64((number + weights.beside) / number.sqrt())
                })),
                None => shares.resize(n, T::from_f64(1.0 + weights.beside)),
            }
            substitute(matrix, shares);
            x.fill(T::ZERO);
            shares.iter().zip(scaled.chunks_exact(d)).for_each(|(&share, row)| add_scaled(x, row, share));
            multiply(x, shared);
        } else {
            scratch.factor_long(self, weights, list, x)?;
            substitute(&scratch.matrix, x);
        }
        Ok(())
    }

    /// Conjugate gradients from where `x` stands.
    fn descend(&self, weights: Weights, list: List<'_>, steps: usize, x: &mut [T], scratch: &mut Scratch<T>) {
        self.shared(weights, list, &mut scratch.shared);
        let Scratch { shared, inverse, residual, direction, product, list: confidences, .. } = scratch;
        confidences.clear();
        confidences.extend(list.confidences.iter().copied().flatten().map(|&number| T::from_f64(number.into())));
        // Adds `(beside + c (constant + slope q . of)) q` of all rows `q` of the list.
        let add = |out: &mut [T], of: &[T], beside: T, constant: T, slope: T| match list.confidences {
            None => sum_of_rows(out, &self.rows, list.items, of, constant + beside, slope),
            Some(_) => {
                weighted_sum_of_rows(out, &self.rows, list.items, confidences, of, beside, constant, slope);
            }
        };
        inverse.resize(shared.len(), T::ZERO);
        inverses(inverse, shared);
        for array in [&mut *residual, &mut *direction, &mut *product] {
            array.clear();
            array.resize(x.len(), T::ZERO);
        }
        first_residual(residual, x, shared);
        add(residual, x, T::from_f64(weights.beside), T::ONE, -T::ONE);
        let mut square = weighted_square(residual, inverse);
        next_direction(direction, residual, inverse, T::ZERO);
        for step in 1..=steps {
            product.copy_from_slice(direction);
            multiply(product, shared);
            add(product, direction, T::ZERO, T::ZERO, T::ONE);
            let curvature = scalar_product(direction, product);
            // A row that is solved has nowhere to go.
            if !(curvature > T::ZERO && square > T::ZERO) {
                return;
            }
            let length = square / curvature;
            add_scaled(x, direction, length);
            if step == steps {
                return;
            }
            add_scaled(residual, product, -length);
            let next = weighted_square(residual, inverse);
            next_direction(direction, residual, inverse, next / square);
            square = next;
        }
    }

    /// The loss of the rows `solved` against the fixed ones, without the norms of the latter.
    pub(super) fn loss(&self, weights: Weights, lists: Lists<'_>, solved: ArrayView2<'_, T>) -> f64 {
        let d = self.d();
        let blocks: Vec<f64> = row_major(solved)
            .par_chunks(BLOCK * d)
            .enumerate()
            .map(|(block, x)| {
                let losses = x.chunks_exact(d).enumerate().map(|(row, x)| {
                    let list = lists.row(block * BLOCK + row);
                    let seen = match list.confidences {
                        Some(confidences) => self.weighted_errors(weights, list.items, confidences, x),
                        None => squared_errors(&self.rows, list.items, x),
                    };
                    let all = weights.alpha0 * weighted_square(x, &self.spectrum).to_f64();
                    seen + all + weights.ridge(list.sum(), self.n_rows()) * scalar_product(x, x).to_f64()
                });
                losses.sum()
            })
            .collect();
        blocks.iter().sum()
    }

    /// Sum over a list of `(c + alpha0) (q . x - 1)^2 - alpha0 (q . x)^2`: the loss counts `alpha0 (q . x)^2` of all
    /// rows besides.
    fn weighted_errors(&self, weights: Weights, items: &[u32], confidences: &[f32], x: &[T]) -> f64 {
        let error = |(&item, &confidence): (&u32, &f32)| {
            let score = scalar_product(self.row(item), x).to_f64();
            (f64::from(confidence) + weights.alpha0) * (score - 1.0) * (score - 1.0) - weights.alpha0 * score * score
        };
        items.iter().zip(confidences).map(error).sum()
    }
}

/// The norms of rows, weighted as in the loss.
pub(super) fn norms<T: Real>(weights: Weights, lists: Lists<'_>, rows: &[T], n_fixed: usize) -> f64 {
    let d = rows.len() / lists.n_rows().max(1);
    let squares = (0..lists.n_rows()).zip(rows.chunks_exact(d.max(1)));
    squares.map(|(at, row)| weights.ridge(lists.row(at).sum(), n_fixed) * scalar_product(row, row).to_f64()).sum()
}

/// What a thread uses again from row to row.
#[derive(Default)]
struct Scratch<T> {
    /// `D`; where a short list was factored, `D^(-1/2)`.
    shared: Vec<T>,
    /// `V D^(-1/2)` of a short list, or some rows of a long one.
    scaled: Vec<T>,
    /// The factor of Cholesky.
    matrix: Vec<T>,
    /// A number for each item of a list: what solves its equations, or its confidences.
    list: Vec<T>,
    inverse: Vec<T>,
    residual: Vec<T>,
    direction: Vec<T>,
    product: Vec<T>,
}

impl<T: Real> Scratch<T> {
    /// Factors `I + V D^-1 V'`, with confidences `I + C^(1/2) V D^-1 V' C^(1/2)`, of which no eigenvalue is below 1.
    fn factor_short(&mut self, fixed: &Fixed<T>, list: List<'_>) -> Result<()> {
        let Self { shared, scaled, matrix, .. } = self;
        let (d, n) = (shared.len(), list.len());
        inverse_roots(shared);
        fixed.gather(list.items, scaled);
        scaled.chunks_exact_mut(d).for_each(|row| multiply(row, shared));
        scale_by_roots(scaled, d, list.confidences);
        matrix.clear();
        matrix.resize(n * n, T::ZERO);
        if n <= FEW {
            products_of_few(scaled, d, matrix);
        } else {
            add_squares(matrix, n, rows(scaled, d));
        }
        matrix.iter_mut().step_by(n + 1).for_each(|entry| *entry += T::ONE);
        cholesky(matrix, n)
    }

    /// Factors `D + V' V`, with confidences `D + V' C V`; `sum` becomes the right side.
    fn factor_long(&mut self, fixed: &Fixed<T>, weights: Weights, list: List<'_>, sum: &mut [T]) -> Result<()> {
        let Self { shared, scaled, matrix, .. } = self;
        let d = shared.len();
        matrix.clear();
        matrix.resize(d * d, T::ZERO);
        matrix.iter_mut().step_by(d + 1).zip(shared).for_each(|(entry, &mut number)| *entry = number);
        sum.fill(T::ZERO);
        for (at, items) in list.items.chunks(GATHERED).enumerate() {
            fixed.gather(items, scaled);
            let confidences = list.confidences.map(|all| &all[at * GATHERED..][..items.len()]);
            let right = |place: usize| {
                let confidence = confidences.map_or(1.0, |confidences| f64::from(confidences[place]));
                T::from_f64(confidence + weights.beside)
            };
            scaled.chunks_exact(d).enumerate().for_each(|(place, row)| add_scaled(sum, row, right(place)));
            scale_by_roots(scaled, d, confidences);
            add_squares(matrix, d, rows(scaled, d).transpose());
        }
        cholesky(matrix, d)
    }
}

/// Multiplies rows of `d` numbers with the roots of their confidences.
fn scale_by_roots<T: Real>(rows: &mut [T], d: usize, confidences: Option<&[f32]>) {
    for (row, &confidence) in rows.chunks_exact_mut(d).zip(confidences.unwrap_or_default()) {
        let root = T::from_f64(f64::from(confidence).sqrt());
        row.iter_mut().for_each(|number| *number *= root);
    }
}

/// `matrix += rows rows'`, its lower half.
fn add_squares<T: Real>(matrix: &mut [T], n: usize, rows: MatRef<'_, T>) {
    let (lower, whole) = (BlockStructure::TriangularLower, BlockStructure::Rectangular);
    let matrix = MatMut::from_column_major_slice_mut(matrix, n, n);
    triangular::matmul(matrix, lower, Accum::Add, rows, whole, rows.transpose(), whole, T::ONE, Par::Seq);
}

/// Factors the lower half of a matrix in its place.
fn cholesky<T: Real>(matrix: &mut [T], n: usize) -> Result<()> {
    let params = Default::default();
    let mut stack = MemBuffer::new(llt::factor::cholesky_in_place_scratch::<T>(n, Par::Seq, params));
    let matrix = MatMut::from_column_major_slice_mut(matrix, n, n);
    let stack = MemStack::new(&mut stack);
    llt::factor::cholesky_in_place(matrix, Default::default(), Par::Seq, stack, params).map_err(|_| {
        Error::Numerical("a user's equations have no solution in single precision: a larger lambda helps".into())
    })?;
    Ok(())
}

/// Solves for `x` in its place by a factor.
fn substitute<T: Real>(factor: &[T], x: &mut [T]) {
    let n = x.len();
    let factor = MatRef::from_column_major_slice(factor, n, n);
    llt::solve::solve_in_place(factor, MatMut::from_column_major_slice_mut(x, n, 1), Par::Seq, MemStack::new(&mut []));
}

/// Runs a loop over rows of `d` numbers by its form for a length that the compiler knows, where it has one: `x` and the
/// sum then stay in registers from row to row, which makes it two to three times as fast. The bits are the same.
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

/// Adds each row of a list to `out`, times what `factor` makes of the row's place in the list and its product with `x`.
#[inline(always)]
fn sum_of_known<T: Real, const D: usize>(
    out: &mut [T],
    rows: &[T],
    list: &[u32],
    x: &[T],
    factor: impl Fn(usize, T) -> T,
) {
    let (rows, _) = rows.as_chunks::<D>();
    let (Some(x), Some(out)) = (x.first_chunk::<D>(), out.first_chunk_mut::<D>()) else { return };
    let (x, mut sum) = (*x, *out);
    for (place, &item) in list.iter().enumerate() {
        let row = &rows[item as usize];
        let factor = factor(place, dot(row, &x));
        sum.iter_mut().zip(row).for_each(|(sum, &number)| *sum += factor * number);
    }
    *out = sum;
}

#[inline(always)]
fn sum_of_any<T: Real>(out: &mut [T], rows: &[T], list: &[u32], x: &[T], factor: impl Fn(usize, T) -> T) {
    let d = x.len();
    for (place, &item) in list.iter().enumerate() {
        let row = &rows[item as usize * d..][..d];
        let factor = factor(place, dot(row, x));
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
    /// `shared = alpha0 spectrum + ridge`.
    fn shared_of(shared: &mut [T], spectrum: &[T], alpha0: T, ridge: T) {
        shared.iter_mut().zip(spectrum).for_each(|(shared, &square)| *shared = alpha0 * square + ridge);
    }

    /// `inverse = 1 / shared`.
    fn inverses(inverse: &mut [T], shared: &[T]) {
        inverse.iter_mut().zip(shared).for_each(|(inverse, &shared)| *inverse = T::ONE / shared);
    }

    /// `numbers = 1 / sqrt(numbers)`.
    fn inverse_roots(numbers: &mut [T]) {
        numbers.iter_mut().for_each(|number| *number = T::ONE / number.sqrt());
    }

    /// `residual = -shared x`, number by number.
    fn first_residual(residual: &mut [T], x: &[T], shared: &[T]) {
        for ((residual, &x), &shared) in residual.iter_mut().zip(x).zip(shared) {
            *residual = -shared * x;
        }
    }

    /// `out += sum over the list of (constant + slope q . x) q`.
    fn sum_of_rows(out: &mut [T], rows: &[T], list: &[u32], x: &[T], constant: T, slope: T) {
        let factor = |_, product| constant + slope * product;
        by_length!(x.len(), sum_of_known(out, rows, list, x, factor), sum_of_any(out, rows, list, x, factor));
    }

    /// `out += sum over the list of (beside + c (constant + slope q . x)) q`, with `c` the confidences.
    fn weighted_sum_of_rows(
        out: &mut [T],
        rows: &[T],
        list: &[u32],
        confidences: &[T],
        x: &[T],
        beside: T,
        constant: T,
        slope: T,
    ) {
        let confidences = &confidences[..list.len()];
        let factor = |place: usize, product| beside + confidences[place] * (constant + slope * product);
        by_length!(x.len(), sum_of_known(out, rows, list, x, factor), sum_of_any(out, rows, list, x, factor));
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

    /// `direction = inverse residual + factor direction`, number by number.
    fn next_direction(direction: &mut [T], residual: &[T], inverse: &[T], factor: T) {
        for ((direction, &residual), &inverse) in direction.iter_mut().zip(residual).zip(inverse) {
            *direction = inverse * residual + factor * *direction;
        }
    }

    /// Sum of `weight x^2`.
    fn weighted_square(x: &[T], weights: &[T]) -> T {
        sum_of_pairs(x, weights, |x, weight| weight * x * x)
    }

    /// The lower half of `rows rows'`, of rows of `d` numbers, column by column.
    fn products_of_few(rows: &[T], d: usize, out: &mut [T]) {
        let n = rows.len() / d;
        for (column, at) in rows.chunks_exact(d).zip(0..n) {
            for (row, out) in rows.chunks_exact(d).zip(&mut out[at * n..][..n]).skip(at) {
                *out = dot(row, column);
            }
        }
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

    const WEIGHTS: Weights = Weights { alpha0: 0.3, lambda: 0.05, nu: 0.7, beside: 0.0 };
    const WEIGHTED: Weights = Weights { beside: WEIGHTS.alpha0, ..WEIGHTS };
    const D: usize = 24;

    fn normals<T: Real>(n: usize, seed: u64) -> Vec<T> {
        let mut random = Stream::new(seed, 0);
        (0..n).map(|_| T::from_f64(random.normal())).collect()
    }

    fn fixed<T: Real>() -> Fixed<T> {
        Fixed::turned(normals(60 * D, 1), D).unwrap().0
    }

    /// Lists of every length: those of `n` equations, among them some for each way to multiply, and those of `D`.
    fn lists() -> impl Iterator<Item = Vec<u32>> {
        (0..=60u32).map(|n| (0..n).map(|at| (7 * at + n) % 60).collect())
    }

    /// The confidences of a list of these items, from .04 to 5.
    fn confidences(items: &[u32]) -> Vec<f32> {
        items.iter().map(|item| (1 + item % 11) as f32 * [0.04, 0.5][(item % 2) as usize]).collect()
    }

    /// The left side of a list's equations times `x`, less the right one, by the module's text, over all rows.
    fn residual(fixed: &Fixed<f64>, weights: Weights, list: List<'_>, x: &[f64]) -> f64 {
        let mut left: Vec<f64> = x.iter().map(|x| weights.ridge(list.sum(), 60) * x).collect();
        for item in 0..60 {
            let row = fixed.row(item);
            let place = list.items.iter().position(|other| *other == item);
            let confidence =
                place.map_or(0.0, |place| list.confidences.map_or(1.0, |confidences| f64::from(confidences[place])));
            let right = if place.is_some() { confidence + weights.beside } else { 0.0 };
            let factor = (weights.alpha0 + confidence) * dot(row, x) - right;
            left.iter_mut().zip(row).for_each(|(left, &number)| *left += factor * number);
        }
        left.iter().map(|left| left.abs()).fold(0.0, f64::max)
    }

    /// Each list without confidences in a training without, with them in one that has some, and without them in that.
    fn each_way(items: &[u32], mut check: impl FnMut(Weights, List<'_>)) {
        let confidences = confidences(items);
        check(WEIGHTS, List::plain(items));
        check(WEIGHTED, List { items, confidences: Some(&confidences) });
        check(WEIGHTED, List::plain(items));
    }

    #[test]
    fn lists_of_any_length_are_solved() {
        let fixed = fixed::<f64>();
        let (mut scratch, mut x) = (Scratch::default(), normals(D, 2));
        for list in lists() {
            each_way(&list, |weights, list| {
                fixed.solve_one(weights, list, &mut x, &mut scratch).unwrap();
                // Numbers of about 10, and a hundred roundings.
                let found = residual(&fixed, weights, list, &x);
                assert!(found < 1e-11, "{}: {found}", list.len());
            });
        }
    }

    /// The error in f32 of the short way and of the long one, by the same lists in f64.
    #[test]
    fn single_precision_is_enough() {
        let rows: Vec<f32> = fixed::<f64>().rows.iter().map(|&number| number as f32).collect();
        let (single, _) = Fixed::turned(rows.clone(), D).unwrap();
        let double = Fixed::new(single.rows.iter().map(|&number| number.into()).collect(), vec![0.0; D]);
        let (double, _) = Fixed::<f64>::turned(double.rows, D).unwrap();
        let scores = |weights: Weights, list: List<'_>| {
            let (mut a, mut b) = (vec![0.0f32; D], vec![0.0f64; D]);
            single.solve_one(weights, list, &mut a, &mut Scratch::default()).unwrap();
            double.solve_one(weights, list, &mut b, &mut Scratch::default()).unwrap();
            let of = |item| (f64::from(dot(&a, single.row(item))), dot(&b, double.row(item)));
            (0..60).map(of).collect::<Vec<_>>()
        };
        for list in lists() {
            each_way(&list, |weights, list| {
                for (single, double) in scores(weights, list) {
                    // Scores of about 1 from numbers with 24 bits, in equations whose condition is some tens.
                    assert!((single - double).abs() < 2e-5, "{}: {single} and {double}", list.len());
                }
            });
        }
    }

    /// As many steps as there are unknowns end at the solution, in exact arithmetic; one step goes some of the way.
    #[test]
    fn conjugate_gradients_end_at_the_solution() {
        let fixed = fixed::<f64>();
        for list in lists() {
            let start: Vec<f64> = normals(D, 3);
            each_way(&list, |weights, list| {
                let after = |steps| {
                    let mut x = start.clone();
                    fixed.descend(weights, list, steps, &mut x, &mut Scratch::default());
                    residual(&fixed, weights, list, &x)
                };
                let ends = [after(1), after(2 * D)];
                assert!(ends[1] < 1e-9 && ends[1] < ends[0].max(1e-12), "{}: {ends:?}", list.len());
                // The matrix is the identity and one of rank n, beside the preconditioner.
                let own = after(list.len() + 1);
                // Confidences of which one is a hundred times the other are harder on the steps.
                let most = if list.confidences.is_some() { 1e-6 } else { 1e-9 };
                assert!(own < most || list.len() > D / 2, "{}: {own}", list.len());
            });
        }
    }

    /// What `improve` takes for rows that others stand beside is what each of them gets alone.
    #[test]
    fn rows_are_improved_from_where_they_stood() {
        let fixed = fixed::<f64>();
        let (_, axes) = Fixed::<f64>::turned(normals(50 * D, 4), D).unwrap();
        let all: Vec<Vec<u32>> = lists()
            .map(|mut list| {
                list.sort_unstable();
                list
            })
            .collect();
        let csr = Csr::from_rows(all.iter().cloned(), 60).unwrap();
        let start: Vec<f64> = normals(all.len() * D, 5);
        let mut improved = start.clone();
        let shape = (all.len(), D);
        let steps = 1;
        let view = crate::base::matrix::view2_mut(&mut improved, shape);
        let lists = Lists { items: &csr, confidences: None };
        fixed.improve(WEIGHTS, lists, steps, Some(&axes), view, &Cancel::default()).unwrap();
        let mut ways = [0, 0];
        for ((list, found), start) in all.iter().zip(improved.chunks(D)).zip(start.chunks(D)) {
            let mut x = start.to_vec();
            let [n, d] = [list.len(), D].map(|n| n as f64);
            if operations_of_exact(n, d) <= operations_of_steps(n, d, steps) {
                fixed.solve_one(WEIGHTS, List::plain(list), &mut x, &mut Scratch::default()).unwrap();
                ways[0] += 1;
            } else {
                turn(&mut x, &axes, &mut vec![]);
                fixed.descend(WEIGHTS, List::plain(list), steps, &mut x, &mut Scratch::default());
                ways[1] += 1;
            }
            let most = found.iter().zip(&x).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(most < 1e-12, "{}: {most}", list.len());
        }
        assert!(ways.iter().all(|&count| count > 10), "{ways:?}");
    }

    #[test]
    fn contributions_sum_to_the_score() {
        let fixed = fixed::<f64>();
        let of: Vec<f64> = normals(D, 6);
        for (list, weights) in lists().flat_map(|list| [(list.clone(), WEIGHTS), (list, WEIGHTED)]) {
            let mut x = vec![0.0; D];
            fixed.solve_one(weights, List::plain(&list), &mut x, &mut Scratch::default()).unwrap();
            let shares = fixed.contributions(weights, &list, &of).unwrap();
            assert_eq!(shares.len(), list.len());
            let difference = (shares.iter().sum::<f64>() - dot(&x, &of)).abs();
            assert!(difference < 1e-12, "{}: {difference}", list.len());
        }
    }

    /// The loops for known lengths against those for any.
    #[test]
    fn known_lengths_give_the_same_bits() {
        fn check<T: Real>(d: usize) {
            let (rows, x, start) = (normals(50 * d, 1), normals(d, 2), normals(d, 3));
            let list = [3, 49, 0, 7, 7, 20];
            let (mut fast, mut plain): (Vec<T>, Vec<T>) = (start.clone(), start);
            sum_of_rows(&mut fast, &rows, &list, &x, T::from_f64(0.5), T::from_f64(-1.25));
            sum_of_any(&mut plain, &rows, &list, &x, |_, product| T::from_f64(0.5) + T::from_f64(-1.25) * product);
            assert!(fast == plain, "{d}");
            let confidences: Vec<T> = (1..=list.len()).map(|at| T::from_f64(0.3 * at as f64)).collect();
            let numbers = [0.2, 0.5, -1.25].map(T::from_f64);
            let [beside, constant, slope] = numbers;
            weighted_sum_of_rows(&mut fast, &rows, &list, &confidences, &x, beside, constant, slope);
            sum_of_any(&mut plain, &rows, &list, &x, |place, product| {
                beside + confidences[place] * (constant + slope * product)
            });
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
