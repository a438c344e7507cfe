//! What stands between the two peers: the relay, and a proxy around it as small as it can be. Every step is audited.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::ops::Range;

use fastrand::Rng;
use fermata_wire::{Close, ClosedBy, Code, MAX_CARRY, Relay, Rules, Side, Then};

use super::peer::Peer;
use super::reader::{Frame, Reader};

/// The way toward one side.
#[derive(Debug)]
pub(crate) struct Way {
    toward: Side,
    /// What the relay let pass or said, and the side's system has not taken.
    pub(crate) pending: VecDeque<u8>,
    /// All that goes there, read as strictly as can be.
    audit: Reader,
    /// How much of what the other side meant has gone there.
    passed: usize,
    messages: u64,
    /// How many bytes of the other side the relay has seen.
    pub(crate) seen: usize,
    /// How a Close was asked for.
    asked: Asked,
    /// The code of the last Close that stands here, and whose it is.
    stands: Option<(ClosedBy, Vec<u8>)>,
    broken: bool,
    /// Nothing comes after what is pending.
    pub(crate) ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    Nothing,
    AfterMessage,
    AfterFrame,
}

impl Way {
    fn new(toward: Side, rules: Rules) -> Way {
        Way {
            toward,
            pending: VecDeque::new(),
            audit: Reader::new(toward.other(), rules.frames),
            passed: 0,
            messages: 0,
            seen: 0,
            asked: Asked::Nothing,
            stands: None,
            broken: false,
            ended: false,
        }
    }

    fn forward(&mut self, bytes: &[u8], from: &Peer) {
        let meant = from.meant.get(self.passed..self.passed + bytes.len());
        assert_eq!(Some(bytes), meant, "what passes is what {:?} meant", from.side);
        self.passed += bytes.len();
        for Frame { opcode, fin, payload } in self.audit.read(bytes) {
            self.messages += u64::from(opcode < 8 && fin);
            if opcode == 8 {
                self.stands = Some((ClosedBy::Peer, payload));
            }
        }
        self.pending.extend(bytes);
    }

    fn say(&mut self, bytes: &[u8]) -> Frame {
        assert!(self.audit.between_frames(), "said within a frame");
        let frames = self.audit.read(bytes);
        let [frame] = &frames[..] else { panic!("{frames:?} is not one frame") };
        self.pending.extend(bytes);
        frame.clone()
    }

    fn say_close(&mut self, bytes: &[u8], code: Code) {
        let after_message = self.audit.between_messages() || self.broken;
        assert!(after_message || self.asked == Asked::AfterFrame, "a Close within a message");
        assert!(self.stands.is_none(), "a second Close");
        let frame = self.say(bytes);
        assert_eq!((frame.opcode, &frame.payload[..2]), (8, &code.0.to_be_bytes()[..]));
        self.stands = Some((ClosedBy::Us, frame.payload));
    }
}

/// The middle of the tunnel.
#[derive(Debug)]
pub(crate) struct Middle {
    pub(crate) relay: Relay,
    pub(crate) rules: Rules,
    ways: [Way; 2],
    number: NonZeroU32,
}

/// The code of a Close that was asked for, by who asks first.
const DRAIN: Close = Close::new(Code::RESTART, "restarted elsewhere");
const GONE: Close = Close::new(Code::GOING_AWAY, "the other side is gone");

impl Middle {
    pub(crate) fn new(rules: Rules, rng: &mut Rng) -> Middle {
        let ways = [Side::Client, Side::Service].map(|toward| Way::new(toward, rules));
        Middle { relay: Relay::new(), rules, ways, number: rng.u32(1..).try_into().expect("not 0") }
    }

    pub(crate) fn way(&mut self, toward: Side) -> &mut Way {
        &mut self.ways[usize::from(toward == Side::Service)]
    }

    /// The payload of our Pings.
    pub(crate) fn ours(&self) -> Vec<u8> {
        [b"held", &self.number.get().to_be_bytes()[..]].concat()
    }

    /// Reads some of what `from` wrote.
    pub(crate) fn read(&mut self, from: &mut Peer, rng: &mut Rng) {
        let size = from.out.len().min(if rng.bool() { rng.usize(1..20) } else { rng.usize(1..4000) });
        let mut buffer = vec![0; MAX_CARRY + size];
        buffer.iter_mut().skip(MAX_CARRY).zip(from.out.drain(..size)).for_each(|(to, byte)| *to = byte);
        let passed = self.relay.pass(from.side, self.rules, &mut buffer, MAX_CARRY..MAX_CARRY + size);
        let way = self.way(from.side.other());
        way.seen += size;
        way.forward(&buffer[passed.forward], from);
        match passed.then {
            Then::More => {}
            Then::Closed(code) => {
                let Some((ClosedBy::Peer, payload)) = &way.stands else { panic!("closed without a Close") };
                let told = payload.first_chunk().map_or(Code::NO_STATUS, |code| Code(u16::from_be_bytes(*code)));
                assert_eq!(code, told);
            }
            Then::Say(frame) => {
                assert_ne!(way.asked, Asked::Nothing, "nobody asked for a Close");
                way.say_close(&frame, DRAIN.code);
            }
            Then::Broken(violation) => {
                let error = from.error.expect("it broke no rule");
                assert!(error < way.seen, "broken too early");
                way.broken = true;
                self.close_now(from.side.other(), &violation.close(), rng);
                self.drain(from.side, rng);
                self.hurry(from.side);
            }
        }
        self.audit(from);
    }

    /// `from` has ended its stream.
    pub(crate) fn end(&mut self, from: &Peer, rng: &mut Rng) {
        let way = self.way(from.side.other());
        if from.error.is_none() && way.stands.is_none() {
            // A head that never became whole is all that may be missing.
            assert!(way.passed >= from.meant_whole && way.passed + MAX_CARRY >= from.meant.len(), "bytes are missing");
        }
        if !self.relay.said_all(from.side) {
            self.close_now(from.side.other(), &GONE, rng);
        }
        self.way(from.side.other()).ended = true;
    }

    pub(crate) fn drain(&mut self, toward: Side, rng: &mut Rng) {
        let said = self.relay.close(toward, &DRAIN, key(rng));
        let way = self.way(toward);
        if way.stands.is_none() {
            way.asked = way.asked.max(Asked::AfterMessage);
        }
        if let Some(frame) = said {
            way.say_close(&frame, DRAIN.code);
        }
    }

    pub(crate) fn hurry(&mut self, toward: Side) {
        let said = self.relay.hurry(toward);
        let way = self.way(toward);
        if way.asked == Asked::AfterMessage {
            way.asked = Asked::AfterFrame;
        }
        if let Some(frame) = said {
            way.say_close(&frame, DRAIN.code);
        }
    }

    pub(crate) fn close_now(&mut self, toward: Side, close: &Close, rng: &mut Rng) {
        let said = self.relay.close_now(toward, close, key(rng));
        let way = self.way(toward);
        let possible = way.stands.is_none() && (way.audit.between_frames() || way.broken);
        assert_eq!(said.is_some(), possible, "a Close is said now where one may stand, and nowhere else");
        if let Some(frame) = said {
            way.asked = Asked::AfterFrame;
            way.say_close(&frame, close.code);
        }
    }

    pub(crate) fn close_gone(&mut self, toward: Side, rng: &mut Rng) {
        self.close_now(toward, &GONE, rng);
    }

    /// Whether a Ping went to `toward`.
    pub(crate) fn ping(&mut self, toward: Side, rng: &mut Rng) -> bool {
        let Some(bytes) = self.relay.ping(toward, self.number, key(rng)) else { return false };
        let ours = self.ours();
        let frame = self.way(toward).say(&bytes);
        assert_eq!(frame, Frame { opcode: 9, fin: true, payload: ours });
        assert!(self.relay.owes_pong(toward));
        true
    }

    /// What must be true after every step.
    pub(crate) fn audit(&mut self, from: &Peer) {
        let (toward, relay) = (from.side.other(), &self.relay);
        let way = &self.ways[usize::from(toward == Side::Service)];
        assert_eq!(way.toward, toward);
        assert_eq!(relay.bytes(from.side), way.passed as u64);
        assert_eq!(relay.messages(from.side), way.messages);
        assert_eq!(relay.closed(from.side), way.stands.as_ref().map(|(by, _)| *by));
        assert_eq!(way.audit.closed(), way.stands.is_some());
        if way.audit.between_frames() {
            assert_eq!(relay.is_within_message(from.side), !way.audit.between_messages());
        }
        let code = way.stands.as_ref().map_or(Code::ABNORMAL, |(_, payload)| {
            payload.first_chunk().map_or(Code::NO_STATUS, |code| Code(u16::from_be_bytes(*code)))
        });
        // The code of a Close is known a little before its last byte.
        assert!(relay.code(from.side) == code || (way.stands.is_none() && !way.audit.between_frames()));
        let said_all = way.broken || from.close_end.is_some_and(|end| way.seen >= end);
        if from.error.is_none() {
            assert_eq!(relay.said_all(from.side), said_all);
        }
        if way.stands.is_none() && !way.broken {
            match way.asked {
                Asked::Nothing => {}
                Asked::AfterMessage => assert!(!way.audit.between_messages(), "a Close is late"),
                Asked::AfterFrame => assert!(!way.audit.between_frames(), "a Close is late"),
            }
        }
    }
}

fn key(rng: &mut Rng) -> [u8; 4] {
    rng.u32(..).to_be_bytes()
}

/// What a peer's system takes at once.
pub(crate) fn take(way: &mut Way, some: Range<usize>, rng: &mut Rng) -> Vec<u8> {
    let size = way.pending.len().min(rng.usize(some));
    way.pending.drain(..size).collect()
}
