//! Long work while it runs: JavaScript can stop it and ask how far it is.
//!
//! The work leaves its latest progress where it is taken from, and calls nobody. So its speed does not depend on the
//! event loop, nothing piles up while that is busy, no callback can throw into the binding or keep the process alive,
//! and the last progress is still there when the work has ended. Only who asks for every epoch has them kept until they
//! are taken.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use napi::Either;
use napi_derive::napi;
use recvae_core::{Calls, Cancel, StepProgress};

use crate::lifetime::cancel_with_thread;
use crate::model::NativeProgress;
use crate::synth::NativeSynthProgress;

/// What work can report.
pub(crate) type Report = Either<NativeProgress, NativeSynthProgress>;

/// The flag that stops work: when JavaScript asks for it, and when the thread ends that began the work.
pub(crate) struct Flag {
    cancel: Cancel,
    _lasts: Arc<()>,
}

impl Deref for Flag {
    type Target = Cancel;

    fn deref(&self) -> &Cancel {
        &self.cancel
    }
}

/// How far the epoch at work is.
#[napi(object, object_from_js = false)]
pub struct NativeStep {
    /// Its number, from 1.
    pub epoch: u32,
    /// How many there will be at most.
    pub epochs: u32,
    /// The share of its steps that is done, from 0 to below 1.
    pub fraction: f64,
}

/// One piece of long work.
#[napi]
#[derive(Default)]
pub struct NativeRun {
    cancel: Cancel,
    latest: Arc<Mutex<Option<Report>>>,
    epochs: Arc<Mutex<Option<Vec<NativeProgress>>>>,
    step: Arc<Mutex<Option<StepProgress>>>,
}

#[napi]
impl NativeRun {
    /// For one call.
    #[napi(constructor, catch_unwind)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the work to stop; its promise is rejected with the code `CANCELLED` once it has.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.cancel.cancel();
        Calls::of_process().answer_cancelled();
    }

    /// The latest progress, or null if there was none since the last call.
    #[napi(catch_unwind)]
    pub fn take_progress(&self) -> Option<Either<NativeProgress, NativeSynthProgress>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// How far the epoch at work is, or null if nothing was done since the last call.
    #[napi(catch_unwind)]
    pub fn take_step(&self) -> Option<NativeStep> {
        let step = self.step.lock().unwrap_or_else(PoisonError::into_inner).take();
        step.map(|StepProgress { epoch, epochs, fraction }| NativeStep {
            epoch: epoch as u32,
            epochs: epochs as u32,
            fraction,
        })
    }

    /// Keeps every epoch from now on, for [`NativeRun::take_epochs`].
    #[napi(catch_unwind)]
    pub fn keep_epochs(&self) {
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default();
    }

    /// The epochs that ended since the last call, if they are kept.
    #[napi(catch_unwind)]
    pub fn take_epochs(&self) -> Vec<NativeProgress> {
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What the work looks at, and keeps.
    pub(crate) fn flag(&self) -> Flag {
        Flag { cancel: self.cancel.clone(), _lasts: cancel_with_thread(&self.cancel) }
    }

    /// Where the work leaves how far its epoch is.
    pub(crate) fn stepper(&self) -> impl Fn(StepProgress) + Send + Sync + 'static {
        let latest = Arc::clone(&self.step);
        move |step| *latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(step)
    }

    /// Where the work leaves its progress.
    pub(crate) fn reporter(&self) -> impl Fn(Report) + Send + Sync + 'static {
        let (latest, epochs) = (Arc::clone(&self.latest), Arc::clone(&self.epochs));
        move |report| {
            if let Either::A(epoch) = &report
                && let Some(epochs) = &mut *epochs.lock().unwrap_or_else(PoisonError::into_inner)
            {
                epochs.push(epoch.clone());
            }
            *latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
        }
    }
}
