//! Raw UDP: each client's datagrams go to one instance, and its answers back, from the public port's own socket.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::UdpSocket;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout_at};

use crate::net::Own;
use crate::route::{Asked, Hop, Lease, Table, Target, Wish};

/// A client that is silent this long is forgotten: what conntrack grants a stream (`nf_conntrack_udp_timeout_stream`, 120 s).
const SILENCE: Duration = Duration::from_mins(2);
/// Clients at once on one port; more are not served, since each needs a descriptor.
const CLIENTS: usize = 4096;
/// The largest payload of a datagram over IPv4 (RFC 768, RFC 791).
const LARGEST: usize = 65_507;

/// One client and the socket that is its own toward the service.
struct Session {
    upstream: Rc<UdpSocket>,
    heard: Rc<Cell<Instant>>,
    answering: AbortHandle,
}

/// A public port and its clients.
struct Port {
    public: Rc<UdpSocket>,
    number: u16,
    table: Arc<ArcSwap<Table>>,
    sessions: HashMap<SocketAddr, Session>,
    answering: JoinSet<SocketAddr>,
    /// For one answer at a time, of whichever session.
    scratch: Rc<RefCell<Vec<u8>>>,
}

/// Forwards until it is dropped.
pub async fn forward(public: UdpSocket, table: Arc<ArcSwap<Table>>) {
    let Ok(address) = public.local_addr() else { return };
    let mut port = Port {
        public: Rc::new(public),
        number: address.port(),
        table,
        sessions: HashMap::new(),
        answering: JoinSet::new(),
        scratch: Rc::new(RefCell::new(vec![0; LARGEST])),
    };
    let mut datagram = vec![0; LARGEST];
    loop {
        tokio::select! {
            // An error is an ICMP answer to something sent earlier (udp(7)).
            received = port.public.recv_from(&mut datagram) => if let Ok((length, client)) = received {
                port.carry(&datagram[..length], client).await;
            },
            Some(over) = port.answering.join_next_with_id() => if let Ok((task, client)) = over {
                // It may have been replaced meanwhile.
                port.sessions.retain(|known, session| *known != client || session.answering.id() != task);
            },
        }
    }
}

impl Port {
    /// Carries a client's datagram to its instance. One that cannot be carried is a lost one.
    async fn carry(&mut self, datagram: &[u8], client: SocketAddr) {
        let Some(session) = self.session(client).await else { return };
        session.heard.set(Instant::now());
        if session.upstream.send(datagram).await.is_err() {
            // Nothing listens there: the next datagram may go to another instance.
            session.answering.abort();
            self.sessions.remove(&client);
        }
    }

    async fn session(&mut self, client: SocketAddr) -> Option<&Session> {
        if !self.sessions.contains_key(&client) {
            if self.sessions.len() >= CLIENTS {
                return None;
            }
            let (lease, own) = {
                let table = self.table.load();
                let route = table.find(self.number, "")?;
                let own = (route.hop == Hop::Gateway).then(|| Own::new(table.gateway.clone(), table.listening()));
                (route.pick(Asked::Other, &Wish::of(client.ip()), &[])?, own)
            };
            let upstream = Rc::new(connect(lease.target(), own.as_ref()).await.ok()?);
            let heard = Rc::new(Cell::new(Instant::now()));
            let answers = Answers {
                public: self.public.clone(),
                upstream: upstream.clone(),
                client,
                heard: heard.clone(),
                scratch: self.scratch.clone(),
                _lease: lease,
            };
            let answering = self.answering.spawn_local(answers.pass());
            self.sessions.insert(client, Session { upstream, heard, answering });
        }
        self.sessions.get(&client)
    }
}

/// Toward an instance, and never to ourselves where we are told who that is.
async fn connect(target: &Target, own: Option<&Own>) -> io::Result<UdpSocket> {
    let service = match target {
        Target::Ip(address) => *address,
        Target::Name(name, port) => {
            let mut found = tokio::net::lookup_host((name.as_str(), *port)).await?;
            let first = match own {
                Some(own) => own.others(name, found).0.first().copied(),
                None => found.next(),
            };
            first.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?
        }
        Target::Unix(_) => return Err(io::ErrorKind::Unsupported.into()),
    };
    let any = if service.is_ipv4() { SocketAddr::from(([0; 4], 0)) } else { SocketAddr::from(([0u16; 8], 0)) };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(service).await?;
    Ok(socket)
}

/// What comes from a service for one client.
struct Answers {
    public: Rc<UdpSocket>,
    upstream: Rc<UdpSocket>,
    client: SocketAddr,
    heard: Rc<Cell<Instant>>,
    scratch: Rc<RefCell<Vec<u8>>>,
    _lease: Lease,
}

impl Answers {
    /// Passes them on until both are silent, or nothing listens there any more; returns whose they were.
    async fn pass(self) -> SocketAddr {
        loop {
            match timeout_at(self.heard.get() + SILENCE, self.upstream.readable()).await {
                Ok(Ok(())) if self.pass_one().is_ok() => {}
                Err(_) if self.heard.get().elapsed() < SILENCE => {}
                // The kernel says that nobody is there (ICMP), or nobody has spoken for long.
                _ => return self.client,
            }
        }
    }

    fn pass_one(&self) -> io::Result<()> {
        let mut datagram = self.scratch.borrow_mut();
        match self.upstream.try_recv(&mut datagram) {
            Ok(length) => {
                self.heard.set(Instant::now());
                // What the kernel cannot take now is lost, as it would be on the way.
                let _ = self.public.try_send_to(&datagram[..length], self.client);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}
