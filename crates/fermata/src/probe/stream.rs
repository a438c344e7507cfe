//! A connection to the target as its later hops use it: TCP, or TLS over it, with an ear for the first bytes.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::h2;

/// Bytes that are kept of what the server said first: enough to tell protocols apart.
const HEARD: usize = 64;

/// Both directions of a connection.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection.
pub(super) type Stream = Box<dyn Duplex>;

/// The first bytes that came over TCP, whatever TLS made of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    /// What came so far.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.lock().map(|bytes| bytes.clone()).unwrap_or_default()
    }

    fn keep(&self, new: &[u8]) {
        if let Ok(mut bytes) = self.0.lock() {
            let room = HEARD - bytes.len();
            bytes.extend_from_slice(&new[..new.len().min(room)]);
        }
    }
}

/// How to get to the target once its address is known.
#[derive(Clone)]
pub(super) struct Way {
    /// The address that takes connections.
    pub(super) address: SocketAddr,
    /// How to do TLS, where the URL says `wss`.
    pub(super) tls: Option<(TlsConnector, ServerName<'static>)>,
    /// Whether to begin with a PROXY protocol line, as a balancer would.
    pub(super) proxied: bool,
    /// What was said of HTTP/2, where it was chosen when it was offered, and HTTP/1.1 was not.
    pub(super) http2: Option<h2::Settings>,
}

impl Way {
    /// A new connection, and what is heard on it.
    pub(super) async fn open(&self) -> (Heard, io::Result<Stream>) {
        let heard = Heard::default();
        let stream = self.connect(heard.clone()).await;
        (heard, stream)
    }

    async fn connect(&self, heard: Heard) -> io::Result<Stream> {
        let tcp = self.tcp(heard).await?;
        match &self.tls {
            None => Ok(Box::new(tcp)),
            Some((connector, name)) => Ok(Box::new(connector.connect(name.clone(), tcp).await?)),
        }
    }

    /// A new connection without TLS.
    pub(super) async fn tcp(&self, heard: Heard) -> io::Result<Overheard> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        if self.proxied {
            stream.write_all(proxy_line(stream.local_addr()?, self.address).as_bytes()).await?;
        }
        Ok(Overheard { stream, heard })
    }
}

/// Version 1, for people to read (HAProxy's proxy-protocol.txt, 2.1).
fn proxy_line(from: SocketAddr, to: SocketAddr) -> String {
    let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
    format!("PROXY {family} {} {} {} {}\r\n", from.ip(), to.ip(), from.port(), to.port())
}

/// TCP with an ear.
pub(super) struct Overheard {
    stream: TcpStream,
    heard: Heard,
}

impl AsyncRead for Overheard {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(task, into);
        self.heard.keep(&into.filled()[before..]);
        polled
    }
}

impl AsyncWrite for Overheard {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(task, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}
