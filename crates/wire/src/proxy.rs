//! The PROXY protocol, versions 1 and 2 (HAProxy's doc/proxy-protocol.txt, "the specification" below): what a balancer says
//! in front of a connection's own bytes, so that who stands behind it knows the client.
//!
//! Whether it may be believed is not decided here: whoever reads a header has to know who sent it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// How a line of version 1 begins (the specification, 2.1).
const LINE: &[u8] = b"PROXY ";
/// The longest line of version 1, its CR LF included (2.1).
const LONGEST_LINE: usize = 107;
/// How a header of version 2 begins (2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, version and command, family, length (2.2).
const FIXED: usize = 16;
/// The longest header that is read: addresses take 216 bytes at most, and what is sent beside them is seldom more than a
/// certificate. nginx reads as much.
pub const LONGEST: usize = 4096;

/// `PP2_TYPE_CRC32C` (2.2.3).
const CHECKSUM: u8 = 0x03;
/// `PP2_TYPE_SSL`, its bit `PP2_CLIENT_SSL`, and in it `PP2_SUBTYPE_SSL_VERSION` (2.2.6).
const SSL: u8 = 0x20;
const CLIENT_SSL: u8 = 0x01;
const SSL_VERSION: u8 = 0x21;

/// Which version of the protocol is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary; it also tells whether the client speaks TLS with the sender.
    V2,
}

/// How a client has come to who sends a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// The client.
    pub client: SocketAddr,
    /// Where it has connected to.
    pub server: SocketAddr,
    /// The TLS between the two, where the sender ends it. Version 1 has no word for it.
    pub tls: Option<Tls>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
    /// One that was not named, or has no name here.
    Other,
}

/// A header that has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whose connection it is; `None` where the sender speaks for itself (a health check), or for somebody without an
    /// address of the internet.
    pub way: Option<Way>,
    /// How many bytes it has.
    pub size: usize,
}

/// Why something is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// It begins as neither version does.
    NoHeader,
    /// A line of version 1 that breaks a rule, or is longer than 107 bytes.
    BadLine,
    /// A version or a command that the specification does not have.
    BadCommand,
    /// A family, or a transport, that it does not have.
    BadFamily,
    /// Longer than [`LONGEST`].
    TooLong,
    /// Its length is too short for what is in it.
    TooShort,
    /// Its checksum is another one.
    BadChecksum,
}

impl core::fmt::Display for Problem {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Problem::NoHeader => out.write_str("there is no PROXY protocol header"),
            Problem::BadLine => out.write_str("the PROXY line is not as version 1 of the protocol has it"),
            Problem::BadCommand => out.write_str("the PROXY header has an unknown version or command"),
            Problem::BadFamily => out.write_str("the PROXY header has an unknown family of addresses"),
            Problem::TooLong => write!(out, "the PROXY header is longer than {LONGEST} bytes"),
            Problem::TooShort => out.write_str("the PROXY header is too short for what it holds"),
            Problem::BadChecksum => out.write_str("the checksum of the PROXY header is wrong"),
        }
    }
}

/// Whether these bytes begin as a header does, and as nothing else that is spoken on the internet.
pub fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(LINE) || bytes.starts_with(SIGNATURE)
}

/// Reads a header from the start of `bytes`; `None` while it isn't complete. What is found does not change as more comes.
pub fn read(bytes: &[u8]) -> Result<Option<Header>, Problem> {
    match bytes {
        _ if bytes.starts_with(LINE) => read_line(bytes),
        _ if bytes.starts_with(SIGNATURE) => read_binary(bytes),
        _ if LINE.starts_with(bytes) || SIGNATURE.starts_with(bytes) => Ok(None),
        _ => Err(Problem::NoHeader),
    }
}

fn read_line(bytes: &[u8]) -> Result<Option<Header>, Problem> {
    let known = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(end) = known.windows(2).position(|pair| pair == b"\r\n") else {
        return if known.len() < LONGEST_LINE { Ok(None) } else { Err(Problem::BadLine) };
    };
    let line = core::str::from_utf8(&known[LINE.len()..end]).map_err(|_| Problem::BadLine)?;
    let way = match line.split(' ').next() {
        // Whatever else stands there is to be ignored (2.1).
        Some("UNKNOWN") => None,
        _ => Some(way_of(line).ok_or(Problem::BadLine)?),
    };
    Ok(Some(Header { way, size: end + 2 }))
}

/// `TCP4 192.0.2.1 192.0.2.9 40000 443`.
fn way_of(line: &str) -> Option<Way> {
    let mut words = line.split(' ');
    let is_v4 = match words.next()? {
        "TCP4" => true,
        "TCP6" => false,
        _ => return None,
    };
    let mut address = || words.next()?.parse::<IpAddr>().ok().filter(|ip| ip.is_ipv4() == is_v4);
    let (client, server) = (address()?, address()?);
    let mut port = || words.next().and_then(port);
    let (client, server) = (SocketAddr::new(client, port()?), SocketAddr::new(server, port()?));
    words.next().is_none().then_some(Way { client, server, tls: None })
}

/// A number without a sign and without zeroes before it.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

fn read_binary(bytes: &[u8]) -> Result<Option<Header>, Problem> {
    // 2.2: the upper half is the version, the lower one LOCAL or PROXY.
    let is_local = match bytes.get(12) {
        None => return Ok(None),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => return Err(Problem::BadCommand),
    };
    let (Some(&family), Some(&[high, low])) = (bytes.get(13), bytes.get(14..FIXED).and_then(<[u8]>::first_chunk))
    else {
        return Ok(None);
    };
    let size = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if size > LONGEST {
        return Err(Problem::TooLong);
    }
    // The block of LOCAL is to be skipped, its family included (2.2).
    let addresses = if is_local { 0 } else { addresses_len(family)? };
    if size < FIXED + addresses {
        return Err(Problem::TooShort);
    }
    let Some(header) = bytes.get(..size) else { return Ok(None) };
    if is_local {
        return Ok(Some(Header { way: None, size }));
    }
    let tls = read_fields(header, FIXED + addresses)?;
    let way = pair(family, &header[FIXED..]).map(|(client, server)| Way { client, server, tls });
    Ok(Some(Header { way, size }))
}

/// How long the addresses of a family are, both with their ports (2.2): none, IPv4, IPv6, UNIX paths.
fn addresses_len(family: u8) -> Result<usize, Problem> {
    match (family >> 4, family & 0x0f) {
        (0, 0..=2) => Ok(0),
        (1, 0..=2) => Ok(12),
        (2, 0..=2) => Ok(36),
        (3, 0..=2) => Ok(216),
        _ => Err(Problem::BadFamily),
    }
}

/// The addresses of a TCP connection: client and server, then their ports.
fn pair(family: u8, block: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let port = |at: usize| Some(u16::from_be_bytes(*block.get(at..)?.first_chunk()?));
    let (client, server): (IpAddr, IpAddr);
    let ports = match family {
        0x11 => {
            (client, server) = (v4(block)?.into(), v4(&block[4..])?.into());
            8
        }
        0x21 => {
            (client, server) = (v6(block)?.into(), v6(&block[16..])?.into());
            32
        }
        _ => return None,
    };
    Some((SocketAddr::new(client, port(ports)?), SocketAddr::new(server, port(ports + 2)?)))
}

fn v4(bytes: &[u8]) -> Option<Ipv4Addr> {
    bytes.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets))
}

fn v6(bytes: &[u8]) -> Option<Ipv6Addr> {
    bytes.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets))
}

/// What stands behind the addresses: TLS is known, a checksum is checked, everything else is passed over.
fn read_fields(header: &[u8], mut at: usize) -> Result<Option<Tls>, Problem> {
    let mut tls = None;
    while at < header.len() {
        let (kind, value) = field(&header[at..]).ok_or(Problem::TooShort)?;
        match kind {
            CHECKSUM => check(header, at + 3, value)?,
            SSL => tls = tls.or(read_tls(value)),
            _ => {}
        }
        at += 3 + value.len();
    }
    Ok(tls)
}

/// Type, length, value (2.2.1).
fn field(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let &[kind, high, low] = bytes.first_chunk()?;
    Some((kind, bytes.get(3..3 + usize::from(u16::from_be_bytes([high, low])))?))
}

/// The TLS of the client: its bits, whether a certificate of its own was verified, and more fields.
fn read_tls(value: &[u8]) -> Option<Tls> {
    if value.first()? & CLIENT_SSL == 0 {
        return None;
    }
    let mut rest = value.get(5..).unwrap_or_default();
    while let Some((kind, value)) = field(rest) {
        match (kind, value) {
            (SSL_VERSION, b"TLSv1.2") => return Some(Tls::V1_2),
            (SSL_VERSION, b"TLSv1.3") => return Some(Tls::V1_3),
            _ => rest = &rest[3 + value.len()..],
        }
    }
    Some(Tls::Other)
}

fn check(header: &[u8], at: usize, said: &[u8]) -> Result<(), Problem> {
    let said = said.try_into().map(u32::from_be_bytes).map_err(|_| Problem::TooShort)?;
    // It is counted with zeroes in its own place (2.2.3).
    let blank = header.iter().enumerate().map(|(here, byte)| if (at..at + 4).contains(&here) { 0 } else { *byte });
    if crc32c(blank) == said { Ok(()) } else { Err(Problem::BadChecksum) }
}

/// CRC-32C (RFC 3720 B.4), bit by bit: headers are short.
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    const REVERSED: u32 = 0x82f6_3b78;
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ REVERSED } else { crc >> 1 };
    !bytes.fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(byte), step))
}

/// A header that says this; without a way, that the sender speaks for itself.
pub fn write(version: Version, way: Option<&Way>) -> Vec<u8> {
    match version {
        Version::V1 => write_line(way),
        Version::V2 => write_binary(way),
    }
}

fn write_line(way: Option<&Way>) -> Vec<u8> {
    let Some(way) = way else { return b"PROXY UNKNOWN\r\n".to_vec() };
    let (client, server) = of_one_family(way);
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    format!("PROXY {family} {} {} {} {}\r\n", client.ip(), server.ip(), client.port(), server.port()).into_bytes()
}

fn write_binary(way: Option<&Way>) -> Vec<u8> {
    let mut block = Vec::new();
    let command = match way {
        None => [0x20, 0x00],
        Some(way) => {
            let (client, server) = of_one_family(way);
            for address in [client, server] {
                match address.ip() {
                    IpAddr::V4(ip) => block.extend_from_slice(&ip.octets()),
                    IpAddr::V6(ip) => block.extend_from_slice(&ip.octets()),
                }
            }
            block.extend([client, server].into_iter().flat_map(|address| address.port().to_be_bytes()));
            if let Some(tls) = way.tls {
                write_tls(&mut block, tls);
            }
            [0x21, if client.is_ipv4() { 0x11 } else { 0x21 }]
        }
    };
    let mut header = Vec::with_capacity(FIXED + block.len());
    header.extend_from_slice(SIGNATURE);
    header.extend_from_slice(&command);
    header.extend_from_slice(&(block.len() as u16).to_be_bytes());
    header.extend_from_slice(&block);
    header
}

fn write_tls(block: &mut Vec<u8>, tls: Tls) {
    let name: &[u8] = match tls {
        Tls::V1_2 => b"TLSv1.2",
        Tls::V1_3 => b"TLSv1.3",
        Tls::Other => b"",
    };
    // No certificate of the client was verified: not zero (2.2.6).
    let mut value = vec![CLIENT_SSL, 0, 0, 0, 1];
    if !name.is_empty() {
        value.extend_from_slice(&[SSL_VERSION, 0, name.len() as u8]);
        value.extend_from_slice(name);
    }
    block.extend_from_slice(&[SSL, 0, value.len() as u8]);
    block.extend_from_slice(&value);
}

/// Both as IPv4 where they are, mapped ones included (RFC 4291 2.5.5.2); else both as IPv6.
fn of_one_family(way: &Way) -> (SocketAddr, SocketAddr) {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (client, server) = (plain(way.client), plain(way.server));
    if client.is_ipv4() == server.is_ipv4() { (client, server) } else { (as_v6(client), as_v6(server)) }
}

fn as_v6(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(address) => mapped(address).into(),
        SocketAddr::V6(_) => address,
    }
}

fn mapped(address: SocketAddrV4) -> SocketAddrV6 {
    SocketAddrV6::new(address.ip().to_ipv6_mapped(), address.port(), 0, 0)
}
