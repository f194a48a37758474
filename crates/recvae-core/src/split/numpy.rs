//! NumPy's legacy generator (`numpy.random.RandomState`), as far as the authors' scripts draw from it, and what they
//! draw.
//!
//! - MT19937, seeded by one number as in the reference program of its authors (`init_genrand`).
//! - A whole number from 0 to `max`: 32 bits under the smallest mask that holds `max`, drawn anew until they are not
//!   above it.
//! - `permutation(n)`: 0 to n - 1, where each place from the last one down to the second changes with a drawn one up to
//!   itself.
//! - `choice(n, size, replace=False)`: the first `size` of a permutation of n; all of it is drawn.
//!
//! NumPy keeps these streams as they are (NEP 19), so that a seed of 2018 gives the same numbers today.
//!
//! **What the scripts draw.** Users in ascending order of their ids are permuted once. Then, for validation and for
//! test users anew from the same seed, each user in ascending order of the ids chooses among the rows of known items.
//! Ids that are all whole numbers are compared as such, others as text.
//!
//! **Where ours must differ.** The scripts choose among a user's rows in the order of the file, which interactions do
//! not keep: ours stand in the order of the item ids. For ML-20M the two are one, as its file is sorted by user and
//! item. And the scripts count a row that repeats a pair once more; ours are distinct. Test: files that NumPy wrote
//! (`test/fixtures/numpy`).
//!
//! Source: M. Matsumoto, T. Nishimura, Mersenne Twister, ACM TOMACS 8, 1998; NumPy's documentation of `RandomState`;
//! the authors' `preprocessing.py` (Liang et al. 2018, Shenbin et al. 2020).

use crate::data::ids::Ids;
use crate::math::csr::Csr;

const N: usize = 624;
const M: usize = 397;

/// The generator.
pub(crate) struct RandomState {
    key: [u32; N],
    at: usize,
}

impl RandomState {
    pub(crate) fn new(seed: u32) -> Self {
        let mut key = [seed; N];
        for at in 1..N {
            let last = key[at - 1];
            key[at] = (last ^ (last >> 30)).wrapping_mul(1_812_433_253).wrapping_add(at as u32);
        }
        Self { key, at: N }
    }

    fn next(&mut self) -> u32 {
        if self.at == N {
            for at in 0..N {
                let joined = (self.key[at] & 0x8000_0000) | (self.key[(at + 1) % N] & 0x7fff_ffff);
                let twisted = (joined >> 1) ^ (if joined & 1 == 1 { 0x9908_b0df } else { 0 });
                self.key[at] = self.key[(at + M) % N] ^ twisted;
            }
            self.at = 0;
        }
        let mut bits = self.key[self.at];
        self.at += 1;
        bits ^= bits >> 11;
        bits ^= (bits << 7) & 0x9d2c_5680;
        bits ^= (bits << 15) & 0xefc6_0000;
        bits ^ (bits >> 18)
    }

    /// A number from 0 to `max`.
    fn up_to(&mut self, max: u32) -> u32 {
        let mask = u32::MAX.checked_shr(max.leading_zeros()).unwrap_or(0);
        loop {
            let drawn = self.next() & mask;
            // For 0 nothing is drawn in vain: the mask leaves 0 alone.
            if drawn <= max {
                return drawn;
            }
        }
    }

    /// 0 to n - 1 in a drawn order; n is at most 2^32.
    pub(crate) fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            order.swap(last, self.up_to(last as u32) as usize);
        }
        order
    }

    /// `size` different ones of 0 to n - 1.
    pub(crate) fn choice(&mut self, n: usize, size: usize) -> Vec<usize> {
        let mut order = self.permutation(n);
        order.truncate(size);
        order
    }
}

/// Users, which are indices of `ids`, in the scripts' order before they are divided.
pub(super) fn permuted(ids: &Ids, users: Vec<usize>, seed: u32) -> Vec<usize> {
    let names: Vec<&str> = users.iter().map(|&user| ids.get(user)).collect();
    let sorted: Vec<usize> = ascending(&names).into_iter().map(|at| users[at]).collect();
    RandomState::new(seed).permutation(sorted.len()).into_iter().map(|at| sorted[at]).collect()
}

/// Which places of each row of `known` are targets: of so many as `n_targets` says of a row's length; where it says
/// none, nothing is drawn. `users` are the ids of the rows and `items` those of the columns.
pub(super) fn targets(
    users: &Ids,
    items: &Ids,
    known: &Csr,
    seed: u32,
    n_targets: impl Fn(usize) -> Option<usize>,
) -> Vec<Vec<usize>> {
    let names: Vec<&str> = items.iter().collect();
    let mut place_of = vec![0u32; names.len()];
    (0u32..).zip(ascending(&names)).for_each(|(place, item)| place_of[item] = place);
    let mut random = RandomState::new(seed);
    let mut places = vec![vec![]; known.n_rows()];
    for user in ascending(&users.iter().collect::<Vec<_>>()) {
        let row = known.row(user);
        let Some(n) = n_targets(row.len()) else { continue };
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by_key(|&at| place_of[row[at] as usize]);
        places[user] = random.choice(row.len(), n).into_iter().map(|at| order[at]).collect();
    }
    places
}

/// Positions of ids in their ascending order: of numbers, where all are whole ones; else of text.
fn ascending(ids: &[&str]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..ids.len()).collect();
    let numbers: Option<Vec<i64>> = ids.iter().map(|id| id.parse().ok()).collect();
    match numbers {
        Some(numbers) => order.sort_by_key(|&at| numbers[at]),
        None => order.sort_by_key(|&at| ids[at]),
    }
    order
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn draws_are_those_of_numpy() {
        let golden: Value = serde_json::from_str(include_str!("../../../../test/fixtures/numpy/draws.json")).unwrap();
        let list = |value: &Value| -> Vec<usize> {
            value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap() as usize).collect()
        };
        for case in golden["permutations"].as_array().unwrap() {
            let mut random = RandomState::new(case["seed"].as_u64().unwrap() as u32);
            for expected in case["drawn"].as_array().unwrap() {
                let expected = list(expected);
                assert_eq!(random.permutation(expected.len()), expected);
            }
        }
        for case in golden["choices"].as_array().unwrap() {
            let mut random = RandomState::new(case["seed"].as_u64().unwrap() as u32);
            for draw in case["drawn"].as_array().unwrap() {
                let expected = list(&draw["chosen"]);
                assert_eq!(random.choice(draw["n"].as_u64().unwrap() as usize, expected.len()), expected);
            }
        }
        // A long permutation, of which the file has a checksum: the sum of place times value, modulo 2^32.
        let long = &golden["long"];
        let mut random = RandomState::new(long["seed"].as_u64().unwrap() as u32);
        let order = random.permutation(long["n"].as_u64().unwrap() as usize);
        let sum = order
            .iter()
            .enumerate()
            .fold(0u32, |sum, (at, &value)| sum.wrapping_add((at as u32).wrapping_mul(value as u32)));
        assert_eq!((list(&long["first"]), u64::from(sum)), (order[..10].to_vec(), long["sum"].as_u64().unwrap()));
    }

    #[test]
    fn ids_are_compared_as_numbers_where_all_are() {
        assert_eq!(ascending(&["10", "9", "-1"]), [2, 1, 0]);
        assert_eq!(ascending(&["10", "9", "a"]), [0, 1, 2]);
        assert!(ascending(&[]).is_empty());
    }
}
