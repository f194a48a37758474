//! How a fit runs and what it begins with, as opposed to what it is to find.

use crate::base::cancel::Cancel;
use crate::base::compute::{Compute, Device, EngineKind, TrainingPrecision};
use crate::base::memory::MemoryEstimate;
use crate::base::progress::{OnProgress, OnStep};
use crate::base::steps::Steps;
#[cfg(feature = "candle")]
use crate::math::linalg::panels;
use crate::model::ModelKind;
use crate::train::checkpoint::Checkpoint;
use crate::train::fit_shape::FitShape;
use crate::train::warm_start::WarmStart;

/// How a fit runs and what it begins with, as opposed to what it is to find.
#[derive(Clone)]
pub struct FitRun<'a> {
    /// Hears of every epoch, or of how far a closed form is.
    pub on_progress: OnProgress<'a>,
    /// Hears of every step of an epoch.
    pub on_step: OnStep<'a>,
    /// Stops it.
    pub cancel: Cancel,
    /// Where training is kept on its way, so that it can go on after the process has ended. Models without epochs
    /// refuse it.
    pub checkpoint: Option<Checkpoint<'a>>,
    /// Bytes that it may take beyond the data; `None` for what is free.
    pub memory_limit: Option<u64>,
    /// Which engine trains RecVAE, Mult-VAE, Mult-DAE and H+Vamp, where, and in what precision; and where the matrix of
    /// EASE^R and its kin is inverted.
    pub compute: Compute,
    /// Whether the processor does it where a GPU has no memory for it, as the device `auto` means.
    pub or_processor: bool,
    /// What RecVAE, Mult-VAE, Mult-DAE and H+Vamp begin with instead of random parameters.
    pub from: Option<WarmStart<'a>>,
}

impl Default for FitRun<'_> {
    fn default() -> Self {
        Self {
            on_progress: &|_| {},
            on_step: &|_| {},
            cancel: Cancel::default(),
            checkpoint: None,
            memory_limit: None,
            compute: Compute::default(),
            or_processor: false,
            from: None,
        }
    }
}

impl FitRun<'_> {
    /// The estimate of a fit by the engine and in the precision that are asked for, from that of the processor's own in
    /// f32.
    pub(crate) fn with_engine(
        &self,
        kind: ModelKind,
        estimate: MemoryEstimate,
        #[cfg_attr(not(feature = "candle"), allow(unused_variables))] shape: &FitShape<'_>,
    ) -> MemoryEstimate {
        match self.compute.engine {
            // What goes to a GPU at a time is little beside the threads' matrices.
            EngineKind::Candle if kind == ModelKind::Als => estimate,
            #[cfg(feature = "candle")]
            EngineKind::Candle if !kind.has_engines() => {
                let all = estimate.fit().saturating_add(panels::bytes_on_host(shape.items) as u64);
                estimate.with_moment("rows on their way to the GPU and back", all)
            }
            EngineKind::Fused if self.compute.precision == TrainingPrecision::Bf16 => {
                // Weights have two copies of two bytes a number, but for the layer that reads histories.
                let copies = estimate.model;
                let all = estimate.fit().saturating_add(copies);
                estimate.with_moment("copies of the weights in bf16", all)
            }
            EngineKind::Fused => estimate,
            EngineKind::Candle => {
                let all = estimate.fit_by_candle();
                estimate.with_moment("temporary tensors of candle", all)
            }
        }
    }

    /// The steps of a closed form, all of which is `work`; that it has begun is told at once.
    pub(crate) fn steps(&self, work: f64) -> Steps<'_> {
        let elsewhere = (self.compute.device != Device::Cpu).then_some(self.compute);
        Steps::told(self.on_progress, &self.cancel, elsewhere, work)
    }
}
