//! Published data sets: where they are, on what terms, and how the papers read and split them. Nothing here downloads
//! anything.
//!
//! | data | protocol |
//! | --- | --- |
//! | ML-20M, Netflix | ratings of 4 and more; users with 5 items or more; 10,000 (40,000) validation and as many test users; seed 98765 |
//! | MSD | songs with 200 users or more, then users with 20 songs or more; 50,000 validation and as many test users; the same seed |
//! | the graph papers' data | their train and test files; a part of training is for validation |
//! | others | the format's threshold, and the split that holds unless it is said otherwise |
//!
//! The paper's scripts are for ML-20M. Of Netflix and MSD the thresholds and counts are the paper's, and the rows of a
//! user are drawn from in the order of the item ids, as nobody knows in which order the authors had them.
//!
//! Source: Liang et al. 2018, arXiv 1802.05814, section 4.1 and appendix; Shenbin et al. 2020, arXiv 1912.11160; He et
//! al. 2020, LightGCN, arXiv 2002.02126. Checksums of MovieLens are those that GroupLens publishes beside the files.

use serde_json::{Map, Value, json};

use crate::base::options::Options;
use crate::data::interactions::Thresholds;
use crate::data::read::{Format, ReadOptions};
use crate::split::options::{Generator, ShortUsers, SplitKind, SplitOptions};

/// A file of a data set.
#[derive(Clone, Copy, Debug)]
pub struct PublishedFile {
    /// Where it is, or the archive that has it. Empty if nobody offers it for download.
    pub url: &'static str,
    /// What its publisher says of the whole download, such as `md5:…`; empty if nothing.
    pub checksum: &'static str,
    /// Its name in the ZIP archive; empty if the download is the file.
    pub member: &'static str,
    /// What it is called here.
    pub name: &'static str,
}

/// A data set.
#[derive(Clone, Copy, Debug)]
pub struct PublishedSet {
    /// Its name as an input.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// What its publishers say of it.
    pub page: &'static str,
    /// On what terms it may be used, in short.
    pub terms: &'static str,
    /// Of which paper's tables it is a row; empty if of none.
    pub paper: &'static str,
    /// Its files; the first is the one that is trained on.
    pub files: &'static [PublishedFile],
    format: Format,
    protocol: Protocol,
}

/// How papers split it.
#[derive(Clone, Copy, Debug)]
enum Protocol {
    /// As anything else.
    Usual,
    /// The scripts of Mult-VAE: least users of an item, least items of a user, validation users and test users.
    Authors { min_item: usize, min_user_items: usize, held_out: f64 },
    /// The second file is for test.
    Files,
}

const GROUPLENS: &str = "research only; no commercial use and no redistribution without permission of the GroupLens project; cite \
                         Harper and Konstan 2015 (the archive's README)";
const LIGHTGCN: &str = "none are stated with the files, which the authors of NGCF and LightGCN made";

macro_rules! movielens {
    ($name:literal, $title:literal, $page:literal, $checksum:literal, $member:literal, $file:literal) => {
        PublishedSet {
            name: $name,
            title: $title,
            page: concat!("https://grouplens.org/datasets/movielens/", $page, "/"),
            terms: GROUPLENS,
            paper: "",
            files: &[PublishedFile {
                url: concat!("https://files.grouplens.org/datasets/movielens/", $name, ".zip"),
                checksum: concat!("md5:", $checksum),
                member: $member,
                name: $file,
            }],
            format: Format::MovieLens20M,
            protocol: Protocol::Usual,
        }
    };
}

macro_rules! graph {
    ($name:literal, $title:literal) => {
        PublishedSet {
            name: $name,
            title: $title,
            page: "https://github.com/kuandeng/LightGCN",
            terms: LIGHTGCN,
            paper: "the graph papers (NGCF, LightGCN), which train on all of the train file: --validation 0 --no-search",
            files: &[
                PublishedFile {
                    url: concat!("https://raw.githubusercontent.com/kuandeng/LightGCN/master/Data/", $name, "/train.txt"),
                    checksum: "",
                    member: "",
                    name: "train.txt",
                },
                PublishedFile {
                    url: concat!("https://raw.githubusercontent.com/kuandeng/LightGCN/master/Data/", $name, "/test.txt"),
                    checksum: "",
                    member: "",
                    name: "test.txt",
                },
            ],
            format: Format::Adjacency,
            protocol: Protocol::Files,
        }
    };
}

/// All of them.
pub const PUBLISHED: [PublishedSet; 11] = [
    PublishedSet {
        format: Format::MovieLens100K,
        ..movielens!(
            "ml-100k",
            "MovieLens 100K",
            "100k",
            "0e33842e24a9c977be4e0107933c0723",
            "ml-100k/u.data",
            "u.data"
        )
    },
    PublishedSet {
        format: Format::MovieLens1M,
        ..movielens!(
            "ml-1m",
            "MovieLens 1M",
            "1m",
            "c4d9eecfca2ab87c1945afe126590906",
            "ml-1m/ratings.dat",
            "ratings.dat"
        )
    },
    PublishedSet {
        format: Format::MovieLens1M,
        ..movielens!(
            "ml-10m",
            "MovieLens 10M",
            "10m",
            "ce571fd55effeba0271552578f2648bd",
            "ml-10M100K/ratings.dat",
            "ratings.dat"
        )
    },
    PublishedSet {
        paper: "Mult-VAE (Liang et al. 2018), RecVAE (Shenbin et al. 2020)",
        protocol: Protocol::Authors { min_item: 1, min_user_items: 5, held_out: 10_000.0 },
        ..movielens!(
            "ml-20m",
            "MovieLens 20M",
            "20m",
            "cd245b17a1ae2cc31bb14903e1204af3",
            "ml-20m/ratings.csv",
            "ratings.csv"
        )
    },
    movielens!(
        "ml-25m",
        "MovieLens 25M",
        "25m",
        "6b51fb2759a8657d3bfcbfc42b592ada",
        "ml-25m/ratings.csv",
        "ratings.csv"
    ),
    movielens!(
        "ml-32m",
        "MovieLens 32M",
        "32m",
        "d472be332d4daa821edc399621853b57",
        "ml-32m/ratings.csv",
        "ratings.csv"
    ),
    PublishedSet {
        name: "netflix",
        title: "Netflix Prize",
        page: "https://en.wikipedia.org/wiki/Netflix_Prize",
        terms: "the publisher does not offer it any more; the terms are in the README of the archive",
        paper: "Mult-VAE (Liang et al. 2018), RecVAE (Shenbin et al. 2020)",
        files: &[PublishedFile { url: "", checksum: "", member: "", name: "mv_*.txt" }],
        format: Format::Netflix,
        protocol: Protocol::Authors { min_item: 1, min_user_items: 5, held_out: 40_000.0 },
    },
    PublishedSet {
        name: "msd",
        title: "Million Song Dataset, Taste Profile",
        page: "http://millionsongdataset.com/tasteprofile/",
        terms: "those of The Echo Nest, which its page names",
        paper: "Mult-VAE (Liang et al. 2018), RecVAE (Shenbin et al. 2020)",
        files: &[PublishedFile {
            url: "http://millionsongdataset.com/sites/default/files/challenge/train_triplets.txt.zip",
            checksum: "",
            member: "train_triplets.txt",
            name: "train_triplets.txt",
        }],
        format: Format::TasteProfile,
        protocol: Protocol::Authors { min_item: 200, min_user_items: 20, held_out: 50_000.0 },
    },
    graph!("gowalla", "Gowalla, as in the graph papers"),
    graph!("yelp2018", "Yelp 2018, as in the graph papers"),
    graph!("amazon-book", "Amazon books, as in the graph papers"),
];

impl PublishedSet {
    /// How its files are read.
    #[must_use]
    pub fn read(&self) -> ReadOptions {
        ReadOptions { format: Some(self.format), ..ReadOptions::default() }
    }

    /// Who and what stays of it.
    #[must_use]
    pub fn thresholds(&self) -> Thresholds {
        match self.protocol {
            Protocol::Authors { min_item, .. } => Thresholds { min_item, ..Thresholds::default() },
            _ => Thresholds::default(),
        }
    }

    /// How it is split.
    #[must_use]
    pub fn split(&self) -> SplitOptions {
        match self.protocol {
            Protocol::Usual => SplitOptions::default(),
            Protocol::Files => SplitOptions { kind: SplitKind::Files, ..SplitOptions::default() },
            Protocol::Authors { min_user_items, held_out, .. } => SplitOptions {
                min_user_items,
                short_users: ShortUsers::Drop,
                validation: held_out,
                test: held_out,
                generator: Generator::Numpy,
                seed: 98765,
                ..SplitOptions::default()
            },
        }
    }

    /// All of that, with what differs from the defaults.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let file = |file: &PublishedFile| json!({ "url": file.url, "checksum": file.checksum, "member": file.member, "name": file.name });
        let mut read = changes(&self.read());
        read.extend(changes(&self.thresholds()));
        json!({
            "name": self.name, "title": self.title, "page": self.page, "terms": self.terms, "paper": self.paper,
            "files": self.files.iter().map(file).collect::<Value>(), "read": read, "split": changes(&self.split()),
        })
    }
}

/// The options that differ from their defaults.
fn changes<T: Options + Default>(options: &T) -> Map<String, Value> {
    let (Value::Object(ours), defaults) = (options.to_json(), T::default().to_json()) else { return Map::new() };
    ours.into_iter().filter(|(name, value)| defaults[name] != *value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_sets_makes_sense() {
        for set in &PUBLISHED {
            set.read().checked().unwrap();
            set.split().checked().unwrap();
            set.thresholds().checked().unwrap();
            for file in set.files {
                assert!(
                    file.checksum.is_empty() || file.checksum.strip_prefix("md5:").is_some_and(|hex| hex.len() == 32)
                );
                assert_eq!(file.url.ends_with(".zip"), !file.member.is_empty(), "{}", set.name);
            }
        }
        let names: std::collections::BTreeSet<_> = PUBLISHED.iter().map(|set| set.name).collect();
        assert_eq!(names.len(), PUBLISHED.len());
        let ml_20m = PUBLISHED[3].to_json();
        assert_eq!(ml_20m["read"], json!({"format": "movielens-20m"}));
        let split = json!({
            "minUserItems": 5, "shortUsers": "drop", "validation": 10000.0, "test": 10000.0, "generator": "numpy", "seed": 98765,
        });
        let Value::Object(mut expected) = split else { unreachable!() };
        expected.remove("minUserItems"); // it is the default
        assert_eq!(ml_20m["split"], Value::Object(expected));
        assert_eq!(PUBLISHED[7].to_json()["read"], json!({"format": "msd", "minItem": 200}));
    }
}
