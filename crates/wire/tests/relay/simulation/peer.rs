//! A client or a service with a mind of its own: it talks in fragments, pings, closes, stalls, breaks off, breaks rules.

use std::collections::VecDeque;

use fastrand::Rng;
use fermata_wire::{Frames, Side};

use super::reader::{self, Frame, Reader};

/// What it does about Pings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pongs {
    Each,
    /// Of several that it reads at once, it answers the last (RFC 6455 5.5.3).
    OnlyLast,
    Never,
}

/// What it does about a Close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    AtOnce,
    /// It says more first.
    Later,
    Never,
}

/// One end of the tunnel.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) side: Side,
    pub(crate) pongs: Pongs,
    frames: Frames,
    answers: Answers,
    /// Out of 256 words: how many are an error, a Close, the end of the stream.
    faults: [u8; 3],
    /// What it has written and nobody has read yet.
    pub(crate) out: VecDeque<u8>,
    /// How many bytes it has written.
    pub(crate) written: usize,
    /// Those of them that the other end should read: all but the Pongs that we asked for, up to a Close or an error.
    pub(crate) meant: Vec<u8>,
    /// How much of `meant` are whole frames.
    pub(crate) meant_whole: usize,
    /// Where its Close ended.
    pub(crate) close_end: Option<usize>,
    /// Where it broke a rule.
    pub(crate) error: Option<usize>,
    /// It has ended its stream.
    pub(crate) ended: bool,
    in_message: bool,
    inbox: Reader,
    /// It reads again then.
    pub(crate) stalled_until: u64,
    /// A Close that it still has to answer.
    owes_close: Option<Vec<u8>>,
}

impl Peer {
    pub(crate) fn new(side: Side, frames: Frames, rng: &mut Rng) -> Peer {
        let fault = |rng: &mut Rng| if rng.u8(..) < 100 { rng.u8(0..6) } else { 0 };
        Peer {
            side,
            pongs: *rng.choice(&[Pongs::Each, Pongs::OnlyLast, Pongs::OnlyLast, Pongs::Never]).expect("some"),
            frames,
            answers: *rng.choice(&[Answers::AtOnce, Answers::Later, Answers::Never]).expect("some"),
            faults: [fault(rng), fault(rng), fault(rng)],
            out: VecDeque::new(),
            written: 0,
            meant: Vec::new(),
            meant_whole: 0,
            close_end: None,
            error: None,
            ended: false,
            in_message: false,
            inbox: Reader::new(side.other(), frames),
            stalled_until: 0,
            owes_close: None,
        }
    }

    /// Whether it may stay silent although it was pinged. Who has just begun to read again may need a while.
    pub(crate) fn may_seem_dead(&self, now: u64) -> bool {
        self.pongs == Pongs::Never
            || self.ended
            || self.close_end.is_some()
            || self.error.is_some()
            || self.stalled_until + 10_000 > now
    }

    /// Says something.
    pub(crate) fn speak(&mut self, rng: &mut Rng) {
        if self.ended {
            return;
        }
        let [error, close, end] = self.faults.map(u16::from);
        let word = u16::from(rng.u8(..));
        if self.close_end.is_some() || self.error.is_some() {
            // Whatever it says now, nobody should hear it.
            if word < 40 {
                self.end(rng);
            } else if word < 128 {
                let noise: Vec<u8> = (0..rng.usize(..40)).map(|_| rng.u8(..)).collect();
                self.put(&noise);
            }
        } else if word < error {
            self.break_a_rule(rng);
        } else if word < error + close {
            self.say_close(rng);
        } else if word < error + close + end {
            self.end(rng);
        } else if word < 60 {
            let first = if rng.bool() { 0x89 } else { 0x8a };
            // Some look like ours.
            let payload =
                if rng.bool() { payload(rng, 20) } else { [b"held", &rng.u32(..).to_be_bytes()[..]].concat() };
            self.say(first, &payload, rng);
        } else if let Some(close) = self.owes_close.take() {
            self.say(0x88, &close, rng);
        } else {
            self.say_part(rng);
        }
    }

    fn say_part(&mut self, rng: &mut Rng) {
        let fin = rng.u8(..) < 160;
        let compressed = self.frames == Frames::Deflate && rng.bool();
        let opcode = match (self.in_message, compressed) {
            (true, _) => 0,
            (false, false) => rng.u8(1..=2),
            (false, true) => rng.u8(0x41..=0x42),
        };
        let limit = if rng.u8(..) < 8 { 3000 } else { 60 };
        let payload = payload(rng, limit);
        self.in_message = !fin;
        self.say(opcode | if fin { 0x80 } else { 0 }, &payload, rng);
    }

    fn say_close(&mut self, rng: &mut Rng) {
        let mut close = Vec::new();
        if rng.u8(..) > 40 {
            close.extend(rng.u16(3000..5000).to_be_bytes());
            close.extend(payload(rng, 40));
        }
        self.say(0x88, &close, rng);
    }

    fn break_a_rule(&mut self, rng: &mut Rng) {
        let mask = if self.side == Side::Client { 0x80 } else { 0 };
        let heads = [
            [0x81, mask ^ 0x80],
            [0xa1, mask],
            [0x83, mask],
            [0x8b, mask],
            [0x89, mask | 0x7e],
            [0x88, mask | 0x7f],
            [0x09, mask],
            [if self.in_message { 0x81 } else { 0x80 }, mask],
            [0xc9, mask],
        ];
        self.error = Some(self.written);
        self.put(rng.choice(&heads).expect("some"));
        self.put(&[0; 12]);
    }

    fn say(&mut self, first: u8, payload: &[u8], rng: &mut Rng) {
        let frame = reader::write(self.side, first, payload, rng.u32(..).to_be_bytes());
        self.put(&frame);
        self.meant.extend(frame);
        self.meant_whole = self.meant.len();
        if first == 0x88 {
            self.close_end = Some(self.written);
        }
    }

    /// Ends its stream, perhaps within a frame.
    fn end(&mut self, rng: &mut Rng) {
        if rng.bool() && self.close_end.is_none() && self.error.is_none() {
            let frame = reader::write(self.side, 0x89, &payload(rng, 20), rng.u32(..).to_be_bytes());
            let cut = rng.usize(..frame.len());
            self.put(&frame[..cut]);
            self.meant.extend(&frame[..cut]);
        }
        self.ended = true;
    }

    fn put(&mut self, bytes: &[u8]) {
        self.out.extend(bytes);
        self.written += bytes.len();
    }

    /// Reads and reacts. `ours` is what a Ping of ours to this side carries.
    pub(crate) fn hear(&mut self, bytes: &[u8], ours: &[u8], rng: &mut Rng) {
        let mut pings: Vec<Vec<u8>> = Vec::new();
        for Frame { opcode, payload, .. } in self.inbox.read(bytes) {
            match opcode {
                8 if self.close_end.is_none() && self.answers != Answers::Never => self.owes_close = Some(payload),
                9 => pings.push(payload),
                _ => {}
            }
        }
        if self.ended || self.close_end.is_some() || self.error.is_some() {
            return;
        }
        let skipped = match self.pongs {
            Pongs::Each => 0,
            Pongs::OnlyLast => pings.len().saturating_sub(1),
            Pongs::Never => pings.len(),
        };
        for payload in pings.drain(skipped..) {
            if payload == ours {
                let frame = reader::write(self.side, 0x8a, &payload, rng.u32(..).to_be_bytes());
                self.put(&frame);
            } else {
                self.say(0x8a, &payload, rng);
            }
        }
        if self.answers == Answers::AtOnce
            && let Some(close) = self.owes_close.take()
        {
            self.say(0x88, &close, rng);
        }
    }
}

fn payload(rng: &mut Rng, limit: usize) -> Vec<u8> {
    let size = rng.usize(..limit);
    (0..size).map(|_| rng.u8(..)).collect()
}
