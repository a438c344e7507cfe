//! The control socket: typed requests from the commands to a running Fermata, and its replies, one JSON text a line. And the
//! status address, which asks the same way for pages, metrics and health checks.
//!
//! It refuses to do anything itself: requests go to `running`, which answers them.

mod client;
mod metrics;
mod page;
mod protocol;
mod server;
mod web;

pub use client::{CallError, call};
pub use protocol::{
    ConnectionRow, Count, EndedRow, Filter, InstanceRow, PortRow, Reply, Request, ServiceRow, Status, Target,
    TunnelFigures,
};
pub use server::{Asked, Asking, ControlSocket, SocketFile};

pub use web::serve as serve_status;

/// The socket's name in the state folder.
const SOCKET: &str = "control.sock";

/// Seconds as people say them.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}
