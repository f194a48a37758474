//! The formats that are known by name: those of programs (CSV, TSV, NDJSON, Arrow) and those in which data sets are
//! published.
//!
//! A published format is a row of [`LAYOUTS`]: the columns, the separator, the encoding and the threshold that makes
//! likes of its ratings in the papers. What a caller says goes before it. Three formats need a reader of their own: the
//! two that hold lists of items, and Netflix's, where items stand on lines of their own.
//!
//! Sources: the README file that comes with each data set; for thresholds section 4.1 of D. Liang et al., Variational
//! Autoencoders for Collaborative Filtering, WWW 2018, which takes ratings of 4 and more for likes.

use crate::base::error::{Error, Result};
use crate::base::options::choice;

choice! {
    /// How the rows of a file are written.
    pub enum Format {
        /// Comma-separated with a header line, quoted as in RFC 4180; what that does not allow is an error.
        Csv = "csv",
        /// Tab-separated with a header line; a quote is a character like any other (IANA text/tab-separated-values).
        Tsv = "tsv",
        /// One JSON object per line; ids are strings or whole numbers, and an item may be a list of them.
        Ndjson = "ndjson",
        /// Arrow IPC, as a stream or as a file (Feather of version 2); an item may be a list.
        Arrow = "arrow",
        /// One user per line: `user item item …`, the lists of the graph papers.
        Adjacency = "adjacency",
        /// MovieLens 100K, `u.data`.
        MovieLens100K = "movielens-100k",
        /// MovieLens 1M and 10M, `ratings.dat`.
        MovieLens1M = "movielens-1m",
        /// MovieLens 20M, 25M, 32M and latest, `ratings.csv`.
        MovieLens20M = "movielens-20m",
        /// Netflix Prize, by film.
        Netflix = "netflix",
        /// Million Song Dataset, Taste Profile triplets.
        TasteProfile = "msd",
        /// Last.fm 360K, plays by user and artist.
        LastFm360K = "lastfm-360k",
        /// Last.fm 1K, single plays.
        LastFm1K = "lastfm-1k",
        /// Gowalla and Brightkite check-ins of SNAP.
        Gowalla = "gowalla",
        /// Yelp reviews and tips.
        Yelp = "yelp",
        /// Amazon reviews of 2014 and 2018, JSON lines.
        Amazon = "amazon",
        /// Amazon reviews of 2023, JSON lines.
        Amazon2023 = "amazon-2023",
        /// Amazon ratings only, of 2014.
        AmazonRatings2014 = "amazon-ratings-2014",
        /// Amazon ratings only, of 2018, where the item comes first.
        AmazonRatings2018 = "amazon-ratings-2018",
        /// Amazon ratings only, of 2023.
        AmazonRatings2023 = "amazon-ratings-2023",
        /// Goodbooks-10k, `ratings.csv`.
        Goodbooks = "goodbooks",
        /// Book-Crossing, `BX-Book-Ratings.csv`.
        BookCrossing = "book-crossing",
        /// Steam 200k, purchases and plays.
        Steam = "steam",
        /// RetailRocket, `events.csv`.
        RetailRocket = "retailrocket",
        /// OTTO, sessions as JSON lines.
        Otto = "otto",
    }
}

choice! {
    /// How text is written as bytes.
    pub enum Encoding {
        /// UTF-8; other bytes in an id are an error.
        Utf8 = "utf8",
        /// ISO 8859-1: each byte is the character of that number.
        Latin1 = "latin1",
    }
}

choice! {
    /// What a quote means in fields of text.
    pub enum Quote {
        /// It encloses a field, as in RFC 4180.
        Double = "double",
        /// It is a character like any other.
        None = "none",
    }
}

choice! {
    /// How a quote inside a quoted field of CSV is written.
    pub enum Escape {
        /// Twice, as in RFC 4180.
        Quote = "quote",
        /// Behind a backslash, as Spark and others do; two backslashes are one, and before other characters one is
        /// itself.
        Backslash = "backslash",
    }
}

choice! {
    /// What a number that stands for a time counts.
    pub enum TimeUnit {
        /// Seconds since 1970.
        Seconds = "s",
        /// Milliseconds since 1970.
        Milliseconds = "ms",
    }
}

impl TimeUnit {
    /// How many of them are a second.
    pub(crate) fn per_second(self) -> f64 {
        if self == Self::Seconds { 1.0 } else { 1000.0 }
    }
}

/// Which reader a format needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Rows of fields.
    Fields,
    /// JSON objects.
    Objects,
    /// Columns in binary form.
    Arrow,
    /// A user and items on a line.
    Lists,
    /// A film on a line, and its ratings on the lines below.
    Netflix,
    /// Sessions with their events.
    Otto,
}

/// What is known of a format. Texts that are empty say that there is no such thing.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Its name.
    pub format: Format,
    /// Which data come so.
    pub title: &'static str,
    /// Names under which they are published, with `*` for digits.
    pub files: &'static [&'static str],
    /// Whether any file of such a name is of that format.
    pub(crate) is_known_by_name: bool,
    /// What a line looks like. With a header that no other data have, it is that.
    pub line: &'static str,
    /// Whether a file with that header is of that format.
    pub(crate) is_known_by_header: bool,
    pub(crate) shape: Shape,
    pub(crate) separator: &'static str,
    pub(crate) header: bool,
    pub(crate) encoding: Encoding,
    pub(crate) quote: Quote,
    pub(crate) escape: Escape,
    /// Columns by their names, or by their numbers where there is no header.
    pub user: &'static str,
    /// The same.
    pub item: &'static str,
    /// The same, of ratings and counts.
    pub value: &'static str,
    /// Rows with a lower value are no likes, unless it is said otherwise.
    pub min_value: Option<f64>,
    /// The column of times.
    pub time: &'static str,
    pub(crate) time_unit: TimeUnit,
}

const CSV: Layout = Layout {
    format: Format::Csv,
    title: "comma-separated values",
    files: &[],
    is_known_by_name: true,
    line: "user,item",
    is_known_by_header: false,
    shape: Shape::Fields,
    separator: ",",
    header: true,
    encoding: Encoding::Utf8,
    quote: Quote::Double,
    escape: Escape::Quote,
    user: "",
    item: "",
    value: "",
    min_value: None,
    time: "",
    time_unit: TimeUnit::Seconds,
};

const TSV: Layout = Layout {
    format: Format::Tsv,
    title: "tab-separated values",
    line: "user\titem",
    separator: "\t",
    quote: Quote::None,
    ..CSV
};

/// Tab-separated without a header, as most published data are.
const BARE: Layout = Layout { header: false, ..TSV };

const NDJSON: Layout = Layout {
    format: Format::Ndjson,
    title: "one JSON object per line",
    line: r#"{"user":"u1","item":"i1"}"#,
    shape: Shape::Objects,
    separator: "",
    quote: Quote::None,
    ..CSV
};

/// All formats, in the order of [`Format`].
pub const LAYOUTS: [Layout; 24] = [
    CSV,
    TSV,
    NDJSON,
    Layout {
        format: Format::Arrow,
        title: "Arrow IPC, stream or file (Feather)",
        line: "columns user and item",
        shape: Shape::Arrow,
        ..NDJSON
    },
    Layout {
        format: Format::Adjacency,
        title: "lists of the graph papers (train.txt, test.txt)",
        line: "0 17 4 128",
        shape: Shape::Lists,
        ..NDJSON
    },
    Layout {
        format: Format::MovieLens100K,
        title: "MovieLens 100K",
        files: &["u.data"],
        line: "196\t242\t3\t881250949",
        user: "1",
        item: "2",
        value: "3",
        min_value: Some(4.0),
        time: "4",
        ..BARE
    },
    Layout {
        format: Format::MovieLens1M,
        title: "MovieLens 1M and 10M",
        files: &["ratings.dat"],
        is_known_by_name: false,
        line: "1::1193::5::978300760",
        separator: "::",
        user: "1",
        item: "2",
        value: "3",
        min_value: Some(4.0),
        time: "4",
        ..BARE
    },
    Layout {
        format: Format::MovieLens20M,
        title: "MovieLens 20M, 25M, 32M and latest",
        files: &["ratings.csv"],
        is_known_by_name: false,
        line: "userId,movieId,rating,timestamp",
        is_known_by_header: true,
        user: "userId",
        item: "movieId",
        value: "rating",
        min_value: Some(4.0),
        time: "timestamp",
        ..CSV
    },
    Layout {
        format: Format::Netflix,
        title: "Netflix Prize",
        files: &["mv_*.txt", "combined_data_*.txt"],
        line: "1: on a line, then 1488844,3,2005-09-06",
        shape: Shape::Netflix,
        header: false,
        value: "rating",
        min_value: Some(4.0),
        time: "date",
        ..NDJSON
    },
    Layout {
        format: Format::TasteProfile,
        title: "Million Song Dataset, Taste Profile",
        files: &["train_triplets.txt", "kaggle_visible_evaluation_triplets.txt"],
        line: "b80344d063b5ccb3212f76538f3d9e43d87dca9e\tSOAKIMP12A8C130995\t1",
        user: "1",
        item: "2",
        value: "3",
        ..BARE
    },
    Layout {
        format: Format::LastFm360K,
        title: "Last.fm 360K, by the artist's name",
        files: &["usersha1-artmbid-artname-plays.tsv"],
        line: "00000c289a1829a808ac09c00daf10bc3c4e223b\t3bd73256-3905-4f3a-97e2-8b341527f805\tbetty blowtorch\t2137",
        user: "1",
        item: "3",
        value: "4",
        ..BARE
    },
    Layout {
        format: Format::LastFm1K,
        title: "Last.fm 1K, by the artist's name",
        files: &["userid-timestamp-artid-artname-traid-traname.tsv"],
        line: "user_000001\t2009-05-04T23:08:57Z\tf1b1cf71-bd35-4e99-8624-24a6e15f133a\tDeep Dish\t\tGlobal Underground",
        user: "1",
        item: "4",
        time: "2",
        ..BARE
    },
    Layout {
        format: Format::Gowalla,
        title: "Gowalla check-ins (SNAP)",
        files: &["loc-gowalla_totalCheckins.txt"],
        line: "0\t2010-10-19T23:55:27Z\t30.2359091167\t-97.7951395833\t22847",
        user: "1",
        item: "5",
        time: "2",
        ..BARE
    },
    Layout {
        format: Format::Yelp,
        title: "Yelp reviews",
        files: &["yelp_academic_dataset_review.json"],
        line: r#"{"review_id":"K","user_id":"m","business_id":"X","stars":3.0,"date":"2018-07-07 22:09:11"}"#,
        user: "user_id",
        item: "business_id",
        value: "stars",
        min_value: Some(4.0),
        time: "date",
        ..NDJSON
    },
    Layout {
        format: Format::Amazon,
        title: "Amazon reviews, 2014 and 2018",
        line: r#"{"overall":5.0,"reviewerID":"A2","asin":"0700099867","unixReviewTime":1341792000}"#,
        user: "reviewerID",
        item: "asin",
        value: "overall",
        min_value: Some(4.0),
        time: "unixReviewTime",
        ..NDJSON
    },
    Layout {
        format: Format::Amazon2023,
        title: "Amazon reviews, 2023",
        line: r#"{"rating":4.0,"asin":"B1","parent_asin":"B0","user_id":"AG","timestamp":1588687728923}"#,
        user: "user_id",
        item: "parent_asin",
        value: "rating",
        min_value: Some(4.0),
        time: "timestamp",
        time_unit: TimeUnit::Milliseconds,
        ..NDJSON
    },
    Layout {
        format: Format::AmazonRatings2014,
        title: "Amazon ratings only, 2014",
        line: "A3AF8FFZAZYNE5,0000000078,5.0,1092182400",
        header: false,
        user: "1",
        item: "2",
        value: "3",
        min_value: Some(4.0),
        time: "4",
        ..CSV
    },
    Layout {
        format: Format::AmazonRatings2018,
        title: "Amazon ratings only, 2018",
        line: "0001713353,A1C6M8LCIX4M6M,5.0,1123804800",
        header: false,
        user: "2",
        item: "1",
        value: "3",
        min_value: Some(4.0),
        time: "4",
        ..CSV
    },
    Layout {
        format: Format::AmazonRatings2023,
        title: "Amazon ratings only, 2023",
        line: "user_id,parent_asin,rating,timestamp",
        is_known_by_header: true,
        user: "user_id",
        item: "parent_asin",
        value: "rating",
        min_value: Some(4.0),
        time: "timestamp",
        time_unit: TimeUnit::Milliseconds,
        ..CSV
    },
    Layout {
        format: Format::Goodbooks,
        title: "Goodbooks-10k",
        files: &["ratings.csv"],
        is_known_by_name: false,
        line: "user_id,book_id,rating",
        user: "user_id",
        item: "book_id",
        value: "rating",
        min_value: Some(4.0),
        ..CSV
    },
    Layout {
        format: Format::BookCrossing,
        title: "Book-Crossing",
        files: &["BX-Book-Ratings.csv"],
        line: r#""276725";"034545104X";"0""#,
        separator: ";",
        encoding: Encoding::Latin1,
        escape: Escape::Backslash,
        user: "User-ID",
        item: "ISBN",
        value: "Book-Rating",
        ..CSV
    },
    Layout {
        format: Format::Steam,
        title: "Steam 200k",
        files: &["steam-200k.csv"],
        line: r#"151603712,"The Elder Scrolls V Skyrim",purchase,1.0,0"#,
        header: false,
        user: "1",
        item: "2",
        value: "4",
        ..CSV
    },
    Layout {
        format: Format::RetailRocket,
        title: "RetailRocket events",
        files: &["events.csv"],
        is_known_by_name: false,
        line: "timestamp,visitorid,event,itemid,transactionid",
        is_known_by_header: true,
        user: "visitorid",
        item: "itemid",
        time: "timestamp",
        time_unit: TimeUnit::Milliseconds,
        ..CSV
    },
    Layout {
        format: Format::Otto,
        title: "OTTO sessions",
        files: &["otto-recsys-train.jsonl", "otto-recsys-test.jsonl"],
        line: r#"{"session":12899779,"events":[{"aid":59625,"ts":1661724000278,"type":"clicks"}]}"#,
        shape: Shape::Otto,
        time: "ts",
        time_unit: TimeUnit::Milliseconds,
        ..NDJSON
    },
];

impl Format {
    /// All of them, in order.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        LAYOUTS.iter().map(|layout| layout.format)
    }

    /// What is known of it.
    #[must_use]
    pub fn layout(self) -> &'static Layout {
        &LAYOUTS[self as usize]
    }

    /// Whether it is that of a data set, and not of programs.
    #[must_use]
    pub fn is_published(self) -> bool {
        !matches!(self, Self::Csv | Self::Tsv | Self::Ndjson | Self::Arrow | Self::Adjacency)
    }
}

impl std::str::FromStr for Format {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Self::all().find(|format| format.word() == word).ok_or_else(|| {
            let words: Vec<_> = Self::all().map(Self::word).collect();
            Error::invalid_argument("format", format!("'{word}'"), words.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_has_its_row() {
        for (place, layout) in LAYOUTS.iter().enumerate() {
            assert_eq!(layout.format as usize, place, "{}", layout.title);
            assert_eq!(layout.format.word().parse::<Format>().unwrap(), layout.format);
            assert!(layout.min_value.is_none() || !layout.value.is_empty(), "{}", layout.title);
            let has_numbers = layout.user.parse::<usize>().is_ok();
            assert!(!has_numbers || !layout.header, "{}", layout.title);
        }
    }
}
