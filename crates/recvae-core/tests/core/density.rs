//! EASE^R with weights for a share of the pairs.

#![allow(clippy::unwrap_used)]

use recvae_core::{
    Cancel, CompactOptions, Csr, EaseCounts, FitRun, FitShape, Ids, Interactions, LoadOptions, ModelKind, Options,
    Recommender, Stream, Threads,
};
use serde_json::{Value, json};

const N: usize = 120;
const LAMBDA: f64 = 5.0;

/// Users of ten tastes with some items of others; nobody has item 50.
fn train() -> Csr {
    let mut random = Stream::new(11, 0);
    let rows = (0..700u32).map(|user| {
        let chance = |item: u32| if item % 10 == user % 10 { 2 } else { 4 + u64::from(item) / 8 };
        (0..N as u32).filter(|&item| random.below(chance(item)) == 0 && item != 50).collect::<Vec<_>>()
    });
    Csr::from_rows(rows, N).unwrap()
}

fn fit(options: Value) -> Recommender {
    let model = ModelKind::Ease.fit(&options, &train(), None, &FitRun::default()).unwrap().model;
    Recommender::new(model, (0..N).map(|item| format!("item {item}")).collect(), json!({"kept": true})).unwrap()
}

/// B, row by row: the scores of histories of one item.
fn rows(model: &Recommender) -> Vec<Vec<f32>> {
    let row = |item: u32| model.model().scores(&[&[item]]).unwrap().into_iter().collect();
    (0..N as u32).map(row).collect()
}

fn gram() -> Vec<Vec<f64>> {
    let mut gram = vec![vec![0.0; N]; N];
    for row in train().rows() {
        for &i in row {
            row.iter().for_each(|&j| gram[i as usize][j as usize] += 1.0);
        }
    }
    gram
}

#[test]
fn a_density_of_1_is_the_dense_model_bit_by_bit() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = |options: Value| {
        let path = folder.path().join("model");
        fit(options).save(&path).unwrap();
        std::fs::read(path).unwrap()
    };
    assert!(bytes(json!({"lambda": LAMBDA})) == bytes(json!({"lambda": LAMBDA, "density": 1})));
}

#[test]
fn no_pair_beyond_the_share_and_the_gradient_is_0_on_those_that_there_are() {
    let gram = gram();
    for density in [0.0002, 0.01, 0.1, 0.4] {
        let b = rows(&fit(json!({"lambda": LAMBDA, "density": density})));
        let entries = b.iter().flatten().filter(|&&weight| weight != 0.0).count() as f64;
        assert!(entries <= density * (N * N) as f64 && entries > 0.9 * density * (N * N) as f64 - 1.0, "{entries}");
        assert!((0..N).all(|item| b[item][item] == 0.0 && b[50][item] == 0.0 && b[item][50] == 0.0));
        for j in 0..N {
            for i in (0..N).filter(|&i| b[i][j] != 0.0) {
                let product: f64 = (0..N).map(|k| gram[i][k] * f64::from(b[k][j])).sum();
                let gradient = product + LAMBDA * f64::from(b[i][j]) - gram[i][j];
                // Counts up to 350, the same in f32 with 24 bits and a sum of up to 120 of them.
                assert!(gradient.abs() < 2e-3, "{density}: {gradient} at {i}, {j}");
            }
        }
    }
}

fn fit_edlae(options: Value) -> Recommender {
    fit_on(ModelKind::Edlae, options, &train())
}

fn fit_on(kind: ModelKind, options: Value, train: &Csr) -> Recommender {
    let model = kind.fit(&options, train, None, &FitRun::default()).unwrap().model;
    Recommender::new(model, (0..N).map(|item| format!("item {item}")).collect(), Value::Null).unwrap()
}

#[test]
fn of_edlae_the_gradient_of_its_own_loss_is_0() {
    let (gram, rate) = (gram(), 0.4);
    for density in [0.01, 0.1, 0.4] {
        let b = rows(&fit_edlae(json!({"lambda": LAMBDA, "dropoutRate": rate, "density": density})));
        assert!(
            b.iter().flatten().filter(|&&weight| weight != 0.0).count() as f64 > 0.9 * density * (N * N) as f64 - 1.0
        );
        for j in 0..N {
            for i in (0..N).filter(|&i| b[i][j] != 0.0) {
                let product: f64 = (0..N).map(|k| gram[i][k] * f64::from(b[k][j])).sum();
                let penalty = LAMBDA + rate / (1.0 - rate) * gram[i][i];
                let gradient = product + penalty * f64::from(b[i][j]) - gram[i][j];
                // As for EASE^R above.
                assert!(gradient.abs() < 2e-3, "{density}: {gradient} at {i}, {j}");
            }
        }
    }
}

#[test]
fn with_nearly_all_pairs_they_are_the_dense_ones_and_without_dropout_edlae_is_ease() {
    // Every user has half of the items, so that each pair has users: one that nobody has gets no weight.
    let mut random = Stream::new(5, 0);
    let halves = (0..400).map(|_| (0..N as u32).filter(|_| random.below(2) == 0).collect::<Vec<_>>());
    let train = Csr::from_rows(halves.collect::<Vec<_>>(), N).unwrap();
    for kind in [ModelKind::Edlae, ModelKind::Rdlae, ModelKind::Deql] {
        let options = |density: f64| json!({"lambda": LAMBDA, "precision": "f64", "density": density});
        let [dense, sparse] = [1.0, 0.9999].map(|density| rows(&fit_on(kind, options(density), &train)));
        assert!(sparse.iter().flatten().filter(|&&weight| weight != 0.0).count() == N * (N - 1));
        for (dense, sparse) in dense.iter().flatten().zip(sparse.iter().flatten()) {
            // Weights leave in f32, and are below 1.
            assert!((dense - sparse).abs() < 1e-6, "{kind:?}: {dense} and {sparse}");
        }
    }
    let options = json!({"lambda": LAMBDA, "density": 0.1});
    let mut edlae = options.clone();
    edlae["dropoutRate"] = 0.into();
    assert!(rows(&fit_edlae(edlae)) == rows(&fit(options)));
}

#[test]
fn a_file_brings_edlae_of_few_pairs_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let options = json!({"lambda": LAMBDA, "dropoutRate": 0.3, "precision": "f32", "density": 0.1});
    let model = fit_edlae(options.clone());
    model.save(&path).unwrap();
    let again = Recommender::load_with(&path, &LoadOptions::default()).unwrap();
    assert_eq!((again.model().kind(), again.model().options()), (ModelKind::Edlae, options));
    assert!(rows(&again) == rows(&model));
}

#[test]
fn the_more_pairs_the_lower_the_loss() {
    let gram = gram();
    // `||X - X B||^2 + lambda ||B||^2`, column by column from the counts.
    let loss = |density: f64| {
        let b = rows(&fit(json!({"lambda": LAMBDA, "density": density, "precision": "f64"})));
        let column = |j: usize| -> f64 {
            let b: Vec<f64> = b.iter().map(|row| row[j].into()).collect();
            let product = |i: usize| (0..N).map(|k| gram[i][k] * b[k]).sum::<f64>();
            gram[j][j] + (0..N).map(|i| b[i] * (product(i) + LAMBDA * b[i] - 2.0 * gram[i][j])).sum::<f64>()
        };
        (0..N).map(column).sum::<f64>()
    };
    let losses = [0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0].map(loss);
    assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "{losses:?}");
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let b = |threads| Threads::new(Some(threads)).unwrap().install(|| rows(&fit(json!({"density": 0.07}))));
    let one = b(1);
    assert!(one == b(3) && one == b(64));
}

#[test]
fn a_file_brings_it_back_and_it_can_be_made_smaller() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    for precision in ["f32", "f64"] {
        let options = json!({"lambda": LAMBDA, "precision": precision, "density": 0.1});
        let model = fit(options.clone());
        model.save(&first).unwrap();
        let bytes = std::fs::read(&first).unwrap();
        // 8 bytes an entry and an item, and ids and header.
        assert!(bytes.len() < 8 * (N * N / 10 + N) + 4096, "{}", bytes.len());
        for mmap in [true, false] {
            let again =
                Recommender::load_with(&first, &LoadOptions { mmap, verify: Some(true), ..LoadOptions::default() })
                    .unwrap();
            assert_eq!(again.model().options(), options);
            assert!(rows(&again) == rows(&model));
            again.save(&second).unwrap();
            assert!(std::fs::read(&second).unwrap() == bytes);
        }
        let compact = |options: Value| model.compact(&CompactOptions::from_json(&options).unwrap()).unwrap();
        assert!(rows(&compact(json!({}))) == rows(&model));
        let smaller = compact(json!({"topPerItem": 3, "precision": "f16"}));
        assert_eq!(smaller.model().options(), options);
        assert!(rows(&smaller).iter().all(|row| row.iter().filter(|&&weight| weight != 0.0).count() <= 3));
        smaller.save(&second).unwrap();
        assert!(std::fs::metadata(&second).unwrap().len() < bytes.len() as u64 / 2);
    }
}

#[test]
fn shares_that_are_none_and_counts_are_refused() {
    let error = |options: Value| ModelKind::Ease.fit(&options, &train(), None, &FitRun::default()).err().unwrap();
    for bad in [json!(0), json!(-0.1), json!(1.01), json!("1"), json!(null)] {
        let error = error(json!({ "density": bad }));
        let text = format!("density is {bad}; allowed: a finite number above 0 and up to 1");
        assert_eq!((error.code(), error.to_string()), ("INVALID_ARGUMENT", text));
    }
    let least = 1.0 / (N * N) as f64;
    let text = format!("density is 1e-5; allowed: {least} or more for {N} items");
    assert_eq!(error(json!({"density": 1e-5})).to_string().replace("0.00001", "1e-5"), text);
    let ids = |n: usize| (0..n).map(|id| id.to_string()).collect::<Ids>();
    let data = Interactions::new(ids(700), ids(N), train()).unwrap();
    let counts = EaseCounts::count(&data, None, &Cancel::default()).unwrap();
    let error = counts.fit(&json!({"density": 0.5}), &FitRun::default()).err().unwrap();
    assert_eq!(error.to_string(), "density of a fit on counts is 0.5; allowed: 1");
}

#[test]
fn a_refusal_names_the_largest_density_that_fits() {
    let train = Csr::from_rows((0..2000u32).map(|user| [user * 100, user * 100 + 1]), 200_000).unwrap();
    let refusal = |options: Value, limit: f64| {
        let run = FitRun { memory_limit: Some(limit as u64), ..FitRun::default() };
        ModelKind::Ease.fit(&options, &train, None, &run).err().unwrap().to_string()
    };
    let text = |density: f64| {
        format!(
            "density {density} (--set density={density}: weights for that share of the pairs of items), or more memory"
        )
    };
    let dense = refusal(json!({}), 8e9);
    assert!(dense.contains("most of it (149.0 GiB) for its matrix of items x items; 7.5 GiB is allowed"), "{dense}");
    assert!(dense.ends_with(&text(0.002)), "{dense}");
    let sparse = refusal(json!({"density": 0.02}), 8e9);
    assert!(sparse.contains("for the chosen pairs of items and their weights;") && sparse.ends_with(&text(0.002)));
    assert!(refusal(json!({}), 1e9).ends_with(&text(0.001)));
    assert!(refusal(json!({"density": 0.001}), 5e8).ends_with(&text(0.0005)));
    // What is named fits, and not even a little is left where nothing does.
    let shape = FitShape::of(&train, false, rayon_threads());
    let needed = ModelKind::Ease.estimate_memory(&json!({"density": 0.001}), &shape).unwrap().fit();
    assert!(needed < 1_000_000_000);
    assert!(!refusal(json!({}), 1e6).contains("density"));
    let run = FitRun { memory_limit: Some(needed), ..FitRun::default() };
    let model = ModelKind::Ease.fit(&json!({"density": 0.001}), &train, None, &run).unwrap().model;
    let scores = model.scores(&[&[300]]).unwrap();
    assert!(scores[(0, 301)] > 0.0 && scores.iter().filter(|&&score| score != 0.0).count() == 1);
}

fn rayon_threads() -> usize {
    rayon::current_num_threads()
}
