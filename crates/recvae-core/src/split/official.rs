//! Splits as folders in the layout of the Mult-VAE and RecVAE authors' scripts, so that both sides can use one split.
//!
//! | file | holds |
//! | --- | --- |
//! | `unique_sid.txt` | item ids, one per line; the line, counted from 0, is the item's index |
//! | `unique_uid.txt` | user ids likewise: training, then validation, then test users; may be missing when read |
//! | `train.csv` | header `uid,sid`, then one pair of indices per interaction |
//! | `validation_tr.csv`, `validation_te.csv` | the same for input and target of the validation users |
//! | `test_tr.csv`, `test_te.csv` | the same for the test users |
//! | `split.json` | numbers of users of the three parts, and whether they are the same people; ours, optional, unknown to the scripts |
//!
//! The rows of a part run from its smallest to its largest uid in either file, as in the authors' loader: a user who
//! occurs in one of the two files only, or in neither, still is a row. `split.json` is there for the one case in which
//! this is not enough, an empty row at the edge of a part; and for splits within users, whose held-out users have their
//! ids in `unique_uid.txt` once more, each time with an index of its own.
//!
//! Source: `preprocessing.py` and `utils.py` of the official RecVAE (Shenbin et al. 2020, arXiv 1912.11160), after the
//! notebook of Mult-VAE (Liang et al. 2018, arXiv 1802.05814).

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::base::atomic_file::{Temporary, folder_of, sync_folder};
use crate::base::error::{Error, Result};
use crate::base::regular_file::{open_regular, read_regular};
use crate::data::ids::Ids;
use crate::data::interactions::Interactions;
use crate::data::left_out::LeftOut;
use crate::data::read::input::unmarked;
use crate::data::read::{Dialect, Escape, LONGEST_ID, Rows, bad, columns};
use crate::math::csr::Csr;
use crate::split::parts::{HeldOut, Split};
use crate::split::strong::not_scored;
use crate::split::training_record::shares_users;

const ITEMS: &str = "unique_sid.txt";
const USERS: &str = "unique_uid.txt";
const SIZES: &str = "split.json";
const TRAIN: &str = "train.csv";
const VALIDATION: [&str; 2] = ["validation_tr.csv", "validation_te.csv"];
const TEST: [&str; 2] = ["test_tr.csv", "test_te.csv"];

/// Names of the files of a split.
pub const OFFICIAL_FILES: [&str; 8] = [ITEMS, USERS, SIZES, TRAIN, VALIDATION[0], VALIDATION[1], TEST[0], TEST[1]];

/// Pairs of user and item index.
type Pairs = Vec<(u32, u32)>;

/// Whether a folder holds the files that [`read_official`] needs.
#[must_use]
pub fn is_official(dir: impl AsRef<Path>) -> bool {
    let dir = dir.as_ref();
    [ITEMS, TRAIN].iter().chain(&VALIDATION).chain(&TEST).all(|name| dir.join(name).is_file())
}

/// Reads a split out of a folder. Without `unique_uid.txt`, users are called by their index.
///
/// # Errors
/// `IO` names a file that is missing or cannot be read. `INVALID_DATA`, with file, line and column where there are
/// such, if an id is empty or repeated, an index is out of range, a held-out user was trained on, or a user has an item
/// in both files of a part.
pub fn read_official(dir: impl AsRef<Path>) -> Result<Split> {
    let dir = dir.as_ref();
    let items = read_ids(&dir.join(ITEMS))?;
    let sizes = match dir.join(SIZES) {
        path if path.exists() => Some(read_sizes(&path)?),
        _ => None,
    };
    let is_within_users = sizes.is_some_and(|(_, is_within_users)| is_within_users);
    let sizes = sizes.map(|(sizes, _)| sizes);
    let known_users = match dir.join(USERS) {
        path if path.exists() => Some(read_lines(&path, !is_within_users)?),
        _ => None,
    };
    // Without a list of users, the files of a sane split still bound their number: most users occur in some file.
    let n_users = match (&known_users, sizes) {
        (Some(users), _) => users.len() as u64,
        (None, Some([train, validation, test])) => train + validation + test,
        (None, None) => u64::from(u32::MAX),
    };
    if let (Some(users), Some(sizes)) = (&known_users, sizes)
        && users.len() as u64 != sizes.iter().sum::<u64>()
    {
        let message = format!("{sizes:?} users do not add up to the {} lines of {USERS}", users.len());
        return Err(bad(&dir.join(SIZES), None, None, message));
    }
    let pairs = |name: &str, uids: Range<u64>| read_pairs(&dir.join(name), uids, items.len());

    let train = pairs(TRAIN, 0..sizes.map_or(n_users, |[train, ..]| train).min(n_users))?;
    let Some(last) = train.iter().map(|pair| pair.0).max() else {
        return Err(bad(&dir.join(TRAIN), None, None, "there are no rows; allowed: one per interaction"));
    };
    let n_train = sizes.map_or(u64::from(last) + 1, |[train, ..]| train);
    let ranges = sizes
        .map(|[train, validation, test]| [train..train + validation, train + validation..train + validation + test]);
    let held_out = |names: [&str; 2], range: Option<Range<u64>>| -> Result<([Pairs; 2], Range<u64>)> {
        let allowed = range.clone().unwrap_or(n_train..n_users.max(n_train));
        let both = [pairs(names[0], allowed.clone())?, pairs(names[1], allowed)?];
        let uids = || both.iter().flatten().map(|pair| u64::from(pair.0));
        let seen = uids().min().unwrap_or(n_train)..uids().max().map_or(n_train, |last| last + 1);
        Ok((both, range.unwrap_or(seen)))
    };
    let [first, second] = ranges.map_or([None, None], |[first, second]| [Some(first), Some(second)]);
    let (validation, validation_uids) = held_out(VALIDATION, first)?;
    let (test, test_uids) = held_out(TEST, second)?;
    if validation_uids.start.max(test_uids.start) < validation_uids.end.min(test_uids.end) {
        return Err(bad(
            dir,
            None,
            None,
            format!(
                "validation users {} to {} and test users {} to {} overlap; allowed: no user in both",
                validation_uids.start,
                validation_uids.end - 1,
                test_uids.start,
                test_uids.end - 1
            ),
        ));
    }

    let users = match known_users {
        Some(users) => users,
        None => {
            let end = n_train.max(validation_uids.end).max(test_uids.end);
            let n_pairs = [&train].into_iter().chain(&validation).chain(&test).map(Vec::len).sum::<usize>() as u64;
            if end > 2 * n_pairs + 1000 {
                return Err(bad(
                    dir,
                    None,
                    None,
                    format!(
                        "uid {} occurs, but there are {n_pairs} pairs in all; allowed: uids counted from 0, or a {USERS}",
                        end - 1
                    ),
                ));
            }
            (0..end).map(|uid| uid.to_string()).collect::<Vec<_>>()
        }
    };
    let name = |uids: &Range<u64>| {
        let users = &users[uids.start as usize..uids.end as usize];
        let mut ids = Ids::default();
        match (0u32..).zip(users).find(|(at, user)| ids.insert(user) != *at) {
            None => Ok(ids),
            Some((_, user)) => {
                let message = format!("user '{user}' occurs twice in a part of the split; allowed: once");
                Err(bad(&dir.join(USERS), None, None, message))
            }
        }
    };
    let matrix = |pairs: &Pairs, uids: &Range<u64>| {
        let rows: Pairs = pairs.iter().map(|&(uid, sid)| (uid - uids.start as u32, sid)).collect();
        Csr::from_pairs((uids.end - uids.start) as usize, items.len(), &rows)
    };
    let part = |names: [&str; 2], [input, target]: [Pairs; 2], uids: Range<u64>| {
        HeldOut::new(name(&uids)?, matrix(&input, &uids), matrix(&target, &uids)).map_err(|error| match error {
            Error::InvalidData { message, .. } => {
                bad(&dir.join(names[1]), None, None, format!("{message} ({})", names[0]))
            }
            other => other,
        })
    };
    let n_rows = [&train].into_iter().chain(&validation).chain(&test).map(Vec::len).sum::<usize>();
    let train = Interactions::new(name(&(0..n_train))?, items.clone(), matrix(&train, &(0..n_train)))?;
    let (validation, test) = (part(VALIDATION, validation, validation_uids)?, part(TEST, test, test_uids)?);
    let n_kept = train.n_interactions() + validation.n_interactions() + test.n_interactions();
    let repeated = LeftOut::rows("duplicates", (n_rows - n_kept) as u64, "repeating an interaction");
    let left_out = repeated.into_iter().chain(not_scored([&validation, &test], "")).collect();
    Split::new(train, validation, test, left_out)
}

/// Writes a split as a new folder: whole, or not at all.
///
/// # Errors
/// `INVALID_ARGUMENT` if `dir` exists and is not an empty folder. `INVALID_DATA` if an id is empty, holds a line break
/// or belongs to two parts, or the parts differ in their number of items. `IO` if the operating system refuses.
pub fn write_official(split: &Split, dir: impl AsRef<Path>) -> Result<()> {
    let dir = dir.as_ref();
    let target = new_folder(dir)?;
    let Split { train, validation, test, left_out: _ } = split;
    for part in [validation, test] {
        if part.n_items() != train.n_items() {
            return Err(Error::invalid_data(format!(
                "a held-out part has {} items and the training part {}; allowed: the same",
                part.n_items(),
                train.n_items()
            )));
        }
    }
    let parts = [train.users(), validation.users(), test.users()];
    // Where a split is within users, who is held out is trained on, too.
    let is_within_users = [validation, test].into_iter().any(|part| shares_users(train, part));
    let users: Ids = parts.into_iter().flat_map(Ids::iter).collect();
    if !is_within_users && users.len() != parts.into_iter().map(Ids::len).sum::<usize>() {
        return Err(Error::invalid_data("a user belongs to two parts of the split; allowed: one"));
    }

    let parent = folder_of(&target);
    fs::create_dir_all(parent).map_err(|e| Error::io("create", parent, e))?;
    let temporary = Temporary::beside(&target, |path| fs::create_dir(path)).map_err(|e| Error::io("write", dir, e))?;
    let to = Destination { temporary: temporary.path(), dir };
    let mut sizes = json!({"train": train.n_users(), "validation": validation.n_users(), "test": test.n_users()});
    if is_within_users {
        sizes["withinUsers"] = true.into();
    }
    to.write_lines(SIZES, [sizes.to_string()])?;
    to.write_ids(ITEMS, [train.items()])?;
    to.write_ids(USERS, parts)?;
    to.write_pairs(TRAIN, train.matrix(), 0)?;
    let first_test = train.n_users() + validation.n_users();
    for (names, part, first) in [(VALIDATION, validation, train.n_users()), (TEST, test, first_test)] {
        to.write_pairs(names[0], part.input(), first)?;
        to.write_pairs(names[1], part.target(), first)?;
    }
    sync_folder(temporary.path());
    if target.exists() {
        // Not every system renames onto a folder, be it empty.
        fs::remove_dir(&target).map_err(|e| Error::io("replace", dir, e))?;
    }
    temporary.rename(&target).map_err(|e| Error::io("create", dir, e))
}

/// Fails as [`write_official`] would for that folder whatever the split, so that long work is not done in vain.
///
/// # Errors
/// `INVALID_ARGUMENT` if `dir` exists and is not an empty folder.
pub fn check_new_folder(dir: impl AsRef<Path>) -> Result<()> {
    new_folder(dir.as_ref()).map(drop)
}

/// Where a new folder goes: a link to an empty one is followed, and stays.
fn new_folder(dir: &Path) -> Result<PathBuf> {
    let refused = |allowed: &str| Err(Error::invalid_argument("folder", format!("'{}'", dir.display()), allowed));
    let exists = fs::symlink_metadata(dir).is_ok();
    if exists {
        let empty = fs::read_dir(dir).map(|mut entries| entries.next().is_none());
        if !empty.unwrap_or(false) {
            return refused("a new or empty folder");
        }
    }
    if dir.file_name().is_none() {
        return refused("a path that ends in the name of a folder");
    }
    if !exists {
        return Ok(dir.to_owned());
    }
    fs::canonicalize(dir).map_err(|e| Error::io("write", dir, e))
}

/// One id per line, each of them once.
pub(crate) fn read_ids(path: &Path) -> Result<Ids> {
    let mut ids = Ids::new();
    for_each_id(path, |line| {
        let before = ids.len();
        if ids.insert(line) as usize == before { Ok(()) } else { Err(twice(line)) }
    })?;
    Ok(ids)
}

/// One id per line, in their order; each of them once if that is asked.
fn read_lines(path: &Path, are_unique: bool) -> Result<Vec<String>> {
    let (mut ids, mut lines) = (Ids::new(), vec![]);
    for_each_id(path, |line| {
        if are_unique && ids.insert(line) as usize != lines.len() {
            return Err(twice(line));
        }
        lines.push(line.to_owned());
        Ok(())
    })?;
    Ok(lines)
}

fn twice(id: &str) -> String {
    format!("'{id}' occurs twice; allowed: once")
}

/// Hands out the ids of a file, one per line; `each` may say what is wrong with one.
fn for_each_id(path: &Path, mut each: impl FnMut(&str) -> Result<(), String>) -> Result<()> {
    let bytes = read_regular(path).map_err(|e| Error::io("read", path, e))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
        bad(path, Some(line), None, "the line is not UTF-8; allowed: one id per line")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    for (number, line) in (1u64..).zip(text.lines()) {
        let fail = |message: String| bad(path, Some(number), None, message);
        if line.is_empty() {
            return Err(fail("the line is empty; allowed: one id per line".into()));
        }
        if line.len() > LONGEST_ID {
            return Err(fail(format!("the line has {} bytes; allowed: at most {LONGEST_ID}", line.len())));
        }
        each(line).map_err(fail)?;
    }
    Ok(())
}

/// The pairs of a file, after a check of both indices.
fn read_pairs(path: &Path, uids: Range<u64>, n_items: usize) -> Result<Pairs> {
    let refused = |e| Error::io("read", path, e);
    let file = unmarked(BufReader::new(open_regular(path).map_err(refused)?)).map_err(refused)?;
    let mut rows = Rows::new(path, file, Dialect::csv(Escape::Quote), true);
    let names = ["uid", "sid"];
    let columns = columns(path, &mut rows, &names.map(|name| ("", name)))?;
    let ranges = [uids, 0..n_items as u64];
    let mut pairs = Pairs::new();
    while rows.next()? {
        let mut pair = [0; 2];
        for side in [0, 1] {
            let (field, range) = (rows.field(columns[side]), &ranges[side]);
            let number = std::str::from_utf8(field).ok().and_then(|field| field.parse::<u32>().ok());
            pair[side] = number.filter(|&number| range.contains(&u64::from(number))).ok_or_else(|| {
                let got = String::from_utf8_lossy(&field[..field.len().min(80)]);
                let message = format!("{} is '{got}'; allowed: {} to below {}", names[side], range.start, range.end);
                rows.bad(Some(columns[side]), message)
            })?;
        }
        pairs.push((pair[0], pair[1]));
    }
    Ok(pairs)
}

/// Numbers of training, validation and test users, and whether they may be the same people.
fn read_sizes(path: &Path) -> Result<([u64; 3], bool)> {
    let bytes = read_regular(path).map_err(|e| Error::io("read", path, e))?;
    let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let size = |name: &str| value[name].as_u64().filter(|&size| size < 1 << 30);
    match [size("train"), size("validation"), size("test")] {
        [Some(train), Some(validation), Some(test)] => {
            Ok(([train, validation, test], value["withinUsers"].as_bool() == Some(true)))
        }
        _ => Err(bad(path, None, None, "allowed: an object with the numbers of users train, validation and test")),
    }
}

/// Fails for an id that is no line of a file.
pub(crate) fn check_lines<'a>(mut ids: impl Iterator<Item = &'a str>, name: &dyn Display) -> Result<()> {
    let is_no_line = |id: &str| id.is_empty() || id.contains(['\n', '\r']);
    // Whoever reads the file takes a byte order mark off its first line.
    let first = ids.next().filter(|id| is_no_line(id) || id.starts_with('\u{feff}'));
    match first.or_else(|| ids.find(|id| is_no_line(id))) {
        None => Ok(()),
        Some(id) => Err(Error::invalid_data(format!(
            "id {id:?} does not fit into a line of {name}; allowed: ids without line breaks, and none with a byte order \
             mark (U+FEFF) first"
        ))),
    }
}

/// The folder that is written, under its temporary name and under the one that it will have, which errors name.
struct Destination<'a> {
    temporary: &'a Path,
    dir: &'a Path,
}

impl Destination<'_> {
    fn write_ids<const N: usize>(&self, name: &str, ids: [&Ids; N]) -> Result<()> {
        let ids = || ids.into_iter().flat_map(Ids::iter);
        check_lines(ids(), &name)?;
        self.write_lines(name, ids())
    }

    fn write_pairs(&self, name: &str, matrix: &Csr, first_uid: usize) -> Result<()> {
        let rows = matrix.rows().enumerate();
        let pairs = rows.flat_map(|(row, items)| items.iter().map(move |sid| format!("{},{sid}", first_uid + row)));
        self.write_lines(name, ["uid,sid".to_owned()].into_iter().chain(pairs))
    }

    fn write_lines<S: AsRef<str>>(&self, name: &str, lines: impl IntoIterator<Item = S>) -> Result<()> {
        let write = || {
            let mut file = BufWriter::with_capacity(1 << 18, File::create(self.temporary.join(name))?);
            for line in lines {
                file.write_all(line.as_ref().as_bytes())?;
                file.write_all(b"\n")?;
            }
            file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()
        };
        write().map_err(|e| Error::io("write", self.dir.join(name), e))
    }
}
