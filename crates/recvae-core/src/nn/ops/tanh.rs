//! Hyperbolic tangent, element by element, by vector instructions.

use std::marker::PhantomData;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{contiguous, tensor, with_values};
use crate::nn::simd;
use crate::real::Real;

const PIECE: usize = 1 << 14;

pub(crate) struct Tanh<T>(PhantomData<T>);

impl<T: Real> Tanh<T> {
    pub(crate) fn apply(x: &Tensor) -> Result<Tensor> {
        x.apply_op1(Self(PhantomData))
    }
}

impl<T: Real> CustomOp1 for Tanh<T> {
    fn name(&self) -> &'static str {
        "tanh"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = contiguous::<T>(x, layout)?;
        let mut y = vec![T::ZERO; x.len()];
        y.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).for_each(|(y, x)| {
            simd(|| {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = T::ONE - T::of(2.0) / ((x + x).e_to() + T::ONE);
                }
            });
        });
        Ok((T::to_cpu_storage_owned(y), layout.shape().clone()))
    }

    fn bwd(&self, _x: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let flat = with_values(gradient, |gradient: &[T]| {
            with_values(y, |y: &[T]| {
                let mut out = vec![T::ZERO; y.len()];
                let pieces = out.par_chunks_mut(PIECE).zip(y.par_chunks(PIECE)).zip(gradient.par_chunks(PIECE));
                pieces.for_each(|((out, y), gradient)| {
                    simd(|| {
                        for ((out, &y), &gradient) in out.iter_mut().zip(y).zip(gradient) {
                            *out = gradient * (T::ONE - y * y);
                        }
                    });
                });
                Ok(out)
            })
        })?;
        tensor(flat, gradient.dims()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{check_gradients, sample, values};
    use super::*;

    #[test]
    fn gradients_agree_with_differences() {
        check_gradients(&[sample(1, &[4, 5])], |t| Tanh::<f64>::apply(&t[0]));
    }

    #[test]
    fn f32_is_close_to_the_library_s() {
        let x: Vec<f32> = (-20_000..20_000).map(|i| i as f32 / 1000.0).collect();
        let y: Vec<f32> = values(&Tanh::<f32>::apply(&tensor(x.clone(), &[x.len()]).unwrap()).unwrap()).unwrap();
        // Near zero 1 - 2 / (e^2x + 1) cancels: the error is absolute, one or two units of eps.
        assert!(x.iter().zip(&y).all(|(x, y)| (x.tanh() - y).abs() < 3.0 * f32::EPSILON));
    }
}
