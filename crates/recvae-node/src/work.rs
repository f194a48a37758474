//! Long work on threads that all calls share, behind a promise, and short work on the calling thread.
//!
//! Not on libuv's pool, whose four threads also serve files and name look-ups; not on tokio, which has nothing to offer
//! to arithmetic. A panic rejects the promise. A promise that is pending keeps the process alive.

use napi::bindgen_prelude::{Object, ToNapiValue};
use napi::sys::napi_value;
use napi::{Env, JsDeferred};
use recvae_core::{Call, CallKind, Calls, Cancel, Threads};

use crate::error::{Error, IntoNode, Result, rejection};
use crate::panics::guarded;

/// A promise. The JavaScript type stands in each function's `ts_return_type`.
pub(crate) type Promise<'env> = Object<'env>;

type Resolver = Box<dyn FnOnce(Env) -> napi::Result<napi_value>>;

/// Histories that are recommended for in moments: as many as are scored together.
const FEW: usize = 256;

/// How a promise comes to its threads.
pub(crate) enum Turn {
    Shared(Call),
    Own,
}

/// Work on as many threads as asked for, by default all cores. It may last, so what stops it does so before it begins,
/// too.
pub(crate) fn long(threads: Option<f64>, cancel: &Cancel) -> Result<Turn> {
    turn(CallKind::Long, threads, cancel)
}

/// A request for so many users, on as many threads as asked for.
pub(crate) fn request(n_users: usize, threads: Option<f64>, cancel: &Cancel) -> Result<Turn> {
    turn(if n_users <= FEW { CallKind::Request } else { CallKind::Brief }, threads, cancel)
}

/// Work on one thread that is over in seconds, such as that on a file.
pub(crate) fn brief() -> Turn {
    brief_until(&Cancel::default())
}

/// The same with what stops it.
pub(crate) fn brief_until(cancel: &Cancel) -> Turn {
    Turn::Shared(Call { kind: CallKind::Brief, threads: 1, cancel: cancel.clone() })
}

/// Work on one thread that waits for JavaScript, which may not get on before other such work has begun: it has a thread
/// of its own.
pub(crate) fn waiting() -> Turn {
    Turn::Own
}

fn turn(kind: CallKind, threads: Option<f64>, cancel: &Cancel) -> Result<Turn> {
    Ok(Turn::Shared(Call { kind, threads: number(threads)?, cancel: cancel.clone() }))
}

fn number(threads: Option<f64>) -> Result<usize> {
    threads.map_or_else(|| Ok(Threads::available()), |threads| Threads::number(threads).into_node())
}

/// Fails as [`promise`] would for that number of threads.
pub(crate) fn check_threads(threads: Option<f64>) -> Result<()> {
    number(threads).map(drop)
}

/// Starts `work` when its turn has come and gives back the promise of its result, which `finish` turns into a
/// JavaScript value.
pub(crate) fn promise<T, J>(
    env: &Env,
    turn: Turn,
    work: impl FnOnce() -> Result<T> + Send + 'static,
    finish: impl FnOnce(T) -> J + Send + 'static,
) -> Result<Promise<'_>>
where
    T: Send + 'static,
    J: ToNapiValue + 'static,
{
    promise_in(env, turn, work, |_, value| finish(value))
}

/// [`promise`] whose `finish` is told where the value will live.
pub(crate) fn promise_in<T, J>(
    env: &Env,
    turn: Turn,
    work: impl FnOnce() -> Result<T> + Send + 'static,
    finish: impl FnOnce(&Env, T) -> J + Send + 'static,
) -> Result<Promise<'_>>
where
    T: Send + 'static,
    J: ToNapiValue + 'static,
{
    let (deferred, promise): (JsDeferred<napi_value, Resolver>, _) = env.create_deferred().map_err(|e| internal(&e))?;
    let job = move |begun: recvae_core::Result<()>| {
        let result = begun.into_node().and_then(|()| guarded(work));
        deferred.resolve(Box::new(move |env| {
            // napi calls this from C, which a panic must not reach.
            let result = result.and_then(|value| guarded(|| convert(&env, finish(&env, value))));
            result.map_err(|error| rejection(env, error))
        }));
    };
    match turn {
        Turn::Shared(call) => Calls::of_process().start(call, job),
        Turn::Own => {
            let alone = move || Threads::here(move || job(Ok(())));
            std::thread::Builder::new().name("recvae-wait".into()).spawn(alone).map_err(|e| internal(&e))?;
        }
    }
    Ok(promise)
}

fn internal(error: &dyn std::fmt::Display) -> Error {
    Error::new("INTERNAL", format!("internal error: {error}"))
}

/// The JavaScript value of `value`.
fn convert<J: ToNapiValue>(env: &Env, value: J) -> Result<napi_value> {
    #[allow(unsafe_code)] // napi has no safe way to say it
    // SAFETY: `env` is the live environment of this thread, as napi asks.
    let converted = unsafe { J::to_napi_value(env.raw(), value) };
    converted.map_err(|e| internal(&e))
}

/// Runs short work on the calling thread, which waits for no other.
pub(crate) fn now<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    now_on(1, work)
}

/// The same with the help of other threads, if so many are worth it and they are free.
pub(crate) fn now_on<T: Send + 'static>(
    threads: usize,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    Calls::of_process().here(threads, || guarded(work)).into_node()?
}
