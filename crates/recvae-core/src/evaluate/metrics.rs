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
//! | `coverage@k` | not per user: share of the catalogue that stands in the first k of at least one user |
//!
//! - Ties: the item with the lower index ranks first, so that the order is the same everywhere.
//! - `k` above what the catalogue leaves: the list is as long as it can be; the denominators stay.
//! - A user with nothing held out has no value, does not count in any metric, and is counted in
//!   [`Evaluation::skipped`].
//! - A user with an empty history counts like any other.
//!
//! Source: Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW 2018, section 4.1, arXiv 1802.05814.

use std::fmt;
use std::str::FromStr;

use crate::base::error::{Error, Result};
use crate::evaluate::scorer::Scorer;
use crate::evaluate::top_k::{for_each_user, top_k};
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
    /// Share of the catalogue that is recommended to anybody.
    Coverage(usize),
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

    /// The length of the list.
    #[must_use]
    pub fn k(self) -> usize {
        let (Self::Ndcg(k) | Self::Recall(k) | Self::RecallAll(k) | Self::HitRate(k) | Self::Coverage(k)) = self;
        k
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ndcg(_) => "ndcg",
            Self::Recall(_) => "recall",
            Self::RecallAll(_) => "recall-all",
            Self::HitRate(_) => "hit-rate",
            Self::Coverage(_) => "coverage",
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
            Self::Coverage(_) => f64::NAN,
        }
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
            Some(match name {
                "ndcg" => Self::Ndcg(k),
                "recall" => Self::Recall(k),
                "recall-all" => Self::RecallAll(k),
                "hit-rate" => Self::HitRate(k),
                "coverage" => Self::Coverage(k),
                _ => return None,
            })
        };
        parse().ok_or_else(|| {
            let allowed = "ndcg@K, recall@K, recall-all@K, hit-rate@K or coverage@K with K from 1 to 1000000";
            Error::invalid_argument("metric", format!("'{text}'"), allowed)
        })
    }
}

/// The values of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricValues {
    /// Which metric.
    pub metric: Metric,
    /// One value per evaluated user, in the order of [`Evaluation::users`]; empty for coverage.
    pub per_user: Vec<f64>,
    /// Mean over the users, or the one value of coverage.
    pub mean: f64,
    /// Standard error of the mean; `None` for coverage and below two users.
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
    let wants_coverage = metrics.iter().any(|metric| matches!(metric, Metric::Coverage(_)));
    let rows = for_each_user(model, &histories, |index, scores| {
        let target = target.row(users[index]);
        let list = top_k(scores, histories[index], longest)?;
        let hits: Vec<bool> = list.iter().map(|scored| target.binary_search(&scored.item).is_ok()).collect();
        let values: Vec<f64> = metrics.iter().map(|metric| metric.value(&hits, target.len())).collect();
        let items: Vec<u32> = if wants_coverage { list.iter().map(|scored| scored.item).collect() } else { vec![] };
        Ok((values, items))
    })?;
    let metrics = metrics.iter().enumerate().map(|(at, &metric)| {
        if let Metric::Coverage(k) = metric {
            let mut covered = vec![false; n_items];
            for (_, items) in &rows {
                items.iter().take(k).for_each(|&item| covered[item as usize] = true);
            }
            let mean = covered.iter().filter(|covered| **covered).count() as f64 / n_items as f64;
            MetricValues { metric, per_user: vec![], mean, standard_error: None }
        } else {
            let per_user: Vec<f64> = rows.iter().map(|(values, _)| values[at]).collect();
            let (mean, standard_error) = crate::math::statistics::mean(&per_user);
            MetricValues { metric, per_user, mean, standard_error }
        }
    });
    Ok(Evaluation { skipped: target.n_rows() - users.len(), metrics: metrics.collect(), users })
}
