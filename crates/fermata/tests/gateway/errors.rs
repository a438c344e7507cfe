//! What goes wrong is said: by a status, and by a short text that names the service and what to do.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::frames::HANDSHAKE;
use crate::site::{Service, Site, service_yml};
use crate::support::{Fermata, Folder, Process, free_port, until};
use crate::talk::{End, Talk, crlf};

const GET: &str = "GET / HTTP/1.1\nHost: app\n\n";
const OK: &str = "HTTP/1.1 200 OK\nContent-Length: 2\n\nok";

/// What a client is told, and the head that says it.
fn told(client: &mut Talk) -> String {
    let response = client.response();
    let status = response.body.lines().next().expect("a text begins with its status");
    let plain = "content-type: text/plain; charset=utf-8";
    assert!(response.head.starts_with(&format!("HTTP/1.1 {status}\n")), "{}", response.head);
    assert!(response.head.contains(plain), "{}", response.head);
    response.body
}

fn asked(port: u16, request: &str) -> String {
    let mut client = Talk::to(port);
    client.say(request);
    told(&mut client)
}

#[test]
fn a_name_that_no_service_has_is_404() {
    let site = Site::with("traffic_matches: [app.test]", "");
    let words = format!(
        "404 Not Found\n\nNo service answers to the name \"app\" on port {}.\n\
         Check the address, or add the name to traffic_matches of a service in service.yml.\n",
        site.http
    );
    assert_eq!(asked(site.http, GET), words);
    assert_eq!(asked(site.http, HANDSHAKE), words);
}

#[test]
fn a_service_without_a_ready_instance_is_503() {
    let http = free_port();
    let folder = Folder::new(&format!(
        r#"version: 2
services:
  app:
    command: sleep 60
    health: {{ready: {{type: exec, command: "false"}}}}
    ports: [{{container: {container}, http: {http}}}]
gateway: {{bind: ["127.0.0.1"]}}
"#,
        container = free_port()
    ));
    let fermata = Process::start(&mut folder.command(&["up", "--state-dir", "state"]));
    fermata.wait_for("that the service starts", |line| line.ends_with("app.1 starts"));
    let words = "503 Service Unavailable\n\nNo instance of the service \"app\" is ready.\n\
                 Try again in a moment; the output of fermata up tells what its instances do.\n";
    for request in [GET, HANDSHAKE] {
        let mut client = Talk::to(http);
        client.say(request);
        let response = client.response();
        assert_eq!(response.body, words);
        assert!(response.head.contains("\nretry-after: "), "{}", response.head);
    }
}

#[test]
fn a_service_where_nothing_listens_is_502() {
    let site = Site::new();
    let (http, port) = (site.http, site.service.port);
    drop(site.service);
    let words = format!(
        "502 Bad Gateway\n\nThe service \"app\" cannot be reached: app.1 at 127.0.0.1:{port}: nothing listens there.\n\
         Check that it runs and listens on the container port that service.yml names.\n"
    );
    assert_eq!(asked(http, GET), words);
    assert_eq!(asked(http, HANDSHAKE), words);
}

/// A listener whose queue is full: the kernel answers nobody (listen(2)).
struct Deaf {
    port: u16,
    _open: (TcpListener, Vec<TcpStream>),
}

impl Deaf {
    fn new() -> Deaf {
        let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None);
        let socket = socket.expect("a socket");
        rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port is free");
        rustix::net::listen(&socket, 0).expect("it can listen");
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().expect("a bound socket has an address");
        // A queue of length 0 has one place.
        let first = TcpStream::connect(address).expect("there is one place");
        Deaf { port: address.port(), _open: (listener, vec![first]) }
    }
}

#[test]
fn an_instance_that_takes_too_long_to_connect_is_passed_over() {
    let (deaf, service, http) = (Deaf::new(), Service::new(), free_port());
    let yml = service_yml(service.port, &format!("http: {http}"), "balance: roundrobin", "connect_timeout: 200ms");
    let both = format!("address: [127.0.0.1:{}, 127.0.0.1:{}]", deaf.port, service.port);
    let _fermata = Fermata::up(&yml.replace(&format!("address: 127.0.0.1:{}", service.port), &both));
    for _ in 0..2 {
        let mut client = Talk::to(http);
        client.say(GET);
        let mut far = service.accept();
        far.head();
        far.say(OK);
        assert_eq!(client.response().body, "ok");
    }
}

#[test]
fn a_service_that_accepts_nobody_in_time_is_502() {
    let (deaf, http) = (Deaf::new(), free_port());
    let _fermata = Fermata::up(&service_yml(deaf.port, &format!("http: {http}"), "", "connect_timeout: 200ms"));
    let words = format!(
        "502 Bad Gateway\n\nThe service \"app\" cannot be reached: app.1 at 127.0.0.1:{}: it did not accept a connection in \
         time.\nCheck that it runs and listens on the container port that service.yml names.\n",
        deaf.port
    );
    assert_eq!(asked(http, GET), words);
    assert_eq!(asked(http, HANDSHAKE), words);
}

#[test]
fn a_service_that_does_not_answer_in_time_is_504() {
    let site = Site::with("", "answer_timeout: 200ms");
    for request in [GET, HANDSHAKE, "POST / HTTP/1.1\nHost: app\nContent-Length: 4\n\nbody"] {
        let mut client = site.connect();
        client.say(request);
        let mut service = site.service.accept();
        let words = "504 Gateway Timeout\n\nThe service \"app\" did not answer within 0.2 s.\n\
                     Look at its log; gateway.answer_timeout in service.yml is the limit.\n";
        assert_eq!(told(&mut client), words);
        assert_ne!(service.try_end(), None);
    }
}

#[test]
fn a_client_that_stops_in_the_middle_of_its_body_is_408() {
    let site = Site::with("", "answer_timeout: 200ms");
    let mut client = site.connect();
    client.say("POST / HTTP/1.1\nHost: app\nContent-Length: 10\n\nhalf");
    let mut service = site.service.accept();
    let words = "408 Request Timeout\n\nNothing more of the request's body came for 0.2 s.\n\
                 Send it without long pauses; gateway.answer_timeout in service.yml is the limit.\n";
    assert_eq!(told(&mut client), words);
    assert_eq!(client.end(), End::Closed);
    assert_ne!(service.try_end(), None);
}

#[test]
fn an_answer_that_cannot_be_used_is_502() {
    let site = Site::new();
    for (answer, problem) in [
        ("", "it ended the connection before its answer was complete"),
        ("HTTP/1.1 200 OK\nContent-", "it ended the connection before its answer was complete"),
        ("SSH-2.0-OpenSSH_9.6\n", "it is no HTTP/1.1 answer"),
        ("HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 3\n\nok", "it is no HTTP/1.1 answer"),
        ("HTTP/1.1 200 OK\nContent-Length: two\n\nok", "it is no HTTP/1.1 answer"),
    ] {
        for request in [GET, HANDSHAKE] {
            let mut client = site.connect();
            client.say(request);
            let mut service = site.service.accept();
            service.head();
            service.say(answer);
            service.finish();
            let words = format!(
                "502 Bad Gateway\n\nThe answer of the service \"app\" cannot be used: {problem}.\n\
                 Look at its log; does it speak HTTP/1.1 on this port?\n"
            );
            assert_eq!(told(&mut client), words, "{answer:?}");
        }
    }
}

/// Mistakes that are told with 400 and the end of the connection, as the first or a later request.
const MISTAKES: [(&str, &str); 8] = [
    ("hello\r\n", "the request line has a character that may not be there"),
    ("GET / HTTP/3.0\r\nHost: app\r\n\r\n", "the version is not HTTP/1.0 or HTTP/1.1"),
    ("GET / HTTP/1.1\r\nHo st: app\r\n\r\n", "a header's name has a character that may not be there"),
    ("GET / HTTP/1.1\r\nHost: app\r\n folded\r\n\r\n", "a header's name has a character that may not be there"),
    ("GET / HTTP/1.1\nHost: app\n\n", "a line ends with LF alone, not with CR LF"),
    ("GET / HTTP/1.1\r\n\r\n", "the Host header is missing"),
    (
        "POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "it has a Content-Length and a Transfer-Encoding, and only one can be right",
    ),
    (
        "POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "there is more than one Content-Length",
    ),
];

fn no_request(problem: &str) -> String {
    format!("400 Bad Request\n\nThis is no HTTP/1.1 request: {problem}.\nCheck what the client sends.\n")
}

#[test]
fn what_is_no_request_is_400() {
    let site = Site::new();
    for (mistake, problem) in MISTAKES {
        let mut client = site.connect();
        client.send(mistake);
        let response = client.response();
        let words = no_request(problem);
        assert_eq!(response.body, words, "{mistake:?}");
        let head = format!(
            "HTTP/1.1 400 Bad Request\nconnection: close\ncontent-length: {}\ncontent-type: text/plain; charset=utf-8",
            words.len()
        );
        assert_eq!(response.head, head);
        assert_eq!(client.end(), End::Closed);
    }
}

#[test]
fn a_mistake_on_a_kept_connection_gets_the_same_words() {
    let site = Site::new();
    for (mistake, problem) in MISTAKES {
        let mut client = site.connect();
        // Pipelined: the mistake is there while the good request is being answered.
        client.send([&crlf(GET), mistake].concat());
        let mut service = site.service.accept();
        service.head();
        service.say(OK);
        assert_eq!(client.response().body, "ok");
        assert_eq!(told(&mut client), no_request(problem), "{mistake:?}");
        assert_eq!(client.end(), End::Closed);
    }
}

#[test]
fn a_body_that_breaks_its_coding_is_400() {
    let site = Site::new();
    for body in ["3\r\nabcd\r\n0\r\n\r\n", "x\r\n", "3\nabc\r\n0\r\n\r\n"] {
        let mut client = site.connect();
        client.say("POST / HTTP/1.1\nHost: app\nTransfer-Encoding: chunked\n\n");
        let mut service = site.service.accept();
        service.head();
        client.send(body);
        assert_eq!(told(&mut client), no_request("its body breaks off, or its chunks are broken"));
        assert_eq!(client.end(), End::Closed);
        assert_ne!(service.try_end(), None);
    }
}

#[test]
fn a_head_that_is_too_large_is_431() {
    let site = Site::with("", "max_head: 1KiB");
    let words = "431 Request Header Fields Too Large\n\nThe head of the request is larger than 1024 bytes.\n\
                 Send fewer or smaller headers (cookies, mostly), or raise gateway.max_head in service.yml.\n";
    assert_eq!(asked(site.http, &format!("GET / HTTP/1.1\nHost: app\nCookie: {}\n\n", "c".repeat(1024))), words);
    assert_eq!(asked(site.http, &"A".repeat(2000)), words);
    let many = "431 Request Header Fields Too Large\n\nThe request has more than 100 headers.\nSend fewer.\n";
    assert_eq!(asked(site.http, &format!("GET / HTTP/1.1\n{}\n", "a:b\n".repeat(101))), many);
}

#[test]
fn a_head_of_the_largest_size_passes() {
    let site = Site::with("", "max_head: 64KiB");
    let head = "GET / HTTP/1.1\r\nHost: app\r\nCookie: \r\n\r\n";
    let mut client = site.connect();
    client.send(head.replace("Cookie: ", &format!("Cookie: {}", "c".repeat(65536 - head.len()))));
    let mut service = site.service.accept();
    assert!(service.head().contains(&"c".repeat(65536 - head.len())));
    service.say(OK);
    assert_eq!(client.response().body, "ok");
}

#[test]
fn a_head_that_does_not_come_in_time_is_408() {
    let site = Site::with("", "head_timeout: 200ms");
    let words = "408 Request Timeout\n\nThe head of the request did not arrive within 0.2 s.\n\
                 Send it at once; gateway.head_timeout in service.yml is the limit.\n";
    let mut client = site.connect();
    client.send("GET / HTTP/1.1\r\nHost");
    assert_eq!(told(&mut client), words);
    assert_eq!(client.end(), End::Closed);
    let mut client = site.connect();
    client.say(GET);
    let mut service = site.service.accept();
    service.head();
    service.say(OK);
    client.response();
    client.send("GET");
    assert_eq!(told(&mut client), words);
    // Who never begins is told nothing: browsers open connections in advance.
    let mut silent = site.connect();
    assert_eq!(silent.end(), End::Closed);
}

#[test]
fn tls_on_a_plain_port_gets_words() {
    let site = Site::new();
    let mut client = site.connect();
    client.send([0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3]);
    let words = format!(
        "400 Bad Request\n\nPort {} speaks plain HTTP, and this was TLS.\n\
         Use http:// or ws:// here, or the port that service.yml gives as https.\n",
        site.http
    );
    assert_eq!(told(&mut client), words);
    assert_eq!(client.end(), End::Closed);
}

#[test]
fn http_2_without_asking_gets_words() {
    let site = Site::new();
    let words = "505 HTTP Version Not Supported\n\nHTTP/2 is not spoken on this port.\nUse HTTP/1.1.\n";
    assert_eq!(asked(site.http, "PRI * HTTP/2.0\n\nSM\n\n"), words);
}

#[test]
fn a_request_to_connect_elsewhere_is_501() {
    let site = Site::new();
    let words = "501 Not Implemented\n\nA request to connect elsewhere (CONNECT) is not known here.\nDo without it.\n";
    assert_eq!(asked(site.http, "CONNECT other:443 HTTP/1.1\nHost: other:443\n\n"), words);
    let words = "501 Not Implemented\n\nA Transfer-Encoding other than chunked is not known here.\nDo without it.\n";
    assert_eq!(asked(site.http, "POST / HTTP/1.1\nHost: app\nTransfer-Encoding: gzip, chunked\n\n"), words);
}

#[test]
fn without_descriptors_the_gateway_says_so_and_goes_on_when_there_are_some() {
    let site = Site::new();
    // Each thread, one per core, has a descriptor of its own for the port, and takes it when it comes to it.
    let threads = std::thread::available_parallelism().expect("a number of cores").get();
    until("every thread accepts", || accepting(&site) == threads);
    leave_descriptors(site.fermata.process.pid(), 8);
    let mut clients: Vec<Talk> = (0..20).map(|_| site.connect()).collect();
    let stderr = &site.fermata.process.stderr;
    stderr.wait_for(|line| line.contains("cannot accept connections")).expect("it is told");
    // The first was accepted, and there is no descriptor left for a connection to the service.
    clients[0].say(GET);
    let words = "503 Service Unavailable\n\nThis gateway has as many connections as it takes.\nTry again later.\n";
    assert_eq!(told(&mut clients[0]), words);
    // It goes on by itself as soon as some are free.
    drop(clients);
    let served = std::iter::repeat_with(|| {
        let mut client = site.connect();
        client.say(GET);
        (site.service.accept_before(&client), client)
    });
    let (mut service, mut client) =
        served.into_iter().find_map(|(service, client)| Some((service?, client))).expect("somebody is served at last");
    service.head();
    service.say(OK);
    assert_eq!(client.response().body, "ok");
}

/// How many threads accept from the gateway's port: beside them, it is kept for whoever comes after a reload.
fn accepting(site: &Site) -> usize {
    let port = format!(":{:04X} ", site.http);
    let sockets = std::fs::read_to_string(format!("/proc/{}/net/tcp", site.fermata.process.pid())).expect("a table");
    let listener = sockets.lines().find(|line| line.contains(&port) && line.contains(" 0A ")).expect("it listens");
    let inode = listener.split_whitespace().nth(9).expect("a socket has an inode (proc_pid_net(5))");
    site.fermata.descriptors_of(&format!("socket:[{inode}]")) - 1
}

/// Lets a process open about so many descriptors more.
fn leave_descriptors(process: i32, free: u64) {
    let names = std::fs::read_dir(format!("/proc/{process}/fd")).expect("a running process has descriptors");
    let open: Vec<u64> = names.filter_map(|name| name.ok()?.file_name().to_str()?.parse().ok()).collect();
    // A fresh descriptor is the lowest that is free (open(2)), and below the limit (getrlimit(2)).
    let below = |limit: u64| open.iter().filter(|number| **number < limit).count() as u64;
    let limit = (1..1 << 20).find(|limit| limit - below(*limit) == free).expect("there is such a limit");
    // Only the soft limit: the hard one could not be raised again.
    let limit = Rlimit { current: Some(limit), ..getrlimit(Resource::Nofile) };
    prlimit(Pid::from_raw(process), Resource::Nofile, limit).expect("a limit can be set");
}
