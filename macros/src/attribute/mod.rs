//! The attribute: arguments, then the schema, then the checks, then the expansion.
//!
//! **Invariant**: reads its schema files anew each time and keeps nothing, and whatever is wrong, what
//! it returns declares the items that the rest of the crate relies on.

mod args;
mod cautious;
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
    let arguments = Arguments::parse(arguments, &input.ident, &mut errors);
    let Some(schema) = resolve::schema(&arguments, crate_dir, &mut errors) else {
        return expand::without_schema(&input, errors);
    };
    let Some(service) = resolve::service(&arguments, &schema, &input.ident, &mut errors) else {
        return expand::without_service(&input, &arguments, &schema, errors);
    };
    let answers = check::check(&input, &service, &mut errors);
    expand::with_service(&input, &arguments, &schema, &service, &answers, errors)
}
