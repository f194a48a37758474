//! What data look like, and who is served how well.

use napi::Env;
use napi::bindgen_prelude::Float64Array;
use napi_derive::napi;
use recvae_core::{Spread, activity_groups as by_activity};

use crate::copied::Copied;
use crate::data::{NativeHeldOut, NativeInteractions};
use crate::error::{IntoNode, Result};
use crate::run::NativeRun;
use crate::work::{Promise, brief_until, promise};

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
    #[napi(ts_type = "Uint32Array")]
    pub positions: Copied<u32>,
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

pub(crate) fn positions(positions: Vec<usize>) -> Copied<u32> {
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
