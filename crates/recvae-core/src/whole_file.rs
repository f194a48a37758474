//! An output file appears whole or not at all.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// Lets `write` fill a temporary file beside `path`, flushes it to the disk and renames it to `path`. If anything fails
/// the temporary file is removed and what stood at `path` before is untouched. A link is followed; what is there and is not
/// a regular file (a device, a pipe, a folder) is refused; a file that is replaced keeps its permissions.
pub(crate) fn write_whole(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    write_as(path, |_| PREFIX.into(), write)
}

/// As [`write_whole`], with a temporary file that [`remove_leftovers`] knows: for a file that is written again and again by a
/// process that may be killed.
pub(crate) fn rewrite_whole(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    write_as(path, prefix_of, write)
}

/// Removes the temporary files of [`rewrite_whole`] that killed processes left beside `path`, as far as it can.
pub(crate) fn remove_leftovers(path: &Path) {
    let Ok((target, _)) = destination(path) else { return };
    let prefix = prefix_of(&target);
    for entry in fs::read_dir(folder_of(&target)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let rest = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
        // Nothing but our own: the temporary file of `a-b` begins like one of `a`.
        if rest.is_some_and(|rest| rest.len() == RANDOM && rest.iter().all(u8::is_ascii_alphanumeric)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Fails as [`write_whole`] would at that path, so that long work is not done in vain. Nothing is left behind.
pub(crate) fn check_writable(path: &Path) -> Result<()> {
    let refused = |e: io::Error| Error::io("write", path, e);
    let (target, _) = destination(path).map_err(refused)?;
    beside(&target, &prefix_of(&target)).map(drop).map_err(refused)
}

const PREFIX: &str = ".recvae-";
/// Random characters of a temporary file's name.
const RANDOM: usize = 6;

fn prefix_of(target: &Path) -> OsString {
    let mut prefix = OsString::from(PREFIX);
    prefix.push(target.file_name().unwrap_or_default());
    prefix.push("-");
    prefix
}

fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A temporary file in the folder of `target`.
fn beside(target: &Path, prefix: &OsStr) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).rand_bytes(RANDOM);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // the umask applies, as for any new file
    builder.tempfile_in(folder_of(target))
}

fn write_as(
    path: &Path,
    prefix: impl FnOnce(&Path) -> OsString,
    write: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let refused = |e: io::Error| Error::io("write", path, e);
    let (target, permissions) = destination(path).map_err(refused)?;
    let file = beside(&target, &prefix(&target)).map_err(refused)?;
    let permissions = permissions.map_or_else(|| file.as_file().metadata().map(|data| data.permissions()), Ok);
    write(file.path())?;
    // Opened again: `write` may have put another file in its place.
    let written = File::options().write(true).open(file.path()).map_err(refused)?;
    permissions.and_then(|permissions| written.set_permissions(permissions)).map_err(refused)?;
    written.sync_all().map_err(refused)?;
    file.persist(&target).map_err(|e| refused(e.error))?;
    Ok(())
}

/// Where a path leads, and the permissions of the file that is there.
fn destination(path: &Path) -> io::Result<(PathBuf, Option<fs::Permissions>)> {
    match fs::metadata(path) {
        Ok(data) if data.is_file() => Ok((fs::canonicalize(path)?, Some(data.permissions()))),
        Ok(_) => Err(io::Error::other("it is there and is not a regular file")),
        // A link to what is not there yet would be replaced by the file: refused, like any path that cannot be looked at.
        Err(e) if e.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => {
            Ok((path.to_owned(), None))
        }
        Err(e) => Err(e),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn write(path: &Path, text: &str) -> Result<()> {
        write_whole(path, |path| fs::write(path, text).map_err(|e| Error::io("write", path, e)))
    }

    #[test]
    fn links_are_followed_and_permissions_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link, dangling) =
            (folder.path().join("file"), folder.path().join("link"), folder.path().join("lost"));
        write(&file, "first").unwrap();
        let usual = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        fs::write(folder.path().join("plain"), "").unwrap();
        assert_eq!(usual, fs::metadata(folder.path().join("plain")).unwrap().permissions().mode() & 0o777);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        write(&link, "second").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "second");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        symlink(folder.path().join("nowhere"), &dangling).unwrap();
        assert_eq!(write(&dangling, "third").unwrap_err().code(), "IO");
    }

    #[test]
    fn what_is_no_regular_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for path in [Path::new("/dev/null"), folder.path()] {
            let error = write(path, "text").unwrap_err().to_string();
            assert!(error.ends_with("it is there and is not a regular file"), "{error}");
        }
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn leftovers_of_killed_processes_are_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for (name, stays) in [
            (".recvae-a-Xy12Zz", false),
            (".recvae-a-Xy12Z", true),
            (".recvae-a-b-Xy12Zz", true),
            (".recvae-Xy12Zz", true),
            ("a-Xy12Zz", true),
        ] {
            let file = folder.path().join(name);
            fs::write(&file, "").unwrap();
            remove_leftovers(&path);
            assert_eq!(file.exists(), stays, "{name}");
        }
        rewrite_whole(&path, |temporary| {
            let name = temporary.file_name().unwrap().to_owned();
            fs::copy(temporary, folder.path().join("..").join(&name))
                .map(drop)
                .map_err(|e| Error::io("copy", temporary, e))?;
            fs::rename(folder.path().join("..").join(&name), folder.path().join("seen")).unwrap();
            remove_leftovers(&path); // as another process would
            assert!(!temporary.exists());
            fs::write(temporary, "whole").map_err(|e| Error::io("write", temporary, e))
        })
        .unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
    }
}
