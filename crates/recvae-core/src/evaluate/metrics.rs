//! Ranking metrics on held-out users, one value per user and metric.
//!
//! A user's history goes in, seen items are taken out of the ranking, and the first `k` items of what is left are compared
//! with the held-out ones. With `hits` the held-out items among the first `k`, `n` the number of held-out items:
//!
//! | metric | per user |
//! | --- | --- |
//! | `ndcg@k` | sum over hits at rank r (from 1) of 1 / log2(r + 1), divided by the same sum for the best ranking, min(k, n) hits in front |
//! | `recall@k` | hits / min(k, n), as in the VAE papers |
//! | `recall-all@k` | hits / n, as in the graph papers |
//! | `hit-rate@k` | 1 if there is a hit, else 0 |
//! | `precision@k` | hits / k |
//! | `map@k` | sum over hits at rank r of (hits among the first r) / r, divided by min(k, n) |
//! | `mrr@k` | 1 / (rank of the first hit), 0 without one |
//! | `coverage@k` | not per user: share of the catalogue that stands in the first k of at least one user |
//! | `gini@k` | not per user: Gini coefficient of how often each item of the catalogue stands in the first k; 0 all alike, towards 1 few items fill all lists |
//!
//! - Ties: the item with the lower index ranks first, so that the order is the same everywhere.
//! - `k` above what the catalogue leaves: the list is as long as it can be; the denominators stay.
//! - A user with nothing held out has no value, does not count in any metric, and is counted in
//!   [`Evaluation::skipped`].
//! - A user with an empty history counts like any other.
//!
//! Source: Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW 2018, section 4.1, arXiv 1802.05814; of MAP,
//! MRR and precision, C. D. Manning, P. Raghavan, H. Schuetze, Introduction to Information Retrieval, 2008, chapter 8; of Gini,
//! G. Shani, A. Gunawardana, Evaluating Recommendation Systems, 2011, section 8.3.3.2.

use std::fmt;
use std::str::FromStr;

use crate::base::error::{Error, Result};
use crate::evaluate::scorer::Scorer;
use crate::evaluate::top_k::{for_each_user, top_k};
use crate::split::choosing::choosing;
use crate::split::strong::HeldOut;

/// A metric with its list length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Normalised discounted cumulative gain.
    Ndcg(usize),
    /// Hits over min(k, held out).
    Recall(usize),
    /// Hits over held out.
    RecallAll(usize),
    /// Whether there is a hit.
    HitRate(usize),
    /// Hits over k.
    Precision(usize),
    /// Mean of the precisions at the hits, over min(k, held out).
    Map(usize),
    /// One over the rank of the first hit.
    Mrr(usize),
    /// Share of the catalogue that is recommended to anybody.
    Coverage(usize),
    /// How unequally the catalogue is recommended.
    Gini(usize),
}

impl Metric {
    /// The metrics that the papers report, and those that tell more about a list: what is evaluated unless asked.
    pub const DEFAULT: [Self; 6] = [
        Self::Ndcg(100),
        Self::Recall(20),
        Self::Recall(50),
        Self::RecallAll(20),
        Self::HitRate(20),
        Self::Coverage(100),
    ];

    /// What training is judged by.
    pub const VALIDATION: Self = Self::Ndcg(100);

    /// One of every kind, in the order of the names, with that list length.
    #[must_use]
    pub const fn all(k: usize) -> [Self; 9] {
        [
            Self::Ndcg(k),
            Self::Recall(k),
            Self::RecallAll(k),
            Self::HitRate(k),
            Self::Precision(k),
            Self::Map(k),
            Self::Mrr(k),
            Self::Coverage(k),
            Self::Gini(k),
        ]
    }

    /// The length of the list.
    #[must_use]
    pub fn k(self) -> usize {
        self.parts().1
    }

    /// The name of its kind.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.parts().0
    }

    /// Whether it has one value for all lists together, and none per user.
    #[must_use]
    pub fn is_of_all_lists(self) -> bool {
        matches!(self, Self::Coverage(_) | Self::Gini(_))
    }

    fn parts(self) -> (&'static str, usize) {
        match self {
            Self::Ndcg(k) => ("ndcg", k),
            Self::Recall(k) => ("recall", k),
            Self::RecallAll(k) => ("recall-all", k),
            Self::HitRate(k) => ("hit-rate", k),
            Self::Precision(k) => ("precision", k),
            Self::Map(k) => ("map", k),
            Self::Mrr(k) => ("mrr", k),
            Self::Coverage(k) => ("coverage", k),
            Self::Gini(k) => ("gini", k),
        }
    }

    /// The value for one user. `hits[r]` says whether the item at rank `r + 1` is held out.
    pub(crate) fn value(self, hits: &[bool], n_held_out: usize) -> f64 {
        let k = self.k();
        let hits = &hits[..k.min(hits.len())];
        let count = || hits.iter().filter(|hit| **hit).count() as f64;
        let discount = |rank: usize| 1.0 / ((rank + 2) as f64).log2();
        match self {
            Self::Ndcg(_) => {
                let gain: f64 = hits.iter().enumerate().filter(|(_, hit)| **hit).map(|(rank, _)| discount(rank)).sum();
                gain / (0..k.min(n_held_out)).map(discount).sum::<f64>()
            }
            Self::Recall(_) => count() / k.min(n_held_out) as f64,
            Self::RecallAll(_) => count() / n_held_out as f64,
            Self::HitRate(_) => f64::from(u8::from(count() > 0.0)),
            Self::Precision(_) => count() / k as f64,
            Self::Map(_) => {
                let (mut found, mut sum) = (0.0, 0.0);
                for (rank, _) in hits.iter().enumerate().filter(|(_, hit)| **hit) {
                    found += 1.0;
                    sum += found / (rank + 1) as f64;
                }
                sum / k.min(n_held_out) as f64
            }
            Self::Mrr(_) => hits.iter().position(|hit| *hit).map_or(0.0, |rank| 1.0 / (rank + 1) as f64),
            Self::Coverage(_) | Self::Gini(_) => f64::NAN,
        }
    }

    /// The value of how often each item of the catalogue stands in the lists.
    fn of_counts(self, counts: &mut [u64]) -> f64 {
        let n = counts.len() as f64;
        if let Self::Coverage(_) = self {
            return counts.iter().filter(|&&count| count > 0).count() as f64 / n;
        }
        counts.sort_unstable();
        let total: u64 = counts.iter().sum();
        // The mean difference of two items, over twice the mean, by the order of the counts.
        let weighted =
            (1..).zip(&*counts).map(|(place, &count)| (2.0 * f64::from(place) - n - 1.0) * count as f64).sum::<f64>();
        if total == 0 { 0.0 } else { weighted / (n * total as f64) }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name(), self.k())
    }
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (name, k) = text.split_once('@')?;
            let k = k.parse().ok().filter(|k| (1..=1_000_000).contains(k))?;
            Self::all(k).into_iter().find(|metric| metric.name() == name)
        };
        parse().ok_or_else(|| {
            let names: Vec<_> = Self::all(1).iter().map(|metric| format!("{}@K", metric.name())).collect();
            let (last, others) = names.split_last().map_or(("", &names[..]), |(last, others)| (last, others));
            let allowed = format!("{} or {last} with K from 1 to 1000000", others.join(", "));
            Error::invalid_argument("metric", format!("'{text}'"), allowed)
        })
    }
}

/// The values of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricValues {
    /// Which metric.
    pub metric: Metric,
    /// One value per evaluated user, in the order of [`Evaluation::users`]; empty for coverage and Gini.
    pub per_user: Vec<f64>,
    /// Mean over the users, or the one value of coverage and Gini.
    pub mean: f64,
    /// Standard error of the mean; `None` for coverage and Gini, and below two users.
    pub standard_error: Option<f64>,
}

/// How well a model does on held-out users.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Rows of the held-out users that were evaluated, ascending.
    pub users: Vec<usize>,
    /// How many rows had nothing held out.
    pub skipped: usize,
    /// One entry per metric, in the order that was asked for.
    pub metrics: Vec<MetricValues>,
}

impl Evaluation {
    /// The mean of a metric that was asked for.
    #[must_use]
    pub fn mean(&self, metric: Metric) -> Option<f64> {
        self.metrics.iter().find(|values| values.metric == metric).map(|values| values.mean)
    }
}

/// [`Metric::VALIDATION`] of a model on the users by whom options are chosen: 10,000 of them, evenly spaced, where more have
/// something to find. `None` where nobody has.
///
/// # Errors
/// As [`evaluate`].
pub fn validate(model: &dyn Scorer, validation: &HeldOut) -> Result<Option<MetricValues>> {
    if validation.n_scored() == 0 {
        return Ok(None);
    }
    Ok(evaluate(model, &*choosing(validation)?, &[Metric::VALIDATION])?.metrics.pop())
}

/// Evaluates a model on held-out users.
///
/// # Errors
/// `INVALID_ARGUMENT` if `metrics` is empty, `INVALID_DATA` if the items are not the model's or no user has anything held
/// out, `NUMERICAL` if a score is not a number.
pub fn evaluate(model: &dyn Scorer, held_out: &HeldOut, metrics: &[Metric]) -> Result<Evaluation> {
    let (input, target) = (held_out.input(), held_out.target());
    let n_items = model.n_items();
    let Some(longest) = metrics.iter().map(|metric| metric.k()).max() else {
        return Err(Error::invalid_argument("metrics", "an empty list", "at least one metric"));
    };
    if held_out.n_items() != n_items {
        return Err(Error::invalid_data(format!(
            "held-out users have {} items; allowed: the {n_items} of the model",
            held_out.n_items()
        )));
    }
    let users: Vec<usize> = (0..target.n_rows()).filter(|&user| !target.row(user).is_empty()).collect();
    if users.is_empty() {
        return Err(Error::invalid_data(format!(
            "none of the {} held-out users has an item held out: there is nothing to evaluate",
            target.n_rows()
        )));
    }
    let histories: Vec<&[u32]> = users.iter().map(|&user| input.row(user)).collect();
    let wants_items = metrics.iter().any(|metric| metric.is_of_all_lists());
    let rows = for_each_user(model, &histories, |index, scores| {
        let target = target.row(users[index]);
        let list = top_k(scores, histories[index], longest)?;
        let hits: Vec<bool> = list.iter().map(|scored| target.binary_search(&scored.item).is_ok()).collect();
        let values: Vec<f64> = metrics.iter().map(|metric| metric.value(&hits, target.len())).collect();
        let items: Vec<u32> = if wants_items { list.iter().map(|scored| scored.item).collect() } else { vec![] };
        Ok((values, items))
    })?;
    let metrics = metrics.iter().enumerate().map(|(at, &metric)| {
        if metric.is_of_all_lists() {
            let mut counts = vec![0; n_items];
            for (_, items) in &rows {
                items.iter().take(metric.k()).for_each(|&item| counts[item as usize] += 1);
            }
            MetricValues { metric, per_user: vec![], mean: metric.of_counts(&mut counts), standard_error: None }
        } else {
            let per_user: Vec<f64> = rows.iter().map(|(values, _)| values[at]).collect();
            let (mean, standard_error) = crate::math::statistics::mean(&per_user);
            MetricValues { metric, per_user, mean, standard_error }
        }
    });
    Ok(Evaluation { skipped: target.n_rows() - users.len(), metrics: metrics.collect(), users })
}
