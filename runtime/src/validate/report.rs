//! Where a check is, and what it has found.
//!
//! **Invariant**: a path lives on the stack of the check; only a violation makes a copy of it.

use super::violation::{FieldPath, FieldPathElement, Subscript, Violation, Violations};

/// More violations than these tell nobody anything.
const MAX_VIOLATIONS: usize = 100;
/// Bytes of violations in one report: names of fields and texts are the schema's, keys are the peer's.
const MAX_BYTES: usize = 16 * 1024;
/// Characters of a map's key in a report.
const MAX_KEY: usize = 64;

/// A field of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its number.
    pub number: i32,
    /// Its name in the schema.
    pub name: &'static str,
    /// Its type, as in `google.protobuf.FieldDescriptorProto.Type`.
    pub ty: i32,
    /// The type of its keys if it is a map, else 0.
    pub key: i32,
    /// The type of its values if it is a map, else 0.
    pub value: i32,
}

impl Field {
    /// A field that is no map.
    #[must_use]
    pub const fn new(number: i32, name: &'static str, ty: i32) -> Self {
        Self {
            number,
            name,
            ty,
            key: 0,
            value: 0,
        }
    }

    /// A map.
    #[must_use]
    pub const fn map(number: i32, name: &'static str, key: i32, value: i32) -> Self {
        Self {
            number,
            name,
            ty: MESSAGE,
            key,
            value,
        }
    }
}

/// How a check came to the value that it looks at.
#[derive(Debug)]
pub struct Path<'p> {
    parent: Option<&'p Self>,
    step: Step<'p>,
}

#[derive(Debug)]
enum Step<'p> {
    Root,
    Field(&'static Field),
    Oneof(&'static str),
    Item(usize),
    Key(Key<'p>),
    Value(Key<'p>),
}

/// A key of a map.
#[derive(Debug, Clone, Copy)]
pub enum Key<'p> {
    /// By `bool`.
    Bool(bool),
    /// By a signed integer.
    Int(i64),
    /// By an unsigned integer.
    Uint(u64),
    /// By string.
    String(&'p str),
}

macro_rules! keys {
    ($($ty:ty => $name:ident,)*) => {
        $(impl From<&$ty> for Key<'_> {
            fn from(key: &$ty) -> Self {
                Self::$name((*key).into())
            }
        })*
    };
}

keys! { bool => Bool, i32 => Int, i64 => Int, u32 => Uint, u64 => Uint, }

impl<'p> From<&'p String> for Key<'p> {
    fn from(key: &'p String) -> Self {
        Self::String(key)
    }
}

impl Key<'_> {
    fn subscript(self) -> Subscript {
        match self {
            Self::Bool(key) => Subscript::BoolKey(key),
            Self::Int(key) => Subscript::IntKey(key),
            Self::Uint(key) => Subscript::UintKey(key),
            Self::String(key) => Subscript::StringKey(key.chars().take(MAX_KEY).collect()),
        }
    }
}

impl<'p> Path<'p> {
    /// The message that is checked.
    pub const ROOT: Path<'static> = Path {
        parent: None,
        step: Step::Root,
    };

    const fn then<'q>(&'q self, step: Step<'q>) -> Path<'q>
    where
        'p: 'q,
    {
        Path {
            parent: Some(self),
            step,
        }
    }

    /// A field of the message.
    #[must_use]
    pub const fn field(&self, field: &'static Field) -> Path<'_> {
        self.then(Step::Field(field))
    }

    /// A oneof of the message.
    #[must_use]
    pub const fn oneof(&self, name: &'static str) -> Path<'_> {
        self.then(Step::Oneof(name))
    }

    /// An item of the list.
    #[must_use]
    pub const fn item(&self, index: usize) -> Path<'_> {
        self.then(Step::Item(index))
    }

    /// A key of the map.
    pub fn key<'q>(&'q self, key: impl Into<Key<'q>>) -> Path<'q> {
        self.then(Step::Key(key.into()))
    }

    /// What is stored under a key of the map.
    pub fn value<'q>(&'q self, key: impl Into<Key<'q>>) -> Path<'q> {
        self.then(Step::Value(key.into()))
    }

    fn elements(&self) -> Vec<FieldPathElement> {
        let mut elements = match self.parent {
            Some(parent) => parent.elements(),
            None => Vec::new(),
        };
        let subscript = match &self.step {
            Step::Root => return elements,
            Step::Field(field) => {
                elements.push(element(field));
                return elements;
            }
            Step::Oneof(name) => {
                elements.push(FieldPathElement {
                    field_name: (*name).to_owned(),
                    ..FieldPathElement::default()
                });
                return elements;
            }
            Step::Item(index) => Subscript::Index(*index as u64),
            Step::Key(key) | Step::Value(key) => key.subscript(),
        };
        if let Some(last) = elements.last_mut() {
            last.subscript = Some(subscript);
            // They are said of an entry, not of the map.
            if let Some(Step::Field(map)) = self.parent.map(|parent| &parent.step) {
                (last.key_type, last.value_type) = (map.key, map.value);
            }
        }
        elements
    }

    /// The rules that lead from the field's own to those of an item, a key or a value of it.
    const fn inside(&self) -> Option<[&'static Field; 2]> {
        match self.step {
            Step::Item(_) => Some([&REPEATED, &ITEMS]),
            Step::Key(_) => Some([&MAP, &KEYS]),
            Step::Value(_) => Some([&MAP, &VALUES]),
            Step::Root | Step::Field(_) | Step::Oneof(_) => None,
        }
    }
}

fn element(field: &Field) -> FieldPathElement {
    FieldPathElement {
        field_number: field.number,
        field_name: field.name.to_owned(),
        field_type: field.ty,
        ..FieldPathElement::default()
    }
}

/// `google.protobuf.FieldDescriptorProto.TYPE_MESSAGE`.
pub(super) const MESSAGE: i32 = 11;
// Fields of buf.validate.FieldRules, RepeatedRules and MapRules.
static REPEATED: Field = Field::new(18, "repeated", MESSAGE);
static ITEMS: Field = Field::new(4, "items", MESSAGE);
static MAP: Field = Field::new(19, "map", MESSAGE);
static KEYS: Field = Field::new(4, "keys", MESSAGE);
static VALUES: Field = Field::new(5, "values", MESSAGE);

/// The violations found so far.
#[derive(Debug, Default)]
pub struct Report {
    violations: Vec<Violation>,
    bytes: usize,
}

impl Report {
    /// Whether no more is taken, so that a check need not go on.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.violations.len() >= MAX_VIOLATIONS || self.bytes >= MAX_BYTES
    }

    /// The value at `at` breaks a rule: its place among the rules, its id, and what is wrong.
    pub(super) fn add(
        &mut self,
        at: &Path<'_>,
        rule: &[&Field],
        rule_id: impl Into<String>,
        message: impl Into<String>,
    ) {
        let inside = at.inside();
        let steps = inside.iter().flatten().copied().chain(rule.iter().copied());
        let rule: Vec<_> = steps.map(element).collect();
        self.push(Violation {
            field: path(at.elements()),
            rule: path(rule),
            rule_id: rule_id.into(),
            message: message.into(),
            for_key: matches!(at.step, Step::Key(_)),
        });
    }

    /// The value at `at` breaks one of several rules in a list; those of a message as a whole have no
    /// place among the rules.
    #[cfg(feature = "validate-cel")]
    pub(super) fn add_listed(
        &mut self,
        at: &Path<'_>,
        rule: Option<(&Field, usize)>,
        rule_id: &str,
        message: String,
    ) {
        let inside = at.inside();
        let mut rules = Vec::new();
        if let Some((rule, index)) = rule {
            rules.extend(inside.iter().flatten().copied().map(element));
            rules.push(FieldPathElement {
                subscript: Some(Subscript::Index(index as u64)),
                ..element(rule)
            });
        }
        self.push(Violation {
            field: path(at.elements()),
            rule: path(rules),
            rule_id: rule_id.to_owned(),
            message,
            for_key: matches!(at.step, Step::Key(_)),
        });
    }

    fn push(&mut self, violation: Violation) {
        if !self.is_full() {
            self.bytes += prost::Message::encoded_len(&violation);
            self.violations.push(violation);
        }
    }

    pub(super) fn finish(self) -> Result<(), Violations> {
        if self.violations.is_empty() {
            return Ok(());
        }
        Err(Violations {
            violations: self.violations,
        })
    }
}

fn path(elements: Vec<FieldPathElement>) -> Option<FieldPath> {
    (!elements.is_empty()).then_some(FieldPath { elements })
}
