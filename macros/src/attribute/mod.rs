//! The attribute: arguments, then the schema, then the checks, then the expansion.
//!
//! **Invariant**: reads its schema files anew each time and keeps nothing, and whatever is wrong, what
//! it returns declares the items that the rest of the crate relies on.

mod args;
mod cautious;
mod cfg;
mod check;
mod errors;
mod expand;
mod publish;
mod resolve;
mod stand_in;
mod types;

use std::path::PathBuf;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemTrait;

use self::args::Arguments;
use self::errors::Errors;

/// What the attribute knows of the crate that it is used in.
pub(crate) struct Surroundings {
    /// The folder of its `Cargo.toml`.
    pub(crate) dir: PathBuf,
    /// The folder that its build.rs writes to; `None` when it has none.
    pub(crate) out_dir: Option<PathBuf>,
    /// The descriptor sets that its build.rs registered, by their names in `out_dir`.
    pub(crate) registered: Option<String>,
}

/// Expands the attribute on `item`.
pub(crate) fn ipc_service(
    arguments: TokenStream,
    item: TokenStream,
    surroundings: &Surroundings,
) -> TokenStream {
    let mut input: ItemTrait = match syn::parse2(item.clone()) {
        Ok(input) => input,
        Err(error) => {
            let message = format!("`#[ipc_service]` goes on a trait: {error}");
            let error = syn::Error::new(error.span(), message).into_compile_error();
            return quote!(#error #item);
        }
    };
    let mut errors = Errors::default();
    check::once(&mut input, &mut errors);
    let arguments = Arguments::parse(arguments, &input.ident, &mut errors);
    let Some(schema) = resolve::schema(&arguments, surroundings, &input, &mut errors) else {
        return expand::without_schema(&input, &arguments, surroundings, errors);
    };
    let Some(service) = resolve::service(&arguments, &schema, &input.ident, &mut errors) else {
        return expand::without_service(&input, &arguments, &schema, errors);
    };
    if !resolve::knows_messages(&arguments, &schema, &service, &input.ident, &mut errors) {
        return expand::without_schema(&input, &arguments, surroundings, errors);
    }
    let answers = check::check(&input, &service, &mut errors);
    expand::with_service(&input, &arguments, &schema, &service, &answers, errors)
}
