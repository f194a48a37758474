//! Products of pairs by AVX512-BF16: tiles of rows by vectors of columns, whose sums stay in registers along the depth.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m512, __m512bh, __mmask16, _mm512_castps_si512, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_mask_storeu_ps,
    _mm512_maskz_loadu_ps, _mm512_set1_epi32, _mm512_setzero_ps,
};
use std::ops::Range;

use super::{LANES, Left, Order, Right, Start, check, panels};
use crate::base::processor::has_avx512_bf16;

/// Rows of a tile: with two vectors each, 24 sums, which is enough to keep both of a core's multipliers busy, two
/// registers of columns and one that holds the same pair in every lane.
const ROWS: usize = 12;

/// A register of pairs, from one of bits.
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
fn pairs(bits: std::arch::x86_64::__m512i) -> __m512bh {
    // SAFETY: both are 64 bytes for which every value is allowed.
    unsafe { std::mem::transmute(bits) }
}

/// What a tile is made of: where its first row, its panel and its place in `out` begin, and how they go on.
#[derive(Clone, Copy)]
struct Tile {
    left: *const u32,
    row_step: usize,
    pair_step: usize,
    panel: *const u32,
    depth: usize,
    /// What the sums begin with: zeros where it is null.
    start: *const f32,
    start_step: usize,
    out: *mut f32,
    out_step: usize,
    /// The columns of the last vector that are there.
    last: __mmask16,
}

impl Tile {
    /// # Safety
    /// For `R` rows at `left`, `depth` pairs and `V` vectors there must be what it reads at `left`, `panel` and `start`
    /// and what it writes at `out`, of the last vector those columns that `last` has.
    #[target_feature(enable = "avx512f,avx512bf16")]
    #[inline]
    unsafe fn multiply<const R: usize, const V: usize>(self) {
        let Self { left, row_step, pair_step, panel, depth, start, start_step, out, out_step, last } = self;
        let mask = |vector: usize| if vector + 1 == V { last } else { __mmask16::MAX };
        let mut sums = [[_mm512_setzero_ps(); V]; R];
        if !start.is_null() {
            for (row, sums) in sums.iter_mut().enumerate() {
                for (vector, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: the caller's word; what the mask leaves out is not read.
                    *sum = unsafe { _mm512_maskz_loadu_ps(mask(vector), start.add(row * start_step + vector * LANES)) };
                }
            }
        }
        for at in 0..depth {
            let mut columns = [pairs(_mm512_castps_si512(_mm512_setzero_ps())); V];
            for (vector, columns) in columns.iter_mut().enumerate() {
                // SAFETY: the caller's word: a panel has `V` whole vectors for each pair of the depth.
                let bits: __m512 = unsafe { _mm512_loadu_ps(panel.add((at * V + vector) * LANES).cast()) };
                *columns = pairs(_mm512_castps_si512(bits));
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the caller's word.
                let pair = unsafe { *left.add(row * row_step + at * pair_step) };
                let pair = pairs(_mm512_set1_epi32(pair.cast_signed()));
                for (sum, &columns) in sums.iter_mut().zip(&columns) {
                    *sum = _mm512_dpbf16_ps(*sum, pair, columns);
                }
            }
        }
        for (row, sums) in sums.into_iter().enumerate() {
            for (vector, sum) in sums.into_iter().enumerate() {
                // SAFETY: the caller's word; what the mask leaves out is not written.
                unsafe { _mm512_mask_storeu_ps(out.add(row * out_step + vector * LANES), mask(vector), sum) };
            }
        }
    }

    /// The same for a number of rows and vectors that is known at run time only.
    ///
    /// # Safety
    /// As [`Tile::multiply`]; at most [`ROWS`] rows and two vectors.
    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn multiply_any(self, rows: usize, vectors: usize) {
        macro_rules! by_size {
            ($($rows:literal)+) => {
                match (rows, vectors) {
                    $(
                        // SAFETY: the caller's word.
                        ($rows, 1) => unsafe { self.multiply::<$rows, 1>() },
                        // SAFETY: the caller's word.
                        ($rows, 2) => unsafe { self.multiply::<$rows, 2>() },
                    )+
                    _ => unreachable!("{rows} rows by {vectors} vectors"),
                }
            };
        }
        by_size!(1 2 3 4 5 6 7 8 9 10 11 12)
    }
}

/// `out = start + left * right` over a stretch of the depth; the left side in such steps from row to row and pair to
/// pair, `out` in rows `out_step` numbers after each other.
///
/// # Panics
/// If a slice is too short for what its size says, or the processor lacks the instructions.
pub(super) fn multiply(
    left: Left<'_>,
    [row_step, pair_step]: [usize; 2],
    right: Right<'_>,
    stretch: Range<usize>,
    start: Start<'_, f32>,
    out: &mut [f32],
    out_step: usize,
) {
    let (n_cols, pairs) = (right.n_cols, right.pairs());
    let n_rows = left.n_rows;
    assert!(
        has_avx512_bf16() && matches!(left.order, Order::Steps { row, pair } if [row, pair] == [row_step, pair_step])
    );
    check(left, right, &stretch, start, out, out_step);
    for columns in panels(n_cols) {
        let vectors = columns.len() / LANES;
        let here = columns.len().min(n_cols - columns.start);
        let last = __mmask16::MAX >> (vectors * LANES - here);
        for first in (0..n_rows).step_by(ROWS) {
            let out = out[first * out_step + columns.start..].as_mut_ptr();
            let (start, start_step) = match start {
                Start::Zero => (std::ptr::null(), 0),
                Start::Row(row) => (row[columns.start..].as_ptr(), 0),
                Start::Out => (out.cast_const(), out_step),
            };
            let panel = columns.start * right.padded() + stretch.start * columns.len();
            let tile = Tile {
                left: left.pairs.as_ptr().wrapping_add(first * row_step + stretch.start * pair_step),
                row_step,
                pair_step,
                panel: pairs.as_ptr().wrapping_add(panel),
                depth: stretch.len(),
                start,
                start_step,
                out,
                out_step,
                last,
            };
            // SAFETY: the processor has the instructions, as was asserted. The rows from `first` on and the pairs of
            // the stretch are within `left`, the panel lies within `pairs` and has `vectors` whole vectors for each
            // pair of `depth`; `out` has the rows from `first` on and `here` columns from `columns.start` on, as has a
            // row to start with, and `last` leaves out the others of the last vector. No panel is empty, and a panel
            // begins before `n_cols`.
            unsafe { tile.multiply_any(ROWS.min(n_rows - first), vectors) };
        }
    }
}
