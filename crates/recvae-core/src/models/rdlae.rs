//! RDLAE: EDLAE with a diagonal that need not be 0, but may be up to `xi`.
//!
//! Scores are `x B`. Let `Z` be `X` in which each interaction is dropped with probability `p` and the others are
//! divided by `1 - p`: `B` minimises the mean of `||X - Z B||^2` over all ways to drop, with `lambda ||B||^2` and
//! `B_jj <= xi`. With `gamma_j = lambda + p / (1 - p) G_jj`, `G = X' X` and `C = (G + diag(gamma))^-1` the minimum has
//!
//! ```text
//! B_ij = -C_ij max(gamma_j, (1 - xi) / C_jj)    off the diagonal
//! ```
//!
//! which is the paper's `-C (diag(gamma) + diag(mu))` with its multipliers `mu` put in. So the weights of an item are
//! shorter than EDLAE's by what the item tells of itself, up to `xi`. `X` has shape `(n_users, n_items)`, `B` has
//! `(n_items, n_items)`. The diagonal is stored as 0, as the authors have it: what an item says of itself is in no
//! list. With `xi` 0 it is EDLAE, bit by bit. The matrix is used, stored and made smaller as EASE^R's, also with a
//! `density` below 1; see `ease/penalty.rs` for what the models have in common.
//!
//! Source: Moon, Kim, Lee, "It's Enough: Relaxing Diagonal Constraints in Linear Autoencoders for Recommendation",
//! SIGIR 2023, arXiv 2305.12922, and the authors' code.

pub(super) use super::ease::{LAW, fit, load, memory, seconds, smaller, work};
use super::ease::{Penalised, Penalty, Precision};
use crate::base::options::options;
use crate::model::ModelKind;

options! {
    /// Options of RDLAE.
    pub struct RdlaeOptions for "rdlae" {
        /// Weight of the squared norm of B beside what dropout does, in users. Larger for denser data; search it on
        /// validation.
        lambda: f64 = 500.0, Above(0.0), search = Search::Log { from: 0.5, to: 10000.0 };
        /// Share of each history that is dropped, in the mean over all ways to do so: the larger, the less an item
        /// speaks for others.
        dropout_rate: f64 = 0.33, Below(0.0, 1.0), search = Search::Linear { from: 0.05, to: 0.9 };
        /// How much of an item may be told by itself while the weights are found: 0 for EDLAE, 1 for no limit. The
        /// larger, the shorter are the weights of the items of which others tell less.
        xi: f64 = 0.4, Between(0.0, 1.0), search = Search::Linear { from: 0.0, to: 0.8 };
        /// Floating point type of the factorisation and of the stored matrix.
        precision: Precision = Precision::F32, Any;
        /// Share of the item pairs that may have a weight, the pairs that most often come together: as of EASE^R, whose
        /// text tells what it saves. The weights are f32 below 1.
        density: f64 = 1.0, UpTo(0.0, 1.0);
    }
}

impl Penalised for RdlaeOptions {
    const KIND: ModelKind = ModelKind::Rdlae;
    const TITLE: &'static str = "RDLAE";

    fn penalty(&self) -> Penalty {
        Penalty::new(self.lambda, self.precision).dropping(self.dropout_rate).relaxed(self.xi)
    }

    fn density_mut(&mut self) -> &mut f64 {
        &mut self.density
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::model::ModelKind;
    use crate::models::ease::check::{bits, matches_golden, weights};
    use crate::test_support::Golden;

    /// `test/fixtures/reference/make.py` computed the matrices from the paper's formula, in f64. In all cases but the
    /// last the bound holds some items and not others.
    #[test]
    fn matches_a_plain_program() {
        matches_golden::<super::RdlaeOptions>(
            "rdlae",
            &[("lambda", "lambda"), ("dropoutRate", "dropout_rate"), ("xi", "xi")],
        );
    }

    #[test]
    fn with_a_diagonal_of_0_it_is_edlae() {
        let x = Golden::read("rdlae").csr("x");
        for more in [json!({"precision": "f32"}), json!({"precision": "f64"}), json!({"density": 0.4})] {
            let mut options = json!({"lambda": 7.3, "dropoutRate": 0.4});
            options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let edlae = weights(ModelKind::Edlae, &options, &x);
            options["xi"] = 0.into();
            assert_eq!(bits(&weights(ModelKind::Rdlae, &options, &x)), bits(&edlae), "{options}");
            // The bound holds less and less, and what it lets go has shorter weights.
            let lengths = [0.1, 0.2, 0.4].map(|xi| {
                options["xi"] = xi.into();
                weights(ModelKind::Rdlae, &options, &x).iter().map(|weight| weight * weight).sum::<f64>()
            });
            assert!(lengths.is_sorted_by(|longer, shorter| longer > shorter), "{options}: {lengths:?}");
        }
    }
}
