//! How far the body of a request goes (RFC 9112 6): followed as the bytes pass, so that nothing of the next request is
//! taken for this one's body, or the other way round.
//!
//! It copies and keeps nothing, and is stricter than it needs to be: what two readers could read in two ways is broken.

/// Bytes of chunk extensions and trailers that one body may have.
const EXTRAS: usize = 16 * 1024;
/// Digits of a chunk's size: as many as 64 bits have.
const DIGITS: u8 = 16;

/// What is still to come of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Extent {
    /// This many bytes.
    Length(u64),
    /// Chunks (RFC 9112 7.1).
    Chunked(Chunks),
}

/// A body that breaks the chunked coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

impl Extent {
    /// A body in chunks.
    pub(super) fn chunked() -> Extent {
        Extent::Chunked(Chunks { place: Place::Size(0), size: 0, extras: 0 })
    }

    /// Whether nothing is to come.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Extent::Length(left) => *left == 0,
            Extent::Chunked(chunks) => chunks.place == Place::Over,
        }
    }

    /// How many of the bytes that come now are the body's.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        match self {
            Extent::Length(left) => Ok(take(left, bytes)),
            Extent::Chunked(chunks) => chunks.take(bytes),
        }
    }
}

fn take(left: &mut u64, bytes: &[u8]) -> usize {
    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left -= taken as u64;
    taken
}

/// How far a chunked body has been followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunks {
    place: Place,
    /// The chunk's size, and then what is left of it.
    size: u64,
    /// Bytes that mean nothing here.
    extras: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Among the size's digits, of which there have been so many.
    Size(u8),
    /// Behind them: blanks, then perhaps an extension.
    Blanks,
    Extension,
    SizeLf,
    Bytes,
    BytesCr,
    BytesLf,
    /// Where a trailer begins, or the empty line.
    LineStart,
    Trailer,
    TrailerLf,
    EndLf,
    Over,
}

impl Chunks {
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let mut at = 0;
        while at < bytes.len() && self.place != Place::Over {
            if self.place == Place::Bytes {
                at += take(&mut self.size, &bytes[at..]);
                if self.size == 0 {
                    self.place = Place::BytesCr;
                }
            } else {
                self.place = self.step(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8) -> Result<Place, Broken> {
        Ok(match (self.place, byte) {
            (Place::Size(1..) | Place::Blanks | Place::Extension, b'\r') => Place::SizeLf,
            (Place::Size(1..) | Place::Blanks, b' ' | b'\t') => self.extra(Place::Blanks)?,
            (Place::Size(1..) | Place::Blanks, b';') => self.extra(Place::Extension)?,
            (Place::Size(digits @ 0..DIGITS), _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                self.size = self.size << 4 | u64::from(digit);
                Place::Size(digits + 1)
            }
            (Place::SizeLf, b'\n') if self.size == 0 => Place::LineStart,
            (Place::SizeLf, b'\n') => Place::Bytes,
            (Place::BytesCr, b'\r') => Place::BytesLf,
            (Place::BytesLf, b'\n') => Place::Size(0),
            (Place::LineStart, b'\r') => Place::EndLf,
            (Place::EndLf, b'\n') => Place::Over,
            (Place::Trailer, b'\r') => Place::TrailerLf,
            (Place::TrailerLf, b'\n') => Place::LineStart,
            (Place::Extension, byte) if byte != b'\n' => self.extra(Place::Extension)?,
            (Place::LineStart | Place::Trailer, byte) if byte != b'\n' => self.extra(Place::Trailer)?,
            _ => return Err(Broken),
        })
    }

    /// Goes on at `place`, if there may be one more byte of what nobody needs.
    fn extra(&mut self, place: Place) -> Result<Place, Broken> {
        self.extras += 1;
        if self.extras > EXTRAS { Err(Broken) } else { Ok(place) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is the body's of `bytes`, given whole and byte by byte.
    fn body(bytes: &str) -> Option<&str> {
        let mut whole = Extent::chunked();
        let at_once = whole.take(bytes.as_bytes()).map(|taken| (taken, whole.is_over()));
        let mut piecewise = Extent::chunked();
        let mut bytewise = Ok((0, false));
        for byte in bytes.as_bytes().chunks(1) {
            bytewise = bytewise.and_then(|(taken, _)| {
                let more = piecewise.take(byte)?;
                Ok((taken + more, piecewise.is_over()))
            });
        }
        assert_eq!(at_once, bytewise, "{bytes:?}");
        at_once.ok().map(|(taken, over)| {
            assert_eq!(over, taken < bytes.len() || bytes.ends_with("\r\n\r\n"), "{bytes:?}");
            &bytes[..taken]
        })
    }

    #[test]
    fn a_chunked_body_ends_behind_its_empty_line() {
        for whole in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "00a ;name=\"a value\"\r\n0123456789\r\n0;last\r\nSum: 1\r\nOther: 2\r\n\r\n",
            "E\r\n\r\n\r\n0\r\n\r\n\r\n012\r\n0\r\n\r\n",
        ] {
            assert_eq!(body(&format!("{whole}GET / HTTP/1.1\r\n")), Some(whole));
        }
        assert_eq!(body("5\r\nhel"), Some("5\r\nhel"));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_broken() {
        for broken in [
            "\r\n",
            ";a\r\n",
            " 5\r\nhello\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5\rhello",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhelloo\r\n",
            "5 5\r\n",
            "0x5\r\n",
            "-1\r\n",
            "5;a\nb\r\n",
            "00000000000000005\r\n",
            "0\r\nTrailer: a\nb\r\n\r\n",
            "0\r\n\n",
        ] {
            assert_eq!(body(broken), None, "{broken:?}");
        }
        let mut endless = Extent::chunked();
        assert_eq!(endless.take(b"5;"), Ok(2));
        assert_eq!(endless.take(&[b'x'; EXTRAS]), Err(Broken));
    }

    #[test]
    fn a_length_is_counted_down() {
        let mut extent = Extent::Length(5);
        assert_eq!(extent.take(b"hel"), Ok(3));
        assert!(!extent.is_over());
        assert_eq!(extent.take(b"lo, GET"), Ok(2));
        assert!(extent.is_over());
    }
}
