//! What is told of a fit on its way.

use crate::base::compute::Compute;

/// One epoch of training, as the progress callback sees it; of a closed form, which has none, how far it is.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// Of a closed form, the share of its work that is done: from 0, told when it begins, to 1, told when the model is
    /// there. It never falls, and there are some 200 reports at most. `None` for models with epochs.
    pub fraction: Option<f64>,
    /// Of RecVAE, Mult-VAE, Mult-DAE and H+Vamp, the engine at work, and where; of a closed form where it has a GPU.
    pub compute: Option<Compute>,
}

/// How far the epoch at work is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepProgress {
    /// Its number, from 1.
    pub epoch: usize,
    /// How many there will be at most.
    pub epochs: usize,
    /// The share of its steps that is done, from 0, told when it begins, to below 1; its end is told as an epoch.
    pub fraction: f64,
}

/// Called as an epoch begins and after each of its steps, from the thread that trains; seldom enough to be ignored
/// beside a step.
pub type OnStep<'a> = &'a (dyn Fn(StepProgress) + Sync);

/// Called at the end of each epoch, from the thread that trains, and as a closed form gets on, from one thread at a
/// time.
pub type OnProgress<'a> = &'a (dyn Fn(&Progress) + Sync);
