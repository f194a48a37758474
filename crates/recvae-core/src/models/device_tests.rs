//! Whole fits of the models with a matrix of items x items whose inverse is a device's: candle's of the processor
//! always, by the same lines as a GPU, and a GPU where one opens.

#![allow(clippy::unwrap_used)] // clippy knows tests by cfg(test) alone

use candle_core::Device;
use serde_json::{Value, json};

use super::device::check_free;
use super::ease::check::{close, weights, weights_by_candle};
use super::ease::{Ease, Penalised, device_memory};
use super::{DeqlOptions, EaseOptions, EdlaeOptions, RdlaeOptions};
use crate::base::compute::{self, Compute, EngineKind};
use crate::base::options::Options;
use crate::base::random::Stream;
use crate::math::csr::Csr;
use crate::math::linalg::Inverse;
use crate::model::ModelKind;
use crate::test_support::gpu;
use crate::train::run::FitRun;

/// Users of made-up tastes; few items are had by many.
fn users(n_users: usize, n_items: usize) -> Csr {
    let mut random = Stream::new(17, 0);
    let user = |_| {
        let taste = random.below(8) as usize;
        let items: std::collections::BTreeSet<u32> = (0..30)
            .map(|_| {
                let item = (n_items as f64 * random.uniform().powi(2)) as usize;
                if random.below(3) == 0 { item as u32 } else { (item / 8 * 8 + taste).min(n_items - 1) as u32 }
            })
            .collect();
        items.into_iter().collect::<Vec<_>>()
    };
    let rows: Vec<_> = (0..n_users).map(user).collect();
    Csr::from_rows(&rows, n_items).unwrap()
}

/// Two ways to the same inverse in f32, of a condition number of some thousands: as of the references, four digits are
/// left, less what processors differ by in the order of their sums.
const TOLERANCE: f64 = 3e-4;

#[test]
fn a_fit_by_panels_is_that_of_the_processor() {
    fn compare<O: Penalised>(options: &Value, x: &Csr) {
        close(&weights_by_candle::<O>(options, x), &weights(O::KIND, options, x), TOLERANCE);
    }
    // Two panels, of which the second one has 176 columns.
    let x = users(4000, 1200);
    compare::<EaseOptions>(&json!({ "lambda": 30 }), &x);
    let x = users(1000, 300);
    compare::<EaseOptions>(&json!({ "lambda": 0.5 }), &x);
    compare::<EdlaeOptions>(&json!({ "lambda": 30, "dropoutRate": 0.4 }), &x);
    compare::<RdlaeOptions>(&json!({ "lambda": 30, "dropoutRate": 0.4, "xi": 0.3 }), &x);
    compare::<DeqlOptions>(&json!({ "lambda": 30, "dropoutRate": 0.4, "keptWeight": 0.7 }), &x);
}

#[test]
fn a_matrix_without_inverse_and_scores_that_are_off_are_the_same_errors() {
    let error = |options: Value, x: &Csr| {
        let options = EaseOptions::from_json(&options).unwrap();
        let inverse = Inverse::on(Device::Cpu);
        let fit = Ease::<f32>::fit(options.origin(), options.penalty(), x, &FitRun::default(), inverse);
        fit.err().unwrap().to_string()
    };
    // Two items that the same users have.
    let x = Csr::from_rows([&[0u32, 1][..]; 4], 2).unwrap();
    assert_eq!(
        error(json!({ "lambda": 1e-30 }), &x),
        "EASE^R: the Gram matrix plus lambda = 1e-30 on its diagonal is not positive definite in f32 (pivot 1 of 2); the way out: a larger \
         lambda, or precision 'f64'"
    );
    // So small a lambda is a few units of rounding beside 100 users.
    let x = Csr::from_rows([&[0u32, 1][..]; 100], 2).unwrap();
    let off = error(json!({ "lambda": 1e-5 }), &x);
    assert!(off.starts_with("EASE^R: with lambda = 1e-5 scores are off by "), "{off}");
}

#[test]
fn half_a_matrix_and_a_few_panels_are_what_a_gpu_has_to_have_free() {
    let gib = |items: f64| device_memory(items).fit() as f64 / f64::from(1 << 30);
    // Less than two matrices, from some thousands of items on, beside CUDA itself.
    for items in [10_000.0, 20_720.0, 41_140.0, 100_000.0] {
        assert!(gib(items) < 1.0 + 8.0 * items * items / f64::from(1 << 30), "{items}: {}", gib(items));
    }
    let device = compute::Device::Cuda(0);
    let estimate = device_memory(41_140.0);
    check_free("training", device, &estimate, estimate.fit()).unwrap();
    let refused = check_free("training", device, &estimate, 2 << 30).unwrap_err();
    assert_eq!(refused.code(), "MEMORY");
    assert_eq!(
        refused.to_string(),
        "training on cuda:0 needs 5.2 GiB of its memory, most of it (3.2 GiB) for half of the matrix of items x items; 2.0 GiB is free \
         there; the way out: device cpu, or fewer items (minItem)"
    );
}

/// By the public way, which takes a GPU where one is asked for.
#[test]
fn a_gpu_fits_as_the_processor() {
    let Some(gpu) = gpu() else { return };
    let compute = Compute { engine: EngineKind::Candle, device: gpu, ..Compute::default() };
    for (n_users, n_items) in [(2_000, 500), (20_000, 5_000)] {
        let x = users(n_users, n_items);
        for (kind, options) in [
            (ModelKind::Ease, json!({ "lambda": 30 })),
            (ModelKind::Edlae, json!({ "lambda": 30, "dropoutRate": 0.4 })),
        ] {
            let run = FitRun { compute, ..FitRun::default() };
            let ours = kind.fit(&options, &x, None, &FitRun::default()).unwrap().model;
            let theirs = kind.fit(&options, &x, None, &run).unwrap().model;
            let numbers = |model: &dyn crate::model::Model| match &model.tensors().unwrap()[0].data {
                crate::model::TensorData::F32(values) => values.iter().map(|&value| value.into()).collect::<Vec<f64>>(),
                _ => panic!("a type that no fit in f32 gives"),
            };
            close(&numbers(&*theirs), &numbers(&*ours), TOLERANCE);
        }
    }
}
