//! Rules files: read, with the line of each rule.
//!
//! **Invariant**: what is wrong with a file is said with its line, and a file is read to its end before
//! anything is done with it.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
};

use daemoneye_ipc::bytes::Bytes;
use daemoneye_ipc_generated::agent::v1::{OnDisk, Rule};
use serde::{Deserialize, Deserializer, de};
use serde_saphyr::Spanned;

use crate::failure::Failure;

/// Bytes of the largest file that is read; far more than an agent takes.
const LARGEST: u64 = 8 << 20;

/// The content of a rules file.
#[derive(Debug)]
pub(crate) struct RulesFile {
    /// What to call the file, and its rules if it does not say.
    path: String,
    /// Name of the set.
    pub(crate) name: String,
    /// The rules, with the line on which each begins.
    pub(crate) rules: Vec<(u64, Rule)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: Option<String>,
    rules: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    #[serde(default)]
    name_globs: Vec<String>,
    #[serde(default)]
    executable_globs: Vec<String>,
    #[serde(default)]
    user_ids: Vec<u32>,
    cpu_percent_over: Option<f64>,
    memory_bytes_over: Option<u64>,
    #[serde(default)]
    allowed_hashes: Vec<Hash>,
    #[serde(default)]
    forbidden_hashes: Vec<Hash>,
    on_disk: Option<Fate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Fate {
    Deleted,
    Replaced,
}

/// A SHA-256, in hex.
struct Hash(Bytes);

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Hash;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a SHA-256: 64 hexadecimal digits, in quotes")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Hash, E> {
                bytes(text).map(Hash).ok_or_else(|| {
                    E::custom(format!(
                        "{text:?} is no SHA-256, which has 64 hexadecimal digits"
                    ))
                })
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

fn bytes(hex: &str) -> Option<Bytes> {
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let pairs = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
    let digits = |pair: &str| {
        let plain = pair.chars().all(|digit| digit.is_ascii_hexdigit());
        u8::from_str_radix(pair, 16).ok().filter(|_| plain)
    };
    pairs.map(digits).collect()
}

impl RulesFile {
    /// Reads the file at `path`; `-` is standard input.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let mut text = String::new();
        let (name, read) = if path.as_os_str() == "-" {
            let read = io::stdin()
                .lock()
                .take(LARGEST + 1)
                .read_to_string(&mut text);
            ("standard input".to_owned(), read)
        } else {
            let open = File::open(path);
            let read = open.and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text));
            (path.display().to_string(), read)
        };
        match read {
            Ok(size) if size as u64 <= LARGEST => {}
            Ok(_) => return Err(wrong(&name, &format!("more than {LARGEST} bytes"))),
            Err(error) => return Err(wrong(&name, &error.to_string())),
        }
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        Self::parse(&name, stem.filter(|stem| *stem != "-"), &text)
    }

    fn parse(path: &str, stem: Option<&str>, text: &str) -> Result<Self, Failure> {
        let document: Document =
            serde_saphyr::from_str(text).map_err(|error| misread(path, &error))?;
        let rules = document.rules.into_iter();
        let rules = rules.map(|entry| (entry.referenced.line(), entry.value.into()));
        Ok(Self {
            path: path.to_owned(),
            name: document
                .name
                .unwrap_or_else(|| stem.unwrap_or("rules").to_owned()),
            rules: rules.collect(),
        })
    }

    /// Where rule `index` is.
    pub(crate) fn place(&self, index: u32) -> String {
        let rule = usize::try_from(index)
            .ok()
            .and_then(|index| self.rules.get(index));
        match rule {
            Some((line, _)) => format!("{}:{line}", self.path),
            None => self.path.clone(),
        }
    }
}

impl From<Entry> for Rule {
    fn from(entry: Entry) -> Self {
        let hashes = |hashes: Vec<Hash>| hashes.into_iter().map(|hash| hash.0).collect();
        let on_disk = match entry.on_disk {
            None => OnDisk::Unspecified,
            Some(Fate::Deleted) => OnDisk::Deleted,
            Some(Fate::Replaced) => OnDisk::Replaced,
        };
        Self {
            name: entry.name,
            name_globs: entry.name_globs,
            executable_globs: entry.executable_globs,
            user_ids: entry.user_ids,
            cpu_percent_over: entry.cpu_percent_over,
            memory_bytes_over: entry.memory_bytes_over,
            allowed_hashes: hashes(entry.allowed_hashes),
            forbidden_hashes: hashes(entry.forbidden_hashes),
            on_disk: on_disk.into(),
        }
    }
}

fn misread(path: &str, error: &serde_saphyr::Error) -> Failure {
    // The text is a line of its own, without the excerpt of the file and without the position.
    let error = error.without_snippet();
    let text = error.to_string();
    let Some(at) = error.location().filter(|location| location.line() > 0) else {
        return wrong(path, &text);
    };
    let position = format!(" at line {}, column {}", at.line(), at.column());
    let message = text.strip_suffix(&position).unwrap_or(&text);
    wrong(&format!("{path}:{}:{}", at.line(), at.column()), message)
}

fn wrong(place: &str, what: &str) -> Failure {
    Failure::Usage {
        message: format!("{place}: {what}"),
        hint: "`daemoneye-cli rules upload --help` shows what a rules file looks like".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# The rules of this machine.
name: baseline
rules:
  - name: listener
    name_globs: [nc, 'ncat*']
    user_ids: [0]

  - name: sshd
    executable_globs: [/usr/sbin/sshd]
    allowed_hashes:
      - 'BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    cpu_percent_over: 50
    on_disk: replaced
";

    #[test]
    fn rules_are_read_with_their_lines() {
        let file = RulesFile::parse("r.yaml", Some("r"), FILE).expect("right");
        assert_eq!((file.name.as_str(), file.rules.len()), ("baseline", 2));
        assert_eq!(
            (file.place(0), file.place(1)),
            ("r.yaml:4".into(), "r.yaml:8".into())
        );
        assert_eq!(file.place(7), "r.yaml");
        let (_, sshd) = &file.rules[1];
        assert_eq!(sshd.allowed_hashes[0][..2], [0xba, 0x78]);
        assert_eq!(sshd.cpu_percent_over, Some(50.0));
        assert_eq!(sshd.on_disk(), OnDisk::Replaced);
        // JSON is read alike, and a set without a name is called as its file.
        let json = r#"{"rules": [{"name": "a", "user_ids": [1]}]}"#;
        let file = RulesFile::parse("x.json", Some("x"), json).expect("right");
        assert_eq!(
            (file.name.as_str(), file.place(0)),
            ("x", "x.json:1".into())
        );
    }

    #[test]
    fn mistakes_are_told_with_their_lines() {
        let wrong = [
            ("rules: [", "r.yaml:1:"),
            ("rules:\n  - name: a\n    globs: [x]\n", "r.yaml:3:"),
            ("rules:\n  - user_ids: [1]\n", "name"),
            ("rules:\n  - name: a\n    user_ids: [-1]\n", "r.yaml:3:"),
            ("rules:\n  - name: a\n    on_disk: moved\n", "r.yaml:3:"),
            (
                "rules:\n  - name: a\n    allowed_hashes: [abc]\n",
                "64 hexadecimal",
            ),
            ("rule: []\n", "rule"),
            ("", "r.yaml"),
        ];
        for (text, part) in wrong {
            let error = RulesFile::parse("r.yaml", None, text).expect_err(text);
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(part), "{text}: {error}");
            assert!(!error.to_string().contains('\n'), "one line: {error}");
        }
        let missing = RulesFile::read(Path::new("/nowhere/r.yaml")).expect_err("not there");
        assert!(missing.to_string().contains("/nowhere/r.yaml"), "{missing}");
    }
}
