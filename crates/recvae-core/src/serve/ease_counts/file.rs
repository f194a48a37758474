//! Counts in a file, of the layout of a model file: see `model_file/format.md`.
//!
//! Its metadata are `checksum`, `checksumHead`, `format` and `writer` as there, `kind` (`ease-counts`) and `users` (how
//! many). Counts of a shard have the kind `ease-counts-shard`, so that nobody takes them for those of all users, and
//! `shard`: its `index`, `of` how many, and `input`, a hash of the rows of all shards in 16 hexadecimal digits. Beside
//! the ids of the items it has these tensors:
//!
//! | tensor | type | shape | what it holds |
//! | --- | --- | --- | --- |
//! | `model.counts.numbers` | U32 | `[numbers]` | the rows of the triangle, one after the other; see `triangle.rs` |
//! | `model.counts.ends` | I64 (the first files: U64) | `[n]` | where each row ends in `model.counts.numbers` |
//!
//! and, as a model file, `training.users` with the key `training`: who was counted, for models that are fitted on the
//! counts.

use std::path::Path;

use serde_json::{Value, json};

use super::EaseCounts;
use super::triangle::Triangle;
use crate::base::error::{Error, Result};
use crate::base::file_bytes::FileBytes;
use crate::base::memory::check_memory;
use crate::data::shard::{Shard, ShardOf};
use crate::model::NamedTensor;
use crate::serve::model_file::{ModelFile, own_name, write_own};

const KIND: &str = "ease-counts";
const SHARD_KIND: &str = "ease-counts-shard";
const NUMBERS: &str = "counts.numbers";
const ENDS: &str = "counts.ends";

pub(super) fn save(path: &Path, counts: &EaseCounts) -> Result<()> {
    if counts.items.is_empty() {
        return Err(Error::invalid_data("the counts have 0 items; allowed in a file: at least 1"));
    }
    let (numbers, ends) = counts.counts.as_parts();
    let ends: Vec<u64> = ends.iter().map(|&end| end as u64).collect();
    let own = [NamedTensor::new(NUMBERS, &[numbers.len()], numbers), NamedTensor::new(ENDS, &[ends.len()], &ends[..])];
    let mut metadata = json!({ "kind": KIND, "users": counts.n_users });
    if let Some(ShardOf { shard, input }) = counts.shard {
        metadata["kind"] = SHARD_KIND.into();
        metadata["shard"] = json!({ "index": shard.index(), "of": shard.of(), "input": format!("{input:016x}") });
    }
    write_own(path, metadata, &counts.items, &own, &counts.record, None)
}

/// Of which shard a file is, if it is of one; nothing else is read.
pub(super) fn shard_in(path: &Path) -> Result<Option<ShardOf>> {
    let bytes = FileBytes::open(path, cfg!(not(windows)))?;
    shard_of(&open(path, bytes)?)
}

pub(super) fn load(path: &Path) -> Result<EaseCounts> {
    read(path, FileBytes::open(path, cfg!(not(windows)))?)
}

/// Whether a file holds counts, by its metadata.
pub(in crate::serve) fn are_in(metadata: &Value) -> bool {
    [KIND, SHARD_KIND].iter().any(|kind| metadata["kind"] == *kind)
}

/// A file that holds counts, as it says itself.
fn open(path: &Path, bytes: FileBytes) -> Result<ModelFile<'_>> {
    let file = ModelFile::open(path, bytes, "counts of EASE^R")?;
    if !are_in(&file.metadata) {
        let kind = &file.metadata["kind"];
        return Err(file.bad(format!("it holds {kind}, not counts of EASE^R, which are '{KIND}'")));
    }
    file.check_format()?;
    Ok(file)
}

fn shard_of(file: &ModelFile<'_>) -> Result<Option<ShardOf>> {
    if file.metadata["kind"] == KIND {
        return Ok(None);
    }
    let own = &file.metadata["shard"];
    let number = |key: &str| own[key].as_f64().unwrap_or(f64::NAN);
    let shard = Shard::new(number("index"), number("of")).map_err(|error| file.bad(error.to_string()))?;
    let input = own["input"].as_str().and_then(|text| u64::from_str_radix(text, 16).ok());
    let input =
        input.ok_or_else(|| file.bad(format!("its shard is of the input {}; allowed: a hash", own["input"])))?;
    Ok(Some(ShardOf { shard, input }))
}

/// The same of the bytes of a file; the path is for errors alone.
pub(super) fn read(path: &Path, bytes: FileBytes) -> Result<EaseCounts> {
    let file = open(path, bytes)?;
    let (shard, users) = (shard_of(&file)?, &file.metadata["users"]);
    // Always, whatever the size: every number is read anyway.
    file.check_all()?;
    let items = file.ids()?;
    let n_users = users.as_u64().and_then(|n| u32::try_from(n).ok());
    let n_users = n_users.ok_or_else(|| file.bad(format!("it has {users} users; allowed: a whole number")))?;
    let (numbers, ends) = (file.list::<u32>(&own_name(NUMBERS))?, file.places(&own_name(ENDS))?);
    if ends.len() != items.len() {
        return Err(file.bad(format!("it has {} rows of counts for {} items", ends.len(), items.len())));
    }
    check_memory(&format!("counts of the pairs of {} items", items.len()), 4 * numbers.len() as u64)?;
    let counts = Triangle::from_parts(numbers.to_vec(), ends, n_users).map_err(|message| file.bad(message))?;
    Ok(EaseCounts { items, n_users, counts, record: file.record()?, shard })
}
