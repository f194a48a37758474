//! The kernel of [`products`](super::products) for one row with AVX2: what its safe twin does, to the bit, where the
//! compiler makes less of the twin than memory could feed.
#![cfg(target_arch = "x86_64")]
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256, _mm_loadu_ps, _mm256_castps128_ps256, _mm256_fmadd_ps, _mm256_insertf128_ps, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_shuffle_ps, _mm256_storeu_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
};

/// The products of `EIGHTS` times eight rows of `weight`, which has `d` numbers a row, with `x`, which stands for the
/// numbers of a row from `first` on. Each is added up in order with one rounding a number: a sum waits for the one
/// before it, and the other eights go on meanwhile.
///
/// # Panics
/// If there are fewer rows, or `x` is longer than a row.
#[target_feature(enable = "avx2,fma")]
#[inline]
pub(super) fn products_of_eights<const EIGHTS: usize>(
    x: &[f32],
    weight: &[f32],
    d: usize,
    first: usize,
) -> [[f32; 8]; EIGHTS] {
    assert!(first + x.len() <= d && weight.len() >= 8 * EIGHTS * d);
    let (fours, rest) = x.as_chunks::<4>();
    let mut sums = [_mm256_setzero_ps(); EIGHTS];
    for (four, x) in fours.iter().enumerate() {
        let at = first + 4 * four;
        for (eight, sum) in sums.iter_mut().enumerate() {
            // SAFETY: `at + 4` is at most `first` and the length of `x`, no more than a row has, and there are so many
            // rows.
            let load = |row: usize| unsafe { _mm_loadu_ps(weight.as_ptr().add((8 * eight + row) * d + at)) };
            let pair =
                |row: usize| -> __m256 { _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(load(row)), load(row + 4)) };
            // Four numbers of eight rows are turned over into eight of each.
            let (a, b, c, d) = (pair(0), pair(1), pair(2), pair(3));
            let (low, low_too) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            let (high, high_too) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            *sum = _mm256_fmadd_ps(_mm256_set1_ps(x[0]), _mm256_shuffle_ps::<0x44>(low, low_too), *sum);
            *sum = _mm256_fmadd_ps(_mm256_set1_ps(x[1]), _mm256_shuffle_ps::<0xee>(low, low_too), *sum);
            *sum = _mm256_fmadd_ps(_mm256_set1_ps(x[2]), _mm256_shuffle_ps::<0x44>(high, high_too), *sum);
            *sum = _mm256_fmadd_ps(_mm256_set1_ps(x[3]), _mm256_shuffle_ps::<0xee>(high, high_too), *sum);
        }
    }
    let mut results = [[0.0; 8]; EIGHTS];
    for (result, sum) in results.iter_mut().zip(sums) {
        // SAFETY: there is room for eight numbers.
        unsafe { _mm256_storeu_ps(result.as_mut_ptr(), sum) };
    }
    for (at, &x) in (first + 4 * fours.len()..).zip(rest) {
        for (row, sum) in results.as_flattened_mut().iter_mut().enumerate() {
            *sum = x.mul_add(weight[row * d + at], *sum);
        }
    }
    results
}
