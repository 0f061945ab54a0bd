//! What the runtime needs to know to call a method that was learnt at run time.
//!
//! **Invariant**: ordinals are computed from names, by the rule of the wire contract.

use daemoneye_ipc::descriptor::{Footprint, Idempotency, MethodDescriptor, ServiceDescriptor};
use prost_reflect::prost_types::method_options::IdempotencyLevel;

use super::{kind, path, source::ServiceInfo};

/// The descriptor of a service, in the form that generated clients have it in.
///
/// It stays in memory until the process ends, as that of a generated client does. A process that
/// learns of services without end must not make one each time; this program makes one.
pub(crate) fn descriptor(
    service: &prost_reflect::ServiceDescriptor,
    info: &ServiceInfo,
) -> &'static ServiceDescriptor {
    let methods = service.methods().map(|method| {
        let path = path(&method);
        MethodDescriptor {
            ordinal: daemoneye_ipc_codegen::method_ordinal(&path),
            name: method.name().to_owned().leak(),
            path: path.leak(),
            kind: kind(&method),
            idempotency: idempotency(&method),
            access: &[],
            input: method.input().full_name().to_owned().leak(),
            output: method.output().full_name().to_owned().leak(),
            // Its messages are kept as they came.
            request: Footprint::OPAQUE,
            response: Footprint::OPAQUE,
        }
    });
    Box::leak(Box::new(ServiceDescriptor {
        name: info.name.clone().leak(),
        revision: info.revision.unwrap_or_default(),
        fingerprint: info.fingerprint,
        compatible: &[],
        methods: methods.collect::<Vec<_>>().leak(),
        file_descriptor_set: &[],
    }))
}

fn idempotency(method: &prost_reflect::MethodDescriptor) -> Idempotency {
    let options = method.method_descriptor_proto().options.as_ref();
    match options.map(|options| options.idempotency_level()) {
        Some(IdempotencyLevel::NoSideEffects) => Idempotency::NoSideEffects,
        Some(IdempotencyLevel::Idempotent) => Idempotency::Idempotent,
        Some(IdempotencyLevel::IdempotencyUnknown) | None => Idempotency::Unknown,
    }
}
