//! Servers that end connections which say nothing, or which are too old.

use std::time::Duration;

use fermata::echo;
use fermata::probe::Question;
use fermata_wire::frame::Opcode;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::gallery::{Twist, ask_briefly, assert_told, frame, listen_only, send_frame, serve, talking};

/// How long the servers of this room suffer silence.
const LIMIT: Duration = Duration::from_secs(3);

fn silent(url: &str) -> Question {
    Question { idle: Some(2 * LIMIT), ..ask_briefly(url) }
}

/// Answers Pings and Closes, and ends with `last` when nothing comes for too long.
async fn impatient(stream: tokio::net::TcpStream, last: &'static [u8]) {
    let mut stream = stream;
    loop {
        match timeout(LIMIT, frame(&mut stream)).await {
            Ok(Some((Opcode::Ping, payload))) => send_frame(&mut stream, Opcode::Pong, &payload).await,
            Ok(Some((Opcode::Close, payload))) => {
                return send_frame(&mut stream, Opcode::Close, &payload[..2.min(payload.len())]).await;
            }
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(_) if last.is_empty() => return,
            Err(_) => {
                send_frame(&mut stream, Opcode::Close, last).await;
                return listen_only(&mut stream).await;
            }
        }
    }
}

#[tokio::test]
async fn silence_that_is_suffered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(echo::serve(listener, std::future::pending()));
    assert_told!("healthy-idle", silent(&format!("ws://{address}/silent")));
}

#[tokio::test]
async fn silence_that_is_cut() {
    let address = talking(async |stream| impatient(stream, b"").await).await;
    assert_told!("idle-cut", silent(&format!("ws://{address}/")));
}

#[tokio::test]
async fn silence_that_is_closed() {
    let address = talking(async |stream| impatient(stream, b"\x03\xe9idle").await).await;
    assert_told!("idle-closed", silent(&format!("ws://{address}/")));
}

#[tokio::test]
async fn silence_after_which_nobody_is_there_any_more() {
    let address = talking(async |mut stream| {
        while let Ok(Some((opcode, payload))) = timeout(LIMIT, frame(&mut stream)).await {
            match opcode {
                Opcode::Ping => send_frame(&mut stream, Opcode::Pong, &payload).await,
                Opcode::Close => return send_frame(&mut stream, Opcode::Close, &payload[..2]).await,
                _ => {}
            }
        }
        listen_only(&mut stream).await;
    })
    .await;
    assert_told!("idle-dropped", silent(&format!("ws://{address}/")));
}

#[tokio::test]
async fn connections_that_may_not_grow_old() {
    let address = talking(async |stream| {
        let served = serve(stream, async |_, opcode, _| match opcode {
            Opcode::Ping | Opcode::Close => Twist::Usual,
            _ => Twist::Done,
        });
        // A gateway's limit on a request, which an open WebSocket is to it.
        tokio::select! {
            () = served => {}
            () = sleep(LIMIT + Duration::from_secs(1)) => {}
        }
    })
    .await;
    assert_told!("idle-age", silent(&format!("ws://{address}/")));
}
