//! Strong generalisation: whole users are held out, and a model that never saw them is asked for them.
//!
//! 1. Users with fewer than `min_user_items` items are not held out. They are trained on, or dropped: see
//!    [`ShortUsers`].
//! 2. A seeded permutation of the other users gives, from its start, the training, the validation and the test users.
//!    Who is held out does not depend on what becomes of the short users.
//! 3. The items are those of the training users; the held-out users lose the rest.
//! 4. Of a held-out user's n known items, int(held_out * n) random ones are the target, which is scored; the others are
//!    the input, from which a model has to guess the target.
//!
//! Order is kept: within each part users, and all items, stand as in the original.
//!
//! Edge cases of step 4, none of which loses a row:
//! - Fewer than 5 known items (a constant of the protocol), or than `min_user_items` where that is less: everything is
//!   input, nothing is scored, the user does not count in metrics.
//! - int(held_out * n) is 0, as for 5 items at 0.1: likewise.
//! - No known item at all: input and target are empty. A model answers as for a user without history; the user does
//!   not count in metrics.
//!
//! The protocol drops the short users ([`ShortUsers::Drop`]). That suits a measurement, but not a model that is to
//! serve: the items that only they have would be unknown to it.
//!
//! By kind folds the users of step 2 are divided into `folds` parts of about the same size, in the order of the
//! permutation; part `fold` is for test and the one behind it for validation. Over all values of `fold`, everybody with
//! enough items is tested once.
//!
//! Source: D. Liang, R. G. Krishnan, M. D. Hoffman, T. Jebara, Variational Autoencoders for Collaborative Filtering,
//! WWW 2018, arXiv 1802.05814, section 4.1 and the authors' preprocessing. There, users with fewer than 5 known items
//! end up in the input file only, too. Their draws come from NumPy, as ours do by the option `generator` (`numpy.rs`);
//! by default they come from Philox, so the parts differ.

use crate::base::error::{Error, Result};
use crate::base::random::Stream;
use crate::data::interactions::{Interactions, select_columns};
use crate::data::left_out::{LeftOut, are, counted};
use crate::split::numpy;
use crate::split::options::{Generator, ShortUsers, SplitKind, SplitOptions};
use crate::split::parts::{HeldOut, Split};

/// With fewer known items than this, nothing of a held-out user is scored, unless users with fewer are held out on
/// purpose.
const MIN_KNOWN_ITEMS: usize = 5;

impl SplitOptions {
    /// With fewer known items than this, nothing of a held-out user is scored.
    fn min_known_items(&self) -> usize {
        MIN_KNOWN_ITEMS.min(self.min_user_items)
    }
}

/// Stream of the permutation of users.
const USER_STREAM: u64 = u64::from_be_bytes(*b"splitusr");
/// Stream of a user's items, once the user's index is added.
const ITEM_STREAM: u64 = u64::from_be_bytes(*b"sitm\0\0\0\0");

/// Splits interactions by users, with options that were checked. The steps and the edge cases are in the text of the
/// module.
///
/// # Errors
/// `INVALID_DATA` if there are too few users: none to train on, or none
/// in a part that was asked for as a share.
pub(crate) fn split(data: &Interactions, options: &SplitOptions) -> Result<Split> {
    let has_enough = |&user: &usize| data.matrix().row(user).len() >= options.min_user_items;
    let (mut users, short): (Vec<usize>, Vec<usize>) = (0..data.n_users()).partition(has_enough);
    let trains_short = options.short_users == ShortUsers::Train;
    match options.generator {
        Generator::Philox => Stream::new(options.seed, USER_STREAM).shuffle(&mut users),
        Generator::Numpy => users = numpy::permuted(data.users(), users, options.seed as u32),
    }
    let [mut train, mut validation, mut test] = match options.kind {
        SplitKind::Folds => folds(&users, data.n_users(), options)?,
        _ => {
            let n_short = if trains_short { short.len() } else { 0 };
            let [n_train, n_validation] = part_sizes(options, users.len(), data.n_users(), n_short)?;
            let (train, rest) = users.split_at(n_train);
            let (validation, test) = rest.split_at(n_validation);
            [train, validation, test].map(<[usize]>::to_vec)
        }
    };
    train.extend(short.iter().filter(|_| trains_short));
    for part in [&mut train, &mut validation, &mut test] {
        part.sort_unstable();
    }

    let matrix = data.matrix().select_rows(&train);
    let items: Vec<usize> = (0..).zip(matrix.column_counts()).filter(|&(_, n)| n > 0).map(|(item, _)| item).collect();
    if items.is_empty() {
        return Err(Error::invalid_data("the training users have no items; allowed: at least one"));
    }
    let train = Interactions::new(
        data.users().select(train),
        data.items().select(items.iter().copied()),
        select_columns(&matrix, &items)?,
    )?;
    let (validation, test) = (hold_out(data, &validation, &items, options)?, hold_out(data, &test, &items, options)?);
    let left_out = left_out(data, &short, [&validation, &test], options, items.len());
    Split::new(train, validation, test, left_out)
}

/// What of the data is not in a split with `n_items` items.
fn left_out(
    data: &Interactions,
    short: &[usize],
    held_out: [&HeldOut; 2],
    options: &SplitOptions,
    n_items: usize,
) -> Vec<LeftOut> {
    let SplitOptions { min_user_items, held_out: share, .. } = options;
    let users = short.len() as u64;
    let items_of =
        |users: &mut dyn Iterator<Item = usize>| users.map(|user| data.matrix().row(user).len()).sum::<usize>();
    let short = match options.short_users {
        _ if users == 0 => None,
        ShortUsers::Drop => {
            let interactions = items_of(&mut short.iter().copied()) as u64;
            let (who, with) = (are(&[(users, "user")]), counted(&[(interactions, "interaction")]));
            let text = format!(
                "{who} left out, with {with}, for having fewer than {min_user_items} items (minUserItems; shortUsers is drop)"
            );
            Some(LeftOut { reason: "shortUsers", users, interactions, text, ..LeftOut::default() })
        }
        ShortUsers::Train if held_out.iter().all(|part| part.n_users() == 0) => None,
        ShortUsers::Train => {
            let who = are(&[(users, "user")]);
            let text = format!(
                "{who} trained on but never held out, for having fewer than {min_user_items} items (minUserItems)"
            );
            Some(LeftOut { reason: "neverHeldOut", users, text, ..LeftOut::default() })
        }
    };
    let items = (data.n_items() - n_items) as u64;
    let had = held_out.iter().flat_map(|part| part.users().iter()).filter_map(|id| data.users().find(id));
    let known: usize = held_out.iter().map(|part| part.n_interactions()).sum();
    let interactions = (items_of(&mut had.map(|user| user as usize)) - known) as u64;
    let with = match interactions {
        0 => String::new(),
        n => format!(", with {} of held-out users,", counted(&[(n, "interaction")])),
    };
    let unknown = (items > 0).then(|| LeftOut {
        reason: "noTrainingUser",
        items,
        interactions,
        text: format!("{} left out{with} for having no training user", are(&[(items, "item")])),
        ..LeftOut::default()
    });
    let least = options.min_known_items();
    let why = format!(": fewer than {least} known items, or so few that a share of {share} (heldOut) is less than one");
    short.into_iter().chain(unknown).chain(not_scored(held_out, &why)).collect()
}

/// Validation and test users with nothing to find; `why` ends the sentence.
pub(crate) fn not_scored(held_out: [&HeldOut; 2], why: &str) -> Option<LeftOut> {
    let [validation, test] = held_out.map(|part| (part.n_users() - part.n_scored()) as u64);
    let who = are(&[(validation, "validation user"), (test, "test user")]);
    let text = format!("{who} not scored for having nothing to find{why}");
    (validation + test > 0).then(|| LeftOut {
        reason: "notScored",
        users: validation + test,
        text,
        ..LeftOut::default()
    })
}

/// Training, validation and test users, in this order, where each of `folds` parts of the permuted users is held out
/// once.
fn folds(users: &[usize], n_before: usize, options: &SplitOptions) -> Result<[Vec<usize>; 3]> {
    let (n, folds) = (users.len(), options.folds);
    if n < folds {
        return Err(Error::invalid_data(format!(
            "{}, too few for {folds} folds (folds); allowed: at least one user in each",
            counted_users(options, n, n_before)
        )));
    }
    let (test, validation) = (options.fold - 1, options.fold % folds);
    let mut parts = [vec![], vec![], vec![]];
    for fold in 0..folds {
        let part = match fold {
            _ if fold == test && options.test > 0.0 => 2,
            _ if fold == validation && options.validation > 0.0 => 1,
            _ => 0,
        };
        parts[part].extend(&users[fold * n / folds..(fold + 1) * n / folds]);
    }
    Ok(parts)
}

/// How many users can be held out, in words: `n_users` of `n_before`.
fn counted_users(options: &SplitOptions, n_users: usize, n_before: usize) -> String {
    match options.min_user_items {
        0 | 1 => format!("there are {n_before} users"),
        least => format!("{n_users} of {n_before} users have at least {least} items (minUserItems)"),
    }
}

/// The numbers of training and of validation users among the `n_users` that have enough items, of `n_before` in all;
/// `n_short` of the others are trained on.
fn part_sizes(options: &SplitOptions, n_users: usize, n_before: usize, n_short: usize) -> Result<[usize; 2]> {
    let counted = || counted_users(options, n_users, n_before);
    let fewer = if n_users < n_before { ", or a lower minUserItems" } else { "" };
    let mut sizes = [0; 2];
    for (size, (name, value)) in sizes.iter_mut().zip([("validation", options.validation), ("test", options.test)]) {
        let count = if value < 1.0 { value * n_users as f64 } else { value };
        // The conversion saturates, so an absurd count is still too many users below.
        *size = count.round() as usize;
        if value > 0.0 && *size == 0 {
            return Err(Error::invalid_data(format!(
                "{}, and {name} = {value} of them rounds to no user; allowed: at least one {name} user, or {name} = 0 for \
                 none{fewer}",
                counted()
            )));
        }
    }
    let [validation, test] = sizes;
    match validation.checked_add(test).and_then(|held_out| n_users.checked_sub(held_out)) {
        Some(train) if train + n_short > 0 => Ok([train, validation]),
        // Nobody is held out, and nobody is left nevertheless.
        _ if validation == 0 && test == 0 => Err(Error::invalid_data(format!(
            "{}, and the others are left out (shortUsers = drop), so that none is there to train on; allowed: at least one, \
             by a lower minUserItems or by shortUsers = train",
            counted()
        ))),
        _ => Err(Error::invalid_data(format!(
            "{}; {validation} for validation and {test} for test leave none to train on; allowed: at least one{fewer}",
            counted()
        ))),
    }
}

/// The known items of each user, divided.
fn hold_out(data: &Interactions, users: &[usize], items: &[usize], options: &SplitOptions) -> Result<HeldOut> {
    let known = select_columns(&data.matrix().select_rows(users), items)?;
    let places = match options.generator {
        Generator::Philox => {
            let draw = |(&user, items): (&usize, &[u32])| {
                // A stream per user: the draw does not depend on who else is held out.
                let mut stream = Stream::new(options.seed, ITEM_STREAM + user as u64);
                stream.sample(items.len(), n_targets(items.len(), options))
            };
            users.iter().zip(known.rows()).map(draw).collect()
        }
        Generator::Numpy => {
            let ids = data.items().select(items.iter().copied());
            let draws = |n: usize| (n >= options.min_known_items()).then(|| n_targets(n, options));
            numpy::targets(&data.users().select(users.iter().copied()), &ids, &known, options.seed as u32, draws)
        }
    };
    let places: Vec<Vec<usize>> = places;
    let mut is_target = vec![false; known.nnz()];
    for (row, places) in places.into_iter().enumerate() {
        let first = known.row_range(row).start;
        places.into_iter().for_each(|at| is_target[first + at] = true);
    }
    let pick = |wanted: bool| {
        known.filter_map(items.len(), |_, item, entry| Some(item).filter(|_| is_target[entry] == wanted))
    };
    HeldOut::new(data.users().select(users.iter().copied()), pick(false)?, pick(true)?)
}

fn n_targets(n_known: usize, options: &SplitOptions) -> usize {
    if n_known < options.min_known_items() { 0 } else { (options.held_out * n_known as f64) as usize }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_counted_as_in_the_protocol() {
        for (n_known, held_out, min_user_items, expected) in [
            (0, 0.2, 5, 0),
            (4, 0.9, 5, 0),
            (4, 0.9, 10, 0),
            (5, 0.1, 5, 0),
            (5, 0.2, 5, 1),
            (9, 0.2, 5, 1),
            (15, 0.2, 5, 3),
            (5, 0.999, 5, 4),
            (100, 0.29, 5, 28),
            // Users with fewer items are held out on purpose.
            (2, 0.5, 2, 1),
            (2, 0.5, 3, 0),
            (1, 0.999, 0, 0),
            (0, 0.999, 0, 0),
        ] {
            let options = SplitOptions { held_out, min_user_items, ..SplitOptions::default() };
            assert_eq!(n_targets(n_known, &options), expected, "{n_known} at {held_out}, {min_user_items}");
        }
    }
}
