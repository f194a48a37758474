//! One file holds all that recommending needs: parameters, item ids, kind, options, format version, checksum.
//!
//! It is a safetensors file. Its metadata have one key, `recvae`, whose value is a JSON object:
//!
//! | field | meaning |
//! | --- | --- |
//! | `format` | version of this layout, 1 |
//! | `kind` | name of the model |
//! | `options` | all options of the model with their values |
//! | `info` | what the writer wanted to keep: data, seed, metrics; any JSON |
//! | `checksum` | XXH3-128, in hex, of the other fields and of every tensor (name, type, shape, data) in order of names |
//!
//! Tensors are the model's own ones, prefixed by `model.`, and the item ids: `items.bytes` (all ids in UTF-8, one after the
//! other) and `items.ends` (u64, where each one ends). The same model gives the same bytes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, View, serialize_to_file};
use serde_json::{Value, json};
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::model::{Model, ModelKind, TensorData, TensorSource};
use crate::whole_file::write_whole;

const FORMAT: u64 = 1;
pub(crate) const METADATA_KEY: &str = "recvae";
const MODEL_PREFIX: &str = "model.";

/// A tensor on its way into a file.
pub(crate) struct Out<'a> {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Cow<'a, [u8]>,
}

impl View for &Out<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }
    fn data_len(&self) -> usize {
        self.data.len()
    }
}

pub(crate) fn bytes_of<T: bytemuck::NoUninit>(numbers: Cow<'_, [T]>) -> Cow<'_, [u8]> {
    const { assert!(cfg!(target_endian = "little"), "safetensors are little-endian") }
    match numbers {
        Cow::Borrowed(numbers) => Cow::Borrowed(bytemuck::cast_slice(numbers)),
        Cow::Owned(numbers) => Cow::Owned(bytemuck::cast_slice(&numbers).to_vec()),
    }
}

/// Hash of the metadata without their checksum and of all tensors in order of names.
pub(crate) fn checksum<'a>(
    metadata: &Value,
    tensors: impl Iterator<Item = (&'a str, Dtype, &'a [usize], &'a [u8])>,
) -> String {
    let mut hash = Xxh3::new();
    hash.update(metadata.to_string().as_bytes());
    let mut tensors: Vec<_> = tensors.collect();
    tensors.sort_unstable_by_key(|(name, ..)| *name);
    for (name, dtype, shape, data) in tensors {
        hash.update(format!("\n{name} {dtype:?} {shape:?}\n").as_bytes());
        hash.update(data);
    }
    format!("{:032x}", hash.digest128())
}

/// Writes a model with the ids of its items.
pub(crate) fn save(path: &Path, model: &dyn Model, items: &Ids, info: &Value) -> Result<()> {
    let (id_bytes, id_ends) = items.as_parts();
    let ends: Vec<u64> = id_ends.iter().map(|&end| end as u64).collect();
    let mut tensors = vec![
        ("items.bytes".to_owned(), Out { dtype: Dtype::U8, shape: vec![id_bytes.len()], data: id_bytes.into() }),
        ("items.ends".to_owned(), Out { dtype: Dtype::U64, shape: vec![ends.len()], data: bytes_of(ends.into()) }),
    ];
    for tensor in model.tensors()? {
        let (dtype, data) = match tensor.data {
            TensorData::F32(numbers) => (Dtype::F32, bytes_of(numbers)),
            TensorData::F64(numbers) => (Dtype::F64, bytes_of(numbers)),
        };
        tensors.push((format!("{MODEL_PREFIX}{}", tensor.name), Out { dtype, shape: tensor.shape, data }));
    }
    let mut metadata =
        json!({ "format": FORMAT, "kind": model.kind().name(), "options": model.options(), "info": info });
    let parts = tensors.iter().map(|(name, out)| (name.as_str(), out.dtype, &out.shape[..], &out.data[..]));
    metadata["checksum"] = checksum(&metadata, parts).into();
    // One key only: a HashMap of several would be written in an order that changes from run to run.
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), metadata.to_string())]);
    write_whole(path, |temporary| {
        serialize_to_file(tensors.iter().map(|(name, out)| (name, out)), Some(metadata), temporary).map_err(|e| match e
        {
            safetensors::SafeTensorError::IoError(e) => Error::io("write", path, e),
            e => Error::Internal(format!("model file: {e}")),
        })
    })
}

/// What a file holds: the model, the ids of its items, what its writer wanted to keep.
pub(crate) type Loaded = (Box<dyn Model>, Ids, Value);

/// Reads a file that [`save`] wrote.
pub(crate) fn load(path: &Path) -> Result<Loaded> {
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    let bad = |message: String| Error::InvalidModelFile { path: path.to_owned(), message };
    let not_ours = |e: &dyn std::fmt::Display| bad(format!("not a recvae model, or truncated ({e})"));
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| not_ours(&e))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| not_ours(&e))?;
    let Some(text) = header.metadata().as_ref().and_then(|metadata| metadata.get(METADATA_KEY)) else {
        return Err(bad("a safetensors file of another program: it has no metadata 'recvae'".into()));
    };
    let mut metadata: Value = serde_json::from_str(text).map_err(|e| bad(format!("its metadata are not JSON: {e}")))?;
    if metadata["format"] != FORMAT {
        return Err(bad(format!("its format version is {}; allowed: {FORMAT}", metadata["format"])));
    }
    let found = metadata.as_object_mut().and_then(|object| object.remove("checksum"));
    let views: Vec<_> = tensors.iter().collect();
    let parts = views.iter().map(|(name, view)| (*name, view.dtype(), view.shape(), view.data()));
    let computed = checksum(&metadata, parts);
    if found.as_ref().and_then(Value::as_str) != Some(&computed) {
        let found = found.unwrap_or(Value::Null);
        return Err(bad(format!("it was altered: its checksum is {found} and its content has \"{computed}\"")));
    }
    let source = Source { path, tensors: &tensors };
    let items = source.ids()?;
    let kind: ModelKind =
        metadata["kind"].as_str().unwrap_or_default().parse().map_err(|e: Error| bad(e.to_string()))?;
    let model = kind.load(&metadata["options"], items.len(), &source).map_err(|e| match e {
        e @ Error::InvalidModelFile { .. } => e,
        e => bad(e.to_string()),
    })?;
    Ok((model, items, metadata["info"].take()))
}

struct Source<'a> {
    path: &'a Path,
    tensors: &'a SafeTensors<'a>,
}

impl Source<'_> {
    fn numbers<T, const N: usize>(
        &self,
        name: &str,
        dtype: Dtype,
        shape: Option<&[usize]>,
        read: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>> {
        let bad = |message: String| Error::InvalidModelFile { path: self.path.to_owned(), message };
        let view = self.tensors.tensor(name).map_err(|_| bad(format!("it has no tensor '{name}'")))?;
        if view.dtype() != dtype || shape.is_some_and(|shape| view.shape() != shape) {
            return Err(bad(format!(
                "tensor '{name}' is {:?} {:?}; allowed: {dtype:?} {:?}",
                view.dtype(),
                view.shape(),
                shape.unwrap_or(view.shape()),
            )));
        }
        Ok(view.data().as_chunks::<N>().0.iter().map(|&bytes| read(bytes)).collect())
    }

    fn ids(&self) -> Result<Ids> {
        let bytes = self.numbers("items.bytes", Dtype::U8, None, |[byte]| byte)?;
        let ends = self.numbers("items.ends", Dtype::U64, None, u64::from_le_bytes)?;
        let ends: Vec<usize> = ends.into_iter().map(|end| usize::try_from(end).unwrap_or(usize::MAX)).collect();
        Ids::from_parts(&bytes, &ends)
            .map_err(|e| Error::InvalidModelFile { path: self.path.to_owned(), message: e.to_string() })
    }
}

impl TensorSource for Source<'_> {
    fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.numbers(&format!("{MODEL_PREFIX}{name}"), Dtype::F32, Some(shape), f32::from_le_bytes)
    }

    fn f64(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
        self.numbers(&format!("{MODEL_PREFIX}{name}"), Dtype::F64, Some(shape), f64::from_le_bytes)
    }
}
