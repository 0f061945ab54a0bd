//! Whether a side that waits for the other looks at the socket for a moment before it sleeps.
//!
//! To wake a core that sleeps takes several times as long as a small call. With exactly one call in flight,
//! looking pays as long as it finds something; where it finds nothing it is given up for a while.
//!
//! Looks pay only where both sides look, and a side that sleeps takes longer to wake than a small call. So a side that
//! has not just found something searches: it looks for so long that the other may be woken meanwhile. One search that
//! finds the other is enough, as its answer comes while the first still looks. From then on looks take about as long as
//! calls do.
//!
//! **Invariant**: decides when; it neither reads nor knows the time.

use std::time::Duration;

/// Searches in a row that found nothing in time, after which none is made for a while.
const SEARCHES: u32 = 4;

/// How long a search lasts at least. On an idle virtual machine two wake-ups and a small call take 90 to 135 us
/// (`docs/performance.md`).
const SEARCH: Duration = Duration::from_micros(160);

/// What was found within this time came from a side that looks, too. One that sleeps takes longer.
const IN_TIME: Duration = Duration::from_micros(80);

/// Waits without a look of a client, after looks were in vain.
pub(super) const CLIENT_SKIPS: u32 = 64;

/// The same of a server. Looks find little while the other side sleeps: were the two numbers one, both sides could
/// look in turns for ever.
pub(super) const SERVER_SKIPS: u32 = 152;

/// Looks in a row that found something, after which the socket's reader need not be woken besides.
const STREAK: u32 = 4;

/// Calls in a row that came alone, from which on a side looks: the same number for both, so that they begin together. Of many
/// calls in flight some come alone, too.
const SINGLES: u32 = 32;

/// How looks have fared on one connection.
#[derive(Debug)]
pub(super) struct Spin {
    /// How long a look takes at least; zero for never.
    budget: Duration,
    /// After how long the last look found something, in time.
    found_after: Option<Duration>,
    /// Waits without a look, after searches were in vain.
    skips: u32,
    /// Searches since a look found something.
    searches: u32,
    skip: u32,
    /// Looks in a row that found something.
    hits: u32,
    /// Calls in a row that came alone.
    singles: u32,
}

impl Spin {
    pub(super) const fn new(budget: Duration, skips: u32) -> Self {
        Self {
            budget,
            found_after: None,
            skips,
            searches: 0,
            skip: 0,
            hits: 0,
            singles: 0,
        }
    }

    /// So many calls were seen at once. `true` if they come one by one, as of a client that waits for each answer: a
    /// single one may also be what is left of many.
    pub(super) const fn is_single(&mut self, calls: usize) -> bool {
        self.singles = if calls == 1 {
            self.singles.saturating_add(1)
        } else {
            0
        };
        self.singles >= SINGLES
    }

    /// A call did not come alone.
    pub(super) const fn crowd(&mut self) {
        self.singles = 0;
    }

    /// How long the wait that begins now may look; `None` if it had better sleep.
    pub(super) fn begin(&mut self) -> Option<Duration> {
        if self.budget.is_zero() {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        Some(match self.found_after {
            Some(time) => self.budget.max((2 * time).min(SEARCH)),
            None => self.budget.max(SEARCH),
        })
    }

    /// A look is over, and has found something after so long, or nothing. `true` if looks have found something for so
    /// long that whoever would be woken to read need not be.
    pub(super) fn end(&mut self, found_after: Option<Duration>) -> bool {
        let in_time = self.budget.max(IN_TIME);
        self.found_after = found_after.filter(|time| *time <= in_time);
        if self.found_after.is_some() {
            self.searches = 0;
            self.hits = self.hits.saturating_add(1);
        } else {
            self.hits = 0;
            self.searches += 1;
            if self.searches == SEARCHES {
                self.searches = 0;
                self.skip = self.skips;
            }
        }
        self.hits >= STREAK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_micros(20);

    #[test]
    fn looks_in_vain_or_late_become_rare() {
        for skips in [CLIENT_SKIPS, SERVER_SKIPS] {
            for found_after in [None, Some(2 * IN_TIME)] {
                let mut spin = Spin::new(BUDGET, skips);
                let mut looked = Duration::ZERO;
                for _ in 0..10_000 {
                    if let Some(budget) = spin.begin() {
                        looked += budget;
                        assert!(!spin.end(found_after));
                    }
                }
                assert!(looked <= 10_000 * SEARCH / 16, "{looked:?}");
            }
        }
    }

    #[test]
    fn two_sides_find_each_other_wherever_they_begin() {
        for begin in 0..SERVER_SKIPS {
            let (mut client, mut server) = (
                Spin::new(BUDGET, CLIENT_SKIPS),
                Spin::new(BUDGET, SERVER_SKIPS),
            );
            server.skip = begin;
            let met = (0..3000).any(|_| {
                let both = client.begin().is_some() & server.begin().is_some();
                for side in [&mut client, &mut server] {
                    if side.skip == 0 {
                        side.end(None);
                    }
                }
                both
            });
            assert!(met, "a server that begins after {begin} waits");
        }
    }

    #[test]
    fn a_streak_ends_with_the_first_miss() {
        let mut spin = Spin::new(BUDGET, CLIENT_SKIPS);
        let ends: Vec<bool> = (0..6).map(|_| spin.end(Some(BUDGET))).collect();
        assert_eq!(ends, [false, false, false, true, true, true]);
        assert!(!spin.end(None) && !spin.end(Some(BUDGET)) && spin.begin().is_some());
    }

    #[test]
    fn a_search_lasts_until_the_other_may_be_awake_and_a_look_does_not() {
        let mut spin = Spin::new(BUDGET, CLIENT_SKIPS);
        assert_eq!(spin.begin(), Some(SEARCH));
        spin.end(Some(2 * IN_TIME));
        assert_eq!(spin.begin(), Some(SEARCH), "that was late");
        spin.end(Some(BUDGET / 4));
        assert_eq!(spin.begin(), Some(BUDGET));
        spin.end(Some(3 * BUDGET));
        assert_eq!(spin.begin(), Some(6 * BUDGET), "that is what calls take");
        spin.end(None);
        assert_eq!(spin.begin(), Some(SEARCH));
    }

    #[test]
    fn what_is_left_of_many_frames_is_no_single_one() {
        let mut spin = Spin::new(BUDGET, SERVER_SKIPS);
        let mut after = |frames: &[usize]| {
            let looks = frames.iter().map(|frames| spin.is_single(*frames));
            looks.last() == Some(true)
        };
        let few = [1; SINGLES as usize - 1];
        assert!(!after(&few) && after(&[1]) && after(&[1]));
        assert!(!after(&[7]) && !after(&few) && after(&[1]));
    }

    #[test]
    fn a_budget_of_zero_is_never() {
        assert!(Spin::new(Duration::ZERO, CLIENT_SKIPS).begin().is_none());
    }
}
