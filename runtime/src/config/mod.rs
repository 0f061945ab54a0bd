//! The settings of a server or client: their defaults, and from where they are read.
//!
//! **Invariant**: every limit is finite by default, and a configuration that came through
//! [`IpcConfig::load`] or [`IpcConfig::from_yaml`] holds no value that [`IpcConfig::validate`] refuses.

mod check;
mod endpoint;
mod env;
mod yaml;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::check::Origins;
#[cfg(windows)]
pub(crate) use self::check::endpoint as check_endpoint;
#[cfg(unix)]
pub(crate) use self::endpoint::group;
pub use self::endpoint::{DirectoryPolicy, PeersConfig, SocketConfig};
use crate::{
    error::IpcError,
    wire::{Crc32Variant, DEFAULT_MAX_FRAME_BYTES},
};

/// Where the server listens unless told otherwise.
#[cfg(not(windows))]
pub const DEFAULT_ENDPOINT: &str = "/var/run/daemoneye/procmond.sock";

/// Where the server listens unless told otherwise.
#[cfg(windows)]
pub const DEFAULT_ENDPOINT: &str = r"\\.\pipe\daemoneye\procmond";

/// Longest socket path in bytes: what `sun_path` holds besides the final NUL.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub const MAX_ENDPOINT_BYTES: usize = 107;

/// Longest socket path in bytes: what `sun_path` holds besides the final NUL.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
pub const MAX_ENDPOINT_BYTES: usize = 103;

/// Longest name of a pipe in bytes of its UTF-8 form, `\\.\pipe\` included (CreateNamedPipe: 256
/// characters).
#[cfg(windows)]
pub const MAX_ENDPOINT_BYTES: usize = 256;

/// All settings of one endpoint. Client and server use the same structure; what only one of them
/// needs is said at the field.
///
/// As a section of a YAML file, every key may be left out:
///
/// ```
/// # use daemoneye_ipc::IpcConfig;
/// let config = IpcConfig::from_yaml(
///     "
/// ipc:
///   endpoint_path: /run/daemoneye/procmond.sock
///   max_frame_bytes: 2097152
///   limits:
///     max_calls: 64
/// other_section_of_the_same_file: ignored
/// ",
///     "daemoneye.yaml",
/// )?;
/// assert_eq!(config.limits.max_calls, 64);
/// assert_eq!(config.read_timeout_ms, 30_000);
/// # Ok::<(), daemoneye_ipc::IpcError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IpcConfig {
    /// Path of the Unix socket, or name of the Windows pipe. Default [`DEFAULT_ENDPOINT`]; at most
    /// [`MAX_ENDPOINT_BYTES`] long, because the operating system's address holds no more.
    pub endpoint_path: PathBuf,
    /// Largest frame payload in bytes that this side accepts. Default 1 MiB: a list of all processes
    /// of a large machine fits, and a peer cannot make this side hold more per frame.
    pub max_frame_bytes: usize,
    /// Milliseconds for a frame that has begun to arrive whole, for the answer to a PING, and for a
    /// unary call that sets no timeout. Default 30,000: longer than any pause of a healthy machine.
    pub read_timeout_ms: u64,
    /// Milliseconds in which a peer has to take at least one byte while there is something to write.
    /// Default 10,000: a peer that reads nothing for so long is stuck.
    pub write_timeout_ms: u64,
    /// Microseconds for which a side that waits for the other looks at the socket before it sleeps, while exactly one call
    /// is in flight, unary or a response stream; 0 for never. Default 20, in which a small call is answered between two cores that are awake. A look
    /// lasts up to 160 where the last one found something after 10 to 80, and where the other side may have to be woken
    /// first: after four such looks in vain there is none for 64 waits of a client, or 152 of a server. Never done on a
    /// machine with one core.
    pub spin_us: u64,
    /// Connections that a server holds at once. Default 16: some local tools, each with one connection. Some of them
    /// are kept: see [`LimitsConfig::reserved_connections`].
    pub max_connections: usize,
    /// Checksum of the frames; must be the same on both sides. Default `ieee`.
    pub crc32_variant: Crc32Variant,
    /// The server's socket and its directory.
    pub socket: SocketConfig,
    /// Who may be at the other end.
    pub peers: PeersConfig,
    /// Limits on what peers may use.
    pub limits: LimitsConfig,
    /// How a client connects and comes back.
    pub reconnect: ReconnectConfig,
    /// When a client stops trying for a while.
    pub circuit_breaker: CircuitBreakerConfig,
}

/// Limits on what peers may use.
///
/// ```
/// use daemoneye_ipc::{IpcConfig, config::LimitsConfig};
/// let mut config = IpcConfig::new("/run/app/app.sock");
/// config.limits = LimitsConfig { max_calls: 64, drain_timeout_ms: 3_000, ..LimitsConfig::default() };
/// assert!(config.validate().is_ok());
/// config.limits.max_calls = 0;
/// assert!(config.validate().unwrap_err().to_string().contains("max_calls"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Milliseconds from accept, or connect, to a complete handshake. Default 5,000: the handshake is
    /// one small frame each way, and one who does not send it holds a connection for no longer.
    pub handshake_timeout_ms: u64,
    /// Calls in flight that this side allows on one connection. Default 256: enough to keep both ends
    /// busy, and a bound on the handlers that one peer can occupy.
    pub max_calls: usize,
    /// Bytes that the peer may send on each stream before the application has read any. Default
    /// 256 KiB: what a local round trip at full speed needs. A client lets a stream that is alone on its connection, and is read
    /// as fast as it comes, have up to four times as many, and one beside other calls half.
    pub stream_credit_bytes: usize,
    /// Pairs of metadata with one call or status. Default 64: metadata is for trace ids and the like.
    pub max_metadata_entries: usize,
    /// Bytes of metadata, keys and values, with one call or status. Default 8 KiB, for the same reason.
    pub max_metadata_bytes: usize,
    /// Milliseconds that calls in flight have to finish when a server shuts down, where the program
    /// does not say otherwise. Default 10,000: service managers kill after some more.
    pub drain_timeout_ms: u64,
    /// Bytes queued to be written to one connection, above which new calls on it are refused. Default
    /// 4 MiB: some frames of the largest size.
    pub max_queued_bytes: usize,
    /// Of a server's connections, those that only its own user and root may take, where others are let in. Default 2:
    /// one who looks what is wrong with a full server, and a program that watches it. At least one connection is left
    /// to the others.
    pub reserved_connections: usize,
    /// Connections that one user may hold of a server's. Default 65,536, which is all of them: who is let in is
    /// trusted with that, and a server with many users sets less.
    pub max_connections_per_uid: usize,
    /// Connections of a server that have not said HELLO yet. Default 64: no client takes long, and one who opens
    /// connections and says nothing holds so many of a large server at most.
    pub max_handshakes: usize,
    /// Calls in flight on all connections of a server, beyond the first 8 of each, which are never refused for this.
    /// Default 1,024: four busy connections.
    pub max_total_calls: usize,
    /// Bytes queued to be written on all connections of a server, above which those that hold some of them get no more
    /// calls and responses. Default 64 MiB: `max_queued_bytes` for each of 16 connections.
    pub max_total_queued_bytes: usize,
    /// Bytes of memory for requests on all connections of a server: the bytes that came, what they take once they are
    /// decoded, and the credit of request streams; requests of up to 4 KiB are not counted. A call that does not
    /// fit is refused before it is decoded. On a client, the same for each response. Default 128 MiB: a hundred requests of the largest
    /// size, or one that is a hundred times as large in memory.
    pub decode_memory_bytes: usize,
    /// Messages inside of each other, in a request or response, the outermost included. Default 32: schemas that people
    /// write are flatter, and what walks a message recursively needs stack for each level. At most 100, which is where
    /// the decoder stops.
    pub max_nesting: u32,
}

/// How a client connects and comes back after a connection is lost. Each pause is drawn evenly between
/// zero and a ceiling that grows from `initial_backoff_ms` by `multiplier` to `max_backoff_ms`.
///
/// ```
/// use daemoneye_ipc::{IpcConfig, config::ReconnectConfig};
/// let mut config = IpcConfig::new("/run/app/app.sock");
/// // A client that waits long for its server:
/// config.reconnect = ReconnectConfig { max_backoff_ms: 500, max_attempts: 100, ..ReconnectConfig::default() };
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReconnectConfig {
    /// Milliseconds for one attempt to connect. Default 5,000: a local server that takes longer is
    /// stopped or overloaded.
    pub connect_timeout_ms: u64,
    /// Ceiling in milliseconds of the first pause. Default 20: a restarting daemon is back soon.
    pub initial_backoff_ms: u64,
    /// Ceiling in milliseconds of all later pauses. Default 2,000: the longest that a client stays away
    /// from a server that is back.
    pub max_backoff_ms: u64,
    /// Growth of the ceiling from one attempt to the next. Default 2.
    pub multiplier: f64,
    /// Attempts in a row for a call that waits for the server. Default 10: about ten seconds in all.
    pub max_attempts: u32,
}

/// When a client stops trying: after `failure_threshold` failures in a row no attempt is made for
/// `open_ms`, calls fail at once, and then a single attempt decides.
///
/// ```
/// use daemoneye_ipc::{IpcConfig, config::CircuitBreakerConfig};
/// let mut config = IpcConfig::new("/run/app/app.sock");
/// config.circuit_breaker = CircuitBreakerConfig { failure_threshold: 3, open_ms: 10_000 };
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CircuitBreakerConfig {
    /// Failed attempts in a row that open the circuit; 0 switches the breaker off. Default 5.
    pub failure_threshold: u32,
    /// Milliseconds for which the circuit stays open. Default 1,000: short, since a local attempt is
    /// cheap.
    pub open_ms: u64,
}

impl Default for IpcConfig {
    fn default() -> Self {
        Self {
            endpoint_path: DEFAULT_ENDPOINT.into(),
            max_frame_bytes: DEFAULT_MAX_FRAME_BYTES,
            read_timeout_ms: 30_000,
            write_timeout_ms: 10_000,
            spin_us: 20,
            max_connections: 16,
            crc32_variant: Crc32Variant::Ieee,
            socket: SocketConfig::default(),
            peers: PeersConfig::default(),
            limits: LimitsConfig::default(),
            reconnect: ReconnectConfig::default(),
            circuit_breaker: CircuitBreakerConfig::default(),
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            handshake_timeout_ms: 5_000,
            max_calls: 256,
            stream_credit_bytes: 256 << 10,
            max_metadata_entries: 64,
            max_metadata_bytes: 8 << 10,
            drain_timeout_ms: 10_000,
            max_queued_bytes: 4 << 20,
            reserved_connections: 2,
            max_connections_per_uid: 65_536,
            max_handshakes: 64,
            max_total_calls: 1_024,
            max_total_queued_bytes: 64 << 20,
            decode_memory_bytes: 128 << 20,
            max_nesting: 32,
        }
    }
}

impl Default for ReconnectConfig {
    fn default() -> Self {
        Self {
            connect_timeout_ms: 5_000,
            initial_backoff_ms: 20,
            max_backoff_ms: 2_000,
            multiplier: 2.0,
            max_attempts: 10,
        }
    }
}

impl Default for CircuitBreakerConfig {
    fn default() -> Self {
        Self {
            failure_threshold: 5,
            open_ms: 1_000,
        }
    }
}

impl IpcConfig {
    /// The defaults at another endpoint.
    #[must_use]
    pub fn new(endpoint_path: impl Into<PathBuf>) -> Self {
        Self {
            endpoint_path: endpoint_path.into(),
            ..Self::default()
        }
    }

    /// The defaults, then the `ipc:` section of the YAML file at `path` if one is given, then the
    /// `DAEMONEYE_IPC_*` environment variables; validated as a whole, so that a variable may correct
    /// the file.
    ///
    /// A key becomes a variable by its path in upper case: `limits.max_calls` is
    /// `DAEMONEYE_IPC_LIMITS_MAX_CALLS`.
    ///
    /// # Errors
    /// [`IpcError::Config`] with file, line and key, or with the variable, and with what is allowed:
    /// when the file cannot be read or is no YAML, for an unknown key or variable, and for a value of
    /// the wrong type or out of range.
    pub fn load(path: Option<&Path>) -> Result<Self, IpcError> {
        Self::load_with(path, std::env::vars_os())
    }

    /// [`IpcConfig::load`] from a YAML text instead of a file, without the environment. `source_name`
    /// stands in errors for the file's name.
    ///
    /// # Errors
    /// As [`IpcConfig::load`].
    pub fn from_yaml(text: &str, source_name: &str) -> Result<Self, IpcError> {
        let mut origins = Origins::default();
        let config = yaml::read(text, source_name, &mut origins)?;
        check::all(&config, &origins)?;
        Ok(config)
    }

    /// Lets the `DAEMONEYE_IPC_*` environment variables override this configuration.
    ///
    /// # Errors
    /// [`IpcError::Config`] that names the variable, if it is unknown, of the wrong type or out of range.
    pub fn apply_env(&mut self) -> Result<(), IpcError> {
        let mut origins = Origins::default();
        env::apply(self, std::env::vars_os(), &mut origins)?;
        check::all(self, &origins)
    }

    /// The keys of all settings, those of sections with a dot: `limits.max_calls`.
    #[must_use]
    pub fn setting_keys() -> Vec<String> {
        env::keys()
    }

    /// Checks that every value makes sense.
    ///
    /// # Errors
    /// [`IpcError::Config`] that names the key and what is allowed.
    pub fn validate(&self) -> Result<(), IpcError> {
        check::all(self, &Origins::default())
    }

    fn load_with(
        path: Option<&Path>,
        vars: impl Iterator<Item = env::Var>,
    ) -> Result<Self, IpcError> {
        let mut origins = Origins::default();
        let mut config = match path {
            Some(path) => {
                let name = path.display().to_string();
                let text = std::fs::read_to_string(path).map_err(|error| {
                    check::wrong(
                        Some(name.clone()),
                        format!("the file cannot be read: {error}"),
                    )
                })?;
                yaml::read(&text, &name, &mut origins)?
            }
            None => Self::default(),
        };
        env::apply(&mut config, vars, &mut origins)?;
        check::all(&config, &origins)?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests;
