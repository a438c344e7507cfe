//! Bytes arrive, all of them and in order, however they come and however their tunnels end.

use std::os::fd::AsFd;

use fermata::tunnel::Kind;

use crate::world::peer::{SMALL, TINY, buffers};
use crate::world::wiring::{Client, Service};
use crate::world::{End, Frame, Held, WIRINGS, Wiring, World};

const KINDS: [Kind; 2] = [Kind::WebSocket, Kind::Raw];

/// A message as a client sends it: a frame, or the bytes alone.
fn from_client(kind: Kind, payload: &[u8]) -> Vec<u8> {
    match kind {
        Kind::WebSocket => Frame::binary(payload).masked(),
        Kind::Raw => payload.to_vec(),
    }
}

/// The same from a service.
fn from_service(kind: Kind, payload: &[u8]) -> Vec<u8> {
    match kind {
        Kind::WebSocket => Frame::binary(payload).bare(),
        Kind::Raw => payload.to_vec(),
    }
}

fn random_bytes(rng: &mut fastrand::Rng, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    rng.fill(&mut bytes);
    bytes
}

fn every_combination(mut test: impl FnMut(Wiring, Kind)) {
    for wiring in WIRINGS {
        for kind in KINDS {
            test(wiring, kind);
        }
    }
}

#[test]
fn a_service_may_speak_first() {
    every_combination(|wiring, kind| {
        let mut world = World::new();
        let greeting = from_service(kind, b"welcome");
        let held = world.open(wiring, kind);
        held.service.say(&greeting);
        world.until("the greeting", |held| held.client.got == greeting);
        let answer = from_client(kind, b"thanks");
        world.client().say(&answer);
        world.until("the answer", |held| held.service.got == answer);
    });
}

/// What a client has sent right after its handshake is in three places: the HTTP parser's buffer, the TLS session's, the
/// socket.
#[test]
fn early_data_arrives_though_the_service_answers_and_closes_at_once() {
    let mut rng = fastrand::Rng::with_seed(1);
    every_combination(|wiring, kind| {
        let mut world = World::new();
        let mut said = Vec::new();
        for number in 0..60 {
            // Mostly small.
            let size = if number % 4 == 0 { rng.usize(64..300_000) } else { rng.usize(64..20_000) };
            let payload = random_bytes(&mut rng, size);
            let message = from_client(kind, &payload);
            open_with_early_data(&mut world, wiring, kind, &message, rng.usize(..40_000));
            if number % 3 == 0 {
                world.tunnels[number].client.finish();
            }
            said.push(message);
        }
        let mut answer = from_service(kind, b"got all of it");
        if kind == Kind::WebSocket {
            answer.extend(Frame::close(1000, "").bare());
        }
        let mut answered = vec![false; said.len()];
        while answered.contains(&false) {
            world.run("early data", |world| {
                (0..60).any(|at| !answered[at] && world.tunnels[at].service.got.len() == said[at].len())
            });
            for (at, held) in world.tunnels.iter_mut().enumerate() {
                if !answered[at] && held.service.got.len() == said[at].len() {
                    assert!(held.service.got == said[at], "every byte in its place");
                    held.service.say(&answer);
                    held.service.step();
                    held.service.leave();
                    answered[at] = true;
                }
            }
        }
        world.run("the answers", |world| world.tunnels.iter().all(|held| held.client.end.is_some()));
        for held in &mut world.tunnels {
            assert_eq!(held.client.saw(), (&answer[..], Some(End::Finished)));
            held.client.finish();
        }
        world.until_over();
    });
}

/// Opens a tunnel whose client has said `message` already, and `read` bytes of it are read already.
fn open_with_early_data(world: &mut World, wiring: Wiring, kind: Kind, message: &[u8], read: usize) {
    let ((mut client, mut leg), (service, service_leg)) = (wiring.client(), wiring.service());
    client.say(message);
    let mut early = client.take_wire();
    let rest = early.split_off(read.min(early.len()));
    match &mut leg.tls {
        None => leg.unread.extend_from_slice(&early),
        Some(tls) => {
            let (mut plain, mut answer) = (Vec::new(), Vec::new());
            tls.receive(&mut early, &mut plain, &mut answer).expect("good records");
            leg.unread.extend_from_slice(&plain);
            leg.unsent.extend_from_slice(&answer);
        }
    }
    client.say_on_the_wire(rest);
    client.step();
    world.adopt(leg, service_leg, kind);
    world.tunnels.push(Held { client, service });
}

#[test]
fn a_client_may_end_its_stream_first() {
    every_combination(|wiring, kind| {
        let mut world = World::new();
        let (question, answer) = (from_client(kind, b"the last question"), from_service(kind, &vec![7; 300_000]));
        let held = world.open(wiring, kind);
        held.client.say(&question);
        held.client.finish();
        world.until("the client's end", |held| held.service.end.is_some());
        assert_eq!(world.service().saw(), (&question[..], Some(End::Finished)));
        world.service().say(&answer);
        world.until("the answer", |held| held.client.got == answer);
        world.service().finish();
        world.until_over();
        assert_eq!(world.client().end, Some(End::Finished), "{wiring:?}");
        let cause = if kind == Kind::Raw { ("ended", 1006) } else { ("client-gone", 1011) };
        assert_eq!(world.endings(), [(cause, 1)].into());
    });
}

#[test]
fn a_service_may_end_its_stream_first() {
    every_combination(|wiring, kind| {
        let mut world = World::new();
        let (mut notice, answer) =
            (from_service(kind, b"nothing more from here"), from_client(kind, &vec![7; 300_000]));
        let held = world.open(wiring, kind);
        held.service.say(&notice);
        held.service.finish();
        if kind == Kind::WebSocket {
            notice.extend(Frame::close(1011, "the service ended the connection").bare());
        }
        world.until("the service's end", |held| held.client.end.is_some());
        assert_eq!(world.client().saw(), (&notice[..], Some(End::Finished)));
        world.client().say(&answer);
        world.until("the answer", |held| held.service.got == answer);
        world.client().finish();
        world.until_over();
        assert_eq!(world.service().end, Some(End::Finished), "{wiring:?}");
        let cause = if kind == Kind::Raw { ("ended", 1006) } else { ("service-gone", 1011) };
        assert_eq!(world.endings(), [(cause, 1)].into());
    });
}

#[test]
fn megabytes_arrive_whole_both_ways_in_whatever_pieces() {
    let mut rng = fastrand::Rng::with_seed(2);
    let mut world = World::new();
    let mut said = Vec::new();
    every_combination(|wiring, kind| {
        let ((mut client, client_leg), (mut service, service_leg)) = (wiring.client(), wiring.service());
        if rng.bool() {
            buffers(client_leg.socket.as_fd(), SMALL);
            buffers(service_leg.socket.as_fd(), SMALL);
            client.buffers(SMALL);
            service.buffers(SMALL);
        }
        client.pieces = Some((rng.usize(1_000..100_000), rng.fork()));
        service.pieces = Some((rng.usize(1_000..100_000), rng.fork()));
        let (up, down) = (
            stream(&mut rng, |payload| from_client(kind, payload)),
            stream(&mut rng, |payload| from_service(kind, payload)),
        );
        client.say(&up);
        service.say(&down);
        world.adopt(client_leg, service_leg, kind);
        world.tunnels.push(Held { client, service });
        said.push((up, down));
    });
    world.run("all bytes", |world| {
        world
            .tunnels
            .iter()
            .zip(&said)
            .all(|(held, (up, down))| held.service.got.len() >= up.len() && held.client.got.len() >= down.len())
    });
    for (held, (up, down)) in world.tunnels.iter_mut().zip(&said) {
        assert!(held.service.got == *up && held.client.got == *down, "every byte in its place");
        held.client.finish();
        held.service.finish();
    }
    world.until_over();
}

/// 4 MiB in messages of all sizes.
fn stream(rng: &mut fastrand::Rng, message: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut stream = Vec::new();
    while stream.len() < 4 * 1024 * 1024 {
        let most = if rng.bool() { 300 } else { 200_000 };
        let size = rng.usize(..most);
        let payload = random_bytes(rng, size);
        stream.extend(message(&payload));
    }
    stream
}

#[test]
fn a_client_s_reset_is_a_reset_to_the_service() {
    every_combination(|wiring, kind| {
        let mut world = World::new();
        world.open(wiring, kind).client.say(from_client(kind, b"hello"));
        world.until("a first message", |held| !held.service.got.is_empty());
        world.client().reset();
        world.until_over();
        // A UNIX socket knows no reset without unread bytes.
        let end = if wiring.service == Service::Unix { End::Finished } else { End::Reset };
        assert_eq!(world.service().end, Some(end), "{wiring:?} {kind:?}");
        assert_eq!(world.endings(), [(("client-gone", 1006), 1)].into());
    });
}

#[test]
fn a_service_s_reset_is_a_reset_to_a_raw_client_and_a_close_to_a_websocket_s() {
    every_combination(|wiring, kind| {
        let mut world = World::new();
        world.open(wiring, kind).service.say(from_service(kind, b"hello"));
        world.until("a first message", |held| !held.client.got.is_empty());
        // Unread bytes make the closing of a UNIX socket a reset too.
        world.service().reads = false;
        world.client().say(from_client(kind, b"never read"));
        world.run("something unread", |world| world.tunnels[0].service.is_readable());
        world.service().reset();
        world.until("the client's end", |held| held.client.end.is_some());
        match kind {
            Kind::Raw => assert_eq!(world.client().end, Some(End::Reset), "{wiring:?}"),
            Kind::WebSocket => {
                let close = Frame::close(1011, "the service ended the connection");
                assert_eq!(world.client().frames(), [Frame::binary("hello"), close]);
                assert_eq!(world.client().end, Some(End::Finished), "{wiring:?}");
                world.client().finish();
            }
        }
        world.until_over();
        let code = if kind == Kind::Raw { 1006 } else { 1011 };
        assert_eq!(world.endings(), [(("service-gone", code), 1)].into());
    });
}

/// A service that closes with unread bytes resets the connection. What it said before, and its Close, count all the same,
/// though a write to it fails before they are read.
#[test]
fn a_service_s_last_words_arrive_though_writing_to_it_fails_first() {
    for wiring in WIRINGS {
        let mut world = World::new();
        world.open(wiring, Kind::WebSocket).service.reads = false;
        world.client().say(Frame::text("never read").masked());
        world.run("something unread", |world| world.tunnels[0].service.is_readable());
        let held = &mut world.tunnels[0];
        held.client.say(Frame::text("too late").masked());
        held.client.step();
        held.service.say(Frame::text("last words").bare());
        held.service.say(Frame::close(4000, "gone home").bare());
        held.service.step();
        held.service.leave();
        world.until("the end", |held| held.client.end.is_some());
        let (words, close) = (Frame::text("last words"), Frame::close(4000, "gone home"));
        assert_eq!(world.client().frames(), [words, close.clone()], "{wiring:?}");
        world.client().say(close.masked());
        world.client().finish();
        world.until_over();
        assert_eq!(world.endings(), [(("service-close", 4000), 1)].into());
    }
}

/// The same while the client takes nothing: the last words wait for it.
#[test]
fn a_service_s_last_words_wait_for_a_slow_client() {
    let mut world = World::new();
    // What a UNIX socket has taken is in its peer's hands already, and no reset takes it back.
    let wiring = Wiring { client: Client::Clear, service: Service::Unix };
    let ((client, client_leg), (service, service_leg)) = (wiring.client(), wiring.service());
    buffers(client_leg.socket.as_fd(), TINY);
    client.buffers(TINY);
    world.adopt(client_leg, service_leg, Kind::WebSocket);
    world.tunnels.push(Held { client, service });
    world.service().reads = false;
    world.client().reads = false;
    world.client().say(Frame::text("never read").masked());
    let message = Frame::binary(vec![1; 260_000]);
    world.service().say(message.bare());
    world.service().say(Frame::close(4000, "gone home").bare());
    world.run("a full pipe", |world| {
        let held = &world.tunnels[0];
        held.service.has_said_all() && held.service.is_readable()
    });
    world.service().leave();
    // The engine hears of the reset while it cannot read on.
    for _ in 0..10 {
        world.step();
    }
    assert_eq!(world.engine.live(), 1);
    world.client().reads = true;
    world.until("the end", |held| held.client.end.is_some());
    assert_eq!(world.client().frames(), [message, Frame::close(4000, "gone home")]);
    world.client().finish();
    world.until_over();
    assert_eq!(world.endings(), [(("service-close", 4000), 1)].into());
}

/// Hundreds of tunnels that could keep the engine busy for ever leave a small one its turn.
#[test]
fn a_message_is_not_kept_waiting_by_tunnels_that_never_rest() {
    const BUSY: usize = 300;
    let mut world = World::new();
    for _ in 0..BUSY {
        let held = world.open(Wiring::CLEAR, Kind::Raw);
        held.client.say(vec![1; 300_000]);
        held.client.step();
    }
    let held = world.open(Wiring::CLEAR, Kind::WebSocket);
    held.client.say(Frame::text("hello").masked());
    held.client.step();
    let mut turns = 0;
    while world.tunnels[BUSY].service.got.is_empty() {
        world.engine.turn(world.now()).expect("a turn");
        world.tunnels[BUSY].service.step();
        turns += 1;
        assert!(turns < 100, "it waits for its turn");
    }
    // 256 events a turn; those that were too many wait with the busy ones, 32 of which have a turn at a time.
    assert!(turns <= 2 + BUSY / 32, "{turns} turns");
}

/// The two peers of a tunnel are strangers: what one cannot take must not keep the other from being heard.
#[test]
fn a_stalled_direction_leaves_the_other_alone() {
    for wiring in [Wiring { client: Client::Tls13, service: Service::Unix }, Wiring::CLEAR] {
        let mut world = World::new();
        world.open(wiring, Kind::WebSocket).client.reads = false;
        world.service().say(Frame::binary(vec![0; 20_000_000]).bare());
        let stream: Vec<u8> = (0..200).flat_map(|n| Frame::text(&format!("message {n}")).masked()).collect();
        world.client().say(&stream);
        world.until("all messages", |held| held.service.got == stream);
        assert!(!world.service().has_said_all(), "the pipe is full");
        world.client().reads = true;
        world.client().keeps = false;
        world.until("the rest", |held| held.client.taken > 20_000_000);
    }
}
