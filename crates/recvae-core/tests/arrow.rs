//! Arrow streams and files: back and forth, and bytes that nobody should send.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use proptest::prelude::*;
use recvae_core::{ArrowReader, Interactions, InteractionsBuilder, ReadOptions, Result, Thresholds};

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

    // Each case alters bytes of every kind of stream: 256 x 8 of them.
    #[test]
    fn altered_bytes_are_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![Just(0u8), Just(255), Just(127), Just(128), any::<u8>()], 1usize..9), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        for name in ["utf8", "large-utf8", "utf8-view", "uint16", "dictionary", "delta", "beside", "written", "lists",
            "compressed/few-lz4", "compressed/few-zstd", "compressed/encoded-lz4", "compressed/encoded-zstd"] {
            let mut bytes = fixture(name);
            for (at, byte, len) in &changes {
                let at = at.index(bytes.len());
                let end = bytes.len().min(at + len);
                bytes[at..end].fill(*byte);
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            if let Err(error) = read([&bytes[..]]) {
                prop_assert_eq!(error.code(), "INVALID_DATA");
            }
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
    // Where the two say what they are, in the metadata of their rows; of LZ4, which is the default, it may not be written at all.
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
