//! EASE^R on updated counts is EASE^R on all users, bit by bit.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use recvae_core::{
    Cancel, EaseCounts, FitRun, Interactions, ModelKind, Recommender, Shard, Threads, Thresholds, inspect,
};
use serde_json::{Value, json};

type History = (String, Vec<String>);

fn data(histories: &[History]) -> Interactions {
    Interactions::from_histories(histories.iter().cloned(), &Thresholds::default()).unwrap()
}

/// The model file, so that item ids and options are compared too.
fn file_of(model: recvae_core::Fit, items: &recvae_core::Ids) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    Recommender::new(model.model, items.clone(), Value::Null).unwrap().save(&path).unwrap();
    std::fs::read(path).unwrap()
}

fn count(data: &Interactions) -> recvae_core::Result<EaseCounts> {
    EaseCounts::count(data, None, &Cancel::default())
}

fn full_fit(all: &Interactions, options: &Value) -> Vec<u8> {
    file_of(ModelKind::Ease.fit(options, all.matrix(), None, &FitRun::default()).unwrap(), all.items())
}

fn fit(counts: &EaseCounts, options: &Value) -> Vec<u8> {
    file_of(counts.fit(options, &FitRun::default()).unwrap(), counts.items())
}

/// Distinct users, each with at least one of up to 24 items: the first ones are had by many, the last by hardly
/// anybody.
fn histories() -> impl Strategy<Value = Vec<History>> {
    let item = (0u32..24, 0u32..24).prop_map(|(a, b)| format!("item {}", a.min(b)));
    prop::collection::vec(prop::collection::vec(item, 1..12), 3..40)
        .prop_map(|users| users.into_iter().enumerate().map(|(user, items)| (format!("user {user}"), items)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn parts_counted_one_after_the_other_are_the_whole(
        users in histories().prop_shuffle(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        threads in 1usize..4,
        f64 in any::<bool>(),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| 1 + cut.index(users.len() - 1)).chain([0, users.len()]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let options = json!({"lambda": 3.5, "precision": if f64 { "f64" } else { "f32" }});
        Threads::new(Some(threads)).unwrap().install(|| {
            // Read one after the other, so that the whole numbers its items as the updates do.
            let all = data(&users);
            let mut counts: Option<EaseCounts> = None;
            for part in cuts.windows(2).map(|ends| data(&users[ends[0]..ends[1]])) {
                counts = Some(match counts {
                    None => count(&part).unwrap(),
                    Some(counts) => counts.update(Some(&part), None, None, &Cancel::default()).unwrap(),
                });
            }
            let counts = counts.unwrap();
            assert_eq!(counts.items(), all.items());
            assert_eq!(counts.n_users(), all.n_users());
            assert_eq!(counts, count(&all).unwrap());
            if all.n_items() > 1 {
                assert_eq!(fit(&counts, &options), full_fit(&all, &options));
            }
        });
    }

    #[test]
    fn shards_merged_in_any_order_have_the_bytes_of_one_run(
        users in histories(),
        of in 1u32..6,
        turn in any::<prop::sample::Index>(),
    ) {
        let all = data(&users);
        let folder = tempfile::tempdir().unwrap();
        let mut paths: Vec<_> = (0..of).map(|index| folder.path().join(index.to_string())).collect();
        for (index, path) in (0..).zip(&paths) {
            let shard = Shard::new(f64::from(index), f64::from(of)).unwrap();
            EaseCounts::count_shard(&all, shard, None, &Cancel::default()).unwrap().save(path).unwrap();
        }
        let at = turn.index(paths.len());
        paths.rotate_left(at);
        let merged = EaseCounts::merge(&paths, None, &Cancel::default()).unwrap();
        let whole = count(&all).unwrap();
        assert_eq!(merged, whole);
        let [a, b] = [(&merged, "merged"), (&whole, "whole")].map(|(counts, name)| {
            let path = folder.path().join(name);
            counts.save(&path).unwrap();
            std::fs::read(path).unwrap()
        });
        assert_eq!(a, b);
    }

    /// Users leave, come with more items, and come anew, in one update.
    #[test]
    fn users_can_leave_and_return_with_more(
        users in histories(),
        leaving in any::<prop::sample::Index>(),
        more in prop::collection::vec("new [a-e]", 1..4),
    ) {
        let leaving = 1 + leaving.index(users.len() - 1);
        let (gone, stay) = users.split_at(leaving);
        let returning = &gone[..leaving / 2];
        let grown: Vec<History> = returning
            .iter()
            .map(|(user, items)| (user.clone(), items.iter().chain(&more).cloned().collect()))
            .chain([("another".to_owned(), more.clone())])
            .collect();
        let before = count(&data(&users)).unwrap();
        let after = before.update(Some(&data(&grown)), Some(&data(gone)), None, &Cancel::default()).unwrap();
        // All who are left, with the items in the order of the counts: those that nobody has any more too.
        let rest: Vec<History> = stay.iter().chain(&grown).cloned().collect();
        let rest = data(&rest);
        let matrix = rest.matrix().rows().map(|row| {
            let mut row: Vec<u32> =
                row.iter().map(|&item| after.items().find(rest.items().get(item as usize)).unwrap()).collect();
            row.sort_unstable();
            row
        });
        let matrix = recvae_core::Csr::from_rows(matrix, after.items().len()).unwrap();
        let rest = Interactions::new(rest.users().clone(), after.items().clone(), matrix).unwrap();
        prop_assert_eq!(&after, &count(&rest).unwrap());
        let options = json!({"lambda": 0.5});
        prop_assert_eq!(fit(&after, &options), full_fit(&rest, &options));
        // And back again: the counts are those of before, with the new items unused.
        let back = after.update(Some(&data(gone)), Some(&data(&grown)), None, &Cancel::default()).unwrap();
        prop_assert_eq!(back.n_users(), before.n_users());
        let first: Vec<&str> = back.items().iter().take(before.items().len()).collect();
        prop_assert_eq!(first, before.items().iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_file_brings_the_same_counts_and_bytes_back(users in histories()) {
        let counts = count(&data(&users)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        counts.save(&first).unwrap();
        let again = EaseCounts::load(&first).unwrap();
        again.save(&second).unwrap();
        prop_assert_eq!(&again, &counts);
        prop_assert!(std::fs::read(first).unwrap() == std::fs::read(second).unwrap());
    }
}

fn likes(users: &[(&str, &[&str])]) -> Interactions {
    Interactions::from_histories(users.iter().map(|(user, items)| (*user, *items)), &Thresholds::default()).unwrap()
}

/// More items than a block of the factorisation, so that it is halved.
#[test]
fn a_larger_catalogue_is_equal_too() {
    let users: Vec<History> = (0..900u64)
        .map(|user| {
            let item = |at: u64| format!("i{}", (user * 7919 + at * at * 104_729 + user * user * at) % 1300);
            (format!("u{user}"), (0..20).map(item).collect())
        })
        .collect();
    let all = data(&users);
    assert!(all.n_items() > 1000);
    let counts = count(&data(&users[..700]))
        .unwrap()
        .update(Some(&data(&users[700..])), None, None, &Cancel::default())
        .unwrap();
    assert!(counts.items().len() > count(&data(&users[..700])).unwrap().items().len());
    for options in [json!({"lambda": 20}), json!({"precision": "f64"})] {
        assert!(fit(&counts, &options) == full_fit(&all, &options), "{options}");
    }
}

#[test]
fn users_who_were_never_counted_cannot_leave() {
    let counts = count(&likes(&[("u", &["a", "b"]), ("v", &["a", "c"]), ("w", &["c"]), ("x", &["d"])])).unwrap();
    let allowed = "allowed: users that were counted, with the same items as then";
    for (remove, text) in [
        (likes(&[("u", &["x"])]), "remove has item 'x'; allowed: the 4 items of the counts".to_owned()),
        (
            likes(&[("1", &["a"]), ("2", &["a"]), ("3", &["c"]), ("4", &["b"]), ("5", &["d"])]),
            "remove has 5 users; allowed: at most the 4 counted".to_owned(),
        ),
        (
            likes(&[("1", &["a"]), ("2", &["a"]), ("3", &["a"])]),
            "remove has 3 users with item 'a'; allowed: at most the 2 counted".to_owned(),
        ),
        (
            likes(&[("x", &["c", "d"])]),
            format!("remove does not fit the counts of users with items 'c' and 'd'; {allowed}"),
        ),
        // Were 'u' gone with 'a' alone, 'b' would stand beside an 'a' that only one user has.
        (
            likes(&[("u", &["a"]), ("v", &["a"])]),
            format!("remove does not fit the counts of users with items 'a' and 'b'; {allowed}"),
        ),
        (
            likes(&[("1", &["b"]), ("2", &["c"]), ("3", &["c"])]),
            format!("remove does not fit the counts of users with item 'a'; {allowed}"),
        ),
    ] {
        let error = counts.update(None, Some(&remove), None, &Cancel::default()).unwrap_err();
        assert_eq!((error.code(), error.to_string()), ("INVALID_DATA", text));
    }
}

#[test]
fn counts_with_nothing_to_learn_from_are_refused() {
    let two = likes(&[("u", &["a", "b"]), ("v", &["a"])]);
    let counts = count(&two).unwrap();
    for (counts, text) in [
        (EaseCounts::default(), "the counts have 0 users and 0 items"),
        (count(&likes(&[("u", &["a", "b"])])).unwrap(), "the counts have 1 users and 2 items"),
        (counts.update(None, Some(&two), None, &Cancel::default()).unwrap(), "the counts have 0 users and 2 items"),
    ] {
        let error = counts.fit(&json!({}), &FitRun::default()).err().unwrap();
        assert_eq!(error.code(), "INVALID_DATA");
        assert!(error.to_string().starts_with(text), "{error}");
    }
    let error = counts.fit(&json!({"lambda": 0}), &FitRun::default()).err().unwrap();
    assert_eq!(error.to_string(), "lambda is 0; allowed: a finite number above 0");
}

#[test]
fn altered_cut_and_foreign_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("counts");
    let data = likes(&[("u", &["a", "b", "c", "d"]), ("v", &["ä", "c"]), ("w", &["e"])]);
    let counts = count(&data).unwrap();
    counts.save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = EaseCounts::load(&path).unwrap_err();
        assert_eq!(error.code(), "INVALID_MODEL_FILE");
        error.to_string()
    };
    for end in 0..whole.len() {
        refused(&whole[..end]);
    }
    for at in 0..whole.len() {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        std::fs::write(&path, &altered).unwrap();
        // Blanks at the end of the header and letters of its own keys carry nothing.
        if let Ok(loaded) = EaseCounts::load(&path) {
            assert_eq!(loaded, counts, "byte {at}");
        }
    }
    assert!(refused(&whole[..whole.len() - 1]).contains("not counts of EASE^R, or truncated"));
    assert!(refused(b"PK\x03\x04 something else").ends_with(
        "not a safetensors file: its first 8 bytes are not the length of a header; allowed: counts of EASE^R"
    ));
    let model = counts.fit(&json!({}), &FitRun::default()).unwrap();
    let model = file_of(model, counts.items());
    assert!(refused(&model).ends_with("it holds \"ease\", not counts of EASE^R, which are 'ease-counts'"));
    std::fs::write(&path, &whole).unwrap();
    let Err(error) = Recommender::load(&path) else { panic!("counts loaded as a model") };
    assert!(error.to_string().contains("model is 'ease-counts'"), "{error}");
    // They are nothing wrong, though.
    let found = inspect(&path).unwrap();
    assert_eq!((found.kind.as_deref(), found.n_items, found.holds), (Some("ease-counts"), Some(6), Some(true)));
    assert_eq!((found.info, found.problem), (json!({"users": 3}), None));
    let mut altered = whole.clone();
    *altered.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &altered).unwrap();
    let found = inspect(&path).unwrap();
    assert!(found.holds == Some(false) && found.problem.is_some_and(|problem| problem.starts_with("it was altered")));
    assert_eq!(EaseCounts::load(folder.path().join("none")).unwrap_err().code(), "IO");
    assert_eq!(counts.save(folder.path().join("none/counts")).unwrap_err().code(), "IO");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
