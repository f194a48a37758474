//! Where the variance of a repeated measurement comes from: from the users that are tested, from the training's random
//! numbers, and from the split.
//!
//! A metric is measured on S splits, each with a training seed of its own, and on the first split with T training
//! seeds. With `m_s` the mean over the `n_s` test users of split s and `v_s` the variance of their values:
//!
//! | part | variance |
//! | --- | --- |
//! | users | mean over s of `v_s / n_s`: that of a mean over so many users, whoever they are; the square of its standard error |
//! | seed | variance of the means over the T seeds on the first split, whose users are the same |
//! | between | variance of `m_s` over the splits |
//! | split | what is left of between: between - seed - users * (1 - n / N), 0 if that is negative |
//!
//! The test users of all splits come from the same N users, so that their means vary less than those of users from
//! anywhere: by the factor 1 - n / N of a sample without replacement, n the mean of `n_s`. Where each split tests all
//! users, it is 0. All are given as standard deviations. Variances of a few numbers are uncertain: of five, the
//! standard deviation is off by about a third.
//!
//! For a difference of two models, values are differences by user.
//!
//! Source: X. Bouthillier et al., Accounting for Variance in Machine Learning Benchmarks, MLSys 2021, arXiv 2103.03098
//! (which sources there are); W. G. Cochran, Sampling Techniques, 1977, section 2.6 (the factor).

use crate::base::error::{Error, Result};
use crate::math::statistics::mean;

/// Standard deviations by their source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Apart {
    /// Mean over the splits of the means over users.
    pub mean: f64,
    /// By which users are in the test part.
    pub users: f64,
    /// By the training's random numbers; `None` of a single seed.
    pub seed: Option<f64>,
    /// By which users and interactions are trained on; `None` of a single split.
    pub split: Option<f64>,
    /// Between the splits, all of that together; `None` of a single split.
    pub between: Option<f64>,
}

/// Takes the variance of a metric apart: `splits[s]` are the values by test user on split s, `seeds[t]` those on the
/// first split by training seed t, of the same users in the same order; the first of both may be the same run. A test
/// part could have been drawn from `population` users.
///
/// # Errors
/// `INVALID_DATA` if there is no split, a list has fewer than two users, or the seeds have other users than the first
/// split.
pub fn variance_apart<L: AsRef<[f64]>>(splits: &[L], seeds: &[L], population: usize) -> Result<Apart> {
    let lengths = |lists: &[L]| lists.iter().map(|list| list.as_ref().len()).collect::<Vec<_>>();
    let (of_splits, of_seeds) = (lengths(splits), lengths(seeds));
    let first = of_splits.first().copied().unwrap_or(0);
    if of_splits.iter().any(|&n| n < 2) || first < 2 || of_seeds.iter().any(|&n| n != first) {
        return Err(Error::invalid_data(format!(
            "splits of {of_splits:?} users and seeds of {of_seeds:?}; allowed: two users or more in each split, and the first \
             split's users for each seed"
        )));
    }
    let means = |lists: &[L]| lists.iter().map(|list| mean(list.as_ref()).0).collect::<Vec<_>>();
    let errors: Vec<f64> = splits.iter().map(|list| mean(list.as_ref()).1.unwrap_or(0.0).powi(2)).collect();
    let (of_splits_means, users) = (means(splits), mean(&errors).0);
    let seed = variance(&means(seeds));
    let between = variance(&of_splits_means);
    let n = of_splits.iter().sum::<usize>() as f64 / of_splits.len() as f64;
    let drawn = users * (1.0 - n / population.max(1) as f64).max(0.0);
    let split = between.map(|between| (between - seed.unwrap_or(0.0) - drawn).max(0.0));
    Ok(Apart {
        mean: mean(&of_splits_means).0,
        users: users.sqrt(),
        seed: seed.map(f64::sqrt),
        split: split.map(f64::sqrt),
        between: between.map(f64::sqrt),
    })
}

/// The variance of a sample of two numbers or more.
fn variance(values: &[f64]) -> Option<f64> {
    mean(values).1.map(|error| error.powi(2) * values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Stream;

    #[test]
    fn parts_by_hand() {
        // Means 2 and 4, so a variance of 2; errors of 1 and 2 squared are 1 and 4. Seeds: means 2 and 3, a variance of
        // 0.5.
        let splits = [vec![1.0, 3.0], vec![2.0, 6.0]];
        let seeds = [vec![1.0, 3.0], vec![2.0, 4.0]];
        let apart = variance_apart(&splits, &seeds, 4).unwrap();
        let expected = [3.0, 2.5f64.sqrt(), 0.5f64.sqrt(), 0.25f64.sqrt(), 2f64.sqrt()];
        let found = [apart.mean, apart.users, apart.seed.unwrap(), apart.split.unwrap(), apart.between.unwrap()];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-15, "{found} {expected}");
        }
        // Users from anywhere explain more than there is.
        assert_eq!(variance_apart(&splits, &seeds, 1_000_000).unwrap().split, Some(0.0));
        let one = variance_apart(&splits[..1], &seeds[..1], 4).unwrap();
        assert_eq!((one.seed, one.split, one.between), (None, None, None));
    }

    #[test]
    fn known_parts_are_found() {
        // 400 splits of 200 of 2,000 users: deviations of 0.5 over users, 0.02 by the split and 0.01 by the seed.
        let mut random = Stream::new(5, 0);
        let population: Vec<f64> = (0..2000).map(|_| 0.5 * random.normal()).collect();
        let mut run = |users: &[usize], split: f64| {
            let shift = split + 0.01 * random.normal();
            users.iter().map(|&user| population[user] + shift).collect::<Vec<f64>>()
        };
        let mut draws = Stream::new(6, 0);
        let users: Vec<Vec<usize>> = (0..400).map(|_| draws.sample(2000, 200)).collect();
        let shifts: Vec<f64> = (0..400).map(|_| 0.02 * draws.normal()).collect();
        let splits: Vec<Vec<f64>> = users.iter().zip(&shifts).map(|(users, &shift)| run(users, shift)).collect();
        let seeds: Vec<Vec<f64>> = (0..400).map(|_| run(&users[0], shifts[0])).collect();
        let apart = variance_apart(&splits, &seeds, 2000).unwrap();
        assert!((apart.users - 0.5 / 200f64.sqrt()).abs() < 0.001, "{apart:?}");
        assert!((apart.seed.unwrap() - 0.01).abs() < 0.002, "{apart:?}");
        assert!((apart.split.unwrap() - 0.02).abs() < 0.006, "{apart:?}");
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for (splits, seeds) in [
            (vec![], vec![]),
            (vec![vec![1.0]], vec![]),
            (vec![vec![1.0, 2.0], vec![1.0]], vec![]),
            (vec![vec![1.0, 2.0]], vec![vec![1.0, 2.0, 3.0]]),
        ] {
            assert_eq!(variance_apart(&splits, &seeds, 10).unwrap_err().code(), "INVALID_DATA");
        }
    }
}
