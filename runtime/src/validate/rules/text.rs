//! Rules of strings.
//!
//! **Invariant**: text of the peer never reaches a message.

use super::{BOOL_TYPE, Field, Path, Report, STRING_TYPE, UINT64_TYPE, listed};
use crate::validate::{Pattern, formats, report::MESSAGE};

/// A rule of a string. Characters are Unicode code points.
#[derive(Debug, Clone, Copy)]
pub enum StringRule {
    /// Equal to this.
    Const(&'static str),
    /// Of so many characters.
    Len(u64),
    /// Of at least so many characters.
    MinLen(u64),
    /// Of at most so many characters.
    MaxLen(u64),
    /// Of so many bytes.
    LenBytes(u64),
    /// Of at least so many bytes.
    MinBytes(u64),
    /// Of at most so many bytes.
    MaxBytes(u64),
    /// Matching this.
    Pattern(&'static Pattern),
    /// Beginning with this.
    Prefix(&'static str),
    /// Ending with this.
    Suffix(&'static str),
    /// Containing this.
    Contains(&'static str),
    /// Not containing this.
    NotContains(&'static str),
    /// One of these.
    In(&'static [&'static str]),
    /// None of these.
    NotIn(&'static [&'static str]),
    /// Written in this way.
    Is(Format),
    /// The name of an HTTP header: a token, or, if not strict, anything on one line.
    HttpHeaderName {
        /// Whether the grammar of RFC 9110 is held to.
        strict: bool,
    },
    /// The value of an HTTP header.
    HttpHeaderValue {
        /// Whether the grammar of RFC 9110 is held to.
        strict: bool,
    },
}

macro_rules! well_known {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $field:literal, $noun:literal, $judge:expr;)*) => {
        /// A way to write a string.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Format {
            $($(#[$doc])* $name,)*
        }

        impl Format {
            /// Its number and name among the rules, what it is called, and whether `text` is one.
            fn judge(self, text: &str) -> (i32, &'static str, &'static str, bool) {
                match self {
                    $(Self::$name => ($number, $field, $noun, $judge(text)),)*
                }
            }
        }
    };
}

well_known! {
    /// `user@host`, as browsers take it (WHATWG HTML).
    Email = 12, "email", "email address", formats::is_email;
    /// A host name (RFC 1034, and 3.1 of RFC 1123).
    Hostname = 13, "hostname", "hostname", formats::is_hostname;
    /// An IP address.
    Ip = 14, "ip", "IP address", formats::is_ip;
    /// An IPv4 address in dotted decimal.
    Ipv4 = 15, "ipv4", "IPv4 address", formats::is_ipv4;
    /// An IPv6 address, with or without a zone.
    Ipv6 = 16, "ipv6", "IPv6 address", formats::is_ipv6;
    /// A URI with its scheme (RFC 3986).
    Uri = 17, "uri", "URI", formats::is_uri;
    /// A URI or a relative reference (RFC 3986).
    UriRef = 18, "uri_ref", "URI Reference", formats::is_uri_reference;
    /// A host name or an IP address.
    Address = 21, "address", "hostname, or ip address", formats::is_address;
    /// A UUID with its hyphens.
    Uuid = 22, "uuid", "UUID", formats::is_uuid;
    /// An IP address with the length of its network's prefix.
    IpWithPrefixlen = 26, "ip_with_prefixlen", "IP prefix",
        |text| formats::is_prefix(text, None, false);
    /// The same, IPv4.
    Ipv4WithPrefixlen = 27, "ipv4_with_prefixlen", "IPv4 address with prefix length",
        |text| formats::is_prefix(text, Some(formats::Version::V4), false);
    /// The same, IPv6.
    Ipv6WithPrefixlen = 28, "ipv6_with_prefixlen", "IPv6 address with prefix length",
        |text| formats::is_prefix(text, Some(formats::Version::V6), false);
    /// An IP network: an address whose bits after the prefix are zero.
    IpPrefix = 29, "ip_prefix", "IP prefix", |text| formats::is_prefix(text, None, true);
    /// The same, IPv4.
    Ipv4Prefix = 30, "ipv4_prefix", "IPv4 prefix",
        |text| formats::is_prefix(text, Some(formats::Version::V4), true);
    /// The same, IPv6.
    Ipv6Prefix = 31, "ipv6_prefix", "IPv6 prefix",
        |text| formats::is_prefix(text, Some(formats::Version::V6), true);
    /// A host name or an IP address, and a port.
    HostAndPort = 32, "host_and_port", "host (hostname or IP address) and port pair",
        formats::is_host_and_port;
    /// A UUID without hyphens.
    Tuuid = 33, "tuuid", "trimmed UUID", formats::is_trimmed_uuid;
    /// A ULID.
    Ulid = 35, "ulid", "ULID", formats::is_ulid;
    /// A full name of the protobuf language.
    ProtobufFqn = 37, "protobuf_fqn", "fully-qualified Protobuf name", formats::is_full_name;
    /// The same with a leading dot.
    ProtobufDotFqn = 38, "protobuf_dot_fqn", "fully-qualified Protobuf name with a leading dot",
        formats::is_dotted_full_name;
}

static STRING: Field = Field::new(14, "string", MESSAGE);

/// Checks a string.
pub fn string(value: &str, rules: &[StringRule], at: &Path<'_>, report: &mut Report) {
    for rule in rules {
        if !holds(value, rule) {
            broken(value, rule, at, report);
        }
    }
}

fn holds(value: &str, rule: &StringRule) -> bool {
    let characters = || value.chars().count() as u64;
    let bytes = value.len() as u64;
    match *rule {
        StringRule::Const(wanted) => value == wanted,
        StringRule::Len(wanted) => characters() == wanted,
        StringRule::MinLen(least) => characters() >= least,
        // No text has more characters than bytes.
        StringRule::MaxLen(most) => bytes <= most || characters() <= most,
        StringRule::LenBytes(wanted) => bytes == wanted,
        StringRule::MinBytes(least) => bytes >= least,
        StringRule::MaxBytes(most) => bytes <= most,
        StringRule::Pattern(pattern) => pattern.is_match(value),
        StringRule::Prefix(prefix) => value.starts_with(prefix),
        StringRule::Suffix(suffix) => value.ends_with(suffix),
        StringRule::Contains(part) => value.contains(part),
        StringRule::NotContains(part) => !value.contains(part),
        StringRule::In(list) => list.contains(&value),
        StringRule::NotIn(list) => !list.contains(&value),
        StringRule::Is(format) => format.judge(value).3,
        StringRule::HttpHeaderName { strict } => formats::is_header_name(value, strict),
        StringRule::HttpHeaderValue { strict } => formats::is_header_value(value, strict),
    }
}

fn broken(value: &str, broken: &StringRule, at: &Path<'_>, report: &mut Report) {
    let (field, message) = match *broken {
        StringRule::Is(format) => return format_broken(value, format, at, report),
        StringRule::HttpHeaderName { .. } => {
            return header_broken(value, "header_name", "HTTP header name", at, report);
        }
        StringRule::HttpHeaderValue { .. } => {
            return header_broken("-", "header_value", "HTTP header value", at, report);
        }
        rule => said(rule),
    };
    let id = format!("string.{}", field.name);
    report.add(at, &[&STRING, &field], id, message);
}

/// A rule that is not about a way to write, and what it says of a value that breaks it.
fn said(rule: StringRule) -> (Field, String) {
    let (number, name, message) = match rule {
        StringRule::Const(wanted) => (1, "const", format!("must equal `{wanted}`")),
        StringRule::Len(wanted) => (19, "len", format!("must be {wanted} characters")),
        StringRule::MinLen(least) => (2, "min_len", format!("must be at least {least} characters")),
        StringRule::MaxLen(most) => (3, "max_len", format!("must be at most {most} characters")),
        StringRule::LenBytes(wanted) => (20, "len_bytes", format!("must be {wanted} bytes")),
        StringRule::MinBytes(least) => (4, "min_bytes", format!("must be at least {least} bytes")),
        StringRule::MaxBytes(most) => (5, "max_bytes", format!("must be at most {most} bytes")),
        StringRule::Pattern(pattern) => {
            let text = format!("does not match regex pattern `{}`", pattern.source());
            (6, "pattern", text)
        }
        StringRule::Prefix(prefix) => (7, "prefix", format!("does not have prefix `{prefix}`")),
        StringRule::Suffix(suffix) => (8, "suffix", format!("does not have suffix `{suffix}`")),
        StringRule::Contains(part) => (
            9,
            "contains",
            format!("does not contain substring `{part}`"),
        ),
        StringRule::NotContains(part) => {
            (23, "not_contains", format!("contains substring `{part}`"))
        }
        StringRule::In(list) => (10, "in", format!("must be in list {}", listed(list))),
        StringRule::NotIn(list) => (
            11,
            "not_in",
            format!("must not be in list {}", listed(list)),
        ),
        StringRule::Is(_)
        | StringRule::HttpHeaderName { .. }
        | StringRule::HttpHeaderValue { .. } => (0, "", String::new()),
    };
    let is_length = name.ends_with("len") || name.contains("bytes");
    let ty = if is_length { UINT64_TYPE } else { STRING_TYPE };
    (Field::new(number, name, ty), message)
}

fn format_broken(value: &str, format: Format, at: &Path<'_>, report: &mut Report) {
    let (number, name, noun, _) = format.judge(value);
    let noun = match format {
        // It is called otherwise where there is nothing of it.
        Format::HostAndPort if value.is_empty() => "host and port pair",
        _ => noun,
    };
    let (id, message) = not_a(value.is_empty(), "string", name, noun);
    let field = Field::new(number, name, BOOL_TYPE);
    report.add(at, &[&STRING, &field], id, message);
}

/// `value` is only looked at for being empty.
fn header_broken(value: &str, name: &str, noun: &str, at: &Path<'_>, report: &mut Report) {
    /// `google.protobuf.FieldDescriptorProto.TYPE_ENUM`.
    static WELL_KNOWN_REGEX: Field = Field::new(24, "well_known_regex", 14);
    let name = format!("well_known_regex.{name}");
    let (id, message) = not_a(value.is_empty(), "string", &name, noun);
    report.add(at, &[&STRING, &WELL_KNOWN_REGEX], id, message);
}

/// The id and the text for a value that is not written as it should be. That it is empty is a rule of
/// its own.
pub(super) fn not_a(empty: bool, group: &str, name: &str, noun: &str) -> (String, String) {
    if empty {
        return (
            format!("{group}.{name}_empty"),
            format!("value is empty, which is not a valid {noun}"),
        );
    }
    (format!("{group}.{name}"), format!("must be a valid {noun}"))
}
