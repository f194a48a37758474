//! Numbers in f32 become numbers in bf16, in the orders that products read.
//!
//! Where the processor has `vcvtne2ps2bf16`, it rounds; else a few operations on whole numbers do. Both take the
//! nearest number, of two as near the even one. The instruction takes subnormal numbers for 0, as products on such a
//! processor do.

use super::{LANES, Line, Pair, Rows};
#[cfg(target_arch = "x86_64")]
use crate::base::processor::has_avx512_bf16;
use crate::math::real::Real;
use crate::math::vectorised::vectorised;

/// Two numbers as a pair.
#[inline(always)]
fn pair<T: Real>(first: T, second: T) -> Pair {
    u32::from(first.to_bf16()) | u32::from(second.to_bf16()) << 16
}

/// Numbers of a line.
const NUMBERS: usize = 2 * LANES;

/// The numbers, if they are f32 and the processor rounds them.
#[cfg(target_arch = "x86_64")]
fn for_processor<T: Real>(values: &[T]) -> Option<&[f32]> {
    if size_of::<T>() != size_of::<f32>() || !has_avx512_bf16() {
        return None;
    }
    bytemuck::try_cast_slice(values).ok()
}

/// Calls the processor's form of a function if the first of its arguments, numbers in f32, can be rounded by it, and
/// returns.
macro_rules! by_processor {
    ($name:ident($values:expr $(, $more:expr)* $(,)?)) => {
        #[cfg(target_arch = "x86_64")]
        if let Some(values) = for_processor($values) {
            // SAFETY: the processor has the instructions.
            #[allow(unsafe_code)]
            return unsafe { processor::$name(values $(, $more)*) };
        }
    };
}

/// Writes the numbers of a row to lines that are `step` apart, with zeros behind its end.
pub(super) fn round_row<T: Real>(values: &[T], step: usize, out: &mut [Line]) {
    assert!(values.is_empty() || out.len() > (values.len() - 1) / NUMBERS * step);
    by_processor!(round_row(values, step, out));
    round_row_plain(values, step, out);
}

/// Fills `out` by the pairs of two rows, the second of which may be empty and then counts as zeros, and by zeros behind
/// them.
pub(crate) fn interleave<T: Real>(first: &[T], second: &[T], out: &mut [Pair]) {
    assert!(first.len() <= out.len() && (second.is_empty() || second.len() == first.len()));
    by_processor!(interleave(first, for_processor(second).unwrap_or_default(), out));
    interleave_plain(first, second, out);
}

/// Fills the panel for the product with the transpose of a matrix: its rows, `depth` numbers long, become columns of
/// pairs. The panel has `width` columns, as many as there are rows or up to 15 more, which become 0.
pub(super) fn rows_into_panel<T: Real>(values: &[T], depth: usize, width: usize, out: &mut [Pair]) {
    assert!(out.len() == depth.div_ceil(2) * width && width == (values.len() / depth).next_multiple_of(LANES));
    by_processor!(rows_into_panel(values, depth, width, out));
    rows_into_panel_plain(values, depth, width, out);
}

/// Rows of logits `step` numbers after each other, of which `n` count: `maxima` become the largest of each row and of
/// what they were.
pub(crate) fn largest<T: Real>(logits: &[T], step: usize, n: usize, maxima: &mut [T]) {
    assert!(n <= step && logits.len() >= maxima.len() * step);
    largest_of_rows(logits, step, n, maxima);
}

/// The exponentials of such logits less their maxima, written as rows of the left side of a product, and each row's sum
/// before they are rounded.
pub(crate) fn exponentials<T: Real>(
    logits: &[T],
    step: usize,
    n: usize,
    maxima: &[T],
    sums: &mut [T],
    rows: Rows,
    out: &mut [Line],
) {
    assert!(n <= step && logits.len() >= maxima.len() * step && sums.len() == maxima.len());
    assert!(rows.along == n.div_ceil(NUMBERS) && out.len() >= rows.lines(maxima.len()));
    let of_rows = logits.chunks(step).zip(maxima.iter().zip(sums)).enumerate();
    for (row, (logits, (&maximum, sum))) in of_rows {
        let (first, step) = rows.place(row);
        *sum = exponentials_of_row(&logits[..n], maximum, step, &mut out[first..]);
    }
}

/// The exponentials of such logits less their maxima over the logits themselves, and each row's sum.
pub(crate) fn exponentials_in_place<T: Real>(logits: &mut [T], step: usize, n: usize, maxima: &[T], sums: &mut [T]) {
    assert!(n <= step && logits.len() >= maxima.len() * step && sums.len() == maxima.len());
    exponentials_over_logits(logits, step, n, maxima, sums);
}

/// Writes up to 32 rows of `n` numbers, `step` numbers after each other, as columns of the left side of a product in
/// tiles: line `item % 16` of each tile has one number of every row, those of missing rows 0. Tiles of 16 numbers are
/// `along` tiles after each other.
pub(crate) fn rows_into_tiles<T: Real>(values: &[T], step: usize, n: usize, along: usize, out: &mut [Line]) {
    let n_rows = values.len().div_ceil(step);
    assert!(n > 0 && n <= step && n_rows <= NUMBERS && values.len() >= (n_rows - 1) * step + n);
    assert!(out.len() >= ((n.div_ceil(LANES) - 1) * along + 1) * LANES);
    by_processor!(rows_into_tiles(values, step, n, along, out));
    rows_into_tiles_plain(values, step, n, along, out);
}

fn exponentials_of_row<T: Real>(logits: &[T], maximum: T, step: usize, out: &mut [Line]) -> T {
    #[cfg(target_arch = "x86_64")]
    if let Some(logits) = for_processor(logits) {
        // SAFETY: the processor has the instructions.
        #[allow(unsafe_code)]
        let sum = unsafe { processor::exponentials(logits, maximum.to_f64() as f32, step, out) };
        return T::from_f64(sum.into());
    }
    exponentials_plain(logits, maximum, step, out)
}

vectorised! {
    fn round_row_plain(values: &[T], step: usize, out: &mut [Line]) {
        for (at, values) in values.chunks(NUMBERS).enumerate() {
            out[at * step] = line(values);
        }
    }

    fn interleave_plain(first: &[T], second: &[T], out: &mut [Pair]) {
        let (out, rest) = out.split_at_mut(first.len());
        if second.is_empty() {
            out.iter_mut().zip(first).for_each(|(out, &value)| *out = pair(value, T::ZERO));
        }
        for ((out, &first), &second) in out.iter_mut().zip(first).zip(second) {
            *out = pair(first, second);
        }
        rest.fill(0);
    }

    fn rows_into_panel_plain(values: &[T], depth: usize, width: usize, out: &mut [Pair]) {
        // Sixteen rows by sixteen pairs at a time: both what is read and what is written stays in the first level
        // cache.
        let mut square = [[0; LANES]; LANES];
        for (group, rows) in values.chunks(LANES * depth).enumerate() {
            for first in (0..depth).step_by(NUMBERS) {
                let n = (depth - first).min(NUMBERS);
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

    fn largest_of_rows(logits: &[T], step: usize, n: usize, maxima: &mut [T]) {
        for (logits, maximum) in logits.chunks(step).zip(maxima) {
            let mut lanes = [*maximum; LANES];
            let (whole, rest) = logits[..n].as_chunks::<LANES>();
            for logits in whole {
                lanes.iter_mut().zip(logits).for_each(|(lane, &logit)| *lane = lane.max(logit));
            }
            lanes.iter_mut().zip(rest).for_each(|(lane, &logit)| *lane = lane.max(logit));
            *maximum = fold(lanes, |a, b| a.max(b));
        }
    }

    fn exponentials_over_logits(logits: &mut [T], step: usize, n: usize, maxima: &[T], sums: &mut [T]) {
        let log_2_e = T::from_f64(std::f64::consts::LOG2_E);
        for (logits, (&maximum, sum)) in logits.chunks_mut(step).zip(maxima.iter().zip(sums)) {
            let offset = maximum * T::from_f64(-std::f64::consts::LOG2_E);
            let mut lanes = [T::ZERO; LANES];
            let (whole, rest) = logits[..n].as_chunks_mut::<LANES>();
            for logits in whole {
                for (lane, logit) in lanes.iter_mut().zip(logits) {
                    *logit = logit.times_plus(log_2_e, offset).exp_2();
                    *lane += *logit;
                }
            }
            for (lane, logit) in lanes.iter_mut().zip(rest) {
                *logit = logit.times_plus(log_2_e, offset).exp_2();
                *lane += *logit;
            }
            *sum = fold(lanes, |a, b| a + b);
        }
    }

    fn rows_into_tiles_plain(values: &[T], step: usize, n: usize, along: usize, out: &mut [Line]) {
        for first in (0..n).step_by(LANES) {
            let tile = &mut out[first * along..][..LANES];
            for (item, line) in (first..n).zip(tile) {
                let number = |row: usize| values.get(row * step + item).copied().unwrap_or(T::ZERO);
                for (at, both) in line.0.iter_mut().enumerate() {
                    *both = pair(number(2 * at), number(2 * at + 1));
                }
            }
        }
    }

    fn exponentials_plain(logits: &[T], maximum: T, step: usize, out: &mut [Line]) -> T {
        let (log_2_e, offset) = (T::from_f64(std::f64::consts::LOG2_E), maximum * T::from_f64(-std::f64::consts::LOG2_E));
        let mut lanes = [T::ZERO; LANES];
        for (at, logits) in logits.chunks(NUMBERS).enumerate() {
            let mut values = [T::ZERO; NUMBERS];
            for (value, &logit) in values.iter_mut().zip(logits) {
                *value = logit.times_plus(log_2_e, offset).exp_2();
            }
            for values in values[..logits.len()].chunks(LANES) {
                lanes.iter_mut().zip(values).for_each(|(lane, &value)| *lane += value);
            }
            out[at * step] = line(&values);
        }
        fold(lanes, |a, b| a + b)
    }
}

/// Up to 32 numbers with zeros behind them.
#[inline(always)]
fn line<T: Real>(values: &[T]) -> Line {
    const { assert!(cfg!(target_endian = "little"), "the first number of a pair is in the lower half") }
    let mut numbers = [0; NUMBERS];
    numbers.iter_mut().zip(values).for_each(|(number, value)| *number = value.to_bf16());
    bytemuck::cast(numbers)
}

/// Both halves of the lanes, until there is one.
#[inline(always)]
fn fold<T: Real>(mut lanes: [T; LANES], of: impl Fn(T, T) -> T) -> T {
    let mut n = LANES / 2;
    while n > 0 {
        for lane in 0..n {
            lanes[lane] = of(lanes[lane], lanes[lane + n]);
        }
        n /= 2;
    }
    lanes[0]
}

/// The forms that use AVX-512 and its rounding to bf16, number by number as the plain ones.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
pub(super) mod processor {
    use std::arch::x86_64::{
        __m512, __m512bh, __m512i, _mm512_add_epi32, _mm512_add_ps, _mm512_castps_si512, _mm512_castsi512_ps,
        _mm512_cvtne2ps_pbh, _mm512_fmadd_ps, _mm512_loadu_si512, _mm512_mask_mov_ps, _mm512_mask_storeu_epi32,
        _mm512_maskz_loadu_ps, _mm512_max_ps, _mm512_mul_ps, _mm512_permutexvar_epi16, _mm512_set1_epi32,
        _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_shuffle_i64x2, _mm512_slli_epi32,
        _mm512_store_si512, _mm512_storeu_ps, _mm512_sub_ps, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
        _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    };

    use super::{LANES, Line, NUMBERS, Pair, fold};
    use crate::math::real::EXP_2;

    /// A mask of the first `n` lanes, at most 16.
    fn first(n: usize) -> u16 {
        u16::MAX.checked_shr((LANES - n) as u32).unwrap_or(0)
    }

    /// The first `n` numbers, at most 16, and zeros behind them.
    ///
    /// # Safety
    /// There are `n` numbers.
    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn load(values: *const f32, n: usize) -> __m512 {
        // SAFETY: the caller's word; what the mask leaves out is not read.
        unsafe { _mm512_maskz_loadu_ps(first(n), values) }
    }

    /// 32 numbers in bf16.
    #[target_feature(enable = "avx512f,avx512bf16")]
    #[inline]
    fn round(low: __m512, high: __m512) -> __m512i {
        let rounded: __m512bh = _mm512_cvtne2ps_pbh(high, low);
        // SAFETY: both are 64 bytes for which every value is allowed.
        unsafe { std::mem::transmute(rounded) }
    }

    /// Up to 32 numbers in bf16, with zeros behind them.
    ///
    /// # Safety
    /// There are `n` numbers.
    #[target_feature(enable = "avx512f,avx512bf16")]
    #[inline]
    unsafe fn load_rounded(values: *const f32, n: usize) -> __m512i {
        let low = n.min(LANES);
        // SAFETY: the caller's word; nothing is read where no number is left.
        unsafe { round(load(values, low), load(values.wrapping_add(LANES), n.min(NUMBERS) - low)) }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn store(line: &mut Line, bits: __m512i) {
        // SAFETY: a line has 64 bytes and begins at a multiple of them.
        unsafe { _mm512_store_si512((&raw mut *line).cast(), bits) };
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) fn round_row(values: &[f32], step: usize, out: &mut [Line]) {
        for (at, values) in values.chunks(NUMBERS).enumerate() {
            // SAFETY: there are as many numbers as the chunk has.
            store(&mut out[at * step], unsafe { load_rounded(values.as_ptr(), values.len()) });
        }
    }

    /// For sixteen pairs of which the first numbers are in the lower half of a register and the second ones in the
    /// upper half.
    static SIDE_BY_SIDE: [u16; NUMBERS] = {
        let mut places = [0; NUMBERS];
        let mut at = 0;
        while at < NUMBERS {
            places[at] = (at / 2 + at % 2 * LANES) as u16;
            at += 1;
        }
        places
    };

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) fn interleave(first_row: &[f32], second_row: &[f32], out: &mut [Pair]) {
        // SAFETY: there are 64 bytes.
        let places = unsafe { _mm512_loadu_si512(SIDE_BY_SIDE.as_ptr().cast()) };
        for (at, out) in out.chunks_mut(LANES).enumerate() {
            let of = |row: &[f32]| {
                let numbers = &row[row.len().min(at * LANES)..];
                // SAFETY: there are as many numbers.
                unsafe { load(numbers.as_ptr(), numbers.len().min(LANES)) }
            };
            let pairs = _mm512_permutexvar_epi16(places, round(of(first_row), of(second_row)));
            // SAFETY: there are as many pairs.
            unsafe { _mm512_mask_storeu_epi32(out.as_mut_ptr().cast(), first(out.len()), pairs) };
        }
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) fn rows_into_panel(values: &[f32], depth: usize, width: usize, out: &mut [Pair]) {
        for (group, rows) in values.chunks(LANES * depth).enumerate() {
            let n_rows = rows.len() / depth;
            for from in (0..depth).step_by(NUMBERS) {
                let n = (depth - from).min(NUMBERS);
                let mut square = [_mm512_setzero_si512(); LANES];
                for (row, pairs) in square.iter_mut().enumerate().take(n_rows) {
                    let row = &rows[row * depth + from..][..n];
                    // SAFETY: there are `n` numbers.
                    *pairs = unsafe { load_rounded(row.as_ptr(), n) };
                }
                for (at, column) in transpose(square).into_iter().enumerate().take(n.div_ceil(2)) {
                    let out = &mut out[(from / 2 + at) * width + group * LANES..][..LANES];
                    // SAFETY: there are 16 pairs.
                    unsafe { _mm512_mask_storeu_epi32(out.as_mut_ptr().cast(), u16::MAX, column) };
                }
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) fn rows_into_tiles(values: &[f32], step: usize, n: usize, along: usize, out: &mut [Line]) {
        // SAFETY: there are 64 bytes.
        let places = unsafe { _mm512_loadu_si512(SIDE_BY_SIDE.as_ptr().cast()) };
        let rows = values.len().div_ceil(step);
        for from in (0..n).step_by(LANES) {
            let here = (n - from).min(LANES);
            let row = |row: usize| {
                let numbers = if row < rows { &values[row * step + from..][..here] } else { &[] };
                // SAFETY: there are as many numbers.
                unsafe { load(numbers.as_ptr(), numbers.len()) }
            };
            let mut square = [_mm512_setzero_si512(); LANES];
            for (at, pairs) in square.iter_mut().enumerate() {
                *pairs = _mm512_permutexvar_epi16(places, round(row(2 * at), row(2 * at + 1)));
            }
            for (line, column) in out[from * along..][..LANES].iter_mut().zip(transpose(square)) {
                store(line, column);
            }
        }
    }

    /// The columns of 16 rows of 16 numbers.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(in super::super) fn transpose(rows: [__m512i; LANES]) -> [__m512i; LANES] {
        // Of each lane of 128 bits first pairs of rows, then fours.
        let mut twos = rows;
        for (at, two) in twos.iter_mut().enumerate() {
            let (a, b) = (rows[at / 2 * 2], rows[at / 2 * 2 + 1]);
            *two = if at % 2 == 0 { _mm512_unpacklo_epi32(a, b) } else { _mm512_unpackhi_epi32(a, b) };
        }
        // Number `4 g + c` has the rows `4 g` to `4 g + 3` of column `4 lane + c`.
        let mut fours = rows;
        for (at, four) in fours.iter_mut().enumerate() {
            let first = at / 4 * 4 + at % 4 / 2;
            let (a, b) = (twos[first], twos[first + 2]);
            *four = if at % 2 == 0 { _mm512_unpacklo_epi64(a, b) } else { _mm512_unpackhi_epi64(a, b) };
        }
        let mut columns = rows;
        for column in 0..4 {
            let [a, b, c, d] = [fours[column], fours[4 + column], fours[8 + column], fours[12 + column]];
            let first = [_mm512_shuffle_i64x2::<0x44>(a, b), _mm512_shuffle_i64x2::<0x44>(c, d)];
            let last = [_mm512_shuffle_i64x2::<0xee>(a, b), _mm512_shuffle_i64x2::<0xee>(c, d)];
            columns[column] = _mm512_shuffle_i64x2::<0x88>(first[0], first[1]);
            columns[4 + column] = _mm512_shuffle_i64x2::<0xdd>(first[0], first[1]);
            columns[8 + column] = _mm512_shuffle_i64x2::<0x88>(last[0], last[1]);
            columns[12 + column] = _mm512_shuffle_i64x2::<0xdd>(last[0], last[1]);
        }
        columns
    }

    /// [`Real::exp_2`](crate::math::real::Real::exp_2), operation by operation.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn exp_2(x: __m512) -> __m512 {
        let round = _mm512_set1_ps(EXP_2.round);
        // The second one where either is not a number.
        let x = _mm512_max_ps(_mm512_set1_ps(EXP_2.least), x);
        let shifted = _mm512_add_ps(x, round);
        let f = _mm512_sub_ps(x, _mm512_sub_ps(shifted, round));
        let [first, rest @ ..] = EXP_2.terms;
        let mut p = _mm512_set1_ps(first);
        for term in rest {
            p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(term));
        }
        let exponent = _mm512_add_epi32(_mm512_castps_si512(shifted), _mm512_set1_epi32(127));
        _mm512_mul_ps(p, _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent)))
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) fn exponentials(logits: &[f32], maximum: f32, step: usize, out: &mut [Line]) -> f32 {
        let log_2_e = std::f64::consts::LOG2_E as f32;
        let (factor, offset) = (_mm512_set1_ps(log_2_e), _mm512_set1_ps(maximum * -log_2_e));
        let mut sums = _mm512_setzero_ps();
        let (whole, rest) = logits.as_chunks::<NUMBERS>();
        for (at, logits) in whole.iter().enumerate() {
            // SAFETY: there are 32 numbers.
            let (low, high) = unsafe { (load(logits.as_ptr(), LANES), load(logits[LANES..].as_ptr(), LANES)) };
            let low = exp_2(_mm512_fmadd_ps(low, factor, offset));
            let high = exp_2(_mm512_fmadd_ps(high, factor, offset));
            sums = _mm512_add_ps(_mm512_add_ps(sums, low), high);
            store(&mut out[at * step], round(low, high));
        }
        if !rest.is_empty() {
            let (low, high) = rest.split_at(rest.len().min(LANES));
            let mut both = [_mm512_setzero_ps(); 2];
            for (values, out) in [low, high].into_iter().zip(&mut both) {
                // SAFETY: there are as many numbers as the slice has.
                let all = exp_2(_mm512_fmadd_ps(unsafe { load(values.as_ptr(), values.len()) }, factor, offset));
                *out = _mm512_mask_mov_ps(*out, first(values.len()), all);
                sums = _mm512_add_ps(sums, *out);
            }
            store(&mut out[whole.len() * step], round(both[0], both[1]));
        }
        let mut lanes = [0.0; LANES];
        // SAFETY: there are 16 numbers.
        unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), sums) };
        fold(lanes, |a, b| a + b)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Level, Rows};
    use super::*;
    use crate::base::random::Stream;

    /// Numbers of all sizes but subnormal ones, and in bf16 halves of the last bit.
    fn numbers(random: &mut Stream, n: usize) -> Vec<f32> {
        let number = |random: &mut Stream| match random.below(12) {
            0 => 0.0,
            1 => f32::from_bits((random.below(1 << 15) as u32 + 0x3f80) << 15),
            2 => f32::INFINITY,
            _ => (random.normal() * 10f64.powi(random.below(60) as i32 - 30)) as f32,
        };
        (0..n).map(|_| number(random)).collect()
    }

    fn bits(lines: &[Line]) -> Vec<[Pair; LANES]> {
        lines.iter().map(|line| line.0).collect()
    }

    const LENGTHS: [usize; 16] = [1, 2, 3, 15, 16, 17, 31, 32, 33, 47, 48, 49, 64, 65, 200, 257];

    #[test]
    fn the_processor_rounds_as_the_plain_forms_do() {
        let mut random = Stream::new(7, 0);
        for n in LENGTHS {
            let (a, b) = (numbers(&mut random, n), numbers(&mut random, n));
            let mut pairs = [vec![9; n + 5], vec![9; n + 5]];
            for second in [&b[..], &[]] {
                let [found, plain] = &mut pairs;
                interleave(&a, second, found);
                interleave_plain(&a, second, plain);
                assert_eq!(found, plain, "{n}");
            }
            for step in [1, 16] {
                let mut rows = [(); 2].map(|()| vec![Line([9; LANES]); n.div_ceil(NUMBERS) * step]);
                let [found, plain] = &mut rows;
                round_row(&a, step, found);
                round_row_plain(&a, step, plain);
                assert_eq!(bits(found), bits(plain), "{n}");
            }
            for n_rows in [1, 2, 15, 16, 17, 31, 32] {
                let values = numbers(&mut random, n_rows * n);
                let width = n_rows.next_multiple_of(LANES);
                let mut panels = [(); 2].map(|()| vec![9; n.div_ceil(2) * width]);
                let [found, plain] = &mut panels;
                rows_into_panel(&values, n, width, found);
                rows_into_panel_plain(&values, n, width, plain);
                assert_eq!(found, plain, "{n_rows} x {n}");
                let (step, along) = (n + 3, 3);
                let values = numbers(&mut random, (n_rows - 1) * step + n);
                let mut tiles = [(); 2].map(|()| vec![Line([9; LANES]); n.div_ceil(LANES) * along * LANES]);
                let [found, plain] = &mut tiles;
                rows_into_tiles(&values, step, n, along, found);
                rows_into_tiles_plain(&values, step, n, along, plain);
                let there = |lines: &[Line]| -> Vec<_> {
                    (0..n).map(|item| lines[(item / LANES * along) * LANES + item % LANES].0).collect()
                };
                assert_eq!(there(found), there(plain), "{n_rows} x {n}");
                let number = |row: usize, item: usize| if row < n_rows { values[row * step + item] } else { 0.0 };
                for (item, line) in there(found).into_iter().enumerate() {
                    assert_eq!(line, std::array::from_fn(|at| pair(number(2 * at, item), number(2 * at + 1, item))));
                }
            }
        }
    }

    #[test]
    fn exponentials_are_those_of_the_library_and_the_same_in_every_form() {
        let mut random = Stream::new(8, 0);
        for n in LENGTHS {
            let (step, n_rows) = (n + 7, 19);
            let logits: Vec<f32> = (0..n_rows * step).map(|_| 5.0 * random.normal() as f32).collect();
            let mut maxima = vec![-1.0; n_rows];
            largest(&logits, step, n, &mut maxima);
            let row = |row: usize| &logits[row * step..][..n];
            assert!((0..n_rows).all(|at| maxima[at] == row(at).iter().fold(-1f32, |max, &logit| max.max(logit))));
            let (mut sums, mut in_place) = (vec![0.0; n_rows], vec![0.0; n_rows]);
            let mut all = logits.clone();
            exponentials_in_place(&mut all, step, n, &maxima, &mut in_place);
            for level in [Level::Plain, Level::Amx] {
                let rows = Rows::of(level, n);
                let mut lines = [(); 2].map(|()| vec![Line([9; LANES]); rows.lines(n_rows)]);
                let [found, plain] = &mut lines;
                exponentials(&logits, step, n, &maxima, &mut sums, rows, found);
                assert_eq!(sums, in_place);
                rows.round_some(&all, step, n, plain);
                for at in 0..n_rows {
                    let (first, apart) = rows.place(at);
                    let of = |lines: &[Line]| -> Vec<_> {
                        (0..n.div_ceil(NUMBERS)).map(|line| lines[first + line * apart].0).collect()
                    };
                    assert_eq!(of(found), of(plain), "{n}");
                    let sum = exponentials_plain(row(at), maxima[at], apart, &mut plain[first..]);
                    assert!(sum == sums[at] && of(found) == of(plain), "{n}");
                }
            }
            for (at, &sum) in sums.iter().enumerate() {
                let exact = row(at).iter().map(|&logit| (f64::from(logit) - f64::from(maxima[at])).exp());
                // An exponent of up to 30 is off by half a unit of 32 and of the product with the maximum, and each sum
                // by half a unit.
                assert!((f64::from(sum) / exact.sum::<f64>() - 1.0).abs() < 1e-5, "{n}");
            }
        }
        let (mut sums, mut nan) = ([0f32; 2], [0f32, f32::NAN, 0.0, 1.0]);
        exponentials_in_place(&mut nan, 2, 2, &[0.0, 1.0], &mut sums);
        assert!(sums[0].is_nan() && !sums[1].is_nan());
        let rows = Rows::of(Level::Amx, 2);
        exponentials(&[0f32, f32::NAN], 2, 2, &[0.0], &mut sums[..1], rows, &mut [Line::default(); 16]);
        assert!(sums[0].is_nan());
    }
}
