//! The client of a service.
//!
//! **Invariant**: a method only names its index in the descriptor and its request; all that a call
//! does is the runtime's.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

use super::{Scope, deprecated, doc, names};
use crate::error::Error;
use crate::model::{Method, MethodKind, Service};

pub(super) fn client(service: &Service, scope: &Scope) -> Result<TokenStream, Error> {
    let runtime = scope.runtime();
    let private = scope.private();
    let visibility = scope.visibility();
    let client = names::client(service);
    let descriptor = names::descriptor(service);
    let deprecated = deprecated(service.deprecated);
    let mut lines = service.docs.clone();
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.push(format!(
        "Client of the service `{}`; cheap to clone.",
        service.full_name
    ));
    let doc = doc(&lines);
    let methods = service
        .methods
        .iter()
        .enumerate()
        .map(|(index, method)| client_method(index, method, scope))
        .collect::<Result<TokenStream, _>>()?;
    Ok(quote! {
        #doc
        #deprecated
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #[allow(
            dead_code,
            unreachable_pub,
            clippy::doc_lazy_continuation,
            clippy::doc_markdown,
            clippy::doc_overindented_list_items
        )]
        #visibility struct #client {
            stub: #private::Stub,
        }
        #[allow(
            dead_code,
            deprecated,
            unreachable_pub,
            clippy::doc_lazy_continuation,
            clippy::doc_markdown,
            clippy::doc_overindented_list_items,
            clippy::new_ret_no_self,
            clippy::should_implement_trait,
            clippy::wrong_self_convention
        )]
        impl #client {
            /// A client whose calls go through `channel`.
            #[must_use]
            #visibility fn new(channel: #runtime::Channel) -> Self {
                Self { stub: #private::Stub::new(channel, #descriptor) }
            }
            #methods
        }
    })
}

fn client_method(index: usize, method: &Method, scope: &Scope) -> Result<TokenStream, Error> {
    let private = scope.private();
    let visibility = scope.visibility();
    let mut lines = method.docs.clone();
    if lines.is_empty() {
        lines.push(format!("Calls `{}`.", method.path));
    }
    let doc = doc(&lines);
    let deprecated = deprecated(method.deprecated);
    let name = names::ident(&method.rust_name);
    let index = Literal::usize_unsuffixed(index);
    let input = scope.ty(&method.input)?;
    let output = scope.ty(&method.output)?;
    let (call, start) = match method.kind {
        MethodKind::Unary => (quote!(UnaryCall), quote!(unary(#index, request))),
        MethodKind::ServerStreaming => (
            quote!(ServerStreamingCall),
            quote!(server_streaming(#index, request)),
        ),
        MethodKind::ClientStreaming => (
            quote!(ClientStreamingCall),
            quote!(client_streaming(#index)),
        ),
        MethodKind::BidiStreaming => (quote!(BidiStreamingCall), quote!(bidi_streaming(#index))),
    };
    let check = |name: &str| {
        let (name, runtime) = (format_ident!("{name}"), scope.runtime());
        quote!(.#name(#runtime::validate::Validate::validate))
    };
    let mut checks = TokenStream::new();
    if method.checks_input {
        checks.extend(check("check_request"));
    }
    if method.checks_output {
        checks.extend(check("check_response"));
    }
    let request = if method.kind.client_streams() {
        TokenStream::new()
    } else {
        quote!(, request: #input)
    };
    Ok(quote! {
        #doc
        #deprecated
        #visibility fn #name(&self #request) -> #private::#call<#input, #output> {
            self.stub.#start #checks
        }
    })
}
