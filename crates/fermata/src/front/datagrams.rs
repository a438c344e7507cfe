//! Raw UDP: each client's datagrams go to one instance, and its answers back, from the public port's own socket.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::route::{Lease, Table, Target, Wish};

/// A client that is silent this long is forgotten: as long as nginx's `proxy_timeout` for UDP would be sensible, and what
/// conntrack grants a stream (`nf_conntrack_udp_timeout_stream`, 120 s).
const SILENCE: Duration = Duration::from_mins(2);
/// Clients at once on one port; more are not served, since each needs a descriptor.
const CLIENTS: usize = 4096;
/// The largest payload of a datagram over IPv4 (RFC 768, RFC 791).
const LARGEST: usize = 65_507;

/// One client and the socket that is its own toward the service.
struct Session {
    upstream: Rc<UdpSocket>,
    heard: Rc<std::cell::Cell<Instant>>,
    lease: Rc<Lease>,
}

/// Forwards until it is dropped.
pub async fn forward(public: UdpSocket, table: Arc<ArcSwap<Table>>) {
    let public = Rc::new(public);
    let Ok(port) = public.local_addr().map(|address| address.port()) else { return };
    let mut sessions: HashMap<SocketAddr, Session> = HashMap::new();
    let mut answers: JoinSet<SocketAddr> = JoinSet::new();
    let mut datagram = vec![0; LARGEST];
    loop {
        let received = tokio::select! {
            received = public.recv_from(&mut datagram) => received,
            Some(over) = answers.join_next() => {
                if let Ok(client) = over {
                    sessions.remove(&client);
                }
                continue;
            }
        };
        // An error is an ICMP answer to something sent earlier (udp(7)).
        let Ok((length, client)) = received else { continue };
        if let std::collections::hash_map::Entry::Vacant(vacant) = match sessions.len() < CLIENTS {
            true => sessions.entry(client),
            false if sessions.contains_key(&client) => sessions.entry(client),
            false => continue,
        } {
            let Some(session) = open(&table.load(), port, client).await else { continue };
            let (upstream, heard, lease) = (session.upstream.clone(), session.heard.clone(), session.lease.clone());
            answers.spawn_local(answer(public.clone(), upstream, client, heard, lease));
            vacant.insert(session);
        }
        if let Some(session) = sessions.get(&client) {
            session.heard.set(Instant::now());
            // A datagram that cannot be sent is a lost one.
            let _ = session.upstream.send(&datagram[..length]).await;
        }
    }
}

async fn open(table: &Table, port: u16, client: SocketAddr) -> Option<Session> {
    let lease = table.find(port, "")?.pick(&Wish::of(client.ip()), &[])?;
    let upstream = connect(lease.target()).await.ok()?;
    Some(Session {
        upstream: Rc::new(upstream),
        heard: Rc::new(std::cell::Cell::new(Instant::now())),
        lease: Rc::new(lease),
    })
}

async fn connect(target: &Target) -> io::Result<UdpSocket> {
    let bind = |service: SocketAddr| {
        if service.is_ipv4() { SocketAddr::from(([0, 0, 0, 0], 0)) } else { SocketAddr::from(([0u16; 8], 0)) }
    };
    let service = match target {
        Target::Ip(address) => *address,
        Target::Name(name, port) => tokio::net::lookup_host((name.as_str(), *port))
            .await?
            .next()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?,
        Target::Unix(_) => return Err(io::ErrorKind::Unsupported.into()),
    };
    let socket = UdpSocket::bind(bind(service)).await?;
    socket.connect(service).await?;
    Ok(socket)
}

/// Sends a service's datagrams to its client until both are silent.
async fn answer(
    public: Rc<UdpSocket>,
    upstream: Rc<UdpSocket>,
    client: SocketAddr,
    heard: Rc<std::cell::Cell<Instant>>,
    _lease: Rc<Lease>,
) -> SocketAddr {
    let mut datagram = vec![0; LARGEST];
    loop {
        match timeout_at(heard.get() + SILENCE, upstream.recv(&mut datagram)).await {
            Ok(Ok(length)) => {
                heard.set(Instant::now());
                let _ = public.send_to(&datagram[..length], client).await;
            }
            // Nothing listens there now (ICMP); it may again.
            Ok(Err(_)) => tokio::task::yield_now().await,
            Err(_) if heard.get().elapsed() >= SILENCE => return client,
            Err(_) => {}
        }
    }
}
