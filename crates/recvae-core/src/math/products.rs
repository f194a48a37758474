//! Products of rows by rows, `x W'`, in which what a row gives does not depend on the rows beside it, to the bit.
//!
//! Scores of a user are a function of the history, whoever is scored along with the user. The products of a matrix
//! library are not: it takes other kernels for one row, for one column and for small products, which add up in another
//! order. Larger products add up in order, number by number with one rounding each, in stretches of the depth. So
//!
//! - where the processor has it, [our own product](super::sgemm) is taken, which adds up in that order whatever the
//!   shape;
//! - one row has a kernel of its own here, which does the same. Whether it has the others' bits is tried once in a
//!   process, on a small product; where it has not (on processors without a fused multiplication, say), a row gets
//!   company of zeros;
//! - what the library gets and is too small for its large products is filled up with rows, or a second column, of
//!   zeros;
//! - stretches are cut here, so that they do not depend on the shape;
//! - no block of columns is a single one.

use faer::prelude::ReborrowMut;
use faer::{Accum, Par};
use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use crate::base::matrix::{row_major, row_major_mut};
use crate::math::matmul::{Panels, by_kernel, by_kernel_of_some, rows, rows_mut};
use crate::math::part::{Part, depth_of};
use crate::math::real::Real;
use crate::math::vectorised::vectorised;

/// Rows of `x` and rows of `W` of one task: large enough that packing them is cheap beside multiplying, small enough
/// for several threads.
const TILE: (usize, usize) = (256, 160);
/// Rows that are worth a copy of all of `W` at once: for fewer a tile's part of it is read again while it is in the
/// caches.
const MANY: usize = 64;
/// The library has other kernels for products of no more multiplications than this.
const SMALL: usize = 4096;

/// `out = x W'` on all threads of the pool, for `x` of shape `(n, d)`, `W` of `(m, d)` and `out` of `(n, m)`.
pub(crate) fn par_products<T: Real>(x: ArrayView2<'_, T>, weight: ArrayView2<'_, T>, out: ArrayViewMut2<'_, T>) {
    let (m, d) = weight.dim();
    assert!(x.ncols() == d && out.dim() == (x.nrows(), m), "{:?} by {m} x {d} to {:?}", x.dim(), out.dim());
    if m == 0 {
        return;
    }
    let (n, (x, weight, out)) = (x.nrows(), (row_major(x), row_major(weight), row_major_mut(out)));
    if n >= MANY && own_product(x, weight, d, rows_mut(out, m), true) {
        return;
    }
    let columns = columns_of_tiles(m);
    out.par_chunks_mut(TILE.0 * m).zip(x.par_chunks(TILE.0 * d)).for_each(|(out, x)| {
        let mut rest = rows_mut(out, m);
        let mut tiles = vec![];
        for columns in &columns {
            let (tile, others) = rest.split_at_col_mut(columns.len());
            tiles.push((tile, &weight[columns.start * d..columns.end * d]));
            rest = others;
        }
        tiles.into_par_iter().for_each(|(out, weight)| tile(x, weight, d, out));
    });
}

/// The same on this thread.
pub(crate) fn products<T: Real>(x: &[T], weight: &[T], d: usize, out: &mut [T]) {
    tile(x, weight, d, rows_mut(out, weight.len() / d));
}

/// The products of one row `x` with some rows of `W`, on this thread.
pub(crate) fn products_of_some<T: Real>(x: &[T], weight: &[T], some: &[u32], out: &mut [T]) {
    /// Rows that are put together at a time: they stay in the first level cache.
    const TOGETHER: usize = 32;
    let d = x.len();
    if by_kernel_of_some(x, weight, some, out) {
        return;
    }
    let mut rows = Vec::with_capacity(TOGETHER.min(some.len()) * d);
    for (some, out) in some.chunks(TOGETHER).zip(out.chunks_mut(TOGETHER)) {
        rows.clear();
        some.iter().for_each(|&row| rows.extend_from_slice(&weight[row as usize * d..][..d]));
        products(x, &rows, d, out);
    }
}

/// `W` of several [`products`], which is copied once as they read it where the processor has our own product.
pub(crate) struct Weight<'w, T> {
    rows: &'w [T],
    d: usize,
    panels: Option<Panels>,
}

impl<'w, T: Real> Weight<'w, T> {
    /// Of shape `(m, d)`, for products with so many rows of `x` in all.
    pub(crate) fn of(weight: &'w [T], d: usize, n: usize) -> Self {
        let panels = if n >= MANY { Panels::of(rows(weight, d).transpose()) } else { None };
        Self { rows: weight, d, panels }
    }

    /// What [`products`] gives, to the bit.
    pub(crate) fn products(&self, x: &[T], out: &mut [T]) {
        match &self.panels {
            Some(panels) if x.len() > self.d => {
                panels.product(rows_mut(out, self.rows.len() / self.d), rows(x, self.d))
            }
            _ => products(x, self.rows, self.d, out),
        }
    }
}

/// The columns of `out` in tiles, none of which is a single one unless there is only one.
fn columns_of_tiles(m: usize) -> Vec<std::ops::Range<usize>> {
    let mut tiles = vec![];
    let mut first = 0;
    while first < m {
        let end = if m - first <= TILE.1 + 1 { m } else { first + TILE.1 };
        tiles.push(first..end);
        first = end;
    }
    tiles
}

fn tile<T: Real>(x: &[T], weight: &[T], d: usize, mut out: faer::MatMut<'_, T>) {
    let (n, m, depth) = (x.len() / d, weight.len() / d, depth_of(d));
    if n == 0 || m == 0 {
        return;
    }
    if n == 1
        && d > 1
        && let Some(out) = out.rb_mut().row_mut(0).try_as_row_major_mut()
        && row_is_as_in_group::<T>()
    {
        row_products(x, weight, depth, out.as_slice_mut());
        return;
    }
    if own_product(x, weight, d, out.rb_mut(), false) {
        return;
    }
    // The last stretch is the shortest.
    let shortest = d - (d - 1) / depth * depth;
    if n > 1 && m > 1 && n * m * shortest > SMALL {
        multiply(x, weight, d, out);
        return;
    }
    let more_columns = m.max(2);
    let more_rows = n.max(2).max(SMALL / (more_columns * shortest) + 1);
    let filled = |rows: &[T], n: usize| {
        let mut filled = rows.to_vec();
        filled.resize(n * d, T::ZERO);
        filled
    };
    let (x, weight) = (filled(x, more_rows), filled(weight, more_columns));
    let mut all = vec![T::ZERO; more_rows * more_columns];
    multiply(&x, &weight, d, rows_mut(&mut all, more_columns));
    out.copy_from(rows(&all, more_columns).submatrix(0, 0, n, m));
}

/// By our own product, whose bits do not depend on the shape; false where it is not there.
fn own_product<T: Real>(x: &[T], weight: &[T], d: usize, out: faer::MatMut<'_, T>, parallel: bool) -> bool {
    by_kernel(out, Part::Whole, Accum::Replace, rows(x, d), rows(weight, d).transpose(), T::ONE, parallel)
}

/// By the library, stretch by stretch.
fn multiply<T: Real>(x: &[T], weight: &[T], d: usize, mut out: faer::MatMut<'_, T>) {
    let depth = depth_of(d);
    let mut accum = Accum::Replace;
    for first in (0..d).step_by(depth) {
        let n = depth.min(d - first);
        let (x, weight) = (rows(x, d).subcols(first, n), rows(weight, d).subcols(first, n));
        faer::linalg::matmul::matmul(out.rb_mut(), accum, x, weight.transpose(), T::ONE, Par::Seq);
        accum = Accum::Add;
    }
}

/// Whether [`row_products`] has the bits of [`own_product`] or, where that is not there, of [`multiply`].
fn row_is_as_in_group<T: Real>() -> bool {
    *T::row_is_as_in_group().get_or_init(|| {
        [(3, 43), (16, 19), (64, 30), (700, 11)].into_iter().all(|(d, m)| {
            // Numbers without a pattern; enough rows for the products to be large.
            let number = |at: usize| T::from_f64((at * at % 1013) as f64 / 507.0 - 1.0);
            let n = SMALL / (m * 3) + 1;
            let (x, weight): (Vec<T>, Vec<T>) =
                ((1..=n * d).map(number).collect(), (7..7 + m * d).map(number).collect());
            let (mut all, mut one) = (vec![T::ZERO; n * m], vec![T::ZERO; m]);
            if !own_product(&x, &weight, d, rows_mut(&mut all, m), false) {
                multiply(&x, &weight, d, rows_mut(&mut all, m));
            }
            x.chunks_exact(d).zip(all.chunks_exact(m)).all(|(x, all)| {
                row_products(x, &weight, depth_of(d), &mut one);
                all == one
            })
        })
    })
}

/// The products of eight rows of `W` with a stretch of `x`.
#[inline(always)]
fn eight_products<T: Real>(x: &[T], rows: &[&[T]; 8]) -> [T; 8] {
    let mut sums = [T::ZERO; 8];
    for (at, &x) in x.iter().enumerate() {
        for (sum, row) in sums.iter_mut().zip(rows) {
            *sum = x.times_plus(row[at], *sum);
        }
    }
    sums
}

/// Eights of rows that are multiplied side by side.
const SIDE_BY_SIDE: usize = 4;

/// The same of `EIGHTS` times eight rows.
#[inline(always)]
fn products_of_eights<T: Real, const EIGHTS: usize>(
    x: &[T],
    weight: &[T],
    d: usize,
    first: usize,
    fast: bool,
) -> [[T; 8]; EIGHTS] {
    #[cfg(target_arch = "x86_64")]
    if fast
        && let (Ok(x), Ok(weight)) = (bytemuck::try_cast_slice::<T, f32>(x), bytemuck::try_cast_slice::<T, f32>(weight))
    {
        // SAFETY: whoever asks for it has looked for AVX2 and FMA.
        #[allow(unsafe_code)]
        let sums = unsafe { super::eights::products_of_eights::<EIGHTS>(x, weight, d, first) };
        return sums.map(|sums| sums.map(|sum| T::from_f64(sum.into())));
    }
    let row = |number: usize| &weight[number * d + first..][..x.len()];
    std::array::from_fn(|eight| eight_products(x, &std::array::from_fn(|number| row(8 * eight + number))))
}

/// Writes sums of the first stretch, and adds those of later ones.
#[inline(always)]
fn put<T: Real>(out: &mut [T], sums: &[T], is_first: bool) {
    for (out, &sum) in out.iter_mut().zip(sums) {
        *out = if is_first { sum } else { *out + sum };
    }
}

/// Whether the processor has what the fast kernel needs.
fn has_fast() -> bool {
    #[cfg(target_arch = "x86_64")]
    return crate::math::vectorised::level() != crate::math::vectorised::Level::Baseline;
    #[cfg(not(target_arch = "x86_64"))]
    false
}

fn row_products<T: Real>(x: &[T], weight: &[T], depth: usize, out: &mut [T]) {
    row_products_by(x, weight, depth, out, size_of::<T>() == size_of::<f32>() && has_fast());
}

vectorised! {
    /// `out = x W'` for one row `x`, in stretches of `depth`.
    fn row_products_by(x: &[T], weight: &[T], depth: usize, out: &mut [T], fast: bool) {
        const MANY: usize = 8 * SIDE_BY_SIDE;
        let d = x.len();
        let (many, few) = out.as_chunks_mut::<MANY>();
        let (weights, weight) = weight.split_at(many.len() * MANY * d);
        for (out, weight) in many.iter_mut().zip(weights.chunks_exact(MANY * d)) {
            for (number, x) in x.chunks(depth).enumerate() {
                let sums = products_of_eights::<T, SIDE_BY_SIDE>(x, weight, d, number * depth, fast);
                put(out, sums.as_flattened(), number == 0);
            }
        }
        for (out, weight) in few.chunks_mut(8).zip(weight.chunks(8 * d)) {
            for (number, x) in x.chunks(depth).enumerate() {
                let first = number * depth;
                let mut sums = [T::ZERO; 8];
                if out.len() == 8 {
                    [sums] = products_of_eights::<T, 1>(x, weight, d, first, fast);
                } else {
                    for (sum, row) in sums.iter_mut().zip(weight.chunks_exact(d)) {
                        *sum = x.iter().zip(&row[first..]).fold(T::ZERO, |sum, (&x, &number)| x.times_plus(number, sum));
                    }
                }
                put(out, &sums, number == 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::matrix::{view2, view2_mut};
    use crate::base::random::Stream;

    fn bits<T: Real>(numbers: &[T]) -> Vec<u64> {
        numbers.iter().map(|number| number.to_f64().to_bits()).collect()
    }

    fn all_products<T: Real>(x: &[T], weight: &[T], d: usize, out: &mut [T]) {
        let (n, m) = (x.len() / d, weight.len() / d);
        par_products(view2(x, (n, d)), view2(weight, (m, d)), view2_mut(out, (n, m)));
    }

    #[test]
    fn no_tile_is_a_single_column() {
        for m in 1..1000 {
            let tiles = columns_of_tiles(m);
            assert!(m == 1 || tiles.iter().all(|tile| (2..=TILE.1 + 1).contains(&tile.len())), "{m}");
            assert_eq!(tiles.into_iter().flatten().collect::<Vec<_>>(), (0..m).collect::<Vec<_>>());
        }
    }

    /// Around every number at which the library or this module takes another way.
    #[test]
    fn a_row_s_products_are_the_same_in_any_company_and_of_any_columns() {
        fn check<T: Real>() {
            let mut random = Stream::new(3, 0);
            for d in [1, 2, 3, 7, 8, 16, 17, 64, 200, 511, 512, 513, 600, 1025] {
                for m in [1, 2, 3, 9, 40, 159, 160, 161, 162, 321] {
                    let n = 1 + random.below(9) as usize + 256 * random.below(20).is_multiple_of(19) as usize;
                    let mut numbers = |n: usize| (0..n).map(|_| T::from_f64(random.normal())).collect::<Vec<T>>();
                    let (x, weight) = (numbers(n * d), numbers(m * d));
                    let mut all = vec![T::ZERO; n * m];
                    all_products(&x, &weight, d, &mut all);
                    let mut here = vec![T::ZERO; n * m];
                    products(&x, &weight, d, &mut here);
                    assert!(bits(&all) == bits(&here), "{n} x {m} x {d}");
                    for row in [0, n / 2, n - 1] {
                        let (x, all) = (&x[row * d..][..d], &all[row * m..][..m]);
                        let exact = |column: usize| -> f64 {
                            let pairs = x.iter().zip(&weight[column * d..][..d]);
                            pairs.map(|(a, b)| a.to_f64() * b.to_f64()).sum()
                        };
                        // d products near 1, each sum rounded: far below d epsilon, and the sum is about the root of d.
                        let tolerance = if size_of::<T>() == 4 { 1.2e-7 } else { 2.3e-16 } * d as f64 + 1e-30;
                        assert!((all[m - 1].to_f64() - exact(m - 1)).abs() <= 2.0 * tolerance, "{n} x {m} x {d}");
                        for company in [1, 2, 5] {
                            let mut together = vec![T::ZERO; company * m];
                            all_products(&x.repeat(company), &weight, d, &mut together);
                            assert!(together.chunks(m).all(|row| bits(row) == bits(all)), "{company} x {m} x {d}");
                        }
                        let mut one = [T::ZERO];
                        all_products(x, &weight[m / 2 * d..][..d], d, &mut one);
                        assert!(bits(&one) == bits(&all[m / 2..][..1]), "column {} of {n} x {m} x {d}", m / 2);
                    }
                }
            }
        }
        check::<f32>();
        check::<f64>();
    }

    /// Across the edges of panels and stretches, with rows that come twice.
    #[test]
    fn products_of_some_rows_have_the_bits_of_all() {
        fn check<T: Real>() {
            let mut random = Stream::new(7, 0);
            for d in [1, 2, 15, 16, 17, 50, 200, 513, 1025] {
                let m = 30 + random.below(200) as usize;
                let mut numbers = |n: usize| (0..n).map(|_| T::from_f64(random.normal())).collect::<Vec<T>>();
                let (x, weight) = (numbers(d), numbers(m * d));
                let mut all = vec![T::ZERO; m];
                products(&x, &weight, d, &mut all);
                for n in [0, 1, 15, 16, 17, 47, 48, 49, 113] {
                    let some: Vec<u32> = (0..n).map(|_| random.below(m as u64) as u32).collect();
                    let mut out = vec![T::ONE; n];
                    products_of_some(&x, &weight, &some, &mut out);
                    let expected: Vec<T> = some.iter().map(|&row| all[row as usize]).collect();
                    assert!(bits(&out) == bits(&expected), "{n} of {m} rows of {d}");
                }
            }
        }
        check::<f32>();
        check::<f64>();
    }

    /// Across the edges of panels, blocks, stretches and what is copied at a time; one row, and fewer than are worth a
    /// copy.
    #[test]
    fn products_with_a_weight_that_is_copied_once_have_the_same_bits() {
        fn check<T: Real>() {
            let mut random = Stream::new(6, 0);
            for (n, m, d) in [(1, 40, 7), (63, 20, 30), (64, 1, 1), (70, 17, 5), (130, 385, 33), (507, 770, 600)] {
                let mut numbers = |n: usize| (0..n).map(|_| T::from_f64(random.normal())).collect::<Vec<T>>();
                let (x, weight) = (numbers(n * d), numbers(m * d));
                let mut expected = vec![T::ZERO; n * m];
                products(&x, &weight, d, &mut expected);
                let copied = Weight::of(&weight, d, n);
                for rows in [1, n / 2, n].into_iter().filter(|&rows| rows > 0) {
                    let mut out = vec![T::ONE; rows * m];
                    copied.products(&x[..rows * d], &mut out);
                    assert!(bits(&out) == bits(&expected[..rows * m]), "{rows} of {n} x {m} x {d}");
                }
            }
        }
        check::<f32>();
        check::<f64>();
    }

    /// Across the edges of eights, fours and stretches. The safe twin is compared on every processor, the fast one
    /// where it runs.
    #[test]
    fn the_kernels_for_one_row_have_the_bits_of_a_sum_in_order() {
        let mut random = Stream::new(4, 0);
        for d in [1, 3, 4, 5, 8, 13, 64, 300, 513, 1025] {
            for m in [1, 7, 8, 9, 31, 32, 33, 40, 63, 64, 71] {
                let mut numbers = |n: usize| (0..n).map(|_| random.normal() as f32).collect::<Vec<_>>();
                let (x, weight) = (numbers(d), numbers(m * d));
                let stretches = |row: &[f32]| {
                    let sum = |(x, row): (&[f32], &[f32])| {
                        x.iter().zip(row).fold(0.0, |sum, (x, &number)| x.times_plus(number, sum))
                    };
                    x.chunks(depth_of(d)).zip(row.chunks(depth_of(d))).map(sum).reduce(|all, sum| all + sum)
                };
                let in_order: Vec<_> = weight.chunks(d).map(|row| stretches(row).unwrap().to_bits()).collect();
                for fast in [false, true].into_iter().filter(|fast| !fast || has_fast()) {
                    let mut out = vec![0f32; m];
                    row_products_by(&x, &weight, depth_of(d), &mut out, fast);
                    let bits: Vec<_> = out.into_iter().map(f32::to_bits).collect();
                    assert_eq!(bits, in_order, "{m} x {d}, fast: {fast}");
                }
            }
        }
    }

    /// Where the kernel for one row is not the library's, rows get company, and single users cost more: worth to be
    /// known.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_kernel_for_one_row_has_the_library_s_bits_where_multiplications_are_fused() {
        let fused = std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
        assert_eq!((row_is_as_in_group::<f32>(), row_is_as_in_group::<f64>()), (fused, fused));
    }
}
