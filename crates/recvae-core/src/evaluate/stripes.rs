//! Lists of the best items of many users from sums of rows of a matrix of items x items, such as EASE^R's, stripe by
//! stripe of its columns.
//!
//! For a block of users with all their scores, each user's rows come from all over the matrix, of which a cache holds a
//! small part, and for the next block they come again. Here all users pass over a few columns before the next ones are
//! looked at. The columns are copied so that the rows lie one after the other: 32 numbers of every row, most of which
//! stay in the second-level cache. Of each user only such items are kept as may be in the list, so that there is no
//! matrix of scores. The sums are those of [`Scorer::score`] in the same order, and so are their bits.

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use crate::base::error::Result;
use crate::base::matrix::view2_mut;
use crate::base::numbers::Numbers;
use crate::evaluate::scorer::{Scored, Scorer, check_histories};
use crate::evaluate::top_k::{BLOCK, for_each_user, key, score_of, top_k, with_missing};
use crate::math::reach::{LANES, for_each_place, reaching};
use crate::math::real::Real;
use crate::math::row_sums::sums_of_rows;
use crate::math::vectorised::{prefetch, vectorised};

/// Columns of a stripe.
const STRIPE: usize = 32;
/// Stripes that are copied at a time: a row's part of them is long enough for memory to give it at full speed. Together
/// they take as much as the scores of a block of users.
const STRIPES: usize = BLOCK / STRIPE;
/// Rows that one task copies, and users that one task looks at, at most.
const ROWS: usize = 512;
const USERS: usize = 256;
/// Rows that are asked for before they are copied.
const AHEAD: usize = 8;
/// The fewest items and users for which it is worth it: the whole matrix is read once.
const LEAST_ITEMS: usize = 1_024;
const LEAST_USERS: usize = 512;

/// A matrix of which scores are sums of rows, for lists of `k` items.
pub(super) struct Stripes<'m> {
    rows: &'m [f32],
    n_items: usize,
    k: usize,
    /// Bytes of what is kept of users at a time: as many as the scores of a block of users take, too.
    budget: usize,
}

impl<'m> Stripes<'m> {
    /// For lists of `k` items for so many users; `None` where all scores are the sooner way.
    pub(super) fn of(model: &'m dyn Scorer, n_users: usize, k: usize) -> Option<Self> {
        let n_items = model.n_items();
        let budget = BLOCK * n_items * size_of::<f32>();
        let fits = n_items >= LEAST_ITEMS && (1..=n_items).contains(&k) && budget / Best::bytes(k) >= LEAST_USERS;
        let rows = if fits && n_users >= LEAST_USERS { model.item_rows()? } else { return None };
        Some(Self { rows, n_items, k, budget })
    }

    /// As [`for_each_list`](super::lists::for_each_list), of whose model it is made.
    pub(super) fn for_each_list<'a, R: Send>(
        &self,
        model: &dyn Scorer,
        histories: &[&[u32]],
        left_out: impl Fn(usize) -> Cow<'a, [u32]> + Sync,
        each: impl Fn(usize, Vec<Scored>, &dyn Fn(u32) -> f32) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        check_histories(histories, self.n_items)?;
        let of_all = |user: usize, scores: &[f32]| {
            each(user, top_k(scores, &left_out(user), self.k)?, &|item| scores[item as usize])
        };
        let mut copies = Numbers::zeros(STRIPES * STRIPE * self.n_items);
        let mut results = Vec::with_capacity(histories.len());
        while histories.len() - results.len() >= LEAST_USERS {
            let first = results.len();
            let mut best = self.begin(first..histories.len(), &left_out);
            let block = &histories[first..first + best.len()];
            let of_task = USERS.min(block.len().div_ceil(4 * rayon::current_num_threads()));
            for columns in (0..self.n_items).step_by(STRIPES * STRIPE) {
                // Whoever watches the model sees that it is asked.
                model.score_some(&[], &[], view2_mut(&mut [], (0, 0)))?;
                self.copy(columns, &mut copies);
                for (stripe, rows) in copies.chunks(STRIPE * self.n_items).enumerate() {
                    let items = columns + stripe * STRIPE..self.n_items.min(columns + (stripe + 1) * STRIPE);
                    if items.is_empty() {
                        break;
                    }
                    let users = best.par_chunks_mut(of_task).zip(block.par_chunks(of_task));
                    users.for_each(|(best, histories)| {
                        for (best, history) in best.iter_mut().zip(histories) {
                            let scores = of_stripe(rows, history);
                            best.add(items.start as u32, &scores[..items.len()]);
                        }
                    });
                }
            }
            let found = best.into_par_iter().enumerate().map(|(at, best)| {
                let Some(list) = best.list() else { return Ok(None) };
                let score = |item: u32| {
                    sums_of_rows::<_, f32, 1>(self.rows, |weight| weight, self.n_items, block[at], item as usize)[0]
                };
                each(first + at, list, &score).map(Some)
            });
            let found: Vec<Option<R>> = found.collect::<Result<_>>()?;
            results.extend(with_missing(model, block, found, |at, scores| of_all(first + at, scores))?);
        }
        // Few are left: not worth another walk through the matrix.
        let first = results.len();
        results.extend(for_each_user(model, &histories[first..], |at, scores| of_all(first + at, scores))?);
        Ok(results)
    }

    /// Of the first of some users, as many as fit, nothing is found yet.
    fn begin<'a>(&self, users: Range<usize>, left_out: &(impl Fn(usize) -> Cow<'a, [u32]> + Sync)) -> Vec<Best<'a>> {
        let (mut all, mut bytes) = (vec![], 0);
        for some in users.clone().step_by(USERS) {
            let more: Vec<_> = (some..users.end.min(some + USERS))
                .into_par_iter()
                .map(|user| Best::new(self.k, left_out(user)))
                .collect();
            bytes += more.iter().map(Best::bytes_of).sum::<usize>();
            if !all.is_empty() && bytes > self.budget {
                break;
            }
            all.extend(more);
        }
        all
    }

    /// Fills the copies by the columns from `first` on, stripe by stripe.
    fn copy(&self, first: usize, copies: &mut [f32]) {
        let Self { rows, n_items, .. } = *self;
        let mut stripes: Vec<_> =
            copies.chunks_mut(STRIPE * n_items).map(|stripe| stripe.chunks_mut(STRIPE * ROWS)).collect();
        let tasks: Vec<Vec<&mut [f32]>> = (0..n_items.div_ceil(ROWS))
            .map(|_| stripes.iter_mut().map(|stripe| stripe.next().expect("a part of each stripe")).collect())
            .collect();
        tasks.into_par_iter().zip(rows.par_chunks(ROWS * n_items)).for_each(|(mut parts, rows)| {
            let columns_of = |row: usize| {
                let row = &rows[row * n_items..][..n_items];
                &row[first..n_items.min(first + STRIPES * STRIPE)]
            };
            let n_rows = rows.len() / n_items;
            for at in 0..n_rows {
                // Each row is in another page: the processor would wait for one after the other.
                if at + AHEAD < n_rows {
                    prefetch(columns_of(at + AHEAD));
                }
                for (part, columns) in parts.iter_mut().zip(columns_of(at).chunks(STRIPE)) {
                    let part = &mut part[at * STRIPE..][..STRIPE];
                    // Of a length that the compiler knows, but for the last ones.
                    match <&[f32; STRIPE]>::try_from(columns) {
                        Ok(columns) => part.copy_from_slice(columns),
                        Err(_) => part[..columns.len()].copy_from_slice(columns),
                    }
                }
            }
        });
    }
}

/// What may be in the list of a user, of the items that were looked at.
struct Best<'a> {
    k: usize,
    left_out: Cow<'a, [u32]>,
    /// Items with their scores, as [`key`]s: all that reach `least`.
    found: Vec<u64>,
    /// A score that `k` items reach.
    least: f32,
    /// A score is not a number.
    has_nan: bool,
}

impl<'a> Best<'a> {
    /// How many are found at most.
    fn longest(k: usize) -> usize {
        2 * k + STRIPE
    }

    /// Of such a list, what is left out apart.
    fn bytes(k: usize) -> usize {
        size_of::<Self>() + size_of::<u64>() * Self::longest(k)
    }

    /// Of all that is held for this one.
    fn bytes_of(&self) -> usize {
        let owned = if let Cow::Owned(left_out) = &self.left_out { left_out.capacity() } else { 0 };
        Self::bytes(self.k) + size_of::<u32>() * owned
    }

    fn new(k: usize, left_out: Cow<'a, [u32]>) -> Self {
        Self { k, left_out, found: Vec::with_capacity(Self::longest(k)), least: f32::NEG_INFINITY, has_nan: false }
    }

    /// Looks at the scores of at most 32 items from number `first` on.
    fn add(&mut self, first: u32, scores: &[f32]) {
        let mut bits = [0; STRIPE.div_ceil(LANES)];
        let bits = &mut bits[..scores.len().div_ceil(LANES)];
        reaching(scores, None, f32::NEG_INFINITY, bits);
        let numbers: u32 = bits.iter().map(|bits| bits.count_ones()).sum();
        self.has_nan |= numbers as usize != scores.len();
        if self.least > f32::NEG_INFINITY {
            reaching(scores, None, self.least, bits);
        }
        for_each_place(bits, |at| {
            let item = first + at as u32;
            if self.left_out.binary_search(&item).is_err() {
                self.found.push(key(scores[at], item));
            }
        });
        if self.found.len() > Self::longest(self.k) - STRIPE {
            self.least = score_of(*self.found.select_nth_unstable(self.k - 1).1);
            self.found.truncate(self.k);
        }
    }

    /// The list; none if a score is not a number.
    fn list(mut self) -> Option<Vec<Scored>> {
        if self.has_nan {
            return None;
        }
        self.found.sort_unstable();
        self.found.truncate(self.k);
        Some(self.found.iter().map(|&key| Scored { item: key as u32, score: score_of(key) }).collect())
    }
}

/// The sums of a stripe's rows.
fn of_stripe(rows: &[f32], history: &[u32]) -> [f32; STRIPE] {
    let mut sums = [0.0; STRIPE];
    sums_into(rows, history, &mut sums);
    sums
}

vectorised! {
    fn sums_into(rows: &[T], history: &[u32], sums: &mut [T; STRIPE]) {
        *sums = sums_of_rows(rows, |weight| weight, STRIPE, history, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Stream;
    use crate::evaluate::lists::recommend;
    use crate::evaluate::top_k::for_each_user;
    use crate::model::{ModelKind, TensorSource};

    /// A matrix for EASE^R.
    struct Weights(Vec<f32>);

    impl TensorSource for Weights {
        fn f32(&self, _: &str, _: &[usize]) -> Result<Vec<f32>> {
            Ok(self.0.clone())
        }

        fn f64(&self, _: &str, _: &[usize]) -> Result<Vec<f64>> {
            unreachable!("f32 is the default")
        }
    }

    fn histories(random: &mut Stream, n_users: usize, n_items: usize) -> Vec<Vec<u32>> {
        let one_in = |random: &mut Stream| [n_items as u64 * 2, 400, 90, 20][random.below(4) as usize];
        let history = |_| {
            let one_in = one_in(random);
            (0..n_items as u32).filter(|_| random.below(one_in) == 0).collect()
        };
        (0..n_users).map(history).collect()
    }

    /// Few distinct weights make ties, and a history without an item gives every item the same score.
    #[test]
    fn lists_have_the_bits_of_those_from_all_scores() {
        let mut random = Stream::new(9, 0);
        for (n_items, kind) in [(1_024, 0), (1_057, 1), (1_311, 2), (1_100, 3)] {
            let mut weights: Vec<f32> = (0..n_items * n_items)
                .map(|_| match kind {
                    1 => [-0.0, 0.0, 0.5][random.below(3) as usize],
                    3 => 3e38 * random.normal() as f32,
                    _ => random.normal() as f32,
                })
                .collect();
            if kind == 2 {
                weights[n_items * 7 + 1_200] = f32::NAN;
            }
            let model = ModelKind::Ease.load(&serde_json::json!({}), n_items, &Weights(weights)).unwrap();
            let rows = histories(&mut random, LEAST_USERS + 301, n_items);
            let rows: Vec<&[u32]> = rows.iter().map(|row| &row[..]).collect();
            for k in [1, 10, 63] {
                for seen in [true, false] {
                    let left_out = |user: usize| if seen { rows[user] } else { &[] };
                    assert!(Stripes::of(&*model, rows.len(), k).is_some());
                    let expected = for_each_user(&*model, &rows, |user, scores| top_k(scores, left_out(user), k));
                    let found = recommend(&*model, &rows, k, seen);
                    let (Ok(expected), Ok(found)) = (&expected, &found) else {
                        // A sum of infinities of both signs, or what was put there.
                        let codes = [expected.as_ref().err(), found.as_ref().err()]
                            .map(|error| error.map(|error| error.code()));
                        assert_eq!(codes, [Some("NUMERICAL"); 2]);
                        continue;
                    };
                    let bits = |lists: &[Vec<Scored>]| -> Vec<Vec<(u32, u32)>> {
                        let of_list = |list: &Vec<Scored>| list.iter().map(|s| (s.item, s.score.to_bits())).collect();
                        lists.iter().map(of_list).collect()
                    };
                    assert!(bits(expected) == bits(found), "{n_items} items, {k}, {seen}");
                }
            }
        }
    }

    #[test]
    fn scores_of_single_items_are_the_model_s() {
        let mut random = Stream::new(10, 0);
        let n_items = 1_030;
        let weights = (0..n_items * n_items).map(|_| random.normal() as f32).collect();
        let model = ModelKind::Ease.load(&serde_json::json!({}), n_items, &Weights(weights)).unwrap();
        let rows = histories(&mut random, LEAST_USERS, n_items);
        let rows: Vec<&[u32]> = rows.iter().map(|row| &row[..]).collect();
        let stripes = Stripes::of(&*model, rows.len(), 5).unwrap();
        let of_items = |_, _, score: &dyn Fn(u32) -> f32| Ok([0, 31, 32, 1_029].map(|item| score(item).to_bits()));
        let found = stripes.for_each_list(&*model, &rows, |_| Cow::Borrowed(&[]), of_items).unwrap();
        let expected =
            for_each_user(&*model, &rows, |_, scores| Ok([0, 31, 32, 1_029].map(|item| scores[item].to_bits())));
        assert_eq!(found, expected.unwrap());
    }

    /// More users than fit at a time, since what is left out is theirs alone, and a rest that is too small for a walk.
    #[test]
    fn lists_come_in_the_order_of_the_users() {
        let mut random = Stream::new(11, 0);
        let n_items = LEAST_ITEMS;
        let weights = (0..n_items * n_items).map(|_| random.normal() as f32).collect();
        let model = ModelKind::Ease.load(&serde_json::json!({}), n_items, &Weights(weights)).unwrap();
        let rows = histories(&mut random, 2 * LEAST_USERS + 100, n_items);
        let rows: Vec<&[u32]> = rows.iter().map(|row| &row[..]).collect();
        let left_out = |user: usize| (0..n_items as u32).filter(|item| item % 2 == user as u32 % 2).collect::<Vec<_>>();
        let stripes = Stripes::of(&*model, rows.len(), 20).unwrap();
        assert!(stripes.begin(0..rows.len(), &|user| Cow::Owned(left_out(user))).len() < rows.len());
        let found =
            stripes.for_each_list(&*model, &rows, |user| Cow::Owned(left_out(user)), |user, list, _| Ok((user, list)));
        let expected = for_each_user(&*model, &rows, |user, scores| Ok((user, top_k(scores, &left_out(user), 20)?)));
        assert_eq!(found.unwrap(), expected.unwrap());
    }

    #[test]
    fn a_cancelled_walk_ends() {
        let n_items = LEAST_ITEMS;
        let model =
            ModelKind::Ease.load(&serde_json::json!({}), n_items, &Weights(vec![0.0; n_items * n_items])).unwrap();
        let cancel = crate::base::cancel::Cancel::default();
        cancel.cancel();
        let rows: Vec<&[u32]> = vec![&[0, 1]; LEAST_USERS];
        let watched = cancel.watch(&*model);
        assert!(Stripes::of(&watched, rows.len(), 3).is_some());
        assert_eq!(recommend(&watched, &rows, 3, true).unwrap_err().code(), "CANCELLED");
    }

    #[test]
    fn an_item_that_is_not_there_is_an_error() {
        let n_items = LEAST_ITEMS;
        let model =
            ModelKind::Ease.load(&serde_json::json!({}), n_items, &Weights(vec![0.0; n_items * n_items])).unwrap();
        let mut rows: Vec<&[u32]> = vec![&[0, 1]; LEAST_USERS];
        rows[300] = &[1, 1_024];
        assert_eq!(recommend(&*model, &rows, 3, true).unwrap_err().code(), "INTERNAL");
    }

    #[test]
    fn where_it_is_not_worth_it_all_scores_are_computed() {
        let model =
            |n_items| ModelKind::Ease.load(&serde_json::json!({}), n_items, &Weights(vec![0.0; n_items * n_items]));
        let [small, large] = [LEAST_ITEMS - 1, LEAST_ITEMS].map(|n_items| model(n_items).unwrap());
        assert!(Stripes::of(&*small, 10_000, 10).is_none());
        assert!(Stripes::of(&*large, LEAST_USERS - 1, 10).is_none());
        assert!(Stripes::of(&*large, LEAST_USERS, 10).is_some());
        // What is kept of so long lists takes as much as all scores; and lists of nothing, or of more than there is.
        for k in [0, 500, LEAST_ITEMS + 1, usize::MAX] {
            assert!(Stripes::of(&*large, 10_000, k).is_none());
        }
    }
}
