//! The image of Fermata itself: its Dockerfile, as a real engine takes it, and the compose file that runs it before an
//! application.
//!
//! No registry is reachable, so what it starts from is a stand-in: the few programs that the Dockerfile calls, and a cargo that
//! "builds" the program which is there already.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Output};

use crate::engine::{Engine, install, merged};
use crate::support::{Folder, until};

const DOCKERFILE: &str = include_str!("../../../../Dockerfile");
const COMPOSE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/compose.yaml");
const CARGO: &str = "#!/bin/sh
for target; do :; done
mkdir -p target/$target/release
cp /fermata target/$target/release/fermata
";

/// A root with a shell, what the Dockerfile calls, and the tested program.
fn stand_in(engine: &Engine) -> Folder {
    let folder = Folder::new("");
    let root = folder.path().join("root");
    merged(&root);
    install(&["/usr/bin/dash", "/usr/bin/sed", "/usr/bin/install", "/usr/bin/mkdir", "/usr/bin/cp"], &root);
    symlink("dash", root.join("usr/bin/sh")).unwrap();
    fs::copy(engine.root().join("fermata"), root.join("fermata")).unwrap();
    for (name, text) in [("cargo", CARGO), ("rustc", "#!/bin/sh\necho host: x86_64-unknown-linux-gnu\n")] {
        let file = root.join("usr/bin").join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(file, PermissionsExt::from_mode(0o755)).unwrap();
    }
    fs::create_dir_all(root.join("etc/ssl/certs")).unwrap();
    fs::write(root.join("etc/ssl/certs/ca-certificates.crt"), "").unwrap();
    folder
}

/// Makes the image. The tested program is not static: what it is linked to is added.
fn build(engine: &Engine, name: &str) {
    let from = DOCKERFILE.lines().find_map(|line| line.strip_prefix("FROM ")?.strip_suffix(" AS build")).unwrap();
    engine.import_folder(from, &stand_in(engine).path().join("root"), &[]);
    engine.build("fermata-itself:1", DOCKERFILE);
    let libraries = Folder::new("");
    let mut copy = Command::new("cp");
    copy.args(["--recursive", "--preserve=links"]).arg(engine.root()).arg(libraries.path());
    assert!(copy.status().unwrap().success());
    fs::remove_file(libraries.path().join("root/fermata")).unwrap();
    libraries.write("Dockerfile", "FROM fermata-itself:1\nCOPY root /\n");
    engine.build_in(name, libraries.path());
}

fn healthy(engine: &Engine, id: &str) {
    until("its HEALTHCHECK passes", || {
        let state = engine.inspect(id).state.unwrap();
        assert_eq!(state.running, Some(true), "{state:?}");
        state.health.and_then(|health| health.status).is_some_and(|status| status.to_string() == "healthy")
    });
}

#[test]
fn the_compose_file_runs_the_image_of_the_dockerfile_before_an_application_and_leaves_nothing() {
    // In a network of its own the ports of the file are free.
    let engine = Engine::apart();
    build(&engine, "fermata:latest");
    let compose = |arguments: &[&str]| -> Output {
        let mut command = Command::new("docker-compose");
        command.args(["--file", COMPOSE, "--project-name", "shop"]).args(arguments);
        let said = command.env("DOCKER_HOST", engine.host()).output().expect("docker-compose runs");
        assert!(said.status.success(), "{arguments:?}: {said:?}");
        said
    };
    compose(&["up", "--detach", "--no-build"]);
    let all = engine.containers();
    let names: Vec<&str> = all.iter().map(|one| one.names.as_ref().unwrap()[0].as_str()).collect();
    assert_eq!(names, ["/shop_app_1", "/shop_fermata_1"]);
    let fermata = all[1].id.as_ref().unwrap();
    let config = engine.inspect(fermata).config.unwrap();
    assert_eq!(config.user.as_deref(), Some("65532:65532"), "nobody in particular");
    assert_eq!(config.entrypoint.unwrap(), ["/usr/bin/fermata"]);
    healthy(&engine, fermata);
    for url in ["ws://127.0.0.1:8080/", "wss://127.0.0.1:8443/"] {
        let said =
            engine.in_its_network(&[env!("CARGO_BIN_EXE_fermata"), "probe", "--insecure", url]).output().unwrap();
        assert_eq!(said.status.code(), Some(0), "{said:?}");
    }
    // As its comment says.
    let status = compose(&["exec", "-T", "fermata", "fermata", "status"]);
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("\napp "), "{status}");
    compose(&["down", "--volumes"]);
    assert_eq!((engine.ids(), engine.networks_with("com.docker.compose.project")), (Vec::new(), Vec::new()));
}
