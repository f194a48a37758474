//! Bytes that JavaScript hands over in pieces, such as a stream, for a reader that takes them as it would take a
//! file's.

use std::io::{self, Cursor, Read};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use recvae_core::{Options, ReadOptions};

use crate::data::{NativeInteractions, take_thresholds};
use crate::error::{Error, IntoNode, Result, json};
use crate::run::{Flag, NativeRun};
use crate::work::{Promise, promise, promise_in, waiting};

/// How long bytes are awaited before the reader looks whether it was stopped.
const PATIENCE: Duration = Duration::from_millis(50);

/// The way from JavaScript to a reader; one piece waits in it at most.
#[napi]
pub struct NativePipe {
    sender: Mutex<Option<SyncSender<Vec<u8>>>>,
    receiver: Mutex<Option<Receiver<Vec<u8>>>>,
}

#[napi]
impl NativePipe {
    /// With nothing in it.
    #[napi(constructor, catch_unwind)]
    #[allow(clippy::new_without_default)] // it is called by JavaScript alone
    pub fn new() -> Self {
        let (sender, receiver) = sync_channel(1);
        Self { sender: Mutex::new(Some(sender)), receiver: Mutex::new(Some(receiver)) }
    }

    /// Reads interactions until the end. `name`: what errors call it. `options`: as for
    /// [`crate::data::read_interactions`].
    #[napi(catch_unwind, ts_return_type = "Promise<NativeInteractions>")]
    pub fn read<'env>(&self, env: &'env Env, name: String, options: String, run: &NativeRun) -> Result<Promise<'env>> {
        let (options, thresholds) = take_thresholds(json("options", &options)?)?;
        let options = ReadOptions::from_json(&options.into()).into_node()?;
        let receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        let receiver = receiver.ok_or_else(|| Error::new("INTERNAL", "internal error: the pipe is read already"))?;
        let (cancel, name) = (run.flag(), PathBuf::from(name));
        promise_in(
            env,
            waiting(),
            move || {
                let input = Piped { receiver, piece: Cursor::default(), cancel: &cancel };
                recvae_core::read_stream_until(&name, input, &options, &thresholds, &cancel).into_node()
            },
            NativeInteractions::new,
        )
    }

    /// Hands bytes over, as soon as there is room for them. False if nobody reads any more.
    #[napi(catch_unwind, ts_return_type = "Promise<boolean>")]
    pub fn push<'env>(&self, env: &'env Env, bytes: Uint8Array) -> Result<Promise<'env>> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let bytes = bytes.to_vec();
        promise(env, waiting(), move || Ok(sender.is_some_and(|sender| sender.send(bytes).is_ok())), |taken| taken)
    }

    /// There are no more bytes.
    #[napi(catch_unwind)]
    pub fn end(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The end that is read from.
struct Piped<'a> {
    receiver: Receiver<Vec<u8>>,
    piece: Cursor<Vec<u8>>,
    cancel: &'a Flag,
}

impl Read for Piped<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.cancel.check().map_err(io::Error::other)?;
            let n = self.piece.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            match self.receiver.recv_timeout(PATIENCE) {
                Ok(piece) => self.piece = Cursor::new(piece),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
    }
}
