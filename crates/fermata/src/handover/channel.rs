//! What two processes speak through: a socket that carries texts, bytes and descriptors (unix(7), `SCM_RIGHTS`).
//!
//! Each message is its lengths, a JSON text, and bytes that belong to it; its descriptors come along with its first bytes.
//! What comes in is bounded, and trusted only as far as it can be read.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Descriptors that the kernel carries at once at most (`SCM_MAX_FD`, unix(7)).
const AT_ONCE: usize = 253;
/// A message's lengths: of the text, of the bytes, and how many descriptors.
const HEAD: usize = 12;
/// Neither part of a message is longer.
const LONGEST: usize = 256 * 1024 * 1024;
/// How much is read at once.
const READ: usize = 64 * 1024;

/// One end of it.
#[derive(Debug)]
pub struct Channel {
    socket: UnixStream,
    came: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

/// What was said, and what came with it.
#[derive(Debug)]
pub struct Message<T> {
    /// The text, read.
    pub said: T,
    /// The bytes that belong to it.
    pub bytes: Vec<u8>,
    /// The descriptors that belong to it.
    pub descriptors: Vec<OwnedFd>,
}

impl Channel {
    /// Two ends; the other one is for another process.
    pub fn pair() -> io::Result<(Channel, OwnedFd)> {
        let (here, there) = std::os::unix::net::UnixStream::pair()?;
        Ok((Channel::new(here.into())?, there.into()))
    }

    /// The end that another process made.
    pub fn new(socket: OwnedFd) -> io::Result<Channel> {
        let socket = std::os::unix::net::UnixStream::from(socket);
        // Not everything that may come as a descriptor is one end of a socket.
        socket.local_addr()?;
        socket.set_nonblocking(true)?;
        Ok(Channel { socket: UnixStream::from_std(socket)?, came: Vec::new(), descriptors: VecDeque::new() })
    }

    /// Says something that nothing belongs to.
    pub async fn say(&mut self, said: &impl Serialize) -> io::Result<()> {
        self.send(said, &[], &[]).await
    }

    /// Says something, with what belongs to it.
    pub async fn send(
        &mut self,
        said: &impl Serialize,
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let text = serde_json::to_vec(said)?;
        let mut message = Vec::with_capacity(HEAD + text.len() + bytes.len());
        for length in [text.len(), bytes.len(), descriptors.len()] {
            let length = u32::try_from(length).map_err(io::Error::other)?;
            message.extend_from_slice(&length.to_be_bytes());
        }
        message.extend_from_slice(&text);
        message.extend_from_slice(bytes);
        let (mut rest, mut groups) = (&message[..], descriptors.chunks(AT_ONCE).peekable());
        while let Some(group) = groups.next() {
            // Each group goes along with a byte at least; the last with all that is left.
            let length = if groups.peek().is_some() { 1 } else { rest.len() };
            let sent = self.write(&rest[..length], group).await?;
            rest = &rest[sent..];
        }
        while !rest.is_empty() {
            let sent = self.write(rest, &[]).await?;
            rest = &rest[sent..];
        }
        Ok(())
    }

    async fn write(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(AT_ONCE))];
        self.socket
            .async_io(Interest::WRITABLE, || {
                let mut control = SendAncillaryBuffer::new(&mut space);
                if !descriptors.is_empty() {
                    control.push(SendAncillaryMessage::ScmRights(descriptors));
                }
                let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
                Ok(sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut control, flags)?)
            })
            .await
    }

    /// Hears the next message; `None` once the other end is gone.
    pub async fn hear<T: DeserializeOwned>(&mut self) -> io::Result<Option<Message<T>>> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            if self.read().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// The next message, if all of it has come.
    fn take<T: DeserializeOwned>(&mut self) -> io::Result<Option<Message<T>>> {
        let Some(head) = self.came.first_chunk::<HEAD>() else { return Ok(None) };
        let [text, bytes, descriptors] = [0, 4, 8].map(|at| {
            let length = [head[at], head[at + 1], head[at + 2], head[at + 3]];
            u32::from_be_bytes(length) as usize
        });
        if text > LONGEST || bytes > LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message is longer than any that is sent"));
        }
        if self.came.len() < HEAD + text + bytes {
            return Ok(None);
        }
        let rest = self.came.split_off(HEAD + text + bytes);
        let message = std::mem::replace(&mut self.came, rest);
        let (text, bytes) = message[HEAD..].split_at(text);
        if descriptors > self.descriptors.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message has lost its descriptors"));
        }
        let descriptors = self.descriptors.drain(..descriptors).collect();
        Ok(Some(Message { said: serde_json::from_slice(text)?, bytes: bytes.to_vec(), descriptors }))
    }

    async fn read(&mut self) -> io::Result<usize> {
        let mut bytes = vec![0; READ];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(AT_ONCE))];
        let descriptors = &mut self.descriptors;
        let socket = self.socket.as_fd();
        let received = self
            .socket
            .async_io(Interest::READABLE, || {
                let mut control = RecvAncillaryBuffer::new(&mut space);
                let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
                let received = recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)?;
                for message in control.drain() {
                    if let RecvAncillaryMessage::ScmRights(rights) = message {
                        descriptors.extend(rights);
                    }
                }
                Ok(received)
            })
            .await?;
        if received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(io::Error::other("this process may not have so many descriptors (see ulimit -n)"));
        }
        self.came.extend_from_slice(&bytes[..received.bytes]);
        Ok(received.bytes)
    }
}
