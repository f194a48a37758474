//! Trained models together.

use std::sync::Arc;

use napi::Either;
use napi::Env;
use napi_derive::napi;
use recvae_core::{BlendOptions, FitRun, Options, Progress, Recommender};

use crate::data::NativeSplit;
use crate::error::{IntoNode, Result, json};
use crate::memory::bytes;
use crate::model::NativeModel;
use crate::run::NativeRun;
use crate::work::{Promise, long, promise_in};

/// The parts of a blend, in order.
#[napi]
#[derive(Default)]
pub struct NativeParts(Vec<Arc<Recommender>>);

#[napi]
impl NativeParts {
    /// Starts without parts.
    #[napi(constructor, catch_unwind)]
    pub fn new() -> Result<Self> {
        Ok(Self::default())
    }

    /// Adds a model. It may be disposed of while it is a part.
    #[napi(catch_unwind)]
    pub fn add(&mut self, model: &NativeModel) -> Result<()> {
        self.0.push(Arc::clone(model.0.get()?));
        Ok(())
    }
}

/// Makes a blend by the validation users of a split. `options`: JSON. `info` is kept with it: JSON.
#[napi(catch_unwind, ts_return_type = "Promise<NativeModel>")]
#[allow(clippy::too_many_arguments)] // one call, made by one function of ts/models/blend.ts
pub fn blend<'env>(
    env: &'env Env,
    parts: &NativeParts,
    data: &NativeSplit,
    options: String,
    info: String,
    threads: Option<f64>,
    memory_limit: Option<f64>,
    run: &NativeRun,
) -> Result<Promise<'env>> {
    let (parts, data) = (parts.0.clone(), Arc::clone(data.0.get()?));
    let options = BlendOptions::from_json(&json("options", &options)?).into_node()?;
    let (info, memory_limit) = (json("info", &info)?, bytes(memory_limit)?);
    let (report, cancel) = (run.reporter(), run.flag());
    promise_in(
        env,
        long(threads, &cancel)?,
        move || {
            let report = |progress: &Progress| report(Either::A(progress.into()));
            let run = FitRun { on_progress: &report, cancel: cancel.clone(), memory_limit, ..FitRun::default() };
            let parts: Vec<&Recommender> = parts.iter().map(|part| &**part).collect();
            Ok(options.blend(&parts, &data, &run).into_node()?.with_info(info))
        },
        NativeModel::new,
    )
}
