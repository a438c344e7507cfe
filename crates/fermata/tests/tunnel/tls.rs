//! TLS on the client's leg: records in whatever pieces, keys that change, ends that are announced, and what is no TLS.

use std::io::Write;

use fermata::tunnel::Kind;
use rustls::ConnectionTrafficSecrets;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384;
use rustls::crypto::cipher::{OutboundChunks, OutboundPlainMessage};
use rustls::version::TLS13;
use rustls::{AlertDescription, ContentType, ProtocolVersion, SupportedCipherSuite};

use crate::world::wiring::{Client, Service, handshake};
use crate::world::{End, Frame, Held, Wiring, World};

const WIRINGS: [Wiring; 2] =
    [Wiring { client: Client::Tls13, service: Service::Tcp }, Wiring { client: Client::Tls12, service: Service::Unix }];

#[test]
fn records_arrive_though_every_byte_comes_alone() {
    for wiring in WIRINGS {
        let mut world = World::new();
        let held = world.open(wiring, Kind::WebSocket);
        held.client.pieces = Some((1, fastrand::Rng::with_seed(1)));
        let stream: Vec<u8> = (0..20).flat_map(|size| Frame::binary(vec![7; size * 50]).masked()).collect();
        held.client.say(&stream);
        world.until("all of it", |held| held.service.got.len() == stream.len());
        assert!(world.service().got == stream);
        let answer: Vec<u8> = (0..20).flat_map(|size| Frame::binary(vec![7; size * 50]).bare()).collect();
        world.service().say(&answer);
        world.until("the answer", |held| held.client.got.len() == answer.len());
        assert!(world.client().got == answer);
    }
}

#[test]
fn records_as_large_as_they_may_be_arrive() {
    for wiring in WIRINGS {
        let mut world = World::new();
        let message: Vec<u8> = (0..20 * 16_384).map(|n: u32| n.to_le_bytes()[0]).collect();
        let (up, down) = (Frame::binary(&message).masked(), Frame::binary(&message).bare());
        let held = world.open(wiring, Kind::WebSocket);
        held.client.say(&up);
        held.service.say(&down);
        world.until("both", |held| held.client.got.len() == down.len() && held.service.got.len() == up.len());
        assert!(world.client().got == down && world.service().got == up);
    }
}

#[test]
fn keys_may_change_as_often_as_tls_allows() {
    let mut world = World::new();
    world.open(Wiring::TLS, Kind::WebSocket);
    for round in 0..50 {
        let client = world.client();
        // It asks for a change of the other direction's keys too.
        client.tls.as_mut().expect("TLS").refresh_traffic_keys().expect("a change of keys");
        client.seal();
        let message = Frame::text(&format!("round {round}"));
        client.say(message.masked());
        world.until("a message", |held| held.service.has(&message));
        world.service().say(message.bare());
        world.until("an answer", |held| held.client.has(&message));
    }
}

/// RFC 8446 4.6.3 lets a peer ask without end; what it asks for must not pile up.
#[test]
fn a_client_that_only_ever_asks_for_new_keys_is_refused() {
    let mut world = World::new();
    let client = &mut world.open(Wiring::TLS, Kind::WebSocket).client;
    for _ in 0..100 {
        client.tls.as_mut().expect("TLS").refresh_traffic_keys().expect("a change of keys");
        client.seal();
    }
    world.until("the end", |held| held.client.end.is_some() && held.service.end.is_some());
    assert_eq!(world.service().end, Some(End::Reset));
    world.until_over();
    assert_eq!(world.endings(), [(("client-bad-tls", 1006), 1)].into());
}

#[test]
fn an_announced_end_is_the_end_though_the_connection_stays_open() {
    for wiring in WIRINGS {
        let mut world = World::new();
        let held = world.open(wiring, Kind::Raw);
        held.client.say("the last words");
        held.client.announce_end();
        world.until("the end", |held| held.service.end.is_some());
        assert_eq!(world.service().saw(), (&b"the last words"[..], Some(End::Finished)));
        world.service().say("so long");
        world.until("an answer", |held| held.client.got == b"so long");
        world.service().finish();
        world.until_over();
        assert_eq!(world.client().end, Some(End::Finished));
    }
}

#[test]
fn a_service_s_end_is_announced_and_the_client_may_go_on() {
    for wiring in WIRINGS {
        let mut world = World::new();
        world.open(wiring, Kind::Raw).service.finish();
        world.until("the end", |held| held.client.end.is_some());
        assert_eq!(world.client().end, Some(End::Finished), "with close_notify");
        world.client().say("one more thing");
        world.until("one more thing", |held| held.service.got == b"one more thing");
        world.client().finish();
        world.until_over();
        assert_eq!(world.service().end, Some(End::Finished));
    }
}

/// The end was announced before there was a tunnel: no event tells of it again.
#[test]
fn an_end_that_was_read_during_the_handshake_is_not_forgotten() {
    for wiring in WIRINGS {
        let mut world = World::new();
        let ((mut client, mut leg), (service, service_leg)) = (wiring.client(), wiring.service());
        client.say("all of it");
        client.announce_end();
        let (mut plain, mut answer) = (Vec::new(), Vec::new());
        let session = leg.tls.as_mut().expect("TLS");
        session.receive(&mut client.take_wire(), &mut plain, &mut answer).expect("good records");
        leg.unread.extend_from_slice(&plain);
        world.adopt(leg, service_leg, Kind::Raw);
        world.tunnels.push(Held { client, service });
        world.until("the end", |held| held.service.end.is_some());
        assert_eq!(world.service().saw(), (&b"all of it"[..], Some(End::Finished)));
    }
}

#[test]
fn what_came_before_a_broken_record_still_counts() {
    for wiring in WIRINGS {
        let mut world = World::new();
        let client = &mut world.open(wiring, Kind::WebSocket).client;
        client.say(Frame::text("good").masked());
        let mut wire = client.take_wire();
        client.say(Frame::text("broken on the way").masked());
        let mut broken = client.take_wire();
        *broken.last_mut().expect("a record") ^= 1;
        wire.extend(broken);
        client.say_on_the_wire(wire);
        world.until("the end", |held| held.client.end.is_some() && held.service.end.is_some());
        assert_eq!(world.service().frames(), [Frame::text("good")], "{wiring:?}");
        assert_eq!(world.client().alert, Some(AlertDescription::BadRecordMac), "{wiring:?}");
        world.until_over();
        assert_eq!(world.endings(), [(("client-bad-tls", 1006), 1)].into());
    }
}

#[test]
fn an_end_that_tls_has_not_announced_is_an_end_all_the_same() {
    let mut world = World::new();
    let client = &mut world.open(Wiring::TLS, Kind::WebSocket).client;
    client.say(Frame::text("half a frame").masked());
    let wire = client.take_wire();
    client.say_on_the_wire(&wire[..wire.len() - 5]);
    client.finish_without_a_word();
    world.until("the end", |held| held.service.end.is_some());
    assert_eq!(world.service().saw(), (&b""[..], Some(End::Finished)));
}

/// A handshake message may come in several records, and rustls keeps its place in the first until the last has come. What
/// is sent meanwhile must not make it stumble.
#[test]
fn a_session_may_send_while_a_handshake_message_is_half_there() {
    let (mut client, mut session) = handshake(&[&TLS13]);
    client.writer().write_all(b"first").expect("plaintext");
    let mut wire = Vec::new();
    client.write_tls(&mut wire).expect("a vector takes everything");
    let (mut plain, mut answer) = (Vec::new(), Vec::new());
    session.receive(&mut wire, &mut plain, &mut answer).expect("a good record");
    assert_eq!(plain, b"first");

    let (sequence, secrets) = client.dangerous_extract_secrets().expect("secrets").tx;
    let ConnectionTrafficSecrets::Aes256Gcm { key, iv } = secrets else { panic!("the preferred suite") };
    let SupportedCipherSuite::Tls13(suite) = TLS13_AES_256_GCM_SHA384 else { panic!("a suite of TLS 1.3") };
    let mut encrypter = suite.aead_alg.encrypter(key, iv);
    // A KeyUpdate that asks for nothing (RFC 8446 4.6.3), cut after its first byte.
    for (part, sequence) in [&[24][..], &[0, 0, 1, 0]].into_iter().zip(sequence..) {
        let message = OutboundPlainMessage {
            typ: ContentType::Handshake,
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(part),
        };
        let mut record = session.take_partial();
        record.extend(encrypter.encrypt(message, sequence).expect("a record").encode());
        session.receive(&mut record, &mut plain, &mut answer).expect("a good record");
        let mut sealed = Vec::new();
        session.send(b"meanwhile", &mut sealed).expect("it may send");
        assert!(sealed.len() > 9);
    }
    assert_eq!((session.partial_len(), &answer[..]), (0, &b""[..]));
}
