//! Holds a server to the contract: plays the conversations with it, one after the other.
//!
//! **Invariant**: the client is made by hand; nothing of the runtime's client, framing or session runs
//! here, so that no mistake of theirs can hide itself.

mod books;
mod connection;
mod matching;
mod play;
mod report;

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use daemoneye_ipc::wire::Crc32Variant;

pub use self::{
    books::rules,
    play::Failure,
    report::{Outcome, Played, Report},
};
use self::{connection::Connection, play::play};
use crate::vectors::{FIRST, Limits, Step, Vector, conversations};

/// What to check.
#[derive(Debug, Clone)]
pub struct Check {
    /// The socket of the server.
    pub endpoint: PathBuf,
    /// The checksum of the frames.
    pub crc: Crc32Variant,
    /// The vectors to play; all if it is empty.
    pub only: Vec<String>,
    /// The longest that one vector may take.
    pub time: Duration,
}

/// Why a server cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum CannotCheck {
    /// There is no server.
    #[error("cannot connect to {}: {error}; start the server first", endpoint.display())]
    Unreachable {
        /// The socket.
        endpoint: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A vector was named that is not there.
    #[error("there is no vector `{0}`; --list shows them all")]
    UnknownVector(String),
}

/// Plays the vectors, and hands each outcome to `seen` as soon as it is there.
///
/// # Errors
/// If there is nothing to check. A server that fails is no error.
pub async fn run(check: &Check, mut seen: impl FnMut(&Played)) -> Result<Report, CannotCheck> {
    let known = conversations(&Limits::default());
    for id in &check.only {
        if known.iter().all(|vector| vector.id != id) {
            return Err(CannotCheck::UnknownVector(id.clone()));
        }
    }
    reach(&check.endpoint, check).await?;
    let (limits, first) = greet(check, &known).await;
    let mut report = Report {
        endpoint: check.endpoint.clone(),
        limits: limits.unwrap_or_default(),
        vectors: Vec::new(),
    };
    for vector in conversations(&report.limits) {
        let chosen = check.only.is_empty() || check.only.iter().any(|id| id == vector.id);
        let is_first = vector.id == FIRST;
        // If the handshake fails, that is the finding, whatever was asked for.
        if !(chosen || is_first && limits.is_none()) {
            continue;
        }
        let played = if is_first {
            first
                .clone()
                .unwrap_or_else(|| Played::skipped(&vector, "it is not known"))
        } else if limits.is_none() {
            Played::skipped(&vector, "the handshake failed")
        } else {
            one(check, &vector).await
        };
        seen(&played);
        report.vectors.push(played);
    }
    Ok(report)
}

async fn reach(endpoint: &Path, check: &Check) -> Result<(), CannotCheck> {
    let until = tokio::time::Instant::now() + check.time;
    let opened = Connection::open(endpoint, check.crc, until).await;
    opened.map(drop).map_err(|error| CannotCheck::Unreachable {
        endpoint: endpoint.to_owned(),
        error,
    })
}

/// Plays the first vector, and learns the server's limits from it.
async fn greet(check: &Check, known: &[Vector]) -> (Option<Limits>, Option<Played>) {
    let Some(first) = known.iter().find(|vector| vector.id == FIRST) else {
        return (None, None);
    };
    let usual = Limits {
        crc: check.crc,
        ..Limits::default()
    };
    let first = conversations(&usual)
        .into_iter()
        .find(|vector| vector.id == first.id)
        .unwrap_or_else(|| first.clone());
    let start = Instant::now();
    match play(&check.endpoint, check.crc, &first, check.time).await {
        Ok(hello) => {
            let hello = hello.unwrap_or_default();
            let limits = Limits {
                crc: check.crc,
                max_frame_bytes: hello.max_frame_bytes,
                max_calls: hello.max_calls,
                stream_credit: hello.stream_credit,
            };
            let played = Played::new(&first, Outcome::Passed, start.elapsed());
            (Some(limits), Some(played))
        }
        Err(failure) => {
            let played = Played::new(&first, Outcome::Failed(failure), start.elapsed());
            (None, Some(played))
        }
    }
}

async fn one(check: &Check, vector: &Vector) -> Played {
    if let Some(why) = &vector.skipped {
        return Played::skipped(vector, why);
    }
    let halves = |step: &Step| matches!(step, Step::HalfClose { .. });
    if cfg!(windows) && vector.steps.iter().any(halves) {
        return Played::skipped(vector, "a pipe has no half that could be closed alone");
    }
    let start = Instant::now();
    let outcome = match play(&check.endpoint, check.crc, vector, check.time).await {
        Ok(_) => Outcome::Passed,
        Err(failure) => Outcome::Failed(failure),
    };
    Played::new(vector, outcome, start.elapsed())
}
