//! What a schema asks of the values of its messages (`buf.validate`).
//!
//! **Invariant**: a rule is here in the words of the schema: its name and its value.

/// What is asked of a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MessageRules {
    /// Fields with rules, or with messages inside that have some.
    pub fields: Vec<FieldRules>,
    /// Oneofs of which one field has to be set.
    pub required_oneofs: Vec<RequiredOneof>,
    /// Fields of which at most one may be set.
    pub exclusive: Vec<Exclusive>,
    /// Whether it, or a field of it, has rules in CEL, the Common Expression Language. The runtime
    /// reads them from the descriptors.
    pub cel: bool,
}

/// A oneof of which one field has to be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredOneof {
    /// Its name in the schema.
    pub name: String,
    /// Its Rust field.
    pub member: String,
}

/// Fields of which at most one may be set, whatever oneofs they are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exclusive {
    /// Their names in the schema, and where they are in Rust.
    pub fields: Vec<(String, Access)>,
    /// Whether one has to be.
    pub required: bool,
}

/// What is asked of a field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldRules {
    /// Its number.
    pub number: u32,
    /// Its name in the schema.
    pub name: String,
    /// Its type, as `FieldDescriptorProto.Type`.
    pub ty: i32,
    /// The types of its keys and values, if it is a map.
    pub entry: Option<(i32, i32)>,
    /// Where it is in Rust.
    pub access: Access,
    /// Whether it has to have a value.
    pub required: bool,
    /// What is asked of the value.
    pub value: ValueRules,
}

/// Where a field is in Rust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// `self.member` is the value.
    Plain(String),
    /// `self.member` is an `Option`.
    Optional(String),
    /// `self.member` is a list or a map.
    Collection(String),
    /// `self.member` is an `Option` of an enum, and the value is in one of its variants.
    Variant {
        /// The Rust field of the oneof.
        member: String,
        /// The path of the enum, relative to the package's module.
        path: String,
        /// The variant.
        variant: String,
    },
}

/// What is asked of a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ValueRules {
    /// Whether nothing is asked of it where it is zero or empty.
    pub ignore_zero: bool,
    /// What is asked of it.
    pub check: Check,
}

/// What a value is, and its rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Check {
    /// Nothing is asked.
    #[default]
    Nothing,
    /// A value that is no message, or one that the language knows: the name of its rules in
    /// `buf.validate.FieldRules`, and the rules.
    Rules(&'static str, Vec<Rule>),
    /// A message that has rules itself.
    Message,
    /// A list.
    List {
        /// Rules of the list.
        rules: Vec<Rule>,
        /// Whether no item may be there twice, and if so what items are.
        unique: Option<Unique>,
        /// What is asked of each item.
        items: Box<ValueRules>,
    },
    /// A map.
    Map {
        /// Rules of the map.
        rules: Vec<Rule>,
        /// What is asked of each key.
        keys: Box<ValueRules>,
        /// What is asked of each value.
        values: Box<ValueRules>,
    },
}

/// How items are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unique {
    /// By being equal.
    Exact,
    /// As floating-point numbers.
    Float,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// A rule with its value, by its name in the schema.
    Named(&'static str, Literal),
    /// A lower and an upper bound: `gt` or `gte`, `lt` or `lte`, at least one of the two.
    Range(
        Option<(&'static str, Literal)>,
        Option<(&'static str, Literal)>,
    ),
}

/// The value of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Nothing: the rule says all.
    None,
    /// A `bool`.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A `float`.
    Float(f32),
    /// A `double`.
    Double(f64),
    /// A string.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Seconds and nanoseconds.
    Time(i64, i32),
    /// Several.
    List(Vec<Self>),
}
