//! What only `HAProxy` has, and how one is started, kept alive and changed while it runs.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::engine::{Balancer, Engine};
use crate::server::Server;
use crate::support::{Fermata, Folder, PATIENCE, TlsFront, program, trusting, until};
use crate::{Ports, ask, balance, get, open, open_ones, runtime, who};

/// The pid of its master.
fn master(balancer: &Balancer) -> Pid {
    let said = balancer.fermata.status()["engine"].as_str().expect("an engine").to_owned();
    let pid = said.split("(pid ").nth(1).and_then(|rest| rest.split(')').next()).expect("a pid");
    Pid::from_raw(pid.parse().expect("a number")).expect("a process")
}

/// How often it has read a new configuration.
fn reloads(balancer: &Balancer) -> String {
    let said = balancer.fermata.status()["engine"].as_str().expect("an engine").to_owned();
    said.rsplit(", ").next().expect("the last part").to_owned()
}

#[test]
fn a_line_of_one_s_own_is_used_and_a_broken_one_changes_nothing() {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let balancer = Engine::Haproxy.balance(ports, &[&servers[0]], &[]);
    let runtime = runtime();
    let (mut socket, _) = runtime.block_on(open(ports.http));
    for (section, refusal) in [
        ("global", "unknown keyword 'nonsense' in 'global' section"),
        ("defaults", "unknown keyword 'nonsense' in 'defaults' section"),
        ("frontend", "unknown keyword 'nonsense' in 'frontend' section"),
        ("web", "unknown keyword 'nonsense' in 'backend' section"),
        ("sockets", "unknown keyword 'nonsense' in 'backend' section"),
        ("passed", "unknown keyword 'nonsense' in 'listen' section"),
    ] {
        let own = format!("haproxy: {{{section}: nonsense words}}");
        balancer.fermata.folder.write("service.yml", &Engine::Haproxy.file(ports, &servers.each_ref(), &[&own]));
        let refused = balancer.tell(&["reload"]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        let said = "HAProxy does not take this configuration, and nothing was changed:";
        assert!(refused.stderr.contains(said) && refused.stderr.contains(refusal), "{refused:?}");
    }
    assert_eq!(who(ports.http), "web2");
    assert_eq!(runtime.block_on(open_ones(std::slice::from_mut(&mut socket))), 1);
    balancer.reload_with(&servers.each_ref(), &["haproxy: {frontend: http-response set-header X-Own yes}"]);
    until("web3 gets some", || who(ports.http) == "web3");
    let answer = ask([127, 0, 0, 1].into(), ports.http, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.contains("\r\nx-own: yes\r\n"), "{answer}");
    assert_eq!(runtime.block_on(open_ones(std::slice::from_mut(&mut socket))), 1);
    drop(socket);
    balancer.stop();
}

#[test]
fn weights_need_no_reload() {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let balancer = Engine::Haproxy.balance(ports, &servers.each_ref(), &[]);
    let before = master(&balancer);
    let heavy = Engine::Haproxy.file(ports, &servers.each_ref(), &[]).replace("name: web2,", "weight: 7, name: web2,");
    balancer.fermata.folder.write("service.yml", &heavy);
    let line = balancer.fermata.process.wait_for("the change", |line| line.contains("changed while HAProxy runs"));
    assert!(line.contains("set server web/web2 weight 7"), "{line}");
    assert_eq!((master(&balancer), reloads(&balancer)), (before, "reloaded 0 times".to_owned()));
    balancer.stop();
}

#[test]
fn a_haproxy_that_was_killed_is_started_again_and_drained_servers_stay_drained() {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let balancer = Engine::Haproxy.balance(ports, &servers.each_ref(), &[]);
    assert_eq!(balancer.tell(&["drain", "web3"]).code, Some(0));
    let killed = master(&balancer);
    kill_process(killed, Signal::KILL).expect("it runs");
    balancer.fermata.process.wait_for("that it was started again", |line| line.contains("HAProxy runs again"));
    assert_ne!(master(&balancer), killed);
    assert_eq!([(); 4].map(|()| who(ports.http)), ["web2"; 4]);
    assert_eq!(balancer.tell(&["reload"]).code, Some(0));
    until("web3 is back", || who(ports.http) == "web3");
    balancer.stop();
}

#[test]
fn a_haproxy_outlives_a_killed_fermata_with_its_connections_and_its_drained_servers() {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let balancer = Engine::Haproxy.balance(ports, &servers.each_ref(), &[]);
    assert_eq!(balancer.tell(&["drain", "web3"]).code, Some(0));
    let runtime = runtime();
    let (socket, name) = runtime.block_on(open(ports.http));
    assert_eq!(name, "web2");
    let mut sockets = [socket];
    let left = master(&balancer);
    let Fermata { mut process, folder } = balancer.fermata;
    process.signal(Signal::KILL);
    process.wait();
    assert_eq!(runtime.block_on(open_ones(&mut sockets)), 1);
    let next = Balancer { engine: Engine::Haproxy, ports, fermata: balance(folder) };
    assert_eq!(runtime.block_on(open_ones(&mut sockets)), 1);
    assert_eq!(master(&next), left, "it was taken over");
    assert_eq!([(); 4].map(|()| who(ports.http)), ["web2"; 4]);
    assert_eq!(next.tell(&["reload"]).stdout, "nothing has changed; web3 again\n");
    until("web3 is back", || who(ports.http) == "web3");
    drop(sockets);
    next.stop();
    until("it has ended", || test_kill_process(left).is_err());
}

#[test]
fn a_renewed_certificate_is_used_without_a_word() {
    let ports = Ports::new();
    let server = ports.serve(2);
    let tls = "tls: {certificates: [{cert: app.pem, key: app.key}]}\n";
    let folder = Folder::new(&format!("{}{tls}", Engine::Haproxy.file(ports, &[&server], &[])));
    folder.write_certificate("app", &["localhost"]);
    let balancer = Balancer { engine: Engine::Haproxy, ports, fermata: balance(folder) };
    balancer.comes_to_take("web2", true, true);
    let runtime = runtime();
    let mut sockets = [runtime.block_on(open(ports.http)).0];
    let certificate = balancer.fermata.folder.write_certificate("app", &["localhost"]);
    balancer.fermata.process.wait_for("that it was seen", |line| line.contains("has read the new configuration"));
    let front = TlsFront::of(ports.https, &certificate);
    assert_eq!(get(front.port, "/", "").0, "HTTP/1.1 200 OK");
    assert_eq!(runtime.block_on(open_ones(&mut sockets)), 1);
    // A certificate whose key never comes changes nothing.
    balancer.fermata.folder.write_certificate("other", &["localhost"]);
    let other = std::fs::read_to_string(balancer.fermata.folder.path().join("other.pem")).expect("a certificate");
    balancer.fermata.folder.write("app.pem", &other);
    let said = balancer.fermata.process.wait_for("that it is refused", |line| line.contains("does not take this"));
    assert!(said.contains("warning: HAProxy does not take this configuration, and nothing was changed:"), "{said}");
    assert_eq!(get(front.port, "/", "").0, "HTTP/1.1 200 OK");
    drop((front, sockets));
    balancer.stop();
}

/// A whole answer, as `errorfile` wants it.
fn page(text: &str) -> String {
    format!("HTTP/1.1 503 Service Unavailable\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len())
}

#[test]
fn pages_of_one_s_own_are_sent_for_errors() {
    let ports = Ports::new();
    let server = ports.serve(2);
    let keys = ["configuration: {errorfile_503: errors/503.http}"];
    let folder = Folder::new(&Engine::Haproxy.file(ports, &[&server], &keys));
    let missing = folder.run(&["lb", "--state-dir", "state"]);
    let path = folder.path().join("errors/503.http").display().to_string();
    let why = format!("error: {path}: No such file or directory (os error 2)\n");
    assert_eq!((missing.code, missing.stderr), (Some(1), why));
    std::fs::create_dir(folder.path().join("errors")).expect("a folder can be made");
    folder.write("errors/503.http", &page("back soon\n"));
    let balancer = Balancer { engine: Engine::Haproxy, ports, fermata: balance(folder) };
    balancer.comes_to_take("web2", true, true);
    drop(server);
    let unavailable = |text: &str| ("HTTP/1.1 503 Service Unavailable".to_owned(), text.to_owned());
    until("no server is up", || get(ports.http, "/", "") == unavailable("back soon\n"));
    balancer.fermata.folder.write("errors/503.http", &page("back at noon\n"));
    until("the new page is sent", || get(ports.http, "/", "") == unavailable("back at noon\n"));
    balancer.stop();
}

#[test]
fn the_statistics_page_is_for_those_who_know_the_password() {
    let ports = Ports::new();
    let server = ports.serve(2);
    let keys = ["configuration: {haproxy_username: ops, haproxy_password: \"s3cret #1\"}"];
    let balancer = Engine::Haproxy.balance(ports, &[&server], &keys);
    let ask = |more: &str| get(ports.http, "/haproxy?stats;csv", more);
    assert_eq!(ask("").0, "HTTP/1.1 401 Unauthorized");
    // ops:wrong, and ops:s3cret #1
    assert_eq!(ask("Authorization: Basic b3BzOndyb25n\r\n").0, "HTTP/1.1 401 Unauthorized");
    let (status, page) = ask("Authorization: Basic b3BzOnMzY3JldCAjMQ==\r\n");
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(page.contains("# pxname,svname,") && page.contains("\nsockets,web2,"), "{page}");
    balancer.stop();
}

/// What `fermata lb` says where this is the `haproxy` of its PATH.
fn said_with(folder: &Folder, haproxy: &str) -> String {
    let fake = folder.write("haproxy", haproxy);
    std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).expect("the mode can be set");
    let mut command: Command = folder.command(&["lb", "--state-dir", "state"]);
    let ended = command.env("PATH", folder.path()).output().expect("fermata runs");
    assert_eq!(ended.status.code(), Some(1));
    String::from_utf8_lossy(&ended.stderr).replace(&folder.path().display().to_string(), "FOLDER")
}

#[test]
fn a_haproxy_that_will_not_do_is_named_with_what_to_do() {
    let ports = Ports::new();
    let server = ports.serve(2);
    let folder = Folder::new(&Engine::Haproxy.file(ports, &[&server], &[]));
    for version in ["HAProxy version 2.2.9-2+deb11u6 2023/10/17", "HA-Proxy version 1.8.19-1+deb10u3 2020/08/01"] {
        let short = version.split(' ').nth(2).expect("a version");
        assert_eq!(
            said_with(&folder, &format!("#!/bin/sh\necho '{version} - https://haproxy.org/'\n")),
            format!(
                "error: FOLDER/haproxy is HAProxy {short}, and 2.4 is the oldest that serves: install a newer one \
                 (haproxy.debian.net has packages), or write engine: builtin\n"
            )
        );
    }
    assert_eq!(
        said_with(&folder, "#!/bin/sh\necho 'not today'\nexit 3\n"),
        "error: FOLDER/haproxy does not say which HAProxy it is (not today): check that it runs, or write engine: builtin\n"
    );
}

/// In a mount namespace of its own, where no folder for programs of the system has a `haproxy`. Needs root.
#[test]
fn a_machine_without_haproxy_is_told_how_to_get_one() {
    let ports = Ports::new();
    let server = ports.serve(2);
    let folder = Folder::new(&Engine::Haproxy.file(ports, &[&server], &[]));
    let hide = "for haproxy in /usr/local/sbin/haproxy /usr/sbin/haproxy /usr/local/bin/haproxy /usr/bin/haproxy; do \
                test ! -e $haproxy || mount --bind /dev/null $haproxy || exit 9; done; \
                exec \"$0\" lb --state-dir state";
    let mut command = program("unshare");
    command.args(["--mount", "sh", "-c", hide, env!("CARGO_BIN_EXE_fermata")]);
    let ended = command.current_dir(folder.path()).env("NO_COLOR", "1").output().expect("util-linux is there");
    assert_eq!(
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()),
        (
            Some(1),
            "error: load_balancer.engine is haproxy, and no HAProxy is installed: install it (apt-get install haproxy), or \
             write engine: builtin\n"
        )
    );
}

#[test]
fn a_port_that_somebody_else_has_is_said_in_haproxy_s_words() {
    let ports = Ports::new();
    let server = ports.serve(2);
    let folder = Folder::new(&Engine::Haproxy.file(ports, &[&server], &[]));
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, ports.http)).expect("the port is free");
    let ended = folder.run(&["lb", "--state-dir", "state"]);
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
    let folder = Folder::new(&format!("{}{tls}", Engine::Haproxy.file(ports, &[&server], &[])));
    let certificate = folder.write_certificate("app", &["localhost"]);
    let balancer = Balancer { engine: Engine::Haproxy, ports, fermata: balance(folder) };
    balancer.comes_to_take("web2", false, true);

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
    let text = format!("web2 on {} for 127.0.0.1", ports.ws);
    let frame = [&[0x81, u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
    assert_eq!(said, frame);
}
