//! The sources are rooms with one direction: a file uses files of its own room and of rooms above it in `lib.rs`, and
//! files of a room form no circle. Tests may use everything.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What a file uses: names such as `data/ids`; a room alone where what it gives further is used.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// The rooms in their order.
fn rooms(sources: &Path) -> Vec<String> {
    let lib = fs::read_to_string(sources.join("lib.rs")).unwrap();
    let names = lib.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    names.filter(|name| sources.join(name).is_dir()).map(str::to_owned).collect()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// A source without its comments and tests.
fn shipped(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The words that follow `start` in a text, as far as `::` joins them.
fn paths<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = Vec<&'a str>> {
    text.match_indices(start).map(move |(at, _)| {
        let rest = &text[at + start.len()..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
        rest[..end].split("::").filter(|word| !word.is_empty()).collect()
    })
}

/// What each file of the rooms uses; a file and the folder of its name are one.
fn arrows(sources: &Path, rooms: &[String]) -> Arrows {
    let mut arrows = Arrows::new();
    for room in rooms {
        let mut files = vec![];
        rust_files(&sources.join(room), &mut files);
        for file in files {
            let within = file.strip_prefix(sources).unwrap().with_extension("");
            let words: Vec<_> = within.iter().map(|word| word.to_str().unwrap()).collect();
            if words.iter().any(|word| word.ends_with("tests")) {
                continue;
            }
            let name = words[..2].join("/");
            let target = |room: &str, file: Option<&&str>| match file {
                Some(file) if sources.join(room).join(format!("{file}.rs")).exists() => format!("{room}/{file}"),
                _ => room.to_owned(),
            };
            let text = shipped(&fs::read_to_string(&file).unwrap());
            let absolute = paths(&text, "crate::")
                .filter(|path| path.first().is_some_and(|first| rooms.iter().any(|r| r == first)));
            let mut used: BTreeSet<String> = absolute.map(|path| target(path[0], path.get(1))).collect();
            // In a file that lies in the room itself, `super` is the room.
            if words.len() == 2 {
                used.extend(paths(&text, "super::").map(|path| target(room, path.first())).filter(|used| used != room));
            }
            used.remove(&name);
            arrows.entry(name).or_default().extend(used);
        }
    }
    arrows
}

fn room_of(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

/// The arrows that lead to a room below, each with both ends.
fn upwards(arrows: &Arrows, rooms: &[String]) -> Vec<String> {
    let place = |name: &str| rooms.iter().position(|room| room == room_of(name));
    let wrong = arrows.iter().flat_map(|(from, used)| {
        used.iter().filter(move |to| place(to) > place(from)).map(move |to| format!("{from} uses {to}"))
    });
    wrong.collect()
}

/// The files that use themselves by way of others, each with the way.
fn circles(arrows: &Arrows) -> Vec<String> {
    fn way(arrows: &Arrows, from: &str, goal: &str, seen: &mut BTreeSet<String>) -> Option<String> {
        for next in arrows.get(from)? {
            if next == goal {
                return Some(format!("{from} uses {goal}"));
            }
            if seen.insert(next.clone())
                && let Some(rest) = way(arrows, next, goal, seen)
            {
                return Some(format!("{from} uses {next}, {rest}"));
            }
        }
        None
    }
    arrows.keys().filter_map(|file| way(arrows, file, file, &mut BTreeSet::new())).collect()
}

#[test]
fn rooms_have_one_direction_and_files_no_circle() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rooms = rooms(&sources);
    let arrows = arrows(&sources, &rooms);
    assert!(rooms.len() >= 10 && arrows.len() > 60, "{rooms:?}: {} files", arrows.len());
    assert_eq!(upwards(&arrows, &rooms), Vec::<String>::new());
    assert_eq!(circles(&arrows), Vec::<String>::new());
    let between: BTreeSet<_> = arrows
        .iter()
        .flat_map(|(from, used)| used.iter().map(move |to| (room_of(from), room_of(to))))
        .filter(|(from, to)| from != to)
        .collect();
    let all: usize = arrows.values().map(BTreeSet::len).sum();
    println!("{} rooms, {} files, {all} arrows, {} between rooms", rooms.len(), arrows.len(), between.len());
}

#[test]
fn wrong_arrows_are_found_and_both_ends_named() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("lib.rs", "mod low;\n\nmod high;\nmod alone;\n");
    write("low/a.rs", "use crate::high::b::B; // use crate::high::c::C;\n");
    write("low/d.rs", "use super::e::E;\n#[cfg(test)]\nmod tests {\n    use crate::high::c::C;\n}\n");
    write("low/e.rs", "use crate::low::{f, f::F};\nuse crate::low::f::G;\n");
    write("low/f/inner.rs", "use crate::low::d::D;\n");
    write("low/f.rs", "");
    write("high/b.rs", "use crate::low::a::A;\nuse crate::alone::Other;\n");
    write("high/c.rs", "");
    let rooms = rooms(folder.path());
    assert_eq!(rooms, ["low", "high"]);
    let arrows = arrows(folder.path(), &rooms);
    assert_eq!(upwards(&arrows, &rooms), ["low/a uses high/b"]);
    let circles = circles(&arrows);
    assert_eq!(circles.len(), 5, "{circles:?}");
    assert!(circles.contains(&"low/d uses low/e, low/e uses low/f, low/f uses low/d".to_owned()), "{circles:?}");
}
