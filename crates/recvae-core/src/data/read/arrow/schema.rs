//! The schema: which columns are wanted, and how many buffers all columns have.

use super::flat::Table;
use super::layout::Kind;
use super::types;
use crate::base::error::{Error, Result};
use crate::data::read::plan::Plan;

/// A column of the schema that is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) kind: Kind,
    /// Its dictionary and the integers that point into it.
    pub(super) dictionary: Option<(i64, Kind)>,
    /// Which one it is among all nodes of the schema, those of nested types included.
    pub(super) node: usize,
    /// The node before it, with the offsets of lists, if its values are in such, and the kind of these.
    pub(super) list: Option<Kind>,
}

impl Column {
    /// The nodes whose buffers it needs.
    pub(super) fn nodes(&self) -> std::ops::RangeInclusive<usize> {
        self.node - usize::from(self.list.is_some())..=self.node
    }
}

/// What a schema says that is needed here.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) user: Column,
    pub(super) item: Column,
    pub(super) value: Option<Column>,
    pub(super) time: Option<Column>,
    /// How many buffers each node has, and whether a batch says how many more.
    pub(super) nodes: Vec<(usize, bool)>,
}

/// What a column is for, in the order of [`Plan::columns`].
const ITEM: usize = 1;
const VALUE: usize = 2;
const TIME: usize = 3;

impl Schema {
    /// Reads a schema; `Err(None)` if its bytes make no sense. `input` is what messages call the whole.
    pub(super) fn read(
        plan: &Plan,
        version: i16,
        table: &Table<'_>,
        len: usize,
        input: &str,
    ) -> Result<Self, Option<Error>> {
        if table.i16(0, 0).ok_or(None)? != 0 {
            return Err(Some(Error::invalid_data(format!("the {input} is big-endian; allowed: little-endian"))));
        }
        let mut nodes = Vec::new();
        let mut names = Vec::new();
        let wanted = plan.columns().map(|(_, name)| name);
        let mut found: [Option<Column>; 4] = [None; 4];
        for field in table.tables(1).ok_or(None)? {
            let field = field.ok_or(None)?;
            let name = field.text(0).ok_or(None)?;
            let node = nodes.len();
            walk(&field, version, len, 0, &mut nodes).ok_or(None)?;
            if let Some(place) = wanted.iter().position(|wanted| *wanted == Some(name)) {
                let refuse = |what: &str| Some(Error::invalid_data(format!("column '{name}' of the {input} {what}")));
                if found[place].is_some() {
                    return Err(refuse("is there twice"));
                }
                found[place] = Some(column(plan, &field, node, place).ok_or(None)?.map_err(|what| refuse(&what))?);
            }
            names.push(format!("'{}'", name.chars().take(80).collect::<String>()));
        }
        let missing = (0..wanted.len()).find(|&place| wanted[place].is_some() && found[place].is_none());
        if let Some(name) = missing.and_then(|place| wanted[place]) {
            names.truncate(50);
            let names = names.join(", ");
            return Err(Some(Error::invalid_data(format!("the {input} has no column '{name}'; there are: {names}"))));
        }
        let [Some(user), Some(item), value, time] = found else { return Err(None) };
        Ok(Self { user, item, value, time, nodes })
    }
}

/// The column that a field is, for what is in that place of the plan; the inner error if its type is not read there.
fn column(plan: &Plan, field: &Table<'_>, node: usize, place: usize) -> Option<Result<Column, String>> {
    let (list, inner) = match kind_of(field)? {
        Some(list @ Kind::List { .. }) if place == ITEM && field.table(4)?.is_none() => {
            (Some(list), field.tables(5)?.next()??)
        }
        _ => (None, *field),
    };
    if list.is_some() && plan.columns()[VALUE].1.is_some() {
        return Some(Err("holds lists, whose items have no value of their own; allowed: an item a row".into()));
    }
    let kind = kind_of(&inner)?;
    let encoding = inner.table(4)?;
    let fits = |kind: Kind| match place {
        VALUE => matches!(kind, Kind::Int { .. } | Kind::Float { .. } | Kind::Decimal { .. }) && encoding.is_none(),
        TIME if plan.has_parts => kind.is_text(),
        TIME => !matches!(kind, Kind::List { .. }) && (kind.is_text() || encoding.is_none()),
        _ => kind.is_text() || kind.is_whole(),
    };
    let Some(kind) = kind.filter(|&kind| fits(kind)) else {
        let allowed = match place {
            VALUE if kind.is_some() && encoding.is_some() => "numbers without a dictionary",
            VALUE => "numbers",
            TIME if plan.has_parts => "text, with a dictionary or not",
            TIME if encoding.is_some() => "text, or times and numbers without a dictionary",
            TIME => "timestamps, dates, numbers or text",
            ITEM => "text or whole numbers, with a dictionary or not, or lists of them",
            _ => "text or whole numbers, with a dictionary or not",
        };
        let number = usize::from(inner.u8(2)?);
        let found = types::NAMES.get(number).copied().unwrap_or("unknown");
        let found = if list.is_some() { format!("list of {found}") } else { found.to_owned() };
        let encoded = if encoding.is_some() && place >= VALUE { " in a dictionary" } else { "" };
        return Some(Err(format!("has the type {found}{encoded}; allowed: {allowed}")));
    };
    let dictionary = match encoding {
        Some(encoding) => {
            let index = match encoding.table(1)? {
                Some(table) => int_of(&table)?,
                None => INDEX,
            };
            Some((encoding.i64(0)?, index))
        }
        None => None,
    };
    Some(Ok(Column { kind, dictionary, node: node + usize::from(list.is_some()), list }))
}

/// The integers of a dictionary that does not say.
const INDEX: Kind = Kind::Int { bytes: 4, signed: true };

/// Adds a field and what is nested in it; `None` if there are more than `len` bytes of metadata can describe.
pub(super) fn walk(
    field: &Table<'_>,
    version: i16,
    len: usize,
    depth: usize,
    nodes: &mut Vec<(usize, bool)>,
) -> Option<()> {
    if depth > 64 || nodes.len() >= len {
        return None;
    }
    if field.table(4)?.is_some() {
        nodes.push((2, false)); // the indices; what is nested lies in the dictionary
        return Some(());
    }
    let kind = field.u8(2)?;
    nodes.push(match kind {
        types::NULL | types::RUN_END_ENCODED => (0, false),
        types::STRUCT | types::FIXED_SIZE_LIST => (1, false),
        // Dense ones have offsets too; up to version 4 unions had validity bits.
        types::UNION => (1 + usize::from(field.table(3)??.i16(0, 0)? == 1) + usize::from(version < 4), false),
        types::LIST | types::LARGE_LIST | types::MAP => (2, false),
        types::BINARY | types::UTF8 | types::LARGE_BINARY | types::LARGE_UTF8 => (3, false),
        types::LIST_VIEW | types::LARGE_LIST_VIEW => (3, false),
        types::BINARY_VIEW | types::UTF8_VIEW => (2, true),
        _ => (2, false),
    });
    for child in field.tables(5)? {
        walk(&child?, version, len, depth + 1, nodes)?;
    }
    Some(())
}

/// The type of a field; the inner `None` if it is none that is read.
pub(super) fn kind_of(field: &Table<'_>) -> Option<Option<Kind>> {
    let table = field.table(3)?;
    Some(match (field.u8(2)?, table) {
        (types::UTF8, _) => Some(Kind::Text),
        (types::LARGE_UTF8, _) => Some(Kind::LargeText),
        (types::UTF8_VIEW, _) => Some(Kind::TextView),
        (types::LIST, _) => Some(Kind::List { bytes: 4 }),
        (types::LARGE_LIST, _) => Some(Kind::List { bytes: 8 }),
        (types::DATE, Some(table)) => match table.i16(0, 1)? {
            0 => Some(Kind::Date),
            1 => Some(Kind::Timestamp { per_second: 1000 }),
            _ => None,
        },
        (types::TIMESTAMP, Some(table)) => match table.i16(0, 0)? {
            unit @ 0..=3 => Some(Kind::Timestamp { per_second: 1000u32.pow(unit.unsigned_abs().into()) }),
            _ => None,
        },
        (types::INT, Some(table)) => int_of(&table),
        (types::FLOATING_POINT, Some(table)) => match table.i16(0, 0)? {
            0 => Some(Kind::Float { bytes: 2 }),
            1 => Some(Kind::Float { bytes: 4 }),
            2 => Some(Kind::Float { bytes: 8 }),
            _ => None,
        },
        (types::DECIMAL, Some(table)) => {
            // 128 bits are the default: older writers do not say it.
            let bits = match table.i32(2)? {
                0 => 128,
                bits => bits,
            };
            let scale = table.i32(1)?;
            [32, 64, 128, 256].contains(&bits).then_some(Kind::Decimal { bytes: bits as usize / 8, scale })
        }
        _ => None,
    })
}

fn int_of(table: &Table<'_>) -> Option<Kind> {
    let bits = table.i32(0)?;
    let bytes = [8, 16, 32, 64].contains(&bits).then_some(bits as usize / 8)?;
    Some(Kind::Int { bytes, signed: table.u8(1)? != 0 })
}
