//! Regular expressions of rules.
//!
//! **Invariant**: a search takes time linear in the text; an expression is compiled once.

use std::{fmt, sync::OnceLock};

use regex_lite::Regex;

/// A regular expression that the generator found valid. Unanchored, ASCII classes, as in RE2.
pub struct Pattern {
    source: &'static str,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// The expression `source`, to be compiled at its first use.
    #[must_use]
    pub const fn new(source: &'static str) -> Self {
        Self {
            source,
            compiled: OnceLock::new(),
        }
    }

    /// The expression as the schema has it.
    #[must_use]
    pub const fn source(&self) -> &'static str {
        self.source
    }

    /// Whether `text` matches. An expression that does not compile matches nothing.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        let compiled = self.compiled.get_or_init(|| Regex::new(self.source).ok());
        compiled
            .as_ref()
            .is_some_and(|pattern| pattern.is_match(text))
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.source).finish()
    }
}
