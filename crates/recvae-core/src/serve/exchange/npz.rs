//! Arrays of NumPy in a ZIP archive, as `numpy.savez` and `savez_compressed` write them: each member is a `.npy` file,
//! a short header and then the numbers.
//!
//! The archive is read and written by the crate `zip`, which candle brings along. The header, one line of Python, is
//! read here: crates for it trust the shape that it claims, and ask for that much memory before there is anything
//! (`vec![0; length]`), and bring a grammar of Python with parts in assembler.
//!
//! Source: numpy.lib.format, versions 1.0 to 3.0.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Seek, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::Renamed;
use super::weights::{Place, Tensor};
use crate::serve::model_file::header::size_of_type;

const MAGIC: &[u8] = b"\x93NUMPY";
/// The longest header that is read, as in NumPy itself.
const LONGEST: usize = 10_000;
/// The header of what is written ends at a multiple of it.
const ALIGNED: usize = 64;

/// An archive.
pub(super) struct Npz<'a>(ZipArchive<Cursor<&'a [u8]>>);

impl<'a> Npz<'a> {
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| format!("not a whole ZIP archive ({e})"))?;
        if archive.file_names().flatten().any(|name| name.ends_with("/data.pkl")) {
            return Err("a file of torch.save, which holds a program (pickle) that is not run here".into());
        }
        Ok(Self(archive))
    }

    /// What is in it, by name.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn tensors(&mut self) -> Result<BTreeMap<String, Tensor>, String> {
        let mut tensors = BTreeMap::new();
        for index in 0..self.0.len() {
            let mut member = self.0.by_index(index).map_err(|e| e.to_string())?;
            let name = member.name().map_err(|e| e.to_string())?.into_owned();
            let size = member.size();
            let header = read_header(&mut member).map_err(|message| format!("{name}: {message}"))?;
            let Header { dtype, is_fortran, shape, length } = header;
            if let Some(of_type) = size_of_type(&dtype) {
                let numbers = shape.iter().try_fold(of_type as u64, |product, &size| product.checked_mul(size as u64));
                if numbers.and_then(|numbers| numbers.checked_add(length)) != Some(size) {
                    let message = format!("{name}: it has {size} bytes, which is not what its shape {shape:?} needs");
                    return Err(message);
                }
            }
            let name = name.strip_suffix(".npy").map(str::to_owned).unwrap_or(name);
            let place = Place::Member { index, start: length };
            tensors.insert(name, Tensor { dtype, shape, is_fortran, place });
        }
        Ok(tensors)
    }

    /// The bytes of a member behind its header. Its checksum is compared.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn read(&self, index: usize, start: u64) -> Result<Vec<u8>, String> {
        // What is shared is the list; reading moves.
        let mut archive = self.0.clone();
        let mut member = archive.by_index(index).map_err(|e| e.to_string())?;
        let size = member.size();
        let mut bytes = vec![];
        let mut read = || {
            io::copy(&mut member.by_ref().take(start), &mut io::sink())?;
            // Grows with what is there: no size is believed.
            member.by_ref().take(size).read_to_end(&mut bytes)
        };
        read().map_err(|e| format!("the archive is damaged ({e}); allowed: a whole one"))?;
        if bytes.len() as u64 != size - start {
            return Err("the archive ends too early; allowed: a whole one".into());
        }
        Ok(bytes)
    }
}

/// What stands before the numbers.
struct Header {
    dtype: String,
    is_fortran: bool,
    shape: Vec<usize>,
    /// Bytes of all that.
    length: u64,
}

fn read_header(member: &mut impl Read) -> Result<Header, String> {
    let not = || "not an array of NumPy; allowed: what numpy.savez writes".to_owned();
    let mut start = [0; 8];
    member.read_exact(&mut start).map_err(|_| not())?;
    let version = start[MAGIC.len()];
    if !start.starts_with(MAGIC) || !(1..=3).contains(&version) {
        return Err(not());
    }
    // Version 1 has two bytes for the length, the later ones four.
    let width = if version == 1 { 2 } else { 4 };
    let mut length = [0; 4];
    member.read_exact(&mut length[..width]).map_err(|_| not())?;
    let length = u32::from_le_bytes(length) as usize;
    if length > LONGEST {
        return Err(format!("a header of {length} bytes; allowed: at most {LONGEST}"));
    }
    let mut text = vec![0; length];
    member.read_exact(&mut text).map_err(|_| not())?;
    let text = std::str::from_utf8(&text).map_err(|_| not())?;
    let (descr, is_fortran, shape) = parse(text).ok_or_else(|| {
        format!("a header that is not that of a plain array: {}; allowed: numbers of one type", text.trim())
    })?;
    let length = (start.len() + width + length) as u64;
    Ok(Header { dtype: name_of(descr), is_fortran, shape, length })
}

/// Type, order and shape of `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
fn parse(text: &str) -> Option<(&str, bool, Vec<usize>)> {
    let after = |key: &str| text.split_once(key).map(|(_, rest)| rest.trim_start());
    let (descr, _) = after("'descr':")?.strip_prefix('\'')?.split_once('\'')?;
    let order = after("'fortran_order':")?;
    let is_fortran = order.starts_with("True");
    if !is_fortran && !order.starts_with("False") {
        return None;
    }
    let (sizes, _) = after("'shape':")?.strip_prefix('(')?.split_once(')')?;
    let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
    let shape: Option<Vec<usize>> = sizes.map(|size| size.parse().ok()).collect();
    Some((descr, is_fortran, shape?))
}

/// What safetensors call a type, where it is one that is read.
fn name_of(descr: &str) -> String {
    match descr {
        "<f2" => "F16",
        "<f4" => "F32",
        "<f8" => "F64",
        other => other,
    }
    .to_owned()
}

/// Writes arrays, uncompressed, as `numpy.savez` does.
pub(super) fn write(file: &mut (impl Write + Seek), tensors: &Renamed) -> io::Result<()> {
    let mut archive = ZipWriter::new(file);
    for (name, (shape, numbers)) in tensors {
        let bytes: &[u8] = bytemuck::cast_slice(numbers);
        let large = bytes.len() as u64 >= u64::from(u32::MAX);
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(large);
        archive.start_file(format!("{name}.npy"), options)?;
        archive.write_all(&header(shape))?;
        archive.write_all(bytes)?;
    }
    archive.finish()?;
    Ok(())
}

/// What comes before numbers of single precision.
fn header(shape: &[usize]) -> Vec<u8> {
    // Python's tuple of one has a comma.
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let sizes = if shape.len() == 1 { sizes.trim_end() } else { sizes.trim_end_matches(", ") };
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sizes}), }}");
    let before = MAGIC.len() + 4;
    let length = (before + text.len() + 1).next_multiple_of(ALIGNED) - before;
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    // As short as that: a shape has two sizes at most.
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.resize(before + length - 1, b' ');
    bytes.push(b'\n');
    bytes
}
