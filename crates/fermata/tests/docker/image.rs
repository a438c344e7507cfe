//! The image of Fermata itself: its Dockerfile, as a real engine takes it, and the package's systemd unit.
//!
//! No registry is reachable, so what it starts from is a stand-in: the few programs that the Dockerfile calls, and a cargo that
//! "builds" the program which is there already.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::engine::Engine;
use crate::support::{Folder, until};

const DOCKERFILE: &str = include_str!("../../../../Dockerfile");
const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/debian/fermata.service");
const CARGO: &str = "#!/bin/sh
for target; do :; done
mkdir -p target/$target/release
cp /fermata target/$target/release/fermata
";

/// A root with a shell, what the Dockerfile calls, and the tested program.
fn stand_in(engine: &Engine) -> Folder {
    let folder = Folder::new("");
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    for below in ["lib", "lib64"] {
        fs::create_dir(root.join("usr").join(below)).unwrap();
    }
    for below in ["bin", "lib", "lib64"] {
        symlink(format!("usr/{below}"), root.join(below)).unwrap();
    }
    let programs = ["dash", "sed", "install", "mkdir", "cp"].map(|name| format!("/usr/bin/{name}"));
    for program in &programs {
        let libraries = Command::new("ldd").arg(program).output().unwrap();
        let libraries = String::from_utf8(libraries.stdout).unwrap();
        let libraries: Vec<&str> = libraries.split_whitespace().filter(|word| word.starts_with('/')).collect();
        let copied =
            Command::new("cp").args(["--parents", "--dereference", program]).args(libraries).arg(&root).status();
        assert!(copied.unwrap().success());
    }
    symlink("dash", root.join("usr/bin/sh")).unwrap();
    fs::copy(engine.root().join("fermata"), root.join("fermata")).unwrap();
    for (name, text) in [("cargo", CARGO), ("rustc", "#!/bin/sh\necho host: x86_64-unknown-linux-gnu\n")] {
        let file = root.join("usr/bin").join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(file, PermissionsExt::from_mode(0o755)).unwrap();
    }
    fs::create_dir_all(root.join("etc/ssl/certs")).unwrap();
    fs::write(root.join("etc/ssl/certs/ca-certificates.crt"), "").unwrap();
    fs::create_dir(root.join("tmp")).unwrap();
    folder
}

#[test]
fn the_dockerfile_makes_an_image_that_runs_as_nobody_in_particular_and_tells_its_health() {
    let engine = Engine::start();
    let from = DOCKERFILE.lines().find_map(|line| line.strip_prefix("FROM ")?.strip_suffix(" AS build")).unwrap();
    engine.import_folder(from, &stand_in(&engine).path().join("root"));
    engine.build("fermata-itself:1", DOCKERFILE);

    let site = Folder::new(
        "version: 2\nservices:\n  app: {address: \"127.0.0.1:9\", ports: [{container: 9, http: 8080}]}\n\
         gateway: {bind: [127.0.0.1]}\n",
    );
    // The tested program is not static: what it is linked to is the machine's.
    let libraries = ["lib/x86_64-linux-gnu", "lib64"].map(|path| format!("/usr/{path}:/{path}:ro"));
    let file = format!("{}:/etc/fermata/service.yml:ro", site.path().join("service.yml").display());
    fs::set_permissions(site.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let id = engine.run("fermata-itself:1", &[&libraries[0], &libraries[1], &file]);
    let health = || {
        let state = engine.inspect(&id).state.unwrap();
        assert_eq!(state.running, Some(true), "{state:?}");
        state.health.and_then(|health| health.status).map(|status| status.to_string()).unwrap_or_default()
    };
    until("its HEALTHCHECK passes", || health() == "healthy");
    let config = engine.inspect(&id).config.unwrap();
    assert_eq!(config.user.as_deref(), Some("65532:65532"));
    assert_eq!(config.entrypoint.unwrap(), ["/usr/bin/fermata"]);
}

#[test]
fn systemd_takes_the_unit_of_the_package() {
    let folder = Folder::new("");
    let text = fs::read_to_string(UNIT).unwrap();
    // The program is not installed here.
    let file = folder.write("fermata.service", &text.replace("/usr/bin/fermata", env!("CARGO_BIN_EXE_fermata")));
    let analyze = |arguments: &[&str], file: &Path| {
        let said = Command::new("systemd-analyze").args(arguments).arg(file).stdin(Stdio::null()).output().unwrap();
        (said.status.success(), String::from_utf8([said.stdout, said.stderr].concat()).unwrap())
    };
    let (well, said) = analyze(&["verify"], &file);
    assert!(well && !said.contains("fermata.service:"), "{said}");
    // 10 is a unit without bounds.
    let (well, said) = analyze(&["security", "--offline=yes", "--threshold=25"], &file);
    assert!(well, "{said}");
}
