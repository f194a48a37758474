//! Arrow IPC, as a stream and as a file: interactions as bytes, of whatever else speaks Arrow.
//!
//! A stream is a row of messages: 4 bytes of marker, 4 of length, metadata as a flatbuffer, then a body. The first one
//! is the schema, the others are dictionaries and batches of rows, whose body holds the columns' buffers one after the
//! other, as they are or each compressed for itself. A file is a stream between a mark and a footer, and is read from
//! front to back as well, so that it may come through a pipe. Only what interactions need is read: columns of text,
//! numbers and times, with or without a dictionary, and items in lists; or whole histories, with lists of what may
//! come. The columns beside them may have any type; their buffers are skipped.
//!
//! The reader expects anything: every offset and length is checked before it is used, nothing is allocated for what a
//! header merely claims, and memory stays in proportion to the bytes that came and that came out of compressed buffers.
//! That is why it is written here, in 1,900 lines and with one more dependency (`lz4_flex`): on streams with a few
//! bytes altered, one in six, the `arrow-ipc` crate (60.1) panics, its features `lz4` and `zstd` bring 16 crates that
//! are not needed otherwise, one of them in C, and it costs two minutes of compiling.
//!
//! Source: <https://arrow.apache.org/docs/format/Columnar.html> (version 1.5) with `Message.fbs` and `Schema.fbs` of
//! the same project, <https://flatbuffers.dev/internals> for the metadata.

mod compression;
mod flat;
mod frames;
mod histories;
mod layout;
mod rows;
mod schema;
mod stream;

pub use histories::{ArrowHistories, ArrowHistory};
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
