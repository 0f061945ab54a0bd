//! Attributes that may take away what they are on.
//!
//! **Invariant**: whether a `cfg` holds is for the compiler to say; here it is found and passed on.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Token, TraitItemFn};

/// The `#[cfg(…)]` attributes of a function.
pub(super) fn cfg_of(function: &TraitItemFn) -> TokenStream {
    let cfg = |attribute: &&Attribute| attribute.path().is_ident("cfg");
    let attributes = function.attrs.iter().filter(cfg);
    attributes.map(ToTokens::to_token_stream).collect()
}

/// Whether an attribute may take away what it is on.
pub(super) fn hides(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") || hides_behind_cfg_attr(attribute)
}

/// Whether an attribute is a `cfg_attr` that may put a `cfg` in its place.
pub(super) fn hides_behind_cfg_attr(attribute: &Attribute) -> bool {
    let put = |metas: Punctuated<Meta, Token![,]>| {
        let mut put = metas.into_iter().skip(1);
        put.any(|meta| meta.path().is_ident("cfg") || meta.path().is_ident("cfg_attr"))
    };
    attribute.path().is_ident("cfg_attr")
        && attribute
            .parse_args_with(Punctuated::parse_terminated)
            .is_ok_and(put)
}
