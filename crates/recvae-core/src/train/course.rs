//! The course of a training, apart from the network: what has happened, where it stands and when it ends.

use crate::base::error::Result;
use crate::base::progress::Progress;
use crate::nn::engine::Engine;
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

/// The network at its best.
pub(crate) struct Best {
    pub(crate) metric: f64,
    pub(crate) epoch: u64,
    pub(crate) parameters: Vec<Parameter<f32>>,
}

/// What has happened in training, and where it stands, apart from the network.
#[derive(Default)]
pub(crate) struct Course {
    pub(crate) record: Vec<Progress>,
    pub(crate) best: Option<Best>,
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

impl Course {
    /// Whether the epochs or the patience are used up.
    pub(crate) fn is_over(&self, schedule: Schedule) -> bool {
        let epoch = self.record.len();
        let waited = |best: &Best| epoch.saturating_sub(schedule.warm_up.max(best.epoch as usize));
        epoch >= schedule.epochs || self.best.as_ref().is_some_and(|best| waited(best) >= schedule.patience)
    }

    /// Takes an epoch into the record, and its network if that is the best one.
    pub(crate) fn end_epoch(
        &mut self,
        metric: Option<f64>,
        engine: &impl Engine<f32>,
        schedule: Schedule,
    ) -> Result<()> {
        let epoch = self.record.len() + 1;
        let is_best = match (metric, &self.best) {
            (Some(metric), Some(best)) => metric > best.metric,
            _ => true,
        };
        if let (Some(metric), true) = (metric, is_best) {
            drop(self.best.take()); // not two of them at once
            self.best = Some(Best { metric, epoch: epoch as u64, parameters: engine.export()? });
        }
        let seconds = self.ongoing.seconds;
        let Ongoing { log_likelihood, kl, kl_passes, .. } =
            std::mem::replace(&mut self.ongoing, Ongoing { seconds, ..Ongoing::default() });
        self.record.push(Progress {
            epoch,
            epochs: schedule.epochs,
            log_likelihood: Some(log_likelihood),
            kl: engine.architecture().posterior.then(|| kl / kl_passes.max(1) as f64),
            loss: None,
            validation: metric,
            best: is_best,
            seconds,
            fraction: None,
            compute: Some(engine.compute()),
        });
        Ok(())
    }
}
