//! NDJSON: one JSON object per line, blank lines aside. Keys that are not asked for are skipped without being stored.

use std::collections::HashSet;
use std::fmt;
use std::io::BufRead;
use std::path::Path;

use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::json_values::{Id, Key, Number, OneOrMore, Time};
use super::lines::{for_each_line, read_lines};
use super::plan::Plan;
use super::{bad, id, start_of};
use crate::base::error::{Error, Result};
use crate::data::interactions::InteractionsBuilder;

/// What should be on a line.
const WHAT: &str = "one JSON object";

/// Reads all rows into the builder.
pub(super) fn parse(path: &Path, input: impl BufRead, plan: &Plan, builder: &mut InteractionsBuilder) -> Result<()> {
    let mut row = Row {
        plan,
        user: String::new(),
        items: Vec::new(),
        is_list: false,
        value: None,
        time: None,
        found: [false; 4],
        is_long: [false; 2],
    };
    // A column holds lists or single ids, as in tables, where it has one type.
    let mut has_lists = None;
    read_lines(path, input, WHAT, plan, builder, |builder, line, text| {
        row.read(text).map_err(|error| not_understood(path, line, text, &error))?;
        row.read_digits(text).map_err(|what| bad(path, Some(line), None, what))?;
        for (found, (option, key)) in row.found.iter().zip(plan.columns()) {
            if let (false, Some(key)) = (found, key) {
                return Err(missing(path, line, text, key, &format!("name it by the option {option}")));
            }
        }
        let user = id(path, || (Some(line), 1), &plan.user, row.user.as_bytes())?;
        for (place, item) in row.items.iter().enumerate() {
            let at = || (Some(line), 1);
            match row.is_list {
                true => id(path, at, format_args!("{}[{place}]", plan.item), item.as_bytes())?,
                false => id(path, at, &plan.item, item.as_bytes())?,
            };
        }
        if has_lists.is_some_and(|before| before != row.is_list) {
            let (here, before) = if row.is_list { ("a list", "a single id") } else { ("a single id", "a list") };
            let what = format!("{} is {here}, and {before} in the rows before; allowed: one of them", plan.item);
            return Err(bad(path, Some(line), None, what));
        }
        let time = row.time.take().transpose().map_err(|what| {
            bad(path, Some(line), None, format!("{} is {what}", plan.time.as_deref().unwrap_or_default()))
        })?;
        for item in &row.items {
            plan.filter.push(builder, user, item, row.value, time).map_err(|what| {
                bad(path, Some(line), None, format!("{} is {what}", plan.value.as_deref().unwrap_or_default()))
            })?;
        }
        if row.items.is_empty() {
            builder.push_empty();
        }
        has_lists = Some(row.is_list);
        Ok(())
    })
}

/// Looks at all rows.
pub(super) fn check(path: &Path, mut input: impl BufRead) -> Result<()> {
    for_each_line(path, &mut input, WHAT, |line, text| {
        let mut parser = serde_json::Deserializer::from_slice(text);
        let looked = parser.deserialize_map(Keys(HashSet::new())).and_then(|()| parser.end());
        looked.map_err(|error| not_understood(path, line, text, &error))
    })
}

/// A line that is no JSON, or not the JSON that it should be.
pub(super) fn not_understood(path: &Path, line: u64, text: &[u8], error: &serde_json::Error) -> Error {
    // serde_json counts lines within what it was given, which is always one line.
    let reason = error.to_string();
    let reason = reason.rsplit_once(" at line ").map_or(reason.as_str(), |(reason, _)| reason);
    let message = format!("{reason}, in: {}", start_of(text.trim_ascii()));
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
    plan: &'a Plan,
    user: String,
    /// One item, or those of a list.
    items: Vec<String>,
    is_list: bool,
    value: Option<f64>,
    /// In seconds; or what is wrong with it.
    time: Option<Result<f64, String>>,
    found: [bool; 4],
    /// Whether the user or an item is a number of more digits than the parser keeps.
    is_long: [bool; 2],
}

impl Row<'_> {
    fn read(&mut self, text: &[u8]) -> serde_json::Result<()> {
        (self.found, self.is_long, self.is_list) = ([false; 4], [false; 2], false);
        (self.value, self.time) = (None, None);
        let mut parser = serde_json::Deserializer::from_slice(text);
        parser.deserialize_map(&mut *self)?;
        parser.end()
    }

    /// Takes the digits of long whole numbers from the text; or says what stands there.
    fn read_digits(&mut self, text: &[u8]) -> Result<(), String> {
        let (user, item) = (&self.plan.user, &self.plan.item);
        if self.is_long[0] {
            self.user = exact_id(user, token(value_of(text, user)).0)?;
        }
        if self.is_long[1] && self.is_list {
            exact_ids(item, value_of(text, item), &mut self.items)?;
        } else if self.is_long[1] {
            self.items[0] = exact_id(item, token(value_of(text, item)).0)?;
        }
        Ok(())
    }
}

/// Takes the ids of a list, whose text is given, anew.
pub(super) fn exact_ids(name: &str, mut rest: &[u8], ids: &mut [String]) -> Result<(), String> {
    for id in ids {
        let start = rest.iter().position(|byte| !b"[,".contains(byte) && !byte.is_ascii_whitespace());
        let (exact, behind) = token(&rest[start.unwrap_or(rest.len())..]);
        *id = exact_id(name, exact)?;
        rest = behind;
    }
    Ok(())
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
        while let Some(column) = map.next_key_seed(Key(self.plan.columns().map(|(_, key)| key)))? {
            let Some(column) = column else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if std::mem::replace(&mut self.found[column], true) {
                return Err(A::Error::custom(format!(
                    "key '{}' occurs twice",
                    self.plan.columns()[column].1.unwrap_or_default()
                )));
            }
            let name = self.plan.columns()[column].1.unwrap_or_default();
            match column {
                0 => map.next_value_seed(Id(name, &mut self.user, &mut self.is_long[0]))?,
                1 => {
                    let (items, is_long) = (&mut self.items, &mut self.is_long[1]);
                    self.is_list = map.next_value_seed(OneOrMore { name, items, is_long })?;
                    if self.is_list && self.plan.value.is_some() {
                        return Err(A::Error::custom(format!(
                            "{name} is a list, whose items have no value of their own"
                        )));
                    }
                }
                2 => self.value = Some(map.next_value_seed(Number(name))?),
                _ if self.plan.has_parts => {
                    let text: String = map.next_value()?;
                    self.time = Some(self.plan.time(text.as_bytes()));
                }
                _ => {
                    self.time = Some(match map.next_value_seed(Time(name))? {
                        Ok(seconds) => self.plan.date(seconds),
                        Err(number) => self.plan.seconds(number),
                    });
                }
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
