//! One error type for the whole core.
//!
//! Every message says what was wrong, the value that was found and what is allowed. [`Error::code`] groups the
//! variants the way a caller reacts to them; the binding hands the code to JavaScript unchanged.

use std::path::{Path, PathBuf};

/// What a function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    // ---- the caller's mistakes ----
    /// An option, argument or name lies outside what is allowed.
    #[error("{name} is {got}; allowed: {allowed}")]
    InvalidArgument {
        /// The option or argument, in the caller's spelling.
        name: String,
        /// The value that was given.
        got: String,
        /// What would have been accepted.
        allowed: String,
    },

    // ---- bad data ----
    /// A data file or a batch of rows cannot be understood.
    #[error("{}{message}", Location(.path.as_deref(), *.line, *.column))]
    InvalidData {
        /// The file, where there is one.
        path: Option<PathBuf>,
        /// Line in the (decompressed) file, the first one is 1.
        line: Option<u64>,
        /// Column of the row, the first one is 1.
        column: Option<u64>,
        /// What was found and what was expected.
        message: String,
    },
    /// A model file or a checkpoint is truncated, altered, of another program or of a newer version.
    #[error("{}: {message}", path.display())]
    InvalidModelFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },

    // ---- arithmetic ----
    /// The factorisation, the loss or a score is not a finite number.
    #[error("{0}")]
    Numerical(String),

    // ---- the machine ----
    /// A fit would take more memory than there is, see [`crate::MemoryEstimate`].
    #[error("{0}")]
    Memory(String),

    // ---- the caller's wish ----
    /// The call was asked to stop, see [`crate::Cancel`].
    #[error("cancelled")]
    Cancelled,

    // ---- wrapped ----
    /// The operating system refused a file operation.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// "read", "write", "create" …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// An invariant of this crate does not hold: a bug.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// The group of this error: `INVALID_ARGUMENT`, `INVALID_DATA`, `INVALID_MODEL_FILE`, `NUMERICAL`,
    /// `MEMORY`, `CANCELLED`, `IO` or `INTERNAL`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidArgument { .. } => "INVALID_ARGUMENT",
            Self::InvalidData { .. } => "INVALID_DATA",
            Self::InvalidModelFile { .. } => "INVALID_MODEL_FILE",
            Self::Numerical(_) => "NUMERICAL",
            Self::Memory(_) => "MEMORY",
            Self::Cancelled => "CANCELLED",
            Self::Io { .. } => "IO",
            Self::Internal(_) => "INTERNAL",
        }
    }

    /// `name` was `got` where only `allowed` is accepted.
    pub fn invalid_argument(name: impl Into<String>, got: impl std::fmt::Display, allowed: impl Into<String>) -> Self {
        Self::InvalidArgument { name: name.into(), got: got.to_string(), allowed: allowed.into() }
    }

    /// Data that did not come from a file cannot be used.
    pub fn invalid_data(message: impl Into<String>) -> Self {
        Self::InvalidData { path: None, line: None, column: None, message: message.into() }
    }

    /// A file operation failed.
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { action, path: path.as_ref().to_owned(), source }
    }
}

/// `path:line:column: `, as far as they are known.
struct Location<'a>(Option<&'a Path>, Option<u64>, Option<u64>);

impl std::fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(path, line, column) = self;
        match (path, line) {
            (Some(path), Some(line)) => write!(f, "{}:{line}", path.display())?,
            (Some(path), None) => write!(f, "{}", path.display())?,
            (None, Some(line)) => write!(f, "line {line}")?,
            (None, None) => return Ok(()),
        }
        if let Some(column) = column {
            write!(f, ":{column}")?;
        }
        f.write_str(": ")
    }
}
