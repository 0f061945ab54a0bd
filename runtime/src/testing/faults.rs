//! A connection that damages what it carries.
//!
//! **Invariant**: what happens depends on the faults and on the bytes alone: the same test, the same
//! damage.

use std::{
    future::poll_fn,
    io::{self, ErrorKind, IoSlice},
    sync::Arc,
    time::Duration,
};

use bytes::{Buf, BytesMut};

use crate::transport::{Link, memory_pair};

/// Bytes that a relay holds in each direction.
const BUFFER_BYTES: usize = 64 << 10;

/// Something that happens to the bytes of one direction, at a place that counts from the first byte.
///
/// ```
/// use std::time::Duration;
/// use daemoneye_ipc::testing::{Fault, Faults};
///
/// // The answer's first byte is late, and its checksum is wrong.
/// let faults = Faults::new()
///     .to_client(Fault::Stall { at: 0, pause: Duration::from_secs(3) })
///     .to_client(Fault::FlipBit { at: 4, bit: 0 });
/// # drop(faults);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Inverts one bit of byte `at`: bit `bit % 8`, the lowest being 0.
    FlipBit {
        /// The byte.
        at: u64,
        /// The bit.
        bit: u8,
    },
    /// Carries byte `at` and what follows only after a pause.
    Stall {
        /// The byte.
        at: u64,
        /// The pause; [`Duration::MAX`] for ever.
        pause: Duration,
    },
    /// Swaps the `len` bytes at `at` with the `len` bytes that follow them.
    Swap {
        /// The first byte.
        at: u64,
        /// Length of each piece.
        len: usize,
    },
    /// Ends the connection in order before byte `at`, as a peer that closes does.
    Truncate {
        /// The byte.
        at: u64,
    },
    /// Ends the connection with an error before byte `at`.
    Reset {
        /// The byte.
        at: u64,
    },
}

impl Fault {
    const fn at(&self) -> u64 {
        match *self {
            Self::FlipBit { at, .. }
            | Self::Stall { at, .. }
            | Self::Swap { at, .. }
            | Self::Truncate { at }
            | Self::Reset { at } => at,
        }
    }
}

/// What is wrong with a connection. The default is nothing.
///
/// ```
/// use daemoneye_ipc::testing::{Fault, Faults};
/// let faults = Faults::new()
///     .chunks(7)
///     .to_server(Fault::FlipBit { at: 100, bit: 3 })
///     .to_client(Fault::Truncate { at: 4_000 });
/// ```
#[derive(Debug, Clone, Default)]
pub struct Faults {
    to_server: Vec<Fault>,
    to_client: Vec<Fault>,
    chunk: Option<usize>,
}

impl Faults {
    /// Nothing is wrong.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fault to what the client sends.
    #[must_use]
    pub fn to_server(mut self, fault: Fault) -> Self {
        self.to_server.push(fault);
        self
    }

    /// Adds a fault to what the server sends.
    #[must_use]
    pub fn to_client(mut self, fault: Fault) -> Self {
        self.to_client.push(fault);
        self
    }

    /// Carries at most `size` bytes at a time in both directions, at least 1.
    #[must_use]
    pub fn chunks(mut self, size: usize) -> Self {
        self.chunk = Some(size.max(1));
        self
    }
}

/// A link that reaches `far` through `faults`.
pub(super) fn relay(far: Link, faults: Faults) -> Link {
    let (near, inner) = memory_pair(BUFFER_BYTES);
    let (inner, far) = (Arc::new(inner), Arc::new(far));
    let chunk = faults.chunk.unwrap_or(BUFFER_BYTES);
    for (from, to, faults) in [
        (&inner, &far, faults.to_server),
        (&far, &inner, faults.to_client),
    ] {
        let pump = Pump {
            from: Arc::clone(from),
            to: Arc::clone(to),
            chunk,
            carried: 0,
            faults,
            waiting: BytesMut::new(),
        };
        tokio::spawn(pump.run());
    }
    near
}

/// One direction of a relay.
struct Pump {
    from: Arc<Link>,
    to: Arc<Link>,
    chunk: usize,
    /// Bytes that were carried.
    carried: u64,
    /// Those that are still to happen.
    faults: Vec<Fault>,
    /// Bytes that came and were not carried yet.
    waiting: BytesMut,
}

/// How a step ended.
enum Step {
    Go,
    Close,
    Reset,
}

impl Pump {
    async fn run(mut self) {
        self.faults.sort_by_key(Fault::at);
        loop {
            match self.step().await {
                Ok(Step::Go) => {}
                Ok(Step::Close) => return self.to.half_close(),
                Ok(Step::Reset) | Err(_) => {
                    self.from.reset();
                    return self.to.reset();
                }
            }
        }
    }

    /// Carries some bytes, up to the next fault, or has that happen.
    async fn step(&mut self) -> io::Result<Step> {
        if self.waiting.is_empty() && !self.fill(1).await? {
            return Ok(Step::Close);
        }
        let due = self.faults.first().map(Fault::at);
        let free = due.map_or(u64::MAX, |at| at.saturating_sub(self.carried));
        if free > 0 {
            let free = usize::try_from(free).unwrap_or(usize::MAX);
            return self.carry(free.min(self.chunk)).await;
        }
        match self.faults.remove(0) {
            Fault::FlipBit { bit, .. } => {
                if let Some(byte) = self.waiting.first_mut() {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Fault::Stall { pause, .. } => tokio::time::sleep(pause).await,
            Fault::Swap { len, .. } => {
                // Of a stream that ends before, what came is carried as it is.
                if self.fill(len.saturating_mul(2)).await? {
                    let (first, second) = self.waiting.split_at_mut(len);
                    first.swap_with_slice(second.split_at_mut(len).0);
                }
            }
            Fault::Truncate { .. } => {
                self.from.shutdown();
                self.to.shutdown();
                return Ok(Step::Close);
            }
            Fault::Reset { .. } => return Ok(Step::Reset),
        }
        Ok(Step::Go)
    }

    /// Reads until `len` bytes wait. `false` if the stream ends before.
    async fn fill(&mut self, len: usize) -> io::Result<bool> {
        while self.waiting.len() < len {
            self.waiting.reserve(len.max(self.chunk));
            match self.from.try_read(&mut self.waiting) {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    poll_fn(|cx| self.from.poll_read_ready(cx)).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Writes up to `max` of the bytes that wait.
    async fn carry(&mut self, max: usize) -> io::Result<Step> {
        let len = max.min(self.waiting.len());
        let slice = self.waiting.get(..len).unwrap_or_default();
        match self.to.try_write_vectored(&[IoSlice::new(slice)]) {
            Ok(written) => {
                self.waiting.advance(written);
                self.carried += written as u64;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll_fn(|cx| self.to.poll_write_ready(cx)).await?;
            }
            Err(error) => return Err(error),
        }
        // One chunk is one read at the other end, if that is quick.
        tokio::task::yield_now().await;
        Ok(Step::Go)
    }
}
