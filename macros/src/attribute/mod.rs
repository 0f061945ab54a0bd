//! The attribute: arguments, then the schema, then the checks, then the expansion.
//!
//! **Invariant**: reads its schema files anew each time and keeps nothing, and whatever is wrong, what
//! it returns declares the items that the rest of the crate relies on.

mod args;
mod check;
mod errors;
mod expand;
mod resolve;
mod types;

use std::path::Path;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemTrait;

use self::args::Arguments;
use self::errors::Errors;

/// Expands the attribute on `item`, in the crate at `crate_dir`.
pub(crate) fn ipc_service(
    arguments: TokenStream,
    item: TokenStream,
    crate_dir: &Path,
) -> TokenStream {
    let input: ItemTrait = match syn::parse2(item.clone()) {
        Ok(input) => input,
        Err(error) => {
            let message = format!("`#[ipc_service]` goes on a trait: {error}");
            let error = syn::Error::new(error.span(), message).into_compile_error();
            return quote!(#error #item);
        }
    };
    let mut errors = Errors::default();
    let resolved = Arguments::parse(arguments, &input.ident, &mut errors)
        .and_then(|arguments| resolve::resolve(&arguments, &input.ident, crate_dir, &mut errors));
    let Some(resolved) = resolved else {
        return expand::without_schema(&input, errors);
    };
    let matched = check::check(&input, &resolved.service, &mut errors);
    expand::with_schema(&input, &resolved, &matched, errors)
}
