//! The end of a connection: the last word has to arrive.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::net::Leg;

/// A peer that says nothing for this long has heard all it wanted to hear.
const SILENCE: Duration = Duration::from_secs(2);
/// A peer that goes on sending gets this long to notice: nginx's `lingering_time`.
const LINGER: Duration = Duration::from_secs(30);

/// Says a last word (or none) and closes. What still comes is read and thrown away: closing a socket with unread bytes
/// resets the connection, which takes the last word away again (RFC 1122 4.2.2.13).
pub async fn goodbye(mut leg: Leg, word: &[u8]) {
    let said = async {
        leg.write_all(word).await?;
        leg.shutdown().await?;
        loop {
            match timeout(SILENCE, leg.fill()).await {
                Ok(Ok(1..)) => leg.used(leg.unread().len()),
                Ok(end) => return end.map(drop),
                Err(_) => return Ok(()),
            }
        }
    };
    // A peer that is gone already needs no word: there is nobody to tell of an error either.
    let _: Result<std::io::Result<()>, _> = timeout(LINGER, said).await;
}
