//! An allocator that says no to what no small input needs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::null_mut;

/// Bytes of the largest allocation. An input has 8 KiB, or 256 of Arrow; readers take blocks of 256 KiB, and gzip makes
/// up to a thousand of one.
pub const LARGEST: usize = 64 << 20;

thread_local! {
    /// Bytes that this thread has taken and not given back, and the most since [`peak_of`] began.
    static TAKEN: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
    static UNBOUNDED: Cell<bool> = const { Cell::new(false) };
}

/// What `work` gives, whose thread may take as much at once as it wants.
pub(crate) fn unbounded<R>(work: impl FnOnce() -> R) -> R {
    UNBOUNDED.set(true);
    let result = work();
    UNBOUNDED.set(false);
    result
}

fn is_refused(size: usize) -> bool {
    size > LARGEST && !UNBOUNDED.try_with(Cell::get).unwrap_or(false)
}

/// What `work` gives, and how many bytes its thread held at most beyond what it held before. 0 without [`Bounded`].
pub(crate) fn peak_of<R>(work: impl FnOnce() -> R) -> (R, usize) {
    let before = TAKEN.get();
    MOST.set(before);
    let result = work();
    (result, MOST.get().saturating_sub(before).unsigned_abs())
}

fn count(bytes: isize) {
    // Not where a thread ends: then nobody asks any more.
    let _ = TAKEN.try_with(|taken| {
        taken.set(taken.get() + bytes);
        MOST.set(MOST.get().max(taken.get()));
    });
}

/// The system's allocator without large allocations: code that asks before it takes gets an error, all other code ends
/// the process, which is a failure.
pub struct Bounded;

// SAFETY: every call goes to the system's allocator as it came, or fails.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_refused(layout.size()) {
            return null_mut();
        }
        count(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_refused(layout.size()) {
            return null_mut();
        }
        count(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if is_refused(new_size) {
            return null_mut();
        }
        count(new_size as isize - layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}
