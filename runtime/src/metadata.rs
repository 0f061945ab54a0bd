//! Key-value pairs that travel beside a message: request metadata and trailers.
//!
//! **Invariant**: order and duplicates are kept as sent. Values are never printed, in `Debug` neither.

use std::fmt;

use bytes::Bytes;

use crate::schema::ipc::v1::Metadata as Entry;

/// An ordered list of key-value pairs. Keys are text, values are bytes; a key may occur more than once.
///
/// ```
/// let mut metadata = daemoneye_ipc::Metadata::new();
/// metadata.insert("trace-id", "4bf92f35");
/// assert_eq!(metadata.value("trace-id"), Some(&b"4bf92f35"[..]));
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Metadata {
    entries: Vec<Entry>,
}

impl Metadata {
    /// An empty list; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// Appends a pair, keeping earlier ones of the same key.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Bytes>) {
        self.entries.push(Entry {
            key: key.into(),
            value: value.into(),
        });
    }

    /// The first value of `key`.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        self.iter().find(|(k, _)| *k == key).map(|(_, value)| value)
    }

    /// The first value of `key`, if it is UTF-8 text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.value(key)
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All pairs in the order in which they were inserted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries
            .iter()
            .map(|entry| (entry.key.as_str(), entry.value.as_ref()))
    }

    /// Number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all keys and values together.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.entries
            .iter()
            .map(|entry| entry.key.len() + entry.value.len())
            .sum()
    }

    pub(crate) const fn from_entries(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.iter()
                    .map(|(key, value)| (key, format!("{} bytes", value.len()))),
            )
            .finish()
    }
}

impl<K: Into<String>, V: Into<Bytes>> FromIterator<(K, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut metadata = Self::new();
        for (key, value) in pairs {
            metadata.insert(key, value);
        }
        metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_names_keys_and_hides_values() {
        let metadata: Metadata = [("token", "secret")].into_iter().collect();
        let text = format!("{metadata:?}");
        assert!(text.contains("token") && text.contains("6 bytes") && !text.contains("secret"));
    }

    #[test]
    fn the_first_of_equal_keys_is_found_and_all_are_kept() {
        let metadata: Metadata = [("a", "1"), ("a", "2")].into_iter().collect();
        assert_eq!(metadata.text("a"), Some("1"));
        assert_eq!((metadata.len(), metadata.byte_len()), (2, 4));
    }
}
