//! `volumes`: `HOST:CONTAINER:MODE`, and the long form with anything that Kubernetes mounts.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, codes, quote};
use crate::grammar::{Actor, Key, Numbers, Others, Section, Shape, Text, Word};
use crate::model::{Volume, VolumeSource};
use crate::reader::Field;
use crate::tree::Kind;

use super::values::TEXT;

/// `volumes`.
pub(crate) const VOLUMES: Shape = Shape::List(&Shape::Either(&[SHORT, Shape::Section(&VOLUME)]));

const SHORT: Shape = Shape::Text(&Text {
    expected: "a volume such as /data/app:/app/data, with :ro behind it where it is not written to",
    pattern: r"^[^:]*(_env\([^)]*\)[^:]*)?:.+$",
    numbers: Numbers::None,
});

/// A place in the container, or on the host.
const PATH: Shape =
    Shape::Text(&Text { expected: "an absolute path", pattern: r"^(/|_env[(:]|\{\{)", numbers: Numbers::None });

const MOUNT_PATH: Shape =
    Shape::Text(&Text { expected: "an absolute path without a colon", pattern: r"^/[^:]*$", numbers: Numbers::None });

const HOST_PATH: Section = Section {
    name: "host_path",
    keys: &[
        Key::new("path", PATH, "The folder or file of the host.", "path: /data/app").required(),
        Key::new("type", TEXT, "What must be there already, in Kubernetes' words.", "type: Directory")
            .actor(Actor::Render),
    ],
    old: &[],
    others: Others::Refused,
};

const FILTERED: Section = Section {
    name: "secret or config_map",
    keys: &[
        Key::new("from", FROM, "Where the values are kept.", "from: env_vars"),
        Key::new("filter", FILTER, "Which of them, as key=value.", "filter: \"kind=tls\""),
    ],
    old: &[],
    others: Others::Ignored,
};

const FROM: Shape = Shape::Choice(&[
    Word { word: "config_store", about: "The application's configuration store." },
    Word { word: "env_vars", about: "The application's variables; not those of a service." },
]);

const FILTER: Shape =
    Shape::Text(&Text { expected: "a filter such as kind=tls", pattern: "^[^=]+=.*$", numbers: Numbers::None });

/// Sources that only Kubernetes mounts (its Volume type, in `snake_case`), read as they are.
macro_rules! kubernetes {
    ($($name:literal)*) => {
        Section {
            name: "a volume",
            keys: &[
                Key::new("mount_path", MOUNT_PATH, "Where it is mounted in the container.", "mount_path: /data").required(),
                Key::new("read_only", Shape::Flag, "Whether the container may only read it.", "read_only: true").default("false"),
                Key::new("mount_propagation", PROPAGATION, "Whether later mounts are seen on the other side.", "mount_propagation: HostToContainer").default("None").actor(Actor::Render),
                Key::new("sub_path", TEXT, "A folder inside the source.", "sub_path: app"),
                Key::new("sub_path_expr", TEXT, "The same with variables, $(VAR).", "sub_path_expr: $(POD_NAME)").actor(Actor::Render),
                Key::new("host_path", Shape::Section(&HOST_PATH), "A folder or file of the host.", "host_path: {path: /data/app}"),
                Key::new("secret", Shape::Section(&FILTERED), "Secret values as files.", "secret: {from: env_vars, filter: \"kind=tls\"}").actor(Actor::Render),
                Key::new("config_map", Shape::Section(&FILTERED), "Configuration values as files.", "config_map: {from: config_store, filter: \"app=web\"}").actor(Actor::Render),
                Key::new("empty_dir", Shape::Free, "An empty folder that lives as long as the instance; {medium: Memory} keeps it in memory.", "empty_dir: {medium: Memory}").actor(Actor::Render),
                $(Key::new($name, Shape::Free, "Kubernetes' volume of this name, read as it is.", concat!($name, ": {}")).actor(Actor::Render)),*
            ],
            old: &[],
            others: Others::Refused,
        }
    };
}

const PROPAGATION: Shape = Shape::Choice(&[
    Word { word: "None", about: "Neither side sees the other's." },
    Word { word: "HostToContainer", about: "The container sees what the host mounts later." },
    Word { word: "Bidirectional", about: "Both see what the other mounts later." },
]);

const VOLUME: Section = kubernetes! {
    "aws_elastic_block_store" "azure_disk" "azure_file" "cephfs" "cinder" "csi" "downward_api" "ephemeral" "fc" "flex_volume"
    "flocker" "gce_persistent_disk" "git_repo" "glusterfs" "image" "iscsi" "nfs" "persistent_volume_claim"
    "photon_persistent_disk" "portworx_volume" "projected" "quobyte" "rbd" "scale_io" "storageos" "vsphere_volume"
};

/// One entry.
pub(crate) fn read(field: &Field<'_>) -> Option<Volume> {
    match &field.node.kind {
        Kind::Scalar(_) => short(field),
        Kind::Map(_) => long(field),
        Kind::List(_) => {
            field.expect();
            None
        }
    }
}

fn short(field: &Field<'_>) -> Option<Volume> {
    let text = field.text()?;
    if !super::environment::references(field) {
        return None;
    }
    let parts = parts(text);
    let [host, container, rest @ ..] = parts.as_slice() else {
        let message = format!("{} names only one side", quote(text));
        field.say_help(&codes::VOLUME, message, "the form is HOST:CONTAINER, both absolute paths");
        return None;
    };
    let read_only = match rest {
        [] => false,
        [mode] => mode_of(field, text, mode.clone())?,
        _ => {
            field.say_help(
                &codes::VOLUME,
                format!("{} has too many parts", quote(text)),
                "the form is HOST:CONTAINER:MODE",
            );
            return None;
        }
    };
    for side in [host, container] {
        absolute(field, &text[side.clone()], field.part(side.clone()));
    }
    Some(Volume {
        mount_path: text[container.clone()].to_owned(),
        source: VolumeSource::HostPath(text[host.clone()].to_owned()),
        read_only,
        mount_propagation: None,
        sub_path: None,
        sub_path_expr: None,
    })
}

/// The ranges between the colons that stand outside of parentheses: `_env(LOGS:/var/log):/log` has two parts.
fn parts(text: &str) -> Vec<Range<usize>> {
    let (mut ranges, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b':' if depth == 0 && !text[start..at].ends_with("_env") => {
                ranges.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
    }
    ranges.push(start..text.len());
    ranges
}

/// Whether the mode says read-only.
fn mode_of(field: &Field<'_>, text: &str, part: Range<usize>) -> Option<bool> {
    let mode = &text[part.clone()];
    let place = field.part(part);
    match mode {
        "ro" => Some(true),
        "rw" | "" => Some(false),
        "z" | "Z" => {
            let message = format!("mode {} is ignored", quote(mode));
            let help = "it relabels files for SELinux, which only Docker on the command line does; remove it";
            field.reading.said.add(Diagnostic::new(&codes::VOLUME_MODE, field.path.clone(), place, message).help(help));
            Some(false)
        }
        _ => {
            let message = format!("{} is not a mode; use ro or rw", quote(mode));
            field.reading.said.add(Diagnostic::new(&codes::VOLUME, field.path.clone(), place, message));
            None
        }
    }
}

fn absolute(field: &Field<'_>, path: &str, place: Range<usize>) {
    if ["/", "_env(", "_env:", "{{"].iter().any(|start| path.starts_with(start)) {
        return;
    }
    let message = format!("{} is not absolute", quote(path));
    let help = match path.strip_prefix("./").or(path.strip_prefix("~/")) {
        Some(rest) => format!("write the whole path, such as /srv/{rest}"),
        None => {
            format!("write the whole path; a name alone, such as Docker's volume {}, is not known here", quote(path))
        }
    };
    field.reading.said.add(Diagnostic::new(&codes::VOLUME_PATH, field.path.clone(), place, message).help(help));
}

fn long(field: &Field<'_>) -> Option<Volume> {
    let fields = field.fields_of(&VOLUME)?;
    let text = |name: &str| fields.get(name).and_then(|field| field.text().map(str::to_owned));
    let mount_path = fields
        .get("mount_path")
        .and_then(|field| field.parse(|text| (text.starts_with('/') && !text.contains(':')).then(|| text.to_owned())));
    let read_only = fields.get("read_only").and_then(|field| field.flag()).unwrap_or(false);
    let mount_propagation = fields.get("mount_propagation").and_then(|field| field.choice()).map(str::to_owned);
    let (sub_path, sub_path_expr) = (text("sub_path"), text("sub_path_expr"));
    if let (Some(path), Some(expr)) = (fields.get("sub_path"), fields.get("sub_path_expr")) {
        let diagnostic =
            expr.diagnostic(&codes::VOLUME, "only one of sub_path and sub_path_expr").also(path.place, "the other one");
        field.reading.said.add(diagnostic);
    }
    let source = source(field, &fields);
    Some(Volume { mount_path: mount_path?, source: source?, read_only, mount_propagation, sub_path, sub_path_expr })
}

/// The one source that is given.
fn source(field: &Field<'_>, fields: &crate::reader::Fields<'_>) -> Option<VolumeSource> {
    const SETTINGS: &[&str] = &["mount_path", "read_only", "mount_propagation", "sub_path", "sub_path_expr"];
    let names = VOLUME.keys.iter().map(|key| key.name).filter(|name| !SETTINGS.contains(name));
    let given: Vec<(&str, Field<'_>)> = names.filter_map(|name| Some((name, fields.get(name)?))).collect();
    match given.as_slice() {
        [] => {
            let message = "nothing says what is mounted";
            let place = field.key_place.clone();
            Field { place, ..field.clone() }.say_help(
                &codes::VOLUME,
                message,
                "write host_path: {path: /data/app}, or another source",
            );
            None
        }
        [(name, source)] => one(name, source),
        [(first, one), (second, two), ..] => {
            let message = format!("one volume has one source, and this has {first} and {second}");
            field.reading.said.add(two.diagnostic(&codes::VOLUME, message).also(one.place.clone(), "the first one"));
            None
        }
    }
}

fn one(name: &str, source: &Field<'_>) -> Option<VolumeSource> {
    match name {
        "host_path" => {
            let fields = source.fields()?;
            fields.get("type").and_then(|field| field.text());
            let path = fields.get("path")?;
            super::environment::references(&path);
            let path = path.parse(|text| {
                ["/", "_env(", "_env:", "{{"].iter().any(|start| text.starts_with(start)).then(|| text.to_owned())
            });
            path.map(VolumeSource::HostPath)
        }
        "secret" | "config_map" => {
            let fields = source.fields()?;
            fields.get("from").and_then(|field| field.choice());
            fields.get("filter").and_then(|field| field.parse(|text| text.find('=').filter(|at| *at > 0)));
            Some(VolumeSource::Kubernetes(name.to_owned(), source.json()))
        }
        _ => Some(VolumeSource::Kubernetes(name.to_owned(), source.json())),
    }
}
