//! Keys and values of JSON on their way into rows: ids of any number of digits, lists of them, numbers and times.

use std::fmt::{self, Write};

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Unexpected, Visitor};

use crate::base::date::seconds_of;
use crate::base::error::Result;

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

/// An id, of the column of that name, that is written into the string. A number of more digits than the parser keeps
/// sets the flag instead: its text has to be looked up with `value_of`.
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

/// An id, or a list of ids, of the column of that name; says whether it is a list.
pub(super) struct OneOrMore<'a> {
    pub(super) name: &'a str,
    pub(super) items: &'a mut Vec<String>,
    pub(super) is_long: &'a mut bool,
}

impl OneOrMore<'_> {
    /// Takes a single id.
    fn one<E>(self, take: impl FnOnce(Id<'_>) -> Result<(), E>) -> Result<bool, E> {
        self.items.resize_with(1, String::new);
        take(Id(self.name, &mut self.items[0], self.is_long)).map(|()| false)
    }
}

impl<'de> DeserializeSeed<'de> for OneOrMore<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OneOrMore<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string or a whole number as {}", self.name)
    }

    fn visit_str<E: serde::de::Error>(self, id: &str) -> Result<bool, E> {
        self.one(|one| one.visit_str(id))
    }

    fn visit_u64<E: serde::de::Error>(self, id: u64) -> Result<bool, E> {
        self.one(|one| one.visit_u64(id))
    }

    fn visit_i64<E: serde::de::Error>(self, id: i64) -> Result<bool, E> {
        self.one(|one| one.visit_i64(id))
    }

    fn visit_f64<E: serde::de::Error>(self, id: f64) -> Result<bool, E> {
        self.one(|one| one.visit_f64(id))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<bool, A::Error> {
        self.items.clear();
        IdList(self.name, self.items, self.is_long).visit_seq(list)?;
        Ok(true)
    }
}

/// A list of ids, under that key, that are appended; one of more digits than the parser keeps sets the flag.
pub(super) struct IdList<'a>(pub(super) &'a str, pub(super) &'a mut Vec<String>, pub(super) &'a mut bool);

impl<'de> DeserializeSeed<'de> for IdList<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for IdList<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of ids as {}", self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut id = String::new();
        while list.next_element_seed(Id(self.0, &mut id, self.2))?.is_some() {
            self.1.push(std::mem::take(&mut id));
        }
        Ok(())
    }
}

/// 2^63: what is read as a double and lies below it was written with a point or an exponent.
const MOST_EXACT: f64 = 9_223_372_036_854_775_808.0;

/// A number.
pub(super) struct Number<'a>(pub(super) &'a str);

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

/// A time: seconds of a date, or a number in a unit that is not known here.
pub(super) struct Time<'a>(pub(super) &'a str);

impl<'de> DeserializeSeed<'de> for Time<'_> {
    type Value = Result<f64, f64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Time<'_> {
    type Value = Result<f64, f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number or a date such as 2015-01-31 as {}", self.0)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        seconds_of(text.as_bytes()).map(Ok).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Err(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Err(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Err(number as f64))
    }
}
