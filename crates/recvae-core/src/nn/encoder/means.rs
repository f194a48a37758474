//! The encoder's means alone, as scores take them: nothing is kept for a way back, and no log variance is computed.
//!
//! A tile of users goes through all layers on one thread, the input layer among them. For many users the weights are
//! copied into the panels of products once.

use std::ops::Range;

use rayon::prelude::*;

use super::super::batch::SparseInput;
use super::super::layers::{swish_layer_norm, tanh};
use super::Encoder;
use crate::base::numbers::Numbers;
use crate::math::products::Weight;
use crate::math::real::Real;
use crate::math::vectorised::{add, add_to_rows, add_to_rows_and_rows};

/// The fewest and the most users of a tile; between them every thread gets one.
const USERS: [usize; 2] = [32, 256];

/// An encoder as it computes means.
pub(crate) struct Means<'e, T> {
    encoder: &'e Encoder<T>,
    /// The weights of the linear layers behind the input layer, the last one's for means alone.
    weights: Vec<Weight<'e, T>>,
}

impl<T: Real> Encoder<T> {
    /// What computes means of about so many users in all.
    pub(crate) fn for_means(&self, users: usize) -> Means<'_, T> {
        let (layers, hidden_dim) = (&self.layers, self.layers.inputs());
        let weight = |layer: usize| {
            let outputs = if layer == layers.depth() { layers.architecture.latent_dim } else { layers.outputs(layer) };
            let [weight, _] = layers.linear(layer);
            Weight::of(&self.dense[weight][..outputs * hidden_dim], hidden_dim, users)
        };
        Means { encoder: self, weights: (1..=layers.n_linear()).map(weight).collect() }
    }
}

impl<T: Real> Means<'_, T> {
    /// What [`Encoder::encode`] gives without the log variances, to the bit: shape `(users, latent)`.
    pub(crate) fn of(&self, input: &SparseInput<T>) -> Vec<T> {
        let layers = &self.encoder.layers;
        let latent_dim = layers.architecture.latent_dim;
        let (n, [fewest, most]) = (input.n_rows(), USERS);
        let mut means = vec![T::ZERO; n * latent_dim];
        let users = n.div_ceil(rayon::current_num_threads()).clamp(fewest, most);
        let room = || Numbers::zeros(layers.matrices_of_means() * users.min(n) * layers.inputs());
        means.par_chunks_mut(users * latent_dim).enumerate().for_each_init(room, |room, (tile, means)| {
            let first = tile * users;
            self.of_tile(input, first..first + means.len() / latent_dim, room, means);
        });
        means
    }

    /// Those of some users.
    fn of_tile(&self, input: &SparseInput<T>, users: Range<usize>, room: &mut [T], means: &mut [T]) {
        let Encoder { input: input_layer, dense, layers } = self.encoder;
        let hidden_dim = layers.inputs();
        let bias = |layer: usize| &dense[layers.linear(layer)[1].start..];
        let (pre, rest) = room.split_at_mut(users.len() * hidden_dim);
        for (user, pre) in users.zip(pre.chunks_exact_mut(hidden_dim)) {
            input_layer.forward_row(input, user, pre);
        }
        let last = if layers.architecture.dense_encoder {
            let (out, sum) = rest.split_at_mut(pre.len());
            let sum = &mut sum[..pre.len()];
            swish_layer_norm(pre, layers.norm(0, dense), out);
            sum.copy_from_slice(out);
            for layer in 1..layers.depth() {
                self.weights[layer - 1].products(out, pre);
                add_to_rows_and_rows(pre, &bias(layer)[..hidden_dim], sum);
                swish_layer_norm(pre, layers.norm(layer, dense), out);
                // What the last layer gives goes into no sum.
                if layer + 1 < layers.depth() {
                    add(sum, out);
                }
            }
            out
        } else {
            tanh(pre);
            pre
        };
        if !layers.architecture.posterior {
            means.copy_from_slice(last);
            return;
        }
        self.weights[layers.depth() - 1].products(last, means);
        add_to_rows(means, &bias(layers.depth())[..layers.architecture.latent_dim]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Architecture;
    use super::*;
    use crate::base::random::Stream;
    use crate::nn::init::{Init, Scheme};
    use crate::nn::noise::Purpose;

    /// Around the sizes of tiles, for every kind of encoder and a user without items.
    #[test]
    fn means_have_the_bits_of_the_whole_posterior_s() {
        for (dense_encoder, posterior) in [(true, true), (false, true), (false, false)] {
            let latent_dim = if posterior { 3 } else { 10 };
            let architecture = Architecture {
                n_items: 40,
                hidden_dim: 10,
                latent_dim,
                dense_encoder,
                hidden_decoder: false,
                posterior,
            };
            let encoder = Encoder::<f32>::new(architecture, &mut Init::new(5, Purpose::Weights, Scheme::Torch));
            let mut random = Stream::new(6, 0);
            let mut history = |_| (0..40u32).filter(|_| random.below(5) == 0).collect::<Vec<_>>();
            let histories: Vec<Vec<u32>> = std::iter::once(vec![]).chain((1..600).map(&mut history)).collect();
            for n in [0, 1, 2, 31, 32, 33, 64, 65, 129, 256, 257, 600] {
                let input = SparseInput::clean(histories[..n].iter().map(Vec::as_slice));
                let whole = encoder.encode(&input);
                let expected =
                    whole.chunks(encoder.layers.architecture.encoded_dim()).flat_map(|row| &row[..latent_dim]);
                let means = encoder.for_means(n).of(&input);
                assert!(
                    means.iter().map(|mean| mean.to_bits()).eq(expected.map(|mean| mean.to_bits())),
                    "{n} users, {architecture:?}"
                );
            }
        }
    }
}
