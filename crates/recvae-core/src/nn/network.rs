//! The network of RecVAE, Mult-VAE and Mult-DAE: sparse input layer, dense encoder, Gaussian sample, decoder,
//! multinomial output.
//!
//! With `batch` users, `hidden_dim` and `latent_dim`: history -> input layer -> `(batch, hidden)` -> encoder -> mean
//! and log variance, `(batch, latent)` each -> sample `z = mean + exp(log variance / 2) * noise` -> decoder -> output
//! layer.
//!
//! | part | RecVAE | Mult-VAE | Mult-DAE |
//! | --- | --- | --- | --- |
//! | encoder | 5 layers; each layer's pre-activation is added to the sum of all earlier outputs; swish, layer norm | one tanh layer | tanh of the input layer, which is `z` |
//! | decoder | linear | one tanh layer, then linear | linear |

use std::sync::OnceLock;

use ndarray::{Array2, ArrayD, ArrayViewMut2};
use rayon::prelude::*;

use super::adam::{AdamStep, Moments};
use super::batch::{Batch, SparseInput};
use super::decoder::Decoder;
use super::encoder::{Architecture, Encoder, EncoderMemory, Means};
use super::init::Init;
use super::input_layer::InputMoments;
use super::output_layer::{LogLikelihood, OutputMoments, Want};
use super::parameters::Places;
use super::scratch::Scratch;
use super::state::State;
use crate::base::error::{Error, Result};
use crate::base::matrix::array2;
use crate::base::numbers::Numbers;
use crate::evaluate::factors::Factors;
use crate::evaluate::scorer::{Scorer, check_histories, checked, checked_some};
use crate::evaluate::top_k::BLOCK;
use crate::math::bf16::Level;
use crate::math::real::Real;

pub(crate) struct Network<T> {
    pub(crate) architecture: Architecture,
    pub(crate) encoder: Encoder<T>,
    pub(crate) decoder: Decoder<T>,
}

/// A parameter outside the network.
pub(crate) struct Parameter<T> {
    pub(crate) name: String,
    pub(crate) values: ArrayD<T>,
}

impl<T> Parameter<T> {
    /// Of values in order of their indices.
    pub(crate) fn new(name: impl Into<String>, shape: &[usize], values: Vec<T>) -> Self {
        Self { name: name.into(), values: ArrayD::from_shape_vec(shape, values).expect("values of that shape") }
    }

    /// The values in order of their indices.
    pub(crate) fn values_mut(&mut self) -> &mut [T] {
        self.values.as_slice_mut().expect("values in order")
    }

    /// The same, which are the parameter's no more.
    pub(super) fn into_values(self) -> Vec<T> {
        self.values.into_raw_vec_and_offset().0
    }
}

/// Which parameters a step updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Update {
    Encoder,
    Decoder,
    Both,
}

impl Update {
    pub(crate) fn encoder(self) -> bool {
        self != Self::Decoder
    }

    pub(crate) fn decoder(self) -> bool {
        self != Self::Encoder
    }
}

/// What a step leaves, used again by the next one: nothing of the size of a batch is allocated anew.
#[derive(Default)]
pub(crate) struct Memory<T> {
    pub(crate) encoder: EncoderMemory<T>,
    z: Vec<T>,
    kl: Vec<T>,
    /// What the decoder's hidden layer gave, if there is one, and the gradients of its parameters.
    hidden: Vec<T>,
    decoder_gradient: Vec<T>,
    output: LogLikelihood<T>,
    /// With respect to what the output layer takes, to `z`, and to the posterior.
    output_gradient: Vec<T>,
    z_gradient: Vec<T>,
    posterior_gradient: Vec<T>,
    scratch: Scratch<T>,
}

impl<T: Default> Memory<T> {
    /// One that goes on with what an encoder left.
    pub(super) fn with_encoder(encoder: EncoderMemory<T>) -> Self {
        Self { encoder, ..Self::default() }
    }
}

impl<T: Real> Memory<T> {
    /// From here on the large products of the network's steps are in mixed precision, at a level that the processor
    /// has.
    pub(crate) fn round(&mut self, level: Level, network: &Network<T>) {
        network.encoder.round(level, &mut self.encoder);
        network.decoder.output.round(level, &mut self.output);
    }

    /// Brings the copies of the weights that such products read up to date, if there are any.
    pub(crate) fn renew_copies(&mut self, network: &Network<T>) {
        network.encoder.renew_copies(&mut self.encoder);
        network.decoder.output.renew_copies(&mut self.output);
    }
}

/// Loss of a batch, means over its users.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Loss {
    /// Multinomial log-likelihood.
    pub(crate) log_likelihood: f64,
    /// Weighted KL term; 0 with [`Prior::Free`](super::latent::Prior::Free) and without a posterior.
    pub(crate) kl: f64,
}

impl Loss {
    pub(crate) fn is_finite(&self) -> bool {
        self.log_likelihood.is_finite() && self.kl.is_finite()
    }
}

impl<T: Real> Network<T> {
    pub(crate) fn new(architecture: Architecture, init: &mut Init) -> Self {
        let (encoder, decoder) = (Encoder::new(architecture, init), Decoder::new(architecture, init));
        Self { architecture, encoder, decoder }
    }

    /// The loss, mean over the batch of weighted KL term minus log-likelihood, and in the memory its gradients. The
    /// encoder's are computed only if the encoder is updated, the decoder's only if the decoder is.
    pub(crate) fn backward(&self, batch: &Batch<'_, T>, update: Update, memory: &mut Memory<T>) -> Loss {
        let Batch { histories, input, sample, .. } = batch;
        let Memory { encoder, z, kl, hidden, output, output_gradient, z_gradient, .. } = memory;
        self.encoder.forward(input, encoder);
        let has_posterior = self.architecture.posterior;
        if has_posterior {
            sample.forward(&encoder.posterior, z, kl);
        } else {
            z.clone_from(&encoder.posterior);
        }
        let layer = self.decoder.hidden.as_ref();
        if let Some(layer) = layer {
            layer.forward(z, hidden);
        }
        let output_input = if layer.is_some() { &*hidden } else { &*z };
        let want = Want { hidden_gradient: update.encoder() || layer.is_some(), weight_gradient: update.decoder() };
        self.decoder.output.log_likelihood(output_input, histories, want, output);
        let mean = |values: &[T]| values.iter().map(|value| value.to_f64()).sum::<f64>() / histories.len() as f64;
        let kl = if has_posterior { mean(kl) } else { 0.0 };
        let loss = Loss { log_likelihood: mean(&output.value), kl };
        if !want.hidden_gradient {
            return loss;
        }
        let share = T::from_f64(1.0 / histories.len() as f64);
        output_gradient.clear();
        output_gradient.extend(output.hidden_gradient.iter().map(|&slope| -(slope * share)));
        if let Some(layer) = layer {
            layer.backward(z, hidden, output_gradient, z_gradient, &mut memory.decoder_gradient);
        }
        if update.encoder() {
            let z_gradient = if layer.is_some() { z_gradient } else { output_gradient };
            if has_posterior {
                sample.backward(&encoder.posterior, z_gradient, share, &mut memory.posterior_gradient);
                self.encoder.backward(&memory.posterior_gradient, encoder);
            } else {
                self.encoder.backward(z_gradient, encoder);
            }
        }
        loss
    }

    /// One Adam step by the gradients that [`Self::backward`] left for the same batch and update, and by those of the
    /// optimiser's penalty.
    pub(crate) fn step(
        &mut self,
        batch: &Batch<'_, T>,
        update: Update,
        memory: &mut Memory<T>,
        optimiser: &mut Optimiser<T>,
    ) {
        if update.encoder() {
            optimiser.encoder_steps += 1;
            let step = AdamStep::new(optimiser.learning_rate, optimiser.encoder_steps);
            let EncoderMemory { dense_gradient, .. } = &memory.encoder;
            optimiser.encoder.step(step, &mut self.encoder.dense, dense_gradient);
            self.encoder.renew_copies(&mut memory.encoder);
            self.encoder.input.step(
                batch,
                memory.encoder.hidden_gradient(self.encoder.input.width),
                &mut optimiser.input,
                step.with_squares(optimiser.lambda),
                &memory.scratch,
            );
        }
        if update.decoder() {
            optimiser.decoder_steps += 1;
            let step = AdamStep::new(optimiser.learning_rate, optimiser.decoder_steps);
            if let Some(layer) = &mut self.decoder.hidden {
                optimiser.decoder.step(step, &mut layer.dense, &memory.decoder_gradient);
            }
            let (moments, step) = (&mut optimiser.output, step.with_squares(optimiser.lambda));
            let Decoder { hidden, output } = &mut self.decoder;
            // What the output layer took.
            let taken = if hidden.is_some() { &memory.hidden } else { &memory.z };
            output.step(taken, &batch.histories, &mut memory.output, moments, step);
        }
    }

    /// Whether every parameter is a finite number.
    pub(crate) fn is_finite(&self) -> bool {
        let (input, output) = (&self.encoder.input, &self.decoder.output);
        let large =
            [&input.weight, &output.weight].into_iter().all(|all| all.par_iter().all(|value| value.is_finite()));
        let small = [&input.bias[..], &output.bias[..]].into_iter().chain(self.flat().map(|(.., values)| values));
        large && small.into_iter().flatten().all(|value| value.is_finite())
    }

    /// Scores of a block of users: the logits at the mean of the posterior, or at the latent vector, shape
    /// `(users, n_items)`.
    pub(crate) fn logits(&self, histories: &[&[u32]], out: ArrayViewMut2<'_, T>) {
        self.decoder.logits(self.means(histories), out);
    }

    /// Means of the posteriors of a block of users, or their latent vectors, shape `(users, latent)`.
    pub(crate) fn means(&self, histories: &[&[u32]]) -> Array2<T> {
        self.means_by(&self.encoder.for_means(histories.len()), histories)
    }

    fn means_by(&self, means: &Means<'_, T>, histories: &[&[u32]]) -> Array2<T> {
        let means = means.of(&SparseInput::clean(histories.iter().copied()));
        array2(means, (histories.len(), self.architecture.latent_dim))
    }

    /// The flat parameters with their places.
    fn flat(&self) -> impl Iterator<Item = (&'static str, &Places, &[T])> {
        let encoder = ("encoder", &self.encoder.layers.places, &self.encoder.dense[..]);
        let decoder = self.decoder.hidden.iter().map(|hidden| ("decoder", &hidden.places, &hidden.dense[..]));
        std::iter::once(encoder).chain(decoder)
    }

    /// A copy of every parameter, in a fixed order.
    pub(crate) fn export(&self) -> Vec<Parameter<T>> {
        let Architecture { n_items, hidden_dim, .. } = self.architecture;
        let (input, output) = (&self.encoder.input, &self.decoder.output);
        let parameter = |name: &str, shape: &[usize], values: &[T]| Parameter::new(name, shape, values.to_vec());
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

    /// Overwrites every parameter by what `read` has under its name and shape. The two large ones are taken as they
    /// are.
    pub(crate) fn import<N: Into<Numbers<T>>>(
        &mut self,
        mut read: impl FnMut(&str, &[usize]) -> Result<N>,
    ) -> Result<()> {
        let Architecture { n_items, hidden_dim, .. } = self.architecture;
        let width = self.decoder.output.width;
        let mut read = |name: &str, shape: &[usize]| read(name, shape).map(Into::into);
        self.encoder.input.weight = read("encoder.input.weight", &[n_items, hidden_dim])?;
        self.encoder.input.bias = read("encoder.input.bias", &[hidden_dim])?.to_vec();
        self.decoder.output.weight = read("decoder.output.weight", &[n_items, width])?;
        self.decoder.output.bias = read("decoder.output.bias", &[n_items])?.to_vec();
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

    /// Takes every parameter from a list that has them all.
    pub(super) fn take(&mut self, mut parameters: Vec<Parameter<T>>) -> Result<()> {
        self.import(|name, _| match parameters.iter().position(|parameter| parameter.name == name) {
            Some(at) => Ok(parameters.swap_remove(at).into_values()),
            None => Err(Error::Internal(format!("no parameter '{name}'"))),
        })
    }

    /// Overwrites every parameter by what `read` has under its name in a network of the same widths and `items_there`
    /// items. Of those that have a row for each item, the rows of items that `index_there` does not know stay.
    pub(crate) fn adopt<'v>(
        &mut self,
        items_there: usize,
        index_there: &[Option<u32>],
        read: impl Fn(&str, &[usize]) -> Result<&'v [T]>,
    ) -> Result<()> {
        let (hidden_dim, width) = (self.architecture.hidden_dim, self.decoder.output.width);
        let adopt_rows = |name: &str, to: &mut [T], width: usize| -> Result<()> {
            let shape = [items_there, width];
            let from = read(name, if name == OUTPUT_BIAS { &shape[..1] } else { &shape })?;
            for (row, there) in to.chunks_exact_mut(width).zip(index_there) {
                if let Some(there) = there {
                    row.copy_from_slice(&from[*there as usize * width..][..width]);
                }
            }
            Ok(())
        };
        adopt_rows("encoder.input.weight", &mut self.encoder.input.weight, hidden_dim)?;
        adopt_rows("decoder.output.weight", &mut self.decoder.output.weight, width)?;
        adopt_rows(OUTPUT_BIAS, &mut self.decoder.output.bias, 1)?;
        self.encoder.input.bias.copy_from_slice(read("encoder.input.bias", &[hidden_dim])?);
        let adopt_all = |part: &str, places: &Places, values: &mut [T]| -> Result<()> {
            for (name, shape, place) in places.iter() {
                values[place].copy_from_slice(read(&format!("{part}.{name}"), shape)?);
            }
            Ok(())
        };
        adopt_all("encoder", &self.encoder.layers.places, &mut self.encoder.dense)?;
        match &mut self.decoder.hidden {
            Some(hidden) => adopt_all("decoder", &hidden.places, &mut hidden.dense),
            None => Ok(()),
        }
    }
}

/// Users whose vectors are made at a time: tiles for many threads, whose activations take no more than those of a step
/// do for a block of scores.
const VECTORS: usize = 4 * BLOCK;

/// The parameter that has one number for each item.
const OUTPUT_BIAS: &str = "decoder.output.bias";

impl Scorer for Network<f32> {
    fn n_items(&self) -> usize {
        self.architecture.n_items
    }

    fn score(&self, histories: &[&[u32]], mut scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        checked(histories, self.n_items(), scores.view_mut())?;
        self.logits(histories, scores);
        Ok(())
    }

    fn score_some(&self, histories: &[&[u32]], items: &[u32], mut scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        checked_some(histories, items, self.n_items(), scores.view_mut())?;
        self.decoder.logits_of(self.means(histories), items, scores);
        Ok(())
    }

    fn factors(&self) -> Option<Factors<'_>> {
        let output = &self.decoder.output;
        let encoder = OnceLock::new();
        let users = move |histories: &[&[u32]]| {
            check_histories(histories, self.n_items())?;
            let encoder = encoder.get_or_init(|| self.encoder.for_means(VECTORS));
            Ok(self.decoder.output_input(self.means_by(encoder, histories)).into_raw_vec_and_offset().0)
        };
        let (items, biases) = (&output.weight[..], Some(&output.bias[..]));
        Some(Factors { width: output.width, items, biases, block: VECTORS, users: Box::new(users) })
    }
}

impl Network<f32> {
    /// Every parameter; the dense ones are one array.
    pub(crate) fn state<'a>(&'a mut self, state: &mut State<'a>) {
        let (input, output) = (&mut self.encoder.input, &mut self.decoder.output);
        state.add("encoder.input.weight", &mut input.weight[..]);
        state.add("encoder.input.bias", &mut input.bias[..]);
        state.add("encoder.dense", &mut self.encoder.dense[..]);
        if let Some(hidden) = &mut self.decoder.hidden {
            state.add("decoder.dense", &mut hidden.dense[..]);
        }
        state.add("decoder.output.weight", &mut output.weight[..]);
        state.add("decoder.output.bias", &mut output.bias[..]);
    }
}

/// Adam's state for all parameters of a network.
pub(crate) struct Optimiser<T> {
    learning_rate: f64,
    /// Weight in the loss of the sum of squares of the weights of the two layers that touch items.
    lambda: f64,
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
            lambda: 0.0,
            encoder_steps: 0,
            decoder_steps: 0,
            input: InputMoments::zeros(&network.encoder.input),
            encoder: Moments::zeros(network.encoder.dense.len()),
            decoder: Moments::zeros(network.decoder.hidden.as_ref().map_or(0, |hidden| hidden.dense.len())),
            output: OutputMoments::zeros(&network.decoder.output),
        }
    }

    /// The learning rate, and the weight of the sum of squares.
    #[cfg(feature = "candle")]
    pub(super) fn settings(&self) -> (f64, f64) {
        (self.learning_rate, self.lambda)
    }

    /// The same with a penalty on the squares of all weights, not of biases, of a network that has no dense layers,
    /// such as Mult-DAE's.
    pub(crate) fn with_squares(self, lambda: f64) -> Self {
        Self { lambda, ..self }
    }
}

impl Optimiser<f32> {
    /// Moments and counts of steps.
    pub(crate) fn state<'a>(&'a mut self, state: &mut State<'a>) {
        state.add("adam.encoder.steps", &mut self.encoder_steps);
        state.add("adam.decoder.steps", &mut self.decoder_steps);
        self.input.state("adam.encoder.input", state);
        self.encoder.state("adam.encoder.dense", state);
        self.decoder.state("adam.decoder.dense", state);
        self.output.state("adam.decoder.output", state);
    }
}

#[cfg(test)]
impl<T: Real> Network<T> {
    /// The gradient of every parameter that the update reaches, by its name.
    pub(crate) fn gradients(
        &self,
        batch: &Batch<'_, T>,
        update: Update,
        memory: &Memory<T>,
    ) -> std::collections::BTreeMap<String, Vec<T>> {
        let mut all = std::collections::BTreeMap::new();
        for (part, places, _) in self.flat() {
            let (reached, gradient) = match part {
                "encoder" => (update.encoder(), &memory.encoder.dense_gradient[..]),
                _ => (update.decoder(), &memory.decoder_gradient[..]),
            };
            if reached {
                all.extend(places.iter().map(|(name, _, place)| (format!("{part}.{name}"), gradient[place].to_vec())));
            }
        }
        if update.encoder() {
            let (weight, bias) =
                self.encoder.input.gradients(batch, memory.encoder.hidden_gradient(self.encoder.input.width));
            all.insert("encoder.input.weight".into(), weight);
            all.insert("encoder.input.bias".into(), bias);
        }
        if update.decoder() {
            let output = &self.decoder.output;
            let taken = if self.decoder.hidden.is_some() { &memory.hidden } else { &memory.z };
            let (weight, bias) = output.gradients(taken, &batch.histories, &memory.output);
            all.insert("decoder.output.weight".into(), weight);
            all.insert("decoder.output.bias".into(), bias);
        }
        all
    }
}
