//! What holds a process that stays behind to the newest one: the one tells which of its tunnels have ended, the other which
//! are to be closed. When the newest closes its end, there is nothing left to stay for.
//!
//! Each word is one packet (unix(7), `SOCK_SEQPACKET`), so that the newest can hand its end on between any two.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::os::Readable;

/// No word is longer.
const LONGEST: usize = 64 * 1024;
/// A word that finds no room waits so long.
const BREATH: Duration = Duration::from_millis(10);

/// One end.
#[derive(Debug)]
pub struct Tie(Readable);

/// These tunnels have ended, says who stays behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaveEnded(pub Vec<u64>);

/// Some tunnels are to be closed, says the newest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AreToEnd {
    /// Of these numbers; empty for any.
    pub ids: Vec<u64>,
    /// To the service, or the instance, of this name.
    pub to: Option<String>,
    /// From this address.
    pub client: Option<IpAddr>,
    /// The close code that they are told.
    pub code: u16,
    /// And the reason.
    pub reason: String,
    /// Over this time.
    pub over: Duration,
}

impl Tie {
    /// Both ends: one to keep, one to hand over.
    pub fn pair() -> io::Result<(Tie, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (here, there) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Tie::new(here)?, there))
    }

    /// An end that was handed over.
    pub fn new(socket: OwnedFd) -> io::Result<Tie> {
        Readable::new(socket).map(Tie)
    }

    /// To hand it on.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Says something. Nobody may be there to hear it.
    pub async fn say(&self, said: &impl Serialize) {
        let Ok(word) = serde_json::to_vec(said) else { return };
        while let Err(Errno::AGAIN | Errno::INTR) = send(&self.0, &word, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            sleep(BREATH).await;
        }
    }

    /// Hears the next word; `None` when the other end is closed. What cannot be understood was not said.
    pub async fn hear<T: DeserializeOwned>(&self) -> Option<T> {
        loop {
            let mut readable = self.0.readable().await.ok()?;
            let mut word = vec![0; LONGEST];
            match recv(&self.0, &mut word[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => return None,
                Ok((length, _)) => {
                    if let Ok(said) = serde_json::from_slice(&word[..length]) {
                        return Some(said);
                    }
                }
                Err(Errno::AGAIN) => readable.clear_ready(),
                Err(Errno::INTR) => {}
                Err(_) => return None,
            }
        }
    }
}
