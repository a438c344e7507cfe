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

/// Counts, on its output and on its errors in turns.
const COUNT: &str = "i=0
while :; do
  i=$((i + 2))
  echo $((i - 1))
  echo $i >&2
  sleep 0.01
done
";

#[test]
fn every_line_of_a_container_is_heard_once_whoever_listens() {
    let engine = Engine::start();
    engine.import_bare("fermata-test:bare");
    let folder = Folder::new("");
    folder.write("count", COUNT);
    let site = folder.path().canonicalize().unwrap();
    folder.write(
        "service.yml",
        &format!(
            "version: 2\nservices:\n  job:\n    image: fermata-test:bare\n    command: sh /site/count\n    stop_grace: 0\n    \
             volumes: [\"/usr:/usr:ro\", \"{}:/site:ro\"]\n",
            site.display()
        ),
    );
    let fermata = engine.up(folder);
    let counted = || -> Vec<usize> {
        let text = fermata.process.stdout.text();
        let numbers = text.lines().filter_map(|line| line.strip_prefix("job.1        │ ")?.parse().ok());
        numbers.collect()
    };
    for _ in 0..3 {
        let before = counted().len();
        until("it counts", || counted().len() > before + 20);
        let upgrade = engine.command(&fermata.folder, &["upgrade"]).output().unwrap();
        assert_eq!(upgrade.status.code(), Some(0), "{upgrade:?}");
    }
    let before = counted().len();
    until("it counts", || counted().len() > before + 20);
    assert_eq!(engine.command(&fermata.folder, &["stop"]).status().unwrap().code(), Some(0));
    let mut counted = counted();
    // Which of two streams is read first is nobody's promise.
    counted.sort_unstable();
    let all: Vec<usize> = (1..=counted.len()).collect();
    assert_eq!(counted, all);
}
