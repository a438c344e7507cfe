//! Endpoints that somebody else knows: the pods behind a Service of a Kubernetes cluster, followed as they come and go.
//!
//! The API server is asked once for all `EndpointSlices` of the Service, and then tells what changes (list and watch). What is
//! found is told; what that means for traffic is decided elsewhere. While nobody answers, what was found last stays true: a
//! cluster whose API server is away goes on working.

mod cluster;
mod slices;
mod watch;

pub use cluster::{Caller, Cluster, SERVICE_ACCOUNT, Trouble};
pub use slices::{Found, Standing, open};
pub use watch::{Said, Wanted, follow};
