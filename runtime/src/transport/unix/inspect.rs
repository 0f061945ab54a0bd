//! What is at an endpoint's path and around it, for diagnosis.
//!
//! **Invariant**: looking changes nothing and connects to nothing; the judgements are those that a
//! server makes when it starts.

use std::path::Path;

use rustix::{
    fs::{AtFlags, FileType, Mode, Stat, statat},
    io::Errno,
    process::geteuid,
};

use super::{
    EndpointOptions,
    directory::{self, Finding, Severity, octal},
    refused, split,
};
use crate::error::IpcError;

/// What [`inspect`] found.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("private/app.sock");
/// use daemoneye_ipc::transport::{EndpointOptions, EntryKind, Listener, inspect};
///
/// let listener = Listener::bind(&path, &EndpointOptions::default()).await?;
/// let report = inspect(&path, &EndpointOptions::default())?;
/// for finding in &report.findings {
///     println!("{:?}: {finding}", finding.severity);
/// }
/// let entry = report.endpoint.expect("the socket");
/// assert_eq!(entry.kind, EntryKind::Socket);
/// # drop(listener);
/// # Ok(()) })
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointReport {
    /// What is at the path; `None` if nothing is, or if it cannot be reached.
    pub endpoint: Option<Entry>,
    /// The directory that holds it, links resolved; `None` if it is missing or cannot be reached.
    pub directory: Option<Entry>,
    /// All that a server would mind, from the root down. Empty if all is well.
    pub findings: Vec<Finding>,
}

/// Kind, owner and permissions of one file.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("private/app.sock");
/// use daemoneye_ipc::transport::{EndpointOptions, EntryKind, Listener, inspect};
///
/// let listener = Listener::bind(&path, &EndpointOptions::default()).await?;
/// let report = inspect(&path, &EndpointOptions::default())?;
/// for finding in &report.findings {
///     println!("{:?}: {finding}", finding.severity);
/// }
/// let entry = report.endpoint.expect("the socket");
/// assert_eq!(entry.kind, EntryKind::Socket);
/// # drop(listener);
/// # Ok(()) })
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its permissions, with the sticky and set-id bits.
    pub mode: u32,
}

/// What a file is.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("private/app.sock");
/// use daemoneye_ipc::transport::{EndpointOptions, EntryKind, Listener, inspect};
///
/// let listener = Listener::bind(&path, &EndpointOptions::default()).await?;
/// let report = inspect(&path, &EndpointOptions::default())?;
/// for finding in &report.findings {
///     println!("{:?}: {finding}", finding.severity);
/// }
/// let entry = report.endpoint.expect("the socket");
/// assert_eq!(entry.kind, EntryKind::Socket);
/// # drop(listener);
/// # Ok(()) })
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A socket: what a server leaves at its endpoint.
    Socket,
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A FIFO, or a device.
    Other,
}

impl EndpointReport {
    /// Whether a server would start there, as far as looking tells.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.severity < Severity::Error)
    }
}

/// Looks at the endpoint `path` and at all directories above it, with the eyes of a server that has
/// `options`.
///
/// # Errors
/// [`IpcError::Endpoint`] if the path itself cannot be a server's: relative, or too long.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("private/app.sock");
/// use daemoneye_ipc::transport::{EndpointOptions, EntryKind, Listener, inspect};
///
/// let listener = Listener::bind(&path, &EndpointOptions::default()).await?;
/// let report = inspect(&path, &EndpointOptions::default())?;
/// for finding in &report.findings {
///     println!("{:?}: {finding}", finding.severity);
/// }
/// let entry = report.endpoint.expect("the socket");
/// assert_eq!(entry.kind, EntryKind::Socket);
/// # drop(listener);
/// # Ok(()) })
/// # }
/// ```
pub fn inspect(path: &Path, options: &EndpointOptions) -> Result<EndpointReport, IpcError> {
    let (parent, name) = split(path).map_err(|reason| refused(path, reason, None))?;
    let walk = directory::walk(parent, options, false);
    let mut findings = walk.findings;
    let mut endpoint = None;
    if let Some(directory) = &walk.directory {
        match statat(&directory.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => endpoint = Some(Entry::of(&stat)),
            Err(Errno::NOENT) => {}
            Err(error) => findings.push(Finding {
                severity: Severity::Error,
                path: path.to_path_buf(),
                problem: format!("cannot be looked at: {}", std::io::Error::from(error)),
                advice: "run as the server's user".to_owned(),
            }),
        }
    }
    findings.extend(endpoint.and_then(|entry| judge(path, entry, options)));
    let directory = walk.directory.map(|level| Entry::of(&level.stat));
    Ok(EndpointReport {
        endpoint,
        directory,
        findings,
    })
}

/// What is wrong with the file at the endpoint itself.
fn judge(path: &Path, entry: Entry, options: &EndpointOptions) -> Option<Finding> {
    let own = geteuid().as_raw();
    let (severity, problem, advice) = if entry.kind != EntryKind::Socket {
        let problem = "is not a socket".to_owned();
        (
            Severity::Error,
            problem,
            "remove it, or choose another endpoint".to_owned(),
        )
    } else if entry.uid != own && entry.uid != 0 {
        let problem = format!(
            "belongs to uid {}, neither to uid {own} (this process) nor to root",
            entry.uid
        );
        (
            Severity::Error,
            problem,
            "a client does not trust it: run as that user".to_owned(),
        )
    } else if entry.mode & 0o077 & !options.mode != 0 {
        let problem = format!(
            "may be opened by others than its owner (mode {:04o})",
            entry.mode
        );
        (
            Severity::Warning,
            problem,
            "only the server's policy keeps them out: is that meant?".to_owned(),
        )
    } else {
        return None;
    };
    Some(Finding {
        severity,
        path: path.to_path_buf(),
        problem,
        advice,
    })
}

impl Entry {
    fn of(stat: &Stat) -> Self {
        let mode = Mode::from_raw_mode(stat.st_mode);
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Socket => EntryKind::Socket,
            FileType::Directory => EntryKind::Directory,
            FileType::RegularFile => EntryKind::File,
            FileType::Symlink => EntryKind::Symlink,
            _ => EntryKind::Other,
        };
        Self {
            kind,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mode: u32::from_str_radix(&octal(mode), 8).unwrap_or(0),
        }
    }
}
