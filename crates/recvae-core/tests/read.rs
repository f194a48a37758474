//! Reading files: what is understood, and what is refused with which words.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::PathBuf;

use proptest::prelude::*;
use recvae_core::{Format, Interactions, ReadOptions, Result, Thresholds, dataset, debian, read_interactions};
use tempfile::TempDir;

fn file(name: &str, content: &[u8]) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn read(name: &str, content: impl AsRef<[u8]>, options: &ReadOptions) -> Result<Interactions> {
    let (_folder, path) = file(name, content.as_ref());
    read_interactions(path, options, &Thresholds::default())
}

fn rated(min_value: f64) -> ReadOptions {
    ReadOptions { value: Some("rating".into()), min_value: Some(min_value), ..ReadOptions::default() }
}

fn expected() -> Interactions {
    let none = Thresholds::default();
    Interactions::from_columns(&["a", "b", "a"], &["x", "x", "y,\"z"], None, None, &none).unwrap()
}

#[test]
fn every_format_gives_the_same() {
    let csv = "item,user\nx,a\nx,b\n\"y,\"\"z\",a\n";
    let tsv = "user\titem\na\tx\nb\tx\na\ty,\"z\n";
    let json = r#"
{"user":"a","item":"x","more":{"user":[1,"q"]}}

{"item":"x","user":"b"}
  {"user":"\u0061","item":"y,\"z"}"#;
    let crlf = |text: &str| text.replace('\n', "\r\n");
    let bom = |text: &str| format!("\u{feff}{text}");
    let plain = ReadOptions::default();
    for (name, text) in [("a.csv", csv), ("a.TSV", tsv), ("a.ndjson", json), ("a.jsonl", json)] {
        for text in [text.to_owned(), crlf(text), bom(text), bom(&crlf(text)), text.trim_end().to_owned()] {
            assert_eq!(read(name, &text, &plain).unwrap(), expected(), "{name}");
            assert_eq!(read(&format!("{name}.gz"), gzip(text.as_bytes()), &plain).unwrap(), expected(), "{name}.gz");
            // Compression is seen from the content, and members of gzip may follow each other.
            let (one, two) = text.as_bytes().split_at(text.len() / 2);
            assert_eq!(read(name, [gzip(one), gzip(two)].concat(), &plain).unwrap(), expected(), "{name}, two members");
        }
    }
    let explicit = ReadOptions { format: Some("tsv".parse().unwrap()), ..plain };
    assert_eq!(read("a.csv", tsv, &explicit).unwrap(), expected());
}

#[test]
fn whole_numbers_are_ids_in_json() {
    let data = read(
        "a.ndjson",
        "{\"user\":1,\"item\":-2}\n{\"user\":\"1\",\"item\":18446744073709551615}",
        &ReadOptions::default(),
    );
    assert_eq!(data.unwrap().history("1").unwrap(), ["-2", "18446744073709551615"]);
}

#[test]
fn rows_below_the_minimum_leave_no_trace() {
    for (name, text) in [
        ("a.csv", "user,item,rating\na,x, 4 \nb,y,3.9\na,z,1e1\n"),
        (
            "a.jsonl",
            "{\"user\":\"a\",\"item\":\"x\",\"rating\":4}\n{\"user\":\"b\",\"item\":\"y\",\"rating\":3.9}\n{\"user\":\"a\",\"item\":\"z\",\"rating\":1e1}",
        ),
    ] {
        let data = read(name, text, &rated(4.0)).unwrap();
        assert_eq!(data.users().iter().collect::<Vec<_>>(), ["a"]);
        assert_eq!(data.items().iter().collect::<Vec<_>>(), ["x", "z"]);
        assert_eq!(read(name, text, &ReadOptions::default()).unwrap().n_interactions(), 3);
        let error = read(name, text, &rated(11.0)).unwrap_err().to_string();
        assert!(error.ends_with("no interactions left: the values of all 3 rows lie below minValue"), "{error}");
    }
}

/// The message without the folder.
fn refusal(name: &str, content: &[u8], options: &ReadOptions, code: &str) -> String {
    let (folder, path) = file(name, content);
    let error = read_interactions(&path, options, &Thresholds::default()).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    error.to_string().replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn bad_tables_are_refused_with_file_line_and_column() {
    let plain = ReadOptions::default();
    let value = rated(4.0);
    for (content, options, text) in [
        ("", &plain, "a.csv: the file is empty; allowed: a header line and rows"),
        ("\n\r\n", &plain, "a.csv: the file is empty; allowed: a header line and rows"),
        ("user,item\n", &plain, "a.csv: there are no rows; allowed: one per interaction"),
        (
            "uid,item\n1,2\n",
            &plain,
            "a.csv:1: there is no column 'user' among 'uid', 'item'; name it by the option user",
        ),
        (
            "user,sid\n1,2\n",
            &plain,
            "a.csv:1: there is no column 'item' among 'user', 'sid'; name it by the option item",
        ),
        (
            "user,item\n1,2\n",
            &value,
            "a.csv:1: there is no column 'rating' among 'user', 'item'; name it by the option value",
        ),
        (
            "user,user,item\n",
            &plain,
            "a.csv:1:2: column 'user' occurs twice; allowed: once, or another one by the option user",
        ),
        ("user,item\n1,2\n\n,3\n", &plain, "a.csv:4:1: user is empty; allowed: an id"),
        ("user,item\n1,2\n1,\"\"\n", &plain, "a.csv:3:2: item is empty; allowed: an id"),
        ("user,item\n1,2\n1,2,3\n", &plain, "a.csv:3: the row has 3 fields; allowed: 2, as in the header"),
        ("user,item,more\n1,2,\"1\n\"\n1\n", &plain, "a.csv:4: the row has 1 field; allowed: 3, as in the header"),
        (
            "user,item\n1,2\n1,\"2\n1,3\n",
            &plain,
            "a.csv:3:2: an id runs over the end of the line, from '2'; is a quote left open?",
        ),
        ("user,item,rating\n1,2,4\n1,2,x\n", &value, "a.csv:3:3: rating is 'x'; allowed: a finite number"),
        ("rating,user,item\n,1,2\n", &value, "a.csv:2:1: rating is ''; allowed: a finite number"),
        ("user,item,rating\n1,2,NaN\n", &value, "a.csv:2:3: rating is 'NaN'; allowed: a finite number"),
    ] {
        assert_eq!(refusal("a.csv", content.as_bytes(), options, "INVALID_DATA"), text);
        let crlf = content.replace('\n', "\r\n").replace("\r\r", "\r");
        assert_eq!(refusal("a.csv", crlf.as_bytes(), options, "INVALID_DATA"), text, "with CRLF");
        let text = text.replacen("a.csv", "a.csv.gz", 1);
        assert_eq!(refusal("a.csv.gz", &gzip(content.as_bytes()), options, "INVALID_DATA"), text);
    }
    assert_eq!(
        refusal("a.csv", b"user,item\n1,2\n1,\xff2\n", &plain, "INVALID_DATA"),
        "a.csv:3:2: item is '\u{fffd}2'; allowed: UTF-8"
    );
    let open = format!("user,item\n1,2\n\"1,2\n{}", "1,2\n".repeat(50_000));
    assert_eq!(
        refusal("a.csv", open.as_bytes(), &plain, "INVALID_DATA"),
        "a.csv:3: the row has 1 field; allowed: 2, as in the header"
    );
    let open = format!("user,item\n1,2\n1,\"2\n{}", "1,2\n".repeat(50_000));
    assert_eq!(
        refusal("a.csv", open.as_bytes(), &plain, "INVALID_DATA"),
        "a.csv:3:2: an id runs over the end of the line, from '2'; is a quote left open?"
    );
    let (_folder, path) = file("a.csv", b"user,item\n1,2\n");
    let few = Thresholds { min_user: 3, min_item: 0 };
    let error = read_interactions(&path, &plain, &few).unwrap_err();
    assert_eq!(error.code(), "INVALID_DATA");
    assert!(
        error.to_string().ends_with(
            "a.csv: no interactions left: minUser 3 and minItem 0 remove all 1 interactions of 1 users and 1 items; \
             allowed: lower thresholds"
        ),
        "{error}"
    );
}

#[test]
fn lines_are_counted_over_many_blocks() {
    // Around 262,144 bytes, where one block that is read ends and the next begins.
    for rows in (32_760..32_775).chain([200_000]) {
        let content = format!("user,item\r\n{}\r\n\r\n\r\n,2\r\n", "10,2\r\n\r\n".repeat(rows));
        let text = format!("a.csv:{}:1: user is empty; allowed: an id", 2 * rows + 5);
        assert_eq!(refusal("a.csv", content.as_bytes(), &ReadOptions::default(), "INVALID_DATA"), text);
    }
}

#[test]
fn bad_json_is_refused_with_file_line_and_column() {
    let plain = ReadOptions::default();
    let good = "{\"user\":1,\"item\":2,\"rating\":5}\n";
    for (line, text) in [
        ("", "a.jsonl: there are no rows; allowed: one per interaction"),
        ("[1,2]", "a.jsonl:2:1: invalid type: sequence, expected a JSON object, in: [1,2]"),
        ("user,item", "a.jsonl:2:1: expected value, in: user,item"),
        (r#"{"user":1"#, r#"a.jsonl:2:9: EOF while parsing an object, in: {"user":1"#),
        (r#"{"user":1,"item":2}{}"#, r#"a.jsonl:2:20: trailing characters, in: {"user":1,"item":2}{}"#),
        (r#"{"uid":1,"item":2}"#, "a.jsonl:2: there is no key 'user' among 'item', 'uid'; name it by the option user"),
        ("{}", "a.jsonl:2: there is no key 'user' among no keys; name it by the option user"),
        (
            r#"{"user":1,"item":2}"#,
            "a.jsonl:2: there is no key 'rating' among 'item', 'user'; name it by the option value",
        ),
        (r#"{"user":1,"user":2}"#, r#"a.jsonl:2:16: key 'user' occurs twice, in: {"user":1,"user":2}"#),
        (r#"{"user":"","item":2,"rating":1}"#, "a.jsonl:2:1: user is empty; allowed: an id"),
        (
            r#"{"user":1.5,"item":2}"#,
            "a.jsonl:2:11: invalid type: floating point `1.5`, expected a string or a whole number as user, \
             in: {\"user\":1.5,\"item\":2}",
        ),
        (
            r#"{"user":1,"item":18446744073709551616}"#,
            "a.jsonl:2:37: a number beyond 64 bits as item; allowed: a string or a whole number of at most 64 bits, \
             in: {\"user\":1,\"item\":18446744073709551616}",
        ),
        (
            r#"{"user":1,"item":null}"#,
            "a.jsonl:2:21: invalid type: null, expected a string or a whole number as item, \
             in: {\"user\":1,\"item\":null}",
        ),
        (
            r#"{"rating":"5"}"#,
            r#"a.jsonl:2:13: invalid type: string "5", expected a number as rating, in: {"rating":"5"}"#,
        ),
    ] {
        let (content, options) = match line {
            "" => (String::from("\n \r\n"), &plain),
            line => (format!("{good}{line}\n"), &rated(1.0)),
        };
        assert_eq!(refusal("a.jsonl", content.as_bytes(), options, "INVALID_DATA"), text);
    }
    let invalid = refusal("a.jsonl", b"{\"user\":\"\xff\",\"item\":1}\n", &plain, "INVALID_DATA");
    assert!(invalid.starts_with("a.jsonl:1:"), "{invalid}");
    assert_eq!(
        refusal("a.jsonl", &[b' '; 3 << 20], &plain, "INVALID_DATA"),
        "a.jsonl:1: the line is longer than 1048576 bytes; allowed: one JSON object per line"
    );
}

#[test]
fn files_that_cannot_be_read_are_refused() {
    let plain = ReadOptions::default();
    let text: String = (0..20_000).map(|n| format!("{},{}\n", n * 7919 % 1000, n * 104_729 % 997)).collect();
    let compressed = gzip(format!("user,item\n{text}").as_bytes());
    for broken in [&compressed[..compressed.len() / 2], &compressed[..compressed.len() - 3], &compressed[..5]] {
        let error = refusal("a.csv.gz", broken, &plain, "INVALID_DATA");
        assert!(error.contains("the gzip stream is broken or cut off"), "{error}");
    }
    let mut flipped = compressed.clone();
    flipped[compressed.len() / 2] ^= 0x55;
    let code = read("a.csv.gz", &flipped, &plain).unwrap_err().code();
    assert_eq!(code, "INVALID_DATA");
    let garbage = [&compressed[..], b"garbage"].concat();
    refusal("a.csv.gz", &garbage, &plain, "INVALID_DATA");

    let folder = TempDir::new().unwrap();
    let csv = ReadOptions { format: Some(Format::Csv), ..plain.clone() };
    assert_eq!(read_interactions(folder.path(), &csv, &Thresholds::default()).unwrap_err().code(), "IO");
    assert_eq!(
        read_interactions(folder.path().join("gone.csv"), &plain, &Thresholds::default()).unwrap_err().code(),
        "IO"
    );
}

#[test]
fn contradicting_options_are_refused() {
    let plain = ReadOptions::default();
    let same = ReadOptions { item: "user".into(), ..plain.clone() };
    let value = ReadOptions { value: Some("item".into()), ..plain.clone() };
    let alone = ReadOptions { min_value: Some(4.0), ..plain.clone() };
    for (name, options, text) in [
        ("a.csv", &same, "item is 'user'; allowed: a column other than user"),
        ("a.csv", &value, "value is 'item'; allowed: a column other than user and item"),
        ("a.csv", &alone, "minValue is 4; allowed: only with the option value, which names its column"),
        ("a.csv", &rated(f64::NAN), "minValue is NaN; allowed: a number"),
        (
            "a.txt.gz",
            &plain,
            "format is not clear from the name 'a.txt.gz'; allowed: a name in .csv, .tsv, .ndjson or .jsonl (or these \
             with .gz), or the option format: csv, tsv or ndjson",
        ),
    ] {
        assert_eq!(read_interactions(name, options, &Thresholds::default()).unwrap_err().to_string(), text);
    }
    assert_eq!("CSV".parse::<Format>().unwrap_err().to_string(), "format is 'CSV'; allowed: csv, tsv or ndjson");
}

#[test]
fn the_built_in_data_set_is_whole() {
    let data = debian().unwrap();
    assert_eq!((data.n_users(), data.n_items(), data.n_interactions()), (11_663, 4_456, 138_406));
    assert!(data.history("gimp").unwrap().contains(&"libgtk2.0-0"));
    assert_eq!(dataset("debian").unwrap(), data);
    assert_eq!(dataset("movielens").unwrap_err().to_string(), "data set is 'movielens'; allowed: debian");
}

/// A field as the most careful and as the laziest writer would put it.
fn quoted(field: &str, always: bool) -> String {
    match always || field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

proptest! {
    #[test]
    fn written_rows_are_read_back(
        rows in prop::collection::vec(("[a-c\",é ]{1,3}", "[x-z',\"]{1,2}", -2.0f64..2.0), 1..40),
        order in Just(vec!["user", "item", "rating", "more"]).prop_shuffle(),
        always in any::<bool>(), crlf in any::<bool>(), compressed in any::<bool>(),
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let mut csv = order.join(",") + end;
        let mut json = String::new();
        for (user, item, value) in &rows {
            let value = value.to_string();
            let fields: Vec<_> = order.iter().map(|&name| match name {
                "user" => quoted(user, always),
                "item" => quoted(item, always),
                "rating" => quoted(&value, always),
                _ => quoted("a\nb", always),
            }).collect();
            csv += &(fields.join(",") + end);
            json += &(serde_json::json!({"user": user, "item": item, "rating": rows[0].2.max(0.0), "more": null}).to_string() + end);
        }
        let (users, (items, values)): (Vec<_>, (Vec<_>, Vec<_>)) =
            rows.iter().map(|(user, item, value)| (user, (item, *value))).unzip();
        let pack = |text: String| if compressed { gzip(text.as_bytes()) } else { text.into_bytes() };
        let none = Thresholds::default();
        let wanted = Interactions::from_columns(&users, &items, Some(&values), Some(0.0), &none);
        match (read("a.csv", pack(csv), &rated(0.0)), wanted) {
            (Ok(got), Ok(wanted)) => prop_assert_eq!(got, wanted),
            (got, wanted) => prop_assert!(got.is_err() && wanted.is_err()),
        }
        let all = Interactions::from_columns(&users, &items, None, None, &none).unwrap();
        prop_assert_eq!(read("a.ndjson", pack(json), &ReadOptions::default()).unwrap(), all);
    }

    /// Whatever the bytes are, the answer is a result or an error.
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), gz in any::<bool>(), text in "[ui,\"\n\r\\{}:1]{0,60}") {
        for name in ["a.csv", "a.tsv", "a.jsonl"] {
            for start in ["", "user,item\n", "user\titem\n", "{\"user\":"] {
                let content = [start.as_bytes(), text.as_bytes(), &bytes].concat();
                let content = if gz { gzip(&content) } else { content };
                let _ = read(name, &content, &ReadOptions::default());
            }
        }
    }
}

#[test]
fn a_row_without_end_is_refused_before_it_fills_the_memory() {
    let plain = ReadOptions::default();
    let text = |error: Result<Interactions>| error.unwrap_err().to_string();
    let long = format!("user,item\na,x\nb,{}", "y".repeat(2 << 20));
    for (name, content) in [("a.csv", long.clone().into_bytes()), ("a.csv.gz", gzip(long.as_bytes()))] {
        let error = text(read(name, content, &plain));
        let expected = format!("{name}:3: the row is longer than 1048576 bytes; allowed: less (is a quote left open?)");
        assert!(error.ends_with(&expected), "{error}");
    }
    // A gigabyte out of a megabyte: it ends after the first few blocks.
    let bomb = gzip(&[b"user,item\n", &vec![b'x'; 1 << 27][..]].concat());
    assert!(text(read("a.csv.gz", bomb, &plain)).contains("the row is longer"));
    assert!(text(read("a.csv", vec![b','; 3 << 20], &plain)).contains("the row is longer"));
    // Many rows of a megabyte together are none of that.
    let rows: String = (0..40_000).map(|row| format!("user {row},{}\n", "item".repeat(8))).collect();
    assert_eq!(read("a.csv", format!("user,item\n{rows}"), &plain).unwrap().n_users(), 40_000);
}

#[test]
fn names_in_messages_are_short() {
    let name = "n".repeat(100_000);
    let error = read("a.csv", format!("{name},item\na,x\n"), &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.len() < 300 && error.contains("there is no column 'user' among 'nnn"), "{error}");
    let error = read("a.ndjson", format!("{{\"{name}\":1}}"), &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.len() < 300 && error.contains("there is no key 'user' among 'nnn"), "{error}");
}
