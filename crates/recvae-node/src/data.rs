//! Interactions and splits.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{Either, Float64Array};
use napi_derive::napi;
use recvae_core::{
    Batch, Csr, HeldOut, Ids, Interactions, InteractionsBuilder, LeftOut, Options, ReadOptions, RowFilter,
    SampleOptions, Shard, Split, SplitOptions, Thresholds,
};
use serde_json::{Map, Value};

use crate::batches::NativeIds;
use crate::error::{Error, IntoNode, Result, json, whole};
use crate::lifetime::Held;
use crate::run::NativeRun;
use crate::work::{Promise, brief, brief_until, promise, promise_in};

/// Interactions of their own, or the training part of a split.
#[derive(Clone)]
pub(crate) enum Data {
    Whole(Arc<Interactions>),
    Train(Arc<Split>),
}

impl Deref for Data {
    type Target = Interactions;

    fn deref(&self) -> &Interactions {
        match self {
            Self::Whole(interactions) => interactions,
            Self::Train(split) => &split.train,
        }
    }
}

/// Users x items.
#[napi]
pub struct NativeInteractions(pub(crate) Held<Data>);

impl NativeInteractions {
    pub(crate) fn new(env: &Env, interactions: Interactions) -> Self {
        let bytes = interactions.bytes();
        Self(Held::new(env, "interactions", Data::Whole(Arc::new(interactions)), bytes))
    }
}

#[napi]
impl NativeInteractions {
    /// Builds from parallel columns. `options`: JSON with `minValue`, `weighted` and the thresholds.
    #[napi(factory, catch_unwind)]
    pub fn from_columns(
        env: &Env,
        users: NativeIds,
        items: NativeIds,
        values: Option<Float64Array>,
        options: String,
    ) -> Result<Self> {
        let (mut rest, thresholds) = take_thresholds(json("options", &options)?)?;
        let min_value = rest.remove("minValue").map(|value| number("minValue", &value)).transpose()?;
        let boolean = |value: Value| value.as_bool().ok_or_else(|| argument("weighted", &value, "true or false"));
        let weighted = rest.remove("weighted").map(boolean).transpose()?.unwrap_or_default();
        refuse_others(&rest, &["minValue", "weighted"])?;
        let batch = Batch { users: users.column(), items: items.column(), values: values.as_deref(), timestamps: None };
        let filter = RowFilter { min_value, weighted, since: None, until: None };
        Interactions::from_batch(&batch, filter, thresholds)
            .into_node()
            .map(|interactions| Self::new(env, interactions))
    }

    /// Number of users.
    #[napi(getter, catch_unwind)]
    pub fn n_users(&self) -> Result<f64> {
        Ok(self.0.get()?.n_users() as f64)
    }

    /// Number of items.
    #[napi(getter, catch_unwind)]
    pub fn n_items(&self) -> Result<f64> {
        Ok(self.0.get()?.n_items() as f64)
    }

    /// Number of distinct pairs.
    #[napi(getter, catch_unwind)]
    pub fn n_interactions(&self) -> Result<f64> {
        Ok(self.0.get()?.n_interactions() as f64)
    }

    /// Whether interactions have weights.
    #[napi(getter, catch_unwind)]
    pub fn weighted(&self) -> Result<bool> {
        Ok(self.0.get()?.matrix().weights().is_some())
    }

    /// The weights of a user's items, in the order of `history`, or null if the user is not known or nothing has
    /// weights.
    #[napi(catch_unwind)]
    pub fn weights(&self, user: String) -> Result<Option<Vec<f64>>> {
        let data = self.0.get()?;
        let row = data.users().find(&user).and_then(|row| data.matrix().row_weights(row as usize));
        Ok(row.map(|weights| weights.iter().map(|&weight| weight.into()).collect()))
    }

    /// Share of all pairs that interacted.
    #[napi(getter, catch_unwind)]
    pub fn density(&self) -> Result<f64> {
        Ok(self.0.get()?.density())
    }

    /// What was left out of the rows, as JSON: a list of `LeftOut`, see `ts/data/left-out.ts`.
    #[napi(catch_unwind)]
    pub fn left_out(&self) -> Result<String> {
        Ok(left_out(self.0.get()?.left_out()))
    }

    /// Ids of the users, in row order.
    #[napi(catch_unwind)]
    pub fn user_ids(&self) -> Result<Vec<&str>> {
        Ok(self.0.get()?.users().iter().collect())
    }

    /// Ids of the items, in column order.
    #[napi(catch_unwind)]
    pub fn item_ids(&self) -> Result<Vec<&str>> {
        Ok(self.0.get()?.items().iter().collect())
    }

    /// The items of a user, or null if the user is not known.
    #[napi(catch_unwind)]
    pub fn history(&self, user: String) -> Result<Option<Vec<&str>>> {
        Ok(self.0.get()?.history(&user))
    }

    /// Lets them go, once the calls that use them have ended.
    #[napi(catch_unwind)]
    pub fn dispose(&mut self) -> Result<()> {
        self.0.dispose();
        Ok(())
    }
}

/// Puts the parts of a split that others made together: train and test, and validation if there is such.
#[napi(catch_unwind, ts_return_type = "Promise<NativeInteractions>")]
pub fn join_parts<'env>(
    env: &'env Env,
    train: &NativeInteractions,
    validation: Option<&NativeInteractions>,
    test: &NativeInteractions,
) -> Result<Promise<'env>> {
    let (train, test) = (train.0.get()?.clone(), test.0.get()?.clone());
    let validation = validation.map(|part| part.0.get().cloned()).transpose()?;
    promise_in(
        env,
        brief(),
        move || Interactions::from_parts(&train, validation.as_deref(), &test).into_node(),
        NativeInteractions::new,
    )
}

/// Reads a file, or several as if their rows stood in one. `options`: JSON with the reader's options, the thresholds
/// and the shard.
#[napi(catch_unwind, ts_return_type = "Promise<NativeInteractions>")]
pub fn read_interactions<'env>(
    env: &'env Env,
    paths: Either<String, Vec<String>>,
    options: String,
    run: &NativeRun,
) -> Result<Promise<'env>> {
    let ((options, thresholds, shard), cancel) = (rows_options::<ReadOptions>(&options)?, run.flag());
    let paths = match paths {
        Either::A(path) => vec![path.into()],
        Either::B(paths) => paths_of(paths),
    };
    promise_in(
        env,
        brief_until(&cancel),
        move || recvae_core::read_shard_until(&paths, &options, &thresholds, shard, &cancel).into_node(),
        NativeInteractions::new,
    )
}

/// The first line of a text file that is not blank, or null.
#[napi(catch_unwind, ts_return_type = "Promise<string | null>")]
pub fn first_line<'env>(env: &'env Env, path: String, run: &NativeRun) -> Result<Promise<'env>> {
    let (path, cancel) = (PathBuf::from(path), run.flag());
    promise(env, brief_until(&cancel), move || recvae_core::first_line_until(&path, &cancel).into_node(), |line| line)
}

/// Files of a published data set.
#[napi(object)]
pub struct PublishedFiles {
    /// The files, in the given order.
    pub paths: Vec<String>,
    /// Their format.
    pub format: String,
}

/// Finds published data among files, such as those of a folder; `null` if there are none or of several formats.
/// `options`: JSON with the reader's options.
#[napi(catch_unwind)]
pub fn published_files(paths: Vec<String>, options: String) -> Result<Option<PublishedFiles>> {
    let (options, ..) = rows_options::<ReadOptions>(&options)?;
    let found = recvae_core::published_files(&paths_of(paths), &options);
    Ok(found.map(|(format, paths)| PublishedFiles {
        paths: paths.into_iter().map(|path| path.to_string_lossy().into_owned()).collect(),
        format: format.word().to_owned(),
    }))
}

/// Looks at all rows of files of which something else is to read the ids. `options`: JSON with the reader's options.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn check_files<'env>(
    env: &'env Env,
    paths: Vec<String>,
    options: String,
    run: &NativeRun,
) -> Result<Promise<'env>> {
    let (options, cancel) = (ReadOptions::from_json(&json("options", &options)?).into_node()?, run.flag());
    let paths = paths_of(paths);
    promise(
        env,
        brief_until(&cancel),
        move || recvae_core::check_files_until(&paths, &options, &cancel).into_node(),
        |()| (),
    )
}

/// The same files without byte order marks: those that have one are copied into the folder.
#[napi(catch_unwind, ts_return_type = "Promise<Array<string>>")]
pub fn without_marks<'env>(
    env: &'env Env,
    paths: Vec<String>,
    folder: String,
    run: &NativeRun,
) -> Result<Promise<'env>> {
    let (paths, cancel) = (paths_of(paths), run.flag());
    promise(
        env,
        brief_until(&cancel),
        move || recvae_core::without_marks_until(&paths, folder.as_ref(), &cancel).into_node(),
        |paths| paths.into_iter().map(|path| path.to_string_lossy().into_owned()).collect::<Vec<_>>(),
    )
}

fn paths_of(paths: Vec<String>) -> Vec<PathBuf> {
    paths.into_iter().map(PathBuf::from).collect()
}

/// The options of columns that are asked for by name with their defaults, as JSON. `options`: as for
/// [`read_interactions`].
#[napi(catch_unwind)]
pub fn complete_read_options(options: String) -> Result<String> {
    let (options, ..) = rows_options::<ReadOptions>(&options)?;
    options.check_columns().into_node()?;
    Ok(options.to_json().to_string())
}

/// A built-in data set.
#[napi(catch_unwind, ts_return_type = "Promise<NativeInteractions>")]
pub fn dataset(env: &Env, name: String) -> Result<Promise<'_>> {
    promise_in(env, brief(), move || recvae_core::dataset(&name).into_node(), NativeInteractions::new)
}

/// Collects the histories that a JavaScript iterable hands out.
#[napi]
#[derive(Default)]
pub struct NativeBuilder(InteractionsBuilder, usize);

#[napi]
impl NativeBuilder {
    /// Starts without interactions.
    #[napi(constructor, catch_unwind)]
    pub fn new() -> Result<Self> {
        Ok(Self::default())
    }

    /// Adds the items of a user.
    #[napi(catch_unwind)]
    pub fn push(&mut self, user: String, items: Vec<String>) -> Result<()> {
        let row = self.1;
        self.1 += 1;
        self.0.push_history(row, &user, items).into_node()
    }

    /// Makes the matrix and leaves the builder empty. `options`: JSON with the thresholds.
    #[napi(catch_unwind)]
    pub fn finish(&mut self, env: &Env, options: String) -> Result<NativeInteractions> {
        let thresholds = Thresholds::from_json(&json("options", &options)?).into_node()?;
        let interactions = std::mem::take(&mut self.0).finish(&thresholds).into_node()?;
        Ok(NativeInteractions::new(env, interactions))
    }
}

/// The validation or the test users of a split.
pub(crate) struct Part {
    split: Arc<Split>,
    is_test: bool,
}

impl Part {
    pub(crate) fn users(&self) -> &HeldOut {
        if self.is_test { &self.split.test } else { &self.split.validation }
    }

    pub(crate) fn items(&self) -> &Ids {
        self.train().items()
    }

    /// The training users of the same split.
    pub(crate) fn train(&self) -> &Interactions {
        &self.split.train
    }

    fn ids(&self, matrix: &Csr, user: &str) -> Option<Vec<&str>> {
        let row = matrix.row(self.users().users().find(user)? as usize);
        Some(row.iter().map(|&item| self.items().get(item as usize)).collect())
    }
}

/// Held-out users.
#[napi]
pub struct NativeHeldOut(pub(crate) Held<Arc<Part>>);

#[napi]
impl NativeHeldOut {
    /// Number of users, those with nothing to score included.
    #[napi(getter, catch_unwind)]
    pub fn n_users(&self) -> Result<f64> {
        Ok(self.0.get()?.users().n_users() as f64)
    }

    /// Number of interactions, input and target together.
    #[napi(getter, catch_unwind)]
    pub fn n_interactions(&self) -> Result<f64> {
        Ok(self.0.get()?.users().n_interactions() as f64)
    }

    /// Whether they are trained on, too, as where the split is within users.
    #[napi(getter, catch_unwind)]
    pub fn are_known(&self) -> Result<bool> {
        let part = self.0.get()?;
        Ok(recvae_core::shares_users(part.train(), part.users()))
    }

    /// Number of users with something to score.
    #[napi(getter, catch_unwind)]
    pub fn n_scored(&self) -> Result<f64> {
        Ok(self.0.get()?.users().n_scored() as f64)
    }

    /// Ids of the users, in row order.
    #[napi(catch_unwind)]
    pub fn user_ids(&self) -> Result<Vec<&str>> {
        Ok(self.0.get()?.users().users().iter().collect())
    }

    /// What a model is shown of a user, or null if the user is not held out here.
    #[napi(catch_unwind)]
    pub fn input(&self, user: String) -> Result<Option<Vec<&str>>> {
        let part = self.0.get()?;
        Ok(part.ids(part.users().input(), &user))
    }

    /// What a model has to find of a user, or null if the user is not held out here.
    #[napi(catch_unwind)]
    pub fn target(&self, user: String) -> Result<Option<Vec<&str>>> {
        let part = self.0.get()?;
        Ok(part.ids(part.users().target(), &user))
    }

    /// Lets them go, once the calls that use them have ended.
    #[napi(catch_unwind)]
    pub fn dispose(&mut self) -> Result<()> {
        self.0.dispose();
        Ok(())
    }
}

/// Training, validation and test users. The parts share its memory, which goes with the last of them.
#[napi]
pub struct NativeSplit(pub(crate) Held<Arc<Split>>);

impl NativeSplit {
    fn new(env: &Env, split: Split) -> Self {
        let bytes = split.bytes();
        Self(Held::new(env, "split", Arc::new(split), bytes))
    }

    fn held_out(&self, is_test: bool) -> Result<NativeHeldOut> {
        self.0.part("heldOut", |split| Arc::new(Part { split: Arc::clone(split), is_test })).map(NativeHeldOut)
    }
}

#[napi]
impl NativeSplit {
    /// What models are trained on.
    #[napi(getter, catch_unwind)]
    pub fn train(&self) -> Result<NativeInteractions> {
        self.0.part("interactions", |split| Data::Train(Arc::clone(split))).map(NativeInteractions)
    }

    /// Held-out users for choosing options.
    #[napi(getter, catch_unwind)]
    pub fn validation(&self) -> Result<NativeHeldOut> {
        self.held_out(false)
    }

    /// Held-out users for the result.
    #[napi(getter, catch_unwind)]
    pub fn test(&self) -> Result<NativeHeldOut> {
        self.held_out(true)
    }

    /// What of the data is in none of the parts, as JSON: a list of `LeftOut`, see `ts/data/left-out.ts`.
    #[napi(catch_unwind)]
    pub fn left_out(&self) -> Result<String> {
        Ok(left_out(&self.0.get()?.left_out))
    }

    /// Number of users and of distinct interactions in all parts together.
    #[napi(catch_unwind)]
    pub fn totals(&self) -> Result<Vec<f64>> {
        let (users, interactions) = self.0.get()?.totals();
        Ok(vec![users as f64, interactions as f64])
    }

    /// Sizes and a hash of all of it, in one line.
    #[napi(catch_unwind)]
    pub fn fingerprint(&self) -> Result<String> {
        Ok(self.0.get()?.fingerprint())
    }

    /// A smaller split for trial runs. `options`: JSON.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeSplit>")]
    pub fn sample<'env>(&self, env: &'env Env, options: String) -> Result<Promise<'env>> {
        let options = SampleOptions::from_json(&json("options", &options)?).into_node()?;
        let split = Arc::clone(self.0.get()?);
        promise_in(env, brief(), move || recvae_core::sample(&split, &options).into_node(), Self::new)
    }

    /// Writes the layout of the official scripts.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn write_official<'env>(&self, env: &'env Env, folder: String) -> Result<Promise<'env>> {
        let split = Arc::clone(self.0.get()?);
        promise(env, brief(), move || recvae_core::write_official(&split, folder).into_node(), |()| ())
    }

    /// Lets it go. Its parts have to be disposed of, too.
    #[napi(catch_unwind)]
    pub fn dispose(&mut self) -> Result<()> {
        self.0.dispose();
        Ok(())
    }
}

/// Reads the layout of the official scripts.
#[napi(catch_unwind, ts_return_type = "Promise<NativeSplit>")]
pub fn read_official(env: &Env, folder: String) -> Result<Promise<'_>> {
    promise_in(env, brief(), move || recvae_core::read_official(folder).into_node(), NativeSplit::new)
}

/// The options of a sample with their defaults, as JSON. `options`: JSON.
#[napi(catch_unwind)]
pub fn complete_sample_options(options: String) -> Result<String> {
    Ok(SampleOptions::from_json(&json("options", &options)?).into_node()?.to_json().to_string())
}

/// Users per step on a sample.
#[napi(catch_unwind)]
pub fn sample_batch(batch: f64, users: f64, training_users: f64) -> Result<f64> {
    let [batch, users, all] =
        [("batchSize", batch), ("users", users), ("training users", training_users)].map(|(name, n)| whole(name, n));
    Ok(recvae_core::sample_batch(batch?, users?, all?) as f64)
}

/// Splits interactions by users or within users. `options`: JSON.
#[napi(catch_unwind, ts_return_type = "Promise<NativeSplit>")]
pub fn split<'env>(env: &'env Env, interactions: &NativeInteractions, options: String) -> Result<Promise<'env>> {
    let options = SplitOptions::from_json(&json("options", &options)?).into_node()?;
    let data = interactions.0.get()?.clone();
    promise_in(env, brief(), move || recvae_core::split(&data, &options).into_node(), NativeSplit::new)
}

/// Fails for options that [`split`] refuses without having seen the interactions. `options`: JSON.
#[napi(catch_unwind)]
pub fn check_split(options: String) -> Result<()> {
    SplitOptions::from_json(&json("options", &options)?).map(drop).into_node()
}

fn left_out(left_out: &[LeftOut]) -> String {
    left_out.iter().map(LeftOut::to_json).collect::<Value>().to_string()
}

/// Options of rows as JSON: those of `O`, thresholds and a shard.
pub(crate) fn rows_options<O: Options>(options: &str) -> Result<(O, Thresholds, Option<Shard>)> {
    let (mut rest, thresholds) = take_thresholds(json("options", options)?)?;
    let shard = take_shard(&mut rest)?;
    Ok((O::from_json(&rest.into()).into_node()?, thresholds, shard))
}

/// The users who are to be kept, of options as JSON: `shard`, an object of `index` and `of`.
fn take_shard(options: &mut Map<String, Value>) -> Result<Option<Shard>> {
    let Some(shard) = options.remove("shard") else { return Ok(None) };
    let number = |key: &str| shard[key].as_f64().unwrap_or(f64::NAN);
    Shard::new(number("index"), number("of")).into_node().map(Some)
}

/// The thresholds among `options`, and what else there is.
pub(crate) fn take_thresholds(options: Value) -> Result<(Map<String, Value>, Thresholds)> {
    let Value::Object(mut rest) = options else {
        return Err(argument("options", &options, "an object {name: value}"));
    };
    let mut given = Map::new();
    for option in Thresholds::describe() {
        if let Some(value) = rest.remove(&option.name) {
            given.insert(option.name, value);
        }
    }
    Ok((rest, Thresholds::from_json(&given.into()).into_node()?))
}

fn argument(name: &str, got: &Value, allowed: &str) -> Error {
    let error = recvae_core::Error::invalid_argument(name, got, allowed);
    Error::new(error.code(), error.to_string())
}

fn number(name: &str, value: &Value) -> Result<f64> {
    value.as_f64().ok_or_else(|| argument(name, value, "a number"))
}

fn refuse_others(rest: &Map<String, Value>, known: &[&str]) -> Result<()> {
    let Some(key) = rest.keys().next() else { return Ok(()) };
    let thresholds = Thresholds::describe();
    let known: Vec<&str> = known.iter().copied().chain(thresholds.iter().map(|option| &option.name[..])).collect();
    Err(argument("data option", &Value::from(key.as_str()), &known.join(", ")))
}
