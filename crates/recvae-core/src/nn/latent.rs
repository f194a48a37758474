//! From a posterior to a sample and its KL term.
//!
//! The posterior has shape `(batch, 2 latent)`, mean and log variance side by side; the sample is
//! `z = mean + exp(log variance / 2) * noise` of shape `(batch, latent)`. The user's KL term is analytic against N(0,
//! I), and one sample's worth, with the same `z`, against RecVAE's composite prior.

use rayon::prelude::*;

use crate::math::real::Real;
use crate::math::vectorised::{sum_of, vectorised};

/// What the posterior is pulled to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Prior {
    /// Nothing: the KL term is 0, for steps that leave the encoder alone.
    Free,
    /// N(0, I): half the sum of `mu^2 + sigma^2 - 1 - log sigma^2`.
    ///
    /// Source: Kingma and Welling, "Auto-Encoding Variational Bayes", 2014, appendix B, arXiv 1312.6114.
    #[default]
    Standard,
    /// RecVAE's mixture.
    Composite(CompositePrior),
}

impl Prior {
    /// Whether old posteriors are a part of it.
    pub(crate) fn is_composite(&self) -> bool {
        matches!(self, Self::Composite(_))
    }
}

/// `log p(z)` summed over the latent coordinates, where `p` mixes, for each coordinate by itself, N(0, 1), the old
/// posterior of the same user and a wide N(0, e^v).
///
/// Source: Shenbin et al., "RecVAE", WSDM 2020, section 3.2, arXiv 1912.11160. The paper's formula mixes densities of
/// whole vectors; the official code mixes each coordinate, and so does this.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CompositePrior {
    /// Weights of standard, old and wide component.
    pub(crate) mixture_weights: [f64; 3],
    /// Logarithm of the variance of the wide component.
    pub(crate) wide_log_variance: f64,
}

/// The weighted log density of a normal of one coordinate at `z`, up to the constant that cancels between posterior and
/// prior, and its derivative.
#[inline(always)]
fn normal<T: Real>(log_weight: T, mean: T, log_variance: T, z: T) -> (T, T) {
    let distance = z - mean;
    let slope = -distance * (-log_variance).exp();
    (log_weight + T::from_f64(0.5) * (distance * slope - log_variance), slope)
}

/// The numbers of a [`CompositePrior`] that all users share.
#[derive(Clone, Copy)]
struct Mixture<T> {
    log_weights: [T; 3],
    wide_log_variance: T,
}

impl<T: Real> Mixture<T> {
    /// What a coordinate has of `log q(z) - log p(z)`.
    #[inline(always)]
    fn kl_term(&self, mean: T, log_variance: T, old_mean: T, old_log_variance: T, z: T) -> T {
        let (log_posterior, _) = normal(T::ZERO, mean, log_variance, z);
        let (maximum, sum, _) = self.at(old_mean, old_log_variance, z);
        log_posterior - maximum - sum.ln()
    }

    /// Maximum of the three weighted log densities, sum of their exponentials less it, and the derivative of the
    /// logarithm of the mixture.
    #[inline(always)]
    fn at(&self, old_mean: T, old_log_variance: T, z: T) -> (T, T, T) {
        let [standard, old, wide] = self.log_weights;
        let parts = [
            normal(standard, T::ZERO, T::ZERO, z),
            normal(old, old_mean, old_log_variance, z),
            normal(wide, T::ZERO, self.wide_log_variance, z),
        ];
        let maximum = parts[0].0.max(parts[1].0).max(parts[2].0);
        let (mut sum, mut slope) = (T::ZERO, T::ZERO);
        for (log_density, part_slope) in parts {
            let density = (log_density - maximum).exp();
            sum += density;
            slope += density * part_slope;
        }
        (maximum, sum, slope / sum)
    }
}

impl CompositePrior {
    fn mixture<T: Real>(&self) -> Mixture<T> {
        Mixture {
            log_weights: self.mixture_weights.map(|weight| T::from_f64(weight.ln())),
            wide_log_variance: T::from_f64(self.wide_log_variance),
        }
    }
}

vectorised! {
    /// `z = mean + exp(log variance / 2) * noise`.
    fn draw(mean: &[T], log_variance: &[T], noise: &[T], z: &mut [T]) {
        for (((z, &mean), &log_variance), &noise) in z.iter_mut().zip(mean).zip(log_variance).zip(noise) {
            *z = mean + (log_variance * T::from_f64(0.5)).exp() * noise;
        }
    }

    fn standard_kl(mean: &[T], log_variance: &[T]) -> T {
        let squares = sum_of(mean, |mean| mean * mean);
        (squares + sum_of(log_variance, |v| v.exp() - T::ONE - v)) * T::from_f64(0.5)
    }

    /// `log q(z) - log p(z)` summed over the coordinates, in lanes.
    fn composite_kl(mixture: Mixture<T>, mean: &[T], log_variance: &[T], old: &[T], z: &[T]) -> T {
        let n = z.len();
        let (mean, log_variance, (old_mean, old_log_variance)) = (&mean[..n], &log_variance[..n], halves(old, n));
        // Chunks whose length the compiler knows: else each number is computed by itself, which takes ten times as
        // long.
        let chunks = |values| <[T]>::as_chunks::<16>(values);
        let [mean, log_variance, old_mean, old_log_variance, z] =
            [mean, log_variance, old_mean, old_log_variance, z].map(chunks);
        let mut lanes = [T::ZERO; 16];
        for chunk in 0..z.0.len() {
            let at = |(chunks, _): (&[[T; 16]], _)| chunks[chunk];
            let [mean, log_variance, old_mean, old_log_variance, z] =
                [mean, log_variance, old_mean, old_log_variance, z].map(at);
            for (at, lane) in lanes.iter_mut().enumerate() {
                *lane += mixture.kl_term(mean[at], log_variance[at], old_mean[at], old_log_variance[at], z[at]);
            }
        }
        for (at, lane) in lanes[..z.1.len()].iter_mut().enumerate() {
            *lane += mixture.kl_term(mean.1[at], log_variance.1[at], old_mean.1[at], old_log_variance.1[at], z.1[at]);
        }
        lanes.iter().fold(T::ZERO, |sum, &lane| sum + lane)
    }

    /// The gradient through `z` alone.
    fn free_backward(log_variance: &[T], noise: &[T], z_gradient: &[T], out: &mut [T]) {
        let n = noise.len();
        let (log_variance, z_gradient) = (&log_variance[..n], &z_gradient[..n]);
        let (mean_out, log_variance_out) = out.split_at_mut(n);
        let (mean_out, log_variance_out) = (&mut mean_out[..n], &mut log_variance_out[..n]);
        for at in 0..n {
            mean_out[at] = z_gradient[at];
            let half = T::from_f64(0.5);
            log_variance_out[at] = z_gradient[at] * half * (log_variance[at] * half).exp() * noise[at];
        }
    }

    /// Adds the gradient of the weighted [`standard_kl`].
    fn standard_backward(mean: &[T], log_variance: &[T], weight: T, out: &mut [T]) {
        let n = mean.len();
        let (mean_out, log_variance_out) = out.split_at_mut(n);
        mean_out.iter_mut().zip(mean).for_each(|(out, &mean)| *out += weight * mean);
        for (out, &v) in log_variance_out.iter_mut().zip(log_variance) {
            *out += weight * T::from_f64(0.5) * (v.exp() - T::ONE);
        }
    }

    /// The gradient through `z` and that of the weighted [`composite_kl`].
    fn composite_backward(
        mixture: Mixture<T>,
        mean: &[T],
        log_variance: &[T],
        old: &[T],
        noise: &[T],
        z_gradient: &[T],
        weight: T,
        out: &mut [T],
    ) {
        let n = noise.len();
        let half = T::from_f64(0.5);
        let (mean, log_variance, z_gradient) = (&mean[..n], &log_variance[..n], &z_gradient[..n]);
        let (old_mean, old_log_variance) = halves(old, n);
        let (mean_out, log_variance_out) = out.split_at_mut(n);
        let (mean_out, log_variance_out) = (&mut mean_out[..n], &mut log_variance_out[..n]);
        for at in 0..n {
            let deviation = (log_variance[at] * half).exp();
            let z = mean[at] + deviation * noise[at];
            let distance = z - mean[at];
            let pull = distance * (-log_variance[at]).exp();
            let (_, _, prior_slope) = mixture.at(old_mean[at], old_log_variance[at], z);
            let z_slope = z_gradient[at] - weight * (pull + prior_slope);
            mean_out[at] = z_slope + weight * pull;
            log_variance_out[at] =
                z_slope * half * deviation * noise[at] + weight * half * (distance * pull - T::ONE);
        }
    }
}

/// Everything that is needed besides the posterior.
#[derive(Default)]
pub(crate) struct Sample<T> {
    /// Standard normal numbers, shape `(batch, latent)`.
    pub(crate) noise: Vec<T>,
    /// Weight of each user's KL term.
    pub(crate) kl_weights: Vec<T>,
    pub(crate) prior: Prior,
    /// For the composite prior: mean and log variance of the batch's old posteriors, side by side, `(batch, 2 latent)`.
    pub(crate) old: Vec<T>,
}

impl<T: Real> Sample<T> {
    /// `z`, and each user's weighted KL term.
    pub(crate) fn forward(&self, posterior: &[T], z: &mut Vec<T>, kl: &mut Vec<T>) {
        let latent = self.latent_dim();
        z.resize(self.noise.len(), T::ZERO);
        kl.resize(self.kl_weights.len(), T::ZERO);
        z.par_chunks_mut(latent)
            .zip(kl)
            .zip(posterior.par_chunks(2 * latent))
            .enumerate()
            .for_each(|(row, ((z, kl), posterior))| *kl = self.forward_row(row, posterior, z));
    }

    /// The gradient with respect to the posterior, from that with respect to `z` and that with respect to every KL
    /// term.
    pub(crate) fn backward(&self, posterior: &[T], z_gradient: &[T], kl_gradient: T, out: &mut Vec<T>) {
        let latent = self.latent_dim();
        out.resize(posterior.len(), T::ZERO);
        out.par_chunks_mut(2 * latent)
            .zip(posterior.par_chunks(2 * latent))
            .zip(z_gradient.par_chunks(latent))
            .enumerate()
            .for_each(|(row, ((out, posterior), gradient))| {
                self.backward_row(row, posterior, gradient, kl_gradient, out);
            });
    }

    fn latent_dim(&self) -> usize {
        self.noise.len() / self.kl_weights.len()
    }

    /// Fills a row of `z` and gives back the KL term.
    fn forward_row(&self, row: usize, posterior: &[T], z: &mut [T]) -> T {
        let latent = self.latent_dim();
        let (mean, log_variance) = halves(posterior, latent);
        draw(mean, log_variance, &self.noise[row * latent..][..latent], z);
        self.kl_weights[row]
            * match &self.prior {
                Prior::Free => T::ZERO,
                Prior::Standard => standard_kl(mean, log_variance),
                Prior::Composite(prior) => {
                    composite_kl(prior.mixture(), mean, log_variance, &self.old[row * 2 * latent..], z)
                }
            }
    }

    fn backward_row(&self, row: usize, posterior: &[T], z_gradient: &[T], kl_gradient: T, out: &mut [T]) {
        let latent = self.latent_dim();
        let (mean, log_variance) = halves(posterior, latent);
        let noise = &self.noise[row * latent..][..latent];
        let weight = kl_gradient * self.kl_weights[row];
        if let Prior::Composite(prior) = &self.prior {
            let old = &self.old[row * 2 * latent..];
            composite_backward(prior.mixture(), mean, log_variance, old, noise, z_gradient, weight, out);
            return;
        }
        free_backward(log_variance, noise, z_gradient, out);
        if let Prior::Standard = self.prior {
            standard_backward(mean, log_variance, weight, out);
        }
    }
}

/// The first `n` numbers and the next `n`, so that the compiler knows both lengths.
#[inline(always)]
fn halves<T>(row: &[T], n: usize) -> (&[T], &[T]) {
    (&row[..n], &row[n..][..n])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Stream;

    fn numbers(seed: u64, n: usize) -> Vec<f64> {
        let mut random = Stream::new(seed, 0);
        (0..n).map(|_| 2.0 * random.uniform() - 1.0).collect()
    }

    fn composite(mixture_weights: [f64; 3]) -> Prior {
        Prior::Composite(CompositePrior { mixture_weights, wide_log_variance: 10.0 })
    }

    impl Sample<f64> {
        fn of(&self, posterior: &[f64]) -> (Vec<f64>, Vec<f64>) {
            let (mut z, mut kl) = (vec![], vec![]);
            self.forward(posterior, &mut z, &mut kl);
            (z, kl)
        }
    }

    #[test]
    fn gradients_agree_with_differences() {
        let priors = [Prior::Free, Prior::Standard, composite([0.15, 0.75, 0.1]), composite([0.0, 1.0, 0.0])];
        let (posterior, z_gradient, kl_gradient) = (numbers(1, 24), numbers(2, 12), 0.7);
        for prior in priors {
            let sample = Sample { noise: numbers(4, 12), kl_weights: vec![0.3, 1.0, 2.0], prior, old: numbers(7, 24) };
            let value = |posterior: &[f64]| {
                let (z, kl) = sample.of(posterior);
                let linear = z.iter().zip(&z_gradient).map(|(z, g)| z * g).sum::<f64>();
                linear + kl_gradient * kl.iter().sum::<f64>()
            };
            let mut gradient = vec![];
            sample.backward(&posterior, &z_gradient, kl_gradient, &mut gradient);
            for (at, &slope) in gradient.iter().enumerate() {
                let moved = |by: f64| {
                    let mut posterior = posterior.clone();
                    posterior[at] += by;
                    value(&posterior)
                };
                let step = 1e-5;
                let difference = (moved(step) - moved(-step)) / (2.0 * step);
                // step^2 times the third derivative, and eps over the step: near 1e-10.
                assert!((difference - slope).abs() < 1e-7 * (1.0 + slope.abs()), "{at}: {difference} against {slope}");
            }
        }
    }

    #[test]
    fn against_itself_the_term_is_zero() {
        let posterior = numbers(7, 24);
        let (prior, old) = (composite([0.0, 1.0, 0.0]), posterior.clone());
        let (_, kl) = Sample { noise: numbers(4, 12), kl_weights: vec![1.0; 3], prior, old }.of(&posterior);
        assert!(kl.iter().all(|kl| kl.abs() < 1e-14), "{kl:?}");
    }

    #[test]
    fn the_sample_s_term_is_the_analytic_one_on_average() {
        // Standard component alone; 200,000 samples of one coordinate: a standard error of about .003.
        let n = 200_000;
        let mut random = Stream::new(5, 0);
        let noise: Vec<f64> = (0..n).map(|_| random.normal()).collect();
        let posterior = [vec![0.4; n], vec![-0.6; n]].concat();
        let (kl_weights, old) = (vec![1.0 / n as f64], vec![0.0; 2 * n]);
        let sample = |prior| Sample { noise: noise.clone(), kl_weights: kl_weights.clone(), prior, old: old.clone() };
        let term = |prior| sample(prior).of(&posterior).1[0];
        let (sampled, analytic) = (term(composite([1.0, 0.0, 0.0])), term(Prior::Standard));
        assert!((sampled - analytic).abs() < 0.01, "{sampled} against {analytic}");
    }
}
