//! The functions that protovalidate adds to CEL.
//!
//! **Invariant**: a format means here what it means among the standard rules.

use cel::{
    Context, ExecutionError, Value,
    extractors::{Arguments, This},
    objects::KeyRef,
};

use super::value::SET;
use crate::validate::formats::{self, Version};

/// Asks whether a field is set; no expression can call it by this name.
pub(super) const HAS: &str = "has field";

type Result<T> = std::result::Result<T, ExecutionError>;

/// Adds `now` and the functions.
pub(super) fn add_to(context: &mut Context<'_, '_>) {
    let now = chrono::Utc::now().fixed_offset();
    context.add_variable_from_value("now", Value::Timestamp(now));
    let text =
        |judge: fn(&str) -> bool| move |This(text): This<std::sync::Arc<String>>| judge(&text);
    let added = [
        context.add_function(HAS, has),
        context.add_function("isNan", |This(number): This<f64>| number.is_nan()),
        context.add_function("isInf", is_infinite),
        context.add_function("isEmail", text(formats::is_email)),
        context.add_function("isHostname", text(formats::is_hostname)),
        context.add_function("isUri", text(formats::is_uri)),
        context.add_function("isUriRef", text(formats::is_uri_reference)),
        context.add_function("isIp", is_ip),
        context.add_function("isIpPrefix", is_ip_prefix),
        context.add_function("isHostAndPort", is_host_and_port),
        context.add_function("unique", unique),
    ];
    for error in added.into_iter().filter_map(std::result::Result::err) {
        tracing::error!(%error, "a function of the rules is not there");
    }
}

/// Whether a field of a message is set, or a key is in a map.
fn has(target: Value, field: std::sync::Arc<String>) -> Result<bool> {
    let Value::Map(map) = &target else {
        return Err(ExecutionError::no_such_key(&field));
    };
    Ok(match map.get(&KeyRef::String(SET)) {
        Some(Value::List(set)) => set.contains(&Value::String(field)),
        _ => map.get(&KeyRef::String(&field)).is_some(),
    })
}

fn is_infinite(This(number): This<f64>, Arguments(arguments): Arguments) -> bool {
    number.is_infinite()
        && match arguments.first() {
            Some(Value::Int(sign)) if *sign > 0 => number > 0.0,
            Some(Value::Int(sign)) if *sign < 0 => number < 0.0,
            _ => true,
        }
}

/// `None` for any; an error for a number that is none.
fn version(argument: Option<&Value>) -> Result<Option<Version>> {
    match argument {
        None | Some(Value::Int(0)) => Ok(None),
        Some(Value::Int(4)) => Ok(Some(Version::V4)),
        Some(Value::Int(6)) => Ok(Some(Version::V6)),
        Some(_) => Err(ExecutionError::function_error(
            "isIp",
            "the version is 4 or 6",
        )),
    }
}

fn is_ip(
    This(text): This<std::sync::Arc<String>>,
    Arguments(arguments): Arguments,
) -> Result<bool> {
    Ok(match version(arguments.first())? {
        None => formats::is_ip(&text),
        Some(Version::V4) => formats::is_ipv4(&text),
        Some(Version::V6) => formats::is_ipv6(&text),
    })
}

/// With a version, with whether the address has to be that of the network, or with both.
fn is_ip_prefix(
    This(text): This<std::sync::Arc<String>>,
    Arguments(arguments): Arguments,
) -> Result<bool> {
    let strict = matches!(arguments.last(), Some(Value::Bool(true)));
    let given = arguments
        .first()
        .filter(|first| !matches!(first, Value::Bool(_)));
    Ok(formats::is_prefix(&text, version(given)?, strict))
}

fn is_host_and_port(
    This(text): This<std::sync::Arc<String>>,
    Arguments(arguments): Arguments,
) -> bool {
    let may_lack_port = !matches!(arguments.first(), Some(Value::Bool(true)));
    formats::is_host_and_port(&text) || may_lack_port && formats::is_host(&text)
}

/// Items of one list are of one type, so that those that are written alike are alike.
fn unique(This(items): This<std::sync::Arc<Vec<Value>>>) -> bool {
    let mut seen = std::collections::HashSet::new();
    items.iter().all(|item| seen.insert(format!("{item:?}")))
}
