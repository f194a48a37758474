//! Histories out of NDJSON.

use napi::bindgen_prelude::Uint8ArraySlice;
use napi_derive::napi;
use recvae_core::{HistoryLine, HistoryLines};

use crate::error::{Error, IntoNode, Result};

/// The ids of a history.
#[napi(object, object_from_js = false)]
pub struct NativeHistory {
    /// Id of the user.
    pub user: String,
    /// Ids of the items.
    pub items: Vec<String>,
}

/// Reads histories that come in pieces. A bad line is told by `check`, so that the histories before it can be taken.
#[napi]
pub struct NativeHistoryLines {
    lines: Option<HistoryLines>,
    failed: Option<Error>,
}

#[napi]
impl NativeHistoryLines {
    /// Waits for the first bytes of what errors call `name`.
    #[napi(constructor, catch_unwind)]
    pub fn new(name: String) -> Self {
        Self { lines: Some(HistoryLines::new(name)), failed: None }
    }

    /// The histories in the lines that these bytes end.
    #[napi(catch_unwind)]
    pub fn push(&mut self, bytes: Uint8ArraySlice<'_>) -> Vec<NativeHistory> {
        let mut histories = Vec::new();
        if let Some(lines) = &mut self.lines {
            self.failed = lines.push(&bytes, &mut histories).into_node().err();
        }
        histories.into_iter().map(NativeHistory::from).collect()
    }

    /// The history in a last line that no line feed ends. Nothing can be read afterwards.
    #[napi(catch_unwind)]
    pub fn finish(&mut self) -> Vec<NativeHistory> {
        let mut histories = Vec::new();
        if let Some(lines) = self.lines.take() {
            self.failed = lines.finish(&mut histories).into_node().err();
        }
        histories.into_iter().map(NativeHistory::from).collect()
    }

    /// Fails if the last bytes had a bad line.
    #[napi(catch_unwind)]
    pub fn check(&mut self) -> Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }
}

impl From<HistoryLine> for NativeHistory {
    fn from(HistoryLine { user, items }: HistoryLine) -> Self {
        Self { user, items }
    }
}
