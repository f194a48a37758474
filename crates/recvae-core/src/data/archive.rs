//! One file out of a ZIP archive on the disk, in little memory: archives of published data sets hold one that is read
//! and others that are not.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
use crate::base::regular_file::open_regular;

/// Bytes between two looks at whether to stop.
const PIECE: usize = 1 << 18;
/// How many names an error shows.
const SHOWN: usize = 20;

/// Writes a file of an archive to an existing file. Length and checksum are compared by the end; what is written before
/// an error is the caller's to remove.
///
/// # Errors
/// `INVALID_DATA` if the archive is damaged, encrypted, compressed otherwise than by deflate, or has no such file, `IO`
/// if a file cannot be read or written, `CANCELLED`.
pub fn unzip(archive: impl AsRef<Path>, member: &str, to: impl AsRef<Path>, cancel: &Cancel) -> Result<()> {
    let (path, to) = (archive.as_ref(), to.as_ref());
    let bad = |what: String| Error::InvalidData {
        path: Some(path.to_owned()),
        line: None,
        column: None,
        message: format!("{what}; allowed: a ZIP archive, whole"),
    };
    let unreadable = |error| match error {
        ZipError::Io(e) if !is_of_content(e.kind()) => Error::io("read", path, e),
        other => bad(other.to_string()),
    };
    let file = open_regular(path).map_err(|e| Error::io("read", path, e))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(unreadable)?;
    let Some(index) = archive.index_for_name(member) else {
        let names: Vec<_> = archive.file_names().flatten().take(SHOWN).collect();
        let found = if names.is_empty() { "no files".to_owned() } else { names.join(", ") };
        return Err(bad(format!("there is no file {member} among {found}")));
    };
    let mut from = archive.by_index(index).map_err(unreadable)?;
    let size = from.size();
    let mut out = File::options().write(true).truncate(true).open(to).map_err(|e| Error::io("write", to, e))?;
    let damaged = || bad(format!("{member} is damaged"));
    let (mut written, mut piece) = (0, vec![0; PIECE]);
    loop {
        cancel.check()?;
        let n = from
            .read(&mut piece)
            .map_err(|e| if is_of_content(e.kind()) { damaged() } else { Error::io("read", path, e) })?;
        if n == 0 {
            break;
        }
        written += n as u64;
        if written > size {
            return Err(damaged());
        }
        out.write_all(&piece[..n]).map_err(|e| Error::io("write", to, e))?;
    }
    if written == size { Ok(()) } else { Err(damaged()) }
}

/// Whether an error speaks of what was read, and not of the reading.
fn is_of_content(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::InvalidData
            | ErrorKind::InvalidInput
            | ErrorKind::UnexpectedEof
            | ErrorKind::Unsupported
            | ErrorKind::Other
    )
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::path::PathBuf;

    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    use super::*;

    /// An archive of a file and an empty one.
    fn archive(method: CompressionMethod, is_zip64: bool) -> Vec<u8> {
        let mut archive = ZipWriter::new(Cursor::new(vec![]));
        let options = SimpleFileOptions::default().compression_method(method).large_file(is_zip64);
        archive.start_file("a/text", options).unwrap();
        archive.write_all(&text()).unwrap();
        archive.start_file("empty", options).unwrap();
        archive.finish().unwrap().into_inner()
    }

    fn text() -> Vec<u8> {
        (0..3000u32).flat_map(|n| format!("{n},").into_bytes()).collect()
    }

    struct Folder(tempfile::TempDir, PathBuf);

    impl Folder {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let to = folder.path().join("to");
            std::fs::write(&to, "what was there before").unwrap();
            Self(folder, to)
        }

        fn unzip(&self, bytes: &[u8], member: &str) -> Result<Vec<u8>> {
            let path = self.0.path().join("a.zip");
            std::fs::write(&path, bytes).unwrap();
            unzip(path, member, &self.1, &Cancel::default())?;
            Ok(std::fs::read(&self.1).unwrap())
        }
    }

    #[test]
    fn files_come_out_as_they_went_in() {
        let folder = Folder::new();
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            for is_zip64 in [false, true] {
                let bytes = archive(method, is_zip64);
                assert_eq!(folder.unzip(&bytes, "a/text").unwrap(), text());
                assert_eq!(folder.unzip(&bytes, "empty").unwrap(), b"");
            }
        }
    }

    #[test]
    fn what_is_altered_is_refused_or_has_no_effect() {
        let folder = Folder::new();
        let bytes = archive(CompressionMethod::Deflated, false);
        let mut refused = 0;
        for at in (0..bytes.len()).step_by(7) {
            let mut altered = bytes.clone();
            altered[at] ^= 0x55;
            match folder.unzip(&altered, "a/text") {
                Ok(found) => assert_eq!(found, text(), "byte {at}"),
                Err(error) => {
                    assert_eq!(error.code(), "INVALID_DATA", "byte {at}: {error}");
                    refused += 1;
                }
            }
        }
        assert!(refused > bytes.len() / 7 / 2, "{refused} of {}", bytes.len() / 7);
        for end in (0..bytes.len()).step_by(101) {
            assert!(folder.unzip(&bytes[..end], "a/text").is_err());
        }
    }

    #[test]
    fn a_call_that_is_stopped_stops() {
        let folder = Folder::new();
        let path = folder.0.path().join("a.zip");
        std::fs::write(&path, archive(CompressionMethod::Stored, false)).unwrap();
        let cancel = Cancel::default();
        cancel.cancel();
        assert!(matches!(unzip(path, "a/text", &folder.1, &cancel), Err(Error::Cancelled)));
    }
}
