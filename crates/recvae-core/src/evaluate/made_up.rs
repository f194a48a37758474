//! Models of made-up numbers that are hard on what finds lists, for tests.

use ndarray::ArrayViewMut2;

use crate::base::error::Result;
use crate::base::matrix::{row_major_mut, view2};
use crate::base::random::Stream;
use crate::evaluate::factors::Factors;
use crate::evaluate::scorer::{Scored, Scorer, checked};
use crate::evaluate::top_k::BLOCK;
use crate::math::products::par_products;
use crate::math::vectorised::add;

/// A model of made-up vectors; the last item of a history says whose vector it is, an empty history has the last
/// vector.
pub(super) struct MadeUp {
    pub(super) width: usize,
    pub(super) items: Vec<f32>,
    pub(super) biases: Option<Vec<f32>>,
    pub(super) users: Vec<f32>,
}

impl MadeUp {
    fn vectors(&self, histories: &[&[u32]]) -> Vec<f32> {
        let n_users = self.users.len() / self.width;
        let user = |history: &[u32]| history.last().map_or(n_users - 1, |&item| item as usize % n_users);
        histories.iter().flat_map(|history| &self.users[user(history) * self.width..][..self.width]).copied().collect()
    }
}

impl Scorer for MadeUp {
    fn n_items(&self) -> usize {
        self.items.len() / self.width
    }

    fn score(&self, histories: &[&[u32]], mut scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        checked(histories, self.n_items(), scores.view_mut())?;
        let (vectors, items) = (self.vectors(histories), view2(&self.items, (self.n_items(), self.width)));
        par_products(view2(&vectors, (histories.len(), self.width)), items, scores.view_mut());
        let biases = self.biases.as_deref();
        biases.iter().for_each(|biases| {
            row_major_mut(scores.view_mut()).chunks_mut(self.n_items()).for_each(|row| add(row, biases))
        });
        Ok(())
    }

    fn factors(&self) -> Option<Factors<'_>> {
        let users = |histories: &[&[u32]]| Ok(self.vectors(histories));
        Some(Factors {
            width: self.width,
            items: &self.items,
            biases: self.biases.as_deref(),
            block: BLOCK,
            users: Box::new(users),
        })
    }
}

type Change = fn(f32) -> f32;

/// What makes it hard: each takes random numbers near 1 and gives others.
pub(super) const KINDS: [(&str, Change); 10] = [
    ("random", |x| x),
    ("equal", |_| 0.75),
    ("zero of either sign", |x| 0.0f32.copysign(x)),
    ("a few values", f32::round),
    ("nearly equal", |x| 1.0 + x * 1e-6),
    ("equal once they are rounded", |x| 1.0 + x.abs().fract() / 512.0),
    ("huge", |x| x * 1e18),
    ("subnormal once they are multiplied", |x| x * 1e-21),
    ("subnormal", |x| x * 1e-41),
    ("of any size", |x| x.powi(15)),
];

pub(super) fn random_numbers(random: &mut Stream, n: usize, of: Change) -> Vec<f32> {
    (0..n).map(|_| of(random.normal() as f32)).collect()
}

/// Lists as items and bits of scores.
pub(super) fn bits(lists: &[Vec<Scored>]) -> Vec<Vec<(u32, u32)>> {
    lists.iter().map(|list| list.iter().map(|scored| (scored.item, scored.score.to_bits())).collect()).collect()
}

/// Histories, of which some are empty and some have nearly all items.
pub(super) fn histories(random: &mut Stream, n: usize, n_items: usize) -> Vec<Vec<u32>> {
    let one_in = |random: &mut Stream| [1 << 30, 40, 3, 1][random.below(4) as usize];
    (0..n)
        .map(|_| {
            let rate = one_in(random);
            (0..n_items as u32).filter(|_| random.below(rate) == 0 || (rate == 1 && random.below(9) > 0)).collect()
        })
        .collect()
}

/// A model of three users with one number among its items, its users or its biases that is not as the others are.
pub(super) fn spoilt(random: &mut Stream, n_items: usize, bad: f32, place: usize) -> MadeUp {
    let width = 5;
    let mut usual = |n| random_numbers(random, n, |x| x);
    let (mut items, mut biases, mut users) = (usual(n_items * width), usual(n_items), usual(3 * width));
    let numbers = match place {
        0 => &mut items,
        1 => &mut users,
        _ => &mut biases,
    };
    numbers[7] = bad;
    MadeUp { width, items, biases: Some(biases), users }
}
