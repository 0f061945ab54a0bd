//! What became of every call.
//!
//! **Invariant**: a call is counted before it is made, so that a server can have run no call that is not in here.

use std::sync::{Mutex, MutexGuard, PoisonError};

use fixedbitset::FixedBitSet;

/// Sums over all calls of one server's callers.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Sums {
    /// Calls made, and how they ended. What is left are calls without an outcome.
    pub(super) made: u64,
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) given_up: u64,
    /// Answers that were not what the request asks for.
    pub(super) wrong: u64,
    /// Runs of the side effect that no call asked for.
    pub(super) doubled: u64,
    /// Answered runs of the side effect that the server does not know of.
    pub(super) undone: u64,
}

#[derive(Debug, Default)]
struct State {
    sums: Sums,
    /// Of the server that lives now: calls of Count that it may have run.
    possible: u64,
    /// What it has answered, a bit for each total; none is above `possible` but by mistake.
    totals: FixedBitSet,
    highest: u64,
    /// Calls of Count that are under way.
    open: u64,
    life: u64,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Answered,
    Failed,
    /// The caller dropped it.
    GivenUp,
    Wrong,
}

/// The book of one server's callers.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<State>);

impl Ledger {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sums(&self) -> Sums {
        self.state().sums
    }

    pub(super) fn begin(&self) {
        self.state().sums.made += 1;
    }

    pub(super) fn end(&self, ending: Ending) {
        let sums = &mut self.state().sums;
        let count = match ending {
            Ending::Answered => &mut sums.answered,
            Ending::Failed => &mut sums.failed,
            Ending::GivenUp => &mut sums.given_up,
            Ending::Wrong => &mut sums.wrong,
        };
        *count += 1;
    }

    /// A call of Count begins: the life that it begins in.
    pub(super) fn begin_count(&self) -> u64 {
        let mut state = self.state();
        state.possible += 1;
        state.open += 1;
        state.life
    }

    /// It ended, with a total or not; `unrun` if it provably was not run.
    pub(super) fn end_count(&self, life: u64, total: Option<u64>, unrun: bool) {
        let mut state = self.state();
        state.open -= 1;
        if state.life != life {
            // Its answer may be the dead server's.
            return;
        }
        if unrun {
            state.possible -= 1;
        }
        let Some(total) = total else { return };
        state.highest = state.highest.max(total);
        if total > state.possible {
            // Which the end of this life counts.
            return;
        }
        let total = usize::try_from(total).unwrap_or(usize::MAX);
        state.totals.grow(total + 1);
        if state.totals.put(total) {
            state.sums.doubled += 1;
        }
    }

    /// The server is gone: its totals are judged. Calls under way may be run by the next one.
    pub(super) fn end_of_life(&self, settled: Option<u64>) {
        let mut state = self.state();
        let highest = state.highest.max(settled.unwrap_or(0));
        let answered = state.totals.count_ones(..) as u64;
        state.sums.doubled += highest.saturating_sub(state.possible);
        state.sums.undone += answered.saturating_sub(highest);
        (state.totals, state.highest) = (FixedBitSet::new(), 0);
        state.possible = state.open;
        state.life += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_too_many_is_seen() {
        let ledger = Ledger::default();
        for total in [1, 3] {
            let life = ledger.begin_count();
            ledger.end_count(life, Some(total), false);
        }
        ledger.end_of_life(Some(3));
        assert_eq!(ledger.sums().doubled, 1, "three runs of two calls");
    }

    #[test]
    fn one_total_for_two_calls_is_seen() {
        let ledger = Ledger::default();
        for _ in 0..2 {
            let life = ledger.begin_count();
            ledger.end_count(life, Some(1), false);
        }
        ledger.end_of_life(Some(1));
        assert_eq!((ledger.sums().doubled, ledger.sums().undone), (1, 0));
    }

    #[test]
    fn a_call_that_outlives_its_server_may_be_run_by_the_next() {
        let ledger = Ledger::default();
        let life = ledger.begin_count();
        ledger.end_of_life(None);
        ledger.end_count(life, Some(1), false);
        ledger.end_of_life(Some(1));
        assert_eq!(ledger.sums().doubled, 0);
    }
}
