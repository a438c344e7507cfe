//! TLS by name on the https port: what is passed through ends at the servers, the rest at the balancer or nowhere. Both engines.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use socket2::{Domain, Socket as RawSocket, Type};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::client_async;

use crate::server::Server;
use crate::support::{Fermata, Folder, PATIENCE, free_port, until};
use crate::{Ports, balance, get, runtime};

const ENGINES: [&str; 2] = ["engine: builtin", "engine: haproxy"];

/// Whom the certificates are for: those of the server and of the balancer alike, so that either may end the TLS of a name.
const NAMES: [&str; 4] = ["app.example.com", "*.example.org", "other.example", "localhost"];

/// A `fermata up` at 127.0.0.2 that has the certificate for all names of these tests, and more keys.
fn server(https: u16, more: &str) -> Fermata {
    let folder = Folder::new(&format!(
        "services:\n  app:\n    command: $(FERMATA) echo\n    ports: [{{container: {}, https: {https}}}]\n\
         gateway: {{bind: 127.0.0.2, tester: false{more}}}\n\
         tls: {{certificates: [{{cert: app.pem, key: app.key}}]}}\n",
        free_port(),
    ));
    folder.write_certificate("app", &NAMES);
    folder.up()
}

/// The file of a balancer, with a certificate of its own or without.
fn folder(ports: Ports, keys: &[&str], tls: bool) -> Folder {
    let file = ports.file(&[], keys).replace("servers:\n", "servers: [{name: web2, address: 127.0.0.2}]\n");
    let tls = if tls { "tls: {certificates: [{cert: own.pem, key: own.key}]}\n" } else { "" };
    let folder = Folder::new(&format!("{file}{tls}"));
    folder.write_certificate("own", &NAMES);
    folder
}

/// Who trusts both the server and the balancer.
fn config(server: &Fermata, balancer: &Folder) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for file in [server.folder.path().join("app.pem"), balancer.path().join("own.pem")] {
        roots.add(certificate(&file)).expect("a certificate that can be trusted");
    }
    ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
}

fn certificate(file: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file).expect("a certificate in PEM")
}

/// A connection over TLS, asking for a name.
async fn connect(port: u16, name: &str, config: &ClientConfig) -> TlsStream<tokio::net::TcpStream> {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("the balancer listens");
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    TlsConnector::from(Arc::new(config.clone())).connect(name, stream).await.expect("TLS")
}

/// Who ends the TLS of a name.
fn who_ends(port: u16, name: &str, config: &ClientConfig, server: &Fermata) -> &'static str {
    runtime().block_on(async {
        let stream = connect(port, name, config).await;
        let shown = stream.get_ref().1.peer_certificates().expect("a certificate")[0].clone();
        if shown == certificate(&server.folder.path().join("app.pem")) { "the server" } else { "the balancer" }
    })
}

/// A connection to the balancer from 127.0.0.9.
fn plain(port: u16) -> TcpStream {
    let socket = RawSocket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 9], 0)).into()).expect("the address is this machine's");
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()).expect("the balancer listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream.set_nodelay(true).expect("small pieces can be sent");
    stream
}

/// What is answered to these bytes until the connection ends.
fn answer(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = plain(port);
    stream.write_all(bytes).expect("the balancer reads");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// The hello of a client that asks for a name, or for none.
fn hello(name: Option<&str>, config: &ClientConfig) -> Vec<u8> {
    let mut config = config.clone();
    config.enable_sni = name.is_some();
    let name = ServerName::try_from(name.unwrap_or("localhost").to_owned()).expect("a name");
    let mut bytes = Vec::new();
    ClientConnection::new(Arc::new(config), name).expect("a client").write_tls(&mut bytes).expect("memory takes it");
    bytes
}

#[test]
fn names_that_are_passed_through_end_at_the_server_and_the_others_at_the_balancer() {
    for engine in ENGINES {
        let ports = Ports::new();
        let server = server(ports.https, "");
        let web = Server::start(2, &[ports.http, ports.ws, ports.wss]);
        let keys = [engine, "pass_through: [app.example.com, \"*.example.org\"]"];
        let folder = folder(ports, &keys, true);
        let config = config(&server, &folder);
        let balancer = balance(folder);
        until("the web server is well", || get(ports.http, "/", "").0.ends_with(" 200 OK"));
        let ends = |name: &str| who_ends(ports.https, name, &config, &server);
        assert_eq!(ends("app.example.com"), "the server", "{engine}");
        assert_eq!(ends("Chat.Example.ORG"), "the server", "{engine}");
        assert_eq!(ends("other.example"), "the balancer", "{engine}");
        let mut unnamed = config.clone();
        unnamed.enable_sni = false;
        assert_eq!(who_ends(ports.https, "app.example.com", &unnamed, &server), "the balancer", "{engine}");
        runtime().block_on(async {
            // Both of what a port for TLS at the server carries, and what the balancer makes of the rest.
            let kept = connect(ports.https, "app.example.com", &config).await;
            let (mut socket, _) = client_async("wss://app.example.com/", kept).await.expect("a tunnel");
            echo(&mut socket, "the server").await;
            let ended = connect(ports.https, "other.example", &config).await;
            let (mut socket, _) = client_async("wss://other.example/", ended).await.expect("a tunnel");
            assert_eq!(next(&mut socket).await, format!("web2 on {} for 127.0.0.1", ports.ws), "{engine}");
        });
        assert_eq!(balancer.stop().code, Some(0), "{engine}");
        assert_eq!(server.stop().code, Some(0));
        drop(web);
    }
}

type Tunnel = tokio_tungstenite::WebSocketStream<TlsStream<tokio::net::TcpStream>>;

async fn next(socket: &mut Tunnel) -> String {
    use futures_util::StreamExt;
    socket.next().await.expect("open").expect("a message").into_text().expect("text").to_string()
}

async fn echo(socket: &mut Tunnel, text: &str) {
    use futures_util::SinkExt;
    socket.send(text.to_owned().into()).await.expect("the tunnel takes a message");
    assert_eq!(next(socket).await, text);
}

#[test]
fn where_the_balancer_has_no_certificate_only_those_names_come_in_and_the_others_are_told() {
    for engine in ENGINES {
        let ports = Ports::new();
        let server = server(ports.https, "");
        let folder = folder(ports, &[engine, "pass_through: app.example.com"], false);
        folder.write(
            "service.yml",
            &std::fs::read_to_string(folder.path().join("service.yml"))
                .expect("the file")
                .replace("tester: false", "tester: false, head_timeout: 1s"),
        );
        let config = config(&server, &folder);
        let balancer = balance(folder);
        assert_eq!(who_ends(ports.https, "app.example.com", &config, &server), "the server", "{engine}");
        let said = |bytes: &[u8]| answer(ports.https, bytes);
        let other = hello(Some("other.example"), &config);
        let half = &hello(Some("app.example.com"), &config)[..60];
        // TLS of another kind than a handshake's, and a hello whose suites have an odd count of bytes.
        let stranger = [23, 3, 3, 0, 1, 0];
        let mut broken = other.clone();
        broken[5 + 4 + 2 + 32 + 1 + 32 + 1] ^= 1;
        let answers =
            [&other[..], &hello(None, &config), &broken, half, &stranger, b"GET / HTTP/1.1\r\n\r\n"].map(said);
        if engine == "engine: haproxy" {
            // It hangs up, and has no words for it.
            assert_eq!(answers, [const { Vec::<u8>::new() }; 6]);
        } else {
            let [other, unnamed, broken, half, stranger, http] = answers;
            // `unrecognized_name`, `missing_extension`, `decode_error` (RFC 8446 6).
            assert_eq!([other, unnamed, broken].map(|alert| alert.last().copied()), [112, 109, 50].map(Some));
            assert_eq!(half, b"");
            let words = "Use https:// or wss:// here.\n";
            assert!([stranger, http].iter().all(|said| String::from_utf8_lossy(said).ends_with(words)));
        }
        assert_eq!(balancer.stop().code, Some(0), "{engine}");
        drop(server);
    }
}

#[test]
fn a_hello_may_come_in_single_bytes_and_in_many_records() {
    let ports = Ports::new();
    let server = server(ports.https, "");
    let folder = folder(ports, &["pass_through: app.example.com"], true);
    let config = Arc::new(config(&server, &folder));
    let balancer = balance(folder);
    for (size, piece) in [(usize::MAX, 1), (40, 7)] {
        let name = ServerName::try_from("app.example.com").expect("a name");
        let mut client = ClientConnection::new(config.clone(), name).expect("a client");
        let mut first = Vec::new();
        client.write_tls(&mut first).expect("memory takes it");
        let mut stream = plain(ports.https);
        let records: Vec<u8> = first[5..]
            .chunks(size)
            .flat_map(|part| [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat())
            .collect();
        for piece in records.chunks(piece) {
            stream.write_all(piece).expect("the balancer reads");
        }
        while client.is_handshaking() {
            client.complete_io(&mut stream).expect("the handshake goes on");
        }
        let shown = &client.peer_certificates().expect("a certificate")[0];
        assert_eq!(*shown, certificate(&server.folder.path().join("app.pem")));
    }
    assert_eq!(balancer.stop().code, Some(0));
}

#[test]
fn the_server_behind_learns_the_client_by_the_proxy_protocol() {
    for engine in ENGINES {
        let ports = Ports::new();
        let server = server(ports.https, ", proxy_protocol: true, trusted_proxies: [127.0.0.1]");
        let folder = folder(ports, &[engine, "pass_through: app.example.com", "proxy_protocol: v2"], true);
        let config = config(&server, &folder);
        let balancer = balance(folder);
        let name = ServerName::try_from("app.example.com").expect("a name");
        let client = ClientConnection::new(Arc::new(config), name).expect("a client");
        let mut stream = rustls::StreamOwned::new(client, plain(ports.https));
        stream.write_all(b"GET / HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("a whole answer");
        assert!(page.to_ascii_lowercase().contains("x-forwarded-for: 127.0.0.9\n"), "{engine}: {page}");
        drop(stream);
        assert_eq!(balancer.stop().code, Some(0), "{engine}");
        drop(server);
    }
}

#[test]
fn a_reload_changes_which_names_are_passed_through() {
    for engine in ENGINES {
        let ports = Ports::new();
        let server = server(ports.https, "");
        let folder = folder(ports, &[engine, "pass_through: app.example.com"], true);
        let config = config(&server, &folder);
        let balancer = balance(folder);
        let ends = |name: &str| who_ends(ports.https, name, &config, &server);
        assert_eq!([ends("app.example.com"), ends("other.example")], ["the server", "the balancer"], "{engine}");
        let path = balancer.folder.path().join("service.yml");
        let file = std::fs::read_to_string(path).expect("the file");
        for (names, wanted) in [
            ("pass_through: other.example", ["the balancer", "the server"]),
            ("balance: random", ["the balancer", "the balancer"]),
        ] {
            balancer.folder.write("service.yml", &file.replace("pass_through: app.example.com", names));
            let reloaded = balancer.folder.run(&["reload", "--state-dir", "state"]);
            assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
            until("the names are those of the file", || [ends("app.example.com"), ends("other.example")] == wanted);
        }
        assert_eq!(balancer.stop().code, Some(0), "{engine}");
        drop(server);
    }
}

#[test]
fn a_proxy_before_the_balancer_is_believed_whatever_becomes_of_the_tls_behind_it() {
    for engine in ENGINES {
        let ports = Ports::new();
        let server = server(ports.https, "");
        let web = Server::start(2, &[ports.http, ports.ws, ports.wss]);
        let folder = folder(ports, &[engine, "pass_through: app.example.com"], true);
        let file = std::fs::read_to_string(folder.path().join("service.yml")).expect("the file");
        let trusts = "tester: false, trusted_proxies: [127.0.0.9], proxy_protocol: true";
        folder.write("service.yml", &file.replace("tester: false", trusts));
        let config = Arc::new(config(&server, &folder));
        let balancer = balance(folder);
        let page = |name: &'static str| {
            let mut stream = plain(ports.https);
            stream.write_all(b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\r\n").expect("the balancer reads");
            let client = ClientConnection::new(config.clone(), name.try_into().expect("a name")).expect("a client");
            let mut stream = rustls::StreamOwned::new(client, stream);
            let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
            let mut page = String::new();
            let read = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut page));
            read.map(|_| page).unwrap_or_default()
        };
        let wanted = format!("web2 on {} for 192.0.2.7\n", ports.http);
        until("the web server is well", || page("other.example").ends_with(&wanted));
        assert!(page("app.example.com").starts_with("HTTP/1.1 200 OK\r\n"), "{engine}");
        assert_eq!(balancer.stop().code, Some(0), "{engine}");
        drop((server, web));
    }
}

#[test]
fn a_certificate_that_no_client_sees_is_said_at_the_start() {
    let ports = Ports::new();
    let folder = folder(ports, &["pass_through: [app.example.com, \"*.example.org\"]"], true);
    folder.write_certificate("own", &["app.example.com", "chat.example.org"]);
    let own = folder.path().join("own.pem");
    let balancer = balance(folder);
    let said = format!(
        "{} is for app.example.com, chat.example.org alone, whose TLS is passed through: no client sees it here; take it out of \
         tls.certificates, or the names out of load_balancer.pass_through",
        own.display()
    );
    assert!(balancer.process.transcript().contains(&said), "{}", balancer.process.transcript());
    assert_eq!(balancer.stop().code, Some(0));
}
