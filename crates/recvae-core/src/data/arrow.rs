//! Interactions and results as an Arrow IPC stream, for whatever else speaks Arrow; `read/arrow.rs` reads such streams.

mod flat;
mod tables;
mod write;

pub use tables::ArrowTable;
