//! Text as lines, for the formats that have one thing a line.

use std::io::{BufRead, Read};
use std::path::Path;

use super::plan::Plan;
use super::{LONGEST_ROW, bad, read_error};
use crate::base::error::{Error, Result};
use crate::data::interactions::InteractionsBuilder;

/// Calls `take` with the number and the text of each line that is not blank; `what` should be on one.
pub(super) fn for_each_line(
    path: &Path,
    input: &mut impl BufRead,
    what: &str,
    mut take: impl FnMut(u64, &[u8]) -> Result<()>,
) -> Result<()> {
    let (mut text, mut line) = (Vec::new(), 0);
    loop {
        text.clear();
        line += 1;
        let length = input
            .by_ref()
            .take(LONGEST_ROW + 1)
            .read_until(b'\n', &mut text)
            .map_err(|source| read_error(path, Some(line), source))?;
        if length == 0 {
            return Ok(());
        }
        if length as u64 > LONGEST_ROW {
            return Err(too_long(path, line, what));
        }
        let text = text.trim_ascii_end();
        if !text.is_empty() {
            take(line, text)?;
        }
    }
}

/// The same with a builder, which counts the lines that may be bad.
pub(super) fn read_lines(
    path: &Path,
    mut input: impl BufRead,
    what: &str,
    plan: &Plan,
    builder: &mut InteractionsBuilder,
    mut take: impl FnMut(&mut InteractionsBuilder, u64, &[u8]) -> Result<()>,
) -> Result<()> {
    for_each_line(path, &mut input, what, |line, text| match take(builder, line, text) {
        Err(error @ Error::InvalidData { .. }) if plan.skip_bad_rows > 0 => {
            builder.push_bad(error, 1, plan.skip_bad_rows)
        }
        taken => taken,
    })
}

/// A line that would fill the memory.
pub(super) fn too_long(path: &Path, line: u64, what: &str) -> Error {
    bad(path, Some(line), None, format!("the line is longer than {LONGEST_ROW} bytes; allowed: {what} per line"))
}
