//! The floor: a forwarder of bytes that knows nothing of what they mean. No proxy in user space can do less: wait, read,
//! write. One thread, one epoll, edge-triggered, one buffer of 64 KiB.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::net::sockopt;
use slab::Slab;

use crate::machine;
use crate::wire::{recv, send};

const BUFFER: usize = 64 * 1024;
const LISTENER: u64 = u64::MAX;

struct Pair {
    /// The client's and the service's.
    sockets: [OwnedFd; 2],
    /// What each could not take yet.
    pending: [Vec<u8>; 2],
}

struct Floor {
    epoll: OwnedFd,
    listener: TcpListener,
    service: String,
    pairs: Slab<Pair>,
    buffer: Vec<u8>,
}

/// Forwards until it is killed.
pub(crate) fn run(listen: SocketAddr, service: &str) -> io::Result<()> {
    machine::raise_descriptors()?;
    let listener = TcpListener::bind(listen)?;
    rustix::net::listen(&listener, 4096)?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut floor = Floor { epoll, listener, service: service.to_owned(), pairs: Slab::new(), buffer: vec![0; BUFFER] };
    let mut events: Vec<Event> = Vec::with_capacity(256);
    loop {
        events.clear();
        epoll::wait(&floor.epoll, spare_capacity(&mut events), None)?;
        for event in &events {
            let (data, flags) = (event.data.u64(), event.flags);
            if data == LISTENER {
                floor.accept()?;
            } else if floor.event((data >> 1) as usize, (data & 1) as usize, flags).is_err() {
                floor.end((data >> 1) as usize);
            }
        }
    }
}

impl Floor {
    fn accept(&mut self) -> io::Result<()> {
        while let Ok((client, _)) = self.listener.accept() {
            client.set_nodelay(true)?;
            client.set_nonblocking(true)?;
            let service: OwnedFd = if let Some(path) = self.service.strip_prefix("unix:") {
                UnixStream::connect(path)?.into()
            } else {
                let service = TcpStream::connect(&self.service)?;
                service.set_nodelay(true)?;
                service.into()
            };
            rustix::io::ioctl_fionbio(&service, true)?;
            let slot = self.pairs.insert(Pair { sockets: [client.into(), service], pending: [Vec::new(), Vec::new()] });
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            for (side, socket) in self.pairs[slot].sockets.iter().enumerate() {
                epoll::add(&self.epoll, socket, EventData::new_u64((slot << 1 | side) as u64), flags)?;
            }
        }
        Ok(())
    }

    fn event(&mut self, slot: usize, side: usize, flags: EventFlags) -> io::Result<()> {
        let Some(pair) = self.pairs.get_mut(slot) else { return Ok(()) };
        if flags.contains(EventFlags::OUT) && !pair.pending[side].is_empty() {
            if let Some(sent) = send(&pair.sockets[side], &pair.pending[side])? {
                pair.pending[side].drain(..sent);
            }
            if pair.pending[side].is_empty() {
                pair.pending[side] = Vec::new();
                self.forward(slot, 1 - side, true)?;
            }
        }
        let ends = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        if flags.intersects(EventFlags::IN | ends) {
            self.forward(slot, side, flags.intersects(ends))?;
        }
        Ok(())
    }

    /// A short read is the last, unless an end may come behind it.
    fn forward(&mut self, slot: usize, from: usize, until_empty: bool) -> io::Result<()> {
        let Some(pair) = self.pairs.get_mut(slot) else { return Ok(()) };
        while pair.pending[1 - from].is_empty() {
            let Some(read) = recv(&pair.sockets[from], &mut self.buffer)? else { return Ok(()) };
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let sent = send(&pair.sockets[1 - from], &self.buffer[..read])?.unwrap_or(0);
            if sent < read {
                pair.pending[1 - from] = self.buffer[sent..read].to_vec();
            }
            if read < self.buffer.len() && !until_empty {
                return Ok(());
            }
        }
        Ok(())
    }

    fn end(&mut self, slot: usize) {
        if let Some(pair) = self.pairs.try_remove(slot) {
            for socket in &pair.sockets {
                let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
            }
        }
    }
}
