//! The Arrow IPC streaming format: interactions in and out as bytes, for whatever else speaks Arrow.
//!
//! A stream is a row of messages: 4 bytes of marker, 4 of length, metadata as a flatbuffer, then a body. The first one is
//! the schema, the others are dictionaries and batches of rows, whose body holds the columns' buffers one after the other.
//! Only what interactions, histories and results need is read and written: columns of text and numbers, with or without a
//! dictionary, and lists of them. The columns beside them may have any type; their buffers are skipped.
//!
//! The reader expects anything: every offset and length is checked before it is used, nothing is allocated for what a header
//! merely claims, and memory stays in proportion to the bytes that came. That is why it is written here: on streams with a
//! few bytes altered, one in six, the `arrow-ipc` crate (60.1) panics, and it costs two minutes of compiling.
//!
//! Source: <https://arrow.apache.org/docs/format/Columnar.html> (version 1.5) with `Message.fbs` and `Schema.fbs` of the same
//! project, <https://flatbuffers.dev/internals> for the metadata.

mod flat;
mod frames;
mod layout;
mod lists;
mod read;
mod schema;
mod tables;
mod write;

pub use lists::{ArrowHistories, ArrowHistory};
pub use read::ArrowReader;
pub use tables::ArrowTable;

/// Starts every message.
const MARKER: [u8; 4] = [0xff; 4];

/// Which table a message is (`MessageHeader`).
mod header {
    pub(super) const SCHEMA: u8 = 1;
    pub(super) const DICTIONARY_BATCH: u8 = 2;
    pub(super) const RECORD_BATCH: u8 = 3;
}

/// Which table a type is (`Type`).
mod types {
    pub(super) const NULL: u8 = 1;
    pub(super) const INT: u8 = 2;
    pub(super) const FLOATING_POINT: u8 = 3;
    pub(super) const BINARY: u8 = 4;
    pub(super) const UTF8: u8 = 5;
    pub(super) const DECIMAL: u8 = 7;
    pub(super) const LIST: u8 = 12;
    pub(super) const STRUCT: u8 = 13;
    pub(super) const UNION: u8 = 14;
    pub(super) const FIXED_SIZE_LIST: u8 = 16;
    pub(super) const MAP: u8 = 17;
    pub(super) const LARGE_BINARY: u8 = 19;
    pub(super) const LARGE_UTF8: u8 = 20;
    pub(super) const LARGE_LIST: u8 = 21;
    pub(super) const RUN_END_ENCODED: u8 = 22;
    pub(super) const BINARY_VIEW: u8 = 23;
    pub(super) const UTF8_VIEW: u8 = 24;
    pub(super) const LIST_VIEW: u8 = 25;
    pub(super) const LARGE_LIST_VIEW: u8 = 26;

    /// Names, for messages.
    pub(super) const NAMES: [&str; 27] = [
        "none",
        "null",
        "int",
        "float",
        "binary",
        "utf8",
        "bool",
        "decimal",
        "date",
        "time",
        "timestamp",
        "interval",
        "list",
        "struct",
        "union",
        "fixed_size_binary",
        "fixed_size_list",
        "map",
        "duration",
        "large_binary",
        "large_utf8",
        "large_list",
        "run_end_encoded",
        "binary_view",
        "utf8_view",
        "list_view",
        "large_list_view",
    ];
}
