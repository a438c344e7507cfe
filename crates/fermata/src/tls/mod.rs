//! TLS: sessions on bytes, certificates and which of them a client gets. No socket is opened here.

mod certificates;
mod challenges;
mod config;
mod self_signed;
mod session;
mod watch;

pub use certificates::{Certificates, LoadError, Loaded, names_of};
pub use challenges::{Challenges, Posted};
pub use config::{client_config, server_config};
pub use self_signed::{make_self_signed, self_signed, write_secret};
pub use session::Session;
pub use watch::{Watch, watch};
