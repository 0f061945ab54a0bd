//! From descriptors to the model.
//!
//! **Invariant**: elements keep the order of their descriptors, outer messages come before inner ones.

use prost::Message as _;

use super::features::Features;
use super::model::{
    Edition, Enum, EnumId, EnumValue, ExtensionRange, Field, File, FileId, Import, Kind, Label,
    Message, MessageId, Method, NumberRange, Oneof, Path, Service, ServiceId,
};
use super::options::{FileOptions, Options};
use super::positions::Positions;
use super::{Image, wire};

/// The numbers of the fields that lead from a descriptor to the ones in it.
mod tag {
    pub(super) const FILE_MESSAGE: i32 = 4;
    pub(super) const FILE_ENUM: i32 = 5;
    pub(super) const FILE_SERVICE: i32 = 6;
    pub(super) const FILE_EXTENSION: i32 = 7;
    pub(super) const MESSAGE_FIELD: i32 = 2;
    pub(super) const MESSAGE_MESSAGE: i32 = 3;
    pub(super) const MESSAGE_ENUM: i32 = 4;
    pub(super) const MESSAGE_EXTENSION: i32 = 6;
    pub(super) const MESSAGE_ONEOF: i32 = 8;
    pub(super) const ENUM_VALUE: i32 = 2;
    pub(super) const SERVICE_METHOD: i32 = 2;
}

/// Where an element is: in which file and message, under which name, with which features to inherit.
#[derive(Clone, Copy)]
struct Scope<'a> {
    file: FileId,
    message: Option<MessageId>,
    name: &'a str,
    path: &'a [i32],
    features: Features,
}

impl Scope<'_> {
    fn full_name(&self, name: &str) -> String {
        match self.name {
            "" => name.to_owned(),
            outer => format!("{outer}.{name}"),
        }
    }

    fn path(&self, tag: i32, index: usize) -> Path {
        below(self.path, tag, index)
    }
}

fn below(path: &[i32], tag: i32, index: usize) -> Path {
    let index = i32::try_from(index).unwrap_or(i32::MAX);
    path.iter().copied().chain([tag, index]).collect()
}

/// Adds the file of an encoded `FileDescriptorProto` to `image`, with more positions in an encoded
/// `SourceCodeInfo`.
pub(super) fn add_file(
    image: &mut Image,
    encoded: &[u8],
    positions: &[u8],
) -> Result<FileId, prost::DecodeError> {
    let mut file = wire::File::decode(encoded)?;
    file.source_code_info.extend_from_slice(positions);
    let id = FileId(index(image.files.len()));
    let edition = match (&*file.syntax, file.edition) {
        ("proto3", _) => Edition::Proto3,
        ("editions", number) => Edition::Numbered(number),
        _ => Edition::Proto2,
    };
    let options = Options::<FileOptions>::read(file.options);
    let features = Features::of(edition).with(options.known.features.as_ref());
    let scope = Scope {
        file: id,
        message: None,
        name: &file.package,
        path: &[],
        features,
    };
    let (messages, enums) = add_types(
        image,
        &scope,
        (tag::FILE_MESSAGE, file.message_type),
        (tag::FILE_ENUM, file.enum_type),
    );
    let services = file.service.into_iter().enumerate();
    let services = services
        .map(|(at, service)| add_service(image, &scope, at, service))
        .collect();
    let extensions = fields(&scope, tag::FILE_EXTENSION, file.extension);
    image.files.push(File {
        id,
        syntax_is_stated: !file.syntax.is_empty(),
        edition,
        is_import: file.buf.is_some_and(|buf| buf.is_import),
        imports: imports(
            file.dependency,
            &file.public_dependency,
            &file.weak_dependency,
        ),
        options,
        features,
        messages,
        enums,
        services,
        extensions,
        text: None,
        positions: Positions::new(file.source_code_info),
        path: file.name,
        package: file.package,
    });
    Ok(id)
}

fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn imports(paths: Vec<String>, public: &[i32], weak: &[i32]) -> Vec<Import> {
    let listed =
        |list: &[i32], at: usize| list.iter().any(|index| usize::try_from(*index) == Ok(at));
    let import = |(at, path)| Import {
        path,
        public: listed(public, at),
        weak: listed(weak, at),
    };
    paths.into_iter().enumerate().map(import).collect()
}

fn add_types(
    image: &mut Image,
    scope: &Scope<'_>,
    (message_tag, messages): (i32, Vec<wire::Descriptor>),
    (enum_tag, enums): (i32, Vec<wire::EnumDescriptor>),
) -> (Vec<MessageId>, Vec<EnumId>) {
    let messages = messages.into_iter().enumerate();
    let messages = messages
        .map(|(at, message)| add_message(image, scope, scope.path(message_tag, at), message))
        .collect();
    let enums = enums.into_iter().enumerate();
    let enums = enums
        .map(|(at, item)| add_enum(image, scope, scope.path(enum_tag, at), item))
        .collect();
    (messages, enums)
}

fn add_message(
    image: &mut Image,
    scope: &Scope<'_>,
    path: Path,
    message: wire::Descriptor,
) -> MessageId {
    let id = MessageId(index(image.messages.len()));
    let full_name = scope.full_name(&message.name);
    let options = Options::read(message.options);
    let features = own_features(scope, &options);
    let inner = Scope {
        file: scope.file,
        message: Some(id),
        name: &full_name,
        path: &path,
        features,
    };
    let mut fields_of = fields(&inner, tag::MESSAGE_FIELD, message.field);
    let oneofs = oneofs(&path, message.oneof_decl, &mut fields_of, features);
    let extensions = fields(&inner, tag::MESSAGE_EXTENSION, message.extension);
    image.messages.push(Message {
        id,
        file: scope.file,
        parent: scope.message,
        path: path.clone(),
        name: message.name,
        full_name: full_name.clone(),
        fields: fields_of,
        oneofs,
        messages: Vec::new(),
        enums: Vec::new(),
        extensions,
        extension_ranges: message
            .extension_range
            .into_iter()
            .map(extension_range)
            .collect(),
        reserved_ranges: message.reserved_range.iter().map(half_open).collect(),
        reserved_names: message.reserved_name,
        options,
        features,
    });
    let (messages, enums) = add_types(
        image,
        &inner,
        (tag::MESSAGE_MESSAGE, message.nested_type),
        (tag::MESSAGE_ENUM, message.enum_type),
    );
    let added = &mut image.messages[id.0 as usize];
    added.messages = messages;
    added.enums = enums;
    id
}

fn own_features(scope: &Scope<'_>, options: &Options<super::options::MessageOptions>) -> Features {
    scope.features.with(options.known.features.as_ref())
}

/// The ranges of messages exclude their end, on the wire.
fn half_open(range: &wire::Range) -> NumberRange {
    NumberRange {
        start: range.start,
        end: range.end.saturating_sub(1),
    }
}

fn extension_range(range: wire::Range) -> ExtensionRange {
    ExtensionRange {
        range: half_open(&range),
        options: Options::read(range.options),
    }
}

fn fields(scope: &Scope<'_>, tag: i32, fields: Vec<wire::FieldDescriptor>) -> Vec<Field> {
    let field = |(at, field)| self::field(scope, scope.path(tag, at), field);
    fields.into_iter().enumerate().map(field).collect()
}

fn field(scope: &Scope<'_>, path: Path, field: wire::FieldDescriptor) -> Field {
    let label = match field.label() {
        wire::Label::Required => Label::Required,
        wire::Label::Repeated => Label::Repeated,
        wire::Label::Optional | wire::Label::Unknown => Label::Optional,
    };
    let options = Options::<super::options::FieldOptions>::read(field.options);
    let mut features = scope.features.with(options.known.features.as_ref());
    if let Some(packed) = options.known.packed {
        features.packed = packed;
    }
    if field.proto3_optional {
        features.presence = super::features::Presence::Explicit;
    }
    Field {
        file: scope.file,
        parent: scope.message,
        path,
        full_name: scope.full_name(&field.name),
        number: field.number,
        label,
        kind: Kind::of(field.kind).unwrap_or(Kind::Message),
        type_name: undotted(field.type_name),
        extendee: undotted(field.extendee),
        default_value: field.default_value,
        oneof: field.oneof_index.and_then(|at| usize::try_from(at).ok()),
        json_name: field.json_name,
        proto3_optional: field.proto3_optional,
        options,
        features,
        name: field.name,
    }
}

/// Full names stand with a leading dot in descriptors.
fn undotted(name: String) -> String {
    match name.strip_prefix('.') {
        Some(rest) => rest.to_owned(),
        None => name,
    }
}

/// The oneofs of a message. Their fields inherit features from them.
fn oneofs(
    path: &[i32],
    oneofs: Vec<wire::OneofDescriptor>,
    fields: &mut [Field],
    outer: Features,
) -> Vec<Oneof> {
    let mut made = Vec::with_capacity(oneofs.len());
    for (at, oneof) in oneofs.into_iter().enumerate() {
        let options = Options::<super::options::OneofOptions>::read(oneof.options);
        let mut is_synthetic = false;
        for field in fields.iter_mut().filter(|field| field.oneof == Some(at)) {
            is_synthetic |= field.proto3_optional;
            if let Some(own) = &options.known.features {
                let features = outer.with(Some(own));
                field.features = features.with(field.options.known.features.as_ref());
            }
        }
        made.push(Oneof {
            path: below(path, tag::MESSAGE_ONEOF, at),
            name: oneof.name,
            is_synthetic,
            options,
        });
    }
    made
}

fn add_enum(
    image: &mut Image,
    scope: &Scope<'_>,
    path: Path,
    item: wire::EnumDescriptor,
) -> EnumId {
    let id = EnumId(index(image.enums.len()));
    let options = Options::<super::options::EnumOptions>::read(item.options);
    let features = scope.features.with(options.known.features.as_ref());
    let values = item
        .value
        .into_iter()
        .enumerate()
        .map(|(at, value)| EnumValue {
            path: below(&path, tag::ENUM_VALUE, at),
            name: value.name,
            number: value.number,
            options: Options::read(value.options),
        });
    let values = values.collect();
    image.enums.push(Enum {
        id,
        file: scope.file,
        parent: scope.message,
        full_name: scope.full_name(&item.name),
        values,
        path,
        name: item.name,
        reserved_ranges: item.reserved_range.iter().map(closed).collect(),
        reserved_names: item.reserved_name,
        options,
        features,
    });
    id
}

/// The ranges of enums include their end.
fn closed(range: &wire::Range) -> NumberRange {
    NumberRange {
        start: range.start,
        end: range.end,
    }
}

fn add_service(
    image: &mut Image,
    scope: &Scope<'_>,
    at: usize,
    service: wire::ServiceDescriptor,
) -> ServiceId {
    let id = ServiceId(index(image.services.len()));
    let path = scope.path(tag::FILE_SERVICE, at);
    let methods = service
        .method
        .into_iter()
        .enumerate()
        .map(|(at, method)| Method {
            path: below(&path, tag::SERVICE_METHOD, at),
            name: method.name,
            input: undotted(method.input_type),
            output: undotted(method.output_type),
            client_streaming: method.client_streaming,
            server_streaming: method.server_streaming,
            options: Options::read(method.options),
        });
    let methods = methods.collect();
    image.services.push(Service {
        id,
        file: scope.file,
        full_name: scope.full_name(&service.name),
        methods,
        path,
        name: service.name,
        options: Options::read(service.options),
    });
    id
}
