//! What a trained RecVAE, Mult-VAE and Mult-DAE have in common: all but the training.

use ndarray::{Array2, ArrayViewMut2, Axis};
use rayon::prelude::*;
use serde_json::Value;

#[cfg(feature = "candle")]
use crate::base::compute::Device;
use crate::base::compute::{Compute, EngineKind};
use crate::base::error::{Error, Result};
use crate::base::memory::{MemoryEstimate, check_memory};
use crate::base::progress::Progress;
#[cfg(feature = "candle")]
use crate::evaluate::device_lists::users_at_once;
use crate::evaluate::factors::Factors;
use crate::evaluate::scorer::Scorer;
use crate::evaluate::shortlist::numbers_per_item;
use crate::evaluate::top_k::BLOCK;
use crate::math::cosine::cosines;
use crate::math::costs;
use crate::math::csr::Csr;
use crate::model::tensors::numbers;
use crate::model::{Fit, Model, ModelKind, NamedTensor, TensorData, TensorSource};
#[cfg(feature = "candle")]
use crate::models::device::{CUDA_ITSELF, check_device};
#[cfg(feature = "candle")]
use crate::nn::candle::CandleEngine;
use crate::nn::encoder::{Architecture, EncoderMemory};
#[cfg(feature = "candle")]
use crate::nn::engine::Engine;
use crate::nn::fused::Fused;
use crate::nn::init::{Init, Scheme};
use crate::nn::network::{Network, Optimiser, Parameter};
use crate::nn::noise::{Purpose, Seeded};
use crate::nn::output_layer::n_groups;
use crate::split::parts::HeldOut;
use crate::train::epoch_log::Schedule;
use crate::train::fit_shape::FitShape;
use crate::train::keeper::Keeper;
use crate::train::run::FitRun;
use crate::train::training::{KlWeight, Pass, Training};

/// Trains by the engine that the run asks for.
fn by_engine(
    training: Training<'_, f32, Fused<f32>>,
    plan: &[Pass],
    schedule: Schedule,
    validation: Option<&HeldOut>,
    run: &FitRun<'_>,
    keeper: Option<Keeper>,
) -> Result<(Network<f32>, Vec<Progress>)> {
    match run.compute {
        Compute { engine: EngineKind::Fused, precision, .. } => {
            let training = training.on(|fused| Ok(fused.in_precision(precision)))?;
            training.run(plan, schedule, validation, run, keeper)
        }
        #[cfg(feature = "candle")]
        Compute { engine: EngineKind::Candle, device, .. } => {
            let train = training.train;
            let (architecture, posteriors) = (training.engine.architecture(), training.prior.is_some());
            check_device("training", device, &device_memory(&architecture, training.batch_size, posteriors, train))?;
            let training = training.on(|fused| {
                let engine = CandleEngine::new(fused, device)?;
                if device == Device::Cpu { Ok(engine) } else { engine.with_own_operations(train) }
            })?;
            training.run(plan, schedule, validation, run, keeper)
        }
        #[cfg(not(feature = "candle"))]
        Compute { engine: EngineKind::Candle, .. } => Err(Error::Internal("this build is without candle".into())),
    }
}

/// What a training takes of a GPU's memory: counted from the operations of [`CandleEngine`], and never measured.
#[cfg(feature = "candle")]
fn device_memory(architecture: &Architecture, batch_size: usize, posteriors: bool, train: &Csr) -> MemoryEstimate {
    let (users, items) = (train.n_rows() as f64, architecture.n_items as f64);
    let (hidden, latent) = (architecture.hidden_dim as f64, architecture.latent_dim as f64);
    let (parameters, batch) = (architecture.n_parameters() as f64, users.min(batch_size as f64));
    // Users whose scores are there at once on the way to their lists; how many there are is not known here.
    let validated = users_at_once(architecture.n_items) as f64;
    let parts = [
        ("the parameters and Adam's moments", 3.0 * parameters),
        // As they are, the zeros that candle adds them to, and the sum.
        ("the gradients", 3.0 * parameters),
        ("the old posterior of every user", if posteriors { 2.0 * latent * users } else { 0.0 }),
        ("the interactions", train.nnz() as f64),
        // The logits without bias, with it, and twice on the way to log sum exp; their gradient three times; the dense
        // input. Between epochs the scores of validation users instead, as `device_lists.rs` counts them.
        ("matrices of a batch's users x items", items * (8.0 * batch).max(6.0 * validated)),
        // Every operation of candle makes a tensor: about ten for each of five layers and of three densities, and as
        // many gradients.
        ("what the layers give for a batch", batch * (100.0 * hidden + 80.0 * latent)),
        ("CUDA itself", CUDA_ITSELF / 4.0),
    ];
    let parts = parts.map(|(name, numbers)| (name, 4.0 * numbers));
    MemoryEstimate::new(4.0 * parameters, &parts, "a smaller batchSize, hiddenDim or latentDim")
}

/// What the fit of an autoencoder is, apart from the beginning of its training.
pub(super) struct Fitting<'p> {
    pub(super) kind: ModelKind,
    pub(super) options: Value,
    /// Options of which a training that goes on from a checkpoint may have other values.
    pub(super) free: &'p [&'p str],
    pub(super) schedule: Schedule,
    /// The passes of an epoch.
    pub(super) plan: &'p [Pass],
}

impl Fitting<'_> {
    /// Trains what `start` gives, which is asked for once it is clear that a checkpoint is this training's.
    pub(super) fn fit<'a>(
        self,
        train: &Csr,
        validation: Option<&HeldOut>,
        run: &FitRun<'_>,
        start: impl FnOnce() -> Result<Training<'a, f32, Fused<f32>>>,
    ) -> Result<Fit> {
        let Self { kind, options, free, schedule, plan } = self;
        let keeper = Keeper::open(run, kind, &options, free, train, validation)?;
        let (network, epochs) = by_engine(start()?, plan, schedule, validation, run, keeper)?;
        Ok(Fit { model: Box::new(Vae { kind, options, network }), epochs })
    }
}

/// What the training of Mult-DAE and of Mult-VAE begins with.
pub(super) struct Start {
    pub(super) architecture: Architecture,
    /// Of the weights.
    pub(super) seed: u64,
    pub(super) learning_rate: f64,
    /// Weight in the loss of the sum of squares of the weights.
    pub(super) squares: f64,
    pub(super) kl_weight: KlWeight,
    pub(super) batch_size: usize,
}

impl Start {
    /// A network that is fresh or begins with another one, ready to be trained.
    pub(super) fn training<'a>(
        self,
        train: &'a Csr,
        noise: &'a Seeded,
        run: &FitRun<'_>,
    ) -> Result<Training<'a, f32, Fused<f32>>> {
        let mut network = Network::new(self.architecture, &mut Init::new(self.seed, Purpose::Weights, Scheme::Xavier));
        run.from.iter().try_for_each(|from| from.put_into(&mut network))?;
        let optimiser = Optimiser::new(&network, self.learning_rate).with_squares(self.squares);
        let engine = Fused::new(network, optimiser, None, EncoderMemory::default());
        let training = Training::new(engine, train, noise, self.kl_weight, self.batch_size);
        Ok(Training { cancel: run.cancel.clone(), ..training })
    }
}

/// The part of [`memory`] that is there between epochs only.
pub(super) const SCORES: &str = "the scores of a block of validation users";

/// What decides, beside the architecture, what a training holds.
#[derive(Clone, Copy)]
pub(super) struct Steps {
    pub(super) batch_size: usize,
    pub(super) dropout_rate: f64,
    /// Whether there are old posteriors.
    pub(super) posteriors: bool,
    /// Whether encoder and decoder are trained in turns.
    pub(super) alternating: bool,
}

/// What the training of a network takes.
pub(super) fn memory(architecture: &Architecture, steps: Steps, shape: &FitShape<'_>) -> MemoryEstimate {
    let Steps { batch_size, posteriors, .. } = steps;
    let [users, items, interactions] = shape.counts();
    let &Architecture { hidden_dim, latent_dim, dense_encoder, hidden_decoder, .. } = architecture;
    let (hidden, latent) = (hidden_dim as f64, latent_dim as f64);
    let parameters = architecture.n_parameters() as f64;
    // Two moments each; and the best ones so far.
    let copies = if shape.validation { 4.0 } else { 3.0 };
    let batch = users.min(batch_size as f64);
    let width = if hidden_decoder { hidden } else { latent };
    // Of a user in a step, by layers: what the encoder's gave, its gradients, the ways in and out of it; the posterior,
    // the sample and their gradients; the output layer's groups, its gradient twice; the decoder's hidden layer.
    let encoder = if dense_encoder { 14.0 } else { 5.0 } * hidden;
    let sample = 6.0 * latent;
    let output = (n_groups(shape.items) as f64 + 2.0) * width;
    let decoder = if hidden_decoder { hidden } else { 0.0 };
    // The batch and the next one: noise and old posteriors, what dropout leaves of the histories, by user and by item.
    let input = 2.0 * (latent * if posteriors { 3.0 } else { 1.0 } + 2.0 * interactions / users.max(1.0));
    let activations = batch * (encoder + sample + output + decoder + input) + 4.0 * items;
    // Of the dense parameters, and the order of the users.
    let gradients = parameters - items * (hidden + width + 1.0);
    // Scores of the validation users of a block, what their layers give, and the dense layers' weights once more.
    let block =
        numbers_per_item(width as usize) as f64 * items + BLOCK as f64 * (encoder + sample + decoder) + gradients;
    let scores = if shape.validation { block } else { 0.0 };
    let parts = [
        ("the parameters, Adam's moments and the best parameters so far", copies * parameters),
        ("the old posterior of every user", if posteriors { 2.0 * latent * users } else { 0.0 }),
        // In bf16 they lie in lines for 32 users, half the bytes of 16.
        ("the logits of a batch", batch.max(16.0) * items),
        ("what the layers give for a batch", activations + gradients + 2.0 * users),
        (SCORES, scores),
    ];
    let parts = parts.map(|(name, numbers)| (name, 4.0 * numbers));
    let estimate = MemoryEstimate::new(4.0 * parameters, &parts, "a smaller hiddenDim, latentDim or batchSize");
    estimate.with_candle(&candle_parts(architecture, steps, shape))
}

/// What the training takes by candle's engine on the processor, in bytes. candle keeps what every operation gives until
/// the step has ended, and its gradient until those before it are known. How many numbers that is of a user was fitted
/// to peaks of trainings in which one kind outweighs all others.
fn candle_parts(architecture: &Architecture, steps: Steps, shape: &FitShape<'_>) -> [(&'static str, f64); 4] {
    let Steps { batch_size, dropout_rate, posteriors, alternating } = steps;
    let [users, items, interactions] = shape.counts();
    let &Architecture { hidden_dim, latent_dim, dense_encoder, hidden_decoder, .. } = architecture;
    let (hidden, latent) = (hidden_dim as f64, latent_dim as f64);
    let parameters = architecture.n_parameters() as f64;
    let best = if shape.validation { parameters } else { 0.0 };
    let batch = users.min(batch_size as f64);
    // Rows of the input layer's weights are gathered, one for each item that dropout leaves; once all of them without a
    // gradient.
    let gathered = 2.9 * (1.0 - dropout_rate).max(0.35) * hidden * interactions / users.max(1.0);
    let of_hidden = if dense_encoder { 77.0 } else { 12.0 };
    let of_latent = if posteriors { 89.0 } else { 30.0 };
    let layers = batch * (gathered + of_hidden * hidden + of_latent * latent);
    let logits = batch * items;
    // The gradients of the logits come first, those of the encoder when they are gone; then there are those of the
    // parameters.
    let output = 10.4 * logits + 0.5 * layers;
    let input = 4.6 * logits + layers;
    let largest = items * if hidden_decoder { hidden } else { hidden.max(latent) };
    let kept = if alternating { 0.64 } else { 0.45 };
    let adam = parameters + 5.5 * largest + kept * (10.4 * logits + layers);
    let lists = if shape.validation { 2.0 * BLOCK as f64 * items } else { 0.0 };
    let moment = output.max(input).max(adam).max(lists);
    let parts = [
        ("the parameters, Adam's moments and the best parameters so far", 3.0 * parameters + best),
        ("the old posterior of every user", if posteriors { 2.0 * latent * users } else { 0.0 }),
        ("temporary tensors of candle", moment),
        // Tensors of many sizes come and go on all threads.
        ("what the allocator keeps", 0.1 * moment),
    ];
    parts.map(|(name, numbers)| (name, 4.0 * numbers))
}

/// What the seconds of an autoencoder's training grow with.
pub(super) const LAW: &str =
    "epochs x users x (items x width of the output layer + numbers of the dense layers + items per user x hiddenDim)";

/// [`LAW`] as a number: multiplications of `passes` over all users. The first layer sees only a user's own items.
pub(super) fn work(architecture: &Architecture, passes: f64, shape: &FitShape<'_>) -> f64 {
    let [users, items, interactions] = shape.counts();
    let (hidden, latent) = (architecture.hidden_dim as f64, architecture.latent_dim as f64);
    let width = if architecture.hidden_decoder { hidden } else { latent };
    let dense = architecture.n_parameters() as f64 - items * (hidden + width + 1.0);
    passes * (users * (items * width + dense) + interactions * hidden)
}

/// Seconds of the lists of the validation users after `epochs` epochs on one core.
pub(super) fn seconds_of_lists(architecture: &Architecture, epochs: usize, shape: &FitShape<'_>) -> f64 {
    let width = if architecture.hidden_decoder { architecture.hidden_dim } else { architecture.latent_dim };
    epochs as f64 * costs::lists(shape.choosing_users(), shape.items as f64, width as f64)
}

/// Seconds of `passes` over all users on one core, in batches of so many users.
pub(super) fn seconds(architecture: &Architecture, passes: f64, batch_size: usize, shape: &FitShape<'_>) -> f64 {
    let steps = passes * shape.users.div_ceil(batch_size) as f64;
    costs::MULTIPLICATION * work(architecture, passes, shape)
        + costs::PARAMETER * steps * architecture.n_parameters() as f64
}

/// The largest widths with which it fits, in sixty-fourths of those that are given and no less than a sixteenth. `with`
/// gives the options with all widths scaled by a function.
pub(super) fn smaller<O>(with: impl Fn(&dyn Fn(usize) -> usize) -> O, fits: impl Fn(&O) -> bool) -> Option<O> {
    let shares = (4..64).rev();
    shares.map(|share| with(&|width: usize| (width * share / 64).max(1))).find(fits)
}

/// Whether a file has, and memory takes, what the options of a network say, before the network is there: options can
/// claim any size.
///
/// # Errors
/// `INVALID_DATA` if the file has fewer bytes, `MEMORY` if they do not fit.
pub(super) fn check_parameters(n_parameters: u64, n_items: usize, tensors: &dyn TensorSource) -> Result<()> {
    let needed = 4 * n_parameters;
    if let Some(found) = tensors.n_bytes().filter(|&found| found < needed) {
        let message = format!("its options need {needed} bytes of parameters for {n_items} items, and it has {found}");
        return Err(Error::invalid_data(message));
    }
    check_memory("the model", needed)
}

/// A trained autoencoder.
pub(super) struct Vae {
    kind: ModelKind,
    options: Value,
    network: Network<f32>,
}

pub(super) fn load(
    kind: ModelKind,
    options: Value,
    architecture: Architecture,
    tensors: &dyn TensorSource,
) -> Result<Box<dyn Model>> {
    check_parameters(architecture.n_parameters(), architecture.n_items, tensors)?;
    let mut network = Network::new(architecture, &mut Init::zeros());
    network.import(|name, shape| numbers::<f32>(tensors, name, shape))?;
    Ok(Box::new(Vae { kind, options, network }))
}

impl Scorer for Vae {
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

impl Model for Vae {
    fn kind(&self) -> ModelKind {
        self.kind
    }

    fn options(&self) -> Value {
        self.options.clone()
    }

    fn tensors(&self) -> Result<Vec<NamedTensor<'_>>> {
        let tensor = |Parameter { name, values }| NamedTensor { name, data: TensorData::F32(values.into()) };
        Ok(self.network.export().into_iter().map(tensor).collect())
    }

    fn similarities(&self, item: u32, items: &[u32]) -> Result<Vec<f32>> {
        let output = &self.network.decoder.output;
        let weight = &output.weight[..];
        let row = |item: u32| &weight[item as usize * output.width..][..output.width];
        Ok(cosines(row(item), items.par_iter().map(|&other| row(other))))
    }

    fn embed(&self, histories: &[&[u32]]) -> Result<Array2<f32>> {
        let mut means = Array2::zeros((histories.len(), self.network.architecture.latent_dim));
        let blocks = histories.chunks(BLOCK).zip(means.axis_chunks_iter_mut(Axis(0), BLOCK));
        blocks.for_each(|(histories, mut means)| means.assign(&self.network.means(histories)));
        Ok(means)
    }

    /// Without the copies that [`Self::tensors`] makes.
    fn bytes(&self) -> usize {
        size_of::<f32>() * self.network.architecture.n_parameters() as usize
    }
}

#[cfg(all(test, feature = "candle"))]
mod tests {
    use super::*;
    use crate::models::device::check_free;

    #[test]
    fn a_gpu_without_enough_memory_is_refused_with_figures() {
        let architecture = Architecture {
            n_items: 20_000,
            hidden_dim: 600,
            latent_dim: 200,
            dense_encoder: true,
            hidden_decoder: false,
            posterior: true,
        };
        let train = Csr::from_rows([&[0u32, 1][..], &[2]], 20_000).unwrap();
        let estimate = |batch_size, posteriors| device_memory(&architecture, batch_size, posteriors, &train);
        let two = estimate(500, true);
        assert_eq!(two, estimate(2, true));
        assert!(estimate(1, true).fit() < two.fit() && estimate(2, false).fit() < two.fit());
        // Six times as many f32 as there are parameters, and more.
        assert!(two.fit() > 24 * architecture.n_parameters());
        let device = Device::Cuda(1);
        check_free("training", device, &two, two.fit()).unwrap();
        let refused = check_free("training", device, &two, 1 << 20).unwrap_err();
        assert_eq!(refused.code(), "MEMORY");
        let text = refused.to_string();
        assert!(text.starts_with("training on cuda:1 needs 1"), "{text}");
        assert!(text.ends_with(
            "for CUDA itself; 1.0 MiB is free there; the way out: device cpu, or a smaller batchSize, hiddenDim or latentDim"
        ), "{text}");
    }
}
