//! What of a container's output has been given on: whoever listens next goes on there, in this process or in another.
//!
//! The engine gives pieces, each with the time at which it was written, and can be asked for those since a second. So a place in
//! the output is a second, and how many of its pieces have been heard.

use bollard::container::LogOutput;
use serde::{Deserialize, Serialize};

use super::clock::{now, seconds_since_1970};
use crate::run::event::Stream;
use crate::run::lines;

/// What has been heard, and the lines that have only begun.
#[derive(Debug, Default)]
pub(super) struct Heard {
    place: Place,
    said: Said,
}

/// The same, written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::run) struct HeardRecord {
    #[serde(flatten)]
    place: Place,
    /// By stream, where there is one.
    #[serde(default)]
    begun: Vec<(Stream, Vec<u8>)>,
}

/// A place in the output of a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// In seconds since 1970; its beginning where it is 0.
    pub(super) since: i32,
    /// So many of the pieces since then have been heard.
    #[serde(default)]
    pub(super) pieces: u32,
}

impl Heard {
    /// Whatever was written before is nobody's business.
    pub(super) fn from_now_on() -> Heard {
        Heard { place: Place { since: now(), pieces: 0 }, said: Said::default() }
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Takes a piece with its time in front.
    pub(super) fn hear(&mut self, piece: &LogOutput) {
        let (second, text) = timed(piece.as_ref());
        self.place.pass(second);
        self.said.hear(piece, text);
    }

    /// The next whole line.
    pub(super) fn next(&mut self) -> Option<(Stream, String)> {
        self.said.next()
    }

    /// Nothing comes any more.
    pub(super) fn last(&mut self) -> impl Iterator<Item = (Stream, String)> + use<> {
        std::mem::take(&mut self.said).last()
    }

    pub(super) fn record(&self) -> HeardRecord {
        HeardRecord { place: self.place, begun: self.said.begun() }
    }
}

impl From<HeardRecord> for Heard {
    fn from(record: HeardRecord) -> Heard {
        let mut said = Said::default();
        for (stream, begun) in record.begun {
            said.of(stream).push(&begun);
        }
        Heard { place: record.place, said }
    }
}

impl Place {
    /// A piece of this second has been heard. Two streams are written at once: one that is a little late belongs to a second
    /// that nobody asks for again.
    fn pass(&mut self, second: Option<i32>) {
        let Some(second) = second else { return };
        if second > self.since {
            *self = Place { since: second, pieces: 1 };
        } else if second == self.since {
            self.pieces += 1;
        }
    }
}

/// The second at which a piece was written, and what.
fn timed(piece: &[u8]) -> (Option<i32>, &[u8]) {
    let time = piece.iter().position(|byte| *byte == b' ').and_then(|end| {
        let second = seconds_since_1970(str::from_utf8(&piece[..end]).ok()?)?;
        Some((i32::try_from(second).ok()?, end + 1))
    });
    match time {
        Some((second, start)) => (Some(second), &piece[start..]),
        None => (None, piece),
    }
}

/// What a container writes, by stream, cut into lines.
#[derive(Debug, Default)]
pub(super) struct Said {
    out: lines::Cutter,
    err: lines::Cutter,
}

impl Said {
    pub(super) fn hear(&mut self, piece: &LogOutput, text: &[u8]) {
        let stream = if matches!(piece, LogOutput::StdErr { .. }) { Stream::Stderr } else { Stream::Stdout };
        self.of(stream).push(text);
    }

    fn of(&mut self, stream: Stream) -> &mut lines::Cutter {
        match stream {
            Stream::Stdout => &mut self.out,
            Stream::Stderr => &mut self.err,
        }
    }

    pub(super) fn next(&mut self) -> Option<(Stream, String)> {
        let out = self.out.next().map(|line| (Stream::Stdout, line));
        out.or_else(|| self.err.next().map(|line| (Stream::Stderr, line)))
    }

    /// What was begun and not ended.
    pub(super) fn last(self) -> impl Iterator<Item = (Stream, String)> {
        let both = [(Stream::Stdout, self.out), (Stream::Stderr, self.err)];
        both.into_iter().filter_map(|(stream, cutter)| Some((stream, cutter.last()?)))
    }

    fn begun(&self) -> Vec<(Stream, Vec<u8>)> {
        let both = [(Stream::Stdout, self.out.begun()), (Stream::Stderr, self.err.begun())];
        both.into_iter().filter(|(_, begun)| !begun.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(time: &str, text: &str) -> LogOutput {
        LogOutput::StdOut { message: format!("{time} {text}").into() }
    }

    #[test]
    fn a_place_is_a_second_and_how_many_of_its_pieces_were_heard() {
        let mut heard = Heard::default();
        let mut places = Vec::new();
        for time in ["00:00:07.000000001", "00:00:07.5", "00:00:09.1", "00:00:08.999999999", "00:00:09.1"] {
            heard.hear(&piece(&format!("1970-01-01T{time}Z"), "text\n"));
            places.push((heard.place().since, heard.place().pieces));
        }
        assert_eq!(places, [(7, 1), (7, 2), (9, 1), (9, 1), (9, 2)]);
    }

    #[test]
    fn a_line_that_has_begun_is_ended_by_whoever_listens_next() {
        let mut heard = Heard::default();
        heard.hear(&piece("1970-01-01T00:00:07Z", "a whole line\nthe beginning of "));
        assert_eq!(heard.next(), Some((Stream::Stdout, "a whole line".to_owned())));
        assert_eq!(heard.next(), None);
        let record = serde_json::to_string(&heard.record()).unwrap();
        let mut other = Heard::from(serde_json::from_str::<HeardRecord>(&record).unwrap());
        assert_eq!(other.place(), heard.place());
        other.hear(&piece("1970-01-01T00:00:07Z", "another\n"));
        assert_eq!(other.next(), Some((Stream::Stdout, "the beginning of another".to_owned())));
    }

    #[test]
    fn another_fermata_may_know_of_seconds_alone() {
        let record: HeardRecord = serde_json::from_str("{\"since\": 7}").unwrap();
        assert_eq!(Heard::from(record).place(), Place { since: 7, pieces: 0 });
    }

    #[test]
    fn a_piece_without_a_time_is_all_text() {
        let mut heard = Heard::default();
        heard.hear(&LogOutput::Console { message: "no time here\n".into() });
        assert_eq!(heard.next(), Some((Stream::Stdout, "no time here".to_owned())));
        assert_eq!(heard.place(), Place::default());
    }
}
