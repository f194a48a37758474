//! The split: who and what goes where.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use recvae_core::{Csr, HeldOut, Ids, Interactions, Options, Result, SplitOptions, Thresholds, debian, split};
use serde_json::json;

fn message<T: std::fmt::Debug>(result: Result<T>, code: &str) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code);
    error.to_string()
}

/// `n` users with the items 0 to below `items`.
fn block(n: usize, items: usize) -> Interactions {
    let histories = (0..n).map(|user| (format!("u{user}"), (0..items).map(|item| item.to_string())));
    Interactions::from_histories(histories, &Thresholds::default()).unwrap()
}

fn ids(ids: &Ids) -> BTreeSet<&str> {
    ids.iter().collect()
}

#[test]
fn the_debian_set_splits_as_asked() {
    let data = debian().unwrap();
    let parts = split(&data, &SplitOptions { test: 1000.0, ..SplitOptions::default() }).unwrap();
    assert_eq!((parts.train.n_users(), parts.validation.n_users(), parts.test.n_users()), (9497, 1166, 1000));
    assert!(parts.train.n_items() > 4400 && parts.train.n_items() <= 4456);
    assert_eq!(parts.test.n_items(), parts.train.n_items());
    assert!(parts.test.n_scored() > 900);
    let (input, target) = (parts.test.input().nnz() as f64, parts.test.target().nnz() as f64);
    assert!((0.1..0.2).contains(&(target / (input + target))));
    let none = split(&data, &SplitOptions { test: 0.0, validation: 0.0, ..SplitOptions::default() }).unwrap();
    assert_eq!(none.train, data);
    assert_eq!((none.test.n_users(), none.test.n_items()), (0, 4456));
}

#[test]
fn users_with_few_known_items_stay_without_a_target() {
    // Whoever is held out shares its first items with the others; the last ones nobody else has.
    for known in 0..8 {
        let histories = (0..4).map(|user| {
            let items = (0..8).map(move |item| if item < known { item.to_string() } else { format!("{user}/{item}") });
            (user.to_string(), items)
        });
        let data = Interactions::from_histories(histories, &Thresholds::default()).unwrap();
        let options = SplitOptions { validation: 1.0, test: 1.0, held_out: 0.5, ..SplitOptions::default() };
        let parts = split(&data, &options).unwrap();
        for part in [&parts.validation, &parts.test] {
            let expected = if known < 5 { (known, 0) } else { (known - known / 2, known / 2) };
            assert_eq!((part.input().row(0).len(), part.target().row(0).len()), expected);
            assert_eq!((part.n_users(), part.n_scored()), (1, usize::from(known >= 5)));
        }
    }
    let options = SplitOptions { held_out: 0.1, test: 0.0, ..SplitOptions::default() };
    let parts = split(&block(10, 5), &options).unwrap();
    assert_eq!((parts.validation.input().nnz(), parts.validation.target().nnz()), (5, 0));
}

#[test]
fn too_few_users_are_refused_with_figures() {
    for (data, test, text) in [
        (
            block(1, 1),
            0.1,
            "0 of 1 users have at least 5 items (minUserItems), and validation = 0.1 of them rounds to no user; allowed: at least one validation user, or validation = 0 for none",
        ),
        (
            block(4, 9),
            0.1,
            "4 of 4 users have at least 5 items (minUserItems), and validation = 0.1 of them rounds to no user; allowed: at least one validation user, or validation = 0 for none",
        ),
        (
            block(10, 9),
            9.0,
            "10 of 10 users have at least 5 items (minUserItems); 1 for validation and 9 for test leave none to train \
             on; allowed: at least one",
        ),
        (
            block(10, 9),
            1e15,
            "10 of 10 users have at least 5 items (minUserItems); 1 for validation and 1000000000000000 for test leave \
             none to train on; allowed: at least one",
        ),
    ] {
        let result = split(&data, &SplitOptions { test, ..SplitOptions::default() });
        assert_eq!(message(result, "INVALID_DATA"), text);
    }
    let none = SplitOptions { validation: 0.0, test: 0.0, ..SplitOptions::default() };
    assert_eq!(
        message(split(&block(1, 1), &none), "INVALID_DATA"),
        "0 of 1 users have at least 5 items (minUserItems); 0 for validation and 0 for test leave none to train on; \
         allowed: at least one"
    );
    assert_eq!(split(&block(1, 5), &none).unwrap().train.n_users(), 1);
}

#[test]
fn options_out_of_range_are_refused() {
    let default = SplitOptions::default;
    for (options, text) in [
        (
            SplitOptions { validation: 1.5, ..default() },
            "validation is 1.5; allowed: a share below 1, or a whole number of users",
        ),
        (SplitOptions { test: -0.1, ..default() }, "test is -0.1; allowed: a finite number, 0 or more"),
        (SplitOptions { test: f64::NAN, ..default() }, "test is null; allowed: a finite number, 0 or more"),
        (SplitOptions { held_out: 0.0, ..default() }, "heldOut is 0; allowed: a number above 0 and below 1"),
        (SplitOptions { held_out: 1.0, ..default() }, "heldOut is 1.0; allowed: a finite number from 0 to below 1"),
    ] {
        assert_eq!(message(split(&block(30, 9), &options), "INVALID_ARGUMENT"), text);
    }
    assert!(SplitOptions::from_json(&json!({"validation": 2.5})).is_err());
    assert_eq!(SplitOptions::from_json(&json!({"test": 2, "minUserItems": 1})).unwrap().test, 2.0);
}

#[test]
fn input_and_target_must_fit() {
    let users = || ["a", "b"].into_iter().collect::<Ids>();
    let matrix = |pairs: &[(u32, u32)], columns| Csr::from_pairs(2, columns, pairs);
    assert!(HeldOut::new(users(), matrix(&[(0, 1)], 3), matrix(&[(1, 1)], 3)).is_ok());
    assert_eq!(
        message(HeldOut::new(users(), matrix(&[(1, 0), (1, 2)], 3), matrix(&[(1, 2)], 3)), "INVALID_DATA"),
        "held-out user 'b' has item 2 in the input and in the target; allowed: in one of them"
    );
    assert_eq!(
        message(HeldOut::new(users(), matrix(&[], 3), matrix(&[], 4)), "INVALID_DATA"),
        "2 user ids, an input of shape (2, 3) and a target of shape (2, 4); allowed: one row per user in both"
    );
}

proptest! {
    #[test]
    fn every_split_keeps_the_rules(
        rows in prop::collection::vec((0u8..40, 0u8..30), 100..600),
        validation in prop_oneof![Just(0.0), 0.05f64..0.4, (1u8..5).prop_map(f64::from)],
        test in prop_oneof![Just(0.0), 0.05f64..0.4, (1u8..5).prop_map(f64::from)],
        held_out in 0.05f64..0.95, seed in 0u64..1 << 53, min_user_items in 0usize..8,
    ) {
        let (users, items): (Vec<_>, Vec<_>) = rows.iter().map(|(u, i)| (u.to_string(), i.to_string())).unzip();
        let data = Interactions::from_columns(&users, &items, None, None, &Thresholds::default()).unwrap();
        let options = SplitOptions { min_user_items, validation, test, held_out, seed };
        let Ok(parts) = split(&data, &options) else { return Ok(()) };
        prop_assert_eq!(&split(&data, &options).unwrap(), &parts);

        // Users: a partition of those with enough items.
        let eligible: BTreeSet<_> =
            data.users().iter().filter(|user| data.history(user).unwrap().len() >= min_user_items).collect();
        let parts_users = [parts.train.users(), parts.validation.users(), parts.test.users()];
        prop_assert_eq!(parts_users.iter().map(|users| users.len()).sum::<usize>(), eligible.len());
        prop_assert_eq!(parts_users.into_iter().flat_map(ids).collect::<BTreeSet<_>>(), eligible);

        // Items: those of the training users, all of them, in the old order.
        let train = &parts.train;
        prop_assert!(train.matrix().column_counts().iter().all(|&n| n > 0));
        let order: Vec<_> = train.items().iter().map(|item| data.items().find(item).unwrap()).collect();
        prop_assert!(order.is_sorted());
        for user in train.users().iter() {
            prop_assert_eq!(train.history(user), data.history(user));
        }

        // Held-out users: what is known of them, divided as the protocol says.
        for part in [&parts.validation, &parts.test] {
            for (row, user) in part.users().iter().enumerate() {
                let (input, target) = (part.input().row(row), part.target().row(row));
                let known: BTreeSet<_> =
                    data.history(user).unwrap().into_iter().filter_map(|item| train.items().find(item)).collect();
                prop_assert!(input.iter().all(|item| !target.contains(item)));
                prop_assert_eq!(input.iter().chain(target).copied().collect::<BTreeSet<_>>(), known.clone());
                let expected = if known.len() < 5 { 0 } else { (held_out * known.len() as f64) as usize };
                prop_assert_eq!(target.len(), expected);
            }
        }
    }

    #[test]
    fn another_seed_gives_another_split(seed in 0u64..1 << 52) {
        let data = block(60, 12);
        let with = |seed| split(&data, &SplitOptions { seed, ..SplitOptions::default() }).unwrap();
        prop_assert_ne!(with(seed), with(seed + 1));
    }
}
