//! A stream that comes in pieces of any size, cut into its messages.

use std::ops::Range;

use super::MARKER;
use super::flat::Table;
use crate::base::error::{Error, Result};

/// What is wrong with metadata whose references lead nowhere.
pub(super) const OUTSIDE: &str = "its metadata point outside of themselves";

/// The metadata of a message.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    /// `MetadataVersion`: 3 for version 4, 4 for version 5.
    pub(super) version: i16,
    /// Which table it is, see [`super::header`].
    pub(super) kind: u8,
    pub(super) table: Table<'a>,
    /// Bytes of the metadata.
    pub(super) len: usize,
}

/// What takes a message: its number from 0, itself, its body.
pub(super) type Take<'a> = dyn FnMut(u64, &Message<'_>, &[u8]) -> Result<()> + 'a;

/// Cuts a stream into messages. Memory: one message.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The beginning of a message whose end has not come.
    held: Vec<u8>,
    n_messages: u64,
    ended: bool,
}

/// How far the bytes at hand go.
enum Frame {
    /// They must be that many before more is known.
    Short(usize),
    /// A message.
    Whole { metadata: Range<usize>, body: Range<usize> },
    /// The end of the stream, of that many bytes.
    End(usize),
}

impl Frames {
    /// Takes the next bytes of the stream, and hands out each message that they complete.
    pub(super) fn push(&mut self, mut bytes: &[u8], take: &mut Take<'_>) -> Result<()> {
        while !bytes.is_empty() {
            if self.ended {
                return Err(self.malformed("there are bytes behind its end"));
            }
            let source = if self.held.is_empty() { bytes } else { &self.held };
            match frame(source).map_err(|what| self.malformed(what))? {
                Frame::Short(needed) => {
                    let (taken, rest) = bytes.split_at(bytes.len().min(needed - self.held.len()));
                    self.held.extend_from_slice(taken);
                    bytes = rest;
                    // What was held may be whole now; then nothing is left to wait for.
                    if bytes.is_empty() {
                        self.take_held(take)?;
                    }
                }
                Frame::Whole { metadata, body } if self.held.is_empty() => {
                    self.message(&bytes[metadata], &bytes[body.clone()], take)?;
                    bytes = &bytes[body.end..];
                }
                Frame::End(len) if self.held.is_empty() => {
                    self.ended = true;
                    bytes = &bytes[len..];
                }
                _ => self.take_held(take)?,
            }
        }
        Ok(())
    }

    /// Fails if the stream was cut off; `has_schema`: whether its schema has come.
    pub(super) fn finish(&self, has_schema: bool) -> Result<()> {
        if !self.held.is_empty() {
            return Err(self.malformed("it is cut off"));
        }
        if has_schema { Ok(()) } else { Err(self.malformed("it has no schema")) }
    }

    /// Handles what is held if it is whole.
    fn take_held(&mut self, take: &mut Take<'_>) -> Result<()> {
        match frame(&self.held).map_err(|what| self.malformed(what))? {
            Frame::Short(_) => return Ok(()),
            Frame::End(_) => self.ended = true,
            Frame::Whole { metadata, body } => {
                let held = std::mem::take(&mut self.held);
                self.message(&held[metadata], &held[body], take)?;
                self.held = held;
            }
        }
        self.held.clear();
        Ok(())
    }

    fn message(&mut self, metadata: &[u8], body: &[u8], take: &mut Take<'_>) -> Result<()> {
        let broken = || self.malformed(OUTSIDE);
        let message = Table::root(metadata).ok_or_else(broken)?;
        let (version, kind) = (message.i16(0, 0).ok_or_else(broken)?, message.u8(1).ok_or_else(broken)?);
        if !(3..=4).contains(&version) {
            return Err(self.malformed(&format!("its version is {}; allowed: 4 and 5", i32::from(version) + 1)));
        }
        let table = message.table(2).flatten().ok_or_else(broken)?;
        take(self.n_messages, &Message { version, kind, table, len: metadata.len() }, body)?;
        self.n_messages += 1;
        Ok(())
    }

    fn malformed(&self, what: &str) -> Error {
        malformed(self.n_messages, what)
    }
}

/// The error of a message that makes no sense.
pub(super) fn malformed(message: u64, what: &str) -> Error {
    Error::invalid_data(format!("the Arrow stream is broken at message {message}: {what}"))
}

/// How far a message goes that starts here; what is wrong if none does.
fn frame(bytes: &[u8]) -> Result<Frame, &'static str> {
    let Some((start, rest)) = bytes.split_first_chunk::<4>() else { return Ok(Frame::Short(4)) };
    if *start != MARKER {
        return Err(match bytes.starts_with(b"ARRO") {
            true => {
                "it is an Arrow file; allowed: the streaming format (pyarrow.ipc.new_stream, tableToIPC(…, 'stream'))"
            }
            false => "no message starts here; allowed: the Arrow IPC streaming format",
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
