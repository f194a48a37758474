//! The keeper of a checkpoint: it writes what a training is and where it stands, and brings it back.
//!
//! What the training is (model, options, data, ids, what it began with) stands in the file too, and a training that
//! differs is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::base::atomic_file::remove_leftovers;
use crate::base::compute::{Compute, EngineKind, TrainingPrecision};
use crate::base::error::{Error, Result};
use crate::base::progress::Progress;
use crate::math::csr::Csr;
use crate::model::ModelKind;
use crate::nn::network::Parameter;
use crate::nn::state::State;
use crate::split::fingerprint::describe;
use crate::split::parts::HeldOut;
use crate::train::checkpoint::{Checkpoint, CheckpointOptions};
use crate::train::epoch_log::{Best, EpochLog, Ongoing};
use crate::train::run::FitRun;

mod file;
#[cfg(test)]
mod tests;

use file::Found;
pub(crate) use file::METADATA_KEY;

/// Version of what a checkpoint holds and of what training makes of it.
const FORMAT: u64 = 1;

/// A training that can be kept.
pub(crate) trait Resumable {
    /// Which engine it runs on, and where.
    fn compute(&self) -> Compute;

    /// Whether its loss has a KL term.
    fn has_kl(&self) -> bool;

    /// Brings what [`Resumable::state`] names up to date, where it is not what is trained.
    fn to_host(&mut self) -> Result<()> {
        Ok(())
    }

    /// Lets go of copies that [`Resumable::to_host`] has made.
    fn drop_host(&mut self) {}

    /// Goes on from what [`Resumable::state`] names, likewise.
    fn take_host(&mut self) -> Result<()> {
        Ok(())
    }

    /// Everything that it goes on from, besides the record and the best parameters.
    fn state<'a>(&'a mut self, ongoing: &'a mut Ongoing) -> State<'a>;

    /// Epochs, passes of the epoch at work and batches of the pass at work that are done.
    fn done(&self, log: &EpochLog) -> [u64; 3];

    /// A copy of every parameter.
    fn export(&self) -> Result<Vec<Parameter<f32>>>;
}

/// What an engine other than the processor's own, and a precision other than f32, are called among the words of a
/// training.
const ENGINE: &str = "engine";
const PRECISION: &str = "precision";

/// What a training is, in words: two trainings of the same words are one and the same.
type Identity = BTreeMap<String, String>;

/// Keeps a training, and has what it goes on from.
pub(crate) struct Keeper {
    path: PathBuf,
    every_epochs: usize,
    identity: Identity,
    found: Option<Found>,
    /// Epochs, passes and batches in the file.
    saved: Option<[u64; 3]>,
}

impl Keeper {
    /// What `run` asks for. `free` names the options that may change on the way.
    pub(crate) fn open(
        run: &FitRun<'_>,
        kind: ModelKind,
        options: &Value,
        free: &[&str],
        train: &Csr,
        validation: Option<&HeldOut>,
    ) -> Result<Option<Self>> {
        let Some(Checkpoint { path, options: CheckpointOptions { every_epochs, resume }, ids }) = &run.checkpoint
        else {
            return Ok(None);
        };
        let mut identity = Identity::from([("model".to_owned(), kind.name().to_owned())]);
        for (name, value) in options.as_object().into_iter().flatten() {
            if !free.contains(&name.as_str()) {
                identity.insert(format!("option {name}"), value.to_string());
            }
        }
        identity.insert("training data".into(), describe(&[train], &[]));
        if let Some(held_out) = validation {
            let text = describe(&[held_out.input(), held_out.target()], &[held_out.users()]);
            identity.insert("validation data".into(), text);
        }
        if let Some([users, items]) = ids {
            identity.insert("ids of the training users".into(), describe(&[], &[users]));
            identity.insert("ids of the items".into(), describe(&[], &[items]));
        }
        // Bits differ from one engine or precision to another.
        if run.compute.engine != EngineKind::Fused {
            identity.insert(ENGINE.into(), run.compute.engine.word().into());
        }
        if run.compute.precision != TrainingPrecision::F32 {
            identity.insert(PRECISION.into(), run.compute.precision.word().into());
        }
        if let Some(from) = &run.from {
            identity.insert("from".into(), from.describe()?);
        }
        remove_leftovers(path);
        let mut keeper = Self { path: path.clone(), every_epochs: *every_epochs, identity, found: None, saved: None };
        if *resume && let Some(found) = Found::open(path)? {
            keeper.compare(&found)?;
            keeper.found = Some(found);
        }
        Ok(Some(keeper))
    }

    /// Fails unless the file is one of this training.
    fn compare(&self, found: &Found) -> Result<()> {
        let metadata = metadata(found)?;
        let there: Identity = serde_json::from_value(metadata["training"].clone())
            .map_err(|e| found.bad(format!("its metadata cannot be understood ({e})")))?;
        let labels: BTreeSet<_> = self.identity.keys().chain(there.keys()).collect();
        let absent = |label: &str| match label {
            ENGINE => EngineKind::Fused.word(),
            PRECISION => TrainingPrecision::F32.word(),
            _ => "none",
        };
        let text =
            |identity: &Identity, label: &str| identity.get(label).map_or(absent(label), String::as_str).to_owned();
        let differences: Vec<_> = labels
            .into_iter()
            .filter(|&label| self.identity.get(label) != there.get(label))
            .map(|label| format!("{label}: {} there, {} now", text(&there, label), text(&self.identity, label)))
            .collect();
        if differences.is_empty() {
            return Ok(());
        }
        Err(Error::invalid_argument(
            format!("checkpoint '{}'", self.path.display()),
            format!("one of another training ({})", differences.join("; ")),
            "one of the same model, options, data and model to begin with (from), or a path where nothing is",
        ))
    }

    /// Puts the training where the checkpoint was written, if there is one.
    pub(crate) fn restore(&mut self, training: &mut impl Resumable, log: &mut EpochLog, epochs: usize) -> Result<()> {
        let Some(found) = self.found.take() else { return Ok(()) };
        let metadata = metadata(&found)?;
        let n_epochs = metadata["epochs"].as_u64().unwrap_or_default();
        if n_epochs > found.length / size_of::<Row>() as u64 {
            return Err(found.bad("it has more epochs than bytes"));
        }
        let mut rows = vec![[0.0; 5]; n_epochs as usize];
        if metadata["best"] == true {
            log.best = Some(Best { metric: 0.0, epoch: 0, parameters: training.export()? });
        }
        let EpochLog { best, ongoing, .. } = log;
        found.read(add_history(training.state(ongoing), best.as_mut(), &mut rows))?;
        training.take_host()?;
        let compute = training.compute();
        let progress = |(epoch, row)| Progress { compute: Some(compute), ..from_row(row, epoch, epochs) };
        log.record = (1..).zip(rows).map(progress).collect();
        let [ended, passes, batches] = training.done(log);
        let begun = ended + u64::from(passes > 0 || batches > 0);
        if (epochs as u64) < begun {
            let allowed = format!("{begun} or more, which the checkpoint '{}' has begun", self.path.display());
            return Err(Error::invalid_argument("epochs", epochs, allowed));
        }
        self.saved = Some([ended, passes, batches]);
        Ok(())
    }

    /// Whether it is to be written after that many epochs.
    pub(crate) fn is_due(&self, epochs: usize) -> bool {
        epochs.is_multiple_of(self.every_epochs)
    }

    /// Writes the checkpoint, unless it is there.
    pub(crate) fn save(&mut self, training: &mut impl Resumable, log: &mut EpochLog) -> Result<()> {
        let done = training.done(log);
        if self.saved == Some(done) {
            return Ok(());
        }
        training.to_host()?;
        let EpochLog { record, best, ongoing } = log;
        let metadata = json!({
            "format": FORMAT, "training": self.identity, "epochs": record.len(), "best": best.is_some(),
        });
        let mut rows: Vec<Row> = record.iter().map(to_row).collect();
        let state = add_history(training.state(ongoing), best.as_mut(), &mut rows);
        let written = file::write(&self.path, &metadata.to_string(), state);
        // The steps that follow are estimated without them.
        training.drop_host();
        written?;
        self.saved = Some(done);
        Ok(())
    }
}

fn metadata(found: &Found) -> Result<Value> {
    let metadata: Value =
        serde_json::from_str(&found.metadata).map_err(|e| found.bad(format!("its metadata are not JSON: {e}")))?;
    match &metadata["format"] {
        format if *format == FORMAT => Ok(metadata),
        format => Err(found.bad(format!("its format version is {format}; allowed: {FORMAT}"))),
    }
}

/// Adds the record and the best parameters.
fn add_history<'a>(
    mut state: State<'a>,
    best: Option<&'a mut Best<Vec<Parameter<f32>>>>,
    rows: &'a mut [Row],
) -> State<'a> {
    if let Some(Best { metric, epoch, parameters }) = best {
        state.add("best.metric", metric);
        state.add("best.epoch", epoch);
        for parameter in parameters {
            state.add(format!("best.{}", parameter.name), parameter.values_mut());
        }
    }
    state.add("record", rows.as_flattened_mut());
    state
}

/// An epoch of the record: log-likelihood, KL term, validation or NaN, whether it was the best, seconds.
type Row = [f64; 5];

fn to_row(progress: &Progress) -> Row {
    let Progress { log_likelihood, kl, validation, best, seconds, .. } = *progress;
    let [log_likelihood, kl, validation] = [log_likelihood, kl, validation].map(|value| value.unwrap_or(f64::NAN));
    [log_likelihood, kl, validation, f64::from(u8::from(best)), seconds]
}

fn from_row([log_likelihood, kl, validation, best, seconds]: Row, epoch: usize, epochs: usize) -> Progress {
    let [log_likelihood, kl, validation] =
        [log_likelihood, kl, validation].map(|value| Some(value).filter(|value| !value.is_nan()));
    Progress {
        epoch,
        epochs,
        log_likelihood,
        kl,
        loss: None,
        validation,
        best: best != 0.0,
        seconds,
        fraction: None,
        compute: None,
    }
}
