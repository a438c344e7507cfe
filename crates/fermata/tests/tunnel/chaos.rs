//! Peers that do anything at any time. Whatever they do, what arrives is a beginning of what was said, nothing is left in
//! the end, and nothing falls over.

use std::time::Duration;

use fastrand::Rng;
use fermata::tls::Session;
use fermata::tunnel::Kind;
use fermata_spec::WebSocket;
use rustls::version::{TLS12, TLS13};
use std::io::Write;

use crate::world::wiring::handshake;
use crate::world::{Frame, Peer, WIRINGS, Wiring, World};

/// What the two peers of a tunnel have said.
struct Story {
    kind: Kind,
    client: Said,
    service: Said,
}

#[derive(Default)]
struct Said {
    /// Raw bytes, or whole messages as one stream of frames.
    stream: Vec<u8>,
    messages: Vec<Frame>,
    /// It has said what is no frame, or something behind its Close: what follows may or may not count.
    spoiled: bool,
    /// Pings that it has answered.
    answered: usize,
}

#[test]
fn whatever_peers_do_every_tunnel_ends_and_nothing_arrives_that_was_not_said() {
    chaos(&WIRINGS, |_, _| {});
}

/// In the midst of it all the tunnels go on in another engine, again and again.
#[test]
fn whatever_peers_do_tunnels_that_move_arrive_with_all_that_was_on_the_way() {
    chaos(&WIRINGS[..2], |world, rng| {
        if rng.u8(..) < 25 {
            let live = world.engine.live();
            assert_eq!(world.move_all(), live);
        }
    });
}

fn chaos(wirings: &[Wiring], also: impl Fn(&mut World, &mut Rng)) {
    for seed in 0..60 {
        let limits = WebSocket {
            max_message_rate: (seed % 3 == 0).then_some(20),
            max_message: (seed % 4 == 0).then_some(100_000),
            idle_timeout: (seed % 5 == 0).then_some(Duration::from_secs(40)),
            ..WebSocket::default()
        };
        let mut world = World::with(limits);
        let mut rng = Rng::with_seed(seed);
        let mut stories = Vec::new();
        for _ in 0..400 {
            if stories.len() < 12 || rng.u8(..) < 3 {
                let kind = if rng.u8(..) < 180 { Kind::WebSocket } else { Kind::Raw };
                world.open(*rng.choice(wirings).expect("some"), kind);
                stories.push(Story { kind, client: Said::default(), service: Said::default() });
            }
            let at = rng.usize(..stories.len());
            let (held, story) = (&mut world.tunnels[at], &mut stories[at]);
            if rng.bool() {
                act(&mut rng, &mut held.client, &mut story.client, story.kind, Frame::masked);
            } else {
                act(&mut rng, &mut held.service, &mut story.service, story.kind, Frame::bare);
            }
            for _ in 0..rng.usize(..4) {
                world.step();
                answer_pings(&mut world, &mut stories);
            }
            also(&mut world, &mut rng);
            match rng.u8(..) {
                0..30 => world.pass(Duration::from_millis(rng.u64(100..3000))),
                250.. => drop(world.drain(1012, Duration::from_secs(rng.u64(..10)))),
                _ => {}
            }
        }
        check(&world, &stories, seed);
        for held in &mut world.tunnels {
            for peer in [&mut held.client, &mut held.service] {
                peer.reads = true;
                peer.finish();
            }
        }
        // Longer than any wait of the engine's.
        for _ in 0..70 {
            for _ in 0..5 {
                world.step();
            }
            world.pass(Duration::from_secs(1));
        }
        world.run("that every tunnel is over", |world| world.engine.live() == 0);
        check(&world, &stories, seed);
        assert_eq!(world.endings().values().sum::<u64>(), stories.len() as u64);
    }
}

/// One peer does something.
fn act(rng: &mut Rng, peer: &mut Peer, said: &mut Said, kind: Kind, encode: impl Fn(&Frame) -> Vec<u8>) {
    let size = if rng.u8(..) < 20 { rng.usize(..400_000) } else { rng.usize(..300) };
    let frame = Frame::binary(vec![rng.u8(..); size]);
    match rng.u8(..) {
        0..140 => {
            match kind {
                Kind::WebSocket => peer.say(encode(&frame)),
                Kind::Raw => peer.say(&frame.payload),
            }
            if !said.spoiled {
                said.stream.extend_from_slice(&frame.payload);
                said.messages.push(frame);
            }
        }
        140..180 => peer.reads = rng.bool(),
        180..190 => peer.pieces = Some((rng.usize(1..5000), rng.fork())),
        190..200 if kind == Kind::WebSocket => {
            peer.say(encode(&Frame::close(rng.u16(3000..5000), "had enough")));
            said.spoiled = true;
        }
        200..205 if kind == Kind::WebSocket => {
            peer.say([rng.u8(..), rng.u8(..), rng.u8(..)]);
            said.spoiled = true;
        }
        205..215 => {
            peer.finish();
            said.spoiled = true;
        }
        215..220 => peer.reset(),
        220..225 => peer.leave(),
        _ => {}
    }
}

fn answer_pings(world: &mut World, stories: &mut [Story]) {
    for (held, story) in world.tunnels.iter_mut().zip(stories).filter(|(_, story)| story.kind == Kind::WebSocket) {
        answer(&mut held.client, &mut story.client, Frame::masked);
        answer(&mut held.service, &mut story.service, Frame::bare);
    }
}

fn answer(peer: &mut Peer, said: &mut Said, encode: impl Fn(&Frame) -> Vec<u8>) {
    if said.spoiled || peer.got.len() > 20_000 {
        return;
    }
    for ping in peer.frames().iter().filter(|frame| frame.opcode == 9).skip(said.answered) {
        peer.say(encode(&Frame::new(10, &ping.payload)));
        said.answered += 1;
    }
}

fn check(world: &World, stories: &[Story], seed: u64) {
    for (at, (held, story)) in world.tunnels.iter().zip(stories).enumerate() {
        arrived(&held.service, &story.client, story.kind, &format!("at service {at}, seed {seed}"));
        arrived(&held.client, &story.service, story.kind, &format!("at client {at}, seed {seed}"));
    }
}

/// What has arrived is a beginning of what was said.
fn arrived(peer: &Peer, said: &Said, kind: Kind, place: &str) {
    match kind {
        Kind::Raw => {
            let most = peer.got.len().min(said.stream.len());
            assert!(peer.got[..most] == said.stream[..most], "{place}");
            assert!(said.spoiled || peer.got.len() <= said.stream.len(), "{place}");
        }
        Kind::WebSocket => {
            let messages: Vec<Frame> = peer.frames().into_iter().filter(|frame| frame.opcode == 2).collect();
            let most = messages.len().min(said.messages.len());
            assert!(messages[..most] == said.messages[..most], "{place}");
            assert!(said.spoiled || messages.len() <= said.messages.len(), "{place}");
        }
    }
}

/// rustls has places where it would rather panic than be used in a way that it doesn't expect.
#[test]
fn a_session_fails_on_broken_records_without_falling_over() {
    let mut rng = Rng::with_seed(7);
    for round in 0..400 {
        let (mut client, mut session) = handshake(&[if round % 2 == 0 { &TLS13 } else { &TLS12 }]);
        for _ in 0..rng.usize(1..6) {
            client.writer().write_all(&vec![1; rng.usize(..40_000)]).expect("plaintext");
            if rng.u8(..) < 60 && round % 2 == 0 {
                client.refresh_traffic_keys().expect("a change of keys");
            }
        }
        if rng.bool() {
            client.send_close_notify();
            client.writer().write_all(b"behind the end").unwrap_or_default();
        }
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).expect("a vector takes everything");
        }
        for _ in 0..rng.usize(..3) {
            let at = rng.usize(..wire.len());
            wire[at] ^= 1 << rng.u32(..8);
        }
        feed(&mut session, &mut rng, &wire);
    }
}

#[test]
fn a_session_fails_on_broken_greetings_without_falling_over() {
    let mut rng = Rng::with_seed(8);
    for _ in 0..400 {
        let (mut client, mut session) = crate::world::wiring::greeting();
        let mut wire = Vec::new();
        client.write_tls(&mut wire).expect("a vector takes everything");
        for _ in 0..rng.usize(..3) {
            let at = rng.usize(..wire.len());
            wire[at] ^= 1 << rng.u32(..8);
        }
        wire.extend(std::iter::repeat_n(rng.u8(..), rng.usize(..100)));
        feed(&mut session, &mut rng, &wire);
    }
}

/// In pieces, with something said between them, and on after an error.
fn feed(session: &mut Session, rng: &mut Rng, mut wire: &[u8]) {
    let (mut plain, mut out) = (Vec::new(), Vec::new());
    while !wire.is_empty() {
        let (piece, rest) = wire.split_at(rng.usize(1..=wire.len()));
        let mut whole = session.take_partial();
        whole.extend_from_slice(piece);
        let _ = session.receive(&mut whole, &mut plain, &mut out);
        if rng.bool() {
            let _ = session.send(b"meanwhile", &mut out);
        }
        wire = rest;
    }
    // Not before: rustls' debug build asserts that no broken record follows its close_notify.
    let _ = session.close(&mut out);
}
