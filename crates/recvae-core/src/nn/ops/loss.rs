//! The loss of a batch, whose gradient was computed along with it.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{tensor, values};
use crate::real::Real;

/// Maps rows to one number, whatever they hold: the caller computed from them both the number and its gradient, of the
/// shape of the rows.
pub(crate) struct Loss<T> {
    pub(crate) value: T,
    pub(crate) gradient: Vec<T>,
}

impl<T: Real> Loss<T> {
    pub(crate) fn apply(self, rows: &Tensor) -> Result<Tensor> {
        rows.apply_op1(self)
    }
}

impl<T: Real> CustomOp1 for Loss<T> {
    fn name(&self) -> &'static str {
        "loss"
    }

    fn cpu_fwd(&self, _rows: &CpuStorage, _layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((T::to_cpu_storage(&[self.value]), Shape::from(())))
    }

    fn bwd(&self, rows: &Tensor, _value: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let scale: T = values::<T>(gradient)?[0];
        let mut out = self.gradient.clone();
        out.par_iter_mut().with_min_len(1 << 14).for_each(|value| *value *= scale);
        tensor(out, rows.dims()).map(Some)
    }
}
