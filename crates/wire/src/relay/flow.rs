//! One direction of a tunnel: whose frames pass, what is held back, what may be said after them.

mod closing;

use std::ops::Range;

use super::carry::Carry;
use super::ping::Pings;
use super::rules::{Frames, Rules, Violation};
use super::saved::Saved;
use super::{ClosedBy, Passed, Side, Then};
use crate::close::Code;
use crate::frame::{Head, Opcode};
pub(super) use closing::{Boundary, Waiting};

/// How far a direction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Frames pass.
    Open,
    /// A rule was broken: nothing passes any more, and no Close stands yet.
    Broken,
    /// The sender's Close has passed.
    ClosedByPeer,
    /// Our Close stands instead of what the sender says; its own is listened for.
    ClosedByUs,
    /// Our Close stands, and nothing that counts can come any more.
    Overruled,
}

/// Which frame a direction is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum In {
    Nothing,
    /// A data frame of a message that it doesn't end.
    Part,
    /// The last data frame of a message.
    Last,
    /// Any that is neither data nor a Close.
    Other,
    Close,
}

/// Their numbers stand in what is saved: they never change.
impl State {
    const ALL: [State; 5] = [State::Open, State::Broken, State::ClosedByPeer, State::ClosedByUs, State::Overruled];

    fn number(self) -> u8 {
        match self {
            State::Open => 0,
            State::Broken => 1,
            State::ClosedByPeer => 2,
            State::ClosedByUs => 3,
            State::Overruled => 4,
        }
    }
}

/// The same.
impl In {
    const ALL: [In; 5] = [In::Nothing, In::Part, In::Last, In::Other, In::Close];

    fn number(self) -> u8 {
        match self {
            In::Nothing => 0,
            In::Part => 1,
            In::Last => 2,
            In::Other => 3,
            In::Close => 4,
        }
    }
}

/// One direction, named after the side that sends.
#[derive(Debug)]
pub(super) struct Flow {
    /// Payload bytes of this frame that are still to come.
    left: u64,
    bytes: u64,
    messages: u64,
    waiting: Option<Box<Waiting>>,
    /// Payload bytes of the message that is under way, its announced frame included.
    message: Option<u32>,
    /// Ours toward the sender, whose Pongs come in this direction.
    pub(super) pings: Pings,
    code: Code,
    carry: Carry,
    frame: In,
    state: State,
}

impl Flow {
    pub(super) const fn new() -> Flow {
        Flow {
            left: 0,
            bytes: 0,
            messages: 0,
            waiting: None,
            message: None,
            pings: Pings::NONE,
            code: Code::ABNORMAL,
            carry: Carry::EMPTY,
            frame: In::Nothing,
            state: State::Open,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(super) fn closed(&self) -> Option<ClosedBy> {
        match self.state {
            State::Open | State::Broken => None,
            State::ClosedByPeer => Some(ClosedBy::Peer),
            State::ClosedByUs | State::Overruled => Some(ClosedBy::Us),
        }
    }

    pub(super) fn said_all(&self) -> bool {
        matches!(self.state, State::Broken | State::ClosedByPeer | State::Overruled)
    }

    pub(super) fn code(&self) -> Code {
        self.code
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn messages(&self) -> u64 {
        self.messages
    }

    pub(super) fn is_within_message(&self) -> bool {
        self.message.is_some()
    }

    /// Lets bytes of the sender pass; see [`super::Relay::pass`].
    #[inline]
    pub(super) fn pass(&mut self, from: Side, rules: Rules, buffer: &mut [u8], chunk: Range<usize>) -> Passed {
        if !chunk.is_empty() {
            self.pings.hear();
        }
        let start = self.carry.give_back(buffer, &chunk);
        let mut end = chunk.end;
        let mut passed = Passed { forward: start..start, then: Then::More, pong: false };
        if self.state == State::Open {
            self.follow(from, rules, buffer, &mut end, &mut passed);
        }
        if self.state == State::ClosedByUs {
            self.listen(&buffer[passed.forward.end..end]);
        }
        passed
    }

    /// Follows the frames of `buffer` from where `passed` begins. `end` moves where a Pong is taken out.
    #[inline]
    fn follow(&mut self, from: Side, rules: Rules, buffer: &mut [u8], end: &mut usize, passed: &mut Passed) {
        let mut at = passed.forward.start;
        passed.then = loop {
            let step = self.left.min((*end - at) as u64);
            self.left -= step;
            at += step as usize;
            if self.left > 0 {
                break Then::More;
            }
            if self.frame != In::Nothing
                && let Some(then) = self.end_frame()
            {
                break then;
            }
            if self.message.is_none() {
                at += self.skim(from, rules, &buffer[at..*end]);
            }
            let Some(head) = Head::read(&buffer[at..*end]) else {
                self.carry.hold(&buffer[at..*end]);
                break Then::More;
            };
            let message = match rules.judge(&head, from, self.message) {
                Ok(message) => message,
                Err(violation) => break self.end_broken(violation),
            };
            let seen = self.must_see(&head);
            if *end - at < seen {
                self.carry.hold(&buffer[at..*end]);
                break Then::More;
            }
            if self.pings.are_answered_by(&head, &buffer[at..at + seen]) {
                self.pings.answered();
                passed.pong = true;
                buffer.copy_within(at + seen..*end, at);
                *end -= seen;
                continue;
            }
            self.begin_frame(&head, &buffer[at..at + seen]);
            self.message = message;
            at += usize::from(head.size);
        };
        self.bytes += (at - passed.forward.start) as u64;
        passed.forward.end = at;
    }

    /// Passes over messages of a single frame, which nearly all are, and returns how many bytes they take. It may stop
    /// before any frame: [`Flow::follow`] knows all the rules, this one is quick.
    #[inline]
    fn skim(&mut self, from: Side, rules: Rules, bytes: &[u8]) -> usize {
        let (mask, key) = if from == Side::Client { (0x80, 4) } else { (0, 0) };
        let rsv1 = if rules.frames == Frames::Deflate { 0x40 } else { 0 };
        let (mut at, mut messages) = (0, 0);
        while let Some(&[first, second]) = bytes[at..].first_chunk() {
            if !matches!(first & !rsv1, 0x81 | 0x82) {
                break;
            }
            let (head, length) = match second ^ mask {
                short @ 0..126 => (2 + key, usize::from(short)),
                126 if let Some(&[_, _, high, low]) = bytes[at..].first_chunk() => {
                    (4 + key, usize::from(u16::from_be_bytes([high, low])))
                }
                _ => break,
            };
            if bytes.len() - at < head + length || length as u32 > rules.max_message {
                break;
            }
            at += head + length;
            messages += 1;
        }
        self.messages += messages;
        at
    }

    /// How many bytes of a frame must be seen before any of them passes: the head, and what [`Flow::begin_frame`] or a
    /// Pong of ours asks for.
    fn must_see(&self, head: &Head) -> usize {
        let payload =
            if head.opcode == Opcode::Close { head.length.min(2) as usize } else { self.pings.must_see(head) };
        usize::from(head.size) + payload
    }

    fn begin_frame(&mut self, head: &Head, bytes: &[u8]) {
        self.left = head.length;
        self.frame = match head.opcode {
            Opcode::Close => {
                let mut code = head.unmasked(bytes);
                self.code = match (code.next(), code.next()) {
                    (Some(high), Some(low)) => Code(u16::from_be_bytes([high, low])),
                    _ => Code::NO_STATUS,
                };
                In::Close
            }
            opcode if opcode.is_control() => In::Other,
            _ if head.fin => In::Last,
            _ => In::Part,
        };
    }

    /// A frame's last byte has passed: what comes instead of another.
    fn end_frame(&mut self) -> Option<Then> {
        match self.frame {
            In::Last => {
                self.messages += 1;
                self.message = None;
            }
            In::Close => {
                self.frame = In::Nothing;
                self.state = State::ClosedByPeer;
                self.waiting = None;
                return Some(Then::Closed(self.code));
            }
            In::Part | In::Other | In::Nothing => {}
        }
        self.frame = In::Nothing;
        self.take_due().map(Then::Say)
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        for count in [self.left, self.bytes, self.messages] {
            out.extend_from_slice(&count.to_be_bytes());
        }
        Waiting::save(self.waiting.as_deref(), out);
        out.push(u8::from(self.message.is_some()));
        out.extend_from_slice(&self.message.unwrap_or(0).to_be_bytes());
        self.pings.save(out);
        out.extend_from_slice(&self.code.0.to_be_bytes());
        self.carry.save(out);
        out.push(self.frame.number());
        out.push(self.state.number());
    }

    pub(super) fn load(saved: &mut Saved<'_>) -> Option<Flow> {
        // What a side says after a Close of ours isn't judged: its frames may be as long as it likes to say.
        let left = u64::from_be_bytes(saved.array()?);
        let [bytes, messages] = [saved.count()?, saved.count()?];
        let waiting = Waiting::load(saved)?.map(Box::new);
        let within = saved.flag()?;
        let message = Some(u32::from_be_bytes(saved.array()?)).filter(|_| within);
        let pings = Pings::load(saved)?;
        let code = Code(u16::from_be_bytes(saved.array()?));
        let carry = Carry::load(saved)?;
        let (frame, state) = (saved.byte()?, saved.byte()?);
        let frame = In::ALL.into_iter().find(|one| one.number() == frame)?;
        let state = State::ALL.into_iter().find(|one| one.number() == state)?;
        Some(Flow { left, bytes, messages, waiting, message, pings, code, carry, frame, state })
    }

    fn end_broken(&mut self, violation: Violation) -> Then {
        self.state = State::Broken;
        self.waiting = None;
        Then::Broken(violation)
    }
}
