//! Tells protocols apart by the first bytes that a server says, and shows bytes to people.

/// What a server seems to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// HTTP/1.
    Http,
    /// A record of TLS.
    Tls,
    /// A frame of HTTP/2.
    Http2,
    /// A greeting that is known, by the name of its protocol.
    Named(&'static str),
    /// Bytes that say nothing to us.
    Unknown,
}

/// Greetings and error messages of servers that stand on the wrong port now and then.
const GREETINGS: [(&[u8], &str); 10] = [
    (b"SSH-", "SSH"),
    (b"220-", "SMTP or FTP"),
    (b"220 ", "SMTP or FTP"),
    (b"+OK", "POP3"),
    (b"* OK", "IMAP"),
    (b"-ERR", "Redis"),
    (b"RFB ", "VNC"),
    (b"AMQP", "AMQP"),
    (b"INFO {", "NATS"),
    (b"\x04\x00", "SOCKS"),
];

/// What these bytes belong to.
pub(super) fn of(bytes: &[u8]) -> Dialect {
    if bytes.starts_with(b"HTTP/") {
        return Dialect::Http;
    }
    // A record: its type (20-23), major version 3 (RFC 8446 5.1).
    if let [20..=23, 3, ..] = bytes {
        return Dialect::Tls;
    }
    // A frame on stream 0: SETTINGS or GOAWAY (RFC 9113 4.1, 6.5, 6.8).
    if let [0, _, _, 4 | 7, _, 0, 0, 0, 0, ..] = bytes {
        return Dialect::Http2;
    }
    // A packet's length and number 0, then protocol version 10 (MySQL's HandshakeV10).
    if let [_, _, 0, 0, 10, ..] = bytes {
        return Dialect::Named("MySQL");
    }
    let named = GREETINGS.iter().find(|(greeting, _)| bytes.starts_with(greeting));
    named.map_or(Dialect::Unknown, |(_, name)| Dialect::Named(name))
}

/// The beginning of some bytes, on one line and without surprises for a terminal.
pub(super) fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 60;
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::new();
    for char in text.trim_end().chars() {
        if shown.chars().count() >= MOST {
            shown.push('…');
            break;
        }
        match char {
            '\r' => {}
            '\n' => shown.push(' '),
            char if char.is_control() => shown.extend(char.escape_default()),
            char => shown.push(char),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_known_by_their_first_bytes() {
        let cases: [(&[u8], Dialect); 7] = [
            (b"HTTP/1.1 400 Bad Request\r\n", Dialect::Http),
            (b"\x15\x03\x01\x00\x02\x02\x46", Dialect::Tls),
            (b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03", Dialect::Http2),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Dialect::Named("SSH")),
            (b"J\x00\x00\x00\x0a8.0.36", Dialect::Named("MySQL")),
            (b"hello", Dialect::Unknown),
            (b"", Dialect::Unknown),
        ];
        for (bytes, dialect) in cases {
            assert_eq!(of(bytes), dialect, "{bytes:?}");
        }
    }

    #[test]
    fn bytes_are_shown_without_control_characters() {
        assert_eq!(shown(b"<h1>\r\nNo\x1b[31m</h1>\n"), "<h1> No\\u{1b}[31m</h1>");
        assert_eq!(shown(&[b'a'; 100]).chars().count(), 61);
    }
}
