//! Training, recommending, saving and loading.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{Float32Array, Function, Uint32Array};
use napi_derive::napi;
use recvae_core::{FitRun, ModelKind, Options, Progress, RecommendOptions, Recommender, Scored, WarmStart};

use crate::data::{NativeHeldOut, NativeInteractions};
use crate::error::{IntoNode, Result, json};
use crate::work::{Promise, check_threads, now, promise, reporter};

/// A trained model with the ids of its items.
#[napi]
pub struct NativeModel(pub(crate) Arc<Recommender>);

/// Recommendations for a number of histories, one after the other.
#[napi(object, object_from_js = false)]
pub struct NativeLists {
    /// Indices of the recommended items, best first.
    pub items: Uint32Array,
    /// Their scores.
    pub scores: Float32Array,
    /// Where each history's list ends in `items`.
    pub ends: Uint32Array,
    /// Positions, in its history, of each id that the model does not know.
    pub unknown: Uint32Array,
    /// Where each history's part of `unknown` ends.
    pub unknown_ends: Uint32Array,
}

#[napi]
impl NativeModel {
    /// Name of the model.
    #[napi(getter)]
    pub fn kind(&self) -> &'static str {
        self.0.model().kind().name()
    }

    /// All options with their values, as JSON.
    #[napi(catch_unwind)]
    pub fn options(&self) -> Result<String> {
        Ok(self.0.model().options().to_string())
    }

    /// What was kept with the model, as JSON.
    #[napi(catch_unwind)]
    pub fn info(&self) -> Result<String> {
        Ok(self.0.info().to_string())
    }

    /// The ids of the items, in order of their indices.
    #[napi(catch_unwind)]
    pub fn item_ids(&self) -> Result<Vec<&str>> {
        Ok(self.0.items().iter().collect())
    }

    /// Recommends for one history. `options`: JSON.
    #[napi(catch_unwind)]
    pub fn recommend(&self, history: Vec<String>, options: String) -> Result<NativeLists> {
        let options = recommend_options(&options)?;
        now(|| lists(&self.0, &[history], &options)).map(NativeLists::from)
    }

    /// Recommends for many histories. `options`: JSON.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeLists>")]
    pub fn recommend_batch<'env>(
        &self,
        env: &'env Env,
        histories: Vec<Vec<String>>,
        options: String,
        threads: Option<f64>,
    ) -> Result<Promise<'env>> {
        let (model, options) = (Arc::clone(&self.0), recommend_options(&options)?);
        promise(env, threads, move || lists(&model, &histories, &options), NativeLists::from)
    }

    /// Writes the model file, whole or not at all.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn save<'env>(&self, env: &'env Env, path: String) -> Result<Promise<'env>> {
        let model = Arc::clone(&self.0);
        promise(env, Some(1.0), move || model.save(path).into_node(), |()| ())
    }
}

/// Reads a model file.
#[napi(catch_unwind, ts_return_type = "Promise<NativeModel>")]
pub fn load(env: &Env, path: String) -> Result<Promise<'_>> {
    promise(env, Some(1.0), move || Recommender::load(path).into_node(), |model| NativeModel(Arc::new(model)))
}

struct Lists {
    lists: Vec<Vec<Scored>>,
    unknown: Vec<Vec<usize>>,
}

fn recommend_options(options: &str) -> Result<RecommendOptions> {
    RecommendOptions::from_json(&json("options", options)?).into_node()
}

fn lists(model: &Recommender, histories: &[Vec<String>], options: &RecommendOptions) -> Result<Lists> {
    let mut histories: Vec<_> = histories.iter().map(|ids| model.history(ids)).collect();
    let lists = model.recommend(&histories, options).into_node()?;
    Ok(Lists { lists, unknown: histories.iter_mut().map(|history| std::mem::take(&mut history.unknown)).collect() })
}

impl From<Lists> for NativeLists {
    fn from(Lists { lists, unknown }: Lists) -> Self {
        let ends = |lengths: &mut dyn Iterator<Item = usize>| -> Uint32Array {
            lengths
                .scan(0u32, |end, length| {
                    *end += length as u32;
                    Some(*end)
                })
                .collect::<Vec<_>>()
                .into()
        };
        Self {
            items: lists.iter().flatten().map(|scored| scored.item).collect::<Vec<_>>().into(),
            scores: lists.iter().flatten().map(|scored| scored.score).collect::<Vec<_>>().into(),
            ends: ends(&mut lists.iter().map(Vec::len)),
            unknown: unknown.iter().flatten().map(|&at| at as u32).collect::<Vec<_>>().into(),
            unknown_ends: ends(&mut unknown.iter().map(Vec::len)),
        }
    }
}

/// One epoch of training.
#[napi(object, object_from_js = false)]
pub struct NativeProgress {
    /// Which epoch ended, from 1.
    pub epoch: u32,
    /// How many there will be at most.
    pub epochs: u32,
    /// Mean log-likelihood per user, in nats.
    pub log_likelihood: f64,
    /// Mean weighted KL term per user, in nats.
    pub kl: f64,
    /// The validation metric, where there are validation users.
    pub validation: Option<f64>,
    /// Whether it is the best epoch so far.
    pub best: bool,
    /// Seconds since training began.
    pub seconds: f64,
}

impl From<&Progress> for NativeProgress {
    fn from(progress: &Progress) -> Self {
        Self {
            epoch: progress.epoch as u32,
            epochs: progress.epochs as u32,
            log_likelihood: progress.log_likelihood,
            kl: progress.kl,
            validation: progress.validation,
            best: progress.best,
            seconds: progress.seconds,
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

/// Fails as [`fit`] would for such options, threads or model to begin with, before there are data. `options`: JSON.
#[napi(catch_unwind)]
pub fn check_fit(kind: String, options: String, threads: Option<f64>, from: Option<&NativeModel>) -> Result<()> {
    let kind: ModelKind = kind.parse().into_node()?;
    let options = kind.complete_options(&json("options", &options)?).into_node()?;
    from.map_or(Ok(()), |from| kind.check_from(&options, from.0.model())).into_node()?;
    check_threads(threads)
}

/// Trains a model, beginning with the parameters of `from` if it is given. `on_progress` must not throw, and does not keep the process alive.
#[napi(catch_unwind, ts_return_type = "Promise<NativeFit>")]
#[allow(clippy::too_many_arguments)] // one call, made by one function of ts/models.ts
pub fn fit<'env>(
    env: &'env Env,
    kind: String,
    options: String,
    train: &NativeInteractions,
    validation: Option<&NativeHeldOut>,
    info: String,
    threads: Option<f64>,
    on_progress: Option<Function<'_, NativeProgress, ()>>,
    from: Option<&NativeModel>,
) -> Result<Promise<'env>> {
    let kind: ModelKind = kind.parse().into_node()?;
    // Checked here and not on the other thread, so that a bad option is reported at once.
    let options = kind.complete_options(&json("options", &options)?).into_node()?;
    let from = from.map(|from| Arc::clone(&from.0));
    from.as_ref().map_or(Ok(()), |from| kind.check_from(&options, from.model())).into_node()?;
    let info = json("info", &info)?;
    let (train, validation) = (train.0.clone(), validation.map(|held_out| Arc::clone(&held_out.0)));
    let report = reporter(on_progress)?;
    promise(
        env,
        threads,
        move || {
            let report = |progress: &Progress| report(progress.into());
            let validation = validation.as_ref().map(|part| part.users());
            let from = from.as_ref().map(|from| WarmStart::new(from, train.items()));
            let run = FitRun { on_progress: &report, from, ..FitRun::default() };
            let fit = kind.fit(&options, train.matrix(), validation, &run).into_node()?;
            let model = Recommender::new(fit.model, train.items().clone(), info).into_node()?;
            Ok((model, fit.epochs))
        },
        |(model, epochs)| NativeFit {
            model: NativeModel(Arc::new(model)),
            epochs: epochs.iter().map(NativeProgress::from).collect(),
        },
    )
}
