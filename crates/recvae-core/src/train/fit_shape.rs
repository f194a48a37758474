//! What decides how much memory and time a fit takes, and refusing one that cannot fit before anything is taken.
//!
//! Each model says beside its fit what that fit holds at its peak; the data, which are there already, are left out.

use crate::base::error::Result;
use crate::base::memory::{MemoryEstimate, check_limit};
use crate::math::csr::Csr;
use crate::math::linalg::by_users;
use crate::split::choosing::MOST;

/// What decides how much memory and time a fit takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FitShape<'a> {
    /// Number of training users.
    pub users: usize,
    /// Number of items.
    pub items: usize,
    /// Number of (user, item) pairs of the training users.
    pub interactions: usize,
    /// Whether there are validation users, whose best epoch is kept beside the last one.
    pub validation: bool,
    /// Whether the pairs have weights.
    pub weighted: bool,
    /// Threads that compute.
    pub threads: usize,
    /// The training users themselves, where they are known: times of closed forms depend on how uneven users and items
    /// are. Memory is told by the numbers alone.
    pub data: Option<&'a Csr>,
}

/// How many more pairs of items there are than if all users had as many items: activity is uneven.
const UNEVEN: f64 = 2.5;
/// The same of pairs of users: popularity is more uneven.
const UNEVEN_ITEMS: f64 = 5.0;

impl<'a> FitShape<'a> {
    /// That of a fit on `train`.
    #[must_use]
    pub fn of(train: &'a Csr, validation: bool, threads: usize) -> Self {
        let [users, items, interactions] = [train.n_rows(), train.n_cols(), train.nnz()];
        let weighted = train.weights().is_some();
        Self { users, items, interactions, validation, weighted, threads, data: Some(train) }
    }

    /// The sum of the squares of the users' numbers of items, which is how many pairs of items are counted; a guess
    /// without the data.
    pub(crate) fn squares(&self) -> f64 {
        match self.data {
            Some(train) => train.rows().map(|row| (row.len() as f64).powi(2)).sum(),
            None => UNEVEN * (self.interactions as f64).powi(2) / (self.users as f64).max(1.0),
        }
    }

    /// What decides how long an inverse by users takes, a guess without the data; nothing where users are too many for
    /// it.
    pub(crate) fn few_users(&self) -> Option<by_users::Counts> {
        if let Some(train) = self.data {
            return by_users::Counts::of_few(train);
        }
        by_users::has_few_users(self.users, self.items).then(|| {
            let [users, items, interactions] = self.counts();
            let squares = UNEVEN_ITEMS * interactions * interactions / items.max(1.0);
            by_users::Counts { users, items, interactions, squares }
        })
    }

    /// About how many validation users are asked after an epoch: a tenth of those trained on, as a split holds out by
    /// default, and no more than choose.
    pub(crate) fn choosing_users(&self) -> f64 {
        if self.validation { (0.1 * self.users as f64).min(MOST as f64) } else { 0.0 }
    }

    /// Users, items and interactions as the numbers that estimates are made of: products of counts leave the integers.
    pub(crate) fn counts(&self) -> [f64; 3] {
        [self.users, self.items, self.interactions].map(|n| n as f64)
    }
}

/// Refuses a fit of `name` that would take more than `limit` bytes (what is free if there is none) together with
/// `beside`, bytes of something else that will be held meanwhile. Gives back the estimate of one that fits.
/// `users_of_items`: how many users have each item.
///
/// # Errors
/// `MEMORY` with the figures and the ways out: the number of items that would fit and the least `minItem` that leaves
/// no more on these users, and the model's own options.
pub(crate) fn check_fit(
    name: &str,
    users_of_items: impl FnOnce() -> Vec<u32>,
    shape: &FitShape<'_>,
    limit: Option<u64>,
    beside: u64,
    estimate: impl Fn(&FitShape<'_>) -> MemoryEstimate,
) -> Result<MemoryEstimate> {
    let whole = estimate(shape);
    let FitShape { users, items, interactions, .. } = shape;
    let what = format!("{name} on {users} users x {items} items, {interactions} interactions,");
    check_limit(&what, &whole, limit, beside, |limit| {
        let fits =
            |items: usize| estimate(&FitShape { items, data: None, ..*shape }).fit().saturating_add(beside) <= limit;
        let fewer = fewer_items(users_of_items(), fits);
        let smaller = whole.smaller.iter().find(|(_, bytes)| bytes.saturating_add(beside) <= limit);
        let options = (!whole.options.is_empty()).then(|| whole.options.to_owned());
        fewer.into_iter().chain(smaller.map(|(option, _)| option.clone())).chain(options).collect()
    })?;
    Ok(whole)
}

/// How many items would fit, and which `minItem` leaves no more of them; `None` if a fit needs two items and not even
/// they fit.
fn fewer_items(mut users_of_items: Vec<u32>, fits: impl Fn(usize) -> bool) -> Option<String> {
    if !fits(2) {
        return None;
    }
    let (mut fitting, mut too_many) = (2, users_of_items.len().max(3));
    while fitting + 1 < too_many {
        let middle = fitting + (too_many - fitting) / 2;
        if fits(middle) { fitting = middle } else { too_many = middle }
    }
    users_of_items.sort_unstable_by(|a, b| b.cmp(a));
    // Items that have fewer users than the first one that is too many has, and one: ties go together.
    let min_item = users_of_items.get(fitting).map_or(1, |&count| u64::from(count) + 1);
    let left = users_of_items.iter().filter(|&&count| u64::from(count) >= min_item).count();
    Some(match left {
        0 | 1 => format!("at most {fitting} items"),
        _ => format!("at most {fitting} items (minItem {min_item}: {left} items have that many of these users)"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_how_many_items_fit_and_how_to_get_there() {
        // Item i has 10 - i users.
        let rows: Vec<Vec<u32>> = (0..10).map(|user| (0..10 - user).collect()).collect();
        let train = Csr::from_rows(&rows, 10).unwrap();
        let shape = FitShape::of(&train, false, 1);
        let estimate = |shape: &FitShape<'_>| {
            MemoryEstimate::new(0.0, &[("squares", 1024.0 * 1024.0 * (shape.items * shape.items) as f64)], "less of it")
        };
        let check = |limit: u64, beside: u64| {
            check_fit("it", || train.column_counts(), &shape, Some(limit << 20), beside << 20, estimate)
        };
        assert_eq!(check(104, 0).unwrap().fit(), 104 << 20);
        let text = "it on 10 users x 10 items, 55 interactions, needs 104.0 MiB of memory, most of it (100.0 MiB) for \
                    squares; 103.0 MiB is allowed by memoryLimit; the way out: at most 9 items (minItem 2: \
                    9 items have that many of these users), or less of it, or more memory";
        assert_eq!(check(103, 0).unwrap_err().to_string(), text);
        let error = check(103, 50).unwrap_err().to_string();
        assert!(error.contains("104.0 MiB of memory, beside 50.0 MiB that is held already, most"), "{error}");
        assert!(error.contains("at most 7 items (minItem 4: 7 items"), "{error}");
        let error = check(7, 0).unwrap_err().to_string();
        assert!(error.ends_with("the way out: less of it, or more memory"), "{error}");
    }

    #[test]
    fn items_with_as_many_users_stay_or_go_together() {
        let rows = vec![vec![0u32, 1, 2, 3]; 5];
        let train = Csr::from_rows(&rows, 4).unwrap();
        assert_eq!(fewer_items(train.column_counts(), |items| items <= 3).unwrap(), "at most 3 items");
    }
}
