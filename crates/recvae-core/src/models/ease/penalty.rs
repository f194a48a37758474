//! All in which EASE^R, EDLAE, RDLAE and DEQL differ: what is added to the diagonal of the Gram matrix, and what the
//! diagonal of B may be while the rest of it is computed.
//!
//! Let `Z` be `X` in which each interaction is dropped with probability `p` and the others are divided by `1 - p`, let
//! `G = X' X`, `gamma_j = lambda + p / (1 - p) G_jj` and `A = G + diag(gamma)`. Columns of B are independent of each
//! other. Column `j` is `d` on the diagonal and `b` elsewhere, and minimises the mean over all ways to drop of
//!
//! ```text
//! sum over users u of w_uj (x_uj - (Z_u b + z_uj d))^2    + lambda (|b|^2 + d^2)
//! ```
//!
//! where `w_uj` is 1 in the mean, and `k` where entry `(u, j)` is kept. The gradient by `b` is 0 where
//! `A_-j,-j b = (1 - k d) G_-j,j`, so that with EDLAE's column `b0`, for which `d` is 0,
//!
//! ```text
//! b = (1 - k d) b0
//! ```
//!
//! and each of these models is EDLAE with columns of other lengths. Let `r = G_j,-j b0`, the part of `G_jj` that the
//! other items explain, and `rest = A_jj - r`, which is `1 / P_jj` where `P = A^-1`. The gradient by `d` is 0 where
//! `d (k G_jj / (1 - p) + lambda - k^2 r) = k (G_jj - r)`.
//!
//! - EASE^R and EDLAE: `d` is 0.
//! - RDLAE: `w` is 1, and `d` is at most `xi`. Its `d` is the smaller of `xi` and `1 - gamma_j / rest`, so `1 - d` is
//!   the larger of `1 - xi` and `gamma_j / rest`.
//! - DEQL: `w` is 1 where the entry is dropped and `b^2` where it is kept, over their mean; `d` may be anything.
//!
//! In the model the diagonal is 0: an item of the history is in no list, and so no item speaks for itself.

use serde_json::Value;

use super::Precision;
use crate::base::options::Options;
use crate::model::ModelKind;

/// Options of a model whose matrix B is EASE^R's but for its [`Penalty`].
pub(crate) trait Penalised: Options + Clone {
    /// Which model it is.
    const KIND: ModelKind;
    /// What errors call it.
    const TITLE: &'static str;

    fn penalty(&self) -> Penalty;

    /// Share of the pairs that may have a weight.
    fn density_mut(&mut self) -> &mut f64;

    fn density(&self) -> f64 {
        *self.clone().density_mut()
    }

    /// The same options with another density.
    fn with_density(&self, density: f64) -> Self {
        let mut options = self.clone();
        *options.density_mut() = density;
        options
    }

    fn origin(&self) -> Origin {
        Origin { kind: Self::KIND, title: Self::TITLE, options: self.to_json() }
    }
}

/// Which model a matrix B is, and all its options.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(super) kind: ModelKind,
    /// What errors call it.
    pub(super) title: &'static str,
    pub(super) options: Value,
}

/// What is added to the diagonal of the Gram matrix, what B's diagonal may be, and the type of the numbers.
#[derive(Clone, Copy)]
pub(crate) struct Penalty {
    lambda: f64,
    /// `p / (1 - p)`: the share of each entry of the diagonal that is added to it besides; 0 in EASE^R.
    share: f64,
    diagonal: Diagonal,
    precision: Precision,
}

/// What B's diagonal may be.
#[derive(Clone, Copy, PartialEq)]
enum Diagonal {
    Zero,
    /// Up to so much.
    AtMost(f64),
    /// Anything; what the weight of an entry is that is kept, where the mean is 1.
    Free {
        kept: f64,
    },
}

impl Penalty {
    /// EASE^R's.
    pub(in crate::models) fn new(lambda: f64, precision: Precision) -> Self {
        Self { lambda, share: 0.0, diagonal: Diagonal::Zero, precision }
    }

    /// With interactions that are dropped at that rate.
    pub(in crate::models) fn dropping(self, rate: f64) -> Self {
        Self { share: rate / (1.0 - rate), ..self }
    }

    /// With a diagonal of up to `xi`.
    pub(in crate::models) fn relaxed(self, xi: f64) -> Self {
        Self { diagonal: Diagonal::AtMost(xi), ..self }
    }

    /// With a free diagonal; an entry that is kept weighs `squared_weight` where one that is dropped weighs 1.
    pub(in crate::models) fn weighing_kept(self, squared_weight: f64) -> Self {
        let dropped = self.share / (1.0 + self.share);
        let mean = dropped + (1.0 - dropped) * squared_weight;
        // Without a weight for what is kept it is EDLAE, at rate 0 as the limit of lower and lower rates.
        let kept = if squared_weight == 0.0 { 0.0 } else { squared_weight / mean };
        Self { diagonal: Diagonal::Free { kept }, ..self }
    }

    pub(super) fn lambda(&self) -> f64 {
        self.lambda
    }

    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    /// What is added to the diagonal of the Gram matrix in proportion to it.
    pub(super) fn share(&self) -> f64 {
        self.share
    }

    /// What is added to the diagonal for an item that `count` users have.
    pub(super) fn on_diagonal(&self, count: f64) -> f64 {
        count * self.share + self.lambda
    }

    /// By what EDLAE's column is multiplied of an item that `count` users have and of which the others leave `rest`:
    /// between 0 and 1, though rounding may have moved `rest` a little out of its range.
    pub(super) fn scale(&self, count: f64, rest: f64) -> f64 {
        match self.diagonal {
            Diagonal::Zero => 1.0,
            Diagonal::AtMost(xi) => (self.on_diagonal(count) / rest).clamp(1.0 - xi, 1.0),
            Diagonal::Free { kept } => {
                let explained = (count + self.on_diagonal(count) - rest).min(count);
                let own = kept * count * (1.0 + self.share) + self.lambda;
                (own - kept * kept * count) / (own - kept * kept * explained)
            }
        }
    }
}
