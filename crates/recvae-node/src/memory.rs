//! How much memory a fit takes, and how much time.

use napi_derive::napi;
use recvae_core::{FitShape, Limits, MemoryEstimate, ModelKind, Sizing, Threads};
use serde_json::{Value, json as value};

use crate::data::NativeInteractions;
use crate::error::{IntoNode, Result, json, whole};
use crate::work::now;

/// Bytes.
#[napi(object, object_from_js = false)]
pub struct NativeMemory {
    /// At the peak of the fit, beyond the data.
    pub fit: f64,
    /// Of the finished model.
    pub model: f64,
}

impl From<MemoryEstimate> for NativeMemory {
    fn from(estimate: MemoryEstimate) -> Self {
        Self { fit: estimate.fit() as f64, model: estimate.model as f64 }
    }
}

/// What decides how much a fit takes.
#[napi(object, object_to_js = false)]
pub struct NativeShape {
    /// Number of training users.
    pub users: f64,
    /// Number of items.
    pub items: f64,
    /// Number of pairs of the training users.
    pub interactions: f64,
    /// Whether there are validation users.
    pub validation: bool,
    /// Whether the pairs have weights.
    pub weighted: bool,
    /// Threads to compute with.
    pub threads: Option<f64>,
}

impl NativeShape {
    fn read(&self) -> Result<FitShape<'static>> {
        Ok(FitShape {
            users: whole("users", self.users)?,
            items: whole("items", self.items)?,
            interactions: whole("interactions", self.interactions)?,
            validation: self.validation,
            weighted: self.weighted,
            threads: number_of(self.threads)?,
            data: None,
        })
    }
}

/// What a fit on data of that shape would take. `options`: JSON.
#[napi(catch_unwind)]
pub fn estimate_memory(kind: String, options: String, shape: NativeShape) -> Result<NativeMemory> {
    let kind: ModelKind = kind.parse().into_node()?;
    kind.estimate_memory(&json("options", &options)?, &shape.read()?).into_node().map(NativeMemory::from)
}

/// The seconds that a fit on data of that shape would take. `options`: JSON.
#[napi(catch_unwind)]
pub fn estimate_seconds(kind: String, options: String, shape: NativeShape) -> Result<f64> {
    let kind: ModelKind = kind.parse().into_node()?;
    kind.estimate_seconds(&json("options", &options)?, &shape.read()?).into_node()
}

/// The same for a fit on these data, whose users and items it looks at. `options`: JSON.
#[napi(catch_unwind)]
pub fn estimate_seconds_on(
    kind: String,
    options: String,
    train: &NativeInteractions,
    validation: bool,
    threads: Option<f64>,
) -> Result<f64> {
    let kind: ModelKind = kind.parse().into_node()?;
    let (options, threads) = (json("options", &options)?, number_of(threads)?);
    let train = train.0.get()?.clone();
    now(move || kind.estimate_seconds(&options, &FitShape::of(train.matrix(), validation, threads)).into_node())
}

/// Options with which a search on these data does well to begin, as a JSON array. `options`: JSON.
#[napi(catch_unwind)]
pub fn search_starts(kind: String, options: String, train: &NativeInteractions) -> Result<String> {
    let kind: ModelKind = kind.parse().into_node()?;
    let shape = FitShape::of(train.0.get()?.matrix(), true, 1);
    let starts = kind.search_starts(&json("options", &options)?, &shape).into_node()?;
    Ok(Value::from(starts).to_string())
}

/// The options by which a fit fits, as JSON: see `Fitting` in `ts/models/fitting.ts`. `options`: JSON.
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments)] // one call, made by one function of ts/models/fitting.ts
pub fn largest_that_fits(
    kind: String,
    options: String,
    train: &NativeInteractions,
    validation: bool,
    threads: Option<f64>,
    limit: Option<f64>,
    beside: f64,
    seconds: Option<f64>,
) -> Result<String> {
    let kind: ModelKind = kind.parse().into_node()?;
    let (options, threads) = (json("options", &options)?, number_of(threads)?);
    let limits = Limits { memory: bytes(limit)?, beside: whole("beside", beside)? as u64, seconds };
    let train = train.0.get()?.clone();
    let found = now(move || {
        let shape = FitShape::of(train.matrix(), validation, threads);
        kind.largest_that_fits(&options, train.matrix(), &shape, &limits).into_node()
    })?;
    let found = match found {
        Sizing::Refused(refusal) => value!({ "refusal": refusal }),
        Sizing::Fits { options, changed } => {
            let changed = changed.iter().map(|it| value!({ "name": it.name, "from": it.from, "to": it.to }));
            value!({ "options": options, "changed": changed.collect::<Vec<Value>>() })
        }
    };
    Ok(found.to_string())
}

/// Fails as a fit would that may take `limit` bytes, or what is free, with `beside` bytes held already. `options`:
/// JSON.
#[napi(catch_unwind)]
pub fn check_memory(
    kind: String,
    options: String,
    train: &NativeInteractions,
    validation: bool,
    threads: Option<f64>,
    limit: Option<f64>,
    beside: f64,
) -> Result<NativeMemory> {
    let kind: ModelKind = kind.parse().into_node()?;
    let shape = FitShape::of(train.0.get()?.matrix(), validation, number_of(threads)?);
    let (limit, beside) = (bytes(limit)?, whole("beside", beside)? as u64);
    let options = json("options", &options)?;
    kind.check_memory(&options, train.0.get()?.matrix(), &shape, limit, beside).into_node().map(NativeMemory::from)
}

/// The seconds of a fit, carried over by the core's law from a measured one of the same kind. `options` and
/// `wanted_options`: JSON.
#[napi(catch_unwind)]
pub fn extrapolate_seconds(
    kind: String,
    seconds: f64,
    options: String,
    train: &NativeInteractions,
    wanted_options: String,
    wanted_train: &NativeInteractions,
) -> Result<f64> {
    let kind: ModelKind = kind.parse().into_node()?;
    let [options, wanted_options] = [json("options", &options)?, json("options", &wanted_options)?];
    let [shape, wanted_shape] =
        [train.0.get()?, wanted_train.0.get()?].map(|train| FitShape::of(train.matrix(), true, 1));
    kind.extrapolate_seconds(seconds, (&options, &shape), (&wanted_options, &wanted_shape)).into_node()
}

/// A limit in bytes.
pub(crate) fn bytes(limit: Option<f64>) -> Result<Option<u64>> {
    limit.map(|limit| whole("memoryLimit", limit).map(|limit| limit as u64)).transpose()
}

fn number_of(threads: Option<f64>) -> Result<usize> {
    threads.map_or_else(|| Ok(Threads::available()), |threads| whole("threads", threads))
}
