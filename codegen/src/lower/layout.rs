//! Where prost put the fields of a message, read from what prost wrote.
//!
//! **Invariant**: no name is made here; what the text does not show is not there.

use std::collections::BTreeMap;

use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Fields, Item, Lit, Meta, Token, Type};

use crate::model::Access;

/// The fields of all messages of a package, by Rust path and field number.
#[derive(Default)]
pub(super) struct Layout {
    messages: BTreeMap<String, BTreeMap<u32, Access>>,
    /// The Rust fields of oneofs, by the Rust path of their message.
    oneofs: BTreeMap<String, Vec<Oneof>>,
    variants: BTreeMap<String, BTreeMap<u32, String>>,
}

struct Oneof {
    member: String,
    path: String,
    numbers: Vec<u32>,
}

impl Layout {
    /// Reads prost's text of a package; `None` if it does not parse.
    pub(super) fn read(types: &str) -> Option<Self> {
        let file: syn::File = syn::parse_str(types).ok()?;
        let mut layout = Self::default();
        layout.module("", &file.items);
        layout.place_variants();
        Some(layout)
    }

    /// Where the field with that number is.
    pub(super) fn field(&self, message: &str, number: u32) -> Option<&Access> {
        self.messages.get(message)?.get(&number)
    }

    /// The Rust field of the oneof that the field with that number belongs to.
    pub(super) fn oneof(&self, message: &str, number: u32) -> Option<&str> {
        let oneofs = self.oneofs.get(message)?;
        let found = oneofs.iter().find(|oneof| oneof.numbers.contains(&number));
        found.map(|oneof| oneof.member.as_str())
    }

    fn module(&mut self, prefix: &str, items: &[Item]) {
        for item in items {
            match item {
                Item::Mod(module) => {
                    if let Some((_, items)) = &module.content {
                        self.module(&format!("{prefix}{}::", module.ident), items);
                    }
                }
                Item::Struct(message) => {
                    let path = format!("{prefix}{}", message.ident);
                    self.message(prefix, &path, &message.fields);
                }
                Item::Enum(oneof) => {
                    let numbered = oneof.variants.iter().filter_map(|variant| {
                        let number = Arguments::of(&variant.attrs)?.number()?;
                        Some((number, variant.ident.to_string()))
                    });
                    let path = format!("{prefix}{}", oneof.ident);
                    self.variants.insert(path, numbered.collect());
                }
                _ => {}
            }
        }
    }

    fn message(&mut self, prefix: &str, path: &str, fields: &Fields) {
        let mut known = BTreeMap::new();
        let mut oneofs = Vec::new();
        for field in fields {
            let (Some(member), Some(arguments)) = (&field.ident, Arguments::of(&field.attrs))
            else {
                continue;
            };
            let member = member.to_string();
            if let Some(oneof) = arguments.text("oneof") {
                oneofs.push(Oneof {
                    member,
                    path: format!("{prefix}{oneof}"),
                    numbers: arguments.numbers(),
                });
            } else if let Some(number) = arguments.number() {
                known.insert(number, access(member, &field.ty));
            }
        }
        self.messages.insert(path.to_owned(), known);
        self.oneofs.insert(path.to_owned(), oneofs);
    }

    /// Enums may stand after the messages that use them.
    fn place_variants(&mut self) {
        for (message, oneofs) in &self.oneofs {
            let fields = self.messages.entry(message.clone()).or_default();
            for oneof in oneofs {
                let variants = self.variants.get(&oneof.path).into_iter().flatten();
                fields.extend(variants.map(|(number, variant)| {
                    let place = Access::Variant {
                        member: oneof.member.clone(),
                        path: oneof.path.clone(),
                        variant: variant.clone(),
                    };
                    (*number, place)
                }));
            }
        }
    }
}

fn access(member: String, ty: &Type) -> Access {
    let outer = match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    };
    let is_bytes =
        |ty: &syn::PathSegment| quote::ToTokens::to_token_stream(ty).to_string() == "Vec < u8 >";
    match outer {
        Some(outer) if outer.ident == "Option" => Access::Optional(member),
        Some(outer) if outer.ident == "Vec" && !is_bytes(outer) => Access::Collection(member),
        Some(outer) if outer.ident == "HashMap" || outer.ident == "BTreeMap" => {
            Access::Collection(member)
        }
        _ => Access::Plain(member),
    }
}

/// The arguments of `#[prost(…)]`.
pub(super) struct Arguments(Punctuated<Meta, Token![,]>);

impl Arguments {
    pub(super) fn of(attributes: &[Attribute]) -> Option<Self> {
        let prost = attributes
            .iter()
            .find(|attribute| attribute.path().is_ident("prost"))?;
        prost
            .parse_args_with(Punctuated::parse_terminated)
            .ok()
            .map(Self)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.iter().find_map(|argument| match argument {
            Meta::NameValue(argument) if argument.path.is_ident(name) => match &argument.value {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(text),
                    ..
                }) => Some(text.value()),
                _ => None,
            },
            _ => None,
        })
    }

    /// Whether there is an argument of that name, with or without a value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|argument| argument.path().is_ident(name))
    }

    pub(super) fn number(&self) -> Option<u32> {
        self.text("tag")?.parse().ok()
    }

    pub(super) fn numbers(&self) -> Vec<u32> {
        let text = self.text("tags").unwrap_or_default();
        let numbers = text.split(',').map(str::trim);
        numbers.filter_map(|number| number.parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_where_prost_put_them() {
        let text = r#"
            pub struct Item {
                #[prost(string, tag = "1")]
                pub r#type: String,
                #[prost(message, optional, boxed, tag = "2")]
                pub child: Option<Box<Item>>,
                #[prost(bytes = "vec", tag = "3")]
                pub raw: Vec<u8>,
                #[prost(string, repeated, tag = "4")]
                pub names: Vec<String>,
                #[prost(oneof = "item::KindOneOf", tags = "5, 6")]
                pub kind: Option<item::KindOneOf>,
            }
            pub mod item {
                pub enum KindOneOf {
                    #[prost(string, tag = "5")]
                    Name(String),
                    #[prost(uint32, tag = "6")]
                    Id(u32),
                }
            }
        "#;
        let layout = Layout::read(text).expect("text that parses");
        let at = |number| layout.field("Item", number).cloned();
        assert_eq!(at(1), Some(Access::Plain("r#type".to_owned())));
        assert_eq!(at(2), Some(Access::Optional("child".to_owned())));
        assert_eq!(at(3), Some(Access::Plain("raw".to_owned())));
        assert_eq!(at(4), Some(Access::Collection("names".to_owned())));
        assert_eq!(
            at(6),
            Some(Access::Variant {
                member: "kind".to_owned(),
                path: "item::KindOneOf".to_owned(),
                variant: "Id".to_owned(),
            })
        );
        assert_eq!(layout.oneof("Item", 5), Some("kind"));
        assert_eq!(at(7), None);
    }
}
