//! Interruptions wherever training looks whether it was cancelled.

use serde_json::json;
use xxhash_rust::xxh3::Xxh3;

use super::*;
use crate::base::cancel::Cancel;
use crate::base::random::Stream;
use crate::base::threads::Threads;
use crate::model::{Fit, NamedTensor, TensorData};

/// What training gives, in bits.
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
    precision: TrainingPrecision,
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
        if kind == ModelKind::MultDae {
            options.as_object_mut().unwrap().remove("hiddenDim");
        }
        let validation = || {
            let pick = |odd| -> Vec<Vec<u32>> {
                let all = histories(30, 2);
                all.rows().map(|row| row.iter().copied().filter(|item| (item % 2 == 1) == odd).collect()).collect()
            };
            let users = (0..30).map(|user| user.to_string()).collect();
            HeldOut::new(users, Csr::from_rows(pick(false), 60).unwrap(), Csr::from_rows(pick(true), 60).unwrap())
                .unwrap()
        };
        let precision = TrainingPrecision::F32;
        Self { kind, options, train: histories(110, 1), validation: validated.then(validation), precision }
    }

    /// Cancelled when it looks that often whether it is; also says how often it looked.
    fn fit(&self, checkpoint: Option<Checkpoint<'static>>, looks: usize) -> Result<(Outcome, usize)> {
        let compute = Compute { precision: self.precision, ..Compute::default() };
        let run = FitRun { checkpoint, compute, cancel: Cancel::at_look(looks), ..FitRun::default() };
        let Fit { model, epochs } = self.kind.fit(&self.options, &self.train, self.validation.as_ref(), &run)?;
        let bits = |tensor: NamedTensor<'_>| match tensor.data {
            TensorData::F32(values) => values.iter().map(|value| value.to_bits()).collect(),
            _ => panic!("{} is not f32", tensor.name),
        };
        let record = epochs.iter().map(|progress| {
            let [rest @ .., _] = to_row(progress);
            rest.map(f64::to_bits)
        });
        let outcome =
            Outcome { parameters: model.tensors()?.into_iter().map(bits).collect(), record: record.collect() };
        Ok((outcome, run.cancel.looks()))
    }
}

/// No look has that number.
const NEVER: usize = 0;

fn checkpoint(path: &std::path::Path, every_epochs: usize) -> Checkpoint<'static> {
    Checkpoint { path: path.to_owned(), options: CheckpointOptions { every_epochs, resume: true }, ids: None }
}

#[test]
fn interrupted_anywhere_it_comes_to_the_same_bits() {
    use ModelKind::{HVamp, MultDae, MultVae, RecVae};
    use TrainingPrecision::{Bf16, F32};
    let folder = tempfile::tempdir().unwrap();
    let mut random = Stream::new(7, 0);
    let (mut within_pass, mut between_passes, mut between) = (0, 0, 0);
    for (kind, changes, validated, precision) in [
        (RecVae, json!({}), true, F32),
        (RecVae, json!({}), false, F32),
        (RecVae, json!({ "prior": "standard" }), true, F32),
        (RecVae, json!({ "training": "joint" }), true, F32),
        (RecVae, json!({ "encoder": "shallow", "decoderPasses": 2 }), false, F32),
        (RecVae, json!({ "implicitSlim": true, "slimEvery": 2, "slimLambda": 5 }), true, F32),
        (RecVae, json!({ "implicitSlim": true, "slimEvery": 1, "slimAlpha": 0.1, "training": "joint" }), false, F32),
        (RecVae, json!({ "klWeight": "constant", "dropoutRate": 0 }), true, F32),
        (RecVae, json!({ "epochs": 60, "patience": 2, "learningRate": 0.05 }), true, F32),
        (MultDae, json!({ "lambda": 0.5 }), true, F32),
        (MultDae, json!({}), false, F32),
        (MultDae, json!({}), true, Bf16),
        (MultVae, json!({}), true, Bf16),
        (RecVae, json!({}), true, Bf16),
        (RecVae, json!({ "implicitSlim": true, "slimEvery": 2, "slimLambda": 5 }), true, Bf16),
        (MultVae, json!({}), true, F32),
        (MultVae, json!({}), false, F32),
        (MultVae, json!({ "epochs": 60, "patience": 2, "annealing": 0, "learningRate": 0.05 }), true, F32),
        (HVamp, json!({ "pseudoUsers": 4, "warmUp": 3 }), true, F32),
        (HVamp, json!({ "pseudoUsers": 4, "likelihood": "bernoulli" }), false, F32),
        (HVamp, json!({ "pseudoUsers": 4, "warmUp": 2, "epochs": 60, "patience": 2, "learningRate": 0.05 }), true, F32),
    ] {
        let case = Case { precision, ..Case::new(kind, changes, validated) };
        let (whole, looks) = case.fit(None, NEVER).unwrap();
        assert!(case.options["epochs"] != 60 || whole.record.len() < 60, "patience was to end it");
        let path = folder.path().join("checkpoint");
        let (mut threads, mut tries) = (1, 0);
        let resumed = loop {
            threads = 3 - threads;
            tries += 1;
            assert!(
                tries < 3000,
                "it never ends: {kind:?} {} {precision:?} {looks}, at {:?}",
                case.options,
                place(&path)
            );
            // Enough to get over the 10 looks at which the old posteriors of joint training begin anew.
            let look = 1 + random.below(12.max(looks as u64 / 8)) as usize;
            let pool = Threads::new(Some(threads)).unwrap();
            match pool.install(|| case.fit(Some(checkpoint(&path, 2)), look)) {
                Ok((resumed, _)) => break resumed,
                Err(Error::Cancelled) => {}
                Err(error) => panic!("{error}"),
            }
            match place(&path) {
                Some([0, 0]) | None => between += 1,
                Some([_, 0]) => between_passes += 1,
                Some(_) => within_pass += 1,
            }
        };
        assert!(resumed == whole, "{kind:?} {}", case.options);
        // Now it has ended, and gives the same again with no more than the first old posterior to be computed.
        let (again, looks) = case.fit(Some(checkpoint(&path, 2)), NEVER).unwrap();
        assert!(again == whole && looks < 8, "{looks} looks");
        std::fs::remove_file(&path).unwrap();
    }
    assert!(within_pass > 50 && between_passes > 5 && between > 5, "{within_pass} {between_passes} {between}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no temporary files");
}

/// Also where bf16 is there by the plain form alone, which nobody but a test can ask for.
#[test]
fn a_checkpoint_of_another_precision_is_refused() {
    use TrainingPrecision::{Bf16, F32};
    let folder = tempfile::tempdir().unwrap();
    for (there, now) in [(F32, Bf16), (Bf16, F32)] {
        let path = folder.path().join(there.word());
        let in_precision = |precision| Case { precision, ..Case::new(ModelKind::RecVae, json!({}), false) };
        in_precision(there).fit(Some(checkpoint(&path, 2)), NEVER).unwrap();
        let error = in_precision(now).fit(Some(checkpoint(&path, 2)), NEVER).unwrap_err().to_string();
        assert!(error.contains(&format!("(precision: {} there, {} now)", there.word(), now.word())), "{error}");
    }
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

/// Passes of the epoch and batches of the pass that are done, where a checkpoint is.
fn place(path: &std::path::Path) -> Option<[u64; 2]> {
    let bytes = std::fs::read(path).ok()?;
    let arrays = arrays(&bytes);
    // An epoch of H+Vamp is one pass.
    let number = |name: &str| {
        arrays.get(name).map_or(0, |(_, range)| u64::from_le_bytes(bytes[range.clone()].try_into().unwrap()))
    };
    Some(["epoch.passes", "pass.batches"].map(number))
}

/// Other numbers, which could be those of a training.
fn others(dtype: &str, bytes: &[u8]) -> Vec<u8> {
    let eights = || bytes.as_chunks::<8>().0.iter().copied();
    match dtype {
        "F32" => {
            let fours = bytes.as_chunks::<4>().0.iter().copied().map(f32::from_le_bytes);
            fours.flat_map(|number| (number.abs() + 0.25).to_le_bytes()).collect()
        }
        "F64" => eights().map(f64::from_le_bytes).flat_map(|number| (number - 1.0).to_le_bytes()).collect(),
        _ => eights().map(u64::from_le_bytes).flat_map(|number| (number + 1).to_le_bytes()).collect(),
    }
}

#[test]
fn every_array_is_protected_and_every_array_matters() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let (mut all, mut matter) = (BTreeSet::new(), BTreeSet::new());
    for kind in [ModelKind::RecVae, ModelKind::MultVae, ModelKind::HVamp] {
        // A seed with which one of the first epochs stays the best one, until patience ends training.
        let of_seed = |seed: u64| {
            let changes = json!({ "epochs": 30, "learningRate": 0.1, "patience": 3, "seed": seed });
            let mut case = Case::new(kind, changes, true);
            if kind == ModelKind::MultVae {
                case.options["epochs"] = 12.into(); // beta grows until epoch 6
            }
            if kind == ModelKind::HVamp {
                (case.options["pseudoUsers"], case.options["warmUp"]) = (4.into(), 2.into());
            }
            let (whole, looks) = case.fit(None, NEVER).unwrap();
            let best = whole.record.iter().rposition(|row| row[3] == 1.0f64.to_bits()).unwrap();
            (best < 3).then_some((case, whole, looks))
        };
        let (case, whole, looks) = (1..100).find_map(of_seed).unwrap();
        // In passes of either kind, and in the last evaluation.
        for look in (looks / 2..looks).step_by(3).chain([looks]) {
            let Err(Error::Cancelled) = case.fit(Some(checkpoint(&path, 1)), look) else { panic!("not cancelled") };
            let file = std::fs::read(&path).unwrap();
            for (name, (dtype, range)) in arrays(&file) {
                if range.is_empty() {
                    continue;
                }
                let mut altered = file.clone();
                altered[range.start] ^= 1;
                std::fs::write(&path, &altered).unwrap();
                let error = case.fit(Some(checkpoint(&path, 1)), NEVER).unwrap_err();
                assert_eq!(error.code(), "INVALID_MODEL_FILE", "{name}: {error}");
                if name == "checksum" || name == "seconds" || matter.contains(&name) {
                    continue;
                }
                // With a checksum that fits, other numbers give another result.
                altered[range.clone()].copy_from_slice(&others(&dtype, &file[range]));
                let (bytes, checksum) = altered.split_last_chunk_mut::<16>().unwrap();
                let mut hash = Xxh3::new();
                hash.update(bytes);
                *checksum = hash.digest128().to_le_bytes();
                std::fs::write(&path, &altered).unwrap();
                if !matches!(case.fit(Some(checkpoint(&path, 1)), NEVER), Ok((outcome, _)) if outcome == whole) {
                    matter.insert(name.clone());
                }
                all.insert(name);
            }
            std::fs::write(&path, &file).unwrap();
            assert!(case.fit(Some(checkpoint(&path, 1)), NEVER).unwrap().0 == whole);
            std::fs::remove_file(&path).unwrap();
        }
    }
    // One model or the other needs it: steps are what beta grows with, and only RecVAE has old posteriors.
    assert_eq!(all.difference(&matter).collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(matter.len() > 40, "{matter:?}");
}
