//! Interactions in batches of columns, the form in which databases, queues and files hand out rows.
//!
//! A batch has one user id and one item id per row, as text or as whole numbers, which stand for their decimal digits;
//! and, where they are known, a value and a timestamp per row. Batches are taken one at a time and none is kept: memory
//! is that of the matrix under construction. A failure names the column, the row and the batch, both counted from 0.

use std::fmt::{Display, Write};

use crate::base::error::{Error, Result};
use crate::base::options::options;
use crate::data::ids::check_id;
use crate::data::interactions::{Interactions, InteractionsBuilder, Thresholds, check_value, check_weight};
use crate::data::shard::Shard;

options! {
    /// Which rows count. The others are left out as if they were not there.
    pub struct RowFilter for "rows", check = check_bounds {
        /// Rows with a lower value are left out. Every batch must have values then.
        min_value: Option<f64> = None, Any;
        /// Whether the value of a row, above 0, says how much it counts: iALS takes it for a confidence. The values of
        /// a pair of user and item are added up. Every batch must have values then.
        weighted: bool = false, Any;
        /// Rows before this time are left out, in the unit of the timestamps. Every batch must have timestamps then.
        since: Option<f64> = None, Any;
        /// Rows at this time or later are left out, in the unit of the timestamps. Every batch must have timestamps
        /// then.
        until: Option<f64> = None, Any;
    }
}

/// There are times between the bounds.
fn check_bounds(filter: &RowFilter) -> Result<()> {
    match (filter.since, filter.until) {
        (Some(since), Some(until)) if since >= until => Err(not_before(since, until)),
        _ => Ok(()),
    }
}

/// The error for a time to begin with, as it was given, that leaves none before the end.
pub(crate) fn not_before(since: impl Display, until: impl Display) -> Error {
    Error::invalid_argument("since", since, format!("a time before until, which is {until}"))
}

impl RowFilter {
    /// Whether a row with that value and time counts.
    pub(crate) fn passes(&self, value: Option<f64>, time: Option<f64>) -> bool {
        !self.is_low(value) && !below(time, self.since) && (self.until.is_none() || below(time, self.until))
    }

    /// Adds a row, or counts why it is left out; or says what is wrong with the value.
    pub(crate) fn push(
        &self,
        builder: &mut InteractionsBuilder,
        user: &str,
        item: &str,
        value: Option<f64>,
        time: Option<f64>,
    ) -> Result<(), String> {
        if self.passes(value, time) {
            match value.filter(|_| self.weighted).map(check_weight) {
                Some(weight) => builder.push_weighted(user, item, time, weight?),
                None => builder.push_at(user, item, time),
            }
        } else {
            builder.skip(self.is_low(value), time, self.bounds());
        }
        Ok(())
    }

    /// The names of the bounds of the time that are given.
    fn bounds(&self) -> &'static [&'static str] {
        match (self.since, self.until) {
            (Some(_), Some(_)) => &["since", "until"],
            (Some(_), None) => &["since"],
            (None, Some(_)) => &["until"],
            (None, None) => &[],
        }
    }

    /// Whether a row does not count for its value.
    fn is_low(&self, value: Option<f64>) -> bool {
        below(value, self.min_value)
    }
}

fn below(number: Option<f64>, bound: Option<f64>) -> bool {
    matches!((number, bound), (Some(number), Some(bound)) if number < bound)
}

/// A column of ids.
#[derive(Clone, Copy, Debug)]
pub enum IdColumn<'a> {
    /// Text, which must not be empty or longer than 64 KiB.
    Text(&'a [String]),
    /// Whole numbers up to 2^53 in either direction, beyond which doubles lose digits.
    Doubles(&'a [f64]),
    /// Signed whole numbers.
    Signed(&'a [i64]),
    /// Unsigned whole numbers.
    Unsigned(&'a [u64]),
}

impl IdColumn<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(ids) => ids.len(),
            Self::Doubles(ids) => ids.len(),
            Self::Signed(ids) => ids.len(),
            Self::Unsigned(ids) => ids.len(),
        }
    }

    /// The id in a row, written to `digits` if it is a number; or what is wrong with it.
    fn get<'a>(&'a self, row: usize, digits: &'a mut String) -> Result<&'a str, String> {
        digits.clear();
        let written = match *self {
            Self::Text(ids) => return check_id(&ids[row]),
            Self::Doubles(ids) => match ids[row] {
                // 2^53 - 1: from 2^53 on, two numbers may have become one.
                id if id.fract() == 0.0 && id.abs() <= 9_007_199_254_740_991.0 => write!(digits, "{}", id as i64),
                id => return Err(format!("{id}; allowed: a whole number below 2^53 (or text, or 64-bit integers)")),
            },
            Self::Signed(ids) => write!(digits, "{}", ids[row]),
            Self::Unsigned(ids) => write!(digits, "{}", ids[row]),
        };
        debug_assert!(written.is_ok(), "a String takes everything");
        Ok(digits)
    }
}

/// Rows as columns of one length.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Who.
    pub users: IdColumn<'a>,
    /// What.
    pub items: IdColumn<'a>,
    /// A number per row, such as a rating.
    pub values: Option<&'a [f64]>,
    /// When, in any unit that all batches share.
    pub timestamps: Option<&'a [f64]>,
}

/// Collects batches, in memory proportional to what is kept.
#[derive(Clone, Debug)]
pub struct Batches {
    builder: InteractionsBuilder,
    filter: RowFilter,
    thresholds: Thresholds,
    n_batches: usize,
    /// Whether the first batch that has rows has timestamps.
    timed: Option<bool>,
}

impl Batches {
    /// Starts without interactions.
    #[must_use]
    pub fn new(filter: RowFilter, thresholds: Thresholds) -> Self {
        Self { builder: InteractionsBuilder::new(), filter, thresholds, n_batches: 0, timed: None }
    }

    /// Keeps the users of a shard alone, before any is added; all where there are thresholds, which only all users
    /// together can meet.
    #[must_use]
    pub fn of_shard(self, shard: Option<Shard>) -> Self {
        let shard = self.thresholds.allow(shard);
        Self { builder: self.builder.of_shard(shard), ..self }
    }

    /// Adds the rows of a batch that pass the filter. Without `min_value` and `weighted`, values change nothing.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if columns differ in length, one is missing that the filter looks at, or only some batches
    /// have timestamps. `INVALID_DATA` if an id is empty, longer than 64 KiB or not a whole number, or a value or
    /// timestamp is not finite. Rows before the bad one stay added.
    pub fn push(&mut self, batch: &Batch<'_>) -> Result<()> {
        let number = self.n_batches;
        self.n_batches += 1;
        let of = format!(" of batch {number}");
        let place = |name: &str, row: usize| format!("{name}[{row}]{of}");
        self.push_called(batch, &place, &of, &format!(", which batch {number} lacks"))
    }

    /// The same of rows that were gathered from a source without batches, the first of which is its row number `first`:
    /// messages say "user of row 7" and know of no batch.
    ///
    /// # Errors
    /// As [`Batches::push`].
    pub fn push_rows(&mut self, batch: &Batch<'_>, first: u64) -> Result<()> {
        self.n_batches += 1;
        let place = |name: &str, row: usize| format!("{} of row {}", name.trim_end_matches('s'), first + row as u64);
        self.push_called(batch, &place, " of the rows", "")
    }

    /// The same with what messages call the place of a number and the batch, which has no name where there is only one.
    fn push_called(
        &mut self,
        batch: &Batch<'_>,
        place: &dyn Fn(&str, usize) -> String,
        of: &str,
        lacks: &str,
    ) -> Result<()> {
        let n_rows = batch.users.len();
        for (name, len) in [
            ("items", batch.items.len()),
            ("values", batch.values.map_or(n_rows, <[f64]>::len)),
            ("timestamps", batch.timestamps.map_or(n_rows, <[f64]>::len)),
        ] {
            if len != n_rows {
                let name = format!("number of {name}{of}");
                return Err(Error::invalid_argument(name, len, format!("as many as there are users, {n_rows}")));
            }
        }
        let RowFilter { min_value, weighted, since, until } = self.filter;
        if let (true, None) = (weighted, batch.values) {
            return Err(Error::invalid_argument("weighted", weighted, format!("only with values{lacks}")));
        }
        for (option, bound, name, column) in [
            ("minValue", min_value, "values", batch.values),
            ("since", since, "timestamps", batch.timestamps),
            ("until", until, "timestamps", batch.timestamps),
        ] {
            if let (Some(bound), None) = (bound, column) {
                return Err(Error::invalid_argument(option, bound, format!("only with {name}{lacks}")));
            }
        }
        let is_timed = batch.timestamps.is_some();
        if n_rows > 0 && *self.timed.get_or_insert(is_timed) != is_timed {
            // Times of a part of the rows would be lost.
            let [got, others] = if is_timed { ["there", "lack"] } else { ["missing", "have"] };
            let name = format!("column timestamps{of}");
            return Err(Error::invalid_argument(name, got, format!("in all or in none; those before {others} it")));
        }
        let (mut user_digits, mut item_digits) = (String::new(), String::new());
        for row in 0..n_rows {
            let bad = |name: &str, what: &str| Error::invalid_data(format!("{} is {what}", place(name, row)));
            let number_in = |name: &str, column: Option<&[f64]>| {
                column.map(|column| check_value(column[row]).map_err(|what| bad(name, &what))).transpose()
            };
            let user = batch.users.get(row, &mut user_digits).map_err(|what| bad("users", &what))?;
            let item = batch.items.get(row, &mut item_digits).map_err(|what| bad("items", &what))?;
            let (value, time) = (number_in("values", batch.values)?, number_in("timestamps", batch.timestamps)?);
            self.filter.push(&mut self.builder, user, item, value, time).map_err(|what| bad("values", &what))?;
        }
        Ok(())
    }

    /// Counts a history without items.
    pub(crate) fn push_empty(&mut self) {
        self.builder.push_empty();
    }

    /// Makes the matrix and applies the thresholds.
    ///
    /// # Errors
    /// `INVALID_DATA` if nothing is left or there were 2^32 - 1 users or items or more; the message says why.
    pub fn finish(self) -> Result<Interactions> {
        self.builder.finish(&self.thresholds)
    }
}

impl Interactions {
    /// Builds from columns of one length, as [`Interactions::from_columns`] does, with ids in any of their forms.
    ///
    /// # Errors
    /// As [`Batches::push`] and [`Batches::finish`].
    pub fn from_batch(batch: &Batch<'_>, filter: RowFilter, thresholds: Thresholds) -> Result<Self> {
        let mut batches = Batches::new(filter, thresholds);
        batches.push_called(batch, &|name, row| format!("{name}[{row}]"), "", "")?;
        batches.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::options::Options;

    #[test]
    fn timestamps_are_in_all_batches_or_in_none() {
        let column = IdColumn::Signed(&[1, 2]);
        let with = Batch { users: column, items: column, values: None, timestamps: Some(&[1.0, 2.0]) };
        let none = Batch { timestamps: None, ..with };
        let empty = Batch { users: IdColumn::Signed(&[]), items: IdColumn::Signed(&[]), ..none };
        let new = || Batches::new(RowFilter::default(), Thresholds::default());
        let mut batches = new();
        [empty, with].iter().for_each(|batch| batches.push(batch).unwrap());
        let text = "column timestamps of batch 2 is missing; allowed: in all or in none; those before have it";
        assert_eq!(batches.push(&none).unwrap_err().to_string(), text);
        batches.push(&empty).unwrap();
        assert_eq!(batches.finish().unwrap().times().unwrap(), [1.0, 2.0]);
        let mut batches = new();
        batches.push(&none).unwrap();
        let text = "column timestamps of batch 1 is there; allowed: in all or in none; those before lack it";
        assert_eq!(batches.push(&with).unwrap_err().to_string(), text);
        assert!(batches.finish().unwrap().times().is_none());
    }

    #[test]
    fn bounds_hold_at_their_ends_and_the_first_bad_row_is_named() {
        let filter = RowFilter { min_value: Some(4.0), since: Some(10.0), until: Some(20.0), weighted: false };
        let mut batches = Batches::new(filter, Thresholds::default());
        let (users, values) = ([1.0, 2.0, 3.0, 4.0], [4.0, 3.9, 5.0, 4.0]);
        let batch = Batch {
            users: IdColumn::Doubles(&users),
            items: IdColumn::Signed(&[-1, -2, -3, -4]),
            values: Some(&values),
            timestamps: Some(&[10.0, 10.0, 20.0, 19.0]),
        };
        batches.push(&batch).unwrap();
        let error = batches.push(&Batch { users: IdColumn::Doubles(&[0.0, 0.5, f64::NAN, 1e300]), ..batch });
        let text = "users[1] of batch 1 is 0.5; allowed: a whole number below 2^53 (or text, or 64-bit integers)";
        assert_eq!(error.unwrap_err().to_string(), text);
        let long = ["x".repeat((1 << 16) + 1)];
        let column = IdColumn::Text(&long);
        let error = batches.push(&Batch { users: column, items: column, values: None, timestamps: None });
        assert_eq!(error.unwrap_err().to_string(), "minValue is 4; allowed: only with values, which batch 2 lacks");
        let batch = Batch { users: column, items: column, ..batch };
        let error = batches.push(&Batch { values: Some(&[4.0]), timestamps: Some(&[10.0]), ..batch });
        let text = "users[0] of batch 3 is 65537 bytes long; allowed: at most 65536";
        assert_eq!(error.unwrap_err().to_string(), text);
        let batch = Batch { values: Some(&[4.0; 2]), timestamps: Some(&[10.0; 2]), ..batch };
        let users = ["u".to_owned(), String::new()];
        let rows = Batch { users: IdColumn::Text(&users), items: IdColumn::Signed(&[-1, -1]), ..batch };
        let error = batches.push_rows(&rows, 8192);
        assert_eq!(error.unwrap_err().to_string(), "user of row 8193 is empty; allowed: an id");
        let none = RowFilter::from_json(&serde_json::json!({"since": 2, "until": 2})).unwrap_err();
        assert_eq!(none.to_string(), "since is 2; allowed: a time before until, which is 2");
        // What came before the bad row stays, and what the bounds leave out is not known.
        let data = batches.finish().unwrap();
        assert_eq!(data.users().iter().collect::<Vec<_>>(), ["1", "4", "0", "u"]);
        assert_eq!(data.items().iter().collect::<Vec<_>>(), ["-1", "-4"]);
    }
}
