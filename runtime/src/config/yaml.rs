//! Reads the `ipc:` section of a YAML file.
//!
//! **Invariant**: other sections of the file are read past and never judged.

mod tree;

use std::{collections::HashMap, ffi::OsString};

use self::tree::{Entry, Node};
use super::{
    IpcConfig,
    check::{self, Origins, wrong},
    env,
};
use crate::error::IpcError;

const SECTION: &str = "ipc";

/// What a mapping takes over from another one.
const MERGE: &str = "<<";

/// Reads `text` and notes in `origins` on which line of `source` each key is.
pub(super) fn read(text: &str, source: &str, origins: &mut Origins) -> Result<IpcConfig, IpcError> {
    let root = tree::parse(text)
        .map_err(|(line, message)| wrong(Some(format!("{source}:{line}")), message))?;
    let mut reader = Reader {
        source,
        origins,
        keys: env::keys(),
        config: IpcConfig::default(),
    };
    match &*root {
        Node::Mapping { entries, .. } => {
            for entry in reader.entries(entries, None)? {
                if entry.key == SECTION {
                    reader.section(entry, "")?;
                }
            }
        }
        node if node.is_null() => {}
        _ => {
            return Err(wrong(
                Some(format!("{source}:1")),
                "expected sections, each with a name",
            ));
        }
    }
    Ok(reader.config)
}

struct Reader<'a> {
    source: &'a str,
    origins: &'a mut Origins,
    /// All settings there are.
    keys: Vec<String>,
    config: IpcConfig,
}

impl Reader<'_> {
    /// Sets what is in a section; `path` is its name with a dot behind it, and empty for the outermost.
    fn section(&mut self, section: &Entry, path: &str) -> Result<(), IpcError> {
        let entries = match &*section.value {
            Node::Mapping { entries, .. } => entries,
            node if node.is_null() => return Ok(()),
            _ => {
                let key = path.strip_suffix('.');
                let message = "expected settings, each with a name and a value";
                return Err(self.wrong(section.line, key, message));
            }
        };
        for entry in self.entries(entries, Some(path))? {
            let key = format!("{path}{}", entry.key);
            let below = format!("{key}.");
            if self.keys.contains(&key) {
                self.setting(entry, &key)?;
            } else if self.keys.iter().any(|known| known.starts_with(&below)) {
                self.section(entry, &below)?;
            } else {
                return Err(self.unknown(entry, path));
            }
        }
        Ok(())
    }

    fn setting(&mut self, entry: &Entry, key: &str) -> Result<(), IpcError> {
        let set = match &*entry.value {
            node if node.is_null() => Err("no value is given".to_owned()),
            Node::Scalar { text, .. } => {
                // `0o660` is a mode in the setting of one, and a number in that of another.
                let text = match env::is_number(key) {
                    true => decimal(text),
                    false => text.clone(),
                };
                env::set(&mut self.config, key, OsString::from(text))
            }
            Node::Mapping { .. } | Node::Other => Err("expected one value".to_owned()),
        };
        set.map_err(|message| {
            let allowed = check::allowed(key).map(|allowed| format!("; {allowed}"));
            self.wrong(
                entry.line,
                Some(key),
                &(message + &allowed.unwrap_or_default()),
            )
        })?;
        self.origins
            .insert(key.to_owned(), self.place(entry.line, Some(key)));
        Ok(())
    }

    /// The entries of a mapping, none of them twice, after those that it takes over from another one.
    /// `path` is that of a section of ours; names are not judged elsewhere, but for ours.
    fn entries<'t>(
        &self,
        entries: &'t [Entry],
        path: Option<&str>,
    ) -> Result<Vec<&'t Entry>, IpcError> {
        let mut lines = HashMap::new();
        for entry in entries {
            let judged = path.is_some() || entry.key == SECTION;
            if let Some(earlier) = lines.insert(&entry.key, entry.line).filter(|_| judged) {
                let key = path.map(|path| format!("{path}{}", entry.key));
                let message = format!("`{}` is already on line {earlier}", entry.key);
                return Err(self.wrong(entry.line, key.as_deref(), &message));
            }
        }
        let mut found: Vec<&Entry> = Vec::new();
        for entry in entries {
            match &*entry.value {
                Node::Mapping {
                    entries: merged, ..
                } if entry.key == MERGE && path.is_some() => {
                    let merged = self.entries(merged, path)?;
                    let new = |merged: &&Entry| !lines.contains_key(&merged.key);
                    found.extend(merged.into_iter().filter(new));
                }
                _ => found.push(entry),
            }
        }
        Ok(found)
    }

    fn unknown(&self, entry: &Entry, path: &str) -> IpcError {
        let mut known: Vec<String> = self
            .keys
            .iter()
            .filter_map(|key| key.strip_prefix(path)?.split('.').next())
            .map(|name| format!("`{name}`"))
            .collect();
        known.dedup();
        let key = format!("{path}{}", entry.key);
        let message = format!(
            "unknown field `{}`, expected one of {}",
            entry.key,
            known.join(", ")
        );
        self.wrong(entry.line, Some(&key), &message)
    }

    fn wrong(&self, line: usize, key: Option<&str>, message: &str) -> IpcError {
        wrong(Some(self.place(line, key)), message)
    }

    fn place(&self, line: usize, key: Option<&str>) -> String {
        let source = self.source;
        match key {
            Some(key) => format!("{source}:{line}: {SECTION}.{key}"),
            None => format!("{source}:{line}"),
        }
    }
}

/// A number of YAML as everybody writes it; other text as it is.
fn decimal(text: &str) -> String {
    let radix = |prefix: &str, radix| {
        let digits = text.strip_prefix(prefix)?;
        u64::from_str_radix(digits, radix).ok()
    };
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return number.to_string();
    }
    let starts_like_one = text.starts_with(['+', '.']) || text.ends_with('.');
    match text.parse::<f64>() {
        Ok(number) if starts_like_one && number.is_finite() => number.to_string(),
        _ => text.to_owned(),
    }
}
