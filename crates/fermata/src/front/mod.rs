//! What a client says first: TLS or not, HTTP/1.1 or something else, an ordinary request or the wish for a tunnel.
//!
//! It refuses to know where anything goes, and never meets the tunnel engine: both meet in `serve`.

pub mod datagrams;
mod detect;
mod h1;
mod origin;

pub use detect::{Seen, greet};
pub use h1::{Opening, converse, goodbye, leg_of};
pub use origin::allowed;
