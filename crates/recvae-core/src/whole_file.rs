//! An output file appears whole or not at all.

use std::path::Path;

use crate::error::{Error, Result};

/// Lets `write` fill a temporary file beside `path`, flushes it to the disk and renames it to `path`. If anything fails
/// the temporary file is removed and what stood at `path` before is untouched.
pub(crate) fn write_whole(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if path.is_dir() {
        return Err(Error::io("write", path, std::io::ErrorKind::IsADirectory.into()));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".recvae-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // the umask applies, as for any new file
    let file = builder.tempfile_in(folder).map_err(|e| Error::io("write", path, e))?;
    write(file.path())?;
    file.as_file().sync_all().map_err(|e| Error::io("write", path, e))?;
    file.persist(path).map_err(|e| Error::io("write", path, e.error))?;
    Ok(())
}
