//! Interactions as an Arrow IPC stream, for whatever else speaks Arrow; `read/arrow.rs` reads them.

mod flat;
mod write;
