//! `kubernetes`: the services as workloads, for those who outgrow one machine, and one of three entrances before them: the
//! Gateway API, an Ingress for a controller by name, or Fermata itself.
//!
//! Plain manifests, which are a Kustomize base as well. What a cluster, or the entrance, cannot do is said at its place.

mod edge;
mod environment;
mod gateway;
mod ingress;
mod names;
mod network;
mod probes;
mod readme;
mod volumes;
mod workload;

use std::collections::HashMap;

use fermata_spec::{Service, Severity, Source, Spec, Sticky, service_path};

use super::yaml::{Map, Value};
use super::{File, Gaps, MARK, Rendered};
use environment::Secrets;
use ingress::Controller;

/// How clients come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entrance {
    Gateway,
    Ingress(Controller),
    Edge,
}

pub(super) fn gateway(spec: &Spec) -> Rendered {
    render(spec, Entrance::Gateway)
}

pub(super) fn traefik(spec: &Spec) -> Rendered {
    render(spec, Entrance::Ingress(Controller::Traefik))
}

pub(super) fn haproxy(spec: &Spec) -> Rendered {
    render(spec, Entrance::Ingress(Controller::Haproxy))
}

pub(super) fn nginx(spec: &Spec) -> Rendered {
    render(spec, Entrance::Ingress(Controller::Nginx))
}

pub(super) fn alb(spec: &Spec) -> Rendered {
    render(spec, Entrance::Ingress(Controller::Alb))
}

pub(super) fn edge(spec: &Spec) -> Rendered {
    render(spec, Entrance::Edge)
}

fn render(spec: &Spec, entrance: Entrance) -> Rendered {
    let mut gaps = Gaps::new(spec);
    let services: Vec<&Service> = spec.services.iter().filter(|service| is_there(service, &mut gaps)).collect();
    distinct(&services, &mut gaps);
    let mut secrets = Secrets::new();
    let mut workloads = Vec::new();
    for service in &services {
        names::say_changed(service, &mut gaps);
        let (objects, needed) = workload::objects(service, entrance, &mut gaps);
        for (secret, keys) in needed {
            secrets.entry(secret).or_default().extend(keys);
        }
        workloads.extend(objects);
        workloads.extend(network::objects(service, entrance));
        elsewhere(service, entrance, &mut gaps);
    }
    beside(spec, entrance, &mut gaps);
    let (name, entry) = match entrance {
        Entrance::Gateway => ("gateway.yaml", gateway::objects(spec, &services)),
        Entrance::Ingress(controller) => ("ingress.yaml", ingress::objects(controller, spec, &services, &mut gaps)),
        Entrance::Edge => ("fermata.yaml", edge::objects(spec, &services)),
    };
    if services.is_empty() {
        gaps.refused("services", "no service is a container, so there is nothing to run", "give a service an image");
    }
    let said = gaps.into_sorted();
    if said.iter().any(|one| one.severity == Severity::Error) {
        return Rendered { files: Vec::new(), said };
    }
    let mut files = vec![File::new("services.yaml", documents(&workloads))];
    if !entry.is_empty() {
        files.push(File::new(name, documents(&entry)));
    }
    let names: Vec<&str> = files.iter().map(|file| file.name).collect();
    files.push(File::beside("kustomization.yaml", kustomization(&names, entrance)));
    files.push(File::beside("README.md", readme::write(entrance, spec, &services, &secrets)));
    Rendered { files, said }
}

/// Whether a cluster can run it: from an image, or one that is built elsewhere.
fn is_there(service: &Service, gaps: &mut Gaps<'_>) -> bool {
    let at = service_path(&service.name);
    match &service.source {
        Source::Image { .. } | Source::Build { .. } => return true,
        Source::Command(_) => gaps.left_out(
            &format!("{at}.command"),
            "a local process; Kubernetes runs containers",
            "give the service an image, or a build_root with a Dockerfile",
        ),
        Source::Running(addresses) if addresses.is_empty() => {
            gaps.left_out(&at, "nothing says what runs", "give it an image, or a build_root with a Dockerfile");
        }
        Source::Running(_) | Source::Servers(_) => gaps.left_out(&at, "it runs already, elsewhere", "give it an image"),
        Source::Kubernetes(_) => gaps.left_out(&at, "its pods are there already", "give it an image"),
    }
    false
}

/// Two names that are one there would be one object.
fn distinct(services: &[&Service], gaps: &mut Gaps<'_>) {
    let mut known: HashMap<String, &Service> = HashMap::new();
    for service in services {
        let name = names::object(&service.name);
        if let Some(other) = known.insert(name.clone(), service) {
            let why = format!("{} and {} are both called {name} in Kubernetes", other.name, service.name);
            gaps.refused(&service_path(&service.name), why, "give one of them another name");
        }
    }
}

/// Keys of a service that need something that is not there.
fn elsewhere(service: &Service, entrance: Entrance, gaps: &mut Gaps<'_>) {
    let at = service_path(&service.name);
    for (key, why, instead) in [
        ("requires", "pods wait for nobody", "let the program try again, or add an init container by Kustomize"),
        ("deploy_command", "nothing is run once for a deployment", "run it as a Job before kubectl apply"),
        ("log_folder", "logs are what a container prints", "print them"),
    ] {
        gaps.left_out_if_there(&format!("{at}.{key}"), why, instead);
    }
    if entrance == Entrance::Edge {
        return;
    }
    if service.proxy_protocol.is_some() {
        let (why, instead) =
            ("this entrance says no PROXY protocol to pods", "render kubernetes-edge, or go by X-Forwarded-For");
        gaps.refused(&format!("{at}.proxy_protocol"), why, instead);
    }
    let edge = "render kubernetes-edge, which has Fermata before the services";
    for key in ["slow_start", "rebalance"] {
        gaps.left_out_if_there(&format!("{at}.{key}"), "services are reached by their cluster addresses", edge);
    }
    if service.sticky == Sticky::Cookie && entrance == Entrance::Gateway {
        let why = "session persistence is no part of the Gateway API's standard channel (GEP-1619)";
        let instead = "render kubernetes-ingress-haproxy or kubernetes-ingress-alb";
        gaps.refused(&format!("{at}.sticky"), why, instead);
    }
    gaps.left_out_if_there(&format!("{at}.balance"), "the controller balances as it does", edge);
    for key in [
        "keepalive",
        "pong_timeout",
        "idle_timeout",
        "max_connections_per_ip",
        "max_handshake_rate",
        "max_message",
        "max_message_rate",
        "origins",
    ] {
        let why = "the controller does not look into WebSockets";
        gaps.left_out_if_there(&format!("{at}.websocket.{key}"), why, edge);
    }
}

/// What stands beside the services.
fn beside(spec: &Spec, entrance: Entrance, gaps: &mut Gaps<'_>) {
    if !spec.databases.is_empty() {
        gaps.left_out("databases", "they do not run in the cluster", "write a service, or use a database outside");
    }
    gaps.left_out_if_there("tls.acme", "certificates are Secrets there", "let cert-manager make them");
    gaps.left_out_if_there("load_balancer", "the cluster has its own", "nothing has to be done");
    gaps.left_out_if_there("kubernetes", "the edge asks its own cluster", "nothing has to be done");
    gaps.left_out_if_there(
        "gateway.status",
        "metrics have a port of the edge's own",
        "look at the port called metrics",
    );
    gaps.left_out_if_there("firewall", "nodes' ports are the cluster's affair", "write a NetworkPolicy");
    let kept: &[&str] =
        if entrance == Entrance::Edge { &["trusted_proxies", "proxy_protocol", "max_connections"] } else { &[] };
    for key in [
        "trusted_proxies",
        "proxy_protocol",
        "max_connections",
        "tester",
        "head_timeout",
        "connect_timeout",
        "answer_timeout",
        "max_head",
    ] {
        if !kept.contains(&key) {
            let instead = "set it in Kustomize, or in the controller";
            gaps.left_out_if_there(&format!("gateway.{key}"), "this entrance does not take it", instead);
        }
    }
}

/// One file of several objects.
fn documents(objects: &[Map]) -> String {
    let objects: Vec<String> = objects.iter().map(Map::write).collect();
    format!("{MARK}\n{}", objects.join("---\n"))
}

fn kustomization(files: &[&str], entrance: Entrance) -> String {
    let mut file = Map::of([
        ("apiVersion", Value::text("kustomize.config.k8s.io/v1beta1")),
        ("kind", Value::text("Kustomization")),
        ("resources", Value::lines(files.iter().copied())),
    ]);
    if entrance == Entrance::Edge {
        file.comment("Where your image of Fermata is.");
        let image =
            Map::of([("name", Value::text("fermata")), ("newName", Value::text("registry.example.com/fermata"))]);
        file.put("images", Value::maps([image]));
    }
    format!("{MARK}\n{}", file.write())
}
