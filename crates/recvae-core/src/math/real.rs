//! The two floating point types that the arithmetic is written for: f32 for use, f64 to be checked against references.

use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};
use std::sync::OnceLock;

use faer::{MatMut, MatRef};

/// f32 or f64.
pub(crate) trait Real:
    faer::traits::RealField
    + bytemuck::Pod
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + Default
    + Copy
    + Send
    + Sync
{
    const ZERO: Self;
    const ONE: Self;
    fn from_f64(number: f64) -> Self;
    fn is_finite(self) -> bool;
    fn is_nan(self) -> bool;
    fn to_f64(self) -> f64;
    fn sqrt(self) -> Self;
    /// Natural logarithm. The f32 form is branch-free, and right for 0 (minus infinity), below 0 and for NaN (NaN) and
    /// for normal numbers: the relative error is below 2e-7 where the logarithm is below -1 or above 1, the absolute
    /// one between. What is subnormal gives -88.1 to -87.3, infinity 88.8.
    fn ln(self) -> Self;
    /// `self * factor + summand`, rounded once.
    fn times_plus(self, factor: Self, summand: Self) -> Self;
    /// The matrix itself in f32; nothing in f64.
    fn as_f32(matrix: MatRef<'_, Self>) -> Option<MatRef<'_, f32>>;
    /// The same, to be written.
    fn as_f32_mut(matrix: MatMut<'_, Self>) -> Option<MatMut<'_, f32>>;
    /// Whether one row's products have the bits that they have among others; see `products.rs`.
    fn row_is_as_in_group() -> &'static OnceLock<bool>;
    /// The larger of two numbers, neither of them NaN.
    fn max(self, other: Self) -> Self;
    /// e to the power of `self`; the f32 form is branch-free so that loops over it use vector instructions. Relative
    /// error below 2e-7 in f32; what would be subnormal becomes the smallest normal number or 0.
    fn exp(self) -> Self;
    /// 2 to the power of `self`, which is no larger than 127; the f32 form is branch-free and made of fused
    /// multiply-adds, which are slow where the processor has none. Relative error below 2e-7 in f32; what would be
    /// subnormal becomes 2^-126. NaN stays NaN.
    fn exp_2(self) -> Self;
    /// The nearest number in bf16, of two as near the even one: the upper half of its bits as an f32. NaN stays NaN.
    fn to_bf16(self) -> u16;
}

macro_rules! real {
    ($type:ty, $exp:expr, $exp_2:expr, $ln:expr, $bf16:expr, $f32:expr) => {
        impl Real for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            #[inline(always)]
            fn from_f64(number: f64) -> Self {
                number as $type
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                self.is_finite()
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                self.is_nan()
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            #[inline(always)]
            fn ln(self) -> Self {
                $ln(self)
            }
            #[inline(always)]
            fn times_plus(self, factor: Self, summand: Self) -> Self {
                self.mul_add(factor, summand)
            }
            fn as_f32(matrix: MatRef<'_, Self>) -> Option<MatRef<'_, f32>> {
                $f32(matrix)
            }
            fn as_f32_mut(matrix: MatMut<'_, Self>) -> Option<MatMut<'_, f32>> {
                $f32(matrix)
            }
            fn row_is_as_in_group() -> &'static OnceLock<bool> {
                static KNOWN: OnceLock<bool> = OnceLock::new();
                &KNOWN
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                if self > other { self } else { other }
            }
            #[inline(always)]
            fn exp(self) -> Self {
                $exp(self)
            }
            #[inline(always)]
            fn exp_2(self) -> Self {
                $exp_2(self)
            }
            #[inline(always)]
            fn to_bf16(self) -> u16 {
                $bf16(self)
            }
        }
    };
}
real!(f64, f64::exp, f64::exp2, f64::ln, |number| bf16_of_f32(number as f32), |_| None);
real!(f32, exp_f32, exp_2_f32, ln_f32, bf16_of_f32, Some);

/// Cody and Waite: x = n ln 2 + r with |r| <= ln 2 / 2; e^r by a polynomial, 2^n by the exponent bits.
#[inline(always)]
fn exp_f32(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to a whole number, held in the low bits
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let bounded = if x > -87.3 { x } else { -87.3 };
    let bounded = if bounded < 88.3 { bounded } else { 88.3 };
    let shifted = bounded * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = bounded - n * LN_2_HIGH - n * LN_2_LOW;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    // A NaN fails both comparisons above and would come out as a number.
    if x.is_nan() { x } else { p * power }
}

/// What [`Real::exp_2`] of an f32 is made of.
pub(super) struct Exp2 {
    /// 1.5 * 2^23: adding it rounds to a whole number, held in the low bits.
    pub(super) round: f32,
    pub(super) least: f32,
    /// Of a polynomial in f from -1/2 to 1/2 that is near 2^f, that of the highest power first.
    pub(super) terms: [f32; 7],
}

pub(super) const EXP_2: Exp2 = Exp2 {
    round: 12_582_912.0,
    least: -126.0,
    terms: [1.535_336_2e-4, 1.339_887_4e-3, 9.618_437e-3, 5.550_332_5e-2, 2.402_264_8e-1, 6.931_472e-1, 1.0],
};

/// x = n + f with |f| <= 1/2; 2^f by a polynomial, 2^n by the exponent bits.
#[inline(always)]
fn exp_2_f32(x: f32) -> f32 {
    // A NaN fails the comparison, and stays.
    let x = if x < EXP_2.least { EXP_2.least } else { x };
    let shifted = x + EXP_2.round;
    let f = x - (shifted - EXP_2.round);
    let [first, rest @ ..] = EXP_2.terms;
    let mut p = first;
    for term in rest {
        p = p.mul_add(f, term);
    }
    p * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

#[inline(always)]
fn bf16_of_f32(x: f32) -> u16 {
    let bits = x.to_bits();
    // A NaN whose upper half is infinity's would become that.
    ((if x.is_nan() { bits | 0x0040_0000 } else { rounded_to_bf16(bits) }) >> 16) as u16
}

/// The bits of a number whose upper half are those of the nearest one in bf16, of two as near the even one. Half a unit
/// of what stays, less one where that is even, carries into it or not. The sum wraps for NaN alone, of which anything
/// may become.
#[inline(always)]
pub(crate) fn rounded_to_bf16(bits: u32) -> u32 {
    bits.wrapping_add(0x7fff + (bits >> 16 & 1))
}

/// x = 2^n m with m from sqrt(1/2) to sqrt(2); ln x = n ln 2 + ln m, the latter by a polynomial in m - 1.
#[inline(always)]
fn ln_f32(x: f32) -> f32 {
    let bits = x.to_bits();
    let n = (bits >> 23) as i32 - 126;
    let m = f32::from_bits(bits & 0x007f_ffff | 0x3f00_0000);
    let small = m < std::f32::consts::FRAC_1_SQRT_2;
    let n = (if small { n - 1 } else { n }) as f32;
    let m = (if small { m + m } else { m }) - 1.0;
    let square = m * m;
    let p = 7.037_683_6e-2;
    let p = p * m - 1.151_461e-1;
    let p = p * m + 1.167_699_9e-1;
    let p = p * m - 1.242_014_1e-1;
    let p = p * m + 1.424_932_3e-1;
    let p = p * m - 1.666_805_8e-1;
    let p = p * m + 2.000_071_5e-1;
    let p = p * m - 2.499_999_4e-1;
    let p = p * m + 3.333_333e-1;
    let rest = p * m * square - 2.121_944_4e-4 * n - 0.5 * square;
    let result = m + rest + 0.693_359_4 * n;
    // What has no logarithm: minus infinity for 0, NaN below it and for NaN.
    let result = if x == 0.0 { f32::NEG_INFINITY } else { result };
    if x >= 0.0 { result } else { f32::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_close_to_the_library_s() {
        let mut worst = 0f64;
        for step in -87_000..88_000 {
            let x = step as f32 / 1000.0;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(Real::exp(x)) - exact).abs() / exact);
        }
        assert!(worst < 2e-7, "{worst}");
        assert_eq!(Real::exp(0f32), 1.0);
        assert!(Real::exp(f32::NAN).is_nan());
        assert!(Real::exp(f32::NEG_INFINITY) < 1e-37);
        assert!(Real::exp(f32::INFINITY) > 1e38);
    }

    #[test]
    fn power_of_two_is_close_to_the_library_s() {
        let mut worst = 0f64;
        for step in -126_000..127_000 {
            let x = step as f32 / 1000.0;
            let exact = f64::from(x).exp2();
            worst = worst.max((f64::from(Real::exp_2(x)) - exact).abs() / exact);
        }
        assert!(worst < 2e-7, "{worst}");
        assert!((-126..=127).all(|n| Real::exp_2(n as f32) == (n as f32).exp2()));
        assert!(Real::exp_2(f32::NAN).is_nan());
        assert_eq!(Real::exp_2(f32::NEG_INFINITY), f32::MIN_POSITIVE);
    }

    #[test]
    fn logarithm_is_close_to_the_library_s() {
        let mut worst = 0f64;
        for step in 1..200_000u32 {
            for x in [step as f32 / 1000.0, step as f32 * 1e30, step as f32 * 1e-30] {
                let exact = f64::from(x).ln();
                worst = worst.max((f64::from(Real::ln(x)) - exact).abs() / exact.abs().max(1.0));
            }
        }
        assert!(worst < 2e-7, "{worst}");
        assert_eq!(Real::ln(1f32), 0.0);
        assert_eq!(Real::ln(0f32), f32::NEG_INFINITY);
        assert!(Real::ln(-1f32).is_nan() && Real::ln(f32::NAN).is_nan());
        // The ends of the normal numbers, and what lies beyond.
        for x in [f32::MIN_POSITIVE, f32::MAX] {
            let exact = f64::from(x).ln();
            assert!((f64::from(Real::ln(x)) - exact).abs() < 2e-7 * exact.abs(), "{x}");
        }
        for bits in [1, 2, 3, 0x400, 0x3f_ffff, 0x40_0000, 0x7f_ffff] {
            let result = Real::ln(f32::from_bits(bits));
            assert!((-88.1..=-87.3).contains(&result), "{bits}: {result}");
        }
        assert!((88.7..88.8).contains(&Real::ln(f32::INFINITY)));
    }

    #[test]
    fn bf16_is_the_nearest_and_of_two_the_even_one() {
        let number = |bits: u16| f32::from_bits(u32::from(bits) << 16);
        let cases = [
            (1.0, 0x3f80),
            (-2.5, 0xc020),
            // Halfway between two: to the even one, up and down; a little more or less than halfway.
            (f32::from_bits(0x3f80_8000), 0x3f80),
            (f32::from_bits(0x3f81_8000), 0x3f82),
            (f32::from_bits(0x3f80_8001), 0x3f81),
            (f32::from_bits(0x3f81_7fff), 0x3f81),
            (f32::MAX, 0x7f80),
            (f32::NEG_INFINITY, 0xff80),
            (f32::from_bits(1), 0),
        ];
        for (x, bits) in cases {
            assert_eq!(x.to_bf16(), bits, "{x}");
            assert_eq!(f64::from(x).to_bf16(), bits, "{x}");
        }
        for nan in [f32::NAN, f32::from_bits(0x7f80_0001), f32::from_bits(0xffff_ffff)] {
            assert!(number(nan.to_bf16()).is_nan());
        }
        // 8 bits of precision: half a unit is 2^-8 of the number at most.
        assert!((1..10_000).all(|n| (number((n as f32).to_bf16()) - n as f32).abs() <= n as f32 / 256.0));
    }
}
