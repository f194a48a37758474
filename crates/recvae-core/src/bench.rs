//! What the benches time and the library does not show: single steps of training, products of dense matrices, and the
//! kernels that a fit is made of. Compiled with the feature `bench` alone; not part of the API.

use std::ops::DerefMut;
use std::time::Instant;

use faer::Par;
use ndarray::ArrayViewMut2;
use serde_json::Value;

use crate::base::cancel::Cancel;
use crate::base::compute::TrainingPrecision;
use crate::base::error::{Error, Result};
use crate::base::numbers::Numbers;
use crate::base::options::Options;
use crate::base::steps::Steps;
use crate::math::csr::Csr;
use crate::math::matmul::{par_matmul, rows, rows_mut};
use crate::model::ModelKind;
use crate::models::{MultDaeOptions, MultVaeOptions, RecVaeOptions, mult_dae, mult_vae, rec_vae};
use crate::nn::adam::{AdamStep, Moments};
use crate::nn::batch::{Batch, SparseInput};
use crate::nn::encoder::Architecture;
use crate::nn::init::{Init, Scheme};
use crate::nn::input_layer::{InputLayer, InputMoments};
use crate::nn::latent::{Prior, Sample};
use crate::nn::network::{Memory, Network, Update};
use crate::nn::noise::{Purpose, Seeded};
use crate::nn::output_layer::{LogLikelihood, OutputLayer, OutputMoments, Want};
use crate::nn::scratch::Scratch;
use crate::train::run::FitRun;
use crate::train::training::{Pass, Place};

/// Seconds of steps by the name of their pass: `encoder`, `decoder` or `both`.
pub type StepSeconds = Vec<(&'static str, Vec<f64>)>;

/// Trains until `n` steps of each kind of pass are timed, by whatever seconds `clock` tells; the first one of a pass
/// does not count. The engine is the processor's own.
///
/// # Errors
/// As [`ModelKind::fit`]; `INVALID_DATA` if a pass has a single step.
pub fn step_seconds(
    kind: ModelKind,
    options: &Value,
    train: &Csr,
    n: usize,
    precision: TrainingPrecision,
    clock: impl Fn() -> f64,
) -> Result<StepSeconds> {
    let run = FitRun::default();
    let (noise, training, plan);
    match kind {
        ModelKind::RecVae => {
            let options = RecVaeOptions::from_json(options)?;
            noise = Seeded(options.seed);
            (training, plan) = (rec_vae::start(&options, train, &noise, &run)?, options.plan());
        }
        ModelKind::MultDae => {
            let options = MultDaeOptions::from_json(options)?;
            noise = Seeded(options.seed);
            (training, plan) = (mult_dae::start(&options, train, &noise, &run)?, options.plan().to_vec());
        }
        ModelKind::MultVae => {
            let options = MultVaeOptions::from_json(options)?;
            noise = Seeded(options.seed);
            (training, plan) = (mult_vae::start(&options, train, &noise, &run)?, options.plan().to_vec());
        }
        _ => return Err(Error::invalid_argument("model", kind.name(), "one that is trained in steps")),
    }
    let mut training = training.on(|fused| Ok(fused.in_precision(precision)))?;
    let mut all: StepSeconds = vec![];
    for pass in plan {
        let name = match pass {
            Pass::Train { update: Update::Encoder, .. } => "encoder",
            Pass::Train { update: Update::Decoder, .. } => "decoder",
            Pass::Train { update: Update::Both, .. } => "both",
            Pass::Renew | Pass::ImplicitSlim { .. } => continue,
        };
        if all.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let mut seconds = vec![];
        while seconds.len() < n {
            let (before, mut last) = (seconds.len(), None);
            // Passes end by an error once there are enough steps.
            let enough = training.pass(pass, |_| {
                let now = clock();
                seconds.extend(last.replace(now).map(|last| now - last));
                if seconds.len() < n { Ok(()) } else { Err(Error::Internal("enough".into())) }
            });
            match enough {
                Err(Error::Internal(_)) => training.place = Place::default(),
                Err(error) => return Err(error),
                Ok(_) if seconds.len() == before => return Err(Error::invalid_data("a pass has a single step")),
                Ok(_) => {}
            }
        }
        all.push((name, seconds));
    }
    Ok(all)
}

/// Seconds of the product of two square matrices of `n` rows in f32 on the threads of the pool, each of `times` times:
/// by the product that fits are made of, and by faer's own, in turns.
#[must_use]
pub fn product_seconds(n: usize, times: usize) -> [Vec<f64>; 2] {
    let [mut a, mut b, mut c] = [(); 3].map(|()| Numbers::<f32>::zeros(n * n));
    a.fill(0.5);
    b.fill(0.25);
    let mut product = |ours: bool| {
        let start = Instant::now();
        let (a, b, c) = (rows(&a, n), rows(&b, n), rows_mut(&mut c, n));
        if ours {
            par_matmul(c, a, b);
        } else {
            faer::linalg::matmul::matmul(c, faer::Accum::Replace, a, b, 1.0, Par::rayon(0));
        }
        start.elapsed().as_secs_f64()
    };
    (0..times).map(|_| (product(true), product(false))).fold([vec![], vec![]], |[mut ours, mut faer], seconds| {
        ours.push(seconds.0);
        faer.push(seconds.1);
        [ours, faer]
    })
}

/// The Gram matrix of EASE^R, shape `(n_items, n_items)`, half filled.
#[must_use]
pub fn gram(x: &Csr) -> impl DerefMut<Target = [f32]> {
    // Nobody stops it, and nothing else can fail.
    crate::math::linalg::gram(x, &Steps::silent(&Cancel::default())).unwrap_or_default()
}

/// Overwrites a matrix, filled as by [`gram`], by its inverse.
///
/// # Errors
/// `NUMERICAL` if it is not positive definite.
pub fn invert(matrix: ArrayViewMut2<'_, f32>) -> Result<()> {
    let n = matrix.nrows();
    let inverted = crate::math::linalg::invert_positive_definite(matrix, &Steps::silent(&Cancel::default()));
    inverted.map_err(|error| Error::Numerical(format!("{error:?} of {n}")))
}

/// Seconds of the inverse of a Gram matrix with `lambda` on its diagonal, with the elimination of sparse rows and
/// without, and how many rows it leaves.
///
/// # Errors
/// As [`invert`].
pub fn inverse_seconds(x: &Csr, lambda: f32) -> Result<([f64; 2], usize)> {
    let n = x.n_cols();
    let seconds_of = |invert: &mut dyn FnMut(ArrayViewMut2<'_, f32>) -> Result<()>| {
        let mut matrix = crate::math::linalg::gram::<f32>(x, &Steps::silent(&Cancel::default()))?;
        let mut view = matrix.view2_mut((n, n));
        view.diag_mut().iter_mut().for_each(|entry| *entry += lambda);
        let start = Instant::now();
        invert(view)?;
        Ok(start.elapsed().as_secs_f64())
    };
    let mut core = 0;
    let sparse = seconds_of(&mut |matrix| invert(matrix))?;
    let dense = seconds_of(&mut |matrix| {
        let found = crate::math::linalg::invert_densely(matrix, &Steps::silent(&Cancel::default()));
        core = found.map_err(|error| Error::Numerical(format!("{error:?} of {n}")))?;
        Ok(())
    })?;
    Ok(([sparse, dense], core))
}

/// Seconds of that inverse by users instead of items, in f32; nothing where fits go by items.
///
/// # Errors
/// As [`invert`].
pub fn seconds_by_users(x: &Csr, lambda: f32) -> Result<Option<f64>> {
    use crate::math::linalg::by_users::{Counts, inverse_by_users, seconds_of_way};
    let squares = x.rows().map(|row| (row.len() as f64).powi(2)).sum();
    let (_, is_by_users) = seconds_of_way::<f32>(x.n_cols(), Counts::of_few(x), Some(x), squares);
    if !is_by_users {
        return Ok(None);
    }
    let (penalties, start) = (vec![f64::from(lambda); x.n_cols()], Instant::now());
    let inverse = inverse_by_users::<f32>(x, &penalties, &Steps::silent(&Cancel::default()));
    inverse.map_err(|error| Error::Numerical(format!("{error:?}")))?;
    Ok(Some(start.elapsed().as_secs_f64()))
}

/// Adam on `n` numbers.
pub struct Adam {
    moments: Moments<f32>,
    parameters: Vec<f32>,
    gradient: Vec<f32>,
}

impl Adam {
    /// Parameters of 0 and a gradient that is nowhere 0.
    #[must_use]
    pub fn new(n: usize) -> Self {
        let gradient = (0..n).map(|at| 1e-3 * (1 + at % 7) as f32).collect();
        Self { moments: Moments::zeros(n), parameters: vec![0.0; n], gradient }
    }

    /// One step.
    pub fn step(&mut self) {
        self.moments.step(AdamStep::new(5e-4, 1), &mut self.parameters, &self.gradient);
    }
}

/// The two layers that touch items, at RecVAE's default widths, and one batch for them: all users of a matrix.
pub struct ItemLayers {
    users: Csr,
    /// Its input after dropout; the histories are those of `users`.
    batch: Batch<'static, f32>,
    input: InputLayer<f32>,
    input_moments: InputMoments<f32>,
    output: OutputLayer<f32>,
    output_moments: OutputMoments<f32>,
    likelihood: LogLikelihood<f32>,
    /// What the input layer gives, shape `(users, hidden)`; stands in for its gradient too.
    hidden: Vec<f32>,
    /// What the output layer takes, shape `(users, latent)`.
    latent: Vec<f32>,
    scratch: Scratch<f32>,
}

impl ItemLayers {
    /// Fresh layers, and the input of `users` after dropout.
    #[must_use]
    pub fn new(users: Csr) -> Self {
        let options = RecVaeOptions::default();
        let mut init = Init::new(options.seed, Purpose::Weights, Scheme::Torch);
        let input = InputLayer::new(users.n_cols(), options.hidden_dim, &mut init);
        let output = OutputLayer::new(users.n_cols(), options.latent_dim, &mut init);
        let all: Vec<usize> = (0..users.n_rows()).collect();
        let mut batch = Batch::default();
        batch.input.drop_out(&users, &all, options.dropout_rate, &Seeded(options.seed), 0);
        batch.by_item.refill(&batch.input, users.n_cols());
        let mut hidden = vec![];
        input.forward(&batch.input, &mut hidden);
        Self {
            input_moments: InputMoments::zeros(&input),
            output_moments: OutputMoments::zeros(&output),
            latent: hidden[..all.len() * options.latent_dim].to_vec(),
            likelihood: LogLikelihood::default(),
            scratch: Scratch::default(),
            users,
            batch,
            input,
            output,
            hidden,
        }
    }

    /// Sparse rows to `(users, hidden)`.
    pub fn input_forward(&mut self) {
        self.input.forward(&self.batch.input, &mut self.hidden);
    }

    /// The gradient of the input layer's weights, and Adam.
    pub fn input_step(&mut self) {
        let Self { batch, hidden, input, input_moments, scratch, .. } = self;
        input.step(batch, hidden, input_moments, AdamStep::new(5e-4, 1), scratch);
    }

    /// Log-likelihood of the batch and, if wanted, its gradient by what the output layer takes; with `keep` the logits
    /// stay for [`ItemLayers::output_step`].
    pub fn log_likelihood(&mut self, gradient: bool, keep: bool) {
        let histories: Vec<&[u32]> = self.users.rows().collect();
        let want = Want { hidden_gradient: gradient, weight_gradient: keep };
        self.output.log_likelihood(&self.latent, &histories, want, &mut self.likelihood);
    }

    /// The gradient of the output layer's weights, and Adam, after [`ItemLayers::log_likelihood`] that keeps the
    /// logits.
    pub fn output_step(&mut self) {
        let Self { users, output, output_moments, likelihood, latent, .. } = self;
        let histories: Vec<&[u32]> = users.rows().collect();
        output.step(latent, &histories, likelihood, output_moments, AdamStep::new(5e-4, 1));
    }
}

/// RecVAE's dense layers at their default widths: a network of a single item, in which nothing else counts.
pub struct DenseEncoder {
    network: Network<f32>,
    memory: Memory<f32>,
    n_users: usize,
}

impl DenseEncoder {
    /// Fresh layers for a batch of `n_users`.
    #[must_use]
    pub fn new(n_users: usize) -> Self {
        let RecVaeOptions { hidden_dim, latent_dim, seed, .. } = RecVaeOptions::default();
        let architecture = Architecture {
            n_items: 1,
            hidden_dim,
            latent_dim,
            dense_encoder: true,
            hidden_decoder: false,
            posterior: true,
        };
        let network = Network::new(architecture, &mut Init::new(seed, Purpose::Weights, Scheme::Torch));
        Self { network, memory: Memory::default(), n_users }
    }

    /// To the posteriors, shape `(users, 2 latent)`.
    #[must_use]
    pub fn forward(&self) -> Vec<f32> {
        let history: &[u32] = &[0];
        self.network.encoder.encode(&SparseInput::clean(std::iter::repeat_n(history, self.n_users)))
    }

    /// To the posteriors and back to the gradients of all dense weights.
    pub fn forward_and_backward(&mut self) {
        let history: &[u32] = &[0];
        let histories = vec![history; self.n_users];
        let input = SparseInput::clean(histories.iter().copied());
        let noise = vec![0.5; self.n_users * self.network.architecture.latent_dim];
        let sample = Sample { noise, kl_weights: vec![0.1; self.n_users], prior: Prior::Standard, old: vec![] };
        let batch = Batch { histories, input, sample, ..Batch::default() };
        self.network.backward(&batch, Update::Encoder, &mut self.memory);
    }
}
