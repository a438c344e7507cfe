//! Services about which nothing is to be said.

use fermata::echo;
use fermata::probe::Question;
use fermata_wire::frame::Opcode;
use tokio::net::TcpListener;

use crate::gallery::{Twist, ask, assert_told, frame, send, send_frame, serve, talking};

async fn sample() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(echo::serve(listener, std::future::pending()));
    address
}

#[tokio::test]
async fn fermatas_own_sample_service() {
    let address = sample().await;
    assert_told!("healthy-echo", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_subprotocol() {
    let address = sample().await;
    let protocols = vec!["chat".to_owned(), "superchat".to_owned()];
    assert_told!("healthy-subprotocol", Question { protocols, ..ask(&format!("ws://{address}/")) });
}

#[tokio::test]
async fn a_service_that_listens_only() {
    let address = sample().await;
    assert_told!("healthy-silent", ask(&format!("ws://{address}/silent")));
}

#[tokio::test]
async fn a_service_that_has_messages_of_its_own() {
    let address = talking(async |mut stream| {
        send_frame(&mut stream, Opcode::Text, "{\"type\": \"welcome\"}".as_bytes()).await;
        serve(stream, async |stream, opcode, _| {
            if opcode != Opcode::Text {
                return Twist::Usual;
            }
            send_frame(stream, Opcode::Text, b"{\"type\": \"error\", \"message\": \"what?\"}").await;
            Twist::Done
        })
        .await;
    })
    .await;
    assert_told!("healthy-own-messages", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_service_that_closes_when_a_message_is_not_its_own() {
    let address = talking(async |stream| {
        serve(stream, async |stream, opcode, _| {
            if opcode != Opcode::Text {
                return Twist::Usual;
            }
            send_frame(stream, Opcode::Close, b"\x03\xefnot JSON").await;
            frame(stream).await;
            Twist::End
        })
        .await;
    })
    .await;
    assert_told!("healthy-closes", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_service_with_a_limit_that_says_1009() {
    let address = talking(async |stream| {
        serve(stream, async |stream, _, payload| {
            if payload.len() <= 100_000 {
                return Twist::Usual;
            }
            send_frame(stream, Opcode::Close, b"\x03\xf1").await;
            frame(stream).await;
            Twist::End
        })
        .await;
    })
    .await;
    assert_told!("healthy-limit", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_service_that_echoes_in_pieces_with_pings_between() {
    let address = talking(async |stream| {
        serve(stream, async |stream, opcode, payload| {
            // The heads below are of short frames.
            if opcode != Opcode::Text || payload.len() > 125 {
                return Twist::Usual;
            }
            let (first, rest) = payload.split_at(payload.len() / 2);
            send(stream, &[0x01, first.len() as u8]).await;
            send(stream, first).await;
            send_frame(stream, Opcode::Ping, b"still there?").await;
            send(stream, &[0x80, rest.len() as u8]).await;
            send(stream, rest).await;
            Twist::Done
        })
        .await;
    })
    .await;
    assert_told!("healthy-pieces", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_service_that_echoes_text_only_and_closes_without_a_code() {
    let address = talking(async |stream| {
        serve(stream, async |stream, opcode, _| match opcode {
            Opcode::Binary => Twist::Done,
            Opcode::Close => {
                send_frame(stream, Opcode::Close, b"").await;
                Twist::End
            }
            _ => Twist::Usual,
        })
        .await;
    })
    .await;
    assert_told!("healthy-text-only", ask(&format!("ws://{address}/")));
}
