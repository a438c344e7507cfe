//! What a client says first: TLS or not, HTTP/1.1 or something else, an ordinary request or the wish for a tunnel.
//!
//! It refuses to know where anything goes, and never meets the tunnel engine: both meet in `serve`.

pub mod datagrams;
mod detect;
mod extent;
mod goodbye;
mod h1;
mod head;
mod hello;
mod knock;
mod origin;
mod turnstile;

pub use detect::{Seen, greet, no_tls};
pub use goodbye::goodbye;
pub use h1::{Answer, Ended, accepted, converse};
pub use hello::{Wanted, wanted};
pub use origin::allowed;
pub use turnstile::HeadLimits;
