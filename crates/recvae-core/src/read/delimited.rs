//! CSV and TSV: a header line that names the columns, then one row per line.

use std::io::{self, Read};
use std::path::Path;

use csv::{ByteRecord, ErrorKind, Position, Reader, ReaderBuilder};

use super::{BUFFER, LONGEST_ROW, ReadOptions, bad, id, read_error, start_of};
use crate::error::{Error, Result};
use crate::interactions::InteractionsBuilder;

/// Reads all rows into the builder.
pub(super) fn parse(
    path: &Path,
    input: impl Read,
    delimiter: u8,
    options: &ReadOptions,
    builder: &mut InteractionsBuilder,
) -> Result<()> {
    let mut reader = reader(input, delimiter);
    let mut names = vec![("user", options.user.as_str()), ("item", &options.item)];
    names.extend(options.value.as_deref().map(|value| ("value", value)));
    let columns = columns(path, &mut reader, &names)?;
    let (user, item, value) = (columns[0], columns[1], columns.get(2));
    let mut record = ByteRecord::new();
    while next_record(path, &mut reader, &mut record)? {
        let at = |column: usize| (line_of(&reader, record.position()), column as u64 + 1);
        for column in [user, item] {
            if record[column].contains(&b'\n') {
                let start = record[column].split(|&byte| byte == b'\n' || byte == b'\r').next().unwrap_or_default();
                let start = String::from_utf8_lossy(&start[..start.len().min(40)]);
                let (line, column) = at(column);
                let message = format!("an id runs over the end of the line, from '{start}'; is a quote left open?");
                return Err(bad(path, line, Some(column), message));
            }
        }
        let user = id(path, || at(user), &options.user, &record[user])?;
        let item = id(path, || at(item), &options.item, &record[item])?;
        match value {
            None => builder.push(user, item),
            Some(&column) => {
                let field = record[column].trim_ascii();
                let number = std::str::from_utf8(field).ok().and_then(|text| text.parse().ok());
                let Some(number) = number.filter(|number: &f64| number.is_finite()) else {
                    let got = String::from_utf8_lossy(&field[..field.len().min(80)]);
                    let (line, column) = at(column);
                    let message = format!("{} is '{got}'; allowed: a finite number", names[2].1);
                    return Err(bad(path, line, Some(column), message));
                };
                builder.push_value(user, item, number, options.min_value);
            }
        }
    }
    Ok(())
}

/// A reader of rows that must all be as wide as the header.
pub(crate) fn reader<R: Read>(input: R, delimiter: u8) -> Reader<Tape<R>> {
    let tape = Tape { input, block: Vec::new(), previous: Vec::new(), start: 0, row: 0 };
    ReaderBuilder::new().delimiter(delimiter).quoting(delimiter != b'\t').buffer_capacity(BUFFER).from_reader(tape)
}

/// Reads the header and finds each `(option, column name)` in it. The option is the one that renames the column; empty if
/// there is none.
pub(crate) fn columns<R: Read>(
    path: &Path,
    reader: &mut Reader<Tape<R>>,
    names: &[(&str, &str)],
) -> Result<Vec<usize>> {
    let header = match reader.byte_headers().cloned() {
        Ok(header) => header,
        Err(error) => return Err(csv_error(path, reader, error)),
    };
    if header.is_empty() {
        return Err(bad(path, None, None, "the file is empty; allowed: a header line and rows"));
    }
    let found = || {
        let names: Vec<_> = header.iter().map(|name| format!("'{}'", start_of(name))).collect();
        let more = names.len().saturating_sub(20);
        let list = names[..names.len() - more].join(", ");
        if more > 0 { format!("{list} and {more} more") } else { list }
    };
    let find = |&(option, name): &(&str, &str)| {
        let hint = |text| if option.is_empty() { String::new() } else { format!("{text} the option {option}") };
        let mut columns = (0..header.len()).filter(|&column| &header[column] == name.as_bytes());
        match (columns.next(), columns.next()) {
            (Some(column), None) => Ok(column),
            (None, _) => {
                let help = format!("there is no column '{name}' among {}{}", found(), hint("; name it by"));
                Err(bad(path, Some(1), None, help))
            }
            (Some(_), Some(second)) => {
                let help = format!("column '{name}' occurs twice; allowed: once{}", hint(", or another one by"));
                Err(bad(path, Some(1), Some(second as u64 + 1), help))
            }
        }
    };
    names.iter().map(find).collect()
}

/// Reads the next row; false at the end.
pub(crate) fn next_record<R: Read>(path: &Path, reader: &mut Reader<Tape<R>>, record: &mut ByteRecord) -> Result<bool> {
    reader.get_mut().row = reader.position().byte();
    reader.read_byte_record(record).map_err(|error| csv_error(path, reader, error))
}

fn csv_error<R: Read>(path: &Path, reader: &Reader<Tape<R>>, error: csv::Error) -> Error {
    let line = line_of(reader, error.position());
    if reader.get_ref().is_too_long() {
        let message = format!("the row is longer than {LONGEST_ROW} bytes; allowed: less (is a quote left open?)");
        return bad(path, Some(reader.position().line()), None, message);
    }
    match error.into_kind() {
        ErrorKind::Io(source) => read_error(path, Some(reader.position().line()), source),
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let fields = if len == 1 { "field" } else { "fields" };
            bad(path, line, None, format!("the row has {len} {fields}; allowed: {expected_len}, as in the header"))
        }
        other => bad(path, line, None, format!("{other:?}")),
    }
}

/// The line on which a row starts.
///
/// The parser's own answer is the end of the row before, ahead of the blank lines between and, after CRLF, ahead of the
/// LF. So the line ends from there on are counted, on the tape.
pub(crate) fn line_of<R: Read>(reader: &Reader<Tape<R>>, position: Option<&Position>) -> Option<u64> {
    let position = position?;
    let ends = reader.get_ref().since(position.byte()).take_while(|byte| matches!(byte, b'\r' | b'\n'));
    Some(position.line() + ends.filter(|&byte| byte == b'\n').count() as u64)
}

/// Remembers the last two blocks that were read, in which a row starts unless it is longer than a block.
pub(crate) struct Tape<R> {
    input: R,
    block: Vec<u8>,
    previous: Vec<u8>,
    /// Offset of `block` in the input.
    start: u64,
    /// Offset of the row that is being read.
    row: u64,
}

impl<R> Tape<R> {
    /// Whether what was read of a row is more than a row may have, and a block, which may have come with its start.
    fn is_too_long(&self) -> bool {
        self.start + self.block.len() as u64 - self.row > LONGEST_ROW + BUFFER as u64
    }

    /// The bytes from an offset on; none if they were forgotten.
    fn since(&self, offset: u64) -> impl Iterator<Item = u8> {
        let known = self.previous.iter().chain(&self.block);
        let skip = (offset + self.previous.len() as u64).checked_sub(self.start);
        known.skip(skip.map_or(usize::MAX, |skip| skip as usize)).copied()
    }
}

impl<R: Read> Read for Tape<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_too_long() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let n = self.input.read(buffer)?;
        if n > 0 {
            self.start += self.block.len() as u64;
            std::mem::swap(&mut self.block, &mut self.previous);
            self.block.clear();
            self.block.extend_from_slice(&buffer[..n]);
        }
        Ok(n)
    }
}
