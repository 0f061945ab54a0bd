//! The rule on full names of messages.
//!
//! **Invariant**: entries of maps have no name that anybody uses.

use super::super::describe;
use super::super::entry::Entry;
use super::super::files::whole;
use super::super::pairs::{Comparison, place};
use super::{IPC, reach};
use crate::image::{Image, Message};
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

/// The outline of a message.
fn pasted(image: &Image, message: &Message) -> String {
    let numbers = message.fields.iter().map(|field| field.number.to_string());
    let numbers: Vec<String> = numbers.collect();
    let place = image.file(message.file);
    format!(
        "    message {} {{ option deprecated = true; … }}  // {}, fields {}",
        message.name,
        describe::quoted([&*place.path]),
        if numbers.is_empty() {
            "none".to_owned()
        } else {
            numbers.join(", ")
        }
    )
}
