//! The names of the items that a service becomes.
//!
//! **Invariant**: the same names whether the generator or the attribute emits them.

use heck::ToShoutySnakeCase;
use proc_macro2::{Ident, Span};

use crate::model::Service;
use crate::options::Options;

/// An identifier from its text, raw (`r#move`) or not.
///
/// `text` is a Rust name as prost makes it, so it is always an identifier.
#[must_use]
pub fn ident(text: &str) -> Ident {
    match text.strip_prefix("r#") {
        Some(raw) => Ident::new_raw(raw, Span::call_site()),
        None => Ident::new(text, Span::call_site()),
    }
}

/// The handler trait.
#[must_use]
pub fn handler(service: &Service) -> Ident {
    ident(&service.rust_name)
}

/// The server adapter.
#[must_use]
pub fn server(service: &Service) -> Ident {
    ident(&format!("{}Server", base(service)))
}

/// The client.
#[must_use]
pub fn client(service: &Service) -> Ident {
    ident(&format!("{}Client", base(service)))
}

/// `Self` is a keyword by itself alone, and a name with an underscore in the middle is one that the compiler warns of.
fn base(service: &Service) -> &str {
    match service.rust_name.as_str() {
        "Self_" => "Self",
        name => name,
    }
}

/// The type parameter of the server adapter, for the handler.
pub(crate) fn parameter(service: &Service) -> Ident {
    ident(if service.rust_name == "H" { "T" } else { "H" })
}

/// The constant that holds the service's descriptor.
#[must_use]
pub fn descriptor(service: &Service) -> Ident {
    let words = service.rust_name.to_shouty_snake_case();
    // A name that is a number keeps the underscore before it.
    let lead = if words.starts_with(|c: char| c.is_ascii_digit()) {
        "_"
    } else {
        ""
    };
    ident(&format!("{lead}{words}_SERVICE"))
}

/// The names that a service takes among the items of its module.
pub(crate) fn type_items(service: &Service, options: &Options) -> Vec<String> {
    let server = [handler(service), server(service)].into_iter();
    let server = server.filter(|_| options.build_server);
    let client = options.build_client.then(|| client(service));
    let either = options.build_server || options.build_client;
    let descriptor = either.then(|| descriptor(service));
    let items = server.chain(client).chain(descriptor);
    items.map(|item| item.to_string()).collect()
}
