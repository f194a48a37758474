//! NDJSON: one JSON object per line, blank lines aside. Keys that are not asked for are skipped without being stored.

use std::collections::HashSet;
use std::fmt::{self, Write};
use std::io::{BufRead, Read};
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Unexpected, Visitor};
use serde_json::Value;

use super::{LONGEST_ROW, ReadOptions, bad, id, read_error, start_of};
use crate::base::error::{Error, Result};
use crate::data::interactions::InteractionsBuilder;

/// Reads all rows into the builder.
pub(super) fn parse(
    path: &Path,
    mut input: impl BufRead,
    options: &ReadOptions,
    builder: &mut InteractionsBuilder,
) -> Result<()> {
    let mut row =
        Row { options, user: String::new(), item: String::new(), value: None, found: [false; 3], is_long: [false; 2] };
    for_each_line(path, &mut input, |line, text| {
        row.read(text).map_err(|error| not_understood(path, line, text, &error))?;
        row.read_digits(text).map_err(|what| bad(path, Some(line), None, what))?;
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
        Ok(())
    })
}

/// Looks at all rows.
pub(super) fn check(path: &Path, mut input: impl BufRead) -> Result<()> {
    for_each_line(path, &mut input, |line, text| {
        let mut parser = serde_json::Deserializer::from_slice(text);
        let looked = parser.deserialize_map(Keys(HashSet::new())).and_then(|()| parser.end());
        looked.map_err(|error| not_understood(path, line, text, &error))
    })
}

/// Calls `take` with the number and the text of each line that is not blank.
fn for_each_line(path: &Path, input: &mut impl BufRead, mut take: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
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
        if !text.is_empty() {
            take(line, text)?;
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
    /// Whether the user or the item is a number of more digits than the parser keeps.
    is_long: [bool; 2],
}

impl Row<'_> {
    /// `(option, key)` of the three columns.
    fn keys(&self) -> [(&'static str, Option<&str>); 3] {
        let ReadOptions { user, item, value, .. } = self.options;
        [("user", Some(user)), ("item", Some(item)), ("value", value.as_deref())]
    }

    fn read(&mut self, text: &[u8]) -> serde_json::Result<()> {
        (self.found, self.is_long) = ([false; 3], [false; 2]);
        let mut parser = serde_json::Deserializer::from_slice(text);
        parser.deserialize_map(&mut *self)?;
        parser.end()
    }

    /// Takes the digits of long whole numbers from the text; or says what stands there.
    fn read_digits(&mut self, text: &[u8]) -> Result<(), String> {
        let ids = [(&self.options.user, &mut self.user), (&self.options.item, &mut self.item)];
        for ((name, id), is_long) in ids.into_iter().zip(self.is_long) {
            if is_long {
                *id = exact_id(name, token(value_of(text, name)).0)?;
            }
        }
        Ok(())
    }
}

/// The rest of a line, which was parsed already, from the value under a key on.
pub(super) fn value_of<'a>(text: &'a [u8], key: &str) -> &'a [u8] {
    let (mut at, mut depth, mut last) = (0, 0, None);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'"' => {
                let (string, _) = token(&text[at..]);
                at += string.len() - 1;
                last = (depth == 1).then_some(string);
            }
            b':' if last
                .take()
                .is_some_and(|name| serde_json::from_slice::<String>(name).is_ok_and(|name| name == key)) =>
            {
                return text[at + 1..].trim_ascii_start();
            }
            _ => {}
        }
        at += 1;
    }
    &[]
}

/// The string or the number that a text begins with, as it stands there, and what comes behind it.
pub(super) fn token(text: &[u8]) -> (&[u8], &[u8]) {
    let mut at = usize::from(text.starts_with(b"\""));
    let is_string = at == 1;
    while let Some(&byte) = text.get(at) {
        let is_end = if is_string { byte == b'"' } else { b",]}".contains(&byte) || byte.is_ascii_whitespace() };
        if is_end {
            break;
        }
        at += 1 + usize::from(is_string && byte == b'\\');
    }
    text.split_at((at + usize::from(is_string)).min(text.len()))
}

/// The id that a string or a number is, of the column of that name; or what is wrong with it.
pub(super) fn exact_id(name: &str, token: &[u8]) -> Result<String, String> {
    if token.starts_with(b"\"") {
        return serde_json::from_slice(token).map_err(|error| error.to_string());
    }
    let digits = token.strip_prefix(b"-").unwrap_or(token);
    match std::str::from_utf8(token) {
        Ok("-0") => Ok("0".to_owned()),
        Ok(number) if digits.iter().all(u8::is_ascii_digit) => Ok(number.to_owned()),
        _ => Err(format!("{name} is {}; allowed: a string or a whole number", start_of(token))),
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
                0 => map.next_value_seed(Id(&self.options.user, &mut self.user, &mut self.is_long[0]))?,
                1 => map.next_value_seed(Id(&self.options.item, &mut self.item, &mut self.is_long[1]))?,
                _ => self.value = Some(map.next_value_seed(Number(self.options.value.as_deref().unwrap_or_default()))?),
            }
        }
        Ok(())
    }
}

/// The keys of a line, each of which may come once.
struct Keys(HashSet<String>);

impl<'de> Visitor<'de> for Keys {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<IgnoredAny>()?;
            if let Some(key) = self.0.replace(key) {
                return Err(A::Error::custom(format!("key '{}' occurs twice", start_of(key.as_bytes()))));
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

/// An id, of the column of that name, that is written into the string. A number of more digits than the parser keeps sets the
/// flag instead: its text has to be looked up with [`value_of`].
pub(super) struct Id<'a>(pub(super) &'a str, pub(super) &'a mut String, pub(super) &'a mut bool);

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
        // From 2^63 on, in either direction, whole numbers come as doubles without their last digits, and so does -0.
        if id.abs() >= MOST_EXACT || id == 0.0 {
            *self.2 = true;
            return Ok(());
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
