//! EASE^R without the old data: the counts that it is computed from are kept, and users are added to them and taken
//! away.
//!
//! All that EASE^R asks of its data is the Gram matrix `G = X' X` of shape `(n_items, n_items)`: for each pair of items
//! how many users have both. A user's part of it is the user's own pairs, so the counts of old and new users are the
//! sum of both, in whole numbers and therefore exactly: a fit on updated counts has the same bits as a fit on all users
//! at once.
//!
//! - Order of items: old items keep their indices, new ones follow in the order in which the new data have them. That
//!   is the order in which [`Interactions`] number items when the old rows are read before the new ones.
//! - A user who comes back with more items is taken away with the old history and added with the new one. Added alone,
//!   the user would count as two.
//! - Of who is in the counts hashes are kept, for the models that are fitted on them ([`TrainingRecord`]); users are
//!   not told apart by them here. To add somebody twice is not noticed; to take somebody away who was never there is,
//!   where a count would fall below 0 or above that of one of its items.
//! - An item that nobody has any more keeps its place, with counts of 0.
//!
//! Counts are u32: exact for 4,294,967,295 users, where f32 is for 16,777,216, at the same four bytes.

mod file;
mod gram;
mod pairs;
mod shards;
mod triangle;

use std::path::Path;

use rayon::prelude::*;
use serde_json::Value;

use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
use crate::base::memory::{MemoryEstimate, check_limit};
use crate::base::numbers::Numbers;
use crate::base::options::Options;
use crate::data::ids::Ids;
use crate::data::interactions::Interactions;
use crate::data::shard::ShardOf;
use crate::math::csr::Csr;
use crate::math::linalg::{GramRows, Inverse, counts_to_numbers, pairs_of_items, stretches_of_work};
use crate::math::real::Real;
use crate::math::residual::{Vectors, in_pieces};
use crate::model::{Fit, Model, ModelKind};
use crate::models::ease::{self, Penalised};
use crate::models::{Ease, EaseOptions, Precision};
use crate::split::training_record::TrainingRecord;
use crate::train::fit_shape::{FitShape, check_fit};
use crate::train::run::FitRun;
pub(in crate::serve) use file::are_in;
pub use pairs::GramPairs;
use triangle::Triangle;

/// For each pair of items, how many users have both; with the ids of the items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EaseCounts {
    items: Ids,
    n_users: u32,
    counts: Triangle,
    record: TrainingRecord,
    /// Of which users they are, unless of all.
    shard: Option<ShardOf>,
}

/// Users who are added or taken away.
struct Part {
    n_users: u32,
    /// Shape `(n_users, n_items)`, over the items of the result.
    x: Csr,
    users_of: Csr,
}

impl EaseCounts {
    /// Counts the users of `data`. It may take `memory_limit` bytes beyond the data, the counts included; without it
    /// what is free.
    ///
    /// # Errors
    /// `MEMORY` before any work if it could take more, with the figures and the way out; `CANCELLED` within a row.
    pub fn count(data: &Interactions, memory_limit: Option<u64>, cancel: &Cancel) -> Result<Self> {
        Self::default().update(Some(data), None, memory_limit, cancel)
    }

    /// The counts without the users of `remove` and with those of `add`; `self` stays as it is. The users of `remove`
    /// must be among those that were counted, with the same items as then. It may take `memory_limit` bytes beyond the
    /// data and `self`; without it what is free.
    ///
    /// # Errors
    /// `INVALID_DATA` if `remove` has an item or users that were never counted, as far as the counts tell; if there are
    /// more users than a count can hold, 4,294,967,295. `MEMORY` before any work if it could take more than it may,
    /// with the figures and the way out. `CANCELLED` within a row.
    pub fn update(
        &self,
        add: Option<&Interactions>,
        remove: Option<&Interactions>,
        memory_limit: Option<u64>,
        cancel: &Cancel,
    ) -> Result<Self> {
        self.refuse_shard("update")?;
        let mut items = self.items.clone();
        let added: Vec<u32> = add.map_or(vec![], |add| add.items().iter().map(|id| items.insert(id)).collect());
        let removed = remove.map_or(Ok(vec![]), |remove| self.find_all(remove.items()))?;
        let n = items.len();
        let what = format!("counting the pairs of {n} items");
        check_limit(&what, &self.memory_of_update(&items, add, remove), memory_limit, 0, |_| {
            vec!["fewer items (minItem)".to_owned()]
        })?;
        let record =
            remove.map_or_else(|| self.record.clone(), |remove| self.record.minus(&TrainingRecord::of(remove)));
        let record = add.map_or_else(|| record.clone(), |add| record.plus(&TrainingRecord::of(add)));
        let part = |data: Option<&Interactions>, index: &[u32]| data.map(|data| Part::new(data, index, n)).transpose();
        let (add, remove) = (part(add, &added)?, part(remove, &removed)?);
        let n_users = self.n_users_after(add.as_ref(), remove.as_ref())?;
        let of_items = of_items(&self.counts, &items, n_users, add.as_ref(), remove.as_ref())?;

        let mut work: Vec<u64> = (1..=n as u64).rev().collect();
        for part in [&add, &remove] {
            let of_part = part.as_ref().map_or(vec![], |part| pairs_of_items(&part.x));
            work.iter_mut().zip(&of_part).for_each(|(work, pairs)| *work += pairs);
        }
        let rows = Rows { old: &self.counts, items: &items, of_items: &of_items, add, remove };
        let stretches: Vec<Result<Triangle>> = stretches_of_work(&work, 4 * rayon::current_num_threads())
            .into_par_iter()
            .map(|stretch| rows.updated(stretch, cancel))
            .collect();
        let stretches = stretches.into_iter().collect::<Result<_>>()?;
        cancel.check()?;
        let counts = Triangle::join(stretches);
        Ok(Self { items, n_users, counts, record, shard: None })
    }

    /// What [`Self::update`] to counts of `items` takes at most: those counts and the stretches that they are joined
    /// from, which allocators keep for a while when they are freed; the users by their items in the order of the
    /// result, and transposed; for each thread a place in every history, and rows of counts. The counts come to no more
    /// than the matrix of a fit.
    fn memory_of_update(
        &self,
        items: &Ids,
        add: Option<&Interactions>,
        remove: Option<&Interactions>,
    ) -> MemoryEstimate {
        let threads = rayon::current_num_threads() as f64;
        let n = items.len() as f64;
        // New pairs are those of the histories; a row takes no more than twice its pairs, and no more than the triangle
        // has.
        let pairs_of = |row: &[u32]| row.len() as f64 * (row.len() as f64 + 1.0) / 2.0;
        let new: f64 = add.map_or(0.0, |add| add.matrix().rows().map(pairs_of).sum());
        let numbers = (n * (n + 1.0) / 2.0).min(2.0 * (self.counts.len() as f64 + new));
        let counts = 4.0 * numbers + 8.0 * n + items.bytes() as f64;
        let of_part = |data: &Interactions| {
            let (users, interactions) = (data.n_users() as f64, data.matrix().nnz() as f64);
            8.0 * (interactions + users + n) + threads * 4.0 * (users + n)
        };
        let parts = [
            ("the counts and the stretches that they are joined from", counts + 4.0 * numbers),
            ("the users by item", [add, remove].into_iter().flatten().map(of_part).sum::<f64>() + 4.0 * n * threads),
        ];
        MemoryEstimate::new(counts, &parts, "")
    }

    /// The indices of ids that must all be known.
    fn find_all(&self, ids: &Ids) -> Result<Vec<u32>> {
        let find = |id: &str| {
            self.items.find(id).ok_or_else(|| {
                let n = self.items.len();
                Error::invalid_data(format!("remove has item '{id}'; allowed: the {n} items of the counts"))
            })
        };
        ids.iter().map(find).collect()
    }

    fn n_users_after(&self, add: Option<&Part>, remove: Option<&Part>) -> Result<u32> {
        let [added, removed] = [add, remove].map(|part| part.map_or(0, |part| part.n_users));
        let left = self.n_users.checked_sub(removed).ok_or_else(|| {
            Error::invalid_data(format!("remove has {removed} users; allowed: at most the {} counted", self.n_users))
        })?;
        left.checked_add(added).ok_or_else(|| {
            let n = u64::from(left) + u64::from(added);
            Error::invalid_data(format!("{n} users; allowed: at most {}, which a count can hold", u32::MAX))
        })
    }

    /// How many users have each item, in order of the items' indices.
    #[must_use]
    pub fn users_per_item(&self) -> Vec<u32> {
        (0..self.items.len()).map(|item| self.counts.diagonal(item)).collect()
    }

    /// Fits EASE^R on the counts: the same bits as [`ModelKind::fit`](crate::ModelKind::fit) on all the users, with the
    /// items in this order, and told of in the same way. Its memory limit is for what it takes beyond the counts.
    ///
    /// # Errors
    /// As [`ModelKind::fit`](crate::ModelKind::fit), and `INVALID_ARGUMENT` for a `density` below 1.
    pub fn fit(&self, options: &Value, run: &FitRun<'_>) -> Result<Fit> {
        self.refuse_shard("fit")?;
        ModelKind::Ease.check_compute(options, run.compute)?;
        let options = EaseOptions::from_json(options)?;
        run.checkpoint.iter().try_for_each(|checkpoint| checkpoint.check(ModelKind::Ease))?;
        run.from.iter().try_for_each(|from| from.check(ModelKind::Ease, &options.to_json(), self.items.len()))?;
        if options.density < 1.0 {
            return Err(Error::invalid_argument("density of a fit on counts", options.density, "1"));
        }
        let n = self.items.len();
        if self.n_users < 2 || n < 2 || (0..n).all(|item| self.counts.diagonal(item) == 0) {
            return Err(Error::invalid_data(format!(
                "the counts have {} users and {n} items; allowed: at least 2 users, 2 items and 1 interaction",
                self.n_users
            )));
        }
        let users_of_items = || self.users_per_item();
        let interactions = users_of_items().into_iter().map(|users| users as usize).sum();
        let threads = rayon::current_num_threads();
        let users = self.n_users();
        let shape = FitShape { users, items: n, interactions, validation: false, weighted: false, threads, data: None };
        let estimate = |shape: &FitShape<'_>| {
            let [_, items, _] = shape.counts();
            ease::memory_from_gram(
                options.precision,
                items,
                ("rows of counts or copies of parts", 4.0 * items * threads as f64),
            )
        };
        let estimate = |shape: &FitShape<'_>| run.with_engine(ModelKind::Ease, estimate(shape), shape);
        check_fit(ModelKind::Ease.name(), users_of_items, &shape, run.memory_limit, 0, estimate)?;
        let (origin, penalty) = (options.origin(), options.penalty());
        let model: Box<dyn Model> = match options.precision {
            Precision::F32 => Box::new(self.fit_as::<f32>(origin, penalty, run, ease::inverse_of(run, n)?)?),
            Precision::F64 => Box::new(self.fit_as::<f64>(origin, penalty, run, Inverse::here())?),
        };
        Ok(Fit { model, epochs: vec![] })
    }

    fn fit_as<T: Real>(
        &self,
        origin: ease::Origin,
        penalty: ease::Penalty,
        run: &FitRun<'_>,
        inverse: Inverse<T>,
    ) -> Result<Ease<T>> {
        let n = self.items.len();
        let steps = run.steps(Ease::<T>::work_from_gram(n, &inverse));
        let (gram, products) = (|| self.gram(steps.cancel()), |vectors: &Vectors| self.products(vectors));
        Ease::from_gram(origin, penalty, n, gram, products, inverse, &steps)
    }

    /// As [`gram`](crate::math::linalg::gram) of all the users.
    fn gram<T: Real>(&self, cancel: &Cancel) -> Result<Numbers<T>> {
        let n = self.items.len();
        let mut gram = Numbers::zeros(n * n);
        gram.par_chunks_exact_mut(n).enumerate().try_for_each_init(
            || vec![0; n],
            |counts, (item, row)| {
                cancel.check()?;
                let counts = &mut counts[item..];
                self.counts.read(item, counts);
                counts_to_numbers(counts, &mut row[item..]);
                Ok::<_, Error>(())
            },
        )?;
        Ok(gram)
    }

    /// The Gram matrix times vectors.
    fn products(&self, vectors: &Vectors) -> Vectors {
        let n = self.items.len();
        in_pieces(n, n, |items, sums| {
            let mut row = vec![0; n];
            for item in items {
                let counts = &mut row[item..];
                self.counts.read(item, counts);
                for (sums, vector) in sums.iter_mut().zip(vectors) {
                    let mut sum = f64::from(counts[0]) * vector[item];
                    for ((&count, &number), other) in counts.iter().zip(&vector[item..]).zip(&mut sums[item..]).skip(1)
                    {
                        sum += f64::from(count) * number;
                        *other += f64::from(count) * vector[item];
                    }
                    sums[item] += sum;
                }
            }
        })
    }

    /// The ids of the items, in order of their indices.
    #[must_use]
    pub fn items(&self) -> &Ids {
        &self.items
    }

    /// Number of users.
    #[must_use]
    pub fn n_users(&self) -> usize {
        self.n_users as usize
    }

    /// Who was counted.
    #[must_use]
    pub fn record(&self) -> &TrainingRecord {
        &self.record
    }

    /// How many bytes of memory they hold.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.items.bytes() + self.counts.bytes() + self.record.as_bytes().len()
    }

    /// Writes a file, whole or not at all; see `ease_counts/file.rs` for its layout. The same counts give the same
    /// bytes.
    ///
    /// # Errors
    /// `IO` if it cannot be written, `INVALID_DATA` if there are no items.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        file::save(path.as_ref(), self)
    }

    /// Reads a file that [`EaseCounts::save`] wrote.
    ///
    /// # Errors
    /// `IO` if it cannot be read, `INVALID_MODEL_FILE` if it is truncated, altered or holds something else,
    /// `INVALID_DATA` if memory is missing.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        file::load(path.as_ref())
    }
}

impl Part {
    /// `index`: the place of each item of `data` among the `n` of the result.
    fn new(data: &Interactions, index: &[u32], n: usize) -> Result<Self> {
        let n_users = u32::try_from(data.n_users())
            .map_err(|_| Error::invalid_data(format!("{} users; allowed: at most {}", data.n_users(), u32::MAX)))?;
        let rows = data.matrix().rows().map(|row| {
            let mut row: Vec<u32> = row.iter().map(|&item| index[item as usize]).collect();
            row.sort_unstable();
            row
        });
        let x = Csr::from_rows(rows, n)?;
        Ok(Self { n_users, users_of: x.transpose(), x })
    }
}

/// How many users have each item in the end.
fn of_items(old: &Triangle, items: &Ids, n_users: u32, add: Option<&Part>, remove: Option<&Part>) -> Result<Vec<u32>> {
    let of = |part: Option<&Part>| part.map_or_else(|| vec![0; items.len()], |part| part.x.column_counts());
    let count = |(item, (added, removed)): (usize, (u32, u32))| {
        let before = old.diagonal(item);
        let left = before.checked_sub(removed).ok_or_else(|| {
            let id = items.get(item);
            Error::invalid_data(format!(
                "remove has {removed} users with item '{id}'; allowed: at most the {before} counted"
            ))
        })?;
        // No more than the users, unless users are taken away who were never counted.
        left.checked_add(added).filter(|&count| count <= n_users).ok_or_else(|| never_counted(items, item, item))
    };
    of(add).into_iter().zip(of(remove)).enumerate().map(count).collect()
}

/// What the rows of the result are made from.
struct Rows<'a> {
    old: &'a Triangle,
    items: &'a Ids,
    of_items: &'a [u32],
    add: Option<Part>,
    remove: Option<Part>,
}

impl Rows<'_> {
    /// The rows of a stretch of items.
    fn updated(&self, stretch: std::ops::Range<usize>, cancel: &Cancel) -> Result<Triangle> {
        let n = self.items.len();
        let [mut add, mut remove] = [&self.add, &self.remove]
            .map(|part| part.as_ref().map(|part| GramRows::new(&part.x, &part.users_of, stretch.start)));
        let mut counts = vec![0u32; n];
        let mut result = Triangle::default();
        for item in stretch {
            cancel.check()?;
            let counts = &mut counts[item..];
            self.old.read(item, counts);
            let never = |other| never_counted(self.items, item, item + other);
            if let Some(remove) = &mut remove {
                for (other, (count, &removed)) in counts.iter_mut().zip(remove.next(item)).enumerate() {
                    *count = count.checked_sub(removed).ok_or_else(|| never(other))?;
                }
            }
            if let Some(add) = &mut add {
                for (other, (count, &added)) in counts.iter_mut().zip(add.next(item)).enumerate() {
                    *count = count.checked_add(added).ok_or_else(|| never(other))?;
                }
            }
            if remove.is_some() {
                let most = self.of_items[item];
                let wrong = counts.iter().zip(&self.of_items[item..]).position(|(&count, &of)| count > of.min(most));
                wrong.map_or(Ok(()), |other| Err(never(other)))?;
            }
            result.push(item, n, counts);
        }
        Ok(result)
    }
}

fn never_counted(items: &Ids, one: usize, other: usize) -> Error {
    let (one, other) = (items.get(one), items.get(other));
    let with = if one == other { format!("item '{one}'") } else { format!("items '{one}' and '{other}'") };
    Error::invalid_data(format!(
        "remove does not fit the counts of users with {with}; allowed: users that were counted, with the same items as then"
    ))
}

#[cfg(test)]
mod tests;
