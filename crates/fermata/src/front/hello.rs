//! The name that a client asks for in the hello of its TLS: for who passes TLS on, and ends none of it.

use std::time::Duration;

use fermata_wire::hello::{self, Alert, Hello, Problem};
use tokio::time::timeout;

use crate::net::Leg;

/// What a connection began with, where TLS is passed on.
#[derive(Debug)]
pub enum Wanted {
    /// A hello.
    Hello(Hello),
    /// Something else.
    Other(Problem),
    /// Nothing whole: the client left, or took too long.
    Gone,
}

impl Wanted {
    /// The name that is asked for.
    pub fn name(&self) -> Option<&str> {
        match self {
            Wanted::Hello(hello) => hello.name.as_deref(),
            Wanted::Other(_) | Wanted::Gone => None,
        }
    }

    /// What a client is told whom nobody takes, and why nobody does.
    pub fn refused(&self) -> (Option<Alert>, String) {
        match self {
            Wanted::Hello(Hello { name: Some(name) }) => {
                (Some(Alert::UnrecognizedName), format!("load_balancer.pass_through does not have {name}"))
            }
            Wanted::Hello(Hello { name: None }) => {
                (Some(Alert::MissingExtension), "it asks for no name (SNI), by which it could be passed through".into())
            }
            Wanted::Other(problem) => (problem.alert(), problem.to_string()),
            Wanted::Gone => (None, "it ended before its hello was whole".into()),
        }
    }
}

/// Waits for a hello, and leaves all of it on the leg.
pub async fn wanted(leg: &mut Leg, limit: Duration) -> Wanted {
    let read = async {
        loop {
            match hello::read(leg.unread()) {
                Ok(Some(hello)) => return Wanted::Hello(hello),
                Ok(None) => {}
                Err(problem) => return Wanted::Other(problem),
            }
            if !matches!(leg.fill().await, Ok(1..)) {
                return Wanted::Gone;
            }
        }
    };
    timeout(limit, read).await.unwrap_or(Wanted::Gone)
}
