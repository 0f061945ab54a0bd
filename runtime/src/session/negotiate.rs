//! HELLO: what each side announces, and whether their schemas fit.
//!
//! **Invariant**: a verdict is computed from fingerprints alone; no descriptor crosses the socket.

use crate::{
    descriptor::ServiceDescriptor,
    error::IpcError,
    schema::ipc::v1::{Hello, ServiceOffer},
    session::{Fault, SessionConfig},
    wire::{PROTOCOL_VERSION, Verdict},
};

/// Compatible fingerprints that are announced per service: the newest 16 (wire contract, section 3).
const MAX_COMPATIBLE: usize = 16;

/// Bytes of `Hello.agent` that are sent and kept.
const MAX_AGENT_BYTES: usize = 128;

/// What a client does about a service whose schema is not known to be compatible with the server's.
///
/// ```
/// # fn example() -> Result<(), daemoneye_ipc::IpcError> {
/// use daemoneye_ipc::{Channel, IpcConfig, SchemaPolicy};
/// // A tool that talks to servers of any age:
/// let builder = Channel::builder(IpcConfig::new("/run/app/app.sock")).schema_policy(SchemaPolicy::Warn);
/// # builder.lazy()?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SchemaPolicy {
    /// Calls to it fail before they are run; the default.
    #[default]
    Require,
    /// Calls are made, and a warning is logged.
    Warn,
    /// Calls are made.
    Ignore,
}

/// Two schemas of one service that are not known to be compatible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Full name of the service.
    pub service: String,
    /// Revision and fingerprint on this side.
    pub local: (u32, u64),
    /// Revision and fingerprint on the other side.
    pub remote: (u32, u64),
}

impl Mismatch {
    /// The mismatch in words, seen from the server: `local` is the server's schema.
    pub(super) fn describe(&self) -> String {
        let (ours, theirs) = (self.local, self.remote);
        format!(
            "schemas of {} differ: the client was built with revision {} ({:#018x}), the server has \
             revision {} ({:#018x}), and neither knows the other as compatible",
            self.service, theirs.0, theirs.1, ours.0, ours.1
        )
    }

    /// The error for a call that this mismatch prevents.
    #[must_use]
    pub fn to_error(&self) -> IpcError {
        IpcError::SchemaMismatch {
            service: self.service.clone(),
            local_revision: self.local.0,
            remote_revision: self.remote.0,
            local_fingerprint: self.local.1,
            remote_fingerprint: self.remote.1,
        }
    }
}

/// This side's HELLO, without services.
pub(super) fn hello(config: &SessionConfig) -> Hello {
    let agent = &config.agent;
    Hello {
        protocol: PROTOCOL_VERSION,
        agent: agent[..agent.floor_char_boundary(MAX_AGENT_BYTES)].to_owned(),
        max_frame_bytes: u32::try_from(config.max_frame_bytes).unwrap_or(u32::MAX),
        max_calls: config.max_calls,
        stream_credit: config.stream_credit,
        services: Vec::new(),
    }
}

/// What a side says of a service that it serves or means to call.
pub(super) fn offer(service: &ServiceDescriptor) -> ServiceOffer {
    ServiceOffer {
        name: service.name.to_owned(),
        revision: service.revision,
        fingerprint: service.fingerprint,
        verdict: Verdict::Unspecified.into(),
        compatible: service
            .compatible
            .iter()
            .map(|revision| revision.fingerprint)
            .take(MAX_COMPATIBLE)
            .collect(),
        require: false,
    }
}

/// Refuses a HELLO that no session can be built on, and cuts what is only for people.
pub(super) fn accept(hello: &mut Hello, from_server: bool) -> Result<(), Fault> {
    if hello.protocol != PROTOCOL_VERSION {
        return Err(Fault::Version {
            theirs: hello.protocol,
            ours: PROTOCOL_VERSION,
        });
    }
    if hello.max_frame_bytes == 0 {
        return Err(Fault::protocol("HELLO with max_frame_bytes 0"));
    }
    if from_server && hello.max_calls == 0 {
        return Err(Fault::protocol("the server's HELLO has max_calls 0"));
    }
    let cut = hello.agent.floor_char_boundary(MAX_AGENT_BYTES);
    hello.agent.truncate(cut);
    Ok(())
}

/// The verdict on a service that both sides know (wire contract, section 3): either side's list may
/// hold the other's fingerprint, since the newer side always knows the older.
pub(super) fn verdict(local: &ServiceDescriptor, remote: &ServiceOffer) -> Verdict {
    let mut compatible = local.compatible.iter();
    if local.fingerprint == remote.fingerprint {
        Verdict::Exact
    } else if compatible.any(|revision| revision.fingerprint == remote.fingerprint)
        || remote.compatible.contains(&local.fingerprint)
    {
        Verdict::Compatible
    } else {
        Verdict::Unknown
    }
}

pub(super) fn mismatch(local: &ServiceDescriptor, remote: &ServiceOffer) -> Mismatch {
    Mismatch {
        service: local.name.to_owned(),
        local: (local.revision, local.fingerprint),
        remote: (remote.revision, remote.fingerprint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::Revision;

    fn service(fingerprint: u64, compatible: &'static [Revision]) -> ServiceDescriptor {
        ServiceDescriptor {
            name: "a.B",
            revision: 1,
            fingerprint,
            compatible,
            methods: &[],
            file_descriptor_set: &[],
        }
    }

    #[test]
    fn either_side_may_know_the_other() {
        const OLD: &[Revision] = &[Revision {
            number: 1,
            fingerprint: 1,
        }];
        let (old, new, other) = (service(1, &[]), service(2, OLD), service(3, &[]));
        assert_eq!(verdict(&old, &offer(&old)), Verdict::Exact);
        assert_eq!(verdict(&old, &offer(&new)), Verdict::Compatible);
        assert_eq!(verdict(&new, &offer(&old)), Verdict::Compatible);
        assert_eq!(verdict(&old, &offer(&other)), Verdict::Unknown);
    }
}
