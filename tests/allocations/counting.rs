//! An allocator that counts, for each side of a connection, and can tell where.
//!
//! **Invariant**: hands every request on to the system's allocator as it came; what it keeps for itself is not counted.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    backtrace::Backtrace,
    cell::Cell,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A side of a connection, which has threads of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// How often memory was asked for by each side: new or more of it. What is given back is not counted.
static COUNTS: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// Whether it is kept where that was.
static TRACING: AtomicBool = AtomicBool::new(false);
static TRACES: Mutex<Vec<(Side, String)>> = Mutex::new(Vec::new());

thread_local! {
    /// Without a destructor and without anything to initialise, so that it is there whenever memory is asked for.
    static SIDE: Cell<Option<Side>> = const { Cell::new(None) };
}

impl Side {
    /// What this thread asks for from now on counts for this side.
    pub(crate) fn begin(self) {
        SIDE.set(Some(self));
    }

    /// What this thread asks for from now on counts for nobody.
    pub(crate) fn end() {
        SIDE.set(None);
    }

    pub(crate) fn count(self) -> u64 {
        COUNTS[self as usize].load(SeqCst)
    }
}

/// Runs `work` and returns where memory was asked for meanwhile, by whom.
pub(crate) fn traces(work: impl FnOnce()) -> Vec<(Side, String)> {
    TRACING.store(true, SeqCst);
    work();
    TRACING.store(false, SeqCst);
    std::mem::take(&mut *TRACES.lock().expect("no panic"))
}

fn count() {
    let Some(side) = SIDE.get() else { return };
    COUNTS[side as usize].fetch_add(1, SeqCst);
    if TRACING.load(SeqCst) {
        SIDE.set(None);
        let trace = Backtrace::force_capture().to_string();
        TRACES.lock().expect("no panic").push((side, trace));
        SIDE.set(Some(side));
    }
}

struct Counting;

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe to implement; this one only counts, and leaves the rest to the system's"
)]
// SAFETY: each method is the system allocator's, with the arguments that came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller promises it.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller promises it.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller promises it.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller promises it.
        unsafe { System.dealloc(place, layout) }
    }
}
