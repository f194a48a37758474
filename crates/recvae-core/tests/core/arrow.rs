//! Arrow streams and files: back and forth, and bytes that nobody should send.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use proptest::prelude::*;
use recvae_core::{
    ArrowHistories, ArrowHistory, ArrowReader, ArrowTable, Interactions, InteractionsBuilder, ReadOptions, Result,
    Thresholds,
};

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Interactions> {
    let mut reader = ArrowReader::new(ReadOptions::default(), Thresholds::default())?;
    for piece in pieces {
        reader.push(piece)?;
    }
    reader.finish()
}

fn written(data: &Interactions) -> Vec<u8> {
    (0..).map_while(|part| data.arrow_part(part).unwrap()).flatten().collect()
}

/// What pyarrow wrote; see `make.py` beside the files.
fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test/fixtures/arrow");
    std::fs::read(folder.join(format!("{name}.arrows"))).unwrap()
}

proptest! {
    #[test]
    fn comes_back_as_it_was(rows in prop::collection::vec(("[a-zé]{1,3}", "[a-z]{1,2}"), 1..200), size in 1usize..5000) {
        let mut builder = InteractionsBuilder::new();
        for (user, item) in &rows {
            builder.push(user, item);
        }
        let data = builder.finish(&Thresholds::default()).unwrap();
        let again = read(written(&data).chunks(size)).unwrap();
        prop_assert_eq!(again.users(), data.users());
        for user in data.users().iter() {
            let sorted = |data: &Interactions| { let mut ids: Vec<String> = data.history(user).unwrap().into_iter().map(String::from).collect(); ids.sort(); ids };
            prop_assert_eq!(sorted(&again), sorted(&data));
        }
    }

    // Each case alters bytes of every kind of stream: 256 x 16 of them.
    #[test]
    fn altered_bytes_are_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![Just(0u8), Just(255), Just(127), Just(128), any::<u8>()], 1usize..9), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let altered = |name: &str| {
            let mut bytes = fixture(name);
            for (at, byte, len) in &changes {
                let at = at.index(bytes.len());
                let end = bytes.len().min(at + len);
                bytes[at..end].fill(*byte);
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes
        };
        let interactions = ["utf8", "large-utf8", "utf8-view", "uint16", "dictionary", "delta", "beside", "written", "lists",
            "compressed/few-lz4", "compressed/few-zstd", "compressed/encoded-lz4", "compressed/encoded-zstd"];
        let refusals = interactions.iter().filter_map(|name| read([&altered(name)[..]]).err());
        let histories = ["histories", "histories-wide", "compressed/histories-lz4"].iter().filter_map(|name| rows([&altered(name)[..]]).err());
        for error in refusals.chain(histories) {
            prop_assert_eq!(error.code(), "INVALID_DATA");
        }
    }
}

#[test]
fn texts_that_overlap_do_not_multiply() {
    // 50 texts of 900 bytes each out of 1,000 bytes.
    let bytes = fixture("overlapping");
    assert!(bytes.len() < 4000);
    let error = read([&bytes[..]]).unwrap_err().to_string();
    assert_eq!(error, "the Arrow stream is broken at message 1: its texts overlap");
}

#[test]
fn a_codec_that_is_not_known_is_named() {
    let (lz4, zstd) = (fixture("compressed/few-lz4"), fixture("compressed/few-zstd"));
    // Where the two say what they are, in the metadata of their rows; of LZ4, which is the default, it may not be
    // written at all.
    let is_known = |bytes: &[u8]| read([bytes]).is_ok();
    assert!(is_known(&lz4) && is_known(&zstd));
    let mut found = 0;
    for at in 0..zstd.len() {
        let mut altered = zstd.clone();
        altered[at] = 7;
        let error = read([&altered[..]]).err().map(|error| error.to_string()).unwrap_or_default();
        let text = "the Arrow stream is broken at message 1: its buffers are compressed by the codec 7; allowed: 0 (LZ4 frames) \
                    and 1 (Zstandard)";
        found += usize::from(error == text);
    }
    assert!(found > 0);
}

#[test]
fn parts_end() {
    let data = read([&fixture("utf8")[..]]).unwrap();
    assert!(data.arrow_part(2).unwrap().is_some());
    assert_eq!(data.arrow_part(3).unwrap(), None);
    assert_eq!(written(&data), fixture("written"));
}

/// A row: the user, and each list.
fn rows<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<ArrowHistory>> {
    let mut reader = ArrowHistories::default();
    let mut rows = vec![];
    for piece in pieces {
        rows.extend(reader.push(piece)?);
    }
    reader.finish()?;
    Ok(rows)
}

#[test]
fn histories_come_with_their_lists() {
    let row = |user: &str, items: &[&str], allow: Option<&[&str]>, deny: Option<&[&str]>| {
        let texts = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>();
        ArrowHistory { user: user.into(), items: texts(items), allow: allow.map(texts), deny: deny.map(texts) }
    };
    let bytes = fixture("histories");
    let expected = [
        row("u1", &["x", "y"], Some(&["x"]), None),
        row("u2", &[], None, Some(&["z", "x"])),
        row("ü3", &["an item with a long name"], Some(&[]), None),
    ];
    for size in [1, 7, 64, 10_000] {
        assert_eq!(rows(bytes.chunks(size)).unwrap(), expected);
    }
    for codec in ["lz4", "zstd"] {
        assert_eq!(rows([&fixture(&format!("compressed/histories-{codec}"))[..]]).unwrap(), expected);
    }
    let expected = [
        row("7", &["1", "2"], None, Some(&["1"])),
        row("8", &["3"], None, Some(&[])),
        row("9", &[], None, Some(&["2"])),
    ];
    assert_eq!(rows([&fixture("histories-wide")[..]]).unwrap(), expected);
}

#[test]
fn what_is_no_history_is_refused() {
    let lists = "allowed: lists of utf8, large_utf8 or whole numbers, without a dictionary";
    for (name, expected) in [
        ("histories-null", "items in row 1 of the Arrow stream is null; allowed: a list".to_owned()),
        ("histories-null-item", "items in row 1 of the Arrow stream is null; allowed: an id".to_owned()),
        ("histories-encoded", format!("column 'items' of the Arrow stream has the type list; {lists}")),
        ("utf8", "the Arrow stream has no column 'items'".to_owned()),
    ] {
        assert_eq!(rows([&fixture(name)[..]]).unwrap_err().to_string(), expected);
    }
    let bytes = fixture("histories");
    let error = rows([&bytes[..bytes.len() - 20]]).unwrap_err().to_string();
    assert!(error.contains("it is cut off"), "{error}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test/fixtures/arrow/file.arrow");
    let error = rows([&std::fs::read(file).unwrap()[..]]).unwrap_err().to_string();
    assert_eq!(error, "histories are an Arrow file; allowed: an Arrow stream");
}

#[test]
fn recommendations_have_other_lengths_never() {
    let texts = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>();
    let (users, items) = (texts(&["a", "b"]), texts(&["x"]));
    for (offsets, scores) in
        [([0, 1, 1].as_slice(), [].as_slice()), (&[0, 1], &[1.0]), (&[0, 1, 0], &[1.0]), (&[0, 0, 0], &[1.0])]
    {
        assert_eq!(ArrowTable::recommendations(&users, offsets, &items, scores).unwrap_err().code(), "INTERNAL");
    }
    assert!(ArrowTable::recommendations(&users, &[0, 1, 1], &items, &[1.0]).is_ok());
}
