//! A stream or a file that comes in pieces of any size, cut into its messages.

use std::borrow::Cow;
use std::ops::Range;

use super::MARKER;
use super::flat::Table;
use crate::base::error::{Error, Result};

/// Begins and ends a file; two bytes of padding follow at its beginning.
pub(super) const FILE: &[u8; 6] = b"ARROW1";

/// What is wrong with metadata whose references lead nowhere.
pub(super) const OUTSIDE: &str = "its metadata point outside of themselves";
const NO_MESSAGE: &str = "no message starts here; allowed: the Arrow IPC streaming or file format";

/// What bytes are pushed into, and messages come out of. Memory: one message.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The beginning of a message whose end has not come.
    held: Vec<u8>,
    pub(super) is_file: bool,
    /// How many messages have been read.
    pub(super) n_messages: u64,
    ended: bool,
}

/// What comes out.
pub(super) enum Piece<'a> {
    Message(Whole<'a>),
    /// A part of what follows the end of the stream in a file.
    Footer(Cow<'a, [u8]>),
}

/// A message.
pub(super) struct Whole<'a> {
    bytes: Cow<'a, [u8]>,
    metadata: Range<usize>,
    body: Range<usize>,
}

impl Whole<'_> {
    pub(super) fn metadata(&self) -> &[u8] {
        &self.bytes[self.metadata.clone()]
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.bytes[self.body.clone()]
    }
}

/// The metadata of a message.
pub(super) struct Message<'a> {
    /// `MetadataVersion`: 3 for version 4, 4 for version 5.
    pub(super) version: i16,
    /// Which table it is, see [`super::header`].
    pub(super) kind: u8,
    pub(super) table: Table<'a>,
}

/// How far the bytes at hand go.
enum Frame {
    /// They must be that many before more is known.
    Short(usize),
    /// The beginning of a file, of that many bytes.
    File(usize),
    /// A message.
    Whole { metadata: Range<usize>, body: Range<usize> },
    /// The end of the stream, of that many bytes.
    End(usize),
}

impl Frames {
    /// The next piece of what was held and `bytes`, which become those behind it; `None` if more must come.
    pub(super) fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Option<Piece<'a>>> {
        loop {
            let is_held = !self.held.is_empty();
            if !is_held && bytes.is_empty() {
                return Ok(None);
            }
            if self.ended {
                if !self.is_file {
                    return Err(self.malformed("there are bytes behind its end"));
                }
                let footer = if is_held { std::mem::take(&mut self.held).into() } else { std::mem::take(bytes).into() };
                return Ok(Some(Piece::Footer(footer)));
            }
            let source = if is_held { &self.held } else { *bytes };
            match self.frame(source).map_err(|what| self.malformed(what))? {
                Frame::Short(_) if bytes.is_empty() => return Ok(None),
                Frame::Short(needed) => {
                    let (taken, rest) = bytes.split_at(bytes.len().min(needed - self.held.len()));
                    self.held.extend_from_slice(taken);
                    *bytes = rest;
                }
                Frame::File(len) => {
                    self.is_file = true;
                    self.skip(len, bytes);
                }
                Frame::End(len) => {
                    self.ended = true;
                    self.skip(len, bytes);
                }
                Frame::Whole { metadata, body } => {
                    let whole = if is_held {
                        std::mem::take(&mut self.held).into()
                    } else {
                        let (whole, rest) = bytes.split_at(body.end);
                        *bytes = rest;
                        whole.into()
                    };
                    return Ok(Some(Piece::Message(Whole { bytes: whole, metadata, body })));
                }
            }
        }
    }

    /// Leaves out as many of the bytes at hand.
    fn skip(&mut self, len: usize, bytes: &mut &[u8]) {
        if self.held.is_empty() {
            *bytes = &bytes[len..];
        } else {
            self.held.drain(..len);
        }
    }

    /// Fails if a message has begun that has not ended.
    pub(super) fn end(&self) -> Result<()> {
        if self.held.is_empty() { Ok(()) } else { Err(self.malformed("it is cut off")) }
    }

    /// Opens the metadata of a message.
    pub(super) fn open<'a>(&self, metadata: &'a [u8]) -> Result<Message<'a>> {
        let broken = || self.malformed(OUTSIDE);
        let message = Table::root(metadata).ok_or_else(broken)?;
        let (version, kind) = (message.i16(0, 0).ok_or_else(broken)?, message.u8(1).ok_or_else(broken)?);
        if !(3..=4).contains(&version) {
            return Err(self.malformed(format!("its version is {}; allowed: 4 and 5", i32::from(version) + 1)));
        }
        let table = message.table(2).flatten().ok_or_else(broken)?;
        Ok(Message { version, kind, table })
    }

    /// What messages call the whole.
    pub(super) fn name(&self) -> &'static str {
        if self.is_file { "Arrow file" } else { "Arrow stream" }
    }

    /// The error of a message that makes no sense.
    pub(super) fn malformed(&self, what: impl std::fmt::Display) -> Error {
        Error::invalid_data(format!("the {} is broken at message {}: {what}", self.name(), self.n_messages))
    }

    /// How far a message goes that starts here; what is wrong if none does.
    fn frame(&self, bytes: &[u8]) -> Result<Frame, &'static str> {
        let Some((start, rest)) = bytes.split_first_chunk::<4>() else { return Ok(Frame::Short(4)) };
        if *start != MARKER {
            // The end of the stream may be missing in a file; a footer does not begin with the marker.
            if self.is_file {
                return Ok(Frame::End(0));
            }
            if self.n_messages == 0 && FILE.starts_with(start) {
                return match bytes.len() {
                    0..8 => Ok(Frame::Short(8)),
                    _ if bytes.starts_with(FILE) => Ok(Frame::File(8)),
                    _ => Err(NO_MESSAGE),
                };
            }
            return Err(if start == b"FEA1" {
                "it is a Feather file of version 1; allowed: version 2"
            } else {
                NO_MESSAGE
            });
        }
        let Some(len) = rest.first_chunk::<4>() else { return Ok(Frame::Short(8)) };
        let len = u32::from_le_bytes(*len) as usize;
        if len == 0 {
            return Ok(Frame::End(8));
        }
        let metadata = 8..8 + len;
        let Some(table) = bytes.get(metadata.clone()) else { return Ok(Frame::Short(metadata.end)) };
        let body = Table::root(table).and_then(|message| message.i64(3)).and_then(|len| usize::try_from(len).ok());
        let end = body.and_then(|len| metadata.end.checked_add(len)).ok_or("the length of its body makes no sense")?;
        Ok(match bytes.len() < end {
            true => Frame::Short(end),
            false => Frame::Whole { body: metadata.end..end, metadata },
        })
    }
}
