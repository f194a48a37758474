//! DEQL: EDLAE that is also asked, with less weight, for the items that dropout has kept.
//!
//! Scores are `x B`. Let `Z` be `X` in which each interaction is dropped with probability `p` and the others are
//! divided by `1 - p`: `B` minimises the mean over all ways to drop of `||A o (X - Z B)||^2 / kappa`, with
//! `lambda ||B||^2`, where `A` is `b` at the entries that are kept and 1 at those that are dropped, whether they are 1
//! or 0 in `X`, and `kappa = p + (1 - p) b^2` is the mean of its squares. The minimum takes nothing but what EDLAE
//! takes, since every column is EDLAE's times a number; `ease/penalty.rs` has it. `X` has shape `(n_users, n_items)`,
//! `B` has `(n_items, n_items)`. The diagonal is not bound to anything, and is stored as 0: what an item says of itself
//! is in no list. With `b` 0 it is EDLAE, bit by bit, and with `b` 1 it is RDLAE without a limit. The matrix is used,
//! stored and made smaller as EASE^R's, also with a `density` below 1.
//!
//! The paper minimises without the division by `kappa`, with a `Z` that is not divided by `1 - p`, and solves each
//! column anew after two updates of rank one: its lambda is `lambda (1 - p)^2 kappa` of here, its matrix `B / (1 - p)`,
//! so its lists are the same.
//!
//! Source: Guo, Li, Zhou, Zhou, Jin, "Generalizing Linear Autoencoder Recommenders with Decoupled Expected Quadratic
//! Loss", ICLR 2026, arXiv 2603.07402, with L2 and `a = 1`. Its formula was compared with a minimisation over all ways
//! to drop, term by term: `test/fixtures/reference/make.py` does so each time it is run.

pub(super) use super::ease::{LAW, fit, load, memory, seconds, smaller, work};
use super::ease::{Penalised, Penalty, Precision};
use crate::base::options::options;
use crate::model::ModelKind;

options! {
    /// Options of DEQL.
    pub struct DeqlOptions for "deql" {
        /// Weight of the squared norm of B beside what dropout does, in users, as of EDLAE. Larger for denser data;
        /// search it on validation.
        lambda: f64 = 500.0, Above(0.0), search = Search::Log { from: 0.5, to: 10000.0 };
        /// Share of each history that is dropped, in the mean over all ways to do so: the larger, the less an item
        /// speaks for others.
        dropout_rate: f64 = 0.33, Below(0.0, 1.0), search = Search::Linear { from: 0.05, to: 0.9 };
        /// Weight of the entries that dropout kept, where that of those dropped is 1; the paper's b. 0 for EDLAE, 1 for
        /// RDLAE without a limit. The larger, the shorter are the weights of the items of which others tell less.
        kept_weight: f64 = 1.0, AtLeast(0.0), search = Search::Linear { from: 0.0, to: 3.0 };
        /// Floating point type of the factorisation and of the stored matrix.
        precision: Precision = Precision::F32, Any;
        /// Share of the item pairs that may have a weight, the pairs that most often come together: as of EASE^R, whose
        /// text tells what it saves. The weights are f32 below 1.
        density: f64 = 1.0, UpTo(0.0, 1.0);
    }
}

impl Penalised for DeqlOptions {
    const KIND: ModelKind = ModelKind::Deql;
    const TITLE: &'static str = "DEQL";

    fn penalty(&self) -> Penalty {
        let squared = self.kept_weight * self.kept_weight;
        Penalty::new(self.lambda, self.precision).dropping(self.dropout_rate).weighing_kept(squared)
    }

    fn density_mut(&mut self) -> &mut f64 {
        &mut self.density
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::model::ModelKind;
    use crate::models::ease::check::{bits, close, matches_golden, weights};
    use crate::test_support::Golden;

    /// `test/fixtures/reference/make.py` computed the matrices from the paper's formula, in f64, column by column.
    #[test]
    fn matches_a_plain_program() {
        let names = [("lambda", "lambda"), ("dropoutRate", "dropout_rate"), ("keptWeight", "kept_weight")];
        matches_golden::<super::DeqlOptions>("deql", &names);
    }

    #[test]
    fn without_a_weight_for_what_is_kept_it_is_edlae_and_with_all_it_is_rdlae_without_a_bound() {
        let x = Golden::read("deql").csr("x");
        for more in [json!({"precision": "f32"}), json!({"precision": "f64"}), json!({"density": 0.4})] {
            for rate in [0.0, 0.4] {
                let mut options = json!({"lambda": 7.3, "dropoutRate": rate});
                options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                let (mut none, mut whole, mut free) = (options.clone(), options.clone(), options.clone());
                (none["keptWeight"], whole["keptWeight"], free["xi"]) = (0.into(), 1.into(), 1.into());
                let edlae = weights(ModelKind::Edlae, &options, &x);
                assert_eq!(bits(&weights(ModelKind::Deql, &none, &x)), bits(&edlae), "{options}");
                // Two ways to the same numbers; f32 leaves five digits of them.
                let (whole, free) = (weights(ModelKind::Deql, &whole, &x), weights(ModelKind::Rdlae, &free, &x));
                close(&whole, &free, 2e-5);
            }
        }
    }
}
