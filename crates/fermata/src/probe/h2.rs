//! The first words of HTTP/2, to learn whether a server takes WebSockets over it (RFC 8441). No more than that.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::stream::Stream;

/// The client's preface and an empty SETTINGS frame (RFC 9113 3.4, 6.5).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

const SETTINGS: u8 = 4;
const ACK: u8 = 1;

/// `SETTINGS_ENABLE_CONNECT_PROTOCOL` (RFC 8441 3).
const ENABLE_CONNECT_PROTOCOL: u16 = 8;

/// Frames that are read before a server's SETTINGS have to be among them; they should be the first.
const FRAMES: usize = 8;

/// What a server says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    /// Whether it takes WebSockets over HTTP/2.
    pub(super) websockets: bool,
}

/// Greets, and reads the server's SETTINGS; `None` when it doesn't speak HTTP/2 after all.
pub(super) async fn greet(stream: &mut Stream, deadline: Instant) -> Option<Settings> {
    timeout_at(deadline, async {
        stream.write_all(PREFACE).await.ok()?;
        stream.flush().await.ok()?;
        for _ in 0..FRAMES {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.ok()?;
            let [high, middle, low, kind, flags, ..] = head;
            let length = u32::from_be_bytes([0, high, middle, low]);
            // No SETTINGS are larger than the default frame size (RFC 9113 4.2).
            let mut payload = vec![0; usize::try_from(length).ok().filter(|length| *length <= 16_384)?];
            stream.read_exact(&mut payload).await.ok()?;
            if kind == SETTINGS && flags & ACK == 0 {
                return Some(Settings { websockets: enables_connect(&payload) });
            }
        }
        None
    })
    .await
    .ok()
    .flatten()
}

fn enables_connect(settings: &[u8]) -> bool {
    settings.chunks_exact(6).any(|setting| {
        let id = u16::from_be_bytes([setting[0], setting[1]]);
        let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
        id == ENABLE_CONNECT_PROTOCOL && value == 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_found_among_others() {
        assert!(enables_connect(&[0, 3, 0, 0, 0, 100, 0, 8, 0, 0, 0, 1]));
        assert!(!enables_connect(&[0, 3, 0, 0, 0, 100, 0, 8, 0, 0, 0, 0]));
        assert!(!enables_connect(&[]));
    }
}
