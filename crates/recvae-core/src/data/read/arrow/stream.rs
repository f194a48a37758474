//! An Arrow stream or file in pieces of any size, to interactions.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;

use super::compression::Budget;
use super::flat::Table;
use super::frames::{FILE, Frames, Message, OUTSIDE, Piece};
use super::header;
use super::layout::{Kind, Parts};
use super::rows::{Batch, Dictionary, Refused, Segment, Source, TextBudget};
use super::schema::{Column, Schema};
use crate::base::error::{Error, Result};
use crate::data::interactions::{Interactions, InteractionsBuilder, Thresholds};
use crate::data::read::plan::Plan;
use crate::data::read::{Format, ReadOptions, read_error};

/// What a file ends with: the length of the footer before it, and the mark.
const FOOTER_END: usize = 4 + FILE.len();

/// Reads all bytes of a file into the builder, or looks at them.
pub(in crate::data::read) fn parse(
    path: &Path,
    mut input: impl BufRead,
    plan: &Plan,
    builder: &mut InteractionsBuilder,
) -> Result<()> {
    let named = |error| match error {
        Error::InvalidData { line, column, message, .. } => {
            Error::InvalidData { path: Some(path.to_owned()), line, column, message }
        }
        other => other,
    };
    let mut decoder = Decoder::new(plan.clone());
    loop {
        let piece = input.fill_buf().map_err(|error| read_error(path, None, error))?;
        if piece.is_empty() {
            return decoder.end(builder).map_err(named);
        }
        decoder.push(piece, builder).map_err(named)?;
        let length = piece.len();
        input.consume(length);
    }
}

/// Reads a stream or a file that comes in pieces. Memory: the interactions, their dictionaries, and one message; all
/// messages of a file that has its schema in the footer alone.
#[derive(Debug)]
pub struct ArrowReader {
    decoder: Decoder,
    builder: InteractionsBuilder,
    thresholds: Thresholds,
}

impl ArrowReader {
    /// Waits for the first bytes. `options` name the columns; ids may be text or whole numbers.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the options contradict each other, say something of text or give another format.
    pub fn new(options: ReadOptions, thresholds: Thresholds) -> Result<Self> {
        if let Some(format) = options.format.filter(|format| *format != Format::Arrow) {
            return Err(Error::invalid_argument("format", format!("'{}'", format.word()), "arrow, or none"));
        }
        let decoder = Decoder::new(Plan::new(&options, Format::Arrow)?);
        Ok(Self { decoder, builder: InteractionsBuilder::new(), thresholds })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// `INVALID_DATA` if they are no Arrow stream or file, a column is missing or of a type that is not read, an id is
    /// null, empty or not UTF-8, or a value or a time null or NaN. Rows are counted from 0 over the whole.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.decoder.push(bytes, &mut self.builder)
    }

    /// How many bytes have come out of compressed buffers so far: at most 16 MiB and 256 for each byte that came.
    #[must_use]
    pub fn decompressed(&self) -> usize {
        self.decoder.budget.taken()
    }

    /// Makes the matrix and applies the thresholds.
    ///
    /// # Errors
    /// `INVALID_DATA` if the bytes were cut off, nothing is left, or there were 2^32 - 1 users or items or more.
    pub fn finish(mut self) -> Result<Interactions> {
        self.decoder.end(&mut self.builder)?;
        let read = self.builder.finish(&self.thresholds)?;
        Ok(if self.decoder.plan.has_parts { read.with_parts() } else { read })
    }
}

/// What bytes are pushed into, and rows come out of.
#[derive(Debug)]
struct Decoder {
    plan: Plan,
    frames: Frames,
    schema: Option<Schema>,
    dictionaries: BTreeMap<i64, Dictionary>,
    /// How many bytes may still come out of compressed buffers.
    budget: Budget,
    /// How many bytes the users' ids and the items' may still have where they are text. Views may share their bytes, so
    /// that texts could be far longer together than what came: all new ones of a stream have no more bytes than came
    /// for them.
    text_left: [usize; 2],
    n_rows: u64,
    /// Messages of a file whose schema stands in its footer alone, as apache-arrow for JavaScript writes them; metadata
    /// and body.
    waiting: Vec<(Vec<u8>, Vec<u8>)>,
    /// What follows the end of the stream in a file: how many bytes, and the last of them; all while there is no
    /// schema.
    n_footer: u64,
    footer: Vec<u8>,
}

impl Decoder {
    fn new(plan: Plan) -> Self {
        Self {
            plan,
            frames: Frames::default(),
            schema: None,
            dictionaries: BTreeMap::new(),
            budget: Budget::new(),
            text_left: [0; 2],
            n_rows: 0,
            waiting: Vec::new(),
            n_footer: 0,
            footer: Vec::new(),
        }
    }

    fn push(&mut self, mut bytes: &[u8], builder: &mut InteractionsBuilder) -> Result<()> {
        self.budget.came(bytes.len());
        while let Some(piece) = self.frames.next(&mut bytes)? {
            match piece {
                Piece::Message(whole) => self.message(whole.metadata(), whole.body(), builder)?,
                Piece::Footer(bytes) => self.push_footer(&bytes),
            }
        }
        Ok(())
    }

    /// Takes what follows the end: the footer of a file, of which the last bytes tell whether all has come.
    fn push_footer(&mut self, bytes: &[u8]) {
        self.n_footer += bytes.len() as u64;
        self.footer.extend_from_slice(bytes);
        if self.schema.is_some() {
            self.footer.drain(..self.footer.len().saturating_sub(FOOTER_END));
        }
    }

    /// Whether all has come; reads what waited for the footer.
    fn end(&mut self, builder: &mut InteractionsBuilder) -> Result<()> {
        self.frames.end()?;
        if self.frames.is_file {
            let end = self.footer.len().saturating_sub(FOOTER_END);
            let length = match self.footer[end..].split_first_chunk::<4>() {
                Some((length, mark)) if mark == FILE => u32::from_le_bytes(*length) as usize,
                _ => return Err(self.malformed("it is cut off: its footer is missing")),
            };
            if (length + FOOTER_END) as u64 > self.n_footer {
                return Err(self.malformed("its footer is shorter than it says"));
            }
            if self.schema.is_none() {
                self.schema = Some(self.schema_of(&self.footer[end - length..end])?);
                for (metadata, body) in std::mem::take(&mut self.waiting) {
                    self.message(&metadata, &body, builder)?;
                }
            }
        }
        if self.schema.is_none() {
            return Err(self.malformed("it has no schema"));
        }
        Ok(())
    }

    /// The schema that a footer has.
    fn schema_of(&self, footer: &[u8]) -> Result<Schema> {
        let broken = || self.malformed("its footer points outside of itself");
        let table = Table::root(footer).ok_or_else(broken)?;
        let (version, schema) = (table.i16(0, 0).ok_or_else(broken)?, table.table(1).flatten().ok_or_else(broken)?);
        let schema = Schema::read(&self.plan, version, &schema, footer.len(), self.frames.name());
        schema.map_err(|e| e.unwrap_or_else(broken))
    }

    fn malformed(&self, what: impl std::fmt::Display) -> Error {
        self.frames.malformed(what)
    }

    fn message(&mut self, metadata: &[u8], body: &[u8], builder: &mut InteractionsBuilder) -> Result<()> {
        let Message { version, kind, table } = self.frames.open(metadata)?;
        if self.frames.is_file && self.schema.is_none() && kind != header::SCHEMA {
            self.waiting.push((metadata.to_vec(), body.to_vec()));
            return Ok(());
        }
        match kind {
            header::SCHEMA if self.schema.is_none() => {
                let schema = Schema::read(&self.plan, version, &table, metadata.len(), self.frames.name());
                self.schema = Some(schema.map_err(|e| e.unwrap_or_else(|| self.malformed(OUTSIDE)))?);
            }
            header::DICTIONARY_BATCH => self.dictionary(&table, body)?,
            header::RECORD_BATCH => self.rows(&table, body, builder)?,
            _ => return Err(self.malformed("it is neither the schema nor a dictionary nor rows")),
        }
        self.frames.n_messages += 1;
        Ok(())
    }

    fn dictionary(&mut self, table: &Table<'_>, body: &[u8]) -> Result<()> {
        let broken = || self.malformed(OUTSIDE);
        let schema = self.schema.as_ref().ok_or_else(|| self.malformed("it comes before the schema"))?;
        let id = table.i64(0).ok_or_else(broken)?;
        let is_delta = table.u8(2).ok_or_else(broken)? != 0;
        let columns = [Some(&schema.user), Some(&schema.item), schema.time.as_ref()];
        let is_ours =
            columns.map(|column| column.is_some_and(|column| column.dictionary.is_some_and(|(own, _)| own == id)));
        let Some(column) =
            columns.into_iter().flatten().find(|column| column.dictionary.is_some_and(|(own, _)| own == id))
        else {
            return Ok(()); // of a column that is not wanted
        };
        let kind = column.kind;
        let batch = table.table(1).flatten().ok_or_else(broken)?;
        let nodes = [kind.buffers()];
        let mut parts = Parts::read(&batch, body.len(), &nodes).map_err(|what| self.malformed(what))?;
        let body = parts.decompress(body, &[0], &mut self.budget);
        let body = body.map_err(|what| self.malformed(what))?;
        let layout = parts.layout(0, kind, &body).map_err(|what| self.malformed(what))?;
        for (left, _) in self.text_left.iter_mut().zip(is_ours).filter(|(_, ours)| *ours) {
            *left = left.saturating_add(body.len());
        }
        let segment = Segment { body: body.into_owned(), layout };
        let taken = self.dictionaries.entry(id).or_default().push(segment, is_delta);
        taken.ok_or_else(|| self.malformed("its dictionary has too many entries"))
    }

    fn rows(&mut self, table: &Table<'_>, body: &[u8], builder: &mut InteractionsBuilder) -> Result<()> {
        let schema = self.schema.as_ref().ok_or_else(|| self.malformed("it comes before the schema"))?;
        let mut parts = Parts::read(table, body.len(), &schema.nodes).map_err(|what| self.malformed(what))?;
        let columns = [Some(&schema.user), Some(&schema.item), schema.value.as_ref(), schema.time.as_ref()];
        let wanted: Vec<usize> = columns.into_iter().flatten().flat_map(Column::nodes).collect();
        let body = parts.decompress(body, &wanted, &mut self.budget);
        let body = &*body.map_err(|what| self.malformed(what))?;
        let source = |column: &Column| self.source(column, &parts, body);
        let batch = Batch {
            users: source(&schema.user)?,
            items: source(&schema.item)?,
            values: schema.value.as_ref().map(source).transpose()?,
            times: schema.time.as_ref().map(source).transpose()?,
            body,
        };
        let mut text = TextBudget {
            left: self.text_left.map(|left| left.saturating_add(body.len())),
            is_text: [schema.user.kind, schema.item.kind].map(Kind::is_text),
        };
        let mut digits = Default::default();
        for row in 0..batch.users.layout.len {
            match self.row(&batch, row, builder, &mut text, &mut digits) {
                Ok(()) => {}
                Err(Refused::All(what)) => return Err(self.malformed(what)),
                Err(Refused::Row(name, what)) => {
                    let number = self.n_rows + row as u64;
                    let error = format!("{name} in row {number} of the {} is {what}", self.frames.name());
                    let error = Error::invalid_data(error);
                    match self.plan.skip_bad_rows {
                        0 => return Err(error),
                        limit => builder.push_bad(error, 1, limit)?,
                    }
                }
            }
        }
        self.text_left = text.left;
        self.n_rows += parts.n_rows;
        Ok(())
    }

    /// A column of a batch.
    fn source(&self, column: &Column, parts: &Parts, body: &[u8]) -> Result<Source<'_>> {
        let open = |node, kind| parts.layout(node, kind, body).map_err(|what| self.malformed(what));
        let layout = open(column.node, column.dictionary.map_or(column.kind, |(_, index)| index))?;
        let list = column.list.map(|kind| open(column.node - 1, kind)).transpose()?;
        if list.as_ref().unwrap_or(&layout).len as u64 != parts.n_rows {
            return Err(self.malformed("a column has another number of rows than the batch"));
        }
        let dictionary = column.dictionary.map(|(id, _)| self.dictionaries.get(&id));
        Ok(Source { dictionary, layout, list })
    }

    /// Adds a row of a batch to the builder.
    fn row(
        &self,
        batch: &Batch<'_>,
        row: usize,
        builder: &mut InteractionsBuilder,
        text: &mut TextBudget,
        [user_digits, item_digits]: &mut [String; 2],
    ) -> Result<(), Refused<'_>> {
        let (plan, body) = (&self.plan, batch.body);
        let names = plan.columns().map(|(_, name)| name.unwrap_or_default());
        let bad = |column: usize| move |what| Refused::Row(names[column], what);
        let user = batch.users.id(body, row, user_digits).map_err(bad(0))?;
        let items = batch.items.values_of(body, row).map_err(bad(1))?;
        let number = |values: &Source<'_>| values.layout.number(body, row).map_err(bad(2));
        let value = batch.values.as_ref().map(number).transpose()?;
        let time = |times: &Source<'_>| times.time(body, row, plan).map_err(bad(3));
        let time = batch.times.as_ref().map(time).transpose()?;
        if plan.skip_bad_rows > 0 {
            // All of a row counts, or nothing of it.
            items.clone().try_for_each(|at| batch.items.id(body, at, item_digits).map(drop)).map_err(bad(1))?;
        }
        if items.is_empty() {
            builder.push_empty();
        }
        for at in items {
            let item = batch.items.id(body, at, item_digits).map_err(bad(1))?;
            let before = builder.n_ids();
            plan.filter.push(builder, user, item, value, time).map_err(bad(2))?;
            let after = builder.n_ids();
            text.take([user, item], [0, 1].map(|side| after[side] > before[side])).ok_or(Refused::All(OVERLAP))?;
        }
        Ok(())
    }
}

const OVERLAP: &str = "its texts overlap";
