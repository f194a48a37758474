//! Counts that EASE^R is computed from.

use std::path::PathBuf;
use std::sync::Arc;

use napi::{Either, Env};
use napi_derive::napi;
use recvae_core::{EaseCounts, FitRun, ModelKind, Progress, Recommender, Shard};

use crate::data::{Data, NativeInteractions};
use crate::error::{IntoNode, Result, json};
use crate::lifetime::Held;
use crate::memory::bytes;
use crate::model::{NativeFit, NativeModel};
use crate::run::NativeRun;
use crate::work::{Promise, brief, long, promise, promise_in};

/// For each pair of items, how many users have both.
#[napi]
pub struct NativeEaseCounts(Held<Arc<EaseCounts>>);

impl NativeEaseCounts {
    fn new(env: &Env, counts: EaseCounts) -> Self {
        let bytes = counts.bytes();
        Self(Held::new(env, "counts", Arc::new(counts), bytes))
    }

    pub(crate) fn shared(&self) -> Result<Arc<EaseCounts>> {
        self.0.get().map(Arc::clone)
    }
}

#[napi]
impl NativeEaseCounts {
    /// Number of users.
    #[napi(getter, catch_unwind)]
    pub fn n_users(&self) -> Result<f64> {
        Ok(self.0.get()?.n_users() as f64)
    }

    /// The ids of the items, in order of their indices.
    #[napi(catch_unwind)]
    pub fn item_ids(&self) -> Result<Vec<&str>> {
        Ok(self.0.get()?.items().iter().collect())
    }

    /// Which shard they are of, and of how many; null if of all users.
    #[napi(catch_unwind, ts_return_type = "[number, number] | null")]
    pub fn shard(&self) -> Result<Option<Vec<f64>>> {
        let shard = self.0.get()?.shard().map(|of| of.shard);
        Ok(shard.map(|shard| vec![f64::from(shard.index()), f64::from(shard.of())]))
    }

    /// The counts with the users of `add` and without those of `remove`.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeEaseCounts>")]
    pub fn update<'env>(
        &self,
        env: &'env Env,
        add: Option<&NativeInteractions>,
        remove: Option<&NativeInteractions>,
        threads: Option<f64>,
        memory_limit: Option<f64>,
        run: &NativeRun,
    ) -> Result<Promise<'env>> {
        let (before, add, remove) = (Arc::clone(self.0.get()?), data(add)?, data(remove)?);
        let (memory_limit, cancel) = (bytes(memory_limit)?, run.flag());
        promise_in(
            env,
            long(threads, &cancel)?,
            move || before.update(add.as_deref(), remove.as_deref(), memory_limit, &cancel).into_node(),
            Self::new,
        )
    }

    /// Fits EASE^R. `options` and `info`: JSON.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeFit>")]
    pub fn fit<'env>(
        &self,
        env: &'env Env,
        options: String,
        info: String,
        threads: Option<f64>,
        memory_limit: Option<f64>,
        run: &NativeRun,
    ) -> Result<Promise<'env>> {
        // Checked here and not on the other thread, so that a bad option is reported at once.
        let options = ModelKind::Ease.complete_options(&json("options", &options)?).into_node()?;
        let (counts, info, cancel) = (Arc::clone(self.0.get()?), json("info", &info)?, run.flag());
        let (memory_limit, report) = (bytes(memory_limit)?, run.reporter());
        promise_in(
            env,
            long(threads, &cancel)?,
            move || {
                let report = |progress: &Progress| report(Either::A(progress.into()));
                let run = FitRun { on_progress: &report, cancel: cancel.clone(), memory_limit, ..FitRun::default() };
                let fit = counts.fit(&options, &run).into_node()?;
                let model = Recommender::new(fit.model, counts.items().clone(), info).into_node()?;
                model.with_record(counts.record().clone()).with_counts(counts.users_per_item()).into_node()
            },
            |env, model| NativeFit { model: NativeModel::new(env, model), epochs: vec![] },
        )
    }

    /// Writes a file, whole or not at all.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn save<'env>(&self, env: &'env Env, path: String) -> Result<Promise<'env>> {
        let counts = Arc::clone(self.0.get()?);
        promise(env, brief(), move || counts.save(path).into_node(), |()| ())
    }

    /// Lets the counts go, once the calls that use them have ended.
    #[napi(catch_unwind)]
    pub fn dispose(&mut self) -> Result<()> {
        self.0.dispose();
        Ok(())
    }
}

/// Counts the users of some interactions.
#[napi(catch_unwind, ts_return_type = "Promise<NativeEaseCounts>")]
pub fn count_for_ease<'env>(
    env: &'env Env,
    interactions: &NativeInteractions,
    threads: Option<f64>,
    memory_limit: Option<f64>,
    run: &NativeRun,
) -> Result<Promise<'env>> {
    let (data, memory_limit, cancel) = (interactions.0.get()?.clone(), bytes(memory_limit)?, run.flag());
    promise_in(
        env,
        long(threads, &cancel)?,
        move || EaseCounts::count(&data, memory_limit, &cancel).into_node(),
        NativeEaseCounts::new,
    )
}

/// The same of the users of shard `index` of `of`.
#[napi(catch_unwind, ts_return_type = "Promise<NativeEaseCounts>")]
pub fn count_shard_for_ease<'env>(
    env: &'env Env,
    interactions: &NativeInteractions,
    index: f64,
    of: f64,
    threads: Option<f64>,
    memory_limit: Option<f64>,
    run: &NativeRun,
) -> Result<Promise<'env>> {
    let shard = Shard::new(index, of).into_node()?;
    let (data, memory_limit, cancel) = (interactions.0.get()?.clone(), bytes(memory_limit)?, run.flag());
    promise_in(
        env,
        long(threads, &cancel)?,
        move || EaseCounts::count_shard(&data, shard, memory_limit, &cancel).into_node(),
        NativeEaseCounts::new,
    )
}

/// Adds the files of all shards of an input up.
#[napi(catch_unwind, ts_return_type = "Promise<NativeEaseCounts>")]
pub fn merge_ease_counts<'env>(
    env: &'env Env,
    paths: Vec<String>,
    threads: Option<f64>,
    memory_limit: Option<f64>,
    run: &NativeRun,
) -> Result<Promise<'env>> {
    let paths: Vec<PathBuf> = paths.into_iter().map(PathBuf::from).collect();
    let (memory_limit, cancel) = (bytes(memory_limit)?, run.flag());
    promise_in(
        env,
        long(threads, &cancel)?,
        move || EaseCounts::merge(&paths, memory_limit, &cancel).into_node(),
        NativeEaseCounts::new,
    )
}

/// Counts from tables that were made elsewhere: their first two columns as users and items, the counts of `gram` as
/// times.
#[napi(catch_unwind, ts_return_type = "Promise<NativeEaseCounts>")]
pub fn ease_counts_from_gram<'env>(
    env: &'env Env,
    gram: &NativeInteractions,
    vocab: &NativeInteractions,
    totals: &NativeInteractions,
    threads: Option<f64>,
    memory_limit: Option<f64>,
    run: &NativeRun,
) -> Result<Promise<'env>> {
    let (gram, vocab, totals) = (gram.0.get()?.clone(), vocab.0.get()?.clone(), totals.0.get()?.clone());
    let (memory_limit, cancel) = (bytes(memory_limit)?, run.flag());
    promise_in(
        env,
        long(threads, &cancel)?,
        move || EaseCounts::from_gram(&gram, &vocab, &totals, memory_limit, &cancel).into_node(),
        NativeEaseCounts::new,
    )
}

/// Reads a file of counts.
#[napi(catch_unwind, ts_return_type = "Promise<NativeEaseCounts>")]
pub fn load_ease_counts(env: &Env, path: String) -> Result<Promise<'_>> {
    promise_in(env, brief(), move || EaseCounts::load(path).into_node(), NativeEaseCounts::new)
}

fn data(interactions: Option<&NativeInteractions>) -> Result<Option<Data>> {
    interactions.map(|interactions| interactions.0.get().cloned()).transpose()
}
