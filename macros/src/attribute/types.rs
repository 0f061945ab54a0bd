//! The types of a trait's functions, checked by the compiler.
//!
//! For each side of each method there is a trait of its own, which only the right types have, and a
//! constant that asks whether the user's type has it. The question carries the span of the user's
//! tokens, and the trait says in its own words what is wrong.
//!
//! **Invariant**: what is emitted here is checked and thrown away; it is in no binary.

use daemoneye_ipc_codegen::message_hash;
use daemoneye_ipc_codegen::model::{Method, TypeRef};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;
use syn::visit_mut::{VisitMut, visit_type_mut};

use super::check::{Answer, reply_stream, stream_item};

/// The checks of all answers.
pub(super) fn checks(answers: &[Answer<'_>]) -> TokenStream {
    let checks = answers.iter().map(|answer| {
        let request = request_check(answer.method, answer.request);
        let reply = reply_checks(answer.method, answer.reply);
        quote!(#request #reply)
    });
    quote!(#(#checks)*)
}

fn request_check(method: &Method, ty: &Type) -> TokenStream {
    let name = &method.input.full_name;
    let marker = marker(&method.input);
    let (implementor, wanted) = if method.kind.client_streams() {
        (
            quote!(::daemoneye_ipc::Inbound<M>),
            format!("`Inbound` of `{name}`"),
        )
    } else {
        (quote!(M), format!("`{name}`"))
    };
    let message = format!("`{}` takes {wanted}, not `{{Self}}`", method.path);
    ask(
        ty,
        &implementor,
        &marker,
        &message,
        &format!("expected {wanted}"),
    )
}

fn reply_checks(method: &Method, ty: &Type) -> TokenStream {
    let name = &method.output.full_name;
    let path = &method.path;
    let marker = marker(&method.output);
    let result = quote!(::core::result::Result<M, ::daemoneye_ipc::Status>);
    let Some(stream) = reply_stream(ty) else {
        let message = format!("`{path}` returns `Result` of `{name}` and `Status`, not `{{Self}}`");
        return ask(
            ty,
            &result,
            &marker,
            &message,
            &format!("expected a `Result` of `{name}`"),
        );
    };
    let Some(item) = stream_item(stream) else {
        return TokenStream::new();
    };
    let message =
        format!("`{path}` streams items of `Result` of `{name}` and `Status`, not `{{Self}}`");
    let items = ask(
        item,
        &result,
        &marker,
        &message,
        &format!("expected a `Result` of `{name}`"),
    );
    // The stream itself has no name to ask about; what it is wrapped in has, without it.
    let mut wrapper = ty.clone();
    WithoutStream.visit_type_mut(&mut wrapper);
    let message = format!("`{path}` fails with a `Status`, so it cannot return this");
    let whole = ask(
        &wrapper,
        &result,
        &TokenStream::new(),
        &message,
        "expected a `Result` with `Status`",
    );
    quote!(#items #whole)
}

/// The bound that only the message of that name meets.
fn marker(message: &TypeRef) -> TokenStream {
    let hash = message_hash(&message.full_name);
    quote!(: ::daemoneye_ipc::__private::IsMessage<#hash>)
}

/// Asks whether `ty` is `implementor` for some `M` within `bound`.
fn ask(
    ty: &Type,
    implementor: &TokenStream,
    bound: &TokenStream,
    message: &str,
    label: &str,
) -> TokenStream {
    let span = ty.span().resolved_at(Span::call_site());
    let question = quote_spanned!(span=> ask::<#ty>(););
    quote! {
        const _: () = {
            #[diagnostic::on_unimplemented(message = #message, label = #label)]
            trait Fits {}
            #[diagnostic::do_not_recommend]
            impl<M #bound> Fits for #implementor {}
            const fn ask<T: Fits>() {}
            #question
        };
    }
}

struct WithoutStream;

impl VisitMut for WithoutStream {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        if let Type::ImplTrait(_) = ty {
            *ty = syn::parse_quote!(());
        } else {
            visit_type_mut(self, ty);
        }
    }
}
