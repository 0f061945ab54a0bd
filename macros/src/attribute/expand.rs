//! What the attribute returns.
//!
//! **Invariant**: all of a service but its trait comes from the generator's emitter, unchanged.

use std::path::PathBuf;

use daemoneye_ipc_codegen::Error;
use daemoneye_ipc_codegen::emit::{Dispatch, Scope, names, service_items};
use daemoneye_ipc_codegen::model::{Idempotency, Method, MethodKind, Package, Service, TypeRef};
use daemoneye_ipc_codegen::render::message_tree;
use heck::ToSnakeCase;
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::visit_mut::VisitMut;
use syn::{
    FnArg, Ident, ItemTrait, Pat, Path, ReturnType, TraitItem, TraitItemFn, Type, TypeParamBound,
};

use super::args::Arguments;
use super::cfg::cfg_of;
use super::check::{Answer, first_argument, last_segment, reply_stream, stream_item};
use super::errors::Errors;
use super::resolve::{self, ReadSchema, package_of};
use super::{Surroundings, cautious, stand_in, types};

/// The expansion of a trait whose service was found. With errors, the server adapter is inert, so
/// that they stay the only ones.
pub(super) fn with_service(
    input: &ItemTrait,
    arguments: &Arguments,
    schema: &ReadSchema,
    service: &Service,
    answers: &[Answer<'_>],
    errors: Errors,
) -> TokenStream {
    let dispatch = if errors.is_empty() {
        Dispatch::CallsWith(cautious::calls(answers, &input.ident, &schema.runtime))
    } else {
        Dispatch::Inert
    };
    let package = package_of(&service.full_name);
    let checks = types::checks(answers, &input.ident, &schema.runtime);
    let rest = expand(input, &schema.runtime, errors, |scope| {
        let (messages, scope) = messages(input, arguments, schema, package, scope)?;
        let items = service_items(service, &scope, &dispatch)?;
        Ok(quote!(#messages #items))
    });
    let tracking = tracking(&schema.inputs);
    let warnings = &schema.warnings;
    quote!(#rest #checks #warnings #tracking)
}

/// The expansion of a trait whose service is not in the schema: the messages are there still.
pub(super) fn without_service(
    input: &ItemTrait,
    arguments: &Arguments,
    schema: &ReadSchema,
    errors: Errors,
) -> TokenStream {
    let service = guessed_service(input);
    let rest = expand(input, &schema.runtime, errors, |scope| {
        let (messages, _) = messages(input, arguments, schema, &schema.package, scope.clone())?;
        let items = service_items(&service, &scope, &Dispatch::Inert)?;
        Ok(quote!(#messages #items))
    });
    let tracking = tracking(&schema.inputs);
    quote!(#rest #tracking)
}

/// The expansion of a trait whose schema could not be read: the same items, as far as the trait's own
/// signatures tell what they are.
pub(super) fn without_schema(
    input: &ItemTrait,
    arguments: &Arguments,
    surroundings: &Surroundings,
    errors: Errors,
) -> TokenStream {
    let service = guessed_service(input);
    let messages = match (&arguments.messages, errors.first()) {
        (None, Some(error)) => {
            let text = resolve::remains(arguments, &surroundings.dir);
            let items = stand_in::items(input, &text, error);
            module(input, &items)
        }
        _ => TokenStream::new(),
    };
    let rest = expand(input, &arguments.runtime(), errors, |scope| {
        service_items(&service, &scope, &Dispatch::Inert)
    });
    quote!(#rest #messages)
}

/// Errors, the trait, and what `items` makes.
fn expand(
    input: &ItemTrait,
    runtime: &Path,
    mut errors: Errors,
    items: impl FnOnce(Scope) -> Result<TokenStream, Error>,
) -> TokenStream {
    let scope = Scope::new(runtime.clone()).with_visibility(input.vis.clone());
    let items = items(scope).unwrap_or_else(|error| {
        errors.on(&input.ident, error);
        TokenStream::new()
    });
    let handler = handler_trait(input);
    let errors = errors.into_tokens();
    quote!(#errors #handler #items)
}

/// The module of the messages, if it is ours to emit, and the scope with the messages in it.
fn messages(
    input: &ItemTrait,
    arguments: &Arguments,
    schema: &ReadSchema,
    package: &str,
    scope: Scope,
) -> Result<(TokenStream, Scope), Error> {
    match &arguments.messages {
        Some(path) if path.is_ident("self") => Ok((TokenStream::new(), scope)),
        Some(path) => Ok((TokenStream::new(), scope.with_messages(path.clone()))),
        // No method names any.
        None if schema.is_registered => Ok((TokenStream::new(), scope)),
        None => {
            let module = module_name(input);
            let inner = schema
                .model
                .package(package)
                .map(module_path)
                .unwrap_or_default();
            // Not `self::…`: a trait in the body of a function has it beside it as well.
            let path = syn::parse_quote!(#module::packages #inner);
            let messages = message_module(input, &inner, schema)?;
            Ok((messages, scope.with_messages(path)))
        }
    }
}

/// `::inventory::v1` for the package `inventory.v1`.
fn module_path(package: &Package) -> TokenStream {
    let parts = package.module.iter().map(|part| names::ident(part));
    quote!(#(::#parts)*)
}

/// The module that holds the messages when the user has none: those of the service's package, and
/// all packages as a tree below.
fn message_module(
    input: &ItemTrait,
    inner: &TokenStream,
    schema: &ReadSchema,
) -> Result<TokenStream, Error> {
    let tree = message_tree(&schema.model, &Scope::new(schema.runtime.clone()))?;
    let items = quote! {
        pub use self::packages #inner ::*;
        #[doc(hidden)]
        pub mod packages { #tree }
    };
    Ok(module(input, &items))
}

/// The module beside the trait that is for messages, with those items.
fn module(input: &ItemTrait, items: &TokenStream) -> TokenStream {
    let visibility = &input.vis;
    let name = module_name(input);
    let doc = format!(" Messages for [`{}`].", input.ident);
    quote! {
        #[doc = #doc]
        #[allow(missing_docs, unreachable_pub, unused_imports)]
        #visibility mod #name { #items }
    }
}

fn module_name(input: &ItemTrait) -> Ident {
    format_ident!("{}_messages", unraw(&input.ident).to_snake_case())
}

fn guessed_service(input: &ItemTrait) -> Service {
    let methods = input.items.iter().filter_map(|item| match item {
        // Its types may be as absent as the function.
        TraitItem::Fn(function) if cfg_of(function).is_empty() => guessed_method(function),
        _ => None,
    });
    Service {
        full_name: input.ident.to_string(),
        rust_name: input.ident.to_string(),
        docs: Vec::new(),
        deprecated: false,
        methods: methods.collect(),
        revision: 0,
        fingerprint: 0,
        compatible: Vec::new(),
        file_descriptor_set: Vec::new(),
        footprints: Vec::new(),
        place: None,
    }
}

fn guessed_method(function: &TraitItemFn) -> Option<Method> {
    let name = function.sig.ident.to_string();
    let FnArg::Typed(last) = function.sig.inputs.last()? else {
        return None;
    };
    let client_streams = last_segment(&last.ty).is_some_and(|name| name == "Inbound");
    let input = if client_streams {
        first_argument(&last.ty)?
    } else {
        &*last.ty
    };
    let ReturnType::Type(_, reply) = &function.sig.output else {
        return None;
    };
    let stream = reply_stream(reply);
    let output = match stream {
        Some(stream) => first_argument(stream_item(stream)?)?,
        None => first_argument(reply)?,
    };
    let ty = |ty: &Type| TypeRef {
        full_name: String::new(),
        rust_path: ty.to_token_stream().to_string(),
        relative: false,
    };
    Some(Method {
        proto_name: name.clone(),
        path: name.clone(),
        rust_name: name,
        ordinal: 0,
        kind: MethodKind::new(client_streams, stream.is_some()),
        idempotency: Idempotency::Unknown,
        access: Vec::new(),
        input: ty(input),
        output: ty(output),
        input_footprint: 0,
        output_footprint: 0,
        checks_input: false,
        checks_output: false,
        docs: Vec::new(),
        deprecated: false,
        place: None,
    })
}

/// The user's trait, its `async fn` written out as futures that are `Send`.
fn handler_trait(input: &ItemTrait) -> TokenStream {
    let mut output = input.clone();
    let own: [TypeParamBound; 3] = [
        syn::parse_quote!(::core::marker::Send),
        syn::parse_quote!(::core::marker::Sync),
        syn::parse_quote!('static),
    ];
    output.colon_token.get_or_insert_with(Default::default);
    output.supertraits.extend(own);
    let mut names = Vec::new();
    output.items.retain_mut(|item| {
        let TraitItem::Fn(function) = item else {
            return true;
        };
        write_out(function);
        // A second declaration of a name has been reported; the compiler need not do so again.
        let first = !names.contains(&function.sig.ident);
        names.push(function.sig.ident.clone());
        first
    });
    output.into_token_stream()
}

fn write_out(function: &mut TraitItemFn) {
    for input in &mut function.sig.inputs {
        // Other patterns have been reported; the compiler need not do so again.
        if let FnArg::Typed(typed) = input
            && !matches!(&*typed.pat, Pat::Ident(_))
        {
            *typed.pat = syn::parse_quote!(_);
        }
    }
    if function.sig.asyncness.take().is_none() {
        return;
    }
    // A body is a mistake that has been reported; without it the rest stays sound.
    if function.default.take().is_some() {
        function.semi_token = Some(Default::default());
    }
    let mut reply: Type = match &function.sig.output {
        ReturnType::Default => syn::parse_quote!(()),
        ReturnType::Type(_, ty) => (**ty).clone(),
    };
    SendStream.visit_type_mut(&mut reply);
    function.sig.output = syn::parse_quote! {
        -> impl ::core::future::Future<Output = #reply> + ::core::marker::Send
    };
}

/// Adds `Send` to every `impl Trait` of a return type.
struct SendStream;

impl VisitMut for SendStream {
    fn visit_type_impl_trait_mut(&mut self, stream: &mut syn::TypeImplTrait) {
        stream.bounds.push(syn::parse_quote!(::core::marker::Send));
    }
}

/// Ties the crate to its schema files: an edit of one is an edit of the crate.
fn tracking(inputs: &[PathBuf]) -> TokenStream {
    let paths = inputs.iter().filter_map(|path| path.to_str());
    quote!(#(const _: &[::core::primitive::u8] = ::core::include_bytes!(#paths);)*)
}

fn unraw(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").unwrap_or(&text).to_owned()
}
