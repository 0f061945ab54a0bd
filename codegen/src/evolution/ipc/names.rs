//! The rule on full names of messages.
//!
//! **Invariant**: entries of maps have no name that anybody uses.

use super::super::entry::Entry;
use super::super::files::whole;
use super::super::pairs::{Comparison, place};
use super::{IPC, reach};
use crate::image::{Edition, Field, Image, Label, Message};
use crate::rules::{Direction, Report, Rule};

pub(in super::super) const RULES: &[Entry] = &[Entry::wire(
    "IPC_MESSAGE_NO_DELETE",
    IPC,
    "Checks that messages that may be inside of an Any keep their full names.",
    Direction::Both,
    "An Any, as in the details of a status, names its message in full, and so do requests to reflection: what has \
     another name is not found.",
    deleted,
)];

fn deleted(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    let old = comparison.old;
    let any = old.messages().iter().any(|message| {
        let mut fields = message.fields.iter();
        fields.any(|field| field.type_name == "google.protobuf.Any")
    });
    let of_methods = reach::from_methods(old);
    for gone in old
        .messages()
        .iter()
        .filter(|message| !message.is_map_entry())
    {
        let kept = comparison.new.message_named(&gone.full_name).is_some();
        if kept || (!any && of_methods.contains(&*gone.full_name)) {
            continue;
        }
        let renamed = renamed(comparison, gone);
        let message = match renamed {
            Some(to) => format!(
                "Message \"{}\" was deleted; it looks as if it had become \"{}\".",
                gone.full_name, to.full_name
            ),
            None => format!("Message \"{}\" was deleted.", gone.full_name),
        };
        let file = comparison.new.file_at(&old.file(gone.file).path);
        let at = match renamed {
            Some(to) => place(to.file, &to.path),
            None => file.and_then(whole),
        };
        let draft = report.add(rule, at, place(gone.file, &gone.path), message);
        draft.fix = format!(
            "put the message back under its name, with `option deprecated = true;` in it, until nobody sends it:\n{}",
            pasted(old, gone)
        );
    }
}

/// A message that is new, and has the same fields.
fn renamed<'a>(comparison: &Comparison<'a>, gone: &Message) -> Option<&'a Message> {
    let fields = |message: &Message| -> Vec<(i32, String)> {
        let fields = message.fields.iter();
        fields
            .map(|field| (field.number, field.name.clone()))
            .collect()
    };
    let is_new = |message: &&Message| comparison.old.message_named(&message.full_name).is_none();
    let gone = fields(gone);
    let mut new = comparison.new.messages().iter().filter(is_new);
    new.find(|message| !gone.is_empty() && fields(message) == gone)
}

/// A message as a schema has it, marked as deprecated.
fn pasted(image: &Image, message: &Message) -> String {
    let fields = message.fields.iter().map(|field| {
        let kind = match image.map_entry(field).map(|entry| &*entry.fields) {
            Some([key, value]) => format!("map<{}, {}>", word(key), word(value)),
            _ => format!("{}{}", label(image, field), word(field)),
        };
        format!("      {kind} {} = {};\n", field.name, field.number)
    });
    let fields: String = fields.collect();
    format!(
        "    message {} {{\n      option deprecated = true;\n{fields}    }}",
        message.name
    )
}

fn label(image: &Image, field: &Field) -> &'static str {
    let stated = image.file(field.file).edition == Edition::Proto2 && field.oneof.is_none();
    match field.label {
        Label::Repeated => "repeated ",
        Label::Required => "required ",
        Label::Optional if stated || field.proto3_optional => "optional ",
        Label::Optional => "",
    }
}

fn word(field: &Field) -> &str {
    match &*field.type_name {
        "" => field.kind.name(),
        name => name,
    }
}
