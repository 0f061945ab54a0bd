//! Services whose schema this program was not built with: learnt from a server or a file, shown,
//! found by name, and called in JSON.
//!
//! **Invariant**: descriptors and messages are foreign: nothing in them panics, recurses or allocates
//! without bound, or reaches a terminal unescaped.

mod definition;
mod dial;
mod names;
mod request;
mod response;
mod revisions;
#[cfg(test)]
mod samples;
mod source;
mod template;

use daemoneye_ipc::descriptor::MethodKind;
use prost_reflect::MethodDescriptor;

pub(crate) use self::{
    definition::definition,
    dial::descriptor,
    names::{Symbol, find_method, find_service, find_symbol, split_method},
    request::{Request, Requests},
    response::{RpcStatus, Style, show, show_any},
    source::{ServiceInfo, Source},
    template::template,
};

/// How many messages flow in each direction.
pub(crate) fn kind(method: &MethodDescriptor) -> MethodKind {
    match (method.is_client_streaming(), method.is_server_streaming()) {
        (false, false) => MethodKind::Unary,
        (false, true) => MethodKind::ServerStreaming,
        (true, false) => MethodKind::ClientStreaming,
        (true, true) => MethodKind::BidiStreaming,
    }
}

/// `/<full service name>/<Method name>`.
pub(crate) fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}
