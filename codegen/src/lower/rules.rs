//! From the options of `buf.validate` to the rules of the model.
//!
//! **Invariant**: a rule is lowered or refused with its place, never passed over.

use std::collections::BTreeSet;

use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value,
};

use super::descriptors;
use super::layout::Layout;
use super::literals::{Group, rules as literals};
use crate::model::{
    Access, Check, Exclusive, FieldRules, MessageRules, RequiredOneof, Unique, ValueRules,
};

/// A rule that cannot be kept, as the mistake of an element.
#[derive(Debug)]
pub(super) struct Mistake {
    /// The source path of the element.
    pub(super) path: Vec<i32>,
    pub(super) message: String,
    pub(super) help: String,
}

/// The rules of all messages of a schema.
pub(super) struct Rules {
    /// Full names of the messages that have rules, or have messages inside that do.
    ruled: BTreeSet<String>,
}

impl Rules {
    /// Finds the messages with rules.
    pub(super) fn of(pool: &DescriptorPool) -> Self {
        let mut rules = Self {
            ruled: BTreeSet::new(),
        };
        if pool.get_extension_by_name(FIELD).is_none() {
            return rules;
        }
        let messages: Vec<_> = pool
            .files()
            .flat_map(|file| descriptors::messages(&file))
            .filter(|message| message.package_name() != PACKAGE)
            .collect();
        // Rules spread from messages to those that hold them, until nothing changes.
        loop {
            let found: Vec<_> = messages
                .iter()
                .filter(|message| !rules.covers(message.full_name()) && rules.touch(message))
                .map(|message| message.full_name().to_owned())
                .collect();
            if found.is_empty() {
                return rules;
            }
            rules.ruled.extend(found);
        }
    }

    /// Whether the message of that name has rules, or messages inside that do.
    pub(super) fn covers(&self, full_name: &str) -> bool {
        self.ruled.contains(full_name)
    }

    /// Whether a message has rules itself, or a field whose message is known to have some.
    fn touch(&self, message: &MessageDescriptor) -> bool {
        extension(&message.options(), MESSAGE).is_some()
            || message
                .oneofs()
                .any(|oneof| extension(&oneof.options(), ONEOF).is_some())
            || message.fields().any(|field| {
                extension(&field.options(), FIELD).is_some()
                    || extension(&field.options(), PREDEFINED).is_some()
                    || value_message(&field).is_some_and(|inner| self.covers(inner.full_name()))
            })
    }

    /// The rules of a message that is at `rust_path` in `layout`.
    pub(super) fn lower(
        &self,
        message: &MessageDescriptor,
        rust_path: &str,
        layout: &Layout,
    ) -> (MessageRules, Vec<Mistake>) {
        let mut lowering = Lowering {
            rules: self,
            rust_path,
            layout,
            exclusive: BTreeSet::new(),
            cel: false,
            path: message.path().to_vec(),
            mistakes: Vec::new(),
        };
        let mut rules = lowering.message(message);
        rules.cel |= lowering.cel;
        (rules, lowering.mistakes)
    }
}

pub(super) const PACKAGE: &str = "buf.validate";
const FIELD: &str = "buf.validate.field";
const MESSAGE: &str = "buf.validate.message";
const ONEOF: &str = "buf.validate.oneof";
const PREDEFINED: &str = "buf.validate.predefined";

/// The message that an extension holds, if the options have it.
fn extension(options: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let pool = options.descriptor().parent_pool().clone();
    let extension = pool.get_extension_by_name(name)?;
    let value = options
        .has_extension(&extension)
        .then(|| options.get_extension(&extension))?;
    value.as_message().cloned()
}

/// The message that a field, its items or its values are.
fn value_message(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    let kind = field.kind();
    let message = kind.as_message()?;
    if field.is_map() {
        message.map_entry_value_field().kind().as_message().cloned()
    } else {
        Some(message.clone())
    }
}

struct Lowering<'a> {
    rules: &'a Rules,
    rust_path: &'a str,
    layout: &'a Layout,
    /// Fields of which only one may be set: a zero is none.
    exclusive: BTreeSet<String>,
    /// Whether there are rules in CEL.
    cel: bool,
    /// The source path of the element that is lowered.
    path: Vec<i32>,
    mistakes: Vec<Mistake>,
}

impl Lowering<'_> {
    fn mistake(&mut self, message: impl Into<String>, help: impl Into<String>) {
        self.mistakes.push(Mistake {
            path: self.path.clone(),
            message: message.into(),
            help: help.into(),
        });
    }

    fn message(&mut self, message: &MessageDescriptor) -> MessageRules {
        let mut rules = MessageRules::default();
        if let Some(options) = extension(&message.options(), MESSAGE) {
            rules.cel = has_cel(&options);
            for group in messages_of(&options, "oneof") {
                rules.exclusive.extend(self.exclusive(message, &group));
            }
        }
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            let options = extension(&oneof.options(), ONEOF);
            let first = oneof.fields().next();
            if let (Some(options), Some(first)) = (options, first)
                && flag(&options, "required")
                && let Some(member) = self.layout.oneof(self.rust_path, first.number())
            {
                rules.required_oneofs.push(RequiredOneof {
                    name: oneof.name().to_owned(),
                    member: member.to_owned(),
                });
            }
        }
        let outer = self.path.clone();
        for field in message.fields() {
            self.path = field.path().to_vec();
            rules.fields.extend(self.field(&field));
        }
        self.path = outer;
        rules
    }

    fn exclusive(
        &mut self,
        message: &MessageDescriptor,
        group: &DynamicMessage,
    ) -> Option<Exclusive> {
        let names = list(group, "fields");
        let names = names.iter().filter_map(Value::as_str);
        let mut fields = Vec::new();
        for name in names {
            let place = message
                .get_field_by_name(name)
                .and_then(|field| self.layout.field(self.rust_path, field.number()));
            let Some(place) = place else {
                self.mistake(
                    format!("the rule `oneof` names `{name}`, which is no field of the message"),
                    "name fields of the message",
                );
                return None;
            };
            self.exclusive.insert(name.to_owned());
            fields.push((name.to_owned(), place.clone()));
        }
        Some(Exclusive {
            fields,
            required: flag(group, "required"),
        })
    }

    fn field(&mut self, field: &FieldDescriptor) -> Option<FieldRules> {
        if extension(&field.options(), PREDEFINED).is_some() {
            self.mistake(
                "rules of one's own (`buf.validate.predefined`) are not supported",
                "write the rule as `cel` of the fields that it is for",
            );
        }
        let options = extension(&field.options(), FIELD);
        let ignore = options.as_ref().map_or(Ignore::No, ignore);
        if ignore == Ignore::Always {
            return None;
        }
        let mut value = self.value(field, options.as_ref(), Side::Field);
        let access = self.layout.field(self.rust_path, field.number())?.clone();
        // A zero that was set is a value.
        let may_be_unset = !matches!(access, Access::Optional(_) | Access::Variant { .. });
        value.ignore_zero =
            may_be_unset && (ignore == Ignore::Zero || self.exclusive.contains(field.name()));
        let required = options
            .as_ref()
            .is_some_and(|options| flag(options, "required"));
        if !required && value.check == Check::Nothing {
            return None;
        }
        let entry = field
            .kind()
            .as_message()
            .filter(|_| field.is_map())
            .map(|entry| {
                let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
                (type_number(&key), type_number(&value))
            });
        Some(FieldRules {
            number: field.number(),
            name: field.name().to_owned(),
            ty: type_number(field),
            entry,
            access,
            required,
            value,
        })
    }

    /// What is asked of a field, or of the items, keys or values of one.
    fn value(
        &mut self,
        field: &FieldDescriptor,
        options: Option<&DynamicMessage>,
        side: Side,
    ) -> ValueRules {
        let ignore = options.map_or(Ignore::No, ignore);
        if ignore == Ignore::Always {
            return ValueRules::default();
        }
        self.cel |= options.is_some_and(has_cel);
        if side == Side::Inside && options.is_some_and(|options| flag(options, "required")) {
            self.mistake(
                "`required` says nothing about an item of a list or an entry of a map",
                "remove it, or ask for what makes a value useful, such as `min_len`",
            );
        }
        let given = options.and_then(|options| self.group(field, options, side));
        let check = if side == Side::Field && field.is_map() {
            self.map(field, given.as_ref())
        } else if side == Side::Field && field.is_list() {
            self.list(field, given.as_ref())
        } else {
            self.single(field, given)
        };
        ValueRules {
            ignore_zero: ignore == Ignore::Zero,
            check,
        }
    }

    /// The group of rules in `options`, such as `string`, if it is one for the field.
    fn group(
        &mut self,
        field: &FieldDescriptor,
        options: &DynamicMessage,
        side: Side,
    ) -> Option<(&'static Group, DynamicMessage)> {
        let given = options
            .fields()
            .find(|(rule, _)| rule.containing_oneof().is_some())?;
        let (rule, rules) = (given.0, given.1.as_message()?);
        let wanted = Group::of(field, side == Side::Field);
        if let Some(group) = wanted.filter(|group| group.name == rule.name()) {
            return Some((group, rules.clone()));
        }
        let help = match wanted {
            Some(group) => format!("rules for it are called `{}`", group.name),
            None => {
                "a message is asked for with `required`; its own fields have rules of their own"
                    .to_owned()
            }
        };
        self.mistake(
            format!("`{}` rules do not fit the field's type", rule.name()),
            help,
        );
        None
    }

    fn single(
        &mut self,
        field: &FieldDescriptor,
        given: Option<(&'static Group, DynamicMessage)>,
    ) -> Check {
        let Some((group, rules)) = given else {
            let kind = field.kind();
            return match kind.as_message() {
                Some(message) if self.rules.covers(message.full_name()) => Check::Message,
                _ => Check::Nothing,
            };
        };
        let defined = match field.kind() {
            Kind::Enum(ty) => ty.values().map(|value| value.number()).collect(),
            _ => Vec::new(),
        };
        match self.literals(&rules, &defined) {
            rules if rules.is_empty() => Check::Nothing,
            rules => Check::Rules(group.name, rules),
        }
    }

    fn list(
        &mut self,
        field: &FieldDescriptor,
        given: Option<&(&'static Group, DynamicMessage)>,
    ) -> Check {
        let rules = given.map(|(_, rules)| rules);
        let inner = rules.and_then(|rules| message_of(rules, "items"));
        let items = self.value(field, inner.as_ref(), Side::Inside);
        let unique = rules
            .filter(|rules| flag(rules, "unique"))
            .and_then(|_| match field.kind() {
                Kind::Message(_) => {
                    self.mistake(
                        "`unique` compares no messages",
                        "remove it, or compare the items by an expression (`cel`)",
                    );
                    None
                }
                Kind::Float | Kind::Double => Some(Unique::Float),
                _ => Some(Unique::Exact),
            });
        let rules = rules
            .map(|rules| self.literals(rules, &[]))
            .unwrap_or_default();
        if rules.is_empty() && unique.is_none() && items.check == Check::Nothing {
            return Check::Nothing;
        }
        Check::List {
            rules,
            unique,
            items: Box::new(items),
        }
    }

    fn map(
        &mut self,
        field: &FieldDescriptor,
        given: Option<&(&'static Group, DynamicMessage)>,
    ) -> Check {
        let kind = field.kind();
        let Some(entry) = kind.as_message() else {
            return Check::Nothing;
        };
        let rules = given.map(|(_, rules)| rules);
        let mut side = |name: &str, field: FieldDescriptor| {
            let options = rules.and_then(|rules| message_of(rules, name));
            self.value(&field, options.as_ref(), Side::Inside)
        };
        let keys = side("keys", entry.map_entry_key_field());
        let values = side("values", entry.map_entry_value_field());
        let rules = rules
            .map(|rules| self.literals(rules, &[]))
            .unwrap_or_default();
        if rules.is_empty() && keys.check == Check::Nothing && values.check == Check::Nothing {
            return Check::Nothing;
        }
        Check::Map {
            rules,
            keys: Box::new(keys),
            values: Box::new(values),
        }
    }

    fn literals(&mut self, rules: &DynamicMessage, defined: &[i32]) -> Vec<crate::model::Rule> {
        literals(rules, defined).unwrap_or_else(|(message, help)| {
            self.mistake(message, help);
            Vec::new()
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// The field itself.
    Field,
    /// An item of a list; a key or a value of a map.
    Inside,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ignore {
    No,
    Zero,
    Always,
}

fn ignore(options: &DynamicMessage) -> Ignore {
    let value = options.get_field_by_name("ignore");
    match value.and_then(|value| value.as_enum_number()) {
        Some(1) => Ignore::Zero,
        Some(3) => Ignore::Always,
        _ => Ignore::No,
    }
}

fn has_cel(options: &DynamicMessage) -> bool {
    !list(options, "cel").is_empty() || !list(options, "cel_expression").is_empty()
}

fn flag(options: &DynamicMessage, name: &str) -> bool {
    let value = options.get_field_by_name(name);
    value.and_then(|value| value.as_bool()).unwrap_or(false)
}

fn message_of(options: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let field = options.descriptor().get_field_by_name(name)?;
    let value = options
        .has_field(&field)
        .then(|| options.get_field(&field))?;
    value.as_message().cloned()
}

fn list(options: &DynamicMessage, name: &str) -> Vec<Value> {
    let value = options.get_field_by_name(name);
    value
        .and_then(|value| value.as_list().map(<[_]>::to_vec))
        .unwrap_or_default()
}

fn messages_of(options: &DynamicMessage, name: &str) -> Vec<DynamicMessage> {
    let values = list(options, name);
    values
        .iter()
        .filter_map(|value| value.as_message().cloned())
        .collect()
}

fn type_number(field: &FieldDescriptor) -> i32 {
    field.field_descriptor_proto().r#type.unwrap_or_default()
}
