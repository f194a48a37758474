//! Cosines of vectors.

use rayon::prelude::*;

use crate::math::real::Real;
use crate::math::vectorised::{dot, vectorised};

/// How much the direction of `vector` is that of each of the others: the cosine, 0 where one of the two is zero. It lies
/// from -1 to 1, as rounding alone would not have it.
pub(crate) fn cosines<'a>(vector: &[f32], others: impl IndexedParallelIterator<Item = &'a [f32]>) -> Vec<f32> {
    let scale = over_norm(1.0, vector);
    let unit: Vec<f32> = vector.iter().map(|&value| value * scale).collect();
    others.map(|other| over_norm(product(&unit, other), other).clamp(-1.0, 1.0)).collect()
}

/// A number divided by the length of a vector.
fn over_norm(number: f32, vector: &[f32]) -> f32 {
    let norm = product(vector, vector).sqrt();
    if norm > 0.0 { number / norm } else { 0.0 }
}

vectorised! {
    /// Scalar product.
    fn product(a: &[T], b: &[T]) -> T {
        dot(a, b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_of_known_angles() {
        let others: [&[f32]; 5] = [&[6.0, 8.0], &[-3.0, -4.0], &[4.0, -3.0], &[0.0, 0.0], &[0.0, 2.0]];
        let out = cosines(&[3.0, 4.0], others.into_par_iter());
        assert!(out.iter().zip([1.0, -1.0, 0.0, 0.0, 0.8]).all(|(ours, right)| (ours - right).abs() < 1e-6), "{out:?}");
        // Rounding alone would have some of these beyond 1.
        for n in 1..200 {
            let vector: Vec<f32> = (0..16).map(|at| ((at * n) as f32 * 0.37).sin()).collect();
            let opposite: Vec<f32> = vector.iter().map(|value| -0.7 * value).collect();
            let found = cosines(&vector, [&vector[..], &opposite].into_par_iter());
            assert!((0.999_999..=1.0).contains(&found[0]) && (-1.0..=-0.999_999).contains(&found[1]), "{found:?}");
        }
        assert_eq!(cosines(&[0.0, 0.0], others.into_par_iter()), [0.0; 5]);
    }
}
