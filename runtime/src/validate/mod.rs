//! Input validation that a schema asks for: the rules of `buf.validate` (protovalidate).
//!
//! The generator turns the rules of a message into an implementation of [`Validate`], and a server checks
//! every request by it before the handler runs. A request that breaks rules is answered
//! INVALID_ARGUMENT, with all [`Violations`] as a typed detail.
//!
//! Responses are checked where [`ServerBuilder::validate_responses`](crate::ServerBuilder::validate_responses)
//! asks for it, and what a client sends and receives where
//! [`ChannelBuilder::validate`](crate::ChannelBuilder::validate) does.
//!
//! **Invariant**: a message that keeps to its rules is checked without an allocation, and what a check
//! reports is bounded, whatever the peer sent.

#[cfg(feature = "validate-cel")]
pub(crate) mod cel;
mod formats;
mod pattern;
mod report;
#[doc(hidden)]
pub mod rules;
mod violation;

use std::fmt;

pub use self::{
    pattern::Pattern,
    report::{Field, Path, Report},
    violation::{FieldPath, FieldPathElement, Subscript, Violation, Violations},
};
use crate::status::Status;

/// A message whose schema has rules. The generator implements it.
///
/// ```
/// use daemoneye_ipc::prost_types::Duration;
/// use daemoneye_ipc::schema::introspection::v1::WatchStatsRequest;
/// use daemoneye_ipc::validate::Validate;
///
/// let request = WatchStatsRequest { interval: Some(Duration { seconds: 0, nanos: 5 }) };
/// let violations = request.validate().unwrap_err();
/// assert_eq!(
///     violations.to_string(),
///     "interval: must be greater than or equal to 0.01s and less than or equal to 86400s"
/// );
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no generated validation",
    label = "the schema has rules for this message",
    note = "generate its package with daemoneye-ipc-codegen too, or give an extern path to where that was done"
)]
pub trait Validate {
    /// Reports every rule that the message at `at` breaks.
    fn check(&self, at: &Path<'_>, report: &mut Report);

    /// Checks the message by the rules of its schema.
    ///
    /// # Errors
    /// All violations; the first hundred, or 16 KiB of them, where there are more.
    fn validate(&self) -> Result<(), Violations> {
        let mut report = Report::default();
        self.check(&Path::ROOT, &mut report);
        report.finish()
    }
}

/// Violations in the text of a status.
const SHOWN: usize = 10;

/// A check of one type of messages, as [`Validate::validate`] is.
pub type Check<M> = fn(&M) -> Result<(), Violations>;

impl<M: Validate + ?Sized> Validate for Box<M> {
    fn check(&self, at: &Path<'_>, report: &mut Report) {
        (**self).check(at, report);
    }
}

impl From<Violations> for Status {
    /// INVALID_ARGUMENT, with the first violations as text, and all as a typed detail
    /// ([`Status::detail`]).
    fn from(violations: Violations) -> Self {
        let list = &violations.violations;
        let shown: Vec<_> = list.iter().take(SHOWN).map(ToString::to_string).collect();
        let mut text = shown.join("; ");
        if list.len() > SHOWN {
            text.push_str(&format!("; and {} more", list.len() - SHOWN));
        }
        Self::invalid_argument(text).with_detail(&violations)
    }
}

impl fmt::Display for Violations {
    /// One violation after the other, as `field.path: what is wrong`, separated by `; `.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.violations.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            violation.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}
