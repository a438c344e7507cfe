//! A ClientHello is understood when its last byte is there and not before, and what is found stays so whatever follows; a name
//! that is found is one of DNS.
#![no_main]

use fermata_wire::hello::{LONGEST, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let found = read(input);
    let first = (0..=input.len()).map(|end| read(&input[..end])).find(|found| *found != Ok(None));
    assert_eq!(found, first.unwrap_or(Ok(None)));
    assert!(input.len() < LONGEST || found != Ok(None));
    let Ok(Some(hello)) = found else { return };
    let good = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    assert!(hello.name.is_none_or(|name| (1..=253).contains(&name.len()) && name.bytes().all(good)));
});
