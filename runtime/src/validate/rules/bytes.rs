//! Rules of `bytes`.
//!
//! **Invariant**: bytes of the peer never reach a message.

use super::{BOOL_TYPE, BYTES_TYPE, Field, Path, Report, STRING_TYPE, UINT64_TYPE};
use crate::validate::{Pattern, report::MESSAGE};

/// A rule of a `bytes` field.
#[derive(Debug, Clone, Copy)]
pub enum BytesRule {
    /// Equal to this.
    Const(&'static [u8]),
    /// Of this length.
    Len(u64),
    /// At least so long.
    MinLen(u64),
    /// At most so long.
    MaxLen(u64),
    /// UTF-8, and matching this.
    Pattern(&'static Pattern),
    /// Beginning with this.
    Prefix(&'static [u8]),
    /// Ending with this.
    Suffix(&'static [u8]),
    /// Containing this.
    Contains(&'static [u8]),
    /// One of these.
    In(&'static [&'static [u8]]),
    /// None of these.
    NotIn(&'static [&'static [u8]]),
    /// An IP address of 4 or 16 bytes.
    Ip,
    /// An IPv4 address of 4 bytes.
    Ipv4,
    /// An IPv6 address of 16 bytes.
    Ipv6,
    /// A UUID of 16 bytes.
    Uuid,
}

static BYTES: Field = Field::new(15, "bytes", MESSAGE);

/// Checks bytes.
pub fn bytes(value: &[u8], rules: &[BytesRule], at: &Path<'_>, report: &mut Report) {
    for rule in rules {
        if !holds(value, rule) {
            broken(value, rule, at, report);
        }
    }
}

fn holds(value: &[u8], rule: &BytesRule) -> bool {
    let length = value.len() as u64;
    match *rule {
        BytesRule::Const(wanted) => value == wanted,
        BytesRule::Len(wanted) => length == wanted,
        BytesRule::MinLen(least) => length >= least,
        BytesRule::MaxLen(most) => length <= most,
        BytesRule::Pattern(pattern) => {
            std::str::from_utf8(value).is_ok_and(|text| pattern.is_match(text))
        }
        BytesRule::Prefix(prefix) => value.starts_with(prefix),
        BytesRule::Suffix(suffix) => value.ends_with(suffix),
        BytesRule::Contains(part) => contains(value, part),
        BytesRule::In(list) => list.contains(&value),
        BytesRule::NotIn(list) => !list.contains(&value),
        BytesRule::Ip => matches!(length, 4 | 16),
        BytesRule::Ipv4 => length == 4,
        BytesRule::Ipv6 | BytesRule::Uuid => length == 16,
    }
}

fn contains(value: &[u8], part: &[u8]) -> bool {
    part.is_empty() || value.windows(part.len()).any(|window| window == part)
}

fn broken(value: &[u8], broken: &BytesRule, at: &Path<'_>, report: &mut Report) {
    let (field, message) = match *broken {
        BytesRule::Const(wanted) => (
            Field::new(1, "const", BYTES_TYPE),
            format!("must be {}", hex(wanted)),
        ),
        BytesRule::Len(wanted) => (
            Field::new(13, "len", UINT64_TYPE),
            format!("must be {wanted} bytes"),
        ),
        BytesRule::MinLen(least) => (
            Field::new(2, "min_len", UINT64_TYPE),
            format!("must be at least {least} bytes"),
        ),
        BytesRule::MaxLen(most) => (
            Field::new(3, "max_len", UINT64_TYPE),
            format!("must be at most {most} bytes"),
        ),
        BytesRule::Pattern(pattern) => (
            Field::new(4, "pattern", STRING_TYPE),
            format!("must match regex pattern `{}`", pattern.source()),
        ),
        BytesRule::Prefix(prefix) => (
            Field::new(5, "prefix", BYTES_TYPE),
            format!("does not have prefix {}", hex(prefix)),
        ),
        BytesRule::Suffix(suffix) => (
            Field::new(6, "suffix", BYTES_TYPE),
            format!("does not have suffix {}", hex(suffix)),
        ),
        BytesRule::Contains(part) => (
            Field::new(7, "contains", BYTES_TYPE),
            format!("does not contain {}", hex(part)),
        ),
        BytesRule::In(list) => (
            Field::new(8, "in", BYTES_TYPE),
            format!("must be in list {}", texts(list)),
        ),
        BytesRule::NotIn(list) => (
            Field::new(9, "not_in", BYTES_TYPE),
            format!("must not be in list {}", texts(list)),
        ),
        BytesRule::Ip => return well_known(value, 10, "ip", "IP address", at, report),
        BytesRule::Ipv4 => return well_known(value, 11, "ipv4", "IPv4 address", at, report),
        BytesRule::Ipv6 => return well_known(value, 12, "ipv6", "IPv6 address", at, report),
        BytesRule::Uuid => return well_known(value, 15, "uuid", "UUID", at, report),
    };
    let id = format!("bytes.{}", field.name);
    report.add(at, &[&BYTES, &field], id, message);
}

fn well_known(
    value: &[u8],
    number: i32,
    name: &'static str,
    noun: &str,
    at: &Path<'_>,
    report: &mut Report,
) {
    let (id, message) = super::text::not_a(value.is_empty(), "bytes", name, noun);
    let field = Field::new(number, name, BOOL_TYPE);
    report.add(at, &[&BYTES, &field], id, message);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As text, which the bytes of a list usually are.
fn texts(list: &[&[u8]]) -> String {
    let list: Vec<_> = list
        .iter()
        .map(|bytes| String::from_utf8_lossy(bytes))
        .collect();
    super::listed(&list)
}
