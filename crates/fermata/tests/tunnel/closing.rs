//! How tunnels end: who is told what, in which order, and how long anybody is waited for.

use std::sync::Arc;
use std::time::Duration;

use fermata::tunnel::{Kind, Opened, Spread};
use fermata_spec::WebSocket;
use fermata_wire::{Close, Code, Frames, Rules};

use crate::world::wiring::parts;
use crate::world::{End, Frame, WIRINGS, Wiring, World};

const SECOND: Duration = Duration::from_secs(1);

fn gone_home() -> Frame {
    Frame::close(4000, "gone home")
}

fn have_to_go(code: u16) -> Frame {
    Frame::close(code, "have to go")
}

#[test]
fn a_client_s_close_and_its_service_s_answer_pass_unchanged() {
    for wiring in WIRINGS {
        let mut world = World::new();
        let held = world.open(wiring, Kind::WebSocket);
        held.client.say(Frame::text("bye").masked());
        held.client.say(gone_home().masked());
        world.until("the Close", |held| held.service.has_close());
        assert_eq!(world.service().frames(), [Frame::text("bye"), gone_home()]);
        // A service may have its own opinion on the code.
        let answer = Frame::close(4001, "come again");
        world.service().say(answer.bare());
        world.until("the answer and the end", |held| held.client.end.is_some());
        assert_eq!(world.client().saw(), (&answer.bare()[..], Some(End::Finished)), "{wiring:?}");
        world.service().finish();
        world.client().finish();
        world.until_over();
        assert_eq!(world.service().end, Some(End::Finished));
        assert_eq!(world.endings(), [(("client-close", 4001), 1)].into());
    }
}

#[test]
fn a_service_s_close_and_its_client_s_answer_pass_unchanged() {
    for wiring in WIRINGS {
        let mut world = World::new();
        let held = world.open(wiring, Kind::WebSocket);
        held.service.say(Frame::text("bye").bare());
        held.service.say(gone_home().bare());
        world.until("the Close", |held| held.client.has_close());
        world.client().say(Frame::text("wait").masked());
        world.client().say(gone_home().masked());
        world.until("the answer", |held| held.service.has_close());
        assert_eq!(world.service().frames(), [Frame::text("wait"), gone_home()]);
        // The client need not wait for the service: its own closing handshake is done.
        world.until("the end", |held| held.client.end.is_some());
        assert_eq!(world.client().frames(), [Frame::text("bye"), gone_home()]);
        assert_eq!(world.service().end, None, "a service closes its connection itself");
        world.service().finish();
        world.client().finish();
        world.until_over();
        assert_eq!(world.endings(), [(("service-close", 4000), 1)].into());
    }
}

#[test]
fn peers_that_have_closed_and_stay_are_parted_from_without_a_reset() {
    let mut world = World::new();
    let held = world.open(Wiring::CLEAR, Kind::WebSocket);
    held.client.say(gone_home().masked());
    held.service.say(gone_home().bare());
    world.until("both Closes", |held| held.client.has_close() && held.service.has_close());
    world.pass(SECOND * 5);
    world.until_over();
    assert_eq!((world.client().end, world.service().end), (Some(End::Finished), Some(End::Finished)));
}

#[test]
fn a_service_that_does_not_answer_a_close_is_answered_for() {
    let mut world = World::new();
    world.open(Wiring::CLEAR, Kind::WebSocket).client.say(gone_home().masked());
    world.until("the Close", |held| held.service.has_close());
    // It may have a long message to end.
    world.service().say(Frame::text("a long ").unfinished().bare());
    world.pass(SECOND * 29);
    world.service().say(Frame::new(0, "story").bare());
    world.until("the message", |held| held.client.has(&Frame::new(0, "story")));
    world.pass(SECOND);
    world.until("the end", |held| held.client.end.is_some());
    let message = [Frame::text("a long ").unfinished(), Frame::new(0, "story")];
    assert_eq!(world.client().frames(), [&message[..], &[Frame::close(4000, "")]].concat());
    world.client().finish();
    world.pass(SECOND * 3);
    world.until_over();
    assert_eq!(world.service().end, Some(End::Reset));
    assert_eq!(world.endings(), [(("client-close", 4000), 1)].into());
}

#[test]
fn a_client_that_does_not_answer_a_close_is_answered_for() {
    let mut world = World::new();
    world.open(Wiring::CLEAR, Kind::WebSocket).service.say(gone_home().bare());
    world.until("the Close", |held| held.client.has_close());
    world.pass(SECOND * 30);
    world.until("an answer", |held| held.service.has_close());
    assert_eq!(world.service().frames(), [Frame::close(1001, "the client did not close in time")]);
    world.service().finish();
    world.pass(SECOND * 3);
    world.until_over();
    assert_eq!(world.endings(), [(("service-close", 4000), 1)].into());
}

#[test]
fn a_service_that_dies_between_messages_is_told_of_by_1011_and_within_a_frame_by_the_stream_s_end() {
    let frame = Frame::text("half of this").bare();
    for (said, seen) in [
        (&frame[..], vec![frame.clone(), Frame::close(1011, "the service ended the connection").bare()]),
        (&frame[..7], vec![frame[..7].to_vec()]),
    ] {
        let mut world = World::new();
        let held = world.open(Wiring::CLEAR, Kind::WebSocket);
        held.service.say(said);
        held.service.finish();
        world.until("the end", |held| held.client.end.is_some());
        assert_eq!(world.client().saw(), (&seen.concat()[..], Some(End::Finished)));
        world.client().finish();
        world.until_over();
    }
}

#[test]
fn a_drain_lets_the_service_end_its_message_and_the_client_say_what_it_still_has() {
    for wiring in WIRINGS {
        let mut world = World::new();
        world.open(wiring, Kind::WebSocket).service.say(Frame::text("part one, ").unfinished().bare());
        world.until("a part", |held| !held.client.got.is_empty());
        assert_eq!(world.drain(1012, Duration::ZERO), 1);
        world.service().say(Frame::new(9, "between parts").bare());
        world.service().say(Frame::new(0, "part two").bare());
        world.service().say(Frame::text("never heard").bare());
        world.until("the Close", |held| held.client.has_close());
        let parts = [Frame::text("part one, ").unfinished(), Frame::new(9, "between parts"), Frame::new(0, "part two")];
        assert_eq!(world.client().frames(), [&parts[..], &[have_to_go(1012)]].concat(), "{wiring:?}");
        world.client().say(Frame::text("one more thing").masked());
        world.client().say(Frame::close(1012, "").masked());
        world.until("the answer", |held| held.service.has_close());
        assert_eq!(world.service().frames(), [Frame::text("one more thing"), Frame::close(1012, "")]);
        world.until("the end", |held| held.client.end.is_some());
        assert_eq!(world.client().end, Some(End::Finished));
        world.client().finish();
        world.service().say(Frame::close(1012, "").bare());
        world.service().finish();
        world.until_over();
        assert_eq!(world.service().end, Some(End::Finished));
        assert_eq!(world.endings(), [(("drained", 1012), 1)].into());
    }
}

#[test]
fn a_message_that_does_not_end_is_cut_between_frames_after_two_seconds() {
    let mut world = World::new();
    world.open(Wiring::CLEAR, Kind::WebSocket).service.say(Frame::text("a story without ").unfinished().bare());
    world.until("a part", |held| !held.client.got.is_empty());
    world.drain(1012, Duration::ZERO);
    world.pass(Duration::from_millis(1900));
    world.service().say(Frame::new(0, "an ").unfinished().bare());
    world.until("another part", |held| held.client.frames().len() == 2);
    assert!(!world.client().has_close());
    world.pass(Duration::from_millis(100));
    world.until("the Close", |held| held.client.has_close());
    assert_eq!(world.client().frames().last(), Some(&have_to_go(1012)));
}

#[test]
fn within_a_frame_nothing_can_be_said_and_after_five_seconds_the_tunnel_is_cut() {
    let mut world = World::new();
    world.open(Wiring::CLEAR, Kind::WebSocket).service.say(&Frame::text("an endless frame").bare()[..9]);
    world.until("a part", |held| held.client.got.len() == 9);
    world.drain(1001, Duration::ZERO);
    world.pass(SECOND * 2);
    // The service can be told, though not by its client.
    world.until("a Close", |held| held.service.has_close());
    assert_eq!(world.service().frames(), [Frame::close(1001, "the client did not close in time")]);
    world.pass(SECOND * 3);
    world.until_over();
    assert_eq!((world.client().got.len(), world.client().end), (9, Some(End::Reset)));
    assert_eq!(world.endings(), [(("drained", 1006), 1)].into());
}

#[test]
fn a_client_that_ignores_a_drain_is_cut_after_five_seconds_and_its_service_hears_of_it_after_two() {
    let mut world = World::new();
    world.open(Wiring::CLEAR, Kind::WebSocket);
    world.drain(1001, Duration::ZERO);
    world.until("the Close", |held| held.client.has_close());
    world.client().say(Frame::text("still here").masked());
    world.until("a message", |held| held.service.has(&Frame::text("still here")));
    world.pass(SECOND * 2);
    world.until("a Close", |held| held.service.has_close());
    assert_eq!(world.service().frames().last(), Some(&Frame::close(1001, "the client did not close in time")));
    world.service().say(Frame::close(1001, "").bare());
    world.service().finish();
    world.pass(SECOND * 3);
    world.until_over();
    assert_eq!((world.client().end, world.service().end), (Some(End::Reset), Some(End::Finished)));
    assert_eq!(world.endings(), [(("drained", 1001), 1)].into());
}

#[test]
fn a_client_that_leaves_without_an_answer_is_answered_for() {
    let mut world = World::new();
    world.open(Wiring::CLEAR, Kind::WebSocket);
    world.drain(1012, Duration::ZERO);
    world.until("the Close", |held| held.client.has_close());
    world.client().finish();
    world.until("a Close", |held| held.service.has_close());
    assert_eq!(world.service().frames(), [Frame::close(1001, "the client did not close in time")]);
    world.service().finish();
    world.until_over();
    assert_eq!(world.endings(), [(("drained", 1012), 1)].into());
}

/// Each client gets a marker after each tenth of the time, unless its Close stands before it.
#[test]
fn a_drain_over_a_time_is_paced_evenly() {
    const TUNNELS: usize = 400;
    let mut world = World::new();
    for _ in 0..TUNNELS {
        world.open(Wiring::CLEAR, Kind::WebSocket);
    }
    assert_eq!(world.drain(1012, SECOND * 30), TUNNELS);
    let mut closed = Vec::new();
    for tenth in 0..10 {
        world.pass(SECOND * 3);
        let marker = Frame::text(&format!("tenth {tenth}"));
        for held in &mut world.tunnels {
            held.service.say(marker.bare());
        }
        world.run("a Close or a marker for everybody", |world| {
            world.tunnels.iter().all(|held| held.client.has_close() || held.client.has(&marker))
        });
        closed.push(world.tunnels.iter().filter(|held| held.client.has_close()).count());
        for held in world.tunnels.iter_mut().filter(|held| held.client.has_close()) {
            held.client.reset();
            held.service.finish();
        }
    }
    let each: Vec<usize> =
        (0..10).map(|at| closed[at] - at.checked_sub(1).map_or(0, |before| closed[before])).collect();
    assert_eq!(closed.last(), Some(&TUNNELS), "{each:?}");
    assert!(each.iter().all(|count| (TUNNELS / 20..=TUNNELS / 5).contains(count)), "{each:?}");
    world.until_over();
}

/// The surplus of an instance, told twice.
#[test]
fn a_drain_of_some_takes_those_first_that_are_to_go_already() {
    let mut world = World::new();
    for _ in 0..40 {
        world.open(Wiring::CLEAR, Kind::WebSocket);
    }
    let close = Arc::new(Close::new(Code::RESTART, "have to go"));
    for (most, over) in [(20, SECOND * 600), (25, SECOND * 10)] {
        let spread = Spread::over(&[40], Some(most)).remove(0);
        assert_eq!(world.engine.drain_spread(|_| true, &close, over, spread, world.now()), most);
    }
    world.pass(SECOND * 600);
    world.run("a Close for the surplus", |world| {
        world.tunnels.iter().filter(|held| held.client.has_close()).count() == 25
    });
    let marker = Frame::text("still here");
    for held in &mut world.tunnels {
        held.service.say(marker.bare());
    }
    world.run("the others hold", |world| world.tunnels.iter().filter(|held| held.client.has(&marker)).count() == 15);
}

/// Compressed messages (RFC 7692 6: RSV1 on their first frame), in fragments.
#[test]
fn a_drain_stands_behind_a_compressed_message_in_fragments() {
    const RSV1: u8 = 0x40;
    let compressed = |frame: Frame| -> Vec<u8> {
        let mut bytes = frame.bare();
        bytes[0] |= RSV1;
        bytes
    };
    for wiring in WIRINGS {
        let mut world = World::new();
        world.rules = Rules { frames: Frames::Deflate, ..world.rules };
        world.open(wiring, Kind::WebSocket);
        let parts = [
            compressed(Frame::text("first of a message").unfinished()),
            Frame::new(9, "a Ping between them").bare(),
            Frame::new(0, "second").unfinished().bare(),
            Frame::new(0, "last").bare(),
        ];
        let whole = compressed(Frame::binary("a message of one frame"));
        let mut seen = [&whole[..], &parts[0]].concat();
        world.service().say(&seen);
        world.until("the first part", |held| held.client.got == seen);
        world.drain(1012, Duration::ZERO);
        for part in &parts[1..3] {
            seen.extend_from_slice(part);
            world.service().say(part);
            world.until("a part", |held| held.client.got == seen);
        }
        world.service().say([&parts[3][..], &whole].concat());
        seen.extend([&parts[3][..], &have_to_go(1012).bare()].concat());
        world.until("the last part and the Close", |held| held.client.got.len() >= seen.len());
        assert_eq!(world.client().got, seen, "{wiring:?}");
    }
}

#[test]
fn a_stop_overtakes_a_drain_that_takes_its_time() {
    let mut world = World::new();
    for _ in 0..50 {
        world.open(Wiring::CLEAR, Kind::WebSocket);
    }
    world.drain(1012, SECOND * 3600);
    assert_eq!(world.drain(1001, Duration::ZERO), 50);
    world.run("a Close for everybody", |world| world.tunnels.iter().all(|held| held.client.has_close()));
    assert!(world.tunnels.iter().all(|held| held.client.frames() == [have_to_go(1001)]));
}

#[test]
fn a_stop_does_not_wait_for_a_service_that_owes_an_answer() {
    let mut world = World::new();
    world.open(Wiring::CLEAR, Kind::WebSocket).client.say(gone_home().masked());
    world.until("the Close", |held| held.service.has_close());
    assert_eq!(world.drain(1001, Duration::ZERO), 0, "it ends already");
    world.pass(SECOND * 2);
    world.until("the answer", |held| held.client.end.is_some());
    assert_eq!(world.client().frames(), [Frame::close(4000, "")]);
}

#[test]
fn a_raw_tunnel_is_drained_by_ending_both_streams() {
    for wiring in WIRINGS {
        let mut world = World::new();
        world.open(wiring, Kind::Raw);
        world.drain(1012, Duration::ZERO);
        world.until("both ends", |held| held.client.end.is_some() && held.service.end.is_some());
        assert_eq!((world.client().end, world.service().end), (Some(End::Finished), Some(End::Finished)));
        world.client().finish();
        world.pass(SECOND * 5);
        world.until_over();
        assert_eq!(world.endings(), [(("drained", 1006), 1)].into());
    }
}

/// A file stands for whatever epoll(7) does not take, and for a system that takes no more.
#[test]
fn a_tunnel_that_cannot_be_registered_leaves_nothing() {
    let mut world = World::new();
    let (client, client_leg) = Wiring::CLEAR.client();
    let service_leg = parts(tempfile::tempfile().expect("a temporary file").into(), None);
    let card = world.card();
    let opened = Opened { client: client_leg, service: service_leg, kind: Kind::WebSocket, card };
    assert!(world.engine.adopt(opened).is_err());
    assert_eq!((world.engine.live(), world.ledger.live()), (0, 0));
    let mut client = client;
    while client.end.is_none() {
        client.step();
    }
    assert_eq!(client.end, Some(End::Reset));
}

/// Whatever is left when an engine ends is cut, and counted.
#[test]
fn an_engine_that_ends_resets_its_tunnels() {
    let mut world = World::new();
    world.open(Wiring::CLEAR, Kind::WebSocket);
    let World { engine, mut tunnels, ledger, .. } = world;
    drop(engine);
    let held = &mut tunnels[0];
    while held.client.end.is_none() || held.service.end.is_none() {
        held.client.step();
        held.service.step();
    }
    assert_eq!((held.client.end, held.service.end, ledger.live()), (Some(End::Reset), Some(End::Reset), 0));
}

fn limited(limits: WebSocket) -> World {
    World::with(WebSocket { keepalive: None, ..limits })
}

/// What a client sees that sends `bytes`, and what its service sees, which says nothing to it.
fn refused(world: &mut World, bytes: &[u8]) -> (Vec<Frame>, Vec<Frame>) {
    world.open(Wiring::CLEAR, Kind::WebSocket).client.say(bytes);
    world.until("the service's Close", |held| held.service.has_close());
    world.until_nothing_moves();
    assert_eq!(world.client().frames(), [], "the service may still have answers for its client");
    world.pass(Duration::from_secs(2));
    world.until("the client's Close", |held| held.client.end.is_some());
    assert_eq!(world.client().end, Some(End::Finished));
    let seen = (world.client().frames(), world.service().frames());
    // It may go on sending for a while: nobody listens.
    world.client().say(Frame::text("but").masked());
    world.client().finish();
    world.service().say(Frame::close(1000, "whatever").bare());
    world.service().finish();
    world.until_over();
    assert_eq!(world.client().frames(), seen.0);
    seen
}

#[test]
fn what_is_no_frame_of_a_client_is_answered_with_1002() {
    let reserved = {
        let mut frame = Frame::text("compressed?").masked();
        frame[0] |= 0x40;
        frame
    };
    for (bytes, reason) in [
        (Frame::text("bare").bare(), "a client's frame is not masked"),
        (reserved, "a reserved bit is set that no extension asked for"),
        (Frame::new(0, "of what?").masked(), "a continuation without a message"),
        (Frame::new(3, "what?").masked(), "a reserved opcode that no extension asked for"),
    ] {
        let mut world = World::new();
        let before = Frame::text("good so far");
        let seen = refused(&mut world, &[before.masked(), bytes].concat());
        let close = Frame::close(1002, reason);
        assert_eq!(seen, (vec![close.clone()], vec![before, close]));
        assert_eq!(world.endings(), [(("client-violation", 1002), 1)].into());
    }
}

#[test]
fn a_message_that_is_too_large_is_answered_with_1009_before_it_has_come() {
    let long = Frame::binary([7; 1200]).masked();
    let parts = [Frame::binary([7; 600]).unfinished().masked(), Frame::new(0, [7; 600]).masked()].concat();
    for (bytes, passed) in [(&long[..20], 0), (&parts[..], 1)] {
        let mut world = limited(WebSocket { max_message: Some(1000), ..WebSocket::default() });
        let (client, service) = refused(&mut world, bytes);
        let close = Frame::close(1009, "a message is larger than the service takes");
        assert_eq!((client, service.len()), (vec![close.clone()], passed + 1));
        assert_eq!(service.last(), Some(&close));
        assert_eq!(world.endings(), [(("client-violation", 1009), 1)].into());
    }
}

#[test]
fn a_refused_client_hears_of_it_behind_the_message_that_it_is_getting() {
    let mut world = World::new();
    world.open(Wiring::CLEAR, Kind::WebSocket).service.say(Frame::text("part one, ").unfinished().bare());
    world.until("a part", |held| !held.client.got.is_empty());
    world.client().say(Frame::text("bare").bare());
    world.until("a Close", |held| held.service.has_close());
    world.service().say(Frame::new(0, "part two").bare());
    world.service().say(Frame::text("and an answer").bare());
    world.service().say(Frame::close(1002, "as you say").bare());
    world.until("the end", |held| held.client.end.is_some());
    let parts = [Frame::text("part one, ").unfinished(), Frame::new(0, "part two"), Frame::text("and an answer")];
    assert_eq!(world.client().frames(), [&parts[..], &[Frame::close(1002, "as you say")]].concat());
}

#[test]
fn a_service_that_breaks_the_rules_is_told_by_its_client_s_answer() {
    let mut world = World::new();
    world.open(Wiring::CLEAR, Kind::WebSocket).service.say(Frame::text("masked").masked());
    world.until("the Close", |held| held.client.has_close());
    assert_eq!(world.client().frames(), [Frame::close(1002, "a service's frame is masked")]);
    world.client().say(Frame::text("I was about to say").masked());
    world.client().say(Frame::close(1002, "").masked());
    world.until("the answer", |held| held.service.has_close() && held.client.end.is_some());
    assert_eq!(world.service().frames(), [Frame::text("I was about to say"), Frame::close(1002, "")]);
    world.client().finish();
    world.service().finish();
    world.until_over();
    assert_eq!(world.endings(), [(("service-violation", 1002), 1)].into());
}

#[test]
fn a_client_may_send_as_many_messages_as_it_is_allowed_for_ever() {
    let mut world = limited(WebSocket { max_message_rate: Some(5), ..WebSocket::default() });
    world.open(Wiring::CLEAR, Kind::WebSocket);
    let mut said = Vec::new();
    for number in 0..100 {
        let message = Frame::text(&format!("message {number}")).masked();
        world.client().say(&message);
        said.extend(message);
        world.until("the message", |held| held.service.got == said);
        world.pass(Duration::from_millis(200));
    }
    assert!(world.client().frames().is_empty());
}

#[test]
fn a_client_that_sends_too_many_messages_is_told_1008_behind_those_that_have_come() {
    let mut world = limited(WebSocket { max_message_rate: Some(5), ..WebSocket::default() });
    let messages: Vec<Frame> = (0..6).map(|number| Frame::text(&format!("message {number}"))).collect();
    let bytes: Vec<u8> = messages.iter().flat_map(Frame::masked).collect();
    world.open(Wiring::CLEAR, Kind::WebSocket).client.say(bytes);
    world.until("both Closes", |held| held.service.has_close() && held.client.has_close());
    let close = Frame::close(1008, "more messages than the service takes");
    assert_eq!(world.client().frames(), std::slice::from_ref(&close));
    assert_eq!(world.service().frames(), [&messages[..], &[close]].concat());
    world.client().say(Frame::text("but").masked());
    world.client().say(Frame::close(1008, "").masked());
    world.until("the end", |held| held.client.end.is_some());
    assert_eq!((world.client().end, world.service().frames().len()), (Some(End::Finished), messages.len() + 1));
    world.client().finish();
    world.service().say(Frame::close(1008, "").bare());
    world.service().finish();
    world.until_over();
    assert_eq!(world.endings(), [(("too-many-messages", 1008), 1)].into());
}

/// The pieces end within frames, so that no Close may stand where the limit is found broken.
#[test]
fn a_flood_is_stopped_wherever_it_is_cut_and_is_not_waited_for() {
    let mut world = limited(WebSocket { max_message_rate: Some(100), ..WebSocket::default() });
    let flood: Vec<u8> = (0..50_000).flat_map(|n| Frame::text(&format!("message {n}")).masked()).collect();
    let held = world.open(Wiring::CLEAR, Kind::WebSocket);
    held.client.pieces = Some((50, fastrand::Rng::with_seed(3)));
    held.client.say(&flood);
    world.until("a Close", |held| held.service.has_close());
    let passed = world.service().frames().len();
    assert!((101..110).contains(&passed), "{passed} messages passed");
    world.pass(SECOND * 5);
    world.run("the end", |world| world.engine.live() == 0);
    assert_eq!(world.service().frames().len(), passed);
    assert!(!world.client().has_said_all(), "it was in the middle of it");
    assert_eq!(world.endings(), [(("too-many-messages", 1008), 1)].into());
}
