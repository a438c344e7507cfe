//! `security_context`, and `privileged` of older files.

use crate::diagnostic::codes;
use crate::grammar::{Actor, Key, Others, Section, Shape};
use crate::model::SecurityContext;
use crate::reader::{Field, Fields};

pub(super) const SECURITY_CONTEXT: Section = Section {
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

pub(super) fn security_context(fields: &Fields<'_>) -> SecurityContext {
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
