//! iALS: matrix factorisation for implicit feedback by alternating least squares.
//!
//! Users have vectors `w_u`, items `h_i`, both of length `factors`; a score is `w_u . h_i`. The loss is
//!
//! ```text
//! sum over interactions (w_u . h_i - 1)^2  +  alpha0 sum over all pairs (w_u . h_i)^2
//!   + lambda ( sum_u (n_u + alpha0 n_items)^nu |w_u|^2  +  sum_i (n_i + alpha0 n_users)^nu |h_i|^2 )
//! ```
//!
//! with `n_u` and `n_i` the numbers of interactions. Where the training data have weights `r_ui` above 0, such as
//! numbers of plays, the loss is that of Hu, Koren and Volinsky, with confidences:
//!
//! ```text
//! sum over interactions (c_ui + alpha0) (w_u . h_i - 1)^2  +  alpha0 sum over all other pairs (w_u . h_i)^2
//!   + lambda ( sum_u (c_u + alpha0 n_items)^nu |w_u|^2  +  sum_i (c_i + alpha0 n_users)^nu |h_i|^2 )
//! ```
//!
//! where `c_ui = g(r_ui)` over the mean of `g` over all interactions, `g(r)` is `r` or `ln(1 + r / epsilon)`, and `c_u`
//! and `c_i` are sums of `c_ui`. So the options mean about what they mean without weights, and an interaction without a
//! weight counts as the mean one. Times `1 / alpha0` it is the loss of theirs in which a pair without interaction has
//! confidence 1, and one with `1 + c_ui / alpha0`. If all weights are equal, it is `(1 + alpha0)` times the first loss
//! with `lambda / (1 + alpha0)`, at vectors that are `sqrt(1 + alpha0)` times shorter, up to a constant: lists are the
//! same.
//!
//! With one side fixed the other one is a least squares problem per row, see [`solve`]. An epoch solves all users, then
//! all items, and turns either side to its principal axes, see [`axes`]. The model keeps the items' vectors only: a
//! user, known or new, is folded in by solving for `w_u` from the history, to the end.
//!
//! Source: Hu, Koren, Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008; this form of the
//! loss, the exponent `nu` and the advice on all options: Rendle, Krichene, Zhang, Koren, "Revisiting the Performance
//! of iALS on Item Recommendation Benchmarks", RecSys 2022, equations 2 to 6, arXiv 2110.14037.

use std::time::Instant;

use ndarray::{Array2, ArrayViewMut2};
use rayon::prelude::*;
use serde_json::Value;

use crate::base::cancel::Cancel;
use crate::base::compute::Device;
use crate::base::error::{Error, Result};
use crate::base::matrix::{row_major, view2, view2_mut};
use crate::base::memory::MemoryEstimate;
use crate::base::options::{Options, choice, options};
use crate::base::progress::{Progress, StepProgress};
use crate::base::random::Philox;
#[cfg(feature = "candle")]
use crate::base::tensors::open;
use crate::evaluate::evaluation::evaluate;
use crate::evaluate::factors::Factors;
use crate::evaluate::metrics::Metric;
use crate::evaluate::scorer::{Scorer, check_histories, checked, checked_some};
use crate::evaluate::shortlist::numbers_per_item;
use crate::evaluate::top_k::BLOCK;
use crate::math::cosine::cosines;
use crate::math::costs;
use crate::math::csr::Csr;
use crate::math::products::par_products;
use crate::math::real::Real;
use crate::model::{Fit, Model, ModelKind, NamedTensor, TensorSource};
#[cfg(feature = "candle")]
use crate::models::device::{CUDA_ITSELF, check_device};
use crate::nn::noise::{Purpose, stream};
use crate::split::parts::HeldOut;
use crate::train::epoch_log::{EpochLog, Schedule};
use crate::train::fit_shape::FitShape;
use crate::train::run::FitRun;

mod axes;
#[cfg(feature = "candle")]
mod on_device;
mod solve;
#[cfg(test)]
mod tests;

#[cfg(feature = "candle")]
use on_device::{OnDevice, fits_in_32_bits, numbers_on_device};
use solve::{Fixed, List, Lists, Weights, norms, operations_of_exact};

choice! {
    /// How a row's least squares problem is solved in training.
    pub enum AlsSolver {
        /// A few steps of conjugate gradients from where the row stood, or exactly where its list is so short that this
        /// takes no longer.
        Conjugate = "conjugate",
        /// Exactly, by Cholesky: the time of a row with `n` interactions grows with `n^2 factors + n^3`, or with
        /// `n factors^2 + factors^3` where `n` is above half of `factors`.
        Cholesky = "cholesky",
    }
}

choice! {
    /// What the confidence in an interaction grows with, where interactions have weights.
    pub enum AlsConfidence {
        /// The weight.
        Linear = "linear",
        /// The logarithm of 1 + weight / epsilon.
        Log = "log",
    }
}

options! {
    /// Options of iALS.
    pub struct AlsOptions for "als" {
        /// Length of the vectors. More is better on large data, and slower.
        factors: usize = 64, Between(1.0, 65536.0), search = [64, 128, 256, 512];
        /// Weight of a pair without interaction, where an interaction has 1 (alpha0). Smaller for sparser data.
        alpha0: f64 = 0.2, Above(0.0), search = Search::Log { from: 1e-4, to: 0.5 };
        /// Weight of the squared norms. Search it on validation together with alpha0.
        lambda: f64 = 0.006, Above(0.0), search = Search::Log { from: 1e-5, to: 0.1 };
        /// How the weight of a row's norm grows with its interactions: 1 in proportion, 0 not at all.
        nu: f64 = 1.0, Between(0.0, 2.0);
        /// What the confidence in an interaction grows with, where interactions have weights: `linear`, the weight, or
        /// `log`, ln(1 + weight / epsilon). It counts in units of its mean, whatever the unit of the weights.
        confidence: AlsConfidence = AlsConfidence::Linear, Any;
        /// A weight that is small, for the confidence `log`: above it, twice the weight adds about the same again and
        /// again.
        epsilon: f64 = 1.0, Above(0.0);
        /// Deviation of the scores at the beginning, in units of 1 / sqrt(factors) per number of an item's vector.
        init_scale: f64 = 0.1, Above(0.0);
        /// How a row is solved in training.
        solver: AlsSolver = AlsSolver::Conjugate, Any;
        /// Steps of conjugate gradients a row and epoch.
        steps: usize = 3, Between(1.0, 1000.0);
        /// Epochs at most.
        epochs: usize = 16, Between(1.0, 1000000.0);
        /// Epochs without a better validation NDCG@100 after which training stops.
        patience: usize = 5, AtLeast(1.0);
        /// Seed of the items' first vectors.
        seed: u64 = 1, Any;
    }
}

impl AlsOptions {
    /// Training and the first files need square matrices of factors, and a small file must not ask for large ones:
    /// beyond 64 MiB one is at most 16 times as large as the items' vectors.
    fn check(&self, n_items: usize) -> Result<()> {
        let most = n_items.saturating_mul(16).max(4096);
        if self.factors > most {
            return Err(Error::invalid_argument("factors", self.factors, format!("up to {most} for {n_items} items")));
        }
        Ok(())
    }

    fn weights(&self, confidences: Option<Confidences>) -> Weights {
        let beside = if confidences.is_some() { self.alpha0 } else { 0.0 };
        Weights { alpha0: self.alpha0, lambda: self.lambda, nu: self.nu, beside }
    }

    /// What a weight makes of the confidence, before it is divided by the mean.
    fn raw_confidence(&self, weight: f32) -> f64 {
        match self.confidence {
            AlsConfidence::Linear => weight.into(),
            AlsConfidence::Log => (f64::from(weight) / self.epsilon).ln_1p(),
        }
    }
}

/// What confidences are counted in.
#[derive(Clone, Copy, Debug)]
struct Confidences {
    mean: f32,
}

/// The least confidence: its root and the inverse of that are normal numbers in single precision.
const LEAST: f64 = 1e-30;

impl Confidences {
    /// Of training data, if they have weights.
    fn of(options: &AlsOptions, train: &Csr) -> Result<Option<Self>> {
        let Some(weights) = train.weights() else { return Ok(None) };
        let sum: f64 = weights.iter().map(|&weight| options.raw_confidence(weight)).sum();
        let mean = (sum / weights.len() as f64) as f32;
        if !(mean.is_normal() && mean > 0.0) {
            return Err(Error::Numerical(format!(
                "the mean confidence is {mean}; likely remedies: weights or an epsilon of another size"
            )));
        }
        Ok(Some(Self { mean }))
    }

    fn confidence(self, options: &AlsOptions, weight: f32) -> f32 {
        (options.raw_confidence(weight) / f64::from(self.mean)).clamp(LEAST, 1.0 / LEAST) as f32
    }
}

/// The iALS model.
pub struct Als {
    options: AlsOptions,
    items: Fixed<f32>,
    /// What confidences were counted in, where the training had weights.
    confidences: Option<Confidences>,
}

/// Both sides in training.
struct Training<'a, T> {
    options: &'a AlsOptions,
    confidences: Option<Confidences>,
    /// Histories of users, with the confidences of all if the data have weights, and audiences of items, with these as
    /// weights.
    train: &'a Csr,
    of_train: Option<Vec<f32>>,
    audiences: Csr,
    items: Fixed<T>,
    users: Vec<T>,
    /// What the users' vectors have to be turned by, to the axes of the items.
    axes: Option<Array2<T>>,
    /// Who solves the rows, if that is not the processor.
    elsewhere: Option<Box<Elsewhere<T>>>,
}

/// Improves rows from where they stand, as [`Fixed::improve`] does, and gives their loss.
type Elsewhere<T> =
    dyn Fn(&Fixed<T>, Weights, Lists<'_>, Option<&Array2<T>>, ArrayViewMut2<'_, T>) -> Result<f64> + Send;

impl<'a, T: Real> Training<'a, T> {
    fn new(options: &'a AlsOptions, train: &'a Csr) -> Result<Self> {
        let random = Philox::new(options.seed, stream(Purpose::Weights, 0));
        let deviation = options.init_scale / (options.factors as f64).sqrt();
        let numbers = (0u64..).flat_map(|pair| random.normals(pair));
        let items =
            numbers.take(train.n_cols() * options.factors).map(|number| T::from_f64(number * deviation)).collect();
        let (items, _) = Fixed::turned(items, options.factors).map_err(|_| {
            Error::invalid_argument("initScale", options.init_scale, "less: single precision does not hold such scores")
        })?;
        let users = vec![T::ZERO; train.n_rows() * options.factors];
        let confidences = Confidences::of(options, train)?;
        let confidence = |weight| confidences.map_or(1.0, |confidences| confidences.confidence(options, weight));
        let of_train = train.weights().map(|weights| weights.iter().map(|&weight| confidence(weight)).collect());
        let audiences = train.transpose().map_weights(confidence);
        Ok(Self { options, confidences, train, of_train, audiences, items, users, axes: None, elsewhere: None })
    }

    /// Solves all users, then all items, and returns the loss of the module's text, per user.
    fn epoch(&mut self, epoch: usize, run: &FitRun<'_>) -> Result<f64> {
        let epochs = self.options.epochs;
        let tell = |fraction| (run.on_step)(StepProgress { epoch, epochs, fraction });
        tell(0.0);
        let Self { options, confidences, train, of_train, audiences, items, users, axes, elsewhere } = self;
        let weights = options.weights(*confidences);
        let n_items = train.n_cols();
        let n_users = train.n_rows();
        let train = Lists { items: train, confidences: of_train.as_deref() };
        let audiences = Lists { items: audiences, confidences: audiences.weights() };
        // Gives the loss of the rows where that costs nothing.
        let solve = |rows: &mut [T], axes: Option<&Array2<T>>, known: &Fixed<T>, lists: Lists<'_>| {
            let rows = view2_mut(rows, (lists.items.n_rows(), options.factors));
            match (options.solver, &elsewhere) {
                (AlsSolver::Conjugate, Some(improve)) => return improve(known, weights, lists, axes, rows).map(Some),
                (AlsSolver::Conjugate, None) => {
                    known.improve(weights, lists, options.steps, axes, rows, &run.cancel)?;
                }
                (AlsSolver::Cholesky, _) => known.solve(weights, lists, rows, &run.cancel)?,
            }
            Ok(None)
        };
        solve(users, axes.as_ref(), items, train)?;
        let norms = norms(weights, train, users, n_items);
        tell(0.5);
        let turn = |rows: Vec<T>| {
            Fixed::turned(rows, options.factors)
                .map_err(|_| diverged(&format!("the vectors are not finite in epoch {epoch}")))
        };
        let (known, turned) = turn(std::mem::take(users))?;
        let mut rows = std::mem::take(items).into_rows();
        let own = solve(&mut rows, Some(&turned), &known, audiences)?;
        let own = own.unwrap_or_else(|| known.loss(weights, audiences, view2(&rows, (n_items, options.factors))));
        let loss = norms + own;
        *users = known.into_rows();
        let (rows, turned) = turn(rows)?;
        (*items, *axes) = (rows, Some(turned));
        Ok(loss / n_users as f64)
    }
}

#[cfg(feature = "candle")]
impl Training<'_, f32> {
    /// The same with rows that a device solves.
    fn on(self, device: candle_core::Device, cancel: &Cancel) -> Self {
        let there = OnDevice::new(device, self.options.steps, cancel.clone());
        let improve =
            move |known: &Fixed<f32>,
                  weights,
                  lists: Lists<'_>,
                  axes: Option<&Array2<f32>>,
                  rows: ArrayViewMut2<'_, f32>| { there.improve(known, weights, lists, axes, rows) };
        Self { elsewhere: Some(Box::new(improve)), ..self }
    }
}

/// What the sides take of a GPU's memory, counted from the tensors that are there at once, and never measured.
///
/// # Errors
/// `INVALID_ARGUMENT` for more numbers than a GPU tells apart.
#[cfg(feature = "candle")]
fn device_memory(options: &AlsOptions, train: &Csr, device: Device) -> Result<MemoryEstimate> {
    let audience = train.column_counts().into_iter().max().unwrap_or(0) as usize;
    let longest = train.rows().map(<[u32]>::len).max().unwrap_or(0).max(audience);
    let (fixed, factors) = (train.n_rows().max(train.n_cols()), options.factors);
    if !fits_in_32_bits(fixed, longest, factors) {
        let got = format!("'{device}' for {factors} factors of {fixed} users or items");
        return Err(Error::invalid_argument("device", got, "cpu for vectors of more than 4,294,967,295 numbers"));
    }
    let numbers = numbers_on_device(fixed as f64, longest as f64, factors as f64);
    let parts = [("the vectors of a side and of a batch's lists", 4.0 * numbers), ("CUDA itself", CUDA_ITSELF)];
    Ok(MemoryEstimate::new(4.0 * numbers, &parts, "fewer factors"))
}

fn diverged(what: &str) -> Error {
    Error::Numerical(format!("{what}; likely remedies: a larger lambda or alpha0"))
}

pub(super) fn fit(options: &AlsOptions, train: &Csr, validation: Option<&HeldOut>, run: &FitRun<'_>) -> Result<Fit> {
    options.check(train.n_cols())?;
    let start = Instant::now();
    let schedule = Schedule { epochs: options.epochs, patience: options.patience, warm_up: 0 };
    let mut training = Training::<f32>::new(options, train)?;
    #[cfg(feature = "candle")]
    if run.compute.device != Device::Cpu {
        check_device("training", run.compute.device, &device_memory(options, train, run.compute.device)?)?;
        training = training.on(open(run.compute.device)?, &run.cancel);
    }
    let mut log = EpochLog::<Fixed<f32>>::default();
    while !log.is_over(schedule) {
        let loss = training.epoch(log.record.len() + 1, run)?;
        if !loss.is_finite() {
            let epoch = log.record.len() + 1;
            return Err(diverged(&format!("the loss is not finite in epoch {epoch}: {loss}")));
        }
        let mut metric = None;
        if let Some(held_out) = validation {
            let confidences = training.confidences;
            let model = Als { options: options.clone(), items: std::mem::take(&mut training.items), confidences };
            metric = evaluate(&run.cancel.watch(&model), held_out, &[Metric::VALIDATION])?.mean(Metric::VALIDATION);
            training.items = model.items;
        }
        let compute = (run.compute.device != Device::Cpu).then_some(run.compute);
        let told =
            Progress { loss: Some(loss), seconds: start.elapsed().as_secs_f64(), compute, ..Progress::default() };
        log.end_epoch(metric, told, schedule, || Ok(training.items.clone()))?;
        (run.on_progress)(&log.record[log.record.len() - 1]);
    }
    let EpochLog { record: epochs, best, .. } = log;
    let (items, confidences) = (best.map_or(training.items, |best| best.parameters), training.confidences);
    Ok(Fit { model: Box::new(Als { options: options.clone(), items, confidences }), epochs })
}

/// What [`fit`] takes: users' and items' vectors, with validation the latter once more for the best epoch, and the
/// scores of a block of users; the transposed data; the products of the vectors, their axes and what finding these
/// takes, in double precision; and for each thread a block of rows or a matrix to be solved.
pub(super) fn memory(options: &AlsOptions, shape: &FitShape<'_>) -> MemoryEstimate {
    let [users, items, interactions] = shape.counts();
    let factors = options.factors as f64;
    let copies = if shape.validation { 2.0 } else { 1.0 };
    let scores = numbers_per_item(options.factors) as f64 * items + BLOCK as f64 * factors;
    let scores = if shape.validation { scores } else { 0.0 };
    let threads = shape.threads as f64 * (solve::GATHERED as f64 + factors) * factors;
    // Those of users and those of items.
    let confidences = if shape.weighted { 2.0 * interactions } else { 0.0 };
    let parts = [
        ("the vectors of users", 4.0 * users * factors),
        ("the vectors of items", 4.0 * copies * items * factors),
        ("the transposed data", 4.0 * interactions + 8.0 * items),
        ("the confidences", 4.0 * confidences),
        ("the scores of a block of validation users", 4.0 * scores),
        ("matrices of factors x factors", 4.0 * (axes::MATRICES * factors * factors + threads)),
    ];
    MemoryEstimate::new(4.0 * (items + 1.0) * factors, &parts, "fewer factors")
}

/// Where a search does well to begin, besides with the defaults: the best `alpha0` and `lambda` differ by orders of
/// magnitude between data, and what decides are two numbers that differ little.
///
/// - All pairs of a user together, `alpha0 items`, weigh some times what his interactions do.
/// - By its norms each singular value of the matrix loses about
///   `lambda sqrt((n + alpha0 items)^nu (m + alpha0 users)^nu)`, with `n` interactions a user and `m` an item. That is
///   some part of `sqrt(n) + sqrt(m)`, the largest singular value that chance brings about; well above it nothing is
///   learnt, and well below it chance is.
///
/// With `keeps_alpha0` all have the `alpha0` of the options.
pub(super) fn starts(options: &AlsOptions, shape: &FitShape<'_>, keeps_alpha0: bool) -> Vec<AlsOptions> {
    /// What all pairs weigh, in units of the interactions, and the loss, in units of what chance brings about.
    const STARTS: [(f64, f64); 3] = [(15.0, 0.3), (6.0, 0.3), (15.0, 0.1)];
    let [users, items, interactions] = shape.counts().map(|count| count.max(1.0));
    let (n, m) = (interactions / users, interactions / items);
    let of = |alpha0: f64, loss: f64| {
        let norms = ((n + alpha0 * items) * (m + alpha0 * users)).powf(options.nu / 2.0);
        AlsOptions { alpha0, lambda: loss * (n.sqrt() + m.sqrt()) / norms, ..options.clone() }
    };
    let mut starts = STARTS
        .map(|(unknown, loss)| of(if keeps_alpha0 { options.alpha0 } else { unknown * n / items }, loss))
        .to_vec();
    starts.dedup();
    starts
}

/// What the seconds of [`fit`] grow with.
pub(super) const LAW: &str = "epochs x (interactions x factors + (users + items) x factors^2 + factors^3)";

/// [`LAW`] as a number: a step of a row multiplies with its neighbours' vectors; vectors are multiplied with each other
/// and turned, and the axes of their products are found.
pub(super) fn work(options: &AlsOptions, shape: &FitShape<'_>) -> f64 {
    let [users, items, interactions] = shape.counts();
    let factors = options.factors as f64;
    let rows = match options.solver {
        AlsSolver::Conjugate => options.steps as f64 * interactions * factors,
        AlsSolver::Cholesky => exact(shape, factors),
    };
    options.epochs as f64 * (rows + (users + items + factors) * factors * factors)
}

/// Operations by which all users and all items are solved exactly, if lists are as long as their mean.
fn exact(shape: &FitShape<'_>, factors: f64) -> f64 {
    let [users, items, interactions] = shape.counts();
    let side = |rows: f64| rows * operations_of_exact(interactions / rows.max(1.0), factors);
    side(users) + side(items)
}

/// Seconds of [`fit`] on one core with all its epochs: in each step of a side, as many to begin with and for the loss,
/// all neighbours; with Cholesky the operations of its products; of both sides the products of the vectors, their turn,
/// and the axes.
pub(super) fn seconds(options: &AlsOptions, shape: &FitShape<'_>) -> f64 {
    let [users, items, interactions] = shape.counts();
    let factors = options.factors as f64;
    // Of both sides.
    let neighbours = 2.0 * interactions * (costs::NEIGHBOUR + costs::NUMBER * factors);
    let products = costs::operations::<f32>(4.0 * (users + items) * factors * factors);
    let axes = 2.0 * costs::AXES * factors.powi(3);
    let rows = match options.solver {
        AlsSolver::Conjugate => (options.steps as f64 + 2.0) * neighbours,
        AlsSolver::Cholesky => neighbours + costs::SMALL * costs::operations::<f32>(exact(shape, factors)),
    };
    options.epochs as f64 * (rows + products + axes + costs::lists(shape.choosing_users(), items, factors))
}

/// The most factors, in eights, with which it fits.
pub(super) fn smaller(
    options: &AlsOptions,
    _shape: &FitShape<'_>,
    fits: impl Fn(&AlsOptions) -> bool,
) -> Option<AlsOptions> {
    let eights = (1..options.factors.div_ceil(8)).rev();
    eights.map(|eights| AlsOptions { factors: 8 * eights, ..options.clone() }).find(fits)
}

pub(super) fn load(options: &AlsOptions, n_items: usize, tensors: &dyn TensorSource) -> Result<Box<dyn Model>> {
    options.check(n_items)?;
    let items = tensors.f32("items", &[n_items, options.factors])?;
    let items = if tensors.find("spectrum").is_some() {
        let spectrum = tensors.f32("spectrum", &[options.factors])?;
        if let Some(square) = spectrum.iter().find(|square| !(square.is_finite() && **square >= 0.0)) {
            return Err(Error::invalid_data(format!(
                "tensor 'spectrum' has {square}; allowed: finite numbers, 0 and above"
            )));
        }
        Fixed::new(items, spectrum)
    } else {
        turned(items, options.factors, n_items)?
    };
    let confidences = match tensors.find(CONFIDENCE) {
        Some(_) => match tensors.f32(CONFIDENCE, &[1])?[..] {
            [mean] if mean.is_normal() && mean > 0.0 => Some(Confidences { mean }),
            ref other => {
                let message = format!("tensor '{CONFIDENCE}' has {other:?}; allowed: a finite number above 0");
                return Err(Error::invalid_data(message));
            }
        },
        None => None,
    };
    Ok(Box::new(Als { options: options.clone(), items, confidences }))
}

/// The tensor of the mean confidence, of models that were trained on weights.
const CONFIDENCE: &str = "confidence";

/// The vectors of the first files, which were not turned. That takes [`axes::MATRICES`] square matrices, so as much as
/// for 1,024 factors, or about as much as the items' vectors.
fn turned(items: Vec<f32>, factors: usize, n_items: usize) -> Result<Fixed<f32>> {
    let most = n_items.max(1024);
    if factors > most {
        let allowed = format!("up to {most} for {n_items} items without the tensor 'spectrum'");
        return Err(Error::invalid_argument("factors", factors, allowed));
    }
    let (items, _) = Fixed::turned(items, factors)
        .map_err(|_| Error::invalid_data("tensor 'items' has vectors whose products are not finite"))?;
    Ok(items)
}

impl Als {
    fn n_factors(&self) -> usize {
        self.options.factors
    }

    /// The vectors of users by their histories, shape `(histories.len(), factors)`.
    fn fold_in(&self, histories: &[&[u32]]) -> Result<Array2<f32>> {
        self.fold_in_lists(&histories.iter().map(|history| List::plain(history)).collect::<Vec<_>>())
    }

    fn fold_in_lists(&self, lists: &[List<'_>]) -> Result<Array2<f32>> {
        let mut users = Array2::zeros((lists.len(), self.n_factors()));
        self.items.solve_lists(self.options.weights(self.confidences), lists, users.view_mut())?;
        Ok(users)
    }
}

impl Scorer for Als {
    fn n_items(&self) -> usize {
        self.items.rows().nrows()
    }

    fn score(&self, histories: &[&[u32]], mut scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        checked(histories, self.n_items(), scores.view_mut())?;
        let users = self.fold_in(histories)?;
        par_products(users.view(), self.items.rows(), scores);
        Ok(())
    }

    fn score_some(&self, histories: &[&[u32]], items: &[u32], mut scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        checked_some(histories, items, self.n_items(), scores.view_mut())?;
        let users = self.fold_in(histories)?;
        let rows: Vec<f32> = items.iter().flat_map(|&item| self.items.row(item)).copied().collect();
        par_products(users.view(), view2(&rows, (items.len(), self.n_factors())), scores);
        Ok(())
    }

    fn is_weighted(&self) -> bool {
        self.confidences.is_some()
    }

    fn score_weighted(
        &self,
        histories: &[&[u32]],
        weights: &[&[f32]],
        mut scores: ArrayViewMut2<'_, f32>,
    ) -> Result<()> {
        let Some(known) = self.confidences else { return self.score(histories, scores) };
        checked(histories, self.n_items(), scores.view_mut())?;
        if histories.len() != weights.len()
            || histories.iter().zip(weights).any(|(items, all)| items.len() != all.len())
        {
            return Err(Error::Internal("weights that do not fit the histories".into()));
        }
        let confidences = |weights: &&[f32]| -> Vec<f32> {
            weights.iter().map(|&weight| known.confidence(&self.options, weight)).collect()
        };
        let confidences: Vec<Vec<f32>> = weights.iter().map(confidences).collect();
        let lists = histories.iter().zip(&confidences);
        let lists: Vec<_> = lists.map(|(&items, all)| List { items, confidences: Some(all) }).collect();
        par_products(self.fold_in_lists(&lists)?.view(), self.items.rows(), scores);
        Ok(())
    }

    fn factors(&self) -> Option<Factors<'_>> {
        let users = |histories: &[&[u32]]| {
            check_histories(histories, self.n_items())?;
            Ok(self.fold_in(histories)?.into_raw_vec_and_offset().0)
        };
        Some(Factors {
            width: self.n_factors(),
            items: row_major(self.items.rows()),
            biases: None,
            block: BLOCK,
            users: Box::new(users),
        })
    }
}

impl Model for Als {
    fn kind(&self) -> ModelKind {
        ModelKind::Als
    }

    fn options(&self) -> Value {
        self.options.to_json()
    }

    fn tensors(&self) -> Result<Vec<NamedTensor<'_>>> {
        let items = NamedTensor::new("items", &[self.n_items(), self.n_factors()], row_major(self.items.rows()));
        let spectrum = NamedTensor::new("spectrum", &[self.n_factors()], self.items.spectrum());
        let mean = self.confidences.as_ref().map(|known| std::slice::from_ref(&known.mean));
        let confidence = mean.map(|mean| NamedTensor::new(CONFIDENCE, &[1], mean));
        Ok([items, spectrum].into_iter().chain(confidence).collect())
    }

    fn similarities(&self, item: u32, items: &[u32]) -> Result<Vec<f32>> {
        Ok(cosines(self.items.row(item), items.par_iter().map(|&other| self.items.row(other))))
    }

    fn embed(&self, histories: &[&[u32]]) -> Result<Array2<f32>> {
        self.fold_in(histories)
    }

    /// Exact, as in Hu et al., section 5: with `A` the matrix of the user's equations the score of `i` is
    /// `h_i' A^-1 sum of h_j`, so item `j` contributes `h_j . A^-1 h_i`.
    fn contributions(&self, history: &[u32], item: u32, cancel: &Cancel) -> Result<Vec<f64>> {
        cancel.check()?;
        let shares = self.items.contributions(self.options.weights(self.confidences), history, self.items.row(item))?;
        Ok(shares.into_iter().map(f64::from).collect())
    }
}
