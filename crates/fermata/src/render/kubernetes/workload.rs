//! Deployments and `DaemonSets`: pods that get the time that their tunnels need.

use fermata_spec::{Constraints, Resources, SecurityContext, Service, Share, Source, Workload, service_path};

use super::Entrance;
use super::environment::{Environment, Secrets};
use super::names::{head, labels, object, selector};
use super::{probes, volumes};
use crate::render::Gaps;
use crate::render::cloud::seconds;
use crate::render::yaml::{Map, Value};

/// How long a pod that leaves waits before it is told, until nobody sends it anything new: endpoints take seconds to
/// spread (facts of Kubernetes' own documentation: 5 to 15 s).
pub(super) const SPREAD: u64 = 10;

/// One service's workload, and the objects that belong to it.
pub(super) fn objects(service: &Service, entrance: Entrance, gaps: &mut Gaps<'_>) -> (Vec<Map>, Secrets) {
    let (at, name) = (service_path(&service.name), object(&service.name));
    let mut environment = Environment::of(service, gaps);
    let labels = labels(service, gaps);
    let mut pod = pod(service, entrance, &at, &mut environment, gaps);
    let mut template = Map::of([("labels", labels.into())]);
    let mut annotations = service.annotations.clone();
    annotations.extend(environment.fingerprint().map(|hash| ("fermata/env-hash".to_owned(), hash)));
    if !annotations.is_empty() {
        template.put("annotations", Value::table(&annotations));
    }
    let mut container = pod.1;
    let (config, secrets) = (environment.config_map(&name), environment.secrets.clone());
    environment.put(&name, &mut container);
    pod.0.put("containers", Value::maps([container]));
    if !pod.2.is_empty() {
        pod.0.put("volumes", Value::maps(pod.2));
    }
    let daemon = service.workload == Workload::DaemonSet;
    let mut object = head("apps/v1", if daemon { "DaemonSet" } else { "Deployment" }, &name);
    let mut spec = Map::default();
    // With an autoscaler, the number of pods is its affair.
    if !daemon && service.constraints.max_count.is_none() {
        spec.put("replicas", Value::bare(replicas(service)));
    }
    spec.put("selector", Map::of([("matchLabels", selector(&name).into())]));
    spec.put(if daemon { "updateStrategy" } else { "strategy" }, strategy(&service.constraints, &at, daemon, gaps));
    spec.put("template", Map::of([("metadata", template.into()), ("spec", pod.0.into())]));
    object.put("spec", spec);
    let objects = config.into_iter().chain([object]).collect();
    (objects, secrets)
}

/// How many pods there are at least.
pub(super) fn replicas(service: &Service) -> u32 {
    service.replicas.max(service.constraints.min_count.unwrap_or(1))
}

/// Old pods stay until new ones are ready: each that goes is a wave of reconnecting clients.
fn strategy(constraints: &Constraints, at: &str, daemon: bool, gaps: &Gaps<'_>) -> Map {
    let share = |key: &str, share: Share, good: Value| match share {
        _ if !gaps.has(&format!("{at}.constraints.{key}")) => good,
        Share::Percent(percent) => Value::text(format!("{percent}%")),
        Share::Count(count) => Value::bare(count),
    };
    let rolling = if daemon {
        Map::of([("maxUnavailable", share("max_unavailable", constraints.max_unavailable, Value::bare(1)))])
    } else {
        Map::of([
            ("maxSurge", share("max_surge", constraints.max_surge, Value::text("25%"))),
            ("maxUnavailable", share("max_unavailable", constraints.max_unavailable, Value::bare(0))),
        ])
    };
    Map::of([("type", Value::text("RollingUpdate")), ("rollingUpdate", rolling.into())])
}

/// The pod's spec without its container, the container, and its volumes.
fn pod(
    service: &Service,
    entrance: Entrance,
    at: &str,
    environment: &mut Environment,
    gaps: &mut Gaps<'_>,
) -> (Map, Map, Vec<Map>) {
    let mut pod = Map::default();
    pod.comment("The time for endpoints to spread, and for tunnels to leave.");
    pod.put("terminationGracePeriodSeconds", Value::bare(grace(service, entrance)));
    pod.put_some("serviceAccountName", service.service_account_name.as_deref().map(Value::text));
    let context = &service.security_context;
    for (key, on) in
        [("hostNetwork", context.host_network), ("hostPID", context.host_pid), ("hostIPC", context.host_ipc)]
    {
        pod.put_some(key, on.filter(|on| *on).map(Value::bare));
    }
    let security = pod_security(context);
    if !security.is_empty() {
        pod.put("securityContext", security);
    }
    placement(service, &mut pod);
    let mut container = Map::of([("name", Value::text(object(&service.name)))]);
    source(service, at, &mut container, environment, gaps);
    container.put_some("workingDir", service.work_dir.as_deref().map(Value::text));
    ports(service, &mut container);
    probes::put(service, at, &mut container, environment, gaps);
    lifecycle(service, unasked(service, entrance), at, &mut container, environment, gaps);
    resources(&service.constraints, &mut container);
    if let Some(on) = context.privileged {
        container.put("securityContext", Map::of([("privileged", Value::bare(on))]));
    }
    let (mounts, volumes) = volumes::volumes(service, at, environment, gaps);
    if !mounts.is_empty() {
        container.put("volumeMounts", Value::maps(mounts));
    }
    (pod, container, volumes)
}

/// Seconds from the wish to end a pod until it is told: nobody sends it anything new by then, and where Fermata is the edge, its
/// tunnels have left, which Fermata tells to over `drain`.
fn unasked(service: &Service, entrance: Entrance) -> u64 {
    match entrance {
        Entrance::Edge if is_http(service) => SPREAD.max(seconds(service.websocket.drain) + 5),
        _ => SPREAD,
    }
}

/// Seconds from the wish to end a pod to its end.
pub(super) fn grace(service: &Service, entrance: Entrance) -> u64 {
    let own = match entrance {
        Entrance::Edge if is_http(service) => 0,
        _ => seconds(service.websocket.drain),
    };
    unasked(service, entrance) + own.max(seconds(service.stop_grace)) + 5
}

fn is_http(service: &Service) -> bool {
    service.ports.iter().any(|port| port.http.or(port.https).is_some())
}

fn source(service: &Service, at: &str, container: &mut Map, environment: &mut Environment, gaps: &mut Gaps<'_>) {
    let (image, command) = match &service.source {
        Source::Image { image, command } => {
            let text = environment.text(image, &format!("{at}.image"), gaps);
            if text.contains("$(") {
                let how = "Kubernetes has no variables in the names of images";
                gaps.changed(&format!("{at}.image"), how, "name the image in kustomization.yaml (images)");
            }
            (text, command)
        }
        Source::Build { command, .. } => {
            let name = object(&service.name);
            let how = format!("Kubernetes builds nothing: the image is called {name}");
            gaps.changed(at, how, "build and push it, and name it in kustomization.yaml (images)");
            (name, command)
        }
        Source::Command(_) | Source::Running(_) | Source::Servers(_) | Source::Kubernetes(_) => return,
    };
    container.put("image", Value::text(image));
    if let Some(command) = command {
        let command = environment.text(command, &format!("{at}.command"), gaps);
        // `args` takes the place of the image's CMD, as `command` of service.yml does.
        container.put("args", probes::words(&command));
    }
}

fn ports(service: &Service, container: &mut Map) {
    let mut ports: Vec<(u16, &str)> = Vec::new();
    for port in &service.ports {
        let transport =
            if port.udp.is_some() && port.tcp.or(port.http).or(port.https).is_none() { "UDP" } else { "TCP" };
        if !ports.contains(&(port.container, transport)) {
            ports.push((port.container, transport));
        }
    }
    if ports.is_empty() {
        return;
    }
    container.put(
        "ports",
        Value::maps(ports.iter().map(|(port, transport)| {
            let mut map = Map::of([("name", Value::text(port_name(*port, transport)))]);
            map.put("containerPort", Value::bare(port));
            if *transport == "UDP" {
                map.put("protocol", Value::text("UDP"));
            }
            map
        })),
    );
}

/// `port-3000`: never `http2` or `grpc`, which some meshes take for a protocol.
pub(super) fn port_name(port: u16, transport: &str) -> String {
    format!("{}-{port}", if transport == "UDP" { "udp" } else { "port" })
}

fn lifecycle(
    service: &Service,
    unasked: u64,
    at: &str,
    container: &mut Map,
    environment: &mut Environment,
    gaps: &mut Gaps<'_>,
) {
    let mut lifecycle = Map::default();
    let mut text = |command: &str, key: &str| environment.text(command, &format!("{at}.{key}"), gaps);
    if let Some(command) = &service.post_start_command {
        let command = text(command, "post_start_command");
        lifecycle.put("postStart", Map::of([("exec", Map::of([("command", probes::words(&command))]).into())]));
    }
    let stop = match &service.pre_stop_command {
        Some(command) => {
            let command = text(command, "pre_stop_command");
            let script = format!("sleep {unasked}; {command}");
            Map::of([("exec", Map::of([("command", Value::words(["/bin/sh", "-c", script.as_str()]))]).into())])
        }
        None => Map::of([("sleep", Map::of([("seconds", Value::bare(unasked))]).into())]),
    };
    lifecycle.put("preStop", stop);
    container.put("lifecycle", lifecycle);
}

fn resources(constraints: &Constraints, container: &mut Map) {
    let amounts = |amounts: Resources| {
        let mut map = Map::default();
        map.put_some("cpu", amounts.cpu.map(|cpu| Value::text(format!("{cpu}m"))));
        map.put_some("memory", amounts.memory.map(|bytes| Value::text(memory(bytes))));
        map
    };
    let mut resources = Map::default();
    for (key, amounts) in [("requests", amounts(constraints.requests)), ("limits", amounts(constraints.limits))] {
        if !amounts.is_empty() {
            resources.put(key, amounts);
        }
    }
    if !resources.is_empty() {
        container.put("resources", resources);
    }
}

/// In the largest unit that divides it.
fn memory(bytes: u64) -> String {
    for (unit, size) in [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] {
        if bytes.is_multiple_of(size) {
            return format!("{}{unit}", bytes / size);
        }
    }
    for (unit, size) in [("G", 1_000_000_000), ("M", 1_000_000), ("k", 1000)] {
        if bytes.is_multiple_of(size) {
            return format!("{}{unit}", bytes / size);
        }
    }
    bytes.to_string()
}

fn pod_security(context: &SecurityContext) -> Map {
    let mut map = Map::default();
    for (key, number) in
        [("fsGroup", context.fs_group), ("runAsUser", context.run_as_user), ("runAsGroup", context.run_as_group)]
    {
        map.put_some(key, number.map(Value::bare));
    }
    map.put_some("runAsNonRoot", context.run_as_non_root.map(Value::bare));
    if !context.supplemental_groups.is_empty() {
        map.put("supplementalGroups", Value::Flow(context.supplemental_groups.iter().map(Value::bare).collect()));
    }
    map
}

/// Which nodes: tolerations as they are; names or tags of servers; and not all pods on one.
fn placement(service: &Service, pod: &mut Map) {
    let constraints = &service.constraints;
    if let Some(tolerations) = &constraints.tolerations
        && tolerations.as_array().is_some_and(|list| !list.is_empty())
    {
        pod.put("tolerations", Value::json(tolerations));
    }
    let is_in = |key: &str, values: Vec<&str>| {
        Map::of([("key", Value::text(key)), ("operator", Value::text("In")), ("values", Value::words(values))])
    };
    let names = constraints.server_names.iter().map(String::as_str).collect::<Vec<_>>();
    let names = (!names.is_empty()).then(|| is_in("kubernetes.io/hostname", names));
    let tags = constraints.server_tags.iter().map(|tag| {
        let (key, value) = tag.split_once('=').unwrap_or((tag, ""));
        Some(is_in(key, vec![value]))
    });
    // Inside a list one is enough, of both lists one each: terms are alternatives, and all of a term's rules count.
    let tags: Vec<Option<Map>> = tags.collect();
    let tags = if tags.is_empty() { vec![None] } else { tags };
    let terms = tags.into_iter().map(|tag| names.clone().into_iter().chain(tag).collect::<Vec<Map>>());
    let terms: Vec<Map> = terms
        .filter(|rules| !rules.is_empty())
        .map(|rules| Map::of([("matchExpressions", Value::maps(rules))]))
        .collect();
    if !terms.is_empty() {
        let required = Map::of([("nodeSelectorTerms", Value::maps(terms))]);
        let node = Map::of([("requiredDuringSchedulingIgnoredDuringExecution", required.into())]);
        pod.put("affinity", Map::of([("nodeAffinity", node.into())]));
    }
    if service.workload == Workload::Deployment && (replicas(service) > 1 || constraints.max_count.is_some()) {
        let spread = Map::of([
            ("maxSkew", Value::bare(1)),
            ("topologyKey", Value::text("kubernetes.io/hostname")),
            ("whenUnsatisfiable", Value::text("ScheduleAnyway")),
            ("labelSelector", Map::of([("matchLabels", selector(&object(&service.name)).into())]).into()),
        ]);
        pod.put("topologySpreadConstraints", Value::maps([spread]));
    }
}
