//! Working memory that is handed from task to task, step after step, instead of being allocated by each.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Buffers that nobody uses at the moment.
#[derive(Default)]
pub(crate) struct Scratch<T>(Mutex<Vec<Vec<T>>>);

/// A buffer until it is dropped, which gives it back.
pub(super) struct Borrowed<'a, T> {
    buffer: Vec<T>,
    home: &'a Scratch<T>,
}

impl<T: Copy + Default> Scratch<T> {
    /// A buffer of `n` numbers that may have any values.
    pub(super) fn take(&self, n: usize) -> Borrowed<'_, T> {
        let mut buffer = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        buffer.resize(n, T::default());
        Borrowed { buffer, home: self }
    }
}

impl<T> Deref for Borrowed<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.buffer
    }
}

impl<T> DerefMut for Borrowed<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.buffer
    }
}

impl<T> Drop for Borrowed<'_, T> {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.home.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}
