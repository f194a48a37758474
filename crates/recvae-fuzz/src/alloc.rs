//! An allocator that says no to what no small input needs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;

/// Bytes of the largest allocation. An input has 8 KiB; readers take blocks of 256 KiB, and gzip makes up to a thousand of one.
pub const LARGEST: usize = 64 << 20;

/// The system's allocator without large allocations: code that asks before it takes gets an error, all other code ends the
/// process, which is a failure.
pub struct Bounded;

// SAFETY: every call goes to the system's allocator as it came, or fails.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > LARGEST {
            return null_mut();
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() > LARGEST {
            return null_mut();
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if new_size > LARGEST {
            return null_mut();
        }
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}
