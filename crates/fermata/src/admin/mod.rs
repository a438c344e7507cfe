//! The control socket: typed requests from the commands to a running Fermata, and its replies, one JSON text a line.
//!
//! It refuses to do anything itself: requests go to `running`, which answers them.

mod client;
mod protocol;
mod server;

pub use client::{CallError, call};
pub use protocol::{
    ConnectionRow, Count, EndedRow, Filter, InstanceRow, PortRow, Reply, Request, ServiceRow, Status, Target,
    TunnelFigures,
};
pub use server::{Asked, Asking, ControlSocket, SocketFile};

/// The socket's name in the state folder.
const SOCKET: &str = "control.sock";
