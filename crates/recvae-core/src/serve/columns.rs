//! Histories and lists as columns of numbers: all entries one after the other, and offsets that say where each user's
//! begin.
//!
//! User u has the entries from `offsets[u]` to below `offsets[u + 1]`, so there is one offset more than there are users
//! and the first one is 0, as in Arrow lists and CSR matrices.

use crate::base::error::{Error, Result};
use crate::evaluate::scorer::Scored;
use crate::serve::recommender::{History, Recommender};

/// Lists of recommended items.
#[derive(Clone, Debug, PartialEq)]
pub struct ListColumns {
    /// Indices of the items, the best of each user first.
    pub items: Vec<u32>,
    /// Their scores.
    pub scores: Vec<f32>,
    /// Length `n_users + 1`.
    pub offsets: Vec<u32>,
}

impl ListColumns {
    /// The lists one after the other.
    ///
    /// # Errors
    /// As [`offsets`].
    pub fn new(lists: &[Vec<Scored>]) -> Result<Self> {
        let offsets = offsets(lists.iter().map(Vec::len))?;
        let entries = || lists.iter().flatten();
        Ok(Self {
            items: entries().map(|scored| scored.item).collect(),
            scores: entries().map(|scored| scored.score).collect(),
            offsets,
        })
    }
}

/// Where the parts of these lengths begin, and where the last one ends. Typed arrays of whole numbers have 32 bits.
///
/// # Errors
/// `INVALID_ARGUMENT` if there are 2^32 entries or more in all.
pub fn offsets(lengths: impl IntoIterator<Item = usize>) -> Result<Vec<u32>> {
    let mut end = 0usize;
    let next = |length: usize| {
        end = end.saturating_add(length);
        u32::try_from(end).map_err(|_| {
            let allowed = format!("at most {} in one call: fewer histories or a smaller k", u32::MAX);
            Error::invalid_argument("number of recommendations", format!("{end} or more"), allowed)
        })
    };
    std::iter::once(Ok(0)).chain(lengths.into_iter().map(next)).collect()
}

impl Recommender {
    /// Histories out of columns of item indices. The items of a history may come in any order and more than once.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for offsets that do not begin with 0, that descend or that do not end at the number of items,
    /// and for an item that the model does not have.
    pub fn histories_of(&self, items: &[u32], offsets: &[u32]) -> Result<Vec<History>> {
        let (n_items, n_entries) = (self.items().len(), items.len());
        if let Some(at) = items.iter().position(|&item| item as usize >= n_items) {
            let name = format!("items[{at}] of histories");
            return Err(Error::invalid_argument(name, items[at], format!("the index of an item, below {n_items}")));
        }
        let bad = |at: usize, got: &dyn std::fmt::Display, allowed: String| {
            Error::invalid_argument(format!("offsets[{at}] of histories"), got, allowed)
        };
        match (offsets.first(), offsets.last()) {
            (Some(0), _) => {}
            (Some(first), _) => return Err(bad(0, first, "0".into())),
            (None, _) => return Err(bad(0, &"missing", "0".into())),
        }
        if let Some(at) = offsets.windows(2).position(|pair| pair[0] > pair[1]) {
            return Err(bad(at + 1, &offsets[at + 1], format!("{} or more", offsets[at])));
        }
        let last = offsets.len() - 1;
        if offsets[last] as usize != n_entries {
            return Err(bad(last, &offsets[last], format!("the number of items, {n_entries}")));
        }
        let history = |pair: &[u32]| {
            let mut items = items[pair[0] as usize..pair[1] as usize].to_vec();
            items.sort_unstable();
            items.dedup();
            History { items, unknown: vec![] }
        };
        Ok(offsets.windows(2).map(history).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_32_bits_cannot_count_is_an_error() {
        assert_eq!(offsets([3, 0, 4]).unwrap(), [0, 3, 3, 7]);
        assert_eq!(offsets([u32::MAX as usize]).unwrap(), [0, u32::MAX]);
        assert_eq!(offsets([]).unwrap(), [0]);
        let two = 1 << 31;
        for lengths in [vec![two, two], vec![two, two - 1, 1], vec![1, usize::MAX]] {
            let error = offsets(lengths).unwrap_err();
            assert!(error.to_string().contains("allowed: at most 4294967295 in one call"), "{error}");
        }
    }
}
