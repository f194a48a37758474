//! H+Vamp in training: the steps of an epoch, and what a checkpoint keeps of them.

use rayon::prelude::*;

use super::HVampOptions;
use super::network::{Batch, Loss, Network};
use crate::base::compute::Compute;
use crate::base::error::{Error, Result};
use crate::base::progress::StepProgress;
use crate::evaluate::evaluation::evaluate;
use crate::evaluate::metrics::Metric;
use crate::math::csr::Csr;
use crate::math::vectorised::dot;
use crate::nn::adam::{AdamStep, Moments};
use crate::nn::batch::{SparseInput, draw_noise};
use crate::nn::network::Parameter;
use crate::nn::noise::{Noise, Seeded};
use crate::nn::state::State;
use crate::split::strong::HeldOut;
use crate::train::epoch_log::{EpochLog, Ongoing};
use crate::train::keeper::Resumable;
use crate::train::run::FitRun;

/// Numbers of a task.
const PIECE: usize = 1 << 14;

/// A network in training.
pub(super) struct Training<'a> {
    options: &'a HVampOptions,
    train: &'a Csr,
    network: Network<f32>,
    gradients: Network<f32>,
    /// In the order of the network's tensors.
    moments: Vec<Moments<f32>>,
    /// Steps since training began.
    steps: u64,
    /// Batches of the epoch at work that are done.
    batches: u64,
}

impl<'a> Training<'a> {
    /// Of a network that is fresh or begins with another one.
    pub(super) fn new(options: &'a HVampOptions, train: &'a Csr, run: &FitRun<'_>) -> Result<Self> {
        let shape = options.shape(train.n_cols());
        let mut network = Network::random(shape, options.seed);
        run.from.iter().try_for_each(|from| from.put_into(&mut network))?;
        let moments = network.tensors().iter().map(|(.., values)| Moments::zeros(values.len())).collect();
        Ok(Self { options, train, gradients: Network::zeros(shape), network, moments, steps: 0, batches: 0 })
    }

    pub(super) fn into_network(self) -> Network<f32> {
        self.network
    }

    /// What is left of a pass over all users, whose losses, means over the users, are added to what is ongoing; its validation metric.
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
            let Loss { log_likelihood, kl } = self.step(&batch, beta)?;
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
        // The last step of an epoch is one that no loss looks at.
        let is_finite = |(.., values): &(String, Vec<usize>, &[f32])| values.iter().all(|number| number.is_finite());
        if !self.network.tensors().iter().all(is_finite) {
            return Err(diverged(epoch, "last batch: a parameter after it is not finite"));
        }
        let metric = match validation {
            Some(held_out) => {
                let scorer = run.cancel.watch(&self.network);
                evaluate(&scorer, held_out, &[Metric::VALIDATION])?.mean(Metric::VALIDATION)
            }
            None => None,
        };
        // Only now: who is cancelled within the validation goes on with it.
        self.batches = 0;
        Ok(metric)
    }

    fn step(&mut self, batch: &Batch<'_, f32>, beta: f64) -> Result<Loss> {
        for (.., gradient) in self.gradients.tensors_mut() {
            gradient.par_chunks_mut(PIECE).for_each(|piece| piece.fill(0.0));
        }
        let loss = self.network.loss(batch, beta, self.options.likelihood(), &mut self.gradients);
        self.steps += 1;
        let step = AdamStep::new(self.options.learning_rate, self.steps);
        let tensors = self.network.tensors_mut().into_iter().zip(self.gradients.tensors_mut());
        for (((_, _, values), (_, _, gradient)), moments) in tensors.zip(&mut self.moments) {
            let squares: Vec<f32> = gradient.par_chunks(PIECE).map(|piece| dot(piece, piece)).collect();
            let norm = squares.iter().map(|&square| f64::from(square)).sum::<f64>().sqrt();
            let factor = if norm > 0.0 { (1.0 / norm) as f32 } else { 1.0 };
            moments.step(step.with_factor(factor), values, gradient);
        }
        Ok(loss)
    }
}

fn diverged(epoch: usize, what: &str) -> Error {
    Error::Numerical(format!(
        "the loss is not finite in epoch {epoch}, {what}; likely remedies: a smaller learningRate, or a larger KL weight (beta)"
    ))
}

impl Resumable for Training<'_> {
    fn compute(&self) -> Compute {
        Compute::default()
    }

    fn has_kl(&self) -> bool {
        true
    }

    fn done(&self, log: &EpochLog) -> [u64; 3] {
        [log.record.len() as u64, 0, self.batches]
    }

    fn state<'a>(&'a mut self, ongoing: &'a mut Ongoing) -> State<'a> {
        let mut state = State::default();
        for ((name, _, values), moments) in self.network.tensors_mut().into_iter().zip(&mut self.moments) {
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

    fn export(&self) -> Result<Vec<Parameter<f32>>> {
        let parameter =
            |(name, shape, values): (String, Vec<usize>, &[f32])| Parameter::new(name, &shape, values.to_vec());
        Ok(self.network.tensors().into_iter().map(parameter).collect())
    }
}
