//! What the messages of a service take in memory, from their descriptors.
//!
//! No type is named for this: the modules of the messages need not be in reach of the code that knows their sizes.
//!
//! **Invariant**: no struct that prost writes is larger than its footprint says, and no field that allocates is left out.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{Cardinality, FieldDescriptor, Kind, MessageDescriptor, ServiceDescriptor};

use crate::model::{FieldFootprint, MessageFootprint, Shape};
use crate::options::Options;

/// A string or a vector: pointer, length, capacity.
const TEXT: u64 = 24;
/// `bytes::Bytes`: these and a table.
const BYTES: u64 = 32;
/// The larger of the two maps of the standard library.
const MAP: u64 = 48;
/// A discriminant, with what aligns it.
const TAG: u64 = 8;

/// The footprints of what a service reaches, and the places of each method's request and response.
pub(super) fn of_service(
    service: &ServiceDescriptor,
    options: &Options,
) -> (Vec<MessageFootprint>, Vec<(u32, u32)>) {
    let mut footprints = Footprints {
        options,
        order: Vec::new(),
        places: BTreeMap::new(),
    };
    let places = service.methods().map(|method| {
        (
            footprints.place(&method.input()),
            footprints.place(&method.output()),
        )
    });
    let places = places.collect();
    let mut messages = Vec::new();
    // Each may bring more.
    while let Some(message) = footprints.order.get(messages.len()).cloned() {
        messages.push(footprints.message(&message));
    }
    (messages, places)
}

struct Footprints<'a> {
    options: &'a Options,
    order: Vec<MessageDescriptor>,
    places: BTreeMap<String, u32>,
}

impl Footprints<'_> {
    fn place(&mut self, message: &MessageDescriptor) -> u32 {
        if let Some(place) = self.places.get(message.full_name()) {
            return *place;
        }
        let place = u32::try_from(self.order.len()).unwrap_or(u32::MAX);
        self.places.insert(message.full_name().to_owned(), place);
        self.order.push(message.clone());
        place
    }

    fn message(&mut self, message: &MessageDescriptor) -> MessageFootprint {
        let mut fields: Vec<FieldFootprint> = message
            .fields()
            .filter_map(|field| {
                let number = field.number();
                let shape = self.shape(&field)?;
                Some(FieldFootprint { number, shape })
            })
            .collect();
        fields.sort_by_key(|field| field.number);
        let size = size(message, &mut BTreeSet::new()).saturating_add(texts_of_defaults(message));
        MessageFootprint {
            size: u32::try_from(size).unwrap_or(u32::MAX),
            fields,
        }
    }

    fn shape(&mut self, field: &FieldDescriptor) -> Option<Shape> {
        // prost copies bytes, unless told otherwise for the package.
        let copies = self
            .options
            .is_elsewhere(field.parent_message().full_name());
        let many = field.is_list();
        Some(match field.kind() {
            Kind::Message(entry) if field.is_map() => Shape::Map(self.place(&entry)),
            Kind::Message(message) if many => Shape::Messages(self.place(&message)),
            Kind::Message(message) => {
                if !is_boxed(field) && !allocates(&message, copies) {
                    return None;
                }
                Shape::Message(self.place(&message))
            }
            Kind::String if many => Shape::Texts,
            Kind::String => Shape::Text,
            Kind::Bytes if many && copies => Shape::Texts,
            Kind::Bytes if many => Shape::Slices,
            Kind::Bytes if copies => Shape::Text,
            Kind::Fixed32 | Kind::Sfixed32 | Kind::Float if many => Shape::Fixed(4),
            Kind::Fixed64 | Kind::Sfixed64 | Kind::Double if many => Shape::Fixed(8),
            Kind::Bool if many => Shape::Varints(1),
            Kind::Int32 | Kind::Sint32 | Kind::Uint32 | Kind::Enum(_) if many => Shape::Varints(4),
            Kind::Int64 | Kind::Sint64 | Kind::Uint64 if many => Shape::Varints(8),
            _ => return None,
        })
    }
}

/// Whether prost allocates for anything in a message that is kept within another one.
fn allocates(message: &MessageDescriptor, copies: bool) -> bool {
    message.fields().any(|field| {
        field.is_list()
            || field.is_map()
            || match field.kind() {
                Kind::Message(inner) => is_boxed(&field) || allocates(&inner, copies),
                Kind::String => true,
                // In doubt, as in a package that is elsewhere.
                Kind::Bytes => copies || field.parent_message().package_name() == "google.protobuf",
                _ => false,
            }
    })
}

/// Whether prost puts a message into a box: if it could hold, by fields that are not repeated, the message that it is in.
fn is_boxed(field: &FieldDescriptor) -> bool {
    let Kind::Message(message) = field.kind() else {
        return false;
    };
    let outer = field.parent_message();
    let (mut open, mut known) = (vec![message], BTreeSet::new());
    while let Some(message) = open.pop() {
        if message == *outer {
            return true;
        }
        if known.insert(message.full_name().to_owned()) {
            let single = message
                .fields()
                .filter(|field| !field.is_list() && !field.is_map());
            open.extend(single.filter_map(|field| match field.kind() {
                Kind::Message(message) => Some(message),
                _ => None,
            }));
        }
    }
    false
}

/// Bytes of a message's struct. The compiler orders fields so that no more than the end is padded.
fn size(message: &MessageDescriptor, within: &mut BTreeSet<String>) -> u64 {
    if !within.insert(message.full_name().to_owned()) {
        return 0;
    }
    let mut size = 0;
    for field in message.fields() {
        let is_choice = field
            .containing_oneof()
            .is_some_and(|oneof| !oneof.is_synthetic());
        if !is_choice {
            size += field_size(&field, within);
        }
    }
    for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
        let largest = oneof.fields().map(|field| field_size(&field, within)).max();
        size += largest.unwrap_or(0).next_multiple_of(8) + TAG;
    }
    within.remove(message.full_name());
    size.next_multiple_of(8)
}

fn field_size(field: &FieldDescriptor, within: &mut BTreeSet<String>) -> u64 {
    if field.is_map() {
        return MAP;
    }
    if field.is_list() {
        return TEXT;
    }
    let plain = match field.kind() {
        Kind::Message(_) if is_boxed(field) => return TAG,
        Kind::Message(message) => return size(&message, within) + TAG,
        Kind::String => return TEXT,
        Kind::Bytes => return BYTES,
        Kind::Bool => 1,
        Kind::Double | Kind::Int64 | Kind::Uint64 | Kind::Sint64 => 8,
        Kind::Fixed64 | Kind::Sfixed64 => 8,
        _ => 4,
    };
    // With presence, a discriminant of the same alignment.
    if field.supports_presence() {
        2 * plain
    } else {
        plain
    }
}

/// The texts that a message of proto2 has before anything is decoded: required fields have their defaults.
fn texts_of_defaults(message: &MessageDescriptor) -> u64 {
    let required = message
        .fields()
        .filter(|field| field.cardinality() == Cardinality::Required);
    required
        .map(|field| match field.default_value() {
            prost_reflect::Value::String(text) if !text.is_empty() => text.len() as u64 + 24,
            prost_reflect::Value::Bytes(bytes) if !bytes.is_empty() => bytes.len() as u64 + 24,
            _ => 0,
        })
        .sum()
}
