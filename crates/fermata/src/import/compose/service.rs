//! One service of a compose file.

use crate::import::draft::Service;
use crate::import::known;
use crate::import::ports::Publication;
use crate::import::source::Value;
use crate::import::variables;
use crate::render::yaml;

use super::files::{self, FileSection};
use super::{Around, deploy, elsewhere, others, process, published};

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
        "ports" => read.publications.extend(value.items().iter().filter_map(published::port)),
        "expose" => read.publications.extend(value.items().iter().filter_map(published::expose)),
        "environment" => process::environment(value, service),
        "env_file" => process::env_file(value),
        "volumes" => service.volumes.extend(value.items().iter().filter_map(|item| files::volume(item, around))),
        "tmpfs" => service.volumes.extend(value.items().iter().filter_map(files::tmpfs)),
        "secrets" => {
            files::file_mounts(value, service, around, &FileSection { name: "secrets", folder: "/run/secrets/" });
        }
        "configs" => files::file_mounts(value, service, around, &FileSection { name: "configs", folder: "/" }),
        "depends_on" => others::depends_on(value, service),
        "links" => others::links(value, service),
        "working_dir" => put_text(service, "work_dir", value),
        "healthcheck" => others::healthcheck(value, service),
        "stop_grace_period" => process::stop_grace(value, service),
        "labels" => others::labels(value, service),
        "annotations" => {
            let pairs: Vec<_> = value.pairs().into_iter().map(|(name, text, _)| (name, literal(text))).collect();
            service.put("annotations", yaml::Value::table(&pairs));
        }
        "profiles" => process::profiles(value, service),
        "user" => process::user(value, service),
        "group_add" => process::groups(value, service),
        "privileged" if value.is_true() => service.secure("privileged", yaml::Value::bare(true)),
        // The others are read together, before and after.
        "privileged" | "image" | "build" | "command" | "entrypoint" => {}
        "network_mode" | "pid" | "ipc" => process::namespace(key, value, service),
        "post_start" => process::hook("post_start_command", value, service),
        "pre_stop" => process::hook("pre_stop_command", value, service),
        "restart" => process::restart(value),
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
pub(super) fn literal(text: Option<String>) -> String {
    text.map(|text| variables::defaults(&text).text).unwrap_or_default()
}

fn put_text(service: &mut Service<'_>, key: &'static str, value: &Value<'_>) {
    if let Some(text) = value.expect_text("a text") {
        service.put(key, yaml::Value::text(literal(Some(text.to_owned()))));
    }
}
