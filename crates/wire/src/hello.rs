//! A TLS `ClientHello` (RFC 8446 4.1.2), read for the one thing that is said in the clear: the name of the server that is
//! wanted (SNI, RFC 6066 3). Who passes TLS on by name ends none of it.
//!
//! No other word of it is judged, and nothing is answered but an alert: the handshake is between the client and whoever gets it.

use core::net::IpAddr;

/// A record of the type handshake, and of the type alert (RFC 8446 5.1).
const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;
/// The type, the version, the length of a record.
const RECORD_HEAD: usize = 5;
/// The most that a record carries in the clear (RFC 8446 5.1).
const RECORD_PAYLOAD: usize = 1 << 14;
/// `client_hello`, and what stands before its body: the type and three bytes of length (RFC 8446 4).
const CLIENT_HELLO: u8 = 1;
const MESSAGE_HEAD: usize = 4;
/// The extension `server_name`, and its `host_name` (RFC 6066 3).
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;
/// The longest name of DNS, as it is written (RFC 1035 2.3.4).
const LONGEST_NAME: usize = 253;

/// How many bytes are read of a hello, the heads of its records included. Browsers send some 2 KB with a hybrid key share; what
/// HAProxy looks into is as large (`tune.bufsize`).
pub const LONGEST: usize = 16 * 1024;

/// What a client says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The name that it asks for, in lower case. An address is no name (RFC 6066 3).
    pub name: Option<String>,
}

/// Why something is no hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// It does not begin as TLS does.
    NoTls,
    /// Its first message is another one.
    NoHello,
    /// It breaks a rule of its own grammar.
    Broken,
    /// What it asks for is no name of a server.
    BadName,
    /// It is not complete within [`LONGEST`] bytes.
    TooLong,
}

impl core::fmt::Display for Problem {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Problem::NoTls => out.write_str("this is no TLS"),
            Problem::NoHello => out.write_str("its TLS does not begin with a ClientHello"),
            Problem::Broken => out.write_str("its ClientHello is broken"),
            Problem::BadName => out.write_str("its ClientHello asks for something that is no name of a server"),
            Problem::TooLong => write!(out, "its ClientHello is longer than {LONGEST} bytes"),
        }
    }
}

/// What may be said of a hello before the connection is closed (RFC 8446 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Alert {
    /// Another message was expected.
    UnexpectedMessage = 10,
    /// A field is out of its range.
    IllegalParameter = 47,
    /// It cannot be read.
    DecodeError = 50,
    /// It names nobody, and has to.
    MissingExtension = 109,
    /// Nobody here has the name.
    UnrecognizedName = 112,
}

impl Alert {
    /// The whole record. It is fatal, and of the version that every version of TLS takes (RFC 8446 5.1, 6).
    pub fn record(self) -> [u8; 7] {
        [ALERT, 3, 3, 0, 2, 2, self as u8]
    }
}

impl Problem {
    /// What is said of it; nothing to who speaks no TLS.
    pub fn alert(self) -> Option<Alert> {
        match self {
            Problem::NoTls => None,
            Problem::NoHello => Some(Alert::UnexpectedMessage),
            Problem::Broken | Problem::TooLong => Some(Alert::DecodeError),
            Problem::BadName => Some(Alert::IllegalParameter),
        }
    }
}

/// Reads a hello from the start of `bytes`, over as many records as it has; `None` while it isn't complete. What is found does
/// not change as more comes.
pub fn read(bytes: &[u8]) -> Result<Option<Hello>, Problem> {
    let mut rest = &bytes[..bytes.len().min(LONGEST)];
    let mut message = Vec::new();
    while !rest.is_empty() {
        let Some(fragment) = record(rest)? else { break };
        message.extend_from_slice(fragment);
        if let Some(body) = body(&message)? {
            return hello(body).map(Some);
        }
        rest = &rest[RECORD_HEAD + fragment.len()..];
    }
    if bytes.len() < LONGEST { Ok(None) } else { Err(Problem::TooLong) }
}

/// What has come of the first record's payload; `None` while its head isn't complete.
fn record(bytes: &[u8]) -> Result<Option<&[u8]>, Problem> {
    if bytes[0] != HANDSHAKE {
        return Err(Problem::NoTls);
    }
    // The second byte of the version is to be ignored (RFC 8446 5.1); the first has been 3 since SSL 3.0.
    if bytes.get(1).is_some_and(|major| *major != 3) {
        return Err(Problem::NoTls);
    }
    let Some(head) = bytes.first_chunk::<RECORD_HEAD>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
    // Nobody may send empty ones (RFC 8446 5.1).
    if length == 0 || length > RECORD_PAYLOAD {
        return Err(Problem::Broken);
    }
    Ok(Some(&bytes[RECORD_HEAD..bytes.len().min(RECORD_HEAD + length)]))
}

/// The body of the first message; `None` while it isn't complete.
fn body(message: &[u8]) -> Result<Option<&[u8]>, Problem> {
    if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return Err(Problem::NoHello);
    }
    let Some(&[_, high, middle, low]) = message.first_chunk::<MESSAGE_HEAD>() else { return Ok(None) };
    let length = u32::from_be_bytes([0, high, middle, low]) as usize;
    if length > LONGEST {
        return Err(Problem::TooLong);
    }
    Ok(message.get(MESSAGE_HEAD..MESSAGE_HEAD + length))
}

/// RFC 8446 4.1.2; the same since TLS 1.0, with extensions or without.
fn hello(body: &[u8]) -> Result<Hello, Problem> {
    let extensions = extensions(body).ok_or(Problem::Broken)?;
    let mut rest = Bytes(extensions);
    let mut named = None;
    while !rest.0.is_empty() {
        let (kind, data) = rest.extension().ok_or(Problem::Broken)?;
        if kind == SERVER_NAME && named.replace(data).is_some() {
            return Err(Problem::Broken);
        }
    }
    let name = named.map(|data| host_name(data).ok_or(Problem::Broken)).transpose()?;
    Ok(Hello { name: name.flatten().map(name_of).transpose()?.flatten() })
}

/// What stands behind version, random, session, cipher suites and compression.
fn extensions(body: &[u8]) -> Option<&[u8]> {
    let mut rest = Bytes(body);
    rest.take(2 + 32)?;
    rest.short().filter(|session| session.len() <= 32)?;
    rest.long().filter(|suites| !suites.is_empty() && suites.len() % 2 == 0)?;
    rest.short().filter(|methods| !methods.is_empty())?;
    if rest.0.is_empty() { Some(&[]) } else { rest.long().filter(|_| rest.0.is_empty()) }
}

/// The name in a list of names, of which there may be one of each kind; `None` inside where there is none.
#[allow(clippy::option_option, reason = "broken, or without one")]
fn host_name(data: &[u8]) -> Option<Option<&[u8]>> {
    let mut rest = Bytes(data);
    let list = rest.long().filter(|list| !list.is_empty() && rest.0.is_empty())?;
    let (mut rest, mut found) = (Bytes(list), None);
    while !rest.0.is_empty() {
        // Names of other kinds begin with their length, too (RFC 6066 3).
        let (kind, name) = (rest.byte()?, rest.long()?);
        if kind == HOST_NAME && (name.is_empty() || found.replace(name).is_some()) {
            return None;
        }
    }
    Some(found)
}

/// A name as DNS has it; `None` for an address.
fn name_of(bytes: &[u8]) -> Result<Option<String>, Problem> {
    let text = core::str::from_utf8(bytes).map_err(|_| Problem::BadName)?;
    if text.parse::<IpAddr>().is_ok() {
        return Ok(None);
    }
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.len() > LONGEST_NAME || !text.bytes().all(good) {
        return Err(Problem::BadName);
    }
    Ok(Some(text.to_ascii_lowercase()))
}

/// What has not been read yet.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A vector with a length of one byte.
    fn short(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?;
        self.take(usize::from(length))
    }

    /// A vector with a length of two bytes.
    fn long(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::from(length))
    }

    fn extension(&mut self) -> Option<(u16, &'a [u8])> {
        Some((self.number()?, self.long()?))
    }
}
