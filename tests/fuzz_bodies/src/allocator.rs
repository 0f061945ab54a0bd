//! An allocator that knows how much each thread has at most.
//!
//! **Invariant**: hands everything on to the system's.

#![expect(unsafe_code, reason = "an allocator is one")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts what threads take from the system.
struct Counting;

thread_local! {
    static NOW: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

fn count(bytes: i64) {
    // A thread that ends has no counters any more.
    let _ = NOW.try_with(|now| {
        now.set(now.get() + bytes);
        PEAK.with(|peak| peak.set(peak.get().max(now.get())));
    });
}

fn size(layout: Layout) -> i64 {
    i64::try_from(layout.size()).unwrap_or(i64::MAX)
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(size(layout));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-size(layout));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }

    // `realloc` is the provided one: it takes the new room before it gives the old one back, as the worst allocator does.
}

/// The most that this thread had during `work`, beyond what it had before; and what `work` gave.
pub fn peak<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = NOW.with(Cell::get);
    PEAK.with(|peak| peak.set(before));
    let result = work();
    let most = PEAK.with(Cell::get) - before;
    (u64::try_from(most).unwrap_or(0), result)
}
