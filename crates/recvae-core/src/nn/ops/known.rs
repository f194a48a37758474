//! A value per row whose gradient with respect to the row was computed along with it.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{tensor, with_values};
use crate::real::Real;

/// Maps `x` of shape `(batch, width)` to `value` of shape `(batch,)`, whatever `x` holds: the caller computed both
/// `value` and its `gradient`, of the shape of `x`, from it.
pub(crate) struct Known<T> {
    value: Vec<T>,
    gradient: Vec<T>,
}

impl<T: Real> Known<T> {
    pub(crate) fn apply(x: &Tensor, value: Vec<T>, gradient: Vec<T>) -> Result<Tensor> {
        if x.elem_count() != gradient.len() || x.dim(0)? != value.len() {
            bail!("{} values and {} gradients for {:?}", value.len(), gradient.len(), x.shape());
        }
        x.apply_op1(Self { value, gradient })
    }
}

impl<T: Real> CustomOp1 for Known<T> {
    fn name(&self) -> &'static str {
        "known"
    }

    fn cpu_fwd(&self, _x: &CpuStorage, _layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((T::to_cpu_storage(&self.value), Shape::from(self.value.len())))
    }

    fn bwd(&self, x: &Tensor, _value: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let width = self.gradient.len() / self.value.len();
        let mut out = self.gradient.clone();
        with_values(gradient, |gradient: &[T]| {
            out.par_chunks_mut(width).zip(gradient).for_each(|(row, &gradient)| {
                row.iter_mut().for_each(|value| *value *= gradient);
            });
            Ok(())
        })?;
        tensor(out, x.dims()).map(Some)
    }
}
