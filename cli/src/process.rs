//! What the kernel says of another process, as far as a diagnosis needs it.
//!
//! **Invariant**: nothing here fails: what the platform does not tell is simply not known.

use std::{fs, path::PathBuf};

/// The short name of process `pid`.
pub(crate) fn name(pid: u32) -> Option<String> {
    let name = fs::read_to_string(proc_file(pid, "comm")?).ok()?;
    Some(name.trim_end().to_owned()).filter(|name| !name.is_empty())
}

/// Whether process `pid` is stopped, by a signal or a debugger.
pub(crate) fn is_stopped(pid: u32) -> bool {
    matches!(state(pid), Some('T' | 't'))
}

/// The state letter of proc(5): the field behind the name, which may itself hold parentheses.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(proc_file(pid, "stat")?).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Elsewhere something else may be at that path.
fn proc_file(pid: u32, file: &str) -> Option<PathBuf> {
    cfg!(target_os = "linux").then(|| PathBuf::from(format!("/proc/{pid}/{file}")))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_known_and_runs() {
        let me = std::process::id();
        assert!(name(me).is_some());
        assert!(!is_stopped(me));
    }

    #[test]
    fn a_process_that_cannot_exist_is_unknown() {
        // Linux never gives out ids above 2^22.
        assert_eq!(name(u32::MAX), None);
        assert!(!is_stopped(u32::MAX));
    }
}
