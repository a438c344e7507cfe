//! A check over HTTP: a page, or a WebSocket handshake. Of the answer only the status counts, so that no more of HTTP/1.1
//! (RFC 9112) is needed than one request and the head of its answer.

use std::fmt::Write;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, Method, Uri};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::{At, Stream};
use crate::run::plan::Ask;

/// The longest head of an answer.
const MAX_HEAD: usize = 32 * 1024;
/// How long a service may take to answer the Close that ends a handshake's WebSocket.
const CLOSE_GRACE: Duration = Duration::from_millis(500);

/// Asks once, on a connection to `at`.
pub(super) async fn ask(
    mut stream: Box<dyn Stream>,
    at: &At,
    ask: &Ask,
    endpoint: &str,
    headers: &[(String, String)],
) -> Result<(), String> {
    let path = path(endpoint)?;
    let host = host(at, headers);
    let request = request(&path, &host, ask, headers)?;
    let status = exchange(&mut stream, &request).await;
    let method = if let Ask::Page(method) = ask { method } else { &Method::GET };
    let status = status.map_err(|why| format!("{at} gave no HTTP answer to {method} {path}: {why}"))?;
    match (ask, status) {
        (Ask::Page(_), 200..400) => Ok(()),
        // What libraries answer to a request without a handshake: `ws` and Python's 426, Socket.IO's and others' 400.
        (Ask::Page(_), 400 | 426) => Err(format!(
            "{method} {path} at {at} answered {status}: as a path does that takes WebSockets alone; check another one, or \
             have the check be of type websocket"
        )),
        (Ask::Page(_), _) => Err(format!("{method} {path} at {at} answered {status}")),
        (Ask::WebSocket, 101) => {
            close(&mut stream).await;
            Ok(())
        }
        (Ask::WebSocket, _) => Err(format!("{path} at {at} answered a WebSocket handshake with {status} and not 101")),
    }
}

fn path(endpoint: &str) -> Result<String, String> {
    let path = if endpoint.starts_with('/') { endpoint.to_owned() } else { format!("/{endpoint}") };
    match path.parse::<Uri>() {
        Ok(uri) => Ok(uri.path_and_query().map_or(path, ToString::to_string)),
        Err(err) => Err(format!("the endpoint \"{endpoint}\" is not a path: {err}")),
    }
}

/// The host of a request, as its headers have it.
pub(super) fn host(at: &At, headers: &[(String, String)]) -> String {
    let own = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
    match (own, at) {
        (Some((_, host)), _) => host.clone(),
        (None, At::Tcp(address)) => address.to_string(),
        (None, At::Name(name, port)) => format!("{name}:{port}"),
        (None, At::Unix(_)) => "localhost".to_owned(),
    }
}

fn request(path: &str, host: &str, ask: &Ask, headers: &[(String, String)]) -> Result<String, String> {
    let method = if let Ask::Page(method) = ask { method } else { &Method::GET };
    let mut request = format!("{method} {path} HTTP/1.1\r\n");
    let mut add = |name: &str, value: &str| {
        let is_header = HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok();
        if is_header { write!(request, "{name}: {value}\r\n").ok() } else { None }
            .ok_or_else(|| format!("\"{name}: {value}\" is not an HTTP header"))
    };
    add("Host", host)?;
    add("User-Agent", concat!("fermata-health/", env!("CARGO_PKG_VERSION")))?;
    match ask {
        Ask::Page(_) => add("Connection", "close")?,
        // RFC 6455 4.1.
        Ask::WebSocket => {
            add("Connection", "Upgrade")?;
            add("Upgrade", "websocket")?;
            add("Sec-WebSocket-Version", "13")?;
            add("Sec-WebSocket-Key", &STANDARD.encode(std::array::from_fn::<u8, 16, _>(|_| fastrand::u8(..))))?;
        }
    }
    for (name, value) in headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")) {
        add(name, value)?;
    }
    request.push_str("\r\n");
    Ok(request)
}

/// The status of the answer; interim ones (RFC 9110 15.2) are passed over.
async fn exchange(stream: &mut Box<dyn Stream>, request: &str) -> Result<u16, String> {
    stream.write_all(request.as_bytes()).await.map_err(|err| err.to_string())?;
    stream.flush().await.map_err(|err| err.to_string())?;
    let mut head = Vec::new();
    while head.len() < MAX_HEAD {
        if stream.read_buf(&mut head).await.map_err(|err| err.to_string())? == 0 {
            return Err("the connection was closed".to_owned());
        }
        if let Some(status) = status(&head)? {
            return Ok(status);
        }
    }
    Err(format!("its head is longer than {MAX_HEAD} bytes"))
}

fn status(mut bytes: &[u8]) -> Result<Option<u16>, String> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut answer = httparse::Response::new(&mut headers);
        let length = match answer.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(err) => return Err(format!("it is not HTTP: {err}")),
        };
        match answer.code {
            Some(100 | 102..200) => bytes = &bytes[length..],
            other => return Ok(other),
        }
    }
}

/// Ends the WebSocket as a well-behaved client does, so that the service has no broken connection to complain about.
async fn close(stream: &mut Box<dyn Stream>) {
    let [a, b, c, d] = fastrand::u32(..).to_be_bytes();
    let [high, low] = 1000u16.to_be_bytes();
    // FIN and Close, masked, two bytes (RFC 6455 5.2, 5.5.1): the code 1000, "normal closure".
    let frame = [0x88, 0x82, a, b, c, d, high ^ a, low ^ b];
    if stream.write_all(&frame).await.is_ok() && stream.flush().await.is_ok() {
        let mut answer = [0; 256];
        let end = async { while let Ok(1..) = stream.read(&mut answer).await {} };
        let _ = timeout(CLOSE_GRACE, end).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interim_answers_are_passed_over_and_101_is_none() {
        let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        for (bytes, wanted) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", Ok(Some(204))),
            (&format!("{hint}HTTP/1.1 200 OK\r\n\r\nbody"), Ok(Some(200))),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", Ok(Some(101))),
            (&format!("{hint}HTTP/1.1 200 OK\r\n"), Ok(None)),
            ("", Ok(None)),
            ("SSH-2.0-x\r\n", Err("it is not HTTP: invalid HTTP version".to_owned())),
        ] {
            assert_eq!(status(bytes.as_bytes()), wanted, "{bytes}");
        }
    }

    #[test]
    fn the_file_may_add_headers_and_replace_the_host() {
        let at = At::Tcp(([127, 0, 0, 1], 3000).into());
        let headers = [("host".to_owned(), "app.example".to_owned()), ("X-Probe".to_owned(), "1".to_owned())];
        let text = request("/a?b", &host(&at, &headers), &Ask::Page(Method::GET), &headers).unwrap();
        let agent = concat!("fermata-health/", env!("CARGO_PKG_VERSION"));
        let wanted = format!(
            "GET /a?b HTTP/1.1\r\nHost: app.example\r\nUser-Agent: {agent}\r\nConnection: close\r\nX-Probe: 1\r\n\r\n"
        );
        assert_eq!(text, wanted);
        let split = [("X".to_owned(), "a\r\nb: c".to_owned())];
        let refused = request("/", "h", &Ask::Page(Method::GET), &split);
        assert_eq!(refused, Err("\"X: a\r\nb: c\" is not an HTTP header".to_owned()));
    }

    #[test]
    fn an_endpoint_is_a_path_with_or_without_its_slash() {
        assert_eq!(path("healthz?x=1").unwrap(), "/healthz?x=1");
        assert_eq!(path("/").unwrap(), "/");
        assert!(path("/a b").is_err());
    }
}
