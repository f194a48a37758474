//! Files as they are published, and the options with which files of any form are read.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use recvae_core::{
    Batch, Cancel, ColumnRows, Encoding, Escape, Format, IdColumn, Interactions, LAYOUTS, Moment, Options, Quote,
    ReadOptions, Result, Thresholds, TimeColumn, TimeUnit, check_files_until, published_files, read_files_until,
};
use serde_json::json;
use tempfile::TempDir;

/// Files of these names and contents, in a folder that goes with them.
fn files(named: &[(&str, &[u8])]) -> (TempDir, Vec<PathBuf>) {
    let folder = TempDir::new().unwrap();
    let write = |(name, content): &(&str, &[u8])| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let paths = named.iter().map(write).collect();
    (folder, paths)
}

fn read_all(named: &[(&str, &[u8])], options: &ReadOptions) -> Result<Interactions> {
    let (_folder, paths) = files(named);
    read_files_until(&paths, options, &Thresholds::default(), &Cancel::default())
}

fn read(name: &str, content: impl AsRef<[u8]>, options: &ReadOptions) -> Result<Interactions> {
    read_all(&[(name, content.as_ref())], options)
}

/// `user: items` of each user, in order.
fn histories(data: &Interactions) -> Vec<String> {
    let items = |user: &str| data.history(user).unwrap().join(" ");
    data.users().iter().map(|user| format!("{user}: {}", items(user))).collect()
}

/// What an error says, without the folder of the file, after a check of its code.
fn refusal(result: Result<Interactions>, code: &str) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    let text = error.to_string();
    let folder = std::env::temp_dir();
    match text.strip_prefix(&format!("{}/", folder.display())) {
        Some(rest) => rest.split_once('/').unwrap().1.to_owned(),
        None => text,
    }
}

fn named(format: Format) -> ReadOptions {
    ReadOptions { format: Some(format), ..ReadOptions::default() }
}

/// The first lines of the data sets, in the form in which they are published, and what is in them.
#[test]
fn every_published_format_is_read_in_its_published_form() {
    use Format::*;
    let four = "ratings of 4 and more are likes";
    for (format, name, text, expected, times) in [
        (
            MovieLens100K,
            "u.data",
            "196\t242\t3\t881250949\n186\t302\t4\t891717742\n22\t377\t1\t878887116\n244\t51\t5\t880606923\n",
            vec!["186: 302", "244: 51"],
            Some(vec![891_717_742.0, 880_606_923.0]),
        ),
        (
            MovieLens1M,
            "ratings.dat",
            "1::1193::5::978300760\n1::661::3::978302109\n2::1193::4.5::978298413\n",
            vec!["1: 1193", "2: 1193"],
            Some(vec![978_300_760.0, 978_298_413.0]),
        ),
        (
            MovieLens20M,
            "ratings.csv",
            "userId,movieId,rating,timestamp\n1,2,3.5,1112486027\n1,29,4.0,1112484676\n",
            vec!["1: 29"],
            Some(vec![1_112_484_676.0]),
        ),
        (
            Netflix,
            "mv_0000001.txt",
            "1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n885013,4,2005-10-19\n",
            vec!["822109: 1", "885013: 1"],
            Some(vec![1_115_942_400.0, 1_129_680_000.0]),
        ),
        (
            Netflix,
            "combined_data_1.txt",
            "1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n2:\n822109,4,2005-09-05\n",
            vec!["822109: 1 2"],
            Some(vec![1_115_942_400.0, 1_125_878_400.0]),
        ),
        (
            TasteProfile,
            "train_triplets.txt",
            "b80344d063b5ccb3212f76538f3d9e43d87dca9e\tSOAKIMP12A8C130995\t1\n\
             b80344d063b5ccb3212f76538f3d9e43d87dca9e\tSOAPDEY12A81C210A9\t1\n",
            vec!["b80344d063b5ccb3212f76538f3d9e43d87dca9e: SOAKIMP12A8C130995 SOAPDEY12A81C210A9"],
            None,
        ),
        (
            LastFm360K,
            "usersha1-artmbid-artname-plays.tsv",
            "00000c289a1829a808ac09c00daf10bc3c4e223b\t3bd73256-3905-4f3a-97e2-8b341527f805\tbetty blowtorch\t2137\n\
             00000c289a1829a808ac09c00daf10bc3c4e223b\t\tsonic \"x\" youth\t12\n",
            vec!["00000c289a1829a808ac09c00daf10bc3c4e223b: betty blowtorch sonic \"x\" youth"],
            None,
        ),
        (
            LastFm1K,
            "userid-timestamp-artid-artname-traid-traname.tsv",
            "user_000001\t2009-05-04T23:08:57Z\tf1b1cf71-bd35-4e99-8624-24a6e15f133a\tDeep Dish\t\tGlobal Underground\n\
             user_000001\t2009-05-04T13:54:10Z\ta7f7df4a\t坂本龍一\t\tComposition 0919\n",
            vec!["user_000001: Deep Dish 坂本龍一"],
            Some(vec![1_241_478_537.0, 1_241_445_250.0]),
        ),
        (
            Gowalla,
            "loc-gowalla_totalCheckins.txt",
            "0\t2010-10-19T23:55:27Z\t30.2359091167\t-97.7951395833\t22847\n\
             0\t2010-10-18T22:17:43Z\t30.2691029532\t-97.7493953705\t420315\n\
             0\t2010-10-17T23:42:03Z\t30.2557309927\t-97.7633857727\t22847\n",
            vec!["0: 22847 420315"],
            // The first check-in of a place that was visited twice.
            Some(vec![1_287_358_923.0, 1_287_440_263.0]),
        ),
        (
            Yelp,
            "yelp_academic_dataset_review.json",
            "{\"review_id\":\"K\",\"user_id\":\"mh_\",\"business_id\":\"XQf\",\"stars\":3.0,\"useful\":0,\"text\":\"If you\",\
             \"date\":\"2018-07-07 22:09:11\"}\n{\"review_id\":\"B\",\"user_id\":\"OyoG\",\"business_id\":\"7ATY\",\
             \"stars\":5.0,\"text\":\"I've\",\"date\":\"2012-01-03 15:28:18\"}\n",
            vec!["OyoG: 7ATY"],
            Some(vec![1_325_604_498.0]),
        ),
        (
            Amazon,
            "Video_Games_5.json",
            "{\"overall\": 5.0, \"verified\": true, \"reviewerID\": \"A1HP7NVNPFMA4N\", \"asin\": \"0700026657\", \
             \"unixReviewTime\": 1445040000}\n{\"reviewerID\": \"A1JG\", \"asin\": \"0700026657\", \"overall\": 3.0, \
             \"unixReviewTime\": 1437955200}\n",
            vec!["A1HP7NVNPFMA4N: 0700026657"],
            Some(vec![1_445_040_000.0]),
        ),
        (
            Amazon2023,
            "All_Beauty.jsonl",
            "{\"rating\": 5.0, \"title\": \"Such\", \"asin\": \"B00YQ6X8EO\", \"parent_asin\": \"B00YQ6X8E0\", \
             \"user_id\": \"AGKHLEW2SOWHNMFQIJGBECAF7INQ\", \"timestamp\": 1588687728923}\n",
            vec!["AGKHLEW2SOWHNMFQIJGBECAF7INQ: B00YQ6X8E0"],
            Some(vec![1_588_687_728.923]),
        ),
        (
            AmazonRatings2014,
            "ratings_Video_Games.csv",
            "AB9S9279OZ3QO,0078764343,5.0,1373155200\nA24SSUT5CSW8BH,0078764343,3.0,1377302400\n",
            vec!["AB9S9279OZ3QO: 0078764343"],
            Some(vec![1_373_155_200.0]),
        ),
        (
            AmazonRatings2018,
            "Video_Games.csv",
            "0439381673,A21ROB4YDOZA5P,4.0,1402272000\n0439381673,A3TNZ2Q5E7HTHD,3.0,1399680000\n",
            vec!["A21ROB4YDOZA5P: 0439381673"],
            Some(vec![1_402_272_000.0]),
        ),
        (
            AmazonRatings2023,
            "Video_Games.csv",
            "user_id,parent_asin,rating,timestamp\nAFKZENTNBQ7A7V7UXW5JJI6UGRYQ,B07SRWRH5D,4.0,1608186804795\n",
            vec!["AFKZENTNBQ7A7V7UXW5JJI6UGRYQ: B07SRWRH5D"],
            Some(vec![1_608_186_804.795]),
        ),
        (
            Goodbooks,
            "ratings.csv",
            "user_id,book_id,rating\n1,258,5\n2,4081,4\n2,260,3\n",
            vec!["1: 258", "2: 4081"],
            None,
        ),
        (
            Steam,
            "steam-200k.csv",
            "151603712,The Elder Scrolls V Skyrim,purchase,1.0,0\n151603712,The Elder Scrolls V Skyrim,play,273.0,0\n\
             151603712,\"Warhammer 40,000 Dawn of War\",purchase,1.0,0\n",
            vec!["151603712: The Elder Scrolls V Skyrim Warhammer 40,000 Dawn of War"],
            None,
        ),
        (
            RetailRocket,
            "events.csv",
            "timestamp,visitorid,event,itemid,transactionid\n1433221332117,257597,view,355908,\n\
             1433224214164,992329,view,248676,\n1433221999827,111016,addtocart,318965,4000\n",
            vec!["257597: 355908", "992329: 248676", "111016: 318965"],
            Some(vec![1_433_221_332.117, 1_433_224_214.164, 1_433_221_999.827]),
        ),
        (
            Otto,
            "otto-recsys-test.jsonl",
            "{\"session\":12899779,\"events\":[{\"aid\":59625,\"ts\":1661724000278,\"type\":\"clicks\"}]}\n\
             {\"session\":12899780,\"events\":[{\"aid\":1142000,\"ts\":1661724000378,\"type\":\"clicks\"},\
             {\"aid\":582732,\"ts\":1661724058352,\"type\":\"carts\"},{\"aid\":1142000,\"ts\":1661724109199,\"type\":\"orders\"}]}\n",
            vec!["12899779: 59625", "12899780: 1142000 582732"],
            Some(vec![1_661_724_000.278, 1_661_724_000.378, 1_661_724_058.352]),
        ),
        (Adjacency, "train.txt", "0 0 1 2\n1 2 5 \n\n2 7\n", vec!["0: 0 1 2", "1: 2 5", "2: 7"], None),
    ] {
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        for text in [text.to_owned(), text.replace('\n', "\r\n"), text.trim_end().to_owned()] {
            let data = read(name, &text, &named(format)).unwrap();
            assert_eq!(histories(&data), expected, "{format:?}: {four}");
            assert_eq!(data.times(), None, "times take memory, and were not asked for");
        }
        let Some(times) = times else { continue };
        let time = Some(format.layout().time.to_owned());
        let data = read(name, text, &ReadOptions { time, ..named(format) }).unwrap();
        assert_eq!(data.times(), Some(&*times), "{format:?}");
    }
}

#[test]
fn book_crossing_is_latin_1_with_semicolons_and_backslashes() {
    let text = b"\"User-ID\";\"ISBN\";\"Book-Rating\"\n\"276725\";\"034545104X\";\"0\"\n\"276726\";\"\\\"0432534220\\\"\";\"5\"\n\
        \"276729\";\"052165615\xdc\";\"3\"\n";
    let data = read("BX-Book-Ratings.csv", text, &named(Format::BookCrossing)).unwrap();
    assert_eq!(histories(&data), ["276725: 034545104X", "276726: \"0432534220\"", "276729: 052165615Ü"]);
    // Ratings of 0 stand for no rating at all; whoever wants them left out says so.
    let rated = ReadOptions { min_value: Some(1.0), ..named(Format::BookCrossing) };
    assert_eq!(read("b.csv", text, &rated).unwrap().n_users(), 2);
}

#[test]
fn what_a_caller_says_goes_before_the_format() {
    let text = "1::1193::5::978300760\n1::661::3::978302109\n2::914::1::978301968\n";
    let plain = named(Format::MovieLens1M);
    let counts = |options: &ReadOptions| read("r.dat", text, options).unwrap().n_interactions();
    assert_eq!(counts(&plain), 1);
    assert_eq!(counts(&ReadOptions { min_value: Some(0.0), ..plain.clone() }), 3);
    assert_eq!(counts(&ReadOptions { min_value: Some(3.0), ..plain.clone() }), 2);
    // Another column of values is not a rating, and has no threshold of its own.
    assert_eq!(counts(&ReadOptions { value: Some("4".into()), ..plain.clone() }), 3);
    let swapped = ReadOptions { user: "2".into(), item: "1".into(), ..plain.clone() };
    assert_eq!(histories(&read("r.dat", text, &swapped).unwrap()), ["1193: 1"]);
    let other = ReadOptions { separator: Some(";".into()), ..plain };
    assert_eq!(histories(&read("r.dat", "7;8;4;0\n", &other).unwrap()), ["7: 8"]);
}

#[test]
fn published_files_are_known_by_name_or_header_where_no_other_data_have_it() {
    let (_folder, paths) = files(&[
        ("u.data", b"1\t2\t5\t3\n"),
        ("u1.base", b"1\t2\t5\t3\n"),
        ("README", b"words"),
        ("ratings.csv", b"userId,movieId,rating,timestamp\r\n1,2,5,6\r\n"),
        ("mine.csv", b"user,item\na,b\n"),
        ("books.csv", b"user_id,book_id,rating\na,b,3\n"),
        ("mv_0000001.txt", b"1:\n"),
        ("mv_0000002.txt", b"2:\n"),
    ]);
    let plain = ReadOptions::default();
    let found = |of: &[usize], options: &ReadOptions| {
        let of: Vec<_> = of.iter().map(|&at| paths[at].clone()).collect();
        published_files(&of, options).map(|(format, found)| {
            let places = found.iter().map(|path| paths.iter().position(|other| other == path).unwrap());
            (format, places.collect::<Vec<_>>())
        })
    };
    assert_eq!(found(&[0, 1, 2], &plain), Some((Format::MovieLens100K, vec![0])));
    assert_eq!(found(&[3], &plain), Some((Format::MovieLens20M, vec![3])));
    assert_eq!(found(&[6, 2, 7], &plain), Some((Format::Netflix, vec![6, 7])));
    assert_eq!(found(&[4], &plain), None);
    // Whose ratings these are, and from where on they are likes, nobody knows.
    assert_eq!(found(&[5], &plain), None);
    assert_eq!(found(&[0, 6], &plain), None, "of two formats");
    assert_eq!(found(&[3], &ReadOptions { user: "userId".into(), ..plain.clone() }), None, "columns are named");
    let bounds = ReadOptions { min_value: Some(3.0), skip_bad_rows: 2, ..plain.clone() };
    assert_eq!(found(&[3], &bounds), Some((Format::MovieLens20M, vec![3])));
    // With a format, names are enough.
    assert_eq!(found(&[2, 3, 4], &named(Format::Goodbooks)), Some((Format::Goodbooks, vec![3])));
    assert_eq!(found(&[2, 4], &named(Format::Goodbooks)), None);
    // The reader does the same.
    let read = read_files_until(&paths[3..4], &plain, &Thresholds::default(), &Cancel::default()).unwrap();
    assert_eq!(histories(&read), ["1: 2"]);
}

/// What they say of values and times holds for a format that only the file makes known.
#[test]
fn a_lowest_value_and_times_go_with_a_format_that_is_recognised() {
    let text = "196\t242\t3\t881250949\n186\t302\t4\t891717742\n22\t377\t1\t878887116\n";
    let of = |options: serde_json::Value| ReadOptions::from_json(&options).unwrap();
    let found = |options| histories(&read("u.data", text, &of(options)).unwrap());
    assert_eq!(found(json!({ "minValue": 3 })), ["196: 242", "186: 302"]);
    assert_eq!(found(json!({ "minValue": 0, "since": "1998-01-01" })), ["186: 302"]);
    assert_eq!(found(json!({ "minValue": 0, "until": 880_000_000 })), ["22: 377"]);
    // Without such a format they ask for a column, as ever.
    let error = refusal(read("a.csv", "user,item\na,b\n", &of(json!({ "minValue": 3 }))), "INVALID_ARGUMENT");
    assert!(error.starts_with("minValue is 3; allowed: only with"), "{error}");
    let error = refusal(read("a.csv", "user,item\na,b\n", &of(json!({ "until": 3 }))), "INVALID_ARGUMENT");
    assert_eq!(error, "until is 3; allowed: only with the option time, which names its column");
}

/// Another reader takes such a file for what its ending says, so that is what is looked at.
#[test]
fn what_another_reader_is_to_read_is_checked_as_it_will_read_it() {
    let (_folder, paths) = files(&[("steam-200k.csv", b"a,b\n1,2\n\"3,4\n"), ("BX-Book-Ratings.csv", b"a;\"b\n")]);
    for path in paths {
        let error = check_files_until(&[path], &ReadOptions::default(), &Cancel::default()).unwrap_err();
        assert_eq!(error.code(), "INVALID_DATA", "{error}");
    }
}

#[test]
fn any_text_separates_fields() {
    for (separator, text) in [
        (";", "user;item;more\na;x;\nb;\"y;z\";\n"),
        ("::", "user::item::more\na::x::\nb::\"y;z\"::\n"),
        (" ", "user item more\na x \nb \"y;z\" \n"),
        ("\t", "user\titem\tmore\na\tx\t\nb\t\"y;z\"\t\n"),
        ("\\t", "user\titem\tmore\na\tx\t\nb\t\"y;z\"\t\n"),
        ("→", "user→item→more\na→x→\nb→\"y;z\"→\n"),
    ] {
        let options = ReadOptions { separator: Some(separator.into()), ..ReadOptions::default() };
        assert_eq!(histories(&read("a.csv", text, &options).unwrap()), ["a: x", "b: y;z"], "{separator}");
    }
    // A quote after a separator of two characters, a half of one within a field.
    let options = ReadOptions { separator: Some("::".into()), ..ReadOptions::default() };
    let data = read("a.csv", "user::item\na:b::\"c::\"\"d\"\n\"e\"::f:\n", &options).unwrap();
    assert_eq!(histories(&data), ["a:b: c::\"d", "e: f:"]);
    let error = refusal(read("a.csv", "user::item\na:b\n", &options), "INVALID_DATA");
    assert_eq!(error, "a.csv:2: the row has 1 field; allowed: 2, as in the header");
}

#[test]
fn without_a_header_columns_are_numbers() {
    let plain = ReadOptions { header: false, ..ReadOptions::default() };
    assert_eq!(histories(&read("a.csv", "u,i,5\nv,i,3\n", &plain).unwrap()), ["u: i", "v: i"]);
    let options = ReadOptions {
        user: "3".into(),
        item: "1".into(),
        value: Some("2".into()),
        min_value: Some(4.0),
        ..plain.clone()
    };
    assert_eq!(histories(&read("a.tsv", "i\t5\tu\ni\t3\tv\n", &options).unwrap()), ["u: i"]);
    for (options, code, text) in [
        (
            ReadOptions { user: "name".into(), ..plain.clone() },
            "INVALID_ARGUMENT",
            "user is 'name'; allowed: the number of a column, from 1 on: there is no header",
        ),
        (
            ReadOptions { value: Some("0".into()), ..plain.clone() },
            "INVALID_ARGUMENT",
            "value is '0'; allowed: the number of a column, from 1 on: there is no header",
        ),
        (
            ReadOptions { user: "2".into(), ..plain.clone() },
            "INVALID_ARGUMENT",
            "item is '2'; allowed: a column other than user",
        ),
        (
            ReadOptions { item: "5".into(), ..plain.clone() },
            "INVALID_DATA",
            "a.csv:1: there is no column 5; allowed: from 1 to 3",
        ),
    ] {
        assert_eq!(refusal(read("a.csv", "u,i,5\n", &options), code), text);
    }
    let error = refusal(read("a.csv", "u,i\nv\n", &plain), "INVALID_DATA");
    assert_eq!(error, "a.csv:2: the row has 1 field; allowed: 2, as in the first row");
    let error = refusal(read("a.csv", "u,i\n,j\n", &plain), "INVALID_DATA");
    assert_eq!(error, "a.csv:2:1: user is empty; allowed: an id");
    assert_eq!(
        refusal(read("a.csv", "", &plain), "INVALID_DATA"),
        "a.csv: there are no rows; allowed: one per interaction"
    );
}

#[test]
fn encodings_and_quotes_are_as_asked_for() {
    let latin = ReadOptions { encoding: Some(Encoding::Latin1), ..ReadOptions::default() };
    assert_eq!(histories(&read("a.csv", b"user,item\nJos\xe9,\x80\xff\n", &latin).unwrap()), ["José: \u{80}ÿ"]);
    let error = refusal(read("a.csv", b"user,item\nJos\xe9,x\n", &ReadOptions::default()), "INVALID_DATA");
    assert_eq!(error, "a.csv:2:1: user is 'Jos\u{fffd}'; allowed: UTF-8");
    let none = ReadOptions { quote: Some(Quote::None), ..ReadOptions::default() };
    assert_eq!(histories(&read("a.csv", "user,item\n\"a,5\" disk\n", &none).unwrap()), ["\"a: 5\" disk"]);
    let double = ReadOptions { quote: Some(Quote::Double), escape: Escape::Backslash, ..ReadOptions::default() };
    assert_eq!(histories(&read("a.tsv", "user\titem\n\"a\tb\"\t\"\\\"\"\n", &double).unwrap()), ["a\tb: \""]);
}

#[test]
fn options_that_mean_nothing_for_a_format_are_refused() {
    let plain = ReadOptions::default();
    for (options, text) in [
        (
            ReadOptions { separator: Some(String::new()), ..plain.clone() },
            "separator is ''; allowed: text without a line end or a quote",
        ),
        (
            ReadOptions { separator: Some("\n".into()), ..plain.clone() },
            "separator is '\\n'; allowed: text without a line end or a quote",
        ),
        (
            ReadOptions { separator: Some("\"".into()), ..plain.clone() },
            "separator is '\"'; allowed: text without a line end or a quote",
        ),
        (
            ReadOptions { separator: Some(";".into()), ..named(Format::Ndjson) },
            "separator is ';'; allowed: only for tables and lists (the format is ndjson)",
        ),
        (
            ReadOptions { header: false, ..named(Format::Ndjson) },
            "header is false; allowed: only for tables (the format is ndjson)",
        ),
        (
            ReadOptions { quote: Some(Quote::Double), ..named(Format::Otto) },
            "quote is 'double'; allowed: only for tables (the format is otto)",
        ),
        (
            ReadOptions { quote: Some(Quote::None), escape: Escape::Backslash, ..plain.clone() },
            "escape is 'backslash'; allowed: only for csv (quote is none)",
        ),
        (
            ReadOptions { user: "u".into(), ..named(Format::Adjacency) },
            "user is 'u'; allowed: none for adjacency, which has no names of columns",
        ),
        (
            ReadOptions { value: Some("r".into()), min_value: Some(1.0), ..named(Format::Otto) },
            "value is 'r'; allowed: none for otto, which has no names of columns",
        ),
        (
            ReadOptions { min_value: Some(1.0), ..named(Format::Adjacency) },
            "minValue is 1; allowed: only with the option value, which names its column",
        ),
        (
            ReadOptions { since: Some(Moment::Date("2015-01-31".into())), ..plain.clone() },
            "since is 2015-01-31; allowed: only with the option time, which names its column",
        ),
        (
            ReadOptions { until: Some(Moment::Number(5.0)), ..named(Format::Goodbooks) },
            "until is 5; allowed: only with the option time, which names its column",
        ),
        (
            ReadOptions { time: Some("item".into()), ..plain.clone() },
            "time is 'item'; allowed: a column other than user and item",
        ),
    ] {
        assert_eq!(refusal(read("a.csv", "user,item\na,b\n", &options), "INVALID_ARGUMENT"), text);
    }
    for (json, text) in [
        (
            json!({"since": "yesterday"}),
            "since is \"yesterday\"; allowed: a finite number or a date such as '2015-01-31' or '2015-01-31T12:30:00Z'",
        ),
        (json!({"encoding": "utf16"}), "encoding is \"utf16\"; allowed: 'utf8' or 'latin1'"),
        (json!({"timeUnit": "us"}), "timeUnit is \"us\"; allowed: 's' or 'ms'"),
        (json!({"skipBadRows": -1}), "skipBadRows is -1; allowed: a whole number from 0 to 2^53"),
        (json!({"header": 1}), "header is 1; allowed: true or false"),
    ] {
        assert_eq!(ReadOptions::from_json(&json).unwrap_err().to_string(), text);
    }
    assert!(
        "nothing"
            .parse::<Format>()
            .unwrap_err()
            .to_string()
            .contains("csv, tsv, ndjson, arrow, adjacency, movielens-100k")
    );
    assert_eq!(LAYOUTS.len(), 24);
}

#[test]
fn bad_rows_are_left_out_up_to_a_limit_and_counted() {
    let skip = |skip_bad_rows| ReadOptions {
        value: Some("rating".into()),
        min_value: Some(4.0),
        skip_bad_rows,
        ..ReadOptions::default()
    };
    // No number, an id too few, a field too many, bytes that are no text, quotes out of place.
    let csv: &[u8] =
        b"user,item,rating\na,x,5\na,y,five\n,z,5\na,z,5,6\nb,\xff,5\nb,5\" disk,5\nb,\"z\"z,5\nb,y,4\nc,y,1\n";
    let data = read("a.csv", csv, &skip(6)).unwrap();
    assert_eq!(histories(&data), ["a: x", "b: y"]);
    let left: Vec<_> = data.left_out().iter().map(|left| (left.reason, left.rows)).collect();
    assert_eq!(left, [("badRows", 6), ("minValue", 1)]);
    let text = &data.left_out()[0].text;
    assert!(text.starts_with("6 rows are left out for being malformed, such as "), "{text}");
    assert!(text.ends_with("a.csv:3:3: rating is 'five'; allowed: a finite number"), "{text}");
    let error = refusal(read("a.csv", csv, &skip(5)), "INVALID_DATA");
    assert!(error.starts_with("a.csv:8:2: a quote is opened here, and text follows a closing quote"), "{error}");
    assert!(error.ends_with("; with it, 6 rows are bad, and skipBadRows is 5"), "{error}");
    assert_eq!(
        refusal(read("a.csv", csv, &skip(0)), "INVALID_DATA"),
        "a.csv:3:3: rating is 'five'; allowed: a finite number"
    );

    // A quote that nobody closed takes lines along, each of which counts.
    let plain = |skip_bad_rows| ReadOptions { skip_bad_rows, ..ReadOptions::default() };
    let open = "user,item\na,x\na,\"open\nb,x\nc,\"y\"\nd,x\n";
    let data = read("a.csv", open, &plain(3)).unwrap();
    assert_eq!(histories(&data), ["a: x", "d: x"]);
    assert_eq!(data.left_out()[0].rows, 3);
    assert!(read("a.csv", open, &plain(2)).is_err());
    let data = read("a.csv", "user,item\na,x\nb,\"y\nc,x", &plain(9)).unwrap();
    assert_eq!((histories(&data), data.left_out()[0].rows), (vec!["a: x".to_owned()], 2));

    // The limit holds for all files together, and for every format.
    let files: [(&str, &[u8]); 2] = [("a.csv", b"user,item\na\nb,x\n"), ("b.csv", b"user,item\nc\n")];
    assert_eq!(read_all(&files, &plain(2)).unwrap().left_out()[0].rows, 2);
    assert!(read_all(&files, &plain(1)).is_err());
    for (format, text, bad) in [
        (Format::Ndjson, "{\"user\":1,\"item\":2}\n{\"user\":1,\n{\"user\":1}\n{\"user\":1,\"item\":[3,\"\"]}\n", 3),
        (Format::Adjacency, "1 2\n", 0),
        (Format::Netflix, "1,4,2005-09-06\n2:\n1,4,2005-09-06\n1,4\n1,x,2005-09-06\n1,4,2005-13-06\n", 4),
        (Format::Otto, "{\"session\":1,\"events\":[{\"aid\":2,\"ts\":3}]}\n{\"session\":2}\n{}\n", 2),
    ] {
        let data = read("a.txt", text, &ReadOptions { skip_bad_rows: bad, ..named(format) }).unwrap();
        assert_eq!(histories(&data), ["1: 2"], "{format:?}");
        assert_eq!(data.left_out().first().map_or(0, |left| left.rows), bad);
        let options = ReadOptions { skip_bad_rows: bad.saturating_sub(1), ..named(format) };
        assert_eq!(read("a.txt", text, &options).is_err(), bad > 0, "{format:?}");
    }
    // What is wrong with the file as a whole is no bad row.
    assert!(read("a.csv", "user\na\n", &plain(9)).is_err());
    let long = format!("user,item\na,{}\nb,x\n", "x".repeat(1 << 20));
    assert!(refusal(read("a.csv", long, &plain(9)), "INVALID_DATA").contains("the row is longer than 1048576 bytes"));
    let error = refusal(read("a.csv", "user,item\na\n", &plain(9)), "INVALID_DATA");
    assert!(error.starts_with("a.csv: no interactions left: all 1 rows are bad, such as "), "{error}");
}

#[test]
fn lists_of_items_are_rows_of_their_user() {
    let options = ReadOptions { item: "items".into(), ..ReadOptions::default() };
    let text = "{\"user\":\"u\",\"items\":[\"a\",18446744073709551616,7]}\n{\"items\":[],\"user\":\"nobody\"}\n{\"user\":\"v\",\"items\":[\"a\"]}\n";
    let data = read("h.ndjson", text, &options).unwrap();
    assert_eq!(histories(&data), ["u: a 18446744073709551616 7", "v: a"]);
    assert_eq!(data.left_out()[0].reason, "emptyHistories");
    for (text, what) in [
        ("{\"user\":\"u\",\"items\":[\"a\",\"\"]}", "h.ndjson:1:1: items[1] is empty; allowed: an id"),
        (
            "{\"user\":\"u\",\"items\":[1.5]}",
            "h.ndjson:1:24: invalid type: floating point `1.5`, expected a string or a whole number as items",
        ),
        (
            "{\"user\":\"u\",\"items\":[[1]]}",
            "h.ndjson:1:22: invalid type: sequence, expected a string or a whole number as items",
        ),
    ] {
        let error = refusal(read("h.ndjson", text, &options), "INVALID_DATA");
        assert!(error.starts_with(what), "{error}");
    }
    let rated = ReadOptions { value: Some("r".into()), ..options };
    let error = refusal(read("h.ndjson", "{\"user\":\"u\",\"items\":[1],\"r\":5}", &rated), "INVALID_DATA");
    assert!(error.contains("items is a list, whose items have no value of their own"), "{error}");

    let data = read("train.txt", "0 5 6\n1\n2 6\n", &named(Format::Adjacency)).unwrap();
    assert_eq!(
        (histories(&data), data.left_out()[0].reason),
        (vec!["0: 5 6".to_owned(), "2: 6".to_owned()], "emptyHistories")
    );
    let comma = ReadOptions { separator: Some(",".into()), ..named(Format::Adjacency) };
    assert_eq!(histories(&read("a.txt", "u,a b,c\n", &comma).unwrap()), ["u: a b c"]);
    assert_eq!(
        refusal(read("a.txt", "u,a,,c\n", &comma), "INVALID_DATA"),
        "a.txt:1:1: item 2 is empty; allowed: an id"
    );
}

#[test]
fn rows_outside_the_times_are_left_out() {
    let text = "user,item,at\na,x,2015-01-30T23:59:59Z\nb,x,2015-01-31\nb,y,2015-02-01 00:00:00\nc,x,2015-02-02T01:00:00+02:00\n";
    let date = |text: &str| Some(Moment::Date(text.into()));
    let timed = ReadOptions { time: Some("at".into()), ..ReadOptions::default() };
    let bounds = ReadOptions { since: date("2015-01-31"), until: date("2015-02-02"), ..timed.clone() };
    let data = read("a.csv", text, &bounds).unwrap();
    assert_eq!(histories(&data), ["b: x y", "c: x"]);
    assert_eq!((data.left_out()[0].reason, data.left_out()[0].rows), ("time", 1));
    // The end itself does not belong to it.
    let data = read("a.csv", text, &ReadOptions { until: date("2015-02-01"), ..timed.clone() }).unwrap();
    assert_eq!(data.times(), Some(&[1_422_662_399.0, 1_422_662_400.0][..]));

    // Numbers are compared in their own unit, and with dates in the one that is said.
    let numbers = "user,item,at\na,x,1422662399999\nb,x,1422662400000\n";
    let since = |since, time_unit| ReadOptions { since, time_unit, ..timed.clone() };
    for options in [
        since(Some(Moment::Number(1_422_662_400_000.0)), None),
        since(Some(Moment::Number(1_422_662_400_000.0)), Some(TimeUnit::Milliseconds)),
        since(date("2015-01-31"), Some(TimeUnit::Milliseconds)),
    ] {
        assert_eq!(histories(&read("a.csv", numbers, &options).unwrap()), ["b: x"]);
    }
    let error = refusal(read("a.csv", numbers, &since(date("2015-01-31"), None)), "INVALID_DATA");
    assert!(
        error.starts_with("a.csv:2:3: at is 1422662399999, which lies far from any date if it counts seconds"),
        "{error}"
    );
    // A row whose date is certain shows a bound in another unit, too.
    let dated = refusal(read("a.csv", text, &since(Some(Moment::Number(1_422_662_400_000.0)), None)), "INVALID_DATA");
    assert!(dated.starts_with("a.csv:2:3: at is a date (1422662399 in seconds), and since is 1422662400000, which"));
    let error = refusal(read("a.csv", "user,item,at\na,x,soon\n", &timed), "INVALID_DATA");
    assert_eq!(
        error,
        "a.csv:2:3: at is 'soon'; allowed: a number, or a date such as 2015-01-31 or 2015-01-31T12:30:00Z"
    );
    let error = refusal(read("a.ndjson", "{\"user\":1,\"item\":2,\"at\":\"soon\"}", &timed), "INVALID_DATA");
    assert!(
        error.contains("invalid value: string \"soon\", expected a number or a date such as 2015-01-31 as at"),
        "{error}"
    );
    let data =
        read("a.ndjson", "{\"user\":1,\"item\":2,\"at\":\"1970-01-02\"}\n{\"user\":1,\"item\":3,\"at\":5}", &timed);
    assert_eq!(data.unwrap().times(), Some(&[86_400.0, 5.0][..]));
}

#[test]
fn times_in_another_unit_than_the_said_one_are_noticed() {
    let options = |since: Option<Moment>, until: Option<Moment>, time_unit| ReadOptions {
        time: Some("at".into()),
        since,
        until,
        time_unit,
        ..ReadOptions::default()
    };
    let (date, number) = (|text: &str| Some(Moment::Date(text.into())), |number| Some(Moment::Number(number)));
    let rows = |times: [f64; 2]| format!("user,item,at\na,x,{}\nb,x,{}\n", times[0], times[1]);
    let (seconds, [millis, micros]) =
        ([1.4e9, 1.5e9], [1e3, 1e6].map(|per_second| [1.4e9, 1.5e9].map(|s| per_second * s)));
    let said = |unit| [options(date("2016-01-01"), None, unit), options(None, date("2016-01-01"), unit)];
    let (ms, s) = (Some(TimeUnit::Milliseconds), Some(TimeUnit::Seconds));
    let far = "lies far from any date if it counts";
    let early = "lies before April 1973 if it counts milliseconds, and looks like seconds";
    for (all, times, what) in [
        (said(None), millis, format!("{far} seconds")),
        (said(s), micros, format!("{far} seconds")),
        (said(ms), micros, format!("{far} milliseconds")),
        (said(ms), seconds, early.to_owned()),
        // A number that is a date is one.
        ([options(number(1.45e9), None, None), options(None, number(1.45e9), s)], millis, format!("{far} seconds")),
        ([options(number(1.45e12), None, ms), options(None, number(1.45e12), ms)], seconds, early.to_owned()),
    ] {
        for options in all {
            let error = refusal(read("a.csv", rows(times), &options), "INVALID_DATA");
            let start = format!("a.csv:2:3: at is {}, which {what}; allowed with these since and until: ", times[0]);
            assert!(error.starts_with(&start), "{error}");
        }
    }
    // The bounds themselves, where the unit is known.
    for (options, text) in [
        (options(number(1.45e9), None, ms), format!("since is 1450000000, which {early}; allowed: ")),
        (options(None, number(1.45e15), ms), format!("until is 1450000000000000, which {far} milliseconds; allowed: ")),
        (options(None, number(1.45e12), s), format!("until is 1450000000000, which {far} seconds; allowed: ")),
        (
            options(date("2015-01-01"), number(1.45e12), None),
            format!("until is 1450000000000, which {far} seconds; allowed: "),
        ),
    ] {
        let error = refusal(read("a.csv", rows(seconds), &options), "INVALID_ARGUMENT");
        assert!(error.starts_with(&text), "{error}");
    }
    // In another unit than it is said to be, which rows show that are dates.
    let error = refusal(read("a.csv", rows(seconds), &options(None, number(1.45e12), None)), "INVALID_DATA");
    assert!(error.contains("until is 1450000000000, which lies far from any date if it counts seconds"), "{error}");

    // What is an order alone has any unit, and so have times of 1971 beside a date of that year.
    for unit in [None, s, ms] {
        for options in [options(number(2.0), None, unit), options(number(2.0), number(9.0), unit)] {
            assert_eq!(histories(&read("a.csv", rows([1.0, 2.0]), &options).unwrap()), ["b: x"]);
        }
    }
    assert_eq!(histories(&read("a.csv", rows(micros), &options(number(1.45e15), None, None)).unwrap()), ["b: x"]);
    let old = options(date("1971-01-01"), None, ms);
    assert_eq!(histories(&read("a.csv", rows([3.0e10, 4.0e10]), &old).unwrap()), ["b: x"]);
    assert_eq!(histories(&read("a.csv", rows(millis), &options(date("2016-01-01"), None, ms)).unwrap()), ["b: x"]);
}

#[test]
fn bounds_that_leave_nothing_are_named() {
    let options = |since: Option<Moment>, until: Option<Moment>| ReadOptions {
        time: Some("at".into()),
        since,
        until,
        ..ReadOptions::default()
    };
    let (date, number) = (|text: &str| Some(Moment::Date(text.into())), |number| Some(Moment::Number(number)));
    // Before anything is read: the file is none.
    for (since, until, text) in [
        (
            date("2015-02-01"),
            date("2015-01-31"),
            "since is 2015-02-01; allowed: a time before until, which is 2015-01-31",
        ),
        (number(5.0), number(5.0), "since is 5; allowed: a time before until, which is 5"),
        (date("1970-01-03"), number(86_400.0), "since is 1970-01-03; allowed: a time before until, which is 86400"),
    ] {
        let error = read_files_until(
            &[PathBuf::from("none.csv")],
            &options(since, until),
            &Thresholds::default(),
            &Cancel::default(),
        );
        assert_eq!(refusal(error, "INVALID_ARGUMENT"), text);
    }
    let text = "user,item,at,stars\na,x,4,5\nb,x,2,1\nb,y,3,5\n";
    let rated = |options| ReadOptions { value: Some("stars".into()), min_value: Some(4.0), ..options };
    for (options, filters) in [
        (options(number(5.0), None), "since"),
        (options(None, number(2.0)), "until"),
        (options(number(5.0), number(9.0)), "since and until"),
        (rated(options(number(5.0), None)), "minValue and since"),
        (rated(options(number(5.0), number(9.0))), "minValue, since and until"),
    ] {
        assert_eq!(
            refusal(read("a.csv", text, &options), "INVALID_DATA"),
            format!("a.csv: no interactions left: all 3 rows lie outside {filters} (the times run from 2 to 4)")
        );
    }
}

#[test]
fn times_stay_with_their_interactions() {
    let timed = ReadOptions { time: Some("at".into()), ..ReadOptions::default() };
    // The earliest of a pair stays, wherever it stands; thresholds take times along.
    let text = "user,item,at\na,x,5\na,y,9\nb,y,2\na,y,3\nb,z,1\nb,x,4\n";
    let data = read("a.csv", text, &timed).unwrap();
    assert_eq!(histories(&data), ["a: x y", "b: x y z"]);
    assert_eq!(data.times(), Some(&[5.0, 3.0, 4.0, 2.0, 1.0][..]));
    let (_folder, paths) = files(&[("a.csv", text.as_bytes())]);
    let two = Thresholds { min_user: 1, min_item: 2 };
    let data = read_files_until(&paths, &timed, &two, &Cancel::default()).unwrap();
    assert_eq!(
        (histories(&data), data.times()),
        (vec!["a: x y".to_owned(), "b: x y".to_owned()], Some(&[5.0, 3.0, 4.0, 2.0][..]))
    );
}

#[test]
fn published_files_that_are_broken_are_refused_with_their_line() {
    for (format, text, what) in [
        (Format::MovieLens1M, "1::2::5::3\n1:2:5:3\n", "a.txt:2: the row has 1 field; allowed: 4, as in the first row"),
        (Format::MovieLens100K, "1 2 5 3\n", "a.txt:1: there is no column 2; allowed: from 1 to 1"),
        (Format::MovieLens100K, "1\t2\tx\t3\n", "a.txt:1:3: value is 'x'; allowed: a finite number"),
        (
            Format::MovieLens20M,
            "userId,movieId,tag\n1,2,x\n",
            "a.txt:1: there is no column 'rating' among 'userId', 'movieId', 'tag'; name it by the option value",
        ),
        (
            Format::Netflix,
            "1488844,3,2005-09-06\n",
            "a.txt:1: '1488844,3,2005-09-06' stands below no film; allowed: a line such as '1:' before its ratings",
        ),
        (Format::Netflix, ":\n", "a.txt:1:1: the film is empty; allowed: an id"),
        (
            Format::Netflix,
            "1:\n1046323,2005-12-19\n",
            "a.txt:2: '1046323,2005-12-19' is no rating; allowed: user,rating,date",
        ),
        (Format::Netflix, "1:\n,3,2005-12-19\n", "a.txt:2:1: user is empty; allowed: an id"),
        (Format::Netflix, "1:\n5,x,2005-12-19\n", "a.txt:2:2: rating is 'x'; allowed: a finite number"),
        (
            Format::Netflix,
            "1:\n5,3,soon\n",
            "a.txt:2:3: date is 'soon'; allowed: a number, or a date such as 2015-01-31 or 2015-01-31T12:30:00Z",
        ),
        (Format::Otto, "{\"session\":1}", "a.txt:1:13: missing field `events`, in: {\"session\":1}"),
        (Format::Otto, "{\"events\":[]}", "a.txt:1:13: missing field `session`, in: {\"events\":[]}"),
        (
            Format::Otto,
            "{\"session\":1,\"events\":[{\"aid\":-1,\"ts\":3}]}",
            "a.txt:1:32: invalid value: integer `-1`, expected u64, in: ",
        ),
        (Format::Otto, "[1]", "a.txt:1:0: invalid type: sequence, expected a session and its events, in: [1]"),
        (Format::Adjacency, "1\n", "a.txt: there are no rows; allowed: one per interaction"),
    ] {
        let error = refusal(read("a.txt", text, &named(format)), "INVALID_DATA");
        assert!(error.starts_with(what) || error.replace(":1:1:", ":1:0:").starts_with(what), "{format:?}: {error}");
        // Looking at the rows without a builder refuses the same.
        let (_folder, paths) = files(&[("a.txt", text.as_bytes())]);
        if format == Format::Netflix || format == Format::Otto {
            assert!(check_files_until(&paths, &named(format), &Cancel::default()).is_err());
        }
    }
}

#[test]
fn columns_of_another_reader_are_under_the_same_options() {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let (users, items) = (texts(&["u", "u", "v"]), texts(&["a", "b", "a"]));
    let batch = Batch { users: IdColumn::Text(&users), items: IdColumn::Text(&items), values: None, timestamps: None };
    let read = |options: &ReadOptions, times: TimeColumn<'_>, lengths: Option<&[usize]>| {
        let mut rows = ColumnRows::new(options, Thresholds::default(), None)?;
        rows.push(&batch, Some(times), lengths)?;
        rows.finish()
    };
    let since = |since: Moment, unit| ReadOptions {
        time: Some("at".into()),
        since: Some(since),
        time_unit: unit,
        ..ReadOptions::default()
    };
    let day = since(Moment::Date("1970-01-02".into()), None);
    let (dates, numbers) = (texts(&["1970-01-01", " 86400 ", "1970-01-02T00:00"]), [0.0, 86_400.0, 86_401.0]);
    let millis = numbers.map(|seconds| 1000.0 * seconds);
    for times in [
        TimeColumn::Text(&dates),
        TimeColumn::Numbers(&numbers, None),
        TimeColumn::Numbers(&millis, Some(1000.0)),
        TimeColumn::Days(&[0.0, 1.0, 2.0]),
    ] {
        assert_eq!(histories(&read(&day, times, None).unwrap()), ["u: b", "v: a"]);
    }
    let unit = since(Moment::Number(86_400_000.0), Some(TimeUnit::Milliseconds));
    let found = read(&unit, TimeColumn::Numbers(&millis, None), None).unwrap();
    assert_eq!((histories(&found), found.times()), (vec!["u: b".into(), "v: a".into()], Some(&numbers[1..])));
    // A row has a list: two items, none and one.
    let lists = read(&day, TimeColumn::Numbers(&[86_400.0, 0.0, 86_400.0], None), Some(&[2, 0, 1])).unwrap();
    assert_eq!(histories(&lists), ["u: a b", "v: a"]);
    assert_eq!(lists.left_out().iter().map(|lost| lost.reason).collect::<Vec<_>>(), ["emptyHistories"]);

    let part = ReadOptions { part: Some("fold".into()), ..ReadOptions::default() };
    let folds = texts(&["train", "valid", "test"]);
    let found = read(&part, TimeColumn::Text(&folds), None).unwrap();
    assert_eq!((found.parts(), found.times()), (Some(&[0.0, 1.0, 2.0][..]), None));

    let error = |options, times, text: &str| {
        assert_eq!(refusal(read(options, times, None), "INVALID_DATA"), text);
    };
    error(&day, TimeColumn::Numbers(&[0.0, f64::NAN, 0.0], None), "at in row 1 is null; allowed: a time");
    error(&part, TimeColumn::Numbers(&[0.0; 3], None), "fold in row 0 is a number; allowed: text");
    error(
        &part,
        TimeColumn::Text(&texts(&["train", "test", "tests"])),
        "fold in row 2 is 'tests'; allowed: train, validation, valid, val, dev, test",
    );
    let two = ReadOptions { time: Some("at".into()), ..part };
    let error = ColumnRows::new(&two, Thresholds::default(), None).unwrap_err();
    assert_eq!(error.to_string(), "part is 'fold'; allowed: only without time");
}
