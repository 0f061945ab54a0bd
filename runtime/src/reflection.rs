//! `daemoneye.reflection.v1.Reflection`: what a server serves, for tools that do not know its schemas.
//!
//! **Invariant**: tells what the generated descriptors say, and nothing of calls or peers.

use std::collections::HashSet;

use bytes::Bytes;
use prost::Message;

use crate::{
    descriptor::ServiceDescriptor,
    schema::reflection::v1::{
        GetDescriptorsRequest, GetDescriptorsResponse, GetRevisionsRequest, GetRevisionsResponse,
        ListServicesRequest, ListServicesResponse, Reflection, Revision, ServiceInfo,
        ServiceRevisions,
    },
    server::CallContext,
    status::Status,
    transport::PeerPolicy,
};

/// The handler behind [`ServerBuilder::reflection`](crate::ServerBuilder::reflection).
#[derive(Debug)]
pub(crate) struct ReflectionService {
    services: Vec<&'static ServiceDescriptor>,
    policy: PeerPolicy,
}

impl ReflectionService {
    pub(crate) const fn new(services: Vec<&'static ServiceDescriptor>, policy: PeerPolicy) -> Self {
        Self { services, policy }
    }

    /// The services of these names; all without any.
    fn chosen(&self, names: &[String]) -> Result<Vec<&'static ServiceDescriptor>, Status> {
        if names.is_empty() {
            return Ok(self.services.clone());
        }
        names.iter().map(|name| self.find(name)).collect()
    }

    fn find(&self, name: &str) -> Result<&'static ServiceDescriptor, Status> {
        let found = self.services.iter().find(|service| service.name == name);
        found
            .copied()
            .ok_or_else(|| Status::not_found(format!("service {name:?} is not served here")))
    }
}

impl Reflection for ReflectionService {
    async fn list_services(
        &self,
        ctx: &CallContext,
        _: ListServicesRequest,
    ) -> Result<ListServicesResponse, Status> {
        self.policy.evaluate(ctx.peer()).await?;
        let info = |service: &&ServiceDescriptor| ServiceInfo {
            name: service.name.to_owned(),
            revision: service.revision,
            fingerprint: service.fingerprint,
            methods: service
                .methods
                .iter()
                .map(|method| method.name.to_owned())
                .collect(),
        };
        Ok(ListServicesResponse {
            services: self.services.iter().map(info).collect(),
        })
    }

    async fn get_descriptors(
        &self,
        ctx: &CallContext,
        request: GetDescriptorsRequest,
    ) -> Result<GetDescriptorsResponse, Status> {
        self.policy.evaluate(ctx.peer()).await?;
        let services = self.chosen(&request.services)?;
        let (mut files, mut seen) = (EncodedFiles::default(), HashSet::new());
        let wrong = |error| Status::internal(format!("a descriptor does not decode: {error}"));
        for service in services {
            let set = Bytes::from_static(service.file_descriptor_set);
            for file in EncodedFiles::decode(set).map_err(wrong)?.files {
                let Name { name } = Name::decode(&*file).map_err(wrong)?;
                if seen.insert(name) {
                    files.files.push(file);
                }
            }
        }
        let files = files.encode_to_vec().into();
        Ok(GetDescriptorsResponse { files })
    }

    async fn get_revisions(
        &self,
        ctx: &CallContext,
        request: GetRevisionsRequest,
    ) -> Result<GetRevisionsResponse, Status> {
        self.policy.evaluate(ctx.peer()).await?;
        let revisions = |service: &&ServiceDescriptor| ServiceRevisions {
            name: service.name.to_owned(),
            current: Some(Revision {
                number: service.revision,
                fingerprint: service.fingerprint,
            }),
            compatible: service
                .compatible
                .iter()
                .map(|known| Revision {
                    number: known.number,
                    fingerprint: known.fingerprint,
                })
                .collect(),
        };
        let services = self.chosen(&request.services)?;
        Ok(GetRevisionsResponse {
            services: services.iter().map(revisions).collect(),
        })
    }
}

/// A `FileDescriptorSet` whose files stay as they are: prost's type of a file drops the options that are not
/// protobuf's own.
#[derive(Clone, PartialEq, Message)]
struct EncodedFiles {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    files: Vec<Bytes>,
}

/// What is looked at in a `FileDescriptorProto`.
#[derive(Clone, PartialEq, Message)]
struct Name {
    #[prost(string, tag = "1")]
    name: String,
}
