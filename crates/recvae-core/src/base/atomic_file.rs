//! An output file appears whole or not at all: it is written under another name beside its place, flushed to the disk,
//! and renamed. Whatever ends the process on its way, short of a kill, can remove what is unfinished.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::error::{Error, Result};

/// What would stay behind if the process ended now.
struct Unfinished {
    paths: BTreeSet<PathBuf>,
    /// Nothing is begun any more.
    ending: bool,
}

static UNFINISHED: Mutex<Unfinished> = Mutex::new(Unfinished { paths: BTreeSet::new(), ending: false });

fn unfinished() -> MutexGuard<'static, Unfinished> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes all outputs that are not whole and all files of locks, for a process that ends now: later outputs are
/// refused.
pub fn remove_unfinished() {
    let mut unfinished = unfinished();
    unfinished.ending = true;
    for path in &std::mem::take(&mut unfinished.paths) {
        remove(path);
    }
}

fn remove(path: &Path) {
    // A folder is no file, and the other way round: one of both does nothing.
    if fs::remove_file(path).is_err() {
        let _ = fs::remove_dir_all(path);
    }
}

/// A file or a folder that goes when it is dropped, or when the process ends.
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    /// Lets `make` make one in the folder of `target`, under a name like that of `target`.
    pub(crate) fn beside(target: &Path, make: impl FnMut(&Path) -> io::Result<()>) -> io::Result<Self> {
        let prefix = prefix_of(target);
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).rand_bytes(RANDOM).disable_cleanup(true);
        // Made and written down as one step, which an end of the process comes before or after.
        let mut unfinished = unfinished();
        if unfinished.ending {
            return Err(io::Error::other("the process is ending"));
        }
        let made = builder.make_in(folder_of(target), make)?;
        let path = made.path().to_owned();
        unfinished.paths.insert(path.clone());
        Ok(Self(path))
    }

    /// Takes over a file that is there.
    pub(crate) fn of(path: PathBuf) -> Self {
        unfinished().paths.insert(path.clone());
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Gives it its name, on the disk where the system can say so.
    pub(crate) fn rename(self, to: &Path) -> io::Result<()> {
        fs::rename(&self.0, to)?;
        sync_folder(folder_of(to));
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        remove(&self.0); // after a renaming nothing is there
        unfinished().paths.remove(&self.0);
    }
}

/// Flushes the names in a folder to the disk. Not every system and file system can; what is renamed is there all the
/// same.
pub(crate) fn sync_folder(folder: &Path) {
    if cfg!(unix)
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
}

/// An output file on its way: dropped before it is finished, it leaves nothing behind, and what stood at its path
/// stays. A link is followed, and stays; a file that is replaced keeps its permissions.
pub struct WholeFile {
    /// As who asked for it calls it.
    path: PathBuf,
    target: PathBuf,
    permissions: Option<fs::Permissions>,
    temporary: Temporary,
}

impl WholeFile {
    /// Makes an empty file beside `path`.
    ///
    /// # Errors
    /// `IO` if none can be written there, or if there is something that is not a regular file: a folder, a device, a
    /// pipe.
    pub fn begin(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let refused = |e: io::Error| Error::io("write", path, e);
        let (target, permissions) = destination(path).map_err(refused)?;
        let temporary = new_file_beside(&target).map_err(refused)?;
        Ok(Self { path: path.to_owned(), target, permissions, temporary })
    }

    /// Where the file is until it is finished. Who writes may also put another file there.
    #[must_use]
    pub fn temporary(&self) -> &Path {
        self.temporary.path()
    }

    /// Flushes what was written to the disk.
    ///
    /// # Errors
    /// `IO`.
    pub fn flush(&self) -> Result<()> {
        let flush = || {
            let written = File::options().write(true).open(self.temporary())?;
            if let Some(permissions) = &self.permissions {
                written.set_permissions(permissions.clone())?;
            }
            written.sync_all()
        };
        flush().map_err(|e| Error::io("write", &self.path, e))
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// `IO`.
    pub fn finish(self) -> Result<()> {
        self.temporary.rename(&self.target).map_err(|e| Error::io("write", &self.path, e))
    }
}

/// Lets `write` fill a [`WholeFile`]. If anything fails the temporary file is removed and what stood at `path` before
/// is untouched.
pub(crate) fn write_whole(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let file = WholeFile::begin(path)?;
    write(file.temporary())?;
    file.flush()?;
    file.finish()
}

/// Removes the temporary files that killed processes left beside `path`, as far as it can: for a path that one process
/// at a time writes to.
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

/// Fails as [`WholeFile::begin`] would at that path, so that long work is not done in vain. Nothing is left behind.
///
/// # Errors
/// `IO`.
pub fn check_writable(path: impl AsRef<Path>) -> Result<()> {
    WholeFile::begin(path).map(drop)
}

const PREFIX: &str = ".recvae-";
/// Random characters of a temporary file's name.
const RANDOM: usize = 6;
/// Bytes of a name that its temporary file's name begins with: what is common, 255, has to be enough for both.
const NAME: usize = 200;

fn prefix_of(target: &Path) -> OsString {
    let mut prefix = OsString::from(PREFIX);
    let name = target.file_name().unwrap_or_default();
    if name.len() <= NAME {
        prefix.push(name);
    } else {
        let name = name.to_string_lossy();
        let end = (0..=NAME).rev().find(|&end| name.is_char_boundary(end)).unwrap_or_default();
        prefix.push(&name[..end]);
    }
    prefix.push("-");
    prefix
}

/// The folder that a path lies in.
pub(crate) fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn new_file_beside(target: &Path) -> io::Result<Temporary> {
    Temporary::beside(target, |path| File::options().write(true).create_new(true).open(path).map(drop))
}

/// Where a path leads, and the permissions of the file that is there.
fn destination(path: &Path) -> io::Result<(PathBuf, Option<fs::Permissions>)> {
    match fs::metadata(path) {
        Ok(data) if data.is_file() => Ok((fs::canonicalize(path)?, Some(data.permissions()))),
        Ok(data) if data.is_dir() => Err(io::Error::other("it is a folder")),
        Ok(_) => Err(io::Error::other("it is there and is not a regular file")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => match fs::symlink_metadata(path) {
            Err(_) if path.file_name().is_some() => Ok((path.to_owned(), None)),
            // The file would replace the link.
            Ok(_) => Err(io::Error::other("it is a link to what is not there")),
            Err(e) => Err(e),
        },
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
    fn names_may_be_as_long_as_the_file_system_lets_them() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["x".repeat(255), "é".repeat(127)] {
            let path = folder.path().join(name);
            write(&path, "whole").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_no_regular_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for (path, why) in [
            (Path::new("/dev/null"), "it is there and is not a regular file"),
            (&pipe, "it is there and is not a regular file"),
            (folder.path(), "it is a folder"),
        ] {
            let error = write(path, "text").unwrap_err().to_string();
            assert_eq!(error, format!("cannot write {}: {why}", path.display()));
        }
        fs::remove_file(pipe).unwrap();
        let nowhere = folder.path().join("none").join("file");
        let error = write(&nowhere, "text").unwrap_err().to_string();
        // The name of the temporary file is nobody's business.
        assert_eq!(error, format!("cannot write {}: No such file or directory (os error 2)", nowhere.display()));
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
        write_whole(&path, |temporary| {
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
