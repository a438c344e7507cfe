//! `compose`: a compose.yaml for docker compose (compose-spec), with the services and without the gateway.
//!
//! Containers publish their ports themselves there. Names, TLS, instances behind one port, tunnels that are held: that
//! takes a gateway, and is said to be left out.

mod health;
mod ports;
mod service;
mod text;

use fermata_spec::{Source, Spec, service_path};

use super::yaml::{Map, Value};
use super::{File, Gaps, MARK, Rendered};
use ports::Published;

/// The target.
pub(super) fn render(spec: &Spec) -> Rendered {
    let mut gaps = Gaps::new(spec);
    let mut published = Published::new(&spec.gateway.bind);
    let (mut services, mut volumes) = (Map::default(), Map::default());
    for service in &spec.services {
        if !is_there(service) {
            not_there(service, &mut gaps);
            continue;
        }
        if !services.is_empty() {
            services.gap();
        }
        services.put(&*service.name, service::render(service, spec, &mut published, &mut volumes, &mut gaps));
    }
    beside(spec, &mut gaps);
    let mut file = Map::default();
    file.put("services", services);
    if !volumes.is_empty() {
        file.gap();
        file.put("volumes", volumes);
    }
    let text = format!("{MARK}\n{}", file.write());
    Rendered { files: vec![File::new("compose.yaml", text)], said: gaps.into_sorted() }
}

/// Whether compose can run it: from an image, or one that it builds.
fn is_there(service: &fermata_spec::Service) -> bool {
    matches!(service.source, Source::Image { .. } | Source::Build { .. })
}

fn not_there(service: &fermata_spec::Service, gaps: &mut Gaps<'_>) {
    let at = service_path(&service.name);
    match &service.source {
        Source::Command(_) => gaps.left_out(
            &format!("{at}.command"),
            "a local process; compose runs containers",
            "give the service an image, or a build_root with a Dockerfile",
        ),
        Source::Running(addresses) if addresses.is_empty() => {
            gaps.left_out(&at, "nothing says what runs", "give it an image, or a build_root with a Dockerfile");
        }
        _ => gaps.left_out(&at, "it runs already, elsewhere", "reach it by its address, or give it an image"),
    }
}

/// What stands beside the services.
fn beside(spec: &Spec, gaps: &mut Gaps<'_>) {
    if !spec.databases.is_empty() {
        gaps.left_out(
            "databases",
            "compose has services only",
            "write a service with the database's image and a volume",
        );
    }
    let gateway = "run fermata up in front of the services, each with an address";
    gaps.left_out_if_there("tls", "compose ends no TLS", gateway);
    for key in [
        "trusted_proxies",
        "max_connections",
        "tester",
        "head_timeout",
        "connect_timeout",
        "answer_timeout",
        "max_head",
    ] {
        gaps.left_out_if_there(&format!("gateway.{key}"), "compose has no gateway", gateway);
    }
    gaps.left_out_if_there("load_balancer", "compose has no load balancer", "run fermata lb");
    gaps.left_out_if_there("firewall", "compose opens no ports for others", "open them on the machine");
}

/// A map with one entry.
fn one(key: &str, value: impl Into<Value>) -> Map {
    let mut map = Map::default();
    map.put(key, value);
    map
}
