//! Loops by the widest vector instructions that the processor at hand has.
//!
//! A published binary has to run on every x86-64 processor, so the compiler may not use AVX2 or AVX-512 by itself.
//! [`vectorised!`] compiles a function three times and picks one when it is called. Rounding does not depend on the
//! pick: nothing is fused or reordered, and the tests compare the bits.

use crate::math::real::Real;

/// Declares functions over slices of a [`Real`] type; see the module's text. The body must not allocate or call
/// anything that is not `#[inline(always)]`, or that part stays scalar.
macro_rules! vectorised {
    ($($(#[$attribute:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block)+) => {$(
        $(#[$attribute])*
        #[allow(unsafe_code, clippy::too_many_arguments)]
        $visibility fn $name<T: Real>($($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn plain<T: Real>($($argument: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx_512<T: Real>($($argument: $type),*) $(-> $result)? {
                    plain($($argument),*)
                }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx_2<T: Real>($($argument: $type),*) $(-> $result)? {
                    plain($($argument),*)
                }
                match $crate::math::vectorised::level() {
                    // SAFETY: `level` saw every feature that the function is compiled for.
                    $crate::math::vectorised::Level::Avx512 => return unsafe { avx_512($($argument),*) },
                    // SAFETY: as above.
                    $crate::math::vectorised::Level::Avx2 => return unsafe { avx_2($($argument),*) },
                    $crate::math::vectorised::Level::Baseline => {}
                }
            }
            plain($($argument),*)
        }
    )+};
}
pub(crate) use vectorised;

/// What the processor has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Avx512,
    Avx2,
    Baseline,
}

/// The best level here. The tests can ask for less on their thread.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn level() -> Level {
    use std::arch::is_x86_feature_detected as has;
    #[cfg(test)]
    if let Some(level) = tests::FORCED.get() {
        return level;
    }
    if !(has!("avx2") && has!("fma")) {
        Level::Baseline
    } else if has!("avx512f") && has!("avx512dq") && has!("avx512vl") && has!("avx512bw") {
        Level::Avx512
    } else {
        Level::Avx2
    }
}

/// The name of the instructions that loops are compiled for here: `avx512`, `avx2` or `baseline`, what every processor
/// has.
#[must_use]
pub fn processor_level() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    return match level() {
        Level::Avx512 => "avx512",
        Level::Avx2 => "avx2",
        Level::Baseline => "baseline",
    };
    #[cfg(not(target_arch = "x86_64"))]
    "baseline"
}

/// Sum in sixteen lanes, so that it uses vector instructions without leaving its order to the compiler.
#[inline(always)]
pub(crate) fn sum_of<T: Real>(values: &[T], map: impl Fn(T) -> T) -> T {
    let mut lanes = [T::ZERO; 16];
    let (whole, rest) = values.as_chunks::<16>();
    for chunk in whole {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += map(value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane += map(value);
    }
    lanes.iter().fold(T::ZERO, |sum, &lane| sum + lane)
}

/// The same of what becomes of two numbers.
#[inline(always)]
pub(crate) fn sum_of_pairs<T: Real>(a: &[T], b: &[T], map: impl Fn(T, T) -> T) -> T {
    let mut lanes = [T::ZERO; 16];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += map(a, b);
        }
    }
    for ((lane, &a), &b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane += map(a, b);
    }
    lanes.iter().fold(T::ZERO, |sum, &lane| sum + lane)
}

/// Scalar product, likewise.
#[inline(always)]
pub(crate) fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    sum_of_pairs(a, b, |a, b| a * b)
}

/// Asks the processor for numbers that are read soon.
#[inline(always)]
pub(crate) fn prefetch<T>(values: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks(64 / size_of::<T>()) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction, which changes nothing that a program can see.
        #[allow(unsafe_code)]
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

vectorised! {
    /// `sum += values`.
    pub(crate) fn add(sum: &mut [T], values: &[T]) {
        sum.iter_mut().zip(values).for_each(|(sum, &value)| *sum += value);
    }

    /// `sum += factor * values`.
    pub(crate) fn add_scaled(sum: &mut [T], values: &[T], factor: T) {
        sum.iter_mut().zip(values).for_each(|(sum, &value)| *sum += value * factor);
    }

    /// `values *= factors`, number by number.
    pub(crate) fn multiply(values: &mut [T], factors: &[T]) {
        values.iter_mut().zip(factors).for_each(|(value, &factor)| *value *= factor);
    }

    /// `values *= factor`.
    pub(crate) fn scale(values: &mut [T], factor: T) {
        values.iter_mut().for_each(|value| *value *= factor);
    }

    /// Adds `row` to each row of a matrix.
    pub(crate) fn add_to_rows(matrix: &mut [T], row: &[T]) {
        for out in matrix.chunks_exact_mut(row.len()) {
            out.iter_mut().zip(row).for_each(|(out, &value)| *out += value);
        }
    }

    /// Adds `row` to each row of a matrix, and then the rows of another one of its shape.
    pub(crate) fn add_to_rows_and_rows(matrix: &mut [T], row: &[T], other: &[T]) {
        let width = row.len();
        for (out, other) in matrix.chunks_exact_mut(width).zip(other.chunks_exact(width)) {
            for ((out, &value), &other) in out.iter_mut().zip(row).zip(other) {
                *out = *out + value + other;
            }
        }
    }

    /// Adds the rows of a matrix to `sum`.
    pub(crate) fn add_rows(sum: &mut [T], matrix: &[T]) {
        for row in matrix.chunks_exact(sum.len()) {
            sum.iter_mut().zip(row).for_each(|(sum, &value)| *sum += value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Stream;

    thread_local! {
        pub(super) static FORCED: std::cell::Cell<Option<Level>> = const { std::cell::Cell::new(None) };
    }

    vectorised! {
        /// Everything that kernels do: elementary functions, roots, division, sums.
        fn sample_kernel(a: &[T], out: &mut [T]) -> T {
            for (out, &a) in out.iter_mut().zip(a) {
                *out = a.exp() / (T::ONE + (a * a).sqrt()) + (a * a + T::ONE).ln();
            }
            sum_of(out, |value| value * value) + dot(a, out)
        }
    }

    #[test]
    fn every_level_gives_the_same_bits() {
        fn check<T: Real>() {
            let mut random = Stream::new(1, 0);
            let a: Vec<T> = (0..1003).map(|_| T::from_f64(3.0 * random.normal())).collect();
            let run = |level| {
                FORCED.set(level);
                let mut out = vec![T::ZERO; a.len()];
                let sum = sample_kernel(&a, &mut out);
                FORCED.set(None);
                (sum.to_f64().to_bits(), out.iter().map(|value| value.to_f64().to_bits()).collect::<Vec<_>>())
            };
            let best = run(None);
            assert!(best == run(Some(Level::Baseline)));
            if level() != Level::Baseline {
                assert!(best == run(Some(Level::Avx2)));
            }
        }
        check::<f32>();
        check::<f64>();
    }
}
