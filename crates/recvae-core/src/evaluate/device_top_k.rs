//! The best items of many users where their scores are tensors: what comes back is little more than the lists.
//!
//! A sort of whole rows is not to be had: candle's sorts a row within a GPU's shared memory, 1,024 numbers by as many
//! threads. So items are put into groups, of which there are 1,024 at most, and the groups are sorted by their largest
//! scores. The `keep` best items lie in the `keep` best groups; these are put one behind the other and grouped anew,
//! until a group has one item. With 20,720 items and 128 to keep, groups have 21, 3 and 1 items.
//!
//! The order of equal scores is not the host's. What tells whether that matters comes back, too: the largest score of
//! what was left out.

use candle_core::{Device, Tensor};

use crate::base::tensors::Candle;
use crate::evaluate::top_k::key;

/// Groups that are sorted at once.
const GROUPS: usize = 1024;
/// The most items that are kept of a user, so that each round has half as many as the one before, about.
pub(super) const MOST: usize = GROUPS / 2;

/// How many items are kept of a user for a list of `k`: more, for those that are as near to the last one as rounding
/// is.
pub(crate) fn kept_for(k: usize) -> usize {
    k + (k / 4).max(28)
}

/// The best items of some users, the best first.
pub(crate) struct Best {
    /// Items of each.
    kept: usize,
    /// Shape `(users, kept)`; minus infinity for what was left out or is no item.
    scores: Vec<f32>,
    items: Vec<u32>,
    /// Of each user a score that no other item is above.
    beyond: Vec<f32>,
}

impl Best {
    /// What may be in the user's list of `k` items where scores are off by half of `margin` at most, with its scores:
    /// by item. Nothing where some of that was not kept.
    pub(super) fn shortlist(&self, user: usize, k: usize, margin: f64) -> Option<Vec<(u32, f32)>> {
        let here = user * self.kept..(user + 1) * self.kept;
        let (scores, items) = (&self.scores[here.clone()], &self.items[here]);
        // Down, so that rounding leaves nothing out.
        let bar = match scores.get(k - 1) {
            Some(&last) if margin > 0.0 => ((f64::from(last) - margin) as f32).next_down(),
            Some(&last) => last,
            None => f32::NEG_INFINITY,
        };
        let beyond = self.beyond[user];
        if beyond > f32::NEG_INFINITY && beyond >= bar {
            return None;
        }
        let may_be = |&(_, score): &(u32, f32)| score >= bar && score > f32::NEG_INFINITY;
        let mut list: Vec<(u32, f32)> = items.iter().copied().zip(scores.iter().copied()).filter(may_be).collect();
        list.sort_unstable_by_key(|&(item, _)| item);
        Some(list)
    }

    /// The list of `k` items by the scores as they are.
    pub(crate) fn list(&self, user: usize, k: usize) -> Option<Vec<(u32, f32)>> {
        let mut list = self.shortlist(user, k, 0.0)?;
        list.sort_unstable_by_key(|&(item, score)| key(score, item));
        list.truncate(k);
        Some(list)
    }
}

/// Columns of scores of so many items, for [`best`]: at least one more, which is no item's.
pub(crate) const fn columns_for(n_items: usize) -> usize {
    n_items + 1
}

/// The `keep` best of each row of finite scores, shape `(users, columns)`, without the items in `left_out`. The last
/// column is no item's, and is minus infinity.
pub(crate) fn best(scores: &Tensor, left_out: &[&[u32]], keep: usize) -> Candle<Best> {
    let (users, columns) = scores.dims2()?;
    let longest = left_out.iter().map(|items| items.len()).max().unwrap_or(0);
    let mut rest = if longest == 0 {
        scores.contiguous()?
    } else {
        let places = places(left_out, longest, columns - 1, scores.device())?;
        let nothing = Tensor::full(f32::NEG_INFINITY, places.shape(), scores.device())?;
        scores.contiguous()?.scatter(&places, &nothing, 1)?
    };
    let mut rounds: Vec<(usize, Vec<u32>)> = vec![];
    let mut beyond: Option<Tensor> = None;
    loop {
        let columns = rest.dim(1)?;
        let size = columns.div_ceil(GROUPS);
        let groups = columns.div_ceil(size);
        let filled = groups * size - columns;
        if filled > 0 {
            let nothing = Tensor::full(f32::NEG_INFINITY, (users, filled), rest.device())?;
            rest = Tensor::cat(&[&rest, &nothing], 1)?;
        }
        let largest =
            if size == 1 { rest.clone() } else { rest.reshape((users, groups, size))?.max(2)?.contiguous()? };
        let order = largest.arg_sort_last_dim(false)?;
        let kept = keep.min(groups);
        if kept < groups {
            let next = largest.gather(&order.narrow(1, kept, 1)?.contiguous()?, 1)?;
            beyond = Some(match beyond {
                Some(beyond) => beyond.maximum(&next)?,
                None => next,
            });
        }
        let top = order.narrow(1, 0, kept)?.contiguous()?;
        rounds.push((size, top.flatten_all()?.to_vec1()?));
        if size == 1 {
            let scores: Vec<f32> = largest.gather(&top, 1)?.flatten_all()?.to_vec1()?;
            let beyond =
                beyond.map_or_else(|| Ok(vec![f32::NEG_INFINITY; users]), |beyond| beyond.flatten_all()?.to_vec1())?;
            return Ok(Best { kept, items: items_of(&rounds, users, kept), scores, beyond });
        }
        let of_groups = top.unsqueeze(2)?.broadcast_as((users, kept, size))?.contiguous()?;
        rest = rest.reshape((users, groups, size))?.gather(&of_groups, 1)?.reshape((users, kept * size))?;
    }
}

/// Places in rows of a tensor, those that a row lacks at `none`: shape `(rows, longest)`.
pub(super) fn places(of_rows: &[&[u32]], longest: usize, none: usize, device: &Device) -> Candle<Tensor> {
    let mut all = vec![none as u32; of_rows.len() * longest];
    all.chunks_exact_mut(longest).zip(of_rows).for_each(|(all, places)| all[..places.len()].copy_from_slice(places));
    Tensor::from_vec(all, (of_rows.len(), longest), device)
}

/// The items at the places of the last round, by what each round has put where.
fn items_of(rounds: &[(usize, Vec<u32>)], users: usize, kept: usize) -> Vec<u32> {
    let item = |user: usize, place: usize| {
        rounds.iter().rev().fold(place, |place, (size, top)| {
            let groups = top.len() / users;
            top[user * groups + place / size] as usize * size + place % size
        })
    };
    (0..users).flat_map(|user| (0..kept).map(move |place| item(user, place) as u32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Stream;
    use crate::base::tensors::open;
    use crate::evaluate::top_k::top_k;
    use crate::test_support::gpu;

    /// Sizes around those of one, two and three rounds; scores without ties, with many, and fewer than are kept; both
    /// devices.
    #[test]
    fn a_gpu_finds_the_items_that_the_host_selects() {
        let gpu = gpu().map(|gpu| open(gpu).unwrap());
        let mut random = Stream::new(5, 0);
        for (n_items, keep, k) in [
            (1, 8, 3),
            (7, 8, 8),
            (40, 8, 8),
            (1023, 20, 10),
            (1024, 20, 20),
            (2500, 60, 40),
            (9000, 512, 400),
            (70_000, 128, 100),
        ] {
            for ties in [false, true] {
                let users = 5;
                let columns = columns_for(n_items);
                let mut score = || match ties {
                    true => [-1.5, -0.0, 0.0, 1.0][random.below(4) as usize],
                    false => random.normal() as f32,
                };
                let scores: Vec<Vec<f32>> = (0..users).map(|_| (0..n_items).map(|_| score()).collect()).collect();
                // Nothing, something, all but two, all.
                let one_in = [u64::MAX, 3, 3, 1, 1];
                let left_out: Vec<Vec<u32>> = one_in
                    .map(|one_in| (0..n_items as u32).filter(|_| random.below(one_in.min(1 << 40)) == 0).collect())
                    .into_iter()
                    .enumerate()
                    .map(|(user, mut items): (usize, Vec<u32>)| {
                        items.truncate(if user == 3 { n_items.saturating_sub(2) } else { n_items });
                        items
                    })
                    .collect();
                let left_out: Vec<&[u32]> = left_out.iter().map(Vec::as_slice).collect();
                for device in [Some(Device::Cpu), gpu.clone()].into_iter().flatten() {
                    let rows: Vec<f32> =
                        scores.iter().flat_map(|row| row.iter().copied().chain([f32::NEG_INFINITY])).collect();
                    let tensor = Tensor::from_vec(rows, (users, columns), &device).unwrap();
                    let found = best(&tensor, &left_out, keep).unwrap();
                    for user in 0..users {
                        let expected = top_k(&scores[user], left_out[user], k).unwrap();
                        let expected: Vec<(u32, f32)> = expected.iter().map(|best| (best.item, best.score)).collect();
                        let list = found.list(user, k);
                        let what = format!("{n_items} items, {keep} kept, ties {ties}, user {user}");
                        match list {
                            Some(list) => assert_eq!(list, expected, "{what}"),
                            // Then an item beyond those that are kept ties with the last one.
                            None => assert!(ties && n_items > keep, "{what}"),
                        }
                        // With a margin all items within it are there, or none.
                        let Some(wide) = found.shortlist(user, k, 0.5) else { continue };
                        let bar = expected.get(k - 1).map_or(f32::NEG_INFINITY, |last| last.1 - 0.5);
                        let within = (0..n_items as u32).filter(|item| {
                            left_out[user].binary_search(item).is_err() && scores[user][*item as usize] > bar
                        });
                        let wide: Vec<u32> = wide.into_iter().map(|(item, _)| item).collect();
                        assert!(within.into_iter().all(|item| wide.binary_search(&item).is_ok()), "{what}");
                    }
                }
            }
        }
    }
}
