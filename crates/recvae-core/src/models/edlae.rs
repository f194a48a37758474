//! EDLAE: EASE^R of histories from which items are dropped at random, in closed form.
//!
//! Scores are `x B`. Let `Z` be `X` in which each interaction is dropped with probability `p` and the others are
//! divided by `1 - p`: `B` minimises the mean of `||X - Z B||^2` over all ways to drop, with `lambda ||B||^2` and a
//! zero diagonal. As the mean of `Z' Z` is `G + p / (1 - p) diag(G)` with `G = X' X`, the minimum is EASE^R's with that
//! beside `lambda`: `P = (G + lambda I + p / (1 - p) diag(G))^-1`, `B_ij = -P_ij / P_jj` off the diagonal. So an item
//! that many users have is held back in proportion to them. `X` has shape `(n_users, n_items)`, `B` has
//! `(n_items, n_items)`. At rate 0 it is EASE^R, bit by bit, and the matrix is used, stored and made smaller as
//! EASE^R's. With a `density` below 1 most of B is 0, as in EASE^R: see `ease/restricted.rs`.
//!
//! Source: Steck, "Autoencoders that don't overfit towards the Identity", NeurIPS 2020, its full-rank model.

pub(super) use super::ease::{LAW, fit, load, memory, seconds, smaller, work};
use super::ease::{Penalised, Penalty, Precision};
use crate::base::options::options;
use crate::model::ModelKind;

options! {
    /// Options of EDLAE.
    pub struct EdlaeOptions for "edlae" {
        /// Weight of the squared norm of B beside what dropout does, in users. Larger for denser data; search it on
        /// validation.
        lambda: f64 = 500.0, Above(0.0), search = Search::Log { from: 0.5, to: 10000.0 };
        /// Share of each history that is dropped, in the mean over all ways to do so: the larger, the less an item
        /// speaks for others. 0 for EASE^R.
        dropout_rate: f64 = 0.33, Below(0.0, 1.0), search = Search::Linear { from: 0.05, to: 0.9 };
        /// Floating point type of the factorisation and of the stored matrix.
        precision: Precision = Precision::F32, Any;
        /// Share of the item pairs that may have a weight, the pairs that most often come together: as of EASE^R, whose
        /// text tells what it saves. The weights are f32 below 1.
        density: f64 = 1.0, UpTo(0.0, 1.0);
    }
}

impl Penalised for EdlaeOptions {
    const KIND: ModelKind = ModelKind::Edlae;
    const TITLE: &'static str = "EDLAE";

    fn penalty(&self) -> Penalty {
        Penalty::new(self.lambda, self.precision).dropping(self.dropout_rate)
    }

    fn density_mut(&mut self) -> &mut f64 {
        &mut self.density
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::math::csr::Csr;
    use crate::model::ModelKind;
    use crate::models::ease::check::{bits, matches_golden, weights};
    use crate::test_support::Golden;
    use crate::train::run::FitRun;

    /// `test/fixtures/reference/make.py` computed the matrices from the formula, in f64.
    #[test]
    fn matches_a_plain_program() {
        matches_golden::<super::EdlaeOptions>("edlae", &[("lambda", "lambda"), ("dropoutRate", "dropout_rate")]);
    }

    #[test]
    fn without_dropout_it_is_ease() {
        let x = Golden::read("edlae").csr("x");
        for precision in ["f32", "f64"] {
            let mut options = json!({"lambda": 7.3, "precision": precision});
            let ease = weights(ModelKind::Ease, &options, &x);
            options["dropoutRate"] = 0.into();
            assert_eq!(bits(&weights(ModelKind::Edlae, &options, &x)), bits(&ease));
        }
    }

    #[test]
    fn a_matrix_without_inverse_is_named() {
        // Two items that the same users have.
        let x = Csr::from_rows([&[0u32, 1][..]; 4], 2).unwrap();
        let options = json!({"lambda": 1e-30, "dropoutRate": 0});
        let error = ModelKind::Edlae.fit(&options, &x, None, &FitRun::default()).err().unwrap();
        assert!(error.to_string().starts_with("EDLAE: the Gram matrix plus lambda = 1e-30 on its diagonal"), "{error}");
    }
}
