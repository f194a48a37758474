//! Lists of neighbours: `user item item …`, one user per line, as the graph papers publish their splits.
//!
//! Ids are separated by blanks, or by a text that the caller names. A user alone is one without items.
//!
//! Source of the form: `train.txt` and `test.txt` of X. Wang et al., Neural Graph Collaborative Filtering, SIGIR 2019,
//! and of X. He et al., LightGCN, SIGIR 2020.

use std::io::BufRead;
use std::path::Path;

use super::id;
use super::lines::read_lines;
use super::plan::Plan;
use crate::base::error::Result;
use crate::data::interactions::InteractionsBuilder;

/// Reads all lines into the builder.
pub(super) fn parse(path: &Path, input: impl BufRead, plan: &Plan, builder: &mut InteractionsBuilder) -> Result<()> {
    read_lines(path, input, "one user and items", plan, builder, |builder, line, text| {
        let id = |(place, field)| match place {
            0 => id(path, || (Some(line), 1), "user", field),
            _ => id(path, || (Some(line), 1), format_args!("item {place}"), field),
        };
        // An error of one id leaves out the line as a whole.
        let ids =
            fields(text, plan.separator.as_deref()).into_iter().enumerate().map(id).collect::<Result<Vec<_>>>()?;
        match ids.split_first() {
            Some((user, items)) if !items.is_empty() => items.iter().for_each(|item| builder.push(user, item)),
            _ => builder.push_empty(),
        }
        Ok(())
    })
}

/// What stands between blanks, or between separators.
fn fields<'a>(text: &'a [u8], separator: Option<&str>) -> Vec<&'a [u8]> {
    let Some(separator) = separator else {
        return text.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).collect();
    };
    let (mut fields, mut start) = (vec![], 0);
    for at in memchr::memmem::find_iter(text, separator.as_bytes()) {
        fields.push(&text[start..at]);
        start = at + separator.len();
    }
    fields.push(&text[start..]);
    fields
}
