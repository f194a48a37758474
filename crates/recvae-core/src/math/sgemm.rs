//! Products of matrices in f32 by AVX-512: on the Intel processors that were at hand faer's reach two thirds of what
//! its registers could do on two threads, these nine tenths.
//!
//! `out` is cut into blocks, and those into tiles of [`ROWS`] rows by [`COLUMNS`] columns, whose sums stay in registers
//! along a stretch of the depth. Before a stretch both sides are copied into panels that are read from end to end:
//!
//! - a panel of the left side has the rows of a tile, the numbers of each step of the depth beside each other;
//! - a panel of the right side has the columns of a tile, likewise; what is missing of a whole vector of columns is 0.
//!
//! A tile reads one number of each row and three vectors of columns a step. The panel of rows stays in the first level
//! cache while those of a block's columns come from the second one, where they stay for all rows of the block. All
//! panels are made once, by all threads, who then share out the blocks.
//!
//! Every number of `out` is a sum in order of the depth, with one rounding each, in stretches as [`depth_of`] cuts
//! them, which are added to `out` one after the other. So it has the same bits in whatever shape it is computed, for
//! any number of threads, and those of faer's large products of such stretches.
//!
//! Source of the blocks: K. Goto, R. van de Geijn, Anatomy of High-Performance Matrix Multiplication, ACM TOMS 34(3),
//! 2008.

use std::cell::Cell;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, MatMut, MatRef};
use rayon::prelude::*;

use super::part::{DEPTH, Part, depth_of};
use super::vectorised::{Level, level};
use crate::base::numbers::Numbers;

mod avx_512;
#[cfg(test)]
mod tests;

/// Numbers of a vector register.
const LANES: usize = 16;
/// Vectors of a tile.
const VECTORS: usize = 3;
/// Rows of a tile: with three vectors each 27 sums, which leaves registers for three vectors of columns and for one
/// number of the left side.
const ROWS: usize = 9;
/// Columns of a tile.
const COLUMNS: usize = LANES * VECTORS;
/// Rows and columns of a block: with the deepest stretch its columns take 768 KiB, which the second level cache of a
/// server has.
const BLOCK: (usize, usize) = (28 * ROWS, 8 * COLUMNS);
/// Rows and columns that are copied at a time by one thread alone, and by several: they bound what panels take.
const COPIED_ALONE: (usize, usize) = (2 * BLOCK.0, 2 * BLOCK.1);
const COPIED: (usize, usize) = (24 * BLOCK.0, 16 * BLOCK.1);

/// Whether [`product`] can be used here.
pub(super) fn is_there() -> bool {
    level() == Level::Avx512
}

/// Numbers that are copied at a time, at most, for a product of all threads that has `n` rows and columns.
pub(super) fn most_copied(n: usize) -> usize {
    (n.min(COPIED.0) + n.next_multiple_of(LANES).min(COPIED.1)) * DEPTH.min(n)
}

/// `out = alpha * lhs * rhs` or `out += alpha * lhs * rhs`, of that part of `out` alone, on this thread or on all
/// threads of the pool. Of another part nothing is read or written.
///
/// False, and nothing is done, where the processor lacks AVX-512 or neither rows nor columns of a matrix lie number by
/// number.
///
/// # Panics
/// If the shapes do not fit.
pub(crate) fn product(
    out: MatMut<'_, f32>,
    part: Part,
    accum: Accum,
    lhs: MatRef<'_, f32>,
    rhs: MatRef<'_, f32>,
    alpha: f32,
    parallel: bool,
) -> bool {
    let (n_rows, n_cols) = (out.nrows(), out.ncols());
    assert!((lhs.nrows(), rhs.ncols()) == (n_rows, n_cols) && lhs.ncols() == rhs.nrows(), "shapes of a product");
    if !is_there() || ![out.rb(), lhs, rhs].into_iter().all(is_in_lines) {
        return false;
    }
    if n_rows == 0 || n_cols == 0 {
        return true;
    }
    if lhs.ncols() == 0 {
        return false;
    }
    let mut task = Task { out, part, accum, lhs, rhs, alpha };
    if task.out.col_stride() != 1 {
        task = task.transposed();
    }
    task.run(parallel);
    true
}

/// Whether the numbers of rows or of columns lie side by side.
fn is_in_lines(matrix: MatRef<'_, f32>) -> bool {
    let strides = [matrix.row_stride(), matrix.col_stride()];
    strides.contains(&1) && strides.iter().all(|&stride| stride >= 0)
}

/// A product whose result lies row by row.
struct Task<'a> {
    out: MatMut<'a, f32>,
    part: Part,
    accum: Accum,
    lhs: MatRef<'a, f32>,
    rhs: MatRef<'a, f32>,
    alpha: f32,
}

impl Task<'_> {
    /// The same as a product of transposed matrices.
    fn transposed(self) -> Self {
        let Self { out, part, accum, lhs, rhs, alpha } = self;
        let (out, lhs, rhs) = (out.transpose_mut(), rhs.transpose(), lhs.transpose());
        Self { out, part: part.transposed(), accum, lhs, rhs, alpha }
    }

    fn run(mut self, parallel: bool) {
        let (n_rows, n_cols, depth) = (self.out.nrows(), self.out.ncols(), depth_of(self.lhs.ncols()));
        let (most_rows, most_cols) = if parallel { COPIED } else { COPIED_ALONE };
        let rows = n_rows.div_ceil(n_rows.div_ceil(most_rows)).next_multiple_of(ROWS);
        let cols = n_cols.div_ceil(n_cols.div_ceil(most_cols)).next_multiple_of(COLUMNS);
        let room = (rows.min(n_rows) + cols.min(n_cols.next_multiple_of(LANES))) * depth;
        with_room(room, parallel, |room| {
            for cols in pieces(n_cols, cols) {
                for rows in pieces(n_rows, rows) {
                    if self.part.has(&rows, &cols) {
                        self.piece(rows, cols.clone(), depth, room, parallel);
                    }
                }
            }
        });
    }

    /// Some rows and columns of the result, whose panels have room.
    fn piece(&mut self, rows: Range<usize>, cols: Range<usize>, depth: usize, room: &mut [f32], parallel: bool) {
        let (lhs, rhs) =
            (self.lhs.subrows(rows.start, rows.len()), self.rhs.subcols(cols.start, cols.len()).transpose());
        let (row_panels, column_panels) = (panels(rows.len(), ROWS, 1), panels(cols.len(), VECTORS, LANES));
        let mut accum = self.accum;
        for stretch in pieces(lhs.ncols(), depth) {
            let depth = stretch.len();
            let (right, left) = room.split_at_mut(cols.len().next_multiple_of(LANES) * depth);
            let left = &mut left[..rows.len() * depth];
            copy(lhs.subcols(stretch.start, depth), &row_panels, 1, left, parallel);
            copy(rhs.subcols(stretch.start, depth), &column_panels, LANES, right, parallel);
            let out = self.out.rb_mut().submatrix_mut(rows.start, cols.start, rows.len(), cols.len());
            let blocks = blocks(out, (&row_panels, &column_panels), self.part, (rows.start, cols.start));
            let sides = Sides { left, right, depth };
            if parallel {
                blocks.into_par_iter().with_max_len(1).for_each(|block| sides.multiply(block, accum, self.alpha));
            } else {
                blocks.into_iter().for_each(|block| sides.multiply(block, accum, self.alpha));
            }
            accum = Accum::Add;
        }
    }
}

/// All panels of both sides along a stretch of the depth.
struct Sides<'a> {
    left: &'a [f32],
    right: &'a [f32],
    depth: usize,
}

impl Sides<'_> {
    fn multiply(&self, block: Block<'_>, accum: Accum, alpha: f32) {
        let left = &self.left[block.rows[0].start * self.depth..];
        let right = &self.right[block.cols[0].start * self.depth..];
        avx_512::multiply(block, left, right, self.depth, accum, alpha);
    }
}

/// `out = x W'` for one row `x` and some rows of `W`, with the bits of [`product`]; false, and nothing is done, where
/// that would do nothing.
///
/// # Panics
/// If there is no such row, or `out` has no place for each of them.
pub(crate) fn product_of_some(x: &[f32], weight: &[f32], rows: &[u32], out: &mut [f32]) -> bool {
    if !is_there() || x.is_empty() {
        return false;
    }
    assert_eq!(rows.len(), out.len(), "a place for each row");
    let depth = depth_of(x.len());
    with_room(COLUMNS * depth, false, |room| {
        for (some, out) in rows.chunks(COLUMNS).zip(out.chunks_mut(COLUMNS)) {
            let columns = 0..some.len();
            let mut accum = Accum::Replace;
            for stretch in pieces(x.len(), depth) {
                avx_512::copy_some(weight, x.len(), some, stretch.clone(), room);
                let block = Block {
                    out: MatMut::from_row_major_slice_mut(out, 1, some.len()),
                    rows: std::slice::from_ref(&(0..1)),
                    cols: std::slice::from_ref(&columns),
                    part: Part::Whole,
                    origin: (0, 0),
                };
                avx_512::multiply(block, &x[stretch.clone()], room, stretch.len(), accum, 1.0);
                accum = Accum::Add;
            }
        }
    });
    true
}

/// The right side of products that have it in common, copied once for all of them.
pub(crate) struct Panels {
    /// Stretch by stretch of the depth.
    numbers: Numbers<f32>,
    /// Where they begin, on a line of the cache.
    first: usize,
    depth: usize,
    columns: Vec<Range<usize>>,
}

impl Panels {
    /// `None` where [`product`] would do nothing.
    pub(crate) fn of(rhs: MatRef<'_, f32>) -> Option<Self> {
        if !is_there() || !is_in_lines(rhs) || rhs.nrows() == 0 || rhs.ncols() == 0 {
            return None;
        }
        let columns = panels(rhs.ncols(), VECTORS, LANES);
        let width = rhs.ncols().next_multiple_of(LANES);
        let mut numbers = Numbers::zeros(width * rhs.nrows() + LANES);
        let first = place_on_line(&numbers);
        for stretch in pieces(rhs.nrows(), depth_of(rhs.nrows())) {
            let room = &mut numbers[first + width * stretch.start..][..width * stretch.len()];
            copy(rhs.subrows(stretch.start, stretch.len()).transpose(), &columns, LANES, room, false);
        }
        Some(Self { numbers, first, depth: rhs.nrows(), columns })
    }

    /// `out = lhs * rhs` on this thread, with the bits of [`product`].
    ///
    /// # Panics
    /// If the shapes do not fit, or the numbers of a row do not lie side by side.
    pub(crate) fn product(&self, mut out: MatMut<'_, f32>, lhs: MatRef<'_, f32>) {
        let n_cols = all_of(&self.columns).len();
        assert!((out.nrows(), out.ncols(), lhs.ncols()) == (lhs.nrows(), n_cols, self.depth), "shapes of a product");
        assert!([out.rb(), lhs].into_iter().all(|matrix| matrix.col_stride() == 1 && matrix.row_stride() >= 0));
        let (depth, width) = (depth_of(self.depth), n_cols.next_multiple_of(LANES));
        with_room(lhs.nrows().min(COPIED_ALONE.0) * depth, false, |room| {
            for rows in pieces(lhs.nrows(), COPIED_ALONE.0) {
                let row_panels = panels(rows.len(), ROWS, 1);
                let mut accum = Accum::Replace;
                for stretch in pieces(self.depth, depth) {
                    let depth = stretch.len();
                    let left = &mut room[..rows.len() * depth];
                    copy(lhs.submatrix(rows.start, stretch.start, rows.len(), depth), &row_panels, 1, left, false);
                    let sides = Sides { left, right: &self.numbers[self.first + width * stretch.start..], depth };
                    let out = out.rb_mut().subrows_mut(rows.start, rows.len());
                    for block in blocks(out, (&row_panels, &self.columns), Part::Whole, (rows.start, 0)) {
                        sides.multiply(block, accum, 1.0);
                    }
                    accum = Accum::Add;
                }
            }
        });
    }
}

/// Some rows and columns of a result whose panels are there.
struct Block<'a> {
    out: MatMut<'a, f32>,
    /// Its panels, counted from where the first one of all begins.
    rows: &'a [Range<usize>],
    cols: &'a [Range<usize>],
    /// The part of the whole result that is wanted, and where in it the panels begin.
    part: Part,
    origin: (usize, usize),
}

/// From the first of some panels to the last.
fn all_of(panels: &[Range<usize>]) -> Range<usize> {
    panels[0].start..panels[panels.len() - 1].end
}

/// `out` in blocks of some panels of rows and of columns, the rows of the same columns one after the other; those alone
/// that `part` has something of.
fn blocks<'a>(
    out: MatMut<'a, f32>,
    panels: (&'a [Range<usize>], &'a [Range<usize>]),
    part: Part,
    origin: (usize, usize),
) -> Vec<Block<'a>> {
    let mut blocks = vec![];
    let mut rest = out;
    for cols in panels.1.chunks(BLOCK.1 / COLUMNS) {
        let (mut column, others) = rest.split_at_col_mut(all_of(cols).len());
        rest = others;
        for rows in panels.0.chunks(BLOCK.0 / ROWS) {
            let (out, below) = column.split_at_row_mut(all_of(rows).len());
            column = below;
            if part.has(&shifted(&all_of(rows), origin.0), &shifted(&all_of(cols), origin.1)) {
                blocks.push(Block { out, rows, cols, part, origin });
            }
        }
    }
    blocks
}

fn shifted(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}

/// `n` in pieces of `size`, the last of which may be smaller.
fn pieces(n: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n).step_by(size).map(move |first| first..n.min(first + size))
}

/// The rows or columns of each panel: of units of which a panel has `most`, as few panels as can be, as equal as can
/// be.
fn panels(n: usize, most: usize, unit: usize) -> Vec<Range<usize>> {
    let units = n.div_ceil(unit);
    let n_panels = units.div_ceil(most);
    let start = |panel| n.min(panel * units / n_panels * unit);
    (0..n_panels).map(|panel| start(panel)..start(panel + 1)).collect()
}

/// Fills `room` by panels of the rows of a matrix, each as wide as the next multiple of `unit`.
fn copy(matrix: MatRef<'_, f32>, panels: &[Range<usize>], unit: usize, room: &mut [f32], parallel: bool) {
    let depth = matrix.ncols();
    let mut rest = room;
    let mut all = Vec::with_capacity(panels.len());
    for rows in panels {
        let (panel, others) = rest.split_at_mut(rows.len().next_multiple_of(unit) * depth);
        rest = others;
        all.push((matrix.subrows(rows.start, rows.len()), panel));
    }
    if parallel {
        all.into_par_iter().with_min_len(8).for_each(|(rows, panel)| avx_512::copy(rows, panel));
    } else {
        all.into_iter().for_each(|(rows, panel)| avx_512::copy(rows, panel));
    }
}

/// The first place at which a line of the cache begins.
fn place_on_line(numbers: &[f32]) -> usize {
    numbers.as_ptr().align_offset(64).min(LANES)
}

/// Runs with room for so many numbers, whatever they are, which begins where a line of the cache does. The room is
/// kept: each thread has one of its own for products of one thread, and those of several share one, of which no more
/// than one is kept either.
fn with_room(numbers: usize, shared: bool, run: impl FnOnce(&mut [f32])) {
    thread_local! {
        static OWN: Cell<Numbers<f32>> = Cell::default();
    }
    static SHARED: Mutex<Option<Numbers<f32>>> = Mutex::new(None);
    let spare = || SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let mut room = if shared { spare().take().unwrap_or_default() } else { OWN.take() };
    if room.len() < numbers + LANES {
        drop(room);
        room = Numbers::zeros(numbers + LANES);
    }
    let first = place_on_line(&room);
    run(&mut room[first..][..numbers]);
    if shared {
        *spare() = Some(room);
    } else {
        OWN.set(room);
    }
}
