//! The tunnel engine against real sockets: every byte arrives, in order, and every ending is the one it should be.

mod bytes;
mod chaos;
mod closing;
mod moved;
mod nested;
mod silence;
mod stalled;
mod tls;
mod world;
