//! The server adapter: from an index of the descriptor's methods to a call of the handler.
//!
//! Request types are inferred from the trait, so that a trait which names a wrong one errs there alone.
//!
//! **Invariant**: the handler's methods are called through the trait's own path, so that no other
//! trait or inherent method of theirs can be meant.

use std::collections::BTreeMap;

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

use super::{Scope, names};
use crate::model::{Method, MethodKind, Service};

/// What the server adapter does with a call.
pub enum Dispatch {
    /// It calls the handler.
    Calls,
    /// It calls the handler, in other words for the methods named here by their Rust names: a trait
    /// whose types may yet prove wrong is called in words that compile in any case.
    CallsWith(BTreeMap<String, Call>),
    /// It calls nothing: for a trait that is known to be wrong, so that what is wrong with it is said
    /// once.
    Inert,
}

/// A call of a handler's method that is not in the adapter's own words.
#[derive(Default)]
pub struct Call {
    /// The `#[cfg(…)]` attributes of its function: where they are off, there is nothing to call, and
    /// the method is answered UNIMPLEMENTED.
    pub cfg: TokenStream,
    /// Other words; `None` for the adapter's own.
    pub words: Option<TokenStream>,
}

pub(super) fn adapter(service: &Service, scope: &Scope, dispatch: &Dispatch) -> TokenStream {
    let visibility = scope.visibility();
    let handler = names::handler(service);
    let server = names::server(service);
    let name = server.to_string();
    let h = names::parameter(service);
    let bound = bound(&handler, dispatch);
    let doc = format!(" Serves [`{handler}`] handlers: add it to a server.");
    let service_impl = service_impl(service, scope, dispatch);
    quote! {
        #[doc = #doc]
        #[allow(dead_code, unreachable_pub)]
        #visibility struct #server<#h> {
            handler: ::std::sync::Arc<#h>,
        }
        #[allow(dead_code, deprecated, unreachable_pub)]
        impl<#h: #bound> #server<#h> {
            /// Serves `handler`.
            #[must_use]
            #visibility fn new(handler: #h) -> Self {
                Self::from_arc(::std::sync::Arc::new(handler))
            }
            /// Serves a handler that is shared with other parts of the program.
            #[must_use]
            #visibility fn from_arc(handler: ::std::sync::Arc<#h>) -> Self {
                Self { handler }
            }
        }
        impl<#h> ::core::clone::Clone for #server<#h> {
            fn clone(&self) -> Self {
                Self { handler: ::std::sync::Arc::clone(&self.handler) }
            }
        }
        impl<#h> ::core::fmt::Debug for #server<#h> {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(#name).finish_non_exhaustive()
            }
        }
        #service_impl
    }
}

/// What a handler must be. An inert adapter asks nothing of the trait, which may be no sound one.
fn bound(handler: &Ident, dispatch: &Dispatch) -> TokenStream {
    match dispatch {
        Dispatch::Inert => quote!(::core::marker::Send + ::core::marker::Sync + 'static),
        Dispatch::Calls | Dispatch::CallsWith(_) => quote!(#handler),
    }
}

fn service_impl(service: &Service, scope: &Scope, dispatch: &Dispatch) -> TokenStream {
    let runtime = scope.runtime();
    let private = scope.private();
    let handler = names::handler(service);
    let bound = bound(&handler, dispatch);
    let server = names::server(service);
    let descriptor = names::descriptor(service);
    let h = names::parameter(service);
    let body = if service.methods.is_empty() || matches!(dispatch, Dispatch::Inert) {
        quote! {
            let _ = (method, slot, &self.handler);
            call.unimplemented();
        }
    } else {
        let arms = service
            .methods
            .iter()
            .enumerate()
            .map(|(index, method)| arm(index, method, &handler, dispatch));
        quote! {
            let handler = ::std::sync::Arc::clone(&self.handler);
            match method {
                #(#arms)*
                _ => call.unimplemented(),
            }
        }
    };
    let unused = unused(dispatch);
    quote! {
        #[allow(deprecated, clippy::let_unit_value, clippy::too_many_lines, clippy::unit_arg #unused)]
        impl<#h: #bound> #private::Service for #server<#h> {
            fn descriptor(&self) -> &'static #runtime::descriptor::ServiceDescriptor {
                #descriptor
            }
            fn dispatch(
                &self,
                method: usize,
                call: #private::ServerCall,
                slot: &mut #private::HandlerSlot,
            ) {
                #body
            }
        }
    }
}

/// The lints that an adapter breaks whose methods may all be off.
fn unused(dispatch: &Dispatch) -> TokenStream {
    match dispatch {
        Dispatch::CallsWith(calls) if calls.values().any(|call| !call.cfg.is_empty()) => {
            quote!(, unused_variables, clippy::match_single_binding)
        }
        _ => TokenStream::new(),
    }
}

fn arm(index: usize, method: &Method, handler: &Ident, dispatch: &Dispatch) -> TokenStream {
    let index = Literal::usize_unsuffixed(index);
    let call = match dispatch {
        Dispatch::CallsWith(calls) => calls.get(&method.rust_name),
        Dispatch::Calls | Dispatch::Inert => None,
    };
    let cfg = call.map(|call| &call.cfg);
    let own = || own_words(method, handler);
    let body = call.and_then(|call| call.words.clone()).unwrap_or_else(own);
    quote!(#cfg #index => { slot.run(async move { #body }); })
}

fn own_words(method: &Method, handler: &Ident) -> TokenStream {
    let name = names::ident(&method.rust_name);
    let Words {
        request,
        inbound,
        reply,
        reply_stream,
    } = Words::of(method);
    match method.kind {
        MethodKind::Unary => quote! {
            if let ::core::option::Option::Some(request) = call.#request() {
                call.#reply(#handler::#name(&*handler, call.context(), request).await);
            }
        },
        MethodKind::ServerStreaming => quote! {
            if let ::core::option::Option::Some(request) = call.#request() {
                call.#reply_stream(#handler::#name(&*handler, call.context(), request).await).await;
            }
        },
        MethodKind::ClientStreaming => quote! {
            let requests = call.#inbound();
            call.#reply(#handler::#name(&*handler, call.context(), requests).await);
        },
        MethodKind::BidiStreaming => quote! {
            let requests = call.#inbound();
            call.#reply_stream(#handler::#name(&*handler, call.context(), requests).await).await;
        },
    }
}

/// The functions of a call that a method's messages go through: with rules, they are checked.
pub struct Words {
    /// Takes the request.
    pub request: Ident,
    /// Takes the stream of requests.
    pub inbound: Ident,
    /// Gives the response.
    pub reply: Ident,
    /// Gives the stream of responses.
    pub reply_stream: Ident,
}

impl Words {
    /// Those for a method.
    #[must_use]
    pub fn of(method: &Method) -> Self {
        let word = |checks: bool, word: &str| match checks {
            true => format_ident!("valid_{word}"),
            false => format_ident!("{word}"),
        };
        Self {
            request: word(method.checks_input, "request"),
            inbound: word(method.checks_input, "inbound"),
            reply: word(method.checks_output, "reply"),
            reply_stream: word(method.checks_output, "reply_stream"),
        }
    }
}
