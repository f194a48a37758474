//! Whether the weights are those that were asked for: a factorisation may succeed and its result be another matrix's.
//!
//! With nearly equal items and a small lambda, `G + lambda I` is so close to a singular matrix that rounding decides
//! what its inverse is, and whether there is a pivot above 0 depends on the order in which a processor adds. So the
//! inverse `P` is looked at afterwards. For a user `x` of random numbers, one for each item, the scores are off by
//!
//! ```text
//! e = D P r    with the residual    r = x - (G + lambda I) P x    and    D = 1 / diag(P)
//! ```
//!
//! to first order, since `P r` is what one step of iterative refinement would add to `P x`. `G x` is `X' (X x)`, from
//! the data, in f64, as `G` itself is no more. That costs two walks over the matrix, `2 n^2` products for each user,
//! where the inverse cost `n^3`. Random numbers see every direction; the users of the data would not see the one in
//! which twins differ.
//!
//! Source of the estimate: N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, SIAM 2002,
//! chapter 12.

use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::base::error::Result;
use crate::base::matrix::row_major;
use crate::base::random::Stream;
use crate::math::csr::Csr;
use crate::math::real::Real;
use crate::math::vectorised::vectorised;

/// Random users. The direction in which the inverse is wrong may be a single one, to which one of them may happen to be
/// nearly orthogonal.
pub(crate) const USERS: usize = 3;

/// A number for each item, for each of the random users.
pub(crate) type Vectors = [Vec<f64>; USERS];

/// How far scores may be off, as a share of the largest: a hundredth does not change what is recommended more than
/// another seed or another lambda next to this one does. Rounding alone gives far less where f32 is enough (1e-5 on the
/// shipped data), and all of it where it is not, so that little lies between.
pub(crate) const TOLERANCE: f64 = 0.01;

/// Scores below this share of the random user's own numbers do not count as the largest: there, all weights are small,
/// and the rounding of the diagonal of P would count for more than it does.
const LEAST: f64 = 1e-3;

/// How far scores of random users are off, as a share of the largest, by an inverse of shape `(n, n)` of the Gram
/// matrix with `penalties` on its diagonal; `gram` multiplies by the Gram matrix alone.
///
/// # Errors
/// As `gram`.
pub(crate) fn error_of_scores<T: Real>(
    inverse: ArrayView2<'_, T>,
    penalties: &[f64],
    gram: impl FnOnce(&Vectors) -> Result<Vectors>,
) -> Result<f64> {
    let n = penalties.len();
    let users: Vectors = std::array::from_fn(|user| {
        let mut random = Stream::new(1, user as u64);
        (0..n).map(|_| random.normal()).collect()
    });
    let own: Vec<f64> = inverse.diag().iter().map(|entry| entry.to_f64()).collect();
    let others = off_diagonal(inverse, &users);
    let solved: Vectors = std::array::from_fn(|user| {
        let numbers = others[user].iter().zip(&users[user]).zip(&own);
        numbers.map(|((others, x), own)| others + own * x).collect()
    });
    let products = gram(&solved)?;
    let residuals: Vectors = std::array::from_fn(|user| {
        let numbers = users[user].iter().zip(&products[user]).zip(solved[user].iter().zip(penalties));
        numbers.map(|((x, product), (solved, penalty))| x - product - penalty * solved).collect()
    });
    let corrections = off_diagonal(inverse, &residuals);
    let largest = |numbers: &mut dyn Iterator<Item = f64>| {
        numbers.fold(0.0, |most: f64, number| nan_or_larger(most, number.abs()))
    };
    let error_of = |user: usize| {
        let scores = largest(&mut others[user].iter().zip(&own).map(|(others, own)| others / own));
        let x = largest(&mut users[user].iter().copied());
        let errors = corrections[user].iter().zip(&residuals[user]).zip(&own);
        largest(&mut errors.map(|((others, r), own)| others / own + r)) / scores.max(LEAST * x)
    };
    Ok((0..USERS).map(error_of).fold(0.0, nan_or_larger))
}

/// The larger of two numbers, and no number if one of them is none.
fn nan_or_larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// The product of a matrix without its diagonal, whose numbers would drown the others.
fn off_diagonal<T: Real>(matrix: ArrayView2<'_, T>, vectors: &Vectors) -> Vectors {
    let n = matrix.ncols();
    let rows: Vec<[f64; USERS]> = row_major(matrix)
        .par_chunks_exact(n)
        .enumerate()
        .map(|(item, row)| {
            let [before, behind] = [0..item, item + 1..n].map(|range| {
                let [a, b, c] = vectors.each_ref().map(|vector| &vector[range.clone()]);
                three_dots(&row[range.clone()], a, b, c)
            });
            std::array::from_fn(|user| before[user] + behind[user])
        })
        .collect();
    std::array::from_fn(|user| rows.iter().map(|row| row[user]).collect())
}

vectorised! {
    /// Scalar products of a row with three vectors, in f64 and in lanes.
    fn three_dots(row: &[T], a: &[f64], b: &[f64], c: &[f64]) -> [f64; USERS] {
        let mut lanes = [[0f64; 8]; USERS];
        let (chunks, rest) = row.as_chunks::<8>();
        let of = [a, b, c].map(|vector| vector.as_chunks::<8>());
        for (number, chunk) in chunks.iter().enumerate() {
            for (lanes, (vector, _)) in lanes.iter_mut().zip(&of) {
                for ((lane, &x), &y) in lanes.iter_mut().zip(chunk).zip(&vector[number]) {
                    *lane += x.to_f64() * y;
                }
            }
        }
        for (lanes, (_, vector)) in lanes.iter_mut().zip(&of) {
            for ((lane, &x), &y) in lanes.iter_mut().zip(rest).zip(*vector) {
                *lane += x.to_f64() * y;
            }
        }
        lanes.map(|lanes| lanes.iter().sum())
    }
}

/// Pieces of a product whose sums are added in order, so that it does not depend on the number of threads.
const PIECES: usize = 16;

/// `X' (X v)`, user by user.
pub(crate) fn gram_products(x: &Csr, vectors: &Vectors) -> Vectors {
    in_pieces(x.n_rows(), x.n_cols(), |users, sums| {
        for row in users.map(|user| x.row(user)) {
            let products = vectors.each_ref().map(|vector| row.iter().map(|&item| vector[item as usize]).sum::<f64>());
            for (sums, product) in sums.iter_mut().zip(products) {
                row.iter().for_each(|&item| sums[item as usize] += product);
            }
        }
    })
}

/// Sums of length `n` over pieces of `0..len`, of which `add` adds one.
pub(crate) fn in_pieces(len: usize, n: usize, add: impl Fn(std::ops::Range<usize>, &mut Vectors) + Sync) -> Vectors {
    let zeros = || std::array::from_fn(|_| vec![0.0; n]);
    let pieces: Vec<Vectors> = (0..PIECES)
        .into_par_iter()
        .map(|piece| {
            let mut sums = zeros();
            add(piece * len / PIECES..(piece + 1) * len / PIECES, &mut sums);
            sums
        })
        .collect();
    pieces.iter().fold(zeros(), |mut all, piece| {
        for (all, piece) in all.iter_mut().zip(piece) {
            all.iter_mut().zip(piece).for_each(|(all, sum)| *all += sum);
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::cancel::Cancel;
    use crate::base::matrix::view2;
    use crate::base::steps::Steps;
    use crate::math::linalg::{gram, invert_positive_definite};

    fn twins(n_users: usize, n_items: usize) -> Csr {
        let mut random = Stream::new(9, 0);
        let rows = (0..n_users).map(|_| {
            let mut row: Vec<bool> = (0..n_items).map(|_| random.uniform() < 0.6).collect();
            row[2] = row[0];
            (0..n_items as u32).filter(|&item| row[item as usize]).collect::<Vec<_>>()
        });
        Csr::from_rows(rows, n_items).unwrap()
    }

    /// The inverse of `G + diag(penalties)`, with another matrix's in its place where `spoil` changes it.
    fn error<T: Real>(x: &Csr, penalties: &[f64], spoil: impl Fn(&mut [T])) -> f64 {
        let n = x.n_cols();
        let mut matrix = gram::<T>(x, &Steps::silent(&Cancel::default())).unwrap();
        let mut view = matrix.view2_mut((n, n));
        view.diag_mut().iter_mut().zip(penalties).for_each(|(entry, &penalty)| *entry += T::from_f64(penalty));
        invert_positive_definite(view.view_mut(), &Steps::silent(&Cancel::default())).unwrap();
        spoil(&mut matrix);
        error_of_scores(matrix.view2((n, n)), penalties, |vectors| Ok(gram_products(x, vectors))).unwrap()
    }

    #[test]
    fn the_products_are_those_of_the_matrices() {
        let x = twins(50, 21);
        let matrix = gram::<f64>(&x, &Steps::silent(&Cancel::default())).unwrap();
        let at = |i: usize, j: usize| matrix[i.min(j) * 21 + i.max(j)];
        let full: Vec<f64> = (0..21 * 21).map(|place| at(place / 21, place % 21)).collect();
        let vectors: Vectors = std::array::from_fn(|user| (0..21).map(|item| ((user + 2) * item % 7) as f64).collect());
        let (sparse, dense) = (gram_products(&x, &vectors), off_diagonal(view2(&full, (21, 21)), &vectors));
        for user in 0..USERS {
            for i in 0..21 {
                let others: f64 = (0..21).filter(|&j| j != i).map(|j| at(i, j) * vectors[user][j]).sum();
                // Whole numbers: exact.
                assert_eq!(dense[user][i], others);
                assert_eq!(sparse[user][i], others + at(i, i) * vectors[user][i]);
            }
        }
    }

    #[test]
    fn an_inverse_is_told_from_another_matrix_s() {
        let x = twins(2000, 40);
        let right = error::<f64>(&x, &[1e-3; 40], |_| {});
        assert!(right < 1e-8, "{right}"); // condition 1e7 times epsilon
        let single = error::<f32>(&x, &[50.0; 40], |_| {});
        assert!(single > 0.0 && single < 1e-4, "{single}");
        // One weight that is off by 3 %, in both halves.
        let one = error::<f64>(&x, &[50.0; 40], |inverse| [2, 80].into_iter().for_each(|at| inverse[at] *= 1.03));
        assert!((0.01..0.1).contains(&one), "{one}");
        // The twins' own direction, in which only the penalty counts: as if lambda were a third.
        let other = error::<f64>(&x, &[1e-3; 40], |inverse| {
            for (at, sign) in [(0, 1.0), (2, -1.0), (80, -1.0), (82, 1.0)] {
                inverse[at] += sign * 1000.0;
            }
        });
        assert!(other > 0.3, "{other}");
        assert!(error::<f64>(&x, &[1.0; 40], |inverse| inverse[7] = f64::NAN).is_nan());
    }
}
