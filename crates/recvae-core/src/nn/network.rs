//! The network of RecVAE and Mult-VAE: sparse input layer, dense encoder, Gaussian sample, decoder, multinomial output.
//!
//! With `batch` users, `hidden_dim` and `latent_dim`: history -> input layer -> `(batch, hidden)` -> encoder -> mean and
//! log variance, `(batch, latent)` each -> sample `z = mean + exp(log variance / 2) * noise` -> decoder -> output layer.
//!
//! | part | RecVAE | Mult-VAE |
//! | --- | --- | --- |
//! | encoder | 5 layers; each layer's pre-activation is added to the sum of all earlier outputs; swish, layer norm | one tanh layer |
//! | decoder | linear | one tanh layer, then linear |

use std::sync::Mutex;

use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor, Var};

use super::adam::{AdamOp, AdamStep, Moments};
use super::batch::SparseInput;
use super::encoder::{Architecture, Encoder, Variables};
use super::init::Init;
use super::input_layer::InputMoments;
use super::ops::{CompositeKl, Known, Linear, StandardKl, Tanh, tensor, values};
use super::output_layer::{LogLikelihood, OutputLayer, OutputMoments, Want};
use crate::error::{Error, Result};
use crate::real::Real;
use crate::scorer::{Scorer, check_scores};

pub(crate) struct Decoder<T> {
    hidden: Variables,
    pub(crate) output: OutputLayer<T>,
}

impl<T: Real> Decoder<T> {
    fn new(architecture: Architecture, init: &mut Init) -> Result<Self> {
        let Architecture { n_items, hidden_dim, latent_dim, hidden_decoder, .. } = architecture;
        let mut hidden = Variables(vec![]);
        if hidden_decoder {
            hidden.linear::<T>("p0.weight", "p0.bias", latent_dim, hidden_dim, init)?;
        }
        let width = if hidden_decoder { hidden_dim } else { latent_dim };
        Ok(Self { hidden, output: OutputLayer::new(n_items, width, init) })
    }

    /// What the output layer takes, from a latent vector.
    fn hidden(&self, z: &Tensor, tracked: bool) -> Result<Tensor> {
        if self.hidden.0.is_empty() {
            return Ok(z.clone());
        }
        let (weight, bias) = (self.hidden.get("p0.weight", tracked)?, self.hidden.get("p0.bias", tracked)?);
        Ok(Tanh::<T>::apply(&Linear::<T>::apply(z, &weight, &bias)?)?)
    }
}

pub(crate) struct Network<T> {
    pub(crate) architecture: Architecture,
    pub(crate) encoder: Encoder<T>,
    pub(crate) decoder: Decoder<T>,
}

/// A parameter outside the network.
pub(crate) struct Parameter<T> {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    /// Row-major.
    pub(crate) values: Vec<T>,
}

/// Which parameters a step updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Update {
    Encoder,
    Decoder,
    Both,
}

/// What the posterior is pulled to.
pub(crate) enum Prior<T> {
    /// N(0, I), by the analytic KL term.
    Standard,
    /// RecVAE's mixture, by the sample that is decoded.
    Composite(CompositeKl<T>),
}

/// Users of one step with their noise.
pub(crate) struct Batch<'a, T> {
    /// What is to be reconstructed.
    pub(crate) histories: Vec<&'a [u32]>,
    pub(crate) input: SparseInput<T>,
    /// Standard normal numbers, shape `(batch, latent)`.
    pub(crate) noise: Vec<T>,
}

/// Loss and gradients of a batch.
pub(crate) struct Backward<T> {
    /// Mean log-likelihood per user.
    pub(crate) log_likelihood: f64,
    /// Mean weighted KL term per user; 0 where the encoder is not updated.
    pub(crate) kl: f64,
    /// Posterior of the batch.
    pub(crate) mean: Tensor,
    pub(crate) log_variance: Tensor,
    update: Update,
    gradients: Option<GradStore>,
    input_hidden: Tensor,
    output_hidden: Vec<T>,
}

impl<T: Real> Network<T> {
    pub(crate) fn new(architecture: Architecture, init: &mut Init) -> Result<Self> {
        Ok(Self {
            architecture,
            encoder: Encoder::new(architecture, init)?,
            decoder: Decoder::new(architecture, init)?,
        })
    }

    /// The loss, mean over the batch of weighted KL term minus log-likelihood, and what its gradient needs. The encoder's
    /// part is computed only if the encoder is updated, the output layer's only if the decoder is.
    pub(crate) fn backward(
        &self,
        batch: &Batch<'_, T>,
        kl_weights: Vec<T>,
        prior: Prior<T>,
        update: Update,
        memory: &mut LogLikelihood<T>,
    ) -> Result<Backward<T>> {
        let Architecture { hidden_dim, latent_dim, hidden_decoder, .. } = self.architecture;
        let size = batch.histories.len();
        let (update_encoder, update_decoder) = (update != Update::Decoder, update != Update::Encoder);
        let input_hidden = tensor(self.encoder.input.forward(&batch.input), &[size, hidden_dim])?;
        let input_hidden = if update_encoder { Var::from_tensor(&input_hidden)?.into_inner() } else { input_hidden };
        let (mean, log_variance) = self.encoder.posterior(&input_hidden, update_encoder)?;
        let deviation = log_variance.affine(0.5, 0.0)?.exp()?;
        let z = (&mean + (deviation * tensor(batch.noise.clone(), &[size, latent_dim])?)?)?;
        let hidden = self.decoder.hidden(&z, update_decoder)?;
        let output_hidden = values::<T>(&hidden)?;
        let want = Want { hidden_gradient: update_encoder || hidden_decoder, weight_gradient: update_decoder };
        self.decoder.output.log_likelihood(&output_hidden, &batch.histories, want, memory);
        let log_likelihood = memory.value.iter().map(|value| value.to_f64()).sum::<f64>() / size as f64;
        let mut kl = 0.0;
        let mut gradients = None;
        if want.hidden_gradient {
            let value = Known::apply(&hidden, memory.value.clone(), memory.hidden_gradient.clone())?;
            let mut loss = value.mean_all()?.neg()?;
            if update_encoder {
                let term = match prior {
                    Prior::Standard => StandardKl::<T>::apply(&mean, &log_variance)?,
                    Prior::Composite(composite) => composite.apply(&mean, &log_variance, &z)?,
                };
                let term = (term * tensor(kl_weights, &[size])?)?.mean_all()?;
                kl = term.to_dtype(DType::F64)?.to_scalar::<f64>()?;
                loss = (loss + term)?;
            }
            gradients = Some(loss.backward()?);
        }
        let (mean, log_variance) = (mean.detach(), log_variance.detach());
        Ok(Backward { log_likelihood, kl, mean, log_variance, update, gradients, input_hidden, output_hidden })
    }

    /// One Adam step by the gradients of a batch.
    pub(crate) fn step(
        &mut self,
        batch: &Batch<'_, T>,
        backward: Backward<T>,
        memory: &LogLikelihood<T>,
        optimiser: &mut Optimiser<T>,
    ) -> Result<()> {
        let Backward { update, gradients, input_hidden, output_hidden, .. } = backward;
        let step_all = |variables: &Variables, moments: &[Mutex<Moments<T>>], step| {
            let missing = || Error::Internal("a parameter has no gradient".into());
            let gradients = gradients.as_ref().ok_or_else(missing)?;
            for ((_, var), moments) in variables.0.iter().zip(moments) {
                let gradient = gradients.get(var).ok_or_else(missing)?;
                var.as_tensor().inplace_op2(&gradient.contiguous()?, &AdamOp(step, moments))?;
            }
            Ok::<_, Error>(())
        };
        if update != Update::Decoder {
            optimiser.encoder_steps += 1;
            let step = AdamStep::new(optimiser.learning_rate, optimiser.encoder_steps);
            step_all(&self.encoder.variables, &optimiser.encoder, step)?;
            let hidden_gradient = self.input_gradient(gradients.as_ref(), &input_hidden)?;
            self.encoder.input.step(&batch.input, &hidden_gradient, &mut optimiser.input, step);
        }
        if update != Update::Encoder {
            optimiser.decoder_steps += 1;
            let step = AdamStep::new(optimiser.learning_rate, optimiser.decoder_steps);
            if !self.decoder.hidden.0.is_empty() {
                step_all(&self.decoder.hidden, &optimiser.decoder, step)?;
            }
            self.decoder.output.step(&output_hidden, &batch.histories, memory, &mut optimiser.output, step);
        }
        Ok(())
    }

    /// The gradient with respect to what the input layer gave.
    fn input_gradient(&self, gradients: Option<&GradStore>, input_hidden: &Tensor) -> Result<Vec<T>> {
        let gradient = gradients
            .and_then(|gradients| gradients.get(input_hidden))
            .ok_or_else(|| Error::Internal("the input layer has no gradient".into()))?;
        Ok(values(gradient)?)
    }

    /// Scores of a block of users: the logits at the mean of the posterior, shape `(users, n_items)`.
    pub(crate) fn logits(&self, histories: &[&[u32]], out: &mut [T]) -> Result<()> {
        let (mean, _) = self.encoder.encode(&SparseInput::clean(histories.iter().copied()))?;
        self.decoder.output.logits(&values::<T>(&self.decoder.hidden(&mean, false)?)?, out);
        Ok(())
    }

    /// A copy of every parameter, in a fixed order.
    pub(crate) fn export(&self) -> Result<Vec<Parameter<T>>> {
        let Architecture { n_items, hidden_dim, .. } = self.architecture;
        let (input, output) = (&self.encoder.input, &self.decoder.output);
        let parameter = |name: &str, shape: &[usize], values: Vec<T>| Parameter {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values,
        };
        let mut all = vec![
            parameter("encoder.input.weight", &[n_items, hidden_dim], input.weight.clone()),
            parameter("encoder.input.bias", &[hidden_dim], input.bias.clone()),
            parameter("decoder.output.weight", &[n_items, output.width], output.weight.clone()),
            parameter("decoder.output.bias", &[n_items], output.bias.clone()),
        ];
        for (part, variables) in [("encoder", &self.encoder.variables), ("decoder", &self.decoder.hidden)] {
            for (name, var) in &variables.0 {
                all.push(parameter(&format!("{part}.{name}"), var.dims(), values(var)?));
            }
        }
        Ok(all)
    }

    /// Overwrites every parameter by what `read` has under its name and shape.
    pub(crate) fn import(&mut self, mut read: impl FnMut(&str, &[usize]) -> Result<Vec<T>>) -> Result<()> {
        for Parameter { name, shape, .. } in self.export()? {
            let values = read(&name, &shape)?;
            match name.as_str() {
                "encoder.input.weight" => self.encoder.input.weight = values,
                "encoder.input.bias" => self.encoder.input.bias = values,
                "decoder.output.weight" => self.decoder.output.weight = values,
                "decoder.output.bias" => self.decoder.output.bias = values,
                _ => {
                    let (part, name) = name.split_once('.').unwrap_or_default();
                    let variables = if part == "encoder" { &self.encoder.variables } else { &self.decoder.hidden };
                    let found = variables.0.iter().find(|(other, _)| *other == name);
                    let (_, var) = found.ok_or_else(|| Error::Internal(format!("no parameter '{name}'")))?;
                    var.set(&tensor(values, &shape)?)?;
                }
            }
        }
        Ok(())
    }
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

/// Adam's state for all parameters of a network.
pub(crate) struct Optimiser<T> {
    learning_rate: f64,
    encoder_steps: u64,
    decoder_steps: u64,
    input: InputMoments<T>,
    encoder: Vec<Mutex<Moments<T>>>,
    decoder: Vec<Mutex<Moments<T>>>,
    output: OutputMoments<T>,
}

impl<T: Real> Optimiser<T> {
    pub(crate) fn new(network: &Network<T>, learning_rate: f64) -> Self {
        let moments = |variables: &Variables| {
            variables.0.iter().map(|(_, var)| Mutex::new(Moments::zeros(var.elem_count()))).collect()
        };
        Self {
            learning_rate,
            encoder_steps: 0,
            decoder_steps: 0,
            input: InputMoments::zeros(&network.encoder.input),
            encoder: moments(&network.encoder.variables),
            decoder: moments(&network.decoder.hidden),
            output: OutputMoments::zeros(&network.decoder.output),
        }
    }
}

#[cfg(test)]
impl<T: Real> Network<T> {
    /// The gradient of every parameter that the update reaches, by its name.
    pub(crate) fn gradients(
        &self,
        batch: &Batch<'_, T>,
        backward: &Backward<T>,
        memory: &LogLikelihood<T>,
    ) -> std::collections::BTreeMap<String, Vec<T>> {
        let mut all = std::collections::BTreeMap::new();
        let mut add_all = |part: &str, variables: &Variables| {
            for (name, var) in &variables.0 {
                let gradients = backward.gradients.as_ref().unwrap();
                let gradient = gradients.get(var).unwrap_or_else(|| panic!("{part}.{name} has no gradient"));
                all.insert(format!("{part}.{name}"), values(gradient).unwrap());
            }
        };
        if backward.update != Update::Decoder {
            add_all("encoder", &self.encoder.variables);
        }
        if backward.update != Update::Encoder {
            add_all("decoder", &self.decoder.hidden);
        }
        if backward.update != Update::Decoder {
            let hidden = self.input_gradient(backward.gradients.as_ref(), &backward.input_hidden).unwrap();
            let (weight, bias) = self.encoder.input.gradients(&batch.input, &hidden);
            all.insert("encoder.input.weight".into(), weight);
            all.insert("encoder.input.bias".into(), bias);
        }
        if backward.update != Update::Encoder {
            let (weight, bias) = self.decoder.output.gradients(&backward.output_hidden, &batch.histories, memory);
            all.insert("decoder.output.weight".into(), weight);
            all.insert("decoder.output.bias".into(), bias);
        }
        all
    }
}
