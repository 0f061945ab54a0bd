//! What a soak has come to, as a table.
//!
//! **Invariant**: says `held` only of what was measured at both ends.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{
    ledger::{Ledger, Sums},
    process::{Footprint, Held, Memory},
};

/// Resident memory may grow by this much before it is a leak: allocators keep what they had at the peak.
const SLACK_KIB: u64 = 16 << 10;

/// The same for the second half of the time, at the begin of which most peaks have been.
const HALF_SLACK_KIB: u64 = 8 << 10;

/// Faults that were made on purpose.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) kills: AtomicU64,
    pub(super) drains: AtomicU64,
    pub(super) stops: AtomicU64,
    pub(super) intruders: AtomicU64,
}

impl Faults {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts and figures of a soak, so far or in the end.
#[derive(Debug, Clone)]
pub struct SoakReport {
    sums: Sums,
    kills: u64,
    drains: u64,
    stops: u64,
    intruders: u64,
    start: Held,
    half: Option<Memory>,
    end: Option<Held>,
}

impl SoakReport {
    pub(super) fn new(
        ledgers: [&Ledger; 2],
        faults: &Faults,
        start: Held,
        half: Option<Memory>,
        end: Option<Held>,
    ) -> Self {
        let [a, b] = ledgers.map(Ledger::sums);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            sums: Sums {
                made: a.made + b.made,
                answered: a.answered + b.answered,
                failed: a.failed + b.failed,
                given_up: a.given_up + b.given_up,
                wrong: a.wrong + b.wrong,
                doubled: a.doubled + b.doubled,
                undone: a.undone + b.undone,
            },
            kills: read(&faults.kills),
            drains: read(&faults.drains),
            stops: read(&faults.stops),
            intruders: read(&faults.intruders),
            start,
            half,
            end,
        }
    }

    /// Calls made so far.
    #[must_use]
    pub const fn calls(&self) -> u64 {
        self.sums.made
    }

    /// Faults made so far.
    #[must_use]
    pub const fn faults(&self) -> u64 {
        self.kills + self.drains + self.stops + self.intruders
    }

    /// Calls that had no outcome.
    const fn lost(&self) -> u64 {
        let sums = &self.sums;
        sums.made - sums.answered - sums.failed - sums.given_up - sums.wrong
    }

    /// What is wrong at the end; nothing, if all is well.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (count, what) in [
            (self.lost(), "calls without an outcome"),
            (self.sums.wrong, "wrong answers"),
            (self.sums.doubled, "calls run twice"),
            (self.sums.undone, "answered calls that were not run"),
        ] {
            if count > 0 {
                found.push(format!("{count} {what}"));
            }
        }
        let Some(end) = self.end else {
            found.push("the soak did not come to its end".to_owned());
            return found;
        };
        if (end.handlers, end.queued_bytes) != (1, 0) {
            found.push(format!(
                "{} handlers and {} queued bytes are left",
                end.handlers, end.queued_bytes
            ));
        }
        let Some(half) = self.half else {
            found.push("nothing was measured in the middle".to_owned());
            return found;
        };
        for (who, of) in WHO {
            found.extend(leak(
                who,
                of(&self.start.memory),
                of(&half),
                of(&end.memory),
            ));
        }
        if end.tasks > self.start.tasks {
            found.push(format!(
                "{} tasks, {} at the start",
                end.tasks, self.start.tasks
            ));
        }
        found
    }
}

/// One of the two whose memory is looked at.
type Whose = fn(&Memory) -> Footprint;

const WHO: [(&str, Whose); 2] = [
    ("server", |memory| memory.server),
    ("client", |memory| memory.client),
];

fn leak(who: &str, start: Footprint, half: Footprint, end: Footprint) -> Vec<String> {
    let mut found = Vec::new();
    if end.descriptors > start.descriptors {
        found.push(format!(
            "the {who} has {} descriptors, {} at the start",
            end.descriptors, start.descriptors
        ));
    }
    for (when, before, slack) in [
        ("at the start", start, start.resident_kib / 2 + SLACK_KIB),
        ("half way", half, half.resident_kib / 4 + HALF_SLACK_KIB),
    ] {
        if end.resident_kib > before.resident_kib + slack {
            found.push(format!(
                "the {who} has {} KiB, {} {when}",
                end.resident_kib, before.resident_kib
            ));
        }
    }
    found
}

impl fmt::Display for SoakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sums = &self.sums;
        writeln!(f, "calls       {:>10}", sums.made)?;
        writeln!(f, "  answered  {:>10}", sums.answered)?;
        writeln!(
            f,
            "  failed    {:>10}  (their server was away or died)",
            sums.failed
        )?;
        writeln!(f, "  given up  {:>10}  (by their callers)", sums.given_up)?;
        writeln!(f, "  wrong     {:>10}", sums.wrong)?;
        writeln!(f, "  lost      {:>10}", self.lost())?;
        writeln!(f, "  doubled   {:>10}", sums.doubled)?;
        writeln!(f, "  undone    {:>10}", sums.undone)?;
        writeln!(f, "faults      {:>10}", self.faults())?;
        writeln!(f, "  kills     {:>10}", self.kills)?;
        writeln!(f, "  drains    {:>10}", self.drains)?;
        writeln!(f, "  stops     {:>10}", self.stops)?;
        writeln!(f, "  intruders {:>10}", self.intruders)?;
        let (Some(half), Some(end)) = (self.half, self.end) else {
            return Ok(());
        };
        let start = self.start;
        writeln!(f, "\n{}", row("held", ["start", "half", "end"]))?;
        let inside: [(&str, u64, u64); 5] = [
            (
                "connections",
                start.connections.into(),
                end.connections.into(),
            ),
            ("calls", start.calls.into(), end.calls.into()),
            ("handlers", start.handlers.into(), end.handlers.into()),
            ("queued bytes", start.queued_bytes, end.queued_bytes),
            ("client tasks", start.tasks as u64, end.tasks as u64),
        ];
        for (what, start, end) in inside {
            let [start, end] = [start, end].map(|count| count.to_string());
            writeln!(f, "{}", row(what, [&start, "", &end]))?;
        }
        for (who, of) in WHO {
            let all = [start.memory, half, end.memory].map(|memory| of(&memory));
            let descriptors = all.map(|footprint| footprint.descriptors.to_string());
            let resident = all.map(|footprint| footprint.resident_kib.to_string());
            for (what, figures) in [("descriptors", descriptors), ("KiB", resident)] {
                let figures = figures.each_ref().map(String::as_str);
                writeln!(f, "{}", row(&format!("{who} {what}"), figures))?;
            }
        }
        Ok(())
    }
}

fn row(what: &str, [start, half, end]: [&str; 3]) -> String {
    format!("{what:<20}{start:>10}{half:>10}{end:>10}")
}
