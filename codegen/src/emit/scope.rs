//! How emitted code names what it does not define.
//!
//! **Invariant**: every path is absolute, or starts at the module of the package's messages.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use crate::error::{Error, Problem, ProblemKind};
use crate::model::TypeRef;

/// Where the runtime and the messages are, seen from the emitted code.
#[derive(Clone)]
pub struct Scope {
    runtime: syn::Path,
    messages: Option<syn::Path>,
    visibility: syn::Visibility,
}

impl Scope {
    /// Code in the very module that holds the package's messages, public.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when `runtime` is not a Rust path.
    pub fn beside_messages(runtime: &str) -> Result<Self, Error> {
        let runtime = syn::parse_str(runtime).map_err(|_| {
            Error::usage(
                format!("`{runtime}` is not a Rust path"),
                "use one like `::daemoneye_ipc`",
            )
        })?;
        Ok(Self::new(runtime))
    }

    /// The same, with the path of the runtime as it was parsed.
    #[must_use]
    pub fn new(runtime: syn::Path) -> Self {
        Self {
            runtime,
            messages: None,
            visibility: syn::parse_quote!(pub),
        }
    }

    /// The same, with the package's messages in the module `messages`.
    #[must_use]
    pub fn with_messages(mut self, messages: syn::Path) -> Self {
        self.messages = Some(messages);
        self
    }

    /// The same, with another visibility of the emitted items.
    #[must_use]
    pub fn with_visibility(mut self, visibility: syn::Visibility) -> Self {
        self.visibility = visibility;
        self
    }

    pub(crate) fn runtime(&self) -> &syn::Path {
        &self.runtime
    }

    pub(crate) fn visibility(&self) -> &syn::Visibility {
        &self.visibility
    }

    /// The visibility of the associated functions of an emitted type: that of the type.
    pub(crate) fn private(&self) -> TokenStream {
        let runtime = &self.runtime;
        quote!(#runtime::__private)
    }

    /// The Rust type of a message.
    ///
    /// # Errors
    ///
    /// [`Error::Schema`] when the type lies outside of the modules that `messages` can reach.
    pub fn ty(&self, ty: &TypeRef) -> Result<TokenStream, Error> {
        let parsed: syn::Type = syn::parse_str(&ty.rust_path).map_err(|_| unreachable_type(ty))?;
        let (Some(messages), true) = (&self.messages, ty.relative) else {
            return Ok(parsed.to_token_stream());
        };
        let syn::Type::Path(path) = parsed else {
            return Err(unreachable_type(ty));
        };
        let mut joined = messages.clone();
        for segment in path.path.segments {
            if segment.ident == "super" {
                let last = joined.segments.pop().map(syn::punctuated::Pair::into_value);
                let up = last.is_some_and(|last| !is_anchor(&last.ident));
                if !up || joined.segments.is_empty() {
                    return Err(unreachable_type(ty));
                }
                // What is left ends in `::`, which `push` expects to be gone.
                joined.segments.pop_punct();
            } else {
                joined.segments.push(segment);
            }
        }
        Ok(joined.to_token_stream())
    }
}

fn is_anchor(ident: &syn::Ident) -> bool {
    ["crate", "self", "super"]
        .iter()
        .any(|anchor| ident == anchor)
}

fn unreachable_type(ty: &TypeRef) -> Error {
    Problem::new(
        ProblemKind::Unsupported,
        format!(
            "`{}` cannot be reached from the module of the messages",
            ty.full_name
        ),
    )
    .help("generate all packages into one module tree, and name the module of this package in it")
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(messages: &str, rust_path: &str, relative: bool) -> Result<String, Error> {
        let scope = Scope::beside_messages("::daemoneye_ipc")?
            .with_messages(syn::parse_str(messages).expect("a path"));
        let ty = TypeRef {
            full_name: "x.Y".to_owned(),
            rust_path: rust_path.to_owned(),
            relative,
        };
        Ok(scope.ty(&ty)?.to_string().replace(' ', ""))
    }

    #[test]
    fn paths_are_joined_and_super_goes_up() {
        assert_eq!(
            resolve("crate::a::v1", "outer::Inner", true).expect("ok"),
            "crate::a::v1::outer::Inner"
        );
        assert_eq!(
            resolve("crate::a::v1", "super::super::b::v1::M", true).expect("ok"),
            "crate::b::v1::M"
        );
        assert_eq!(
            resolve("::dep::a", "super::b::M", true).expect("ok"),
            "::dep::b::M"
        );
        assert_eq!(resolve("crate::a", "::x::M", false).expect("ok"), "::x::M");
        assert_eq!(resolve("crate::a", "()", false).expect("ok"), "()");
    }

    #[test]
    fn a_path_out_of_the_tree_is_an_error() {
        assert!(resolve("crate::pb", "super::super::b::M", true).is_err());
        assert!(resolve("crate", "super::b::M", true).is_err());
    }
}
