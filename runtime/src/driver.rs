//! The steps that the drivers of both sides share: read, flush, sleep.
//!
//! **Invariant**: moves bytes and decides nothing; never waits while it holds a lock.

mod handover;

use std::{
    cell::Cell,
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    thread::{LocalKey, available_parallelism},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

use self::handover::in_turns;
pub(crate) use self::handover::{Bell, Flush, Reading};
use crate::{
    session::{ClientSession, ServerSession, Transmit, Written},
    transport::{LARGE_BUFFERS, Link},
    wire::{Crc32Variant, FrameDecoder, FrameError},
};

/// Room that a read is offered at least: little at first, so that an idle connection is small, and more as reads fill it. The
/// most is what one write of stream messages carries, which is 64 KiB and a part of a message.
const LEAST_READ_BYTES: usize = 512;
const MOST_READ_BYTES: usize = 72 << 10;

/// Room that a frame's announced length may claim before as many bytes have come.
const UNPROVEN_BYTES: usize = 64 << 10;

/// Pieces that one write takes.
const WRITE_PIECES: usize = 16;

/// How long a look goes on while bytes come: longer than a large message takes, and what takes longer is read by whoever waits.
pub(crate) const LONGEST_LOOK: Duration = Duration::from_millis(1);

/// Reads of one turn, after which other tasks have theirs.
pub(crate) const READS_PER_TURN: usize = 16;

/// The connection that a thread read last; one cell for each side.
pub(crate) type Latest = LocalKey<Cell<usize>>;

/// Whether this thread read the same connection the last time, too. Where connections take turns, others wait for the thread, and for
/// the peer.
pub(crate) fn reads_again<C>(latest: &'static Latest, conn: &C) -> bool {
    let this = std::ptr::from_ref(conn).addr();
    latest.replace(this) == this
}

/// The present, on the runtime's clock, so that paused time pauses everything.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Bytes that came and are not a whole frame yet.
#[derive(Debug)]
pub(crate) struct Inlet {
    buffer: BytesMut,
    pub(crate) decoder: FrameDecoder,
    /// The largest frame that came whole on this connection: room for that much is given at once.
    proven: usize,
    /// Room that the next read is offered at least.
    wanted: usize,
    /// Bytes that came since they were last asked for.
    came: u64,
    /// The kernel's buffers have been grown.
    grown: bool,
}

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Bytes,
    Blocked,
    Eof,
}

impl Inlet {
    pub(crate) fn new(max_frame_bytes: usize, crc: Crc32Variant) -> Self {
        Self {
            buffer: BytesMut::new(),
            decoder: FrameDecoder::new(max_frame_bytes, crc),
            proven: UNPROVEN_BYTES,
            wanted: LEAST_READ_BYTES,
            came: 0,
            grown: false,
        }
    }

    /// Reads once. Room grows with the bytes that came, not with the length that was claimed.
    pub(crate) fn read(&mut self, link: &Link) -> io::Result<Read> {
        // A frame of more has come: fewer writes and changes of tasks for each.
        if self.proven > UNPROVEN_BYTES && !std::mem::replace(&mut self.grown, true) {
            // Small ones serve as well, only slower.
            let _ = link.set_buffers(LARGE_BUFFERS, LARGE_BUFFERS);
        }
        self.make_room();
        let read = link.try_read(&mut self.buffer);
        self.count(read)
    }

    /// The same without regard to what the reactor knows, for somebody who looks at the socket.
    fn look(&mut self, link: &Link) -> io::Result<Read> {
        self.make_room();
        let read = link.read_now(&mut self.buffer);
        self.count(read)
    }

    /// Looks at the socket until something has come or `budget` is over, with a `pause` after each look.
    pub(crate) fn watch(&mut self, link: &Link, budget: Duration, pause: fn()) -> io::Result<Read> {
        let Some(_looking) = Looking::begin() else {
            return Ok(Read::Blocked);
        };
        let since = Instant::now();
        loop {
            match self.look(link) {
                Ok(Read::Blocked) if since.elapsed() < budget => pause(),
                other => return other,
            }
        }
    }

    fn make_room(&mut self) {
        let missing = self.decoder.missing(&self.buffer);
        let spare = self.buffer.capacity() - self.buffer.len();
        if spare < missing.min(self.wanted / 4) {
            let room = missing.min(self.buffer.len().max(self.proven));
            self.buffer.reserve(room.max(self.wanted));
        }
    }

    fn count(&mut self, read: io::Result<usize>) -> io::Result<Read> {
        match read {
            Ok(0) => Ok(Read::Eof),
            Ok(count) => {
                // A read that fills what little room was left tells of its end, and not of how much there is.
                if self.buffer.len() == self.buffer.capacity() && count >= self.wanted / 4 {
                    self.wanted = (self.wanted * 2).min(MOST_READ_BYTES);
                }
                self.came += count as u64;
                Ok(Read::Bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Read::Blocked),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Read::Bytes),
            Err(error) => Err(error),
        }
    }

    /// Checks what has come, for [`Self::next_frame`] to have less to do.
    pub(crate) fn check_ahead(&mut self) {
        self.decoder.check_ahead(&self.buffer);
    }

    /// The next frame that `take` does not take, which sees each before it; and how many it took.
    pub(crate) fn next_frame(
        &mut self,
        take: impl FnMut(&[u8]) -> bool,
    ) -> Result<(usize, Option<Bytes>), FrameError> {
        let next = self.decoder.decode_rest(&mut self.buffer, take)?;
        if let (_, Some(frame)) = &next {
            self.proven = self.proven.max(frame.len());
        }
        Ok(next)
    }

    /// Bytes that came since the last time.
    pub(crate) const fn take_came(&mut self) -> u64 {
        std::mem::replace(&mut self.came, 0)
    }

    /// Whether a frame has begun and is not whole.
    pub(crate) fn is_partial(&self) -> bool {
        !self.buffer.is_empty()
    }
}

/// One thread of the process that looks at a socket instead of sleeping.
struct Looking;

/// How many there are.
static LOOKING: AtomicUsize = AtomicUsize::new(0);

impl Looking {
    /// `None` if all processors but one are looking already, which is always so where there is one.
    fn begin() -> Option<Self> {
        static MOST: OnceLock<usize> = OnceLock::new();
        let most = *MOST.get_or_init(|| available_parallelism().map_or(0, |all| all.get() - 1));
        let looking = LOOKING.fetch_add(1, Ordering::Relaxed);
        let this = Self;
        (looking < most).then_some(this)
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        LOOKING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a session hands to the writer.
pub(crate) trait Outgoing {
    fn transmit(&mut self, transmit: &mut Transmit);
    fn written(&mut self, written: Written);
    fn blocked(&mut self, now: Instant);
    fn has_more(&self) -> bool;
}

macro_rules! outgoing {
    () => {
        fn transmit(&mut self, transmit: &mut Transmit) {
            self.poll_transmit(transmit);
        }
        fn written(&mut self, written: Written) {
            self.handle_written(written);
        }
        fn blocked(&mut self, now: Instant) {
            self.handle_blocked(now);
        }
        fn has_more(&self) -> bool {
            self.wants_write()
        }
    };
}

impl Outgoing for ClientSession {
    outgoing!();
}

impl<A> Outgoing for ServerSession<A> {
    outgoing!();
}

/// Writes what the session has, until it has no more or the socket is full.
pub(crate) fn flush<S: Outgoing>(
    link: &Link,
    session: &Mutex<S>,
    writer: &Mutex<Transmit>,
) -> io::Result<Flush> {
    let write = |transmit: &mut Transmit| write(link, session, transmit);
    in_turns(writer, write, || session.lock().has_more())
}

/// Whether all was written; if not, the socket is full.
fn write<S: Outgoing>(
    link: &Link,
    session: &Mutex<S>,
    transmit: &mut Transmit,
) -> io::Result<bool> {
    session.lock().transmit(transmit);
    while !transmit.is_empty() {
        let mut slices = [IoSlice::new(&[]); WRITE_PIECES];
        let filled = transmit.slices(&mut slices);
        let wrote = link.try_write_vectored(slices.get(..filled).unwrap_or_default());
        match wrote {
            Ok(count) => {
                let written = transmit.advance(count);
                let mut session = session.lock();
                session.written(written);
                session.transmit(transmit);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                session.lock().blocked(now());
                return Ok(false);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// One timer that is moved only when it has to ring earlier.
#[derive(Debug)]
pub(crate) struct Alarm {
    sleep: Pin<Box<tokio::time::Sleep>>,
    armed: Option<Instant>,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Self {
            sleep: Box::pin(tokio::time::sleep_until(tokio::time::Instant::now())),
            armed: None,
        }
    }

    /// Whether `until` has come; if not, the task is woken then at the latest. Always the same task asks.
    pub(crate) fn poll_due(
        &mut self,
        until: Option<Instant>,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> bool {
        let Some(until) = until else { return false };
        if self
            .armed
            .is_some_and(|armed| now < armed && armed <= until)
        {
            return false;
        }
        loop {
            if self.armed.is_none_or(|armed| armed > until) {
                self.sleep.as_mut().reset(until.into());
                self.armed = Some(until);
            }
            match self.sleep.as_mut().poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(()) if self.armed.take().is_some_and(|armed| armed >= until) => {
                    return true;
                }
                Poll::Ready(()) => {}
            }
        }
    }
}
