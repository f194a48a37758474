//! What a trained RecVAE and a trained Mult-VAE have in common: all but the training.

use serde_json::Value;

use super::{Model, ModelKind, NamedTensor, Scorer, TensorData, TensorSource, check_scores};
use crate::error::Result;
use crate::nn::network::{Architecture, Network};

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
    Ok(Box::new(Vae::new(kind, options, Network::load(architecture, tensors)?)))
}

impl Scorer for Network<f32> {
    fn n_items(&self) -> usize {
        self.architecture.n_items
    }

    fn score(&self, histories: &[&[u32]], scores: &mut [f32]) -> Result<()> {
        check_scores(histories, self.n_items(), scores)?;
        self.logits(histories, scores)
    }
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
        let tensor = |(name, shape, values): (String, Vec<usize>, Vec<f32>)| NamedTensor {
            name,
            shape,
            data: TensorData::F32(values.into()),
        };
        Ok(self.network.export()?.into_iter().map(tensor).collect())
    }
}
