//! Errors on their way to JavaScript: the core's code becomes `code`, its text the message.

use napi::{Env, JsError};
use serde_json::Value;

/// An error whose status is the `code` that JavaScript sees.
pub(crate) type Error = napi::Error<&'static str>;
/// What the functions of this crate return.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Lets `?` on the core's results work in functions that return [`Result`].
pub(crate) trait IntoNode<T> {
    /// The same result with an error that JavaScript understands.
    fn into_node(self) -> Result<T>;
}

impl<T> IntoNode<T> for recvae_core::Result<T> {
    fn into_node(self) -> Result<T> {
        self.map_err(|error| Error::new(error.code(), error.to_string()))
    }
}

/// The error as the value that a promise is rejected with. [`napi::Error`] has a fixed list of codes, but hands a
/// JavaScript value through.
pub(crate) fn rejection(env: Env, error: Error) -> napi::Error {
    JsError::from(error).into_unknown(env).into()
}

/// Options cross as JSON text, so that the core sees every key and can refuse those that it does not know.
pub(crate) fn json(name: &str, text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .map_err(|e| recvae_core::Error::invalid_argument(name, format!("not JSON ({e})"), "an object"))
        .map_err(|error| Error::new(error.code(), error.to_string()))
}

/// A JavaScript number as a whole number. napi would cut off fractions and wrap negative numbers silently.
pub(crate) fn whole(name: &str, number: f64) -> Result<usize> {
    // 2^53: above it, doubles are no longer exact.
    if number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number) {
        return Ok(number as usize);
    }
    let error = recvae_core::Error::invalid_argument(name, number, "a whole number from 0 to 2^53");
    Err(Error::new(error.code(), error.to_string()))
}
