//! CSV and TSV: a header line that names the columns, then one row per line.

use std::io::Read;
use std::path::Path;

use super::rows::{Dialect, Rows};
use super::{ReadOptions, bad, id, start_of};
use crate::base::error::Result;
use crate::data::interactions::InteractionsBuilder;

/// Reads all rows into the builder.
pub(super) fn parse(
    path: &Path,
    input: impl Read,
    dialect: Dialect,
    options: &ReadOptions,
    builder: &mut InteractionsBuilder,
) -> Result<()> {
    let mut rows = Rows::new(path, input, dialect);
    let mut names = vec![("user", options.user.as_str()), ("item", &options.item)];
    names.extend(options.value.as_deref().map(|value| ("value", value)));
    let columns = columns(path, &mut rows, &names)?;
    let (user, item, value) = (columns[0], columns[1], columns.get(2));
    while rows.next()? {
        for column in [user, item] {
            if rows.field(column).contains(&b'\n') {
                let start = rows.field(column).split(|&byte| byte == b'\n' || byte == b'\r').next().unwrap_or_default();
                let start = String::from_utf8_lossy(&start[..start.len().min(40)]);
                let message = format!("an id runs over the end of the line, from '{start}'; is a quote left open?");
                return Err(rows.bad(Some(column), message));
            }
        }
        let id_in = |column: usize, name| {
            let at = || (Some(rows.line()), column as u64 + 1);
            id(path, at, name, rows.field(column))
        };
        let (user, item) = (id_in(user, &options.user)?, id_in(item, &options.item)?);
        match value {
            None => builder.push(user, item),
            Some(&column) => {
                let field = rows.field(column).trim_ascii();
                let number = std::str::from_utf8(field).ok().and_then(|text| text.parse().ok());
                let Some(number) = number.filter(|number: &f64| number.is_finite()) else {
                    let got = String::from_utf8_lossy(&field[..field.len().min(80)]);
                    let message = format!("{} is '{got}'; allowed: a finite number", names[2].1);
                    return Err(rows.bad(Some(column), message));
                };
                builder.push_value(user, item, number, options.min_value);
            }
        }
    }
    Ok(())
}

/// Looks at all rows.
pub(super) fn check(path: &Path, input: impl Read, dialect: Dialect) -> Result<()> {
    let mut rows = Rows::new(path, input, dialect);
    if rows.next()? {
        for column in 1..rows.len() {
            if (0..column).any(|other| rows.field(other) == rows.field(column)) {
                let message = format!("column '{}' occurs twice; allowed: once", start_of(rows.field(column)));
                return Err(rows.bad(Some(column), message));
            }
        }
    }
    while rows.next()? {}
    Ok(())
}

/// Reads the header and finds each `(option, column name)` in it. The option is the one that renames the column; empty if
/// there is none.
pub(crate) fn columns<R: Read>(path: &Path, rows: &mut Rows<R>, names: &[(&str, &str)]) -> Result<Vec<usize>> {
    if !rows.next()? {
        return Err(bad(path, None, None, "the file is empty; allowed: a header line and rows"));
    }
    let found = || {
        let names: Vec<_> = (0..rows.len()).map(|column| format!("'{}'", start_of(rows.field(column)))).collect();
        let more = names.len().saturating_sub(20);
        let list = names[..names.len() - more].join(", ");
        if more > 0 { format!("{list} and {more} more") } else { list }
    };
    let find = |&(option, name): &(&str, &str)| {
        let hint = |text| if option.is_empty() { String::new() } else { format!("{text} the option {option}") };
        let mut columns = (0..rows.len()).filter(|&column| rows.field(column) == name.as_bytes());
        match (columns.next(), columns.next()) {
            (Some(column), None) => Ok(column),
            (None, _) => {
                let help = format!("there is no column '{name}' among {}{}", found(), hint("; name it by"));
                Err(bad(path, Some(rows.line()), None, help))
            }
            (Some(_), Some(second)) => {
                let help = format!("column '{name}' occurs twice; allowed: once{}", hint(", or another one by"));
                Err(bad(path, Some(rows.line()), Some(second as u64 + 1), help))
            }
        }
    };
    names.iter().map(find).collect()
}
