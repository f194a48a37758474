//! Lists of many users found on a device of candle's, a GPU above all, with the items and the bits of those that the
//! processor makes.
//!
//! The device computes all scores in f32 and gives back a few items more than the list has ([`best`]): those whose
//! scores are within `2 E` of the last one of the list, where `E` bounds how far a score there is from the one that the
//! model gives. These few the processor scores as ever, and the list is the best of them, as of a
//! [shortlist](super::shortlist) in bf16. So it does not matter in which order a device adds, and the same lists come
//! from every machine. A user of whom more items are that near, and one without a bound, gets a list from all scores.
//!
//! Two kinds of scores are known there:
//!
//! - **Products of vectors**, `h w + b` ([`Factors`]): the processor makes `h` of the histories, which takes little of
//!   the time. `E` is that of `shortlist.rs` without rounded numbers.
//! - **Sums of rows** of a matrix of items x items ([`Scorer::item_rows`]): on the device a product of the histories as
//!   rows of zeros and ones, `2 n^2` operations a user, slab by slab of the matrix's rows, so that no tensor has more
//!   numbers than a 32-bit index tells apart. Either score is a sum of as many terms as the history has items: each is
//!   rounded once less than that at most, by half a unit in the last place. With `a_j` the largest number of row `j`,
//!   either sum is off by `m 2^-24 (a_1 + .. + a_m)` at most, and `E` is more than twice that.

use std::borrow::Cow;
use std::sync::Mutex;

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use crate::base::error::{Error, Result};
use crate::base::matrix::view2_mut;
use crate::base::tensors::{Candle, IntoCore};
use crate::evaluate::device_top_k::{MOST, best, columns_for, kept_for, places};
use crate::evaluate::factors::Factors;
use crate::evaluate::scorer::{ListFinder, Scored, Scorer, check_histories};
use crate::evaluate::shortlist::{LARGEST, Norms, larger, largest_of, rounding};
use crate::evaluate::top_k::{BLOCK, best_of_few};

/// Numbers of a matrix of scores on the device, about: enough to keep it busy, and little of its memory.
const SCORES: usize = 1 << 24;
/// The fewest users for whom it is worth to ask a device.
const LEAST_USERS: usize = 64;
/// Rows of a slab.
const SLAB: usize = 4096;

/// A model's items on a device.
pub(crate) struct DeviceLists {
    device: Device,
    n_items: usize,
    /// Shape `(1, columns)`: the items' biases or zeros, and minus infinity for what is no item.
    biases: Tensor,
    parts: Parts,
    /// Held while scores of a block are there: the memory is for one.
    block: Mutex<()>,
}

/// What scores are made of.
enum Parts {
    /// Shape `(columns, width)`; the largest norm of an item's vector, and the largest bias.
    Vectors { items: Tensor, norm: f64, largest_bias: f64 },
    /// The rows of each slab, shape `(rows, columns)`, and the largest number of each row.
    Rows { slabs: Vec<Tensor>, largest: Vec<f64> },
}

/// Bytes of a model's items on a device, and of what finding lists takes besides, at most; nothing of a model whose
/// scores are not known there, or which has more numbers than 32 bits tell apart.
pub(crate) fn device_bytes(model: &dyn Scorer) -> Option<[(&'static str, f64); 2]> {
    let columns = columns_for(model.n_items());
    let (items, besides) = match (model.factors(), model.item_rows()) {
        (Some(factors), _) if u32::try_from(columns.saturating_mul(factors.width)).is_err() => return None,
        (Some(factors), _) => (columns * factors.width, 0),
        // A slab is put together from rows; of a block there are the histories as numbers, twice.
        (None, Some(_)) => {
            (model.n_items() * columns, SLAB * columns + 2 * users_at_once(model.n_items()) * (SLAB + 1))
        }
        (None, None) => return None,
    };
    // As they come, with biases, summed up, without what is left out, filled up, and by groups.
    let besides = besides + 6 * users_at_once(model.n_items()) * columns;
    Some([("the items of the model", 4.0 * items as f64), ("the scores of a block of users", 4.0 * besides as f64)])
}

/// Users whose scores are there at once.
pub(crate) fn users_at_once(n_items: usize) -> usize {
    (SCORES / columns_for(n_items)).clamp(1, 8 * BLOCK)
}

/// Whether a device can find lists of `k` items for so many users, of so many items.
pub(crate) fn is_worth_it(n_users: usize, k: usize, n_items: usize) -> bool {
    n_users >= LEAST_USERS && kept_for(k) <= MOST && 2 * kept_for(k) <= n_items
}

impl DeviceLists {
    /// Sends a model's items; nothing is sent of a model whose scores are not known there.
    pub(crate) fn new(model: &dyn Scorer, device: Device) -> Result<Option<Self>> {
        let n_items = model.n_items();
        let columns = columns_for(n_items);
        let mut biases = vec![0.0; n_items];
        let parts = match (model.factors(), model.item_rows()) {
            (Some(factors), _) => {
                if let Some(own) = factors.biases {
                    biases.copy_from_slice(own);
                }
                Parts::vectors(&factors, columns, &device).core()?
            }
            (None, Some(rows)) => Parts::rows(rows, n_items, columns, &device).core()?,
            (None, None) => return Ok(None),
        };
        biases.resize(columns, f32::NEG_INFINITY);
        let biases = Tensor::from_vec(biases, (1, columns), &device).core()?;
        Ok(Some(Self { device, n_items, biases, parts, block: Mutex::new(()) }))
    }

    /// The scores of users, shape `(users, columns)`.
    fn scores(&self, known: &Known<'_>, histories: &[&[u32]], margins: &[Option<f64>]) -> Candle<Tensor> {
        known.products(histories, margins, self)?.broadcast_add(&self.biases)
    }

    /// What the processor knows of some users beside what is on the device.
    fn known<'m>(&'m self, model: &'m dyn Scorer, histories: &[&[u32]]) -> Result<Known<'m>> {
        match &self.parts {
            Parts::Rows { slabs, largest } => Ok(Known::Rows { slabs, largest }),
            &Parts::Vectors { ref items, norm, largest_bias } => {
                let missing = || Error::Internal("a model without the vectors that it had".into());
                let factors = model.factors().ok_or_else(missing)?;
                let vectors = factors.vectors(histories)?;
                Ok(Known::Vectors { items, norm, largest_bias, factors, vectors })
            }
        }
    }
}

/// `2 E` where either score is a sum with so many roundings of terms that are no more than `size` in all.
fn margin(steps: f64, size: f64) -> Option<f64> {
    // Not where a part is NaN, either.
    (size < LARGEST).then(|| 2.0 * rounding(steps, size))
}

impl Parts {
    fn vectors(factors: &Factors<'_>, columns: usize, device: &Device) -> Candle<Self> {
        let width = factors.width;
        let mut items = factors.items.to_vec();
        items.resize(columns * width, 0.0);
        let norms = factors.items.par_chunks_exact(width).map(|vector| Norms::of(vector).all);
        let norm = norms.reduce(|| 0.0, larger);
        let largest_bias = factors.biases.map_or(0.0, largest_of);
        Ok(Self::Vectors { items: Tensor::from_vec(items, (columns, width), device)?, norm, largest_bias })
    }

    fn rows(matrix: &[f32], n_items: usize, columns: usize, device: &Device) -> Candle<Self> {
        let slab = |rows: &[f32]| {
            let mut numbers = vec![0.0; rows.len() / n_items * columns];
            let to = numbers.par_chunks_exact_mut(columns).zip(rows.par_chunks_exact(n_items));
            to.for_each(|(to, row)| to[..n_items].copy_from_slice(row));
            Tensor::from_vec(numbers, (rows.len() / n_items, columns), device)
        };
        let slabs = matrix.chunks(SLAB * n_items).map(slab).collect::<Candle<_>>()?;
        let largest = matrix.par_chunks_exact(n_items).map(largest_of).collect();
        Ok(Self::Rows { slabs, largest })
    }
}

/// The sums of the rows of histories, shape `(users, columns)`.
fn sums(slabs: &[Tensor], histories: &[&[u32]], columns: usize, device: &Device) -> Candle<Tensor> {
    let users = histories.len();
    let mut sums = Tensor::zeros((users, columns), DType::F32, device)?;
    for (number, slab) in slabs.iter().enumerate() {
        let (start, rows) = (number * SLAB, slab.dim(0)?);
        let inside = |history: &&[u32]| -> Vec<u32> {
            let from = history.partition_point(|&item| (item as usize) < start);
            let to = history.partition_point(|&item| (item as usize) < start + rows);
            history[from..to].iter().map(|item| item - start as u32).collect()
        };
        let inside: Vec<Vec<u32>> = histories.iter().map(inside).collect();
        let inside: Vec<&[u32]> = inside.iter().map(Vec::as_slice).collect();
        let longest = inside.iter().map(|items| items.len()).max().unwrap_or(0);
        if longest == 0 {
            continue;
        }
        let places = places(&inside, longest, rows, device)?;
        let ones = Tensor::ones(places.shape(), DType::F32, device)?;
        let dense = Tensor::zeros((users, rows + 1), DType::F32, device)?.scatter(&places, &ones, 1)?;
        sums = (sums + dense.narrow(1, 0, rows)?.contiguous()?.matmul(slab)?)?;
    }
    Ok(sums)
}

/// A block of users, by what is known of them here and there.
enum Known<'m> {
    Vectors { items: &'m Tensor, norm: f64, largest_bias: f64, factors: Factors<'m>, vectors: Vec<f32> },
    Rows { slabs: &'m [Tensor], largest: &'m [f64] },
}

impl Known<'_> {
    /// `2 E` of each user where there is such a bound.
    fn margins(&self, histories: &[&[u32]]) -> Vec<Option<f64>> {
        match self {
            Self::Vectors { norm, largest_bias, factors, vectors, .. } => {
                let steps = 2.0 * factors.width as f64 + 4.0;
                let of_vector = |vector: &[f32]| margin(steps, Norms::of(vector).all * norm + largest_bias);
                vectors.par_chunks_exact(factors.width).map(of_vector).collect()
            }
            // A row that is not finite would be in everybody's product.
            Self::Rows { largest, .. } if !largest.iter().all(|&largest| largest < LARGEST) => {
                vec![None; histories.len()]
            }
            Self::Rows { largest, .. } => {
                let of_history = |history: &&[u32]| {
                    let size = history.iter().fold(0.0, |sum, &item| sum + largest[item as usize]);
                    margin(history.len() as f64 + 2.0, size)
                };
                histories.iter().map(of_history).collect()
            }
        }
    }

    /// The scores without biases, shape `(users, columns)`; users without a margin are scored as if nothing were known
    /// of them.
    fn products(&self, histories: &[&[u32]], margins: &[Option<f64>], on: &DeviceLists) -> Candle<Tensor> {
        match self {
            Self::Vectors { items, factors, vectors, .. } => {
                let bounded = vectors.chunks_exact(factors.width).zip(margins);
                let bounded = bounded.flat_map(|(vector, margin)| vector.iter().map(|x| margin.map_or(0.0, |_| *x)));
                let vectors = Tensor::from_vec(bounded.collect(), (histories.len(), factors.width), &on.device)?;
                vectors.matmul(&items.t()?)
            }
            Self::Rows { slabs, .. } => {
                let bounded = histories.iter().zip(margins);
                let bounded: Vec<&[u32]> = bounded.map(|(&items, margin)| margin.map_or(&[][..], |_| items)).collect();
                sums(slabs, &bounded, columns_for(on.n_items), &on.device)
            }
        }
    }

    /// The scores of some items with the bits that the model gives.
    fn scores(&self, model: &dyn Scorer, user: usize, history: &[u32], items: &[u32]) -> Result<Vec<f32>> {
        match self {
            Self::Vectors { factors, vectors, .. } => {
                Ok(factors.scores(&vectors[user * factors.width..][..factors.width], items))
            }
            Self::Rows { .. } => {
                let mut scores = vec![0.0; items.len()];
                model.score_some(&[history], items, view2_mut(&mut scores, (1, items.len())))?;
                Ok(scores)
            }
        }
    }
}

impl ListFinder for DeviceLists {
    fn is_worth_it(&self, n_users: usize, k: usize) -> bool {
        is_worth_it(n_users, k, self.n_items)
    }

    fn block(&self) -> usize {
        users_at_once(self.n_items)
    }

    fn find(
        &self,
        model: &dyn Scorer,
        histories: &[&[u32]],
        left_out: &[Cow<'_, [u32]>],
        k: usize,
    ) -> Result<Vec<Option<Vec<Scored>>>> {
        check_histories(histories, self.n_items)?;
        if model.n_items() != self.n_items {
            return Err(Error::Internal("another model than the one whose items were sent".into()));
        }
        let known = self.known(model, histories)?;
        let margins = known.margins(histories);
        if margins.iter().all(Option::is_none) {
            return Ok(vec![None; histories.len()]);
        }
        let left_out: Vec<&[u32]> = left_out.iter().map(|items| &**items).collect();
        let found = {
            // Nothing in here waits for a pool of rayon's on a GPU: a thread that does could begin another call of
            // this.
            let _alone = self.block.lock();
            let scores = self.scores(&known, histories, &margins).core()?;
            best(&scores, &left_out, kept_for(k)).core()?
        };
        let lists = margins.par_iter().enumerate().map(|(user, margin)| {
            let Some(shortlist) = margin.and_then(|margin| found.shortlist(user, k, margin)) else { return Ok(None) };
            let items: Vec<u32> = shortlist.into_iter().map(|(item, _)| item).collect();
            let scores = known.scores(model, user, histories[user], &items)?;
            Ok(Some(best_of_few(&items, &scores, k)))
        });
        lists.collect()
    }
}

#[cfg(test)]
mod tests;
