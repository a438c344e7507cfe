//! WebSocket on bytes: what a handshake must look like, where frames begin and end, when a Close or a Ping may stand
//! between them, and what a close code says; and what may stand before all that: [`proxy`], and the [`hello`] of TLS.
//!
//! Nothing here opens a socket, reads a clock or draws a random number: bytes, and whatever else a decision needs,
//! come in as arguments. Nothing here inflates, unmasks or understands a payload either: a [`Relay`] follows frames
//! and lets their bytes pass.

pub mod close;
pub mod frame;
pub mod handshake;
pub mod hello;
pub mod proxy;
mod relay;

pub use close::{Close, Code};
pub use relay::{ClosedBy, Frames, MAX_CARRY, Passed, Relay, Rules, Side, Then, Violation};
