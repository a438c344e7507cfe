//! Ports for one test.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::{Mutex, PoisonError};

/// What keeps the ports that this process was given: other tests, in processes of their own, get others, whatever address they use.
static GIVEN: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A port of 127.0.0.1 that nothing uses, and that no other test is given while this process lives. Taken from below the range
/// that the kernel gives to outgoing connections (32768 and up, ip(7)), so that no other test's connection lands on it before it
/// is bound.
pub fn free_port() -> u16 {
    std::iter::repeat_with(|| fastrand::u16(10_000..32_000))
        .take(1000)
        .find(|port| {
            keep(*port)
                && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
                && UdpSocket::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
        })
        .expect("one port in a thousand is free")
}

/// Has the number be this process's, if it is nobody's: a name in the abstract namespace goes with its process (unix(7)).
fn keep(port: u16) -> bool {
    let name = SocketAddr::from_abstract_name(format!("fermata-test-port-{port}")).expect("a short name");
    let kept = UnixListener::bind_addr(&name);
    kept.map(|kept| GIVEN.lock().unwrap_or_else(PoisonError::into_inner).push(kept)).is_ok()
}
