//! Interactions out of a file: CSV, TSV, NDJSON, Arrow and the forms of published data, plain or compressed by gzip or
//! Zstandard.
//!
//! One row is one interaction: a user id, an item id and, where asked for, a value. Rows are streamed, so memory is
//! bounded by the result. Each format is a function from a byte stream to calls of an [`InteractionsBuilder`], which
//! knows nothing of files; the formats know nothing of compression.

pub(crate) mod arrow;
mod columns;
mod delimited;
mod formats;
mod histories;
pub(crate) mod input;
mod json_values;
mod lines;
mod lists;
mod ndjson;
mod netflix;
mod otto;
mod plan;
mod recognise;
mod rows;
mod zstd;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

pub use arrow::{ArrowHistories, ArrowHistory, ArrowReader};
pub use columns::{ColumnRows, TimeColumn};
pub(crate) use delimited::columns;
use formats::Shape;
pub use formats::{Encoding, Escape, Format, LAYOUTS, Layout, Quote, TimeUnit};
pub use histories::{HistoryLine, HistoryLines, HistoryReader, SkippedKey};
use input::{Input, Latin1, begins_with_mark, decoded, unmarked};
use plan::Plan;
pub use plan::ReadOptions;
use plan::check;
use recognise::{plain_name, recognised};
pub(crate) use rows::{Dialect, Rows};

use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
pub use crate::data::ids::LONGEST_ID;
use crate::data::interactions::{Interactions, InteractionsBuilder, Thresholds};
use crate::data::shard::Shard;

/// A row or line of more bytes is taken for an accident too, before it fills the memory: a gigabyte of one comes out of
/// a megabyte of gzip.
pub const LONGEST_ROW: u64 = 1 << 20;

/// The finite number that a text is.
fn finite(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok().filter(|number: &f64| number.is_finite())
}

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

/// The same of several files, as if their rows stood in one: those of the first file come first. Each has a header of
/// its own where the format has one; an empty file among several, as programs that write in parts leave them, has no
/// rows. The path `-` is standard input.
///
/// # Errors
/// As [`read_interactions_until`], and `INVALID_ARGUMENT` if there is no file.
pub fn read_files_until(
    paths: &[PathBuf],
    options: &ReadOptions,
    thresholds: &Thresholds,
    cancel: &Cancel,
) -> Result<Interactions> {
    read_shard_until(paths, options, thresholds, None, cancel)
}

/// The same of the users of a shard, if there is one: no others are kept in memory, unless there are thresholds, which
/// only all users together can meet.
///
/// # Errors
/// As [`read_files_until`].
pub fn read_shard_until(
    paths: &[PathBuf],
    options: &ReadOptions,
    thresholds: &Thresholds,
    shard: Option<Shard>,
    cancel: &Cancel,
) -> Result<Interactions> {
    check(options)?;
    let plans = plans(paths, options)?;
    if paths.is_empty() {
        return Err(Error::invalid_argument("files", "none", "one or more"));
    }
    let mut builder = InteractionsBuilder::new().of_shard(thresholds.allow(shard));
    for (path, plan) in paths.iter().zip(plans) {
        let (path, input) = open(path, cancel)?;
        let read = read_into(path, input, &plan, paths.len() > 1, Some(&mut builder));
        cancel.check()?;
        read?;
    }
    finish(builder, (paths.len() == 1).then(|| &*paths[0]), options, thresholds)
}

/// The same of a byte stream that errors call `name`, such as the body of a response. The option `format` says what it
/// is, unless the name does.
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
    let read = read(name, input, format, options, thresholds);
    cancel.check()?;
    read
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

/// Looks at every row of files, and at no id and no value: for files that another reader, which may guess, is to read
/// as what their names or the options say they are. That reader knows no format of published data.
///
/// # Errors
/// As [`read_interactions_until`], and `INVALID_DATA` where a column or a key has a name twice.
pub fn check_files_until(paths: &[PathBuf], options: &ReadOptions, cancel: &Cancel) -> Result<()> {
    check(options)?;
    for path in paths {
        let plan = Plan::new(options, options.format.map_or_else(|| format_of(path), Ok)?)?;
        let (path, input) = open(path, cancel)?;
        let checked = read_into(path, input, &plan, paths.len() > 1, None);
        cancel.check()?;
        checked?;
    }
    Ok(())
}

/// The files of a published data set among some, such as those of a folder. If the options name a format, they are
/// those that have its names; otherwise those of which name or header leave no doubt, where all of them are of one
/// format and the options say nothing of columns and fields. `None` if there are none.
#[must_use]
pub fn published_files(paths: &[PathBuf], options: &ReadOptions) -> Option<(Format, Vec<PathBuf>)> {
    if let Some(format) = options.format {
        let found: Vec<_> = paths.iter().filter(|path| format.layout().is_published_as(path)).cloned().collect();
        return (!found.is_empty()).then_some((format, found));
    }
    if !options.leaves_format_open() {
        return None;
    }
    let found: Vec<_> = paths.iter().filter_map(|path| Some((recognised(path)?, path.clone()))).collect();
    let (first, _) = *found.first()?;
    let is_one = found.iter().all(|(format, _)| *format == first);
    is_one.then(|| (first, found.into_iter().map(|(_, path)| path).collect()))
}

/// How each file is to be read.
fn plans(paths: &[PathBuf], options: &ReadOptions) -> Result<Vec<Plan>> {
    let all = options.format.or_else(|| {
        let (format, found) = published_files(paths, options)?;
        (found.len() == paths.len()).then_some(format)
    });
    paths.iter().map(|path| Plan::new(options, all.map_or_else(|| format_of(path), Ok)?)).collect()
}

/// What errors call standard input.
const STDIN: &str = "stdin";

/// Opens a file, or standard input for `-`, with the path that errors name.
fn open<'a>(path: &'a Path, cancel: &Cancel) -> Result<(&'a Path, Input)> {
    let (path, input) = match path.to_str() {
        Some("-") => (Path::new(STDIN), Input::stdin(cancel)),
        _ => (path, Input::open(path, cancel)),
    };
    Ok((path, input.map_err(|source| Error::io("read", path, source))?))
}

/// The same files for a reader that knows no byte order mark: those that begin with one are copied into the folder, as
/// plain text and without it.
///
/// # Errors
/// `IO` if a file cannot be read or the copy be written, `INVALID_DATA` if what is compressed is broken, and
/// `CANCELLED`.
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
    read_into(path, input, &Plan::new(options, format)?, false, Some(&mut builder))?;
    finish(builder, Some(path), options, thresholds)
}

/// Adds the rows of a byte stream, or looks at them where there is no builder. `may_be_empty`: also without a header.
fn read_into(
    path: &Path,
    input: impl Read + Send,
    plan: &Plan,
    may_be_empty: bool,
    builder: Option<&mut InteractionsBuilder>,
) -> Result<()> {
    let fail = |error| read_error(path, None, error);
    let mut input = decoded(input).map_err(fail)?;
    if may_be_empty && input.fill_buf().map_err(fail)?.is_empty() {
        return Ok(());
    }
    if plan.shape == Shape::Arrow {
        return arrow::parse(path, input, plan, builder.unwrap_or(&mut InteractionsBuilder::new()));
    }
    let mut input = unmarked(input).map_err(fail)?;
    if may_be_empty && input.fill_buf().map_err(fail)?.is_empty() {
        return Ok(());
    }
    match plan.encoding {
        Encoding::Utf8 => parse(path, input, plan, builder),
        Encoding::Latin1 => parse(path, BufReader::with_capacity(BUFFER, Latin1::new(input)), plan, builder),
    }
}

/// The same of text.
fn parse(path: &Path, input: impl BufRead, plan: &Plan, builder: Option<&mut InteractionsBuilder>) -> Result<()> {
    match (plan.shape, builder) {
        (Shape::Fields, Some(builder)) => delimited::parse(path, input, plan, builder),
        (Shape::Fields, None) => delimited::check(path, input, plan),
        (Shape::Objects, Some(builder)) => ndjson::parse(path, input, plan, builder),
        (Shape::Objects, None) => ndjson::check(path, input),
        (Shape::Lists, builder) => lists::parse(path, input, plan, builder.unwrap_or(&mut InteractionsBuilder::new())),
        (Shape::Netflix, builder) => {
            netflix::parse(path, input, plan, builder.unwrap_or(&mut InteractionsBuilder::new()))
        }
        (Shape::Otto | Shape::Arrow, builder) => {
            otto::parse(path, input, plan, builder.unwrap_or(&mut InteractionsBuilder::new()))
        }
    }
}

/// Makes the matrix. `path` is what errors call the input, if it has one name.
fn finish(
    builder: InteractionsBuilder,
    path: Option<&Path>,
    options: &ReadOptions,
    thresholds: &Thresholds,
) -> Result<Interactions> {
    let fail =
        |message: String| Error::InvalidData { path: path.map(Path::to_owned), line: None, column: None, message };
    if builder.n_rows() == 0 {
        return Err(fail("there are no rows; allowed: one per interaction".into()));
    }
    let read = builder.finish(thresholds).map_err(|error| match error {
        Error::InvalidData { message, .. } => fail(message),
        other => other,
    })?;
    Ok(if options.part.is_some() { read.with_parts() } else { read })
}

/// The format that the ending of a name says.
fn format_of(path: &Path) -> Result<Format> {
    let name = plain_name(path).to_lowercase();
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("csv") => Ok(Format::Csv),
        Some("tsv") => Ok(Format::Tsv),
        Some("ndjson" | "jsonl") => Ok(Format::Ndjson),
        Some("arrow" | "arrows" | "feather" | "ipc") => Ok(Format::Arrow),
        _ => Err(Error::invalid_argument(
            "format",
            format!("not clear from the name '{}'", path.display()),
            "a name in .csv, .tsv, .ndjson, .jsonl, .arrow, .arrows, .feather or .ipc (or these with .gz or .zst), or the option \
             format: csv, tsv, ndjson, arrow, adjacency or that of a data set",
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
fn id<'a>(
    path: &Path,
    at: impl Fn() -> (Option<u64>, u64),
    name: impl fmt::Display,
    field: &'a [u8],
) -> Result<&'a str> {
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
        Err(_) => fail(format!("{name} is '{}'; allowed: UTF-8", start_of(field))),
    }
}
