//! The service behind the proxies: it answers each message with one of the same size.

use fermata_wire::handshake;

/// What it says to a handshake.
pub(crate) fn answer(request: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(request);
    let key = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    });
    let accept = handshake::accept(key.unwrap_or_default());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

/// What a client asks: the headers that a browser sends, with made-up values.
pub(crate) fn request() -> Vec<u8> {
    let key = handshake::key(fastrand::u128(..).to_ne_bytes());
    format!(
        "GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36\r\n\
         Upgrade: websocket\r\nOrigin: http://localhost\r\nSec-WebSocket-Version: 13\r\n\
         Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    )
    .into_bytes()
}
