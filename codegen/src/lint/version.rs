//! The version that a package ends with.
//!
//! **Invariant**: a package without a well-formed version has none, rather than some.

/// What a version promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stability {
    /// `v1`.
    Stable,
    /// `v1alpha1`, `v1p1beta1`, `v1test`.
    Unstable,
}

/// The stability of a package's version: the last part of the name when there are at least two.
pub(super) fn of_package(package: &str) -> Option<Stability> {
    let (_, last) = package.rsplit_once('.')?;
    let version = last.strip_prefix('v')?;
    if let Some((major, _)) = version.split_once("test") {
        return number(major).then_some(Stability::Unstable);
    }
    let (word, other) = if version.contains("alpha") {
        ("alpha", "beta")
    } else {
        ("beta", "alpha")
    };
    let Some((major, minor)) = version.split_once(word) else {
        return number(version).then_some(Stability::Stable);
    };
    let numbers = match major.split_once('p') {
        Some((major, patch)) => number(major) && number(patch),
        None => number(major),
    };
    let well_formed = numbers && (minor.is_empty() || number(minor)) && !version.contains(other);
    well_formed.then_some(Stability::Unstable)
}

/// Whether `text` is a number from 1 on.
fn number(text: &str) -> bool {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits && text.parse::<i32>().is_ok_and(|number| number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        use Stability::{Stable, Unstable};
        for (package, stability) in [
            ("a.v1", Some(Stable)),
            ("a.b.v20", Some(Stable)),
            ("a.v1alpha1", Some(Unstable)),
            ("a.v1beta", Some(Unstable)),
            ("a.v1p2beta3", Some(Unstable)),
            ("a.v1testfoo", Some(Unstable)),
            ("v1", None),
            ("a.v0", None),
            ("a.v", None),
            ("a.v1alpha1beta1", None),
            ("a.v1p1", None),
            ("a.v1.b", None),
            ("a.v99999999999", None),
        ] {
            assert_eq!(of_package(package), stability, "{package}");
        }
    }
}
