//! Images that are built from the source of a service.

use std::process::Command;

use crate::engine::Engine;
use crate::support::{Fermata, Folder, Process, free_port};

const DOCKERFILE: &str = "\
FROM scratch
COPY root /
COPY version /version
ENTRYPOINT [\"/fermata\"]
CMD [\"echo\", \"--listen\", \"0.0.0.0:3000\"]
";

fn folder(engine: &Engine, http: u16) -> Folder {
    let folder = Folder::new(&format!(
        "
version: 2
services:
  web:
    build_root: app
    stop_grace: 2
    ports:
    - container: 3000
      http: {http}
gateway: {{bind: [127.0.0.1]}}
"
    ));
    let app = folder.path().join("app");
    std::fs::create_dir(&app).unwrap();
    let copied = Command::new("cp").arg("-a").arg(engine.root()).arg(app.join("root")).status().unwrap();
    assert!(copied.success());
    folder.write("app/Dockerfile", DOCKERFILE);
    folder.write("app/.dockerignore", "*.log\n");
    folder.write("app/version", "1\n");
    folder
}

fn told(fermata: &Fermata, words: &str) -> bool {
    fermata.process.stdout.text().lines().any(|line| line.starts_with(&format!("fermata      │ {words}")))
}

#[test]
fn an_image_is_built_once_for_what_is_there_and_again_when_that_has_changed() {
    let engine = Engine::start();
    let http = free_port();
    let fermata = engine.up(folder(&engine, http));
    for words in ["web: building fermata-", "web: Step 1/6 : FROM scratch", "web: Successfully tagged fermata-"] {
        assert!(told(&fermata, words), "{words}\n{}", fermata.process.transcript());
    }
    let probe = fermata.folder.run(&["probe", &format!("ws://127.0.0.1:{http}/")]);
    assert_eq!(probe.code, Some(0), "{probe:?}");
    let first = engine.ids();

    // Nothing that the build sees has changed.
    assert_eq!(engine.command(&fermata.folder, &["stop", "--keep"]).status().unwrap().code(), Some(0));
    let Fermata { mut process, folder } = fermata;
    process.wait();
    folder.write("app/noise.log", "noise\n");
    let fermata = engine.up(folder);
    assert!(!told(&fermata, "web: building"), "{}", fermata.process.transcript());
    assert_eq!(engine.ids(), first);

    fermata.folder.write("app/version", "2\n");
    let foreseen = engine.command(&fermata.folder, &["up", "--dry-run"]).output().unwrap();
    let foreseen = String::from_utf8(foreseen.stdout).unwrap();
    assert!(foreseen.contains("\n  build      fermata-"), "{foreseen}");
    assert!(foreseen.ends_with("\n  replace    web.1: its image is not here yet\n"), "{foreseen}");
    let said = engine.command(&fermata.folder, &["redeploy", "web"]).output().unwrap();
    let progress = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.status.code(), Some(0), "{progress}");
    assert!(progress.contains("\nStep 1/6 : FROM scratch\n"), "{progress}");
    let second = engine.ids();
    assert_ne!(second, first);

    fermata.folder.write("app/Dockerfile", "FROM scratch\nCOPY no-such-file /\n");
    let said = engine.command(&fermata.folder, &["redeploy", "web"]).output().unwrap();
    let why = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.status.code(), Some(1), "{why}");
    let wanted = format!("its image cannot be built from {}: ", fermata.folder.path().join("app").display());
    assert!(why.contains("web stays as it was: web.1 cannot be started: ") && why.contains(&wanted), "{why}");
    assert_eq!(engine.ids(), second);
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn a_source_without_a_dockerfile_is_told_before_anything_is_started() {
    let engine = Engine::start();
    let folder = folder(&engine, free_port());
    let dockerfile = folder.path().join("app/Dockerfile");
    std::fs::remove_file(&dockerfile).unwrap();
    let mut process = Process::start(&mut engine.command(&folder, &["up"]));
    assert_eq!(process.wait().code(), Some(1), "{}", process.transcript());
    assert_eq!(
        process.stderr.whole(),
        format!(
            "error: services.web.build_root: there is no Dockerfile at {}; write one, or say in dockerfile_path where \
             it is\n",
            dockerfile.display()
        )
    );
}
