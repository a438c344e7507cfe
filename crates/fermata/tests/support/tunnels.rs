//! Many tunnels at once, held open until they are closed.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

/// Opens so many tunnels at a public port and sends a message through each. What is returned waits until all have ended, and
/// tells each way in which some did: the close code, or what went wrong.
pub fn hold(http: u16, count: usize) -> impl FnOnce() -> Vec<String> {
    let (opened, open) = std::sync::mpsc::channel();
    let holding = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut tunnels = Vec::new();
            for _ in 0..count {
                let url = format!("ws://127.0.0.1:{http}/");
                let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("a tunnel opens");
                socket.send(Message::text("hold this")).await.expect("a tunnel takes a message");
                tunnels.push(async move {
                    loop {
                        match socket.next().await {
                            Some(Ok(Message::Close(Some(close)))) => return u16::from(close.code).to_string(),
                            Some(Ok(_)) => {}
                            Some(Err(error)) => return error.to_string(),
                            None => return "1006".to_owned(),
                        }
                    }
                });
            }
            opened.send(()).unwrap();
            futures_util::future::join_all(tunnels).await
        })
    });
    open.recv().expect("all tunnels open");
    move || {
        let mut ends = holding.join().expect("tunnels are held");
        ends.sort();
        ends.dedup();
        ends
    }
}
