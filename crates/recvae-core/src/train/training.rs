//! The training loop of RecVAE, Mult-VAE and Mult-DAE.
//!
//! An epoch is a list of passes over the training users. RecVAE's is: three passes that update the encoder with
//! dropout, then one that updates the decoder on clean input and, on its way, renews the old posterior; Mult-VAE's and
//! Mult-DAE's is one pass that updates both. Where RecVAE has ImplicitSLIM, some epochs begin with passes that replace
//! item embeddings by it.
//!
//! The old posterior is what the encoder as it was after the last encoder pass says about each user's clean history. No
//! second encoder is kept for it: the decoder pass computes those very numbers for every user, and they are kept as
//! `(n_users, 2 x latent)`. Only for the first epoch a second, randomly initialised encoder is asked once, as in the
//! official code; a warm start has an encoder of an earlier time, and that one is asked.

use std::collections::VecDeque;

use crate::base::cancel::Cancel;
use crate::base::compute::Compute;
use crate::base::error::{Error, Result};
use crate::base::progress::{Progress, StepProgress};
use crate::evaluate::evaluation::evaluate;
use crate::evaluate::metrics::Metric;
use crate::math::csr::Csr;
use crate::math::real::Real;
use crate::nn::batch::{Batch, Draw, draw_noise};
use crate::nn::engine::{Engine, ItemLayer, KeptEngine};
use crate::nn::latent::{CompositePrior, Prior};
use crate::nn::network::{Loss, Network, Parameter, Update};
use crate::nn::noise::Noise;
use crate::nn::state::State;
use crate::split::parts::HeldOut;
use crate::train::epoch_log::{EpochLog, Ongoing, Schedule};
use crate::train::epochs::run_epochs;
use crate::train::implicit_slim::ImplicitSlim;
use crate::train::keeper::{Keeper, Resumable};
use crate::train::run::FitRun;

/// What happens in an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pass {
    /// Steps on batches of shuffled users.
    Train {
        /// Which parameters are updated.
        update: Update,
        /// Share of the input that is dropped.
        dropout: f64,
        /// Whether the posteriors that this pass computes become the old ones. Sound only if the pass leaves the
        /// encoder alone and drops nothing.
        renew: bool,
    },
    /// The posterior of every user's clean history becomes the old one.
    Renew,
    /// ImplicitSLIM replaces the embeddings of a layer; Adam's moments, biases and old posteriors stay.
    ImplicitSlim {
        /// Epochs: those whose number is a multiple of it.
        every: usize,
        /// Of which layer.
        layer: ItemLayer,
        /// How.
        slim: ImplicitSlim,
    },
}

impl Pass {
    /// Whether it is one of that epoch's.
    fn belongs_to(self, epoch: usize) -> bool {
        match self {
            Self::ImplicitSlim { every, .. } => epoch.is_multiple_of(every),
            _ => true,
        }
    }
}

/// The weight of a user's KL term.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KlWeight {
    /// gamma times the number of the user's interactions.
    PerInteraction(f64),
    /// The same for every user, growing in a line from 0 over the first steps.
    Annealed { beta: f64, steps: u64 },
}

impl KlWeight {
    fn of<T: Real>(self, n_interactions: usize, step: u64) -> T {
        T::from_f64(match self {
            Self::PerInteraction(gamma) => gamma * n_interactions as f64,
            Self::Annealed { beta, steps } if step < steps => beta * step as f64 / steps as f64,
            Self::Annealed { beta, .. } => beta,
        })
    }
}

/// A network in training: an engine, and what it is fed with.
pub(crate) struct Training<'a, T, E> {
    pub(crate) engine: E,
    pub(crate) train: &'a Csr,
    pub(crate) noise: &'a dyn Noise<T>,
    /// `None` for N(0, I).
    pub(crate) prior: Option<CompositePrior>,
    pub(crate) kl_weight: KlWeight,
    pub(crate) batch_size: usize,
    /// Passes and steps since training began.
    pub(crate) passes: u64,
    pub(crate) steps: u64,
    /// How far the pass at work has come.
    pub(crate) place: Place,
    /// Stops it within a batch.
    pub(crate) cancel: Cancel,
}

/// Batches of a pass that are done, and their part of its loss.
#[derive(Default)]
pub(crate) struct Place {
    batches: u64,
    total: Loss,
    /// Number and share of the users of batches whose loss is not known yet.
    pending: VecDeque<(u64, f64)>,
}

impl Place {
    /// A batch of a share of the users is done.
    fn done(&mut self, share: f64) {
        self.batches += 1;
        self.pending.push_back((self.batches, share));
    }

    /// Adds losses of the batches that are pending, the earliest first. One that is not finite is an error with the
    /// batch's number.
    fn add(&mut self, losses: &[Loss]) -> Result<()> {
        for (&loss, (number, share)) in losses.iter().zip(self.pending.drain(..losses.len())) {
            let Loss { log_likelihood, kl } = loss;
            if !loss.is_finite() {
                let text = format!("batch {number}: log-likelihood {log_likelihood}, KL term {kl}");
                return Err(Error::Numerical(text));
            }
            self.total.log_likelihood += share * log_likelihood;
            self.total.kl += share * kl;
        }
        Ok(())
    }
}

impl<'a, T: Real, E: Engine<T>> Training<'a, T, E> {
    /// Of an engine that nothing has happened to yet, with the prior N(0, I).
    pub(crate) fn new(
        engine: E,
        train: &'a Csr,
        noise: &'a dyn Noise<T>,
        kl_weight: KlWeight,
        batch_size: usize,
    ) -> Self {
        Self {
            engine,
            train,
            noise,
            prior: None,
            kl_weight,
            batch_size,
            passes: 0,
            steps: 0,
            place: Place::default(),
            cancel: Cancel::default(),
        }
    }

    /// The same on another engine, made of this one.
    pub(crate) fn on<F>(self, engine: impl FnOnce(E) -> Result<F>) -> Result<Training<'a, T, F>> {
        let Self { train, noise, prior, kl_weight, batch_size, passes, steps, place, cancel, .. } = self;
        let engine = engine(self.engine)?;
        Ok(Training { engine, train, noise, prior, kl_weight, batch_size, passes, steps, place, cancel })
    }

    /// Runs one pass, or what is left of it, and gives back its loss, a mean over its users; `on_step` gets the loss of
    /// every batch, and an error of its interrupts the pass. A loss that is not finite ends it with the number of the
    /// batch.
    pub(crate) fn pass(&mut self, pass: Pass, mut on_step: impl FnMut(Loss) -> Result<()>) -> Result<Option<Loss>> {
        let Self { engine, train, noise, prior, kl_weight, batch_size, passes, steps, place, cancel } = self;
        let (update, dropout, renew) = match pass {
            Pass::Train { update, dropout, renew } => (update, dropout, renew),
            Pass::Renew => {
                engine.renew(train, *batch_size, cancel)?;
                return Ok(None);
            }
            Pass::ImplicitSlim { layer, slim, .. } => {
                engine.replace_items(layer, &mut |weight| slim.replace(weight, train, cancel))?;
                return Ok(None);
            }
        };
        let order = noise.order(*passes, train.n_rows());
        let architecture = engine.architecture();
        let latent_dim = if architecture.posterior { architecture.latent_dim } else { 0 };
        let (kl_weight, prior) = (*kl_weight, *prior);
        let seed = if engine.draws() { noise.seed() } else { None };
        let draw = seed.map(|seed| Draw { seed, pass: *passes, rate: dropout });
        let source =
            Source { train, noise: *noise, prior, kl_weight, update, dropout, latent_dim, pass: *passes, draw };
        let mut batches = order.chunks(*batch_size).skip(place.batches as usize).peekable();
        let (mut batch, mut next) = (Batch::default(), Batch::default());
        if let Some(users) = batches.peek() {
            source.fill(&mut batch, users, *steps);
        }
        while let Some(users) = batches.next() {
            if let Err(cancelled) = cancel.check() {
                // What is kept of the pass has its losses.
                place.add(&engine.losses(true)?)?;
                return Err(cancelled);
            }
            // The next batch is prepared while this one computes.
            let prepare = || {
                if let Some(users) = batches.peek() {
                    source.fill(&mut next, users, *steps + 1);
                }
            };
            let (known, ()) = rayon::join(|| engine.step(&mut batch, update, renew), prepare);
            std::mem::swap(&mut batch, &mut next);
            place.done(users.len() as f64 / train.n_rows() as f64);
            let losses = match known? {
                Some(loss) => vec![loss],
                None => engine.losses(batches.peek().is_none())?,
            };
            place.add(&losses)?;
            *steps += 1;
            losses.into_iter().try_for_each(&mut on_step)?;
        }
        if !engine.is_finite()? {
            return Err(Error::Numerical("last batch: a parameter after it is not finite".into()));
        }
        *passes += 1;
        Ok(Some(std::mem::take(place).total))
    }
}

/// What the batches of a pass are made from.
struct Source<'a, T> {
    train: &'a Csr,
    noise: &'a dyn Noise<T>,
    prior: Option<CompositePrior>,
    kl_weight: KlWeight,
    update: Update,
    dropout: f64,
    /// Length of the sample that is drawn for a user; 0 without a posterior.
    latent_dim: usize,
    pass: u64,
    /// What the engine draws itself.
    draw: Option<Draw>,
}

impl<'a, T: Real> Source<'a, T> {
    /// Turns a batch into that of `users`, to be taken as step number `step`.
    fn fill(&self, batch: &mut Batch<'a, T>, users: &[usize], step: u64) {
        let Batch { users: of, histories, input, by_item, sample, draw } = batch;
        *draw = self.draw;
        users.clone_into(of);
        histories.clear();
        histories.extend(users.iter().map(|&user| self.train.row(user)));
        if self.draw.is_none() {
            input.drop_out(self.train, users, self.dropout, self.noise, self.pass);
        }
        if self.latent_dim > 0 && self.draw.is_none() {
            draw_noise(&mut sample.noise, users, self.latent_dim, self.noise, self.pass);
        }
        sample.kl_weights.clear();
        sample.kl_weights.extend(histories.iter().map(|history| self.kl_weight.of::<T>(history.len(), step)));
        sample.prior = Prior::Free;
        if self.update.encoder() {
            if self.draw.is_none() {
                by_item.refill(input, self.train.n_cols());
            }
            sample.prior = self.prior.map_or(Prior::Standard, Prior::Composite);
        }
    }
}

impl<E: KeptEngine> Training<'_, f32, E> {
    /// Trains until the epochs or the patience are used up, and gives back the network as it was at its best on
    /// `validation` (at the end, without validation) with the record of all epochs. `keeper` has what was done before,
    /// and keeps what is done now.
    pub(crate) fn run(
        mut self,
        plan: &[Pass],
        schedule: Schedule,
        validation: Option<&HeldOut>,
        run: &FitRun<'_>,
        keeper: Option<Keeper>,
    ) -> Result<(Network<f32>, Vec<Progress>)> {
        let epoch =
            |training: &mut Self, log: &mut EpochLog| training.epoch(plan, schedule.epochs, validation, run, log);
        let EpochLog { record, best, .. } = run_epochs(&mut self, schedule, run, keeper, epoch)?;
        let best = best.filter(|best| best.epoch < record.len() as u64);
        Ok((self.engine.into_network(best.map(|best| best.parameters))?, record))
    }

    /// What is left of an epoch; its validation metric.
    fn epoch(
        &mut self,
        plan: &[Pass],
        epochs: usize,
        validation: Option<&HeldOut>,
        run: &FitRun<'_>,
        log: &mut EpochLog,
    ) -> Result<Option<f64>> {
        let epoch = log.record.len() + 1;
        let batches = self.train.n_rows().div_ceil(self.batch_size);
        let steps_in = |plan: &[Pass]| batches * plan.iter().filter(|pass| matches!(pass, Pass::Train { .. })).count();
        let all = steps_in(plan).max(1) as f64;
        let tell = |steps: usize| {
            let fraction = (steps as f64 / all).min(1.0 - f64::EPSILON);
            (run.on_step)(StepProgress { epoch, epochs, fraction });
        };
        let mut steps = steps_in(&plan[..log.ongoing.passes as usize]) + self.place.batches as usize;
        tell(steps);
        let ongoing = &mut log.ongoing;
        let remedy = if self.engine.architecture().posterior { "KL weight (gamma or beta)" } else { "lambda" };
        for &pass in plan.iter().skip(ongoing.passes as usize) {
            if !pass.belongs_to(epoch) {
                ongoing.passes += 1;
                continue;
            }
            let on_step = |_| {
                steps += 1;
                tell(steps);
                Ok(())
            };
            let loss = self.pass(pass, on_step).map_err(|e| match e {
                Error::Numerical(text) if matches!(pass, Pass::Train { .. }) => Error::Numerical(format!(
                    "the loss is not finite in epoch {epoch}, {text}; likely remedies: a smaller learningRate, or a \
                     larger {remedy}"
                )),
                e => e,
            })?;
            ongoing.passes += 1;
            if let (Some(loss), Pass::Train { update, .. }) = (loss, pass) {
                ongoing.log_likelihood = loss.log_likelihood;
                if update != Update::Decoder {
                    ongoing.kl += loss.kl;
                    ongoing.kl_passes += 1;
                }
            }
        }
        let Some(held_out) = validation else { return Ok(None) };
        Ok(evaluate(&run.cancel.watch(self.engine.scorer()), held_out, &[Metric::VALIDATION])?.mean(Metric::VALIDATION))
    }
}

impl<E: KeptEngine> Resumable for Training<'_, f32, E> {
    fn compute(&self) -> Compute {
        self.engine.compute()
    }

    fn has_kl(&self) -> bool {
        self.engine.architecture().posterior
    }

    fn to_host(&mut self) -> Result<()> {
        self.engine.to_host()
    }

    fn drop_host(&mut self) {
        self.engine.drop_host();
    }

    fn take_host(&mut self) -> Result<()> {
        self.engine.take_host()
    }

    fn done(&self, log: &EpochLog) -> [u64; 3] {
        [log.record.len() as u64, log.ongoing.passes, self.place.batches]
    }

    fn state<'a>(&'a mut self, ongoing: &'a mut Ongoing) -> State<'a> {
        let mut state = State::default();
        self.engine.state(&mut state);
        state.add("passes", &mut self.passes);
        state.add("steps", &mut self.steps);
        state.add("pass.batches", &mut self.place.batches);
        state.add("pass.log_likelihood", &mut self.place.total.log_likelihood);
        state.add("pass.kl", &mut self.place.total.kl);
        state.add("epoch.passes", &mut ongoing.passes);
        state.add("epoch.log_likelihood", &mut ongoing.log_likelihood);
        state.add("epoch.kl", &mut ongoing.kl);
        state.add("epoch.kl_passes", &mut ongoing.kl_passes);
        state.add("seconds", &mut ongoing.seconds);
        state
    }

    fn export(&self) -> Result<Vec<Parameter<f32>>> {
        self.engine.export()
    }
}
