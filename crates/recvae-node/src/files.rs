//! Output files that appear whole or not at all, and locks.

use std::path::Path;
use std::sync::Arc;

use napi::Env;
use napi_derive::napi;
use recvae_core::{FileLock, Locking, WholeFile};

use crate::error::{Error, IntoNode, Result};
use crate::run::NativeRun;
use crate::work::{Promise, brief, brief_until, promise};

/// A file on its way, until it is finished or discarded.
#[napi]
pub struct NativeOutput(Option<Arc<WholeFile>>);

impl NativeOutput {
    fn get(&self) -> Result<&Arc<WholeFile>> {
        self.0.as_ref().ok_or_else(gone)
    }
}

fn gone() -> Error {
    Error::new("INTERNAL", "internal error: the output is finished, discarded or being flushed".to_owned())
}

#[napi]
impl NativeOutput {
    /// Makes an empty file beside that path.
    #[napi(constructor, catch_unwind)]
    pub fn new(path: String) -> Result<Self> {
        WholeFile::begin(path).into_node().map(|file| Self(Some(Arc::new(file))))
    }

    /// Where it is to be written.
    #[napi(getter, catch_unwind)]
    pub fn temporary(&self) -> Result<String> {
        let path = self.get()?.temporary();
        let text = path.to_str().map(str::to_owned);
        text.ok_or_else(|| Error::new("IO", format!("cannot write {}: its folder is not UTF-8", path.display())))
    }

    /// Flushes it to the disk.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn flush<'env>(&self, env: &'env Env) -> Result<Promise<'env>> {
        let file = Arc::clone(self.get()?);
        promise(env, brief(), move || file.flush().into_node(), |()| ())
    }

    /// Gives it its name.
    #[napi(catch_unwind)]
    pub fn finish(&mut self) -> Result<()> {
        let file = self.0.take().and_then(Arc::into_inner).ok_or_else(gone)?;
        file.finish().into_node()
    }

    /// Removes it, unless it is finished.
    #[napi(catch_unwind)]
    pub fn discard(&mut self) -> Result<()> {
        self.0 = None;
        Ok(())
    }
}

/// Fails if a file could not be written at that path.
#[napi(catch_unwind)]
pub fn check_writable(path: String) -> Result<()> {
    recvae_core::check_writable(path).into_node()
}

/// Fails if a split could not be written as that folder.
#[napi(catch_unwind)]
pub fn check_new_folder(path: String) -> Result<()> {
    recvae_core::check_new_folder(path).into_node()
}

/// Removes what is not whole, for a process that ends now.
#[napi(catch_unwind)]
pub fn remove_unfinished() -> Result<()> {
    recvae_core::remove_unfinished();
    Ok(())
}

/// A lock, or who has it. It ends when the thread ends that took it.
#[napi]
pub struct NativeLock {
    lock: Option<FileLock>,
    owner: Option<u32>,
}

#[napi]
impl NativeLock {
    /// Takes the lock of that path unless somebody has it.
    #[napi(factory, catch_unwind)]
    pub fn try_take(path: String) -> Result<Self> {
        Ok(match FileLock::try_take(Path::new(&path)).into_node()? {
            Locking::Held(lock) => Self { lock: Some(lock), owner: None },
            Locking::Taken(owner) => Self { lock: None, owner },
        })
    }

    /// Whether it is taken here.
    #[napi(getter, catch_unwind)]
    pub fn held(&self) -> Result<bool> {
        Ok(self.lock.is_some())
    }

    /// The process that has it instead, where it can be known.
    #[napi(getter, catch_unwind)]
    pub fn owner(&self) -> Result<Option<u32>> {
        Ok(self.owner)
    }

    /// Lets it go.
    #[napi(catch_unwind)]
    pub fn release(&mut self) -> Result<()> {
        self.lock = None;
        Ok(())
    }
}

/// Writes one file of a ZIP archive to an existing file.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn unzip<'env>(
    env: &'env Env,
    archive: String,
    member: String,
    to: String,
    run: &NativeRun,
) -> Result<Promise<'env>> {
    let cancel = run.flag();
    let turn = brief_until(&cancel);
    promise(env, turn, move || recvae_core::unzip(archive, &member, to, &cancel).into_node(), |()| ())
}
