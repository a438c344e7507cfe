//! The PROXY protocol: what may be said, what may not, and that it never matters how the bytes are cut.

use std::net::SocketAddr;

use fermata_wire::proxy::{Header, LONGEST, Problem, Tls, Version, Way, begins, read, write};
use proptest::prelude::*;

/// A header of version 2 around a block: command, family, block.
fn binary(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = (block.len() as u16).to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[command, family], &length, block].concat()
}

const V4: [u8; 12] = [192, 0, 2, 1, 192, 0, 2, 9, 0x9c, 0x40, 0x01, 0xbb];

fn way(client: &str, server: &str, tls: Option<Tls>) -> Way {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    Way { client: address(client), server: address(server), tls }
}

/// What is found where the bytes come one by one.
fn read_slowly(bytes: &[u8]) -> Result<Option<Header>, Problem> {
    (0..=bytes.len()).map(|end| read(&bytes[..end])).find(|found| *found != Ok(None)).unwrap_or(Ok(None))
}

#[test]
fn a_line_of_version_1_is_read() {
    let cases = [
        ("PROXY TCP4 192.0.2.1 192.0.2.9 40000 443\r\n", Some(way("192.0.2.1:40000", "192.0.2.9:443", None))),
        ("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n", Some(way("[2001:db8::1]:0", "[::1]:65535", None))),
        ("PROXY UNKNOWN\r\n", None),
        ("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", None),
    ];
    for (line, way) in cases {
        let whole = format!("{line}GET / HTTP/1.1\r\n");
        assert_eq!(read(whole.as_bytes()), Ok(Some(Header { way, size: line.len() })), "{line}");
    }
}

#[test]
fn a_line_that_breaks_a_rule_is_refused() {
    for line in [
        "PROXY \r\n",
        "PROXY UDP4 192.0.2.1 192.0.2.9 40000 443\r\n",
        "PROXY TCP4 2001:db8::1 2001:db8::2 40000 443\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.9 40000 443\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.9 40000\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.9 40000 443 \r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.9 40000 443\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.9 40000 65536\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.9 40000 0443\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.9 +40000 443\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.9 40000 443\n\r\n",
        "PROXY TCP4 \u{663}.0.2.1 192.0.2.9 40000 443\r\n",
    ] {
        assert_eq!(read(line.as_bytes()), Err(Problem::BadLine), "{line:?}");
    }
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(200));
    assert_eq!(read(&endless.as_bytes()[..106]), Ok(None));
    assert_eq!(read(endless.as_bytes()), Err(Problem::BadLine));
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
    assert_eq!(read(longest.as_bytes()), Ok(Some(Header { way: None, size: 107 })));
}

#[test]
fn a_header_of_version_2_is_read() {
    let v6: Vec<u8> = [[0x20, 1, 0xd, 0xb8], [0; 4], [0; 4], [0, 0, 0, 1]].concat();
    let v6 = [v6.clone(), v6, vec![0, 80, 0, 81]].concat();
    let tls = |value: &[u8]| [&V4, [0x20, 0, value.len() as u8].as_slice(), value].concat();
    let named = |version: &[u8]| tls(&[&[1, 0, 0, 0, 0, 0x21, 0, 7], version].concat());
    let plain = |tls| Some(way("192.0.2.1:40000", "192.0.2.9:443", tls));
    let cases: Vec<(Vec<u8>, Option<Way>)> = vec![
        (binary(0x21, 0x11, &V4), plain(None)),
        (binary(0x21, 0x21, &v6), Some(way("[2001:db8::1]:80", "[2001:db8::1]:81", None))),
        // A field that nobody knows, and a blank one.
        (binary(0x21, 0x11, &[&V4[..], &[0xe0, 0, 2, 1, 2, 4, 0, 0]].concat()), plain(None)),
        (binary(0x21, 0x11, &named(b"TLSv1.3")), plain(Some(Tls::V1_3))),
        (binary(0x21, 0x11, &named(b"TLSv1.2")), plain(Some(Tls::V1_2))),
        (binary(0x21, 0x11, &named(b"TLSv9.9")), plain(Some(Tls::Other))),
        (binary(0x21, 0x11, &tls(&[1, 0, 0, 0, 0])), plain(Some(Tls::Other))),
        // The client has presented a certificate before, but not on a connection with TLS.
        (binary(0x21, 0x11, &tls(&[4, 0, 0, 0, 0])), plain(None)),
        // A health check; whatever else it says.
        (binary(0x20, 0x00, &[]), None),
        (binary(0x20, 0xff, &[1, 2, 3]), None),
        // Nobody with an address of ours: unspecified, UDP, a UNIX socket.
        (binary(0x21, 0x00, &[]), None),
        (binary(0x21, 0x12, &V4), None),
        (binary(0x21, 0x31, &[0; 216]), None),
    ];
    for (bytes, way) in cases {
        let whole = [&bytes[..], b"GET /"].concat();
        assert_eq!(read(&whole), Ok(Some(Header { way, size: bytes.len() })), "{bytes:x?}");
    }
}

#[test]
fn a_header_of_version_2_that_breaks_a_rule_is_refused() {
    let cases: Vec<(Vec<u8>, Problem)> = vec![
        (binary(0x11, 0x11, &V4), Problem::BadCommand),
        (binary(0x22, 0x11, &V4), Problem::BadCommand),
        (binary(0x21, 0x41, &V4), Problem::BadFamily),
        (binary(0x21, 0x13, &V4), Problem::BadFamily),
        (binary(0x21, 0x11, &V4[..11]), Problem::TooShort),
        (binary(0x21, 0x21, &V4), Problem::TooShort),
        (binary(0x21, 0x11, &[&V4[..], &[0xe0, 0]].concat()), Problem::TooShort),
        (binary(0x21, 0x11, &[&V4[..], &[0xe0, 0, 3, 1]].concat()), Problem::TooShort),
        (binary(0x21, 0x11, &[&V4[..], &[0x03, 0, 2, 1, 1]].concat()), Problem::TooShort),
        (binary(0x21, 0x11, &[&V4[..], &[0x03, 0, 4, 1, 1, 1, 1]].concat()), Problem::BadChecksum),
        (binary(0x21, 0x11, &[0; LONGEST]), Problem::TooLong),
        (b"GET / HTTP/1.1\r\n".to_vec(), Problem::NoHeader),
        (b"\r\n\r\n\0\r\nQUIX".to_vec(), Problem::NoHeader),
        (b"PROXYING".to_vec(), Problem::NoHeader),
    ];
    for (bytes, problem) in cases {
        assert_eq!(read(&bytes), Err(problem), "{bytes:x?}");
        assert_eq!(read_slowly(&bytes), Err(problem), "{bytes:x?}");
    }
}

#[test]
fn a_checksum_is_checked() {
    let header = binary(0x21, 0x11, &[&V4[..], &[0x03, 0, 4], &CHECKSUM].concat());
    assert_eq!(read(&header), Ok(Some(Header { way: Some(way("192.0.2.1:40000", "192.0.2.9:443", None)), size: 35 })));
    for at in 16..28 {
        let mut other = header.clone();
        other[at] ^= 0x40;
        assert_eq!(read(&other), Err(Problem::BadChecksum), "byte {at}");
    }
}

/// Of [`V4`] in a header with nothing else, by another implementation of CRC-32C.
const CHECKSUM: [u8; 4] = [0x66, 0xf4, 0x2f, 0x3e];

#[test]
fn what_is_written_is_this() {
    let v4 = way("192.0.2.1:40000", "[::ffff:192.0.2.9]:443", Some(Tls::V1_3));
    assert_eq!(write(Version::V1, Some(&v4)), b"PROXY TCP4 192.0.2.1 192.0.2.9 40000 443\r\n");
    let tls = b"\x20\0\x0f\x01\0\0\0\x01\x21\0\x07TLSv1.3";
    assert_eq!(write(Version::V2, Some(&v4)), binary(0x21, 0x11, &[&V4[..], tls].concat()));
    let mixed = way("192.0.2.1:40000", "[2001:db8::9]:443", None);
    assert_eq!(write(Version::V1, Some(&mixed)), b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::9 40000 443\r\n");
    assert_eq!(write(Version::V1, None), b"PROXY UNKNOWN\r\n");
    assert_eq!(write(Version::V2, None), binary(0x20, 0, &[]));
}

fn ways() -> impl Strategy<Value = Way> {
    let tls = prop_oneof![Just(None), Just(Some(Tls::V1_2)), Just(Some(Tls::V1_3)), Just(Some(Tls::Other))];
    (any::<SocketAddr>(), any::<SocketAddr>(), tls).prop_map(|(client, server, tls)| Way { client, server, tls })
}

/// Bytes that look like headers, or nearly.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let command = prop_oneof![Just(0x20), Just(0x21), any::<u8>()];
    let family = prop_oneof![Just(0x11), Just(0x21), any::<u8>()];
    let block = prop::collection::vec(any::<u8>(), 0..60);
    let binary = (command, family, block).prop_map(|(command, family, block)| binary(command, family, &block));
    let line = "PROXY (TCP4|TCP6|UNKNOWN|.{0,4}) [0-9a-f:. ]{0,80}(\r\n)?x?".prop_map(String::into_bytes);
    prop_oneof![binary, line, prop::collection::vec(any::<u8>(), 0..40)]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(way in ways(), after in prop::collection::vec(any::<u8>(), 0..20)) {
        let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        for version in [Version::V1, Version::V2] {
            let header = write(version, Some(&way));
            let found = read(&[&header[..], &after].concat()).expect("a header").expect("whole");
            prop_assert_eq!(found.size, header.len());
            let found = found.way.expect("somebody");
            prop_assert_eq!(plain(found.client), plain(way.client));
            prop_assert_eq!(plain(found.server), plain(way.server));
            prop_assert_eq!(found.tls, if version == Version::V2 { way.tls } else { None });
        }
    }

    #[test]
    fn the_outcome_does_not_depend_on_cuts(bytes in nearly(), more in prop::collection::vec(any::<u8>(), 0..9)) {
        let slowly = read_slowly(&bytes);
        prop_assert_eq!(read(&bytes), slowly);
        if slowly != Ok(None) {
            prop_assert_eq!(read(&[&bytes[..], &more].concat()), slowly);
        }
        prop_assert!(begins(&bytes) || matches!(slowly, Ok(None) | Err(Problem::NoHeader)));
    }
}
