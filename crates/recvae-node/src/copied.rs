//! Typed arrays for JavaScript, in memory of V8's own.
//!
//! napi's arrays hand the memory of a `Vec` over without a copy. When a worker thread ends that has such memory, the
//! garbage collector and the end of the environment may let go of it at once, by which Node's whole process ends now
//! and then (Node 20.20.2, 22.23.3, 24.21.0 and 26.10.0 alike). Electron refuses such memory. A copy is made at the
//! speed of memory, before JavaScript makes an object of each number.

use napi::Env;
use napi::bindgen_prelude::{
    Float32ArraySlice, Float64ArraySlice, JsValue, ToNapiValue, Uint8ArraySlice, Uint32ArraySlice,
};
use napi::sys::{napi_env, napi_value};

/// What becomes a typed array. Its JavaScript type stands where it is used, in `ts_type` or `ts_return_type`.
pub struct Copied<T>(Vec<T>);

/// A type of number that has a typed array.
pub trait Element: Sized {
    /// A new typed array of these numbers.
    ///
    /// # Errors
    /// If V8 makes none: the environment is being torn down, or there is no memory.
    fn array(env: &Env, numbers: &[Self]) -> napi::Result<napi_value>;
}

macro_rules! elements {
    ($($number:ty => $slice:ident),*) => {$(
        impl Element for $number {
            fn array(env: &Env, numbers: &[Self]) -> napi::Result<napi_value> {
                $slice::copy_from(env, numbers).map(|array| array.raw())
            }
        }
    )*};
}

elements!(u8 => Uint8ArraySlice, u32 => Uint32ArraySlice, f32 => Float32ArraySlice, f64 => Float64ArraySlice);

impl<T> From<Vec<T>> for Copied<T> {
    fn from(numbers: Vec<T>) -> Self {
        Self(numbers)
    }
}

impl<T: Element> ToNapiValue for Copied<T> {
    #[allow(unsafe_code)] // napi's interface, which is called with the live environment of this thread
    unsafe fn to_napi_value(env: napi_env, Self(numbers): Self) -> napi::Result<napi_value> {
        T::array(&Env::from_raw(env), &numbers)
    }
}
