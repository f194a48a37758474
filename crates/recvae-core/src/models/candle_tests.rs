//! The two engines against each other, in f64, at sizes that cross every seam between tiles, groups and blocks: loss,
//! gradients of every parameter, steps, and whole trainings.

#![allow(clippy::unwrap_used)] // clippy knows tests by cfg(test) alone

use std::borrow::Cow;

use crate::base::compute::{Compute, Device, EngineKind};
use crate::base::matrix::row_major_mut;
use crate::base::random::Stream;
use crate::evaluate::lists::recommend;
use crate::evaluate::scorer::{ListFinder, Scorer};
use crate::evaluate::top_k::top_k;
use crate::math::csr::Csr;
use crate::nn::batch::{Batch, Draw, SparseInput, draw_noise};
use crate::nn::candle::CandleEngine;
use crate::nn::encoder::{Architecture, EncoderMemory};
use crate::nn::engine::{Engine, ItemLayer};
use crate::nn::fused::Fused;
use crate::nn::init::{Init, Scheme};
use crate::nn::latent::{CompositePrior, Prior, Sample};
use crate::nn::network::{Loss, Memory, Network, Optimiser, Update};
use crate::nn::noise::{Purpose, Seeded};
use crate::nn::old_posterior::OldPosterior;
use crate::test_support::gpu;
use crate::train::training::{KlWeight, Pass, Training};

const USERS: usize = 300;
const ITEMS: usize = 2300;
const HIDDEN: usize = 150;
const LATENT: usize = 12;

fn rows(users: usize, items: usize) -> Csr {
    let mut random = Stream::new(12, 0);
    let rows: Vec<Vec<u32>> =
        (0..users).map(|_| (0..items as u32).filter(|_| random.below(40) == 0).collect()).collect();
    Csr::from_rows(&rows, items).unwrap()
}

fn normals(n: usize) -> Vec<f64> {
    let mut random = Stream::new(11, 0);
    (0..n).map(|_| random.normal()).collect()
}

/// Both engines at the same beginning, with the same batch: all users, dropout at its work.
fn at_start(x: &Csr, architecture: Architecture, prior: Prior) -> (Fused<f64>, CandleEngine<f64>, Batch<'_, f64>) {
    let Architecture { n_items, latent_dim, .. } = architecture;
    let n = x.n_rows();
    let engine = || {
        let network = Network::<f64>::new(architecture, &mut Init::new(5, Purpose::Weights, Scheme::Torch));
        let optimiser = Optimiser::new(&network, 1e-3).with_squares(if architecture.posterior { 0.0 } else { 1e-3 });
        let old = prior.is_composite().then(|| {
            let never = crate::base::cancel::Cancel::default();
            OldPosterior::of(&network.encoder, x, latent_dim, 64, &mut EncoderMemory::default(), &never).unwrap()
        });
        let old = old.map(|mut old| {
            row_major_mut(old.rows_mut()).copy_from_slice(&normals(n * 2 * latent_dim));
            old
        });
        Fused::new(network, optimiser, old, EncoderMemory::default())
    };
    let kl_weights: Vec<f64> = x.rows().map(|history| 0.01 * history.len() as f64).collect();
    let sample = Sample { noise: normals(n * latent_dim), kl_weights, prior, old: normals(n * 2 * latent_dim) };
    let mut batch = Batch {
        users: (0..n).collect(),
        histories: x.rows().collect(),
        input: SparseInput::default(),
        sample,
        ..Batch::default()
    };
    batch.input.drop_out(x, &batch.users, 0.4, &crate::nn::noise::Seeded(3), 0);
    batch.by_item.refill(&batch.input, n_items);
    (engine(), CandleEngine::new(engine(), Device::Cpu).unwrap(), batch)
}

/// Every architecture with its priors.
fn designs(n_items: usize, hidden_dim: usize, latent_dim: usize) -> Vec<(Architecture, Prior)> {
    let composite = |weights| Prior::Composite(CompositePrior { mixture_weights: weights, wide_log_variance: 10.0 });
    let architecture = |dense_encoder, hidden_decoder, posterior| Architecture {
        n_items,
        hidden_dim: if posterior { hidden_dim } else { latent_dim },
        latent_dim,
        dense_encoder,
        hidden_decoder,
        posterior,
    };
    vec![
        (architecture(true, false, true), composite([0.15, 0.75, 0.1])),
        (architecture(true, false, true), composite([0.0, 1.0, 0.0])),
        (architecture(false, true, true), Prior::Standard),
        (architecture(false, false, true), composite([0.2, 0.5, 0.3])),
        (architecture(false, false, false), Prior::Standard),
    ]
}

/// The largest difference, of the largest number.
fn distance(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let scale = theirs.iter().fold(0f64, |max, value| max.max(value.abs()));
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0f64, f64::max) / scale.max(f64::MIN_POSITIVE)
}

#[test]
fn loss_and_gradients_of_both_engines_agree() {
    let x = rows(USERS, ITEMS);
    for (architecture, prior) in designs(ITEMS, HIDDEN, LATENT) {
        let (fused, candle, batch) = at_start(&x, architecture, prior);
        for update in [Update::Encoder, Update::Decoder, Update::Both] {
            let mut memory = Memory::default();
            let ours = fused.network.backward(&batch, update, &mut memory);
            let gradients = fused.network.gradients(&batch, update, &memory);
            let (theirs, other) = candle.gradients(&batch, update).unwrap();
            // Both are f64 sums of up to 2,300 terms in different orders.
            let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-11 * theirs.log_likelihood.abs(), "{a} and {b}");
            near(ours.log_likelihood, theirs.log_likelihood);
            near(ours.kl, theirs.kl);
            assert_eq!(gradients.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
            for (name, gradient) in &gradients {
                assert!(other[name].iter().any(|&value| value != 0.0), "{name}");
                let off = distance(gradient, &other[name]);
                assert!(off < 1e-10, "{name} by {update:?}: off by {off}");
            }
        }
    }
}

#[test]
fn steps_of_both_engines_agree() {
    let x = rows(70, 230);
    for (architecture, prior) in designs(230, 20, 6) {
        let (mut fused, mut candle, mut batch) = at_start(&x, architecture, prior);
        for (update, renew) in
            [(Update::Both, false), (Update::Encoder, false), (Update::Decoder, true), (Update::Both, false)]
        {
            batch.sample.prior = if update == Update::Decoder { Prior::Free } else { prior };
            let ours = fused.step(&mut batch, update, renew).unwrap().unwrap();
            let theirs = candle.step(&mut batch, update, renew).unwrap().unwrap();
            // Each step starts where the one before ended.
            assert!((ours.log_likelihood - theirs.log_likelihood).abs() < 1e-8 * theirs.log_likelihood.abs());
            assert!((ours.kl - theirs.kl).abs() < 1e-8 * theirs.log_likelihood.abs());
        }
        for (ours, theirs) in fused.export().unwrap().iter().zip(candle.export().unwrap()) {
            assert_eq!((&ours.name, ours.values.shape()), (&theirs.name, theirs.values.shape()));
            // Adam divides by the root of the second moment: where a gradient is nearly 0, rounding decides a part of
            // the step.
            let off = distance(ours.values.as_slice().unwrap(), theirs.values.as_slice().unwrap());
            assert!(off < 1e-7, "{}: off by {off}", ours.name);
        }
    }
}

#[test]
fn a_batch_of_empty_histories_and_a_single_user_are_no_exception() {
    for x in [Csr::from_rows([&[][..], &[]], 9).unwrap(), Csr::from_rows([&[0u32, 8][..]], 9).unwrap()] {
        for (architecture, prior) in designs(9, 4, 3) {
            let (mut fused, mut candle, mut batch) = at_start(&x, architecture, prior);
            let ours = fused.step(&mut batch, Update::Both, true).unwrap().unwrap();
            let theirs = candle.step(&mut batch, Update::Both, true).unwrap().unwrap();
            assert!((ours.log_likelihood - theirs.log_likelihood).abs() < 1e-12 && (ours.kl - theirs.kl).abs() < 1e-12);
            assert!(candle.is_finite().unwrap());
        }
    }
}

#[test]
fn a_loss_that_is_not_finite_changes_nothing() {
    let x = rows(20, 60);
    let (architecture, prior) = designs(60, 5, 3)[0];
    let (_, mut candle, mut batch) = at_start(&x, architecture, prior);
    let values =
        |engine: &CandleEngine<f64>| engine.export().unwrap().into_iter().map(|p| p.values).collect::<Vec<_>>();
    let before = values(&candle);
    batch.sample.noise[0] = f64::INFINITY;
    assert!(!candle.step(&mut batch, Update::Both, true).unwrap().unwrap().is_finite());
    assert_eq!(values(&candle), before);
    candle
        .replace_items(ItemLayer::DecoderOutput, &mut |mut weight| {
            assert_eq!(weight.dim(), (60, 3));
            weight[(2, 1)] = f64::NAN;
            Ok(())
        })
        .unwrap();
    assert!(!candle.is_finite().unwrap());
}

/// candle's engine at the beginning of [`at_start`], on a device, with operations of its own.
fn own(x: &Csr, architecture: Architecture, prior: Prior, device: Device) -> CandleEngine<f64> {
    let (fused, ..) = at_start(x, architecture, prior);
    CandleEngine::new(fused, device).unwrap().with_own_operations(x).unwrap()
}

#[test]
fn operations_of_our_own_agree_with_candles() {
    let x = rows(USERS, ITEMS);
    for (architecture, prior) in designs(ITEMS, HIDDEN, LATENT) {
        let (_, candle, mut batch) = at_start(&x, architecture, prior);
        let own = own(&x, architecture, prior, Device::Cpu);
        // The same noise as what is drawn for the seed.
        draw_noise(&mut batch.sample.noise, &batch.users, LATENT, &Seeded(3), 0);
        let (kept, noise) = (batch.input.indices.clone(), batch.sample.noise.clone());
        for update in [Update::Encoder, Update::Decoder, Update::Both] {
            batch.draw = None;
            let (ours, gradients) = candle.gradients(&batch, update).unwrap();
            for draw in [None, Some(Draw { seed: 3, pass: 0, rate: 0.4 })] {
                batch.draw = draw;
                let (theirs, other) = own.gradients(&batch, update).unwrap();
                let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-11 * ours.log_likelihood.abs(), "{a} and {b}");
                near(ours.log_likelihood, theirs.log_likelihood);
                near(ours.kl, theirs.kl);
                assert_eq!(gradients.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
                for (name, gradient) in &gradients {
                    let off = distance(gradient, &other[name]);
                    assert!(off < 1e-10, "{name} by {update:?}: off by {off}");
                }
            }
        }
        // What is drawn is bit for bit what the host draws.
        let drawn = own.drawn(&batch);
        assert_eq!(drawn.0, kept);
        assert_eq!(drawn.1, if architecture.posterior { noise } else { vec![] });
    }
}

#[test]
fn a_training_of_our_own_operations_tells_the_same_losses_later() {
    let x = rows(400, 230);
    for (architecture, prior) in designs(230, 20, 6) {
        let noise = Seeded(8);
        let plan = [
            Pass::Train { update: Update::Both, dropout: 0.5, renew: false },
            Pass::Train { update: Update::Encoder, dropout: 0.3, renew: false },
            Pass::Train { update: Update::Decoder, dropout: 0.0, renew: true },
            Pass::Renew,
            Pass::Train { update: Update::Both, dropout: 0.0, renew: false },
        ];
        let kl_weight = if architecture.posterior { 0.01 } else { 0.0 };
        let train = |engine: CandleEngine<f64>| {
            let training = Training::new(engine, &x, &noise, KlWeight::PerInteraction(kl_weight), 5);
            let prior = match prior {
                Prior::Composite(prior) => Some(prior),
                _ => None,
            };
            let mut training = Training { prior, ..training };
            let mut steps: Vec<[f64; 2]> = vec![];
            let mut passes: Vec<[f64; 2]> = vec![];
            for pass in plan {
                let each = |loss: Loss| {
                    steps.push([loss.log_likelihood, loss.kl]);
                    Ok(())
                };
                let loss = training.pass(pass, each).unwrap();
                passes.extend(loss.map(|loss| [loss.log_likelihood, loss.kl]));
            }
            (steps, passes, training.engine.export().unwrap())
        };
        let (steps, passes, parameters) = train(at_start(&x, architecture, prior).1);
        let (own_steps, own_passes, own_parameters) = train(own(&x, architecture, prior, Device::Cpu));
        // 80 batches a pass: some are fetched within it, the rest at its end.
        assert_eq!((steps.len(), own_steps.len(), own_passes.len()), (320, 320, 4));
        // As above, rounding decides a part of Adam's steps.
        let off = distance(own_steps.as_flattened(), steps.as_flattened());
        assert!(off < 1e-6, "steps off by {off}");
        assert!(distance(own_passes.as_flattened(), passes.as_flattened()) < 1e-6);
        for (ours, theirs) in own_parameters.iter().zip(&parameters) {
            let off = distance(ours.values.as_slice().unwrap(), theirs.values.as_slice().unwrap());
            assert!(off < 1e-4, "{}: off by {off}", ours.name);
        }
    }
}

#[test]
fn a_loss_that_is_found_later_ends_the_training_with_its_batch() {
    let x = rows(400, 60);
    let (architecture, prior) = designs(60, 5, 3)[2];
    let mut engine = own(&x, architecture, prior, Device::Cpu);
    let spoil = &mut |mut weight: ndarray::ArrayViewMut2<'_, f64>| {
        weight[(2, 1)] = f64::NAN;
        Ok(())
    };
    engine.replace_items(ItemLayer::DecoderOutput, spoil).unwrap();
    let mut training = Training::new(engine, &x, &Seeded(1), KlWeight::PerInteraction(0.01), 5);
    let pass = Pass::Train { update: Update::Both, dropout: 0.5, renew: false };
    let mut told = 0;
    let each = |_| {
        told += 1;
        Ok(())
    };
    let error = training.pass(pass, each).err().unwrap().to_string();
    assert!(error.starts_with("batch 1: log-likelihood NaN"), "{error}");
    assert_eq!(told, 0);
}

/// What runs on a GPU, where one opens: everything that the processor's device is asked above, in f32.
#[test]
fn a_gpu_computes_as_the_processor() {
    let Some(gpu) = gpu() else { return };
    let x = rows(USERS, ITEMS);
    for (architecture, prior) in designs(ITEMS, HIDDEN, LATENT) {
        let engine = |device| {
            let network = Network::<f32>::new(architecture, &mut Init::new(5, Purpose::Weights, Scheme::Torch));
            let optimiser = Optimiser::new(&network, 1e-3).with_squares(1e-3);
            let never = crate::base::cancel::Cancel::default();
            let old = prior.is_composite().then(|| {
                let mut memory = EncoderMemory::default();
                OldPosterior::of(&network.encoder, &x, LATENT.min(architecture.latent_dim), 64, &mut memory, &never)
            });
            let fused = Fused::new(network, optimiser, old.transpose().unwrap(), EncoderMemory::default());
            CandleEngine::new(fused, device).unwrap().with_own_operations(&x).unwrap()
        };
        let noise = Seeded(8);
        let composite = match prior {
            Prior::Composite(prior) => Some(prior),
            _ => None,
        };
        let train = |device| {
            let kl_weight = KlWeight::PerInteraction(if architecture.posterior { 0.01 } else { 0.0 });
            let training = Training::new(engine(device), &x, &noise, kl_weight, 70);
            let mut training = Training { prior: composite, ..training };
            let mut losses = vec![];
            for pass in [
                Pass::Train { update: Update::Both, dropout: 0.4, renew: false },
                Pass::Train { update: Update::Encoder, dropout: 0.4, renew: false },
                Pass::Train { update: Update::Decoder, dropout: 0.0, renew: true },
                Pass::Renew,
            ] {
                let each = |loss: Loss| {
                    losses.extend([loss.log_likelihood, loss.kl]);
                    Ok(())
                };
                training.pass(pass, each).unwrap();
            }
            let histories: Vec<&[u32]> = x.rows().collect();
            let mut scores = ndarray::Array2::zeros((histories.len(), ITEMS));
            training.engine.score(&histories, scores.view_mut()).unwrap();
            let scores: Vec<f64> = scores.iter().map(|&score: &f32| f64::from(score)).collect();
            (losses, scores)
        };
        let (ours, theirs) = (train(Device::Cpu), train(gpu));
        // f32 sums of up to 2,300 terms in other orders, and Adam's first steps, which go by the sign of what is nearly
        // 0.
        let off = [distance(&theirs.0, &ours.0), distance(&theirs.1, &ours.1)];
        assert!(off[0] < 1e-3 && off[1] < 2e-2, "{off:?}");
    }
}

/// Whole trainings, with validation, checkpoints and ImplicitSLIM, by both engines in f32.
#[test]
fn trainings_of_both_engines_end_alike() {
    use crate::evaluate::evaluation::evaluate;
    use crate::evaluate::metrics::Metric;
    use crate::model::ModelKind;
    use crate::train::run::FitRun;
    use serde_json::json;
    let x = Csr::from_rows(
        (0..120u32).map(|user| {
            (0..20u32)
                .filter(move |item| (item * 7 + user * 3) % 10 < 7)
                .map(move |item| (user % 2) * 20 + item)
                .collect::<Vec<_>>()
        }),
        40,
    )
    .unwrap();
    let held_out = {
        let part = |target: bool| {
            let rows = x.rows().map(|row| {
                row.iter()
                    .copied()
                    .enumerate()
                    .filter(|(at, _)| (at % 4 == 0) == target)
                    .map(|(_, item)| item)
                    .collect::<Vec<_>>()
            });
            Csr::from_rows(rows, 40).unwrap()
        };
        crate::split::parts::HeldOut::new((0..120).map(|user| user.to_string()).collect(), part(false), part(true))
            .unwrap()
    };
    for (kind, options) in [
        (ModelKind::MultDae, json!({"latentDim": 6, "batchSize": 50, "epochs": 6, "learningRate": 0.01})),
        (
            ModelKind::MultVae,
            json!({"hiddenDim": 20, "latentDim": 6, "batchSize": 50, "epochs": 6, "learningRate": 0.01}),
        ),
        (
            ModelKind::RecVae,
            json!({"hiddenDim": 20, "latentDim": 6, "batchSize": 50, "epochs": 4, "learningRate": 0.01}),
        ),
        (
            ModelKind::RecVae,
            json!({"hiddenDim": 20, "latentDim": 6, "batchSize": 50, "epochs": 4, "learningRate": 0.01, "implicitSlim": true, "slimEvery": 2, "slimLambda": 5}),
        ),
        (
            ModelKind::RecVae,
            json!({"hiddenDim": 20, "latentDim": 6, "batchSize": 50, "epochs": 4, "learningRate": 0.01, "training": "joint", "encoder": "shallow"}),
        ),
    ] {
        let by = |engine| {
            let run =
                FitRun { compute: Compute { engine, device: Device::Cpu, ..Compute::default() }, ..FitRun::default() };
            kind.fit(&options, &x, Some(&held_out), &run).unwrap()
        };
        let (fused, candle) = (by(EngineKind::Fused), by(EngineKind::Candle));
        assert_eq!(candle.epochs[0].compute.unwrap().engine, EngineKind::Candle);
        assert_eq!(fused.epochs.len(), candle.epochs.len());
        for (ours, theirs) in fused.epochs.iter().zip(&candle.epochs) {
            let (ours, theirs) = (ours.log_likelihood.unwrap(), theirs.log_likelihood.unwrap());
            // f32: Adam's first steps go in the direction of rounding errors where gradients are nearly 0.
            assert!((ours - theirs).abs() < 2e-3 * theirs.abs(), "{kind:?}: {ours} and {theirs}");
        }
        let metric = |fit: &crate::model::Fit| {
            evaluate(&*fit.model, &held_out, &[Metric::VALIDATION]).unwrap().mean(Metric::VALIDATION).unwrap()
        };
        assert!(
            (metric(&fused) - metric(&candle)).abs() < 0.02,
            "{kind:?}: {} and {}",
            metric(&fused),
            metric(&candle)
        );
    }
    // What is no network has no engine but the processor.
    let run = FitRun {
        compute: Compute { engine: EngineKind::Candle, device: Device::Cpu, ..Compute::default() },
        ..FitRun::default()
    };
    let error = ModelKind::Ease.fit(&json!({}), &x, None, &run).err().unwrap().to_string();
    assert_eq!(error, "engine is 'candle' for ease; allowed: for mult-dae, mult-vae, recvae, hvamp");
}

/// Lists of a network in training against those from all of its scores: the processor's device of candle, and a GPU
/// where one opens.
#[test]
fn a_gpu_finds_the_lists_of_a_network_in_training() {
    let x = rows(USERS, ITEMS);
    let histories: Vec<&[u32]> = x.rows().collect();
    let left_out: Vec<Cow<'_, [u32]>> = histories.iter().map(|&items| Cow::Borrowed(items)).collect();
    for (architecture, _) in designs(ITEMS, HIDDEN, LATENT) {
        for device in [Some(Device::Cpu), gpu()].into_iter().flatten() {
            let network = Network::<f32>::new(architecture, &mut Init::new(5, Purpose::Weights, Scheme::Torch));
            let optimiser = Optimiser::new(&network, 1e-3);
            let fused = Fused::new(network, optimiser, None, EncoderMemory::default());
            let mut engine = CandleEngine::new(fused, device).unwrap().with_own_operations(&x).unwrap();
            assert!(engine.list_finder().is_some_and(|finder| finder.is_worth_it(USERS, 100)));
            let scores = engine.scores(&histories).unwrap();
            for k in [1, 100] {
                let lists = engine.find(&engine, &histories, &left_out, k).unwrap();
                for (user, list) in lists.into_iter().enumerate() {
                    assert_eq!(list.unwrap(), top_k(scores.row(user).as_slice().unwrap(), histories[user], k).unwrap());
                }
            }
            let stopped = crate::base::cancel::Cancel::default();
            stopped.cancel();
            let lists = recommend(&stopped.watch(&engine), &histories, 10, true);
            assert_eq!(lists.unwrap_err().code(), "CANCELLED");
            engine
                .replace_items(ItemLayer::DecoderOutput, &mut |mut weight| {
                    weight[(2, 1)] = f32::NAN;
                    Ok(())
                })
                .unwrap();
            // Then the lists are asked for from all scores, and that names the item.
            assert_eq!(engine.find(&engine, &histories, &left_out, 3).unwrap(), vec![None; USERS]);
        }
    }
}
