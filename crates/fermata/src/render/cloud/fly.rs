//! Fly.io: a fly.toml for an app that is Fermata itself. There are no variables in one, so what is not known is a comment.

use std::fmt::Write;

use fermata_spec::Spec;

use super::front::{Ask, Front, Listener, Speech};
use super::readme::Guide;
use super::{Made, render};
use crate::render::{MARK, Rendered};

const AVOIDS: &[&str] = &[
    "`soft_limit` of 20, its default, at which a few open sockets make a machine look full.",
    "Counting requests, which a WebSocket is one of for hours: connections are counted.",
    "`kill_timeout` of 5 s, its default, shorter than the time that tunnels get to leave.",
    "`h2_backend`, over which upgrades do not pass.",
    "Machines that are stopped while they look idle.",
    "A check on the WebSocket's path, which never answers 200 to a plain GET.",
];

/// Connections of one machine where the file says nothing.
const MOST: u32 = 10_000;

pub(in crate::render) fn balancer(spec: &Spec) -> Rendered {
    render(spec, "fly", |front| {
        let mut guide = Guide::terraform(AVOIDS, &[]);
        guide.before = vec![
            "`flyctl`, signed in, and an image or a Dockerfile that has fermata, this service.yml and its services."
                .to_owned(),
            "Write the app's name into `app`, and the region into `primary_region`.".to_owned(),
        ];
        "fly deploy".clone_into(&mut guide.apply);
        "$(fly status --json | jq -r .Hostname)".clone_into(&mut guide.host);
        "fly apps destroy fermata".clone_into(&mut guide.undo);
        Made { name: "fly.toml", text: toml(front), guide }
    })
}

fn toml(front: &Front<'_>) -> String {
    // After the drain, what is left of it needs a moment to be told.
    let kill = (front.drain + 5).min(300);
    let mut text = format!(
        "{MARK}\n\
         # The app's name, and where it runs first.\n\
         app = \"fermata\"\nprimary_region = \"fra\"\nkill_signal = \"SIGTERM\"\nkill_timeout = \"{kill}s\"\n"
    );
    for target in front.targets() {
        service(&mut text, front, &target);
    }
    text
}

fn service(text: &mut String, front: &Front<'_>, target: &Listener) {
    let most = front.spec.gateway.max_connections.unwrap_or(MOST);
    let _ = write!(
        text,
        "\n[[services]]\ninternal_port = {}\nprotocol = \"{}\"\nauto_stop_machines = \"off\"\nauto_start_machines = true\n",
        target.target,
        target.transport()
    );
    let _ = write!(
        text,
        "\n[services.concurrency]\ntype = \"connections\"\nsoft_limit = {}\nhard_limit = {most}\n",
        (most / 5 * 4).max(1)
    );
    let same = |listener: &&Listener| listener.target_id() == target.target_id();
    for listener in front.listeners.iter().filter(same) {
        let handlers = match listener.speech {
            Speech::Http => "\"http\"",
            Speech::Https => "\"tls\", \"http\"",
            Speech::Tcp | Speech::Udp => "",
        };
        let _ = write!(text, "\n[[services.ports]]\nport = {}\nhandlers = [{handlers}]\n", listener.port);
        if !handlers.is_empty() {
            let _ = writeln!(text, "http_options = {{ h2_backend = false, idle_timeout = {} }}", front.idle);
        }
    }
    check(text, front, target);
}

fn check(text: &mut String, front: &Front<'_>, target: &Listener) {
    let times = "interval = \"10s\"\ntimeout = \"5s\"\ngrace_period = \"10s\"";
    match &front.health_of(target).ask {
        _ if target.speech == Speech::Udp => {}
        Ask::Http(path) if target.speech != Speech::Tcp => {
            let path = path.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = write!(text, "\n[[services.http_checks]]\nmethod = \"GET\"\npath = \"{path}\"\n{times}\n");
        }
        _ => _ = write!(text, "\n[[services.tcp_checks]]\n{times}\n"),
    }
}
