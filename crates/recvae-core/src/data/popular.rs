//! How many training users have each item: what is known of a user of whom nothing else is.

use std::sync::OnceLock;

/// How many training users have each item.
#[derive(Debug)]
pub(crate) struct Popular {
    counts: Vec<u32>,
    /// The items, the most popular first and the lower index among equals; made when it is first asked for.
    order: OnceLock<Vec<u32>>,
}

impl Popular {
    pub(crate) fn new(counts: Vec<u32>) -> Self {
        Self { counts, order: OnceLock::new() }
    }

    /// One number for each item.
    pub(crate) fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Bytes of memory that it holds, the order included.
    pub(crate) fn bytes(&self) -> usize {
        2 * size_of_val(&self.counts[..])
    }

    /// The items, the most popular first and the lower index among equals.
    pub(crate) fn order(&self) -> &[u32] {
        self.order.get_or_init(|| {
            let mut order: Vec<u32> = (0..self.counts.len() as u32).collect();
            order.sort_by_key(|&item| std::cmp::Reverse(self.counts[item as usize]));
            order
        })
    }
}
