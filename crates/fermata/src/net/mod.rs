//! Sockets: listening, connecting, and the two ends of a tunnel to be. No HTTP here, and no choice of where to go.

mod announced;
mod arrival;
mod dial;
mod holder;
mod leg;
mod listen;
mod own;

pub use announced::{Unannounced, announced, proxy_version};
pub use arrival::Arrival;
pub use dial::{dial, dial_others};
pub use holder::{Holder, of as holder_of};
pub use leg::{Leg, Parts, Reach};
pub use listen::{BindError, Listener, Transport, bind, has_ipv6, is_local};
pub use own::Own;
