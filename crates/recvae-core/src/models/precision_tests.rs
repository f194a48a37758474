//! Steps in mixed precision beside the same steps without rounding.

use std::collections::BTreeMap;

use crate::base::compute::TrainingPrecision;
use crate::base::random::Stream;
use crate::math::bf16::{Level, levels};
use crate::math::csr::Csr;
use crate::math::real::Real;
use crate::nn::batch::{Batch, draw_noise};
use crate::nn::encoder::{Architecture, EncoderMemory};
use crate::nn::engine::Engine;
use crate::nn::fused::Fused;
use crate::nn::init::{Init, Scheme};
use crate::nn::latent::Prior;
use crate::nn::network::{Loss, Memory, Network, Optimiser, Update};
use crate::nn::noise::{Purpose, Seeded};

const USERS: usize = 387;

/// Odd numbers, and more of each than a tile of users, a block of items or a panel of columns has.
fn architecture(dense_encoder: bool, hidden_decoder: bool, posterior: bool) -> Architecture {
    let hidden_dim = 131;
    let latent_dim = if posterior { 67 } else { hidden_dim };
    Architecture { n_items: 2_331, hidden_dim, latent_dim, dense_encoder, hidden_decoder, posterior }
}

/// RecVAE's, Mult-VAE's and Mult-DAE's.
fn architectures() -> [Architecture; 3] {
    [architecture(true, false, true), architecture(false, true, true), architecture(false, false, false)]
}

fn data() -> Csr {
    let mut random = Stream::new(4, 0);
    let row = |_| (0..2_331u32).filter(|item| random.below(u64::from(8 + item / 20)) == 0).collect::<Vec<_>>();
    let rows: Vec<Vec<u32>> = (0..USERS).map(row).collect();
    Csr::from_rows(rows, 2_331).unwrap()
}

fn batch<T: Real>(x: &Csr, latent_dim: usize) -> Batch<'_, T> {
    batch_of(x, USERS, latent_dim)
}

/// Of the first users.
fn batch_of<T: Real>(x: &Csr, n_users: usize, latent_dim: usize) -> Batch<'_, T> {
    let users: Vec<usize> = (0..n_users).collect();
    let mut batch = Batch { users: users.clone(), histories: x.rows().take(n_users).collect(), ..Batch::default() };
    batch.input.drop_out(x, &users, 0.5, &Seeded(1), 0);
    batch.by_item.refill(&batch.input, x.n_cols());
    draw_noise(&mut batch.sample.noise, &users, latent_dim, &Seeded(1), 0);
    batch.sample.kl_weights = x.rows().take(n_users).map(|row| T::from_f64(0.005 * row.len() as f64)).collect();
    batch.sample.prior = Prior::Standard;
    batch
}

fn network<T: Real>(architecture: Architecture) -> Network<T> {
    Network::new(architecture, &mut Init::new(1, Purpose::Weights, Scheme::Torch))
}

type Gradients = BTreeMap<String, Vec<f64>>;

fn gradients<T: Real>(x: &Csr, architecture: Architecture, update: Update, level: Option<Level>) -> (Loss, Gradients) {
    let (network, batch) = (network::<T>(architecture), batch::<T>(x, architecture.latent_dim));
    let mut memory = Memory::default();
    if let Some(level) = level {
        memory.round(level, &network);
    }
    let loss = network.backward(&batch, update, &mut memory);
    let gradients = network.gradients(&batch, update, &memory);
    let in_f64 = |values: Vec<T>| values.into_iter().map(Real::to_f64).collect();
    (loss, gradients.into_iter().map(|(name, values)| (name, in_f64(values))).collect())
}

/// The length of the difference of two vectors, relative to that of the second.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    length(&mut a.iter().zip(b).map(|(a, b)| a - b)) / length(&mut b.iter().copied())
}

/// A number in bf16 is off by 2^-8 of itself at most and by 2^-9.8 in root mean square, and these errors are
/// independent of each other. A gradient is what goes through a dozen products of rounded numbers at most, so that its
/// error is a few times as large: .3 % were found.
#[test]
fn gradients_are_those_without_rounding_but_for_half_a_percent() {
    let x = data();
    for architecture in architectures() {
        for update in [Update::Encoder, Update::Decoder, Update::Both] {
            let (exact_loss, exact) = gradients::<f64>(&x, architecture, update, None);
            let (plain_loss, plain) = gradients::<f64>(&x, architecture, update, Some(Level::Plain));
            for level in levels() {
                let (loss, found) = gradients::<f32>(&x, architecture, update, Some(level));
                for loss in [plain_loss, loss] {
                    let off = (loss.log_likelihood / exact_loss.log_likelihood - 1.0).abs();
                    assert!(off < 1e-4, "{off}");
                }
                assert!(exact.keys().eq(found.keys()) && exact.keys().eq(plain.keys()));
                for (name, exact) in &exact {
                    let (all, of_plain) = (distance(&found[name], exact), distance(&found[name], &plain[name]));
                    assert!(all < 0.006, "{architecture:?} {update:?} {name} {level:?}: {all}");
                    // Sums in f32 and in f64 of the same numbers, of which some few are rounded to a neighbour.
                    assert!(of_plain < 0.0005, "{architecture:?} {update:?} {name} {level:?}: {of_plain}");
                }
            }
        }
    }
}

/// What a step leaves is used again by the next one, whose batch may be smaller or larger, with tiles and blocks that
/// are not full.
#[test]
fn a_batch_after_others_gives_what_it_gives_alone() {
    let x = data();
    for architecture in architectures() {
        let network = network::<f32>(architecture);
        for level in levels().map(Some).chain([None]) {
            let memory = || {
                let mut memory = Memory::default();
                level.into_iter().for_each(|level| memory.round(level, &network));
                memory
            };
            let mut used = memory();
            let batches = [
                (USERS, Update::Both),
                (31, Update::Decoder),
                (300, Update::Encoder),
                (1, Update::Both),
                (257, Update::Decoder),
                (33, Update::Encoder),
                (385, Update::Both),
            ];
            // Number by number it takes long.
            let n = if level == Some(Level::Plain) { 3 } else { batches.len() };
            for (n_users, update) in batches.into_iter().take(n) {
                let batch = batch_of(&x, n_users, architecture.latent_dim);
                let mut results = [(); 2].map(|()| None);
                for (memory, result) in [&mut used, &mut memory()].into_iter().zip(&mut results) {
                    let loss = network.backward(&batch, update, memory);
                    let gradients = network.gradients(&batch, update, memory);
                    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
                    let gradients: BTreeMap<_, _> =
                        gradients.into_iter().map(|(name, values)| (name, bits(values))).collect();
                    *result = Some(([loss.log_likelihood, loss.kl].map(f64::to_bits), gradients));
                }
                let [again, alone] = results;
                assert!(again == alone, "{architecture:?} {update:?} of {n_users} users, {level:?}");
            }
        }
    }
}

/// Adam makes a gradient's sign count as much as its size, so parameters drift apart; what they come to does not.
#[test]
fn steps_lead_to_the_same_loss() {
    let x = data();
    for architecture in architectures() {
        let by = |precision| {
            let network = network::<f32>(architecture);
            let optimiser = Optimiser::new(&network, 1e-3);
            let mut engine = Fused::new(network, optimiser, None, EncoderMemory::default()).in_precision(precision);
            let mut batch = batch(&x, architecture.latent_dim);
            let updates = [Update::Both, Update::Encoder, Update::Decoder].into_iter().cycle();
            let losses = updates.take(60).map(|update| engine.step(&mut batch, update, false).unwrap().unwrap());
            losses.map(|loss| loss.log_likelihood - loss.kl).collect::<Vec<_>>()
        };
        let (exact, rounded) = (by(TrainingPrecision::F32), by(TrainingPrecision::Bf16));
        assert!(exact[59] > 0.98 * exact[0], "it learns: {} to {}", exact[0], exact[59]);
        for (exact, rounded) in exact.iter().zip(&rounded) {
            assert!((rounded / exact - 1.0).abs() < 1e-3, "{architecture:?}: {rounded} against {exact}");
        }
    }
}
