//! Original ids, as strings, and their indices: both ways, in order of first appearance.
//!
//! All ids lie in one buffer, so ten million of them cost their bytes plus 13 to 17 bytes each, and no allocation each.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::base::error::{Error, Result};

/// How many ids a list may have: every index is a `u32`, and so is their number, with one value left over.
pub(crate) const MOST_IDS: usize = u32::MAX as usize - 1;

/// An id longer than this, in bytes, is taken for an accident, such as a quote that nobody closed. No way in takes one,
/// so that whatever is written can be read again.
pub const LONGEST_ID: usize = 1 << 16;

/// The id of a row, or what is wrong with it.
pub(crate) fn check_id(id: &str) -> Result<&str, String> {
    match id.len() {
        0 => Err("empty; allowed: an id".into()),
        bytes if bytes > LONGEST_ID => Err(format!("{bytes} bytes long; allowed: at most {LONGEST_ID}")),
        _ => Ok(id),
    }
}

/// A list of distinct strings, found by index and by content.
#[derive(Clone, Default)]
pub struct Ids {
    bytes: String,
    /// End of each id in `bytes`; it starts where the one before it ends.
    ends: Vec<usize>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Ids {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of ids.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The id at an index.
    ///
    /// # Panics
    /// If `index` is not below [`Ids::len`].
    #[must_use]
    pub fn get(&self, index: usize) -> &str {
        slice(&self.bytes, &self.ends, index)
    }

    /// The index of an id, where it is known.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(id);
        self.table.find(hash, |&index| self.get(index as usize) == id).copied()
    }

    /// The index of an id, which is appended if it is new.
    ///
    /// # Panics
    /// At 2^32 - 1 ids.
    pub fn insert(&mut self, id: &str) -> u32 {
        self.insert_within(id, MOST_IDS).expect("fewer than 2^32 - 1 ids")
    }

    /// The same of a list that may have `most` ids, or [`MOST_IDS`] if that is less; `None` if it is full.
    pub(crate) fn insert_within(&mut self, id: &str, most: usize) -> Option<u32> {
        let Self { bytes, ends, table, hasher } = self;
        let hash = hasher.hash_one(id);
        let entry = table.entry(
            hash,
            |&index| slice(bytes, ends, index as usize) == id,
            |&index| hasher.hash_one(slice(bytes, ends, index as usize)),
        );
        match entry {
            hashbrown::hash_table::Entry::Occupied(entry) => Some(*entry.get()),
            hashbrown::hash_table::Entry::Vacant(entry) => {
                let index = u32::try_from(ends.len()).ok()?;
                if ends.len() >= most.min(MOST_IDS) {
                    return None;
                }
                entry.insert(index);
                bytes.push_str(id);
                ends.push(bytes.len());
                Some(index)
            }
        }
    }

    /// How many bytes of memory it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<usize>() + self.table.allocation_size()
    }

    /// All ids in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// The ids at the given indices, in that order.
    #[must_use]
    pub fn select(&self, indices: impl IntoIterator<Item = usize>) -> Self {
        indices.into_iter().map(|index| self.get(index)).collect()
    }

    /// The ids one after the other, and where each one ends, in bytes: the form they have in a model file.
    #[must_use]
    pub fn as_parts(&self) -> (&[u8], &[usize]) {
        (self.bytes.as_bytes(), &self.ends)
    }

    /// The inverse of [`Ids::as_parts`].
    ///
    /// # Errors
    /// `INVALID_DATA` if the bytes are not UTF-8, an end is out of order or inside a character, or an id repeats.
    pub fn from_parts(bytes: &[u8], ends: &[usize]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|e| Error::invalid_data(format!("ids: {e}")))?;
        if ends.last().copied().unwrap_or(0) != bytes.len() {
            return Err(Error::invalid_data("ids: the last end is not the number of bytes"));
        }
        let mut ids = Self::new();
        let mut start = 0;
        for (index, &end) in ends.iter().enumerate() {
            let id =
                text.get(start..end).ok_or_else(|| Error::invalid_data(format!("ids: bad end {end} of id {index}")))?;
            if ids.insert(id) as usize != index {
                return Err(Error::invalid_data(format!("ids: '{id}' occurs twice")));
            }
            start = end;
        }
        Ok(ids)
    }
}

fn slice<'a>(bytes: &'a str, ends: &[usize], index: usize) -> &'a str {
    let start = if index == 0 { 0 } else { ends[index - 1] };
    &bytes[start..ends[index]]
}

impl<S: AsRef<str>> FromIterator<S> for Ids {
    /// Distinct ids in order of first appearance.
    fn from_iter<I: IntoIterator<Item = S>>(ids: I) -> Self {
        let mut result = Self::new();
        for id in ids {
            result.insert(id.as_ref());
        }
        result
    }
}

impl PartialEq for Ids {
    fn eq(&self, other: &Self) -> bool {
        self.ends == other.ends && self.bytes == other.bytes
    }
}

impl Eq for Ids {}

impl std::fmt::Debug for Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_in_order_of_appearance() {
        let ids: Ids = ["b", "", "a", "b", "ä"].into_iter().collect();
        assert_eq!(ids.iter().collect::<Vec<_>>(), ["b", "", "a", "ä"]);
        assert_eq!(ids.find("a"), Some(2));
        assert_eq!(ids.find("c"), None);
        let (bytes, ends) = ids.as_parts();
        assert_eq!(Ids::from_parts(bytes, ends).unwrap(), ids);
        assert_eq!(ids.select([3, 0]).iter().collect::<Vec<_>>(), ["ä", "b"]);
    }

    #[test]
    fn malformed_parts_are_refused() {
        for (bytes, ends) in [
            (&b"ab"[..], &[1usize][..]),
            (b"ab", &[2, 1]),
            (b"aa", &[1, 2]),
            ("ä".as_bytes(), &[1, 2]),
            (b"\xff", &[1]),
        ] {
            assert!(Ids::from_parts(bytes, ends).is_err(), "{bytes:?} {ends:?}");
        }
    }
}
