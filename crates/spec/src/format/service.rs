//! One service: the table of its keys, and what makes a [`Service`] of them.

use std::sync::Arc;
use std::time::Duration;

use crate::diagnostic::{codes, quote};
use crate::grammar::{Actor, Key, Now, OldKey, Others, Section, Shape, Word};
use crate::model::{Balance, SecurityContext, Service, Source, Sticky, WebSocket, Workload};
use crate::reader::{Field, Fields};
use crate::tree::Kind;

use super::constraints::CONSTRAINTS;
use super::environment::ENV_VARS;
use super::health::HEALTH;
use super::ports::PORTS;
use super::values::{self, ADDRESS, COUNT_OR_NONE, DURATION, HOST_PATTERN, IMAGE, TEXT};
use super::volumes::VOLUMES;
use super::websocket::WEBSOCKET;

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
        Key::new("log_folder", TEXT, "Folder of log files in the container.", "log_folder: /app/log")
            .actor(Actor::Original),
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
        Key::new("sticky", STICKY, "Whether a visitor stays on one instance.", "sticky: cookie").own().default("off"),
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
        OldKey { name: "tcp", shape: Shape::ListOrOne(&super::ports::TCP), now: Now::Reshaped },
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

const TAGS: Shape = Shape::Either(&[Shape::List(&TAG), TAG_TABLE]);

const WORKLOAD: Shape = Shape::Choice(&[
    Word { word: "service", about: "The same as deployment." },
    Word { word: "deployment", about: "As many as wanted, wherever there is room." },
    Word { word: "daemon_set", about: "One on each node." },
]);

const DNS: Shape = Shape::Choice(&[
    Word { word: "versioned", about: "Callers of the old release get old instances, new callers new ones." },
    Word { word: "non-versioned", about: "Everybody gets the new ones." },
]);

const LOAD_BALANCING: Shape = Shape::Choice(&[
    Word { word: "roundrobin", about: "One after the other." },
    Word { word: "sticky", about: "The one that was given last." },
    Word { word: "closest", about: "Those on the caller's own server first." },
]);

/// `balance` of a service and of the load balancer.
pub(crate) const BALANCE: Shape = Shape::Choice(&[
    Word { word: "leastconn", about: "Fewest live connections and tunnels." },
    Word { word: "roundrobin", about: "One after the other." },
    Word { word: "random", about: "The less loaded of two drawn at random." },
    Word { word: "source", about: "By the visitor's address." },
]);

const STICKY: Shape = Shape::Choice(&[
    Word { word: "cookie", about: "A cookie pins the visitor." },
    Word { word: "off", about: "Each request is balanced on its own." },
]);

const SECURITY_CONTEXT: Section = Section {
    name: "security_context",
    keys: &[
        Key::new("fs_group", ID, "Group that owns mounted volumes.", "fs_group: 1000").actor(Actor::Render),
        Key::new("host_ipc", Shape::Flag, "Share the host's IPC namespace.", "host_ipc: false"),
        Key::new("host_network", Shape::Flag, "Share the host's network.", "host_network: false"),
        Key::new("host_pid", Shape::Flag, "Share the host's process ids.", "host_pid: false"),
        Key::new("privileged", Shape::Flag, "All rights of root on the host.", "privileged: false"),
        Key::new("run_as_group", ID, "Group id of the process.", "run_as_group: 1000"),
        Key::new("run_as_non_root", Shape::Flag, "Refuse to run as root.", "run_as_non_root: true"),
        Key::new("run_as_user", ID, "User id of the process.", "run_as_user: 1000"),
        Key::new(
            "supplemental_groups",
            Shape::List(&ID),
            "Further groups of the process.",
            "supplemental_groups: [2000]",
        ),
    ],
    old: &[],
    others: Others::Refused,
};

/// A user or group id of Linux.
const ID: Shape = Shape::Integer { min: 0, max: u32::MAX as i64 };

/// A service of this name.
pub(crate) fn read(name: &str, field: &Field<'_>) -> Option<Service> {
    let fields = field.fields()?;
    let ports = super::ports::read(&fields);
    let constraints = fields.get("constraints").map(|field| super::constraints::read(&field)).unwrap_or_default();
    let replicas = fields.get("replicas").and_then(|field| field.integer());
    let items = |name| fields.get(name).map(|field| field.items()).unwrap_or_default();
    let text = |name| fields.get(name).and_then(|field| field.text().map(str::to_owned));
    let service = Service {
        name: Arc::from(name),
        source: source(field, &fields),
        ports,
        traffic_matches: super::matches::read(&items("traffic_matches")),
        env_vars: fields.get("env_vars").map(|field| super::environment::read(&field)).unwrap_or_default(),
        work_dir: text("work_dir"),
        replicas: replicas.unwrap_or_else(|| constraints.min_count.unwrap_or(1).max(1)),
        requires: items("requires").iter().filter_map(|field| field.text().map(Arc::from)).collect(),
        stop_grace: fields
            .get("stop_grace")
            .and_then(|field| values::seconds(&field, values::duration))
            .unwrap_or(STOP_GRACE),
        health: fields.get("health").map(|field| super::health::read(&field)).unwrap_or_default(),
        volumes: items("volumes").iter().filter_map(super::volumes::read).collect(),
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
        websocket: fields.get("websocket").map_or_else(WebSocket::default, |field| super::websocket::read(&field)),
        constraints,
    };
    others(&fields);
    Some(service)
}

/// What makes the instances: an address before all, then an image, a source to build, a command, or nothing.
fn source(field: &Field<'_>, fields: &Fields<'_>) -> Source {
    let text = |name| fields.get(name).and_then(|field| field.text().map(str::to_owned));
    let (image, written) = (fields.get("image"), fields.get("address"));
    let command = command(fields, "command");
    let (root, dockerfile) = (text("build_root"), text("dockerfile_path"));
    let (git_url, git_branch) = (text("git_url"), text("git_branch"));
    let image_name = image.as_ref().and_then(|field| field.parse(values::image));
    if let Some(written) = written {
        let addresses = written.items().iter().filter_map(|field| field.parse(values::address)).collect();
        let started = ["image", "command"].into_iter().find_map(|name| Some((name, fields.get(name)?)));
        if let Some((name, other)) = started {
            let message = format!("the service runs already at its address, so {name} starts nothing");
            let diagnostic =
                written.diagnostic(&codes::SOURCE_TWICE, message).also(other.key_place.clone(), "without effect");
            field.reading.said.add(diagnostic.help("remove one of the two"));
        }
        return Source::Running(addresses);
    }
    if let Some(image) = image_name {
        return Source::Image { image, command };
    }
    if image.is_some() {
        return Source::Running(Vec::new());
    }
    if root.is_some() || dockerfile.is_some() || git_url.is_some() {
        return Source::Build { root, dockerfile, git_url, git_branch, command };
    }
    match command {
        Some(command) => Source::Command(command),
        None => Source::Running(Vec::new()),
    }
}

fn command(fields: &Fields<'_>, name: &str) -> Option<String> {
    fields.get(name).and_then(|field| super::environment::command(&field))
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

/// `k=v`, `k:v` or `k` in a list; a map in files that an old converter wrote.
fn tags(field: &Field<'_>) -> Vec<(String, String)> {
    if let Kind::Map(_) = field.node.kind {
        let tags = tag_table(field);
        let written: Vec<String> = tags.iter().take(5).map(|(key, value)| quote(&format!("{key}={value}"))).collect();
        field.say_help(&codes::VALUE_OLD, "tags are a list now", format!("write tags: [{}]", written.join(", ")));
        return tags;
    }
    let list = Field { shape: &Shape::List(&TAG), ..field.clone() };
    list.items().iter().flat_map(tag).collect()
}

const TAG: Shape = Shape::Either(&[TEXT, TAG_TABLE]);

const TAG_TABLE: Shape = Shape::Table { names: "", least: 0, values: &Shape::Anything };

fn tag(field: &Field<'_>) -> Vec<(String, String)> {
    // `- key: value` without quotes is a map of one entry, and clear enough.
    if let Kind::Map(_) = field.node.kind {
        return tag_table(field);
    }
    let Some(text) = field.text() else { return Vec::new() };
    let (key, value) = text.split_once(['=', ':']).unwrap_or((text, ""));
    vec![(key.trim().to_owned(), value.trim().to_owned())]
}

fn tag_table(field: &Field<'_>) -> Vec<(String, String)> {
    let table = Field { shape: &TAG_TABLE, ..field.clone() };
    let value = |value: &Field<'_>| if value.node.is_null() { "" } else { value.text().unwrap_or_default() }.to_owned();
    table.table().iter().map(|(entry, field)| (entry.key.text.clone(), value(field))).collect()
}

fn annotations(field: &Field<'_>) -> Vec<(String, String)> {
    field.table().iter().filter_map(|(entry, value)| Some((entry.key.text.clone(), value.text()?.to_owned()))).collect()
}

fn workload(fields: &Fields<'_>) -> Workload {
    match fields.get("type").and_then(|field| field.choice()) {
        Some("daemon_set") => Workload::DaemonSet,
        _ => Workload::Deployment,
    }
}

/// `balance`.
pub(crate) fn balance(field: &Field<'_>) -> Option<Balance> {
    Some(match field.choice()? {
        "roundrobin" => Balance::Roundrobin,
        "random" => Balance::Random,
        "source" => Balance::Source,
        _ => Balance::Leastconn,
    })
}

fn sticky(fields: &Fields<'_>) -> Sticky {
    match fields.get("sticky").and_then(|field| field.choice()) {
        Some("cookie") => Sticky::Cookie,
        _ => Sticky::Off,
    }
}

fn security_context(fields: &Fields<'_>) -> SecurityContext {
    let mut context = SecurityContext::default();
    if let Some(fields) = fields.get("security_context").and_then(|field| field.fields()) {
        let flag = |name| fields.get(name).and_then(|field| field.flag());
        let id = |name| fields.get(name).and_then(|field| field.integer());
        let groups = fields.get("supplemental_groups").map(|field| field.items()).unwrap_or_default();
        context = SecurityContext {
            fs_group: id("fs_group"),
            host_ipc: flag("host_ipc"),
            host_network: flag("host_network"),
            host_pid: flag("host_pid"),
            privileged: flag("privileged"),
            run_as_group: id("run_as_group"),
            run_as_non_root: flag("run_as_non_root"),
            run_as_user: id("run_as_user"),
            supplemental_groups: groups.iter().filter_map(Field::integer).collect(),
        };
    }
    if let Some(field) = fields.old("privileged") {
        let help = "write security_context: {privileged: true}";
        field.say_help(&codes::KEY_OLD, "\"privileged\" is now part of \"security_context\"", help);
        context.privileged = context.privileged.or_else(|| field.flag());
    }
    context
}
