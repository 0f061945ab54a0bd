//! The table of what messages take in memory, beside the descriptor of their service.
//!
//! **Invariant**: names no message: the numbers are those of the model.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::Scope;
use crate::model::{FieldFootprint, MessageFootprint, Shape};

/// The constant that [`of`] names; nothing if nothing is known.
pub(super) fn table(messages: &[MessageFootprint], scope: &Scope) -> TokenStream {
    if messages.is_empty() {
        return TokenStream::new();
    }
    let runtime = scope.runtime();
    let messages = messages.iter().map(|message| {
        let size = Literal::u32_unsuffixed(message.size);
        let fields = message.fields.iter().map(field);
        quote!((#size, &[#(#fields),*]))
    });
    quote! {
        const FOOTPRINTS: &#runtime::descriptor::Footprints =
            &#runtime::descriptor::Footprints::new(&[#(#messages),*]);
    }
}

/// One message of the table.
pub(super) fn of(place: u32, is_known: bool, scope: &Scope) -> TokenStream {
    let (runtime, place) = (scope.runtime(), Literal::u32_unsuffixed(place));
    match is_known {
        true => quote!(FOOTPRINTS.of(#place)),
        false => quote!(#runtime::descriptor::Footprint::OPAQUE),
    }
}

/// Number, kind and argument, as the runtime's `MessageFootprint` has them.
fn field(field: &FieldFootprint) -> TokenStream {
    let (kind, argument) = match field.shape {
        Shape::Text => (0, 0),
        Shape::Texts => (1, 0),
        Shape::Slices => (2, 0),
        Shape::Varints(bytes) => (3, bytes.into()),
        Shape::Fixed(bytes) => (4, bytes.into()),
        Shape::Message(place) => (5, place),
        Shape::Messages(place) => (6, place),
        Shape::Map(entry) => (7, entry),
    };
    let numbers = [field.number, kind, argument].map(Literal::u32_unsuffixed);
    quote!([#(#numbers),*])
}
