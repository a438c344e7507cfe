//! Another Fermata takes containers over.

use crate::engine::{Engine, IMAGE};
use crate::support::{Folder, free_port, hold, until};

#[test]
fn an_upgrade_leaves_containers_and_their_tunnels_where_they_are() {
    let engine = Engine::start();
    let http = free_port();
    let fermata = engine.up(Folder::new(&format!(
        "
version: 2
services:
  web:
    image: {IMAGE}
    replicas: 2
    stop_grace: 2
    ports:
    - container: 3000
      http: {http}
gateway: {{bind: [127.0.0.1]}}
"
    )));
    let before = engine.ids();
    let ends = hold(http, 50);
    // The name means another image by now: nothing that runs may change by that.
    engine.import(IMAGE, &["CMD [\"echo\", \"--no-such-option\"]"]);
    let upgrade = engine.command(&fermata.folder, &["upgrade"]).output().unwrap();
    assert_eq!(upgrade.status.code(), Some(0), "{upgrade:?}");
    let instances = || fermata.status()["services"][0]["instances"].as_array().unwrap().clone();
    assert!(instances().iter().all(|one| one["state"] == "ready" && one["restarts"] == 0), "{:?}", instances());
    assert_eq!(engine.ids(), before);
    let probe = fermata.folder.run(&["probe", &format!("ws://127.0.0.1:{http}/")]);
    assert_eq!(probe.code, Some(0), "{probe:?}");

    let scaled = engine.command(&fermata.folder, &["scale", "web=3"]).output().unwrap();
    assert_eq!(scaled.status.code(), Some(0), "one more of the same: {scaled:?}");
    engine.kill(&before[0]);
    until("it is started again", || instances().iter().any(|one| one["state"] == "ready" && one["restarts"] == 1));
    assert_eq!(engine.command(&fermata.folder, &["stop"]).status().unwrap().code(), Some(0));
    let ends = ends();
    assert!(ends.contains(&"1001".to_owned()) && !ends.contains(&"1006".to_owned()), "{ends:?}");
    until("everything is gone", || engine.containers().is_empty() && engine.networks().is_empty());
}
