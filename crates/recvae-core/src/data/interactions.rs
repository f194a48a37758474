//! Who interacted with what: a binary matrix of users x items with the original ids of both.
//!
//! Users and items are numbered in order of first appearance, so the same rows in the same order give the same indices
//! on every machine. Duplicates collapse; where interactions have weights, those of a pair are added up. Thresholds
//! ([`Thresholds`]) hold for what is left, not for what was read: they are applied again and again until nothing
//! changes. This fixed point is unique, and it is reached in time proportional to the interactions by taking users and
//! items away one at a time, as for the k-core of a graph.
//!
//! Source of the peeling: V. Batagelj, M. Zaversnik, An O(m) Algorithm for Cores Decomposition of Networks, 2003,
//! arXiv cs/0310049.

use crate::base::error::{Error, Result};
use crate::base::options::options;
use crate::data::ids::{Ids, MOST_IDS, check_id};
use crate::data::left_out::{LeftOut, counted};
use crate::data::shard::{InputHash, Shard, ShardOf};
use crate::math::csr::Csr;

options! {
    /// How many interactions a user and an item must have to stay.
    pub struct Thresholds for "thresholds" {
        /// Users with fewer distinct items are left out; one without any always is.
        min_user: usize = 1, AtLeast(0.0);
        /// Items with fewer distinct users are left out; one without any always is.
        min_item: usize = 1, AtLeast(0.0);
    }
}

impl Thresholds {
    /// The shard that can be kept alone: none where there are thresholds, which only all users together can meet.
    pub(crate) fn allow(&self, shard: Option<Shard>) -> Option<Shard> {
        shard.filter(|_| *self == Self::default())
    }
}

/// Interactions of shape `(n_users, n_items)` with the ids of both sides. They are equal if these are, whatever was
/// left out.
#[derive(Clone, Debug)]
pub struct Interactions {
    users: Ids,
    items: Ids,
    matrix: Csr,
    /// When, or in which part: one per entry of the matrix, in its order, if it is known.
    times: Option<Vec<f64>>,
    /// Whether these are parts, by the numbers of [`PARTS`].
    has_parts: bool,
    left_out: Vec<LeftOut>,
    /// Of which users these are, unless of all.
    shard: Option<ShardOf>,
}

impl PartialEq for Interactions {
    fn eq(&self, other: &Self) -> bool {
        (&self.users, &self.items, &self.matrix) == (&other.users, &other.items, &other.matrix)
    }
}

impl Eq for Interactions {}

impl Interactions {
    /// Puts a matrix and its ids together.
    ///
    /// # Errors
    /// `INVALID_DATA` if the number of ids is not the number of rows or columns.
    pub fn new(users: Ids, items: Ids, matrix: Csr) -> Result<Self> {
        if users.len() != matrix.n_rows() || items.len() != matrix.n_cols() {
            return Err(Error::invalid_data(format!(
                "{} user ids and {} item ids for a matrix of {} x {}",
                users.len(),
                items.len(),
                matrix.n_rows(),
                matrix.n_cols()
            )));
        }
        Ok(Self { users, items, matrix, times: None, has_parts: false, left_out: vec![], shard: None })
    }

    /// When the interactions were: one time per entry of the matrix, in its order, the first one where a pair repeats.
    /// `None` unless all rows had one. In seconds since 1970, or in the unit of the batches.
    #[must_use]
    pub fn times(&self) -> Option<&[f64]> {
        self.times.as_deref().filter(|_| !self.has_parts)
    }

    /// For which part of a split others have taken each entry of the matrix, in its order: 0 for train, 1 for
    /// validation, 2 for test. `None` unless they were read or made with parts.
    #[must_use]
    pub fn parts(&self) -> Option<&[f64]> {
        self.times.as_deref().filter(|_| self.has_parts)
    }

    /// The same with what was read as a time taken for a part.
    pub(crate) fn with_parts(self) -> Self {
        Self { has_parts: self.times.is_some(), ..self }
    }

    /// Interactions that others have divided, such as train and test files of the same users. A pair that is in several
    /// parts is of the first one, and the others count as repeated. If one part has weights, interactions of the others
    /// count 1.
    ///
    /// # Errors
    /// `INVALID_DATA` if there are 2^32 - 1 users or items or more.
    pub fn from_parts(train: &Self, validation: Option<&Self>, test: &Self) -> Result<Self> {
        let mut builder = InteractionsBuilder::new();
        let mut left_out = vec![];
        let parts = [(0.0, Some(train)), (1.0, validation), (2.0, Some(test))];
        let is_weighted = parts.iter().any(|(_, part)| part.is_some_and(|part| part.matrix.weights().is_some()));
        for (number, part) in parts {
            let Some(part) = part else { continue };
            let earlier: Vec<&Self> =
                parts.iter().filter(|(other, _)| *other < number).filter_map(|(_, part)| *part).collect();
            left_out.extend_from_slice(part.left_out());
            for (user, row) in part.matrix.rows().enumerate() {
                for (&item, entry) in row.iter().zip(part.matrix.row_range(user)) {
                    let (user, item) = (part.users.get(user), part.items.get(item as usize));
                    if is_weighted {
                        let weight = part.matrix.weights().map_or(1.0, |weights| weights[entry]);
                        let is_repeated = earlier.iter().any(|earlier| earlier.has(user, item));
                        builder.push_weighted(user, item, Some(number), if is_repeated { 0.0 } else { weight });
                    } else {
                        builder.push_at(user, item, Some(number));
                    }
                }
            }
        }
        let mut all = builder.finish(&Thresholds::default())?.with_parts();
        all.left_out = left_out.into_iter().chain(all.left_out).collect();
        Ok(all)
    }

    fn has(&self, user: &str, item: &str) -> bool {
        let row = self.users.find(user).map(|user| self.matrix.row(user as usize));
        row.is_some_and(|row| self.items.find(item).is_some_and(|item| row.binary_search(&item).is_ok()))
    }

    /// Which shard of the users these are, if they are one. Items may have no user in it.
    #[must_use]
    pub fn shard(&self) -> Option<ShardOf> {
        self.shard
    }

    /// The users of a shard, with all items: what the shard of a file of these rows would be, but for the order of the
    /// rows.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_shard(&self, shard: Shard) -> Result<Self> {
        let users: Vec<usize> =
            self.users.iter().enumerate().filter(|(_, user)| shard.has(user)).map(|(row, _)| row).collect();
        let mut input = InputHash::default();
        for (user, row) in self.users.iter().zip(self.matrix.rows()) {
            row.iter().for_each(|&item| input.push(user, self.items.get(item as usize)));
        }
        let matrix = self.matrix.select_rows(&users);
        let part = Self::new(self.users.select(users), self.items.clone(), matrix)?;
        Ok(Self { shard: Some(ShardOf { shard, input: input.get() }), ..part })
    }

    /// What was left out of the rows that these were made from.
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Original ids of the users, in row order.
    #[must_use]
    pub fn users(&self) -> &Ids {
        &self.users
    }

    /// Original ids of the items, in column order.
    #[must_use]
    pub fn items(&self) -> &Ids {
        &self.items
    }

    /// The binary matrix of shape `(n_users, n_items)`.
    #[must_use]
    pub fn matrix(&self) -> &Csr {
        &self.matrix
    }

    /// How many bytes of memory they hold, ids included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let times = self.times.as_ref().map_or(0, |times| size_of_val(&times[..]));
        self.users.bytes() + self.items.bytes() + self.matrix.bytes() + times
    }

    /// Builds from one entry per interaction: `users[i]` interacted with `items[i]`, at the value `values[i]`.
    ///
    /// With `min_value`, entries whose value is lower are left out as if they were not there. Without it values change
    /// nothing.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the lengths differ, or `min_value` is NaN or comes without `values`. `INVALID_DATA` if an
    /// id is empty or longer than 64 KiB or a value not finite (the message has its index), or if nothing is left.
    pub fn from_columns<U: AsRef<str>, I: AsRef<str>>(
        users: &[U],
        items: &[I],
        values: Option<&[f64]>,
        min_value: Option<f64>,
        thresholds: &Thresholds,
    ) -> Result<Self> {
        let equal = |name, n: usize| match n == users.len() {
            true => Ok(()),
            false => Err(Error::invalid_argument(name, n, format!("as many as there are users, {}", users.len()))),
        };
        equal("number of items", items.len())?;
        equal("number of values", values.map_or(users.len(), <[f64]>::len))?;
        check_min_value(min_value, values.is_some(), "values")?;
        let mut builder = InteractionsBuilder::new();
        for (row, (user, item)) in users.iter().zip(items).enumerate() {
            let (user, item) = (user.as_ref(), item.as_ref());
            for (name, id) in [("users", user), ("items", item)] {
                check_id(id).map_err(|what| Error::invalid_data(format!("{name}[{row}] is {what}")))?;
            }
            match values {
                Some(values) => {
                    let bad = |what| Error::invalid_data(format!("values[{row}] is {what}"));
                    builder.push_value(user, item, check_value(values[row]).map_err(bad)?, min_value);
                }
                None => builder.push(user, item),
            }
        }
        builder.finish(thresholds)
    }

    /// Builds from the items of each user. A user may come more than once; a history without items is left out.
    ///
    /// # Errors
    /// `INVALID_DATA` if an id is empty or longer than 64 KiB, or nothing is left.
    pub fn from_histories<U: AsRef<str>, I: AsRef<str>>(
        histories: impl IntoIterator<Item = (U, impl IntoIterator<Item = I>)>,
        thresholds: &Thresholds,
    ) -> Result<Self> {
        let mut builder = InteractionsBuilder::new();
        for (row, (user, items)) in histories.into_iter().enumerate() {
            builder.push_history(row, user.as_ref(), items)?;
        }
        builder.finish(thresholds)
    }

    /// Number of users.
    #[must_use]
    pub fn n_users(&self) -> usize {
        self.matrix.n_rows()
    }

    /// Number of items.
    #[must_use]
    pub fn n_items(&self) -> usize {
        self.matrix.n_cols()
    }

    /// Number of distinct (user, item) pairs.
    #[must_use]
    pub fn n_interactions(&self) -> usize {
        self.matrix.nnz()
    }

    /// Share of all (user, item) pairs that interacted, from 0 to 1.
    #[must_use]
    pub fn density(&self) -> f64 {
        let pairs = self.n_users() as f64 * self.n_items() as f64;
        if pairs == 0.0 { 0.0 } else { self.n_interactions() as f64 / pairs }
    }

    /// The item ids of a user, in column order; `None` if the user is not known.
    #[must_use]
    pub fn history(&self, user_id: &str) -> Option<Vec<&str>> {
        let user = self.users.find(user_id)? as usize;
        Some(self.matrix.row(user).iter().map(|&item| self.items.get(item as usize)).collect())
    }

    /// What is left when the thresholds hold for every user and item; the survivors keep their order.
    ///
    /// # Errors
    /// `INVALID_DATA` if nothing is left.
    pub fn with_thresholds(self, thresholds: &Thresholds) -> Result<Self> {
        let (users, items) = peel(&self.matrix, thresholds);
        if users.len() == self.n_users() && items.len() == self.n_items() {
            return Ok(self);
        }
        if users.is_empty() {
            return Err(Error::invalid_data(format!(
                "no interactions left: minUser {} and minItem {} remove all {} interactions of {} users and {} items; \
                 allowed: lower thresholds",
                thresholds.min_user,
                thresholds.min_item,
                self.n_interactions(),
                self.n_users(),
                self.n_items()
            )));
        }
        let matrix = select_columns(&self.matrix.select_rows(&users), &items)?;
        let times = self.times.as_ref().map(|times| self.matrix.select_values(times, &users, &items));
        let lost = [self.n_users() - users.len(), self.n_items() - items.len(), self.n_interactions() - matrix.nnz()];
        let [n_users, n_items, interactions] = lost.map(|n| n as u64);
        let lost = LeftOut {
            reason: "thresholds",
            users: n_users,
            items: n_items,
            interactions,
            text: format!(
                "{} are left out by minUser {} and minItem {}",
                counted(&[(n_users, "user"), (n_items, "item"), (interactions, "interaction")]),
                thresholds.min_user,
                thresholds.min_item
            ),
            ..LeftOut::default()
        };
        let left_out = self.left_out.into_iter().chain([lost]).collect();
        let has_parts = self.has_parts;
        Ok(Self {
            left_out,
            times,
            has_parts,
            ..Self::new(self.users.select(users), self.items.select(items), matrix)?
        })
    }
}

/// Words for the parts of a split in a column of data: train is 0, validation 1 and test 2.
pub(crate) const PARTS: [(&str, f64); 6] =
    [("train", 0.0), ("validation", 1.0), ("valid", 1.0), ("val", 1.0), ("dev", 1.0), ("test", 2.0)];

/// Collects interactions one at a time, in memory proportional to what is kept.
#[derive(Clone, Debug)]
pub struct InteractionsBuilder {
    users: Ids,
    items: Ids,
    pairs: Vec<(u32, u32)>,
    /// When each pair was; of another length where that is not known of all.
    times: Vec<f64>,
    /// How much each pair counts; empty where all count alike.
    weights: Vec<f32>,
    /// The number of pairs at which duplicates are looked for again.
    crowded: usize,
    /// How many users and how many items there may be, and whether there were more.
    most: usize,
    is_full: bool,
    n_pushed: u64,
    n_below: u64,
    n_skipped: u64,
    /// The bounds of the time that were given, and from when to when the rows were that were left out beside them.
    outside: Option<(&'static [&'static str], [f64; 2])>,
    n_empty: u64,
    n_bad: u64,
    /// What is wrong with the first bad row.
    first_bad: String,
    /// The shard whose users are kept, and what all rows hash to; all if there is none.
    shard: Option<(Shard, InputHash)>,
    /// Interactions of users who are not kept.
    n_elsewhere: u64,
}

impl Default for InteractionsBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// Below this many pairs (128 MiB), duplicates wait for the end.
const MANY_PAIRS: usize = 1 << 24;

impl InteractionsBuilder {
    /// Starts without interactions.
    #[must_use]
    pub fn new() -> Self {
        Self {
            users: Ids::new(),
            items: Ids::new(),
            pairs: vec![],
            times: vec![],
            weights: vec![],
            crowded: MANY_PAIRS,
            most: MOST_IDS,
            is_full: false,
            n_pushed: 0,
            n_below: 0,
            n_skipped: 0,
            outside: None,
            n_empty: 0,
            n_bad: 0,
            first_bad: String::new(),
            shard: None,
            n_elsewhere: 0,
        }
    }

    /// Keeps the users of a shard alone, before any is added: memory is that of the shard. Items are all kept, also
    /// those that no user of it has.
    #[must_use]
    pub fn of_shard(self, shard: Option<Shard>) -> Self {
        Self { shard: shard.map(|shard| (shard, InputHash::default())), ..self }
    }

    /// Adds an interaction. If it has one user or item more than there may be, it is left out, and [`Self::finish`]
    /// will fail.
    pub fn push(&mut self, user: &str, item: &str) {
        if let Some((shard, input)) = &mut self.shard {
            input.push(user, item);
            if !shard.has(user) {
                self.is_full |= self.items.insert_within(item, self.most).is_none();
                self.n_elsewhere += 1;
                return;
            }
        }
        let (user, item) = (self.users.insert_within(user, self.most), self.items.insert_within(item, self.most));
        let (Some(user), Some(item)) = (user, item) else {
            self.is_full = true;
            return;
        };
        let pair = (user, item);
        self.n_pushed += 1;
        if self.pairs.len() == self.crowded {
            self.collapse();
        }
        self.pairs.push(pair);
    }

    /// The same with the time of the interaction, if it is known.
    pub(crate) fn push_at(&mut self, user: &str, item: &str, time: Option<f64>) {
        let Some(time) = time else { return self.push(user, item) };
        let n = self.pairs.len();
        let is_timed = self.times.len() == n;
        self.push(user, item);
        // Pushing may have dropped duplicates before.
        if is_timed && self.times.len() + 1 == self.pairs.len() {
            self.times.push(time);
        }
    }

    /// The same with what the interaction counts; either all have a weight or none.
    pub(crate) fn push_weighted(&mut self, user: &str, item: &str, time: Option<f64>, weight: f32) {
        let n_pushed = self.n_pushed;
        self.push_at(user, item, time);
        // Not those of another shard.
        if self.n_pushed > n_pushed {
            self.weights.push(weight);
        }
    }

    /// Counts rows of a file that cannot be understood, up to a limit over all files.
    ///
    /// # Errors
    /// What is wrong with them, if there are more.
    pub(crate) fn push_bad(&mut self, error: Error, rows: u64, limit: u64) -> Result<()> {
        let n = self.n_bad + rows;
        if n > limit {
            return Err(match error {
                Error::InvalidData { path, line, column, message } => {
                    let message = format!(
                        "{message}; with it, {} {} bad, and skipBadRows is {limit}",
                        counted(&[(n, "row")]),
                        if n == 1 { "is" } else { "are" }
                    );
                    Error::InvalidData { path, line, column, message }
                }
                other => other,
            });
        }
        if self.n_bad == 0 {
            self.first_bad = error.to_string();
        }
        self.n_bad = n;
        Ok(())
    }

    /// Adds the items of a user. `row` is the number of the history, for messages.
    ///
    /// # Errors
    /// `INVALID_DATA` if an id is empty or longer than 64 KiB. The items before the bad one stay added.
    pub fn push_history<I: AsRef<str>>(
        &mut self,
        row: usize,
        user: &str,
        items: impl IntoIterator<Item = I>,
    ) -> Result<()> {
        let before = self.n_rows();
        for (at, item) in items.into_iter().enumerate() {
            let bad_user = |what| Error::invalid_data(format!("the user id of history {row} is {what}"));
            let bad_item = |what| Error::invalid_data(format!("item {at} of user '{user}' is {what}"));
            self.push(check_id(user).map_err(bad_user)?, check_id(item.as_ref()).map_err(bad_item)?);
        }
        if self.n_rows() == before {
            self.push_empty();
        }
        Ok(())
    }

    /// Adds an interaction unless its value is below `min_value`; then its ids stay unknown.
    pub fn push_value(&mut self, user: &str, item: &str, value: f64, min_value: Option<f64>) {
        if min_value.is_some_and(|min_value| value < min_value) {
            self.n_below += 1;
        } else {
            self.push(user, item);
        }
    }

    /// Counts a history without items, which leaves no other trace.
    pub fn push_empty(&mut self) {
        self.n_empty += 1;
    }

    /// Counts a row that was left out, for its low value or for its time. `bounds` are the names of those of the time
    /// that were given.
    pub(crate) fn skip(&mut self, is_low: bool, time: Option<f64>, bounds: &'static [&'static str]) {
        if is_low {
            self.n_below += 1;
        } else {
            self.n_skipped += 1;
        }
        if let (Some(time), false) = (time, bounds.is_empty()) {
            let (_, [first, last]) = self.outside.get_or_insert((bounds, [time; 2]));
            (*first, *last) = (first.min(time), last.max(time));
        }
    }

    /// Number of users and items so far.
    pub(crate) fn n_ids(&self) -> [usize; 2] {
        [self.users.len(), self.items.len()]
    }

    /// Number of interactions so far, those that were left out and duplicates included.
    #[must_use]
    pub fn n_rows(&self) -> u64 {
        self.n_pushed + self.n_elsewhere + self.n_below + self.n_skipped + self.n_bad
    }

    /// Drops duplicates, so that a log that repeats itself needs no more memory than twice its distinct pairs.
    fn collapse(&mut self) {
        if self.times.len() != self.pairs.len() {
            self.times = vec![];
        }
        if self.times.is_empty() && self.weights.is_empty() {
            self.pairs.sort_unstable();
            self.pairs.dedup();
        } else {
            let pairs = std::mem::take(&mut self.pairs);
            (self.pairs, self.times, self.weights) = one_of_each(&pairs, &self.times, &self.weights);
        }
        self.crowded = MANY_PAIRS.max(2 * self.pairs.len());
    }

    /// Makes the matrix and applies the thresholds; those of a shard are known to nobody who has only the shard, and
    /// are not applied.
    ///
    /// # Errors
    /// `INVALID_DATA` if nothing is left; the message says whether nothing was added, every value was too low or the
    /// thresholds removed all. Likewise if there were 2^32 - 1 users or items or more.
    pub fn finish(self, thresholds: &Thresholds) -> Result<Interactions> {
        let Self {
            users,
            items,
            pairs,
            times,
            weights,
            most,
            is_full,
            n_pushed,
            n_below,
            n_skipped,
            outside,
            n_empty,
            n_bad,
            first_bad,
            shard,
            n_elsewhere,
            ..
        } = self;
        if is_full {
            let message =
                format!("there are more than {most} different users or items; allowed: at most that many of each");
            return Err(Error::invalid_data(message));
        }
        if pairs.is_empty() && n_elsewhere == 0 {
            return Err(Error::invalid_data(match (n_below, n_skipped) {
                (0, 0) if n_bad > 0 => format!("no interactions left: all {n_bad} rows are bad, such as {first_bad}"),
                (0, 0) => "no interactions: the input is empty".to_owned(),
                (n, 0) => format!("no interactions left: the values of all {n} rows lie below minValue"),
                (n, m) => {
                    let (bounds, [first, last]) = outside.unwrap_or_default();
                    let filters = match (n, bounds) {
                        (0, _) => bounds.join(" and "),
                        (_, [one]) => format!("minValue and {one}"),
                        _ => format!("minValue, {}", bounds.join(" and ")),
                    };
                    format!(
                        "no interactions left: all {} rows lie outside {filters} (the times run from {first} to {last})",
                        n + m
                    )
                }
            }));
        }
        let is_timed = times.len() == pairs.len();
        let is_weighted = !weights.is_empty();
        let times = if is_timed { times } else { vec![] };
        let (pairs, times, weights) =
            if is_timed || is_weighted { one_of_each(&pairs, &times, &weights) } else { (pairs, vec![], vec![]) };
        let matrix = Csr::from_pairs(users.len(), items.len(), &pairs);
        drop(pairs);
        let n_repeated = n_pushed - matrix.nnz() as u64;
        let matrix = if is_weighted { matrix.with_weights(weights)? } else { matrix };
        let bad = format!("being malformed, such as {first_bad}");
        let left_out = [
            LeftOut::rows("badRows", n_bad, &bad),
            LeftOut::rows("minValue", n_below, "a value below minValue"),
            LeftOut::rows("time", n_skipped, "a time outside since and until"),
            // Their weights count.
            LeftOut::rows("duplicates", if is_weighted { 0 } else { n_repeated }, "repeating an interaction"),
            LeftOut::rows("emptyHistories", n_empty, "being a user without items"),
        ];
        let left_out = left_out.into_iter().flatten().collect();
        let times = is_timed.then_some(times);
        let shard = shard.map(|(shard, input)| ShardOf { shard, input: input.get() });
        let all = Interactions { users, items, matrix, times, has_parts: false, left_out, shard };
        // An item without users here may have some in another shard.
        if shard.is_some() { Ok(all) } else { all.with_thresholds(thresholds) }
    }
}

/// The distinct pairs, ascending, each with its least time and the sum of its weights, where these are known.
fn one_of_each(pairs: &[(u32, u32)], times: &[f64], weights: &[f32]) -> (Vec<(u32, u32)>, Vec<f64>, Vec<f32>) {
    let number_at = |numbers: &[f64], at: usize| numbers.get(at).copied().unwrap_or(0.0);
    let rows = pairs.iter().enumerate();
    let weight_at = |at: usize| weights.get(at).copied().unwrap_or(0.0);
    let mut rows: Vec<_> = rows.map(|(at, &pair)| (pair, number_at(times, at), weight_at(at))).collect();
    // Sums do not depend on the order of the rows.
    rows.sort_unstable_by(|(a, s, v), (b, t, w)| a.cmp(b).then(s.total_cmp(t)).then(v.total_cmp(w)));
    let (mut distinct, mut first, mut sums) = (vec![], vec![], vec![]);
    for same in rows.chunk_by(|(a, ..), (b, ..)| a == b) {
        distinct.push(same[0].0);
        if !times.is_empty() {
            first.push(same[0].1);
        }
        if !weights.is_empty() {
            let sum: f64 = same.iter().map(|(.., weight)| f64::from(*weight)).sum();
            sums.push(sum.min(f32::MAX.into()) as f32);
        }
    }
    (distinct, first, sums)
}

/// The number as what a row counts, or what is wrong with it.
pub(crate) fn check_weight(number: f64) -> Result<f32, String> {
    match number as f32 {
        weight if weight > 0.0 && weight.is_finite() => Ok(weight),
        _ => Err(format!(
            "{number}; allowed: a number above 0 in single precision, as the option weighted makes it a weight"
        )),
    }
}

/// The number as a value or a time of a row, or what is wrong with it.
pub(crate) fn check_value(number: f64) -> Result<f64, String> {
    match number {
        _ if number.is_finite() => Ok(number),
        f64::INFINITY => Err("Infinity; allowed: a finite number".into()),
        f64::NEG_INFINITY => Err("-Infinity; allowed: a finite number".into()),
        _ => Err("NaN; allowed: a finite number".into()),
    }
}

/// `min_value` is a number and has values to look at.
pub(crate) fn check_min_value(min_value: Option<f64>, has_values: bool, values: &str) -> Result<()> {
    match min_value {
        Some(min) if min.is_nan() => Err(Error::invalid_argument("minValue", min, "a number")),
        Some(min) if !has_values => Err(Error::invalid_argument("minValue", min, format!("only with {values}"))),
        _ => Ok(()),
    }
}

/// The given columns, ascending, which take the numbers from 0 on.
pub(crate) fn select_columns(matrix: &Csr, columns: &[usize]) -> Result<Csr> {
    let mut new = vec![u32::MAX; matrix.n_cols()];
    for (index, &column) in (0..).zip(columns) {
        new[column] = index;
    }
    let index = |_, column: u32, _| Some(new[column as usize]).filter(|&index| index != u32::MAX);
    matrix.filter_map(columns.len(), index)
}

/// The rows and columns that survive the thresholds, ascending.
fn peel(matrix: &Csr, thresholds: &Thresholds) -> (Vec<usize>, Vec<usize>) {
    let limits = [thresholds.min_user.max(1), thresholds.min_item.max(1)];
    let mut degrees =
        [matrix.rows().map(<[u32]>::len).collect(), matrix.column_counts().iter().map(|&n| n as usize).collect()];
    // Users are side 0, items side 1. Whoever falls below its limit is pushed once: its degree passes the limit once.
    let mut fallen: Vec<(usize, usize)> = Vec::new();
    for side in [0, 1] {
        let degrees: &Vec<usize> = &degrees[side];
        fallen.extend((0..degrees.len()).filter(|&node| degrees[node] < limits[side]).map(|node| (side, node)));
    }
    if !fallen.is_empty() {
        let neighbours = [matrix, &matrix.transpose()];
        while let Some((side, node)) = fallen.pop() {
            let other = 1 - side;
            for &neighbour in neighbours[side].row(node) {
                let degree = &mut degrees[other][neighbour as usize];
                // A neighbour that fell before may count down further (never below 0: one step per edge).
                *degree -= 1;
                if *degree + 1 == limits[other] {
                    fallen.push((other, neighbour as usize));
                }
            }
        }
    }
    let survivors =
        |side: usize| (0..degrees[side].len()).filter(|&node| degrees[side][node] >= limits[side]).collect();
    (survivors(0), survivors(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_ids_than_can_be_numbered_are_an_error() {
        // The same with a limit that a test can reach.
        let read = |rows: &[[&str; 2]]| {
            let mut builder = InteractionsBuilder { most: 2, ..InteractionsBuilder::new() };
            rows.iter().for_each(|[user, item]| builder.push(user, item));
            builder.finish(&Thresholds::default())
        };
        assert_eq!(read(&[["a", "x"], ["b", "y"], ["a", "y"], ["b", "x"]]).unwrap().n_interactions(), 4);
        let text = "there are more than 2 different users or items; allowed: at most that many of each";
        for rows in [[["a", "x"], ["b", "x"], ["c", "x"]], [["a", "x"], ["a", "y"], ["a", "z"]]] {
            assert_eq!(read(&rows).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn weights_of_a_pair_are_added_up() {
        let rows = [("b", "y", 1.5), ("a", "x", 2.0), ("b", "x", 4.0), ("b", "y", 0.25)];
        for crowded in [2, MANY_PAIRS] {
            let mut builder = InteractionsBuilder { crowded, ..InteractionsBuilder::new() };
            rows.iter().for_each(|&(user, item, weight)| builder.push_weighted(user, item, None, weight));
            let data = builder.finish(&Thresholds::default()).unwrap();
            assert_eq!(data.matrix().indices(), [0, 1, 1]);
            assert_eq!(data.matrix().weights(), Some(&[1.75, 4.0, 2.0][..]), "{crowded}");
            assert_eq!(data.left_out(), []);
            // The survivors of thresholds keep theirs.
            let two = data.with_thresholds(&Thresholds { min_item: 2, ..Thresholds::default() }).unwrap();
            assert_eq!(two.matrix().weights(), Some(&[4.0, 2.0][..]));
        }
        assert_eq!(check_weight(0.5), Ok(0.5));
        for number in [0.0, -1.0, 1e300, 1e-300] {
            assert!(check_weight(number).unwrap_err().starts_with(&format!("{number}; allowed: ")), "{number}");
        }
    }

    #[test]
    fn a_shard_has_the_weights_of_its_rows() {
        let users: Vec<String> = (0..20).map(|user| format!("u{user}")).collect();
        let shard = Shard::new(1.0, 3.0).unwrap();
        let build = |builder: InteractionsBuilder| {
            let mut builder = builder;
            for (user, weight) in users.iter().zip(1u8..) {
                builder.push_weighted(user, "x", Some(1.0), weight.into());
                builder.push_weighted(user, "y", Some(1.0), 0.5);
            }
            builder.finish(&Thresholds::default()).unwrap()
        };
        let read = build(InteractionsBuilder::new().of_shard(Some(shard)));
        assert_eq!(read, build(InteractionsBuilder::new()).of_shard(shard).unwrap());
        assert!(read.matrix().weights().is_some_and(|weights| weights.len() == 2 * read.n_users()));
    }

    #[test]
    fn a_log_that_repeats_itself_stays_small() {
        let mut builder = InteractionsBuilder { crowded: 8, ..InteractionsBuilder::new() };
        for _ in 0..3 {
            for (user, item) in [("b", "y"), ("a", "x"), ("b", "x")] {
                builder.push(user, item);
            }
        }
        assert_eq!(builder.pairs.len(), 4);
        assert_eq!(builder.crowded, MANY_PAIRS);
        let data = builder.finish(&Thresholds::default()).unwrap();
        assert_eq!(data.users().get(0), "b");
        assert_eq!(data.matrix().indices(), [0, 1, 1]);
    }
}
