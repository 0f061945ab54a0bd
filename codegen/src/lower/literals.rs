//! The values of rules.
//!
//! **Invariant**: a rule that is not in the table of its group is refused.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage, Value};

use crate::model::{Literal, Rule};

/// The rules of one sort of value: a field of `buf.validate.FieldRules`.
pub(super) struct Group {
    /// The name of that field.
    pub(super) name: &'static str,
    rules: &'static [&'static str],
}

const NUMBER: &[&str] = &["const", "in", "not_in"];
const FLOAT: &[&str] = &["const", "in", "not_in", "finite"];
const STRING: &[&str] = &[
    "const",
    "len",
    "min_len",
    "max_len",
    "len_bytes",
    "min_bytes",
    "max_bytes",
    "pattern",
    "prefix",
    "suffix",
    "contains",
    "not_contains",
    "in",
    "not_in",
    "email",
    "hostname",
    "ip",
    "ipv4",
    "ipv6",
    "uri",
    "uri_ref",
    "address",
    "uuid",
    "tuuid",
    "ulid",
    "ip_with_prefixlen",
    "ipv4_with_prefixlen",
    "ipv6_with_prefixlen",
    "ip_prefix",
    "ipv4_prefix",
    "ipv6_prefix",
    "host_and_port",
    "protobuf_fqn",
    "protobuf_dot_fqn",
    "well_known_regex",
];
const BYTES: &[&str] = &[
    "const", "len", "min_len", "max_len", "pattern", "prefix", "suffix", "contains", "in",
    "not_in", "ip", "ipv4", "ipv6", "uuid",
];

static GROUPS: [Group; 22] = [
    group("float", FLOAT),
    group("double", FLOAT),
    group("int32", NUMBER),
    group("int64", NUMBER),
    group("uint32", NUMBER),
    group("uint64", NUMBER),
    group("sint32", NUMBER),
    group("sint64", NUMBER),
    group("fixed32", NUMBER),
    group("fixed64", NUMBER),
    group("sfixed32", NUMBER),
    group("sfixed64", NUMBER),
    group("bool", &["const"]),
    group("string", STRING),
    group("bytes", BYTES),
    group("enum", &["const", "defined_only", "in", "not_in"]),
    group("repeated", &["min_items", "max_items"]),
    group("map", &["min_pairs", "max_pairs"]),
    group("any", &["in", "not_in"]),
    group("duration", NUMBER),
    group("timestamp", &["const", "lt_now", "gt_now", "within"]),
    group("field_mask", NUMBER),
];

const fn group(name: &'static str, rules: &'static [&'static str]) -> Group {
    Group { name, rules }
}

impl Group {
    /// The rules for a field, or for what is inside of it.
    pub(super) fn of(field: &FieldDescriptor, whole: bool) -> Option<&'static Self> {
        let name = match field.kind() {
            _ if whole && field.is_map() => "map",
            _ if whole && field.is_list() => "repeated",
            Kind::Float => "float",
            Kind::Double => "double",
            Kind::Int32 => "int32",
            Kind::Int64 => "int64",
            Kind::Uint32 => "uint32",
            Kind::Uint64 => "uint64",
            Kind::Sint32 => "sint32",
            Kind::Sint64 => "sint64",
            Kind::Fixed32 => "fixed32",
            Kind::Fixed64 => "fixed64",
            Kind::Sfixed32 => "sfixed32",
            Kind::Sfixed64 => "sfixed64",
            Kind::Bool => "bool",
            Kind::String => "string",
            Kind::Bytes => "bytes",
            Kind::Enum(_) => "enum",
            Kind::Message(message) => match message.full_name() {
                "google.protobuf.FloatValue" => "float",
                "google.protobuf.DoubleValue" => "double",
                "google.protobuf.Int32Value" => "int32",
                "google.protobuf.Int64Value" => "int64",
                "google.protobuf.UInt32Value" => "uint32",
                "google.protobuf.UInt64Value" => "uint64",
                "google.protobuf.BoolValue" => "bool",
                "google.protobuf.StringValue" => "string",
                "google.protobuf.BytesValue" => "bytes",
                "google.protobuf.Any" => "any",
                "google.protobuf.Duration" => "duration",
                "google.protobuf.Timestamp" => "timestamp",
                "google.protobuf.FieldMask" => "field_mask",
                _ => return None,
            },
        };
        GROUPS.iter().find(|group| group.name == name)
    }

    fn rule(&self, name: &str) -> Option<&'static str> {
        self.rules.iter().copied().find(|rule| *rule == name)
    }
}

/// What is wrong with a rule, and what to do.
type Refusal = (String, String);

/// The rules in a message such as `buf.validate.StringRules`, for an enum with `defined` values.
pub(super) fn rules(given: &DynamicMessage, defined: &[i32]) -> Result<Vec<Rule>, Refusal> {
    if let Some((extension, _)) = given.extensions().next() {
        return Err((
            format!(
                "`{}` is a rule of one's own, which is not supported",
                extension.full_name()
            ),
            "write it as `cel` of the field".to_owned(),
        ));
    }
    if given.unknown_fields().next().is_some() {
        return Err(unknown("a rule that the schema does not name"));
    }
    // `StringRules` are those of `string`.
    let descriptor = given.descriptor();
    let sort = descriptor.name().trim_end_matches("Rules").to_lowercase();
    let sort = if sort == "fieldmask" {
        "field_mask"
    } else {
        &sort
    };
    let group = GROUPS.iter().find(|group| group.name == sort);
    let (mut lower, mut upper) = (None, None);
    let mut rules = Vec::new();
    for (field, value) in given.fields() {
        match field.name() {
            // Not rules of the value itself, or rules that are lowered elsewhere.
            "example" | "strict" | "items" | "keys" | "values" | "unique" => {}
            "gt" => lower = Some(("gt", literal(value))),
            "gte" => lower = Some(("gte", literal(value))),
            "lt" => upper = Some(("lt", literal(value))),
            "lte" => upper = Some(("lte", literal(value))),
            name => {
                let known = group.and_then(|group| group.rule(name));
                let name = known.ok_or_else(|| unknown(&format!("the rule `{name}`")))?;
                rules.extend(rule(name, value, given, defined)?);
            }
        }
    }
    if lower.is_some() || upper.is_some() {
        rules.push(Rule::Range(lower, upper));
    }
    Ok(rules)
}

fn unknown(what: &str) -> Refusal {
    (
        format!("{what} is not known to this version of the generator"),
        "remove it, or update daemoneye-ipc".to_owned(),
    )
}

fn rule(
    name: &'static str,
    value: &Value,
    given: &DynamicMessage,
    defined: &[i32],
) -> Result<Option<Rule>, Refusal> {
    let literal = match (name, value) {
        // Asked for, or not asked for.
        (_, Value::Bool(false)) if name != "const" => return Ok(None),
        ("defined_only", _) => {
            let defined = defined.iter().map(|number| Literal::Int((*number).into()));
            Literal::List(defined.collect())
        }
        ("pattern", Value::String(pattern)) => {
            check_pattern(pattern)?;
            Literal::String(pattern.clone())
        }
        ("well_known_regex", value) => {
            let strict = given.get_field_by_name("strict");
            let strict = strict.and_then(|strict| strict.as_bool());
            let asked = given.has_field_by_name("strict");
            let strict = Literal::Bool(!asked || strict.unwrap_or(true));
            return Ok(match value.as_enum_number() {
                Some(1) => Some(Rule::Named("http_header_name", strict)),
                Some(2) => Some(Rule::Named("http_header_value", strict)),
                _ => None,
            });
        }
        (_, Value::Bool(true)) if name != "const" => Literal::None,
        (_, value) => literal(value),
    };
    Ok(Some(Rule::Named(name, literal)))
}

fn check_pattern(pattern: &str) -> Result<(), Refusal> {
    match regex_lite::Regex::new(pattern) {
        Ok(_) => Ok(()),
        Err(error) => Err((
            format!("the pattern `{pattern}` is no regular expression: {error}"),
            "patterns are those of RE2, without Unicode classes (`\\p{…}`)".to_owned(),
        )),
    }
}

fn literal(value: &Value) -> Literal {
    match value {
        Value::Bool(value) => Literal::Bool(*value),
        Value::I32(value) => Literal::Int((*value).into()),
        Value::I64(value) => Literal::Int((*value).into()),
        Value::U32(value) => Literal::Int((*value).into()),
        Value::U64(value) => Literal::Int((*value).into()),
        Value::EnumNumber(value) => Literal::Int((*value).into()),
        Value::F32(value) => Literal::Float(*value),
        Value::F64(value) => Literal::Double(*value),
        Value::String(value) => Literal::String(value.clone()),
        Value::Bytes(value) => Literal::Bytes(value.to_vec()),
        Value::List(values) => Literal::List(values.iter().map(literal).collect()),
        Value::Message(message) => message_literal(message),
        Value::Map(_) => Literal::None, // no rule has a map for its value
    }
}

/// A duration, a timestamp, or the paths of a field mask.
fn message_literal(message: &DynamicMessage) -> Literal {
    let number = |name: &str| message.get_field_by_name(name);
    if let Some(paths) = number("paths") {
        return literal(&paths);
    }
    let seconds = number("seconds").and_then(|value| value.as_i64());
    let nanos = number("nanos").and_then(|value| value.as_i32());
    Literal::Time(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}
