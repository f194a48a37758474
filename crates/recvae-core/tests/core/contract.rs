//! What every model promises, on data whose right answer is known by construction.

#![allow(clippy::unwrap_used)]

use recvae_core::ndarray::Array2;
use recvae_core::{
    Csr, FitRun, HeldOut, Ids, Metric, Model, ModelKind, Progress, Recommender, Result, Search, Threads, evaluate,
    recommend,
};
use serde_json::{Value, json};

/// Users of two tastes: items 0..20 or 20..40, each user with most of one half. Whoever has some items of a half should
/// be given the rest of it.
fn two_tastes(n_users: usize, first: usize) -> Csr {
    let rows = (first..first + n_users).map(|user| {
        let half = (user % 2) as u32 * 20;
        (0..20u32).filter(move |item| (item * 7 + user as u32 * 3) % 10 < 7).map(move |item| half + item)
    });
    Csr::from_rows(rows.map(|row| row.collect::<Vec<_>>()), 40).unwrap()
}

/// Small enough for a test, large enough to learn two tastes.
fn options(kind: ModelKind) -> Value {
    match kind {
        ModelKind::Popularity => json!({}),
        ModelKind::Ease => json!({"lambda": 5}),
        ModelKind::Edlae => json!({"lambda": 2, "dropoutRate": 0.2}),
        ModelKind::Rdlae => json!({"lambda": 2, "dropoutRate": 0.2, "xi": 0.4}),
        ModelKind::Deql => json!({"lambda": 2, "dropoutRate": 0.2, "keptWeight": 0.5}),
        ModelKind::HoEase => json!({"lambda": 5, "pairLambda": 20, "pairs": 30}),
        ModelKind::Als => json!({"factors": 8, "lambda": 0.01}),
        ModelKind::MultDae => json!({"latentDim": 8, "batchSize": 50, "epochs": 40}),
        ModelKind::MultVae => json!({"hiddenDim": 32, "latentDim": 8, "batchSize": 50, "epochs": 40}),
        ModelKind::RecVae => {
            json!({"hiddenDim": 32, "latentDim": 8, "batchSize": 50, "epochs": 25, "learningRate": 2e-3})
        }
        ModelKind::HVamp => json!({
            "hiddenDim": 32, "latentDim": 8, "pseudoUsers": 20, "batchSize": 50, "epochs": 40, "warmUp": 20, "learningRate": 1e-2
        }),
        ModelKind::Blend => json!({"weights": [0.5, 0.5]}),
    }
}

fn fit(kind: ModelKind) -> Box<dyn Model> {
    kind.fit(&options(kind), &two_tastes(200, 0), None, &FitRun::default()).unwrap().model
}

fn validation() -> HeldOut {
    let all = two_tastes(20, 1000);
    let part = |keep: fn(usize) -> bool| {
        let rows = all
            .rows()
            .map(|row| row.iter().enumerate().filter(|(at, _)| keep(*at)).map(|(_, &item)| item).collect::<Vec<_>>());
        Csr::from_rows(rows, 40).unwrap()
    };
    let users: Ids = (0..20).map(|user| user.to_string()).collect();
    HeldOut::new(users, part(|at| at % 4 != 0), part(|at| at % 4 == 0)).unwrap()
}

#[test]
fn the_rest_of_a_taste_comes_first() {
    for &kind in ModelKind::TRAINED {
        let model = fit(kind);
        for (history, half) in [(vec![1u32, 4, 9, 13], 0..20), (vec![21, 24, 29, 33], 20..40)] {
            let lists = recommend(&*model, &[&history], 10, true).unwrap();
            let right = lists[0].iter().filter(|scored| half.contains(&scored.item)).count();
            if kind == ModelKind::Popularity {
                // The most popular ones, whatever the history is.
                let users = two_tastes(200, 0).column_counts();
                let mut expected: Vec<u32> = (0..40).filter(|item| !history.contains(item)).collect();
                expected.sort_by_key(|&item| std::cmp::Reverse(users[item as usize]));
                assert_eq!(
                    lists[0].iter().map(|scored| scored.item).collect::<Vec<_>>(),
                    expected[..10],
                    "{history:?}"
                );
            } else {
                assert_eq!(right, 10, "{kind:?}: {:?} for {history:?}", lists[0]);
            }
            assert!(lists[0].iter().all(|scored| !history.contains(&scored.item)));
        }
    }
}

#[test]
fn a_batch_is_its_users_one_by_one() {
    let users = two_tastes(300, 500);
    let mut histories: Vec<&[u32]> = users.rows().collect();
    histories[5] = &[];
    for &kind in ModelKind::TRAINED {
        let model = fit(kind);
        let mut together = model.scores(&histories).unwrap();
        let mut alone = Array2::zeros((1, 40));
        for (history, together) in histories.iter().zip(together.rows()) {
            model.score(&[history], alone.view_mut()).unwrap();
            assert_eq!(alone.row(0), together, "{kind:?}");
            assert!(alone.iter().all(|score| score.is_finite()));
        }
        assert!(model.score(&[&[40]], alone.view_mut()).is_err(), "{kind:?} takes an item it does not have");
        assert!(model.score(&[&[1]], together.view_mut()).is_err(), "{kind:?} takes too many scores");
    }
}

#[test]
fn asking_for_more_than_there_is_gives_all_of_it() {
    for &kind in ModelKind::TRAINED {
        let model = fit(kind);
        let lists = recommend(&*model, &[&[3, 5], &[]], 100, true).unwrap();
        assert_eq!((lists[0].len(), lists[1].len()), (38, 40), "{kind:?}");
        let unfiltered = recommend(&*model, &[&[3, 5]], 100, false).unwrap();
        assert_eq!(unfiltered[0].len(), 40);
        assert_eq!(recommend(&*model, &[&[3]], 0, true).unwrap_err().code(), "INVALID_ARGUMENT");
    }
}

#[test]
fn same_seed_same_bytes_another_seed_others() {
    let folder = tempfile::tempdir().unwrap();
    let items: Ids = (0..40).map(|item| format!("item {item}")).collect();
    let bytes = |kind: ModelKind, seed: u64, threads: usize| {
        let mut options = options(kind);
        let closed = kind.has_item_matrix() || matches!(kind, ModelKind::Popularity | ModelKind::HoEase);
        let seeded = !closed;
        if seeded {
            options["seed"] = seed.into();
            options["epochs"] = 3.into();
        }
        Threads::new(Some(threads)).unwrap().install(|| -> Result<_> {
            let model = kind.fit(&options, &two_tastes(200, 0), Some(&validation()), &FitRun::default())?.model;
            let path = folder.path().join("model");
            Recommender::new(model, items.clone(), Value::Null)?.save(&path)?;
            Ok((std::fs::read(path).unwrap(), seeded))
        })
    };
    for &kind in ModelKind::TRAINED {
        let (first, seeded) = bytes(kind, 1, 1).unwrap();
        assert!(first == bytes(kind, 1, 2).unwrap().0, "{kind:?}");
        assert_eq!(first == bytes(kind, 2, 1).unwrap().0, !seeded, "{kind:?}");
    }
}

#[test]
fn the_best_epoch_on_validation_is_kept() {
    let held_out = validation();
    for kind in [ModelKind::MultDae, ModelKind::MultVae, ModelKind::RecVae] {
        let mut options = options(kind);
        options["epochs"] = 12.into();
        options["learningRate"] = 0.05.into(); // too large, so that the metric goes up and down
        let seen = std::sync::Mutex::new(vec![]);
        let on_progress = |progress: &Progress| seen.lock().unwrap().push(progress.clone());
        let run = FitRun { on_progress: &on_progress, ..FitRun::default() };
        let fit = kind.fit(&options, &two_tastes(200, 0), Some(&held_out), &run).unwrap();
        assert_eq!(fit.epochs, *seen.lock().unwrap());
        let values: Vec<f64> = fit.epochs.iter().map(|progress| progress.validation.unwrap()).collect();
        let best = values.iter().copied().fold(f64::MIN, f64::max);
        let model = Recommender::new(fit.model, (0..40).map(|i| i.to_string()).collect(), Value::Null).unwrap();
        let again = evaluate(model.model(), &held_out, &[Metric::VALIDATION]).unwrap();
        assert_eq!(again.mean(Metric::VALIDATION), Some(best), "{kind:?}: {values:?}");
        let first_best = values.iter().position(|&value| value == best).unwrap();
        assert!(fit.epochs[first_best].best && fit.epochs[first_best + 1..].iter().all(|progress| !progress.best));
    }
}

#[test]
fn patience_ends_training() {
    let held_out = validation();
    for kind in [ModelKind::MultDae, ModelKind::MultVae, ModelKind::RecVae] {
        let mut options = options(kind);
        options["epochs"] = 500.into();
        options["patience"] = 2.into();
        options["learningRate"] = 0.05.into();
        if kind == ModelKind::MultVae {
            options["annealing"] = 0.into();
        }
        let fit = kind.fit(&options, &two_tastes(200, 0), Some(&held_out), &FitRun::default()).unwrap();
        let best = fit.epochs.iter().rposition(|progress| progress.best).unwrap();
        assert_eq!(fit.epochs.len(), best + 3, "{kind:?}");
        assert!(fit.epochs.len() < 500);
    }
}

#[test]
fn every_switch_of_recvae_trains() {
    for (key, value) in [
        ("prior", json!("standard")),
        ("klWeight", json!("constant")),
        ("training", json!("joint")),
        ("encoder", json!("shallow")),
        ("mixtureWeights", json!([0.0, 1.0, 0.0])),
        ("dropoutRate", json!(0)),
        ("decoderPasses", json!(2)),
    ] {
        let mut options = options(ModelKind::RecVae);
        options[key] = value;
        let fit = ModelKind::RecVae.fit(&options, &two_tastes(200, 0), None, &FitRun::default()).unwrap();
        let (first, last) = (&fit.epochs[0], &fit.epochs[fit.epochs.len() - 1]);
        assert!(last.log_likelihood.unwrap() > first.log_likelihood.unwrap(), "{key}: {first:?} to {last:?}");
        let list = &recommend(&*fit.model, &[&[1, 4, 9, 13]], 5, true).unwrap()[0];
        assert!(list.iter().all(|scored| scored.item < 20), "{key}: {list:?}");
    }
}

#[test]
fn bad_options_and_bad_data_are_errors_that_name_them() {
    let train = two_tastes(20, 0);
    let error = |kind: ModelKind, options: Value, train: &Csr, validation: Option<&HeldOut>| {
        kind.fit(&options, train, validation, &FitRun::default()).err().expect("an error")
    };
    for (kind, options, text) in [
        (ModelKind::Ease, json!({"lambda": 0}), "lambda is 0; allowed: a finite number above 0"),
        (ModelKind::Ease, json!({"lambda": -1.5}), "lambda is -1.5; allowed: a finite number above 0"),
        (ModelKind::Ease, json!({"lamda": 3}), "ease option is 'lamda'; allowed: lambda, precision, density"),
        (ModelKind::Edlae, json!({"dropoutRate": 1}), "dropoutRate is 1; allowed: a finite number from 0 to below 1"),
        (ModelKind::Rdlae, json!({"xi": 1.1}), "xi is 1.1; allowed: a finite number from 0 to 1"),
        (ModelKind::Deql, json!({"keptWeight": -1}), "keptWeight is -1; allowed: a finite number, 0 or more"),
        (ModelKind::HoEase, json!({"pairs": 0.5}), "pairs is 0.5; allowed: a whole number, 0 or more"),
        (
            ModelKind::MultDae,
            json!({"hiddenDim": 3}),
            "mult-dae option is 'hiddenDim'; allowed: lambda, latentDim, dropoutRate, learningRate, batchSize, epochs, patience, seed",
        ),
        (ModelKind::Popularity, json!({"k": 3}), "popularity option is 'k'; allowed: no option at all"),
        (ModelKind::RecVae, json!({"dropoutRate": 1}), "dropoutRate is 1; allowed: a finite number from 0 to below 1"),
        (
            ModelKind::RecVae,
            json!({"mixtureWeights": [1, 1, 1]}),
            "mixtureWeights is [1.0, 1.0, 1.0]; allowed: a sum of 1",
        ),
        (ModelKind::MultVae, json!({"batchSize": 0}), "batchSize is 0; allowed: a whole number from 1 to 1048576"),
    ] {
        let error = error(kind, options, &train, None);
        assert_eq!((error.code(), error.to_string().as_str()), ("INVALID_ARGUMENT", text));
    }
    let error_text = "lambda = 1e-30 on its diagonal is not positive definite in f32";
    // Twice the same column, four users: the root is exact, so the second pivot is exactly 0.
    let singular = Csr::from_rows([&[0u32, 1][..]; 4], 2).unwrap();
    let indefinite = error(ModelKind::Ease, json!({"lambda": 1e-30}), &singular, None);
    assert_eq!(indefinite.code(), "NUMERICAL");
    assert!(indefinite.to_string().contains(error_text) && indefinite.to_string().contains("precision 'f64'"));
    for &kind in ModelKind::TRAINED {
        for (rows, n_items) in [(vec![vec![0u32, 1]], 2), (vec![vec![0], vec![0]], 1), (vec![vec![], vec![]], 2)] {
            let tiny = Csr::from_rows(rows, n_items).unwrap();
            assert_eq!(error(kind, options(kind), &tiny, None).code(), "INVALID_DATA", "{kind:?}");
        }
        let fewer = Csr::from_rows([&[0u32, 1][..], &[1, 2]], 3).unwrap();
        let foreign = error(kind, options(kind), &fewer, Some(&validation()));
        assert_eq!(foreign.to_string(), "validation data have 40 items; allowed: the 3 of the training data");
    }
    assert_eq!(
        "itemknn".parse::<ModelKind>().unwrap_err().to_string(),
        "model is 'itemknn'; allowed: popularity, ease, edlae, rdlae, deql, hoease, als, mult-dae, mult-vae, recvae, hvamp, blend"
    );
}

#[test]
fn every_default_lies_in_its_range() {
    for &kind in ModelKind::TRAINED {
        let defaults: serde_json::Map<String, Value> =
            kind.describe_options().into_iter().map(|option| (option.name, option.default)).collect();
        let complete = kind.complete_options(&Value::Object(defaults.clone())).unwrap();
        assert_eq!(complete, Value::Object(defaults), "{kind:?}");
        for option in kind.describe_options() {
            for value in option.search.iter().flat_map(Search::ends) {
                kind.complete_options(&json!({ option.name.clone(): value })).unwrap();
            }
        }
    }
}

/// A step can ruin the parameters after the last loss that anybody looks at.
#[test]
fn a_ruined_model_is_an_error_not_a_result() {
    for kind in [ModelKind::MultDae, ModelKind::MultVae, ModelKind::RecVae, ModelKind::HVamp] {
        let mut options = options(kind);
        options["epochs"] = 1.into();
        options["batchSize"] = 200.into();
        options["learningRate"] = 1e38.into();
        let error = kind.fit(&options, &two_tastes(200, 0), None, &FitRun::default()).err().expect("an error");
        assert_eq!(error.code(), "NUMERICAL");
        assert!(error.to_string().contains("epoch 1"), "{error}");
    }
}

#[test]
fn patience_waits_until_beta_has_grown() {
    let held_out = validation();
    let mut options = options(ModelKind::MultVae);
    for (key, value) in [("epochs", json!(30)), ("patience", json!(1)), ("annealing", json!(0.5))] {
        options[key] = value;
    }
    options["learningRate"] = 0.05.into();
    let fit = ModelKind::MultVae.fit(&options, &two_tastes(200, 0), Some(&held_out), &FitRun::default()).unwrap();
    assert!(fit.epochs.len() >= 16, "stopped after {}", fit.epochs.len());
}
