//! The file of a checkpoint.
//!
//! It is a safetensors file: length of the header, header, arrays one after the other. Its metadata have one key,
//! `recvae-checkpoint`. The last array, `checksum`, is the XXH3-128 of all bytes before it, so that one walk over the
//! arrays writes them as they lie in memory. Whoever reads knows all names and lengths and makes the same header:
//! nothing is allocated because a file says so.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::Xxh3;

use crate::base::atomic_file::write_whole;
use crate::base::error::{Error, Result};
use crate::base::regular_file::open_regular;
use crate::nn::state::{State, Values};

/// The key of the metadata by which a file is known as a checkpoint.
pub(crate) const METADATA_KEY: &str = "recvae-checkpoint";
const CHECKSUM: usize = size_of::<u128>();
/// Bytes of a header's length.
const LENGTH: usize = size_of::<u64>();

/// Writes the file, whole or not at all.
pub(super) fn write(path: &Path, metadata: &str, state: State<'_>) -> Result<()> {
    let mut arrays = state.into_arrays();
    let header = header(metadata, &mut arrays);
    write_whole(path, |temporary| {
        let mut write = || {
            let (mut file, mut hash) = (File::create(temporary)?, Xxh3::new());
            let mut put = |bytes: &[u8]| {
                hash.update(bytes);
                file.write_all(bytes)
            };
            put(&(header.len() as u64).to_le_bytes())?;
            put(&header)?;
            arrays.iter_mut().try_for_each(|(_, values)| put(values.bytes()))?;
            file.write_all(&hash.digest128().to_le_bytes())
        };
        write().map_err(|e| Error::io("write", path, e))
    })
}

/// The header for these arrays, behind which the checksum comes.
fn header(metadata: &str, arrays: &mut [(String, Values<'_>)]) -> Vec<u8> {
    let mut object = Map::from_iter([("__metadata__".to_owned(), json!({ METADATA_KEY: metadata }))]);
    let mut from = 0;
    let mut add = |name: &str, dtype: &str, size: usize, bytes: usize| {
        let array = json!({ "dtype": dtype, "shape": [bytes / size], "data_offsets": [from, from + bytes] });
        object.insert(name.to_owned(), array);
        from += bytes;
    };
    for (name, values) in arrays {
        let (dtype, size) = values.dtype();
        add(name, dtype, size, values.bytes().len());
    }
    add("checksum", "U8", 1, CHECKSUM);
    let mut bytes = Value::from(object).to_string().into_bytes();
    bytes.resize(bytes.len().next_multiple_of(LENGTH), b' ');
    bytes
}

/// A file whose checksum fits.
pub(super) struct Found {
    path: PathBuf,
    file: File,
    pub(super) length: u64,
    header: Vec<u8>,
    /// As JSON text.
    pub(super) metadata: String,
}

impl Found {
    /// Opens a file and reads all of it once; `None` if there is none.
    pub(super) fn open(path: &Path) -> Result<Option<Self>> {
        let refused = |e| Error::io("read", path, e);
        let mut file = match open_regular(path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(refused(e)),
        };
        let foreign = || bad(path, "not a checkpoint, or truncated or altered: its checksum does not fit");
        let length = file.metadata().map_err(refused)?.len();
        if length < (LENGTH + CHECKSUM) as u64 {
            return Err(foreign());
        }
        let (hash, checksum) = hash(&mut file, length - CHECKSUM as u64).map_err(refused)?;
        if hash != checksum {
            return Err(foreign());
        }
        file.rewind().map_err(refused)?;
        let mut n = [0; LENGTH];
        file.read_exact(&mut n).map_err(refused)?;
        let n = u64::from_le_bytes(n);
        if n > length - (LENGTH + CHECKSUM) as u64 {
            return Err(foreign());
        }
        let mut header = vec![0; n as usize];
        file.read_exact(&mut header).map_err(refused)?;
        let object: Value = serde_json::from_slice(&header).map_err(|_| foreign())?;
        let metadata = object["__metadata__"][METADATA_KEY].as_str().ok_or_else(foreign)?.to_owned();
        Ok(Some(Self { path: path.to_owned(), file, length, header, metadata }))
    }

    /// Fills the arrays, which must be those that were written.
    pub(super) fn read(mut self, state: State<'_>) -> Result<()> {
        let mut arrays = state.into_arrays();
        let n_bytes: usize = arrays.iter_mut().map(|(_, values)| values.bytes().len()).sum();
        let length = LENGTH + self.header.len() + n_bytes + CHECKSUM;
        if header(&self.metadata, &mut arrays) != self.header || length as u64 != self.length {
            return Err(self.bad("its arrays are not those of this training"));
        }
        let start = SeekFrom::Start((LENGTH + self.header.len()) as u64);
        let mut read = || {
            self.file.seek(start)?;
            arrays.iter_mut().try_for_each(|(_, values)| self.file.read_exact(values.bytes()))
        };
        read().map_err(|e| Error::io("read", &self.path, e))
    }

    pub(super) fn bad(&self, message: impl Into<String>) -> Error {
        bad(&self.path, message)
    }
}

fn bad(path: &Path, message: impl Into<String>) -> Error {
    Error::InvalidModelFile { path: path.to_owned(), message: message.into() }
}

/// Hash of the first `n` bytes, and the checksum that stands behind them.
fn hash(file: &mut File, n: u64) -> std::io::Result<(u128, u128)> {
    let (mut hash, mut buffer) = (Xxh3::new(), vec![0; 1 << 20]);
    let mut left = n;
    while left > 0 {
        let piece = &mut buffer[..left.min(1 << 20) as usize];
        file.read_exact(piece)?;
        hash.update(piece);
        left -= piece.len() as u64;
    }
    let mut checksum = [0; CHECKSUM];
    file.read_exact(&mut checksum)?;
    Ok((hash.digest128(), u128::from_le_bytes(checksum)))
}
