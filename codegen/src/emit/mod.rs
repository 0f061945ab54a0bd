//! From the model to Rust: `quote!` only, absolute paths, no `use`.
//!
//! **Invariant**: the same model and scope give the same tokens, whoever asks.

mod client;
mod descriptor;
mod footprint;
mod handler;
pub mod names;
mod scope;
mod server;
mod validate;

use proc_macro2::TokenStream;
use quote::quote;

pub use self::handler::{handler_trait, method_signature};
pub use self::scope::Scope;
pub use self::server::{Call, Dispatch, Words};
use crate::error::Error;
use crate::model::{Package, Service};
use crate::options::Options;

/// Everything of a service but its handler trait: descriptor, server adapter and client.
///
/// # Errors
///
/// [`Error::Schema`] when a message cannot be named from the scope.
pub fn service_items(
    service: &Service,
    scope: &Scope,
    dispatch: &Dispatch,
) -> Result<TokenStream, Error> {
    let descriptor = descriptor::service(service, scope);
    let server = server::adapter(service, scope, dispatch);
    let client = client::client(service, scope)?;
    Ok(quote!(#descriptor #server #client))
}

/// What the messages of a package have beside prost's: the markers by which they are known at compile time, and checks
/// by the rules of the schema.
///
/// # Errors
///
/// [`Error::Schema`] when a message cannot be named from the scope.
pub fn message_items(package: &Package, scope: &Scope) -> Result<TokenStream, Error> {
    let private = scope.private();
    let mut tokens = validate::cel_schema(package, scope);
    for message in &package.messages {
        let ty = scope.ty(&message.ty)?;
        let hash = hex(message.hash);
        tokens.extend(quote!(impl #private::IsMessage<#hash> for #ty {}));
        tokens.extend(message_name(package, &message.ty.full_name, &ty, scope));
        if let Some(rules) = &message.rules {
            tokens.extend(validate::checks(message, rules, scope)?);
        }
    }
    Ok(tokens)
}

/// A message's name at run time. prost would write out what the trait makes of its constants by itself, which it does but
/// for the messages inside of others.
fn message_name(package: &Package, full: &str, ty: &TokenStream, scope: &Scope) -> TokenStream {
    let runtime = scope.runtime();
    let package = package.name.as_str();
    let inside = full.strip_prefix(package).unwrap_or(full);
    let inside = inside.strip_prefix('.').unwrap_or(inside);
    let name = inside.rsplit('.').next().unwrap_or(inside);
    let full_name = (name != inside).then(|| {
        quote! {
            fn full_name() -> #runtime::prost::alloc::string::String {
                #full.into()
            }
        }
    });
    quote! {
        impl #runtime::prost::Name for #ty {
            const NAME: &'static ::core::primitive::str = #name;
            const PACKAGE: &'static ::core::primitive::str = #package;
            #full_name
        }
    }
}

/// All that a package's module holds beside prost's types.
///
/// # Errors
///
/// [`Error::Schema`] when a message cannot be named from the scope.
pub fn package_items(
    package: &Package,
    scope: &Scope,
    options: &Options,
) -> Result<TokenStream, Error> {
    let mut tokens = message_items(package, scope)?;
    for service in &package.services {
        if options.build_server {
            tokens.extend(handler_trait(service, scope)?);
        }
        if options.build_server || options.build_client {
            tokens.extend(descriptor::service(service, scope));
        }
        if options.build_server {
            tokens.extend(server::adapter(service, scope, &Dispatch::Calls));
        }
        if options.build_client {
            tokens.extend(client::client(service, scope)?);
        }
    }
    Ok(tokens)
}

/// A hash as people read it: hexadecimal, in groups of four.
pub(crate) fn hex(value: u64) -> proc_macro2::Literal {
    use std::str::FromStr;
    let digits = format!("{value:016x}");
    let groups: Vec<&str> = (0..4)
        .map(|group| &digits[group * 4..group * 4 + 4])
        .collect();
    let text = format!("0x{}", groups.join("_"));
    // Digits and underscores after `0x` always lex; the fallback says the same in decimal.
    proc_macro2::Literal::from_str(&text)
        .unwrap_or_else(|_| proc_macro2::Literal::u64_unsuffixed(value))
}

/// Lines of documentation as attributes.
pub(crate) fn doc(lines: &[String]) -> TokenStream {
    lines
        .iter()
        .map(|line| {
            let line = if line.is_empty() {
                String::new()
            } else {
                format!(" {line}")
            };
            quote!(#[doc = #line])
        })
        .collect()
}

pub(crate) fn deprecated(yes: bool) -> TokenStream {
    if yes {
        quote!(#[deprecated])
    } else {
        TokenStream::new()
    }
}
