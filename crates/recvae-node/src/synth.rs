//! Made-up data.

use napi::Env;
use napi::bindgen_prelude::Function;
use napi_derive::napi;
use recvae_core::{Options, SynthOptions, SynthProgress};

use crate::data::NativeInteractions;
use crate::error::{IntoNode, Result, json};
use crate::work::{Promise, promise, promise_in, reporter};

/// How much of a made-up file is written.
#[napi(object, object_from_js = false)]
pub struct NativeSynthProgress {
    /// Users written so far, each with all items.
    pub users: f64,
    /// How many there will be.
    pub n_users: f64,
    /// How many items there will be.
    pub n_items: f64,
    /// Interactions written so far.
    pub interactions: f64,
    /// How many there will be.
    pub n_interactions: f64,
}

impl From<SynthProgress> for NativeSynthProgress {
    fn from(progress: SynthProgress) -> Self {
        Self {
            users: progress.users as f64,
            n_users: progress.n_users as f64,
            n_items: progress.n_items as f64,
            interactions: progress.interactions as f64,
            n_interactions: progress.n_interactions as f64,
        }
    }
}

/// Makes up interactions, for measuring speed and memory only. `options`: JSON.
#[napi(catch_unwind, ts_return_type = "Promise<NativeInteractions>")]
pub fn synth(env: &Env, options: String, threads: Option<f64>) -> Result<Promise<'_>> {
    let options = SynthOptions::from_json(&json("options", &options)?).into_node()?;
    promise_in(env, threads, move || recvae_core::synth(&options).into_node(), NativeInteractions::new)
}

/// Writes made-up interactions to a file, whole or not at all. `options`: JSON. `on_progress` must not throw, and does
/// not keep the process alive.
#[napi(catch_unwind, ts_return_type = "Promise<NativeSynthProgress>")]
pub fn write_synth<'env>(
    env: &'env Env,
    options: String,
    path: String,
    threads: Option<f64>,
    on_progress: Option<Function<'_, NativeSynthProgress, ()>>,
) -> Result<Promise<'env>> {
    let options = SynthOptions::from_json(&json("options", &options)?).into_node()?;
    let report = reporter(on_progress)?;
    promise(
        env,
        threads,
        move || {
            recvae_core::write_synth(&options, path, &|progress: &SynthProgress| report((*progress).into())).into_node()
        },
        NativeSynthProgress::from,
    )
}
