//! Instances that are added, replaced and taken away while tunnels live.

use serde_json::Value;

use crate::house::{ANSWER, House, Service, happened, status_of};
use crate::support::{Fermata, free_port, hold, until};

super::in_both!(
    a_service_is_scaled_and_replaced_under_two_hundred_tunnels,
    a_redeployment_whose_instances_fail_leaves_the_old_ones_alone,
    a_reload_replaces_what_has_changed_and_nothing_else,
);

const TUNNELS: usize = 200;

fn instances(fermata: &Fermata) -> Vec<String> {
    let status = fermata.status();
    let services = status["services"].as_array().unwrap();
    let all = services.iter().flat_map(|service| service["instances"].as_array().unwrap());
    all.map(|one: &Value| format!("{} {}", one["name"].as_str().unwrap(), one["state"].as_str().unwrap())).collect()
}

fn a_service_is_scaled_and_replaced_under_two_hundred_tunnels(house: &House) {
    let (http, container, folder) = (free_port(), free_port(), House::folder());
    folder.write("echo", "exec $FERMATA echo --listen $HOST:$PORT\n");
    let keys = format!(
        "ports: [{{container: {container}, http: {http}}}]\nreplicas: 2\nstop_grace: 2\nwebsocket: {{drain: 1s}}\n\
         health: {{ready: {{type: websocket, endpoint: /, initial_delay: 0, period: 1}}}}"
    );
    house.write(&folder, &[Service::new("web", "sh echo", keys)]);
    let fermata = house.up(folder);

    let ends = hold(http, TUNNELS);
    let (code, said) = house.ask(&fermata, &["redeploy", "web"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(ends(), ["1012"], "every tunnel was told to come back");
    assert_eq!(instances(&fermata).len(), 2);

    assert_eq!(house.ask(&fermata, &["scale", "web=+2"]).0, Some(0));
    assert_eq!(instances(&fermata).len(), 4);
    let ends = hold(http, TUNNELS);
    assert_eq!(house.ask(&fermata, &["scale", "web=-3"]).0, Some(0));
    until("the others are gone", || instances(&fermata).len() == 1);
    assert_eq!(house.ask(&fermata, &["stop"]).0, Some(0));
    assert_eq!(ends(), ["1001", "1012"], "those that lived on were told of the end");
}

fn a_redeployment_whose_instances_fail_leaves_the_old_ones_alone(house: &House) {
    let (http, container, folder) = (free_port(), free_port(), House::folder());
    folder.write("answer", ANSWER);
    folder.write("status", "200");
    folder.write("run", "exec python3 answer\n");
    house
        .write(&folder, &[Service::new("web", "sh run", format!("ports: [{{container: {container}, http: {http}}}]"))]);
    let fermata = house.up(folder);
    fermata.folder.write("run", "echo that was a mistake >&2\nexit 4\n");
    let (code, said) = house.ask(&fermata, &["redeploy", "web"]);
    assert_eq!(code, Some(1));
    let why = "web stays as it was: web.2 ended with exit code 4\nits last output:\n  that was a mistake\n";
    assert!(said.ends_with(why), "{said}");
    assert_eq!(status_of(http), 200);
    until("the new one is gone", || instances(&fermata) == ["web.1 ready"]);
    assert_eq!(fermata.stop().code, Some(0));
}

fn a_reload_replaces_what_has_changed_and_nothing_else(house: &House) {
    let (http, folder) = (free_port(), House::folder());
    folder.write("answer", ANSWER);
    folder.write("status", "200");
    folder.write("wait", "trap exit TERM\necho here\nwhile :; do sleep 0.1; done\n");
    let keys = format!("ports: [{{container: {}, http: {http}}}]\nwebsocket: {{drain: 0s}}", free_port());
    let write = |folder: &_, colour: &str, names: &[&str]| {
        let web = Service { variables: colour, ..Service::new("web", "python3 answer", keys.clone()) };
        let others = names.iter().map(|name| Service::new(name, "sh wait", ""));
        house.write(folder, &std::iter::once(web).chain(others).collect::<Vec<_>>());
    };
    write(&folder, "COLOUR: green", &["stays", "goes"]);
    let fermata = house.up(folder);
    write(&fermata.folder, "COLOUR: blue", &["stays", "comes"]);
    let (code, said) = house.ask(&fermata, &["reload"]);
    assert!(code == Some(0) || said.contains("no service has changed"), "{said}");
    happened(&fermata, "replaced web", 1);
    happened(&fermata, "removed goes", 1);
    happened(&fermata, "comes.1 is ready", 1);
    until("web is another", || instances(&fermata) == ["web.2 ready", "stays.1 ready", "comes.1 ready"]);
    assert_eq!(status_of(http), 200);
    assert_eq!(fermata.status()["services"][1]["instances"][0]["restarts"], 0);
    assert_eq!(fermata.stop().code, Some(0));
}
