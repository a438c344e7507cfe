//! The only place where an error becomes an answer to a client: a status, and a short text that says what is wrong, of
//! which service, and what to do. Never anything of our insides.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use fermata_wire::handshake::{BadAnswer, BadRequest};
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};

/// A body that may come from a service as it arrives.
pub type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// No body.
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body that is there already.
pub fn whole(body: Full<Bytes>) -> Body {
    body.map_err(|never| match never {}).boxed_unsync()
}

/// Why a request gets no service.
#[derive(Debug)]
pub enum Refusal {
    /// The bytes are no HTTP/1 request.
    Malformed(&'static str),
    /// It needs something that is not known here.
    NotImplemented(&'static str),
    /// The head is larger than this many bytes.
    HeadTooLarge(usize),
    /// The head has more than this many headers.
    TooManyHeaders(usize),
    /// The head did not come in time.
    HeadTimeout(Duration),
    /// The body stopped for this long.
    BodyTimeout(Duration),
    /// TLS on a port without it.
    TlsOnHttp(u16),
    /// HTTP on a port with TLS.
    HttpOnTls(u16),
    /// A PROXY header from somebody who is not believed, or where none is asked for.
    Announced(u16),
    /// HTTP/2 without TLS and without asking.
    Http2,
    /// No service answers to this name on this port.
    NoService {
        /// The name.
        host: String,
        /// The public port.
        port: u16,
    },
    /// This gateway has sent the request on already, and it has come back.
    Loop {
        /// The service that it would go to again.
        service: String,
    },
    /// No instance of the service is ready.
    NoInstance {
        /// The service.
        service: String,
    },
    /// None of the service's instances could be connected to.
    Unreachable {
        /// The service.
        service: String,
        /// Where it was tried last, and why that failed.
        last: String,
    },
    /// The service didn't answer in time.
    NoAnswer {
        /// The service.
        service: String,
        /// How long was waited.
        waited: Duration,
    },
    /// The service's answer cannot be read, or it hung up.
    Unreadable {
        /// The service.
        service: String,
        /// What is wrong.
        problem: String,
    },
    /// The client's handshake breaks a rule.
    BadHandshake(BadRequest),
    /// The service's 101 breaks a rule.
    BadUpgrade {
        /// The service.
        service: String,
        /// Which.
        problem: BadAnswer,
    },
    /// The service doesn't take tunnels from pages of this origin.
    Origin {
        /// The service.
        service: String,
        /// The origin.
        origin: String,
    },
    /// The service, or the gateway, has as many tunnels as it takes.
    Full {
        /// Which.
        of: String,
    },
    /// More handshakes come than the service takes.
    TooManyHandshakes {
        /// The service.
        service: String,
        /// So long would one have to wait.
        wait: Duration,
    },
    /// This address has as many tunnels as one may have.
    FullForAddress {
        /// The service.
        service: String,
    },
}

impl Refusal {
    /// The status that tells it.
    pub fn status(&self) -> StatusCode {
        match self {
            Refusal::Malformed(_) | Refusal::TlsOnHttp(_) | Refusal::HttpOnTls(_) | Refusal::Announced(_) => {
                StatusCode::BAD_REQUEST
            }
            Refusal::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
            Refusal::HeadTooLarge(_) | Refusal::TooManyHeaders(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Refusal::HeadTimeout(_) | Refusal::BodyTimeout(_) => StatusCode::REQUEST_TIMEOUT,
            Refusal::Http2 => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Refusal::NoService { .. } => StatusCode::NOT_FOUND,
            Refusal::Loop { .. } => StatusCode::LOOP_DETECTED,
            Refusal::NoInstance { .. } | Refusal::Full { .. } | Refusal::TooManyHandshakes { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Refusal::Unreachable { .. } | Refusal::Unreadable { .. } | Refusal::BadUpgrade { .. } => {
                StatusCode::BAD_GATEWAY
            }
            Refusal::NoAnswer { .. } => StatusCode::GATEWAY_TIMEOUT,
            Refusal::BadHandshake(problem) => problem.status(),
            Refusal::Origin { .. } => StatusCode::FORBIDDEN,
            Refusal::FullForAddress { .. } => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// What is wrong, and what to do.
    fn words(&self) -> (String, String) {
        match self {
            Refusal::Malformed(problem) => {
                (format!("This is no HTTP/1.1 request: {problem}."), "Check what the client sends.".into())
            }
            Refusal::NotImplemented(what) => (format!("{what} is not known here."), "Do without it.".into()),
            Refusal::TooManyHeaders(most) => {
                (format!("The request has more than {most} headers."), "Send fewer.".into())
            }
            Refusal::HeadTooLarge(limit) => (
                format!("The head of the request is larger than {limit} bytes."),
                "Send fewer or smaller headers (cookies, mostly), or raise gateway.max_head in service.yml.".into(),
            ),
            Refusal::HeadTimeout(limit) => (
                format!("The head of the request did not arrive within {} s.", limit.as_secs_f32()),
                "Send it at once; gateway.head_timeout in service.yml is the limit.".into(),
            ),
            Refusal::BodyTimeout(limit) => (
                format!("Nothing more of the request's body came for {} s.", limit.as_secs_f32()),
                "Send it without long pauses; gateway.answer_timeout in service.yml is the limit.".into(),
            ),
            Refusal::TlsOnHttp(port) => (
                format!("Port {port} speaks plain HTTP, and this was TLS."),
                "Use http:// or ws:// here, or the port that service.yml gives as https.".into(),
            ),
            Refusal::HttpOnTls(port) => {
                (format!("Port {port} speaks TLS, and this was plain HTTP."), "Use https:// or wss:// here.".into())
            }
            Refusal::Announced(port) => (
                format!("This connection to port {port} began with a PROXY protocol header, which is not believed here."),
                "Name the port under gateway.proxy_protocol and the sender under gateway.trusted_proxies in service.yml.".into(),
            ),
            Refusal::Http2 => ("HTTP/2 is not spoken on this port.".into(), "Use HTTP/1.1.".into()),
            Refusal::NoService { host, port } => (
                format!("No service answers to the name \"{host}\" on port {port}."),
                "Check the address, or add the name to traffic_matches of a service in service.yml.".into(),
            ),
            Refusal::Loop { service } => (
                format!("This request was here before: an address of \"{service}\" leads back to this gateway."),
                "Name the web servers under load_balancer.servers in service.yml, and not the load balancer itself."
                    .into(),
            ),
            Refusal::NoInstance { service } => (
                format!("No instance of the service \"{service}\" is ready."),
                "Try again in a moment; the output of fermata up tells what its instances do.".into(),
            ),
            Refusal::Unreachable { service, last } => (
                format!("The service \"{service}\" cannot be reached: {last}."),
                "Check that it runs and listens on the container port that service.yml names.".into(),
            ),
            Refusal::NoAnswer { service, waited } => (
                format!("The service \"{service}\" did not answer within {} s.", waited.as_secs_f32()),
                "Look at its log; gateway.answer_timeout in service.yml is the limit.".into(),
            ),
            Refusal::Unreadable { service, problem } => (
                format!("The answer of the service \"{service}\" cannot be used: {problem}."),
                "Look at its log; does it speak HTTP/1.1 on this port?".into(),
            ),
            Refusal::BadHandshake(problem) => (
                format!("This WebSocket handshake is not valid: {problem}."),
                "RFC 6455, section 4.1, has the rules.".into(),
            ),
            Refusal::BadUpgrade { service, problem } => (
                format!("The service \"{service}\" did not accept the WebSocket properly: {problem}."),
                "Its answer breaks RFC 6455, section 4.1; check its WebSocket library.".into(),
            ),
            Refusal::Origin { service, origin } => (
                format!("The service \"{service}\" takes no WebSocket from pages of {origin}."),
                "Add the origin to websocket.origins of the service in service.yml.".into(),
            ),
            Refusal::Full { of } => (format!("{of} has as many connections as it takes."), "Try again later.".into()),
            Refusal::TooManyHandshakes { service, .. } => (
                format!("More handshakes come to the service \"{service}\" than it takes."),
                "Come back after the time in Retry-After; websocket.max_handshake_rate in service.yml is the limit."
                    .into(),
            ),
            Refusal::FullForAddress { service } => (
                format!("Your address has as many connections to the service \"{service}\" as it may."),
                "Close some; websocket.max_connections_per_ip in service.yml is the limit.".into(),
            ),
        }
    }

    /// What is wrong, in one line, for the log.
    pub fn summary(&self) -> String {
        self.words().0
    }

    /// The whole text of the answer.
    pub fn body(&self) -> String {
        let (wrong, to_do) = self.words();
        format!("{}\n\n{wrong}\n{to_do}\n", self.status())
    }

    /// The answer.
    pub fn response(&self) -> Response<Body> {
        let mut response = Response::new(whole(Full::from(self.body())));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Refusal::BadHandshake(BadRequest::Version) => {
                // RFC 6455 4.4; a 426 must say what to upgrade to (RFC 9110 15.5.22).
                headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(fermata_wire::handshake::VERSION));
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            }
            Refusal::Full { .. } | Refusal::FullForAddress { .. } | Refusal::NoInstance { .. } => {
                // Not all at the same moment.
                headers.insert(RETRY_AFTER, HeaderValue::from(fastrand::u32(1..=5)));
            }
            Refusal::TooManyHandshakes { wait, .. } => {
                // Those that come back are spread over twice the time that the queue takes.
                let queue = wait.as_secs() as u32 + 1;
                headers.insert(RETRY_AFTER, HeaderValue::from(queue + fastrand::u32(0..=2 * queue)));
            }
            _ => {}
        }
        response
    }

    /// The answer as bytes, for a connection that no HTTP library has seen; it is closed afterwards.
    pub fn bytes(&self) -> Vec<u8> {
        let (status, body) = (self.status(), self.body());
        let mut head = format!("HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n");
        // Writing to a String cannot fail.
        let _ = write!(head, "content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        head.into_bytes()
    }
}
