//! Rows that another reader, such as a database, hands out in columns, under the options of files: times in any form,
//! and parts.

use super::{Format, Plan, ReadOptions};
use crate::base::date::SECONDS_OF_DAY;
use crate::base::error::{Error, Result};
use crate::data::batches::{Batch, Batches};
use crate::data::interactions::{Interactions, Thresholds};
use crate::data::shard::Shard;

/// A column of times, or of the parts of a split.
#[derive(Clone, Copy, Debug)]
pub enum TimeColumn<'a> {
    /// Numbers in a unit of which there are so many in a second; without it the unit that the options say.
    Numbers(&'a [f64], Option<f64>),
    /// Days since 1970.
    Days(&'a [f64]),
    /// Text, which is read as in a file: a number, a date, or a part.
    Text(&'a [String]),
}

impl TimeColumn<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers, _) | Self::Days(numbers) => numbers.len(),
            Self::Text(texts) => texts.len(),
        }
    }

    fn get(&self, row: usize, plan: &Plan) -> Result<f64, String> {
        match *self {
            Self::Numbers(..) | Self::Days(_) if plan.has_parts => Err("a number; allowed: text".into()),
            Self::Numbers(numbers, _) | Self::Days(numbers) if !numbers[row].is_finite() => {
                Err("null; allowed: a time".into())
            }
            Self::Numbers(numbers, None) => plan.seconds(numbers[row]),
            Self::Numbers(numbers, Some(per_second)) => plan.date(numbers[row] / per_second),
            Self::Days(days) => plan.date(SECONDS_OF_DAY * days[row]),
            Self::Text(texts) => plan.time(texts[row].trim_ascii().as_bytes()),
        }
    }
}

/// Collects such rows, in memory proportional to what is kept.
#[derive(Clone, Debug)]
pub struct ColumnRows {
    plan: Plan,
    batches: Batches,
    n_rows: u64,
}

impl ColumnRows {
    /// Starts without interactions. The options name columns and say which rows count.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the options contradict each other.
    pub fn new(options: &ReadOptions, thresholds: Thresholds, shard: Option<Shard>) -> Result<Self> {
        let plan = Plan::new(options, options.format.unwrap_or(Format::Csv))?;
        let batches = Batches::new(plan.filter.clone(), thresholds).of_shard(shard);
        Ok(Self { plan, batches, n_rows: 0 })
    }

    /// Adds rows. `batch` has no timestamps. With `lengths` each row was a list of so many items, and the batch has one
    /// for each item; times are those of the rows, and a row without items counts as an empty history.
    ///
    /// # Errors
    /// As [`Batches::push`], and `INVALID_DATA` for what is no time or no part.
    pub fn push(&mut self, batch: &Batch<'_>, times: Option<TimeColumn<'_>>, lengths: Option<&[usize]>) -> Result<()> {
        let seconds = |times: TimeColumn<'_>| {
            let name = self.plan.time.as_deref().unwrap_or_default();
            let time = |row: usize| {
                let bad = |what| Error::invalid_data(format!("{name} in row {} is {what}", self.n_rows + row as u64));
                times.get(row, &self.plan).map_err(bad)
            };
            (0..times.len()).map(time).collect::<Result<Vec<_>>>()
        };
        let mut times = times.map(seconds).transpose()?;
        if let (Some(lengths), Some(of_rows)) = (lengths, &mut times) {
            *of_rows = of_rows.iter().zip(lengths).flat_map(|(&time, &n)| std::iter::repeat_n(time, n)).collect();
        }
        self.batches.push_rows(&Batch { timestamps: times.as_deref(), ..*batch }, self.n_rows)?;
        let empty = lengths.unwrap_or_default().iter().filter(|&&n| n == 0);
        empty.for_each(|_| self.batches.push_empty());
        self.n_rows += lengths.map_or(batch.users.len(), <[usize]>::len) as u64;
        Ok(())
    }

    /// Makes the matrix and applies the thresholds.
    ///
    /// # Errors
    /// As [`Batches::finish`].
    pub fn finish(self) -> Result<Interactions> {
        let read = self.batches.finish()?;
        Ok(if self.plan.has_parts { read.with_parts() } else { read })
    }
}
