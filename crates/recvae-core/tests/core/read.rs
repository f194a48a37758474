//! Reading files: what is understood, and what is refused with which words.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::PathBuf;

use proptest::prelude::*;
use recvae_core::{
    Cancel, Escape, Format, Interactions, ReadOptions, Result, Thresholds, check_files_until, dataset, debian,
    read_files_until, read_interactions,
};
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
    // Of any size: neighbours are two ids.
    let text = r#"{"more":{"user":[3,"}",{"item":4}]},"it\u0065m":18446744073709551616 ,"user":-9223372036854775809}
{"item":"user","user":18446744073709551617}
{"a\"b":"item","item" : 123456789012345678901234567890,"user":18446744073709551617}"#;
    let data = read("a.ndjson", text, &ReadOptions::default()).unwrap();
    assert_eq!(data.history("-9223372036854775809").unwrap(), ["18446744073709551616"]);
    assert_eq!(data.history("18446744073709551617").unwrap(), ["user", "123456789012345678901234567890"]);
    let data = read("a.ndjson", r#"{"user":1,"item":-0}"#, &ReadOptions::default()).unwrap();
    assert_eq!(data.history("1").unwrap(), ["0"]);
    for number in ["0.0", "0e1", "1e19", "-1e300", "18446744073709551616.5"] {
        let error = read("a.ndjson", format!("{{\"user\":1,\"item\":{number}}}"), &ReadOptions::default());
        let error = error.unwrap_err().to_string();
        assert!(error.ends_with(&format!("item is {number}; allowed: a string or a whole number")), "{error}");
    }
}

#[test]
fn items_are_lists_in_all_rows_or_in_none() {
    let plain = ReadOptions::default();
    let list = r#"{"user":"a","item":["x","y"]}"#;
    let single = r#"{"user":"b","item":"x"}"#;
    for (text, what) in [
        (
            format!("{list}\n{single}"),
            "a.ndjson:2: item is a single id, and a list in the rows before; allowed: one of them",
        ),
        (
            format!("{single}\n\n{list}"),
            "a.ndjson:3: item is a list, and a single id in the rows before; allowed: one of them",
        ),
    ] {
        assert_eq!(refusal("a.ndjson", text.as_bytes(), &plain, "INVALID_DATA"), what);
    }
    // A row that is skipped says nothing of the others.
    let skip = ReadOptions { skip_bad_rows: 1, ..plain };
    let text = format!("{}\n{list}", r#"{"user":"","item":"x"}"#);
    assert_eq!(read("a.ndjson", text, &skip).unwrap().history("a").unwrap(), ["x", "y"]);
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
            "user;item\n1;2\n",
            &plain,
            "a.csv:1: there is no column 'user' among 'user;item'; the header has one column, and ';' may be what separates its \
             fields; name it by the option user, or give the separator by the option separator",
        ),
        (
            "user\titem\n1\t2\n",
            &plain,
            "a.csv:1: there is no column 'user' among 'user\titem'; the header has one column, and '\\t' may be what separates its \
             fields; name it by the option user, or give the separator by the option separator",
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
            "user,item\n1,2\n1,\"2\n1,3\"\n",
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
        let cr = content.replace("\r\n", "\n").replace('\n', "\r");
        assert_eq!(refusal("a.csv", cr.as_bytes(), options, "INVALID_DATA"), text, "with CR");
        let text = text.replacen("a.csv", "a.csv.gz", 1);
        assert_eq!(refusal("a.csv.gz", &gzip(content.as_bytes()), options, "INVALID_DATA"), text);
    }
    assert_eq!(
        refusal("a.csv", b"user,item\n1,2\n1,\xff2\n", &plain, "INVALID_DATA"),
        "a.csv:3:2: item is '\u{fffd}2'; allowed: UTF-8"
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

/// What stands behind `a quote is opened here, and`.
const ALLOWED: &str = "; allowed: a closing quote at the end of the field, and quotes inside it doubled (RFC 4180), or the \
                       option escape: backslash";
const INSIDE: &str = "there is a quote inside a field that does not begin with one; allowed: a field in quotes, with quotes \
                      inside it doubled (RFC 4180)";

#[test]
fn a_quote_out_of_place_is_refused_where_it_was_opened_in_any_column() {
    let plain = ReadOptions::default();
    let opened = |at: &str, what: &str| format!("a.csv:{at}: a quote is opened here, and {what}{ALLOWED}");
    let (ends, follows) = ("the input ends", "text follows a closing quote");
    let many = "1,2,t\n".repeat(50_000);
    for (content, text) in [
        ("user,item,title\n1,2,\"open\n1,3,t\n".to_owned(), opened("2:3", ends)),
        ("user,item\n1,\"2".to_owned(), opened("2:2", ends)),
        ("user,item\n1,\"2\"\"".to_owned(), opened("2:2", ends)),
        ("user,\"item\n1,2\n".to_owned(), opened("1:2", ends)),
        ("user,item,title\n1,2,\"a\"b\n".to_owned(), opened("2:3", follows)),
        ("user,item,title\n1,2,\"a\" \n".to_owned(), opened("2:3", follows)),
        // The quote that was left open meets the next one, lines below.
        ("user,item,title\n1,2,t\n\n1,2,\"open\n1,3,t\n1,4,\"closed\"\n".to_owned(), opened("4:3", follows)),
        ("user,item\n\"abc,2\nu2,i2\nu3,\"def\nghi\"".to_owned(), opened("2:1", follows)),
        ("user,item,title\n1,2,\"two\nlines\"\n1,2,\"a\"b\n".to_owned(), opened("4:3", follows)),
        (
            r#"user,item,title
1,2,"a \" b"
"#
            .to_owned(),
            opened("2:3", follows),
        ),
        ("user,item,title\n1,2,5\" disk\n".to_owned(), format!("a.csv:2:3: {INSIDE}")),
        ("user,item,title\n1,2, \"t\"\n".to_owned(), format!("a.csv:2:3: {INSIDE}")),
        (format!("user,item,title\n1,2,t\n1,2,\"open\n{many}"), opened("3:3", ends)),
        (
            format!("user,item,title\n1,2,t\n1,2,\"open\n{}", "1,2,t\n".repeat(200_000)),
            opened("3:3", "the row is longer than 1048576 bytes"),
        ),
    ] {
        assert_eq!(refusal("a.csv", content.as_bytes(), &plain, "INVALID_DATA"), text);
        let crlf = content.replace('\n', "\r\n");
        assert_eq!(refusal("a.csv", crlf.as_bytes(), &plain, "INVALID_DATA"), text, "with CRLF");
        let text = text.replacen("a.csv", "a.csv.gz", 1);
        assert_eq!(refusal("a.csv.gz", &gzip(content.as_bytes()), &plain, "INVALID_DATA"), text);
    }
    // In TSV a quote is text.
    let data = read("a.tsv", "user\titem\ttitle\n\"1\t2\"3\t5\" disk\n1\t2\t\"open\n", &plain).unwrap();
    assert_eq!(data.history("\"1").unwrap(), ["2\"3"]);
    assert_eq!(data.n_users(), 2);
}

#[test]
fn backslashes_escape_quotes_if_asked_for() {
    let escape = ReadOptions { escape: Escape::Backslash, ..ReadOptions::default() };
    let text = r#"user,item,title
"a\"b",x\y,"say \"no\"
twice"
"\\","c:\dir",""
"#;
    let data = read("a.csv", text, &escape).unwrap();
    assert_eq!(data.users().iter().collect::<Vec<_>>(), ["a\"b", "\\"]);
    assert_eq!(data.items().iter().collect::<Vec<_>>(), ["x\\y", "c:\\dir"]);
    let allowed = "; allowed: a closing quote at the end of the field, and quotes inside it behind a backslash";
    for (content, what) in [
        ("user,item\n1,\"2\"\"3\"\n", "text follows a closing quote"),
        ("user,item\n1,\"2\\\"\n", "the input ends"),
        ("user,item\n1,\"2\\", "the input ends"),
    ] {
        let text = format!("a.csv:2:2: a quote is opened here, and {what}{allowed}");
        assert_eq!(refusal("a.csv", content.as_bytes(), &escape, "INVALID_DATA"), text);
    }
    // Without it, a backslash is text.
    let data = read("a.csv", "user,item\n\"a\\\",b\\\n", &ReadOptions::default()).unwrap();
    assert_eq!(data.history("a\\").unwrap(), ["b\\"]);
    for name in ["a.tsv", "a.ndjson"] {
        let error = read(name, "", &escape).unwrap_err();
        let format = name.rsplit_once('.').unwrap().1;
        let text = format!("escape is 'backslash'; allowed: only for csv (the format is {format})");
        assert_eq!((error.code(), error.to_string()), ("INVALID_ARGUMENT", text));
    }
}

#[test]
fn several_files_are_read_as_one() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let read = |paths: &[PathBuf]| {
        read_files_until(paths, &ReadOptions::default(), &Thresholds::default(), &Cancel::default())
    };
    let parts = [
        write("1.csv", "user,item\na,x\n"),
        write("2.csv", ""),
        write("3.csv", "item,user\n"),
        write("4.csv", "item,user\nx,b\n\"y,\"\"z\",a\n"),
    ];
    assert_eq!(read(&parts).unwrap(), expected());
    for (paths, text) in [
        (&[write("5.csv", "user,item\na,\n")][..], "5.csv:2:2: item is empty; allowed: an id"),
        (
            &[parts[0].clone(), write("6.csv", "user,item\na,\"")],
            "6.csv:2:2: a quote is opened here, and the input ends",
        ),
        (&parts[1..2], "2.csv: the file is empty; allowed: a header line and rows"),
        (&parts[1..3], "there are no rows; allowed: one per interaction"),
        (&[], "files is none; allowed: one or more"),
        (&[parts[0].clone(), folder.path().join("gone.csv")], "cannot read"),
    ] {
        let error = read(paths).unwrap_err().to_string();
        let error = error.replace(&format!("{}/", folder.path().display()), "");
        assert!(error.starts_with(text), "{error}");
    }
}

#[test]
fn a_look_at_all_rows_finds_what_is_malformed_in_any_column() {
    for (name, content, text) in [
        ("a.csv", "title,id\n,1\n\"a\"\"\n\",2\n", ""),
        ("a.csv", "", ""),
        ("a.csv", "title,id\n1,2\n,\"2\n", "a.csv:3:2: a quote is opened here, and the input ends"),
        ("a.csv", "title,id\n1,2,3\n", "a.csv:2: the row has 3 fields; allowed: 2, as in the header"),
        ("a.csv", "id,title,id\n", "a.csv:1:3: column 'id' occurs twice; allowed: once"),
        ("a.tsv", "title\tid\n\"\t1\n", ""),
        ("a.ndjson", "{\"a\":[1,\"\"]}\n\n{}\n", ""),
        ("a.ndjson", "{}\n{\"a\":1,}\n", "a.ndjson:2:8: trailing comma"),
        ("a.ndjson", "{\"a\":NaN}\n", "a.ndjson:1:6: expected value"),
        ("a.ndjson", "{\"a\":1,\"\\u0061\":2}\n", "a.ndjson:1:18: key 'a' occurs twice"),
        ("a.ndjson", "[1]\n", "a.ndjson:1:1: invalid type: sequence, expected a JSON object"),
    ] {
        let (folder, path) = file(name, content.as_bytes());
        let checked = check_files_until(&[path], &ReadOptions::default(), &Cancel::default());
        let error = checked.map_or_else(|error| error.to_string(), |()| String::new());
        let error = error.replace(&format!("{}/", folder.path().display()), "");
        assert!(error.starts_with(text) && error.is_empty() == text.is_empty(), "{error}");
    }
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

/// A frame of one raw block, as RFC 8878 has it.
fn zstd_frame(content: &[u8]) -> Vec<u8> {
    let n = content.len() as u32;
    // Magic, a header with the size of the content in 4 bytes, and the header of the last block.
    [&[0x28, 0xb5, 0x2f, 0xfd, 0xa0][..], &n.to_le_bytes(), &((n << 3) | 1).to_le_bytes()[..3], content].concat()
}

#[test]
fn zstandard_is_read_frame_by_frame() {
    let csv = b"item,user\nx,a\nx,b\n\"y,\"\"z\",a\n";
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    let frames = [zstd_frame(&csv[..15]), skipped, zstd_frame(&csv[15..])].concat();
    let plain = ReadOptions::default();
    // Seen from the content, whatever the name is.
    for name in ["a.csv.zst", "a.csv"] {
        assert_eq!(read(name, &frames, &plain).unwrap(), expected());
    }
    for broken in [&frames[..frames.len() - 3], &frames[..7], &[&frames[..], b"garbage"].concat()] {
        let error = refusal("a.csv.zst", broken, &plain, "INVALID_DATA");
        assert!(error.contains("the zstd stream is broken or cut off"), "{error}");
    }
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
            "format is not clear from the name 'a.txt.gz'; allowed: a name in .csv, .tsv, .ndjson, .jsonl, .arrow, \
             .arrows, .feather or .ipc (or these with .gz or .zst), or the option format: csv, tsv, ndjson, arrow, adjacency or \
             that of a data set",
        ),
    ] {
        assert_eq!(read_interactions(name, options, &Thresholds::default()).unwrap_err().to_string(), text);
    }
    let error = "CSV".parse::<Format>().unwrap_err().to_string();
    assert!(
        error.starts_with("format is 'CSV'; allowed: csv, tsv, ndjson, arrow, adjacency, movielens-100k, "),
        "{error}"
    );
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

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_owned()).unwrap()
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

    /// Any text that has no quote out of place is read as the crate `csv` does, which refuses nothing.
    #[test]
    fn well_formed_rows_are_read_as_another_parser_does(text in "([ui]{0,2},\"([ui,\n\r]|\"\"){0,3}\",[ui]{1,2}(\n|\r\n|\r|\n\n)){0,12}") {
        let text = format!("title,more,user\n{text}");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<_> = reader.byte_records().map(|row| row.unwrap()).collect();
        let options = ReadOptions { item: "more".into(), ..ReadOptions::default() };
        let wanted: Vec<_> = rows.iter().map(|row| (text_of(&row[2]), text_of(&row[1]))).collect();
        let is_id = |id: &String| !id.is_empty() && !id.contains(['\n', '\r']);
        match read("a.csv", &text, &options) {
            Ok(data) => {
                let (users, items): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
                prop_assert_eq!(data, Interactions::from_columns(&users, &items, None, None, &Thresholds::default()).unwrap());
            }
            Err(_) => prop_assert!(wanted.is_empty() || !wanted.iter().all(|(_, item)| is_id(item))),
        }
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
        let expected = format!("{name}:3: the row is longer than 1048576 bytes; allowed: less");
        assert!(error.ends_with(&expected), "{error}");
    }
    // A gigabyte out of a megabyte: it ends after the first few blocks.
    let bomb = gzip(&[b"user,item\n", &vec![b'x'; 1 << 27][..]].concat());
    assert!(text(read("a.csv.gz", bomb, &plain)).contains("the row is longer"));
    assert!(text(read("a.csv", vec![b','; 3 << 20], &plain)).contains("the row is longer"));
    // A row of as many bytes as are allowed, and of one more.
    for (length, is_ok) in [(1 << 20, true), ((1 << 20) + 1, false)] {
        let row = format!("a,x,{}", "t".repeat(length - 4));
        assert_eq!(read("a.csv", format!("user,item,title\n{row}\n"), &plain).is_ok(), is_ok);
    }
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
