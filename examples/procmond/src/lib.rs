//! `procmond`: this machine's processes, their executables and what changes, over local IPC.
//!
//! [`run`] is the whole daemon; the binary only parses the command line. The parts: `table` reads
//! processes, `hashing` their executables, `history` and `feed` tell what changes, `monitor` answers calls,
//! `registration` keeps an agent informed and obeys it, within `settings`.
//!
//! **Invariant**: what is told is read from the system, at most one look old, and nothing here changes
//! any process.

mod batch;
mod daemon;
mod feed;
mod filter;
mod hashing;
mod history;
mod monitor;
mod process;
mod registration;
mod settings;
mod table;
mod tasks;
mod tree;

pub use self::daemon::{Options, run};
