//! Splits as folders: written, read back, and refused.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use recvae_core::{
    Csr, HeldOut, Ids, Interactions, Split, SplitOptions, Thresholds, debian, is_official, read_official, split,
    write_official,
};
use tempfile::TempDir;

/// The folder of shared test data: as `build.rs` finds it, when the tests run.
fn shared() -> PathBuf {
    let named = std::env::var_os("RECVAE_SHARED").map(PathBuf::from);
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared"));
    let found = named.into_iter().chain(above).find(|folder| folder.join("reference").is_dir());
    found.expect("a folder shared/reference above this checkout, or RECVAE_SHARED")
}

fn ids(prefix: &str, n: usize) -> Ids {
    (0..n).map(|index| format!("{prefix}{index}")).collect()
}

/// Three items, two training users, two validation users (one in each file only), one test user.
const FILES: [(&str, &str); 7] = [
    ("unique_sid.txt", "x\ny\nz\n"),
    ("unique_uid.txt", "a\nb\nc\nd\ne\n"),
    ("train.csv", "uid,sid\n0,0\n0,1\n1,2\n1,2\n"),
    ("validation_tr.csv", "uid,sid\n2,1\n"),
    ("validation_te.csv", "uid,sid\n3,0\n"),
    ("test_tr.csv", "sid,uid\n2,4\n1,4\n"),
    ("test_te.csv", "uid,sid\n4,0\n"),
];

/// The files, one of them with another content; `None` leaves it away.
fn folder(changed: &str, content: Option<&str>) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, usual) in FILES {
        if let Some(content) = if name == changed { content } else { Some(usual) } {
            fs::write(folder.path().join(name), content).unwrap();
        }
    }
    folder
}

fn refusal(changed: &str, content: Option<&str>, code: &str) -> String {
    let folder = folder(changed, content);
    let error = read_official(folder.path()).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    error
        .to_string()
        .replace(&format!("{}/", folder.path().display()), "")
        .replace(&folder.path().display().to_string(), "")
}

#[test]
fn a_user_in_one_file_only_is_a_row() {
    let split = read_official(folder("", None).path()).unwrap();
    assert_eq!(split.train.users().iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(split.train.items().iter().collect::<Vec<_>>(), ["x", "y", "z"]);
    assert_eq!(split.train.history("b").unwrap(), ["z"]);
    assert_eq!(split.validation.users().iter().collect::<Vec<_>>(), ["c", "d"]);
    assert_eq!(split.validation.input(), &Csr::from_pairs(2, 3, &[(0, 1)]));
    assert_eq!(split.validation.target(), &Csr::from_pairs(2, 3, &[(1, 0)]));
    assert_eq!(split.test.users().iter().collect::<Vec<_>>(), ["e"]);
    assert_eq!(split.test.input(), &Csr::from_pairs(1, 3, &[(0, 1), (0, 2)]));
    assert_eq!(split.test.n_scored(), 1);
    // A uid in neither file, between two that are, is a row as well.
    let split = read_official(folder("unique_uid.txt", None).path()).unwrap();
    assert_eq!(split.test.users().get(0), "4");
    let gap = folder("test_te.csv", Some("uid,sid\r\n6,0\r\n"));
    fs::remove_file(gap.path().join("unique_uid.txt")).unwrap();
    assert_eq!(read_official(gap.path()).unwrap().test.n_users(), 3);
}

#[test]
fn wrong_folders_are_refused() {
    let huge = format!("uid,sid\n{},0\n", u32::MAX - 1);
    for (name, content, text) in [
        (
            "validation_te.csv",
            "uid,sid\n2,1\n",
            "validation_te.csv: held-out user 'c' has item 1 in the input and in the target; allowed: in one of them (validation_tr.csv)",
        ),
        ("train.csv", "uid,sid\n0,0\n\n0,3\n", "train.csv:4:2: sid is '3'; allowed: 0 to below 3"),
        ("train.csv", "uid,sid\n0,0\n5,0\n", "train.csv:3:1: uid is '5'; allowed: 0 to below 5"),
        ("train.csv", "uid,sid\n-1,0\n", "train.csv:2:1: uid is '-1'; allowed: 0 to below 5"),
        ("train.csv", "uid,sid\n0\n", "train.csv:2: the row has 1 field; allowed: 2, as in the header"),
        ("train.csv", "uid,sid\n", "train.csv: there are no rows; allowed: one per interaction"),
        ("train.csv", "", "train.csv: the file is empty; allowed: a header line and rows"),
        ("test_tr.csv", "uid,item\n4,0\n", "test_tr.csv:1: there is no column 'sid' among 'uid', 'item'"),
        ("test_tr.csv", "uid,sid\n1,0\n", "test_tr.csv:2:1: uid is '1'; allowed: 2 to below 5"),
        (
            "test_tr.csv",
            "uid,sid\n3,1\n",
            ": validation users 2 to 3 and test users 3 to 4 overlap; allowed: no user in both",
        ),
        ("unique_sid.txt", "x\ny\nx\n", "unique_sid.txt:3: 'x' occurs twice; allowed: once"),
        ("unique_sid.txt", "x\n\nz\n", "unique_sid.txt:2: the line is empty; allowed: one id per line"),
    ] {
        assert_eq!(refusal(name, Some(content), "INVALID_DATA"), text);
    }
    for (name, _) in FILES.iter().filter(|(name, _)| *name != "unique_uid.txt") {
        assert!(!is_official(folder(name, None).path()));
        let error = refusal(name, None, "IO");
        assert!(error.starts_with(&format!("cannot read {name}: ")), "{error}");
    }
    assert!(is_official(folder("unique_uid.txt", None).path()));

    let sizes = folder("", None);
    for (text, end) in [
        ("{}", "allowed: an object with the numbers of users train, validation and test"),
        (r#"{"train":2,"validation":2,"test":2}"#, "[2, 2, 2] users do not add up to the 5 lines of unique_uid.txt"),
        (r#"{"train":1,"validation":3,"test":1}"#, "train.csv:4:1: uid is '1'; allowed: 0 to below 1"),
    ] {
        fs::write(sizes.path().join("split.json"), text).unwrap();
        let error = read_official(sizes.path()).unwrap_err().to_string();
        assert!(error.ends_with(end), "{error}");
    }

    let sparse = folder("train.csv", Some(&huge));
    fs::remove_file(sparse.path().join("unique_uid.txt")).unwrap();
    for name in ["validation_tr.csv", "validation_te.csv", "test_tr.csv", "test_te.csv"] {
        fs::write(sparse.path().join(name), "uid,sid\n").unwrap();
    }
    let error = read_official(sparse.path()).unwrap_err().to_string();
    assert!(error.contains("uid 4294967294 occurs, but there are 1 pairs in all"), "{error}");
}

#[test]
fn a_written_split_is_read_back() {
    let parts = split(&debian().unwrap(), &SplitOptions::default()).unwrap();
    let folder = TempDir::new().unwrap();
    let target = folder.path().join("new/split");
    write_official(&parts, &target).unwrap();
    assert!(is_official(&target));
    assert_eq!(read_official(&target).unwrap(), parts);
    assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1, "nothing temporary is left");

    let error = write_official(&parts, &target).unwrap_err();
    assert_eq!(error.code(), "INVALID_ARGUMENT");
    assert!(error.to_string().ends_with("allowed: a new or empty folder"), "{error}");
    let file = target.join("train.csv");
    assert_eq!(write_official(&parts, &file).unwrap_err().code(), "INVALID_ARGUMENT");
    assert_eq!(write_official(&parts, file.join("below")).unwrap_err().code(), "IO");
    assert_eq!(read_official(&target).unwrap(), parts);

    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    write_official(&parts, &empty).unwrap();
    assert!(is_official(&empty));
}

#[test]
fn what_does_not_fit_is_not_written() {
    let held_out = |users: Ids, n_items| {
        let none = Csr::from_pairs(users.len(), n_items, &[]);
        HeldOut::new(users, none.clone(), none).unwrap()
    };
    let split = |train, validation, test| Split { train, validation, test, left_out: vec![] };
    let train = |item: &str| Interactions::from_histories([("t", [item])], &Thresholds::default()).unwrap();
    let folder = TempDir::new().unwrap();
    for (parts, text) in [
        (
            split(train("a\nb"), held_out(ids("v", 1), 1), held_out(ids("w", 1), 1)),
            "id \"a\\nb\" does not fit into a line of",
        ),
        (
            split(train("\u{feff}a"), held_out(ids("v", 1), 1), held_out(ids("w", 1), 1)),
            "id \"\\u{feff}a\" does not fit into a line of",
        ),
        (
            split(train("a"), held_out(ids("v", 1), 1), held_out(ids("v", 1), 1)),
            "a user belongs to two parts of the split",
        ),
        (
            split(train("a"), held_out(ids("v", 1), 2), held_out(ids("w", 1), 1)),
            "a held-out part has 2 items and the training part 1",
        ),
    ] {
        let error = write_official(&parts, folder.path().join("split")).unwrap_err();
        assert_eq!(error.code(), "INVALID_DATA");
        assert!(error.to_string().starts_with(text), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    }
}

#[test]
#[cfg_attr(not(shared), ignore = "no folder shared/reference above this checkout")]
fn the_shared_split_is_read() {
    let parts = read_official(shared().join("data/ml-1m-split")).unwrap();
    assert_eq!((parts.train.n_items(), parts.train.n_users()), (3502, 5034));
    assert_eq!((parts.validation.n_users(), parts.test.n_users()), (500, 500));
    assert_eq!(parts.train.n_interactions(), 480_438);
    assert_eq!(parts.train.users().get(0), "1866");
    assert_eq!(parts.train.items().get(1), "47");
    let target = TempDir::new().unwrap();
    let target = target.path().join("again");
    write_official(&parts, &target).unwrap();
    assert_eq!(read_official(&target).unwrap(), parts);
    for name in ["train.csv", "validation_tr.csv", "validation_te.csv", "test_tr.csv", "test_te.csv", "unique_sid.txt"]
    {
        let lines = |folder: &Path| fs::read_to_string(folder.join(name)).unwrap().lines().map(str::to_owned).collect();
        let (mut ours, mut theirs): (Vec<_>, Vec<_>) = (lines(&target), lines(&shared().join("data/ml-1m-split")));
        ours[1..].sort();
        theirs[1..].sort();
        assert!(ours == theirs, "{name} differs");
    }
}

proptest! {
    /// Rows without any item at the edges of a part included.
    #[test]
    fn any_split_survives(
        sizes in (1usize..5, 0usize..5, 0usize..5),
        pairs in prop::collection::vec((0usize..3, 0u32..5, 0u32..6, any::<bool>()), 0..40),
    ) {
        let sizes = [sizes.0, sizes.1, sizes.2];
        let matrix = |part: usize, input: bool| {
            let pairs: Vec<_> = pairs
                .iter()
                .filter(|(to, user, item, _)| *to == part && (*user as usize) < sizes[part] && (part == 0 || (item % 2 == 0) == input))
                .map(|&(_, user, item, _)| (user, item))
                .chain((part == 0).then_some((0, 0)))
                .collect();
            Csr::from_pairs(sizes[part], 6, &pairs)
        };
        let held_out = |part, prefix| HeldOut::new(ids(prefix, sizes[part]), matrix(part, true), matrix(part, false)).unwrap();
        let parts = Split {
            train: Interactions::new(ids("t ", sizes[0]), ids("é,\"", 6), matrix(0, true)).unwrap(),
            validation: held_out(1, "v"),
            test: held_out(2, "w"),
            left_out: vec![],
        };
        let folder = TempDir::new().unwrap();
        write_official(&parts, folder.path()).unwrap();
        prop_assert_eq!(read_official(folder.path()).unwrap(), parts);
    }
}
