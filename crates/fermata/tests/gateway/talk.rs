//! One end of a connection, played by hand.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::support::PATIENCE;

/// One end of a connection: what it sends, and what it has been sent.
pub struct Talk {
    stream: Stream,
    unread: Vec<u8>,
}

enum Stream {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A response: its head as [`Talk::head`] gives it, and its body.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    pub head: String,
    pub body: String,
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// By the end of the stream.
    Closed,
    /// By a reset.
    Reset,
}

impl From<TcpStream> for Talk {
    fn from(stream: TcpStream) -> Talk {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("the option can be set");
        Talk { stream: Stream::Clear(stream), unread: Vec::new() }
    }
}

impl Talk {
    /// Connects to a port of this machine.
    pub fn to(port: u16) -> Talk {
        TcpStream::connect(("127.0.0.1", port)).expect("the port accepts connections").into()
    }

    /// The same over TLS.
    pub fn tls(self, config: &Arc<ClientConfig>, name: &'static str) -> Talk {
        self.try_tls(config, name).unwrap_or_else(|error| panic!("the TLS handshake fails: {error}"))
    }

    /// The same, for a handshake that may fail.
    pub fn try_tls(self, config: &Arc<ClientConfig>, name: &'static str) -> Result<Talk, String> {
        let Stream::Clear(stream) = self.stream else { panic!("this is TLS already") };
        let name = ServerName::try_from(name).expect("a name");
        let mut tls = StreamOwned::new(ClientConnection::new(config.clone(), name).expect("TLS can begin"), stream);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock).map_err(|error| error.to_string())?;
        }
        Ok(Talk { stream: Stream::Tls(Box::new(tls)), unread: self.unread })
    }

    /// What is known of the TLS session.
    pub fn session(&self) -> &ClientConnection {
        match &self.stream {
            Stream::Clear(_) => panic!("this is not TLS"),
            Stream::Tls(tls) => &tls.conn,
        }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).expect("the other side takes what is sent");
    }

    /// The same, for an end whose peer may be gone.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Clear(stream) => stream.write_all(bytes),
            Stream::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        }
    }

    /// Sends a head: its lines, with the ends that HTTP wants.
    pub fn say(&mut self, head: &str) {
        self.send(crlf(head));
    }

    /// Sends no more.
    pub fn finish(&mut self) {
        match &mut self.stream {
            Stream::Clear(stream) => stream.shutdown(Shutdown::Write).expect("a connection can be half closed"),
            Stream::Tls(tls) => {
                tls.conn.send_close_notify();
                tls.flush().expect("the alert can be sent");
            }
        }
    }

    /// Reads a head: its first line, then its headers in the order of their names, one a line, without what no two runs
    /// have in common.
    pub fn head(&mut self) -> String {
        let raw = self.raw_head();
        let mut lines = raw.lines();
        let mut text = lines.next().unwrap_or_default().to_owned();
        let mut headers: Vec<(String, &str)> =
            lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value)).collect();
        headers.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (name, value) in headers {
            match name.as_str() {
                "date" => {}
                "x-request-id" if value.len() == 32 => text.push_str("\nx-request-id: (fresh)"),
                _ => write!(text, "\n{name}: {value}").expect("a String takes it"),
            }
        }
        text
    }

    /// Reads a head as it came, without its empty line.
    pub fn raw_head(&mut self) -> String {
        let head = self.until(b"\r\n\r\n");
        String::from_utf8(head).expect("heads are text").trim_end_matches("\r\n").to_owned()
    }

    /// Reads a whole response.
    pub fn response(&mut self) -> Response {
        let head = self.head();
        let without = head.starts_with("HTTP/1.1 1") || ["204", "304"].iter().any(|code| head[9..].starts_with(code));
        let body = if head.contains("\ntransfer-encoding: chunked") {
            std::iter::from_fn(|| self.chunk()).collect()
        } else if let (false, Some((_, length))) = (without, head.split_once("\ncontent-length: ")) {
            let length = length.lines().next().and_then(|length| length.parse().ok()).expect("a length");
            self.text(length)
        } else if without {
            String::new()
        } else {
            self.rest()
        };
        Response { head, body }
    }

    /// Reads one chunk, or the empty line behind the last (trailers are left).
    pub fn chunk(&mut self) -> Option<String> {
        let size = self.line();
        let size = usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("no chunk's size: {size:?}"));
        if size == 0 {
            assert_eq!(self.line(), "");
            return None;
        }
        let chunk = self.text(size);
        assert_eq!(self.line(), "");
        Some(chunk)
    }

    /// Reads a line.
    pub fn line(&mut self) -> String {
        String::from_utf8(self.until(b"\r\n")).expect("lines are text").trim_end_matches("\r\n").to_owned()
    }

    /// Reads so many bytes of text.
    pub fn text(&mut self, length: usize) -> String {
        String::from_utf8(self.bytes(length)).expect("it is text")
    }

    /// Reads so many bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            assert!(self.fill() > 0, "the end after {:?}", String::from_utf8_lossy(&self.unread));
        }
        self.unread.drain(..length).collect()
    }

    /// Reads to the end of the stream.
    pub fn rest(&mut self) -> String {
        while self.fill() > 0 {}
        String::from_utf8(std::mem::take(&mut self.unread)).expect("it is text")
    }

    /// Waits for the end, before which nothing more may come.
    pub fn end(&mut self) -> End {
        let mut byte = [0; 256];
        let read = match &mut self.stream {
            Stream::Clear(stream) => stream.read(&mut byte),
            Stream::Tls(tls) => tls.read(&mut byte),
        };
        match read {
            Ok(0) if self.unread.is_empty() => End::Closed,
            Ok(count) => {
                self.unread.extend(&byte[..count]);
                panic!("more came: {:?}", String::from_utf8_lossy(&self.unread))
            }
            Err(error) if [ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof].contains(&error.kind()) => End::Reset,
            Err(error) => panic!("no end: {error}"),
        }
    }

    /// The end, whatever comes before it.
    pub fn try_end(&mut self) -> Option<End> {
        self.unread.clear();
        let mut bytes = [0; 16 * 1024];
        loop {
            let read = match &mut self.stream {
                Stream::Clear(stream) => stream.read(&mut bytes),
                Stream::Tls(tls) => tls.read(&mut bytes),
            };
            match read {
                Ok(0) => return Some(End::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Some(End::Reset),
                Err(_) => return None,
            }
        }
    }

    /// The socket itself.
    pub fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Clear(stream) => stream,
            Stream::Tls(tls) => &tls.sock,
        }
    }

    /// Whether something has come.
    pub fn has_answer(&self) -> bool {
        let mut one = [PollFd::new(self.socket(), PollFlags::IN)];
        poll(&mut one, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).expect("a socket can be polled") == 1
    }

    /// Waits until something has come, and leaves it.
    pub fn peek(&self) {
        assert_eq!(self.socket().peek(&mut [0]).expect("something comes"), 1);
    }

    /// Reads so many bytes and forgets them.
    pub fn skip(&mut self, length: usize) {
        let mut left = length - self.unread.len().min(length);
        self.unread.drain(..self.unread.len().min(length));
        let Stream::Clear(stream) = &mut self.stream else { panic!("only in the clear") };
        let mut bytes = vec![0; 1 << 18];
        while left > 0 {
            let most = left.min(bytes.len());
            let read = stream.read(&mut bytes[..most]).expect("more comes");
            assert!(read > 0, "the end, {left} bytes early");
            left -= read;
        }
    }

    fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|bytes| bytes == end) {
                return self.unread.drain(..at + end.len()).collect();
            }
            assert!(self.fill() > 0, "the end after {:?}", String::from_utf8_lossy(&self.unread));
        }
    }

    fn fill(&mut self) -> usize {
        let mut bytes = [0; 16 * 1024];
        let read = match &mut self.stream {
            Stream::Clear(stream) => stream.read(&mut bytes),
            Stream::Tls(tls) => tls.read(&mut bytes),
        };
        let read = read.unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&self.unread)));
        self.unread.extend_from_slice(&bytes[..read]);
        read
    }
}

/// Lines with the ends that HTTP wants.
pub fn crlf(lines: &str) -> String {
    lines.replace('\n', "\r\n")
}
