//! The bytes of a whole file: mapped, so that pages come in as they are needed and processes share them, or read into
//! memory.

use std::io::{self, Read};
use std::path::Path;

use memmap2::Mmap;

use crate::base::error::{Error, Result};
use crate::base::memory::check_memory;
use crate::base::numbers::Numbers;
use crate::base::regular_file::open_regular;

/// All bytes of a file. They begin at an address that any number may begin at.
pub(crate) enum FileBytes {
    Mapped(Mmap),
    /// Words, of which the file fills the first `length` bytes.
    Read {
        words: Numbers<u64>,
        length: usize,
    },
}

impl FileBytes {
    /// Opens a file; it is read where it is not to be mapped or the file system does not map.
    ///
    /// # Errors
    /// `IO` if it cannot be read or is not a regular file, `MEMORY` if the memory to read it into is not there.
    pub(crate) fn open(path: &Path, map: bool) -> Result<Self> {
        let refused = |e: io::Error| Error::io("read", path, e);
        let mut file = open_regular(path).map_err(refused)?;
        let data = file.metadata().map_err(refused)?;
        // An empty file cannot be mapped.
        if map && data.len() > 0 {
            #[allow(unsafe_code)]
            // SAFETY: the map is only read, as bytes and numbers of which every bit pattern is valid, and what is taken
            // out of it to index by is checked where it is used. Who writes into the file or cuts it off while it is
            // mapped breaks the contract of `map`: numbers change under us, or the system ends the process (SIGBUS).
            // Our own writer never does that: it puts a new file in the place of the old one, and an open map keeps the
            // old one. The texts of `load` and of the format say so, and name the way out: not to map.
            if let Ok(map) = unsafe { Mmap::map(&file) } {
                return Ok(Self::Mapped(map));
            }
        }
        check_memory(&format!("{}, read into memory,", path.display()), data.len())?;
        let length = usize::try_from(data.len()).map_err(|e| refused(io::Error::other(e)))?;
        let mut words = Numbers::zeros(length.div_ceil(8));
        file.read_exact(&mut bytemuck::cast_slice_mut(&mut words)[..length]).map_err(refused)?;
        Ok(Self::Read { words, length })
    }
}

impl From<&[u8]> for FileBytes {
    fn from(bytes: &[u8]) -> Self {
        let mut words = Numbers::zeros(bytes.len().div_ceil(8));
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Self::Read { words, length: bytes.len() }
    }
}

impl AsRef<[u8]> for FileBytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Read { words, length } => &bytemuck::cast_slice(words)[..*length],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_and_read_bytes_are_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for text in ["", "seven b", "more than eight"] {
            std::fs::write(&path, text).unwrap();
            for map in [true, false] {
                let bytes = FileBytes::open(&path, map).unwrap();
                assert_eq!(matches!(bytes, FileBytes::Mapped(_)), map && !text.is_empty());
                assert_eq!(bytes.as_ref(), text.as_bytes());
            }
            assert_eq!(FileBytes::from(text.as_bytes()).as_ref(), text.as_bytes());
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [folder.path(), Path::new("/dev/zero"), &pipe] {
            for map in [true, false] {
                let Err(error) = FileBytes::open(path, map) else { panic!("opened") };
                assert_eq!(error.to_string(), format!("cannot read {}: it is not a regular file", path.display()));
            }
        }
        assert_eq!(FileBytes::open(Path::new("none"), true).err().map(|error| error.code()), Some("IO"));
    }
}
