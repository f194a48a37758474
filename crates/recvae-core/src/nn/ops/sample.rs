//! From a posterior to a sample and its KL term.
//!
//! The input has shape `(batch, 2 latent)`, mean and log variance side by side; the output has `(batch, latent + 1)`:
//! `z = mean + exp(log variance / 2) * noise`, and in the last column the user's weighted KL term. That is analytic against
//! N(0, I), and one sample's worth, with the same `z`, against RecVAE's composite prior.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{contiguous, tensor, with_values};
use crate::nn::simd;
use crate::real::Real;

/// What the posterior is pulled to.
pub(crate) enum Prior<T> {
    /// Nothing: the KL term is 0, for steps that leave the encoder alone.
    Free,
    /// N(0, I): half the sum of `mu^2 + sigma^2 - 1 - log sigma^2`.
    ///
    /// Source: Kingma and Welling, "Auto-Encoding Variational Bayes", 2014, appendix B, arXiv 1312.6114.
    Standard,
    /// RecVAE's mixture.
    Composite(CompositePrior<T>),
}

/// `log p(z)` summed over the latent coordinates, where `p` mixes, for each coordinate by itself, N(0, 1), the old posterior
/// of the same user and a wide N(0, e^v).
///
/// Source: Shenbin et al., "RecVAE", WSDM 2020, section 3.2, arXiv 1912.11160. The paper's formula mixes densities of whole
/// vectors; the official code mixes each coordinate, and so does this.
pub(crate) struct CompositePrior<T> {
    /// Mean and log variance of the batch's users, side by side, shape `(batch, 2 latent)`.
    pub(crate) old: Vec<T>,
    /// Weights of standard, old and wide component.
    pub(crate) mixture_weights: [f64; 3],
    /// Logarithm of the variance of the wide component.
    pub(crate) wide_log_variance: f64,
}

/// A normal density of one coordinate, up to the constant that cancels between posterior and prior.
struct Normal<T> {
    log_weight: T,
    mean: T,
    log_variance: T,
}

impl<T: Real> Normal<T> {
    /// The weighted log density at `z` and its derivative.
    #[inline(always)]
    fn at(&self, z: T) -> (T, T) {
        let precision = (-self.log_variance).e_to();
        let distance = z - self.mean;
        let slope = -distance * precision;
        (self.log_weight + T::of(0.5) * (distance * slope - self.log_variance), slope)
    }
}

impl<T: Real> CompositePrior<T> {
    fn log_weights(&self) -> [T; 3] {
        self.mixture_weights.map(|weight| T::of(weight.ln()))
    }

    /// The log density at a coordinate and its derivative.
    #[inline(always)]
    fn at(&self, log_weights: [T; 3], old_mean: T, old_log_variance: T, z: T) -> (T, T) {
        let [standard, old, wide] = log_weights;
        let wide_log_variance = T::of(self.wide_log_variance);
        let parts = [
            Normal { log_weight: standard, mean: T::ZERO, log_variance: T::ZERO }.at(z),
            Normal { log_weight: old, mean: old_mean, log_variance: old_log_variance }.at(z),
            Normal { log_weight: wide, mean: T::ZERO, log_variance: wide_log_variance }.at(z),
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
}

/// The operation with everything that it takes besides the posterior.
pub(crate) struct Sample<T> {
    /// Standard normal numbers, shape `(batch, latent)`.
    pub(crate) noise: Vec<T>,
    /// Weight of each user's KL term.
    pub(crate) kl_weights: Vec<T>,
    pub(crate) prior: Prior<T>,
}

impl<T: Real> Sample<T> {
    pub(crate) fn apply(self, posterior: &Tensor) -> Result<Tensor> {
        posterior.apply_op1(self)
    }

    fn latent_dim(&self) -> usize {
        self.noise.len() / self.kl_weights.len()
    }

    /// `z` of a user.
    #[inline(always)]
    fn draw(mean: T, log_variance: T, noise: T) -> T {
        mean + (log_variance * T::of(0.5)).e_to() * noise
    }

    /// Fills a row by `z` and the KL term.
    fn forward_row(&self, row: usize, posterior: &[T], out: &mut [T]) {
        let latent = self.latent_dim();
        let (mean, log_variance) = posterior.split_at(latent);
        let (z, kl) = out.split_at_mut(latent);
        let noise = &self.noise[row * latent..][..latent];
        for (((z, &mean), &log_variance), &noise) in z.iter_mut().zip(mean).zip(log_variance).zip(noise) {
            *z = Self::draw(mean, log_variance, noise);
        }
        let mut sum = T::ZERO;
        match &self.prior {
            Prior::Free => {}
            Prior::Standard => {
                for (&m, &v) in mean.iter().zip(log_variance) {
                    sum += T::of(0.5) * (m * m + v.e_to() - T::ONE - v);
                }
            }
            Prior::Composite(prior) => {
                let (old_mean, old_log_variance) = prior.old[row * 2 * latent..][..2 * latent].split_at(latent);
                let log_weights = prior.log_weights();
                for at in 0..latent {
                    let posterior =
                        Normal { log_weight: T::ZERO, mean: mean[at], log_variance: log_variance[at] }.at(z[at]);
                    sum += posterior.0 - prior.at(log_weights, old_mean[at], old_log_variance[at], z[at]).0;
                }
            }
        }
        kl[0] = sum * self.kl_weights[row];
    }

    /// Turns the gradient of a row with respect to `z` and the KL term into that with respect to the posterior.
    #[inline(always)]
    fn backward_row(&self, row: usize, posterior: &[T], gradient: &[T], out: &mut [T]) {
        let latent = self.latent_dim();
        let half = T::of(0.5);
        let (mean, log_variance) = posterior.split_at(latent);
        let (mean_out, log_variance_out) = out.split_at_mut(latent);
        let noise = &self.noise[row * latent..][..latent];
        let weight = gradient[latent] * self.kl_weights[row];
        let composite = match &self.prior {
            Prior::Composite(prior) => {
                Some((prior, prior.log_weights(), prior.old[row * 2 * latent..][..2 * latent].split_at(latent)))
            }
            _ => None,
        };
        for at in 0..latent {
            let deviation = (log_variance[at] * half).e_to();
            let mut z_slope = gradient[at];
            let (mut mean_slope, mut log_variance_slope) = (T::ZERO, T::ZERO);
            if let Some((prior, log_weights, (old_mean, old_log_variance))) = composite {
                let z = Self::draw(mean[at], log_variance[at], noise[at]);
                let distance = z - mean[at];
                let pull = distance * (-log_variance[at]).e_to();
                z_slope -= weight * (pull + prior.at(log_weights, old_mean[at], old_log_variance[at], z).1);
                mean_slope = weight * pull;
                log_variance_slope = weight * half * (distance * pull - T::ONE);
            } else if matches!(self.prior, Prior::Standard) {
                mean_slope = weight * mean[at];
                log_variance_slope = weight * half * (log_variance[at].e_to() - T::ONE);
            }
            mean_out[at] = z_slope + mean_slope;
            log_variance_out[at] = z_slope * half * deviation * noise[at] + log_variance_slope;
        }
    }
}

impl<T: Real> CustomOp1 for Sample<T> {
    fn name(&self) -> &'static str {
        "sample"
    }

    fn cpu_fwd(&self, posterior: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let posterior = contiguous::<T>(posterior, layout)?;
        let (batch, latent) = (self.kl_weights.len(), self.latent_dim());
        let mut out = vec![T::ZERO; batch * (latent + 1)];
        out.par_chunks_mut(latent + 1)
            .zip(posterior.par_chunks(2 * latent))
            .enumerate()
            .for_each(|(row, (out, posterior))| simd(|| self.forward_row(row, posterior, out)));
        Ok((T::to_cpu_storage_owned(out), Shape::from((batch, latent + 1))))
    }

    fn bwd(&self, posterior: &Tensor, _out: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let latent = self.latent_dim();
        let mut out = vec![T::ZERO; posterior.elem_count()];
        with_values(posterior, |posterior: &[T]| {
            with_values(gradient, |gradient: &[T]| {
                out.par_chunks_mut(2 * latent)
                    .zip(posterior.par_chunks(2 * latent))
                    .zip(gradient.par_chunks(latent + 1))
                    .enumerate()
                    .for_each(|(row, ((out, posterior), gradient))| {
                        simd(|| self.backward_row(row, posterior, gradient, out));
                    });
                Ok(())
            })
        })?;
        tensor(out, posterior.dims()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{check_gradients, sample, values};
    use super::*;

    fn composite(old: Vec<f64>, mixture_weights: [f64; 3]) -> Prior<f64> {
        Prior::Composite(CompositePrior { old, mixture_weights, wide_log_variance: 10.0 })
    }

    #[test]
    fn gradients_agree_with_differences() {
        let op = |prior| Sample { noise: sample(4, &[3, 4]).0, kl_weights: vec![0.3, 1.0, 2.0], prior };
        let old = || sample(7, &[3, 8]).0;
        let inputs = [sample(1, &[3, 8])];
        check_gradients(&inputs, |t| op(Prior::Free).apply(&t[0]));
        check_gradients(&inputs, |t| op(Prior::Standard).apply(&t[0]));
        check_gradients(&inputs, |t| op(composite(old(), [0.15, 0.75, 0.1])).apply(&t[0]));
        check_gradients(&inputs, |t| op(composite(old(), [0.0, 1.0, 0.0])).apply(&t[0]));
    }

    #[test]
    fn against_itself_the_term_is_zero() {
        let (posterior, shape) = sample(7, &[3, 8]);
        let prior = composite(posterior.clone(), [0.0, 1.0, 0.0]);
        let op = Sample { noise: sample(4, &[3, 4]).0, kl_weights: vec![1.0; 3], prior };
        let out: Vec<f64> = values(&op.apply(&tensor(posterior, &shape).unwrap()).unwrap()).unwrap();
        assert!(out.chunks(5).all(|row| row[4].abs() < 1e-14), "{out:?}");
    }

    #[test]
    fn the_sample_s_term_is_the_analytic_one_on_average() {
        // Standard component alone; 200,000 samples of one coordinate: a standard error of about .003.
        let n = 200_000;
        let (mean, log_variance) = (0.4, -0.6);
        let mut random = crate::random::Stream::new(5, 0);
        let noise: Vec<f64> = (0..n).map(|_| random.normal()).collect();
        let posterior = [vec![mean; n], vec![log_variance; n]].concat();
        let posterior = tensor(posterior, &[1, 2 * n]).unwrap();
        let term = |prior| {
            let op = Sample { noise: noise.clone(), kl_weights: vec![1.0 / n as f64], prior };
            values::<f64>(&op.apply(&posterior).unwrap()).unwrap()[n]
        };
        let (sampled, analytic) = (term(composite(vec![0.0; 2 * n], [1.0, 0.0, 0.0])), term(Prior::Standard));
        assert!((sampled - analytic).abs() < 0.01, "{sampled} against {analytic}");
    }
}
