//! The engine inside a runtime, as the gateway has it: its epoll within tokio's, and other tasks beside it.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fermata::tunnel::{self, Card, Command, Engine, Kind, Opened, Spread, Which};
use fermata_wire::{Close, Code};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use crate::world::wiring::{parts, tcp_pair};
use crate::world::{Frame, World};

const TUNNELS: usize = 200;
const ROUNDS: usize = 30;

fn stream(socket: OwnedFd) -> TcpStream {
    let socket = std::net::TcpStream::from(socket);
    socket.set_nonblocking(true).expect("a socket");
    TcpStream::from_std(socket).expect("a runtime")
}

/// Echoes frames until a Close, which it answers.
async fn serve(socket: OwnedFd) {
    let mut stream = stream(socket);
    loop {
        let (frame, _) = read_frame(&mut stream).await;
        stream.write_all(&frame.bare()).await.expect("a client that listens");
        if frame.opcode == 8 {
            return;
        }
    }
}

async fn read_frame(stream: &mut TcpStream) -> (Frame, Vec<u8>) {
    let mut bytes = Vec::new();
    loop {
        if let (frames, 0) = crate::world::frames::read(&bytes)
            && let [frame] = &frames[..]
        {
            return (frame.clone(), bytes);
        }
        bytes.push(stream.read_u8().await.expect("a whole frame"));
    }
}

async fn converse(socket: OwnedFd, number: usize, done: mpsc::UnboundedSender<()>) {
    let mut stream = stream(socket);
    for round in 0..ROUNDS {
        let message = Frame::text(&format!("client {number}, round {round}"));
        stream.write_all(&message.masked()).await.expect("a service that listens");
        assert_eq!(read_frame(&mut stream).await.0, message);
    }
    done.send(()).expect("somebody counts");
    let close = read_frame(&mut stream).await.0;
    assert_eq!(close.code(), Some(1001));
    stream.write_all(&close.masked()).await.expect("a gateway that listens");
    assert_eq!(stream.read(&mut [0]).await.expect("a good end"), 0);
}

/// A card for now, not for the beginning of a world's time.
fn card(world: &World) -> Card {
    Card { since: Instant::now(), ..world.card() }
}

#[test]
fn tunnels_are_opened_used_drained_and_rested_in_a_runtime() {
    let world = World::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = LocalSet::new();
    let whole = async {
        let engine = Rc::new(RefCell::new(Engine::new(world.ledger.clone()).expect("an epoll")));
        let (commands, received) = mpsc::unbounded_channel();
        let running = tokio::task::spawn_local(tunnel::run(engine.clone(), received));
        let (done, mut counted) = mpsc::unbounded_channel();
        let mut peers = tokio::task::JoinSet::new();
        for number in 0..TUNNELS {
            let ((client, client_leg), (service, service_leg)) = (tcp_pair(), tcp_pair());
            peers.spawn_local(serve(service));
            peers.spawn_local(converse(client, number, done.clone()));
            let (client, service) = (parts(client_leg, None), parts(service_leg, None));
            let opened = Opened { client, service, kind: Kind::WebSocket, card: card(&world) };
            engine.borrow_mut().adopt(opened).expect("sockets can be registered");
            // The others are under way already.
            tokio::task::yield_now().await;
        }
        for _ in 0..TUNNELS {
            counted.recv().await.expect("another that is done");
        }
        let (listed, list) = oneshot::channel();
        commands.send(Command::List(Which::all(), listed)).expect("it runs");
        assert_eq!(list.await.expect("a list").len(), TUNNELS);

        let (rested, rest) = oneshot::channel();
        commands.send(Command::Rest(rested)).expect("it runs");
        let (chosen, count) = oneshot::channel();
        let close = Arc::new(Close::new(Code::GOING_AWAY, "have to go"));
        let spread = Spread::over(&[0], None).remove(0);
        let drain = Command::Drain { which: Which::all(), close, over: Duration::ZERO, spread, chosen };
        commands.send(drain).expect("it runs");
        assert_eq!(count.await, Ok(TUNNELS));
        rest.await.expect("nothing left");
        while let Some(peer) = peers.join_next().await {
            peer.expect("a peer that was content");
        }
        drop(commands);
        running.await.expect("it has ended").expect("well");
    };
    runtime.block_on(local.run_until(async {
        tokio::time::timeout(Duration::from_mins(1), whole).await.expect("a lost wake-up");
    }));
    assert_eq!(world.endings(), [(("drained", 1001), TUNNELS as u64)].into());
}
