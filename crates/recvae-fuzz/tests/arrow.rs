//! Arrow streams that ask for more than they bring.
#![allow(clippy::unwrap_used)]

use recvae_core::{ArrowReader, Interactions, ReadOptions, Result, Thresholds};
use recvae_fuzz::arrow::{Column, Kind, Stream};
use recvae_fuzz::{ALL, Bounded};

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

/// Reads a stream, after the target did, which asserts that memory stays in proportion to the bytes.
fn read(stream: Stream) -> Result<Interactions> {
    let bytes = stream.finish();
    ALL.iter().find(|target| target.name == "arrow").unwrap().run(&bytes);
    let mut reader = ArrowReader::new(ReadOptions::default(), Thresholds::default())?;
    reader.push(&bytes)?;
    reader.finish()
}

fn refusal(stream: Stream) -> String {
    read(stream).unwrap_err().to_string()
}

fn numbers(range: std::ops::Range<i32>) -> Column {
    Column::numbers(&range.collect::<Vec<_>>())
}

fn zeros(n: usize) -> Column {
    Column::numbers(&vec![0; n])
}

/// Text whose every piece of 13 letters or more stands there once.
fn text(len: usize) -> Vec<u8> {
    (0..len).map(|at| b'a' + (at * at / 7 % 26) as u8).collect()
}

#[test]
fn what_holds_together_is_read() {
    let mut stream = Stream::new([(Kind::Text, true), (Kind::View, true)]);
    stream.dictionary(0, Column::text(&[0, 1, 3], b"abb"), false);
    stream.dictionary(1, Column::view(&[(0, 13), (13, 14)], b"one long text.another long one"), false);
    stream.rows(Column::numbers(&[0, 1, 0]), Column::numbers(&[1, 0, 0]));
    // One entry more, an empty segment, and one more; then everything anew.
    stream.dictionary(0, Column::text(&[0, 1], b"c"), true);
    stream.dictionary(0, Column::text(&[0], b""), true);
    stream.dictionary(0, Column::text(&[1, 2], b"xd"), true);
    stream.rows(Column::numbers(&[2, 3, 1]), Column::numbers(&[0, 1, 1]));
    stream.dictionary(0, Column::text(&[0, 3], b"new"), false);
    stream.rows(Column::numbers(&[0]), Column::numbers(&[0]));
    let data = read(stream).unwrap();
    assert_eq!(data.users().iter().collect::<Vec<_>>(), ["a", "bb", "c", "d", "new"]);
    assert_eq!(data.items().iter().collect::<Vec<_>>(), [".another long ", "one long text"]);
    let histories = ["a", "bb", "c", "d", "new"].map(|user| data.history(user).unwrap().len());
    assert_eq!(histories, [2, 2, 1, 1, 1]);

    let mut stream = Stream::new([(Kind::Number, true), (Kind::Number, false)]);
    stream.dictionary(0, numbers(7..9), false);
    stream.rows(Column::numbers(&[1, 2]), numbers(0..2));
    assert_eq!(refusal(stream), "user in row 1 of the Arrow stream is number 2 of a dictionary that has fewer entries");
}

/// 8,000 pairs of offsets, of which every other one is the whole text: 230 KB that would become 500 MB.
#[test]
fn offsets_that_go_up_and_down_are_refused() {
    let text = text(64 << 10);
    let offsets: Vec<i32> = (0..=16_000).map(|at| if at % 2 == 0 { at / 2 } else { text.len() as i32 }).collect();
    let mut stream = Stream::new([(Kind::Text, true), (Kind::Number, false)]);
    stream.dictionary(0, Column::text(&offsets, &text), false);
    let even: Vec<i32> = (0..8000).map(|at| 2 * at).collect();
    stream.rows(Column::numbers(&even), zeros(even.len()));
    let broken = "the Arrow stream is broken at message 1: the offsets of its texts or lists do not ascend";
    assert_eq!(refusal(stream), broken);

    let mut stream = Stream::new([(Kind::Text, false), (Kind::Number, false)]);
    stream.rows(Column::text(&offsets, &text), zeros(offsets.len() - 1));
    assert_eq!(refusal(stream), broken);
}

/// Each batch has no more bytes of new ids than its dictionary; all batches together have many times as many.
#[test]
fn views_that_share_bytes_have_one_budget_for_a_stream() {
    let (text, n) = (text(20_000), 2000);
    let views: Vec<(usize, usize)> = (0..n).map(|at| (at, 10_000)).collect();
    let mut stream = Stream::new([(Kind::View, true), (Kind::Number, false)]);
    stream.dictionary(0, Column::view(&views, &text), false);
    for entry in 0..n as i32 {
        stream.rows(numbers(entry..entry + 1), zeros(1));
    }
    // The dictionary has 52,000 bytes, each batch 16: the sixth text is one too many.
    assert_eq!(refusal(stream), "the Arrow stream is broken at message 7: its texts overlap");
}

/// Each row looks for the last of many segments: 10^10 steps one after the other.
#[test]
fn entries_of_many_deltas_are_found_by_a_search() {
    let (n, rows) = (50_000, 200_000);
    let mut stream = Stream::new([(Kind::Number, true), (Kind::Number, false)]);
    for entry in 0..n {
        stream.dictionary(0, numbers(entry..entry + 1), entry > 0);
    }
    stream.rows(Column::numbers(&vec![n - 1; rows]), numbers(0..rows as i32));
    let data = read(stream).unwrap();
    assert_eq!(data.users().iter().collect::<Vec<_>>(), [(n - 1).to_string()]);
    assert_eq!(data.n_interactions(), rows);
}
