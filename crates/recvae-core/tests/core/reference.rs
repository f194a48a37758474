//! Closed forms against results that others computed: on the shipped data, and on ML-1M, which may not be shipped.
//! Where that is absent its tests are reported as ignored; `build.rs` looks for it.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use recvae_core::ndarray::ArrayViewMut2;
use recvae_core::{
    Csr, FitRun, HeldOut, Ids, Metric, ModelKind, Result, Scorer, Split, Threads, debian, evaluate, read_official,
};
use serde_json::{Value, json};

/// The folder of shared reference data: as `build.rs` finds it, when the tests run.
fn shared() -> PathBuf {
    let named = std::env::var_os("RECVAE_SHARED").map(PathBuf::from);
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared"));
    let found = named.into_iter().chain(above).find(|folder| folder.join("reference").is_dir());
    found.expect("a folder shared/reference above this checkout, or RECVAE_SHARED")
}

fn reference() -> (Split, Value) {
    let shared = shared();
    let text = std::fs::read_to_string(shared.join("reference/ml-1m-results.json")).unwrap();
    (read_official(shared.join("data/ml-1m-split")).unwrap(), serde_json::from_str(&text).unwrap())
}

/// What numpy found, and the users who are held out, as `reference/debian.py` says.
fn of_debian() -> (Csr, HeldOut, Value) {
    let expected: Value = serde_json::from_str(include_str!("reference/debian.json")).unwrap();
    let data = debian().unwrap();
    let rows = || data.matrix().rows().enumerate();
    let n_items = data.n_items();
    let train = Csr::from_rows(rows().filter(|(user, _)| user % 10 != 9).map(|(_, row)| row), n_items).unwrap();
    let part = |target: bool| {
        let places = |row: &[u32]| -> Vec<u32> {
            let of_part = row.iter().enumerate().filter(|(place, _)| (place % 5 == 4) == target);
            of_part.map(|(_, &item)| item).collect()
        };
        Csr::from_rows(rows().filter(|(user, _)| user % 10 == 9).map(|(_, row)| places(row)), n_items).unwrap()
    };
    let (input, target) = (part(false), part(true));
    let users: Ids = (0..input.n_rows()).map(|user| user.to_string()).collect();
    let sizes = json!([train.n_rows(), train.n_cols(), train.nnz()]);
    assert_eq!(sizes, json!([expected["users"], expected["items"], expected["interactions"]]));
    (train, HeldOut::new(users, input, target).unwrap(), expected)
}

/// The metrics of a fit, none of which may be further from the expected one than `tolerance`.
fn assert_metrics(kind: ModelKind, options: &Value, train: &Csr, held_out: &HeldOut, expected: &Value, tolerance: f64) {
    Threads::new(None).unwrap().install(|| {
        let model = kind.fit(options, train, None, &FitRun::default()).unwrap().model;
        for values in evaluate(&*model, held_out, &METRICS).unwrap().metrics {
            let expected = expected[values.metric.to_string()].as_f64().unwrap();
            let ours = values.mean;
            assert!((ours - expected).abs() < tolerance, "{options} {}: {ours} and {expected}", values.metric);
        }
    });
}

/// In f64, as numpy: what is left are a few pairs of scores whose order rounding decides. A pair at the end of a list
/// of 20 moves a recall by 1 / (1,166 x 1) at most.
#[test]
fn closed_forms_meet_numpy_on_the_shipped_data() {
    let (train, held_out, expected) = of_debian();
    let rows = |name: &str| expected[name].as_array().unwrap().clone();
    assert_eq!((rows("ease").len(), rows("edlae").len()), (2, 1));
    for row in rows("ease") {
        let options = json!({ "lambda": row["lambda"], "precision": "f64" });
        assert_metrics(ModelKind::Ease, &options, &train, &held_out, &row, 1e-3);
        // And in f32, the default.
        assert_metrics(ModelKind::Ease, &json!({ "lambda": row["lambda"] }), &train, &held_out, &row, 1e-3);
    }
    for row in rows("edlae") {
        let options = json!({ "lambda": row["lambda"], "dropoutRate": row["dropout"] });
        assert_metrics(ModelKind::Edlae, &options, &train, &held_out, &row, 1e-3);
    }
    // Whole numbers, with ties broken in the same way: only the sums of the means round.
    assert_metrics(ModelKind::Popularity, &json!({}), &train, &held_out, &expected["popularity"], 1e-12);
}

const METRICS: [Metric; 3] = [Metric::Ndcg(100), Metric::Recall(20), Metric::Recall(50)];

#[test]
#[cfg_attr(not(shared), ignore = "no folder shared/reference above this checkout")]
fn ease_meets_the_reference_at_each_lambda() {
    let (split, reference) = reference();
    assert!(reference["ease"].as_array().unwrap().len() >= 3);
    for row in reference["ease"].as_array().unwrap() {
        let options = json!({ "lambda": row["lambda"] });
        Threads::new(None).unwrap().install(|| {
            let model = ModelKind::Ease.fit(&options, split.train.matrix(), None, &FitRun::default()).unwrap().model;
            for (part, held_out) in [("validation", &split.validation), ("test", &split.test)] {
                for values in evaluate(&*model, held_out, &METRICS).unwrap().metrics {
                    let expected = row[part][values.metric.to_string()].as_f64().unwrap();
                    assert!(
                        (values.mean - expected).abs() < 5e-5,
                        "{options} {part} {}: {}",
                        values.metric,
                        values.mean
                    );
                }
            }
        });
    }
}

#[test]
#[cfg_attr(not(shared), ignore = "no folder shared/reference above this checkout")]
fn edlae_meets_the_reference() {
    let (split, reference) = reference();
    assert!(!reference["edlae"].as_array().unwrap().is_empty());
    for row in reference["edlae"].as_array().unwrap() {
        let options = json!({ "lambda": row["lambda"], "dropoutRate": row["dropout"] });
        let compared = Threads::new(None).unwrap().install(|| {
            let mut compared = 0;
            let model = ModelKind::Edlae.fit(&options, split.train.matrix(), None, &FitRun::default()).unwrap().model;
            for (part, held_out) in [("validation", &split.validation), ("test", &split.test)] {
                for values in evaluate(&*model, held_out, &METRICS).unwrap().metrics {
                    // Recalls of the validation users are not recorded.
                    let Some(expected) = row[part][values.metric.to_string()].as_f64() else { continue };
                    let ours = values.mean;
                    assert!((ours - expected).abs() < 5e-5, "{options} {part} {}: {ours}", values.metric);
                    compared += 1;
                }
            }
            compared
        });
        assert!(compared >= METRICS.len(), "{compared}");
    }
}

/// iALS starts from random vectors, so its figures are met to what another seed changes (a few thousandths on 500
/// users).
#[test]
#[cfg_attr(not(shared), ignore = "no folder shared/reference above this checkout")]
fn als_meets_the_reference() {
    let (split, reference) = reference();
    assert!(reference["als"].as_array().unwrap().len() >= 2);
    for row in reference["als"].as_array().unwrap().iter().take(2) {
        let options = json!({ "factors": row["dims"], "alpha0": row["alpha0"], "lambda": row["reg"], "nu": row["nu"], "epochs": row["epochs"] });
        Threads::new(None).unwrap().install(|| {
            let fit = ModelKind::Als.fit(&options, split.train.matrix(), None, &FitRun::default()).unwrap();
            for (part, held_out) in [("validation", &split.validation), ("test", &split.test)] {
                let ours = evaluate(&*fit.model, held_out, &METRICS).unwrap().mean(Metric::Ndcg(100)).unwrap();
                let expected = row[part]["ndcg@100"].as_f64().unwrap();
                assert!((ours - expected).abs() < 0.006, "{options} {part}: {ours} against {expected}");
            }
        });
    }
}

/// Popularity with its ties broken for or against the held-out items of the one user who is asked about.
struct Nudged<'a> {
    counts: &'a [u32],
    held_out: &'a HeldOut,
    by: f32,
    user: std::sync::atomic::AtomicUsize,
}

impl Scorer for Nudged<'_> {
    fn n_items(&self) -> usize {
        self.counts.len()
    }

    fn score(&self, histories: &[&[u32]], mut scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        for mut row in scores.rows_mut().into_iter().take(histories.len()) {
            let user = self.user.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            row.iter_mut().zip(self.counts).for_each(|(score, &count)| *score = count as f32);
            self.held_out.target().row(user).iter().for_each(|&item| row[item as usize] += self.by);
        }
        Ok(())
    }
}

/// Many items are equally popular, and the reference breaks ties as its sort happens to. Its figures must lie between
/// those with all ties broken for the held-out items and all against them, and that range must be narrow.
#[test]
#[cfg_attr(not(shared), ignore = "no folder shared/reference above this checkout")]
fn popularity_meets_the_reference_ties_aside() {
    let (split, reference) = reference();
    let counts = split.train.matrix().column_counts();
    let held_out = &split.test;
    assert!(held_out.target().rows().all(|row| !row.is_empty()), "every row is asked about, in order");
    let nudged = |by| Nudged { counts: &counts, held_out, by, user: 0.into() };
    let bounds = [-0.5, 0.5].map(|by| evaluate(&nudged(by), held_out, &METRICS).unwrap());
    let model = ModelKind::Popularity.fit(&json!({}), split.train.matrix(), None, &FitRun::default()).unwrap().model;
    let ours = evaluate(&*model, held_out, &METRICS).unwrap();
    for ((low, high), ours) in bounds[0].metrics.iter().zip(&bounds[1].metrics).zip(&ours.metrics) {
        let expected = reference["popularity"]["test"][ours.metric.to_string()].as_f64().unwrap();
        let range = low.mean - 5e-7..=high.mean + 5e-7;
        assert!(range.contains(&expected) && range.contains(&ours.mean), "{}: {range:?}, {expected}", ours.metric);
        assert!(high.mean - low.mean < 3e-3, "{}: {range:?}", ours.metric);
    }
}
