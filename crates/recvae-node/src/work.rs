//! Long work: on a thread of its own, inside a pool of the core's, behind a promise.
//!
//! Not on libuv's pool, whose four threads also serve files and name look-ups; not on tokio, which has nothing to offer
//! to arithmetic. A panic rejects the promise. A promise that is pending keeps the process alive.

use std::sync::LazyLock;

use napi::bindgen_prelude::{Object, ToNapiValue};
use napi::sys::napi_value;
use napi::{Env, JsDeferred};
use recvae_core::Threads;

use crate::error::{Error, IntoNode, Result, rejection, whole};
use crate::panics::guarded;

/// A promise. The JavaScript type stands in each function's `ts_return_type`.
pub(crate) type Promise<'env> = Object<'env>;

type Resolver = Box<dyn FnOnce(Env) -> napi::Result<napi_value>>;

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
    promise_in(env, threads, work, |_, value| finish(value))
}

/// [`promise`] whose `finish` is told where the value will live.
pub(crate) fn promise_in<T, J>(
    env: &Env,
    threads: Option<f64>,
    work: impl FnOnce() -> Result<T> + Send + 'static,
    finish: impl FnOnce(&Env, T) -> J + Send + 'static,
) -> Result<Promise<'_>>
where
    T: Send + 'static,
    J: ToNapiValue + 'static,
{
    let pool = pool(threads)?;
    let internal = |e: &dyn std::fmt::Display| Error::new("INTERNAL", format!("internal error: {e}"));
    let (deferred, promise): (JsDeferred<napi_value, Resolver>, _) = env.create_deferred().map_err(|e| internal(&e))?;
    std::thread::Builder::new()
        .name("recvae".into())
        .spawn(move || {
            let result = guarded(|| pool.install(work));
            deferred.resolve(Box::new(move |env| {
                // napi calls this from C, which a panic must not reach.
                let result = result.and_then(|value| guarded(|| convert(&env, finish(&env, value))));
                result.map_err(|error| rejection(env, error))
            }));
        })
        .map_err(|e| internal(&e))?;
    Ok(promise)
}

/// The JavaScript value of `value`.
fn convert<J: ToNapiValue>(env: &Env, value: J) -> Result<napi_value> {
    #[allow(unsafe_code)] // napi has no safe way to say it
    // SAFETY: `env` is the live environment of this thread, as napi asks.
    let converted = unsafe { J::to_napi_value(env.raw(), value) };
    converted.map_err(|e| Error::new("INTERNAL", format!("internal error: {e}")))
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
