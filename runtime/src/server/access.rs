//! Who may call which method, as the schema says (`option (daemoneye.ipc.v1.access)`).
//!
//! **Invariant**: all names are looked up before anything is served, and a method whose list names nobody of
//! the peer's ids is not called, whatever the call carries.

use crate::{
    access::{Allow, list},
    descriptor::{MethodDescriptor, ServiceDescriptor},
    error::IpcError,
    session::MethodIndex,
    transport::{Peer, PeerPolicy},
};

/// The methods of a server that are not for everybody who may connect.
#[derive(Debug, Default)]
pub(crate) struct Access(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    index: MethodIndex,
    method: &'static MethodDescriptor,
    /// What the schema says, each with whom it lets in.
    allow: Vec<(Allow<'static>, PeerPolicy)>,
}

impl Access {
    /// Looks up whom the schemas of `services` name.
    ///
    /// # Errors
    /// [`IpcError::Config`] with the method, its schema and the name that this system does not know.
    pub(crate) fn of(services: &[&'static ServiceDescriptor]) -> Result<Self, IpcError> {
        let mut rules = Vec::new();
        for (service, descriptor) in services.iter().enumerate() {
            for (method, described) in descriptor.methods.iter().enumerate() {
                if !described.access.is_empty() {
                    let index = MethodIndex { service, method };
                    rules.push(Rule::of(index, described, descriptor)?);
                }
            }
        }
        Ok(Self(rules))
    }

    /// The methods that `peer` may not call, with what it is told.
    pub(crate) fn denied(&self, peer: &Peer) -> Vec<(MethodIndex, String)> {
        let denied = self.0.iter().filter(|rule| rule.allowing(peer).is_none());
        denied
            .map(|rule| (rule.index, rule.refusal(peer)))
            .collect()
    }

    /// What of the schema's list for `method` lets `peer` call it; `None` if there is no list, or nothing of it does.
    pub(crate) fn allowing(
        &self,
        method: &MethodDescriptor,
        peer: &Peer,
    ) -> Option<Allow<'static>> {
        let rule = self
            .0
            .iter()
            .find(|rule| rule.method.ordinal == method.ordinal)?;
        rule.allowing(peer)
    }
}

impl Rule {
    fn of(
        index: MethodIndex,
        method: &'static MethodDescriptor,
        service: &ServiceDescriptor,
    ) -> Result<Self, IpcError> {
        let resolve = |allow: &Allow<'static>| match PeerPolicy::nobody().or(allow) {
            Ok(policy) => Ok((*allow, policy)),
            Err(unknown) => Err(IpcError::config(format!(
                "{} allows `{allow}` in {} (option daemoneye.ipc.v1.access), and {unknown}",
                method.path,
                schema_of(service),
            ))),
        };
        let allow = method
            .access
            .iter()
            .map(resolve)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            index,
            method,
            allow,
        })
    }

    fn allowing(&self, peer: &Peer) -> Option<Allow<'static>> {
        let mut allow = self.allow.iter();
        let found = allow.find(|(_, policy)| policy.evaluate_ids(peer).is_ok());
        found.map(|(allow, _)| *allow)
    }

    fn refusal(&self, peer: &Peer) -> String {
        let (path, allow) = (self.method.path, list(self.method.access));
        format!(
            "{} may not call {path}: its schema allows {allow}",
            peer.who()
        )
    }
}

/// The file that defines a service: the last of its set, which has imports first.
fn schema_of(service: &ServiceDescriptor) -> String {
    use prost::Message;
    let set = prost_types::FileDescriptorSet::decode(service.file_descriptor_set);
    let file = set.ok().and_then(|set| set.file.last()?.name.clone());
    file.unwrap_or_else(|| "its schema".to_owned())
}
