//! Containers outlive a Fermata that dies, and are put right when they die themselves.

use rustix::process::Signal;

use crate::engine::{Engine, IMAGE};
use crate::support::{Fermata, Folder, free_port, until};

fn service_yml(http: u16, colour: &str, services: &[&str]) -> String {
    let ports = |name: &str| {
        if name == "web" { format!("\n    ports: [{{container: 3000, http: {http}}}]") } else { String::new() }
    };
    let service = |name: &&str| {
        format!("\n  {name}:\n    image: {IMAGE}\n    stop_grace: 2\n    env_vars: {{COLOUR: {colour}}}{}", ports(name))
    };
    let services: String = services.iter().map(service).collect();
    format!("version: 2\nservices:{services}\ngateway: {{bind: [127.0.0.1]}}\n")
}

/// Ends it as nobody should.
fn kill(fermata: Fermata) -> Folder {
    let Fermata { mut process, folder } = fermata;
    process.signal(Signal::KILL);
    process.wait();
    folder
}

#[test]
fn the_next_fermata_keeps_containers_that_are_right_replaces_others_and_removes_the_rest() {
    let engine = Engine::start();
    let http = free_port();
    let fermata = engine.up(Folder::new(&service_yml(http, "green", &["web", "worker"])));
    let before = engine.ids();
    assert_eq!(before.len(), 2);

    let folder = kill(fermata);
    assert_eq!(engine.ids(), before, "containers live on");
    let fermata = engine.up(folder);
    assert_eq!(engine.ids(), before, "an unchanged file changes nothing");
    let goes_on = "fermata      │ web.1: its container of an earlier run goes on";
    assert!(fermata.process.stdout.text().contains(goes_on), "{}", fermata.process.transcript());

    let kept = engine.command(&fermata.folder, &["stop", "--keep"]).output().unwrap();
    assert_eq!(kept.status.code(), Some(0));
    let Fermata { mut process, folder } = fermata;
    assert_eq!(process.wait().code(), Some(0));
    assert_eq!(engine.ids(), before, "stop --keep stops none");

    folder.write("service.yml", &service_yml(http, "blue", &["web"]));
    let fermata = engine.up(folder);
    let after = engine.ids();
    assert_eq!(after.len(), 1);
    assert!(!before.contains(&after[0]), "another colour is another container");
    assert_eq!(fermata.stop().code, Some(0));
    assert_eq!(engine.ids(), [""; 0]);
}

/// What `up --dry-run` says of containers, without the project's own name.
fn foreseen(engine: &Engine, folder: &Folder) -> String {
    let said = engine.command(folder, &["up", "--dry-run"]).output().unwrap();
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    let said = String::from_utf8(said.stdout).unwrap();
    let (_, containers) = said.split_once("\ncontainers of fermata-").unwrap_or_else(|| panic!("{said}"));
    let (heading, fates) = containers.split_once('\n').unwrap_or((containers, ""));
    assert!(heading.ends_with(&format!(", on the Docker Engine at {}", engine.host())), "{heading}");
    fates.to_owned()
}

#[test]
fn a_dry_run_asks_the_engine_what_would_become_of_each_container_and_changes_nothing() {
    let engine = Engine::start();
    let http = free_port();
    let folder = Folder::new(&service_yml(http, "green", &["web", "worker"]));
    assert_eq!(foreseen(&engine, &folder), "  start      web.1, worker.1\n");
    assert_eq!(engine.ids(), [""; 0]);

    let folder = kill(engine.up(folder));
    let before = engine.ids();
    assert_eq!(foreseen(&engine, &folder), "  unchanged  web.1, worker.1\n");
    let changed = service_yml(http, "blue", &["web"]).replace("stop_grace: 2", "stop_grace: 2\n    replicas: 2");
    let cache = "  cache:\n    image: registry.invalid/cache:7\n";
    folder.write("service.yml", &changed.replace("gateway:", &format!("{cache}gateway:")));
    assert_eq!(
        foreseen(&engine, &folder),
        "  pull       registry.invalid/cache:7\n  start      cache.1, web.2\n  replace    web.1: made of something \
         else now\n  remove     worker.1\n"
    );
    assert_eq!(engine.ids(), before, "nothing was changed");
}

#[test]
fn containers_go_with_the_last_service_that_has_an_image() {
    let engine = Engine::start();
    let folder = kill(engine.up(Folder::new(&service_yml(free_port(), "green", &["web"]))));
    assert_eq!(engine.containers().len(), 1);
    folder.write("service.yml", "version: 2\nservices:\n  other: {command: sleep 1000}\n");
    let fermata = engine.up(folder);
    assert!(fermata.process.stdout.text().contains("web.1 of an earlier run is removed"));
    assert_eq!((engine.ids(), engine.networks()), (Vec::new(), Vec::new()));
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn a_container_that_is_killed_and_an_engine_that_restarts_are_got_over() {
    let mut engine = Engine::start();
    let http = free_port();
    let fermata = engine.up(Folder::new(&service_yml(http, "green", &["web"])));
    let first = engine.ids();
    engine.kill(&first[0]);
    let ready = || fermata.process.stdout.text().matches("web.1 is ready").count();
    // What has happened to it, without the address that it happens to have.
    let story = || -> Vec<String> {
        let text = fermata.process.stdout.text();
        let events = text.lines().filter_map(|line| line.strip_prefix("fermata      │ web.1 "));
        events.map(|event| event.split(" at ").next().unwrap().to_owned()).collect()
    };
    until("another is ready", || ready() == 2);
    assert_ne!(engine.ids(), first);
    let killed =
        ["starts", "is ready, 3000", "ended with exit code 137; starting again in 0.5 s", "starts", "is ready, 3000"];
    assert_eq!(story(), killed);

    engine.restart();
    until("it is ready again", || ready() == 3);
    let ended = story()[killed.len()].clone();
    assert_eq!(ended, "ended with exit code 0; starting again in 1 s", "as the engine ends, it stops its containers");
    let probe = fermata.folder.run(&["probe", &format!("ws://127.0.0.1:{http}/")]);
    assert_eq!(probe.code, Some(0), "{probe:?}");
    assert_eq!(fermata.stop().code, Some(0));
    assert_eq!(engine.ids(), [""; 0]);
}
