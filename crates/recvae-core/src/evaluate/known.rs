//! What training says of the items of a list, for the metrics that look at more than hits.

use std::sync::{Mutex, PoisonError};

use crate::evaluate::groups::thirds;
use crate::evaluate::metrics::Metric;
use crate::math::csr::Csr;

/// The tail among the thirds of [`thirds`].
const TAIL: usize = 2;

/// The items as training has them.
pub(crate) struct Known {
    n_users: usize,
    /// Training users of each item.
    counts: Vec<u32>,
    /// Of which third each item is: 0 for the head, 1 for the middle, 2 for the tail.
    third_of: Vec<usize>,
    /// The shares of the thirds among all interactions, by which an empty history is judged.
    shares: [f64; 3],
    /// The training users of each item, where two items are to be compared.
    users_of: Option<Csr>,
    /// Sums over training users that nobody uses at the moment; all are zero.
    sums: Mutex<Vec<Vec<f64>>>,
}

impl Known {
    /// Looks at the training, of shape `(n_users, n_items)`, as far as the metrics need it.
    pub(crate) fn new(train: &Csr, metrics: &[Metric]) -> Self {
        let counts = train.column_counts();
        let third_of = thirds(&counts);
        let mut shares = [0.0; 3];
        third_of.iter().zip(&counts).for_each(|(&third, &count)| shares[third] += f64::from(count));
        let compares = metrics.iter().any(|metric| matches!(metric, Metric::Diversity(_)));
        Self {
            n_users: train.n_rows(),
            shares: normalised(shares),
            users_of: compares.then(|| train.transpose()),
            counts,
            third_of,
            sums: Mutex::default(),
        }
    }

    /// Of which third each item is.
    pub(crate) fn third_of(&self) -> &[usize] {
        &self.third_of
    }

    /// The value of a list, best item first, that was made for a history. A list has an item at least where something
    /// is held out.
    pub(crate) fn value(&self, metric: Metric, list: &[u32], history: &[u32]) -> f64 {
        let list = &list[..metric.k().unwrap_or(list.len()).min(list.len())];
        let mean = |of: &dyn Fn(u32) -> f64| list.iter().map(|&item| of(item)).sum::<f64>() / list.len().max(1) as f64;
        match metric {
            Metric::Novelty(_) => mean(&|item| {
                let users = self.counts[item as usize].max(1);
                (self.n_users.max(1) as f64 / f64::from(users)).log2()
            }),
            Metric::Diversity(_) => self.diversity(list),
            Metric::Miscalibration(_) => {
                let before = if history.is_empty() { self.shares } else { self.shares_of(history) };
                divergence(before, self.shares_of(list))
            }
            Metric::Tail(_) => mean(&|item| f64::from(u8::from(self.third_of[item as usize] == TAIL))),
            _ => f64::NAN,
        }
    }

    /// The shares of head, middle and tail.
    fn shares_of(&self, items: &[u32]) -> [f64; 3] {
        let mut shares = [0.0; 3];
        items.iter().for_each(|&item| shares[self.third_of[item as usize]] += 1.0);
        normalised(shares)
    }

    /// With each item a vector of length 1 over its users, the squared length of the sum of the list is the sum of the
    /// cosines of all pairs, each twice, and of each item with itself. So a list takes as long as its items have users,
    /// not their square.
    fn diversity(&self, list: &[u32]) -> f64 {
        let (Some(users_of), true) = (&self.users_of, list.len() > 1) else { return 0.0 };
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        sums.resize(self.n_users, 0.0);
        for &item in list {
            let weight = 1.0 / f64::from(self.counts[item as usize]).sqrt();
            users_of.row(item as usize).iter().for_each(|&user| sums[user as usize] += weight);
        }
        let mut squares = 0.0;
        for &user in list.iter().flat_map(|&item| users_of.row(item as usize)) {
            // The second time that a user comes, the sum is zero.
            squares += std::mem::take(&mut sums[user as usize]).powi(2);
        }
        self.sums.lock().unwrap_or_else(PoisonError::into_inner).push(sums);
        let alone = list.iter().filter(|&&item| self.counts[item as usize] > 0).count() as f64;
        let pairs = (list.len() * (list.len() - 1)) as f64;
        // Rounding can leave it a little outside.
        1.0 - ((squares - alone) / pairs).clamp(0.0, 1.0)
    }
}

fn normalised(counts: [f64; 3]) -> [f64; 3] {
    let sum: f64 = counts.iter().sum();
    if sum > 0.0 { counts.map(|count| count / sum) } else { [0.0; 3] }
}

/// The Jensen-Shannon divergence of two distributions in bits: the mean of their divergences from their mean.
fn divergence(p: [f64; 3], q: [f64; 3]) -> f64 {
    let towards_mean = |p: f64, q: f64| if p > 0.0 { p * (2.0 * p / (p + q)).log2() } else { 0.0 };
    let sum: f64 = p.into_iter().zip(q).map(|(p, q)| towards_mean(p, q) + towards_mean(q, p)).sum();
    // Rounding can leave it a little outside.
    (sum / 2.0).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divergence_is_between_0_and_1() {
        assert_eq!(divergence([0.2, 0.3, 0.5], [0.2, 0.3, 0.5]), 0.0);
        assert_eq!(divergence([1.0, 0.0, 0.0], [0.0, 0.0, 1.0]), 1.0);
        assert_eq!(divergence([1.0, 0.0, 0.0], [0.0, 0.5, 0.5]), 1.0);
        // Half in common: log2(4 / 3) / 2 from the one side, (log2(2 / 3) + 1) / 4 + 1 / 4 from the other.
        let expected = 0.5 * ((4.0f64 / 3.0).log2() + 0.5 * (2.0f64 / 3.0).log2() + 0.5);
        assert!((divergence([1.0, 0.0, 0.0], [0.5, 0.5, 0.0]) - expected).abs() < 1e-15);
    }

    #[test]
    fn sums_are_left_at_zero() {
        let train = Csr::from_rows([&[0u32, 1][..], &[1, 2], &[0, 1]], 3).unwrap();
        let known = Known::new(&train, &[Metric::Diversity(5)]);
        let first = known.value(Metric::Diversity(5), &[0, 1, 2], &[]);
        assert_eq!(known.value(Metric::Diversity(5), &[0, 1, 2], &[]), first);
        assert!(known.sums.lock().unwrap().iter().flatten().all(|&sum| sum == 0.0));
    }
}
