//! Walks over descriptors: nested messages, and the file descriptor set of a service.
//!
//! **Invariant**: what is written here depends on the schema alone, in an order that does not change
//! from run to run.

use std::collections::BTreeSet;

use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FileDescriptor, MessageDescriptor,
    ReflectMessage,
};
use prost_types::FileDescriptorProto;

/// The message types of a file, nested ones included, map entries left out.
pub(super) fn messages(file: &FileDescriptor) -> Vec<MessageDescriptor> {
    let mut found = Vec::new();
    let mut open: Vec<MessageDescriptor> = file.messages().collect();
    while let Some(message) = open.pop() {
        open.extend(
            message
                .child_messages()
                .filter(|child| !child.is_map_entry()),
        );
        found.push(message);
    }
    found
}

/// The enum types of a file, those inside messages included.
pub(super) fn enums(file: &FileDescriptor) -> Vec<EnumDescriptor> {
    let nested = messages(file)
        .into_iter()
        .flat_map(|message| message.child_enums().collect::<Vec<_>>());
    file.enums().chain(nested).collect()
}

/// The serialized `FileDescriptorSet` of `file` and all that it imports, imports first. Custom
/// options are kept, source positions are not.
pub(super) fn file_descriptor_set(pool: &DescriptorPool, file: &FileDescriptor) -> Vec<u8> {
    const FILE: u32 = 1; // FileDescriptorSet.file
    let mut needed = BTreeSet::new();
    let mut open = vec![file.clone()];
    while let Some(file) = open.pop() {
        if needed.insert(file.name().to_owned()) {
            open.extend(file.dependencies());
        }
    }
    let mut set = Vec::new();
    for file in pool.files().filter(|file| needed.contains(file.name())) {
        prost::encoding::bytes::encode(FILE, &without_source_info(&file), &mut set);
    }
    set
}

fn without_source_info(file: &FileDescriptor) -> Vec<u8> {
    let encoded = file.encode_to_vec();
    let descriptor = FileDescriptorProto::default().descriptor();
    match DynamicMessage::decode(descriptor, encoded.as_slice()) {
        Ok(mut message) => {
            message.clear_field_by_name("source_code_info");
            message.encode_to_vec()
        }
        // Bytes that the same library has just written; positions then stay in.
        Err(_) => encoded,
    }
}
