//! The `ClientHello` of TLS: which name is read from it, what is none, and that it never matters how its bytes are cut.

use fermata_wire::hello::{Alert, Hello, LONGEST, Problem, read};
use proptest::prelude::*;

/// A vector with a length of two bytes.
fn long(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &long(data)].concat()
}

/// `server_name` with one name of this kind.
fn server_name(kind: u8, name: &[u8]) -> Vec<u8> {
    extension(0, &long(&[&[kind][..], &long(name)].concat()))
}

/// A message with these extensions, behind an empty session, two suites and no compression.
fn message(extensions: &[u8]) -> Vec<u8> {
    let start = [&[3, 3][..], &[7; 32], &[0], &long(&[0x13, 1, 0x13, 2]), &[1, 0]].concat();
    handshake(1, &[start, long(extensions)].concat())
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u32).to_be_bytes()[1..], body].concat()
}

/// A message as records of so many bytes each.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(|part| [&[22, 3, 1][..], &long(part)].concat()).collect()
}

fn one_record(message: &[u8]) -> Vec<u8> {
    records(message, 16 * 1024)
}

fn named(name: &str) -> Vec<u8> {
    one_record(&message(&[extension(43, &[2, 3, 4]), server_name(0, name.as_bytes())].concat()))
}

#[allow(clippy::unnecessary_wraps, reason = "compared with what is read")]
fn found(name: Option<&str>) -> Result<Option<Hello>, Problem> {
    Ok(Some(Hello { name: name.map(str::to_owned) }))
}

/// What is found where the bytes come one by one.
fn read_slowly(bytes: &[u8]) -> Result<Option<Hello>, Problem> {
    (0..=bytes.len()).map(|end| read(&bytes[..end])).find(|found| *found != Ok(None)).unwrap_or(Ok(None))
}

#[test]
fn the_name_of_a_hello_is_read() {
    assert_eq!(read(&named("app.example.com")), found(Some("app.example.com")));
    assert_eq!(read(&named("APP.Example.com")), found(Some("app.example.com")));
    assert_eq!(read(&one_record(&message(&extension(43, &[2, 3, 4])))), found(None));
    // An address is no name, and a name of another kind is no host's.
    assert_eq!(read(&named("192.0.2.1")), found(None));
    assert_eq!(read(&named("2001:db8::1")), found(None));
    assert_eq!(read(&one_record(&message(&server_name(1, b"app.example.com")))), found(None));
    // Without extensions, as it was before RFC 3546.
    let old = [&[3, 1][..], &[7; 32], &[0], &long(&[0, 47]), &[1, 0]].concat();
    assert_eq!(read(&one_record(&handshake(1, &old))), found(None));
    // Whatever follows.
    assert_eq!(read(&[named("app.example.com"), vec![20, 3, 3, 0, 1, 1]].concat()), found(Some("app.example.com")));
}

#[test]
fn hellos_of_real_clients_are_read() {
    let seed = |name: &str| {
        let path = format!("{}/fuzz/seeds/hello/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    assert_eq!(read_slowly(&seed("named")), found(Some("app.example.com")));
    assert_eq!(read_slowly(&seed("records")), found(Some("app.example.com")));
    assert_eq!(read_slowly(&seed("unnamed")), found(None));
    assert_eq!(read_slowly(&seed("alert")), Err(Problem::NoTls));
}

#[test]
fn what_breaks_a_rule_is_refused() {
    let whole = message(&server_name(0, b"app.example.com"));
    let body = &whole[4..];
    let with = |at: usize, byte: u8| {
        let mut other = whole.clone();
        other[at] = byte;
        one_record(&other)
    };
    let twice = [server_name(0, b"a.example"), server_name(0, b"b.example")].concat();
    let two_names = long(&[&[0][..], &long(b"a.example"), &[0], &long(b"b.example")].concat());
    let cases: Vec<(Vec<u8>, Problem)> = vec![
        (b"GET / HTTP/1.1\r\n".to_vec(), Problem::NoTls),
        (vec![22, 2], Problem::NoTls),
        (vec![22, 3, 1, 0, 0], Problem::Broken),
        (vec![22, 3, 1, 0x40, 1], Problem::Broken),
        (one_record(&handshake(2, body)), Problem::NoHello),
        // Another record before it is whole.
        ([records(&whole[..20], 20), vec![23]].concat(), Problem::NoTls),
        // A session of 33 bytes, an odd count of bytes for suites, no way of compression.
        (with(4 + 34, 33), Problem::Broken),
        (with(4 + 36, 3), Problem::Broken),
        (with(4 + 41, 0), Problem::Broken),
        (one_record(&handshake(1, &body[..body.len() - 1])), Problem::Broken),
        (one_record(&handshake(1, &[body, &[0]].concat())), Problem::Broken),
        (one_record(&message(&twice)), Problem::Broken),
        (one_record(&message(&extension(0, &two_names))), Problem::Broken),
        (one_record(&message(&extension(0, &[]))), Problem::Broken),
        (one_record(&message(&extension(0, &[0, 0]))), Problem::Broken),
        (named(""), Problem::Broken),
        (named("app example"), Problem::BadName),
        (named("app.ex\u{e4}mple"), Problem::BadName),
        (one_record(&message(&server_name(0, &[0xff]))), Problem::BadName),
        (named(&"a".repeat(254)), Problem::BadName),
        (one_record(&handshake(1, &vec![0; LONGEST + 1])), Problem::TooLong),
    ];
    for (bytes, problem) in cases {
        assert_eq!(read(&bytes), Err(problem), "{bytes:x?}");
        assert_eq!(read_slowly(&bytes), Err(problem), "{bytes:x?}");
    }
}

#[test]
fn a_hello_has_so_many_bytes_and_no_more() {
    // In records of one byte it takes six times as much.
    let short = records(&message(&server_name(0, b"app.example.com")), 1);
    assert_eq!(read_slowly(&short), found(Some("app.example.com")));
    let padded = |size: usize| message(&[extension(21, &vec![0; size]), server_name(0, b"a.example")].concat());
    let most = LONGEST - 5 - padded(0).len();
    assert_eq!(read(&one_record(&padded(most))), found(Some("a.example")));
    assert_eq!(read(&one_record(&padded(most + 1))), Err(Problem::TooLong));
    let long = records(&padded(4000), 1);
    assert_eq!(read(&long[..LONGEST - 1]), Ok(None));
    assert_eq!(read(&long[..LONGEST]), Err(Problem::TooLong));
}

#[test]
fn alerts_are_these() {
    assert_eq!(Alert::UnrecognizedName.record(), [21, 3, 3, 0, 2, 2, 112]);
    let said = |problem: Problem| problem.alert().map(|alert| alert as u8);
    let all = [Problem::NoTls, Problem::NoHello, Problem::Broken, Problem::BadName, Problem::TooLong];
    assert_eq!(all.map(said), [None, Some(10), Some(50), Some(47), Some(50)]);
}

/// Bytes that look like hellos, or nearly.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let extensions = prop_oneof![
        "[a-zA-Z0-9.-]{0,30}".prop_map(|name| server_name(0, name.as_bytes())),
        prop::collection::vec(any::<u8>(), 0..40),
        (any::<u16>(), prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(kind, data)| extension(kind, &data)),
    ];
    let hello = (extensions, 1..60usize).prop_map(|(extensions, size)| records(&message(&extensions), size));
    let touched = (hello.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut bytes, at, byte)| {
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes
    });
    prop_oneof![hello, touched, prop::collection::vec(any::<u8>(), 0..40)]
}

proptest! {
    #[test]
    fn a_name_is_found_however_its_records_are_cut(name in "[a-z0-9-]{1,20}(\\.[a-z0-9-]{1,20}){1,3}", size in 1..200usize) {
        let whole = message(&[extension(51, &[0; 60]), server_name(0, name.as_bytes()), extension(16, &[0, 0])].concat());
        prop_assume!(name.parse::<std::net::IpAddr>().is_err());
        prop_assert_eq!(read_slowly(&records(&whole, size)), found(Some(&name)));
    }

    #[test]
    fn the_outcome_does_not_depend_on_cuts(bytes in nearly(), more in prop::collection::vec(any::<u8>(), 0..9)) {
        let slowly = read_slowly(&bytes);
        prop_assert_eq!(&read(&bytes), &slowly);
        if slowly != Ok(None) {
            prop_assert_eq!(read(&[&bytes[..], &more].concat()), slowly);
        }
    }
}
