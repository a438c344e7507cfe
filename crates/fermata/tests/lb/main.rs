//! The load balancer tier over loopback: servers on 127.0.0.2 and up, the balancer on 127.0.0.1.

mod changes;
mod failing;
mod haproxy;
mod loops;
mod polling;
mod proof;
mod secure;
mod server;
mod sni;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

use futures_util::{SinkExt, StreamExt};
use server::Server;
use socket2::{Domain, Socket as RawSocket, Type};
use support::{Fermata, Folder, PATIENCE, Process, free_port};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// The four ports of a balancer, which its servers have, too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) http: u16,
    pub(crate) https: u16,
    pub(crate) ws: u16,
    pub(crate) wss: u16,
}

impl Ports {
    pub(crate) fn new() -> Ports {
        Ports { http: free_port(), https: free_port(), ws: free_port(), wss: free_port() }
    }

    /// A server with all of them.
    pub(crate) fn serve(self, number: u8) -> Server {
        Server::start(number, &[self.http, self.https, self.ws, self.wss])
    }

    /// The file of a balancer for these servers, with more keys (each `key: value`) for `load_balancer`.
    pub(crate) fn file(self, servers: &[&Server], more: &[&str]) -> String {
        let Ports { http, https, ws, wss } = self;
        let servers: Vec<String> = servers.iter().map(|server| format!("  - {}\n", server.entry())).collect();
        let more: Vec<String> = more.iter().map(|line| format!("  {line}\n")).collect();
        format!(
            "load_balancer:\n  servers:\n{}  ports: {{http: {http}, https: {https}, ws: {ws}, wss: {wss}}}\n{}\
             gateway: {{bind: 127.0.0.1, tester: false}}\n",
            servers.concat(),
            more.concat()
        )
    }

    /// That balancer, running, and knowing of each of the servers that it is well.
    pub(crate) fn balance(self, servers: &[&Server], more: &[&str]) -> Fermata {
        let balancer = balance(Folder::new(&self.file(servers, more)));
        for server in servers {
            self.is_well(&balancer, server);
        }
        balancer
    }

    /// Waits until all ports of a server have been found well.
    pub(crate) fn is_well(self, balancer: &Fermata, server: &Server) {
        for port in [self.http, self.https, self.ws, self.wss] {
            let said = format!("{} is well on {port}", server.name());
            balancer.process.wait_for(&said, |line| line.contains(&said));
        }
    }
}

/// `fermata lb`, listening.
pub(crate) fn balance(folder: Folder) -> Fermata {
    let process = Process::start(&mut folder.command(&["lb", "--state-dir", "state"]));
    process.wait_for("that it is ready", |line| line.starts_with("ready"));
    folder.adopt(process)
}

/// Quick checks, for tests that wait for them.
pub(crate) const QUICK: &str = "check: {type: http, endpoint: /healthz, period: 1, initial_delay: 0}";

/// The answer to a request: status line and body.
pub(crate) fn get(port: u16, path: &str, headers: &str) -> (String, String) {
    get_from([127, 0, 0, 1].into(), port, path, headers)
}

/// The same from another address of this machine.
pub(crate) fn get_from(from: IpAddr, port: u16, path: &str, headers: &str) -> (String, String) {
    let answer =
        ask(from, port, &format!("GET {path} HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n{headers}\r\n"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

pub(crate) fn ask(from: IpAddr, port: u16, request: &str) -> String {
    let socket = RawSocket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::new(from, 0).into()).expect("the address is this machine's");
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("the balancer listens");
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream.write_all(request.as_bytes()).expect("the balancer reads");
    let mut answer = String::new();
    // Who is hung up on has what came before.
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// Which server answers.
pub(crate) fn who(port: u16) -> String {
    let (status, body) = get(port, "/", "");
    assert_eq!(status, "HTTP/1.1 200 OK", "{body}");
    body.split(' ').next().unwrap_or_default().to_owned()
}

/// A WebSocket, and the name that its server says first.
pub(crate) async fn open(port: u16) -> (Socket, String) {
    let mut socket = connect_async(format!("ws://127.0.0.1:{port}/")).await.expect("a tunnel opens").0;
    let name = socket.next().await.expect("open").expect("a message").into_text().expect("text").to_string();
    (socket, name)
}

/// Opens so many, and tells who got how many.
pub(crate) async fn open_many(port: u16, count: usize, sockets: &mut Vec<Socket>) -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for _ in 0..count {
        let (socket, name) = open(port).await;
        *names.entry(name).or_default() += 1;
        sockets.push(socket);
    }
    names
}

pub(crate) async fn echoes(socket: &mut Socket) {
    socket.send(Message::text("hello")).await.expect("the tunnel takes a message");
    loop {
        match socket.next().await.expect("open").expect("a message") {
            Message::Ping(_) => {}
            message => return assert_eq!(message, Message::text("hello")),
        }
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

pub(crate) fn named(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn websockets_go_to_the_servers_websocket_port_and_requests_to_their_http_port() {
    let ports = Ports::new();
    let server = ports.serve(2);
    let balancer = ports.balance(&[&server], &[]);
    let page = format!("web2 on {} for 127.0.0.9\n", ports.http);
    assert_eq!(get_from([127, 0, 0, 9].into(), ports.http, "/", "").1, page);
    // What a stranger says of himself is not passed on, and neither name nor another protocol makes a WebSocket.
    let others = "X-Forwarded-For: 192.0.2.1\r\nUpgrade: h2c\r\nConnection: upgrade\r\n";
    let page = format!("web2 on {} for 127.0.0.1\n", ports.http);
    assert_eq!(get(ports.http, "/", others).1, page);
    let open_ones = runtime().block_on(async { (open(ports.http).await.0, open(ports.ws).await.0) });
    let rows = connections(&balancer);
    assert_eq!(rows, ["servers web2 tcp", "servers web2 websocket"]);
    drop(open_ones);
    assert_eq!(balancer.stop().code, Some(0));
}

/// Service, instance and kind of every tunnel, sorted.
pub(crate) fn connections(balancer: &Fermata) -> Vec<String> {
    let said = balancer.folder.run(&["connections", "--format", "json", "--state-dir", "state"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&said.stdout).expect("JSON");
    let word = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let mut rows: Vec<String> =
        rows.iter().map(|row| ["service", "instance", "carries"].map(|key| word(row, key)).join(" ")).collect();
    rows.sort();
    rows
}

#[test]
fn other_ports_are_passed_through_byte_for_byte() {
    let ports = Ports::new();
    let extra = free_port();
    let server = Server::start(2, &[ports.http, ports.https, ports.ws, ports.wss, extra]);
    let app = format!(
        "services:\n  app:\n    ports: [{{container: 3000, http: {}, https: {}, tcp: {extra}}}]\n",
        ports.ws, ports.wss
    );
    let balancer = balance(Folder::new(&format!("{app}{}", ports.file(&[&server], &[]))));
    for port in [ports.https, ports.ws, ports.wss, extra] {
        // Nothing is added: the server sees the balancer, and no header of its own.
        assert_eq!(get(port, "/", "").1, format!("web2 on {port} for 127.0.0.1\n"));
        assert_eq!(get(port, "/", "X-Forwarded-For: 192.0.2.1\r\n").1, format!("web2 on {port} for 192.0.2.1\n"));
    }
    assert_eq!(balancer.stop().code, Some(0));
}

#[test]
fn public_ports_can_differ_from_those_of_the_servers() {
    let (own, ports) = (Ports::new(), Ports::new());
    let server = ports.serve(2);
    let file = ports.file(&[&server], &[]);
    let of = |name: &str, own: u16, port: u16| (format!("{name}: {port}"), format!("{name}: \"{own}:{port}\""));
    let pairs = [
        of("http", own.http, ports.http),
        of("https", own.https, ports.https),
        of("ws", own.ws, ports.ws),
        of("wss", own.wss, ports.wss),
    ];
    let file = pairs.iter().fold(file, |file, (from, to)| file.replace(from, to));
    let balancer = balance(Folder::new(&file));
    assert_eq!(get(own.http, "/", "").1, format!("web2 on {} for 127.0.0.1\n", ports.http));
    assert_eq!(get(own.ws, "/", "").1, format!("web2 on {} for 127.0.0.1\n", ports.ws));
    assert_eq!(runtime().block_on(open(own.http)).1, "web2");
    assert_eq!(balancer.stop().code, Some(0));
}

#[test]
fn a_visitor_with_a_cookie_has_its_requests_and_websockets_on_one_server() {
    let ports = Ports::new();
    let servers = [2, 3, 4].map(|number| ports.serve(number));
    let balancer = ports.balance(&servers.each_ref(), &["balance: roundrobin"]);
    let request = "GET / HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n";
    let answer = ask([127, 0, 0, 1].into(), ports.http, request);
    let name = answer.split_once("\r\n\r\n").expect("an answer").1.split(' ').next().expect("a name").to_owned();
    let cookie = format!("fermata-servers={name}");
    assert!(answer.contains(&format!("set-cookie: {cookie}; Path=/; HttpOnly; SameSite=Lax\r\n")), "{answer}");
    for _ in 0..6 {
        assert!(get(ports.http, "/", &format!("Cookie: {cookie}\r\n")).1.starts_with(&format!("{name} ")));
    }
    let handshake = format!(
        "GET / HTTP/1.1\r\nHost: app.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nCookie: {cookie}\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    for _ in 0..3 {
        let mut stream = TcpStream::connect(("127.0.0.1", ports.http)).expect("the balancer listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.write_all(handshake.as_bytes()).expect("the balancer reads");
        let mut seen = Vec::new();
        while !seen.ends_with(name.as_bytes()) {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap_or_else(|_| panic!("not {name}: {:?}", String::from_utf8_lossy(&seen)));
            seen.extend(byte);
        }
    }
    assert_eq!(balancer.stop().code, Some(0));
}

#[test]
fn a_file_that_is_none_for_a_balancer_is_refused_with_what_to_do() {
    let refused = |text: &str| {
        let ended = Folder::new(text).run(&["lb", "--state-dir", "state"]);
        (ended.code, ended.stderr)
    };
    let ports = Ports::new();
    let own = ports.file(&[], &[]).replace("servers:\n", "servers: [{name: web1, address: 127.0.0.1}]\n");
    assert_eq!(
        refused(&own),
        (
            Some(1),
            format!(
                "error: load_balancer.servers[0].address: web1 is this balancer itself, which listens on 127.0.0.1:{}; \
                 name the web servers, or bind the balancer to another address (gateway.bind)\n",
                ports.http
            )
        )
    );
    let (code, said) = refused(&ports.file(&[], &[]).replace("servers:\n", "servers: []\n"));
    assert_eq!(code, Some(1));
    assert!(said.contains("load_balancer.servers: has no server") && said.contains("write - {name: web1"), "{said}");
}

#[test]
fn a_balancer_that_is_its_own_server_by_another_name_answers_508() {
    let ports = Ports::new();
    let file =
        ports.file(&[], &["check: {type: tcp}"]).replace("servers:\n", "servers: [{name: web1, address: localhost}]\n");
    let balancer = balance(Folder::new(&file));
    let text = "508 Loop Detected\n\nThis request was here before: an address of \"servers\" leads back to this gateway.\n\
                Name the web servers under load_balancer.servers in service.yml, and not the load balancer itself.\n";
    assert_eq!(get(ports.http, "/", ""), ("HTTP/1.1 508 Loop Detected".to_owned(), text.to_owned()));
    assert_eq!(balancer.stop().code, Some(0));
}

#[test]
fn a_balancer_that_is_upgraded_goes_on_with_its_tunnels() {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let balancer = ports.balance(&servers.each_ref(), &[]);
    let runtime = runtime();
    let mut sockets = Vec::new();
    let both = named(&[("web2", 4), ("web3", 4)]);
    assert_eq!(runtime.block_on(open_many(ports.http, 8, &mut sockets)), both);
    let mut command = balancer.folder.command(&["upgrade", "--state-dir", "state"]);
    let upgraded = command.output().expect("fermata runs");
    assert!(upgraded.status.success(), "{}", String::from_utf8_lossy(&upgraded.stderr));
    runtime.block_on(async {
        for socket in &mut sockets {
            echoes(socket).await;
        }
    });
    // They count where they are.
    assert_eq!(runtime.block_on(open_many(ports.http, 8, &mut sockets)), both);
    assert_eq!(balancer.stop().code, Some(0));
}
