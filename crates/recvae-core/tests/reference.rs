//! Closed forms against the reference results on ML-1M. Skipped, and said so, where the data are absent: they may not be
//! shipped.

#![allow(clippy::unwrap_used, clippy::explicit_write)]

use std::io::Write;
use std::path::{Path, PathBuf};

use recvae_core::{FitRun, HeldOut, Metric, ModelKind, Result, Scorer, Split, Threads, evaluate, read_official};
use serde_json::{Value, json};

/// The folder of shared reference data, where the checkout stands beside it.
fn shared() -> Option<PathBuf> {
    let named = std::env::var_os("RECVAE_SHARED").map(PathBuf::from);
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared"));
    named.into_iter().chain(above).find(|folder| folder.join("reference").is_dir())
}

fn reference() -> Option<(Split, Value)> {
    let Some(shared) = shared() else {
        writeln!(std::io::stderr(), "SKIPPED: no folder shared/reference above this checkout").unwrap(); // not captured, unlike println!
        return None;
    };
    let text = std::fs::read_to_string(shared.join("reference/ml-1m-results.json")).unwrap();
    Some((read_official(shared.join("data/ml-1m-split")).unwrap(), serde_json::from_str(&text).unwrap()))
}

const METRICS: [Metric; 3] = [Metric::Ndcg(100), Metric::Recall(20), Metric::Recall(50)];

#[test]
fn ease_meets_the_reference_at_each_lambda() {
    let Some((split, reference)) = reference() else { return };
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
fn edlae_meets_the_reference() {
    let Some((split, reference)) = reference() else { return };
    for row in reference["edlae"].as_array().unwrap() {
        let options = json!({ "lambda": row["lambda"], "dropoutRate": row["dropout"] });
        Threads::new(None).unwrap().install(|| {
            let model = ModelKind::Edlae.fit(&options, split.train.matrix(), None, &FitRun::default()).unwrap().model;
            for (part, held_out) in [("validation", &split.validation), ("test", &split.test)] {
                for values in evaluate(&*model, held_out, &METRICS).unwrap().metrics {
                    // Recalls of the validation users are not recorded.
                    let Some(expected) = row[part][values.metric.to_string()].as_f64() else { continue };
                    let ours = values.mean;
                    assert!((ours - expected).abs() < 5e-5, "{options} {part} {}: {ours}", values.metric);
                }
            }
        });
    }
}

/// iALS starts from random vectors, so its figures are met to what another seed changes (a few thousandths on 500 users).
#[test]
fn als_meets_the_reference() {
    let Some((split, reference)) = reference() else { return };
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

    fn score(&self, histories: &[&[u32]], scores: &mut [f32]) -> Result<()> {
        for row in scores.chunks_mut(self.counts.len()).take(histories.len()) {
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
fn popularity_meets_the_reference_ties_aside() {
    let Some((split, reference)) = reference() else { return };
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
