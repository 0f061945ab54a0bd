//! Rules: named predicates over process records.
//!
//! **Invariant**: a rule never matches on what could not be read.

use daemoneye_ipc_generated::procmond::v1::ProcessRecord;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Directories that every user may put programs into.
const WORLD_WRITABLE: [&str; 5] = [
    "/tmp/**",
    "/var/tmp/**",
    "/dev/shm/**",
    "/private/tmp/**",
    "/private/var/tmp/**",
];

/// A named predicate over process records. All conditions that are set have to hold; a rule without any
/// matches nothing.
///
/// ```
/// use daemoneye_agent::rules::{Rule, globs};
/// let rule = Rule {
///     names: Some(globs(&["nc", "ncat*"])?),
///     user_ids: vec![0],
///     ..Rule::new("listener-of-root")
/// };
/// assert_eq!(rule.name, "listener-of-root");
/// # Ok::<(), daemoneye_agent::rules::GlobError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rule {
    /// Name, as alerts show it.
    pub name: String,
    /// Its name matches one of these globs.
    pub names: Option<GlobSet>,
    /// The path of its executable matches one of these globs.
    pub executables: Option<GlobSet>,
    /// It runs as one of these users; empty for any.
    pub user_ids: Vec<u32>,
    /// It uses more than this share of one CPU, in percent.
    pub cpu_percent_over: Option<f64>,
    /// It holds more memory than this, in bytes.
    pub memory_bytes_over: Option<u64>,
    /// What has become of the file that it runs.
    pub on_disk: Option<OnDisk>,
}

/// What has become of the file that a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDisk {
    /// It is not there any more.
    Deleted,
    /// Another file is in its place.
    Replaced,
}

/// Why a glob is none.
pub use globset::Error as GlobError;

/// Globs for a [`Rule`]: `*` within a name, `**` across names, `?` one character.
///
/// # Errors
/// For the first glob that is none.
pub fn globs(globs: &[&str]) -> Result<GlobSet, GlobError> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(GlobBuilder::new(glob).literal_separator(true).build()?);
    }
    set.build()
}

/// The rules that are in force unless the program says otherwise: executables that were deleted or
/// replaced under a running process, and executables where every user may put them.
///
/// # Errors
/// None with the globs that are built in.
pub fn defaults() -> Result<Vec<Rule>, GlobError> {
    Ok(vec![
        Rule {
            on_disk: Some(OnDisk::Deleted),
            ..Rule::new("executable-deleted")
        },
        Rule {
            on_disk: Some(OnDisk::Replaced),
            ..Rule::new("executable-replaced")
        },
        Rule {
            executables: Some(globs(&WORLD_WRITABLE)?),
            ..Rule::new("executable-in-temporary-directory")
        },
    ])
}

impl Rule {
    /// A rule without conditions.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            names: None,
            executables: None,
            user_ids: Vec::new(),
            cpu_percent_over: None,
            memory_bytes_over: None,
            on_disk: None,
        }
    }

    /// Why `process` matches, for people; `None` if it does not.
    #[must_use]
    pub fn matches(&self, process: &ProcessRecord) -> Option<String> {
        let mut reasons = Vec::new();
        let path = process.executable_path.as_deref();
        if let Some(names) = &self.names {
            reasons.push(
                names
                    .is_match(&process.name)
                    .then(|| format!("it is named {:?}", process.name))?,
            );
        }
        if let Some(globs) = &self.executables {
            let path = path.filter(|path| globs.is_match(path))?;
            reasons.push(format!("it runs {path}"));
        }
        if !self.user_ids.is_empty() {
            let user = process
                .user_id
                .filter(|user| self.user_ids.contains(user))?;
            reasons.push(format!("it runs as user {user}"));
        }
        if let Some(limit) = self.cpu_percent_over {
            let share = process.cpu_percent.filter(|share| *share > limit)?;
            reasons.push(format!("it uses {share:.0} % of a CPU, over {limit:.0} %"));
        }
        if let Some(limit) = self.memory_bytes_over {
            let bytes = process.memory_bytes.filter(|bytes| *bytes > limit)?;
            reasons.push(format!("it holds {bytes} bytes of memory, over {limit}"));
        }
        if let Some(on_disk) = self.on_disk {
            reasons.push(on_disk.matches(process, path?)?);
        }
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// Whether it is about something that changes without an event.
    pub(crate) const fn needs_looks(&self) -> bool {
        self.cpu_percent_over.is_some() || self.memory_bytes_over.is_some()
    }
}

impl OnDisk {
    fn matches(self, process: &ProcessRecord, path: &str) -> Option<String> {
        match self {
            Self::Deleted if !process.file_exists => {
                Some(format!("the file that it runs was deleted: {path}"))
            }
            Self::Replaced if process.on_disk_mismatch => Some(format!(
                "another file has taken the place of the one that it runs: {path}"
            )),
            Self::Deleted | Self::Replaced => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(path: &str) -> ProcessRecord {
        ProcessRecord {
            pid: 7,
            name: "tool".to_owned(),
            executable_path: Some(path.to_owned()),
            file_exists: true,
            accessible: true,
            user_id: Some(1000),
            cpu_percent: Some(50.0),
            memory_bytes: Some(1000),
            ..ProcessRecord::default()
        }
    }

    fn matching(process: &ProcessRecord) -> Vec<String> {
        let rules = defaults().expect("rules");
        let matching = rules
            .into_iter()
            .filter(|rule| rule.matches(process).is_some());
        matching.map(|rule| rule.name).collect()
    }

    #[test]
    fn the_defaults_match_what_they_are_named_after() {
        assert!(matching(&record("/usr/bin/tool")).is_empty());
        let deleted = ProcessRecord {
            file_exists: false,
            ..record("/usr/bin/tool")
        };
        assert_eq!(matching(&deleted), ["executable-deleted"]);
        let replaced = ProcessRecord {
            on_disk_mismatch: true,
            ..record("/usr/bin/tool")
        };
        assert_eq!(matching(&replaced), ["executable-replaced"]);
        for path in ["/tmp/tool", "/tmp/a/b/tool", "/var/tmp/tool", "/dev/shm/x"] {
            assert_eq!(
                matching(&record(path)),
                ["executable-in-temporary-directory"],
                "{path}"
            );
        }
        for path in ["/home/tmp/tool", "/tmpfs/tool", "/usr/tmp"] {
            assert!(matching(&record(path)).is_empty(), "{path}");
        }
    }

    #[test]
    fn what_is_not_known_matches_nothing() {
        // As a kernel thread, or another user's process, looks.
        let bare = ProcessRecord {
            pid: 2,
            name: "kthreadd".to_owned(),
            ..ProcessRecord::default()
        };
        assert!(matching(&bare).is_empty());
        let strict = Rule {
            cpu_percent_over: Some(-1.0),
            ..Rule::new("cpu")
        };
        assert_eq!(strict.matches(&bare), None);
        let strict = Rule {
            user_ids: vec![0],
            ..Rule::new("user")
        };
        assert_eq!(strict.matches(&bare), None);
        assert_eq!(Rule::new("empty").matches(&record("/bin/x")), None);
    }

    #[test]
    fn all_conditions_have_to_hold_and_are_told() {
        let rule = Rule {
            names: Some(globs(&["t*"]).expect("globs")),
            executables: Some(globs(&["/opt/**"]).expect("globs")),
            user_ids: vec![0, 1000],
            cpu_percent_over: Some(40.0),
            memory_bytes_over: Some(999),
            ..Rule::new("all")
        };
        let matched = rule.matches(&record("/opt/a/tool")).expect("a match");
        for part in ["\"tool\"", "/opt/a/tool", "user 1000", "50 %", "1000 bytes"] {
            assert!(matched.contains(part), "{matched}");
        }
        for other in [
            ProcessRecord {
                name: "x".to_owned(),
                ..record("/opt/a/tool")
            },
            record("/usr/tool"),
            ProcessRecord {
                user_id: Some(1),
                ..record("/opt/a/tool")
            },
            ProcessRecord {
                cpu_percent: Some(40.0),
                ..record("/opt/a/tool")
            },
            ProcessRecord {
                memory_bytes: Some(999),
                ..record("/opt/a/tool")
            },
        ] {
            assert_eq!(rule.matches(&other), None, "{other:?}");
        }
        assert!(rule.needs_looks());
    }
}
