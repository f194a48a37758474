//! Which of many scores reach a bar, as bits: what the compiler makes of it takes one score after the other.
#![allow(unsafe_code)]

/// Scores of a group.
pub(crate) const LANES: usize = 64;

/// Of each group of scores, with the items' biases if there are some, the bits of those that are no less than `least`,
/// the first score's lowest. There is room for as many groups as there are.
pub(crate) fn reaching(scores: &[f32], biases: Option<&[f32]>, least: f32, bits: &mut [u64]) {
    assert_eq!(bits.len(), scores.len().div_ceil(LANES), "groups of {} scores", scores.len());
    assert!(biases.is_none_or(|biases| biases.len() == scores.len()), "a bias for each of {} scores", scores.len());
    #[cfg(target_arch = "x86_64")]
    if super::vectorised::level() == super::vectorised::Level::Avx512 {
        // SAFETY: `level` saw AVX-512.
        unsafe { avx_512(scores, biases, least, bits) };
        return;
    }
    plain(scores, biases, least, bits);
}

/// Hands the places of the bits of such groups to `each`, in order.
#[inline(always)]
pub(crate) fn for_each_place(bits: &[u64], mut each: impl FnMut(usize)) {
    for (group, &(mut bits)) in bits.iter().enumerate() {
        while bits != 0 {
            each(group * LANES + bits.trailing_zeros() as usize);
            bits &= bits - 1;
        }
    }
}

fn plain(scores: &[f32], biases: Option<&[f32]>, least: f32, bits: &mut [u64]) {
    bits.fill(0);
    for (at, &score) in scores.iter().enumerate() {
        let score = biases.map_or(score, |biases| score + biases[at]);
        bits[at / LANES] |= u64::from(score >= least) << (at % LANES);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx_512(scores: &[f32], biases: Option<&[f32]>, least: f32, bits: &mut [u64]) {
    use std::arch::x86_64::{
        __m512, __mmask16, _CMP_GE_OQ, _mm512_add_ps, _mm512_mask_cmp_ps_mask, _mm512_maskz_loadu_ps, _mm512_set1_ps,
    };
    const VECTOR: usize = 16;
    let least = _mm512_set1_ps(least);
    // The vectors of a group, of which the lanes of the masks are there.
    let group = |first: usize, there: [__mmask16; LANES / VECTOR]| {
        let vector = |all: &[f32], at: usize| -> __m512 {
            // SAFETY: what the mask leaves out is not read, and the other lanes are within the numbers.
            unsafe { _mm512_maskz_loadu_ps(there[at], all.as_ptr().wrapping_add(first + at * VECTOR)) }
        };
        (0..there.len()).rev().fold(0, |bits, at| {
            let scores = vector(scores, at);
            let scores = biases.map_or(scores, |biases| _mm512_add_ps(scores, vector(biases, at)));
            bits << VECTOR | u64::from(_mm512_mask_cmp_ps_mask::<_CMP_GE_OQ>(there[at], scores, least))
        })
    };
    let (whole, rest) = (scores.len() / LANES, scores.len() % LANES);
    for (number, bits) in bits.iter_mut().enumerate() {
        *bits = if number < whole {
            group(number * LANES, [__mmask16::MAX; LANES / VECTOR])
        } else {
            let lanes = |at: usize| rest.saturating_sub(at * VECTOR).min(VECTOR);
            group(number * LANES, std::array::from_fn(|at| ((1u32 << lanes(at)) - 1) as __mmask16))
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Stream;

    #[test]
    fn bits_are_those_of_the_scores_one_by_one() {
        let mut random = Stream::new(3, 0);
        let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1.0, f32::MIN, 1e-40];
        for n in (0usize..200).chain([256, 300]) {
            let scores: Vec<f32> = (0..n)
                .map(|_| match random.below(3) {
                    0 => special[random.below(8) as usize],
                    _ => random.normal() as f32,
                })
                .collect();
            let biases: Vec<f32> = (0..n).map(|_| random.normal() as f32).collect();
            for (least, biases) in [-1.0, -0.0, 0.0, 1.0, f32::MIN, f32::INFINITY]
                .into_iter()
                .zip([None, Some(&biases[..])].into_iter().cycle())
            {
                let score = |at: usize| biases.map_or(scores[at], |biases| scores[at] + biases[at]);
                let expected: Vec<usize> = (0..n).filter(|&at| score(at) >= least).collect();
                let mut bits = [vec![7; n.div_ceil(LANES)], vec![9; n.div_ceil(LANES)]];
                reaching(&scores, biases, least, &mut bits[0]);
                plain(&scores, biases, least, &mut bits[1]);
                for bits in bits {
                    let mut places = vec![];
                    for_each_place(&bits, |place| places.push(place));
                    assert_eq!(places, expected, "{n}, {least}");
                }
            }
        }
    }
}
