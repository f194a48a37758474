//! ImplicitSLIM against the published formula, dense and in float64 (`test/fixtures/reference/implicit_slim.py`).

use serde_json::{Value, json};

use super::*;
use crate::base::matrix::{view2, view2_mut};
use crate::base::random::Stream;
use crate::base::threads::Threads;
use crate::model::{Fit, ModelKind};
use crate::test_support::Golden;
use crate::train::run::FitRun;

const CASES: [&str; 5] = ["usual", "small_alpha", "large_alpha", "small_lambda", "large_lambda"];

fn replaced<T: Real>(golden: &Golden, case: &str) -> Vec<f64> {
    let [lambda, alpha] = golden.values(&format!("{case}.lambda_alpha")).try_into().unwrap();
    let slim = ImplicitSlim { lambda, alpha, threshold: golden.values("threshold")[0] };
    let width = golden.shape("w")[1];
    let x = golden.csr("x");
    let mut weight: Vec<T> = golden.values("w").iter().map(|&value| T::from_f64(value)).collect();
    slim.replace(view2_mut(&mut weight, (x.n_cols(), width)), &x, &Cancel::default()).unwrap();
    weight.iter().map(|value| value.to_f64()).collect()
}

/// Largest difference, relative to the largest number.
fn distance(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let scale = theirs.iter().fold(0f64, |max, value| max.max(value.abs()));
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / scale
}

#[test]
fn it_is_the_published_formula() {
    let golden = Golden::read("implicit_slim");
    for case in CASES {
        let expected = golden.values(&format!("{case}.w"));
        // f64 sums of up to 40 terms, and a difference of nearly equal numbers in the published form.
        let off = distance(&replaced::<f64>(&golden, case), expected);
        assert!(off < 1e-10, "{case} in f64: {off}");
        // eps of 6e-8 over sums of up to 40 terms, times the condition of the system.
        let off = distance(&replaced::<f32>(&golden, case), expected);
        assert!(off < 1e-4, "{case} in f32: {off}");
    }
}

/// Random likes of which the first items have most, and embeddings: more than one task, block of columns and step of
/// items.
fn made_up(n_users: usize, n_items: usize, width: usize) -> (Csr, Vec<f32>) {
    let mut random = Stream::new(3, 0);
    let likes =
        |random: &mut Stream| (0..n_items as u32).filter(|item| random.below(3 + *item as u64 / 8) == 0).collect();
    let histories: Vec<Vec<u32>> = (0..n_users).map(|_| likes(&mut random)).collect();
    let weight = (0..n_items * width).map(|_| random.normal() as f32).collect();
    (Csr::from_rows(histories, n_items).unwrap(), weight)
}

const USUAL: ImplicitSlim = ImplicitSlim { lambda: 50.0, alpha: 1.0, threshold: 0.02 };

#[test]
fn bits_do_not_depend_on_threads() {
    let (x, weight) = made_up(400, 700, 200);
    let bits = |threads| {
        let mut weight = weight.clone();
        let replace = || USUAL.replace(view2_mut(&mut weight, (700, 200)), &x, &Cancel::default());
        Threads::new(Some(threads)).unwrap().install(replace).unwrap();
        weight.iter().map(|value: &f32| value.to_bits()).collect::<Vec<_>>()
    };
    let one = bits(1);
    for threads in [2, 3, 8] {
        assert!(one == bits(threads), "{threads} threads");
    }
}

#[test]
fn blocks_agree_with_the_plain_products() {
    let (x, weight) = made_up(90, 600, 150);
    let weight: Vec<f64> = weight.into_iter().map(f64::from).collect();
    let mut smoothed = weight.clone();
    let scale = |by: usize| (0..600).map(|item| 1.0 / (item + by) as f64).collect::<Vec<_>>();
    let (inner, own, out) = (scale(1), scale(2), scale(3));
    smooth(&x, &x.transpose(), [&inner, &own, &out], view2_mut(&mut smoothed, (600, 150)), &Cancel::default()).unwrap();
    let mut expected: Vec<f64> = weight.iter().enumerate().map(|(at, value)| own[at / 150] * value).collect();
    for history in x.rows() {
        for &item in history {
            for &other in history {
                for column in 0..150 {
                    let value = inner[other as usize] * weight[other as usize * 150 + column];
                    expected[item as usize * 150 + column] += out[item as usize] * value;
                }
            }
        }
    }
    assert!(distance(&smoothed, &expected) < 1e-12);
    let mut product = gram(view2(&weight, (600, 150)), &Cancel::default()).unwrap();
    mirror(product.view_mut());
    let entry = |(i, j): (usize, usize)| (0..600).map(|item| weight[item * 150 + i] * weight[item * 150 + j]).sum();
    let expected: Vec<f64> = (0..150 * 150).map(|at| entry((at / 150, at % 150))).collect();
    assert!(distance(row_major(product.view()), &expected) < 1e-12);
}

#[test]
fn extremes_stay_finite_and_go_where_the_formula_says() {
    let (x, weight) = made_up(200, 100, 8);
    let replaced = |slim: ImplicitSlim| {
        let mut weight: Vec<f64> = weight.iter().map(|&value| value.into()).collect();
        slim.replace(view2_mut(&mut weight, (100, 8)), &x, &Cancel::default()).unwrap();
        weight
    };
    for lambda in [1e-300, 1e-3, 1e3, 1e300] {
        for alpha in [1e-300, 1e-3, 1e3, 1e300] {
            let result = replaced(ImplicitSlim { lambda, alpha, threshold: 0.0 });
            assert!(result.iter().all(|value| value.is_finite()), "{lambda}, {alpha}");
        }
    }
    assert!(replaced(ImplicitSlim { alpha: 1e-300, ..USUAL }).iter().all(|value| value.abs() < 1e-290));
    // K D is 1 for a large lambda: W (I / alpha + W' W)^-1 W' W, which for a large alpha is W.
    let same: Vec<f64> = weight.iter().map(|&value| value.into()).collect();
    assert!(distance(&replaced(ImplicitSlim { lambda: 1e18, alpha: 1e12, threshold: 0.0 }), &same) < 1e-9);
    // In f32, too, and with more columns than items, where S has no inverse of its own.
    let (x, weight) = made_up(200, 100, 140);
    for (lambda, alpha) in [(1e-30, 1e3), (500.0, 1.0), (1e30, 1e-30), (1e300, 1e6)] {
        let mut weight = weight.clone();
        let slim = ImplicitSlim { lambda, alpha, threshold: 0.01 };
        slim.replace(view2_mut(&mut weight, (100, 140)), &x, &Cancel::default()).unwrap();
        assert!(weight.iter().all(|value| value.is_finite()), "{lambda}, {alpha}");
    }
}

#[test]
fn what_cannot_be_replaced_stays_as_it_was() {
    let (x, before) = made_up(200, 100, 8);
    let mut weight = before.clone();
    let refused = |slim: ImplicitSlim, weight: &mut Vec<f32>| {
        let error = slim.replace(view2_mut(weight, (100, 8)), &x, &Cancel::default()).unwrap_err();
        (error.code(), error.to_string())
    };
    let (code, text) = refused(ImplicitSlim { threshold: 0.9, ..USUAL }, &mut weight);
    assert_eq!(code, "INVALID_ARGUMENT");
    assert!(text.starts_with("slimThreshold is 0.9; allowed: up to 0.") && text.ends_with("popular item"), "{text}");
    let mut broken = vec![f32::NAN; 800];
    let (code, text) = refused(USUAL, &mut broken);
    assert_eq!(code, "NUMERICAL");
    assert!(text.contains("8 x 8 system of implicitSlim") && text.contains("slimLambda"), "{text}");
    let never = Cancel::default();
    USUAL.replace(view2_mut(&mut before.clone(), (100, 8)), &x, &never).unwrap();
    let one = Threads::new(Some(1)).unwrap();
    for look in 1..=never.looks() {
        let cancel = Cancel::at_look(look);
        let stopped = one.install(|| USUAL.replace(view2_mut(&mut weight, (100, 8)), &x, &cancel));
        assert!(matches!(stopped, Err(Error::Cancelled)), "look {look} of {}", never.looks());
        assert!(weight == before && cancel.looks() <= look + 2);
    }
    // 4 + 2 tasks of each sparse product, and some looks at dense ones.
    assert!(never.looks() > 12, "{}", never.looks());
}

#[test]
fn recvae_trains_with_it() {
    let (x, _) = made_up(150, 80, 1);
    let fit = |changes: Value, threads| {
        let mut options = json!({ "hiddenDim": 20, "latentDim": 8, "batchSize": 40, "epochs": 5 });
        options.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let fit = || ModelKind::RecVae.fit(&options, &x, None, &FitRun::default()).unwrap();
        let Fit { model, epochs } = Threads::new(Some(threads)).unwrap().install(fit);
        let bytes: Vec<_> =
            model.tensors().unwrap().iter().map(|tensor| tensor.data.bytes().unwrap().to_vec()).collect();
        let likelihoods: Vec<_> = epochs.iter().map(|progress| progress.log_likelihood.unwrap()).collect();
        (bytes, likelihoods)
    };
    let plain = fit(json!({}), 1);
    for training in ["alternating", "joint"] {
        let on = json!({ "implicitSlim": true, "slimEvery": 2, "slimLambda": 20, "training": training });
        let (bytes, likelihoods) = fit(on.clone(), 1);
        assert!(likelihoods.iter().all(|value| value.is_finite()), "{likelihoods:?}");
        assert!(likelihoods[4] > likelihoods[0], "{likelihoods:?}");
        assert!(fit(on, 3) == (bytes, likelihoods.clone()), "{training} with 3 threads");
        if training == "alternating" {
            assert!(plain.1[0] == likelihoods[0] && plain.1[1] != likelihoods[1], "before the second epoch");
        }
    }
}

#[test]
fn options_that_mean_nothing_are_refused() {
    let (x, _) = made_up(150, 80, 1);
    for (options, text) in [
        (
            json!({ "slimLambda": 100 }),
            "slimLambda is 100; allowed: 500 where implicitSlim is false, or implicitSlim true",
        ),
        (json!({ "slimEvery": 5 }), "slimEvery is 5; allowed: 10 where implicitSlim is false, or implicitSlim true"),
        (
            json!({ "implicitSlim": true, "epochs": 9 }),
            "slimEvery is 10; allowed: at most epochs (9) where implicitSlim is true",
        ),
        (json!({ "implicitSlim": true, "slimAlpha": 0 }), "slimAlpha is 0; allowed: a finite number above 0"),
        (json!({ "implicitSlim": true, "slimThreshold": 1 }), "slimThreshold is 1; allowed: up to 0."),
    ] {
        let error = ModelKind::RecVae.fit(&options, &x, None, &FitRun::default()).err().unwrap();
        assert_eq!(error.code(), "INVALID_ARGUMENT");
        assert!(error.to_string().starts_with(text), "{error}");
    }
}
