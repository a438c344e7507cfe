//! One service of a compose file.

use crate::import::amounts::{self, duration};
use crate::import::draft::Service;
use crate::import::health::{Check, Rhythm};
use crate::import::known::{self, Speech};
use crate::import::mounts::{self, Mount, Source};
use crate::import::ports::{self, Machine, Publication};
use crate::import::source::Value;
use crate::import::variables;
use crate::render::yaml;

use super::{Around, deploy, elsewhere};

/// A service, and what the whole file decides about.
pub(super) struct Read<'a> {
    pub(super) service: Service<'a>,
    pub(super) publications: Vec<Publication<'a>>,
    pub(super) database: bool,
}

/// Reads one.
pub(super) fn read<'a>(name: &str, value: &Value<'a>, around: &Around<'a>) -> Read<'a> {
    let mut read = Read { service: Service::new(name), publications: Vec::new(), database: false };
    source(value, &mut read);
    for (key, value) in value.entries() {
        one(key, &value, &mut read, around);
    }
    command(value, &mut read.service);
    read
}

fn one<'a>(key: &str, value: &Value<'a>, read: &mut Read<'a>, around: &Around<'a>) {
    let service = &mut read.service;
    match key {
        // Read together, before and after.
        "image" | "build" | "command" | "entrypoint" => {}
        "ports" => read.publications.extend(value.items().iter().filter_map(port)),
        "expose" => read.publications.extend(value.items().iter().filter_map(expose)),
        "environment" => environment(value, service),
        "env_file" => env_file(value),
        "volumes" => service.volumes.extend(value.items().iter().filter_map(|item| volume(item, around))),
        "tmpfs" => service.volumes.extend(value.items().iter().filter_map(tmpfs)),
        "secrets" => file_mounts(value, service, around, &FileSection { name: "secrets", folder: "/run/secrets/" }),
        "configs" => file_mounts(value, service, around, &FileSection { name: "configs", folder: "/" }),
        "depends_on" => depends_on(value, service),
        "links" => links(value, service),
        "working_dir" => put_text(service, "work_dir", value),
        "healthcheck" => healthcheck(value, service),
        "stop_grace_period" => stop_grace(value, service),
        "labels" => labels(value, service),
        "annotations" => {
            let pairs: Vec<_> = value.pairs().into_iter().map(|(name, text, _)| (name, literal(text))).collect();
            service.put("annotations", yaml::Value::table(&pairs));
        }
        "profiles" => profiles(value, service),
        "user" => user(value, service),
        "group_add" => groups(value, service),
        "privileged" if value.is_true() => service.secure("privileged", yaml::Value::bare(true)),
        "privileged" => {}
        "network_mode" | "pid" | "ipc" => namespace(key, value, service),
        "post_start" => hook("post_start_command", value, service),
        "pre_stop" => hook("pre_stop_command", value, service),
        "restart" => restart(value),
        "deploy" | "scale" | "mem_limit" | "mem_reservation" | "cpus" => deploy::read(key, value, service),
        key => elsewhere::say(key, value),
    }
}

/// `image` and `build`.
fn source<'a>(value: &Value<'a>, read: &mut Read<'a>) {
    let service = &mut read.service;
    let build = value.get("build").filter(|build| !build.is_null());
    let image = value.get("image").filter(|image| !image.is_null());
    match (image, build) {
        (Some(at), build) => {
            let Some(image) = at.expect_text("the name of an image").and_then(|image| image_name(image, &at)) else {
                return;
            };
            read.database = known::database(&image).is_some();
            if let Some(word) = known::database(&image) {
                at.note(
                    "a database: it stays a service",
                    format!("databases: [{word}] names it for the platform that runs databases beside the services"),
                );
            }
            match build {
                Some(build) => {
                    let context = build.text().or_else(|| build.get_text("context")).unwrap_or(".");
                    build.left_out(
                        "a service has an image or is built, not both",
                        format!("build it before fermata up: docker build -t {image} {}", context.escape_debug()),
                    );
                    service.put_with("image", format!("built from {context}"), yaml::Value::text(image));
                }
                None => service.put("image", yaml::Value::text(image)),
            }
        }
        (None, Some(build)) => build_from(&build, service),
        (None, None) if value.get("extends").is_none() => value.changed(
            "no image and no build: nothing says what runs",
            "give the service an image, a command or an address",
        ),
        (None, None) => {}
    }
}

/// The name of an image stands without references.
fn image_name(text: &str, at: &Value<'_>) -> Option<String> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        at.unexpected("the name of an image");
        return None;
    }
    let made = variables::defaults(text);
    let Some(lost) = made.lost else {
        if !made.names.is_empty() {
            at.note(
                format!("the default of {} was taken", made.names.join(", ")),
                format!("another one is written here: {}", made.text),
            );
        }
        return Some(made.text).filter(|image| !image.is_empty());
    };
    at.changed(
        format!("{lost} has no default, and no variable is looked up in the name of an image"),
        "write the name out",
    );
    Some(variables::references(text).text)
}

fn build_from(build: &Value<'_>, service: &mut Service<'_>) {
    let context = build.text().or_else(|| build.get_text("context")).unwrap_or(".");
    let context = variables::defaults(context).text;
    if context.contains("://") || context.starts_with("git@") {
        let (url, branch) = context.split_once('#').unwrap_or((&context, ""));
        service.put("git_url", yaml::Value::text(url));
        if !branch.is_empty() {
            service.put("git_branch", yaml::Value::text(branch));
        }
    } else {
        let folder = context.strip_prefix("./").unwrap_or(&context).trim_end_matches('/');
        service.put("build_root", yaml::Value::text(if folder.is_empty() { "." } else { folder }));
    }
    for (key, value) in build.entries() {
        match key {
            "context" => {}
            "dockerfile" => put_text(service, "dockerfile_path", &value),
            _ => value.left_out("how the image is built", "build it with docker build, and give the service its image"),
        }
    }
}

/// `entrypoint` and `command`: an image's own entrypoint stays, so the two become one command.
fn command(value: &Value<'_>, service: &mut Service<'_>) {
    let command = value.get("command").and_then(|value| line(&value));
    let entrypoint = value.get("entrypoint").filter(|entrypoint| !entrypoint.is_null());
    let Some(at) = entrypoint else {
        if let Some(command) = command {
            service.put("command", yaml::Value::text(command));
        }
        return;
    };
    let Some(first) = line(&at).filter(|first| !first.is_empty()) else {
        at.left_out("the image's own entrypoint stays", "make an image without it");
        if let Some(command) = command {
            service.put("command", yaml::Value::text(command));
        }
        return;
    };
    let whole = command.map_or(first.clone(), |command| format!("{first} {command}"));
    at.changed(
        "entrypoint and command become one command, behind the image's own entrypoint",
        "most images run any command they are given; where this one does not, set ENTRYPOINT in its Dockerfile",
    );
    service.put_with("command", "was entrypoint and command", yaml::Value::text(whole));
}

/// A command as one line, from its text or its list of words.
pub(super) fn line(value: &Value<'_>) -> Option<String> {
    if !value.is_list() {
        return value.expect_text("a command").map(|text| reference(text, value));
    }
    let words: Vec<String> = value.texts().into_iter().map(|word| reference(word, value)).collect();
    shlex::try_join(words.iter().map(String::as_str)).ok()
}

/// A text with service.yml's references.
pub(super) fn reference(text: &str, value: &Value<'_>) -> String {
    let made = variables::references(text);
    if let Some(lost) = made.lost {
        value.changed(
            format!("{} cannot be said here", lost.escape_debug()),
            "write _env(VAR:default), or the value itself",
        );
    }
    made.text
}

/// A text without references: defaults are taken.
fn literal(text: Option<String>) -> String {
    text.map(|text| variables::defaults(&text).text).unwrap_or_default()
}

fn put_text(service: &mut Service<'_>, key: &'static str, value: &Value<'_>) {
    if let Some(text) = value.expect_text("a text") {
        service.put(key, yaml::Value::text(literal(Some(text.to_owned()))));
    }
}

fn port<'a>(value: &Value<'a>) -> Option<Publication<'a>> {
    if !value.is_map() {
        let text = value.expect_text("a port")?;
        let made = variables::defaults(text);
        if let Some(lost) = made.lost {
            value.left_out(format!("{lost} has no default"), "write the port under ports by hand");
            return None;
        }
        if !made.names.is_empty() {
            value.note(
                format!("the default of {} was taken", made.names.join(", ")),
                "ports are written as numbers here",
            );
        }
        return ports::parse(&made.text, value);
    }
    let number = |key: &str| value.get_text(key).map(|text| variables::defaults(text).text);
    let Some(container) = number("target").and_then(|text| ports::range(&text)) else {
        value.left_out("target names no port", "write container: and http: by hand");
        return None;
    };
    let machine = match number("published").filter(|text| !text.is_empty()) {
        None => Machine::Any,
        Some(text) => Machine::Ports(ports::range(&text).or_else(|| {
            value.left_out("published names no port", "write http: or tcp: by hand");
            None
        })?),
    };
    let speech = match value.get_text("app_protocol").unwrap_or_default() {
        "http" | "http2" | "grpc" | "h2c" | "ws" | "kubernetes.io/ws" | "kubernetes.io/h2c" => Some(Speech::Http),
        "https" | "wss" | "kubernetes.io/wss" => Some(Speech::Tcp),
        _ => None,
    };
    let speech = speech.or(ports::speech_of(value.get_text("protocol").unwrap_or("tcp"), value)?);
    let address = value.get_text("host_ip").and_then(ports::ip);
    Some(Publication { container, machine, address, speech, value: value.clone() })
}

fn expose<'a>(value: &Value<'a>) -> Option<Publication<'a>> {
    let text = variables::defaults(value.expect_text("a port")?).text;
    let found = ports::range(text.split('/').next().unwrap_or_default());
    if found.is_none() {
        value.left_out(format!("\"{}\" is not a port", text.escape_debug()), "write container: by hand");
    }
    Some(Publication::inside(found?, value))
}

fn environment(value: &Value<'_>, service: &mut Service<'_>) {
    for (name, text, value) in value.pairs() {
        if name.is_empty() || name.contains(['\0', '=']) {
            value.left_out("not the name of a variable", "write it by hand");
            continue;
        }
        // A name alone takes the value from whoever starts compose.
        match text.map(|text| reference(&text, &value)).or_else(|| variables::reference_to(&name)) {
            Some(text) => service.set_variable(name, text),
            None => value.left_out("not the name of a variable", "write it by hand"),
        }
    }
}

fn env_file(value: &Value<'_>) {
    for item in value.items() {
        let path = item.text().or_else(|| item.get_text("path")).unwrap_or(".env").escape_debug().to_string();
        // Without a slash the shell looks for it in PATH (POSIX, dot).
        let path = if path.contains('/') { path } else { format!("./{path}") };
        item.left_out(
            "variables from a file",
            format!(
                "write NAME: _env(NAME) under env_vars for each, and start with: set -a; . {path}; set +a; fermata up"
            ),
        );
    }
}

fn volume(value: &Value<'_>, around: &Around<'_>) -> Option<yaml::Item> {
    if !value.is_map() {
        return mounts::short(value.expect_text("a volume")?, around.folder, value);
    }
    let target = mounts::target_path(value.get_text("target").unwrap_or_default(), value)?;
    for (key, value) in value.entries() {
        if !matches!(key, "type" | "source" | "target" | "read_only" | "tmpfs" | "consistency")
            && !(key == "bind" && value.entries().all(|(key, _)| key == "create_host_path"))
        {
            value.left_out("an option of the mount", "write the volume in its long form by hand");
        }
    }
    let source = value.get_text("source").filter(|source| !source.is_empty());
    match (value.get_text("type").unwrap_or("volume"), source) {
        ("tmpfs", _) => Some(mounts::empty(&target, Some("Memory"))),
        ("volume", None) => Some(mounts::empty(&target, None)),
        ("bind" | "volume", Some(source)) => {
            let source = mounts::source(source, around.folder, value)?;
            let read_only = value.get("read_only").is_some_and(|value| value.is_true());
            mounts::mount(&Mount { source, target, read_only }, around.folder, value)
        }
        (kind, _) => {
            value.left_out(format!("mounts of type {}", kind.escape_debug()), "mount a folder of the machine");
            None
        }
    }
}

fn tmpfs(value: &Value<'_>) -> Option<yaml::Item> {
    let text = value.expect_text("a path")?;
    let path = text.split(':').next().unwrap_or_default();
    mounts::target_path(path, value).map(|target| mounts::empty(&target, Some("Memory")))
}

/// `secrets` or `configs`, and where their files are seen in a container.
struct FileSection {
    name: &'static str,
    folder: &'static str,
}

/// A secret or a config that is a file of the machine is mounted, as compose does.
fn file_mounts(value: &Value<'_>, service: &mut Service<'_>, around: &Around<'_>, section: &FileSection) {
    let defined = if section.name == "secrets" { &around.secrets } else { &around.configs };
    for item in value.items() {
        let name = item.text().or_else(|| item.get_text("source")).unwrap_or_default();
        let file = defined
            .as_ref()
            .and_then(|defined| defined.get(name))
            .and_then(|one| Some(one.get("file")?.text()?.to_owned()));
        let Some(file) = file else {
            item.left_out(
                format!("{} is no file of this machine", name.escape_debug()),
                "give it to the service as a variable (NAME: _env(NAME)), or mount a file",
            );
            continue;
        };
        let target = item.get_text("target").unwrap_or(name);
        let target = if target.starts_with('/') { target.to_owned() } else { format!("{}{target}", section.folder) };
        let source = match mounts::source(&file, around.folder, &item) {
            // A file beside the compose file, not a volume.
            Some(Source::Named(file)) => Some(Source::Path(mounts::join(around.folder, &file))),
            source => source,
        };
        let mount = source.map(|source| Mount { source, target, read_only: true });
        service.volumes.extend(mount.and_then(|mount| mounts::mount(&mount, around.folder, &item)));
    }
}

fn depends_on<'a>(value: &Value<'a>, service: &mut Service<'a>) {
    if !value.is_map() {
        let names = value.items().into_iter().filter_map(|item| Some((item.text()?.to_owned(), item)));
        service.requires.extend(names);
        return;
    }
    for (name, value) in value.entries() {
        if value.get_text("condition") == Some("service_completed_successfully") {
            value.left_out(
                "requires waits for a service that runs, not for one that has ended",
                "run the job before fermata up, or make it part of the command",
            );
            continue;
        }
        service.requires.push((name.to_owned(), value));
    }
}

fn links<'a>(value: &Value<'a>, service: &mut Service<'a>) {
    for item in value.items() {
        let Some(text) = item.expect_text("the name of a service") else { continue };
        let (name, alias) = text.split_once(':').unwrap_or((text, text));
        if alias != name {
            item.left_out(format!("the name {} for {name}", alias.escape_debug()), "use the service's own name");
        }
        service.requires.push((name.to_owned(), item));
    }
}

fn healthcheck(value: &Value<'_>, service: &mut Service<'_>) {
    let test = value.get("test");
    let words: Vec<String> =
        test.iter().filter(|test| test.is_list()).flat_map(Value::texts).map(|word| reference(word, value)).collect();
    let none = words.first().is_some_and(|word| word == "NONE");
    if none || value.get("disable").is_some_and(|disable| disable.is_true()) {
        service.put("health", yaml::Value::text("none"));
        return;
    }
    let check = match words.split_first().map(|(kind, rest)| (kind.as_str(), rest)) {
        Some(("CMD", rest)) => Check::of_words(rest),
        Some(("CMD-SHELL", [script])) => Check::of_script(script),
        Some(_) => None,
        None => test.as_ref().and_then(Value::text).and_then(|script| Check::of_script(&reference(script, value))),
    };
    let time = |key: &str| value.get_text(key).and_then(duration);
    let rhythm = Rhythm {
        period: time("interval"),
        timeout: time("timeout"),
        failures: value.get_text("retries").and_then(|text| text.parse().ok()).filter(|count| *count > 0),
        delay: None,
    };
    for (key, value) in value.entries() {
        match key {
            "test" | "interval" | "timeout" | "retries" | "disable" => {}
            "start_period" | "start_interval" => value.note(
                "left out: a service that is not ready yet gets no traffic, and that is all",
                "nothing has to be done; health.startup keeps the alive check waiting, if you add one",
            ),
            _ => value.left_out("not known here", "write it under health by hand"),
        }
    }
    match (check, test) {
        (Some(check), _) => service.put("health", check.health(rhythm)),
        (None, Some(test)) => test.left_out("not a command", "write health: {ready: {type: exec, command: ...}}"),
        (None, None) => service.put_with("health", "the image's own HEALTHCHECK", yaml::Value::text("default")),
    }
}

fn stop_grace(value: &Value<'_>, service: &mut Service<'_>) {
    match value.text().and_then(duration) {
        Some(time) => service.put("stop_grace", yaml::Value::Bare(amounts::seconds(time))),
        None => value.unexpected("a duration such as 30s"),
    }
}

/// Labels become tags; those that make Traefik route say names that `traffic_matches` wants.
pub(super) fn labels(value: &Value<'_>, service: &mut Service<'_>) {
    let mut hosts: Vec<String> = Vec::new();
    for (name, text, value) in value.pairs() {
        let text = literal(text);
        if name.starts_with("traefik.") && name.ends_with(".rule") {
            hosts.extend(rule_hosts(&text));
            value.note(
                "nothing reads Traefik's labels here",
                if hosts.is_empty() {
                    "write traffic_matches by hand".to_owned()
                } else {
                    format!("if the service has a public port: traffic_matches: [{}]", hosts.join(", "))
                },
            );
        }
        service.tags.push(if text.is_empty() { name } else { format!("{name}={text}") });
    }
}

/// The names in ``Host(`a.example.com`) || Host(`b.example.com`)``.
fn rule_hosts(rule: &str) -> Vec<String> {
    let inside = rule.split("Host(").skip(1).filter_map(|rest| rest.split(')').next());
    let names = inside.flat_map(|names| names.split(','));
    names.map(|name| name.trim().trim_matches(['`', '"', '\'']).to_owned()).filter(|name| !name.is_empty()).collect()
}

fn profiles(value: &Value<'_>, service: &mut Service<'_>) {
    let names = value.texts().join(", ");
    if names.is_empty() {
        return;
    }
    value.changed(
        format!("the service started only with the profile {}; it has no instances now", names.escape_debug()),
        format!("fermata scale {}=1 starts one; or set replicas", service.name),
    );
    service.put_with("replicas", format!("only with the profile {names}"), yaml::Value::bare(0));
}

fn user(value: &Value<'_>, service: &mut Service<'_>) {
    let text = literal(value.text().map(str::to_owned));
    let (user, group) = text.split_once(':').map_or((text.as_str(), None), |(user, group)| (user, Some(group)));
    let ids: Option<Vec<u32>> = std::iter::once(user).chain(group).map(|id| id.parse().ok()).collect();
    let Some(ids) = ids else {
        value.left_out("users and groups are numbers here", "write security_context: {run_as_user: 1000}");
        return;
    };
    for (key, id) in ["run_as_user", "run_as_group"].into_iter().zip(ids) {
        service.secure(key, yaml::Value::bare(id));
    }
}

fn groups(value: &Value<'_>, service: &mut Service<'_>) {
    let ids: Vec<u32> = value.texts().iter().filter_map(|id| id.parse().ok()).collect();
    if ids.len() < value.items().len() {
        value.left_out("groups are numbers here", "write their numbers under security_context.supplemental_groups");
    }
    if !ids.is_empty() {
        service.secure("supplemental_groups", yaml::Value::Flow(ids.iter().map(yaml::Value::bare).collect()));
    }
}

fn namespace(key: &str, value: &Value<'_>, service: &mut Service<'_>) {
    match (key, value.text()) {
        ("network_mode", Some("host")) => service.secure("host_network", yaml::Value::bare(true)),
        ("pid", Some("host")) => service.secure("host_pid", yaml::Value::bare(true)),
        ("ipc", Some("host")) => service.secure("host_ipc", yaml::Value::bare(true)),
        ("network_mode", Some("bridge" | "default")) | ("ipc", Some("private" | "shareable")) => {}
        _ => value.left_out("only host is known here", "let the services reach each other by their names"),
    }
}

fn hook(key: &'static str, value: &Value<'_>, service: &mut Service<'_>) {
    let items = value.items();
    let mut commands = items.iter().filter_map(|item| item.get("command").and_then(|command| line(&command)));
    if let Some(command) = commands.next() {
        service.put(key, yaml::Value::text(command));
    }
    if commands.next().is_some() {
        value.left_out("every command but the first", "put them into one script");
    }
}

/// Whatever ends is started again here.
fn restart(value: &Value<'_>) {
    match value.text() {
        Some("always" | "unless-stopped") => {}
        Some("no") => value.left_out(
            "an instance that ends is started again here",
            "run a job that ends before fermata up, not as a service",
        ),
        _ => value.note("an instance that ends is always started again here", "nothing has to be done"),
    }
}
