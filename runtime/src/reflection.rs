//! `daemoneye.reflection.v1.Reflection`: what a server serves, for tools that do not know its schemas.
//!
//! **Invariant**: tells what the generated descriptors say, and nothing of calls or peers.

use std::collections::HashSet;

use prost::Message;
use prost_types::FileDescriptorSet;

use crate::{
    descriptor::ServiceDescriptor,
    schema::reflection::v1::{
        GetDescriptorsRequest, GetDescriptorsResponse, ListServicesRequest, ListServicesResponse,
        Reflection, ServiceInfo,
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
        self.policy.evaluate(ctx.peer())?;
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
        self.policy.evaluate(ctx.peer())?;
        let services = if request.services.is_empty() {
            self.services.clone()
        } else {
            request
                .services
                .iter()
                .map(|name| self.find(name))
                .collect::<Result<_, _>>()?
        };
        let (mut files, mut seen) = (FileDescriptorSet::default(), HashSet::new());
        for service in services {
            let set = FileDescriptorSet::decode(service.file_descriptor_set).map_err(|error| {
                Status::internal(format!("a descriptor does not decode: {error}"))
            })?;
            files.file.extend(
                set.file
                    .into_iter()
                    .filter(|file| seen.insert(file.name().to_owned())),
            );
        }
        Ok(GetDescriptorsResponse { files: Some(files) })
    }
}
