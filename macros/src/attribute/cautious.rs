//! Calls of handlers whose types may be wrong.
//!
//! What a type is called does not say what it is. Where a trait uses the names of the schema, the
//! generator's own words call the handler. Where it uses others, they may be aliases or mistakes: the
//! handler is then called in words that compile whatever the types are, so that a mistake is reported
//! once, by the check of types, and that do the same as the generator's when all is well.
//!
//! **Invariant**: an answer whose types pass the check is never dropped.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Ident, Path, Type};

use daemoneye_ipc_codegen::emit::{Call, Words, names};
use daemoneye_ipc_codegen::model::TypeRef;

use super::check::{Answer, arguments, first_argument, last_segment, reply_stream, stream_item};

/// The calls of all answers that do not go by the names of the schema, or that a `cfg` may take away,
/// by function name.
pub(super) fn calls(
    answers: &[Answer<'_>],
    handler: &Ident,
    runtime: &Path,
) -> BTreeMap<String, Call> {
    let calls = answers.iter().filter_map(|answer| {
        let plain = plain_context(answer) && plain_request(answer) && plain_reply(answer);
        let call = Call {
            cfg: answer.cfg.clone(),
            words: (!plain).then(|| words(answer, handler, runtime)),
        };
        (!plain || !call.cfg.is_empty()).then(|| (answer.method.rust_name.clone(), call))
    });
    calls.collect()
}

fn plain_context(answer: &Answer<'_>) -> bool {
    last_segment(answer.context).is_some_and(|name| name == "CallContext")
}

fn plain_request(answer: &Answer<'_>) -> bool {
    let ty = if answer.method.kind.client_streams() {
        if last_segment(answer.request).is_none_or(|name| name != "Inbound") {
            return false;
        }
        first_argument(answer.request)
    } else {
        Some(answer.request)
    };
    ty.is_some_and(|ty| is_called(ty, &answer.method.input))
}

fn plain_reply(answer: &Answer<'_>) -> bool {
    let Some(message) = message_of_result(answer.reply) else {
        return false;
    };
    match reply_stream(answer.reply) {
        None => is_called(message, &answer.method.output),
        Some(stream) => stream_item(stream)
            .and_then(message_of_result)
            .is_some_and(|message| is_called(message, &answer.method.output)),
    }
}

/// `T` of a type that is written `Result<T, Status>`.
fn message_of_result(ty: &Type) -> Option<&Type> {
    let mut arguments = arguments(ty);
    let (message, error) = (arguments.next()?, arguments.next()?);
    let named = |ty: &Type, name: &str| last_segment(ty).is_some_and(|last| last == name);
    (named(ty, "Result") && named(error, "Status")).then_some(message)
}

fn is_called(ty: &Type, message: &TypeRef) -> bool {
    let Ok(wanted) = syn::parse_str::<Type>(&message.rust_path) else {
        return false;
    };
    match (last_segment(ty), last_segment(&wanted)) {
        (Some(name), Some(wanted)) => name == wanted,
        (None, None) => ty.to_token_stream().to_string() == wanted.to_token_stream().to_string(),
        _ => false,
    }
}

/// It rests on this: a function of a type goes before one of a trait, but only where the bounds of
/// its `impl` hold. So the traits' functions, which do nothing, are called for wrong types alone.
fn words(answer: &Answer<'_>, handler: &Ident, runtime: &Path) -> TokenStream {
    let method = names::ident(&answer.method.rust_name);
    let (context, request) = (answer.context, answer.request);
    let words = Words::of(answer.method);
    let meet = meet(runtime);
    let take = take(answer, &words, runtime);
    let give = give(answer, &words, runtime);
    quote! {
        #meet
        #take
        #give
        let context = __Meet::<#context>(::core::marker::PhantomData).meet(call.context());
        let taken = __Take::<#request>(::core::marker::PhantomData).take(&call);
        if let (::core::option::Option::Some(context), ::core::option::Option::Some(request)) =
            (context, taken)
        {
            let reply = #handler::#method(&*handler, context, request).await;
            __Give(reply).give(&call).await;
        }
    }
}

/// Gives the context, if it is what is asked for.
fn meet(runtime: &Path) -> TokenStream {
    quote! {
        struct __Meet<T: ?::core::marker::Sized>(::core::marker::PhantomData<T>);
        trait __MeetNobody<T: ?::core::marker::Sized>: ::core::marker::Sized {
            fn meet(self, _: &#runtime::CallContext) -> ::core::option::Option<&T> {
                ::core::option::Option::None
            }
        }
        impl<T: ?::core::marker::Sized> __MeetNobody<T> for __Meet<T> {}
        impl __Meet<#runtime::CallContext> {
            fn meet(self, context: &#runtime::CallContext) -> ::core::option::Option<&#runtime::CallContext> {
                ::core::option::Option::Some(context)
            }
        }
    }
}

/// Takes the request, or the stream of them, if the type can be taken.
fn take(answer: &Answer<'_>, words: &Words, runtime: &Path) -> TokenStream {
    let Words {
        request, inbound, ..
    } = words;
    let checked = checked(answer.method.checks_input, runtime);
    let (taken, take) = if answer.method.kind.client_streams() {
        (
            quote!(#runtime::Inbound<M>),
            quote!(::core::option::Option::Some(call.#inbound())),
        )
    } else {
        (quote!(M), quote!(call.#request()))
    };
    quote! {
        struct __Take<T>(::core::marker::PhantomData<T>);
        trait __TakeNothing<T>: ::core::marker::Sized {
            fn take(
                self,
                _: &#runtime::__private::ServerCall,
            ) -> ::core::option::Option<T> {
                ::core::option::Option::None
            }
        }
        impl<T> __TakeNothing<T> for __Take<T> {}
        impl<M> __Take<#taken>
        where
            M: #runtime::prost::Message + ::core::default::Default #checked,
        {
            fn take(
                self,
                call: &#runtime::__private::ServerCall,
            ) -> ::core::option::Option<#taken> {
                #take
            }
        }
    }
}

/// Gives the reply, or the stream of them, if the type can be given.
fn give(answer: &Answer<'_>, words: &Words, runtime: &Path) -> TokenStream {
    let Words {
        reply,
        reply_stream,
        ..
    } = words;
    let checked = checked(answer.method.checks_output, runtime);
    let result = quote!(::core::result::Result);
    let status = quote!(#runtime::Status);
    let (parameters, given, stream, give) = if answer.method.kind.server_streams() {
        (
            quote!(S, M),
            quote!(S),
            quote! {
                S: #runtime::Stream<Item = #result<M, #status>> + ::core::marker::Send,
            },
            quote!(call.#reply_stream(self.0).await;),
        )
    } else {
        (
            quote!(M),
            quote!(M),
            TokenStream::new(),
            quote!(call.#reply(self.0);),
        )
    };
    quote! {
        struct __Give<T>(T);
        trait __GiveNothing: ::core::marker::Sized {
            fn give(
                self,
                _: &#runtime::__private::ServerCall,
            ) -> ::core::future::Ready<()> {
                ::core::future::ready(())
            }
        }
        impl<T> __GiveNothing for __Give<T> {}
        impl<#parameters> __Give<#result<#given, #status>>
        where
            #stream
            M: #runtime::prost::Message #checked,
        {
            async fn give(self, call: &#runtime::__private::ServerCall) {
                #give
            }
        }
    }
}

/// What a message with rules must be besides.
fn checked(has_rules: bool, runtime: &Path) -> TokenStream {
    match has_rules {
        true => quote!(+ #runtime::validate::Validate),
        false => TokenStream::new(),
    }
}
