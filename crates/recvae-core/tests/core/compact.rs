//! Pruned EASE^R and EASE^R in half precision keep what every model promises, and so do those of EDLAE.

#![allow(clippy::unwrap_used)]

use recvae_core::ndarray::Array2;
use recvae_core::{
    Cancel, CompactOptions, Csr, FitRun, History, Ids, LoadOptions, Model, ModelKind, Options, RecommendOptions,
    Recommender, Result, Scored, TensorSource, recommend,
};
use serde_json::{Value, json};

const N: usize = 300;

/// Users of ten tastes, with a few items of others; wider than one piece of a row of scores is not needed here.
fn train() -> Csr {
    let rows = (0..400u32).map(|user| {
        let liked = |item: &u32| match item % 10 == user % 10 {
            true => (item * 7 + user * 3) % 11 < 7,
            false => (item * 31 + user * 17).is_multiple_of(97),
        };
        (0..N as u32).filter(liked).collect::<Vec<_>>()
    });
    Csr::from_rows(rows, N).unwrap()
}

fn fit(options: Value) -> Recommender {
    let model = ModelKind::Ease.fit(&options, &train(), None, &FitRun::default()).unwrap().model;
    Recommender::new(model, (0..N).map(|item| format!("item {item}")).collect(), json!({"kept": true})).unwrap()
}

fn compact(model: &Recommender, options: Value) -> Recommender {
    model.compact(&CompactOptions::from_json(&options).unwrap()).unwrap()
}

fn scores(model: &dyn Model, history: &[u32]) -> Vec<f32> {
    model.scores(&[history]).unwrap().into_iter().collect()
}

/// Rows of B: the scores of histories of one item.
fn rows(model: &Recommender) -> Vec<Vec<f32>> {
    (0..N as u32).map(|item| scores(model.model(), &[item])).collect()
}

/// The forms a model can have.
fn forms() -> Vec<Value> {
    let precisions = [json!(null), json!("f16"), json!("f32")];
    let options = precisions.into_iter().flat_map(|precision| {
        [json!(null), json!(7), json!(100_000)].map(|top| {
            let mut options = json!({});
            if !top.is_null() {
                options["topPerItem"] = top;
            }
            if !precision.is_null() {
                options["precision"] = precision.clone();
            }
            options
        })
    });
    options.collect()
}

#[test]
fn entries_are_those_of_b_or_left_out() {
    let full = fit(json!({"lambda": 3}));
    let b = rows(&full);
    for options in forms() {
        let (top, half) = (options["topPerItem"].as_u64().map_or(N, |top| top as usize), options["precision"] == "f16");
        let small = rows(&compact(&full, options.clone()));
        for item in 0..N {
            let (mut left, mut largest_gone, mut smallest_left) = (0, 0f32, f32::INFINITY);
            for (&exact, &found) in b[item].iter().zip(&small[item]) {
                if found == 0.0 && exact.abs() > 3e-8 {
                    largest_gone = largest_gone.max(exact.abs());
                    continue;
                }
                left += usize::from(found != 0.0);
                smallest_left = if found == 0.0 { smallest_left } else { smallest_left.min(exact.abs()) };
                // 11 bits, and steps of 2^-24 close to zero.
                let tolerance = if half { exact.abs() / 2048.0 + 3e-8 } else { 0.0 };
                assert!((exact - found).abs() <= tolerance, "{options}: {exact} and {found}");
            }
            assert!(
                left <= top && (top < N || largest_gone == 0.0) && largest_gone <= smallest_left,
                "{options}: {item}"
            );
            assert!(top >= N || left == top, "{options}: {left} of item {item}");
        }
    }
}

#[test]
fn a_batch_is_its_users_one_by_one_and_the_sum_of_their_rows() {
    let data = train();
    let histories: Vec<&[u32]> = data.rows().take(40).chain([&[][..]]).collect();
    for options in forms() {
        let model = compact(&fit(json!({"lambda": 3})), options.clone());
        let b = rows(&model);
        let together = model.model().scores(&histories).unwrap();
        for (history, together) in histories.iter().zip(together.rows()) {
            assert_eq!(together.to_vec(), scores(model.model(), history), "{options}");
            for (item, &score) in together.iter().enumerate() {
                let sum: f64 = history.iter().map(|&from| f64::from(b[from as usize][item])).sum();
                assert!((sum - f64::from(score)).abs() < 1e-5, "{options}: {sum} and {score}");
            }
        }
        let lists = recommend(model.model(), &histories, N + 1, true).unwrap();
        assert!(lists.iter().zip(&histories).all(|(list, history)| list.len() == N - history.len()));
        assert!(model.model().scores(&[&[N as u32]]).is_err());
        assert!(model.model().score(&[&[1]], Array2::zeros((1, 3)).view_mut()).is_err());
    }
}

/// Also few items, which are looked up in other ways, out of order and more than once.
#[test]
fn some_scores_are_those_of_all_bit_by_bit() {
    let data = train();
    let histories: Vec<&[u32]> = data.rows().take(40).chain([&[][..]]).collect();
    let full = fit(json!({"lambda": 3}));
    let choices: [Vec<u32>; 6] = [
        vec![],
        vec![17],
        vec![299, 0, 17, 0],
        (0..30).rev().collect(),
        (0..300).step_by(3).collect(),
        (0..300).collect(),
    ];
    for options in forms() {
        let model = compact(&full, options.clone());
        let model = model.model();
        for items in &choices {
            let mut some = Array2::from_elem((histories.len(), items.len()), f32::NAN);
            model.score_some(&histories, items, some.view_mut()).unwrap();
            for (user, history) in histories.iter().enumerate() {
                let all = scores(model, history);
                let expected: Vec<f32> = items.iter().map(|&item| all[item as usize]).collect();
                assert_eq!(some.row(user).to_vec(), expected, "{options}: {items:?}");
            }
        }
        assert!(model.score_some(&[&[1]], &[N as u32], Array2::zeros((1, 1)).view_mut()).is_err());
        assert!(model.score_some(&[&[N as u32]], &[1], Array2::zeros((1, 1)).view_mut()).is_err());
        assert!(model.score_some(&[&[1]], &[1], Array2::zeros((1, 2)).view_mut()).is_err());
        assert!(model.contributions(&[1], N as u32, &Cancel::default()).is_err());
    }
}

#[test]
fn filters_give_what_a_full_sort_of_the_scores_gives() {
    let data = train();
    let full = fit(json!({"lambda": 3}));
    let ids = |items: &[u32]| items.iter().map(|item| format!("item {item}")).collect::<Vec<_>>();
    // Few, half and nearly all of the items.
    let lists: [Vec<u32>; 4] = [vec![3], vec![250, 7, 20, 13], (0..150).collect(), (4..300).collect()];
    for options in forms() {
        let model = compact(&full, options.clone());
        let histories: Vec<History> = data.rows().take(20).map(|row| model.history(ids(row))).collect();
        for allow in &lists {
            let filter = model.filter(Some(&ids(allow)), &ids(&[13, 14]), None).unwrap();
            for (k, filter_seen) in [(3, true), (N, true), (N, false)] {
                let found = model
                    .recommend_within(
                        &histories,
                        &RecommendOptions { k, filter_seen, ..RecommendOptions::default() },
                        &filter,
                    )
                    .unwrap();
                for (history, found) in histories.iter().zip(found) {
                    let scores = scores(model.model(), &history.items);
                    let mut expected: Vec<u32> = allow.clone();
                    expected.retain(|item| !([13, 14].contains(item) || filter_seen && history.items.contains(item)));
                    expected
                        .sort_by(|&a, &b| scores[b as usize].partial_cmp(&scores[a as usize]).unwrap().then(a.cmp(&b)));
                    expected.truncate(k);
                    let expected: Vec<Scored> =
                        expected.into_iter().map(|item| Scored { item, score: scores[item as usize] }).collect();
                    assert_eq!(found, expected, "{options}");
                }
            }
        }
    }
}

#[test]
fn a_file_brings_back_the_same_scores_and_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    for options in forms() {
        let model = compact(&fit(json!({"lambda": 3, "precision": "f64"})), options.clone());
        model.save(&first).unwrap();
        let bytes = std::fs::read(&first).unwrap();
        for mmap in [true, false] {
            let again =
                Recommender::load_with(&first, &LoadOptions { mmap, verify: Some(true), ..LoadOptions::default() })
                    .unwrap();
            assert_eq!(again.model().options(), json!({"lambda": 3.0, "precision": "f64", "density": 1.0}));
            assert_eq!(again.info(), model.info());
            assert!(rows(&again) == rows(&model), "{options}");
            again.save(&second).unwrap();
            assert!(std::fs::read(&second).unwrap() == bytes, "{options}");
        }
        assert!(rows(&Recommender::from_bytes(&bytes).unwrap()) == rows(&model));
    }
}

#[test]
fn smaller_forms_take_less_room_and_can_be_made_smaller_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let size = |model: &Recommender| {
        model.save(&path).unwrap();
        std::fs::metadata(&path).unwrap().len()
    };
    let full = fit(json!({"lambda": 3}));
    let forms = [
        json!({}),
        json!({"precision": "f16"}),
        json!({"topPerItem": 20}),
        json!({"topPerItem": 20, "precision": "f16"}),
    ];
    let sizes: Vec<u64> = forms.iter().map(|options| size(&compact(&full, options.clone()))).collect();
    assert!(sizes[0] == size(&full) && sizes.windows(2).all(|pair| pair[1] < pair[0]), "{sizes:?}");
    // By way of another form the same entries are left.
    let direct = compact(&full, json!({"topPerItem": 5, "precision": "f16"}));
    let pruned = compact(&compact(&full, json!({"topPerItem": 20})), json!({"topPerItem": 5, "precision": "f16"}));
    assert!(rows(&direct) == rows(&pruned));
    // Half precision stays unless another one is asked for.
    let half = compact(&full, json!({"precision": "f16"}));
    assert_eq!(size(&compact(&half, json!({}))), sizes[1]);
    assert_eq!(size(&compact(&half, json!({"topPerItem": 20}))), sizes[3]);
    assert_eq!(size(&compact(&half, json!({"topPerItem": 20, "precision": "f32"}))), sizes[2]);
    assert_eq!(size(&compact(&half, json!({"precision": "f32"}))), sizes[0]);
}

#[test]
fn what_cannot_be_made_smaller_says_so() {
    for &kind in ModelKind::TRAINED {
        let options = match kind {
            ModelKind::Als => json!({"epochs": 1, "factors": 2}),
            ModelKind::MultDae => json!({"epochs": 1, "latentDim": 2}),
            ModelKind::MultVae | ModelKind::RecVae => json!({"epochs": 1, "hiddenDim": 4, "latentDim": 2}),
            ModelKind::HVamp => json!({"epochs": 1, "hiddenDim": 4, "latentDim": 2, "pseudoUsers": 3}),
            _ => json!({}),
        };
        let model = kind.fit(&options, &train(), None, &FitRun::default()).unwrap().model;
        let result = model.compact(&CompactOptions::default());
        assert_eq!(result.is_ok(), kind.has_item_matrix());
        if let Err(error) = result {
            let text = format!("the model to be made smaller is '{}'; allowed: ease, edlae, rdlae, deql", kind.name());
            assert_eq!(error.to_string(), text);
        }
    }
    let error = CompactOptions::from_json(&json!({"topPerItem": 0})).unwrap_err();
    assert_eq!(error.to_string(), "topPerItem is 0; allowed: a whole number, 1 or more");

    /// Weights that f16 does not hold.
    struct Large;
    impl TensorSource for Large {
        fn f32(&self, _: &str, shape: &[usize]) -> Result<Vec<f32>> {
            Ok((0..shape.iter().product()).map(|at| if at == 5 { -65536.0 } else { 1.0 }).collect())
        }
        fn f64(&self, _: &str, shape: &[usize]) -> Result<Vec<f64>> {
            Ok(vec![1.0; shape.iter().product()])
        }
    }
    let model = ModelKind::Ease.load(&json!({}), 3, &Large).unwrap();
    for options in [json!({"precision": "f16"}), json!({"precision": "f16", "topPerItem": 2})] {
        let error = model.compact(&CompactOptions::from_json(&options).unwrap()).err().unwrap();
        let text = "precision is 'f16'; allowed: 'f32', as a weight is -65536.0 and f16 ends at 65504";
        assert_eq!((error.code(), error.to_string().as_str()), ("INVALID_ARGUMENT", text));
    }
    let ids: Ids = ["a", "b", "c"].into_iter().collect();
    assert!(Recommender::new(model.compact(&CompactOptions::default()).unwrap(), ids, Value::Null).is_ok());
}

/// What is pruned, rounded, saved and loaded stays the model that it was, with its options, and scores as EASE^R with
/// the same matrix does.
#[test]
fn forms_of_its_kin_are_those_of_ease_under_their_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let kin = [
        (ModelKind::Edlae, json!({})),
        (ModelKind::Rdlae, json!({"xi": 0.0})),
        (ModelKind::Deql, json!({"keptWeight": 0.0})),
    ];
    for (precision, (kind, more)) in ["f32", "f64"].into_iter().flat_map(|word| kin.clone().map(|kin| (word, kin))) {
        let mut options = json!({"lambda": 9.0, "dropoutRate": 0.0, "precision": precision, "density": 1.0});
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let ease = fit(json!({"lambda": 9, "precision": precision}));
        let model = kind.fit(&options, &train(), None, &FitRun::default()).unwrap().model;
        let model = Recommender::new(model, ease.items().clone(), Value::Null).unwrap();
        for form in forms() {
            compact(&model, form.clone()).save(&path).unwrap();
            let loaded = Recommender::load(&path).unwrap();
            assert_eq!((loaded.model().kind(), loaded.model().options()), (kind, options.clone()));
            assert_eq!(rows(&loaded), rows(&compact(&ease, form.clone())), "{form}");
            assert_eq!(compact(&loaded, json!({"topPerItem": 3})).model().kind(), kind);
        }
    }
}
