//! What becomes of a WebSocket that is silent: Pings, Pongs, and peers that give no sign of life.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use fermata::net::Reach;
use fermata::tunnel::Kind;
use fermata_spec::WebSocket;
use rustix::net::sockopt;

use crate::world::peer::{TINY, buffers};
use crate::world::wiring::Service;
use crate::world::{End, Frame, Held, Peer, WIRINGS, Wiring, World};

const SECOND: Duration = Duration::from_secs(1);

/// The defaults: 25 s of silence, 20 s for a Pong.
fn world() -> World {
    World::with(WebSocket::default())
}

fn pings(peer: &Peer) -> Vec<Frame> {
    peer.frames().into_iter().filter(|frame| frame.opcode == 9).collect()
}

fn other_frames(peer: &Peer) -> Vec<Frame> {
    peer.frames().into_iter().filter(|frame| frame.opcode != 9).collect()
}

#[test]
fn silent_peers_are_pinged_every_25_seconds_and_their_pongs_go_no_further() {
    for wiring in WIRINGS {
        let mut world = world();
        world.open(wiring, Kind::WebSocket);
        let mut said = Vec::new();
        for round in 1..20 {
            world.pass(SECOND * 24);
            // In the order of the stream: the marker, and then the Ping.
            let before = pings(world.client()).len();
            world.pass(SECOND);
            world.until("a Ping each", |held| {
                [&held.client, &held.service].iter().all(|peer| pings(peer).len() == round)
            });
            assert_eq!(before, round - 1);
            let (asked, marker) =
                (world.tunnels[0].client.frames().pop().expect("a Ping"), Frame::text(&format!("round {round}")));
            world.client().say(Frame::new(10, asked.payload).masked());
            world.client().say(Frame::new(10, "a Pong of its own").masked());
            world.client().say(marker.masked());
            let asked = pings(world.service()).pop().expect("a Ping");
            world.service().say(Frame::new(10, asked.payload).bare());
            world.service().say(marker.bare());
            world.until("the markers", |held| held.client.has(&marker) && held.service.has(&marker));
            said.push(marker);
        }
        assert_eq!(other_frames(world.client()), said, "{wiring:?}");
        let own = Frame::new(10, "a Pong of its own");
        let with_own: Vec<Frame> = said.into_iter().flat_map(|marker| [own.clone(), marker]).collect();
        assert_eq!(other_frames(world.service()), with_own, "{wiring:?}");
    }
}

#[test]
fn who_answers_is_asked_again_in_time_however_long_an_answer_may_take() {
    let limits = WebSocket { keepalive: Some(SECOND * 2), pong_timeout: SECOND * 20, ..WebSocket::default() };
    let mut world = World::with(limits);
    world.open(Wiring::CLEAR, Kind::WebSocket);
    for round in 1..6 {
        world.pass(SECOND * 2);
        world.until("a Ping", |held| pings(&held.client).len() == round);
        let asked = pings(world.client()).pop().expect("a Ping");
        world.client().say(Frame::new(10, asked.payload).masked());
        let marker = Frame::text(&format!("round {round}"));
        world.client().say(marker.masked());
        world.until("the marker", |held| held.service.has(&marker));
    }
    // Its service has said nothing for as long: it is asked once, and waited for.
    assert_eq!(pings(world.service()).len(), 1);
    world.pass(SECOND * 12);
    world.until("both ends", |held| held.client.end.is_some() && held.service.end.is_some());
}

#[test]
fn a_pong_tells_how_long_the_way_is() {
    let mut world = world();
    world.open(Wiring::CLEAR, Kind::WebSocket);
    world.pass(SECOND * 25);
    world.until("a Ping", |held| pings(&held.client).len() == 1);
    let asked = pings(world.client()).pop().expect("a Ping");
    world.pass(Duration::from_micros(12_300));
    world.client().say(Frame::new(10, asked.payload).masked());
    let trips = |world: &World| world.engine.list(|_| true, world.now())[0].round_trips;
    world.run("the Pong", |world| trips(world)[0].is_some());
    assert_eq!(trips(&world), [Some(Duration::from_micros(12_300)), None]);
}

#[test]
fn a_peer_that_speaks_is_not_pinged() {
    let mut world = world();
    world.open(Wiring::CLEAR, Kind::WebSocket);
    for round in 0..20 {
        let marker = Frame::text(&format!("round {round}"));
        world.client().say(marker.masked());
        world.until("the marker", |held| held.service.has(&marker));
        if let Some(asked) = pings(world.service()).pop() {
            world.service().say(Frame::new(10, asked.payload).bare());
            world.service().say(marker.bare());
            world.until("the marker", |held| held.client.has(&marker));
        }
        world.pass(SECOND * 20);
    }
    assert_eq!(pings(world.client()), [], "the client was never silent");
    assert!(!pings(world.service()).is_empty());
}

#[test]
fn a_client_that_does_not_answer_is_reset_and_its_service_told_1001() {
    for wiring in WIRINGS {
        let mut world = world();
        world.open(wiring, Kind::WebSocket);
        world.pass(SECOND * 25);
        world.until("Pings", |held| !held.client.got.is_empty() && !held.service.got.is_empty());
        let asked = pings(world.service()).pop().expect("a Ping");
        world.service().say(Frame::new(10, asked.payload).bare());
        world.service().say(Frame::text("here").bare());
        world.until("the answer", |held| held.client.has(&Frame::text("here")));
        world.pass(SECOND * 19);
        world.service().say(Frame::text("still here").bare());
        world.until("a message", |held| held.client.has(&Frame::text("still here")));
        world.pass(SECOND);
        world.until("both ends", |held| held.client.end.is_some() && held.service.end.is_some());
        assert_eq!(world.client().end, Some(End::Reset), "{wiring:?}");
        assert_eq!(other_frames(world.service()), [Frame::close(1001, "the other side does not answer")]);
        world.service().finish();
        world.until_over();
        assert_eq!(world.endings(), [(("client-no-pong", 1006), 1)].into());
    }
}

#[test]
fn a_service_that_does_not_answer_is_reset_and_its_client_told_1011() {
    let mut world = world();
    world.open(Wiring::TLS, Kind::WebSocket);
    world.pass(SECOND * 25);
    world.until("Pings", |held| !held.client.got.is_empty() && !held.service.got.is_empty());
    let asked = pings(world.client()).pop().expect("a Ping");
    world.client().say(Frame::new(10, asked.payload).masked());
    world.client().say(Frame::text("here").masked());
    world.until("the answer", |held| held.service.has(&Frame::text("here")));
    world.pass(SECOND * 20);
    world.until("both ends", |held| held.client.end.is_some() && held.service.end.is_some());
    assert_eq!((world.client().end, world.service().end), (Some(End::Finished), Some(End::Reset)));
    assert_eq!(other_frames(world.client()), [Frame::close(1011, "the service does not answer")]);
    world.client().finish();
    world.until_over();
    assert_eq!(world.endings(), [(("service-no-pong", 1011), 1)].into());
}

#[test]
fn anything_at_all_is_a_sign_of_life() {
    let mut world = world();
    world.open(Wiring::CLEAR, Kind::WebSocket);
    for round in 0..10 {
        world.pass(SECOND * 25);
        let marker = Frame::text(&format!("round {round}"));
        world.client().say(marker.masked());
        world.service().say(marker.bare());
        world.until("the markers", |held| held.client.has(&marker) && held.service.has(&marker));
    }
    assert_eq!(world.engine.live(), 1);
}

#[test]
fn keepalive_can_be_switched_off() {
    let mut world = World::with(WebSocket { keepalive: None, ..WebSocket::default() });
    world.open(Wiring::CLEAR, Kind::WebSocket);
    world.pass(SECOND * 3600);
    let marker = Frame::text("an hour later");
    world.client().say(marker.masked());
    world.service().say(marker.bare());
    world.until("the markers", |held| held.client.has(&marker) && held.service.has(&marker));
    assert_eq!((world.client().frames(), world.service().frames()), (vec![marker.clone()], vec![marker]));
}

/// No Ping may stand within a frame; it comes right behind.
#[test]
fn a_client_within_a_frame_is_pinged_after_it() {
    let mut world = world();
    let frame = Frame::text("said with long pauses").bare();
    world.open(Wiring::CLEAR, Kind::WebSocket).service.say(&frame[..10]);
    world.until("a part", |held| held.client.got.len() == 10);
    world.pass(SECOND * 30);
    world.service().say(&frame[10..]);
    world.until("the rest", |held| held.client.got.len() == frame.len());
    world.pass(SECOND);
    world.until("a Ping", |held| pings(&held.client).len() == 1);
    assert_eq!(other_frames(world.client()), [Frame::text("said with long pauses")]);
}

/// A pipe to a client with small buffers in the kernel, so that little is enough to fill it.
fn narrow(world: &mut World) {
    let ((client, client_leg), (service, service_leg)) = (Wiring::CLEAR.client(), Wiring::CLEAR.service());
    buffers(client_leg.socket.as_fd(), TINY);
    client.buffers(TINY);
    world.adopt(client_leg, service_leg, Kind::WebSocket);
    world.tunnels.push(Held { client, service });
}

#[test]
fn a_client_that_takes_nothing_of_a_long_frame_is_as_good_as_silent() {
    let mut world = world();
    narrow(&mut world);
    world.client().reads = false;
    world.service().say(Frame::binary(vec![0; 10_000_000]).bare());
    for _ in 0..100 {
        world.step();
    }
    for _ in 0..5 {
        world.pass(SECOND * 10);
        for _ in 0..100 {
            world.step();
        }
    }
    world.run("its end", |world| world.engine.live() == 0);
    assert_eq!(world.endings(), [(("client-no-pong", 1006), 1)].into());
}

#[test]
fn a_client_that_takes_a_long_frame_slowly_is_alive() {
    let mut world = world();
    narrow(&mut world);
    let frame = Frame::binary(vec![7; 3_000_000]);
    world.client().reads = false;
    world.service().say(frame.bare());
    let (whole, mut wanted) = (frame.bare().len(), 0);
    while world.client().got.len() < whole {
        // A little every 20 s: minutes in all.
        wanted = (wanted + 200_000).min(whole);
        world.client().reads = true;
        world.until("a little more", |held| held.client.got.len() >= wanted);
        world.client().reads = false;
        world.pass(SECOND * 20);
    }
    assert_eq!((world.engine.live(), &world.client().frames()[..1]), (1, &[frame][..]));
}

#[test]
fn a_tunnel_without_messages_ends_with_1001_though_its_peers_are_alive() {
    let limits = WebSocket { idle_timeout: Some(SECOND * 60), keepalive: None, ..WebSocket::default() };
    let mut world = World::with(limits);
    world.open(Wiring::CLEAR, Kind::WebSocket);
    world.pass(SECOND * 10);
    world.client().say(Frame::text("hello").masked());
    world.until("a message", |held| !held.service.got.is_empty());
    for round in 0..5 {
        world.pass(SECOND * 10);
        let ping = Frame::new(9, format!("are you there, {round}"));
        world.client().say(ping.masked());
        world.service().say(ping.bare());
        world.until("Pings of their own", |held| held.client.has(&ping) && held.service.has(&ping));
    }
    assert!(!world.client().has_close());
    world.pass(SECOND * 10);
    world.until("the Close", |held| held.client.has_close());
    assert_eq!(world.client().frames().pop(), Some(Frame::close(1001, "no message for too long")));
    world.client().say(Frame::close(1001, "").masked());
    world.until("the answer", |held| held.service.has_close());
    world.client().finish();
    world.service().finish();
    world.until_over();
    assert_eq!(world.endings(), [(("idle", 1001), 1)].into());
}

#[test]
fn a_long_message_under_way_is_no_idleness() {
    let limits = WebSocket { idle_timeout: Some(SECOND * 60), keepalive: None, ..WebSocket::default() };
    let mut world = World::with(limits);
    let bytes = Frame::binary([7; 20]).masked();
    world.open(Wiring::CLEAR, Kind::WebSocket);
    // The head passes when it is whole.
    world.client().say(&bytes[..6]);
    for at in 6..bytes.len() {
        world.client().say(&bytes[at..=at]);
        world.until("a byte", |held| held.service.got.len() == at + 1);
        world.pass(SECOND * 40);
    }
    assert!(!world.client().has_close());
}

/// Beneath the Pings of a WebSocket, and instead of them for a raw tunnel, whose reader may pause as long as it likes.
#[test]
fn peers_are_probed_by_the_kernel_too() {
    for (wiring, kind) in WIRINGS.into_iter().flat_map(|wiring| [(wiring, Kind::WebSocket), (wiring, Kind::Raw)]) {
        let mut world = world();
        let ((client, client_leg), (service, service_leg)) = (wiring.client(), wiring.service());
        let sockets = [&client_leg, &service_leg].map(|leg| leg.socket.try_clone().expect("a descriptor"));
        world.adopt(client_leg, service_leg, kind);
        for (socket, is_tcp) in sockets.iter().zip([true, wiring.service == Service::Tcp]) {
            assert_eq!(sockopt::socket_keepalive(socket), Ok(is_tcp));
            if is_tcp {
                let (idle, interval) = (sockopt::tcp_keepidle(socket), sockopt::tcp_keepintvl(socket));
                let probes = sockopt::tcp_keepcnt(socket);
                assert_eq!((idle, interval, probes), (Ok(SECOND * 25), Ok(SECOND * 5), Ok(4)));
                let patience = if kind == Kind::WebSocket { 45_000 } else { 0 };
                assert_eq!(sockopt::tcp_user_timeout(socket), Ok(patience));
            }
        }
        drop((sockets, client, service));
    }
}

#[test]
fn nobody_probes_a_peer_of_the_same_kernel() {
    let addresses = ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "10.0.0.1", "fe80::1"];
    let reaches = addresses.map(|ip| Reach::of((ip.parse::<IpAddr>().expect("an address"), 80).into()));
    let (host, network) = (Reach::Host, Reach::Network);
    assert_eq!(reaches, [host, host, host, host, network, network]);
    let mut world = world();
    let ((client, mut client_leg), (service, mut service_leg)) = (Wiring::CLEAR.client(), Wiring::CLEAR.service());
    let sockets = [&client_leg, &service_leg].map(|leg| leg.socket.try_clone().expect("a descriptor"));
    (client_leg.reach, service_leg.reach) = (Reach::Host, Reach::Host);
    world.adopt(client_leg, service_leg, Kind::WebSocket);
    for socket in &sockets {
        assert_eq!((sockopt::socket_keepalive(socket), sockopt::tcp_user_timeout(socket)), (Ok(false), Ok(0)));
    }
    drop((sockets, client, service));
}

/// A Ping storm of many tunnels that were opened together is spread over several slices of a sweep.
#[test]
fn many_silent_tunnels_are_all_pinged() {
    let mut world = world();
    for _ in 0..600 {
        world.open(Wiring::CLEAR, Kind::WebSocket);
    }
    world.pass(SECOND * 25);
    world.run("a Ping for everybody", |world| {
        world.tunnels.iter().all(|held| pings(&held.client).len() == 1 && pings(&held.service).len() == 1)
    });
}
