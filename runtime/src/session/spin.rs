//! Whether a side that waits for the other looks at the socket for a moment before it sleeps.
//!
//! To wake a core that sleeps takes several times as long as a small call. With exactly one call in flight,
//! looking pays as long as it finds something; where it finds nothing it is given up for a while.
//!
//! **Invariant**: decides when; it neither reads nor knows the time.

use std::time::Duration;

/// Looks in a row that found nothing, after which none is made for a while.
const MISSES: u32 = 8;

/// Waits without a look of a client, after looks were in vain.
pub(super) const CLIENT_SKIPS: u32 = 64;

/// The same of a server. Looks find little while the other side sleeps: were the two numbers one, both sides could
/// look in turns for ever.
pub(super) const SERVER_SKIPS: u32 = 152;

/// Looks in a row that found something, after which the socket's reader need not be woken besides.
const STREAK: u32 = 4;

/// Reads in a row that brought a single frame, from which on a server looks. Of many calls in flight some come alone, too.
const SINGLES: u32 = 8;

/// How looks have fared on one connection.
#[derive(Debug)]
pub(super) struct Spin {
    /// How long a look may take; zero for never.
    budget: Duration,
    /// Waits without a look, after looks were in vain.
    skips: u32,
    misses: u32,
    skip: u32,
    hits: u32,
    /// Reads in a row that brought a single frame.
    singles: u32,
}

impl Spin {
    pub(super) const fn new(budget: Duration, skips: u32) -> Self {
        Self {
            budget,
            skips,
            misses: 0,
            skip: 0,
            hits: 0,
            singles: 0,
        }
    }

    /// A read brought so many frames. `true` if they come one by one, as from a client that waits for each answer: a
    /// single one may also be what is left of many.
    pub(super) const fn is_single(&mut self, frames: usize) -> bool {
        self.singles = if frames == 1 {
            self.singles.saturating_add(1)
        } else {
            0
        };
        self.singles >= SINGLES
    }

    /// How long the wait that begins now may look; `None` if it had better sleep.
    pub(super) const fn begin(&mut self) -> Option<Duration> {
        if self.budget.is_zero() {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        Some(self.budget)
    }

    /// A look is over. `true` if looks have found something for so long that whoever would be woken to
    /// read need not be.
    pub(super) const fn end(&mut self, hit: bool) -> bool {
        if hit {
            self.misses = 0;
            self.hits = self.hits.saturating_add(1);
        } else {
            self.hits = 0;
            self.misses += 1;
            if self.misses == MISSES {
                self.misses = 0;
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
    fn looks_in_vain_become_rare() {
        for skips in [CLIENT_SKIPS, SERVER_SKIPS] {
            let mut spin = Spin::new(BUDGET, skips);
            let mut looks = 0;
            for _ in 0..10_000 {
                if spin.begin().is_some() {
                    looks += 1;
                    assert!(!spin.end(false));
                }
            }
            assert!(looks <= 10_000 / 8, "{looks}");
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
                        side.end(false);
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
        let ends: Vec<bool> = (0..6).map(|_| spin.end(true)).collect();
        assert_eq!(ends, [false, false, false, true, true, true]);
        assert!(!spin.end(false) && !spin.end(true) && spin.begin().is_some());
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
