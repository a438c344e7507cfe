//! What following frames costs: `cargo bench -p fermata-wire`.
//!
//! Each figure is the fastest of many short rounds, because a machine that does other work can only add to it.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use fermata_wire::{Frames, MAX_CARRY, Relay, Rules, Side};

const ROUNDS: u32 = 400;
const ROUND: Duration = Duration::from_millis(2);

fn main() {
    println!("{:<58}{:>12}{:>16}", "", "ns a frame", "of the stream");
    for (name, frame) in [
        ("64 B", 64),
        ("1 KiB", 1 << 10),
        ("64 KiB", 1 << 16),
        ("small ones of 2 to 200 B, every fourth a fragment", 0),
    ] {
        for from in [Side::Client, Side::Service] {
            let stream = Stream::new(from, frame);
            stream.measure(name, "read whole", stream.bytes.len());
            if frame == 64 {
                stream.measure(name, "one frame a read", stream.bytes.len() / stream.frames);
                stream.measure(name, "reads that cut frames", 1000);
            }
        }
    }
}

/// Frames of one side, about 64 KiB of them: what the engine reads at once.
struct Stream {
    from: Side,
    bytes: Vec<u8>,
    frames: usize,
}

impl Stream {
    /// Frames with `payload` bytes each, or of mixed sizes for 0.
    fn new(from: Side, payload: usize) -> Stream {
        let mut stream = Stream { from, bytes: Vec::new(), frames: 0 };
        while stream.frames == 0 || stream.bytes.len() + payload < 1 << 16 || !stream.frames.is_multiple_of(4) {
            let size = if payload == 0 { 2 + stream.frames * 37 % 199 } else { payload };
            let first = match (payload, stream.frames % 4) {
                (0, 0) => 0x01,
                (0, 1) => 0x80,
                _ => 0x82,
            };
            stream.push(first, size);
        }
        stream
    }

    fn push(&mut self, first: u8, payload: usize) {
        let mask = if self.from == Side::Client { 0x80 } else { 0 };
        self.bytes.push(first);
        match payload {
            0..126 => self.bytes.push(mask | payload as u8),
            126..0x1_0000 => {
                self.bytes.push(mask | 0x7e);
                self.bytes.extend((payload as u16).to_be_bytes());
            }
            _ => {
                self.bytes.push(mask | 0x7f);
                self.bytes.extend((payload as u64).to_be_bytes());
            }
        }
        self.bytes.extend(vec![0x5a; payload + usize::from(mask != 0) * 4]);
        self.frames += 1;
    }

    fn measure(&self, name: &str, how: &str, read: usize) {
        let rules = Rules { frames: Frames::Plain, max_message: 1 << 24 };
        let mut buffer = vec![0; MAX_CARRY];
        buffer.extend_from_slice(&self.bytes);
        let mut relay = Relay::new();
        let mut fastest = f64::INFINITY;
        for _ in 0..ROUNDS {
            let (begin, mut streams) = (Instant::now(), 0);
            while begin.elapsed() < ROUND {
                for _ in 0..16 {
                    let mut at = MAX_CARRY;
                    while at < buffer.len() {
                        let end = buffer.len().min(at + read);
                        black_box(relay.pass(self.from, rules, black_box(&mut buffer), at..end));
                        at = end;
                    }
                }
                streams += 16;
            }
            fastest = fastest.min(begin.elapsed().as_nanos() as f64 / f64::from(streams));
        }
        let from = if self.from == Side::Client { "client" } else { "service" };
        let label = format!("{name}, {from}, {how}");
        let per_frame = fastest / self.frames as f64;
        let speed = self.bytes.len() as f64 / fastest;
        println!("{label:<58}{per_frame:>12.2}{speed:>10.1} GB/s");
    }
}
