//! The inverse of a symmetric matrix most of whose rows are sparse, as Gram matrices of catalogues with a long tail
//! are: what few others are joined to is eliminated by itself, and only the rest, the core, is inverted densely.
//!
//! Eliminating a row `v` with pivot `d` and entries `g` leaves `S = A - g g' / d` of the other rows, which touches none
//! but the neighbours of `v`, those in whose columns `g` is not 0. Of the inverse `Z`, whose part for the other rows is
//! the inverse of `S`, the row of `v` is `-t' Z` with `t = g / d`, and `Z_vv = 1 / d - t' Z_v`: a sum of as many rows
//! as there are neighbours. So the inverse of the core grows by the eliminated rows, the last one first, at a cost of
//! neighbours x rows each, where a dense inverse costs the square of the rows.
//!
//! Rows of few neighbours go first (minimum degree), and those of one round have nothing to do with each other, so that
//! their rows of the inverse are found together. An eliminated row joins its neighbours to each other; where even the
//! one of fewest neighbours has too many for this to pay, what is left is the core.
//!
//! The result is the inverse up to rounding, in other bits than the dense way's; it does not depend on the number of
//! threads.
//!
//! Sources: J. W. H. Liu, Modification of the Minimum-Degree Algorithm by Multiple Elimination, ACM TOMS 11(2), 1985;
//! K. Takahashi, J. Fagan, M.-S. Chen, Formation of a Sparse Bus Impedance Matrix, PICA 1973.

use std::ops::Range;

use ndarray::{Axis, s};
use rayon::prelude::*;

use super::NoInverse;
use crate::base::matrix::view2_mut;
use crate::base::steps::Steps;
use crate::math::costs;
use crate::math::csr::{Csr, FewNeighbours};
use crate::math::real::Real;
use crate::math::vectorised::vectorised;

/// How many rows of the inverse are found together at most.
const TOGETHER: usize = 64;
/// Columns of the inverse that are found in one task: so few that those of all rows that are read stay in the
/// second-level cache.
const COLUMNS: usize = 128;

/// Which rows are eliminated, and what they are joined to then.
pub(super) struct Elimination {
    n: usize,
    /// The eliminated rows, in this order.
    order: Vec<u32>,
    /// Where the neighbours of each of them end in `neighbours`.
    ends: Vec<usize>,
    /// Their neighbours among those that are not yet eliminated, ascending.
    neighbours: Vec<u32>,
    /// Where each piece ends in `order`: up to [`TOGETHER`] rows that are not joined to each other.
    pieces: Vec<usize>,
}

/// Whether a row of so many neighbours is better eliminated than left in a core of `left` rows, of `n` in all. A row of
/// the core costs some `3 left^2` operations of large products, an eliminated one `2 neighbours n` that are bound by
/// the caches.
fn pays(neighbours: usize, left: usize, n: usize) -> bool {
    neighbours * n <= left * left / 16
}

/// Whether so many rows could go that a closer look is of use.
fn enough_pay(degrees: &[u32]) -> bool {
    let n = degrees.len();
    16 * degrees.iter().filter(|&&degree| pays(degree as usize, n, n)).count() >= n
}

/// Bytes beside a matrix of `n` rows, at most.
pub(super) fn bytes_beside(n: usize, bytes: usize) -> usize {
    8 * n * n.div_ceil(64) + most_neighbours(n) * (4 + bytes)
}

/// How many neighbours are kept at most: for them to take little beside the matrix.
fn most_neighbours(n: usize) -> usize {
    n * n / 64
}

impl Elimination {
    /// For a matrix of `n` rows, half-filled as in [`linalg`](super); nothing where it would hardly pay.
    pub(super) fn of<T: Real>(matrix: &[T], n: usize) -> Option<Self> {
        let degrees = degrees(matrix, n);
        if enough_pay(&degrees) { Self::walk(Graph::of(matrix, n), degrees) } else { None }
    }

    /// The same for the Gram matrix of `x` with numbers on its diagonal, without that matrix: `n^2 / 8` bytes, and those
    /// of `x` transposed for as long as rows are joined.
    pub(super) fn of_gram(x: &Csr) -> Option<Self> {
        let graph = Graph::of_gram(x);
        let degrees = graph.degrees();
        if enough_pay(&degrees) { Self::walk(graph, degrees) } else { None }
    }

    fn walk(mut graph: Graph, mut degrees: Vec<u32>) -> Option<Self> {
        let n = degrees.len();
        let mut elimination = Self { n, order: vec![], ends: vec![], neighbours: vec![], pieces: vec![] };
        let mut left: Vec<u32> = (0..n as u32).collect();
        let mut taken = vec![false; n];
        let mut room = most_neighbours(n);
        while let Some(least) = left.iter().map(|&row| degrees[row as usize]).min()
            && pays(least as usize, left.len(), n)
            && least as usize <= room
        {
            // A little more than the fewest neighbours do as well, and there are more rows to be found together.
            let bound = least + least / 8;
            let mut joined = vec![0; graph.words];
            let first = elimination.order.len();
            for &row in &left {
                let (at, degree) = (row as usize, degrees[row as usize]);
                if degree <= bound && degree as usize <= room && joined[at / 64] >> (at % 64) & 1 == 0 {
                    room -= degree as usize;
                    joined.iter_mut().zip(graph.row(at)).for_each(|(joined, &bits)| *joined |= bits);
                    taken[at] = true;
                    elimination.order.push(row);
                }
            }
            for start in (first..elimination.order.len()).step_by(TOGETHER) {
                let end = elimination.order.len().min(start + TOGETHER);
                for rank in start..end {
                    ones(graph.row(elimination.order[rank] as usize), &mut elimination.neighbours);
                    elimination.ends.push(elimination.neighbours.len());
                }
                elimination.pieces.push(end);
                graph.eliminate(&elimination, start..end, &mut degrees);
            }
            left.retain(|&row| !taken[row as usize]);
        }
        // Neighbours of neighbours may leave so little to eliminate that moving rows about costs more.
        (16 * elimination.order.len() >= n).then_some(elimination)
    }

    /// How many rows the core has.
    pub(super) fn core(&self) -> usize {
        self.n - self.order.len()
    }

    /// The pieces, as what they have of `order`.
    fn pieces(&self) -> impl DoubleEndedIterator<Item = Range<usize>> {
        let start = |piece: usize| if piece == 0 { 0 } else { self.pieces[piece - 1] };
        (0..self.pieces.len()).map(move |piece| start(piece)..self.pieces[piece])
    }

    /// Where the neighbours of the row that is eliminated as number `rank` stand.
    fn range(&self, rank: usize) -> Range<usize> {
        (if rank == 0 { 0 } else { self.ends[rank - 1] })..self.ends[rank]
    }

    /// Operations of growing the inverse by all eliminated rows.
    pub(super) fn operations(&self) -> f64 {
        let each = |rank| 2.0 * self.range(rank).len() as f64 * (self.n - 1 - rank) as f64;
        (0..self.order.len()).map(each).sum()
    }

    /// What there is to know of it before there is a matrix.
    pub(super) fn saved(&self) -> FewNeighbours {
        FewNeighbours { core: self.core(), operations: self.operations() }
    }

    /// Overwrites the matrix, half-filled, by its inverse, both triangles. `invert_core` does so with the core, of
    /// which it is given the rows of the matrix in whose first columns it stands.
    ///
    /// # Errors
    /// As [`invert_positive_definite`](super::invert_positive_definite).
    pub(super) fn invert<T: Real>(
        self,
        matrix: &mut [T],
        steps: &Steps<'_>,
        invert_core: impl FnOnce(&mut [T]) -> Result<(), NoInverse>,
    ) -> Result<(), NoInverse> {
        let (n, m) = (self.n, self.core());
        let grown = Grown::new(self, matrix)?;
        grown.gather_core(matrix);
        invert_core(&mut matrix[..m * n]).map_err(|error| match error {
            NoInverse::Pivot(at) => NoInverse::Pivot(grown.rows[at] as usize),
            other => other,
        })?;
        grown.grow(matrix, steps)?;
        grown.put_back(matrix);
        Ok(())
    }
}

/// Seconds of so many operations of growing the inverse, as `costs.rs` counts them.
pub(super) fn work<T: Real>(operations: f64) -> f64 {
    /// An operation here, in those of large products.
    const SLOWER: f64 = 20.0;
    SLOWER * costs::operations::<T>(operations)
}

/// What the inverse of the core grows by. From here on rows stand at other places: those of the core first, in their
/// order, and behind them the eliminated ones, the last one first.
struct Grown<T> {
    n: usize,
    /// The row at each place.
    rows: Vec<u32>,
    /// The place of each row.
    places: Vec<u32>,
    elimination: Elimination,
    /// `t` of the neighbours, and `1 / d` of the eliminated rows.
    scaled: Vec<T>,
    pivots: Vec<T>,
}

impl<T: Real> Grown<T> {
    /// Eliminates the rows. What they leave for the others stands in the matrix then.
    fn new(mut elimination: Elimination, matrix: &mut [T]) -> Result<Self, NoInverse> {
        let n = elimination.n;
        let mut scaled = Vec::with_capacity(elimination.neighbours.len());
        let mut pivots = Vec::with_capacity(elimination.order.len());
        let mut entries = vec![];
        for ranks in elimination.pieces() {
            entries.clear();
            let first = elimination.range(ranks.start).start;
            for rank in ranks.clone() {
                let row = elimination.order[rank] as usize;
                let pivot = matrix[row * (n + 1)];
                if !(pivot > T::ZERO && pivot.is_finite()) {
                    return Err(NoInverse::Pivot(row));
                }
                for &other in &elimination.neighbours[elimination.range(rank)] {
                    let other = other as usize;
                    let entry = matrix[row.min(other) * n + row.max(other)];
                    entries.push(entry);
                    scaled.push(entry / pivot);
                }
                pivots.push(T::ONE / pivot);
            }
            let across = Across::new(&elimination, ranks);
            matrix.par_chunks_mut(n).enumerate().for_each(|(row, its)| {
                for &(rank, at) in across.of(row) {
                    // Half-filled: what stands right of the diagonal belongs to this row, the rest to others.
                    let from = at as usize..elimination.range(rank as usize).end;
                    let factor = scaled[at as usize];
                    let entries = &entries[from.start - first..];
                    for (&other, &entry) in elimination.neighbours[from].iter().zip(entries) {
                        its[other as usize] -= factor * entry;
                    }
                }
            });
        }
        let mut places = vec![u32::MAX; n];
        for (place, &row) in (0..n as u32).rev().zip(&elimination.order) {
            places[row as usize] = place;
        }
        let mut rows: Vec<u32> = (0..n as u32).filter(|&row| places[row as usize] == u32::MAX).collect();
        for (place, &row) in rows.iter().enumerate() {
            places[row as usize] = place as u32;
        }
        rows.extend(elimination.order.iter().rev());
        elimination.neighbours.iter_mut().for_each(|row| *row = places[*row as usize]);
        Ok(Self { n, rows, places, elimination, scaled, pivots })
    }

    /// Moves the core into the first columns of the first rows. Its rows are in their order, so nothing goes where
    /// something stands that is still to be moved.
    fn gather_core(&self, matrix: &mut [T]) {
        let (n, core) = (self.n, &self.rows[..self.elimination.core()]);
        for (place, &row) in core.iter().enumerate() {
            for (column, &from) in core.iter().enumerate().skip(place) {
                matrix[place * n + column] = matrix[row as usize * n + from as usize];
            }
        }
    }

    /// The rows behind the core, piece by piece.
    fn grow(&self, matrix: &mut [T], steps: &Steps<'_>) -> Result<(), NoInverse> {
        let Self { n, elimination, .. } = self;
        let of_step = work::<T>(elimination.operations()) / elimination.order.len().max(1) as f64;
        for ranks in elimination.pieces().rev() {
            steps.check().map_err(NoInverse::Failed)?;
            // The last rank stands first.
            self.grow_by(matrix, n - ranks.end, ranks.len());
            steps.did(of_step * ranks.len() as f64);
        }
        Ok(())
    }

    /// Neighbours, as places, and their `t`, of the eliminated row at a place, and its `1 / d`.
    fn of_place(&self, place: usize) -> (&[u32], &[T], T) {
        let rank = self.n - 1 - place;
        let range = self.elimination.range(rank);
        (&self.elimination.neighbours[range.clone()], &self.scaled[range], self.pivots[rank])
    }

    /// The rows at the places from `first` on, which are not joined, and their columns.
    fn grow_by(&self, matrix: &mut [T], first: usize, count: usize) {
        /// Rows whose entries across are written in one task.
        const ACROSS: usize = 32;
        let n = self.n;
        let (known, rest) = matrix.split_at_mut(first * n);
        let found = &mut rest[..count * n];
        let before = &*known;
        let mut left = view2_mut(found, (count, n));
        let mut left = left.slice_mut(s![.., ..first]);
        let stripes: Vec<_> = left.axis_chunks_iter_mut(Axis(1), COLUMNS).collect();
        stripes.into_par_iter().enumerate().for_each(|(stripe, mut columns)| {
            for (row, mut out) in columns.rows_mut().into_iter().enumerate() {
                let (neighbours, scaled, _) = self.of_place(first + row);
                let out = out.as_slice_mut().expect("a row lies in one piece");
                subtract_rows(out, before, &[n, stripe * COLUMNS], neighbours, scaled);
            }
        });
        // Between the rows themselves, and with themselves.
        let rows = &*found;
        let among: Vec<Vec<T>> = (0..count)
            .into_par_iter()
            .map(|row| {
                let (neighbours, scaled, pivot) = self.of_place(first + row);
                let with = |other: usize| {
                    let its = &rows[other * n..];
                    neighbours.iter().zip(scaled).fold(T::ZERO, |sum, (&at, &t)| sum - t * its[at as usize])
                };
                (0..row).map(with).chain([pivot + with(row)]).collect()
            })
            .collect();
        for (row, entries) in among.iter().enumerate() {
            for (other, &entry) in entries.iter().enumerate() {
                found[row * n + first + other] = entry;
                found[other * n + first + row] = entry;
            }
        }
        let found = &*found;
        known.par_chunks_mut(ACROSS * n).enumerate().for_each(|(chunk, rows)| {
            for (row, found) in found.chunks_exact(n).enumerate() {
                let entries = &found[chunk * ACROSS..];
                rows.chunks_exact_mut(n).zip(entries).for_each(|(row_of, &entry)| row_of[first + row] = entry);
            }
        });
    }

    /// Rows and columns go back from their places.
    fn put_back(&self, matrix: &mut [T]) {
        /// Columns of one task.
        const STRIPE: usize = 1024;
        let n = self.n;
        matrix.par_chunks_mut(n).for_each_init(
            || vec![T::ZERO; n],
            |before, row| {
                before.copy_from_slice(row);
                row.iter_mut().zip(&self.places).for_each(|(entry, &place)| *entry = before[place as usize]);
            },
        );
        let mut view = view2_mut(matrix, (n, n));
        let stripes: Vec<_> = view.axis_chunks_iter_mut(Axis(1), STRIPE).collect();
        stripes.into_par_iter().for_each(|mut columns| {
            let mut done = vec![false; n];
            for start in 0..n {
                if done[start] {
                    continue;
                }
                // A row takes what stands at its place, whose own row takes what stands at its place, until the first
                // is reached again.
                let first = columns.row(start).to_vec();
                let mut row = start;
                while !std::mem::replace(&mut done[row], true) {
                    let place = self.places[row] as usize;
                    if place == start {
                        columns.row_mut(row).iter_mut().zip(&first).for_each(|(to, &from)| *to = from);
                    } else {
                        let (mut to, from) = columns.multi_slice_mut((s![row, ..], s![place, ..]));
                        to.assign(&from);
                    }
                    row = place;
                }
            }
        });
    }
}

vectorised! {
    /// `out` becomes minus the sum of rows of a matrix, each times its factor, from a column on. `place` has how many
    /// columns the matrix has, and that column.
    fn subtract_rows(out: &mut [T], matrix: &[T], place: &[usize; 2], rows: &[u32], factors: &[T]) {
        const WIDTH: usize = 32;
        let [n, first] = *place;
        let (whole, rest) = out.as_chunks_mut::<WIDTH>();
        let at_rest = first + WIDTH * whole.len();
        for (chunk, out) in whole.iter_mut().enumerate() {
            let mut sums = [T::ZERO; WIDTH];
            for (&row, &factor) in rows.iter().zip(factors) {
                let values = &matrix[row as usize * n + first + WIDTH * chunk..][..WIDTH];
                for (sum, &value) in sums.iter_mut().zip(values) {
                    *sum -= factor * value;
                }
            }
            *out = sums;
        }
        rest.fill(T::ZERO);
        for (&row, &factor) in rows.iter().zip(factors) {
            let values = &matrix[row as usize * n + at_rest..][..rest.len()];
            rest.iter_mut().zip(values).for_each(|(sum, &value)| *sum -= factor * value);
        }
    }
}

/// Of each row, to which rows of a piece it is joined, as their ranks, and where it stands among the neighbours.
struct Across {
    starts: Vec<u32>,
    joined: Vec<(u32, u32)>,
}

impl Across {
    fn new(elimination: &Elimination, ranks: Range<usize>) -> Self {
        let mut starts = vec![0u32; elimination.n + 2];
        let of_piece = elimination.range(ranks.start).start..elimination.range(ranks.end - 1).end;
        for &row in &elimination.neighbours[of_piece.clone()] {
            starts[row as usize + 2] += 1;
        }
        for row in 2..starts.len() {
            starts[row] += starts[row - 1];
        }
        let mut joined = vec![(0, 0); of_piece.len()];
        for rank in ranks {
            for at in elimination.range(rank) {
                let next = &mut starts[elimination.neighbours[at] as usize + 1];
                joined[*next as usize] = (rank as u32, at as u32);
                *next += 1;
            }
        }
        Self { starts, joined }
    }

    fn of(&self, row: usize) -> &[(u32, u32)] {
        &self.joined[self.starts[row] as usize..self.starts[row + 1] as usize]
    }
}

/// How many others each row is joined to: the entries of its row and column that are not 0, but for the one on the
/// diagonal.
fn degrees<T: Real>(matrix: &[T], n: usize) -> Vec<u32> {
    /// Rows of one task.
    const ROWS: usize = 256;
    let of_rows = |(chunk, rows): (usize, &[T])| {
        let mut degrees = vec![0u32; n];
        for (row, entries) in (chunk * ROWS..).zip(rows.chunks_exact(n)) {
            let mut own = 0;
            for (degree, &entry) in degrees[row + 1..].iter_mut().zip(&entries[row + 1..]) {
                let is_joined = u32::from(entry != T::ZERO);
                *degree += is_joined;
                own += is_joined;
            }
            degrees[row] += own;
        }
        degrees
    };
    let add = |mut sums: Vec<u32>, degrees: Vec<u32>| {
        sums.iter_mut().zip(&degrees).for_each(|(sum, degree)| *sum += degree);
        sums
    };
    matrix.par_chunks(ROWS * n).enumerate().map(of_rows).reduce(|| vec![0; n], add)
}

/// Which rows are joined, as bits, both ways.
struct Graph {
    words: usize,
    bits: Vec<u64>,
}

impl Graph {
    fn of<T: Real>(matrix: &[T], n: usize) -> Self {
        let words = n.div_ceil(64);
        let mut bits = vec![0u64; n * words];
        bits.par_chunks_mut(words).zip(matrix.par_chunks(n)).enumerate().for_each(|(row, (bits, entries))| {
            for (column, &entry) in entries.iter().enumerate().skip(row + 1) {
                bits[column / 64] |= u64::from(entry != T::ZERO) << (column % 64);
            }
        });
        let mut graph = Self { words, bits };
        let mut above = vec![];
        for row in 0..n {
            above.clear();
            ones(graph.row(row), &mut above);
            for &other in above.iter().filter(|&&other| other as usize > row) {
                graph.bits[other as usize * words + row / 64] |= 1 << (row % 64);
            }
        }
        graph
    }

    /// Of those items that some user has both of. Item by item: the bits of one stay in the first-level cache, whatever
    /// their number. An item that shares users with a quarter of the others is one of the core, and stands for one that
    /// shares some with all: most users, who have popular items, are not looked at.
    fn of_gram(x: &Csr) -> Self {
        /// Users between looks at how many others there are.
        const USERS: usize = 64;
        let (n, words) = (x.n_cols(), x.n_cols().div_ceil(64));
        let mut bits = vec![0u64; n * words];
        let users = x.transpose();
        bits.par_chunks_mut(words.max(1)).enumerate().for_each(|(item, row)| {
            for users in users.row(item).chunks(USERS) {
                for &user in users {
                    x.row(user as usize).iter().for_each(|&other| row[other as usize / 64] |= 1 << (other % 64));
                }
                if users.len() == USERS && 4 * count(row) as usize > n {
                    row.fill(u64::MAX);
                    let beyond = 64 * words - n;
                    row[words - 1] >>= beyond;
                    break;
                }
            }
            row[item / 64] &= !(1 << (item % 64));
        });
        Self { words, bits }
    }

    fn row(&self, row: usize) -> &[u64] {
        &self.bits[row * self.words..][..self.words]
    }

    fn degrees(&self) -> Vec<u32> {
        self.bits.chunks_exact(self.words.max(1)).map(count).collect()
    }

    /// Takes the rows of a piece out, and joins the neighbours of each of them to each other.
    fn eliminate(&mut self, elimination: &Elimination, ranks: Range<usize>, degrees: &mut [u32]) {
        let Self { words, bits } = self;
        let words = *words;
        let gone = &elimination.order[ranks.clone()];
        let own: Vec<u64> = gone.iter().flat_map(|&row| &bits[row as usize * words..][..words]).copied().collect();
        let across = Across::new(elimination, ranks.clone());
        bits.par_chunks_mut(words).zip(degrees).enumerate().for_each(|(row, (its, degree))| {
            let joined = across.of(row);
            if joined.is_empty() {
                return;
            }
            for &(rank, _) in joined {
                let rank = rank as usize - ranks.start;
                its.iter_mut().zip(&own[rank * words..][..words]).for_each(|(its, &own)| *its |= own);
                let gone = gone[rank] as usize;
                its[gone / 64] &= !(1 << (gone % 64));
            }
            its[row / 64] &= !(1 << (row % 64));
            *degree = count(its);
        });
    }
}

/// How many bits are set.
fn count(bits: &[u64]) -> u32 {
    bits.iter().map(|word| word.count_ones()).sum()
}

/// Appends which bits are set, ascending.
fn ones(bits: &[u64], to: &mut Vec<u32>) {
    for (word, &bits) in bits.iter().enumerate() {
        let mut bits = bits;
        while bits != 0 {
            to.push((64 * word) as u32 + bits.trailing_zeros());
            bits &= bits - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{gram, invert_positive_definite};
    use super::*;
    use crate::base::cancel::Cancel;
    use crate::base::random::Stream;

    /// Made-up users of `n` items, whose popularity falls steeply, so that most items meet few others.
    fn users(n: usize) -> Csr {
        let mut random = Stream::new(11, 0);
        let rows: Vec<Vec<u32>> = (0..n / 2)
            .map(|_| {
                let items: std::collections::BTreeSet<u32> =
                    (0..5).map(|_| (n as f64 * random.uniform().powi(3)) as u32).collect();
                items.into_iter().collect()
            })
            .collect();
        Csr::from_rows(&rows, n).unwrap()
    }

    /// Their Gram matrix plus 3 on its diagonal.
    fn long_tail<T: Real>(n: usize) -> Vec<T> {
        let mut matrix = gram::<T>(&users(n), &Steps::silent(&Cancel::default())).unwrap().to_vec();
        matrix.iter_mut().step_by(n + 1).for_each(|entry| *entry += T::from_f64(3.0));
        matrix
    }

    /// The half-filled matrix with these entries right of a diagonal of 4.
    fn with_entries(n: usize, entries: impl IntoIterator<Item = (usize, usize, f64)>) -> Vec<f64> {
        let mut matrix = vec![0.0; n * n];
        matrix.iter_mut().step_by(n + 1).for_each(|entry| *entry = 4.0);
        entries.into_iter().for_each(|(i, j, entry)| matrix[i.min(j) * n + i.max(j)] = entry);
        matrix
    }

    fn inverse<T: Real>(matrix: &[T], n: usize) -> Result<Vec<T>, NoInverse> {
        let mut matrix = matrix.to_vec();
        invert_positive_definite(view2_mut(&mut matrix, (n, n)), &Steps::silent(&Cancel::default()))?;
        Ok(matrix)
    }

    /// How far the product of a matrix and its inverse is from the identity, at most.
    fn error(matrix: &[f64], inverse: &[f64], n: usize) -> f64 {
        let at = |i: usize, j: usize| matrix[i.min(j) * n + i.max(j)];
        let mut most = 0f64;
        for i in (0..n).filter(|i| n < 400 || i % 61 == 0) {
            for j in 0..n {
                let sum: f64 = (0..n).map(|k| at(i, k) * inverse[k * n + j]).sum();
                let error = (sum - f64::from(u8::from(i == j))).abs();
                most = if error.is_nan() { error } else { most.max(error) };
            }
        }
        most
    }

    /// Matrices are diagonally dominant or have condition numbers below 1,000, so the error is some 1,000 eps at most.
    #[test]
    fn the_inverse_times_the_matrix_is_the_identity() {
        let chain = |n: usize| with_entries(n, (1..n).map(|i| (i - 1, i, 1.0)));
        // A hub that all others are joined to, and nothing else: the hub stays, whatever its number.
        let star =
            |n: usize| with_entries(n, (0..n).filter(|&i| i != n / 3).map(|i| (i, n / 3, 1.5 / (n as f64).sqrt())));
        let apart = |n: usize| with_entries(n, (0..n / 2).map(|i| (2 * i, 2 * i + 1, -1.0)));
        let bare = |n: usize| with_entries(n, []);
        // Every third row is joined to all others of these, which have no end of neighbours; the rest to two of them.
        let dense = |n: usize| {
            let among = (0..n / 3).flat_map(|i| (0..i).map(move |j| (3 * i, 3 * j, 1.0 / n as f64)));
            with_entries(
                n,
                among.chain((0..n / 3 - 2).flat_map(|i| [(3 * i + 1, 3 * i, 0.5), (3 * i + 2, 3 * i + 6, 0.5)])),
            )
        };
        type Make<'a> = &'a dyn Fn(usize) -> Vec<f64>;
        let cases: [(&str, Make<'_>); 6] = [
            ("chain", &chain),
            ("star", &star),
            ("pairs", &apart),
            ("diagonal", &bare),
            ("half", &dense),
            ("tail", &long_tail),
        ];
        for (name, make) in cases {
            for n in [48usize, 129, 300, 1000] {
                let matrix = make(n);
                let core = Elimination::of(&matrix, n).expect("it pays").core();
                assert!(core < n, "{name}, {n}: {core}");
                let inverse = inverse(&matrix, n).unwrap();
                let error = error(&matrix, &inverse, n);
                assert!(error < 1000.0 * f64::EPSILON, "{name}, {n}: {error:e} with a core of {core}");
                let mirrored = |at: usize| inverse[at % n * n + at / n] == inverse[at];
                assert!((0..n * n).all(mirrored), "{name}, {n}: not symmetric");
            }
        }
        assert_eq!(Elimination::of(&bare(70), 70).map(|elimination| elimination.core()), Some(0));
    }

    #[test]
    fn f32_is_f64_but_for_rounding_and_the_same_for_any_threads() {
        for n in [130usize, 900] {
            let exact = inverse(&long_tail::<f64>(n), n).unwrap();
            let on = |threads| {
                let threads = crate::Threads::new(Some(threads)).unwrap();
                threads.install(|| inverse(&long_tail::<f32>(n), n).unwrap())
            };
            let rounded = on(1);
            let error = rounded.iter().zip(&exact).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
            assert!(error < 64.0 * f64::from(f32::EPSILON), "{n}: {error}");
            assert!(rounded == on(2) && rounded == on(5), "{n}");
        }
    }

    #[test]
    fn what_will_be_eliminated_is_known_from_the_users() {
        for n in [48usize, 300, 1000] {
            let of_matrix = Elimination::of(&long_tail::<f32>(n), n).unwrap();
            let of_users = Elimination::of_gram(&users(n)).unwrap();
            assert!(of_users.core() < n && of_users.order == of_matrix.order, "{n}");
            assert!(of_users.ends == of_matrix.ends && of_users.neighbours == of_matrix.neighbours, "{n}");
        }
        // So many users that those of popular items are not looked at to the end.
        let (n, mut random) = (1000, Stream::new(12, 0));
        let rows: Vec<Vec<u32>> = (0..6 * n)
            .map(|_| {
                let items = (0..5).map(|_| (n as f64 * random.uniform().powi(8)) as u32);
                items.collect::<std::collections::BTreeSet<u32>>().into_iter().collect()
            })
            .collect();
        let x = Csr::from_rows(&rows, n).unwrap();
        let matrix = gram::<f32>(&x, &Steps::silent(&Cancel::default())).unwrap().to_vec();
        let (of_matrix, of_users) = (Elimination::of(&matrix, n).unwrap(), Elimination::of_gram(&x).unwrap());
        let saturated = Graph::of_gram(&x).degrees().iter().filter(|&&degree| degree as usize == n - 1).count();
        assert!(saturated > 3, "{saturated}");
        assert!(of_users.order == of_matrix.order && of_users.neighbours == of_matrix.neighbours);
        // Everybody has everything.
        assert!(Elimination::of_gram(&Csr::from_rows(vec![(0..200).collect::<Vec<_>>(); 3], 200).unwrap()).is_none());
    }

    #[test]
    fn dense_matrices_are_left_alone() {
        for n in [1usize, 40, 200] {
            let all = (0..n).flat_map(|i| (0..i).map(move |j| (i, j, 0.01)));
            assert_eq!(Elimination::of(&with_entries(n, all), n).is_some(), n == 1, "{n}");
        }
        // All rows have few enough others to begin with, but those of each are joined to each other then.
        let n = 2000;
        let far = std::iter::successors(Some(49usize), |far| Some((far * 37 + 11) % 997 + 1)).take(59);
        let entries = far.flat_map(|far| (0..n).map(move |i| (i, (i + far) % n, 0.01)));
        let matrix = with_entries(n, entries);
        assert!(degrees(&matrix, n).iter().all(|&degree| degree == 118 && pays(118, n, n)));
        assert!(Elimination::of(&matrix, n).is_none());
    }

    #[test]
    fn a_bad_pivot_is_named_by_its_own_number() {
        let n = 600;
        let good = long_tail::<f64>(n);
        let elimination = Elimination::of(&good, n).unwrap();
        let gone: Vec<usize> = elimination.order.iter().map(|&row| row as usize).collect();
        let in_core = (0..n).filter(|row| !gone.contains(row)).nth(20).unwrap();
        for (row, entry) in [(gone[7], -1.0), (gone[gone.len() - 1], f64::NAN), (in_core, f64::NEG_INFINITY)] {
            let mut bad = good.clone();
            bad[row * (n + 1)] = entry;
            let inverted = inverse(&bad, n);
            assert!(matches!(inverted, Err(NoInverse::Pivot(pivot)) if pivot == row), "{entry}: {inverted:?}");
        }
    }

    #[test]
    fn neighbours_have_room_and_work_can_be_stopped() {
        // Two sides whose rows have an eighth of the other side each: without an end all of them would be kept.
        let n = 1600;
        let far = (0..n / 2).flat_map(|i| (0..n / 32).map(move |j| (i, n / 2 + (17 * i + j) % (n / 2), 0.01)));
        let matrix = with_entries(n, far);
        let elimination = Elimination::of(&matrix, n).unwrap();
        assert!(elimination.neighbours.len() <= most_neighbours(n));
        assert!(error(&matrix, &inverse(&matrix, n).unwrap(), n) < 1000.0 * f64::EPSILON);
        let cancel = Cancel::default();
        cancel.cancel();
        let mut matrix = matrix;
        let stopped = invert_positive_definite(view2_mut(&mut matrix, (n, n)), &Steps::silent(&cancel));
        assert!(matches!(stopped, Err(NoInverse::Failed(crate::base::error::Error::Cancelled))), "{stopped:?}");
    }
}
