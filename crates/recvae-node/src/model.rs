//! Training, recommending, saving and loading.

use std::sync::Arc;

use napi::Either;
use napi::Env;
use napi_derive::napi;
use recvae_core::{
    Cancel, Checkpoint, CheckpointOptions, CompactOptions, Compute, ComputeOptions, FitRun, LoadOptions, ModelKind,
    Options, Progress, RecommendOptions, Recommender,
};
use serde_json::Value;

use crate::copied::Copied;
use crate::data::{NativeHeldOut, NativeInteractions};
use crate::error::{IntoNode, Result, json, whole};
use crate::lifetime::Held;
use crate::memory::bytes;
use crate::run::NativeRun;
use crate::serving::{Lists, NativeFilter, NativeListColumns};
use crate::work::{Promise, brief, check_threads, long, now_on, promise, promise_in};

/// A trained model with the ids of its items.
#[napi]
pub struct NativeModel(pub(crate) Held<Arc<Recommender>>);

impl NativeModel {
    pub(crate) fn new(env: &Env, model: Recommender) -> Self {
        let bytes = model.bytes();
        Self(Held::new(env, "model", Arc::new(model), bytes))
    }
}

#[napi]
impl NativeModel {
    /// Name of the model.
    #[napi(getter, catch_unwind)]
    pub fn kind(&self) -> Result<&'static str> {
        Ok(self.0.get()?.model().kind().name())
    }

    /// All options with their values, as JSON.
    #[napi(catch_unwind)]
    pub fn options(&self) -> Result<String> {
        Ok(self.0.get()?.model().options().to_string())
    }

    /// How many bytes of memory it holds.
    #[napi(getter, catch_unwind)]
    pub fn bytes(&self) -> Result<f64> {
        Ok(self.0.get()?.bytes() as f64)
    }

    /// What was kept with the model, as JSON.
    #[napi(catch_unwind)]
    pub fn info(&self) -> Result<String> {
        Ok(self.0.get()?.info().to_string())
    }

    /// Whether it knows how many training users have each item.
    #[napi(getter, catch_unwind)]
    pub fn has_counts(&self) -> Result<bool> {
        Ok(self.0.get()?.counts().is_some())
    }

    /// The ids of the items, in order of their indices.
    #[napi(catch_unwind)]
    pub fn item_ids(&self) -> Result<Vec<&str>> {
        Ok(self.0.get()?.items().iter().collect())
    }

    /// Recommends for one history. `options`: JSON.
    #[napi(catch_unwind)]
    pub fn recommend(
        &self,
        history: Vec<String>,
        options: String,
        filter: Option<&NativeFilter>,
    ) -> Result<NativeListColumns> {
        let (model, options) = (Arc::clone(self.0.get()?), recommend_options(&options)?);
        let filter = filter.map(|filter| Arc::clone(&filter.0));
        let history = model.history(&history);
        let threads = model.threads_for(&history);
        let lists = move || {
            let histories = [history];
            Lists::new(&model, &histories, &options, filter.as_deref(), &[], &Cancel::default())
        };
        now_on(threads, lists).map(NativeListColumns::from)
    }

    /// Writes the model file, whole or not at all. `info`: JSON that the file has instead of the model's own. `record`:
    /// whether the file says whom the model was trained on.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn save<'env>(
        &self,
        env: &'env Env,
        path: String,
        info: Option<String>,
        record: bool,
    ) -> Result<Promise<'env>> {
        let model = Arc::clone(self.0.get()?);
        let info = info.map(|info| json("info", &info)).transpose()?;
        promise(
            env,
            brief(),
            move || {
                let info = info.as_ref().unwrap_or(model.info());
                let saved =
                    if record { model.save_with_info(path, info) } else { model.save_without_record(path, info) };
                saved.into_node()
            },
            |()| (),
        )
    }

    /// A smaller model. `options`: JSON.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeModel>")]
    pub fn compact<'env>(&self, env: &'env Env, options: String, threads: Option<f64>) -> Result<Promise<'env>> {
        let model = Arc::clone(self.0.get()?);
        let options = CompactOptions::from_json(&json("options", &options)?).into_node()?;
        promise_in(
            env,
            long(threads, &Cancel::default())?,
            move || model.compact(&options).into_node(),
            NativeModel::new,
        )
    }

    /// Lets the model go, once the calls that use it have ended.
    #[napi(catch_unwind)]
    pub fn dispose(&mut self) -> Result<()> {
        self.0.dispose();
        Ok(())
    }
}

/// Reads a model file. `options`: JSON.
#[napi(catch_unwind, ts_return_type = "Promise<NativeModel>")]
pub fn load(env: &Env, path: String, options: String) -> Result<Promise<'_>> {
    let options = LoadOptions::from_json(&json("options", &options)?).into_node()?;
    promise_in(env, brief(), move || Recommender::load_with(path, &options).into_node(), NativeModel::new)
}

/// What a model file holds, as JSON: see `Inspection` in `ts/models/inspect.ts`.
#[napi(catch_unwind, ts_return_type = "Promise<string>")]
pub fn inspect(env: &Env, path: String) -> Result<Promise<'_>> {
    promise(env, brief(), move || recvae_core::inspect(path).into_node(), |found| found.to_json().to_string())
}

pub(crate) fn recommend_options(options: &str) -> Result<RecommendOptions> {
    RecommendOptions::from_json(&json("options", options)?).into_node()
}

/// One epoch of training, or how far a closed form is.
#[napi(object, object_from_js = false)]
#[derive(Clone)]
pub struct NativeProgress {
    /// Which epoch ended, from 1; 0 of a closed form.
    pub epoch: u32,
    /// How many there will be at most; 0 of a closed form.
    pub epochs: u32,
    /// Of autoencoders, the mean log-likelihood per user, in nats.
    pub log_likelihood: Option<f64>,
    /// Of autoencoders, the mean weighted KL term per user, in nats.
    pub kl: Option<f64>,
    /// Of iALS, its loss per user.
    pub loss: Option<f64>,
    /// The validation metric, where there are validation users.
    pub validation: Option<f64>,
    /// Whether it is the best epoch so far.
    pub best: bool,
    /// Seconds since training began.
    pub seconds: f64,
    /// Of a closed form, the share of its work that is done, from 0 to 1.
    pub fraction: Option<f64>,
    /// Of autoencoders, the engine at work.
    #[napi(ts_type = "'fused' | 'candle'")]
    pub engine: Option<String>,
    /// Of autoencoders, where it computes.
    pub device: Option<String>,
    /// Of autoencoders, what the large products read.
    #[napi(ts_type = "'f32' | 'bf16'")]
    pub precision: Option<String>,
}

impl From<&Progress> for NativeProgress {
    fn from(progress: &Progress) -> Self {
        Self {
            epoch: progress.epoch as u32,
            epochs: progress.epochs as u32,
            log_likelihood: progress.log_likelihood,
            kl: progress.kl,
            loss: progress.loss,
            validation: progress.validation,
            best: progress.best,
            seconds: progress.seconds,
            fraction: progress.fraction,
            engine: progress.compute.map(|compute| compute.engine.word().to_owned()),
            device: progress.compute.map(|compute| compute.device.to_string()),
            precision: progress.compute.map(|compute| compute.precision.word().to_owned()),
        }
    }
}

/// A model with the record of its training.
#[napi(object, object_from_js = false)]
pub struct NativeFit {
    /// The model.
    pub model: NativeModel,
    /// One entry per epoch, none for closed forms.
    pub epochs: Vec<NativeProgress>,
}

/// Where training is kept.
#[napi(object, object_to_js = false)]
pub struct NativeCheckpoint {
    /// The file.
    pub path: String,
    /// JSON with the other options.
    pub options: String,
}

impl NativeCheckpoint {
    fn read(self) -> Result<Checkpoint<'static>> {
        let options = CheckpointOptions::from_json(&json("checkpoint", &self.options)?).into_node()?;
        Ok(Checkpoint { path: self.path.into(), options, ids: None })
    }
}

/// Fails as [`fit`] would for such options, threads, checkpoint or model to begin with, before there are data.
/// `options`: JSON.
#[napi(catch_unwind)]
pub fn check_fit(
    kind: String,
    options: String,
    threads: Option<f64>,
    checkpoint: Option<NativeCheckpoint>,
    from: Option<&NativeModel>,
    compute: Option<String>,
) -> Result<()> {
    let kind: ModelKind = kind.parse().into_node()?;
    let options = kind.complete_options(&json("options", &options)?).into_node()?;
    check_threads(threads)?;
    compute.map_or(Ok(()), |text| compute_of(kind, &options, &text).map(|_| ()))?;
    checkpoint.map_or(Ok(()), |checkpoint| checkpoint.read()?.check(kind).into_node())?;
    from.map_or(Ok(()), |from| kind.check_from(&options, from.0.get()?.model()).into_node())
}

/// All options with their values, as JSON, of a model that is given `options`: JSON. Fails as [`fit`] would for them.
#[napi(catch_unwind)]
pub fn complete_options(kind: String, options: String) -> Result<String> {
    let kind: ModelKind = kind.parse().into_node()?;
    Ok(kind.complete_options(&json("options", &options)?).into_node()?.to_string())
}

/// What a run of many models says of engine, device and precision for one of them, as JSON, of what is given in
/// `compute`: JSON.
#[napi(catch_unwind)]
pub fn compute_among(kind: String, options: String, compute: String) -> Result<String> {
    let kind: ModelKind = kind.parse().into_node()?;
    let compute = json("engine, device and precision", &compute)?;
    Ok(kind.compute_among(&json("options", &options)?, &compute).into_node()?.to_string())
}

/// The first numbers in [0, 1) of a random search of options.
#[napi(catch_unwind, ts_return_type = "Float64Array")]
pub fn search_uniforms(seed: f64, count: u32) -> Result<Copied<f64>> {
    Ok(recvae_core::search_uniforms(whole("seed", seed)? as u64, count as usize).into())
}

/// The engine, the device and the precision in JSON, of a training with `options`.
fn compute_of(kind: ModelKind, options: &Value, text: &str) -> Result<Compute> {
    kind.compute(options, &asked(text)?).into_node()
}

fn asked(text: &str) -> Result<ComputeOptions> {
    ComputeOptions::from_json(&json("engine, device and precision", text)?).into_node()
}

/// What is to be trained, and how.
#[napi(object, object_to_js = false)]
pub struct NativeTraining {
    /// Name of the model.
    pub kind: String,
    /// Its options, as JSON.
    pub options: String,
    /// What is kept with the model, as JSON.
    pub info: String,
    /// Engine, device and precision, as JSON.
    pub compute: String,
    /// Threads that compute; all cores by default.
    pub threads: Option<f64>,
    /// Bytes beyond the data; what is free by default.
    pub memory_limit: Option<f64>,
    /// Where training is kept on its way.
    pub checkpoint: Option<NativeCheckpoint>,
}

/// Trains a model, beginning with the parameters of `from` if it is given.
#[napi(catch_unwind, ts_return_type = "Promise<NativeFit>")]
pub fn fit<'env>(
    env: &'env Env,
    training: NativeTraining,
    train: &NativeInteractions,
    validation: Option<&NativeHeldOut>,
    run: &NativeRun,
    from: Option<&NativeModel>,
) -> Result<Promise<'env>> {
    let NativeTraining { kind, options, info, compute, threads, memory_limit, checkpoint } = training;
    let kind: ModelKind = kind.parse().into_node()?;
    // Checked here and not on the other thread, so that a bad option is reported at once.
    let options = kind.complete_options(&json("options", &options)?).into_node()?;
    let or_processor = asked(&compute)?.device == "auto";
    let compute = compute_of(kind, &options, &compute)?;
    let from = from.map(|from| from.0.get().map(Arc::clone)).transpose()?;
    from.as_ref().map_or(Ok(()), |from| kind.check_from(&options, from.model())).into_node()?;
    let (info, memory_limit) = (json("info", &info)?, bytes(memory_limit)?);
    let checkpoint = checkpoint.map(NativeCheckpoint::read).transpose()?;
    let train = train.0.get()?.clone();
    let validation = validation.map(|held_out| held_out.0.get().map(Arc::clone)).transpose()?;
    let (report, step, cancel) = (run.reporter(), run.stepper(), run.flag());
    promise_in(
        env,
        long(threads, &cancel)?,
        move || {
            let report = |progress: &Progress| report(Either::A(progress.into()));
            let validation = validation.as_ref().map(|part| part.users());
            let checkpoint = checkpoint.map(|it| Checkpoint { ids: Some([train.users(), train.items()]), ..it });
            let warm = from.as_ref().map(|from| from.warm_start(train.items()));
            let cancel = cancel.clone();
            let run = FitRun {
                on_progress: &report,
                on_step: &step,
                cancel,
                checkpoint,
                memory_limit,
                compute,
                or_processor,
                from: warm,
            };
            let mut fit = kind.fit(&options, train.matrix(), validation, &run).into_node()?;
            let epochs = std::mem::take(&mut fit.epochs);
            let model = Recommender::of(fit, &train).into_node()?.with_info(info);
            let Some(from) = &from else { return Ok((model, epochs)) };
            let record = from.record().and(model.record());
            Ok((model.with_record(record), epochs))
        },
        |env, (model, epochs)| NativeFit {
            model: NativeModel::new(env, model),
            epochs: epochs.iter().map(NativeProgress::from).collect(),
        },
    )
}
