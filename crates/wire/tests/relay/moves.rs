//! A tunnel that is cut at any byte and taken over by another process behaves as one that was not.

use super::model::{expect, run_moving};
use super::streams;
use fermata_wire::{Close, Code, MAX_CARRY, Relay, Rules, Side};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_relay_that_is_saved_and_loaded_between_any_two_reads_tells_the_same_story(story in streams::valid(any::<bool>()), cuts in streams::cuts()) {
        prop_assert_eq!(run_moving(&story, &cuts), expect(&story));
    }

    #[test]
    fn so_it_does_where_the_stream_goes_wrong(story in prop_oneof![streams::damaged(), streams::noise()], cuts in streams::cuts()) {
        prop_assert_eq!(run_moving(&story, &cuts), expect(&story));
    }

    #[test]
    fn bytes_that_nobody_saved_are_refused_or_can_be_used(damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..8), story in streams::noise(), length in any::<prop::sample::Index>(), close in any::<bool>()) {
        let mut relay = Relay::new();
        feed(&mut relay, story.from, &story.bytes);
        if close {
            relay.close(story.from.other(), &Close::new(Code::RESTART, "asked for"), [1, 2, 3, 4]);
        }
        let mut saved = relay.save();
        for (at, byte) in damage {
            let at = at.index(saved.len());
            saved[at] = byte;
        }
        if length.index(4) == 0 {
            saved.truncate(length.index(saved.len()));
        }
        if let Some(mut relay) = Relay::load(&saved) {
            for side in [Side::Client, Side::Service] {
                feed(&mut relay, side, &story.bytes);
                relay.ping(side, std::num::NonZeroU32::MIN, [0; 4]);
                relay.hurry(side);
                relay.close_now(side, &Close::new(Code::RESTART, ""), [0; 4]);
                feed(&mut relay, side, &story.bytes);
            }
        }
    }
}

#[test]
fn what_another_version_saved_is_refused() {
    let mut saved = Relay::new().save();
    saved[0] += 1;
    assert!(Relay::load(&saved).is_none());
    let mut longer = Relay::new().save();
    longer.push(0);
    assert!(Relay::load(&longer).is_none());
}

fn feed(relay: &mut Relay, from: Side, bytes: &[u8]) {
    let mut buffer = vec![0; MAX_CARRY];
    buffer.extend_from_slice(bytes);
    let end = buffer.len();
    relay.pass(from, Rules::default(), &mut buffer, MAX_CARRY..end);
}
