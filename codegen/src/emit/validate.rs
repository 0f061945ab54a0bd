//! The checks of a message by the rules of its schema.
//!
//! **Invariant**: a check says which rules hold for which value; what a rule means is the runtime's.

use heck::ToUpperCamelCase;
use proc_macro2::{Ident, Literal as Token, TokenStream};
use quote::{format_ident, quote};

use super::{Scope, names};
use crate::error::{Error, Problem, ProblemKind};
use crate::model::{
    Access, Check, Exclusive, FieldRules, Literal, Message, MessageRules, Package, Rule, Unique,
    ValueRules,
};

/// The descriptors of a package that has rules in CEL.
pub(super) fn cel_schema(package: &Package, scope: &Scope) -> TokenStream {
    if package.cel_descriptors.is_empty() {
        return TokenStream::new();
    }
    let private = scope.private();
    let descriptors = Token::byte_string(&package.cel_descriptors);
    quote! {
        #[allow(dead_code)]
        static __CEL: #private::CelSchema = #private::CelSchema::new(#descriptors);
    }
}

/// The implementation of `Validate` for a message with rules.
pub(super) fn checks(
    message: &Message,
    rules: &MessageRules,
    scope: &Scope,
) -> Result<TokenStream, Error> {
    let runtime = scope.runtime();
    let ty = scope.ty(&message.ty)?;
    let emitter = Emitter {
        rules: {
            let private = scope.private();
            quote!(#private::rules)
        },
        validate: quote!(#runtime::validate),
        message: &message.ty.full_name,
    };
    let full_name = &message.ty.full_name;
    let cel = rules
        .cel
        .then(|| quote!(#runtime::__cel!(__CEL, #full_name, self, at, report);));
    let exclusive = rules.exclusive.iter().map(|group| emitter.exclusive(group));
    let exclusive = exclusive.collect::<Result<TokenStream, _>>()?;
    let oneofs = rules.required_oneofs.iter().map(|oneof| {
        let (rules, name, member) = (&emitter.rules, &oneof.name, names::ident(&oneof.member));
        quote! {
            if self.#member.is_none() {
                #rules::oneof_required(&at.oneof(#name), report);
            }
        }
    });
    let fields = rules.fields.iter().map(|field| emitter.field(field));
    let fields = fields.collect::<Result<TokenStream, _>>()?;
    Ok(quote! {
        #[allow(deprecated, unused_variables, clippy::all, clippy::pedantic)]
        impl #runtime::validate::Validate for #ty {
            fn check(
                &self,
                at: &#runtime::validate::Path<'_>,
                report: &mut #runtime::validate::Report,
            ) {
                #cel
                #exclusive
                #(#oneofs)*
                #fields
            }
        }
    })
}

struct Emitter<'a> {
    rules: TokenStream,
    validate: TokenStream,
    message: &'a str,
}

impl Emitter<'_> {
    fn exclusive(&self, group: &Exclusive) -> Result<TokenStream, Error> {
        let rules = &self.rules;
        let set = group.fields.iter().map(|(_, access)| match access {
            Access::Plain(member) => {
                let member = names::ident(member);
                Ok(quote!(!#rules::is_default(&self.#member)))
            }
            Access::Optional(member) => {
                let member = names::ident(member);
                Ok(quote!(self.#member.is_some()))
            }
            Access::Collection(member) => {
                let member = names::ident(member);
                Ok(quote!(!self.#member.is_empty()))
            }
            Access::Variant {
                member,
                path,
                variant,
            } => {
                let (member, variant) = (names::ident(member), self.variant(path, variant)?);
                Ok(quote! {
                    ::core::matches!(self.#member, ::core::option::Option::Some(#variant(..)))
                })
            }
        });
        let set = set.collect::<Result<Vec<_>, Error>>()?;
        let names: Vec<&str> = group.fields.iter().map(|(name, _)| name.as_str()).collect();
        let (names, required) = (names.join(", "), group.required);
        Ok(quote!(#rules::message_oneof(&[#(#set),*], #names, #required, at, report);))
    }

    fn variant(&self, path: &str, variant: &str) -> Result<TokenStream, Error> {
        let path: syn::Path = syn::parse_str(path).map_err(|error| {
            Error::from(Problem::new(
                ProblemKind::Unsupported,
                format!(
                    "a oneof of `{}` has no usable Rust path: {error}",
                    self.message
                ),
            ))
        })?;
        let variant = names::ident(variant);
        Ok(quote!(#path::#variant))
    }

    fn field(&self, field: &FieldRules) -> Result<TokenStream, Error> {
        let rules = &self.rules;
        let constant = self.constant(field);
        let check = self.value(&field.value);
        let missing = match field.required {
            true => quote!(#rules::required(at, report);),
            false => TokenStream::new(),
        };
        let body = match &field.access {
            Access::Plain(member) | Access::Collection(member) => {
                let member = names::ident(member);
                let is_missing = match &field.access {
                    Access::Collection(_) => quote!(value.is_empty()),
                    _ => quote!(#rules::is_default(value)),
                };
                let otherwise = either(field.required, &is_missing, &missing, &check);
                quote!(let value = &self.#member; #otherwise)
            }
            Access::Optional(member) => {
                let member = names::ident(member);
                let otherwise = or_else(field.required, &missing);
                if check.is_empty() {
                    quote!(if self.#member.is_none() { #missing })
                } else {
                    quote! {
                        if let ::core::option::Option::Some(value) = &self.#member {
                            #check
                        } #otherwise
                    }
                }
            }
            Access::Variant {
                member,
                path,
                variant,
            } => {
                let (member, variant) = (names::ident(member), self.variant(path, variant)?);
                let otherwise = or_else(field.required, &missing);
                quote! {
                    if let ::core::option::Option::Some(#variant(value)) = &self.#member {
                        #check
                    } #otherwise
                }
            }
        };
        Ok(quote! {{
            let at = &at.field(const { &#constant });
            #body
        }})
    }

    /// The field as the runtime knows it.
    fn constant(&self, field: &FieldRules) -> TokenStream {
        let validate = &self.validate;
        let (number, name) = (Token::u32_unsuffixed(field.number), &field.name);
        match field.entry {
            None => {
                let ty = Token::i32_unsuffixed(field.ty);
                quote!(#validate::Field::new(#number, #name, #ty))
            }
            Some((key, value)) => {
                let (key, value) = (Token::i32_unsuffixed(key), Token::i32_unsuffixed(value));
                quote!(#validate::Field::map(#number, #name, #key, #value))
            }
        }
    }

    /// The check of `value`, a reference.
    fn value(&self, value: &ValueRules) -> TokenStream {
        let (rules, validate) = (&self.rules, &self.validate);
        let check = match &value.check {
            Check::Nothing => TokenStream::new(),
            Check::Message => quote!(#validate::Validate::check(value, at, report);),
            Check::Rules(group, list) => self.rules(group, list),
            Check::List {
                rules: list,
                unique,
                items,
            } => self.list(list, *unique, items),
            Check::Map {
                rules: list,
                keys,
                values,
            } => self.map(list, keys, values),
        };
        if !value.ignore_zero || check.is_empty() {
            return check;
        }
        let is_zero = match &value.check {
            Check::List { .. } | Check::Map { .. } => quote!(value.is_empty()),
            _ => quote!(#rules::is_default(value)),
        };
        quote!(if !#is_zero { #check })
    }

    fn rules(&self, group: &str, list: &[Rule]) -> TokenStream {
        let rules = &self.rules;
        let (function, kind) = match group {
            "string" | "bytes" | "duration" | "timestamp" | "any" | "field_mask" => (group, group),
            "bool" => {
                let wanted = list.iter().map(|rule| match rule {
                    Rule::Named(_, literal) => tokens(literal),
                    Rule::Range(..) => TokenStream::new(),
                });
                return quote!(#(#rules::boolean(*value, #wanted, at, report);)*);
            }
            "enum" => ("enumeration", "enum"),
            _ => ("number", "number"),
        };
        let by_value = matches!(function, "number" | "enumeration");
        let value = if by_value {
            quote!(*value)
        } else {
            quote!(value)
        };
        let constant = (function == "number").then(|| {
            let group = format_ident!("{}", group.to_uppercase());
            quote!(&#rules::#group,)
        });
        let function = names::ident(function);
        let kind = format_ident!("{}Rule", kind.to_upper_camel_case());
        let list = list.iter().map(|rule| self.rule(&kind, rule));
        quote!(#rules::#function(#constant #value, &[#(#list),*], at, report);)
    }

    /// A rule as a value of `kind`, one of the runtime's enums.
    fn rule(&self, kind: &Ident, rule: &Rule) -> TokenStream {
        let (rules, validate) = (&self.rules, &self.validate);
        match rule {
            Rule::Range(lower, upper) => {
                let bound = |side: &str, bound: &Option<(&str, Literal)>| {
                    let side = format_ident!("{side}");
                    match bound {
                        None => quote!(#rules::#side::Open),
                        Some((name, literal)) => {
                            let name = format_ident!("{}", name.to_upper_camel_case());
                            let literal = self.literal(literal);
                            quote!(#rules::#side::#name(#literal))
                        }
                    }
                };
                let (lower, upper) = (bound("Lower", lower), bound("Upper", upper));
                quote!(#rules::#kind::Range(#lower, #upper))
            }
            Rule::Named(name @ ("http_header_name" | "http_header_value"), literal) => {
                let name = format_ident!("{}", name.to_upper_camel_case());
                let strict = tokens(literal);
                quote!(#rules::#kind::#name { strict: #strict })
            }
            Rule::Named("pattern", literal) => {
                let pattern = tokens(literal);
                quote!(#rules::#kind::Pattern({
                    static PATTERN: #validate::Pattern = #validate::Pattern::new(#pattern);
                    &PATTERN
                }))
            }
            Rule::Named(name, Literal::None) => {
                let name = format_ident!("{}", name.to_upper_camel_case());
                match kind == "StringRule" {
                    true => quote!(#rules::#kind::Is(#rules::Format::#name)),
                    false => quote!(#rules::#kind::#name),
                }
            }
            Rule::Named(name, literal) => {
                let name = format_ident!("{}", name.to_upper_camel_case());
                let literal = self.literal(literal);
                quote!(#rules::#kind::#name(#literal))
            }
        }
    }

    fn literal(&self, literal: &Literal) -> TokenStream {
        let rules = &self.rules;
        match literal {
            Literal::Time(seconds, nanos) => {
                let seconds = integer(i128::from(*seconds));
                let nanos = integer(i128::from(*nanos));
                quote!(#rules::Time::new(#seconds, #nanos))
            }
            Literal::List(list) => {
                let list = list.iter().map(|literal| self.literal(literal));
                quote!(const { &[#(#list),*] })
            }
            literal => tokens(literal),
        }
    }

    fn list(&self, list: &[Rule], unique: Option<Unique>, items: &ValueRules) -> TokenStream {
        let rules = &self.rules;
        let whole = self.collection("repeated", list);
        let unique = unique.map(|unique| match unique {
            Unique::Exact => quote!(#rules::unique(value, at, report);),
            Unique::Float => quote!(#rules::unique_floats(value, at, report);),
        });
        let item = self.value(items);
        let items = (!item.is_empty()).then(|| {
            quote! {
                for (index, value) in value.iter().enumerate() {
                    if report.is_full() {
                        break;
                    }
                    let at = &at.item(index);
                    #item
                }
            }
        });
        quote!(#whole #unique #items)
    }

    fn map(&self, list: &[Rule], keys: &ValueRules, values: &ValueRules) -> TokenStream {
        let whole = self.collection("map", list);
        let side = |name: &str, rules: &ValueRules| {
            let check = self.value(rules);
            let (at, value) = (
                format_ident!("{name}"),
                match name {
                    "key" => quote!(let value = key;),
                    _ => TokenStream::new(),
                },
            );
            (!check.is_empty()).then(|| quote!({ let at = &at.#at(key); #value #check }))
        };
        let (key, value) = (side("key", keys), side("value", values));
        let entries = (key.is_some() || value.is_some()).then(|| {
            quote! {
                for (key, value) in value {
                    if report.is_full() {
                        break;
                    }
                    #key
                    #value
                }
            }
        });
        quote!(#whole #entries)
    }

    fn collection(&self, group: &str, list: &[Rule]) -> Option<TokenStream> {
        let rules = &self.rules;
        let function = names::ident(group);
        let kind = format_ident!("{}Rule", group.to_upper_camel_case());
        let list: Vec<_> = list.iter().map(|rule| self.rule(&kind, rule)).collect();
        (!list.is_empty())
            .then(|| quote!(#rules::#function(value.len(), &[#(#list),*], at, report);))
    }
}

fn either(
    required: bool,
    is_missing: &TokenStream,
    missing: &TokenStream,
    check: &TokenStream,
) -> TokenStream {
    match (required, check.is_empty()) {
        (true, true) => quote!(if #is_missing { #missing }),
        (true, false) => quote!(if #is_missing { #missing } else { #check }),
        (false, _) => check.clone(),
    }
}

fn or_else(required: bool, missing: &TokenStream) -> TokenStream {
    match required {
        true => quote!(else { #missing }),
        false => TokenStream::new(),
    }
}

fn integer(value: i128) -> TokenStream {
    let digits = Token::u128_unsuffixed(value.unsigned_abs());
    match value < 0 {
        true => quote!(-#digits),
        false => quote!(#digits),
    }
}

fn tokens(literal: &Literal) -> TokenStream {
    match literal {
        Literal::Bool(value) => quote!(#value),
        Literal::Int(value) => integer(*value),
        Literal::Float(value) if value.is_finite() => number(f64::from(*value), value.to_string()),
        Literal::Float(value) => {
            let bits = value.to_bits();
            quote!(::core::primitive::f32::from_bits(#bits))
        }
        Literal::Double(value) if value.is_finite() => number(*value, value.to_string()),
        Literal::Double(value) => {
            let bits = value.to_bits();
            quote!(::core::primitive::f64::from_bits(#bits))
        }
        Literal::String(value) => quote!(#value),
        Literal::Bytes(value) => {
            let bytes = Token::byte_string(value);
            quote!(#bytes.as_slice())
        }
        Literal::None | Literal::Time(..) | Literal::List(_) => TokenStream::new(),
    }
}

/// A floating-point literal with the fewest digits that mean it.
fn number(value: f64, shortest: String) -> TokenStream {
    let digits = shortest.trim_start_matches('-');
    let digits = match digits.contains(['.', 'e']) {
        true => digits.to_owned(),
        false => format!("{digits}.0"),
    };
    let digits: TokenStream = digits.parse().unwrap_or_else(|_| {
        let value = value.abs();
        quote!(#value)
    });
    match value.is_sign_negative() {
        true => quote!(-#digits),
        false => digits,
    }
}
