//! RecVAE: Mult-VAE with a composite prior, a KL weight per user, alternating training and a dense encoder.
//!
//! Per user with history `x` of `n` items: `z ~ N(mu(x~), sigma^2(x~))` of the history after dropout; loss
//! `-sum over x of log softmax(W z + b) + w (log q(z | x~) - log p(z))`, the same `z` in both terms.
//!
//! | change | option | what it does |
//! | --- | --- | --- |
//! | composite prior | `prior` | `p` mixes N(0, 1), the user's posterior of the epoch before, and a wide normal |
//! | user's own KL weight | `klWeight` | `w = gamma n` instead of a constant `beta` |
//! | alternating training | `training` | encoder passes with dropout, then the old posterior is renewed, then decoder passes on clean input; each with an Adam of its own |
//! | dense encoder | `encoder` | 5 layers with swish and layer norm, each adding the outputs of all before it |
//!
//! Scores are the logits at `z = mu(x)`.
//!
//! With `implicitSlim`, every `slimEvery` epochs begin with the rows of the encoder's input weights and of the
//! decoder's output weights replaced by what [`ImplicitSlim`] makes of them. As in its authors' program Adam's moments,
//! biases and all other parameters stay, and the KL term still sees the posterior that the encoder had before, until it
//! is renewed.
//!
//! Source: Shenbin, Alekseev, Tutubalina, Malykh, Nikolenko, "RecVAE: a New Variational Autoencoder for Top-N
//! Recommendations with Implicit Feedback", WSDM 2020, arXiv 1912.11160. As the authors' code, and unlike the paper's
//! formula, the prior mixes each latent coordinate by itself. Unlike that code: an empty history is allowed; joint
//! training renews the old posterior after each epoch (theirs never does); against N(0, I) alone the KL term is the
//! analytic one.

use std::borrow::Borrow;

use super::vae;
use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
use crate::base::memory::MemoryEstimate;
use crate::base::options::{Options, choice, options};
use crate::math::costs;
use crate::math::csr::Csr;
use crate::math::real::Real;
use crate::model::{Fit, Model, ModelKind, TensorSource};
use crate::nn::encoder::{Architecture, Encoder, EncoderMemory};
use crate::nn::engine::ItemLayer;
use crate::nn::fused::Fused;
use crate::nn::init::{Init, Scheme};
use crate::nn::latent::CompositePrior;
use crate::nn::network::{Network, Optimiser, Update};
use crate::nn::noise::{Noise, Purpose, Seeded};
use crate::nn::old_posterior::OldPosterior;
use crate::split::parts::HeldOut;
use crate::train::epoch_log::Schedule;
use crate::train::fit_shape::FitShape;
use crate::train::implicit_slim::{self, ImplicitSlim};
use crate::train::run::FitRun;
use crate::train::training::{KlWeight, Pass, Training};

choice! {
    /// What the posterior is pulled to.
    pub enum PriorKind {
        /// A mixture of N(0, 1), the old posterior and a wide normal, coordinate by coordinate.
        Composite = "composite",
        /// N(0, I).
        Standard = "standard",
    }
}

choice! {
    /// How the KL term is weighted.
    pub enum KlWeightKind {
        /// gamma times the number of the user's interactions.
        User = "user",
        /// beta for every user.
        Constant = "constant",
    }
}

choice! {
    /// In which order parameters are trained.
    pub enum TrainingKind {
        /// Encoder passes, then decoder passes.
        Alternating = "alternating",
        /// Both at once.
        Joint = "joint",
    }
}

choice! {
    /// Which encoder.
    pub enum EncoderKind {
        /// RecVAE's, five layers.
        Dense = "dense",
        /// Mult-VAE's, one tanh layer.
        Shallow = "shallow",
    }
}

options! {
    /// Options of RecVAE.
    pub struct RecVaeOptions for "recvae", check = RecVaeOptions::check {
        /// KL weight per interaction of a user (gamma). The option that matters most: tune it. In the paper 0.0035 to
        /// 0.01, for users of 123 to 59 interactions; the fewer they have, the larger it has to be.
        gamma: f64 = 0.005, AtLeast(0.0), search = Search::Log { from: 0.0005, to: 0.05 };
        /// KL weight of every user where klWeight is 'constant'.
        beta: f64 = 0.2, AtLeast(0.0);
        /// What the KL term is weighted by.
        kl_weight: KlWeightKind = KlWeightKind::User, Any;
        /// What the posterior is pulled to.
        prior: PriorKind = PriorKind::Composite, Any;
        /// Alternating or joint training.
        training: TrainingKind = TrainingKind::Alternating, Any;
        /// RecVAE's dense encoder or Mult-VAE's.
        encoder: EncoderKind = EncoderKind::Dense, Any;
        /// Width of the encoder's layers.
        hidden_dim: usize = 600, Between(1.0, 65536.0);
        /// Length of a user's latent vector.
        latent_dim: usize = 200, Between(1.0, 65536.0);
        /// Share of a history that is dropped from the encoder's input in training.
        dropout_rate: f64 = 0.5, Below(0.0, 1.0);
        /// Weights of the composite prior's parts: N(0, 1), old posterior, wide normal. Their sum is 1.
        mixture_weights: [f64; 3] = [0.15, 0.75, 0.1], Between(0.0, 1.0);
        /// Logarithm of the variance of the composite prior's wide part.
        wide_log_variance: f64 = 10.0, Between(-20.0, 20.0);
        /// Adam's step size, for encoder and decoder alike.
        learning_rate: f64 = 5e-4, Above(0.0);
        /// Users per step.
        batch_size: usize = 500, Between(1.0, 1048576.0);
        /// Encoder passes over all users per epoch of alternating training.
        encoder_passes: usize = 3, Between(1.0, 1000.0);
        /// Decoder passes over all users per epoch of alternating training.
        decoder_passes: usize = 1, Between(1.0, 1000.0);
        /// Epochs at most.
        epochs: usize = 50, Between(1.0, 1000000.0);
        /// Epochs without a better validation NDCG@100 after which training stops.
        patience: usize = 10, AtLeast(1.0);
        /// Whether item embeddings, the weights of encoder and decoder that belong to items, are now and then replaced
        /// by ImplicitSLIM.
        implicit_slim: bool = false, Any;
        /// Epochs from one replacement to the next: it comes before the passes of epochs slimEvery, 2 slimEvery and so
        /// on.
        slim_every: usize = 10, Between(1.0, 1000000.0);
        /// Weight of the linear model's squared norm in ImplicitSLIM, as lambda of EASE^R.
        slim_lambda: f64 = 500.0, Above(0.0);
        /// How close the replaced embeddings stay to those before: less pulls them to 0.
        slim_alpha: f64 = 1.0, Above(0.0);
        /// Share of the training users below which an item's own embedding does not count in the replacement. The
        /// authors' 1000 users on MovieLens-20M are .0086.
        slim_threshold: f64 = 0.01, Between(0.0, 1.0);
        /// Seed of weights, order of users, dropout and samples.
        seed: u64 = 1, Any;
    }
}

impl RecVaeOptions {
    fn check(&self) -> Result<()> {
        let sum: f64 = self.mixture_weights.iter().sum();
        if (sum - 1.0).abs() > 1e-6 {
            return Err(Error::invalid_argument("mixtureWeights", format!("{:?}", self.mixture_weights), "a sum of 1"));
        }
        self.check_slim()
    }

    /// Options of ImplicitSLIM that would change nothing are a mistake.
    fn check_slim(&self) -> Result<()> {
        let default = Self::default();
        if self.implicit_slim {
            if self.slim_every > self.epochs {
                let allowed = format!("at most epochs ({}) where implicitSlim is true", self.epochs);
                return Err(Error::invalid_argument("slimEvery", self.slim_every, allowed));
            }
            return Ok(());
        }
        for (name, value, default) in [
            ("slimEvery", self.slim_every as f64, default.slim_every as f64),
            ("slimLambda", self.slim_lambda, default.slim_lambda),
            ("slimAlpha", self.slim_alpha, default.slim_alpha),
            ("slimThreshold", self.slim_threshold, default.slim_threshold),
        ] {
            if value != default {
                let allowed = format!("{default} where implicitSlim is false, or implicitSlim true");
                return Err(Error::invalid_argument(name, value, allowed));
            }
        }
        Ok(())
    }

    fn slim(&self) -> Option<ImplicitSlim> {
        let Self { slim_lambda: lambda, slim_alpha: alpha, slim_threshold: threshold, .. } = *self;
        self.implicit_slim.then_some(ImplicitSlim { lambda, alpha, threshold })
    }

    fn architecture(&self, n_items: usize) -> Architecture {
        Architecture {
            n_items,
            hidden_dim: self.hidden_dim,
            latent_dim: self.latent_dim,
            dense_encoder: self.encoder == EncoderKind::Dense,
            hidden_decoder: false,
            posterior: true,
        }
    }

    /// The passes of an epoch.
    pub(crate) fn plan(&self) -> Vec<Pass> {
        let (dropout, every) = (self.dropout_rate, self.slim_every);
        let mut plan = vec![];
        if let Some(slim) = self.slim() {
            let layers = [ItemLayer::EncoderInput, ItemLayer::DecoderOutput];
            plan.extend(layers.map(|layer| Pass::ImplicitSlim { every, layer, slim }));
        }
        if self.training == TrainingKind::Joint {
            plan.extend([Pass::Train { update: Update::Both, dropout, renew: false }, Pass::Renew]);
            return plan;
        }
        let encoder = Pass::Train { update: Update::Encoder, dropout, renew: false };
        let decoder = |renew| Pass::Train { update: Update::Decoder, dropout: 0.0, renew };
        plan.extend(vec![encoder; self.encoder_passes]);
        plan.extend((0..self.decoder_passes).map(|pass| decoder(pass == 0)));
        plan
    }

    /// The composite prior, if it is that.
    pub(super) fn composite(&self) -> Option<CompositePrior> {
        let Self { mixture_weights, wide_log_variance, .. } = *self;
        (self.prior == PriorKind::Composite).then_some(CompositePrior { mixture_weights, wide_log_variance })
    }

    /// The first old posterior, for which `old_encoder` is asked if it is needed.
    pub(super) fn old_posterior<T: Real, E: Borrow<Encoder<T>>>(
        &self,
        old_encoder: impl FnOnce() -> E,
        train: &Csr,
        memory: &mut EncoderMemory<T>,
        cancel: &Cancel,
    ) -> Result<Option<OldPosterior<T>>> {
        let of = |_| OldPosterior::of(old_encoder().borrow(), train, self.latent_dim, self.batch_size, memory, cancel);
        self.composite().map(of).transpose()
    }

    /// Everything that training starts from.
    pub(super) fn training<'a, T: Real>(
        &self,
        network: Network<T>,
        old: Option<OldPosterior<T>>,
        memory: EncoderMemory<T>,
        train: &'a Csr,
        noise: &'a dyn Noise<T>,
    ) -> Training<'a, T, Fused<T>> {
        let kl_weight = match self.kl_weight {
            KlWeightKind::User => KlWeight::PerInteraction(self.gamma),
            KlWeightKind::Constant => KlWeight::Annealed { beta: self.beta, steps: 0 },
        };
        let optimiser = Optimiser::new(&network, self.learning_rate);
        let engine = Fused::new(network, optimiser, old, memory);
        let training = Training::new(engine, train, noise, kl_weight, self.batch_size);
        Training { prior: self.composite(), ..training }
    }
}

pub(super) fn fit(options: &RecVaeOptions, train: &Csr, validation: Option<&HeldOut>, run: &FitRun<'_>) -> Result<Fit> {
    let fitting = vae::Fitting {
        kind: ModelKind::RecVae,
        options: options.to_json(),
        // An epoch does not depend on how many there will be.
        free: &["epochs"],
        schedule: Schedule { epochs: options.epochs, patience: options.patience, warm_up: 0 },
        plan: &options.plan(),
    };
    let noise = Seeded(options.seed);
    fitting.fit(train, validation, run, || {
        if let Some(slim) = options.slim() {
            slim.check(train)?;
        }
        start(options, train, &noise, run)
    })
}

/// What [`fit`] takes.
pub(super) fn memory(options: &RecVaeOptions, shape: &FitShape<'_>) -> MemoryEstimate {
    let &RecVaeOptions { batch_size, dropout_rate, .. } = options;
    let posteriors = options.prior == PriorKind::Composite;
    let alternating = options.training == TrainingKind::Alternating;
    let steps = vae::Steps { batch_size, dropout_rate, posteriors, alternating };
    let estimate = vae::memory(&options.architecture(shape.items), steps, shape);
    if !options.implicit_slim {
        return estimate;
    }
    // A replacement comes when the scores of the validation users are not there.
    let scores = estimate.parts.iter().find(|part| part.0 == vae::SCORES).map_or(0, |part| part.1);
    let slim = implicit_slim::memory(options.hidden_dim.max(options.latent_dim), shape) as u64;
    let moment = (estimate.fit() - scores).saturating_add(slim);
    estimate.with_moment("new item embeddings by ImplicitSLIM", moment)
}

/// What the seconds of [`fit`] grow with.
pub(super) use super::vae::LAW;

/// [`LAW`] as a number.
pub(super) fn work(options: &RecVaeOptions, shape: &FitShape<'_>) -> f64 {
    let passes = match options.training {
        TrainingKind::Alternating => options.encoder_passes + options.decoder_passes,
        TrainingKind::Joint => 1,
    };
    vae::work(&options.architecture(shape.items), (options.epochs * passes) as f64, shape)
}

/// Seconds of [`fit`] on one core with all its epochs.
pub(super) fn seconds(options: &RecVaeOptions, shape: &FitShape<'_>) -> f64 {
    let architecture = options.architecture(shape.items);
    let seconds =
        |passes: usize| vae::seconds(&architecture, (options.epochs * passes) as f64, options.batch_size, shape);
    let training = match options.training {
        TrainingKind::Alternating => costs::ALTERNATING * seconds(options.encoder_passes + options.decoder_passes),
        TrainingKind::Joint => seconds(1),
    };
    training + vae::seconds_of_lists(&architecture, options.epochs, shape)
}

/// Where a search does well to begin, besides with the default `gamma`: the paper's `gamma` of each of its three data
/// sets gives a user of average activity a KL weight of 0.37 (MovieLens-20M: 0.005 and 73 interactions), 0.43 (Netflix:
/// 0.0035 and 123) and 0.59 (Million Song: 0.01 and 59). Nothing where the default is about that: another fit of about
/// the same would tell little.
pub(super) fn starts(options: &RecVaeOptions, shape: &FitShape<'_>) -> Vec<RecVaeOptions> {
    const KL_WEIGHT: f64 = 0.45;
    const ABOUT: f64 = 2.0;
    let [users, _, interactions] = shape.counts().map(|count| count.max(1.0));
    let gamma = KL_WEIGHT / (interactions / users);
    let differs = !(options.gamma / ABOUT..=options.gamma * ABOUT).contains(&gamma);
    let is_per_interaction = options.kl_weight == KlWeightKind::User;
    Vec::from_iter((is_per_interaction && differs).then(|| RecVaeOptions { gamma, ..options.clone() }))
}

/// The largest widths with which it fits.
pub(super) fn smaller(
    options: &RecVaeOptions,
    _shape: &FitShape<'_>,
    fits: impl Fn(&RecVaeOptions) -> bool,
) -> Option<RecVaeOptions> {
    let with = |scaled: &dyn Fn(usize) -> usize| RecVaeOptions {
        hidden_dim: scaled(options.hidden_dim),
        latent_dim: scaled(options.latent_dim),
        ..options.clone()
    };
    vae::smaller(with, fits)
}

/// A network that is fresh or begins with another one, ready to be trained.
pub(crate) fn start<'a>(
    options: &RecVaeOptions,
    train: &'a Csr,
    noise: &'a Seeded,
    run: &FitRun<'_>,
) -> Result<Training<'a, f32, Fused<f32>>> {
    let architecture = options.architecture(train.n_cols());
    let (init, cancel) = (|purpose| Init::new(options.seed, purpose, Scheme::Torch), &run.cancel);
    let network = || Network::new(architecture, &mut init(Purpose::Weights));
    let mut memory = EncoderMemory::default();
    let (network, old) = match &run.from {
        Some(from) => {
            let mut network = network();
            from.put_into(&mut network)?;
            let old = options.old_posterior(|| &network.encoder, train, &mut memory, cancel)?;
            (network, old)
        }
        None => {
            // Before the network, so that what the old encoder took is there again for it.
            let old_encoder = || Encoder::new(architecture, &mut init(Purpose::OldWeights));
            let old = options.old_posterior(old_encoder, train, &mut memory, cancel)?;
            (network(), old)
        }
    };
    Ok(Training { cancel: cancel.clone(), ..options.training(network, old, memory, train, noise) })
}

pub(super) fn load(options: &RecVaeOptions, n_items: usize, tensors: &dyn TensorSource) -> Result<Box<dyn Model>> {
    vae::load(ModelKind::RecVae, options.to_json(), options.architecture(n_items), tensors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_begins_with_the_kl_weight_that_the_average_user_has_elsewhere() {
        let starts_of = |interactions, options: RecVaeOptions| {
            let (users, items) = (1000, 500);
            let shape =
                FitShape { users, items, interactions, validation: true, weighted: false, threads: 1, data: None };
            starts(&options, &shape).iter().map(|start| start.gamma).collect::<Vec<_>>()
        };
        // 9 interactions a user, and 60, where the default has 0.3.
        assert_eq!(starts_of(9_000, RecVaeOptions::default()), [0.45 / 9.0]);
        assert!(starts_of(60_000, RecVaeOptions::default()).is_empty());
        assert_eq!(starts_of(60_000, RecVaeOptions { gamma: 0.1, ..RecVaeOptions::default() }), [0.45 / 60.0]);
        assert!(
            starts_of(9_000, RecVaeOptions { kl_weight: KlWeightKind::Constant, ..RecVaeOptions::default() })
                .is_empty()
        );
        assert_eq!(starts_of(0, RecVaeOptions::default()), [0.45 / 0.001]);
    }
}
