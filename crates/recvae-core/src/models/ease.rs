//! EASE^R: scores are `x B`, where `B` minimises `||X - X B||^2 + lambda ||B||^2` with a zero diagonal.
//!
//! With `G = X' X` and `P = (G + lambda I)^-1` the minimum is `B_ij = -P_ij / P_jj` off the diagonal: one Gram matrix,
//! one inverse, nothing random. `X` has shape `(n_users, n_items)`, `B` has `(n_items, n_items)`. With a `density`
//! below 1 most of B is 0, and no such matrix is held: see `ease/restricted.rs`. In f32 the inverse may be a GPU's: see
//! `math/linalg/panels.rs`.
//!
//! Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, equation 8, arXiv 1905.03375.

use ::half::f16;
use bytemuck::Pod;
use ndarray::{ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;
use serde_json::Value;

use crate::base::cancel::Cancel;
use crate::base::compute::Device;
use crate::base::error::{Error, Result};
use crate::base::matrix::{row_major_mut, view2_mut};
use crate::base::memory::MemoryEstimate;
use crate::base::numbers::Numbers;
use crate::base::options::{choice, options};
use crate::base::steps::Steps;
#[cfg(feature = "candle")]
use crate::base::tensors::open;
use crate::base::threads::Threads;
use crate::evaluate::scorer::{Scorer, check_items, checked, checked_some};
use crate::math::costs;
use crate::math::csr::Csr;
use crate::math::linalg::by_users::{self, inverse_by_users};
#[cfg(feature = "candle")]
use crate::math::linalg::panels;
use crate::math::linalg::{Inverse, NoInverse, bytes_beside_inverse, gram, pairs_of_items};
use crate::math::real::Real;
use crate::math::residual::{TOLERANCE, Vectors, error_of_scores, gram_products};
use crate::math::row_sums::sums_of_rows;
use crate::math::vectorised::{add, multiply, vectorised};
use crate::model::tensors::{Stored, numbers};
use crate::model::{CompactOptions, Fit, Model, ModelKind, NamedTensor, TensorSource};
#[cfg(feature = "candle")]
use crate::models::device::{CUDA_ITSELF, check_device};
use crate::split::parts::HeldOut;
use crate::train::fit_shape::FitShape;
use crate::train::run::FitRun;

#[cfg(test)]
pub(super) mod check;
mod compact;
mod half;
mod penalty;
pub(super) mod restricted;
mod sparse;
mod support;

pub(crate) use penalty::{Origin, Penalised, Penalty};

choice! {
    /// Floating point type of the factorisation and of the stored matrix.
    pub enum Precision {
        /// 4 bytes a number.
        F32 = "f32",
        /// 8 bytes a number, for a small `lambda` on data that f32 cannot factor.
        F64 = "f64",
    }
}

options! {
    /// Options of EASE^R.
    pub struct EaseOptions for "ease" {
        /// Weight of the squared norm of B, in users: co-occurrences of fewer users than this hardly count. Larger for
        /// denser data; search it on validation.
        lambda: f64 = 500.0, Above(0.0), search = Search::Log { from: 0.5, to: 10000.0 };
        /// Floating point type of the factorisation and of the stored matrix.
        precision: Precision = Precision::F32, Any;
        /// Share of the item pairs that may have a weight: the pairs that most often come together. 1 is EASE^R itself,
        /// in 4 n_items^2 bytes. Less, for catalogues where that is too much, takes 16 density n_items^2 bytes and a
        /// time that grows with items x (density x items)^3: .01 and below. The weights are f32.
        density: f64 = 1.0, UpTo(0.0, 1.0);
    }
}

impl Precision {
    /// Of a number.
    pub(super) fn bytes(self) -> f64 {
        match self {
            Self::F32 => 4.0,
            Self::F64 => 8.0,
        }
    }

    /// What helps where a matrix is not positive definite.
    fn way_out(self) -> &'static str {
        match self {
            Self::F32 => "a larger lambda, or precision 'f64'",
            Self::F64 => "a larger lambda",
        }
    }
}

/// The EASE^R model, and EDLAE's, RDLAE's and DEQL's, which differ in how their matrix is found. A compact one may be
/// in half precision.
pub struct Ease<T: Pod> {
    origin: Origin,
    n_items: usize,
    /// B of shape `(n_items, n_items)`, row-major.
    weights: Numbers<T>,
}

impl Penalised for EaseOptions {
    const KIND: ModelKind = ModelKind::Ease;
    const TITLE: &'static str = "EASE^R";

    fn penalty(&self) -> Penalty {
        Penalty::new(self.lambda, self.precision)
    }

    fn density_mut(&mut self) -> &mut f64 {
        &mut self.density
    }
}

/// The model with its penalty and with weights for a share of the pairs.
pub(super) fn fit<O: Penalised>(
    options: &O,
    train: &Csr,
    _validation: Option<&HeldOut>,
    run: &FitRun<'_>,
) -> Result<Fit> {
    let (origin, penalty, density) = (options.origin(), options.penalty(), options.density());
    let model: Box<dyn Model> = match penalty.precision() {
        _ if density < 1.0 => Box::new(restricted::fit(origin, penalty, density, train, run)?),
        Precision::F32 if run.compute.device == Device::Cpu => {
            Box::new(Ease::<f32>::fit_here(origin, penalty, train, run)?)
        }
        Precision::F32 => {
            let inverse = inverse_of(run, train.n_cols())?;
            Box::new(Ease::<f32>::fit(origin, penalty, train, run, inverse)?)
        }
        Precision::F64 => Box::new(Ease::<f64>::fit_here(origin, penalty, train, run)?),
    };
    Ok(Fit { model, epochs: vec![] })
}

/// Who inverts the matrix of so many items where the run asks for it, if that has the memory.
///
/// # Errors
/// `MEMORY` of the device, with the figures; that it does not open.
pub(crate) fn inverse_of(
    run: &FitRun<'_>,
    #[cfg_attr(not(feature = "candle"), allow(unused_variables))] items: usize,
) -> Result<Inverse<f32>> {
    match run.compute.device {
        Device::Cpu => Ok(Inverse::here()),
        #[cfg(feature = "candle")]
        place => {
            check_device("training", place, &device_memory(items as f64))?;
            Ok(Inverse::on(open(place)?))
        }
        #[cfg(not(feature = "candle"))]
        Device::Cuda(_) => Err(Error::Internal("this build is without candle".into())),
    }
}

/// What [`fit`] takes: the matrix, which becomes the model, and beside it first what [`gram`] needs, the transposed
/// data and for each thread a place in every history, then the copies of [`invert_positive_definite`]; or what
/// [`inverse_by_users`] needs.
pub(super) fn memory(options: &impl Penalised, shape: &FitShape<'_>) -> MemoryEstimate {
    let (precision, density) = (options.penalty().precision(), options.density());
    if density < 1.0 {
        return restricted::memory(precision, density, shape);
    }
    let [users, items, interactions] = shape.counts();
    let counting = 4.0 * interactions + 8.0 * items + 4.0 * users * shape.threads as f64;
    // The larger one where users are few, whether the data are such that the fit goes by them or not.
    let by_users = by_users::has_few_users(shape.users, shape.items).then(|| {
        let bytes = precision.bytes() as usize;
        by_users::bytes_beside(shape.users, shape.items, shape.interactions, bytes) as f64
    });
    let beside = match by_users {
        Some(bytes) if bytes > counting => ("a matrix of users x users", bytes),
        _ => ("the transposed data or copies of parts", counting),
    };
    memory_from_gram(precision, items, beside).with_smaller(restricted::smaller(precision, density, shape))
}

/// Seconds of the way to the inverse that a fit takes on one core, the Gram matrix included, and whether that is by
/// users.
fn seconds_of_way<T: Real>(shape: &FitShape<'_>) -> (f64, bool) {
    by_users::seconds_of_way::<T>(shape.items, shape.few_users(), shape.data, shape.squares())
}

/// What the inverse takes of a GPU's memory, counted from the tensors that are there at once, and never measured.
#[cfg(feature = "candle")]
pub(super) fn device_memory(items: f64) -> MemoryEstimate {
    let bytes = |numbers: f64| 4.0 * numbers;
    let parts = [
        ("half of the matrix of items x items", bytes(panels::numbers_of_half(items))),
        ("panels on their way into others", bytes(panels::numbers_beside_half(items))),
        ("CUDA itself", CUDA_ITSELF),
    ];
    MemoryEstimate::new(bytes(items * items), &parts, "fewer items (minItem)")
}

/// What the seconds of [`fit`] grow with.
pub(super) const LAW: &str = "items^3 + interactions^2 / users, less where users are few or items share few; of a density below 1: items x (density x items)^3";

/// [`LAW`] as a number, in operations of f32. A sample may be fitted by users and its data by items, so a dense fit's
/// is the one of its way.
pub(super) fn work(options: &impl Penalised, shape: &FitShape<'_>) -> f64 {
    if options.density() < 1.0 {
        return restricted::work(options.density(), shape);
    }
    seconds(options, shape) / costs::operations::<f32>(1.0)
}

/// Seconds of [`fit`] on one core. Without the data no item is taken to be eliminated before the inverse.
pub(super) fn seconds(options: &impl Penalised, shape: &FitShape<'_>) -> f64 {
    if options.density() < 1.0 {
        return restricted::seconds(options.density(), shape);
    }
    let (inverse, _) = match options.penalty().precision() {
        Precision::F32 => seconds_of_way::<f32>(shape),
        Precision::F64 => seconds_of_way::<f64>(shape),
    };
    costs::ENTRY * (shape.items as f64).powi(2) + inverse
}

/// The largest density below that of `options` at which it fits.
pub(super) fn smaller<O: Penalised>(options: &O, shape: &FitShape<'_>, fits: impl Fn(&O) -> bool) -> Option<O> {
    let densities: Vec<f64> = restricted::densities_below(options.density(), shape).collect();
    // Each takes less than the one before.
    let at = densities.partition_point(|&density| !fits(&options.with_density(density)));
    densities.get(at).map(|&density| options.with_density(density))
}

/// What [`Ease::from_gram`] takes for `items`, with what counting takes beside the matrix: it is gone before there are
/// copies.
pub(crate) fn memory_from_gram(precision: Precision, items: f64, counting: (&'static str, f64)) -> MemoryEstimate {
    let ways_out = match precision {
        Precision::F32 => "",
        Precision::F64 => "precision 'f32'",
    };
    let size = precision.bytes();
    let inverting = bytes_beside_inverse(items as usize, size as usize) as f64;
    let matrix = size * items * items;
    let (name, counting) = counting;
    MemoryEstimate::new(matrix, &[("its matrix of items x items", matrix), (name, counting.max(inverting))], ways_out)
}

/// The largest lambda: weights are about counts over lambda, and scores are f32, whose normal numbers begin at 1.2e-38.
const LARGEST: f64 = 1e37;
/// The same of a matrix of f32: in the inverse stand counts over the square of lambda.
const LARGEST_OF_F32: f64 = 1e18;

/// Refuses a lambda of that name for which weights would be 0, or have lost their digits, where an inverse has that
/// precision.
pub(super) fn check_largest(name: &str, lambda: f64, precision: Precision) -> Result<()> {
    let largest = if precision == Precision::F32 { LARGEST_OF_F32 } else { LARGEST };
    if lambda <= largest {
        return Ok(());
    }
    let allowed = format!("a number above 0 up to {largest:e}, beyond which the weights vanish in that precision");
    Err(Error::invalid_argument(name, format!("{lambda:?}"), allowed))
}

/// What errors name where a matrix has no inverse.
pub(super) struct Singular {
    pub(super) title: &'static str,
    pub(super) lambda: f64,
    pub(super) precision: Precision,
}

/// The inverse of a matrix over it, both of its triangles; of the matrix the right one alone is looked at. `penalties`
/// are what its diagonal has been given, `products` multiplies by the matrix without them, and `inverse` says who
/// inverts it.
pub(super) fn invert<T: Real>(
    mut matrix: ArrayViewMut2<'_, T>,
    penalties: &[f64],
    products: impl FnOnce(&Vectors) -> Result<Vectors>,
    of: &Singular,
    inverse: Inverse<T>,
    steps: &Steps<'_>,
) -> Result<()> {
    let Singular { title, lambda, precision } = of;
    let (word, way_out) = (precision.word(), precision.way_out());
    inverse.over(matrix.view_mut(), steps).map_err(|error| match error {
        NoInverse::Pivot(pivot) => Error::Numerical(format!(
            "{title}: the Gram matrix plus lambda = {lambda:?} on its diagonal is not positive definite in {word} (pivot {pivot} of \
             {}); the way out: {way_out}",
            penalties.len()
        )),
        NoInverse::Failed(error) => error,
    })?;
    check_inverse(matrix.view(), penalties, products, of, steps)
}

/// Refuses an inverse that is another matrix's.
fn check_inverse<T: Real>(
    inverse: ArrayView2<'_, T>,
    penalties: &[f64],
    products: impl FnOnce(&Vectors) -> Result<Vectors>,
    of: &Singular,
    steps: &Steps<'_>,
) -> Result<()> {
    let Singular { title, lambda, precision } = of;
    let (word, way_out) = (precision.word(), precision.way_out());
    steps.check()?;
    let error = error_of_scores(inverse, penalties, products)?;
    if error.is_nan() || error > TOLERANCE {
        return Err(Error::Numerical(format!(
            "{title}: with lambda = {lambda:?} scores are off by {:.0} % in {word}, since the Gram matrix plus lambda on its \
             diagonal is too close to a singular one; allowed: {:.0} %; the way out: {way_out}",
            100.0 * error,
            100.0 * TOLERANCE,
        )));
    }
    steps.check()
}

#[allow(private_bounds)]
impl<T: Real> Ease<T> {
    /// On the processor: by users where they are few, else by items.
    fn fit_here(origin: Origin, penalty: Penalty, train: &Csr, run: &FitRun<'_>) -> Result<Self> {
        // Else the estimate would look for items to eliminate, which the inverse does itself.
        if by_users::has_few_users(train.n_rows(), train.n_cols())
            && let (seconds, true) = seconds_of_way::<T>(&FitShape::of(train, false, 1))
            && let Some(model) = Self::by_users(&origin, penalty, train, run, seconds)?
        {
            return Ok(model);
        }
        Self::fit(origin, penalty, train, run, Inverse::here())
    }

    /// The Gram matrix is the processor's in any case. Of data of MovieLens-20M's size it counts 1.4e9 pairs, 1.4 s of
    /// one core by `costs.rs`, which all cores share; by dense products a GPU would need 136,677 x 20,720^2 = 6e13
    /// operations, a second or more.
    pub(super) fn fit(
        origin: Origin,
        penalty: Penalty,
        train: &Csr,
        run: &FitRun<'_>,
        inverse: Inverse<T>,
    ) -> Result<Self> {
        let (n, pairs) = (train.n_cols(), pairs_of_items(train).iter().sum::<u64>());
        let steps = run.steps(costs::PAIR * pairs as f64 + Self::work_from_gram(n, &inverse));
        let products = |vectors: &Vectors| gram_products(train, vectors);
        Self::from_gram(origin, penalty, n, || gram(train, &steps), products, inverse, &steps)
    }

    /// The same by users, where they are few, which is thought to take so many seconds; nothing where `lambda` is too
    /// small for that.
    fn by_users(
        origin: &Origin,
        penalty: Penalty,
        train: &Csr,
        run: &FitRun<'_>,
        seconds: f64,
    ) -> Result<Option<Self>> {
        let (n, lambda, precision) = (train.n_cols(), penalty.lambda(), penalty.precision());
        check_largest("lambda", lambda, precision)?;
        let counts: Vec<f64> = train.column_counts().into_iter().map(f64::from).collect();
        let penalties: Vec<f64> = counts.iter().map(|&count| penalty.on_diagonal(count)).collect();
        let steps = run.steps(seconds + costs::ENTRY * (n * n) as f64);
        let weights = match inverse_by_users::<T>(train, &penalties, &steps) {
            Ok(inverse) => inverse,
            Err(NoInverse::Failed(error)) => return Err(error),
            Err(NoInverse::Pivot(_)) => return Ok(None),
        };
        let of = Singular { title: origin.title, lambda, precision };
        let products = |vectors: &Vectors| Ok(gram_products(train, vectors));
        check_inverse(weights.view2((n, n)), &penalties, products, &of, &steps)?;
        Self::from_inverse(origin.clone(), penalty, &counts, weights, &steps).map(Some)
    }

    /// What [`Ease::from_gram`] will have told of in the end, besides the Gram matrix.
    pub(crate) fn work_from_gram(n: usize, inverse: &Inverse<T>) -> f64 {
        inverse.work(n) + costs::ENTRY * (n * n) as f64
    }

    /// The model behind a Gram matrix of `n` x `n`, which is asked for once the penalty is known to be good; `products`
    /// multiplies by it when it is no more.
    pub(crate) fn from_gram(
        origin: Origin,
        penalty: Penalty,
        n: usize,
        gram: impl FnOnce() -> Result<Numbers<T>>,
        products: impl FnOnce(&Vectors) -> Vectors,
        inverse: Inverse<T>,
        steps: &Steps<'_>,
    ) -> Result<Self> {
        let (lambda, precision) = (penalty.lambda(), penalty.precision());
        check_largest("lambda", lambda, precision)?;
        let mut weights = gram()?;
        let mut matrix = weights.view2_mut((n, n));
        let counts: Vec<f64> = matrix.diag().iter().map(|entry| entry.to_f64()).collect();
        for entry in matrix.diag_mut() {
            *entry += *entry * T::from_f64(penalty.share()) + T::from_f64(lambda);
        }
        let penalties: Vec<f64> = counts.iter().map(|&count| penalty.on_diagonal(count)).collect();
        let of = Singular { title: origin.title, lambda, precision };
        invert(matrix.view_mut(), &penalties, |vectors| Ok(products(vectors)), &of, inverse, steps)?;
        Self::from_inverse(origin, penalty, &counts, weights, steps)
    }

    /// The model behind the inverse; `counts` are the items' numbers of users.
    fn from_inverse(
        origin: Origin,
        penalty: Penalty,
        counts: &[f64],
        mut weights: Numbers<T>,
        steps: &Steps<'_>,
    ) -> Result<Self> {
        let n = counts.len();
        inverse_to_weights(weights.view2_mut((n, n)), |item, rest| penalty.scale(counts[item], rest), steps)?;
        steps.end();
        Ok(Self { origin, n_items: n, weights })
    }
}

/// `B_ij = -P_ij / P_jj` with a zero diagonal over `P`, each column times what `scale` says of the item and of
/// `1 / P_jj`.
fn inverse_to_weights<T: Real>(
    matrix: ArrayViewMut2<'_, T>,
    scale: impl Fn(usize, f64) -> f64,
    steps: &Steps<'_>,
) -> Result<()> {
    let of_column = |(item, entry): (usize, &T)| {
        let rest = 1.0 / entry.to_f64();
        // Rounded to the bits of a quotient of numbers of type `T` where the scale is 1.
        T::from_f64(-scale(item, rest) / entry.to_f64())
    };
    let scale: Vec<T> = matrix.diag().iter().enumerate().map(of_column).collect();
    let n = scale.len();
    row_major_mut(matrix).par_chunks_mut(n).enumerate().try_for_each(|(i, row)| {
        steps.check()?;
        multiply(row, &scale);
        row[i] = T::ZERO;
        steps.did(costs::ENTRY * n as f64);
        Ok(())
    })
}

pub(super) fn load(options: &impl Penalised, n_items: usize, tensors: &dyn TensorSource) -> Result<Box<dyn Model>> {
    let (origin, precision) = (options.origin(), options.penalty().precision());
    if tensors.find(sparse::ENDS).is_some() {
        return Ok(Box::new(sparse::SparseEase::load(origin, n_items, tensors)?));
    }
    // A compact form may have another type than the fit had.
    let of_fit = if precision == Precision::F32 { f32::DTYPE } else { f64::DTYPE };
    let dtype = tensors.find("weights").map_or(of_fit, |tensor| tensor.dtype);
    let shape = [n_items, n_items];
    fn weights<T: Stored>(tensors: &dyn TensorSource, shape: &[usize]) -> Result<Numbers<T>> {
        numbers(tensors, "weights", shape)
    }
    Ok(match dtype {
        "F16" => Box::new(Ease::<f16> { origin, n_items, weights: weights(tensors, &shape)? }),
        "F64" => Box::new(Ease::<f64> { origin, n_items, weights: weights(tensors, &shape)? }),
        _ => Box::new(Ease::<f32> { origin, n_items, weights: weights(tensors, &shape)? }),
    })
}

/// A matrix B as a model. `piece` gives the scores of a history in a piece of items, `stripe` those in a stripe, `number`
/// turns a stored weight into one to compute with, `rows` gives them as f32 if that is what they are, and `compact`
/// makes the smaller model.
macro_rules! model {
    ($type:ty, $piece:path, $stripe:path, $number:expr, $rows:expr, $compact:path) => {
        impl Scorer for Ease<$type> {
            fn n_items(&self) -> usize {
                self.n_items
            }

            fn score(&self, histories: &[&[u32]], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
                let scores = checked(histories, self.n_items, scores)?;
                if histories.len() < MANY || self.n_items < STRIPE {
                    let users = scores.par_chunks_mut(self.n_items).zip(histories);
                    users.for_each(|(scores, history)| {
                        let piece = |first: usize, sums: &mut [f32]| {
                            $piece(&self.weights, self.n_items, history, first, sums);
                        };
                        score_one(scores, self.bytes_read(history.len()), piece);
                    });
                } else {
                    let scores = view2_mut(scores, (histories.len(), self.n_items));
                    score_many(histories, scores, |history, first, sums| {
                        $stripe(&self.weights, self.n_items, history, first, sums);
                    });
                }
                Ok(())
            }

            /// Bit by bit what `score` gives: the numbers are added in the same order.
            fn score_some(&self, histories: &[&[u32]], items: &[u32], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
                let scores = checked_some(histories, items, self.n_items, scores)?;
                scores.par_chunks_mut(items.len().max(1)).zip(histories).for_each(|(scores, history)| {
                    score_one_at(&self.weights, $number, self.n_items, history, items, scores);
                });
                Ok(())
            }

            fn item_rows(&self) -> Option<&[f32]> {
                $rows(&self.weights)
            }

            fn bytes_read(&self, n_known: usize) -> usize {
                n_known * self.n_items * size_of::<$type>()
            }
        }

        impl Model for Ease<$type> {
            fn kind(&self) -> ModelKind {
                self.origin.kind
            }

            fn options(&self) -> Value {
                self.origin.options.clone()
            }

            fn tensors(&self) -> Result<Vec<NamedTensor<'_>>> {
                Ok(vec![NamedTensor::new("weights", &[self.n_items; 2], &self.weights[..])])
            }

            fn similarities(&self, item: u32, items: &[u32]) -> Result<Vec<f32>> {
                scores_of_one(self, item, items)
            }

            fn contributions(&self, history: &[u32], item: u32, _: &Cancel) -> Result<Vec<f64>> {
                check_items(history.iter().chain([&item]), self.n_items)?;
                let weights = self.weights.view2((self.n_items, self.n_items));
                Ok(history.iter().map(|&from| weights[(from as usize, item as usize)].to_f64()).collect())
            }

            fn compact(&self, how: &CompactOptions) -> Result<Box<dyn Model>> {
                $compact(&self.origin, self.weights.view2((self.n_items, self.n_items)), how)
            }
        }
    };
}
model!(f16, half::piece, half::stripe, f16::to_f32, not_f32, half::compact);
model!(f32, piece, stripe, |weight| weight, as_f32, compact::compact);
model!(f64, piece, stripe, |weight| weight, not_f32, compact::compact);

fn as_f32(weights: &[f32]) -> Option<&[f32]> {
    Some(weights)
}

fn not_f32<T>(_: &[T]) -> Option<&[f32]> {
    None
}

/// A part of the row of B that belongs to an item: the scores that it alone gives to `items`.
pub(super) fn scores_of_one(model: &impl Scorer, item: u32, items: &[u32]) -> Result<Vec<f32>> {
    let mut scores = vec![0.0; items.len()];
    model.score_some(&[&[item]], items, view2_mut(&mut scores, (1, items.len())))?;
    Ok(scores)
}

/// Items of a piece, whose sums stay in the first-level cache.
const PIECE: usize = 2048;

/// The sum of the rows of B that belong to a history, by `piece`, which takes the first item of a piece. Threads share
/// the pieces where so many bytes are read that the memory, and not the processor, is waited for.
pub(super) fn score_one(scores: &mut [f32], bytes_read: usize, piece: impl Fn(usize, &mut [f32]) + Sync) {
    if Threads::that_read(bytes_read) > 1 {
        scores.par_chunks_mut(PIECE).enumerate().for_each(|(number, scores)| piece(number * PIECE, scores));
    } else {
        scores.chunks_mut(PIECE).enumerate().for_each(|(number, scores)| piece(number * PIECE, scores));
    }
}

/// The scores of a history from item `first` on, at most [`PIECE`].
pub(super) fn piece<T: Real>(weights: &[T], n_items: usize, history: &[u32], first: usize, scores: &mut [f32]) {
    let mut sums = [T::ZERO; PIECE];
    let sums = &mut sums[..scores.len()];
    let row = |item: u32| &weights[item as usize * n_items + first..][..scores.len()];
    let (fours, rest) = history.as_chunks::<4>();
    fours.iter().for_each(|&[a, b, c, d]| add_four(sums, row(a), row(b), row(c), row(d)));
    rest.iter().for_each(|&item| add(sums, row(item)));
    for (score, &sum) in scores.iter_mut().zip(&*sums) {
        *score = sum.to_f64() as f32;
    }
}

/// Items of a stripe: sums in f32 fit into the registers of a processor with AVX-512.
const STRIPE: usize = 128;
/// Histories from which on stripes are worth it: a single one is read faster row by row.
const MANY: usize = 8;

/// What [`score_one`] gives for many histories, bit by bit, by `stripe`, which takes a history and the first item of a
/// stripe.
///
/// A row of B that is read for one history is out of the caches before the next history that has the item. What a
/// stripe has of the rows stays there for all of them.
fn score_many(
    histories: &[&[u32]],
    mut scores: ArrayViewMut2<'_, f32>,
    stripe: impl Fn(&[u32], usize, &mut [f32; STRIPE]) + Sync,
) {
    let n_items = scores.ncols();
    let stripes: Vec<_> = scores.axis_chunks_iter_mut(Axis(1), STRIPE).enumerate().collect();
    stripes.into_par_iter().for_each(|(number, mut scores)| {
        // The last one, which has fewer items, begins before its own.
        let first = (number * STRIPE).min(n_items - STRIPE);
        let mut sums = [0.0; STRIPE];
        for (history, mut scores) in histories.iter().zip(scores.rows_mut()) {
            stripe(history, first, &mut sums);
            let own = &sums[STRIPE - scores.len()..];
            scores.iter_mut().zip(own).for_each(|(score, &sum)| *score = sum);
        }
    });
}

/// What [`score_one`] gives for some of the items, bit by bit: the numbers are added in the same order. `number` turns
/// a weight as it is stored into one to add.
pub(super) fn score_one_at<W: Copy, T: Real>(
    weights: &[W],
    number: impl Fn(W) -> T,
    n_items: usize,
    history: &[u32],
    items: &[u32],
    scores: &mut [f32],
) {
    let mut sums = vec![T::ZERO; items.len()];
    let row = |item: u32| &weights[item as usize * n_items..][..n_items];
    let (fours, rest) = history.as_chunks::<4>();
    for [a, b, c, d] in fours.iter().map(|four| four.map(row)) {
        for (sum, &item) in sums.iter_mut().zip(items) {
            let item = item as usize;
            *sum += (number(a[item]) + number(b[item])) + (number(c[item]) + number(d[item]));
        }
    }
    for row in rest.iter().map(|&item| row(item)) {
        sums.iter_mut().zip(items).for_each(|(sum, &item)| *sum += number(row[item as usize]));
    }
    scores.iter_mut().zip(&sums).for_each(|(score, sum)| *score = sum.to_f64() as f32);
}

vectorised! {
    /// The scores of a stripe.
    fn stripe(weights: &[T], n_items: usize, history: &[u32], first: usize, scores: &mut [f32; STRIPE]) {
        let sums: [T; STRIPE] = sums_of_rows(weights, |weight| weight, n_items, history, first);
        scores.iter_mut().zip(sums).for_each(|(score, sum)| *score = sum.to_f64() as f32);
    }

    /// `sums += a + b + c + d`: the four are read side by side, which memory serves faster than one after the other.
    fn add_four(sums: &mut [T], a: &[T], b: &[T], c: &[T], d: &[T]) {
        for ((((sum, &a), &b), &c), &d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *sum += (a + b) + (c + d);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check::close;
    use super::*;
    use crate::test_support::Golden;

    #[test]
    fn threads_that_share_a_history_change_no_bit() {
        let (n_items, n_rows) = (2 * PIECE + 77, 41);
        let weights: Vec<f32> =
            (0..n_items * n_rows).map(|at| ((at as f32).sin() * 1e4).fract() / (1 + at % 7) as f32).collect();
        let halves: Vec<f16> = weights.iter().map(|&weight| f16::from_f32(weight)).collect();
        let doubles: Vec<f64> = weights.iter().map(|&weight| weight.into()).collect();
        let threads = Threads::new(Some(3)).unwrap();
        for n_known in [0, 1, 3, 4, 18, 41] {
            let history: Vec<u32> = (0..n_known).collect();
            let check = |piece: &(dyn Fn(usize, &mut [f32]) + Sync)| {
                let (mut alone, mut shared) = (vec![f32::NAN; n_items], vec![f32::NAN; n_items]);
                score_one(&mut alone, 0, piece);
                threads.install(|| score_one(&mut shared, usize::MAX, piece));
                assert!(alone.iter().zip(&shared).all(|(a, b)| a.to_bits() == b.to_bits()), "{n_known} items");
                alone
            };
            let scores = check(&|first, sums| piece(&weights, n_items, &history, first, sums));
            let of_doubles = check(&|first, sums| piece(&doubles, n_items, &history, first, sums));
            check(&|first, sums| half::piece(&halves, n_items, &history, first, sums));
            // Sums of 41 numbers below 1 in f32.
            close(
                &scores.iter().map(|&s| s.into()).collect::<Vec<_>>(),
                &of_doubles.iter().map(|&s| s.into()).collect::<Vec<f64>>(),
                1e-5,
            );
        }
    }

    #[test]
    fn matches_the_reference() {
        for lambda in ["0.5", "10", "200"] {
            let golden = Golden::read(&format!("ease_lambda{lambda}"));
            let x = golden.csr("x");
            let options =
                EaseOptions { lambda: golden.values("lambda")[0], precision: Precision::F64, ..EaseOptions::default() };
            let (origin, penalty) = (options.origin(), options.penalty());
            let model = Ease::<f64>::fit(origin.clone(), penalty, &x, &FitRun::default(), Inverse::here()).unwrap();
            close(&model.weights, golden.values("b"), 1e-9);
            assert!((0..x.n_cols()).all(|item| model.weights[item * (x.n_cols() + 1)] == 0.0));
            let scores = model.scores(&x.rows().collect::<Vec<_>>()).unwrap();
            // Scores leave the model in f32.
            close(&scores.iter().map(|&s| s.into()).collect::<Vec<_>>(), golden.values("scores"), 1e-7);
            let exact: Vec<f64> = x
                .rows()
                .flat_map(|row| {
                    (0..x.n_cols()).map(|j| row.iter().map(|&i| model.weights[i as usize * x.n_cols() + j]).sum())
                })
                .collect();
            close(&exact, golden.values("scores"), 1e-9);
            // f32: n * eps * condition number (about 300 / lambda) leaves four digits at the smallest lambda.
            let penalty = EaseOptions { precision: Precision::F32, ..options }.penalty();
            let model = Ease::<f32>::fit(origin, penalty, &x, &FitRun::default(), Inverse::here()).unwrap();
            close(&model.weights.iter().map(|&w| w.into()).collect::<Vec<_>>(), golden.values("b"), 1e-4);
        }
    }

    /// Users that are far fewer than the items: the fit goes by users, and counting items gives the same weights but
    /// for rounding.
    #[test]
    fn few_users_give_the_weights_that_counts_of_pairs_give() {
        let (n_users, n) = (120, 1100);
        let mut random = crate::base::random::Stream::new(21, 0);
        let rows: Vec<Vec<u32>> = (0..n_users)
            .map(|_| (0..n).filter(|&item| random.below(u64::from(item) / 16 + 2) == 0).collect())
            .collect();
        let x = Csr::from_rows(&rows, n as usize).unwrap();
        assert!(seconds_of_way::<f32>(&FitShape::of(&x, false, 1)).1);
        let never = Cancel::default();
        let steps = Steps::silent(&never);
        let base = Penalty::new(4.0, Precision::F32);
        let penalties =
            [base, base.dropping(0.4), base.dropping(0.2).relaxed(0.3), base.dropping(0.2).weighing_kept(2.0)];
        for (number, penalty) in penalties.into_iter().enumerate() {
            let origin = || EaseOptions::default().origin();
            let by_users = Ease::<f32>::fit_here(origin(), penalty, &x, &FitRun::default()).unwrap();
            let products = |vectors: &Vectors| gram_products(&x, vectors);
            let exact = Ease::<f64>::from_gram(
                origin(),
                penalty,
                n as usize,
                || gram(&x, &steps),
                products,
                Inverse::here(),
                &steps,
            );
            // Each weight is a sum of at most 120 numbers in f32.
            let ours: Vec<f64> = by_users.weights.iter().map(|&weight| weight.into()).collect();
            close(&ours, &exact.unwrap().weights, 1e-6);
            assert!((0..n as usize).all(|item| ours[item * (n as usize + 1)] == 0.0), "{number}");
        }
        // What such a fit took says of one by items what the estimates say.
        let (few, options) = (FitShape::of(&x, false, 1), EaseOptions::default());
        let many = FitShape { users: 30_000, interactions: 900_000, data: None, ..few };
        assert!(!seconds_of_way::<f32>(&many).1);
        let [few, many] = [few, many].map(|shape| (work(&options, &shape), seconds(&options, &shape)));
        assert!(many.1 > 2.0 * few.1 && (many.0 / few.0 - many.1 / few.1).abs() < 1e-9, "{few:?}, {many:?}");
        // A lambda that f64 cannot tell from 0 beside equal users: as the way by items refuses it.
        let twins = Csr::from_rows(rows.iter().flat_map(|row| [row, row]), n as usize).unwrap();
        let options = EaseOptions { lambda: 1e-20, ..EaseOptions::default() };
        let refused =
            Ease::<f32>::fit_here(options.origin(), options.penalty(), &twins, &FitRun::default()).err().unwrap();
        assert!(refused.to_string().contains("the way out: a larger lambda"), "{refused}");
    }
}
