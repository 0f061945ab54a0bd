//! The constant descriptor of a service.
//!
//! **Invariant**: generated code hashes nothing at run time; every number is here.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::{Scope, footprint, hex, names};
use crate::model::{Allow, Idempotency, Method, MethodKind, Service};

pub(super) fn service(service: &Service, scope: &Scope) -> TokenStream {
    let runtime = scope.runtime();
    let visibility = scope.visibility();
    let constant = names::descriptor(service);
    let doc = format!(" Describes the service `{}`.", service.full_name);
    let name = &service.full_name;
    let revision = Literal::u32_unsuffixed(service.revision);
    let fingerprint = hex(service.fingerprint);
    let compatible = service.compatible.iter().map(|revision| {
        let number = Literal::u32_unsuffixed(revision.number);
        let fingerprint = hex(revision.fingerprint);
        quote!(#runtime::descriptor::Revision { number: #number, fingerprint: #fingerprint })
    });
    let is_known = !service.footprints.is_empty();
    let methods = service
        .methods
        .iter()
        .map(|method| method_descriptor(method, is_known, scope));
    let footprints = footprint::table(&service.footprints, scope);
    let files = Literal::byte_string(&service.file_descriptor_set);
    quote! {
        #[doc = #doc]
        #[allow(dead_code, unreachable_pub, clippy::doc_markdown)]
        #visibility const #constant: &#runtime::descriptor::ServiceDescriptor = {
            #footprints
            &#runtime::descriptor::ServiceDescriptor {
                name: #name,
                revision: #revision,
                fingerprint: #fingerprint,
                compatible: &[#(#compatible),*],
                methods: &[#(#methods),*],
                file_descriptor_set: #files,
            }
        };
    }
}

fn method_descriptor(method: &Method, is_known: bool, scope: &Scope) -> TokenStream {
    let runtime = scope.runtime();
    let name = &method.proto_name;
    let path = &method.path;
    let ordinal = hex(method.ordinal);
    let kind = match method.kind {
        MethodKind::Unary => quote!(Unary),
        MethodKind::ServerStreaming => quote!(ServerStreaming),
        MethodKind::ClientStreaming => quote!(ClientStreaming),
        MethodKind::BidiStreaming => quote!(BidiStreaming),
    };
    let idempotency = match method.idempotency {
        Idempotency::Unknown => quote!(Unknown),
        Idempotency::NoSideEffects => quote!(NoSideEffects),
        Idempotency::Idempotent => quote!(Idempotent),
    };
    let access = method.access.iter().map(|allow| allowed(allow, scope));
    let input = &method.input.full_name;
    let output = &method.output.full_name;
    let request = footprint::of(method.input_footprint, is_known, scope);
    let response = footprint::of(method.output_footprint, is_known, scope);
    quote! {
        #runtime::descriptor::MethodDescriptor {
            name: #name,
            path: #path,
            ordinal: #ordinal,
            kind: #runtime::descriptor::MethodKind::#kind,
            idempotency: #runtime::descriptor::Idempotency::#idempotency,
            access: &[#(#access),*],
            input: #input,
            output: #output,
            request: #request,
            response: #response,
        }
    }
}

fn allowed(allow: &Allow, scope: &Scope) -> TokenStream {
    let runtime = scope.runtime();
    let variant = match allow {
        Allow::Anyone => quote!(Anyone),
        Allow::OwnUser => quote!(OwnUser),
        Allow::Uid(id) => {
            let id = Literal::u32_unsuffixed(*id);
            quote!(Uid(#id))
        }
        Allow::User(name) => quote!(User(#name)),
        Allow::Gid(id) => {
            let id = Literal::u32_unsuffixed(*id);
            quote!(Gid(#id))
        }
        Allow::Group(name) => quote!(Group(#name)),
    };
    quote!(#runtime::access::Allow::#variant)
}
