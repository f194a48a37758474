//! Dense layers on a tile of users: forward and backward, on the thread that calls.
//!
//! Matrices are row-major slices with one row per user. Weights have shape `(outputs, inputs)`.

use ndarray::{ArrayView2, ArrayViewMut2};

use crate::math::matmul::{matmul, to_faer, to_faer_mut};
use crate::math::products::products;
use crate::math::real::Real;
use crate::math::vectorised::{add_to_rows, dot, sum_of, vectorised};

/// `out = x W' + b`, each row from its own row of `x` alone.
pub(super) fn linear<T: Real>(x: &[T], weight: &[T], bias: &[T], out: &mut [T]) {
    products(x, weight, weight.len() / bias.len(), out);
    add_to_rows(out, bias);
}

/// The gradient of [`linear`] with respect to `x`.
pub(super) fn linear_backward<T: Real>(
    gradient: ArrayView2<'_, T>,
    weight: ArrayView2<'_, T>,
    x_gradient: ArrayViewMut2<'_, T>,
) {
    matmul(to_faer_mut(x_gradient), to_faer(gradient), to_faer(weight));
}

#[inline(always)]
fn sigmoid<T: Real>(a: T) -> T {
    T::ONE / (T::ONE + (-a).exp())
}

/// Brings `out`, the swish of a row, `a / (1 + e^-a)`, to mean 0 and variance 1, and gives back
/// `1 / sqrt(variance + epsilon)`.
#[inline(always)]
fn normalise<T: Real>(out: &mut [T], epsilon: T) -> T {
    let n = T::from_f64(out.len() as f64);
    let mean = sum_of(out, |s| s) / n;
    for out in &mut *out {
        *out -= mean;
    }
    let scale = T::ONE / (sum_of(out, |s| s * s) / n + epsilon).sqrt();
    for out in out {
        *out *= scale;
    }
    scale
}

/// Weight, bias and epsilon of a layer norm.
#[derive(Clone, Copy)]
pub(super) struct LayerNorm<'a, T> {
    pub(super) weight: &'a [T],
    pub(super) bias: &'a [T],
    pub(super) epsilon: T,
}

vectorised! {
    /// Replaces each number by its hyperbolic tangent.
    pub(super) fn tanh(values: &mut [T]) {
        for value in values {
            *value = T::ONE - T::from_f64(2.0) / ((*value + *value).exp() + T::ONE);
        }
    }

    /// Multiplies the gradient with respect to `y = tanh(x)` by the derivative, `1 - y^2`.
    pub(super) fn tanh_backward(y: &[T], gradient: &mut [T]) {
        gradient.iter_mut().zip(y).for_each(|(gradient, &y)| *gradient *= T::ONE - y * y);
    }

    /// `out = layer_norm(swish(a))` row by row, with the biased variance.
    pub(super) fn swish_layer_norm(a: &[T], norm: LayerNorm<'_, T>, out: &mut [T]) {
        let width = norm.weight.len();
        for (a, out) in a.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            out.iter_mut().zip(a).for_each(|(out, &a)| *out = a * sigmoid(a));
            normalise(out, norm.epsilon);
            for ((out, &weight), &bias) in out.iter_mut().zip(norm.weight).zip(norm.bias) {
                *out = *out * weight + bias;
            }
        }
    }

    /// Turns the gradient with respect to the output of [`swish_layer_norm`] into that with respect to `a`, and adds
    /// the gradients of weight and bias to theirs. `room` is for two rows.
    pub(super) fn swish_layer_norm_backward(
        a: &[T],
        norm: LayerNorm<'_, T>,
        gradient: &mut [T],
        weight_gradient: &mut [T],
        bias_gradient: &mut [T],
        room: &mut [T],
    ) {
        let width = norm.weight.len();
        let n = T::from_f64(width as f64);
        let (normal, sigmoids) = room.split_at_mut(width);
        for (a, gradient) in a.chunks_exact(width).zip(gradient.chunks_exact_mut(width)) {
            for ((normal, sigmoid_of), &a) in normal.iter_mut().zip(&mut *sigmoids).zip(a) {
                *sigmoid_of = sigmoid(a);
                *normal = a * *sigmoid_of;
            }
            let scale = normalise(normal, norm.epsilon);
            for ((bias, weight), (&normal, &g)) in
                bias_gradient.iter_mut().zip(&mut *weight_gradient).zip(normal.iter().zip(&*gradient))
            {
                *bias += g;
                *weight += g * normal;
            }
            gradient.iter_mut().zip(norm.weight).for_each(|(g, &weight)| *g *= weight);
            let (mean, product) = (sum_of(gradient, |g| g) / n, dot(gradient, normal) / n);
            for (((g, &a), &normal), &s) in gradient.iter_mut().zip(a).zip(&*normal).zip(&*sigmoids) {
                *g = (*g - mean - normal * product) * scale * (s * (T::ONE + a * (T::ONE - s)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Stream;

    #[test]
    fn rows_are_normalised() {
        let mut random = Stream::new(4, 0);
        let a: Vec<f64> = (0..1000).map(|_| 3.0 * random.normal()).collect();
        let mut out = vec![0.0; a.len()];
        let norm = LayerNorm { weight: &[1.0; 500], bias: &[0.0; 500], epsilon: 0.0 };
        swish_layer_norm(&a, norm, &mut out);
        for row in out.chunks(500) {
            assert!(row.iter().sum::<f64>().abs() < 1e-9);
            assert!((row.iter().map(|v| v * v).sum::<f64>() / 500.0 - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn tanh_in_f32_is_close_to_the_library_s() {
        let x: Vec<f32> = (-20_000..20_000).map(|i| i as f32 / 1000.0).collect();
        let mut y = x.clone();
        tanh(&mut y);
        // Near zero 1 - 2 / (e^2x + 1) cancels: the error is absolute, a few units of eps.
        assert!(x.iter().zip(&y).all(|(x, y)| (x.tanh() - y).abs() < 3.0 * f32::EPSILON));
    }
}
