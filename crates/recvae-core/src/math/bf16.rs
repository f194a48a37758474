//! Products of matrices whose numbers are rounded to bf16, with sums in f32: half the bytes, and on some processors
//! twice the multiplications a cycle.
//!
//! A bf16 is the upper half of an f32: the same range, 8 bits of precision. The product of two is exact in f32. The
//! instruction `vdpbf16ps` takes two products at a time and adds them to a sum of 32 bits, so numbers come in pairs
//! ([`Pair`]) that follow each other along the depth, and
//!
//! - the left side of a product is read pair by pair, one row at a time: rows of pairs, in the order that the level
//!   reads fastest ([`Rows`]), or the columns of a matrix whose rows were put together in twos ([`interleave_rows`]);
//! - the right side has its columns in panels of 16 or 32, a pair of each column next to those of the others, pair
//!   after pair ([`rows_into_panels`], [`columns_into_panels`]), so that a vector register holds pairs of 16 columns.
//!
//! What is missing of an odd depth, of a whole vector of columns or of a whole tile along the depth is 0. Sums are in
//! order of the depth, two products at a time, in stretches of [`DEPTH`] pairs; they do not depend on the threads.
//! [`Level::Plain`] adds the first product of a pair and then the second, each with one rounding. The processor's
//! instruction has an order and a rounding of its own within a pair and takes subnormal numbers for 0: the two differ
//! by no more than sums of so many numbers do when their order changes.
//!
//! AMX's `tdpbf16ps` multiplies whole tiles, 16 rows by 16 pairs by 16 columns, and is the fastest where there is one.

use std::ops::Range;

use super::real::Real;
use crate::base::processor::{has_amx, has_avx512_bf16};
pub(crate) use rounding::{exponentials, exponentials_in_place, interleave, largest, rows_into_tiles};

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx_512;
mod rounding;
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
const VECTORS: usize = 2;
/// Pairs of a stretch of the depth: what a panel has of them stays in the second level cache.
const DEPTH: usize = 512;

/// How products are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Level {
    /// By `tdpbf16ps` on tiles.
    Amx,
    /// By `vdpbf16ps` on 16 columns at a time.
    Avx512,
    /// Number by number: slower than f32, for tests and as what the others are compared with.
    #[default]
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
    levels().next().unwrap_or_default()
}

/// Pairs that so many numbers make.
pub(crate) fn pairs(numbers: usize) -> usize {
    numbers.div_ceil(2)
}

/// How the rows of the left side of a product lie: in whole lines, with zeros behind the end of each row.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    /// Lines of a row.
    along: usize,
    order: Order,
}

/// What follows what.
#[derive(Clone, Copy)]
enum Order {
    /// From a row to the next one, and from a pair of a row to its next one, in pairs.
    Steps { row: usize, pair: usize },
    /// Line after line of 16 rows, so that their first lines are a tile of AMX, and their second lines the next one.
    Tiles {
        /// Tiles along a row.
        along: usize,
    },
}

impl Rows {
    /// As a level reads them, of so many numbers.
    pub(crate) fn of(level: Level, depth: usize) -> Self {
        let along = pairs(depth).div_ceil(LANES);
        let order = match level {
            Level::Amx => Order::Tiles { along },
            Level::Avx512 | Level::Plain => Order::Steps { row: along * LANES, pair: 1 },
        };
        Self { along, order }
    }

    /// Lines that so many rows take.
    pub(crate) fn lines(self, n_rows: usize) -> usize {
        let n_rows = if matches!(self.order, Order::Tiles { .. }) { n_rows.next_multiple_of(LANES) } else { n_rows };
        n_rows * self.along
    }

    /// Where a row's first line is, and how far from each other its lines are.
    #[inline]
    pub(crate) fn place(self, row: usize) -> (usize, usize) {
        match self.order {
            Order::Tiles { along } => (row / LANES * LANES * along + row % LANES, LANES),
            Order::Steps { .. } => (row * self.along, 1),
        }
    }

    /// So many rows that are written like that.
    pub(crate) fn left(self, lines: &[Line], n_rows: usize) -> Left<'_> {
        assert!(lines.len() >= self.lines(n_rows), "{n_rows} rows of {} lines", self.along);
        Left { pairs: bytemuck::cast_slice(lines), n_rows, order: self.order }
    }

    /// Writes rows of `depth` numbers like that.
    pub(crate) fn round<T: Real>(self, values: &[T], depth: usize, out: &mut [Line]) {
        self.round_some(values, depth, depth, out);
    }

    /// The same of rows that begin `step` numbers after each other.
    pub(crate) fn round_some<T: Real>(self, values: &[T], step: usize, depth: usize, out: &mut [Line]) {
        for (row, values) in values.chunks(step).enumerate() {
            let (first, step) = self.place(row);
            rounding::round_row(&values[..depth], step, &mut out[first..]);
        }
    }
}

/// The left side of a product: rows of pairs.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pairs: &'a [Pair],
    n_rows: usize,
    order: Order,
}

impl<'a> Left<'a> {
    /// Some of the rows, the first of which begins a tile.
    pub(crate) fn some(self, rows: Range<usize>) -> Self {
        assert!(rows.end <= self.n_rows && rows.start.is_multiple_of(LANES), "{rows:?} of {}", self.n_rows);
        let before = match self.order {
            Order::Tiles { along } => rows.start * along * LANES,
            Order::Steps { row, .. } => rows.start * row,
        };
        Self { pairs: &self.pairs[before..], n_rows: rows.len(), ..self }
    }

    /// What [`rows_into_tiles`] wrote of rows of `n` numbers, 32 rows to a tile: the numbers become rows, and the rows
    /// the depth.
    pub(crate) fn tiles(all: &'a [Line], n: usize, depth: usize) -> Self {
        let along = pairs(depth).div_ceil(LANES);
        assert!(all.len() >= n.div_ceil(LANES) * along * LANES, "{n} rows of {depth}");
        Self { pairs: bytemuck::cast_slice(all), n_rows: n, order: Order::Tiles { along } }
    }

    /// Some columns of a matrix of `n_cols`, whose rows [`interleave_rows`] put together in twos.
    pub(crate) fn columns(all: &'a [Pair], n_cols: usize, columns: Range<usize>) -> Self {
        let order = Order::Steps { row: 1, pair: n_cols };
        Self { pairs: &all[columns.start..], n_rows: columns.len(), order }
    }

    /// Where a pair is.
    fn place(self, row: usize, pair: usize) -> usize {
        match self.order {
            Order::Tiles { along } => {
                ((row / LANES * along + pair / LANES) * LANES + row % LANES) * LANES + pair % LANES
            }
            Order::Steps { row: row_step, pair: pair_step } => row * row_step + pair * pair_step,
        }
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

    /// Pairs of a column with the zeros behind them.
    fn padded(self) -> usize {
        self.depth.next_multiple_of(LANES)
    }

    /// Such a part of the lines as some are of all.
    pub(crate) fn share(self, some: Range<usize>, all: usize) -> &'a [Line] {
        let n = self.lines.len();
        &self.lines[n * some.start / all..n * some.end / all]
    }
}

/// Lines of the panels of a matrix with so many columns, for a product of that depth.
pub(crate) fn panels_len(depth: usize, n_cols: usize) -> usize {
    pairs(depth).next_multiple_of(LANES) * n_cols.div_ceil(LANES)
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

/// `out = start + left * right`, row-major with as many columns as `right` has, on this thread, at a level that the
/// processor has.
pub(crate) fn multiply_by<T: Real>(level: Level, left: Left<'_>, right: Right<'_>, start: Start<'_, T>, out: &mut [T]) {
    assert_eq!(out.len(), left.n_rows * right.n_cols, "{} rows of {}", left.n_rows, right.n_cols);
    multiply_rows_by(level, left, right, start, out, right.n_cols, &[]);
}

/// The same to rows that begin `step` numbers after each other. What lies between the columns and the next row may
/// become anything. What is read soon after comes `ahead` into the second level cache, if the level can ask for that.
pub(crate) fn multiply_rows_by<T: Real>(
    level: Level,
    left: Left<'_>,
    right: Right<'_>,
    start: Start<'_, T>,
    out: &mut [T],
    step: usize,
    ahead: &[Line],
) {
    // No other level asks.
    #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
    let _ = ahead;
    let Right { depth, n_cols, .. } = right;
    assert!(step >= n_cols && out.len() == left.n_rows * step, "{} rows of {n_cols}", left.n_rows);
    if out.is_empty() || n_cols == 0 {
        return;
    }
    assert!(depth == 0 || left.place(left.n_rows - 1, depth - 1) < left.pairs.len(), "{} rows of {depth}", left.n_rows);
    if let Start::Row(row) = start {
        assert_eq!(row.len(), n_cols);
    }
    let mut start = start;
    for first in (0..depth.max(1)).step_by(DEPTH) {
        let stretch = first..depth.min(first + DEPTH);
        match (level, left.order, as_f32(start, &mut *out)) {
            #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
            (Level::Amx, _, Some((start, out))) => amx::multiply(left, right, stretch, start, out, step, ahead),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512, Order::Steps { row, pair }, Some((start, out))) => {
                avx_512::multiply(left, [row, pair], right, stretch, start, out, step);
            }
            _ => plain(left, right, stretch, start, out, step),
        }
        start = Start::Out;
    }
}

/// What the levels of a processor rely on: all that they read and write over a stretch of the depth is there.
///
/// # Panics
/// If a slice is too short for what its size says.
#[cfg(target_arch = "x86_64")]
fn check(left: Left<'_>, right: Right<'_>, stretch: &Range<usize>, start: Start<'_, f32>, out: &[f32], step: usize) {
    let Right { lines, depth, n_cols } = right;
    assert!(stretch.end <= depth && lines.len() == right.padded() * n_cols.div_ceil(LANES));
    assert!(left.n_rows > 0 && n_cols > 0 && step >= n_cols && out.len() == left.n_rows * step);
    assert!(stretch.is_empty() || left.place(left.n_rows - 1, stretch.end - 1) < left.pairs.len());
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
fn plain<T: Real>(
    left: Left<'_>,
    right: Right<'_>,
    stretch: Range<usize>,
    start: Start<'_, T>,
    out: &mut [T],
    step: usize,
) {
    let n_cols = right.n_cols;
    for (row, out) in out.chunks_exact_mut(step).enumerate() {
        let out = &mut out[..n_cols];
        match start {
            Start::Zero => out.fill(T::ZERO),
            Start::Row(row) => out.copy_from_slice(row),
            Start::Out => {}
        }
        for columns in panels(n_cols) {
            let panel = &right.pairs()[columns.start * right.padded()..columns.end * right.padded()];
            let out = &mut out[columns.start..columns.end.min(n_cols)];
            for pair in stretch.clone() {
                let [a, b] = numbers::<T>(left.pairs[left.place(row, pair)]);
                for (sum, &pair) in out.iter_mut().zip(&panel[pair * columns.len()..]) {
                    let [c, d] = numbers::<T>(pair);
                    *sum = *sum + a * c + b * d;
                }
            }
        }
    }
}

/// Fills `out` by the pairs of every two rows of `n_cols` numbers, for [`Left::columns`]. `out` has room for all.
pub(crate) fn interleave_rows<T: Real>(values: &[T], n_cols: usize, out: &mut [Pair]) {
    for (two, out) in values.chunks(2 * n_cols).zip(out.chunks_exact_mut(n_cols)) {
        let (first, second) = two.split_at(n_cols);
        rounding::interleave(first, second, out);
    }
}

/// Fills the panels of the right side `W'` from the rows of `W`, which are `depth` numbers long.
pub(crate) fn rows_into_panels<T: Real>(values: &[T], depth: usize, out: &mut [Line]) {
    let out: &mut [Pair] = bytemuck::cast_slice_mut(out);
    let n = values.len() / depth;
    let (pairs, padded) = (pairs(depth), pairs(depth).next_multiple_of(LANES));
    for columns in panels(n) {
        let (out, behind) = out[columns.start * padded..columns.end * padded].split_at_mut(pairs * columns.len());
        behind.fill(0);
        rounding::rows_into_panel(
            &values[columns.start * depth..columns.end.min(n) * depth],
            depth,
            columns.len(),
            out,
        );
    }
}

/// Fills the panels of the right side `W` from its rows, which are `n_cols` numbers long.
pub(crate) fn columns_into_panels<T: Real>(values: &[T], n_cols: usize, out: &mut [Line]) {
    let n_rows = values.len() / n_cols;
    let mut panels = Panels::new(n_rows, n_cols, out);
    for (at, two) in values.chunks(2 * n_cols).enumerate() {
        panels.put(at, two);
    }
}

/// The panels of a right side that is written two rows at a time.
pub(crate) struct Panels<'a> {
    out: &'a mut [Pair],
    n_cols: usize,
    /// Pairs of a column with the zeros behind them.
    padded: usize,
}

impl<'a> Panels<'a> {
    /// Of so many rows, none of which is there yet.
    pub(crate) fn new(n_rows: usize, n_cols: usize, out: &'a mut [Line]) -> Self {
        assert_eq!(out.len(), panels_len(n_rows, n_cols), "panels of {n_cols} columns of {n_rows}");
        let out: &mut [Pair] = bytemuck::cast_slice_mut(out);
        let (pairs, padded) = (pairs(n_rows), pairs(n_rows).next_multiple_of(LANES));
        for columns in panels(n_cols) {
            out[columns.start * padded..columns.end * padded][pairs * columns.len()..].fill(0);
        }
        Self { out, n_cols, padded }
    }

    /// Pair number `at` of every column: two rows one after the other, or the last one alone.
    pub(crate) fn put<T: Real>(&mut self, at: usize, two: &[T]) {
        let (first, second) = two.split_at(self.n_cols);
        for columns in panels(self.n_cols) {
            let (here, end) = (columns.start * self.padded + at * columns.len(), columns.end.min(self.n_cols));
            let out = &mut self.out[here..here + columns.len()];
            let second = if second.is_empty() { second } else { &second[columns.start..end] };
            rounding::interleave(&first[columns.start..end], second, out);
        }
    }
}
