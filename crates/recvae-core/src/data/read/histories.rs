//! Histories as NDJSON that comes in pieces: one `{"user": "u1", "items": ["a", "b"]}` per line, blank lines aside.
//!
//! A line may have the lists `allow` and `deny`, too: of the only items that may come for it, and of items that must
//! not. Ids, numbers and limits are those of interactions in NDJSON, whose parser this is. Other keys are skipped, and
//! the first one is kept, so that a misspelt `deny` can be told.

use std::fmt;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::input::{Input, MARK, decoded};
use super::json_values::{Id, IdList, Key};
use super::lines::too_long;
use super::ndjson::{exact_id, exact_ids, missing, not_understood, token, value_of};
use super::{LONGEST_ROW, STDIN, bad, id, read_error};
use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};

/// A history as a line has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryLine {
    /// Id of the user.
    pub user: String,
    /// Ids of the items, in the order of the line.
    pub items: Vec<String>,
    /// The only items that may come; without it all.
    pub allow: Option<Vec<String>>,
    /// Items that must not come.
    pub deny: Option<Vec<String>>,
}

/// Reads histories in memory of one line and one piece.
#[derive(Clone, Debug)]
pub struct HistoryLines {
    path: PathBuf,
    /// The beginning of a line whose end has not come.
    held: Vec<u8>,
    /// Number of lines before it.
    lines: u64,
    skipped: Option<SkippedKey>,
}

/// A key that a line has and nobody reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    /// The key as it stands there.
    pub key: String,
    /// Number of the line, from 1.
    pub line: u64,
}

/// What a line should be, for messages.
const EXAMPLE: &str = r#"allowed: {"user":"u1","items":["a","b"]}"#;

impl HistoryLines {
    /// Waits for the first bytes of what errors call `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), held: Vec::new(), lines: 0, skipped: None }
    }

    /// Takes the next bytes, and appends the histories in the lines that they end.
    ///
    /// # Errors
    /// `INVALID_DATA`, with the line, if it is not such a JSON object, an id is empty or longer than 64 KiB, or the
    /// line is longer than 1 MiB. The histories before it are appended. Nothing can be read afterwards.
    pub fn push(&mut self, bytes: &[u8], histories: &mut Vec<HistoryLine>) -> Result<()> {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            if (self.held.len() + part.len()) as u64 > LONGEST_ROW {
                return Err(too_long(&self.path, self.lines + 1, "one JSON object"));
            }
            if !part.ends_with(b"\n") {
                self.held.extend_from_slice(part);
            } else if self.held.is_empty() {
                self.line(part, histories)?;
            } else {
                let mut line = std::mem::take(&mut self.held);
                line.extend_from_slice(part);
                self.line(&line, histories)?;
                line.clear();
                self.held = line;
            }
        }
        Ok(())
    }

    /// The same for a last line that no line feed ends.
    ///
    /// # Errors
    /// As [`HistoryLines::push`].
    pub fn finish(&mut self, histories: &mut Vec<HistoryLine>) -> Result<()> {
        let line = std::mem::take(&mut self.held);
        self.line(&line, histories)
    }

    fn line(&mut self, text: &[u8], histories: &mut Vec<HistoryLine>) -> Result<()> {
        self.lines += 1;
        let line = self.lines;
        // A byte order mark is no character of the first line.
        let mark = if line == 1 { MARK } else { b"" };
        let text = text.strip_prefix(mark).unwrap_or(text).trim_ascii_end();
        if text.is_empty() {
            return Ok(());
        }
        let mut row = Row::default();
        row.read(text).map_err(|error| match not_understood(&self.path, line, text, &error) {
            Error::InvalidData { path, line, column, message } => {
                Error::InvalidData { path, line, column, message: format!("{message}; {EXAMPLE}") }
            }
            other => other,
        })?;
        row.read_digits(text).map_err(|what| bad(&self.path, Some(line), None, what))?;
        if let Some((_, key)) = row.found.iter().zip(NEEDED).find(|(found, _)| !**found) {
            return Err(missing(&self.path, line, text, key, EXAMPLE));
        }
        let at = || (Some(line), 1);
        id(&self.path, at, "user", row.user.as_bytes())?;
        for (name, ids) in LISTS.iter().zip(&row.lists) {
            for (place, item) in ids.iter().enumerate() {
                id(&self.path, at, format_args!("{name}[{place}]"), item.as_bytes())?;
            }
        }
        if let (None, Some(key)) = (&self.skipped, row.skipped.take()) {
            self.skipped = Some(SkippedKey { key, line });
        }
        histories.push(row.into_history());
        Ok(())
    }

    /// The first key of the lines so far that is none of `user`, `items`, `allow` and `deny`.
    pub fn skipped(&self) -> Option<&SkippedKey> {
        self.skipped.as_ref()
    }
}

/// Bytes that are parsed at once.
const PIECE: usize = 1 << 16;

/// Reads histories out of a file, a pipe or standard input, plain or compressed as by [`super::read_interactions`], in
/// memory of one line and one piece.
pub struct HistoryReader {
    lines: HistoryLines,
    /// Whether nothing can be read any more.
    ended: bool,
    input: Source,
    /// What is wrong behind the histories that were handed out.
    failed: Option<Error>,
    cancel: Cancel,
}

/// Nothing is read before somebody asks: the first bytes, which say how they are compressed, may take long to come.
enum Source {
    Opened(Input),
    Decoded(Box<dyn BufRead + Send>),
    Ended,
}

impl HistoryReader {
    /// Opens what is at the path, and waits for nobody who writes to it.
    ///
    /// # Errors
    /// `IO` if it cannot be opened.
    pub fn open(path: &Path, cancel: &Cancel) -> Result<Self> {
        let input = Input::open(path, cancel).map_err(|source| Error::io("read", path, source))?;
        Ok(Self::new(path, input, cancel))
    }

    /// Reads standard input, from where it is.
    ///
    /// # Errors
    /// `IO` if there is none.
    pub fn stdin(cancel: &Cancel) -> Result<Self> {
        let path = Path::new(STDIN);
        let input = Input::stdin(cancel).map_err(|source| Error::io("read", path, source))?;
        Ok(Self::new(path, input, cancel))
    }

    fn new(path: &Path, input: Input, cancel: &Cancel) -> Self {
        let (lines, input) = (HistoryLines::new(path), Source::Opened(input));
        Self { lines, ended: false, input, failed: None, cancel: cancel.clone() }
    }

    /// [`HistoryLines::skipped`] of what has been read.
    pub fn skipped(&self) -> Option<&SkippedKey> {
        self.lines.skipped()
    }

    /// The histories that come next, as soon as there is one; none at the end.
    ///
    /// # Errors
    /// As [`HistoryLines::push`], after the histories before; `IO` if reading fails, `INVALID_DATA` if what is
    /// compressed is broken or cut off, `CANCELLED` if it was stopped. Nothing can be read afterwards.
    pub fn next_histories(&mut self) -> Result<Vec<HistoryLine>> {
        let mut histories = Vec::new();
        let mut piece = vec![0; PIECE];
        while histories.is_empty() && self.failed.is_none() && !self.ended {
            let read = match self.input.read(&mut piece) {
                Ok(0) => {
                    self.ended = true;
                    self.lines.finish(&mut histories)
                }
                Ok(n) => self.lines.push(&piece[..n], &mut histories),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(()),
                Err(error) => {
                    Err(self.cancel.check().err().unwrap_or_else(|| read_error(&self.lines.path, None, error)))
                }
            };
            self.failed = read.err();
        }
        match self.failed.take() {
            Some(error) if histories.is_empty() => {
                self.ended = true;
                Err(error)
            }
            failed => {
                self.failed = failed;
                Ok(histories)
            }
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        *self = match std::mem::replace(self, Self::Ended) {
            Self::Opened(input) => Self::Decoded(decoded(input)?),
            other => other,
        };
        match self {
            Self::Decoded(input) => input.read(buffer),
            Self::Opened(_) | Self::Ended => Ok(0),
        }
    }
}

const KEYS: [&str; 4] = ["user", "items", "allow", "deny"];
/// Those that no line lacks.
const NEEDED: [&str; 2] = ["user", "items"];
/// Those of lists.
const LISTS: [&str; 3] = ["items", "allow", "deny"];

/// What one line says.
#[derive(Default)]
struct Row {
    user: String,
    lists: [Vec<String>; 3],
    found: [bool; 4],
    /// Whether the user or an id of a list is a number of more digits than the parser keeps.
    is_long: [bool; 4],
    /// The first key that is none of these.
    skipped: Option<String>,
}

impl Row {
    fn read(&mut self, text: &[u8]) -> serde_json::Result<()> {
        let mut parser = serde_json::Deserializer::from_slice(text);
        parser.deserialize_map(&mut *self)?;
        parser.end()
    }

    /// Takes the digits of long whole numbers from the text; or says what stands there.
    fn read_digits(&mut self, text: &[u8]) -> Result<(), String> {
        let user = KEYS[0];
        if self.is_long[0] {
            self.user = exact_id(user, token(value_of(text, user)).0)?;
        }
        for (at, name) in LISTS.into_iter().enumerate() {
            if self.is_long[1 + at] {
                exact_ids(name, value_of(text, name), &mut self.lists[at])?;
            }
        }
        Ok(())
    }

    fn into_history(self) -> HistoryLine {
        let ([items, allow, deny], [.., has_allow, has_deny]) = (self.lists, self.found);
        HistoryLine { user: self.user, items, allow: has_allow.then_some(allow), deny: has_deny.then_some(deny) }
    }
}

impl<'de> Visitor<'de> for &mut Row {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(column) = map.next_key_seed(KnownKey(&mut self.skipped))? {
            let Some(column) = column else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if std::mem::replace(&mut self.found[column], true) {
                return Err(A::Error::custom(format!("key '{}' occurs twice", KEYS[column])));
            }
            match column {
                0 => map.next_value_seed(Id(KEYS[0], &mut self.user, &mut self.is_long[0]))?,
                _ => {
                    map.next_value_seed(IdList(KEYS[column], &mut self.lists[column - 1], &mut self.is_long[column]))?
                }
            }
        }
        Ok(())
    }
}

/// Which of [`KEYS`] a key is; the first one that is none of them is kept.
struct KnownKey<'a>(&'a mut Option<String>);

impl<'de> DeserializeSeed<'de> for KnownKey<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KnownKey<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Self::Value, E> {
        let found = Key(KEYS.map(Some)).visit_str(key)?;
        if found.is_none() && self.0.is_none() {
            *self.0 = Some(key.to_owned());
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes before the first bad line, and what is wrong with that; the bytes come in pieces of a length.
    fn read(bytes: &[u8], piece: usize) -> (Vec<HistoryLine>, Option<String>) {
        let (mut lines, mut histories) = (HistoryLines::new("h"), Vec::new());
        let pieces = bytes.chunks(piece).try_for_each(|piece| lines.push(piece, &mut histories));
        let result = pieces.and_then(|()| lines.finish(&mut histories));
        (histories, result.err().map(|error| error.to_string()))
    }

    #[test]
    fn the_first_key_that_nobody_reads_is_kept() {
        let text = "{\"user\":\"a\",\"items\":[]}\n\n{\"user\":\"b\",\"deni\":[\"x\"],\"items\":[],\"at\":{\"user\":1}}\n\
                    {\"at\":1,\"user\":\"c\",\"items\":[]}";
        for piece in [1, 7, 1000] {
            let (mut lines, mut histories) = (HistoryLines::new("h"), Vec::new());
            text.as_bytes().chunks(piece).try_for_each(|piece| lines.push(piece, &mut histories)).unwrap();
            lines.finish(&mut histories).unwrap();
            assert_eq!(histories.len(), 3);
            assert_eq!(lines.skipped(), Some(&SkippedKey { key: "deni".into(), line: 3 }));
        }
        let mut lines = HistoryLines::new("h");
        lines.push(b"{\"user\":\"a\",\"items\":[],\"allow\":[],\"deny\":[]}\n", &mut Vec::new()).unwrap();
        assert_eq!(lines.skipped(), None);
    }

    #[test]
    fn pieces_of_any_length_give_the_same_histories() {
        let text = "\u{feff}{\"user\":18446744073709551615,\"items\":[76561197960287930,\"é\",-9223372036854775808,-0]}\r\n \t\n\
                    {\"at\":{\"user\":[]},\"items\":[],\"user\":\"\\u00fc\"}\n{\"user\":\"last\",\"items\":[\"a\",\"a\"]}\n\
                    {\"x\":[1],\"items\" : [ \"\\\"],\" ,-18446744073709551616 ,7, 1234567890123456789012345],\"user\":99999999999999999999}";
        let history = |user: &str, items: &[&str]| HistoryLine {
            user: user.into(),
            items: items.iter().map(|&item| item.into()).collect(),
            ..HistoryLine::default()
        };
        let expected = vec![
            history("18446744073709551615", &["76561197960287930", "é", "-9223372036854775808", "0"]),
            history("ü", &[]),
            history("last", &["a", "a"]),
            history("99999999999999999999", &["\"],", "-18446744073709551616", "7", "1234567890123456789012345"]),
        ];
        for piece in 1..=text.len() {
            assert_eq!(read(text.as_bytes(), piece), (expected.clone(), None), "{piece}");
        }
    }

    #[test]
    fn a_line_may_have_lists_of_what_may_come_and_what_must_not() {
        let text =
            "{\"user\":1,\"items\":[],\"deny\":[\"a\",18446744073709551616],\"allow\":[]}\n{\"user\":2,\"items\":[3]}";
        let ids = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>();
        let expected = vec![
            HistoryLine {
                user: "1".into(),
                items: vec![],
                allow: Some(vec![]),
                deny: Some(ids(&["a", "18446744073709551616"])),
            },
            HistoryLine { user: "2".into(), items: ids(&["3"]), ..HistoryLine::default() },
        ];
        assert_eq!(read(text.as_bytes(), 9), (expected, None));
        let (_, error) = read(b"{\"user\":1,\"items\":[],\"deny\":[\"\"]}", 1 << 20);
        assert!(error.unwrap().starts_with("h:1:1: deny[0] is empty; allowed: an id"));
        let (_, error) = read(b"{\"user\":1,\"items\":[],\"allow\":null}", 1 << 20);
        assert!(error.unwrap().contains("expected a list of ids as allow"));
    }

    #[test]
    fn a_bad_line_is_named_after_the_histories_before_it() {
        let long = "x".repeat((1 << 16) + 1);
        for (line, text) in [
            (
                r#"{"user":"#,
                "h:2:8: EOF while parsing a value, in: {\"user\":; allowed: {\"user\":\"u1\",\"items\":[\"a\",\"b\"]}",
            ),
            ("[]", "h:2:1: invalid type: sequence, expected a JSON object, in: []"),
            ("3", "h:2:1: invalid type: integer `3`, expected a JSON object, in: 3"),
            (r#"{"user":"u"}"#, "h:2: there is no key 'items' among 'user'; allowed: {\"user\":"),
            (r#"{"items":[]}"#, "h:2: there is no key 'user' among 'items'; allowed: {\"user\":"),
            (
                r#"{"user":"u","items":"ab"}"#,
                "h:2:24: invalid type: string \"ab\", expected a list of ids as items, in",
            ),
            (
                r#"{"user":"u","items":[1.5]}"#,
                "h:2:24: invalid type: floating point `1.5`, expected a string or a whole ",
            ),
            (
                r#"{"user":"u","items":[null]}"#,
                "h:2:25: invalid type: null, expected a string or a whole number as items",
            ),
            (r#"{"user":"u","items":["a", 1e300]}"#, "h:2: items is 1e300; allowed: a string or a whole number"),
            (r#"{"user":0.0,"items":[]}"#, "h:2: user is 0.0; allowed: a string or a whole number"),
            (r#"{"user":"u","user":"v","items":[]}"#, "h:2:18: key 'user' occurs twice"),
            (r#"{"user":"","items":[]}"#, "h:2:1: user is empty; allowed: an id"),
            (r#"{"user":"u","items":["a",""]}"#, "h:2:1: items[1] is empty; allowed: an id"),
            (&format!(r#"{{"user":"u","items":["{long}"]}}"#), "h:2:1: items[0] has 65537 bytes; allowed: at most"),
            (r#"{"user":"\ud800","items":[]}"#, "h:2:"),
        ] {
            for piece in [7, 1 << 20] {
                let good = "{\"user\":\"u\",\"items\":[\"a\"]}\n";
                let (histories, error) = read(format!("{good}{line}\n{good}").as_bytes(), piece);
                assert_eq!(histories.len(), 1, "{line}");
                let error = error.unwrap();
                assert!(error.starts_with(text), "{error}");
            }
        }
        let (_, error) = read(b"{\"user\":\"\xff\",\"items\":[]}", 5);
        assert!(error.unwrap().starts_with("h:1:"));
    }

    #[test]
    fn a_line_without_an_end_is_refused_before_it_is_held() {
        let mut lines = HistoryLines::new("h");
        let (piece, mut pushed) = ([b'x'; 1 << 12], 0u64);
        let error = loop {
            match lines.push(&piece, &mut vec![]) {
                Ok(()) => pushed += piece.len() as u64,
                Err(error) => break error,
            }
        };
        assert_eq!(error.to_string(), "h:1: the line is longer than 1048576 bytes; allowed: one JSON object per line");
        assert_eq!((pushed, lines.held.len() as u64), (LONGEST_ROW, LONGEST_ROW));
        // The longest line that is allowed, with its line feed.
        let start = "{\"user\":\"u\",\"items\":[]";
        for (spaces, is_good) in
            [(LONGEST_ROW as usize - start.len() - 2, true), (LONGEST_ROW as usize - start.len() - 1, false)]
        {
            let text = format!("{start}{}}}\n", " ".repeat(spaces));
            assert_eq!(read(text.as_bytes(), 1 << 16).1.is_none(), is_good);
        }
    }
}
