//! Who called what, and how it ended: one record per call.
//!
//! **Invariant**: a record holds what the kernel and the schema say, and nothing that the peer wrote.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

use super::ended;
use crate::{
    server::{InterceptedCall, Next, Response, ServerInterceptor},
    status::{Code, Status},
    transport::User,
};

/// An interceptor that reports every call to a server when it is over.
///
/// Added first, it sees what all others let through and what they reject. [`AuditLog::default`] writes to
/// `tracing`, at level INFO and with the target `daemoneye_ipc::audit`; [`AuditLog::new`] to wherever you
/// say.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
/// # let builder = daemoneye_ipc::Server::builder(daemoneye_ipc::IpcConfig::default());
/// # let builder = builder.health(daemoneye_ipc::health::HealthReporter::new());
/// # let server = daemoneye_ipc::testing::TestServer::start(builder)?;
/// use std::sync::mpsc;
/// use daemoneye_ipc::{IpcConfig, Server, health::HealthReporter, observe::AuditLog, testing::TestServer};
/// use daemoneye_ipc::schema::health::v1::{HealthClient, PingRequest};
///
/// let (sink, records) = mpsc::channel();
/// let audit = AuditLog::new(move |record| drop(sink.send(record.clone())));
/// let builder = Server::builder(IpcConfig::default()).health(HealthReporter::new()).interceptor(audit);
/// let server = TestServer::start(builder)?;
/// HealthClient::new(server.channel()).ping(PingRequest::default()).await?;
/// let record = records.recv()?;
/// assert_eq!((record.method, record.code), ("/daemoneye.health.v1.Health/Ping", "OK"));
/// # Ok(()) })
/// # }
/// ```
pub struct AuditLog {
    sink: Box<dyn Fn(&AuditRecord) + Send + Sync>,
}

/// One call. Serializes with the names of its fields.
///
/// ```
/// use daemoneye_ipc::observe::AuditLog;
/// // One line of JSON per call:
/// let audit = AuditLog::new(|record| {
///     if let Ok(line) = serde_json::to_string(record) {
///         eprintln!("{line}");
///     }
/// });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AuditRecord {
    /// When the call was over, in milliseconds since 1970 UTC, on the system's clock.
    pub time_unix_ms: u64,
    /// Number of the connection; the server counts them from 1.
    pub connection: u64,
    /// Id of the call on its connection.
    pub call: u64,
    /// User of the caller. Serializes as a number on Unix.
    pub user: User,
    /// Process id of the caller when it connected.
    pub pid: Option<i32>,
    /// `/<full service name>/<Method name>`.
    pub method: &'static str,
    /// Name of the status code; a call that was stopped before it had one gets CANCELLED,
    /// DEADLINE_EXCEEDED or UNAVAILABLE.
    pub code: &'static str,
    /// Time from the CALL to its end, in microseconds.
    pub duration_us: u64,
    /// Bytes of the request; `None` for a stream of requests.
    pub request_bytes: Option<usize>,
    /// Messages of the response.
    pub response_messages: u64,
}

impl fmt::Display for AuditRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            user, method, code, ..
        } = self;
        let time = Duration::from_micros(self.duration_us);
        write!(f, "{user} ")?;
        if let Some(pid) = self.pid {
            write!(f, "(pid {pid}) ")?;
        }
        write!(f, "{method} {code} in {time:?}")
    }
}

impl AuditLog {
    /// Reports to `sink`, which is called on the task of each call and has to be quick.
    pub fn new(sink: impl Fn(&AuditRecord) + Send + Sync + 'static) -> Self {
        Self {
            sink: Box::new(sink),
        }
    }
}

impl Default for AuditLog {
    fn default() -> Self {
        Self::new(|record| {
            tracing::info!(
                target: "daemoneye_ipc::audit",
                connection = record.connection,
                call = record.call,
                user = %record.user,
                pid = record.pid,
                method = record.method,
                code = record.code,
                duration_us = record.duration_us,
                request_bytes = record.request_bytes,
                response_messages = record.response_messages,
                "call"
            );
        })
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog").finish_non_exhaustive()
    }
}

impl ServerInterceptor for AuditLog {
    async fn intercept(&self, call: &InterceptedCall, next: Next<'_>) -> Result<Response, Status> {
        let peer = call.context().peer();
        ended::serve(call, next, |ended| {
            (self.sink)(&AuditRecord {
                time_unix_ms: unix_ms(),
                connection: call.connection(),
                call: call.id(),
                user: peer.user(),
                pid: peer.pid,
                method: call.context().method().path,
                code: Code::name(ended.code),
                duration_us: u64::try_from(ended.time.as_micros()).unwrap_or(u64::MAX),
                request_bytes: call.request().map(bytes::Bytes::len),
                response_messages: ended.messages,
            });
        })
        .await
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
