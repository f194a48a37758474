//! Dense linear algebra over items: the Gram matrix of a CSR matrix and the inverse of a positive definite one.
//!
//! Square matrices lie row by row. A symmetric one keeps row `i` from column `i` on, which is the upper
//! triangle row by row and, for faer's column-major kernels, the lower triangle column by column.

use std::ops::Range;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::{triangular_inverse, triangular_solve};
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, Mat, MatMut, MatRef, Par, unzip, zip};
use ndarray::ArrayViewMut2;
use rayon::prelude::*;

use crate::base::error::{Error, Result};
use crate::base::matrix::row_major_mut;
use crate::base::numbers::Numbers;
use crate::base::steps::Steps;
use crate::math::costs;
use crate::math::csr::Csr;
use crate::math::matmul::par_product;
use crate::math::part::Part;
use crate::math::real::Real;
#[cfg(target_arch = "x86_64")]
use crate::math::sgemm;
use crate::math::vectorised::vectorised;

pub(crate) mod by_users;
mod elimination;
#[cfg(feature = "candle")]
pub(crate) mod panels;

use elimination::Elimination;

/// The Gram matrix `X' X` of shape `(n_items, n_items)` of a binary matrix: how many users have both items. Entries
/// left of the diagonal are 0. Counts are exact in f32 up to 2^24 users; above, each is the exact one rounded once.
///
/// Items are cut into stretches of equal work, however unequal their popularity; see [`GramRows`] for a stretch.
///
/// # Errors
/// `CANCELLED`, within a row.
pub(crate) fn gram<T: Real>(x: &Csr, steps: &Steps<'_>) -> Result<Numbers<T>> {
    let mut gram = Numbers::zeros(x.n_cols() * x.n_cols());
    put_gram(x, &mut gram, counts_to_numbers, steps)?;
    Ok(gram)
}

/// Adds the Gram matrix of some users to that of others.
///
/// # Errors
/// As [`gram`].
pub(crate) fn add_gram<T: Real>(x: &Csr, gram: &mut [T], steps: &Steps<'_>) -> Result<()> {
    put_gram(x, gram, add_counts, steps)
}

/// Has each row of the Gram matrix, from its diagonal on, put into its place by `put`.
fn put_gram<T: Real>(x: &Csr, gram: &mut [T], put: impl Fn(&[u32], &mut [T]) + Sync, steps: &Steps<'_>) -> Result<()> {
    let (n, users_of, pairs) = (x.n_cols(), x.transpose(), pairs_of_items(x));
    let mut stretches = vec![];
    let mut rest = gram;
    for items in stretches_of_work(&pairs, 4 * rayon::current_num_threads()) {
        let (rows, others) = rest.split_at_mut(items.len() * n);
        rest = others;
        stretches.push((items, rows));
    }
    stretches.into_par_iter().try_for_each(|(items, rows)| {
        let mut counter = GramRows::new(x, &users_of, items.start);
        for (item, row) in items.zip(rows.chunks_exact_mut(n)) {
            steps.check()?;
            put(counter.next(item), &mut row[item..]);
            steps.did(costs::PAIR * pairs[item] as f64);
        }
        Ok(())
    })
}

/// Counts the rows of a Gram matrix, those of a stretch of items in ascending order.
///
/// The histories of an item's users are counted into one row, which stays in the cache. A place in each user's history,
/// which only moves on, tells where the items begin that are still to be counted.
pub(crate) struct GramRows<'a> {
    x: &'a Csr,
    users_of: &'a Csr,
    places: Vec<u32>,
    counts: Vec<u32>,
}

impl<'a> GramRows<'a> {
    /// The rows from item `first` on; `users_of` is `x` transposed.
    pub(crate) fn new(x: &'a Csr, users_of: &'a Csr, first: usize) -> Self {
        let place = |row: &[u32]| row.partition_point(|&item| (item as usize) < first);
        Self { x, users_of, places: x.rows().map(|row| place(row) as u32).collect(), counts: vec![0; x.n_cols()] }
    }

    /// How many users have both `item`, which comes after the one asked for before, and each item from `item` on.
    pub(crate) fn next(&mut self, item: usize) -> &[u32] {
        let Self { x, users_of, places, counts } = self;
        counts[item..].fill(0);
        for &user in users_of.row(item) {
            let place = &mut places[user as usize];
            for &other in &x.row(user as usize)[*place as usize..] {
                counts[other as usize] += 1;
            }
            *place += 1;
        }
        &counts[item..]
    }
}

vectorised! {
    /// Counts as numbers of the type that is computed with.
    pub(crate) fn counts_to_numbers(counts: &[u32], numbers: &mut [T]) {
        numbers.iter_mut().zip(counts).for_each(|(number, &count)| *number = T::from_f64(f64::from(count)));
    }
}

vectorised! {
    /// Adds counts to numbers.
    fn add_counts(counts: &[u32], numbers: &mut [T]) {
        numbers.iter_mut().zip(counts).for_each(|(number, &count)| *number += T::from_f64(f64::from(count)));
    }
}

/// How many entries of [`gram`] each item's row is counted in: its users' items from itself on.
pub(crate) fn pairs_of_items(x: &Csr) -> Vec<u64> {
    let mut pairs = vec![0u64; x.n_cols()];
    for row in x.rows() {
        for (&item, pairs_of_user) in row.iter().zip((1..=row.len() as u64).rev()) {
            pairs[item as usize] += pairs_of_user;
        }
    }
    pairs
}

/// Cuts items with the given work into at most `n` stretches of about as much each.
pub(crate) fn stretches_of_work(work: &[u64], n: usize) -> Vec<Range<usize>> {
    let share = work.iter().sum::<u64>() / n as u64 + 1;
    let (mut stretches, mut start, mut sum) = (vec![], 0, 0);
    for (item, of_item) in work.iter().enumerate() {
        sum += of_item;
        if sum >= share || item + 1 == work.len() {
            stretches.push(start..item + 1);
            (start, sum) = (item + 1, 0);
        }
    }
    stretches
}

/// Overwrites a symmetric positive definite matrix, in the half-filled form of this module, by its inverse, both
/// triangles.
///
/// Rows with few entries that are not 0 are eliminated first, where there are enough of them ([`Elimination`]). What is
/// left takes three walks over the matrix in place, `n^3 / 3` floating point operations each: the Cholesky factor `L`,
/// its inverse, `L^-T L^-1`. Each halves the matrix again and again, so that nearly all of it is products of large
/// blocks. Beyond the matrix there are the copies that products read, some 25 MB at most, where LAPACK-like routines
/// that build the inverse beside the factor hold one or two matrices more.
///
/// Large products and solutions go in steps: before each it is looked at whether to stop, and after each that it is
/// done is told. On 20,000 items a step takes a fraction of a second.
///
/// Source of the halving: E. Elmroth, F. Gustavson, I. Jonsson, B. Kagstrom, Recursive Blocked Algorithms and Hybrid
/// Data Structures for Dense Matrix Library Software, SIAM Review 46(1), 2004.
///
/// # Errors
/// The index of the first pivot that is not a positive finite number, or that it was stopped.
pub(crate) fn invert_positive_definite<T: Real>(
    matrix: ArrayViewMut2<'_, T>,
    steps: &Steps<'_>,
) -> Result<(), NoInverse> {
    let n = matrix.nrows();
    let matrix = row_major_mut(matrix);
    let found = match Elimination::of(matrix, n) {
        Some(elimination) => {
            let core = elimination.core();
            steps.saved(
                work_of_inverse::<T>(n) - work_of_inverse::<T>(core) - elimination::work::<T>(elimination.operations()),
            );
            elimination.invert(matrix, steps, |rows| invert_leading(rows, core, n, steps))
        }
        None => invert_leading(matrix, n, n, steps),
    };
    found?;
    match (0..n).find(|&index| !matrix[index * (n + 1)].is_finite()) {
        Some(index) => Err(NoInverse::Pivot(index)),
        None => Ok(()),
    }
}

/// Who overwrites a symmetric positive definite matrix by its inverse, and what that takes.
pub(crate) struct Inverse<T> {
    work: fn(usize) -> f64,
    #[allow(clippy::type_complexity)] // what the one function of it takes
    over: Box<dyn Fn(ArrayViewMut2<'_, T>, &Steps<'_>) -> Result<(), NoInverse>>,
}

impl<T: Real> Inverse<T> {
    /// The processor.
    pub(crate) fn here() -> Self {
        Self { work: work_of_inverse::<T>, over: Box::new(invert_positive_definite) }
    }

    /// What it will have told of in the end, for `n` rows.
    pub(crate) fn work(&self, n: usize) -> f64 {
        (self.work)(n)
    }

    /// As [`invert_positive_definite`].
    ///
    /// # Errors
    /// As there, and of a device what it has said.
    pub(crate) fn over(&self, matrix: ArrayViewMut2<'_, T>, steps: &Steps<'_>) -> Result<(), NoInverse> {
        (self.over)(matrix, steps)
    }
}

#[cfg(feature = "candle")]
impl Inverse<f32> {
    /// A device, by [`panels`].
    pub(crate) fn on(device: candle_core::Device) -> Self {
        Self {
            work: panels::work_on_device,
            over: Box::new(move |matrix, steps| panels::invert_on(&device, matrix, steps)),
        }
    }
}

/// The inverse without any elimination, for benches to compare with. The result is how many rows elimination would
/// leave.
///
/// # Errors
/// As [`invert_positive_definite`].
#[cfg(feature = "bench")]
pub(crate) fn invert_densely<T: Real>(matrix: ArrayViewMut2<'_, T>, steps: &Steps<'_>) -> Result<usize, NoInverse> {
    let n = matrix.nrows();
    let matrix = row_major_mut(matrix);
    let core = Elimination::of(matrix, n).map_or(n, |elimination| elimination.core());
    invert_leading(matrix, n, n, steps)?;
    Ok(core)
}

/// [`invert_positive_definite`] of the leading `m` x `m` entries of rows of `n`, none of which is taken for sparse.
fn invert_leading<T: Real>(rows: &mut [T], m: usize, n: usize, steps: &Steps<'_>) -> Result<(), NoInverse> {
    fn lower<T: Real>(rows: &mut [T], m: usize, n: usize) -> MatMut<'_, T> {
        MatMut::from_column_major_slice_with_stride_mut(rows, m, m, n)
    }
    if m == 0 {
        return Ok(());
    }
    factor(lower(rows, m, n), steps)?;
    invert_lower(lower(rows, m, n), steps)?;
    square_lower(lower(rows, m, n), steps)?;
    mirror_rows(rows, 0, n);
    Ok(())
}

/// Why there is no inverse.
#[derive(Debug)]
pub(crate) enum NoInverse {
    /// The index of a pivot that is not a positive finite number.
    Pivot(usize),
    /// It was stopped, or the device that computes it has failed.
    Failed(Error),
}

/// Bytes that [`invert_positive_definite`] needs beside a matrix of `n` rows, at most, for numbers of so many bytes.
pub(crate) fn bytes_beside_inverse(n: usize, bytes: usize) -> usize {
    elimination::bytes_beside(n, bytes) + bytes_of_copies(n, bytes)
}

fn bytes_of_copies(n: usize, bytes: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    if bytes == size_of::<f32>() && sgemm::is_there() {
        return bytes * sgemm::most_copied(n);
    }
    bytes * n * n.min(BLOCK)
}

/// What [`invert_positive_definite`] will have told of in the end.
pub(crate) fn work_of_inverse<T: Real>(n: usize) -> f64 {
    costs::operations::<T>((n as f64).powi(3))
}

/// Seconds of [`invert_positive_definite`] for the Gram matrix of `n` items, on one core. In data that are known, rows
/// that will be eliminated are looked for, where that takes little beside; `squares` are those of the users' numbers of
/// items, added up.
pub(crate) fn seconds_of_inverse<T: Real>(n: usize, data: Option<&Csr>, squares: f64) -> f64 {
    /// A look is given that share of the time.
    const LOOK: f64 = 0.02;
    /// And bits of 256 MiB at most.
    const LARGEST: usize = 46_000;
    let dense = work_of_inverse::<T>(n);
    let is_short = n <= LARGEST && costs::PAIR * squares <= LOOK * dense;
    // Every estimate of a search asks for the same data.
    let look = |x: &Csr| x.few_neighbours(|| Elimination::of_gram(x).map(|elimination| elimination.saved()));
    let found = data.filter(|_| is_short).and_then(look);
    found.map_or(dense, |found| work_of_inverse::<T>(found.core) + elimination::work::<T>(found.operations))
}

/// That many floating point operations are done.
fn did<T: Real>(steps: &Steps<'_>, operations: f64) {
    steps.did(costs::operations::<T>(operations));
}

fn check(steps: &Steps<'_>) -> Result<(), NoInverse> {
    steps.check().map_err(NoInverse::Failed)
}

/// Matrices up to this size are left to faer's own blocking.
const BLOCK: usize = 240;

/// Where a larger matrix is halved: a multiple of the rows of the widest kernels.
fn half(n: usize) -> usize {
    (n / 2).next_multiple_of(96)
}

/// Columns of the first factor of a product that are taken in one step: several times what the kernels take at once, so
/// that steps cost nothing. Few in tests, for small matrices to take several steps.
const INNER: usize = if cfg!(test) { 96 } else { 1024 };

/// `C += alpha A B` in steps along the inner dimension, of that part of `C` alone.
fn add_product<T: Real>(
    mut c: MatMut<'_, T>,
    part: Part,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    alpha: T,
    steps: &Steps<'_>,
) -> Result<(), NoInverse> {
    for first in (0..a.ncols()).step_by(INNER) {
        check(steps)?;
        let width = INNER.min(a.ncols() - first);
        par_product(c.rb_mut(), part, Accum::Add, a.subcols(first, width), b.subrows(first, width), alpha);
        let each = if part == Part::Whole { 2.0 } else { 1.0 };
        did::<T>(steps, each * width as f64 * c.nrows() as f64 * c.ncols() as f64);
    }
    Ok(())
}

/// Triangles up to this size are left to faer: beyond, products are faster. Small in tests, for small ones to be
/// halved.
const TRIANGLE: usize = if cfg!(test) { 48 } else { 144 };

/// Where a larger triangle is halved.
fn half_of_triangle(n: usize) -> usize {
    (n / 2).next_multiple_of(48)
}

/// Has a small triangle applied to some columns at a time, on all threads.
fn in_columns<T: Real>(
    l: MatRef<'_, T>,
    mut b: MatMut<'_, T>,
    steps: &Steps<'_>,
    apply: impl Fn(MatMut<'_, T>) + Send + Sync,
) -> Result<(), NoInverse> {
    const COLUMNS: usize = 192;
    check(steps)?;
    b.rb_mut().par_col_chunks_mut(COLUMNS).for_each(apply);
    did::<T>(steps, (l.nrows() * l.nrows()) as f64 * b.ncols() as f64);
    Ok(())
}

/// `L^-1 B` over `B` for lower triangular `L`, halved as all else here.
fn solve_lower<T: Real>(l: MatRef<'_, T>, mut b: MatMut<'_, T>, steps: &Steps<'_>) -> Result<(), NoInverse> {
    if l.nrows() <= TRIANGLE {
        return in_columns(l, b, steps, |b| triangular_solve::solve_lower_triangular_in_place(l, b, Par::Seq));
    }
    let half = half_of_triangle(l.nrows());
    let (top, _, side, rest) = l.split_at(half, half);
    let (mut first, mut second) = b.rb_mut().split_at_row_mut(half);
    solve_lower(top, first.rb_mut(), steps)?;
    add_product(second.rb_mut(), Part::Whole, side, first.rb(), -T::ONE, steps)?;
    solve_lower(rest, second, steps)
}

/// `L^-T B` over `B` for lower triangular `L`.
fn solve_lower_transposed<T: Real>(l: MatRef<'_, T>, mut b: MatMut<'_, T>, steps: &Steps<'_>) -> Result<(), NoInverse> {
    if l.nrows() <= TRIANGLE {
        let upper = l.transpose();
        return in_columns(l, b, steps, |b| triangular_solve::solve_upper_triangular_in_place(upper, b, Par::Seq));
    }
    let half = half_of_triangle(l.nrows());
    let (top, _, side, rest) = l.split_at(half, half);
    let (mut first, mut second) = b.rb_mut().split_at_row_mut(half);
    solve_lower_transposed(rest, second.rb_mut(), steps)?;
    add_product(first.rb_mut(), Part::Whole, side.transpose(), second.rb(), -T::ONE, steps)?;
    solve_lower_transposed(top, first, steps)
}

/// `L' B` over `B` for lower triangular `L`.
fn multiply_transposed<T: Real>(l: MatRef<'_, T>, mut b: MatMut<'_, T>, steps: &Steps<'_>) -> Result<(), NoInverse> {
    if l.nrows() <= TRIANGLE {
        let (upper, whole) = (BlockStructure::TriangularUpper, BlockStructure::Rectangular);
        return in_columns(l, b, steps, |b| {
            let copy = b.to_owned();
            triangular::matmul(b, whole, Accum::Replace, l.transpose(), upper, copy, whole, T::ONE, Par::Seq);
        });
    }
    let half = half_of_triangle(l.nrows());
    let (top, _, side, rest) = l.split_at(half, half);
    let (mut first, second) = b.rb_mut().split_at_row_mut(half);
    multiply_transposed(top, first.rb_mut(), steps)?;
    add_product(first, Part::Whole, side.transpose(), second.rb(), T::ONE, steps)?;
    multiply_transposed(rest, second, steps)
}

/// Lower triangular `L` with `L L' = A`, over the lower triangle of `A`.
fn factor<T: Real>(a: MatMut<'_, T>, steps: &Steps<'_>) -> Result<(), NoInverse> {
    let (n, par) = (a.nrows(), Par::Seq);
    if n <= BLOCK {
        check(steps)?;
        let params = Default::default();
        let mut stack = MemBuffer::new(llt::factor::cholesky_in_place_scratch::<T>(n, par, params));
        let factor = llt::factor::cholesky_in_place(a, Default::default(), par, MemStack::new(&mut stack), params);
        did::<T>(steps, (n as f64).powi(3) / 3.0);
        return factor.map(drop).map_err(|llt::factor::LltError::NonPositivePivot { index }| NoInverse::Pivot(index));
    }
    let (mut top, _, mut side, mut rest) = a.split_at_mut(half(n), half(n));
    factor(top.rb_mut(), steps)?;
    solve_lower(top.rb(), side.rb_mut().transpose_mut(), steps)?;
    let side = side.rb();
    add_product(rest.rb_mut(), Part::Lower, side, side.transpose(), -T::ONE, steps)?;
    factor(rest, steps).map_err(|error| match error {
        NoInverse::Pivot(index) => NoInverse::Pivot(half(n) + index),
        other => other,
    })
}

/// `L^-1` over the lower triangle of `L`: with halves `[A 0; C D]` it is `[A^-1 0; -D^-1 C A^-1 D^-1]`.
fn invert_lower<T: Real>(mut l: MatMut<'_, T>, steps: &Steps<'_>) -> Result<(), NoInverse> {
    let n = l.nrows();
    if n <= BLOCK {
        check(steps)?;
        let mut inverse = Mat::zeros(n, n);
        triangular_inverse::invert_lower_triangular(inverse.as_mut(), l.rb(), Par::Seq);
        l.copy_from_triangular_lower(inverse);
        did::<T>(steps, (n as f64).powi(3) / 3.0);
        return Ok(());
    }
    let (top, _, mut side, rest) = l.split_at_mut(half(n), half(n));
    solve_lower(rest.rb(), side.rb_mut(), steps)?;
    solve_lower_transposed(top.rb(), side.rb_mut().transpose_mut(), steps)?;
    side.par_col_chunks_mut(64).for_each(|columns| zip!(columns).for_each(|unzip!(entry)| *entry = -*entry));
    invert_lower(top, steps)?;
    invert_lower(rest, steps)
}

/// The lower triangle of `X' X` over lower triangular `X`: with halves `[A 0; C D]` it is `A' A + C' C`, `D' C`,
/// `D' D`.
fn square_lower<T: Real>(x: MatMut<'_, T>, steps: &Steps<'_>) -> Result<(), NoInverse> {
    let n = x.nrows();
    if n <= BLOCK {
        check(steps)?;
        let (lower, upper) = (BlockStructure::TriangularLower, BlockStructure::TriangularUpper);
        let mut copy = Mat::zeros(n, n);
        copy.copy_from_triangular_lower(x.rb());
        let copy = copy.as_ref();
        triangular::matmul(x, lower, Accum::Replace, copy.transpose(), upper, copy, lower, T::ONE, Par::Seq);
        did::<T>(steps, (n as f64).powi(3) / 3.0);
        return Ok(());
    }
    let (mut top, _, mut side, rest) = x.split_at_mut(half(n), half(n));
    square_lower(top.rb_mut(), steps)?;
    add_product(top, Part::Lower, side.rb().transpose(), side.rb(), T::ONE, steps)?;
    multiply_transposed(rest.rb(), side.rb_mut(), steps)?;
    square_lower(rest, steps)
}

/// Fills the left half of a matrix from its right one, so that it is symmetric: entries left of the diagonal become
/// what stands across.
pub(crate) fn mirror<T: Real>(matrix: ArrayViewMut2<'_, T>) {
    let n = matrix.nrows();
    mirror_rows(row_major_mut(matrix), 0, n);
}

/// The same of the square on the diagonal that rows of `n` entries have, of which the top one is row `first`.
fn mirror_rows<T: Real>(rows: &mut [T], first: usize, n: usize) {
    const SQUARE: usize = 64;
    let n_rows = rows.len() / n;
    if n_rows <= SQUARE {
        for i in 1..n_rows {
            for j in 0..i {
                rows[i * n + first + j] = rows[j * n + first + i];
            }
        }
        return;
    }
    let above = (n_rows / 2).next_multiple_of(SQUARE);
    let (top, bottom) = rows.split_at_mut(above * n);
    // In squares, so that the rows that have to be read across stay in the cache.
    bottom.par_chunks_mut(SQUARE * n).enumerate().for_each(|(chunk, rows)| {
        let first_row = first + above + chunk * SQUARE;
        for square in (0..above).step_by(SQUARE) {
            for (i, row) in (first_row..).zip(rows.chunks_exact_mut(n)) {
                for j in square..(square + SQUARE).min(above) {
                    row[first + j] = top[j * n + i];
                }
            }
        }
    });
    rayon::join(|| mirror_rows(top, first, n), || mirror_rows(bottom, first + above, n));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::cancel::Cancel;
    use crate::base::matrix::view2_mut;

    #[test]
    fn gram_counts_pairs() {
        let x = Csr::from_rows([&[0u32, 2][..], &[0, 1, 2], &[1]], 3).unwrap();
        assert_eq!(
            gram::<f64>(&x, &Steps::silent(&Cancel::default())).unwrap()[..],
            [2.0, 1.0, 2.0, 0.0, 2.0, 1.0, 0.0, 0.0, 2.0]
        );
    }

    #[test]
    fn gram_is_the_product_for_any_number_of_threads() {
        let mut random = crate::base::random::Stream::new(5, 0);
        // Popularity falls steeply; some items have no user, and some users no item.
        let rows: Vec<Vec<u32>> = (0..300u64)
            .map(|user| {
                (0..90u64)
                    .filter(|item| user % 7 != 0 && random.below(item * item / 40 + 2) == 0)
                    .map(|i| i as u32)
                    .collect()
            })
            .collect();
        let x = Csr::from_rows(&rows, 95).unwrap();
        let mut expected = vec![0f32; 95 * 95];
        for row in &rows {
            for (at, &a) in row.iter().enumerate() {
                row[at..].iter().for_each(|&b| expected[a as usize * 95 + b as usize] += 1.0);
            }
        }
        for threads in [1, 3, 64] {
            assert!(
                crate::Threads::new(Some(threads)).unwrap().install(|| gram::<f32>(
                    &x,
                    &Steps::silent(&Cancel::default())
                )
                .unwrap()[..]
                    == expected),
                "{threads}"
            );
        }
    }

    #[test]
    fn inverse_times_matrix_is_the_identity() {
        // Sizes around faer's block sizes, and one that is halved twice; tolerance eps * 64 * n as the matrices have
        // condition numbers below 64.
        for n in [1usize, 2, 17, 64, 200, 401, 1301] {
            let at = |i: usize, j: usize| if i == j { 4.0 } else { 1.0 / (1 + i.abs_diff(j)).pow(2) as f64 };
            let mut matrix = vec![0.0; n * n];
            for i in 0..n {
                for j in i..n {
                    matrix[i * n + j] = at(i, j);
                }
            }
            invert_positive_definite(view2_mut(&mut matrix, (n, n)), &Steps::silent(&Cancel::default())).unwrap();
            // All pairs of rows and columns of small matrices, some of large ones.
            let some = |i: &usize| n < 500 || i.is_multiple_of(97);
            for i in (0..n).filter(some) {
                for j in (0..n).filter(some) {
                    let sum: f64 = (0..n).map(|k| at(i, k) * matrix[j * n + k]).sum();
                    let expected = f64::from(u8::from(i == j));
                    assert!((sum - expected).abs() < f64::EPSILON * 64.0 * n as f64, "{n}: {i}, {j}: {sum}");
                }
            }
        }
    }

    /// In f32 products may be others than in f64. Condition numbers are below 64 and entries below 1, so an error of
    /// the rounded inverse is some 64 eps at most.
    #[test]
    fn the_inverse_in_f32_is_that_in_f64_but_for_rounding_and_the_same_for_any_threads() {
        fn inverse<T: Real>(n: usize, threads: usize) -> Vec<T> {
            let mut matrix = vec![T::ZERO; n * n];
            for i in 0..n {
                for j in i..n {
                    let entry = if i == j { 4.0 } else { 1.0 / (1 + j - i).pow(2) as f64 };
                    matrix[i * n + j] = T::from_f64(entry);
                }
            }
            let invert =
                || invert_positive_definite(view2_mut(&mut matrix, (n, n)), &Steps::silent(&Cancel::default()));
            crate::Threads::new(Some(threads)).unwrap().install(invert).unwrap();
            matrix
        }
        for n in [3usize, 241, 401, 1301] {
            let (rounded, exact) = (inverse::<f32>(n, 2), inverse::<f64>(n, 1));
            let error = rounded.iter().zip(&exact).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
            assert!(error < 64.0 * f64::from(f32::EPSILON), "{n}: {error}");
            assert!(rounded == inverse::<f32>(n, 1) && rounded == inverse::<f32>(n, 5), "{n}");
        }
    }

    #[test]
    fn an_indefinite_matrix_names_its_pivot() {
        let mut matrix = vec![1.0f32, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 1.0];
        let never = Cancel::default();
        let never = Steps::silent(&never);
        let inverted = invert_positive_definite(view2_mut(&mut matrix, (3, 3)), &never);
        assert!(matches!(inverted, Err(NoInverse::Pivot(2))), "{inverted:?}");
        let n = 1200;
        let mut matrix = vec![0.0f32; n * n];
        (0..n).for_each(|index| matrix[index * (n + 1)] = if index == 1000 { -1.0 } else { 1.0 });
        let inverted = invert_positive_definite(view2_mut(&mut matrix, (n, n)), &never);
        assert!(matches!(inverted, Err(NoInverse::Pivot(1000))), "{inverted:?}");
    }

    #[test]
    fn mirroring_makes_it_symmetric() {
        for n in [1usize, 2, 63, 65, 130, 300] {
            let mut matrix: Vec<f32> = (0..n * n).map(|at| if at % n >= at / n { at as f32 } else { -1.0 }).collect();
            let half = matrix.clone();
            mirror(view2_mut(&mut matrix, (n, n)));
            for (at, &entry) in matrix.iter().enumerate() {
                let (i, j) = (at / n, at % n);
                assert_eq!(entry, half[i.min(j) * n + i.max(j)], "{n}: {i}, {j}");
            }
        }
    }
}
