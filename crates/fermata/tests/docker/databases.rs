//! Databases of the file as containers for development. Their images are stand-ins: no registry is needed.

use crate::engine::{Engine, IMAGE};
use crate::support::{Folder, free_port};

#[test]
fn databases_run_on_request_and_services_are_told_where() {
    let engine = Engine::start();
    engine.import("redis:7", &["CMD [\"echo\", \"--listen\", \"0.0.0.0:6379\"]"]);
    let folder = Folder::new(&format!(
        "
version: 2
services:
  web:
    image: {IMAGE}
    stop_grace: 2
    env_vars: {{SECRET: AUTO_GENERATE_32}}
    health:
      ready: {{type: exec, command: /fermata probe ws://$(REDIS_ADDRESS):$(REDIS_PORT)/, initial_delay: 0, period: 1, timeout: 20}}
    ports:
    - container: 3000
      http: {}
  job:
    command: sh -c 'echo $REDIS_URL; exec sleep 1000'
databases: [redis]
gateway: {{bind: [127.0.0.1]}}
",
        free_port()
    ));
    let up = |folder: Folder| {
        let process = crate::support::Process::start(&mut engine.command(&folder, &["up", "--with-databases"]));
        process.wait_for("that it is ready", |line| line.starts_with("ready"));
        folder.adopt(process)
    };
    let fermata = up(folder);
    fermata.process.wait_for("where it is", |line| line == "job.1        │ redis://127.0.0.1:6379");
    let probe = fermata.folder.run(&["probe", "ws://127.0.0.1:6379/"]);
    assert_eq!(probe.code, Some(0), "{probe:?}");
    let redis = &engine.ids()[0];
    let mounts = engine.inspect(redis).host_config.unwrap().mounts.unwrap();
    let data = fermata.folder.path().canonicalize().unwrap().join("state/databases/redis");
    assert_eq!(mounts[0].source.as_deref(), Some(data.to_str().unwrap()));

    // There is one port for it: the old one goes first.
    let redeployed = engine.command(&fermata.folder, &["redeploy", "redis"]).output().unwrap();
    assert_eq!(redeployed.status.code(), Some(0), "{redeployed:?}");

    // What was drawn is kept, and so nothing has changed.
    let before = engine.ids();
    let kept = engine.command(&fermata.folder, &["stop", "--keep"]).output().unwrap();
    assert_eq!(kept.status.code(), Some(0), "{kept:?}");
    let crate::support::Fermata { mut process, folder } = fermata;
    assert_eq!(process.wait().code(), Some(0));
    let fermata = up(folder);
    assert_eq!(engine.ids(), before);
    assert_eq!(fermata.stop().code, Some(0));
    assert_eq!(engine.ids(), [""; 0]);
}

#[test]
fn databases_that_are_not_asked_for_are_only_mentioned() {
    let folder = Folder::new("version: 2\nservices:\n  job: {command: sleep 1000}\ndatabases: [redis]\n");
    let fermata = folder.up();
    let note = "fermata      │ warning: databases: redis is not run here; fermata up --with-databases runs them as \
                containers for development; otherwise tell services in env_vars where they are";
    assert!(fermata.process.stdout.text().lines().any(|line| line == note), "{}", fermata.process.transcript());
    assert_eq!(fermata.stop().code, Some(0));
}
