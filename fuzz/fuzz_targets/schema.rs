//! See `ipc_fuzz_bodies::schema`.
//!
//! **Invariant**: nothing but the call.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ipc_fuzz_bodies::schema::run(data));
