//! Latency statistics over many calls.
//!
//! **Invariant**: memory does not grow with the number of samples.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::format;

/// Collects how long calls took, to three significant digits, from 1 ns up to a minute.
#[derive(Debug)]
pub(crate) struct Latencies {
    histogram: Histogram<u64>,
}

impl Latencies {
    const MAX_NANOS: u64 = 60_000_000_000;

    /// Nothing measured yet.
    pub(crate) fn new() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "constant bounds: 1 <= low, 2 * low <= high, digits <= 5"
        )]
        let histogram = Histogram::new_with_bounds(1, Self::MAX_NANOS, 3).expect("constant bounds");
        Self { histogram }
    }

    /// Adds one sample; longer ones than a minute count as a minute.
    pub(crate) fn record(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.histogram
            .saturating_record(nanos.clamp(1, Self::MAX_NANOS));
    }

    /// Adds what another collector has seen.
    pub(crate) fn merge(&mut self, other: &Self) {
        // The bounds of both are the same constants, so that nothing can be out of range.
        let merged = self.histogram.add(&other.histogram);
        debug_assert!(merged.is_ok(), "equal bounds");
    }

    /// What was measured, or `None` when nothing was.
    pub(crate) fn summary(&self) -> Option<Summary> {
        if self.histogram.is_empty() {
            return None;
        }
        let at = |quantile| self.histogram.value_at_quantile(quantile) as f64 / 1e3;
        Some(Summary {
            samples: self.histogram.len(),
            min_us: self.histogram.min() as f64 / 1e3,
            median_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            max_us: self.histogram.max() as f64 / 1e3,
        })
    }
}

/// Times in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// How many were measured.
    pub(crate) samples: u64,
    /// The shortest.
    pub(crate) min_us: f64,
    /// Half are shorter.
    pub(crate) median_us: f64,
    /// Nine of ten are shorter.
    pub(crate) p90_us: f64,
    /// 99 of 100 are shorter.
    pub(crate) p99_us: f64,
    /// The longest.
    pub(crate) max_us: f64,
}

impl Summary {
    /// `min 31 µs  median 40 µs  p99 95 µs` for people.
    pub(crate) fn line(&self) -> String {
        let shown = |micros: f64| format::duration(Duration::from_secs_f64(micros / 1e6));
        format!(
            "min {}, median {}, p99 {}",
            shown(self.min_us),
            shown(self.median_us),
            shown(self.p99_us)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_known_series() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.summary(), None);
        for micros in 1..=100 {
            latencies.record(Duration::from_micros(micros));
        }
        let summary = latencies.summary().expect("samples");
        assert_eq!(summary.samples, 100);
        let close = |value: f64, wanted: f64| (value - wanted).abs() / wanted < 0.01;
        assert!(
            close(summary.min_us, 1.0) && close(summary.max_us, 100.0),
            "{summary:?}"
        );
        assert!(
            close(summary.median_us, 50.0) && close(summary.p99_us, 99.0),
            "{summary:?}"
        );
    }

    #[test]
    fn merging_keeps_every_sample_and_extremes_saturate() {
        let (mut left, mut right) = (Latencies::new(), Latencies::new());
        left.record(Duration::ZERO);
        right.record(Duration::from_secs(3600));
        left.merge(&right);
        let summary = left.summary().expect("samples");
        assert_eq!(summary.samples, 2);
        assert!(
            summary.max_us > 5.9e7 && summary.max_us < 6.1e7,
            "{summary:?}"
        );
    }
}
