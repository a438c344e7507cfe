//! The relay: follows the frames of both directions of a tunnel, and knows when something may be said between them.
//!
//! It copies nothing and keeps no payload. What it holds back is never more than [`MAX_CARRY`] bytes: a head that is not
//! complete yet, so that every byte it lets pass belongs to a frame it has judged. That is why a Close or a Ping of
//! Fermata's own can be placed exactly at a boundary, however the bytes were cut.
//!
//! It refuses to be a WebSocket endpoint: it answers no Ping, inflates nothing, checks no UTF-8. Those are the business
//! of the two ends.

use std::num::NonZeroU32;
use std::ops::Range;

use crate::close::{Close, Code};
use crate::frame::{self, Head, MAX_CONTROL, Opcode};

/// The most bytes that are held back between two calls of [`Relay::pass`]: one less than the longest thing that must be
/// seen whole, which is a head (14 bytes) or a masked Pong that answers a Ping of ours (2 + 4 + 8 bytes).
pub const MAX_CARRY: usize = 13;

/// The payload of Fermata's own Pings: a mark, then a number.
const PING_MARK: [u8; 4] = *b"held";
const PING_LENGTH: u64 = 8;

/// The two ends of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who connected to us.
    Client,
    /// Whom we connected to.
    Service,
}

impl Side {
    /// The other end.
    #[must_use]
    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Service,
            Side::Service => Side::Client,
        }
    }
}

/// What frames of one tunnel may be, by its handshake and its service's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// What the handshake allows beyond RFC 6455's own frames.
    pub frames: Frames,
    /// The most payload bytes of one message (compressed, where the message is); `u32::MAX` for no limit.
    pub max_message: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Rules { frames: Frames::Plain, max_message: u32::MAX }
    }
}

/// What a handshake's extensions allow in a frame's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frames {
    /// No extension: no RSV bit, no reserved opcode (RFC 6455 5.2).
    Plain,
    /// permessage-deflate: RSV1 on the first frame of a data message (RFC 7692 6).
    Deflate,
    /// An extension that Fermata doesn't know: its bits and opcodes pass.
    Extended,
}

/// How a frame broke RFC 6455, or a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "`reason` says each in words")]
pub enum Violation {
    NotMasked,
    Masked,
    ReservedBits,
    ReservedOpcode,
    LongControl,
    FragmentedControl,
    NothingToContinue,
    NotContinued,
    Length,
    TooBig,
}

impl Violation {
    /// The close code that tells it.
    pub fn code(self) -> Code {
        match self {
            Violation::TooBig => Code::TOO_BIG,
            _ => Code::PROTOCOL_ERROR,
        }
    }

    /// In words; each comes from RFC 6455 5.1 to 5.5.
    pub fn reason(self) -> &'static str {
        match self {
            Violation::NotMasked => "a client's frame is not masked",
            Violation::Masked => "a service's frame is masked",
            Violation::ReservedBits => "a reserved bit is set that no extension asked for",
            Violation::ReservedOpcode => "a reserved opcode that no extension asked for",
            Violation::LongControl => "a control frame is longer than 125 bytes",
            Violation::FragmentedControl => "a control frame is fragmented",
            Violation::NothingToContinue => "a continuation without a message",
            Violation::NotContinued => "a new message inside a fragmented one",
            Violation::Length => "a frame's length has its highest bit set",
            Violation::TooBig => "a message is larger than the service takes",
        }
    }

    /// As a Close.
    pub fn close(self) -> Close {
        Close::new(self.code(), self.reason())
    }
}

/// Who ended a direction with a Close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBy {
    /// The end that sends in this direction.
    Peer,
    /// Fermata.
    Us,
}

/// What [`Relay::pass`] lets through, and what follows it.
#[derive(Debug, PartialEq, Eq)]
pub struct Passed {
    /// These bytes of the buffer go on to the other side.
    pub forward: Range<usize>,
    /// What comes after them.
    pub then: Then,
    /// A Pong to a Ping of ours was among the bytes, and was taken out.
    pub pong: bool,
}

/// What follows the bytes that pass.
#[derive(Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing: more may come.
    More,
    /// The sender's Close has passed, with this code ([`Code::NO_STATUS`] for none); whatever it sends later is dropped.
    Closed(Code),
    /// This frame, a Close that waited for a boundary, is to be written now; whatever comes later is dropped.
    Say(Vec<u8>),
    /// The sender broke a rule; [`Relay::close_now`] tells the other side, and whatever comes later is dropped.
    Broken(Violation),
}

/// Where a waiting Close may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Boundary {
    /// After a whole message.
    Message,
    /// After any whole frame.
    Frame,
}

/// A Close that waits for its place.
#[derive(Debug)]
struct Waiting {
    frame: Vec<u8>,
    code: Code,
    after: Boundary,
}

/// How far a direction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// A rule was broken: nothing passes any more, and no Close stands yet.
    Broken,
    Closed(ClosedBy),
}

/// Which frame a direction is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum In {
    Nothing,
    /// A data frame; `true` when it is the last of its message.
    Data(bool),
    Control,
    Close,
}

/// One direction, from one side toward the other.
#[derive(Debug)]
struct Flow {
    /// Payload bytes of this frame that are still to come.
    left: u64,
    bytes: u64,
    messages: u64,
    /// Payload bytes of this message so far, its announced frame included.
    message: u32,
    /// The number of our Ping that this side has yet to answer.
    expects: Option<NonZeroU32>,
    code: Code,
    carry: [u8; MAX_CARRY],
    carried: u8,
    frame: In,
    /// A fragmented message is open.
    fragmented: bool,
    state: State,
}

impl Flow {
    fn new() -> Flow {
        Flow {
            left: 0,
            bytes: 0,
            messages: 0,
            message: 0,
            expects: None,
            code: Code::ABNORMAL,
            carry: [0; MAX_CARRY],
            carried: 0,
            frame: In::Nothing,
            fragmented: false,
            state: State::Open,
        }
    }

    fn at(&self, boundary: Boundary) -> bool {
        self.frame == In::Nothing && (boundary == Boundary::Frame || !self.fragmented)
    }

    /// The frame's last byte has passed.
    fn end_frame(&mut self) {
        match self.frame {
            In::Data(last) => {
                self.fragmented = !last;
                if last {
                    self.messages += 1;
                    self.message = 0;
                }
            }
            In::Close => self.state = State::Closed(ClosedBy::Peer),
            In::Control | In::Nothing => {}
        }
        self.frame = In::Nothing;
    }

    fn judge(&mut self, head: &Head, from: Side, rules: Rules) -> Result<(), Violation> {
        match (from, head.mask) {
            (Side::Client, None) => return Err(Violation::NotMasked),
            (Side::Service, Some(_)) => return Err(Violation::Masked),
            _ => {}
        }
        if head.length > i64::MAX as u64 {
            return Err(Violation::Length);
        }
        if rules.frames != Frames::Extended {
            // RFC 7692 6: RSV1 stands on the first frame of a compressed message and nowhere else.
            let allowed = match (rules.frames, head.opcode) {
                (Frames::Deflate, Opcode::Text | Opcode::Binary) => 0x40,
                _ => 0,
            };
            if head.rsv & !allowed != 0 {
                return Err(Violation::ReservedBits);
            }
            if let Opcode::Reserved(_) = head.opcode {
                return Err(Violation::ReservedOpcode);
            }
        }
        if head.opcode.is_control() {
            return match head {
                Head { length, .. } if *length > MAX_CONTROL => Err(Violation::LongControl),
                Head { fin: false, .. } => Err(Violation::FragmentedControl),
                _ => Ok(()),
            };
        }
        match (head.opcode, self.fragmented) {
            (Opcode::Continuation, false) => return Err(Violation::NothingToContinue),
            (Opcode::Text | Opcode::Binary, true) => return Err(Violation::NotContinued),
            _ => {}
        }
        let size = u64::from(self.message).saturating_add(head.length);
        if rules.max_message != u32::MAX && size > u64::from(rules.max_message) {
            return Err(Violation::TooBig);
        }
        self.message = u32::try_from(size).unwrap_or(u32::MAX);
        Ok(())
    }

    /// How many bytes of the frame must be seen before any of it passes: the head, and of a Close its code, of a Pong
    /// that may be ours everything.
    fn must_see(&self, head: &Head) -> usize {
        let payload = match head.opcode {
            Opcode::Close => head.length.min(2),
            Opcode::Pong if self.expects.is_some() && head.length == PING_LENGTH => PING_LENGTH,
            _ => 0,
        };
        usize::from(head.size) + payload as usize
    }

    fn answers_our_ping(&self, head: &Head, bytes: &[u8]) -> bool {
        let Some(number) = self.expects else { return false };
        head.opcode == Opcode::Pong
            && head.length == PING_LENGTH
            && unmasked(head, bytes).eq(PING_MARK.into_iter().chain(number.get().to_be_bytes()))
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.carry[..bytes.len()].copy_from_slice(bytes);
        self.carried = bytes.len() as u8;
    }
}

/// The payload bytes that are seen together with the head.
fn unmasked<'a>(head: &Head, bytes: &'a [u8]) -> impl Iterator<Item = u8> + 'a {
    let key = head.mask.unwrap_or_default();
    bytes[usize::from(head.size)..].iter().enumerate().map(move |(at, byte)| byte ^ key[at % 4])
}

/// Both directions of one tunnel.
#[derive(Debug)]
pub struct Relay {
    client: Flow,
    service: Flow,
    waiting: [Option<Box<Waiting>>; 2],
}

impl Default for Relay {
    fn default() -> Self {
        Relay::new()
    }
}

impl Relay {
    /// A tunnel whose handshake has just been done.
    pub fn new() -> Relay {
        Relay { client: Flow::new(), service: Flow::new(), waiting: [None, None] }
    }

    fn flow(&self, from: Side) -> &Flow {
        match from {
            Side::Client => &self.client,
            Side::Service => &self.service,
        }
    }

    fn flow_mut(&mut self, from: Side) -> (&mut Flow, &mut Option<Box<Waiting>>) {
        match from {
            Side::Client => (&mut self.client, &mut self.waiting[0]),
            Side::Service => (&mut self.service, &mut self.waiting[1]),
        }
    }

    /// Judges the bytes `chunk` of `buffer`, just received from `from`.
    ///
    /// The [`MAX_CARRY`] bytes before `chunk` must be free: bytes held back earlier are put there. `buffer` is changed
    /// further only where a Pong is taken out.
    pub fn pass(&mut self, from: Side, rules: Rules, buffer: &mut [u8], chunk: Range<usize>) -> Passed {
        let (flow, waiting) = self.flow_mut(from);
        let (mut at, mut end) = (chunk.start - usize::from(flow.carried), chunk.end);
        let start = at;
        if flow.state != State::Open {
            return Passed { forward: start..start, then: Then::More, pong: false };
        }
        buffer[at..chunk.start].copy_from_slice(&flow.carry[..usize::from(flow.carried)]);
        flow.carried = 0;
        let mut pong = false;
        let then = loop {
            let step = flow.left.min((end - at) as u64);
            flow.left -= step;
            at += step as usize;
            if flow.left > 0 {
                break Then::More;
            }
            if flow.frame != In::Nothing {
                flow.end_frame();
                if flow.state == State::Closed(ClosedBy::Peer) {
                    *waiting = None;
                    break Then::Closed(flow.code);
                }
                if let Some(close) = waiting.take_if(|waiting| flow.at(waiting.after)) {
                    flow.state = State::Closed(ClosedBy::Us);
                    flow.code = close.code;
                    break Then::Say(close.frame);
                }
            }
            let Some(head) = Head::read(&buffer[at..end]) else {
                flow.keep(&buffer[at..end]);
                break Then::More;
            };
            if let Err(violation) = flow.judge(&head, from, rules) {
                flow.state = State::Broken;
                *waiting = None;
                break Then::Broken(violation);
            }
            let seen = flow.must_see(&head);
            if end - at < seen {
                // Only control frames get here; that they are judged again with the rest counts nothing twice.
                flow.keep(&buffer[at..end]);
                break Then::More;
            }
            if flow.answers_our_ping(&head, &buffer[at..at + seen]) {
                flow.expects = None;
                pong = true;
                buffer.copy_within(at + seen..end, at);
                end -= seen;
                continue;
            }
            flow.frame = match head.opcode {
                Opcode::Close => {
                    let mut code = unmasked(&head, &buffer[at..at + seen]);
                    flow.code = match (code.next(), code.next()) {
                        (Some(high), Some(low)) => Code(u16::from_be_bytes([high, low])),
                        _ => Code::NO_STATUS,
                    };
                    In::Close
                }
                opcode if opcode.is_control() => In::Control,
                _ => In::Data(head.fin),
            };
            flow.left = head.length;
            at += usize::from(head.size);
        };
        let passed = match then {
            Then::More => end - usize::from(flow.carried),
            _ => at,
        };
        flow.bytes += (passed - start) as u64;
        Passed { forward: start..passed, then, pong }
    }

    /// Says `close` to `toward` as soon as a message ends there: now, then the frame is returned and to be written at once;
    /// or later, then [`Relay::pass`] returns it. Nothing happens where a Close has been said or waits already.
    ///
    /// `mask` is for frames toward a service (RFC 6455 5.3) and ignored toward a client.
    pub fn close(&mut self, toward: Side, close: &Close, mask: [u8; 4]) -> Option<Vec<u8>> {
        let (flow, waiting) = self.flow_mut(toward.other());
        if flow.state != State::Open || waiting.is_some() {
            return None;
        }
        let frame = close_frame(toward, close, mask);
        if flow.at(Boundary::Message) {
            flow.state = State::Closed(ClosedBy::Us);
            flow.code = close.code;
            return Some(frame);
        }
        *waiting = Some(Box::new(Waiting { frame, code: close.code, after: Boundary::Message }));
        None
    }

    /// The soft deadline has passed: a Close that waits toward `toward` may now stand after any frame. Returns it where
    /// that is now.
    pub fn hurry(&mut self, toward: Side) -> Option<Vec<u8>> {
        let (flow, waiting) = self.flow_mut(toward.other());
        waiting.as_mut()?.after = Boundary::Frame;
        if !flow.at(Boundary::Frame) {
            return None;
        }
        let close = waiting.take()?;
        flow.state = State::Closed(ClosedBy::Us);
        flow.code = close.code;
        Some(close.frame)
    }

    /// Says `close` to `toward` at once if a frame boundary is there, instead of one that waits. For a side whose partner is
    /// gone or has broken a rule: nothing more can come that would end a message.
    pub fn close_now(&mut self, toward: Side, close: &Close, mask: [u8; 4]) -> Option<Vec<u8>> {
        let (flow, waiting) = self.flow_mut(toward.other());
        if matches!(flow.state, State::Closed(_)) || !flow.at(Boundary::Frame) {
            return None;
        }
        *waiting = None;
        flow.state = State::Closed(ClosedBy::Us);
        flow.code = close.code;
        Some(close_frame(toward, close, mask))
    }

    /// A Ping toward `toward`, if one may stand there now and none is unanswered. `number` comes back in the Pong, which
    /// [`Relay::pass`] takes out.
    pub fn ping(&mut self, toward: Side, number: NonZeroU32, mask: [u8; 4]) -> Option<Vec<u8>> {
        let (there, _) = self.flow_mut(toward.other());
        if there.state != State::Open || !there.at(Boundary::Frame) {
            return None;
        }
        let (back, _) = self.flow_mut(toward);
        if back.state != State::Open || back.expects.is_some() {
            return None;
        }
        back.expects = Some(number);
        let mut payload = [0; PING_LENGTH as usize];
        payload[..4].copy_from_slice(&PING_MARK);
        payload[4..].copy_from_slice(&number.get().to_be_bytes());
        Some(frame::control(Opcode::Ping, &payload, masked(toward, mask)))
    }

    /// Whether `side` owes an answer to a Ping of ours.
    pub fn owes_pong(&self, side: Side) -> bool {
        self.flow(side).expects.is_some()
    }

    /// Whether the direction from `from` is closed, and by whom.
    pub fn closed(&self, from: Side) -> Option<ClosedBy> {
        match self.flow(from).state {
            State::Closed(by) => Some(by),
            State::Open | State::Broken => None,
        }
    }

    /// The code of the Close that ended the direction from `from`; [`Code::ABNORMAL`] where there was none.
    pub fn code(&self, from: Side) -> Code {
        self.flow(from).code
    }

    /// Payload and heads that have passed from `from`, in bytes.
    pub fn bytes(&self, from: Side) -> u64 {
        self.flow(from).bytes
    }

    /// Messages that have passed whole from `from`.
    pub fn messages(&self, from: Side) -> u64 {
        self.flow(from).messages
    }
}

fn masked(toward: Side, mask: [u8; 4]) -> Option<[u8; 4]> {
    (toward == Side::Service).then_some(mask)
}

fn close_frame(toward: Side, close: &Close, mask: [u8; 4]) -> Vec<u8> {
    frame::control(Opcode::Close, &close.payload(), masked(toward, mask))
}
