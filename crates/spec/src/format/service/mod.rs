//! One service: the table of its keys, and what makes a [`Service`] of them.

mod choices;
mod labels;
mod security;
mod source;

use std::sync::Arc;
use std::time::Duration;

use choices::{DNS, LOAD_BALANCING, WORKLOAD, sticky, workload};
use labels::{TAGS, annotations, tags};
use security::{SECURITY_CONTEXT, security_context};
use source::{command, source};

pub(crate) use choices::{BALANCE, PROXY_VERSION, STICKY, balance, proxy_version};

use crate::grammar::{Actor, Key, Now, OldKey, Others, Section, Shape};
use crate::model::{Service, WebSocket};
use crate::reader::{Field, Fields};

use super::constraints::CONSTRAINTS;
use super::environment::ENV_VARS;
use super::health::HEALTH;
use super::kubernetes::ENDPOINTS;
use super::ports::{PORTS, TCP};
use super::values::{self, ADDRESS, COUNT_OR_NONE, DURATION, HOST_PATTERN, IMAGE, TEXT, TIMEOUT};
use super::volumes::VOLUMES;
use super::websocket::WEBSOCKET;
use super::{constraints, environment, health, matches, ports, volumes, websocket};

/// Docker's own default (docker stop(1), `--time`).
const STOP_GRACE: Duration = Duration::from_secs(10);

/// A service.
pub(crate) const SERVICE: Section = Section {
    name: "a service",
    keys: &[
        Key::new("image", IMAGE, "Container image; the service runs on the Docker Engine.", "image: example/chat:1.4"),
        Key::new(
            "command",
            TEXT,
            "What runs: in the container instead of the image's own command, or, without an image, as a local process.",
            "command: node server.js",
        ),
        Key::new(
            "address",
            Shape::ListOrOne(&ADDRESS),
            "Where the service runs already: host, host:port, unix:/path, or a list of them.",
            "address: 10.0.0.5",
        )
        .own()
        .default("127.0.0.1"),
        Key::new(
            "endpoints",
            ENDPOINTS,
            "Where the endpoints of a service come from that somebody else runs: they are followed as they come and go.",
            "endpoints: kubernetes",
        )
        .own(),
        Key::new(
            "ports",
            PORTS,
            "Container ports and the public ports that lead to them.",
            "ports: [{container: 3000, http: 8080, https: 8443}]",
        ),
        Key::new(
            "traffic_matches",
            Shape::List(&HOST_PATTERN),
            "Server names that this service answers to.",
            "traffic_matches: [app.example.com, \"*.example.org\"]",
        )
        .default("every name"),
        Key::new("env_vars", ENV_VARS, "Environment variables.", "env_vars: {LOG_LEVEL: debug}"),
        Key::new("work_dir", TEXT, "Folder in which the command runs.", "work_dir: /app")
            .default("the image's, or the folder of service.yml"),
        Key::new("replicas", COUNT_OR_NONE, "How many instances run.", "replicas: 3").own().default("1"),
        Key::new(
            "requires",
            Shape::List(&TEXT),
            "Services that are ready before this one starts.",
            "requires: [cache]",
        ),
        Key::new("stop_grace", DURATION, "Time from TERM to KILL, in seconds.", "stop_grace: 30").default("10"),
        Key::new(
            "health",
            HEALTH,
            "How it is found out that an instance is well.",
            "health: {ready: {type: http, endpoint: /healthz}}",
        )
        .default("none"),
        Key::new(
            "constraints",
            Shape::Section(&CONSTRAINTS),
            "Resources, and bounds for the number of instances.",
            "constraints: {max_count: 7}",
        ),
        Key::new("volumes", VOLUMES, "Folders of the host in the container.", "volumes: [\"/data/app:/app/data\"]"),
        Key::new("tags", TAGS, "Labels: key=value, key:value or key.", "tags: [\"team=chat\"]"),
        Key::new(
            "annotations",
            Shape::Table { names: "", least: 0, values: &TEXT },
            "Kubernetes annotations.",
            "annotations: {example.com/owner: chat}",
        )
        .actor(Actor::Render),
        Key::new("type", WORKLOAD, "What kind of Kubernetes workload it is.", "type: deployment")
            .default("deployment")
            .actor(Actor::Render),
        Key::new(
            "security_context",
            Shape::Section(&SECURITY_CONTEXT),
            "Kubernetes' settings of the same names.",
            "security_context: {run_as_user: 1000}",
        ),
        Key::new("service_account_name", TEXT, "Account in the Kubernetes cluster.", "service_account_name: chat")
            .default("default")
            .actor(Actor::Render),
        Key::new(
            "post_start_command",
            TEXT,
            "Run right after an instance is created.",
            "post_start_command: /bin/warm-up",
        ),
        Key::new(
            "pre_stop_command",
            TEXT,
            "Run right before an instance is stopped.",
            "pre_stop_command: /bin/say-goodbye",
        ),
        Key::new("deploy_command", TEXT, "Run once at each deploy.", "deploy_command: bin/migrate")
            .actor(Actor::Original),
        Key::new("build_command", TEXT, "Run at the first build.", "build_command: bin/seed").actor(Actor::Original),
        Key::new("build_root", TEXT, "Folder of the source to build an image from.", "build_root: app")
            .default("the root of the repository"),
        Key::new("dockerfile_path", TEXT, "The Dockerfile, relative to build_root.", "dockerfile_path: Dockerfile")
            .default("Dockerfile"),
        Key::new("git_url", TEXT, "Repository of the source.", "git_url: https://git.example.com/chat.git")
            .actor(Actor::Original),
        Key::new("git_branch", TEXT, "Branch of the source.", "git_branch: main").actor(Actor::Original),
        Key::new("use_habitus", Shape::Flag, "Whether Habitus builds the image.", "use_habitus: true")
            .default("false")
            .actor(Actor::Original),
        Key::new("use_habitus_step", TEXT, "Habitus' step that is deployed.", "use_habitus_step: production")
            .actor(Actor::Original),
        Key::new("habitus_filename", TEXT, "Habitus' build file.", "habitus_filename: build.yml")
            .actor(Actor::Original),
        Key::new("habitus_params", TEXT, "Arguments for Habitus.", "habitus_params: \"\"").actor(Actor::Original),
        Key::new(
            "log_folder",
            TEXT,
            "Folder of log files in a container, from its root: on the machine they are in `logs/SERVICE` of the state folder.",
            "log_folder: /app/log",
        ),
        Key::new("dns_behaviour", DNS, "Whether old instances are resolved by old ones.", "dns_behaviour: versioned")
            .default("versioned")
            .actor(Actor::Original),
        Key::new(
            "load_balancing",
            LOAD_BALANCING,
            "How services find each other's instances; visitors are balanced by balance.",
            "load_balancing: roundrobin",
        )
        .default("roundrobin")
        .actor(Actor::Original),
        Key::new("restart_on_deploy", Shape::Flag, "Whether a deploy restarts it.", "restart_on_deploy: true")
            .default("true")
            .actor(Actor::Original),
        Key::new("balance", BALANCE, "How a visitor's instance is chosen.", "balance: leastconn")
            .own()
            .default("leastconn"),
        Key::new(
            "slow_start",
            TIMEOUT,
            "A new instance gets its full share of new tunnels and requests after this long, and a part of it until then.",
            "slow_start: 30s",
        )
        .own()
        .default("off"),
        Key::new(
            "rebalance",
            TIMEOUT,
            "When instances were added, the others' surplus of tunnels is closed over this time (Close 1012) and comes back evenly.",
            "rebalance: 10m",
        )
        .own()
        .default("off"),
        Key::new("sticky", STICKY, "Whether a visitor stays on one instance.", "sticky: cookie").own().default("off"),
        Key::new(
            "proxy_protocol",
            PROXY_VERSION,
            "Every connection to an instance begins with a header of the PROXY protocol, which says who the client is.",
            "proxy_protocol: v2",
        )
        .own()
        .default("off"),
        Key::new(
            "websocket",
            Shape::Section(&WEBSOCKET),
            "What is done with this service's tunnels.",
            "websocket: {keepalive: 25s}",
        )
        .own(),
    ],
    old: &[
        OldKey { name: "git", shape: TEXT, now: Now::Renamed("git_url") },
        OldKey { name: "git_repo", shape: TEXT, now: Now::Renamed("git_url") },
        OldKey { name: "branch", shape: TEXT, now: Now::Renamed("git_branch") },
        OldKey { name: "env", shape: ENV_VARS, now: Now::Renamed("env_vars") },
        OldKey { name: "docker_file", shape: TEXT, now: Now::Renamed("dockerfile_path") },
        OldKey { name: "restart_on_redeploy", shape: Shape::Flag, now: Now::Renamed("restart_on_deploy") },
        OldKey { name: "local_ports", shape: Shape::ListOrOne(&super::values::PORT), now: Now::Reshaped },
        OldKey { name: "public_port", shape: Shape::ListOrOne(&TEXT), now: Now::Reshaped },
        OldKey { name: "public_ports", shape: Shape::ListOrOne(&TEXT), now: Now::Reshaped },
        OldKey { name: "tcp", shape: Shape::ListOrOne(&TCP), now: Now::Reshaped },
        OldKey { name: "privileged", shape: Shape::Flag, now: Now::Reshaped },
        OldKey {
            name: "pre_start_signal",
            shape: TEXT,
            now: Now::Ended("version 1 only: use pre_stop_command to tell the old instances"),
        },
        OldKey {
            name: "pre_stop_sequence",
            shape: Shape::Free,
            now: Now::Ended("version 1 only: use stop_grace or pre_stop_command"),
        },
        OldKey { name: "stop_sequence", shape: Shape::Free, now: Now::Ended("use stop_grace or pre_stop_command") },
        OldKey {
            name: "capture_stdout_stderr",
            shape: Shape::Free,
            now: Now::Ended("output is always captured; remove it"),
        },
        OldKey {
            name: "log_stdout_stderr",
            shape: Shape::Free,
            now: Now::Ended("output is always captured; remove it"),
        },
        OldKey { name: "capture_output", shape: Shape::Free, now: Now::Ended("output is always captured; remove it") },
        OldKey { name: "tarball", shape: Shape::Free, now: Now::Ended("images come from a registry now: use image") },
        OldKey {
            name: "native",
            shape: Shape::Free,
            now: Now::Ended("it has no successor: name the server in databases, or give an image"),
        },
        OldKey {
            name: "asset_pipeline_precompile",
            shape: Shape::Free,
            now: Now::Ended("it has no successor: do it in the Dockerfile"),
        },
    ],
    others: Others::Refused,
};

/// A service of this name.
pub(crate) fn read(name: &str, field: &Field<'_>) -> Option<Service> {
    let fields = field.fields()?;
    let ports = ports::read(&fields);
    let constraints = fields.get("constraints").map(|field| constraints::read(&field)).unwrap_or_default();
    let replicas = fields.get("replicas").and_then(|field| field.integer());
    let items = |name| fields.get(name).map(|field| field.items()).unwrap_or_default();
    let timeout = |name| fields.get(name).and_then(|field| field.parse(values::timeout)).flatten();
    let text = |name| fields.get(name).and_then(|field| field.text().map(str::to_owned));
    let service = Service {
        name: Arc::from(name),
        source: source(name, field, &fields),
        ports,
        traffic_matches: matches::read(&items("traffic_matches")),
        env_vars: fields.get("env_vars").map(|field| environment::read(&field)).unwrap_or_default(),
        work_dir: text("work_dir"),
        replicas: replicas.unwrap_or_else(|| constraints.min_count.unwrap_or(1).max(1)),
        requires: items("requires").iter().filter_map(|field| field.text().map(Arc::from)).collect(),
        stop_grace: fields
            .get("stop_grace")
            .and_then(|field| values::seconds(&field, values::duration))
            .unwrap_or(STOP_GRACE),
        health: fields.get("health").map(|field| health::read(&field)).unwrap_or_default(),
        volumes: items("volumes").iter().filter_map(volumes::read).collect(),
        tags: fields.get("tags").map(|field| tags(&field)).unwrap_or_default(),
        annotations: fields.get("annotations").map(|field| annotations(&field)).unwrap_or_default(),
        workload: workload(&fields),
        security_context: security_context(&fields),
        post_start_command: command(&fields, "post_start_command"),
        pre_stop_command: command(&fields, "pre_stop_command"),
        deploy_command: command(&fields, "deploy_command"),
        log_folder: text("log_folder"),
        service_account_name: text("service_account_name"),
        balance: fields.get("balance").and_then(|field| balance(&field)).unwrap_or_default(),
        sticky: sticky(&fields),
        proxy_protocol: proxy_version(&fields),
        slow_start: timeout("slow_start"),
        rebalance: timeout("rebalance"),
        websocket: fields.get("websocket").map_or_else(WebSocket::default, |field| websocket::read(&field)),
        constraints,
    };
    others(&fields);
    Some(service)
}

/// Keys that nothing in the model comes from; they are checked all the same.
fn others(fields: &Fields<'_>) {
    for name in ["build_command", "use_habitus_step", "habitus_filename", "habitus_params"] {
        fields.get(name).and_then(|field| field.text());
    }
    for name in ["use_habitus", "restart_on_deploy"] {
        fields.get(name).and_then(|field| field.flag());
    }
    for name in ["dns_behaviour", "load_balancing"] {
        fields.get(name).and_then(|field| field.choice());
    }
}
