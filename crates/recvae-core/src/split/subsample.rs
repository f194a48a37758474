//! A smaller split for trial runs: some of the training users, the most popular items, the same validation users.
//!
//! 1. All items are in it. Where `items` says how many, they are those with most training users (of equals the first
//!    ones), in their old order. All samples of a split with as many items have the same items, and so the same
//!    questions are asked of them. A sample of the most popular items alone is another problem than the whole: it has
//!    no tail, where models differ most.
//! 2. A seeded permutation of the training users is cut after `users` of them, so a smaller sample is part of a larger
//!    one.
//! 3. The validation users lose the other items. There are no test users: nothing that is decided on a sample may have
//!    seen them.
//!
//! Networks are trained with fewer users per step on a sample, see [`sample_batch`].
//!
//! An item that no sampled user has stays. No model can know it there, and that is part of what little data cost.

use crate::base::error::{Error, Result};
use crate::base::options::{Options, options};
use crate::base::random::Stream;
use crate::data::ids::Ids;
use crate::data::interactions::{Interactions, select_columns};
use crate::data::left_out::{LeftOut, counted};
use crate::math::csr::Csr;
use crate::split::parts::{HeldOut, Split};
use crate::split::strong::not_scored;

options! {
    /// How large a sample is.
    pub struct SampleOptions for "sample" {
        /// Training users of the largest sample at most.
        users: usize = 2000, AtLeast(2.0);
        /// The most popular items that it has at most; by default it has all of them, as models differ most in the
        /// tail.
        items: Option<usize> = None, AtLeast(2.0);
        /// Start of the random numbers; the same seed gives the same sample.
        seed: u64 = 0, Any;
    }
}

/// Stream of the permutation of training users.
const STREAM: u64 = u64::from_be_bytes(*b"sampling");

/// Makes a smaller split. Training users, and items, stand in their old order; there are no test users.
///
/// # Errors
/// `INVALID_ARGUMENT` if an option is out of range.
pub fn sample(split: &Split, options: &SampleOptions) -> Result<Split> {
    let options = options.checked()?;
    let train = &split.train;
    let items = popular(&train.matrix().column_counts(), options.items.unwrap_or(usize::MAX));
    let mut users: Vec<usize> = (0..train.n_users()).collect();
    Stream::new(options.seed, STREAM).shuffle(&mut users);
    users.truncate(options.users);
    users.sort_unstable();
    let select = |matrix: &Csr| select_columns(matrix, &items);
    let validation = HeldOut::new(
        split.validation.users().clone(),
        select(split.validation.input())?,
        select(split.validation.target())?,
    )?;
    let test = HeldOut::new(Ids::new(), empty(items.len())?, empty(items.len())?)?;
    let lost = [train.n_users() - users.len(), train.n_items() - items.len()].map(|n| n as u64);
    let left_out = (lost != [0, 0]).then(|| LeftOut {
        reason: "sample",
        users: lost[0],
        items: lost[1],
        text: format!("the sample is without {}", counted(&[(lost[0], "training user"), (lost[1], "item")])),
        ..LeftOut::default()
    });
    let train = Interactions::new(
        train.users().select(users.iter().copied()),
        train.items().select(items.iter().copied()),
        select(&train.matrix().select_rows(&users))?,
    )?;
    let left_out = left_out.into_iter().chain(not_scored([&validation, &test], "")).collect();
    Split::new(train, validation, test, left_out)
}

/// Fewer users than this in a step give noise, and are slow.
const LEAST_BATCH: usize = 100;

/// Users per step on a sample of `users` of all `training_users`, where `batch` is meant for all of them: so many that
/// an epoch has as many steps as it would have on all, but no fewer than 100 (or `batch`). With `batch` itself a
/// network makes too few steps in its epochs to show what it can do.
#[must_use]
pub fn sample_batch(batch: usize, users: usize, training_users: usize) -> usize {
    let wanted = batch as f64 * users as f64 / training_users.max(1) as f64;
    (wanted.round() as usize).clamp(LEAST_BATCH.min(batch), batch)
}

/// The `n` items with the largest counts, ascending.
fn popular(counts: &[u32], n: usize) -> Vec<usize> {
    let mut items: Vec<usize> = (0..counts.len()).collect();
    items.sort_by_key(|&item| std::cmp::Reverse(counts[item]));
    items.truncate(n);
    items.sort_unstable();
    items
}

fn empty(n_items: usize) -> Result<Csr> {
    Csr::new(vec![0], vec![], n_items).map_err(|error| Error::Internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::options::SplitOptions;
    use crate::split::strong::split;

    fn whole() -> Split {
        split(&crate::data::datasets::debian().unwrap(), &SplitOptions::default()).unwrap()
    }

    #[test]
    fn a_smaller_sample_is_part_of_a_larger_one_and_asks_the_same() {
        let whole = whole();
        let [small, large] =
            [100, 400].map(|users| sample(&whole, &SampleOptions { users, items: Some(300), seed: 7 }).unwrap());
        assert_eq!((small.train.n_users(), small.train.n_items(), small.test.n_users()), (100, 300, 0));
        assert_eq!(small.train.items(), large.train.items());
        assert_eq!(small.validation, large.validation);
        assert_eq!(small.validation.users(), whole.validation.users());
        for user in small.train.users().iter() {
            assert_eq!(small.train.history(user), large.train.history(user));
        }
        let again = sample(&whole, &SampleOptions { users: 100, items: Some(300), seed: 7 }).unwrap();
        assert_eq!(small, again);
        let other = sample(&whole, &SampleOptions { users: 100, items: Some(300), seed: 8 }).unwrap();
        assert_ne!(small.train.users(), other.train.users());
    }

    #[test]
    fn a_sample_of_everything_is_the_split_without_its_test_users() {
        let whole = whole();
        for items in [None, Some(1 << 20)] {
            let all = sample(&whole, &SampleOptions { users: 1 << 20, items, seed: 1 }).unwrap();
            assert_eq!((all.train, all.validation), (whole.train.clone(), whole.validation.clone()));
            assert_eq!(all.test.n_users(), 0);
        }
    }

    #[test]
    fn an_epoch_of_a_sample_has_as_many_steps() {
        for (batch, users, all, expected) in [
            (500, 2000, 5000, 200),
            (500, 5000, 5000, 500),
            (500, 9000, 5000, 500),
            (500, 20, 5000, 100),
            (32, 20, 5000, 32),
            (500, 10, 0, 500),
        ] {
            assert_eq!(sample_batch(batch, users, all), expected, "{batch} {users} {all}");
        }
    }

    #[test]
    fn the_items_are_the_most_popular_ones() {
        assert_eq!(popular(&[3, 9, 3, 1, 9], 3), [0, 1, 4]);
        assert!(sample(&whole(), &SampleOptions { users: 1, ..SampleOptions::default() }).is_err());
        assert!(sample(&whole(), &SampleOptions { items: Some(1), ..SampleOptions::default() }).is_err());
    }
}
