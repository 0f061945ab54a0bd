//! The session: everything that is decided on a connection, as one state machine per side.
//!
//! Frames and times go in (`handle_*`), bytes to write, outcomes and the next deadline come out
//! (`poll_*`). The drivers in `client` and `server` move bytes and wake tasks; they decide nothing.
//!
//! **Invariant**: names no runtime, no socket, no clock: time is an argument. Each call ends exactly
//! once. No queue grows without a bound that follows from [`SessionConfig`].

mod batch;
mod client;
mod credit;
mod fault;
mod messages;
mod negotiate;
mod outbox;
mod pool;
mod server;
mod spin;
mod transmit;
mod vitals;
mod waiting;

use std::{hash::BuildHasherDefault, sync::Arc, time::Duration};

pub use self::{
    batch::{Batch, Room},
    client::{ClientSession, OpenCall},
    fault::{Fault, OpenError, Outcome},
    messages::Messages,
    negotiate::{Mismatch, SchemaPolicy},
    pool::Pool,
    server::{
        CallReport, Incoming, Interruption, MethodIndex, Registry, ServerSession, StartCall, Tally,
    },
    transmit::{Transmit, Written},
    vitals::PING_AFTER,
    waiting::Ticket,
};
pub(crate) use self::{
    credit::cost,
    messages::Front,
    pool::{CALL_BYTES, Reservation},
};
use crate::{
    config::IpcConfig,
    metadata::Metadata,
    wire::{Crc32Variant, DecodeLimits},
};

/// Identifies a call on its connection: chosen by the client, rising, never 0.
pub type CallId = u64;

/// The settings of one side of a connection.
///
/// ```
/// use daemoneye_ipc::{IpcConfig, session::SessionConfig};
/// let config = SessionConfig::from(&IpcConfig::default());
/// assert_eq!((config.max_frame_bytes, config.stream_credit), (1 << 20, 256 << 10));
/// ```
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// Checksum of the frames in both directions.
    pub crc: Crc32Variant,
    /// Largest frame payload that this side takes, in bytes.
    pub max_frame_bytes: usize,
    /// Calls in flight that this side allows on the connection.
    pub max_calls: u32,
    /// Bytes granted at the start of each stream that the peer sends.
    pub stream_credit: u32,
    /// Time for the handshake.
    pub handshake_timeout: Duration,
    /// Time for a frame that has begun, and for the answer to a PING.
    pub read_timeout: Duration,
    /// Time in which the peer has to take at least a byte.
    pub write_timeout: Duration,
    /// Time to look at the socket before a wait sleeps; zero for never.
    pub spin: Duration,
    /// Pairs of metadata per call.
    pub max_metadata_entries: usize,
    /// Bytes of metadata per call.
    pub max_metadata_bytes: usize,
    /// Bytes queued to be written above which new calls are refused.
    pub max_queued_bytes: usize,
    /// What one message of the peer's may take in memory once it is decoded.
    pub decode: DecodeLimits,
    /// What this connection shares with others: those with a clone of these settings.
    pub pool: Arc<Pool>,
    /// Program and version, for people.
    pub agent: String,
}

impl From<&IpcConfig> for SessionConfig {
    fn from(config: &IpcConfig) -> Self {
        let limits = &config.limits;
        Self {
            crc: config.crc32_variant,
            max_frame_bytes: config.max_frame_bytes,
            max_calls: u32::try_from(limits.max_calls).unwrap_or(u32::MAX),
            stream_credit: u32::try_from(limits.stream_credit_bytes).unwrap_or(u32::MAX),
            handshake_timeout: Duration::from_millis(limits.handshake_timeout_ms),
            read_timeout: Duration::from_millis(config.read_timeout_ms),
            write_timeout: Duration::from_millis(config.write_timeout_ms),
            spin: Duration::from_micros(config.spin_us),
            max_metadata_entries: limits.max_metadata_entries,
            max_metadata_bytes: limits.max_metadata_bytes,
            max_queued_bytes: limits.max_queued_bytes,
            decode: DecodeLimits {
                memory: limits.decode_memory_bytes as u64,
                nesting: limits.max_nesting,
            },
            pool: Arc::new(Pool::new(limits)),
            agent: concat!("daemoneye-ipc/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl SessionConfig {
    /// Says which limit `metadata` is over.
    fn check_metadata(&self, metadata: &Metadata) -> Result<(), String> {
        let (entries, bytes) = (metadata.len(), metadata.byte_len());
        if entries > self.max_metadata_entries {
            return Err(format!(
                "{entries} metadata entries are over the limit of {}",
                self.max_metadata_entries
            ));
        }
        if bytes > self.max_metadata_bytes {
            return Err(format!(
                "{bytes} bytes of metadata are over the limit of {}",
                self.max_metadata_bytes
            ));
        }
        Ok(())
    }
}

/// Hashes ids that the peer cannot place in a table of ours: call ids rise by themselves, and method
/// ordinals are only looked up. One multiplication spreads them.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct SpreadHasher(u64);

/// The hasher of the tables by call id and by method ordinal.
pub(crate) type IdHasher = BuildHasherDefault<SpreadHasher>;

impl std::hash::Hasher for SpreadHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        // 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming 3, 6.4).
        self.0 = (self.0 ^ id)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(26);
    }
}
