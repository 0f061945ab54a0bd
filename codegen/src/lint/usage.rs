//! Which imports of a file are used: by a type, by what is extended, or by an option.
//!
//! **Invariant**: what is found through a public import uses the import through which it is found first.

use std::collections::{BTreeSet, HashMap};

use prost::bytes::Buf as _;
use prost::encoding::{DecodeContext, WireType, decode_key, skip_field};

use crate::image::{Field, File, FileId, Image, Message};

pub(super) struct Usage<'a> {
    image: &'a Image,
    /// Extensions by what they extend and their number.
    extensions: HashMap<(&'a str, u32), &'a Field>,
}

impl<'a> Usage<'a> {
    pub(super) fn of(image: &'a Image) -> Self {
        let extensions = image.extensions().map(|field| {
            let number = u32::try_from(field.number).unwrap_or_default();
            ((&*field.extendee, number), field)
        });
        Self {
            image,
            extensions: extensions.collect(),
        }
    }

    /// For each import of `file`, whether it is used.
    pub(super) fn imports(&self, file: &File) -> Vec<bool> {
        let mut needed = BTreeSet::new();
        self.file(file, &mut needed);
        needed.remove(&file.id);
        let mut used = vec![false; file.imports.len()];
        for (at, import) in file.imports.iter().enumerate() {
            if needed.is_empty() {
                break;
            }
            let Some(imported) = self.image.file_at(&import.path) else {
                continue;
            };
            let mut open = vec![imported];
            let mut seen = BTreeSet::new();
            while let Some(imported) = open.pop() {
                if !seen.insert(imported.id) {
                    continue;
                }
                used[at] |= needed.remove(&imported.id);
                let public = imported.imports.iter().filter(|import| import.public);
                open.extend(public.filter_map(|import| self.image.file_at(&import.path)));
            }
        }
        used
    }

    fn file(&self, file: &File, needed: &mut BTreeSet<FileId>) {
        self.options("FileOptions", &file.options.raw, needed);
        for extension in &file.extensions {
            self.field(extension, needed);
        }
        for message in &file.messages {
            self.message(self.image.message(*message), needed);
        }
        for item in &file.enums {
            self.enumeration(*item, needed);
        }
        for service in &file.services {
            let service = self.image.service(*service);
            self.options("ServiceOptions", &service.options.raw, needed);
            for method in &service.methods {
                self.name(&method.input, needed);
                self.name(&method.output, needed);
                self.options("MethodOptions", &method.options.raw, needed);
            }
        }
    }

    fn message(&self, message: &Message, needed: &mut BTreeSet<FileId>) {
        self.options("MessageOptions", &message.options.raw, needed);
        for field in message.fields.iter().chain(&message.extensions) {
            self.field(field, needed);
        }
        for oneof in &message.oneofs {
            self.options("OneofOptions", &oneof.options.raw, needed);
        }
        for range in &message.extension_ranges {
            self.options("ExtensionRangeOptions", &range.options.raw, needed);
        }
        for inner in &message.messages {
            self.message(self.image.message(*inner), needed);
        }
        for item in &message.enums {
            self.enumeration(*item, needed);
        }
    }

    fn enumeration(&self, item: crate::image::EnumId, needed: &mut BTreeSet<FileId>) {
        let item = self.image.enumeration(item);
        self.options("EnumOptions", &item.options.raw, needed);
        for value in &item.values {
            self.options("EnumValueOptions", &value.options.raw, needed);
        }
    }

    fn field(&self, field: &Field, needed: &mut BTreeSet<FileId>) {
        self.name(&field.type_name, needed);
        self.name(&field.extendee, needed);
        self.options("FieldOptions", &field.options.raw, needed);
    }

    fn name(&self, full_name: &str, needed: &mut BTreeSet<FileId>) {
        if full_name.is_empty() {
            return;
        }
        let message = self
            .image
            .message_named(full_name)
            .map(|message| message.file);
        let file = message.or_else(|| self.image.enum_named(full_name).map(|item| item.file));
        needed.extend(file);
    }

    fn options(&self, of: &str, raw: &[u8], needed: &mut BTreeSet<FileId>) {
        if !raw.is_empty() {
            self.value(&format!("google.protobuf.{of}"), raw, needed);
        }
    }

    /// The extensions that are set in an encoded message.
    fn value(&self, full_name: &str, mut bytes: &[u8], needed: &mut BTreeSet<FileId>) {
        let message = self.image.message_named(full_name);
        while !bytes.is_empty() {
            let Ok((number, wire)) = decode_key(&mut bytes) else {
                return;
            };
            let extension = self.extensions.get(&(full_name, number)).copied();
            needed.extend(extension.map(|extension| extension.file));
            let own = || {
                let fields = message.into_iter().flat_map(|message| &message.fields);
                fields
                    .into_iter()
                    .find(|field| u32::try_from(field.number) == Ok(number))
            };
            let field = extension.or_else(own);
            if wire != WireType::LengthDelimited {
                if skip_field(wire, number, &mut bytes, DecodeContext::default()).is_err() {
                    return;
                }
                continue;
            }
            let length = prost::encoding::decode_varint(&mut bytes).map(usize::try_from);
            let Ok(Ok(length)) = length else { return };
            let Some(content) = bytes.get(..length) else {
                return;
            };
            if let Some(field) = field
                && self.image.message_named(&field.type_name).is_some()
            {
                self.value(&field.type_name, content, needed);
            }
            bytes.advance(length);
        }
    }
}
