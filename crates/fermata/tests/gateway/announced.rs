//! The PROXY protocol: said by proxies that are trusted, said to services that want it, and nobody else's affair.

use crate::frames::{HANDSHAKE, SWITCH};
use crate::site::{Service, Site, from, service_yml};
use crate::support::{Fermata, Folder, free_port, haproxy, nginx, trusting};
use crate::talk::{End, Talk};

const GET: &str = "GET / HTTP/1.1\nHost: app\n\n";
/// The test's own address is trusted, others of this machine are not.
const TRUSTED: &str = "proxy_protocol: true, trusted_proxies: [127.0.0.0/29]";
const LINE: &str = "PROXY TCP4 203.0.113.7 198.51.100.1 40000 443\r\n";

/// Version 2, from 203.0.113.7 over TLS 1.3.
fn binary() -> Vec<u8> {
    let block = b"\xcb\x00\x71\x07\xc6\x33\x64\x01\x9c\x40\x01\xbb\x20\0\x0f\x01\0\0\0\x01\x21\0\x07TLSv1.3";
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0"[..], &[block.len() as u8], block].concat()
}

/// What the service reads, and says in return.
fn answered(service: &Service, client: &mut Talk) -> String {
    let mut service = service.accept();
    let head = service.head();
    service.say("HTTP/1.1 204 No Content\n\n");
    client.head();
    head
}

/// The one live tunnel's client, as `fermata connections` has it.
fn client_of_the_tunnel(fermata: &Fermata) -> String {
    let said = fermata.folder.run(&["connections", "--state-dir", "state", "--format", "json"]);
    let all: serde_json::Value = serde_json::from_str(&said.stdout).expect("connections as JSON");
    let all = all.as_array().or_else(|| all["connections"].as_array()).expect("a list").clone();
    assert_eq!(all.len(), 1, "{}", said.stdout);
    all[0]["client"].as_str().expect("an address").to_owned()
}

#[test]
fn a_trusted_proxy_says_who_the_client_is() {
    let site = Site::with("", TRUSTED);
    let headers = |proto: &str| {
        format!(
            "GET / HTTP/1.1
forwarded: for=203.0.113.7;host=\"app\";proto={proto}
host: app
x-forwarded-for: 203.0.113.7
x-forwarded-host: app
x-forwarded-proto: {proto}
x-request-id: (fresh)"
        )
    };
    for (header, proto) in [(LINE.as_bytes().to_vec(), "http"), (binary(), "https")] {
        let mut client = site.connect();
        // However it is cut.
        let (first, rest) = header.split_at(9);
        client.send(first);
        client.send(rest);
        client.say(GET);
        assert_eq!(answered(&site.service, &mut client), headers(proto));
        // It stands before the connection, not before each request; what the client says of itself is hearsay.
        client.say("GET / HTTP/1.1\nHost: app\nX-Forwarded-For: 192.0.2.66\n\n");
        let mut service = site.service.accept();
        assert_eq!(service.head(), headers(proto));
    }
}

#[test]
fn a_proxy_that_speaks_for_itself_is_the_client() {
    let site = Site::with("", TRUSTED);
    for header in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
        let mut client = site.connect();
        client.send(header);
        client.say("GET /.fermata/health HTTP/1.1\nHost: app\n\n");
        assert!(client.head().starts_with("HTTP/1.1 200 "));
    }
}

#[test]
fn who_is_trusted_must_say_it_and_who_is_not_cannot() {
    let site = Site::with("", TRUSTED);
    for other in ["GET / HTTP/1.1\r\nHost: app\r\n\r\n", "PROXY TCP4 nonsense\r\n"] {
        let mut client = site.connect();
        client.send(other);
        assert_eq!(client.end(), End::Closed, "{other}");
    }
    let words = "400 Bad Request\n\nThis connection to port PORT began with a PROXY protocol header, which is not believed here.\n\
                 Name the port under gateway.proxy_protocol and the sender under gateway.trusted_proxies in service.yml.\n"
        .replace("PORT", &site.http.to_string());
    for header in [LINE.as_bytes().to_vec(), binary()] {
        let mut stranger = site.connect_from([127, 0, 0, 8]);
        stranger.send(header);
        assert_eq!(stranger.response().body, words);
    }
    // Strangers come without one, and are who they are.
    let mut stranger = site.connect_from([127, 0, 0, 8]);
    stranger.say(GET);
    assert!(answered(&site.service, &mut stranger).contains("\nx-forwarded-for: 127.0.0.8\n"));
    let log = site.fermata.stop().stderr;
    let said: Vec<&str> =
        log.lines().filter_map(|line| line.split("not announced: ").nth(1)?.split(" proxy=").next()).collect();
    let expected = ["there is no PROXY protocol header", "the PROXY line is not as version 1 of the protocol has it"];
    assert_eq!(said, expected, "{log}");
}

#[test]
fn a_header_that_never_ends_is_not_waited_for() {
    let site = Site::with("", &format!("{TRUSTED}, head_timeout: 100ms"));
    let mut client = site.connect();
    client.send("PROXY TCP4 ");
    assert_eq!(client.end(), End::Closed);
}

#[test]
fn a_port_that_is_not_listed_takes_none() {
    let site = Site::with("", "proxy_protocol: [1], trusted_proxies: [127.0.0.1]");
    let mut client = site.connect();
    client.send(LINE);
    assert!(client.response().head.starts_with("HTTP/1.1 400 "));
    let mut client = site.connect();
    client.say(GET);
    answered(&site.service, &mut client);
}

#[test]
fn limits_and_the_list_of_connections_see_the_real_client() {
    let site = Site::with("websocket: {max_connections_per_ip: 1}", TRUSTED);
    let mut client = site.connect();
    client.send(LINE);
    client.say(HANDSHAKE);
    let mut service = site.service.accept();
    service.head();
    service.say(SWITCH);
    client.head();
    assert_eq!(client_of_the_tunnel(&site.fermata), "203.0.113.7");
    let mut again = site.connect();
    again.send(LINE);
    again.say(HANDSHAKE);
    assert!(again.response().head.starts_with("HTTP/1.1 429 "));
    let mut other = site.connect();
    other.send(LINE.replace("203.0.113.7", "203.0.113.8"));
    other.say(HANDSHAKE);
    site.service.accept();
}

#[test]
fn a_raw_port_and_one_with_tls_have_it_too() {
    let (service, tcp, https) = (Service::new(), free_port(), free_port());
    let folder = Folder::new(&format!(
        "{}tls: {{certificates: [{{cert: app.pem, key: app.key}}]}}\n",
        service_yml(service.port, &format!("tcp: {tcp}, https: {https}"), "", TRUSTED)
    ));
    let certificate = folder.write_certificate("app", &["localhost"]);
    let fermata = folder.up();
    let mut client = Talk::to(tcp);
    client.send([LINE.as_bytes(), b"and the rest"].concat());
    assert_eq!(service.accept().text(12), "and the rest");
    assert_eq!(client_of_the_tunnel(&fermata), "203.0.113.7");
    let mut client = Talk::to(https);
    client.send(LINE);
    let mut client = client.tls(&trusting(&certificate), "localhost");
    client.say(GET);
    assert!(answered(&service, &mut client).contains("\nx-forwarded-for: 203.0.113.7\n"));
}

#[test]
fn a_real_haproxy_before_fermata_is_believed() {
    let folder = Folder::new("");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    folder.write("both.pem", &format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem()));
    let certificate = folder.write("cert.pem", &made.cert.pem());
    let site = Site::with("", TRUSTED);
    let ways = [
        ("send-proxy", ""),
        ("send-proxy-v2", ""),
        ("send-proxy-v2 proxy-v2-options crc32c", ""),
        ("send-proxy-v2-ssl", &*format!(" ssl crt {}/both.pem", folder.path().display())),
    ];
    let ports = ways.map(|_| free_port());
    let listens: String = ways
        .iter()
        .zip(ports)
        .map(|((send, tls), port)| {
            format!(
                "listen port-{port}\n  mode tcp\n  bind 127.0.0.1:{port}{tls}\n  \
                 server fermata 127.0.0.1:{} {send}\n",
                site.http
            )
        })
        .collect();
    let _haproxy = haproxy(&folder, &listens, ports[0]);
    for ((send, tls), port) in ways.iter().zip(ports) {
        let client = from([127, 0, 0, 21], port);
        let mut client = if tls.is_empty() { client } else { client.tls(&trusting(&certificate), "localhost") };
        client.say(GET);
        let head = answered(&site.service, &mut client);
        let proto = if tls.is_empty() { "http" } else { "https" };
        let expected = format!("x-forwarded-for: 127.0.0.21\nx-forwarded-host: app\nx-forwarded-proto: {proto}\n");
        assert!(head.contains(&expected), "{send}: {head}");
    }
}

#[test]
fn a_service_is_told_before_anything_else_and_on_a_connection_of_the_client_s_own() {
    for (version, line) in [("v1", "PROXY TCP4 127.0.0.8 127.0.0.1 "), ("v2", "")] {
        let site = Site::with(&format!("proxy_protocol: {version}"), "trusted_proxies: [127.0.0.0/29]");
        let mut client = site.connect_from([127, 0, 0, 8]);
        for _ in 0..2 {
            client.say(GET);
            let mut service = site.service.accept();
            if version == "v1" {
                let told = service.line();
                assert!(told.starts_with(line) && told.ends_with(&format!(" {}", site.http)), "{told}");
            } else {
                let told = service.bytes(28);
                let addresses = [127, 0, 0, 8, 127, 0, 0, 1];
                assert_eq!(told[..24], [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &addresses].concat());
                assert_eq!(told[26..], site.http.to_be_bytes());
            }
            assert!(service.head().starts_with("GET / HTTP/1.1\n"));
            service.say("HTTP/1.1 204 No Content\n\n");
            client.head();
        }
        // Whom a trusted proxy names is told in the proxy's place; nobody has said a port.
        let mut client = site.connect();
        client.say(&HANDSHAKE.replace("Upgrade: websocket", "Upgrade: websocket\nX-Forwarded-For: 203.0.113.7"));
        let mut service = site.service.accept();
        if version == "v1" {
            assert_eq!(service.line(), format!("PROXY TCP4 203.0.113.7 127.0.0.1 0 {}", site.http));
        } else {
            assert_eq!(service.bytes(28)[16..26], [203, 0, 113, 7, 127, 0, 0, 1, 0, 0]);
        }
        assert!(service.head().contains("\nupgrade: websocket"));
    }
}

#[test]
fn a_real_haproxy_and_a_real_nginx_behind_fermata_see_the_client() {
    let folder = Folder::new("");
    let (behind, raw, nginx_port) = (free_port(), free_port(), free_port());
    let _haproxy = haproxy(
        &folder,
        &format!(
            "frontend behind\n  bind 127.0.0.1:{behind} accept-proxy\n  \
             http-request return content-type text/plain lf-string \"%[src] to %[dst]:%[dst_port]\"\n"
        ),
        behind,
    );
    let _nginx = nginx(
        &folder,
        &format!(
            "  server {{\n    listen 127.0.0.1:{nginx_port} proxy_protocol;\n    \
             return 200 \"$proxy_protocol_addr to $proxy_protocol_server_addr:$proxy_protocol_server_port\";\n  }}\n"
        ),
        nginx_port,
    );
    for service in [behind, nginx_port] {
        for version in ["v1", "v2"] {
            let http = free_port();
            let keys = format!(
                "proxy_protocol: {version}\nhealth: {{ready: {{type: http, endpoint: /, port: 3000, initial_delay: 0s}}}}"
            );
            // Ready, by a check that says it speaks for itself.
            let ports = format!("http: {http}, tcp: {raw}");
            let _fermata = Fermata::up(&service_yml(service, &ports, &keys, ""));
            for port in [http, raw] {
                let mut client = from([127, 0, 0, 21], port);
                client.say(GET);
                assert_eq!(client.response().body, format!("127.0.0.21 to 127.0.0.1:{port}"));
            }
        }
    }
}
