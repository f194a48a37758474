//! Dates as text: `2015-01-31`, `2015-01-31 12:30:00` and the other forms of ISO 8601 that data sets use, as seconds.
//!
//! Without a zone, UTC is meant. Source of the day count: H. Hinnant, chrono-Compatible Low-Level Date Algorithms,
//! 2013, `days_from_civil`: the year begins in March there, so that the leap day is its last one.

use serde_json::Value;

use crate::base::options::OptionValue;

/// A point of time as an option: a number, in the unit of the times that it is compared with, or a date.
#[derive(Clone, Debug, PartialEq)]
pub enum Moment {
    /// A number, such as 881250949.
    Number(f64),
    /// A date, such as `2015-01-31`, as it was written.
    Date(String),
}

impl Moment {
    /// Seconds since 1970 of a date, and of a number of which there are so many in a second.
    pub(crate) fn seconds(&self, per_second: f64) -> f64 {
        match self {
            Self::Number(number) => number / per_second,
            Self::Date(text) => seconds_of(text.as_bytes()).unwrap_or(f64::NAN),
        }
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Date(text) => f.write_str(text),
        }
    }
}

impl OptionValue for Moment {
    fn typescript() -> String {
        "number | string | Date".into()
    }

    fn expected() -> String {
        "a finite number or a date such as '2015-01-31' or '2015-01-31T12:30:00Z'".into()
    }

    fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => seconds_of(text.as_bytes()).map(|_| Self::Date(text.clone())),
            value => value.as_f64().map(Self::Number),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Number(number) => (*number).into(),
            Self::Date(text) => text.as_str().into(),
        }
    }
}

/// A day in seconds.
pub(crate) const SECONDS_OF_DAY: f64 = 86_400.0;

/// The least number that cannot count seconds: it would lie behind the year 5000.
pub(crate) const NO_SECONDS: f64 = 1e11;

/// The least number that is taken for seconds where it should count milliseconds. These would lie in January of 1970,
/// and the seconds in 1973; up to [`NO_SECONDS`] the milliseconds lie before that day of 1973, too.
pub(crate) const LEAST_SECONDS: f64 = 1e8;

/// Seconds since 1970-01-01T00:00:00Z; `None` for what is no date of the form `YYYY-MM-DD`, with or without a time
/// behind it (`T` or a blank, `HH:MM`, seconds and their decimals, `Z` or an offset such as `+02:00`).
pub(crate) fn seconds_of(text: &[u8]) -> Option<f64> {
    let (date, rest) = text.split_at_checked(10)?;
    let [year, month, day] = [number(&date[..4])?, number(&date[5..7])?, number(&date[8..])?];
    if date[4] != b'-' || date[7] != b'-' || !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    let days = SECONDS_OF_DAY * days_since_1970(year, month, day) as f64;
    match rest.split_first() {
        None => Some(days),
        Some((b'T' | b't' | b' ', time)) => Some(days + seconds_of_day(time)?),
        Some(_) => None,
    }
}

/// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.fff`, and a zone.
fn seconds_of_day(text: &[u8]) -> Option<f64> {
    let zone = text.iter().position(|byte| b"Zz+-".contains(byte)).unwrap_or(text.len());
    let (time, zone) = text.split_at(zone);
    let (clock, rest) = time.split_at_checked(5)?;
    let seconds = match rest.split_first() {
        None => 0.0,
        Some((b':', seconds)) => decimal(seconds)?,
        Some(_) => return None,
    };
    let offset = match zone.split_first() {
        None | Some((b'Z' | b'z', [])) => 0,
        Some((sign @ (b'+' | b'-'), [hours @ .., b':', m, n])) => offset(*sign, hours, &[*m, *n])?,
        Some((sign @ (b'+' | b'-'), [h, i, minutes @ ..])) => {
            offset(*sign, &[*h, *i], if minutes.is_empty() { b"00" } else { minutes })?
        }
        Some(_) => return None,
    };
    // A leap second is the second before the next minute.
    let is_within = seconds < 61.0;
    is_within.then_some(f64::from(clock_minutes(clock)? - offset) * 60.0 + seconds)
}

fn offset(sign: u8, hours: &[u8], minutes: &[u8]) -> Option<i32> {
    let all = clock_minutes(&[hours, b":", minutes].concat())?;
    Some(if sign == b'-' { -all } else { all })
}

/// `HH:MM` in minutes.
fn clock_minutes(text: &[u8]) -> Option<i32> {
    let [h, i, b':', m, n] = *text else { return None };
    let (hours, minutes) = (number(&[h, i])?, number(&[m, n])?);
    (hours < 24 && minutes < 60).then_some((60 * hours + minutes) as i32)
}

/// `SS` or `SS.fff`.
fn decimal(text: &[u8]) -> Option<f64> {
    let is_decimal = text.len() == 2 || text.len() > 3 && text[2] == b'.';
    let digits = text.iter().enumerate().all(|(at, byte)| at == 2 || byte.is_ascii_digit());
    if is_decimal && digits { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().all(u8::is_ascii_digit).then(|| digits.iter().fold(0, |n, byte| 10 * n + i64::from(byte - b'0')))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year;
    146_097 * era + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_python() {
        // datetime.fromisoformat(text).timestamp(), in UTC where the text has no zone.
        for (text, seconds) in [
            ("1970-01-01", 0.0),
            ("1969-12-31", -86_400.0),
            ("2000-02-29", 951_782_400.0),
            ("2100-03-01", 4_107_542_400.0),
            ("0001-01-01", -62_135_596_800.0),
            ("9999-12-31", 253_402_214_400.0),
            ("2005-09-06", 1_125_964_800.0),
            ("2009-05-04T23:08:57Z", 1_241_478_537.0),
            ("2010-10-19 23:55:27", 1_287_532_527.0),
            ("2014-02-05T20:30:30.25", 1_391_632_230.25),
            ("2014-02-05T20:30+02:00", 1_391_625_000.0),
            ("2014-02-05t20:30:00-0930", 1_391_666_400.0),
            ("2014-02-05 20:30:00+01", 1_391_628_600.0),
        ] {
            assert_eq!(seconds_of(text.as_bytes()), Some(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "2015",
            "2015-1-31",
            "2015-13-01",
            "2015-00-01",
            "2015-02-29",
            "2015-04-31",
            "2015-01-00",
            "2015/01/31",
            "20150131",
            "2015-01-31T",
            "2015-01-31T24:00",
            "2015-01-31T12:60",
            "2015-01-31T12:00:61",
            "2015-01-31T12:00:",
            "2015-01-31T12:00:1",
            "2015-01-31T12:00:00.",
            "2015-01-31T12:00:00X",
            "2015-01-31T12:00:00+",
            "2015-01-31T12:00:00+2",
            "2015-01-31T12:00:00Z1",
            "2015-01-31x12:00",
            "-015-01-31",
            "٢015-01-31",
        ] {
            assert_eq!(seconds_of(text.as_bytes()), None, "{text}");
        }
    }
}
