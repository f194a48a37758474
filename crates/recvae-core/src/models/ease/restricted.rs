//! EASE^R for catalogues whose matrix of items x items is too large: B has weights for a share of the pairs, `density`,
//! and is computed for these exactly.
//!
//! Column `j` of B is what the others say about item `j`. In `||X - X B||^2 + lambda ||B||^2` it stands in
//!
//! ```text
//! |x_j - X b_j|^2 + lambda |b_j|^2
//! ```
//!
//! alone, `x_j` being column `j` of X, so columns are independent of each other. Where `b_j` may differ from 0 on the
//! items `N` only, which [`choose`] gives, `X b_j` is `X_N b` with `b` the numbers there. The gradient of that convex
//! function is `2 (G_NN + lambda I) b - 2 G_Nj` with `G = X' X`, and it is 0 at
//!
//! ```text
//! b = (G_NN + lambda I)^-1 G_Nj
//! ```
//!
//! So this is the minimum of EASE^R's own loss under that restriction, and EASE^R itself where `N` are all others.
//! `G_NN` is exact, counted for each item anew from the users of `N`, and positive semidefinite therefore, whatever `N`
//! is: with lambda there is a Cholesky factor. Nothing is approximated but the choice of `N`, and no matrix of items x
//! items is held.
//!
//! EDLAE's column has `G_NN + p / (1 - p) diag(G_NN) + lambda I` instead, by the same reasoning, and the columns of
//! RDLAE and DEQL are multiples of it as they are where `N` are all others; see `penalty.rs`.
//!
//! For item `j`, counting costs a step for each user of `N` and one for each pair of `N` that a user has, the factor
//! `|N|^3 / 3` operations.
//!
//! Source: Steck, "Markov Random Fields for Collaborative Filtering", NeurIPS 2019, section 3.2, arXiv 1910.09645,
//! where one factor may serve several items (there `r`; here 0) and X is centred (here it is EASE^R's). Another way
//! there is a sparse approximate inverse: Spisak et al., "Scalable Approximate NonSymmetric Autoencoder for
//! Collaborative Filtering" (SANSA), RecSys 2023.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::prelude::ReborrowMut;
use faer::{MatMut, MatRef, Par};
use rayon::prelude::*;

use super::sparse::SparseEase;
use super::support::{BUCKETS_BYTES, Support, bytes_of_thread, choose, most_of_item, pairs, sample};
use super::{Origin, Penalty, Precision, check_largest};
use crate::base::error::{Error, Result};
use crate::base::memory::MemoryEstimate;
use crate::base::numbers::Numbers;
use crate::base::random::Stream;
use crate::base::steps::Steps;
use crate::math::costs;
use crate::math::csr::Csr;
use crate::math::linalg::stretches_of_work;
use crate::math::real::Real;
use crate::math::residual::TOLERANCE;
use crate::math::vectorised::vectorised;
use crate::train::fit_shape::FitShape;
use crate::train::run::FitRun;

pub(super) fn fit(origin: Origin, penalty: Penalty, density: f64, train: &Csr, run: &FitRun<'_>) -> Result<SparseEase> {
    // There is no inverse here, whose numbers are the first to vanish.
    check_largest("lambda", penalty.lambda(), Precision::F64)?;
    let steps = run.steps(seconds(density, &FitShape::of(train, false, 1)));
    let users_of = train.transpose();
    let supports = choose(train, &users_of, density, &steps)?;
    let weights = match penalty.precision() {
        Precision::F32 => solve::<f32>(&origin, penalty, &users_of, &supports, &steps)?,
        Precision::F64 => solve::<f64>(&origin, penalty, &users_of, &supports, &steps)?,
    };
    drop(users_of);
    steps.check()?;
    let model = SparseEase::from_columns(origin, &supports, &weights);
    steps.end();
    Ok(model)
}

/// What [`fit`] takes: items and weights of the chosen pairs, by the item that is spoken of and then once more by the
/// one that speaks; the transposed data; for each thread a row of counts with the closeness of its items, then the
/// equations of an item and the users who are counted into them.
pub(super) fn memory(precision: Precision, density: f64, shape: &FitShape<'_>) -> MemoryEstimate {
    let chosen = chosen_bytes(density, shape);
    let chosen_pairs = ("the chosen pairs of items and their weights", chosen);
    let parts = [chosen_pairs, transposed(shape), beside(precision, density, shape)];
    MemoryEstimate::new(chosen / 2.0, &parts, "").with_smaller(smaller(precision, density, shape))
}

/// What the seconds of [`fit`] grow with: the counting of pairs, and for each item its equations.
pub(super) fn work(density: f64, shape: &FitShape<'_>) -> f64 {
    let [users, items, interactions] = shape.counts();
    let support = pairs(density, items) / items.max(1.0);
    interactions * interactions / users.max(1.0) + 4.0 * support * interactions + items * support.powi(3) / 8.0
}

/// Seconds of [`fit`] on one core.
pub(super) fn seconds(density: f64, shape: &FitShape<'_>) -> f64 {
    let of_items = match shape.data {
        Some(train) => seconds_of_sample(density, train),
        None => seconds_of_usual_items(density, shape),
    };
    2.0 * costs::CLOSE_PAIR * shape.squares() + of_items
}

/// Those of the items' equations, by the supports of some of them.
fn seconds_of_sample(density: f64, train: &Csr) -> f64 {
    /// Items that are looked at: their times differ smoothly with their users, so that a fifth more or less is to be
    /// expected.
    const ITEMS: usize = 128;
    let users = train.n_rows() as f64;
    let work = |it: Support| it.stands_for * work_of_equations(it.others as f64, it.users as f64, users);
    costs::SUPPORT * sample(train, density, ITEMS).into_iter().map(work).sum::<f64>()
}

/// What an item with so many others takes, who have so many users together, in units of [`work_of_item`]: their users
/// are taken to have them independently of each other.
fn work_of_equations(others: f64, of_users: f64, users: f64) -> f64 {
    work_of_others(others) + 4.0 * of_users + 2.0 * of_users * of_users / users.max(1.0)
}

/// The share of that which grows with the others alone: the factor, its check and solutions, and what any item takes.
fn work_of_others(others: f64) -> f64 {
    /// From here on an operation of the factor takes less: it is one of products of large blocks.
    const LARGE: f64 = 600.0;
    if others == 0.0 { 0.0 } else { others.powi(3) / (8.0 + 8.0 * others / LARGE) + 20.0 * others.powi(2) + 25_000.0 }
}

/// The same as far as the shape tells. Real supports are uneven: some items have as many as they may and the others
/// hardly any; what is close to many is popular, with `POPULAR` times the mean of users, up to `HEAD` of all
/// interactions; and where data are sparse, an item has no more others than its users have had, `DISTINCT` of them
/// apart.
fn seconds_of_usual_items(density: f64, shape: &FitShape<'_>) -> f64 {
    const POPULAR: f64 = 5.0;
    const HEAD: f64 = 0.6;
    const DISTINCT: f64 = 0.75;
    let [users, items, interactions] = shape.counts().map(|count| count.max(1.0));
    let others = DISTINCT * interactions * interactions / users / items;
    let mean = (pairs(density, items) / items).min(others);
    let most = most_of_item(density, items).min(others).max(1.0);
    let of_users = (POPULAR * most * interactions / items).min(HEAD * interactions);
    costs::SUPPORT * items * (mean / most).min(1.0) * work_of_equations(most, of_users, users)
}

fn chosen_bytes(density: f64, shape: &FitShape<'_>) -> f64 {
    let [_, items, _] = shape.counts();
    16.0 * pairs(density, items) + 16.0 * items
}

fn transposed(shape: &FitShape<'_>) -> (&'static str, f64) {
    let [_, items, interactions] = shape.counts();
    ("the transposed data", 4.0 * interactions + 8.0 * items)
}

fn beside(precision: Precision, density: f64, shape: &FitShape<'_>) -> (&'static str, f64) {
    let [_, items, _] = shape.counts();
    let size = precision.bytes();
    let most = most_of_item(density, items) + 1.0;
    let equations = (4.0 + size) * most * most + 4.0 * (LISTS as f64).max(most * LEAST_USERS as f64);
    let counting = bytes_of_thread(items);
    let of_threads = BUCKETS_BYTES + shape.threads as f64 * equations.max(counting);
    ("the equations of an item for each thread", of_threads)
}

/// The most others that an item is computed from in the mean where nobody asked for more: none that would take hours.
const MEAN: f64 = 500.0;

/// Densities of two digits below `density`, the largest first, as in [`smaller`] between one item for each and
/// [`MEAN`].
pub(in crate::models) fn densities_below(density: f64, shape: &FitShape<'_>) -> impl Iterator<Item = f64> {
    let items = shape.items as f64;
    let all = (2..).flat_map(|power| (10..100).rev().map(move |digits| digits as f64 / 10f64.powi(power)));
    all.skip_while(move |&step| step >= density || step * items > MEAN).take_while(move |step| step * items >= 1.0)
}

/// Smaller densities and what a fit takes at each, the largest first: down to one item for each, and up to [`MEAN`].
pub(super) fn smaller(precision: Precision, density: f64, shape: &FitShape<'_>) -> Vec<(String, u64)> {
    let items = shape.items as f64;
    let steps = (1..).flat_map(|power| [1.0, 0.5, 0.2].map(|step| step * 10f64.powi(-power)));
    let densities = steps.take_while(|step| step * items >= 1.0);
    let fitting = densities.filter(|&step| step < density && step * items <= MEAN);
    let of = |density: f64| {
        let density: f64 = format!("{density:.12}").parse().unwrap_or(density);
        let parts = [("", chosen_bytes(density, shape)), transposed(shape), beside(precision, density, shape)];
        let text = format!("density {density} (--set density={density}: weights for that share of the pairs of items)");
        (text, MemoryEstimate::new(0.0, &parts, "").fit())
    };
    fitting.map(of).collect()
}

/// The weights of `supports`, in its order.
fn solve<T: Real>(
    origin: &Origin,
    penalty: Penalty,
    users_of: &Csr,
    supports: &Csr,
    steps: &Steps<'_>,
) -> Result<Numbers<f32>> {
    let work: Vec<u64> = supports.rows().map(|support| work_of_item(support, users_of)).collect();
    let told = |work: u64| costs::SUPPORT * work as f64;
    steps.left(told(work.iter().sum()));
    let mut weights = Numbers::zeros(supports.nnz());
    let mut rest = &mut weights[..];
    let mut stretches = vec![];
    for items in stretches_of_work(&work, 16 * rayon::current_num_threads()) {
        let (of_stretch, others) = rest.split_at_mut(supports.indptr()[items.end] - supports.indptr()[items.start]);
        rest = others;
        stretches.push((items, of_stretch));
    }
    stretches.into_par_iter().try_for_each(|(items, mut weights)| {
        let mut equations = Equations::<T>::new(users_of);
        for item in items {
            steps.check()?;
            let support = supports.row(item);
            let (of_item, others) = weights.split_at_mut(support.len());
            weights = others;
            equations.solve(origin, penalty, item, support, of_item)?;
            steps.did(told(work[item]));
        }
        Ok::<_, Error>(())
    })?;
    Ok(weights)
}

/// What an item's equations cost: its support's users and their pairs are counted, and there is a factor.
fn work_of_item(support: &[u32], users_of: &Csr) -> u64 {
    let users: u64 = support.iter().map(|&item| users_of.row(item as usize).len() as u64).sum();
    1 + 4 * users + work_of_others(support.len() as f64) as u64
}

/// Places for the items of users who are counted together: they stay in the cache.
const LISTS: usize = 1 << 20;
/// As many users are counted together at least.
const LEAST_USERS: usize = 64;
/// And at most.
const MOST_USERS: usize = 1 << 14;

/// The equations of one item after the other.
struct Equations<'a, T> {
    users_of: &'a Csr,
    /// The support and at its end the item itself.
    members: Vec<u32>,
    /// How many of each member's users are counted already.
    places: Vec<usize>,
    /// Which members each user of a block has, with room for all of them, and how many.
    lists: Vec<u32>,
    lengths: Vec<u32>,
    /// Users of the block who have a member.
    present: Vec<u32>,
    /// How many users have both of two members, shape `(members, members)`; right of the diagonal alone.
    counts: Vec<u32>,
    /// `G_NN` and the penalty on its diagonal, then its factor; column by column for faer, left of the diagonal alone.
    matrix: Vec<T>,
    right: Vec<T>,
}

impl<'a, T: Real> Equations<'a, T> {
    fn new(users_of: &'a Csr) -> Self {
        let lengths = vec![0; MOST_USERS.min(users_of.n_cols())];
        let (members, places, lists, present, counts) = (vec![], vec![], vec![], vec![], vec![]);
        Self { users_of, members, places, lists, lengths, present, counts, matrix: vec![], right: vec![] }
    }

    /// `(G_NN + lambda I)^-1 G_Nj` with `N` the support of item `j`; of the other models as their penalty says.
    fn solve(
        &mut self,
        origin: &Origin,
        penalty: Penalty,
        item: usize,
        support: &[u32],
        weights: &mut [f32],
    ) -> Result<()> {
        if support.is_empty() {
            return Ok(());
        }
        self.members.clear();
        self.members.extend(support);
        self.members.push(item as u32);
        self.count();
        let (n, lambda, share) = (support.len(), T::from_f64(penalty.lambda()), T::from_f64(penalty.share()));
        let number = |count: u32| T::from_f64(f64::from(count));
        self.matrix.resize(self.matrix.len().max(n * n), T::ZERO);
        self.right.clear();
        let matrix = &mut self.matrix[..n * n];
        for (column, (counts, numbers)) in self.counts.chunks_exact(n + 1).zip(matrix.chunks_exact_mut(n)).enumerate() {
            numbers[column..].iter_mut().zip(&counts[column..n]).for_each(|(to, &count)| *to = number(count));
            numbers[column] += number(counts[column]) * share + lambda;
            self.right.push(number(counts[n]));
        }
        let mut matrix = MatMut::from_column_major_slice_mut(matrix, n, n);
        let params = Default::default();
        let mut stack = MemBuffer::new(llt::factor::cholesky_in_place_scratch::<T>(n, Par::Seq, params));
        let stack = MemStack::new(&mut stack);
        let factor = llt::factor::cholesky_in_place(matrix.rb_mut(), Default::default(), Par::Seq, stack, params);
        factor.map_err(|llt::factor::LltError::NonPositivePivot { index }| {
            let word = penalty.precision().word();
            Error::Numerical(format!(
                "{}: the Gram matrix of the {n} items that item {item} is computed from, plus lambda = {:?} on its \
                 diagonal, is not positive definite in {word} (pivot {index}); the way out: {}",
                origin.title,
                penalty.lambda(),
                penalty.precision().way_out(),
            ))
        })?;
        let right = MatMut::from_column_major_slice_mut(&mut self.right, n, 1);
        llt::solve::solve_in_place(matrix.as_ref(), right, Par::Seq, MemStack::new(&mut []));
        weights.iter_mut().zip(&self.right).for_each(|(weight, number)| *weight = number.to_f64() as f32);
        let error = self.error(penalty, weights);
        if error.is_nan() || error > TOLERANCE {
            return Err(Error::Numerical(format!(
                "{}: with lambda = {:?} the weights that item {item} is computed from are off by {:.0} % in {}, since the Gram \
                 matrix of these {n} items plus lambda on its diagonal is too close to a singular one; allowed: {:.0} %; the \
                 way out: {}",
                origin.title,
                penalty.lambda(),
                100.0 * error,
                penalty.precision().word(),
                100.0 * TOLERANCE,
                penalty.precision().way_out(),
            )));
        }
        self.scale(penalty, weights);
        Ok(())
    }

    /// Gives the weights the length that the penalty's diagonal lets them have.
    fn scale(&self, penalty: Penalty, weights: &mut [f32]) {
        let n = weights.len();
        let shared = self.counts.chunks_exact(n + 1).map(|counts| f64::from(counts[n]));
        let explained: f64 = shared.zip(&*weights).map(|(count, &weight)| count * f64::from(weight)).sum();
        let count = f64::from(self.counts[n * (n + 2)]);
        let scale = penalty.scale(count, count + penalty.on_diagonal(count) - explained);
        weights.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * scale) as f32);
    }

    /// How far what the factor solves is off, as a share of the largest number: the weights, and the solution for
    /// random numbers, which see every direction. That of the weights does not see the one in which twins differ, since
    /// both have the same users in common with the item. Takes a few times `n^2` products, where the factor took
    /// `n^3 / 6`. Where the factor is good enough, weights that are off are refined.
    fn error(&mut self, penalty: Penalty, weights: &mut [f32]) -> f64 {
        /// Up to here the factor is right enough in every direction for the error of the weights to be seen, and to
        /// shrink.
        const UNSEEN: f64 = 0.3;
        const STEPS: usize = 4;
        let n = weights.len();
        let mut random = Stream::new(1, 0);
        let probe: Vec<f64> = (0..n).map(|_| random.normal()).collect();
        self.substitute(&probe);
        let solved: Vec<f64> = self.right.iter().map(|number| number.to_f64()).collect();
        let of_random = self.correction(penalty, &solved, probe);
        if of_random.is_nan() || of_random > UNSEEN {
            return of_random;
        }
        let right: Vec<f64> = self.counts.chunks_exact(n + 1).take(n).map(|counts| f64::from(counts[n])).collect();
        for step in 0.. {
            let numbers: Vec<f64> = weights.iter().map(|&weight| weight.into()).collect();
            let error = self.correction(penalty, &numbers, right.clone());
            if error.is_nan() || error <= TOLERANCE || step == STEPS {
                return error;
            }
            let corrected = weights.iter_mut().zip(numbers).zip(&self.right);
            corrected.for_each(|((weight, number), correction)| *weight = (number + correction.to_f64()) as f32);
        }
        f64::NAN
    }

    /// What a step of iterative refinement would add to a solution, as a share of its largest number: the residual is
    /// computed in f64, the correction by the factor.
    fn correction(&mut self, penalty: Penalty, solution: &[f64], mut residual: Vec<f64>) -> f64 {
        let n = solution.len();
        for (row, counts) in self.counts.chunks_exact(n + 1).take(n).enumerate() {
            let (own, others) = residual[row..].split_at_mut(1);
            let product = product_of_row(&counts[row + 1..n], &solution[row + 1..], solution[row], others);
            let count = f64::from(counts[row]);
            own[0] -= (count + penalty.on_diagonal(count)) * solution[row] + product;
        }
        self.substitute(&residual);
        let larger = |most: f64, number: f64| if number.is_nan() || number > most { number } else { most };
        let correction = self.right.iter().map(|number| number.to_f64().abs()).fold(0.0, larger);
        let largest = solution.iter().map(|number| number.abs()).fold(0.0, larger);
        if correction == 0.0 { 0.0 } else { correction / largest }
    }

    /// Solves for numbers by the factor, into `right`.
    fn substitute(&mut self, numbers: &[f64]) {
        let n = numbers.len();
        self.right.clear();
        self.right.extend(numbers.iter().map(|&number| T::from_f64(number)));
        let factor = MatRef::from_column_major_slice(&self.matrix[..n * n], n, n);
        let right = MatMut::from_column_major_slice_mut(&mut self.right, n, 1);
        llt::solve::solve_in_place(factor, right, Par::Seq, MemStack::new(&mut []));
    }

    /// Counts who has two of the members, a block of users at a time.
    fn count(&mut self) {
        let Self { users_of, members, places, lists, lengths, present, counts, .. } = self;
        let (n, n_users) = (members.len(), users_of.n_cols());
        let block = (LISTS / n).clamp(LEAST_USERS, MOST_USERS);
        lists.resize(lists.len().max(n * block.min(n_users)), 0);
        counts.clear();
        counts.resize(n * n, 0);
        places.clear();
        places.resize(n, 0);
        for first in (0..n_users).step_by(block) {
            present.clear();
            for (at, (&member, place)) in (0u32..).zip(members.iter().zip(places.iter_mut())) {
                for &user in &users_of.row(member as usize)[*place..] {
                    let in_block = user as usize - first;
                    if in_block >= block {
                        break;
                    }
                    let length = &mut lengths[in_block];
                    if *length == 0 {
                        present.push(in_block as u32);
                    }
                    lists[in_block * n + *length as usize] = at;
                    *length += 1;
                    *place += 1;
                }
            }
            for &user in &*present {
                let length = std::mem::take(&mut lengths[user as usize]) as usize;
                let mut list = &lists[user as usize * n..][..length];
                while let [one, rest @ ..] = list {
                    let counts = &mut counts[*one as usize * n..][..n];
                    list.iter().for_each(|&other| counts[other as usize] += 1);
                    list = rest;
                }
            }
        }
    }
}

vectorised! {
    /// The product of a row of counts with weights, in lanes; takes the row times `weight` off `rest`.
    fn product_of_row(counts: &[u32], weights: &[f64], weight: f64, rest: &mut [T]) -> f64 {
        let mut lanes = [0f64; 8];
        let ((counts, counts_rest), (weights, weights_rest)) = (counts.as_chunks::<8>(), weights.as_chunks::<8>());
        let (rest, last) = rest.as_chunks_mut::<8>();
        for ((counts, weights), rest) in counts.iter().zip(weights).zip(rest) {
            for (((lane, &count), &other), rest) in lanes.iter_mut().zip(counts).zip(weights).zip(rest) {
                *lane += f64::from(count) * other;
                *rest -= T::from_f64(f64::from(count) * weight);
            }
        }
        for (((lane, &count), &other), rest) in lanes.iter_mut().zip(counts_rest).zip(weights_rest).zip(last) {
            *lane += f64::from(count) * other;
            *rest -= T::from_f64(f64::from(count) * weight);
        }
        lanes.iter().sum()
    }
}

#[cfg(test)]
mod tests;
