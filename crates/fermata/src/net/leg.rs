//! A leg: one end of a tunnel to be, with the bytes that were read from it but not yet used, and its TLS session.
//!
//! While a handshake goes on a leg is an asynchronous stream. Once a tunnel stands it is taken apart ([`Leg::into_parts`])
//! and the tunnel engine moves its bytes.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::tls::Session;

/// How much is read at once while there is no tunnel: nearly every head, and not much to take from the heap for it.
const READ: usize = 4 * 1024;
/// The same where it is ciphertext: a record (RFC 8446 5.1).
const RECORD: usize = 16 * 1024;
/// How much ciphertext may wait for the socket before a writer has to.
const UNSENT: usize = 64 * 1024;

/// One end of a tunnel to be.
pub struct Leg {
    socket: Socket,
    reach: Reach,
    tls: Option<Box<Session>>,
    /// Read, and decrypted where there is TLS, but not yet used.
    unread: BytesMut,
    /// Encrypted, but not yet taken by the socket.
    unsent: BytesMut,
    ended: bool,
}

/// How far away a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// In this kernel, which knows at once when it is gone.
    Host,
    /// Behind a network, which may lose it without a word.
    Network,
}

impl Reach {
    /// Of whoever has this address.
    pub fn of(peer: SocketAddr) -> Reach {
        if peer.ip().to_canonical().is_loopback() { Reach::Host } else { Reach::Network }
    }
}

/// What a leg becomes in the tunnel engine.
pub struct Parts {
    /// The socket, not blocking, known to no event loop.
    pub socket: OwnedFd,
    /// How far away its peer is.
    pub reach: Reach,
    /// Its TLS session.
    pub tls: Option<Box<Session>>,
    /// Goes to the other side first.
    pub unread: BytesMut,
    /// Goes to this side first.
    pub unsent: BytesMut,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Leg {
    /// One end of a TCP connection to `peer`.
    pub fn tcp(stream: TcpStream, peer: SocketAddr) -> Leg {
        Leg::new(Socket::Tcp(stream), Reach::of(peer))
    }

    /// One end of a connection through a UNIX socket.
    pub fn unix(stream: UnixStream) -> Leg {
        Leg::new(Socket::Unix(stream), Reach::Host)
    }

    fn new(socket: Socket, reach: Reach) -> Leg {
        Leg { socket, reach, tls: None, unread: BytesMut::new(), unsent: BytesMut::new(), ended: false }
    }

    /// Does TLS as a server over this leg. After a failure the alert has been sent.
    pub async fn accept_tls(&mut self, config: Arc<ServerConfig>) -> io::Result<()> {
        let session = Session::server(config).map_err(io::Error::other)?;
        self.handshake(session).await
    }

    /// Does TLS as a client over this leg.
    pub async fn connect_tls(&mut self, config: Arc<ClientConfig>, name: ServerName<'static>) -> io::Result<()> {
        let session = Session::client(config, name).map_err(io::Error::other)?;
        self.handshake(session).await
    }

    async fn handshake(&mut self, session: Session) -> io::Result<()> {
        let mut early = std::mem::take(&mut self.unread);
        self.tls = Some(Box::new(session));
        let first = self.decrypt(&mut early);
        flush(self).await?;
        first?;
        while self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            let outcome = std::future::poll_fn(|task| self.poll_read_once(task)).await;
            flush(self).await?;
            if outcome? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// What was read but not yet used.
    pub fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// The TLS session, where there is one.
    pub fn tls(&self) -> Option<&Session> {
        self.tls.as_deref()
    }

    /// Puts bytes back in front of what is read next.
    pub fn unread_first(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            let rest = std::mem::replace(&mut self.unread, BytesMut::from(bytes));
            self.unread.extend_from_slice(&rest);
        }
    }

    /// Takes bytes from the front of [`Leg::unread`].
    pub fn used(&mut self, count: usize) {
        self.unread.advance(count);
        if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
    }

    /// The same, and hands them out.
    pub fn take_unread(&mut self, count: usize) -> Bytes {
        let taken = self.unread.split_to(count).freeze();
        self.used(0);
        taken
    }

    /// Reads more into [`Leg::unread`]; 0 at the end of the stream.
    pub async fn fill(&mut self) -> io::Result<usize> {
        std::future::poll_fn(|task| self.poll_fill(task)).await
    }

    /// The same, polled.
    pub fn poll_fill(&mut self, task: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let before = self.unread.len();
        loop {
            let read = ready!(self.poll_read_once(task))?;
            // A TLS record may carry nothing for us: a ticket, a key update.
            if read == 0 || self.unread.len() > before {
                return Poll::Ready(Ok(self.unread.len() - before));
            }
        }
    }

    /// Ends the connection so that the peer sees that something is missing (a reset, RFC 9293 3.10.5).
    pub fn abort(self) {
        // On a UNIX socket, or one that is gone already, there is nothing to abort.
        let _ = match &self.socket {
            Socket::Tcp(stream) => rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)),
            Socket::Unix(_) => Ok(()),
        };
    }

    /// Takes the leg out of the event loop, for the tunnel engine.
    pub fn into_parts(self) -> io::Result<Parts> {
        let socket = match self.socket {
            Socket::Tcp(stream) => OwnedFd::from(stream.into_std()?),
            Socket::Unix(stream) => OwnedFd::from(stream.into_std()?),
        };
        Ok(Parts { socket, reach: self.reach, tls: self.tls, unread: self.unread, unsent: self.unsent })
    }

    /// Reads from the socket once; returns how many bytes it gave, encrypted or not. Nothing is allocated for a wait.
    fn poll_read_once(&mut self, task: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        let Some(tls) = &self.tls else {
            let read = ready!(self.socket.poll_read_into(task, &mut self.unread, READ))?;
            self.ended = read == 0;
            return Poll::Ready(Ok(read));
        };
        let mut ciphertext = BytesMut::new();
        let read = ready!(self.socket.poll_read_into(task, &mut ciphertext, tls.partial_len() + RECORD))?;
        let outcome = self.decrypt(&mut ciphertext);
        // What TLS wants to say (a key update's answer, an alert) goes as far as the socket takes it now.
        if let Poll::Ready(Err(error)) = self.poll_send_unsent(task) {
            return Poll::Ready(Err(error));
        }
        outcome?;
        self.ended = read == 0 || self.tls.as_ref().is_some_and(|tls| tls.peer_closed());
        Poll::Ready(Ok(read))
    }

    fn decrypt(&mut self, ciphertext: &mut BytesMut) -> io::Result<()> {
        let Some(tls) = self.tls.as_mut() else { return Ok(()) };
        let mut whole = tls.take_partial();
        whole.extend_from_slice(ciphertext);
        let (mut plain, mut out) = (Vec::new(), Vec::new());
        let outcome = tls.receive(&mut whole, &mut plain, &mut out);
        self.unread.extend_from_slice(&plain);
        self.unsent.extend_from_slice(&out);
        outcome.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    fn poll_send_unsent(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let written = ready!(poll_write_from(&mut self.socket, task, &self.unsent))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.advance(written);
        }
        self.unsent = BytesMut::new();
        Poll::Ready(Ok(()))
    }
}

async fn flush(leg: &mut Leg) -> io::Result<()> {
    std::future::poll_fn(|task| leg.poll_send_unsent(task)).await
}

impl Socket {
    /// Reads once, and makes room for at least `room` bytes only when there are some. A short read is the last for now (epoll(7),
    /// question 9), and tokio takes it for that.
    fn poll_read_into(&mut self, task: &mut Context<'_>, into: &mut BytesMut, room: usize) -> Poll<io::Result<usize>> {
        match self {
            Socket::Tcp(stream) => ready!(stream.poll_read_ready(task))?,
            Socket::Unix(stream) => ready!(stream.poll_read_ready(task))?,
        }
        into.reserve(room);
        let read = match self {
            Socket::Tcp(stream) => pin!(stream.read_buf(into)).poll(task),
            Socket::Unix(stream) => pin!(stream.read_buf(into)).poll(task),
        };
        if read.is_pending() && into.is_empty() {
            *into = BytesMut::new();
        }
        read
    }
}

fn poll_write_from(socket: &mut Socket, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    match socket {
        Socket::Tcp(stream) => Pin::new(stream).poll_write(task, bytes),
        Socket::Unix(stream) => Pin::new(stream).poll_write(task, bytes),
    }
}

impl AsyncRead for Leg {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let leg = &mut *self;
        if leg.tls.is_none() && leg.unread.is_empty() {
            return match &mut leg.socket {
                Socket::Tcp(stream) => Pin::new(stream).poll_read(task, into),
                Socket::Unix(stream) => Pin::new(stream).poll_read(task, into),
            };
        }
        while leg.unread.is_empty() {
            let read = ready!(leg.poll_read_once(task))?;
            if read == 0 || (leg.ended && leg.unread.is_empty()) {
                return Poll::Ready(Ok(()));
            }
        }
        let length = leg.unread.len().min(into.remaining());
        into.put_slice(&leg.unread[..length]);
        leg.used(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Leg {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let leg = &mut *self;
        if leg.tls.is_none() {
            return poll_write_from(&mut leg.socket, task, bytes);
        }
        if leg.unsent.len() >= UNSENT {
            ready!(leg.poll_send_unsent(task))?;
        }
        let bytes = &bytes[..bytes.len().min(RECORD)];
        let mut out = Vec::new();
        if let Some(tls) = &mut leg.tls {
            tls.send(bytes, &mut out).map_err(io::Error::other)?;
        }
        leg.unsent.extend_from_slice(&out);
        if let Poll::Ready(Err(error)) = leg.poll_send_unsent(task) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.tls.is_some() {
            let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
            return self.poll_write(task, first);
        }
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_write_vectored(task, slices),
            Socket::Unix(stream) => Pin::new(stream).poll_write_vectored(task, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_none()
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send_unsent(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let leg = &mut *self;
        if let Some(tls) = &mut leg.tls {
            let mut out = Vec::new();
            // A session that failed has nothing more to say.
            if tls.close(&mut out).is_ok() {
                leg.unsent.extend_from_slice(&out);
            }
            ready!(leg.poll_send_unsent(task))?;
        }
        match &mut leg.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(task),
            Socket::Unix(stream) => Pin::new(stream).poll_shutdown(task),
        }
    }
}
