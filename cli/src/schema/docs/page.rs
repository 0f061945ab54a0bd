//! From the elements of schemas to what pages show of them.
//!
//! **Invariant**: packages come in the order of their names, elements in that of their files and of the text.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use daemoneye_ipc_codegen::{
    evolution::{self, Validated},
    history::{self, History},
    image::{
        self, Edition, FileId, Image, Label, NumberRange,
        options::{MethodOptions, Options},
    },
    method_ordinal,
};

use super::{
    link::{self, Links},
    markdown,
    view::{
        About, Caller, Enum, Extension, Field, Html, Link, Message, Method, Oneof, Package,
        Revision, Rule, Service, Side, SourceFile, Type, Value,
    },
};

/// The numbers of `package` and of `syntax` and `edition` in the descriptor of a file.
const HEADS: [&[i32]; 3] = [&[2], &[12], &[14]];
/// The largest number of a field.
const MAX: i32 = (1 << 29) - 1;

/// The packages of the files that were asked for.
pub(crate) fn packages(image: &Image, history: &History, links: &Links) -> Vec<Package> {
    let mut files: BTreeMap<&str, Vec<&image::File>> = BTreeMap::new();
    for file in image.files().iter().filter(|file| !file.is_import) {
        files.entry(&file.package).or_default().push(file);
    }
    let writer = Writer {
        image,
        history,
        links,
        users: users(image, links),
    };
    let package = |(name, files)| writer.package(name, files);
    files.into_iter().map(package).collect()
}

struct Writer<'a> {
    image: &'a Image,
    history: &'a History,
    links: &'a Links,
    /// By the full name of a type: what uses it.
    users: HashMap<&'a str, BTreeSet<Link>>,
}

impl Writer<'_> {
    fn package(&self, name: &str, mut files: Vec<&image::File>) -> Package {
        files.sort_by_key(|file| &file.path);
        let mut package = Package {
            name: match name {
                "" => "(no package)".to_owned(),
                name => name.to_owned(),
            },
            file: self.links.page(name).to_owned(),
            sources: Vec::new(),
            services: Vec::new(),
            messages: Vec::new(),
            enums: Vec::new(),
            extensions: Vec::new(),
        };
        for file in files {
            package.sources.push(self.source(file));
            let services = file.services.iter().map(|id| self.image.service(*id));
            package
                .services
                .extend(services.map(|service| self.service(file, service)));
            let enums = file.enums.iter().map(|id| self.image.enumeration(*id));
            package
                .enums
                .extend(enums.map(|item| self.enumeration(file, item)));
            for id in &file.messages {
                self.message(file, self.image.message(*id), &mut package);
            }
            let extensions = file.extensions.iter();
            package
                .extensions
                .extend(extensions.map(|field| self.extension(file, field)));
        }
        package
    }

    fn source(&self, file: &image::File) -> SourceFile {
        let edition = match file.edition {
            Edition::Proto2 => "proto2".to_owned(),
            Edition::Proto3 => "proto3".to_owned(),
            Edition::Numbered(Edition::EDITION_2023) => "edition 2023".to_owned(),
            Edition::Numbered(Edition::EDITION_2024) => "edition 2024".to_owned(),
            Edition::Numbered(number) => format!("edition {number}"),
        };
        let mut texts = HEADS.iter().map(|path| self.comment(file.id, path));
        let text = texts.find(|text| !text.is_empty()).unwrap_or_default();
        SourceFile {
            path: file.path.clone(),
            edition,
            about: About {
                comment: self.html(&text, &file.package),
                summary: markdown::summary(&text),
                ..About::default()
            },
        }
    }

    fn comment(&self, file: FileId, path: &[i32]) -> String {
        markdown::text(self.image.comments(file, path))
    }

    fn html(&self, text: &str, scope: &str) -> Html {
        let resolve = |name: &str| self.links.to_named(scope, name);
        Html(markdown::html(text, &resolve))
    }

    fn about(
        &self,
        file: &image::File,
        path: &[i32],
        full_name: &str,
        deprecated: Option<bool>,
    ) -> About {
        let text = self.comment(file.id, path);
        let line = self.image.span(file.id, path);
        let line = line.map_or(String::new(), |span| format!(":{}", span.start_line));
        About {
            anchor: link::anchor(&file.package, full_name),
            comment: self.html(&text, full_name),
            summary: markdown::summary(&text),
            deprecated: deprecated == Some(true),
            source: format!("{}{line}", file.path),
        }
    }

    fn service(&self, file: &image::File, service: &image::Service) -> Service {
        let methods = service.methods.iter();
        Service {
            name: service.name.clone(),
            full_name: service.full_name.clone(),
            about: self.about(
                file,
                &service.path,
                &service.full_name,
                service.options.known.deprecated,
            ),
            methods: methods
                .map(|method| self.method(file, service, method))
                .collect(),
            revisions: self.revisions(&service.full_name),
        }
    }

    fn revisions(&self, service: &str) -> Vec<Revision> {
        let releases = self.history.releases().iter().rev();
        let revisions = releases.flat_map(|release| {
            let own = release.services.iter();
            let own = own.filter(|revision| revision.service == service);
            own.map(move |revision| (release.number, revision))
        });
        let revision = |(release, revision): (u32, &history::Revision)| Revision {
            number: revision.number,
            release,
            fingerprint: format!("{:016x}", revision.fingerprint),
            compatible: revision
                .compatible
                .iter()
                .map(ToString::to_string)
                .collect(),
        };
        revisions.map(revision).collect()
    }

    fn method(
        &self,
        file: &image::File,
        service: &image::Service,
        method: &image::Method,
    ) -> Method {
        let full_name = format!("{}.{}", service.full_name, method.name);
        let side = |streams, name: &str| Side {
            streams,
            link: self.link(name, &file.package),
        };
        let caller = |name: &str| Caller {
            name: name.to_owned(),
            anyone: name == "anyone",
        };
        let path = format!("/{}/{}", service.full_name, method.name);
        Method {
            name: method.name.clone(),
            about: self.about(
                file,
                &method.path,
                &full_name,
                method.options.known.deprecated,
            ),
            input: side(method.client_streaming, &method.input),
            output: side(method.server_streaming, &method.output),
            callers: evolution::callers(service, method)
                .into_iter()
                .map(caller)
                .collect(),
            promise: promise(&method.options),
            ordinal: format!("{:016x}", method_ordinal(&path)),
        }
    }

    /// A message, and those in it.
    fn message(&self, file: &image::File, message: &image::Message, package: &mut Package) {
        if message.is_map_entry() {
            return;
        }
        let mut fields: Vec<Field> = Vec::new();
        for field in &message.fields {
            let mut shown = self.field(file, field);
            shown.oneof = self.oneof(file, message, field, fields.last());
            fields.push(shown);
        }
        let ranges = message.extension_ranges.iter().map(|range| range.range);
        package.messages.push(Message {
            name: inside(&message.full_name, &file.package),
            full_name: message.full_name.clone(),
            about: self.about(
                file,
                &message.path,
                &message.full_name,
                message.options.known.deprecated,
            ),
            fields,
            rules: rules(message),
            reserved: reserved(&message.reserved_ranges, &message.reserved_names, MAX),
            extensions: ranges.map(|range| numbers(range, MAX)).collect(),
            used_by: self.used_by(&message.full_name),
        });
        for id in &message.messages {
            self.message(file, self.image.message(*id), package);
        }
        let enums = message.enums.iter().map(|id| self.image.enumeration(*id));
        package
            .enums
            .extend(enums.map(|item| self.enumeration(file, item)));
        let extensions = message.extensions.iter();
        package
            .extensions
            .extend(extensions.map(|field| self.extension(file, field)));
    }

    fn oneof(
        &self,
        file: &image::File,
        message: &image::Message,
        field: &image::Field,
        before: Option<&Field>,
    ) -> Option<Oneof> {
        let oneof = message.oneofs.get(field.oneof?)?;
        if oneof.is_synthetic {
            return None;
        }
        let previous = before.and_then(|field| field.oneof.as_ref());
        let text = self.comment(file.id, &oneof.path);
        let required = |(name, value): &(String, String)| name == "required" && value == "true";
        Some(Oneof {
            name: oneof.name.clone(),
            starts: previous.is_none_or(|previous| previous.name != oneof.name),
            comment: self.html(&text, &message.full_name),
            required: oneof.rules().iter().any(required),
        })
    }

    fn field(&self, file: &image::File, field: &image::Field) -> Field {
        let entry = self.image.map_entry(field);
        let sides = entry.and_then(|entry| Some((entry.fields.first()?, entry.fields.get(1)?)));
        let expected = json_name(&field.name);
        let is_own = !field.json_name.is_empty() && field.json_name != expected;
        Field {
            number: field.number,
            name: field.name.clone(),
            about: self.about(
                file,
                &field.path,
                &field.full_name,
                field.options.known.deprecated,
            ),
            label: match field.label {
                _ if entry.is_some() => "",
                Label::Repeated => "repeated",
                _ if field.is_required() => "required",
                _ if field.proto3_optional || file.edition == Edition::Proto2 => "optional",
                _ => "",
            },
            ty: match sides {
                Some((key, value)) => {
                    Type::Map(key.kind.name().to_owned(), self.type_of(file, value))
                }
                None => Type::One(self.type_of(file, field)),
            },
            oneof: None,
            rules: rules(field),
            default: field.default_value.clone(),
            json_name: is_own.then(|| field.json_name.clone()),
        }
    }

    fn type_of(&self, file: &image::File, field: &image::Field) -> Link {
        match &*field.type_name {
            "" => Link {
                text: field.kind.name().to_owned(),
                address: None,
            },
            name => self.link(name, &file.package),
        }
    }

    /// A type as it is called inside of `package`.
    fn link(&self, full_name: &str, package: &str) -> Link {
        Link {
            text: inside(full_name, package),
            address: self.links.to(full_name),
        }
    }

    fn extension(&self, file: &image::File, field: &image::Field) -> Extension {
        Extension {
            field: self.field(file, field),
            extendee: self.link(&field.extendee, &file.package),
        }
    }

    fn enumeration(&self, file: &image::File, item: &image::Enum) -> Enum {
        let value = |value: &image::EnumValue| Value {
            number: value.number,
            name: value.name.clone(),
            about: self.about(
                file,
                &value.path,
                &format!("{}.{}", item.full_name, value.name),
                value.options.known.deprecated,
            ),
        };
        Enum {
            name: inside(&item.full_name, &file.package),
            full_name: item.full_name.clone(),
            about: self.about(
                file,
                &item.path,
                &item.full_name,
                item.options.known.deprecated,
            ),
            values: item.values.iter().map(value).collect(),
            reserved: reserved(&item.reserved_ranges, &item.reserved_names, i32::MAX),
            used_by: self.used_by(&item.full_name),
        }
    }

    fn used_by(&self, full_name: &str) -> Vec<Link> {
        let users = self.users.get(full_name);
        users.into_iter().flatten().cloned().collect()
    }
}

/// By the full names of types: the methods and messages that use them.
fn users<'a>(image: &'a Image, links: &Links) -> HashMap<&'a str, BTreeSet<Link>> {
    let mut users: HashMap<&str, BTreeSet<Link>> = HashMap::new();
    let mut add = |ty: &'a str, user: String| {
        if let Some(address) = links.to(&user) {
            users.entry(ty).or_default().insert(Link {
                text: user,
                address: Some(address),
            });
        }
    };
    for service in image.services() {
        for method in &service.methods {
            let user = format!("{}.{}", service.full_name, method.name);
            add(&method.input, user.clone());
            add(&method.output, user);
        }
    }
    for message in image.messages() {
        // What a map holds is used by the message that has the map.
        let parent = message.parent.filter(|_| message.is_map_entry());
        let user = parent.map_or(message, |id| image.message(id));
        for field in &message.fields {
            let is_entry = image.map_entry(field).is_some();
            if !is_entry && !field.type_name.is_empty() && field.type_name != user.full_name {
                add(&field.type_name, user.full_name.clone());
            }
        }
    }
    users
}

/// A full name without the package that it is in.
fn inside(full_name: &str, package: &str) -> String {
    let inside = full_name.strip_prefix(package);
    let inside = inside.and_then(|inside| inside.strip_prefix('.'));
    inside.unwrap_or(full_name).to_owned()
}

fn promise(options: &Options<MethodOptions>) -> &'static str {
    match options.known.idempotency_level {
        Some(1) => "no side effects",
        Some(2) => "idempotent",
        _ => "",
    }
}

fn rules(of: &impl Validated) -> Vec<Rule> {
    let rules = of.rules().into_iter();
    rules.map(|(name, value)| Rule { name, value }).collect()
}

fn reserved(ranges: &[NumberRange], names: &[String], max: i32) -> Vec<String> {
    let ranges = ranges.iter().map(|range| numbers(*range, max));
    ranges.chain(names.iter().cloned()).collect()
}

fn numbers(range: NumberRange, max: i32) -> String {
    match range {
        NumberRange { start, end } if start == end => start.to_string(),
        NumberRange { start, end } if end >= max => format!("{start} and above"),
        NumberRange { start, end } => format!("{start} to {end}"),
    }
}

/// The name in JSON that a field has without a word on it.
fn json_name(name: &str) -> String {
    let mut json = String::with_capacity(name.len());
    let mut raise = false;
    for character in name.chars() {
        if character == '_' {
            raise = true;
        } else if raise {
            json.push(character.to_ascii_uppercase());
            raise = false;
        } else {
            json.push(character);
        }
    }
    json
}
