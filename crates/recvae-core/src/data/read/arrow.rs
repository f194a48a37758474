//! The Arrow IPC streaming format: interactions in and out as bytes, for whatever else speaks Arrow.
//!
//! A stream is a row of messages: 4 bytes of marker, 4 of length, metadata as a flatbuffer, then a body. The first one is
//! the schema, the others are dictionaries and batches of rows, whose body holds the columns' buffers one after the other.
//! Only what interactions need is read and written: columns of text and numbers, with or without a dictionary. The columns
//! beside them may have any type; their buffers are skipped.
//!
//! The reader expects anything: every offset and length is checked before it is used, nothing is allocated for what a header
//! merely claims, and memory stays in proportion to the bytes that came. That is why it is written here: on streams with a
//! few bytes altered, one in six, the `arrow-ipc` crate (60.1) panics, and it costs two minutes of compiling.
//!
//! Source: <https://arrow.apache.org/docs/format/Columnar.html> (version 1.5) with `Message.fbs` and `Schema.fbs` of the same
//! project, <https://flatbuffers.dev/internals> for the metadata.

mod compression;
mod flat;
mod layout;
mod schema;
mod stream;

pub use stream::ArrowReader;
pub(super) use stream::parse;

/// Starts every message.
pub(crate) const MARKER: [u8; 4] = [0xff; 4];

/// Which table a message is (`MessageHeader`).
pub(crate) mod header {
    pub(crate) const SCHEMA: u8 = 1;
    pub(crate) const DICTIONARY_BATCH: u8 = 2;
    pub(crate) const RECORD_BATCH: u8 = 3;
}

/// Which table a type is (`Type`).
pub(crate) mod types {
    pub(crate) const NULL: u8 = 1;
    pub(crate) const INT: u8 = 2;
    pub(crate) const FLOATING_POINT: u8 = 3;
    pub(crate) const BINARY: u8 = 4;
    pub(crate) const UTF8: u8 = 5;
    pub(crate) const DECIMAL: u8 = 7;
    pub(crate) const DATE: u8 = 8;
    pub(crate) const TIMESTAMP: u8 = 10;
    pub(crate) const LIST: u8 = 12;
    pub(crate) const STRUCT: u8 = 13;
    pub(crate) const UNION: u8 = 14;
    pub(crate) const FIXED_SIZE_LIST: u8 = 16;
    pub(crate) const MAP: u8 = 17;
    pub(crate) const LARGE_BINARY: u8 = 19;
    pub(crate) const LARGE_UTF8: u8 = 20;
    pub(crate) const LARGE_LIST: u8 = 21;
    pub(crate) const RUN_END_ENCODED: u8 = 22;
    pub(crate) const BINARY_VIEW: u8 = 23;
    pub(crate) const UTF8_VIEW: u8 = 24;
    pub(crate) const LIST_VIEW: u8 = 25;
    pub(crate) const LARGE_LIST_VIEW: u8 = 26;

    /// Names, for messages.
    pub(crate) const NAMES: [&str; 27] = [
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
