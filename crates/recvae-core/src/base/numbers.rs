//! Large arrays of numbers, in huge pages where the system has them.
//!
//! A matrix of items x items has hundreds of thousands of pages of 4 KiB. To take them one by one costs seconds, and a
//! walk across rows misses the processor's table of pages at every step. Linux gives pages of 2 MiB to those who ask
//! for them. And what is given back is the system's again at once, where an allocator would keep it for a while.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;

use bytemuck::Pod;
use memmap2::MmapMut;
use ndarray::{ArrayView2, ArrayViewMut2};

use super::matrix::{view2, view2_mut};

/// An array of fixed length.
pub(crate) enum Numbers<T> {
    Vec(Vec<T>),
    /// Pages of their own that hold nothing else.
    Pages(MmapMut),
    /// Part of something that others hold too, such as a mapped file. Whoever writes to it gets a copy first.
    Shared(Shared<T>),
}

/// Bytes that several hold.
pub(crate) type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Numbers as they lie in bytes that several hold.
pub(crate) struct Shared<T> {
    bytes: SharedBytes,
    range: Range<usize>,
    numbers: PhantomData<T>,
}

impl<T: Pod> Shared<T> {
    fn numbers(&self) -> &[T] {
        bytemuck::cast_slice(&(*self.bytes).as_ref()[self.range.clone()])
    }
}

impl<T: Pod> Numbers<T> {
    /// `n` zeros. Whoever needs many asks [`check_memory`](crate::base::memory::check_memory) first.
    pub(crate) fn zeros(n: usize) -> Self {
        /// Less fills no page of 2 MiB.
        const LEAST_BYTES: usize = 2 << 20;
        let bytes = n.saturating_mul(size_of::<T>());
        let pages = (bytes >= LEAST_BYTES).then(|| MmapMut::map_anon(bytes).ok()).flatten();
        match pages {
            Some(pages) => {
                // A wish: without it everything works, slower.
                #[cfg(target_os = "linux")]
                let _ = pages.advise(memmap2::Advice::HugePage);
                Self::Pages(pages)
            }
            None => Self::Vec(vec![T::zeroed(); n]),
        }
    }

    /// The little-endian numbers in a range of bytes: without a copy if their place in memory allows it.
    ///
    /// # Panics
    /// If the range is not within the bytes or no multiple of a number's size.
    pub(crate) fn shared(bytes: SharedBytes, range: Range<usize>) -> Self {
        const { assert!(cfg!(target_endian = "little"), "files are little-endian") }
        let part = &(*bytes).as_ref()[range.clone()];
        if bytemuck::try_cast_slice::<u8, T>(part).is_ok() {
            return Self::Shared(Shared { bytes, range, numbers: PhantomData });
        }
        let mut copy = Self::zeros(part.len() / size_of::<T>());
        bytemuck::cast_slice_mut(&mut copy).copy_from_slice(part);
        copy
    }

    /// The numbers as a matrix, row by row.
    ///
    /// # Panics
    /// If they are not as many as the shape says.
    #[track_caller]
    pub(crate) fn view2(&self, shape: (usize, usize)) -> ArrayView2<'_, T> {
        view2(self, shape)
    }

    /// The same, to be written.
    ///
    /// # Panics
    /// As [`Numbers::view2`].
    #[track_caller]
    pub(crate) fn view2_mut(&mut self, shape: (usize, usize)) -> ArrayViewMut2<'_, T> {
        view2_mut(self, shape)
    }

    /// A copy.
    pub(crate) fn copy_of(values: &[T]) -> Self {
        let mut copy = Self::zeros(values.len());
        copy.copy_from_slice(values);
        copy
    }
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self::Vec(vec![])
    }
}

impl<T> From<Vec<T>> for Numbers<T> {
    fn from(values: Vec<T>) -> Self {
        Self::Vec(values)
    }
}

impl<T: Pod> Deref for Numbers<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Vec(values) => values,
            Self::Pages(pages) => bytemuck::cast_slice(pages),
            Self::Shared(part) => part.numbers(),
        }
    }
}

impl<T: Pod> DerefMut for Numbers<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        if let Self::Shared(part) = self {
            *self = Self::copy_of(part.numbers());
        }
        match self {
            Self::Vec(values) => values,
            Self::Pages(pages) => bytemuck::cast_slice_mut(pages),
            Self::Shared(_) => unreachable!("it was copied"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_arrays_are_zeros_and_can_be_written() {
        for n in [0usize, 3, 5 << 20] {
            let mut numbers = Numbers::<f32>::zeros(n);
            assert_eq!(matches!(numbers, Numbers::Pages(_)), n > 1 << 20);
            assert!(numbers.len() == n && numbers.iter().all(|&number| number == 0.0));
            numbers.fill(1.5);
            assert_eq!(numbers.iter().map(|&number| f64::from(number)).sum::<f64>(), 1.5 * n as f64);
        }
    }

    #[test]
    fn shared_numbers_are_copied_where_they_lie_askew_or_are_written_to() {
        let words: Arc<[u64]> = (0..3u64).collect();
        struct Bytes(Arc<[u64]>);
        impl AsRef<[u8]> for Bytes {
            fn as_ref(&self) -> &[u8] {
                bytemuck::cast_slice(&self.0)
            }
        }
        let bytes: SharedBytes = Arc::new(Bytes(Arc::clone(&words)));
        let mut straight = Numbers::<u64>::shared(Arc::clone(&bytes), 8..24);
        assert!(matches!(straight, Numbers::Shared(_)) && straight.as_ptr() == &raw const words[1]);
        straight[0] = 7;
        assert!(matches!(straight, Numbers::Vec(_)) && straight[..] == [7, 2] && words[1] == 1);
        let askew = Numbers::<u64>::shared(bytes, 9..17);
        assert!(matches!(askew, Numbers::Vec(_)) && askew[..] == [2 << 56]);
    }
}
