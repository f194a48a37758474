//! What a trained RecVAE and a trained Mult-VAE have in common: all but the training.

use serde_json::Value;

use super::tensors::numbers;
use super::{Model, ModelKind, NamedTensor, TensorData, TensorSource};
use crate::error::{Error, Result};
use crate::memory::check_memory;
use crate::nn::encoder::Architecture;
use crate::nn::init::Init;
use crate::nn::network::{Network, Parameter};
use crate::scorer::Scorer;

/// A trained autoencoder.
pub(super) struct Vae {
    kind: ModelKind,
    options: Value,
    network: Network<f32>,
}

impl Vae {
    pub(super) fn new(kind: ModelKind, options: Value, network: Network<f32>) -> Self {
        Self { kind, options, network }
    }
}

pub(super) fn load(
    kind: ModelKind,
    options: Value,
    architecture: Architecture,
    tensors: &dyn TensorSource,
) -> Result<Box<dyn Model>> {
    let needed = 4 * architecture.n_parameters();
    // Before the network is there: options can claim any size, and the file has only so much.
    if let Some(found) = tensors.n_bytes().filter(|&found| found < needed) {
        let message = format!(
            "its options need {needed} bytes of parameters for {} items, and it has {found}",
            architecture.n_items
        );
        return Err(Error::invalid_data(message));
    }
    check_memory("the model", needed)?;
    let mut network = Network::new(architecture, &mut Init::zeros());
    network.import(|name, shape| numbers::<f32>(tensors, name, shape))?;
    Ok(Box::new(Vae::new(kind, options, network)))
}

impl Scorer for Vae {
    fn n_items(&self) -> usize {
        self.network.n_items()
    }

    fn score(&self, histories: &[&[u32]], scores: &mut [f32]) -> Result<()> {
        self.network.score(histories, scores)
    }
}

impl Model for Vae {
    fn kind(&self) -> ModelKind {
        self.kind
    }

    fn options(&self) -> Value {
        self.options.clone()
    }

    fn tensors(&self) -> Result<Vec<NamedTensor<'_>>> {
        let tensor = |Parameter { name, shape, values }: Parameter<f32>| NamedTensor {
            name,
            shape,
            data: TensorData::F32(values.into()),
        };
        Ok(self.network.export().into_iter().map(tensor).collect())
    }

    /// Without the copies that [`Self::tensors`] makes.
    fn bytes(&self) -> usize {
        size_of::<f32>() * self.network.architecture.n_parameters() as usize
    }
}
