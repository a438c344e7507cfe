//! Established tunnels: moving their bytes, ending them well, and knowing every one that lives.
//!
//! [`Engine`] owns both sockets of every tunnel of one thread. It refuses to know HTTP, routes or why a tunnel was made;
//! that is on the tunnel's [`Card`].

mod allowance;
mod card;
mod drain;
mod end;
mod ending;
mod engine;
mod frozen;
mod keepalive;
mod ledger;
mod pump;
mod record;
mod slot;
mod spread;
mod thrift;
mod tick;
mod work;

pub use card::{Card, TunnelId};
pub use ending::{Cause, Ending};
pub use engine::{Engine, Kind, Left, Opened};
pub use frozen::Frozen;
pub use ledger::{Change, Departure, Entry, Ledger, Volume};
pub use record::{Record, Who};
pub use spread::{Others, Spread};
pub use work::{Command, Commands, Which, run};
