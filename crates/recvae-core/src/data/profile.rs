//! What data look like before any model is asked: how many, how dense, how unequal.
//!
//! With `n_u` the number of items of user u, `n_i` the number of users of item i, and items sorted by `n_i`:
//!
//! | figure | formula |
//! | --- | --- |
//! | quantile q | linear interpolation at `q (n - 1)` between sorted counts, as numpy's default (type 7 of Hyndman and Fan) |
//! | Gini | `sum over ranks r from 1, ascending, of (2 r - n - 1) n_(r) / (n sum n_(r))`: 0 if all items have as many users, near 1 if one has all |
//! | top share q | interactions of the `ceil(q n)` items with most users, over all interactions |
//! | tail share | the rest of the top 20 %: interactions of the 80 % of items with fewest users |
//! | repeated users | users whose items are exactly those of a user before them, over all users |
//!
//! Source of the Gini formula: Dixon, Weiner, Mitchell-Olds, Woodley, "Bootstrapping the Gini Coefficient of
//! Inequality", Ecology 68, 1987, without the correction for small samples.

use std::collections::HashSet;

use crate::base::cancel::Cancel;
use crate::base::error::Result;
use crate::math::csr::Csr;

/// Below this many interactions nothing reliable is known of a user or an item. The split protocol's number, too.
pub const FEW: u32 = 5;

/// Where counts lie.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// Values at [`Spread::QUANTILES`], ascending.
    pub quantiles: [f64; 8],
    /// Their mean.
    pub mean: f64,
}

impl Spread {
    /// Which quantiles: smallest, tenth, quarter, median, three quarters, nine tenths, 99 %, largest.
    pub const QUANTILES: [f64; 8] = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0];

    /// Of counts in any order; all zeros for none.
    fn of(counts: &[u32]) -> Self {
        let mut sorted = counts.to_vec();
        sorted.sort_unstable();
        let Some(last) = sorted.len().checked_sub(1) else { return Self::default() };
        let quantile = |q: f64| {
            let at = q * last as f64;
            let (low, share) = (at.floor() as usize, at.fract());
            let [low, high] = [low, (low + 1).min(last)].map(|at| f64::from(sorted[at]));
            low + share * (high - low)
        };
        Self { quantiles: Self::QUANTILES.map(quantile), mean: total(&sorted) / sorted.len() as f64 }
    }
}

/// Figures of a matrix of users x items.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Number of users.
    pub users: usize,
    /// Number of items.
    pub items: usize,
    /// Number of distinct pairs.
    pub interactions: usize,
    /// Share of all pairs that interacted, from 0 to 1.
    pub density: f64,
    /// Items per user.
    pub per_user: Spread,
    /// Users per item.
    pub per_item: Spread,
    /// Gini coefficient of users per item, from 0 to below 1.
    pub gini: f64,
    /// Share of the interactions that the most popular 1 % of items have.
    pub top_1_percent: f64,
    /// The same of the most popular 20 %.
    pub top_20_percent: f64,
    /// The same of the other 80 %.
    pub tail: f64,
    /// Share of the items with fewer than [`FEW`] users.
    pub rare_items: f64,
    /// Share of the users with fewer than [`FEW`] items.
    pub short_users: f64,
    /// Share of the users with exactly the items of a user before them.
    pub repeated_users: f64,
    /// Largest share of the catalogue that one user has.
    pub fullest_user: f64,
}

/// Counts what there is.
///
/// # Errors
/// `CANCELLED`.
pub fn profile(data: &Csr, cancel: &Cancel) -> Result<Profile> {
    let (users, items, interactions) = (data.n_rows(), data.n_cols(), data.nnz());
    let per_user: Vec<u32> = data.rows().map(|row| row.len() as u32).collect();
    let mut per_item = data.column_counts();
    per_item.sort_unstable();
    let mut rows: HashSet<&[u32]> = HashSet::with_capacity(users);
    let mut repeated = 0;
    for row in data.rows() {
        cancel.check()?;
        repeated += usize::from(!rows.insert(row));
    }
    let top = |n: usize| share(total(&per_item[items - n..]), interactions);
    let few = |counts: &[u32]| share(counts.iter().filter(|&&count| count < FEW).count() as f64, counts.len());
    let largest = per_user.iter().copied().max().unwrap_or(0);
    Ok(Profile {
        users,
        items,
        interactions,
        density: share(share(interactions as f64, users), items),
        per_user: Spread::of(&per_user),
        per_item: Spread::of(&per_item),
        gini: gini(&per_item),
        top_1_percent: top(items.div_ceil(100)),
        top_20_percent: top(items.div_ceil(5)),
        tail: share(total(&per_item[..items - items.div_ceil(5)]), interactions),
        rare_items: few(&per_item),
        short_users: few(&per_user),
        repeated_users: share(repeated as f64, users),
        fullest_user: share(f64::from(largest), items),
    })
}

/// `part` of `whole`, 0 of nothing.
fn share(part: f64, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part / whole as f64 }
}

fn total(counts: &[u32]) -> f64 {
    counts.iter().map(|&count| f64::from(count)).sum()
}

/// Of ascending counts.
fn gini(sorted: &[u32]) -> f64 {
    let n = sorted.len() as f64;
    let all = n * total(sorted);
    let ranks = (1..=sorted.len()).map(|rank| 2.0 * rank as f64 - n - 1.0);
    let weighted: f64 = ranks.zip(sorted).map(|(weight, &count)| weight * f64::from(count)).sum();
    if all == 0.0 { 0.0 } else { weighted / all }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(rows: &[Vec<u32>], n_items: usize) -> Profile {
        profile(&Csr::from_rows(rows, n_items).unwrap(), &Cancel::default()).unwrap()
    }

    #[test]
    fn agrees_with_numpy() {
        // import numpy as np rows = [[j for j in range(12) if (i * 7 + j * j) % (2 + j) == 0] for i in range(20)] x =
        // np.zeros((20, 12), int) for i, r in enumerate(rows): x[i, r] = 1 q = [0, .1, .25, .5, .75, .9, .99, 1] u, c =
        // x.sum(1), np.sort(x.sum(0)); n = 12 print(np.quantile(u, q).tolist(), u.mean(), np.quantile(c, q).tolist(),
        // c.mean()) print(np.abs(c[:, None] - c).mean() / (2 * c.mean())) # Gini by its definition, the mean absolute
        // difference print(c[-1:].sum() / c.sum(), c[-3:].sum() / c.sum(), (c < 5).mean(), (u < 5).mean()) print(1 -
        // len(set(map(tuple, rows))) / 20, u.max() / 12, x.mean())
        let rows: Vec<Vec<u32>> =
            (0..20).map(|i| (0..12).filter(|j| (i * 7 + j * j) % (2 + j) == 0).collect()).collect();
        let found = of(&rows, 12);
        let close = |found: f64, numpy: f64| assert!((found - numpy).abs() < 1e-14, "{found} {numpy}");
        let users = [0.0, 0.0, 1.0, 1.5, 3.0, 4.0, 6.429_999_999_999_996, 7.0];
        let items = [0.0, 1.1, 2.0, 2.0, 4.25, 5.9, 9.560_000_000_000_002, 10.0];
        for (spread, (quantiles, mean)) in [(found.per_user, (users, 1.95)), (found.per_item, (items, 3.25))] {
            spread.quantiles.into_iter().zip(quantiles).for_each(|(found, numpy)| close(found, numpy));
            close(spread.mean, mean);
        }
        close(found.gini, 0.403_846_153_846_153_85);
        close(found.top_1_percent, 0.256_410_256_410_256_4);
        close(found.top_20_percent, 0.538_461_538_461_538_4);
        close(found.tail, 1.0 - 0.538_461_538_461_538_4);
        assert_eq!((found.rare_items, found.short_users), (0.75, 0.95));
        close(found.repeated_users, 0.3);
        close(found.fullest_user, 7.0 / 12.0);
        close(found.density, 0.1625);
        assert_eq!((found.users, found.items, found.interactions), (20, 12, 39));
    }

    #[test]
    fn small_cases_are_what_they_must_be() {
        // Everybody has everything: no inequality, all repeated but the first.
        let same = of(&vec![vec![0, 1, 2, 3, 4, 5]; 4], 6);
        assert_eq!((same.gini, same.density, same.fullest_user, same.repeated_users), (0.0, 1.0, 1.0, 0.75));
        assert_eq!((same.rare_items, same.short_users), (1.0, 0.0));
        // One item has all: Gini 1 - 1/n.
        let one = of(&vec![vec![2]; 3], 4);
        assert_eq!((one.gini, one.top_1_percent, one.tail), (0.75, 1.0, 0.0));
        let nothing = of(&[], 0);
        assert_eq!((nothing.gini, nothing.density, nothing.tail), (0.0, 0.0, 0.0));
        assert_eq!(nothing.per_user, Spread::default());
    }

    #[test]
    fn stops_when_asked() {
        let cancel = Cancel::default();
        cancel.cancel();
        assert_eq!(profile(&Csr::from_rows([vec![0u32]], 1).unwrap(), &cancel).unwrap_err().code(), "CANCELLED");
    }

    proptest! {
        #[test]
        fn figures_stay_in_their_ranges(rows in prop::collection::vec(prop::collection::btree_set(0u32..30, 0..20), 1..40)) {
            let rows: Vec<Vec<u32>> = rows.into_iter().map(|row| row.into_iter().collect()).collect();
            let found = of(&rows, 30);
            prop_assert!((0.0..1.0).contains(&found.gini), "{}", found.gini);
            for spread in [found.per_user, found.per_item] {
                prop_assert!(spread.quantiles.is_sorted());
                prop_assert!((spread.quantiles[0]..=spread.quantiles[7]).contains(&spread.mean));
            }
            let whole = if found.interactions == 0 { 0.0 } else { 1.0 };
            prop_assert!((found.tail + found.top_20_percent - whole).abs() < 1e-12);
            prop_assert!(found.top_1_percent <= found.top_20_percent);
            for share in [found.density, found.rare_items, found.short_users, found.repeated_users, found.fullest_user] {
                prop_assert!((0.0..=1.0).contains(&share));
            }
            // The order of users does not count.
            let reversed: Vec<Vec<u32>> = rows.into_iter().rev().collect();
            prop_assert_eq!(of(&reversed, 30), found);
        }
    }
}
