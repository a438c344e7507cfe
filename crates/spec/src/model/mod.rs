//! The checked model of a service.yml: what every back end reads.
//!
//! A value of these types has passed every check; nothing here is a string that still has to be understood.
//! Durations are durations, ports are in 1–65535, names in `requires` exist. Only [`crate::read`] makes a [`Spec`].

mod bounds;
mod edge;
mod haproxy;
mod health;
mod service;
mod volume;
mod websocket;

use std::collections::HashMap;
use std::ops::Range;

pub use bounds::*;
pub use edge::*;
pub use haproxy::*;
pub use health::*;
pub use service::*;
pub use volume::*;
pub use websocket::*;

/// A whole checked service.yml.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The services in the order of the file: where two match one request, the first gets it.
    pub services: Vec<Service>,
    /// `databases:`, run only on request.
    pub databases: Vec<Database>,
    /// `tls:`.
    pub tls: Tls,
    /// `gateway:`.
    pub gateway: Gateway,
    /// `load_balancer:`, where the file has one.
    pub load_balancer: Option<LoadBalancer>,
    /// `firewall:`.
    pub firewall: Firewall,
    /// `kubernetes:`.
    pub kubernetes: Cluster,
    /// Where each value stands in the text, for later diagnostics about it.
    pub places: Places,
}

/// Where each value of the file stands: a path such as `services.web.ports[0].http` to byte offsets of the value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places(pub(crate) HashMap<String, Spot>);

/// Where one value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) value: Range<usize>,
    /// Its key, or the value itself in a list.
    pub(crate) key: Range<usize>,
}

impl Places {
    /// The bytes at which the value of `path` stands, if the file has it.
    pub fn find(&self, path: &str) -> Option<Range<usize>> {
        self.0.get(path).map(|spot| spot.value.clone())
    }

    /// The bytes at which the value of `path` stands, or the nearest value around it; 0 where there is none.
    pub fn nearest(&self, path: &str) -> Range<usize> {
        let mut path = path;
        loop {
            if let Some(place) = self.find(path) {
                return place;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return 0..0,
            }
        }
    }

    /// The bytes at which the key of `path` stands; those of the value for an item of a list.
    pub fn find_key(&self, path: &str) -> Option<Range<usize>> {
        self.0.get(path).map(|spot| spot.key.clone())
    }
}

/// The path of a service: what its values' paths begin with.
pub fn service_path(name: &str) -> String {
    format!("services.{}", crate::reader::segment(name))
}
