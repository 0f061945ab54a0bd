//! Reads the `ipc:` section of a YAML file.
//!
//! **Invariant**: other sections of the file are read past and never judged.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
// Maintained, without unsafe code, and its errors and values carry their lines.
use serde_saphyr::{Error, NonFiniteFloatPolicy, Spanned};

use super::{
    IpcConfig,
    check::{self, Origins, wrong},
};
use crate::error::IpcError;

const SECTION: &str = "ipc";

/// The file: one section is ours.
#[derive(Deserialize, Default)]
struct Document<T> {
    ipc: Option<T>,
}

/// Reads `text` and notes in `origins` on which line of `source` each key is.
pub(super) fn read(text: &str, source: &str, origins: &mut Origins) -> Result<IpcConfig, IpcError> {
    let lines = key_lines(text);
    for (key, line) in &lines {
        origins.insert(key.clone(), place(source, *line, Some(key)));
    }
    let document: Option<Document<IpcConfig>> =
        serde_saphyr::from_str(text).map_err(|error| describe(&error, source, &lines))?;
    Ok(document
        .and_then(|document| document.ipc)
        .unwrap_or_default())
}

fn describe(error: &Error, source: &str, lines: &BTreeMap<String, u64>) -> IpcError {
    // The text is a line of its own, without the excerpt of the file and without the position.
    let error = error.without_snippet();
    let text = error.to_string();
    let Some(at) = error.location().filter(|location| location.line() > 0) else {
        return wrong(Some(source.to_owned()), text);
    };
    let (line, position) = (
        at.line(),
        format!(" at line {}, column {}", at.line(), at.column()),
    );
    let message = text.strip_suffix(&position).unwrap_or(&text);
    // The innermost key of the line: a section's own line may hold a value that should be a mapping.
    let key = lines
        .iter()
        .filter(|(_, at)| **at == line)
        .map(|(key, _)| key)
        .max_by_key(|key| key.len());
    let allowed = key
        .and_then(|key| check::allowed(key))
        .map(|allowed| format!("; {allowed}"));
    wrong(
        Some(place(source, line, key)),
        format!("{message}{}", allowed.unwrap_or_default()),
    )
}

fn place(source: &str, line: u64, key: Option<&String>) -> String {
    match key {
        Some(key) => format!("{source}:{line}: {SECTION}.{key}"),
        None => format!("{source}:{line}"),
    }
}

/// The line of each key of our section, by its path. Empty if the text is no YAML: the reading of the
/// values says so, and better.
fn key_lines(text: &str) -> BTreeMap<String, u64> {
    let mut lines = BTreeMap::new();
    let options = serde_saphyr::options! {
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
    };
    let document: Result<Option<Document<Node>>, _> =
        serde_saphyr::from_str_with_options(text, options);
    if let Ok(Some(Document { ipc: Some(node) })) = document {
        node.collect("", &mut lines);
    }
    lines
}

/// A value of which only the keys matter.
struct Node(Vec<(Spanned<String>, Self)>);

impl Node {
    fn collect(&self, prefix: &str, lines: &mut BTreeMap<String, u64>) {
        for (key, value) in &self.0 {
            let path = format!("{prefix}{}", key.value);
            value.collect(&format!("{path}."), lines);
            lines.insert(path, key.referenced.line());
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

/// Scalars have no keys.
macro_rules! scalars {
    ($($visit:ident($type:ty)),*) => {$(
        fn $visit<E>(self, _: $type) -> Result<Node, E> {
            Ok(Node(Vec::new()))
        }
    )*};
}

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    scalars!(
        visit_bool(bool),
        visit_i64(i64),
        visit_u64(u64),
        visit_i128(i128),
        visit_u128(u128)
    );
    scalars!(visit_f64(f64), visit_str(&str), visit_bytes(&[u8]));

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node(Vec::new()))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node(Vec::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Node, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Node(Vec::new()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node(entries))
    }
}
