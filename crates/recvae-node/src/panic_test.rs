//! Functions that panic on purpose, wherever the package could, and two that end the process, which nothing catches.
//! Only in the add-on that `test/panics.test.ts` builds.

use std::hint::black_box;
use std::panic::panic_any;

use napi::Env;
use napi::bindgen_prelude::ToNapiValue;
use napi::sys::{napi_env, napi_value};
use napi_derive::napi;
use rayon::prelude::*;
use recvae_core::{Cancel, Csr, SynthOptions, SynthProgress, write_synth};

use crate::error::{IntoNode, Result};
use crate::work::{Promise, brief, long, now, promise};

/// On the calling thread.
#[napi(catch_unwind)]
pub fn panic_here(text: String) -> Result<()> {
    panic!("{text}");
}

/// On the calling thread, with a payload that is no text.
#[napi(catch_unwind)]
pub fn panic_here_without_text() -> Result<()> {
    panic_any(42);
}

/// On the calling thread, in a pool of its own.
#[napi(catch_unwind)]
pub fn panic_now(text: String) -> Result<()> {
    now(move || panic!("{text}"))
}

/// In the core: a column beyond the matrix, as a bug of ours would ask for.
#[napi(catch_unwind)]
pub fn panic_in_core(column: u32) -> Result<f64> {
    now(move || Ok(Csr::from_pairs(1, 1, &[(0, column)]).nnz() as f64))
}

/// On the thread of a promise.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn panic_in_work(env: &Env, text: String) -> Result<Promise<'_>> {
    promise(env, brief(), move || panic!("{text}"), |()| ())
}

/// In many tasks of the pool at once.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn panic_in_tasks(env: &Env, text: String, threads: f64) -> Result<Promise<'_>> {
    let work = move || {
        (0..64).into_par_iter().for_each(|task| assert!(task % 2 == 0, "{text}"));
        Ok(())
    };
    promise(env, long(Some(threads), &Cancel::default())?, work, |()| ())
}

/// With a payload that is no text and panics when it is dropped.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn panic_with_bomb(env: &Env) -> Result<Promise<'_>> {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    promise(env, brief(), || panic_any(Bomb), |()| ())
}

/// On the event loop, where the result of work is finished.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn panic_in_finish(env: &Env, text: String) -> Result<Promise<'_>> {
    promise(env, brief(), || Ok(()), move |()| assert!(text.is_empty(), "{text}"))
}

/// A value that cannot be made into one of JavaScript's.
pub struct Unmakeable(String);

impl ToNapiValue for Unmakeable {
    #[allow(unsafe_code)] // napi's interface
    unsafe fn to_napi_value(_env: napi_env, Self(text): Self) -> napi::Result<napi_value> {
        panic!("{text}");
    }
}

/// On the event loop, where the result becomes a JavaScript value.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn panic_in_conversion(env: &Env, text: String) -> Result<Promise<'_>> {
    promise(env, brief(), || Ok(text), Unmakeable)
}

/// Where progress is reported from, on the thread of the work: in the middle of a file that is being written.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn panic_in_progress(env: &Env, text: String, path: String) -> Result<Promise<'_>> {
    let work = move || {
        let report = |_: &SynthProgress| panic!("{text}");
        let options = SynthOptions { scale: 0.01, ..SynthOptions::default() };
        write_synth(&options, path, &report, &Cancel::default()).into_node().map(drop)
    };
    promise(env, brief(), work, |()| ())
}

/// Calls itself until the stack of the thread of a promise is full.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn overflow_stack(env: &Env) -> Result<Promise<'_>> {
    fn deeper(depth: u32) -> u32 {
        let frame = black_box([depth; 256]);
        if depth == u32::MAX { 0 } else { deeper(depth + 1) + frame[0] }
    }
    promise(env, brief(), || Ok(deeper(0)), |depth| depth)
}

/// Asks for memory that no system has, unlike the core, which asks before it takes.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn exhaust_memory(env: &Env) -> Result<Promise<'_>> {
    promise(env, brief(), || Ok(black_box(vec![1u8; isize::MAX as usize]).len() as f64), |length| length)
}
