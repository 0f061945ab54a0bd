//! The attribute's arguments.
//!
//! **Invariant**: looks at tokens alone; files are another stage's.

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Ident, LitStr, Path, Token, bracketed};

use super::errors::{Errors, nearest};

/// The arguments, each with the user's tokens; those that are missing or wrong have been reported.
#[derive(Default)]
pub(super) struct Arguments {
    /// The schema file, relative to the crate.
    pub(super) schema: Option<LitStr>,
    /// The full name of the service.
    pub(super) service: Option<LitStr>,
    /// The folders that imports are relative to.
    pub(super) includes: Vec<LitStr>,
    /// The module of the package's messages.
    pub(super) messages: Option<Path>,
    /// The runtime crate.
    pub(super) runtime: Option<Path>,
}

const NAMES: [&str; 5] = ["schema", "service", "includes", "messages", "crate"];

impl Arguments {
    /// Parses `schema = "…", service = "…", includes = ["…"], messages = path, crate = path`, in any
    /// order. What is missing is reported on the trait's name, unless another mistake may be why.
    pub(super) fn parse(tokens: TokenStream, on: &Ident, errors: &mut Errors) -> Self {
        let mut arguments = Self::default();
        let mut seen: Vec<String> = Vec::new();
        let parser = |input: ParseStream<'_>| {
            while !input.is_empty() {
                let argument: Argument = input.parse()?;
                let name = argument.name.to_string();
                if seen.contains(&name) {
                    errors.on(
                        &argument.name,
                        format_args!("`{name}` is given twice: remove one of the two"),
                    );
                } else {
                    arguments.set(&argument.name, argument.value, errors);
                }
                seen.push(name);
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(())
        };
        if let Err(error) = syn::parse::Parser::parse2(parser, tokens) {
            errors.parser(error);
        }
        if errors.is_empty() && arguments.service.is_none() {
            errors.on(
                on,
                "`service` is missing: `#[ipc_service(service = \"package.v1.Service\", …)]`",
            );
        }
        arguments
    }

    /// The path of the runtime crate.
    pub(super) fn runtime(&self) -> Path {
        let default = || syn::parse_quote!(::daemoneye_ipc);
        self.runtime.clone().unwrap_or_else(default)
    }

    /// Keeps a value, or reports what is wrong with it.
    fn set(&mut self, name: &Ident, value: Value, errors: &mut Errors) {
        match value {
            Value::Schema(value) => self.schema = Some(value),
            Value::Service(value) => self.service = Some(value),
            Value::Includes(values) if values.is_empty() => errors.on(
                name,
                "`includes` is empty: name the folders that imports are relative to, or leave it out",
            ),
            Value::Includes(values) => self.includes = values,
            Value::Messages(value) => self.messages = Some(value),
            Value::Runtime(path) if is_absolute(&path) => self.runtime = Some(path),
            Value::Runtime(path) => errors.on(
                &path,
                "modules of their own use this path too: start it with `::` or `crate::`, as in \
                 `crate = ::daemoneye_ipc`",
            ),
            Value::Unknown => errors.on(name, unknown(&name.to_string())),
        }
    }
}

fn is_absolute(path: &Path) -> bool {
    let first = path.segments.first();
    path.leading_colon.is_some() || first.is_some_and(|first| first.ident == "crate")
}

fn unknown(name: &str) -> String {
    let hint = match nearest(name, NAMES) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are `{}`", NAMES.join("`, `")),
    };
    format!("unknown argument `{name}`: {hint}")
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
    Runtime(Path),
    Unknown,
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        // `crate` is a keyword.
        let name = input.call(Ident::parse_any).map_err(says(
            "an argument has a name: `schema = \"schemas/….proto\", service = \"package.v1.Service\"`",
        ))?;
        let Some(form) = form(&name) else {
            if input.parse::<Option<Token![=]>>()?.is_some() {
                input.parse::<syn::Expr>()?;
            }
            let value = Value::Unknown;
            return Ok(Self { name, value });
        };
        if !input.peek(Token![=]) {
            let text = format!("`{name}` has no value: write `{form}`");
            return Err(syn::Error::new(name.span(), text));
        }
        input.parse::<Token![=]>()?;
        let value = Value::parse(&name, input).map_err(says(&format!("write `{form}`")))?;
        Ok(Self { name, value })
    }
}

impl Value {
    fn parse(name: &Ident, input: ParseStream<'_>) -> syn::Result<Self> {
        Ok(match name.to_string().as_str() {
            "schema" => Self::Schema(input.parse()?),
            "service" => Self::Service(input.parse()?),
            "includes" => {
                let list;
                bracketed!(list in input);
                let list = Punctuated::<LitStr, Token![,]>::parse_terminated(&list)?;
                Self::Includes(list.into_iter().collect())
            }
            "messages" => Self::Messages(input.call(Path::parse_mod_style)?),
            "crate" => Self::Runtime(input.call(Path::parse_mod_style)?),
            _ => Self::Unknown,
        })
    }
}

/// How an argument is written; `None` if there is none of that name.
fn form(name: &Ident) -> Option<&'static str> {
    const FORMS: [&str; 5] = [
        "schema = \"schemas/….proto\"",
        "service = \"package.v1.Service\"",
        "includes = [\"schemas\"]",
        "messages = crate::module",
        "crate = ::daemoneye_ipc",
    ];
    let at = NAMES.iter().position(|known| name == known)?;
    FORMS.get(at).copied()
}

/// Puts a text in place of the parser's, at the same token.
fn says(text: &str) -> impl Fn(syn::Error) -> syn::Error {
    move |error| syn::Error::new(error.span(), text)
}
