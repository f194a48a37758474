//! What cannot be reached from outside: limits of counts, and files that were made to deceive.

use safetensors::SafeTensors;
use serde_json::json;

use super::*;
use crate::base::file_bytes::FileBytes;
use crate::data::interactions::Thresholds;
use crate::serve::model_file::{METADATA_KEY, Out, write};

fn data(histories: &[(&str, &[&str])]) -> Interactions {
    Interactions::from_histories(histories.iter().map(|(user, items)| (*user, *items)), &Thresholds::default()).unwrap()
}

fn three_users() -> EaseCounts {
    EaseCounts::count(&data(&[("u", &["a", "b"]), ("v", &["b"]), ("w", &["c", "a", "b"])]), None, &Cancel::default())
        .unwrap()
}

#[test]
fn counts_of_a_small_example() {
    let counts = three_users();
    assert_eq!(counts.items().iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(
        (counts.n_users(), counts.gram::<f64>(&Cancel::default()).unwrap()[..].to_vec()),
        (3, vec![2., 2., 1., 0., 3., 1., 0., 0., 1.])
    );
    let more = counts.update(Some(&data(&[("x", &["d", "b"])])), None, None, &Cancel::default()).unwrap();
    assert_eq!(more.items().iter().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert_eq!(more.gram::<f32>(&Cancel::default()).unwrap()[4..8], [0., 4., 1., 1.]);
    assert_eq!(counts, three_users());
}

/// As many users as a count can hold, without allocating them.
#[test]
fn more_users_than_a_count_can_hold_are_refused() {
    let mut counts = three_users();
    counts.n_users = u32::MAX - 1;
    let one = data(&[("x", &["a"])]);
    let full = counts.update(Some(&one), None, None, &Cancel::default()).unwrap();
    assert_eq!(full.n_users(), u32::MAX as usize);
    let error = full.update(Some(&one), None, None, &Cancel::default()).unwrap_err();
    assert_eq!(error.to_string(), "4294967296 users; allowed: at most 4294967295, which a count can hold");
    assert_eq!(full.update(Some(&one), Some(&one), None, &Cancel::default()).unwrap(), full);
}

#[test]
fn counts_beyond_the_whole_numbers_of_f32_are_rounded_once() {
    let mut counts = three_users();
    counts.n_users = u32::MAX;
    counts.counts = Triangle::default();
    for (item, row) in [[u32::MAX, 16_777_217, 16_777_219].as_slice(), &[u32::MAX, 3], &[u32::MAX]].iter().enumerate() {
        counts.counts.push(item, 3, row);
    }
    assert_eq!(counts.gram::<f64>(&Cancel::default()).unwrap()[..3], [4_294_967_295., 16_777_217., 16_777_219.]);
    assert_eq!(counts.gram::<f32>(&Cancel::default()).unwrap()[..3], [4_294_967_296., 16_777_216., 16_777_220.]);
}

/// Name, type, shape and data.
type Tensor = (String, &'static str, Vec<usize>, Vec<u8>);

/// A file with the right checksums for what it holds.
fn forged(alter: impl FnOnce(&mut Value, &mut Vec<Tensor>)) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("counts");
    three_users().save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let mut metadata: Value = serde_json::from_str(&header.metadata().as_ref().unwrap()[METADATA_KEY]).unwrap();
    let views = SafeTensors::deserialize(&bytes).unwrap();
    let dtype = |name: &str| match name {
        "items.bytes" | "training.users" => "U8",
        "model.counts.numbers" => "U32",
        _ => "I64",
    };
    let mut tensors: Vec<Tensor> = views
        .iter()
        .map(|(name, view)| (name.to_owned(), dtype(name), view.shape().to_vec(), view.data().to_vec()))
        .collect();
    for checksum in ["checksum", "checksumHead"] {
        metadata.as_object_mut().unwrap().remove(checksum).unwrap();
    }
    alter(&mut metadata, &mut tensors);
    let out = |(name, dtype, shape, data): Tensor| Out { name, dtype, shape, bytes: data.into() };
    write(&path, &metadata.to_string(), tensors.into_iter().map(out).collect()).unwrap();
    std::fs::read(path).unwrap()
}

fn read(bytes: &[u8]) -> Result<EaseCounts> {
    file::read(Path::new("counts"), FileBytes::from(bytes))
}

#[test]
fn files_made_to_deceive_are_refused_with_what_is_wrong() {
    assert_eq!(read(&forged(|_, _| {})).unwrap(), three_users());
    let set = |name: &'static str, numbers: Vec<u8>, bytes: usize| {
        move |_: &mut Value, tensors: &mut Vec<Tensor>| {
            let (_, _, shape, data) = tensors.iter_mut().find(|tensor| tensor.0 == name).unwrap();
            (*shape, *data) = (vec![numbers.len() / bytes], numbers);
        }
    };
    let u32s = |numbers: &[u32]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>();
    let u64s = |numbers: &[u64]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>();
    for (bytes, text) in [
        (forged(|metadata, _| metadata["format"] = 2.into()), "its format version is 2; allowed: 1"),
        (forged(|metadata, _| metadata["kind"] = "ease".into()), "it holds \"ease\", not counts of EASE^R"),
        (
            forged(|metadata, _| metadata["kind"] = "ease-counts-shard".into()),
            "number of shards is NaN; allowed: a whole number from 1 to 1048576",
        ),
        (
            forged(|metadata, _| {
                metadata["kind"] = "ease-counts-shard".into();
                metadata["shard"] = json!({"index": 2, "of": 2, "input": "00"});
            }),
            "index of the shard is 2; allowed: a whole number from 0 to 1",
        ),
        (
            forged(|metadata, _| {
                metadata["kind"] = "ease-counts-shard".into();
                metadata["shard"] = json!({"index": 1, "of": 2, "input": "xyz"});
            }),
            "its shard is of the input \"xyz\"; allowed: a hash",
        ),
        (forged(|metadata, _| metadata["users"] = json!(-1)), "it has -1 users; allowed: a whole number"),
        (forged(|metadata, _| metadata["users"] = json!(2)), "row 1 has a count above"),
        (forged(|_, tensors| tensors.retain(|tensor| tensor.0 != "items.ends")), "it has no tensor"),
        (forged(set("items.ends", u64s(&[1, 2]), 8)), "the last end is not the number of bytes"),
        (forged(set("items.bytes", b"aab".to_vec(), 1)), "'a' occurs twice"),
        (forged(set("model.counts.ends", u64s(&[3, 5, u64::MAX]), 8)), "the rows do not end at 6"),
        (forged(set("model.counts.ends", u64s(&[3, 5, 5, 6]), 8)), "it has 4 rows of counts for 3 items"),
        (forged(set("model.counts.ends", u64s(&[2, 5, 6]), 8)), "row 1 is malformed"),
        (forged(set("model.counts.numbers", u32s(&[2, 3, 1, 3, 1, 1]), 4)), "row 0 has a count above"),
        (
            forged(|_, tensors| {
                tensors.iter_mut().for_each(|t| {
                    if t.1 == "U32" {
                        t.1 = "F32"
                    }
                })
            }),
            "is F32 [6]; allowed: U32 [6]",
        ),
    ] {
        let error = read(&bytes).unwrap_err();
        assert_eq!(error.code(), "INVALID_MODEL_FILE");
        assert!(error.to_string().contains(text), "{text}: {error}");
    }
}
