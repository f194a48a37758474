//! What JavaScript holds of the core: V8 knows its size, and it goes when it is disposed of or when the garbage
//! collector finds it, whichever comes first.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use napi::Env;
use napi_derive::napi;
use recvae_core::{Calls, Cancel};

use crate::error::{Error, IntoNode, Result};

/// Values that share memory, such as a split and its parts, share one of these. The memory counts until the last of
/// them is gone.
struct ExternalMemory {
    env: Env,
    bytes: i64,
}

impl ExternalMemory {
    fn new(env: &Env, bytes: usize) -> Rc<Self> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        // V8 only hurries for it: a refusal, as of an environment that is being torn down, changes nothing.
        let bytes = if env.adjust_external_memory(bytes).is_ok() { bytes } else { 0 };
        Rc::new(Self { env: *env, bytes })
    }
}

impl Drop for ExternalMemory {
    fn drop(&mut self) {
        // On the environment's own thread, which an `Rc` never leaves, and before its end, when all its objects go.
        let _ = self.env.adjust_external_memory(-self.bytes);
    }
}

/// A value of the core, until it is disposed of. Work that has begun with a clone of the value ends with it.
pub(crate) struct Held<T> {
    what: &'static str,
    value: Option<(T, Rc<ExternalMemory>)>,
}

impl<T> Held<T> {
    /// Holds a value of that many bytes. `what` is its name in messages.
    pub(crate) fn new(env: &Env, what: &'static str, value: T, bytes: usize) -> Self {
        Self { what, value: Some((value, ExternalMemory::new(env, bytes))) }
    }

    /// Holds another view of the same memory.
    pub(crate) fn part<U>(&self, what: &'static str, part: impl FnOnce(&T) -> U) -> Result<Held<U>> {
        self.get()?;
        Ok(Held { what, value: self.value.as_ref().map(|(value, memory)| (part(value), Rc::clone(memory))) })
    }

    /// The value. Fails with `INVALID_ARGUMENT` once it is disposed of.
    pub(crate) fn get(&self) -> Result<&T> {
        let value = self.value.as_ref().map(|(value, _)| value);
        value.ok_or_else(|| recvae_core::Error::invalid_argument(self.what, "disposed", "one in use")).into_node()
    }

    /// Lets the value go. The second time there is nothing to do.
    pub(crate) fn dispose(&mut self) {
        self.value = None;
    }
}

/// Bytes outside its heap that V8 knows of: what is held here, and typed arrays. `process.memoryUsage()` has only the
/// latter.
#[napi(catch_unwind)]
pub fn known_memory(env: &Env) -> Result<f64> {
    env.adjust_external_memory(0)
        .map(|bytes| bytes as f64)
        .map_err(|e| Error::new("INTERNAL", format!("internal error: {e}")))
}

/// Work that lasts, each with a sign of whether it still does.
#[derive(Default)]
struct Lasting(Vec<(Weak<()>, Cancel)>);

impl Drop for Lasting {
    fn drop(&mut self) {
        self.0.iter().for_each(|(_, cancel)| cancel.cancel());
        Calls::of_process().answer_cancelled();
    }
}

/// Stops work when the thread ends that asked for it, as that of a worker which is terminated: nobody waits for the
/// result any more. The work keeps what this gives back.
pub(crate) fn cancel_with_thread(cancel: &Cancel) -> Arc<()> {
    thread_local! {
        static LASTING: RefCell<Lasting> = RefCell::default();
    }
    let lasts = Arc::new(());
    LASTING.with_borrow_mut(|Lasting(all)| {
        all.retain(|(lasts, _)| lasts.strong_count() > 0);
        all.push((Arc::downgrade(&lasts), cancel.clone()));
    });
    lasts
}
