//! The services of a server.
//!
//! **Invariant**: no two methods share an ordinal.

use std::collections::HashMap;

use crate::{
    descriptor::{MethodDescriptor, ServiceDescriptor},
    session::IdHasher,
};

/// Where a method is: index of its service in the registry, and of the method in the service.
///
/// ```
/// use daemoneye_ipc::{schema::health::v1::HEALTH_SERVICE, session::{MethodIndex, Registry}};
///
/// let mut registry = Registry::default();
/// registry.add(HEALTH_SERVICE).unwrap();
/// let found = registry.find(HEALTH_SERVICE.methods[1].ordinal);
/// assert_eq!(found.map(|(index, _)| index), Some(MethodIndex { service: 0, method: 1 }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodIndex {
    /// Index into [`Registry::services`].
    pub service: usize,
    /// Index into the service's methods.
    pub method: usize,
}

/// The services of a server, found by method ordinal.
///
/// ```
/// use daemoneye_ipc::{schema::health::v1::HEALTH_SERVICE, session::Registry};
///
/// let mut registry = Registry::default();
/// registry.add(HEALTH_SERVICE).unwrap();
/// let ping = &HEALTH_SERVICE.methods[2];
/// assert_eq!(registry.find(ping.ordinal).map(|(_, method)| method.name), Some("Ping"));
/// assert!(registry.add(HEALTH_SERVICE).is_err(), "it is there already");
/// ```
#[derive(Debug, Default)]
pub struct Registry {
    services: Vec<&'static ServiceDescriptor>,
    methods: HashMap<u64, MethodIndex, IdHasher>,
}

impl Registry {
    /// Adds a service.
    ///
    /// # Errors
    /// If a service of that name, or a method of the same ordinal, is there already.
    pub fn add(&mut self, service: &'static ServiceDescriptor) -> Result<(), String> {
        if self.services.iter().any(|known| known.name == service.name) {
            return Err(format!("service {} is added twice", service.name));
        }
        for (method, descriptor) in service.methods.iter().enumerate() {
            let index = MethodIndex {
                service: self.services.len(),
                method,
            };
            if let Some(other) = self.methods.insert(descriptor.ordinal, index) {
                let other = self
                    .services
                    .get(other.service)
                    .map_or("", |other| other.name);
                return Err(format!(
                    "{} and a method of {other} share an ordinal",
                    descriptor.path
                ));
            }
        }
        self.services.push(service);
        Ok(())
    }

    /// The services in the order in which they were added.
    #[must_use]
    pub fn services(&self) -> &[&'static ServiceDescriptor] {
        &self.services
    }

    /// The method with `ordinal`.
    #[must_use]
    pub fn find(&self, ordinal: u64) -> Option<(MethodIndex, &'static MethodDescriptor)> {
        let index = *self.methods.get(&ordinal)?;
        let method = self
            .services
            .get(index.service)?
            .methods
            .get(index.method)?;
        Some((index, method))
    }
}
