//! What a schema says of who may call and of what is valid, in words: what its documentation shows.
//!
//! **Invariant**: reads the options as the rules of evolution do.

use super::ipc;
use crate::image::{Field, Message, Method, Oneof, Service};

/// Who may call a method, in words of the option `access`: `anyone` where nothing is said.
#[must_use]
pub fn callers<'a>(service: &'a Service, method: &'a Method) -> Vec<&'a str> {
    ipc::callers(service, method).into_iter().collect()
}

/// Elements that `buf.validate` has rules for.
pub trait Validated {
    /// The rules, sorted by name: each name with its value, such as `items.min_len` and `1`.
    fn rules(&self) -> Vec<(String, String)>;
}

impl Validated for Field {
    fn rules(&self) -> Vec<(String, String)> {
        ipc::shown(&ipc::field_rules(self))
    }
}

impl Validated for Message {
    fn rules(&self) -> Vec<(String, String)> {
        ipc::shown(&ipc::message_rules(self))
    }
}

impl Validated for Oneof {
    fn rules(&self) -> Vec<(String, String)> {
        ipc::shown(&ipc::oneof_rules(self))
    }
}
