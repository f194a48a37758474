//! Columns on given supports against numpy and against the dense model.

use super::*;
use crate::base::cancel::Cancel;
use crate::base::random::Stream;
use crate::math::linalg::Inverse;
use crate::models::ease::{Ease, EaseOptions, Penalised};

/// Weights on given supports, as rows of a dense matrix: column `j` of B is row `j` here.
fn columns<T: Real>(options: &EaseOptions, x: &Csr, supports: &[Vec<u32>]) -> Vec<Vec<f32>> {
    let supports = Csr::from_rows(supports, x.n_cols()).unwrap();
    let cancel = Cancel::default();
    let (origin, penalty) = (options.origin(), options.penalty());
    let weights = solve::<T>(&origin, penalty, &x.transpose(), &supports, &Steps::silent(&cancel)).unwrap();
    let ends = supports.indptr().windows(2);
    ends.map(|ends| weights[ends[0]..ends[1]].to_vec()).collect()
}

fn random(n_users: usize, n_items: u64) -> Csr {
    let mut random = Stream::new(3, 0);
    let rows: Vec<Vec<u32>> = (0..n_users)
        .map(|_| (0..n_items).filter(|item| random.below(2 + item / 4) == 0).map(|item| item as u32).collect())
        .collect();
    Csr::from_rows(&rows, n_items as usize).unwrap()
}

/// ```python
/// import numpy as np
/// x = np.array([[i != 3 and (u * u * 3 + i * 7 + u * i * i) % 7 < 3 for i in range(6)] for u in range(20)], float)
/// supports = [[1, 2, 5], [0, 3], [0, 1, 3, 4, 5], [], [2], [0, 1, 2, 3, 4]]
/// g = x.T @ x
/// for j, n in enumerate(supports):
///     print([round(w, 15) for w in np.linalg.solve(g[np.ix_(n, n)] + 1.5 * np.eye(len(n)), g[n, j]).tolist()], ",")
/// ```
#[test]
fn columns_are_those_of_numpy() {
    let golden: [&[f64]; 6] = [
        &[0.179401993355482, 0.12624584717608, 0.12624584717608],
        &[0.666666666666667, 0.0],
        &[0.10485056344929, -0.020578147966683, 0.0, 0.070553650171485, 0.792748652621264],
        &[],
        &[0.571428571428571],
        &[0.10485056344929, -0.020578147966683, 0.792748652621264, 0.0, 0.070553650171485],
    ];
    let supports = [vec![1, 2, 5], vec![0, 3], vec![0, 1, 3, 4, 5], vec![], vec![2], vec![0, 1, 2, 3, 4]];
    // Nobody has item 3.
    let has = |u: u32, i: u32| i != 3 && (u * u * 3 + i * 7 + u * i * i) % 7 < 3;
    let rows = (0..20).map(|u| (0..6).filter(|&i| has(u, i)).collect::<Vec<_>>());
    let x = Csr::from_rows(rows, 6).unwrap();
    let options = EaseOptions { lambda: 1.5, ..EaseOptions::default() };
    // Weights leave in f32: half a unit in its 24th place, and in f32 some for the solution of equations of condition
    // 25.
    for (columns, tolerance) in
        [(columns::<f64>(&options, &x, &supports), 6e-8), (columns::<f32>(&options, &x, &supports), 2e-6)]
    {
        for (found, golden) in columns.iter().zip(golden) {
            assert_eq!(found.len(), golden.len());
            for (&found, golden) in found.iter().zip(golden) {
                assert!((f64::from(found) - golden).abs() <= tolerance, "{found} and {golden}");
            }
        }
    }
}

#[test]
fn with_all_others_it_is_the_dense_model() {
    // Several blocks of users, and items without any.
    let x = random(3 * MOST_USERS / 2, 70);
    let n = x.n_cols();
    let others: Vec<Vec<u32>> = (0..n as u32).map(|j| (0..n as u32).filter(|&i| i != j).collect()).collect();
    let options = EaseOptions { lambda: 20.0, ..EaseOptions::default() };
    let dense = Ease::<f64>::fit(options.origin(), options.penalty(), &x, &FitRun::default(), Inverse::here()).unwrap();
    for (columns, tolerance) in
        [(columns::<f64>(&options, &x, &others), 6e-8), (columns::<f32>(&options, &x, &others), 1e-4)]
    {
        for (j, (column, others)) in columns.iter().zip(&others).enumerate() {
            for (&found, &i) in column.iter().zip(others) {
                let exact = dense.weights[i as usize * n + j];
                // f32: n * eps * condition number (about 1000) at most.
                assert!((f64::from(found) - exact).abs() <= tolerance, "{i}, {j}: {found} and {exact}");
            }
        }
    }
}

#[test]
fn what_has_no_factor_says_which_item_and_the_way_out() {
    // Twice the same column, four users: the root is exact, so the second pivot is exactly 0.
    let x = Csr::from_rows([&[0u32, 1, 2][..]; 4], 3).unwrap();
    let options = EaseOptions { lambda: 1e-30, ..EaseOptions::default() };
    let supports = Csr::from_rows([&[][..], &[], &[0u32, 1]], 3).unwrap();
    let (origin, penalty, cancel) = (options.origin(), options.penalty(), Cancel::default());
    let error = solve::<f32>(&origin, penalty, &x.transpose(), &supports, &Steps::silent(&cancel)).err().unwrap();
    assert_eq!(error.code(), "NUMERICAL");
    let text = "EASE^R: the Gram matrix of the 2 items that item 2 is computed from, plus lambda = 1e-30 on its diagonal, \
                is not positive definite in f32 (pivot 1); the way out: a larger lambda, or precision 'f64'";
    assert!(error.to_string().contains(text), "{error}");
}
