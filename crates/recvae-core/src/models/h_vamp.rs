//! H+Vamp (Gated): a hierarchical variational autoencoder with gated layers, whose prior is learnt.
//!
//! A history `x`, divided by its Euclidean norm, has two latent vectors. With
//! `gated(a) = (V a + b) o sigmoid(W a + c)`:
//!
//! | part | how |
//! | --- | --- |
//! | `q(z2 \| x)` | `x` after dropout, gated, gated; mean and logarithm of the variance |
//! | `q(z1 \| x, z2)` | `x` after another dropout, gated, beside `z2`, gated; both gated; the same two heads |
//! | `p(z1 \| z2)` | `z2`, gated, gated; the same two heads |
//! | `p(x \| z1, z2)` | `z1`, gated, beside `z2`, gated; both gated; a linear layer: the logits |
//! | `p(z2)` | the mean of `q(z2 \| u)` over `pseudoUsers` vectors `u`, which are learnt and clipped to 0 and 1; as they are, without norm and dropout |
//!
//! Logarithms of variances are clipped to -12 and 4. The loss of a user is
//!
//! ```text
//! -log p(x | z1, z2) + w (log q(z2 | x) + log q(z1 | x, z2) - log p(z1 | z2) - log p(z2))
//! ```
//!
//! at one sample of either vector; `w` grows in a line over the first epochs, up to `beta` in the last one of them.
//! Every step divides the gradient of each weight matrix and each bias by its norm, and hands it to Adam. Scores are
//! the logits at the means of both posteriors.
//!
//! Source: Kim, Suh, "Enhancing VAEs for Collaborative Filtering: Flexible Priors & Gating Mechanisms", RecSys 2019,
//! arXiv 1911.00936; its prior: Tomczak, Welling, "VAE with a VampPrior", AISTATS 2018, arXiv 1705.07120.

use ndarray::{Array2, ArrayViewMut2};
use rayon::prelude::*;
use serde_json::Value;

use super::vae;
use crate::base::error::{Error, Result};
use crate::base::matrix::{view2, view2_mut};
use crate::base::memory::MemoryEstimate;
use crate::base::options::{Options, choice, options};
use crate::evaluate::factors::Factors;
use crate::evaluate::scorer::{Scorer, check_histories, checked, checked_some};
use crate::evaluate::shortlist::numbers_per_item;
use crate::evaluate::top_k::BLOCK;
use crate::math::cosine::cosines;
use crate::math::costs;
use crate::math::csr::Csr;
use crate::math::products::par_products;
use crate::math::vectorised::add_to_rows;
use crate::model::tensors::numbers;
use crate::model::{Fit, Model, ModelKind, NamedTensor, TensorSource};
use crate::split::parts::HeldOut;
use crate::train::epoch_log::{EpochLog, Schedule};
use crate::train::epochs::run_epochs;
use crate::train::fit_shape::FitShape;
use crate::train::keeper::Keeper;
use crate::train::run::FitRun;

#[cfg(feature = "candle")]
mod candle;
#[cfg(all(test, feature = "candle"))]
mod candle_tests;
mod layers;
mod network;
mod normal;
#[cfg(test)]
mod tests;
mod training;

use network::{Likelihood, Network, Shape};
use training::Training;

choice! {
    /// How a history follows from the logits.
    pub enum HVampLikelihood {
        /// Of one item after the other, by a softmax.
        Multinomial = "multinomial",
        /// Of each item by itself, by a sigmoid.
        Bernoulli = "bernoulli",
    }
}

options! {
    /// Options of H+Vamp (Gated).
    pub struct HVampOptions for "hvamp" {
        /// Weight of the KL term once it has grown.
        beta: f64 = 0.3, AtLeast(0.0), search = Search::Log { from: 0.03, to: 1.0 };
        /// Epochs over which that weight grows, by the same each.
        warm_up: usize = 100, AtLeast(0.0);
        /// How a history follows from the logits.
        likelihood: HVampLikelihood = HVampLikelihood::Multinomial, Any;
        /// Vectors whose posteriors are the prior.
        pseudo_users: usize = 1000, Between(1.0, 65536.0);
        /// Width of the gated layers.
        hidden_dim: usize = 600, Between(1.0, 65536.0);
        /// Length of either latent vector of a user.
        latent_dim: usize = 200, Between(1.0, 65536.0);
        /// Share of a history that is dropped from the encoder's input in training.
        dropout_rate: f64 = 0.5, Below(0.0, 1.0);
        /// Adam's step size, on gradients that are divided by their norm.
        learning_rate: f64 = 5e-4, Above(0.0);
        /// Users per step.
        batch_size: usize = 200, Between(1.0, 1048576.0);
        /// Epochs at most.
        epochs: usize = 300, Between(1.0, 1000000.0);
        /// Epochs without a better validation NDCG@100 after which training stops; counted once beta has grown.
        patience: usize = 50, AtLeast(1.0);
        /// Seed of weights, order of users, dropout and samples.
        seed: u64 = 1, Any;
    }
}

impl HVampOptions {
    fn shape(&self, n_items: usize) -> Shape {
        let Self { hidden_dim: hidden, latent_dim: latent, pseudo_users, .. } = *self;
        Shape { n_items, hidden, latent, pseudo_users }
    }

    fn likelihood(&self) -> Likelihood {
        match self.likelihood {
            HVampLikelihood::Multinomial => Likelihood::Multinomial,
            HVampLikelihood::Bernoulli => Likelihood::Bernoulli,
        }
    }

    /// The weight of the KL term in an epoch, the first one is 1. It is never 0: without a KL term variances go to
    /// their least one within an epoch, and then nothing but the distance to the prior counts.
    fn beta_in(&self, epoch: usize) -> f64 {
        if self.warm_up == 0 { self.beta } else { self.beta * (epoch as f64 / self.warm_up as f64).min(1.0) }
    }
}

pub(super) fn fit(options: &HVampOptions, train: &Csr, validation: Option<&HeldOut>, run: &FitRun<'_>) -> Result<Fit> {
    let schedule = Schedule { epochs: options.epochs, patience: options.patience, warm_up: options.warm_up };
    // The KL term's weight grows by epochs, whatever their number.
    let keeper = Keeper::open(run, ModelKind::HVamp, &options.to_json(), &["epochs"], train, validation)?;
    let mut training = Training::new(options, train, run)?;
    let epoch = |training: &mut Training<'_>, log: &mut EpochLog| training.epoch(validation, run, log);
    let EpochLog { record: epochs, best, .. } = run_epochs(&mut training, schedule, run, keeper, epoch)?;
    let mut network = training.into_network();
    if let Some(best) = best.filter(|best| best.epoch < epochs.len() as u64) {
        let tensors = network.tensors_mut().into_iter().zip(best.parameters);
        tensors.for_each(|((.., values), mut best)| values.copy_from_slice(best.values_mut()));
    }
    Ok(Fit { model: Box::new(HVamp { options: options.clone(), network }), epochs })
}

/// What [`fit`] takes.
pub(super) fn memory(options: &HVampOptions, shape: &FitShape<'_>) -> MemoryEstimate {
    let [users, items, interactions] = shape.counts();
    let Shape { hidden, latent, pseudo_users, .. } = options.shape(shape.items);
    let [hidden, latent, pseudo_users] = [hidden, latent, pseudo_users].map(|n| n as f64);
    let parameters = options.shape(shape.items).n_parameters() as f64;
    let batch = users.min(options.batch_size as f64);
    // Values, gradients, two moments; and the best ones so far.
    let copies = if shape.validation { 5.0 } else { 4.0 };
    // A gated layer keeps three numbers for each of its own, and two on the way back; a normal keeps three.
    let of_pseudo = pseudo_users * (2.0 * items + 2.0 * 3.0 * hidden + 3.0 * hidden + 6.0 * latent);
    let of_batch = batch * (items + 3.0 * 11.0 * hidden + 8.0 * hidden + 20.0 * latent + 2.0 * pseudo_users)
        + 4.0 * batch * interactions / users.max(1.0);
    let block = numbers_per_item(hidden as usize) as f64 * items + BLOCK as f64 * (18.0 * hidden + 4.0 * latent);
    let parts = [
        ("the parameters, their gradients, Adam's moments and the best parameters so far", copies * parameters),
        ("what the layers give for the pseudo-users", of_pseudo),
        ("what the layers give for a batch", of_batch + 2.0 * users),
        ("the scores of a block of validation users", if shape.validation { block } else { 0.0 }),
    ];
    let parts = parts.map(|(name, numbers)| (name, 4.0 * numbers));
    let candle = candle_parts(options, shape.items, batch);
    // Tensors of many sizes come and go on all threads. What the allocator keeps between them differs from run to run:
    // peaks of the same fit spread over 17 %.
    let kept = 0.1 * candle.iter().map(|part| part.1).sum::<f64>();
    // Besides, the host has the parameters, and the best ones.
    let host = [("parameters", 4.0 * 2.0 * parameters), ("what the allocator keeps", kept)];
    let candle: Vec<_> = candle.into_iter().chain(host).collect();
    MemoryEstimate::new(4.0 * parameters, &parts, SMALLER).with_candle(&candle)
}

/// What candle's engine holds on its device, for a batch of that many users: candle keeps what every operation gives
/// and what its gradient is. The factors were fitted to peaks on a processor, which they exceed by an eighth where the
/// allocator keeps little.
fn candle_parts(options: &HVampOptions, n_items: usize, batch: f64) -> [(&'static str, f64); 4] {
    let shape = options.shape(n_items);
    let parameters = shape.n_parameters() as f64;
    let Shape { n_items, hidden, latent, pseudo_users } = shape;
    let [items, hidden, latent, pseudo_users] = [n_items, hidden, latent, pseudo_users].map(|n| n as f64);
    let of_logits = match options.likelihood {
        HVampLikelihood::Multinomial => 28.0,
        HVampLikelihood::Bernoulli => 39.0,
    };
    let of_batch = batch * (90.0 * hidden + 60.0 * latent + 25.0 * pseudo_users);
    let of_pseudo = pseudo_users * (10.0 * items + 20.0 * hidden + 60.0 * latent);
    [
        ("the parameters, Adam's moments and the gradients", 8.0 * parameters),
        ("matrices of a batch's users x items", of_logits * batch * items),
        ("what the layers give for a batch", of_batch),
        ("what the layers give for the pseudo-users", of_pseudo),
    ]
    .map(|(name, numbers)| (name, 4.0 * numbers))
}

/// What a training takes of a GPU's memory, which was never measured.
#[cfg(feature = "candle")]
fn device_memory(options: &HVampOptions, train: &Csr) -> MemoryEstimate {
    let batch = train.n_rows().min(options.batch_size) as f64;
    let cuda = [("CUDA itself", f64::from(3 << 28))];
    let parts: Vec<_> = candle_parts(options, train.n_cols(), batch).into_iter().chain(cuda).collect();
    let parameters = options.shape(train.n_cols()).n_parameters() as f64;
    MemoryEstimate::new(4.0 * parameters, &parts, SMALLER)
}

/// The options that make it less.
const SMALLER: &str = "a smaller hiddenDim, latentDim, pseudoUsers or batchSize";

/// What the seconds of [`fit`] grow with.
pub(super) const LAW: &str =
    "epochs x (users x (items x hiddenDim + numbers of the dense layers) + steps x pseudoUsers x items x hiddenDim)";

/// [`LAW`] as a number.
pub(super) fn work(options: &HVampOptions, shape: &FitShape<'_>) -> f64 {
    let [users, items, interactions] = shape.counts();
    let Shape { hidden, latent, pseudo_users, .. } = options.shape(shape.items);
    let [hidden, latent, pseudo_users] = [hidden, latent, pseudo_users].map(|n| n as f64);
    let steps = (users / options.batch_size as f64).ceil();
    let dense = 12.0 * hidden * hidden + 14.0 * hidden * latent;
    let of_users = users * (items * hidden + dense + pseudo_users * latent) + 4.0 * interactions * hidden;
    let of_pseudo = steps * pseudo_users * (2.0 * items * hidden + 2.0 * hidden * hidden);
    options.epochs as f64 * (of_users + of_pseudo)
}

/// Seconds of [`fit`] on one core with all its epochs.
pub(super) fn seconds(options: &HVampOptions, shape: &FitShape<'_>) -> f64 {
    let steps = (options.epochs * shape.users.div_ceil(options.batch_size)) as f64;
    costs::MULTIPLICATION * work(options, shape)
        + costs::PARAMETER * steps * options.shape(shape.items).n_parameters() as f64
        + options.epochs as f64 * costs::lists(shape.choosing_users(), shape.items as f64, options.hidden_dim as f64)
}

/// The largest widths with which it fits.
pub(super) fn smaller(
    options: &HVampOptions,
    _shape: &FitShape<'_>,
    fits: impl Fn(&HVampOptions) -> bool,
) -> Option<HVampOptions> {
    let with = |scaled: &dyn Fn(usize) -> usize| HVampOptions {
        hidden_dim: scaled(options.hidden_dim),
        latent_dim: scaled(options.latent_dim),
        pseudo_users: scaled(options.pseudo_users),
        ..options.clone()
    };
    vae::smaller(with, fits)
}

pub(super) fn load(options: &HVampOptions, n_items: usize, tensors: &dyn TensorSource) -> Result<Box<dyn Model>> {
    let shape = options.shape(n_items);
    vae::check_parameters(shape.n_parameters(), n_items, tensors)?;
    let mut network = Network::zeros(shape);
    for (name, shape, values) in network.tensors_mut() {
        values.copy_from_slice(&numbers::<f32>(tensors, &name, &shape)?);
    }
    Ok(Box::new(HVamp { options: options.clone(), network }))
}

/// The H+Vamp model.
struct HVamp {
    options: HVampOptions,
    network: Network<f32>,
}

impl Scorer for Network<f32> {
    fn n_items(&self) -> usize {
        self.shape.n_items
    }

    fn score(&self, histories: &[&[u32]], mut scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        let all: &mut [f32] = checked(histories, self.n_items(), scores.view_mut())?;
        let (hidden, shape) = (self.hidden(histories), (histories.len(), self.shape.hidden));
        let weight = view2(&self.output.weight, (self.n_items(), self.shape.hidden));
        par_products(view2(&hidden, shape), weight, view2_mut(all, (histories.len(), self.n_items())));
        add_to_rows(all, &self.output.bias);
        Ok(())
    }

    fn score_some(&self, histories: &[&[u32]], items: &[u32], mut scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        let some: &mut [f32] = checked_some(histories, items, self.n_items(), scores.view_mut())?;
        if items.is_empty() {
            return Ok(());
        }
        let (hidden, width) = (self.hidden(histories), self.shape.hidden);
        let row = |&item: &u32| &self.output.weight[item as usize * width..][..width];
        let rows: Vec<f32> = items.iter().flat_map(row).copied().collect();
        let weight = view2(&rows, (items.len(), width));
        let out = view2_mut(some, (histories.len(), items.len()));
        par_products(view2(&hidden, (histories.len(), width)), weight, out);
        let biases: Vec<f32> = items.iter().map(|&item| self.output.bias[item as usize]).collect();
        add_to_rows(some, &biases);
        Ok(())
    }

    fn factors(&self) -> Option<Factors<'_>> {
        let users = |histories: &[&[u32]]| {
            check_histories(histories, self.n_items())?;
            Ok(self.hidden(histories))
        };
        let (items, biases) = (&self.output.weight[..], Some(&self.output.bias[..]));
        Some(Factors { width: self.shape.hidden, items, biases, block: BLOCK, users: Box::new(users) })
    }
}

impl Scorer for HVamp {
    fn n_items(&self) -> usize {
        self.network.n_items()
    }

    fn score(&self, histories: &[&[u32]], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        self.network.score(histories, scores)
    }

    fn score_some(&self, histories: &[&[u32]], items: &[u32], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        self.network.score_some(histories, items, scores)
    }

    fn factors(&self) -> Option<Factors<'_>> {
        self.network.factors()
    }
}

impl Model for HVamp {
    fn kind(&self) -> ModelKind {
        ModelKind::HVamp
    }

    fn options(&self) -> Value {
        self.options.to_json()
    }

    fn tensors(&self) -> Result<Vec<NamedTensor<'_>>> {
        let tensor = |(name, shape, values): (String, Vec<usize>, _)| NamedTensor::new(&name, &shape, values);
        Ok(self.network.tensors().into_iter().map(tensor).collect())
    }

    fn similarities(&self, item: u32, items: &[u32]) -> Result<Vec<f32>> {
        let width = self.network.shape.hidden;
        let row = |item: u32| &self.network.output.weight[item as usize * width..][..width];
        Ok(cosines(row(item), items.par_iter().map(|&other| row(other))))
    }

    fn embed(&self, histories: &[&[u32]]) -> Result<Array2<f32>> {
        let blocks = histories.chunks(BLOCK).flat_map(|histories| self.network.embed(histories));
        let shape = (histories.len(), self.network.shape.latent);
        Array2::from_shape_vec(shape, blocks.collect()).map_err(|error| Error::Internal(error.to_string()))
    }
}
