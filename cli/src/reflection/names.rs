//! Finding services, methods and types by the names that people type.
//!
//! **Invariant**: a name that could mean two things is refused with both; a name that is not there is
//! refused with the nearest ones that are.

use prost_reflect::{
    DescriptorPool, EnumDescriptor, EnumValueDescriptor, FieldDescriptor, MessageDescriptor,
    MethodDescriptor, OneofDescriptor, ServiceDescriptor,
};

use super::source::ServiceInfo;
use crate::{failure::Failure, format};

/// The most names that a message lists.
const MOST_LISTED: usize = 8;

/// Something that a schema names.
#[derive(Debug, Clone)]
pub(crate) enum Symbol {
    /// A service.
    Service(ServiceDescriptor),
    /// A method of a service.
    Method(MethodDescriptor),
    /// A message.
    Message(MessageDescriptor),
    /// An enum.
    Enum(EnumDescriptor),
    /// A field of a message.
    Field(FieldDescriptor),
    /// A oneof of a message.
    Oneof(OneofDescriptor),
    /// A value of an enum.
    Value(EnumValueDescriptor),
}

impl Symbol {
    /// Full name. Unlike in a schema, a value of an enum is named inside of the enum.
    pub(crate) fn full_name(&self) -> String {
        match self {
            Self::Service(service) => service.full_name().to_owned(),
            Self::Method(method) => method.full_name().to_owned(),
            Self::Message(message) => message.full_name().to_owned(),
            Self::Enum(values) => values.full_name().to_owned(),
            Self::Field(field) => field.full_name().to_owned(),
            Self::Oneof(oneof) => oneof.full_name().to_owned(),
            Self::Value(value) => format!("{}.{}", value.parent_enum().full_name(), value.name()),
        }
    }

    /// What it is, in a word.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Service(_) => "service",
            Self::Method(_) => "method",
            Self::Message(_) => "message",
            Self::Enum(_) => "enum",
            Self::Field(_) => "field",
            Self::Oneof(_) => "oneof",
            Self::Value(_) => "enum value",
        }
    }

    /// A short name means the outermost thing of that name.
    const fn tier(&self) -> u8 {
        match self {
            Self::Service(_) | Self::Message(_) | Self::Enum(_) => 0,
            Self::Method(_) => 1,
            Self::Field(_) | Self::Oneof(_) | Self::Value(_) => 2,
        }
    }
}

/// Service and method of `pkg.Service/Method`, with or without a slash before it, or of
/// `pkg.Service.Method`.
pub(crate) fn split_method(text: &str) -> Result<(&str, &str), Failure> {
    let path = text.strip_prefix('/').unwrap_or(text);
    let split = path.rsplit_once('/').or_else(|| path.rsplit_once('.'));
    split
        .filter(|(service, method)| !service.is_empty() && !method.is_empty())
        .ok_or_else(|| Failure::Usage {
            message: format!("`{text}` names no method"),
            hint: "write SERVICE/METHOD; `daemoneye-cli list` shows the services, and `daemoneye-cli list SERVICE` its methods"
                .to_owned(),
        })
}

/// The service that `name` means: its full name, or the end of it from a dot on.
pub(crate) fn find_service<'a>(
    services: &'a [ServiceInfo],
    name: &str,
    source: &str,
) -> Result<&'a ServiceInfo, Failure> {
    let meant = meant(services, name, |service| service.name.clone());
    match meant[..] {
        [service] => Ok(service),
        [] => Err(Failure::Usage {
            message: format!("no service `{name}` at {source}"),
            hint: suggestion(name, services.iter().map(|service| service.name.as_str()))
                .unwrap_or_else(|| match services {
                    [] => "it has no services at all".to_owned(),
                    _ => format!("it has {}", listed(services.iter().map(|s| s.name.clone()))),
                }),
        }),
        _ => Err(ambiguous(name, meant.iter().map(|s| s.name.clone()))),
    }
}

/// The method of that name.
pub(crate) fn find_method(
    service: &ServiceDescriptor,
    name: &str,
) -> Result<MethodDescriptor, Failure> {
    if let Some(method) = service.methods().find(|method| method.name() == name) {
        return Ok(method);
    }
    let names: Vec<_> = service.methods().map(|m| m.name().to_owned()).collect();
    Err(Failure::Usage {
        message: format!("{} has no method `{name}`", service.full_name()),
        hint: suggestion(name, names.iter().map(String::as_str))
            .unwrap_or_else(|| format!("it has {}", listed(names.iter().cloned()))),
    })
}

/// What `name` means among all that `pool` holds.
pub(crate) fn find_symbol(
    pool: &DescriptorPool,
    name: &str,
    source: &str,
) -> Result<Symbol, Failure> {
    let wanted = name.trim_start_matches(['/', '.']).replace('/', ".");
    let symbols = symbols(pool);
    let mut meant = meant(&symbols, &wanted, Symbol::full_name);
    let outermost = meant.iter().map(|symbol| symbol.tier()).min();
    meant.retain(|symbol| Some(symbol.tier()) == outermost);
    match meant[..] {
        [symbol] => Ok(symbol.clone()),
        [] => {
            let names: Vec<_> = symbols.iter().map(Symbol::full_name).collect();
            Err(Failure::Usage {
                message: format!("nothing is called `{name}` at {source}"),
                hint: suggestion(&wanted, names.iter().map(String::as_str)).unwrap_or_else(|| {
                    "`daemoneye-cli list` shows the services, and `daemoneye-cli list SERVICE` its methods with their messages".to_owned()
                }),
            })
        }
        _ => Err(ambiguous(name, meant.iter().map(|s| s.full_name()))),
    }
}

fn symbols(pool: &DescriptorPool) -> Vec<Symbol> {
    let mut symbols = Vec::new();
    for service in pool.services() {
        symbols.extend(service.methods().map(Symbol::Method));
        symbols.push(Symbol::Service(service));
    }
    for message in pool
        .all_messages()
        .filter(|message| !message.is_map_entry())
    {
        symbols.extend(message.fields().map(Symbol::Field));
        let oneofs = message.oneofs().filter(|oneof| !oneof.is_synthetic());
        symbols.extend(oneofs.map(Symbol::Oneof));
        symbols.push(Symbol::Message(message));
    }
    for values in pool.all_enums() {
        symbols.extend(values.values().map(Symbol::Value));
        symbols.push(Symbol::Enum(values));
    }
    symbols
}

/// Those whose full name is `name`, or else those whose full name ends with it from a dot on.
fn meant<'a, T>(all: &'a [T], name: &str, full_name: impl Fn(&T) -> String) -> Vec<&'a T> {
    let exact: Vec<_> = all.iter().filter(|one| full_name(one) == name).collect();
    if !exact.is_empty() || name.is_empty() {
        return exact;
    }
    let ends = |one: &T| {
        let full = full_name(one);
        full.strip_suffix(name)
            .is_some_and(|rest| rest.ends_with('.'))
    };
    all.iter().filter(|one| ends(one)).collect()
}

fn ambiguous(name: &str, candidates: impl Iterator<Item = String>) -> Failure {
    Failure::Usage {
        message: format!("`{name}` could be {}", listed(candidates)),
        hint: "write more of the name".to_owned(),
    }
}

/// Names one after the other, the first few of many.
pub(super) fn listed(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(MOST_LISTED);
    names.truncate(MOST_LISTED);
    let text = names.join(", ");
    match more {
        0 => text,
        _ => format!("{text} and {} more", format::count(more as u64)),
    }
}

/// "Did you mean", if `candidates` have something that `name` may be a misspelling of. A short name is
/// compared with the ends of long ones.
pub(super) fn suggestion<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<String> {
    let parts = name.split('.').count();
    let end = |full: &'a str| {
        let from = full.rmatch_indices('.').nth(parts - 1);
        from.map_or(full, |(index, _)| &full[index + 1..])
    };
    let length = name.chars().count();
    let limit = length.max(3) / 3;
    let nearest = candidates
        .map(|full| (full, end(full)))
        .filter(|(_, end)| end.chars().count().abs_diff(length) <= limit)
        .map(|(full, end)| {
            (
                strsim::damerau_levenshtein(&name.to_lowercase(), &end.to_lowercase()),
                full,
            )
        })
        .filter(|(distance, _)| *distance <= limit)
        .min()?;
    Some(format!("did you mean `{}`?", nearest.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(names: &[&str]) -> Vec<ServiceInfo> {
        let info = |name: &&str| ServiceInfo {
            name: (*name).to_owned(),
            revision: None,
            fingerprint: 0,
            methods: None,
        };
        names.iter().map(info).collect()
    }

    fn refusal<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
        let failure = result.expect_err("refused");
        assert_eq!(failure.exit_code(), 2);
        anstream::adapter::strip_str(&failure.message().expect("words")).to_string()
    }

    #[test]
    fn every_spelling_of_a_method_is_understood() {
        for text in ["/a.v1.A/Get", "a.v1.A/Get", "a.v1.A.Get"] {
            assert_eq!(split_method(text).expect(text), ("a.v1.A", "Get"));
        }
        assert_eq!(split_method("A/Get").expect("short"), ("A", "Get"));
        for text in ["", "/", "Get", "/Get", "a.v1.A/", "."] {
            assert!(
                refusal(split_method(text)).contains("SERVICE/METHOD"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_service_is_found_by_any_end_of_its_name_that_is_its_alone() {
        let all = services(&["a.v1.Store", "b.v1.Store", "b.v1.Other"]);
        for (name, full) in [
            ("a.v1.Store", "a.v1.Store"),
            ("Other", "b.v1.Other"),
            ("v1.Other", "b.v1.Other"),
        ] {
            assert_eq!(find_service(&all, name, "here").expect(name).name, full);
        }
        let text = refusal(find_service(&all, "Store", "here"));
        assert!(text.contains("`a.v1.Store`, `b.v1.Store`"), "{text}");
        let text = refusal(find_service(&all, "Othr", "here"));
        assert!(text.contains("did you mean `b.v1.Other`?"), "{text}");
        let text = refusal(find_service(&all, "ther", "here"));
        assert!(text.contains("no service `ther` at here"), "{text}");
        let text = refusal(find_service(&all, "zzz", "here"));
        assert!(text.contains("it has `a.v1.Store`, "), "{text}");
    }

    #[test]
    fn a_long_list_is_cut() {
        let names: Vec<_> = (0..20).map(|number| format!("a.S{number}")).collect();
        let all = services(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let text = refusal(find_service(&all, "unknown", "here"));
        assert!(text.contains("`a.S7` and 12 more"), "{text}");
    }
}
