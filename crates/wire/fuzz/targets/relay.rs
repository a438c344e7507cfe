//! Any bytes, cut and interrupted anyhow: the relay comes to what the simple reader says.
#![no_main]

#[path = "../../tests/relay/model/mod.rs"]
#[allow(dead_code, reason = "not all of it is needed here")]
mod model;

use libfuzzer_sys::fuzz_target;
use model::{expect, read, run};

fuzz_target!(|input: &[u8]| {
    if let Some((story, cuts)) = read(input) {
        assert_eq!(run(&story, &cuts), expect(&story), "{story:?} cut at {cuts:?}");
    }
});
