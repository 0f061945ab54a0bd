//! Rules in CEL, the Common Expression Language: with the feature `validate-cel`.
//!
//! A message is looked at through its descriptor here, rule by rule; the other rules never are.
//!
//! **Invariant**: an expression that cannot be evaluated counts as broken, and the log says why.

mod expression;
mod functions;
mod value;

use std::{collections::HashMap, fmt, sync::OnceLock};

use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, MessageDescriptor, ReflectMessage, Value,
};

use self::expression::{Rule, Side, Verdict};
use super::{
    Report,
    report::{Field, Key, MESSAGE, Path},
};

/// The descriptors of a package with rules in CEL, and its rules, compiled at the first use.
pub struct CelSchema {
    descriptors: &'static [u8],
    compiled: OnceLock<HashMap<String, MessageRules>>,
}

impl CelSchema {
    /// The schema in a serialized `FileDescriptorSet`.
    #[must_use]
    pub const fn new(descriptors: &'static [u8]) -> Self {
        Self {
            descriptors,
            compiled: OnceLock::new(),
        }
    }

    /// Checks a message by the expressions of its type and of its fields. Messages inside are checked on
    /// their own.
    pub fn check<M: Message>(&self, name: &str, message: &M, at: &Path<'_>, report: &mut Report) {
        let compiled = self.compiled.get_or_init(|| compile(self.descriptors));
        let Some(rules) = compiled.get(name) else {
            return;
        };
        let encoded = message.encode_to_vec();
        match DynamicMessage::decode(rules.descriptor.clone(), encoded.as_slice()) {
            Ok(message) => rules.check(&message, at, report),
            // Bytes that prost has just written.
            Err(error) => tracing::error!(name, %error, "a message does not decode for its rules"),
        }
    }
}

impl fmt::Debug for CelSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CelSchema").finish_non_exhaustive()
    }
}

/// The rules of all messages of a set of descriptors.
fn compile(descriptors: &[u8]) -> HashMap<String, MessageRules> {
    let pool = match DescriptorPool::decode(descriptors) {
        Ok(pool) => pool,
        Err(error) => {
            tracing::error!(%error, "the descriptors of a generated package do not decode");
            return HashMap::new();
        }
    };
    let messages = pool.all_messages().map(|descriptor| {
        let name = descriptor.full_name().to_owned();
        (name, MessageRules::of(descriptor))
    });
    messages.collect()
}

struct MessageRules {
    descriptor: MessageDescriptor,
    whole: Vec<Rule>,
    fields: Vec<FieldRules>,
}

/// The expressions of a field, and of what is inside of it.
struct FieldRules {
    descriptor: FieldDescriptor,
    /// A description that lives as long as the program, like the emitted ones.
    field: &'static Field,
    ignores_zero: bool,
    own: Vec<Rule>,
    items: Vec<Rule>,
    keys: Vec<Rule>,
    values: Vec<Rule>,
}

impl MessageRules {
    fn of(descriptor: MessageDescriptor) -> Self {
        let options = extension(&descriptor.options(), "buf.validate.message");
        let fields = descriptor.fields().filter_map(FieldRules::of).collect();
        Self {
            whole: Rule::all(options.as_ref(), Side::Message),
            fields,
            descriptor,
        }
    }

    fn check(&self, message: &DynamicMessage, at: &Path<'_>, report: &mut Report) {
        if !self.whole.is_empty() {
            let this = value::of_message(message);
            judge(&self.whole, &this, at, report);
        }
        for rules in &self.fields {
            rules.check(message, &at.field(rules.field), report);
        }
    }
}

impl FieldRules {
    fn of(descriptor: FieldDescriptor) -> Option<Self> {
        let options = extension(&descriptor.options(), "buf.validate.field")?;
        let ignore = number(&options, "ignore");
        let inside = |group: &str, name: &str| {
            let rules = nested(&options, group).and_then(|rules| nested(&rules, name));
            let rules = rules.filter(|rules| number(rules, "ignore") != IGNORE_ALWAYS);
            Rule::all(rules.as_ref(), Side::Field)
        };
        let rules = Self {
            field: leak(&descriptor),
            ignores_zero: ignore == 1 || descriptor.supports_presence(),
            own: Rule::all(Some(&options), Side::Field),
            items: inside("repeated", "items"),
            keys: inside("map", "keys"),
            values: inside("map", "values"),
            descriptor,
        };
        let lists = [&rules.own, &rules.items, &rules.keys, &rules.values];
        let any = lists.iter().any(|list| !list.is_empty());
        (any && ignore != IGNORE_ALWAYS).then_some(rules)
    }

    fn check(&self, message: &DynamicMessage, at: &Path<'_>, report: &mut Report) {
        if self.ignores_zero && !message.has_field(&self.descriptor) {
            return;
        }
        let found = message.get_field(&self.descriptor);
        if !self.own.is_empty() {
            let this = value::of(&found, &self.descriptor);
            judge(&self.own, &this, at, report);
        }
        match &*found {
            Value::List(items) if !self.items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    let this = value::of(item, &self.descriptor);
                    judge(&self.items, &this, &at.item(index), report);
                }
            }
            Value::Map(entries) => self.check_entries(entries, at, report),
            _ => {}
        }
    }

    fn check_entries(
        &self,
        entries: &HashMap<prost_reflect::MapKey, Value>,
        at: &Path<'_>,
        report: &mut Report,
    ) {
        let kind = self.descriptor.kind();
        let Some(entry) = kind.as_message() else {
            return;
        };
        for (key, found) in entries {
            let at_key = || match key {
                prost_reflect::MapKey::Bool(key) => Key::Bool(*key),
                prost_reflect::MapKey::I32(key) => Key::Int((*key).into()),
                prost_reflect::MapKey::I64(key) => Key::Int(*key),
                prost_reflect::MapKey::U32(key) => Key::Uint((*key).into()),
                prost_reflect::MapKey::U64(key) => Key::Uint(*key),
                prost_reflect::MapKey::String(key) => Key::String(key),
            };
            if !self.keys.is_empty() {
                let this = value::of_key(key);
                judge(&self.keys, &this, &at.key(at_key()), report);
            }
            if !self.values.is_empty() {
                let this = value::of(found, &entry.map_entry_value_field());
                judge(&self.values, &this, &at.value(at_key()), report);
            }
        }
    }
}

/// `buf.validate.Ignore.IGNORE_ALWAYS`.
const IGNORE_ALWAYS: i32 = 3;

fn judge(rules: &[Rule], this: &cel::Value, at: &Path<'_>, report: &mut Report) {
    for rule in rules {
        if report.is_full() {
            return;
        }
        if let Verdict::Broken(message) = rule.judge(this) {
            report.add_listed(at, rule.place(), &rule.id, message);
        }
    }
}

/// Once for each field with rules, for as long as the program runs.
fn leak(descriptor: &FieldDescriptor) -> &'static Field {
    let ty = |field: &FieldDescriptor| field.field_descriptor_proto().r#type.unwrap_or_default();
    let name: &'static str = Box::leak(descriptor.name().to_owned().into_boxed_str());
    let number = i32::try_from(descriptor.number()).unwrap_or_default();
    let kind = descriptor.kind();
    let field = match kind.as_message().filter(|_| descriptor.is_map()) {
        None => Field::new(number, name, ty(descriptor)),
        Some(entry) => {
            let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
            Field {
                ty: MESSAGE,
                ..Field::map(number, name, ty(&key), ty(&value))
            }
        }
    };
    Box::leak(Box::new(field))
}

fn extension(options: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let pool = options.descriptor().parent_pool().clone();
    let extension = pool.get_extension_by_name(name)?;
    let found = options.has_extension(&extension);
    let found = found.then(|| options.get_extension(&extension))?;
    found.as_message().cloned()
}

fn nested(options: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let field = options.descriptor().get_field_by_name(name)?;
    let found = options
        .has_field(&field)
        .then(|| options.get_field(&field))?;
    found.as_message().cloned()
}

fn number(options: &DynamicMessage, name: &str) -> i32 {
    let found = options.get_field_by_name(name);
    found
        .and_then(|found| found.as_enum_number())
        .unwrap_or_default()
}
