//! The estimate of a fit's memory against its peak, measured in processes of their own.
//!
//! A table of larger shapes:
//! `cargo test --release -p recvae-core --test memory -- --ignored --nocapture larger_shapes`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::process::Command;

use recvae_core::{
    Cancel, Compute, Csr, EaseCounts, EngineKind, Error, FitRun, FitShape, HeldOut, Ids, Interactions, ModelKind,
    Recommender, Stream, Threads,
};
use serde_json::{Value, json};

const THREADS: usize = 2;
const MB: f64 = 1e6;

/// A fit: model, `weighted` before it where interactions have weights, `candle` where it is the engine; options, users,
/// items, items of each user.
struct Case(&'static str, Value, usize, usize, usize);

impl Case {
    fn kind(&self) -> ModelKind {
        self.0.trim_start_matches("weighted ").trim_start_matches("candle ").parse().unwrap()
    }

    fn engine(&self) -> EngineKind {
        if self.0.starts_with("candle ") { EngineKind::Candle } else { EngineKind::Fused }
    }

    fn is_weighted(&self) -> bool {
        self.0.starts_with("weighted ")
    }

    /// Random histories of the same length.
    fn data(&self, users: usize) -> Csr {
        let Self(_, _, _, items, length) = *self;
        let (mut indptr, mut indices) = (vec![0], Vec::with_capacity(users * length));
        let mut random = Stream::new(users as u64, 0);
        for _ in 0..users {
            // One item out of each of `length` stretches: ascending, and soon made.
            let item = |at: usize| at * items / length + random.below((items / length) as u64) as usize;
            indices.extend((0..length).map(item).map(|item| item as u32));
            indptr.push(indices.len());
        }
        let data = Csr::new(indptr, indices, items).unwrap();
        if !self.is_weighted() {
            return data;
        }
        let weights = (0..data.nnz()).map(|at| 1.0 + (at % 7) as f32).collect();
        data.with_weights(weights).unwrap()
    }

    fn validation(&self) -> HeldOut {
        let Self(_, _, _, items, length) = *self;
        let all = self.data(300);
        let rows = |range: fn(usize) -> std::ops::Range<usize>| {
            Csr::from_rows(all.rows().map(|row| row[range(length)].to_vec()), items).unwrap()
        };
        let users: Ids = (0..300).map(|user| user.to_string()).collect();
        HeldOut::new(users, rows(|n| 0..n - n / 5 - 1), rows(|n| n - n / 5 - 1..n)).unwrap()
    }

    fn estimate(&self) -> f64 {
        let Self(_, options, users, items, length) = self;
        let shape = FitShape {
            users: *users,
            items: *items,
            interactions: users * length,
            validation: true,
            weighted: self.is_weighted(),
            threads: THREADS,
            data: None,
        };
        let estimate = self.kind().estimate_memory(options, &shape).unwrap();
        let bytes = if self.engine() == EngineKind::Candle { estimate.fit_by_candle() } else { estimate.fit() };
        bytes as f64
    }

    /// Bytes at the peak of the fit beyond what there was before it.
    fn measured(&self) -> f64 {
        let Self(model, options, users, items, length) = self;
        measured("in_a_process_of_its_own", &json!([model, options, users, items, length]))
    }
}

/// What a test says when it runs in a process of its own.
fn measured(test: &str, case: &Value) -> f64 {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("MEMORY_CASE", case.to_string())
        // What is freed goes back at once: what an allocator keeps for later depends on the order in which threads ask
        // it.
        .envs([("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_TRIM_THRESHOLD_", "131072"), ("MALLOC_ARENA_MAX", "1")])
        .output()
        .unwrap();
    let text = String::from_utf8(child.stdout).unwrap();
    let line = text.lines().find_map(|line| line.split_once("peak: "));
    line.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&child.stderr))).1.parse().unwrap()
}

/// Prints the bytes at the peak of some work beyond what there was before it.
fn tell_peak(work: impl FnOnce() + Send) {
    let before = status("VmRSS:");
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    Threads::new(Some(THREADS)).unwrap().install(work);
    println!("\npeak: {}", status("VmHWM:") - before);
}

fn status(name: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    1024.0 * line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<f64>().unwrap()
}

#[test]
#[ignore = "runs in the processes that the other tests start"]
fn in_a_process_of_its_own() {
    let Ok(case) = std::env::var("MEMORY_CASE") else { return };
    let case: Value = serde_json::from_str(&case).unwrap();
    let number = |at: usize| case[at].as_u64().unwrap() as usize;
    let model = case[0].as_str().unwrap().to_owned();
    let case = Case(model.leak(), case[1].clone(), number(2), number(3), number(4));
    let (train, validation) = (case.data(case.2), case.validation());
    let compute = Compute { engine: case.engine(), ..Compute::default() };
    let run = FitRun { memory_limit: Some(case.estimate() as u64), compute, ..FitRun::default() };
    tell_peak(|| case.kind().fit(&case.1, &train, Some(&validation), &run).map(drop).unwrap());
}

/// Estimated and measured, with a line for each.
fn compare(cases: &[Case]) -> Vec<(String, f64, f64)> {
    println!("| fit | users x items, each has | estimate MB | measured MB | measured / estimate |");
    println!("| --- | --- | --- | --- | --- |");
    let row = |case: &Case| {
        let Case(model, options, users, items, length) = case;
        let (estimate, measured) = (case.estimate(), case.measured());
        let name = format!("{model} {options}");
        let ratio = measured / estimate;
        println!("| {name} | {users} x {items}, {length} | {:.1} | {:.1} | {ratio:.2} |", estimate / MB, measured / MB);
        (name, estimate, measured)
    };
    cases.iter().map(row).collect()
}

/// With ImplicitSLIM in every epoch.
fn slim(mut options: Value) -> Value {
    options["implicitSlim"] = true.into();
    options["slimEvery"] = 1.into();
    options["slimThreshold"] = 0.into();
    options
}

#[test]
fn small_fits_take_what_is_estimated() {
    let few = json!({ "hiddenDim": 100, "latentDim": 50, "batchSize": 200, "epochs": 2 });
    let results = compare(&[
        Case("popularity", json!({}), 1000, 100_000, 20),
        Case("ease", json!({}), 3000, 2500, 20),
        Case("ease", json!({ "precision": "f64" }), 3000, 1500, 20),
        Case("edlae", json!({}), 3000, 2500, 20),
        Case("ease", json!({}), 900, 3000, 20),
        Case("ease", json!({ "density": 0.01 }), 20_000, 10_000, 40),
        Case("edlae", json!({ "density": 0.01 }), 20_000, 10_000, 40),
        Case("hoease", json!({}), 3000, 2000, 20),
        Case("hoease", json!({ "pairs": 500, "precision": "f64" }), 6000, 1500, 40),
        Case("als", json!({ "factors": 100, "epochs": 2 }), 20_000, 20_000, 20),
        Case("weighted als", json!({ "factors": 20, "epochs": 2 }), 20_000, 20_000, 100),
        Case("mult-dae", json!({ "latentDim": 100, "batchSize": 200, "epochs": 2 }), 600, 20_000, 20),
        Case("mult-vae", few.clone(), 600, 20_000, 20),
        Case("recvae", few.clone(), 600, 20_000, 20),
        Case("recvae", slim(few), 600, 20_000, 20),
        Case("hvamp", json!({ "hiddenDim": 100, "latentDim": 50, "pseudoUsers": 200, "epochs": 2 }), 600, 10_000, 20),
    ]);
    for (name, estimate, measured) in results {
        // Beside the 15 % that hold for what is large, up to 6 MB for what a process does not share with larger fits:
        // pages of the program that are touched for the first time, arenas of the allocator, stacks.
        assert!((measured - estimate).abs() < 0.15 * estimate + 6.0 * MB, "{name}: {measured} for {estimate}");
    }
}

/// Where the logits count, where hidden or latent numbers, gathered rows or parameters do, and where all of it does.
#[cfg(feature = "candle")]
#[test]
fn autoencoders_by_candle_take_what_is_estimated() {
    let vae = |[hidden, latent, batch]: [usize; 3], more: Value| {
        let mut options = json!({ "hiddenDim": hidden, "latentDim": latent, "batchSize": batch, "epochs": 2 });
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        options
    };
    let results = compare(&[
        Case("candle recvae", vae([10, 10, 1000], json!({})), 1000, 6000, 20),
        Case("candle recvae", vae([500, 10, 1500], json!({})), 1500, 300, 20),
        Case("candle recvae", vae([10, 500, 1500], json!({})), 1500, 300, 20),
        Case("candle recvae", vae([100, 50, 20], json!({ "dropoutRate": 0 })), 40, 20_000, 20),
        Case("candle recvae", vae([200, 10, 500], json!({})), 500, 1000, 500),
        Case("candle recvae", slim(vae([100, 50, 200], json!({ "training": "joint" }))), 600, 10_000, 20),
        Case("candle recvae", vae([100, 50, 200], json!({ "encoder": "shallow" })), 600, 10_000, 20),
        Case("candle mult-vae", vae([10, 10, 1000], json!({})), 1000, 6000, 20),
        Case("candle mult-vae", vae([100, 50, 200], json!({})), 600, 10_000, 20),
        Case("candle mult-dae", json!({ "latentDim": 100, "batchSize": 200, "epochs": 2 }), 600, 10_000, 20),
    ]);
    for (name, estimate, measured) in results {
        // As above.
        assert!((measured - estimate).abs() < 0.15 * estimate + 6.0 * MB, "{name}: {measured} for {estimate}");
    }
}

/// The estimate of candle's engine is what it takes at most, and not much more. Where a batch counts, where
/// pseudo-users and where the parameters do, and where all of it does. Here the allocator keeps nothing; where it does
/// as it likes, the peak of the last of these fits was 1.2 to 1.4 times as high, from run to run, and the estimate
/// counts that in.
#[cfg(feature = "candle")]
#[test]
fn h_vamp_by_candle_takes_no_more_than_is_estimated() {
    let case = |options: [usize; 4], likelihood: &str, users, items, length| {
        let [hidden, latent, pseudo_users, batch] = options;
        let options = json!({
            "hiddenDim": hidden, "latentDim": latent, "pseudoUsers": pseudo_users, "batchSize": batch,
            "likelihood": likelihood, "epochs": 2
        });
        Case("candle hvamp", options, users, items, length)
    };
    let results = compare(&[
        case([20, 10, 10, 1000], "multinomial", 1000, 6000, 40),
        case([20, 10, 10, 1000], "bernoulli", 1000, 6000, 40),
        case([20, 20, 4000, 400], "multinomial", 400, 300, 20),
        case([100, 10, 4, 20], "multinomial", 40, 20_000, 20),
        case([100, 50, 200, 200], "multinomial", 600, 10_000, 20),
    ]);
    for (name, estimate, measured) in results {
        // Less what the allocator keeps elsewhere, and as above for the 6 MB.
        assert!(
            (0.55 * estimate - 6.0 * MB..0.85 * estimate + 6.0 * MB).contains(&measured),
            "{name}: {measured} for {estimate}"
        );
    }
}

#[test]
#[ignore = "takes minutes"]
fn larger_shapes() {
    let vae = |more: Value| {
        let mut options = json!({ "epochs": 2 });
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        options
    };
    let results = compare(&[
        Case("popularity", json!({}), 1000, 30_000_000, 20),
        Case("als", json!({ "epochs": 2 }), 200_000, 20_000, 30),
        Case("weighted als", json!({ "epochs": 2, "factors": 32 }), 200_000, 20_000, 100),
        Case("als", json!({ "epochs": 2, "factors": 1000, "solver": "cholesky" }), 2000, 10_000, 20),
        Case("ease", json!({}), 5000, 6000, 30),
        Case("ease", json!({}), 5000, 12_000, 30),
        Case("ease", json!({ "precision": "f64" }), 5000, 5000, 30),
        Case("ease", json!({}), 4500, 15_000, 30),
        Case("edlae", json!({ "precision": "f64" }), 1000, 9000, 100),
        Case("ease", json!({}), 400_000, 4000, 50),
        Case("hoease", json!({ "pairs": 3000 }), 5000, 6000, 30),
        Case("hoease", json!({}), 400_000, 4000, 50),
        Case("mult-dae", vae(json!({})), 1000, 20_000, 40),
        Case("ease", json!({ "density": 0.01 }), 100_000, 30_000, 50),
        Case("ease", json!({ "density": 0.001, "precision": "f64" }), 100_000, 100_000, 50),
        Case("mult-vae", vae(json!({})), 1000, 20_000, 40),
        Case("mult-vae", vae(json!({ "batchSize": 4000, "hiddenDim": 100 })), 8000, 5000, 40),
        Case("recvae", vae(json!({})), 1000, 20_000, 40),
        Case("recvae", slim(vae(json!({}))), 1000, 20_000, 40),
        Case("recvae", slim(vae(json!({ "hiddenDim": 100, "batchSize": 2000 }))), 100_000, 1000, 40),
        Case("recvae", vae(json!({ "hiddenDim": 100, "batchSize": 2000 })), 100_000, 1000, 40),
        Case(
            "recvae",
            vae(json!({ "prior": "standard", "encoder": "shallow", "training": "joint" })),
            1000,
            20_000,
            40,
        ),
        Case("recvae", vae(json!({ "hiddenDim": 1000, "latentDim": 100, "batchSize": 3000 })), 6000, 3000, 40),
        #[cfg(feature = "candle")]
        Case("candle recvae", vae(json!({})), 1000, 20_000, 40),
        #[cfg(feature = "candle")]
        Case("candle mult-vae", vae(json!({})), 1000, 20_000, 40),
        #[cfg(feature = "candle")]
        Case("candle mult-dae", vae(json!({})), 1000, 20_000, 40),
        Case("hvamp", vae(json!({})), 1000, 10_000, 40),
        Case("hvamp", vae(json!({ "hiddenDim": 200, "pseudoUsers": 100, "batchSize": 3000 })), 6000, 3000, 40),
        Case("hvamp", vae(json!({ "hiddenDim": 100, "latentDim": 50, "pseudoUsers": 4000 })), 1000, 3000, 40),
    ]);
    for (name, estimate, measured) in results {
        assert!(estimate > 100.0 * MB, "{name}");
        assert!((measured / estimate - 1.0).abs() < 0.15, "{name}: {measured} for {estimate}");
    }
}

/// What models are updated with: counts, and a warm start from a model of many more items.
struct Updates {
    data: Interactions,
    counts: EaseCounts,
    few: Csr,
    large: Recommender,
}

const UPDATES: [&str; 4] = ["count", "update", "fit on counts", "warm start"];

impl Updates {
    fn new() -> Self {
        let ids = |n: usize| (0..n).map(|id| id.to_string()).collect::<Ids>();
        let case = Case("ease", json!({}), 20_000, 4000, 40);
        let data = Interactions::new(ids(case.2), ids(case.3), case.data(case.2)).unwrap();
        let counts = EaseCounts::count(&data, None, &Cancel::default()).unwrap();
        let all = Case("recvae", Self::options(), 20, 60_000, 20).data(20);
        let fit = ModelKind::RecVae.fit(&Self::options(), &all, None, &FitRun::default()).unwrap();
        let large = Recommender::new(fit.model, ids(60_000), Value::Null).unwrap();
        Self { data, counts, few: Case("recvae", Self::options(), 100, 300, 20).data(100), large }
    }

    fn options() -> Value {
        json!({ "hiddenDim": 100, "latentDim": 50, "batchSize": 20, "epochs": 1 })
    }

    fn run(&self, what: &str, limit: Option<u64>) -> recvae_core::Result<()> {
        let never = Cancel::default();
        match what {
            "count" => EaseCounts::count(&self.data, limit, &never).map(drop),
            "update" => self.counts.update(Some(&self.data), Some(&self.data), limit, &never).map(drop),
            "fit on counts" => {
                self.counts.fit(&json!({}), &FitRun { memory_limit: limit, ..FitRun::default() }).map(drop)
            }
            _ => {
                let items: Ids = (0..300).map(|id| id.to_string()).collect();
                let from = Some(self.large.warm_start(&items));
                let run = FitRun { memory_limit: limit, from, ..FitRun::default() };
                ModelKind::RecVae.fit(&Self::options(), &self.few, None, &run).map(drop)
            }
        }
    }
}

#[test]
#[ignore = "runs in the processes that the other tests start"]
fn an_update_in_a_process_of_its_own() {
    let Ok(case) = std::env::var("MEMORY_CASE") else { return };
    let case: Value = serde_json::from_str(&case).unwrap();
    let updates = Updates::new();
    tell_peak(|| updates.run(case.as_str().unwrap(), None).unwrap());
}

#[test]
fn updates_take_what_is_estimated_and_are_refused_beyond_the_limit() {
    let updates = Updates::new();
    let begins = [
        "counting the pairs of 4000 items needs",
        "counting the pairs of 4000 items needs",
        "ease on 20000 users x 4000 items, 800000 interactions, needs",
        "recvae on 100 users x 300 items, 2000 interactions, needs",
    ];
    let counts = "the counts and the stretches that they are joined from";
    let parts = [counts, counts, "its matrix of items x items", "a copy of the parameters that it begins with"];
    Threads::new(Some(THREADS)).unwrap().install(|| {
        for (at, what) in UPDATES.iter().enumerate() {
            let refused = |limit: u64| match updates.run(what, Some(limit)).unwrap_err() {
                Error::Memory(text) => text,
                error => panic!("{what}: {error}"),
            };
            let text = refused(1 << 20);
            let rest = text.strip_prefix(begins[at]).unwrap_or_else(|| panic!("{text}"));
            let (figure, rest) = rest.split_once(" MiB of memory, most of it (").unwrap();
            assert!(
                rest.contains(&format!(" MiB) for {}; 1.0 MiB is allowed by memoryLimit; the way out: ", parts[at])),
                "{text}"
            );
            assert!(rest.ends_with("more memory"), "{text}");
            let (estimate, tenth) = (figure.trim().parse::<f64>().unwrap() * 1024.0 * 1024.0, 1024.0 * 1024.0 / 10.0);
            refused((estimate - tenth) as u64);
            updates.run(what, Some((estimate + tenth) as u64)).unwrap();
            let measured = measured("an_update_in_a_process_of_its_own", &json!(what));
            println!("{what}: estimate {:.1} MB, measured {:.1} MB", estimate / MB, measured / MB);
            // See above for the 6 MB. How much of freed stretches an allocator keeps differs from run to run, so that
            // counting takes between half of its estimate and all of it.
            let least = if at < 2 { 0.5 } else { 0.85 };
            let range = least * estimate - 6.0 * MB..1.15 * estimate + 6.0 * MB;
            assert!(range.contains(&measured), "{what}: {measured} for {estimate}");
        }
    });
}
