//! The made-up users and items: who has how many, how popular things are, and what a user's taste is.
//!
//! All tables together hold a few numbers per user and per item. With them a user's items are a pure function of
//! (seed, user), so users can be generated in any order and on any thread.
//!
//! - Activity: user `u` has 5 + floor(c w_u) items, at most a quarter of all, where ln w_u is normal. c is the largest
//!   number whose sum does not exceed the wanted total; the first users get one more each until it is met.
//! - Popularity: an item's weight is (rank + shift)^-exponent (Zipf and Mandelbrot), its rank random.
//! - Taste: item `i` belongs to topic `i` mod n_topics. A user has a few favourite topics, the more the more active,
//!   drawn by the topics' weight; the first ones count more. Each draw takes, with a chance of a quarter, any topic by
//!   weight, else a favourite, and then an item of the topic by weight. An item that the user has already is drawn
//!   again.
//! - Every item has a user: the pairs, user after user, are cut into `n_items` equal stretches, and item `i` goes to
//!   the user of the first pair of stretch `i`, whatever the taste.
//!
//! Source of the tables that are drawn from: A. J. Walker, An Efficient Method for Generating Discrete Random Variables
//! with General Distributions, 1977; M. D. Vose, A Linear Algorithm for Generating Random Numbers with a Given
//! Distribution, 1991.

use crate::base::error::{Error, Result};
use crate::base::random::{Philox, Stream};

/// What a generated set has to look like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    pub(super) n_users: usize,
    pub(super) n_items: usize,
    pub(super) n_interactions: usize,
    /// Standard deviation of the logarithm of a user's number of items above 5.
    pub(super) activity_spread: f64,
    /// Zipf and Mandelbrot's exponent.
    pub(super) popularity_exponent: f64,
    /// Zipf and Mandelbrot's shift, in ranks.
    pub(super) popularity_shift: f64,
}

/// Every user has as many items or more.
pub(super) const MIN_ACTIVITY: usize = 5;

/// A user has favourites, and one more per so many items.
const FAVOURITES: usize = 3;
const ITEMS_PER_FAVOURITE: usize = 40;

/// Out of 2^32 draws, so many are not from a favourite topic.
const ANY_TOPIC: u32 = 1 << 30;

/// After so many draws per wanted item, the rest is taken as it comes.
const MAX_DRAWS: usize = 20;

const ACTIVITY_STREAM: u64 = u64::from_be_bytes(*b"synthact");
const POPULARITY_STREAM: u64 = u64::from_be_bytes(*b"synthpop");
/// Stream of a user's draws, once the user's index is added.
const USER_STREAM: u64 = u64::from_be_bytes(*b"syus\0\0\0\0");

/// The tables.
pub(super) struct Population {
    seed: u64,
    n_items: usize,
    /// Which pair is each user's first, and at the end the number of pairs: length `n_users + 1`.
    starts: Vec<usize>,
    topics: Vec<Cell>,
    /// One table per topic. They lie as their items do: topic `t` holds the items `t`, `t + n_topics`, ...
    items: Vec<Cell>,
}

/// What a thread needs while it generates users.
pub(super) struct Scratch {
    /// For each item, 1 + the last user who got it.
    owner: Vec<u32>,
    favourites: Vec<u32>,
}

impl Population {
    /// # Errors
    /// `INTERNAL` if the shape contradicts itself.
    pub(super) fn new(shape: &Shape, seed: u64) -> Result<Self> {
        let &Shape { n_users, n_items, n_interactions, .. } = shape;
        let most = n_items / 4;
        if n_interactions < n_items || n_interactions < n_users * MIN_ACTIVITY || n_interactions > n_users * most {
            return Err(Error::Internal(format!("no synthetic data have this shape: {shape:?}")));
        }
        let mut starts = vec![0];
        let mut start = 0;
        for n in activities(shape, most, seed) {
            start += n;
            starts.push(start);
        }
        let weights = popularity(shape, seed);
        let n_topics = (n_items as f64 / 2.0).sqrt().round() as usize;
        let mut items = vec![Cell::default(); n_items];
        let mut topic_weights = Vec::with_capacity(n_topics);
        for topic in 0..n_topics {
            let members: Vec<f64> = weights.iter().skip(topic).step_by(n_topics).copied().collect();
            topic_weights.push(members.iter().sum());
            for (item, cell) in (topic..).step_by(n_topics).zip(alias_table(&members)) {
                items[item] = Cell { other: topic as u32 + cell.other * n_topics as u32, ..cell };
            }
        }
        Ok(Self { seed, n_items, starts, topics: alias_table(&topic_weights), items })
    }

    pub(super) fn n_items(&self) -> usize {
        self.n_items
    }

    pub(super) fn starts(&self) -> &[usize] {
        &self.starts
    }

    pub(super) fn scratch(&self) -> Scratch {
        Scratch { owner: vec![0; self.n_items], favourites: Vec::new() }
    }

    /// Fills `items` with the user's items, ascending; its length has to be the user's activity.
    pub(super) fn fill(&self, user: usize, scratch: &mut Scratch, items: &mut [u32]) {
        let Scratch { owner, favourites } = scratch;
        let mark = user as u32 + 1;
        let mut n = 0;
        let mut take = |item: u32| {
            if owner[item as usize] != mark && n < items.len() {
                owner[item as usize] = mark;
                items[n] = item;
                n += 1;
            }
            n
        };
        let n_pairs = self.starts[self.starts.len() - 1];
        let stretch = |pair: usize| (pair as u128 * self.n_items as u128).div_ceil(n_pairs as u128) as u32;
        let mut taken = 0;
        for item in stretch(self.starts[user])..stretch(self.starts[user + 1]) {
            taken = take(item);
        }

        let wanted = self.starts[user + 1] - self.starts[user];
        let mut stream = Stream::new(self.seed, USER_STREAM + user as u64);
        favourites.clear();
        favourites.extend((0..FAVOURITES + wanted / ITEMS_PER_FAVOURITE).map(|_| self.topic(&mut stream)));
        for _ in 0..MAX_DRAWS * wanted {
            if taken == wanted {
                break;
            }
            let kind = stream.next_u32();
            let topic = match kind.checked_sub(ANY_TOPIC) {
                None => self.topic(&mut stream),
                Some(rest) => {
                    let uniform = f64::from(rest) / f64::from(u32::MAX - ANY_TOPIC + 1);
                    favourites[(uniform * uniform * favourites.len() as f64) as usize]
                }
            };
            taken = take(self.item(topic, &mut stream));
        }
        // Who wants nearly all that their topics have would draw for ever.
        let first = stream.below(self.n_items as u64) as u32;
        for item in (first..self.n_items as u32).chain(0..first) {
            if taken == wanted {
                break;
            }
            taken = take(item);
        }
        items.sort_unstable();
    }

    fn topic(&self, stream: &mut Stream) -> u32 {
        draw(self.topics.len(), |at| self.topics[at], |at| at as u32, stream)
    }

    fn item(&self, topic: u32, stream: &mut Stream) -> u32 {
        let (topic, n_topics) = (topic as usize, self.topics.len());
        let size = (self.n_items - topic).div_ceil(n_topics);
        let item = |at| topic + at * n_topics;
        draw(size, |at| self.items[item(at)], |at| item(at) as u32, stream)
    }
}

/// The number of items of each user.
fn activities(shape: &Shape, most: usize, seed: u64) -> Vec<usize> {
    let philox = Philox::new(seed, ACTIVITY_STREAM);
    let weights: Vec<f64> = (0..shape.n_users)
        .map(|user| (shape.activity_spread * philox.normals(user as u64 / 2)[user % 2]).exp())
        .collect();
    let activity = |factor: f64, weight: f64| (MIN_ACTIVITY + (factor * weight) as usize).min(most);
    let sum = |factor| weights.iter().map(|&weight| activity(factor, weight)).sum::<usize>();
    let (mut low, mut high) = (0.0, 1.0);
    while sum(high) <= shape.n_interactions && high < 1e12 {
        high *= 2.0;
    }
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if sum(middle) <= shape.n_interactions {
            low = middle;
        } else {
            high = middle;
        }
    }
    let mut activities: Vec<usize> = weights.iter().map(|&weight| activity(low, weight)).collect();
    let mut missing = shape.n_interactions - activities.iter().sum::<usize>();
    while missing > 0 {
        for activity in activities.iter_mut().filter(|activity| **activity < most).take(missing) {
            *activity += 1;
            missing -= 1;
        }
    }
    activities
}

/// The weight of each item.
fn popularity(shape: &Shape, seed: u64) -> Vec<f64> {
    let mut weights: Vec<f64> = (0..shape.n_items)
        .map(|rank| (rank as f64 + shape.popularity_shift).powf(-shape.popularity_exponent))
        .collect();
    Stream::new(seed, POPULARITY_STREAM).shuffle(&mut weights);
    weights
}

/// One of `n` equally likely cells: it stands for itself below the threshold, else for another.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cell {
    /// In 2^-32.
    threshold: u32,
    other: u32,
}

fn draw(n: usize, cell: impl Fn(usize) -> Cell, itself: impl Fn(usize) -> u32, stream: &mut Stream) -> u32 {
    let at = ((u64::from(stream.next_u32()) * n as u64) >> 32) as usize;
    let cell = cell(at);
    if stream.next_u32() < cell.threshold { itself(at) } else { cell.other }
}

/// Vose's table for positive weights.
fn alias_table(weights: &[f64]) -> Vec<Cell> {
    let mean = weights.iter().sum::<f64>() / weights.len() as f64;
    let mut shares: Vec<f64> = weights.iter().map(|weight| weight / mean).collect();
    let mut cells: Vec<Cell> = (0..weights.len() as u32).map(|other| Cell { threshold: u32::MAX, other }).collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..shares.len()).partition(|&at| shares[at] < 1.0);
    while let (Some(poor), Some(&rich)) = (small.pop(), large.last()) {
        cells[poor] = Cell { threshold: (shares[poor] * 2f64.powi(32)) as u32, other: rich as u32 };
        shares[rich] -= 1.0 - shares[poor];
        if shares[rich] < 1.0 {
            large.pop();
            small.push(rich);
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_table_holds_the_weights() {
        for weights in [vec![1.0], vec![1.0, 1.0, 1.0], vec![1e-9, 5.0, 0.1, 3.0, 3.0], vec![100.0, 1.0, 1.0, 1.0]] {
            let mut shares = vec![0.0; weights.len()];
            for (at, cell) in alias_table(&weights).into_iter().enumerate() {
                let threshold = f64::from(cell.threshold) / 2f64.powi(32);
                shares[at] += threshold / weights.len() as f64;
                shares[cell.other as usize] += (1.0 - threshold) / weights.len() as f64;
            }
            for (share, weight) in shares.into_iter().zip(&weights) {
                assert!((share - weight / weights.iter().sum::<f64>()).abs() < 1e-9, "{weights:?}");
            }
        }
    }

    #[test]
    fn activities_meet_the_total_within_their_limits() {
        let shape = Shape {
            n_users: 100,
            n_items: 80,
            n_interactions: 1000,
            activity_spread: 1.0,
            popularity_exponent: 1.0,
            popularity_shift: 1.0,
        };
        for n_interactions in [500, 501, 1000, 1999, 2000] {
            let activities = activities(&Shape { n_interactions, ..shape }, 20, 3);
            assert_eq!(activities.iter().sum::<usize>(), n_interactions);
            assert!(activities.iter().all(|activity| (5..=20).contains(activity)));
        }
        for n_interactions in [79, 499, 2001] {
            assert!(Population::new(&Shape { n_interactions, ..shape }, 3).is_err());
        }
    }

    #[test]
    fn whoever_wants_more_than_the_topics_have_gets_it() {
        // A quarter of the items each, with nearly all the weight on one of them.
        let shape = Shape {
            n_users: 4,
            n_items: 40,
            n_interactions: 40,
            activity_spread: 0.0,
            popularity_exponent: 200.0,
            popularity_shift: 1.0,
        };
        let population = Population::new(&shape, 1).unwrap();
        let mut scratch = population.scratch();
        for user in 0..4 {
            let mut items = [0; 10];
            population.fill(user, &mut scratch, &mut items);
            assert!(items.is_sorted_by(|a, b| a < b) && items[9] < 40);
        }
    }
}
