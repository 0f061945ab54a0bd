//! Which values a configuration may hold.
//!
//! **Invariant**: one table holds the range of every number; an error names where the value came from.

use std::{collections::BTreeMap, ops::RangeInclusive, path::Path};

use super::{IpcConfig, MAX_ENDPOINT_BYTES, endpoint};
use crate::error::IpcError;

/// Where each value that is not a default came from, by the path of its key (`limits.max_calls`).
pub(super) type Origins = BTreeMap<String, String>;

/// A setting, where it is, and what it may be. Zero is never meant: what can be switched off says so.
type Rule = (
    &'static str,
    fn(&IpcConfig) -> u64,
    RangeInclusive<u64>,
    &'static str,
);

const HOUR_MS: u64 = 3_600_000;
const GIB: u64 = 1 << 30;

#[rustfmt::skip]
const RULES: &[Rule] = &[
    // A frame has to hold a handshake; what is larger than this belongs into a stream.
    ("max_frame_bytes", |c| bytes(c.max_frame_bytes), 256..=GIB / 4, "bytes"),
    ("read_timeout_ms", |c| c.read_timeout_ms, 1..=24 * HOUR_MS, "milliseconds"),
    ("write_timeout_ms", |c| c.write_timeout_ms, 1..=24 * HOUR_MS, "milliseconds"),
    ("spin_us", |c| c.spin_us, 0..=10_000, "microseconds, where 0 is never"),
    ("max_connections", |c| bytes(c.max_connections), 1..=65_536, "connections"),
    ("limits.handshake_timeout_ms", |c| c.limits.handshake_timeout_ms, 1..=HOUR_MS, "milliseconds"),
    ("limits.max_calls", |c| bytes(c.limits.max_calls), 1..=65_536, "calls"),
    ("limits.stream_credit_bytes", |c| bytes(c.limits.stream_credit_bytes), 1..=GIB, "bytes"),
    ("limits.max_metadata_entries", |c| bytes(c.limits.max_metadata_entries), 1..=65_536, "entries"),
    ("limits.max_metadata_bytes", |c| bytes(c.limits.max_metadata_bytes), 1..=GIB, "bytes"),
    ("limits.drain_timeout_ms", |c| c.limits.drain_timeout_ms, 1..=24 * HOUR_MS, "milliseconds"),
    ("limits.max_queued_bytes", |c| bytes(c.limits.max_queued_bytes), 1024..=64 * GIB, "bytes"),
    ("limits.reserved_connections", |c| bytes(c.limits.reserved_connections), 0..=65_536, "connections, where 0 keeps none"),
    ("limits.max_connections_per_uid", |c| bytes(c.limits.max_connections_per_uid), 1..=65_536, "connections"),
    ("limits.max_handshakes", |c| bytes(c.limits.max_handshakes), 1..=65_536, "connections"),
    ("limits.max_total_calls", |c| bytes(c.limits.max_total_calls), 1..=1 << 32, "calls"),
    ("limits.max_total_queued_bytes", |c| bytes(c.limits.max_total_queued_bytes), 1024..=64 * GIB, "bytes"),
    ("limits.decode_memory_bytes", |c| bytes(c.limits.decode_memory_bytes), 1024..=64 * GIB, "bytes"),
    ("limits.max_nesting", |c| c.limits.max_nesting.into(), 1..=100, "messages inside of each other"),
    ("reconnect.connect_timeout_ms", |c| c.reconnect.connect_timeout_ms, 1..=HOUR_MS, "milliseconds"),
    ("reconnect.initial_backoff_ms", |c| c.reconnect.initial_backoff_ms, 1..=HOUR_MS, "milliseconds"),
    ("reconnect.max_backoff_ms", |c| c.reconnect.max_backoff_ms, 1..=HOUR_MS, "milliseconds"),
    ("reconnect.max_attempts", |c| c.reconnect.max_attempts.into(), 1..=1_000_000, "attempts"),
    ("circuit_breaker.failure_threshold", |c| c.circuit_breaker.failure_threshold.into(), 0..=1_000_000,
        "failures in a row, where 0 switches the breaker off"),
    ("circuit_breaker.open_ms", |c| c.circuit_breaker.open_ms, 1..=HOUR_MS, "milliseconds"),
];

const MULTIPLIER: &str = "use a number from 1 to 100";

/// What the setting at `key` may be, for the text of an error.
pub(super) fn allowed(key: &str) -> Option<String> {
    if key == "reconnect.multiplier" {
        return Some(MULTIPLIER.to_owned());
    }
    if let Some(allowed) = endpoint::allowed(key) {
        return Some(allowed.to_owned());
    }
    let (.., range, unit) = RULES.iter().find(|(rule, ..)| *rule == key)?;
    Some(whole(range, unit))
}

fn whole(range: &RangeInclusive<u64>, unit: &str) -> String {
    format!(
        "use a whole number from {} to {} {unit}",
        range.start(),
        range.end()
    )
}

fn bytes(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

/// Checks all values.
pub(super) fn all(config: &IpcConfig, origins: &Origins) -> Result<(), IpcError> {
    let refuse = |key: &str, message: String| Err(refuse(key, &message, origins));
    if let Some(problem) = endpoint(&config.endpoint_path) {
        return refuse("endpoint_path", problem);
    }
    for (key, value, range, unit) in RULES {
        let value = value(config);
        if !range.contains(&value) {
            return refuse(
                key,
                format!("{value} is not allowed; {}", whole(range, unit)),
            );
        }
    }
    let mut problems = config.socket.problems();
    problems.append(&mut config.peers.problems());
    if let Some((key, problem)) = problems.into_iter().next() {
        return refuse(key, problem);
    }
    let multiplier = config.reconnect.multiplier;
    if !(1.0..=100.0).contains(&multiplier) {
        let message = format!("{multiplier} is not allowed; {MULTIPLIER}");
        return refuse("reconnect.multiplier", message);
    }
    let (first, last) = (
        config.reconnect.initial_backoff_ms,
        config.reconnect.max_backoff_ms,
    );
    if first > last {
        let message = format!("{last} is below reconnect.initial_backoff_ms, which is {first}");
        return refuse("reconnect.max_backoff_ms", message);
    }
    Ok(())
}

fn refuse(key: &str, message: &str, origins: &Origins) -> IpcError {
    match origins.get(key) {
        Some(origin) => wrong(Some(origin.clone()), message),
        None => wrong(None, format!("ipc.{key}: {message}")),
    }
}

/// What is wrong with `path` as an endpoint.
#[cfg(windows)]
pub(crate) fn endpoint(path: &Path) -> Option<String> {
    const ROOT: &str = r"\\.\pipe\";
    let shown = path.display();
    let text = path.as_os_str().as_encoded_bytes();
    if text.len() > MAX_ENDPOINT_BYTES {
        return Some(format!(
            "the name is {} bytes long, and a pipe's has at most {MAX_ENDPOINT_BYTES}: use a shorter one (`{shown}`)",
            text.len(),
        ));
    }
    let name = path.to_str().and_then(|text| text.strip_prefix(ROOT));
    match name {
        Some(name) if !name.is_empty() && !name.ends_with('\\') => {
            let odd = name.contains(['/', '\0']);
            odd.then(|| format!("`{shown}` has a character that no pipe's name has"))
        }
        _ => Some(format!(
            "`{shown}` does not name a pipe, which begins with {ROOT}: use a name such as {}",
            super::DEFAULT_ENDPOINT
        )),
    }
}

/// What is wrong with `path` as an endpoint.
#[cfg(not(windows))]
fn endpoint(path: &Path) -> Option<String> {
    let text = path.as_os_str().as_encoded_bytes();
    if text.len() > MAX_ENDPOINT_BYTES {
        return Some(format!(
            "the path is {} bytes long, and a socket's path has at most {MAX_ENDPOINT_BYTES}: use a shorter one \
             (`{}`)",
            text.len(),
            path.display()
        ));
    }
    if path.file_name().is_none() || text.ends_with(b"/") {
        return Some(format!(
            "`{}` does not name a socket: use a path such as {}",
            path.display(),
            super::DEFAULT_ENDPOINT
        ));
    }
    if !path.is_absolute() {
        return Some(format!(
            "`{}` is relative, and would be another socket in another working directory: use an absolute path",
            path.display()
        ));
    }
    text.contains(&0)
        .then(|| "the path holds a NUL byte".to_owned())
}

/// The one place where errors of this module are made.
pub(super) fn wrong(location: Option<String>, message: impl Into<String>) -> IpcError {
    IpcError::Config {
        message: message.into(),
        location,
    }
}

#[cfg(test)]
pub(super) fn ruled_keys() -> Vec<&'static str> {
    let others = [
        "endpoint_path",
        "crc32_variant",
        "reconnect.multiplier",
        "socket.mode",
        "socket.group",
        "socket.directory_mode",
        "socket.directory_policy",
        "peers.allow",
        "peers.trust",
    ];
    RULES.iter().map(|(key, ..)| *key).chain(others).collect()
}
