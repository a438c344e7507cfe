//! Every `unsafe` block of the program, each behind a safe type or function.
#![expect(unsafe_code, reason = "the one place where it may stand")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

/// A descriptor that tells when it can be read, and that cannot be taken out or exchanged.
#[derive(Debug)]
pub struct Readable(AsyncFd<OwnedFd>);

impl Readable {
    /// Registers the descriptor with the current runtime.
    pub fn new(descriptor: OwnedFd) -> io::Result<Readable> {
        // SAFETY: an `OwnedFd` is open and is the same descriptor until it is dropped, which it is with the `AsyncFd`:
        // nothing of this type gives it out by value or mutably.
        let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
        Ok(Readable(registered?))
    }

    /// Waits until it can be read; until the guard clears that, it stays so.
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, OwnedFd>> {
        self.0.readable().await
    }
}

impl AsFd for Readable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}
