//! H+Vamp in training: the steps of an epoch, and what a checkpoint keeps of them.
//!
//! The loop is one for both engines. It draws what is random, and an [`Engine`] makes a step of it: [`Fused`] on the
//! host's own parameters, [`CandleEngine`] on tensors that are copied to the host after every epoch, and for a
//! checkpoint.

use rayon::prelude::*;

use super::HVampOptions;
#[cfg(feature = "candle")]
use super::candle::CandleEngine;
use super::network::{Batch, Likelihood, Loss, Network, Shape};
use crate::base::compute::{Compute, EngineKind};
use crate::base::error::{Error, Result};
use crate::base::progress::StepProgress;
use crate::evaluate::evaluation::evaluate;
use crate::evaluate::metrics::Metric;
use crate::math::csr::Csr;
use crate::math::real::Real;
use crate::math::vectorised::dot;
#[cfg(feature = "candle")]
use crate::models::device::check_device;
use crate::nn::adam::{AdamStep, Moments};
use crate::nn::batch::{SparseInput, draw_noise};
use crate::nn::network::Parameter;
use crate::nn::noise::{Noise, Seeded};
use crate::nn::state::State;
use crate::split::parts::HeldOut;
use crate::train::epoch_log::{EpochLog, Ongoing};
use crate::train::keeper::Resumable;
use crate::train::run::FitRun;

/// Numbers of a task.
const PIECE: usize = 1 << 14;

/// Parameters and moments as arrays of the host.
pub(super) struct Host<T> {
    pub(super) network: Network<T>,
    /// In the order of the network's tensors.
    pub(super) moments: Vec<Moments<T>>,
}

impl<T: Real> Host<T> {
    pub(super) fn new(network: Network<T>) -> Self {
        let moments = network.tensors().iter().map(|(.., values)| Moments::zeros(values.len())).collect();
        Self { network, moments }
    }
}

/// How a step is made.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) likelihood: Likelihood,
    /// The weight of the KL term.
    pub(super) beta: f64,
    pub(super) learning_rate: f64,
    /// Which step it is, from 1.
    pub(super) number: u64,
}

/// What makes steps.
pub(super) trait Engine<T> {
    /// Which engine it is, and where it computes.
    fn compute(&self) -> Compute;

    /// One step of Adam on gradients that are divided by their norms; the loss before it.
    fn step(&mut self, step: Step, batch: &Batch<'_, T>, host: &mut Host<T>) -> Result<Loss>;

    /// Brings the host's parameters up to date, where they are not the ones that are trained.
    fn network_to_host(&self, _network: &mut Network<T>) -> Result<()> {
        Ok(())
    }

    /// Brings the host's moments up to date, likewise.
    fn moments_to_host(&self, _moments: &mut [Moments<T>]) -> Result<()> {
        Ok(())
    }

    /// Goes on from the host's parameters and moments.
    fn take_host(&mut self, _host: &Host<T>) -> Result<()> {
        Ok(())
    }
}

/// The processor's own engine.
pub(super) struct Fused<T> {
    gradients: Network<T>,
}

impl<T: Real> Fused<T> {
    pub(super) fn new(shape: Shape) -> Self {
        Self { gradients: Network::zeros(shape) }
    }
}

impl<T: Real> Engine<T> for Fused<T> {
    fn compute(&self) -> Compute {
        Compute::default()
    }

    fn step(&mut self, step: Step, batch: &Batch<'_, T>, Host { network, moments }: &mut Host<T>) -> Result<Loss> {
        for (.., gradient) in self.gradients.tensors_mut() {
            gradient.par_chunks_mut(PIECE).for_each(|piece| piece.fill(T::ZERO));
        }
        let loss = network.loss(batch, step.beta, step.likelihood, &mut self.gradients);
        let step = AdamStep::new(step.learning_rate, step.number);
        let tensors = network.tensors_mut().into_iter().zip(self.gradients.tensors_mut());
        for (((_, _, values), (_, _, gradient)), moments) in tensors.zip(moments) {
            let squares: Vec<T> = gradient.par_chunks(PIECE).map(|piece| dot(piece, piece)).collect();
            let norm = squares.iter().map(|square| square.to_f64()).sum::<f64>().sqrt();
            let factor = if norm > 0.0 { T::from_f64(1.0 / norm) } else { T::ONE };
            moments.step(step.with_factor(factor), values, gradient);
        }
        Ok(loss)
    }
}

/// The engine that the run asks for.
fn by_engine(options: &HVampOptions, train: &Csr, run: &FitRun<'_>, host: &Host<f32>) -> Result<Box<dyn Engine<f32>>> {
    match run.compute {
        Compute { engine: EngineKind::Fused, .. } => Ok(Box::new(Fused::new(options.shape(train.n_cols())))),
        #[cfg(feature = "candle")]
        Compute { engine: EngineKind::Candle, device, .. } => {
            check_device("training", device, &super::device_memory(options, train))?;
            Ok(Box::new(CandleEngine::new(host, device)?))
        }
        #[cfg(not(feature = "candle"))]
        Compute { engine: EngineKind::Candle, .. } => {
            let _ = host;
            Err(Error::Internal("this build is without candle".into()))
        }
    }
}

/// A network in training.
pub(super) struct Training<'a> {
    options: &'a HVampOptions,
    train: &'a Csr,
    host: Host<f32>,
    engine: Box<dyn Engine<f32>>,
    /// Steps since training began.
    steps: u64,
    /// Batches of the epoch at work that are done.
    batches: u64,
}

impl<'a> Training<'a> {
    /// Of a network that is fresh or begins with another one.
    pub(super) fn new(options: &'a HVampOptions, train: &'a Csr, run: &FitRun<'_>) -> Result<Self> {
        let mut network = Network::random(options.shape(train.n_cols()), options.seed);
        run.from.iter().try_for_each(|from| from.put_into(&mut network))?;
        let host = Host::new(network);
        let engine = by_engine(options, train, run, &host)?;
        Ok(Self { options, train, host, engine, steps: 0, batches: 0 })
    }

    /// As it was when the last epoch ended.
    pub(super) fn into_network(self) -> Network<f32> {
        self.host.network
    }

    /// What is left of a pass over all users, whose losses, means over the users, are added to what is ongoing; its
    /// validation metric.
    pub(super) fn epoch(
        &mut self,
        validation: Option<&HeldOut>,
        run: &FitRun<'_>,
        log: &mut EpochLog,
    ) -> Result<Option<f64>> {
        let Self { options, train, .. } = *self;
        let epoch = log.record.len() + 1;
        let noise: &dyn Noise<f32> = &Seeded(options.seed);
        let order = noise.order(epoch as u64, train.n_rows());
        let n_steps = order.len().div_ceil(options.batch_size) as f64;
        let beta = options.beta_in(epoch);
        let (likelihood, learning_rate) = (options.likelihood(), options.learning_rate);
        let tell = |steps: u64| {
            let fraction = (steps as f64 / n_steps).min(1.0 - f64::EPSILON);
            (run.on_step)(StepProgress { epoch, epochs: options.epochs, fraction });
        };
        tell(self.batches);
        let mut inputs = [SparseInput::default(), SparseInput::default()];
        let mut normals = [vec![], vec![]];
        for users in order.chunks(options.batch_size).skip(self.batches as usize) {
            run.cancel.check()?;
            for (half, (input, normals)) in inputs.iter_mut().zip(&mut normals).enumerate() {
                // Two of everything: for z2 and for z1.
                let pass = 2 * epoch as u64 + half as u64;
                input.drop_out(train, users, options.dropout_rate, noise, pass);
                draw_noise(normals, users, options.latent_dim, noise, pass);
            }
            let histories: Vec<&[u32]> = users.iter().map(|&user| train.row(user)).collect();
            let [input_2, input_1] = &inputs;
            let batch =
                Batch { histories: &histories, inputs: [input_2, input_1], noise: [&normals[0][..], &normals[1][..]] };
            self.steps += 1;
            let step = Step { likelihood, beta, learning_rate, number: self.steps };
            let Loss { log_likelihood, kl } = self.engine.step(step, &batch, &mut self.host)?;
            self.batches += 1;
            if !(log_likelihood.is_finite() && kl.is_finite()) {
                let what = format!("batch {}: log-likelihood {log_likelihood}, KL term {kl}", self.batches);
                return Err(diverged(epoch, &what));
            }
            let share = users.len() as f64 / order.len() as f64;
            log.ongoing.log_likelihood += share * log_likelihood;
            log.ongoing.kl += share * beta * kl;
            tell(self.batches);
        }
        self.engine.network_to_host(&mut self.host.network)?;
        let network = &self.host.network;
        // The last step of an epoch is one that no loss looks at.
        let is_finite = |(.., values): &(String, Vec<usize>, &[f32])| values.iter().all(|number| number.is_finite());
        if !network.tensors().iter().all(is_finite) {
            return Err(diverged(epoch, "last batch: a parameter after it is not finite"));
        }
        let metric = match validation {
            Some(held_out) => {
                let scorer = run.cancel.watch(network);
                evaluate(&scorer, held_out, &[Metric::VALIDATION])?.mean(Metric::VALIDATION)
            }
            None => None,
        };
        // Only now: who is cancelled within the validation goes on with it.
        self.batches = 0;
        Ok(metric)
    }
}

fn diverged(epoch: usize, what: &str) -> Error {
    Error::Numerical(format!(
        "the loss is not finite in epoch {epoch}, {what}; likely remedies: a smaller learningRate, or a larger KL weight (beta)"
    ))
}

impl Resumable for Training<'_> {
    fn compute(&self) -> Compute {
        self.engine.compute()
    }

    fn has_kl(&self) -> bool {
        true
    }

    fn to_host(&mut self) -> Result<()> {
        self.engine.network_to_host(&mut self.host.network)?;
        self.engine.moments_to_host(&mut self.host.moments)
    }

    fn take_host(&mut self) -> Result<()> {
        self.engine.take_host(&self.host)
    }

    fn done(&self, log: &EpochLog) -> [u64; 3] {
        [log.record.len() as u64, 0, self.batches]
    }

    fn state<'a>(&'a mut self, ongoing: &'a mut Ongoing) -> State<'a> {
        let mut state = State::default();
        let Host { network, moments } = &mut self.host;
        for ((name, _, values), moments) in network.tensors_mut().into_iter().zip(moments) {
            moments.state(&name, &mut state);
            state.add(name, values);
        }
        state.add("steps", &mut self.steps);
        state.add("pass.batches", &mut self.batches);
        state.add("epoch.log_likelihood", &mut ongoing.log_likelihood);
        state.add("epoch.kl", &mut ongoing.kl);
        state.add("seconds", &mut ongoing.seconds);
        state
    }

    /// What the last epoch has left, or a checkpoint.
    fn export(&self) -> Result<Vec<Parameter<f32>>> {
        let parameter =
            |(name, shape, values): (String, Vec<usize>, &[f32])| Parameter::new(name, &shape, values.to_vec());
        Ok(self.host.network.tensors().into_iter().map(parameter).collect())
    }
}
