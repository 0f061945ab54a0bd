//! Rules of `google.protobuf.Duration` and `google.protobuf.Timestamp`.
//!
//! **Invariant**: times are compared as the instants that they mean, however they are written.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use prost_types::{Duration, Timestamp};

use super::{
    BOOL_TYPE, Field, Path, Report,
    number::{Group, Lower, Number, NumberRule, Upper, number},
};
use crate::validate::report::MESSAGE;

/// A rule of a duration, in whole seconds and nanoseconds.
pub type DurationRule = NumberRule<Time>;

/// A duration, or the time since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(i128);

const NANOS: i128 = 1_000_000_000;

impl Time {
    /// So many seconds and nanoseconds.
    #[must_use]
    pub const fn new(seconds: i64, nanos: i32) -> Self {
        Self(seconds as i128 * NANOS + nanos as i128)
    }

    fn now() -> Self {
        // A clock before 1970 is as good as one that stands at it.
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self(now.map_or(0, |now| now.as_nanos().cast_signed()))
    }
}

impl fmt::Display for Time {
    /// In seconds, as `1.5s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0.abs() / NANOS, self.0.abs() % NANOS);
        let sign = if self.0 < 0 { "-" } else { "" };
        let text = format!("{sign}{seconds}.{nanos:09}");
        write!(f, "{}s", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Number for Time {}

/// A [`Time`] as a point in time.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Moment(Time);

impl fmt::Display for Moment {
    /// As in RFC 3339.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0.0.div_euclid(NANOS), self.0.0.rem_euclid(NANOS));
        let timestamp = Timestamp {
            seconds: i64::try_from(seconds).unwrap_or_default(),
            nanos: i32::try_from(nanos).unwrap_or_default(),
        };
        timestamp.fmt(f)
    }
}

impl Number for Moment {}

static DURATION: Group = Group::new(21, "duration", MESSAGE, [2, 3, 4, 5, 6, 7, 8]);
static TIMESTAMP_FIELD: Field = Field::new(22, "timestamp", MESSAGE);
static TIMESTAMP: Group = Group::new(22, "timestamp", MESSAGE, [2, 3, 4, 5, 6, 0, 0]);

/// Checks a duration.
pub fn duration(value: &Duration, rules: &[DurationRule], at: &Path<'_>, report: &mut Report) {
    let value = Time::new(value.seconds, value.nanos);
    number(&DURATION, value, rules, at, report);
}

/// A rule of a timestamp.
#[derive(Debug, Clone, Copy)]
pub enum TimestampRule {
    /// Equal to this.
    Const(Time),
    /// Within these bounds.
    Range(Lower<Time>, Upper<Time>),
    /// Not later than now.
    LtNow,
    /// Not earlier than now.
    GtNow,
    /// At most so far from now.
    Within(Time),
}

/// Checks a timestamp, by the clock of the system where a rule says "now".
pub fn timestamp(value: &Timestamp, rules: &[TimestampRule], at: &Path<'_>, report: &mut Report) {
    static LT_NOW: Field = Field::new(7, "lt_now", BOOL_TYPE);
    static GT_NOW: Field = Field::new(8, "gt_now", BOOL_TYPE);
    static WITHIN: Field = Field::new(9, "within", MESSAGE);
    let value = Time::new(value.seconds, value.nanos);
    for rule in rules {
        let (field, message) = match *rule {
            TimestampRule::Const(wanted) => {
                let constant = [NumberRule::Const(Moment(wanted))];
                number(&TIMESTAMP, Moment(value), &constant, at, report);
                continue;
            }
            TimestampRule::Range(lower, upper) => {
                let range = [NumberRule::Range(lower.map(Moment), upper.map(Moment))];
                number(&TIMESTAMP, Moment(value), &range, at, report);
                continue;
            }
            TimestampRule::LtNow if value > Time::now() => {
                (&LT_NOW, "must be less than now".to_owned())
            }
            TimestampRule::GtNow if value < Time::now() => {
                (&GT_NOW, "must be greater than now".to_owned())
            }
            TimestampRule::Within(span) if (value.0 - Time::now().0).abs() > span.0 => {
                (&WITHIN, format!("must be within {span} of now"))
            }
            _ => continue,
        };
        let id = format!("timestamp.{}", field.name);
        report.add(at, &[&TIMESTAMP_FIELD, field], id, message);
    }
}
