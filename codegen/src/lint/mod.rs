//! Whether a schema is written as schemas should be: rules on one schema, with buf's ids, categories, meaning
//! and positions.
//!
//! **Invariant**: a rule looks at the files of one module, and knows neither configuration of rules nor ignores;
//! what it takes grows with the schema, not with its square.

mod case;
mod comments;
mod cycles;
mod imports;
mod packages;
mod protovalidate;
mod services;
mod types;
mod usage;
mod version;

use std::collections::HashSet;

use include_dir::{Dir, include_dir};

use crate::error::Error;
use crate::image::{Enum, Field, File, FileId, Image, Message, Place, Service};
use crate::rules::config::{Config, LintOptions};
use crate::rules::{Example, Finding, Names, Report, Rule, Severity};

/// The category that applies where nothing else is chosen.
pub const STANDARD: &str = "STANDARD";

const MINIMAL_UP: &[&str] = &["MINIMAL", "BASIC", "STANDARD"];
const BASIC_UP: &[&str] = &["BASIC", "STANDARD"];
const STANDARD_ONLY: &[&str] = &["STANDARD"];
const COMMENTS: &[&str] = &["COMMENTS"];
const UNARY_RPC: &[&str] = &["UNARY_RPC"];

/// A rule, and what it does.
#[derive(Debug)]
struct Entry {
    rule: Rule,
    check: fn(&'static Rule, &Subject<'_>, &mut Report),
}

/// A rule of lint: findings of it concern those who read and write schemas, no peers.
const fn rule(
    id: &'static str,
    categories: &'static [&'static str],
    purpose: &'static str,
    why: &'static str,
    fix: &'static str,
) -> Rule {
    Rule {
        id,
        categories,
        purpose,
        severity: Severity::Warning,
        direction: None,
        why,
        fix,
    }
}

/// The rules in their groups.
static GROUPS: &[&[Entry]] = &[
    packages::RULES,
    imports::RULES,
    types::RULES,
    services::RULES,
    comments::RULES,
    protovalidate::RULES,
];

/// All rules.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    entries().map(|entry| &entry.rule)
}

static EXAMPLES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/tests/lint/cases");

/// Schemas of which the rule with this id says something.
#[must_use]
pub fn example(id: &str) -> Option<Example> {
    EXAMPLES.get_dir(id).map(Example::of_schema)
}

fn entries() -> impl Iterator<Item = &'static Entry> {
    GROUPS.iter().copied().flatten()
}

/// How rules are named on a command line and in configurations.
#[must_use]
pub fn names() -> Names<'static> {
    Names {
        rules: rules().collect(),
        replaced: &[("DEFAULT", &["STANDARD"])],
        default: &[STANDARD],
    }
}

/// What the rules that `config` chooses find in `image`, in order.
///
/// # Errors
///
/// [`Error::Usage`] when the configuration names a rule that does not exist.
pub fn check(image: &Image, config: &Config) -> Result<Vec<Finding>, Error> {
    let names = names();
    let mut report = Report::default();
    for module in &config.modules {
        let (rules, ignores) = module.lint.resolve(&names)?;
        let ids: HashSet<&str> = rules.iter().map(|rule| rule.id).collect();
        let own =
            |file: &&File| !file.is_import && std::ptr::eq(config.module_of(&file.path), module);
        let files: Vec<&File> = image.files().iter().filter(own).collect();
        let own: HashSet<FileId> = files.iter().map(|file| file.id).collect();
        let subject = Subject {
            image,
            files,
            options: &module.lint_options,
        };
        for entry in entries().filter(|entry| ids.contains(entry.rule.id)) {
            (entry.check)(&entry.rule, &subject, &mut report);
        }
        report.retain(|draft| {
            let Some(place) = draft.at.as_ref().filter(|place| own.contains(&place.file)) else {
                return true;
            };
            let said = module.lint_options.comment_ignores
                && comments::ignored(image, place, draft.rule.id);
            !(said || ignores.cover(draft.rule, image.file(place.file)))
        });
    }
    Ok(report.findings(image, None))
}

/// What the rules look at: the files of a module, and all that they import.
struct Subject<'a> {
    image: &'a Image,
    files: Vec<&'a File>,
    options: &'a LintOptions,
}

impl<'a> Subject<'a> {
    /// The messages of the module, inner ones too, but no map entries.
    fn messages(&self) -> Vec<&'a Message> {
        let mut open: Vec<&Message> = Vec::new();
        let mut found = Vec::new();
        for file in &self.files {
            open.extend(file.messages.iter().rev().map(|id| self.image.message(*id)));
            while let Some(message) = open.pop() {
                if message.is_map_entry() {
                    continue;
                }
                let inner = message.messages.iter().rev();
                open.extend(inner.map(|id| self.image.message(*id)));
                found.push(message);
            }
        }
        found
    }

    fn enums(&self) -> impl Iterator<Item = &'a Enum> {
        let image = self.image;
        let outer = self.files.iter().flat_map(|file| &file.enums);
        let inner = self
            .messages()
            .into_iter()
            .flat_map(|message| &message.enums);
        outer.chain(inner).map(|id| image.enumeration(*id))
    }

    /// Fields and extensions.
    fn fields(&self) -> impl Iterator<Item = &'a Field> {
        let extensions = self.files.iter().flat_map(|file| &file.extensions);
        let messages = self.messages().into_iter();
        extensions
            .chain(messages.flat_map(|message| message.fields.iter().chain(&message.extensions)))
    }

    fn services(&self) -> impl Iterator<Item = &'a Service> {
        let image = self.image;
        let services = self.files.iter().flat_map(|file| &file.services);
        services.map(|id| image.service(*id))
    }
}

/// The part of the element at `path` that `rest` leads to.
fn place(file: FileId, path: &[i32], rest: &[i32]) -> Option<Place> {
    Some(Place {
        file,
        path: Some([path, rest].concat().into_boxed_slice()),
    })
}

fn whole(file: FileId) -> Option<Place> {
    Some(Place { file, path: None })
}

/// The field number of `name` in the descriptors of all elements.
const NAME: &[i32] = &[1];

/// Text in quotes, as it stands in messages.
fn quoted(text: &str) -> String {
    format!("{text:?}")
}
