//! EASE^R in less room: `B` pruned to its largest entries, or in half precision, or both.
//!
//! Most entries of `B` are close to zero. Pruned, each item keeps the `topPerItem` entries of its column that are largest in
//! magnitude: the items that say most about whether to recommend it. Half precision rounds each entry to 11 significant bits.

use rayon::prelude::*;

use super::half::HalfEase;
use super::sparse::SparseEase;
use super::{Ease, EaseOptions};
use crate::error::{Error, Result};
use crate::memory::check_memory;
use crate::model::Model;
use crate::numbers::Numbers;
use crate::options::{choice, options};
use crate::real::Real;
use half::f16;

choice! {
    /// Floating point type of stored weights.
    pub enum StoredPrecision {
        /// 2 bytes a number.
        F16 = "f16",
        /// 4 bytes a number.
        F32 = "f32",
    }
}

options! {
    /// How a model is made smaller.
    pub struct CompactOptions for "compact" {
        /// Keep this many weights per item, the largest in magnitude among those by which other items speak for it. By default
        /// all. The fewer, the smaller and faster the model and the more accuracy is lost.
        top_per_item: Option<usize> = None, AtLeast(1.0);
        /// Floating point type of the weights. By default they keep theirs; an f64 matrix that is pruned becomes f32.
        precision: Option<StoredPrecision> = None, Any;
    }
}

/// An entry of a column of B: the item whose history speaks, and how much.
pub(super) type Entry = (u32, f32);

/// The smaller form of a full matrix B of shape `(n_items, n_items)`.
pub(super) fn compact<T: Real>(
    options: &EaseOptions,
    n_items: usize,
    weights: &[T],
    how: &CompactOptions,
) -> Result<Box<dyn Model>>
where
    Ease<T>: Model + 'static,
{
    if let Some(top) = how.top_per_item {
        check_memory("the pruned model", 16 * (n_items as u64).saturating_mul(top.min(n_items) as u64))?;
        let columns = largest_of_columns(weights, n_items, top);
        return Ok(Box::new(SparseEase::new(options, columns, how.precision == Some(StoredPrecision::F16))?));
    }
    let room = |size: usize| check_memory("the smaller model", (size * n_items) as u64 * n_items as u64);
    let options = options.clone();
    Ok(match how.precision {
        Some(StoredPrecision::F16) => {
            room(2)?;
            let mut half = Numbers::<f16>::zeros(weights.len());
            half.par_iter_mut().zip(weights).for_each(|(half, weight)| *half = f16::from_f32(weight.to_f64() as f32));
            match weights.par_iter().zip(&*half).find_first(|(_, half)| !half.is_finite()) {
                Some((weight, _)) => return Err(too_large(weight.to_f64())),
                None => Box::new(HalfEase { options, n_items, weights: half }),
            }
        }
        Some(StoredPrecision::F32) => {
            room(4)?;
            let mut single = Numbers::<f32>::zeros(weights.len());
            single.par_iter_mut().zip(weights).for_each(|(single, weight)| *single = weight.to_f64() as f32);
            Box::new(Ease { options, n_items, weights: single })
        }
        None => {
            room(size_of::<T>())?;
            let mut same = Numbers::<T>::zeros(weights.len());
            same.copy_from_slice(weights);
            Box::new(Ease { options, n_items, weights: same })
        }
    })
}

/// A weight that half precision does not hold.
pub(super) fn too_large(weight: f64) -> Error {
    Error::invalid_argument("precision", "'f16'", format!("'f32', as a weight is {weight:?} and f16 ends at 65504"))
}

/// The `top` largest entries of each column.
fn largest_of_columns<T: Real>(weights: &[T], n: usize, top: usize) -> Vec<Vec<Entry>> {
    /// Columns that are read together: a cache line of f32.
    const COLUMNS: usize = 16;
    let starts: Vec<usize> = (0..n).step_by(COLUMNS).collect();
    let groups: Vec<Vec<Vec<Entry>>> = starts
        .into_par_iter()
        .map(|start| {
            let mut columns = vec![Vec::with_capacity(n); COLUMNS.min(n - start)];
            for (item, row) in (0u32..).zip(weights.chunks_exact(n)) {
                for (column, weight) in columns.iter_mut().zip(&row[start..]) {
                    column.push((item, weight.to_f64() as f32));
                }
            }
            columns.into_iter().map(|column| largest(column, top)).collect()
        })
        .collect();
    groups.into_iter().flatten().collect()
}

/// The `top` largest entries in magnitude, the first among equals, in order of their items; zeros say nothing.
pub(super) fn largest(mut column: Vec<Entry>, top: usize) -> Vec<Entry> {
    column.retain(|(_, weight)| *weight != 0.0);
    if top < column.len() {
        column.select_nth_unstable_by(top, |a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
        column.truncate(top);
        column.sort_unstable_by_key(|entry| entry.0);
    }
    column.shrink_to_fit();
    column
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_keeps_its_largest_entries() {
        let weights = [0.0f32, -3.0, 1.0, 2.0, 0.0, -1.0, -2.0, 0.5, 0.0];
        let columns = |top| largest_of_columns(&weights, 3, top);
        assert_eq!(columns(1), [vec![(1, 2.0)], vec![(0, -3.0)], vec![(0, 1.0)]]);
        assert_eq!(columns(9), [vec![(1, 2.0), (2, -2.0)], vec![(0, -3.0), (2, 0.5)], vec![(0, 1.0), (1, -1.0)]]);
        let n = 53;
        let wide: Vec<f64> =
            (0..n * n).map(|at| f64::from((at as u32).wrapping_mul(2_654_435_761) >> 8) - 8e6).collect();
        for (j, column) in largest_of_columns(&wide, n, 7).into_iter().enumerate() {
            let mut expected: Vec<Entry> = (0..n).map(|i| (i as u32, wide[i * n + j] as f32)).collect();
            expected.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
            expected.truncate(7);
            expected.sort_by_key(|entry| entry.0);
            assert_eq!(column, expected);
        }
    }
}
