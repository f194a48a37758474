//! An Arrow stream in pieces of any size, to interactions.

use std::collections::BTreeMap;

use super::flat::Table;
use super::frames::{Frames, Message, OUTSIDE, malformed};
use super::header;
use super::layout::{Kind, Layout, Parts};
use super::schema::{Column, Schema};
use crate::base::error::{Error, Result};
use crate::base::options::Options;
use crate::data::batches::RowFilter;
use crate::data::interactions::{Interactions, InteractionsBuilder, Thresholds};
use crate::data::read::{Format, ReadOptions, check_as};

/// Texts or numbers that indices point to: the body of a message and where they lie in it.
#[derive(Debug)]
struct Segment {
    body: Vec<u8>,
    layout: Layout,
}

/// The segments of a dictionary, one after the other.
#[derive(Debug, Default)]
struct Dictionary {
    segments: Vec<Segment>,
    /// How many entries there are up to the end of each segment.
    ends: Vec<usize>,
}

impl Dictionary {
    /// Takes another segment, in place of all others unless it is a delta. `None` if there are too many entries.
    fn push(&mut self, segment: Segment, is_delta: bool) -> Option<()> {
        if !is_delta {
            *self = Self::default();
        }
        self.ends.push(self.ends.last().unwrap_or(&0).checked_add(segment.layout.len)?);
        self.segments.push(segment);
        Some(())
    }

    /// The segment that holds an entry, and the entry's place in it.
    fn find(&self, entry: usize) -> Option<(&Segment, usize)> {
        let at = self.ends.partition_point(|&end| end <= entry);
        let segment = self.segments.get(at)?;
        Some((segment, entry - (self.ends[at] - segment.layout.len)))
    }
}

/// Nothing is said of text, which an Arrow stream is not.
fn check_no_text(options: &ReadOptions) -> Result<()> {
    let ReadOptions { user, item, value, min_value, .. } = options.clone();
    let (given, plain) =
        (options.to_json(), ReadOptions { user, item, value, min_value, ..ReadOptions::default() }.to_json());
    for option in ReadOptions::describe() {
        if given[&option.name] != plain[&option.name] {
            let got = given[&option.name]
                .as_str()
                .map_or_else(|| given[&option.name].to_string(), |text| format!("'{text}'"));
            return Err(Error::invalid_argument(option.name, got, "none for an Arrow stream"));
        }
    }
    Ok(())
}

/// Reads a stream that comes in pieces. Memory: the interactions, their dictionaries, and one message.
#[derive(Debug)]
pub struct ArrowReader {
    options: ReadOptions,
    filter: RowFilter,
    thresholds: Thresholds,
    builder: InteractionsBuilder,
    frames: Frames,
    schema: Option<Schema>,
    dictionaries: BTreeMap<i64, Dictionary>,
    /// How many bytes the users' ids and the items' may still have where they are text. Views may share their bytes, so that
    /// texts could be far longer together than what came: all new ones of a stream have no more bytes than came for them.
    text_left: [usize; 2],
    /// The number of the message at hand.
    n_messages: u64,
    n_rows: u64,
}

impl ArrowReader {
    /// Waits for the first bytes. `options` name the columns; ids may be text or whole numbers.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the options contradict each other or give a format.
    pub fn new(options: ReadOptions, thresholds: Thresholds) -> Result<Self> {
        check_as(&options, Format::Csv)?;
        check_no_text(&options)?;
        Ok(Self {
            filter: RowFilter { min_value: options.min_value, since: None, until: None },
            options,
            thresholds,
            builder: InteractionsBuilder::new(),
            frames: Frames::default(),
            schema: None,
            dictionaries: BTreeMap::new(),
            text_left: [0; 2],
            n_messages: 0,
            n_rows: 0,
        })
    }

    /// Takes the next bytes of the stream.
    ///
    /// # Errors
    /// `INVALID_DATA` if they are no Arrow stream, a column is missing or of a type that is not read, an id is null, empty or
    /// not UTF-8, or a value null or NaN. Rows are counted from 0 over the whole stream.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let mut frames = std::mem::take(&mut self.frames);
        let pushed = frames.push(bytes, &mut |number, message, body| {
            self.n_messages = number;
            self.message(message, body)
        });
        self.frames = frames;
        pushed
    }

    /// Makes the matrix and applies the thresholds.
    ///
    /// # Errors
    /// `INVALID_DATA` if the stream was cut off, nothing is left, or there were 2^32 - 1 users or items or more.
    pub fn finish(self) -> Result<Interactions> {
        self.frames.finish(self.schema.is_some())?;
        self.builder.finish(&self.thresholds)
    }

    fn malformed(&self, what: &str) -> Error {
        malformed(self.n_messages, what)
    }

    fn message(&mut self, message: &Message<'_>, body: &[u8]) -> Result<()> {
        let Message { version, kind, table, len } = *message;
        match kind {
            header::SCHEMA if self.schema.is_none() => {
                let broken = || self.malformed(OUTSIDE);
                self.schema =
                    Some(Schema::read(&self.options, version, &table, len).map_err(|e| e.unwrap_or_else(broken))?);
            }
            header::DICTIONARY_BATCH => self.dictionary(&table, body)?,
            header::RECORD_BATCH => self.rows(&table, body)?,
            _ => return Err(self.malformed("it is neither the schema nor a dictionary nor rows")),
        }
        Ok(())
    }

    fn dictionary(&mut self, table: &Table<'_>, body: &[u8]) -> Result<()> {
        let broken = || self.malformed(OUTSIDE);
        let schema = self.schema.as_ref().ok_or_else(|| self.malformed("it comes before the schema"))?;
        let id = table.i64(0).ok_or_else(broken)?;
        let is_delta = table.u8(2).ok_or_else(broken)? != 0;
        let columns = [&schema.user, &schema.item];
        let is_ours = columns.map(|column| column.dictionary.is_some_and(|(own, _)| own == id));
        let Some(column) = is_ours.iter().position(|&ours| ours) else {
            return Ok(()); // of a column that is not wanted
        };
        let kind = columns[column].kind;
        let batch = table.table(1).flatten().ok_or_else(broken)?;
        let nodes = [kind.buffers()];
        let layout = Parts::read(&batch, body.len(), &nodes)
            .and_then(|parts| parts.layout(0, kind, body))
            .map_err(|what| self.malformed(what))?;
        for (left, _) in self.text_left.iter_mut().zip(is_ours).filter(|(_, ours)| *ours) {
            *left = left.saturating_add(body.len());
        }
        let segment = Segment { body: body.to_vec(), layout };
        let taken = self.dictionaries.entry(id).or_default().push(segment, is_delta);
        taken.ok_or_else(|| self.malformed("its dictionary has too many entries"))
    }

    fn rows(&mut self, table: &Table<'_>, body: &[u8]) -> Result<()> {
        let schema = self.schema.as_ref().ok_or_else(|| self.malformed("it comes before the schema"))?;
        let parts = Parts::read(table, body.len(), &schema.nodes).map_err(|what| self.malformed(what))?;
        let open = |column: &Column| {
            let kind = column.dictionary.map_or(column.kind, |(_, index)| index);
            let layout = parts.layout(column.node, kind, body).map_err(|what| self.malformed(what))?;
            if layout.len as u64 != parts.n_rows {
                return Err(self.malformed("a column has another number of rows than the batch"));
            }
            Ok(layout)
        };
        let (users, items) = (open(&schema.user)?, open(&schema.item)?);
        let values = schema.value.as_ref().map(open).transpose()?;
        let source = |column: &Column, layout: Layout, name: String| Source {
            name,
            dictionary: column.dictionary.map(|(id, _)| self.dictionaries.get(&id)),
            layout,
        };
        let users = source(&schema.user, users, self.options.user.clone());
        let items = source(&schema.item, items, self.options.item.clone());
        let mut text_left = self.text_left.map(|left| left.saturating_add(body.len()));
        let is_text = [schema.user.kind, schema.item.kind].map(Kind::is_text);
        let (mut user_digits, mut item_digits) = (String::new(), String::new());
        for row in 0..users.layout.len {
            let bad = |name: &str, what: &str| {
                Error::invalid_data(format!("{name} in row {} of the Arrow stream is {what}", self.n_rows + row as u64))
            };
            let user = users.id(body, row, &mut user_digits).map_err(|what| bad(&users.name, &what))?;
            let item = items.id(body, row, &mut item_digits).map_err(|what| bad(&items.name, &what))?;
            let value = values.as_ref().map(|layout| layout.number(body, row)).transpose();
            let value = value.map_err(|what| bad(self.options.value.as_deref().unwrap_or_default(), &what))?;
            if !self.filter.passes(value, None) {
                self.builder.skip_below();
                continue;
            }
            let before = self.builder.n_ids();
            self.builder.push(user, item);
            let after = self.builder.n_ids();
            for (side, id) in [user, item].into_iter().enumerate() {
                if is_text[side] && after[side] > before[side] {
                    let Some(left) = text_left[side].checked_sub(id.len()) else {
                        return Err(self.malformed("its texts overlap"));
                    };
                    text_left[side] = left;
                }
            }
        }
        self.text_left = text_left;
        self.n_rows += users.layout.len as u64;
        Ok(())
    }
}

/// A column of ids in a batch.
struct Source<'a> {
    name: String,
    /// The dictionary that it points into, if it does; the inner `None` if none has come.
    dictionary: Option<Option<&'a Dictionary>>,
    layout: Layout,
}

impl Source<'_> {
    fn id<'a>(&'a self, body: &'a [u8], row: usize, digits: &'a mut String) -> Result<&'a str, String> {
        let Some(dictionary) = self.dictionary else { return self.layout.id(body, row, digits) };
        let index = self.layout.whole(body, row).ok_or("null; allowed: an id")?;
        let found = usize::try_from(index).ok().and_then(|entry| dictionary?.find(entry));
        let (Segment { body, layout }, at) =
            found.ok_or_else(|| format!("number {index} of a dictionary that has fewer entries"))?;
        layout.id(body, at, digits)
    }
}
