//! Which service a request belongs to, and which of its instances gets it.
//!
//! Nothing here connects to anything: a [`Table`] and its [`Pool`]s say where to go.

mod admission;
mod arrivals;
mod endpoint;
mod lineup;
mod pool;
mod table;
mod wish;

pub use admission::{Admission, Denied, Guests, Place, Places};
pub use arrivals::{Arrivals, TooMany};
pub use endpoint::{Endpoint, Lease, Line, Rank, Target};
pub use pool::{Despair, Manner, Newcomers, Pool, Wanted};
pub use table::{Asked, Hop, Named, Route, Secure, Table};
pub use wish::Wish;
