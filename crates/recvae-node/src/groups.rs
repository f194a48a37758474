//! What data look like, and who is served how well.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{Float64Array, Uint32Array};
use napi_derive::napi;
use recvae_core::{Spread, activity_groups as by_activity, popularity_groups as by_popularity};

use crate::data::{NativeHeldOut, NativeInteractions};
use crate::error::{IntoNode, Result};
use crate::model::NativeModel;
use crate::run::NativeRun;
use crate::work::{Promise, brief_until, long, promise};

/// Where counts lie.
#[napi(object, object_from_js = false)]
pub struct NativeSpread {
    /// The core's quantiles, ascending.
    pub quantiles: Vec<f64>,
    /// Their mean.
    pub mean: f64,
}

impl From<Spread> for NativeSpread {
    fn from(spread: Spread) -> Self {
        Self { quantiles: spread.quantiles.to_vec(), mean: spread.mean }
    }
}

/// The core's figures of data: see `Profile` in `ts/data/profile.ts`.
#[napi(object, object_from_js = false)]
pub struct NativeProfile {
    /// Number of users.
    pub users: f64,
    /// Number of items.
    pub items: f64,
    /// Number of distinct pairs.
    pub interactions: f64,
    /// Share of all pairs.
    pub density: f64,
    /// Items per user.
    pub per_user: NativeSpread,
    /// Users per item.
    pub per_item: NativeSpread,
    /// Of users per item.
    pub gini: f64,
    /// Share of interactions of the most popular 1 % of items.
    #[napi(js_name = "top1Percent")]
    pub top_1_percent: f64,
    /// The same of 20 %.
    #[napi(js_name = "top20Percent")]
    pub top_20_percent: f64,
    /// Share of interactions of the 80 % least popular items.
    pub tail: f64,
    /// Share of items with few users.
    pub rare_items: f64,
    /// Share of users with few items.
    pub short_users: f64,
    /// Share of users with the items of a user before them.
    pub repeated_users: f64,
    /// Largest share of the items that one user has.
    pub fullest_user: f64,
}

/// Counts what there is.
#[napi(catch_unwind, ts_return_type = "Promise<NativeProfile>")]
pub fn profile<'env>(env: &'env Env, data: &NativeInteractions, run: &NativeRun) -> Result<Promise<'env>> {
    let (data, cancel) = (data.0.get()?.clone(), run.flag());
    promise(
        env,
        brief_until(&cancel),
        move || recvae_core::profile(data.matrix(), &cancel).into_node(),
        |found| NativeProfile {
            users: found.users as f64,
            items: found.items as f64,
            interactions: found.interactions as f64,
            density: found.density,
            per_user: found.per_user.into(),
            per_item: found.per_item.into(),
            gini: found.gini,
            top_1_percent: found.top_1_percent,
            top_20_percent: found.top_20_percent,
            tail: found.tail,
            rare_items: found.rare_items,
            short_users: found.short_users,
            repeated_users: found.repeated_users,
            fullest_user: found.fullest_user,
        },
    )
}

/// Held-out users whose inputs are about as long.
#[napi(object, object_from_js = false)]
pub struct NativeActivityGroup {
    /// `few`, `some` or `many`.
    pub name: String,
    /// Shortest input.
    pub from: f64,
    /// Longest input.
    pub to: f64,
    /// Positions in the `users` of an evaluation.
    pub positions: Uint32Array,
}

/// Divides the held-out users by the length of their input.
#[napi(catch_unwind)]
pub fn activity_groups(held_out: &NativeHeldOut) -> Result<Vec<NativeActivityGroup>> {
    let groups = by_activity(held_out.0.get()?.users()).into_iter().map(|group| NativeActivityGroup {
        name: group.name.to_owned(),
        from: group.from as f64,
        to: group.to as f64,
        positions: positions(group.positions),
    });
    Ok(groups.collect())
}

/// Items that about as many users have.
#[napi(object, object_from_js = false)]
pub struct NativePopularityGroup {
    /// `head`, `middle` or `tail`.
    pub name: String,
    /// Users of the least popular item.
    pub from: u32,
    /// Users of the most popular item.
    pub to: u32,
    /// Number of items.
    pub items: f64,
}

/// Divides items by their training users.
#[napi(catch_unwind)]
pub fn popularity_groups(train: &NativeInteractions) -> Result<Vec<NativePopularityGroup>> {
    let groups = by_popularity(train.0.get()?.matrix()).into_iter().map(|group| NativePopularityGroup {
        name: group.name.to_owned(),
        from: group.from,
        to: group.to,
        items: group.items.len() as f64,
    });
    Ok(groups.collect())
}

/// A metric on the held-out items of one group.
#[napi(object, object_from_js = false)]
pub struct NativeGroupValues {
    /// Positions, in the `users` of an evaluation, of the users with such an item.
    pub positions: Uint32Array,
    /// One value for each of them.
    pub per_user: Float64Array,
    /// Held-out items of the group, of all users together.
    pub held_out: f64,
}

/// Evaluates a model on the held-out items of each of the [`popularity_groups`] of the data that it was trained on.
#[napi(catch_unwind, ts_return_type = "Promise<NativeGroupValues[]>")]
pub fn evaluate_by_popularity<'env>(
    env: &'env Env,
    model: &NativeModel,
    held_out: &NativeHeldOut,
    train: &NativeInteractions,
    metric: String,
    threads: Option<f64>,
    run: &NativeRun,
) -> Result<Promise<'env>> {
    let (model, held_out, cancel) = (Arc::clone(model.0.get()?), Arc::clone(held_out.0.get()?), run.flag());
    let (train, metric) = (train.0.get()?.clone(), metric.parse().into_node()?);
    promise(
        env,
        long(threads, &cancel)?,
        move || {
            let scorer = cancel.watch(model.model());
            recvae_core::evaluate_by_popularity(&scorer, held_out.users(), train.matrix(), metric).into_node()
        },
        |groups| {
            let native = groups.into_iter().map(|values| NativeGroupValues {
                positions: positions(values.positions),
                per_user: values.per_user.into(),
                held_out: values.held_out as f64,
            });
            native.collect::<Vec<_>>()
        },
    )
}

pub(crate) fn positions(positions: Vec<usize>) -> Uint32Array {
    positions.into_iter().map(|at| at as u32).collect::<Vec<_>>().into()
}

/// Mean and standard error.
#[napi(object, object_from_js = false)]
pub struct NativeMean {
    /// Mean of the values.
    pub mean: f64,
    /// Standard error of the mean, where there are two values or more.
    pub standard_error: Option<f64>,
}

/// The core's mean of one value or more.
#[napi(catch_unwind)]
pub fn mean(values: Float64Array) -> Result<NativeMean> {
    let (mean, standard_error) = recvae_core::mean(&values);
    Ok(NativeMean { mean, standard_error })
}
