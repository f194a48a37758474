//! The seam between a training and the arithmetic that carries it out.
//!
//! A training decides which users are in a batch, what dropout leaves of their histories, what noise is drawn and which
//! parameters a step updates. An engine has the parameters, Adam's moments and the old posteriors, on whatever device,
//! and makes steps. The seam lies at the step and not at the tensor operation, so that an engine can let gradients flow
//! into Adam without storing them, as [`Fused`](super::fused::Fused) does.

use ndarray::ArrayViewMut2;

use super::batch::Batch;
use super::encoder::Architecture;
use super::network::{Loss, Network, Parameter, Update};
use super::state::State;
use crate::base::cancel::Cancel;
use crate::base::compute::Compute;
use crate::base::error::Result;
use crate::evaluate::scorer::Scorer;
use crate::math::csr::Csr;
use crate::math::real::Real;

/// A layer that has a row of weights for each item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ItemLayer {
    EncoderInput,
    DecoderOutput,
}

impl ItemLayer {
    /// The name of its weights, shape `(n_items, width)`.
    #[cfg_attr(not(feature = "candle"), allow(dead_code))]
    pub(crate) fn weight(self) -> &'static str {
        match self {
            Self::EncoderInput => "encoder.input.weight",
            Self::DecoderOutput => "decoder.output.weight",
        }
    }
}

/// Parameters in training, with all that a step changes.
pub(crate) trait Engine<T: Real>: Send {
    /// Which engine it is, and where it computes.
    fn compute(&self) -> Compute;

    /// Sizes and parts of the network.
    fn architecture(&self) -> Architecture;

    /// Whether it draws dropout and noise itself, given a batch's [`Draw`](super::batch::Draw).
    fn draws(&self) -> bool {
        false
    }

    /// One step of Adam on the batch's loss, and that loss if it is known already; one that is known and not finite
    /// changes nothing. With `renew` the posteriors that the step computes become the old ones of the batch's users.
    fn step(&mut self, batch: &mut Batch<'_, T>, update: Update, renew: bool) -> Result<Option<Loss>>;

    /// The losses of steps that were not known, in their order, each once: `all` of them, or those that are worth being
    /// fetched.
    fn losses(&mut self, all: bool) -> Result<Vec<Loss>> {
        let _ = all;
        Ok(vec![])
    }

    /// The posterior of every user's clean history becomes the old one, if there are old ones.
    fn renew(&mut self, train: &Csr, batch_size: usize, cancel: &Cancel) -> Result<()>;

    /// Lets `replace` overwrite the weights of a layer, shape `(n_items, width)`; Adam's moments stay.
    fn replace_items(
        &mut self,
        layer: ItemLayer,
        replace: &mut dyn FnMut(ArrayViewMut2<'_, T>) -> Result<()>,
    ) -> Result<()>;

    /// Whether every parameter is a finite number.
    fn is_finite(&self) -> Result<bool>;

    /// A copy of every parameter, in a fixed order.
    fn export(&self) -> Result<Vec<Parameter<T>>>;

    /// The network as it is, or with other parameters.
    fn into_network(self, parameters: Option<Vec<Parameter<T>>>) -> Result<Network<T>>;
}

/// An engine whose training can be kept in a checkpoint, and whose network is evaluated between epochs.
pub(crate) trait KeptEngine: Engine<f32> {
    /// The network as it is, to be evaluated.
    fn scorer(&self) -> &dyn Scorer;

    /// Everything that training goes on from, as arrays of the host.
    fn state<'a>(&'a mut self, state: &mut State<'a>);

    /// Brings the arrays of [`KeptEngine::state`] up to date, where they are not where the engine computes.
    fn to_host(&mut self) -> Result<()> {
        Ok(())
    }

    /// Lets go of those arrays, where they are copies.
    fn drop_host(&mut self) {}

    /// Goes on from those arrays.
    fn take_host(&mut self) -> Result<()> {
        Ok(())
    }
}
