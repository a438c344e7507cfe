//! Streams of frames for property tests: valid ones, and such that went wrong somewhere.

use fermata_wire::{Frames, Rules, Side};
use proptest::collection::vec;
use proptest::prelude::*;

use super::model::{Command, Story, back};

/// One frame, before it is written.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

/// How lengths are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lengths {
    Short,
    /// Those of data frames take more bytes than they need.
    WideData,
    /// Those of control frames, too, which no one may do.
    Wide,
}

fn lengths() -> impl Strategy<Value = Lengths> {
    prop_oneof![3 => Just(Lengths::Short), 1 => Just(Lengths::WideData), 1 => Just(Lengths::Wide)]
}

/// Frames as a side writes them: a client masks.
pub(crate) fn write(from: Side, frames: &[Frame], lengths: Lengths) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, Frame { first, payload }) in frames.iter().enumerate() {
        let mask = if from == Side::Client { 0x80 } else { 0 };
        bytes.push(*first);
        let wide = lengths == Lengths::Wide || (lengths == Lengths::WideData && first & 8 == 0);
        match payload.len() {
            short @ 0..126 if !wide => bytes.push(mask | short as u8),
            long @ 0..0x1_0000 if !wide || number % 2 == 0 => {
                bytes.push(mask | 0x7e);
                bytes.extend((long as u16).to_be_bytes());
            }
            huge => {
                bytes.push(mask | 0x7f);
                bytes.extend((huge as u64).to_be_bytes());
            }
        }
        let key = if mask == 0 { [0; 4] } else { (number as u32).wrapping_mul(0x9e37_79b9).to_be_bytes() };
        if mask != 0 {
            bytes.extend(key);
        }
        bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    }
    bytes
}

pub(crate) fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Client), Just(Side::Service)]
}

fn control() -> impl Strategy<Value = Frame> {
    let ours = |earlier| [b"held", &back(earlier).get().to_be_bytes()[..]].concat();
    prop_oneof![
        4 => (prop_oneof![Just(0x89), Just(0x8a)], vec(any::<u8>(), 0..20)).prop_map(|(first, payload)| Frame { first, payload }),
        1 => vec(any::<u8>(), 125).prop_map(|payload| Frame { first: 0x89, payload }),
        1 => vec(any::<u8>(), 8).prop_map(|payload| Frame { first: 0x8a, payload }),
        3 => (0_usize..3).prop_map(move |earlier| Frame { first: 0x8a, payload: ours(earlier) }),
    ]
}

fn text(size: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    (size, 0..95_usize).prop_map(|(size, first)| (0..size).map(|at| b' ' + ((first + at * 7) % 95) as u8).collect())
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![40 => text(0..40), 9 => text(100..300), 1 => text(65_530..65_540)]
}

/// A message in one or several frames, with control frames between them.
fn message(deflate: bool) -> impl Strategy<Value = Vec<Frame>> {
    let first =
        if deflate { prop_oneof![Just(1), Just(2), Just(0x41), Just(0x42)].boxed() } else { (1_u8..=2).boxed() };
    (first, vec((payload(), vec(control(), 0..2)), 1..4)).prop_map(|(first, parts)| {
        let last = parts.len() - 1;
        let mut frames = Vec::new();
        for (number, (payload, controls)) in parts.into_iter().enumerate() {
            let opcode = if number == 0 { first } else { 0 };
            frames.push(Frame { first: opcode | if number == last { 0x80 } else { 0 }, payload });
            frames.extend(controls);
        }
        frames
    })
}

fn closing() -> impl Strategy<Value = Option<Frame>> {
    let code = prop_oneof![Just(1000_u16), Just(1001), Just(1011), 3000_u16..5000];
    let told = (code, text(0..60)).prop_map(|(code, reason)| [&code.to_be_bytes()[..], &reason].concat());
    let payload = prop_oneof![4 => told, 1 => Just(Vec::new())];
    proptest::option::of(payload.prop_map(|payload| Frame { first: 0x88, payload }))
}

/// Everything a well-behaved side may say, and perhaps its Close.
pub(crate) fn frames(deflate: bool) -> impl Strategy<Value = Vec<Frame>> {
    (vec(prop_oneof![3 => message(deflate), 1 => control().prop_map(|frame| vec![frame])], 0..6), closing())
        .prop_map(|(parts, closing)| parts.into_iter().flatten().chain(closing).collect())
}

fn rules() -> impl Strategy<Value = Rules> {
    let frames = prop_oneof![3 => Just(Frames::Plain), 3 => Just(Frames::Deflate), 1 => Just(Frames::Extended)];
    let max_message = prop_oneof![3 => Just(u32::MAX), 1 => 0..200_u32];
    (frames, max_message).prop_map(|(frames, max_message)| Rules { frames, max_message })
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        2 => (1007_u16..1014).prop_map(Command::Close),
        2 => Just(Command::Hurry),
        1 => (1007_u16..1014).prop_map(Command::CloseNow),
        2 => Just(Command::PingThere),
        4 => Just(Command::PingBack),
    ]
}

/// A story over these bytes. Commands come anywhere, but prefer to be near each other.
fn about(from: Side, rules: Rules, bytes: Vec<u8>) -> impl Strategy<Value = Story> {
    let end = bytes.len();
    let command = (prop_oneof![3 => 0..=end, 1 => 0..=end.min(60), 1 => Just(end)], command());
    vec(command, 0..7).prop_map(move |mut script| {
        script.sort_by_key(|(position, _)| *position);
        Story { from, rules, bytes: bytes.clone(), script }
    })
}

/// A well-behaved side; its lengths may be written too long.
pub(crate) fn valid(deflate: impl Strategy<Value = bool>) -> impl Strategy<Value = Story> {
    let lengths = prop_oneof![Just(Lengths::Short), Just(Lengths::WideData)];
    (side(), deflate, lengths)
        .prop_flat_map(|(from, deflate, lengths)| (Just((from, deflate, lengths)), frames(deflate)))
        .prop_flat_map(|((from, deflate, lengths), frames)| {
            let rules = if deflate { Frames::Deflate } else { Frames::Plain };
            let rules = Rules { frames: rules, max_message: u32::MAX };
            about(from, rules, write(from, &frames, lengths))
        })
}

/// A side that goes wrong somewhere, or breaks off, or says more after its Close.
pub(crate) fn damaged() -> impl Strategy<Value = Story> {
    let damage = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (side(), rules(), frames(true), frames(false), damage, any::<prop::sample::Index>(), lengths()).prop_flat_map(
        |(from, rules, frames, more, damage, length, lengths)| {
            let mut bytes = write(from, &frames, lengths);
            bytes.extend(write(from, &more, Lengths::Short));
            if !bytes.is_empty() {
                for (at, byte) in damage {
                    // Most bytes are payload, where damage is nothing; heads are found near the start.
                    let at = at.index(bytes.len());
                    let at = if byte & 1 == 0 { at % 40 % bytes.len() } else { at };
                    bytes[at] = byte;
                }
                bytes.truncate(length.index(bytes.len() * 2).min(bytes.len()));
            }
            about(from, rules, bytes)
        },
    )
}

/// Any bytes at all.
pub(crate) fn noise() -> impl Strategy<Value = Story> {
    let byte = prop_oneof![
        4 => any::<u8>(),
        4 => prop_oneof![Just(0x81), Just(0x01), Just(0x80), Just(0x00), Just(0x88), Just(0x89), Just(0x8a)],
        2 => prop_oneof![0_u8..9, 0x80_u8..0x89, Just(126), Just(127), Just(254), Just(255)],
    ];
    (side(), rules(), vec(byte, 0..200)).prop_flat_map(|(from, rules, bytes)| about(from, rules, bytes))
}

/// Sizes of reads.
pub(crate) fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![Just(vec![1]), Just(vec![usize::MAX]), vec(0_usize..20, 1..8), vec(0_usize..3000, 1..8)]
}
