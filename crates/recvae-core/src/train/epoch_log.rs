//! The epochs of a training, apart from its parameters: which have ended, which was the best, and when it is over.

use crate::base::error::Result;
use crate::base::progress::Progress;
use crate::nn::network::Parameter;

/// When training ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(crate) epochs: usize,
    /// Epochs without a better validation metric after which training stops.
    pub(crate) patience: usize,
    /// Epochs at the beginning that patience does not count.
    pub(crate) warm_up: usize,
}

/// The parameters at their best.
pub(crate) struct Best<P> {
    pub(crate) metric: f64,
    pub(crate) epoch: u64,
    pub(crate) parameters: P,
}

/// What has happened in the training of parameters `P`, those of a network unless said otherwise, and where it stands.
#[derive(Default)]
pub(crate) struct EpochLog<P = Vec<Parameter<f32>>> {
    pub(crate) record: Vec<Progress>,
    pub(crate) best: Option<Best<P>>,
    pub(crate) ongoing: Ongoing,
}

/// How far the epoch at work has come, pass by pass.
#[derive(Default)]
pub(crate) struct Ongoing {
    /// Passes that are done, the log-likelihood of the last one, and the sum of the KL terms over those that have one.
    pub(crate) passes: u64,
    pub(crate) log_likelihood: f64,
    pub(crate) kl: f64,
    pub(crate) kl_passes: u64,
    /// Seconds of all training so far.
    pub(crate) seconds: f64,
}

impl<P> EpochLog<P> {
    /// Whether the epochs or the patience are used up.
    pub(crate) fn is_over(&self, schedule: Schedule) -> bool {
        let epoch = self.record.len();
        let waited = |best: &Best<P>| epoch.saturating_sub(schedule.warm_up.max(best.epoch as usize));
        epoch >= schedule.epochs || self.best.as_ref().is_some_and(|best| waited(best) >= schedule.patience)
    }

    /// Takes an epoch into the record, and a copy of its parameters if they are the best ones. `told`: the losses, the
    /// seconds and the engine of the epoch; all else follows from the log.
    pub(crate) fn end_epoch(
        &mut self,
        metric: Option<f64>,
        told: Progress,
        schedule: Schedule,
        copy: impl FnOnce() -> Result<P>,
    ) -> Result<()> {
        let epoch = self.record.len() + 1;
        let is_best = match (metric, &self.best) {
            (Some(metric), Some(best)) => metric > best.metric,
            _ => true,
        };
        if let (Some(metric), true) = (metric, is_best) {
            drop(self.best.take()); // not two of them at once
            self.best = Some(Best { metric, epoch: epoch as u64, parameters: copy()? });
        }
        self.record.push(Progress { epoch, epochs: schedule.epochs, validation: metric, best: is_best, ..told });
        Ok(())
    }
}
