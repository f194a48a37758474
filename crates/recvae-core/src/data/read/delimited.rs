//! CSV, TSV and their kin: a header line that names the columns, or none, then one row per line.

use std::io::Read;
use std::path::Path;

use memchr::memmem;

use super::plan::Plan;
use super::rows::Rows;
use super::{bad, finite, id, start_of};
use crate::base::error::{Error, Result};
use crate::data::interactions::InteractionsBuilder;

/// Reads all rows into the builder.
pub(super) fn parse(path: &Path, input: impl Read, plan: &Plan, builder: &mut InteractionsBuilder) -> Result<()> {
    let mut rows = Rows::new(path, input, plan.dialect.clone(), plan.header);
    let columns = Columns::find(path, &mut rows, plan)?;
    loop {
        let error = match rows.next() {
            Ok(false) => return Ok(()),
            Ok(true) => match columns.take(path, &rows, plan, builder) {
                Ok(()) => continue,
                Err(error) => error,
            },
            Err(error) => error,
        };
        let is_bad_row = plan.skip_bad_rows > 0 && matches!(error, Error::InvalidData { .. });
        match if is_bad_row { rows.skip()? } else { None } {
            Some(lines) => builder.push_bad(error, lines, plan.skip_bad_rows)?,
            None => return Err(error),
        }
    }
}

/// Where the columns are that are read.
struct Columns {
    user: usize,
    item: usize,
    value: Option<usize>,
    time: Option<usize>,
}

impl Columns {
    fn find<R: Read>(path: &Path, rows: &mut Rows<R>, plan: &Plan) -> Result<Self> {
        let named: Vec<_> = plan.columns().into_iter().filter_map(|(option, name)| Some((option, name?))).collect();
        let found = if plan.header {
            columns(path, rows, &named)?
        } else {
            // They are numbers: the plan has looked at them.
            named.iter().map(|(_, name)| name.parse::<usize>().unwrap_or(1) - 1).collect()
        };
        let at = |wanted| named.iter().position(|(option, _)| *option == wanted).map(|place| found[place]);
        Ok(Self { user: found[0], item: found[1], value: at("value"), time: at(plan.time_option()) })
    }

    /// Adds a row to the builder.
    fn take<R: Read>(&self, path: &Path, rows: &Rows<R>, plan: &Plan, builder: &mut InteractionsBuilder) -> Result<()> {
        let all = [Some(self.user), Some(self.item), self.value, self.time];
        if let Some(&column) = all.iter().flatten().find(|&&column| column >= rows.len()) {
            let message = format!("there is no column {}; allowed: from 1 to {}", column + 1, rows.len());
            return Err(rows.bad(None, message));
        }
        let id_in = |column: usize, name| {
            if rows.field(column).iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
                let start = rows.field(column).split(|&byte| byte == b'\n' || byte == b'\r').next().unwrap_or_default();
                let start = String::from_utf8_lossy(&start[..start.len().min(40)]);
                let message = format!("an id runs over the end of the line, from '{start}'; is a quote left open?");
                return Err(rows.bad(Some(column), message));
            }
            let at = || (Some(rows.line()), column as u64 + 1);
            id(path, at, name, rows.field(column))
        };
        let [user_name, item_name, value_name, time_name] =
            plan.columns().map(|(option, name)| if plan.header { name.unwrap_or_default() } else { option });
        let (user, item) = (id_in(self.user, user_name)?, id_in(self.item, item_name)?);
        let value = self.value.map(|column| {
            let field = rows.field(column).trim_ascii();
            finite(field).ok_or_else(|| {
                let got = start_of(field);
                rows.bad(Some(column), format!("{value_name} is '{got}'; allowed: a finite number"))
            })
        });
        let time = self.time.map(|column| {
            let time = plan.time(rows.field(column).trim_ascii());
            time.map_err(|what| rows.bad(Some(column), format!("{time_name} is {what}")))
        });
        let pushed = plan.filter.push(builder, user, item, value.transpose()?, time.transpose()?);
        pushed.map_err(|what| rows.bad(self.value, format!("{value_name} is {what}")))
    }
}

/// Looks at all rows.
pub(super) fn check(path: &Path, input: impl Read, plan: &Plan) -> Result<()> {
    let mut rows = Rows::new(path, input, plan.dialect.clone(), plan.header);
    if plan.header && rows.next()? {
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

/// Reads the header and finds each `(option, column name)` in it. The option is the one that renames the column; empty
/// if there is none.
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
                let separator = [(";", ";"), ("\t", "\\t"), ("|", "|")].into_iter().find(|(separator, _)| {
                    rows.len() == 1 && !option.is_empty() && memmem::find(rows.field(0), separator.as_bytes()).is_some()
                });
                let (one, other) = match separator {
                    Some((_, shown)) => (
                        format!("; the header has one column, and '{shown}' may be what separates its fields"),
                        ", or give the separator by the option separator",
                    ),
                    None => (String::new(), ""),
                };
                let help = format!("there is no column '{name}' among {}{one}{}{other}", found(), hint("; name it by"));
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
