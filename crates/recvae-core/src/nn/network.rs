//! The network of RecVAE and Mult-VAE: sparse input layer, dense encoder, Gaussian sample, decoder, multinomial output.
//!
//! With `batch` users, `hidden_dim` and `latent_dim`: history -> input layer -> `(batch, hidden)` -> encoder -> mean and
//! log variance, `(batch, latent)` each -> sample `z = mean + exp(log variance / 2) * noise` -> decoder -> output layer.
//!
//! | part | RecVAE | Mult-VAE |
//! | --- | --- | --- |
//! | encoder | 5 layers; each layer's pre-activation is added to the sum of all earlier outputs; swish, layer norm | one tanh layer |
//! | decoder | linear | one tanh layer, then linear |

use rayon::prelude::*;

use super::adam::{AdamStep, Moments};
use super::batch::SparseInput;
use super::decoder::Decoder;
use super::encoder::{Architecture, Encoder, EncoderMemory};
use super::init::Init;
use super::input_layer::InputMoments;
use super::output_layer::{LogLikelihood, OutputMoments, Want};
use super::parameters::Places;
use super::sample::Sample;
use crate::error::Result;
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
    /// How a latent vector is drawn from each posterior, and what that is pulled to.
    pub(crate) sample: Sample<T>,
}

/// What steps use again and again instead of allocating it.
#[derive(Default)]
pub(crate) struct Memory<T> {
    encoder: EncoderMemory<T>,
    output: LogLikelihood<T>,
}

/// Loss and gradients of a batch.
pub(crate) struct Backward<T> {
    /// Mean log-likelihood per user.
    pub(crate) log_likelihood: f64,
    /// Mean weighted KL term per user; 0 with [`Prior::Free`](super::sample::Prior::Free).
    pub(crate) kl: f64,
    /// Mean and log variance of the batch, side by side, shape `(batch, 2 latent)`.
    pub(crate) posterior: Vec<T>,
    update: Update,
    /// With respect to what the input layer gave and to the encoder's dense parameters.
    encoder: Option<(Vec<T>, Vec<T>)>,
    /// With respect to the decoder's dense parameters.
    decoder: Option<Vec<T>>,
    output_hidden: Vec<T>,
}

impl<T: Real> Network<T> {
    pub(crate) fn new(architecture: Architecture, init: &mut Init) -> Self {
        let (encoder, decoder) = (Encoder::new(architecture, init), Decoder::new(architecture, init));
        Self { architecture, encoder, decoder }
    }

    /// The loss, mean over the batch of weighted KL term minus log-likelihood, and its gradients. The encoder's are computed
    /// only if the encoder is updated, the decoder's only if the decoder is.
    pub(crate) fn backward(&self, batch: &Batch<'_, T>, update: Update, memory: &mut Memory<T>) -> Backward<T> {
        let Batch { histories, input, sample } = batch;
        let (update_encoder, update_decoder) = (update != Update::Decoder, update != Update::Encoder);
        let posterior = self.encoder.forward(input, &mut memory.encoder);
        let (z, kl) = sample.forward(&posterior);
        let latent = self.decoder.hidden.as_ref().map(|_| z.clone());
        let output_hidden = self.decoder.hidden(z);
        let want = Want { hidden_gradient: update_encoder || latent.is_some(), weight_gradient: update_decoder };
        self.decoder.output.log_likelihood(&output_hidden, histories, want, &mut memory.output);
        let share = T::of(1.0 / histories.len() as f64);
        let mut gradient: Vec<T> = memory.output.hidden_gradient.iter().map(|&slope| -(slope * share)).collect();
        let mut decoder = None;
        if let (Some(layer), Some(latent)) = (&self.decoder.hidden, latent) {
            let (z_gradient, dense) = layer.backward(&latent, &output_hidden, gradient);
            gradient = z_gradient;
            decoder = update_decoder.then_some(dense);
        }
        let encoder = update_encoder.then(|| {
            let gradient = sample.backward(&posterior, &gradient, share);
            self.encoder.backward(&gradient, &mut memory.encoder)
        });
        let mean = |values: &[T]| values.iter().map(|value| value.to_f64()).sum::<f64>() / histories.len() as f64;
        let (log_likelihood, kl) = (mean(&memory.output.value), mean(&kl));
        Backward { log_likelihood, kl, posterior, update, encoder, decoder, output_hidden }
    }

    /// One Adam step by the gradients of a batch.
    pub(crate) fn step(
        &mut self,
        batch: &Batch<'_, T>,
        backward: &Backward<T>,
        memory: &Memory<T>,
        optimiser: &mut Optimiser<T>,
    ) {
        if let Some((hidden, dense)) = &backward.encoder {
            optimiser.encoder_steps += 1;
            let step = AdamStep::new(optimiser.learning_rate, optimiser.encoder_steps);
            optimiser.encoder.step(step, &mut self.encoder.dense, dense);
            self.encoder.input.step(batch.input, hidden, &mut optimiser.input, step);
        }
        if backward.update != Update::Encoder {
            optimiser.decoder_steps += 1;
            let step = AdamStep::new(optimiser.learning_rate, optimiser.decoder_steps);
            if let (Some(layer), Some(dense)) = (&mut self.decoder.hidden, &backward.decoder) {
                optimiser.decoder.step(step, &mut layer.dense, dense);
            }
            let moments = &mut optimiser.output;
            self.decoder.output.step(&backward.output_hidden, batch.histories, &memory.output, moments, step);
        }
    }

    /// Whether every parameter is a finite number.
    pub(crate) fn is_finite(&self) -> bool {
        let (input, output) = (&self.encoder.input, &self.decoder.output);
        let large = [&input.weight, &output.weight].into_iter().all(|all| all.par_iter().all(|value| value.finite()));
        let small = [&input.bias, &output.bias].into_iter().chain(self.flat().map(|(.., values)| values));
        large && small.into_iter().flatten().all(|value| value.finite())
    }

    /// Scores of a block of users: the logits at the mean of the posterior, shape `(users, n_items)`.
    pub(crate) fn logits(&self, histories: &[&[u32]], out: &mut [T]) {
        let latent = self.architecture.latent_dim;
        let posterior = self.encoder.encode(&SparseInput::clean(histories.iter().copied()));
        let means = posterior.chunks_exact(2 * latent).flat_map(|row| &row[..latent]).copied().collect();
        self.decoder.logits(means, out);
    }

    /// The flat parameters with their places.
    fn flat(&self) -> impl Iterator<Item = (&'static str, &Places, &Vec<T>)> {
        let encoder = ("encoder", &self.encoder.layers.places, &self.encoder.dense);
        let decoder = self.decoder.hidden.iter().map(|hidden| ("decoder", &hidden.places, &hidden.dense));
        std::iter::once(encoder).chain(decoder)
    }

    /// A copy of every parameter, in a fixed order.
    pub(crate) fn export(&self) -> Vec<Parameter<T>> {
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
        for (part, places, values) in self.flat() {
            let named =
                places.iter().map(|(name, shape, place)| parameter(&format!("{part}.{name}"), shape, &values[place]));
            all.extend(named);
        }
        all
    }

    /// Overwrites every parameter by what `read` has under its name and shape.
    pub(crate) fn import(&mut self, mut read: impl FnMut(&str, &[usize]) -> Result<Vec<T>>) -> Result<()> {
        let Architecture { n_items, hidden_dim, .. } = self.architecture;
        let width = self.decoder.output.width;
        self.encoder.input.weight = read("encoder.input.weight", &[n_items, hidden_dim])?;
        self.encoder.input.bias = read("encoder.input.bias", &[hidden_dim])?;
        self.decoder.output.weight = read("decoder.output.weight", &[n_items, width])?;
        self.decoder.output.bias = read("decoder.output.bias", &[n_items])?;
        let mut fill = |part: &str, places: &Places, values: &mut [T]| {
            for (name, shape, place) in places.iter() {
                values[place].copy_from_slice(&read(&format!("{part}.{name}"), shape)?);
            }
            Ok(())
        };
        fill("encoder", &self.encoder.layers.places, &mut self.encoder.dense)?;
        if let Some(hidden) = &mut self.decoder.hidden {
            fill("decoder", &hidden.places, &mut hidden.dense)?;
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
        self.logits(histories, scores);
        Ok(())
    }
}

/// Adam's state for all parameters of a network.
pub(crate) struct Optimiser<T> {
    learning_rate: f64,
    encoder_steps: u64,
    decoder_steps: u64,
    input: InputMoments<T>,
    encoder: Moments<T>,
    decoder: Moments<T>,
    output: OutputMoments<T>,
}

impl<T: Real> Optimiser<T> {
    pub(crate) fn new(network: &Network<T>, learning_rate: f64) -> Self {
        Self {
            learning_rate,
            encoder_steps: 0,
            decoder_steps: 0,
            input: InputMoments::zeros(&network.encoder.input),
            encoder: Moments::zeros(network.encoder.dense.len()),
            decoder: Moments::zeros(network.decoder.hidden.as_ref().map_or(0, |hidden| hidden.dense.len())),
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
        memory: &Memory<T>,
    ) -> std::collections::BTreeMap<String, Vec<T>> {
        let mut all = std::collections::BTreeMap::new();
        for (part, places, _) in self.flat() {
            let gradient = match part {
                "encoder" => backward.encoder.as_ref().map(|(_, dense)| dense),
                _ => backward.decoder.as_ref(),
            };
            if let Some(gradient) = gradient {
                all.extend(places.iter().map(|(name, _, place)| (format!("{part}.{name}"), gradient[place].to_vec())));
            }
        }
        if let Some((hidden, _)) = &backward.encoder {
            let (weight, bias) = self.encoder.input.gradients(batch.input, hidden);
            all.insert("encoder.input.weight".into(), weight);
            all.insert("encoder.input.bias".into(), bias);
        }
        if backward.update != Update::Encoder {
            let output = &self.decoder.output;
            let (weight, bias) = output.gradients(&backward.output_hidden, batch.histories, &memory.output);
            all.insert("decoder.output.weight".into(), weight);
            all.insert("decoder.output.bias".into(), bias);
        }
        all
    }
}
