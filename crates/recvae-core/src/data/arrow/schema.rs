//! The schema of an Arrow stream: which columns are wanted, and how many buffers all columns have.

use super::flat::Table;
use super::layout::Kind;
use super::types;
use crate::base::error::{Error, Result};
use crate::data::read::ReadOptions;

/// A column of the schema that is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) kind: Kind,
    /// Its dictionary and the integers that point into it.
    pub(super) dictionary: Option<(i64, Kind)>,
    /// Which one it is among all nodes of the schema, those of nested types included.
    pub(super) node: usize,
}

/// What a schema says that is needed here.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) user: Column,
    pub(super) item: Column,
    pub(super) value: Option<Column>,
    /// How many buffers each node has, and whether a batch says how many more.
    pub(super) nodes: Vec<(usize, bool)>,
}

impl Schema {
    /// Reads a schema; `Err(None)` if its bytes make no sense.
    pub(super) fn read(
        options: &ReadOptions,
        version: i16,
        table: &Table<'_>,
        len: usize,
    ) -> Result<Self, Option<Error>> {
        if table.i16(0, 0).ok_or(None)? != 0 {
            return Err(Some(Error::invalid_data("the Arrow stream is big-endian; allowed: little-endian")));
        }
        let mut nodes = Vec::new();
        let mut names = Vec::new();
        let wanted = [Some(&options.user), Some(&options.item), options.value.as_ref()];
        let mut found: [Option<Column>; 3] = [None; 3];
        for field in table.tables(1).ok_or(None)? {
            let field = field.ok_or(None)?;
            let name = field.text(0).ok_or(None)?;
            let node = nodes.len();
            walk(&field, version, len, 0, &mut nodes).ok_or(None)?;
            if let Some(place) = wanted.iter().position(|wanted| wanted.is_some_and(|wanted| wanted == name)) {
                let refuse =
                    |what: &str| Some(Error::invalid_data(format!("column '{name}' of the Arrow stream {what}")));
                if found[place].is_some() {
                    return Err(refuse("is there twice"));
                }
                let kind = kind_of(&field).ok_or(None)?;
                let allowed = match place {
                    2 if kind.is_some() && field.table(4).ok_or(None)?.is_some() => "numbers without a dictionary",
                    2 => "numbers",
                    _ => "text or whole numbers, with a dictionary or not",
                };
                let dictionary = match field.table(4).ok_or(None)? {
                    Some(encoding) => {
                        let index =
                            encoding.table(1).ok_or(None)?.map_or(Some(INDEX), |table| int_of(&table)).ok_or(None)?;
                        Some((encoding.i64(0).ok_or(None)?, index))
                    }
                    None => None,
                };
                let fits = match kind {
                    Some(Kind::Float { .. } | Kind::Decimal { .. }) => place == 2 && dictionary.is_none(),
                    Some(Kind::Int { .. }) => place != 2 || dictionary.is_none(),
                    Some(_) => place != 2,
                    None => false,
                };
                let number = usize::from(field.u8(2).ok_or(None)?);
                let found_type = types::NAMES.get(number).copied().unwrap_or("unknown");
                match kind.filter(|_| fits) {
                    Some(kind) => found[place] = Some(Column { kind, dictionary, node }),
                    None => {
                        let encoded = if dictionary.is_some() && place == 2 { " in a dictionary" } else { "" };
                        return Err(refuse(&format!("has the type {found_type}{encoded}; allowed: {allowed}")));
                    }
                }
            }
            names.push(format!("'{}'", name.chars().take(80).collect::<String>()));
        }
        let missing = (0..3).find(|&place| wanted[place].is_some() && found[place].is_none());
        if let Some(name) = missing.and_then(|place| wanted[place]) {
            names.truncate(50);
            let names = names.join(", ");
            return Err(Some(Error::invalid_data(format!(
                "the Arrow stream has no column '{name}'; there are: {names}"
            ))));
        }
        let [Some(user), Some(item), value] = found else { return Err(None) };
        Ok(Self { user, item, value, nodes })
    }
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
