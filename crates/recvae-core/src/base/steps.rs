//! How far a closed form has come: it has no epochs, so the share of its work that is done is told.
//!
//! Work is stopped and told of at the same places, between its steps, so both go through one value. Work is counted in
//! seconds of a core, as `costs.rs` has them, for parts of different kinds to add up.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::base::cancel::Cancel;
use crate::base::compute::Compute;
use crate::base::error::Result;
use crate::base::progress::{OnProgress, Progress};

/// A fit reports as many times at most, after the beginning.
const REPORTS: f64 = 200.0;

/// The steps of a piece of work.
pub(crate) struct Steps<'a> {
    cancel: &'a Cancel,
    told: Option<Told<'a>>,
}

/// Who is told, and what.
struct Told<'a> {
    on_progress: OnProgress<'a>,
    /// Where it is computed, unless that is the processor as it always is.
    compute: Option<Compute>,
    start: Instant,
    at: Mutex<At>,
}

/// How far it is.
#[derive(Clone, Copy)]
struct At {
    /// The share that was done when `left` was last known, the work since then, and all the work from then on.
    before: f64,
    done: f64,
    left: f64,
    /// The number of the last report.
    report: f64,
}

impl At {
    fn fraction(&self) -> f64 {
        self.before + (1.0 - self.before) * (self.done / self.left.max(f64::MIN_POSITIVE)).min(1.0)
    }
}

impl<'a> Steps<'a> {
    /// Nobody is told.
    pub(crate) fn silent(cancel: &'a Cancel) -> Self {
        Self { cancel, told: None }
    }

    /// Somebody is told of them, all of which is `work`; that it has begun is told at once.
    pub(crate) fn told(on_progress: OnProgress<'a>, cancel: &'a Cancel, compute: Option<Compute>, work: f64) -> Self {
        let at = At { before: 0.0, done: 0.0, left: work, report: 0.0 };
        let told = Told { on_progress, compute, start: Instant::now(), at: Mutex::new(at) };
        told.tell(0.0);
        Self { cancel, told: Some(told) }
    }

    /// The flag that stops it.
    pub(crate) fn cancel(&self) -> &'a Cancel {
        self.cancel
    }

    /// For `?` between the steps.
    ///
    /// # Errors
    /// `CANCELLED` if it was asked to stop.
    pub(crate) fn check(&self) -> Result<()> {
        self.cancel.check()
    }

    /// So much work is done, on any thread. The end is told by [`Steps::end`] alone.
    pub(crate) fn did(&self, work: f64) {
        let Some(told) = &self.told else { return };
        let mut at = told.at.lock().unwrap_or_else(PoisonError::into_inner);
        at.done += work;
        let (fraction, last) = (at.fraction(), at.report);
        let report = (fraction * REPORTS).floor();
        if report > last && report < REPORTS {
            at.report = report;
            // Under the lock, so that reports come in their order.
            told.tell(fraction);
        }
    }

    /// What is left is `work`, now that it is known better.
    pub(crate) fn left(&self, work: f64) {
        let Some(told) = &self.told else { return };
        let mut at = told.at.lock().unwrap_or_else(PoisonError::into_inner);
        // Not at the end before the end: estimates of the first part may have been too small.
        let before = at.fraction().min(1.0 - 1.0 / REPORTS);
        *at = At { before, done: 0.0, left: work, report: at.report };
    }

    /// So much of the work turned out to be needless.
    pub(crate) fn saved(&self, work: f64) {
        let Some(told) = &self.told else { return };
        let rest = {
            let at = told.at.lock().unwrap_or_else(PoisonError::into_inner);
            at.left - at.done - work
        };
        self.left(rest);
    }

    /// All is done.
    pub(crate) fn end(&self) {
        self.told.iter().for_each(|told| told.tell(1.0));
    }
}

impl Told<'_> {
    fn tell(&self, fraction: f64) {
        (self.on_progress)(&Progress {
            epoch: 0,
            epochs: 0,
            log_likelihood: None,
            kl: None,
            loss: None,
            validation: None,
            best: false,
            seconds: self.start.elapsed().as_secs_f64(),
            fraction: Some(fraction),
            compute: self.compute,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(work: impl FnOnce(&Steps<'_>)) -> Vec<f64> {
        let seen = Mutex::new(vec![]);
        let on_progress = |progress: &Progress| seen.lock().unwrap().push(progress.fraction.unwrap());
        work(&Steps::told(&on_progress, &Cancel::default(), None, 1000.0));
        seen.into_inner().unwrap()
    }

    #[test]
    fn many_steps_are_few_reports() {
        let seen = told(|steps| {
            (0..100_000).for_each(|_| steps.did(0.01));
            steps.end();
        });
        assert_eq!((seen[0], seen[seen.len() - 1], seen.len()), (0.0, 1.0, 201));
        assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
    }

    #[test]
    fn needless_work_is_no_jump() {
        let seen = told(|steps| {
            (0..10).for_each(|_| steps.did(10.0));
            steps.saved(700.0);
            (0..20).for_each(|_| steps.did(10.0));
            steps.end();
        });
        assert!(seen.windows(2).all(|pair| pair[1] > pair[0] && pair[1] - pair[0] < 0.051), "{seen:?}");
    }

    #[test]
    fn work_that_was_guessed_wrong_still_ends_at_1_once() {
        // A tenth of what was thought, and ten times as much.
        for (work, left) in [(100.0, 50.0), (10_000.0, 90_000.0)] {
            let seen = told(|steps| {
                (0..100).for_each(|_| steps.did(work / 100.0));
                steps.left(left);
                (0..100).for_each(|_| steps.did(left / 50.0));
                steps.end();
            });
            assert!(seen.is_sorted_by(|a, b| a <= b), "{seen:?}");
            assert_eq!(seen.iter().filter(|&&fraction| fraction == 1.0).count(), 1, "{seen:?}");
        }
    }
}
