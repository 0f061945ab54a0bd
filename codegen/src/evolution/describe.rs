//! Elements as messages name them.
//!
//! **Invariant**: the words are the ones that users of buf know.

use crate::image::{Field, Image};

/// `Field "3" with name "x" on message "M"`; an extension has full names.
pub(super) fn field(image: &Image, field: &Field) -> String {
    let name = if field.is_extension() {
        &field.full_name
    } else {
        &field.name
    };
    described(image, field, &format!(" with name \"{name}\""))
}

/// `Field "3" on message "M"`.
pub(super) fn nameless_field(image: &Image, field: &Field) -> String {
    described(image, field, "")
}

fn described(image: &Image, field: &Field, name: &str) -> String {
    let parent = field.parent.map(|id| &*image.message(id).name);
    let (kind, message) = match parent {
        Some(parent) if !field.is_extension() => ("Field", parent),
        _ => ("Extension", &*field.extendee),
    };
    format!("{kind} \"{}\"{name} on message \"{message}\"", field.number)
}

/// What begins a sentence, as it is inside of one.
pub(super) fn inside(sentence: &str) -> String {
    let mut chars = sentence.chars();
    let first = chars.next().into_iter().flat_map(char::to_lowercase);
    first.chain(chars).collect()
}

/// Names in quotes, with commas.
pub(super) fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names
        .into_iter()
        .map(|name| format!("\"{name}\""))
        .collect();
    names.join(", ")
}
