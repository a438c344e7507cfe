//! Which port leads where.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::engine::Engine;
use crate::server::Server;
use crate::support::{Folder, PATIENCE, TlsFront, free_port};
use crate::{Ports, ask, balance, get, get_from, greeted, runtime};

super::by_both!(
    websockets_go_to_the_servers_websocket_port_and_everything_else_to_their_http_port,
    other_ports_are_passed_through_byte_for_byte,
    public_ports_can_differ_from_those_of_the_servers,
    where_tls_ends_at_the_balancer_443_does_what_80_does,
    a_visitor_with_a_cookie_has_its_requests_and_websockets_on_one_server,
    servers_learn_of_the_client_by_the_proxy_protocol,
);

/// What a server says to a WebSocket.
fn greeting(port: u16) -> String {
    runtime().block_on(greeted(port)).1 + "\n"
}

/// What comes after a handshake whose `Upgrade` says this, as far as the end of a line of the server's.
fn handshake(port: u16, upgrade: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the balancer listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let request = format!(
        "GET / HTTP/1.1\r\nHost: app.example\r\nUpgrade: {upgrade}\r\nConnection: Upgrade\r\n{headers}\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: bm90ZSBub3RlIG5vdGUgbg==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("the balancer reads");
    let mut seen = Vec::new();
    while !seen.ends_with(b" for 127.0.0.1") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap_or_else(|_| panic!("no more than {:?}", String::from_utf8_lossy(&seen)));
        seen.extend(byte);
    }
    let last = seen.iter().rposition(|byte| !(b' '..=b'~').contains(byte)).map_or(0, |at| at + 1);
    String::from_utf8_lossy(&seen[last..]).into_owned() + "\n"
}

fn websockets_go_to_the_servers_websocket_port_and_everything_else_to_their_http_port(engine: Engine) {
    let ports = Ports::new();
    let server = ports.serve(2);
    let balancer = engine.balance(ports, &[&server], &["httpchk: GET /healthz"]);
    let named = |host: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        ask([127, 0, 0, 1].into(), ports.http, &request).split("\r\n\r\n").nth(1).unwrap_or_default().to_owned()
    };
    let seen = [
        get_from([127, 0, 0, 9].into(), ports.http, "/", "").1,
        get(ports.http, "/", "X-Forwarded-For: 192.0.2.1\r\n").1,
        get(ports.http, "/", "Upgrade: h2c\r\nConnection: upgrade\r\n").1,
        named("ws.app.example"),
        greeting(ports.http),
        handshake(ports.http, "WebSocket", ""),
        handshake(ports.http, "websocket", "X-Forwarded-For: 192.0.2.1\r\n"),
        greeting(ports.ws),
        get(ports.ws, "/", "").1,
        get(ports.wss, "/", "").1,
        get(ports.https, "/", "").1,
    ];
    // What a stranger says of himself is not passed on, and neither a name nor another protocol makes a WebSocket.
    let expected = "\
        web2 on HTTP for 127.0.0.9\n\
        web2 on HTTP for 127.0.0.1\n\
        web2 on HTTP for 127.0.0.1\n\
        web2 on HTTP for 127.0.0.1\n\
        web2 on WS for 127.0.0.1\n\
        web2 on WS for 127.0.0.1\n\
        web2 on WS for 127.0.0.1\n\
        web2 on WS for 127.0.0.1\n\
        web2 on WS for 127.0.0.1\n\
        web2 on WSS for 127.0.0.1\n\
        web2 on HTTPS for 127.0.0.1\n";
    assert_eq!(balancer.named(&seen.concat()), expected);
    balancer.stop();
}

fn other_ports_are_passed_through_byte_for_byte(engine: Engine) {
    let ports = Ports::new();
    let extra = free_port();
    let server = Server::start(2, &[ports.http, ports.https, ports.ws, ports.wss, extra]);
    let app = format!(
        "services:\n  app:\n    ports: [{{container: 3000, http: {}, https: {}, tcp: {extra}}}]\n",
        ports.ws, ports.wss
    );
    let balancer = engine.start(ports, &format!("{app}{}", engine.file(ports, &[&server], &[])));
    balancer.is_well("web2");
    for port in [ports.https, ports.ws, ports.wss, extra] {
        // Nothing is added: the server sees the balancer, and no header of its own.
        assert_eq!(get(port, "/", "").1, format!("web2 on {port} for 127.0.0.1\n"));
        assert_eq!(get(port, "/", "X-Forwarded-For: 192.0.2.1\r\n").1, format!("web2 on {port} for 192.0.2.1\n"));
    }
    balancer.stop();
}

fn public_ports_can_differ_from_those_of_the_servers(engine: Engine) {
    let (own, ports) = (Ports::new(), Ports::new());
    let server = ports.serve(2);
    let file = engine.file(ports, &[&server], &[]);
    let of = |name: &str, own: u16, port: u16| (format!("{name}: {port}"), format!("{name}: \"{own}:{port}\""));
    let pairs = [
        of("http", own.http, ports.http),
        of("https", own.https, ports.https),
        of("ws", own.ws, ports.ws),
        of("wss", own.wss, ports.wss),
    ];
    let balancer = engine.start(ports, &pairs.iter().fold(file, |file, (from, to)| file.replace(from, to)));
    balancer.is_well("web2");
    let seen = [
        get(own.http, "/", "").1,
        greeting(own.http),
        get(own.https, "/", "").1,
        get(own.ws, "/", "").1,
        get(own.wss, "/", "").1,
    ];
    let expected = "\
        web2 on HTTP for 127.0.0.1\n\
        web2 on WS for 127.0.0.1\n\
        web2 on HTTPS for 127.0.0.1\n\
        web2 on WS for 127.0.0.1\n\
        web2 on WSS for 127.0.0.1\n";
    assert_eq!(balancer.named(&seen.concat()), expected);
    balancer.stop();
}

fn where_tls_ends_at_the_balancer_443_does_what_80_does(engine: Engine) {
    let ports = Ports::new();
    let server = Server::start(2, &[ports.http, ports.ws, ports.wss]);
    let tls = "tls: {certificates: [{cert: app.pem, key: app.key}]}\n";
    let folder = Folder::new(&format!("{}{tls}", engine.file(ports, &[&server], &[])));
    let certificate = folder.write_certificate("app", &["localhost"]);
    let balancer = crate::engine::Balancer { engine, ports, fermata: balance(folder) };
    balancer.is_well("web2");
    let front = TlsFront::of(ports.https, &certificate);
    let seen = [get(front.port, "/", "").1, greeting(front.port)];
    assert_eq!(balancer.named(&seen.concat()), "web2 on HTTP for 127.0.0.1\nweb2 on WS for 127.0.0.1\n");
    drop(front);
    balancer.stop();
}

fn a_visitor_with_a_cookie_has_its_requests_and_websockets_on_one_server(engine: Engine) {
    let ports = Ports::new();
    let servers = [2, 3, 4].map(|number| ports.serve(number));
    let balancer = engine.balance(ports, &servers.each_ref(), &["balance: roundrobin"]);
    let request = "GET / HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n";
    let answer = ask([127, 0, 0, 1].into(), ports.http, request);
    let name = answer.split_once("\r\n\r\n").expect("an answer").1.split(' ').next().expect("a name").to_owned();
    let cookie = format!("{}={name}", engine.cookie());
    let given = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
    assert!(
        given.to_ascii_lowercase().starts_with(&format!("{cookie}; path=/; httponly").to_ascii_lowercase()),
        "{given}"
    );
    let cookies = format!("Cookie: {cookie}\r\n");
    for _ in 0..3 {
        let both = get(ports.http, "/", &cookies).1 + &handshake(ports.http, "websocket", &cookies);
        assert_eq!(balancer.named(&both), format!("{name} on HTTP for 127.0.0.1\n{name} on WS for 127.0.0.1\n"));
    }
    balancer.stop();
}

fn servers_learn_of_the_client_by_the_proxy_protocol(engine: Engine) {
    for version in ["v1", "v2"] {
        let ports = Ports::new();
        let server = ports.serve(2);
        server.be_told();
        let version = format!("proxy_protocol: {version}");
        let balancer = engine.balance(ports, &[&server], &[&version]);
        let client = [127, 0, 0, 9].into();
        let seen = [ports.http, ports.ws, ports.https].map(|port| get_from(client, port, "/", "").1);
        let expected = "web2 on HTTP for 127.0.0.9\nweb2 on WS for 127.0.0.9\nweb2 on HTTPS for 127.0.0.9\n";
        assert_eq!(balancer.named(&seen.concat()), expected, "{version}");
        assert_eq!(balancer.named(&greeting(ports.http)), "web2 on WS for 127.0.0.1\n", "{version}");
        balancer.stop();
    }
}
