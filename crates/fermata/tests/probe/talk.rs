//! Sockets that open and don't talk as they should.

use fermata::probe::probe;
use fermata_wire::frame::Opcode;

use crate::gallery::{Twist, ask, ask_briefly, assert_told, frame, listen_only, say, send, send_frame, serve, talking};
use crate::proxies::diagnosis;

#[tokio::test]
async fn a_connection_that_ends_after_the_101() {
    let address = talking(async |mut stream| drop(frame(&mut stream).await)).await;
    assert_told!("talk-end", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_service_that_closes_at_once() {
    let address = talking(async |mut stream| {
        send_frame(&mut stream, Opcode::Close, b"\x03\xf0token missing").await;
        listen_only(&mut stream).await;
    })
    .await;
    assert_told!("talk-closed", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn an_error_page_in_the_tunnel() {
    let address = talking(async |mut stream| {
        say(&mut stream, "HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
        listen_only(&mut stream).await;
    })
    .await;
    assert_told!("talk-no-frames", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_server_that_masks() {
    let address = talking(async |mut stream| {
        frame(&mut stream).await;
        send(&mut stream, &[0x8a, 0x80, 1, 2, 3, 4]).await;
        listen_only(&mut stream).await;
    })
    .await;
    assert_told!("talk-masked", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn compressed_frames_that_nobody_agreed_on() {
    let address = talking(async |mut stream| {
        send(&mut stream, &[0xc1, 0x03, 0x4b, 0x04, 0x00]).await;
        listen_only(&mut stream).await;
    })
    .await;
    assert_told!("talk-reserved-bits", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn text_that_is_not_utf8() {
    let address = talking(async |mut stream| {
        send_frame(&mut stream, Opcode::Text, b"caf\xe9").await;
        listen_only(&mut stream).await;
    })
    .await;
    assert_told!("talk-not-utf8", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_piece_without_a_beginning() {
    let address = talking(async |mut stream| {
        send_frame(&mut stream, Opcode::Continuation, b"and so on").await;
        listen_only(&mut stream).await;
    })
    .await;
    assert_told!("talk-fragments", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn pings_that_are_not_answered() {
    let address = talking(async |stream| {
        serve(stream, async |_, opcode, _| match opcode {
            Opcode::Close => Twist::Usual,
            _ => Twist::Done,
        })
        .await;
    })
    .await;
    assert_told!("talk-no-pong", ask_briefly(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_service_that_dies_of_a_message() {
    let address = talking(async |stream| {
        serve(stream, async |_, opcode, _| if opcode == Opcode::Text { Twist::End } else { Twist::Usual }).await;
    })
    .await;
    assert_told!("talk-hung-up", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn large_messages_that_cut_the_connection() {
    let address = talking(async |stream| {
        serve(stream, async |_, _, payload| if payload.len() > 100_000 { Twist::End } else { Twist::Usual }).await;
    })
    .await;
    assert_told!("talk-size-cut", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_close_that_is_answered_by_the_end() {
    let address = talking(async |stream| {
        serve(stream, async |_, opcode, _| if opcode == Opcode::Close { Twist::End } else { Twist::Usual }).await;
    })
    .await;
    assert_told!("talk-no-close", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_close_that_is_not_answered() {
    let address = talking(async |stream| {
        serve(stream, async |_, opcode, _| match opcode {
            Opcode::Ping => Twist::Usual,
            _ => Twist::Done,
        })
        .await;
    })
    .await;
    assert_told!("talk-close-ignored", ask_briefly(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_connection_that_stays_after_both_closes() {
    let address = talking(async |stream| {
        serve(stream, async |stream, opcode, payload| {
            if opcode != Opcode::Close {
                return Twist::Usual;
            }
            send_frame(stream, opcode, payload).await;
            Twist::Done
        })
        .await;
    })
    .await;
    assert_told!("talk-lingering", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn frames_that_come_byte_by_byte() {
    let address = talking(async |mut stream| {
        frame(&mut stream).await;
        for byte in [0x8a, 100, b'f', b'e', b'r', b'm', b'a', b't', b'a'].into_iter().cycle() {
            send(&mut stream, &[byte]).await;
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
    })
    .await;
    assert_told!("talk-slow-frames", ask_briefly(&format!("ws://{address}/")));
}

#[tokio::test]
async fn frames_that_are_held_back() {
    let address = talking(async |mut stream| listen_only(&mut stream).await).await;
    assert_told!("talk-held-back", ask_briefly(&format!("ws://{address}/")));
}

#[tokio::test]
async fn the_end_of_a_client_that_is_not_passed_on() {
    let address = talking(async |mut stream| {
        while let Some((opcode, payload)) = frame(&mut stream).await {
            match opcode {
                Opcode::Ping => send_frame(&mut stream, Opcode::Pong, &payload).await,
                Opcode::Close => return send_frame(&mut stream, Opcode::Close, &payload[..2]).await,
                _ => send_frame(&mut stream, opcode, &payload).await,
            }
        }
        std::future::pending::<()>().await;
    })
    .await;
    assert_told!("talk-half-close", ask_briefly(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_server_that_pings_all_the_time_and_never_reads() {
    let address = talking(async |mut stream| {
        let pings = b"\x89\x05hello".repeat(1000);
        while tokio::io::AsyncWriteExt::write_all(&mut stream, &pings).await.is_ok() {}
    })
    .await;
    // How far it comes depends on how much the kernel buffers.
    let said = diagnosis(&probe(&ask_briefly(&format!("ws://{address}/"))).await);
    assert!(said.last().is_some_and(|last| last.ends_with(" breaks: not-read")), "{said:?}");
}
