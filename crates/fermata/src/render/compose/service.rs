//! One service.

use std::time::Duration;

use fermata_spec::{Resources, SecurityContext, Service, Source, Spec, Volume, VolumeSource, Workload, service_path};

use super::ports::{self, Published};
use super::{health, is_there, one, text};
use crate::render::Gaps;
use crate::render::yaml::{Map, Value};

/// Docker's own default (docker stop(1), `--time`).
const STOP_GRACE: Duration = Duration::from_secs(10);

/// The service's entry; named volumes that it uses are added to `volumes`.
pub(super) fn render(
    service: &Service,
    spec: &Spec,
    published: &mut Published,
    volumes: &mut Map,
    gaps: &mut Gaps<'_>,
) -> Map {
    let at = &service_path(&service.name);
    let mut map = Map::default();
    source(service, at, &mut map, gaps);
    map.put_some("working_dir", service.work_dir.as_deref().map(|text| Value::text(text.replace('$', "$$"))));
    if service.security_context.host_network != Some(true) {
        map.put_some("ports", published.ports(service, at, gaps));
        map.put_some("expose", ports::expose(service));
    }
    requires(service, spec, &mut map);
    environment(service, at, &mut map, gaps);
    let mounts: Vec<Value> = service
        .volumes
        .iter()
        .enumerate()
        .filter_map(|(number, volume)| mount(volume, &format!("{at}.volumes[{number}]"), volumes, gaps))
        .collect();
    if !mounts.is_empty() {
        map.put("volumes", Value::List(mounts.into_iter().map(Into::into).collect()));
    }
    map.put_some("healthcheck", health::render(service, at, gaps));
    map.put_some("deploy", deploy(service, at, gaps));
    // Fermata starts again whatever ends.
    map.put("restart", Value::text("unless-stopped"));
    if service.stop_grace != STOP_GRACE {
        map.put("stop_grace_period", Value::text(health::duration(service.stop_grace)));
    }
    hook("post_start", service.post_start_command.as_deref(), &format!("{at}.post_start_command"), &mut map, gaps);
    hook("pre_stop", service.pre_stop_command.as_deref(), &format!("{at}.pre_stop_command"), &mut map, gaps);
    security(&service.security_context, at, &mut map, gaps);
    map.put_some("labels", table(&service.tags));
    map.put_some("annotations", table(&service.annotations));
    elsewhere(at, gaps);
    map
}

fn source(service: &Service, at: &str, map: &mut Map, gaps: &mut Gaps<'_>) {
    let command = match &service.source {
        Source::Image { image, command } => {
            let image = text::with_variables(image, &format!("{at}.image"), gaps.spec, gaps);
            map.put("image", Value::text(image));
            command
        }
        Source::Build { root, dockerfile, git_url, git_branch, command } => {
            let context = match (git_url, git_branch) {
                (Some(url), Some(branch)) => format!("{url}#{branch}"),
                (Some(url), None) => url.clone(),
                (None, _) => root.as_deref().map_or(".".to_owned(), relative),
            };
            let mut build = one("context", Value::text(context.replace('$', "$$")));
            build.put_some("dockerfile", dockerfile.as_deref().map(|text| Value::text(text.replace('$', "$$"))));
            map.put("build", build);
            command
        }
        Source::Command(_) | Source::Running(_) | Source::Servers(_) | Source::Kubernetes(_) => return,
    };
    if let Some(command) = command {
        let command = text::with_variables(command, &format!("{at}.command"), gaps.spec, gaps);
        map.put("command", Value::text(command));
    }
}

/// A folder beside the file, as compose wants it written.
fn relative(folder: &str) -> String {
    if folder.starts_with(['.', '/']) { folder.to_owned() } else { format!("./{folder}") }
}

fn requires(service: &Service, spec: &Spec, map: &mut Map) {
    let required = service.requires.iter().filter_map(|name| spec.services.iter().find(|one| one.name == *name));
    let required: Vec<&Service> = required.filter(|one| is_there(one)).collect();
    if required.is_empty() {
        return;
    }
    if !required.iter().any(|one| health::is_checked(one)) {
        map.put("depends_on", Value::words(required.iter().map(|one| &*one.name)));
        return;
    }
    let mut names = Map::default();
    for one in required {
        let condition = if health::is_checked(one) { "service_healthy" } else { "service_started" };
        names.put(&*one.name, super::one("condition", Value::text(condition)));
    }
    map.put("depends_on", names);
}

fn environment(service: &Service, at: &str, map: &mut Map, gaps: &mut Gaps<'_>) {
    let mut environment = Map::default();
    for (name, value) in &service.env_vars {
        let path = format!("{at}.env_vars.{name}");
        if matches!(value.as_str(), "AUTO_GENERATE" | "AUTO_GENERATE_32") {
            gaps.changed(
                &path,
                "compose makes up no values",
                format!("set {name} in the environment, or in a file .env"),
            );
            environment.put(name, Value::text(format!("${{{name}:?set it}}")));
        } else {
            environment.put(name, Value::text(text::with_variables(value, &path, gaps.spec, gaps)));
        }
    }
    if !environment.is_empty() {
        map.put("environment", environment);
    }
}

fn mount(volume: &Volume, path: &str, volumes: &mut Map, gaps: &mut Gaps<'_>) -> Option<Value> {
    let mode = if volume.read_only { ":ro" } else { "" };
    let target = volume.mount_path.replace('$', "$$");
    let sub_path = volume.sub_path.as_deref().map_or(String::new(), |sub| format!("/{}", sub.trim_start_matches('/')));
    if volume.sub_path_expr.is_some() {
        gaps.left_out(&format!("{path}.sub_path_expr"), "compose has no such variables", "write sub_path");
    }
    if let VolumeSource::HostPath(host) = &volume.source {
        let host = text::with_variables(&format!("{host}{sub_path}"), path, gaps.spec, gaps);
        let Some(propagation) = propagation(volume) else { return Some(Value::text(format!("{host}:{target}{mode}"))) };
        let mut map = one("type", Value::text("bind"));
        map.put("source", Value::text(host));
        map.put("target", Value::text(target));
        if volume.read_only {
            map.put("read_only", Value::bare(true));
        }
        map.put("bind", one("propagation", Value::text(propagation)));
        return Some(map.into());
    }
    let VolumeSource::Kubernetes(kind, options) = &volume.source else { return None };
    let option = |key: &str| options.get(key).and_then(serde_json::Value::as_str);
    match kind.as_str() {
        "empty_dir" if option("medium") == Some("Memory") => {
            let mut map = one("type", Value::text("tmpfs"));
            map.put("target", Value::text(target));
            Some(map.into())
        }
        "empty_dir" => Some(Value::text(target)),
        "persistent_volume_claim" if option("claim_name").is_some_and(|name| sub_path.is_empty() && is_name(name)) => {
            let name = option("claim_name").unwrap_or_default();
            if !volumes.has(name) {
                volumes.put(name, Map::default());
            }
            Some(Value::text(format!("{name}:{target}{mode}")))
        }
        _ => {
            gaps.left_out(path, format!("compose mounts no {kind}"), "mount a folder of the machine: host_path");
            None
        }
    }
}

/// compose-spec: names of volumes.
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Docker's word for Kubernetes' (docs of both, "mount propagation").
fn propagation(volume: &Volume) -> Option<&'static str> {
    match volume.mount_propagation.as_deref() {
        Some("HostToContainer") => Some("rslave"),
        Some("Bidirectional") => Some("rshared"),
        _ => None,
    }
}

fn deploy(service: &Service, at: &str, gaps: &mut Gaps<'_>) -> Option<Map> {
    let mut map = Map::default();
    let published = service.ports.iter().any(|port| port.http.or(port.tcp).or(port.udp).is_some());
    if service.workload == Workload::DaemonSet {
        map.put("mode", Value::text("global"));
    } else if service.replicas > 1 && published {
        gaps.left_out(
            &format!("{at}.replicas"),
            format!("{} instances cannot share a public port there, so one runs", service.replicas),
            "run fermata up in front of them, or remove the public port",
        );
    } else if service.replicas != 1 {
        map.put("replicas", Value::bare(service.replicas));
    }
    let mut resources = Map::default();
    resources.put_some("limits", amounts(service.constraints.limits));
    resources.put_some("reservations", amounts(service.constraints.requests));
    if !resources.is_empty() {
        map.put("resources", resources);
    }
    (!map.is_empty()).then_some(map)
}

fn amounts(amounts: Resources) -> Option<Map> {
    let mut map = Map::default();
    map.put_some("cpus", amounts.cpu.map(|cpu| Value::text((f64::from(cpu) / 1000.0).to_string())));
    map.put_some("memory", amounts.memory.map(|bytes| Value::text(memory(bytes))));
    (!map.is_empty()).then_some(map)
}

/// The largest unit that divides the bytes; compose's are based on 1024.
fn memory(bytes: u64) -> String {
    match bytes {
        _ if bytes.is_multiple_of(1 << 30) => format!("{}g", bytes >> 30),
        _ if bytes.is_multiple_of(1 << 20) => format!("{}m", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 10) => format!("{}k", bytes >> 10),
        _ => format!("{bytes}b"),
    }
}

fn hook(key: &str, command: Option<&str>, path: &str, map: &mut Map, gaps: &mut Gaps<'_>) {
    let Some(command) = command else { return };
    let command = text::with_variables(command, path, gaps.spec, gaps);
    let words = shlex::split(&command).unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned(), command]);
    map.put(key, Value::List(vec![Value::from(one("command", Value::words(words))).into()]));
}

fn security(context: &SecurityContext, at: &str, map: &mut Map, gaps: &mut Gaps<'_>) {
    match (context.run_as_user, context.run_as_group) {
        (Some(user), Some(group)) => map.put("user", Value::text(format!("{user}:{group}"))),
        (Some(user), None) => map.put("user", Value::text(user.to_string())),
        (None, Some(group)) => map.put("user", Value::text(format!("0:{group}"))),
        (None, None) => {}
    }
    if !context.supplemental_groups.is_empty() {
        map.put("group_add", Value::words(context.supplemental_groups.iter().map(ToString::to_string)));
    }
    if context.privileged == Some(true) {
        map.put("privileged", Value::bare(true));
    }
    let spaces = [("network_mode", context.host_network), ("pid", context.host_pid), ("ipc", context.host_ipc)];
    for (key, _) in spaces.iter().filter(|(_, shared)| *shared == Some(true)) {
        map.put(*key, Value::text("host"));
    }
    for key in ["fs_group", "run_as_non_root"] {
        let path = format!("{at}.security_context.{key}");
        gaps.left_out_if_there(&path, "compose has no such setting", "prepare the image for it");
    }
}

fn table(pairs: &[(String, String)]) -> Option<Value> {
    let pairs: Vec<(String, String)> =
        pairs.iter().map(|(key, value)| (key.clone(), value.replace('$', "$$"))).collect();
    (!pairs.is_empty()).then(|| Value::table(&pairs))
}

/// Keys that take a gateway, a cluster or the original platform.
fn elsewhere(at: &str, gaps: &mut Gaps<'_>) {
    let gateway = "run fermata up in front of the service, which has an address then";
    for (key, why) in [
        ("traffic_matches", "compose tells no names apart"),
        ("balance", "compose balances nothing"),
        ("sticky", "compose pins no visitors"),
        ("proxy_protocol", "compose publishes ports as they are, and tells nobody who the client is"),
        ("websocket", "compose holds, watches and drains no tunnels"),
    ] {
        gaps.left_out_if_there(&format!("{at}.{key}"), why, gateway);
    }
    for key in ["min_count", "max_count"] {
        let path = format!("{at}.constraints.{key}");
        gaps.left_out_if_there(&path, "compose bounds no number of instances", "write replicas");
    }
    for key in ["max_unavailable", "max_surge"] {
        let path = format!("{at}.constraints.{key}");
        gaps.left_out_if_there(&path, "compose replaces all instances at once", "use fermata redeploy");
    }
    for (key, instead) in [
        ("constraints.servers", "run compose on the right server"),
        ("constraints.tolerations", "run compose on the right server"),
        ("service_account_name", "nothing has to be done outside a cluster"),
        ("deploy_command", "run it before docker compose up"),
        ("log_folder", "mount a folder there"),
    ] {
        gaps.left_out_if_there(&format!("{at}.{key}"), "compose has no such setting", instead);
    }
}
