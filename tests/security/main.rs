//! Who gets in: endpoints, peers and methods, with real processes and real users where these are the point. A file per
//! promise or fault.
//!
//! **Invariant**: what needs root to become another user says so where it is left out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../transport/support.rs"]
#[expect(dead_code, reason = "shared with the tests of the transport")]
mod support;
#[path = "vault.rs"]
mod vault;
#[rustfmt::skip]
#[path = "../golden/access/rust/mod.rs"]
mod schema;

mod anonymous_users;
#[path = "../captured_log.rs"]
mod captured_log;
mod check_that_hangs;
mod check_that_panics;
mod denied_request_is_not_decoded;
mod descriptors_leak;
mod foreign_server;
mod foreign_users;
mod method_policy;
mod names_without_a_file;
mod peer_process;
mod settings;
mod unknown_names;
