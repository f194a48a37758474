//! The tensors in a file of another program: safetensors or npz, told apart by their first bytes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use half::{bf16, f16};

use super::npz::Npz;
use super::{Shape, transposed};
use crate::base::error::{Error, Result};
use crate::serve::model_file::header::Header;

/// How many names an error shows.
const SHOWN: usize = 5;
/// What a file of weights is.
const ALLOWED: &str = "safetensors (save_file of safetensors.torch) or npz (savez of numpy)";

/// What a ZIP archive begins with, with files and without.
const ZIP: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// A file of weights.
pub(super) struct Weights<'a> {
    path: &'a Path,
    tensors: BTreeMap<String, Tensor>,
    source: Source<'a>,
}

/// A tensor of such a file.
pub(super) struct Tensor {
    /// `F32` and the like; what another program calls it if it is none of those that are read.
    pub(super) dtype: String,
    pub(super) shape: Vec<usize>,
    /// Whether the first index runs fastest.
    pub(super) is_fortran: bool,
    pub(super) place: Place,
}

/// Where the numbers lie.
pub(super) enum Place {
    /// In a range of the file.
    Range(Range<usize>),
    /// In a member of the archive, behind that many bytes.
    Member { index: usize, start: u64 },
}

enum Source<'a> {
    Safetensors(&'a [u8]),
    Npz(Npz<'a>),
}

impl<'a> Weights<'a> {
    /// The path is for errors alone.
    pub(super) fn open(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let bad = |message: String| bad(path, message);
        let (tensors, source) = if ZIP.iter().any(|start| bytes.starts_with(start)) {
            let mut npz = Npz::open(bytes).map_err(|message| bad(format!("{message}; allowed: {ALLOWED}")))?;
            let tensors = npz.tensors().map_err(bad)?;
            (tensors, Source::Npz(npz))
        } else {
            let header = Header::parse(bytes).map_err(|e| bad(format!("not safetensors ({e}); allowed: {ALLOWED}")))?;
            let tensors = header.tensors.into_iter().map(|entry| {
                let place = Place::Range(entry.range);
                (entry.name, Tensor { dtype: entry.dtype, shape: entry.shape, is_fortran: false, place })
            });
            (tensors.collect(), Source::Safetensors(bytes))
        };
        // TensorFlow calls what a variable holds by the variable's name and the number of the output.
        let short = |name: String| name.strip_suffix(":0").map(str::to_owned).unwrap_or(name);
        let tensors = tensors.into_iter().map(|(name, tensor): (String, _)| (short(name), tensor)).collect();
        Ok(Self { path, tensors, source })
    }

    pub(super) fn bad(&self, message: impl Into<String>) -> Error {
        bad(self.path, message.into())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(|name| &name[..])
    }

    /// The first of the names, for errors.
    pub(super) fn names_in_words(&self) -> String {
        let names: Vec<_> = self.names().take(SHOWN).map(|name| format!("'{name}'")).collect();
        match self.tensors.len() {
            0 => "no tensors".to_owned(),
            n if n > SHOWN => format!("the tensors {} and {} more", names.join(", "), n - SHOWN),
            _ => format!("the tensors {}", names.join(", ")),
        }
    }

    /// The shape of a tensor that is there.
    pub(super) fn shape(&self, name: &str) -> &[usize] {
        self.tensors.get(name).map_or(&[], |tensor| &tensor.shape)
    }

    /// The numbers of a tensor in single precision, the last index fastest.
    pub(super) fn read(&self, name: &str) -> Result<Vec<f32>> {
        let tensor = self.tensors.get(name).ok_or_else(|| self.bad(format!("tensor '{name}' is missing")))?;
        let decode = |bytes: &[u8]| {
            decode(&tensor.dtype, bytes).ok_or_else(|| {
                let allowed = "F16, BF16, F32, F64, little-endian";
                self.bad(format!("tensor '{name}' has numbers of type {}; allowed: {allowed}", tensor.dtype))
            })
        };
        let numbers = match (&self.source, &tensor.place) {
            (Source::Safetensors(bytes), Place::Range(range)) => decode(&bytes[range.clone()])?,
            (Source::Npz(npz), &Place::Member { index, start }) => {
                decode(&npz.read(index, start).map_err(|message| self.bad(format!("tensor '{name}': {message}")))?)?
            }
            _ => return Err(Error::Internal(format!("'{name}' is of another file"))),
        };
        if let Some(at) = numbers.iter().position(|number| !number.is_finite()) {
            let place = place_of(at, &tensor.shape, tensor.is_fortran);
            let (number, allowed) = (numbers[at], "finite numbers within single precision");
            return Err(self.bad(format!("tensor '{name}' has {number} at {}; allowed: {allowed}", Shape(&place))));
        }
        match &tensor.shape[..] {
            [n_rows, _] if tensor.is_fortran => Ok(transposed(&numbers, *n_rows)),
            _ => Ok(numbers),
        }
    }
}

fn bad(path: &Path, message: String) -> Error {
    Error::InvalidData { path: Some(path.to_owned()), line: None, column: None, message }
}

/// Little-endian numbers of a type as single precision; `None` for a type that has none of them.
fn decode(dtype: &str, bytes: &[u8]) -> Option<Vec<f32>> {
    fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        let (numbers, _) = bytes.as_chunks::<N>();
        numbers.iter().map(|&bytes| number(bytes)).collect()
    }
    match dtype {
        "F16" => Some(each(bytes, |bytes| f16::from_le_bytes(bytes).to_f32())),
        "BF16" => Some(each(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32())),
        "F32" => Some(each(bytes, f32::from_le_bytes)),
        "F64" => Some(each(bytes, |bytes| f64::from_le_bytes(bytes) as f32)),
        _ => None,
    }
}

/// The indices of the number at a place.
fn place_of(at: usize, shape: &[usize], is_fortran: bool) -> Vec<usize> {
    let mut rest = at;
    let mut indices = vec![0; shape.len()];
    let mut order: Vec<usize> = (0..shape.len()).collect();
    if !is_fortran {
        order.reverse();
    }
    for dimension in order {
        indices[dimension] = rest % shape[dimension];
        rest /= shape[dimension];
    }
    indices
}
