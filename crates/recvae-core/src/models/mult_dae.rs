//! Mult-DAE: a denoising autoencoder of histories with a multinomial likelihood; Mult-VAE without the sampling.
//!
//! Items - latent (tanh) - items, with weights `W_1`, `W_2` of shape `(n_items, latent)` and biases; L2-normalised
//! input with dropout. The loss of a batch is the mean over its users of `-sum over x of log softmax(logits)`, and
//! `lambda / batchSize (||W_1||^2 + ||W_2||^2)`. Scores are the logits of the whole history.
//!
//! Source: Liang, Krishnan, Hoffman, Jebara, "Variational Autoencoders for Collaborative Filtering", WWW 2018, section
//! 2.4, arXiv 1802.05814. As the authors' code: the penalty is on weights and not on biases, its weight is 0.01 for the
//! sum over a batch of 500 users, whatever the size of the last batch, and it goes through Adam; truncated normal
//! biases. Their Xavier weights are uniform, ours are normal with the same variance, as Mult-VAE's here.

use super::vae;
use crate::base::error::Result;
use crate::base::memory::MemoryEstimate;
use crate::base::options::{Options, options};
use crate::math::csr::Csr;
use crate::model::{Fit, Model, ModelKind, TensorSource};
use crate::nn::encoder::Architecture;
use crate::nn::fused::Fused;
use crate::nn::network::Update;
use crate::nn::noise::Seeded;
use crate::split::parts::HeldOut;
use crate::train::epoch_log::Schedule;
use crate::train::fit_shape::FitShape;
use crate::train::run::FitRun;
use crate::train::training::{KlWeight, Pass, Training};

#[cfg(test)]
mod tests;

options! {
    /// Options of Mult-DAE.
    pub struct MultDaeOptions for "mult-dae" {
        /// Weight of the squared norms of the weights in the loss of a batch, a sum over its users.
        lambda: f64 = 0.01, AtLeast(0.0), search = Search::Log { from: 0.0001, to: 1.0 };
        /// Width of the hidden layer, which is a user's latent vector.
        latent_dim: usize = 200, Between(1.0, 65536.0);
        /// Share of a history that is dropped from the input in training.
        dropout_rate: f64 = 0.5, Below(0.0, 1.0);
        /// Adam's step size.
        learning_rate: f64 = 1e-3, Above(0.0);
        /// Users per step.
        batch_size: usize = 500, Between(1.0, 1048576.0);
        /// Epochs at most.
        epochs: usize = 200, Between(1.0, 1000000.0);
        /// Epochs without a better validation NDCG@100 after which training stops.
        patience: usize = 20, AtLeast(1.0);
        /// Seed of weights, order of users and dropout.
        seed: u64 = 1, Any;
    }
}

impl MultDaeOptions {
    fn architecture(&self, n_items: usize) -> Architecture {
        Architecture {
            n_items,
            hidden_dim: self.latent_dim,
            latent_dim: self.latent_dim,
            dense_encoder: false,
            hidden_decoder: false,
            posterior: false,
        }
    }

    /// The passes of an epoch.
    pub(crate) fn plan(&self) -> [Pass; 1] {
        [Pass::Train { update: Update::Both, dropout: self.dropout_rate, renew: false }]
    }
}

pub(super) fn fit(
    options: &MultDaeOptions,
    train: &Csr,
    validation: Option<&HeldOut>,
    run: &FitRun<'_>,
) -> Result<Fit> {
    let fitting = vae::Fitting {
        kind: ModelKind::MultDae,
        options: options.to_json(),
        // An epoch does not depend on how many there will be.
        free: &["epochs"],
        schedule: Schedule { epochs: options.epochs, patience: options.patience, warm_up: 0 },
        plan: &options.plan(),
    };
    let noise = Seeded(options.seed);
    fitting.fit(train, validation, run, || start(options, train, &noise, run))
}

/// What [`fit`] takes.
pub(super) fn memory(options: &MultDaeOptions, shape: &FitShape<'_>) -> MemoryEstimate {
    let &MultDaeOptions { batch_size, dropout_rate, .. } = options;
    let steps = vae::Steps { batch_size, dropout_rate, posteriors: false, alternating: false };
    vae::memory(&options.architecture(shape.items), steps, shape)
}

/// What the seconds of [`fit`] grow with.
pub(super) use super::vae::LAW;

/// [`LAW`] as a number.
pub(super) fn work(options: &MultDaeOptions, shape: &FitShape<'_>) -> f64 {
    vae::work(&options.architecture(shape.items), options.epochs as f64, shape)
}

/// Seconds of [`fit`] on one core with all its epochs.
pub(super) fn seconds(options: &MultDaeOptions, shape: &FitShape<'_>) -> f64 {
    let architecture = options.architecture(shape.items);
    vae::seconds(&architecture, options.epochs as f64, options.batch_size, shape)
        + vae::seconds_of_lists(&architecture, options.epochs, shape)
}

/// The largest widths with which it fits.
pub(super) fn smaller(
    options: &MultDaeOptions,
    _shape: &FitShape<'_>,
    fits: impl Fn(&MultDaeOptions) -> bool,
) -> Option<MultDaeOptions> {
    let with =
        |scaled: &dyn Fn(usize) -> usize| MultDaeOptions { latent_dim: scaled(options.latent_dim), ..options.clone() };
    vae::smaller(with, fits)
}

/// A network that is fresh or begins with another one, ready to be trained.
pub(crate) fn start<'a>(
    options: &MultDaeOptions,
    train: &'a Csr,
    noise: &'a Seeded,
    run: &FitRun<'_>,
) -> Result<Training<'a, f32, Fused<f32>>> {
    let start = vae::Start {
        architecture: options.architecture(train.n_cols()),
        seed: options.seed,
        learning_rate: options.learning_rate,
        squares: options.lambda / options.batch_size as f64,
        // There is no posterior to weigh.
        kl_weight: KlWeight::PerInteraction(0.0),
        batch_size: options.batch_size,
    };
    start.training(train, noise, run)
}

pub(super) fn load(options: &MultDaeOptions, n_items: usize, tensors: &dyn TensorSource) -> Result<Box<dyn Model>> {
    vae::load(ModelKind::MultDae, options.to_json(), options.architecture(n_items), tensors)
}
