//! Metrics and the paired comparison.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::Float64Array;
use napi_derive::napi;
use recvae_core::{ActivityValues, Evaluation, GroupedEvaluation, Metric, MetricValues, PopularityValues};

use crate::copied::Copied;
use crate::data::NativeHeldOut;
use crate::error::{IntoNode, Result, whole};
use crate::groups::positions;
use crate::model::NativeModel;
use crate::run::NativeRun;
use crate::work::{Promise, long, promise};

/// One metric over all evaluated users.
#[napi(object, object_from_js = false)]
pub struct NativeMetric {
    /// Name, such as `ndcg@100`.
    pub name: String,
    /// Mean over the users, or the one value of a metric that has none per user.
    pub mean: f64,
    /// Standard error of the mean, where there is one.
    pub standard_error: Option<f64>,
    /// Length `n_users`, or 0.
    #[napi(ts_type = "Float64Array")]
    pub per_user: Copied<f64>,
}

impl From<MetricValues> for NativeMetric {
    fn from(values: MetricValues) -> Self {
        Self {
            name: values.metric.to_string(),
            mean: values.mean,
            standard_error: values.standard_error,
            per_user: values.per_user.into(),
        }
    }
}

/// The metrics of a group of users or of items.
#[napi(object, object_from_js = false)]
pub struct NativeGroupMetrics {
    /// `activity` or `popularity`.
    pub by: String,
    /// Name of the group.
    pub name: String,
    /// Shortest input of its users, or least training users of its items.
    pub from: f64,
    /// The most.
    pub to: f64,
    /// Number of its items; none of users.
    pub items: Option<f64>,
    /// Positions in the evaluation's `users` of those that count.
    #[napi(ts_type = "Uint32Array")]
    pub positions: Copied<u32>,
    /// In the order asked for; of nobody the means are not numbers.
    pub metrics: Vec<NativeMetric>,
}

/// The result of an evaluation.
#[napi(object, object_from_js = false)]
pub struct NativeEvaluation {
    /// In the order asked for.
    pub metrics: Vec<NativeMetric>,
    /// The same in groups, if they were asked for.
    pub groups: Vec<NativeGroupMetrics>,
    /// Positions of the evaluated users among the held-out ones, ascending.
    #[napi(ts_type = "Uint32Array")]
    pub users: Copied<u32>,
    /// Held-out users with nothing to find.
    pub skipped: u32,
    /// Held-out items and inputs that the model does not know.
    pub unknown: f64,
    /// Whether the model was trained on the training users of the split, if that is known.
    pub same_training_users: Option<bool>,
    /// How many of the evaluated users it was trained on, if that is known.
    pub trained_users: Option<u32>,
    /// How many of the others have the items of a training user, if that is known.
    pub trained_histories: Option<u32>,
    /// What speaks against the result.
    pub warnings: Vec<String>,
}

/// Evaluates a model on held-out users, if asked in groups, too. Without `metrics`, the core's default ones.
#[napi(catch_unwind, ts_return_type = "Promise<NativeEvaluation>")]
pub fn evaluate<'env>(
    env: &'env Env,
    model: &NativeModel,
    held_out: &NativeHeldOut,
    metrics: Option<Vec<String>>,
    in_groups: bool,
    threads: Option<f64>,
    run: &NativeRun,
) -> Result<Promise<'env>> {
    let (model, held_out, cancel) = (Arc::clone(model.0.get()?), Arc::clone(held_out.0.get()?), run.flag());
    let metrics: Vec<Metric> = match metrics {
        None => Metric::DEFAULT.to_vec(),
        Some(names) => names.iter().map(|name| name.parse()).collect::<recvae_core::Result<_>>().into_node()?,
    };
    promise(
        env,
        long(threads, &cancel)?,
        move || {
            let (translated, unknown) = model.translate(held_out.users(), held_out.items()).into_node()?;
            let scorer = model.scorer(&cancel);
            let found = if in_groups || metrics.iter().any(|metric| metric.needs_training()) {
                let train = model.translate_training(held_out.train()).into_node()?;
                if in_groups {
                    recvae_core::evaluate_groups(&scorer, &translated, &train, &metrics).into_node()?
                } else {
                    without_groups(recvae_core::evaluate_with(&scorer, &translated, &train, &metrics).into_node()?)
                }
            } else {
                without_groups(recvae_core::evaluate(&scorer, &translated, &metrics).into_node()?)
            };
            let leak = model.record().leak(held_out.train(), held_out.users(), held_out.items(), &found.all.users);
            Ok((found, unknown, leak))
        },
        |(GroupedEvaluation { all, activity, popularity }, unknown, leak)| NativeEvaluation {
            metrics: all.metrics.into_iter().map(NativeMetric::from).collect(),
            groups: native_groups(activity, popularity),
            users: positions(all.users),
            skipped: all.skipped as u32,
            unknown: unknown as f64,
            same_training_users: leak.same_training_users,
            trained_users: leak.users.map(|n| n as u32),
            trained_histories: leak.histories.map(|n| n as u32),
            warnings: leak.warnings,
        },
    )
}

/// Fails for a name that is no metric's, as [`evaluate`] would.
#[napi(catch_unwind)]
pub fn check_metrics(metrics: Vec<String>) -> Result<()> {
    metrics.iter().try_for_each(|name| name.parse::<Metric>().map(drop)).into_node()
}

fn without_groups(all: Evaluation) -> GroupedEvaluation {
    GroupedEvaluation { all, activity: vec![], popularity: vec![] }
}

fn native_groups(activity: Vec<ActivityValues>, popularity: Vec<PopularityValues>) -> Vec<NativeGroupMetrics> {
    let native = |metrics: Vec<MetricValues>| metrics.into_iter().map(NativeMetric::from).collect();
    let activity = activity.into_iter().map(|ActivityValues { group, metrics }| NativeGroupMetrics {
        by: "activity".to_owned(),
        name: group.name.to_owned(),
        from: group.from as f64,
        to: group.to as f64,
        items: None,
        positions: positions(group.positions),
        metrics: native(metrics),
    });
    let popularity = popularity.into_iter().map(|found| NativeGroupMetrics {
        by: "popularity".to_owned(),
        name: found.group.name.to_owned(),
        from: f64::from(found.group.from),
        to: f64::from(found.group.to),
        items: Some(found.group.items.len() as f64),
        positions: positions(found.positions),
        metrics: native(found.metrics),
    });
    activity.chain(popularity).collect()
}

/// The main metric on the users by whom options are chosen.
#[napi(object, object_from_js = false)]
pub struct NativeValidation {
    /// Mean over the users.
    pub mean: f64,
    /// Its standard error; none of a single user.
    pub standard_error: Option<f64>,
}

/// What validation says to a model, off the event loop; null where nobody has anything to find.
#[napi(catch_unwind, ts_return_type = "Promise<NativeValidation | null>")]
pub fn validate<'env>(
    env: &'env Env,
    model: &NativeModel,
    held_out: &NativeHeldOut,
    threads: Option<f64>,
    run: &NativeRun,
) -> Result<Promise<'env>> {
    let (model, held_out, cancel) = (Arc::clone(model.0.get()?), Arc::clone(held_out.0.get()?), run.flag());
    promise(
        env,
        long(threads, &cancel)?,
        move || {
            let (translated, _) = model.translate(held_out.users(), held_out.items()).into_node()?;
            recvae_core::validate(&model.scorer(&cancel), &translated).into_node()
        },
        |values| values.map(|MetricValues { mean, standard_error, .. }| NativeValidation { mean, standard_error }),
    )
}

/// A paired comparison of two models.
#[napi(object, object_from_js = false)]
pub struct NativePaired {
    /// Mean of the first model's values minus the second one's.
    pub difference: f64,
    /// The lower end of the 95 % interval.
    pub low: f64,
    /// The upper end of the 95 % interval.
    pub high: f64,
    /// Two-sided, not corrected.
    pub p_value: f64,
}

/// Compares two models by their values on the same users.
#[napi(catch_unwind, ts_return_type = "Promise<NativePaired>")]
pub fn paired_bootstrap<'env>(
    env: &'env Env,
    a: Float64Array,
    b: Float64Array,
    seed: f64,
    threads: Option<f64>,
    run: &NativeRun,
) -> Result<Promise<'env>> {
    let (a, b, seed, cancel) = (a.to_vec(), b.to_vec(), whole("seed", seed)? as u64, run.flag());
    promise(
        env,
        long(threads, &cancel)?,
        move || recvae_core::paired_bootstrap_until(&a, &b, seed, &cancel).into_node(),
        |paired| NativePaired {
            difference: paired.difference,
            low: paired.interval[0],
            high: paired.interval[1],
            p_value: paired.p_value,
        },
    )
}

/// The smallest true difference that a comparison on these users would probably establish, beside so many others; null
/// if it could establish none.
#[napi(catch_unwind)]
pub fn detectable_difference(a: Float64Array, b: Float64Array, comparisons: f64) -> Result<Option<f64>> {
    recvae_core::detectable_difference(&a, &b, whole("comparisons", comparisons)? as usize).into_node()
}

/// Values by user as they would be on all training users, by those on two samples.
#[napi(catch_unwind, ts_return_type = "Float64Array")]
pub fn carried_on(
    smaller: Float64Array,
    larger: Float64Array,
    smaller_users: f64,
    larger_users: f64,
    all_users: f64,
) -> Result<Copied<f64>> {
    let sizes = [whole("sizes", smaller_users)?, whole("sizes", larger_users)?];
    let all = whole("users", all_users)?;
    Ok(recvae_core::carried_on(&smaller, &larger, sizes, all).into_node()?.into())
}

/// Where the variance of a mean over users comes from; what was not varied is left out.
#[napi(object, object_from_js = false)]
pub struct NativeApart {
    /// Mean over the splits.
    pub mean: f64,
    /// Standard deviation by which users are in the test part.
    pub users: f64,
    /// Standard deviation by the training's random numbers.
    pub seed: Option<f64>,
    /// Standard deviation by which users and interactions are trained on.
    pub split: Option<f64>,
    /// Standard deviation between the splits, all of that together.
    pub between: Option<f64>,
}

/// Takes the variance of a metric, or of a difference, apart: values by user on several splits, and on the first of
/// them by several training seeds; `population` users could have been drawn for a test part.
#[napi(catch_unwind)]
pub fn variance_apart(splits: Vec<Float64Array>, seeds: Vec<Float64Array>, population: f64) -> Result<NativeApart> {
    let lists = |of: &[Float64Array]| of.iter().map(|list| list.to_vec()).collect::<Vec<_>>();
    let apart = recvae_core::variance_apart(&lists(&splits), &lists(&seeds), whole("population", population)? as usize);
    let recvae_core::Apart { mean, users, seed, split, between } = apart.into_node()?;
    Ok(NativeApart { mean, users, seed, split, between })
}

/// Holm's correction, in the order given.
#[napi(catch_unwind)]
pub fn holm(p_values: Vec<f64>) -> Result<Vec<f64>> {
    Ok(recvae_core::holm(&p_values))
}

/// The mean of several lists, place by place.
#[napi(catch_unwind, ts_return_type = "Float64Array")]
pub fn mean_of_lists(lists: Vec<Float64Array>) -> Result<Copied<f64>> {
    let lists: Vec<&[f64]> = lists.iter().map(|list| &**list).collect();
    Ok(recvae_core::mean_of_lists(&lists).into_node()?.into())
}
