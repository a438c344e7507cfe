//! What a service manager is told (`sd_notify(3)`): that everything is ready, that it stops, which process is the main one.
//! Where nobody asked to be told, nothing is said.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The variable in which it says where.
const VARIABLE: &str = "NOTIFY_SOCKET";

/// Something to tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Everything is ready.
    Ready,
    /// The end has begun.
    Stopping,
    /// This process is the main one from now on.
    MainPid(i32),
}

/// Tells it; false where nobody listens.
pub fn tell(state: State) -> bool {
    let Some(place) = std::env::var_os(VARIABLE) else { return false };
    let said = match state {
        State::Ready => "READY=1".to_owned(),
        State::Stopping => "STOPPING=1".to_owned(),
        State::MainPid(pid) => format!("MAINPID={pid}"),
    };
    send(&place, &said).inspect_err(|error| tracing::warn!(%error, "the service manager cannot be told")).is_ok()
}

/// Whether a service manager wants to be told.
pub fn listens() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

fn send(place: &OsStr, said: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    let address = match place.as_bytes() {
        // In the abstract name space (unix(7)).
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(place)?,
    };
    socket.send_to_addr(said.as_bytes(), &address).map(drop)
}
