//! Data sets that come with the library, for a first look without a download.

use std::path::Path;

use crate::base::error::{Error, Result};
use crate::data::interactions::{Interactions, Thresholds};
use crate::data::read::{Format, ReadOptions, read};

/// Which Debian package needs which other package at run time: 11,663 packages ("users") x 4,456 dependencies
/// ("items"), 138,406 pairs, density 0.27 %; sparse and long-tailed.
///
/// Origin: the `Packages` index of Debian 12 (bookworm), main, amd64. Per source package, the union over its binary
/// packages of the names in Depends, Pre-Depends and Recommends (first alternative, without version), its own binaries
/// left out; then thinned until each package has 5 or more dependencies and each dependency 5 or more packages.
/// Licence: these are facts about packages, free to use.
///
/// # Errors
/// None in practice: the data is part of the library.
pub fn debian() -> Result<Interactions> {
    const DATA: &[u8] = include_bytes!("../../data/debian-runtime-dependencies.csv.gz");
    let options = ReadOptions { user: "package".into(), item: "dependency".into(), ..ReadOptions::default() };
    read(Path::new("debian"), DATA, Format::Csv, &options, &Thresholds::default())
}

/// Names of the built-in data sets.
pub const DATASETS: [&str; 1] = ["debian"];

/// A built-in data set by its name, one of [`DATASETS`]: `debian` ([`debian`]).
///
/// # Errors
/// `INVALID_ARGUMENT` lists the known names if this is none of them.
pub fn dataset(name: &str) -> Result<Interactions> {
    match name {
        "debian" => debian(),
        _ => Err(Error::invalid_argument("data set", format!("'{name}'"), DATASETS.join(", "))),
    }
}
