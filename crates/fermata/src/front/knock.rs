//! The shortcut for what most connections say first: one handshake, whole, and nothing else. It is judged by the same rules
//! as any head (`head`), and then needs no HTTP library and none of its buffers; where it does not become a tunnel after
//! all, the library gets to see it, and the answer that it was given.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::task::{Context, Poll, ready};

use fermata_wire::handshake;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, Uri, Version};

use super::head::{self, Head, MAX_HEADERS};
use crate::http::Body;
use crate::net::Leg;

/// A handshake, and the bytes that it came as.
pub(super) struct Knock {
    pub(super) request: Request<()>,
    pub(super) bytes: bytes::Bytes,
}

impl Knock {
    /// Takes a handshake from the leg, if that is what has come.
    pub(super) fn take(leg: &mut Leg, max_head: usize) -> Option<Knock> {
        let Ok(Some(Head { size, body: None })) = head::judge(leg.unread(), max_head) else { return None };
        let bytes = leg.take_unread(size);
        if let Some(request) = read(&bytes).filter(|request| handshake::asks(request.headers())) {
            return Some(Knock { request, bytes });
        }
        leg.unread_first(&bytes);
        None
    }
}

/// A head that was judged, as the types of `http`: its values are parts of `bytes`, not copies.
fn read(bytes: &bytes::Bytes) -> Option<Request<()>> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    parsed.parse_with_uninit_headers(bytes, &mut headers).ok()?;
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(parsed.method?.as_bytes()).ok()?;
    *request.uri_mut() = Uri::from_maybe_shared(bytes.slice_ref(parsed.path?.as_bytes())).ok()?;
    *request.version_mut() = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    // With room for what a proxy adds.
    let mut map = HeaderMap::with_capacity(parsed.headers.len() + 8);
    for header in parsed.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        map.append(name, HeaderValue::from_maybe_shared(bytes.slice_ref(header.value)).ok()?);
    }
    *request.headers_mut() = map;
    Some(request)
}

/// The head of an answer, as bytes.
pub(super) fn head_of(response: &Response<Body>) -> Vec<u8> {
    let status = response.status();
    let mut head = Vec::with_capacity(256);
    for part in ["HTTP/1.1 ", status.as_str(), " ", status.canonical_reason().unwrap_or_default(), "\r\n"] {
        head.extend_from_slice(part.as_bytes());
    }
    for (name, value) in response.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Waits until the client leaves, which is worth knowing while somebody is asked on its behalf. What it says meanwhile
/// stays on the leg, and then nothing more is read.
pub(super) async fn left(leg: &mut Leg) {
    poll_fn(|task| poll_left(leg, task)).await;
}

fn poll_left(leg: &mut Leg, task: &mut Context<'_>) -> Poll<()> {
    if leg.unread().is_empty() && matches!(ready!(leg.poll_fill(task)), Ok(0) | Err(_)) {
        return Poll::Ready(());
    }
    Poll::Pending
}
