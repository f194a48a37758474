//! Closed forms where rounding decides: they give the answer or say that they cannot.

#![allow(clippy::unwrap_used)]

use recvae_core::{Cancel, Csr, EaseCounts, FitRun, Interactions, Model, ModelKind, Result, Stream, Thresholds};
use serde_json::{Value, json};

/// 20,000 users who have each of 40 items with probability .6, item 2 being a copy of item 0.
fn twins() -> Csr {
    let mut random = Stream::new(4, 0);
    let rows = (0..20_000).map(|_| {
        let mut row: Vec<bool> = (0..40).map(|_| random.uniform() < 0.6).collect();
        row[2] = row[0];
        (0..40u32).filter(|&item| row[item as usize]).collect::<Vec<_>>()
    });
    Csr::from_rows(rows, 40).unwrap()
}

/// The same with the items in that order.
fn interactions(x: &Csr) -> Interactions {
    let names: Vec<String> = (0..x.n_cols()).map(|item| item.to_string()).collect();
    // One more user, who has everything, comes first, so that items are numbered as they are.
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let rows = x.rows().map(|row| row.iter().map(|&item| all[item as usize]).collect());
    let users: Vec<(String, Vec<&str>)> =
        std::iter::once(all.clone()).chain(rows).enumerate().map(|(user, row)| (user.to_string(), row)).collect();
    let histories = users.iter().map(|(user, row)| (user.as_str(), row.as_slice()));
    Interactions::from_histories(histories.map(|(user, row)| (user, row.to_vec())), &Thresholds::default()).unwrap()
}

fn fit(kind: ModelKind, options: &Value, x: &Csr) -> Result<Box<dyn Model>> {
    kind.fit(options, x, None, &FitRun::default()).map(|fit| fit.model)
}

fn scores(model: &dyn Model, item: u32) -> Vec<f32> {
    model.scores(&[&[item]]).unwrap().into_iter().collect()
}

/// Whether all weights are those of the other model, to a share of the largest.
fn assert_close(ours: &dyn Model, exact: &dyn Model, share: f32, what: &str) {
    for item in 0..exact.n_items() as u32 {
        let (ours, exact) = (scores(ours, item), scores(exact, item));
        let largest = exact.iter().fold(0f32, |most, score| most.max(score.abs()));
        assert!(largest > 0.0, "{what}");
        let off = ours.iter().zip(&exact).fold(0f32, |most, (ours, exact)| most.max((ours - exact).abs()));
        assert!(off <= share * largest, "{what}: item {item} is off by {off} of {largest}");
    }
}

/// All ways to weights: two models, from data and from counts, all pairs and most of them.
fn ways() -> Vec<(&'static str, ModelKind, Value)> {
    vec![
        ("ease", ModelKind::Ease, json!({})),
        ("edlae", ModelKind::Edlae, json!({ "dropoutRate": 0 })),
        ("rdlae", ModelKind::Rdlae, json!({ "dropoutRate": 0, "xi": 0 })),
        ("deql", ModelKind::Deql, json!({ "dropoutRate": 0, "keptWeight": 0 })),
        ("restricted", ModelKind::Ease, json!({ "density": 0.9 })),
    ]
}

fn with(options: &Value, more: Value) -> Value {
    let mut options = options.clone();
    options.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
    options
}

type Fitted = Result<Box<dyn Model>>;

#[test]
fn f32_gives_the_weights_of_f64_or_says_that_it_cannot() {
    let x = twins();
    let counts = EaseCounts::count(&interactions(&x), None, &Cancel::default()).unwrap();
    let mut refused = 0;
    for lambda in [1e-30, 1e-6, 1e-4, 1e-3, 0.01, 0.1, 1.0, 100.0] {
        let mut fits: Vec<(String, [Fitted; 2])> = vec![];
        // Of a density, whose pairs are counted anew for each item, fewer.
        let few = [1e-30, 1e-4, 0.01, 1.0].contains(&lambda);
        for (name, kind, options) in ways().into_iter().filter(|(name, ..)| few || *name != "restricted") {
            let of = |precision: &str| {
                // The weights of a density are stored in f32, whatever they were computed in.
                fit(kind, &with(&options, json!({ "lambda": lambda, "precision": precision })), &x)
            };
            fits.push((format!("{name}, {lambda}"), [of("f32"), of("f64")]));
        }
        let of = |precision: &str| {
            let options = json!({ "lambda": lambda, "precision": precision });
            counts.fit(&options, &FitRun::default()).map(|fit| fit.model)
        };
        fits.push((format!("counts, {lambda}"), [of("f32"), of("f64")]));
        for (what, [single, double]) in fits {
            match &double {
                // 1e4 of users in the matrix, of which f64 keeps 1e-12.
                Err(error) => assert!(error.code() == "NUMERICAL" && lambda < 1e-10, "{what}: {error}"),
                Ok(_) => assert!(lambda > 1e-10, "{what}"),
            }
            match single {
                Err(error) => {
                    assert_eq!(error.code(), "NUMERICAL", "{what}");
                    let text = error.to_string();
                    assert!(text.ends_with("the way out: a larger lambda, or precision 'f64'"), "{what}: {text}");
                    assert!(lambda < 0.05, "{what}: {text}");
                    refused += 1;
                }
                Ok(single) => {
                    assert!(lambda > 1e-10, "{what}");
                    // Scores of random users may be off by 1 %; one item's by somewhat more.
                    assert_close(&*single, &*double.unwrap(), 0.03, &what);
                }
            }
        }
    }
    // At 1e-3 and below f32 has lost lambda beside counts of 12,000, in each of the four ways.
    assert!(refused >= 4 * 4 - 2, "{refused}");
}

#[test]
fn a_lambda_that_makes_weights_vanish_is_refused_and_a_large_one_works() {
    let x = twins();
    for (what, kind, options) in ways() {
        let of = |lambda: f64, precision: &str| {
            fit(kind, &with(&options, json!({ "lambda": lambda, "precision": precision })), &x)
        };
        for (lambda, precision) in [(1e38, "f32"), (1e40, "f32"), (1e38, "f64"), (1e300, "f64")] {
            let error = of(lambda, precision).err().expect(what);
            assert_eq!(error.code(), "INVALID_ARGUMENT", "{what}");
            assert!(error.to_string().contains("beyond which the weights vanish"), "{what}: {error}");
        }
        for (lambda, precision) in [(1e18, "f32"), (1e36, "f64")] {
            // Nearly all of the inverse is the diagonal: weights are counts over lambda.
            let weights = scores(&*of(lambda, precision).unwrap(), 0);
            let together = x.rows().filter(|row| row.contains(&0) && row.contains(&2)).count() as f64;
            let expected = together / lambda;
            assert!((f64::from(weights[2]) / expected - 1.0).abs() < 1e-5, "{what}: {} and {expected}", weights[2]);
            assert!(weights[2] > weights[1], "{what}");
        }
    }
}

/// Items that nobody has together: all weights are 0, and rightly so.
#[test]
fn a_model_without_weights_is_no_error() {
    let x = Csr::from_rows((0..60u32).map(|user| [user % 7]), 7).unwrap();
    for (kind, options) in
        ModelKind::TRAINED.iter().filter(|kind| kind.has_item_matrix()).map(|&kind| (kind, json!({})))
    {
        let model = fit(kind, &options, &x).unwrap();
        assert!((0..7).all(|item| scores(&*model, item) == [0.0; 7]), "{}", kind.name());
    }
}
