//! Counts whose items are indices already, as an Arrow stream of pairs: what one worker of many adds to a Gram matrix.

use std::sync::Arc;

use super::EaseCounts;
use crate::base::error::{Error, Result};
use crate::data::arrow::ArrowTable;

/// Pairs in a batch, unless an item has more.
const BATCH: usize = 1 << 16;

/// The pairs `(i, j, n)` of counts, `i` at most `j` and `n` above 0, each once, in batches of an [`ArrowTable::Gram`].
#[derive(Debug)]
pub struct GramPairs {
    counts: Arc<EaseCounts>,
    /// The index that each item's id says.
    indices: Vec<u32>,
    /// The item whose pairs come next.
    next: usize,
}

impl GramPairs {
    /// Reads the ids of the items as whole numbers, their indices in a vocabulary.
    ///
    /// # Errors
    /// `INVALID_DATA` if an id is no whole number from 0 to 2,147,483,647, which is what an Arrow stream of int32 can
    /// hold.
    pub fn new(counts: Arc<EaseCounts>) -> Result<Self> {
        let indices = counts.items().iter().map(index_of).collect::<Result<_>>()?;
        Ok(Self { counts, indices, next: 0 })
    }

    /// The bytes of the next batch of about 65,536 pairs, in the order of the counts' items; `None` behind the last
    /// one.
    pub fn next_batch(&mut self) -> Option<Vec<u8>> {
        let mut pairs = Vec::new();
        while pairs.len() < BATCH && self.next < self.indices.len() {
            let one = self.indices[self.next];
            for (other, n) in self.counts.counts.entries(self.next).filter(|&(_, n)| n > 0) {
                let other = self.indices[other];
                pairs.push((one.min(other), one.max(other), n));
            }
            self.next += 1;
        }
        (!pairs.is_empty()).then(|| ArrowTable::gram(&pairs))
    }
}

fn index_of(id: &str) -> Result<u32> {
    let index = id.parse::<i32>().ok().and_then(|index| u32::try_from(index).ok());
    index.filter(|index| index.to_string() == id).ok_or_else(|| {
        Error::invalid_data(format!("item '{id}' is no index; allowed: whole numbers from 0 to {}", i32::MAX))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::cancel::Cancel;
    use crate::data::interactions::{InteractionsBuilder, Thresholds};
    use crate::data::read::ArrowReader;
    use crate::data::read::ReadOptions;

    fn counts(rows: &[(&str, &str)]) -> Arc<EaseCounts> {
        let mut builder = InteractionsBuilder::new();
        rows.iter().for_each(|(user, item)| builder.push(user, item));
        let data = builder.finish(&Thresholds::default()).unwrap();
        Arc::new(EaseCounts::count(&data, None, &Cancel::default()).unwrap())
    }

    #[test]
    fn each_pair_comes_once_with_the_lower_index_first() {
        // Items in the order 7, 0, 3.
        let rows = [("a", "7"), ("a", "0"), ("b", "7"), ("b", "3"), ("b", "0")];
        let mut pairs = GramPairs::new(counts(&rows)).unwrap();
        let expected = [(7, 7, 2), (0, 7, 2), (3, 7, 1), (0, 0, 2), (0, 3, 1), (3, 3, 1)];
        assert_eq!(pairs.next_batch(), Some(ArrowTable::gram(&expected)));
        assert_eq!(pairs.next_batch(), None);
    }

    #[test]
    fn a_stream_of_batches_is_read() {
        let users: Vec<String> = (0..3).map(|user| format!("u{user}")).collect();
        let items: Vec<String> = (0..500).map(|item| item.to_string()).collect();
        let rows: Vec<(&str, &str)> = users.iter().flat_map(|u| items.iter().map(move |i| (&u[..], &i[..]))).collect();
        let mut pairs = GramPairs::new(counts(&rows)).unwrap();
        let mut reader = ArrowReader::new(
            ReadOptions { user: "i".into(), item: "j".into(), ..ReadOptions::default() },
            Thresholds::default(),
        )
        .unwrap();
        reader.push(&ArrowTable::Gram.start()).unwrap();
        let mut n_batches = 0;
        while let Some(bytes) = pairs.next_batch() {
            reader.push(&bytes).unwrap();
            n_batches += 1;
        }
        reader.push(&ArrowTable::end()).unwrap();
        assert_eq!(n_batches, 2);
        assert_eq!(reader.finish().unwrap().n_interactions(), 500 * 501 / 2);
    }

    #[test]
    fn what_is_no_index_is_refused() {
        for id in ["x", "07", "-1", "2147483648", "1.5"] {
            let error = GramPairs::new(counts(&[("a", id), ("a", "0")])).unwrap_err().to_string();
            assert_eq!(error, format!("item '{id}' is no index; allowed: whole numbers from 0 to 2147483647"));
        }
    }
}
