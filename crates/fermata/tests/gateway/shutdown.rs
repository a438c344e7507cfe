//! How the gateway leaves: nothing new, everything under way to its end, and only then the services.

use rustix::process::Signal;

use crate::frames::{HANDSHAKE, SWITCH, close, frame, masked};
use crate::site::{Service, Site, service_yml};
use crate::support::{Folder, Process, free_port};
use crate::talk::{End, Talk};

const GET: &str = "GET / HTTP/1.1\nHost: app\n\n";
const OK: &str = "HTTP/1.1 200 OK\nContent-Length: 2\n\nok";
const LEAVING: &str = "the gateway is stopping";

/// A tunnel: the client's end and the service's.
fn open(site: &Site) -> (Talk, Talk) {
    let mut client = site.connect();
    client.say(HANDSHAKE);
    let mut service = site.service.accept();
    service.head();
    service.say(SWITCH);
    client.head();
    // Bytes have passed: it stands.
    client.send(masked(1, "hello"));
    service.frame();
    (client, service)
}

/// Asks the gateway to end, and waits until it has begun to.
fn leave(site: &mut Site, signal: Signal) {
    site.fermata.process.signal(signal);
    site.fermata.process.wait_for("that it stops", |line| line.contains(" stopping"));
}

#[test]
fn every_client_is_told_with_1001_and_what_both_sides_still_say_arrives() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut site = Site::new();
        let mut tunnels = [(); 3].map(|()| open(&site));
        leave(&mut site, signal);
        for (client, service) in &mut tunnels {
            assert_eq!(client.closed(), (1001, LEAVING.into()));
            client.send([masked(1, "one more thing"), masked(8, close(1001, ""))].concat());
            assert_eq!(service.frame(), (1, b"one more thing".to_vec()));
            assert_eq!(service.closed().0, 1001);
            service.send(frame(8, close(1001, "")));
            service.finish();
            assert_eq!(client.end(), End::Closed);
            client.finish();
            assert_eq!(service.end(), End::Closed);
        }
        assert_eq!(site.fermata.process.wait().code(), Some(0));
    }
}

#[test]
fn a_close_stands_between_messages() {
    let mut site = Site::new();
    let (mut client, mut service) = open(&site);
    let message = frame(2, vec![7; 1000]);
    service.send(&message[..500]);
    assert_eq!(client.bytes(500), message[..500]);
    leave(&mut site, Signal::TERM);
    // In the middle of a message nothing else may be said (RFC 6455 5.4).
    service.send(&message[500..]);
    assert_eq!(client.bytes(message.len() - 500), message[500..]);
    assert_eq!(client.closed(), (1001, LEAVING.into()));
}

#[test]
fn peers_that_say_nothing_are_waited_for_but_not_for_ever() {
    let mut site = Site::new();
    let (mut client, _service) = open(&site);
    leave(&mut site, Signal::TERM);
    assert_eq!(client.closed(), (1001, LEAVING.into()));
    assert_eq!(site.fermata.process.wait().code(), Some(0));
    assert_eq!(client.end(), End::Reset);
}

#[test]
fn requests_under_way_are_finished_and_kept_connections_ended() {
    let mut site = Site::new();
    let mut idle = site.connect();
    idle.say(GET);
    let mut first = site.service.accept();
    first.head();
    first.say(&OK.replace("\n\n", "\nConnection: close\n\n"));
    idle.response();
    let mut waiting = site.connect();
    waiting.say(GET);
    let mut service = site.service.accept();
    service.head();
    let mut reading = site.connect();
    reading.say(GET);
    let mut other = site.service.accept();
    other.head();
    other.say("HTTP/1.1 200 OK\nContent-Length: 10\n\nfirst");
    reading.head();
    assert_eq!(reading.text(5), "first");
    let mut uploading = site.connect();
    uploading.say("PUT / HTTP/1.1\nHost: app\nContent-Length: 10\n\nfirst");
    let mut third = site.service.accept();
    third.head();
    assert_eq!(third.text(5), "first");
    let mut silent = site.connect();
    let mut begun = site.connect();
    begun.send("GET / HT");

    leave(&mut site, Signal::TERM);
    assert_eq!(idle.end(), End::Closed);
    assert_eq!(silent.end(), End::Closed);
    assert_ne!(begun.try_end(), None);

    service.say(OK);
    let response = waiting.response();
    assert_eq!(response.head, "HTTP/1.1 200 OK\nconnection: close\ncontent-length: 2\nx-request-id: (fresh)");
    assert_eq!(response.body, "ok");
    assert_eq!(waiting.end(), End::Closed);

    other.send("later");
    assert_eq!(reading.text(5), "later");
    assert_eq!(reading.end(), End::Closed);

    uploading.send("later");
    assert_eq!(third.text(5), "later");
    third.say(OK);
    assert_eq!(uploading.response().body, "ok");
    drop((waiting, reading, uploading));
    assert_eq!(site.fermata.process.wait().code(), Some(0));
}

#[test]
fn a_handshake_under_way_ends_in_a_tunnel_that_is_told_at_once() {
    let mut site = Site::new();
    let mut client = site.connect();
    client.say(HANDSHAKE);
    let mut service = site.service.accept();
    service.head();
    leave(&mut site, Signal::TERM);
    service.say(SWITCH);
    assert!(client.head().starts_with("HTTP/1.1 101 "));
    assert_eq!(client.closed(), (1001, LEAVING.into()));
    client.send(masked(8, close(1001, "")));
    assert_eq!(service.closed().0, 1001);
}

#[test]
fn nobody_new_is_let_in() {
    let mut site = Site::new();
    let (_client, _service) = open(&site);
    leave(&mut site, Signal::TERM);
    let refused = (0..1000).any(|_| match std::net::TcpStream::connect(("127.0.0.1", site.http)) {
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        Ok(_) => false,
    });
    assert!(refused);
}

/// A service of a file that runs it, and that says when it is asked to end.
fn with_a_command(script: &str) -> (Folder, Service, u16) {
    let (service, http) = (Service::new(), free_port());
    let yml = service_yml(service.port, &format!("http: {http}"), "", "");
    let folder =
        Folder::new(&yml.replace("services:\n", "services:\n  worker: {command: ./worker, stop_grace: 30s}\n"));
    let file = folder.write("worker", &format!("#!/bin/sh\n{script}"));
    std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it is our file");
    (folder, service, http)
}

#[test]
fn services_are_asked_to_end_after_the_tunnels_have_ended() {
    let script = "trap 'echo asked to end; exit' TERM\necho at work\nsleep 60 &\nwait\n";
    let (folder, service, http) = with_a_command(script);
    let mut site = Site { fermata: folder.up(), service, http };
    site.fermata.process.wait_for("that it works", |line| line.ends_with("│ at work"));
    let (mut client, mut service) = open(&site);
    leave(&mut site, Signal::TERM);
    client.closed();
    assert!(!site.fermata.process.stdout.text().contains("worker.1 stops"));
    client.send(masked(8, close(1001, "")));
    service.closed();
    drop((client, service));
    assert_eq!(site.fermata.process.wait().code(), Some(0));
    let stdout = site.fermata.process.stdout.whole();
    let last: Vec<&str> = stdout.lines().skip_while(|line| !line.contains(" stopping")).collect();
    let expected = [
        "fermata      │ stopping; 1 tunnels are told so (Close 1001)",
        "fermata      │ worker.1 stops",
        "worker.1     │ asked to end",
        "fermata      │ worker.1 has stopped",
    ];
    assert_eq!(last, expected);
}

#[test]
fn a_second_ctrl_c_ends_at_once_and_leaves_no_process() {
    let (folder, service, http) = with_a_command("trap '' TERM\necho $$\nsleep 60 &\nwait\n");
    let mut site = Site { fermata: folder.up(), service, http };
    let number = |line: &str| line.rsplit("│ ").next().and_then(|text| text.parse::<u32>().ok());
    let line = site.fermata.process.wait_for("its number", |line| line.starts_with("worker") && number(line).is_some());
    let worker = number(&line).expect("a number");
    let (mut client, _service) = open(&site);
    leave(&mut site, Signal::INT);
    client.closed();
    site.fermata.process.signal(Signal::INT);
    assert_eq!(site.fermata.process.wait().code(), Some(1));
    assert_ne!(client.try_end(), None);
    let stderr = site.fermata.process.stderr.whole();
    let words = "error: stopped at once: tunnels and requests were cut, and services killed";
    assert_eq!(stderr.lines().last(), Some(words));
    // Killed; whoever adopted it may not have noticed yet.
    let state = std::fs::read_to_string(format!("/proc/{worker}/stat")).unwrap_or_default();
    let state = state.rsplit(") ").next().and_then(|rest| rest.chars().next());
    assert!(matches!(state, None | Some('Z' | 'X')), "{state:?}");
}

#[test]
fn it_can_begin_again_at_once_on_the_same_ports() {
    let mut site = Site::new();
    let (http, port) = (site.http, site.service.port);
    let (mut client, service) = open(&site);
    leave(&mut site, Signal::TERM);
    client.closed();
    drop((client, service));
    assert_eq!(site.fermata.process.wait().code(), Some(0));
    let folder = Folder::new(&service_yml(port, &format!("http: {http}"), "", ""));
    let again = Process::start(&mut folder.command(&["up", "--state-dir", "state"]));
    again.wait_for("that it is ready", |line| line.starts_with("ready"));
}
