//! What a rule has found, ready to be shown.
//!
//! **Invariant**: a finding stands on its own: to show one takes no image. Its first keys are those of
//! buf's JSON lines.

use serde::Serialize;

use crate::image::Span;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where in the schema that is checked.
    #[serde(flatten)]
    pub location: Location,
    /// The rule.
    #[serde(rename = "type")]
    pub rule: &'static str,
    /// What is wrong, a sentence.
    pub message: String,
    /// What it means for those who deploy.
    pub severity: Severity,
    /// Who meets the consequences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Why it matters.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub why: &'static str,
    /// What to do; several lines where something is to be pasted.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fix: String,
    /// Where in the schema compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<Location>,
    /// The number of the release compared with, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<u32>,
    /// The full names of the services that it concerns, as far as that was asked for.
    #[serde(skip)]
    pub services: Vec<String>,
}

/// A place in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Location {
    /// The file, relative to its import root; `None` when nothing of it is left, as with a deleted file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The place in it: nothing at its very start when the file as a whole is meant.
    #[serde(flatten)]
    pub span: Span,
}

/// What a finding means for those who deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing breaks.
    Note,
    /// Nothing breaks on the wire by itself.
    Warning,
    /// Peers that were built before and after the change do not understand each other, or code no longer
    /// compiles.
    Error,
}

/// Which pairs of peers meet the consequences of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// A client of the old schema with a server of the new one.
    OldClientNewServer,
    /// A client of the new schema with a server of the old one.
    NewClientOldServer,
    /// Both.
    Both,
    /// No peers: code that is compiled against the schema, or data in another form, such as JSON.
    Source,
}

impl Direction {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::OldClientNewServer => "old client with new server",
            Self::NewClientOldServer => "new client with old server",
            Self::Both => "old client with new server, and new client with old server",
            Self::Source => "code built against the schema",
        }
    }
}
