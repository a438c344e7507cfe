//! The upgrade that was not granted by a status.

use super::super::dialect;
use super::super::http::Answer;
use super::super::name::{Hop, Name};
use super::super::product::{self, Product};
use super::super::target::Question;
use super::super::ws::{Look, Trouble};
use super::products::{envoy, is_incapable, pass_it_on, subject};
use super::{bad101, web};
use crate::report::Advice;

/// The hop of the upgrade.
pub(in super::super) fn upgrade(look: &Look, question: &Question) -> Hop {
    let took = Some(look.took);
    let trouble = match &look.outcome {
        Ok(open) => {
            let mut hop = Hop::works(Name::Upgrade, took, "101, and every header of it is right");
            match &open.protocol {
                Some(protocol) => hop = hop.detail(format!("subprotocol {protocol}")),
                None if question.protocols.is_empty() => {}
                None => hop = hop.detail("no subprotocol").remark(bad101::no_subprotocol(question)),
            }
            let compression = if open.compression { "compression is taken" } else { "no compression" };
            return hop.detail(format!("{compression} when it is offered (permessage-deflate)"));
        }
        Err(trouble) => trouble,
    };
    let (says, advice) = told(trouble, question);
    let hop = Hop::broken(Name::Upgrade, took, says, advice);
    match body_of(trouble) {
        Some(words) => hop.detail(format!("it says: {words}")),
        None => hop,
    }
}

fn told(trouble: &Trouble, question: &Question) -> (String, Advice) {
    match trouble {
        Trouble::NoAnswer(trouble) => {
            let says = "A plain request is answered, and the handshake is not: something on the way drops it.";
            let fix = web::advice(trouble, &question.target).fix;
            let says_hop = format!("handshake: {}", web::words(trouble, &question.target));
            (says_hop, Advice { code: "upgrade-no-answer", says: says.to_owned(), fix })
        }
        Trouble::Refused(answer) => (refusal(answer), refused(answer, question)),
        Trouble::Origin(origin, answer) => (refusal(answer), origin_refused(origin)),
        Trouble::Compression(trouble) => {
            let (says, advice) = told(trouble, question);
            (format!("with an offer of compression: {says}"), compression_refused(&advice))
        }
        Trouble::OldHttp => ("101, but over HTTP/1.0".to_owned(), bad101::old_http()),
        Trouble::BadAnswer(bad, answer) => (bad101::words(*bad, answer), bad101::advice(*bad)),
    }
}

fn refusal(answer: &Answer) -> String {
    let by = product::shown(answer).map(|by| format!(", by {by}")).unwrap_or_default();
    let to = answer.header("location").filter(|_| matches!(answer.status, 300..=399));
    let to = to.map(|to| format!(", to {}", dialect::shown(to.as_bytes()))).unwrap_or_default();
    format!("{} instead of 101{to}{by}", answer.line())
}

/// The first words of a body that is meant to be read.
fn body_of(trouble: &Trouble) -> Option<String> {
    let (Trouble::Refused(answer) | Trouble::Origin(_, answer)) = trouble else { return None };
    let html = answer.header("content-type").is_some_and(|kind| kind.contains("html")) || answer.says("<html");
    // The first line of a chunked body is a length (RFC 9112 7.1).
    let lengths = usize::from(answer.headers.contains_key("transfer-encoding"));
    let mut lines = answer.rest.split(|byte| *byte == b'\n').skip(lengths);
    let line = lines.find(|line| !line.trim_ascii().is_empty())?;
    (!html).then(|| format!("\"{}\"", dialect::shown(line)))
}

/// What a status means for a handshake.
fn refused(answer: &Answer, question: &Question) -> Advice {
    let product = product::of(answer);
    match answer.status {
        301 | 302 | 303 | 307 | 308 => redirected(answer, question),
        401 | 407 => unauthorized(),
        403 if product == Some(Product::Envoy) => envoy(Advice::new(
            "envoy-no-upgrade",
            "Envoy answers every WebSocket handshake with 403 unless it is told to let them pass.",
        )),
        403 => forbidden(question),
        404 => not_found(product, question),
        426 => wants_upgrade(answer),
        400 if product == Some(Product::SocketIo) => socket_io(question),
        400 if answer.says("Header Or Cookie Too Large") => too_large(),
        400 if answer.says("subprotocol") => subprotocol_missing(question),
        400 if mentions_upgrade(answer) => upgrade_lost(product),
        400 => pass_it_on(
            Advice::new("bad-request", "The service takes this for an incomplete handshake.")
                .then("Look into its log for the header that it misses; a proxy in front may drop it."),
            product,
        ),
        405 | 501 => method_not_allowed(product),
        408 | 504 | 524 => gateway_timeout(product),
        429 => Advice::new("too-many", "There are too many connections from here, or they come too fast.")
            .then("Wait, then try again; the limit is websocket.max_connections_per_ip in Fermata's service.yml."),
        413 | 414 | 431 => too_large(),
        421 => Advice::new("misdirected", format!("The server does not answer for {} on this port.", question.target.host()))
            .then("Check its names: server_name in nginx, the site's address in Caddy, traffic_matches in service.yml.")
            .then("Or the name points to the wrong server."),
        525 | 526 => Advice::new("origin-tls", "Cloudflare reaches the server, and can't do TLS with it.")
            .then("Give the server a certificate that is valid for this name (a Cloudflare Origin certificate is enough).")
            .then("Then choose Full (strict) under SSL/TLS; Flexible speaks without TLS to the server."),
        500 => {
            Advice::new("service-failed", "The service fails when it gets this handshake.").then("Its log knows why.")
        }
        502 | 520..=523 => bad_gateway(product),
        503 => unavailable(product),
        200..=299 => ignored(product),
        _ => Advice::new("unexpected-status", "Nothing in a WebSocket handshake asks for this answer.")
            .then("Look into the log of whoever answered."),
    }
}

fn too_large() -> Advice {
    Advice::new("request-too-large", "The request's head is too large for the server: cookies, mostly.")
        .then("Clear this host's cookies, or raise the limit: large_client_header_buffers in nginx.")
}

fn subprotocol_missing(question: &Question) -> Advice {
    let offered = match question.protocols.as_slice() {
        [] => "none was offered".to_owned(),
        some => format!("{} were offered", some.join(", ")),
    };
    Advice::new("subprotocol-missing", format!("The service insists on a subprotocol that it knows, and {offered}."))
        .then("Offer it here, and have its clients offer it:")
        .write("--subprotocol NAME\nnew WebSocket(url, [\"NAME\"])")
}

fn redirected(answer: &Answer, question: &Question) -> Advice {
    let target = &question.target;
    let advice = Advice::new("redirect", "The answer is a redirect, and no browser follows one for a WebSocket.");
    let here = url::Url::parse(&target.with_scheme(if target.is_secure() { "https" } else { "http" }));
    let there = here.and_then(|here| here.join(answer.header("location").unwrap_or_default()));
    let Ok(there) = there else { return advice.then("Connect to the final address.") };
    if ["login", "signin", "sign-in", "auth", "sso"].iter().any(|word| there.path().contains(word)) {
        return advice
            .then("It leads to a login. Send what proves one:")
            .write("--header \"Cookie: session=...\"")
            .then("Let the service answer 401 to a handshake without a session: a client can act on that.");
    }
    let scheme = if matches!(there.scheme(), "https" | "wss") { "wss" } else { "ws" };
    advice.then(format!("Connect to where it leads: {scheme}{}", &there[url::Position::AfterScheme..]))
}

fn unauthorized() -> Advice {
    Advice::new("unauthorized", "The service wants to know who asks.")
        .then("Send what it needs:")
        .write("--header \"Cookie: session=...\"\n--header \"Authorization: Bearer ...\"")
        .then(
            "A page can't set headers of a WebSocket: browsers send cookies; other tokens go into the address or a \
             subprotocol.",
        )
}

fn forbidden(question: &Question) -> Advice {
    Advice::new(
        "forbidden",
        "Somebody on the way does not allow this: by the page's origin, by address, or by a firewall rule.",
    )
    .then(format!("The probe came as a page of {}. If your page has another origin, say so:", question.target.origin()))
    .write("--header \"Origin: https://app.example.com\"")
    .then(
        "Look into the list of allowed origins or hosts: websocket.origins in Fermata's service.yml, ALLOWED_HOSTS \
         in Django, allowed_request_origins in Rails.",
    )
}

fn origin_refused(origin: &str) -> Advice {
    Advice::new(
        "origin-refused",
        format!("The service refuses pages of {origin}: without an Origin header it grants the upgrade."),
    )
    .then("If your page has another origin, say so:")
    .write("--header \"Origin: https://app.example.com\"")
    .then(
        "Else add the origin to those that are allowed: websocket.origins in Fermata's service.yml, \
         allowed_request_origins in Rails, check_origin in Phoenix.",
    )
}

fn not_found(product: Option<Product>, question: &Question) -> Advice {
    let target = &question.target;
    let advice = Advice::new("not-found", format!("Nobody answers under {} on this host.", target.path()));
    let advice = match product {
        Some(Product::Fermata) => {
            advice.then("No service has this host name on this port: see traffic_matches in Fermata's service.yml.")
        }
        product if is_incapable(product) => pass_it_on(advice, product),
        _ => advice,
    };
    if target.path() == "/" {
        advice
            .then("Many services have their socket elsewhere:")
            .write("/ws   /socket   /cable (Rails)   /socket/websocket (Phoenix)\n/socket.io/?EIO=4&transport=websocket (Socket.IO)")
    } else {
        advice.then("Check the path, and that a proxy in front does not cut a part of it off.")
    }
}

fn method_not_allowed(product: Option<Product>) -> Advice {
    let advice = Advice::new("method-not-allowed", "Whoever answers does not know WebSockets under this path.")
        .then("Check the path; a file server or an ordinary page may answer there.");
    if is_incapable(product) { pass_it_on(advice, product) } else { advice }
}

fn wants_upgrade(answer: &Answer) -> Advice {
    match answer.header("sec-websocket-version") {
        Some(versions) if !versions.split(',').any(|version| version.trim() == "13") => Advice::new(
            "old-version",
            format!("The service speaks another version of WebSocket ({versions}) than RFC 6455 (13)."),
        )
        .then("Replace its WebSocket library: no browser of today speaks that version."),
        _ => upgrade_lost(product::of(answer)),
    }
}

fn upgrade_lost(product: Option<Product>) -> Advice {
    let says =
        "The service is there and says that it got no upgrade. The probe sent one: a proxy in between took it out.";
    pass_it_on(Advice::new("upgrade-lost", says), product)
}

fn ignored(product: Option<Product>) -> Advice {
    let says = "The handshake was answered like an ordinary request: either nothing under this path knows \
        WebSockets, or a proxy in between took the upgrade out.";
    let advice = Advice::new("upgrade-ignored", says).then("Check the path: a page or a file may answer there.");
    pass_it_on(advice, product)
}

fn socket_io(question: &Question) -> Advice {
    let url = question.target.to_string();
    let base = url.strip_suffix(question.target.path()).unwrap_or(&url);
    Advice::new("socket-io", "This is Socket.IO, which wants its own words in the address.")
        .then("Probe it like this:")
        .write(format!("fermata probe '{base}/socket.io/?EIO=4&transport=websocket'"))
}

fn bad_gateway(product: Option<Product>) -> Advice {
    let by = subject(product, "A proxy");
    let advice =
        Advice::new("bad-gateway", format!("{by} has nobody behind it for this: the service is down, or elsewhere."))
            .then("Check that the service runs and listens where it is looked for: host, port, 127.0.0.1 or 0.0.0.0.");
    match product {
        Some(Product::AwsAlb) => advice.then(
            "If it happens now and then: the service ends idle keep-alive connections sooner than the balancer does; \
             its limit has to be longer than the balancer's 60 s.",
        ),
        Some(Product::Fermata) => advice.then("fermata up prints why it could not connect."),
        _ => advice.then("The proxy's error log names the address that it tried."),
    }
}

fn unavailable(product: Option<Product>) -> Advice {
    let by = subject(product, "Whoever answers");
    Advice::new("unavailable", format!("{by} has no service that is ready, or it is full."))
        .then(
            "Check that the service runs, and its health check: one that asks a WebSocket path gets 400 or 426 and \
             takes the service for dead; give it a plain path such as /healthz.",
        )
        .then("If connections are limited, the limit may be reached.")
}

fn gateway_timeout(product: Option<Product>) -> Advice {
    let by = subject(product, "A proxy");
    Advice::new("gateway-timeout", format!("{by} waited for the service, and no answer came."))
        .then("The service takes the connection and does not answer the handshake: look at its log.")
        .then("Or packets to it vanish: a firewall between the two, security groups in a cloud.")
}

fn compression_refused(of: &Advice) -> Advice {
    Advice::new(
        "compression-refused",
        "Without an offer of compression the upgrade is granted, with one it is not. Every browser makes that offer \
         (Sec-WebSocket-Extensions: permessage-deflate), so none can connect.",
    )
    .then("Update the WebSocket library of the service, or switch its compression off.")
    .then(format!("With the offer: {}", of.says))
}

/// A library says so in its own words when the upgrade is missing.
fn mentions_upgrade(answer: &Answer) -> bool {
    let body = String::from_utf8_lossy(&answer.rest).to_lowercase();
    ["upgrade", "connection header", "websocket"].iter().any(|word| body.contains(word))
}
