//! What the pages show: plain data, in the words of the page.
//!
//! **Invariant**: only a [`Html`] is markup, and only comments become one; templates escape all else.

use std::fmt;

use askama::{FastWritable, Template, Values};

/// Markup that a page shows as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Html(pub(super) String);

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FastWritable for Html {
    fn write_into(&self, to: &mut dyn fmt::Write, _: &dyn Values) -> askama::Result<()> {
        Ok(to.write_str(&self.0)?)
    }
}

impl askama::filters::HtmlSafe for Html {}

/// The first page.
#[derive(Template)]
#[template(path = "docs/overview.html")]
pub(crate) struct Overview<'a> {
    pub(crate) title: &'a str,
    /// The way from the page to the first page's folder.
    pub(crate) root: &'a str,
    pub(crate) packages: &'a [Package],
}

/// The page of a package.
#[derive(Template)]
#[template(path = "docs/package.html")]
pub(crate) struct PackagePage<'a> {
    pub(crate) title: &'a str,
    pub(crate) root: &'a str,
    pub(crate) packages: &'a [Package],
    pub(crate) package: &'a Package,
}

impl PackagePage<'_> {
    fn is_here(&self, package: &Package) -> bool {
        package.file == self.package.file
    }
}

#[derive(Debug)]
pub(crate) struct Package {
    /// Its name; words where it has none.
    pub(crate) name: String,
    /// Its page, in the folder of the packages.
    pub(crate) file: String,
    /// Its schema files, with what stands at their top.
    pub(crate) sources: Vec<SourceFile>,
    pub(crate) services: Vec<Service>,
    pub(crate) messages: Vec<Message>,
    pub(crate) enums: Vec<Enum>,
    pub(crate) extensions: Vec<Extension>,
}

impl Package {
    /// How many services, messages and enums it has.
    pub(crate) fn elements(&self) -> usize {
        self.services.len() + self.messages.len() + self.enums.len()
    }

    /// The first sentence on it, from whichever of its files has one.
    pub(crate) fn summary(&self) -> &str {
        let mut summaries = self.sources.iter().map(|source| &*source.about.summary);
        summaries.find(|text| !text.is_empty()).unwrap_or_default()
    }
}

#[derive(Debug)]
pub(crate) struct SourceFile {
    pub(crate) path: String,
    /// `proto3`, or an edition.
    pub(crate) edition: String,
    pub(crate) about: About,
}

/// What is said of an element.
#[derive(Debug, Default)]
pub(crate) struct About {
    /// Its place on the page.
    pub(crate) anchor: String,
    pub(crate) comment: Html,
    /// The first sentence of the comment.
    pub(crate) summary: String,
    pub(crate) deprecated: bool,
    /// File and line.
    pub(crate) source: String,
}

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) full_name: String,
    pub(crate) about: About,
    pub(crate) methods: Vec<Method>,
    /// Those that were released, newest first.
    pub(crate) revisions: Vec<Revision>,
}

/// A revision of a service, as peers tell it when they connect.
#[derive(Debug)]
pub(crate) struct Revision {
    pub(crate) number: u32,
    /// The release that brought it.
    pub(crate) release: u32,
    /// In hex.
    pub(crate) fingerprint: String,
    /// Earlier revisions that it is compatible with in both directions.
    pub(crate) compatible: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) name: String,
    pub(crate) about: About,
    pub(crate) input: Side,
    pub(crate) output: Side,
    /// Who may call it.
    pub(crate) callers: Vec<Caller>,
    /// What its `idempotency_level` promises, in words.
    pub(crate) promise: &'static str,
    /// The number by which calls name it, in hex.
    pub(crate) ordinal: String,
}

/// A request or a reply.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) streams: bool,
    pub(crate) link: Link,
}

#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) name: String,
    /// Whether it means whoever may connect.
    pub(crate) anyone: bool,
}

/// A name, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Link {
    pub(crate) text: String,
    pub(crate) address: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Message {
    /// With the messages around it.
    pub(crate) name: String,
    pub(crate) full_name: String,
    pub(crate) about: About,
    pub(crate) fields: Vec<Field>,
    /// Rules on the message as a whole.
    pub(crate) rules: Vec<Rule>,
    /// Numbers and names that may not be used again.
    pub(crate) reserved: Vec<String>,
    /// Numbers for extensions.
    pub(crate) extensions: Vec<String>,
    pub(crate) used_by: Vec<Link>,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) number: i32,
    pub(crate) name: String,
    pub(crate) about: About,
    /// `repeated`, `optional`, `required`, or nothing.
    pub(crate) label: &'static str,
    pub(crate) ty: Type,
    /// The oneof that it is in.
    pub(crate) oneof: Option<Oneof>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) default: Option<String>,
    /// Its name in JSON, where that is not what one would expect.
    pub(crate) json_name: Option<String>,
}

#[derive(Debug)]
pub(crate) enum Type {
    One(Link),
    Map(String, Link),
}

#[derive(Debug)]
pub(crate) struct Oneof {
    pub(crate) name: String,
    /// Whether the field is the first of it.
    pub(crate) starts: bool,
    pub(crate) comment: Html,
    pub(crate) required: bool,
}

/// A rule of `buf.validate`, and its value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) value: String,
}

#[derive(Debug)]
pub(crate) struct Enum {
    pub(crate) name: String,
    pub(crate) full_name: String,
    pub(crate) about: About,
    pub(crate) values: Vec<Value>,
    pub(crate) reserved: Vec<String>,
    pub(crate) used_by: Vec<Link>,
}

#[derive(Debug)]
pub(crate) struct Value {
    pub(crate) number: i32,
    pub(crate) name: String,
    pub(crate) about: About,
}

#[derive(Debug)]
pub(crate) struct Extension {
    pub(crate) field: Field,
    pub(crate) extendee: Link,
}
