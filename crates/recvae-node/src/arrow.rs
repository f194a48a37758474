//! Arrow streams, in and out.

use napi::Env;
use napi::bindgen_prelude::{Float32ArraySlice, Uint8ArraySlice, Uint32ArraySlice};
use napi_derive::napi;
use recvae_core::{ArrowHistories, ArrowHistory, ArrowReader, ArrowTable, GramPairs, Options, ReadOptions};

use crate::copied::Copied;
use crate::data::{NativeInteractions, take_thresholds};
use crate::ease_counts::NativeEaseCounts;
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
#[napi(catch_unwind, ts_return_type = "Uint8Array | null")]
pub fn arrow_part(interactions: &NativeInteractions, part: f64) -> Result<Option<Copied<u8>>> {
    let part = interactions.0.get()?.arrow_part(whole("part", part)?).into_node()?;
    Ok(part.map(Copied::from))
}

/// A history with the lists of its own: the texts of ids.
#[napi(object, object_from_js = false)]
pub struct NativeRequest {
    /// Id of the user.
    pub user: String,
    /// Ids of the items.
    pub items: Vec<String>,
    /// The only items that may come; without it all.
    pub allow: Option<Vec<String>>,
    /// Items that must not come; without it none.
    pub deny: Option<Vec<String>>,
}

/// Reads a stream of histories that comes in pieces.
#[napi]
pub struct NativeArrowHistories(Option<ArrowHistories>);

#[napi]
impl NativeArrowHistories {
    /// Waits for the first bytes.
    #[napi(constructor, catch_unwind)]
    #[allow(clippy::new_without_default)] // JavaScript has no defaults
    pub fn new() -> Self {
        Self(Some(ArrowHistories::default()))
    }

    /// Takes the next bytes of the stream, and gives the histories that they complete.
    #[napi(catch_unwind)]
    pub fn push(&mut self, bytes: Uint8ArraySlice<'_>) -> Result<Vec<NativeRequest>> {
        let histories = self.0.as_mut().ok_or_else(finished)?.push(&bytes).into_node()?;
        Ok(histories.into_iter().map(NativeRequest::from).collect())
    }

    /// Ends the stream. Nothing can be added afterwards.
    #[napi(catch_unwind)]
    pub fn finish(&mut self) -> Result<()> {
        self.0.take().ok_or_else(finished)?.finish().into_node()
    }
}

impl From<ArrowHistory> for NativeRequest {
    fn from(ArrowHistory { user, items, allow, deny }: ArrowHistory) -> Self {
        Self { user, items, allow, deny }
    }
}

/// The beginning of a stream of recommendations.
#[napi(catch_unwind, ts_return_type = "Uint8Array")]
pub fn arrow_recommendations_start() -> Copied<u8> {
    ArrowTable::Recommendations.start().into()
}

/// A batch of them: the items and scores of each user begin at its offset.
#[napi(catch_unwind, ts_return_type = "Uint8Array")]
pub fn arrow_recommendations(
    users: Vec<String>,
    offsets: Uint32ArraySlice<'_>,
    items: Vec<String>,
    scores: Float32ArraySlice<'_>,
) -> Result<Copied<u8>> {
    ArrowTable::recommendations(&users, &offsets, &items, &scores).into_node().map(Copied::from)
}

/// The beginning of a stream of pairs of items.
#[napi(catch_unwind, ts_return_type = "Uint8Array")]
pub fn arrow_gram_start() -> Copied<u8> {
    ArrowTable::Gram.start().into()
}

/// What ends a stream.
#[napi(catch_unwind, ts_return_type = "Uint8Array")]
pub fn arrow_end() -> Copied<u8> {
    ArrowTable::end().into()
}

/// The pairs of counts whose items are indices, batch by batch.
#[napi]
pub struct NativeGramPairs(GramPairs);

#[napi]
impl NativeGramPairs {
    /// Reads the indices.
    #[napi(constructor, catch_unwind)]
    pub fn new(counts: &NativeEaseCounts) -> Result<Self> {
        GramPairs::new(counts.shared()?).into_node().map(Self)
    }

    /// The bytes of the next batch; null behind the last one.
    #[napi(catch_unwind, ts_return_type = "Uint8Array | null")]
    pub fn next_batch(&mut self) -> Option<Copied<u8>> {
        self.0.next_batch().map(Copied::from)
    }
}

fn finished() -> Error {
    Error::new("INTERNAL", "internal error: the stream was finished before")
}
