//! Bytes that a process writes, cut into lines of bounded length.
//!
//! How the bytes arrived, in how many pieces, changes nothing. Whatever is not UTF-8 is shown as U+FFFD.

use std::io;
use std::pin::pin;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest line; what is longer comes in pieces.
pub const LONGEST: usize = 16 * 1024;

/// What is left of a stream that is not read any more.
pub(super) enum Rest {
    /// Nothing: it has ended.
    End,
    /// There may be more, and a line has begun with these bytes.
    Begun(Vec<u8>),
}

/// Reads `source`, of which `begun` has been read already, to its end, or until it is `held`, and gives each line to
/// `give`.
pub(super) async fn read<G: Future>(
    mut source: impl AsyncRead + Unpin,
    begun: Vec<u8>,
    mut give: impl FnMut(String) -> G,
    held: impl Future<Output = ()>,
) -> io::Result<Rest> {
    let mut held = pin!(held);
    let mut cutter = Cutter { bytes: begun, ..Cutter::default() };
    let mut bytes = vec![0; 8 * 1024];
    loop {
        let read = tokio::select! {
            biased;
            () = &mut held => return Ok(Rest::Begun(cutter.begun())),
            read = source.read(&mut bytes) => read,
        };
        let length = match read {
            Ok(0) => break,
            Ok(length) => length,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
            Err(err) => return Err(err),
        };
        cutter.push(&bytes[..length]);
        while let Some(line) = cutter.next() {
            give(line).await;
        }
    }
    if let Some(line) = cutter.last() {
        give(line).await;
    }
    Ok(Rest::End)
}

/// Bytes that are no line yet.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    bytes: Vec<u8>,
    /// Where the next line starts: what stands before it has been given.
    start: usize,
    /// Up to where no line end was found.
    seen: usize,
}

impl Cutter {
    pub(super) fn push(&mut self, more: &[u8]) {
        self.bytes.drain(..self.start);
        self.seen -= self.start;
        self.start = 0;
        self.bytes.extend_from_slice(more);
    }

    pub(super) fn next(&mut self) -> Option<String> {
        let within = self.bytes.len().min(self.start + LONGEST + 1);
        let line_end = self.bytes[self.seen..within].iter().position(|byte| *byte == b'\n');
        if let Some(end) = line_end.map(|found| self.seen + found) {
            return Some(self.take(end, end + 1));
        }
        if self.bytes.len() > self.start + LONGEST {
            let end = self.start + whole_letters(&self.bytes[self.start..self.start + LONGEST]);
            return Some(self.take(end, end));
        }
        self.seen = within;
        None
    }

    /// The beginning of the next line.
    pub(super) fn begun(&self) -> Vec<u8> {
        self.bytes[self.start..].to_vec()
    }

    pub(super) fn last(mut self) -> Option<String> {
        let end = self.bytes.len();
        (end > self.start).then(|| self.take(end, end))
    }

    /// The line that ends at `end`; the next starts at `next`.
    fn take(&mut self, end: usize, next: usize) -> String {
        let line = &self.bytes[self.start..end];
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
        self.start = next;
        self.seen = next;
        line
    }
}

/// How much of `bytes` can be cut off without tearing a UTF-8 sequence, which has four bytes at most (RFC 3629 3).
fn whole_letters(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(3);
    for start in tail..bytes.len() {
        let unfinished =
            std::str::from_utf8(&bytes[start..]).is_err_and(|err| err.valid_up_to() == 0 && err.error_len().is_none());
        if unfinished {
            return start;
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut cutter = Cutter::default();
        let mut lines = Vec::new();
        for piece in pieces {
            cutter.push(piece);
            lines.extend(std::iter::from_fn(|| cutter.next()));
        }
        lines.extend(cutter.last());
        lines
    }

    #[test]
    fn lines_end_with_a_newline_or_with_the_stream() {
        assert_eq!(lines(&[b"one\ntwo\r\n\nlast"]), ["one", "two", "", "last"]);
        assert_eq!(lines(&[b"one\n"]), ["one"]);
        assert_eq!(lines(&[]), [""; 0]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        assert_eq!(lines(&[b"a\xff\xfeb\n\xe4\n"]), ["a\u{fffd}\u{fffd}b", "\u{fffd}"]);
    }

    #[test]
    fn a_line_without_end_comes_in_pieces_that_tear_no_letter() {
        let mut text = "x".repeat(LONGEST - 1);
        text.push_str("€uro");
        text.push_str(&"y".repeat(2 * LONGEST));
        let lines = lines(&[text.as_bytes()]);
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [LONGEST - 1, LONGEST, LONGEST, 6]);
        assert_eq!(lines.concat(), text);
    }

    #[test]
    fn a_line_of_the_longest_length_is_whole() {
        let text = format!("{}\nb\n", "a".repeat(LONGEST));
        assert_eq!(lines(&[text.as_bytes()]), [&text[..LONGEST], "b"]);
    }

    #[test]
    fn the_lines_do_not_depend_on_how_the_bytes_were_cut() {
        let mut random = fastrand::Rng::with_seed(7);
        let letters: [&[u8]; 6] = [b"a", b"\n", b"\r\n", "€".as_bytes(), b"\xff", b"\xf0\x9f"];
        let mut text = Vec::new();
        for _ in 0..40 {
            let run = random.usize(1..LONGEST);
            let letter = letters[random.usize(..letters.len())];
            text.extend(letter.repeat(run / letter.len() / if letter == b"\n" { 100 } else { 1 } + 1));
        }
        let whole = lines(&[&text]);
        for _ in 0..20 {
            let mut rest = &text[..];
            let mut pieces = Vec::new();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(random.usize(1..=rest.len().min(9000)));
                pieces.push(piece);
                rest = after;
            }
            assert!(lines(&pieces) == whole, "other lines than those of the bytes in one piece");
        }
    }
}
