//! The errors of one expansion, and the nearest name to a wrong one.
//!
//! **Invariant**: every error keeps the span of the user's token that it is about.

pub(super) use daemoneye_ipc_codegen::nearest;
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

    /// The first of them.
    pub(super) fn first(&self) -> Option<&syn::Error> {
        self.0.first()
    }

    /// All of them as tokens that make the compiler report them.
    pub(super) fn into_tokens(self) -> TokenStream {
        self.0.iter().map(syn::Error::to_compile_error).collect()
    }
}
