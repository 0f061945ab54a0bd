//! A clock that is set forward or back changes no deadline: nothing that waits reads the time of day.
//!
//! **Invariant**: read from the source, since the clock of the machine is not the test's to set.

use std::{fs, path::Path};

/// Where the time of day is told to people, or asked for by a rule of a schema; nothing waits for it.
const TOLD: [&str; 3] = ["health.rs", "observe/audit.rs", "validate/rules/time.rs"];

#[test]
fn nothing_that_waits_reads_the_time_of_day() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/src");
    let (mut files, mut found) = (0, Vec::new());
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            files += 1;
            let text = fs::read_to_string(&path).unwrap();
            let name = path
                .strip_prefix(&root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            if text.contains("SystemTime") && !name.starts_with("generated/") {
                found.push(name);
            }
        }
    }
    found.sort();
    assert!(files > 100, "only {files} files");
    assert_eq!(found, TOLD);
}
