//! Large arrays of numbers, in huge pages where the system has them.
//!
//! A matrix of items x items has hundreds of thousands of pages of 4 KiB. To take them one by one costs seconds, and a walk
//! across rows misses the processor's table of pages at every step. Linux gives pages of 2 MiB to those who ask for them.
//! And what is given back is the system's again at once, where an allocator would keep it for a while.

use std::ops::{Deref, DerefMut};

use bytemuck::Pod;
use memmap2::MmapMut;

/// An array of fixed length.
pub(crate) enum Numbers<T> {
    Vec(Vec<T>),
    /// Pages of their own that hold nothing else.
    Pages(MmapMut),
}

impl<T: Pod> Numbers<T> {
    /// `n` zeros. Whoever needs many asks [`check_memory`](crate::memory::check_memory) first.
    pub(crate) fn zeros(n: usize) -> Self {
        /// Below, pages of 2 MiB waste more than they save.
        const LEAST_BYTES: usize = 8 << 20;
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
        }
    }
}

impl<T: Pod> DerefMut for Numbers<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Vec(values) => values,
            Self::Pages(pages) => bytemuck::cast_slice_mut(pages),
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
}
