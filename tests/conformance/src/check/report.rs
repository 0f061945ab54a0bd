//! What a check has found, for people and for programs.
//!
//! **Invariant**: a failure says what was expected, what came, where the contract says so, and what
//! to look at.

use std::{fmt, path::PathBuf, time::Duration};

use serde::Serialize;

use super::Failure;
use crate::vectors::{Limits, Rule, Vector};

/// What became of a vector.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The server keeps the rule.
    Passed,
    /// It does not.
    Failed(Failure),
    /// It was not played, and why.
    Skipped(String),
}

/// A vector that was played.
#[derive(Debug, Clone)]
pub struct Played {
    /// Its name.
    pub id: &'static str,
    /// What it shows.
    pub shows: &'static str,
    /// The rule.
    pub contract: Rule,
    /// What to look at if it failed.
    pub look_at: &'static str,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took.
    pub elapsed: Duration,
}

impl Played {
    pub(super) fn new(vector: &Vector, outcome: Outcome, elapsed: Duration) -> Self {
        let contract = match &outcome {
            Outcome::Failed(failure) => failure.contract.unwrap_or(vector.contract),
            _ => vector.contract,
        };
        Self {
            id: vector.id,
            shows: vector.shows,
            contract,
            look_at: vector.look_at,
            outcome,
            elapsed,
        }
    }

    pub(super) fn skipped(vector: &Vector, why: &str) -> Self {
        Self::new(vector, Outcome::Skipped(why.to_owned()), Duration::ZERO)
    }
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Passed => write!(f, "pass  {:36} {}", self.id, self.shows),
            Outcome::Skipped(why) => write!(f, "skip  {:36} {why}", self.id),
            Outcome::Failed(failure) => {
                let Rule { section, text } = self.contract;
                write!(
                    f,
                    "FAIL  {:36} {}\n      step {}\n        expected  {}\n        came      {}\n        \
                     contract  docs/wire.md, section {section}: {text}\n        look at   {}",
                    self.id, self.shows, failure.step, failure.expected, failure.came, self.look_at
                )
            }
        }
    }
}

/// All that was played.
#[derive(Debug, Clone)]
pub struct Report {
    /// The socket of the server.
    pub endpoint: PathBuf,
    /// What the server announces; the usual limits if the handshake failed.
    pub limits: Limits,
    /// The vectors, in the order in which they were played.
    pub vectors: Vec<Played>,
}

impl Report {
    fn count(&self, is: impl Fn(&Outcome) -> bool) -> usize {
        self.vectors
            .iter()
            .filter(|played| is(&played.outcome))
            .count()
    }

    /// Vectors that passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Passed))
    }

    /// Vectors that failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Failed(_)))
    }

    /// Vectors that were not played.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Skipped(_)))
    }

    /// The report for programs.
    #[must_use]
    pub fn to_json(&self) -> impl Serialize + '_ {
        Json {
            endpoint: self.endpoint.display().to_string(),
            limits: self.limits,
            passed: self.passed(),
            failed: self.failed(),
            skipped: self.skipped(),
            vectors: self.vectors.iter().map(JsonPlayed::from).collect(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (passed, failed, skipped) = (self.passed(), self.failed(), self.skipped());
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[derive(Serialize)]
struct Json<'a> {
    endpoint: String,
    limits: Limits,
    passed: usize,
    failed: usize,
    skipped: usize,
    vectors: Vec<JsonPlayed<'a>>,
}

#[derive(Serialize)]
struct JsonPlayed<'a> {
    id: &'a str,
    shows: &'a str,
    outcome: &'static str,
    elapsed_us: u64,
    contract: Rule,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<JsonFailure<'a>>,
}

#[derive(Serialize)]
struct JsonFailure<'a> {
    step: usize,
    expected: &'a str,
    came: &'a str,
    look_at: &'a str,
}

impl<'a> From<&'a Played> for JsonPlayed<'a> {
    fn from(played: &'a Played) -> Self {
        let (outcome, why, failure) = match &played.outcome {
            Outcome::Passed => ("passed", None, None),
            Outcome::Skipped(why) => ("skipped", Some(why.as_str()), None),
            Outcome::Failed(failure) => ("failed", None, Some(failure)),
        };
        Self {
            id: played.id,
            shows: played.shows,
            outcome,
            elapsed_us: u64::try_from(played.elapsed.as_micros()).unwrap_or(u64::MAX),
            contract: played.contract,
            why,
            failure: failure.map(|failure| JsonFailure {
                step: failure.step,
                expected: &failure.expected,
                came: &failure.came,
                look_at: played.look_at,
            }),
        }
    }
}
