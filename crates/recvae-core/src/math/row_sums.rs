//! Sums of some rows of a matrix over a few columns, which stay in registers.

use super::real::Real;
use super::vectorised::prefetch;

/// The sums over `N` columns, from column `first` on, of the rows of a matrix of `n_cols` that a list names: four rows
/// at a time, two and two of them first, and then one by one. `number` turns a number as it is stored into one to add.
#[inline(always)]
pub(crate) fn sums_of_rows<W: Copy, T: Real, const N: usize>(
    matrix: &[W],
    number: impl Fn(W) -> T,
    n_cols: usize,
    rows: &[u32],
    first: usize,
) -> [T; N] {
    /// Fours of rows that are asked for ahead of those that are added.
    const AHEAD: usize = 4;
    let mut sums = [T::ZERO; N];
    let row = |row: u32| &matrix[row as usize * n_cols + first..][..N];
    let (fours, rest) = rows.as_chunks::<4>();
    for (at, &[a, b, c, d]) in fours.iter().enumerate() {
        if let Some(four) = fours.get(at + AHEAD) {
            four.iter().for_each(|&next| prefetch(row(next)));
        }
        let (a, b, c, d) = (row(a), row(b), row(c), row(d));
        for at in 0..N {
            sums[at] += (number(a[at]) + number(b[at])) + (number(c[at]) + number(d[at]));
        }
    }
    for &last in rest {
        sums.iter_mut().zip(row(last)).for_each(|(sum, &value)| *sum += number(value));
    }
    sums
}
