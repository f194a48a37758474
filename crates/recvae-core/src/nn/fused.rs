//! The engine of the processor: forward and backward by hand, gradients straight into Adam, and one pool of threads.

use ndarray::ArrayViewMut2;

use super::batch::Batch;
use super::encoder::{Architecture, EncoderMemory};
use super::engine::{Engine, ItemLayer, KeptEngine};
use super::network::{Loss, Memory, Network, Optimiser, Parameter, Update};
use super::old_posterior::OldPosterior;
use super::state::State;
use crate::base::cancel::Cancel;
use crate::base::compute::{Compute, Device, EngineKind, TrainingPrecision};
use crate::base::error::Result;
use crate::base::matrix::{row_major_mut, view2};
use crate::evaluate::scorer::Scorer;
use crate::math::bf16::level;
use crate::math::csr::Csr;
use crate::math::real::Real;

/// A network with its optimiser and what a step leaves.
pub(crate) struct Fused<T> {
    pub(crate) network: Network<T>,
    pub(crate) optimiser: Optimiser<T>,
    /// For a composite prior.
    pub(crate) old: Option<OldPosterior<T>>,
    memory: Memory<T>,
    precision: TrainingPrecision,
}

impl<T: Real> Fused<T> {
    /// Of a network that nothing has happened to yet. `encoder`: what asking it for old posteriors has left.
    pub(crate) fn new(
        network: Network<T>,
        optimiser: Optimiser<T>,
        old: Option<OldPosterior<T>>,
        encoder: EncoderMemory<T>,
    ) -> Self {
        Self { network, optimiser, old, memory: Memory::with_encoder(encoder), precision: TrainingPrecision::F32 }
    }

    /// The same in a precision that this processor has.
    pub(crate) fn in_precision(mut self, precision: TrainingPrecision) -> Self {
        self.precision = precision;
        if precision == TrainingPrecision::Bf16 {
            self.memory.round(level(), &self.network);
        }
        self
    }
}

impl<T: Real> Engine<T> for Fused<T> {
    fn compute(&self) -> Compute {
        Compute { engine: EngineKind::Fused, device: Device::Cpu, precision: self.precision }
    }

    fn architecture(&self) -> Architecture {
        self.network.architecture
    }

    fn step(&mut self, batch: &mut Batch<'_, T>, update: Update, renew: bool) -> Result<Option<Loss>> {
        let Self { network, optimiser, old, memory, .. } = self;
        if let (Some(old), true) = (&*old, batch.sample.prior.is_composite()) {
            old.gather(&batch.users, &mut batch.sample.old);
        }
        let loss = network.backward(batch, update, memory);
        if loss.is_finite() {
            network.step(batch, update, memory, optimiser);
            if let (true, Some(old)) = (renew, old) {
                let shape = (batch.users.len(), network.architecture.encoded_dim());
                old.put(&batch.users, view2(&memory.encoder.posterior, shape));
            }
        }
        Ok(Some(loss))
    }

    fn renew(&mut self, train: &Csr, batch_size: usize, cancel: &Cancel) -> Result<()> {
        let Self { network, old, memory, .. } = self;
        old.as_mut().map_or(Ok(()), |old| old.renew(&network.encoder, train, batch_size, &mut memory.encoder, cancel))
    }

    fn replace_items(
        &mut self,
        layer: ItemLayer,
        replace: &mut dyn FnMut(ArrayViewMut2<'_, T>) -> Result<()>,
    ) -> Result<()> {
        let n_items = self.network.architecture.n_items;
        let (input, output) = (&mut self.network.encoder.input, &mut self.network.decoder.output);
        match layer {
            ItemLayer::EncoderInput => replace(input.weight.view2_mut((n_items, input.width))),
            ItemLayer::DecoderOutput => replace(output.weight.view2_mut((n_items, output.width))),
        }?;
        self.memory.renew_copies(&self.network);
        Ok(())
    }

    fn is_finite(&self) -> Result<bool> {
        Ok(self.network.is_finite())
    }

    fn export(&self) -> Result<Vec<Parameter<T>>> {
        Ok(self.network.export())
    }

    fn into_network(self, parameters: Option<Vec<Parameter<T>>>) -> Result<Network<T>> {
        let mut network = self.network;
        parameters.map_or(Ok(()), |parameters| network.take(parameters))?;
        Ok(network)
    }
}

impl KeptEngine for Fused<f32> {
    fn scorer(&self) -> &dyn Scorer {
        &self.network
    }

    fn state<'a>(&'a mut self, state: &mut State<'a>) {
        self.network.state(state);
        self.optimiser.state(state);
        if let Some(old) = &mut self.old {
            state.add("old_posterior", row_major_mut(old.rows_mut()));
        }
    }

    fn take_host(&mut self) -> Result<()> {
        self.memory.renew_copies(&self.network);
        Ok(())
    }
}
