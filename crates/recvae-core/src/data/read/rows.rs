//! Rows of fields in text, strictly by a grammar: RFC 4180 for CSV, where what it does not allow is refused, in any
//! column.
//!
//! A field of CSV either has no quote in it, or it begins and ends with one, and quotes inside are doubled (or, as an
//! option, stand behind a backslash). So a quote that nobody closed cannot swallow rows in silence: sooner or later
//! text follows a closing quote, or the input ends. In TSV a quote is a character like any other (IANA
//! text/tab-separated-values). A line ends with LF, CRLF or CR, and blank lines are no rows. Fields may be separated by
//! any text.
//!
//! Source: RFC 4180, section 2.

use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use memchr::{memchr_iter, memchr2, memchr3, memmem};

use super::{BUFFER, Escape, LONGEST_ROW, bad, read_error};
use crate::base::error::{Error, Result};

const QUOTE: u8 = b'"';
const BACKSLASH: u8 = b'\\';

/// How fields are separated and quoted.
#[derive(Clone, Debug)]
pub(crate) struct Dialect {
    /// What stands between two fields: one byte or more.
    separator: Box<[u8]>,
    /// How a quote in a quoted field is written; none where quotes have no meaning.
    quotes: Option<Escape>,
}

impl Dialect {
    pub(crate) fn csv(escape: Escape) -> Self {
        Self::new(",", Some(escape))
    }

    pub(super) fn new(separator: &str, quotes: Option<Escape>) -> Self {
        Self { separator: separator.as_bytes().into(), quotes }
    }
}

/// Reads rows one at a time. Memory: a row and a block.
pub(crate) struct Rows<R> {
    path: PathBuf,
    input: R,
    dialect: Dialect,
    /// What was read and not given out yet, up to `filled`.
    buffer: Vec<u8>,
    filled: usize,
    /// Where the row begins, and how long it is with the end of its line. Its fields count from there.
    row: usize,
    length: usize,
    fields: Vec<Range<usize>>,
    /// The line on which the row begins, and the one behind it.
    line: u64,
    next_line: u64,
    /// Where the quote was opened in which the reading is: line and column.
    opened: Option<(u64, u64)>,
    /// How many fields the first row has, and so all.
    width: Option<usize>,
    /// Whether the first row names the columns.
    has_header: bool,
    /// Whether nothing can be read behind what was refused.
    is_over: bool,
    /// Where within a row it was refused before its end was found.
    refused_at: Option<usize>,
}

impl<R: Read> Rows<R> {
    /// `path` is what errors call the input.
    pub(crate) fn new(path: &Path, input: R, dialect: Dialect, has_header: bool) -> Self {
        Self {
            path: path.to_owned(),
            input,
            dialect,
            buffer: Vec::new(),
            filled: 0,
            row: 0,
            length: 0,
            fields: Vec::new(),
            line: 1,
            next_line: 1,
            opened: None,
            width: None,
            has_header,
            is_over: false,
            refused_at: None,
        }
    }

    /// Reads the next row, which must be as wide as the first one; false at the end.
    pub(crate) fn next(&mut self) -> Result<bool> {
        self.row += self.length;
        (self.length, self.line) = (0, self.next_line);
        (self.is_over, self.refused_at) = (true, None);
        while let Some(b'\n' | b'\r') = self.byte(0)? {
            self.row += self.line_end(0)?;
            self.line += 1;
        }
        self.next_line = self.line;
        self.fields.clear();
        if self.byte(0)?.is_none() {
            return Ok(false);
        }
        let end = match self.plain_end()? {
            Some(end) => end,
            None => self.quoted_row()?,
        };
        if end as u64 > LONGEST_ROW {
            return Err(self.too_long());
        }
        self.length = end + self.line_end(end)?;
        self.next_line += 1;
        self.is_over = false;
        let (n, width) = (self.fields.len(), *self.width.get_or_insert(self.fields.len()));
        if n != width {
            let fields = if n == 1 { "field" } else { "fields" };
            let first = if self.has_header { "header" } else { "first row" };
            return Err(self.bad(None, format!("the row has {n} {fields}; allowed: {width}, as in the {first}")));
        }
        Ok(true)
    }

    /// Makes the next row begin behind the line in which this one was refused, and gives back how many lines it took;
    /// `None` where nobody knows where a row begins.
    pub(super) fn skip(&mut self) -> Result<Option<u64>> {
        if let Some(mut end) = self.refused_at.take() {
            while !matches!(self.byte(end)?, None | Some(b'\n' | b'\r')) {
                end += 1;
            }
            // An open quote has counted the end of the line behind which the input ends.
            let is_counted = self.byte(end)?.is_none()
                && self.opened.is_some()
                && end > 0
                && matches!(self.buffer[self.row + end - 1], b'\n' | b'\r');
            self.length = end + self.line_end(end)?;
            self.next_line += u64::from(!is_counted);
            (self.is_over, self.opened) = (false, None);
        }
        Ok((!self.is_over).then_some(self.next_line - self.line))
    }

    /// Number of fields of the row.
    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    /// A field of the row, without its quotes.
    pub(crate) fn field(&self, column: usize) -> &[u8] {
        let field = &self.fields[column];
        &self.buffer[self.row + field.start..self.row + field.end]
    }

    /// The line on which the row begins.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// An error of the row, or of a column of it, counted from 0.
    pub(crate) fn bad(&self, column: Option<usize>, message: impl Into<String>) -> Error {
        bad(&self.path, Some(self.line), column.map(|column| column as u64 + 1), message)
    }

    /// Finds the fields of a row without quotes and gives back where its line ends; `None` if it has a quote.
    fn plain_end(&mut self) -> Result<Option<usize>> {
        let mut looked = 0;
        let end = loop {
            let rest = &self.buffer[self.row + looked..self.filled];
            let found = match self.dialect.quotes {
                Some(_) => memchr3(b'\n', b'\r', QUOTE, rest),
                None => memchr2(b'\n', b'\r', rest),
            };
            match found {
                Some(at) if self.dialect.quotes.is_some() && rest[at] == QUOTE => return Ok(None),
                Some(at) => break looked + at,
                None => looked += rest.len(),
            }
            if !self.fill()? {
                break looked;
            }
        };
        let (row, mut start) = (&self.buffer[self.row..self.row + end], 0);
        let mut push = |at, length| {
            self.fields.push(start..at);
            start = at + length;
        };
        match &*self.dialect.separator {
            &[byte] => memchr_iter(byte, row).for_each(|at| push(at, 1)),
            separator => memmem::find_iter(row, separator).for_each(|at| push(at, separator.len())),
        }
        push(end, 0);
        Ok(Some(end))
    }

    /// Finds the fields of a row with quotes and gives back where its last line ends. What is quoted moves together,
    /// over its own escapes.
    fn quoted_row(&mut self) -> Result<usize> {
        let mut at = 0;
        loop {
            let (field, next) = match self.byte(at)? {
                Some(QUOTE) => self.quoted_field(at + 1)?,
                _ => self.plain_field(at)?,
            };
            self.fields.push(field);
            if !self.is_separator(next)? {
                return Ok(next);
            }
            at = next + self.dialect.separator.len();
        }
    }

    /// A field that begins here with no quote, and where it ends.
    fn plain_field(&mut self, start: usize) -> Result<(Range<usize>, usize)> {
        let mut at = start;
        loop {
            match self.byte(at)? {
                Some(QUOTE) => {
                    self.refused_at = Some(at);
                    let column = self.fields.len() as u64 + 1;
                    let message = "there is a quote inside a field that does not begin with one; allowed: a field in quotes, \
                        with quotes inside it doubled (RFC 4180)";
                    return Err(bad(&self.path, Some(self.next_line), Some(column), message));
                }
                None | Some(b'\n' | b'\r') => return Ok((start..at, at)),
                Some(byte) if self.dialect.separator.first() == Some(&byte) && self.is_separator(at)? => {
                    return Ok((start..at, at));
                }
                Some(_) => at += 1,
            }
        }
    }

    /// A field whose quote was opened before `start`, and where the quotes end.
    fn quoted_field(&mut self, start: usize) -> Result<(Range<usize>, usize)> {
        self.opened = Some((self.next_line, self.fields.len() as u64 + 1));
        let backslash = self.dialect.quotes == Some(Escape::Backslash);
        let (mut at, mut end) = (start, start);
        loop {
            let Some(byte) = self.byte(at)? else {
                self.refused_at = Some(at);
                return Err(self.left_open("the input ends"));
            };
            let next = if byte == QUOTE || byte == BACKSLASH || byte == b'\r' { self.byte(at + 1)? } else { None };
            let (kept, length) = match (byte, next) {
                (QUOTE, Some(QUOTE)) if !backslash => (QUOTE, 2),
                (QUOTE, _) => break,
                (BACKSLASH, Some(next @ (QUOTE | BACKSLASH))) if backslash => (next, 2),
                _ => (byte, 1),
            };
            self.next_line += u64::from(byte == b'\n' || byte == b'\r' && next != Some(b'\n'));
            let row = self.row;
            self.buffer[row + end] = kept;
            (at, end) = (at + length, end + 1);
        }
        match self.byte(at + 1)? {
            None | Some(b'\n' | b'\r') => {}
            Some(_) if self.is_separator(at + 1)? => {}
            Some(_) => {
                self.refused_at = Some(at + 1);
                return Err(self.left_open("text follows a closing quote"));
            }
        }
        self.opened = None;
        Ok((start..end, at + 1))
    }

    /// Whether fields are separated there.
    fn is_separator(&mut self, at: usize) -> Result<bool> {
        for place in 0..self.dialect.separator.len() {
            if self.byte(at + place)? != Some(self.dialect.separator[place]) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The length of a line end; 0 at the end of the input.
    fn line_end(&mut self, at: usize) -> Result<usize> {
        Ok(match self.byte(at)? {
            None => 0,
            Some(b'\r') => 1 + usize::from(self.byte(at + 1)? == Some(b'\n')),
            Some(_) => 1,
        })
    }

    /// A byte of the row or behind it; `None` behind the end of the input.
    #[inline]
    fn byte(&mut self, at: usize) -> Result<Option<u8>> {
        while self.row + at >= self.filled {
            if !self.fill()? {
                return Ok(None);
            }
        }
        Ok(Some(self.buffer[self.row + at]))
    }

    /// Reads more behind what is there, after the rows that were given out have made room; false at the end of the
    /// input.
    #[cold]
    fn fill(&mut self) -> Result<bool> {
        if (self.filled - self.row) as u64 > LONGEST_ROW {
            return Err(self.too_long());
        }
        self.buffer.copy_within(self.row..self.filled, 0);
        self.filled -= self.row;
        self.row = 0;
        if self.buffer.len() - self.filled < BUFFER / 2 {
            self.buffer.resize(self.filled + BUFFER, 0);
        }
        let n = loop {
            match self.input.read(&mut self.buffer[self.filled..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result.map_err(|error| read_error(&self.path, Some(self.next_line), error))?,
            }
        };
        self.filled += n;
        Ok(n > 0)
    }

    fn too_long(&self) -> Error {
        match self.opened {
            Some(_) => self.left_open(&format!("the row is longer than {LONGEST_ROW} bytes")),
            None => self.bad(None, format!("the row is longer than {LONGEST_ROW} bytes; allowed: less")),
        }
    }

    /// The error for what shows that a quote was left open, or one inside was not escaped.
    fn left_open(&self, what: &str) -> Error {
        let (line, column) = self.opened.unwrap_or((self.line, 1));
        let (inside, other) = match self.dialect.quotes {
            Some(Escape::Backslash) => ("behind a backslash", ""),
            _ => ("doubled (RFC 4180)", ", or the option escape: backslash"),
        };
        let message = format!(
            "a quote is opened here, and {what}; allowed: a closing quote at the end of the field, and quotes inside it \
             {inside}{other}"
        );
        bad(&self.path, Some(line), Some(column), message)
    }
}
