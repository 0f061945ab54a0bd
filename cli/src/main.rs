//! The binary around the library, so that tests run the very same program.
//!
//! **Invariant**: nothing happens here.

use std::process::ExitCode;

fn main() -> ExitCode {
    daemoneye_cli::main()
}
