//! The normal distributions of H+Vamp, their mixture, and the gradients of the logarithms of their densities.

use rayon::prelude::*;

use crate::math::real::Real;
use crate::math::vectorised::vectorised;

/// Within these lies a logarithm of a variance.
const LOG_VARIANCES: [f64; 2] = [-12.0, 4.0];

/// A normal distribution of each row, with what clipping its logarithms of variances has done.
pub(super) struct Normal<T> {
    pub(super) mean: Vec<T>,
    pub(super) log_variance: Vec<T>,
    /// 0 where the logarithm was clipped.
    slope: Vec<T>,
}

impl<T: Real> Normal<T> {
    pub(super) fn of([mean, mut log_variance]: [Vec<T>; 2]) -> Self {
        let [least, most] = LOG_VARIANCES.map(T::from_f64);
        let mut slope = vec![T::ONE; mean.len()];
        for (number, slope) in log_variance.iter_mut().zip(&mut slope) {
            if *number < least || *number > most {
                *slope = T::ZERO;
                *number = if *number < least { least } else { most };
            }
        }
        Self { mean, log_variance, slope }
    }

    pub(super) fn sample(&self, noise: &[T]) -> Vec<T> {
        let numbers = self.mean.iter().zip(&self.log_variance).zip(noise);
        let half = T::from_f64(0.5);
        numbers.map(|((&mean, &log_variance), &noise)| mean + (half * log_variance).exp() * noise).collect()
    }

    /// The gradients of the two heads: from those of a sample, and from one of every logarithm besides.
    pub(super) fn backward(&self, noise: &[T], of_sample: &[T], of_log_variance: T) -> [Vec<T>; 2] {
        let half = T::from_f64(0.5);
        let numbers = self.log_variance.iter().zip(&self.slope).zip(noise.iter().zip(of_sample));
        let of_log_variance = numbers
            .map(|((&log_variance, &slope), (&noise, &gradient))| {
                slope * (gradient * half * (half * log_variance).exp() * noise + of_log_variance)
            })
            .collect();
        [of_sample.to_vec(), of_log_variance]
    }
}

/// The mixture of the posteriors of the pseudo-users.
pub(super) struct Prior<'a, T> {
    pub(super) normal: &'a Normal<T>,
    pub(super) latent: usize,
}

impl<T: Real> Prior<'_, T> {
    /// Mean and logarithms of variances of a part.
    fn part(&self, at: usize) -> (&[T], &[T]) {
        let range = at * self.latent..(at + 1) * self.latent;
        (&self.normal.mean[range.clone()], &self.normal.log_variance[range])
    }

    /// log p(z), and the share of each part in it.
    pub(super) fn of(&self, z: &[T]) -> (f64, Vec<T>) {
        let n = self.normal.mean.len() / self.latent;
        let logs: Vec<f64> = (0..n)
            .map(|at| {
                let (mean, log_variance) = self.part(at);
                log_normal(z, mean, log_variance)
            })
            .collect();
        let maximum = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logs.iter().map(|log| (log - maximum).exp()).sum();
        let shares = logs.iter().map(|log| T::from_f64((log - maximum).exp() / sum)).collect();
        (maximum + sum.ln() - (n as f64).ln(), shares)
    }

    /// Adds the gradient of `-weight log p(z)` by z.
    pub(super) fn add_slope(&self, z: &[T], shares: &[T], weight: T, out: &mut [T]) {
        for (at, &share) in shares.iter().enumerate().filter(|(_, share)| **share > T::ZERO) {
            let (mean, log_variance) = self.part(at);
            add_pull(out, z, mean, log_variance, weight * share);
        }
    }

    /// The gradients of `-weight log p(z)` by the heads of the parts, over all z.
    pub(super) fn slopes(&self, z: &[T], responsibilities: &[&[T]], weight: T) -> [Vec<T>; 2] {
        let d = self.latent;
        let mut of_mean = vec![T::ZERO; self.normal.mean.len()];
        let mut of_log_variance = vec![T::ZERO; self.normal.mean.len()];
        let parts = of_mean.par_chunks_mut(d).zip(of_log_variance.par_chunks_mut(d)).enumerate();
        parts.for_each(|(at, (of_mean, of_log_variance))| {
            let (mean, log_variance) = self.part(at);
            for (z, shares) in z.chunks_exact(d).zip(responsibilities) {
                if shares[at] > T::ZERO {
                    add_slopes(of_mean, of_log_variance, z, mean, log_variance, weight * shares[at]);
                }
            }
            let slope = &self.normal.slope[at * d..][..d];
            of_log_variance.iter_mut().zip(slope).for_each(|(number, &slope)| *number *= slope);
        });
        [of_mean, of_log_variance]
    }
}

/// The gradients of `-weight log p(z)`, one normal for each row, by means, by the heads of the logarithms of variances, and by z.
pub(super) fn slopes<T: Real>(normal: &Normal<T>, z: &[T], weight: T) -> [Vec<T>; 3] {
    let n = z.len();
    let (mut of_mean, mut of_log_variance, mut of_z) = (vec![T::ZERO; n], vec![T::ZERO; n], vec![T::ZERO; n]);
    add_slopes(&mut of_mean, &mut of_log_variance, z, &normal.mean, &normal.log_variance, weight);
    add_pull(&mut of_z, z, &normal.mean, &normal.log_variance, weight);
    of_log_variance.iter_mut().zip(&normal.slope).for_each(|(number, &slope)| *number *= slope);
    [of_mean, of_log_variance, of_z]
}

/// The logarithms of the densities of rows, of `latent` numbers each.
pub(super) fn log_normals<T: Real>(normal: &Normal<T>, z: &[T], latent: usize) -> Vec<f64> {
    let parts = normal.mean.chunks_exact(latent).zip(normal.log_variance.chunks_exact(latent));
    z.chunks_exact(latent).zip(parts).map(|(z, (mean, log_variance))| log_normal(z, mean, log_variance)).collect()
}

/// Without the constant, which cancels between posteriors and priors.
fn log_normal<T: Real>(z: &[T], mean: &[T], log_variance: &[T]) -> f64 {
    -0.5 * distance(z, mean, log_variance).to_f64()
}

vectorised! {
    /// Sum of `log variance + (z - mean)^2 / variance`.
    fn distance(z: &[T], mean: &[T], log_variance: &[T]) -> T {
        let mut lanes = [T::ZERO; 8];
        for ((z, mean), log_variance) in z.chunks(8).zip(mean.chunks(8)).zip(log_variance.chunks(8)) {
            for (((lane, &z), &mean), &log_variance) in lanes.iter_mut().zip(z).zip(mean).zip(log_variance) {
                *lane += log_variance + (z - mean) * (z - mean) * (-log_variance).exp();
            }
        }
        lanes.iter().fold(T::ZERO, |sum, &lane| sum + lane)
    }

    /// Adds `weight (z - mean) / variance`.
    fn add_pull(out: &mut [T], z: &[T], mean: &[T], log_variance: &[T], weight: T) {
        for (((out, &z), &mean), &log_variance) in out.iter_mut().zip(z).zip(mean).zip(log_variance) {
            *out += weight * (z - mean) * (-log_variance).exp();
        }
    }

    /// Adds `-weight (z - mean) / variance`, and `weight (1 - (z - mean)^2 / variance) / 2`.
    fn add_slopes(of_mean: &mut [T], of_log_variance: &mut [T], z: &[T], mean: &[T], log_variance: &[T], weight: T) {
        let sums = of_mean.iter_mut().zip(of_log_variance);
        for (((of_mean, of_log_variance), &z), (&mean, &log_variance)) in sums.zip(z).zip(mean.iter().zip(log_variance)) {
            let pull = (z - mean) * (-log_variance).exp();
            *of_mean -= weight * pull;
            *of_log_variance += weight * T::from_f64(0.5) * (T::ONE - (z - mean) * pull);
        }
    }
}
