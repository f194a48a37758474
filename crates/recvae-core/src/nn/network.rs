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
use candle_core::{Tensor, Var};

use super::adam::{AdamOp, AdamStep, Moments};
use super::batch::SparseInput;
use super::decoder::{Decoder, join_last_column, split_last_column};
use super::encoder::{Architecture, Encoder};
use super::init::Init;
use super::input_layer::InputMoments;
use super::ops::{Loss, Prior, Sample, tensor, values, with_values};
use super::output_layer::{LogLikelihood, OutputMoments, Want};
use super::parameters::Places;
use crate::error::{Error, Result};
use crate::real::Real;
use crate::scorer::{Scorer, check_scores};

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

/// Users of one step with their noise.
pub(crate) struct Batch<'a, T> {
    /// What is to be reconstructed.
    pub(crate) histories: &'a [&'a [u32]],
    pub(crate) input: &'a SparseInput<T>,
    /// Standard normal numbers, shape `(batch, latent)`.
    pub(crate) noise: Vec<T>,
    /// Weight of each user's KL term.
    pub(crate) kl_weights: Vec<T>,
}

/// Loss and gradients of a batch.
pub(crate) struct Backward<T> {
    /// Mean log-likelihood per user.
    pub(crate) log_likelihood: f64,
    /// Mean weighted KL term per user; 0 with [`Prior::Free`].
    pub(crate) kl: f64,
    /// Mean and log variance of the batch, side by side, shape `(batch, 2 latent)`.
    pub(crate) posterior: Tensor,
    update: Update,
    /// Where anything but the output layer is updated.
    gradients: Option<GradStore>,
    input_hidden: Tensor,
    output_hidden: Vec<T>,
}

impl<T: Real> Network<T> {
    pub(crate) fn new(architecture: Architecture, init: &mut Init) -> Result<Self> {
        let (encoder, decoder) = (Encoder::new(architecture, init)?, Decoder::new(architecture, init)?);
        Ok(Self { architecture, encoder, decoder })
    }

    /// The loss, mean over the batch of weighted KL term minus log-likelihood, and what its gradient needs. The encoder's
    /// part is computed only if the encoder is updated, the output layer's only if the decoder is.
    pub(crate) fn backward(
        &self,
        batch: Batch<'_, T>,
        prior: Prior<T>,
        update: Update,
        memory: &mut LogLikelihood<T>,
    ) -> Result<Backward<T>> {
        let Batch { histories, input, noise, kl_weights } = batch;
        let size = histories.len();
        let want = Want {
            hidden_gradient: update != Update::Decoder || self.decoder.hidden.is_some(),
            weight_gradient: update != Update::Encoder,
        };
        let input_hidden = tensor(self.encoder.input.forward(input), &[size, self.architecture.hidden_dim])?;
        let input_hidden = Var::from_tensor(&input_hidden)?.into_inner();
        let mut posterior = self.encoder.posterior(&input_hidden)?;
        if update == Update::Decoder {
            posterior = posterior.detach();
        }
        let z = Sample { noise, kl_weights, prior }.apply(&posterior)?;
        let rows = self.decoder.hidden(&z)?;
        let width = self.decoder.output.width;
        let (output_hidden, kl) = with_values(&rows, |rows: &[T]| Ok(split_last_column(rows, width + 1)))?;
        self.decoder.output.log_likelihood(&output_hidden, histories, want, memory);
        let mean = |values: &[T]| values.iter().map(|value| value.to_f64()).sum::<f64>() / size as f64;
        let (log_likelihood, kl) = (mean(&memory.value), mean(&kl));
        let mut gradients = None;
        if want.hidden_gradient {
            let share = T::of(1.0 / size as f64);
            let mut gradient = join_last_column(&memory.hidden_gradient, &vec![-T::ONE; size]);
            gradient.iter_mut().for_each(|value| *value *= -share);
            let loss = Loss { value: T::of(kl - log_likelihood), gradient }.apply(&rows)?;
            gradients = Some(loss.backward()?);
        }
        let posterior = posterior.detach();
        Ok(Backward { log_likelihood, kl, posterior, update, gradients, input_hidden, output_hidden })
    }

    /// One Adam step by the gradients of a batch, whose histories and input are given again.
    pub(crate) fn step(
        &mut self,
        histories: &[&[u32]],
        input: &SparseInput<T>,
        backward: Backward<T>,
        memory: &LogLikelihood<T>,
        optimiser: &mut Optimiser<T>,
    ) -> Result<()> {
        let step_var = |var: &Var, moments: &Mutex<Moments<T>>, step| {
            let gradient = backward.gradient(var)?;
            Ok::<_, Error>(var.as_tensor().inplace_op2(gradient, &AdamOp(step, moments))?)
        };
        if backward.update != Update::Decoder {
            optimiser.encoder_steps += 1;
            let step = AdamStep::new(optimiser.learning_rate, optimiser.encoder_steps);
            step_var(&self.encoder.dense, &optimiser.encoder, step)?;
            with_values(backward.gradient(&backward.input_hidden)?, |gradient| {
                self.encoder.input.step(input, gradient, &mut optimiser.input, step);
                Ok(())
            })?;
        }
        if backward.update != Update::Encoder {
            optimiser.decoder_steps += 1;
            let step = AdamStep::new(optimiser.learning_rate, optimiser.decoder_steps);
            if let (Some(hidden), Some(moments)) = (&self.decoder.hidden, &optimiser.decoder) {
                step_var(&hidden.dense, moments, step)?;
            }
            self.decoder.output.step(&backward.output_hidden, histories, memory, &mut optimiser.output, step);
        }
        Ok(())
    }

    /// Scores of a block of users: the logits at the mean of the posterior, shape `(users, n_items)`.
    pub(crate) fn logits(&self, histories: &[&[u32]], out: &mut [T]) -> Result<()> {
        let latent = self.architecture.latent_dim;
        let posterior = self.encoder.encode(&SparseInput::clean(histories.iter().copied()))?;
        let means: Vec<T> = posterior.chunks_exact(2 * latent).flat_map(|row| &row[..latent]).copied().collect();
        self.decoder.logits(&means, out)
    }

    /// The flat parameters with their places.
    fn flat(&self) -> impl Iterator<Item = (&'static str, &Places, &Var)> {
        let encoder = ("encoder", &self.encoder.layers.places, &self.encoder.dense);
        let decoder = self.decoder.hidden.iter().map(|hidden| ("decoder", &hidden.places, &hidden.dense));
        std::iter::once(encoder).chain(decoder)
    }

    /// A copy of every parameter, in a fixed order.
    pub(crate) fn export(&self) -> Result<Vec<Parameter<T>>> {
        let Architecture { n_items, hidden_dim, .. } = self.architecture;
        let (input, output) = (&self.encoder.input, &self.decoder.output);
        let parameter = |name: &str, shape: &[usize], values: &[T]| Parameter {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values: values.to_vec(),
        };
        let mut all = vec![
            parameter("encoder.input.weight", &[n_items, hidden_dim], &input.weight),
            parameter("encoder.input.bias", &[hidden_dim], &input.bias),
            parameter("decoder.output.weight", &[n_items, output.width], &output.weight),
            parameter("decoder.output.bias", &[n_items], &output.bias),
        ];
        for (part, places, var) in self.flat() {
            let values: Vec<T> = values(var)?;
            all.extend(
                places.iter().map(|(name, shape, place)| parameter(&format!("{part}.{name}"), shape, &values[place])),
            );
        }
        Ok(all)
    }

    /// Overwrites every parameter by what `read` has under its name and shape.
    pub(crate) fn import(&mut self, mut read: impl FnMut(&str, &[usize]) -> Result<Vec<T>>) -> Result<()> {
        let Architecture { n_items, hidden_dim, .. } = self.architecture;
        let width = self.decoder.output.width;
        self.encoder.input.weight = read("encoder.input.weight", &[n_items, hidden_dim])?;
        self.encoder.input.bias = read("encoder.input.bias", &[hidden_dim])?;
        self.decoder.output.weight = read("decoder.output.weight", &[n_items, width])?;
        self.decoder.output.bias = read("decoder.output.bias", &[n_items])?;
        for (part, places, var) in self.flat() {
            let mut flat = Vec::with_capacity(places.len());
            for (name, shape, _) in places.iter() {
                flat.extend(read(&format!("{part}.{name}"), shape)?);
            }
            var.set(&tensor(flat, &[places.len()])?)?;
        }
        Ok(())
    }
}

impl<T: Real> Backward<T> {
    fn gradient(&self, of: &Tensor) -> Result<&Tensor> {
        let gradient = self.gradients.as_ref().and_then(|gradients| gradients.get(of));
        gradient.ok_or_else(|| Error::Internal("a parameter has no gradient".into()))
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
    encoder: Mutex<Moments<T>>,
    decoder: Option<Mutex<Moments<T>>>,
    output: OutputMoments<T>,
}

impl<T: Real> Optimiser<T> {
    pub(crate) fn new(network: &Network<T>, learning_rate: f64) -> Self {
        let moments = |var: &Var| Mutex::new(Moments::zeros(var.elem_count()));
        Self {
            learning_rate,
            encoder_steps: 0,
            decoder_steps: 0,
            input: InputMoments::zeros(&network.encoder.input),
            encoder: moments(&network.encoder.dense),
            decoder: network.decoder.hidden.as_ref().map(|hidden| moments(&hidden.dense)),
            output: OutputMoments::zeros(&network.decoder.output),
        }
    }
}

#[cfg(test)]
impl<T: Real> Network<T> {
    /// The gradient of every parameter that the update reaches, by its name.
    pub(crate) fn gradients(
        &self,
        histories: &[&[u32]],
        input: &SparseInput<T>,
        backward: &Backward<T>,
        memory: &LogLikelihood<T>,
    ) -> std::collections::BTreeMap<String, Vec<T>> {
        let mut all = std::collections::BTreeMap::new();
        let (encoder, decoder) = (backward.update != Update::Decoder, backward.update != Update::Encoder);
        for (part, places, var) in self.flat().filter(|(part, ..)| if *part == "encoder" { encoder } else { decoder }) {
            let flat: Vec<T> = values(backward.gradient(var).unwrap()).unwrap();
            all.extend(places.iter().map(|(name, _, place)| (format!("{part}.{name}"), flat[place].to_vec())));
        }
        if encoder {
            let hidden: Vec<T> = values(backward.gradient(&backward.input_hidden).unwrap()).unwrap();
            let (weight, bias) = self.encoder.input.gradients(input, &hidden);
            all.insert("encoder.input.weight".into(), weight);
            all.insert("encoder.input.bias".into(), bias);
        }
        if decoder {
            let (weight, bias) = self.decoder.output.gradients(&backward.output_hidden, histories, memory);
            all.insert("decoder.output.weight".into(), weight);
            all.insert("decoder.output.bias".into(), bias);
        }
        all
    }
}
