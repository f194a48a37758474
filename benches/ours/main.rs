//! Times one thing in a process of its own and prints a line of JSON: what `run.mjs` runs on our side.
//!
//! `ours COMMAND --option value ...`; README.md beside this file says what each command measures.
#![expect(clippy::print_stdout, reason = "the line of JSON is the result")]

mod data;
mod memory;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use recvae_core::{
    Compute, FitRun, Model, ModelKind, Progress, ReadOptions, Recommender, Result, TensorSource, Threads, Thresholds,
    TrainingPrecision, bench, read_interactions, recommend,
};
use serde_json::{Value, json};

use data::{interactions, matrix};
use memory::{Memory, processor_seconds};

/// Side of the square product that stands for what the machine can do.
const PRODUCT: usize = 4096;

/// Seconds since some moment.
type Clock = Box<dyn Fn() -> f64 + Send + Sync>;

type Outcome<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The options of a command line, each taken once.
pub(crate) struct Options(BTreeMap<String, String>);

impl Options {
    fn new(args: &[String]) -> Outcome<Self> {
        let mut all = BTreeMap::new();
        for pair in args.chunks(2) {
            match pair {
                [name, value] if name.starts_with("--") => all.insert(name[2..].to_owned(), value.clone()),
                _ => return Err(format!("'{}' is not an option with a value; allowed: --NAME VALUE", pair[0]).into()),
            };
        }
        Ok(Self(all))
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    pub(crate) fn number<N: std::str::FromStr>(&mut self, name: &str, default: N) -> Outcome<N> {
        match self.text(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("--{name} is '{text}'; allowed: a number").into()),
        }
    }

    fn model(&mut self) -> Outcome<ModelKind> {
        Ok(self.text("model").ok_or("--model is missing")?.parse()?)
    }

    /// In which a network is trained.
    fn precision(&mut self) -> Outcome<TrainingPrecision> {
        match self.text("precision").as_deref() {
            None | Some("f32") => Ok(TrainingPrecision::F32),
            Some("bf16") => Ok(TrainingPrecision::Bf16),
            Some(other) => Err(format!("--precision is '{other}'; allowed: f32, bf16").into()),
        }
    }

    /// What tells seconds: those of the wall, or those that the processor worked on this process.
    fn clock(&mut self) -> Outcome<Clock> {
        match self.text("clock").as_deref() {
            None | Some("wall") => {
                let start = Instant::now();
                Ok(Box::new(move || start.elapsed().as_secs_f64()))
            }
            Some("processor") => processor_seconds().map(|_| Box::new(|| processor_seconds().unwrap_or(f64::NAN)) as _),
            Some(other) => Err(format!("--clock is '{other}'; allowed: wall, processor").into()),
        }
    }

    fn end(self) -> Outcome<()> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("this command knows no --{name}").into()),
        }
    }
}

fn main() -> Outcome<()> {
    // cargo adds --bench to what it starts.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let Some((command, rest)) = args.split_first() else {
        println!("nothing to do: `npm run bench` calls this program");
        return Ok(());
    };
    let mut options = Options::new(rest)?;
    let n_threads: usize = options.number("threads", 2)?;
    let run: fn(Options) -> Outcome<Value> = match &command[..] {
        "sgemm" => sgemm,
        "steps" => steps,
        "epochs" => epochs,
        "ease" => ease,
        "gram" => gram,
        "tail" => tail,
        "top-k" => top_k,
        "read-csv" => read_csv,
        "model" => model,
        _ => {
            let allowed = "sgemm, steps, epochs, ease, gram, tail, top-k, read-csv, model";
            return Err(format!("command '{command}'; allowed: {allowed}").into());
        }
    };
    // Errors of the core are plain data, but a box of any error cannot leave the pool.
    let result = Threads::new(Some(n_threads))?.install(|| run(options).map_err(|error| error.to_string()))?;
    let mut result = result;
    result["threads"] = json!(n_threads);
    println!("{result}");
    Ok(())
}

/// What the machine can do.
fn sgemm(mut options: Options) -> Outcome<Value> {
    let repeats: usize = options.number("repeats", 3)?;
    options.end()?;
    Ok(json!({ "sgemm": product_seconds(repeats) }))
}

/// Seconds of the product by ours and by faer, after one of each that does not count.
fn product_seconds(repeats: usize) -> Value {
    let [ours, faer] = bench::product_seconds(PRODUCT, repeats + 1).map(|mut seconds| seconds.split_off(1));
    json!({ "ours": ours, "faer": faer })
}

/// Single steps of training. The peak is that of training, with its data.
fn steps(mut options: Options) -> Outcome<Value> {
    let start = Memory::now()?;
    let kind = options.model()?;
    let n = options.number("steps", 10)?;
    let repeats: usize = options.number("repeats", 3)?;
    let (precision, clock) = (options.precision()?, options.clock()?);
    let data = matrix(&mut options)?;
    options.end()?;
    Memory::forget_peak()?;
    let mut seconds = serde_json::Map::new();
    for (pass, all) in bench::step_seconds(kind, &json!({}), &data, n, precision, &*clock)? {
        seconds.insert(pass.to_owned(), json!(all));
    }
    let memory = start.grown(&data)?;
    let complete = kind.complete_options(&json!({}))?;
    Ok(json!({
        "seconds": seconds, "options": complete, "data": shape(&data), "memory": memory,
        "sgemm": product_seconds(repeats),
    }))
}

/// Whole epochs of training without validation, after `--warm-up` that do not count.
fn epochs(mut options: Options) -> Outcome<Value> {
    let kind = options.model()?;
    let (n, warm_up) = (options.number("epochs", 3)?, options.number("warm-up", 1)?);
    let mut given: Value = serde_json::from_str(&options.text("options").unwrap_or("{}".into()))?;
    given["epochs"] = json!(n + warm_up);
    let compute = Compute { precision: options.precision()?, ..Compute::default() };
    let clock = options.clock()?;
    let data = matrix(&mut options)?;
    options.end()?;
    let ends = Mutex::new(vec![clock()]);
    let end = |_: &Progress| ends.lock().unwrap_or_else(PoisonError::into_inner).push(clock());
    let fit = kind.fit(&given, &data, None, &FitRun { compute, on_progress: &end, ..FitRun::default() })?;
    let ends = ends.into_inner().unwrap_or_else(PoisonError::into_inner);
    let seconds: Vec<f64> = ends.windows(2).skip(warm_up).map(|pair| pair[1] - pair[0]).collect();
    let loss = fit.epochs.last().and_then(|epoch| epoch.loss);
    Ok(json!({ "seconds": seconds, "loss": loss, "data": shape(&data) }))
}

/// One fit of EASE^R, Gram matrix included.
fn ease(mut options: Options) -> Outcome<Value> {
    let start = Memory::now()?;
    let repeats: usize = options.number("repeats", 3)?;
    let data = matrix(&mut options)?;
    options.end()?;
    Memory::forget_peak()?;
    let clock = Instant::now();
    let fit = ModelKind::Ease.fit(&json!({}), &data, None, &FitRun::default())?;
    let seconds = clock.elapsed().as_secs_f64();
    let memory = start.grown(&data)?;
    drop(fit);
    Ok(json!({
        "seconds": [seconds], "data": shape(&data), "memory": memory, "sgemm": product_seconds(repeats),
    }))
}

/// The Gram matrix alone.
fn gram(mut options: Options) -> Outcome<Value> {
    let data = matrix(&mut options)?;
    options.end()?;
    let clock = Instant::now();
    drop(bench::gram(&data));
    Ok(json!({ "seconds": [clock.elapsed().as_secs_f64()], "data": shape(&data) }))
}

/// EASE^R's inverse with the elimination of sparse rows and without, in turns.
fn tail(mut options: Options) -> Outcome<Value> {
    let (lambda, repeats) = (options.number("lambda", 100.0)?, options.number("repeats", 2)?);
    let data = matrix(&mut options)?;
    options.end()?;
    let (mut sparse, mut dense, mut by_users, mut core) = (vec![], vec![], vec![], 0);
    for _ in 0..repeats {
        by_users.extend(bench::seconds_by_users(&data, lambda)?);
        let ([with, without], left) = bench::inverse_seconds(&data, lambda)?;
        sparse.push(with);
        dense.push(without);
        core = left;
    }
    Ok(json!({ "seconds": sparse, "dense": dense, "byUsers": by_users, "core": core, "data": shape(&data) }))
}

/// Lists for all users of the data, seen items left out, after a tenth of them that does not count.
fn top_k(mut options: Options) -> Outcome<Value> {
    let kind = options.model()?;
    let (k, repeats) = (options.number("k", 100)?, options.number("repeats", 3)?);
    let data = matrix(&mut options)?;
    options.end()?;
    let model = made_up(kind, data.n_cols())?;
    let histories: Vec<&[u32]> = data.rows().collect();
    recommend(&*model, &histories[..histories.len().div_ceil(10)], k, true)?;
    let mut seconds = vec![];
    for _ in 0..repeats {
        let clock = Instant::now();
        let lists = recommend(&*model, &histories, k, true)?;
        seconds.push(clock.elapsed().as_secs_f64());
        if let Some(list) = lists.iter().find(|list| list.len() != k) {
            return Err(format!("a list of {} items instead of {k}", list.len()).into());
        }
    }
    Ok(json!({ "seconds": seconds, "users": histories.len(), "data": shape(&data) }))
}

/// From a file to the matrix, after one time that does not count and leaves the file in the system's cache.
fn read_csv(mut options: Options) -> Outcome<Value> {
    let file = options.text("csv").ok_or("--csv is missing")?;
    let repeats = options.number("repeats", 1)?;
    options.end()?;
    let (mut seconds, mut rows) = (vec![], 0);
    for repeat in 0..=repeats {
        let clock = Instant::now();
        let data = read_interactions(&file, &ReadOptions::default(), &Thresholds::default())?;
        if repeat > 0 {
            seconds.push(clock.elapsed().as_secs_f64());
        }
        rows = data.n_interactions();
    }
    Ok(json!({ "seconds": seconds, "rows": rows }))
}

/// Writes a model of made-up numbers, for `latency.mjs`.
fn model(mut options: Options) -> Outcome<Value> {
    let kind = options.model()?;
    let out = options.text("out").ok_or("--out is missing")?;
    let data = interactions(&mut options)?;
    options.end()?;
    let model = made_up(kind, data.n_items())?;
    Recommender::new(model, data.items().clone(), Value::Null)?.save(&out)?;
    Ok(json!({ "items": data.n_items() }))
}

/// A model whose parameters are random numbers: speed does not depend on them, and EASE^R need not be fitted.
fn made_up(kind: ModelKind, n_items: usize) -> Result<Box<dyn Model>> {
    struct Noise;

    impl TensorSource for Noise {
        fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
            // Marsaglia's xorshift; each tensor begins elsewhere.
            let mut state = name.bytes().fold(0x9e37_79b9_u32, |sum, byte| sum.rotate_left(5) ^ u32::from(byte));
            let numbers = std::iter::repeat_with(|| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                (state >> 8) as f32 / (1 << 24) as f32 - 0.5
            });
            Ok(numbers.take(shape.iter().product()).collect())
        }

        fn f64(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
            Ok(self.f32(name, shape)?.into_iter().map(f64::from).collect())
        }
    }

    kind.load(&json!({}), n_items, &Noise)
}

fn shape(data: &recvae_core::Csr) -> Value {
    json!({ "users": data.n_rows(), "items": data.n_cols(), "interactions": data.nnz() })
}
