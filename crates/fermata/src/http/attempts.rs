//! The attempts at one request: which instances it was tried on, and what came of it. An instance that cannot be reached is
//! followed by any other; one that took the request and gave no answer by few, and only where it may be repeated.

use std::io;

use rustix::io::Errno;

use super::reply::Refusal;
use crate::route::{Asked, Lease, Route, Wish};

/// So many instances may hang up on a request after the first one. One that lets the whole time for its answer pass
/// counts for all of them: the client has waited long enough.
const AGAIN: u8 = 2;

/// The attempts at one request.
pub struct Attempts<'a> {
    route: &'a Route,
    asked: Asked,
    wish: &'a Wish,
    tried: Vec<Lease>,
    last: Option<Refusal>,
    left: u8,
}

impl<'a> Attempts<'a> {
    /// None yet.
    pub fn at(route: &'a Route, asked: Asked, wish: &'a Wish) -> Attempts<'a> {
        Attempts { route, asked, wish, tried: Vec::new(), last: None, left: AGAIN }
    }

    /// Picks instances of the route's service until one can be connected to.
    pub async fn connect<T>(&mut self, connect: impl AsyncFn(&Lease) -> io::Result<T>) -> Result<(Lease, T), Refusal> {
        let pool = self.route.pool_for(self.asked);
        while let Some(lease) = self.route.pick(self.asked, self.wish, &self.tried) {
            match connect(&lease).await {
                Ok(connected) => {
                    pool.reached(&lease);
                    return Ok((lease, connected));
                }
                Err(error) if is_our_own(&error) => return Err(Refusal::Full { of: "This gateway".into() }),
                Err(error) => {
                    tracing::warn!(service = %lease.service(), instance = %lease.instance(), target = %lease.target(), %error, "cannot connect");
                    pool.failed(&lease);
                    self.last = Some(unreachable(&lease, &error));
                    self.tried.push(lease);
                }
            }
        }
        let service = || self.route.service().to_string();
        Err(self.last.take().unwrap_or_else(|| Refusal::NoInstance { service: service() }))
    }

    /// Whether there is another instance to go to.
    pub fn has_other(&self) -> bool {
        self.left > 0 && self.route.pool_for(self.asked).count() > self.tried.len() + 1
    }

    /// An instance has taken the request and given no answer. An error is what the client is told; otherwise another
    /// instance may be asked the same.
    pub fn unanswered(&mut self, lease: Lease, refusal: Refusal) -> Result<(), Refusal> {
        let costs = if matches!(refusal, Refusal::NoAnswer { .. }) { AGAIN } else { 1 };
        let Some(left) = self.left.checked_sub(costs).filter(|_| self.has_other()) else { return Err(refusal) };
        tracing::warn!(service = %lease.service(), instance = %lease.instance(), "asks another instance: {}", refusal.summary());
        self.left = left;
        self.last = Some(refusal);
        self.tried.push(lease);
        Ok(())
    }
}

/// Whether it is this process that has no descriptor left.
fn is_our_own(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|full| error.raw_os_error() == Some(full.raw_os_error()))
}

fn unreachable(lease: &Lease, error: &io::Error) -> Refusal {
    let why = match error.kind() {
        io::ErrorKind::TimedOut => "it did not accept a connection in time".to_owned(),
        io::ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
        _ => error.to_string(),
    };
    Refusal::Unreachable {
        service: lease.service().to_string(),
        last: format!("{} at {}: {why}", lease.instance(), lease.target()),
    }
}
