//! What the connections of a server share: memory for requests, places for calls, room for what waits to be written.
//!
//! Each connection has a little of everything for itself, so that those who ask for little are not turned away by those
//! who have taken all the rest.
//!
//! **Invariant**: what is taken is given back when its holder is dropped, whatever path is taken.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::config::LimitsConfig;

/// Bytes of memory that the request of each call may take without being counted.
pub(crate) const CALL_BYTES: u64 = 4 << 10;

/// Calls that each connection may have in flight without their being counted.
pub(crate) const CONNECTION_CALLS: usize = 8;

/// How far the bytes that wait on a connection may be from those that are counted.
pub(crate) const QUEUE_STEP: u64 = 64 << 10;

/// What the connections of a server take from together.
///
/// ```
/// use daemoneye_ipc::{config::LimitsConfig, session::Pool};
/// let pool = Pool::new(&LimitsConfig::default());
/// assert_eq!((pool.memory(), pool.calls(), pool.queued()), (0, 0, 0));
/// ```
#[derive(Debug)]
pub struct Pool {
    memory: Share,
    calls: Share,
    queued: Share,
}

#[derive(Debug)]
struct Share {
    limit: u64,
    taken: AtomicU64,
}

impl Share {
    fn new(limit: usize) -> Self {
        Self {
            limit: limit as u64,
            taken: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes `amount` if it is there.
    fn take(&self, amount: u64) -> bool {
        let before = self.taken.fetch_add(amount, Ordering::Relaxed);
        let fits = before.saturating_add(amount) <= self.limit;
        if !fits {
            self.give(amount);
        }
        fits
    }

    fn give(&self, amount: u64) {
        self.taken.fetch_sub(amount, Ordering::Relaxed);
    }
}

impl Pool {
    /// All that `limits` allow, nothing of it taken.
    #[must_use]
    pub fn new(limits: &LimitsConfig) -> Self {
        Self {
            memory: Share::new(limits.decode_memory_bytes),
            calls: Share::new(limits.max_total_calls),
            queued: Share::new(limits.max_total_queued_bytes),
        }
    }

    /// Bytes that requests take, those of up to 4 KiB left out.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.memory.now()
    }

    /// Calls in flight, the first 8 of each connection left out.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.now()
    }

    /// Bytes that wait to be written, to within 64 KiB for each connection.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.queued.now()
    }
}

/// Memory for one message.
#[derive(Debug)]
pub(crate) struct Reservation {
    pool: Arc<Pool>,
    bytes: u64,
}

impl Reservation {
    /// Takes `bytes` of memory, if they are there.
    pub(crate) fn take(pool: &Arc<Pool>, bytes: u64) -> Option<Self> {
        pool.memory.take(bytes).then(|| Self {
            pool: Arc::clone(pool),
            bytes,
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.pool.memory.give(self.bytes);
    }
}

/// What one connection has taken.
#[derive(Debug)]
pub(crate) struct Holdings {
    pool: Arc<Pool>,
    memory: u64,
    calls: u64,
    queued: u64,
}

impl Holdings {
    pub(crate) const fn new(pool: Arc<Pool>) -> Self {
        Self {
            pool,
            memory: 0,
            calls: 0,
            queued: 0,
        }
    }

    /// Takes memory for the requests of a call, if it is there.
    pub(crate) fn take_memory(&mut self, bytes: u64) -> bool {
        let taken = bytes == 0 || self.pool.memory.take(bytes);
        self.memory += if taken { bytes } else { 0 };
        taken
    }

    pub(crate) fn give_memory(&mut self, bytes: u64) {
        if bytes > 0 {
            self.memory -= bytes;
            self.pool.memory.give(bytes);
        }
    }

    /// Sees to it that `calls` in flight are counted, if there is room for them.
    pub(crate) fn count_calls(&mut self, calls: usize) -> bool {
        let counted = calls.saturating_sub(CONNECTION_CALLS) as u64;
        if counted > self.calls {
            if !self.pool.calls.take(counted - self.calls) {
                return false;
            }
        } else if counted < self.calls {
            self.pool.calls.give(self.calls - counted);
        }
        self.calls = counted;
        true
    }

    /// Tells the others how many bytes wait on this connection.
    pub(crate) fn count_queued(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        // A queue that was read to its end counts for nothing: no step may be left of it.
        let is_drained = bytes == 0 && self.queued > 0;
        if bytes.abs_diff(self.queued) < QUEUE_STEP && !is_drained {
            return;
        }
        if bytes > self.queued {
            let more = bytes - self.queued;
            self.pool.queued.taken.fetch_add(more, Ordering::Relaxed);
        } else {
            self.pool.queued.give(self.queued - bytes);
        }
        self.queued = bytes;
    }

    /// Whether too much waits on all connections, and a part of it on this one.
    pub(crate) fn is_clogged(&self) -> bool {
        self.queued >= QUEUE_STEP && self.pool.queued.now() > self.pool.queued.limit
    }
}

impl Drop for Holdings {
    fn drop(&mut self) {
        self.pool.memory.give(self.memory);
        self.pool.calls.give(self.calls);
        self.pool.queued.give(self.queued);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Arc<Pool> {
        Arc::new(Pool::new(&LimitsConfig {
            decode_memory_bytes: 10_000,
            max_total_calls: 4,
            max_total_queued_bytes: 100_000,
            ..LimitsConfig::default()
        }))
    }

    #[test]
    fn what_is_taken_comes_back() {
        let pool = pool();
        let mut holdings = Holdings::new(Arc::clone(&pool));
        assert!(holdings.take_memory(6_000) && !holdings.take_memory(6_000));
        let message = Reservation::take(&pool, 4_000).expect("there is so much");
        assert!(Reservation::take(&pool, 1).is_none());
        assert!(holdings.count_calls(CONNECTION_CALLS + 3));
        holdings.count_queued(200_000);
        assert_eq!(
            (pool.memory(), pool.calls(), pool.queued()),
            (10_000, 3, 200_000)
        );
        drop(message);
        holdings.give_memory(1_000);
        holdings.count_calls(CONNECTION_CALLS + 1);
        assert_eq!((pool.memory(), pool.calls()), (5_000, 1));
        drop(holdings);
        assert_eq!((pool.memory(), pool.calls(), pool.queued()), (0, 0, 0));
    }

    #[test]
    fn a_connection_with_few_calls_and_an_empty_queue_is_not_turned_away() {
        let pool = pool();
        let (mut greedy, mut modest) = (Holdings::new(Arc::clone(&pool)), Holdings::new(pool));
        assert!(
            greedy.count_calls(CONNECTION_CALLS + 4) && !greedy.count_calls(CONNECTION_CALLS + 5)
        );
        assert!(modest.count_calls(CONNECTION_CALLS) && !modest.count_calls(CONNECTION_CALLS + 1));
        greedy.count_queued(200_000);
        modest.count_queued(1_000);
        assert!(greedy.is_clogged() && !modest.is_clogged());
        modest.count_queued(100_000);
        assert!(modest.is_clogged());
        modest.count_queued(1_000);
        assert!(greedy.is_clogged() && !modest.is_clogged());
        modest.count_queued(0);
        assert_eq!(modest.queued, 0);
    }
}
