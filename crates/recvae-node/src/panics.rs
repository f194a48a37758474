//! Panics become errors that say where they come from.
//!
//! A panic may begin on any thread of a pool, and rayon hands no more than its message to the thread that waits. So a
//! hook notes where it began and by which calls; whoever turns the panic into an error looks its message up. The hook
//! prints nothing: the message reaches the caller, and stderr belongs to the program.

use std::any::{Any, TypeId};
use std::backtrace::Backtrace;
use std::collections::VecDeque;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::{Mutex, Once, PoisonError};

use napi::bindgen_prelude::Object;
use napi_derive::napi;

use crate::error::{Error, Result};

/// Where a panic began.
struct Record {
    payload: TypeId,
    message: Option<String>,
    place: String,
    calls: Backtrace,
}

/// The latest panics. When several threads of a pool panic at once, rayon hands out one of them; the others stay here
/// until newer ones displace them.
static LATEST: Mutex<VecDeque<Record>> = Mutex::new(VecDeque::new());
const KEPT: usize = 16;

/// Lines of calls in a message.
const CALLS: usize = 24;

/// What [`napi`](napi::bindgen_prelude::panic_to_error) says of a panic whose payload is no text.
const NAPI_WITHOUT_TEXT: &str = "panic from Rust code: Any { .. }";

/// Sets the hook. Node calls this once for each thread that imports the add-on.
#[napi(module_exports)]
pub fn init(_exports: Object<'_>) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // These end the process, which should say why.
            let last = text(info.payload()).is_some_and(|text| text.starts_with("panic in a "));
            if last { usual(info) } else { note(info) }
        }));
    });
}

fn note(info: &PanicHookInfo<'_>) {
    let record = Record {
        payload: info.payload().type_id(),
        message: text(info.payload()).map(str::to_owned),
        place: info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string),
        calls: Backtrace::force_capture(),
    };
    let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    latest.truncate(KEPT - 1);
    latest.push_front(record);
}

/// The message of a panic, if it has one.
fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// Runs `work` and turns a panic into an error. Nothing that a panic interrupts is used again: every value is dropped
/// with the call.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let (kind, message) = ((*payload).type_id(), text(&*payload).map(str::to_owned));
        // To drop a payload of an unknown type may panic again, and then nobody would hear of either.
        std::mem::forget(payload);
        let calls = calls(|record| record.payload == kind && record.message == message);
        let message = message.as_deref().unwrap_or("a panic without a message");
        Err(Error::new("INTERNAL", format!("internal error: {message}{}", calls.unwrap_or_default())))
    })
}

/// Where the latest panic with that message began, for those that napi has turned into errors.
#[napi(catch_unwind)]
pub fn panic_calls(message: String) -> Result<Option<String>> {
    let message = (message != NAPI_WITHOUT_TEXT).then_some(message);
    Ok(calls(|record| record.message == message))
}

/// Takes the latest record out that `fits`: its place, and the calls that led there, the innermost first.
fn calls(fits: impl Fn(&Record) -> bool) -> Option<String> {
    let record = {
        let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
        let at = latest.iter().position(fits)?;
        latest.remove(at)?
    };
    let mut result = format!(", at {}", record.place);
    let calls = record.calls.to_string();
    // `  12: name`; without debug information there is nothing between two of them.
    let names = calls.lines().filter_map(|line| line.trim_start().split_once(": ")).map(|(_, name)| name);
    for name in names.skip_while(|name| is_machinery(name)).take_while(|name| is_ours(name)).take(CALLS) {
        // Writing into a string does not fail.
        let _ = write!(result, "\n  in {name}");
    }
    Some(result)
}

/// The innermost calls are those of the panic itself.
fn is_machinery(name: &str) -> bool {
    ["std::", "core::panicking::", "core::option::", "core::result::", "rust_", "__rust"]
        .iter()
        .any(|start| name.starts_with(start))
        || name.starts_with("<alloc::boxed::Box<F,A> as core::ops::function::Fn")
        || name.contains("recvae_node::panics::")
}

/// The outermost ones are Node's, in C++, or the start of a thread. What is published has no names of calls.
fn is_ours(name: &str) -> bool {
    name != "<unknown>" && !name.starts_with("_Z") && !name.contains("__rust_begin_short_backtrace")
}
