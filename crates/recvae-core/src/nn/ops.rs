//! What goes between our numbers and candle's tensors, and the operations between encoder and decoder.
//!
//! Every operation on the tape is our own and has its own backward. Two traps of candle 0.11 are the reason: its fused
//! layer norm passes no gradient and says nothing, and its element-wise operations on more than 65,536 numbers run in a
//! spinning thread pool of its own that `threads` does not reach. All are tested against finite differences.

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, bail};

use crate::real::Real;

mod loss;
mod sample;

pub(crate) use loss::Loss;
pub(crate) use sample::{CompositePrior, Prior, Sample};

/// The numbers of a contiguous tensor.
pub(crate) fn contiguous<'a, T: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&T::cpu_storage_as_slice(storage)?[start..end]),
        None => bail!("a tensor of shape {:?} is not contiguous", layout.shape()),
    }
}

/// Calls `f` with the numbers of a tensor.
pub(crate) fn with_values<T: Real, R>(tensor: &Tensor, f: impl FnOnce(&[T]) -> Result<R>) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => f(contiguous(storage, layout)?),
        _ => bail!("a tensor is not on the CPU"),
    }
}

/// A copy of the numbers of a tensor.
pub(crate) fn values<T: Real>(tensor: &Tensor) -> Result<Vec<T>> {
    with_values(tensor, |values: &[T]| Ok(values.to_vec()))
}

/// A tensor on the CPU.
pub(crate) fn tensor<T: Real>(values: Vec<T>, shape: &[usize]) -> Result<Tensor> {
    Tensor::from_vec(values, shape, &candle_core::Device::Cpu)
}

/// Compares the gradients that `f` has on the tape with central differences, in f64, and asserts that none is missing or
/// all zeros. `f` maps tensors to any tensor; what is differentiated is a weighted sum of its elements.
#[cfg(test)]
pub(crate) fn check_gradients(inputs: &[(Vec<f64>, Vec<usize>)], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    use candle_core::Var;
    let weighted = |tensors: &[Tensor]| {
        let out = f(tensors).unwrap();
        let weights: Vec<f64> = (0..out.elem_count()).map(|i| 1.0 + (i as f64).sin()).collect();
        (out.clone() * tensor(weights, out.dims()).unwrap()).unwrap().sum_all().unwrap()
    };
    let make = |inputs: &[(Vec<f64>, Vec<usize>)]| -> Vec<Var> {
        inputs.iter().map(|(v, s)| Var::from_tensor(&tensor(v.clone(), s).unwrap()).unwrap()).collect()
    };
    let vars = make(inputs);
    let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let gradients = weighted(&tensors).backward().unwrap();
    for (which, var) in vars.iter().enumerate() {
        let gradient: Vec<f64> =
            values(gradients.get(var).unwrap_or_else(|| panic!("no gradient of {which}"))).unwrap();
        assert!(gradient.iter().any(|g| *g != 0.0), "gradient of {which} is zero");
        for (at, &slope) in gradient.iter().enumerate() {
            let step = 1e-5;
            let moved = |by: f64| {
                let mut inputs = inputs.to_vec();
                inputs[which].0[at] += by;
                let tensors: Vec<Tensor> = make(&inputs).iter().map(|var| var.as_tensor().clone()).collect();
                weighted(&tensors).to_scalar::<f64>().unwrap()
            };
            let difference = (moved(step) - moved(-step)) / (2.0 * step);
            // Central differences err by step^2 times the third derivative, and by eps / step: both near 1e-10.
            assert!(
                (difference - slope).abs() < 1e-7 * (1.0 + difference.abs()),
                "input {which}, element {at}: {difference} against {slope}"
            );
        }
    }
}

/// Numbers for tests, between -1 and 1.
#[cfg(test)]
pub(crate) fn sample(seed: u64, shape: &[usize]) -> (Vec<f64>, Vec<usize>) {
    let mut random = crate::random::Stream::new(seed, 0);
    ((0..shape.iter().product()).map(|_| 2.0 * random.uniform() - 1.0).collect(), shape.to_vec())
}
