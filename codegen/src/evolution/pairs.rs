//! What of an old schema stands for what of a new one.
//!
//! **Invariant**: pairs are made once for all rules, in the order of the old schema.

use std::collections::HashMap;

use crate::image::{Enum, Field, File, FileId, Image, Message, Method, Place, Service};

/// An element of the old schema, and what it became.
#[derive(Debug)]
pub(crate) struct Pair<'a, T> {
    pub(crate) new: &'a T,
    pub(crate) old: &'a T,
}

impl<T> Clone for Pair<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Pair<'_, T> {}

/// Two schemas, and their pairs.
#[derive(Debug)]
pub(crate) struct Comparison<'a> {
    pub(crate) new: &'a Image,
    pub(crate) old: &'a Image,
    pub(crate) files: Vec<Pair<'a, File>>,
    pub(crate) messages: Vec<Pair<'a, Message>>,
    pub(crate) enums: Vec<Pair<'a, Enum>>,
    pub(crate) services: Vec<Pair<'a, Service>>,
    /// Fields of messages, then extensions.
    pub(crate) fields: Vec<Pair<'a, Field>>,
    /// Methods with their services.
    pub(crate) methods: Vec<(Pair<'a, Service>, Pair<'a, Method>)>,
}

impl<'a> Comparison<'a> {
    /// Pairs the elements of `old` with those of `new`.
    pub(crate) fn of(new: &'a Image, old: &'a Image) -> Self {
        let pair = |new, old| Some(Pair { new: new?, old });
        let files = old.files().iter();
        let files = files.filter_map(|old| pair(new.file_at(&old.path), old));
        let messages = old.messages().iter();
        let messages: Vec<_> = messages
            .filter_map(|old| {
                Some(Pair {
                    new: new.message_named(&old.full_name)?,
                    old,
                })
            })
            .collect();
        let enums = old.enums().iter();
        let enums = enums.filter_map(|old| {
            Some(Pair {
                new: new.enum_named(&old.full_name)?,
                old,
            })
        });
        let services = old.services().iter();
        let services: Vec<_> = services
            .filter_map(|old| {
                Some(Pair {
                    new: new.service_named(&old.full_name)?,
                    old,
                })
            })
            .collect();
        Self {
            new,
            old,
            files: files.collect(),
            enums: enums.collect(),
            fields: fields(&messages).chain(extensions(new, old)).collect(),
            methods: services.iter().flat_map(methods).collect(),
            messages,
            services,
        }
    }

    /// The first of some paths of a file of the new schema that has a position, else the file itself.
    pub(crate) fn first(&self, file: FileId, paths: &[&[i32]]) -> Option<Place> {
        first(self.new, file, paths)
    }

    /// Whether two fields are the key or the value of a map both times.
    pub(crate) fn are_of_map_entries(&self, new: &Field, old: &Field) -> bool {
        let is_of_entry = |image: &Image, field: &Field| {
            let parent = field.parent.filter(|_| !field.is_extension());
            parent.is_some_and(|id| image.message(id).is_map_entry())
        };
        is_of_entry(self.new, new) && is_of_entry(self.old, old)
    }

    /// The same in the old schema.
    pub(crate) fn first_old(&self, file: FileId, paths: &[&[i32]]) -> Option<Place> {
        first(self.old, file, paths)
    }
}

/// The element at `path`.
pub(crate) fn place(file: FileId, path: &[i32]) -> Option<Place> {
    Some(Place {
        file,
        path: Some(path.into()),
    })
}

fn first(image: &Image, file: FileId, paths: &[&[i32]]) -> Option<Place> {
    let known = paths.iter().find(|path| image.has_span(file, path));
    Some(Place {
        file,
        path: known.map(|path| (*path).into()),
    })
}

fn fields<'a, 's>(
    messages: &'s [Pair<'a, Message>],
) -> impl Iterator<Item = Pair<'a, Field>> + use<'a, 's> {
    messages.iter().flat_map(|pair| {
        // Most fields are where they were.
        let at = |index: usize, number: i32| {
            let fields = &pair.new.fields;
            let same = fields.get(index).filter(|field| field.number == number);
            same.or_else(|| fields.iter().find(|field| field.number == number))
        };
        let old = pair.old.fields.iter().enumerate();
        old.filter_map(move |(index, old)| {
            Some(Pair {
                new: at(index, old.number)?,
                old,
            })
        })
    })
}

fn extensions<'a>(new: &'a Image, old: &'a Image) -> impl Iterator<Item = Pair<'a, Field>> {
    let known: HashMap<(&str, i32), &Field> = new
        .extensions()
        .map(|field| ((&*field.extendee, field.number), field))
        .collect();
    old.extensions().filter_map(move |old| {
        let new = known.get(&(&*old.extendee, old.number)).copied()?;
        Some(Pair { new, old })
    })
}

fn methods<'a>(
    pair: &Pair<'a, Service>,
) -> impl Iterator<Item = (Pair<'a, Service>, Pair<'a, Method>)> + use<'a> {
    let service = *pair;
    service.old.methods.iter().filter_map(move |old| {
        let new = service
            .new
            .methods
            .iter()
            .find(|new| new.name == old.name)?;
        Some((service, Pair { new, old }))
    })
}
