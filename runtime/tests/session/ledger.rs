//! What the test knows of the credit of each stream, counted from the frames and from what it did itself.
//!
//! **Invariant**: asks no session for credit.

use std::collections::HashMap;

use daemoneye_ipc::session::CallId;

use super::STREAM_CREDIT;

/// What a message of `len` bytes costs (docs/wire.md, section 4).
pub(crate) fn cost(len: usize) -> i64 {
    i64::try_from(len + 32).expect("a small message")
}

/// Bytes of the first window.
const WINDOW: i64 = STREAM_CREDIT as i64;

/// What the window of a response stream may be (docs/wire.md, section 4).
pub(crate) const DOWN: [i64; 4] = [WINDOW / 2, WINDOW, 2 * WINDOW, 4 * WINDOW];

/// What that of a request stream is.
pub(crate) const UP: [i64; 1] = [WINDOW];

/// One direction of one stream.
#[derive(Debug, Default, Clone)]
pub(crate) struct Stream {
    /// Granted, as far as the sender has heard.
    pub(crate) granted: i64,
    pub(crate) sent: i64,
    pub(crate) received: i64,
    /// Taken by the application, and reported to its session.
    consumed: i64,
    /// What was consumed at each report.
    reports: Vec<i64>,
}

impl Stream {
    pub(crate) fn begun() -> Self {
        Self {
            granted: WINDOW,
            ..Self::default()
        }
    }

    /// The receiver's application reports `cost` as consumed.
    pub(crate) fn consume(&mut self, cost: i64) {
        self.consumed += cost;
        self.reports.push(self.consumed);
    }

    /// The sender hears of a grant: it gives back, to the byte, all that was consumed at some report, with one of `windows`.
    pub(crate) fn grant(&mut self, credit: u32, windows: &[i64]) {
        self.granted += i64::from(credit);
        let gives_back = |window: &i64| self.reports.contains(&(self.granted - window));
        assert!(windows.iter().any(gives_back), "{self:?}");
        assert!(self.credit() <= windows[windows.len() - 1], "{self:?}");
    }

    /// What the sender may still send.
    pub(crate) const fn credit(&self) -> i64 {
        self.granted - self.sent
    }

    /// All that was sent has come and was taken: what was not granted back yet is less than half a
    /// window, and no more was granted than was consumed and the largest of `windows`, which grow, has.
    pub(crate) fn assert_whole(&self, call: CallId, windows: &[i64]) {
        assert_eq!(self.sent, self.received, "call {call}: {self:?}");
        assert_eq!(self.received, self.consumed, "call {call}: {self:?}");
        let allowed = windows[0] / 2 + 1..=windows[windows.len() - 1];
        assert!(allowed.contains(&self.credit()), "call {call}: {self:?}");
    }
}

/// All streams of a connection, by call.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) up: HashMap<CallId, Stream>,
    pub(crate) down: HashMap<CallId, Stream>,
}
