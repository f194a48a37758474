//! Splits within users: what goes where, what is left out and counted, and what is refused.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use recvae_core::{
    Batch, Batches, Format, HeldOut, IdColumn, Interactions, Moment, Options, ReadOptions, RowFilter, ShortUsers,
    Split, SplitKind, SplitOptions, Thresholds, read_interactions, read_official, split, write_official,
};
use serde_json::json;

/// Rows of user, item and time.
fn timed(rows: &[(&str, &str, f64)]) -> Interactions {
    let column = |of: fn(&(&str, &str, f64)) -> String| rows.iter().map(of).collect::<Vec<_>>();
    let (users, items) = (column(|row| row.0.to_owned()), column(|row| row.1.to_owned()));
    let times: Vec<f64> = rows.iter().map(|row| row.2).collect();
    let mut batches = Batches::new(RowFilter::default(), Thresholds::default());
    let batch =
        Batch { users: IdColumn::Text(&users), items: IdColumn::Text(&items), values: None, timestamps: Some(&times) };
    batches.push(&batch).unwrap();
    batches.finish().unwrap()
}

fn of_kind(kind: SplitKind) -> SplitOptions {
    SplitOptions { kind, min_user_items: 0, ..SplitOptions::default() }
}

/// `user: input > target` of each user.
fn asked(split: &Split, part: &HeldOut) -> Vec<String> {
    let names =
        |row: &[u32]| row.iter().map(|&item| split.train.items().get(item as usize)).collect::<Vec<_>>().join(" ");
    let rows = part.input().rows().zip(part.target().rows()).zip(part.users().iter());
    rows.map(|((input, target), user)| format!("{user}: {} > {}", names(input), names(target))).collect()
}

fn trained(split: &Split) -> Vec<String> {
    let train = &split.train;
    train.users().iter().map(|user| format!("{user}: {}", train.history(user).unwrap().join(" "))).collect()
}

/// Reasons with users, items and interactions.
fn lost(split: &Split) -> Vec<(&str, u64, u64, u64)> {
    split.left_out.iter().map(|lost| (lost.reason, lost.users, lost.items, lost.interactions)).collect()
}

const ROWS: [(&str, &str, f64); 12] = [
    ("a", "p", 1.0),
    ("a", "q", 2.0),
    ("b", "p", 3.0),
    ("b", "r", 4.0),
    ("a", "s", 5.0),
    ("b", "q", 6.0),
    ("c", "p", 6.5),
    ("a", "r", 7.0),
    ("b", "new", 8.0),
    ("b", "s", 9.0),
    ("d", "q", 10.0),
    ("c", "q", 11.0),
];

fn since(test: f64, validation: f64) -> SplitOptions {
    SplitOptions {
        test_since: Some(Moment::Number(test)),
        validation_since: Some(Moment::Number(validation)),
        ..of_kind(SplitKind::Time)
    }
}

#[test]
fn by_time_everybody_is_asked_for_what_came_later() {
    let parts = split(&timed(&ROWS), &since(7.0, 6.0)).unwrap();
    assert_eq!(trained(&parts), ["a: p q s", "b: p r"]);
    // Of c nothing is known before the validation part.
    assert_eq!(asked(&parts, &parts.validation), ["b: p r > q"]);
    // What is known then is the validation part, too. `new` is in no training row, and d comes out of nowhere.
    assert_eq!(asked(&parts, &parts.test), ["a: p q s > r", "b: p q r > s", "c: p > q"]);
    assert_eq!(lost(&parts), [("newItems", 0, 1, 1), ("newUsers", 2, 0, 2)]);
    // Each user and each pair counts once, in however many parts it is.
    assert_eq!(parts.totals(), (3, 10));
    let texts: Vec<_> = parts.left_out.iter().map(|lost| &*lost.text).collect();
    assert_eq!(
        texts,
        [
            "1 item is left out, with 1 interaction that would have had to be found, for being in no training interaction",
            "2 users are left out, with 2 interactions, for having no known item before the validation or the test part",
        ]
    );
}

#[test]
fn shares_by_time_are_of_the_newest_interactions() {
    // Of 12 interactions, the newest 3 and the 2 before them.
    let options = SplitOptions { test: 0.25, validation: 2.0 / 12.0, ..of_kind(SplitKind::Time) };
    assert_eq!(split(&timed(&ROWS), &options).unwrap(), split(&timed(&ROWS), &since(9.0, 7.0)).unwrap());
    // Beside a date, the share is of what comes before it.
    let test = SplitOptions::default().test;
    let mixed = SplitOptions { test, test_since: Some(Moment::Number(9.0)), ..options.clone() };
    assert_eq!(split(&timed(&ROWS), &mixed).unwrap(), split(&timed(&ROWS), &since(9.0, 7.0)).unwrap());
    // All that came at the same time is on the same side.
    let mut rows = ROWS;
    rows[8].2 = 9.0;
    let ties = split(&timed(&rows), &options).unwrap();
    assert_eq!(ties.test, split(&timed(&rows), &since(9.0, 7.0)).unwrap().test);
    // Without a part, nobody is in it, and its time is the training's.
    let none = SplitOptions { validation: 0.0, ..since(7.0, 6.0) };
    let none = SplitOptions { validation_since: None, ..none };
    let parts = split(&timed(&ROWS), &none).unwrap();
    assert_eq!((parts.validation.n_users(), parts.train.n_interactions()), (0, 7));
    let none = split(&timed(&ROWS), &SplitOptions { test: 0.0, ..since(7.0, 6.0) }).unwrap();
    assert_eq!((none.test.n_users(), asked(&none, &none.validation)), (0, vec!["b: p r > q".to_owned()]));
}

#[test]
fn dates_are_compared_with_seconds() {
    let day = |n: f64| 1_422_662_400.0 + 86_400.0 * n;
    let rows: Vec<_> = ROWS.iter().map(|&(user, item, time)| (user, item, day(time))).collect();
    let date = |text: &str| Some(Moment::Date(text.into()));
    let options = SplitOptions {
        test_since: date("2015-02-07"),
        validation_since: date("2015-02-06"),
        ..of_kind(SplitKind::Time)
    };
    assert_eq!(split(&timed(&rows), &options).unwrap(), split(&timed(&ROWS), &since(7.0, 6.0)).unwrap());
    let milliseconds: Vec<_> = rows.iter().map(|&(user, item, time)| (user, item, 1000.0 * time)).collect();
    let error = split(&timed(&milliseconds), &options).unwrap_err();
    let text =
        "testSince is '2015-02-07'; allowed: a number: the times go up to 1423612800000, and do not count seconds";
    assert_eq!((error.code(), error.to_string().as_str()), ("INVALID_ARGUMENT", text));
}

/// `ROWS` with somebody who has everything, so that fewer items are new.
fn more_rows() -> Vec<(&'static str, &'static str, f64)> {
    let all =
        ["p", "q", "r", "s", "new", "x", "y"].into_iter().zip(20..).map(|(item, time)| ("e", item, f64::from(time)));
    ROWS.into_iter().chain(all).chain([("a", "x", 5.0), ("a", "y", 7.5), ("d", "y", 1.0)]).collect()
}

#[test]
fn the_last_items_of_each_user_are_left_out() {
    let data = timed(&more_rows());
    let parts = split(&data, &of_kind(SplitKind::Last)).unwrap();
    // By time, a has p, q, s and x at once, r, y; b has p, r, q, new, s. Of c and d, nothing would be left to train on.
    assert_eq!(trained(&parts), ["a: p q s x", "b: p q r", "c: p q", "d: q y", "e: p q r s new"]);
    assert_eq!(asked(&parts, &parts.validation), ["a: p q s x > r", "b: p q r > new", "e: p q r s new > x"]);
    assert_eq!(asked(&parts, &parts.test), ["a: p q r s x > y", "b: p q r new > s", "e: p q r s new x > y"]);
    assert_eq!(lost(&parts), [("neverHeldOut", 2, 0, 0)]);

    // Of items of the same time, the later one is the newer one.
    let two = split(&data, &SplitOptions { last: 2, ..of_kind(SplitKind::Last) }).unwrap();
    assert_eq!(trained(&two), ["a: p q", "b: p", "c: p q", "d: q y", "e: p q r"]);
    let no_validation = split(&data, &SplitOptions { validation: 0.0, ..of_kind(SplitKind::Last) }).unwrap();
    assert_eq!((no_validation.validation.n_users(), no_validation.test.n_users()), (0, 5), "c and d, too");

    let least = |min_user_items, short_users| SplitOptions { min_user_items, short_users, ..of_kind(SplitKind::Last) };
    let parts = split(&data, &least(6, ShortUsers::Train)).unwrap();
    assert_eq!(trained(&parts)[1], "b: p q r s new");
    assert_eq!(lost(&parts), [("neverHeldOut", 3, 0, 0)]);
    // Without d, nobody is trained on with y.
    let parts = split(&data, &least(5, ShortUsers::Drop)).unwrap();
    assert_eq!(trained(&parts), ["a: p q s x", "b: p q r", "e: p q r s new"]);
    assert_eq!(asked(&parts, &parts.test), ["b: p q r new > s"]);
    assert_eq!(lost(&parts), [("shortUsers", 2, 0, 4), ("newItems", 0, 1, 2)]);
}

#[test]
fn what_does_not_fit_the_kind_or_the_data_is_refused() {
    let plain = Interactions::from_histories([("a", ["x", "y"]), ("b", ["y", "x"])], &Thresholds::default()).unwrap();
    for kind in [SplitKind::Time, SplitKind::Last] {
        let error = split(&plain, &of_kind(kind)).unwrap_err();
        let text = format!(
            "kind is '{}'; allowed: only for data with times: the option time names their column, and batches have timestamps",
            kind.word()
        );
        assert_eq!((error.code(), error.to_string()), ("INVALID_ARGUMENT", text));
    }
    for (options, text) in [
        (
            json!({"kind": "random"}),
            "kind is \"random\"; allowed: 'strong' or 'folds' or 'time' or 'last' or 'share' or 'files' or 'column'",
        ),
        (
            json!({"testSince": "2015-01-31"}),
            "testSince is '2015-01-31'; allowed: only with kind time (kind is 'strong')",
        ),
        (
            json!({"kind": "last", "validationSince": 5}),
            "validationSince is '5'; allowed: only with kind time (kind is 'last')",
        ),
        (json!({"kind": "share", "last": 2}), "last is 2; allowed: only with kind last (kind is 'share')"),
        (json!({"kind": "last", "last": 0}), "last is 0; allowed: a whole number, 1 or more"),
        (
            json!({"kind": "time", "heldOut": 0.5}),
            "heldOut is 0.5; allowed: only with kinds strong, folds, share, files and column (kind is 'time')",
        ),
        (
            json!({"kind": "time", "test": 0.3, "testSince": 5}),
            "test is 0.3; allowed: 0 for none, or nothing: testSince says where the part begins",
        ),
        (
            json!({"kind": "time", "validation": 0.2, "validationSince": "2015-01-31"}),
            "validation is 0.2; allowed: 0 for none, or nothing: validationSince says where the part begins",
        ),
        (
            json!({"kind": "time", "test": 100}),
            "test is 100; allowed: a share below 1 of the interactions (kind is 'time')",
        ),
        (
            json!({"kind": "time", "test": 0.6, "validation": 0.4}),
            "validation is 0.4 beside test = 0.6; allowed: shares that leave something to train on",
        ),
        (
            json!({"kind": "last", "test": 500}),
            "test is 500; allowed: 0 for none, or nothing: all users are asked (kind is 'last')",
        ),
    ] {
        assert_eq!(SplitOptions::from_json(&options).unwrap_err().to_string(), text);
    }
    let data = timed(&ROWS);
    for (options, text) in [
        (
            since(100.0, 6.0),
            "no test user is left with something to find (the times run from 1 to 11); allowed: at least one, or test = 0 for none",
        ),
        (
            since(1.0, 0.5),
            "nothing is left to train on (the times run from 1 to 11); allowed: at least one interaction",
        ),
        (
            since(7.0, 6.9),
            "no validation user is left with something to find (the times run from 1 to 11); allowed: at least one, or validation = 0 for none",
        ),
        (since(7.0, 8.0), "validationSince is 8; allowed: a time before the test period"),
    ] {
        assert_eq!(split(&data, &options).unwrap_err().to_string(), text);
    }
}

#[test]
fn a_split_within_users_goes_through_the_official_layout() {
    let parts = split(&timed(&more_rows()), &of_kind(SplitKind::Last)).unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("split");
    write_official(&parts, &path).unwrap();
    assert_eq!(read_official(&path).unwrap(), parts);
    let sizes = std::fs::read_to_string(path.join("split.json")).unwrap();
    assert!(sizes.contains(r#""train":5"#) && sizes.contains(r#","withinUsers":true"#), "{sizes}");
    // Within a part, a user comes once; and without a word of it, in one part.
    let users = std::fs::read_to_string(path.join("unique_uid.txt")).unwrap();
    std::fs::write(path.join("unique_uid.txt"), users.replacen("a\nb\n", "b\nb\n", 1)).unwrap();
    let error = read_official(&path).unwrap_err().to_string();
    assert!(error.ends_with("unique_uid.txt: user 'b' occurs twice in a part of the split; allowed: once"), "{error}");
    std::fs::write(path.join("unique_uid.txt"), users).unwrap();
    std::fs::write(path.join("split.json"), sizes.replace(",\"withinUsers\":true", "")).unwrap();
    let error = read_official(&path).unwrap_err().to_string();
    assert!(error.ends_with("unique_uid.txt:6: 'a' occurs twice; allowed: once"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every known item of every user is in one part; the sizes are those of the formula; the same seed gives the same
    /// split.
    #[test]
    fn a_share_of_each_users_items_is_held_out(
        histories in prop::collection::vec(prop::collection::btree_set(0u32..30, 1..20), 4..20),
        held_out in 0.05f64..0.6,
        seed in 0u64..1000,
    ) {
        let rows = histories.iter().enumerate().map(|(user, items)| (format!("u{user}"), items.iter().map(|i| format!("i{i}"))));
        let data = Interactions::from_histories(rows, &Thresholds::default()).unwrap();
        let options = SplitOptions { held_out, seed, ..of_kind(SplitKind::Share) };
        let Ok(parts) = split(&data, &options) else { return Ok(()) };
        prop_assert_eq!(&split(&data, &options).unwrap(), &parts);
        let known = |user: &str| -> Vec<&str> {
            data.history(user).unwrap().into_iter().filter(|item| parts.train.items().find(item).is_some()).collect()
        };
        let items = |row: &[u32]| row.iter().map(|&item| parts.train.items().get(item as usize)).collect::<Vec<_>>();
        for (row, user) in parts.test.users().iter().enumerate() {
            let mut all = items(parts.test.input().row(row));
            all.extend(items(parts.test.target().row(row)));
            let place = |item: &&str| data.items().find(item);
            all.sort_by_key(place);
            prop_assert_eq!(all, known(user));
            let n = data.history(user).unwrap().len();
            prop_assert!(parts.test.target().row(row).len() <= (held_out * n as f64) as usize);
        }
        for (row, user) in parts.validation.users().iter().enumerate() {
            prop_assert_eq!(items(parts.validation.input().row(row)), parts.train.history(user).unwrap());
        }
        let n_lost: u64 = parts.left_out.iter().filter(|lost| lost.reason == "newItems").map(|lost| lost.interactions).sum();
        let asked = parts.validation.target().nnz() + parts.test.target().nnz();
        prop_assert_eq!(parts.train.n_interactions() + asked + n_lost as usize, data.n_interactions());
    }
}

#[test]
fn what_others_divided_stays_divided() {
    let part = |rows: &[(&str, &str)]| {
        let (users, items): (Vec<&str>, Vec<&str>) = rows.iter().copied().unzip();
        Interactions::from_columns(&users, &items, None, None, &Thresholds::default()).unwrap()
    };
    let train = part(&[("a", "p"), ("a", "q"), ("b", "q"), ("b", "r"), ("c", "p")]);
    // A pair of training once more, an item and a user that training does not have.
    let test = part(&[("a", "r"), ("a", "p"), ("b", "new"), ("d", "p")]);
    let validation = part(&[("b", "p")]);
    let data = Interactions::from_parts(&train, Some(&validation), &test).unwrap();
    assert_eq!((data.times(), data.parts().unwrap().len()), (None, 9));
    let found = split(&data, &of_kind(SplitKind::Files)).unwrap();
    assert_eq!(trained(&found), ["a: p q", "b: q r", "c: p"]);
    assert_eq!(asked(&found, &found.validation), ["b: q r > p"]);
    assert_eq!(asked(&found, &found.test), ["a: p q > r"]);
    assert_eq!(lost(&found), [("newItems", 0, 1, 1), ("newUsers", 1, 0, 1)]);
    assert_eq!(data.left_out().iter().map(|lost| (lost.reason, lost.rows)).collect::<Vec<_>>(), [("duplicates", 1)]);
    // Without validation it is part of nothing; what others divided by a column is the same.
    let found = split(&data, &SplitOptions { validation: 0.0, ..of_kind(SplitKind::Column) }).unwrap();
    assert_eq!((found.validation.n_users(), asked(&found, &found.test)), (0, vec!["a: p q > r".to_owned()]));
    // Parts are no times.
    let error = split(&data, &of_kind(SplitKind::Time)).unwrap_err();
    assert!(error.to_string().starts_with("kind is 'time'; allowed: only for data with times"), "{error}");
}

#[test]
fn validation_is_drawn_from_training_where_nothing_is_for_it() {
    let rows = |user: &str, from: usize, to: usize| {
        (from..to).map(|item| (user.to_owned(), format!("i{item}"))).collect::<Vec<_>>()
    };
    let of = |from: usize, to: usize, more: Vec<(String, String)>| {
        let all = (0..20).flat_map(|user| rows(&format!("u{user}"), from, to)).chain(more);
        let (users, items): (Vec<String>, Vec<String>) = all.unzip();
        Interactions::from_columns(&users, &items, None, None, &Thresholds::default()).unwrap()
    };
    // User z has too few training items to be asked.
    let data = Interactions::from_parts(&of(0, 10, rows("z", 10, 12)), None, &of(8, 12, vec![])).unwrap();
    let options = SplitOptions { min_user_items: 5, ..of_kind(SplitKind::Files) };
    let found = split(&data, &options).unwrap();
    // A fifth of ten items; what is in both files is training's.
    assert!(found.validation.target().rows().all(|row| row.len() == 2));
    assert!(found.test.target().rows().all(|row| row.len() == 2));
    assert_eq!((found.validation.n_users(), found.test.n_users()), (20, 20));
    assert_eq!(found.train.n_interactions(), 20 * 8 + 2);
    assert_ne!(found, split(&data, &SplitOptions { seed: 1, ..options.clone() }).unwrap());
    let none = split(&data, &SplitOptions { validation: 0.0, test: 0.0, ..options }).unwrap();
    assert_eq!((none.train.n_interactions(), none.validation.n_users(), none.test.n_users()), (202, 0, 0));
}

#[test]
fn a_column_says_the_parts() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str, text: &str, options: ReadOptions| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        read_interactions(&path, &options, &Thresholds::default())
    };
    let by = |part: &str| ReadOptions { part: Some(part.to_owned()), ..ReadOptions::default() };
    let csv = "user,item,fold\na,p,train\na,q,val\nb,q,train\na,r,test\nb,p,test\nc,r,train\n";
    let json = csv.lines().skip(1).map(|row| {
        let fields: Vec<_> = row.split(',').collect();
        format!("{}\n", json!({"user": fields[0], "item": fields[1], "fold": fields[2]}))
    });
    for data in
        [read("p.csv", csv, by("fold")).unwrap(), read("p.ndjson", &json.collect::<String>(), by("fold")).unwrap()]
    {
        let found = split(&data, &of_kind(SplitKind::Column)).unwrap();
        assert_eq!(trained(&found), ["a: p", "b: q", "c: r"]);
        assert_eq!(asked(&found, &found.validation), ["a: p > q"]);
        assert_eq!(asked(&found, &found.test), ["a: p q > r", "b: q > p"]);
    }
    // Without a header by its number.
    let bare = ReadOptions { header: false, ..by("3") };
    assert_eq!(read("n.csv", "a,p,train\na,q,test\n", bare).unwrap().parts(), Some(&[0.0, 2.0][..]));
    for (text, options, message) in [
        (csv, by("part"), "there is no column 'part' among 'user', 'item', 'fold'; name it by the option part"),
        (
            "user,item,fold\na,p,training\n",
            by("fold"),
            "fold is 'training'; allowed: train, validation, valid, val, dev, test",
        ),
        (csv, by("user"), "part is 'user'; allowed: a column other than user and item"),
        (csv, ReadOptions { time: Some("t".into()), ..by("fold") }, "part is 'fold'; allowed: only without time"),
        (
            csv,
            ReadOptions { since: Some(Moment::Number(5.0)), ..by("fold") },
            "part is 'fold'; allowed: only without since",
        ),
        (
            csv,
            ReadOptions { format: Some(Format::Adjacency), ..by("fold") },
            "part is 'fold'; allowed: none for adjacency, which has no names of columns",
        ),
    ] {
        let error = read("bad.csv", text, options).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let error = read("bad.ndjson", "{\"user\":\"a\",\"item\":\"p\",\"fold\":1}\n", by("fold")).unwrap_err().to_string();
    assert!(error.contains("invalid type: integer `1`, expected a string"), "{error}");
}
