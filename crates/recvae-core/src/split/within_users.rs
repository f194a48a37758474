//! Splits within users: users are trained on with a part of their items, and asked for the others.
//!
//! | kind | test | validation | training |
//! | --- | --- | --- | --- |
//! | time | what came at `testSince` or later, or the newest share `test` | the same before it | the rest |
//! | last | the `last` newest items of each user | as many before them | the rest |
//! | share | int(heldOut * n) random ones of a user's n items | int(heldOut * m) of the m others | the rest |
//! | files, column | what others say | what others say; if that is nothing, int(heldOut * m) random ones of a user's m training items | the rest |
//!
//! - The items are those of the training part. What is new afterwards cannot be known to any model: such items are left
//!   out and counted, and so are users of whom nothing came before.
//! - What a model is shown of a user is all that came before: for validation the training items, for test those and the
//!   validation items. Models fold users in, so known users are scored by their history as new ones are.
//! - A user's items of the same time stand in the order of the items. Interactions of the time at which a share ends
//!   all belong to the newer part.
//! - By kinds last and share, users with fewer than `minUserItems` items, or so few that none would be left to train
//!   on, are not held out. By kind time nobody is too short. By kinds files and column nobody is too short for test,
//!   and by `minUserItems` training items for validation, where it is drawn.
//!
//! Source of the protocols: Z. Meng et al., Exploring Data Splitting Strategies for the Evaluation of Recommendation
//! Models, RecSys 2020, arXiv 2007.13237 (temporal global split, leave one last item, random split by user).

use crate::base::date::{Moment, NO_SECONDS};
use crate::base::error::{Error, Result};
use crate::base::random::Stream;
use crate::data::interactions::{Interactions, select_columns};
use crate::data::left_out::{LeftOut, are, counted};
use crate::math::csr::Csr;
use crate::split::options::{ShortUsers, SplitKind, SplitOptions};
use crate::split::parts::{HeldOut, Split};

/// Stream of a user's items, once the user's index is added.
const ITEM_STREAM: u64 = u64::from_be_bytes(*b"swit\0\0\0\0");

/// Where an interaction goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Train,
    Validation,
    Test,
    /// Its user is dropped.
    None,
}

/// Splits by a kind that holds no user out whole. The options were checked.
pub(super) fn split(data: &Interactions, options: &SplitOptions) -> Result<Split> {
    let (parts, short) = match options.kind {
        SplitKind::Time => (by_time(data, options)?, vec![]),
        kind if kind.is_given() => (as_given(data, options)?, vec![]),
        _ => by_user(data, options)?,
    };
    let rows = |wanted: &[Part]| {
        let chosen = |_, item, entry: usize| Some(item).filter(|_| wanted.contains(&parts[entry]));
        data.matrix().filter_map(data.n_items(), chosen)
    };
    let all = rows(&[Part::Train])?;
    let items: Vec<usize> = (0..).zip(all.column_counts()).filter(|&(_, n)| n > 0).map(|(item, _)| item).collect();
    let users: Vec<usize> = (0..data.n_users()).filter(|&user| !all.row(user).is_empty()).collect();
    if items.is_empty() {
        return Err(Error::invalid_data(format!(
            "nothing is left to train on{}; allowed: at least one interaction",
            range(data)
        )));
    }
    let train = Interactions::new(
        data.users().select(users.iter().copied()),
        data.items().select(items.iter().copied()),
        select_columns(&all.select_rows(&users), &items)?,
    )?;
    let mut lost = Lost::default();
    let mut hold_out = |before: &[Part], part| {
        let [input, target] = [rows(before)?, rows(&[part])?];
        hold_out(data, [&input, &target], &items, &mut lost)
    };
    let validation = hold_out(&[Part::Train], Part::Validation)?;
    let test = hold_out(&[Part::Train, Part::Validation], Part::Test)?;
    for (name, part, asked) in [("validation", &validation, options.validation), ("test", &test, options.test)] {
        if part.n_users() == 0 && asked > 0.0 {
            let text = format!(
                "no {name} user is left with something to find{}; allowed: at least one, or {name} = 0 for none",
                range(data)
            );
            return Err(Error::invalid_data(text));
        }
    }
    lost.items = (data.n_items() - items.len()) as u64;
    let left_out = short_users(data, &short, options).into_iter().chain(lost.left_out()).collect();
    Split::new(train, validation, test, left_out)
}

/// By the clock, for all users alike.
fn by_time(data: &Interactions, options: &SplitOptions) -> Result<Vec<Part>> {
    let times = times(data, options)?;
    let mut sorted = times.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let newest = |share: f64| {
        let n = (share * sorted.len() as f64).round() as usize;
        if n == 0 { f64::INFINITY } else { sorted[sorted.len() - n.min(sorted.len())] }
    };
    let given = |name: &str, moment: &Option<Moment>| match moment {
        Some(Moment::Date(date)) if sorted.last().is_some_and(|last| *last >= NO_SECONDS) => {
            let allowed =
                format!("a number: the times go up to {}, and do not count seconds", sorted[sorted.len() - 1]);
            Err(Error::invalid_argument(name, format!("'{date}'"), allowed))
        }
        moment => Ok(moment.as_ref().map(|moment| moment.seconds(1.0))),
    };
    let test = given("testSince", &options.test_since)?.unwrap_or_else(|| newest(options.test));
    let share = match options.validation {
        0.0 => 0.0,
        // Of a date nobody knows the share: that of all that came before it is added.
        validation => validation + sorted.iter().filter(|&&time| time >= test).count() as f64 / sorted.len() as f64,
    };
    let validation = given("validationSince", &options.validation_since)?.unwrap_or_else(|| newest(share)).min(test);
    let validation = if options.validation == 0.0 { test } else { validation };
    if options.validation_since.is_some() && options.validation > 0.0 && validation >= test {
        let got = options.validation_since.as_ref().map(ToString::to_string).unwrap_or_default();
        return Err(Error::invalid_argument("validationSince", got, "a time before the test period"));
    }
    let part = |&time: &f64| match time {
        _ if time >= test => {
            if options.test == 0.0 {
                Part::None
            } else {
                Part::Test
            }
        }
        _ if time >= validation => Part::Validation,
        _ => Part::Train,
    };
    Ok(times.iter().map(part).collect())
}

/// As others have divided them.
fn as_given(data: &Interactions, options: &SplitOptions) -> Result<Vec<Part>> {
    let given = data.parts().ok_or_else(|| {
        let allowed = match options.kind {
            SplitKind::Files => "only for data of several files: train and test, and validation if there is such",
            _ => "only for data with parts: the option part names their column",
        };
        Error::invalid_argument("kind", format!("'{}'", options.kind.word()), allowed)
    })?;
    let part = |&part: &f64| match part {
        1.0 if options.validation > 0.0 => Part::Validation,
        2.0 if options.test > 0.0 => Part::Test,
        1.0 | 2.0 => Part::None,
        _ => Part::Train,
    };
    let mut parts: Vec<Part> = given.iter().map(part).collect();
    if options.validation == 0.0 || given.contains(&1.0) {
        return Ok(parts);
    }
    for user in 0..data.n_users() {
        let mut known: Vec<usize> =
            data.matrix().row_range(user).filter(|&entry| parts[entry] == Part::Train).collect();
        if known.len() < options.min_user_items.max(2) {
            continue;
        }
        Stream::new(options.seed, ITEM_STREAM + user as u64).shuffle(&mut known);
        let n = (options.held_out * known.len() as f64) as usize;
        known[..n].iter().for_each(|&entry| parts[entry] = Part::Validation);
    }
    Ok(parts)
}

/// For each user alone, with the users who have too few items.
fn by_user(data: &Interactions, options: &SplitOptions) -> Result<(Vec<Part>, Vec<usize>)> {
    let times = if options.kind == SplitKind::Last { Some(times(data, options)?) } else { None };
    let (mut parts, mut short) = (vec![Part::Train; data.n_interactions()], vec![]);
    for user in 0..data.n_users() {
        let range = data.matrix().row_range(user);
        let (start, n) = (range.start, range.len());
        let [n_test, n_validation] = sizes(n, options);
        let is_too_short = asks(options) && (n_test + n_validation == 0 || n_test + n_validation >= n);
        if n < options.min_user_items || is_too_short {
            short.push(user);
            if options.short_users == ShortUsers::Drop {
                parts[range].fill(Part::None);
            }
            continue;
        }
        let mut order: Vec<usize> = (0..n).collect();
        match times {
            Some(times) => order.sort_by(|&a, &b| times[start + b].total_cmp(&times[start + a]).then(b.cmp(&a))),
            // A stream per user: the draw does not depend on who else is there.
            None => Stream::new(options.seed, ITEM_STREAM + user as u64).shuffle(&mut order),
        }
        for &at in &order[..n_test] {
            parts[start + at] = Part::Test;
        }
        for &at in &order[n_test..n_test + n_validation] {
            parts[start + at] = Part::Validation;
        }
    }
    Ok((parts, short))
}

/// Whether anybody is to be held out.
fn asks(options: &SplitOptions) -> bool {
    options.test > 0.0 || options.validation > 0.0
}

/// How many of a user's n items are for test and for validation.
fn sizes(n: usize, options: &SplitOptions) -> [usize; 2] {
    let of = |left: usize, asked: f64| match options.kind {
        _ if asked == 0.0 => 0,
        SplitKind::Last => options.last,
        _ => (options.held_out * left as f64) as usize,
    };
    let n_test = of(n, options.test);
    [n_test, of(n.saturating_sub(n_test), options.validation)]
}

/// When the interactions were.
fn times<'a>(data: &'a Interactions, options: &SplitOptions) -> Result<&'a [f64]> {
    data.times().ok_or_else(|| {
        let allowed = "only for data with times: the option time names their column, and batches have timestamps";
        Error::invalid_argument("kind", format!("'{}'", options.kind.word()), allowed)
    })
}

/// From when to when the data are, for messages.
fn range(data: &Interactions) -> String {
    let times = data.times().unwrap_or_default();
    let [first, last] = [f64::min, f64::max].map(|of| times.iter().copied().reduce(of));
    first.zip(last).map_or_else(String::new, |(first, last)| format!(" (the times run from {first} to {last})"))
}

/// What cannot be asked for.
#[derive(Default)]
struct Lost {
    /// Items that are not trained on, and the interactions with them.
    items: u64,
    of_items: u64,
    /// Users of whom nothing came before, and their other interactions.
    users: u64,
    of_users: u64,
}

impl Lost {
    fn left_out(self) -> impl Iterator<Item = LeftOut> {
        let Self { items, of_items, users, of_users } = self;
        let new_items = (items > 0).then(|| LeftOut {
            reason: "newItems",
            items,
            interactions: of_items,
            text: format!(
                "{} left out, with {} that would have had to be found, for being in no training interaction",
                are(&[(items, "item")]),
                counted(&[(of_items, "interaction")])
            ),
            ..LeftOut::default()
        });
        let new_users = (users > 0).then(|| LeftOut {
            reason: "newUsers",
            users,
            interactions: of_users,
            text: format!(
                "{} left out, with {}, for having no known item before the validation or the test part",
                are(&[(users, "user")]),
                counted(&[(of_users, "interaction")])
            ),
            ..LeftOut::default()
        });
        new_items.into_iter().chain(new_users)
    }
}

/// The users who have something to find among the items, and something to be known by.
fn hold_out(data: &Interactions, [input, target]: [&Csr; 2], items: &[usize], lost: &mut Lost) -> Result<HeldOut> {
    let [known_input, known_target] = [select_columns(input, items)?, select_columns(target, items)?];
    lost.of_items += (target.nnz() - known_target.nnz()) as u64;
    let has_target = |&user: &usize| !known_target.row(user).is_empty();
    let (users, new): (Vec<usize>, Vec<usize>) =
        (0..data.n_users()).filter(has_target).partition(|&user| !known_input.row(user).is_empty());
    lost.users += new.len() as u64;
    lost.of_users += new.iter().map(|&user| known_target.row(user).len() as u64).sum::<u64>();
    HeldOut::new(
        data.users().select(users.iter().copied()),
        known_input.select_rows(&users),
        known_target.select_rows(&users),
    )
}

/// Users who have too few items to be held out.
fn short_users(data: &Interactions, short: &[usize], options: &SplitOptions) -> Option<LeftOut> {
    let users = short.len() as u64;
    let why = format!(
        "for having fewer than {} items (minUserItems), or too few to be trained on besides",
        options.min_user_items
    );
    let (reason, interactions, text) = match options.short_users {
        _ if users == 0 => return None,
        ShortUsers::Drop => {
            let n: usize = short.iter().map(|&user| data.matrix().row(user).len()).sum();
            let with = counted(&[(n as u64, "interaction")]);
            (
                "shortUsers",
                n as u64,
                format!("{} left out, with {with}, {why} (shortUsers is drop)", are(&[(users, "user")])),
            )
        }
        ShortUsers::Train if !asks(options) => return None,
        ShortUsers::Train => {
            ("neverHeldOut", 0, format!("{} trained on but never held out, {why}", are(&[(users, "user")])))
        }
    };
    Some(LeftOut { reason, users, interactions, text, ..LeftOut::default() })
}
