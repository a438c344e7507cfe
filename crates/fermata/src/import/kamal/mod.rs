//! Kamal's config/deploy.yml (Kamal 2, basecamp/kamal lib/kamal/configuration/docs): roles and accessories become
//! services, the proxy their public ports, the hosts the load balancer's servers.

mod accessory;
mod proxy;
mod role;

use super::draft::{File, Service};
use super::known::Speech;
use super::ports::{Doors, Opened, Publication};
use super::source::Value;
use super::variables;
use crate::render::yaml::{self, Map};

/// Kamal's name for the role of plain `servers`.
const PRIMARY: &str = "web";

/// The whole file; nothing where it has neither servers nor accessories.
pub(super) fn read<'a>(root: &Value<'a>, folder: &'a str) -> Option<File<'a>> {
    let name = root.get_text("service").unwrap_or_default();
    let mut file =
        File { above: vec![format!("{name}, made from Kamal's deploy.yml by fermata import.")], ..File::default() };
    root.entries().for_each(|(key, value)| beside(key, &value));
    let roles = role::roles(root);
    if roles.is_empty() && root.get("accessories").is_none() {
        return None;
    }
    let primary = root.get_text("primary_role").unwrap_or(PRIMARY);
    let servers = roles.iter().find(|role| role.name == primary).map(|role| role.hosts.clone()).unwrap_or_default();
    let balanced = servers.len() > 1;
    let mut edge = Edge { balanced, domains: Vec::new(), answer_timeout: None };
    for role in &roles {
        let service = role::service(root, role, role.name == primary, folder, &mut edge);
        file.services.push(service);
    }
    let apps = file.services.len();
    let mut published: Vec<Vec<Publication<'a>>> = Vec::new();
    for (accessory, value) in root.get("accessories").iter().flat_map(Value::entries) {
        let (service, publications) = accessory::read(name, accessory, &value, folder, &mut edge);
        if file.services.iter().any(|known| known.name == service.name) {
            value.left_out(format!("a service {} is there already", service.name), "give one of the two another name");
            continue;
        }
        file.services.push(service);
        published.push(publications);
    }
    let mut doors = Doors::new(published.iter().flatten());
    // Web ports of the application are not bound to an address of the accessories.
    doors.bind.clear();
    for service in 0..apps {
        for port in file.services[service].ports.clone() {
            port.claim(&mut doors, service);
        }
    }
    for (number, publications) in published.iter().enumerate() {
        let more = doors.open(apps + number, true, publications);
        file.services[apps + number].ports.extend(more);
    }
    file.sections.extend(edge.sections());
    if balanced {
        file.sections.push(load_balancer(&servers));
    } else if let [server] = servers.as_slice() {
        file.above.push(format!("It ran on {server}: run fermata up there."));
    }
    Some(file)
}

/// What the proxies of all services say about the file as a whole.
struct Edge {
    /// Whether a load balancer stands in front.
    balanced: bool,
    /// Names to get certificates for.
    domains: Vec<String>,
    /// In seconds, as it is written.
    answer_timeout: Option<String>,
}

impl Edge {
    fn sections(self) -> Vec<(&'static str, &'static str, yaml::Value)> {
        let mut sections = Vec::new();
        if !self.domains.is_empty() {
            let (mut tls, mut acme) = (Map::default(), Map::default());
            acme.put("domains", yaml::Value::words(self.domains));
            tls.put("acme", acme);
            sections.push(("tls", "Let's Encrypt, as kamal-proxy does", tls.into()));
        }
        if let Some(time) = self.answer_timeout {
            let mut gateway = Map::default();
            gateway.put("answer_timeout", yaml::Value::bare(time));
            sections.push(("gateway", "was proxy.response_timeout", gateway.into()));
        }
        sections
    }
}

/// The servers of the primary role behind a load balancer.
fn load_balancer(servers: &[String]) -> (&'static str, &'static str, yaml::Value) {
    let server = |(number, address): (usize, &String)| {
        let mut map = Map::default();
        map.put("name", yaml::Value::text(format!("web{}", number + 1)));
        map.put("address", yaml::Value::text(address));
        yaml::Value::from(map).into()
    };
    let mut section = Map::default();
    section.put("servers", yaml::Value::List(servers.iter().enumerate().map(server).collect()));
    let comment = "Kamal deployed to these hosts; each runs fermata up, and fermata lb runs in front of them";
    ("load_balancer", comment, section.into())
}

/// Public ports of a service that visitors reach: with a load balancer in front also those where it sends WebSockets.
fn web_ports(container: u16, tls: bool, balanced: bool) -> Vec<Opened> {
    let of = |http: u16, https: u16| {
        let mut public = vec![(Speech::Http, http)];
        public.extend(tls.then_some((Speech::Https, https)));
        Opened::new(container, &public)
    };
    let mut ports = vec![of(80, 443)];
    if balanced {
        ports.push(of(8080, 8443).with("the load balancer sends WebSockets here"));
    }
    ports
}

/// Keys of the file that no service is read from.
fn beside(key: &str, value: &Value<'_>) {
    match key {
        "service" | "image" | "servers" | "proxy" | "env" | "accessories" | "volumes" | "labels" | "primary_role"
        | "boot" | "drain_timeout" | "readiness_delay" => {}
        "registry" => registry(value),
        "builder" => value.left_out(
            "how the image is built",
            "docker buildx build --push with the same options, before fermata redeploy",
        ),
        "ssh" | "sshkit" => value.note("left out: nothing is done over SSH", "run fermata on each server"),
        "logging" => value.note("left out: output is always captured", "fermata logs shows it"),
        "aliases" => value.note("left out: commands of Kamal", "nothing has to be done"),
        "retain_containers"
        | "minimum_version"
        | "run_directory"
        | "hooks_path"
        | "secrets_path"
        | "deploy_timeout"
        | "allow_empty_roles"
        | "require_destination" => {
            value.note("left out: a setting of Kamal's own work", "nothing has to be done");
        }
        "asset_path" => value
            .left_out("files of several versions side by side", "serve assets from a place that keeps the old ones"),
        "error_pages_path" => value.left_out("error pages", "let the service answer with them"),
        "healthcheck" | "traefik" => {
            value.left_out("keys of Kamal 1", "kamal upgrade rewrites the file; or write health: and ports: by hand");
        }
        key if key.starts_with("x-") => {}
        _ => value.left_out("not known here", "look up what it did, and write it by hand"),
    }
}

fn registry(value: &Value<'_>) {
    let server = value.get_text("server").map_or(String::new(), |server| format!(" {}", server.escape_debug()));
    value.note("left out: the login that Docker keeps is used", format!("docker login{server}"));
}

/// `env`: `clear`, `secret`, or variables alone. A later value replaces an earlier one.
fn env(value: &Value<'_>, service: &mut Service<'_>) {
    let sectioned = value.entries().any(|(key, _)| matches!(key, "clear" | "secret" | "tags"));
    if !sectioned {
        clear(value, service);
        return;
    }
    for (key, value) in value.entries() {
        match key {
            "clear" => clear(&value, service),
            "secret" => {
                for text in value.texts() {
                    // NAME, or NAME:NAME_OF_THE_SECRET.
                    let (name, secret) = text.split_once(':').unwrap_or((text, text));
                    match variables::reference_to(secret) {
                        Some(reference) if is_variable(name) => service.set_variable(name.to_owned(), reference),
                        _ => value.left_out(
                            format!("{} is not the name of a variable", text.escape_debug()),
                            "write it by hand",
                        ),
                    }
                }
            }
            "tags" => {
                value.left_out("variables of single hosts", "write NAME: _env(NAME), and set them on each server");
            }
            _ => value.left_out("not known here", "write it under env_vars by hand"),
        }
    }
}

/// What the environment of a process may name.
fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

fn clear(value: &Value<'_>, service: &mut Service<'_>) {
    for (name, text, value) in value.pairs() {
        if is_variable(&name) {
            service.set_variable(name, text.unwrap_or_default());
        } else {
            value.left_out("not the name of a variable", "write it by hand");
        }
    }
}

/// `labels`, as tags.
fn labels(value: &Value<'_>, service: &mut Service<'_>) {
    for (name, text, _) in value.pairs() {
        service.tags.push(text.map_or(name.clone(), |text| format!("{name}={text}")));
    }
}

/// `options`: flags of `docker run`.
fn options(value: &Value<'_>, service: &mut Service<'_>) {
    for (key, value) in value.entries() {
        let text = value.text().unwrap_or_default();
        match key {
            "memory" => service.limits.memory = super::amounts::bytes(text).filter(|bytes| *bytes >= 4_000_000),
            "cpus" => service.limits.cpu = super::amounts::millicpus(text),
            "restart" => {
                value.note("left out: an instance that ends is always started again", "nothing has to be done");
            }
            "privileged" if value.is_true() => service.secure("privileged", yaml::Value::bare(true)),
            "network" => value.note("left out: the services of a file share one network", "nothing has to be done"),
            _ => value.left_out(format!("docker run's --{}", key.escape_debug()), "set it where the containers run"),
        }
    }
}
