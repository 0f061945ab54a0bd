//! The elements of a schema as rules see them: plain data, names and features resolved.
//!
//! **Invariant**: every element knows its file and its path there, which is how positions are found.

use super::features::{Features, Presence};
use super::options::{
    EnumOptions, EnumValueOptions, ExtensionRangeOptions, FieldOptions, FileOptions,
    MessageOptions, MethodOptions, OneofOptions, Options, ServiceOptions,
};
use super::positions::Positions;

/// An index into [`Image::files`](super::Image::files).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub(super) u32);

/// An index into [`Image::messages`](super::Image::messages).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub(super) u32);

/// An index into [`Image::enums`](super::Image::enums).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnumId(pub(super) u32);

/// An index into [`Image::services`](super::Image::services).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub(super) u32);

/// The path of an element in its file's descriptor, as in `SourceCodeInfo.Location.path`.
pub type Path = Box<[i32]>;

/// What a file says of its edition. `syntax` counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edition {
    /// `syntax = "proto2"`, or no word on it.
    Proto2,
    /// `syntax = "proto3"`.
    Proto3,
    /// `edition = "…"`, by the number of `google.protobuf.Edition`: 1000 for 2023, 1001 for 2024.
    Numbered(i32),
}

impl Edition {
    /// The number of edition 2023.
    pub const EDITION_2023: i32 = 1000;
    /// The number of edition 2024.
    pub const EDITION_2024: i32 = 1001;
}

/// A schema file.
#[derive(Debug)]
pub struct File {
    /// Itself.
    pub id: FileId,
    /// Its name relative to the import root, such as `inventory/v1/inventory.proto`.
    pub path: String,
    /// Its package; empty without one.
    pub package: String,
    /// Its syntax or edition.
    pub edition: Edition,
    /// Whether the file says which syntax it is in.
    pub syntax_is_stated: bool,
    /// Whether it is there only because another file imports it.
    pub is_import: bool,
    /// What it imports, in its order.
    pub imports: Vec<Import>,
    /// Its options.
    pub options: Options<FileOptions>,
    /// Its features.
    pub features: Features,
    /// Messages at its top level.
    pub messages: Vec<MessageId>,
    /// Enums at its top level.
    pub enums: Vec<EnumId>,
    /// Its services.
    pub services: Vec<ServiceId>,
    /// Extensions at its top level.
    pub extensions: Vec<Field>,
    /// Its text, where it was read from text.
    pub text: Option<String>,
    pub(super) positions: Positions,
}

/// An import of a file.
#[derive(Debug)]
pub struct Import {
    /// The name of the imported file.
    pub path: String,
    /// Whether it is `import public`.
    pub public: bool,
    /// Whether it is `import weak`.
    pub weak: bool,
}

/// A message.
#[derive(Debug)]
pub struct Message {
    /// Itself.
    pub id: MessageId,
    /// The file it is in.
    pub file: FileId,
    /// The message around it.
    pub parent: Option<MessageId>,
    /// Its path in the file.
    pub path: Path,
    /// Its name.
    pub name: String,
    /// Its name with package and outer messages, without a leading dot.
    pub full_name: String,
    /// Fields in the order of the text.
    pub fields: Vec<Field>,
    /// Oneofs, synthetic ones included.
    pub oneofs: Vec<Oneof>,
    /// Messages inside of it, map entries included.
    pub messages: Vec<MessageId>,
    /// Enums inside of it.
    pub enums: Vec<EnumId>,
    /// Extensions declared inside of it.
    pub extensions: Vec<Field>,
    /// Ranges for extensions.
    pub extension_ranges: Vec<ExtensionRange>,
    /// Reserved numbers.
    pub reserved_ranges: Vec<NumberRange>,
    /// Reserved names.
    pub reserved_names: Vec<String>,
    /// Its options.
    pub options: Options<MessageOptions>,
    /// Its features.
    pub features: Features,
}

impl Message {
    /// Whether it was made for a map.
    #[must_use]
    pub fn is_map_entry(&self) -> bool {
        self.options.known.map_entry == Some(true)
    }
}

/// Numbers from `start` to `end`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NumberRange {
    /// The first.
    pub start: i32,
    /// The last.
    pub end: i32,
}

impl NumberRange {
    /// Whether `number` is one of them.
    #[must_use]
    pub const fn contains(self, number: i32) -> bool {
        self.start <= number && number <= self.end
    }
}

/// A range of a message for extensions.
#[derive(Debug)]
pub struct ExtensionRange {
    /// The numbers.
    pub range: NumberRange,
    /// Its options.
    pub options: Options<ExtensionRangeOptions>,
}

/// A field of a message, or an extension.
#[derive(Debug)]
pub struct Field {
    /// The file it is in.
    pub file: FileId,
    /// The message that it is a field of, or that an extension is declared in.
    pub parent: Option<MessageId>,
    /// Its path in the file.
    pub path: Path,
    /// Its name.
    pub name: String,
    /// Its name with package and messages.
    pub full_name: String,
    /// Its number.
    pub number: i32,
    /// How often it occurs.
    pub label: Label,
    /// Its type.
    pub kind: Kind,
    /// The full name of its message or enum; empty for scalars.
    pub type_name: String,
    /// For an extension: the message that it extends. Empty for a field.
    pub extendee: String,
    /// The default as `descriptor.proto` writes it.
    pub default_value: Option<String>,
    /// The index of its oneof in [`Message::oneofs`].
    pub oneof: Option<usize>,
    /// Its name in JSON.
    pub json_name: String,
    /// Whether it is `optional` in proto3.
    pub proto3_optional: bool,
    /// Its options.
    pub options: Options<FieldOptions>,
    /// Its features.
    pub features: Features,
}

impl Field {
    /// Whether it is an extension.
    #[must_use]
    pub fn is_extension(&self) -> bool {
        !self.extendee.is_empty()
    }

    /// Whether it must be set.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.label == Label::Required
            || (self.label == Label::Optional && self.features.presence == Presence::Required)
    }

    /// Whether a value that was set can be told from none.
    #[must_use]
    pub fn has_presence(&self) -> bool {
        self.label != Label::Repeated
            && (self.is_extension()
                || self.oneof.is_some()
                || matches!(self.kind, Kind::Message | Kind::Group)
                || self.features.presence != Presence::Implicit)
    }

    /// Its type as it is encoded: a message that is encoded like a group is one.
    #[must_use]
    pub fn encoding(&self) -> Kind {
        match self.kind {
            Kind::Message if self.features.delimited => Kind::Group,
            kind => kind,
        }
    }
}

/// How often a field occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// At most once.
    Optional,
    /// Once.
    Required,
    /// Any number of times.
    Repeated,
}

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of protobuf")]
pub enum Kind {
    Double = 1,
    Float,
    Int64,
    Uint64,
    Int32,
    Fixed64,
    Fixed32,
    Bool,
    String,
    Group,
    Message,
    Bytes,
    Uint32,
    Enum,
    Sfixed32,
    Sfixed64,
    Sint32,
    Sint64,
}

impl Kind {
    const ALL: [(Self, &'static str); 18] = [
        (Self::Double, "double"),
        (Self::Float, "float"),
        (Self::Int64, "int64"),
        (Self::Uint64, "uint64"),
        (Self::Int32, "int32"),
        (Self::Fixed64, "fixed64"),
        (Self::Fixed32, "fixed32"),
        (Self::Bool, "bool"),
        (Self::String, "string"),
        (Self::Group, "group"),
        (Self::Message, "message"),
        (Self::Bytes, "bytes"),
        (Self::Uint32, "uint32"),
        (Self::Enum, "enum"),
        (Self::Sfixed32, "sfixed32"),
        (Self::Sfixed64, "sfixed64"),
        (Self::Sint32, "sint32"),
        (Self::Sint64, "sint64"),
    ];

    /// The kind with a number of `FieldDescriptorProto.Type`.
    pub(super) fn of(number: i32) -> Option<Self> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        Self::ALL.get(index).map(|(kind, _)| *kind)
    }

    /// Its word in a schema.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize - 1].1
    }
}

/// A oneof.
#[derive(Debug)]
pub struct Oneof {
    /// Its path in the file.
    pub path: Path,
    /// Its name.
    pub name: String,
    /// Whether it only stands for a field that is `optional` in proto3.
    pub is_synthetic: bool,
    /// Its options.
    pub options: Options<OneofOptions>,
}

/// An enum.
#[derive(Debug)]
pub struct Enum {
    /// Itself.
    pub id: EnumId,
    /// The file it is in.
    pub file: FileId,
    /// The message around it.
    pub parent: Option<MessageId>,
    /// Its path in the file.
    pub path: Path,
    /// Its name.
    pub name: String,
    /// Its name with package and outer messages.
    pub full_name: String,
    /// Values in the order of the text.
    pub values: Vec<EnumValue>,
    /// Reserved numbers.
    pub reserved_ranges: Vec<NumberRange>,
    /// Reserved names.
    pub reserved_names: Vec<String>,
    /// Its options.
    pub options: Options<EnumOptions>,
    /// Its features.
    pub features: Features,
}

/// A value of an enum.
#[derive(Debug)]
pub struct EnumValue {
    /// Its path in the file.
    pub path: Path,
    /// Its name.
    pub name: String,
    /// Its number.
    pub number: i32,
    /// Its options.
    pub options: Options<EnumValueOptions>,
}

/// A service.
#[derive(Debug)]
pub struct Service {
    /// Itself.
    pub id: ServiceId,
    /// The file it is in.
    pub file: FileId,
    /// Its path in the file.
    pub path: Path,
    /// Its name.
    pub name: String,
    /// Its name with its package.
    pub full_name: String,
    /// Methods in the order of the text.
    pub methods: Vec<Method>,
    /// Its options.
    pub options: Options<ServiceOptions>,
}

/// A method.
#[derive(Debug)]
pub struct Method {
    /// Its path in the file.
    pub path: Path,
    /// Its name.
    pub name: String,
    /// The full name of the request's message.
    pub input: String,
    /// The full name of the reply's message.
    pub output: String,
    /// Whether requests are a stream.
    pub client_streaming: bool,
    /// Whether replies are a stream.
    pub server_streaming: bool,
    /// Its options.
    pub options: Options<MethodOptions>,
}
