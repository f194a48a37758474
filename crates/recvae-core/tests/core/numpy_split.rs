//! The split of the Mult-VAE authors' scripts, against one that NumPy drew (`test/fixtures/numpy/make.py`); and folds.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use recvae_core::{
    Generator, HeldOut, Interactions, Options, ShortUsers, Split, SplitKind, SplitOptions, Thresholds, split,
};
use serde_json::{Value, json};

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../../test/fixtures/numpy/split.json")).unwrap()
}

fn authors(golden: &Value) -> SplitOptions {
    let held_out = golden["heldOut"].as_f64().unwrap();
    SplitOptions {
        validation: held_out,
        test: held_out,
        short_users: ShortUsers::Drop,
        generator: Generator::Numpy,
        seed: golden["seed"].as_u64().unwrap(),
        ..SplitOptions::default()
    }
}

fn interactions(rows: impl Iterator<Item = (String, String)>) -> Interactions {
    let (users, items): (Vec<String>, Vec<String>) = rows.unzip();
    Interactions::from_columns(&users, &items, None, None, &Thresholds::default()).unwrap()
}

fn rows(golden: &Value) -> Vec<(String, String)> {
    golden["rows"].as_array().unwrap().iter().map(|row| (row[0].to_string(), row[1].to_string())).collect()
}

/// The items of a row, ascending as numbers.
fn numbers(split: &Split, row: &[u32]) -> Vec<u64> {
    let ids = row.iter().map(|&item| split.train.items().get(item as usize).parse().unwrap());
    ids.collect::<BTreeSet<u64>>().into_iter().collect()
}

#[test]
fn a_split_is_that_of_the_authors_scripts() {
    let golden = golden();
    let found = split(&interactions(rows(&golden).into_iter()), &authors(&golden)).unwrap();
    let train: BTreeSet<u64> = found.train.users().iter().map(|user| user.parse().unwrap()).collect();
    assert_eq!(json!(train), golden["train"]);
    let check = |part: &HeldOut, expected: &Value| {
        assert_eq!(part.n_users(), expected.as_object().unwrap().len());
        for (row, user) in part.users().iter().enumerate() {
            let ours = json!({
                "input": numbers(&found, part.input().row(row)), "target": numbers(&found, part.target().row(row)),
            });
            assert_eq!(ours, expected[user], "user {user}");
        }
    };
    check(&found.validation, &golden["validation"]);
    check(&found.test, &golden["test"]);
}

#[test]
fn the_order_of_rows_changes_nothing_of_it() {
    let golden = golden();
    let named = |found: &Split| -> Vec<(String, Vec<u64>)> {
        let rows = found.test.users().iter().zip(found.test.target().rows());
        let mut rows: Vec<_> = rows.map(|(user, row)| (user.to_owned(), numbers(found, row))).collect();
        rows.sort();
        rows
    };
    let forwards = split(&interactions(rows(&golden).into_iter()), &authors(&golden)).unwrap();
    let backwards = split(&interactions(rows(&golden).into_iter().rev()), &authors(&golden)).unwrap();
    assert_eq!(named(&forwards), named(&backwards));
    let philox = SplitOptions { generator: Generator::Philox, ..authors(&golden) };
    let other = split(&interactions(rows(&golden).into_iter()), &philox).unwrap();
    assert_ne!(named(&forwards), named(&other));
}

#[test]
fn folds_test_everybody_once() {
    let data = interactions((0..23).flat_map(|user| {
        (0..6 + user % 3).map(move |item| (format!("u{user}"), format!("i{}", (user * 5 + item * 7) % 20)))
    }));
    for generator in [Generator::Philox, Generator::Numpy] {
        let mut tested = vec![];
        let mut before = None;
        for fold in 1..=4 {
            let options = SplitOptions { kind: SplitKind::Folds, folds: 4, fold, generator, ..SplitOptions::default() };
            let found = split(&data, &options).unwrap();
            assert!((5..=6).contains(&found.test.n_users()), "{}", found.test.n_users());
            assert_eq!(found.train.n_users() + found.validation.n_users() + found.test.n_users(), 23);
            // What one fold validates on, the next one tests.
            let validated: Vec<String> = found.validation.users().iter().map(str::to_owned).collect();
            let test: Vec<String> = found.test.users().iter().map(str::to_owned).collect();
            if let Some(before) = before.replace(validated) {
                assert_eq!(before, test);
            }
            tested.extend(test);
        }
        let distinct: BTreeSet<&String> = tested.iter().collect();
        assert_eq!((tested.len(), distinct.len()), (23, 23));
    }
    // Without validation, its fold is trained on.
    let options = SplitOptions { kind: SplitKind::Folds, folds: 2, validation: 0.0, ..SplitOptions::default() };
    let found = split(&data, &options).unwrap();
    assert_eq!((found.train.n_users(), found.validation.n_users(), found.test.n_users()), (12, 0, 11));
}

#[test]
fn bad_options_are_named() {
    let data = interactions((0..3).flat_map(|user| (0..6).map(move |item| (user.to_string(), item.to_string()))));
    let error = |options: Value| SplitOptions::from_json(&options).map(|o| split(&data, &o).unwrap_err().to_string());
    for (options, text) in [
        (
            json!({"generator": "numpy", "kind": "share"}),
            "generator is 'numpy'; allowed: only with kinds strong and folds (kind is 'share')",
        ),
        (
            json!({"generator": "numpy", "seed": 4_294_967_296u64}),
            "seed is 4294967296; allowed: at most 4294967295 (generator is 'numpy')",
        ),
        (json!({"folds": 3}), "folds is 3; allowed: only with kind folds (kind is 'strong')"),
        (json!({"fold": 2}), "fold is 2; allowed: only with kind folds (kind is 'strong')"),
        (json!({"kind": "folds", "fold": 6}), "fold is 6; allowed: from 1 to 5 (folds)"),
        (
            json!({"kind": "folds", "folds": 2}),
            "folds is 2; allowed: 3 or more, or validation = 0: one fold is for test and one for validation",
        ),
        (
            json!({"kind": "folds", "test": 0.3}),
            "test is 0.3; allowed: 0 for none, or nothing: a fold is asked (kind is 'folds')",
        ),
        (json!({"kind": "folds", "testSince": 5}), "testSince is '5'; allowed: only with kind time (kind is 'folds')"),
    ] {
        assert_eq!(error(options).unwrap_err().to_string(), text);
    }
    for (options, text) in [
        (
            json!({"kind": "folds"}),
            "3 of 3 users have at least 5 items (minUserItems), too few for 5 folds (folds); allowed: at least one user in each",
        ),
        (
            json!({"kind": "files"}),
            "kind is 'files'; allowed: only for data of several files: train and test, and validation if there is such",
        ),
        (
            json!({"kind": "column"}),
            "kind is 'column'; allowed: only for data with parts: the option part names their column",
        ),
    ] {
        assert_eq!(error(options).unwrap(), text);
    }
}

proptest! {
    #[test]
    fn any_ids_and_sizes_give_disjoint_parts(n_users in 12usize..60, words in any::<bool>(), seed in 0u64..1000) {
        let name = |user: usize| if words { format!("u{user}") } else { (user * 3).to_string() };
        let data = interactions((0..n_users).flat_map(|user| {
            (0..5 + user % 4).map(move |item| (name(user), format!("{}", (user * 7 + item * item) % 40)))
        }));
        let options = SplitOptions { generator: Generator::Numpy, validation: 3.0, test: 4.0, min_user_items: 1, seed, ..SplitOptions::default() };
        let found = split(&data, &options).unwrap();
        let of = |users: &recvae_core::Ids| users.iter().map(str::to_owned).collect::<BTreeSet<_>>();
        let all: BTreeSet<String> =
            [found.train.users(), found.validation.users(), found.test.users()].into_iter().flat_map(of).collect();
        prop_assert_eq!((all.len(), found.validation.n_users(), found.test.n_users()), (n_users, 3, 4));
        prop_assert_eq!(&found, &split(&data, &options).unwrap());
    }
}
