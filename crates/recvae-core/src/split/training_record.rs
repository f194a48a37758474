//! Whom a model was trained on, as far as an evaluation has to know: whether the users that it is evaluated on were
//! among them.
//!
//! For each training user two hashes are kept, 16 bytes in all: of the user's id, and of the set of the user's items.
//! No id and no item can be read from them; but whoever guesses an id can find out whether it is there, so a model can
//! be saved without them.
//!
//! - The hash of an id is its XXH3 of 64 bits. By it a user is found, whatever items the user has by now. Of a million
//!   users and a thousand evaluated ones, chance makes two ids one in one of 2 * 10^10 cases.
//! - The hash of a history is the sum, modulo 2^64, of the XXH3 of its items' ids. By it a user is found under another
//!   id: data that were numbered anew. Users may have the same items by chance, so single ones say nothing. How many
//!   chance explains is seen in the training users: it is the share of them that have the same items as another one.
//!
//! Where a split is within users, its training part has the evaluated users, with the items that they are known by.
//! There, users count whom the model was trained on with other items than these: the ones that it has to find may be
//! among them.
//!
//! A record may be partial: a model that went on from one without a record had users that nobody knows.

use std::fmt;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::base::numbers::Numbers;
use crate::data::ids::Ids;
use crate::data::interactions::Interactions;
use crate::split::parts::HeldOut;

/// Bytes of a user: the hash of the id, then that of the history, each with its most significant byte first, so that
/// the order of the bytes is that of the numbers.
pub(crate) const ROW: usize = 16;

type Row = [u8; ROW];

/// Hashes of the training users, in ascending order.
#[derive(Clone)]
pub struct TrainingRecord {
    /// Of length `16 * n_users`.
    bytes: Arc<Numbers<u8>>,
    is_whole: bool,
}

/// What a model's training had of the users that it is evaluated on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leak {
    /// Whether the training users were exactly those of the split, by id; `None` if that is not known.
    pub same_training_users: Option<bool>,
    /// How many of the evaluated users were trained on, by id; where their split is within users, with other items than
    /// it trains on. `None` if that is not known.
    pub users: Option<usize>,
    /// How many of the others have exactly the items of a training user; `None` if that is not known.
    pub histories: Option<usize>,
    /// Whether the number above is too large for chance.
    pub is_renamed: bool,
    /// What speaks against the evaluation, in sentences; empty if nothing.
    pub warnings: Vec<String>,
}

/// Whether held-out users are trained on, as where a split is within users.
#[must_use]
pub fn shares_users(train: &Interactions, held_out: &HeldOut) -> bool {
    held_out.users().iter().any(|user| train.users().find(user).is_some())
}

impl TrainingRecord {
    /// Of a model of which nobody knows whom it was trained on.
    #[must_use]
    pub fn unknown() -> Self {
        Self { is_whole: false, ..Self::default() }
    }

    /// Of a model that was trained on these users and no others.
    #[must_use]
    pub fn of(train: &Interactions) -> Self {
        let items = hashes(train.items());
        let rows = train.users().iter().zip(train.matrix().rows());
        Self::from_rows(rows.map(|(user, row)| row_of(xxh3_64(user.as_bytes()), history(row, &items))), true)
    }

    fn from_rows(rows: impl IntoIterator<Item = Row>, is_whole: bool) -> Self {
        let mut rows: Vec<Row> = rows.into_iter().collect();
        rows.sort_unstable();
        Self { bytes: Arc::new(rows.into_flattened().into()), is_whole }
    }

    /// What a file has; or what is wrong with it.
    pub(crate) fn from_bytes(bytes: Numbers<u8>, is_whole: bool) -> Result<Self, String> {
        let record = Self { bytes: Arc::new(bytes), is_whole };
        if !record.bytes.len().is_multiple_of(ROW) || !record.rows().is_sorted() {
            return Err("its record of training users is out of order".into());
        }
        Ok(record)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether all training users are in it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Number of users in it.
    #[must_use]
    pub fn n_users(&self) -> usize {
        self.bytes.len() / ROW
    }

    fn rows(&self) -> &[Row] {
        bytemuck::cast_slice(&self.bytes)
    }

    /// Of a model that was trained on the users of both, one after the other: those of a warm start.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut rows = [self.rows(), other.rows()].concat();
        rows.sort_unstable();
        rows.dedup();
        Self::from_rows(rows, self.is_whole && other.is_whole)
    }

    /// With users who are counted besides; who is in both counts twice.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self::from_rows([self.rows(), other.rows()].concat(), self.is_whole && other.is_whole)
    }

    /// Without users who were counted. If one of them is not there, as with another id or other items, it is partial:
    /// nobody knows who was taken away instead.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        let mut gone = other.rows().iter().peekable();
        let mut left = Vec::with_capacity(self.n_users());
        let mut found = 0;
        for row in self.rows() {
            while gone.next_if(|gone| *gone < row).is_some() {}
            if gone.next_if(|gone| *gone == row).is_some() {
                found += 1;
            } else {
                left.push(*row);
            }
        }
        Self::from_rows(left, self.is_whole && other.is_whole && found == other.n_users())
    }

    /// What there is of some held-out users, by their rows in `held_out`, whose columns are `items`; `train` are the
    /// training users of their split.
    #[must_use]
    pub fn leak(&self, train: &Interactions, held_out: &HeldOut, items: &Ids, users: &[usize]) -> Leak {
        let n = users.len();
        let (mut by_id, mut by_items, mut others) = (0, 0, vec![]);
        let train_items = hashes(train.items());
        for &user in users {
            let name = held_out.users().get(user);
            let id = xxh3_64(name.as_bytes());
            match train.users().find(name) {
                Some(row) => {
                    let expected = row_of(id, history(train.matrix().row(row as usize), &train_items));
                    by_items += usize::from(self.has_id(id) && self.rows().binary_search(&expected).is_err());
                }
                None if self.has_id(id) => by_id += 1,
                None => others.push(user),
            }
        }
        let (histories, chance) = self.histories(held_out, items, &others);
        // Four standard deviations and one hit of its own: five hits where chance explains none.
        let is_renamed = histories as f64 > chance + 4.0 * (chance + 1.0).sqrt();
        let mut warnings = vec![];
        if by_id > 0 {
            warnings.push(format!(
                "the model was trained on {by_id} of the {n} users that it is evaluated on: the metrics are too good. \
                 Evaluate it on users that it has not seen, such as those of the split that it was trained on"
            ));
        }
        if by_items > 0 {
            warnings.push(format!(
                "the model was trained on other items of {by_items} of the {n} users than the training part of this split has. \
                 If those that it has to find were among them, the metrics are too good"
            ));
        }
        if is_renamed {
            warnings.push(format!(
                "{histories} of the {n} users that the model is evaluated on have exactly the items of a user that it was \
                 trained on, under another id, where chance explains {chance:.0}: if they are the same users, the metrics are \
                 too good"
            ));
        }
        if !self.is_whole && by_id + by_items == 0 {
            let begin = if self.n_users() == 0 { "nobody knows" } else { "nobody knows of all users" };
            warnings.push(format!(
                "{begin} whom the model was trained on: its file has no record of it, or it went on from a model or counts \
                 without one. If the users that it is evaluated on were among them, the metrics are too good"
            ));
        }
        let known = |count: usize| (self.is_whole || count > 0).then_some(count);
        Leak {
            same_training_users: self.is_whole.then(|| match shares_users(train, held_out) {
                true => self.rows() == Self::of(train).rows(),
                false => self.is_of(train),
            }),
            users: known(by_id + by_items),
            histories: known(histories),
            is_renamed,
            warnings,
        }
    }

    /// Whether these are the training users, by their ids.
    fn is_of(&self, train: &Interactions) -> bool {
        let mut ids: Vec<u64> = train.users().iter().map(|id| xxh3_64(id.as_bytes())).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut own: Vec<u64> = self.rows().iter().map(id_of).collect();
        own.dedup();
        ids == own
    }

    fn has_id(&self, id: u64) -> bool {
        self.rows().binary_search_by_key(&id, id_of).is_ok()
    }

    /// How many of the users have the items of a training user, and of how many that is to be expected.
    fn histories(&self, held_out: &HeldOut, items: &Ids, users: &[usize]) -> (usize, f64) {
        let mut own: Vec<u64> = self.rows().iter().map(history_of).collect();
        own.sort_unstable();
        let shared: usize = own.chunk_by(|a, b| a == b).map(<[u64]>::len).filter(|&n| n > 1).sum();
        let items = hashes(items);
        let has = |user: &&usize| {
            let part = [held_out.input(), held_out.target()].map(|matrix| history(matrix.row(**user), &items));
            own.binary_search(&part[0].wrapping_add(part[1])).is_ok()
        };
        let chance = shared as f64 / own.len().max(1) as f64 * users.len() as f64;
        (users.iter().filter(has).count(), chance)
    }
}

/// Of a model that was trained on nobody.
impl Default for TrainingRecord {
    fn default() -> Self {
        Self { bytes: Arc::default(), is_whole: true }
    }
}

impl PartialEq for TrainingRecord {
    fn eq(&self, other: &Self) -> bool {
        self.is_whole == other.is_whole && self.bytes[..] == other.bytes[..]
    }
}

impl Eq for TrainingRecord {}

impl fmt::Debug for TrainingRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrainingRecord of {} users, whole: {}", self.n_users(), self.is_whole)
    }
}

fn row_of(id: u64, history: u64) -> Row {
    let mut row = [0; ROW];
    row[..8].copy_from_slice(&id.to_be_bytes());
    row[8..].copy_from_slice(&history.to_be_bytes());
    row
}

fn id_of(row: &Row) -> u64 {
    halves(row).0
}

fn history_of(row: &Row) -> u64 {
    halves(row).1
}

fn halves(row: &Row) -> (u64, u64) {
    let both = u128::from_be_bytes(*row);
    ((both >> 64) as u64, both as u64)
}

fn hashes(ids: &Ids) -> Vec<u64> {
    ids.iter().map(|id| xxh3_64(id.as_bytes())).collect()
}

fn history(items: &[u32], hashes: &[u64]) -> u64 {
    items.iter().fold(0, |sum, &item| sum.wrapping_add(hashes[item as usize]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::interactions::Thresholds;
    use crate::split::options::SplitOptions;
    use crate::split::parts::Split;
    use crate::split::strong::split;

    /// Users `from` to below `to`, each with a set of items of its own.
    fn users(from: usize, to: usize, name: &str) -> Interactions {
        let items =
            |user: usize| (0..10).map(move |at| format!("i{}", xxh3_64(format!("{user} {at}").as_bytes()) % 60));
        let histories = (from..to).map(|user| (format!("{name}{user}"), items(user)));
        Interactions::from_histories(histories, &Thresholds::default()).unwrap()
    }

    fn parts(data: &Interactions, seed: u64) -> Split {
        split(data, &SplitOptions { validation: 20.0, test: 30.0, seed, ..SplitOptions::default() }).unwrap()
    }

    fn leak(record: &TrainingRecord, split: &Split) -> Leak {
        let scored: Vec<usize> =
            (0..split.test.n_users()).filter(|&user| !split.test.target().row(user).is_empty()).collect();
        record.leak(&split.train, &split.test, split.train.items(), &scored)
    }

    #[test]
    fn users_are_found_by_id_and_by_history() {
        let data = users(0, 200, "u");
        let data_split = parts(&data, 1);
        let honest = leak(&TrainingRecord::of(&data_split.train), &data_split);
        let nothing = Leak { same_training_users: Some(true), users: Some(0), histories: Some(0), ..Leak::default() };
        assert_eq!(honest, nothing);

        let all = leak(&TrainingRecord::of(&data), &data_split);
        assert_eq!((all.same_training_users, all.users, all.histories), (Some(false), Some(30), Some(0)));
        assert_eq!(all.warnings.len(), 1);
        assert!(all.warnings[0].starts_with("the model was trained on 30 of the 30 users that it is evaluated on"));

        let other_seed = leak(&TrainingRecord::of(&parts(&data, 2).train), &data_split);
        let n = other_seed.users.unwrap();
        assert!(n > 10 && n < 30 && other_seed.same_training_users == Some(false), "{n}");

        // Numbered anew: no id is known, but the histories are.
        let renamed = leak(&TrainingRecord::of(&users(0, 200, "customer ")), &data_split);
        assert_eq!((renamed.users, renamed.histories, renamed.is_renamed), (Some(0), Some(30), true));
        assert!(renamed.warnings[0].starts_with("30 of the 30 users"), "{:?}", renamed.warnings);

        // Other users altogether.
        let others = leak(&TrainingRecord::of(&users(1000, 1100, "v")), &data_split);
        assert_eq!((others.users, others.is_renamed, others.warnings.len()), (Some(0), false, 0));
        assert_eq!(others.same_training_users, Some(false));
    }

    #[test]
    fn what_is_not_known_is_said() {
        let data = users(0, 200, "u");
        let data_split = parts(&data, 1);
        let unknown = leak(&TrainingRecord::unknown(), &data_split);
        assert_eq!((unknown.same_training_users, unknown.users, unknown.histories), (None, None, None));
        assert!(unknown.warnings[0].starts_with("nobody knows whom the model was trained on"));
        // A warm start from an unknown model: what is known to be a leak is told, the rest is not known.
        let honest = TrainingRecord::unknown().and(&TrainingRecord::of(&data_split.train));
        assert_eq!((leak(&honest, &data_split).users, leak(&honest, &data_split).same_training_users), (None, None));
        assert!(leak(&honest, &data_split).warnings[0].starts_with("nobody knows of all users whom"));
        let all = leak(&TrainingRecord::unknown().and(&TrainingRecord::of(&data)), &data_split);
        assert_eq!((all.users, all.warnings.len()), (Some(30), 1));
    }

    #[test]
    fn within_users_other_items_are_a_leak() {
        use crate::split::kinds;
        use crate::split::options::SplitKind;
        let data = users(0, 60, "u");
        let share = |seed| {
            let options = SplitOptions { kind: SplitKind::Share, seed, ..SplitOptions::default() };
            kinds::split(&data, &options).unwrap()
        };
        let data_split = share(1);
        assert!(shares_users(&data_split.train, &data_split.test));
        assert!(!shares_users(&parts(&data, 1).train, &parts(&data, 1).test));
        let honest = leak(&TrainingRecord::of(&data_split.train), &data_split);
        let nothing = Leak { same_training_users: Some(true), users: Some(0), histories: Some(0), ..Leak::default() };
        assert_eq!(honest, nothing);
        // All items of all users, and another split of the same seed's users.
        for trained in [data.clone(), share(2).train] {
            let found = leak(&TrainingRecord::of(&trained), &data_split);
            let n = data_split.test.n_scored();
            assert_eq!(found.same_training_users, Some(false));
            assert!(found.users.unwrap() * 10 > 9 * n, "{found:?}");
            assert!(found.warnings[0].starts_with("the model was trained on other items of "), "{found:?}");
        }
    }

    /// Users with the same items are common in some data; then they are no sign of a leak.
    #[test]
    fn histories_that_many_share_are_chance() {
        let items = |user: usize| (0..6).map(move |at| format!("i{}", user % 10 + at));
        let histories = (0..200).map(|user| (format!("u{user}"), items(user)));
        let data = Interactions::from_histories(histories, &Thresholds::default()).unwrap();
        let data_split = parts(&data, 1);
        let honest = leak(&TrainingRecord::of(&data_split.train), &data_split);
        assert_eq!((honest.users, honest.histories, honest.is_renamed), (Some(0), Some(30), false));
        assert!(honest.warnings.is_empty());
    }

    #[test]
    fn sums_and_differences_are_those_of_the_users() {
        let (first, second, all) = (users(0, 50, "u"), users(50, 80, "u"), users(0, 80, "u"));
        let [first, second, all] = [&first, &second, &all].map(TrainingRecord::of);
        assert_eq!(first.plus(&second), all);
        assert_eq!(first.and(&all), all);
        assert_eq!((all.minus(&second), all.minus(&all)), (first.clone(), TrainingRecord::default()));
        assert_eq!((all.n_users(), first.plus(&first).n_users()), (80, 100));
        // Somebody who was never there.
        let minus = first.minus(&second);
        assert!(!minus.is_whole() && minus.n_users() == 50);
        assert!(!TrainingRecord::unknown().plus(&first).is_whole());
    }

    #[test]
    fn bytes_come_back_and_altered_ones_are_refused() {
        let record = TrainingRecord::of(&users(0, 20, "u"));
        let read = |bytes: &[u8]| TrainingRecord::from_bytes(bytes.to_vec().into(), true);
        assert_eq!(read(record.as_bytes()).unwrap(), record);
        assert!(read(&record.as_bytes()[1..]).is_err());
        let mut bytes = record.as_bytes().to_vec();
        bytes.rotate_left(ROW);
        assert!(read(&bytes).is_err());
        // By hand: XXH3 of "u0", as its specification has it.
        let id = xxh3_64(b"u0").to_be_bytes();
        assert!(record.as_bytes().chunks(ROW).any(|row| row[..8] == id));
    }
}
