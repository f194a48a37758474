//! Products of pairs by AMX: tiles of 16 rows by 16 pairs times tiles of 16 pairs by 16 columns, with the sums in tiles
//! of 16 rows by 16 columns, two by two of them at a time.
//!
//! `tdpbf16ps` sums the first products of all pairs of a tile, and the second ones, each from 0, and adds both to what
//! is there. So the sums depend on the depth alone, and not on which rows and columns are computed together. Subnormal
//! numbers are taken for 0.
#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::{
    _MM_HINT_ET0, _mm_prefetch, _mm512_mask_storeu_epi32, _mm512_maskz_loadu_epi32, _mm512_setzero_si512,
    _mm512_store_si512,
};
use std::cell::RefCell;
use std::ops::Range;

use super::rounding::processor::transpose;
use super::{Left, Line, Order, Pair, Right, Start, check, panels};
use crate::base::processor::has_amx;

/// Rows of a tile, and pairs or columns of one of its rows.
const TILE: usize = 16;
/// Bytes of a number, and of a pair.
const BYTES: usize = 4;
/// Rows and columns of the sums that are computed together.
const SIDE: usize = 2 * TILE;
/// Rows of the left side that are put together at a time, where they are not tiles yet.
const ROWS: usize = 128;
/// Bytes of sums that are likely to be in the cache already.
const CACHED: usize = 1 << 17;
/// Lines that each step along the depth asks for ahead.
const AHEAD: usize = 4;

/// What `ldtilecfg` reads: the palette, and of each tile the bytes of a row and the rows.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    _reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// Eight whole tiles.
static WHOLE: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    _reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// The tiles of this thread's processor, until it is dropped. Who has them knows of AVX-512, too, without which there
/// is no AMX here.
struct Tiles(());

impl Tiles {
    /// # Safety
    /// [`has_amx`] says yes.
    unsafe fn new() -> Self {
        // SAFETY: the caller's word; the configuration is one that palette 1 has. No code but that of this file uses
        // tiles.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const WHOLE, options(nostack, readonly, preserves_flags)) };
        Self(())
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: there is a processor with tiles if there is one of these. What is released costs nothing when threads
        // change.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}

/// Up to two by two tiles of sums: where the sides, what the sums begin with and the sums are, and the bytes from a row
/// of each to the next one. Both sides have whole tiles along the depth, with zeros behind its end.
#[repr(C)]
struct Sums {
    left: *const Line,
    /// Bytes from the tiles of 16 rows to those of the next ones.
    left_step: usize,
    right: *const Pair,
    right_step: usize,
    /// Tiles along the depth.
    depth: usize,
    /// Zeros where it is null.
    start: *const f32,
    start_step: usize,
    out: *mut f32,
    out_step: usize,
    /// What comes into the second level cache meanwhile, [`AHEAD`] lines in each step.
    ahead: *const Line,
}

/// One of the four forms of [`Sums::compute`]: what is loaded and multiplied in each step, and what is begun with and
/// stored, as lines of assembly. Tile 0 and 1 are the first rows' sums, 2 and 3 the second rows', 4 and 5 the left
/// side, 6 and 7 the right one.
macro_rules! tiles {
    ($sums:expr, zero: [$($zero:literal)*], load: [$($load:literal)*], step: [$($step:literal)*], store: [$($store:literal)*]) => {
        asm!(
            "mov {a}, [{sums} + 40]",
            "mov {s}, [{sums} + 48]",
            "test {a}, {a}",
            "jz 2f",
            "mov {b}, {s}",
            "shl {b}, 4",
            "add {b}, {a}",
            $($load,)*
            "jmp 3f",
            "2:",
            $($zero,)*
            "3:",
            "mov {a}, [{sums}]",
            "mov {b}, [{sums} + 8]",
            "add {b}, {a}",
            "mov {s}, 64",
            "mov {r}, [{sums} + 16]",
            "mov {t}, [{sums} + 24]",
            "mov {n}, [{sums} + 32]",
            "mov {p}, [{sums} + 72]",
            "mov {u}, {t}",
            "shl {u}, 4",
            "test {n}, {n}",
            "jz 5f",
            "4:",
            $($step,)*
            "prefetcht1 [{p}]",
            "prefetcht1 [{p} + 64]",
            "prefetcht1 [{p} + 128]",
            "prefetcht1 [{p} + 192]",
            "add {p}, 256",
            "add {a}, 1024",
            "add {b}, 1024",
            "add {r}, {u}",
            "dec {n}",
            "jnz 4b",
            "5:",
            "mov {a}, [{sums} + 56]",
            "mov {s}, [{sums} + 64]",
            "mov {b}, {s}",
            "shl {b}, 4",
            "add {b}, {a}",
            $($store,)*
            sums = in(reg) $sums,
            a = out(reg) _, b = out(reg) _, s = out(reg) _, r = out(reg) _, t = out(reg) _, n = out(reg) _, u = out(reg) _,
            p = out(reg) _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

impl Sums {
    /// Of one or two tiles of rows and of columns.
    ///
    /// # Safety
    /// For 16 times `rows` rows and 16 times `columns` columns there must be what is read at `left`, `right` and
    /// `start` and written at `out`.
    unsafe fn compute(&self, rows: usize, columns: usize, _: &Tiles) {
        let sums: *const Self = self;
        // SAFETY: the caller's word. Offsets are those of a `repr(C)` struct of ten words; flags and all registers that
        // are written are declared.
        unsafe {
            match (rows, columns) {
                (2, 2) => tiles!(sums,
                    zero: ["tilezero tmm0" "tilezero tmm1" "tilezero tmm2" "tilezero tmm3"],
                    load: ["tileloadd tmm0, [{a} + {s}*1]" "tileloadd tmm1, [{a} + {s}*1 + 64]"
                        "tileloadd tmm2, [{b} + {s}*1]" "tileloadd tmm3, [{b} + {s}*1 + 64]"],
                    step: ["tileloadd tmm6, [{r} + {t}*1]" "tileloadd tmm4, [{a} + {s}*1]" "tdpbf16ps tmm0, tmm4, tmm6"
                        "tileloadd tmm7, [{r} + {t}*1 + 64]" "tdpbf16ps tmm1, tmm4, tmm7"
                        "tileloadd tmm5, [{b} + {s}*1]" "tdpbf16ps tmm2, tmm5, tmm6" "tdpbf16ps tmm3, tmm5, tmm7"],
                    store: ["tilestored [{a} + {s}*1], tmm0" "tilestored [{a} + {s}*1 + 64], tmm1"
                        "tilestored [{b} + {s}*1], tmm2" "tilestored [{b} + {s}*1 + 64], tmm3"]),
                (2, 1) => tiles!(sums,
                    zero: ["tilezero tmm0" "tilezero tmm2"],
                    load: ["tileloadd tmm0, [{a} + {s}*1]" "tileloadd tmm2, [{b} + {s}*1]"],
                    step: ["tileloadd tmm6, [{r} + {t}*1]" "tileloadd tmm4, [{a} + {s}*1]" "tdpbf16ps tmm0, tmm4, tmm6"
                        "tileloadd tmm5, [{b} + {s}*1]" "tdpbf16ps tmm2, tmm5, tmm6"],
                    store: ["tilestored [{a} + {s}*1], tmm0" "tilestored [{b} + {s}*1], tmm2"]),
                (1, 2) => tiles!(sums,
                    zero: ["tilezero tmm0" "tilezero tmm1"],
                    load: ["tileloadd tmm0, [{a} + {s}*1]" "tileloadd tmm1, [{a} + {s}*1 + 64]"],
                    step: ["tileloadd tmm6, [{r} + {t}*1]" "tileloadd tmm4, [{a} + {s}*1]" "tdpbf16ps tmm0, tmm4, tmm6"
                        "tileloadd tmm7, [{r} + {t}*1 + 64]" "tdpbf16ps tmm1, tmm4, tmm7"],
                    store: ["tilestored [{a} + {s}*1], tmm0" "tilestored [{a} + {s}*1 + 64], tmm1"]),
                (1, 1) => tiles!(sums,
                    zero: ["tilezero tmm0"],
                    load: ["tileloadd tmm0, [{a} + {s}*1]"],
                    step: ["tileloadd tmm6, [{r} + {t}*1]" "tileloadd tmm4, [{a} + {s}*1]" "tdpbf16ps tmm0, tmm4, tmm6"],
                    store: ["tilestored [{a} + {s}*1], tmm0"]),
                _ => unreachable!("{rows} by {columns} tiles"),
            }
        }
    }
}

/// Room of a thread.
#[derive(Default)]
struct Room {
    /// Up to [`ROWS`] rows of the left side, tile by tile.
    left: Vec<Line>,
    /// Sums of which some are not wanted.
    corner: Vec<Line>,
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::default();
}

/// Puts rows of the left side together in tiles, those of 16 rows one after the other along the depth, with zeros
/// behind its end. Behind the last row anything may stay: it is no part of another row's sums.
fn pack(
    left: Left<'_>,
    [row_step, pair_step]: [usize; 2],
    rows: Range<usize>,
    stretch: Range<usize>,
    out: &mut [Line],
    _: &Tiles,
) {
    let n_tiles = stretch.len().div_ceil(TILE);
    if n_tiles == 0 {
        return;
    }
    if pair_step == 1 {
        for (at, row) in rows.enumerate() {
            let pairs = &left.pairs[row * row_step + stretch.start..][..stretch.len()];
            let out = &mut out[at / TILE * TILE * n_tiles + at % TILE..];
            let (whole, rest) = pairs.as_chunks::<TILE>();
            for (tile, &pairs) in whole.iter().enumerate() {
                out[tile * TILE] = Line(pairs);
            }
            if !rest.is_empty() {
                let mut last = Line::default();
                last.0[..rest.len()].copy_from_slice(rest);
                out[whole.len() * TILE] = last;
            }
        }
        return;
    }
    assert!(row_step == 1);
    let mut tiles = out.as_chunks_mut::<TILE>().0.iter_mut();
    for first in rows.clone().step_by(TILE) {
        let n = TILE.min(rows.end - first);
        for (from, out) in stretch.clone().step_by(TILE).zip(&mut tiles) {
            let n_pairs = TILE.min(stretch.end - from);
            let pairs = &left.pairs[from * pair_step + first..][..(n_pairs - 1) * pair_step + n];
            // SAFETY: the processor has AVX-512, or there were no tiles. Of `n_pairs` rows of `n` pairs, `pair_step`
            // from each other, `pairs` ends with the last one. Neither number is above 16.
            unsafe { columns(pairs.as_ptr(), pair_step, [n_pairs, n], out) };
        }
    }
}

/// Writes 16 rows of 16 numbers as columns. Those outside of the first rows and columns of so many are not read, and
/// count as 0.
///
/// # Safety
/// The processor has AVX-512; there is what is read; 1 to 16 rows and columns.
#[target_feature(enable = "avx512f")]
unsafe fn columns(from: *const u32, step: usize, [n_rows, n_cols]: [usize; 2], out: &mut [Line; TILE]) {
    let mut rows = [_mm512_setzero_si512(); TILE];
    for (row, numbers) in rows.iter_mut().enumerate().take(n_rows) {
        // SAFETY: the caller's word; what the mask leaves out is not read.
        *numbers =
            unsafe { _mm512_maskz_loadu_epi32(u16::MAX >> (TILE - n_cols), from.wrapping_add(row * step).cast()) };
    }
    for (line, numbers) in out.iter_mut().zip(transpose(rows)) {
        // SAFETY: a line has 64 bytes and begins at a multiple of them.
        unsafe { _mm512_store_si512((&raw mut *line).cast(), numbers) };
    }
}

/// Copies at most [`SIDE`] numbers to the beginning of `to`; a call of `memcpy` for each row would take as long as the
/// products.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32], _: &Tiles) {
    let n = from.len();
    assert!(n <= SIDE && n <= to.len());
    // SAFETY: the processor has AVX-512, or there were no tiles, and both have `n` numbers.
    unsafe { copy_up_to_32(from.as_ptr().cast(), to.as_mut_ptr().cast(), n) };
}

/// # Safety
/// The processor has AVX-512; there are `n` numbers, at most 32, at both.
#[target_feature(enable = "avx512f")]
unsafe fn copy_up_to_32(from: *const i32, to: *mut i32, n: usize) {
    let mask = u32::MAX.checked_shr(SIDE as u32 - n as u32).unwrap_or(0);
    for (half, mask) in [mask as u16, (mask >> TILE) as u16].into_iter().enumerate() {
        // SAFETY: the caller's word; what the mask leaves out is neither read nor written.
        unsafe {
            let numbers = _mm512_maskz_loadu_epi32(mask, from.wrapping_add(half * TILE));
            _mm512_mask_storeu_epi32(to.wrapping_add(half * TILE), mask, numbers);
        }
    }
}

/// What is asked for ahead, step by step.
struct Ahead<'a> {
    lines: &'a [Line],
}

impl<'a> Ahead<'a> {
    /// What so many steps ask for: with nothing left, what is there anyway.
    fn next(&mut self, steps: usize, there: &'a [Pair]) -> *const Line {
        let (now, later) = self.lines.split_at(self.lines.len().min(steps * AHEAD));
        self.lines = later;
        if now.is_empty() { there.as_ptr().cast() } else { now.as_ptr() }
    }
}

/// Asks for the first [`SIDE`] numbers of as many rows, to be written.
fn ask_to_write(out: &[f32], step: usize) {
    for row in out.chunks(step).take(SIDE) {
        for line in row[..SIDE.min(row.len())].chunks(TILE) {
            // SAFETY: every processor with AMX has the instruction, which changes nothing that a program can see.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(line.as_ptr().cast()) };
        }
    }
}

/// `out = start + left * right` over a stretch of the depth, in rows `step` numbers after each other.
///
/// # Panics
/// If a slice is too short for what its size says, or the processor lacks the instructions.
pub(super) fn multiply(
    left: Left<'_>,
    right: Right<'_>,
    stretch: Range<usize>,
    start: Start<'_, f32>,
    out: &mut [f32],
    step: usize,
    ahead: &[Line],
) {
    assert!(has_amx());
    check(left, right, &stretch, start, out, step);
    // Without a wish what comes next is the next panel.
    let first_panel = panels(right.n_cols).next().map_or(0, |columns| columns.len() / TILE * right.padded());
    let mut ahead = Ahead { lines: if ahead.is_empty() { &right.lines[first_panel..] } else { ahead } };
    ROOM.with_borrow_mut(|Room { left: room, corner }| {
        corner.resize(SIDE * SIDE / TILE, Line::default());
        // SAFETY: the processor has AMX, as was asserted.
        let tiles = unsafe { Tiles::new() };
        match left.order {
            Order::Tiles { along } => {
                let lines: &[Line] = bytemuck::cast_slice(left.pairs);
                let packed = Packed { lines: &lines[stretch.start..], along, n_rows: left.n_rows };
                multiply_packed(packed, right, stretch, start, out, step, &mut ahead, corner, &tiles);
            }
            Order::Steps { row, pair } => {
                let along = stretch.len().div_ceil(TILE);
                room.resize((ROWS * along).max(room.len()), Line::default());
                for first in (0..left.n_rows).step_by(ROWS) {
                    let rows = first..left.n_rows.min(first + ROWS);
                    pack(left, [row, pair], rows.clone(), stretch.clone(), room, &tiles);
                    let out = &mut out[rows.start * step..rows.end * step];
                    let packed = Packed { lines: room, along, n_rows: rows.len() };
                    multiply_packed(packed, right, stretch.clone(), start, out, step, &mut ahead, corner, &tiles);
                }
            }
        }
    });
}

/// Rows of the left side in tiles: of 16 rows those along the depth, one after the other, `along` of them to the next
/// 16 rows.
#[derive(Clone, Copy)]
struct Packed<'a> {
    lines: &'a [Line],
    along: usize,
    n_rows: usize,
}

/// The same for rows that are packed.
#[allow(clippy::too_many_arguments)]
fn multiply_packed<'a>(
    Packed { lines: left, along, n_rows }: Packed<'_>,
    right: Right<'a>,
    stretch: Range<usize>,
    start: Start<'_, f32>,
    out: &mut [f32],
    out_step: usize,
    ahead: &mut Ahead<'a>,
    corner: &mut [Line],
    tiles: &Tiles,
) {
    let n_cols = right.n_cols;
    let corner: &mut [f32] = bytemuck::cast_slice_mut(corner);
    let n_tiles = stretch.len().div_ceil(TILE);
    assert!(n_tiles == 0 || left.len() >= ((n_rows.div_ceil(TILE) - 1) * along + n_tiles) * TILE);
    let is_large = size_of_val(out) > CACHED;
    for columns in panels(n_cols) {
        let width = columns.len();
        let panel = columns.start * right.padded() + stretch.start * width;
        let panel = &right.pairs()[panel..][..n_tiles * TILE * width];
        for first_column in (0..width).step_by(SIDE) {
            let column_tiles = (width - first_column).min(SIDE) / TILE;
            let column = columns.start + first_column;
            let n_here = (n_cols - column).min(column_tiles * TILE);
            // Whether whole tiles of columns can be written; zeros of the right side make what is behind the last
            // column.
            let fits = n_here == column_tiles * TILE
                || (column + column_tiles * TILE <= out_step && !matches!(start, Start::Row(_)));
            for row in (0..n_rows).step_by(SIDE) {
                let rows_here = (n_rows - row).min(SIDE);
                let row_tiles = rows_here.div_ceil(TILE);
                let is_whole = rows_here == row_tiles * TILE && fits;
                let at = row * out_step + column;
                if !is_whole {
                    let corner = corner.chunks_exact_mut(SIDE).take(rows_here);
                    match start {
                        Start::Zero => {}
                        Start::Row(all) => corner.for_each(|corner| copy(&all[column..][..n_here], corner, tiles)),
                        Start::Out => corner
                            .zip(out[at..].chunks(out_step))
                            .for_each(|(corner, out)| copy(&out[..n_here], corner, tiles)),
                    }
                }
                let (sums, step) = match is_whole {
                    true => (out[at..].as_mut_ptr(), out_step * BYTES),
                    false => (corner.as_mut_ptr(), SIDE * BYTES),
                };
                let (start, start_step) = match start {
                    Start::Zero => (std::ptr::null(), 0),
                    Start::Row(all) if is_whole => (all[column..].as_ptr(), 0),
                    Start::Row(_) | Start::Out => (sums.cast_const(), step),
                };
                let block = Sums {
                    left: left[row * along..].as_ptr(),
                    left_step: along * TILE * size_of::<Line>(),
                    right: panel.as_ptr().wrapping_add(first_column),
                    right_step: width * BYTES,
                    depth: n_tiles,
                    start,
                    start_step,
                    out: sums,
                    out_step: step,
                    ahead: ahead.next(n_tiles, panel),
                };
                if is_whole && is_large {
                    ask_to_write(&out[(at + SIDE * out_step).min(out.len())..], out_step);
                }
                // SAFETY: `left` has `n_tiles` whole tiles for each 16 rows, `along` tiles from each other, as was
                // asserted, and `row` with the one or two tiles of rows behind it begins with a row that is there; the
                // panel has as many along the depth and `width` columns; `first_column` with the one or two tiles of
                // columns is within `width`. Where the tiles are whole, `out` has their rows, and within each row's
                // `out_step` numbers their columns, and a row to start with has the columns; else both are in `corner`,
                // which has two by two tiles. What is asked for ahead is not read.
                unsafe { block.compute(row_tiles, column_tiles, tiles) };
                if !is_whole {
                    let corner = corner.chunks_exact(SIDE).take(rows_here);
                    corner
                        .zip(out[at..].chunks_mut(out_step))
                        .for_each(|(corner, out)| copy(&corner[..n_here], out, tiles));
                }
            }
        }
    }
}
