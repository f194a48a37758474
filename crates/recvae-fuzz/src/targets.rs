//! What is tried, and what must hold.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use recvae_core::{
    ArrowReader, Cancel, Csr, Error, FitRun, Ids, Interactions, ModelKind, ReadOptions, RecommendOptions, Recommender,
    Result, Threads, Thresholds, import_weights, read_interactions, read_official, unzip,
};
use serde_json::json;
use std::io::Write;
use tempfile::TempDir;

use crate::alloc::{peak_of, unbounded};
use crate::official::with_folder;
use crate::{LONGEST, LONGEST_ARROW, LONGEST_WEIGHTS};

/// What inputs are made of, for the mutations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
    Arrow,
    Model,
    /// Weights of other programs, and archives.
    Weights,
}

/// A decoder under trial.
pub struct Target {
    /// Name, on the command line and in reports.
    pub name: &'static str,
    pub(crate) format: Format,
    /// Folders of seeds, from the folder of this crate, with the ending of the files that count.
    seeds: &'static [(&'static str, &'static str)],
    run: fn(&[u8]),
}

/// All targets.
pub const ALL: [Target; 9] = [
    Target {
        name: "csv",
        format: Format::Text,
        seeds: &[("seeds/rows", "csv"), ("seeds/rows", "tsv")],
        run: delimited,
    },
    Target { name: "ndjson", format: Format::Json, seeds: &[("seeds/rows", "ndjson")], run: ndjson },
    Target { name: "gzip", format: Format::Text, seeds: &[("seeds/rows", "gz")], run: gzip },
    Target { name: "official", format: Format::Text, seeds: &[("seeds/official", "txt")], run: official },
    Target {
        name: "model",
        format: Format::Model,
        seeds: &[("seeds/model", "safetensors"), ("../../test/fixtures/models", "safetensors")],
        run: model,
    },
    Target {
        name: "arrow",
        format: Format::Arrow,
        seeds: &[("../../test/fixtures/arrow", "arrows"), ("../../test/fixtures/arrow", "arrow")],
        run: arrow,
    },
    Target {
        name: "arrow-compressed",
        format: Format::Arrow,
        seeds: &[
            ("../../test/fixtures/arrow/compressed", "arrows"),
            ("../../test/fixtures/arrow/compressed", "feather"),
        ],
        run: arrow,
    },
    Target {
        name: "weights",
        format: Format::Weights,
        seeds: &[
            ("seeds/weights", "safetensors"),
            ("seeds/weights", "npz"),
            ("../../test/fixtures/exchange", "safetensors"),
            ("../../test/fixtures/exchange", "npz"),
        ],
        run: weights,
    },
    Target { name: "archive", format: Format::Weights, seeds: &[("seeds/archive", "zip")], run: archive },
];

impl Target {
    /// Tries an input.
    ///
    /// # Panics
    /// If the decoder does not keep its promises, or panics itself.
    pub fn run(&self, input: &[u8]) {
        (self.run)(input);
    }

    /// Bytes of the longest input.
    #[must_use]
    pub fn longest(&self) -> usize {
        match (self.format, self.name) {
            (Format::Arrow, "arrow") => LONGEST_ARROW,
            (Format::Weights, _) => LONGEST_WEIGHTS,
            // What is compressed becomes long by itself.
            _ => LONGEST,
        }
    }

    /// Inputs to begin with.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn seeds(&self) -> Vec<Vec<u8>> {
        let mut paths: Vec<PathBuf> = vec![];
        for (folder, ending) in self.seeds {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            let entries = fs::read_dir(folder).expect("the folder of seeds is there");
            let paths_of_folder = entries.map(|entry| entry.expect("the folder can be read").path());
            paths.extend(paths_of_folder.filter(|path| path.extension().is_some_and(|own| own == *ending)));
        }
        assert!(!paths.is_empty(), "{} has no seeds", self.name);
        paths.sort();
        paths.into_iter().map(|path| fs::read(path).expect("the seed can be read")).collect()
    }
}

/// A folder for inputs that are read as files: in memory where the system has such a place.
pub(crate) static SHARED: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    folder.expect("a folder can be made")
});

/// The first byte of an input that is read as rows says with which options.
fn options(first: u8) -> (ReadOptions, Thresholds) {
    let has_value = first & 1 != 0;
    let options = ReadOptions {
        value: has_value.then(|| "value".to_owned()),
        min_value: (first & 3 == 3).then_some(3.5),
        ..ReadOptions::default()
    };
    let limit = usize::from(first >> 2 & 3);
    (options, Thresholds { min_user: limit, min_item: limit })
}

fn rows(input: &[u8], name: &str, compress: bool) {
    let Some((&first, content)) = input.split_first() else { return };
    let (options, thresholds) = options(first);
    let path = SHARED.path().join(name);
    if compress {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).expect("memory takes it");
        fs::write(&path, encoder.finish().expect("memory takes it")).expect("the file can be written");
    } else {
        fs::write(&path, content).expect("the file can be written");
    }
    check_data(read_interactions(&path, &options, &thresholds));
}

fn delimited(input: &[u8]) {
    let tabs = input.first().is_some_and(|first| first & 16 != 0);
    rows(input, if tabs { "a.tsv" } else { "a.csv" }, input.first().is_some_and(|first| first & 0xe0 == 0xe0));
}

fn ndjson(input: &[u8]) {
    rows(input, "a.ndjson", input.first().is_some_and(|first| first & 0xe0 == 0xe0));
}

fn gzip(input: &[u8]) {
    rows(input, "a.csv.gz", false);
}

/// Data that hold together, or an error about data.
fn check_data(result: Result<Interactions>) {
    match result {
        Ok(data) => {
            check_matrix(data.matrix());
            assert_eq!((data.n_users(), data.n_items()), (data.users().len(), data.items().len()));
            assert!(data.n_interactions() > 0);
            let user = data.users().get(data.n_users() - 1);
            assert!(!user.is_empty() && data.history(user).is_some_and(|items| !items.is_empty()));
        }
        Err(Error::InvalidData { message, .. }) => assert!(!message.is_empty() && message.len() < 10_000),
        Err(other) => panic!("{}: {other}", other.code()),
    }
}

fn check_matrix(matrix: &Csr) {
    let again = Csr::new(matrix.indptr().to_vec(), matrix.indices().to_vec(), matrix.n_cols());
    assert_eq!(&again.expect("a matrix is as it has to be"), matrix);
}

fn official(input: &[u8]) {
    with_folder(input, |folder| match read_official(folder) {
        Ok(split) => {
            check_matrix(split.train.matrix());
            for part in [&split.validation, &split.test] {
                check_matrix(part.input());
                check_matrix(part.target());
                assert_eq!((part.n_items(), part.n_users()), (split.train.n_items(), part.users().len()));
            }
        }
        // A file that is missing is one that cannot be read.
        Err(Error::InvalidData { .. } | Error::Io { .. }) => {}
        Err(other) => panic!("{}: {other}", other.code()),
    });
}

/// The library of products takes its room, twice the last cache and hardly ever touched, once on each thread.
static ONE: LazyLock<Threads> = LazyLock::new(|| {
    let one = Threads::new(Some(1)).expect("there is a thread");
    one.install(|| unbounded(multiply));
    one
});

fn model(input: &[u8]) {
    match Recommender::from_bytes(input) {
        Ok(model) => ONE.install(|| {
            let n_items = model.items().len();
            assert_eq!(n_items, model.model().n_items());
            let history = model.history(model.items().iter().take(3));
            let options = RecommendOptions { k: 3, ..RecommendOptions::default() };
            // Numbers of a file may be anything: a score that is no number is an error, as promised.
            match model.recommend(&[history], &options) {
                Ok(lists) => assert!(lists[0].iter().all(|scored| (scored.item as usize) < n_items)),
                Err(Error::Numerical(_)) => {}
                Err(other) => panic!("{}: {other}", other.code()),
            }
        }),
        Err(Error::InvalidModelFile { message, .. }) => assert!(!message.is_empty()),
        Err(other) => panic!("{}: {other}", other.code()),
    }
}

/// A network's scores, which are products.
fn multiply() {
    let train = Csr::from_rows([&[0u32, 1][..], &[1, 2]], 3).expect("it is a matrix");
    let options = json!({ "hiddenDim": 3, "latentDim": 2, "epochs": 1 });
    let fit = ModelKind::MultVae.fit(&options, &train, None, &FitRun::default()).expect("it is a network");
    fit.model.scores(&[&[0]]).expect("it has scores");
}

/// Bytes that reading may hold for each one that came: a row of two bytes, indices into dictionaries of numbers, makes
/// a pair of indices in a vector that doubles as it grows, and a place in a matrix; an id of four digits one byte, with
/// a place in a table.
const MEMORY_OF_ARROW: usize = 64;

/// What the bytes of a buffer may be held as on their way out of it, beside those that the reader counts.
const ROOM_OF_DECODERS: usize = 1 << 20;

fn arrow(input: &[u8]) {
    // The size of the pieces comes from the input, so that the same input does the same.
    let size = 1 + usize::from(*input.last().unwrap_or(&0)) * 16;
    let named = |column: &str, divisor: usize| input.len().is_multiple_of(divisor).then(|| column.to_owned());
    let options = ReadOptions {
        value: named("rating", 3),
        time: named("at", 5),
        skip_bad_rows: u64::from(input.len().is_multiple_of(7)),
        ..ReadOptions::default()
    };
    let mut decompressed = 0;
    let read = || {
        let mut reader = ArrowReader::new(options, Thresholds::default())?;
        for piece in input.chunks(size) {
            let pushed = reader.push(piece);
            decompressed = reader.decompressed();
            pushed?;
        }
        reader.finish()
    };
    // Compressed bytes may stand for more than an allocation may have; the peak says whether that is in proportion.
    let (result, peak) = peak_of(|| unbounded(read));
    assert!(decompressed <= (16 << 20) + 256 * input.len(), "{decompressed} bytes out of {}", input.len());
    let most = MEMORY_OF_ARROW * (input.len() + decompressed) + ROOM_OF_DECODERS;
    assert!(peak <= most, "{peak} bytes for a stream of {} and {decompressed} out of it", input.len());
    if let Ok(data) = &result {
        // What was read can be written and read again.
        let mut again = ArrowReader::new(ReadOptions::default(), Thresholds::default()).expect("no options");
        for part in 0.. {
            match data.arrow_part(part).expect("it can be written") {
                Some(bytes) => again.push(&bytes).expect("what was written can be read"),
                None => break,
            }
        }
        assert_eq!(again.finish().expect("what was written can be read").users(), data.users());
    }
    check_data(result);
}

fn weights(input: &[u8]) {
    let path = SHARED.path().join("weights");
    fs::write(&path, input).expect("the file can be written");
    // As many items as the seeds have.
    for n_items in [4, 40] {
        let ids: Vec<String> = (0..n_items).map(|item| item.to_string()).collect();
        let ids: Ids = ids.iter().map(String::as_str).collect();
        match import_weights(&path, ids, &json!({})) {
            Ok(model) => ONE.install(|| {
                assert_eq!((model.items().len(), model.model().n_items()), (n_items, n_items));
                let history = model.history(["0", "2"]);
                match model.recommend(&[history], &RecommendOptions { k: 3, ..RecommendOptions::default() }) {
                    Ok(lists) => assert!(lists[0].iter().all(|scored| (scored.item as usize) < n_items)),
                    Err(Error::Numerical(_)) => {}
                    Err(other) => panic!("{}: {other}", other.code()),
                }
            }),
            Err(Error::InvalidData { message, .. }) => assert!(!message.is_empty() && message.len() < 10_000),
            Err(other) => panic!("{}: {other}", other.code()),
        }
    }
}

/// Bytes that deflate makes of one, at most.
const DEFLATED: u64 = 1032;

fn archive(input: &[u8]) {
    let (path, to) = (SHARED.path().join("archive"), SHARED.path().join("member"));
    fs::write(&path, input).expect("the file can be written");
    fs::write(&to, "").expect("the file can be written");
    match unzip(&path, "a/ratings.csv", &to, &Cancel::default()) {
        Ok(()) => {
            let length = fs::metadata(&to).expect("it is there").len();
            assert!(length <= DEFLATED * input.len() as u64, "{length} bytes out of {}", input.len());
        }
        Err(Error::InvalidData { message, .. }) => assert!(!message.is_empty()),
        Err(other) => panic!("{}: {other}", other.code()),
    }
}
