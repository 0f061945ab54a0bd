//! What is looked up again and again in the files of a schema: places, and files as they are served by
//! reflection. Large trees have thousands of files, with thousands of elements each.
//!
//! **Invariant**: looks at a file once, whatever is asked of it, and only when something is.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use prost_reflect::{DynamicMessage, FileDescriptor, ReflectMessage};
use prost_types::FileDescriptorProto;

use crate::aside::Aside;
use crate::error::Place;
use crate::load::{Loaded, SourceFile};

/// All files of a pool, by name.
pub(crate) struct Index<'a> {
    files: BTreeMap<&'a str, Indexed<'a>>,
}

struct Indexed<'a> {
    file: &'a FileDescriptor,
    /// Imports come before those who import them.
    position: usize,
    source: Option<&'a SourceFile>,
    aside: &'a Aside,
    lines: OnceCell<Vec<&'a str>>,
    spans: OnceCell<BTreeMap<&'a [i32], &'a [i32]>>,
    served: OnceCell<Vec<u8>>,
}

impl<'a> Index<'a> {
    /// The index of `files`, those of the pool in `loaded`.
    pub(crate) fn of(files: &'a [FileDescriptor], loaded: &'a Loaded) -> Self {
        let sources = loaded.sources.iter();
        let sources: BTreeMap<&str, &SourceFile> =
            sources.map(|source| (&*source.name, source)).collect();
        let index = |(position, file): (usize, &'a FileDescriptor)| {
            let indexed = Indexed {
                file,
                position,
                source: sources.get(file.name()).copied(),
                aside: &loaded.aside,
                lines: OnceCell::new(),
                spans: OnceCell::new(),
                served: OnceCell::new(),
            };
            (file.name(), indexed)
        };
        Self {
            files: files.iter().enumerate().map(index).collect(),
        }
    }

    /// The place of the name of the element at `path` in a file, else of the element.
    pub(crate) fn place(&self, file: &FileDescriptor, path: &[i32]) -> Option<Place> {
        const NAME: i32 = 1; // the field number of `name` in every descriptor
        let indexed = self.files.get(file.name())?;
        let source = indexed.source?;
        let name: Vec<i32> = path.iter().copied().chain([NAME]).collect();
        let spans = indexed.spans.get_or_init(|| spans(indexed));
        let span = spans.get(&*name).or_else(|| spans.get(path))?;
        let lines = indexed.lines.get_or_init(|| source.text.lines().collect());
        Place::of_span(&source.path, lines, span)
    }

    /// The place of `text`, in quotes, in the element at `path` or in an option of it; else that of the element.
    pub(crate) fn place_of_text(
        &self,
        file: &FileDescriptor,
        path: &[i32],
        text: Option<&str>,
    ) -> Option<Place> {
        let indexed = self.files.get(file.name())?;
        let source = indexed.source?;
        let spans = indexed.spans.get_or_init(|| spans(indexed));
        let lines = indexed.lines.get_or_init(|| source.text.lines().collect());
        let below = spans
            .range(path..)
            .take_while(|(at, _)| at.starts_with(path));
        let (element, quoted) = (path.split_last()?.1, text.map(|text| format!("\"{text}\"")));
        let mut first = None;
        for (_, span) in below {
            first = first.or(Some(*span));
            let found = quoted.as_ref().and_then(|text| find(lines, span, text));
            if let Some(found) = found {
                return Place::of_span(&source.path, lines, &found);
            }
        }
        match first {
            Some(span) => Place::of_span(&source.path, lines, span),
            None => self.place(file, element),
        }
    }

    /// The place of the element at `path`, else of the nearest one around it that has a place.
    pub(crate) fn nearest(&self, file: &FileDescriptor, path: &[i32]) -> Option<Place> {
        let indexed = self.files.get(file.name())?;
        let source = indexed.source?;
        let spans = indexed.spans.get_or_init(|| spans(indexed));
        let around = (0..=path.len()).rev().map(|length| &path[..length]);
        let span = around.into_iter().find_map(|path| spans.get(path))?;
        let lines = indexed.lines.get_or_init(|| source.text.lines().collect());
        Place::of_span(&source.path, lines, span)
    }

    /// Whether the source has something at `path`.
    pub(crate) fn has(&self, file: &FileDescriptor, path: &[i32]) -> bool {
        let indexed = self.files.get(file.name());
        indexed.is_some_and(|indexed| {
            let spans = indexed.spans.get_or_init(|| spans(indexed));
            spans.contains_key(path)
        })
    }

    /// What the source has at `path`, when that is on one line.
    pub(crate) fn text(&self, file: &FileDescriptor, path: &[i32]) -> Option<&str> {
        let indexed = self.files.get(file.name())?;
        let source = indexed.source?;
        let spans = indexed.spans.get_or_init(|| spans(indexed));
        let &[line, start, end] = *spans.get(path)? else {
            return None;
        };
        let lines = indexed.lines.get_or_init(|| source.text.lines().collect());
        let index = |number: i32| usize::try_from(number).ok();
        lines.get(index(line)?)?.get(index(start)?..index(end)?)
    }

    /// Whether a file was read from disk.
    pub(crate) fn is_source(&self, name: &str) -> bool {
        self.files
            .get(name)
            .is_some_and(|indexed| indexed.source.is_some())
    }

    /// Whether the text of a file has `word` in it, in comments too.
    pub(crate) fn says(&self, name: &str, word: &str) -> bool {
        let source = self.files.get(name).and_then(|indexed| indexed.source);
        source.is_some_and(|source| source.text.contains(word))
    }

    /// The serialized `FileDescriptorSet` of `file` and all that it imports, imports first. Custom
    /// options are kept, source positions are not.
    pub(crate) fn file_descriptor_set(&self, file: &FileDescriptor) -> Vec<u8> {
        self.descriptor_set(self.files.get(file.name()).into_iter().collect())
    }

    /// The same of all files of a package.
    pub(crate) fn package_descriptor_set(&self, package: &str) -> Vec<u8> {
        let files = self.files.values();
        let files = files.filter(|indexed| indexed.file.package_name() == package);
        self.descriptor_set(files.collect())
    }

    fn descriptor_set<'s>(&'s self, mut open: Vec<&'s Indexed<'a>>) -> Vec<u8> {
        const FILE: u32 = 1; // FileDescriptorSet.file
        let mut needed = BTreeSet::new();
        while let Some(indexed) = open.pop() {
            if needed.insert((indexed.position, indexed.file.name())) {
                let imports = indexed.file.dependencies();
                open.extend(imports.filter_map(|file| self.files.get(file.name())));
            }
        }
        let mut set = Vec::new();
        let needed = needed.iter().filter_map(|(_, name)| self.files.get(name));
        for indexed in needed {
            let bytes = indexed
                .served
                .get_or_init(|| without_source_info(indexed.file));
            prost::encoding::bytes::encode(FILE, bytes, &mut set);
        }
        set
    }
}

/// Where `text` is in a span, as a span.
fn find(lines: &[&str], span: &[i32], text: &str) -> Option<[i32; 3]> {
    let (first, last) = (*span.first()?, span[span.len().saturating_sub(2)]);
    let last = if span.len() == 4 { last } else { first };
    for number in first..=last {
        let line = lines.get(usize::try_from(number).ok()?)?;
        if let Some(at) = line.find(text) {
            let column = i32::try_from(line[..at].chars().count()).ok()?;
            let width = i32::try_from(text.chars().count()).ok()?;
            return Some([number, column, column + width]);
        }
    }
    None
}

/// The spans of the elements of a file, by path; of an element with several, the first.
fn spans<'a>(indexed: &Indexed<'a>) -> BTreeMap<&'a [i32], &'a [i32]> {
    let linked = indexed
        .file
        .file_descriptor_proto()
        .source_code_info
        .as_ref();
    let aside = indexed.aside.of(indexed.file.name());
    let info = linked.into_iter().chain(aside);
    let mut spans = BTreeMap::new();
    for location in info.flat_map(|info| &info.location) {
        spans.entry(&*location.path).or_insert(&*location.span);
    }
    spans
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
