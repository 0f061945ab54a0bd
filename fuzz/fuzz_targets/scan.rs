//! See `ipc_fuzz_bodies::scan`.
//!
//! **Invariant**: nothing but the call.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ipc_fuzz_bodies::scan::run(data));
