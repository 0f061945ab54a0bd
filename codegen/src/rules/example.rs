//! Examples of rules: the folders that their tests look at, built in.
//!
//! **Invariant**: what is shown is what is tested; no example is written twice.

use include_dir::{Dir, DirEntry};

/// Schemas of which a rule says something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Example {
    /// The earlier schemas, by path in its order; nothing for rules on one schema alone.
    pub before: Vec<(&'static str, &'static str)>,
    /// A release in between, for rules on all releases, by path in its order.
    pub between: Vec<(&'static str, &'static str)>,
    /// The schemas that are checked, by path in its order.
    pub after: Vec<(&'static str, &'static str)>,
    /// What is said: of evolution a JSON line for each finding, of lint a line of place, rule and message.
    pub said: Vec<&'static str>,
}

impl Example {
    /// The example of a rule of evolution, with the folders `before` and `after`, and `between` where there is one.
    pub(crate) fn of_change(folder: &'static Dir<'static>) -> Self {
        let below = |name: &str| folder.get_dir(folder.path().join(name)).map(schemas);
        Self {
            before: below("before").unwrap_or_default(),
            between: below("between").unwrap_or_default(),
            after: below("after").unwrap_or_default(),
            said: said(folder, "expected.jsonl"),
        }
    }

    /// The example of a rule of lint.
    pub(crate) fn of_schema(folder: &'static Dir<'static>) -> Self {
        Self {
            before: Vec::new(),
            between: Vec::new(),
            after: schemas(folder),
            said: said(folder, "found.txt"),
        }
    }
}

/// The schemas in a folder, by path relative to it.
fn schemas(folder: &'static Dir<'static>) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    let mut open = vec![folder];
    while let Some(inner) = open.pop() {
        for entry in inner.entries() {
            match entry {
                DirEntry::Dir(inner) => open.push(inner),
                DirEntry::File(file) => {
                    let path = file.path().strip_prefix(folder.path()).ok();
                    let path = path.and_then(|path| path.to_str());
                    let path = path.filter(|path| path.ends_with(".proto"));
                    found.extend(path.zip(file.contents_utf8()));
                }
            }
        }
    }
    found.sort_unstable();
    found
}

fn said(folder: &'static Dir<'static>, name: &str) -> Vec<&'static str> {
    let file = folder.get_file(folder.path().join(name));
    let text = file.and_then(|file| file.contents_utf8());
    text.unwrap_or_default().lines().collect()
}
