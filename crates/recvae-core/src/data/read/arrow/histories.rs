//! An Arrow stream of histories: a row per user, with the items in a list, and lists of what may come if there are any.

use std::borrow::Cow;

use super::compression::{Budget, What};
use super::flat::Table;
use super::frames::{Frames, Message, OUTSIDE, Piece, Whole};
use super::layout::{Kind, Layout, Parts};
use super::schema::{kind_of, walk};
use super::{header, types};
use crate::base::error::{Error, Result};

/// A row of such a stream: the texts of ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrowHistory {
    /// The user.
    pub user: String,
    /// The user's items.
    pub items: Vec<String>,
    /// The only items that may come for the user; `None` if all may.
    pub allow: Option<Vec<String>>,
    /// Items that must not come for the user; `None` if there are none.
    pub deny: Option<Vec<String>>,
}

/// Reads such a stream, which comes in pieces. Its columns are `user`, text or whole numbers, and `items`, lists of
/// such; if they are there, `allow` and `deny`, lists that may be null. None has a dictionary. Memory: one message, and
/// the histories in it.
#[derive(Debug)]
pub struct ArrowHistories {
    frames: Frames,
    columns: Option<Columns>,
    /// How many bytes may still come out of compressed buffers.
    budget: Budget,
    n_rows: u64,
}

impl Default for ArrowHistories {
    fn default() -> Self {
        Self { frames: Frames::default(), columns: None, budget: Budget::new(), n_rows: 0 }
    }
}

impl ArrowHistories {
    /// Takes the next bytes of the stream, and gives the histories that they complete.
    ///
    /// # Errors
    /// `INVALID_DATA` if they are no such stream, or an id is null, empty or not UTF-8. Rows are counted from 0 over
    /// the whole stream.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<ArrowHistory>> {
        let mut histories = Vec::new();
        self.budget.came(bytes.len());
        while let Some(piece) = self.frames.next(&mut bytes)? {
            match piece {
                Piece::Message(whole) if !self.frames.is_file => self.message(&whole, &mut histories)?,
                _ => return Err(Error::invalid_data("histories are an Arrow file; allowed: an Arrow stream")),
            }
        }
        Ok(histories)
    }

    fn message(&mut self, whole: &Whole<'_>, histories: &mut Vec<ArrowHistory>) -> Result<()> {
        let Message { version, kind, table } = self.frames.open(whole.metadata())?;
        match (kind, &self.columns) {
            (header::SCHEMA, None) => {
                let read = Columns::read(version, &table, whole.metadata().len());
                self.columns = Some(read.map_err(|error| error.unwrap_or_else(|| self.frames.malformed(OUTSIDE)))?);
            }
            // Of a column that is not wanted.
            (header::DICTIONARY_BATCH, Some(_)) => {}
            (header::RECORD_BATCH, Some(columns)) => {
                let batch = Batch::open(columns, &table, whole.body(), &mut self.budget);
                let batch = batch.map_err(|what| self.frames.malformed(what))?;
                for row in 0..batch.n_rows {
                    let history = batch.history(row).map_err(|(name, what)| {
                        Error::invalid_data(format!("{name} in row {} of the Arrow stream is {what}", self.n_rows))
                    });
                    histories.push(history?);
                    self.n_rows += 1;
                }
            }
            _ => return Err(self.frames.malformed("it is neither the schema nor a dictionary nor rows")),
        }
        self.frames.n_messages += 1;
        Ok(())
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// `INVALID_DATA` if it was cut off.
    pub fn finish(self) -> Result<()> {
        self.frames.end()?;
        if self.columns.is_some() { Ok(()) } else { Err(self.frames.malformed("it has no schema")) }
    }
}

/// Names of the columns; the last two may be missing.
const NAMES: [&str; 4] = ["user", "items", "allow", "deny"];

/// A column.
#[derive(Clone, Copy, Debug)]
struct Column {
    /// Which one it is among all nodes of the schema; the ids of lists are the next one.
    node: usize,
    /// Of lists.
    lists: Option<Kind>,
    ids: Kind,
}

impl Column {
    /// The nodes whose buffers it needs.
    fn nodes(&self) -> std::ops::RangeInclusive<usize> {
        self.node..=self.node + usize::from(self.lists.is_some())
    }
}

/// What the schema says.
#[derive(Debug)]
struct Columns {
    found: [Option<Column>; 4],
    /// See [`walk`].
    nodes: Vec<(usize, bool)>,
}

impl Columns {
    /// Reads a schema; `Err(None)` if its bytes make no sense.
    fn read(version: i16, table: &Table<'_>, len: usize) -> Result<Self, Option<Error>> {
        let refuse = |what: String| Some(Error::invalid_data(what));
        if table.i16(0, 0).ok_or(None)? != 0 {
            return Err(refuse("the Arrow stream is big-endian; allowed: little-endian".into()));
        }
        let (mut nodes, mut found) = (Vec::new(), [None; 4]);
        for field in table.tables(1).ok_or(None)? {
            let field = field.ok_or(None)?;
            let node = nodes.len();
            walk(&field, version, len, 0, &mut nodes).ok_or(None)?;
            let name = field.text(0).ok_or(None)?;
            let Some(place) = NAMES.iter().position(|&wanted| wanted == name) else { continue };
            if found[place].is_some() {
                return Err(refuse(format!("column '{name}' of the Arrow stream is there twice")));
            }
            found[place] = Some(column(&field, node, place > 0).ok_or(None)?.ok_or_else(|| {
                let number = field.u8(2).map_or(0, usize::from);
                let found = types::NAMES.get(number).copied().unwrap_or("unknown");
                let lists = if place > 0 { "lists of " } else { "" };
                refuse(format!(
                    "column '{name}' of the Arrow stream has the type {found}; allowed: {lists}utf8, large_utf8 or whole numbers, \
                     without a dictionary"
                ))
            })?);
        }
        match NAMES.iter().zip(&found).take(2).find(|(_, column)| column.is_none()) {
            Some((name, _)) => Err(refuse(format!("the Arrow stream has no column '{name}'"))),
            None => Ok(Self { found, nodes }),
        }
    }
}

/// A column of ids or of lists of them; the inner `None` if it is of another type.
fn column(field: &Table<'_>, node: usize, is_lists: bool) -> Option<Option<Column>> {
    let (lists, ids) = match is_lists {
        false => (None, *field),
        true => {
            let Some(lists @ Kind::List { .. }) = kind_of(field)? else { return Some(None) };
            if field.table(4)?.is_some() {
                return Some(None);
            }
            (Some(lists), field.tables(5)?.next()??)
        }
    };
    let kind = match kind_of(&ids)? {
        Some(kind @ (Kind::Text | Kind::LargeText | Kind::Int { .. })) if ids.table(4)?.is_none() => kind,
        _ => return Some(None),
    };
    Some(Some(Column { node, lists, ids: kind }))
}

/// A batch of rows.
struct Batch<'a> {
    n_rows: usize,
    /// Of each column where its lists lie, if it has any, and its ids.
    columns: [Option<(Option<Layout>, Layout)>; 4],
    body: Cow<'a, [u8]>,
}

impl<'a> Batch<'a> {
    fn open(columns: &Columns, table: &Table<'_>, body: &'a [u8], budget: &mut Budget) -> Result<Self, What> {
        let mut parts = Parts::read(table, body.len(), &columns.nodes)?;
        let wanted: Vec<usize> = columns.found.iter().flatten().flat_map(Column::nodes).collect();
        let body = parts.decompress(body, &wanted, budget)?;
        let open = |column: &Column| {
            let lists = column.lists.map(|kind| parts.layout(column.node, kind, &body)).transpose()?;
            let ids = parts.layout(*column.nodes().end(), column.ids, &body)?;
            if lists.as_ref().unwrap_or(&ids).len as u64 != parts.n_rows {
                return Err("a column has another number of rows than the batch");
            }
            Ok((lists, ids))
        };
        let mut opened = [const { None }; 4];
        for (opened, column) in opened.iter_mut().zip(&columns.found) {
            *opened = column.as_ref().map(open).transpose()?;
        }
        let n_rows = usize::try_from(parts.n_rows).map_err(|_| "its number of rows makes no sense")?;
        Ok(Self { n_rows, columns: opened, body })
    }

    /// A row; or the name of the column and what is wrong with it.
    fn history(&self, row: usize) -> Result<ArrowHistory, (&'static str, String)> {
        let mut lists = (1..NAMES.len()).map(|place| self.list(place, row).map_err(|what| (NAMES[place], what)));
        let mut list = || lists.next().transpose().map(Option::flatten);
        let (items, allow, deny) = (list()?, list()?, list()?);
        let user = self.columns[0].as_ref().map_or_else(
            || Err("missing".to_owned()),
            |(_, ids)| ids.id(&self.body, row, &mut String::new()).map(str::to_owned),
        );
        Ok(ArrowHistory {
            user: user.map_err(|what| (NAMES[0], what))?,
            items: items.ok_or_else(|| (NAMES[1], "null; allowed: a list".to_owned()))?,
            allow,
            deny,
        })
    }

    /// A list, unless it is null or there is no such column; or what is wrong with it.
    fn list(&self, place: usize, row: usize) -> Result<Option<Vec<String>>, String> {
        let Some((Some(lists), ids)) = &self.columns[place] else { return Ok(None) };
        let Some(extent) = lists.list(&self.body, row, ids.len)? else { return Ok(None) };
        let mut digits = String::new();
        extent.map(|at| ids.id(&self.body, at, &mut digits).map(str::to_owned)).collect::<Result<_, _>>().map(Some)
    }
}
