//! Extensions that a range declares (`extensions 4 to 100 [declaration = { … }]`): none may be without.
//!
//! **Invariant**: nothing is decoded unless the file that holds the range says `declaration` or `verification`.

use std::collections::HashSet;

use prost::Message as _;
use prost_reflect::MessageDescriptor;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto};

use super::{Judge, child, positions, tag};

/// `ExtensionRangeOptions` with what prost-types leaves out.
#[derive(Clone, PartialEq, prost::Message)]
struct RangeOptions {
    #[prost(message, repeated, tag = "2")]
    declaration: Vec<Declaration>,
    #[prost(int32, optional, tag = "3")]
    verification: Option<i32>,
}

const DECLARATION: i32 = 0; // with the next: ExtensionRangeOptions.VerificationState
const UNVERIFIED: i32 = 1;

#[derive(Clone, PartialEq, prost::Message)]
struct Declaration {
    #[prost(int32, tag = "1")]
    number: i32,
    #[prost(string, optional, tag = "2")]
    full_name: Option<String>,
    #[prost(string, optional, tag = "3")]
    r#type: Option<String>,
    #[prost(bool, tag = "5")]
    reserved: bool,
    #[prost(bool, tag = "6")]
    repeated: bool,
}

/// The messages of a file with their ranges, and nothing else.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct File {
    #[prost(message, repeated, tag = "4")]
    message: Vec<Ranges>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Ranges {
    #[prost(message, repeated, tag = "3")]
    message: Vec<Self>,
    #[prost(message, repeated, tag = "5")]
    range: Vec<Range>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Range {
    #[prost(int32, tag = "1")]
    start: i32,
    #[prost(int32, tag = "2")]
    end: i32,
    #[prost(message, optional, tag = "3")]
    options: Option<RangeOptions>,
}

impl Judge<'_> {
    /// The declarations of a message's ranges, each by itself and against each other.
    pub(super) fn declarations_of(&mut self, message: &DescriptorProto, path: &[i32]) {
        if message.extension_range.is_empty() {
            return;
        }
        let Some(descriptor) = self.pool.get_message_by_name(&self.full_name(path)) else {
            return;
        };
        let (mut numbers, mut names) = (HashSet::new(), HashSet::new());
        for (at, range) in positions(&self.ranges(&descriptor)) {
            let path = child(path, &[tag::message::EXTENSION_RANGE, at]);
            let Some(options) = &range.options else {
                continue;
            };
            if options.verification == Some(UNVERIFIED) && !options.declaration.is_empty() {
                let help = "remove `verification = UNVERIFIED`, or the declarations";
                self.refuse(
                    &path,
                    "the range is unverified, and declares extensions",
                    help,
                );
            }
            for declaration in &options.declaration {
                let number = declaration.number;
                if !(range.start..range.end).contains(&number) {
                    let text = format!("the declared extension {number} is not in the range");
                    self.refuse(&path, text, "declare it in the range that it is in");
                }
                if !numbers.insert(number) {
                    let text = format!("the extension {number} is declared twice");
                    self.refuse(&path, text, "remove one of the two");
                }
                if let Some(name) = &declaration.full_name
                    && !names.insert(name.clone())
                {
                    let text = format!("the extension `{name}` is declared twice");
                    self.refuse(&path, text, "remove one of the two");
                }
                self.declaration(declaration, &path);
            }
        }
    }

    fn declaration(&mut self, declaration: &Declaration, path: &[i32]) {
        let number = declaration.number;
        match (&declaration.full_name, &declaration.r#type) {
            (Some(name), Some(ty)) => {
                let scalar = Type::from_str_name(&format!("TYPE_{}", ty.to_ascii_uppercase()));
                let scalar = scalar.is_some_and(|scalar| {
                    !matches!(scalar, Type::Message | Type::Group | Type::Enum)
                });
                let dotted = |name: &str| name.starts_with('.');
                for name in [
                    (!dotted(name)).then_some(name),
                    (!dotted(ty) && !scalar).then_some(ty),
                ] {
                    let Some(name) = name else { continue };
                    let text =
                        format!("the declaration of extension {number} has the name `{name}`");
                    self.refuse(
                        path,
                        text,
                        format!("write the full name, with a dot before it: `.{name}`"),
                    );
                }
            }
            (None, None) if declaration.reserved => {}
            _ => {
                let text = format!("the declaration of extension {number} is not whole");
                self.refuse(path, text, "give it both `full_name` and `type`");
            }
        }
    }

    /// Whether `extension` is what `extendee` declares under its number.
    pub(super) fn declared(
        &mut self,
        extension: &FieldDescriptorProto,
        extendee: &MessageDescriptor,
        path: &[i32],
    ) {
        let number = extension.number();
        let found = self.ranges(extendee).into_iter();
        let options = found
            .filter(|range| (range.start..range.end).contains(&number))
            .find_map(|range| range.options);
        let Some(options) = options else { return };
        let declaration = options.declaration.iter().find(|one| one.number == number);
        let Some(declaration) = declaration else {
            if options.verification == Some(DECLARATION) || !options.declaration.is_empty() {
                let text = format!(
                    "`{}` does not declare the extension {number}",
                    extendee.full_name()
                );
                let help =
                    "declare it in the options of its range, or take a number of a range without";
                self.refuse(&child(path, &[tag::field::NUMBER]), text, help);
            }
            return;
        };
        let name = format!(".{}", self.full_name(path));
        let type_name = match extension.type_name() {
            "" => extension.r#type().as_str_name()["TYPE_".len()..].to_ascii_lowercase(),
            named => named.to_owned(),
        };
        let repeated = extension.label() == Label::Repeated;
        let wanted = (
            declaration.full_name.as_deref(),
            declaration.r#type.as_deref(),
            declaration.repeated,
        );
        let text = if declaration.reserved {
            format!("the extension number {number} is declared as reserved")
        } else if wanted != (Some(&name), Some(&type_name), repeated) {
            let (name, ty, repeated) = wanted;
            let label = if repeated { "repeated " } else { "" };
            format!(
                "the extension {number} is declared as `{label}{} {}`",
                ty.unwrap_or_default(),
                name.unwrap_or_default()
            )
        } else {
            return;
        };
        let help = format!(
            "take another number, or change the declaration in `{}`",
            extendee.full_name()
        );
        self.refuse(&child(path, &[tag::field::NUMBER]), text, help);
    }

    /// The ranges of a message with their options; empty where the file says nothing of declarations.
    fn ranges(&mut self, message: &MessageDescriptor) -> Vec<Range> {
        let file = message.parent_file();
        let name = file.name();
        let decoded = self.ranges.entry(name.to_owned()).or_insert_with(|| {
            if !["declaration", "verification"]
                .iter()
                .any(|word| self.index.says(name, word))
            {
                return File::default();
            }
            // Bytes that the same library has just written.
            File::decode(file.encode_to_vec().as_slice()).unwrap_or_default()
        });
        let mut steps = message
            .path()
            .chunks(2)
            .filter_map(|step| usize::try_from(step[1]).ok());
        let top = steps.next().and_then(|at| decoded.message.get(at));
        let found = steps.fold(top, |message, at| message?.message.get(at));
        found
            .map(|message| message.range.clone())
            .unwrap_or_default()
    }
}
