//! A double of the Kubernetes API server, for `EndpointSlices` of one namespace: it speaks the real protocol over TLS, to
//! who has the token. Lists come in pages; watches stream lines, resume from a version, have bookmarks, and are too old once
//! what they begin with is compacted away (kubernetes.io, "Kubernetes API Concepts").

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::support::{Folder, until};

/// An endpoint as a test writes it.
#[derive(Clone)]
pub(crate) struct Pod {
    name: &'static str,
    address: String,
    conditions: Value,
}

/// A pod of this name that gets traffic.
pub(crate) fn ready(name: &'static str, address: &str) -> Pod {
    pod(name, address, json!({"ready": true, "serving": true, "terminating": false}))
}

/// One whose readiness probe fails.
pub(crate) fn unready(name: &'static str, address: &str) -> Pod {
    pod(name, address, json!({"ready": false, "serving": false, "terminating": false}))
}

/// One that is being ended and still serves.
pub(crate) fn terminating(name: &'static str, address: &str) -> Pod {
    pod(name, address, json!({"ready": false, "serving": true, "terminating": true}))
}

/// One that is being ended and takes nothing any more.
pub(crate) fn ended(name: &'static str, address: &str) -> Pod {
    pod(name, address, json!({"ready": false, "serving": false, "terminating": true}))
}

fn pod(name: &'static str, address: &str, conditions: Value) -> Pod {
    Pod { name, address: address.to_owned(), conditions }
}

/// How a watch that begins too far back is told so.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    /// By the status 410.
    AtOnce,
    /// By an event of type ERROR, within a watch that has begun.
    AsEvent,
}

struct State {
    version: u64,
    slices: BTreeMap<String, Value>,
    /// Events, each with the version that it makes.
    log: Vec<(u64, Value)>,
    /// What begins before this version is too old.
    compacted: u64,
    gone: Gone,
    token: String,
    /// What is answered to everything: a status and its message.
    refusal: Option<(u16, &'static str)>,
    /// Watches that began before are cut, or ended well.
    cuts: u64,
    ends: u64,
    /// The queries that came, with a word for each.
    asked: Vec<String>,
}

/// The double. Dropping it ends it.
pub(crate) struct ApiServer {
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
    stop: Option<watch::Sender<bool>>,
    thread: Option<JoinHandle<()>>,
}

/// Slices in a page of a list: few, so that there are several.
const PAGE: usize = 2;
const SERVICE: &str = "web";
const PATH: &str = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices";

impl ApiServer {
    /// Starts one; `folder` gets its certificate, `api.pem`, and the token that it wants, `token`.
    pub(crate) fn start(folder: &Folder) -> ApiServer {
        let certificate = folder.write_certificate("api", &["127.0.0.1"]);
        folder.write("token", "first-token\n");
        ApiServer::start_again(&certificate, 0, 100)
    }

    /// Starts one with a certificate that is there, on this port (0 for any), that knows of nothing before this version.
    pub(crate) fn start_again(certificate: &std::path::Path, port: u16, version: u64) -> ApiServer {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
        listener.set_nonblocking(true).expect("an option of a socket");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(Mutex::new(State {
            version,
            slices: BTreeMap::new(),
            log: Vec::new(),
            compacted: version,
            gone: Gone::AtOnce,
            token: "first-token".to_owned(),
            refusal: None,
            cuts: 0,
            ends: 0,
            asked: Vec::new(),
        }));
        let acceptor = acceptor(certificate);
        let (changed, follow) = watch::channel(());
        let (stop, mut stopped) = watch::channel(false);
        let shared = state.clone();
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    () = accept_all(&listener, &acceptor, &shared, &follow) => {}
                    _ = stopped.changed() => {}
                }
            });
        });
        ApiServer { port, state, changed, stop: Some(stop), thread: Some(thread) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn change<T>(&self, how: impl FnOnce(&mut State) -> T) -> T {
        let made = how(&mut self.state());
        self.changed.send_replace(());
        made
    }

    /// Puts a slice: it is new, or takes the place of the one of this name.
    pub(crate) fn put(&self, name: &str, port: u16, pods: &[Pod]) {
        self.change(|state| {
            state.version += 1;
            let slice = slice(name, state.version, port, pods);
            let kind = if state.slices.insert(name.to_owned(), slice.clone()).is_some() { "MODIFIED" } else { "ADDED" };
            state.log.push((state.version, json!({"type": kind, "object": slice})));
        });
    }

    /// Takes a slice away.
    pub(crate) fn delete(&self, name: &str) {
        self.change(|state| {
            state.version += 1;
            let mut slice = state.slices.remove(name).expect("the slice is there");
            slice["metadata"]["resourceVersion"] = json!(state.version.to_string());
            state.log.push((state.version, json!({"type": "DELETED", "object": slice})));
        });
    }

    /// Other objects have changed; those who watch are told how far they are.
    pub(crate) fn bookmark(&self) {
        self.change(|state| {
            state.version += 10;
            let meta = json!({"resourceVersion": state.version.to_string()});
            let object = json!({
                "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": meta,
                "addressType": "", "endpoints": null, "ports": null,
            });
            state.log.push((state.version, json!({"type": "BOOKMARK", "object": object})));
        });
    }

    /// Forgets how things came to be as they are.
    pub(crate) fn compact(&self, gone: Gone) {
        self.change(|state| {
            state.version += 1;
            (state.compacted, state.gone) = (state.version, gone);
            state.log.clear();
        });
    }

    /// Resets every watch in the middle of a line.
    pub(crate) fn cut(&self) {
        self.change(|state| state.cuts += 1);
    }

    /// Ends every watch as one ends whose time is over.
    pub(crate) fn end(&self) {
        self.change(|state| state.ends += 1);
    }

    /// Refuses everything from now on, or nothing.
    pub(crate) fn refuse(&self, refusal: Option<(u16, &'static str)>) {
        self.change(|state| state.refusal = refusal);
    }

    /// From now on takes only this token.
    pub(crate) fn want(&self, token: &str) {
        self.change(|state| token.clone_into(&mut state.token));
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    /// Waits until this has been asked, and nothing else.
    pub(crate) fn until_asked(&self, all: &[&str]) {
        until(&format!("{all:?} are asked"), || self.asked() == all);
    }

    /// The slices, as they would be listed.
    pub(crate) fn slices(&self) -> Vec<Value> {
        self.state().slices.values().cloned().collect()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn acceptor(certificate: &std::path::Path) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_file(certificate).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(certificate.with_extension("key")).expect("a key");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    TlsAcceptor::from(Arc::new(config.expect("a certificate and its key")))
}

fn slice(name: &str, version: u64, port: u16, pods: &[Pod]) -> Value {
    let endpoint = |pod: &Pod| {
        json!({
            "addresses": [pod.address], "conditions": pod.conditions, "nodeName": "node-1", "zone": "a",
            "targetRef": {"kind": "Pod", "namespace": "shop", "name": pod.name, "uid": format!("uid-{}", pod.name)},
        })
    };
    json!({
        "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "name": name, "namespace": "shop", "uid": format!("uid-{name}"), "resourceVersion": version.to_string(),
            "labels": {"kubernetes.io/service-name": SERVICE, "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
        },
        "addressType": "IPv4",
        "endpoints": pods.iter().map(endpoint).collect::<Vec<_>>(),
        "ports": [{"name": "ws", "protocol": "TCP", "port": port, "appProtocol": "kubernetes.io/ws"}],
    })
}

async fn accept_all(
    listener: &TcpListener,
    acceptor: &TlsAcceptor,
    state: &Arc<Mutex<State>>,
    changed: &watch::Receiver<()>,
) {
    while let Ok((tcp, _)) = listener.accept().await {
        let (acceptor, state, changed) = (acceptor.clone(), state.clone(), changed.clone());
        tokio::spawn(async move {
            let mut stream = acceptor.accept(tcp).await?;
            serve(&mut stream, &state, changed).await
        });
    }
}

/// One request, and the end of the connection.
async fn serve(
    stream: &mut TlsStream<TcpStream>,
    state: &Mutex<State>,
    changed: watch::Receiver<()>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let uri = head.split(' ').nth(1).unwrap_or_default();
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let query: BTreeMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let refusal = {
        let state = lock(state);
        let known =
            head.lines().any(|line| line.eq_ignore_ascii_case(&format!("authorization: Bearer {}", state.token)));
        let selector = format!("kubernetes.io/service-name={SERVICE}");
        match state.refusal {
            Some(refusal) => Some(refusal),
            None if !known => Some((401, "Unauthorized")),
            None if path != PATH || query.get("labelSelector") != Some(&selector) => Some((404, "not found")),
            None => None,
        }
    };
    if let Some((code, message)) = refusal {
        lock(state).asked.push(format!("refused {code}"));
        return answer(stream, code, &status(code, message)).await;
    }
    if query.contains_key("watch") {
        watch(stream, &query, state, changed).await
    } else {
        list(stream, &query, state).await
    }
}

async fn list(
    stream: &mut TlsStream<TcpStream>,
    query: &BTreeMap<String, String>,
    state: &Mutex<State>,
) -> std::io::Result<()> {
    let body = {
        let mut state = lock(state);
        // As opaque as the real ones, with letters that have to be escaped.
        let from: usize = query.get("continue").map_or(0, |token| {
            token.strip_suffix("+/==").and_then(|digits| digits.parse().ok()).expect("a token that was given")
        });
        state.asked.push(format!("list from {from}"));
        let items: Vec<Value> = state.slices.values().skip(from).take(PAGE).cloned().collect();
        let mut meta = json!({"resourceVersion": state.version.to_string()});
        if from + items.len() < state.slices.len() {
            meta["continue"] = json!(format!("{}+/==", from + items.len()));
        }
        json!({"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "metadata": meta, "items": items})
    };
    answer(stream, 200, &body).await
}

async fn watch(
    stream: &mut TlsStream<TcpStream>,
    query: &BTreeMap<String, String>,
    state: &Mutex<State>,
    mut changed: watch::Receiver<()>,
) -> std::io::Result<()> {
    let mut at: u64 = query["resourceVersion"].parse().expect("a version");
    assert_eq!(query.get("allowWatchBookmarks").map(String::as_str), Some("true"));
    assert!(query["timeoutSeconds"].parse::<u64>().is_ok_and(|seconds| (200..400).contains(&seconds)));
    let (cuts, ends, gone) = {
        let mut state = lock(state);
        state.asked.push(format!("watch from {at}"));
        (state.cuts, state.ends, (at < state.compacted).then_some(state.gone))
    };
    if gone == Some(Gone::AtOnce) {
        return answer(stream, 410, &status(410, "too old resource version")).await;
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await?;
    stream.flush().await?;
    if gone == Some(Gone::AsEvent) {
        let event = json!({"type": "ERROR", "object": status(410, "too old resource version")});
        chunk(stream, &format!("{event}\n")).await?;
        return end(stream).await;
    }
    loop {
        changed.borrow_and_update();
        let (events, cut, ended) = {
            let state = lock(state);
            let events: Vec<(u64, Value)> = state.log.iter().filter(|(version, _)| *version > at).cloned().collect();
            (events, state.cuts > cuts, state.ends > ends)
        };
        for (version, event) in events {
            // In two pieces: a line may come as it likes.
            let line = format!("{event}\n");
            let (one, other) = line.split_at(line.len() / 2);
            chunk(stream, one).await?;
            chunk(stream, other).await?;
            at = version;
        }
        if cut {
            chunk(stream, "{\"type\":\"MODIFIED\",\"obj").await?;
            socket2::SockRef::from(stream.get_ref().0).set_linger(Some(std::time::Duration::ZERO))?;
            return Ok(());
        }
        if ended {
            return end(stream).await;
        }
        let _ = changed.changed().await;
    }
}

fn status(code: u16, message: &str) -> Value {
    let reason = match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        410 => "Expired",
        _ => "InternalError",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    })
}

async fn answer(stream: &mut TlsStream<TcpStream>, code: u16, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {code} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

async fn chunk(stream: &mut TlsStream<TcpStream>, text: &str) -> std::io::Result<()> {
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await?;
    stream.flush().await
}

async fn end(stream: &mut TlsStream<TcpStream>) -> std::io::Result<()> {
    stream.write_all(b"0\r\n\r\n").await?;
    stream.shutdown().await
}
