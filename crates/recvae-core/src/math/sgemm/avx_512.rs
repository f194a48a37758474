//! The tiles of [`product`](super::product), and the copies that they read.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m512, __mmask16, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_storeu_ps,
    _mm512_maskz_loadu_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_shuffle_ps,
    _mm512_unpackhi_ps, _mm512_unpacklo_ps,
};
use std::ops::Range;

use faer::prelude::ReborrowMut;
use faer::{Accum, MatMut, MatRef};

use super::super::part::Part;
use super::{Block, COLUMNS, LANES, ROWS, all_of, is_there, pieces, shifted};

/// The first `n` lanes.
fn first_lanes(n: usize) -> __mmask16 {
    if n >= LANES { __mmask16::MAX } else { (1 << n) - 1 }
}

/// What a tile reads and where it puts its sums.
#[derive(Clone, Copy)]
struct Tile {
    left: *const f32,
    right: *const f32,
    depth: usize,
    alpha: f32,
    /// Whether the sums are added to what is there.
    add: bool,
    out: *mut f32,
    out_step: usize,
    /// The columns of the last vector that are there.
    last: __mmask16,
}

impl Tile {
    /// # Safety
    /// At `left` there are `R` numbers and at `right` `V` vectors for each step of `depth`; `out` has `R` rows,
    /// `out_step` numbers apart, of `V` vectors of columns, of the last vector those that `last` has, and is not read
    /// or written by others.
    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn multiply<const R: usize, const V: usize>(self) {
        /// Steps of the depth between the request for a line and its use.
        const AHEAD: usize = 12;
        let Self { left, right, depth, alpha, add, out, out_step, last } = self;
        let place = |row: usize, vector: usize| out.wrapping_add(row * out_step + vector * LANES);
        for row in 0..R {
            for vector in 0..V {
                _mm_prefetch::<_MM_HINT_T0>(place(row, vector).cast());
            }
        }
        let mut sums = [[_mm512_setzero_ps(); V]; R];
        for at in 0..depth {
            let ahead = right.wrapping_add((at + AHEAD) * V * LANES);
            let mut columns = [_mm512_setzero_ps(); V];
            for (vector, columns) in columns.iter_mut().enumerate() {
                _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(vector * LANES).cast());
                // SAFETY: the caller's word: there are `V` vectors for this step.
                *columns = unsafe { _mm512_loadu_ps(right.add((at * V + vector) * LANES)) };
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the caller's word: there are `R` numbers for this step.
                let number = _mm512_set1_ps(unsafe { *left.add(at * R + row) });
                for (sum, &columns) in sums.iter_mut().zip(&columns) {
                    *sum = _mm512_fmadd_ps(number, columns, *sum);
                }
            }
        }
        let alpha = _mm512_set1_ps(alpha);
        for (row, sums) in sums.iter().enumerate() {
            for (vector, &sum) in sums.iter().enumerate() {
                let mask = if vector + 1 == V { last } else { __mmask16::MAX };
                let place = place(row, vector);
                let sum = if add {
                    // SAFETY: the caller's word; what the mask leaves out is not read.
                    _mm512_fmadd_ps(alpha, sum, unsafe { _mm512_maskz_loadu_ps(mask, place) })
                } else {
                    _mm512_mul_ps(alpha, sum)
                };
                // SAFETY: as above; what the mask leaves out is not written.
                unsafe { _mm512_mask_storeu_ps(place, mask, sum) };
            }
        }
    }

    /// # Safety
    /// As [`Tile::multiply`], for so many rows and vectors.
    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn multiply_any(self, rows: usize, vectors: usize) {
        macro_rules! by_size {
            ($($rows:literal)+) => {
                match (rows, vectors) {
                    $(
                        // SAFETY: the caller's word.
                        ($rows, 1) => unsafe { self.multiply::<$rows, 1>() },
                        // SAFETY: the caller's word.
                        ($rows, 2) => unsafe { self.multiply::<$rows, 2>() },
                        // SAFETY: the caller's word.
                        ($rows, 3) => unsafe { self.multiply::<$rows, 3>() },
                    )+
                    _ => unreachable!("{rows} rows by {vectors} vectors"),
                }
            };
        }
        by_size!(1 2 3 4 5 6 7 8 9)
    }
}

/// The products of a block's panels. `left` and `right` begin with the block's first panels, whose steps are `depth`.
///
/// # Panics
/// If a slice is too short for what the block says, its columns do not lie number by number, or the processor lacks the
/// instructions.
pub(super) fn multiply(block: Block<'_>, left: &[f32], right: &[f32], depth: usize, accum: Accum, alpha: f32) {
    let Block { out, rows, cols, .. } = &block;
    let (all_rows, all_cols) = (all_of(rows), all_of(cols));
    assert!(is_there());
    assert!((out.nrows(), out.ncols()) == (all_rows.len(), all_cols.len()));
    assert!(out.col_stride() == 1 && out.row_stride() >= 0);
    let within = |panels: &[Range<usize>], all: &Range<usize>, most: usize| {
        panels.iter().all(|panel| (1..=most).contains(&panel.len()) && all.start <= panel.start && panel.end <= all.end)
    };
    assert!(within(rows, &all_rows, ROWS) && within(cols, &all_cols, COLUMNS));
    assert!(left.len() >= all_rows.len() * depth);
    assert!(
        cols.iter()
            .all(|cols| { right.len() >= (cols.start - all_cols.start + cols.len().next_multiple_of(LANES)) * depth })
    );
    // SAFETY: the processor has the instructions, and the slices and the block are as large as the function wants.
    unsafe { tiles(block, left, right, depth, accum, alpha) }
}

/// # Safety
/// The panels of the block have 1 to [`ROWS`] rows and 1 to [`COLUMNS`] columns and are within its `out`, whose columns
/// lie number by number. `left` has the panels of these rows and `right` those of the columns, with all of their last
/// vector.
#[target_feature(enable = "avx512f")]
unsafe fn tiles(block: Block<'_>, left: &[f32], right: &[f32], depth: usize, accum: Accum, alpha: f32) {
    let Block { mut out, rows: row_panels, cols: column_panels, part, origin } = block;
    let (first_row, first_column) = (row_panels[0].start, column_panels[0].start);
    for rows in row_panels {
        let panel = &left[(rows.start - first_row) * depth..];
        // The next panel of rows is asked for little by little.
        let (mut next, each) = (rows.len() * depth, (rows.len() * depth).div_ceil(column_panels.len()));
        for columns in column_panels {
            for line in panel.get(next..panel.len().min(next + each)).unwrap_or_default().chunks(LANES) {
                _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast());
            }
            next += each;
            let (wanted_rows, wanted_cols) = (shifted(rows, origin.0), shifted(columns, origin.1));
            if !part.has(&wanted_rows, &wanted_cols) {
                continue;
            }
            let (at_row, at_column) = (rows.start - first_row, columns.start - first_column);
            let mut place = out.rb_mut().submatrix_mut(at_row, at_column, rows.len(), columns.len());
            let vectors = columns.len().div_ceil(LANES);
            let tile = Tile {
                left: panel.as_ptr(),
                right: right[at_column * depth..].as_ptr(),
                depth,
                alpha,
                add: matches!(accum, Accum::Add),
                out: place.as_ptr_mut(),
                out_step: place.row_stride().unsigned_abs(),
                last: first_lanes(columns.len() - (vectors - 1) * LANES),
            };
            if part.has_all(&wanted_rows, &wanted_cols) {
                // SAFETY: the caller's word: `panel` begins with the numbers of these rows, `right` has those of these
                // columns from there on, and `place` is as large as the tile, whose last vector has the columns that
                // `last` leaves.
                unsafe { tile.multiply_any(rows.len(), vectors) };
                continue;
            }
            let mut apart = [0.0; ROWS * COLUMNS];
            let tile = Tile { add: false, out: apart.as_mut_ptr(), out_step: COLUMNS, ..tile };
            // SAFETY: as above, for the result in a place of its own, which has room for the largest tile.
            unsafe { tile.multiply_any(rows.len(), vectors) };
            let apart = MatRef::from_row_major_slice(&apart, ROWS, COLUMNS);
            put_part(place.rb_mut(), apart, part, (wanted_rows.start, wanted_cols.start), accum);
        }
    }
}

/// Puts what is wanted of a tile, which begins at `origin`, into its place.
fn put_part(mut out: MatMut<'_, f32>, tile: MatRef<'_, f32>, part: Part, origin: (usize, usize), accum: Accum) {
    let n_cols = out.ncols();
    for row in 0..out.nrows() {
        // Columns of the tile to the left of the diagonal, which the number after them is on.
        let before = (origin.0 + row).saturating_sub(origin.1).min(n_cols);
        let is_there = origin.0 + row >= origin.1 && before < n_cols;
        let wanted = match part {
            Part::Whole => 0..n_cols,
            Part::Lower => 0..before + usize::from(is_there),
            Part::Upper => before..n_cols,
        };
        for column in wanted {
            let sum = tile[(row, column)];
            out[(row, column)] = if matches!(accum, Accum::Add) { out[(row, column)] + sum } else { sum };
        }
    }
}

/// Fills a panel by the rows of a matrix: the numbers of a column side by side, and 0 where a row is missing.
///
/// # Panics
/// If neither rows nor columns lie number by number, the panel is too small or the processor lacks the instructions.
pub(super) fn copy(rows: MatRef<'_, f32>, panel: &mut [f32]) {
    let (n_rows, depth) = (rows.nrows(), rows.ncols());
    assert!(is_there());
    assert!(rows.row_stride() >= 0 && rows.col_stride() >= 0);
    assert!(depth > 0 && panel.len().is_multiple_of(depth) && panel.len() / depth >= n_rows);
    let width = panel.len() / depth;
    for lanes in pieces(width, LANES) {
        let here = lanes.start.min(n_rows)..lanes.end.min(n_rows);
        let some = rows.subrows(here.start, here.len());
        let (from, into) = (some.as_ptr(), &mut panel[lanes.start..]);
        let (step, out) = (some.col_stride().unsigned_abs(), into.as_mut_ptr());
        let last = (depth - 1) * width + lanes.len();
        assert!(into.len() >= last);
        if rows.row_stride() == 1 {
            // SAFETY: the processor has the instructions. Of each column the rows that are here are read, which lie
            // number by number from a step after those of the column before; what is written ends where `last` says.
            unsafe { copy_columns(from, step, here.len(), depth, out, width, lanes.len()) };
        } else {
            assert!(step == 1);
            let row_step = some.row_stride().unsigned_abs();
            let rows = std::array::from_fn(|row| from.wrapping_add(row * row_step));
            // SAFETY: the same for rows, the numbers of each of which lie side by side.
            unsafe { copy_rows(rows, here.len(), depth, out, width, lanes.len()) };
        }
    }
}

/// Fills a panel of whole vectors by some rows of a matrix whose rows have `d` numbers, as [`copy`] does: the numbers of
/// a stretch of the depth.
///
/// # Panics
/// If there is no such row or stretch, the panel is too small or the processor lacks the instructions.
pub(super) fn copy_some(matrix: &[f32], d: usize, rows: &[u32], stretch: Range<usize>, panel: &mut [f32]) {
    let width = rows.len().next_multiple_of(LANES);
    assert!(is_there());
    assert!(stretch.end <= d && !stretch.is_empty() && panel.len() >= width * stretch.len());
    for (number, some) in rows.chunks(LANES).enumerate() {
        let mut from = [std::ptr::null(); LANES];
        for (from, &row) in from.iter_mut().zip(some) {
            *from = matrix[row as usize * d..][..d][stretch.clone()].as_ptr();
        }
        let out = panel[number * LANES..].as_mut_ptr();
        // SAFETY: the processor has the instructions. Of each row that is here the stretch is read; the panel has whole
        // vectors, `width` numbers apart, for every step of it.
        unsafe { copy_rows(from, some.len(), stretch.len(), out, width, LANES) };
    }
}

/// # Safety
/// `from` has `depth` columns of `n` numbers, `step` apart; `out` has room for `depth` times `lanes` numbers, `width`
/// apart.
#[target_feature(enable = "avx512f")]
unsafe fn copy_columns(
    from: *const f32,
    step: usize,
    n: usize,
    depth: usize,
    out: *mut f32,
    width: usize,
    lanes: usize,
) {
    /// Steps between the request for a column, which is far from the one before, and its use.
    const AHEAD: usize = 16;
    let (there, written) = (first_lanes(n), first_lanes(lanes));
    for at in 0..depth {
        _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add((at + AHEAD) * step).cast());
        // SAFETY: the caller's word; the masks leave out what is not there.
        unsafe {
            let numbers = _mm512_maskz_loadu_ps(there, from.wrapping_add(at * step));
            _mm512_mask_storeu_ps(out.add(at * width), written, numbers);
        }
    }
}

/// # Safety
/// At the first `n` of `from` there are rows of `depth` numbers; `out` has room for `depth` times `lanes` numbers,
/// `width` apart.
#[target_feature(enable = "avx512f")]
unsafe fn copy_rows(from: [*const f32; LANES], n: usize, depth: usize, out: *mut f32, width: usize, lanes: usize) {
    let written = first_lanes(lanes);
    for first in (0..depth).step_by(LANES) {
        let here = LANES.min(depth - first);
        let there = first_lanes(here);
        let mut rows = [_mm512_setzero_ps(); LANES];
        for (row, numbers) in rows.iter_mut().enumerate() {
            if row < n {
                // SAFETY: the caller's word; the mask leaves out what is beyond the row.
                *numbers = unsafe { _mm512_maskz_loadu_ps(there, from[row].add(first)) };
            }
        }
        for (at, numbers) in transpose(rows).into_iter().enumerate() {
            if at < here {
                // SAFETY: the caller's word; the mask leaves out what is beyond the lanes.
                unsafe { _mm512_mask_storeu_ps(out.add((first + at) * width), written, numbers) };
            }
        }
    }
}

/// Sixteen rows as sixteen columns.
#[target_feature(enable = "avx512f")]
#[inline]
fn transpose(rows: [__m512; LANES]) -> [__m512; LANES] {
    // Within lanes of four: numbers of two rows, then of four.
    let mut twos = rows;
    for (two, rows) in twos.chunks_exact_mut(2).zip(rows.chunks_exact(2)) {
        two[0] = _mm512_unpacklo_ps(rows[0], rows[1]);
        two[1] = _mm512_unpackhi_ps(rows[0], rows[1]);
    }
    let mut fours = twos;
    for (four, two) in fours.chunks_exact_mut(4).zip(twos.chunks_exact(4)) {
        four[0] = _mm512_shuffle_ps::<0x44>(two[0], two[2]);
        four[1] = _mm512_shuffle_ps::<0xee>(two[0], two[2]);
        four[2] = _mm512_shuffle_ps::<0x44>(two[1], two[3]);
        four[3] = _mm512_shuffle_ps::<0xee>(two[1], two[3]);
    }
    // Lanes of the same column, and of those 4, 8 and 12 after it, put together.
    let mut columns = fours;
    for at in 0..4 {
        let (a, b, c, d) = (fours[at], fours[4 + at], fours[8 + at], fours[12 + at]);
        let (even, odd) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
        let (even_too, odd_too) = (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xdd>(c, d));
        columns[at] = _mm512_shuffle_f32x4::<0x88>(even, even_too);
        columns[4 + at] = _mm512_shuffle_f32x4::<0x88>(odd, odd_too);
        columns[8 + at] = _mm512_shuffle_f32x4::<0xdd>(even, even_too);
        columns[12 + at] = _mm512_shuffle_f32x4::<0xdd>(odd, odd_too);
    }
    columns
}
