//! Files that one thread of one process may use at a time.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::base::atomic_file::Temporary;
use crate::base::error::{Error, Result};

/// A lock of the operating system on a file that is there for it alone, and goes with it. It excludes the other threads
/// of this process as it does other processes, and ends with the process, however that ends.
pub struct FileLock {
    /// Before `_file`: whoever opened the file that goes finds out that it is gone, see [`is_at`].
    _name: Option<Temporary>,
    _file: File,
}

/// What came of asking for a [`FileLock`].
pub enum Locking {
    /// It is taken, until it is dropped.
    Held(FileLock),
    /// Somebody else holds it: the process of that number, where it can be known.
    Taken(Option<u32>),
}

impl FileLock {
    /// Takes the lock of a path unless somebody has it.
    ///
    /// # Errors
    /// `IO` if there is no file and none can be made, if it is not a regular file, or if its file system has no locks.
    pub fn try_take(path: impl AsRef<Path>) -> Result<Locking> {
        let path = path.as_ref();
        take(path).map_err(|e| Error::io("lock", path, e))
    }
}

fn take(path: &Path) -> io::Result<Locking> {
    loop {
        if fs::metadata(path).is_ok_and(|data| !data.is_file()) {
            return Err(io::Error::other("it is there and is not a regular file"));
        }
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Locking::Taken(owner(&mut file))),
            Err(TryLockError::Error(e)) => return Err(e),
        }
        // Who held it may have removed the file between our opening and our locking it: others make a new one.
        if !is_at(&file, path)? {
            continue;
        }
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        // Elsewhere it could not be told that the file is another one: it stays.
        let name = cfg!(unix).then(|| Temporary::of(path.to_owned()));
        return Ok(Locking::Held(FileLock { _name: name, _file: file }));
    }
}

/// The process that a lock file names. It is for messages: it may not be written yet.
fn owner(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Whether that is the file at `path`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let own = file.metadata()?;
    Ok(fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())))
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(all(test, unix))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn one_holds_it_and_the_others_are_told_who() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        for before in [None, Some(""), Some("4294967295\n"), Some("no number, and much longer than any number is\n")] {
            if let Some(text) = before {
                fs::write(&path, text).unwrap(); // of a process that was killed, also before it wrote its number
            }
            let Locking::Held(lock) = FileLock::try_take(&path).unwrap() else { panic!("{before:?} counts") };
            let told = std::thread::scope(|scope| scope.spawn(|| FileLock::try_take(&path).unwrap()).join().unwrap());
            assert!(matches!(told, Locking::Taken(Some(process)) if process == std::process::id()));
            drop(lock);
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_lock_that_is_not_written_yet_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let file = File::create(&path).unwrap();
        file.lock().unwrap();
        assert!(matches!(FileLock::try_take(&path).unwrap(), Locking::Taken(None)));
    }

    #[test]
    fn of_many_threads_one_at_a_time_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let (inside, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let Locking::Held(_lock) = FileLock::try_take(&path).unwrap() else { continue };
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        taken.fetch_add(1, Ordering::SeqCst);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(taken.into_inner() > 0);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_regular_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(FileLock::try_take(folder.path()).err().map(|e| e.code()), Some("IO"));
        assert_eq!(FileLock::try_take("/dev/null").err().map(|e| e.code()), Some("IO"));
        assert_eq!(FileLock::try_take(folder.path().join("none").join("lock")).err().map(|e| e.code()), Some("IO"));
    }
}
