//! Which messages go which way.
//!
//! **Invariant**: a message is reached through any number of fields, and through those of map entries.

use std::collections::HashSet;

use crate::image::{Image, Method};
use crate::rules::Direction;

/// The messages that clients send, and those that servers send.
#[derive(Debug)]
pub(super) struct Ways<'a> {
    requests: HashSet<&'a str>,
    replies: HashSet<&'a str>,
}

impl<'a> Ways<'a> {
    /// The ways of the messages of `image`.
    pub(super) fn of(image: &'a Image) -> Self {
        Self {
            requests: from(image, |method| &method.input),
            replies: from(image, |method| &method.output),
        }
    }

    /// Who meets what is refused in a message of this name: the old client whose request a new server refuses,
    /// the new client that refuses an old server's reply. What is in neither may be in both.
    pub(super) fn direction(&self, full_name: &str) -> Direction {
        match (
            self.requests.contains(full_name),
            self.replies.contains(full_name),
        ) {
            (true, false) => Direction::OldClientNewServer,
            (false, true) => Direction::NewClientOldServer,
            _ => Direction::Both,
        }
    }
}

/// All messages that a method takes or gives.
pub(super) fn from_methods(image: &Image) -> HashSet<&str> {
    let Ways {
        mut requests,
        replies,
    } = Ways::of(image);
    requests.extend(replies);
    requests
}

fn from<'a>(image: &'a Image, start: impl Fn(&'a Method) -> &'a String) -> HashSet<&'a str> {
    let methods = image.services().iter().flat_map(|service| &service.methods);
    let mut open: Vec<&str> = methods.map(|method| &**start(method)).collect();
    let mut reached = HashSet::new();
    while let Some(name) = open.pop() {
        if !reached.insert(name) {
            continue;
        }
        if let Some(message) = image.message_named(name) {
            let fields = message
                .fields
                .iter()
                .filter(|field| !field.type_name.is_empty());
            open.extend(fields.map(|field| &*field.type_name));
        }
    }
    reached
}
