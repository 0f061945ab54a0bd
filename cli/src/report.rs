//! What a diagnosis found: checks with outcome, time, cause and the next thing to try, and the verdict
//! that follows from them.
//!
//! **Invariant**: a check that failed or warned carries a cause and a hint; the constructors leave no
//! other way.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::explain::Explanation;

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// As it should be.
    Passed,
    /// Works, and somebody should look at it.
    Warned,
    /// Does not work.
    Failed,
    /// Not tried, because something before it failed or nobody asked for it.
    Skipped,
}

/// What a failed check says of the server as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// Without it no call can be made.
    Reach,
    /// Calls arrive, and are not served as they should be.
    Service,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Check {
    /// What was looked at; stable, for programs too.
    pub(crate) name: String,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// What was found, in a few words.
    pub(crate) detail: String,
    /// How long it took in microseconds; 0 when it took no time of its own.
    pub(crate) elapsed_us: u64,
    /// Why it did not pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
    /// The next thing to try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    /// Details by name, for programs and `--verbose`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(crate) facts: Map<String, Value>,
    #[serde(skip)]
    weight: Weight,
}

impl Check {
    fn new(name: impl Into<String>, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            outcome,
            detail: detail.into(),
            elapsed_us: 0,
            cause: None,
            hint: None,
            facts: Map::new(),
            weight: Weight::Service,
        }
    }

    /// A check with nothing to complain about.
    pub(crate) fn passed(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(name, Outcome::Passed, detail)
    }

    /// A check that found something that works and is not as it should be.
    pub(crate) fn warned(
        name: impl Into<String>,
        detail: impl Into<String>,
        why: Explanation,
    ) -> Self {
        Self {
            cause: Some(why.cause),
            hint: Some(why.hint),
            ..Self::new(name, Outcome::Warned, detail)
        }
    }

    /// A check that found something broken.
    pub(crate) fn failed(
        name: impl Into<String>,
        detail: impl Into<String>,
        why: Explanation,
    ) -> Self {
        Self {
            cause: Some(why.cause),
            hint: Some(why.hint),
            ..Self::new(name, Outcome::Failed, detail)
        }
    }

    /// A check that was not made.
    pub(crate) fn skipped(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(name, Outcome::Skipped, why)
    }

    /// Marks a check that every call depends on.
    pub(crate) fn on_the_way(mut self) -> Self {
        self.weight = Weight::Reach;
        self
    }

    /// Says how long it took.
    pub(crate) fn took(mut self, elapsed: Duration) -> Self {
        self.elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self
    }

    /// Attaches a detail.
    pub(crate) fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }
}

/// The state of a server in one word, which is also the program's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// All checks passed.
    Healthy,
    /// Calls are served; something needs attention.
    Degraded,
    /// Calls arrive and are not served as they should be.
    Unhealthy,
    /// No call can be made.
    Unreachable,
}

impl Verdict {
    /// The exit code; 2 is left to wrong usage.
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Degraded => 1,
            Self::Unhealthy => 3,
            Self::Unreachable => 4,
        }
    }

    /// The word.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Checks in the order in which they were made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    command: &'static str,
    endpoint: String,
    checks: Vec<Check>,
}

impl Report {
    /// A report without checks.
    pub(crate) fn new(command: &'static str, endpoint: impl Into<String>) -> Self {
        Self {
            command,
            endpoint: endpoint.into(),
            checks: Vec::new(),
        }
    }

    /// Adds a check.
    pub(crate) fn push(&mut self, check: Check) {
        self.checks.push(check);
    }

    /// The checks so far.
    pub(crate) fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// How many checks ended with `outcome`.
    pub(crate) fn tally(&self, outcome: Outcome) -> usize {
        self.checks
            .iter()
            .filter(|check| check.outcome == outcome)
            .count()
    }

    /// The worst that the checks say.
    pub(crate) fn verdict(&self) -> Verdict {
        let of = |check: &Check| match (check.outcome, check.weight) {
            (Outcome::Passed | Outcome::Skipped, _) => Verdict::Healthy,
            (Outcome::Warned, _) => Verdict::Degraded,
            (Outcome::Failed, Weight::Service) => Verdict::Unhealthy,
            (Outcome::Failed, Weight::Reach) => Verdict::Unreachable,
        };
        self.checks.iter().map(of).max().unwrap_or(Verdict::Healthy)
    }

    /// The report as one JSON object: `command`, `endpoint`, `status`, `exit_code`, `elapsed_us` and
    /// `checks`.
    pub(crate) fn to_json(&self) -> Value {
        let verdict = self.verdict();
        serde_json::json!({
            "command": self.command,
            "endpoint": self.endpoint,
            "status": verdict,
            "exit_code": verdict.exit_code(),
            "elapsed_us": self.elapsed_us(),
            "checks": self.checks,
        })
    }

    /// Time spent in all checks, in microseconds.
    pub(crate) fn elapsed_us(&self) -> u64 {
        self.checks.iter().map(|check| check.elapsed_us).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why() -> Explanation {
        Explanation::new("it is broken", "mend it")
    }

    #[test]
    fn the_verdict_is_the_worst_check() {
        let mut report = Report::new("health-check", "/run/x.sock");
        assert_eq!(report.verdict(), Verdict::Healthy);
        report.push(Check::passed("endpoint", "socket").on_the_way());
        report.push(Check::skipped("later", "not asked for"));
        assert_eq!(report.verdict(), Verdict::Healthy);
        report.push(Check::warned("mode", "0666", why()).on_the_way());
        assert_eq!(report.verdict(), Verdict::Degraded);
        report.push(Check::failed("component", "down", why()));
        assert_eq!(report.verdict(), Verdict::Unhealthy);
        report.push(Check::failed("connect", "refused", why()).on_the_way());
        assert_eq!(report.verdict(), Verdict::Unreachable);
        assert_eq!(
            (report.tally(Outcome::Failed), report.tally(Outcome::Passed)),
            (2, 1)
        );
    }

    #[test]
    fn json_has_the_documented_keys() {
        let mut report = Report::new("health-check", "/run/x.sock");
        report.push(
            Check::passed("endpoint", "socket")
                .took(Duration::from_micros(7))
                .fact("mode", "0600"),
        );
        report.push(Check::failed("connect", "refused", why()).on_the_way());
        insta::assert_snapshot!(serde_json::to_string_pretty(&report.to_json()).expect("JSON"), @r#"
        {
          "checks": [
            {
              "detail": "socket",
              "elapsed_us": 7,
              "facts": {
                "mode": "0600"
              },
              "name": "endpoint",
              "outcome": "passed"
            },
            {
              "cause": "it is broken",
              "detail": "refused",
              "elapsed_us": 0,
              "hint": "mend it",
              "name": "connect",
              "outcome": "failed"
            }
          ],
          "command": "health-check",
          "elapsed_us": 7,
          "endpoint": "/run/x.sock",
          "exit_code": 4,
          "status": "unreachable"
        }
        "#);
    }
}
