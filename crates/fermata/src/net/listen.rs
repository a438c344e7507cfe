//! Listeners: bound public ports, made once and shared by all threads.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use super::holder::{self, Holder};

/// Connections that wait to be accepted; the kernel clips it to `net.core.somaxconn` (listen(2)).
const BACKLOG: i32 = 4096;

/// What the kernel may buffer of one connection in each direction, before it doubles and clips it (socket(7)). Without a cap
/// a peer that never reads makes it grow to megabytes (tcp(7), `tcp_rmem`, `tcp_wmem`).
pub(super) const SOCKET_BUFFER: usize = 256 * 1024;

/// A bound public port, not yet accepting.
#[derive(Debug)]
pub enum Listener {
    /// HTTP, HTTPS or raw TCP.
    Tcp(TcpListener),
    /// Raw UDP.
    Udp(UdpSocket),
}

/// Which transport a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Why a port could not be bound.
#[derive(Debug)]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
    holder: Option<Holder>,
}

impl BindError {
    /// Which address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the system said.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Who has it, where that can be seen.
    pub fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BindError { address, source, holder } = self;
        write!(out, "cannot listen on {address}: ")?;
        match source.kind() {
            io::ErrorKind::AddrInUse => match holder {
                Some(holder) => {
                    write!(out, "the port is taken by {holder}; end that process or choose another public port")
                }
                None => out.write_str("the port is taken by another process; end it or choose another public port"),
            },
            io::ErrorKind::PermissionDenied => out.write_str(
                "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE (setcap cap_net_bind_service=+ep)",
            ),
            io::ErrorKind::AddrNotAvailable => {
                out.write_str("this machine has no such address; see gateway.bind in the file")
            }
            _ => source.fmt(out),
        }
    }
}

impl std::error::Error for BindError {}

/// Binds a public port on one address.
pub fn bind(address: SocketAddr, transport: Transport) -> Result<Listener, BindError> {
    open(address, transport).map_err(|source| {
        let holder =
            (source.kind() == io::ErrorKind::AddrInUse).then(|| holder::of(address.port(), transport)).flatten();
        BindError { address, source, holder }
    })
}

/// Whether an address is one of this machine: the kernel goes there from itself. Nothing is sent.
pub fn is_local(ip: IpAddr) -> bool {
    let any = if ip.is_ipv4() { SocketAddr::from(([0; 4], 0)) } else { SocketAddr::from(([0u16; 8], 0)) };
    // 9 is `discard` (RFC 863): any port does.
    let connected = UdpSocket::bind(any).and_then(|socket| socket.connect((ip, 9)).and_then(|()| socket.local_addr()));
    ip.is_loopback() || connected.is_ok_and(|own| own.ip() == ip)
}

/// Whether this machine can bind IPv6 at all.
pub fn has_ipv6() -> bool {
    bind(SocketAddr::from(([0u16; 8], 0)), Transport::Udp).is_ok()
}

fn open(address: SocketAddr, transport: Transport) -> io::Result<Listener> {
    let (kind, protocol) = match transport {
        Transport::Tcp => (Type::STREAM, Protocol::TCP),
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
    };
    let socket = Socket::new(Domain::for_address(address), kind.nonblocking(), Some(protocol))?;
    if address.is_ipv6() {
        // `::` beside `0.0.0.0`, not instead of it (ipv6(7)).
        socket.set_only_v6(true)?;
    }
    match transport {
        Transport::Tcp => {
            // A port whose old connections are in TIME_WAIT can be bound again (socket(7)); a live listener still cannot.
            socket.set_reuse_address(true)?;
            socket.set_recv_buffer_size(SOCKET_BUFFER)?;
            socket.set_send_buffer_size(SOCKET_BUFFER)?;
            // Small frames must not wait for an acknowledgement (tcp(7), TCP_NODELAY); Linux has accepted sockets inherit it.
            socket.set_tcp_nodelay(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            Ok(Listener::Tcp(socket.into()))
        }
        Transport::Udp => {
            socket.bind(&address.into())?;
            Ok(Listener::Udp(socket.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_names_the_process_that_has_it() {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let Ok(Listener::Tcp(first)) = bind(address, Transport::Tcp) else { panic!("a free port") };
        let taken = first.local_addr().expect("bound");
        let error = bind(taken, Transport::Tcp).expect_err("taken").to_string();
        let pid = std::process::id();
        assert!(error.starts_with(&format!("cannot listen on {taken}: the port is taken by ")), "{error}");
        assert!(error.contains(&format!("(pid {pid})")), "{error}");
    }
}
