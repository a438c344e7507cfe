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

#[test]
fn a_container_that_is_killed_and_an_engine_that_restarts_are_got_over() {
    let mut engine = Engine::start();
    let http = free_port();
    let fermata = engine.up(Folder::new(&service_yml(http, "green", &["web"])));
    let first = engine.ids();
    engine.kill(&first[0]);
    fermata.process.wait_for("how it ended", |line| line.contains("web.1 ended with exit code 137"));
    let ready = |fermata: &Fermata| fermata.process.stdout.text().matches("web.1 is ready").count();
    until("another is ready", || ready(&fermata) == 2);
    assert_ne!(engine.ids(), first);

    engine.restart();
    until("it is ready again", || ready(&fermata) == 3);
    let probe = fermata.folder.run(&["probe", &format!("ws://127.0.0.1:{http}/")]);
    assert_eq!(probe.code, Some(0), "{probe:?}");
    assert_eq!(fermata.stop().code, Some(0));
    assert_eq!(engine.ids(), [""; 0]);
}
