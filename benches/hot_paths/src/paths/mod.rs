//! The list of all paths.
//!
//! **Invariant**: a name, once given, stays with its path: budgets know paths by it.

mod calls;
mod sessions;
mod wire;

use daemoneye_ipc::wire::Crc32Variant::{Castagnoli, Ieee};

use self::calls::{
    Handler::{AtOnce, Later},
    in_memory, over_a_socket,
};
use crate::Path;

const SMALL: usize = 64;
const LARGE: usize = 64 << 10;

/// All of them, from the lowest floor to the highest.
pub const PATHS: &[Path] = &[
    path("crc/ieee/64B", 1, || wire::checksum(Ieee, SMALL)),
    path("crc/ieee/64KiB", 1, || wire::checksum(Ieee, LARGE)),
    path("crc/castagnoli/64B", 1, || {
        wire::checksum(Castagnoli, SMALL)
    }),
    path("crc/castagnoli/64KiB", 1, || {
        wire::checksum(Castagnoli, LARGE)
    }),
    path("frame/encode/64B", 1, || wire::encode_frame(SMALL)),
    path("frame/encode/64KiB", 1, || wire::encode_frame(LARGE)),
    path("frame/decode/64B", 1, || wire::decode_frame(SMALL)),
    path("frame/decode/64KiB", 1, || wire::decode_frame(LARGE)),
    path("envelope/encode/call/64B", 1, || wire::encode_call(SMALL)),
    path("envelope/encode/reply/64B", 1, || wire::encode_reply(SMALL)),
    path("envelope/encode/metadata", 1, wire::encode_metadata),
    path("envelope/decode/call/64B", 1, || wire::decode_call(SMALL)),
    path("envelope/decode/reply/64B", 1, || wire::decode_reply(SMALL)),
    path("envelope/decode/metadata", 1, wire::decode_metadata),
    path("session/unary/64B", 1, || sessions::unary(SMALL)),
    path("session/unary/64KiB", 1, || sessions::unary(LARGE)),
    path("session/stream/64B", sessions::MESSAGES, || {
        sessions::stream(SMALL, 256 << 10)
    }),
    path("session/stream/16KiB", sessions::MESSAGES, || {
        sessions::stream(16 << 10, 256 << 10)
    }),
    path(
        "session/stream/64B-little-credit",
        sessions::MESSAGES,
        || sessions::stream(SMALL, 1 << 10),
    ),
    path("call/memory/unary/64B", calls::CALLS, || {
        calls::unary(in_memory(AtOnce), SMALL)
    }),
    path("call/memory/stream/small", calls::MESSAGES, || {
        calls::stream(in_memory(AtOnce))
    }),
    path("call/socket/unary/64B", calls::CALLS, || {
        calls::unary(over_a_socket(AtOnce), SMALL)
    }),
    path(
        "call/socket/unary/64B/64-in-flight",
        calls::TASKS * calls::CALLS,
        || calls::together(over_a_socket(AtOnce), SMALL),
    ),
    path("call/socket/unary/64KiB", calls::CALLS, || {
        calls::unary(over_a_socket(AtOnce), LARGE)
    }),
    path("call/socket/unary/64B/handler-waits", calls::CALLS, || {
        calls::unary(over_a_socket(Later), SMALL)
    }),
    path("call/socket/stream/small", calls::MESSAGES, || {
        calls::stream(over_a_socket(AtOnce))
    }),
];

const fn path(name: &'static str, units: u64, start: fn() -> crate::Turn) -> Path {
    Path { name, units, start }
}
