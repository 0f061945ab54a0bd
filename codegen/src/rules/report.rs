//! From what rules point at to findings: ignores, positions, order.
//!
//! **Invariant**: rules never look at positions or ignores; findings are sorted as buf sorts them, and none
//! occurs twice.

use std::collections::BTreeMap;

use super::{Direction, Finding, Location, Rule, Severity};
use crate::image::{File, Image, Place};

/// Collects what rules find.
#[derive(Debug, Default)]
pub struct Report {
    drafts: Vec<Draft>,
}

/// A finding whose positions are not looked up yet.
#[derive(Debug)]
pub struct Draft {
    /// The rule.
    pub rule: &'static Rule,
    /// Where, in the image that is checked.
    pub at: Option<Place>,
    /// Where, in the image compared with.
    pub against: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// The rule's, unless said otherwise.
    pub severity: Severity,
    /// The rule's, unless said otherwise.
    pub direction: Option<Direction>,
    /// What to do; the rule's, unless said otherwise.
    pub fix: String,
    /// The full names of the services that it concerns, as far as that was asked for.
    pub services: Vec<String>,
}

impl Report {
    /// Adds a finding of `rule`, and returns it for what it says better than the rule.
    pub fn add(
        &mut self,
        rule: &'static Rule,
        at: Option<Place>,
        against: Option<Place>,
        message: String,
    ) -> &mut Draft {
        self.drafts.push(Draft {
            rule,
            at,
            against,
            message,
            severity: rule.severity,
            direction: rule.direction,
            fix: rule.fix.to_owned(),
            services: Vec::new(),
        });
        let last = self.drafts.len() - 1;
        &mut self.drafts[last]
    }

    /// What was found so far.
    pub(crate) fn drafts(&self) -> &[Draft] {
        &self.drafts
    }

    /// The same, to be added to.
    pub(crate) fn drafts_mut(&mut self) -> &mut [Draft] {
        &mut self.drafts
    }

    /// Leaves out the findings that `keep` does not want.
    pub fn retain(&mut self, keep: impl FnMut(&Draft) -> bool) {
        self.drafts.retain(keep);
    }

    /// The findings as they came, without positions.
    #[must_use]
    pub fn into_drafts(self) -> Vec<Draft> {
        self.drafts
    }

    /// The findings in order. Without `against`, places compared with are left out.
    #[must_use]
    pub fn findings(self, image: &Image, against: Option<&Image>) -> Vec<Finding> {
        let finding = |draft: Draft| Finding {
            location: draft
                .at
                .map(|place| location(image, place))
                .unwrap_or_default(),
            rule: draft.rule.id,
            message: draft.message,
            severity: draft.severity,
            direction: draft.direction,
            why: draft.rule.why,
            fix: draft.fix,
            against: match (against, draft.against) {
                (Some(against), Some(place)) => Some(location(against, place)),
                _ => None,
            },
            release: None,
            services: draft.services,
        };
        let mut findings: Vec<Finding> = self.drafts.into_iter().map(finding).collect();
        let key = |finding: &Finding| {
            let span = finding.location.span;
            (
                finding.location.path.clone(),
                (span.start_line, span.start_column),
                finding.rule,
                finding.message.clone(),
                (span.end_line, span.end_column),
            )
        };
        findings.sort_by_cached_key(key);
        findings.dedup_by(|later, first| {
            later.location == first.location
                && later.rule == first.rule
                && later.message == first.message
        });
        findings
    }
}

/// A place as it is shown.
pub(crate) fn location(image: &Image, place: Place) -> Location {
    let span = place.path.and_then(|path| image.span(place.file, &path));
    Location {
        path: Some(image.file(place.file).path.clone()),
        span: span.unwrap_or_default(),
    }
}

/// Files whose findings do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignores {
    /// Files and folders, relative to the import root.
    pub everywhere: Vec<String>,
    /// The same for one rule, by its id.
    pub only: BTreeMap<String, Vec<String>>,
    /// Whether packages with a version such as `v1alpha1` or `v1beta2` are left out.
    pub unstable_packages: bool,
}

impl Ignores {
    /// Whether findings of `rule` in `file` do not count.
    #[must_use]
    pub fn cover(&self, rule: &Rule, file: &File) -> bool {
        let inside = |path: &String| contains(path, &file.path);
        let only = self.only.get(rule.id);
        self.everywhere.iter().any(inside)
            || only.is_some_and(|paths| paths.iter().any(inside))
            || (self.unstable_packages && is_unstable(&file.package))
    }
}

/// Whether `path` is `outer`, or in the folder `outer`.
fn contains(outer: &str, path: &str) -> bool {
    let outer = outer.trim_start_matches("./").trim_end_matches('/');
    match path.strip_prefix(outer) {
        Some(rest) => rest.is_empty() || rest.starts_with('/') || outer.is_empty(),
        None => outer == ".",
    }
}

/// Whether the last part of a package is a version that promises nothing: `v1alpha1`, `v1beta1`, `v1p1alpha1`,
/// `v1p1beta1`, `v1test`, with or without the last number.
fn is_unstable(package: &str) -> bool {
    let last = package.rsplit('.').next().unwrap_or_default();
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(version) = last.strip_prefix('v') else {
        return false;
    };
    if let Some((major, _)) = version.split_once("test") {
        return number(major) && major != "0";
    }
    let Some((major, minor)) = version
        .split_once("alpha")
        .or_else(|| version.split_once("beta"))
    else {
        return false;
    };
    let major = match major.split_once('p') {
        Some((major, patch)) if number(patch) => major,
        Some(_) => return false,
        None => major,
    };
    number(major) && (minor.is_empty() || number(minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_taken_whole() {
        for (outer, path, inside) in [
            ("a/v1", "a/v1/a.proto", true),
            ("./a/v1/", "a/v1/a.proto", true),
            ("a/v1/a.proto", "a/v1/a.proto", true),
            ("a/v", "a/v1/a.proto", false),
            (".", "a/v1/a.proto", true),
            ("a/v1/a.proto", "a/v1/a.proto2", false),
        ] {
            assert_eq!(contains(outer, path), inside, "{outer} {path}");
        }
    }

    #[test]
    fn versions_that_promise_nothing() {
        for (package, unstable) in [
            ("a.v1", false),
            ("a.v1alpha1", true),
            ("a.v1beta", true),
            ("a.v2p1beta1", true),
            ("a.v1test", true),
            ("a.v1testing", true),
            ("a.valpha1", false),
            ("a.v1alpha1.b", false),
            ("v1beta1", true),
            ("", false),
        ] {
            assert_eq!(is_unstable(package), unstable, "{package}");
        }
    }
}
