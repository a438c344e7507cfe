//! Any bytes, cut and interrupted anyhow: the relay comes to what the simple reader says, taken over by another process
//! between any two reads or not.
#![no_main]

#[path = "../../tests/relay/model/mod.rs"]
#[allow(dead_code, reason = "not all of it is needed here")]
mod model;

use libfuzzer_sys::fuzz_target;
use model::{expect, read, run, run_moving};

fuzz_target!(|input: &[u8]| {
    if let Some((story, cuts)) = read(input) {
        let expected = expect(&story);
        assert_eq!(run(&story, &cuts), expected, "{story:?} cut at {cuts:?}");
        assert_eq!(run_moving(&story, &cuts), expected, "{story:?} cut at {cuts:?} and moved");
    }
});
