//! Counts in a file: safetensors, with the checksum of a model file.
//!
//! Its metadata have one key, `recvae`, whose value is a JSON object: `format` (1), `kind` (`ease-counts`), `users` (how many)
//! and `checksum`, computed as in a model file. Tensors:
//!
//! | tensor | type | what it holds |
//! | --- | --- | --- |
//! | `items.bytes`, `items.ends` | U8, U64 | ids of the items, as in a model file |
//! | `counts.numbers`, `counts.ends` | U32, U64 | the rows of the triangle, and where each ends; see `triangle.rs` |

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, serialize_to_file};
use serde_json::{Value, json};

use super::EaseCounts;
use super::triangle::Triangle;
use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::model_file::{METADATA_KEY, Out, bytes_of, checksum};
use crate::whole_file::write_whole;

const FORMAT: u64 = 1;
const KIND: &str = "ease-counts";

pub(super) fn save(path: &Path, counts: &EaseCounts) -> Result<()> {
    let (id_bytes, id_ends) = counts.items.as_parts();
    let (numbers, ends) = counts.counts.as_parts();
    let u64s = |ends: &[usize]| ends.iter().map(|&end| end as u64).collect::<Vec<_>>();
    let (id_ends, ends) = (u64s(id_ends), u64s(ends));
    let out = |dtype, n, data| Out { dtype, shape: vec![n], data };
    let tensors = [
        ("items.bytes", out(Dtype::U8, id_bytes.len(), id_bytes.into())),
        ("items.ends", out(Dtype::U64, id_ends.len(), bytes_of(id_ends.into()))),
        ("counts.numbers", out(Dtype::U32, numbers.len(), bytes_of(numbers.into()))),
        ("counts.ends", out(Dtype::U64, ends.len(), bytes_of(ends.into()))),
    ];
    let mut metadata = json!({ "format": FORMAT, "kind": KIND, "users": counts.n_users });
    let parts = tensors.iter().map(|(name, out)| (*name, out.dtype, &out.shape[..], &out.data[..]));
    metadata["checksum"] = checksum(&metadata, parts).into();
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), metadata.to_string())]);
    write_whole(path, |temporary| {
        serialize_to_file(tensors.iter().map(|(name, out)| (name, out)), Some(metadata), temporary).map_err(|e| match e
        {
            safetensors::SafeTensorError::IoError(e) => Error::io("write", path, e),
            e => Error::Internal(format!("file of counts: {e}")),
        })
    })
}

pub(super) fn load(path: &Path) -> Result<EaseCounts> {
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    read(&bytes).map_err(|message| Error::InvalidModelFile { path: path.to_owned(), message })
}

/// The error says what is wrong.
pub(super) fn read(bytes: &[u8]) -> Result<EaseCounts, String> {
    let not_ours = |e: safetensors::SafeTensorError| format!("not counts of EASE^R, or truncated ({e})");
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(not_ours)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(not_ours)?;
    let text = header.metadata().as_ref().and_then(|metadata| metadata.get(METADATA_KEY));
    let text = text.ok_or("a safetensors file of another program: it has no metadata 'recvae'")?;
    let mut metadata: Value = serde_json::from_str(text).map_err(|e| format!("its metadata are not JSON: {e}"))?;
    if metadata["kind"] != KIND {
        return Err(format!("it holds {}, not counts of EASE^R, which are '{KIND}'", metadata["kind"]));
    }
    if metadata["format"] != FORMAT {
        return Err(format!("its format version is {}; allowed: {FORMAT}", metadata["format"]));
    }
    let found = metadata.as_object_mut().and_then(|object| object.remove("checksum")).unwrap_or_default();
    let views: Vec<_> = tensors.iter().collect();
    let computed =
        checksum(&metadata, views.iter().map(|(name, view)| (*name, view.dtype(), view.shape(), view.data())));
    if found != computed.as_str() {
        return Err(format!("it was altered: its checksum is {found} and its content has \"{computed}\""));
    }
    let tensor = |name: &str, dtype: Dtype| match tensors.tensor(name) {
        Ok(view) if view.dtype() == dtype => Ok(view.data()),
        Ok(view) => Err(format!("tensor '{name}' is {:?}; allowed: {dtype:?}", view.dtype())),
        Err(_) => Err(format!("it has no tensor '{name}'")),
    };
    let ends = |name: &str| -> Result<Vec<usize>, String> {
        let numbers = tensor(name, Dtype::U64)?.as_chunks::<8>().0.iter().map(|&bytes| u64::from_le_bytes(bytes));
        Ok(numbers.map(|end| usize::try_from(end).unwrap_or(usize::MAX)).collect())
    };
    let items = Ids::from_parts(tensor("items.bytes", Dtype::U8)?, &ends("items.ends")?).map_err(|e| e.to_string())?;
    let n_users = metadata["users"].as_u64().and_then(|n| u32::try_from(n).ok());
    let n_users = n_users.ok_or_else(|| format!("it has {} users; allowed: a whole number", metadata["users"]))?;
    let numbers =
        tensor("counts.numbers", Dtype::U32)?.as_chunks::<4>().0.iter().map(|&bytes| u32::from_le_bytes(bytes));
    let counts = Triangle::from_parts(numbers.collect(), ends("counts.ends")?, n_users)?;
    if counts.as_parts().1.len() != items.len() {
        return Err(format!("it has {} rows of counts for {} items", counts.as_parts().1.len(), items.len()));
    }
    Ok(EaseCounts { items, n_users, counts })
}
