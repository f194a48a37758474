//! Counts that EASE^R is computed from.

use std::sync::Arc;

use napi::{Either, Env};
use napi_derive::napi;
use recvae_core::{EaseCounts, FitRun, ModelKind, Progress, Recommender};

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

/// Reads a file of counts.
#[napi(catch_unwind, ts_return_type = "Promise<NativeEaseCounts>")]
pub fn load_ease_counts(env: &Env, path: String) -> Result<Promise<'_>> {
    promise_in(env, brief(), move || EaseCounts::load(path).into_node(), NativeEaseCounts::new)
}

fn data(interactions: Option<&NativeInteractions>) -> Result<Option<Data>> {
    interactions.map(|interactions| interactions.0.get().cloned()).transpose()
}
