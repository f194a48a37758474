//! What a caller says about a file, and what is done after the format has filled in what was left open.

use super::formats::{Encoding, Escape, Format, Quote, Shape, TimeUnit};
use super::rows::Dialect;
use super::{finite, start_of};
use crate::base::date::{LEAST_SECONDS, Moment, NO_SECONDS, seconds_of};
use crate::base::error::{Error, Result};
use crate::base::options::options;
use crate::data::batches::{RowFilter, not_before};
use crate::data::interactions::{PARTS, check_min_value};

options! {
    /// What to read out of a file.
    pub struct ReadOptions for "read", check = check {
        /// The format, by the name of a program's (csv, tsv, ndjson, arrow), of the graph papers' lists (adjacency) or
        /// of a data set. Without it the file's name says it: `.csv`, `.tsv`, `.ndjson`, `.jsonl`, `.arrow`, `.arrows`,
        /// `.feather` or `.ipc`, with `.gz` or `.zst` behind it or not; and a data set is known by its name or its
        /// header where no other data have it. Whether the file is compressed is seen from its first bytes, never from
        /// its name.
        format: Option<Format> = None, Any;
        /// The text between two fields, such as `;` or `::`; `\\t` stands for a tab. Without it that of the format.
        separator: Option<String> = None, Any;
        /// Whether the first row names the columns. Without a header columns are called by their numbers, from 1 on;
        /// users are in column 1 and items in column 2 unless it is said otherwise.
        header: bool = true, Any;
        /// How text is written as bytes: `utf8`, or `latin1` for ISO 8859-1. Without it that of the format.
        encoding: Option<Encoding> = None, Any;
        /// What a quote means: `double`, it encloses a field; `none`, it is a character like any other. Without it that
        /// of the format, which is `double` for csv and `none` for tsv.
        quote: Option<Quote> = None, Any;
        /// How a quote inside a quoted field is written: `quote`, twice as in RFC 4180, or `backslash`, behind one.
        escape: Escape = Escape::Quote, Any;
        /// Column (or JSON key) of the user ids, unless the format has another name for it.
        user: String = "user".into(), Any;
        /// Column (or JSON key) of the item ids, unless the format has another name for it. In NDJSON and Arrow it may
        /// hold a list.
        item: String = "item".into(), Any;
        /// Column (or JSON key) of a number, such as a rating, that every row must have. It changes nothing without
        /// minValue or weighted: every row counts alike.
        value: Option<String> = None, Any;
        /// Rows whose value is lower are left out as if they were not there. Only with value, or a format that has one:
        /// the formats of ratings have one of their own, unless it is said otherwise (0 for none).
        min_value: Option<f64> = None, Any;
        /// Whether the value of a row, above 0, says how much it counts, as a number of plays does: iALS takes it for a
        /// confidence, and other models say that they do not. The values of a pair of user and item are added up. Only
        /// with value, or a format that has one.
        weighted: bool = false, Any;
        /// Column (or JSON key) of the time of each row: a number or a date such as 2015-01-31 or 2015-01-31T12:30:00Z.
        /// Splits by time need it, and since and until, which take that of the format if it has one.
        time: Option<String> = None, Any;
        /// What a number counts that is a time: seconds or milliseconds since 1970. Without it that of the format, else
        /// seconds.
        time_unit: Option<TimeUnit> = None, Any;
        /// Rows before this time are left out: a date, or a number in the unit of the times. Only with time.
        since: Option<Moment> = None, Any;
        /// Rows at this time or later are left out: a date, or a number in the unit of the times. Only with time.
        until: Option<Moment> = None, Any;
        /// Column (or JSON key) that says for which part of a split each row is: train, validation (or valid, val, dev)
        /// or test. The split of kind column needs it. It takes the place of time.
        part: Option<String> = None, Any;
        /// So many rows at most that cannot be understood are left out and counted; one more is an error, as any is
        /// without it.
        skip_bad_rows: u64 = 0, Any;
    }
}

/// The options do not contradict each other, whatever the format may be that a name or a header says: what a format of
/// published data has, such as a value, is looked for once it is known.
pub(crate) fn check(options: &ReadOptions) -> Result<()> {
    if options.format.is_none() && options.leaves_format_open() {
        return Ok(());
    }
    check_as(options, options.format.unwrap_or(Format::Csv))
}

/// The options make sense in a format.
fn check_as(options: &ReadOptions, format: Format) -> Result<()> {
    Plan::new(options, format).map(drop)
}

impl ReadOptions {
    /// Fails unless the options make sense for columns that are asked for by name, such as those of a query: there is
    /// no format that could say which they are.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the options contradict each other.
    pub fn check_columns(&self) -> Result<()> {
        check_as(self, self.format.unwrap_or(Format::Csv))
    }

    /// Whether nothing is said of columns and fields, so that a format may say it.
    pub(super) fn leaves_format_open(&self) -> bool {
        let Self { min_value, weighted, since, until, skip_bad_rows, .. } = self.clone();
        *self == Self { min_value, weighted, since, until, skip_bad_rows, ..Self::default() }
    }
}

/// How to read one file: all that the options and its format say.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(super) format: Format,
    pub(super) shape: Shape,
    pub(super) dialect: Dialect,
    /// What stands between ids in lists; blanks where there is none.
    pub(super) separator: Option<String>,
    pub(super) header: bool,
    pub(super) encoding: Encoding,
    pub(super) user: String,
    pub(super) item: String,
    pub(super) value: Option<String>,
    pub(super) time: Option<String>,
    /// Whether the column of times has the parts of a split.
    pub(super) has_parts: bool,
    pub(super) filter: RowFilter,
    /// How many of the unit of times are a second.
    per_second: f64,
    /// What is known of the times from since and until.
    bounds: Bounds,
    pub(super) skip_bad_rows: u64,
}

/// What since and until say of the times. Small numbers say nothing: they may stand for an order alone.
#[derive(Clone, Debug, Default)]
struct Bounds {
    /// Whether one of them is a date, or a number that is one in the unit of the times.
    has_dates: bool,
    /// Whether a date lies where seconds would, if they were taken for milliseconds: then such a time is nothing
    /// strange.
    is_early: bool,
    /// One that is far from any date, where nobody said the unit: the times may all be in another one.
    far: Option<(&'static str, f64)>,
}

impl Plan {
    /// Fills in what the options leave to the format.
    pub(super) fn new(options: &ReadOptions, format: Format) -> Result<Self> {
        let (layout, defaults) = (format.layout(), ReadOptions::default());
        let given = |text: &'static str| (!text.is_empty()).then(|| text.to_owned());
        let header = options.header && layout.header;
        let name = |own: &String, default: &String, column: &'static str, number: &str| match () {
            () if own != default => own.clone(),
            () if !column.is_empty() && options.header == defaults.header => column.to_owned(),
            () if header => own.clone(),
            () => number.to_owned(),
        };
        let needs_value = options.weighted || options.min_value.or(layout.min_value).is_some();
        let value = options.value.clone().or_else(|| given(layout.value).filter(|_| needs_value));
        let min_value = options.min_value.or(layout.min_value.filter(|_| options.value.is_none()));
        let needs_time = options.since.is_some() || options.until.is_some();
        let time = options.time.clone().or_else(|| given(layout.time).filter(|_| needs_time));
        let unit = options.time_unit.unwrap_or(layout.time_unit);
        let quote = options.quote.unwrap_or(layout.quote);
        let escape = if options.escape == Escape::Quote { layout.escape } else { options.escape };
        let separator = options.separator.as_ref().map(|text| text.replace("\\t", "\t"));
        let seconds = |moment: &Option<Moment>| moment.as_ref().map(|moment| moment.seconds(unit.per_second()));
        let mut plan = Self {
            format,
            shape: layout.shape,
            dialect: Dialect::new(
                separator.as_deref().unwrap_or(layout.separator),
                (quote == Quote::Double).then_some(escape),
            ),
            header,
            encoding: options.encoding.unwrap_or(layout.encoding),
            user: name(&options.user, &defaults.user, layout.user, "1"),
            item: name(&options.item, &defaults.item, layout.item, "2"),
            value,
            time: options.part.clone().or(time),
            has_parts: options.part.is_some(),
            filter: RowFilter {
                min_value,
                weighted: options.weighted,
                since: seconds(&options.since),
                until: seconds(&options.until),
            },
            per_second: unit.per_second(),
            bounds: Bounds::default(),
            skip_bad_rows: options.skip_bad_rows,
            separator,
        };
        plan.check_fields(options, quote, escape)?;
        plan.check_columns(options)?;
        plan.bounds = plan.bounds(options, options.time_unit.is_some() || !layout.time.is_empty())?;
        Ok(plan)
    }

    /// What is said of fields makes sense in the format.
    fn check_fields(&self, options: &ReadOptions, quote: Quote, escape: Escape) -> Result<()> {
        let format = self.format.word();
        let is_table = self.shape == Shape::Fields;
        let refuse = |name: &str, got: &str, allowed: String| Err(Error::invalid_argument(name, got, allowed));
        if let (Some(separator), Some(given)) = (&self.separator, &options.separator) {
            let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
            let got = format!("'{}'", given.chars().map(shown).collect::<String>());
            if !is_table && self.shape != Shape::Lists {
                return refuse("separator", &got, format!("only for tables and lists (the format is {format})"));
            }
            let has_quotes = is_table && quote == Quote::Double;
            if separator.is_empty() || separator.contains(['\n', '\r']) || has_quotes && separator.contains('"') {
                let quotes = if has_quotes { " or a quote" } else { "" };
                return refuse("separator", &got, format!("text without a line end{quotes}"));
            }
        }
        if !options.header && !is_table {
            return refuse("header", "false", format!("only for tables (the format is {format})"));
        }
        if let (Some(encoding), Shape::Arrow) = (options.encoding, self.shape) {
            return refuse(
                "encoding",
                &format!("'{}'", encoding.word()),
                format!("only for text (the format is {format})"),
            );
        }
        if let (Some(quote), false) = (options.quote, is_table) {
            return refuse(
                "quote",
                &format!("'{}'", quote.word()),
                format!("only for tables (the format is {format})"),
            );
        }
        if options.escape != Escape::Quote && !(is_table && quote == Quote::Double) {
            let how = if is_table && options.quote.is_some() {
                "quote is none".into()
            } else {
                format!("the format is {format}")
            };
            return refuse("escape", &format!("'{}'", escape.word()), format!("only for csv ({how})"));
        }
        Ok(())
    }

    /// The columns are there for what they are asked, and each for one thing.
    fn check_columns(&self, options: &ReadOptions) -> Result<()> {
        let (format, defaults) = (self.format.word(), ReadOptions::default());
        let columns = [
            ("user", Some(&self.user), (options.user != defaults.user).then_some(&options.user)),
            ("item", Some(&self.item), (options.item != defaults.item).then_some(&options.item)),
            ("value", self.value.as_ref(), options.value.as_ref()),
            (self.time_option(), self.time.as_ref(), self.named_time(options)),
        ];
        if let Some(part) = &options.part {
            let others = [options.time.is_some(), options.since.is_some(), options.until.is_some()];
            if let Some(at) = others.iter().position(|is_given| *is_given) {
                let allowed = format!("only without {}", ["time", "since", "until"][at]);
                return Err(Error::invalid_argument("part", format!("'{part}'"), allowed));
            }
        }
        check_min_value(options.min_value, self.value.is_some(), "the option value, which names its column")?;
        if options.weighted && self.value.is_none() {
            let allowed = "only with the option value, which names its column";
            return Err(Error::invalid_argument("weighted", options.weighted, allowed));
        }
        let bound = |bound: &Option<Moment>| bound.as_ref().map(Moment::to_string);
        let of_times = [
            ("since", bound(&options.since)),
            ("until", bound(&options.until)),
            ("timeUnit", options.time_unit.map(|unit| format!("'{}'", unit.word()))),
        ];
        for (name, given) in of_times {
            if let (Some(given), None) = (given, &self.time) {
                return Err(Error::invalid_argument(name, given, "only with the option time, which names its column"));
            }
        }
        if !matches!(self.shape, Shape::Fields | Shape::Objects | Shape::Arrow) {
            let named = columns.iter().find_map(|(name, _, own)| own.map(|own| (name, own)));
            return named.map_or(Ok(()), |(name, own)| {
                Err(Error::invalid_argument(
                    *name,
                    format!("'{own}'"),
                    format!("none for {format}, which has no names of columns"),
                ))
            });
        }
        for (at, (name, column, _)) in columns.iter().enumerate() {
            let Some(column) = column else { continue };
            if self.shape == Shape::Fields && !self.header && column.parse::<usize>().ok().is_none_or(|n| n == 0) {
                let allowed = "the number of a column, from 1 on: there is no header";
                return Err(Error::invalid_argument(*name, format!("'{column}'"), allowed));
            }
            if columns[..at].iter().any(|(_, other, _)| *other == Some(column)) {
                let others: Vec<_> =
                    columns[..at].iter().filter(|(_, other, _)| other.is_some()).map(|(name, ..)| *name).collect();
                let allowed = format!("a column other than {}", others.join(" and "));
                return Err(Error::invalid_argument(*name, format!("'{column}'"), allowed));
            }
        }
        Ok(())
    }

    /// The columns of a table or the keys of an object, each with the option that names it.
    pub(super) fn columns(&self) -> [(&'static str, Option<&str>); 4] {
        let (value, time) = (self.value.as_deref(), self.time.as_deref());
        [("user", Some(&self.user)), ("item", Some(&self.item)), ("value", value), (self.time_option(), time)]
    }

    /// The option that names the column of times, or of parts.
    pub(super) fn time_option(&self) -> &'static str {
        if self.has_parts { "part" } else { "time" }
    }

    /// The name that the caller gave to that column.
    fn named_time<'a>(&self, options: &'a ReadOptions) -> Option<&'a String> {
        let time = options.time.as_ref().filter(|time| *time != self.format.layout().time);
        options.part.as_ref().or(time)
    }

    /// What since and until say of the times, if they make sense in their unit and together. `is_said`: whether the
    /// unit is.
    fn bounds(&self, options: &ReadOptions, is_said: bool) -> Result<Bounds> {
        let given = [("since", &options.since), ("until", &options.until)];
        let given: Vec<(&'static str, &Moment)> =
            given.into_iter().filter_map(|(name, bound)| Some((name, bound.as_ref()?))).collect();
        let mut bounds = Bounds::default();
        for (_, bound) in &given {
            let seconds = bound.seconds(self.per_second);
            let is_date = matches!(bound, Moment::Date(_));
            bounds.has_dates |= is_date || (LEAST_SECONDS..NO_SECONDS).contains(&seconds);
            bounds.is_early |= is_date && self.looks_like_seconds(seconds * self.per_second);
        }
        for (name, bound) in given {
            let Moment::Number(number) = *bound else { continue };
            let Some(far) = self.far(number, bounds.is_early) else { continue };
            if is_said || bounds.has_dates {
                let allowed = "a date, or a number in the unit of the times, which the option timeUnit says";
                return Err(Error::invalid_argument(name, format!("{number}, which {far}"), allowed));
            }
            bounds.far = bounds.far.or(Some((name, number)));
        }
        match (self.filter.since, self.filter.until, &options.since, &options.until) {
            (Some(from), Some(to), Some(since), Some(until)) if from >= to => Err(not_before(since, until)),
            _ => Ok(bounds),
        }
    }

    /// Whether a number counts another unit, by its size, and looks like seconds.
    fn looks_like_seconds(&self, number: f64) -> bool {
        self.per_second > 1.0 && (LEAST_SECONDS..NO_SECONDS).contains(&number)
    }

    /// Why a number is hardly the time of anything in the unit of the times, if that is so.
    fn far(&self, number: f64, is_early: bool) -> Option<String> {
        let unit = if self.per_second == 1.0 { "seconds" } else { "milliseconds" };
        if (number / self.per_second).abs() >= NO_SECONDS {
            return Some(format!("lies far from any date if it counts {unit}"));
        }
        let is_strange = !is_early && self.looks_like_seconds(number);
        is_strange.then(|| format!("lies before April 1973 if it counts {unit}, and looks like seconds"))
    }

    /// A number that is a time, in seconds; or what is wrong with it.
    pub(super) fn seconds(&self, number: f64) -> Result<f64, String> {
        if self.bounds.has_dates
            && let Some(far) = self.far(number, self.bounds.is_early)
        {
            return Err(format!(
                "{number}, which {far}; allowed with these since and until: a number in the option timeUnit, 's' or 'ms'"
            ));
        }
        let seconds = number / self.per_second;
        if (LEAST_SECONDS..NO_SECONDS).contains(&seconds) { self.date(seconds) } else { Ok(seconds) }
    }

    /// A time that is a date for certain, in seconds; or what is wrong with it beside since and until.
    pub(super) fn date(&self, seconds: f64) -> Result<f64, String> {
        let Some((name, bound)) = self.bounds.far else { return Ok(seconds) };
        let far = self.far(bound, false).unwrap_or_default();
        Err(format!(
            "a date ({seconds} in seconds), and {name} is {bound}, which {far}; allowed: {name} as a date, or a number in the \
             option timeUnit, 's' or 'ms'"
        ))
    }

    /// A date or a number that is a time, in seconds; or what is wrong with it.
    pub(super) fn time(&self, text: &[u8]) -> Result<f64, String> {
        if self.has_parts {
            let part = PARTS.iter().find(|(word, _)| word.as_bytes() == text).map(|(_, part)| *part);
            return part
                .ok_or_else(|| format!("'{}'; allowed: {}", start_of(text), PARTS.map(|(word, _)| word).join(", ")));
        }
        match finite(text) {
            Some(number) => self.seconds(number),
            None => match seconds_of(text) {
                Some(seconds) => self.date(seconds),
                None => {
                    let got = start_of(text);
                    Err(format!("'{got}'; allowed: a number, or a date such as 2015-01-31 or 2015-01-31T12:30:00Z"))
                }
            },
        }
    }
}
