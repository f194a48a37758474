//! What everything else stands on: errors, options, random numbers, files, memory, cancelling. It knows nothing of
//! recommendations.

pub(crate) mod atomic_file;
pub(crate) mod calls;
pub(crate) mod cancel;
pub(crate) mod compute;
pub(crate) mod cuda;
pub(crate) mod date;
pub(crate) mod error;
pub(crate) mod file_bytes;
pub(crate) mod file_lock;
pub(crate) mod free_memory;
pub(crate) mod matrix;
pub(crate) mod memory;
pub(crate) mod numbers;
pub(crate) mod options;
pub(crate) mod processor;
pub(crate) mod progress;
pub(crate) mod random;
pub(crate) mod regular_file;
pub(crate) mod search_space;
pub(crate) mod steps;
#[cfg(feature = "candle")]
pub(crate) mod tensors;
pub(crate) mod threads;
