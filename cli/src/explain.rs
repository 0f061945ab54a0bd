//! From an error to its cause and the next thing to try, in the words of whoever has to fix it.
//!
//! **Invariant**: every error of the runtime has an entry; the last arm serves only kinds that are
//! added later, and still says what happened.

use std::path::Path;

use daemoneye_ipc::{Code, IpcError, Status, wire::Crc32Variant};

use crate::{endpoint::Survey, format, process};

/// Why something failed, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Explanation {
    /// What went wrong.
    pub(crate) cause: String,
    /// The next thing to try.
    pub(crate) hint: String,
}

impl Explanation {
    /// From its two halves.
    pub(crate) fn new(cause: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            hint: hint.into(),
        }
    }
}

/// What is known of the place where something failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    /// The endpoint.
    pub(crate) endpoint: &'a Path,
    /// What is at its path, as far as it was looked at.
    pub(crate) survey: Option<&'a Survey>,
    /// The process that answered `connect`, as the kernel knows it.
    pub(crate) server: Option<u32>,
    /// The checksum that this side uses.
    pub(crate) crc: Crc32Variant,
}

/// One short phrase for the result column.
pub(crate) fn headline(error: &IpcError) -> String {
    match error {
        IpcError::Timeout | IpcError::ConnectionTimeout { .. } => "timeout".into(),
        IpcError::TooLarge { .. } => "too large".into(),
        IpcError::CrcMismatch { .. } => "checksum mismatch".into(),
        IpcError::ServerNotFound { .. } => "not found".into(),
        IpcError::ConnectionRefused { .. } => "connection refused".into(),
        IpcError::PermissionDenied { .. } => "permission denied".into(),
        IpcError::PeerNotTrusted { user, .. } => format!("untrusted owner ({user})"),
        IpcError::PeerClosed => "connection closed".into(),
        IpcError::Busy { .. } => "server is full".into(),
        IpcError::CircuitBreakerOpen { .. } => "circuit breaker open".into(),
        IpcError::SchemaMismatch { .. } => "schema mismatch".into(),
        IpcError::Status(status) => status.code().to_string(),
        other => other.to_string(),
    }
}

/// How to run this program as `user`, who is named as errors name users.
fn run_as(user: &str) -> String {
    match user.strip_prefix("uid ") {
        Some(uid) => format!("sudo -u '#{uid}' daemoneye-cli …"),
        None => format!("runas /user:NAME daemoneye-cli …, where NAME is that of {user}"),
    }
}

/// Cause and next step of `error` at `scene`.
pub(crate) fn explain(error: &IpcError, scene: Scene<'_>) -> Explanation {
    let endpoint = format::shell(&scene.endpoint.display().to_string());
    match error {
        IpcError::ServerNotFound { .. } => not_found(scene),
        IpcError::ConnectionRefused { .. } => refused(scene.endpoint),
        IpcError::PermissionDenied { reason, .. } => match reason {
            Some(reason) => not_let_in(reason),
            None => permission_denied(scene),
        },
        IpcError::ConnectionTimeout { .. } | IpcError::Timeout => timeout(scene),
        IpcError::PeerNotTrusted { user, reason, .. } => untrusted(user, reason, &endpoint),
        IpcError::CrcMismatch { .. } => crc_mismatch(scene, None),
        IpcError::TooLarge { size, max_size } => Explanation::new(
            format!("a message of {size} bytes is over the limit of {max_size}"),
            "raise max_frame_bytes in the configuration of both sides, or send less at a time",
        ),
        IpcError::PeerClosed => closed(),
        IpcError::Busy { reason } => busy(reason),
        IpcError::CircuitBreakerOpen { retry_in } => Explanation::new(
            "the last attempts to connect all failed, so none is made for now",
            format!(
                "try again in {} ms, and see the errors before this one",
                retry_in.as_millis()
            ),
        ),
        IpcError::SchemaMismatch {
            service,
            local_revision,
            remote_revision,
            local_fingerprint,
            remote_fingerprint,
        } => schema_mismatch(
            service,
            (*local_revision, *local_fingerprint),
            (*remote_revision, *remote_fingerprint),
        ),
        IpcError::Config { .. } => Explanation::new(
            error.to_string(),
            "correct the setting that the message names",
        ),
        IpcError::Endpoint { reason, .. } => Explanation::new(
            reason.clone(),
            "correct what is at the path, or choose another endpoint",
        ),
        IpcError::Status(status) => explain_status(status),
        IpcError::Protocol { .. } | IpcError::InvalidLength { .. } | IpcError::Decode(_) => {
            foreign(&error.to_string(), &endpoint)
        }
        other => Explanation::new(
            with_sources(other),
            format!("see what serves {endpoint} and its log, then try again"),
        ),
    }
}

/// What a status that ended a call means to the caller.
pub(crate) fn explain_status(status: &Status) -> Explanation {
    let hint = match status.code() {
        Code::Unimplemented => {
            "the server does not serve this method: compare its version with this program's"
        }
        Code::Unavailable => "the server is starting or draining: try again in a moment",
        Code::ResourceExhausted => {
            "the server is at a limit: try again later, or raise the limit that the message names"
        }
        Code::PermissionDenied | Code::Unauthenticated => {
            "run as the server's user, or let this user into its policy"
        }
        Code::DeadlineExceeded => {
            "the server is slow or overloaded: allow more with --timeout, and look at its load"
        }
        Code::FailedPrecondition => {
            "bring the two programs to the same release, or do what the message asks for"
        }
        Code::InvalidArgument => "correct the request as the message says",
        Code::Internal | Code::Unknown | Code::DataLoss => {
            "the server's log says more than the answer does"
        }
        _ => "the message says what the server needs",
    };
    Explanation::new(format!("the server answered {status}"), hint)
}

/// What the words with which a server turned a connection away mean.
pub(crate) fn explain_goaway(code: Code, reason: &str, scene: Scene<'_>) -> Explanation {
    match code {
        Code::ResourceExhausted => busy(reason),
        Code::PermissionDenied => Explanation::new(
            format!("the server does not let this user in: {reason}"),
            "run as the server's user, or let this user into the server's policy",
        ),
        Code::DataLoss => {
            let mut why = crc_mismatch(scene, None);
            why.cause = format!("{}; the server says: {reason}", why.cause);
            why
        }
        Code::FailedPrecondition => Explanation::new(
            format!("the server speaks another version of the protocol: {reason}"),
            "bring this program and the server to the same release",
        ),
        Code::DeadlineExceeded => Explanation::new(
            format!("the server gave up waiting for this side: {reason}"),
            "this machine is overloaded, or this program was stopped: try again",
        ),
        Code::Ok => Explanation::new(
            "the server is shutting down",
            "start it again, or wait until it has restarted",
        ),
        _ => Explanation::new(
            format!("the server turned the connection away with {code}: {reason}"),
            "the server's log says more",
        ),
    }
}

/// The two sides compute checksums differently. `theirs` is what the server was seen to use.
pub(crate) fn crc_mismatch(scene: Scene<'_>, theirs: Option<Crc32Variant>) -> Explanation {
    let other = theirs.unwrap_or(scene.crc.other());
    let set = format!("DAEMONEYE_IPC_CRC32_VARIANT={other}");
    match theirs {
        Some(theirs) => Explanation::new(
            format!(
                "CRC variant mismatch: this side uses {}, the server uses {theirs}",
                scene.crc
            ),
            format!("set crc32_variant: {theirs} in the configuration, or run with {set}"),
        ),
        None => Explanation::new(
            format!(
                "checksums do not match: most often the CRC variant differs (this side uses {})",
                scene.crc
            ),
            format!("run again with {set}; if that works, configure both sides alike"),
        ),
    }
}

/// Something answers, and it does not speak this protocol.
pub(crate) fn foreign(what: &str, endpoint: &str) -> Explanation {
    Explanation::new(
        format!("what came back is not this protocol: {what}"),
        format!(
            "see which program serves the path (fuser -v {endpoint}) and whether it is the one you mean"
        ),
    )
}

/// Client and server were built from schemas that are not known to be compatible; each side with its
/// revision and fingerprint.
pub(crate) fn schema_mismatch(service: &str, ours: (u32, u64), theirs: (u32, u64)) -> Explanation {
    let side = |(revision, fingerprint): (u32, u64)| match revision {
        0 => format!("an unreleased schema ({fingerprint:016x})"),
        revision => format!("revision {revision} ({fingerprint:016x})"),
    };
    Explanation::new(
        format!(
            "the schemas of {service} differ: this side has {}, the server {}",
            side(ours),
            side(theirs)
        ),
        "rebuild both programs from the same schemas, or release compatible revisions",
    )
}

/// The connection ended without a word.
pub(crate) fn closed() -> Explanation {
    Explanation::new(
        "the server closed the connection without a word: it is ending, or it was killed",
        "look at the server's log and whether it restarts, then try again",
    )
}

fn busy(reason: &str) -> Explanation {
    Explanation::new(
        format!("the server holds as many connections as it may: {reason}"),
        "close idle clients or wait for one to end; the server's max_connections raises the limit",
    )
}

fn not_found(scene: Scene<'_>) -> Explanation {
    if let Some(why) = scene.survey.and_then(Survey::explain_missing) {
        return why;
    }
    Explanation::new(
        "nothing is at the endpoint's path",
        format!(
            "start the server ({}), or name another path with --endpoint",
            start_command(scene.endpoint)
        ),
    )
}

fn refused(endpoint: &Path) -> Explanation {
    Explanation::new(
        "the socket file is there and nobody listens on it: its server has ended without cleaning up",
        format!(
            "start the server again, it replaces a dead server's socket by itself: {}",
            start_command(endpoint)
        ),
    )
}

/// What starts the daemon that, by its name, belongs at `endpoint`.
pub(crate) fn start_command(endpoint: &Path) -> String {
    let is_agent = endpoint
        .file_stem()
        .is_some_and(|stem| stem.to_string_lossy().contains("agent"));
    let daemon = if is_agent {
        "daemoneye-agent"
    } else {
        "procmond"
    };
    format!(
        "{daemon} --endpoint {}",
        format::shell(&endpoint.display().to_string())
    )
}

fn not_let_in(reason: &str) -> Explanation {
    Explanation::new(
        format!("the server's policy: {}", format::plain(reason)),
        "run as a user whom it lets in, or name this one in `peers.allow` of the server's settings",
    )
}

fn untrusted(user: &str, reason: &str, endpoint: &str) -> Explanation {
    Explanation::new(
        format!("the process that serves this socket runs as {user}: {reason}"),
        format!(
            "make sure that it is the server you mean (fuser -v {endpoint}), then run this as its user: {}",
            run_as(user)
        ),
    )
}

fn permission_denied(scene: Scene<'_>) -> Explanation {
    if let Some(why) = scene.survey.and_then(Survey::explain_denied) {
        return why;
    }
    Explanation::new(
        "this user may not open the socket, or the server's policy does not let it in",
        "run as the server's user, or let this user into its policy",
    )
}

/// The server, process `scene.server` if that is known, did not answer in time.
pub(crate) fn timeout(scene: Scene<'_>) -> Explanation {
    let Some(pid) = scene.server else {
        return Explanation::new(
            "the server did not answer in time: it is stopped, overloaded, or waiting for something itself",
            "look at the server's load and log; allow more time with --timeout",
        );
    };
    let name = process::name(pid)
        .map(|name| format!(" ({})", format::plain(&name)))
        .unwrap_or_default();
    if process::is_stopped(pid) {
        return Explanation::new(
            format!("the server, process {pid}{name}, is stopped (SIGSTOP or a debugger)"),
            format!("let it go on: kill -CONT {pid}"),
        );
    }
    Explanation::new(
        format!(
            "process {pid}{name} listens there and does not answer: it is overloaded, hangs, or is no DaemonEye server"
        ),
        format!(
            "see what it does (ps -o stat,wchan:30,cmd -p {pid}) and its log; allow more time with --timeout"
        ),
    )
}

/// An error with its sources on one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use super::*;

    fn scene(server: Option<u32>) -> Scene<'static> {
        Scene {
            endpoint: Path::new("/run/a b/x.sock"),
            survey: None,
            server,
            crc: Crc32Variant::Ieee,
        }
    }

    fn errors() -> Vec<IpcError> {
        let endpoint = || "/run/a b/x.sock".to_owned();
        vec![
            IpcError::Timeout,
            IpcError::TooLarge {
                size: 2,
                max_size: 1,
            },
            IpcError::CrcMismatch {
                expected: 1,
                actual: 2,
            },
            IpcError::Io(io::Error::other("the cable is out")),
            IpcError::PeerClosed,
            IpcError::InvalidLength { length: 0 },
            IpcError::ServerNotFound {
                endpoint: endpoint(),
            },
            IpcError::ConnectionRefused {
                endpoint: endpoint(),
            },
            IpcError::PermissionDenied {
                endpoint: endpoint(),
                reason: None,
            },
            IpcError::PermissionDenied {
                endpoint: endpoint(),
                reason: Some("uid 7 is not meant\n".into()),
            },
            IpcError::ConnectionTimeout {
                endpoint: endpoint(),
            },
            IpcError::CircuitBreakerOpen {
                retry_in: Duration::from_millis(20),
            },
            IpcError::Busy {
                reason: "16 of 16 connections".into(),
            },
            IpcError::SchemaMismatch {
                service: "a.v1.A".into(),
                local_revision: 1,
                remote_revision: 2,
                local_fingerprint: 3,
                remote_fingerprint: 4,
            },
            IpcError::PeerNotTrusted {
                endpoint: endpoint(),
                user: "uid 77".into(),
                reason: "neither root nor this user".into(),
            },
            IpcError::Protocol {
                reason: "a second HELLO".into(),
            },
            IpcError::Config {
                message: "zero is no size".into(),
                location: Some("ipc.yaml:3".into()),
            },
            IpcError::Status(Status::unimplemented("no such method")),
        ]
    }

    #[test]
    fn the_catalogue() {
        let mut text = String::new();
        for error in errors() {
            let Explanation { cause, hint } = explain(&error, scene(None));
            text.push_str(&format!(
                "{}\n  cause {cause}\n  try   {hint}\n",
                headline(&error)
            ));
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_timeout_names_the_process_that_does_not_answer() {
        let me = std::process::id();
        let why = explain(&IpcError::Timeout, scene(Some(me)));
        assert!(why.cause.contains(&format!("process {me}")), "{why:?}");
        assert!(!why.cause.contains("stopped (SIGSTOP"), "{why:?}");
    }

    #[test]
    fn a_known_checksum_is_named_with_the_setting() {
        let why = crc_mismatch(scene(None), Some(Crc32Variant::Castagnoli));
        assert!(
            why.cause.contains("uses ieee, the server uses castagnoli"),
            "{why:?}"
        );
        assert!(
            why.hint.contains("DAEMONEYE_IPC_CRC32_VARIANT=castagnoli"),
            "{why:?}"
        );
    }

    #[test]
    fn every_reason_to_be_turned_away_has_its_own_words() {
        for code in (0..=16).map(Code::from_number) {
            let why = explain_goaway(code, "16 of 16", scene(None));
            assert!(!why.hint.is_empty());
            assert!(
                code == Code::Ok || why.cause.contains("16 of 16"),
                "{code}: {why:?}"
            );
        }
    }
}
