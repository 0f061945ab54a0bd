//! The types of a trait's functions, checked by the compiler.
//!
//! For each side of each method there is a trait of its own, which only the right types have, and a
//! constant that asks whether the user's type has it. The question carries the span of the user's
//! tokens, and the trait says in its own words what is wrong.
//!
//! **Invariant**: what is emitted here is checked and thrown away; it is in no binary.

use daemoneye_ipc_codegen::message_hash;
use daemoneye_ipc_codegen::model::{Method, TypeRef};
use heck::ToUpperCamelCase;
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::{VisitMut, visit_type_mut};
use syn::{Ident, Path, Type};

use super::check::{Answer, reply_stream, stream_item};

/// The checks of all answers.
pub(super) fn checks(answers: &[Answer<'_>], handler: &Ident, runtime: &Path) -> TokenStream {
    let mut questions = Vec::new();
    for answer in answers {
        let cfg = &answer.cfg;
        let asked = [
            context(answer.method, answer.context, runtime),
            request(answer.method, answer.request, runtime),
        ];
        let asked = asked
            .into_iter()
            .chain(reply(answer.method, answer.reply, runtime));
        // That a message is deprecated is told where the user names it.
        let asked = asked.map(|question| question.within(handler));
        questions.extend(asked.map(|question| quote!(#cfg #[allow(deprecated)] #question)));
    }
    quote!(#(#questions)*)
}

fn context(method: &Method, ty: &Type, runtime: &Path) -> Question {
    Question {
        name: trait_name(method, "Context"),
        ty: ty.clone(),
        implementor: quote!(#runtime::CallContext),
        parameter: TokenStream::new(),
        message: format!(
            "`{}` takes `ctx: &CallContext`, not `&{{Self}}`",
            method.path
        ),
        label: "expected `CallContext`".to_owned(),
    }
}

fn request(method: &Method, ty: &Type, runtime: &Path) -> Question {
    let name = &method.input.full_name;
    let (implementor, wanted) = if method.kind.client_streams() {
        (
            quote!(#runtime::Inbound<M>),
            format!("`Inbound` of `{name}`"),
        )
    } else {
        (quote!(M), format!("`{name}`"))
    };
    Question {
        name: trait_name(method, "Request"),
        ty: ty.clone(),
        parameter: message(&method.input, runtime),
        implementor,
        message: format!("`{}` takes {wanted}, not `{{Self}}`", method.path),
        label: format!("expected {wanted}"),
    }
}

fn reply(method: &Method, ty: &Type, runtime: &Path) -> Vec<Question> {
    let name = &method.output.full_name;
    let path = &method.path;
    let implementor = quote!(::core::result::Result<M, #runtime::Status>);
    let wanted = format!("`Result` of `{name}` and `Status`");
    let Some(stream) = reply_stream(ty) else {
        return vec![Question {
            name: trait_name(method, "Reply"),
            ty: ty.clone(),
            parameter: message(&method.output, runtime),
            implementor,
            message: format!("`{path}` returns {wanted}, not `{{Self}}`"),
            label: format!("expected {wanted}"),
        }];
    };
    // The stream itself has no name to ask about; what it is wrapped in has, without it.
    let mut wrapper = ty.clone();
    WithoutStream.visit_type_mut(&mut wrapper);
    let whole = Question {
        name: trait_name(method, "Reply"),
        ty: wrapper,
        parameter: quote!(<M>),
        implementor: implementor.clone(),
        message: format!("`{path}` returns `Result` of a stream and `Status`, not this"),
        label: "expected `Result` of a stream and `Status`".to_owned(),
    };
    let items = stream_item(stream).map(|item| Question {
        name: trait_name(method, "Item"),
        ty: item.clone(),
        parameter: message(&method.output, runtime),
        implementor,
        message: format!("`{path}` streams items of {wanted}, not `{{Self}}`"),
        label: format!("expected {wanted}"),
    });
    items.into_iter().chain([whole]).collect()
}

/// `__RequestOfLookup` stands for what the request of `Lookup` may be. The user's types are in scope
/// beside it, so it starts like none of them.
fn trait_name(method: &Method, side: &str) -> String {
    format!("__{side}Of{}", method.proto_name.to_upper_camel_case())
}

/// A parameter `M` that only the message of that name is.
fn message(message: &TypeRef, runtime: &Path) -> TokenStream {
    let hash = message_hash(&message.full_name);
    quote!(<M: #runtime::__private::IsMessage<#hash>>)
}

/// Whether a type is `implementor` for some `parameter`.
struct Question {
    /// The name of the trait, which shows in the compiler's notes.
    name: String,
    ty: Type,
    implementor: TokenStream,
    parameter: TokenStream,
    message: String,
    label: String,
}

impl Question {
    /// Asked inside of a trait that is named like the user's, at the same place: what the compiler cannot
    /// resolve, it then explains in the very words that it has for the user's trait, and cargo shows
    /// one of two equal errors.
    fn within(self, handler: &Ident) -> TokenStream {
        let Self {
            ty,
            implementor,
            parameter,
            message,
            label,
            ..
        } = &self;
        let name = format_ident!("{}", self.name);
        // The user's span without our marks, so that the error is not said to come from a macro.
        let asked = quote_spanned!(ty.span()=> <#ty as #name>::ASKED);
        quote! {
            const _: () = {
                #[diagnostic::on_unimplemented(message = #message, label = #label)]
                trait #name {
                    const ASKED: () = ();
                }
                #[diagnostic::do_not_recommend]
                impl #parameter #name for #implementor {}
                #[allow(dead_code)]
                trait #handler {
                    const ASKED: () = #asked;
                }
            };
        }
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
