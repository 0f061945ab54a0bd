//! What a call costs in memory that is asked for, in the steady state, over a real socket: exact numbers.
//!
//! Client and server have a thread each, which never asks for memory of the other. The tests share the counters, so
//! they are run one after the other.
//!
//! **Invariant**: messages share their bytes with the test, so that what is counted is the runtime's.

mod counting;
mod pair;
mod streams;
mod unary;

/// Memory that was asked for, for each call or message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    client: u64,
    server: u64,
}

const NOTHING: Cost = Cost {
    client: 0,
    server: 0,
};
