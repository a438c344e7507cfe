//! Ordinary requests: everything that HTTP/1.1 can say passes, and nothing waits for what is not needed yet.

use std::fs;

use crate::site::Site;
use crate::talk::{End, Response, Talk};

const OK: &str = "HTTP/1.1 200 OK\nContent-Length: 2\n\nok";

/// What the service sees of a request beside its own headers.
fn seen(request_line: &str, headers: &[&str]) -> String {
    let mut lines = vec![
        "forwarded: for=127.0.0.1;host=\"app\";proto=http",
        "host: app",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: app",
        "x-forwarded-proto: http",
        "x-request-id: (fresh)",
    ];
    lines.extend(headers);
    lines.sort_by_key(|line| line.split(':').next());
    format!("{request_line}\n{}", lines.join("\n"))
}

/// What the client sees of an answer.
fn answered(status: &str, headers: &[&str], body: &str) -> Response {
    let mut lines = vec!["x-request-id: (fresh)"];
    lines.extend(headers);
    lines.sort_by_key(|line| line.split(':').next());
    Response { head: format!("HTTP/1.1 {status}\n{}", lines.join("\n")), body: body.into() }
}

fn ok() -> Response {
    answered("200 OK", &["content-length: 2"], "ok")
}

#[test]
fn a_request_passes_with_what_a_proxy_adds_and_its_answer_comes_back() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("GET /a%20b/../c?d=e&f HTTP/1.1\nHost: app\nAccept: text/html\nCookie: a=b\n\n");
    let mut service = site.service.accept();
    assert_eq!(service.head(), seen("GET /a%20b/../c?d=e&f HTTP/1.1", &["accept: text/html", "cookie: a=b"]));
    service.say("HTTP/1.1 418 Short and stout\nContent-Length: 3\nServer: pot\n\ntea");
    assert_eq!(client.response(), answered("418 Short and stout", &["content-length: 3", "server: pot"], "tea"));
}

#[test]
fn connections_are_kept_on_both_sides() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("GET /1 HTTP/1.1\nHost: app\n\n");
    let mut service = site.service.accept();
    for number in 1..=3 {
        assert_eq!(service.head(), seen(&format!("GET /{number} HTTP/1.1"), &[]));
        service.say(OK);
        assert_eq!(client.response(), ok());
        client.say(&format!("GET /{} HTTP/1.1\nHost: app\n\n", number + 1));
    }
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("GET /1 HTTP/1.1\nHost: app\n\nPOST /2 HTTP/1.1\nHost: app\nContent-Length: 3\n\nabcGET /3 HTTP/1.1\nHost: app\n\n");
    let mut service = site.service.accept();
    assert_eq!(service.head(), seen("GET /1 HTTP/1.1", &[]));
    service.say(OK);
    assert_eq!(service.head(), seen("POST /2 HTTP/1.1", &["content-length: 3"]));
    assert_eq!(service.text(3), "abc");
    service.say(OK);
    assert_eq!(service.head(), seen("GET /3 HTTP/1.1", &[]));
    service.say(OK);
    for _ in 0..3 {
        assert_eq!(client.response(), ok());
    }
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let site = Site::new();
    let mut client = site.connect();
    let request = "\r\nPOST / HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for byte in request.repeat(2).as_bytes().chunks(1) {
        client.send(byte);
    }
    let mut service = site.service.accept();
    for _ in 0..2 {
        assert_eq!(service.head(), seen("POST / HTTP/1.1", &["transfer-encoding: chunked"]));
        let chunks: String = std::iter::from_fn(|| service.chunk()).collect();
        assert_eq!(chunks, "abc");
        service.say(OK);
        assert_eq!(client.response(), ok());
    }
}

#[test]
fn the_service_reads_a_body_while_it_is_sent() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("POST / HTTP/1.1\nHost: app\nContent-Length: 10\n\nfirst");
    let mut service = site.service.accept();
    assert_eq!(service.head(), seen("POST / HTTP/1.1", &["content-length: 10"]));
    assert_eq!(service.text(5), "first");
    client.send("later");
    assert_eq!(service.text(5), "later");
    service.say(OK);
    assert_eq!(client.response(), ok());
}

#[test]
fn the_client_reads_an_answer_while_it_is_written() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("GET / HTTP/1.1\nHost: app\n\n");
    let mut service = site.service.accept();
    service.head();
    service.say("HTTP/1.1 200 OK\nContent-Length: 10\n\nfirst");
    assert_eq!(client.head(), "HTTP/1.1 200 OK\ncontent-length: 10\nx-request-id: (fresh)");
    assert_eq!(client.text(5), "first");
    service.send("later");
    assert_eq!(client.text(5), "later");
}

#[test]
fn both_bodies_may_flow_at_once() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("POST / HTTP/1.1\nHost: app\nTransfer-Encoding: chunked\n\n");
    let mut service = site.service.accept();
    service.head();
    service.say("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n");
    client.head();
    for _ in 0..3 {
        client.say("4\nping\n");
        assert_eq!(service.chunk().as_deref(), Some("ping"));
        service.say("4\npong\n");
        assert_eq!(client.chunk().as_deref(), Some("pong"));
    }
    client.say("0\n\n");
    assert_eq!(service.chunk(), None);
    service.say("0\n\n");
    assert_eq!(client.chunk(), None);
}

#[test]
fn trailers_pass_both_ways() {
    let site = Site::new();
    let mut client = site.connect();
    client.say(
        "POST / HTTP/1.1\nHost: app\nTE: trailers\nConnection: TE\nTrailer: Sum\nTransfer-Encoding: chunked\n\n\
         3\nabc\n0\nSum: 294\n\n",
    );
    let mut service = site.service.accept();
    let headers = ["connection: te", "te: trailers", "trailer: Sum", "transfer-encoding: chunked"];
    assert_eq!(service.head(), seen("POST / HTTP/1.1", &headers));
    assert_eq!([(); 5].map(|()| service.line()), ["3", "abc", "0", "sum: 294", ""].map(str::to_owned));
    service.say("HTTP/1.1 200 OK\nTrailer: Sum\nTransfer-Encoding: chunked\n\n3\ndef\n0\nSum: 303\n\n");
    assert_eq!(client.head(), "HTTP/1.1 200 OK\ntrailer: Sum\ntransfer-encoding: chunked\nx-request-id: (fresh)");
    assert_eq!([(); 5].map(|()| client.line()), ["3", "def", "0", "sum: 303", ""].map(str::to_owned));
}

#[test]
fn an_answer_without_a_length_ends_with_its_connection() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("GET / HTTP/1.1\nHost: app\n\n");
    let mut service = site.service.accept();
    service.head();
    service.say("HTTP/1.0 200 OK\n\nto the end");
    service.finish();
    assert_eq!(client.response(), answered("200 OK", &["transfer-encoding: chunked"], "to the end"));
}

#[test]
fn the_answer_to_head_has_a_length_and_no_body() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("HEAD / HTTP/1.1\nHost: app\n\n");
    let mut service = site.service.accept();
    assert_eq!(service.head(), seen("HEAD / HTTP/1.1", &[]));
    service.say("HTTP/1.1 200 OK\nContent-Length: 1234\n\n");
    assert_eq!(client.head(), "HTTP/1.1 200 OK\ncontent-length: 1234\nx-request-id: (fresh)");
    client.say("GET / HTTP/1.1\nHost: app\n\n");
    assert_eq!(service.head(), seen("GET / HTTP/1.1", &[]));
    service.say(OK);
    assert_eq!(client.response(), ok());
}

#[test]
fn answers_that_never_have_a_body_end_with_their_heads() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("DELETE / HTTP/1.1\nHost: app\n\n");
    let mut service = site.service.accept();
    service.head();
    service.say("HTTP/1.1 204 No Content\n\n");
    assert_eq!(client.response(), answered("204 No Content", &[], ""));
    client.say("GET / HTTP/1.1\nHost: app\nIf-None-Match: \"a\"\n\n");
    service.head();
    service.say("HTTP/1.1 304 Not Modified\nETag: \"a\"\nContent-Length: 1234\n\n");
    assert_eq!(client.response(), answered("304 Not Modified", &["etag: \"a\""], ""));
    client.say("GET / HTTP/1.1\nHost: app\n\n");
    service.head();
    service.say(OK);
    assert_eq!(client.response(), ok());
}

#[test]
fn a_client_that_waits_for_100_is_asked_to_go_on() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("PUT / HTTP/1.1\nHost: app\nExpect: 100-continue\nContent-Length: 4\n\n");
    let mut service = site.service.accept();
    assert_eq!(service.head(), seen("PUT / HTTP/1.1", &["content-length: 4"]));
    assert_eq!(client.head(), "HTTP/1.1 100 Continue");
    client.send("body");
    assert_eq!(service.text(4), "body");
    service.say(OK);
    assert_eq!(client.response(), ok());
}

#[test]
fn a_client_that_waits_for_100_is_not_asked_when_nobody_takes_its_body() {
    let site = Site::with("traffic_matches: [other]", "");
    let mut client = site.connect();
    client.say("PUT / HTTP/1.1\nHost: app\nExpect: 100-continue\nContent-Length: 4\n\n");
    assert!(client.response().head.starts_with("HTTP/1.1 404 Not Found\n"));
    assert_eq!(client.end(), End::Closed);
}

#[test]
fn what_a_service_says_before_its_answer_is_not_the_answer() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("GET / HTTP/1.1\nHost: app\n\n");
    let mut service = site.service.accept();
    service.head();
    service.say("HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Early Hints\nLink: </a.css>\n\n");
    service.say(OK);
    assert_eq!(client.response(), ok());
}

#[test]
fn events_arrive_at_once_and_the_service_learns_that_the_client_has_left() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("GET /events HTTP/1.1\nHost: app\nAccept: text/event-stream\n\n");
    let mut service = site.service.accept();
    service.head();
    service.say("HTTP/1.1 200 OK\nContent-Type: text/event-stream\nTransfer-Encoding: chunked\n\n");
    client.head();
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        service.send(format!("{:x}\r\n{event}\r\n", event.len()));
        assert_eq!(client.chunk().as_deref(), Some(event));
    }
    drop(client);
    assert_ne!(service.try_end(), None);
}

#[test]
fn a_service_that_thinks_learns_that_the_client_has_left() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("GET / HTTP/1.1\nHost: app\n\n");
    let mut service = site.service.accept();
    service.head();
    drop(client);
    assert_ne!(service.try_end(), None);
}

#[test]
fn a_kept_connection_that_the_service_has_closed_is_replaced() {
    let site = Site::new();
    let mut client = site.connect();
    for method in ["GET", "POST", "GET"] {
        let body = if method == "POST" { "Content-Length: 4\n\nbody" } else { "\n" };
        client.say(&format!("{method} / HTTP/1.1\nHost: app\n{body}"));
        let mut service = site.service.accept();
        service.head();
        service.say(OK);
        assert_eq!(client.response(), ok());
        // The service closes its side, which it may at any time (RFC 9112 9.5).
    }
}

#[test]
fn a_request_that_meets_the_end_of_a_kept_connection_is_repeated() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("GET /1 HTTP/1.1\nHost: app\n\n");
    let mut first = site.service.accept();
    first.head();
    first.say(OK);
    assert_eq!(client.response(), ok());
    client.say("GET /2 HTTP/1.1\nHost: app\n\n");
    // It has read the request, and ends without an answer.
    first.head();
    drop(first);
    let mut second = site.service.accept();
    assert_eq!(second.head(), seen("GET /2 HTTP/1.1", &[]));
    second.say(OK);
    assert_eq!(client.response(), ok());
}

#[test]
fn a_request_that_may_not_be_repeated_is_not() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("GET /1 HTTP/1.1\nHost: app\n\n");
    let mut first = site.service.accept();
    first.head();
    first.say(OK);
    assert_eq!(client.response(), ok());
    client.say("POST /order HTTP/1.1\nHost: app\n\n");
    first.head();
    drop(first);
    let body = "502 Bad Gateway\n\nThe answer of the service \"app\" cannot be used: it ended the connection before its \
                answer was complete.\nLook at its log; does it speak HTTP/1.1 on this port?\n";
    assert_eq!(client.response().body, body);
}

#[test]
fn an_answer_that_comes_before_the_end_of_the_body_reaches_the_client() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("POST / HTTP/1.1\nHost: app\nContent-Length: 1000000000\n\nsome of it");
    let mut service = site.service.accept();
    service.head();
    service.say("HTTP/1.1 413 Content Too Large\nContent-Length: 8\nConnection: close\n\ntoo much");
    assert_eq!(client.response(), answered("413 Content Too Large", &["content-length: 8"], "too much"));
    drop(service);
    assert_eq!(client.end(), End::Closed);
}

#[test]
fn a_refused_upload_does_not_lose_its_answer() {
    let site = Site::with("traffic_matches: [other]", "");
    let mut client = site.connect();
    client.say("POST / HTTP/1.1\nHost: app\nContent-Length: 4000000\n\n");
    // More than all buffers on the way hold: unread bytes at a close would reset the connection, answer and all.
    client.send(vec![b'x'; 4_000_000]);
    assert!(client.head().starts_with("HTTP/1.1 404 Not Found\n"));
}

#[test]
fn an_http_1_0_client_gets_an_answer_that_it_can_read() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("GET / HTTP/1.0\n\n");
    let mut service = site.service.accept();
    let local = format!("127.0.0.1:{}", site.http);
    assert_eq!(service.head(), seen("GET / HTTP/1.1", &[]).replace("app", &local));
    service.say("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n");
    assert_eq!(client.head(), "HTTP/1.0 200 OK\nx-request-id: (fresh)");
    assert_eq!(client.rest(), "abc");
}

#[test]
fn an_http_1_0_client_may_keep_its_connection() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("GET / HTTP/1.0\nHost: app\nConnection: keep-alive\n\n");
    let mut service = site.service.accept();
    for _ in 0..2 {
        assert_eq!(service.head(), seen("GET / HTTP/1.1", &[]));
        service.say(OK);
        let response = client.response();
        assert_eq!(response.head, "HTTP/1.0 200 OK\nconnection: keep-alive\ncontent-length: 2\nx-request-id: (fresh)");
        client.say("GET / HTTP/1.0\nHost: app\nConnection: keep-alive\n\n");
    }
}

#[test]
fn an_answer_that_breaks_off_is_seen_to_break_off() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("GET / HTTP/1.0\nHost: app\n\n");
    let mut service = site.service.accept();
    service.head();
    service.say("HTTP/1.1 200 OK\nContent-Length: 10\n\nhalf");
    client.head();
    assert_eq!(client.text(4), "half");
    drop(service);
    // The end of the stream would be the end of an answer to HTTP/1.0.
    assert_eq!(client.end(), End::Reset);
}

#[test]
fn a_target_may_be_a_whole_url_which_then_says_the_host() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("GET http://app/path?query HTTP/1.1\nHost: other\n\n");
    let mut service = site.service.accept();
    assert_eq!(service.head(), seen("GET /path?query HTTP/1.1", &[]));
    service.say(OK);
    assert_eq!(client.response(), ok());
    client.say("OPTIONS * HTTP/1.1\nHost: app\n\n");
    assert_eq!(service.head(), seen("OPTIONS * HTTP/1.1", &[]));
}

#[test]
fn many_headers_and_their_order_are_kept() {
    let site = Site::new();
    let mut client = site.connect();
    let many: String = (10..90).map(|number| format!("x-{number}: {}\n", "v".repeat(200))).collect();
    client.say(&format!("GET / HTTP/1.1\nHost: app\nX: b\n{many}X: a\nX: c, d\n\n"));
    let mut service = site.service.accept();
    let head = service.head();
    assert_eq!(head.matches(&"v".repeat(200)).count(), 80);
    assert!(head.contains("\nx: b\nx: a\nx: c, d\n"), "{head}");
    service.say(&format!(
        "HTTP/1.1 200 OK\nContent-Length: 2\nSet-Cookie: z=1; Path=/\nVary: b\n{many}Set-Cookie: a=2\nVary: a\nSet-Cookie: z=3\n\nok"
    ));
    let head = client.response().head;
    assert_eq!(head.matches(&"v".repeat(200)).count(), 80);
    assert!(head.contains("\nset-cookie: z=1; Path=/\nset-cookie: a=2\nset-cookie: z=3\nvary: b\nvary: a\n"), "{head}");
}

#[test]
fn what_belongs_to_one_hop_does_not_pass() {
    let site = Site::new();
    let mut client = site.connect();
    client.say(
        "GET / HTTP/1.1\nHost: app\nConnection: keep-alive, X-Mine\nConnection: host, x-forwarded-for\nX-Mine: 1\n\
         Keep-Alive: timeout=5\nProxy-Connection: keep-alive\nTE: gzip\nUpgrade: h2c\nHTTP2-Settings: AAMAAABk\n\
         X-Theirs: 1\n\n",
    );
    let mut service = site.service.accept();
    assert_eq!(service.head(), seen("GET / HTTP/1.1", &["x-theirs: 1"]));
    service.say(
        "HTTP/1.1 200 OK\nContent-Length: 2\nConnection: keep-alive, X-Mine\nX-Mine: 1\nKeep-Alive: timeout=5\n\
         Proxy-Authenticate: Basic\nUpgrade: h2c\n\nok",
    );
    assert_eq!(client.response(), answered("200 OK", &["content-length: 2", "proxy-authenticate: Basic"], "ok"));
}

#[test]
fn both_sides_learn_the_same_request_id() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("GET / HTTP/1.1\nHost: app\nX-Request-Id: theirs\n\n");
    let mut service = site.service.accept();
    let id = |head: String| {
        let line = head.lines().find_map(|line| line.strip_prefix("x-request-id: ").map(str::to_owned));
        line.unwrap_or_else(|| panic!("no id in {head}"))
    };
    let asked = id(service.raw_head());
    service.say(OK);
    assert_eq!(id(client.raw_head()), asked);
    assert_ne!(asked, "theirs");
}

#[test]
fn a_client_that_asks_for_a_close_gets_one_and_the_service_is_kept() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("GET / HTTP/1.1\nHost: app\nConnection: close\n\n");
    let mut service = site.service.accept();
    assert_eq!(service.head(), seen("GET / HTTP/1.1", &[]));
    service.say(OK);
    assert_eq!(client.response(), answered("200 OK", &["connection: close", "content-length: 2"], "ok"));
    assert_eq!(client.end(), End::Closed);
}

/// 1 GiB, or as many as `FERMATA_UPLOAD_GIB` says.
#[test]
fn an_upload_of_any_size_takes_constant_memory() {
    const MIB: usize = 1 << 20;
    let gibibytes = std::env::var("FERMATA_UPLOAD_GIB").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let bytes = gibibytes << 30;
    let site = Site::new();
    let mut client = site.connect();
    client.say(&format!("PUT / HTTP/1.1\nHost: app\nContent-Length: {bytes}\n\n"));
    let mut service = site.service.accept();
    service.head();
    let sending = std::thread::spawn(move || {
        let part = vec![b'x'; MIB];
        for _ in 0..bytes / MIB {
            client.send(&part);
        }
        client
    });
    service.skip(bytes);
    service.say(OK);
    let mut client: Talk = sending.join().expect("everything was sent");
    assert_eq!(client.response(), ok());
    let peak = peak_kib(&site);
    assert!(peak < 64 * 1024, "{peak} KiB");
}

/// The most memory that the gateway has had (`VmHWM`, `proc_pid_status(5)`).
fn peak_kib(site: &Site) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", site.fermata.process.pid()));
    let status = status.unwrap_or_else(|error| panic!("a running process has a status: {error}"));
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).expect("VmHWM in kB")
}

#[test]
fn a_balancer_may_ask_the_gateway_itself_whether_a_port_has_a_service() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("GET /.fermata/health HTTP/1.1\nHost: 10.0.0.7\n\n");
    let Response { head, body } = client.response();
    let said = "cache-control: no-store\ncontent-length: 6\ncontent-type: text/plain; charset=utf-8";
    assert_eq!((head, body.as_str()), (format!("HTTP/1.1 200 OK\n{said}"), "ready\n"));
}
