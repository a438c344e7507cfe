//! A PROXY header is found when its last byte is there and not before, what is found stays so whatever follows, and what we
//! write of it is read again.
#![no_main]

use fermata_wire::proxy::{LONGEST, Version, read, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let found = read(input);
    let first = (0..=input.len()).map(|end| read(&input[..end])).find(|found| *found != Ok(None));
    assert_eq!(found, first.unwrap_or(Ok(None)));
    let Ok(Some(header)) = found else { return };
    assert!(header.size <= input.len() && header.size <= LONGEST);
    assert_eq!(read(&input[..header.size - 1]), Ok(None));
    for version in [Version::V1, Version::V2] {
        let again = write(version, header.way.as_ref());
        let read = read(&again).expect("a header").expect("whole");
        assert_eq!((read.size, read.way.is_some()), (again.len(), header.way.is_some()));
        if let (Some(way), Some(read)) = (header.way, read.way) {
            assert_eq!(read.client.ip().to_canonical(), way.client.ip().to_canonical());
            assert_eq!(read.server.ip().to_canonical(), way.server.ip().to_canonical());
            assert_eq!((read.client.port(), read.server.port()), (way.client.port(), way.server.port()));
        }
    }
});
