//! How far a closed form is.

#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use recvae_core::{
    Cancel, Csr, EaseCounts, Error, Fit, FitRun, Ids, Interactions, ModelKind, Progress, Recommender, StepProgress,
};
use recvae_core::{Result, Stream, Threads};
use serde_json::{Value, json};

/// Enough for a matrix of several blocks.
const N: usize = 1_100;

fn train() -> Csr {
    let mut random = Stream::new(4, 0);
    let rows = (0..600).map(|user| {
        let mut row: Vec<u32> = (0..25).map(|_| (random.below(30) * random.below(37)) as u32).collect();
        row.push(user % N as u32);
        row.sort_unstable();
        row.dedup();
        row
    });
    Csr::from_rows(rows.collect::<Vec<_>>(), N).unwrap()
}

/// The same number of items, of which any two may meet, where most of those of [`train`] meet few others.
fn even() -> Csr {
    let mut random = Stream::new(5, 0);
    let rows = (0..600).map(|_| {
        let mut row: Vec<u32> = (0..25).map(|_| random.below(N as u64) as u32).collect();
        row.sort_unstable();
        row.dedup();
        row
    });
    Csr::from_rows(rows.collect::<Vec<_>>(), N).unwrap()
}

fn counts() -> EaseCounts {
    let ids = |n: usize| (0..n).map(|id| id.to_string()).collect::<Ids>();
    EaseCounts::count(&Interactions::new(ids(600), ids(N), train()).unwrap(), None, &Cancel::default()).unwrap()
}

type Work = Box<dyn Fn(&FitRun<'_>) -> Result<Fit> + Sync>;

/// All that has no epochs, with the least number of reports that it has to give.
fn closed_forms() -> Vec<(String, usize, Work)> {
    let of = |kind: ModelKind, options: Value, least: usize| {
        let name = format!("{} {options}", kind.name());
        let work: Work = Box::new(move |run| kind.fit(&options, &train(), None, run));
        (name, least, work)
    };
    let counts = counts();
    vec![
        of(ModelKind::Popularity, json!({}), 2),
        of(ModelKind::Ease, json!({}), 20),
        of(ModelKind::Ease, json!({"precision": "f64"}), 20),
        of(ModelKind::Ease, json!({"density": 0.05}), 100),
        of(ModelKind::Edlae, json!({}), 20),
        of(ModelKind::Edlae, json!({"density": 0.01}), 100),
        of(ModelKind::Deql, json!({}), 20),
        of(ModelKind::HoEase, json!({"pairs": 200}), 20),
        ("even".to_owned(), 20, Box::new(|run| ModelKind::Ease.fit(&json!({}), &even(), None, run))),
        ("counts".to_owned(), 10, Box::new(move |run| counts.fit(&json!({}), run))),
    ]
}

#[test]
fn steps_are_told_from_the_beginning_of_each_epoch_on() {
    let batches = 600usize.div_ceil(50);
    for (kind, options, steps) in [
        // Three passes over the users for the encoder and one for the decoder.
        (
            ModelKind::RecVae,
            json!({"hiddenDim": 4, "latentDim": 2, "epochs": 2, "batchSize": 50, "gamma": 0.01}),
            4 * batches,
        ),
        (ModelKind::MultVae, json!({"hiddenDim": 4, "latentDim": 2, "epochs": 2, "batchSize": 50}), batches),
        (ModelKind::Als, json!({"factors": 2, "epochs": 2}), 1),
    ] {
        let told = Mutex::new(vec![]);
        let on_step = |step: StepProgress| told.lock().unwrap().push(step);
        kind.fit(&options, &train(), None, &FitRun { on_step: &on_step, ..FitRun::default() }).unwrap();
        let told = told.into_inner().unwrap();
        for epoch in [1, 2] {
            let fractions: Vec<f64> =
                told.iter().filter(|step| step.epoch == epoch).map(|step| step.fraction).collect();
            assert_eq!((fractions[0], fractions.len()), (0.0, 1 + steps), "{kind:?}");
            assert!(
                fractions.is_sorted() && fractions.iter().all(|&fraction| fraction < 1.0),
                "{kind:?}: {fractions:?}"
            );
        }
        assert!(told.iter().all(|step| step.epochs == 2), "{kind:?}");
    }
}

#[test]
fn the_share_grows_from_0_to_1_and_changes_nothing() {
    for (name, least, work) in closed_forms() {
        let bytes = |fit: Fit| {
            assert!(fit.epochs.is_empty(), "{name}: no epoch is recorded");
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("model");
            let ids = (0..N).map(|item| item.to_string()).collect();
            Recommender::new(fit.model, ids, Value::Null).unwrap().save(&path).unwrap();
            std::fs::read(path).unwrap()
        };
        let silent = bytes(work(&FitRun::default()).unwrap());
        for threads in [1, 3] {
            let seen = Mutex::new(vec![]);
            let on_progress = |progress: &Progress| seen.lock().unwrap().push(progress.clone());
            let run = FitRun { on_progress: &on_progress, ..FitRun::default() };
            let fit = Threads::new(Some(threads)).unwrap().install(|| work(&run)).unwrap();
            assert!(bytes(fit) == silent, "{name}");
            let seen = seen.into_inner().unwrap();
            let shares: Vec<f64> = seen.iter().map(|progress| progress.fraction.unwrap()).collect();
            assert!(shares.is_sorted_by(|a, b| a < b), "{name}: {shares:?}");
            assert_eq!((shares[0], shares[shares.len() - 1]), (0.0, 1.0), "{name}");
            assert!((least..=201).contains(&shares.len()), "{name}: {} reports", shares.len());
            assert!(seen.iter().all(|progress| (progress.epoch, progress.epochs, progress.best) == (0, 0, false)));
            assert!(seen.is_sorted_by(|a, b| a.seconds <= b.seconds), "{name}");
        }
    }
}

#[test]
fn who_hears_of_it_can_stop_it_on_the_way() {
    for (name, least, work) in closed_forms() {
        if least == 2 {
            continue; // it has no step to be stopped in
        }
        for stop in [0.0, 0.3, 0.7] {
            let (cancel, last) = (Cancel::default(), Mutex::new(0.0));
            let on_progress = |progress: &Progress| {
                *last.lock().unwrap() = progress.fraction.unwrap();
                if progress.fraction >= Some(stop) {
                    cancel.cancel();
                }
            };
            let run = FitRun { on_progress: &on_progress, cancel: cancel.clone(), ..FitRun::default() };
            let stopped = Threads::new(Some(1)).unwrap().install(|| work(&run));
            assert!(matches!(stopped, Err(Error::Cancelled)), "{name} at {stop}");
            // The step at work ends, and none comes after it: of the largest, a tenth of the whole.
            let last = *last.lock().unwrap();
            assert!(last < stop + 0.15, "{name}: at {last} after it was stopped at {stop}");
        }
    }
}

#[test]
fn models_with_epochs_tell_of_epochs_alone() {
    let options = json!({"epochs": 2, "latentDim": 4});
    let seen = Mutex::new(vec![]);
    let on_progress = |progress: &Progress| seen.lock().unwrap().push((progress.epoch, progress.fraction));
    let run = FitRun { on_progress: &on_progress, ..FitRun::default() };
    ModelKind::MultDae.fit(&options, &train(), None, &run).unwrap();
    ModelKind::Als.fit(&json!({"epochs": 2, "factors": 4}), &train(), None, &run).unwrap();
    assert_eq!(*seen.lock().unwrap(), [(1, None), (2, None), (1, None), (2, None)]);
}
