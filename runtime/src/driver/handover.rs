//! Whose turn it is to read a connection and to write it, and whether its driver has to be woken: what the driver and those who
//! call on the connection share besides the session.
//!
//! **Invariant**: what arrives is read and what is queued is written, without any event besides. `tests/handover` holds it to
//! that in every order in which threads can take these steps, for which this file names nothing of the product.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    task::Waker,
};

use atomic_waker::AtomicWaker;
use parking_lot::{Mutex, MutexGuard};

/// The driver of a connection, as others wake it.
#[derive(Debug)]
pub(crate) struct Bell {
    waker: AtomicWaker,
    awake: AtomicBool,
}

impl Bell {
    pub(crate) fn new() -> Self {
        Self {
            waker: AtomicWaker::new(),
            awake: AtomicBool::new(false),
        }
    }

    /// For the driver, before it looks at anything: whoever wakes it from now on is heard.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// For the driver: as long as it is awake, what is queued need not be told. Between the end of that and its sleep it looks,
    /// under the session's lock, for what was queued: the lock orders the two, which is why this need not.
    pub(crate) fn set_awake(&self, awake: bool) {
        self.awake.store(awake, Ordering::Relaxed);
    }

    /// Whether what was queued under the session's lock just now is seen by the driver anyway.
    pub(crate) fn is_awake(&self) -> bool {
        self.awake.load(Ordering::Relaxed)
    }

    pub(crate) fn wake(&self) {
        self.waker.wake();
    }
}

/// The reading side of a connection: its driver reads, or the caller of a call that is alone on it.
#[derive(Debug)]
pub(crate) struct Reading<R> {
    reader: Mutex<R>,
    /// The driver found the reader taken.
    wanted: AtomicBool,
    /// Callers read for themselves: the driver need not be woken by what arrives.
    quiet: AtomicBool,
    /// Looks of callers that found their outcome.
    hits: AtomicU64,
}

impl<R> Reading<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader: Mutex::new(reader),
            wanted: AtomicBool::new(false),
            quiet: AtomicBool::new(false),
            hits: AtomicU64::new(0),
        }
    }

    /// For the driver: the reader, or `None` while a caller has it, who wakes the driver afterwards.
    pub(crate) fn take(&self) -> Option<MutexGuard<'_, R>> {
        self.reader.try_lock().or_else(|| {
            // A swap, as in `give_back`: of two, one sees the other. If it is this one, it sees the reader given back, too.
            self.wanted.swap(true, Ordering::AcqRel);
            let reader = self.reader.try_lock()?;
            self.wanted.store(false, Ordering::Relaxed);
            Some(reader)
        })
    }

    /// For a caller: the reader, if nobody else has it.
    pub(crate) fn borrow(&self) -> Option<MutexGuard<'_, R>> {
        self.reader.try_lock()
    }

    /// A caller's look is over.
    pub(crate) fn give_back(&self, reader: MutexGuard<'_, R>, driver: &Bell) {
        drop(reader);
        if self.wanted.swap(false, Ordering::AcqRel) {
            driver.wake();
        }
    }

    /// Whether callers read for themselves at present.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::Acquire)
    }

    /// Leaves reading to callers. `true` if it was not yet left to them: the driver is then to be woken, so that it sees
    /// to it that this lasts only as long as there are such calls. Called under the session's lock when no call is open but that
    /// of the caller, so that whoever opens one afterwards sees it.
    pub(crate) fn begin_quiet(&self) -> bool {
        !self.quiet.swap(true, Ordering::AcqRel)
    }

    /// Has the driver be woken by what arrives, from its next turn on. `true` if it was not.
    pub(crate) fn end_quiet(&self) -> bool {
        self.is_quiet() && self.quiet.swap(false, Ordering::AcqRel)
    }

    /// A look of a caller has found its outcome.
    pub(crate) fn count_hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Looks of callers that found their outcome, so far.
    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }
}

/// How a flush ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flush {
    /// All is written.
    Done,
    /// The socket is full.
    Blocked,
    /// Somebody else is writing, and will look again before it stops.
    Busy,
}

/// Has `write` empty the queue, one thread at a time. `write` tells whether all was written or the socket is full.
pub(crate) fn in_turns<W, E>(
    writer: &Mutex<W>,
    mut write: impl FnMut(&mut W) -> Result<bool, E>,
    has_more: impl Fn() -> bool,
) -> Result<Flush, E> {
    loop {
        let Some(mut held) = writer.try_lock() else {
            return Ok(Flush::Busy);
        };
        if !write(&mut held)? {
            return Ok(Flush::Blocked);
        }
        drop(held);
        // Whoever queued meanwhile found the writer busy and relies on this look.
        if !has_more() {
            return Ok(Flush::Done);
        }
    }
}
