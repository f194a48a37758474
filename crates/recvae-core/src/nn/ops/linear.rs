//! `y = x W' + b` with `x` of shape `(batch, inputs)`, `W` of `(outputs, inputs)` and `b` of `(outputs,)`.

use std::marker::PhantomData;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{contiguous, tensor, width, with_values};
use crate::nn::matmul::{column_sums, par_matmul, rows, rows_mut};
use crate::real::Real;

pub(crate) struct Linear<T>(PhantomData<T>);

impl<T: Real> Linear<T> {
    pub(crate) fn apply(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
        x.apply_op3(weight, bias, Self(PhantomData))
    }
}

impl<T: Real> CustomOp3 for Linear<T> {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (contiguous::<T>(x, x_layout)?, contiguous::<T>(weight, weight_layout)?);
        let bias = contiguous::<T>(bias, bias_layout)?;
        let (inputs, outputs) = (width(x_layout), bias.len());
        let mut y = vec![T::ZERO; x.len() / inputs * outputs];
        par_matmul(rows_mut(&mut y, outputs), rows(x, inputs), rows(weight, inputs).transpose());
        y.par_chunks_mut(64 * outputs).for_each(|rows| {
            crate::nn::simd(|| {
                for row in rows.chunks_exact_mut(outputs) {
                    row.iter_mut().zip(bias).for_each(|(y, &bias)| *y += bias);
                }
            });
        });
        let shape = Shape::from((y.len() / outputs, outputs));
        Ok((T::to_cpu_storage_owned(y), shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _y: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (outputs, inputs) = weight.dims2()?;
        with_values(gradient, |gradient: &[T]| {
            let x_gradient = with_values(weight, |weight: &[T]| {
                let mut x_gradient = vec![T::ZERO; gradient.len() / outputs * inputs];
                par_matmul(rows_mut(&mut x_gradient, inputs), rows(gradient, outputs), rows(weight, inputs));
                tensor(x_gradient, x.dims())
            })?;
            let weight_gradient = with_values(x, |x: &[T]| {
                let mut weight_gradient = vec![T::ZERO; outputs * inputs];
                let out = rows_mut(&mut weight_gradient, inputs);
                par_matmul(out, rows(gradient, outputs).transpose(), rows(x, inputs));
                tensor(weight_gradient, weight.dims())
            })?;
            let bias_gradient = tensor(column_sums(gradient, outputs), &[outputs])?;
            Ok((Some(x_gradient), Some(weight_gradient), Some(bias_gradient)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{check_gradients, sample, values};
    use super::*;

    #[test]
    fn gradients_agree_with_differences() {
        check_gradients(&[sample(1, &[5, 3]), sample(2, &[4, 3]), sample(3, &[4])], |t| {
            Linear::<f64>::apply(&t[0], &t[1], &t[2])
        });
    }

    #[test]
    fn agrees_with_candle() {
        // More rows and columns than one tile has.
        let make = |seed, shape: &[usize]| {
            let (values, shape) = sample(seed, shape);
            tensor(values, &shape).unwrap()
        };
        let (x, weight, bias) = (make(1, &[300, 70]), make(2, &[200, 70]), make(3, &[200]));
        let ours = Linear::<f64>::apply(&x, &weight, &bias).unwrap();
        let candle = x.matmul(&weight.t().unwrap()).unwrap().broadcast_add(&bias).unwrap();
        let error = (ours - candle).unwrap().abs().unwrap().max_all().unwrap();
        assert!(values::<f64>(&error).unwrap()[0] < 70.0 * f64::EPSILON);
    }
}
