//! The two session state machines against each other: any interleaving, any chunking, time as an input.
//!
//! **Invariant**: no socket, no runtime, no clock: what fails here fails again with the same seed.

mod ledger;
mod pipe;
mod property;
mod rules;
mod world;

use daemoneye_ipc::{
    IpcConfig,
    descriptor::{Footprint, Idempotency, MethodDescriptor, MethodKind, ServiceDescriptor},
    session::SessionConfig,
};

const KINDS: [MethodKind; 4] = [
    MethodKind::Unary,
    MethodKind::ServerStreaming,
    MethodKind::ClientStreaming,
    MethodKind::BidiStreaming,
];

const fn method(ordinal: u64, kind: MethodKind) -> MethodDescriptor {
    MethodDescriptor {
        name: "M",
        path: "/test.Service/M",
        ordinal,
        kind,
        idempotency: Idempotency::Unknown,
        access: &[],
        input: "test.In",
        output: "test.Out",
        request: Footprint::OPAQUE,
        response: Footprint::OPAQUE,
    }
}

static SERVICE: ServiceDescriptor = ServiceDescriptor {
    name: "test.Service",
    revision: 1,
    fingerprint: 42,
    compatible: &[],
    methods: &[
        method(1, KINDS[0]),
        method(2, KINDS[1]),
        method(3, KINDS[2]),
        method(4, KINDS[3]),
    ],
    file_descriptor_set: &[],
};

const MAX_CALLS: usize = 8;
const STREAM_CREDIT: usize = 1_024;
const MAX_FRAME_BYTES: usize = 1_024;
const MAX_QUEUED_BYTES: usize = 4_096;

fn config() -> SessionConfig {
    let mut config = IpcConfig {
        max_frame_bytes: MAX_FRAME_BYTES,
        ..IpcConfig::default()
    };
    config.limits.max_calls = MAX_CALLS;
    config.limits.stream_credit_bytes = STREAM_CREDIT;
    config.limits.max_queued_bytes = MAX_QUEUED_BYTES;
    SessionConfig::from(&config)
}
