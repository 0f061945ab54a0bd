//! Types of methods that are hidden by a method.
//!
//! **Invariant**: looks at the text of a type only where a method of the service has a part of its name.

use std::collections::HashSet;

use prost_types::{MethodDescriptorProto, ServiceDescriptorProto};

use super::{Judge, child, positions, tag};

impl Judge<'_> {
    /// Names are looked up in the service first, and a method that is found there is no message.
    pub(super) fn service(&mut self, service: &ServiceDescriptorProto, path: &[i32]) {
        let names = service.method.iter().map(MethodDescriptorProto::name);
        let names: HashSet<&str> = names.collect();
        for (at, method) in positions(&service.method) {
            for (part, ty) in [
                (tag::method::INPUT, method.input_type()),
                (tag::method::OUTPUT, method.output_type()),
            ] {
                if !ty.split('.').any(|name| names.contains(name)) {
                    continue;
                }
                let path = child(path, &[tag::service::METHOD, at, part]);
                let written = self.index.text(self.file, &path).unwrap_or_default();
                let first = written.split('.').next().unwrap_or_default().trim();
                if names.contains(first) {
                    let message =
                        format!("`{first}` is the method of that name here, and no message");
                    let help = format!("write the full name, with a dot before it: `{ty}`");
                    self.refuse(&path, message, help);
                }
            }
        }
    }
}
