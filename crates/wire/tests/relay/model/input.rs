//! A story as a few bytes, which a fuzzer can play with: whose bytes and by which rules (1 byte); how many cuts and commands
//! follow (4 bits each); the cuts (1 byte each); the commands (2 bytes for where, 1 for what); the bytes.

use fermata_wire::{Frames, Rules, Side};

use super::{Command, Story};

/// A story and its cuts.
pub(crate) fn read(input: &[u8]) -> Option<(Story, Vec<usize>)> {
    let ([who, counts], rest) = input.split_first_chunk()?;
    let (cuts, rest) = rest.split_at_checked(usize::from(counts & 15))?;
    let (commands, bytes) = rest.split_at_checked(usize::from(counts >> 4) * 3)?;
    let from = if who & 1 == 0 { Side::Client } else { Side::Service };
    let frames = [Frames::Plain, Frames::Deflate, Frames::Extended, Frames::Plain][usize::from(who >> 1 & 3)];
    let max_message = [u32::MAX, 0, 125, 1000][usize::from(who >> 3 & 3)];
    let mut script: Vec<(usize, Command)> = commands
        .chunks_exact(3)
        .map(|command| (usize::from(u16::from_le_bytes([command[0], command[1]])), command[2]))
        .map(|(position, what)| (position % (bytes.len() + 1), read_command(what)))
        .collect();
    script.sort_by_key(|(position, _)| *position);
    let rules = Rules { frames, max_message };
    let story = Story { from, rules, bytes: bytes.to_vec(), script };
    Some((story, cuts.iter().map(|cut| usize::from(*cut)).collect()))
}

fn read_command(what: u8) -> Command {
    let code = 1007 + u16::from(what >> 4) % 7;
    match what & 7 {
        0 | 1 => Command::Close(code),
        2 => Command::CloseNow(code),
        3 | 4 => Command::Hurry,
        5 => Command::PingThere,
        _ => Command::PingBack,
    }
}
