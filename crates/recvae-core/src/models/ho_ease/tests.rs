//! Pairs and weights against a plain program and against EASE^R.

use serde_json::json;

use super::*;
use crate::base::steps::Steps;
use crate::models::EaseOptions;
use crate::models::ease::check::close;
use crate::test_support::Golden;

fn fitted(options: &HoEaseOptions, x: &Csr) -> HoEase {
    match options.precision {
        Precision::F32 => HoEase::fit::<f32>(options, x, &FitRun::default()).unwrap(),
        Precision::F64 => HoEase::fit::<f64>(options, x, &FitRun::default()).unwrap(),
    }
}

fn numbers_of(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| value.into()).collect()
}

/// `test/fixtures/reference/make.py` solved the equations of each column by themselves, in f64, and found the paper's
/// rounds to come to the same in the end.
#[test]
fn matches_a_plain_program() {
    let golden = Golden::read("hoease");
    let x = golden.csr("x");
    for case in 0..3 {
        let golden = |name: &str| golden.values(&format!("{case}.{name}"));
        let (lambda, pair_lambda, pairs) = (golden("lambda")[0], golden("pair_lambda")[0], golden("pairs").len() / 2);
        // The condition numbers are below 2,000; weights and scores leave in f32.
        for (precision, tolerance) in [(Precision::F64, 2e-7), (Precision::F32, 2e-4)] {
            let model = fitted(&HoEaseOptions { lambda, pair_lambda, pairs, precision }, &x);
            let found: Vec<f64> = model.pairs.numbers().iter().map(|&item| item.into()).collect();
            assert_eq!(found, golden("pairs"));
            close(&numbers_of(&model.weights), golden("weights"), tolerance);
            let scores = model.scores(&x.rows().collect::<Vec<_>>()).unwrap();
            close(&numbers_of(scores.as_slice().unwrap()), golden("scores"), tolerance);
            for (user, history) in x.rows().enumerate().filter(|(user, _)| user % 20 == 0) {
                for item in 0..x.n_cols() as u32 {
                    let contributions = model.contributions(history, item, &Cancel::default()).unwrap();
                    let (sum, score) = (contributions.iter().sum::<f64>(), scores[(user, item as usize)]);
                    assert!((sum - f64::from(score)).abs() < 1e-6, "{sum} for {score}");
                }
            }
        }
    }
}

#[test]
fn without_pairs_it_is_ease() {
    let x = Golden::read("hoease").csr("x");
    let precision = Precision::F64;
    let model = fitted(&HoEaseOptions { lambda: 7.3, pairs: 0, precision, ..HoEaseOptions::default() }, &x);
    let ease = EaseOptions { lambda: 7.3, precision, ..EaseOptions::default() };
    let ease = ModelKind::Ease.fit(&ease.to_json(), &x, None, &FitRun::default()).unwrap().model;
    let histories: Vec<&[u32]> = x.rows().collect();
    let scores = [&model as &dyn Scorer, &*ease].map(|model| model.scores(&histories).unwrap());
    close(&numbers_of(scores[0].as_slice().unwrap()), &numbers_of(scores[1].as_slice().unwrap()), 2e-7);
}

#[test]
fn a_pair_tells_what_its_items_do_not() {
    // Who has both 0 and 1 has 2, and who has one of them has 3.
    let rows: Vec<&[u32]> = [[&[0u32, 1, 2][..], &[0, 3], &[1, 3]]; 40].concat();
    let x = Csr::from_rows(&rows, 4).unwrap();
    let more_of_both = |pairs: usize| {
        let model = fitted(&HoEaseOptions { lambda: 5.0, pair_lambda: 5.0, pairs, ..HoEaseOptions::default() }, &x);
        let scores = model.scores(&[&[0, 1], &[0], &[1]]).unwrap();
        let [both, one, other] = [0, 1, 2].map(|user| scores[(user, 2)] - scores[(user, 3)]);
        both - one - other
    };
    // 0.79 by the equations; without pairs what both say is the sum of what each says.
    assert!(more_of_both(6) > 0.7 && more_of_both(0).abs() < 1e-6);
}

#[test]
fn the_most_frequent_pairs_are_taken_and_of_equals_the_lower_ones() {
    // 0-1 three times, 0-2 and 1-2 twice, 2-3 and 0-3 once, 1-3 never.
    let x = Csr::from_rows([&[0u32, 1, 2][..], &[0, 1, 2], &[0, 1], &[2, 3], &[0, 3]], 4).unwrap();
    let gram = gram::<f32>(&x, &Steps::silent(&Cancel::default())).unwrap();
    let pairs = |most: usize| Pairs::most_frequent(gram.view2((4, 4)), most).unwrap().items().to_vec();
    assert_eq!(pairs(0), [[0u32; 2]; 0]);
    assert_eq!(pairs(1), [[0, 1]]);
    assert_eq!(pairs(2), [[0, 1], [0, 2]]);
    assert_eq!(pairs(3), [[0, 1], [0, 2], [1, 2]]);
    assert_eq!(pairs(4), [[0, 1], [0, 2], [0, 3], [1, 2]]);
    let all = [[0, 1], [0, 2], [0, 3], [1, 2], [2, 3]];
    assert_eq!((pairs(5), pairs(1000)), (all.to_vec(), all.to_vec()));
    let pairs = Pairs::most_frequent(gram.view2((4, 4)), 5).unwrap();
    assert_eq!(pairs.with_pairs(&[0, 2, 3]), [0, 2, 3, 5, 6, 8]);
    assert_eq!(pairs.with_pairs(&[]), [0u32; 0]);
    assert_eq!(pairs.with_pairs(&[1, 3]), [1, 3]);
}

#[test]
fn blocks_of_users_come_to_the_same_as_all_at_once() {
    let x = Golden::read("hoease").csr("x");
    let never = Cancel::default();
    let steps = &Steps::silent(&never);
    let gram = gram::<f64>(&x, steps).unwrap();
    let pairs = Pairs::most_frequent(gram.view2((16, 16)), 30).unwrap();
    let size = 16 + 30;
    let all = Csr::from_rows(x.rows().map(|row| pairs.with_pairs(row)), size).unwrap();
    let whole = crate::math::linalg::gram::<f64>(&all, steps).unwrap();
    let squares: usize = all.rows().map(|row| row.len() * (row.len() + 1)).sum();
    for (bytes, blocks) in [(0, 80..=80), (3000, 4..=16), (1 << 20, 1..=1)] {
        let extended = Extended::new(&x, &pairs, bytes);
        assert!(blocks.contains(&extended.blocks().count()), "{bytes}");
        assert_eq!(extended.squares, squares as f64);
        let mut sum = vec![0.0; size * size];
        extended.blocks().for_each(|block| add_gram(&block.unwrap(), &mut sum, steps).unwrap());
        assert!(sum == whole[..], "{bytes}");
    }
}

#[test]
fn pairs_that_are_none_are_refused() {
    for bad in [&[1u32, 0][..], &[1, 1], &[0, 4], &[0, 2, 0, 1], &[0, 1, 0, 1], &[0, 1, 2]] {
        let error = Pairs::new(bad.to_vec().into(), 4).err().unwrap();
        assert_eq!(error.to_string(), "its pairs do not ascend, the lower item first, below 4", "{bad:?}");
    }
}

#[test]
fn what_cannot_be_computed_is_named() {
    // Two items that the same users have.
    let x = Csr::from_rows([&[0u32, 1][..]; 4], 2).unwrap();
    let error = |options: Value| {
        let error = ModelKind::HoEase.fit(&options, &x, None, &FitRun::default()).err().unwrap();
        (error.code(), error.to_string())
    };
    let (code, text) = error(json!({"lambda": 1e-30}));
    assert_eq!(code, "NUMERICAL");
    assert!(text.starts_with("higher-order EASE^R: the Gram matrix plus lambda = 1e-30 on its diagonal"), "{text}");
    for name in ["lambda", "pairLambda"] {
        let (code, text) = error(json!({ name: 1e30 }));
        assert_eq!(code, "INVALID_ARGUMENT");
        assert!(text.starts_with(&format!("{name} is 1e30; allowed: a number above 0 up to 1e18")), "{text}");
    }
}
