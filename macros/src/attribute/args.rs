//! The attribute's arguments.
//!
//! **Invariant**: looks at tokens alone; files are another stage's.

use proc_macro2::TokenStream;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Ident, LitStr, Path, Token, bracketed};

use super::errors::{Errors, nearest};

/// The arguments, each with the user's tokens.
pub(super) struct Arguments {
    /// The schema file, relative to the crate.
    pub(super) schema: LitStr,
    /// The full name of the service.
    pub(super) service: LitStr,
    /// The folders that imports are relative to.
    pub(super) includes: Vec<LitStr>,
    /// The module of the package's messages.
    pub(super) messages: Option<Path>,
}

const NAMES: [&str; 4] = ["schema", "service", "includes", "messages"];

impl Arguments {
    /// Parses `schema = "…", service = "…", includes = ["…"], messages = path`, in any order. What
    /// is missing is reported on the trait's name.
    pub(super) fn parse(tokens: TokenStream, on: &Ident, errors: &mut Errors) -> Option<Self> {
        let parser = Punctuated::<Argument, Token![,]>::parse_terminated;
        let list = match syn::parse::Parser::parse2(parser, tokens) {
            Ok(list) => list,
            Err(error) => {
                errors.parser(error);
                return None;
            }
        };
        let (mut schema, mut service, mut includes, mut messages) = (None, None, None, None);
        for Argument { name, value } in list {
            let twice = match value {
                Value::Schema(value) => schema.replace(value).is_some(),
                Value::Service(value) => service.replace(value).is_some(),
                Value::Includes(value) => includes.replace(value).is_some(),
                Value::Messages(value) => messages.replace(value).is_some(),
            };
            if twice {
                errors.on(&name, format_args!("`{name}` is given twice"));
            }
        }
        if schema.is_none() {
            errors.on(
                on,
                "`schema` is missing: `#[ipc_service(schema = \"schemas/….proto\", …)]`",
            );
        }
        if service.is_none() {
            errors.on(
                on,
                "`service` is missing: `#[ipc_service(service = \"package.v1.Service\", …)]`",
            );
        }
        let includes = includes.unwrap_or_default();
        Some(Self {
            schema: schema?,
            service: service?,
            includes,
            messages,
        })
    }
}

struct Argument {
    name: Ident,
    value: Value,
}

enum Value {
    Schema(LitStr),
    Service(LitStr),
    Includes(Vec<LitStr>),
    Messages(Path),
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name: Ident = input.parse()?;
        let text = name.to_string();
        if !NAMES.contains(&text.as_str()) {
            let hint = match nearest(&text, NAMES) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are `{}`", NAMES.join("`, `")),
            };
            return Err(syn::Error::new(
                name.span(),
                format!("unknown argument `{text}`: {hint}"),
            ));
        }
        input.parse::<Token![=]>()?;
        let value = match text.as_str() {
            "schema" => Value::Schema(input.parse()?),
            "service" => Value::Service(input.parse()?),
            "includes" => {
                let list;
                bracketed!(list in input);
                let list = Punctuated::<LitStr, Token![,]>::parse_terminated(&list)?;
                Value::Includes(list.into_iter().collect())
            }
            _ => Value::Messages(input.parse()?),
        };
        Ok(Self { name, value })
    }
}
