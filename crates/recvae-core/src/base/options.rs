//! Options: each one's name, type, default, range and meaning are written once, here in the core.
//!
//! The [`options!`] macro turns one description into the struct, its `Default`, its checks, its JSON form and a table
//! ([`OptionInfo`]) from which the TypeScript types, the command line's `--set` and the documentation are made.
//! JSON names are camelCase; a key that is not in the table is an error.

use serde_json::{Map, Value, json};

use crate::base::error::{Error, Result};
use crate::base::search_space::Search;

/// What is known about one option.
#[derive(Clone, Debug)]
pub struct OptionInfo {
    /// Name in JSON, in TypeScript and after `--set`.
    pub name: String,
    /// Its TypeScript type.
    pub typescript: String,
    /// Its default.
    pub default: Value,
    /// The values that are accepted, in words.
    pub allowed: String,
    /// What it does.
    pub doc: String,
    /// What is worth trying when the option is searched on validation; `None`: it is not searched by default.
    pub search: Option<Search>,
}

impl OptionInfo {
    /// The table's row as JSON, all fields by their names.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name, "typescript": self.typescript, "default": self.default,
            "allowed": self.allowed, "doc": self.doc, "search": self.search.as_ref().map(Search::to_json),
        })
    }
}

/// A set of options that was checked.
pub trait Options: Default + Clone + Send + Sync {
    /// What is known about each option, in order of declaration.
    fn describe() -> Vec<OptionInfo>;

    /// Reads `{name: value}`; what is missing takes its default.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` names the unknown key, or the key whose value has the wrong type or lies out of range.
    fn from_json(value: &Value) -> Result<Self>;

    /// All options with their values.
    fn to_json(&self) -> Value;

    /// The same options, once they are known to be what [`Options::from_json`] takes: for options that did not come
    /// from there.
    ///
    /// # Errors
    /// As [`Options::from_json`].
    fn checked(&self) -> Result<Self> {
        let (mut given, defaults) = (self.to_json(), Self::default().to_json());
        if let Some(given) = given.as_object_mut() {
            // What is absent has no form that could be read. A number that is not finite is null in JSON, too, and
            // stays.
            given.retain(|name, value| !(value.is_null() && defaults[name.as_str()].is_null()));
        }
        Self::from_json(&given)
    }
}

/// What a whole number is called.
const WHOLE: &str = "a whole number";

/// A type that an option can have.
pub(crate) trait OptionValue: Sized {
    fn typescript() -> String;
    fn expected() -> String;
    fn from_json(value: &Value) -> Option<Self>;
    fn to_json(&self) -> Value;
}

macro_rules! option_value {
    ($type:ty, $typescript:literal, $expected:expr, $parse:expr) => {
        impl OptionValue for $type {
            fn typescript() -> String {
                $typescript.into()
            }
            fn expected() -> String {
                $expected.into()
            }
            fn from_json(value: &Value) -> Option<Self> {
                $parse(value)
            }
            fn to_json(&self) -> Value {
                json!(self)
            }
        }
    };
}

option_value!(f64, "number", "a finite number", Value::as_f64);
option_value!(bool, "boolean", "true or false", Value::as_bool);
option_value!(u64, "number", WHOLE, whole);
option_value!(usize, "number", WHOLE, |value| whole(value).and_then(|n| n.try_into().ok()));
option_value!(String, "string", "a string", |value: &Value| value.as_str().map(str::to_owned));
option_value!([f64; 3], "[number, number, number]", "three finite numbers", |value: &Value| {
    let numbers: Option<Vec<f64>> = value.as_array()?.iter().map(Value::as_f64).collect();
    numbers?.try_into().ok()
});
option_value!(Vec<f64>, "number[]", "a list of finite numbers", |value: &Value| {
    value.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>()
});

/// An option without which something is left to the data or left out; JSON has no word for that but its absence.
impl<T: OptionValue> OptionValue for Option<T> {
    fn typescript() -> String {
        T::typescript()
    }
    fn expected() -> String {
        T::expected()
    }
    fn from_json(value: &Value) -> Option<Self> {
        T::from_json(value).map(Some)
    }
    fn to_json(&self) -> Value {
        match self.as_ref().map(T::to_json) {
            None => Value::Null,
            // Null would be taken for absent.
            Some(Value::Null) => Value::String("not finite".into()),
            Some(value) => value,
        }
    }
}

/// 2^53, where doubles stop being exact.
const MOST_WHOLE: u64 = 1 << 53;

/// A non-negative whole number, also when JSON wrote it as `5.0`, up to 2^53.
fn whole(value: &Value) -> Option<u64> {
    match value.as_u64() {
        Some(n) => Some(n).filter(|&n| n <= MOST_WHOLE),
        None => value.as_f64().filter(|n| n.fract() == 0.0 && (0.0..=MOST_WHOLE as f64).contains(n)).map(|n| n as u64),
    }
}

/// The range of a number or of each number in a list.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Range {
    Any,
    /// Greater than.
    Above(f64),
    /// At least.
    AtLeast(f64),
    /// Both ends belong to it.
    Between(f64, f64),
    /// The lower end belongs to it, the upper one does not.
    Below(f64, f64),
    /// The upper end belongs to it, the lower one does not.
    UpTo(f64, f64),
    /// Neither end belongs to it.
    Inside(f64, f64),
}

impl Range {
    fn holds(self, number: f64) -> bool {
        number.is_finite()
            && match self {
                Self::Any => true,
                Self::Above(low) => number > low,
                Self::AtLeast(low) => number >= low,
                Self::Between(low, high) => (low..=high).contains(&number),
                Self::Below(low, high) => (low..high).contains(&number),
                Self::UpTo(low, high) => number > low && number <= high,
                Self::Inside(low, high) => number > low && number < high,
            }
    }

    /// The range in words, behind the type's own.
    pub(crate) fn describe(self, expected: &str) -> String {
        match self {
            Self::Any if expected == WHOLE => format!("{expected} from 0 to 2^53"),
            Self::Any => expected.to_owned(),
            Self::Above(low) => format!("{expected} above {low}"),
            Self::AtLeast(low) => format!("{expected}, {low} or more"),
            Self::Between(low, high) => format!("{expected} from {low} to {high}"),
            Self::Below(low, high) => format!("{expected} from {low} to below {high}"),
            Self::UpTo(low, high) => format!("{expected} above {low} and up to {high}"),
            Self::Inside(low, high) => format!("{expected} above {low} and below {high}"),
        }
    }

    /// Whether every number in the value lies in the range; other types pass.
    fn holds_for(self, value: &Value) -> bool {
        match value {
            Value::Number(number) => number.as_f64().is_some_and(|n| self.holds(n)),
            Value::Array(values) => values.iter().all(|value| self.holds_for(value)),
            _ => true,
        }
    }
}

/// Reads one option out of `given`.
pub(crate) fn read<T: OptionValue>(given: &Map<String, Value>, name: &str, default: T, range: Range) -> Result<T> {
    let Some(value) = given.get(name) else { return Ok(default) };
    T::from_json(value).filter(|_| range.holds_for(value)).ok_or_else(|| {
        let (expected, number) = (T::expected(), value.as_f64());
        let allowed = range.describe(&expected);
        // A number that is whole, but too large, is told the limit that goes without saying elsewhere.
        let is_too_large = expected == WHOLE && number.is_some_and(|n| n.fract() == 0.0 && n > MOST_WHOLE as f64);
        let limit = if is_too_large && !allowed.contains(" to ") { ", at most 2^53" } else { "" };
        Error::invalid_argument(name, value, allowed + limit)
    })
}

/// The object behind `value`, once every key is known to be in `known`.
pub(crate) fn known_keys<'a>(value: &'a Value, owner: &str, known: &[String]) -> Result<&'a Map<String, Value>> {
    let Value::Object(given) = value else {
        return Err(Error::invalid_argument(format!("options of {owner}"), value, "an object {name: value}"));
    };
    for key in given.keys() {
        if !known.contains(key) {
            return Err(Error::invalid_argument(
                format!("{owner} option"),
                format!("'{key}'"),
                match known {
                    [] => "no option at all".to_owned(),
                    known => known.join(", "),
                },
            ));
        }
    }
    Ok(given)
}

/// `latent_dim` to `latentDim`.
pub(crate) fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut result = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(1);
        result.push_str(&first.to_uppercase());
        result.push_str(rest);
    }
    result
}

/// Declares a struct of options with everything that is derived from it. See the module's text.
macro_rules! options {
    (
        $(#[doc = $struct_doc:literal])+
        pub struct $name:ident for $owner:literal $(, check = $check:path)? {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $type:ty = $default:expr, $range:expr $(, search = $search:expr)?;
            )*
        }
    ) => {
        $(#[doc = $struct_doc])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::base::options::Options for $name {
            fn describe() -> Vec<$crate::base::options::OptionInfo> {
                #[allow(unused_imports)]
                use $crate::base::{options::{OptionValue, Range::*}, search_space::Search};
                #[allow(unused_variables)] // a set without options
                let defaults = Self::default();
                vec![$($crate::base::options::OptionInfo {
                    name: $crate::base::options::camel_case(stringify!($field)),
                    typescript: <$type>::typescript(),
                    default: defaults.$field.to_json(),
                    allowed: $range.describe(&<$type>::expected()),
                    doc: [$($doc),+].map(str::trim).join(" "),
                    search: [$(Search::from($search))?].into_iter().next(),
                }),*]
            }

            fn from_json(value: &serde_json::Value) -> $crate::base::error::Result<Self> {
                #[allow(unused_imports)]
                use $crate::base::options::Range::*;
                let names: Vec<String> = vec![$($crate::base::options::camel_case(stringify!($field))),*];
                #[allow(unused_variables)]
                let given = $crate::base::options::known_keys(value, $owner, &names)?;
                #[allow(unused_variables)]
                let defaults = Self::default();
                let options = Self {
                    $($field: $crate::base::options::read(
                        given, &$crate::base::options::camel_case(stringify!($field)), defaults.$field, $range,
                    )?,)*
                };
                $($check(&options)?;)?
                Ok(options)
            }

            fn to_json(&self) -> serde_json::Value {
                #[allow(unused_imports)]
                use $crate::base::options::OptionValue;
                #[allow(unused_mut)]
                let mut object = serde_json::Map::new();
                $(object.insert($crate::base::options::camel_case(stringify!($field)), self.$field.to_json());)*
                object.into()
            }
        }
    };
}
pub(crate) use options;

/// Declares an enum that options write as one of a few words.
macro_rules! choice {
    (
        $(#[doc = $enum_doc:literal])+
        pub enum $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+ }
    ) => {
        $(#[doc = $enum_doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl $name {
            /// The word that stands for it.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl $crate::base::options::OptionValue for $name {
            fn typescript() -> String {
                [$(concat!("'", $word, "'")),+].join(" | ")
            }
            fn expected() -> String {
                [$(concat!("'", $word, "'")),+].join(" or ")
            }
            fn from_json(value: &serde_json::Value) -> Option<Self> {
                match value.as_str()? { $($word => Some(Self::$variant),)+ _ => None }
            }
            fn to_json(&self) -> serde_json::Value {
                self.word().into()
            }
        }
    };
}
pub(crate) use choice;

#[cfg(test)]
#[allow(unreachable_pub)] // the macros make public types
mod tests {
    use super::*;
    use crate::base::random::Stream;

    /// Options are kept and asked for again as JSON: the parser must not round them, as serde_json does without
    /// `float_roundtrip`.
    #[test]
    fn numbers_come_back_from_json_to_the_last_bit() {
        let mut random = Stream::new(1, 0);
        for _ in 0..10_000 {
            let number = f64::from_bits(random.next_u64());
            if number.is_finite() {
                let again: f64 = serde_json::from_str(&serde_json::to_string(&number).unwrap()).unwrap();
                assert_eq!(again.to_bits(), number.to_bits(), "{number}");
            }
        }
    }

    choice! {
        /// For the tests.
        pub enum Colour {
            /// Like blood.
            Red = "red",
            /// Like the sky.
            Blue = "blue",
        }
    }

    options! {
        /// For the tests.
        pub struct Sample for "sample" {
            /// A weight
            /// over two lines.
            big_weight: f64 = 2.0, Above(0.0), search = [1.0, 2.0];
            /// A number.
            count: usize = 3, Between(1.0, 9.0), search = Search::Log { from: 1.0, to: 9.0 };
            /// Another one.
            size: usize = 3, AtLeast(1.0);
            /// Where random numbers begin.
            seed: u64 = 0, Any;
            /// A colour.
            colour: Colour = Colour::Red, Any;
            /// Three of them.
            parts: [f64; 3] = [0.5, 0.25, 0.25], AtLeast(0.0);
        }
    }

    #[test]
    fn defaults_survive_a_round_trip() {
        let default = Sample::default();
        assert_eq!(Sample::from_json(&default.to_json()).unwrap(), default);
        assert_eq!(Sample::from_json(&json!({})).unwrap(), default);
        let table = Sample::describe();
        assert_eq!(table[0].name, "bigWeight");
        assert_eq!(table[0].doc, "A weight over two lines.");
        assert_eq!(table[0].search, Some(Search::Values(vec![json!(1.0), json!(2.0)])));
        assert_eq!(table[1].search, Some(Search::Log { from: 1.0, to: 9.0 }));
        assert_eq!(table[4].search, None);
        assert_eq!(table[1].to_json()["search"], json!({"from": 1.0, "to": 9.0, "scale": "log"}));
        assert_eq!(table[0].to_json()["search"], json!([1.0, 2.0]));
        assert_eq!(table[4].typescript, "'red' | 'blue'");
    }

    #[test]
    fn errors_name_key_value_and_range() {
        for (given, text) in [
            (
                json!({"bigweight": 1}),
                "sample option is 'bigweight'; allowed: bigWeight, count, size, seed, colour, parts",
            ),
            (json!({"bigWeight": 0}), "bigWeight is 0; allowed: a finite number above 0"),
            (json!({"bigWeight": "1"}), "bigWeight is \"1\"; allowed: a finite number above 0"),
            (json!({"bigWeight": null}), "bigWeight is null; allowed: a finite number above 0"),
            (json!({"count": 1.5}), "count is 1.5; allowed: a whole number from 1 to 9"),
            (json!({"count": 10}), "count is 10; allowed: a whole number from 1 to 9"),
            (json!({"colour": "green"}), "colour is \"green\"; allowed: 'red' or 'blue'"),
            (
                json!({"size": 9_007_199_254_740_994u64}),
                "size is 9007199254740994; allowed: a whole number, 1 or more, at most 2^53",
            ),
            (json!({"seed": -1}), "seed is -1; allowed: a whole number from 0 to 2^53"),
            (json!({"seed": 1e300}), "seed is 1e+300; allowed: a whole number from 0 to 2^53"),
            (json!({"parts": [1, 2]}), "parts is [1,2]; allowed: three finite numbers, 0 or more"),
            (json!({"parts": [1, 2, -1]}), "parts is [1,2,-1]; allowed: three finite numbers, 0 or more"),
            (json!([]), "options of sample is []; allowed: an object {name: value}"),
        ] {
            assert_eq!(Sample::from_json(&given).unwrap_err().to_string(), text);
        }
        assert_eq!(Sample::from_json(&json!({"count": 4.0})).unwrap().count, 4);
    }

    options! {
        /// With one that may be absent.
        pub struct Bounded for "bounded" {
            /// A bound.
            bound: Option<f64> = None, Any;
            /// A number.
            number: f64 = 1.0, Any;
        }
    }

    #[test]
    fn options_made_in_rust_are_checked_like_others() {
        let checked = |bound, number| Bounded { bound, number }.checked().map_err(|error| error.to_string());
        assert_eq!(checked(None, 2.0).unwrap(), Bounded { bound: None, number: 2.0 });
        assert_eq!(checked(Some(3.0), 2.0).unwrap(), Bounded { bound: Some(3.0), number: 2.0 });
        assert_eq!(checked(None, f64::NAN).unwrap_err(), "number is null; allowed: a finite number");
        for bound in [f64::NAN, f64::INFINITY] {
            assert_eq!(checked(Some(bound), 2.0).unwrap_err(), "bound is \"not finite\"; allowed: a finite number");
        }
    }
}
