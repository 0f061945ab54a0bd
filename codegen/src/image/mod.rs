//! A set of linked schema files with positions: what rules of evolution and lint look at.
//!
//! It is made of descriptors, so that sources and descriptor sets of any edition end up the same.
//!
//! **Invariant**: an image never changes once it is made, and answers every question about a name or a
//! position without a walk through the files.

mod build;
pub mod features;
mod model;
pub mod options;
mod positions;
mod wire;

use std::collections::{HashMap, HashSet};
use std::path::{Path as FilePath, PathBuf};

use prost::Message as _;

pub use self::model::{
    Edition, Enum, EnumId, EnumValue, ExtensionRange, Field, File, FileId, Import, Kind, Label,
    Message, MessageId, Method, NumberRange, Oneof, Path, Service, ServiceId,
};
pub use self::positions::{Comments, Span};
use crate::error::Error;
use crate::load::{self, Loaded};

/// Linked schema files.
#[derive(Debug, Default)]
pub struct Image {
    files: Vec<File>,
    messages: Vec<Message>,
    enums: Vec<Enum>,
    services: Vec<Service>,
    by_path: HashMap<String, FileId>,
    by_name: HashMap<String, Named>,
    /// By the paths of the entries of maps: the paths of the maps.
    maps: HashMap<FileId, HashMap<Path, Path>>,
}

#[derive(Clone, Copy, Debug)]
enum Named {
    Message(MessageId),
    Enum(EnumId),
    Service(ServiceId),
}

/// A place that a rule points at: a file, and in it an element.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file.
    pub file: FileId,
    /// The path of the element; `None` for the file as a whole.
    pub path: Option<Path>,
}

impl Image {
    /// Reads and links `protos`, which are below the import roots `roots`, and what they import.
    ///
    /// # Errors
    ///
    /// As [`load::load`], and [`Error::Usage`] without any.
    pub fn read_files(protos: &[PathBuf], roots: &[PathBuf]) -> Result<Self, Error> {
        Self::of(load::load_aside(protos, roots)?)
    }

    /// The files of linked schemas.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when a descriptor of the linker does not decode.
    pub(crate) fn of(loaded: Loaded) -> Result<Self, Error> {
        let Loaded {
            pool,
            sources,
            roots: asked,
            mut aside,
            ..
        } = loaded;
        let encoded = pool.files().map(|file| {
            let name = file.name().to_owned();
            let positions = aside.remove(&name);
            (name, file.encode_to_vec(), positions)
        });
        let encoded: Vec<_> = encoded.collect();
        // The pool takes more memory than all that comes of it.
        drop(pool);
        let asked: HashSet<String> = asked.into_iter().collect();
        let texts = sources.into_iter();
        let mut texts: HashMap<String, String> =
            texts.map(|source| (source.name, source.text)).collect();
        let mut image = Self::default();
        for (name, encoded, positions) in encoded {
            let id = build::add_file(&mut image, &encoded, &positions)
                .map_err(|error| undecodable(FilePath::new(&name), &error))?;
            let added = &mut image.files[id.0 as usize];
            added.is_import = !asked.contains(&name);
            added.text = texts.remove(&name);
        }
        image.index();
        Ok(image)
    }

    /// The files of an encoded `google.protobuf.FileDescriptorSet`, as protoc and buf write it.
    /// `origin` is named in errors.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when the bytes are no descriptor set.
    pub fn decode(encoded: &[u8], origin: &FilePath) -> Result<Self, Error> {
        let undecodable = |error: prost::DecodeError| undecodable(origin, &error);
        let set = wire::FileDescriptorSet::decode(encoded).map_err(undecodable)?;
        let mut image = Self::default();
        for file in &set.file {
            build::add_file(&mut image, file, &[]).map_err(undecodable)?;
        }
        image.index();
        Ok(image)
    }

    fn index(&mut self) {
        let files = self.files.iter().map(|file| (file.path.clone(), file.id));
        self.by_path = files.collect();
        let messages = self.messages.iter();
        let messages = messages.map(|item| (item.full_name.clone(), Named::Message(item.id)));
        let enums = self.enums.iter();
        let enums = enums.map(|item| (item.full_name.clone(), Named::Enum(item.id)));
        let services = self.services.iter();
        let services = services.map(|item| (item.full_name.clone(), Named::Service(item.id)));
        self.by_name = messages.chain(enums).chain(services).collect();
        let mut maps: HashMap<FileId, HashMap<Path, Path>> = HashMap::new();
        for field in self.messages.iter().flat_map(|message| &message.fields) {
            if let Some(entry) = self.map_entry(field) {
                let of_file = maps.entry(field.file).or_default();
                of_file.insert(entry.path.clone(), field.path.clone());
            }
        }
        self.maps = maps;
    }

    /// All files, imports before those that import them.
    #[must_use]
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// All messages of all files, outer ones before inner ones.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// All enums of all files.
    #[must_use]
    pub fn enums(&self) -> &[Enum] {
        &self.enums
    }

    /// All services of all files.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The file with an id of this image.
    #[must_use]
    pub fn file(&self, id: FileId) -> &File {
        &self.files[id.0 as usize]
    }

    /// The message with an id of this image.
    #[must_use]
    pub fn message(&self, id: MessageId) -> &Message {
        &self.messages[id.0 as usize]
    }

    /// The enum with an id of this image.
    #[must_use]
    pub fn enumeration(&self, id: EnumId) -> &Enum {
        &self.enums[id.0 as usize]
    }

    /// The service with an id of this image.
    #[must_use]
    pub fn service(&self, id: ServiceId) -> &Service {
        &self.services[id.0 as usize]
    }

    /// The file at `path`, which is relative to the import root.
    #[must_use]
    pub fn file_at(&self, path: &str) -> Option<&File> {
        self.by_path.get(path).map(|id| self.file(*id))
    }

    /// The message with this full name.
    #[must_use]
    pub fn message_named(&self, full_name: &str) -> Option<&Message> {
        match self.by_name.get(full_name)? {
            Named::Message(id) => Some(self.message(*id)),
            _ => None,
        }
    }

    /// The enum with this full name.
    #[must_use]
    pub fn enum_named(&self, full_name: &str) -> Option<&Enum> {
        match self.by_name.get(full_name)? {
            Named::Enum(id) => Some(self.enumeration(*id)),
            _ => None,
        }
    }

    /// The service with this full name.
    #[must_use]
    pub fn service_named(&self, full_name: &str) -> Option<&Service> {
        match self.by_name.get(full_name)? {
            Named::Service(id) => Some(self.service(*id)),
            _ => None,
        }
    }

    /// All extensions of all files: those of each file's top level, then those in messages.
    pub fn extensions(&self) -> impl Iterator<Item = &Field> {
        let files = self.files.iter().flat_map(|file| &file.extensions);
        files.chain(self.messages.iter().flat_map(|message| &message.extensions))
    }

    /// The message that a map field's entries are made of: `None` for any other field.
    #[must_use]
    pub fn map_entry(&self, field: &Field) -> Option<&Message> {
        let repeated = field.label == Label::Repeated && field.kind == Kind::Message;
        let entry = repeated.then(|| self.message_named(&field.type_name))??;
        entry.is_map_entry().then_some(entry)
    }

    /// Where the element at `path` of a file is in its text.
    #[must_use]
    pub fn span(&self, file: FileId, path: &[i32]) -> Option<Span> {
        let of = self.file(file);
        let text = of.text.as_deref();
        let found = of.positions.span(path, text);
        found.or_else(|| {
            let map = self.map_of(file, path)?;
            let of_type = of.positions.span(&[map, &[6]].concat(), text);
            of_type.or_else(|| of.positions.span(map, text))
        })
    }

    /// Whether [`span`](Self::span) knows the element at `path` of a file.
    #[must_use]
    pub fn has_span(&self, file: FileId, path: &[i32]) -> bool {
        let positions = &self.file(file).positions;
        positions.has(path)
            || self
                .map_of(file, path)
                .is_some_and(|map| positions.has(&[map, &[6]].concat()) || positions.has(map))
    }

    /// The map that the element at `path` was made for: its entry, or a part of that.
    fn map_of(&self, file: FileId, path: &[i32]) -> Option<&[i32]> {
        let maps = self.maps.get(&file)?;
        let found = |length: usize| maps.get(&path[..length]);
        (1..=path.len()).rev().find_map(found).map(|map| &**map)
    }

    /// The comments at the element at `path` of a file.
    #[must_use]
    pub fn comments(&self, file: FileId, path: &[i32]) -> Option<&Comments> {
        self.file(file).positions.comments(path)
    }
}

/// Whether two encoded `FileDescriptorProto` differ in positions and comments at most.
pub(crate) fn mean_the_same(one: &[u8], other: &[u8]) -> bool {
    let meaning = |encoded| {
        let mut file = wire::File::decode(encoded).ok()?;
        file.source_code_info.clear();
        Some(file)
    };
    meaning(one).is_some_and(|one| meaning(other) == Some(one))
}

fn undecodable(origin: &FilePath, error: &prost::DecodeError) -> Error {
    Error::usage(
        format!("`{}` is no descriptor set: {error}", origin.display()),
        "make one with `protoc --include_imports --include_source_info --descriptor_set_out=FILE`, \
         or `buf build -o FILE.binpb`",
    )
}
