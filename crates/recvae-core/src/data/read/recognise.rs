//! By which names and headers published data are known.

use std::io::Read;
use std::path::Path;

use super::formats::{Format, LAYOUTS, Layout};
use super::input::{Input, decoded, unmarked};
use crate::base::cancel::Cancel;

/// The name without its folder and without the endings of compression.
pub(super) fn plain_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = [".gz", ".zst"].iter().find_map(|end| {
        name.len()
            .checked_sub(end.len())
            .filter(|&at| name.is_char_boundary(at) && name[at..].eq_ignore_ascii_case(end))
    });
    plain.map_or(&*name, |at| &name[..at]).to_owned()
}

impl Layout {
    /// Whether its data are published under the name of that file, compressed or not.
    #[must_use]
    pub fn is_published_as(&self, path: &Path) -> bool {
        let name = plain_name(path);
        self.files.iter().any(|pattern| is_name(&name, pattern))
    }
}

/// Whether data are published under that name.
fn is_name(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((start, end)) => {
            let digits = name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
            digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        }
    }
}

/// The data set's format of a file, where its name or its header leaves no doubt. Only a regular file is looked into.
pub(super) fn recognised(path: &Path) -> Option<Format> {
    let has_name = |layout: &&Layout| layout.is_known_by_name && layout.is_published_as(path);
    if let Some(layout) = LAYOUTS.iter().find(has_name) {
        return Some(layout.format);
    }
    if !plain_name(path).to_lowercase().ends_with(".csv") || !std::fs::metadata(path).is_ok_and(|file| file.is_file()) {
        return None;
    }
    let mut start = Vec::new();
    let input = unmarked(decoded(Input::open(path, &Cancel::default()).ok()?).ok()?).ok()?;
    input.take(LONGEST_HEADER).read_to_end(&mut start).ok()?;
    let line = start.split(|&byte| byte == b'\n' || byte == b'\r').next()?;
    LAYOUTS
        .iter()
        .find(|layout| layout.is_known_by_header && layout.line.as_bytes() == line)
        .map(|layout| layout.format)
}

/// Bytes in which a header that is known ends.
const LONGEST_HEADER: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_a_format_only_where_no_other_data_have_it() {
        for (name, format) in [
            ("u.data", Some(Format::MovieLens100K)),
            ("a/b/u.data.gz", Some(Format::MovieLens100K)),
            ("mv_0000001.txt", Some(Format::Netflix)),
            ("combined_data_4.txt.ZST", Some(Format::Netflix)),
            ("mv_.txt", None),
            ("mv_1a.txt", None),
            ("xmv_1.txt", None),
            ("ratings.dat", None),
            ("train.txt", None),
            ("u.data.txt", None),
        ] {
            assert_eq!(recognised(Path::new(name)), format, "{name}");
        }
    }
}
