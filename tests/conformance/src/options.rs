//! The command line, and how it changes the configuration.
//!
//! **Invariant**: a flag that is given wins over file and environment; one that is not changes nothing.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use daemoneye_ipc::{IpcConfig, IpcError, wire::Crc32Variant};
use ipc_conformance::{check::Check, vectors::Limits};

const EXIT_CODES: &str = "\
Exit codes: 0 all vectors passed, 1 the server failed some, 2 wrong usage or no server.

The server must serve daemoneye.conformance.v1.Conformance, and nobody else may use it meanwhile.";

/// Tests implementations of the DaemonEye IPC wire contract.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the conformance service; prints `ready PATH`, drains on SIGTERM and Ctrl-C.
    Serve(Serve),
    /// Hold a server to the contract: play the vectors with it, over a client made by hand.
    #[command(after_help = EXIT_CODES)]
    Check(CheckArgs),
    /// Print the vectors as JSON; docs/conformance.md describes it.
    Vectors(VectorsArgs),
    /// Call two servers for a while as they die, stop and are intruded upon; ends with a table of what was lost,
    /// doubled and leaked. Exit code 1 if anything was.
    #[cfg(target_os = "linux")]
    Soak(SoakArgs),
}

/// Arguments of `soak`.
#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
pub(crate) struct SoakArgs {
    /// How long, in seconds: minutes for a change, hours for a release.
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: u64,
    /// Callers at once, of each of the two servers.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) callers: u16,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Path of the server's socket.
    #[arg(long, value_name = "PATH", required_unless_present = "list")]
    endpoint: Option<PathBuf>,
    /// Checksum variant: ieee or castagnoli.
    #[arg(long, value_name = "VARIANT", default_value_t)]
    crc: Crc32Variant,
    /// Play these vectors alone.
    #[arg(long, value_name = "ID", num_args = 1..)]
    only: Vec<String>,
    /// Show the vectors, and play none.
    #[arg(long)]
    pub(crate) list: bool,
    /// How to report: lines as the vectors are played, or one JSON object at the end.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: Format,
    /// The longest that one vector may take.
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    timeout_ms: u64,
}

/// How to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

impl CheckArgs {
    pub(crate) fn check(self) -> Check {
        Check {
            endpoint: self.endpoint.unwrap_or_default(),
            crc: self.crc,
            only: self.only,
            time: Duration::from_millis(self.timeout_ms),
        }
    }
}

/// Arguments of `vectors`: what the server announces that they are for.
#[derive(Debug, Args)]
pub(crate) struct VectorsArgs {
    /// Checksum variant: ieee or castagnoli.
    #[arg(long, value_name = "VARIANT", default_value_t)]
    crc: Crc32Variant,
    /// Largest frame payload.
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_frame_bytes, value_parser = clap::value_parser!(u32).range(1..))]
    max_frame_bytes: u32,
    /// Calls in flight on one connection.
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_calls, value_parser = clap::value_parser!(u32).range(1..))]
    max_calls: u32,
    /// Bytes granted at the start of each stream that a client sends.
    #[arg(long, value_name = "N", default_value_t = Limits::default().stream_credit)]
    stream_credit: u32,
}

impl VectorsArgs {
    pub(crate) const fn limits(&self) -> Limits {
        Limits {
            crc: self.crc,
            max_frame_bytes: self.max_frame_bytes,
            max_calls: self.max_calls,
            stream_credit: self.stream_credit,
        }
    }
}

/// Arguments of `serve`.

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Path of the socket.
    #[arg(long, value_name = "PATH")]
    endpoint: PathBuf,
    /// YAML file with an `ipc:` section.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Largest frame payload.
    #[arg(long, value_name = "N")]
    max_frame_bytes: Option<usize>,
    /// Connections at once.
    #[arg(long, value_name = "N")]
    max_connections: Option<usize>,
    /// Calls in flight on one connection.
    #[arg(long, value_name = "N")]
    max_calls: Option<usize>,
    /// Time for a frame that has begun.
    #[arg(long, value_name = "N")]
    read_timeout_ms: Option<u64>,
    /// Time in which a peer has to take a byte.
    #[arg(long, value_name = "N")]
    write_timeout_ms: Option<u64>,
    /// Time from accept to HELLO.
    #[arg(long, value_name = "N")]
    handshake_timeout_ms: Option<u64>,
    /// Time for calls in flight when the server shuts down.
    #[arg(long, value_name = "N")]
    drain_timeout_ms: Option<u64>,
    /// Bytes granted at the start of each stream that a client sends.
    #[arg(long, value_name = "N")]
    stream_credit: Option<usize>,
    /// Memory for requests, encoded and decoded, on all connections.
    #[arg(long, value_name = "N")]
    decode_memory_bytes: Option<usize>,
    /// Checksum variant: ieee or castagnoli.
    #[arg(long, value_name = "VARIANT")]
    crc: Option<Crc32Variant>,
    /// Users that may connect beside the server's own and root.
    #[arg(long, value_name = "N", num_args = 1..)]
    pub(crate) allow_uid: Option<Vec<u32>>,
}

impl Serve {
    pub(crate) fn config(&self) -> Result<IpcConfig, IpcError> {
        let mut config = IpcConfig::load(self.config.as_deref())?;
        config.endpoint_path.clone_from(&self.endpoint);
        let limits = &mut config.limits;
        set(&mut limits.max_calls, self.max_calls);
        set(&mut limits.handshake_timeout_ms, self.handshake_timeout_ms);
        set(&mut limits.drain_timeout_ms, self.drain_timeout_ms);
        set(&mut limits.stream_credit_bytes, self.stream_credit);
        set(&mut limits.decode_memory_bytes, self.decode_memory_bytes);
        set(&mut config.max_frame_bytes, self.max_frame_bytes);
        set(&mut config.max_connections, self.max_connections);
        set(&mut config.read_timeout_ms, self.read_timeout_ms);
        set(&mut config.write_timeout_ms, self.write_timeout_ms);
        set(&mut config.crc32_variant, self.crc);
        config.validate()?;
        Ok(config)
    }
}

fn set<T: Copy>(setting: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *setting = value;
    }
}
