//! Made-up data: their sizes, that they are the same everywhere, and that the file holds them.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::sync::Mutex;

use recvae_core::{
    Cancel, Like, Options, ReadOptions, SynthOptions, Threads, Thresholds, read_interactions, synth, write_synth,
};
use serde_json::json;
use tempfile::TempDir;

fn small(like: Like, seed: u64) -> SynthOptions {
    SynthOptions { like, scale: 0.01, seed }
}

#[test]
fn sizes_are_exact_and_popularity_is_uneven() {
    for (like, [n_users, n_items, n_interactions], share) in [
        (Like::Ml20m, [1_367, 20_720, 99_907], 0.1..0.5),
        (Like::Netflix, [4_634, 17_769, 568_800], 0.1..0.4),
        (Like::Msd, [5_714, 41_140, 336_335], 0.05..0.3),
    ] {
        // That pairs are distinct is checked by the matrix.
        let data = synth(&small(like, 1)).unwrap();
        assert_eq!([data.n_users(), data.n_items(), data.n_interactions()], [n_users, n_items, n_interactions]);
        assert!(data.matrix().rows().all(|items| items.len() >= 5));
        let mut counts = data.matrix().column_counts();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        assert!(counts[n_items - 1] >= 1);
        let top: u32 = counts[..n_items / 100].iter().sum();
        let top = f64::from(top) / n_interactions as f64;
        assert!(share.contains(&top), "the top 1 % of {like:?}'s items hold {top}");
    }
}

#[test]
fn a_million_users_have_a_long_tail() {
    // A tenth of the users, and the items of all: a tenth of the pairs is there for every item to have a user.
    let data = synth(&SynthOptions { like: Like::Million, scale: 0.1, seed: 1 }).unwrap();
    assert_eq!([data.n_users(), data.n_items(), data.n_interactions()], [100_000, 200_000, 2_000_000]);
    let mut counts = data.matrix().column_counts();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    assert!(counts[199_999] >= 1 && (2..8).contains(&counts[100_000]), "{}", counts[100_000]);
    let top = f64::from(counts[..2_000].iter().sum::<u32>()) / 2e6;
    assert!((0.2..0.6).contains(&top), "{top}");
}

#[test]
fn the_seed_alone_decides() {
    let data = synth(&small(Like::Ml20m, 1)).unwrap();
    assert_ne!(data, synth(&small(Like::Ml20m, 2)).unwrap());
    let folder = TempDir::new().unwrap();
    for name in ["a.csv", "a.csv.gz"] {
        let mut first = None;
        for threads in [1, 2, 5] {
            let path = folder.path().join(name);
            Threads::new(Some(threads)).unwrap().install(|| {
                assert_eq!(synth(&small(Like::Ml20m, 1)).unwrap(), data);
                write_synth(&small(Like::Ml20m, 1), &path, &|_| (), &Cancel::default()).unwrap();
            });
            let bytes = fs::read(&path).unwrap();
            assert_eq!(bytes[..2] == [0x1f, 0x8b], name == "a.csv.gz");
            assert_eq!(*first.get_or_insert_with(|| bytes.clone()), bytes, "{name} by {threads} threads");
            assert_eq!(
                read_interactions(&path, &ReadOptions::default(), &Thresholds::default()).unwrap(),
                data,
                "{name}"
            );
        }
    }
}

#[test]
fn progress_grows_to_the_whole() {
    let folder = TempDir::new().unwrap();
    let seen = Mutex::new(vec![]);
    let options = SynthOptions { scale: 0.1, ..small(Like::Ml20m, 3) };
    let last = Threads::new(Some(1))
        .unwrap()
        .install(|| {
            write_synth(
                &options,
                folder.path().join("a.csv"),
                &|progress| seen.lock().unwrap().push(*progress),
                &Cancel::default(),
            )
        })
        .unwrap();
    let seen = seen.into_inner().unwrap();
    assert!(seen.len() > 2 && seen.is_sorted_by(|a, b| a.interactions < b.interactions));
    assert_eq!(seen.last(), Some(&last));
    assert_eq!((last.users, last.n_users, last.n_items), (13_668, 13_668, 20_720));
    assert_eq!((last.interactions, last.n_interactions), (999_068, 999_068));
}

#[test]
fn wrong_wishes_are_refused_and_leave_no_file() {
    let folder = TempDir::new().unwrap();
    for (scale, name, code) in [
        (0.0, "a.csv", "INVALID_ARGUMENT"),
        (0.009, "a.csv", "INVALID_ARGUMENT"),
        (1.1, "a.csv", "INVALID_ARGUMENT"),
        (f64::NAN, "a.csv", "INVALID_ARGUMENT"),
        (0.01, "a.tsv", "INVALID_ARGUMENT"),
        (0.01, "a.gz", "INVALID_ARGUMENT"),
        (0.01, "gone/a.csv", "IO"),
    ] {
        let options = SynthOptions { scale, ..small(Like::Ml20m, 1) };
        let error = write_synth(&options, folder.path().join(name), &|_| (), &Cancel::default()).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
    let error = SynthOptions::from_json(&json!({"like": "ml-1m"})).unwrap_err().to_string();
    assert_eq!(error, "like is \"ml-1m\"; allowed: 'ml-20m' or 'netflix' or 'msd' or 'million'");
}
