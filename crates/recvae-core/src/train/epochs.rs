//! The epochs of a network's training, one after the other, until they or the patience are used up; with a checkpoint,
//! if one is kept.

use std::time::Instant;

use crate::base::error::{Error, Result};
use crate::base::progress::Progress;
use crate::train::epoch_log::{EpochLog, Ongoing, Schedule};
use crate::train::keeper::{Keeper, Resumable};
use crate::train::run::FitRun;

/// Trains until it is over, and gives back the record of all epochs and the best parameters. `epoch` does what is left
/// of the epoch at work, adds its losses to what is ongoing, and gives its validation metric. `keeper` has what was
/// done before, and keeps what is done now.
pub(crate) fn run_epochs<T: Resumable>(
    training: &mut T,
    schedule: Schedule,
    run: &FitRun<'_>,
    mut keeper: Option<Keeper>,
    mut epoch: impl FnMut(&mut T, &mut EpochLog) -> Result<Option<f64>>,
) -> Result<EpochLog> {
    let start = Instant::now();
    let mut log = EpochLog::default();
    if let Some(keeper) = &mut keeper {
        keeper.restore(training, &mut log, schedule.epochs)?;
    }
    let before = log.ongoing.seconds;
    while !log.is_over(schedule) {
        let ended = epoch(training, &mut log);
        log.ongoing.seconds = before + start.elapsed().as_secs_f64();
        if let (Err(Error::Cancelled), Some(keeper)) = (&ended, &mut keeper) {
            keeper.save(training, &mut log)?;
        }
        let metric = ended?;
        let told = log.ongoing.end(training);
        log.end_epoch(metric, told, schedule, || training.export())?;
        if let Some(keeper) = &mut keeper
            && (keeper.is_due(log.record.len()) || log.is_over(schedule))
        {
            keeper.save(training, &mut log)?;
        }
        (run.on_progress)(&log.record[log.record.len() - 1]);
    }
    Ok(log)
}

impl Ongoing {
    /// What there is to tell of the epoch that ends here; the next one begins.
    fn end(&mut self, training: &impl Resumable) -> Progress {
        let seconds = self.seconds;
        let Self { log_likelihood, kl, kl_passes, .. } = std::mem::replace(self, Self { seconds, ..Self::default() });
        Progress {
            log_likelihood: Some(log_likelihood),
            kl: training.has_kl().then(|| kl / kl_passes.max(1) as f64),
            seconds,
            compute: Some(training.compute()),
            ..Progress::default()
        }
    }
}
