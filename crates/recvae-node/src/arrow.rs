//! Arrow streams, in and out.

use napi::Env;
use napi::bindgen_prelude::{Uint8Array, Uint8ArraySlice};
use napi_derive::napi;
use recvae_core::{ArrowReader, Options, ReadOptions};

use crate::data::{NativeInteractions, take_thresholds};
use crate::error::{Error, IntoNode, Result, json, whole};
use crate::work::{Promise, brief, promise_in};

/// Reads a stream that comes in pieces.
#[napi]
pub struct NativeArrowReader(Option<ArrowReader>);

#[napi]
impl NativeArrowReader {
    /// Waits for the first bytes. `options`: JSON with the names of columns, the lowest value and the thresholds.
    #[napi(constructor, catch_unwind)]
    pub fn new(options: String) -> Result<Self> {
        let (rest, thresholds) = take_thresholds(json("options", &options)?)?;
        let options = ReadOptions::from_json(&rest.into()).into_node()?;
        ArrowReader::new(options, thresholds).into_node().map(|reader| Self(Some(reader)))
    }

    /// Takes the next bytes of the stream.
    #[napi(catch_unwind)]
    pub fn push(&mut self, bytes: Uint8ArraySlice<'_>) -> Result<()> {
        self.0.as_mut().ok_or_else(finished)?.push(&bytes).into_node()
    }

    /// Makes the matrix. Nothing can be added afterwards.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeInteractions>")]
    pub fn finish<'env>(&mut self, env: &'env Env) -> Result<Promise<'env>> {
        let reader = self.0.take().ok_or_else(finished)?;
        promise_in(env, brief(), move || reader.finish().into_node(), NativeInteractions::new)
    }
}

/// A part of interactions as an Arrow stream, from 0; null behind the last one.
#[napi(catch_unwind)]
pub fn arrow_part(interactions: &NativeInteractions, part: f64) -> Result<Option<Uint8Array>> {
    let part = interactions.0.get()?.arrow_part(whole("part", part)?).into_node()?;
    Ok(part.map(Uint8Array::from))
}

fn finished() -> Error {
    Error::new("INTERNAL", "internal error: the stream was finished before")
}
