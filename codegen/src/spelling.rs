//! What a name was probably meant to be.
//!
//! **Invariant**: suggests only what is near; no suggestion beats a wild one.

/// The candidate that `name` is most likely a misspelling of: at most a third of it differs.
///
/// ```
/// use daemoneye_ipc_codegen::nearest;
/// assert_eq!(nearest("lokup", ["watch", "lookup"]), Some("lookup"));
/// assert_eq!(nearest("get", ["set_all", "lookup"]), None);
/// ```
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = name.len().max(3) / 3;
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}
