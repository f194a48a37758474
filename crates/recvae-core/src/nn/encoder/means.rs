//! The encoder's means alone, as scores take them: nothing is kept for a way back, and no log variance is computed.
//!
//! A tile of users goes through all layers on one thread, the input layer among them. Before a product the weights are
//! copied into panels, which is cheap beside multiplying where a tile has some hundreds of users.

use std::ops::Range;

use rayon::prelude::*;

use super::super::batch::SparseInput;
use super::super::layers::{linear, swish_layer_norm, tanh};
use super::Encoder;
use crate::base::numbers::Numbers;
use crate::math::real::Real;
use crate::math::vectorised::add;

/// The fewest and the most users of a tile; between them every thread gets one.
const USERS: [usize; 2] = [32, 256];

impl<T: Real> Encoder<T> {
    /// What [`Encoder::encode`] gives without the log variances, to the bit: shape `(users, latent)`.
    pub(crate) fn means(&self, input: &SparseInput<T>) -> Vec<T> {
        let latent_dim = self.layers.architecture.latent_dim;
        let (n, [fewest, most]) = (input.n_rows(), USERS);
        let mut means = vec![T::ZERO; n * latent_dim];
        let users = n.div_ceil(rayon::current_num_threads()).clamp(fewest, most);
        let room = || Numbers::zeros(self.layers.matrices_of_means() * users.min(n) * self.layers.inputs());
        means.par_chunks_mut(users * latent_dim).enumerate().for_each_init(room, |room, (tile, means)| {
            let first = tile * users;
            self.means_of(input, first..first + means.len() / latent_dim, room, means);
        });
        means
    }

    /// Those of some users.
    fn means_of(&self, input: &SparseInput<T>, users: Range<usize>, room: &mut [T], means: &mut [T]) {
        let (layers, dense, hidden_dim) = (&self.layers, &self.dense[..], self.layers.inputs());
        let (pre, rest) = room.split_at_mut(users.len() * hidden_dim);
        for (user, pre) in users.zip(pre.chunks_exact_mut(hidden_dim)) {
            self.input.forward_row(input, user, pre);
        }
        let last = if layers.architecture.dense_encoder {
            let (out, sum) = rest.split_at_mut(pre.len());
            let sum = &mut sum[..pre.len()];
            swish_layer_norm(pre, layers.norm(0, dense), out);
            sum.copy_from_slice(out);
            for layer in 1..layers.depth() {
                let [weight, bias] = layers.linear(layer).map(|place| &dense[place]);
                linear(out, weight, bias, pre);
                add(pre, sum);
                swish_layer_norm(pre, layers.norm(layer, dense), out);
                add(sum, out);
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
        let [weight, bias] = layers.head().map(|place| place.start);
        let latent_dim = layers.architecture.latent_dim;
        linear(last, &dense[weight..][..latent_dim * hidden_dim], &dense[bias..][..latent_dim], means);
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
                let means = encoder.means(&input);
                assert!(
                    means.iter().map(|mean| mean.to_bits()).eq(expected.map(|mean| mean.to_bits())),
                    "{n} users, {architecture:?}"
                );
            }
        }
    }
}
