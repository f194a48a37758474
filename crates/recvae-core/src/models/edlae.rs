//! EDLAE: EASE^R of histories from which items are dropped at random, in closed form.
//!
//! Scores are `x B`. Let `Z` be `X` in which each interaction is dropped with probability `p` and the others are divided by
//! `1 - p`: `B` minimises the mean of `||X - Z B||^2` over all ways to drop, with `lambda ||B||^2` and a zero diagonal. As the
//! mean of `Z' Z` is `G + p / (1 - p) diag(G)` with `G = X' X`, the minimum is EASE^R's with that beside `lambda`:
//! `P = (G + lambda I + p / (1 - p) diag(G))^-1`, `B_ij = -P_ij / P_jj` off the diagonal. So an item that many users have is
//! held back in proportion to them. `X` has shape `(n_users, n_items)`, `B` has `(n_items, n_items)`. At rate 0 it is EASE^R,
//! bit by bit, and the matrix is used, stored and made smaller as EASE^R's. With a `density` below 1 most of B is 0, as in
//! EASE^R: see `ease/restricted.rs`.
//!
//! Source: Steck, "Autoencoders that don't overfit towards the Identity", NeurIPS 2020, its full-rank model.

use super::ease::{self, Origin, Penalty, Precision};
use crate::base::error::Result;
use crate::base::memory::MemoryEstimate;
use crate::base::options::{Options, options};
use crate::math::csr::Csr;
use crate::model::{Fit, Model, ModelKind, TensorSource};
use crate::split::strong::HeldOut;
use crate::train::fit_shape::FitShape;
use crate::train::run::FitRun;

options! {
    /// Options of EDLAE.
    pub struct EdlaeOptions for "edlae" {
        /// Weight of the squared norm of B beside what dropout does, in users. Larger for denser data; search it on validation.
        lambda: f64 = 500.0, Above(0.0), search = Search::Log { from: 0.5, to: 10000.0 };
        /// Share of each history that is dropped, in the mean over all ways to do so: the larger, the less an item speaks for
        /// others. 0 for EASE^R.
        dropout_rate: f64 = 0.33, Below(0.0, 1.0), search = Search::Linear { from: 0.05, to: 0.9 };
        /// Floating point type of the factorisation and of the stored matrix.
        precision: Precision = Precision::F32, Any;
        /// Share of the item pairs that may have a weight, the pairs that most often come together: as of EASE^R, whose text tells
        /// what it saves. The weights are f32 below 1.
        density: f64 = 1.0, UpTo(0.0, 1.0);
    }
}

impl EdlaeOptions {
    fn origin(&self) -> Origin {
        Origin { kind: ModelKind::Edlae, options: self.to_json() }
    }

    fn penalty(&self) -> Penalty {
        Penalty { lambda: self.lambda, share: self.dropout_rate / (1.0 - self.dropout_rate), precision: self.precision }
    }
}

pub(super) fn fit(options: &EdlaeOptions, train: &Csr, _validation: Option<&HeldOut>, run: &FitRun<'_>) -> Result<Fit> {
    ease::fit_penalised(options.origin(), options.penalty(), options.density, train, run)
}

/// What [`fit`] takes: as EASE^R.
pub(super) fn memory(options: &EdlaeOptions, shape: &FitShape) -> MemoryEstimate {
    ease::memory_penalised(options.precision, options.density, shape)
}

/// What the seconds of [`fit`] grow with.
pub(super) use super::ease::LAW;

/// [`LAW`] as a number: as EASE^R.
pub(super) fn work(options: &EdlaeOptions, shape: &FitShape) -> f64 {
    ease::work_penalised(options.density, shape)
}

/// Seconds of [`fit`] on one core: as EASE^R.
pub(super) fn seconds(options: &EdlaeOptions, shape: &FitShape) -> f64 {
    ease::seconds_penalised(options.precision, options.density, shape)
}

/// The largest density below that of `options` at which it fits.
pub(super) fn smaller(
    options: &EdlaeOptions,
    shape: &FitShape,
    fits: impl Fn(&EdlaeOptions) -> bool,
) -> Option<EdlaeOptions> {
    let with = |density| EdlaeOptions { density, ..options.clone() };
    ease::restricted::densities_below(options.density, shape).map(with).find(fits)
}

pub(super) fn load(options: &EdlaeOptions, n_items: usize, tensors: &dyn TensorSource) -> Result<Box<dyn Model>> {
    ease::load_as(options.origin(), options.precision, n_items, tensors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NamedTensor, TensorData};
    use crate::test_support::Golden;

    fn weights(kind: ModelKind, options: &serde_json::Value, x: &Csr) -> Vec<f64> {
        let model = kind.fit(options, x, None, &FitRun::default()).unwrap().model;
        let [NamedTensor { data, .. }] = &model.tensors().unwrap()[..] else { panic!("one tensor") };
        match data {
            TensorData::F32(values) => values.iter().map(|&value| value.into()).collect(),
            TensorData::F64(values) => values.iter().copied().collect(),
            _ => panic!("a type that no fit gives"),
        }
    }

    /// `test/fixtures/reference/make.py` computed the matrices from the formula, in f64.
    #[test]
    fn matches_a_plain_program() {
        let golden = Golden::read("edlae");
        let x = golden.csr("x");
        for case in 0..3 {
            let golden = |name: &str| golden.values(&format!("{case}.{name}"));
            // Relative to the largest entry. The condition number is below 1,000.
            for (precision, tolerance) in [("f64", 1e-12), ("f32", 1e-4)] {
                let (lambda, rate) = (golden("lambda")[0], golden("dropout_rate")[0]);
                let options = serde_json::json!({"lambda": lambda, "dropoutRate": rate, "precision": precision});
                let scale = golden("b").iter().fold(0f64, |max, value| max.max(value.abs()));
                for (ours, golden) in weights(ModelKind::Edlae, &options, &x).iter().zip(golden("b")) {
                    assert!((ours - golden).abs() <= tolerance * scale, "{options}: {ours} against {golden}");
                }
            }
        }
    }

    #[test]
    fn without_dropout_it_is_ease() {
        let x = Golden::read("edlae").csr("x");
        for precision in ["f32", "f64"] {
            let options = serde_json::json!({"lambda": 7.3, "precision": precision});
            let ease = weights(ModelKind::Ease, &options, &x);
            let mut options = options;
            options["dropoutRate"] = 0.into();
            let bits = |weights: Vec<f64>| weights.into_iter().map(f64::to_bits).collect::<Vec<_>>();
            assert_eq!(bits(weights(ModelKind::Edlae, &options, &x)), bits(ease));
        }
    }

    #[test]
    fn a_matrix_without_inverse_is_named() {
        // Two items that the same users have.
        let x = Csr::from_rows([&[0u32, 1][..]; 4], 2).unwrap();
        let options = serde_json::json!({"lambda": 1e-30, "dropoutRate": 0});
        let error = ModelKind::Edlae.fit(&options, &x, None, &FitRun::default()).err().unwrap();
        assert!(error.to_string().starts_with("EDLAE: the Gram matrix plus lambda = 1e-30 on its diagonal"), "{error}");
    }
}
