//! Rules: named predicates over process records.
//!
//! **Invariant**: a rule never matches on what could not be read, and a rule that exists is right: all of
//! it was judged when it was made.

use std::collections::HashSet;

use daemoneye_ipc::bytes::Bytes;
use daemoneye_ipc_generated::{agent::v1::OnDisk, procmond::v1::ProcessRecord};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Directories that every user may put programs into.
const WORLD_WRITABLE: [&str; 5] = [
    "/tmp/**",
    "/var/tmp/**",
    "/dev/shm/**",
    "/private/tmp/**",
    "/private/var/tmp/**",
];

/// Longest name of a rule, and of a set of rules, in bytes.
const NAME_BYTES: usize = 128;

/// Globs of one rule.
const GLOBS: usize = 64;

/// Longest glob in bytes.
const GLOB_BYTES: usize = 1024;

/// Bytes of a SHA-256.
const HASH_BYTES: usize = 32;

/// A rule that was judged and is ready to match.
///
/// ```
/// use daemoneye_agent::rules::{Definition, Rule};
/// let definition = Definition {
///     name: "listener-of-root".to_owned(),
///     name_globs: vec!["nc".to_owned(), "ncat*".to_owned()],
///     user_ids: vec![0],
///     ..Definition::default()
/// };
/// assert_eq!(Rule::new(definition)?.name(), "listener-of-root");
/// let error = Rule::new(Definition::default()).expect_err("no name");
/// assert!(error.to_string().contains("name"));
/// # Ok::<(), daemoneye_agent::rules::RuleError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rule {
    definition: Definition,
    names: Option<GlobSet>,
    executables: Option<GlobSet>,
    on_disk: OnDisk,
    hashes: Option<Hashes>,
}

/// What a rule says of hashes of executables.
#[derive(Debug, Clone)]
enum Hashes {
    Allowed(HashSet<Bytes>),
    Forbidden(HashSet<Bytes>),
}

/// A rule as the schema has it.
pub use daemoneye_ipc_generated::agent::v1::Rule as Definition;

/// Why a rule is none: what is wrong, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RuleError(String);

/// What a rule says of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It does not match, or it cannot be known.
    No,
    /// It depends on the hash of the executable, which the record does not have.
    NeedsHash,
    /// It matches: why, for people.
    Match(String),
}

/// The rules that are in force unless the program says otherwise: executables that were deleted or
/// replaced under a running process, and executables where every user may put them.
///
/// # Errors
/// None with the rules that are built in.
pub fn defaults() -> Result<Vec<Rule>, RuleError> {
    let named = |name: &str| Definition {
        name: name.to_owned(),
        ..Definition::default()
    };
    let definitions = [
        Definition {
            on_disk: OnDisk::Deleted.into(),
            ..named("executable-deleted")
        },
        Definition {
            on_disk: OnDisk::Replaced.into(),
            ..named("executable-replaced")
        },
        Definition {
            executable_globs: WORLD_WRITABLE.map(str::to_owned).into(),
            ..named("executable-in-temporary-directory")
        },
    ];
    definitions.into_iter().map(Rule::new).collect()
}

/// Judges the name of a rule or of a set of rules; `what` says which.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), RuleError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > NAME_BYTES || !name.chars().all(allowed) {
        return Err(RuleError(format!(
            "the name of a {what} has 1 to {NAME_BYTES} letters, digits, `.`, `_` and `-`"
        )));
    }
    Ok(())
}

impl Rule {
    /// Judges a rule and makes it ready.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn new(definition: Definition) -> Result<Self, RuleError> {
        check_name("rule", &definition.name)?;
        let globs = definition.name_globs.len() + definition.executable_globs.len();
        if globs > GLOBS {
            return Err(RuleError(format!(
                "it has {globs} globs; at most {GLOBS} are allowed"
            )));
        }
        if let Some(share) = definition.cpu_percent_over
            && !(share.is_finite() && share >= 0.0)
        {
            return Err(RuleError(format!(
                "cpu_percent_over is {share}; it is a share of one CPU in percent, from 0"
            )));
        }
        let Ok(on_disk) = OnDisk::try_from(definition.on_disk) else {
            return Err(RuleError(format!(
                "on_disk is {}, which is not known here; it is ON_DISK_DELETED or ON_DISK_REPLACED",
                definition.on_disk
            )));
        };
        let rule = Self {
            names: globset("name_globs", &definition.name_globs)?,
            executables: globset("executable_globs", &definition.executable_globs)?,
            on_disk,
            hashes: hashes(&definition)?,
            definition,
        };
        if rule.is_empty() {
            return Err(RuleError(
                "it has no condition, and would match nothing; set at least one".to_owned(),
            ));
        }
        Ok(rule)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// What it was made of.
    #[must_use]
    pub const fn definition(&self) -> &Definition {
        &self.definition
    }

    const fn is_empty(&self) -> bool {
        self.names.is_none()
            && self.executables.is_none()
            && self.definition.user_ids.is_empty()
            && self.definition.cpu_percent_over.is_none()
            && self.definition.memory_bytes_over.is_none()
            && matches!(self.on_disk, OnDisk::Unspecified)
            && self.hashes.is_none()
    }

    /// What it says of `process`.
    #[must_use]
    pub fn judge(&self, process: &ProcessRecord) -> Verdict {
        let Some(mut reasons) = self.reasons(process) else {
            return Verdict::No;
        };
        if let Some(hashes) = &self.hashes {
            if process.executable_path.is_none() {
                return Verdict::No;
            }
            if process.executable_hash.is_empty() {
                return Verdict::NeedsHash;
            }
            match hashes.matches(&process.executable_hash) {
                Some(reason) => reasons.push(reason),
                None => return Verdict::No,
            }
        }
        Verdict::Match(reasons.join("; "))
    }

    /// Why all conditions but those about hashes hold; `None` if one does not.
    fn reasons(&self, process: &ProcessRecord) -> Option<Vec<String>> {
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
        let users = &self.definition.user_ids;
        if !users.is_empty() {
            let user = process.user_id.filter(|user| users.contains(user))?;
            reasons.push(format!("it runs as user {user}"));
        }
        if let Some(limit) = self.definition.cpu_percent_over {
            let share = process.cpu_percent.filter(|share| *share > limit)?;
            reasons.push(format!("it uses {share:.0} % of a CPU, over {limit:.0} %"));
        }
        if let Some(limit) = self.definition.memory_bytes_over {
            let bytes = process.memory_bytes.filter(|bytes| *bytes > limit)?;
            reasons.push(format!("it holds {bytes} bytes of memory, over {limit}"));
        }
        match self.on_disk {
            OnDisk::Unspecified => {}
            OnDisk::Deleted => {
                let path = path.filter(|_| !process.file_exists)?;
                reasons.push(format!("the file that it runs was deleted: {path}"));
            }
            OnDisk::Replaced => {
                let path = path.filter(|_| process.on_disk_mismatch)?;
                reasons.push(format!(
                    "another file has taken the place of the one that it runs: {path}"
                ));
            }
        }
        Some(reasons)
    }

    /// Whether it is about something that changes without an event.
    pub(crate) const fn needs_looks(&self) -> bool {
        self.definition.cpu_percent_over.is_some() || self.definition.memory_bytes_over.is_some()
    }
}

impl Hashes {
    fn matches(&self, hash: &Bytes) -> Option<String> {
        let hex = || -> String { hash.iter().map(|byte| format!("{byte:02x}")).collect() };
        match self {
            Self::Allowed(allowed) if !allowed.contains(hash) => Some(format!(
                "the SHA-256 of its executable is none of those allowed: {}",
                hex()
            )),
            Self::Forbidden(forbidden) if forbidden.contains(hash) => Some(format!(
                "the SHA-256 of its executable is forbidden: {}",
                hex()
            )),
            Self::Allowed(_) | Self::Forbidden(_) => None,
        }
    }
}

/// `*` within a name, `**` across names, `?` one character.
fn globset(field: &str, globs: &[String]) -> Result<Option<GlobSet>, RuleError> {
    if globs.is_empty() {
        return Ok(None);
    }
    let wrong = |error: globset::Error| RuleError(format!("{field}: {error}"));
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        if glob.is_empty() || glob.len() > GLOB_BYTES {
            return Err(RuleError(format!(
                "{field}: a glob has {} bytes; it has to have 1 to {GLOB_BYTES}",
                glob.len()
            )));
        }
        let built = GlobBuilder::new(glob).literal_separator(true).build();
        set.add(built.map_err(wrong)?);
    }
    set.build().map(Some).map_err(wrong)
}

fn hashes(definition: &Definition) -> Result<Option<Hashes>, RuleError> {
    let (allowed, forbidden) = (&definition.allowed_hashes, &definition.forbidden_hashes);
    let odd = allowed.iter().chain(forbidden);
    if let Some(odd) = odd.map(Bytes::len).find(|length| *length != HASH_BYTES) {
        return Err(RuleError(format!(
            "a hash has {odd} bytes; a SHA-256 has {HASH_BYTES}"
        )));
    }
    let set = |hashes: &[Bytes]| hashes.iter().cloned().collect();
    match (allowed.is_empty(), forbidden.is_empty()) {
        (true, true) => Ok(None),
        (false, true) => Ok(Some(Hashes::Allowed(set(allowed)))),
        (true, false) => Ok(Some(Hashes::Forbidden(set(forbidden)))),
        (false, false) => Err(RuleError(
            "it has allowed_hashes and forbidden_hashes; make two rules of it".to_owned(),
        )),
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

    fn named(name: &str) -> Definition {
        Definition {
            name: name.to_owned(),
            ..Definition::default()
        }
    }

    fn verdict(definition: Definition, process: &ProcessRecord) -> Verdict {
        Rule::new(definition).expect("a rule").judge(process)
    }

    fn matching(process: &ProcessRecord) -> Vec<String> {
        let rules = defaults().expect("rules");
        let matching = rules
            .into_iter()
            .filter(|rule| rule.judge(process) != Verdict::No);
        matching.map(|rule| rule.definition.name).collect()
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
    fn what_could_not_be_read_never_matches() {
        let bare = ProcessRecord {
            name: "tool".to_owned(),
            ..ProcessRecord::default()
        };
        assert!(matching(&bare).is_empty());
        let strict = [
            Definition {
                cpu_percent_over: Some(0.0),
                ..named("cpu")
            },
            Definition {
                user_ids: vec![0],
                ..named("user")
            },
            Definition {
                allowed_hashes: vec![vec![0; 32].into()],
                ..named("hash")
            },
        ];
        for definition in strict {
            assert_eq!(verdict(definition, &bare), Verdict::No);
        }
    }

    #[test]
    fn all_conditions_have_to_hold_and_are_told() {
        let all = Definition {
            name_globs: vec!["t*".to_owned()],
            executable_globs: vec!["/opt/**".to_owned()],
            user_ids: vec![0, 1000],
            cpu_percent_over: Some(40.0),
            memory_bytes_over: Some(999),
            ..named("all")
        };
        let rule = Rule::new(all).expect("a rule");
        let Verdict::Match(matched) = rule.judge(&record("/opt/a/tool")) else {
            panic!("no match")
        };
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
            assert_eq!(rule.judge(&other), Verdict::No, "{other:?}");
        }
        assert!(rule.needs_looks());
    }

    #[test]
    fn a_hash_is_asked_for_only_where_it_decides() {
        let with = |hash: u8| ProcessRecord {
            executable_hash: vec![hash; 32].into(),
            ..record("/opt/tool")
        };
        let only = |hashes: &[u8]| hashes.iter().map(|hash| vec![*hash; 32].into()).collect();
        let allowed = Definition {
            executable_globs: vec!["/opt/*".to_owned()],
            allowed_hashes: only(&[1, 2]),
            ..named("allowed")
        };
        assert_eq!(verdict(allowed.clone(), &with(2)), Verdict::No);
        assert!(
            matches!(verdict(allowed.clone(), &with(3)), Verdict::Match(why) if why.contains("0303"))
        );
        assert_eq!(
            verdict(allowed.clone(), &record("/opt/tool")),
            Verdict::NeedsHash
        );
        assert_eq!(verdict(allowed, &record("/bin/tool")), Verdict::No);
        let forbidden = Definition {
            forbidden_hashes: only(&[1, 2]),
            ..named("forbidden")
        };
        assert!(matches!(
            verdict(forbidden.clone(), &with(2)),
            Verdict::Match(_)
        ));
        assert_eq!(verdict(forbidden, &with(3)), Verdict::No);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let glob = |glob: &str| Definition {
            name_globs: vec![glob.to_owned()],
            ..named("a")
        };
        let wrong = [
            (named(""), "1 to 128"),
            (named("a b"), "letters"),
            (named(&"x".repeat(129)), "1 to 128"),
            (named("a"), "no condition"),
            (glob("["), "name_globs"),
            (glob(""), "0 bytes"),
            (glob(&"x".repeat(1025)), "1025 bytes"),
            (
                Definition {
                    name_globs: vec!["x".to_owned(); 65],
                    ..named("a")
                },
                "65 globs",
            ),
            (
                Definition {
                    cpu_percent_over: Some(f64::NAN),
                    ..named("a")
                },
                "NaN",
            ),
            (
                Definition {
                    on_disk: 9,
                    ..named("a")
                },
                "on_disk is 9",
            ),
            (
                Definition {
                    allowed_hashes: vec![vec![1; 20].into()],
                    ..named("a")
                },
                "20 bytes",
            ),
            (
                Definition {
                    allowed_hashes: vec![vec![1; 32].into()],
                    forbidden_hashes: vec![vec![1; 32].into()],
                    ..named("a")
                },
                "two rules",
            ),
        ];
        for (definition, part) in wrong {
            let error = Rule::new(definition).expect_err(part).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
