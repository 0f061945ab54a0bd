//! The errors of one expansion, and the nearest name to a wrong one.
//!
//! **Invariant**: every error keeps the span of the user's token that it is about.

use proc_macro2::TokenStream;
use quote::ToTokens;

/// All errors found so far.
#[derive(Default)]
pub(super) struct Errors(Vec<syn::Error>);

impl Errors {
    /// Adds an error on `tokens`.
    pub(super) fn on(&mut self, tokens: &impl ToTokens, message: impl std::fmt::Display) {
        self.0.push(syn::Error::new_spanned(tokens, message));
    }

    /// Adds the errors of syn's parser.
    pub(super) fn parser(&mut self, error: syn::Error) {
        self.0.extend(error);
    }

    /// Adds all errors of `other`.
    pub(super) fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them as tokens that make the compiler report them.
    pub(super) fn into_tokens(self) -> TokenStream {
        self.0.iter().map(syn::Error::to_compile_error).collect()
    }
}

/// The candidate that `name` is most likely a misspelling of: at most a third of it differs.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = name.len().max(3) / 3;
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn only_near_names_are_suggested() {
        assert_eq!(nearest("lokup", ["watch", "lookup"]), Some("lookup"));
        assert_eq!(nearest("get", ["set_all", "lookup"]), None);
        assert_eq!(
            nearest("a.v1.Inventry", ["a.v1.Inventory"]),
            Some("a.v1.Inventory")
        );
    }
}
