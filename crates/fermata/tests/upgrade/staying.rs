//! Tunnels that cannot move: those whose TLS is this process's. They stay in it until they end.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;

use futures_util::StreamExt;
use tokio_tungstenite::tungstenite::Message;

use crate::clients::{Socket, ask_meanwhile, echo, file, live, open, open_many, pid, runtime, upgrade};
use crate::support::{Fermata, Folder, PATIENCE, TlsFront, free_port, until};

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
fn what_stays_counts_on_in_the_new_process_and_is_drained_with_the_rest() {
    let (http, https) = (free_port(), free_port());
    let (fermata, front) = up(http, https);
    runtime().block_on(async {
        let mut tls = open_many(front.port, 30).await;
        upgrade(&fermata).await;
        tls.extend(open_many(front.port, 10).await);
        upgrade(&fermata).await;
        let only = |count| BTreeMap::from([("web.1".to_owned(), count)]);
        assert_eq!(live(&fermata), only(40));
        drop(tls.split_off(35));
        drop(tls.remove(0));
        until("those that ended are not counted", || live(&fermata) == only(34));
        let scaled = ask_meanwhile(&fermata, &["scale", "web=2"]).await;
        assert_eq!(scaled.0, Some(0));
        let mut clear = open_many(http, 34).await;
        assert_eq!(live(&fermata), BTreeMap::from([("web.1".to_owned(), 34), ("web.2".to_owned(), 34)]));
        // Whoever asks for the end of an instance's tunnels means those in any process.
        let drained = ask_meanwhile(&fermata, &["drain", "web.1", "--over", "1s"]).await;
        assert_eq!(drained.1, "34 tunnels are being closed over 1 s\n");
        for socket in &mut tls {
            assert_eq!(code(socket).await, Some(1012));
        }
        for socket in &mut clear {
            echo(socket, "still here").await;
        }
        drop(tls);
        until("they are not counted", || live(&fermata)["web.1"] == 0);
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

#[test]
fn a_handshake_and_a_request_that_had_begun_before_end_in_the_old_process() {
    let port = free_port();
    let fermata = Fermata::up(&file(port, free_port(), ""));
    let connect = || {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a public port");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream
    };
    let handshake = b"GET / HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let (mut socket, mut silent, mut request) = (connect(), connect(), connect());
    socket.write_all(&handshake[..40]).expect("half of it");
    request.write_all(b"POST /echo HTTP/1.1\r\nHost: app\r\nContent-Length: 10\r\n\r\nfirst").expect("half of it");
    // The one that waits in the kernel behind them has been accepted with them.
    until("all have been accepted", || accepted(port) == 3);
    runtime().block_on(async {
        let done = upgrade(&fermata).await;
        assert!(done.ends_with(": 0 tunnels went along\n"), "{done}");
        socket.write_all(&handshake[40..]).expect("the other half");
        silent.write_all(handshake).expect("all of it");
        for socket in [&mut socket, &mut silent] {
            assert_eq!(head(socket), "HTTP/1.1 101 Switching Protocols");
            // "hello", masked with zeros, and its echo.
            socket.write_all(&[0x81, 0x85, 0, 0, 0, 0, b'h', b'e', b'l', b'l', b'o']).expect("a tunnel");
            let mut echoed = [0; 7];
            socket.read_exact(&mut echoed).expect("the echo");
            assert_eq!(&echoed, b"\x81\x05hello");
        }
        request.write_all(b" then").expect("the other half");
        assert_eq!(head(&mut request), "HTTP/1.1 200 OK");
    });
    drop((socket, silent, request));
    assert_eq!(fermata.stop().code, Some(0));
}

/// How many connections to this port wait for nobody to accept them (`proc_net_tcp(5)`: established, with an inode).
fn accepted(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("proc is mounted");
    let local = format!("0100007F:{port:04X}");
    let lines = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    lines.filter(|fields| fields.len() > 9 && fields[1] == local && fields[3] == "01" && fields[9] != "0").count()
}

/// The first line of an answer, of which the head is taken off.
fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a whole head");
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned()
}
