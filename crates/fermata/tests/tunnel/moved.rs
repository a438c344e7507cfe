//! Tunnels that go on in another engine: every byte arrives once and in order, whatever was on the way, and all that was
//! known of them is known there.

use std::os::fd::AsFd;
use std::time::Duration;

use fermata::tunnel::Kind;
use fermata_spec::WebSocket;

use crate::world::peer::{SMALL, buffers};
use crate::world::{Frame, Held, WIRINGS, Wiring, World};

const CLEAR: &[Wiring] = &[WIRINGS[0], WIRINGS[1]];

#[test]
fn a_message_arrives_whole_although_its_tunnel_moved_between_any_two_of_its_bytes() {
    for wiring in CLEAR {
        let mut world = World::new();
        world.open(*wiring, Kind::WebSocket);
        let (question, answer) = (Frame::text("a question").masked(), Frame::text("an answer").bare());
        for cut in 0..question.len() {
            world.client().say(&question[..cut]);
            world.until_nothing_moves_at_once();
            assert_eq!(world.move_all(), 1);
            world.client().say(&question[cut..]);
            world.until("the question", |held| held.service.has(&Frame::text("a question")));
            world.service().got.clear();
            let cut = cut.min(answer.len());
            world.service().say(&answer[..cut]);
            world.until_nothing_moves_at_once();
            assert_eq!(world.move_all(), 1);
            world.service().say(&answer[cut..]);
            world.until("the answer", |held| held.client.has(&Frame::text("an answer")));
            world.client().got.clear();
        }
        let listed = world.engine.list(|_| true, world.now());
        let (messages, bytes) = (question.len() as u64, (question.len() * question.len()) as u64);
        assert_eq!((listed[0].messages, listed[0].bytes[0], listed[0].id.0), ([messages, messages], bytes, 1));
    }
}

#[test]
fn what_a_stalled_reader_has_not_taken_yet_arrives_after_the_move() {
    for wiring in CLEAR {
        for kind in [Kind::WebSocket, Kind::Raw] {
            let mut world = World::new();
            let ((client, client_leg), (service, service_leg)) = (wiring.client(), wiring.service());
            // No kernel keeps all of it.
            for near in [&client_leg.socket, &service_leg.socket] {
                buffers(near.as_fd(), SMALL);
            }
            client.buffers(SMALL);
            service.buffers(SMALL);
            world.adopt(client_leg, service_leg, kind);
            world.tunnels.push(Held { client, service });
            let long: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
            (world.client().reads, world.service().reads) = (false, false);
            world.service().say(Frame::binary(&long).bare());
            world.client().say(Frame::binary(&long).masked());
            world.until_nothing_moves();
            for _ in 0..3 {
                assert_eq!(world.move_all(), 1);
                world.until_nothing_moves();
            }
            assert!(!world.client().has_said_all() && !world.service().has_said_all(), "both are held back");
            (world.client().reads, world.service().reads) = (true, true);
            let (masked, bare) = (Frame::binary(&long).masked(), Frame::binary(&long).bare());
            world.until("all of it", |held| {
                held.client.got.len() >= bare.len() && held.service.got.len() >= masked.len()
            });
            assert!(world.client().got == bare && world.service().got == masked, "{wiring:?} {kind:?}");
        }
    }
}

#[test]
fn a_tunnel_that_is_half_closed_moves_and_ends_as_it_would_have() {
    for wiring in CLEAR {
        let mut world = World::new();
        world.open(*wiring, Kind::Raw);
        world.client().say("the last words of a client");
        world.client().finish();
        world.until("the client's end", |held| held.service.end.is_some());
        assert_eq!(world.move_all(), 1);
        world.service().say("the answer to them");
        world.service().finish();
        world.until_over();
        assert_eq!(world.client().got, b"the answer to them");
        assert_eq!(world.service().got, b"the last words of a client");
        assert_eq!(world.endings().into_keys().collect::<Vec<_>>(), [("ended", 1006)]);
    }
}

#[test]
fn a_close_that_waits_for_the_end_of_a_message_is_said_after_the_move() {
    let mut world = World::new();
    world.open(Wiring::CLEAR, Kind::WebSocket);
    world.service().say(Frame::text("the first half, ").unfinished().bare());
    world.until("the first half", |held| !held.client.got.is_empty());
    world.drain(1012, Duration::ZERO);
    assert_eq!(world.move_all(), 1);
    world.service().say(Frame::new(0, "and the second").bare());
    world.until("the Close", |held| held.client.has_close());
    assert_eq!(world.client().frames().last(), Some(&Frame::close(1012, "have to go")));
    assert_eq!(world.move_all(), 1);
    let answer = Frame::close(1012, "have to go");
    world.client().say(answer.masked());
    world.until("the answer", |held| held.service.has_close());
    world.service().finish();
    world.client().finish();
    world.until_over();
    assert_eq!(world.endings().into_iter().collect::<Vec<_>>(), [(("drained", 1012), 1)]);
}

#[test]
fn closes_that_are_spread_over_a_time_keep_their_places() {
    let mut world = World::new();
    for _ in 0..20 {
        world.open(Wiring::CLEAR, Kind::WebSocket);
    }
    assert_eq!(world.drain(1012, Duration::from_secs(100)), 20);
    world.pass(Duration::from_secs(50));
    let left = world.engine.live();
    assert!(
        (9..=12).contains(&left),
        "{left} are left after half of the time, and five seconds for those that were told"
    );
    assert_eq!(world.move_all(), left);
    world.pass(Duration::from_secs(40));
    assert!((1..left).contains(&world.engine.live()), "{} are left after most of it", world.engine.live());
    world.pass(Duration::from_secs(15));
    assert_eq!((world.engine.live(), world.endings()[&("drained", 1012)]), (0, 20));
}

#[test]
fn silence_counts_on_and_a_pong_is_still_recognised() {
    let mut world = World::with(WebSocket::default());
    world.open(Wiring::CLEAR, Kind::WebSocket);
    world.pass(Duration::from_secs(20));
    assert_eq!(world.move_all(), 1);
    world.pass(Duration::from_secs(6));
    world.until("a Ping each", |held| !held.client.got.is_empty() && !held.service.got.is_empty());
    assert_eq!(world.move_all(), 1);
    let (to_client, to_service) = (world.client().frames().remove(0), world.service().frames().remove(0));
    world.client().say(Frame::new(10, &to_client.payload).masked());
    world.service().say(Frame::new(10, &to_service.payload).bare());
    world.until_nothing_moves();
    assert_eq!((world.client().frames().len(), world.service().frames().len()), (1, 1), "no Pong passes");
    // And one that does not come is missed.
    world.pass(Duration::from_secs(26));
    assert_eq!(world.move_all(), 1);
    world.pass(Duration::from_secs(21));
    assert_eq!(world.endings().len(), 0);
    world.until("the Close", |held| held.service.has_close() || held.client.has_close());
}

#[test]
fn a_tunnel_with_tls_stays() {
    let mut world = World::new();
    world.open(Wiring::TLS, Kind::WebSocket);
    world.open(Wiring::CLEAR, Kind::WebSocket);
    assert_eq!(world.engine.freeze(world.now()).len(), 1);
    assert_eq!((world.engine.live(), world.ledger.live()), (1, 1));
    world.client().say(Frame::text("still here").masked());
    world.until("the message", |held| held.service.has(&Frame::text("still here")));
}

#[test]
fn a_tunnel_that_was_frozen_and_thawed_where_it_was_goes_on() {
    let mut world = World::new();
    world.open(Wiring::CLEAR, Kind::WebSocket);
    let frozen = world.engine.freeze(world.now());
    world.client().say(Frame::text("meanwhile").masked());
    world.client().step();
    for one in frozen {
        world.engine.thaw(one, world.now()).expect("it was there before");
    }
    world.until("the message", |held| held.service.has(&Frame::text("meanwhile")));
    assert_eq!(world.ledger.live(), 1);
}

#[test]
fn a_record_that_was_damaged_is_refused_or_can_be_used() {
    let mut rng = fastrand::Rng::with_seed(11);
    let (mut taken, mut tried) = (0, 0);
    for round in 0..400 {
        let mut world = World::with(WebSocket { max_message_rate: Some(100), ..WebSocket::default() });
        for _ in 0..2 {
            world.open(*rng.choice(CLEAR).expect("some"), if round % 5 == 0 { Kind::Raw } else { Kind::WebSocket });
        }
        if round % 3 == 0 {
            world.drain(1012, Duration::from_secs(10));
        }
        let said = Frame::text("something that is said").masked();
        world.client().say(&said[..rng.usize(..said.len())]);
        world.until_nothing_moves_at_once();
        tried += world.engine.live();
        taken += world.move_damaged(&mut rng);
        for held in &mut world.tunnels {
            held.client.say(&said);
            held.service.say(Frame::text("an answer").bare());
        }
        for _ in 0..30 {
            while world.step() {}
            world.pass(Duration::from_secs(2));
        }
    }
    assert!(taken > tried / 4 && taken < tried, "{taken} of {tried} were taken");
}
