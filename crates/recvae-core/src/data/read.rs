//! Interactions out of a file: CSV, TSV or NDJSON, plain or compressed by gzip or Zstandard.
//!
//! One row is one interaction: a user id, an item id and, where asked for, a value. Rows are streamed, so memory is
//! bounded by the result. Each format is a function from a byte stream to calls of an [`InteractionsBuilder`], which
//! knows nothing of files; the formats know nothing of compression.

mod delimited;
mod histories;
mod input;
mod ndjson;
mod rows;
mod zstd;

use std::fs::{self, File};
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

pub(crate) use delimited::columns;
pub use histories::{HistoryLine, HistoryLines, HistoryReader};
use input::{Input, begins_with_mark, decoded, unmarked};
pub(crate) use rows::{Dialect, Rows};

use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
use crate::base::options::{choice, options};
pub use crate::data::ids::LONGEST_ID;
use crate::data::interactions::{Interactions, InteractionsBuilder, Thresholds, check_min_value};

choice! {
    /// How the rows of a file are written.
    pub enum Format {
        /// Comma-separated with a header line, quoted as in RFC 4180; what that does not allow is an error.
        Csv = "csv",
        /// Tab-separated with a header line; a quote is a character like any other (IANA text/tab-separated-values).
        Tsv = "tsv",
        /// One JSON object per line; ids are strings or whole numbers.
        Ndjson = "ndjson",
    }
}

choice! {
    /// How a quote inside a quoted field of CSV is written.
    pub enum Escape {
        /// Twice, as in RFC 4180.
        Quote = "quote",
        /// Behind a backslash, as Spark and others do; two backslashes are one, and before other characters one is itself.
        Backslash = "backslash",
    }
}

impl std::str::FromStr for Format {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        [Self::Csv, Self::Tsv, Self::Ndjson]
            .into_iter()
            .find(|format| format.word() == word)
            .ok_or_else(|| Error::invalid_argument("format", format!("'{word}'"), "csv, tsv or ndjson"))
    }
}

options! {
    /// What to read out of a file.
    pub struct ReadOptions for "read", check = check {
        /// The format. Without it the file's name says it: `.csv`, `.tsv`, `.ndjson` or `.jsonl`, with `.gz` or `.zst` behind
        /// it or not. Whether the file is compressed is seen from its first bytes, never from its name.
        format: Option<Format> = None, Any;
        /// How a quote inside a quoted field of CSV is written: `quote`, twice as in RFC 4180, or `backslash`, behind one.
        escape: Escape = Escape::Quote, Any;
        /// Column (or JSON key) of the user ids.
        user: String = "user".into(), Any;
        /// Column (or JSON key) of the item ids.
        item: String = "item".into(), Any;
        /// Column (or JSON key) of a number, such as a rating, that every row must have. It changes nothing without minValue:
        /// every row counts alike.
        value: Option<String> = None, Any;
        /// Rows whose value is lower are left out as if they were not there. Only with value.
        min_value: Option<f64> = None, Any;
    }
}

/// The options do not contradict each other.
pub(crate) fn check(options: &ReadOptions) -> Result<()> {
    check_min_value(options.min_value, options.value.is_some(), "the option value, which names its column")?;
    if let Some(format) = options.format {
        check_escape(options, format)?;
    }
    let value = options.value.as_deref();
    if options.user == options.item {
        return Err(Error::invalid_argument("item", format!("'{}'", options.item), "a column other than user"));
    }
    if value == Some(&options.user) || value == Some(&options.item) {
        let value = value.unwrap_or_default();
        return Err(Error::invalid_argument("value", format!("'{value}'"), "a column other than user and item"));
    }
    Ok(())
}

/// Escapes are for the one format that has quotes.
fn check_escape(options: &ReadOptions, format: Format) -> Result<()> {
    if options.escape == Escape::Quote || format == Format::Csv {
        return Ok(());
    }
    let escape = format!("'{}'", options.escape.word());
    Err(Error::invalid_argument("escape", escape, format!("only for csv (the format is {})", format.word())))
}

/// A row or line of more bytes is taken for an accident too, before it fills the memory: a gigabyte of one comes out of a megabyte
/// of gzip.
pub const LONGEST_ROW: u64 = 1 << 20;

/// The start of a name or a value, for messages.
pub(crate) fn start_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned()
}

/// Bytes that are read at once.
const BUFFER: usize = 1 << 18;

/// Reads the interactions in a file.
///
/// # Errors
/// `INVALID_ARGUMENT` if the options contradict each other or the format is not known. `IO` if the file cannot be
/// read. `INVALID_DATA`, with file, line and column where there are such, if a column is missing, a row cannot be
/// understood, an id is empty, a value is not a number, the gzip stream is broken, or no interaction is left.
pub fn read_interactions(
    path: impl AsRef<Path>,
    options: &ReadOptions,
    thresholds: &Thresholds,
) -> Result<Interactions> {
    read_interactions_until(path, options, thresholds, &Cancel::default())
}

/// The same unless it is stopped, within a block of the file.
///
/// # Errors
/// As [`read_interactions`], and `CANCELLED`.
pub fn read_interactions_until(
    path: impl AsRef<Path>,
    options: &ReadOptions,
    thresholds: &Thresholds,
    cancel: &Cancel,
) -> Result<Interactions> {
    read_files_until(&[path.as_ref().to_owned()], options, thresholds, cancel)
}

/// The same of several files, as if their rows stood in one: those of the first file come first. Each has a header of its
/// own where the format has one; an empty file among several, as programs that write in parts leave them, has no rows.
///
/// # Errors
/// As [`read_interactions_until`], and `INVALID_ARGUMENT` if there is no file.
pub fn read_files_until(
    paths: &[PathBuf],
    options: &ReadOptions,
    thresholds: &Thresholds,
    cancel: &Cancel,
) -> Result<Interactions> {
    check(options)?;
    let formats = paths.iter().map(|path| {
        let format = options.format.map_or_else(|| format_of(path), Ok)?;
        check_escape(options, format).map(|()| format)
    });
    let formats: Vec<Format> = formats.collect::<Result<_>>()?;
    if paths.is_empty() {
        return Err(Error::invalid_argument("files", "none", "one or more"));
    }
    let mut builder = InteractionsBuilder::new();
    for (path, format) in paths.iter().zip(formats) {
        let input = Input::open(path, cancel).map_err(|e| Error::io("read", path, e))?;
        let read = read_into(path, input, format, options, paths.len() > 1, Some(&mut builder));
        cancel.check()?;
        read?;
    }
    finish(builder, (paths.len() == 1).then(|| &*paths[0]), thresholds)
}

/// The same of a byte stream that errors call `name`, such as the body of a response. The option `format` says what it is, unless
/// the name does.
///
/// # Errors
/// As [`read_interactions_until`].
pub fn read_stream_until(
    name: &Path,
    input: impl Read + Send,
    options: &ReadOptions,
    thresholds: &Thresholds,
    cancel: &Cancel,
) -> Result<Interactions> {
    check(options)?;
    let format = options.format.map_or_else(|| format_of(name), Ok)?;
    check_escape(options, format)?;
    let read = read(name, input, format, options, thresholds);
    cancel.check()?;
    read
}

/// The same of standard input, from where it is.
///
/// # Errors
/// As [`read_stream_until`].
pub fn read_stdin_until(options: &ReadOptions, thresholds: &Thresholds, cancel: &Cancel) -> Result<Interactions> {
    let name = Path::new("stdin");
    let input = Input::stdin(cancel).map_err(|source| Error::io("read", name, source))?;
    read_stream_until(name, input, options, thresholds, cancel)
}

/// The first line of a text file that is not blank, plain or compressed, without the blanks around it, as far as a row
/// may be long; none if there is none.
///
/// # Errors
/// `IO` if it cannot be read, `INVALID_DATA` if what is compressed is broken, and `CANCELLED`.
pub fn first_line_until(path: &Path, cancel: &Cancel) -> Result<Option<String>> {
    let fail = |error| cancel.check().err().unwrap_or_else(|| read_error(path, None, error));
    let input = Input::open(path, cancel).map_err(fail)?;
    let mut input = unmarked(decoded(input).map_err(fail)?).map_err(fail)?.take(LONGEST_ROW);
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line).map_err(fail)? == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&line);
        if !text.trim().is_empty() {
            return Ok(Some(text.trim().to_owned()));
        }
    }
}

/// Looks at every row of files as [`read_files_until`] does, and at no id and no value: for files that another reader, which
/// may guess, is to read.
///
/// # Errors
/// As [`read_files_until`], and `INVALID_DATA` where a column or a key has a name twice.
pub fn check_files_until(paths: &[PathBuf], options: &ReadOptions, cancel: &Cancel) -> Result<()> {
    check(options)?;
    for path in paths {
        let format = options.format.map_or_else(|| format_of(path), Ok)?;
        check_escape(options, format)?;
        let input = Input::open(path, cancel).map_err(|e| Error::io("read", path, e))?;
        let checked = read_into(path, input, format, options, paths.len() > 1, None);
        cancel.check()?;
        checked?;
    }
    Ok(())
}

/// The same files for a reader that knows no byte order mark: those that begin with one are copied into the folder, as plain
/// text and without it.
///
/// # Errors
/// `IO` if a file cannot be read or the copy be written, `INVALID_DATA` if what is compressed is broken, and `CANCELLED`.
pub fn without_marks_until(paths: &[PathBuf], folder: &Path, cancel: &Cancel) -> Result<Vec<PathBuf>> {
    let without_mark = |(number, path): (usize, &PathBuf)| {
        let fail = |error| cancel.check().err().unwrap_or_else(|| read_error(path, None, error));
        let mut input = decoded(Input::open(path, cancel).map_err(fail)?).map_err(fail)?;
        if !begins_with_mark(&mut input).map_err(fail)? {
            return Ok(path.clone());
        }
        let copy = folder.join(format!("{number}.ndjson"));
        let written = fs::create_dir_all(folder).and_then(|()| File::create(&copy));
        let mut written = written.map_err(|source| Error::io("write", &copy, source))?;
        io::copy(&mut input, &mut written).map_err(fail)?;
        Ok(copy)
    };
    paths.iter().enumerate().map(without_mark).collect()
}

/// Reads from any byte stream; `path` is what errors call it.
pub(crate) fn read(
    path: &Path,
    input: impl Read + Send,
    format: Format,
    options: &ReadOptions,
    thresholds: &Thresholds,
) -> Result<Interactions> {
    let mut builder = InteractionsBuilder::new();
    read_into(path, input, format, options, false, Some(&mut builder))?;
    finish(builder, Some(path), thresholds)
}

/// Adds the rows of a byte stream, or looks at them where there is no builder. `may_be_empty`: also without a header.
fn read_into(
    path: &Path,
    input: impl Read + Send,
    format: Format,
    options: &ReadOptions,
    may_be_empty: bool,
    builder: Option<&mut InteractionsBuilder>,
) -> Result<()> {
    let fail = |error| read_error(path, None, error);
    let mut input = decoded(input).map_err(fail)?;
    if may_be_empty && input.fill_buf().map_err(fail)?.is_empty() {
        return Ok(());
    }
    let input = unmarked(input).map_err(fail)?;
    let dialect = match format {
        Format::Csv => Dialect::csv(options.escape),
        Format::Tsv => Dialect::tsv(),
        Format::Ndjson => {
            return match builder {
                Some(builder) => ndjson::parse(path, input, options, builder),
                None => ndjson::check(path, input),
            };
        }
    };
    match builder {
        Some(builder) => delimited::parse(path, input, dialect, options, builder),
        None => delimited::check(path, input, dialect),
    }
}

/// Makes the matrix. `path` is what errors call the input, if it has one name.
fn finish(builder: InteractionsBuilder, path: Option<&Path>, thresholds: &Thresholds) -> Result<Interactions> {
    let fail =
        |message: String| Error::InvalidData { path: path.map(Path::to_owned), line: None, column: None, message };
    if builder.n_rows() == 0 {
        return Err(fail("there are no rows; allowed: one per interaction".into()));
    }
    builder.finish(thresholds).map_err(|error| match error {
        Error::InvalidData { message, .. } => fail(message),
        other => other,
    })
}

fn format_of(path: &Path) -> Result<Format> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = [".gz", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("csv") => Ok(Format::Csv),
        Some("tsv") => Ok(Format::Tsv),
        Some("ndjson" | "jsonl") => Ok(Format::Ndjson),
        _ => Err(Error::invalid_argument(
            "format",
            format!("not clear from the name '{}'", path.display()),
            "a name in .csv, .tsv, .ndjson or .jsonl (or these with .gz or .zst), or the option format: csv, tsv or ndjson",
        )),
    }
}

/// Data in a file that cannot be understood.
pub(crate) fn bad(path: &Path, line: Option<u64>, column: Option<u64>, message: impl Into<String>) -> Error {
    Error::InvalidData { path: Some(path.to_owned()), line, column, message: message.into() }
}

/// What a failed read means: broken compression, or a refusal of the operating system.
pub(crate) fn read_error(path: &Path, line: Option<u64>, source: io::Error) -> Error {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match source.kind() {
        InvalidData | InvalidInput | UnexpectedEof => {
            let text = source.to_string();
            let (compression, what) = text.split_once("zstd: ").map_or(("gzip", &*text), |(_, what)| ("zstd", what));
            bad(path, line, None, format!("the {compression} stream is broken or cut off: {what}"))
        }
        _ => Error::io("read", path, source),
    }
}

/// The id in a field; `at` says its line and column.
fn id<'a>(path: &Path, at: impl Fn() -> (Option<u64>, u64), name: &str, field: &'a [u8]) -> Result<&'a str> {
    let fail = |message| {
        let (line, column) = at();
        Err(bad(path, line, Some(column), message))
    };
    match std::str::from_utf8(field) {
        Ok("") => fail(format!("{name} is empty; allowed: an id")),
        Ok(id) if id.len() > LONGEST_ID => {
            fail(format!("{name} has {} bytes; allowed: at most {LONGEST_ID}", id.len()))
        }
        Ok(id) => Ok(id),
        Err(_) => {
            fail(format!("{name} is '{}'; allowed: UTF-8", String::from_utf8_lossy(&field[..field.len().min(80)])))
        }
    }
}
