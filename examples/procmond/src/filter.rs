//! Which processes a caller wants.
//!
//! **Invariant**: a filter that was accepted never fails later; an empty one lets everything through.

use std::collections::HashSet;

use daemoneye_ipc::Status;
use daemoneye_ipc_generated::procmond::v1::ProcessFilter;
use globset::{GlobBuilder, GlobMatcher};

use crate::process::Process;

/// A filter, ready to use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    names: HashSet<String>,
    pids: HashSet<u32>,
    executable: Option<GlobMatcher>,
}

impl Filter {
    /// # Errors
    /// INVALID_ARGUMENT for a glob that is none.
    pub(crate) fn new(filter: Option<ProcessFilter>) -> Result<Self, Status> {
        let filter = filter.unwrap_or_default();
        Ok(Self {
            names: filter.names.into_iter().collect(),
            pids: filter.pids.into_iter().collect(),
            executable: glob(&filter.executable_glob)?,
        })
    }

    /// Whether it lets `process` through.
    pub(crate) fn accepts(&self, process: &Process) -> bool {
        (self.pids.is_empty() || self.pids.contains(&process.key.pid))
            && (self.names.is_empty() || self.names.contains(&process.name))
            && self.executable.as_ref().is_none_or(|glob| {
                process
                    .executable
                    .as_ref()
                    .is_some_and(|executable| glob.is_match(&executable.path))
            })
    }
}

fn glob(text: &str) -> Result<Option<GlobMatcher>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let glob = GlobBuilder::new(text).literal_separator(true).build();
    let glob = glob.map_err(|error| {
        Status::invalid_argument(format!("executable_glob is not a glob: {error}"))
    })?;
    Ok(Some(glob.compile_matcher()))
}

#[cfg(test)]
mod tests {
    use daemoneye_ipc::Code;

    use super::*;
    use crate::process::tests::process;

    fn filter(names: &[&str], pids: &[u32], glob: &str) -> Filter {
        Filter::new(Some(ProcessFilter {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            pids: pids.to_vec(),
            executable_glob: glob.to_owned(),
        }))
        .expect("a filter")
    }

    #[test]
    fn every_list_that_is_not_empty_has_to_be_passed() {
        let sshd = process(7, 1, "/usr/sbin/sshd");
        assert!(Filter::default().accepts(&sshd));
        assert!(filter(&["sshd", "cron"], &[7, 8], "/usr/**").accepts(&sshd));
        assert!(!filter(&["cron"], &[7], "").accepts(&sshd));
        assert!(!filter(&["sshd"], &[8], "").accepts(&sshd));
        assert!(
            !filter(&["ssh"], &[], "").accepts(&sshd),
            "names match as a whole"
        );
        assert!(!filter(&["sshd"], &[7], "/opt/**").accepts(&sshd));
    }

    #[test]
    fn globs_know_where_a_name_ends() {
        let sshd = process(7, 1, "/usr/sbin/sshd");
        for (glob, accepted) in [
            ("/usr/sbin/*", true),
            ("/usr/*", false),
            ("/usr/**", true),
            ("**/sshd", true),
            ("/usr/sbin/ssh?", true),
            ("/usr?sbin/sshd", false),
            ("sshd", false),
        ] {
            assert_eq!(filter(&[], &[], glob).accepts(&sshd), accepted, "{glob}");
        }
        let mut of_kernel = sshd;
        of_kernel.executable = None;
        assert!(!filter(&[], &[], "**").accepts(&of_kernel));
    }

    #[test]
    fn nonsense_is_an_invalid_argument() {
        for glob in ["[", "{a"] {
            let filter = ProcessFilter {
                executable_glob: glob.to_owned(),
                ..Default::default()
            };
            let status = Filter::new(Some(filter)).expect_err(glob);
            assert_eq!(status.code(), Code::InvalidArgument);
            assert!(status.message().contains("executable_glob"), "{status}");
        }
    }
}
