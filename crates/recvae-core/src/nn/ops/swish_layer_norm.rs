//! `layer_norm(swish(a))` over the last dimension: `s = a / (1 + e^-a)`, then `(s - mean) / sqrt(var + eps) * weight + bias`
//! with the biased variance, as the dense encoder of RecVAE has it.

use std::marker::PhantomData;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{contiguous, tensor, with_values};
use crate::nn::matmul::column_sums;
use crate::nn::{dot, simd, sum_of};
use crate::real::Real;

pub(crate) struct SwishLayerNorm<T> {
    epsilon: T,
    type_: PhantomData<T>,
}

impl<T: Real> SwishLayerNorm<T> {
    /// `a` has shape `(batch, width)`, weight and bias have `(width,)`.
    pub(crate) fn apply(a: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f64) -> Result<Tensor> {
        a.apply_op3(weight, bias, Self { epsilon: T::of(epsilon), type_: PhantomData })
    }
}

#[inline(always)]
fn sigmoid<T: Real>(a: T) -> T {
    T::ONE / (T::ONE + (-a).e_to())
}

/// Fills `out` by the normalised swish of a row and gives back 1 / sqrt(var + eps).
#[inline(always)]
fn normalise<T: Real>(a: &[T], out: &mut [T], epsilon: T) -> T {
    let n = T::of(a.len() as f64);
    for (out, &a) in out.iter_mut().zip(a) {
        *out = a * sigmoid(a);
    }
    let mean = sum_of(out, |s| s) / n;
    for out in &mut *out {
        *out -= mean;
    }
    let scale = T::ONE / (sum_of(out, |s| s * s) / n + epsilon).root();
    for out in out {
        *out *= scale;
    }
    scale
}

impl<T: Real> CustomOp3 for SwishLayerNorm<T> {
    fn name(&self) -> &'static str {
        "swish-layer-norm"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let a = contiguous::<T>(a, a_layout)?;
        let (weight, bias) = (contiguous::<T>(weight, weight_layout)?, contiguous::<T>(bias, bias_layout)?);
        let mut out = vec![T::ZERO; a.len()];
        out.par_chunks_mut(weight.len()).zip(a.par_chunks(weight.len())).for_each(|(out, a)| {
            simd(|| {
                normalise(a, out, self.epsilon);
                for ((out, &weight), &bias) in out.iter_mut().zip(weight).zip(bias) {
                    *out = *out * weight + bias;
                }
            });
        });
        Ok((T::to_cpu_storage_owned(out), a_layout.shape().clone()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _out: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let width = weight.elem_count();
        let n = T::of(width as f64);
        with_values(gradient, |gradient: &[T]| {
            let (a_gradient, weight_terms) = with_values(a, |values: &[T]| {
                with_values(weight, |weight: &[T]| {
                    let mut a_gradient = vec![T::ZERO; values.len()];
                    // First the normalised swish, then times the gradient: the terms of the weights' gradient.
                    let mut terms = vec![T::ZERO; values.len()];
                    let rows = a_gradient.par_chunks_mut(width).zip(terms.par_chunks_mut(width));
                    let rows = rows.zip(values.par_chunks(width)).zip(gradient.par_chunks(width));
                    rows.for_each(|(((out, terms), a), gradient)| {
                        simd(|| {
                            let scale = normalise(a, terms, self.epsilon);
                            for ((out, &g), &w) in out.iter_mut().zip(gradient).zip(weight) {
                                *out = g * w;
                            }
                            let (mean, product) = (sum_of(out, |g| g) / n, dot(out, terms) / n);
                            for (((out, &a), normal), &g) in out.iter_mut().zip(a).zip(terms).zip(gradient) {
                                let s = sigmoid(a);
                                let swish_gradient = s * (T::ONE + a * (T::ONE - s));
                                *out = (*out - mean - *normal * product) * scale * swish_gradient;
                                *normal *= g;
                            }
                        });
                    });
                    Ok((tensor(a_gradient, a.dims())?, terms))
                })
            })?;
            let weight_gradient = tensor(column_sums(&weight_terms, width), weight.dims())?;
            let bias_gradient = tensor(column_sums(gradient, width), bias.dims())?;
            Ok((Some(a_gradient), Some(weight_gradient), Some(bias_gradient)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{check_gradients, sample, values};
    use super::*;

    #[test]
    fn gradients_agree_with_differences() {
        check_gradients(&[sample(1, &[3, 6]), sample(2, &[6]), sample(3, &[6])], |t| {
            SwishLayerNorm::<f64>::apply(&t[0], &t[1], &t[2], 0.1)
        });
    }

    #[test]
    fn rows_are_normalised() {
        let a = tensor(sample(4, &[2, 500]).0.iter().map(|v| v * 5.0).collect(), &[2, 500]).unwrap();
        let (ones, zeros) = (tensor(vec![1.0; 500], &[500]).unwrap(), tensor(vec![0.0; 500], &[500]).unwrap());
        let out: Vec<f64> = values(&SwishLayerNorm::<f64>::apply(&a, &ones, &zeros, 0.0).unwrap()).unwrap();
        for row in out.chunks(500) {
            assert!(row.iter().sum::<f64>().abs() < 1e-9);
            assert!((row.iter().map(|v| v * v).sum::<f64>() / 500.0 - 1.0).abs() < 1e-9);
        }
    }
}
