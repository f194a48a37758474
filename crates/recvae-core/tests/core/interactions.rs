//! Building interactions: ids, duplicates, values, thresholds.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use recvae_core::{Interactions, InteractionsBuilder, Result, Thresholds};

fn thresholds(min_user: usize, min_item: usize) -> Thresholds {
    Thresholds { min_user, min_item }
}

fn build(rows: &[(&str, &str)], thresholds: &Thresholds) -> Result<Interactions> {
    let mut builder = InteractionsBuilder::new();
    for (user, item) in rows {
        builder.push(user, item);
    }
    builder.finish(thresholds)
}

fn message<T: std::fmt::Debug>(result: Result<T>, code: &str) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code);
    error.to_string()
}

#[test]
fn ids_keep_the_order_of_first_appearance_and_duplicates_collapse() {
    let data = build(&[("z", "2"), ("a", "1"), ("z", "1"), ("z", "2"), ("a", "1")], &Thresholds::default()).unwrap();
    assert_eq!(data.users().iter().collect::<Vec<_>>(), ["z", "a"]);
    assert_eq!(data.items().iter().collect::<Vec<_>>(), ["2", "1"]);
    assert_eq!((data.n_users(), data.n_items(), data.n_interactions()), (2, 2, 3));
    assert_eq!(data.density(), 0.75);
    assert_eq!(data.history("z").unwrap(), ["2", "1"]);
    assert_eq!(data.history("a").unwrap(), ["1"]);
    assert_eq!(data.history("b"), None);
    let histories = Interactions::from_histories(
        [("z", vec!["2", "1"]), ("nobody", vec![]), ("a", vec!["1", "1"])],
        &Thresholds::default(),
    );
    assert_eq!(histories.unwrap(), data);
}

#[test]
fn what_is_left_out_is_counted_and_said() {
    let mut builder = InteractionsBuilder::new();
    for (user, item, value) in [
        ("a", "x", 5.0),
        ("a", "x", 4.0), // repeats
        ("a", "y", 3.0), // too low
        ("b", "x", 4.0),
        ("b", "y", 4.0),
        ("b", "y", 5.0), // repeats
        ("c", "z", 4.0), // falls: z has one user, and then c has no item
        ("d", "z", 1.0), // too low
    ] {
        builder.push_value(user, item, value, Some(4.0));
    }
    builder.push_empty();
    let data = builder.finish(&thresholds(1, 2)).unwrap();
    let found: Vec<_> = data
        .left_out()
        .iter()
        .map(|it| (it.reason, it.rows, it.users, it.items, it.interactions, &it.text[..]))
        .collect();
    assert_eq!(
        found,
        [
            ("minValue", 2, 0, 0, 0, "2 rows are left out for a value below minValue"),
            ("duplicates", 2, 0, 0, 0, "2 rows are left out for repeating an interaction"),
            ("emptyHistories", 1, 0, 0, 0, "1 row is left out for being a user without items"),
            ("thresholds", 0, 1, 2, 2, "1 user, 2 items and 2 interactions are left out by minUser 1 and minItem 2"),
        ]
    );
    let untouched = build(&[("a", "x"), ("b", "x")], &thresholds(1, 2)).unwrap();
    assert!(untouched.left_out().is_empty());
    // What was left out does not make data others.
    let again = build(&[("a", "x"), ("b", "x"), ("b", "x")], &thresholds(1, 2)).unwrap();
    assert_eq!((again.left_out().len(), &again), (1, &untouched));
}

#[test]
fn thresholds_hold_for_what_is_left() {
    // "u3" falls for want of items; then "i3" has one user left and falls; then "u2" has one item left and falls; ...
    let rows = [("u1", "i1"), ("u1", "i2"), ("u2", "i2"), ("u2", "i3"), ("u3", "i3")];
    assert_eq!(
        message(build(&rows, &thresholds(2, 2)), "INVALID_DATA"),
        "no interactions left: minUser 2 and minItem 2 remove all 5 interactions of 3 users and 3 items; \
         allowed: lower thresholds"
    );
    let data = build(&rows, &thresholds(0, 2)).unwrap();
    assert_eq!(data.items().iter().collect::<Vec<_>>(), ["i2", "i3"]);
    assert_eq!(data.n_users(), 3);
    // A user or item without interactions is never kept, not even at threshold 0.
    let data = build(&[("u1", "i1"), ("u2", "i2"), ("u3", "i2")], &thresholds(0, 2)).unwrap();
    assert_eq!(data.users().iter().collect::<Vec<_>>(), ["u2", "u3"]);
}

#[test]
fn values_below_the_minimum_leave_no_trace() {
    let (users, items) = (["a", "b", "a"], ["x", "y", "z"]);
    let none = Thresholds::default();
    let columns = |values: Option<&[f64]>, min| Interactions::from_columns(&users, &items, values, min, &none);
    let data = columns(Some(&[4.0, 3.9, f64::MAX]), Some(4.0)).unwrap();
    assert_eq!(data.users().iter().collect::<Vec<_>>(), ["a"]);
    assert_eq!(data.items().iter().collect::<Vec<_>>(), ["x", "z"]);
    assert_eq!(columns(Some(&[4.0, 3.9, 5.0]), None).unwrap().n_interactions(), 3);
    assert_eq!(columns(None, None).unwrap().n_interactions(), 3);
    for (result, code, text) in [
        (columns(None, Some(4.0)), "INVALID_ARGUMENT", "minValue is 4; allowed: only with values"),
        (columns(Some(&[1.0; 3]), Some(f64::NAN)), "INVALID_ARGUMENT", "minValue is NaN; allowed: a number"),
        (
            columns(Some(&[1.0; 2]), None),
            "INVALID_ARGUMENT",
            "number of values is 2; allowed: as many as there are users, 3",
        ),
        (columns(Some(&[1.0, f64::NAN, 1.0]), None), "INVALID_DATA", "values[1] is NaN; allowed: a finite number"),
        (
            columns(Some(&[1.0, 1.0, f64::INFINITY]), Some(0.0)),
            "INVALID_DATA",
            "values[2] is Infinity; allowed: a finite number",
        ),
        (
            columns(Some(&[f64::NEG_INFINITY, 1.0, 1.0]), Some(0.0)),
            "INVALID_DATA",
            "values[0] is -Infinity; allowed: a finite number",
        ),
        (
            columns(Some(&[1.0; 3]), Some(2.0)),
            "INVALID_DATA",
            "no interactions left: the values of all 3 rows lie below minValue",
        ),
    ] {
        assert_eq!(message(result, code), text);
    }
}

#[test]
fn bad_rows_are_named() {
    let none = Thresholds::default();
    let long = "x".repeat((1 << 16) + 1);
    let columns = |users: &[&str], items: &[&str]| Interactions::from_columns(users, items, None, None, &none);
    for (result, code, text) in [
        (columns(&[], &[]), "INVALID_DATA", "no interactions: the input is empty"),
        (columns(&["a", "a"], &["x", ""]), "INVALID_DATA", "items[1] is empty; allowed: an id"),
        (columns(&[""], &["x"]), "INVALID_DATA", "users[0] is empty; allowed: an id"),
        (columns(&["a"], &[]), "INVALID_ARGUMENT", "number of items is 0; allowed: as many as there are users, 1"),
        (
            Interactions::from_histories([("a", ["x", ""])], &none),
            "INVALID_DATA",
            "item 1 of user 'a' is empty; allowed: an id",
        ),
        (
            Interactions::from_histories([("", ["x"])], &none),
            "INVALID_DATA",
            "the user id of history 0 is empty; allowed: an id",
        ),
        (
            columns(&["a", "a"], &["x", long.as_str()]),
            "INVALID_DATA",
            "items[1] is 65537 bytes long; allowed: at most 65536",
        ),
        (
            Interactions::from_histories([("a", ["x"]), (long.as_str(), ["x"])], &none),
            "INVALID_DATA",
            "the user id of history 1 is 65537 bytes long; allowed: at most 65536",
        ),
        (
            Interactions::from_histories([("a", ["x", long.as_str()])], &none),
            "INVALID_DATA",
            "item 1 of user 'a' is 65537 bytes long; allowed: at most 65536",
        ),
    ] {
        assert_eq!(message(result, code), text);
    }
}

/// Thresholds by the plain rule: look at everybody, drop who is below, until nobody is.
fn naive(mut pairs: BTreeSet<(u8, u8)>, min_user: usize, min_item: usize) -> BTreeSet<(u8, u8)> {
    loop {
        let kept: BTreeSet<_> = pairs
            .iter()
            .filter(|(user, item)| {
                pairs.iter().filter(|pair| pair.0 == *user).count() >= min_user
                    && pairs.iter().filter(|pair| pair.1 == *item).count() >= min_item
            })
            .copied()
            .collect();
        if kept == pairs {
            return kept;
        }
        pairs = kept;
    }
}

proptest! {
    #[test]
    fn peeling_finds_the_naive_fixed_point(
        rows in prop::collection::vec((0u8..12, 0u8..12), 1..80), min_user in 0usize..5, min_item in 0usize..5,
    ) {
        let (users, items): (Vec<_>, Vec<_>) = rows.iter().map(|(u, i)| (u.to_string(), i.to_string())).unzip();
        let result = Interactions::from_columns(&users, &items, None, None, &thresholds(min_user, min_item));
        let expected = naive(rows.iter().copied().collect(), min_user, min_item);
        let Ok(data) = result else {
            prop_assert!(expected.is_empty());
            return Ok(());
        };
        let mut pairs = BTreeSet::new();
        for (user, row) in data.matrix().rows().enumerate() {
            for &item in row {
                pairs.insert((data.users().get(user).parse().unwrap(), data.items().get(item as usize).parse().unwrap()));
            }
        }
        prop_assert_eq!(&pairs, &expected);
        // Survivors keep the order of first appearance.
        let order: Vec<_> = data.users().iter().map(|id| users.iter().position(|user| user == id).unwrap()).collect();
        prop_assert!(order.is_sorted());
        let order: Vec<_> = data.items().iter().map(|id| items.iter().position(|item| item == id).unwrap()).collect();
        prop_assert!(order.is_sorted());
    }
}
