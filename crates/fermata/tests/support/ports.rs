//! Ports for one test.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

/// What was given away in this process: a test that asks twice gets two.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port of 127.0.0.1 that nothing uses. Taken from below the range that the kernel gives to outgoing connections
/// (32768 and up, ip(7)), so that no other test's connection lands on it before it is bound.
pub fn free_port() -> u16 {
    std::iter::repeat_with(|| fastrand::u16(10_000..32_000))
        .take(1000)
        .find(|port| {
            TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
                && UdpSocket::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
                && GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(*port)
        })
        .expect("one port in a thousand is free")
}
