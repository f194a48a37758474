//! Matrices as views of ndarray over numbers that lie row by row in a `Vec`, a slice or
//! [`Numbers`](super::numbers::Numbers).
//!
//! What crosses a module as a matrix carries its shape along. Memory stays with whoever had it; inside of loops over
//! tiles, rows are slices again.

use ndarray::{Array2, ArrayView2, ArrayViewMut2};

/// A matrix over numbers that lie row by row.
///
/// # Panics
/// If the numbers are not as many as the shape says: a bug of this crate.
#[track_caller]
pub(crate) fn view2<T>(numbers: &[T], shape: (usize, usize)) -> ArrayView2<'_, T> {
    check(numbers.len(), shape);
    ArrayView2::from_shape(shape, numbers).expect("they are as many")
}

/// The same, to be written.
///
/// # Panics
/// As [`view2`].
#[track_caller]
pub(crate) fn view2_mut<T>(numbers: &mut [T], shape: (usize, usize)) -> ArrayViewMut2<'_, T> {
    check(numbers.len(), shape);
    ArrayViewMut2::from_shape(shape, numbers).expect("they are as many")
}

/// A matrix of numbers that lie row by row, which keeps them: for small ones.
///
/// # Panics
/// As [`view2`].
#[track_caller]
pub(crate) fn array2<T>(numbers: Vec<T>, shape: (usize, usize)) -> Array2<T> {
    check(numbers.len(), shape);
    Array2::from_shape_vec(shape, numbers).expect("they are as many")
}

#[track_caller]
fn check(found: usize, shape: (usize, usize)) {
    assert!(shape.0.checked_mul(shape.1) == Some(found), "{found} numbers for a matrix of shape {shape:?}");
}

/// The numbers of a matrix, row by row.
///
/// # Panics
/// If there are gaps between the rows, which no matrix of this crate has: a bug of it.
#[track_caller]
pub(crate) fn row_major<T>(matrix: ArrayView2<'_, T>) -> &[T] {
    matrix.to_slice().expect(GAPS)
}

/// The same, to be written.
///
/// # Panics
/// As [`row_major`].
#[track_caller]
pub(crate) fn row_major_mut<T>(matrix: ArrayViewMut2<'_, T>) -> &mut [T] {
    matrix.into_slice().expect(GAPS)
}

const GAPS: &str = "a matrix whose rows lie one after the other";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_has_the_numbers_row_by_row() {
        let mut numbers = [1, 2, 3, 4, 5, 6];
        let view = view2(&numbers, (2, 3));
        assert_eq!((view[(0, 2)], view[(1, 0)], row_major(view)), (3, 4, &numbers[..]));
        row_major_mut(view2_mut(&mut numbers, (3, 2)))[5] = 7;
        assert_eq!(view2(&numbers, (3, 2))[(2, 1)], 7);
        assert!(row_major(view2::<f32>(&[], (0, 5))).is_empty());
    }

    #[test]
    #[should_panic(expected = "6 numbers for a matrix of shape (2, 2)")]
    fn no_number_is_left_over() {
        view2(&[0; 6], (2, 2));
    }

    #[test]
    #[should_panic(expected = "rows lie one after the other")]
    fn columns_are_no_rows() {
        row_major(view2(&[0; 6], (2, 3)).reversed_axes());
    }
}
