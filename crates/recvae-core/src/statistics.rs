//! Is the difference between two models real? Paired by user, since the spread over users dwarfs that between models.
//!
//! The bootstrap draws the same number of users with replacement, again and again, and looks at the mean difference of
//! each draw. The interval is the middle 95 % of them. The p-value is two-sided: how often a draw from the differences
//! shifted to mean zero lies as far from zero as the mean that was observed, with one added to both counts so that it is
//! never 0. It is not below 2^(1-n) either, the least that an exact test by flipping signs could say of n users: a handful
//! of users proves nothing, and draws from them do not know that. Several pairs at once are corrected by Holm's method.
//!
//! Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 13 and 16; Holm, "A Simple Sequentially
//! Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6, 1979.

use rayon::prelude::*;

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::random::Stream;

/// Mean and standard error of the mean (sample standard deviation over the root of the count); no error below two values.
#[must_use]
pub fn mean(values: &[f64]) -> (f64, Option<f64>) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (values.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt()))
}

/// The mean of several lists, place by place: from the users' values under several seeds their means over the seeds, of shape
/// `(n_users,)`. Sums run in the order of the lists.
///
/// # Errors
/// `INVALID_DATA` if there is no list, or the lists differ in length.
pub fn mean_of_lists(lists: &[&[f64]]) -> Result<Vec<f64>> {
    let lengths: Vec<usize> = lists.iter().map(|list| list.len()).collect();
    let Some(&n) = lengths.first().filter(|first| lengths.iter().all(|length| length == *first)) else {
        return Err(Error::invalid_data(format!(
            "a mean of lists with {lengths:?} users; allowed: the same users, one list or more"
        )));
    };
    let mut means = vec![0.0; n];
    for list in lists {
        means.iter_mut().zip(*list).for_each(|(sum, value)| *sum += value);
    }
    means.iter_mut().for_each(|sum| *sum /= lists.len() as f64);
    Ok(means)
}

/// What a paired comparison of two models on the same users found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paired {
    /// Mean over the users of the first model's value minus the second one's.
    pub difference: f64,
    /// The middle 95 % of the bootstrap means.
    pub interval: [f64; 2],
    /// Two-sided p-value, not corrected.
    pub p_value: f64,
}

/// How many draws [`paired_bootstrap`] makes.
pub const RESAMPLES: usize = 10_000;

/// Compares two models by their values on the same users, in the same order. The same seed gives the same result for any
/// number of threads.
///
/// # Errors
/// `INVALID_DATA` if the lists differ in length or have fewer than two users.
pub fn paired_bootstrap(a: &[f64], b: &[f64], seed: u64) -> Result<Paired> {
    paired_bootstrap_until(a, b, seed, &Cancel::default())
}

/// The same unless it is stopped, within a draw.
///
/// # Errors
/// As [`paired_bootstrap`], and `CANCELLED`.
pub fn paired_bootstrap_until(a: &[f64], b: &[f64], seed: u64, cancel: &Cancel) -> Result<Paired> {
    if a.len() != b.len() || a.len() < 2 {
        return Err(Error::invalid_data(format!(
            "a paired comparison of {} with {} users; allowed: the same users, two or more",
            a.len(),
            b.len()
        )));
    }
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let (difference, _) = mean(&differences);
    let n = differences.len();
    let mut means: Vec<f64> = (0..RESAMPLES as u64)
        .into_par_iter()
        .map(|resample| {
            cancel.check()?;
            let mut random = Stream::new(seed, resample);
            Ok((0..n).map(|_| differences[random.below(n as u64) as usize]).sum::<f64>() / n as f64)
        })
        .collect::<Result<_>>()?;
    // Sums in another order differ in the last bits: what is this close is as far.
    let far = difference.abs() * (1.0 - 1e-12);
    let extreme = means.iter().filter(|mean| (**mean - difference).abs() >= far).count();
    means.sort_unstable_by(f64::total_cmp);
    let quantile = |q: f64| {
        let at = q * (RESAMPLES - 1) as f64;
        let (low, share) = (at.floor() as usize, at.fract());
        means[low] + share * (means[(low + 1).min(RESAMPLES - 1)] - means[low])
    };
    Ok(Paired {
        difference,
        interval: [quantile(0.025), quantile(0.975)],
        p_value: ((extreme + 1) as f64 / (RESAMPLES + 1) as f64).max(2f64.powf(1.0 - n as f64)),
    })
}

/// Holm's correction: p-values, in the order given, that hold for all comparisons together.
#[must_use]
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut largest = 0f64;
    for (rank, &index) in order.iter().enumerate() {
        largest = largest.max(p_values[index] * (p_values.len() - rank) as f64).min(1.0);
        corrected[index] = largest;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holm_matches_r() {
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
        let corrected = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (ours, r) in corrected.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((ours - r).abs() < 1e-12, "{corrected:?}");
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn mean_and_standard_error_match_r() {
        // R: x <- c(1, 2, 4, 9); mean(x); sd(x) / sqrt(4)
        let (mean, error) = super::mean(&[1.0, 2.0, 4.0, 9.0]);
        assert_eq!(mean, 4.0);
        assert!((error.unwrap() - 1.779_513_042_005_219).abs() < 1e-12);
        assert_eq!(super::mean(&[3.0]), (3.0, None));
    }

    #[test]
    fn means_of_lists_go_place_by_place() {
        assert_eq!(mean_of_lists(&[&[1.0, 0.0, 0.5], &[0.0, 0.5, 0.5]]).unwrap(), [0.5, 0.25, 0.5]);
        assert_eq!(mean_of_lists(&[&[0.1, 0.7]]).unwrap(), [0.1, 0.7]);
        let error = mean_of_lists(&[&[0.1, 0.7], &[0.2]]).unwrap_err().to_string();
        assert!(error.contains("a mean of lists with [2, 1] users; allowed: the same users"), "{error}");
        assert!(mean_of_lists(&[]).is_err());
    }

    #[test]
    fn bootstrap_agrees_with_the_normal_approximation() {
        let mut random = Stream::new(3, 0);
        let noise: Vec<f64> = (0..2000).map(|_| random.normal()).collect();
        let zeros = vec![0.0; noise.len()];
        for shift in [0.0, 0.03, 0.06] {
            let a: Vec<f64> = noise.iter().map(|value| value + shift).collect();
            let (mean, error) = super::mean(&a);
            let error = error.unwrap();
            let paired = paired_bootstrap(&a, &zeros, 1).unwrap();
            assert_eq!(paired.difference, mean);
            // 10,000 draws: a quantile at 2.5 % has a standard error of about .027 standard errors of the mean.
            for (end, expected) in paired.interval.iter().zip([mean - 1.96 * error, mean + 1.96 * error]) {
                assert!((end - expected).abs() < 0.12 * error, "{paired:?}");
            }
        }
        let same = paired_bootstrap(&noise, &noise, 1).unwrap();
        assert_eq!((same.difference, same.interval, same.p_value), (0.0, [0.0, 0.0], 1.0));
        let apart: Vec<f64> = noise.iter().map(|value| value + 1.0).collect();
        assert!(paired_bootstrap(&apart, &noise, 1).unwrap().p_value < 2e-4);
        assert_eq!(paired_bootstrap(&[0.5, 0.6], &[0.4, 0.4], 1).unwrap().p_value, 0.5);
        assert_eq!(paired_bootstrap(&[0.5, 0.6, 0.7], &[0.4; 3], 1).unwrap().p_value, 0.25);
        assert!(paired_bootstrap(&[1.0], &[2.0], 1).is_err());
        assert!(paired_bootstrap(&noise, &zeros[1..], 1).is_err());
    }
}
