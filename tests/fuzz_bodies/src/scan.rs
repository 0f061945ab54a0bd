//! The scan that tells what a message would take in memory, beside what prost takes for it.
//!
//! **Invariant**: whatever the bytes are, what the scan lets through takes no more than it says, and it says no more than
//! the limit.

use bytes::Bytes;
use daemoneye_ipc::{
    descriptor::Footprint,
    prost::Message,
    wire::{DecodeLimits, Inflated, measure},
};

use crate::{
    allocator::peak,
    inflate::{Everything, INFLATE_SERVICE},
};

/// The message that bytes are taken for.
pub const EVERYTHING: Footprint = INFLATE_SERVICE.methods[0].request;

/// More than any input takes.
pub const NO_LIMIT: DecodeLimits = DecodeLimits {
    memory: u64::MAX,
    nesting: 100,
};

/// What a message is said to take, and what it took.
#[derive(Debug, Clone, Copy)]
pub struct Compared {
    /// Bytes that the scan says.
    pub said: u64,
    /// Bytes that prost had at most.
    pub taken: u64,
    /// Whether it is a message.
    pub decoded: bool,
}

/// Compares what is said with what is taken. `None` if messages nest more deeply than prost goes.
///
/// # Panics
/// If more is taken than is said.
pub fn compare<M: Message + Default>(bytes: &Bytes, footprint: &Footprint) -> Option<Compared> {
    let said = match measure(bytes, footprint, &NO_LIMIT, 0) {
        Ok(said) => said,
        Err(Inflated::Nesting { .. }) => return None,
        Err(over) => panic!("{over}"),
    };
    let (taken, decoded) = peak(|| M::decode(bytes.clone()));
    let error = if decoded.is_ok() { 0 } else { error(bytes) };
    assert!(
        taken + size_of::<M>() as u64 <= said + error,
        "{taken} bytes were taken where {said} are said: {:02x?}",
        &bytes[..]
    );
    let guess = measure(bytes, footprint, &NO_LIMIT, u64::MAX);
    assert!(
        guess.is_ok_and(|guess| guess >= said),
        "a guess of {guess:?} is below {said}"
    );
    Some(Compared {
        said,
        taken,
        decoded: decoded.is_ok(),
    })
}

/// What prost's error takes at most: it says where it was, in some words per level, of which each is two bytes at least.
fn error(bytes: &Bytes) -> u64 {
    1024 + 96 * (bytes.len() as u64 / 2).min(u64::from(NO_LIMIT.nesting))
}

/// Takes two bytes for limits, and all others for a message.
pub fn run(data: &[u8]) {
    let Some(([memory, nesting], bytes)) = data.split_first_chunk() else {
        return;
    };
    let bytes = Bytes::copy_from_slice(bytes);
    let limits = DecodeLimits {
        memory: 64 << (memory % 24),
        nesting: u32::from(*nesting % 101),
    };
    let known = compare::<Everything>(&bytes, &EVERYTHING);
    // Nothing is refused for what an empty message takes.
    let least = measure(&[], &EVERYTHING, &NO_LIMIT, 0).unwrap_or_default();
    for enough in [0, u64::MAX] {
        match (known, measure(&bytes, &EVERYTHING, &limits, enough)) {
            (Some(known), Ok(said)) => {
                assert!(said <= limits.memory.max(least), "{said} of {limits:?}");
                assert!(said >= known.said, "{said} is below {}", known.said);
                assert!(enough > 0 || said == known.said, "{said} is no guess");
            }
            (Some(known), Err(Inflated::Memory { .. })) => assert!(
                known.said > limits.memory,
                "{} is within {limits:?}",
                known.said
            ),
            (None, Ok(said)) => panic!("{said} for what nests more than {limits:?}"),
            (_, Err(_)) => {}
        }
    }
}
