//! What passes, what is held back and what is said never depends on how the bytes were cut; and it is what RFC 6455 asks,
//! as a simple reader that shares nothing with the relay understands it.

use super::model::{expect, read, run};
use super::streams;
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_valid_stream_passes_as_the_simple_reader_says_however_it_is_cut(story in streams::valid(any::<bool>()), cuts in streams::cuts()) {
        prop_assert_eq!(run(&story, &cuts), expect(&story));
    }

    #[test]
    fn a_stream_that_goes_wrong_ends_where_the_simple_reader_says(story in streams::damaged(), cuts in streams::cuts()) {
        prop_assert_eq!(run(&story, &cuts), expect(&story));
    }

    #[test]
    fn any_bytes_are_understood_as_the_simple_reader_does(story in streams::noise(), cuts in streams::cuts()) {
        prop_assert_eq!(run(&story, &cuts), expect(&story));
    }
}

#[test]
fn the_seeds_of_the_fuzzer_are_stories_that_are_understood() {
    for seed in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/relay")).expect("seeds") {
        let path = seed.expect("a seed").path();
        let (story, cuts) = read(&std::fs::read(&path).expect("its bytes")).expect("a story");
        assert_eq!(run(&story, &cuts), expect(&story), "{}", path.display());
    }
}
