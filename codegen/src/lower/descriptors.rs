//! Walks over descriptors: the types of a file, nested ones included.
//!
//! **Invariant**: the order depends on the schema alone, and does not change from run to run.

use prost_reflect::{EnumDescriptor, FileDescriptor, MessageDescriptor};

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
