//! A short soak: the program itself, its servers, their deaths and their intruders.
//!
//! **Invariant**: minutes and hours of it are a command of their own.
#![cfg(target_os = "linux")]

use std::process::Command;

#[test]
fn nothing_is_lost_doubled_or_leaked_in_some_seconds() {
    let soak = Command::new(env!("CARGO_BIN_EXE_ipc-conformance"))
        .args(["soak", "--seconds", "4", "--callers", "16"])
        .output()
        .expect("it runs");
    let table = String::from_utf8_lossy(&soak.stdout);
    let said = String::from_utf8_lossy(&soak.stderr);
    assert!(soak.status.success(), "{table}\n{said}");
    let count = |row: &str| -> u64 {
        let line = table.lines().find_map(|line| line.trim().strip_prefix(row));
        let count = line.and_then(|line| line.split_whitespace().next());
        count
            .and_then(|count| count.parse().ok())
            .unwrap_or_else(|| panic!("no {row} in\n{table}"))
    };
    assert!(count("answered") > 100, "{table}");
    for fault in ["kills", "stops", "intruders"] {
        assert!(count(fault) > 0, "no {fault}:\n{table}");
    }
    assert_eq!(
        (count("lost"), count("doubled"), count("wrong")),
        (0, 0, 0),
        "{table}"
    );
}
