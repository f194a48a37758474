//! Interruptions at any step, by a source of noise that cancels after so many calls.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use super::*;
use crate::model::{MultVaeOptions, RecVaeOptions, mult_vae, rec_vae};
use crate::nn::noise::{Noise, Seeded};
use crate::random::Stream;
use crate::threads::Threads;
use crate::train::Schedule;

/// The noise of a seed, which asks for an end after some calls.
struct Interrupting {
    noise: Seeded,
    calls: AtomicU64,
    after: u64,
    run: FitRun<'static>,
}

impl Noise<f32> for Interrupting {
    fn order(&self, pass: u64, n_users: usize) -> Vec<usize> {
        Noise::<f32>::order(&self.noise, pass, n_users)
    }

    fn keep(&self, pass: u64, user: usize, history: &[u32], rate: f64, kept: &mut Vec<u32>) {
        Noise::<f32>::keep(&self.noise, pass, user, history, rate, kept);
    }

    fn normal(&self, pass: u64, user: usize, out: &mut [f32]) {
        if self.calls.fetch_add(1, Ordering::Relaxed) + 1 == self.after {
            self.run.cancel.cancel();
        }
        self.noise.normal(pass, user, out);
    }
}

/// What training gives, in bits, and how often it asked for noise.
#[derive(Debug, PartialEq)]
struct Outcome {
    parameters: Vec<Vec<u32>>,
    record: Vec<[u64; 4]>,
}

struct Case {
    kind: ModelKind,
    options: Value,
    train: Csr,
    validation: Option<HeldOut>,
}

/// Random histories of 60 items.
fn histories(n_users: usize, seed: u64) -> Csr {
    let mut random = Stream::new(seed, 0);
    let rows: Vec<Vec<u32>> = (0..n_users).map(|_| (0..60).filter(|_| random.below(6) == 0).collect()).collect();
    Csr::from_rows(rows, 60).unwrap()
}

impl Case {
    fn new(kind: ModelKind, changes: Value, validated: bool) -> Self {
        let mut options =
            json!({ "hiddenDim": 12, "latentDim": 5, "batchSize": 25, "epochs": 5, "learningRate": 0.02 });
        options.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let validation = || {
            let pick = |odd| -> Vec<Vec<u32>> {
                let all = histories(30, 2);
                all.rows().map(|row| row.iter().copied().filter(|item| (item % 2 == 1) == odd).collect()).collect()
            };
            let users = (0..30).map(|user| user.to_string()).collect();
            HeldOut::new(users, Csr::from_rows(pick(false), 60).unwrap(), Csr::from_rows(pick(true), 60).unwrap())
                .unwrap()
        };
        Self { kind, options, train: histories(110, 1), validation: validated.then(validation) }
    }

    /// As the model's own `fit`, with an end after so many calls for noise; also says how many there were.
    fn fit(&self, checkpoint: Option<Checkpoint<'static>>, after: u64) -> Result<(Outcome, u64)> {
        let run = FitRun { checkpoint, ..FitRun::default() };
        let open = |options, free| Keeper::open(&run, self.kind, options, free, &self.train, self.validation.as_ref());
        let (seed, noise, plan, schedule, keeper, mut training);
        match self.kind {
            ModelKind::RecVae => {
                let options = RecVaeOptions::from_json(&self.options)?;
                keeper = open(&options.to_json(), &["epochs"])?;
                seed = Seeded(options.seed);
                plan = options.plan();
                schedule = Schedule { epochs: options.epochs, patience: options.patience, warm_up: 0 };
                training = rec_vae::start(&options, &self.train, &seed)?;
            }
            _ => {
                let options = MultVaeOptions::from_json(&self.options)?;
                keeper = open(&options.to_json(), &[])?;
                seed = Seeded(options.seed);
                plan = options.plan().to_vec();
                schedule = Schedule { epochs: options.epochs, patience: options.patience, warm_up: 2 };
                training = mult_vae::start(&options, &self.train, &seed)?;
            }
        }
        noise = Interrupting {
            noise: Seeded(seed.0),
            calls: 0.into(),
            after,
            run: FitRun { cancel: run.cancel.clone(), ..FitRun::default() },
        };
        training.noise = &noise;
        let (network, record) = training.run(&plan, schedule, self.validation.as_ref(), &run, keeper)?;
        let parameters =
            network.export().into_iter().map(|all| all.values.iter().map(|value| value.to_bits()).collect());
        let bits = |progress: &Progress| {
            let [rest @ .., _] = to_row(progress);
            rest.map(f64::to_bits)
        };
        let outcome = Outcome { parameters: parameters.collect(), record: record.iter().map(bits).collect() };
        Ok((outcome, noise.calls.into_inner()))
    }
}

fn checkpoint(path: &std::path::Path, every_epochs: usize) -> Checkpoint<'static> {
    Checkpoint { path: path.to_owned(), options: CheckpointOptions { every_epochs, resume: true }, ids: None }
}

#[test]
fn interrupted_anywhere_it_comes_to_the_same_bits() {
    use ModelKind::{MultVae, RecVae};
    let folder = tempfile::tempdir().unwrap();
    let mut random = Stream::new(7, 0);
    let mut within_pass = 0;
    for (kind, changes, validated) in [
        (RecVae, json!({}), true),
        (RecVae, json!({}), false),
        (RecVae, json!({ "prior": "standard" }), true),
        (RecVae, json!({ "training": "joint" }), true),
        (RecVae, json!({ "encoder": "shallow", "decoderPasses": 2 }), false),
        (RecVae, json!({ "klWeight": "constant", "dropoutRate": 0 }), true),
        (RecVae, json!({ "epochs": 60, "patience": 2, "learningRate": 0.05 }), true),
        (MultVae, json!({}), true),
        (MultVae, json!({}), false),
        (MultVae, json!({ "epochs": 60, "patience": 2, "annealing": 0, "learningRate": 0.05 }), true),
    ] {
        let case = Case::new(kind, changes, validated);
        let (whole, calls) = case.fit(None, u64::MAX).unwrap();
        assert!(case.options["epochs"] != 60 || whole.record.len() < 60, "patience was to end it");
        let path = folder.path().join("checkpoint");
        // Bits do not depend on checkpoints being written.
        assert_eq!(case.fit(Some(checkpoint(&path, 2)), u64::MAX).unwrap().0, whole);
        assert_eq!(case.fit(Some(checkpoint(&path, 2)), 1).unwrap(), (whole, 0), "the end is there already");
        std::fs::remove_file(&path).unwrap();
        let (whole, _) = case.fit(None, u64::MAX).unwrap();
        let mut threads = 1;
        let resumed = loop {
            threads = 3 - threads;
            let after = 1 + random.below(1 + calls / 6);
            let pool = Threads::new(Some(threads)).unwrap();
            match pool.install(|| case.fit(Some(checkpoint(&path, 2)), after)) {
                Ok((resumed, _)) => break resumed,
                Err(Error::Cancelled) => {}
                Err(error) => panic!("{error}"),
            }
            within_pass += u32::from(place(&path)[1] > 0);
        };
        assert!(resumed == whole, "{kind:?} {}", case.options);
        std::fs::remove_file(&path).unwrap();
    }
    assert!(within_pass > 50, "{within_pass} interruptions within a pass");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no temporary files");
}

/// Name and place of each array in a file.
fn arrays(bytes: &[u8]) -> BTreeMap<String, (String, std::ops::Range<usize>)> {
    let n = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: BTreeMap<String, Value> = serde_json::from_slice(&bytes[8..8 + n]).unwrap();
    let at = |value: &Value| 8 + n + value.as_u64().unwrap() as usize;
    header
        .into_iter()
        .filter(|(name, _)| name != "__metadata__")
        .map(|(name, array)| {
            let offsets = &array["data_offsets"];
            (name, (array["dtype"].as_str().unwrap().to_owned(), at(&offsets[0])..at(&offsets[1])))
        })
        .collect()
}

/// Passes and batches that are done.
fn place(path: &std::path::Path) -> [u64; 2] {
    let bytes = std::fs::read(path).unwrap();
    let arrays = arrays(&bytes);
    ["epoch.passes", "pass.batches"].map(|name| u64::from_le_bytes(bytes[arrays[name].1.clone()].try_into().unwrap()))
}

/// Other numbers, which could be those of a training.
fn others(dtype: &str, bytes: &[u8]) -> Vec<u8> {
    let eights = || bytes.as_chunks::<8>().0.iter().copied();
    match dtype {
        "F32" => {
            let fours = bytes.as_chunks::<4>().0.iter().copied().map(f32::from_le_bytes);
            fours.flat_map(|number| (number.abs() + 0.25).to_le_bytes()).collect()
        }
        "F64" => eights().map(f64::from_le_bytes).flat_map(|number| (number + 1.0).to_le_bytes()).collect(),
        _ => eights().map(u64::from_le_bytes).flat_map(|number| (number + 1).to_le_bytes()).collect(),
    }
}

#[test]
fn every_array_is_protected_and_every_array_matters() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let mut seen = BTreeSet::new();
    for kind in [ModelKind::RecVae, ModelKind::MultVae] {
        // A seed with which one of the first epochs stays the best one.
        let of_seed = |seed: u64| {
            let changes = json!({ "epochs": 6, "learningRate": 0.1, "patience": 50, "seed": seed });
            let case = Case::new(kind, changes, true);
            let (whole, calls) = case.fit(None, u64::MAX).unwrap();
            let best = whole.record.iter().rposition(|row| row[3] == 1.0f64.to_bits()).unwrap();
            (best < 3).then_some((case, whole, calls))
        };
        let (case, whole, calls) = (1..100).find_map(of_seed).unwrap();
        let Err(Error::Cancelled) = case.fit(Some(checkpoint(&path, 1)), calls * 11 / 16) else {
            panic!("not cancelled")
        };
        assert!(place(&path)[1] > 0);
        let file = std::fs::read(&path).unwrap();
        for (name, (dtype, range)) in arrays(&file) {
            if range.is_empty() {
                continue;
            }
            let mut altered = file.clone();
            altered[range.start] ^= 1;
            std::fs::write(&path, &altered).unwrap();
            let error = case.fit(Some(checkpoint(&path, 1)), u64::MAX).unwrap_err();
            assert_eq!(error.code(), "INVALID_MODEL_FILE", "{name}: {error}");
            if name == "checksum" || name == "seconds" {
                continue;
            }
            // With a checksum that fits, another number is another result.
            altered[range.clone()].copy_from_slice(&others(&dtype, &file[range]));
            let end = altered.len() - 16;
            let mut hash = Xxh3::new();
            hash.update(&altered[..end]);
            altered[end..].copy_from_slice(&hash.digest128().to_le_bytes());
            std::fs::write(&path, &altered).unwrap();
            let outcome = case.fit(Some(checkpoint(&path, 1)), u64::MAX);
            assert!(outcome.is_err() || outcome.unwrap().0 != whole, "{kind:?}: {name} does not matter");
            seen.insert(name);
        }
        std::fs::write(&path, &file).unwrap();
        assert!(case.fit(Some(checkpoint(&path, 1)), u64::MAX).unwrap().0 == whole);
        std::fs::remove_file(&path).unwrap();
    }
    for name in
        ["old_posterior", "adam.encoder.steps", "adam.decoder.dense.second", "best.decoder.output.bias", "record"]
    {
        assert!(seen.contains(name), "{name}");
    }
}
