//! What is kept of the validation users while weights are searched: for each one the items that can matter.
//!
//! An item can matter if it is among the [`BEST`] best ones of a part, of two parts in equal shares, or of all in equal
//! shares, on either scale, or among as many most popular ones of which a part knows nothing. Lists of weights in
//! between consist of these nearly always; the weights that are found are evaluated on all items in the end. A user
//! without a history is served the most popular items whatever the weights are. Users come in a seeded order, as many
//! as [`MOST_BYTES`] hold.

use rayon::prelude::*;

use super::gate::features;
use super::scale::{Scale, Spread, add_z_scores, ranks_in_sums};
use crate::base::error::Result;
use crate::base::matrix::view2_mut;
use crate::base::random::Stream;
use crate::base::steps::Steps;
use crate::evaluate::metrics::Metric;
use crate::evaluate::top_k::{BLOCK, select, top_k};
use crate::model::Model;
use crate::split::parts::HeldOut;

/// How many items are kept of each list; the metric looks at 100.
pub(super) const BEST: usize = 150;
/// Bytes that all users together may take.
pub(super) const MOST_BYTES: usize = 256 << 20;
/// Stream of the order in which users come.
const ORDER: u64 = u64::from_be_bytes(*b"blendusr");

/// A validation user.
pub(super) struct User {
    /// How many items are held out.
    n_held_out: usize,
    n_items: usize,
    /// Positions of the held-out ones among the items that are kept.
    targets: Vec<u32>,
    /// The place of each item in the order in which items with a score of 0 are ranked: by popularity, if that is
    /// known.
    places: Vec<u32>,
    /// Shape `(n_parts, n_items)`, of each scale: [`Scale::ZScore`], then [`Scale::Rank`] if it is asked for.
    values: [Vec<f32>; 2],
    /// Of the gate.
    pub(super) features: Vec<f64>,
}

/// Where the values of a scale are.
fn index(scale: Scale) -> usize {
    match scale {
        Scale::ZScore => 0,
        Scale::Rank => 1,
    }
}

impl User {
    /// [`Metric::VALIDATION`] of a list by these weights.
    pub(super) fn ndcg(&self, scale: Scale, weights: &[f64], scores: &mut Vec<f32>) -> f64 {
        scores.clear();
        scores.resize(self.n_items, 0.0);
        let parts = self.values[index(scale)].chunks_exact(self.n_items.max(1));
        for (values, &weight) in parts.zip(weights).filter(|(_, weight)| **weight > 0.0) {
            let weight = weight as f32;
            scores.iter_mut().zip(values).for_each(|(score, value)| *score += weight * value);
        }
        let mut hits = vec![false; Metric::VALIDATION_LENGTH];
        for &target in &self.targets {
            if let Some(hit) = hits.get_mut(rank(scores, &self.places, target as usize)) {
                *hit = true;
            }
        }
        Metric::VALIDATION.of_hits(&hits, self.n_held_out)
    }

    fn bytes(&self) -> usize {
        let numbers = self.values[0].len() + self.values[1].len() + self.targets.len() + self.places.len();
        4 * numbers + 8 * self.features.len()
    }
}

/// How many items come before this one: those of a higher score, and of the same score those of a lower index, or of a
/// score of 0 those of an earlier place.
fn rank(scores: &[f32], places: &[u32], at: usize) -> usize {
    let own = scores[at];
    if own == 0.0 {
        let is_before = |(&score, &place): (&f32, &u32)| u32::from(score > 0.0 || (score == 0.0 && place < places[at]));
        return scores.iter().zip(places).map(is_before).sum::<u32>() as usize;
    }
    let before = scores[..at].iter().map(|&score| u32::from(score >= own)).sum::<u32>();
    let after = scores[at + 1..].iter().map(|&score| u32::from(score > own)).sum::<u32>();
    (before + after) as usize
}

/// What learning needs of the validation users; ranks only if `with_ranks`.
pub(super) fn keep(
    parts: &[&dyn Model],
    validation: &HeldOut,
    popularity: &[f32],
    with_ranks: bool,
    seed: u64,
    steps: &Steps<'_>,
) -> Result<Vec<User>> {
    let n_items = validation.n_items();
    let (input, target) = (validation.input(), validation.target());
    let popular = validation.popular().map(|popular| {
        let mut places = vec![0; n_items];
        popular.order().iter().zip(0..).for_each(|(&item, place)| places[item as usize] = place);
        (popular.order(), places)
    });
    let popular = popular.as_ref().map(|(order, places)| Popularity { order, places });
    let mut order: Vec<usize> = (0..target.n_rows()).filter(|&user| !target.row(user).is_empty()).collect();
    Stream::new(seed, ORDER).shuffle(&mut order);
    let mut users: Vec<User> = Vec::with_capacity(order.len());
    let mut bytes = 0;
    let mut scores = vec![vec![0f32; BLOCK.min(order.len()) * n_items]; parts.len()];
    for block in order.chunks(BLOCK) {
        if bytes > MOST_BYTES {
            break;
        }
        let histories: Vec<&[u32]> = block.iter().map(|&user| input.row(user)).collect();
        let weights: Option<Vec<&[f32]>> = block.iter().map(|&user| input.row_weights(user)).collect();
        for (part, scores) in parts.iter().zip(&mut scores) {
            steps.check()?;
            let scores = view2_mut(&mut scores[..block.len() * n_items], (block.len(), n_items));
            match &weights {
                Some(weights) => part.score_weighted(&histories, weights, scores)?,
                None => part.score(&histories, scores)?,
            }
        }
        let kept: Vec<User> = block
            .par_iter()
            .enumerate()
            .map(|(at, &user)| {
                let rows: Vec<&[f32]> = scores.iter().map(|scores| &scores[at * n_items..][..n_items]).collect();
                keep_user(input.row(user), target.row(user), &rows, popularity, popular.as_ref(), with_ranks)
            })
            .collect::<Result<_>>()?;
        bytes += kept.iter().map(User::bytes).sum::<usize>();
        users.extend(kept);
        steps.did(block.len() as f64);
    }
    Ok(users)
}

/// The items, the most popular first, and the place of each in that order.
struct Popularity<'a> {
    order: &'a [u32],
    places: &'a [u32],
}

fn keep_user(
    history: &[u32],
    target: &[u32],
    rows: &[&[f32]],
    log_popularity: &[f32],
    popular: Option<&Popularity<'_>>,
    with_ranks: bool,
) -> Result<User> {
    // Whatever is no number is found here.
    rows.iter().try_for_each(|row| top_k(row, &[], 1).map(drop))?;
    let spreads: Vec<Spread> = rows.iter().map(|row| Spread::of(row, history)).collect();
    let z_scores: Vec<Vec<f32>> = rows
        .iter()
        .zip(&spreads)
        .map(|(row, &spread)| {
            let mut z_scores = vec![0f32; row.len()];
            add_z_scores(&mut z_scores, row, spread, 1.0);
            z_scores
        })
        .collect();
    let ranked: Vec<Vec<f32>> =
        if with_ranks { rows.iter().map(|row| ranks_in_sums(row, history)).collect() } else { vec![] };
    let mut items: Vec<u32> = vec![];
    let mut add = |scores: &[f32]| items.extend(select(scores, history, BEST).into_iter().map(|scored| scored.item));
    z_scores.iter().for_each(|row| add(row));
    for scale in [&z_scores, &ranked] {
        let sum = |parts: &[&Vec<f32>]| {
            let mut sum = parts[0].clone();
            for part in &parts[1..] {
                sum.iter_mut().zip(*part).for_each(|(sum, value)| *sum += value);
            }
            sum
        };
        for (at, part) in scale.iter().enumerate() {
            scale[..at].iter().for_each(|other| add(&sum(&[part, other])));
        }
        if scale.len() > 2 {
            add(&sum(&scale.iter().collect::<Vec<_>>()));
        }
    }
    let is_served = popular.is_some() && history.is_empty();
    if let Some(popular) = popular {
        for row in rows {
            let is_unknown =
                |&item: &u32| is_served || (row[item as usize] == 0.0 && history.binary_search(&item).is_err());
            items.extend(popular.order.iter().copied().filter(is_unknown).take(BEST));
        }
    }
    items.sort_unstable();
    items.dedup();
    let pick = |rows: &[Vec<f32>]| -> Vec<f32> {
        // Without a history all scores are as good as 0.
        let value = |row: &[f32], item: u32| if is_served { 0.0 } else { row[item as usize] };
        rows.iter().flat_map(|row| items.iter().map(move |&item| value(row, item))).collect()
    };
    let place = |&item: &u32| popular.map_or(item, |popular| popular.places[item as usize]);
    let targets = target.iter().filter_map(|item| items.binary_search(item).ok()).map(|at| at as u32).collect();
    Ok(User {
        n_held_out: target.len(),
        n_items: items.len(),
        targets,
        places: items.iter().map(place).collect(),
        values: [pick(&z_scores), pick(&ranked)],
        features: features(history, log_popularity, rows, &spreads),
    })
}
