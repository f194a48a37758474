//! A part of the users, for one machine of several: by a hash of the id, so that every machine knows without asking
//! which users are its own, whatever the order of the rows.
//!
//! Shard `k` of `n` has the users of whose id the XXH3 of 64 bits leaves `k` when it is divided by `n`. All shards know
//! all items, in the same order, so that what they count can be added up.

use std::fmt;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::base::error::{Error, Result};

/// The most shards that users may be divided into.
const MOST: u32 = 1 << 20;

/// Shard `index`, from 0, of `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    of: u32,
}

impl Shard {
    /// # Errors
    /// `INVALID_ARGUMENT` unless `of` is a whole number from 1 to 1,048,576 and `index` one from 0 to below it.
    pub fn new(index: f64, of: f64) -> Result<Self> {
        let whole = |number: f64, least: f64, most: f64| number.fract() == 0.0 && (least..=most).contains(&number);
        if !whole(of, 1.0, f64::from(MOST)) {
            return Err(Error::invalid_argument("number of shards", of, format!("a whole number from 1 to {MOST}")));
        }
        if !whole(index, 0.0, of - 1.0) {
            return Err(Error::invalid_argument(
                "index of the shard",
                index,
                format!("a whole number from 0 to {}", of - 1.0),
            ));
        }
        Ok(Self { index: index as u32, of: of as u32 })
    }

    /// Which one, from 0.
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many there are.
    #[must_use]
    pub fn of(self) -> u32 {
        self.of
    }

    /// Whether a user is in it.
    #[must_use]
    pub fn has(self, user: &str) -> bool {
        xxh3_64(user.as_bytes()) % u64::from(self.of) == u64::from(self.index)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

/// A shard, and a hash of all the rows of which it is one: shards of other rows, or of the same in another order, have
/// another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardOf {
    /// Which shard.
    pub shard: Shard,
    /// The hash of the rows of all shards.
    pub input: u64,
}

/// A hash of rows in their order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InputHash(u64);

impl InputHash {
    pub(crate) fn push(&mut self, user: &str, item: &str) {
        self.0 = xxh3_64_with_seed(item.as_bytes(), xxh3_64_with_seed(user.as_bytes(), self.0));
    }

    pub(crate) fn get(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::interactions::{InteractionsBuilder, Thresholds};

    #[test]
    fn every_user_is_in_one_shard_and_all_shards_know_all_items() {
        let rows: Vec<_> = (0..500).map(|row| (format!("u{}", row % 90), format!("i{}", row * row % 37))).collect();
        let build = |shard: Option<Shard>| {
            let mut builder = InteractionsBuilder::new().of_shard(shard);
            rows.iter().for_each(|(user, item)| builder.push(user, item));
            builder.finish(&Thresholds::default()).unwrap()
        };
        let whole = build(None);
        let parts: Vec<_> = (0..4).map(|index| Shard::new(f64::from(index), 4.0).unwrap()).collect();
        let mut seen = vec![];
        for &shard in &parts {
            let (read, selected) = (build(Some(shard)), whole.of_shard(shard).unwrap());
            assert_eq!(read, selected, "what is read of a shard is what would be selected of all");
            assert_eq!(read.items(), whole.items());
            for user in read.users().iter() {
                assert_eq!(read.history(user), whole.history(user));
                seen.push(user.to_owned());
            }
        }
        seen.sort();
        let mut all: Vec<_> = whole.users().iter().map(str::to_owned).collect();
        all.sort();
        assert_eq!(seen, all);
        let inputs: Vec<u64> = parts.iter().map(|&shard| build(Some(shard)).shard().unwrap().input).collect();
        assert!(inputs.iter().all(|input| *input == inputs[0]));
    }

    #[test]
    fn a_shard_that_has_nobody_is_one() {
        let mut builder = InteractionsBuilder::new().of_shard(Some(Shard::new(0.0, 2.0).unwrap()));
        let other = (0..).map(|n| format!("u{n}")).find(|user| !Shard::new(0.0, 2.0).unwrap().has(user)).unwrap();
        builder.push(&other, "a");
        let nobody = builder.finish(&Thresholds::default()).unwrap();
        assert_eq!((nobody.n_users(), nobody.n_items()), (0, 1));
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        for (index, of, text) in [
            (0.0, 0.0, "number of shards is 0; allowed: a whole number from 1 to 1048576"),
            (4.0, 4.0, "index of the shard is 4; allowed: a whole number from 0 to 3"),
            (0.5, 4.0, "index of the shard is 0.5; allowed: a whole number from 0 to 3"),
        ] {
            assert_eq!(Shard::new(index, of).unwrap_err().to_string(), text);
        }
    }
}
