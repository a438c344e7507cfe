//! What keeps containers from being run is told with what to do, before anything is started.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::engine::{Engine, IMAGE};
use crate::support::{Folder, Process, free_port};

/// The user `nobody` of Debian (base-passwd).
const NOBODY: u32 = 65534;

fn folder(image: &str, more: &str) -> Folder {
    Folder::new(&format!("version: 2\nservices:\n  web:\n    image: {image}\n{more}"))
}

/// What `up` says that must not begin.
fn refusal(mut command: Command) -> String {
    let mut process = Process::start(&mut command);
    assert_eq!(process.wait().code(), Some(1), "{}", process.transcript());
    process.stderr.whole()
}

#[test]
fn an_engine_that_is_not_there_or_not_running_is_told() {
    let folder = folder(IMAGE, "");
    let up = |host: &str| {
        let mut command = folder.command(&["up", "--state-dir", "state"]);
        command.env("DOCKER_HOST", host);
        refusal(command)
    };
    let socket = folder.path().join("socket");
    let socket = socket.display();
    assert_eq!(
        up(&format!("unix://{socket}")),
        format!(
            "error: services.web.image: there is no Docker Engine: {socket} does not exist; install and start it (on \
             Debian: sudo apt install docker.io), or say in DOCKER_HOST where it is\n"
        )
    );
    drop(UnixListener::bind(folder.path().join("socket")).unwrap());
    assert_eq!(
        up(&format!("unix://{socket}")),
        format!(
            "error: services.web.image: the Docker Engine is not running: {socket} is there, and nobody listens; \
             start it (sudo systemctl start docker)\n"
        )
    );
    assert_eq!(
        up("ssh://elsewhere"),
        "error: services.web.image: DOCKER_HOST is \"ssh://elsewhere\", which cannot be used; give it as \
         unix:///path or tcp://host:port\n"
    );
}

#[test]
fn a_socket_without_permission_an_unknown_image_and_an_image_of_root_are_told() {
    let engine = Engine::start();
    let up = |folder: &Folder| engine.command(folder, &["up"]);

    let open = folder(IMAGE, "");
    std::fs::set_permissions(open.path(), PermissionsExt::from_mode(0o777)).unwrap();
    std::fs::set_permissions(engine.socket().parent().unwrap(), PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = up(&open);
    command.uid(NOBODY).gid(NOBODY).env("USER", "nobody");
    assert_eq!(
        refusal(command),
        format!(
            "error: services.web.image: this user may not use the Docker Engine at {} (permission denied); add it to \
             the group of that socket (sudo usermod -aG docker nobody) and log in again, or run fermata as root\n",
            engine.socket().display()
        )
    );

    let (nobody, nothing) = (free_port(), "nobody/nothing:1");
    let nothing = format!("127.0.0.1:{nobody}/{nothing}");
    assert_eq!(
        refusal(up(&folder(&nothing, ""))),
        format!(
            "error: services.web.image: the image {nothing} is not here and cannot be pulled: Get \
             \"http://127.0.0.1:{nobody}/v2/\": dial tcp 127.0.0.1:{nobody}: connect: connection refused; check its name \
             and tag, log in to its registry (docker login) if it is private, or build it (docker build -t {nothing} .)\n"
        )
    );

    let root = folder(IMAGE, "    security_context: {run_as_non_root: true}\n");
    let mut process = Process::start(&mut up(&root));
    process.wait_for("why", |line| {
        line.contains(&format!(
            "web.1 cannot be started: security_context says run_as_non_root, and the image {IMAGE} runs as root; give \
             it a USER, or write run_as_user"
        ))
    });
    process.signal(rustix::process::Signal::TERM);
    assert_eq!(process.wait().code(), Some(0));
    assert_eq!(engine.ids(), [""; 0]);
}
