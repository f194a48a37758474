use ndarray::ArrayViewMut2;

use super::*;
use crate::base::random::Stream;
use crate::base::tensors::open;
use crate::evaluate::lists::found_for_each;
use crate::evaluate::made_up::{KINDS, MadeUp, bits, histories, random_numbers, spoilt};
use crate::evaluate::scorer::{checked, checked_some};
use crate::evaluate::top_k::{for_each_user, top_k};
use crate::test_support::gpu;

/// A model whose scores are sums of made-up rows.
struct Sums {
    n_items: usize,
    rows: Vec<f32>,
}

impl Scorer for Sums {
    fn n_items(&self) -> usize {
        self.n_items
    }

    fn score(&self, histories: &[&[u32]], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        let scores = checked(histories, self.n_items, scores)?;
        for (history, scores) in histories.iter().zip(scores.chunks_mut(self.n_items)) {
            scores.fill(0.0);
            for &item in *history {
                let row = &self.rows[item as usize * self.n_items..][..self.n_items];
                scores.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
        }
        Ok(())
    }

    fn score_some(&self, histories: &[&[u32]], items: &[u32], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        let scores = checked_some(histories, items, self.n_items, scores)?;
        for (history, scores) in histories.iter().zip(scores.chunks_mut(items.len().max(1))) {
            scores.fill(0.0);
            for &item in *history {
                let row = &self.rows[item as usize * self.n_items..][..self.n_items];
                scores.iter_mut().zip(items).for_each(|(sum, &item)| *sum += row[item as usize]);
            }
        }
        Ok(())
    }

    fn item_rows(&self) -> Option<&[f32]> {
        Some(&self.rows)
    }
}

/// candle's device of the processor, and a GPU where one opens.
fn devices() -> impl Iterator<Item = Device> {
    [Some(Device::Cpu), gpu().map(|gpu| open(gpu).unwrap())].into_iter().flatten()
}

/// Compares the lists that are found on every device with those from all scores, errors included.
fn compare(model: &dyn Scorer, histories: &[&[u32]], k: usize, what: &str) {
    let left_out = |user: usize| Cow::Borrowed(histories[user]);
    let expected = for_each_user(model, histories, |user, scores| top_k(scores, &left_out(user), k));
    for device in devices() {
        let finder = DeviceLists::new(model, device).unwrap().unwrap();
        let found = found_for_each(&finder, model, histories, k, left_out, |_, list, _| Ok(list));
        match (&found, &expected) {
            (Ok(found), Ok(expected)) => assert!(bits(found) == bits(expected), "{what}"),
            (Err(found), Err(expected)) => assert_eq!(found.to_string(), expected.to_string(), "{what}"),
            _ => panic!("{what}: {found:?} instead of {expected:?}"),
        }
    }
}

fn borrowed(histories: &[Vec<u32>]) -> Vec<&[u32]> {
    histories.iter().map(Vec::as_slice).collect()
}

/// Every kind of users with every one of items, of more than one round and less.
#[test]
fn a_gpu_finds_lists_with_the_bits_of_the_processor_where_scores_are_products() {
    let mut random = Stream::new(21, 0);
    for (at, (width, n_items)) in [(1, 300), (7, 1025), (16, 2600)].into_iter().enumerate() {
        for (users, of_users) in KINDS {
            for (items, of_items) in KINDS {
                let biases = (random.below(2) == 0).then(|| random_numbers(&mut random, n_items, of_items));
                let model = MadeUp {
                    width,
                    items: random_numbers(&mut random, n_items * width, of_items),
                    biases,
                    users: random_numbers(&mut random, 20 * width, of_users),
                };
                let histories = histories(&mut random, 30, n_items);
                compare(
                    &model,
                    &borrowed(&histories),
                    [1, 5, 40][at],
                    &format!("{users} users, {items} items, {n_items}"),
                );
            }
        }
    }
}

/// The largest has two slabs.
#[test]
fn a_gpu_finds_lists_with_the_bits_of_the_processor_where_scores_are_sums() {
    let mut random = Stream::new(22, 0);
    for (n_items, kinds) in [(90, &KINDS[..]), (1100, &KINDS[..]), (SLAB + 70, &KINDS[..1])] {
        for &(kind, of) in kinds {
            let model = Sums { n_items, rows: random_numbers(&mut random, n_items * n_items, of) };
            let histories = histories(&mut random, 24, n_items);
            compare(&model, &borrowed(&histories), 10, &format!("{kind}, {n_items}"));
        }
    }
}

#[test]
fn a_gpu_leaves_numbers_that_are_not_finite_to_the_processor() {
    let mut random = Stream::new(23, 0);
    for bad in [f32::NAN, f32::INFINITY, 3e38] {
        for place in 0..4 {
            let n_items = 200;
            let histories: [&[u32]; 4] = [&[0], &[1], &[2], &[]];
            if place == 3 {
                let mut rows = random_numbers(&mut random, n_items * n_items, |x| x);
                rows[n_items + 7] = bad;
                compare(&Sums { n_items, rows }, &histories, 4, &format!("{bad} in a row"));
                continue;
            }
            compare(&spoilt(&mut random, n_items, bad, place), &histories, 4, &format!("{bad} at {place}"));
        }
    }
}

/// The bound holds, is not too wide by orders of magnitude, and of usual scores nobody needs all.
#[test]
fn a_gpu_gives_scores_within_their_bound() {
    let mut random = Stream::new(24, 0);
    let (width, n_items, n_users) = (50, 3000, 40);
    let products = MadeUp {
        width,
        items: random_numbers(&mut random, n_items * width, |x| x),
        biases: Some(random_numbers(&mut random, n_items, |x| x)),
        users: random_numbers(&mut random, n_users * width, |x| x),
    };
    let sums = Sums { n_items, rows: random_numbers(&mut random, n_items * n_items, |x| x * 0.1) };
    let histories: Vec<Vec<u32>> = (0..n_users as u32).map(|user| (user..3000).step_by(97).collect()).collect();
    let histories = borrowed(&histories);
    let left_out: Vec<Cow<'_, [u32]>> = histories.iter().map(|&items| Cow::Borrowed(items)).collect();
    for model in [&products as &dyn Scorer, &sums] {
        let expected = model.scores(&histories).unwrap();
        for device in devices() {
            let finder = DeviceLists::new(model, device).unwrap().unwrap();
            let known = finder.known(model, &histories).unwrap();
            let margins = known.margins(&histories);
            let scores = finder.scores(&known, &histories, &margins).unwrap().to_vec2::<f32>().unwrap();
            for (user, margin) in margins.iter().enumerate() {
                let errors = expected.row(user).into_iter().zip(&scores[user]).map(|(&a, &b)| f64::from(a - b).abs());
                let (largest, margin) = (errors.fold(0.0, f64::max), margin.unwrap());
                let scale = expected.row(user).iter().fold(0.0f32, |largest, score| largest.max(score.abs()));
                assert!(2.0 * largest <= margin && margin < 1e-3 * f64::from(scale), "{largest}, {margin}, {scale}");
                assert_eq!(scores[user][n_items], f32::NEG_INFINITY);
            }
            for k in [1, 10, 100] {
                let lists = finder.find(model, &histories, &left_out, k).unwrap();
                assert!(lists.iter().all(|list| list.as_ref().is_some_and(|list| list.len() == k)), "{k}");
            }
        }
    }
}

#[test]
fn a_finder_is_of_one_model_and_for_many_users_of_many_items() {
    let of = |n_items| Sums { n_items, rows: vec![0.0; n_items * n_items] };
    let finder = DeviceLists::new(&of(300), Device::Cpu).unwrap().unwrap();
    let error = finder.find(&of(299), &[&[0]], &[Cow::Borrowed(&[])], 1).unwrap_err();
    assert_eq!(error.code(), "INTERNAL");
    for (n_users, k, expected) in [(64, 100, true), (63, 100, false), (1000, 150, false)] {
        assert_eq!(finder.is_worth_it(n_users, k), expected, "{n_users} users, {k} items");
    }
    // A sort of a device takes so many.
    assert!(is_worth_it(64, 410, 20_000) && !is_worth_it(64, 411, 20_000));
    // What is told of its memory is more than its tensors of items take.
    let bytes = device_bytes(&of(300)).unwrap();
    assert!(bytes[0].1 >= 4.0 * 300.0 * 301.0 && bytes[1].1 > 6.0 * 4.0 * 256.0 * 301.0);
}
