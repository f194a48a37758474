//! Held-out users by how active they are, and items by how popular they are: who is served how well.
//!
//! **Users by activity.** The held-out users with something to find are divided by the length of their input at its
//! terciles: `few` up to the length at position `ceil(n / 3)` of the sorted lengths, `some` up to that at
//! `ceil(2 n / 3)`, `many` beyond. Equal lengths stay together, so a group may be larger than a third, and another one
//! empty and left out. A mean over all users is the mean of the groups' means, each weighted with its users.
//!
//! **Items by popularity.** Items sorted by their training users, most first (of equals the first ones): an item is
//! `head` if the items before it have less than a third of all interactions, else `middle` if they have less than two
//! thirds, else `tail`. So each group has about a third of the interactions, and the head has the fewest items.
//!
//! What metrics of a group are, `evaluation.rs` says.

use crate::math::csr::Csr;
use crate::split::parts::HeldOut;

/// Held-out users whose inputs are about as long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityGroup {
    /// `few`, `some` or `many`.
    pub name: &'static str,
    /// Shortest input of its users.
    pub from: usize,
    /// Longest input of its users.
    pub to: usize,
    /// Positions in [`Evaluation::users`](crate::Evaluation::users), ascending; not empty.
    pub positions: Vec<usize>,
}

/// Divides the held-out users with something to find by the length of their input.
#[must_use]
pub fn activity_groups(held_out: &HeldOut) -> Vec<ActivityGroup> {
    let rows = held_out.input().rows().zip(held_out.target().rows());
    let lengths: Vec<usize> = rows.filter(|(_, target)| !target.is_empty()).map(|(input, _)| input.len()).collect();
    let mut sorted = lengths.clone();
    sorted.sort_unstable();
    let Some(&longest) = sorted.last() else { return vec![] };
    let [first, second] = [1, 2].map(|third| sorted[(third * sorted.len()).div_ceil(3) - 1]);
    let mut groups = Vec::with_capacity(3);
    let mut above = None;
    for (name, to) in [("few", first), ("some", second), ("many", longest)] {
        let is_in = |length: usize| length <= to && above.is_none_or(|above| length > above);
        let positions: Vec<usize> = (0..lengths.len()).filter(|&at| is_in(lengths[at])).collect();
        let from = positions.iter().map(|&at| lengths[at]).min();
        let to_found = positions.iter().map(|&at| lengths[at]).max();
        if let (Some(from), Some(to)) = (from, to_found) {
            groups.push(ActivityGroup { name, from, to, positions });
        }
        above = Some(to);
    }
    groups
}

/// Items that about as many users have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PopularityGroup {
    /// `head`, `middle` or `tail`.
    pub name: &'static str,
    /// Training users of its least popular item.
    pub from: u32,
    /// Training users of its most popular item.
    pub to: u32,
    /// The items, ascending; not empty.
    pub items: Vec<u32>,
}

/// Of which third each item is, by the numbers of its training users: 0 for the head, 1 for the middle, 2 for the tail.
pub(crate) fn thirds(counts: &[u32]) -> Vec<usize> {
    let mut order: Vec<u32> = (0..).take(counts.len()).collect();
    order.sort_by_key(|&item| std::cmp::Reverse(counts[item as usize]));
    let all: usize = counts.iter().map(|&count| count as usize).sum();
    let (mut before, mut third_of) = (0usize, vec![0; counts.len()]);
    for item in order {
        third_of[item as usize] = (1..3).filter(|third| 3 * before >= third * all).count();
        before += counts[item as usize] as usize;
    }
    third_of
}

/// Divides items at the thirds of the interactions.
#[must_use]
pub fn popularity_groups(train: &Csr) -> Vec<PopularityGroup> {
    let counts = train.column_counts();
    let third_of = thirds(&counts);
    let groups = [(0, "head"), (1, "middle"), (2, "tail")].map(|(third, name)| {
        let items: Vec<u32> = (0..).zip(&third_of).filter(|(_, of)| **of == third).map(|(item, _)| item).collect();
        let users = || items.iter().map(|&item| counts[item as usize]);
        let (from, to) = (users().min().unwrap_or(0), users().max().unwrap_or(0));
        PopularityGroup { name, from, to, items }
    });
    groups.into_iter().filter(|group| !group.items.is_empty()).collect()
}
