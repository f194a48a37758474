//! Counts of a shard of the users, and their sum: the same without an engine, on plain machines.
//!
//! All shards know all items in the same order, and a user is in one of them. So the counts of all users are the sums
//! of those of the shards, in whole numbers, and who was counted is in one record or another: the sum has the bytes of
//! one run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::triangle::Triangle;
use super::{EaseCounts, file};
use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
use crate::base::memory::{MemoryEstimate, check_limit};
use crate::data::interactions::Interactions;
use crate::data::shard::{Shard, ShardOf};
use crate::math::linalg::stretches_of_work;

impl EaseCounts {
    /// Counts the users of a shard of `data`, or those of `data` where they are that shard already. Memory as for
    /// [`Self::count`].
    ///
    /// # Errors
    /// As [`Self::count`], and `INVALID_DATA` if `data` are another shard.
    pub fn count_shard(data: &Interactions, shard: Shard, memory_limit: Option<u64>, cancel: &Cancel) -> Result<Self> {
        let selected;
        let part = match data.shard() {
            Some(own) if own.shard == shard => data,
            Some(own) => {
                return Err(Error::invalid_data(format!(
                    "data are shard {}; allowed: shard {shard}, or all",
                    own.shard
                )));
            }
            None => {
                selected = data.of_shard(shard)?;
                &selected
            }
        };
        let counts = Self::count(part, memory_limit, cancel)?;
        Ok(Self { shard: part.shard(), ..counts })
    }

    /// Adds the files of all shards of an input up, in any order: the bytes of counting all users in one run. Two are
    /// in memory at a time, and their sum. It may take `memory_limit` bytes; without it what is free.
    ///
    /// # Errors
    /// `INVALID_DATA` with the names of the files if one is no shard, a shard of another input or of another number of
    /// shards, or is there twice, and with their numbers if some are missing. As [`Self::load`] for a file that cannot
    /// be read. `MEMORY` before the sums; `CANCELLED` within a row.
    pub fn merge(paths: &[PathBuf], memory_limit: Option<u64>, cancel: &Cancel) -> Result<Self> {
        let in_order = check_all_there(paths)?;
        let mut sum: Option<Self> = None;
        for path in in_order {
            cancel.check()?;
            let next = Self::load(path)?;
            sum = Some(match sum {
                None => next,
                Some(sum) => sum.plus(&next, path, memory_limit, cancel)?,
            });
        }
        let sum = sum.ok_or_else(|| Error::invalid_argument("files", "none", "one or more"))?;
        Ok(Self { shard: None, ..sum })
    }

    /// Of which shard these are, unless of all users.
    #[must_use]
    pub fn shard(&self) -> Option<ShardOf> {
        self.shard
    }

    /// Fails for counts of a shard, which are not for that.
    pub(super) fn refuse_shard(&self, what: &str) -> Result<()> {
        let Some(ShardOf { shard, .. }) = self.shard else { return Ok(()) };
        let all = shard.of();
        Err(Error::invalid_data(format!(
            "the counts are of shard {shard}; allowed to {what}: all {all} shards, merged"
        )))
    }

    /// The counts of the users of both.
    fn plus(&self, other: &Self, path: &Path, memory_limit: Option<u64>, cancel: &Cancel) -> Result<Self> {
        let bad =
            |message: String| Error::InvalidData { path: Some(path.to_owned()), line: None, column: None, message };
        if self.items != other.items {
            return Err(bad("a shard with other items than the shards before it".into()));
        }
        let n = self.items.len();
        let numbers = (n as f64 * (n as f64 + 1.0) / 2.0).min(2.0 * (self.counts.len() + other.counts.len()) as f64);
        let parts = [("the sums and the stretches that they are joined from", 8.0 * numbers)];
        let what = format!("adding up the counts of the pairs of {n} items");
        check_limit(&what, &MemoryEstimate::new(4.0 * numbers, &parts, ""), memory_limit, 0, |_| vec![])?;
        let too_many = || bad(format!("there are more than {} users; allowed: what a count can hold", u32::MAX));
        let n_users = self.n_users.checked_add(other.n_users).ok_or_else(too_many)?;
        let work: Vec<u64> = (1..=n as u64).rev().collect();
        let sums = |stretch: std::ops::Range<usize>| {
            let (mut sums, mut others, mut result) = (vec![0u32; n], vec![0u32; n], Triangle::default());
            for item in stretch {
                cancel.check()?;
                let (sums, others) = (&mut sums[item..], &mut others[item..]);
                self.counts.read(item, sums);
                other.counts.read(item, others);
                for (sum, &other) in sums.iter_mut().zip(&*others) {
                    *sum = sum.checked_add(other).ok_or_else(too_many)?;
                }
                result.push(item, n, sums);
            }
            Ok(result)
        };
        let stretches: Vec<Result<Triangle>> =
            stretches_of_work(&work, 4 * rayon::current_num_threads()).into_par_iter().map(sums).collect();
        let counts = Triangle::join(stretches.into_iter().collect::<Result<_>>()?);
        let record = self.record.plus(&other.record);
        Ok(Self { items: self.items.clone(), n_users, counts, record, shard: self.shard })
    }
}

/// The files in the order of their shards, if each shard of one input is there once.
fn check_all_there(paths: &[PathBuf]) -> Result<Vec<&Path>> {
    let mut found: BTreeMap<u32, (&Path, ShardOf)> = BTreeMap::new();
    let mut first: Option<(&Path, ShardOf)> = None;
    for path in paths {
        let bad = |message: String| Error::InvalidData { path: Some(path.clone()), line: None, column: None, message };
        let Some(own) = file::shard_in(path)? else {
            return Err(bad("counts of all users; allowed: counts of a shard".into()));
        };
        let (of, shard) = *first.get_or_insert((path, own));
        let (name, other) = (of.display(), shard.shard.of());
        if own.shard.of() != other {
            return Err(bad(format!("shard {}; allowed: a shard of {other}, as in {name}", own.shard)));
        }
        if own.input != shard.input {
            return Err(bad(format!(
                "shard {} of another input than {name} is of; allowed: the same rows in the same order, read in the same way",
                own.shard
            )));
        }
        if let Some((twice, _)) = found.insert(own.shard.index(), (path, own)) {
            let name = twice.display();
            return Err(bad(format!("shard {}, and so is {name}; allowed: each shard once", own.shard)));
        }
    }
    let of = first.map_or(0, |(_, own)| own.shard.of());
    let missing: Vec<String> =
        (0..of).filter(|index| !found.contains_key(index)).map(|index| format!("{index}/{of}")).collect();
    if !missing.is_empty() {
        let list = missing[..missing.len().min(10)].join(", ");
        let more = if missing.len() > 10 { format!(" and {} more", missing.len() - 10) } else { String::new() };
        return Err(Error::invalid_data(format!(
            "there is no file of shard {list}{more}; allowed: all {of} shards, each once"
        )));
    }
    Ok(found.into_values().map(|(path, _)| path).collect())
}
