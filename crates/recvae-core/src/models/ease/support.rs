//! Which pairs of items may have a weight, where EASE^R may not have all of them: the pairs that most often come
//! together.
//!
//! With `c_ij` the number of users who have both items and `c_i` those who have one, a pair is as close as
//!
//! ```text
//! c_ij / sqrt((c_i + 10) (c_j + 10))
//! ```
//!
//! the cosine of their columns, in which ten more users make little of pairs that few have seen. The closest pairs of
//! all are taken, so that an item with many close ones gets many, but none more than [`MOST`] times the mean: what an
//! item costs grows with the cube. A pair that nobody has gets no weight.
//!
//! No matrix of items x items is held: each item's row of counts is made twice, once to learn where the closest ones
//! end and once to take them.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use crate::base::error::{Error, Result};
use crate::base::steps::Steps;
use crate::math::costs;
use crate::math::csr::Csr;
use crate::math::linalg::stretches_of_work;

/// Users that every item is given beyond its own.
const MORE_USERS: f64 = 10.0;
/// How many times the mean an item may have. See `benches/README.md` for what it costs and saves.
const MOST: f64 = 4.0;

/// How many pairs of `n` items that share is: `(i, j)` and `(j, i)` are two.
pub(super) fn pairs(density: f64, n: f64) -> f64 {
    (density * n * n).floor()
}

/// How many others an item is computed from at most.
pub(super) fn most_of_item(density: f64, n: f64) -> f64 {
    (MOST * density * n).ceil().min(n - 1.0)
}

/// What [`choose`] takes for each thread: a row of counts, the items in it, their closeness.
pub(super) fn bytes_of_thread(n: f64) -> f64 {
    16.0 * n
}

/// Bits of a closeness that are counted apart: differences of a two-thousandth.
const BUCKET: u32 = 12;
const N_BUCKETS: usize = (1f32.to_bits() >> BUCKET) as usize + 1;

/// What [`choose`] takes for the numbers of pairs by closeness.
pub(super) const BUCKETS_BYTES: f64 = (N_BUCKETS * size_of::<AtomicU64>()) as f64;

/// By how many others an item is computed, how many users have these, all together, and how many items it stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Support {
    pub(super) others: usize,
    pub(super) users: u64,
    pub(super) stands_for: f64,
}

/// About what [`choose`] gives to about `n` items, popular ones before others: the chance of an item grows with the
/// root of its users, since what an item costs grows faster than they do.
pub(super) fn sample(x: &Csr, density: f64, n: usize) -> Vec<Support> {
    let (n_items, counts) = (x.n_cols(), x.column_counts());
    let asked = drawn(&counts, n);
    let users_of = users_of(x, &asked);
    let scales = scales(counts.iter().copied());
    let mut finder = Finder::new(x, &scales, most_of_item(density, n_items as f64) as usize);
    let closest = |(&(item, _), users): (&(u32, f64), &Vec<u32>)| {
        let mut close = vec![];
        finder.find(item as usize, users, &mut close);
        close.sort_unstable_by(Close::order);
        close
    };
    let found: Vec<Vec<Close>> = asked.iter().zip(&users_of).map(closest).collect();
    let mut all: Vec<(u32, f64)> = asked
        .iter()
        .zip(&found)
        .flat_map(|(&(_, weight), close)| close.iter().map(move |pair| (pair.bits, weight)))
        .collect();
    all.sort_unstable_by_key(|&(bits, _)| std::cmp::Reverse(bits));
    let mut left = pairs(density, n_items as f64);
    let mut border = 0;
    let mut share = 1.0;
    // Ties at the border are cut in proportion, as `share_out` does it.
    for ties in all.chunk_by(|one, other| one.0 == other.0) {
        let weight: f64 = ties.iter().map(|(_, weight)| weight).sum();
        if weight > left {
            (border, share) = (ties[0].0, left / weight);
            break;
        }
        left -= weight;
    }
    let support = |(&(_, stands_for), close): (&(u32, f64), &Vec<Close>)| {
        let above = close.partition_point(|pair| pair.bits > border);
        let reached = close.partition_point(|pair| pair.bits >= border);
        let others = above + (share * (reached - above) as f64).round() as usize;
        let users = close[..others].iter().map(|pair| u64::from(counts[pair.item as usize])).sum();
        Support { others, users, stands_for }
    };
    asked.iter().zip(&found).map(support).collect()
}

/// About `n` items and how many each stands for, at even distances in the sum of the roots of their users, the least
/// popular first.
fn drawn(counts: &[u32], n: usize) -> Vec<(u32, f64)> {
    let mut by_users: Vec<u32> = (0..counts.len() as u32).collect();
    by_users.sort_by_key(|&item| counts[item as usize]);
    let root = |item: u32| (1.0 + f64::from(counts[item as usize])).sqrt();
    let step = by_users.iter().map(|&item| root(item)).sum::<f64>() / n as f64;
    let (mut drawn, mut sum, mut next) = (vec![], 0.0, 0.5 * step);
    for item in by_users {
        sum += root(item);
        let mut hits = 0;
        while next < sum {
            next += step;
            hits += 1;
        }
        if hits > 0 {
            drawn.push((item, f64::from(hits) * step / root(item)));
        }
    }
    drawn
}

/// Who has each of some items.
fn users_of(x: &Csr, items: &[(u32, f64)]) -> Vec<Vec<u32>> {
    let mut places = vec![u32::MAX; x.n_cols()];
    (0..).zip(items).for_each(|(place, &(item, _))| places[item as usize] = place);
    let mut users = vec![vec![]; items.len()];
    for (user, row) in (0..).zip(x.rows()) {
        let places = row.iter().map(|&item| places[item as usize]).filter(|&place| place != u32::MAX);
        places.for_each(|place| users[place as usize].push(user));
    }
    users
}

/// The other items by which each one is computed: row `j` has the `i` for which `B_ij` may differ from 0. `users_of` is
/// `x` transposed.
///
/// # Errors
/// `INVALID_ARGUMENT` if `density` is less than one pair, `CANCELLED` within an item.
pub(super) fn choose(x: &Csr, users_of: &Csr, density: f64, steps: &Steps<'_>) -> Result<Csr> {
    let n = x.n_cols();
    let total = pairs(density, n as f64) as u64;
    if total == 0 {
        let least = format!("{} or more for {n} items", (n as f64).powi(-2));
        return Err(Error::invalid_argument("density", density, least));
    }
    let pairs = Pairs::new(x, users_of, most_of_item(density, n as f64) as usize);
    let counted: Vec<AtomicU64> = (0..N_BUCKETS).map(|_| AtomicU64::new(0)).collect();
    pairs.for_all(steps, |close| {
        for pair in close.iter() {
            counted[pair.bucket()].fetch_add(1, Ordering::Relaxed);
        }
    })?;
    let (border, quota) = border(&counted, total);
    let mut chosen = pairs.for_all(steps, |close| {
        close.sort_unstable_by(Close::order);
        let count = |least| close.partition_point(|pair| pair.bucket() >= least);
        let items = close[..count(border)].iter().map(|pair| pair.item).collect();
        Chosen { items, safe: count(border + 1) }
    })?;
    share_out(&mut chosen, quota);
    let (mut indptr, mut indices) = (vec![0], Vec::with_capacity(chosen.iter().map(|row| row.items.len()).sum()));
    for Chosen { mut items, .. } in chosen {
        items.sort_unstable();
        indices.extend(items);
        indptr.push(indices.len());
    }
    Csr::new(indptr, indices, n)
}

/// The closeness at which there are more pairs than may be taken, and how many of its own may be.
fn border(counted: &[AtomicU64], total: u64) -> (usize, u64) {
    let mut quota = total;
    for (bucket, count) in counted.iter().enumerate().rev() {
        match quota.checked_sub(count.load(Ordering::Relaxed)) {
            Some(left) => quota = left,
            None => return (bucket, quota),
        }
    }
    (0, u64::MAX)
}

/// What is chosen for an item, the closest first.
struct Chosen {
    items: Vec<u32>,
    /// So many are closer than the border.
    safe: usize,
}

/// Leaves `quota` pairs at the border in all, for each item in proportion to those it has there.
fn share_out(chosen: &mut [Chosen], quota: u64) {
    let at_border: u64 = chosen.iter().map(|row| (row.items.len() - row.safe) as u64).sum();
    if at_border <= quota {
        return;
    }
    // Up to an item all together get their share rounded down, so that nothing is lost by rounding each.
    let share = |up_to: u64| (u128::from(up_to) * u128::from(quota) / u128::from(at_border)) as u64;
    let mut before = 0;
    for row in chosen {
        let up_to = before + (row.items.len() - row.safe) as u64;
        row.items.truncate(row.safe + (share(up_to) - share(before)) as usize);
        row.items.shrink_to_fit();
        before = up_to;
    }
}

/// An item and how close it is, as bits that are in order as the positive numbers are.
#[derive(Clone, Copy)]
struct Close {
    bits: u32,
    item: u32,
}

impl Close {
    fn bucket(&self) -> usize {
        ((self.bits >> BUCKET) as usize).min(N_BUCKETS - 1)
    }

    /// The closest first, among equals the first item.
    fn order(a: &Self, b: &Self) -> std::cmp::Ordering {
        b.bits.cmp(&a.bits).then(a.item.cmp(&b.item))
    }
}

/// All pairs, of each item the closest ones.
struct Pairs<'a> {
    x: &'a Csr,
    users_of: &'a Csr,
    most: usize,
    /// Pairs of each item's users.
    work: Vec<u64>,
    /// Items of about as much work.
    stretches: Vec<std::ops::Range<usize>>,
}

impl<'a> Pairs<'a> {
    fn new(x: &'a Csr, users_of: &'a Csr, most: usize) -> Self {
        let work: Vec<u64> =
            users_of.rows().map(|users| users.iter().map(|&user| x.row(user as usize).len() as u64).sum()).collect();
        let stretches = stretches_of_work(&work, 16 * rayon::current_num_threads());
        Self { x, users_of, most, work, stretches }
    }

    /// What `work` makes of each item's closest others, which come in no order.
    fn for_all<R: Send>(&self, steps: &Steps<'_>, work: impl Fn(&mut [Close]) -> R + Sync) -> Result<Vec<R>> {
        let counts = || self.users_of.rows().map(|users| users.len() as u32);
        let scales = scales(counts());
        let of_stretch = |items: &std::ops::Range<usize>| {
            let mut finder = Finder::new(self.x, &scales, self.most);
            let mut close = Vec::with_capacity(self.x.n_cols());
            let results = items.clone().map(|item| {
                steps.check()?;
                finder.find(item, self.users_of.row(item), &mut close);
                let result = work(&mut close);
                steps.did(costs::CLOSE_PAIR * self.work[item] as f64);
                Ok(result)
            });
            results.collect::<Result<Vec<R>>>()
        };
        let results = self.stretches.par_iter().map(of_stretch).collect::<Result<Vec<_>>>()?;
        Ok(results.into_iter().flatten().collect())
    }
}

/// `1 / sqrt(c_i + 10)` of items with so many users each.
fn scales(counts: impl Iterator<Item = u32>) -> Vec<f32> {
    counts.map(|count| (f64::from(count) + MORE_USERS).sqrt().recip() as f32).collect()
}

/// Finds the closest others of one item after the other.
struct Finder<'a> {
    x: &'a Csr,
    /// See [`scales`].
    scales: &'a [f32],
    most: usize,
    /// 0 between two items.
    counts: Vec<u32>,
    others: Vec<u32>,
}

impl<'a> Finder<'a> {
    fn new(x: &'a Csr, scales: &'a [f32], most: usize) -> Self {
        let n = x.n_cols();
        Self { x, scales, most, counts: vec![0; n], others: vec![0; n] }
    }

    /// Leaves the closest others of an item, who has these users, in `close`, in no order.
    fn find(&mut self, item: usize, users: &[u32], close: &mut Vec<Close>) {
        let Self { x, scales, most, counts, others } = self;
        let mut n = 0;
        for &user in users {
            for &other in x.row(user as usize) {
                let count = &mut counts[other as usize];
                if *count == 0 {
                    others[n] = other;
                    n += 1;
                }
                *count += 1;
            }
        }
        close.clear();
        let scale = scales[item];
        for &other in &others[..n] {
            let count = std::mem::take(&mut counts[other as usize]);
            if other as usize != item {
                let closeness = count as f32 * (scale * scales[other as usize]);
                close.push(Close { bits: closeness.to_bits(), item: other });
            }
        }
        if *most < close.len() {
            close.select_nth_unstable_by(*most, Close::order);
            close.truncate(*most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::cancel::Cancel;
    use crate::base::random::Stream;

    fn chosen(x: &Csr, density: f64) -> Vec<Vec<u32>> {
        let supports = choose(x, &x.transpose(), density, &Steps::silent(&Cancel::default())).unwrap();
        supports.rows().map(<[u32]>::to_vec).collect()
    }

    #[test]
    fn the_closest_pairs_are_taken_and_of_each_item_no_more_than_its_part() {
        let n = 60;
        let mut random = Stream::new(7, 0);
        let rows: Vec<Vec<u32>> = (0..500)
            .map(|_| (0..n as u32).filter(|&item| random.below(3 + u64::from(item) / 3) == 0).collect())
            .collect();
        let x = Csr::from_rows(&rows, n).unwrap();
        let users_of = x.transpose();
        let closeness = |i: usize, j: usize| {
            let both = users_of.row(i).iter().filter(|user| users_of.row(j).contains(user)).count();
            let size = |item| users_of.row(item).len() as f64 + 10.0;
            both as f64 / (size(i) * size(j)).sqrt()
        };
        for density in [0.001, 0.01, 0.05, 0.2, 0.6, 0.999] {
            let (total, most) = (pairs(density, n as f64) as usize, most_of_item(density, n as f64) as usize);
            let supports = chosen(&x, density);
            let mut left_out = vec![];
            let mut taken = vec![];
            let mut possible = 0;
            for (j, support) in supports.iter().enumerate() {
                assert!(support.len() <= most && !support.contains(&(j as u32)), "{density}: {support:?}");
                let mut all: Vec<(f64, u32)> =
                    (0..n as u32).filter(|&i| i as usize != j).map(|i| (closeness(i as usize, j), i)).collect();
                all.retain(|pair| pair.0 > 0.0);
                all.sort_by(|a, b| b.0.total_cmp(&a.0));
                all.truncate(most);
                possible += all.len();
                let (inside, outside): (Vec<_>, Vec<_>) = all.into_iter().partition(|pair| support.contains(&pair.1));
                taken.extend(inside.iter().map(|pair| pair.0));
                left_out.extend(outside.iter().map(|pair| pair.0));
            }
            assert_eq!(supports.iter().map(Vec::len).sum::<usize>(), total.min(possible), "{density}");
            // To a bucket, a two-thousandth, all the closest; equals at an item's limit are in the order of the items.
            let least = taken.iter().copied().fold(f64::INFINITY, f64::min);
            let largest = left_out.iter().copied().fold(0.0, f64::max);
            assert!(largest <= least * 1.0006, "{density}: {largest} is left out and {least} taken");
        }
    }

    #[test]
    fn a_sample_tells_of_all_items() {
        let n = 300;
        let mut random = Stream::new(5, 0);
        let rows: Vec<Vec<u32>> = (0..800)
            .map(|_| (0..n as u32).filter(|&item| random.below(4 + u64::from(item) / 2) == 0).collect())
            .collect();
        let x = Csr::from_rows(&rows, n).unwrap();
        let counts = x.column_counts();
        for density in [0.002, 0.01, 0.1, 0.5] {
            let of_all = chosen(&x, density);
            let users = |items: &Vec<u32>| items.iter().map(|&item| f64::from(counts[item as usize])).sum::<f64>();
            let whole = [
                of_all.iter().map(|items| items.len() as f64).sum::<f64>(),
                of_all.iter().map(users).sum(),
                of_all.iter().map(|items| (items.len() as f64).powi(3)).sum(),
            ];
            // Nearly all items, and a fifth of them. What is rounded where equals are shared out and chance leave some
            // hundredths and a few tenths.
            for (n, tolerance) in [(3000, 0.05), (60, 0.35)] {
                let supports = sample(&x, density, n);
                let sum = |of: fn(&Support) -> f64| supports.iter().map(|it| it.stands_for * of(it)).sum::<f64>();
                let items = sum(|_| 1.0);
                assert!((items / 300.0 - 1.0).abs() < tolerance, "{items} of {n}");
                let sampled =
                    [sum(|it| it.others as f64), sum(|it| it.users as f64), sum(|it| (it.others as f64).powi(3))];
                for (sampled, whole) in sampled.iter().zip(whole) {
                    assert!((sampled / whole - 1.0).abs() < tolerance, "{density}, {n}: {sampled} and {whole}");
                }
            }
        }
    }

    #[test]
    fn equals_are_shared_out_over_the_items() {
        // Twenty pairs of items, each with one user: 40 entries that are as close as each other.
        let x = Csr::from_rows((0..20u32).map(|user| [2 * user, 2 * user + 1]), 40).unwrap();
        assert!(chosen(&x, 0.9).iter().zip(0u32..).all(|(support, item)| support == &[item ^ 1]));
        let some = chosen(&x, 20.0 / 1600.0);
        assert_eq!(some.iter().map(Vec::len).sum::<usize>(), 20);
        assert_eq!(some[..20].iter().map(Vec::len).sum::<usize>(), 10);
        let error = choose(&x, &x.transpose(), 1e-4, &Steps::silent(&Cancel::default())).unwrap_err();
        assert_eq!(error.to_string(), "density is 0.0001; allowed: 0.000625 or more for 40 items");
    }
}
