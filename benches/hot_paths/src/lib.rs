//! The paths that every call or message goes: what the micro-benchmarks time, and what instructions are counted of.
//!
//! All of it goes through what `daemoneye_ipc` makes public: frames and envelopes of `wire`, the state machines of
//! `session`, which need no socket, and whole calls on top of these. What is private to the runtime (dispatch, the
//! drivers) is part of the calls; nothing is made public to be measured.
//!
//! **Invariant**: one turn of a path does the same work as the one before, on one thread.

mod paths;

pub use self::paths::PATHS;

/// A path, ready to go.
pub type Turn = Box<dyn FnMut()>;

/// One path.
#[derive(Debug)]
pub struct Path {
    /// What it is, from the large to the small, parted by slashes.
    pub name: &'static str,
    /// Calls, frames or messages in one turn.
    pub units: u64,
    /// Makes what a turn needs. Turns of what it returns are the path.
    pub start: fn() -> Turn,
}

impl Path {
    /// The path, after `turns` that let its rooms grow to what they need.
    #[must_use]
    pub fn warm(&self, turns: u32) -> Turn {
        let mut turn = (self.start)();
        for _ in 0..turns {
            turn();
        }
        turn
    }
}
