//! What of a peer gets into the log: how often, and in which letters.
//!
//! **Invariant**: no peer can fill the log, or put a line of its own into it.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Lines of one kind in each [`PERIOD`].
const LINES: u32 = 10;

const PERIOD: Duration = Duration::from_secs(10);

/// Bytes of a peer's words that are kept.
const WORDS: usize = 256;

/// Lets some lines of a kind through, and counts the others.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<Period>);

#[derive(Debug, Default)]
struct Period {
    since: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl Throttle {
    /// Whether a line may be written now; with the number of those that were left out since the last one.
    pub(crate) fn permit(&self, now: Instant) -> Option<u64> {
        let mut period = self.0.lock();
        let is_over = |since: Instant| now.saturating_duration_since(since) >= PERIOD;
        if period.since.is_none_or(is_over) {
            period.since = Some(now);
            period.lines = 0;
        }
        if period.lines == LINES {
            period.left_out += 1;
            return None;
        }
        period.lines += 1;
        Some(std::mem::take(&mut period.left_out))
    }
}

/// A peer's words, cut and with everything escaped that is not a letter to be shown.
pub(crate) fn plain(words: &str) -> String {
    let mut text = String::new();
    for letter in words.chars() {
        if text.len() >= WORDS {
            text.push('…');
            break;
        }
        match letter {
            '\'' | '"' => text.push(letter),
            // Writing to a string does not fail.
            _ => drop(write!(text, "{}", letter.escape_debug())),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_some_lines_and_a_number() {
        let throttle = Throttle::default();
        let start = Instant::now();
        let written = (0..1_000).filter(|_| throttle.permit(start).is_some());
        assert_eq!(written.count(), LINES as usize);
        let later = start + PERIOD;
        assert_eq!(throttle.permit(later), Some(1_000 - u64::from(LINES)));
        assert_eq!(throttle.permit(later), Some(0));
    }

    #[test]
    fn words_stay_on_their_line() {
        assert_eq!(plain("it's \"so\", ü"), "it's \"so\", ü");
        assert_eq!(
            plain("a\nERROR root\u{1b}[2J\u{202e}"),
            "a\\nERROR root\\u{1b}[2J\\u{202e}"
        );
        let cut = plain(&"ü".repeat(100_000));
        assert!(
            cut.len() <= WORDS + 8 && cut.ends_with('…'),
            "{}",
            cut.len()
        );
    }
}
