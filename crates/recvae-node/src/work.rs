//! Long work: on a thread of its own, inside a pool of the core's, behind a promise.
//!
//! Not on libuv's pool, whose four threads also serve files and name look-ups; not on tokio, which has nothing to offer
//! to arithmetic. A panic rejects the promise. A promise that is pending keeps the process alive.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use napi::bindgen_prelude::{Object, ToNapiValue};
use napi::{Env, JsDeferred};
use recvae_core::Threads;

use crate::error::{Error, IntoNode, Result, panicked, rejection, whole};

/// A promise. The JavaScript type stands in each function's `ts_return_type`.
pub(crate) type Promise<'env> = Object<'env>;

type Resolver<J> = Box<dyn FnOnce(Env) -> napi::Result<J>>;

/// Starts `work` and gives back the promise of its result, which `finish` turns into a JavaScript value.
pub(crate) fn promise<T, J>(
    env: &Env,
    threads: Option<f64>,
    work: impl FnOnce() -> Result<T> + Send + 'static,
    finish: impl FnOnce(T) -> J + Send + 'static,
) -> Result<Promise<'_>>
where
    T: Send + 'static,
    J: ToNapiValue + 'static,
{
    let pool = pool(threads)?;
    let internal = |e: &dyn std::fmt::Display| Error::new("INTERNAL", format!("internal error: {e}"));
    let (deferred, promise): (JsDeferred<J, Resolver<J>>, _) = env.create_deferred().map_err(|e| internal(&e))?;
    std::thread::Builder::new()
        .name("recvae".into())
        .spawn(move || {
            let result = guarded(|| pool.install(work));
            deferred.resolve(Box::new(move |env| match result {
                Ok(value) => Ok(finish(value)),
                Err(error) => Err(rejection(env, error)),
            }));
        })
        .map_err(|e| internal(&e))?;
    Ok(promise)
}

fn pool(threads: Option<f64>) -> Result<Threads> {
    Threads::new(threads.map(|n| whole("threads", n)).transpose()?).into_node()
}

/// Fails as [`promise`] would for that number of threads.
pub(crate) fn check_threads(threads: Option<f64>) -> Result<()> {
    pool(threads).map(drop)
}

/// Runs short work on the calling thread's behalf, on one other thread.
pub(crate) fn now<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    /// Without it, the core's loops would start rayon's global pool.
    static ONE: LazyLock<recvae_core::Result<Threads>> = LazyLock::new(|| Threads::new(Some(1)));
    match &*ONE {
        Ok(pool) => guarded(|| pool.install(work)),
        Err(error) => Err(Error::new(error.code(), error.to_string())),
    }
}

/// Turns a panic into an error. Nothing that a panic interrupts is used again: every value is dropped with the call.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}
