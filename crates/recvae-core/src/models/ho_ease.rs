//! Higher-order EASE^R: pairs of items speak besides the items.
//!
//! Let `Z` of shape `(n_users, n_pairs)` say which users have both items of a pair, for the pairs that most users have.
//! Scores are `x B + z C` with `z` the pairs of a history `x`, where `B` and `C` minimise
//!
//! ```text
//! ||X - X B - Z C||^2 + lambda ||B||^2 + pairLambda ||C||^2
//! ```
//!
//! with `B_jj = 0` and `C_kj = 0` where pair `k` holds item `j`: what holds an item says nothing of it. `B` has shape
//! `(n_items, n_items)` and `C` has `(n_pairs, n_items)`.
//!
//! With `W` for `B` above `C` and `P` for the inverse of `[X Z]' [X Z]` with lambda and pairLambda on its diagonal,
//! column `j` has the constraint `W_Jj = 0` with `J` the item and the pairs that hold it. The gradient is 0 off `J`
//! where `W_.j = e_j - P_.J v` for some `v`, and the constraint holds where `P_JJ v = e`, with `e` 1 at the item and 0
//! at its pairs: one inverse for all, and for each item as many equations as it has pairs. Without pairs it is EASE^R.
//!
//! The paper comes to the same by rounds of ADMM over `B`, over `C` and over its constraint, which take a parameter
//! more, and more time; after the 40 rounds that it takes they have not quite arrived.
//!
//! Source: Steck, Liang, "Negative Interactions for Improved Collaborative Filtering: Don't go Deeper, go Higher",
//! RecSys 2021.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::prelude::ReborrowMut;
use faer::{MatMut, Par};
use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;
use serde_json::Value;

use super::ease::{self, Precision};
use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
use crate::base::matrix::row_major;
use crate::base::memory::MemoryEstimate;
use crate::base::numbers::Numbers;
use crate::base::options::{Options, options};
use crate::base::steps::Steps;
use crate::evaluate::scorer::{Scorer, check_items, checked, checked_some};
use crate::math::costs;
use crate::math::csr::Csr;
use crate::math::linalg::{Inverse, add_gram, bytes_beside_inverse, gram, pairs_of_items, work_of_inverse};
use crate::math::real::Real;
use crate::math::residual::{Vectors, gram_products};
use crate::math::vectorised::multiply;
use crate::model::tensors::{missing, numbers};
use crate::model::{Fit, Model, ModelKind, NamedTensor, TensorSource};
use crate::split::parts::HeldOut;
use crate::train::fit_shape::FitShape;
use crate::train::run::FitRun;
use pairs::{Extended, Pairs};

mod pairs;

const WEIGHTS: &str = "weights";
const PAIRS: &str = "pairs";

options! {
    /// Options of the higher-order EASE^R.
    pub struct HoEaseOptions for "hoease" {
        /// Weight of the squared norm of B, in users, as of EASE^R. Larger for denser data; search it on validation.
        lambda: f64 = 500.0, Above(0.0), search = Search::Log { from: 0.5, to: 10000.0 };
        /// Weight of the squared norm of C, in users: pairs of fewer users than this hardly count.
        pair_lambda: f64 = 5000.0, Above(0.0), search = Search::Log { from: 5.0, to: 100_000.0 };
        /// How many pairs of items, those that most users have, of equals those of the items that come first; 0 for
        /// EASE^R. A fit takes 4 (items + pairs)^2 bytes beside the weights, and a time that grows with the cube of
        /// both together.
        pairs: usize = 1000, AtLeast(0.0);
        /// Floating point type of the factorisation; the weights are f32.
        precision: Precision = Precision::F32, Any;
    }
}

/// The higher-order EASE^R model.
struct HoEase {
    options: HoEaseOptions,
    pairs: Pairs,
    /// B and below it C, shape `(n_items + n_pairs, n_items)`, row-major.
    weights: Numbers<f32>,
}

pub(super) fn fit(
    options: &HoEaseOptions,
    train: &Csr,
    _validation: Option<&HeldOut>,
    run: &FitRun<'_>,
) -> Result<Fit> {
    let model = match options.precision {
        Precision::F32 => HoEase::fit::<f32>(options, train, run)?,
        Precision::F64 => HoEase::fit::<f64>(options, train, run)?,
    };
    Ok(Fit { model: Box::new(model), epochs: vec![] })
}

/// Items and pairs together; there are no more pairs than the items have.
fn size(options: &HoEaseOptions, items: f64) -> f64 {
    items + (options.pairs as f64).min(items * (items - 1.0).max(0.0) / 2.0)
}

/// What [`fit`] takes: the matrix of items and pairs with, one after the other, a block of users as they are counted,
/// the copies of the inversion, and the weights; before, the Gram matrix of the items with what [`gram`] needs.
pub(super) fn memory(options: &HoEaseOptions, shape: &FitShape<'_>) -> MemoryEstimate {
    let [users, items, interactions] = shape.counts();
    let bytes = options.precision.bytes();
    let size = size(options, items);
    let (matrix, weights) = (bytes * size * size, 4.0 * size * items);
    let copies = bytes_beside_inverse(size as usize, bytes as usize) as f64;
    let counting = bytes * items * items + 4.0 * interactions + 8.0 * items + 4.0 * users * shape.threads as f64;
    let beside = weights.max(copies).max(counting - matrix);
    let parts = [("its matrix of items and pairs", matrix), ("the weights, or what comes before them", beside)];
    MemoryEstimate::new(weights, &parts, "fewer pairs (--set pairs=…)")
}

/// What the seconds of [`fit`] grow with.
pub(super) const LAW: &str = "(items + pairs)^3 + interactions^2 / users";

/// [`LAW`] as a number.
pub(super) fn work(options: &HoEaseOptions, shape: &FitShape<'_>) -> f64 {
    let [users, items, interactions] = shape.counts();
    size(options, items).powi(3) + interactions * interactions / users.max(1.0)
}

/// Seconds of [`fit`] on one core. How many pairs a user has, the shape does not tell: items of frequent pairs are
/// taken to have `POPULAR` times the mean of users, and a pair as many as its items have at random of those who have
/// one.
pub(super) fn seconds(options: &HoEaseOptions, shape: &FitShape<'_>) -> f64 {
    const POPULAR: f64 = 5.0;
    let [users, items, interactions] = shape.counts().map(|count| count.max(1.0));
    let size = size(options, items);
    let length = interactions / users;
    let of_pairs = (size - items) * (POPULAR * length / items).min(0.5);
    let places = shape.squares() * (1.0 + (1.0 + of_pairs / length).powi(2)) / 2.0;
    let inverse = match options.precision {
        Precision::F32 => work_of_inverse::<f32>(size as usize),
        Precision::F64 => work_of_inverse::<f64>(size as usize),
    };
    costs::PAIR * places + costs::ENTRY * size * (size + items) + inverse
}

/// The most pairs below those of `options` with which it fits, in steps of a twentieth.
pub(super) fn smaller(
    options: &HoEaseOptions,
    _shape: &FitShape<'_>,
    fits: impl Fn(&HoEaseOptions) -> bool,
) -> Option<HoEaseOptions> {
    let with = |twentieths: usize| HoEaseOptions { pairs: options.pairs / 20 * twentieths, ..options.clone() };
    (0..20).rev().map(with).find(fits)
}

impl HoEase {
    fn fit<T: Real>(options: &HoEaseOptions, train: &Csr, run: &FitRun<'_>) -> Result<Self> {
        for (name, lambda) in [("lambda", options.lambda), ("pairLambda", options.pair_lambda)] {
            ease::check_largest(name, lambda, options.precision)?;
        }
        let n_items = train.n_cols();
        let counted = costs::PAIR * pairs_of_items(train).iter().sum::<u64>() as f64;
        let rest = |size: usize| work_of_inverse::<T>(size) + costs::ENTRY * (size * (size + n_items)) as f64;
        let steps = run.steps(2.0 * counted + rest(size(options, n_items as f64) as usize));
        let pairs = {
            let gram = gram::<T>(train, &steps)?;
            Pairs::most_frequent(gram.view2((n_items, n_items)), options.pairs)?
        };
        let size = n_items + pairs.len();
        let extended = Extended::new(train, &pairs, bytes_beside_inverse(size, size_of::<T>()));
        steps.left(costs::PAIR * extended.squares / 2.0 + rest(size));
        let mut matrix = Numbers::<T>::zeros(size * size);
        extended.blocks().try_for_each(|block| add_gram(&block?, &mut matrix, &steps))?;
        let mut penalties = vec![options.lambda; n_items];
        penalties.resize(size, options.pair_lambda);
        let mut view = matrix.view2_mut((size, size));
        view.diag_mut().iter_mut().zip(&penalties).for_each(|(entry, &penalty)| *entry += T::from_f64(penalty));
        let of = ease::Singular { title: "higher-order EASE^R", lambda: options.lambda, precision: options.precision };
        ease::invert(view, &penalties, |vectors| products(&extended, vectors), &of, Inverse::here(), &steps)?;
        let weights = weights(matrix.view2((size, size)), &pairs, &steps)?;
        steps.end();
        Ok(Self { options: options.clone(), pairs, weights })
    }
}

/// `[X Z]' [X Z]` times vectors.
fn products(extended: &Extended<'_>, vectors: &Vectors) -> Result<Vectors> {
    let mut all: Vectors = std::array::from_fn(|at| vec![0.0; vectors[at].len()]);
    for block in extended.blocks() {
        for (all, block) in all.iter_mut().zip(gram_products(&block?, vectors)) {
            all.iter_mut().zip(block).for_each(|(all, product)| *all += product);
        }
    }
    Ok(all)
}

/// `-P_.J v` of all items, with zeros where the constraint has them.
fn weights<T: Real>(inverse: ArrayView2<'_, T>, pairs: &Pairs, steps: &Steps<'_>) -> Result<Numbers<f32>> {
    let (n_items, size) = (pairs.n_items(), inverse.nrows());
    let solutions = solutions(inverse, pairs, steps)?;
    let own: Vec<T> = solutions.iter().map(|solution| T::from_f64(-solution[0])).collect();
    // What each pair's column is multiplied by for either of its items, whose pairs come in ascending order.
    let mut next = vec![1; n_items];
    let mut of_pair = |item: u32| {
        let at = &mut next[item as usize];
        *at += 1;
        T::from_f64(-solutions[item as usize][*at - 1])
    };
    let of_pairs: Vec<[T; 2]> = pairs.items().iter().map(|pair| pair.map(&mut of_pair)).collect();
    let mut weights = Numbers::<f32>::zeros(size * n_items);
    let rows = row_major(inverse).par_chunks_exact(size);
    weights.par_chunks_exact_mut(n_items).zip(rows).enumerate().try_for_each_init(
        || vec![T::ZERO; n_items],
        |sums, (row, (weights, inverse))| {
            steps.check()?;
            let (of_items, inverse) = inverse.split_at(n_items);
            sums.copy_from_slice(of_items);
            multiply(sums, &own);
            for ((&entry, factors), items) in inverse.iter().zip(&of_pairs).zip(pairs.items()) {
                for (&factor, &item) in factors.iter().zip(items) {
                    sums[item as usize] += entry * factor;
                }
            }
            match row.checked_sub(n_items) {
                None => sums[row] = T::ZERO,
                Some(pair) => pairs.items()[pair].iter().for_each(|&item| sums[item as usize] = T::ZERO),
            }
            weights.iter_mut().zip(&*sums).for_each(|(weight, sum)| *weight = sum.to_f64() as f32);
            steps.did(costs::ENTRY * n_items as f64);
            Ok(())
        },
    )?;
    Ok(weights)
}

/// `v` with `P_JJ v = e` of each item, first of the item itself and then of the pairs that hold it.
fn solutions<T: Real>(inverse: ArrayView2<'_, T>, pairs: &Pairs, steps: &Steps<'_>) -> Result<Vec<Vec<f64>>> {
    let n_items = pairs.n_items();
    let holding: Vec<(u32, u32)> =
        (0..).zip(pairs.items()).flat_map(|(pair, items)| items.map(|item| (item, pair))).collect();
    let holding = Csr::from_pairs(n_items, pairs.len(), &holding);
    // What the entries of the inverse took is told here, a share with each item.
    let told = costs::ENTRY * (inverse.len() / n_items) as f64;
    let solve = |item: usize| {
        steps.check()?;
        let mut members = vec![item];
        members.extend(holding.row(item).iter().map(|&pair| n_items + pair as usize));
        let n = members.len();
        let entry = |at: usize| inverse[(members[at / n], members[at % n])].to_f64();
        let mut matrix: Vec<f64> = (0..n * n).map(entry).collect();
        let mut solution = vec![0.0; n];
        solution[0] = 1.0;
        let mut matrix = MatMut::from_column_major_slice_mut(&mut matrix, n, n);
        let params = Default::default();
        let mut stack = MemBuffer::new(llt::factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, params));
        let stack = MemStack::new(&mut stack);
        llt::factor::cholesky_in_place(matrix.rb_mut(), Default::default(), Par::Seq, stack, params).map_err(|_| {
            let text = "higher-order EASE^R: rounding leaves no weights of pairs that item";
            Error::Numerical(format!("{text} {item} is in; the way out: a larger pairLambda, or fewer pairs"))
        })?;
        let right = MatMut::from_column_major_slice_mut(&mut solution, n, 1);
        llt::solve::solve_in_place(matrix.as_ref(), right, Par::Seq, MemStack::new(&mut []));
        steps.did(told);
        Ok(solution)
    };
    (0..n_items).into_par_iter().map(solve).collect()
}

pub(super) fn load(options: &HoEaseOptions, n_items: usize, tensors: &dyn TensorSource) -> Result<Box<dyn Model>> {
    let stored = tensors.find(PAIRS).ok_or_else(|| missing(PAIRS))?;
    let n_pairs = stored.shape.first().copied().unwrap_or_default();
    let pairs = Pairs::new(numbers(tensors, PAIRS, &[n_pairs, 2])?, n_items)?;
    let weights = numbers(tensors, WEIGHTS, &[n_items.saturating_add(n_pairs), n_items])?;
    Ok(Box::new(HoEase { options: options.clone(), pairs, weights }))
}

impl Scorer for HoEase {
    fn n_items(&self) -> usize {
        self.pairs.n_items()
    }

    fn score(&self, histories: &[&[u32]], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        let n_items = self.n_items();
        let scores = checked(histories, n_items, scores)?;
        scores.par_chunks_mut(n_items).zip(histories).for_each(|(scores, history)| {
            let rows = self.pairs.with_pairs(history);
            let bytes = rows.len() * n_items * size_of::<f32>();
            ease::score_one(scores, bytes, |first, sums| ease::piece(&self.weights, n_items, &rows, first, sums));
        });
        Ok(())
    }

    /// Bit by bit what `score` gives: the numbers are added in the same order.
    fn score_some(&self, histories: &[&[u32]], items: &[u32], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        let n_items = self.n_items();
        let scores = checked_some(histories, items, n_items, scores)?;
        scores.par_chunks_mut(items.len().max(1)).zip(histories).for_each(|(scores, history)| {
            let rows = self.pairs.with_pairs(history);
            ease::score_one_at(&self.weights, |weight| weight, n_items, &rows, items, scores);
        });
        Ok(())
    }
}

impl Model for HoEase {
    fn kind(&self) -> ModelKind {
        ModelKind::HoEase
    }

    fn options(&self) -> Value {
        self.options.to_json()
    }

    fn tensors(&self) -> Result<Vec<NamedTensor<'_>>> {
        let (n_items, n_pairs) = (self.n_items(), self.pairs.len());
        Ok(vec![
            NamedTensor::new(PAIRS, &[n_pairs, 2], self.pairs.numbers()),
            NamedTensor::new(WEIGHTS, &[n_items + n_pairs, n_items], &self.weights[..]),
        ])
    }

    fn similarities(&self, item: u32, items: &[u32]) -> Result<Vec<f32>> {
        ease::scores_of_one(self, item, items)
    }

    /// What a pair says is shared by its items, in halves: each has as much part in it.
    fn contributions(&self, history: &[u32], item: u32, _: &Cancel) -> Result<Vec<f64>> {
        check_items(history.iter().chain([&item]), self.n_items())?;
        let weight = |row: usize| f64::from(self.weights[row * self.n_items() + item as usize]);
        let mut contributions: Vec<f64> = history.iter().map(|&from| weight(from as usize)).collect();
        self.pairs.of(history, |pair| {
            for one in self.pairs.items()[pair] {
                let at = history.partition_point(|&other| other < one);
                contributions[at] += weight(self.n_items() + pair) / 2.0;
            }
        });
        Ok(contributions)
    }
}

#[cfg(test)]
mod tests;
