//! The header of a safetensors file: which tensors there are and where they lie, and texts about them.
//!
//! Nothing is believed: every length is compared with what the file has before anything of that length is taken. What
//! is built here is a small multiple of the header, which is part of the file.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, json};

/// Bytes before the header: its length.
pub(in crate::serve) const LENGTH: usize = 8;
/// The longest header, as in the other readers of such files.
pub(in crate::serve) const LONGEST: usize = 100_000_000;

/// A tensor in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::serve) struct Entry {
    pub(in crate::serve) name: String,
    /// Type of the numbers, such as `F32`.
    pub(in crate::serve) dtype: String,
    pub(in crate::serve) shape: Vec<usize>,
    /// Where its bytes lie in the file.
    pub(in crate::serve) range: Range<usize>,
}

/// What stands in front of the tensors.
#[derive(Debug, Default)]
pub(in crate::serve) struct Header {
    pub(in crate::serve) metadata: BTreeMap<String, String>,
    /// In the order of their bytes, without gaps, to the end of the file.
    pub(in crate::serve) tensors: Vec<Entry>,
}

/// Bytes of a number of a type; `None` if the type is not known.
pub(in crate::serve) fn size_of_type(dtype: &str) -> Option<usize> {
    match dtype {
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" => Some(1),
        "U16" | "I16" | "F16" | "BF16" => Some(2),
        "U32" | "I32" | "F32" => Some(4),
        "U64" | "I64" | "F64" => Some(8),
        _ => None,
    }
}

/// Whether a file may begin with the length of a header. That of a text never does.
pub(in crate::serve) fn may_begin(file: &[u8]) -> bool {
    file.first_chunk().is_none_or(|length| u64::from_le_bytes(*length) <= LONGEST as u64)
}

impl Header {
    /// Reads the header of a file.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(in crate::serve) fn parse(file: &[u8]) -> Result<Self, String> {
        let (length, rest) = file
            .split_first_chunk::<LENGTH>()
            .ok_or_else(|| format!("{} bytes, which end before a header", file.len()))?;
        let length = u64::from_le_bytes(*length);
        let longest = LONGEST.min(rest.len());
        let length = usize::try_from(length).ok().filter(|&length| length <= longest);
        let length = length.ok_or_else(|| {
            let claimed = u64::from_le_bytes(file[..LENGTH].try_into().unwrap_or_default());
            format!("it claims a header of {claimed} bytes; allowed: {longest}, as {} follow", rest.len())
        })?;
        let (text, data) = rest.split_at(length);
        let text = std::str::from_utf8(text).map_err(|e| format!("its header is not UTF-8: {e}"))?;
        let RawHeader { metadata, tensors } =
            serde_json::from_str(text).map_err(|e| format!("its header is not JSON as it should be: {e}"))?;
        let start = LENGTH + length;
        let mut header = Self { metadata, tensors: vec![] };
        for (name, tensor) in tensors {
            header.tensors.push(tensor.checked(name, start, data.len())?);
        }
        // An empty tensor comes before the one that begins where it lies.
        header.tensors.sort_by_key(|entry| (entry.range.start, entry.range.end));
        let mut end = start;
        for Entry { name, range, .. } in &header.tensors {
            if range.start != end {
                return Err(format!(
                    "tensor '{name}' begins at byte {}, and what is before it ends at {end}",
                    range.start
                ));
            }
            end = range.end;
        }
        if end != file.len() {
            return Err(format!("it has {} bytes and its tensors end at {end}", file.len()));
        }
        Ok(header)
    }
}

/// The bytes that come before the tensors of a file, which lie in the order in which they are given here by name, type,
/// shape and number of bytes. Blanks at the end make their number a multiple of 8.
pub(in crate::serve) fn render<'a>(
    metadata: &BTreeMap<String, String>,
    tensors: impl Iterator<Item = (&'a str, &'a str, &'a [usize], usize)>,
) -> Vec<u8> {
    let mut text = format!("{{\"__metadata__\":{}", json!(metadata));
    let mut start = 0;
    for (name, dtype, shape, bytes) in tensors {
        let end = start + bytes;
        let shape = Value::from(shape);
        text +=
            &format!(",{}:{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[{start},{end}]}}", json!(name));
        start = end;
    }
    text.push('}');
    let length = text.len().next_multiple_of(8);
    let mut bytes = (length as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes.resize(LENGTH + length, b' ');
    bytes
}

/// The header as JSON has it.
#[derive(Default)]
struct RawHeader {
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, RawTensor>,
}

/// A tensor as JSON has it.
struct RawTensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

impl RawTensor {
    /// The tensor, if it lies within the `data` bytes behind `start` and has as many as its type and shape ask for.
    fn checked(self, name: String, start: usize, data: usize) -> Result<Entry, String> {
        let Self { dtype, shape, data_offsets: [from, to] } = self;
        let within = |offset: u64| usize::try_from(offset).ok().filter(|&offset| offset <= data);
        let (Some(from), Some(to)) = (within(from), within(to).filter(|_| from <= to)) else {
            return Err(format!("tensor '{name}' lies at {from} to {to} of {data} bytes"));
        };
        let numbers = shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size));
        let bytes = numbers.and_then(|numbers| match size_of_type(&dtype) {
            Some(size) => numbers.checked_mul(size as u64),
            None => Some((to - from) as u64), // of a type that we do not know
        });
        // A size that overflows beside a size of 0 is refused too: nobody writes that.
        let shape: Option<Vec<usize>> = shape.iter().map(|&size| size.try_into().ok()).collect();
        match (shape, bytes) {
            (Some(shape), Some(bytes)) if bytes == (to - from) as u64 => {
                Ok(Entry { name, dtype, shape, range: start + from..start + to })
            }
            _ => Err(format!("tensor '{name}' has {} bytes, which is not what its type and shape need", to - from)),
        }
    }
}

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = RawHeader;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeader, A::Error> {
                let mut header = RawHeader::default();
                let mut has_metadata = false;
                while let Some(name) = map.next_key::<String>()? {
                    let twice = if name == "__metadata__" {
                        header.metadata = map.next_value()?;
                        std::mem::replace(&mut has_metadata, true)
                    } else {
                        let tensor = map.next_value()?;
                        match header.tensors.entry(name.clone()) {
                            std::collections::btree_map::Entry::Vacant(place) => {
                                place.insert(tensor);
                                false
                            }
                            std::collections::btree_map::Entry::Occupied(_) => true,
                        }
                    };
                    if twice {
                        return Err(A::Error::custom(format!("'{name}' occurs twice")));
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl<'de> Deserialize<'de> for RawTensor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = RawTensor;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a tensor with dtype, shape and data_offsets")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawTensor, A::Error> {
                let (mut dtype, mut shape, mut data_offsets) = (None, None, None);
                while let Some(key) = map.next_key::<String>()? {
                    let twice = match &key[..] {
                        "dtype" => dtype.replace(map.next_value()?).is_some(),
                        "shape" => shape.replace(map.next_value()?).is_some(),
                        "data_offsets" => data_offsets.replace(map.next_value()?).is_some(),
                        _ => map.next_value::<IgnoredAny>().map(|_| false)?,
                    };
                    if twice {
                        return Err(A::Error::custom(format!("'{key}' occurs twice")));
                    }
                }
                let missing = |key| A::Error::missing_field(key);
                Ok(RawTensor {
                    dtype: dtype.ok_or_else(|| missing("dtype"))?,
                    shape: shape.ok_or_else(|| missing("shape"))?,
                    data_offsets: data_offsets.ok_or_else(|| missing("data_offsets"))?,
                })
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    #[test]
    fn what_is_rendered_is_parsed_here_and_by_the_safetensors_crate() {
        let metadata = BTreeMap::from([("recvae".to_owned(), "{\"ä\":\"\\\"\"}\n".to_owned())]);
        let tensors = [("b", "U64", &[2usize][..], 16), ("a \"x\"", "F32", &[2, 3], 24), ("c", "U8", &[0], 0)];
        let mut bytes = render(&metadata, tensors.into_iter());
        assert_eq!(bytes.len() % 8, 0);
        let start = bytes.len();
        bytes.extend((0..40).map(|byte| byte as u8));
        let header = Header::parse(&bytes).unwrap();
        assert_eq!(header.metadata, metadata);
        let theirs = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut from = start;
        for (entry, (name, dtype, shape, length)) in header.tensors.iter().zip(tensors) {
            assert_eq!((&entry.name[..], &entry.dtype[..], &entry.shape[..]), (name, dtype, shape));
            assert_eq!(entry.range, from..from + length);
            let view = theirs.tensor(name).unwrap();
            assert_eq!(
                (format!("{:?}", view.dtype()), view.shape(), view.data()),
                (dtype.into(), shape, &bytes[entry.range.clone()])
            );
            from += length;
        }
        assert_eq!((header.tensors.len(), theirs.len()), (3, 3));
    }

    #[test]
    fn lengths_are_compared_with_the_file_before_anything_is_taken() {
        let claims = |length: u64| [&length.to_le_bytes()[..], b"{}      "].concat();
        for length in [9, 100_000_001, u64::MAX, u64::MAX - 7, 1 << 63] {
            let text = Header::parse(&claims(length)).unwrap_err();
            assert_eq!(text, format!("it claims a header of {length} bytes; allowed: 8, as 8 follow"));
        }
        assert_eq!(Header::parse(&[0; 7]).unwrap_err(), "7 bytes, which end before a header");
        assert!(Header::parse(&claims(8)).unwrap().tensors.is_empty());
        for (shape, offsets) in [
            ("[4611686018427387904]", "[0,8]"),                     // 2^62 numbers
            ("[4294967296,4294967296]", "[0,8]"),                   // 2^64
            ("[4294967296,4294967296,0]", "[0,0]"),                 // overflows before it becomes 0
            ("[18446744073709551615]", "[0,18446744073709551615]"), // lies outside
            ("[2]", "[18446744073709551612,18446744073709551620]"), // no u64
            ("[2]", "[8,0]"),                                       // backwards
            ("[2]", "[0,16]"),                                      // beyond the end
            ("[3]", "[0,8]"),
            ("[2]", "[-8,0]"),
            ("[1e30]", "[0,8]"),
            ("2", "[0,8]"),
            ("[2]", "[0]"),
            ("[2]", "[0,8,8]"),
        ] {
            let header = format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#);
            assert!(Header::parse(&file(&header, &[0; 8])).is_err(), "{header}");
        }
        let right = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        assert_eq!(Header::parse(&file(right, &[0; 8])).unwrap().tensors[0].shape, [2]);
    }

    #[test]
    fn gaps_overlaps_repetitions_and_other_json_are_refused() {
        let tensor = |name: &str, from: usize, to: usize| {
            format!(r#""{name}":{{"dtype":"U8","shape":[{}],"data_offsets":[{from},{to}]}}"#, to - from)
        };
        let parse = |parts: &[String]| Header::parse(&file(&format!("{{{}}}", parts.join(",")), &[0; 8]));
        assert!(parse(&[tensor("a", 4, 8), tensor("b", 0, 4), tensor("c", 4, 4)]).is_ok());
        for parts in [
            vec![],
            vec![tensor("a", 0, 4)],
            vec![tensor("a", 0, 4), tensor("b", 5, 8)],
            vec![tensor("a", 0, 5), tensor("b", 4, 8)],
            vec![tensor("a", 0, 4), tensor("a", 4, 8)],
            vec![r#""__metadata__":{"a":1}"#.into(), tensor("a", 0, 8)],
            vec![r#""__metadata__":{}"#.into(), r#""__metadata__":{}"#.into(), tensor("a", 0, 8)],
            vec![r#""a":{"dtype":"U8","shape":[8]}"#.into()],
            vec![r#""a":{"dtype":"U8","dtype":"U8","shape":[8],"data_offsets":[0,8]}"#.into()],
            vec![r#""a":[]"#.into()],
        ] {
            assert!(parse(&parts).is_err(), "{parts:?}");
        }
        for header in ["", "[]", "1", "{", "{}x", "\u{0}", &"[".repeat(100_000)] {
            assert!(Header::parse(&file(header, &[])).is_err(), "{header}");
        }
        assert!(Header::parse(&[&2u64.to_le_bytes()[..], b"{\xff"].concat()).is_err());
        // A type of later days is shown, not understood.
        let later = r#""a":{"dtype":"F4","shape":[16],"data_offsets":[0,8],"more":{"x":[1]}}"#;
        assert_eq!(parse(&[later.into()]).unwrap().tensors[0].dtype, "F4");
    }
}
