//! The Netflix Prize: `1:` on a line of its own names a film, and the lines below hold `user,rating,date` of it.
//!
//! The training set is one file per film (`mv_0000001.txt`), and elsewhere four files of many films
//! (`combined_data_1.txt`).
//!
//! Source: the README of the Netflix Prize data set, 2006.

use std::io::BufRead;
use std::path::Path;

use super::lines::read_lines;
use super::plan::Plan;
use super::{bad, finite, id, start_of};
use crate::base::error::Result;
use crate::data::interactions::InteractionsBuilder;

/// Reads all lines into the builder.
pub(super) fn parse(path: &Path, input: impl BufRead, plan: &Plan, builder: &mut InteractionsBuilder) -> Result<()> {
    let mut film: Option<String> = None;
    read_lines(path, input, "one rating", plan, builder, |builder, line, text| {
        let fail = |column, message: String| bad(path, Some(line), column, message);
        let id = |name: &str, field| id(path, || (Some(line), 1), name, field);
        if let Some(number) = text.strip_suffix(b":") {
            // Below a film that is not understood, nothing belongs to the one before.
            film = None;
            film = Some(id("the film", number)?.to_owned());
            return Ok(());
        }
        let Some(film) = &film else {
            let what = format!("'{}' stands below no film", start_of(text));
            return Err(fail(None, format!("{what}; allowed: a line such as '1:' before its ratings")));
        };
        let fields: Vec<_> = text.split(|&byte| byte == b',').collect();
        let [user, rating, date] = fields[..] else {
            return Err(fail(None, format!("'{}' is no rating; allowed: user,rating,date", start_of(text))));
        };
        let user = id("user", user)?;
        let value = finite(rating)
            .ok_or_else(|| fail(Some(2), format!("rating is '{}'; allowed: a finite number", start_of(rating))))?;
        let time = plan.time(date).map_err(|what| fail(Some(3), format!("date is {what}")))?;
        let pushed = plan.filter.push(builder, user, film, Some(value), plan.time.as_ref().map(|_| time));
        pushed.map_err(|what| fail(Some(2), format!("rating is {what}")))
    })
}
