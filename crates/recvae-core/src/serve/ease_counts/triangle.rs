//! The upper triangle of a symmetric matrix of counts, each row in the shorter of two forms.
//!
//! Row `i` of `n` stands for the counts from column `i` on. With `k` of them above 0 it is all `n - i` counts or, where
//! `2 k < n - i`, the `k` columns in ascending order and then their `k` counts. Its length tells which: only the first
//! form has `n - i` numbers. So nothing is larger than half the square, and where few pairs occur it is their number
//! that counts.

/// Rows, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Triangle {
    numbers: Vec<u32>,
    /// Where each row ends in `numbers`.
    ends: Vec<usize>,
}

impl Triangle {
    /// Adds the row of `item`, the counts from column `item` on to column `n`.
    pub(super) fn push(&mut self, item: usize, n: usize, counts: &[u32]) {
        debug_assert_eq!(counts.len(), n - item);
        let above_zero = || (item..).zip(counts).filter(|(_, count)| **count > 0);
        if 2 * above_zero().count() < counts.len() {
            self.numbers.extend(above_zero().map(|(column, _)| column as u32));
            self.numbers.extend(above_zero().map(|(_, &count)| count));
        } else {
            self.numbers.extend_from_slice(counts);
        }
        self.ends.push(self.numbers.len());
    }

    /// Puts triangles that are stretches of one together. Each is freed once it is copied.
    pub(super) fn join(stretches: Vec<Self>) -> Self {
        let mut all = Self::default();
        all.numbers.reserve_exact(stretches.iter().map(Self::len).sum());
        for Self { numbers, ends } in stretches {
            all.ends.extend(ends.into_iter().map(|end| all.numbers.len() + end));
            all.numbers.extend_from_slice(&numbers);
        }
        all
    }

    /// Numbers that are stored.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// How many bytes of memory it holds.
    pub(super) fn bytes(&self) -> usize {
        self.numbers.capacity() * size_of::<u32>() + self.ends.capacity() * size_of::<usize>()
    }

    fn row(&self, item: usize) -> &[u32] {
        let start = if item == 0 { 0 } else { self.ends[item - 1] };
        &self.numbers[start..self.ends[item]]
    }

    /// Column and count of what is stored of the row of `item`.
    pub(super) fn entries(&self, item: usize) -> impl Iterator<Item = (usize, u32)> {
        let (row, n) = (self.row(item), self.ends.len());
        let (columns, counts) = if row.len() == n - item { (&[][..], row) } else { row.split_at(row.len() / 2) };
        counts.iter().enumerate().map(move |(at, &count)| (columns.get(at).map_or(item + at, |&c| c as usize), count))
    }

    /// Overwrites `counts` by those of the row of `item` from column `item` on; what lies outside the triangle is 0.
    pub(super) fn read(&self, item: usize, counts: &mut [u32]) {
        counts.fill(0);
        if item < self.ends.len() {
            self.entries(item).for_each(|(column, count)| counts[column - item] = count);
        }
    }

    /// The count of an item with itself.
    pub(super) fn diagonal(&self, item: usize) -> u32 {
        let first = if item < self.ends.len() { self.entries(item).next() } else { None };
        first.filter(|&(column, _)| column == item).map_or(0, |(_, count)| count)
    }

    /// The rows one after the other, and where each one ends: the form they have in a file.
    pub(super) fn as_parts(&self) -> (&[u32], &[usize]) {
        (&self.numbers, &self.ends)
    }

    /// The inverse of [`Self::as_parts`], for counts of `n_users`. The error says what is wrong.
    pub(super) fn from_parts(numbers: Vec<u32>, ends: Vec<usize>, n_users: u32) -> Result<Self, String> {
        let n = ends.len();
        if ends.last().copied().unwrap_or(0) != numbers.len() || !ends.is_sorted() {
            return Err(format!("the rows do not end at {}, the number of counts", numbers.len()));
        }
        let result = Self { numbers, ends };
        for item in 0..n {
            let row = result.row(item);
            let (columns, _) = row.split_at(row.len() / 2);
            let in_order =
                columns.is_sorted_by(|a, b| a < b) && columns.iter().all(|&c| (item..n).contains(&(c as usize)));
            if row.len() != n - item && (row.len() > n - item || !row.len().is_multiple_of(2) || !in_order) {
                return Err(format!("row {item} is malformed"));
            }
        }
        // In two rounds, since the diagonal can be read only where rows are well formed.
        let of_items: Vec<u32> = (0..n).map(|item| result.diagonal(item)).collect();
        for item in 0..n {
            let most = of_items[item].min(n_users);
            if result.entries(item).any(|(column, count)| count > most.min(of_items[column])) {
                return Err(format!("row {item} has a count above those of its items or of all users"));
            }
        }
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_and_take_the_shorter_form() {
        let rows = [[9, 0, 0, 0, 3].as_slice(), &[4, 0, 2, 2], &[0, 0, 0], &[5, 1], &[7]];
        let mut triangle = Triangle::default();
        rows.iter().enumerate().for_each(|(item, counts)| triangle.push(item, 5, counts));
        let (numbers, ends) = triangle.as_parts();
        assert_eq!(numbers, [0, 4, 9, 3, 4, 0, 2, 2, 5, 1, 7]);
        assert_eq!(ends, [4, 8, 8, 10, 11]);
        for (item, row) in rows.iter().enumerate() {
            // Two items more than there are: their counts are 0.
            let mut counts = vec![8; row.len() + 2];
            triangle.read(item, &mut counts);
            assert_eq!(counts, [row, &[0, 0][..]].concat());
            assert_eq!(triangle.diagonal(item), row[0]);
        }
        assert_eq!(triangle.diagonal(5), 0);
        assert_eq!(Triangle::from_parts(numbers.to_vec(), ends.to_vec(), 9).unwrap(), triangle);
    }

    #[test]
    fn malformed_parts_are_refused() {
        for (numbers, ends, wrong) in [
            (vec![1], vec![2], "do not end at 1"),
            (vec![1, 1, 1, 1], vec![3, 2, 4], "do not end at 4"),
            (vec![1, 1, 1], vec![3, 3], "row 0 is malformed"),
            (vec![1], vec![1, 1, 1], "row 0 is malformed"),
            (vec![3, 1], vec![2, 2, 2], "row 0 is malformed"),
            (vec![2, 1, 1, 1], vec![4, 4, 4, 4, 4], "row 0 is malformed"),
            (vec![0, 1], vec![0, 0, 2, 2, 2], "row 2 is malformed"),
            (vec![2, 3, 2], vec![2, 3], "row 0 has a count above"),
            (vec![6, 0, 0], vec![2, 3], "row 0 has a count above"),
        ] {
            let error = Triangle::from_parts(numbers.clone(), ends.clone(), 5).unwrap_err();
            assert!(error.contains(wrong), "{numbers:?} {ends:?}: {error}");
        }
    }
}
