//! Products of matrices whose numbers are rounded to bf16, with sums in f32: half the bytes, and on some processors twice the
//! multiplications a cycle.
//!
//! A bf16 is the upper half of an f32: the same range, 8 bits of precision. The product of two is exact in f32. The instruction
//! `vdpbf16ps` takes two products at a time and adds them to a sum of 32 bits, so numbers come in pairs ([`Pair`]) that follow each
//! other along the depth, and
//!
//! - the left side of a product is read pair by pair, one row at a time: rows of pairs ([`round_rows`]), or the columns of a matrix
//!   whose rows were put together in twos ([`interleave_rows`]);
//! - the right side has its columns in panels of 16 to 64, a pair of each column next to those of the others, pair after pair
//!   ([`rows_into_panels`], [`columns_into_panels`]), so that a vector register holds pairs of 16 columns.
//!
//! What is missing of an odd depth or a whole vector of columns is 0. Sums are in order of the depth, two products at a time, in
//! stretches of [`DEPTH`] pairs; they do not depend on the threads. [`Level::Plain`] adds the first product of a pair and then the
//! second, each with one rounding. The processor's instruction has an order and a rounding of its own within a pair and takes
//! subnormal numbers for 0: the two differ by no more than sums of so many numbers do when their order changes.
//!
//! AMX's `tdpbf16ps` multiplies whole tiles, 16 rows by 16 pairs by 16 columns, and is the fastest where there is one.

use std::ops::Range;

use super::real::Real;
use super::vectorised::vectorised;
use crate::base::processor::{has_amx, has_avx512_bf16};

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx_512;
#[cfg(test)]
mod tests;

/// Two numbers in bf16, the first in the lower half.
pub(crate) type Pair = u32;

/// Columns of a vector register.
const LANES: usize = 16;

/// Pairs of 16 columns: panels are made of such, because loads that cross two lines of the cache take twice as long.
#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
pub(crate) struct Line([Pair; LANES]);

// SAFETY: sixteen numbers for which any bits are allowed, without anything between or behind them.
#[allow(unsafe_code)]
unsafe impl bytemuck::Zeroable for Line {}
// SAFETY: the same.
#[allow(unsafe_code)]
unsafe impl bytemuck::Pod for Line {}
/// Vectors of a panel at most.
const VECTORS: usize = 4;
/// Pairs of a stretch of the depth: what a panel has of them stays in the second level cache.
const DEPTH: usize = 512;

/// How products are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// By `tdpbf16ps` on tiles.
    Amx,
    /// By `vdpbf16ps` on 16 columns at a time.
    Avx512,
    /// Number by number: slower than f32, for tests and as what the other one is compared with.
    Plain,
}

impl Level {
    const ALL: [Self; 3] = [Self::Amx, Self::Avx512, Self::Plain];

    fn is_here(self) -> bool {
        match self {
            Self::Amx => has_amx(),
            Self::Avx512 => has_avx512_bf16(),
            Self::Plain => true,
        }
    }
}

/// The levels here, the best one first.
pub(crate) fn levels() -> impl Iterator<Item = Level> {
    Level::ALL.into_iter().filter(|level| level.is_here())
}

/// The best level here.
pub(crate) fn level() -> Level {
    levels().next().unwrap_or(Level::Plain)
}

/// Pairs that so many numbers make.
pub(crate) fn pairs(numbers: usize) -> usize {
    numbers.div_ceil(2)
}

/// The left side of a product: rows of pairs.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pairs: &'a [Pair],
    n_rows: usize,
    /// From a row to the next one, and from a pair of a row to its next one.
    row_step: usize,
    pair_step: usize,
}

impl<'a> Left<'a> {
    /// What [`round_rows`] made of rows of `depth` numbers.
    pub(crate) fn rows(all: &'a [Pair], depth: usize) -> Self {
        let row_step = pairs(depth);
        Self { pairs: all, n_rows: all.len() / row_step, row_step, pair_step: 1 }
    }

    /// Some of the rows.
    pub(crate) fn some(self, rows: Range<usize>) -> Self {
        Self { pairs: &self.pairs[rows.start * self.row_step..], n_rows: rows.len(), ..self }
    }

    /// Some columns of a matrix of `n_cols`, whose rows [`interleave_rows`] put together in twos.
    pub(crate) fn columns(all: &'a [Pair], n_cols: usize, columns: Range<usize>) -> Self {
        Self { pairs: &all[columns.start..], n_rows: columns.len(), row_step: 1, pair_step: n_cols }
    }
}

/// The right side of a product: columns of pairs in panels.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a> {
    lines: &'a [Line],
    /// In pairs.
    depth: usize,
    n_cols: usize,
}

impl<'a> Right<'a> {
    /// What [`rows_into_panels`] or [`columns_into_panels`] wrote for a product of that depth, in numbers.
    pub(crate) fn new(all: &'a [Line], depth: usize, n_cols: usize) -> Self {
        assert_eq!(all.len(), panels_len(depth, n_cols), "panels of {n_cols} columns of {depth}");
        Self { lines: all, depth: pairs(depth), n_cols }
    }

    fn pairs(self) -> &'a [Pair] {
        bytemuck::cast_slice(self.lines)
    }
}

/// Lines of the panels of a matrix with so many columns, for a product of that depth.
pub(crate) fn panels_len(depth: usize, n_cols: usize) -> usize {
    pairs(depth) * n_cols.div_ceil(LANES)
}

/// The columns of each panel: as few panels as can be, of as equal numbers of vectors as can be.
fn panels(n_cols: usize) -> impl Iterator<Item = Range<usize>> {
    let vectors = n_cols.div_ceil(LANES);
    let n = vectors.div_ceil(VECTORS);
    (0..n).map(move |panel| panel * vectors / n * LANES..(panel + 1) * vectors / n * LANES)
}

/// What the sums of a product begin with.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a, T> {
    Zero,
    /// One number for each column.
    Row(&'a [T]),
    /// What is there.
    Out,
}

/// `out = start + left * right`, row-major with as many columns as `right` has, on this thread.
pub(crate) fn multiply<T: Real>(left: Left<'_>, right: Right<'_>, start: Start<'_, T>, out: &mut [T]) {
    multiply_by(level(), left, right, start, out);
}

/// The same at a level that the processor has.
pub(crate) fn multiply_by<T: Real>(level: Level, left: Left<'_>, right: Right<'_>, start: Start<'_, T>, out: &mut [T]) {
    let Right { depth, n_cols, .. } = right;
    assert_eq!(out.len(), left.n_rows * n_cols, "{} rows of {n_cols}", left.n_rows);
    if out.is_empty() {
        return;
    }
    let last = (left.n_rows - 1) * left.row_step + depth.saturating_sub(1) * left.pair_step;
    assert!(depth == 0 || last < left.pairs.len(), "{} rows of {depth} pairs", left.n_rows);
    if let Start::Row(row) = start {
        assert_eq!(row.len(), n_cols);
    }
    let mut start = start;
    for first in (0..depth.max(1)).step_by(DEPTH) {
        let stretch = first..depth.min(first + DEPTH);
        match (level, as_f32(start, &mut *out)) {
            #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
            (Level::Amx, Some((start, out))) => amx::multiply(left, right, stretch, start, out),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512, Some((start, out))) => avx_512::multiply(left, right, stretch, start, out),
            _ => plain(left, right, stretch, start, out),
        }
        start = Start::Out;
    }
}

/// What the levels of a processor rely on: all that they read and write over a stretch of the depth is there.
///
/// # Panics
/// If a slice is too short for what its size says.
#[cfg(target_arch = "x86_64")]
fn check(left: Left<'_>, right: Right<'_>, stretch: &Range<usize>, start: Start<'_, f32>, out: &[f32]) {
    let (Left { n_rows, row_step, pair_step, .. }, Right { lines, depth, n_cols }) = (left, right);
    assert!(stretch.end <= depth && lines.len() == depth * n_cols.div_ceil(LANES));
    assert!(n_rows > 0 && out.len() == n_rows * n_cols);
    assert!(stretch.is_empty() || (n_rows - 1) * row_step + (stretch.end - 1) * pair_step < left.pairs.len());
    if let Start::Row(row) = start {
        assert!(row.len() == n_cols);
    }
}

/// What sums begin with and where they go, if they are f32.
fn as_f32<'a, T: Real>(start: Start<'a, T>, out: &'a mut [T]) -> Option<(Start<'a, f32>, &'a mut [f32])> {
    if size_of::<T>() != size_of::<f32>() {
        return None;
    }
    let start = match start {
        Start::Zero => Start::Zero,
        Start::Row(row) => Start::Row(bytemuck::try_cast_slice(row).ok()?),
        Start::Out => Start::Out,
    };
    Some((start, bytemuck::try_cast_slice_mut(out).ok()?))
}

/// Both numbers of a pair.
fn numbers<T: Real>(pair: Pair) -> [T; 2] {
    [pair << 16, pair & 0xffff_0000].map(|bits| T::from_f64(f32::from_bits(bits).into()))
}

/// The products of a stretch of the depth, number by number.
fn plain<T: Real>(left: Left<'_>, right: Right<'_>, stretch: Range<usize>, start: Start<'_, T>, out: &mut [T]) {
    let n_cols = right.n_cols;
    for (row, out) in out.chunks_exact_mut(n_cols).enumerate() {
        match start {
            Start::Zero => out.fill(T::ZERO),
            Start::Row(row) => out.copy_from_slice(row),
            Start::Out => {}
        }
        for columns in panels(n_cols) {
            let panel = &right.pairs()[columns.start * right.depth..columns.end * right.depth];
            let out = &mut out[columns.start..columns.end.min(n_cols)];
            for pair in stretch.clone() {
                let [a, b] = numbers::<T>(left.pairs[row * left.row_step + pair * left.pair_step]);
                for (sum, &pair) in out.iter_mut().zip(&panel[pair * columns.len()..]) {
                    let [c, d] = numbers::<T>(pair);
                    *sum = *sum + a * c + b * d;
                }
            }
        }
    }
}

/// Two numbers as a pair.
#[inline(always)]
fn pair<T: Real>(first: T, second: T) -> Pair {
    u32::from(first.to_bf16()) | u32::from(second.to_bf16()) << 16
}

/// Fills `out` by rows of pairs, from rows of `depth` numbers. `out` has room for all.
pub(crate) fn round_rows<T: Real>(values: &[T], depth: usize, out: &mut [Pair]) {
    const { assert!(cfg!(target_endian = "little"), "the first number of a pair is in the lower half") }
    let out: &mut [u16] = bytemuck::cast_slice_mut(out);
    if depth.is_multiple_of(2) {
        round(values, out);
        return;
    }
    for (values, out) in values.chunks_exact(depth).zip(out.chunks_exact_mut(depth + 1)) {
        round(values, out);
        out[depth] = 0;
    }
}

vectorised! {
    fn round(values: &[T], out: &mut [u16]) {
        out.iter_mut().zip(values).for_each(|(out, value)| *out = value.to_bf16());
    }

    /// Fills `out` by the pairs of two rows.
    pub(crate) fn interleave(first: &[T], second: &[T], out: &mut [Pair]) {
        for ((out, &first), &second) in out.iter_mut().zip(first).zip(second) {
            *out = pair(first, second);
        }
    }

    /// The same of a row that is alone, and so stands beside zeros.
    fn interleave_last(row: &[T], out: &mut [Pair]) {
        out.iter_mut().zip(row).for_each(|(out, &value)| *out = pair(value, T::ZERO));
    }

    /// Fills the panels for the product with the transpose of a matrix: its rows become columns of pairs. `first` is the first of
    /// them in a panel of `width` columns.
    fn rows_into_panel(values: &[T], depth: usize, width: usize, out: &mut [Pair]) {
        // Sixteen rows by sixteen pairs at a time: both what is read and what is written stays in the first level cache.
        let mut square = [[0; LANES]; LANES];
        for (group, rows) in values.chunks(LANES * depth).enumerate() {
            for first in (0..depth).step_by(2 * LANES) {
                let n = (depth - first).min(2 * LANES);
                for (square, row) in square.iter_mut().zip(rows.chunks_exact(depth)) {
                    let row = &row[first..first + n];
                    for (pair_of, two) in square.iter_mut().zip(row.chunks_exact(2)) {
                        *pair_of = pair(two[0], two[1]);
                    }
                    if n % 2 == 1 {
                        square[n / 2] = pair(row[n - 1], T::ZERO);
                    }
                }
                let n_rows = rows.len() / depth;
                for at in 0..n.div_ceil(2) {
                    let out = &mut out[(first / 2 + at) * width + group * LANES..][..LANES];
                    for (number, out) in out.iter_mut().enumerate() {
                        *out = if number < n_rows { square[number][at] } else { 0 };
                    }
                }
            }
        }
    }
}

/// Fills `out` by the pairs of every two rows of `n_cols` numbers, for [`Left::columns`]. `out` has room for all.
pub(crate) fn interleave_rows<T: Real>(values: &[T], n_cols: usize, out: &mut [Pair]) {
    for (two, out) in values.chunks(2 * n_cols).zip(out.chunks_exact_mut(n_cols)) {
        match two.split_at(n_cols) {
            (row, []) => interleave_last(row, out),
            (first, second) => interleave(first, second, out),
        }
    }
}

/// Fills the panels of the right side `W'` from the rows of `W`, which are `depth` numbers long.
pub(crate) fn rows_into_panels<T: Real>(values: &[T], depth: usize, out: &mut [Line]) {
    let out: &mut [Pair] = bytemuck::cast_slice_mut(out);
    let n = values.len() / depth;
    let pairs = pairs(depth);
    for columns in panels(n) {
        let out = &mut out[columns.start * pairs..columns.end * pairs];
        rows_into_panel(&values[columns.start * depth..columns.end.min(n) * depth], depth, columns.len(), out);
    }
}

/// Fills the panels of the right side `W` from its rows, which are `n_cols` numbers long.
pub(crate) fn columns_into_panels<T: Real>(values: &[T], n_cols: usize, out: &mut [Line]) {
    let out: &mut [Pair] = bytemuck::cast_slice_mut(out);
    let pairs = pairs(values.len() / n_cols);
    for (at, two) in values.chunks(2 * n_cols).enumerate() {
        for columns in panels(n_cols) {
            let (here, end) = (columns.start * pairs + at * columns.len(), columns.end.min(n_cols));
            let out = &mut out[here..here + columns.len()];
            let (out, rest) = out.split_at_mut(end - columns.start);
            match two.split_at(n_cols) {
                (row, []) => interleave_last(&row[columns.start..end], out),
                (first, second) => interleave(&first[columns.start..end], &second[columns.start..end], out),
            }
            rest.fill(0);
        }
    }
}
