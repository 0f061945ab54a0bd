//! What is at an endpoint's path: the socket, who owns it, who may open it, and the directory around it.
//!
//! **Invariant**: looking changes nothing; no file is opened, created or removed.

use std::{
    fs::{self, FileType, Metadata},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use daemoneye_ipc::{
    IpcConfig,
    transport::{EndpointOptions, Finding, Severity, inspect},
};
use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::{
    explain::{self, Explanation},
    format,
    report::Check,
};

/// What was found at a path and in its directory.
#[derive(Debug)]
pub(crate) struct Survey {
    path: PathBuf,
    entry: Entry,
    directory: Entry,
    /// What a server would mind about the path.
    findings: Vec<Finding>,
    /// Whether owner, group and mode let this process write to it, which is what connecting takes.
    writable: bool,
    me: u32,
    options: EndpointOptions,
}

/// What is at one path.
#[derive(Debug)]
enum Entry {
    Missing,
    Hidden(io::Error),
    There {
        kind: Kind,
        uid: u32,
        gid: u32,
        mode: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Socket,
    Directory,
    File,
    Link,
    Other,
}

impl Kind {
    fn of(file_type: FileType) -> Self {
        match file_type {
            t if t.is_socket() => Self::Socket,
            t if t.is_dir() => Self::Directory,
            t if t.is_file() => Self::File,
            t if t.is_symlink() => Self::Link,
            _ => Self::Other,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Socket => "a socket",
            Self::Directory => "a directory",
            Self::File => "a regular file",
            Self::Link => "a symbolic link",
            Self::Other => "neither a socket nor a file",
        }
    }
}

impl Entry {
    fn at(metadata: io::Result<Metadata>) -> Self {
        match metadata {
            Ok(metadata) => Self::There {
                kind: Kind::of(metadata.file_type()),
                uid: metadata.uid(),
                gid: metadata.gid(),
                mode: metadata.mode() & 0o7777,
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::Missing,
            Err(error) => Self::Hidden(error),
        }
    }
}

impl Survey {
    /// Looks at `path` and at the directory it is in.
    pub(crate) fn of(path: &Path) -> Self {
        Self::with(path, EndpointOptions::default())
    }

    /// The same, with the eyes of a server that has `config`.
    pub(crate) fn configured(config: &IpcConfig) -> Self {
        let options = EndpointOptions::of(&config.socket).unwrap_or_default();
        Self::with(&config.endpoint_path, options)
    }

    fn with(path: &Path, options: EndpointOptions) -> Self {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        Self {
            path: path.to_path_buf(),
            entry: Entry::at(fs::symlink_metadata(path)),
            // The last directory may be reached through links; what counts is where they lead.
            directory: Entry::at(fs::metadata(directory)),
            findings: inspect(path, &options).map_or_else(|_| Vec::new(), |report| report.findings),
            writable: accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS).is_ok(),
            me: rustix::process::geteuid().as_raw(),
            options,
        }
    }

    /// The checks that can be made by looking.
    pub(crate) fn checks(&self) -> Vec<Check> {
        vec![
            self.endpoint_check(),
            self.owner_check(),
            self.directory_check(),
        ]
    }

    fn endpoint_check(&self) -> Check {
        const NAME: &str = "endpoint";
        let check = match &self.entry {
            Entry::There {
                kind: Kind::Socket, ..
            } => Check::passed(NAME, "a socket is there"),
            Entry::There { kind, .. } => Check::failed(
                NAME,
                format!("{}, not a socket", kind.name()),
                self.explain_kind(*kind),
            ),
            Entry::Missing => Check::failed(NAME, "not found", self.missing()),
            Entry::Hidden(error) => Check::failed(NAME, headline(error), self.hidden(error)),
        };
        check
            .on_the_way()
            .fact("path", self.path.display().to_string())
    }

    fn owner_check(&self) -> Check {
        const NAME: &str = "permissions";
        let Entry::There {
            kind: Kind::Socket,
            uid,
            gid,
            mode,
        } = self.entry
        else {
            return Check::skipped(NAME, "no socket to look at");
        };
        let detail = format!("owner {}, mode {mode:04o}", self.user(uid));
        let path = self.shell_path();
        let check = if uid != self.me && uid != 0 {
            Check::failed(
                NAME,
                format!("untrusted owner: {detail}"),
                self.foreign_owner(uid),
            )
            .on_the_way()
        } else if !self.writable {
            Check::failed(
                NAME,
                format!("permission denied: {detail}"),
                self.denied(uid, mode),
            )
            .on_the_way()
        } else if mode & 0o600 != 0o600 {
            let why = Explanation::new(
                "its owner may not read and write the socket, so nobody can connect to it",
                format!("restart the server, which sets 0600, or run: chmod 600 {path}"),
            );
            // Root passes any mode, so that this does not settle whether calls arrive.
            Check::failed(NAME, detail, why)
        } else if mode & 0o077 & !self.options.mode != 0 {
            let why = Explanation::new(
                "users other than the owner may open the socket; only the server's policy keeps them out",
                format!("chmod 600 {path}, unless the server's configuration asks for this mode"),
            );
            Check::warned(NAME, detail, why)
        } else {
            Check::passed(NAME, detail)
        };
        check
            .fact("uid", uid)
            .fact("gid", gid)
            .fact("mode", format!("{mode:04o}"))
            .fact("own_uid", self.me)
    }

    /// The directory and all above it, by the rules that a server goes by when it starts.
    fn directory_check(&self) -> Check {
        const NAME: &str = "directory";
        let (kind, uid, gid, mode) = match &self.directory {
            Entry::There {
                kind,
                uid,
                gid,
                mode,
            } => (*kind, *uid, *gid, *mode),
            Entry::Missing => return Check::skipped(NAME, "not found"),
            Entry::Hidden(error) => return Check::skipped(NAME, headline(error)),
        };
        let detail = match kind {
            Kind::Directory => format!("owner {}, mode {mode:04o}", self.user(uid)),
            kind => kind.name().to_owned(),
        };
        let around = self
            .findings
            .iter()
            .filter(|finding| finding.path != self.path);
        let check = match around.max_by_key(|finding| finding.severity) {
            None => Check::passed(NAME, detail),
            Some(finding) => {
                let cause = format!("{} {}", finding.path.display(), finding.problem);
                let why = Explanation::new(cause, finding.advice.clone());
                match finding.severity {
                    Severity::Warning => Check::warned(NAME, detail, why),
                    Severity::Error => Check::failed(NAME, detail, why),
                }
            }
        };
        check
            .fact("path", self.directory_path().display().to_string())
            .fact("uid", uid)
            .fact("gid", gid)
            .fact("mode", format!("{mode:04o}"))
    }

    /// Why nothing is at the path, if nothing is.
    pub(crate) fn explain_missing(&self) -> Option<Explanation> {
        matches!(self.entry, Entry::Missing).then(|| self.missing())
    }

    /// Why this user may not open what is at the path, as far as owner and mode tell.
    pub(crate) fn explain_denied(&self) -> Option<Explanation> {
        match &self.entry {
            Entry::Hidden(error) => Some(self.hidden(error)),
            Entry::There {
                kind: Kind::Socket,
                uid,
                mode,
                ..
            } => Some(self.denied(*uid, *mode)),
            _ => None,
        }
    }

    fn missing(&self) -> Explanation {
        let directory = self.directory_path();
        let start = explain::start_command(&self.path);
        if let Some(existing) = nearest_directory(directory)
            && existing != directory
        {
            return Explanation::new(
                format!(
                    "the directory {} does not exist ({} does): no server has run there since the machine started",
                    directory.display(),
                    existing.display()
                ),
                format!("start the server ({start}), or name the right path with --endpoint"),
            );
        }
        let others = sockets_in(directory);
        if others.is_empty() {
            return Explanation::new(
                format!(
                    "the directory {} is there and holds no socket: the server is not running",
                    directory.display()
                ),
                format!("start the server ({start}), or name the right path with --endpoint"),
            );
        }
        Explanation::new(
            format!(
                "no socket of this name is in {}; there is {}",
                directory.display(),
                others.join(", ")
            ),
            format!("name one of those with --endpoint, or start the server: {start}"),
        )
    }

    fn hidden(&self, error: &io::Error) -> Explanation {
        if error.kind() != io::ErrorKind::PermissionDenied {
            return Explanation::new(
                format!("the path cannot be looked at: {error}"),
                "correct the path",
            );
        }
        let closed = closed_directory(self.directory_path());
        let (place, owner) = match &closed {
            Some((path, uid)) => (path.display().to_string(), self.user(*uid)),
            None => (
                self.directory_path().display().to_string(),
                "another user".to_owned(),
            ),
        };
        let run_as = closed.map_or("the server's user".to_owned(), |(_, uid)| {
            format!("that user: sudo -u '#{uid}' daemoneye-cli …")
        });
        Explanation::new(
            format!(
                "{place} belongs to {owner} and is closed to {}",
                self.user(self.me)
            ),
            format!("run this as {run_as}"),
        )
    }

    fn denied(&self, uid: u32, mode: u32) -> Explanation {
        Explanation::new(
            format!(
                "the socket belongs to {} with mode {mode:04o}, and this is {}",
                self.user(uid),
                self.user(self.me)
            ),
            format!("run this as that user: sudo -u '#{uid}' daemoneye-cli …"),
        )
    }

    fn foreign_owner(&self, uid: u32) -> Explanation {
        Explanation::new(
            format!(
                "the socket belongs to {}, who is neither root nor {}; a client trusts no other",
                self.user(uid),
                self.user(self.me)
            ),
            format!(
                "if it is the server you mean, run this as its user: sudo -u '#{uid}' daemoneye-cli …"
            ),
        )
    }

    fn explain_kind(&self, kind: Kind) -> Explanation {
        Explanation::new(
            format!("{} is {}", self.path.display(), kind.name()),
            "name the socket with --endpoint; a server never replaces a file that is not its own",
        )
    }

    fn user(&self, uid: u32) -> String {
        match uid {
            uid if uid == self.me => format!("uid {uid} (you)"),
            0 => "uid 0 (root)".to_owned(),
            uid => format!("uid {uid}"),
        }
    }

    fn directory_path(&self) -> &Path {
        self.path
            .parent()
            .filter(|path| !path.as_os_str().is_empty())
            .unwrap_or(Path::new("."))
    }

    fn shell_path(&self) -> String {
        format::shell(&self.path.display().to_string())
    }
}

fn headline(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

fn nearest_directory(path: &Path) -> Option<&Path> {
    path.ancestors().find(|path| path.is_dir())
}

/// The first directory on the way to `path` that this user may not search, with its owner.
fn closed_directory(path: &Path) -> Option<(PathBuf, u32)> {
    let mut last = None;
    let mut ways: Vec<_> = path.ancestors().collect();
    ways.reverse();
    for way in ways.into_iter().filter(|way| !way.as_os_str().is_empty()) {
        match fs::metadata(way) {
            Ok(metadata) => last = Some((way.to_path_buf(), metadata.uid())),
            Err(_) => break,
        }
    }
    last
}

/// Names of up to four sockets in a directory.
fn sockets_in(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_socket()))
        .map(|entry| format::plain(&entry.file_name().to_string_lossy()).into_owned())
        .take(4)
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::PermissionsExt, net::UnixListener};

    use super::*;
    use crate::report::Outcome;

    fn folder(mode: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).expect("chmod");
        folder
    }

    fn socket(folder: &tempfile::TempDir, mode: u32) -> (PathBuf, UnixListener) {
        let path = folder.path().join("x.sock");
        let listener = UnixListener::bind(&path).expect("a socket");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
        (path, listener)
    }

    fn outcomes(path: &Path) -> Vec<(String, Outcome)> {
        let survey = Survey::of(path);
        survey
            .checks()
            .into_iter()
            .map(|check| (check.name, check.outcome))
            .collect()
    }

    fn wanted(outcomes: [Outcome; 3]) -> Vec<(String, Outcome)> {
        ["endpoint", "permissions", "directory"]
            .map(str::to_owned)
            .into_iter()
            .zip(outcomes)
            .collect()
    }

    #[test]
    fn a_private_socket_in_a_private_directory_is_right() {
        use Outcome::Passed;
        let folder = folder(0o700);
        let (path, _listener) = socket(&folder, 0o600);
        assert_eq!(outcomes(&path), wanted([Passed, Passed, Passed]));
    }

    #[test]
    fn modes_that_let_others_in_are_seen() {
        use Outcome::{Failed, Passed, Warned};
        let folder = folder(0o777);
        let (path, _listener) = socket(&folder, 0o666);
        assert_eq!(outcomes(&path), wanted([Passed, Warned, Failed]));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("chmod");
        assert_eq!(outcomes(&path)[1].1, Failed);
    }

    #[test]
    fn what_is_missing_is_said_with_what_is_there_instead() {
        let folder = folder(0o700);
        let missing = folder.path().join("none.sock");
        let cause = |path: &Path| Survey::of(path).explain_missing().expect("missing").cause;
        assert!(
            cause(&missing).contains("holds no socket"),
            "{}",
            cause(&missing)
        );
        let (_, _listener) = socket(&folder, 0o600);
        assert!(
            cause(&missing).contains("there is x.sock"),
            "{}",
            cause(&missing)
        );
        let deep = folder.path().join("a/b/none.sock");
        assert!(cause(&deep).contains("does not exist"), "{}", cause(&deep));
    }

    #[test]
    fn a_file_in_the_place_of_a_socket_is_named() {
        let folder = folder(0o700);
        let path = folder.path().join("x.sock");
        fs::write(&path, "").expect("a file");
        let check = Survey::of(&path).endpoint_check();
        assert_eq!(check.outcome, Outcome::Failed);
        assert_eq!(check.detail, "a regular file, not a socket");
    }

    #[test]
    fn a_socket_of_another_user_is_not_trusted() {
        let survey = Survey {
            path: "/run/x.sock".into(),
            entry: Entry::There {
                kind: Kind::Socket,
                uid: 77,
                gid: 77,
                mode: 0o600,
            },
            directory: Entry::Missing,
            findings: Vec::new(),
            writable: false,
            me: 1000,
            options: EndpointOptions::default(),
        };
        let check = survey.owner_check();
        assert_eq!(check.outcome, Outcome::Failed);
        assert!(check.detail.starts_with("untrusted owner"), "{check:?}");
        let survey = Survey {
            entry: Entry::There {
                kind: Kind::Socket,
                uid: 0,
                gid: 0,
                mode: 0o600,
            },
            ..survey
        };
        let check = survey.owner_check();
        assert!(
            check
                .detail
                .starts_with("permission denied: owner uid 0 (root)"),
            "{check:?}"
        );
        assert!(
            check
                .hint
                .as_deref()
                .is_some_and(|hint| hint.contains("sudo -u '#0'")),
            "{check:?}"
        );
    }
}
