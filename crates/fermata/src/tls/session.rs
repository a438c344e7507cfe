//! One TLS connection whose buffers belong to the caller: all that the rest of Fermata knows of rustls' record layer.
//!
//! It refuses to own a socket. Ciphertext comes in as bytes, plaintext and what must be sent go out to the caller's
//! vectors, and an idle session keeps nothing but keys (and a record that has not arrived whole).

use std::sync::Arc;

use fermata_wire::proxy::Tls;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedConnectionCommon, UnbufferedStatus,
    WriteTraffic,
};
use rustls::{ClientConfig, CommonState, Error, ProtocolVersion, ServerConfig};

/// What a record adds to its payload at most: 5 bytes of head, 8 of TLS 1.2's nonce, 16 of tag, 1 of TLS 1.3's type.
const RECORD_OVERHEAD: usize = 30;
/// The most payload of one record (RFC 8446 5.1).
const RECORD_PAYLOAD: usize = 16 * 1024;

/// The small trait over rustls: a connection that turns records into states, whichever end it is.
trait Records {
    type Data;
    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
    /// Whether records wait to be encoded.
    fn has_more_to_say(&self) -> bool;
}

impl Records for UnbufferedConnectionCommon<ServerConnectionData> {
    type Data = ServerConnectionData;
    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
    fn has_more_to_say(&self) -> bool {
        self.wants_write()
    }
}

impl Records for UnbufferedConnectionCommon<ClientConnectionData> {
    type Data = ClientConnectionData;
    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
    fn has_more_to_say(&self) -> bool {
        self.wants_write()
    }
}

/// A TLS connection.
pub struct Session {
    end: End,
    /// The start of a record, or of a handshake message over several records, whose end has not arrived. rustls keeps
    /// places in it, and wants to see it with every call.
    partial: Vec<u8>,
    peer_closed: bool,
    said_close: bool,
    failed: bool,
}

enum End {
    Server(Box<UnbufferedServerConnection>),
    Client(Box<UnbufferedClientConnection>),
}

impl Session {
    /// The side that was connected to.
    pub fn server(config: Arc<ServerConfig>) -> Result<Session, Error> {
        Ok(Session::new(End::Server(Box::new(UnbufferedServerConnection::new(config)?))))
    }

    /// The side that connected.
    pub fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Session, Error> {
        Ok(Session::new(End::Client(Box::new(UnbufferedClientConnection::new(config, name)?))))
    }

    fn new(end: End) -> Session {
        Session { end, partial: Vec::new(), peer_closed: false, said_close: false, failed: false }
    }

    /// The version of TLS.
    pub fn version(&self) -> Tls {
        match self.facts().protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => Tls::V1_2,
            Some(ProtocolVersion::TLSv1_3) => Tls::V1_3,
            _ => Tls::Other,
        }
    }

    /// rustls' facts of the connection: version, cipher suite, ALPN.
    pub fn facts(&self) -> &CommonState {
        match &self.end {
            End::Server(connection) => connection,
            End::Client(connection) => connection,
        }
    }

    /// Whether the handshake is still going on.
    pub fn is_handshaking(&self) -> bool {
        self.facts().is_handshaking()
    }

    /// Whether the peer has said that it sends no more (`close_notify`).
    pub fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Bytes of a record that has not arrived whole; [`Session::receive`] wants them in front of what comes next.
    pub fn take_partial(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.partial)
    }

    /// How many bytes [`Session::take_partial`] would give.
    pub fn partial_len(&self) -> usize {
        self.partial.len()
    }

    /// Takes ciphertext, appends plaintext to `plain` and what must be sent to `out` (a handshake's answer, a ticket, an
    /// alert). Call it with nothing to begin a client's handshake. What could be read before an error is in `plain`, and
    /// the alert in `out`; after it there is nothing to receive or to send.
    pub fn receive(&mut self, ciphertext: &mut [u8], plain: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Error> {
        self.check()?;
        let outcome = match &mut self.end {
            End::Server(connection) => receive(&mut ***connection, ciphertext, plain, out),
            End::Client(connection) => receive(&mut ***connection, ciphertext, plain, out),
        };
        self.failed = outcome.is_err();
        let received = outcome?;
        self.peer_closed |= received.closed;
        if received.consumed < ciphertext.len() && !self.peer_closed {
            self.partial.extend_from_slice(&ciphertext[received.consumed..]);
        }
        Ok(())
    }

    /// Appends `plain` to `out` as records.
    pub fn send(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.check()?;
        let partial = &mut self.partial;
        match &mut self.end {
            End::Server(connection) => {
                write(&mut ***connection, partial, out, |traffic, out| seal(traffic, plain, out))
            }
            End::Client(connection) => {
                write(&mut ***connection, partial, out, |traffic, out| seal(traffic, plain, out))
            }
        }
    }

    /// Appends the alert that says that no more will be sent (`close_notify`, RFC 8446 6.1); only the first call does.
    pub fn close(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.check()?;
        if std::mem::replace(&mut self.said_close, true) {
            return Ok(());
        }
        let partial = &mut self.partial;
        match &mut self.end {
            End::Server(connection) => write(&mut ***connection, partial, out, close),
            End::Client(connection) => write(&mut ***connection, partial, out, close),
        }
    }

    fn check(&self) -> Result<(), Error> {
        if self.failed { Err(Error::General("the TLS connection has failed".into())) } else { Ok(()) }
    }
}

struct Received {
    consumed: usize,
    closed: bool,
}

fn receive<C: Records + ?Sized>(
    connection: &mut C,
    ciphertext: &mut [u8],
    plain: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<Received, Error> {
    let mut received = Received { consumed: 0, closed: false };
    loop {
        let UnbufferedStatus { mut discard, state } = connection.process(&mut ciphertext[received.consumed..]);
        match state {
            Err(error) => {
                encode_alert(connection, &mut ciphertext[received.consumed + discard..], out);
                return Err(error);
            }
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    plain.extend_from_slice(record.payload);
                }
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => append(out, 512, |space| data.encode(space))?,
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(ConnectionState::PeerClosed) => received.closed = true,
            // Early data is never enabled; other states need more bytes, or are the end.
            Ok(_) => {
                received.consumed += discard;
                return Ok(received);
            }
        }
        received.consumed += discard;
    }
}

/// After an error rustls has an alert to say, unless the error was the peer's alert: behind what the handshake had to say
/// before. Without anything to say it must not be asked: then it would read on, fail again, and fall over its second alert.
fn encode_alert<C: Records + ?Sized>(connection: &mut C, ciphertext: &mut [u8], out: &mut Vec<u8>) {
    while connection.has_more_to_say()
        && let Ok(ConnectionState::EncodeTlsData(mut data)) = connection.process(ciphertext).state
    {
        // An alert that cannot be written is not worth a second error.
        let _ = append(out, 64, |space| data.encode(space));
    }
}

fn write<C: Records + ?Sized>(
    connection: &mut C,
    partial: &mut Vec<u8>,
    out: &mut Vec<u8>,
    say: impl FnOnce(WriteTraffic<'_, C::Data>, &mut Vec<u8>) -> Result<(), Error>,
) -> Result<(), Error> {
    loop {
        let UnbufferedStatus { discard, state } = connection.process(partial);
        match state? {
            ConnectionState::WriteTraffic(traffic) => {
                say(traffic, out)?;
                partial.drain(..discard);
                return Ok(());
            }
            ConnectionState::EncodeTlsData(mut data) => append(out, 512, |space| data.encode(space))?,
            ConnectionState::TransmitTlsData(data) => data.done(),
            ConnectionState::PeerClosed => {}
            _ => return Err(Error::General("the TLS connection takes no data now".into())),
        }
        partial.drain(..discard);
    }
}

fn seal<D>(mut traffic: WriteTraffic<'_, D>, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    for record in plain.chunks(RECORD_PAYLOAD) {
        append(out, record.len() + RECORD_OVERHEAD, |space| traffic.encrypt(record, space))?;
    }
    Ok(())
}

fn close<D>(mut traffic: WriteTraffic<'_, D>, out: &mut Vec<u8>) -> Result<(), Error> {
    append(out, 64, |space| traffic.queue_close_notify(space))
}

/// Lets `write` fill the end of `out`, with more room where `guess` was too little.
fn append<E: TooSmall>(
    out: &mut Vec<u8>,
    guess: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
) -> Result<(), Error> {
    let start = out.len();
    out.resize(start + guess, 0);
    let written = write(&mut out[start..]).or_else(|error| match error.required_size() {
        Some(required) => {
            out.resize(start + required, 0);
            write(&mut out[start..]).map_err(|_| Error::General("a TLS record does not fit".into()))
        }
        None => Err(Error::EncryptError),
    });
    out.truncate(start + written.as_ref().copied().unwrap_or(0));
    written.map(drop)
}

/// Errors that may be cured by a larger buffer.
trait TooSmall {
    fn required_size(&self) -> Option<usize>;
}

impl TooSmall for EncodeError {
    fn required_size(&self) -> Option<usize> {
        match self {
            EncodeError::InsufficientSize(InsufficientSizeError { required_size }) => Some(*required_size),
            EncodeError::AlreadyEncoded => None,
        }
    }
}

impl TooSmall for EncryptError {
    fn required_size(&self) -> Option<usize> {
        match self {
            EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => Some(*required_size),
            EncryptError::EncryptExhausted => None,
        }
    }
}
