//! The module of the messages, when the schema that says what is in it cannot be read.
//!
//! The user's code imports messages from it, which must not become errors of their own. Each name
//! stands for a type that the compiler has given up on, and that it says no more about: an error in
//! the place of a type, the very one that is reported, which is told once.
//!
//! **Invariant**: emitted with an error alone, so that no crate is ever built of it.

use std::collections::BTreeSet;

use heck::ToUpperCamelCase;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::visit::{Visit, visit_path};
use syn::{Ident, ItemTrait, PathArguments};

/// The items of the module: the messages that the trait names, and those that stand in `text`, what
/// could be read of the schema.
pub(super) fn items(input: &ItemTrait, text: &str, error: &syn::Error) -> TokenStream {
    let mut names = Names(BTreeSet::new());
    names.visit_item_trait(input);
    names.0.extend(declared(text));
    let names = names.0.iter().map(|name| format_ident!("{name}"));
    let error = error.to_compile_error();
    quote! {
        #(pub type #names = <[(); #error] as ::core::iter::Iterator>::Item;)*
    }
}

/// What follows the words `message` and `enum`, wherever they stand.
fn declared(text: &str) -> impl Iterator<Item = String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words: Vec<&str> = text
        .split(|c: char| !is_name(c))
        .filter(|word| !word.is_empty())
        .collect();
    let pairs: Vec<(&str, &str)> = words
        .iter()
        .copied()
        .zip(words.iter().copied().skip(1))
        .collect();
    pairs
        .into_iter()
        .filter(|(word, name)| {
            matches!(*word, "message" | "enum")
                && name.starts_with(|c: char| c.is_ascii_alphabetic())
        })
        .map(|(_, name)| name.to_upper_camel_case())
        .filter(|name| syn::parse_str::<Ident>(name).is_ok())
}

/// Names of types that may be messages: they have no parameters, and no module that is not ours.
struct Names(BTreeSet<String>);

impl<'ast> Visit<'ast> for Names {
    fn visit_type_path(&mut self, ty: &'ast syn::TypePath) {
        const RUNTIME: [&str; 3] = ["CallContext", "Status", "Self"];
        if ty.qself.is_none()
            && let Some(last) = ty.path.segments.last()
            && matches!(last.arguments, PathArguments::None)
            && !RUNTIME.iter().any(|name| last.ident == name)
        {
            self.0.insert(last.ident.to_string());
        }
        visit_path(self, &ty.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_the_trait_and_in_what_is_left_of_the_schema() {
        let input: ItemTrait = syn::parse_quote! {
            trait T {
                async fn a(&self, ctx: &CallContext, r: In<Line>) -> Result<impl Stream<Item = Result<m::Reply, Status>>, Status>;
            }
        };
        let error = syn::Error::new(input.ident.span(), "broken");
        let tokens = items(
            &input,
            "message Foo_bar { int32 a = 1; }; message 3",
            &error,
        );
        let file: syn::File = syn::parse2(tokens).expect("items");
        let names: Vec<String> = file
            .items
            .iter()
            .map(|item| match item {
                syn::Item::Type(alias) => alias.ident.to_string(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(names, ["FooBar", "Line", "Reply"]);
    }
}
