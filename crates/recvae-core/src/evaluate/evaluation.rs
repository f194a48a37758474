//! Models evaluated on held-out users: one value per user and metric, over all users and in groups.
//!
//! - A user with nothing held out has no value, does not count in any metric, and is counted in
//!   [`Evaluation::skipped`].
//! - A user with an empty history counts like any other.
//! - Lists are those that [`Recommender::serve`](crate::Recommender::serve) gives: where a score is exactly 0, and
//!   where a history is empty, the most popular items come, if held-out users know which these are; see `popular.rs`.
//!   AUC looks at the scores alone.
//!
//! **In groups.** A metric of a group of users is that of its users. A metric of a group of items takes the held-out
//! items of other groups for irrelevant: with `hits` the held-out items of the group among the first k of the whole
//! list, and `n` the number of the user's held-out items of that group, it is the formula of `metrics.rs`. The list is
//! what the user sees: items of all groups compete for its places. Users without a held-out item of the group do not
//! count. The numerators of `ndcg@k` and `recall-all@k` of the groups sum to those over all items. What looks at a list
//! without its hits, such as novelty, is that of the same lists for the users who count; coverage and Gini are those of
//! the group's items.

use std::borrow::Cow;

use crate::base::error::{Error, Result};
use crate::evaluate::groups::{ActivityGroup, PopularityGroup, activity_groups, popularity_groups};
use crate::evaluate::known::Known;
use crate::evaluate::lists::for_each_list;
use crate::evaluate::metrics::{Basis, Metric, auc};
use crate::evaluate::scorer::{Scored, Scorer};
use crate::evaluate::top_k::{for_each_weighted_user, top_k};
use crate::math::csr::Csr;
use crate::split::choosing::choosing;
use crate::split::parts::HeldOut;

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

/// The metrics of a group of users.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivityValues {
    /// The users.
    pub group: ActivityGroup,
    /// One entry per metric; the values of users are in the order of their positions.
    pub metrics: Vec<MetricValues>,
}

/// The metrics of a group of items.
#[derive(Clone, Debug, PartialEq)]
pub struct PopularityValues {
    /// The items.
    pub group: PopularityGroup,
    /// Positions in [`Evaluation::users`] of the users with a held-out item of the group, ascending.
    pub positions: Vec<usize>,
    /// Held-out items of the group, of all users together.
    pub held_out: usize,
    /// One entry per metric; the values of users are in the order of the positions. A mean over nobody is not a number.
    pub metrics: Vec<MetricValues>,
}

/// An evaluation with that of groups.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupedEvaluation {
    /// Over all users and items.
    pub all: Evaluation,
    /// By [`activity_groups`].
    pub activity: Vec<ActivityValues>,
    /// By [`popularity_groups`].
    pub popularity: Vec<PopularityValues>,
}

/// [`Metric::VALIDATION`] of a model on the users by whom options are chosen: 10,000 of them, evenly spaced, where more
/// have something to find. `None` where nobody has.
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
/// `INVALID_ARGUMENT` if `metrics` is empty, or one needs the training, which [`evaluate_with`] takes; `INVALID_DATA`
/// if the items are not the model's or no user has anything held out; `NUMERICAL` if a score is not a number.
pub fn evaluate(model: &dyn Scorer, held_out: &HeldOut, metrics: &[Metric]) -> Result<Evaluation> {
    Ok(Judged::of(model, held_out, None, metrics, false)?.evaluation(metrics))
}

/// The same of any metric, by the interactions that models are trained on: shape `(n_users, n_items)`.
///
/// # Errors
/// As [`evaluate`], and `INVALID_DATA` if the training has other items than the model.
pub fn evaluate_with(model: &dyn Scorer, held_out: &HeldOut, train: &Csr, metrics: &[Metric]) -> Result<Evaluation> {
    Ok(Judged::of(model, held_out, Some(train), metrics, false)?.evaluation(metrics))
}

/// The same in groups of users by the length of their history, and of items by their training users.
///
/// # Errors
/// As [`evaluate_with`].
pub fn evaluate_groups(
    model: &dyn Scorer,
    held_out: &HeldOut,
    train: &Csr,
    metrics: &[Metric],
) -> Result<GroupedEvaluation> {
    let judged = Judged::of(model, held_out, Some(train), metrics, true)?;
    let activity = activity_groups(held_out).into_iter().map(|group| ActivityValues {
        metrics: judged.values(metrics, &group.positions, |row| &row.values[..], None),
        group,
    });
    let names = ["head", "middle", "tail"];
    let popularity = popularity_groups(train).into_iter().map(|group| {
        let third = names.iter().position(|name| *name == group.name).unwrap_or_default();
        let of_group = |at: usize| judged.rows[at].thirds[third].0;
        let positions: Vec<usize> = (0..judged.rows.len()).filter(|&at| of_group(at) > 0).collect();
        PopularityValues {
            held_out: positions.iter().map(|&at| of_group(at)).sum(),
            metrics: judged.values(metrics, &positions, |row| &row.thirds[third].1[..], Some(&group.items)),
            positions,
            group,
        }
    });
    let (activity, popularity) = (activity.collect(), popularity.collect());
    Ok(GroupedEvaluation { all: judged.evaluation(metrics), activity, popularity })
}

/// What is known of one user's list.
struct Row {
    /// One value per metric; of those of all lists it means nothing.
    values: Vec<f64>,
    /// How many held-out items each third of the items has, and the values on them; empty if nobody asks.
    thirds: Vec<(usize, Vec<f64>)>,
    /// As much of the list as the metrics of all lists look at.
    items: Vec<u32>,
}

/// The lists of all users with something to find.
struct Judged {
    users: Vec<usize>,
    skipped: usize,
    n_items: usize,
    rows: Vec<Row>,
}

impl Judged {
    fn of(
        model: &dyn Scorer,
        held_out: &HeldOut,
        train: Option<&Csr>,
        metrics: &[Metric],
        in_groups: bool,
    ) -> Result<Self> {
        let users = check(model, held_out, train, metrics)?;
        let (input, target) = (held_out.input(), held_out.target());
        let known = train.map(|train| Known::new(train, metrics));
        let longest_of = |wanted: &dyn Fn(&Metric) -> bool| {
            metrics.iter().filter(|metric| wanted(metric)).filter_map(|metric| metric.k()).max().unwrap_or(0)
        };
        let (longest, kept) = (longest_of(&|_| true), longest_of(&|metric| metric.is_of_all_lists()));
        let histories: Vec<&[u32]> = users.iter().map(|&user| input.row(user)).collect();
        // Of all scores of a user where a metric looks at them.
        let judge = |at: usize, list: &[Scored], scores: &[f32]| {
            let (history, target) = (histories[at], target.row(users[at]));
            let list: Vec<u32> = list.iter().map(|scored| scored.item).collect();
            // Of the whole and of groups alike; what does not look at hits is computed once.
            let of_list = |metric: Metric| match (&known, metric.basis()) {
                (Some(known), Basis::Training) => known.value(metric, &list, history),
                _ => f64::NAN,
            };
            let of_lists: Vec<f64> = metrics.iter().map(|&metric| of_list(metric)).collect();
            let of_targets = |target: &[u32]| -> Vec<f64> {
                let hits: Vec<bool> = list.iter().map(|item| target.binary_search(item).is_ok()).collect();
                let value = |(&metric, &of_list): (&Metric, &f64)| match metric.basis() {
                    Basis::Hits => metric.of_hits(&hits, target.len()),
                    Basis::Ranking => auc(scores, history, target),
                    Basis::Training | Basis::AllLists => of_list,
                };
                metrics.iter().zip(&of_lists).map(value).collect()
            };
            let thirds = match &known {
                Some(known) if in_groups => {
                    let of_third = |third: usize| {
                        let is_in = |item: &&u32| known.third_of()[**item as usize] == third;
                        let target: Vec<u32> = target.iter().filter(is_in).copied().collect();
                        (target.len(), if target.is_empty() { vec![] } else { of_targets(&target) })
                    };
                    (0..3).map(of_third).collect()
                }
                _ => vec![],
            };
            Row { values: of_targets(target), thirds, items: list[..kept.min(list.len())].to_vec() }
        };
        let weights: Option<Vec<&[f32]>> =
            if model.is_weighted() { users.iter().map(|&user| input.row_weights(user)).collect() } else { None };
        let looks_at_scores = metrics.iter().any(|metric| metric.basis() == Basis::Ranking);
        // The list as it is served.
        let served = |at: usize, mut list: Vec<Scored>, score: &dyn Fn(u32) -> f32| match held_out.popular() {
            Some(popular) if histories[at].is_empty() => popular.best(None, longest),
            Some(popular) => {
                popular.refill(&mut list, score, histories[at], None);
                list
            }
            None => list,
        };
        let rows = if looks_at_scores || weights.is_some() {
            let judge = |at: usize, scores: &[f32]| {
                let list = top_k(scores, histories[at], longest)?;
                Ok(judge(at, &served(at, list, &|item| scores[item as usize]), scores))
            };
            for_each_weighted_user(model, &histories, weights.as_deref(), judge)?
        } else {
            let left_out = |at: usize| Cow::Borrowed(histories[at]);
            let judge = |at: usize, list, score: &dyn Fn(u32) -> f32| Ok(judge(at, &served(at, list, score), &[]));
            for_each_list(model, &histories, longest, left_out, judge)?
        };
        Ok(Self { skipped: target.n_rows() - users.len(), users, n_items: model.n_items(), rows })
    }

    /// The metrics of the users at these positions; those of all lists over `items`, or over the whole catalogue.
    fn values<'s>(
        &'s self,
        metrics: &[Metric],
        positions: &[usize],
        values_of: impl Fn(&'s Row) -> &'s [f64],
        items: Option<&[u32]>,
    ) -> Vec<MetricValues> {
        let rows: Vec<&Row> = positions.iter().map(|&at| &self.rows[at]).collect();
        let of_metric = |(at, &metric): (usize, &Metric)| {
            if metric.is_of_all_lists() {
                let mut counts = vec![0; self.n_items];
                for row in &rows {
                    row.items.iter().take(metric.k().unwrap_or(0)).for_each(|&item| counts[item as usize] += 1);
                }
                let counts = match items {
                    Some(items) => items.iter().map(|&item| counts[item as usize]).collect(),
                    None => counts,
                };
                return MetricValues { metric, per_user: vec![], mean: metric.of_counts(counts), standard_error: None };
            }
            let per_user: Vec<f64> = rows.iter().map(|row| values_of(row)[at]).collect();
            let (mean, standard_error) = crate::math::statistics::mean(&per_user);
            MetricValues { metric, per_user, mean, standard_error }
        };
        metrics.iter().enumerate().map(of_metric).collect()
    }

    fn evaluation(self, metrics: &[Metric]) -> Evaluation {
        let all: Vec<usize> = (0..self.rows.len()).collect();
        let metrics = self.values(metrics, &all, |row| &row.values[..], None);
        Evaluation { users: self.users, skipped: self.skipped, metrics }
    }
}

/// The users with something to find, once everything is found to fit.
fn check(model: &dyn Scorer, held_out: &HeldOut, train: Option<&Csr>, metrics: &[Metric]) -> Result<Vec<usize>> {
    let (n_items, target) = (model.n_items(), held_out.target());
    if metrics.is_empty() {
        return Err(Error::invalid_argument("metrics", "an empty list", "at least one metric"));
    }
    if let (None, Some(metric)) = (train, metrics.iter().find(|metric| metric.needs_training())) {
        return Err(Error::invalid_argument("metric", metric, "one that does without the training users' items"));
    }
    if held_out.n_items() != n_items {
        return Err(Error::invalid_data(format!(
            "held-out users have {} items; allowed: the {n_items} of the model",
            held_out.n_items()
        )));
    }
    if let Some(known) = train.map(Csr::n_cols).filter(|known| *known != n_items) {
        return Err(Error::invalid_data(format!(
            "training users have {known} items; allowed: the {n_items} of the model"
        )));
    }
    let users: Vec<usize> = (0..target.n_rows()).filter(|&user| !target.row(user).is_empty()).collect();
    if target.n_rows() == 0 {
        let what = "no user is held out: there is nothing to evaluate; allowed: a split with a share of users above 0";
        return Err(Error::invalid_data(what.to_owned()));
    }
    if users.is_empty() {
        return Err(Error::invalid_data(format!(
            "none of the {} held-out users has an item held out that the model knows: there is nothing to evaluate",
            target.n_rows()
        )));
    }
    Ok(users)
}
