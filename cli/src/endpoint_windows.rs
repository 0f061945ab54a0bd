//! What is at an endpoint's name: a pipe, or nothing.
//!
//! **Invariant**: looking changes nothing and connects to nothing.

use std::path::{Path, PathBuf};

use daemoneye_ipc::{
    IpcConfig, IpcError,
    transport::{EndpointOptions, EndpointReport, inspect},
};

use crate::{
    explain::{self, Explanation},
    report::Check,
};

/// What was found under a name.
#[derive(Debug)]
pub(crate) struct Survey {
    path: PathBuf,
    report: Result<EndpointReport, IpcError>,
}

impl Survey {
    /// Looks at `path`.
    pub(crate) fn of(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            report: inspect(path, &EndpointOptions::default()),
        }
    }

    /// The same, with the eyes of a server that has `config`.
    pub(crate) fn configured(config: &IpcConfig) -> Self {
        Self::of(&config.endpoint_path)
    }

    /// The checks that can be made by looking.
    pub(crate) fn checks(&self) -> Vec<Check> {
        const NAME: &str = "endpoint";
        let check = match &self.report {
            Ok(EndpointReport {
                endpoint: Some(_), ..
            }) => Check::passed(NAME, "a pipe is there"),
            Ok(_) => Check::failed(NAME, "not found", self.missing()),
            Err(error) => {
                let why = Explanation::new(error.to_string(), "correct the name");
                Check::failed(NAME, "not a pipe's name", why)
            }
        };
        let check = check
            .on_the_way()
            .fact("path", self.path.display().to_string());
        let unseen = "who owns a pipe is seen by connecting to it";
        vec![
            check,
            Check::skipped("permissions", unseen),
            Check::skipped("directory", "a pipe lies in none"),
        ]
    }

    /// Why nothing is there, if nothing is.
    pub(crate) fn explain_missing(&self) -> Option<Explanation> {
        let report = self.report.as_ref().ok()?;
        report.endpoint.is_none().then(|| self.missing())
    }

    /// Why this user may not open the pipe: known to none but those who may.
    pub(crate) const fn explain_denied(&self) -> Option<Explanation> {
        None
    }

    fn missing(&self) -> Explanation {
        Explanation::new(
            format!(
                "no pipe of the name {} is there: the server is not running",
                self.path.display()
            ),
            format!(
                "start the server ({}), or name the right pipe with --endpoint",
                explain::start_command(&self.path)
            ),
        )
    }
}
