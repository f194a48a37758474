//! Histories out of NDJSON.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use napi::Env;
use napi_derive::napi;
use recvae_core::{HistoryLine, HistoryReader, SkippedKey};

use crate::error::{IntoNode, Result};
use crate::run::{Flag, NativeRun};
use crate::work::{Promise, promise, waiting};

/// The ids of a history.
#[napi(object, object_from_js = false)]
pub struct NativeHistory {
    /// Id of the user.
    pub user: String,
    /// Ids of the items.
    pub items: Vec<String>,
    /// The only items that may come; without it all.
    pub allow: Option<Vec<String>>,
    /// Items that must not come.
    pub deny: Option<Vec<String>>,
}

/// A key of a line that nobody reads.
#[napi(object, object_from_js = false)]
pub struct NativeSkippedKey {
    /// The key.
    pub key: String,
    /// Number of the line, from 1.
    pub line: f64,
}

/// Reads histories, until its run is stopped.
#[napi]
pub struct NativeHistories(Arc<Mutex<(HistoryReader, Flag)>>);

#[napi]
impl NativeHistories {
    /// Opens a file or a pipe; standard input without a path.
    #[napi(constructor, catch_unwind)]
    pub fn new(path: Option<String>, run: &NativeRun) -> Result<Self> {
        let cancel = run.flag();
        let reader = match path {
            Some(path) => HistoryReader::open(Path::new(&path), &cancel),
            None => HistoryReader::stdin(&cancel),
        };
        reader.into_node().map(|reader| Self(Arc::new(Mutex::new((reader, cancel)))))
    }

    /// The histories that come next, as soon as there is one; none at the end.
    #[napi(catch_unwind, ts_return_type = "Promise<Array<NativeHistory>>")]
    pub fn next<'env>(&self, env: &'env Env) -> Result<Promise<'env>> {
        let reader = Arc::clone(&self.0);
        promise(
            env,
            waiting(),
            move || reader.lock().unwrap_or_else(PoisonError::into_inner).0.next_histories().into_node(),
            |histories: Vec<HistoryLine>| histories.into_iter().map(NativeHistory::from).collect::<Vec<_>>(),
        )
    }

    /// The first key so far that a line has and nobody reads.
    #[napi(catch_unwind)]
    pub fn skipped(&self) -> Result<Option<NativeSkippedKey>> {
        let reader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(reader.0.skipped().cloned().map(|SkippedKey { key, line }| NativeSkippedKey { key, line: line as f64 }))
    }
}

impl From<HistoryLine> for NativeHistory {
    fn from(HistoryLine { user, items, allow, deny }: HistoryLine) -> Self {
        Self { user, items, allow, deny }
    }
}
