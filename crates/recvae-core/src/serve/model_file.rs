#![doc = include_str!("model_file/format.md")]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use xxhash_rust::xxh3::Xxh3;

use crate::base::atomic_file::write_whole;
use crate::base::error::{Error, Result};
use crate::base::file_bytes::FileBytes;
use crate::base::numbers::{Numbers, SharedBytes};
use crate::base::options::options;
use crate::data::ids::Ids;
use crate::model::{Model, ModelKind, NamedTensor, StoredTensor, TensorSource, tensors};
use crate::split::training_record::{ROW, TrainingRecord};
use crate::train::keeper::METADATA_KEY as CHECKPOINT_KEY;

pub(in crate::serve) mod header;

use header::{Entry, Header, size_of_type};

pub(in crate::serve) const FORMAT: u64 = 1;
pub(crate) const METADATA_KEY: &str = "recvae";
const MODEL_PREFIX: &str = "model.";
const ID_BYTES: &str = "items.bytes";
pub(in crate::serve) const ID_ENDS: &str = "items.ends";
/// How many training users have each item.
const COUNTS: &str = "items.users";
/// Hashes of the training users, and the key of the metadata that goes with them.
const RECORD: &str = "training.users";
const RECORD_KEY: &str = "training";

/// Who writes: in the metadata, and in errors about what a later version wrote.
const WRITER: &str = concat!("recvae ", env!("CARGO_PKG_VERSION"));

/// Mapped files up to this size are verified whole unless the caller says otherwise: at 3 GB/s, as measured on a busy
/// machine, that takes no more than a tenth of a second. Tests have a smaller one to go beyond.
const VERIFIED: usize = if cfg!(test) { 64 << 10 } else { 256 << 20 };

options! {
    /// How a model file is opened.
    pub struct LoadOptions for "load" {
        /// Whether the file is mapped: parameters come in as they are needed, and processes share them. What cannot be
        /// mapped is read. Not by default on Windows, where a mapped file cannot be replaced. A mapped file may be
        /// replaced by renaming, as save does, but must not be written into or cut off; where others might do that, do
        /// not map.
        mmap: bool = cfg!(not(windows)), Any;
        /// Whether the checksum of all bytes is compared, which reads the whole file. By default not of mapped files
        /// above 256 MiB. Header, metadata, ids, types and shapes are always checked, with a checksum of their own.
        verify: Option<bool> = None, Any;
        /// Where the lists of many users are found: cpu, cuda, cuda:N for one of several GPUs, or auto for the first
        /// one that opens if it has the memory, else the processor. The items and the bits of the lists are the same
        /// everywhere. A GPU is for iALS, the networks, and EASE^R, EDLAE, RDLAE and DEQL with all their weights in
        /// f32; lists of up to 410 items and at most a third of all, about, of calls with 64 users or more.
        device: String = "cpu".into(), Any;
    }
}

/// A tensor on its way into a file.
pub(crate) struct Out<'a> {
    pub(crate) name: String,
    pub(crate) dtype: &'static str,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Cow<'a, [u8]>,
}

/// Of what the two checksums are: of everything, and of all but the data of the model's own tensors.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::serve) enum Of {
    All,
    Head,
}

/// Hash of a text and of tensors, given by name, type, shape and data, in order of their names.
fn checksum<'a>(
    of: Of,
    text: &str,
    tensors: impl Iterator<Item = (&'a str, &'a str, &'a [usize], &'a [u8])>,
) -> String {
    let mut hash = Xxh3::new();
    hash.update(text.as_bytes());
    let mut tensors: Vec<_> = tensors.collect();
    tensors.sort_unstable_by_key(|(name, ..)| *name);
    for (name, dtype, shape, data) in tensors {
        hash.update(format!("\n{name} {dtype} {shape:?}\n").as_bytes());
        if of == Of::All || !name.starts_with(MODEL_PREFIX) {
            hash.update(data);
        }
    }
    format!("{:032x}", hash.digest128())
}

/// An object of JSON with another first key.
fn with_first(key: &str, value: &str, text: &str) -> String {
    format!("{{\"{key}\":\"{value}\",{}", &text[1..])
}

/// The value of the first key of an object of JSON, if it is that key with 32 hexadecimal digits, and the object
/// without it.
fn without_first<'a>(key: &str, text: &'a str) -> Option<(&'a str, String)> {
    let (value, rest) = text.strip_prefix(&format!("{{\"{key}\":\""))?.split_at_checked(32)?;
    let rest = rest.strip_prefix("\",")?;
    value.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| (value, format!("{{{rest}")))
}

/// The name in a file of a model's own tensor.
pub(crate) fn own_name(name: &str) -> String {
    format!("{MODEL_PREFIX}{name}")
}

/// Writes a model with the ids of its items, the record of its training users and how many of them have each item.
pub(crate) fn save(
    path: &Path,
    model: &dyn Model,
    items: &Ids,
    info: &Value,
    record: &TrainingRecord,
    counts: Option<&[u32]>,
) -> Result<()> {
    let metadata = json!({ "info": info, "kind": model.kind().name(), "options": model.options() });
    write_own(path, metadata, items, &model.tensors()?, record, counts)
}

/// Writes what knows items by index: the ids of the items and its own tensors, and metadata, an object that says what
/// it is.
pub(crate) fn write_own(
    path: &Path,
    mut metadata: Value,
    items: &Ids,
    own: &[NamedTensor<'_>],
    record: &TrainingRecord,
    counts: Option<&[u32]>,
) -> Result<()> {
    let (id_bytes, id_ends) = items.as_parts();
    let ends: Vec<u64> = id_ends.iter().map(|&end| end as u64).collect();
    let mut all = vec![
        Out { name: ID_BYTES.into(), dtype: "U8", shape: vec![id_bytes.len()], bytes: id_bytes.into() },
        Out {
            name: ID_ENDS.into(),
            dtype: <u64 as tensors::Stored>::DTYPE,
            shape: vec![ends.len()],
            bytes: bytemuck::cast_slice(&ends).into(),
        },
    ];
    for NamedTensor { name, data } in own {
        let (dtype, shape) = (data.dtype(), data.shape().to_vec());
        all.push(Out { name: own_name(name), dtype, shape, bytes: data.bytes()?.into() });
    }
    if let Some(counts) = counts {
        let (dtype, bytes) = (<u32 as tensors::Stored>::DTYPE, bytemuck::cast_slice(counts).into());
        all.push(Out { name: COUNTS.into(), dtype, shape: vec![counts.len()], bytes });
    }
    if record.is_whole() || record.n_users() > 0 {
        let shape = vec![record.n_users(), ROW];
        all.push(Out { name: RECORD.into(), dtype: "U8", shape, bytes: record.as_bytes().into() });
        metadata[RECORD_KEY] = json!({ "whole": record.is_whole() });
    }
    metadata["format"] = FORMAT.into();
    metadata["writer"] = WRITER.into();
    write(path, &metadata.to_string(), all)
}

/// Writes a file of metadata, an object of JSON as text, and tensors: whole or not at all.
pub(crate) fn write(path: &Path, metadata: &str, mut tensors: Vec<Out<'_>>) -> Result<()> {
    let refused = |e| Error::io("write", path, e);
    let head = header_for(metadata, &mut tensors)?;
    write_whole(path, |temporary| {
        let mut file = File::options().write(true).open(temporary).map_err(refused)?;
        file.write_all(&head).map_err(refused)?;
        tensors.iter().try_for_each(|tensor| file.write_all(&tensor.bytes)).map_err(refused)
    })
}

/// Puts the tensors into the order of the file, and gives what comes before them.
fn header_for(metadata: &str, tensors: &mut [Out<'_>]) -> Result<Vec<u8>> {
    let size = |tensor: &Out<'_>| size_of_type(tensor.dtype).unwrap_or_default();
    // Large numbers first: each tensor begins at a multiple of the size of its numbers, so that a map can be used as it
    // is.
    tensors.sort_by(|a, b| size(b).cmp(&size(a)).then_with(|| a.name.cmp(&b.name)));
    let parts = || tensors.iter().map(|out| (&out.name[..], out.dtype, &out.shape[..], &out.bytes[..]));
    let text = with_first("checksumHead", &checksum(Of::Head, metadata, parts()), metadata);
    let text = with_first("checksum", &checksum(Of::All, &text, parts()), &text);
    let metadata = BTreeMap::from([(METADATA_KEY.to_owned(), text)]);
    let sizes = parts().map(|(name, dtype, shape, data)| (name, dtype, shape, data.len()));
    let head = header::render(&metadata, sizes);
    if head.len() > header::LENGTH + header::LONGEST {
        let got = format!("such that the header of the file has {} bytes", head.len());
        return Err(Error::invalid_argument("info", got, format!("a header of at most {} bytes", header::LONGEST)));
    }
    Ok(head)
}

/// What a file holds: the model, the ids of its items, what its writer wanted to keep, the record of the training users
/// and, if it is there, how many of them have each item.
pub(crate) type Loaded = (Box<dyn Model>, Ids, Value, TrainingRecord, Option<Vec<u32>>);

/// Reads a file that [`save`] wrote.
pub(crate) fn load(path: &Path, options: &LoadOptions) -> Result<Loaded> {
    read(path, FileBytes::open(path, options.mmap)?, options.verify)
}

/// The same of the bytes of a file; the path is for errors alone.
pub(crate) fn read(path: &Path, bytes: FileBytes, verify: Option<bool>) -> Result<Loaded> {
    let costly = matches!(bytes, FileBytes::Mapped(_)) && bytes.as_ref().len() > VERIFIED;
    let file = ModelFile::open(path, bytes, "a recvae model")?;
    file.check_format()?;
    file.check_head()?;
    // The first files have no checksum of their head, and are always verified.
    if verify.unwrap_or(!costly) || file.text_of_head().is_none() {
        file.check_all()?;
    }
    file.model()
}

/// Of what a training is that a checkpoint keeps, by its metadata, as far as they say it: " of recvae after 3 epochs".
fn training_of(metadata: &str) -> String {
    let metadata: Value = serde_json::from_str(metadata).unwrap_or_default();
    let kind = metadata["training"]["model"].as_str().and_then(|name| name.parse::<ModelKind>().ok());
    let of = kind.map_or_else(String::new, |kind| format!(" of {}", kind.name()));
    let after = metadata["epochs"].as_u64().map(|n| format!(" after {n} epoch{}", if n == 1 { "" } else { "s" }));
    of + &after.unwrap_or_default()
}

/// A file whose header makes sense, with the metadata as text and read.
pub(crate) struct ModelFile<'p> {
    path: &'p Path,
    pub(in crate::serve) bytes: SharedBytes,
    pub(in crate::serve) header: Header,
    text: String,
    pub(crate) metadata: Value,
}

impl<'p> ModelFile<'p> {
    /// `what` it should be, in words.
    pub(crate) fn open(path: &'p Path, bytes: FileBytes, what: &str) -> Result<Self> {
        let bad = |message: String| Error::InvalidModelFile { path: path.to_owned(), message };
        if !header::may_begin(bytes.as_ref()) {
            let message = "not a safetensors file: its first 8 bytes are not the length of a header; allowed:";
            return Err(bad(format!("{message} {what}")));
        }
        let mut header =
            Header::parse(bytes.as_ref()).map_err(|message| bad(format!("not {what}, or truncated ({message})")))?;
        let Some(text) = header.metadata.remove(METADATA_KEY) else {
            return Err(bad(match header.metadata.get(CHECKPOINT_KEY) {
                Some(text) => format!(
                    "a checkpoint of a training{}, not {what}; the same training goes on from it with resume, as by train --resume",
                    training_of(text)
                ),
                None => "a safetensors file of another program: it has no metadata 'recvae'".into(),
            }));
        };
        let metadata = serde_json::from_str(&text).map_err(|e| bad(format!("its metadata are not JSON: {e}")))?;
        Ok(Self { path, bytes: Arc::new(bytes), header, text, metadata })
    }

    pub(crate) fn bad(&self, message: impl Into<String>) -> Error {
        Error::InvalidModelFile { path: self.path.to_owned(), message: message.into() }
    }

    /// "; it was written by recvae 9.0.0", if that is another version.
    fn written_by(&self) -> String {
        match self.metadata["writer"].as_str() {
            Some(writer) if writer != WRITER => format!("; it was written by {writer}, and this is {WRITER}"),
            _ => String::new(),
        }
    }

    pub(crate) fn check_format(&self) -> Result<()> {
        let format = &self.metadata["format"];
        if *format == FORMAT {
            return Ok(());
        }
        Err(self.bad(format!("its format version is {format}; allowed: {FORMAT}{}", self.written_by())))
    }

    /// The checksum of the whole that the file has, and the text that it is of.
    pub(in crate::serve) fn text_of_all(&self) -> Option<(&str, String)> {
        without_first("checksum", &self.text)
    }

    /// The same of its head.
    fn text_of_head(&self) -> Option<(String, String)> {
        let (_, rest) = self.text_of_all()?;
        without_first("checksumHead", &rest).map(|(found, text)| (found.to_owned(), text))
    }

    /// The checksum of a text and of what belongs to it in this file.
    pub(in crate::serve) fn checksum(&self, of: Of, text: &str) -> String {
        let bytes = (*self.bytes).as_ref();
        let parts = self
            .header
            .tensors
            .iter()
            .map(|Entry { name, dtype, shape, range }| (&name[..], &dtype[..], &shape[..], &bytes[range.clone()]));
        checksum(of, text, parts)
    }

    pub(in crate::serve) fn check_head(&self) -> Result<()> {
        match self.text_of_head() {
            Some((found, text)) => self.compare(&found, &self.checksum(Of::Head, &text)),
            None => Ok(()),
        }
    }

    pub(crate) fn check_all(&self) -> Result<()> {
        match self.text_of_all() {
            Some((found, text)) => self.compare(found, &self.checksum(Of::All, &text)),
            None => Err(self.bad("it was altered: its metadata do not begin with a checksum")),
        }
    }

    fn compare(&self, found: &str, computed: &str) -> Result<()> {
        if found == computed {
            return Ok(());
        }
        Err(self.bad(format!("it was altered: its checksum is \"{found}\" and its content has \"{computed}\"")))
    }

    /// The record of the training users.
    pub(crate) fn record(&self) -> Result<TrainingRecord> {
        let Some(tensor) = self.entry(RECORD) else { return Ok(TrainingRecord::unknown()) };
        let shape = [tensor.shape.first().copied().unwrap_or_default(), ROW];
        let bytes = tensor.numbers(&shape).map_err(|e| self.bad(e.to_string()))?;
        let is_whole = self.metadata[RECORD_KEY]["whole"].as_bool().unwrap_or(false);
        TrainingRecord::from_bytes(bytes, is_whole).map_err(|message| self.bad(message))
    }

    /// How many training users have each of `n` items, if the file says so.
    fn counts(&self, n: usize) -> Result<Option<Vec<u32>>> {
        let Some(tensor) = self.entry(COUNTS) else { return Ok(None) };
        let numbers = tensor.numbers::<u32>(&[n]).map_err(|e| self.bad(e.to_string()))?;
        Ok(Some(numbers.to_vec()))
    }

    /// The model, its ids, its info.
    pub(in crate::serve) fn model(&self) -> Result<Loaded> {
        let items = self.ids()?;
        let kind: ModelKind = self.metadata["kind"]
            .as_str()
            .unwrap_or_default()
            .parse()
            .map_err(|e: Error| self.bad(format!("{e}{}", self.written_by())))?;
        let model = kind.load(&self.metadata["options"], items.len(), self).map_err(|e| match e {
            e @ Error::InvalidModelFile { .. } => e,
            e => self.bad(format!("{e}{}", self.written_by())),
        })?;
        let counts = self.counts(items.len())?;
        Ok((model, items, self.metadata["info"].clone(), self.record()?, counts))
    }

    fn entry(&self, name: &str) -> Option<StoredTensor<'_>> {
        let Entry { name, dtype, shape, range } = self.header.tensors.iter().find(|entry| entry.name == name)?;
        Some(StoredTensor { name, dtype, shape, bytes: Arc::clone(&self.bytes), range: range.clone() })
    }

    /// The numbers of a list, by its name in the file.
    pub(crate) fn list<T: tensors::Stored>(&self, name: &str) -> Result<Numbers<T>> {
        let tensor = self.entry(name).ok_or_else(|| tensors::missing(name));
        let numbers = tensor.and_then(|tensor| {
            let n = tensor.shape.iter().product();
            tensor.numbers(&[n])
        });
        numbers.map_err(|e| self.bad(e.to_string()))
    }

    /// A list of places, by its name in the file.
    pub(crate) fn places(&self, name: &str) -> Result<Vec<usize>> {
        let places = self.list::<u64>(name)?;
        Ok(places.iter().map(|&place| usize::try_from(place).unwrap_or(usize::MAX)).collect())
    }

    pub(crate) fn ids(&self) -> Result<Ids> {
        let (bytes, ends) = (self.list::<u8>(ID_BYTES)?, self.places(ID_ENDS)?);
        let n_ids = ends.len();
        if !(1..u32::MAX as usize).contains(&n_ids) {
            return Err(self.bad(format!("it has {n_ids} items; allowed: 1 to {}", u32::MAX - 1)));
        }
        Ids::from_parts(&bytes, &ends).map_err(|e| self.bad(e.to_string()))
    }

    fn owned<T: tensors::Stored>(&self, name: &str, shape: &[usize]) -> Result<Vec<T>> {
        let tensor = self.find(name).ok_or_else(|| tensors::missing(&own_name(name)));
        let numbers = tensor.and_then(|tensor| tensor.numbers(shape)).map_err(|e| self.bad(e.to_string()))?;
        Ok(numbers.to_vec())
    }
}

impl TensorSource for ModelFile<'_> {
    fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.owned(name, shape)
    }

    fn f64(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
        self.owned(name, shape)
    }

    fn find(&self, name: &str) -> Option<StoredTensor<'_>> {
        self.entry(&own_name(name))
    }

    fn n_bytes(&self) -> Option<u64> {
        let own = self.header.tensors.iter().filter(|entry| entry.name.starts_with(MODEL_PREFIX));
        Some(own.map(|entry| entry.range.len() as u64).sum())
    }
}

#[cfg(test)]
mod tests;
