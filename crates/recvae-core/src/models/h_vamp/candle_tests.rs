//! candle's engine of H+Vamp against recorded values and against the processor's own: loss, gradients of every
//! parameter, steps, and whole trainings with checkpoints.

#![allow(clippy::unwrap_used)] // clippy knows tests by cfg(test) alone

use super::candle::CandleEngine;
use super::network::{Batch, Loss};
use super::tests::{PARTS, loss_and_gradients_match, network};
use super::training::{Engine, Fused, Host, Step};
use super::*;
use crate::base::cancel::Cancel;
use crate::base::compute::{Compute, Device, EngineKind};
use crate::base::error::Error;
use crate::base::random::Stream;
use crate::evaluate::evaluation::evaluate;
use crate::evaluate::metrics::Metric;
use crate::math::real::Real;
use crate::nn::batch::{SparseInput, draw_noise};
use crate::nn::noise::Seeded;
use crate::test_support::{Golden, close, gpu};
use crate::train::checkpoint::{Checkpoint, CheckpointOptions};

/// Histories of a third of the items, all but the last one, which has none.
fn histories(users: usize, items: usize) -> Csr {
    let mut random = Stream::new(5, 0);
    let mut rows: Vec<Vec<u32>> =
        (1..users).map(|_| (0..items as u32).filter(|_| random.below(3) == 0).collect()).collect();
    rows.push(vec![]);
    Csr::from_rows(rows, items).unwrap()
}

/// What is drawn for one step.
struct Drawn<T> {
    inputs: [SparseInput<T>; 2],
    noise: [Vec<T>; 2],
}

fn draw<T: Real>(x: &Csr, latent: usize, step: u64) -> Drawn<T> {
    let (users, seeded): (Vec<usize>, _) = ((0..x.n_rows()).collect(), Seeded(3));
    let input = |pass| {
        let mut input = SparseInput::default();
        input.drop_out(x, &users, 0.5, &seeded, pass);
        input
    };
    let normals = |pass| {
        let mut normals = vec![];
        draw_noise(&mut normals, &users, latent, &seeded, pass);
        normals
    };
    let passes = [2 * step, 2 * step + 1];
    Drawn { inputs: passes.map(input), noise: passes.map(normals) }
}

impl<T: Real> Drawn<T> {
    fn batch<'a>(&'a self, histories: &'a [&'a [u32]]) -> Batch<'a, T> {
        let ([input_2, input_1], [noise_2, noise_1]) = (&self.inputs, &self.noise);
        Batch { histories, inputs: [input_2, input_1], noise: [noise_2, noise_1] }
    }
}

/// The largest difference, of the largest number.
fn distance<T: Real>(ours: &[T], theirs: &[T]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let scale = theirs.iter().fold(0f64, |max, value| max.max(value.to_f64().abs()));
    let worst = ours.iter().zip(theirs).map(|(a, b)| (a.to_f64() - b.to_f64()).abs()).fold(0f64, f64::max);
    worst / scale.max(f64::MIN_POSITIVE)
}

const SHAPE: Shape = Shape { n_items: 230, hidden: 40, latent: 18, pseudo_users: 70 };

/// Random parameters with what is clipped: variances below and above their bounds and at one, pseudo-users likewise;
/// and gates that are shut so far that `e^-gate` is no number of f32.
fn awkward<T: Real>(seed: u64) -> Network<T> {
    let mut network = Network::random(SHAPE, seed);
    for (name, shape, values) in network.tensors_mut() {
        if name.ends_with("log_variance.bias") {
            let some = [-20.0, -11.0, 4.5, 3.5, 4.0];
            some.iter().zip(&mut *values).for_each(|(&number, value)| *value = T::from_f64(number));
        }
        if name.ends_with("log_variance.weight") {
            // What has a bias of 4 has nothing but it.
            values[4 * shape[1]..5 * shape[1]].fill(T::ZERO);
        }
        if name == "pseudo_users" {
            let some = [-0.5, 0.0, 1.0, 1.5, -1e-9];
            some.iter().cycle().zip(&mut *values).take(300).for_each(|(&number, value)| *value = T::from_f64(number));
        }
        if name.ends_with("gate.bias") {
            values[0] = T::from_f64(-200.0);
            values[1] = T::from_f64(200.0);
        }
    }
    network
}

fn cpu<T: Real + candle_core::WithDType>(network: Network<T>) -> (Host<T>, CandleEngine) {
    let host = Host::new(network);
    let engine = CandleEngine::new(&host, Device::Cpu).unwrap();
    (host, engine)
}

#[test]
fn loss_and_gradients_are_the_recorded_ones() {
    let golden = Golden::read("hvamp_step");
    let (_, engine) = cpu(network::<f64>(&golden));
    loss_and_gradients_match(&golden, |batch, likelihood| engine.gradients(batch, likelihood, 0.3).unwrap());
}

/// Loss and gradients of both engines, and how far apart the gradients are at most, with the name.
fn gradients<T: Real + candle_core::WithDType>(likelihood: Likelihood) -> ([Loss; 2], (f64, String)) {
    let (host, engine) = cpu(awkward::<T>(4));
    let x = histories(60, SHAPE.n_items);
    let (drawn, histories): (Drawn<T>, Vec<&[u32]>) = (draw(&x, SHAPE.latent, 0), x.rows().collect());
    let batch = drawn.batch(&histories);
    let mut sums = Network::zeros(SHAPE);
    let ours = host.network.loss(&batch, 0.7, likelihood, &mut sums);
    let (theirs, gradients) = engine.gradients(&batch, likelihood, 0.7).unwrap();
    assert_eq!(gradients.len(), sums.tensors().len());
    let apart = sums.tensors().into_iter().zip(gradients).map(|((name, _, ours), (other, theirs))| {
        assert_eq!(name, other);
        assert!(ours.iter().any(|number| *number != <T as Real>::ZERO), "{name}");
        // What is clipped has a gradient of 0 in both, and nothing else has.
        assert!(
            ours.iter()
                .zip(&theirs)
                .all(|(a, b)| name != "pseudo_users" || (*a == <T as Real>::ZERO) == (*b == <T as Real>::ZERO))
        );
        (distance(&theirs, ours), name)
    });
    ([ours, theirs], apart.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap())
}

#[test]
fn loss_and_gradients_of_both_engines_agree() {
    for (name, likelihood) in PARTS {
        // Sums of up to 4,200 terms in different orders; z2 is up to 1e6 times as far from a pseudo-user as its
        // deviation.
        let ([ours, theirs], apart) = gradients::<f64>(likelihood);
        close(name, &[theirs.log_likelihood, theirs.kl], &[ours.log_likelihood, ours.kl], 1e-12);
        assert!(apart.0 < 1e-9, "{name}: {apart:?}");
        let ([ours, theirs], apart) = gradients::<f32>(likelihood);
        close(name, &[theirs.log_likelihood, theirs.kl], &[ours.log_likelihood, ours.kl], 1e-5);
        assert!(apart.0 < 1e-3, "{name}: {apart:?}");
    }
}

/// How far apart losses, parameters and moments are at most after so many steps.
fn steps<T: Real + candle_core::WithDType>(likelihood: Likelihood, number: u64) -> [f64; 3] {
    let x = histories(60, SHAPE.n_items);
    let histories: Vec<&[u32]> = x.rows().collect();
    let mut ours = Host::new(Network::<T>::random(SHAPE, 4));
    let (mut theirs, mut candle) = cpu(Network::<T>::random(SHAPE, 4));
    let mut fused = Fused::new(SHAPE);
    let mut of_losses = 0f64;
    for number in 1..=number {
        let drawn = draw(&x, SHAPE.latent, number);
        let step = Step { likelihood, beta: 0.5, learning_rate: 1e-3, number };
        let fused = fused.step(step, &drawn.batch(&histories), &mut ours).unwrap();
        let candle = candle.step(step, &drawn.batch(&histories), &mut theirs).unwrap();
        let [fused, candle] = [fused, candle].map(|loss| [loss.log_likelihood, loss.kl]);
        of_losses = of_losses.max(distance(&candle, &fused));
    }
    // Only now are those of the host what was trained.
    candle.network_to_host(&mut theirs.network).unwrap();
    candle.moments_to_host(&mut theirs.moments).unwrap();
    let parameters = ours.network.tensors().into_iter().zip(theirs.network.tensors());
    let of_parameters = parameters.map(|((.., ours), (.., theirs))| distance(theirs, ours)).fold(0.0, f64::max);
    let moments = ours.moments.iter().zip(&theirs.moments);
    let of_moments = moments
        .flat_map(|(ours, theirs)| [distance(&theirs.first, &ours.first), distance(&theirs.second, &ours.second)])
        .fold(0.0, f64::max);
    [of_losses, of_parameters, of_moments]
}

#[test]
fn steps_of_both_engines_agree() {
    for (name, likelihood) in PARTS {
        // Adam's first step is one by the sign of a gradient, whatever its size; rounding decides it where the gradient
        // is nearly 0.
        let apart = [steps::<f64>(likelihood, 1), steps::<f64>(likelihood, 8)];
        // All of that stays some hundred times below what is allowed here: 1e-13 and 1e-5 were seen, 1e-6 of the
        // losses, with sums of eight numbers at once; those of sixteen are in another order.
        assert!(apart.iter().flatten().all(|&apart| apart < 1e-10), "{name}: {apart:?}");
        let apart = [steps::<f32>(likelihood, 1), steps::<f32>(likelihood, 8)];
        assert!(apart.iter().flatten().all(|&apart| apart < 1e-3), "{name}: {apart:?}");
        assert!(apart.iter().all(|[of_losses, ..]| *of_losses < 1e-5), "{name}: {apart:?}");
    }
}

/// A step with no item in any history, by either likelihood.
#[test]
fn a_batch_of_empty_histories_is_no_exception() {
    let x = Csr::from_rows([&[][..], &[]], SHAPE.n_items).unwrap();
    let histories: Vec<&[u32]> = x.rows().collect();
    let drawn = draw::<f64>(&x, SHAPE.latent, 1);
    for (_, likelihood) in PARTS {
        let (mut ours, mut fused) = (Host::new(Network::random(SHAPE, 4)), Fused::new(SHAPE));
        let (mut theirs, mut candle) = cpu(Network::random(SHAPE, 4));
        for number in 1..=2 {
            let step = Step { likelihood, beta: 0.5, learning_rate: 1e-3, number };
            let ours = fused.step(step, &drawn.batch(&histories), &mut ours).unwrap();
            let theirs = candle.step(step, &drawn.batch(&histories), &mut theirs).unwrap();
            let [ours, theirs] = [ours, theirs].map(|loss| [loss.log_likelihood, loss.kl]);
            assert!(distance(&theirs, &ours) < 1e-9, "{ours:?} and {theirs:?}");
        }
    }
}

fn options() -> HVampOptions {
    HVampOptions {
        hidden_dim: 12,
        latent_dim: 5,
        pseudo_users: 4,
        batch_size: 25,
        epochs: 2,
        warm_up: 1,
        ..HVampOptions::default()
    }
}

fn held_out(x: &Csr) -> HeldOut {
    let part = |target: bool| {
        let rows = x.rows().map(|row| row.iter().copied().filter(|item| (item % 3 == 0) == target).collect::<Vec<_>>());
        Csr::from_rows(rows, x.n_cols()).unwrap()
    };
    HeldOut::new((0..x.n_rows()).map(|user| user.to_string()).collect(), part(false), part(true)).unwrap()
}

fn by(engine: EngineKind) -> FitRun<'static> {
    FitRun { compute: Compute { engine, ..Compute::default() }, ..FitRun::default() }
}

#[test]
fn trainings_of_both_engines_end_alike() {
    let x = histories(110, 60);
    let held_out = held_out(&x);
    for likelihood in [HVampLikelihood::Multinomial, HVampLikelihood::Bernoulli] {
        let options = HVampOptions { likelihood, ..options() };
        let [fused, candle] = [EngineKind::Fused, EngineKind::Candle].map(|engine| {
            let fit = fit(&options, &x, Some(&held_out), &by(engine)).unwrap();
            assert!(fit.epochs.iter().all(|epoch| epoch.compute.unwrap().engine == engine));
            let metric = evaluate(&*fit.model, &held_out, &[Metric::VALIDATION]).unwrap().mean(Metric::VALIDATION);
            let told = fit.epochs.iter().map(|epoch| [epoch.log_likelihood, epoch.kl, epoch.validation]);
            (told.map(|numbers| numbers.map(Option::unwrap)).collect::<Vec<_>>(), metric.unwrap())
        });
        // f32: 1e-6 was seen. A list of items changes where two scores differ by rounding alone.
        for (ours, theirs) in fused.0.iter().zip(&candle.0) {
            assert!(distance(&theirs[..2], &ours[..2]) < 1e-4, "{ours:?} and {theirs:?}");
            assert!((ours[2] - theirs[2]).abs() < 2e-3, "{ours:?} and {theirs:?}");
        }
        assert!((fused.1 - candle.1).abs() < 2e-3, "{} and {}", fused.1, candle.1);
    }
}

/// What is trained, in bits.
fn bits(fit: &Fit) -> Vec<u32> {
    let tensors = fit.model.tensors().unwrap();
    let numbers = |tensor: &NamedTensor<'_>| match &tensor.data {
        crate::model::TensorData::F32(values) => values.iter().map(|value| value.to_bits()).collect::<Vec<_>>(),
        _ => panic!("{} is not f32", tensor.name),
    };
    tensors.iter().flat_map(numbers).collect()
}

#[test]
fn a_training_goes_on_to_the_same_bits_and_by_its_own_engine_only() {
    let folder = tempfile::tempdir().unwrap();
    let (x, options) = (histories(110, 60), HVampOptions { epochs: 3, ..options() });
    let held_out = held_out(&x);
    let kept = |engine, look| {
        let options = CheckpointOptions { every_epochs: 2, resume: true };
        let checkpoint = Checkpoint { path: folder.path().join("checkpoint"), options, ids: None };
        FitRun { checkpoint: Some(checkpoint), cancel: Cancel::at_look(look), ..by(engine) }
    };
    let fit = |run: &FitRun<'_>| fit(&options, &x, Some(&held_out), run);
    // 0 is never.
    let counted = FitRun { cancel: Cancel::at_look(0), ..by(EngineKind::Candle) };
    let whole = fit(&counted).unwrap();
    let looks = counted.cancel.looks();
    assert!(looks > 15, "a look for each of 5 batches in each of 3 epochs: {looks}");
    for look in 1..=looks {
        let Err(Error::Cancelled) = fit(&kept(EngineKind::Candle, look)) else { panic!("not cancelled at {look}") };
        let other = fit(&kept(EngineKind::Fused, 0)).err().expect("an error").to_string();
        assert!(other.contains("(engine: candle there, fused now)"), "{other}");
        let resumed = fit(&kept(EngineKind::Candle, 0)).unwrap();
        assert!(bits(&resumed) == bits(&whole), "cancelled at {look}");
        std::fs::remove_file(folder.path().join("checkpoint")).unwrap();
    }
    fit(&kept(EngineKind::Fused, 0)).unwrap();
    let other = fit(&kept(EngineKind::Candle, 0)).err().expect("an error").to_string();
    assert!(other.contains("(engine: fused there, candle now)"), "{other}");
}

#[test]
fn a_training_that_explodes_says_so() {
    let options = HVampOptions { learning_rate: 1e38, epochs: 1, ..options() };
    let error = fit(&options, &histories(110, 60), None, &by(EngineKind::Candle)).err().expect("an error");
    assert_eq!(error.code(), "NUMERICAL");
    assert!(error.to_string().contains("epoch 1, "), "{error}");
}

#[test]
fn the_memory_of_a_gpu_grows_with_what_lies_there() {
    let x = histories(110, 60);
    let estimate = |options: &HVampOptions| device_memory(options, &x).fit();
    let options = options();
    let least = estimate(&options);
    // Six times as many f32 as there are parameters, and more.
    assert!(least > 24 * options.shape(60).n_parameters());
    for more in [
        HVampOptions { hidden_dim: 24, ..options.clone() },
        HVampOptions { latent_dim: 10, ..options.clone() },
        HVampOptions { pseudo_users: 8, ..options.clone() },
        HVampOptions { batch_size: 50, ..options.clone() },
    ] {
        assert!(estimate(&more) > least, "{more:?}");
    }
    // There are no more users in a batch than there are users.
    assert_eq!(
        estimate(&HVampOptions { batch_size: 110, ..options.clone() }),
        estimate(&HVampOptions { batch_size: 200, ..options })
    );
}

/// What runs on a GPU, where one opens: the losses of steps, in f32.
#[test]
fn a_gpu_computes_as_the_processor() {
    let Some(gpu) = gpu() else { return };
    let x = histories(60, SHAPE.n_items);
    let histories: Vec<&[u32]> = x.rows().collect();
    for (name, likelihood) in PARTS {
        let [ours, theirs] = [Device::Cpu, gpu].map(|device| {
            let mut host = Host::new(awkward::<f32>(4));
            let mut engine = CandleEngine::new(&host, device).unwrap();
            let losses = (1..=4).flat_map(|number| {
                let (drawn, step) =
                    (draw(&x, SHAPE.latent, number), Step { likelihood, beta: 0.5, learning_rate: 1e-3, number });
                let loss = engine.step(step, &drawn.batch(&histories), &mut host).unwrap();
                [loss.log_likelihood, loss.kl]
            });
            losses.collect::<Vec<_>>()
        });
        // f32 sums in other orders, and Adam's first steps, which go by the sign of what is nearly 0.
        let apart = distance(&theirs, &ours);
        assert!(apart < 1e-3, "{name}: {apart}");
    }
}
