//! Ways to write strings that rules name: host names, addresses, URIs and the like.
//!
//! **Invariant**: every function takes any text, and time linear in it.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A version of the Internet Protocol.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    V6,
}

/// As browsers take it: <https://html.spec.whatwg.org/#valid-e-mail-address>.
pub(super) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    !local.is_empty() && local.bytes().all(allowed) && domain.split('.').all(is_label)
}

/// A part of a host name (RFC 1034, 3.5): letters, digits and hyphens, 63 at most.
fn is_label(label: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&label.len())
        && label.bytes().all(plain)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// 253 characters at most, labels between dots, a last one that is not a number; a dot may end it.
pub(super) fn is_hostname(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let last = name.rsplit('.').next().unwrap_or_default();
    text.len() <= 253
        && name.split('.').all(is_label)
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn is_ip(text: &str) -> bool {
    is_ipv4(text) || is_ipv6(text)
}

pub(super) fn is_ipv4(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok()
}

/// With or without a zone (RFC 4007), which may be anything.
pub(super) fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "-"));
    !zone.is_empty() && !zone.contains('\0') && address.parse::<Ipv6Addr>().is_ok()
}

pub(super) fn is_address(text: &str) -> bool {
    is_hostname(text) || is_ip(text)
}

/// `address/length`; with `strict`, the address has no bits after its prefix.
pub(super) fn is_prefix(text: &str, version: Option<Version>, strict: bool) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    if !is_decimal(length) {
        return false;
    }
    let Ok(length) = length.parse::<u32>() else {
        return false;
    };
    if let Ok(address) = address.parse::<Ipv4Addr>() {
        let host = address.to_bits().checked_shl(length).unwrap_or(0);
        return version != Some(Version::V6) && length <= 32 && (!strict || host == 0);
    }
    if let Ok(address) = address.parse::<Ipv6Addr>() {
        let host = address.to_bits().checked_shl(length).unwrap_or(0);
        return version != Some(Version::V4) && length <= 128 && (!strict || host == 0);
    }
    false
}

/// Decimal digits without leading zeros.
fn is_decimal(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'))
}

/// `host:port`, where an IPv6 address is in brackets.
pub(super) fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    is_host(host) && is_decimal(port) && port.parse::<u16>().is_ok()
}

/// A host name or an address, where an IPv6 address is in brackets.
pub(super) fn is_host(host: &str) -> bool {
    match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(address) => is_ipv6(address),
        None => is_hostname(host) || is_ipv4(host),
    }
}

pub(super) fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

pub(super) fn is_trimmed_uuid(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// 26 digits of Crockford's base 32, of which the first is at most 7: 128 bits.
pub(super) fn is_ulid(text: &str) -> bool {
    let digit =
        |byte: u8| byte.is_ascii_alphanumeric() && !b"ILOU".contains(&byte.to_ascii_uppercase());
    text.len() == 26 && text.bytes().all(digit) && text.as_bytes()[0] <= b'7'
}

pub(super) fn is_full_name(text: &str) -> bool {
    text.split('.').all(|part| {
        let mut bytes = part.bytes();
        bytes
            .next()
            .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

pub(super) fn is_dotted_full_name(text: &str) -> bool {
    text.strip_prefix('.').is_some_and(is_full_name)
}

/// A token (RFC 9110, 5.6.2), after the colon of a pseudo-header of HTTP/2; if not strict, anything on
/// one line.
pub(super) fn is_header_name(text: &str, strict: bool) -> bool {
    if !strict {
        return !text.is_empty() && is_one_line(text);
    }
    let name = text.strip_prefix(':').unwrap_or(text);
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_|~`".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}

/// No control characters but tabs; if not strict, anything on one line.
pub(super) fn is_header_value(text: &str, strict: bool) -> bool {
    if !strict {
        return is_one_line(text);
    }
    text.bytes()
        .all(|byte| byte == b'\t' || !byte.is_ascii_control())
}

fn is_one_line(text: &str) -> bool {
    !text.contains(['\0', '\n', '\r'])
}

/// `scheme ":" hier-part [ "?" query ] [ "#" fragment ]` (RFC 3986, 3).
pub(super) fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let mut bytes = scheme.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && is_after_scheme(rest)
}

/// A URI, or the rest of one that is relative to another (RFC 3986, 4.1).
pub(super) fn is_uri_reference(text: &str) -> bool {
    if is_uri(text) {
        return true;
    }
    // The first segment of a relative path has no colon: it would read as a scheme (4.2).
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let first = path.split('/').next().unwrap_or_default();
    !first.contains(':') && is_after_scheme(text)
}

/// What may follow a scheme and its colon, which is also what a relative reference is made of.
fn is_after_scheme(text: &str) -> bool {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (text, query) = text.split_once('?').unwrap_or((text, ""));
    let path = match text.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find('/').unwrap_or(rest.len());
            if !is_authority(&rest[..end]) {
                return false;
            }
            &rest[end..]
        }
        None => text,
    };
    is_written_in(path, "/:@") && is_written_in(query, "/?:@") && is_written_in(fragment, "/?:@")
}

/// `[ userinfo "@" ] host [ ":" port ]` (RFC 3986, 3.2).
fn is_authority(text: &str) -> bool {
    let (user, host) = text.rsplit_once('@').unwrap_or(("", text));
    let (host, port) = match host.rfind(']') {
        Some(end) => {
            let (host, rest) = host.split_at(end + 1);
            match rest.strip_prefix(':') {
                Some(port) => (host, port),
                None if rest.is_empty() => (host, ""),
                None => return false,
            }
        }
        None => host.split_once(':').unwrap_or((host, "")),
    };
    let host_is_one = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(literal) => is_ip_literal(literal),
        None => is_written_in(host, "") && is_decodable(host),
    };
    is_written_in(user, ":") && host_is_one && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// An IPv6 address, with a zone after `%25` (RFC 6874), or an address of a later version.
fn is_ip_literal(text: &str) -> bool {
    if let Some(later) = text.strip_prefix(['v', 'V']) {
        return later.split_once('.').is_some_and(|(version, address)| {
            !version.is_empty()
                && version.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !address.is_empty()
                && !address.contains('%')
                && is_written_in(address, ":")
        });
    }
    match text.split_once("%25") {
        Some((address, zone)) => {
            let plain = !zone.contains(['!', '$', '&', '\'', '(', ')', '*', '+', ',', ';', '=']);
            address.parse::<Ipv6Addr>().is_ok()
                && !zone.is_empty()
                && plain
                && is_written_in(zone, "")
                && is_decodable(zone)
        }
        None => text.parse::<Ipv6Addr>().is_ok(),
    }
}

/// Whether what is percent-encoded is UTF-8, as a registered name must be (RFC 3986, 3.2.2).
fn is_decodable(text: &str) -> bool {
    let mut decoded = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().unwrap_or(b'0'), bytes.next().unwrap_or(b'0')];
            let digits = std::str::from_utf8(&digits).unwrap_or("0");
            decoded.push(u8::from_str_radix(digits, 16).unwrap_or(0));
        } else {
            decoded.push(byte);
        }
    }
    std::str::from_utf8(&decoded).is_ok()
}

/// Unreserved characters and sub-delimiters (RFC 3986, 2), percent-encoded bytes, and `more`.
fn is_written_in(text: &str, more: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => {
                let mut digit = || bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit());
                digit() && digit()
            }
            byte => {
                byte.is_ascii_alphanumeric()
                    || b"-._~!$&'()*+,;=".contains(&byte)
                    || more.as_bytes().contains(&byte)
            }
        };
        if !fits {
            return false;
        }
    }
    true
}
