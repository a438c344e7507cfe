//! What a peer that never reads costs: little, and always the same. The sockets are made as the gateway makes them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use fermata::net::{self, Leg, Parts, Transport, dial};
use fermata::route::Target;
use fermata::tunnel::Kind;

use crate::world::peer::SMALL;
use crate::world::wiring::{Client, Service, handshake_of, parts};
use crate::world::{Frame, Held, Peer, WIRINGS, Wiring, World};

const MIB: usize = 1024 * 1024;

/// A client of a public port, and its leg.
fn client(wiring: Wiring) -> (Peer, Parts) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let Ok(net::Listener::Tcp(listener)) = net::bind(address, Transport::Tcp) else { panic!("a port is free") };
    listener.set_nonblocking(false).expect("a socket");
    let far = TcpStream::connect(listener.local_addr().expect("bound")).expect("somebody listens");
    let (near, _) = listener.accept().expect("somebody connects");
    let (connection, session) = handshake_of(wiring.client).unzip();
    (Peer::new(far.into(), connection), parts(near.into(), session))
}

/// A service that was dialled, and its leg.
fn service(wiring: Wiring) -> (Peer, Parts) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (target, accept): (Target, Box<dyn Fn() -> OwnedFd>) = match wiring.service {
        Service::Tcp => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
            let target = Target::Ip(listener.local_addr().expect("bound"));
            (target, Box::new(move || listener.accept().expect("somebody connects").0.into()))
        }
        Service::Unix => {
            let path = folder.path().join("service");
            let listener = UnixListener::bind(&path).expect("a fresh path");
            (Target::Unix(path), Box::new(move || listener.accept().expect("somebody connects").0.into()))
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let leg: Leg = runtime.block_on(dial(&target, &[], None, Duration::from_secs(20))).expect("somebody listens");
    let parts = runtime.block_on(async { leg.into_parts() }).expect("a leg can be taken apart");
    (Peer::new(accept(), None), parts)
}

fn open(world: &mut World, wiring: Wiring, kind: Kind) {
    let ((client, client_leg), (service, service_leg)) = (client(wiring), service(wiring));
    // What the peers' own kernels keep is not what is measured here.
    client.buffers(SMALL);
    service.buffers(SMALL);
    world.adopt(client_leg, service_leg, kind);
    world.tunnels.push(Held { client, service });
}

#[test]
fn a_client_that_never_reads_takes_at_most_two_megabytes() {
    for wiring in WIRINGS {
        for kind in [Kind::WebSocket, Kind::Raw] {
            let mut world = World::new();
            open(&mut world, wiring, kind);
            world.client().reads = false;
            world.service().say(Frame::binary(vec![0; 6 * MIB]).bare());
            world.until_nothing_moves();
            let took = world.service().written();
            assert!(took < 2 * MIB, "{took} bytes are on the way, {wiring:?} {kind:?}");
            world.client().reads = true;
            world.client().keeps = false;
            world.until("the rest", |held| held.client.taken > 6 * MIB);
        }
    }
}

#[test]
fn a_service_that_never_reads_takes_at_most_two_megabytes() {
    for wiring in WIRINGS {
        let mut world = World::new();
        open(&mut world, wiring, Kind::WebSocket);
        world.service().reads = false;
        world.client().say(Frame::binary(vec![0; 6 * MIB]).masked());
        world.until_nothing_moves();
        let took = world.client().written();
        assert!(took < 2 * MIB, "{took} bytes are on the way, {wiring:?}");
        world.service().reads = true;
        world.service().keeps = false;
        world.until("the rest", |held| held.service.taken > 6 * MIB);
    }
}

/// Whatever an engine says of its own is said to a stalled client too, and must not pile up either: a Ping now and then,
/// one Close.
#[test]
fn a_stalled_client_of_a_talkative_service_costs_no_more_with_time() {
    let wiring = Wiring { client: Client::Tls13, service: Service::Tcp };
    let mut world = World::with(fermata_spec::WebSocket {
        pong_timeout: Duration::from_hours(1),
        ..fermata_spec::WebSocket::default()
    });
    open(&mut world, wiring, Kind::WebSocket);
    world.client().reads = false;
    let stream: Vec<u8> = (0..40_000).flat_map(|n| Frame::text(&format!("{n:>100}")).bare()).collect();
    world.service().say(stream);
    world.until_nothing_moves();
    for _ in 0..60 {
        world.pass(Duration::from_secs(30));
    }
    world.until_nothing_moves();
    let took = world.service().written();
    assert!(took < 2 * MIB && !world.service().has_said_all(), "{took} bytes are on the way");
    assert_eq!(world.engine.live(), 1);
}
