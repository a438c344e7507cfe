//! Messages that are too large.

use super::super::name::Hop;
use super::super::sizes::Limit;
use super::super::talk::Trouble;
use super::lasting;
use super::talk::code_and_reason;
use crate::report::Advice;

/// Limits as they are set from the factory, in bytes, and what they are called where they are set.
const USUAL: [(usize, &str); 6] = [
    (8 << 10, "Tomcat and Spring (setMaxTextMessageBufferSize, setMaxBinaryMessageBufferSize)"),
    (32 << 10, "AWS API Gateway, a frame; it can't be set"),
    (64 << 10, "Jetty (maxTextMessageSize, maxBinaryMessageSize)"),
    (128 << 10, "AWS API Gateway, a message; it can't be set"),
    (1_000_000, "Socket.IO (maxHttpBufferSize)"),
    (1 << 20, "Python's websockets (max_size)"),
];

/// Adds the limit. One that is told by a Close 1009 is as it should be.
pub(super) fn limited(hop: Hop, limit: &Limit) -> Hop {
    let Limit { passes, fails, ending } = limit;
    let at = size(*fails);
    let usual = USUAL.iter().find(|(usual, _)| passes <= usual && usual <= fails);
    let usual = usual.map(|(usual, whose)| format!("{usual} bytes is usual for: {whose}"));
    let (hop, advice) = match ending {
        Trouble::Closed(code, reason) => {
            let hop = hop.detail(format!("{at} get Close {}", code_and_reason(*code, reason)));
            return usual.iter().fold(hop, Hop::detail);
        }
        Trouble::NoPong(limit) | Trouble::Slow(limit) => {
            let advice = Advice::new("size-stuck", format!("Messages of {at} get stuck on the way.")).then(
                "Something reads a part of the message and stops: look at limits for buffers and frames on the way.",
            );
            (hop.detail(format!("{at} do not come back within {}", lasting(*limit))), advice)
        }
        Trouble::Ended(_) => {
            let says = format!("Messages of {at} cut the connection without a word; browsers tell their pages 1006.");
            let advice = Advice::new("size-cut", says)
                .then("Somewhere on the way is a limit, of a library mostly: look for its largest message or frame.")
                .then("Have whoever has the limit close with 1009, as Fermata's max_message does.");
            (hop.detail(format!("{at} end the connection without a Close")), advice)
        }
    };
    hop.remark(usual.iter().fold(advice, |advice, usual| advice.then(format!("{usual}."))))
}

/// A size for people.
pub(super) fn size(bytes: usize) -> String {
    match bytes {
        16_384..1_048_576 => format!("{} KiB", bytes >> 10),
        1_048_576.. => format!("{} MiB", bytes >> 20),
        _ if bytes >= 1024 && bytes.is_multiple_of(1024) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} bytes"),
    }
}
