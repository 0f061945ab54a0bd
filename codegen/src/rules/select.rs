//! Which rules apply: `use` and `except` by id and category.
//!
//! **Invariant**: a name that stands for no rule is an error, never ignored.

use std::collections::BTreeSet;

use super::Rule;
use crate::error::Error;
use crate::spelling::nearest;

/// What a configuration or a command line says about which rules apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Ids and categories to apply; empty for the default.
    pub used: Vec<String>,
    /// Ids and categories to leave out.
    pub except: Vec<String>,
}

/// The names of a set of rules.
#[derive(Debug)]
pub struct Names<'a> {
    /// All rules.
    pub rules: Vec<&'static Rule>,
    /// Former ids and categories, each with the ids and categories that took its place.
    pub replaced: &'a [(&'a str, &'a [&'a str])],
    /// Categories that apply where nothing is chosen.
    pub default: &'a [&'a str],
}

impl Names<'_> {
    /// The rules that `selection` asks for.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a name that is neither id nor category.
    pub fn select(&self, selection: &Selection) -> Result<Vec<&'static Rule>, Error> {
        let used = if selection.used.is_empty() {
            self.ids(self.default)?
        } else {
            self.ids(&selection.used)?
        };
        let except = self.ids(&selection.except)?;
        let applies = |rule: &&Rule| used.contains(rule.id) && !except.contains(rule.id);
        Ok(self.rules.iter().copied().filter(applies).collect())
    }

    /// The ids that `names`, ids and categories, stand for.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a name that is neither.
    pub fn ids(&self, names: &[impl AsRef<str>]) -> Result<BTreeSet<&'static str>, Error> {
        let mut ids = BTreeSet::new();
        for name in names {
            let name = name.as_ref();
            let known = ids.len();
            if let Some((_, by)) = self.replaced.iter().find(|(old, _)| *old == name) {
                ids.extend(self.ids(by)?);
                continue;
            }
            let meant = |rule: &&&Rule| rule.id == name || rule.categories.contains(&name);
            let mut rules = self.rules.iter().filter(meant).peekable();
            if rules.peek().is_none() {
                return Err(self.unknown(name));
            }
            ids.extend(rules.map(|rule| rule.id));
            debug_assert!(ids.len() >= known);
        }
        Ok(ids)
    }

    fn unknown(&self, name: &str) -> Error {
        let ids = self.rules.iter().map(|rule| rule.id);
        let categories = self
            .rules
            .iter()
            .flat_map(|rule| rule.categories.iter().copied());
        let names: BTreeSet<&str> = ids.chain(categories).collect();
        let help = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let categories: BTreeSet<&str> = self
                    .rules
                    .iter()
                    .flat_map(|rule| rule.categories)
                    .copied()
                    .collect();
                let categories: Vec<&str> = categories.into_iter().collect();
                format!("the categories are {}", categories.join(", "))
            }
        };
        Error::usage(format!("`{name}` is no rule and no category"), help)
    }
}
