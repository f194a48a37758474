//! Checkpoints: training on its way in a file, from which it goes on to the very same bytes.
//!
//! All noise is a function of seed, pass and user, so what has to be kept are numbers: parameters, Adam's moments and
//! steps, old posteriors, counters of passes, steps and batches, sums of losses, the best parameters so far, the record
//! of epochs. It is written after every few epochs and at the end of training; and where training is cancelled, after
//! the step at work: the live numbers are the state, so nothing is held twice in memory, and nothing of the epoch is
//! lost.
//!
//! What the training is (model, options, data, ids, what it began with) stands in the file too, and a training that
//! differs is refused.

use std::path::PathBuf;

use crate::base::atomic_file::check_writable;
use crate::base::error::{Error, Result};
use crate::base::options::{Options, options};
use crate::data::ids::Ids;
use crate::model::ModelKind;

options! {
    /// How a checkpoint is kept.
    pub struct CheckpointOptions for "checkpoint" {
        /// Epochs after which the checkpoint is written again; it is also written when training is cancelled and when
        /// it ends.
        every_epochs: usize = 1, AtLeast(1.0);
        /// Whether training goes on from the checkpoint that is there; it must be one of the same model, options and
        /// data. Where none is, training begins at its beginning. Without it, a file that is there is refused.
        resume: bool = false, Any;
    }
}

/// Where and how training is kept on its way. One training at a time may use a path.
#[derive(Clone, Debug)]
pub struct Checkpoint<'a> {
    /// The file. It stays after the end of training, so that nothing is lost until the model is safe: who called
    /// removes it then. A training that had ended gives its result again at once.
    pub path: PathBuf,
    /// How it is kept.
    pub options: CheckpointOptions,
    /// Ids of the training users and of the items, which belong to the data that a checkpoint is one of.
    pub ids: Option<[&'a Ids; 2]>,
}

impl Checkpoint<'_> {
    /// Whether a fit of that model can begin with this checkpoint, as far as that can be said without the data.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for options, for a model that has none, and for a file that is there and not to be gone on
    /// from; `IO` if it could not be written.
    pub fn check(&self, kind: ModelKind) -> Result<()> {
        // Options that were not read from JSON have not been checked yet.
        let CheckpointOptions { resume, .. } = self.options.checked()?;
        let path = self.path.display();
        if self.path.file_name().is_none() {
            return Err(Error::invalid_argument("path of the checkpoint", format!("'{path}'"), "that of a file"));
        }
        if !kind.has_checkpoints() {
            let names: Vec<_> =
                ModelKind::ALL.iter().filter(|kind| kind.has_checkpoints()).map(|kind| kind.name()).collect();
            let got = format!("'{path}' for {}, which is trained too fast to need one", kind.name());
            return Err(Error::invalid_argument("checkpoint", got, format!("for {}", names.join(", "))));
        }
        if !resume && self.path.symlink_metadata().is_ok() {
            let allowed = "a path where nothing is, or resume to go on from what is there";
            return Err(Error::invalid_argument("checkpoint", format!("'{path}', which is there already"), allowed));
        }
        check_writable(&self.path)
    }
}
