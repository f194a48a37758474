//! RecVAE and Mult-VAE against the golden vectors of the reference and against finite differences.
//!
//! Tolerances: f64 sums of a few hundred terms, relative to the largest number of a tensor.

use std::collections::BTreeMap;

use ndarray::Array2;

use crate::base::cancel::Cancel;
use crate::base::compute::{Compute, TrainingPrecision};
use crate::base::matrix::{row_major, view2, view2_mut};
use crate::math::csr::Csr;
use crate::math::real::Real;
use crate::nn::batch::{Batch, SparseInput};
use crate::nn::encoder::{Architecture, Encoder, EncoderMemory};
use crate::nn::engine::Engine;
use crate::nn::init::{Init, Scheme};
use crate::nn::latent::{CompositePrior, Prior, Sample};
use crate::nn::network::{Loss, Memory, Network, Parameter, Update};
use crate::nn::noise::{Noise, Purpose, Seeded};
use crate::nn::output_layer::LogLikelihood;
use crate::test_support::{Golden, close};
use crate::train::run::FitRun;
use crate::train::training::{Pass, Training};
#[cfg(feature = "candle")]
use crate::{
    base::compute::Device,
    nn::{candle::CandleEngine, fused::Fused, network::Optimiser, old_posterior::OldPosterior},
};

use super::rec_vae::RecVaeOptions;

/// The engines that the recorded values are for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Fused,
    #[cfg(feature = "candle")]
    Candle,
    /// The same with operations of its own.
    #[cfg(feature = "candle")]
    Own,
}

const ENGINES: &[By] = &[
    By::Fused,
    #[cfg(feature = "candle")]
    By::Candle,
    #[cfg(feature = "candle")]
    By::Own,
];

const HIDDEN: usize = 16;
const LATENT: usize = 8;
const GAMMA: f64 = 0.005;

fn architecture(n_items: usize, recvae: bool) -> Architecture {
    let (hidden_dim, latent_dim) = (HIDDEN, LATENT);
    Architecture { n_items, hidden_dim, latent_dim, dense_encoder: recvae, hidden_decoder: !recvae, posterior: true }
}

fn transposed(values: &[f64], n_cols: usize) -> Vec<f64> {
    (0..n_cols).flat_map(|column| values.iter().skip(column).step_by(n_cols).copied()).collect()
}

/// A parameter of ours under the reference's name: `(out, in)` there, `(in, out)` here for the input layer.
fn golden_parameter(golden: &Golden, prefix: &str, name: &str, recvae: bool) -> Vec<f64> {
    let (layer, suffix) = name.rsplit_once('.').unwrap();
    let theirs = match (layer, recvae) {
        ("encoder.input", true) => "encoder.fc1",
        ("decoder.output", true) => "decoder",
        (other, true) => other,
        ("encoder.input", false) => "q0",
        ("decoder.output", false) => "p1",
        (other, false) => other.split_once('.').unwrap().1,
    };
    let theirs = if prefix.ends_with("encoder_old.") { theirs.trim_start_matches("encoder.") } else { theirs };
    let key = format!("{prefix}{theirs}.{suffix}");
    let values = golden.values(&key);
    if name == "encoder.input.weight" { transposed(values, golden.shape(&key)[1]) } else { values.to_vec() }
}

fn network<T: Real>(golden: &Golden, prefix: &str, n_items: usize, recvae: bool) -> Network<T> {
    let mut network = Network::<T>::new(architecture(n_items, recvae), &mut Init::zeros());
    network
        .import(|name, _| {
            Ok(golden_parameter(golden, prefix, name, recvae).into_iter().map(T::from_f64).collect::<Vec<_>>())
        })
        .unwrap();
    network
}

/// The reference's old encoder: its parameters have no decoder beside them.
fn old_encoder<T: Real>(golden: &Golden, prefix: &str, n_items: usize) -> Encoder<T> {
    let mut network = Network::<T>::new(architecture(n_items, true), &mut Init::zeros());
    network
        .import(|name, shape| {
            Ok(match name.strip_prefix("encoder.") {
                Some(rest) => golden_parameter(golden, prefix, &format!("encoder.{rest}"), true),
                None => vec![0.0; shape.iter().product()],
            }
            .into_iter()
            .map(T::from_f64)
            .collect::<Vec<_>>())
        })
        .unwrap();
    network.encoder
}

/// The noise of the reference run: pass after pass, each of three steps of ten users.
struct Recorded<'a> {
    golden: &'a Golden,
    /// Whose dropout mask a pass gets, so that a test can put noise where there should be none.
    mask_of_pass: fn(u64) -> u64,
}

impl Recorded<'_> {
    fn step_and_row(&self, pass: u64, user: usize) -> (usize, usize) {
        let index = self.golden.values("user_index");
        let first = pass as usize * 30;
        let at = (first..first + 30).find(|&at| index[at] as usize == user).unwrap();
        (at / 10, at % 10)
    }
}

impl<T: Real> Noise<T> for Recorded<'_> {
    fn order(&self, pass: u64, n_users: usize) -> Vec<usize> {
        let index = self.golden.values("user_index");
        index[pass as usize * n_users..][..n_users].iter().map(|&user| user as usize).collect()
    }

    fn keep(&self, pass: u64, user: usize, history: &[u32], _rate: f64, kept: &mut Vec<u32>) {
        let (step, row) = self.step_and_row((self.mask_of_pass)(pass), user);
        let keep = &self.golden.values("dropout_keep")[(step * 10 + row) * 40..][..40];
        kept.extend(history.iter().copied().filter(|&item| keep[item as usize] != 0.0));
    }

    fn normal(&self, pass: u64, user: usize, out: &mut [T]) {
        let (step, row) = self.step_and_row(pass, user);
        let recorded = &self.golden.values("eps")[(step * 10 + row) * LATENT..][..LATENT];
        out.iter_mut().zip(recorded).for_each(|(out, &number)| *out = T::from_f64(number));
    }
}

/// The input of a `_step` file after its dropout.
fn step_input<T: Real>(golden: &Golden, x: &Csr) -> SparseInput<T> {
    let keep = golden.values("dropout_keep");
    let mut input = SparseInput::<T>::default();
    for (user, history) in x.rows().enumerate() {
        input.indices.extend(history.iter().filter(|&&item| keep[user * x.n_cols() + item as usize] != 0.0));
        input.ends.push(input.indices.len());
        input.values.push(T::from_f64(2.0 / (history.len() as f64).sqrt()));
    }
    input
}

/// Loss parts and the gradient of every parameter that the update reaches.
fn differentiate<T: Number>(
    network: &Network<T>,
    batch: &mut Batch<'_, T>,
    update: Update,
    by: By,
) -> (Loss, BTreeMap<String, Vec<T>>) {
    match by {
        By::Fused => {
            let mut memory = Memory::default();
            let loss = network.backward(batch, update, &mut memory);
            (loss, network.gradients(batch, update, &memory))
        }
        #[cfg(feature = "candle")]
        By::Candle | By::Own => {
            let mut copy = Network::<T>::new(network.architecture, &mut Init::zeros());
            let mut parameters: BTreeMap<_, _> =
                network.export().into_iter().map(|p| (p.name, p.values.into_raw_vec_and_offset().0)).collect();
            copy.import(|name, _| Ok(parameters.remove(name).unwrap())).unwrap();
            let optimiser = Optimiser::new(&copy, 1e-3);
            // The users of the batch are all users, in their order.
            batch.users = (0..batch.histories.len()).collect();
            let (old, latent) = (batch.sample.old.clone(), network.architecture.latent_dim);
            let old = (!old.is_empty()).then(|| OldPosterior::from_rows(old, latent));
            let fused = Fused::new(copy, optimiser, old, EncoderMemory::default());
            let mut engine = CandleEngine::new(fused, Device::Cpu).unwrap();
            if by == By::Own {
                let x = Csr::from_rows(&batch.histories, network.architecture.n_items).unwrap();
                engine = engine.with_own_operations(&x).unwrap();
            }
            engine.gradients(batch, update).unwrap()
        }
    }
}

/// Numbers that both engines take.
#[cfg(feature = "candle")]
trait Number: Real + candle_core::WithDType {}
#[cfg(feature = "candle")]
impl<T: Real + candle_core::WithDType> Number for T {}
#[cfg(not(feature = "candle"))]
trait Number: Real {}
#[cfg(not(feature = "candle"))]
impl<T: Real> Number for T {}

/// Loss parts, gradients and scores of a `_step` file, gradients for each way to update.
fn check_step<T: Number>(file: &str, recvae: bool, tolerance: f64, by: By) {
    let golden = Golden::read(file);
    let x = golden.csr("x");
    let network = network::<T>(&golden, "param.", x.n_cols(), recvae);
    let mut batch = Batch { histories: x.rows().collect(), input: step_input(&golden, &x), ..Batch::default() };
    batch.by_item.refill(&batch.input, x.n_cols());
    for update in [Update::Encoder, Update::Decoder, Update::Both] {
        let (kl_weights, prior, old) = if recvae {
            let old = old_encoder::<T>(&golden, "param.encoder_old.", x.n_cols());
            let composite = CompositePrior {
                mixture_weights: RecVaeOptions::default().mixture_weights,
                wide_log_variance: RecVaeOptions::default().wide_log_variance,
            };
            let weights = x.rows().map(|row| Real::from_f64(GAMMA * row.len() as f64)).collect();
            (weights, Prior::Composite(composite), old.encode(&SparseInput::clean(x.rows())))
        } else {
            (vec![<T as Real>::from_f64(golden.values("beta")[0]); x.n_rows()], Prior::Standard, vec![])
        };
        let noise = golden.values("eps").iter().map(|&number| Real::from_f64(number)).collect();
        let prior = if update == Update::Decoder { Prior::Free } else { prior };
        batch.sample = Sample { noise, kl_weights, prior, old };
        let (backward, gradients) = differentiate(&network, &mut batch, update, by);
        let scale = golden.values("loss")[0].abs();
        let near = |ours: f64, golden: f64| assert!((ours - golden).abs() <= tolerance * scale, "{ours}: {golden}");
        near(backward.log_likelihood, if recvae { golden.values("mll")[0] } else { -golden.values("nll")[0] });
        if update != Update::Decoder {
            let kl = if recvae { golden.values("kld")[0] } else { golden.values("kl")[0] * golden.values("beta")[0] };
            near(backward.kl, kl);
            near(backward.kl - backward.log_likelihood, golden.values("loss")[0]);
        }
        let reached = network.export().into_iter().map(|parameter| parameter.name).filter(|name| match update {
            Update::Encoder => name.starts_with("encoder."),
            Update::Decoder => name.starts_with("decoder."),
            Update::Both => true,
        });
        let mut n = 0;
        for name in reached {
            close(&name, &gradients[&name], &golden_parameter(&golden, "grad.", &name, recvae), tolerance);
            n += 1;
        }
        assert_eq!(gradients.len(), n);
    }
    let mut scores = Array2::default((x.n_rows(), x.n_cols()));
    network.logits(&x.rows().collect::<Vec<_>>(), scores.view_mut());
    close("scores", row_major(scores.view()), golden.values("eval.scores"), tolerance);
    if recvae {
        let posterior = network.encoder.encode(&SparseInput::clean(x.rows()));
        let part = |part: usize| posterior.chunks(LATENT).skip(part).step_by(2).flatten().copied().collect::<Vec<T>>();
        close("mu", &part(0), golden.values("eval.mu"), tolerance);
        close("logvar", &part(1), golden.values("eval.logvar"), tolerance);
    }
}

#[test]
fn one_step_matches_the_reference() {
    for (file, recvae) in [("recvae_step", true), ("multvae_step", false)] {
        for &by in ENGINES {
            check_step::<f64>(file, recvae, 1e-9, by);
            // f32: eps 6e-8 over chains of about ten layers with sums of up to 40 terms.
            check_step::<f32>(file, recvae, 2e-5, by);
        }
    }
}

/// How far the two epochs of the reference run are from those of a plan: the largest difference of a parameter,
/// relative to the largest parameter of its tensor, and of a loss part, relative to the loss.
fn distance_from_run<T: Number>(plan: &[Pass], mask_of_pass: fn(u64) -> u64, learning_rate: f64, by: By) -> f64 {
    let golden = Golden::read("recvae_run");
    let x = golden.csr("x");
    let noise = Recorded { golden: &golden, mask_of_pass };
    let options = RecVaeOptions {
        hidden_dim: HIDDEN,
        latent_dim: LATENT,
        batch_size: 10,
        gamma: GAMMA,
        learning_rate,
        ..RecVaeOptions::default()
    };
    let old = || old_encoder::<T>(&golden, "init.encoder_old.", x.n_cols());
    let network = network(&golden, "init.", x.n_cols(), true);
    let mut memory = EncoderMemory::default();
    let old = options.old_posterior(old, &x, &mut memory, &Cancel::default()).unwrap();
    let training = options.training(network, old, memory, &x, &noise);
    match by {
        By::Fused => distance(&golden, training, plan),
        #[cfg(feature = "candle")]
        By::Candle => distance(&golden, training.on(|fused| CandleEngine::new(fused, Device::Cpu)).unwrap(), plan),
        #[cfg(feature = "candle")]
        By::Own => {
            let own = |fused| CandleEngine::new(fused, Device::Cpu)?.with_own_operations(&x);
            distance(&golden, training.on(own).unwrap(), plan)
        }
    }
}

/// How far the epochs of a training are from the recorded ones.
fn distance<T: Real, E: Engine<T>>(golden: &Golden, mut training: Training<'_, T, E>, plan: &[Pass]) -> f64 {
    let mut worst = 0f64;
    let mut step = 0;
    for epoch in ["epoch0.", "epoch1."] {
        for &pass in plan {
            let encoder = matches!(pass, Pass::Train { update: Update::Encoder | Update::Both, .. });
            training
                .pass(pass, |loss| {
                    let recorded = &golden.values("mll_kld_loss")[step * 3..][..3];
                    worst = worst.max((loss.log_likelihood - recorded[0]).abs() / recorded[2].abs());
                    if encoder {
                        worst = worst.max((loss.kl - recorded[1]).abs() / recorded[2].abs());
                    }
                    step += 1;
                    Ok(())
                })
                .unwrap();
        }
        for Parameter { name, values: ours } in &training.engine.export().unwrap() {
            let theirs = golden_parameter(golden, epoch, name, true);
            let scale = theirs.iter().fold(0f64, |max, value| max.max(value.abs()));
            for (a, b) in ours.iter().zip(&theirs) {
                worst = worst.max((a.to_f64() - b).abs() / scale);
            }
        }
    }
    assert_eq!(step, 24);
    worst
}

fn encoder_pass() -> Pass {
    Pass::Train { update: Update::Encoder, dropout: 0.5, renew: false }
}

fn decoder_pass(dropout: f64, renew: bool) -> Pass {
    Pass::Train { update: Update::Decoder, dropout, renew }
}

const LEARNING_RATE: f64 = 5e-4;

#[test]
fn two_epochs_match_the_reference() {
    let plan = RecVaeOptions::default().plan();
    let same = |pass| pass;
    for &by in ENGINES {
        let distance = distance_from_run::<f64>(&plan, same, LEARNING_RATE, by);
        assert!(distance < 1e-6, "{by:?}: {distance}");
        // Adam divides by the root of the second moment: in its first steps a gradient near zero takes a full step in
        // the direction of its rounding error, so f32 can only be as close as a few steps of 5e-4.
        let distance = distance_from_run::<f32>(&plan, same, LEARNING_RATE, by);
        assert!(distance < 5e-3, "{by:?}: {distance}");
    }
}

#[test]
fn renewing_in_the_decoder_pass_is_renewing_before_it() {
    let encoder = encoder_pass();
    let plan = [encoder, encoder, encoder, Pass::Renew, decoder_pass(0.0, false)];
    for &by in ENGINES {
        let distance = distance_from_run::<f64>(&plan, |pass| pass, LEARNING_RATE, by);
        assert!(distance < 1e-6, "{by:?}: {distance}");
    }
}

#[test]
fn a_broken_loop_does_not_match() {
    let (encoder, decoder) = (encoder_pass(), decoder_pass(0.0, true));
    let joint = Pass::Train { update: Update::Both, dropout: 0.5, renew: false };
    let clean_decoder = decoder_pass(0.0, false);
    let same: fn(u64) -> u64 = |pass| pass;
    for (what, plan, mask, rate) in [
        ("renewed before the encoder passes", vec![Pass::Renew, encoder, encoder, encoder, clean_decoder], same, 5e-4),
        ("renewed amid the encoder passes", vec![encoder, encoder, Pass::Renew, encoder, clean_decoder], same, 5e-4),
        ("never renewed", vec![encoder, encoder, encoder, clean_decoder], same, 5e-4),
        (
            "noise in the decoder pass",
            vec![encoder, encoder, encoder, decoder_pass(0.5, true)],
            |pass| pass / 4 * 4,
            5e-4,
        ),
        ("joint steps", vec![joint, joint, joint, decoder], same, 5e-4),
        ("decoder first", vec![decoder, encoder, encoder, encoder], same, 5e-4),
        ("another learning rate", vec![encoder, encoder, encoder, decoder], same, 6e-4),
    ] {
        for &by in ENGINES {
            let distance = distance_from_run::<f64>(&plan, mask, rate, by);
            assert!(distance > 1e-4, "{what}, {by:?}: {distance}");
        }
    }
}

/// Every parameter of every architecture, by central differences of the loss.
#[test]
fn gradients_agree_with_differences() {
    let x = Csr::from_rows([&[0u32, 2, 5][..], &[1], &[3, 4, 5, 6], &[0, 6]], 7).unwrap();
    for (dense_encoder, hidden_decoder, posterior) in
        [(true, false, true), (false, true, true), (false, false, true), (false, false, false)]
    {
        for composite in [true, false] {
            let hidden_dim = if posterior { 5 } else { 3 };
            let architecture =
                Architecture { n_items: 7, hidden_dim, latent_dim: 3, dense_encoder, hidden_decoder, posterior };
            let scheme = if dense_encoder { Scheme::Torch } else { Scheme::Xavier };
            let mut network = Network::<f64>::new(architecture, &mut Init::new(3, Purpose::Weights, scheme));
            let old = Encoder::<f64>::new(architecture, &mut Init::new(3, Purpose::OldWeights, scheme));
            let noise = Seeded(9);
            let users = [0, 1, 2, 3];
            let mut normal = vec![0.0; users.len() * 3];
            normal.chunks_mut(3).zip(users).for_each(|(out, user)| noise.normal(0, user, out));
            let prior = match composite {
                false => Prior::Standard,
                true => {
                    Prior::Composite(CompositePrior { mixture_weights: [0.15, 0.75, 0.1], wide_log_variance: 10.0 })
                }
            };
            let (old, kl_weights) = (old.encode(&SparseInput::clean(x.rows())), vec![0.3, 0.1, 0.4, 0.2]);
            let sample = Sample { noise: normal, kl_weights, prior, old };
            let mut batch = Batch { histories: x.rows().collect(), sample, ..Batch::default() };
            batch.input.drop_out(&x, &users, 0.3, &noise, 0);
            batch.by_item.refill(&batch.input, 7);
            let backward = |network: &Network<f64>| {
                let mut memory = Memory::default();
                let backward = network.backward(&batch, Update::Both, &mut memory);
                let gradients = network.gradients(&batch, Update::Both, &memory);
                (backward.kl - backward.log_likelihood, gradients)
            };
            let (_, gradients) = backward(&network);
            let parameters: BTreeMap<String, Vec<f64>> =
                network.export().into_iter().map(|p| (p.name, p.values.into_raw_vec_and_offset().0)).collect();
            assert!(gradients.keys().eq(parameters.keys()));
            for (name, gradient) in &gradients {
                assert!(gradient.iter().any(|g| *g != 0.0), "{name} has a zero gradient");
                for (at, &slope) in gradient.iter().enumerate() {
                    let step = 1e-5;
                    let mut loss_at = |by: f64| {
                        let mut moved = parameters.clone();
                        moved.get_mut(name).unwrap()[at] += by;
                        network.import(|name, _| Ok(moved[name].clone())).unwrap();
                        backward(&network).0
                    };
                    let difference = (loss_at(step) - loss_at(-step)) / (2.0 * step);
                    // step^2 times the third derivative, and eps times the loss over the step: both below 1e-9.
                    assert!(
                        (difference - slope).abs() < 1e-7 * (1.0 + difference.abs()),
                        "{name}[{at}]: {difference} against {slope}"
                    );
                }
            }
        }
    }
}

/// Users and items of more than one tile and group, so that every seam of the blocked loss is crossed.
#[test]
fn blocked_likelihood_agrees_with_the_plain_formula() {
    use crate::nn::output_layer::{OutputLayer, Want};
    let (n_users, n_items, width) = (300, 4500, 6);
    let layer = OutputLayer::<f64>::new(n_items, width, &mut Init::new(1, Purpose::Weights, Scheme::Torch));
    let mut random = crate::base::random::Stream::new(2, 0);
    let hidden: Vec<f64> = (0..n_users * width).map(|_| 3.0 * random.normal()).collect();
    let histories: Vec<Vec<u32>> =
        (0..n_users).map(|user| (0..n_items as u32).filter(|_| user != 7 && random.below(50) == 0).collect()).collect();
    let histories: Vec<&[u32]> = histories.iter().map(|history| &history[..]).collect();
    let mut found = LogLikelihood::default();
    let both = Want { hidden_gradient: true, weight_gradient: true };
    layer.log_likelihood(&hidden, &histories, both, &mut found);
    let (weight_gradient, bias_gradient) = layer.gradients(&hidden, &histories, &found);
    let mut plain_weight = vec![0.0; n_items * width];
    let mut plain_bias = vec![0.0; n_items];
    for (user, history) in histories.iter().enumerate() {
        let z = &hidden[user * width..][..width];
        let logits: Vec<f64> = (0..n_items)
            .map(|i| (0..width).map(|j| z[j] * layer.weight[i * width + j]).sum::<f64>() + layer.bias[i])
            .collect();
        let maximum = logits.iter().copied().fold(f64::MIN, f64::max);
        let log_sum = maximum + logits.iter().map(|l| (l - maximum).exp()).sum::<f64>().ln();
        let n = history.len() as f64;
        let value = history.iter().map(|&i| logits[i as usize]).sum::<f64>() - n * log_sum;
        assert!((found.value[user] - value).abs() < 1e-9 * value.abs().max(1.0));
        let mut plain = vec![0.0; width];
        for item in 0..n_items {
            let hit = f64::from(u8::from(history.binary_search(&(item as u32)).is_ok()));
            let slope = hit - n * (logits[item] - log_sum).exp();
            plain_bias[item] -= slope / n_users as f64;
            for j in 0..width {
                plain[j] += slope * layer.weight[item * width + j];
                plain_weight[item * width + j] -= slope * z[j] / n_users as f64;
            }
        }
        close("hidden gradient", &found.hidden_gradient[user * width..][..width], &plain, 1e-9);
    }
    close("weight gradient", &weight_gradient, &plain_weight, 1e-9);
    close("bias gradient", &bias_gradient, &plain_bias, 1e-9);
    let only_value = Want { hidden_gradient: false, weight_gradient: false };
    let mut again = LogLikelihood::default();
    layer.log_likelihood(&hidden, &histories, only_value, &mut again);
    close("value alone", &again.value, &found.value, 1e-12);
    let mut logits = vec![0.0; n_users * n_items];
    layer.logits(view2(&hidden, (n_users, width)), view2_mut(&mut logits, (n_users, n_items)));
    let sum: f64 = histories[1].iter().map(|&i| logits[n_items + i as usize]).sum();
    let log_sum = logits[n_items..2 * n_items].iter().map(|l| l.exp()).sum::<f64>().ln();
    assert!((found.value[1] - (sum - histories[1].len() as f64 * log_sum)).abs() < 1e-9 * found.value[1].abs());
}

/// Same seed, other numbers of threads: the same bytes.
#[test]
fn bits_do_not_depend_on_threads() {
    let rows: Vec<Vec<u32>> = (0..700u32)
        .map(|user| {
            (0..900)
                .filter(|item| {
                    crate::base::random::Philox::new(1, user.into()).block(*item as u64)[0].is_multiple_of(30)
                })
                .collect()
        })
        .collect();
    let x = Csr::from_rows(&rows, 900).unwrap();
    for &kind in crate::model::ModelKind::TRAINED {
        let options = match kind {
            crate::model::ModelKind::MultDae => serde_json::json!({"epochs": 2, "latentDim": 40, "batchSize": 300}),
            kind if !kind.has_checkpoints() => serde_json::json!({}),
            crate::model::ModelKind::HVamp => serde_json::json!({
                "epochs": 2, "hiddenDim": 300, "latentDim": 40, "pseudoUsers": 130, "batchSize": 300
            }),
            _ => serde_json::json!({"epochs": 2, "hiddenDim": 300, "latentDim": 40, "batchSize": 300}),
        };
        let tensors = |threads, precision| {
            crate::Threads::new(Some(threads)).unwrap().install(|| {
                let run = FitRun { compute: Compute { precision, ..Compute::default() }, ..FitRun::default() };
                let fit = kind.fit(&options, &x, None, &run).unwrap();
                let tensors = fit.model.tensors().unwrap();
                let bits = tensors.into_iter().map(|tensor| match tensor.data {
                    crate::model::TensorData::F32(values) => values.iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
                    crate::model::TensorData::U32(values) => values.iter().copied().collect(),
                    _ => unreachable!(),
                });
                bits.collect::<Vec<_>>()
            })
        };
        let mut ones = vec![];
        for precision in [TrainingPrecision::F32, TrainingPrecision::Bf16] {
            if precision == TrainingPrecision::Bf16 && !kind.has_precisions() {
                continue;
            }
            let one = tensors(1, precision);
            for threads in [2, 3, 5] {
                assert!(one == tensors(threads, precision), "{kind:?} in {precision:?} with {threads} threads");
            }
            assert!(!ones.contains(&one), "{kind:?} is the same in both precisions");
            ones.push(one);
        }
    }
}

#[test]
fn training_that_explodes_names_epoch_batch_and_option() {
    let x = Csr::from_rows([&[0u32, 2, 5][..], &[1], &[3, 4, 5, 6], &[0, 6]], 7).unwrap();
    for kind in [crate::model::ModelKind::MultDae, crate::model::ModelKind::MultVae, crate::model::ModelKind::RecVae] {
        let mut options = serde_json::json!({"learningRate": 1e30, "latentDim": 2, "batchSize": 2});
        if kind != crate::model::ModelKind::MultDae {
            options["hiddenDim"] = 4.into();
        }
        let Err(error) = kind.fit(&options, &x, None, &FitRun::default()) else { panic!("{kind:?} did not explode") };
        assert_eq!(error.code(), "NUMERICAL");
        let text = error.to_string();
        assert!(text.contains("epoch 1") && text.contains("batch") && text.contains("learningRate"), "{text}");
    }
}
