//! Made-up data.

use napi::{Either, Env};
use napi_derive::napi;
use recvae_core::{Options, SynthOptions, SynthProgress};

use crate::data::NativeInteractions;
use crate::error::{IntoNode, Result, json};
use crate::run::NativeRun;
use crate::work::{Promise, long, promise, promise_in};

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
pub fn synth<'env>(env: &'env Env, options: String, threads: Option<f64>, run: &NativeRun) -> Result<Promise<'env>> {
    let options = SynthOptions::from_json(&json("options", &options)?).into_node()?;
    let cancel = run.flag();
    promise_in(
        env,
        long(threads, &cancel)?,
        move || recvae_core::synth_until(&options, &cancel).into_node(),
        NativeInteractions::new,
    )
}

/// Writes made-up interactions to a file, whole or not at all. `options`: JSON.
#[napi(catch_unwind, ts_return_type = "Promise<NativeSynthProgress>")]
pub fn write_synth<'env>(
    env: &'env Env,
    options: String,
    path: String,
    threads: Option<f64>,
    run: &NativeRun,
) -> Result<Promise<'env>> {
    let options = SynthOptions::from_json(&json("options", &options)?).into_node()?;
    let (report, cancel) = (run.reporter(), run.flag());
    promise(
        env,
        long(threads, &cancel)?,
        move || {
            let report = |progress: &SynthProgress| report(Either::B((*progress).into()));
            recvae_core::write_synth(&options, path, &report, &cancel).into_node()
        },
        NativeSynthProgress::from,
    )
}
