//! NDJSON: one JSON object per line, blank lines aside. Keys that are not asked for are skipped without being stored.

use std::fmt::{self, Write};
use std::io::{BufRead, Read};
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Unexpected, Visitor};
use serde_json::Value;

use super::{LONGEST_ROW, ReadOptions, bad, id, read_error, start_of};
use crate::error::{Error, Result};
use crate::interactions::InteractionsBuilder;

/// Reads all rows into the builder.
pub(super) fn parse(
    path: &Path,
    mut input: impl BufRead,
    options: &ReadOptions,
    builder: &mut InteractionsBuilder,
) -> Result<()> {
    let mut row = Row { options, user: String::new(), item: String::new(), value: None, found: [false; 3] };
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
            return Err(too_long(path, line));
        }
        let text = text.trim_ascii_end();
        if text.is_empty() {
            continue;
        }
        row.read(text).map_err(|error| not_understood(path, line, text, &error))?;
        for (found, (option, key)) in row.found.iter().zip(row.keys()) {
            if let (false, Some(key)) = (found, key) {
                return Err(missing(path, line, text, key, &format!("name it by the option {option}")));
            }
        }
        let user = id(path, || (Some(line), 1), &options.user, row.user.as_bytes())?;
        let item = id(path, || (Some(line), 1), &options.item, row.item.as_bytes())?;
        match row.value {
            Some(value) => builder.push_value(user, item, value, options.min_value),
            None => builder.push(user, item),
        }
    }
}

/// A line that would fill the memory.
pub(super) fn too_long(path: &Path, line: u64) -> Error {
    let message = format!("the line is longer than {LONGEST_ROW} bytes; allowed: one JSON object per line");
    bad(path, Some(line), None, message)
}

/// A line that is no JSON, or not the JSON that it should be.
pub(super) fn not_understood(path: &Path, line: u64, text: &[u8], error: &serde_json::Error) -> Error {
    // serde_json counts lines within what it was given, which is always one line.
    let reason = error.to_string();
    let reason = reason.rsplit_once(" at line ").map_or(reason.as_str(), |(reason, _)| reason);
    let start = String::from_utf8_lossy(&text.trim_ascii()[..text.trim_ascii().len().min(80)]).into_owned();
    let message = format!("{reason}, in: {start}");
    bad(path, Some(line), Some(error.column().max(1) as u64), message)
}

/// An object that lacks a key. `help` says what can be done.
pub(super) fn missing(path: &Path, line: u64, text: &[u8], key: &str, help: &str) -> Error {
    let found = match serde_json::from_slice(text) {
        Ok(Value::Object(object)) => {
            object.keys().take(20).map(|key| format!("'{}'", start_of(key.as_bytes()))).collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    };
    let found = if found.is_empty() { "no keys".to_owned() } else { found };
    bad(path, Some(line), None, format!("there is no key '{key}' among {found}; {help}"))
}

/// What one line says. The strings keep their memory from line to line.
struct Row<'a> {
    options: &'a ReadOptions,
    user: String,
    item: String,
    value: Option<f64>,
    found: [bool; 3],
}

impl Row<'_> {
    /// `(option, key)` of the three columns.
    fn keys(&self) -> [(&'static str, Option<&str>); 3] {
        let ReadOptions { user, item, value, .. } = self.options;
        [("user", Some(user)), ("item", Some(item)), ("value", value.as_deref())]
    }

    fn read(&mut self, text: &[u8]) -> serde_json::Result<()> {
        self.found = [false; 3];
        let mut parser = serde_json::Deserializer::from_slice(text);
        parser.deserialize_map(&mut *self)?;
        parser.end()
    }
}

impl<'de> Visitor<'de> for &mut Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(column) = map.next_key_seed(Key(self.keys().map(|(_, key)| key)))? {
            let Some(column) = column else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if std::mem::replace(&mut self.found[column], true) {
                return Err(A::Error::custom(format!(
                    "key '{}' occurs twice",
                    self.keys()[column].1.unwrap_or_default()
                )));
            }
            match column {
                0 => map.next_value_seed(Id(&self.options.user, &mut self.user))?,
                1 => map.next_value_seed(Id(&self.options.item, &mut self.item))?,
                _ => self.value = Some(map.next_value_seed(Number(self.options.value.as_deref().unwrap_or_default()))?),
            }
        }
        Ok(())
    }
}

/// Which of the columns a key is, if any.
pub(super) struct Key<'a, const N: usize>(pub(super) [Option<&'a str>; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Key<'_, N> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<const N: usize> Visitor<'_> for Key<'_, N> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|&name| name == Some(key)))
    }
}

/// An id, of the column of that name, that is written into the string.
pub(super) struct Id<'a>(pub(super) &'a str, pub(super) &'a mut String);

impl Id<'_> {
    fn set<E: serde::de::Error>(self, id: impl fmt::Display) -> Result<(), E> {
        self.1.clear();
        write!(self.1, "{id}").map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Id<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Id<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string or a whole number as {}", self.0)
    }

    fn visit_str<E>(self, id: &str) -> Result<(), E> {
        self.1.clear();
        self.1.push_str(id);
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, id: u64) -> Result<(), E> {
        self.set(id)
    }

    fn visit_i64<E: serde::de::Error>(self, id: i64) -> Result<(), E> {
        self.set(id)
    }

    fn visit_f64<E: serde::de::Error>(self, id: f64) -> Result<(), E> {
        // serde_json reads `-0` as the double -0.0, and whole numbers that do not fit into 64 bits as doubles without their
        // last digits.
        if id == 0.0 && id.is_sign_negative() {
            return self.set(0);
        }
        if id.abs() >= MOST_EXACT {
            return Err(E::custom(format!(
                "a number beyond 64 bits as {}; allowed: a string or a whole number of at most 64 bits",
                self.0
            )));
        }
        Err(E::invalid_type(Unexpected::Float(id), &self))
    }
}

/// 2^63: what is read as a double and lies below it was written with a point or an exponent.
const MOST_EXACT: f64 = 9_223_372_036_854_775_808.0;

/// A number.
struct Number<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Number<'_> {
    type Value = f64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<f64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Number<'_> {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number as {}", self.0)
    }

    fn visit_f64<E>(self, number: f64) -> Result<f64, E> {
        Ok(number)
    }

    fn visit_u64<E>(self, number: u64) -> Result<f64, E> {
        Ok(number as f64)
    }

    fn visit_i64<E>(self, number: i64) -> Result<f64, E> {
        Ok(number as f64)
    }
}
