//! The second hop: every address, each tried.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use rustix::io::Errno;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::advise;
use super::name::{Hop, Name};
use super::target::Question;
use crate::report::Detail;

/// Why an address can't be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Somebody said no: nothing listens there, or a firewall rejects.
    Refused,
    /// Nobody said anything.
    Silent(Duration),
    /// A router said that there is no way.
    Unreachable,
    /// This machine has no way to such addresses, IPv6 mostly.
    NoWayFromHere,
    /// Anything else.
    Other(String),
}

/// One address, tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Try {
    pub(super) address: SocketAddr,
    pub(super) took: Duration,
    pub(super) outcome: Result<(), Trouble>,
}

/// Tries all addresses at once and goes on with the first that answers, in the resolver's order.
pub(super) async fn look(question: &Question, addresses: &[SocketAddr]) -> (Hop, Option<SocketAddr>) {
    let start = Instant::now();
    let tries = join_all(addresses.iter().map(|address| connect(*address, question.hop_timeout))).await;
    let took = Some(start.elapsed());
    let Some(chosen) = tries.iter().find(|tried| tried.outcome.is_ok()) else {
        let (says, advice) = advise::tcp(&tries, question.target.is_local());
        let hop = Hop::broken(Name::Tcp, took, says, advice);
        return (with_details(hop, &tries), None);
    };
    let hop = Hop::works(Name::Tcp, Some(chosen.took), format!("{} takes connections", chosen.address));
    let hop = with_details(hop, &tries);
    // A name of this machine has two addresses, and most programs listen on one of them: no reason to frown.
    let lame = tries.iter().filter(|tried| !matches!(tried.outcome, Ok(()) | Err(Trouble::NoWayFromHere)));
    let lame: Vec<&Try> = lame.collect();
    let hop = if lame.is_empty() || question.target.is_local() { hop } else { hop.remark(advise::lame_address(&lame)) };
    (hop, Some(chosen.address))
}

async fn connect(address: SocketAddr, limit: Duration) -> Try {
    let start = Instant::now();
    let outcome = match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(trouble_of(&error)),
        Err(_) => Err(Trouble::Silent(limit)),
    };
    Try { address, took: start.elapsed(), outcome }
}

fn with_details(mut hop: Hop, tries: &[Try]) -> Hop {
    if tries.len() > 1 {
        hop.details.extend(tries.iter().map(|tried| Detail {
            says: format!("{} {}", tried.address, advise::tcp_outcome(&tried.outcome)),
            took: Some(tried.took),
        }));
    }
    hop
}

/// connect(2) and the ICMP errors behind its numbers (RFC 1122 4.2.3.9).
fn trouble_of(error: &io::Error) -> Trouble {
    match Errno::from_io_error(error) {
        Some(Errno::CONNREFUSED | Errno::CONNRESET) => Trouble::Refused,
        Some(Errno::HOSTUNREACH | Errno::ACCESS | Errno::PERM) => Trouble::Unreachable,
        Some(Errno::NETUNREACH | Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT) => Trouble::NoWayFromHere,
        _ => Trouble::Other(error.to_string()),
    }
}
