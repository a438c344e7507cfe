//! Health checks of every kind.

use crate::house::{ANSWER, House, Service, address, events, happened, lines_of, status_of};
use crate::support::{free_port, until};

super::in_both!(
    an_instance_gets_traffic_while_its_ready_check_passes,
    https_is_asked_whatever_the_certificate_says,
    a_tcp_check_waits_for_a_port_that_accepts_connections,
    a_command_decides_whether_an_instance_is_ready,
    a_websocket_handshake_decides_whether_an_instance_is_ready,
    an_instance_whose_alive_check_fails_is_ended_and_started_again,
    a_startup_check_suspends_the_others_until_it_passes,
    an_instance_that_does_not_start_in_time_is_started_again,
);

/// A service that answers as the file `status` says.
fn answering<'a>(container: u16, http: u16, health: &str) -> Service<'a> {
    Service::new(
        "web",
        "python3 answer",
        format!("ports: [{{container: {container}, http: {http}}}]\nhealth: {health}"),
    )
}

fn an_instance_gets_traffic_while_its_ready_check_passes(house: &House) {
    let (http, container, folder) = (free_port(), free_port(), House::folder());
    folder.write("answer", ANSWER);
    folder.write("status", "503");
    let health = "{ready: {type: http, endpoint: /healthz, initial_delay: 0, period: 1}}";
    house.write(&folder, &[answering(container, http, health)]);
    let fermata = house.begin(folder);
    until("it was asked", || lines_of(&fermata, "web.1").iter().any(|line| line == "asked for /healthz"));
    assert_eq!(status_of(http), 503, "not by the service, which nobody asked");
    assert!(!lines_of(&fermata, "web.1").contains(&"asked for /page".to_owned()));

    fermata.folder.write("status", "204");
    let at = address(&happened(&fermata, "web.1 is ready", 1));
    assert_eq!(status_of(http), 204);
    fermata.folder.write("status", "404");
    let why = happened(&fermata, "web.1 is not ready", 1);
    assert_eq!(why, format!("web.1 is not ready: GET /healthz at {at} answered 404"));
    let instance = fermata.status()["services"][0]["instances"][0].clone();
    assert_eq!(instance["health"], "failing");
    assert_eq!(instance["reason"], format!("GET /healthz at {at} answered 404"));
    assert_eq!(status_of(http), 503);
    fermata.folder.write("status", "302");
    happened(&fermata, "web.1 is ready", 2);
    assert_eq!(status_of(http), 302);
    assert_eq!(fermata.stop().code, Some(0));
}

fn https_is_asked_whatever_the_certificate_says(house: &House) {
    let (http, container, folder) = (free_port(), free_port(), House::folder());
    let made = rcgen::generate_simple_self_signed(vec!["somebody.else".to_owned()]).unwrap();
    folder.write("cert.pem", &made.cert.pem());
    folder.write("key.pem", &made.signing_key.serialize_pem());
    folder.write("answer", ANSWER);
    folder.write("status", "500");
    let health = "{ready: {type: https, endpoint: /, initial_delay: 0, period: 1}}";
    house.write(&folder, &[answering(container, http, health)]);
    let fermata = house.begin(folder);
    until("it was asked", || !lines_of(&fermata, "web.1").is_empty());
    fermata.folder.write("status", "200");
    happened(&fermata, "web.1 is ready", 1);
    assert_eq!(fermata.stop().code, Some(0));
}

fn a_tcp_check_waits_for_a_port_that_accepts_connections(house: &House) {
    let (http, container, folder) = (free_port(), free_port(), House::folder());
    folder.write("answer", ANSWER);
    folder.write("status", "200");
    folder.write("slowly", "echo up\nwhile ! test -e go; do sleep 0.1; done\nexec python3 answer\n");
    let health = "{ready: {type: tcp, initial_delay: 0, period: 1}}";
    house.write(&folder, &[Service { command: "sh slowly", ..answering(container, http, health) }]);
    let fermata = house.begin(folder);
    until("it runs", || lines_of(&fermata, "web.1") == ["up"]);
    assert_eq!(status_of(http), 503);
    fermata.folder.write("go", "");
    happened(&fermata, "web.1 is ready", 1);
    assert_eq!(status_of(http), 200);
    assert_eq!(fermata.stop().code, Some(0));
}

fn a_command_decides_whether_an_instance_is_ready(house: &House) {
    let (http, container, folder) = (free_port(), free_port(), House::folder());
    folder.write("answer", ANSWER);
    folder.write("status", "200");
    let health = "{ready: {type: exec, command: test -e well, initial_delay: 0, period: 1, timeout: 20}}";
    house.write(&folder, &[answering(container, http, health)]);
    let fermata = house.begin(folder);
    happened(&fermata, "web.1 starts", 1);
    assert_eq!(status_of(http), 503);
    fermata.folder.write("well", "");
    happened(&fermata, "web.1 is ready", 1);
    std::fs::remove_file(fermata.folder.path().join("well")).unwrap();
    let why = happened(&fermata, "web.1 is not ready", 1);
    assert_eq!(why, "web.1 is not ready: test ended with exit code 1");
    assert_eq!(fermata.stop().code, Some(0));
}

fn a_websocket_handshake_decides_whether_an_instance_is_ready(house: &House) {
    let (http, container, folder) = (free_port(), free_port(), House::folder());
    let keys = format!(
        "ports: [{{container: {container}, http: {http}}}]\nhealth: {{ready: {{type: websocket, endpoint: /, \
         initial_delay: 0, period: 1}}}}\nstop_grace: 2"
    );
    folder.write("echo", &format!("exec $FERMATA echo --listen $HOST:{container}\n"));
    house.write(&folder, &[Service::new("web", "sh echo", keys)]);
    let fermata = house.up(folder);
    let probe = fermata.folder.run(&["probe", &format!("ws://127.0.0.1:{http}/")]);
    assert_eq!(probe.code, Some(0), "{probe:?}");
    assert_eq!(fermata.stop().code, Some(0));
}

fn an_instance_whose_alive_check_fails_is_ended_and_started_again(house: &House) {
    let (http, container, folder) = (free_port(), free_port(), House::folder());
    folder.write("answer", ANSWER);
    folder.write("status", "200");
    let health = "{alive: {type: http, endpoint: /alive, initial_delay: 0, period: 1, failure_threshold: 2}, \
                  startup: {type: tcp, initial_delay: 0, period: 1, failure_threshold: 1000}}";
    house.write(&folder, &[answering(container, http, health)]);
    let fermata = house.up(folder);
    let at = address(&happened(&fermata, "web.1 is ready", 1));
    fermata.folder.write("status", "500");
    assert_eq!(
        happened(&fermata, "web.1 is being ended", 1),
        format!(
            "web.1 is being ended: its alive check failed: GET /alive at {at} answered 500; starting again in 0.5 s"
        )
    );
    fermata.folder.write("status", "200");
    happened(&fermata, "web.1 is ready", 2);
    assert_eq!(fermata.status()["services"][0]["instances"][0]["restarts"], 1);
    assert_eq!(fermata.stop().code, Some(0));
}

fn a_startup_check_suspends_the_others_until_it_passes(house: &House) {
    let folder = House::folder();
    folder.write("wait", "trap exit TERM\nwhile :; do sleep 0.1; done\n");
    folder.write("begun", "echo startup >> seen\ntest -e up\n");
    folder.write("ready", "echo ready >> seen\n");
    folder.write("alive", "echo alive >> seen\n");
    let every = "initial_delay: 0, period: 1, timeout: 20";
    let keys = format!(
        "health:\n  startup: {{type: exec, command: sh begun, failure_threshold: 1000, {every}}}\n  \
         ready: {{type: exec, command: sh ready, {every}}}\n  alive: {{type: exec, command: sh alive, {every}}}"
    );
    house.write(&folder, &[Service::new("web", "sh wait", keys)]);
    let fermata = house.begin(folder);
    let seen = || std::fs::read_to_string(fermata.folder.path().join("seen")).unwrap_or_default();
    until("it was looked at twice", || seen().lines().count() >= 2);
    fermata.folder.write("up", "");
    happened(&fermata, "web.1 is ready", 1);
    let seen = seen();
    let first_other = seen.lines().position(|line| line != "startup").unwrap();
    assert!(first_other >= 2 && !seen.lines().skip(first_other).any(|line| line == "startup"), "{seen}");
    assert_eq!(fermata.stop().code, Some(0));
}

fn an_instance_that_does_not_start_in_time_is_started_again(house: &House) {
    let folder = House::folder();
    folder.write("wait", "trap exit TERM\nwhile :; do sleep 0.1; done\n");
    folder.write("never", "echo not yet, $NOTE >&2\nexit 3\n");
    let health =
        "{startup: {type: exec, command: sh never, initial_delay: 0, period: 1, failure_threshold: 2, timeout: 20}}";
    let service = Service::new("web", "sh wait", format!("health: {health}"));
    house.write(&folder, &[Service { variables: "NOTE: sorry", ..service }]);
    let fermata = house.begin(folder);
    let why =
        "web.1 is being ended: its startup check failed: sh ended with exit code 3: not yet, sorry; starting again in ";
    happened(&fermata, "web.1 is being ended", 2);
    let told: Vec<String> =
        events(&fermata).into_iter().filter(|event| event.contains("being ended")).take(2).collect();
    assert_eq!(told, [format!("{why}0.5 s"), format!("{why}1 s")]);
    assert_eq!(fermata.stop().code, Some(0));
}
