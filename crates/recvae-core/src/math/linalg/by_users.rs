//! The inverse of a Gram matrix with numbers on its diagonal, by users instead of items where there are far fewer of
//! them.
//!
//! For `X` of shape `(n_users, n_items)` and a diagonal `D` above 0
//!
//! ```text
//! (X' X + D)^-1 = D^-1 - D^-1 X' K^-1 X D^-1    with    K = I + X D^-1 X'
//! ```
//!
//! so that what is inverted has shape `(n_users, n_users)`, and all else are sums over the users that an item has. `K`
//! and its inverse are f64: the diagonal is a difference of numbers that may be nearly equal. Off it nothing is
//! subtracted.
//!
//! The result is the inverse up to rounding, in other bits than the way by items; it does not depend on the number of
//! threads.
//!
//! Source: M. A. Woodbury, Inverting Modified Matrices, Statistical Research Group, Princeton 1950; W. W. Hager,
//! Updating the Inverse of a Matrix, SIAM Review 31(2), 1989.

use std::ops::Range;

use rayon::prelude::*;

use super::{NoInverse, invert_positive_definite, mirror_rows, seconds_of_inverse, work_of_inverse};
use crate::base::matrix::view2_mut;
use crate::base::numbers::Numbers;
use crate::base::steps::Steps;
use crate::math::costs;
use crate::math::csr::Csr;
use crate::math::real::Real;
use crate::math::vectorised::vectorised;

/// With fewer items a fit takes no time either way.
const LEAST_ITEMS: usize = 1024;
/// And with more users than this share of the items it would hardly be faster, and take a fourth of the memory more.
const MOST_USERS: f64 = 1.0 / 3.0;
/// How many times faster it has to be thought, as bits differ.
const FASTER: f64 = 1.5;

/// What decides how long it takes.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) users: f64,
    pub(crate) items: f64,
    pub(crate) interactions: f64,
    /// The squares of the items' numbers of users, added up.
    pub(crate) squares: f64,
}

impl Counts {
    /// Those of data with few users; nothing of others, for which no closer look is worth it.
    pub(crate) fn of_few(x: &Csr) -> Option<Self> {
        has_few_users(x.n_rows(), x.n_cols()).then(|| {
            let squares = x.column_counts().into_iter().map(|count| f64::from(count).powi(2)).sum();
            Self { users: x.n_rows() as f64, items: x.n_cols() as f64, interactions: x.nnz() as f64, squares }
        })
    }

    /// Seconds of [`inverse_by_users`] on one core.
    fn seconds<T: Real>(self) -> f64 {
        let Self { users, items, interactions, squares } = self;
        work_of_inverse::<f64>(users as usize) + 2.0 * costs::PAIR * squares + sums::<T>(users, items, interactions)
    }
}

/// Whether there are so few users that it may be worth a closer look.
pub(crate) fn has_few_users(users: usize, items: usize) -> bool {
    items >= LEAST_ITEMS && users > 0 && users as f64 <= MOST_USERS * items as f64
}

/// Seconds of the faster way to an inverse of so many items on one core, and whether that is by users: `few` are there
/// if it may be. By items it takes a Gram matrix, too; `data` are known or not, and their users' squares add up to
/// `squares`.
pub(crate) fn seconds_of_way<T: Real>(
    items: usize,
    few: Option<Counts>,
    data: Option<&Csr>,
    squares: f64,
) -> (f64, bool) {
    let by_items = costs::PAIR * squares / 2.0 + seconds_of_inverse::<T>(items, data, squares);
    let by_users = few.map(Counts::seconds::<T>).filter(|seconds| FASTER * seconds < work_of_inverse::<T>(items));
    match by_users {
        Some(by_users) if FASTER * by_users < by_items => (by_users, true),
        _ => (by_items, false),
    }
}

/// Seconds of the sums over users: of rows of `K^-1`, and of what these make.
fn sums<T: Real>(users: f64, items: f64, interactions: f64) -> f64 {
    interactions * (users * 2.0 + items / 2.0) * costs::NUMBER * size_of::<T>() as f64 / 4.0
}

/// Bytes beside the inverse itself, at most: `K` with what inverting it takes, the transposed data, and sums.
pub(crate) fn bytes_beside(users: usize, items: usize, interactions: usize, bytes: usize) -> usize {
    let (squared, inverting) = (8 * users * users, super::bytes_beside_inverse(users, 8));
    squared + inverting.max(bytes * STRIDE * users) + 4 * interactions + 8 * (users + 4 * items)
}

/// Columns whose sums of `K^-1` are there at a time.
const COLUMNS: usize = 1024;
/// Where they are for one user after those for another: not at the same place of a page, which caches would put in the
/// same place.
const STRIDE: usize = COLUMNS + 16;
/// Columns that are added up together, in registers.
const TOGETHER: usize = 32;
/// Users of `K^-1` that are added up together: what a task reads of it stays in the second-level cache.
const USERS: usize = 16;
/// Rows of the inverse of one task.
const ROWS: usize = 256;

/// The inverse, of shape `(n_items, n_items)`, of the Gram matrix of `x` with `penalties` on its diagonal: both
/// triangles.
///
/// # Errors
/// The index of an item whose number on the diagonal is not above 0, or of a user for whom `K` has no inverse in f64;
/// or that it was stopped.
pub(crate) fn inverse_by_users<T: Real>(
    x: &Csr,
    penalties: &[f64],
    steps: &Steps<'_>,
) -> Result<Numbers<T>, NoInverse> {
    let (n_users, n) = (x.n_rows(), x.n_cols());
    let users_of = x.transpose();
    let shares: Vec<f64> = penalties.iter().map(|penalty| 1.0 / penalty).collect();
    let mut inner = inner(x, &users_of, &shares, steps)?;
    invert_positive_definite(view2_mut(&mut inner, (n_users, n_users)), steps)?;
    let inner = Inner { inverse: &inner, users_of: &users_of, n_users };

    let mut inverse = Numbers::<T>::zeros(n * n);
    let mut sums_of_users = Numbers::<T>::zeros(STRIDE * n_users);
    let of_column = sums::<T>(n_users as f64, n as f64, x.nnz() as f64) / n as f64;
    for first in (0..n).step_by(COLUMNS) {
        super::check(steps)?;
        let columns = first..n.min(first + COLUMNS);
        inner.put_sums(&mut sums_of_users, columns.clone(), &shares);
        let rows = &mut inverse[..columns.end * n];
        rows.par_chunks_mut(ROWS * n).enumerate().for_each(|(chunk, rows)| {
            for from in columns.clone().step_by(TOGETHER) {
                let to = columns.end.min(from + TOGETHER);
                for (item, row) in (chunk * ROWS..).zip(rows.chunks_exact_mut(n)).take_while(|(item, _)| *item < to) {
                    let mut sum = [T::ZERO; TOGETHER];
                    add_of_users(&mut sum, &sums_of_users[from - first..], users_of.row(item));
                    // Half-filled: what stands left of the diagonal is mirrored in the end.
                    let (from_here, share) = (from.max(item), T::from_f64(-shares[item]));
                    let out = row[from_here..to].iter_mut().zip(&sum[from_here - from..]);
                    out.for_each(|(out, &sum)| *out = sum * share);
                }
            }
        });
        steps.did(of_column * columns.len() as f64);
    }
    let diagonal: Vec<f64> = (0..n).into_par_iter().map(|item| inner.diagonal(item, &shares)).collect();
    for (item, entry) in diagonal.into_iter().enumerate() {
        let entry = T::from_f64(entry);
        if !(entry > T::ZERO && entry.is_finite()) {
            return Err(NoInverse::Pivot(item));
        }
        inverse[item * (n + 1)] = entry;
    }
    steps.did(costs::PAIR * squares(&users_of));
    mirror_rows(&mut inverse, 0, n);
    Ok(inverse)
}

fn squares(users_of: &Csr) -> f64 {
    users_of.rows().map(|users| (users.len() as f64).powi(2)).sum()
}

/// `K`, from the diagonal on.
fn inner(x: &Csr, users_of: &Csr, shares: &[f64], steps: &Steps<'_>) -> Result<Numbers<f64>, NoInverse> {
    let n_users = x.n_rows();
    let mut inner = Numbers::<f64>::zeros(n_users * n_users);
    let of_user = costs::PAIR * squares(users_of) / n_users as f64;
    let stopped = inner.par_chunks_mut(n_users).with_max_len(16).enumerate().try_for_each(|(user, row)| {
        super::check(steps)?;
        row[user] = 1.0;
        for &item in x.row(user) {
            let (others, share) = (users_of.row(item as usize), shares[item as usize]);
            let from = others.partition_point(|&other| (other as usize) < user);
            others[from..].iter().for_each(|&other| row[other as usize] += share);
        }
        steps.did(of_user);
        Ok(())
    });
    stopped.map(|()| inner)
}

/// `K^-1`, both triangles, and who has an item.
struct Inner<'a> {
    inverse: &'a [f64],
    users_of: &'a Csr,
    n_users: usize,
}

impl Inner<'_> {
    fn row(&self, user: usize) -> &[f64] {
        &self.inverse[user * self.n_users..][..self.n_users]
    }

    /// Some columns of `K^-1 X D^-1`: for each user a row of them, [`STRIDE`] numbers behind the one before.
    fn put_sums<T: Real>(&self, sums: &mut [T], columns: Range<usize>, shares: &[f64]) {
        sums.par_chunks_mut(USERS * STRIDE).enumerate().for_each(|(chunk, sums)| {
            let first = chunk * USERS;
            let width = USERS.min(self.n_users - first);
            for (at, item) in columns.clone().enumerate() {
                let mut of_item = [0.0; USERS];
                if width == USERS {
                    // `K^-1` is symmetric, so that these users stand side by side in the rows of the item's.
                    add_rows_at(&mut of_item, &self.inverse[first..], self.n_users, self.users_of.row(item));
                } else {
                    let row = |user| sum_at(self.row(first + user), self.users_of.row(item));
                    of_item[..width].iter_mut().enumerate().for_each(|(user, sum)| *sum = row(user));
                }
                for (sums, &sum) in sums.chunks_exact_mut(STRIDE).zip(&of_item) {
                    sums[at] = T::from_f64(shares[item] * sum);
                }
            }
        });
    }

    /// The number of an item on the diagonal of the inverse: `(1 - x' K^-1 x / D) / D`, for the column `x` of the item.
    fn diagonal(&self, item: usize, shares: &[f64]) -> f64 {
        let (users, share) = (self.users_of.row(item), shares[item]);
        let explained: f64 = users.iter().map(|&user| sum_at(self.row(user as usize), users)).sum();
        share * (1.0 - share * explained)
    }
}

vectorised! {
    /// Adds up the first numbers of the users' rows.
    fn add_of_users(sum: &mut [T; TOGETHER], rows: &[T], users: &[u32]) {
        let mut sums = [T::ZERO; TOGETHER];
        for &user in users {
            let row = &rows[user as usize * STRIDE..][..TOGETHER];
            sums.iter_mut().zip(row).for_each(|(sum, &number)| *sum += number);
        }
        *sum = sums;
    }

    /// The same of rows of so many numbers.
    fn add_rows_at(sum: &mut [T; USERS], rows: &[T], length: usize, users: &[u32]) {
        let mut sums = [T::ZERO; USERS];
        for &user in users {
            let row = &rows[user as usize * length..][..USERS];
            sums.iter_mut().zip(row).for_each(|(sum, &number)| *sum += number);
        }
        *sum = sums;
    }
}

/// The sum of some numbers of a row, in four parts, so that additions wait less for each other.
fn sum_at(row: &[f64], at: &[u32]) -> f64 {
    let (fours, rest) = at.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for four in fours {
        sums.iter_mut().zip(four).for_each(|(sum, &at)| *sum += row[at as usize]);
    }
    rest.iter().map(|&at| row[at as usize]).sum::<f64>() + ((sums[0] + sums[1]) + (sums[2] + sums[3]))
}

#[cfg(test)]
mod tests {
    use super::super::gram;
    use super::*;
    use crate::Threads;
    use crate::base::cancel::Cancel;
    use crate::base::error::Error;
    use crate::base::random::Stream;

    /// Users of items whose popularity falls; some users have nothing, some items nobody, and two users have the same.
    fn users(n_users: usize, n_items: usize) -> Csr {
        let mut random = Stream::new(3, n_users as u64);
        let mut rows: Vec<Vec<u32>> = (0..n_users as u64)
            .map(|user| {
                let has = |item: &u64| user % 9 != 4 && item % 31 != 7 && random.below(item / 8 + 2) == 0;
                (0..n_items as u64).filter(has).map(|item| item as u32).collect()
            })
            .collect();
        if n_users > 2 {
            rows[2] = rows[0].clone();
        }
        Csr::from_rows(&rows, n_items).unwrap()
    }

    fn by_users<T: Real>(x: &Csr, penalties: &[f64], threads: usize) -> Vec<T> {
        let invert = || inverse_by_users::<T>(x, penalties, &Steps::silent(&Cancel::default())).unwrap().to_vec();
        Threads::new(Some(threads)).unwrap().install(invert)
    }

    fn by_items<T: Real>(x: &Csr, penalties: &[f64]) -> Vec<T> {
        let (n, cancel) = (x.n_cols(), Cancel::default());
        let steps = Steps::silent(&cancel);
        let mut matrix = gram::<T>(x, &steps).unwrap();
        let mut view = matrix.view2_mut((n, n));
        view.diag_mut().iter_mut().zip(penalties).for_each(|(entry, &penalty)| *entry += T::from_f64(penalty));
        invert_positive_definite(view, &steps).unwrap();
        matrix.to_vec()
    }

    /// Penalties that differ by item, from `least` on.
    fn penalties(n: usize, least: f64) -> Vec<f64> {
        (0..n).map(|item| least * (1.0 + (item % 5) as f64)).collect()
    }

    /// Condition numbers are some 1e4 at most, and the numbers 1 over the penalty at most.
    #[test]
    fn it_is_the_inverse_by_items_but_for_rounding() {
        for (n_users, n) in [(1usize, 5usize), (3, 40), (40, 97), (130, 700), (200, 1100), (90, 60)] {
            let x = users(n_users, n);
            for least in [0.5, 20.0] {
                let penalties = penalties(n, least);
                let exact = by_items::<f64>(&x, &penalties);
                let error = |found: &mut dyn Iterator<Item = f64>| {
                    found.zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) * least
                };
                let double = error(&mut by_users::<f64>(&x, &penalties, 2).into_iter());
                assert!(double < 1e4 * f64::EPSILON, "{n_users} x {n}, {least}: {double:e}");
                let single = by_users::<f32>(&x, &penalties, 2);
                let error = error(&mut single.iter().map(|&number| f64::from(number)));
                // What is rounded are sums of as many numbers as an item has users.
                assert!(error < 8.0 * f64::from(f32::EPSILON), "{n_users} x {n}, {least}: {error:e}");
                let mirrored = |at: usize| single[at % n * n + at / n] == single[at];
                assert!((0..n * n).all(mirrored), "{n_users} x {n}: not symmetric");
            }
        }
    }

    #[test]
    fn bits_are_the_same_for_any_number_of_threads() {
        let x = users(150, 1300);
        let penalties = penalties(1300, 3.0);
        let one = by_users::<f32>(&x, &penalties, 1);
        assert!([2, 3, 8].iter().all(|&threads| by_users::<f32>(&x, &penalties, threads) == one));
    }

    #[test]
    fn few_users_are_told_from_many_and_from_a_long_tail() {
        let told = |x: &Csr| {
            let squares = x.rows().map(|row| (row.len() as f64).powi(2)).sum();
            seconds_of_way::<f32>(x.n_cols(), Counts::of_few(x), Some(x), squares).1
        };
        assert!(told(&users(300, 4000)));
        assert!(!told(&users(3000, 4000)));
        assert!(!told(&users(100, 600)));
        // Nobody shares anything: all items are eliminated, which takes no time.
        let apart = Csr::from_rows((0..2000u32).map(|user| [2 * user, 2 * user + 1]), 4000).unwrap();
        assert!(!told(&apart));
        assert!(!told(&Csr::from_rows(Vec::<Vec<u32>>::new(), 4000).unwrap()));
    }

    #[test]
    fn it_can_be_stopped_and_what_f64_cannot_tell_apart_is_refused() {
        let x = users(60, 300);
        let cancel = Cancel::default();
        cancel.cancel();
        let stopped = inverse_by_users::<f32>(&x, &penalties(300, 1.0), &Steps::silent(&cancel));
        assert!(matches!(stopped.err(), Some(NoInverse::Failed(Error::Cancelled))));
        // Two users with the same items, of which 1 beside 1e20 is nothing.
        let refused = inverse_by_users::<f64>(&x, &penalties(300, 1e-20), &Steps::silent(&Cancel::default()));
        assert!(matches!(refused.err(), Some(NoInverse::Pivot(_))));
    }
}
