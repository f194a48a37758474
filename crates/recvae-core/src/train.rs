//! The training loop of RecVAE, Mult-VAE and Mult-DAE.
//!
//! An epoch is a list of passes over the training users. RecVAE's is: three passes that update the encoder with dropout,
//! then one that updates the decoder on clean input and, on its way, renews the old posterior; Mult-VAE's and
//! Mult-DAE's is one pass that updates both. Where RecVAE has ImplicitSLIM, some epochs begin with passes that replace item
//! embeddings by it.
//!
//! The old posterior is what the encoder as it was after the last encoder pass says about each user's clean history. No
//! second encoder is kept for it: the decoder pass computes those very numbers for every user, and they are kept as
//! `(n_users, 2 x latent)`. Only for the first epoch a second, randomly initialised encoder is asked once, as in the
//! official code; a warm start has an encoder of an earlier time, and that one is asked.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::cancel::Cancel;
use crate::checkpoint::{Checkpoint, Keeper};
use crate::course::{Course, Ongoing, Schedule};
use crate::csr::Csr;
use crate::error::{Error, Result};
use crate::evaluate::{Metric, evaluate};
use crate::implicit_slim::ImplicitSlim;
use crate::nn::batch::{Batch, SparseInput, draw_noise};
use crate::nn::encoder::{Encoder, EncoderMemory};
use crate::nn::network::{Loss, Memory, Network, Optimiser, Update};
use crate::nn::noise::Noise;
use crate::nn::sample::{CompositePrior, Prior};
use crate::nn::state::State;
use crate::numbers::Numbers;
use crate::real::Real;
use crate::split::HeldOut;
use crate::warm_start::WarmStart;

/// One epoch of training, as the progress callback sees it; of a closed form, which has none, how far it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Which epoch ended, the first one is 1; 0 of a closed form.
    pub epoch: usize,
    /// How many there will be at most; 0 of a closed form.
    pub epochs: usize,
    /// Of autoencoders, the mean over the epoch's last pass of the multinomial log-likelihood per user, in nats.
    pub log_likelihood: Option<f64>,
    /// Of variational autoencoders, the mean over the epoch's encoder passes of the weighted KL term per user, in nats.
    pub kl: Option<f64>,
    /// Of iALS, its loss after the epoch per user.
    pub loss: Option<f64>,
    /// NDCG@100 on the validation users, where there are any.
    pub validation: Option<f64>,
    /// Whether this epoch's parameters are the best ones so far.
    pub best: bool,
    /// Seconds of training so far. Of runs that a checkpoint was gone on from, those up to the checkpoint count.
    pub seconds: f64,
    /// Of a closed form, the share of its work that is done: from 0, told when it begins, to 1, told when the model is there.
    /// It never falls, and there are some 200 reports at most. `None` for models with epochs.
    pub fraction: Option<f64>,
}

/// Called at the end of each epoch, from the thread that trains, and as a closed form gets on, from one thread at a time.
pub type OnProgress<'a> = &'a (dyn Fn(&Progress) + Sync);

/// How a fit runs and what it begins with, as opposed to what it is to find.
#[derive(Clone)]
pub struct FitRun<'a> {
    /// Hears of every epoch, or of how far a closed form is.
    pub on_progress: OnProgress<'a>,
    /// Stops it.
    pub cancel: Cancel,
    /// Where training is kept on its way, so that it can go on after the process has ended. Models without epochs refuse it.
    pub checkpoint: Option<Checkpoint<'a>>,
    /// Bytes that it may take beyond the data; `None` for what is free.
    pub memory_limit: Option<u64>,
    /// What RecVAE, Mult-VAE and Mult-DAE begin with instead of random parameters.
    pub from: Option<WarmStart<'a>>,
}

impl Default for FitRun<'_> {
    fn default() -> Self {
        Self { on_progress: &|_| {}, cancel: Cancel::default(), checkpoint: None, memory_limit: None, from: None }
    }
}

/// What happens in an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pass {
    /// Steps on batches of shuffled users.
    Train {
        /// Which parameters are updated.
        update: Update,
        /// Share of the input that is dropped.
        dropout: f64,
        /// Whether the posteriors that this pass computes become the old ones. Sound only if the pass leaves the encoder
        /// alone and drops nothing.
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

/// A layer that has a row of weights for each item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ItemLayer {
    EncoderInput,
    DecoderOutput,
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
        T::of(match self {
            Self::PerInteraction(gamma) => gamma * n_interactions as f64,
            Self::Annealed { beta, steps } if step < steps => beta * step as f64 / steps as f64,
            Self::Annealed { beta, .. } => beta,
        })
    }
}

/// Mean and log variance of every user, side by side: shape `(n_users, 2 latent)`.
pub(crate) struct OldPosterior<T> {
    rows: Numbers<T>,
    /// Numbers of a row.
    width: usize,
}

impl<T: Real> OldPosterior<T> {
    /// Asks an encoder for every user of `train`.
    pub(crate) fn of(
        encoder: &Encoder<T>,
        train: &Csr,
        latent_dim: usize,
        batch_size: usize,
        memory: &mut EncoderMemory<T>,
        cancel: &Cancel,
    ) -> Result<Self> {
        let width = 2 * latent_dim;
        let mut posterior = Self { rows: Numbers::zeros(train.n_rows() * width), width };
        posterior.renew(encoder, train, batch_size, memory, cancel)?;
        Ok(posterior)
    }

    fn renew(
        &mut self,
        encoder: &Encoder<T>,
        train: &Csr,
        batch_size: usize,
        memory: &mut EncoderMemory<T>,
        cancel: &Cancel,
    ) -> Result<()> {
        for (batch, rows) in self.rows.chunks_mut(batch_size * self.width).enumerate() {
            cancel.check()?;
            let first = batch * batch_size;
            let users = first..first + rows.len() / self.width;
            encoder.forward(&SparseInput::clean(users.map(|user| train.row(user))), memory);
            rows.copy_from_slice(&memory.posterior);
        }
        Ok(())
    }

    fn put(&mut self, users: &[usize], rows: &[T]) {
        for (row, &user) in rows.chunks_exact(self.width).zip(users) {
            self.rows[user * self.width..][..self.width].copy_from_slice(row);
        }
    }

    pub(crate) fn gather(&self, users: &[usize], out: &mut Vec<T>) {
        out.clear();
        users.iter().for_each(|&user| out.extend_from_slice(&self.rows[user * self.width..][..self.width]));
    }
}

/// RecVAE's composite prior: the old posterior and what it is mixed with.
pub(crate) struct Composite<T> {
    pub(crate) old: OldPosterior<T>,
    pub(crate) prior: CompositePrior,
}

/// A network in training.
pub(crate) struct Training<'a, T> {
    pub(crate) network: Network<T>,
    pub(crate) optimiser: Optimiser<T>,
    pub(crate) train: &'a Csr,
    pub(crate) noise: &'a dyn Noise<T>,
    /// `None` for N(0, I).
    pub(crate) composite: Option<Composite<T>>,
    pub(crate) kl_weight: KlWeight,
    pub(crate) batch_size: usize,
    /// Passes and steps since training began.
    pub(crate) passes: u64,
    pub(crate) steps: u64,
    /// How far the pass at work has come.
    pub(crate) place: Place,
    pub(crate) memory: Memory<T>,
    /// Stops it within a batch.
    pub(crate) cancel: Cancel,
}

/// Batches of a pass that are done, and their part of its loss.
#[derive(Default)]
pub(crate) struct Place {
    batches: u64,
    total: Loss,
}

impl<'a, T: Real> Training<'a, T> {
    /// Of a network that nothing has happened to yet, with the prior N(0, I).
    pub(crate) fn new(
        network: Network<T>,
        optimiser: Optimiser<T>,
        train: &'a Csr,
        noise: &'a dyn Noise<T>,
        kl_weight: KlWeight,
        batch_size: usize,
    ) -> Self {
        Self {
            network,
            optimiser,
            train,
            noise,
            composite: None,
            kl_weight,
            batch_size,
            passes: 0,
            steps: 0,
            place: Place::default(),
            memory: Memory::default(),
            cancel: Cancel::default(),
        }
    }

    /// Runs one pass, or what is left of it, and gives back its loss, a mean over its users; `on_step` gets the loss of every
    /// batch, and an error of its interrupts the pass. A loss that is not finite ends it with the number of the batch.
    pub(crate) fn pass(&mut self, pass: Pass, mut on_step: impl FnMut(Loss) -> Result<()>) -> Result<Option<Loss>> {
        let Self {
            network,
            optimiser,
            train,
            noise,
            composite,
            kl_weight,
            batch_size,
            passes,
            steps,
            place,
            memory,
            cancel,
        } = self;
        let (update, dropout, renew) = match pass {
            Pass::Train { update, dropout, renew } => (update, dropout, renew),
            Pass::Renew => {
                if let Some(composite) = composite {
                    composite.old.renew(&network.encoder, train, *batch_size, &mut memory.encoder, cancel)?;
                }
                return Ok(None);
            }
            Pass::ImplicitSlim { layer, slim, .. } => {
                let (input, output) = (&mut network.encoder.input, &mut network.decoder.output);
                let (weight, width) = match layer {
                    ItemLayer::EncoderInput => (&mut input.weight, input.width),
                    ItemLayer::DecoderOutput => (&mut output.weight, output.width),
                };
                slim.replace(weight, width, train, cancel)?;
                return Ok(None);
            }
        };
        let order = noise.order(*passes, train.n_rows());
        let latent_dim = if network.architecture.posterior { network.architecture.latent_dim } else { 0 };
        let source = Source { train, noise: *noise, kl_weight: *kl_weight, update, dropout, latent_dim, pass: *passes };
        let mut batches = order.chunks(*batch_size).skip(place.batches as usize).peekable();
        let (mut batch, mut next) = (Batch::default(), Batch::default());
        if let Some(users) = batches.peek() {
            source.fill(&mut batch, users, *steps, composite.as_ref());
        }
        while let Some(users) = batches.next() {
            cancel.check()?;
            // The next batch is prepared while this one computes.
            let compute = || {
                let loss = network.backward(&batch, update, memory);
                if loss.is_finite() {
                    network.step(&batch, update, memory, optimiser);
                }
                loss
            };
            let prepare = || {
                if let Some(users) = batches.peek() {
                    source.fill(&mut next, users, *steps + 1, composite.as_ref());
                }
            };
            let (loss, ()) = rayon::join(compute, prepare);
            std::mem::swap(&mut batch, &mut next);
            let Loss { log_likelihood, kl } = loss;
            if !loss.is_finite() {
                let number = place.batches + 1;
                let text = format!("batch {number}: log-likelihood {log_likelihood}, KL term {kl}");
                return Err(Error::Numerical(text));
            }
            if let (true, Some(composite)) = (renew, &mut *composite) {
                composite.old.put(users, &memory.encoder.posterior);
            }
            *steps += 1;
            let share = users.len() as f64 / train.n_rows() as f64;
            place.total.log_likelihood += share * log_likelihood;
            place.total.kl += share * kl;
            place.batches += 1;
            on_step(loss)?;
        }
        if !network.is_finite() {
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
    kl_weight: KlWeight,
    update: Update,
    dropout: f64,
    /// Length of the sample that is drawn for a user; 0 without a posterior.
    latent_dim: usize,
    pass: u64,
}

impl<'a, T: Real> Source<'a, T> {
    /// Turns a batch into that of `users`, to be taken as step number `step`.
    fn fill(&self, batch: &mut Batch<'a, T>, users: &[usize], step: u64, composite: Option<&Composite<T>>) {
        let Batch { histories, input, by_item, sample } = batch;
        histories.clear();
        histories.extend(users.iter().map(|&user| self.train.row(user)));
        input.drop_out(self.train, users, self.dropout, self.noise, self.pass);
        if self.latent_dim > 0 {
            draw_noise(&mut sample.noise, users, self.latent_dim, self.noise, self.pass);
        }
        sample.kl_weights.clear();
        sample.kl_weights.extend(histories.iter().map(|history| self.kl_weight.of::<T>(history.len(), step)));
        sample.prior = Prior::Free;
        if self.update.encoder() {
            by_item.refill(input, self.train.n_cols());
            sample.prior = composite.map_or(Prior::Standard, |composite| {
                composite.old.gather(users, &mut sample.old);
                Prior::Composite(composite.prior)
            });
        }
    }
}

impl Training<'_, f32> {
    /// Trains until the epochs or the patience are used up, and gives back the network as it was at its best on
    /// `validation` (at the end, without validation) with the record of all epochs. `keeper` has what was done before, and
    /// keeps what is done now.
    pub(crate) fn run(
        mut self,
        plan: &[Pass],
        schedule: Schedule,
        validation: Option<&HeldOut>,
        run: &FitRun<'_>,
        mut keeper: Option<Keeper>,
    ) -> Result<(Network<f32>, Vec<Progress>)> {
        let start = Instant::now();
        let mut course = Course::default();
        if let Some(keeper) = &mut keeper {
            keeper.restore(&mut self, &mut course, schedule.epochs)?;
        }
        let before = course.ongoing.seconds;
        while !course.is_over(schedule) {
            let ended = self.epoch(plan, validation, run, &mut course);
            course.ongoing.seconds = before + start.elapsed().as_secs_f64();
            if let (Err(Error::Cancelled), Some(keeper)) = (&ended, &mut keeper) {
                keeper.save(&mut self, &mut course)?;
            }
            course.end_epoch(ended?, &self.network, schedule);
            if let Some(keeper) = &mut keeper
                && (keeper.is_due(course.record.len()) || course.is_over(schedule))
            {
                keeper.save(&mut self, &mut course)?;
            }
            (run.on_progress)(&course.record[course.record.len() - 1]);
        }
        let Course { record, best, .. } = course;
        if let Some(best) = best.filter(|best| best.epoch < record.len() as u64) {
            let mut parameters: BTreeMap<_, _> =
                best.parameters.into_iter().map(|parameter| (parameter.name, parameter.values)).collect();
            self.network.import(|name, _| {
                parameters.remove(name).ok_or_else(|| Error::Internal(format!("no parameter '{name}'")))
            })?;
        }
        Ok((self.network, record))
    }

    /// What is left of an epoch; its validation metric.
    fn epoch(
        &mut self,
        plan: &[Pass],
        validation: Option<&HeldOut>,
        run: &FitRun<'_>,
        course: &mut Course,
    ) -> Result<Option<f64>> {
        let epoch = course.record.len() + 1;
        let ongoing = &mut course.ongoing;
        let remedy = if self.network.architecture.posterior { "KL weight (gamma or beta)" } else { "lambda" };
        for &pass in plan.iter().skip(ongoing.passes as usize) {
            if !pass.belongs_to(epoch) {
                ongoing.passes += 1;
                continue;
            }
            let loss = self.pass(pass, |_| Ok(())).map_err(|e| match e {
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
        Ok(evaluate(&run.cancel.watch(&self.network), held_out, &[Metric::VALIDATION])?.mean(Metric::VALIDATION))
    }

    /// Epochs, passes of the epoch at work and batches of the pass at work that are done.
    pub(crate) fn done(&self, course: &Course) -> [u64; 3] {
        [course.record.len() as u64, course.ongoing.passes, self.place.batches]
    }

    /// Everything that training goes on from, besides the record and the best parameters.
    pub(crate) fn state<'a>(&'a mut self, ongoing: &'a mut Ongoing) -> State<'a> {
        let mut state = State::default();
        self.network.state(&mut state);
        self.optimiser.state(&mut state);
        if let Some(composite) = &mut self.composite {
            state.add("old_posterior", &mut composite.old.rows[..]);
        }
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
}
