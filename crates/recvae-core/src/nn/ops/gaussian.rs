//! The KL term of a Gaussian posterior per user: analytic against N(0, I), or one sample's worth against RecVAE's composite
//! prior.
//!
//! All tensors have shape `(batch, latent_dim)`; the result has `(batch,)` and is not weighted. Posteriors are given by
//! mean and logarithm of the variance.

use std::marker::PhantomData;

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{contiguous, tensor, width, with_values};
use crate::nn::simd;
use crate::real::Real;

/// `KL(N(mu, sigma^2) || N(0, I))` = half the sum of `mu^2 + sigma^2 - 1 - log sigma^2`.
///
/// Source: Kingma and Welling, "Auto-Encoding Variational Bayes", 2014, appendix B, arXiv 1312.6114.
pub(crate) struct StandardKl<T>(PhantomData<T>);

impl<T: Real> StandardKl<T> {
    pub(crate) fn apply(mean: &Tensor, log_variance: &Tensor) -> Result<Tensor> {
        mean.apply_op2(log_variance, Self(PhantomData))
    }
}

impl<T: Real> CustomOp2 for StandardKl<T> {
    fn name(&self) -> &'static str {
        "standard-kl"
    }

    fn cpu_fwd(
        &self,
        mean: &CpuStorage,
        mean_layout: &Layout,
        log_variance: &CpuStorage,
        log_variance_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let width = width(mean_layout);
        let mean = contiguous::<T>(mean, mean_layout)?;
        let log_variance = contiguous::<T>(log_variance, log_variance_layout)?;
        let kl: Vec<T> = mean
            .par_chunks(width)
            .zip(log_variance.par_chunks(width))
            .map(|(mean, log_variance)| {
                let terms = mean.iter().zip(log_variance).map(|(&m, &v)| m * m + v.e_to() - T::ONE - v);
                terms.fold(T::ZERO, |sum, term| sum + term) * T::of(0.5)
            })
            .collect();
        let shape = Shape::from(kl.len());
        Ok((T::to_cpu_storage_owned(kl), shape))
    }

    fn bwd(
        &self,
        mean: &Tensor,
        log_variance: &Tensor,
        _kl: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let width = mean.dim(1)?;
        with_values(gradient, |gradient: &[T]| {
            let scaled = |tensor_: &Tensor, derivative: fn(T) -> T| {
                with_values(tensor_, |values: &[T]| {
                    let mut out = values.to_vec();
                    out.par_chunks_mut(width).zip(gradient).for_each(|(row, &gradient)| {
                        row.iter_mut().for_each(|value| *value = gradient * derivative(*value));
                    });
                    tensor(out, tensor_.dims())
                })
            };
            let mean_gradient = scaled(mean, |m| m)?;
            let log_variance_gradient = scaled(log_variance, |v| (v.e_to() - T::ONE) * T::of(0.5))?;
            Ok((Some(mean_gradient), Some(log_variance_gradient)))
        })
    }
}

/// `log q(z) - log p(z)` summed over the latent coordinates, with `q = N(mu, sigma^2)` and `p`, for each coordinate by
/// itself, the mixture of N(0, 1), the old posterior of the same user and a wide N(0, e^v).
///
/// Source: Shenbin et al., "RecVAE", WSDM 2020, section 3.2, arXiv 1912.11160. The paper's formula mixes densities of whole
/// vectors; the official code mixes each coordinate, and so does this.
pub(crate) struct CompositeKl<T> {
    pub(crate) old_mean: Vec<T>,
    pub(crate) old_log_variance: Vec<T>,
    /// Weights of standard, old and wide component.
    pub(crate) mixture_weights: [f64; 3],
    /// Logarithm of the variance of the wide component.
    pub(crate) wide_log_variance: f64,
}

/// A normal density of one coordinate, up to the constant that cancels between `q` and `p`.
struct Component<T> {
    log_weight: T,
    mean: T,
    log_variance: T,
}

impl<T: Real> Component<T> {
    /// The weighted log density at `z` and its derivative.
    #[inline(always)]
    fn at(&self, z: T) -> (T, T) {
        let precision = (-self.log_variance).e_to();
        let distance = z - self.mean;
        let slope = -distance * precision;
        (self.log_weight + T::of(0.5) * (distance * slope - self.log_variance), slope)
    }
}

impl<T: Real> CompositeKl<T> {
    /// `z` is the sample that is decoded.
    pub(crate) fn apply(self, mean: &Tensor, log_variance: &Tensor, z: &Tensor) -> Result<Tensor> {
        mean.apply_op3(log_variance, z, self)
    }

    /// The log density of the prior at a coordinate and its derivative.
    #[inline(always)]
    fn prior(&self, log_weights: [T; 3], old_mean: T, old_log_variance: T, z: T) -> (T, T) {
        let [standard, old, wide] = log_weights;
        let wide_log_variance = T::of(self.wide_log_variance);
        let parts = [
            Component { log_weight: standard, mean: T::ZERO, log_variance: T::ZERO }.at(z),
            Component { log_weight: old, mean: old_mean, log_variance: old_log_variance }.at(z),
            Component { log_weight: wide, mean: T::ZERO, log_variance: wide_log_variance }.at(z),
        ];
        let maximum = parts[0].0.larger(parts[1].0).larger(parts[2].0);
        let (mut sum, mut slope) = (T::ZERO, T::ZERO);
        for (log_density, part_slope) in parts {
            let density = (log_density - maximum).e_to();
            sum += density;
            slope += density * part_slope;
        }
        (maximum + sum.log(), slope / sum)
    }

    fn log_weights(&self) -> [T; 3] {
        self.mixture_weights.map(|weight| T::of(weight.ln()))
    }
}

impl<T: Real> CustomOp3 for CompositeKl<T> {
    fn name(&self) -> &'static str {
        "composite-kl"
    }

    fn cpu_fwd(
        &self,
        mean: &CpuStorage,
        mean_layout: &Layout,
        log_variance: &CpuStorage,
        log_variance_layout: &Layout,
        z: &CpuStorage,
        z_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let width = width(mean_layout);
        let mean = contiguous::<T>(mean, mean_layout)?;
        let log_variance = contiguous::<T>(log_variance, log_variance_layout)?;
        let z = contiguous::<T>(z, z_layout)?;
        let log_weights = self.log_weights();
        let kl: Vec<T> = (0..mean.len() / width)
            .into_par_iter()
            .map(|row| {
                let mut sum = T::ZERO;
                for at in row * width..(row + 1) * width {
                    let posterior =
                        Component { log_weight: T::ZERO, mean: mean[at], log_variance: log_variance[at] }.at(z[at]);
                    let prior = self.prior(log_weights, self.old_mean[at], self.old_log_variance[at], z[at]);
                    sum += posterior.0 - prior.0;
                }
                sum
            })
            .collect();
        let shape = Shape::from(kl.len());
        Ok((T::to_cpu_storage_owned(kl), shape))
    }

    fn bwd(
        &self,
        mean: &Tensor,
        log_variance: &Tensor,
        z: &Tensor,
        _kl: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (batch, width) = mean.dims2()?;
        let log_weights = self.log_weights();
        let mut out = [vec![T::ZERO; batch * width], vec![T::ZERO; batch * width], vec![T::ZERO; batch * width]];
        let [mean_gradient, log_variance_gradient, z_gradient] = &mut out;
        with_values(gradient, |gradient: &[T]| {
            with_values(mean, |mean: &[T]| {
                with_values(log_variance, |log_variance: &[T]| {
                    with_values(z, |z: &[T]| {
                        let rows = mean_gradient
                            .par_chunks_mut(width)
                            .zip(log_variance_gradient.par_chunks_mut(width))
                            .zip(z_gradient.par_chunks_mut(width))
                            .enumerate();
                        rows.for_each(|(row, ((mean_out, log_variance_out), z_out))| {
                            simd(|| {
                                for column in 0..width {
                                    let at = row * width + column;
                                    let distance = z[at] - mean[at];
                                    let pull = distance * (-log_variance[at]).e_to();
                                    let prior =
                                        self.prior(log_weights, self.old_mean[at], self.old_log_variance[at], z[at]);
                                    mean_out[column] = gradient[row] * pull;
                                    log_variance_out[column] = gradient[row] * T::of(0.5) * (distance * pull - T::ONE);
                                    z_out[column] = -gradient[row] * (pull + prior.1);
                                }
                            });
                        });
                        Ok(())
                    })
                })
            })
        })?;
        let [mean_gradient, log_variance_gradient, z_gradient] = out.map(|values| tensor(values, mean.dims()));
        Ok((Some(mean_gradient?), Some(log_variance_gradient?), Some(z_gradient?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{check_gradients, sample, values};
    use super::*;

    fn composite(mixture_weights: [f64; 3]) -> CompositeKl<f64> {
        CompositeKl {
            old_mean: sample(7, &[3, 4]).0,
            old_log_variance: sample(8, &[3, 4]).0,
            mixture_weights,
            wide_log_variance: 10.0,
        }
    }

    #[test]
    fn gradients_agree_with_differences() {
        let inputs = [sample(1, &[3, 4]), sample(2, &[3, 4]), sample(3, &[3, 4])];
        check_gradients(&inputs[..2], |t| StandardKl::<f64>::apply(&t[0], &t[1]));
        check_gradients(&inputs, |t| composite([0.15, 0.75, 0.1]).apply(&t[0], &t[1], &t[2]));
        check_gradients(&inputs, |t| composite([0.0, 1.0, 0.0]).apply(&t[0], &t[1], &t[2]));
    }

    #[test]
    fn against_itself_it_is_zero() {
        let tensors: Vec<Tensor> =
            [sample(7, &[3, 4]), sample(8, &[3, 4]), sample(3, &[3, 4])].map(|(v, s)| tensor(v, &s).unwrap()).to_vec();
        let kl = composite([0.0, 1.0, 0.0]).apply(&tensors[0], &tensors[1], &tensors[2]).unwrap();
        assert!(values::<f64>(&kl).unwrap().iter().all(|kl| kl.abs() < 1e-14));
    }

    #[test]
    fn the_sample_s_kl_is_the_analytic_one_on_average() {
        // Standard component alone; 200,000 samples of one coordinate: a standard error of about .003.
        let n = 200_000;
        let (mean, log_variance) = (0.4, -0.6);
        let mut random = crate::random::Stream::new(5, 0);
        let z: Vec<f64> = (0..n).map(|_| mean + (0.5f64 * log_variance).exp() * random.normal()).collect();
        let row = |value: f64| tensor(vec![value; n], &[1, n]).unwrap();
        let op = CompositeKl {
            old_mean: vec![0.0; n],
            old_log_variance: vec![0.0; n],
            mixture_weights: [1.0, 0.0, 0.0],
            wide_log_variance: 10.0,
        };
        let sampled = op.apply(&row(mean), &row(log_variance), &tensor(z, &[1, n]).unwrap()).unwrap();
        let analytic = StandardKl::<f64>::apply(&row(mean), &row(log_variance)).unwrap();
        let [sampled, analytic] = [sampled, analytic].map(|kl| values::<f64>(&kl).unwrap()[0] / n as f64);
        assert!((sampled - analytic).abs() < 0.01, "{sampled} against {analytic}");
    }
}
