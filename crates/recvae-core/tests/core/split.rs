//! The split: who and what goes where.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use recvae_core::{
    Csr, HeldOut, Ids, Interactions, LeftOut, Options, Result, ShortUsers, SplitOptions, Thresholds, debian, sample,
    split,
};
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
            "0 of 1 users have at least 5 items (minUserItems), and validation = 0.1 of them rounds to no user; allowed: at least one validation user, or validation = 0 for none, or a lower minUserItems",
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
    let dropped = SplitOptions { short_users: ShortUsers::Drop, ..none.clone() };
    assert_eq!(
        message(split(&block(1, 1), &dropped), "INVALID_DATA"),
        "0 of 1 users have at least 5 items (minUserItems), and the others are left out (shortUsers = drop), so that none is \
         there to train on; allowed: at least one, by a lower minUserItems or by shortUsers = train"
    );
    let any = SplitOptions { min_user_items: 0, test: 9.0, ..SplitOptions::default() };
    assert_eq!(
        message(split(&block(10, 9), &any), "INVALID_DATA"),
        "there are 10 users; 1 for validation and 9 for test leave none to train on; allowed: at least one"
    );
    assert_eq!(split(&block(1, 5), &dropped).unwrap().train.n_users(), 1);
    assert_eq!(split(&block(1, 1), &none).unwrap().train.n_users(), 1);
}

/// `n_long` users with 6 items, and then `n_short` ones with one of these and one that nobody else has.
fn with_short_users(n_long: usize, n_short: usize) -> Interactions {
    let long = (0..n_long)
        .map(|user| (format!("long{user}"), (0..6).map(|item| format!("i{}", (user + item) % 12)).collect()));
    let short =
        (0..n_short).map(|user| (format!("short{user}"), vec![format!("i{}", user % 12), format!("own{user}")]));
    Interactions::from_histories(long.chain(short), &Thresholds::default()).unwrap()
}

fn reasons(left_out: &[LeftOut]) -> Vec<(&str, u64, u64, u64)> {
    left_out.iter().map(|it| (it.reason, it.users, it.items, it.interactions)).collect()
}

#[test]
fn short_users_are_trained_on_unless_they_are_to_be_dropped() {
    let data = with_short_users(30, 300);
    let none = SplitOptions { validation: 0.0, test: 0.0, ..SplitOptions::default() };
    let all = split(&data, &none).unwrap();
    assert_eq!((all.train, all.left_out), (data.clone(), vec![]));

    let kept = split(&data, &SplitOptions::default()).unwrap();
    assert_eq!((kept.train.n_users(), kept.validation.n_users(), kept.test.n_users()), (324, 3, 3));
    assert_eq!(kept.train.n_items(), 312);
    for user in kept.train.users().iter() {
        assert_eq!(kept.train.history(user), data.history(user));
    }
    assert_eq!(reasons(&kept.left_out), [("neverHeldOut", 300, 0, 0)]);
    assert_eq!(
        kept.left_out[0].text,
        "300 users are trained on but never held out, for having fewer than 5 items (minUserItems)"
    );

    // The protocol of the paper: the same users are held out, and ask the same where the items are the same.
    let dropped = split(&data, &SplitOptions { short_users: ShortUsers::Drop, ..SplitOptions::default() }).unwrap();
    assert_eq!((dropped.train.n_users(), dropped.train.n_items()), (24, 12));
    assert_eq!(dropped.validation.users(), kept.validation.users());
    assert_eq!(dropped.test.users(), kept.test.users());
    assert_eq!(dropped.test.target().indices().len(), kept.test.target().indices().len());
    assert_eq!(reasons(&dropped.left_out), [("shortUsers", 300, 0, 600), ("noTrainingUser", 0, 300, 0)]);
    let texts: Vec<_> = dropped.left_out.iter().map(|it| &it.text[..]).collect();
    assert_eq!(
        texts,
        [
            "300 users are left out, with 600 interactions, for having fewer than 5 items (minUserItems; shortUsers is drop)",
            "300 items are left out for having no training user",
        ]
    );
    // They are those of the same data without the short users.
    let long = split(&with_short_users(30, 0), &SplitOptions::default()).unwrap();
    assert_eq!((long.train, long.validation, long.test), (dropped.train, dropped.validation, dropped.test));
}

#[test]
fn everything_that_is_lost_is_counted() {
    // Each user has 8 items: 4 that all have, 4 of its own, so that nobody held out has 5 known ones.
    let histories = (0..20).map(|user| {
        let items = (0..8).map(move |item| if item < 4 { item.to_string() } else { format!("{user}/{item}") });
        (user.to_string(), items)
    });
    let data = Interactions::from_histories(histories, &Thresholds::default()).unwrap();
    let parts = split(&data, &SplitOptions { validation: 1.0, test: 2.0, ..SplitOptions::default() }).unwrap();
    assert_eq!(reasons(&parts.left_out), [("noTrainingUser", 0, 12, 12), ("notScored", 3, 0, 0)]);
    let texts: Vec<_> = parts.left_out.iter().map(|it| &it.text[..]).collect();
    assert_eq!(
        texts,
        [
            "12 items are left out, with 12 interactions of held-out users, for having no training user",
            "1 validation user and 2 test users are not scored for having nothing to find: fewer than 5 known items, or so few \
         that a share of 0.2 (heldOut) is less than one",
        ]
    );
    let n = |parts: &recvae_core::Split| {
        parts.train.n_interactions() + parts.validation.n_interactions() + parts.test.n_interactions()
    };
    assert_eq!(n(&parts) + 12, data.n_interactions());

    let options = recvae_core::SampleOptions { users: 10, items: Some(4), seed: 0 };
    let smaller = sample(&parts, &options).unwrap();
    assert_eq!(reasons(&smaller.left_out), [("sample", 7, 68, 0), ("notScored", 1, 0, 0)]);
    assert_eq!(smaller.left_out[0].text, "the sample is without 7 training users and 68 items");
}

/// Users who are held out on purpose although they have fewer than 5 items are asked for some, if a share of them is
/// one.
#[test]
fn a_lower_minimum_holds_shorter_users_out() {
    let options = SplitOptions { min_user_items: 3, held_out: 0.5, ..SplitOptions::default() };
    let parts = split(&block(20, 3), &options).unwrap();
    assert_eq!((parts.train.n_users(), parts.test.n_users(), parts.test.n_scored()), (16, 2, 2));
    assert_eq!(parts.test.target().nnz(), 2);
    assert!(parts.left_out.is_empty());
}

/// Recorded before short users were trained on: data in which all users have 5 items or more are split as ever.
#[test]
fn splits_of_long_histories_are_as_ever() {
    let data = debian().unwrap();
    for (seed, hash) in [
        (0, "c5f0fae6410de6538415e00c08c53d92"),
        (1, "f911e03444ef73691d7bf5b7a181a8df"),
        (7, "db09ff67036f986eefc5ac1e256ec609"),
    ] {
        for short_users in [ShortUsers::Train, ShortUsers::Drop] {
            let parts = split(&data, &SplitOptions { seed, short_users, ..SplitOptions::default() }).unwrap();
            assert!(parts.fingerprint().ends_with(hash), "{seed}: {}", parts.fingerprint());
        }
    }
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
        (SplitOptions { held_out: 0.0, ..default() }, "heldOut is 0.0; allowed: a finite number above 0 and below 1"),
        (SplitOptions { held_out: 1.0, ..default() }, "heldOut is 1.0; allowed: a finite number above 0 and below 1"),
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
        held_out in 0.05f64..0.95, seed in 0u64..1 << 53, min_user_items in 0usize..16, drops in any::<bool>(),
    ) {
        let (users, items): (Vec<_>, Vec<_>) = rows.iter().map(|(u, i)| (u.to_string(), i.to_string())).unzip();
        let data = Interactions::from_columns(&users, &items, None, None, &Thresholds::default()).unwrap();
        let short_users = if drops { ShortUsers::Drop } else { ShortUsers::Train };
        let options = SplitOptions { min_user_items, short_users, validation, test, held_out, seed, ..SplitOptions::default() };
        let Ok(parts) = split(&data, &options) else { return Ok(()) };
        prop_assert_eq!(&split(&data, &options).unwrap(), &parts);

        // Users: a partition of all, or of those with enough items. Only they are held out.
        let long: BTreeSet<_> =
            data.users().iter().filter(|user| data.history(user).unwrap().len() >= min_user_items).collect();
        let eligible = if drops { long.clone() } else { ids(data.users()) };
        prop_assert!(ids(parts.validation.users()).is_subset(&long) && ids(parts.test.users()).is_subset(&long));
        let parts_users = [parts.train.users(), parts.validation.users(), parts.test.users()];
        prop_assert_eq!(parts_users.iter().map(|users| users.len()).sum::<usize>(), eligible.len());
        prop_assert_eq!(parts_users.into_iter().flat_map(ids).collect::<BTreeSet<_>>(), eligible.clone());

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
                let expected = if known.len() < min_user_items.min(5) { 0 } else { (held_out * known.len() as f64) as usize };
                prop_assert_eq!(target.len(), expected);
            }
        }

        // Whatever is gone is counted.
        let left_out = |count: fn(&LeftOut) -> u64| parts.left_out.iter().map(count).sum::<u64>() as usize;
        let n = train.n_interactions() + parts.validation.n_interactions() + parts.test.n_interactions();
        prop_assert_eq!(n + left_out(|it| it.interactions), data.n_interactions());
        prop_assert_eq!(train.n_items() + left_out(|it| it.items), data.n_items());
        let gone = |it: &LeftOut| if it.reason == "shortUsers" { it.users } else { 0 };
        prop_assert_eq!(eligible.len() + parts.left_out.iter().map(gone).sum::<u64>() as usize, data.n_users());
    }

    #[test]
    fn another_seed_gives_another_split(seed in 0u64..1 << 52) {
        let data = block(60, 12);
        let with = |seed| split(&data, &SplitOptions { seed, ..SplitOptions::default() }).unwrap();
        prop_assert_ne!(with(seed), with(seed + 1));
    }
}
