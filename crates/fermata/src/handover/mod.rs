//! An upgrade: a running Fermata and the program that takes its place, side by side for a moment.
//!
//! ```text
//! old                                   new
//!  │ is it a fermata? start it           │
//!  │ ◀──────────────────────────── Hello │ which version of these words it speaks
//!  │ Begin ────────────────────────────▶ │ reads the file, makes everything that can fail
//!  │ ◀───────────────────────── Prepared │                 (until here nothing has stood still)
//!  │ holds still                         │
//!  │ Estate, Tunnels…, End ────────────▶ │ takes it all in, and touches none of it
//!  │ ◀──────────────────────────── Ready │
//!  │ Go ───────────────────────────────▶ │
//!  │ ◀──────────────────────────── Taken │ from this word on it is the new one's
//! ```
//!
//! There is one moment, the word Taken. Whatever happens before it, the old one goes on as if nothing had been tried:
//! nobody has read or written a byte of what was handed over. Why it is done in this way is in ARCHITECTURE.md.
//!
//! It refuses to know what a service, a pool or a running file is: `running` says what there is to hand over, and what
//! becomes of it.

mod channel;
mod child;
mod guard;
mod heir;
pub mod manifest;
mod successor;
mod tie;

pub use channel::{Channel, Message};
pub use child::{Child, Parent};
pub use guard::{Guard, Ward, Word};
pub use heir::{Heir, Inherited};
pub use successor::{Call, Successor};
pub use tie::{AreToEnd, HaveEnded, Tie};
