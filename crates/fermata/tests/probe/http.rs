//! Ports that take connections and are not what they are taken for.

use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::gallery::{
    NOT_FOUND, Twist, ask, ask_briefly, assert_told, granted, head, is_handshake, listen_only, say, send, serve, server,
};

#[tokio::test]
async fn tls_on_a_plain_port() {
    let address = crate::tls::secure(&crate::tls::Authority::new(), crate::tls::Leaf::good(), |_| {}).await;
    assert_told!("http-tls-here", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_server_that_says_that_it_wants_tls() {
    let address = server(async |mut stream| {
        head(&mut stream).await;
        say(
            &mut stream,
            "HTTP/1.1 400 Bad Request\r\nServer: nginx/1.25.3\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n\
             <html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>",
        )
        .await;
    })
    .await;
    assert_told!("http-wants-tls", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn an_http2_only_server() {
    let address = server(async |mut stream| {
        // Its SETTINGS come first, then it says goodbye to what is no preface.
        send(&mut stream, b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64").await;
        send(&mut stream, b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01").await;
    })
    .await;
    assert_told!("http-http2-only", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn another_protocol() {
    let address = server(async |mut stream| {
        say(&mut stream, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n").await;
        listen_only(&mut stream).await;
    })
    .await;
    assert_told!("http-ssh", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn bytes_that_say_nothing() {
    let address = server(async |mut stream| {
        head(&mut stream).await;
        say(&mut stream, "\u{1b}[31mwelcome\r\nwho are you?\r\n").await;
        listen_only(&mut stream).await;
    })
    .await;
    assert_told!("http-other-protocol", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_server_that_hangs_up() {
    let address = server(async |mut stream| drop(head(&mut stream).await)).await;
    assert_told!("http-hung-up", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_server_that_says_nothing() {
    let address = server(async |mut stream| listen_only(&mut stream).await).await;
    assert_told!("http-silent", ask_briefly(&format!("ws://{address}/")));
}

/// How many bytes come in time differs from run to run.
const COUNTS: [(&str, &str); 7] = [
    ("(1 bytes)", "(N bytes)"),
    ("(2 bytes)", "(N bytes)"),
    ("(3 bytes)", "(N bytes)"),
    ("(4 bytes)", "(N bytes)"),
    ("(5 bytes)", "(N bytes)"),
    ("(6 bytes)", "(N bytes)"),
    ("(7 bytes)", "(N bytes)"),
];

#[tokio::test]
async fn a_server_that_says_a_byte_now_and_then() {
    let address = server(async |mut stream| {
        head(&mut stream).await;
        for byte in NOT_FOUND.bytes() {
            send(&mut stream, &[byte]).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    })
    .await;
    assert_told!("http-slow", ask_briefly(&format!("ws://{address}/")), &COUNTS);
}

#[tokio::test]
async fn a_head_without_an_end() {
    let address = server(async |mut stream| {
        head(&mut stream).await;
        say(&mut stream, "HTTP/1.1 200 OK\r\nX-Filler: ").await;
        send(&mut stream, &vec![b'x'; 80_000]).await;
        listen_only(&mut stream).await;
    })
    .await;
    assert_told!("http-head-too-large", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_server_that_waits_for_a_proxy_protocol_line() {
    let address = server(async |mut stream| {
        let mut start = [0; 6];
        if stream.read_exact(&mut start).await.is_ok() && &start == b"PROXY " {
            head(&mut stream).await;
            say(&mut stream, NOT_FOUND).await;
        }
    })
    .await;
    assert_told!("http-wants-proxy-protocol", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_service_that_speaks_nothing_but_websocket() {
    let address = server(async |mut stream| {
        let head = head(&mut stream).await;
        if is_handshake(&head) {
            say(&mut stream, &granted(&head, "")).await;
            serve(stream, async |_, _, _| Twist::Usual).await;
        }
    })
    .await;
    assert_told!("http-no-plain-http", ask(&format!("ws://{address}/")));
}
