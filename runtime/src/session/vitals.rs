//! Whether a connection is alive: handshake, stalled reads and writes, and PING while calls are open.
//!
//! **Invariant**: every wait for the peer ends at a time that is known in advance.

use std::time::{Duration, Instant};

use super::Fault;

/// Silence, while calls are open, after which a PING asks whether the peer lives (wire contract,
/// section 5).
pub const PING_AFTER: Duration = Duration::from_secs(10);

/// The times that a connection is judged by.
#[derive(Debug)]
pub(crate) struct Vitals {
    read_timeout: Duration,
    write_timeout: Duration,
    handshake_until: Option<Instant>,
    last_received: Instant,
    ping_sent: Option<Instant>,
    partial_since: Option<Instant>,
    blocked_since: Option<Instant>,
}

/// What is due.
#[derive(Debug)]
pub(crate) enum Due {
    Nothing,
    Ping,
    Fault(Fault),
}

impl Vitals {
    pub(crate) fn new(
        now: Instant,
        handshake: Duration,
        read_timeout: Duration,
        write_timeout: Duration,
    ) -> Self {
        Self {
            read_timeout,
            write_timeout,
            handshake_until: now.checked_add(handshake),
            last_received: now,
            ping_sent: None,
            partial_since: None,
            blocked_since: None,
        }
    }

    pub(crate) const fn handshake_done(&mut self) {
        self.handshake_until = None;
    }

    /// Bytes came. `partial` tells whether they end inside a frame, `completed` whether a frame ended.
    pub(crate) fn received(&mut self, now: Instant, completed: bool, partial: bool) {
        self.last_received = now;
        self.ping_sent = None;
        self.partial_since = match (partial, completed) {
            (false, _) => None,
            (true, true) => Some(now),
            (true, false) => self.partial_since.or(Some(now)),
        };
    }

    /// When bytes came.
    pub(crate) const fn last_received(&self) -> Instant {
        self.last_received
    }

    /// The socket took nothing although there is something to write.
    pub(crate) fn blocked(&mut self, now: Instant) {
        self.blocked_since.get_or_insert(now);
    }

    /// The socket took bytes.
    pub(crate) const fn wrote(&mut self) {
        self.blocked_since = None;
    }

    /// When [`Self::check`] is to be called at the latest.
    pub(crate) fn next(&self, calls_open: bool) -> Option<Instant> {
        let after = |since: Option<Instant>, limit| since.and_then(|at| at.checked_add(limit));
        let read = match self.handshake_until {
            Some(until) => Some(until),
            None => after(self.partial_since, self.read_timeout),
        };
        let alive = calls_open.then(|| self.alive_until()).flatten();
        [read, after(self.blocked_since, self.write_timeout), alive]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) fn check(&mut self, now: Instant, calls_open: bool) -> Due {
        let over = |since: Option<Instant>, limit| {
            since.is_some_and(|at| now.saturating_duration_since(at) >= limit)
        };
        if self.handshake_until.is_some_and(|until| now >= until) {
            return Due::Fault(Fault::Timeout(
                "no complete HELLO within the handshake timeout",
            ));
        }
        if self.handshake_until.is_none() && over(self.partial_since, self.read_timeout) {
            return Due::Fault(Fault::Timeout(
                "a frame began and did not finish within the read timeout",
            ));
        }
        if over(self.blocked_since, self.write_timeout) {
            return Due::Fault(Fault::Timeout(
                "the peer took no byte within the write timeout",
            ));
        }
        if !calls_open || self.alive_until().is_none_or(|until| now < until) {
            return Due::Nothing;
        }
        if self.ping_sent.is_some() {
            return Due::Fault(Fault::Timeout(
                "the peer did not answer a PING within the read timeout",
            ));
        }
        self.ping_sent = Some(now);
        Due::Ping
    }

    fn alive_until(&self) -> Option<Instant> {
        match self.ping_sent {
            Some(sent) => sent.checked_add(self.read_timeout),
            None => self.last_received.checked_add(PING_AFTER),
        }
    }

    /// A call was opened: silence counts from now, not from the last byte of an idle connection.
    pub(crate) fn call_opened(&mut self, now: Instant, first: bool) {
        if first && self.ping_sent.is_none() {
            self.last_received = self.last_received.max(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn vitals(now: Instant) -> Vitals {
        Vitals::new(now, 5 * SECOND, 30 * SECOND, 10 * SECOND)
    }

    #[test]
    fn dribbling_does_not_extend_a_frame() {
        let start = Instant::now();
        let mut vitals = vitals(start);
        vitals.handshake_done();
        for second in 0..30 {
            vitals.received(start + second * SECOND, false, true);
            assert!(matches!(
                vitals.check(start + second * SECOND, false),
                Due::Nothing
            ));
        }
        assert!(matches!(
            vitals.check(start + 30 * SECOND, false),
            Due::Fault(Fault::Timeout(_))
        ));
    }

    #[test]
    fn silence_with_calls_open_pings_then_gives_up_and_without_calls_does_nothing() {
        let start = Instant::now();
        let mut vitals = vitals(start);
        vitals.handshake_done();
        assert_eq!(vitals.next(false), None);
        assert_eq!(vitals.next(true), Some(start + PING_AFTER));
        assert!(matches!(vitals.check(start + PING_AFTER, true), Due::Ping));
        assert_eq!(vitals.next(true), Some(start + PING_AFTER + 30 * SECOND));
        let end = start + PING_AFTER + 30 * SECOND;
        assert!(matches!(
            vitals.check(end, true),
            Due::Fault(Fault::Timeout(_))
        ));
    }

    #[test]
    fn any_byte_taken_resets_the_write_timeout() {
        let start = Instant::now();
        let mut vitals = vitals(start);
        vitals.handshake_done();
        vitals.blocked(start);
        vitals.blocked(start + 9 * SECOND);
        assert_eq!(vitals.next(false), Some(start + 10 * SECOND));
        vitals.wrote();
        assert_eq!(vitals.next(false), None);
    }
}
