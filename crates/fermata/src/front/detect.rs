//! The first bytes of a connection: TLS where the port has it, and words for who tries the other.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fermata_wire::proxy;
use rustls::ServerConfig;
use tokio::time::timeout;

use crate::http::Refusal;
use crate::net::Leg;

/// The first byte of a TLS record that carries a handshake (RFC 8446 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// What a connection began with.
pub enum Seen {
    /// What the port is for, in clear now.
    Clear(Leg),
    /// Something else; the leg may be told so.
    Refused(Leg, Refusal),
    /// TLS that came to nothing; the leg has been told so.
    NoTls(Leg, io::Error),
    /// The client left, or took too long, before it had said anything that could be answered.
    Gone,
}

/// Waits for the first bytes, and does TLS where the port has it.
pub async fn greet(leg: Leg, tls: Option<Arc<ServerConfig>>, port: u16, limit: Duration) -> Seen {
    match timeout(limit, first(leg, tls, port)).await {
        Ok(Ok(seen)) => seen,
        Ok(Err(_)) | Err(_) => Seen::Gone,
    }
}

async fn first(mut leg: Leg, tls: Option<Arc<ServerConfig>>, port: u16) -> io::Result<Seen> {
    if leg.unread().is_empty() && leg.fill().await? == 0 {
        return Ok(Seen::Gone);
    }
    if proxy::begins(leg.unread()) {
        return Ok(Seen::Refused(leg, Refusal::Announced(port)));
    }
    let is_tls = leg.unread().first() == Some(&TLS_HANDSHAKE);
    Ok(match tls {
        Some(config) if is_tls => match leg.accept_tls(config).await {
            Ok(()) => Seen::Clear(leg),
            Err(error) => Seen::NoTls(leg, error),
        },
        Some(_) => {
            let refusal = no_tls(&leg, port);
            Seen::Refused(leg, refusal)
        }
        None if is_tls => Seen::Refused(leg, Refusal::TlsOnHttp(port)),
        None => Seen::Clear(leg),
    })
}

/// What is said to who began without TLS on a port that has it.
pub fn no_tls(leg: &Leg, port: u16) -> Refusal {
    if proxy::begins(leg.unread()) { Refusal::Announced(port) } else { Refusal::HttpOnTls(port) }
}
