//! Mult-VAE: a variational autoencoder of histories with a multinomial likelihood.
//!
//! Encoder items - hidden (tanh) - 2 x latent, decoder latent - hidden (tanh) - items; L2-normalised input with
//! dropout; loss `-sum over x of log softmax(logits) + beta KL(q || N(0, I))`, beta growing in a line from 0. Scores
//! are the logits at the mean of the posterior.
//!
//! Source: Liang, Krishnan, Hoffman, Jebara, "Variational Autoencoders for Collaborative Filtering", WWW 2018, equation
//! 7, arXiv 1802.05814. As the authors' code: truncated normal biases, no weight decay. Their Xavier weights are
//! uniform, ours are normal with the same variance.

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

options! {
    /// Options of Mult-VAE.
    pub struct MultVaeOptions for "mult-vae" {
        /// Weight of the KL term once it has grown.
        beta: f64 = 0.2, AtLeast(0.0), search = Search::Log { from: 0.02, to: 2.0 };
        /// Share of the epochs over which the KL weight grows from 0 to beta.
        annealing: f64 = 0.5, Between(0.0, 1.0);
        /// Width of the hidden layers.
        hidden_dim: usize = 600, Between(1.0, 65536.0);
        /// Length of a user's latent vector.
        latent_dim: usize = 200, Between(1.0, 65536.0);
        /// Share of a history that is dropped from the encoder's input in training.
        dropout_rate: f64 = 0.5, Below(0.0, 1.0);
        /// Adam's step size.
        learning_rate: f64 = 1e-3, Above(0.0);
        /// Users per step.
        batch_size: usize = 500, Between(1.0, 1048576.0);
        /// Epochs at most.
        epochs: usize = 100, Between(1.0, 1000000.0);
        /// Epochs without a better validation NDCG@100 after which training stops; counted once beta has grown.
        patience: usize = 50, AtLeast(1.0);
        /// Seed of weights, order of users, dropout and samples.
        seed: u64 = 1, Any;
    }
}

impl MultVaeOptions {
    fn architecture(&self, n_items: usize) -> Architecture {
        Architecture {
            n_items,
            hidden_dim: self.hidden_dim,
            latent_dim: self.latent_dim,
            dense_encoder: false,
            hidden_decoder: true,
            posterior: true,
        }
    }

    /// The passes of an epoch.
    pub(crate) fn plan(&self) -> [Pass; 1] {
        [Pass::Train { update: Update::Both, dropout: self.dropout_rate, renew: false }]
    }
}

pub(super) fn fit(
    options: &MultVaeOptions,
    train: &Csr,
    validation: Option<&HeldOut>,
    run: &FitRun<'_>,
) -> Result<Fit> {
    // While beta grows the loss is another one every step, and validation may sink for a while.
    let warm_up = (options.annealing * options.epochs as f64) as usize;
    let fitting = vae::Fitting {
        kind: ModelKind::MultVae,
        options: options.to_json(),
        // Beta grows over a share of all epochs, so that another number of them is another training from the first step
        // on.
        free: if options.annealing == 0.0 { &["epochs"] } else { &[] },
        schedule: Schedule { epochs: options.epochs, patience: options.patience, warm_up },
        plan: &options.plan(),
    };
    let noise = Seeded(options.seed);
    fitting.fit(train, validation, run, || start(options, train, &noise, run))
}

/// What [`fit`] takes.
pub(super) fn memory(options: &MultVaeOptions, shape: &FitShape<'_>) -> MemoryEstimate {
    let &MultVaeOptions { batch_size, dropout_rate, .. } = options;
    let steps = vae::Steps { batch_size, dropout_rate, posteriors: false, alternating: false };
    vae::memory(&options.architecture(shape.items), steps, shape)
}

/// What the seconds of [`fit`] grow with.
pub(super) use super::vae::LAW;

/// [`LAW`] as a number.
pub(super) fn work(options: &MultVaeOptions, shape: &FitShape<'_>) -> f64 {
    vae::work(&options.architecture(shape.items), options.epochs as f64, shape)
}

/// Seconds of [`fit`] on one core with all its epochs.
pub(super) fn seconds(options: &MultVaeOptions, shape: &FitShape<'_>) -> f64 {
    let architecture = options.architecture(shape.items);
    vae::seconds(&architecture, options.epochs as f64, options.batch_size, shape)
        + vae::seconds_of_lists(&architecture, options.epochs, shape)
}

/// The largest widths with which it fits.
pub(super) fn smaller(
    options: &MultVaeOptions,
    _shape: &FitShape<'_>,
    fits: impl Fn(&MultVaeOptions) -> bool,
) -> Option<MultVaeOptions> {
    let with = |scaled: &dyn Fn(usize) -> usize| MultVaeOptions {
        hidden_dim: scaled(options.hidden_dim),
        latent_dim: scaled(options.latent_dim),
        ..options.clone()
    };
    vae::smaller(with, fits)
}

/// A network that is fresh or begins with another one, ready to be trained.
pub(crate) fn start<'a>(
    options: &MultVaeOptions,
    train: &'a Csr,
    noise: &'a Seeded,
    run: &FitRun<'_>,
) -> Result<Training<'a, f32, Fused<f32>>> {
    let steps = options.epochs as u64 * train.n_rows().div_ceil(options.batch_size) as u64;
    let start = vae::Start {
        architecture: options.architecture(train.n_cols()),
        seed: options.seed,
        learning_rate: options.learning_rate,
        squares: 0.0,
        kl_weight: KlWeight::Annealed { beta: options.beta, steps: (options.annealing * steps as f64) as u64 },
        batch_size: options.batch_size,
    };
    start.training(train, noise, run)
}

pub(super) fn load(options: &MultVaeOptions, n_items: usize, tensors: &dyn TensorSource) -> Result<Box<dyn Model>> {
    vae::load(ModelKind::MultVae, options.to_json(), options.architecture(n_items), tensors)
}
