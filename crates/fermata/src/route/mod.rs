//! Which service a request belongs to, and which of its instances gets it.
//!
//! Nothing here connects to anything: a [`Table`] and its [`Pool`]s say where to go.

mod admission;
mod arrivals;
mod pool;
mod table;
mod wish;

pub use admission::{Admission, Denied, Guests, Place, Places};
pub use arrivals::{Arrivals, TooMany};
pub use pool::{Endpoint, Lease, Manner, Pool, Target};
pub use table::{Route, Table};
pub use wish::Wish;
