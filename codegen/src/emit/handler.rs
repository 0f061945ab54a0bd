//! The handler trait, and the signatures of its methods.
//!
//! **Invariant**: futures and streams are `Send` by signature, so that a handler which is not errs
//! at the user's return type.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::{Scope, deprecated, doc, names};
use crate::error::Error;
use crate::model::{Method, Service};

/// The handler trait of a service, as the generator emits it.
///
/// # Errors
///
/// [`Error::Schema`] when a message cannot be named from the scope.
pub fn handler_trait(service: &Service, scope: &Scope) -> Result<TokenStream, Error> {
    let visibility = scope.visibility();
    let trait_name = names::handler(service);
    let mut lines = service.docs.clone();
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.push(format!("Handler of the service `{}`.", service.full_name));
    let doc = doc(&lines);
    let methods = service
        .methods
        .iter()
        .map(|method| trait_method(method, scope))
        .collect::<Result<TokenStream, _>>()?;
    Ok(quote! {
        #doc
        #[allow(
            dead_code,
            unreachable_pub,
            clippy::doc_lazy_continuation,
            clippy::doc_markdown,
            clippy::doc_overindented_list_items,
            clippy::missing_errors_doc,
            clippy::new_ret_no_self,
            clippy::should_implement_trait,
            clippy::wrong_self_convention
        )]
        #visibility trait #trait_name:
            ::core::marker::Send + ::core::marker::Sync + 'static
        {
            #methods
        }
    })
}

fn trait_method(method: &Method, scope: &Scope) -> Result<TokenStream, Error> {
    let runtime = scope.runtime();
    let mut lines = method.docs.clone();
    if lines.is_empty() {
        lines.push(format!("Answers `{}`.", method.path));
    }
    let doc = doc(&lines);
    let deprecated = deprecated(method.deprecated);
    let name = names::ident(&method.rust_name);
    let (parameter, input) = request_parameter(method, scope)?;
    let output = response_type(method, scope)?;
    Ok(quote! {
        #doc
        #deprecated
        fn #name(
            &self,
            ctx: &#runtime::CallContext,
            #parameter: #input,
        ) -> impl ::core::future::Future<
            Output = ::core::result::Result<#output, #runtime::Status>,
        > + ::core::marker::Send;
    })
}

/// The name and type of the parameter that takes the request or requests.
pub(super) fn request_parameter(
    method: &Method,
    scope: &Scope,
) -> Result<(syn::Ident, TokenStream), Error> {
    let runtime = scope.runtime();
    let input = scope.ty(&method.input)?;
    Ok(if method.kind.client_streams() {
        (format_ident!("requests"), quote!(#runtime::Inbound<#input>))
    } else {
        (format_ident!("request"), input)
    })
}

fn response_type(method: &Method, scope: &Scope) -> Result<TokenStream, Error> {
    let runtime = scope.runtime();
    let output = scope.ty(&method.output)?;
    Ok(if method.kind.server_streams() {
        quote! {
            impl #runtime::Stream<
                Item = ::core::result::Result<#output, #runtime::Status>,
            > + ::core::marker::Send
        }
    } else {
        output
    })
}

/// The signature of a method as a user writes it, ready to be pasted, such as
/// `async fn lookup(&self, ctx: &CallContext, request: LookupRequest) -> Result<LookupReply, Status>;`
///
/// Types go by their last names, as after a `use`.
#[must_use]
pub fn method_signature(method: &Method) -> String {
    let short = |path: &str| {
        path.rsplit("::")
            .next()
            .unwrap_or(path)
            .trim_end_matches('>')
            .to_owned()
    };
    let input = match method.input.relative {
        true => short(&method.input.rust_path),
        false => method.input.rust_path.clone(),
    };
    let output = match method.output.relative {
        true => short(&method.output.rust_path),
        false => method.output.rust_path.clone(),
    };
    let request = if method.kind.client_streams() {
        format!("requests: Inbound<{input}>")
    } else {
        format!("request: {input}")
    };
    let reply = if method.kind.server_streams() {
        format!("impl Stream<Item = Result<{output}, Status>>")
    } else {
        output
    };
    let name = &method.rust_name;
    format!("async fn {name}(&self, ctx: &CallContext, {request}) -> Result<{reply}, Status>;")
}
