use super::*;
use crate::Threads;
use crate::base::random::Stream;
use crate::math::matmul::{rows, rows_mut};

/// The safe twin: `sums + alpha a b'` number by number, each stretch in order with one rounding a number, for rows `a`
/// and `b`.
fn plain(a: &[f32], b: &[f32], alpha: f32, mut sum: Option<f32>) -> f32 {
    let stretch = depth_of(a.len());
    for (a, b) in a.chunks(stretch).zip(b.chunks(stretch)) {
        let more = alpha * a.iter().zip(b).fold(0.0, |sum, (a, &b)| a.mul_add(b, sum));
        sum = Some(sum.map_or(more, |sum| sum + more));
    }
    sum.unwrap()
}

/// A matrix of shape `(n, m)` in a larger one, row by row or column by column.
struct Stored {
    numbers: Vec<f32>,
    shape: (usize, usize),
    by_rows: bool,
}

/// Numbers between the lines of a stored matrix, which belong to others.
const GAP: usize = 3;

impl Stored {
    fn random(random: &mut Stream, shape: (usize, usize), by_rows: bool) -> Self {
        let (lines, width) = if by_rows { shape } else { (shape.1, shape.0) };
        Self { numbers: (0..lines * (width + GAP)).map(|_| random.normal() as f32).collect(), shape, by_rows }
    }

    fn view(&self) -> MatRef<'_, f32> {
        let width = GAP + if self.by_rows { self.shape.1 } else { self.shape.0 };
        let all = rows(&self.numbers, width).subcols(0, width - GAP);
        if self.by_rows { all } else { all.transpose() }
    }

    fn view_mut(&mut self) -> MatMut<'_, f32> {
        let width = GAP + if self.by_rows { self.shape.1 } else { self.shape.0 };
        let all = rows_mut(&mut self.numbers, width).subcols_mut(0, width - GAP);
        if self.by_rows { all } else { all.transpose_mut() }
    }

    fn row(&self, row: usize) -> Vec<f32> {
        (0..self.shape.1).map(|column| self.view()[(row, column)]).collect()
    }

    fn bits(&self) -> Vec<u32> {
        self.numbers.iter().map(|number| number.to_bits()).collect()
    }
}

/// Compares a product with its twin, in some places if it is large, and what is not to be written with what it was.
fn check([n, m, d]: [usize; 3], stored: [bool; 3], part: Part, add: bool, parallel: bool) {
    let mut random = Stream::new(7, (n * 1000 + m) as u64);
    let (lhs, rhs) = (Stored::random(&mut random, (n, d), stored[0]), Stored::random(&mut random, (m, d), stored[1]));
    let mut out = Stored::random(&mut random, (n, m), stored[2]);
    let (before, alpha) = (out.numbers.clone(), if add { -1.0 } else { 1.0 });
    let before = Stored { numbers: before, ..out };
    let accum = if add { Accum::Add } else { Accum::Replace };
    assert!(product(out.view_mut(), part, accum, lhs.view(), rhs.view().transpose(), alpha, parallel));
    let what = || format!("{n} x {m} x {d}, {stored:?}, {part:?}, add: {add}, parallel: {parallel}");
    for row in (0..n).filter(|row| n < 40 || row % 23 == 0 || row % 252 < 2 || row + 2 > n) {
        let a = lhs.row(row);
        for column in (0..m).filter(|column| m < 60 || column % 31 == 0 || column % 384 < 2 || column + 2 > m) {
            let (here, there) = (out.view()[(row, column)], before.view()[(row, column)]);
            let wanted = part.has(&(row..row + 1), &(column..column + 1));
            let expected = if wanted { plain(&a, &rhs.row(column), alpha, add.then_some(there)) } else { there };
            assert_eq!(here.to_bits(), expected.to_bits(), "{row}, {column} of {}", what());
        }
    }
    let width = GAP + if out.by_rows { m } else { n };
    for (after, before) in out.numbers.chunks(width).zip(before.numbers.chunks(width)) {
        assert_eq!(after[width - GAP..], before[width - GAP..], "beyond a line of {}", what());
    }
}

const EACH: [[bool; 3]; 8] = {
    let mut each = [[false; 3]; 8];
    let mut at = 0;
    while at < 8 {
        each[at] = [at & 1 == 1, at & 2 == 2, at & 4 == 4];
        at += 1;
    }
    each
};

/// Around the edges of vectors, tiles, blocks, stretches and what is copied at a time.
#[test]
fn a_product_has_the_bits_of_sums_in_order() {
    if !is_there() {
        return;
    }
    for n in [1, 2, 8, 9, 10, 19, 40] {
        for m in [1, 15, 16, 17, 33, 47, 48, 49, 97] {
            for (at, d) in [1, 2, 15, 16, 17, 40].into_iter().enumerate() {
                check([n, m, d], EACH[(n + m + at) % 8], Part::Whole, at % 2 == 0, false);
            }
        }
    }
    for stored in EACH {
        for add in [false, true] {
            check([23, 70, 1030], stored, Part::Whole, add, false);
            check([517, 401, 35], stored, Part::Whole, add, true);
        }
    }
    check([511, 70, 513], [true, false, true], Part::Whole, true, false);
    check([6050, 20, 17], [true, false, true], Part::Whole, false, true);
    check([20, 6150, 17], [true, false, true], Part::Whole, true, true);
}

#[test]
fn a_triangle_is_written_and_nothing_beside_it() {
    if !is_there() {
        return;
    }
    for part in [Part::Lower, Part::Upper] {
        for stored in EACH {
            for n in [1, 9, 48, 50, 103, 401] {
                for add in [false, true] {
                    check([n, n, 20], stored, part, add, n > 100);
                }
            }
        }
    }
}

#[test]
fn the_bits_do_not_depend_on_threads() {
    if !is_there() {
        return;
    }
    let mut random = Stream::new(8, 0);
    let (lhs, rhs) = (Stored::random(&mut random, (530, 1100), true), Stored::random(&mut random, (1100, 800), true));
    let run = |threads, parallel| {
        let mut out = Stored::random(&mut Stream::new(9, 0), (530, 800), true);
        let run = || product(out.view_mut(), Part::Whole, Accum::Add, lhs.view(), rhs.view(), 1.0, parallel);
        assert!(Threads::new(Some(threads)).unwrap().install(run));
        out.bits()
    };
    let alone = run(1, false);
    assert!([1, 2, 3, 16].into_iter().all(|threads| run(threads, true) == alone));
}

/// What is not a number comes out as that in its row and column alone, and infinities as they are.
#[test]
fn what_is_not_finite_stays_where_it_is() {
    if !is_there() {
        return;
    }
    for x in [f32::NAN, f32::INFINITY] {
        let mut lhs = vec![1.0; 20 * 30];
        lhs[7 * 30 + 4] = x;
        let mut out = vec![0.0; 20 * 50];
        let (left, right) = (rows(&lhs, 30), [0.5f32; 30 * 50]);
        assert!(product(rows_mut(&mut out, 50), Part::Whole, Accum::Replace, left, rows(&right, 50), 1.0, false));
        for (row, out) in out.chunks(50).enumerate() {
            assert!(out.iter().all(|&out| if row == 7 { !out.is_finite() } else { out == 15.0 }), "{row}");
        }
    }
}

#[test]
fn what_it_does_not_know_is_left_alone() {
    let numbers = [1.0f32; 64];
    // Every second number of every second row.
    let sparse = MatRef::from_row_major_slice_with_stride(&numbers, 4, 4, 16);
    let scattered = rows(&numbers, 8).subrows(0, 4).subcols(0, 4);
    let mut out = [7.0f32; 16];
    let scattered = scattered.reverse_cols();
    assert!(!product(rows_mut(&mut out, 4), Part::Whole, Accum::Replace, sparse, scattered, 1.0, false));
    let nothing = MatRef::from_row_major_slice(&numbers[..0], 4, 0);
    assert!(!product(rows_mut(&mut out, 4), Part::Whole, Accum::Replace, nothing, nothing.transpose(), 1.0, false));
    assert_eq!(out, [7.0; 16]);
}
