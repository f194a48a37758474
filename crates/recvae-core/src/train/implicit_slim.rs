//! ImplicitSLIM: item embeddings replaced by ones that also know what a SLIM-like linear model knows, without that
//! model.
//!
//! With embeddings `W` of shape `(n_items, L)`, the binary interactions `X` of `(n_users, n_items)`, `n_i` the number
//! of users of item `i`, and weights `lambda` and `alpha`:
//!
//! | what | shape | is |
//! | --- | --- | --- |
//! | `A` | `(n_items, L)` | `W` with rows of 0 for the items that too few users have |
//! | `D` | `(n_items,)` | `1 / (n_i + lambda)`, a diagonal |
//! | `K` | `(n_items, n_items)`, never built | `lambda I + X' X` |
//! | `B` | `(n_items, L)` | `D K A` |
//! | `C` | `(n_items, L)` | `K D B` |
//! | `S` | `(L, L)` | `B' B`, which is `A' C` |
//! | new `W` | `(n_items, L)` | `C (I / alpha + S)^-1 A' A` |
//!
//! Items that are left out get an embedding, too: from the items that their users have besides them. An item that
//! nobody has gets 0.
//!
//! That is the authors' formula, which in these letters and transposed is `alpha (C - C (I / alpha + S)^-1 S) A' W`,
//! with two changes that are none: `I - (I / alpha + S)^-1 S` is `(I / alpha + S)^-1 / alpha`, and `A' W` is `A' A`. In
//! this form there is one matrix to be inverted, which is symmetric and positive definite, and no difference of nearly
//! equal numbers.
//!
//! A product by `X` or `X'` takes some columns of the embeddings at a time, so that what is of the size of the users
//! stays small. Matrices of `(L, L)` are f64: `S` spans many orders of magnitude, and `I / alpha` has to count beside
//! it.
//!
//! Source: Shenbin, Nikolenko, "ImplicitSLIM and How it Improves Embedding-based Collaborative Filtering", ICLR 2024,
//! arXiv 2406.00198. Unlike the authors' program, which rounds `A` to float16, nothing here is rounded to less than it
//! is computed in.

use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
use crate::base::matrix::{array2, row_major, row_major_mut};
use crate::base::numbers::Numbers;
use crate::base::random::Stream;
use crate::base::steps::Steps;
use crate::math::csr::Csr;
use crate::math::linalg::{NoInverse, invert_positive_definite, mirror};
use crate::math::matmul::{matmul, matmul_add, par_matmul, rows, rows_mut, to_faer, to_faer_mut};
use crate::math::real::Real;
use crate::math::residual::TOLERANCE;
use crate::math::vectorised::{add, add_scaled, scale};
use crate::train::fit_shape::FitShape;

#[cfg(test)]
mod tests;

/// Columns of the embeddings that go through a sparse product at once.
const COLUMNS: usize = 128;
/// Users or items of one task of a sparse product.
const ROWS: usize = 64;
/// Items of one step of a dense product.
const STEP: usize = 512;

/// The numbers of the formula.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ImplicitSlim {
    pub(crate) lambda: f64,
    pub(crate) alpha: f64,
    /// Share of the users below which an item is left out of `A`.
    pub(crate) threshold: f64,
}

impl ImplicitSlim {
    /// Replaces embeddings, shape `(n_items, width)` for the items of `x`; where it fails they are as they were.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if all items are left out, `NUMERICAL` if there is no inverse, `CANCELLED`, within a product.
    pub(crate) fn replace<T: Real>(&self, mut weight: ArrayViewMut2<'_, T>, x: &Csr, cancel: &Cancel) -> Result<()> {
        let counts = x.column_counts();
        let kept = self.kept(&counts, x.n_rows())?;
        let number = |value: f64| T::from_f64(value);
        let shrink: Vec<T> = counts.iter().map(|&n| number(1.0 / (f64::from(n) + self.lambda))).collect();
        let own: Vec<T> = counts.iter().map(|&n| number(self.lambda / (f64::from(n) + self.lambda))).collect();
        let ones = vec![T::ONE; counts.len()];
        let users_of = x.transpose();
        let product = |scales: [&[T]; 3], values: ArrayViewMut2<'_, T>| smooth(x, &users_of, scales, values, cancel);

        let mut numbers = Numbers::<T>::zeros(weight.len());
        let mut embeddings = numbers.view2_mut(weight.dim());
        for ((mut row, old), _) in
            embeddings.rows_mut().into_iter().zip(weight.rows()).zip(&kept).filter(|(_, kept)| **kept)
        {
            row.assign(&old);
        }
        let target = gram(embeddings.view(), cancel)?;
        product([&ones, &own, &shrink], embeddings.view_mut())?;
        let system = gram(embeddings.view(), cancel)?;
        product([&shrink, &own, &ones], embeddings.view_mut())?;
        let map = self.solve(system, target, cancel)?;
        multiply(embeddings.view_mut(), map.view(), cancel)?;
        weight.assign(&embeddings);
        Ok(())
    }

    /// # Errors
    /// `INVALID_ARGUMENT` if all items of `x` are left out.
    pub(crate) fn check(&self, x: &Csr) -> Result<()> {
        self.kept(&x.column_counts(), x.n_rows()).map(drop)
    }

    /// Which items take part.
    fn kept(&self, counts: &[u32], n_users: usize) -> Result<Vec<bool>> {
        let kept: Vec<bool> = counts.iter().map(|&n| f64::from(n) >= self.threshold * n_users as f64).collect();
        if kept.contains(&true) {
            return Ok(kept);
        }
        let most = f64::from(counts.iter().copied().max().unwrap_or(0)) / n_users as f64;
        let allowed = format!("up to {most:.4}, the share of the users that have the most popular item");
        Err(Error::invalid_argument("slimThreshold", self.threshold, allowed))
    }

    /// `(I / alpha + S)^-1 A' A` from `S` and `A' A`, both half filled.
    fn solve<T: Real>(&self, mut system: Array2<f64>, mut target: Array2<f64>, cancel: &Cancel) -> Result<Array2<T>> {
        let width = system.nrows();
        let numerical = |what: String| {
            Error::Numerical(format!(
                "the {width} x {width} system of implicitSlim has no inverse in f64: {what}; likely remedies: a smaller \
                 slimAlpha or a larger slimLambda"
            ))
        };
        system.diag_mut().iter_mut().for_each(|entry| *entry += 1.0 / self.alpha);
        let mut before = system.clone();
        invert_positive_definite(system.view_mut(), &Steps::silent(cancel)).map_err(|error| match error {
            NoInverse::Failed(error) => error,
            NoInverse::Pivot(index) => numerical(format!("pivot {index}")),
        })?;
        mirror(before.view_mut());
        mirror(target.view_mut());
        let mut map = Array2::zeros((width, width));
        par_matmul(to_faer_mut(map.view_mut()), to_faer(system.view()), to_faer(target.view()));
        // A factorisation may succeed where rounding decides what its result is: see `math/residual.rs`.
        let mut random = Stream::new(1, 0);
        let vector: Vec<f64> = (0..width).map(|_| random.normal()).collect();
        let solved = product(&map, &vector);
        let residual: Vec<f64> =
            product(&target, &vector).iter().zip(product(&before, &solved)).map(|(right, left)| right - left).collect();
        // What is no number is larger than any.
        let larger = |most: f64, number: f64| if number.is_nan() || number > most { number } else { most };
        let largest = |numbers: &[f64]| numbers.iter().map(|number| number.abs()).fold(0.0, larger);
        let (correction, result) = (largest(&product(&system, &residual)), largest(&solved));
        if correction.is_nan() || correction > TOLERANCE * result {
            return Err(numerical(format!("its result is off by {:.0} %", 100.0 * correction / result)));
        }
        Ok(map.mapv(T::from_f64))
    }
}

/// A square matrix times a vector.
fn product(matrix: &Array2<f64>, vector: &[f64]) -> Vec<f64> {
    matrix.rows().into_iter().map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum()).collect()
}

/// `V := diag(own) V + diag(out) X' X diag(inner) V` for values `V` of shape `(n_items, width)`, with `scales` inner,
/// own and out. `users_of` is `x` transposed.
fn smooth<T: Real>(
    x: &Csr,
    users_of: &Csr,
    [inner, own, out]: [&[T]; 3],
    values: ArrayViewMut2<'_, T>,
    cancel: &Cancel,
) -> Result<()> {
    let width = values.ncols();
    let values = row_major_mut(values);
    let mut of_users = Numbers::zeros(x.n_rows() * COLUMNS.min(width));
    for first in (0..width).step_by(COLUMNS) {
        let n = COLUMNS.min(width - first);
        let of_users = &mut of_users[..x.n_rows() * n];
        let before = &*values;
        of_users.par_chunks_mut(ROWS * n).enumerate().try_for_each(|(task, sums)| {
            cancel.check()?;
            for (user, sum) in (task * ROWS..).zip(sums.chunks_exact_mut(n)) {
                sum.fill(T::ZERO);
                for item in x.row(user).iter().map(|&item| item as usize) {
                    add_scaled(sum, &before[item * width + first..][..n], inner[item]);
                }
            }
            Ok(())
        })?;
        let of_users = &*of_users;
        values.par_chunks_mut(ROWS * width).enumerate().try_for_each(|(task, rows)| {
            cancel.check()?;
            let mut sum = [T::ZERO; COLUMNS];
            let sum = &mut sum[..n];
            for (item, row) in (task * ROWS..).zip(rows.chunks_exact_mut(width)) {
                sum.fill(T::ZERO);
                users_of.row(item).iter().for_each(|&user| add(sum, &of_users[user as usize * n..][..n]));
                let row = &mut row[first..][..n];
                scale(row, own[item]);
                add_scaled(row, sum, out[item]);
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// `V' V` in f64 of values of shape `(n, width)`: the triangle that [`invert_positive_definite`] takes.
fn gram<T: Real>(values: ArrayView2<'_, T>, cancel: &Cancel) -> Result<Array2<f64>> {
    /// Columns of one task.
    const TILE: usize = 128;
    let width = values.ncols();
    let mut gram = vec![0.0; width * width];
    let mut wide = vec![];
    for step in row_major(values).chunks(STEP * width) {
        cancel.check()?;
        wide.clear();
        wide.extend(step.iter().map(|value| value.to_f64()));
        let step = rows(&wide, width);
        gram.par_chunks_mut(TILE * width).enumerate().for_each(|(tile, out)| {
            let first = tile * TILE;
            let n = out.len() / width;
            let out = rows_mut(out, width).subcols_mut(first, width - first);
            matmul_add(out, step.subcols(first, n).transpose(), step.subcols(first, width - first));
        });
    }
    Ok(array2(gram, (width, width)))
}

/// `V := V M` for values of shape `(n, width)` and `M` of `(width, width)`.
fn multiply<T: Real>(values: ArrayViewMut2<'_, T>, matrix: ArrayView2<'_, T>, cancel: &Cancel) -> Result<()> {
    let width = values.ncols();
    row_major_mut(values).par_chunks_mut(ROWS * width).try_for_each_init(Vec::new, |before, values| {
        cancel.check()?;
        before.clear();
        before.extend_from_slice(values);
        matmul(rows_mut(values, width), rows(before, width), to_faer(matrix));
        Ok(())
    })
}

/// Bytes that a replacement takes for a while, of embeddings of that width.
pub(crate) fn memory(width: usize, shape: &FitShape<'_>) -> f64 {
    let [users, items, interactions] = shape.counts();
    let width = width as f64;
    // The new embeddings, and what the users have of some of their columns.
    let values = 4.0 * (items * width + users * width.min(COLUMNS as f64));
    // The transposed data with the places of its rows; what is known of each item.
    let data = 4.0 * interactions + 16.0 * items + 17.0 * items;
    // Of f64: S twice and its inverse, A' A twice, their product, which f32 follows, and a step of items.
    let square = (8.0 * 5.0 + 4.0) * width * width + 8.0 * STEP as f64 * width;
    values + data + square
}
