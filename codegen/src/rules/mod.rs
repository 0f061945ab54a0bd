//! What rules of evolution and of lint share: how they are named and chosen, configured, and reported.
//!
//! **Invariant**: names neither of the two; a rule that is added needs no change here.

pub mod config;
mod example;
mod finding;
mod report;
mod select;

pub use self::example::Example;
pub use self::finding::{Direction, Finding, Location, Severity};
pub(crate) use self::report::location;
pub use self::report::{Draft, Ignores, Report};
pub use self::select::{Names, Selection};

/// What is said of a rule, whatever it looks at.
#[derive(Debug)]
pub struct Rule {
    /// Its name, as buf has it where buf has the rule.
    pub id: &'static str,
    /// The categories that it is in.
    pub categories: &'static [&'static str],
    /// One sentence on what it checks.
    pub purpose: &'static str,
    /// What findings of it mean for those who deploy.
    pub severity: Severity,
    /// Who meets the consequences; `None` for rules on one schema alone.
    pub direction: Option<Direction>,
    /// Why it matters, in one or two sentences.
    pub why: &'static str,
    /// What to do about a finding, unless the finding says it better.
    pub fix: &'static str,
}
