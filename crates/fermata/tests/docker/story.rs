//! Containers are started, reached, scaled, replaced and stopped, under tunnels that live meanwhile.

use crate::engine::{Engine, IMAGE};
use crate::support::{Folder, free_port, hold, until};

const TUNNELS: usize = 200;

fn service_yml(http: u16) -> String {
    format!(
        "
version: 2
services:
  web:
    image: {IMAGE}
    replicas: 2
    work_dir: /lib
    env_vars: {{COLOUR: green}}
    tags: {{team: red}}
    stop_grace: 2
    post_start_command: /fermata --version
    pre_stop_command: /fermata --version
    security_context: {{run_as_user: 1000, run_as_group: 1000}}
    constraints: {{resources: {{limits: {{memory: 256Mi, cpu: 500m}}}}}}
    volumes: [\"/usr/share:/data:ro\"]
    health:
      ready: {{type: websocket, endpoint: /, initial_delay: 0, period: 1}}
      alive: {{type: exec, command: /fermata --version, initial_delay: 1, period: 1, timeout: 10}}
    websocket: {{drain: 1s}}
    ports:
    - container: 3000
      http: {http}
gateway: {{bind: [127.0.0.1]}}
"
    )
}

#[test]
fn a_service_of_containers_is_reached_scaled_and_redeployed_and_every_tunnel_is_told() {
    let engine = Engine::start();
    engine.import("fermata-test:2", &["CMD [\"echo\", \"--listen\", \"0.0.0.0:3000\"]"]);
    engine.import("fermata-test:bad", &["CMD [\"echo\", \"--no-such-option\"]"]);
    let http = free_port();
    let fermata = engine.up(Folder::new(&service_yml(http)));
    let ask = |arguments: &[&str]| {
        let mut command = engine.command(&fermata.folder, arguments);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
    };

    let made = engine.inspect(&engine.ids()[0]);
    let config = made.config.unwrap();
    assert_eq!(config.user.as_deref(), Some("1000:1000"));
    assert_eq!(config.working_dir.as_deref(), Some("/lib"));
    let env = config.env.unwrap();
    for variable in ["COLOUR=green", "PORT=3000", "PORT_3000=3000"] {
        assert!(env.iter().any(|one| one == variable), "{variable} is not in {env:?}");
    }
    let labels = config.labels.unwrap();
    let label = |name: &str| labels[name].clone();
    assert_eq!([label("fermata.service"), label("fermata.number"), label("team")], ["web", "1", "red"]);
    let host = made.host_config.unwrap();
    assert_eq!((host.memory, host.nano_cpus), (Some(256 << 20), Some(500_000_000)));
    assert_eq!(host.port_bindings.unwrap_or_default().len(), 0, "nothing bypasses the gateway");
    let mounts = host.mounts.unwrap();
    assert_eq!((mounts[0].source.as_deref(), mounts[0].read_only), (Some("/usr/share"), Some(true)));
    assert_eq!(engine.networks(), [label("fermata.project")]);

    let ends = hold(http, TUNNELS);
    let (code, said) = ask(&["redeploy", "web", "--image", "fermata-test:bad"]);
    assert_eq!(code, Some(1), "{said}");
    // Whether it ends before or after its address is known is a matter of luck.
    for words in ["web stays as it was: web.3", "exit code 2", "unexpected argument '--no-such-option'"] {
        assert!(said.contains(words), "{words} is not in {said}");
    }
    let (code, said) = ask(&["redeploy", "web", "--image", "fermata-test:2"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(ends(), ["1012"]);
    until("the old containers are gone", || engine.containers().len() == 2);
    assert_eq!(fermata.status()["services"][0]["instances"][0]["image"], "fermata-test:2");

    assert_eq!(ask(&["scale", "web=+2"]).0, Some(0));
    assert_eq!(engine.containers().len(), 4);
    let ends = hold(http, TUNNELS);
    assert_eq!(ask(&["scale", "web=-3"]).0, Some(0));
    until("the others are gone", || engine.containers().len() == 1);
    assert_eq!(ask(&["stop"]).0, Some(0));
    assert_eq!(ends(), ["1001", "1012"]);
    until("everything is gone", || engine.containers().is_empty() && engine.networks().is_empty());
}

#[test]
fn a_redeployment_that_fails_halfway_goes_back_to_the_old_image_everywhere() {
    let engine = Engine::start();
    // Only the first of its containers can leave the mark.
    let first_only = "set -C; : > /mark/first && exec /fermata echo --listen 0.0.0.0:3000";
    engine.import("fermata-test:2", &["ENTRYPOINT [\"/usr/bin/dash\", \"-c\"]", &format!("CMD [\"{first_only}\"]")]);
    let (http, mark) = (free_port(), tempfile::tempdir().unwrap());
    let fermata = engine.up(Folder::new(&format!(
        "
version: 2
services:
  web:
    image: {IMAGE}
    replicas: 2
    stop_grace: 2
    constraints: {{max_surge: 1, max_unavailable: 0}}
    volumes: [\"/usr:/usr:ro\", \"{}:/mark\"]
    websocket: {{drain: 1s}}
    ports:
    - container: 3000
      http: {http}
gateway: {{bind: [127.0.0.1]}}
",
        mark.path().display()
    )));
    let images = || -> Vec<String> {
        engine.containers().into_iter().map(|one| one.labels.unwrap()["fermata.image"].clone()).collect()
    };
    assert_eq!(images(), [IMAGE, IMAGE]);
    let said = engine.command(&fermata.folder, &["redeploy", "web", "--image", "fermata-test:2"]).output().unwrap();
    let (code, said) = (said.status.code(), String::from_utf8(said.stderr).unwrap());
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(
            "web stays as it was: web.1 ended with exit code 2\nits last output:\n  \
         /usr/bin/dash: 1: cannot create /mark/first: File exists"
        ),
        "{said}"
    );
    assert_eq!(images(), [IMAGE, IMAGE]);
    let instances = fermata.status()["services"][0]["instances"].clone();
    assert!(instances.as_array().unwrap().iter().all(|one| one["state"] == "ready"), "{instances}");
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn what_writes_in_a_container_is_heard_and_its_image_says_whether_it_is_well() {
    let engine = Engine::start();
    engine.import(
        "fermata-test:checked",
        &[
            "CMD [\"echo\", \"--listen\", \"0.0.0.0:3000\"]",
            "HEALTHCHECK --interval=1s --timeout=20s CMD [\"/fermata\", \"probe\", \"ws://front:3000/\"]",
        ],
    );
    let http = free_port();
    // Its own check reaches it by the name that others have for it.
    let fermata = engine.up(Folder::new(&format!(
        "
version: 2
services:
  front:
    image: fermata-test:checked
    health: default
    stop_grace: 2
    ports:
    - container: 3000
      http: {http}
gateway: {{bind: [127.0.0.1]}}
"
    )));
    let id = &engine.ids()[0];
    let health = engine.inspect(id).state.unwrap().health.unwrap();
    assert_eq!(health.status.unwrap().to_string(), "healthy");
    let heard = "front.1      │ listening on ws://0.0.0.0:3000/ (in a browser: http://0.0.0.0:3000/)";
    assert!(fermata.process.stdout.text().lines().any(|line| line == heard), "{}", fermata.process.transcript());
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn containers_of_an_engine_elsewhere_publish_free_ports_of_the_loopback_address() {
    let engine = Engine::with_tcp(free_port());
    let http = free_port();
    let fermata = engine.up(Folder::new(&service_yml(http)));
    let probe = fermata.folder.run(&["probe", &format!("ws://127.0.0.1:{http}/")]);
    assert_eq!(probe.code, Some(0), "{probe:?}");
    for id in engine.ids() {
        let ports = engine.inspect(&id).network_settings.unwrap().ports.unwrap();
        let bindings = ports["3000/tcp"].clone().unwrap();
        assert_eq!(bindings.iter().map(|one| one.host_ip.as_deref()).collect::<Vec<_>>(), [Some("127.0.0.1")]);
    }
    assert_eq!(fermata.stop().code, Some(0));
    assert_eq!(engine.ids(), [""; 0]);
}
