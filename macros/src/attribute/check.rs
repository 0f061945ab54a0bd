//! The trait against the service: which function answers which method, and what is wrong.
//!
//! **Invariant**: judges by names and shapes alone. Which type a name means is for the compiler to
//! say (see `types`), so that aliases and imports work.

use daemoneye_ipc_codegen::emit::method_signature;
use daemoneye_ipc_codegen::model::{Method, Service};
use proc_macro2::TokenStream;
use syn::{
    Attribute, FnArg, GenericArgument, ItemTrait, Lifetime, Pat, PatType, Path, PathArguments,
    Receiver, ReturnType, TraitItem, TraitItemFn, Type, TypeImplTrait, TypeParamBound,
};

use super::cfg::{cfg_of, hides, hides_behind_cfg_attr};
use super::errors::{Errors, nearest};

/// A function of the trait that answers a method of the service, in the right shape.
pub(super) struct Answer<'a> {
    /// The method.
    pub(super) method: &'a Method,
    /// What the context's parameter refers to.
    pub(super) context: &'a Type,
    /// The type of the last parameter.
    pub(super) request: &'a Type,
    /// The type that the function returns.
    pub(super) reply: &'a Type,
    /// The function's `#[cfg(…)]` attributes.
    pub(super) cfg: TokenStream,
}

/// Matches functions to methods by name; reports every mistake.
pub(super) fn check<'a>(
    input: &'a ItemTrait,
    service: &'a Service,
    errors: &mut Errors,
) -> Vec<Answer<'a>> {
    check_trait(input, errors);
    let mut answers = Vec::new();
    let mut answered: Vec<&str> = Vec::new();
    let mut suggested: Vec<&str> = Vec::new();
    let functions: Vec<&TraitItemFn> = functions(input, errors);
    for function in &functions {
        let name = function.sig.ident.to_string();
        let Some(method) = service
            .methods
            .iter()
            .find(|method| method.rust_name == name)
        else {
            let open = service
                .methods
                .iter()
                .map(|method| method.rust_name.as_str());
            let open = open.filter(|open| !functions.iter().any(|f| f.sig.ident == *open));
            suggested.extend(unknown_method(function, service, open, errors));
            continue;
        };
        if answered.contains(&method.rust_name.as_str()) {
            errors.on(
                &function.sig.ident,
                format_args!(
                    "`{name}` is declared twice: a method has the one signature that the schema gives it"
                ),
            );
            continue;
        }
        answered.push(&method.rust_name);
        answers.extend(check_function(function, method, errors));
    }
    let missing = |method: &&Method| {
        let name = method.rust_name.as_str();
        !answered.contains(&name) && !suggested.contains(&name)
    };
    let missing: Vec<&Method> = service.methods.iter().filter(missing).collect();
    report_missing(&missing, input, service, errors);
    answers
}

/// Takes further `#[ipc_service]` off a trait, with an error for each: what they emit collides.
pub(super) fn once(input: &mut ItemTrait, errors: &mut Errors) {
    input.attrs.retain(|attribute| {
        let last = attribute.path().segments.last();
        let again = last.is_some_and(|last| last.ident == "ipc_service");
        if again {
            errors.on(
                attribute,
                "a trait handles one service: write a trait of its own for another",
            );
        }
        !again
    });
}

fn check_trait(input: &ItemTrait, errors: &mut Errors) {
    if !input.generics.params.is_empty() {
        errors.on(
            &input.generics,
            "a service is not generic: remove the parameters of the trait",
        );
    }
    if let Some(bounds) = &input.generics.where_clause {
        errors.on(
            bounds,
            "a service is not generic: write what handlers must be as supertraits",
        );
    }
    if let Some(unsafety) = &input.unsafety {
        errors.on(unsafety, "a handler trait is safe: remove `unsafe`");
    }
    if let Some(auto) = &input.auto_token {
        errors.on(auto, "a handler trait is no auto trait: remove `auto`");
    }
}

fn functions<'a>(input: &'a ItemTrait, errors: &mut Errors) -> Vec<&'a TraitItemFn> {
    let mut functions = Vec::new();
    for item in &input.items {
        match item {
            TraitItem::Fn(function) => functions.push(function),
            other => errors.on(
                other,
                "a handler trait holds the service's methods alone: move this to another trait",
            ),
        }
    }
    functions
}

/// Reports a function that answers no method; gives the name that was probably meant.
fn unknown_method<'a>(
    function: &TraitItemFn,
    service: &'a Service,
    open: impl Iterator<Item = &'a str>,
    errors: &mut Errors,
) -> Option<&'a str> {
    let name = function.sig.ident.to_string();
    let near = nearest(&name, open);
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if service.methods.is_empty() => "it has no methods".to_owned(),
        None => {
            let all: Vec<_> = service
                .methods
                .iter()
                .map(|m| m.rust_name.as_str())
                .collect();
            format!("it has `{}`", all.join("`, `"))
        }
    };
    let service = &service.full_name;
    errors.on(
        &function.sig.ident,
        format_args!("no method `{name}` in service `{service}`: {hint}"),
    );
    near
}

fn report_missing(missing: &[&Method], input: &ItemTrait, service: &Service, errors: &mut Errors) {
    if missing.is_empty() {
        return;
    }
    let plural = if missing.len() == 1 {
        "a method"
    } else {
        "methods"
    };
    let signatures: Vec<_> = missing
        .iter()
        .map(|method| format!("    {}", method_signature(method)))
        .collect();
    errors.on(
        &input.ident,
        format_args!(
            "trait `{}` lacks {plural} of service `{}`; add:\n\n{}\n",
            input.ident,
            service.full_name,
            signatures.join("\n")
        ),
    );
}

/// Checks the shape of a function; its types are usable only when the shape is right.
fn check_function<'a>(
    function: &'a TraitItemFn,
    method: &'a Method,
    errors: &mut Errors,
) -> Option<Answer<'a>> {
    let mut found = Errors::default();
    check_qualifiers(function, &mut found);
    let parameters = check_parameters(function, method, &mut found);
    let reply = check_reply(function, method, &mut found);
    let sound = found.is_empty();
    errors.append(found);
    match (parameters, reply) {
        (Some((context, request)), Some(reply)) if sound => Some(Answer {
            method,
            context,
            request,
            reply,
            cfg: cfg_of(function),
        }),
        _ => None,
    }
}

fn check_qualifiers(function: &TraitItemFn, errors: &mut Errors) {
    let signature = &function.sig;
    if signature.asyncness.is_none() {
        errors.on(
            &signature.fn_token,
            format_args!("`{}` is not async: write `async fn`", signature.ident),
        );
    }
    if let Some(unsafety) = &signature.unsafety {
        errors.on(unsafety, "a handler method is safe: remove `unsafe`");
    }
    if let Some(abi) = &signature.abi {
        errors.on(abi, "a handler method has Rust's own ABI: remove `extern`");
    }
    const NOT_GENERIC: &str =
        "a handler method is not generic: its messages are those of the schema";
    if !signature.generics.params.is_empty() {
        errors.on(&signature.generics, NOT_GENERIC);
    } else if let Some(bounds) = &signature.generics.where_clause {
        errors.on(bounds, NOT_GENERIC);
    }
    if let Some(body) = &function.default {
        errors.on(
            body,
            "a handler method has no body here: write it in the `impl` of the handler",
        );
    }
    for attribute in &function.attrs {
        if hides_behind_cfg_attr(attribute) {
            errors.on(
                attribute,
                "a `cfg` behind `cfg_attr` is not followed: write `#[cfg(any(not(…), …))]`",
            );
        }
    }
}

fn check_parameters<'a>(
    function: &'a TraitItemFn,
    method: &Method,
    errors: &mut Errors,
) -> Option<(&'a Type, &'a Type)> {
    for attribute in function.sig.inputs.iter().flat_map(attributes) {
        if hides(attribute) {
            errors.on(
                attribute,
                "the schema says what the parameters are: write `cfg` on the method",
            );
        }
    }
    let mut inputs = function.sig.inputs.iter();
    let receiver_is_first = match inputs.clone().next() {
        Some(FnArg::Receiver(receiver)) => {
            check_receiver(receiver, errors);
            inputs.next();
            true
        }
        _ => false,
    };
    let typed: Vec<&PatType> = inputs
        .filter_map(|input| match input {
            FnArg::Typed(typed) => Some(typed),
            FnArg::Receiver(_) => None,
        })
        .collect();
    if !receiver_is_first {
        errors.on(
            &function.sig.ident,
            format_args!(
                "`{}` takes no `&self`, its first parameter",
                function.sig.ident
            ),
        );
    }
    let [context, request] = typed.as_slice() else {
        errors.on(
            &function.sig.inputs,
            format_args!(
                "the parameters do not fit; the method is\n\n    {}\n",
                method_signature(method)
            ),
        );
        return None;
    };
    for parameter in &typed {
        check_pattern(&parameter.pat, errors);
    }
    check_request(&request.ty, method, errors);
    Some((check_context(&context.ty, errors)?, &request.ty))
}

/// What the context's type refers to.
fn check_context<'a>(ty: &'a Type, errors: &mut Errors) -> Option<&'a Type> {
    const CONTEXT: &str = "the parameter after `&self` is `ctx: &CallContext`";
    let reference = match ty {
        Type::Reference(reference) if reference.mutability.is_none() => reference,
        _ => {
            errors.on(ty, CONTEXT);
            return None;
        }
    };
    if matches!(&*reference.elem, Type::ImplTrait(_) | Type::TraitObject(_)) {
        errors.on(ty, CONTEXT);
    }
    check_lifetime(reference.lifetime.as_ref(), errors);
    Some(&reference.elem)
}

/// Any other lifetime would be a parameter of the method, which has none.
fn check_lifetime(lifetime: Option<&Lifetime>, errors: &mut Errors) {
    if let Some(lifetime) = lifetime.filter(|lifetime| lifetime.ident == "static") {
        errors.on(
            lifetime,
            "what is borrowed here is the call's own, and ends with it: write no lifetime",
        );
    }
}

fn attributes(input: &FnArg) -> &[Attribute] {
    match input {
        FnArg::Receiver(receiver) => &receiver.attrs,
        FnArg::Typed(typed) => &typed.attrs,
    }
}

fn check_receiver(receiver: &Receiver, errors: &mut Errors) {
    let plain = receiver.colon_token.is_none()
        && receiver.reference.is_some()
        && receiver.mutability.is_none();
    if !plain {
        errors.on(
            receiver,
            "a handler method takes `&self`: one handler serves many calls at once",
        );
    } else if let Some((_, lifetime)) = &receiver.reference {
        check_lifetime(lifetime.as_ref(), errors);
    }
}

fn check_pattern(pattern: &Pat, errors: &mut Errors) {
    let plain = match pattern {
        Pat::Wild(_) => true,
        Pat::Ident(name) => {
            name.by_ref.is_none() && name.mutability.is_none() && name.subpat.is_none()
        }
        _ => false,
    };
    if !plain {
        errors.on(pattern, "a parameter of a handler trait is a plain name");
    }
}

/// Whether the request side streams is seen by the name `Inbound`; an alias that hides it is left
/// for the compiler's check of types.
fn check_request(ty: &Type, method: &Method, errors: &mut Errors) {
    let streams = method.kind.client_streams();
    let path = &method.path;
    if let Type::ImplTrait(_) = ty {
        errors.on(ty, "name the type: a handler method is not generic");
    } else if !streams && last_segment(ty).is_some_and(|name| name == "Inbound") {
        errors.on(
            ty,
            format_args!(
                "`{path}` takes one request, not a stream: write `{}`",
                short(&method.input.rust_path)
            ),
        );
    } else if streams && last_segment(ty).is_some_and(|name| name == short(&method.input.rust_path))
    {
        errors.on(
            ty,
            format_args!(
                "`{path}` takes a stream of requests: write `Inbound<{}>`",
                short(&method.input.rust_path)
            ),
        );
    }
}

fn check_reply<'a>(
    function: &'a TraitItemFn,
    method: &Method,
    errors: &mut Errors,
) -> Option<&'a Type> {
    let message = short(&method.output.rust_path);
    let path = &method.path;
    let wanted = if method.kind.server_streams() {
        format!("Result<impl Stream<Item = Result<{message}, Status>>, Status>")
    } else {
        format!("Result<{message}, Status>")
    };
    let ReturnType::Type(_, ty) = &function.sig.output else {
        errors.on(
            &function.sig.ident,
            format_args!("`{path}` has an answer: return `{wanted}`"),
        );
        return None;
    };
    if let Type::ImplTrait(_) = &**ty {
        errors.on(
            ty,
            format_args!("a method can fail before it answers: return `{wanted}`"),
        );
        return None;
    }
    match (method.kind.server_streams(), reply_stream(ty)) {
        (true, None) => {
            errors.on(
                ty,
                format_args!("`{path}` answers with a stream: return `{wanted}`"),
            );
        }
        (true, Some(stream)) if stream_item(stream).is_none() => {
            errors.on(
                stream,
                format_args!("the stream has no `Item`: return `{wanted}`"),
            );
        }
        (false, Some(_)) => errors.on(
            ty,
            format_args!("`{path}` answers with one message, not a stream: return `{wanted}`"),
        ),
        _ => {}
    }
    Some(ty)
}

/// The `impl Stream<…>` in `Result<impl Stream<…>, Status>`.
pub(super) fn reply_stream(ty: &Type) -> Option<&TypeImplTrait> {
    match first_argument(ty)? {
        Type::ImplTrait(stream) => Some(stream),
        _ => None,
    }
}

/// `X` in `impl Stream<Item = X>`.
pub(super) fn stream_item(stream: &TypeImplTrait) -> Option<&Type> {
    let mut bounds = stream.bounds.iter().filter_map(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last(),
        _ => None,
    });
    let stream = bounds.find(|segment| segment.ident == "Stream")?;
    let PathArguments::AngleBracketed(arguments) = &stream.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(item) if item.ident == "Item" => Some(&item.ty),
        _ => None,
    })
}

/// `T` in `Result<T, …>` or `Inbound<T>`.
pub(super) fn first_argument(ty: &Type) -> Option<&Type> {
    arguments(ty).next()
}

/// The types in angle brackets at the end of a type.
pub(super) fn arguments(ty: &Type) -> impl Iterator<Item = &Type> {
    let last = path_of(ty).and_then(|path| path.segments.last());
    let arguments = last.and_then(|last| match &last.arguments {
        PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
        _ => None,
    });
    arguments
        .into_iter()
        .flatten()
        .filter_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        })
}

pub(super) fn last_segment(ty: &Type) -> Option<String> {
    Some(path_of(ty)?.segments.last()?.ident.to_string())
}

fn path_of(ty: &Type) -> Option<&Path> {
    match ty {
        Type::Path(path) => Some(&path.path),
        Type::Group(group) => path_of(&group.elem),
        Type::Paren(paren) => path_of(&paren.elem),
        _ => None,
    }
}

/// The last name of a Rust path.
pub(super) fn short(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}
