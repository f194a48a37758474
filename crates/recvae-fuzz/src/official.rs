//! A folder in the official layout out of one input: its files one after the other, each behind a line `== NAME`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::targets::SHARED;

/// The names that may occur; others are not written.
const NAMES: [&str; 9] = [
    "unique_sid.txt",
    "unique_uid.txt",
    "split.json",
    "train.csv",
    "validation_tr.csv",
    "validation_te.csv",
    "test_tr.csv",
    "test_te.csv",
    "other",
];

/// What lies in the folder now, since most inputs change one file.
static THERE: LazyLock<Mutex<BTreeMap<&'static str, Vec<u8>>>> = LazyLock::new(Mutex::default);

/// Hands the folder to `work`.
pub(crate) fn with_folder(input: &[u8], work: impl FnOnce(&Path)) {
    let mut there = THERE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder: PathBuf = SHARED.path().join("split");
    let _ = fs::create_dir(&folder);
    let mut wanted = BTreeMap::new();
    let mut rest = input;
    while let Some(after) = rest.strip_prefix(b"== ") {
        let end = after.windows(4).position(|window| window == b"\n== ").map_or(after.len(), |end| end + 1);
        let (section, others) = after.split_at(end);
        rest = others;
        let name = section.split(|&byte| byte == b'\n').next().unwrap_or_default();
        if let Some(known) = NAMES.iter().find(|known| known.as_bytes() == name) {
            wanted.insert(*known, section.get(name.len() + 1..).unwrap_or_default().to_vec());
        }
    }
    for name in NAMES {
        let path = folder.join(name);
        match (wanted.get(name), there.get(name)) {
            (Some(content), old) if old != Some(content) => fs::write(path, content).expect("the file can be written"),
            (None, Some(_)) => fs::remove_file(path).expect("the file can be removed"),
            _ => {}
        }
    }
    *there = wanted;
    work(&folder);
}
