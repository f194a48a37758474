//! Ranking metrics: their names, and what a list of a user is worth by its hits.
//!
//! A user's history goes in, seen items are taken out of the ranking, and the first `k` items of what is left are
//! compared with the held-out ones. With `hits` the held-out items among the first `k`, `n` the number of held-out
//! items:
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
//! | `auc` | of all pairs of a held-out item and another unseen one, the share in which the held-out item has the higher score; equal scores count half; 1 where there is no other item |
//! | `novelty@k` | mean over the list of log2(U / u), U training users of which u have the item; 1 stands for u = 0 |
//! | `diversity@k` | 1 minus the mean cosine of two items of the list, (users of both) / sqrt(users of the one * users of the other), in training; 0 for a list of one item |
//! | `miscalibration@k` | Jensen-Shannon divergence, in bits, of the shares of head, middle and tail in the list from those in the history; 0 the same, 1 nothing in common. An empty history has the shares of the training |
//! | `tail@k` | share of the list that is of the tail |
//! | `coverage@k` | not per user: share of the catalogue that stands in the first k of at least one user |
//! | `gini@k` | not per user: Gini coefficient of how often each item of the catalogue stands in the first k; 0 all alike, towards 1 few items fill all lists |
//!
//! - Ties: the item with the lower index ranks first, so that the order is the same everywhere. AUC alone takes them
//!   for ties.
//! - `k` above what the catalogue leaves: the list is as long as it can be; the denominators stay, and means over the
//!   list are over the items that it has.
//! - Head, middle and tail are those of `groups.rs`.
//!
//! Source: Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW 2018, section 4.1, arXiv
//! 1802.05814; of MAP, MRR and precision, C. D. Manning, P. Raghavan, H. Schuetze, Introduction to Information
//! Retrieval, 2008, chapter 8; of Gini, G. Shani, A. Gunawardana, Evaluating Recommendation Systems, 2011, section
//! 8.3.3.2; of AUC, S. Rendle et al., BPR, UAI 2009; of novelty and of diversity within a list, P. Castells, N. J.
//! Hurley, S. Vargas, Novelty and Diversity in Recommender Systems, in Recommender Systems Handbook, 2015; of
//! miscalibration, H. Abdollahpouri et al., User-centered Evaluation of Popularity Bias in Recommender Systems, UMAP
//! 2021, arXiv 2103.06364.

use std::fmt;
use std::str::FromStr;

use crate::base::error::{Error, Result};

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
    /// Share of pairs of a held-out and another item that the scores put in the right order.
    Auc,
    /// How rare the items of the list are.
    Novelty(usize),
    /// How rarely two items of the list have the same users.
    Diversity(usize),
    /// How far the list is from the history in its shares of popular and of rare items.
    Miscalibration(usize),
    /// Share of the list that is of the tail.
    Tail(usize),
    /// Share of the catalogue that is recommended to anybody.
    Coverage(usize),
    /// How unequally the catalogue is recommended.
    Gini(usize),
}

/// What a value is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    /// Which places of the list are hits.
    Hits,
    /// The scores of all items.
    Ranking,
    /// The list, and what training says of its items.
    Training,
    /// The lists of all users together.
    AllLists,
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
    pub const VALIDATION: Self = Self::Ndcg(Self::VALIDATION_LENGTH);

    /// The length of its list.
    pub(crate) const VALIDATION_LENGTH: usize = 100;

    /// One of every kind, in the order of the names, with that list length.
    #[must_use]
    pub const fn all(k: usize) -> [Self; 14] {
        [
            Self::Ndcg(k),
            Self::Recall(k),
            Self::RecallAll(k),
            Self::HitRate(k),
            Self::Precision(k),
            Self::Map(k),
            Self::Mrr(k),
            Self::Auc,
            Self::Novelty(k),
            Self::Diversity(k),
            Self::Miscalibration(k),
            Self::Tail(k),
            Self::Coverage(k),
            Self::Gini(k),
        ]
    }

    /// The length of the list; none of AUC, which looks at all items.
    #[must_use]
    pub fn k(self) -> Option<usize> {
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
        self.basis() == Basis::AllLists
    }

    /// Whether it needs the interactions that models are trained on.
    #[must_use]
    pub fn needs_training(self) -> bool {
        self.basis() == Basis::Training
    }

    pub(crate) fn basis(self) -> Basis {
        match self {
            Self::Auc => Basis::Ranking,
            Self::Novelty(_) | Self::Diversity(_) | Self::Miscalibration(_) | Self::Tail(_) => Basis::Training,
            Self::Coverage(_) | Self::Gini(_) => Basis::AllLists,
            _ => Basis::Hits,
        }
    }

    fn parts(self) -> (&'static str, Option<usize>) {
        match self {
            Self::Ndcg(k) => ("ndcg", Some(k)),
            Self::Recall(k) => ("recall", Some(k)),
            Self::RecallAll(k) => ("recall-all", Some(k)),
            Self::HitRate(k) => ("hit-rate", Some(k)),
            Self::Precision(k) => ("precision", Some(k)),
            Self::Map(k) => ("map", Some(k)),
            Self::Mrr(k) => ("mrr", Some(k)),
            Self::Auc => ("auc", None),
            Self::Novelty(k) => ("novelty", Some(k)),
            Self::Diversity(k) => ("diversity", Some(k)),
            Self::Miscalibration(k) => ("miscalibration", Some(k)),
            Self::Tail(k) => ("tail", Some(k)),
            Self::Coverage(k) => ("coverage", Some(k)),
            Self::Gini(k) => ("gini", Some(k)),
        }
    }

    /// The value for one user by [`Basis::Hits`]. `hits[r]` says whether the item at rank `r + 1` is held out.
    pub(crate) fn of_hits(self, hits: &[bool], n_held_out: usize) -> f64 {
        let k = self.k().unwrap_or(hits.len());
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
            _ => f64::NAN,
        }
    }

    /// The value by [`Basis::AllLists`] of how often each item of the catalogue, or of a part of it, stands in the
    /// lists.
    pub(crate) fn of_counts(self, mut counts: Vec<u64>) -> f64 {
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

/// `auc` of one user: `seen` and `held_out` are ascending, and have no item in common.
pub(crate) fn auc(scores: &[f32], seen: &[u32], held_out: &[u32]) -> f64 {
    // -0 becomes 0: they tie.
    let mut wanted: Vec<f32> = held_out.iter().map(|&item| scores[item as usize] + 0.0).collect();
    wanted.sort_unstable_by(f32::total_cmp);
    let mut skipped = [seen, held_out].map(|items| items.iter().peekable());
    // Pairs in the right order count twice and ties once, so that sums are exact.
    let (mut others, mut halves) = (0u64, 0u64);
    for (item, &score) in (0u32..).zip(scores) {
        if skipped.iter_mut().any(|items| items.next_if_eq(&&item).is_some()) {
            continue;
        }
        others += 1;
        let score = score + 0.0;
        let not_above = wanted.partition_point(|wanted| *wanted <= score);
        let below = wanted.partition_point(|wanted| *wanted < score);
        halves += 2 * (wanted.len() - not_above) as u64 + (not_above - below) as u64;
    }
    if others == 0 { 1.0 } else { halves as f64 / (2 * others * wanted.len() as u64) as f64 }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.k() {
            Some(k) => write!(f, "{}@{k}", self.name()),
            None => f.write_str(self.name()),
        }
    }
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let Some((name, k)) = text.split_once('@') else {
                return Self::all(1).into_iter().find(|metric| metric.k().is_none() && metric.name() == text);
            };
            let k = k.parse().ok().filter(|k| (1..=1_000_000).contains(k))?;
            Self::all(k).into_iter().find(|metric| metric.k().is_some() && metric.name() == name)
        };
        parse().ok_or_else(|| {
            let (with_k, without): (Vec<Self>, Vec<Self>) =
                Self::all(1).into_iter().partition(|metric| metric.k().is_some());
            let list = |metrics: &[Self], end| {
                metrics.iter().map(|metric| format!("{}{end}", metric.name())).collect::<Vec<_>>().join(", ")
            };
            let allowed = format!("{} with K from 1 to 1000000, or {}", list(&with_k, "@K"), list(&without, ""));
            Error::invalid_argument("metric", format!("'{text}'"), allowed)
        })
    }
}
