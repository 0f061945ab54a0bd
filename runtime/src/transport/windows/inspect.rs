//! What is at an endpoint's name, for diagnosis.
//!
//! **Invariant**: looking changes nothing and connects to nothing.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{EndpointOptions, check, refused, system};
use crate::error::IpcError;

/// What [`inspect`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointReport {
    /// What is at the path; `None` if nothing is.
    pub endpoint: Option<Entry>,
    /// The directory that holds it; always `None`, for pipes lie in none.
    pub directory: Option<Entry>,
    /// All that a server would mind. Always empty: who owns a pipe is seen only by one who opens it.
    pub findings: Vec<Finding>,
}

/// What was found under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
}

/// What something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A named pipe.
    Pipe,
}

/// How grave a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Works, and there is a safer way.
    Warning,
    /// A server does not start there.
    Error,
}

/// Something about a path that a server minds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How grave it is.
    pub severity: Severity,
    /// Where.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub advice: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}",
            self.path.display(),
            self.problem,
            self.advice
        )
    }
}

impl EndpointReport {
    /// Whether a server would start there, as far as looking tells.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.severity < Severity::Error)
    }
}

/// Looks whether the endpoint `path` is there.
///
/// # Errors
/// [`IpcError::Endpoint`] if the path itself cannot be a server's.
pub fn inspect(path: &Path, _options: &EndpointOptions) -> Result<EndpointReport, IpcError> {
    check(path).map_err(|reason| refused(path, reason, None))?;
    let entry = Entry {
        kind: EntryKind::Pipe,
    };
    Ok(EndpointReport {
        endpoint: system::exists(path).then_some(entry),
        directory: None,
        findings: Vec::new(),
    })
}
