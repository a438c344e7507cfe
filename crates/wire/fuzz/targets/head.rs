//! A head is read when its last byte is there and not before, says what its bits say, and a control frame of ours is one.
#![no_main]

use fermata_wire::frame::{Head, MAX_CONTROL, MAX_HEAD, Opcode, control};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let head = Head::read(input);
    let size = head.map_or(input.len(), |head| usize::from(head.size));
    assert!(size <= input.len() && (head.is_none() || size <= MAX_HEAD));
    for end in 0..size {
        assert_eq!(Head::read(&input[..end]), None, "complete after {end} bytes of {size}");
    }
    if let Some(head) = head {
        assert_eq!(write(&head), input[..size]);
    }
    say(input);
});

/// The head's bytes from what was understood of them.
fn write(head: &Head) -> Vec<u8> {
    let mask = head.mask.map(Vec::from).unwrap_or_default();
    let length = match usize::from(head.size) - mask.len() {
        2 => vec![],
        4 => (head.length as u16).to_be_bytes().to_vec(),
        _ => head.length.to_be_bytes().to_vec(),
    };
    let short = [head.length as u8, 126, 127][length.len().div_ceil(4)];
    assert_eq!(head.length_is_short(), length.is_empty());
    let first = u8::from(head.fin) << 7 | head.rsv | head.opcode.bits();
    let second = u8::from(head.mask.is_some()) << 7 | short;
    [vec![first, second], length, mask].concat()
}

/// The input as the payload of a frame of our own.
fn say(input: &[u8]) {
    let payload = &input[..input.len().min(MAX_CONTROL as usize)];
    let key = input.first_chunk().copied();
    let frame = control(Opcode::Ping, payload, key);
    let head = Head::read(&frame).expect("whole");
    assert_eq!((head.fin, head.rsv, head.opcode, head.mask), (true, 0, Opcode::Ping, key));
    assert_eq!(usize::from(head.size) + head.length as usize, frame.len());
    assert!(head.unmasked(&frame).eq(payload.iter().copied()));
}
