//! Tunnels that cannot move: those whose TLS is this process's. They stay in it until they end.

use std::path::Path;

use futures_util::StreamExt;
use tokio_tungstenite::tungstenite::Message;

use crate::clients::{Socket, ask_meanwhile, echo, file, open, pid, runtime, upgrade};
use crate::support::{Fermata, Folder, TlsFront, free_port, until};

/// With an http and an https port.
fn up(http: u16, https: u16) -> (Fermata, TlsFront) {
    let text = file(http, free_port(), "tls:\n  certificates: [{cert: app.pem, key: app.key}]\n");
    let folder = Folder::new(&text.replace(&format!("http: {http}"), &format!("http: {http}, https: {https}")));
    let certificate = folder.write_certificate("app", &["localhost"]);
    (folder.up(), TlsFront::of(https, &certificate))
}

fn runs(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

async fn code(socket: &mut Socket) -> Option<u16> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Close(close))) => return close.map(|close| close.code.into()),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return None,
        }
    }
}

#[test]
fn a_tunnel_over_tls_goes_on_in_the_old_process_and_that_ends_with_it() {
    let (http, https) = (free_port(), free_port());
    let (fermata, front) = up(http, https);
    runtime().block_on(async {
        let first = pid(&fermata);
        let (mut clear, mut oldest) = (open(http).await, open(front.port).await);
        upgrade(&fermata).await;
        let second = pid(&fermata);
        let mut tls = open(front.port).await;
        let done = upgrade(&fermata).await;
        let third = pid(&fermata);
        assert_eq!(
            done,
            format!(
                "upgraded to fermata {} (process {third}): 1 tunnels went along, 1 that cannot move stay in process \
                 {second} until they end, at most 3600 s\n",
                env!("CARGO_PKG_VERSION")
            )
        );
        for round in 0..20 {
            echo(&mut tls, &format!("over TLS {round}")).await;
            echo(&mut clear, &format!("in the clear {round}")).await;
        }
        echo(&mut open(front.port).await, "a new one").await;
        assert!(runs(second));
        echo(&mut oldest, "two processes back").await;
        drop(tls);
        until("the process in between has ended", || !runs(second));
        assert!(runs(first) && runs(third), "the first waits for the end of the last");
        echo(&mut clear, "after all that").await;
        echo(&mut oldest, "and that").await;
    });
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn what_cannot_move_is_told_to_go_when_its_time_is_over() {
    let (http, https) = (free_port(), free_port());
    let (fermata, front) = up(http, https);
    runtime().block_on(async {
        let (mut tls, mut clear) = (open(front.port).await, open(http).await);
        let (status, _, trouble) = ask_meanwhile(&fermata, &["upgrade", "--linger", "100ms"]).await;
        assert_eq!((status, trouble.lines().count()), (Some(0), 1), "{trouble}");
        assert_eq!(code(&mut tls).await, Some(1001));
        echo(&mut clear, "still here").await;
    });
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn a_stop_reaches_what_has_stayed_and_what_has_moved() {
    let (http, https) = (free_port(), free_port());
    let (fermata, front) = up(http, https);
    let mut fermata = fermata;
    let (tls, clear) = runtime().block_on(async {
        let (mut tls, mut clear) = (open(front.port).await, open(http).await);
        upgrade(&fermata).await;
        let stopped = ask_meanwhile(&fermata, &["stop"]).await;
        assert_eq!(stopped, (Some(0), "stopping\n".into(), String::new()));
        tokio::join!(code(&mut tls), code(&mut clear))
    });
    assert_eq!((tls, clear), (Some(1001), Some(1001)));
    assert_eq!(fermata.process.wait().code(), Some(0), "{}", fermata.process.transcript());
    assert_eq!(fermata.process.stderr.whole().matches("cause=drained").count(), 2, "{}", fermata.process.transcript());
}
