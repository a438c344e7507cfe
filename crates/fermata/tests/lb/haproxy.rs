//! The same tier by a real `HAProxy`: what holds for both engines, and how one is changed while it runs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::server::{Mood, Server};
use super::support::{Ended, Fermata, Folder, PATIENCE, trusting, until};
use super::{Ports, ask, balance, echoes, get, get_from, open, runtime, who};

const ENGINE: &str = "engine: haproxy";

/// A balancer whose every server is well.
fn balanced(ports: Ports, servers: &[&Server], more: &[&str]) -> Fermata {
    let more = [&[ENGINE], more].concat();
    let balancer = balance(Folder::new(&ports.file(servers, &more)));
    for server in servers {
        until("it is well", || states(&balancer, server.name()).iter().all(|state| state == "up"));
    }
    balancer
}

/// The states of a server, in each backend.
fn states(balancer: &Fermata, server: &str) -> Vec<String> {
    let status = balancer.status();
    let services = status["services"].as_array().expect("services").iter();
    let rows = services.flat_map(|service| service["instances"].as_array().expect("instances"));
    rows.filter(|row| row["name"] == server).map(|row| row["state"].as_str().expect("a state").to_owned()).collect()
}

fn reload(balancer: &Fermata) -> Ended {
    balancer.folder.run(&["reload", "--state-dir", "state"])
}

/// The pid of its master.
fn master(balancer: &Fermata) -> Pid {
    let said = balancer.status()["engine"].as_str().expect("an engine").to_owned();
    let pid = said.split("(pid ").nth(1).and_then(|rest| rest.split(')').next()).expect("a pid");
    Pid::from_raw(pid.parse().expect("a number")).expect("a process")
}

#[test]
fn haproxy_sends_everything_where_fermata_does() {
    for engine in ["engine: builtin", ENGINE] {
        let ports = Ports::new();
        let server = ports.serve(2);
        let balancer = balance(Folder::new(&ports.file(&[&server], &[engine, super::QUICK])));
        until("the server is well", || get(ports.http, "/", "").0.ends_with(" 200 OK"));
        let page = format!("web2 on {} for 127.0.0.9\n", ports.http);
        assert_eq!(get_from([127, 0, 0, 9].into(), ports.http, "/", "").1, page, "{engine}");
        let others = "X-Forwarded-For: 192.0.2.1\r\nUpgrade: h2c\r\nConnection: upgrade\r\n";
        assert_eq!(get(ports.http, "/", others).1, format!("web2 on {} for 127.0.0.1\n", ports.http), "{engine}");
        for port in [ports.https, ports.ws, ports.wss] {
            assert_eq!(get(port, "/", "").1, format!("web2 on {port} for 127.0.0.1\n"), "{engine}");
        }
        let runtime = runtime();
        let (mut socket, name) = runtime.block_on(open(ports.ws));
        assert_eq!(name, "web2", "{engine}");
        runtime.block_on(echoes(&mut socket));
        drop(socket);
        assert_eq!(balancer.stop().code, Some(0), "{engine}");
    }
}

#[test]
fn a_websocket_and_its_visitor_s_requests_meet_one_server() {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let balancer = balanced(ports, &servers.each_ref(), &["balance: roundrobin"]);
    let request = "GET / HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n";
    let answer = ask([127, 0, 0, 1].into(), ports.http, request);
    let cookie =
        answer.split("set-cookie: ").nth(1).and_then(|rest| rest.split(';').next()).expect("a cookie").to_owned();
    let name = cookie.strip_prefix("FERMATA=").expect("that cookie").to_owned();
    for _ in 0..4 {
        assert!(get(ports.http, "/", &format!("Cookie: {cookie}\r\n")).1.starts_with(&format!("{name} ")));
    }
    drop(balancer);
}

#[test]
fn a_reload_keeps_open_sockets_and_a_broken_line_of_one_s_own_changes_nothing() {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let balancer = balanced(ports, &[&servers[0]], &[]);
    let runtime = runtime();
    let (mut socket, name) = runtime.block_on(open(ports.http));
    assert_eq!(name, "web2");

    let broken = ports.file(&servers.each_ref(), &[ENGINE, "haproxy: {frontend: nonsense words}"]);
    balancer.folder.write("service.yml", &broken);
    let refused = reload(&balancer);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let said = "HAProxy does not take this configuration, and nothing was changed:";
    assert!(
        refused.stderr.contains(said) && refused.stderr.contains("unknown keyword 'nonsense' in 'frontend'"),
        "{refused:?}"
    );
    assert_eq!(who(ports.http), "web2");
    runtime.block_on(echoes(&mut socket));

    let good = ports.file(&servers.each_ref(), &[ENGINE, "haproxy: {frontend: http-response set-header X-Own yes}"]);
    balancer.folder.write("service.yml", &good);
    // The change of the file may have been seen before the command.
    assert_eq!(reload(&balancer).code, Some(0));
    until("web3 is well", || states(&balancer, "web3").iter().all(|state| state == "up"));
    until("web3 gets some", || who(ports.http) == "web3");
    let answer = ask([127, 0, 0, 1].into(), ports.http, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.contains("\r\nx-own: yes\r\n"), "{answer}");
    runtime.block_on(echoes(&mut socket));
    let status = balancer.folder.run(&["status", "--state-dir", "state"]);
    assert!(status.stdout.contains("\nHAProxy ") && status.stdout.contains("web2"), "{status:?}");
    drop(socket);
    assert_eq!(balancer.stop().code, Some(0));
}

#[test]
fn weights_need_no_reload_and_a_drained_server_is_back_with_the_next() {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let balancer = balanced(ports, &servers.each_ref(), &[]);
    let before = master(&balancer);
    let drained = balancer.folder.run(&["drain", "web3", "--state-dir", "state"]);
    assert_eq!(
        drained.stdout,
        format!(
            "web3 gets nothing new in web, sockets, pass-{}, pass-{}, pass-{} until the next fermata reload; its 0 connections \
             go on until they end\n",
            sorted(ports)[0],
            sorted(ports)[1],
            sorted(ports)[2]
        )
    );
    assert!((0..10).all(|_| who(ports.http) == "web2"));
    let heavy = ports.file(&servers.each_ref(), &[ENGINE]).replace("name: web2,", "weight: 7, name: web2,");
    balancer.folder.write("service.yml", &heavy);
    let line = balancer.process.wait_for("the change", |line| line.contains("changed while HAProxy runs"));
    assert!(line.contains("set server web/web2 weight 7"), "{line}");
    until("web3 is back", || states(&balancer, "web3").iter().all(|state| state == "up"));
    assert!(balancer.status()["engine"].as_str().is_some_and(|said| said.ends_with("reloaded 0 times")));
    assert_eq!(master(&balancer), before);
    let unknown = balancer.folder.run(&["drain", "web9", "--state-dir", "state"]);
    assert_eq!(unknown.stderr, "error: there is no server \"web9\"; there are web2, web3\n");
}

fn sorted(ports: Ports) -> [u16; 3] {
    let mut passed = [ports.https, ports.ws, ports.wss];
    passed.sort_unstable();
    passed
}

#[test]
fn a_websocket_s_path_as_check_is_explained() {
    let ports = Ports::new();
    let server = ports.serve(2);
    server.be(Mood::Picky);
    let balancer = balance(Folder::new(&ports.file(&[&server], &[ENGINE, super::QUICK])));
    let explained = "(L7STS/426, which a WebSocket's path answers: check another)";
    until("the check has failed", || states(&balancer, "web2").iter().any(|state| state.contains(explained)));
}

#[test]
fn haproxy_is_started_again_and_outlives_fermata() {
    let ports = Ports::new();
    let server = ports.serve(2);
    let balancer = balanced(ports, &[&server], &[]);
    kill_process(master(&balancer), Signal::KILL).expect("it runs");
    balancer.process.wait_for("that it was started again", |line| line.contains("HAProxy runs again"));
    until("it serves", || get(ports.http, "/", "").0.ends_with(" 200 OK"));

    let runtime = runtime();
    let (mut socket, _) = runtime.block_on(open(ports.http));
    let left = master(&balancer);
    let Fermata { mut process, folder } = balancer;
    process.signal(Signal::KILL);
    process.wait();
    runtime.block_on(echoes(&mut socket));
    let next = balance(folder);
    runtime.block_on(echoes(&mut socket));
    assert_eq!(who(ports.http), "web2");
    assert_eq!(master(&next), left, "it was taken over");
    drop(socket);
    assert_eq!(next.stop().code, Some(0));
    until("it has ended", || test_kill_process(left).is_err());
}

#[test]
fn what_is_missing_is_said_with_what_to_do() {
    let ports = Ports::new();
    let server = ports.serve(2);
    let folder = Folder::new(&ports.file(&[&server], &[]));
    let old = folder.write("haproxy", "#!/bin/sh\necho 'HA-Proxy version 1.8.19-1+deb10u3 2020/08/01'\n");
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o755)).expect("the mode can be set");
    let mut command: Command = folder.command(&["lb", "--engine", "haproxy", "--state-dir", "state"]);
    let ended = command.env("PATH", folder.path()).output().expect("fermata runs");
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&ended.stderr),
        format!(
            "error: {} is HAProxy 1.8.19-1+deb10u3, and 2.4 is the oldest that serves: install a newer one \
             (haproxy.debian.net has packages), or write engine: builtin\n",
            old.display()
        )
    );
    let taken = std::net::TcpListener::bind(("127.0.0.1", ports.http)).expect("the port is free");
    let ended = folder.run(&["lb", "--engine", "haproxy", "--state-dir", "state"]);
    assert_eq!(ended.code, Some(1));
    let said = format!("cannot bind socket (Address already in use) for [127.0.0.1:{}]", ports.http);
    assert!(ended.stderr.contains("error: HAProxy did not start") && ended.stderr.contains(&said), "{ended:?}");
    drop(taken);
}

/// A frame of HTTP/2 (RFC 9113 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn read_frame(from: &mut impl Read) -> (u8, Vec<u8>) {
    let mut head = [0; 9];
    from.read_exact(&mut head).expect("a frame");
    let mut payload = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
    from.read_exact(&mut payload).expect("the rest of it");
    (head[3], payload)
}

/// A header without the tables of HPACK (RFC 7541 6.2.2).
fn literal(name: &str, value: &str) -> Vec<u8> {
    let short = |text: &str| [&[u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
    [vec![0], short(name), short(value)].concat()
}

#[test]
fn a_websocket_over_http_2_reaches_the_servers_websocket_port() {
    let ports = Ports::new();
    // Their port for requests is another one, where nothing listens.
    let server = Server::start(2, &[ports.ws, ports.wss]);
    let tls = "tls: {certificates: [{cert: app.pem, key: app.key}]}\n";
    let folder = Folder::new(&format!("{}{tls}", ports.file(&[&server], &[ENGINE])));
    let certificate = folder.write_certificate("app", &["localhost"]);
    let balancer = balance(folder);
    until("the sockets are well", || states(&balancer, "web2").iter().filter(|state| *state == "up").count() == 3);

    let mut config = ClientConfig::clone(&trusting(&certificate));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let session = ClientConnection::new(config.into(), "localhost".try_into().expect("a name")).expect("a session");
    let stream = TcpStream::connect(("127.0.0.1", ports.https)).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let mut client = StreamOwned::new(session, stream);
    client.write_all(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[])].concat()).expect("it reads");
    // SETTINGS_ENABLE_CONNECT_PROTOCOL = 1 (RFC 8441 3).
    let (kind, settings) = read_frame(&mut client);
    assert_eq!(kind, 4);
    assert!(settings.chunks(6).any(|one| one == [0, 8, 0, 0, 0, 1]), "{settings:?}");
    let head = [
        literal(":method", "CONNECT"),
        literal(":protocol", "websocket"),
        literal(":scheme", "https"),
        literal(":path", "/"),
        literal(":authority", "localhost"),
        literal("sec-websocket-version", "13"),
    ];
    client.write_all(&frame(1, 4, 1, &head.concat())).expect("it reads");
    let mut next = |wanted: u8| std::iter::repeat_with(|| read_frame(&mut client)).find(|(kind, _)| *kind == wanted);
    // `:status: 200` is number 8 of the static table.
    let (_, answer) = next(1).expect("HEADERS");
    assert_eq!(answer.first(), Some(&0x88), "{answer:x?}");
    let (_, said) = next(0).expect("DATA");
    assert_eq!(said, b"\x81\x04web2");
}
