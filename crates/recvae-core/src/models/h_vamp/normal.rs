//! The normal distributions of H+Vamp, their mixture, and the gradients of the logarithms of their densities.

use rayon::prelude::*;

use crate::math::real::Real;
use crate::math::vectorised::{sum_of, vectorised};

/// Within these lies a logarithm of a variance.
pub(super) const LOG_VARIANCES: [f64; 2] = [-12.0, 4.0];

/// A normal distribution of each row, with what clipping its logarithms of variances has done.
pub(super) struct Normal<T> {
    pub(super) mean: Vec<T>,
    pub(super) log_variance: Vec<T>,
    /// The inverse of the variance.
    precision: Vec<T>,
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
        let precision = log_variance.iter().map(|&log_variance| (-log_variance).exp()).collect();
        Self { mean, log_variance, precision, slope }
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
    normal: &'a Normal<T>,
    /// Sum of the logarithms of the variances of each part.
    log_determinants: Vec<T>,
    latent: usize,
}

impl<'a, T: Real> Prior<'a, T> {
    pub(super) fn new(normal: &'a Normal<T>, latent: usize) -> Self {
        let log_determinants = normal.log_variance.chunks_exact(latent).map(|row| sum_of(row, |log| log)).collect();
        Self { normal, log_determinants, latent }
    }

    /// Mean and inverses of variances of a part.
    fn part(&self, at: usize) -> (&[T], &[T]) {
        let range = at * self.latent..(at + 1) * self.latent;
        (&self.normal.mean[range.clone()], &self.normal.precision[range])
    }

    /// log p(z), and the share of each part in it.
    pub(super) fn of(&self, z: &[T]) -> (f64, Vec<T>) {
        let n = self.log_determinants.len();
        let log = |(at, &log_determinant)| {
            let (mean, precision) = self.part(at);
            log_normal(z, mean, precision, log_determinant)
        };
        let logs: Vec<f64> = self.log_determinants.iter().enumerate().map(log).collect();
        let maximum = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logs.iter().map(|log| (log - maximum).exp()).sum();
        let shares = logs.iter().map(|log| T::from_f64((log - maximum).exp() / sum)).collect();
        (maximum + sum.ln() - (n as f64).ln(), shares)
    }

    /// Adds the gradient of `-weight log p(z)` by z.
    pub(super) fn add_slope(&self, z: &[T], shares: &[T], weight: T, out: &mut [T]) {
        for (at, &share) in shares.iter().enumerate().filter(|(_, share)| **share > T::ZERO) {
            let (mean, precision) = self.part(at);
            add_pull(out, z, mean, precision, weight * share);
        }
    }

    /// The gradients of `-weight log p(z)` by the heads of the parts, over all z.
    pub(super) fn slopes(&self, z: &[T], responsibilities: &[&[T]], weight: T) -> [Vec<T>; 2] {
        let d = self.latent;
        let mut of_mean = vec![T::ZERO; self.normal.mean.len()];
        let mut of_log_variance = vec![T::ZERO; self.normal.mean.len()];
        let parts = of_mean.par_chunks_mut(d).zip(of_log_variance.par_chunks_mut(d)).enumerate();
        parts.for_each(|(at, (of_mean, of_log_variance))| {
            let (mean, precision) = self.part(at);
            for (z, shares) in z.chunks_exact(d).zip(responsibilities) {
                if shares[at] > T::ZERO {
                    add_slopes(of_mean, of_log_variance, z, mean, precision, weight * shares[at]);
                }
            }
            let slope = &self.normal.slope[at * d..][..d];
            of_log_variance.iter_mut().zip(slope).for_each(|(number, &slope)| *number *= slope);
        });
        [of_mean, of_log_variance]
    }
}

/// The gradients of `-weight log p(z)`, one normal for each row, by means, by the heads of the logarithms of variances,
/// and by z.
pub(super) fn slopes<T: Real>(normal: &Normal<T>, z: &[T], weight: T) -> [Vec<T>; 3] {
    let n = z.len();
    let (mut of_mean, mut of_log_variance, mut of_z) = (vec![T::ZERO; n], vec![T::ZERO; n], vec![T::ZERO; n]);
    add_slopes(&mut of_mean, &mut of_log_variance, z, &normal.mean, &normal.precision, weight);
    add_pull(&mut of_z, z, &normal.mean, &normal.precision, weight);
    of_log_variance.iter_mut().zip(&normal.slope).for_each(|(number, &slope)| *number *= slope);
    [of_mean, of_log_variance, of_z]
}

/// The logarithms of the densities of rows, of `latent` numbers each.
pub(super) fn log_normals<T: Real>(normal: &Normal<T>, z: &[T], latent: usize) -> Vec<f64> {
    let rows = [z, &normal.mean, &normal.precision, &normal.log_variance].map(|all| all.chunks_exact(latent));
    let [z, mean, precision, log_variance] = rows;
    let log = |((z, mean), (precision, log_variance))| log_normal(z, mean, precision, sum_of(log_variance, |log| log));
    z.zip(mean).zip(precision.zip(log_variance)).map(log).collect()
}

/// Without the constant, which cancels between posteriors and priors.
fn log_normal<T: Real>(z: &[T], mean: &[T], precision: &[T], log_determinant: T) -> f64 {
    -0.5 * (log_determinant.to_f64() + distance(z, mean, precision).to_f64())
}

vectorised! {
    /// Sum of `(z - mean)^2 precision`.
    fn distance(z: &[T], mean: &[T], precision: &[T]) -> T {
        const LANES: usize = 16;
        let mut lanes = [T::ZERO; LANES];
        for ((z, mean), precision) in z.chunks(LANES).zip(mean.chunks(LANES)).zip(precision.chunks(LANES)) {
            for (((lane, &z), &mean), &precision) in lanes.iter_mut().zip(z).zip(mean).zip(precision) {
                *lane += (z - mean) * (z - mean) * precision;
            }
        }
        lanes.iter().fold(T::ZERO, |sum, &lane| sum + lane)
    }

    /// Adds `weight (z - mean) precision`.
    fn add_pull(out: &mut [T], z: &[T], mean: &[T], precision: &[T], weight: T) {
        for (((out, &z), &mean), &precision) in out.iter_mut().zip(z).zip(mean).zip(precision) {
            *out += weight * (z - mean) * precision;
        }
    }

    /// Adds `-weight (z - mean) precision`, and `weight (1 - (z - mean)^2 precision) / 2`.
    fn add_slopes(of_mean: &mut [T], of_log_variance: &mut [T], z: &[T], mean: &[T], precision: &[T], weight: T) {
        let sums = of_mean.iter_mut().zip(of_log_variance);
        for (((of_mean, of_log_variance), &z), (&mean, &precision)) in sums.zip(z).zip(mean.iter().zip(precision)) {
            let pull = (z - mean) * precision;
            *of_mean -= weight * pull;
            *of_log_variance += weight * T::from_f64(0.5) * (T::ONE - (z - mean) * pull);
        }
    }
}
