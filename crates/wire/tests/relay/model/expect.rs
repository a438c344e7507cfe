//! The slow and simple reader. It shares no code with the relay and no idea but RFC 6455: it has all the bytes at once,
//! goes from frame to frame, and for each asks what was said before, within and after it.

use fermata_wire::{ClosedBy, Frames, Rules, Side, Violation};

use super::{Command, KEY, Outcome, Story, THERE, back};

/// Tells the story as it should go.
pub(crate) fn expect(story: &Story) -> Outcome {
    let mut reader =
        Reader { story, script: &story.script, outcome: Outcome::default(), waiting: None, back: Back::default() };
    reader.outcome.code = 1006;
    reader.tell();
    let mut outcome = reader.outcome;
    outcome.owes_pong = reader.back.unanswered > 0 && reader.back.last == story.bytes.len();
    outcome.bytes = outcome.forwarded.len() as u64;
    outcome
}

struct Reader<'a> {
    story: &'a Story,
    script: &'a [(usize, Command)],
    outcome: Outcome,
    /// The code of a Close that waits, and whether any frame's end will do.
    waiting: Option<(u16, bool)>,
    back: Back,
}

/// Our Pings back to the sender.
#[derive(Default)]
struct Back {
    unanswered: usize,
    /// What those carry: the number that the first of them was given.
    number: u32,
    /// After how many bytes the last one went.
    last: usize,
}

impl Back {
    fn payload(&self) -> Vec<u8> {
        [b"held", &self.number.to_be_bytes()[..]].concat()
    }
}

/// Where the bytes that have passed end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    InFrame,
    InMessage,
    BetweenMessages,
    /// A rule was broken here: no message goes on, and no Ping helps.
    Broken,
}

impl Reader<'_> {
    fn tell(&mut self) {
        let bytes = &self.story.bytes;
        let (mut at, mut message) = (0, None);
        loop {
            let place = if message.is_none() { Place::BetweenMessages } else { Place::InMessage };
            let Some(frame) = Frame::read(&bytes[at..]) else {
                self.obey(bytes.len(), place, at);
                return;
            };
            // What is asked while a head is incomplete is asked before its frame.
            if self.obey(at + frame.head - 1, place, at) {
                return;
            }
            match judge(&frame, self.story, message) {
                Err(violation) => {
                    self.outcome.violation = Some(violation);
                    self.outcome.said_all = true;
                    self.waiting = None;
                    self.obey(bytes.len(), Place::Broken, at);
                    return;
                }
                Ok(size) if frame.is_data() => message = Some(size),
                Ok(_) => {}
            }
            let may_be_ours = self.back.unanswered > 0 && frame.opcode == 10 && frame.length == 8;
            let whole_code = if frame.opcode == 8 { frame.length.min(2) } else { 0 };
            let held = frame.head + if may_be_ours { 8 } else { whole_code as usize };
            if self.obey((at + held - 1).min(bytes.len()), place, at) || bytes.len() < at + held {
                return;
            }
            let end = at.saturating_add(frame.head).saturating_add(frame.length as usize);
            let payload = frame.unmask(&bytes[at + frame.head..bytes.len().min(end)]);
            if may_be_ours && payload == self.back.payload() {
                self.back.unanswered -= 1;
                self.outcome.pong = true;
                at = end;
                continue;
            }
            self.outcome.forwarded.extend_from_slice(&bytes[at..bytes.len().min(end)]);
            if frame.opcode == 8 {
                self.outcome.code = if payload.len() < 2 { 1005 } else { u16::from_be_bytes([payload[0], payload[1]]) };
            }
            if bytes.len() < end {
                self.obey(bytes.len(), Place::InFrame, at);
                return;
            }
            self.obey(end - 1, Place::InFrame, at);
            if frame.opcode == 8 {
                self.outcome.closed = Some(self.outcome.code);
                self.outcome.closed_by = Some(ClosedBy::Peer);
                self.outcome.said_all = true;
                return;
            }
            if frame.is_data() && frame.fin {
                self.outcome.messages += 1;
                message = None;
            }
            at = end;
            if let Some((code, any_frame)) = self.waiting
                && (any_frame || message.is_none())
            {
                return self.say_close(code, at);
            }
        }
    }
}

impl Reader<'_> {
    /// Does what is asked up to `position`, and tells whether a Close of ours now stands at `at`, where all of this is said.
    fn obey(&mut self, position: usize, place: Place, at: usize) -> bool {
        while let Some(((now, command), rest)) = self.script.split_first()
            && *now <= position
        {
            self.script = rest;
            let ended = match (*command, place) {
                (Command::Close(code) | Command::CloseNow(code), Place::BetweenMessages | Place::Broken)
                | (Command::CloseNow(code), Place::InMessage) => Some(code),
                (Command::Close(code), Place::InMessage | Place::InFrame) => {
                    self.waiting.get_or_insert((code, false));
                    None
                }
                (Command::Hurry, Place::InMessage) => self.waiting.map(|(code, _)| code),
                (Command::Hurry, Place::InFrame) => {
                    self.waiting = self.waiting.map(|(code, _)| (code, true));
                    None
                }
                (Command::PingThere, Place::InMessage | Place::BetweenMessages) => {
                    let first = !self.outcome.said.iter().any(|(_, frame)| frame[0] == 0x89);
                    if first {
                        self.say(0x89, &[b"held", &THERE.get().to_be_bytes()[..]].concat());
                    }
                    None
                }
                (Command::PingBack, place) => {
                    if place != Place::Broken && (self.back.unanswered == 0 || self.back.last < *now) {
                        if self.back.unanswered == 0 {
                            self.back.number = back(self.outcome.pinged.len()).get();
                        }
                        self.back.unanswered += 1;
                        self.back.last = *now;
                        self.outcome.pinged.push(*now);
                    }
                    None
                }
                _ => None,
            };
            if let Some(code) = ended {
                self.say_close(code, at);
                return true;
            }
        }
        false
    }

    /// The last that the other side hears. What follows is searched for the sender's own Close.
    fn say_close(&mut self, code: u16, at: usize) {
        self.say(0x88, &[&code.to_be_bytes()[..], b"asked for"].concat());
        self.outcome.closed_by = Some(ClosedBy::Us);
        self.outcome.code = code;
        let mut rest = &self.story.bytes[at..];
        while self.outcome.violation.is_none()
            && let Some(frame) = Frame::read(rest)
            && frame.length <= (rest.len() - frame.head) as u64
        {
            if frame.opcode == 8 {
                self.outcome.said_all = true;
                return;
            }
            rest = &rest[frame.head + frame.length as usize..];
        }
    }

    fn say(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![first, payload.len() as u8];
        if self.story.from == Side::Client {
            frame[1] |= 0x80;
            frame.extend(KEY);
        }
        let key = if self.story.from == Side::Client { KEY } else { [0; 4] };
        frame.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]));
        self.outcome.said.push((self.outcome.forwarded.len(), frame));
    }
}

/// A head, and how long its frame is.
struct Frame {
    fin: bool,
    rsv: u8,
    opcode: u8,
    key: Option<[u8; 4]>,
    /// As the second byte says it, 126 and 127 included.
    short: u8,
    length: u64,
    head: usize,
}

impl Frame {
    fn read(bytes: &[u8]) -> Option<Frame> {
        if bytes.len() < 2 {
            return None;
        }
        let short = bytes[1] & 0x7f;
        let extra = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let masked = bytes[1] >= 0x80;
        let head = 2 + extra + if masked { 4 } else { 0 };
        if bytes.len() < head {
            return None;
        }
        let long = bytes[2..2 + extra].iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        Some(Frame {
            fin: bytes[0] >= 0x80,
            rsv: (bytes[0] >> 4) & 7,
            opcode: bytes[0] & 15,
            key: masked.then(|| bytes[head - 4..head].try_into().expect("four bytes")),
            short,
            length: if extra == 0 { u64::from(short) } else { long },
            head,
        })
    }

    fn is_data(&self) -> bool {
        self.opcode < 8
    }

    fn unmask(&self, payload: &[u8]) -> Vec<u8> {
        let key = self.key.unwrap_or_default();
        payload.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]).collect()
    }
}

/// How large the message is with this frame, or what is wrong with it.
fn judge(frame: &Frame, story: &Story, message: Option<u64>) -> Result<u64, Violation> {
    let Rules { frames, max_message } = story.rules;
    let unknown = frames == Frames::Extended;
    let rsv1 = frames == Frames::Deflate && (frame.opcode == 1 || frame.opcode == 2);
    let size = message.unwrap_or(0).saturating_add(frame.length);
    let broken = [
        (story.from == Side::Client && frame.key.is_none(), Violation::NotMasked),
        (story.from == Side::Service && frame.key.is_some(), Violation::Masked),
        (frame.length >> 63 == 1, Violation::Length),
        (!unknown && frame.rsv != 0 && !(rsv1 && frame.rsv == 4), Violation::ReservedBits),
        (!unknown && matches!(frame.opcode, 3..=7 | 11..=15), Violation::ReservedOpcode),
        (frame.opcode >= 8 && frame.short > 125, Violation::LongControl),
        (frame.opcode >= 8 && !frame.fin, Violation::FragmentedControl),
        (!unknown && frame.opcode == 0 && message.is_none(), Violation::NothingToContinue),
        (!unknown && matches!(frame.opcode, 1 | 2) && message.is_some(), Violation::NotContinued),
        (frame.is_data() && max_message < u32::MAX && size > u64::from(max_message), Violation::TooBig),
    ];
    match broken.into_iter().find(|(is, _)| *is) {
        Some((_, violation)) => Err(violation),
        None => Ok(size),
    }
}
