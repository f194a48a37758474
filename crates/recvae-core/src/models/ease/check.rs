//! What the tests of the models with a matrix of items x items have in common.

use serde_json::{Value, json};

#[cfg(feature = "candle")]
use super::Ease;
use super::Penalised;
use crate::math::csr::Csr;
#[cfg(feature = "candle")]
use crate::math::linalg::Inverse;
use crate::model::{ModelKind, TensorData};
use crate::test_support::Golden;
use crate::train::run::FitRun;

/// All weights of a fit, row by row; of one with few weights those that it has.
pub(in crate::models) fn weights(kind: ModelKind, options: &Value, x: &Csr) -> Vec<f64> {
    let model = kind.fit(options, x, None, &FitRun::default()).unwrap().model;
    let tensors = model.tensors().unwrap();
    let weights = tensors.iter().find(|tensor| ["weights", "weights.values"].contains(&&tensor.name[..])).unwrap();
    match &weights.data {
        TensorData::F32(values) => values.iter().map(|&value| value.into()).collect(),
        TensorData::F64(values) => values.iter().copied().collect(),
        _ => panic!("a type that no fit gives"),
    }
}

pub(in crate::models) fn bits(weights: &[f64]) -> Vec<u64> {
    weights.iter().map(|weight| weight.to_bits()).collect()
}

/// Relative to the largest entry, since single entries come close to zero.
#[track_caller]
pub(in crate::models) fn close(ours: &[f64], golden: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), golden.len());
    let scale = golden.iter().fold(0f64, |max, value| max.max(value.abs()));
    for (ours, golden) in ours.iter().zip(golden) {
        assert!((ours - golden).abs() <= tolerance * scale, "{ours} against {golden}");
    }
}

/// The same of a dense one in f32 whose matrix candle's device of the processor inverts, as a GPU would.
#[cfg(feature = "candle")]
pub(in crate::models) fn weights_by_candle<O: Penalised>(options: &Value, x: &Csr) -> Vec<f64> {
    let options = O::from_json(options).unwrap();
    let inverse = Inverse::on(candle_core::Device::Cpu);
    let model = Ease::<f32>::fit(options.origin(), options.penalty(), x, &FitRun::default(), inverse).unwrap();
    model.weights.iter().map(|&weight| weight.into()).collect()
}

/// Compares the matrices of all cases of a file of reference values; `names` are those of the options and of their
/// values there.
#[track_caller]
pub(in crate::models) fn matches_golden<O: Penalised>(file: &str, names: &[(&str, &str)]) {
    let golden = Golden::read(file);
    let x = golden.csr("x");
    let cases = (0..).take_while(|case| golden.has(&format!("{case}.b"))).count();
    assert!(cases > 2);
    for case in 0..cases {
        let golden = |name: &str| golden.values(&format!("{case}.{name}"));
        // The condition numbers are below 1,000.
        for (precision, tolerance) in [("f64", 1e-12), ("f32", 1e-4)] {
            let mut options = json!({"precision": precision});
            names.iter().for_each(|&(option, name)| options[option] = golden(name)[0].into());
            close(&weights(O::KIND, &options, &x), golden("b"), tolerance);
            #[cfg(feature = "candle")]
            if precision == "f32" {
                close(&weights_by_candle::<O>(&options, &x), golden("b"), tolerance);
            }
        }
    }
}
