//! The encoder: mean and log variance of a user's posterior from the user's history.
//!
//! Both encoders start with the sparse input layer. Mult-VAE's goes on with tanh and one linear layer to mean and log
//! variance. RecVAE's is dense: layer `k` takes the output of the layer before, adds the sum of the outputs of all layers to
//! its pre-activation, and applies swish and layer norm; two linear layers end it.
//!
//! Source: Shenbin et al., "RecVAE", WSDM 2020, section 3.1, arXiv 1912.11160, and the authors' code.

use candle_core::{Tensor, Var};

use super::batch::SparseInput;
use super::init::Init;
use super::input_layer::InputLayer;
use super::ops::{Linear, SwishLayerNorm, Tanh, tensor};
use crate::error::{Error, Result};
use crate::real::Real;

const LAYER_NORM_EPSILON: f64 = 0.1;

/// Sizes and parts of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Architecture {
    pub(crate) n_items: usize,
    pub(crate) hidden_dim: usize,
    pub(crate) latent_dim: usize,
    /// RecVAE's encoder instead of Mult-VAE's.
    pub(crate) dense_encoder: bool,
    /// Mult-VAE's decoder instead of RecVAE's.
    pub(crate) hidden_decoder: bool,
}

/// Named variables on candle's tape.
pub(super) struct Variables(pub(super) Vec<(&'static str, Var)>);

/// The names of the dense layers, so that weights are found without formatting strings.
const LAYERS: [[&str; 4]; 5] = [
    ["", "", "ln1.weight", "ln1.bias"],
    ["fc2.weight", "fc2.bias", "ln2.weight", "ln2.bias"],
    ["fc3.weight", "fc3.bias", "ln3.weight", "ln3.bias"],
    ["fc4.weight", "fc4.bias", "ln4.weight", "ln4.bias"],
    ["fc5.weight", "fc5.bias", "ln5.weight", "ln5.bias"],
];

impl Variables {
    pub(super) fn linear<T: Real>(
        &mut self,
        weight: &'static str,
        bias: &'static str,
        inputs: usize,
        outputs: usize,
        init: &mut Init,
    ) -> Result<()> {
        self.add::<T>(weight, init.weights(inputs, outputs), &[outputs, inputs])?;
        self.add::<T>(bias, init.biases(inputs, outputs), &[outputs])
    }

    pub(super) fn add<T: Real>(&mut self, name: &'static str, values: Vec<T>, shape: &[usize]) -> Result<()> {
        self.0.push((name, Var::from_tensor(&tensor(values, shape)?)?));
        Ok(())
    }

    /// A variable, on the tape or off it.
    pub(super) fn get(&self, name: &str, tracked: bool) -> Result<Tensor> {
        let (_, var) = self
            .0
            .iter()
            .find(|(other, _)| *other == name)
            .ok_or_else(|| Error::Internal(format!("no parameter '{name}'")))?;
        Ok(if tracked { var.as_tensor().clone() } else { var.as_detached_tensor() })
    }
}

pub(crate) struct Encoder<T> {
    architecture: Architecture,
    pub(crate) input: InputLayer<T>,
    pub(super) variables: Variables,
}

impl<T: Real> Encoder<T> {
    pub(crate) fn new(architecture: Architecture, init: &mut Init) -> Result<Self> {
        let Architecture { n_items, hidden_dim, latent_dim, .. } = architecture;
        let input = InputLayer::new(n_items, hidden_dim, init);
        let mut variables = Variables(vec![]);
        if architecture.dense_encoder {
            for [weight, bias, norm_weight, norm_bias] in LAYERS {
                if !weight.is_empty() {
                    variables.linear::<T>(weight, bias, hidden_dim, hidden_dim, init)?;
                }
                variables.add(norm_weight, vec![T::ONE; hidden_dim], &[hidden_dim])?;
                variables.add(norm_bias, vec![T::ZERO; hidden_dim], &[hidden_dim])?;
            }
            variables.linear::<T>("fc_mu.weight", "fc_mu.bias", hidden_dim, latent_dim, init)?;
            variables.linear::<T>("fc_logvar.weight", "fc_logvar.bias", hidden_dim, latent_dim, init)?;
        } else {
            variables.linear::<T>("q1.weight", "q1.bias", hidden_dim, 2 * latent_dim, init)?;
        }
        Ok(Self { architecture, input, variables })
    }

    /// Mean and log variance from what the input layer gave, shape `(batch, hidden)`.
    pub(super) fn posterior(&self, hidden: &Tensor, tracked: bool) -> Result<(Tensor, Tensor)> {
        let get = |name| self.variables.get(name, tracked);
        let linear = |x: &Tensor, weight, bias| Ok::<_, Error>(Linear::<T>::apply(x, &get(weight)?, &get(bias)?)?);
        if !self.architecture.dense_encoder {
            let latent = self.architecture.latent_dim;
            let both = linear(&Tanh::<T>::apply(hidden)?, "q1.weight", "q1.bias")?;
            let half = |from| Ok::<_, Error>(both.narrow(1, from, latent)?.contiguous()?);
            return Ok((half(0)?, half(latent)?));
        }
        let activate = |x: &Tensor, layer: [&'static str; 4]| {
            Ok::<_, Error>(SwishLayerNorm::<T>::apply(x, &get(layer[2])?, &get(layer[3])?, LAYER_NORM_EPSILON)?)
        };
        let mut output = activate(hidden, LAYERS[0])?;
        let mut sum = output.clone();
        for (depth, layer) in LAYERS.into_iter().enumerate().skip(1) {
            output = activate(&(linear(&output, layer[0], layer[1])? + &sum)?, layer)?;
            if depth + 1 < LAYERS.len() {
                sum = (sum + &output)?;
            }
        }
        Ok((linear(&output, "fc_mu.weight", "fc_mu.bias")?, linear(&output, "fc_logvar.weight", "fc_logvar.bias")?))
    }

    /// Mean and log variance off the tape.
    pub(crate) fn encode(&self, input: &SparseInput<T>) -> Result<(Tensor, Tensor)> {
        let hidden = tensor(self.input.forward(input), &[input.n_rows(), self.architecture.hidden_dim])?;
        self.posterior(&hidden, false)
    }
}
