//! Connects to an endpoint.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, UnixStream, lookup_host};

use super::leg::Leg;
use super::listen::SOCKET_BUFFER;
use super::own::Own;
use crate::route::{Secure, Target};

/// Connects within `limit`; a name's addresses are tried one after the other. The connection begins with the bytes of `first`,
/// and goes on over TLS where it has to be secure.
pub async fn dial(target: &Target, first: &[u8], secure: Option<&Secure>, limit: Duration) -> io::Result<Leg> {
    dial_others(target, first, secure, limit, None).await
}

/// The same, and never to ourselves.
pub async fn dial_others(
    target: &Target,
    first: &[u8],
    secure: Option<&Secure>,
    limit: Duration,
    own: Option<&Own>,
) -> io::Result<Leg> {
    let connected = async {
        let mut leg = reach(target, own).await?;
        leg.write_all(first).await?;
        if let Some(secure) = secure {
            leg.connect_tls(secure.config.clone(), name(target, secure)?).await?;
        }
        Ok(leg)
    };
    tokio::time::timeout(limit, connected).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Who has to be there: whom the file names, or else the address.
fn name(target: &Target, secure: &Secure) -> io::Result<ServerName<'static>> {
    match (&secure.name, target) {
        (Some(name), _) => Ok(name.clone()),
        (None, Target::Ip(address)) => Ok(address.ip().to_canonical().into()),
        (None, Target::Name(name, _)) => ServerName::try_from(name.clone()).map_err(io::Error::other),
        (None, Target::Unix(_)) => Err(io::ErrorKind::Unsupported.into()),
    }
}

async fn reach(target: &Target, own: Option<&Own>) -> io::Result<Leg> {
    match target {
        Target::Ip(address) => connect(*address).await,
        Target::Name(name, port) => {
            let mut last = io::Error::new(io::ErrorKind::NotFound, format!("the name {name} has no address"));
            let found = lookup_host((name.as_str(), *port)).await?;
            let (addresses, ourselves) = match own {
                Some(own) => own.others(name, found),
                None => (found.collect(), None),
            };
            for address in addresses {
                match connect(address).await {
                    Ok(leg) => return Ok(leg),
                    Err(error) => last = error,
                }
            }
            Err(ourselves.map_or(last, io::Error::other))
        }
        Target::Unix(path) => Ok(Leg::unix(UnixStream::connect(path).await?)),
    }
}

async fn connect(address: SocketAddr) -> io::Result<Leg> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_recv_buffer_size(SOCKET_BUFFER as u32)?;
    socket.set_send_buffer_size(SOCKET_BUFFER as u32)?;
    let stream = socket.connect(address).await?;
    // Small frames must not wait for an acknowledgement (tcp(7), TCP_NODELAY).
    stream.set_nodelay(true)?;
    Ok(Leg::tcp(stream, address))
}
