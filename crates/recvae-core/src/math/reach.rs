//! Which of many scores reach a bar, as bits: what the compiler makes of it takes one score after the other.
#![allow(unsafe_code)]

/// Scores of a group.
pub(crate) const LANES: usize = 64;

/// Of each group of scores the bits of those that are no less than `least`, the first score's lowest. There is room for
/// as many groups as there are.
pub(crate) fn reaching(scores: &[f32], least: f32, bits: &mut [u64]) {
    assert_eq!(bits.len(), scores.len().div_ceil(LANES), "groups of {} scores", scores.len());
    #[cfg(target_arch = "x86_64")]
    if super::vectorised::level() == super::vectorised::Level::Avx512 {
        // SAFETY: `level` saw AVX-512.
        unsafe { avx_512(scores, least, bits) };
        return;
    }
    plain(scores, least, bits);
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

fn plain(scores: &[f32], least: f32, bits: &mut [u64]) {
    for (bits, scores) in bits.iter_mut().zip(scores.chunks(LANES)) {
        *bits = scores.iter().enumerate().fold(0, |bits, (lane, &score)| bits | u64::from(score >= least) << lane);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx_512(scores: &[f32], least: f32, bits: &mut [u64]) {
    use std::arch::x86_64::{_CMP_GE_OQ, _mm512_cmp_ps_mask, _mm512_loadu_ps, _mm512_set1_ps};
    let least_of_all = _mm512_set1_ps(least);
    for (bits, scores) in bits.iter_mut().zip(scores.chunks(LANES)) {
        let (vectors, rest) = scores.as_chunks::<16>();
        *bits = rest.iter().rev().fold(0, |bits, &score| bits << 1 | u64::from(score >= least));
        for vector in vectors.iter().rev() {
            // SAFETY: there are as many numbers as the register holds.
            let scores = unsafe { _mm512_loadu_ps(vector.as_ptr()) };
            *bits = *bits << 16 | u64::from(_mm512_cmp_ps_mask::<_CMP_GE_OQ>(scores, least_of_all));
        }
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
            for least in [-1.0, -0.0, 0.0, 1.0, f32::MIN, f32::INFINITY] {
                let mut bits = [vec![7; n.div_ceil(LANES)], vec![9; n.div_ceil(LANES)]];
                reaching(&scores, least, &mut bits[0]);
                plain(&scores, least, &mut bits[1]);
                assert_eq!(bits[0], bits[1]);
                let mut places = vec![];
                for_each_place(&bits[0], |place| places.push(place));
                assert!(places.into_iter().eq((0..n).filter(|&place| scores[place] >= least)), "{n}, {least}");
            }
        }
    }
}
