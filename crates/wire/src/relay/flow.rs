//! One direction of a tunnel: whose frames pass, what is held back, what may be said after them.

use std::ops::Range;

use super::ping::Pings;
use super::rules::{Rules, Violation};
use super::{ClosedBy, MAX_CARRY, Passed, Side, Then};
use crate::close::Code;
use crate::frame::{Head, Opcode};

/// Where a Close of ours may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Boundary {
    /// After a whole message.
    Message,
    /// After any whole frame.
    Frame,
}

/// A Close frame of ours that waits for its place.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) frame: Vec<u8>,
    pub(super) code: Code,
    pub(super) after: Boundary,
}

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
    carry: [u8; MAX_CARRY],
    carried: u8,
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
            carry: [0; MAX_CARRY],
            carried: 0,
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

    /// Whether what has passed ends at such a boundary. Where a rule was broken no message will ever end.
    pub(super) fn at(&self, boundary: Boundary) -> bool {
        let message_ended = self.message.is_none() || self.state == State::Broken;
        self.frame == In::Nothing && (boundary == Boundary::Frame || message_ended)
    }

    /// Lets bytes of the sender pass; see [`super::Relay::pass`].
    #[inline]
    pub(super) fn pass(&mut self, from: Side, rules: Rules, buffer: &mut [u8], chunk: Range<usize>) -> Passed {
        let start = chunk.start - usize::from(self.carried);
        if self.carried > 0 {
            buffer[start..chunk.start].copy_from_slice(&self.carry[..usize::from(self.carried)]);
            self.carried = 0;
        }
        if !chunk.is_empty() {
            self.pings.hear();
        }
        let mut passed = Passed { forward: start..start, then: Then::More, pong: false };
        let mut end = chunk.end;
        if self.state == State::Open {
            end = self.follow(from, rules, buffer, end, &mut passed);
        }
        if self.state == State::ClosedByUs {
            self.listen(&buffer[passed.forward.end..end]);
        }
        passed
    }

    /// Follows the frames of `buffer` from where `passed` ends, and says how far they go. Returns the buffer's end, which
    /// moves where a Pong is taken out.
    #[inline]
    fn follow(&mut self, from: Side, rules: Rules, buffer: &mut [u8], mut end: usize, passed: &mut Passed) -> usize {
        let mut at = passed.forward.start;
        passed.then = loop {
            let step = self.left.min((end - at) as u64);
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
            let Some(head) = Head::read(&buffer[at..end]) else {
                self.keep(&buffer[at..end]);
                break Then::More;
            };
            let message = match rules.judge(&head, from, self.message) {
                Ok(message) => message,
                Err(violation) => break self.end_broken(violation),
            };
            let seen = self.must_see(&head);
            if end - at < seen {
                self.keep(&buffer[at..end]);
                break Then::More;
            }
            if self.pings.are_answered_by(&head, &buffer[at..at + seen]) {
                self.pings.answered();
                passed.pong = true;
                buffer.copy_within(at + seen..end, at);
                end -= seen;
                continue;
            }
            self.begin_frame(&head, &buffer[at..at + seen]);
            self.message = message;
            at += usize::from(head.size);
        };
        self.bytes += (at - passed.forward.start) as u64;
        passed.forward.end = at;
        end
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

    fn end_broken(&mut self, violation: Violation) -> Then {
        self.state = State::Broken;
        self.waiting = None;
        Then::Broken(violation)
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.carry[..bytes.len()].copy_from_slice(bytes);
        self.carried = bytes.len() as u8;
    }

    /// Our Close stands: what the sender still says is dropped, but its own Close answers ours or has crossed it.
    fn listen(&mut self, mut bytes: &[u8]) {
        loop {
            let step = self.left.min(bytes.len() as u64);
            self.left -= step;
            bytes = &bytes[step as usize..];
            if self.left > 0 {
                return;
            }
            if self.frame == In::Close {
                self.state = State::Overruled;
                return;
            }
            let Some(head) = Head::read(bytes) else {
                return self.keep(bytes);
            };
            bytes = &bytes[usize::from(head.size)..];
            self.left = head.length;
            self.frame = if head.opcode == Opcode::Close { In::Close } else { In::Other };
        }
    }

    /// Says a Close: at once, and then it is returned; or when its boundary comes.
    pub(super) fn say(&mut self, close: Waiting) -> Option<Vec<u8>> {
        if self.waiting.is_some() || self.closed().is_some() {
            return None;
        }
        if self.at(close.after) {
            return Some(self.close(close));
        }
        self.waiting = Some(Box::new(close));
        None
    }

    /// Lets a Close that waits stand after any frame, and returns it where that is now.
    pub(super) fn hurry(&mut self) -> Option<Vec<u8>> {
        self.waiting.as_mut()?.after = Boundary::Frame;
        self.take_due()
    }

    /// Says a Close now or not at all, instead of one that waits.
    pub(super) fn say_now(&mut self, close: Waiting) -> Option<Vec<u8>> {
        if self.closed().is_some() || !self.at(Boundary::Frame) {
            return None;
        }
        Some(self.close(close))
    }

    fn take_due(&mut self) -> Option<Vec<u8>> {
        let after = self.waiting.as_ref()?.after;
        if !self.at(after) {
            return None;
        }
        let close = self.waiting.take()?;
        Some(self.close(*close))
    }

    fn close(&mut self, close: Waiting) -> Vec<u8> {
        self.waiting = None;
        self.code = close.code;
        self.state = if self.state == State::Broken { State::Overruled } else { State::ClosedByUs };
        close.frame
    }
}
