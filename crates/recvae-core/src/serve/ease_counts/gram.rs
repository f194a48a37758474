//! Counts from a Gram matrix that was made elsewhere, such as by a database: three tables of whole numbers.
//!
//! | table | columns | what it holds |
//! | --- | --- | --- |
//! | vocab | item, index | the index of each item, each from 0 to `n - 1` once |
//! | gram | i, j, n | for a pair of items, `i <= j`, how many users have both; how many have one where `i = j`; each pair once |
//! | totals | name, n | under `users` how many users there are, and if it is there, under `interactions` how many pairs of a user and an item |
//!
//! Rows come in any order, and pairs that nobody has are left out. Whole numbers are exact wherever they were added up,
//! so the model has the bits of a local fit with the items in that order. What users were counted is not known.
//!
//! Tables come as [`Interactions`]: their first two columns as users and items, and `n` of gram in the place of the
//! time, so that all readers of rows read them.

use rayon::prelude::*;

use super::EaseCounts;
use super::triangle::Triangle;
use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
use crate::base::memory::{MemoryEstimate, check_limit};
use crate::data::ids::Ids;
use crate::data::interactions::Interactions;
use crate::math::linalg::stretches_of_work;
use crate::split::training_record::TrainingRecord;

impl EaseCounts {
    /// Counts from the tables above. It may take `memory_limit` bytes beyond them; without it what is free.
    ///
    /// # Errors
    /// `INVALID_DATA` if an index, a count or a total is no whole number or has none where there must be one, if a pair
    /// is there twice or below the diagonal, or if counts contradict each other or the totals: more users have two
    /// items than one of them, or fewer than both must have. `MEMORY` before the counting; `CANCELLED` within a row.
    pub fn from_gram(
        gram: &Interactions,
        vocab: &Interactions,
        totals: &Interactions,
        memory_limit: Option<u64>,
        cancel: &Cancel,
    ) -> Result<Self> {
        let items = items_of(vocab)?;
        let n = items.len();
        let (n_users, interactions) = totals_of(totals)?;
        let pairs = Pairs::new(gram, n)?;
        let numbers = (n as f64 * (n as f64 + 1.0) / 2.0).min(2.0 * gram.n_interactions() as f64);
        let parts = [("the counts and the stretches that they are joined from", 8.0 * numbers)];
        let what = format!("counts of the pairs of {n} items");
        check_limit(&what, &MemoryEstimate::new(4.0 * numbers, &parts, ""), memory_limit, 0, |_| vec![])?;

        let of_items: Vec<u32> = (0..n).map(|item| pairs.of_item(item)).collect::<Result<_>>()?;
        let sum: u64 = of_items.iter().map(|&count| u64::from(count)).sum();
        if let Some(interactions) = interactions.filter(|&interactions| interactions != sum) {
            return Err(Error::invalid_data(format!(
                "totals has {interactions} interactions, and the diagonal of gram comes to {sum}; allowed: the same, as each \
                 pair of a user and an item counts once"
            )));
        }
        let work: Vec<u64> = (0..n).map(|item| (n - item) as u64 + pairs.row(item).len() as u64).collect();
        let stretch = |stretch: std::ops::Range<usize>| {
            let (mut counts, mut result) = (vec![0u32; n], Triangle::default());
            for item in stretch {
                cancel.check()?;
                let counts = &mut counts[item..];
                pairs.read(item, counts)?;
                for (other, &count) in (item..).zip(&*counts).skip(1) {
                    check_pair(&items, [item, other], count, &of_items, n_users)?;
                }
                result.push(item, n, counts);
            }
            Ok(result)
        };
        if let Some(item) = (0..n).find(|&item| of_items[item] > n_users) {
            let (id, count) = (items.get(item), of_items[item]);
            return Err(Error::invalid_data(format!(
                "gram has {count} users with item '{id}'; allowed: at most the {n_users} users of totals"
            )));
        }
        let stretches: Vec<Result<Triangle>> =
            stretches_of_work(&work, 4 * rayon::current_num_threads()).into_par_iter().map(stretch).collect();
        let counts = Triangle::join(stretches.into_iter().collect::<Result<_>>()?);
        Ok(Self { items, n_users, counts, record: TrainingRecord::unknown(), shard: None })
    }
}

/// The table of pairs, by the indices of the items.
struct Pairs<'a> {
    gram: &'a Interactions,
    counts: &'a [f64],
    /// Which row of the table's matrix has the pairs of an item, and where they begin in `counts`.
    row_of: Vec<Option<(usize, usize)>>,
    /// Which item a column is.
    item_of: Vec<usize>,
}

impl<'a> Pairs<'a> {
    fn new(gram: &'a Interactions, n: usize) -> Result<Self> {
        refuse_repeats("gram", "a pair of items", gram)?;
        let counts = gram.times().ok_or_else(|| Error::invalid_data("gram has no counts; allowed: one in each row"))?;
        let mut row_of = vec![None; n];
        let mut start = 0;
        for (row, (id, items)) in gram.users().iter().zip(gram.matrix().rows()).enumerate() {
            let item = index_of("gram", "i", id, n)?;
            if row_of[item].replace((row, start)).is_some() {
                return Err(twice("gram", "i", item));
            }
            start += items.len();
        }
        let mut seen = vec![false; n];
        let index = |id: &str| {
            let item = index_of("gram", "j", id, n)?;
            if std::mem::replace(&mut seen[item], true) { Err(twice("gram", "j", item)) } else { Ok(item) }
        };
        let item_of = gram.items().iter().map(index).collect::<Result<_>>()?;
        Ok(Self { gram, counts, row_of, item_of })
    }

    /// Columns and counts of an item.
    fn row(&self, item: usize) -> impl ExactSizeIterator<Item = (usize, f64)> {
        let (columns, start) = match self.row_of[item] {
            Some((row, start)) => (self.gram.matrix().row(row), start),
            None => (&[][..], 0),
        };
        let counts = &self.counts[start..start + columns.len()];
        columns.iter().zip(counts).map(|(&column, &count)| (self.item_of[column as usize], count))
    }

    /// How many users have an item.
    fn of_item(&self, item: usize) -> Result<u32> {
        let own = self.row(item).find(|&(other, _)| other == item);
        own.map_or(Ok(0), |(_, count)| count_of(count, item, item))
    }

    /// Overwrites `counts` by those of the pairs of an item from the item on.
    fn read(&self, item: usize, counts: &mut [u32]) -> Result<()> {
        counts.fill(0);
        for (other, count) in self.row(item) {
            let count = count_of(count, item, other)?;
            match other.checked_sub(item) {
                Some(at) => counts[at] = count,
                None => {
                    return Err(Error::invalid_data(format!(
                        "gram has the pair i = {item}, j = {other}; allowed: i at most j, the upper triangle"
                    )));
                }
            }
        }
        Ok(())
    }
}

/// A count of the pair does not contradict those of its items.
fn check_pair(items: &Ids, [one, other]: [usize; 2], count: u32, of_items: &[u32], n_users: u32) -> Result<()> {
    let [a, b] = [of_items[one], of_items[other]];
    let most = a.min(b);
    let least = (u64::from(a) + u64::from(b)).saturating_sub(u64::from(n_users));
    if count <= most && u64::from(count) >= least {
        return Ok(());
    }
    let (first, second) = (items.get(one), items.get(other));
    Err(Error::invalid_data(format!(
        "gram has {count} users with both '{first}' and '{second}', which {a} and {b} of {n_users} users have; allowed: {least} \
         to {most}"
    )))
}

/// The items in the order of their indices.
fn items_of(vocab: &Interactions) -> Result<Ids> {
    refuse_repeats("vocab", "an item and its index", vocab)?;
    let n = vocab.n_users();
    let mut names = vec![None; n];
    for (name, row) in vocab.users().iter().zip(vocab.matrix().rows()) {
        let &[column] = row else {
            return Err(Error::invalid_data(format!("vocab has {} indices for item '{name}'; allowed: 1", row.len())));
        };
        let index = index_of("vocab", "index", vocab.items().get(column as usize), n)?;
        if names[index].replace(name).is_some() {
            return Err(twice("vocab", "index", index));
        }
    }
    // As many names as indices, none of which is there twice: none is missing.
    Ok(names.into_iter().flatten().collect())
}

/// Numbers of users and, if it is there, of interactions.
fn totals_of(totals: &Interactions) -> Result<(u32, Option<u64>)> {
    refuse_repeats("totals", "a name", totals)?;
    let of = |name: &str| -> Result<Option<u64>> {
        let Some(numbers) = totals.history(name) else { return Ok(None) };
        let number = numbers[0].parse().ok().filter(|_| numbers.len() == 1);
        let got = numbers.join(", ");
        number
            .map(Some)
            .ok_or_else(|| Error::invalid_data(format!("totals has {name} = {got}; allowed: a whole number")))
    };
    let users = of("users")?.ok_or_else(|| Error::invalid_data("totals has no row 'users'; allowed: one"))?;
    let users = u32::try_from(users)
        .map_err(|_| Error::invalid_data(format!("totals has {users} users; allowed: at most {}", u32::MAX)))?;
    Ok((users, of("interactions")?))
}

fn refuse_repeats(table: &str, what: &str, rows: &Interactions) -> Result<()> {
    let Some(repeated) = rows.left_out().iter().find(|left_out| left_out.reason == "duplicates") else { return Ok(()) };
    let n = repeated.rows;
    Err(Error::invalid_data(format!("{table} has {n} rows that repeat {what}; allowed: each once")))
}

/// The index that a text is.
fn index_of(table: &str, column: &str, text: &str, n: usize) -> Result<usize> {
    text.parse().ok().filter(|&index| index < n).ok_or_else(|| {
        let most = n.saturating_sub(1);
        Error::invalid_data(format!(
            "{table} has {column} = {text}; allowed: whole numbers from 0 to {most}, as vocab has {n} items"
        ))
    })
}

fn count_of(count: f64, one: usize, other: usize) -> Result<u32> {
    // Up to 2^53 a double is exact, and a count is below.
    if count.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&count) {
        return Ok(count as u32);
    }
    let most = u32::MAX;
    Err(Error::invalid_data(format!(
        "gram has n = {count} for i = {one}, j = {other}; allowed: a whole number from 0 to {most}"
    )))
}

fn twice(table: &str, column: &str, index: usize) -> Error {
    Error::invalid_data(format!("{table} has {column} = {index} in two spellings or twice; allowed: once"))
}
